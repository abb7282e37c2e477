-- What comes and goes all day was told of each time: now it must be well for longer each time before it counts as over.
create or replace function public.note_operations_alerts(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_now constant timestamptz := (p ->> 'now')::timestamptz;
    v_quiet constant interval := make_interval(mins => (p ->> 'quiet_minutes')::integer);
begin
    insert into public.operations_alerts as a (condition, sentence, since, last_seen_at, told, next_attempt_at)
    select s.condition, s.sentence, coalesce(s.since, v_now), v_now, coalesce(s.told, '{}'), v_now
    from jsonb_to_recordset(p -> 'seen') as s(condition text, sentence text, since timestamptz, told jsonb)
    on conflict (condition) where resolved_at is null
    do update set sentence = excluded.sentence, last_seen_at = v_now, clear_since = null, told = a.told || excluded.told;
    update public.operations_alerts a
    set clear_since = coalesce(a.clear_since, v_now),
        resolved_at = case when a.clear_since <= q.before then greatest(a.since, v_now) end,
        attempts = 0, next_attempt_at = v_now
    from (select o.id, v_now - least(interval '4 hours', v_quiet * power(2, least(count(e.id), 10))) as before
          from public.operations_alerts o
          left join public.operations_alerts e on e.condition = o.condition and e.resolved_at > v_now - interval '1 day'
          where o.resolved_at is null and o.condition in (select jsonb_array_elements_text(p -> 'clear'))
          group by o.id) q
    where a.id = q.id and (a.clear_since is null or a.clear_since <= q.before);
    return '{}'::jsonb;
end $$;
comment on function public.note_operations_alerts is
    'Keeps what a look at the operation found: {now, quiet_minutes, seen: [{condition, sentence, since?, told?}], clear: [condition]}. An alert is over once it was clear for the quiet minutes, twice as long for each time that it was over within the last day, up to 4 hours; what was not looked at stays as it is.';
create index operations_alerts_resolved on public.operations_alerts (condition, resolved_at);

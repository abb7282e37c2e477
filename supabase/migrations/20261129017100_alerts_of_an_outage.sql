-- An outage of the database is told without it, and kept afterwards with the time that it began.

create or replace function public.note_operations_alerts(p jsonb) returns jsonb
    language plpgsql
    set search_path to ''
    as $$
declare
    v_now constant timestamptz := (p ->> 'now')::timestamptz;
    v_quiet constant timestamptz := v_now - make_interval(mins => (p ->> 'quiet_minutes')::integer);
begin
    insert into public.operations_alerts as a (condition, sentence, since, last_seen_at, told, next_attempt_at)
    select s.condition, s.sentence, coalesce(s.since, v_now), v_now, coalesce(s.told, '{}'), v_now
    from jsonb_to_recordset(p -> 'seen') as s(condition text, sentence text, since timestamptz, told jsonb)
    on conflict (condition) where resolved_at is null
    do update set sentence = excluded.sentence, last_seen_at = v_now, clear_since = null, told = a.told || excluded.told;
    update public.operations_alerts a
    set clear_since = coalesce(a.clear_since, v_now),
        resolved_at = case when a.clear_since <= v_quiet then greatest(a.since, v_now) end,
        attempts = 0, next_attempt_at = v_now
    where a.resolved_at is null and a.condition in (select jsonb_array_elements_text(p -> 'clear'))
      and (a.clear_since is null or a.clear_since <= v_quiet);
    return '{}'::jsonb;
end $$;
comment on function public.note_operations_alerts(p jsonb) is 'Keeps what a look at the operation found: {now, quiet_minutes, seen: [{condition, sentence, since?, told?}], clear: [condition]}. An alert is over once it was clear for the quiet minutes; what was not looked at stays as it is.';

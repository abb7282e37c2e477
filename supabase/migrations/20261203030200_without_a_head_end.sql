-- Where the head-end was taken away while smart meters waited to be asked again, the collection was claimed each minute until
-- midnight and did nothing. Those meters are handed over at once.

create or replace function public.hand_collections_over(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_given_up_by constant timestamptz := coalesce((p ->> 'given_up_by')::timestamptz, (p ->> 'at')::timestamptz);
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    insert into public.reading_requests (id, meter_id, reason, requested_on, requested_by)
    select x.id, x.meter_id, x.reason, x.requested_on, p ->> 'actor'
    from jsonb_to_recordset(p -> 'rows') as x(id uuid, meter_id uuid, reason text, requested_on date)
    where exists (select 1 from public.meter_collections c where c.meter_id = x.meter_id and c.give_up_at <= v_given_up_by)
    order by x.meter_id
    on conflict do nothing;
    update public.meter_collections c set next_try_at = null, give_up_at = null, round_at = (p ->> 'at')::timestamptz
    where c.meter_id = any (array(select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x))
      and c.give_up_at <= v_given_up_by;
    -- Taken out, or read by a person from now on: the head-end is not asked for it any more.
    update public.meter_collections c set next_try_at = null, give_up_at = null
    where c.next_try_at <= v_given_up_by
      and not exists (select 1 from public.meters m join public.meter_installations i on i.meter_id = m.id and i.removed_at is null
                      where m.id = c.meter_id and m.kind = 'smart');
    return '{}'::jsonb;
end $$;
comment on function public.hand_collections_over(jsonb) is
    'Puts smart meters that gave no reading all day on the round, each once: {actor, run, at, given_up_by?: those whose day ends by then, instead of at, rows: [{id, meter_id, reason, requested_on}]}. A meter that was asked for before stays so.';

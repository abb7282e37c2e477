-- What came of asking for each smart meter, trying again the same day, and many readings at once.

create table public.meter_collections (
    meter_id uuid primary key references public.meters (id),
    run_started_at timestamptz not null,
    tried_at timestamptz not null,
    tries integer not null check (tries > 0),
    outcome text not null check (outcome in ('collected', 'doubted', 'no_answer', 'not_believed', 'not_stored', 'not_asked')),
    reason text not null default '',
    reading_id uuid references public.readings (id),
    collected_at timestamptz,
    next_try_at timestamptz,
    give_up_at timestamptz,
    round_at timestamptz,
    check ((next_try_at is null) = (give_up_at is null)),
    check ((outcome in ('collected', 'doubted')) = (reading_id is not null))
);
comment on table public.meter_collections is 'The last time that each smart meter was asked for, and what came of it; the failures of earlier runs stand in job_set_aside.';
comment on column public.meter_collections.run_started_at is 'Which run it was, by when that began; a run that goes on keeps it.';
comment on column public.meter_collections.tries is 'How often the meter was asked for within the run.';
comment on column public.meter_collections.reason is 'Why there is no reading, in a sentence for the office.';
comment on column public.meter_collections.collected_at is 'When a reading was last had.';
comment on column public.meter_collections.next_try_at is 'When it is asked for again; null where nothing is left to do.';
comment on column public.meter_collections.give_up_at is 'From when it is not asked for any more but put on the round of whoever reads meters.';
comment on column public.meter_collections.round_at is 'When it was put on that round, in this run.';
create index meter_collections_waiting on public.meter_collections (next_try_at) where next_try_at is not null;
create index meter_collections_by_time on public.meter_collections (tried_at, meter_id);
create index meter_collections_reading on public.meter_collections (reading_id);
alter table public.meter_collections enable row level security;
revoke all on public.meter_collections from public, anon, authenticated;
grant select, insert, update on public.meter_collections to service_role;

create function public.meters_to_ask(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('meters', coalesce(jsonb_agg(to_jsonb(l) - 'search' || jsonb_build_object('tries', w.tries) order by w.serial), '[]'))
    from (select m.id, m.serial,
                 case when c.run_started_at = (p ->> 'run_started_at')::timestamptz then c.tries else 0 end as tries
          from public.meters m
          left join public.meter_collections c on c.meter_id = m.id
          where m.kind = 'smart' and m.serial > coalesce(p ->> 'after', '')
            and exists (select 1 from public.meter_installations i where i.meter_id = m.id and i.removed_at is null)
            and (c.run_started_at is distinct from (p ->> 'run_started_at')::timestamptz
                 or case when (p ->> 'due_only')::boolean
                         then c.next_try_at <= (p ->> 'at')::timestamptz and c.give_up_at > (p ->> 'at')::timestamptz
                         else c.outcome not in ('collected', 'doubted') end)
          order by m.serial limit (p ->> 'limit')::integer) w
    join public.meter_list l on l.id = w.id
$$;
comment on function public.meters_to_ask(jsonb) is 'Smart meters in use that the run has no reading of, by serial: {run_started_at, at, due_only: of those asked for before only the ones to be asked for again by now, after?: serial, limit} -> {meters: rows of meter_list, each with its tries}.';

create function public.reading_contexts(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_row jsonb;
    v_found jsonb := '[]';
    v_code text;
    v_message text;
begin
    for v_row in select x from jsonb_array_elements(p -> 'rows') x loop
        begin
            v_found := v_found || jsonb_build_array(public.reading_context(v_row));
        exception when others then
            get stacked diagnostics v_code = returned_sqlstate, v_message = message_text;
            -- A refusal of ours is about this reading alone; anything else is about all.
            if v_code not like 'EB%' then
                raise;
            end if;
            v_found := v_found || jsonb_build_array(jsonb_build_object('refused', jsonb_build_object('code', v_code, 'message', v_message)));
        end;
    end loop;
    return jsonb_build_object('contexts', v_found);
end $$;
comment on function public.reading_contexts(jsonb) is 'public.reading_context for many readings: {rows: what that takes} -> {contexts: its answers in order, or {refused: {code, message}}}.';

create function public.store_collected(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_run_started_at timestamptz := (p ->> 'run_started_at')::timestamptz;
    v_row jsonb;
    v_meter uuid;
    v_known uuid;
    v_new jsonb := '[]';
    -- What is stored now: {meter_id, reading_id, tries}.
    v_had jsonb := '[]';
    v_moved jsonb := '[]';
    v_conflicts jsonb := '[]';
    v_done integer;
    v_gone integer;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.lock_points_of(array(select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x));
    for v_row in select x from jsonb_array_elements(p -> 'rows') x loop
        v_meter := (v_row ->> 'meter_id')::uuid;
        begin
            v_known := coalesce(
                (select r.id from public.readings r where r.id = (v_row #>> '{reading,id}')::uuid),
                private.find_replay(v_row -> 'reading', v_meter));
        exception when sqlstate 'EB003' then
            v_conflicts := v_conflicts || jsonb_build_array(v_row -> 'subject');
            continue;
        end;
        if v_known is null then
            -- The rules compared it with these two: a read that came between must be compared with first.
            if private.neighbours(v_meter, (v_row #>> '{reading,read_at}')::timestamptz) is distinct from v_row -> 'neighbours' then
                v_moved := v_moved || jsonb_build_array(v_row -> 'subject');
                continue;
            end if;
            v_new := v_new || jsonb_build_array(v_row -> 'reading');
            v_known := (v_row #>> '{reading,id}')::uuid;
        end if;
        v_had := v_had || jsonb_build_array((v_row - array['reading', 'neighbours']) || jsonb_build_object('reading_id', v_known));
    end loop;
    insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, submitted_by, validation, registers)
    select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.source, r.status, p ->> 'actor', r.validation, r.registers
    from jsonb_to_recordset(v_new) as r(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text, status text,
        validation jsonb, registers jsonb)
    order by r.meter_id;
    -- The same call again, whose first answer was lost, counts nothing twice.
    v_done := (select count(*) from jsonb_array_elements(v_had) h
               where not exists (select 1 from public.meter_collections c
                                 where c.meter_id = (h ->> 'meter_id')::uuid and c.run_started_at = v_run_started_at
                                   and c.outcome in ('collected', 'doubted')));
    insert into public.meter_collections as k (
        meter_id, run_started_at, tried_at, tries, outcome, reason, reading_id, collected_at, next_try_at, give_up_at)
    select x.meter_id, v_run_started_at, coalesce(x.tried_at, (p ->> 'at')::timestamptz), x.tries,
           coalesce(x.outcome, case when r.status = 'accepted' then 'collected' else 'doubted' end),
           coalesce(x.reason, ''), x.reading_id, case when x.reading_id is not null then (p ->> 'at')::timestamptz end,
           x.next_try_at, x.give_up_at
    from jsonb_to_recordset(v_had || (p -> 'failed')) as x(
        meter_id uuid, tries integer, outcome text, reason text, reading_id uuid, tried_at timestamptz, next_try_at timestamptz,
        give_up_at timestamptz)
    left join public.readings r on r.id = x.reading_id
    order by x.meter_id
    on conflict (meter_id) do update
    set run_started_at = excluded.run_started_at, tried_at = excluded.tried_at, tries = excluded.tries, outcome = excluded.outcome,
        reason = excluded.reason, reading_id = excluded.reading_id, collected_at = coalesce(excluded.collected_at, k.collected_at),
        next_try_at = excluded.next_try_at, give_up_at = excluded.give_up_at, round_at = null;
    -- What an earlier try set aside, and is had now, is set aside no more.
    delete from public.job_set_aside a
    where a.job = p -> 'run' ->> 'job' and a.scheduled_on = (p -> 'run' ->> 'scheduled_on')::date
      and a.subject = any (array(select h ->> 'subject' from jsonb_array_elements(v_had) h));
    get diagnostics v_gone = row_count;
    perform private.note_progress(jsonb_build_object(
        'run', p -> 'run', 'done', v_done,
        'set_aside', (select coalesce(jsonb_agg(jsonb_build_object(
                          'subject', f -> 'subject', 'reason', f -> 'reason', 'code', f -> 'code', 'meter_id', f -> 'meter_id')), '[]')
                      from jsonb_array_elements(p -> 'failed') f)));
    update public.job_runs r set failed_count = r.failed_count - v_gone
    where v_gone > 0 and r.job = p -> 'run' ->> 'job' and r.scheduled_on = (p -> 'run' ->> 'scheduled_on')::date;
    return jsonb_build_object('moved', v_moved, 'conflicts', v_conflicts);
end $$;
comment on function public.store_collected(jsonb) is 'One batch of smart meters in one transaction: {actor, run, run_started_at, at, rows: [{subject: serial, meter_id, tries, reading, neighbours: as public.commit_reading takes them}], failed: [{subject, meter_id, tried_at, tries, outcome, reason, code, next_try_at, give_up_at}]} -> {moved: serials whose reading must be judged again, conflicts: serials of which another value was read at the very same time}. A reading that is known already counts as had.';

create function public.hand_collections_over(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    insert into public.reading_requests (id, meter_id, reason, requested_on, requested_by)
    select x.id, x.meter_id, x.reason, x.requested_on, p ->> 'actor'
    from jsonb_to_recordset(p -> 'rows') as x(id uuid, meter_id uuid, reason text, requested_on date)
    where exists (select 1 from public.meter_collections c where c.meter_id = x.meter_id and c.give_up_at <= (p ->> 'at')::timestamptz)
    order by x.meter_id
    on conflict do nothing;
    update public.meter_collections c set next_try_at = null, give_up_at = null, round_at = (p ->> 'at')::timestamptz
    where c.meter_id = any (array(select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x))
      and c.give_up_at <= (p ->> 'at')::timestamptz;
    -- Taken out, or read by a person from now on: the head-end is not asked for it any more.
    update public.meter_collections c set next_try_at = null, give_up_at = null
    where c.next_try_at <= (p ->> 'at')::timestamptz
      and not exists (select 1 from public.meters m join public.meter_installations i on i.meter_id = m.id and i.removed_at is null
                      where m.id = c.meter_id and m.kind = 'smart');
    return '{}'::jsonb;
end $$;
comment on function public.hand_collections_over(jsonb) is 'Puts smart meters that gave no reading all day on the round, each once: {actor, run, at, rows: [{id, meter_id, reason, requested_on}]}. A meter that was asked for before stays so.';

create view public.meter_collection_list with (security_invoker = true) as
select x.meter_id as id, m.serial as meter_serial, i.service_point_id, s.code, s.address, c.name as customer_name,
       x.tried_at, x.tries, x.outcome, x.reason, x.reading_id, x.collected_at, x.next_try_at, x.give_up_at, x.round_at
from public.meter_collections x
join public.meters m on m.id = x.meter_id
join public.meter_installations i on i.meter_id = x.meter_id and i.removed_at is null
join public.service_points s on s.id = i.service_point_id
left join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null
left join public.customers c on c.id = a.customer_id
where m.kind = 'smart';
comment on view public.meter_collection_list is 'The smart meters in use that were asked for, and what came of it the last time.';
revoke all on public.meter_collection_list from public, anon, authenticated;
grant select on public.meter_collection_list to service_role;

create function public.list_meter_collections(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_from text := 'public.meter_collections y';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('meters', 'y.meter_id', 'y.meter_id', null)], null);
begin
    case p ->> 'sort'
        when 'tried' then v_key := 'y.tried_at'; v_type := 'timestamptz';
        when 'meter' then
            v_from := 'public.meter_collections y join public.meters m on m.id = y.meter_id';
            v_key := 'coalesce(m.serial, '''')'; v_type := 'text';
    end case;
    v_page := private.page_by_key(p, v_from, 'y.meter_id', v_key, v_type, array[
        'exists (select 1 from public.meters k join public.meter_installations i on i.meter_id = k.id and i.removed_at is null'
        ' where k.id = y.meter_id and k.kind = ''smart'')',
        case when p ->> 'ids' is not null then 'y.meter_id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'outcome' is not null then 'y.outcome = $1 ->> ''outcome''' end,
        case when (p ->> 'failed')::boolean then 'y.reading_id is null' end], v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.meter_collection_list l where l.id = any (v_ids)));
end $$;
comment on function public.list_meter_collections(jsonb) is 'A page of the smart meters that were asked for: {text?, outcome?, failed?: those without a reading alone, ids?: of meters, sort: tried or meter, and what private.page_by_key takes} -> its answer, and rows.';

create or replace function public.job_history(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'late_reads', exists (select 1 from public.agreements_to_bill)
            -- Reads that are still missing, to be estimated from now on.
            or exists (select 1 from public.job_set_aside a
                       where a.code = 'no_reading' and a.job = 'monthly_bills' and a.agreement_id is not null
                         and a.scheduled_on <= least((p ->> 'estimate_before')::date, private.last_month_run())
                         and a.scheduled_on > private.last_month_run() - interval '1 month'
                         and p ->> 'estimate_before' is not null),
        'meters_wait', exists (select 1 from public.meter_collections where next_try_at is not null),
        'meters_due', exists (select 1 from public.meter_collections where next_try_at <= (p ->> 'at')::timestamptz),
        'cycles', private.cycles_in_use(),
        'installed_at', (select installed_at from public.installation),
        'last_runs', (select coalesce(jsonb_object_agg(l.job, to_jsonb(l)), '{}')
                      from (select distinct on (r.job) r.* from public.job_run_list r
                            order by r.job, r.disregarded or r.started_at > now() + interval '5 minutes',
                                     r.started_at desc, r.scheduled_on desc) l),
        'runs', (select coalesce(jsonb_agg(jsonb_build_object(
                            'job', r.job, 'scheduled_on', r.scheduled_on, 'status', r.status,
                            'attempt', r.attempt, 'clock_at', r.clock_at,
                            'over', r.status in ('done', 'disregarded')
                                    or (r.status = 'failed' and r.attempt >= private.most_attempts()))), '[]')
                 from public.job_run_list r
                 where r.status <> 'done'
                    or r.scheduled_on >= coalesce((p -> 'since' ->> r.job)::date, '-infinity')))
$$;

revoke all on function public.meters_to_ask(jsonb), public.reading_contexts(jsonb), public.store_collected(jsonb),
    public.hand_collections_over(jsonb), public.list_meter_collections(jsonb) from public, anon, authenticated;
grant execute on function public.meters_to_ask(jsonb), public.reading_contexts(jsonb), public.store_collected(jsonb),
    public.hand_collections_over(jsonb), public.list_meter_collections(jsonb) to service_role;
comment on function public.job_history(jsonb) is 'What the scheduler''s tick compares with what is due: {since?: {job: date}, estimate_before?: local date of the last run whose missing reads are estimated now, at?} -> {late_reads: or reads to estimate, meters_wait: smart meters are asked for again later, meters_due: by at, cycles: billing days in use, installed_at, last_runs by job, runs since those dates and all that did not end well}. "over": nobody tries it again by itself, if the clock was right.';

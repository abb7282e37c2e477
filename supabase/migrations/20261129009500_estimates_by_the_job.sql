-- The monthly job estimates reads that are missing, where the utility lets it.

create index job_set_aside_unread on public.job_set_aside (scheduled_on) where code = 'no_reading';

create function public.queue_for_estimates(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_on constant date := (p -> 'run' ->> 'scheduled_on')::date;
begin
    perform private.check_run(p -> 'run');
    insert into public.agreements_to_bill (agreement_id)
    select distinct a.agreement_id from public.job_set_aside a
    where a.code = 'no_reading' and a.job = p -> 'run' ->> 'job' and a.agreement_id is not null
      and a.scheduled_on > v_on - interval '1 month' and a.scheduled_on <= least(v_on, (p ->> 'before')::date)
    order by a.agreement_id
    on conflict (agreement_id) do nothing;
    return '{}'::jsonb;
end $$;
comment on function public.queue_for_estimates(jsonb) is
    'Queues the agreements that a run up to a local date found no reading for: their reads are estimated now: {run, before}.';
revoke all on function public.queue_for_estimates(jsonb) from public;
grant execute on function public.queue_for_estimates(jsonb) to service_role;

create function public.store_estimates(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_rows jsonb;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.lock_points_of(array(select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x));
    -- A read may have come since the estimate was made, or this very one was stored before.
    v_rows := (select coalesce(jsonb_agg(x), '[]') from jsonb_array_elements(p -> 'rows') x
               where not exists (select 1 from public.readings r where r.id = (x ->> 'id')::uuid)
                 and private.neighbours((x ->> 'meter_id')::uuid, (x ->> 'read_at')::timestamptz)
                     = jsonb_build_array(x -> 'last_id', null)
                 and not exists (select 1 from public.readings r
                                 where r.meter_id = (x ->> 'meter_id')::uuid and r.status = 'needs_review'
                                   and r.read_at > (select l.read_at from public.readings l where l.id = (x ->> 'last_id')::uuid)));
    insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, submitted_by, validation)
    select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, 'estimated', 'accepted', p ->> 'actor', x.validation
    from jsonb_to_recordset(v_rows) as x(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, validation jsonb)
    order by x.read_at;
    -- Whose meter was estimated often enough is asked for again; at most one request of a meter is open.
    insert into public.reading_requests (id, meter_id, reason, requested_on, requested_by)
    select a.id, a.meter_id, a.reason, a.requested_on, p ->> 'actor'
    from jsonb_to_recordset(coalesce(p -> 'ask', '[]')) as a(id uuid, meter_id uuid, reason text, requested_on date)
    order by a.meter_id
    on conflict do nothing;
    return jsonb_build_object('stored', (select coalesce(jsonb_agg(x -> 'id'), '[]') from jsonb_array_elements(p -> 'rows') x
                                         where exists (select 1 from public.readings r where r.id = (x ->> 'id')::uuid)));
end $$;
comment on function public.store_estimates(jsonb) is
    'Stores estimated reads in one transaction, each only where no other read came: {actor, run, rows: [{id, meter_id, read_at, read_on, register_wh, validation, last_id: the read that it goes on from}], ask?: meters to read, [{id, meter_id, reason, requested_on}]} -> {stored: ids that are there now}.';
revoke all on function public.store_estimates(jsonb) from public;
grant execute on function public.store_estimates(jsonb) to service_role;

create or replace function public.job_history(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'late_reads', exists (select 1 from public.agreements_to_bill)
            -- Reads that are still missing, to be estimated from now on.
            or exists (select 1 from public.job_set_aside a
                       where a.code = 'no_reading' and a.job = 'monthly_bills' and a.agreement_id is not null
                         and a.scheduled_on <= least((p ->> 'estimate_before')::date, private.last_month_run())
                         and a.scheduled_on > private.last_month_run() - interval '1 month'
                         and p ->> 'estimate_before' is not null),
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

comment on function public.job_history(jsonb) is
    'What the scheduler''s tick compares with what is due: {since?: {job: date}, estimate_before?: local date of the last run whose missing reads are estimated now} -> {late_reads: or reads to estimate, cycles: billing days in use, installed_at, last_runs by job, runs since those dates and all that did not end well}. "over": nobody tries it again by itself, if the clock was right.';

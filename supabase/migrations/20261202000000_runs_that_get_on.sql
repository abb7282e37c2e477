-- How often a run was begun in vain, apart from how often it was begun: a month's bills that go through six
-- crashes of the machine, and get on between them, are not left to a person.
alter table public.job_runs add column fruitless_attempts integer not null default 1
    check (fruitless_attempts >= 0);
comment on column public.job_runs.fruitless_attempts is
    'Attempts after the last one that made a bill; of other jobs all attempts.';
update public.job_runs set fruitless_attempts = attempt;
comment on function private.most_attempts is
    'Attempts in vain after which a run that failed is left to a person; takeovers and reruns count as attempts too.';

CREATE OR REPLACE VIEW public.job_run_list WITH (security_invoker='true') AS
 SELECT job,
    scheduled_on,
    attempt,
    owner,
    started_by,
        CASE
            WHEN ((status = 'running'::text) AND (lease_until < now())) THEN 'interrupted'::text
            WHEN ((status <> 'running'::text) AND (clock_at IS NULL)) THEN 'disregarded'::text
            ELSE status
        END AS status,
    done_count,
    failed_count,
    detail,
    started_at,
    finished_at,
    clock_at,
    ((status <> 'running'::text) AND (clock_at IS NULL)) AS disregarded,
    expected_count,
    fruitless_attempts
   FROM public.job_runs r;

CREATE OR REPLACE FUNCTION private.note_progress(p jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_job text := p -> 'run' ->> 'job';
    v_on date := (p -> 'run' ->> 'scheduled_on')::date;
    v_gone integer;
    v_new integer;
begin
    -- By arrays: a plan that reads the whole table would be expensive where a million wait.
    delete from public.agreements_to_bill q
    where q.agreement_id = any (array(select (x ->> 'agreement_id')::uuid
                                  from jsonb_array_elements(coalesce(p -> 'looked_at', '[]')) x))
      and exists (select 1 from jsonb_to_recordset(p -> 'looked_at') as x(agreement_id uuid, queued_at timestamptz)
                  where x.agreement_id = q.agreement_id and x.queued_at = q.queued_at);
    -- The run of another billing day may have set it aside: each has one run a month.
    with gone as (
        delete from public.job_set_aside a
        where a.job = v_job and a.scheduled_on > v_on - interval '1 month' and a.scheduled_on <= v_on
          and a.agreement_id = any (array(select x::uuid from jsonb_array_elements_text(coalesce(p -> 'settled', '[]')) x))
        returning a.scheduled_on
    ), of_others as (
        update public.job_runs r set failed_count = r.failed_count - g.number
        from (select scheduled_on, count(*) as number from gone where scheduled_on <> v_on group by 1) g
        where r.job = v_job and r.scheduled_on = g.scheduled_on
        returning 1
    ) select count(*) filter (where g.scheduled_on = v_on) into v_gone from gone g;
    with kept as (
        insert into public.job_set_aside (job, scheduled_on, subject, reason, code, ref, meter_id, agreement_id)
        select v_job, v_on, s.subject, s.reason, coalesce(s.code, 'other'), s.ref, s.meter_id, s.agreement_id
        from jsonb_to_recordset(coalesce(p -> 'set_aside', '[]')) as s(
            subject text, reason text, code text, ref uuid, meter_id uuid, agreement_id uuid)
        on conflict (job, scheduled_on, subject) do update
        set reason = excluded.reason, code = excluded.code, ref = excluded.ref, meter_id = excluded.meter_id,
            agreement_id = excluded.agreement_id, at = now()
        returning xmax = 0 as is_new
    ) select count(*) filter (where is_new) into v_new from kept;
    perform private.queue_read_meanwhile(coalesce(p -> 'set_aside', '[]'), v_on);
    -- Added to, for a run may set aside so many that no batch should count them.
    update public.job_runs r
    set done_count = r.done_count + coalesce((p ->> 'done')::integer, 0),
        failed_count = r.failed_count + v_new - v_gone,
        expected_count = coalesce((p ->> 'expected')::bigint, r.expected_count),
        -- A bill is made once, so that a run which makes some does not go round in circles.
        fruitless_attempts = case when v_job = 'monthly_bills' and (p ->> 'done')::integer > 0 then 0
                                  else r.fruitless_attempts end
    where r.job = v_job and r.scheduled_on = v_on;
end $$;

CREATE OR REPLACE FUNCTION public.claim_job_run(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_job text := p ->> 'job';
    v_on date := (p ->> 'scheduled_on')::date;
    v_lease timestamptz := now() + make_interval(secs => (p ->> 'lease_seconds')::integer);
    v_clock timestamptz := coalesce((p ->> 'clock_at')::timestamptz, now());
    v_run public.job_runs;
    v_other date;
begin
    perform pg_advisory_xact_lock(hashtext('job_runs'), hashtext(v_job));
    select r.scheduled_on into v_other from public.job_runs r
    where r.job = v_job and r.scheduled_on <> v_on and r.status = 'running' and r.lease_until >= now() limit 1;
    if found then
        return jsonb_build_object('claimed', false, 'run', private.run_json(v_job, v_other));
    end if;
    insert into public.job_runs (job, scheduled_on, owner, lease_until, status, started_by, clock_at)
    values (v_job, v_on, p ->> 'owner', v_lease, 'running', p ->> 'started_by', v_clock)
    on conflict do nothing;
    if found then
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    select * into v_run from public.job_runs where job = v_job and scheduled_on = v_on for update;
    if v_run.status in ('done', 'failed') and v_run.attempt = (p ->> 'resume_attempt')::integer
       and (v_run.status = 'done' or v_run.finished_at < now() - interval '5 minutes')
       -- Not beside a newer run that the caller did not know: what came late is that one's.
       and not exists (select 1 from public.job_runs r where r.job = v_job and r.scheduled_on > v_on
                       and r.scheduled_on <= (v_clock + interval '14 hours')::date) then
        update public.job_runs
        set attempt = attempt + 1, fruitless_attempts = fruitless_attempts + 1, owner = p ->> 'owner', lease_until = v_lease,
            status = 'running', finished_at = null
        where job = v_job and scheduled_on = v_on;
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    if (v_run.status = 'running' and v_run.lease_until < now())
       or (v_run.status = 'failed' and v_run.finished_at < now() - interval '5 minutes'
           and v_run.fruitless_attempts < private.most_attempts())
       or (v_run.status <> 'running' and (coalesce((p ->> 'rerun')::boolean, false)
                                          or v_run.attempt = (p ->> 'instead_of_attempt')::integer)) then
        delete from public.job_set_aside where job = v_job and scheduled_on = v_on;
        update public.job_runs
        set attempt = attempt + 1, fruitless_attempts = fruitless_attempts + 1, owner = p ->> 'owner', lease_until = v_lease,
            status = 'running', failed_count = 0, detail = '', finished_at = null, clock_at = v_clock,
            -- An interrupted or paused run goes on as it was started, with what it finished; another counts from nothing.
            started_by = case when v_run.status in ('running', 'paused') then started_by else p ->> 'started_by' end,
            done_count = case when v_run.status in ('running', 'paused') then done_count else 0 end,
            started_at = case when v_run.status in ('running', 'paused') then started_at else now() end
        where job = v_job and scheduled_on = v_on;
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    return jsonb_build_object('claimed', false, 'run', private.run_json(v_job, v_on));
end $$;

CREATE OR REPLACE FUNCTION public.job_history(p jsonb) RETURNS jsonb
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
                                    or (r.status = 'failed' and r.fruitless_attempts >= private.most_attempts()))), '[]')
                 from public.job_run_list r
                 where r.status <> 'done'
                    or r.scheduled_on >= coalesce((p -> 'since' ->> r.job)::date, '-infinity')))
$$;

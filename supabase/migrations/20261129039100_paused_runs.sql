-- A run can be paused by a person and goes on when they say so; and it says how much it has to do.

alter table public.job_runs drop constraint job_runs_status_check;
alter table public.job_runs add constraint job_runs_status_check
    check (status in ('running', 'paused', 'done', 'failed'));
alter table public.job_runs add column expected_count bigint check (expected_count >= 0);
comment on column public.job_runs.expected_count is 'How much there is to look at in all, about; null where nobody counted.';

create or replace view public.job_run_list WITH (security_invoker='true') AS
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
    expected_count
   FROM public.job_runs r;

create or replace function private.note_progress(p jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_job text := p -> 'run' ->> 'job';
    v_on date := (p -> 'run' ->> 'scheduled_on')::date;
    v_gone integer;
    v_new integer;
begin
    -- By arrays: a plan that reads the whole table would be dear where a million wait.
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
        expected_count = coalesce((p ->> 'expected')::bigint, r.expected_count)
    where r.job = v_job and r.scheduled_on = v_on;
end $$;

create or replace function public.claim_job_run(p jsonb) RETURNS jsonb
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
        set attempt = attempt + 1, owner = p ->> 'owner', lease_until = v_lease, status = 'running', finished_at = null
        where job = v_job and scheduled_on = v_on;
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    if (v_run.status = 'running' and v_run.lease_until < now())
       or (v_run.status = 'failed' and v_run.finished_at < now() - interval '5 minutes'
           and v_run.attempt < private.most_attempts())
       or (v_run.status <> 'running' and (coalesce((p ->> 'rerun')::boolean, false)
                                          or v_run.attempt = (p ->> 'instead_of_attempt')::integer)) then
        delete from public.job_set_aside where job = v_job and scheduled_on = v_on;
        update public.job_runs
        set attempt = attempt + 1, owner = p ->> 'owner', lease_until = v_lease, status = 'running',
            failed_count = 0, detail = '', finished_at = null, clock_at = v_clock,
            -- An interrupted or paused run goes on as it was started, with what it finished; another counts anew.
            started_by = case when v_run.status in ('running', 'paused') then started_by else p ->> 'started_by' end,
            done_count = case when v_run.status in ('running', 'paused') then done_count else 0 end,
            started_at = case when v_run.status in ('running', 'paused') then started_at else now() end
        where job = v_job and scheduled_on = v_on;
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    return jsonb_build_object('claimed', false, 'run', private.run_json(v_job, v_on));
end $$;

-- Points before the run, as batches of bills lock them, which go on side by side.
create or replace function public.note_job_progress(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.lock_points(array(
        select a.service_point_id from public.service_agreements a
        where a.id in (select (s ->> 'agreement_id')::uuid
                       from jsonb_array_elements(coalesce(p -> 'set_aside', '[]') || coalesce(p -> 'looked_at', '[]')) s)));
    perform private.check_run(p -> 'run');
    perform private.note_progress(p);
    return '{}'::jsonb;
end $$;

create function public.pause_job_run(p jsonb) returns jsonb
    language plpgsql set search_path = ''
    as $$
declare
    v_on date := (p ->> 'scheduled_on')::date;
begin
    perform private.set_actor(p);
    update public.job_runs set status = 'paused', detail = p ->> 'detail'
    where job = p ->> 'job' and scheduled_on = v_on and status = 'running';
    if not found and not exists (select 1 from public.job_runs where job = p ->> 'job' and scheduled_on = v_on and status = 'paused') then
        perform private.refuse('EB005', 'This run is over: there is nothing to pause.');
    end if;
    return private.run_json(p ->> 'job', v_on);
end $$;
comment on function public.pause_job_run(p jsonb) is 'Holds a run: what its processes still write is refused, and no tick takes it up: {actor, job, scheduled_on, detail} -> run.';

create function public.resume_job_run(p jsonb) returns jsonb
    language plpgsql set search_path = ''
    as $$
declare
    v_on date := (p ->> 'scheduled_on')::date;
begin
    perform private.set_actor(p);
    -- As one whose process is gone: the next tick takes it over, and it goes on where it was.
    update public.job_runs set status = 'running', detail = '', lease_until = now() - interval '1 second'
    where job = p ->> 'job' and scheduled_on = v_on and status = 'paused';
    if not found then
        perform private.refuse('EB005', 'This run is not paused.');
    end if;
    return private.run_json(p ->> 'job', v_on);
end $$;
comment on function public.resume_job_run(p jsonb) is 'Lets a paused run go on, by the next tick of a scheduler: {actor, job, scheduled_on} -> run.';
revoke all on function public.pause_job_run(jsonb), public.resume_job_run(jsonb) from public, anon, authenticated;
grant execute on function public.pause_job_run(jsonb), public.resume_job_run(jsonb) to service_role;

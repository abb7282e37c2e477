-- Jobs: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.job_runs (
    job text NOT NULL,
    scheduled_on date NOT NULL,
    attempt integer DEFAULT 1 NOT NULL,
    owner text NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    status text NOT NULL,
    started_by text NOT NULL,
    done_count integer DEFAULT 0 NOT NULL,
    failed_count integer DEFAULT 0 NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT job_runs_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT job_runs_status_check CHECK ((status = ANY (ARRAY['running'::text, 'done'::text, 'failed'::text])))
);

COMMENT ON TABLE public.job_runs IS 'One run of a job per scheduled local date, claimed by one process at a time under a lease by the database''s clock.';

ALTER TABLE ONLY public.job_runs
    ADD CONSTRAINT job_runs_pkey PRIMARY KEY (job, scheduled_on);

CREATE INDEX job_runs_recent ON public.job_runs USING btree (started_at DESC);

ALTER TABLE public.job_runs ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN,UPDATE ON TABLE public.job_runs TO service_role;

CREATE TABLE public.job_set_aside (
    job text NOT NULL,
    scheduled_on date NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.job_set_aside IS 'What a run could not do, a meter or a bill at a time, with the reason.';

ALTER TABLE ONLY public.job_set_aside
    ADD CONSTRAINT job_set_aside_pkey PRIMARY KEY (job, scheduled_on, subject);

ALTER TABLE public.job_set_aside ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,DELETE,TRIGGER,MAINTAIN,UPDATE ON TABLE public.job_set_aside TO service_role;

ALTER TABLE ONLY public.job_set_aside
    ADD CONSTRAINT job_set_aside_job_scheduled_on_fkey FOREIGN KEY (job, scheduled_on) REFERENCES public.job_runs(job, scheduled_on);

CREATE VIEW public.job_run_list WITH (security_invoker='true') AS
 SELECT job,
    scheduled_on,
    attempt,
    owner,
    started_by,
        CASE
            WHEN ((status = 'running'::text) AND (lease_until < now())) THEN 'interrupted'::text
            ELSE status
        END AS status,
    done_count,
    failed_count,
    detail,
    started_at,
    finished_at
   FROM public.job_runs r;

COMMENT ON COLUMN public.job_run_list.status IS '"interrupted": its process is gone; the next tick takes the run over.';

GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN,UPDATE ON TABLE public.job_run_list TO service_role;

CREATE FUNCTION public.finish_job_run(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_job text := p -> 'run' ->> 'job';
    v_on date := (p -> 'run' ->> 'scheduled_on')::date;
begin
    -- The same attempt saying the same again is a repeat of a call whose answer was lost.
    if not exists (select 1 from public.job_runs r
                   where r.job = v_job and r.scheduled_on = v_on
                     and r.attempt = (p -> 'run' ->> 'attempt')::integer and r.status = p ->> 'status') then
        perform private.check_run(p -> 'run');
        update public.job_runs set status = p ->> 'status', detail = p ->> 'detail', finished_at = now()
        where job = v_job and scheduled_on = v_on;
    end if;
    return private.run_json(v_job, v_on);
end $$;

COMMENT ON FUNCTION public.finish_job_run(p jsonb) IS 'Ends a run: {run, status: done|failed, detail}.';

REVOKE ALL ON FUNCTION public.finish_job_run(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_job_run(p jsonb) TO service_role;

CREATE FUNCTION public.release_job_run(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.check_run(p -> 'run');
    update public.job_runs set lease_until = now()
    where job = p -> 'run' ->> 'job' and scheduled_on = (p -> 'run' ->> 'scheduled_on')::date;
    return private.run_json(p -> 'run' ->> 'job', (p -> 'run' ->> 'scheduled_on')::date);
end $$;

COMMENT ON FUNCTION public.release_job_run(p jsonb) IS 'Gives the lease of an unfinished run back, so that whoever comes next goes on at once: {run}.';

REVOKE ALL ON FUNCTION public.release_job_run(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.release_job_run(p jsonb) TO service_role;

CREATE FUNCTION private.most_attempts() RETURNS integer
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$ select 5 $$;

COMMENT ON FUNCTION private.most_attempts() IS 'Attempts after which a run that failed is left to a person; takeovers and reruns count as attempts too.';

REVOKE ALL ON FUNCTION private.most_attempts() FROM PUBLIC;
GRANT ALL ON FUNCTION private.most_attempts() TO service_role;

CREATE FUNCTION public.note_job_progress(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.check_run(p -> 'run');
    perform private.note_progress(p);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.note_job_progress(p jsonb) IS 'Counts what a batch did: {run, done, set_aside: [{subject, reason}]}.';

REVOKE ALL ON FUNCTION public.note_job_progress(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_job_progress(p jsonb) TO service_role;

CREATE FUNCTION private.owe_notices(p_bills uuid[], p_kind text, p_steps jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select gen_random_uuid(), b, p_kind, p_steps -> 'steps', p_steps ->> 'status',
           case when p_steps ->> 'status' <> 'open' then now() end
    from unnest(p_bills) b
    on conflict (bill_id, kind, occasion) do nothing
$$;

REVOKE ALL ON FUNCTION private.owe_notices(p_bills uuid[], p_kind text, p_steps jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.owe_notices(p_bills uuid[], p_kind text, p_steps jsonb) TO service_role;

CREATE FUNCTION private.check_run(p_run jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if p_run is null or p_run = 'null'::jsonb then
        return;
    end if;
    update public.job_runs set lease_until = now() + make_interval(secs => (p_run ->> 'lease_seconds')::integer)
    where job = p_run ->> 'job' and scheduled_on = (p_run ->> 'scheduled_on')::date
      and attempt = (p_run ->> 'attempt')::integer and status = 'running';
    if not found then
        perform private.refuse('EB006', 'This run of the job was taken over by another process.');
    end if;
end $$;

COMMENT ON FUNCTION private.check_run(p_run jsonb) IS 'Lets a batch write only while its attempt is the current one, and prolongs its lease.';

REVOKE ALL ON FUNCTION private.check_run(p_run jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_run(p_run jsonb) TO service_role;

CREATE FUNCTION public.job_history(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'installed_at', (select installed_at from public.installation),
        'last_runs', (select coalesce(jsonb_object_agg(l.job, to_jsonb(l)), '{}')
                      from (select distinct on (r.job) r.* from public.job_run_list r
                            order by r.job, r.started_at desc, r.scheduled_on desc) l),
        'runs', (select coalesce(jsonb_agg(jsonb_build_object(
                            'job', r.job, 'scheduled_on', r.scheduled_on, 'status', r.status,
                            'over', r.status = 'done'
                                    or (r.status = 'failed' and r.attempt >= private.most_attempts()))), '[]')
                 from public.job_run_list r
                 where r.status <> 'done'
                    or r.scheduled_on >= coalesce((p -> 'since' ->> r.job)::date, '-infinity')))
$$;

COMMENT ON FUNCTION public.job_history(p jsonb) IS 'What the scheduler''s tick compares with what is due: {since?: {job: date}} -> {installed_at, last_runs by job, runs since those dates and all that did not end well}. "over": nobody tries it again by itself.';

REVOKE ALL ON FUNCTION public.job_history(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.job_history(p jsonb) TO service_role;

CREATE FUNCTION public.store_job_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bills jsonb;
    v_moved jsonb;
    v_done integer;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform 1 from public.meters
    where id in (select (b ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'bills') b)
    order by id for update;
    v_bills := (select coalesce(jsonb_agg(b order by b ->> 'meter_id'), '[]') from jsonb_array_elements(p -> 'bills') b
                where not exists (select 1 from public.bills x
                                  where x.id = (b ->> 'id')::uuid and x.status <> 'void'));
    -- Between computing and storing, a read may have been billed or corrected, or this very bill
    -- stored and voided: those meters are computed again.
    v_moved := (select coalesce(jsonb_agg(b -> 'meter_id'), '[]') from jsonb_array_elements(v_bills) b
                where private.chain_tail((b ->> 'meter_id')::uuid) is distinct from (b ->> 'opening_reading_id')::uuid
                   or private.reissues((b ->> 'opening_reading_id')::uuid) <> (b ->> 'reissue_no')::integer
                   or not exists (select 1 from public.readings r
                                  where r.id = (b ->> 'closing_reading_id')::uuid and r.status = 'accepted'));
    v_bills := (select coalesce(jsonb_agg(b order by b ->> 'meter_id'), '[]') from jsonb_array_elements(v_bills) b
                where not v_moved @> (b -> 'meter_id'));
    v_done := jsonb_array_length(v_bills);
    perform private.insert_bills(v_bills);
    if p -> 'run' is not null then
        perform private.note_progress(p || jsonb_build_object('done', v_done));
    end if;
    return jsonb_build_object('stored', v_done, 'moved', v_moved);
end $$;

COMMENT ON FUNCTION public.store_job_bills(p jsonb) IS 'One batch of bills in one transaction: {actor, run?, bills, set_aside?} -> {stored, moved: meters whose chain changed meanwhile}.';

REVOKE ALL ON FUNCTION public.store_job_bills(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.store_job_bills(p jsonb) TO service_role;

CREATE FUNCTION public.claim_job_run(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_job text := p ->> 'job';
    v_on date := (p ->> 'scheduled_on')::date;
    v_lease timestamptz := now() + make_interval(secs => (p ->> 'lease_seconds')::integer);
    v_run public.job_runs;
    v_other date;
begin
    perform pg_advisory_xact_lock(hashtext('job_runs'), hashtext(v_job));
    select r.scheduled_on into v_other from public.job_runs r
    where r.job = v_job and r.scheduled_on <> v_on and r.status = 'running' and r.lease_until >= now() limit 1;
    if found then
        return jsonb_build_object('claimed', false, 'run', private.run_json(v_job, v_other));
    end if;
    insert into public.job_runs (job, scheduled_on, owner, lease_until, status, started_by)
    values (v_job, v_on, p ->> 'owner', v_lease, 'running', p ->> 'started_by')
    on conflict do nothing;
    if found then
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    select * into v_run from public.job_runs where job = v_job and scheduled_on = v_on for update;
    if (v_run.status = 'running' and v_run.lease_until < now())
       or (v_run.status = 'failed' and v_run.finished_at < now() - interval '5 minutes'
           and v_run.attempt < private.most_attempts())
       or (v_run.status <> 'running' and coalesce((p ->> 'rerun')::boolean, false)) then
        delete from public.job_set_aside where job = v_job and scheduled_on = v_on;
        update public.job_runs
        set attempt = attempt + 1, owner = p ->> 'owner', lease_until = v_lease, status = 'running',
            failed_count = 0, detail = '', finished_at = null,
            -- An interrupted run goes on as it was started, with what it finished; another counts anew.
            started_by = case when v_run.status = 'running' then started_by else p ->> 'started_by' end,
            done_count = case when v_run.status = 'running' then done_count else 0 end,
            started_at = case when v_run.status = 'running' then started_at else now() end
        where job = v_job and scheduled_on = v_on;
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    return jsonb_build_object('claimed', false, 'run', private.run_json(v_job, v_on));
end $$;

COMMENT ON FUNCTION public.claim_job_run(p jsonb) IS 'Takes a run that is new, whose lease ran out, that failed a while ago, or (with rerun) that is over: {job, scheduled_on, owner, lease_seconds, started_by, rerun?} -> {claimed, run}. One run of a job at a time: when another date''s is under way, that is the run answered.';

REVOKE ALL ON FUNCTION public.claim_job_run(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_job_run(p jsonb) TO service_role;

CREATE FUNCTION public.monthly_bill_candidates(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
    ), chosen as materialized (
        select m.id as meter_id, m.serial, m.tariff_id, m.dials, m.multiplier_milli, m.registers, m.connected_w,
               m.connected_va, to_jsonb(o) as opening, to_jsonb(k) as closing, private.reissues(o.id) as reissue_no,
               o.id as opening_id, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on
        from public.meters m
        cross join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.id = private.chain_tail(m.id)) o
        left join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.meter_id = m.id and r.status = 'accepted'
              and r.read_at > o.read_at and r.read_on > o.read_on
              and r.read_on <= (p ->> 'month_end')::date
            order by r.read_at desc limit 1) k on true
        where m.status = 'active' and m.opened_on < (p ->> 'month_end')::date
          and m.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
          and not exists (
              select 1 from public.bills b
              where b.meter_id = m.id and b.status <> 'void'
                and b.period_end > (p ->> 'month_start')::date and b.period_end <= (p ->> 'month_end')::date)
          -- Billed beyond the month already (by a later field read): nothing of the month is open.
          and o.read_on < (p ->> 'month_end')::date
        order by m.id
        limit (p ->> 'limit')::integer
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(
        to_jsonb(c) - array['opening_id', 'closing_id', 'closed_at', 'closed_on'] || jsonb_build_object(
            -- Most meters have nothing to ask for: the call would be the dearest part of their row.
            'pricing', case when c.closing_id is null or (
                    c.registers = '[]' and not b.looks_back
                    and not exists (select 1 from public.intervals i where i.meter_id = c.meter_id)) then '{}'
                else private.pricing_facts(
                    c.meter_id, c.registers, b.looks_back, c.opening_id, c.closed_at, c.closed_on) end)
        order by c.meter_id), '[]'))
    from chosen c join back b on b.id = c.tariff_id
$$;

COMMENT ON FUNCTION public.monthly_bill_candidates(p jsonb) IS 'Active meters without a bill that ends in (month_start, month_end], each with the read it opens at and the latest accepted read it can close at, or null: {month_start, month_end, after?, limit}.';

REVOKE ALL ON FUNCTION public.monthly_bill_candidates(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.monthly_bill_candidates(p jsonb) TO service_role;

CREATE FUNCTION public.mark_overdue(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bills uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    v_bills := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date < (p ->> 'today')::date and b.overdue_since is null
          and not private.in_plan(b.id)
        order by b.id limit (p ->> 'limit')::integer for update);
    update public.bills set overdue_since = due_date + 1 where id = any (v_bills);
    perform private.owe_notices(v_bills, 'overdue_notice', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills));
end $$;

COMMENT ON FUNCTION public.mark_overdue(p jsonb) IS 'Marks unpaid bills past their due date as overdue and owes each the notice: {actor, run, today, limit, owed}.';

REVOKE ALL ON FUNCTION public.mark_overdue(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_overdue(p jsonb) TO service_role;

CREATE FUNCTION public.queue_reminders(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bills uuid[];
begin
    perform private.check_run(p -> 'run');
    v_bills := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date >= (p ->> 'today')::date and b.due_date <= (p ->> 'until')::date
          and not exists (select 1 from public.outbox o where o.bill_id = b.id and o.kind = 'payment_reminder')
          and not private.in_plan(b.id)
        order by b.id limit (p ->> 'limit')::integer);
    perform private.owe_notices(v_bills, 'payment_reminder', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills));
end $$;

COMMENT ON FUNCTION public.queue_reminders(p jsonb) IS 'Owes a reminder for unpaid bills due from today until a date and not yet reminded: {run, today, until, limit, owed}.';

REVOKE ALL ON FUNCTION public.queue_reminders(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.queue_reminders(p jsonb) TO service_role;

CREATE FUNCTION private.run_json(p_job text, p_on date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select to_jsonb(r) from public.job_run_list r where r.job = p_job and r.scheduled_on = p_on
$$;

REVOKE ALL ON FUNCTION private.run_json(p_job text, p_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.run_json(p_job text, p_on date) TO service_role;

CREATE FUNCTION private.note_progress(p jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.job_set_aside (job, scheduled_on, subject, reason)
    select p -> 'run' ->> 'job', (p -> 'run' ->> 'scheduled_on')::date, s.subject, s.reason
    from jsonb_to_recordset(coalesce(p -> 'set_aside', '[]')) as s(subject text, reason text)
    on conflict (job, scheduled_on, subject) do update set reason = excluded.reason, at = now();
    update public.job_runs r
    set done_count = r.done_count + coalesce((p ->> 'done')::integer, 0),
        failed_count = (select count(*) from public.job_set_aside a
                        where a.job = r.job and a.scheduled_on = r.scheduled_on)
    where r.job = p -> 'run' ->> 'job' and r.scheduled_on = (p -> 'run' ->> 'scheduled_on')::date;
end $$;

REVOKE ALL ON FUNCTION private.note_progress(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_progress(p jsonb) TO service_role;

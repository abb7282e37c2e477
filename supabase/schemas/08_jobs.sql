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
    clock_at timestamp with time zone,
    expected_count bigint,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    fruitless_attempts integer DEFAULT 1 NOT NULL,
    CONSTRAINT job_runs_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT job_runs_expected_count_check CHECK ((expected_count >= 0)),
    CONSTRAINT job_runs_fruitless_attempts_check CHECK ((fruitless_attempts >= 0)),
    CONSTRAINT job_runs_status_check CHECK ((status = ANY (ARRAY['running'::text, 'paused'::text, 'done'::text, 'failed'::text])))
);

COMMENT ON TABLE public.job_runs IS 'One run of a job per scheduled local date, claimed by one process at a time under a lease by the database''s clock.';

COMMENT ON COLUMN public.job_runs.clock_at IS 'What the database''s clock said when this attempt was claimed. Null: that clock turned out to be wrong, and the run does not count.';

COMMENT ON COLUMN public.job_runs.expected_count IS 'How much there is to look at in all, about; null where nobody counted.';

COMMENT ON COLUMN public.job_runs.begun_at IS 'When the first attempt for this date began; started_at is of the last one that was not merely resumed.';

COMMENT ON COLUMN public.job_runs.fruitless_attempts IS 'Attempts after the last one that made a bill; of other jobs all attempts.';

ALTER TABLE ONLY public.job_runs
    ADD CONSTRAINT job_runs_pkey PRIMARY KEY (job, scheduled_on);

CREATE INDEX job_runs_recent ON public.job_runs USING btree (started_at DESC);

ALTER TABLE public.job_runs ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.job_runs TO service_role;

CREATE TABLE public.job_set_aside (
    job text NOT NULL,
    scheduled_on date NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    code text DEFAULT 'other'::text NOT NULL,
    ref uuid,
    meter_id uuid,
    agreement_id uuid
);

COMMENT ON TABLE public.job_set_aside IS 'What a run could not do, a meter or a bill at a time, with the reason.';

COMMENT ON COLUMN public.job_set_aside.code IS 'The kind of reason, by which a page knows where it is mended.';

COMMENT ON COLUMN public.job_set_aside.ref IS 'What the reason is about: the reading that waits, the bill to correct.';

ALTER TABLE ONLY public.job_set_aside
    ADD CONSTRAINT job_set_aside_pkey PRIMARY KEY (job, scheduled_on, subject);

CREATE INDEX job_set_aside_tariff ON public.job_set_aside USING btree (scheduled_on) WHERE (code = 'tariff_missing'::text);

CREATE INDEX job_set_aside_unread ON public.job_set_aside USING btree (scheduled_on) WHERE (code = 'no_reading'::text);

ALTER TABLE public.job_set_aside ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,DELETE,MAINTAIN,UPDATE ON TABLE public.job_set_aside TO service_role;

CREATE TABLE public.clock_seen (
    machine text NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    uptime_seconds bigint NOT NULL,
    CONSTRAINT clock_seen_uptime_seconds_check CHECK ((uptime_seconds >= 0))
);

COMMENT ON TABLE public.clock_seen IS 'The last tick of each machine (one row per start of it), with how long it had been up: the clock and the uptime must advance together.';

ALTER TABLE ONLY public.clock_seen
    ADD CONSTRAINT clock_seen_pkey PRIMARY KEY (machine);

ALTER TABLE public.clock_seen ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,DELETE,MAINTAIN,UPDATE ON TABLE public.clock_seen TO service_role;

CREATE TABLE public.meter_collections (
    meter_id uuid NOT NULL,
    run_started_at timestamp with time zone NOT NULL,
    tried_at timestamp with time zone NOT NULL,
    tries integer NOT NULL,
    outcome text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    reading_id uuid,
    collected_at timestamp with time zone,
    next_try_at timestamp with time zone,
    give_up_at timestamp with time zone,
    round_at timestamp with time zone,
    CONSTRAINT meter_collections_check CHECK (((next_try_at IS NULL) = (give_up_at IS NULL))),
    CONSTRAINT meter_collections_check1 CHECK (((outcome = ANY (ARRAY['collected'::text, 'doubted'::text])) = (reading_id IS NOT NULL))),
    CONSTRAINT meter_collections_outcome_check CHECK ((outcome = ANY (ARRAY['collected'::text, 'doubted'::text, 'no_answer'::text, 'not_believed'::text, 'not_stored'::text, 'not_asked'::text]))),
    CONSTRAINT meter_collections_tries_check CHECK ((tries > 0))
);

COMMENT ON TABLE public.meter_collections IS 'The last time that each smart meter was asked for, and what came of it; the failures of earlier runs stand in job_set_aside.';

COMMENT ON COLUMN public.meter_collections.run_started_at IS 'Which run it was, by when that began; a run that goes on keeps it.';

COMMENT ON COLUMN public.meter_collections.tries IS 'How often the meter was asked for within the run.';

COMMENT ON COLUMN public.meter_collections.reason IS 'Why there is no reading, in a sentence for the office.';

COMMENT ON COLUMN public.meter_collections.collected_at IS 'When a reading was last had.';

COMMENT ON COLUMN public.meter_collections.next_try_at IS 'When it is asked for again; null where nothing is left to do.';

COMMENT ON COLUMN public.meter_collections.give_up_at IS 'From when it is not asked for any more but put on the round of whoever reads meters.';

COMMENT ON COLUMN public.meter_collections.round_at IS 'When it was put on that round, in this run.';

ALTER TABLE ONLY public.meter_collections
    ADD CONSTRAINT meter_collections_pkey PRIMARY KEY (meter_id);

CREATE INDEX meter_collections_by_time ON public.meter_collections USING btree (tried_at, meter_id);

CREATE INDEX meter_collections_reading ON public.meter_collections USING btree (reading_id);

CREATE INDEX meter_collections_waiting ON public.meter_collections USING btree (next_try_at) WHERE (next_try_at IS NOT NULL);

ALTER TABLE public.meter_collections ENABLE ROW LEVEL SECURITY;

GRANT ALL ON TABLE public.meter_collections TO service_role;

ALTER TABLE ONLY public.job_set_aside
    ADD CONSTRAINT job_set_aside_agreement_id_fkey FOREIGN KEY (agreement_id) REFERENCES public.service_agreements(id);

ALTER TABLE ONLY public.job_set_aside
    ADD CONSTRAINT job_set_aside_job_scheduled_on_fkey FOREIGN KEY (job, scheduled_on) REFERENCES public.job_runs(job, scheduled_on);

ALTER TABLE ONLY public.meter_collections
    ADD CONSTRAINT meter_collections_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meters(id);

ALTER TABLE ONLY public.meter_collections
    ADD CONSTRAINT meter_collections_reading_id_fkey FOREIGN KEY (reading_id) REFERENCES public.readings(id);

CREATE VIEW public.job_run_list WITH (security_invoker='true') AS
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

COMMENT ON COLUMN public.job_run_list.status IS '"interrupted": its process is gone; the next tick takes the run over. "disregarded": it ran while the clock was wrong, and does not count.';

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.job_run_list TO service_role;

CREATE VIEW public.unbilled_use_list WITH (security_invoker='true') AS
 SELECT s.id AS service_point_id,
    s.code AS service_point_code,
    s.address,
    g.since,
    g.until,
    m.id AS meter_id,
    m.serial AS meter_serial,
    ((((((c.register_wh - o.register_wh) + private.register_span_wh((m.dials)::integer)) % private.register_span_wh((m.dials)::integer)) * i.multiplier_milli) + 500) / 1000) AS wh
   FROM (((((public.vacancies g
     JOIN public.service_points s ON ((s.id = g.service_point_id)))
     JOIN public.meter_installations i ON ((i.service_point_id = s.id)))
     JOIN public.meters m ON ((m.id = i.meter_id)))
     JOIN LATERAL ( SELECT x.register_wh,
            x.read_at
           FROM ( SELECT 1 AS place,
                    r.register_wh,
                    r.read_at
                   FROM public.readings r
                  WHERE ((r.id = g.closing_reading_id) AND (r.meter_id = i.meter_id) AND (r.status = 'accepted'::text) AND (r.read_at >= i.installed_at) AND ((i.removed_at IS NULL) OR (r.read_at <= i.removed_at)) AND (r.read_on >= g.since))
                UNION ALL
                ( SELECT 2,
                    r.register_wh,
                    r.read_at
                   FROM public.readings r
                  WHERE ((r.meter_id = i.meter_id) AND (r.status = 'accepted'::text) AND (r.read_at >= i.installed_at) AND ((i.removed_at IS NULL) OR (r.read_at <= i.removed_at)) AND (r.read_on >= g.since))
                  ORDER BY r.read_at
                 LIMIT 1)) x
          ORDER BY x.place
         LIMIT 1) o ON (true))
     JOIN LATERAL ( SELECT x.register_wh,
            x.read_at
           FROM ( SELECT 1 AS place,
                    r.register_wh,
                    r.read_at
                   FROM public.readings r
                  WHERE ((r.id = g.opening_reading_id) AND (r.meter_id = i.meter_id) AND (r.status = 'accepted'::text) AND (r.read_at >= i.installed_at) AND ((i.removed_at IS NULL) OR (r.read_at <= i.removed_at)) AND (r.read_on <= COALESCE(g.until, 'infinity'::date)))
                UNION ALL
                ( SELECT 2,
                    r.register_wh,
                    r.read_at
                   FROM public.readings r
                  WHERE ((r.meter_id = i.meter_id) AND (r.status = 'accepted'::text) AND (r.read_at >= i.installed_at) AND ((i.removed_at IS NULL) OR (r.read_at <= i.removed_at)) AND (r.read_on <= COALESCE(g.until, 'infinity'::date)))
                  ORDER BY r.read_at DESC
                 LIMIT 1)) x
          ORDER BY x.place
         LIMIT 1) c ON (true))
  WHERE (c.read_at > o.read_at);

COMMENT ON VIEW public.unbilled_use_list IS 'What was measured at a place while nobody had an agreement for it, in Wh: from one local date to another, which is null while it lasts.';

GRANT SELECT ON TABLE public.unbilled_use_list TO service_role;

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

COMMENT ON FUNCTION private.most_attempts() IS 'Attempts in vain after which a run that failed is left to a person; takeovers and reruns count as attempts too.';

REVOKE ALL ON FUNCTION private.most_attempts() FROM PUBLIC;
GRANT ALL ON FUNCTION private.most_attempts() TO service_role;

CREATE FUNCTION public.note_job_progress(p jsonb) RETURNS jsonb
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

COMMENT ON FUNCTION public.note_job_progress(p jsonb) IS 'Counts what a batch did: {run, done, set_aside: [{subject, reason, code?, ref?, meter_id?, agreement_id?, opening_id?, closing_id?, again?}], looked_at?: [{agreement_id, queued_at}], settled?: [agreements that are no longer set aside]}. One set aside is queued for another look when its closing read is another one by now, or with again.';

REVOKE ALL ON FUNCTION public.note_job_progress(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_job_progress(p jsonb) TO service_role;

CREATE FUNCTION private.queue_late_reads() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_last_run date := private.last_month_run();
begin
    if v_last_run is null then
        return null;
    end if;
    insert into public.agreements_to_bill (agreement_id)
    select distinct a.id
    from new_rows r
    join public.meter_installations i on i.meter_id = r.meter_id and i.installed_at <= r.read_at
        and (i.removed_at is null or r.read_at <= i.removed_at)
    join public.service_agreements a on a.service_point_id = i.service_point_id and a.starts_on < r.read_on
        and (a.ends_on is null or r.read_on <= a.ends_on)
    where r.status = 'accepted' and not r.is_opening and r.read_on <= private.cycle_end(v_last_run, a.billing_day)
    order by a.id
    on conflict (agreement_id) do update set queued_at = clock_timestamp();
    return null;
end $$;

COMMENT ON FUNCTION private.queue_late_reads() IS 'Queues the agreements whose read came, or was accepted, after the run of its cycle. Who writes a read has locked its service point.';

REVOKE ALL ON FUNCTION private.queue_late_reads() FROM PUBLIC;
GRANT ALL ON FUNCTION private.queue_late_reads() TO service_role;

CREATE FUNCTION public.clock_state(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'now', clock_timestamp(),
        'newest_seen', (select max(s.seen_at) from public.clock_seen s),
        'seen', (select to_jsonb(s) from public.clock_seen s where s.machine = p ->> 'machine'),
        'doubted_at', i.clock_doubted_at, 'doubt', i.clock_doubt)
    from public.installation i
$$;

COMMENT ON FUNCTION public.clock_state(p jsonb) IS 'The database''s clock, and what is known of it: {machine?} -> {now, newest_seen, seen: {seen_at, uptime_seconds} of this machine, doubted_at, doubt}.';

REVOKE ALL ON FUNCTION public.clock_state(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.clock_state(p jsonb) TO service_role;

CREATE FUNCTION public.note_clock(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if (p ->> 'doubt') is null then
        perform private.trust_clock(p);
    else
        update public.installation set clock_doubted_at = (p ->> 'at')::timestamptz, clock_doubt = p ->> 'doubt'
        where clock_doubted_at is null;
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.note_clock(p jsonb) IS 'Keeps what a tick found out about the clock: {machine, at, uptime_seconds, doubt?}; a doubt lasts until the clock is back or a person confirms it.';

REVOKE ALL ON FUNCTION public.note_clock(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_clock(p jsonb) TO service_role;

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
      and attempt = (p_run ->> 'attempt')::integer and status = 'running'
      and lease_until > now() - interval '1 hour';
    if not found then
        perform private.refuse('EB006', 'This run of the job was taken over by another process, or slept for too long.');
    end if;
end $$;

COMMENT ON FUNCTION private.check_run(p_run jsonb) IS 'Lets a batch write only while its attempt is the current one and its lease did not run out over an hour ago, and prolongs the lease.';

REVOKE ALL ON FUNCTION private.check_run(p_run jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_run(p_run jsonb) TO service_role;

CREATE FUNCTION public.confirm_clock(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    delete from public.clock_seen where true;
    perform private.trust_clock(p);
    update public.installation set clock_confirmed_at = (p ->> 'at')::timestamptz, clock_confirmed_by = p ->> 'actor'
    where true;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.confirm_clock(p jsonb) IS 'A person says that the clock is right: {actor, machine, at, uptime_seconds}.';

REVOKE ALL ON FUNCTION public.confirm_clock(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.confirm_clock(p jsonb) TO service_role;

CREATE FUNCTION private.run_json(p_job text, p_on date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select to_jsonb(r) from public.job_run_list r where r.job = p_job and r.scheduled_on = p_on
$$;

REVOKE ALL ON FUNCTION private.run_json(p_job text, p_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.run_json(p_job text, p_on date) TO service_role;

CREATE FUNCTION private.queue_read_meanwhile(p_set_aside jsonb, p_on date) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.agreements_to_bill (agreement_id)
    select s.agreement_id
    from jsonb_to_recordset(p_set_aside) as s(agreement_id uuid, opening_id uuid, closing_id uuid, again boolean)
    join public.service_agreements a on a.id = s.agreement_id
    left join lateral (
        select r.id from public.readings o
        cross join public.meter_installations i
        join public.readings r on r.meter_id = i.meter_id and r.read_at > i.installed_at
            and (i.removed_at is null or r.read_at <= i.removed_at)
        where o.id = s.opening_id and i.service_point_id = a.service_point_id
          and r.status = 'accepted' and r.read_on <= least(private.cycle_end(p_on, a.billing_day), coalesce(a.ends_on, 'infinity'))
          and r.read_at > o.read_at and r.read_on > o.read_on
        order by r.read_at desc limit 1) k on true
    where s.again or (k.id is not null and k.id is distinct from s.closing_id)
    order by s.agreement_id
    on conflict (agreement_id) do update set queued_at = clock_timestamp()
$$;

REVOKE ALL ON FUNCTION private.queue_read_meanwhile(p_set_aside jsonb, p_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.queue_read_meanwhile(p_set_aside jsonb, p_on date) TO service_role;

CREATE FUNCTION private.last_month_run() RETURNS date
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select max(r.scheduled_on) from public.job_runs r
    where r.job = 'monthly_bills' and (r.status = 'running' or r.clock_at is not null)
$$;

COMMENT ON FUNCTION private.last_month_run() IS 'The date of the latest run of the monthly bills, under way or over: it bills each cycle that ended by then.';

REVOKE ALL ON FUNCTION private.last_month_run() FROM PUBLIC;
GRANT ALL ON FUNCTION private.last_month_run() TO service_role;

CREATE FUNCTION private.trust_clock(p jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_at timestamptz := (p ->> 'at')::timestamptz;
begin
    insert into public.clock_seen (machine, seen_at, uptime_seconds)
    select p ->> 'machine', v_at, (p ->> 'uptime_seconds')::bigint
    on conflict (machine) do update set seen_at = excluded.seen_at, uptime_seconds = excluded.uptime_seconds;
    delete from public.clock_seen where machine <> p ->> 'machine' and seen_at < v_at - interval '60 days';
    update public.installation set installed_at = least(installed_at, v_at), clock_doubted_at = null, clock_doubt = ''
    where installed_at > v_at or clock_doubted_at is not null;
    -- What ran at a time that is still to come ran while the clock was wrong.
    update public.job_runs set clock_at = null
    where status <> 'running' and clock_at > v_at + interval '5 minutes';
    perform private.mend_clock_waits();
end $$;

COMMENT ON FUNCTION private.trust_clock(p jsonb) IS 'Takes a time as right: it was seen now, runs claimed at a later time do not count, and nothing waits for a time that the wrong clock set: {machine, at, uptime_seconds}.';

REVOKE ALL ON FUNCTION private.trust_clock(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.trust_clock(p jsonb) TO service_role;

CREATE FUNCTION private.queue_for_late_tariff() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.agreements_to_bill (agreement_id)
    select distinct a.agreement_id from public.job_set_aside a
    join public.agreement_tariffs t on t.agreement_id = a.agreement_id
    where a.code = 'tariff_missing' and a.job = 'monthly_bills' and a.scheduled_on > private.last_month_run() - interval '1 month'
      and t.tariff_id in (select v.tariff_id from new_rows v)
    order by a.agreement_id
    on conflict (agreement_id) do update set queued_at = clock_timestamp();
    return null;
end $$;

COMMENT ON FUNCTION private.queue_for_late_tariff() IS 'Queues the agreements that the last run could not bill for want of this tariff.';

REVOKE ALL ON FUNCTION private.queue_for_late_tariff() FROM PUBLIC;
GRANT ALL ON FUNCTION private.queue_for_late_tariff() TO service_role;

CREATE FUNCTION public.unbilled_facts(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('agreements', coalesce(jsonb_agg(jsonb_build_object(
        'agreement_id', a.id, 'kept_back', to_jsonb(k),
        'next_on', (select min(r.read_on) from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
                    where i.service_point_id = a.service_point_id and r.status = 'accepted'
                      and r.read_on > private.cycle_end((p ->> 'on')::date, a.billing_day) and r.read_at > i.installed_at
                      and (i.removed_at is null or r.read_at <= i.removed_at)),
        'disconnected', private.is_disconnected(a.id, private.cycle_end((p ->> 'on')::date, a.billing_day)),
        'last_bill_id', (select b.id from public.bills b
                         where b.closing_reading_id = o.id and b.agreement_id = a.id and b.status = 'issued' limit 1))), '[]'))
    from public.service_agreements a
    join public.readings o on o.id = private.chain_tail(a.id)
    left join lateral (
        select r.id, r.read_on, r.register_wh, r.status
        from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
        where i.service_point_id = a.service_point_id and r.status in ('needs_review', 'rejected')
          and r.read_at > i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
          and r.read_at > o.read_at and r.read_on > o.read_on and r.read_on <= private.cycle_end((p ->> 'on')::date, a.billing_day)
        order by r.status, r.read_at desc limit 1) k on true
    where a.id in (select jsonb_array_elements_text(p -> 'agreements')::uuid)
$$;

COMMENT ON FUNCTION public.unbilled_facts(p jsonb) IS 'What there is instead of a closing read: {agreements: [ids], on: local date of the run} -> {agreements: [{agreement_id, kept_back: a read that waits for review or was rejected, next_on: date of the first read after the cycle, disconnected: the supply was cut when the cycle ended, last_bill_id}]}.';

REVOKE ALL ON FUNCTION public.unbilled_facts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unbilled_facts(p jsonb) TO service_role;

CREATE FUNCTION public.job_history(p jsonb) RETURNS jsonb
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

COMMENT ON FUNCTION public.job_history(p jsonb) IS 'What the scheduler''s tick compares with what is due: {since?: {job: date}, estimate_before?: local date of the last run whose missing reads are estimated now, at?} -> {late_reads: or reads to estimate, meters_wait: smart meters are asked for again later, meters_due: by at, cycles: billing days in use, installed_at, last_runs by job, runs since those dates and all that did not end well}. "over": nobody tries it again by itself, if the clock was right.';

REVOKE ALL ON FUNCTION public.job_history(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.job_history(p jsonb) TO service_role;

CREATE FUNCTION public.queue_for_estimates(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.queue_for_estimates(p jsonb) IS 'Queues the agreements that a run up to a local date found no reading for: their reads are estimated now: {run, before}.';

REVOKE ALL ON FUNCTION public.queue_for_estimates(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.queue_for_estimates(p jsonb) TO service_role;

CREATE FUNCTION public.meters_to_ask(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.meters_to_ask(p jsonb) IS 'Smart meters in use that the run has no reading of, by serial: {run_started_at, at, due_only: of those asked for before only the ones to be asked for again by now, after?: serial, limit} -> {meters: rows of meter_list, each with its tries}.';

REVOKE ALL ON FUNCTION public.meters_to_ask(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.meters_to_ask(p jsonb) TO service_role;

CREATE FUNCTION public.store_collected(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.store_collected(p jsonb) IS 'One batch of smart meters in one transaction: {actor, run, run_started_at, at, rows: [{subject: serial, meter_id, tries, reading, neighbours: as public.commit_reading takes them}], failed: [{subject, meter_id, tried_at, tries, outcome, reason, code, next_try_at, give_up_at}]} -> {moved: serials whose reading must be judged again, conflicts: serials of which another value was read at the very same time}. A reading that is known already counts as had.';

REVOKE ALL ON FUNCTION public.store_collected(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.store_collected(p jsonb) TO service_role;

CREATE FUNCTION public.hand_collections_over(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.hand_collections_over(p jsonb) IS 'Puts smart meters that gave no reading all day on the round, each once: {actor, run, at, given_up_by?: those whose day ends by then, instead of at, rows: [{id, meter_id, reason, requested_on}]}. A meter that was asked for before stays so.';

REVOKE ALL ON FUNCTION public.hand_collections_over(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.hand_collections_over(p jsonb) TO service_role;

CREATE FUNCTION private.mend_clock_waits() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- Whoever holds a lease may live: theirs lasts as long as one that begins now.
    update public.job_runs set lease_until = now() + interval '2 minutes'
    where status = 'running' and lease_until > now() + interval '10 minutes';
    update public.job_runs set finished_at = now()
    where status = 'failed' and finished_at > now() + interval '5 minutes';
    update public.outbox set lease_until = now() + interval '2 minutes'
    where lease_until > now() + interval '10 minutes';
    -- The longest wait is the 12 hours of a message that joins a customer's bills.
    update public.outbox set next_attempt_at = now()
    where status = 'open' and next_attempt_at > now() + interval '13 hours';
    update public.unprinted_bills set tried_at = now()
    where tried_at > now() + interval '5 minutes';
    if exists (select 1 from public.payment_returns where status = 'pending' and next_attempt_at > now() + interval '1 day') then
        perform private.set_actor(jsonb_build_object(
            'actor', coalesce(nullif(current_setting('billing.actor', true), ''), 'system:clock')));
        update public.payment_returns set next_attempt_at = now()
        where status = 'pending' and next_attempt_at > now() + interval '1 day';
    end if;
end $$;

COMMENT ON FUNCTION private.mend_clock_waits() IS 'Shortens the leases and the waits that end later than any can: the clock was ahead when they began.';

REVOKE ALL ON FUNCTION private.mend_clock_waits() FROM PUBLIC;
GRANT ALL ON FUNCTION private.mend_clock_waits() TO service_role;

CREATE FUNCTION public.store_job_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_given public.bills[] := array(
        select b from jsonb_populate_recordset(jsonb_populate_record(null::public.bills, p -> 'common'), p -> 'bills') b);
    v_new public.bills[];
    v_moved uuid[] := '{}';
    v_done integer;
begin
    perform private.set_actor(p);
    perform private.expect_run(p -> 'run');
    perform private.lock_points(array(
        select a.service_point_id
        from (select b.agreement_id from unnest(v_given) b
              union select (s ->> 'agreement_id')::uuid from jsonb_array_elements(coalesce(p -> 'set_aside', '[]')) s) x
        join public.service_agreements a on a.id = x.agreement_id));
    v_new := array(
        select g.bill from (select b as bill, row_number() over () as place from unnest(v_given) b) g
        where not exists (select 1 from public.bills x where x.id = (g.bill).id and x.status <> 'void')
        order by (g.bill).agreement_id, g.place);
    -- That none of them moved is what the checks of new bills say. Which did is asked only if they refuse.
    begin
        perform private.insert_bill_rows(v_new, p -> 'bills', p -> 'common');
    exception when unique_violation or sqlstate 'EB001' or sqlstate 'EB005' then
        v_moved := private.moved_agreements(v_new);
        if v_moved = '{}' then
            raise;
        end if;
        v_new := array(select b from unnest(v_new) b where b.agreement_id <> all (v_moved) order by b.agreement_id, b.period_start);
        perform private.insert_bill_rows(v_new, p -> 'bills', p -> 'common');
    end;
    v_done := cardinality(v_new);
    if p -> 'run' is not null then
        perform private.check_run(p -> 'run');
        -- What was set aside before, and is billed now, is set aside no more.
        perform private.note_progress(p - 'bills' - 'common' || jsonb_build_object(
            'done', v_done,
            'settled', (select coalesce(jsonb_agg(distinct b.agreement_id), '[]') from unnest(v_new) b)));
    end if;
    return jsonb_build_object('stored', v_done, 'moved', to_jsonb(v_moved));
end $$;

COMMENT ON FUNCTION public.store_job_bills(p jsonb) IS 'One batch of bills in one transaction: {actor, run?, common?: what is the same of all bills, bills, set_aside?} -> {stored, moved: agreements whose chain changed meanwhile}.';

REVOKE ALL ON FUNCTION public.store_job_bills(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.store_job_bills(p jsonb) TO service_role;

CREATE FUNCTION private.expect_run(p_run jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    if coalesce(p_run, 'null') <> 'null' and not exists (
        select 1 from public.job_runs
        where job = p_run ->> 'job' and scheduled_on = (p_run ->> 'scheduled_on')::date
          and attempt = (p_run ->> 'attempt')::integer and status = 'running'
    ) then
        perform private.refuse('EB006', 'This run of the job was taken over by another process, or slept for too long.');
    end if;
end $$;

COMMENT ON FUNCTION private.expect_run(p_run jsonb) IS 'Refuses a batch whose attempt is not the current one, without waiting for batches beside it; private.check_run at the end of the batch is what counts.';

REVOKE ALL ON FUNCTION private.expect_run(p_run jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.expect_run(p_run jsonb) TO service_role;

CREATE FUNCTION public.pause_job_run(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.pause_job_run(p jsonb) IS 'Holds a run: what its processes still write is refused, and no tick takes it up: {actor, job, scheduled_on, detail} -> run.';

REVOKE ALL ON FUNCTION public.pause_job_run(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.pause_job_run(p jsonb) TO service_role;

CREATE FUNCTION public.resume_job_run(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.resume_job_run(p jsonb) IS 'Lets a paused run go on, by the next tick of a scheduler: {actor, job, scheduled_on} -> run.';

REVOKE ALL ON FUNCTION public.resume_job_run(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.resume_job_run(p jsonb) TO service_role;

CREATE FUNCTION public.claim_job_run(p jsonb) RETURNS jsonb
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

COMMENT ON FUNCTION public.claim_job_run(p jsonb) IS 'Takes a run that is new, whose lease ran out, that failed a while ago, that is over and does not count (instead_of_attempt: the one that was seen), that is over and goes on (resume_attempt, likewise), or (with rerun) that is over: {job, scheduled_on, owner, lease_seconds, started_by, clock_at?, rerun?, instead_of_attempt?, resume_attempt?} -> {claimed, run}. One run of a job at a time: when another date''s is under way, that is the run answered.';

REVOKE ALL ON FUNCTION public.claim_job_run(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_job_run(p jsonb) TO service_role;

CREATE FUNCTION public.monthly_bill_candidates(p jsonb) RETURNS json
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $_$
declare
    v_which text := case when nullif(p -> 'only', 'null') is not null
        then $s$a.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$
        else $s$a.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
            || case when p ->> 'until' is null then '' else $s$ and a.id <= ($1 ->> 'until')::uuid$s$ end
            || case when p ->> 'billing_day' is null then '' else $s$ and a.billing_day = ($1 ->> 'billing_day')::smallint$s$ end end;
    v_page uuid[];
begin
    -- Planned for each of the ways: one plan for all would read every agreement for each.
    execute format($q$ select array(
        select a.id from public.service_agreements a where %s order by a.id limit ($1 ->> 'limit')::integer) $q$, v_which)
    into v_page using p;
    return (
    with page as materialized (
        select a.id, a.service_point_id, a.billing_day, a.starts_on, a.ends_on, a.opening_reading_id,
               private.cycle_end((p ->> 'on')::date, a.billing_day) as cycle_end
        from unnest(v_page) x join public.service_agreements a on a.id = x
    ), chosen as materialized (
        select a.id as agreement_id, a.service_point_id, a.billing_day, a.ends_on, a.cycle_end, o.id as opening_id,
               o.read_on as opened_on, o.read_at as opened_at, o.source as opening_source,
               json_build_object('id', o.id, 'meter_id', o.meter_id, 'read_at', o.read_at, 'read_on', o.read_on,
                                 'register_wh', o.register_wh, 'registers', o.registers, 'source', o.source) as opening,
               to_json(k) as closing, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on,
               k.meter_id as closing_meter_id,
               (select count(*) from public.bills v where v.opening_reading_id = o.id and v.status = 'void') as reissue_no
        from page a
        -- The end of its chain. Billed for the cycle already, most of a repeated run end here.
        left join lateral (
            select b.closing_reading_id, b.period_end from public.bills b
            where b.agreement_id = a.id and b.status <> 'void' order by b.period_end desc limit 1) t on true
        join public.readings o on o.id = coalesce(t.closing_reading_id, a.opening_reading_id)
        left join lateral (
            select r.* from public.meter_installations i
            cross join lateral (
                select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, x.registers, x.rolled_over, x.source from public.readings x
                where x.meter_id = i.meter_id and x.status = 'accepted'
                  and x.read_at > greatest(o.read_at, i.installed_at) and x.read_on > o.read_on
                  and x.read_at <= coalesce(i.removed_at, 'infinity')
                  and x.read_on <= least(a.cycle_end, coalesce(a.ends_on, 'infinity'))
                order by x.read_at desc limit 1) r
            where i.service_point_id = a.service_point_id and (i.removed_at is null or i.removed_at > o.read_at)
            order by r.read_at desc limit 1) k on true
        where a.starts_on < a.cycle_end
          and coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date + coalesce((p ->> 'cycle_end_days')::integer, 0), true)
          -- What is billed to its end needs no more.
          and (a.ends_on is null or o.read_on < a.ends_on)
          -- Billed beyond the cycle already (by a later field read): nothing of it is open.
          and o.read_on < a.cycle_end
          -- A bill that ends at a read somewhat after the billing day is that of the cycle before.
          and (k.id is not null or coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date, true))
    ), placed as materialized (
        -- With the meter that it closes at, or that is there; most places have had one.
        select c.*, m.id as meter_id, m.serial, m.dials, m.registers, i.multiplier_milli, s.connected_w, s.connected_va,
               i.installed_at > c.opened_at as exchanged, t.tariff_id, t.number as tariffs
        from chosen c
        join public.service_points s on s.id = c.service_point_id
        cross join lateral (
            select x.meter_id, x.multiplier_milli, x.installed_at from public.meter_installations x
            where x.service_point_id = c.service_point_id and (c.closing_id is null
                or (x.meter_id = c.closing_meter_id and x.installed_at < c.closed_at and c.closed_at <= coalesce(x.removed_at, 'infinity')))
            order by x.installed_at desc limit 1) i
        join public.meters m on m.id = i.meter_id
        cross join lateral (
            select count(*) as number, (array_agg(y.tariff_id order by y.starts_on desc))[1] as tariff_id
            from public.agreement_tariffs y where y.agreement_id = c.agreement_id) t
    ), back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
        where t.id in (select c.tariff_id from placed c)
    )
    select json_build_object(
        'next', case when cardinality(v_page) = (p ->> 'limit')::integer then v_page[cardinality(v_page)] end,
        'agreements', coalesce((select json_agg(
            json_build_object(
                'agreement_id', c.agreement_id, 'billing_day', c.billing_day, 'ends_on', c.ends_on, 'cycle_end', c.cycle_end,
                'opening', c.opening, 'closing', c.closing, 'reissue_no', c.reissue_no, 'meter_id', c.meter_id,
                'serial', c.serial, 'dials', c.dials, 'registers', c.registers, 'multiplier_milli', c.multiplier_milli,
                'connected_w', c.connected_w, 'connected_va', c.connected_va, 'tariff_id', c.tariff_id,
                'spans', case when c.tariffs > 1 then private.spans_of(c.agreement_id) else '[]' end,
                'installations', case when c.exchanged
                    then private.installations_between(c.service_point_id, c.opened_at, c.closed_at) else '[]' end,
                -- Within a month nothing is split; but a person may have said that a register rolled over.
                'between', case when c.exchanged or c.closed_on - c.opened_on > 31
                                     or exists (select 1 from public.meter_installations i
                                                join public.readings r on r.meter_id = i.meter_id and r.rolled_over and r.status = 'accepted'
                                                where i.service_point_id = c.service_point_id
                                                  and r.read_at > c.opened_at and r.read_at < c.closed_at)
                    then private.reads_between(c.service_point_id, c.opening_id, c.closed_at) else '[]' end,
                -- Most have nothing to ask for, or intervals alone: the call would be the dearest part of their row.
                'pricing', case when c.closing_id is null then '{}'
                    when private.is_actual(c.opening_source) and not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
                    then case when exists (select 1 from public.intervals i where i.meter_id = c.meter_id)
                         then jsonb_build_object('intervals', private.interval_days(c.service_point_id, c.opened_on, c.closed_on)) else '{}' end
                    else private.pricing_facts(
                        c.agreement_id,
                        array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = c.service_point_id),
                        private.looks_back_along(c.agreement_id), c.opening_id, c.closed_at, c.closed_on) end)
            order by c.agreement_id)
        from placed c join back b on b.id = c.tariff_id), '[]')));
end $_$;

COMMENT ON FUNCTION public.monthly_bill_candidates(p jsonb) IS 'Of a page of agreements by id those not billed yet for the cycle that last ended on or before a local date, each with the read it opens at and the latest accepted read it can close at, or null, and the meter of that: {on, billing_day?: of this cycle alone, cycle_end_days?, after?, until?, limit, only?: [agreement ids]} -> {agreements, next: the last one looked at, null when there are no more}. Where there is such a read, a bill that ends within cycle_end_days after the cycle''s start is of the one before.';

REVOKE ALL ON FUNCTION public.monthly_bill_candidates(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.monthly_bill_candidates(p jsonb) TO service_role;

CREATE FUNCTION private.note_progress(p jsonb) RETURNS void
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

REVOKE ALL ON FUNCTION private.note_progress(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_progress(p jsonb) TO service_role;

CREATE FUNCTION public.agreement_parts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    v_day constant smallint := (p ->> 'billing_day')::smallint;
    v_every constant integer := (p ->> 'every')::integer;
begin
    if v_day is null then
        return (select jsonb_build_object('ends', coalesce(jsonb_agg(x.id order by x.id), '[]'))
                from (select a.id, row_number() over (order by a.id) as place from public.service_agreements a) x
                where x.place % v_every = 0);
    end if;
    return (select jsonb_build_object('ends', coalesce(jsonb_agg(x.id order by x.id), '[]'))
            from (select a.id, row_number() over (order by a.id) as place from public.service_agreements a where a.billing_day = v_day) x
            where x.place % v_every = 0);
end $$;

COMMENT ON FUNCTION public.agreement_parts(p jsonb) IS 'Where parts of so many agreements each end, in the order of their ids: {every, billing_day?: of this cycle alone} -> {ends: [id]}. What follows the last end is a part of fewer.';

REVOKE ALL ON FUNCTION public.agreement_parts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.agreement_parts(p jsonb) TO service_role;

CREATE TRIGGER tariffs_come_late AFTER INSERT ON public.tariff_versions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.queue_for_late_tariff();

CREATE TRIGGER readings_accepted_late AFTER UPDATE ON public.readings REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.queue_late_reads();

CREATE TRIGGER readings_come_late AFTER INSERT ON public.readings REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.queue_late_reads();

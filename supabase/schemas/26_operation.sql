-- Operation: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.operations_alerts (
    id bigint NOT NULL,
    condition text NOT NULL,
    sentence text NOT NULL,
    since timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    clear_since timestamp with time zone,
    resolved_at timestamp with time zone,
    told jsonb DEFAULT '{}'::jsonb NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone NOT NULL,
    CONSTRAINT operations_alerts_check CHECK ((resolved_at >= since)),
    CONSTRAINT operations_alerts_condition_check CHECK ((condition <> ''::text)),
    CONSTRAINT operations_alerts_told_check CHECK ((jsonb_typeof(told) = 'object'::text))
);

COMMENT ON TABLE public.operations_alerts IS 'What was wrong with the operation, from when until when, and who was told: one row a condition and time, for all processes.';

COMMENT ON COLUMN public.operations_alerts.condition IS 'Its name for programs, such as job_late:monthly_bills.';

COMMENT ON COLUMN public.operations_alerts.clear_since IS 'Since when it is no longer seen; it is over once that lasts.';

COMMENT ON COLUMN public.operations_alerts.told IS 'When each channel was told: {"<channel>/begin": instant, "<channel>/end": instant}.';

ALTER TABLE ONLY public.operations_alerts
    ADD CONSTRAINT operations_alerts_pkey PRIMARY KEY (id);

CREATE UNIQUE INDEX operations_alerts_open ON public.operations_alerts USING btree (condition) WHERE (resolved_at IS NULL);

CREATE INDEX operations_alerts_recent ON public.operations_alerts USING btree (since DESC, id DESC);

CREATE INDEX operations_alerts_resolved ON public.operations_alerts USING btree (condition, resolved_at);

ALTER TABLE public.operations_alerts ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.operations_alerts TO service_role;

ALTER TABLE public.operations_alerts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.operations_alerts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.operations_alerts_id_seq TO service_role;

CREATE TABLE public.removals (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    what text NOT NULL,
    older_than timestamp with time zone NOT NULL,
    at_most integer NOT NULL,
    removed integer DEFAULT 0 NOT NULL,
    CONSTRAINT removals_at_most_check CHECK ((at_most > 0))
);

COMMENT ON TABLE public.removals IS 'What retention removed, a row a batch: writing one is what removes it.';

ALTER TABLE ONLY public.removals
    ADD CONSTRAINT removals_pkey PRIMARY KEY (id);

ALTER TABLE public.removals ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.removals TO service_role;

ALTER TABLE public.removals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.removals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.removals_id_seq TO service_role;

CREATE VIEW public.operations_alert_list WITH (security_invoker='true') AS
 SELECT id,
    condition,
    sentence,
    since,
    last_seen_at,
    resolved_at,
    told
   FROM public.operations_alerts a;

GRANT SELECT ON TABLE public.operations_alert_list TO service_role;

CREATE FUNCTION public.bills_of_span(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with bounds as (select (p ->> 'after')::date as after, (p ->> 'until')::date as until),
    parts as (
        -- Whole months, as after a run, are kept added up.
        select t.currency, t.bills, t.total_minor from public.bill_totals t, bounds s
        where extract(day from s.after) = 1 and extract(day from s.until) = 1 and t.ended_in >= s.after and t.ended_in < s.until
        union all
        select b.currency, 1, b.total_minor from public.bills b, bounds s
        where (extract(day from s.after) <> 1 or extract(day from s.until) <> 1)
          and b.period_end > s.after and b.period_end <= s.until and b.status <> 'void')
    select jsonb_build_object('currencies', coalesce(jsonb_agg(to_jsonb(g) order by g.currency), '[]'))
    from (select currency, sum(bills)::bigint as bills, sum(total_minor)::bigint as total_minor from parts
          group by 1 having sum(bills) <> 0) g
$$;

COMMENT ON FUNCTION public.bills_of_span(p jsonb) IS 'How many bills end in (after, until], and their sum, by currency: {after, until} -> {currencies: [{currency, bills, total_minor}]}.';

REVOKE ALL ON FUNCTION public.bills_of_span(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bills_of_span(p jsonb) TO service_role;

CREATE FUNCTION public.remove_old_records(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_removed integer := 0;
begin
    perform private.check_run(p -> 'run');
    insert into public.removals (what, older_than, at_most)
    values (p ->> 'what', (p ->> 'before')::timestamptz, (p ->> 'limit')::integer)
    returning removed into v_removed;
    -- No row is written where nothing was removed.
    v_removed := coalesce(v_removed, 0);
    if p ? 'run' and v_removed > 0 then
        perform private.note_progress(p || jsonb_build_object('done', v_removed));
    end if;
    return jsonb_build_object('removed', v_removed);
end $$;

COMMENT ON FUNCTION public.remove_old_records(p jsonb) IS 'Removes up to so many records of a kind that are older than an instant: {run?, what: outbox|notifications|customer_replies|ai_calls|sessions|security_log|audit_log|operations_alerts|refused_reads|job_set_aside|meter_photos|idempotency_keys|stripe_events|reconciliations|removals, before, limit} -> {removed}. What is open, and what the law wants kept, stays.';

REVOKE ALL ON FUNCTION public.remove_old_records(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.remove_old_records(p jsonb) TO service_role;

CREATE FUNCTION public.note_operations_alerts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
    -- What was clear at a time that is still to come was so by a wrong clock.
    set clear_since = least(a.clear_since, v_now),
        resolved_at = case when a.clear_since <= q.before then greatest(a.since, v_now) end,
        attempts = 0, next_attempt_at = v_now
    from (select o.id, v_now - least(interval '4 hours', v_quiet * power(2, least(count(e.id), 10))) as before
          from public.operations_alerts o
          left join public.operations_alerts e on e.condition = o.condition and e.resolved_at > v_now - interval '1 day'
          where o.resolved_at is null and o.condition in (select jsonb_array_elements_text(p -> 'clear'))
          group by o.id) q
    where a.id = q.id and (a.clear_since is null or a.clear_since > v_now or a.clear_since <= q.before);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.note_operations_alerts(p jsonb) IS 'Keeps what a look at the operation found: {now, quiet_minutes, seen: [{condition, sentence, since?, told?}], clear: [condition]}. An alert is over once it was clear for the quiet minutes, twice as long for each time that it was over within the last day, up to 4 hours; what was not looked at stays as it is.';

REVOKE ALL ON FUNCTION public.note_operations_alerts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_operations_alerts(p jsonb) TO service_role;

CREATE FUNCTION public.claim_operations_alerts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_now constant timestamptz := (p ->> 'now')::timestamptz;
    v_rows jsonb;
begin
    with due as (
        select a.id from public.operations_alerts a
        -- What nobody could be told of for a day is on the page, and no news.
        where coalesce(a.resolved_at, a.last_seen_at) > v_now - interval '1 day'
          -- Nothing waits longer than an hour: the clock was ahead then.
          and (a.next_attempt_at <= v_now or a.next_attempt_at > v_now + interval '65 minutes')
          and exists (select 1 from jsonb_array_elements_text(p -> 'channels') c
                      where not a.told ? (c || '/begin')
                         or (a.resolved_at is not null and not a.told ? (c || '/end')))
        order by a.since, a.id limit 50 for update skip locked
    ), claimed as (
        update public.operations_alerts a
        set attempts = a.attempts + 1,
            next_attempt_at = v_now + least(interval '1 hour', interval '1 minute' * power(2, least(a.attempts, 10)))
        from due where a.id = due.id
        returning a.id, a.condition, a.sentence, a.since, a.last_seen_at, a.resolved_at, a.told
    )
    select coalesce(jsonb_agg(to_jsonb(c) order by c.since, c.id), '[]') into v_rows from claimed c;
    return jsonb_build_object('alerts', v_rows);
end $$;

COMMENT ON FUNCTION public.claim_operations_alerts(p jsonb) IS 'Alerts of which a channel was not told yet, for the caller to tell: {now, channels} -> {alerts}. They come up again after a minute, then ever later up to an hour, unless told.';

REVOKE ALL ON FUNCTION public.claim_operations_alerts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_operations_alerts(p jsonb) TO service_role;

CREATE FUNCTION public.operations_alert_told(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.operations_alerts a
    set told = (select jsonb_object_agg(t.what, p -> 'now') from jsonb_array_elements_text(p -> 'what') t(what)) || a.told,
        attempts = 0
    where a.id = (p ->> 'id')::bigint;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.operations_alert_told(p jsonb) IS 'Keeps that a channel was told of an alert: {id, now, what: ["<channel>/begin", …]}.';

REVOKE ALL ON FUNCTION public.operations_alert_told(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.operations_alert_told(p jsonb) TO service_role;

CREATE FUNCTION public.operation_figures(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    select jsonb_build_object(
        'at', now(),
        'outbox_open', (select count(*) from public.outbox where status = 'open'),
        'outbox_oldest_at', (select created_at from public.outbox where status = 'open' order by created_at limit 1),
        'outbox_failed', (select count(*) from (
            select 1 from public.outbox
            where status <> 'open' and jsonb_path_exists(steps, '$.*."status"?(@ == "failed")'::jsonpath)
            limit 100000) f),
        'outbox_steps', (select coalesce(jsonb_agg(to_jsonb(g)), '[]') from (
            select s.key as step, s.value ->> 'status' as state, count(*) as entries
            from (select o.steps from public.outbox o where o.status = 'open' order by o.created_at limit 10000) o
            cross join lateral jsonb_each(o.steps) s
            group by 1, 2 order by 1, 2) g),
        'messages', public.message_queue('{}') -> 'channels',
        'readings', (select coalesce(jsonb_object_agg(g.source, g.readings), '{}') from (
            select r.source, count(*) as readings from public.readings r
            where r.created_at >= (p ->> 'day_began')::timestamptz group by 1) g),
        'bills', (select count(*) from public.bills b where b.issued_on = (p ->> 'today')::date),
        'ai', public.ai_spending(jsonb_build_object('since', p ->> 'month_began')),
        'database_bytes', pg_catalog.pg_database_size(current_database()),
        'jobs', (select coalesce(jsonb_agg(to_jsonb(j)), '[]') from (
            select l.job, l.status, l.started_at, l.finished_at, l.done_count, l.failed_count,
                   (select max(r.finished_at) from public.job_runs r
                    where r.job = l.job and r.status = 'done' and r.clock_at is not null) as succeeded_at
            from (select distinct on (r.job) r.* from public.job_run_list r
                  where not r.disregarded order by r.job, r.started_at desc, r.scheduled_on desc) l
            order by l.job) j),
        'alerts_open', (select count(*) from public.operations_alerts where resolved_at is null))
$_$;

COMMENT ON FUNCTION public.operation_figures(p jsonb) IS 'Figures for whoever watches the system: {today, day_began, month_began} in the utility''s zone. No whole table is counted; the steps are those of the 10,000 oldest open entries, failures are counted up to 100,000.';

REVOKE ALL ON FUNCTION public.operation_figures(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.operation_figures(p jsonb) TO service_role;

CREATE FUNCTION private.remove_old() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    v_pictures text[];
begin
    case new.what
        when 'outbox' then
            delete from public.outbox where ctid = any (array(
                select o.ctid from public.outbox o where o.status <> 'open' and o.finished_at < new.older_than
                order by o.finished_at limit new.at_most));
        when 'notifications' then
            delete from public.notifications where ctid = any (array(
                select n.ctid from public.notifications n
                where n.created_at < new.older_than and n.updated_at < new.older_than and n.status not in ('waiting', 'sending')
                order by n.created_at limit new.at_most));
        when 'customer_replies' then
            delete from public.customer_replies where ctid = any (array(
                select r.ctid from public.customer_replies r where r.received_at < new.older_than and r.handled_at is not null
                order by r.received_at limit new.at_most));
        when 'ai_calls' then
            delete from public.ai_calls where ctid = any (array(
                select c.ctid from public.ai_calls c where c.created_at < new.older_than order by c.created_at limit new.at_most));
        when 'sessions' then
            delete from public.sessions where ctid = any (array(
                select s.ctid from public.sessions s where s.first_used_at < new.older_than and s.expires_at < new.older_than
                order by s.first_used_at limit new.at_most));
        -- These two are written in the order of their ids: the oldest come first.
        when 'security_log' then
            delete from public.security_log where ctid = any (array(
                select l.ctid from (select x.ctid, x.at from public.security_log x order by x.id limit new.at_most) l where l.at < new.older_than));
        when 'audit_log' then
            delete from public.audit_log where ctid = any (array(
                select a.ctid from (select x.ctid, x.at from public.audit_log x order by x.id limit new.at_most) a where a.at < new.older_than));
        when 'operations_alerts' then
            delete from public.operations_alerts where ctid = any (array(
                select a.ctid from public.operations_alerts a where a.resolved_at < new.older_than order by a.since limit new.at_most));
        when 'refused_reads' then
            delete from public.refused_reads where ctid = any (array(
                select x.ctid from public.refused_reads x where x.refused_at < new.older_than order by x.refused_at limit new.at_most));
        -- What the last month's run set aside may still be billed: it is never older than a month before that run.
        when 'job_set_aside' then
            delete from public.job_set_aside where ctid = any (array(
                select s.ctid
                from (select r.job, r.scheduled_on from public.job_runs r
                      where r.scheduled_on < least((new.older_than at time zone 'UTC')::date,
                                                   (private.last_month_run() - interval '1 month')::date)
                      order by r.scheduled_on, r.job) o
                cross join lateral (select x.ctid from public.job_set_aside x
                                    where x.job = o.job and x.scheduled_on = o.scheduled_on
                                    order by x.subject limit new.at_most) s
                limit new.at_most));
        when 'meter_photos' then
            with gone as (
                delete from public.meter_photos where ctid = any (array(
                    select f.ctid from public.meter_photos f where f.created_at < new.older_than order by f.created_at limit new.at_most))
                returning sha256
            ) select coalesce(array_agg(g.sha256), '{}') into v_pictures from gone g;
            delete from public.photo_contents c
            where c.sha256 = any (v_pictures) and not exists (select 1 from public.meter_photos f where f.sha256 = c.sha256);
            new.removed := cardinality(v_pictures);
            return case when new.removed > 0 then new end;
        -- A photo finds its reading by the key of both, which stays for as long.
        when 'idempotency_keys' then
            delete from public.idempotency_keys where ctid = any (array(
                select k.ctid from public.idempotency_keys k
                where k.created_at < new.older_than
                  and not exists (select 1 from public.meter_photos f where f.taken_by = k.caller and f.key = k.key)
                order by k.created_at limit new.at_most));
        when 'stripe_events' then
            delete from public.stripe_events where ctid = any (array(
                select e.ctid from public.stripe_events e where e.created_at < new.older_than and e.outcome <> 'waiting'
                order by e.created_at limit new.at_most));
        -- The last good look says since when to look again.
        when 'reconciliations' then
            delete from public.reconciliations where ctid = any (array(
                select r.ctid from public.reconciliations r
                where r.at < new.older_than
                  and r.at < (select max(x.at) from public.reconciliations x where x.kind = r.kind and x.error = '')
                order by r.at limit new.at_most));
        when 'removals' then
            delete from public.removals where ctid = any (array(
                select r.ctid from public.removals r where r.at < new.older_than order by r.id limit new.at_most));
        else
            perform private.refuse('EB400', format('Nothing is removed of %s.', new.what));
    end case;
    get diagnostics new.removed = row_count;
    return case when new.removed > 0 then new end;
end $$;

COMMENT ON FUNCTION private.remove_old() IS 'Deletes the oldest rows of a table, as its owner: nobody else may delete of the audit trail or the security log, whose triggers keep what is young.';

REVOKE ALL ON FUNCTION private.remove_old() FROM PUBLIC;
GRANT ALL ON FUNCTION private.remove_old() TO service_role;

CREATE TRIGGER remove_old BEFORE INSERT ON public.removals FOR EACH ROW EXECUTE FUNCTION private.remove_old();

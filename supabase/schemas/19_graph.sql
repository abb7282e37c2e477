-- Graph: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.graph_changes (
    bill_id uuid NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.graph_changes IS 'Bills that changed since the graph was last told: their status, what is paid of them. Without a graph they wait here.';

ALTER TABLE ONLY public.graph_changes
    ADD CONSTRAINT graph_changes_pkey PRIMARY KEY (bill_id);

ALTER TABLE public.graph_changes ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,DELETE,TRIGGER,MAINTAIN,UPDATE ON TABLE public.graph_changes TO service_role;

ALTER TABLE ONLY public.graph_changes
    ADD CONSTRAINT graph_changes_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

CREATE VIEW private.graph_feeders WITH (security_invoker='true') AS
 SELECT id,
    code,
    name
   FROM public.feeders f;

GRANT SELECT ON TABLE private.graph_feeders TO service_role;

CREATE VIEW private.graph_transformers WITH (security_invoker='true') AS
 SELECT id,
    code,
    name,
    rated_kva,
    feeder_id
   FROM public.transformers t;

GRANT SELECT ON TABLE private.graph_transformers TO service_role;

CREATE VIEW private.graph_customers WITH (security_invoker='true') AS
 SELECT id,
    account_no
   FROM public.customers c;

GRANT SELECT ON TABLE private.graph_customers TO service_role;

CREATE VIEW private.graph_meters WITH (security_invoker='true') AS
 SELECT l.id,
    l.serial,
    l.status,
    l.opened_on,
    l.customer_id,
    s.transformer_id
   FROM (public.meter_list l
     LEFT JOIN public.service_points s ON ((s.id = l.service_point_id)));

GRANT SELECT ON TABLE private.graph_meters TO service_role;

CREATE VIEW private.graph_tariffs WITH (security_invoker='true') AS
 SELECT v.id,
    t.code,
    v.effective_from
   FROM (public.tariff_versions v
     JOIN public.tariffs t ON ((t.id = v.tariff_id)));

GRANT SELECT ON TABLE private.graph_tariffs TO service_role;

CREATE VIEW private.graph_readings WITH (security_invoker='true') AS
 SELECT id,
    meter_id,
    read_at,
    read_on,
    register_wh,
    status,
    source
   FROM public.readings r;

GRANT SELECT ON TABLE private.graph_readings TO service_role;

CREATE VIEW private.graph_payments WITH (security_invoker='true') AS
 SELECT (("left"((y.id)::text, 26) || "left"(md5((d.bill_id)::text), 10)))::uuid AS id,
    d.bill_id,
    (sum(a.amount_minor))::bigint AS amount_minor,
    y.currency,
    y.received_on,
    y.id AS payment_id
   FROM (((public.payments y
     JOIN public.ledger_entries c ON (((c.payment_id = y.id) AND (c.kind = 'payment'::text))))
     JOIN public.allocations a ON ((a.credit_entry_id = c.id)))
     JOIN public.ledger_entries d ON (((d.id = a.debit_entry_id) AND (d.kind = 'bill'::text))))
  GROUP BY y.id, d.bill_id, y.currency, y.received_on;

COMMENT ON VIEW private.graph_payments IS 'What a payment pays of a bill. Its id begins as that of the payment, so that payments in their order give these in theirs.';

GRANT SELECT ON TABLE private.graph_payments TO service_role;

CREATE VIEW private.graph_supplies WITH (security_invoker='true') AS
 SELECT id,
    transformer_id,
    period_start,
    period_end,
    energy_wh
   FROM public.supplies s;

GRANT SELECT ON TABLE private.graph_supplies TO service_role;

CREATE VIEW private.graph_service_points WITH (security_invoker='true') AS
 SELECT s.id,
    s.code,
    s.transformer_id,
        CASE
            WHEN i.still THEN 'active'::text
            ELSE 'closed'::text
        END AS status,
    i.opened_on,
    w.connected_on,
    COALESCE(w.ids, '[]'::jsonb) AS earlier_transformer_ids,
    w.was_on,
    w.was_from,
    w.was_until
   FROM ((public.service_points s
     LEFT JOIN LATERAL ( SELECT min(x.installed_on) AS opened_on,
            bool_or((x.removed_at IS NULL)) AS still
           FROM public.meter_installations x
          WHERE (x.service_point_id = s.id)) i ON (true))
     LEFT JOIN LATERAL ( SELECT max(y.moved_on) AS connected_on,
            jsonb_agg(DISTINCT y.from_transformer_id) FILTER (WHERE (y.from_transformer_id IS NOT NULL)) AS ids,
            jsonb_agg(COALESCE((y.from_transformer_id)::text, ''::text) ORDER BY y.moved_on) AS was_on,
            jsonb_agg(COALESCE((y.before - '1970-01-01'::date), '-1000000'::integer) ORDER BY y.moved_on) AS was_from,
            jsonb_agg((y.moved_on - '1970-01-01'::date) ORDER BY y.moved_on) AS was_until
           FROM ( SELECT m.moved_on,
                    m.from_transformer_id,
                    lag(m.moved_on) OVER (ORDER BY m.moved_on) AS before
                   FROM public.transformer_moves m
                  WHERE (m.service_point_id = s.id)) y) w ON (true));

GRANT SELECT ON TABLE private.graph_service_points TO service_role;

CREATE VIEW private.graph_agreements WITH (security_invoker='true') AS
 SELECT id,
    starts_on,
    ends_on,
    service_point_id,
    customer_id
   FROM public.service_agreements a;

GRANT SELECT ON TABLE private.graph_agreements TO service_role;

CREATE FUNCTION public.graph_changes_done(p jsonb) RETURNS jsonb
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    -- What is changing at this moment, or changed again, is told again; nobody is waited for.
    with told as (
        select g.bill_id from public.graph_changes g
        join jsonb_to_recordset(p -> 'changes') as x(bill_id uuid, changed_at timestamptz)
            on x.bill_id = g.bill_id and x.changed_at = g.changed_at
        for update of g skip locked
    ), gone as (
        delete from public.graph_changes g using told t where g.bill_id = t.bill_id returning 1
    )
    select jsonb_build_object('done', (select count(*) from gone))
$$;

COMMENT ON FUNCTION public.graph_changes_done(p jsonb) IS 'Takes from the queue what the graph was told of, unless it changed again: {changes} -> {done}.';

REVOKE ALL ON FUNCTION public.graph_changes_done(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.graph_changes_done(p jsonb) TO service_role;

CREATE FUNCTION public.graph_rows(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_sort TO 'off'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_after constant uuid := coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000');
    v_page text := format('select * from private.%I where id > %L order by id limit %s', 'graph_' || (p ->> 'what'), v_after,
                          (p ->> 'limit')::integer);
    v_rows jsonb;
begin
    if p ->> 'what' = 'payments' then
        -- One payment after the other: of all that is paid, the planner would put everything together for each page.
        v_page := format(
            'select g.* from public.payments y
             cross join lateral (select * from private.graph_payments x where x.payment_id = y.id and x.id > %L order by x.id) g
             where y.id >= %L order by y.id, g.id limit %s',
            v_after, (left(v_after::text, 26) || '0000000000')::uuid, (p ->> 'limit')::integer);
    end if;
    -- As text for this page's values, so that the planner knows how small the page is.
    execute format('select coalesce(jsonb_agg(to_jsonb(g) order by g.id), ''[]'') from (%s) g', v_page) into v_rows;
    return jsonb_build_object('rows', v_rows);
end $$;

COMMENT ON FUNCTION public.graph_rows(p jsonb) IS 'A page of what the graph is made of, in order of id: {what: feeders | transformers | customers | service_points | agreements | meters | tariffs | readings | bills | payments | supplies, after?, limit}.';

REVOKE ALL ON FUNCTION public.graph_rows(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.graph_rows(p jsonb) TO service_role;

CREATE FUNCTION public.graph_rows_of_bill(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    if not exists (select 1 from public.bills where id = (p ->> 'bill_id')::uuid) then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    return private.graph_rows_of(array[(p ->> 'bill_id')::uuid]);
end $$;

COMMENT ON FUNCTION public.graph_rows_of_bill(p jsonb) IS 'What the graph needs for one bill, by kind and in the shapes of graph_rows: {bill_id}.';

REVOKE ALL ON FUNCTION public.graph_rows_of_bill(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.graph_rows_of_bill(p jsonb) TO service_role;

CREATE FUNCTION public.graph_changes(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_changes jsonb;
begin
    select coalesce(jsonb_agg(to_jsonb(c)), '[]') into v_changes
    from (select g.bill_id, g.changed_at from public.graph_changes g
          order by g.bill_id limit (p ->> 'limit')::integer) c;
    return jsonb_build_object('changes', v_changes, 'rows', private.graph_rows_of(
        array(select (c ->> 'bill_id')::uuid from jsonb_array_elements(v_changes) c)));
end $$;

COMMENT ON FUNCTION public.graph_changes(p jsonb) IS 'Bills that the graph is to be told of, with what it needs for them: {limit} -> {changes: [{bill_id, changed_at}], rows: by kind as graph_rows_of_bill}.';

REVOKE ALL ON FUNCTION public.graph_changes(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.graph_changes(p jsonb) TO service_role;

CREATE FUNCTION private.note_graph_changes() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.graph_changes (bill_id)
    select n.id from new_rows n join old_rows o on o.id = n.id
    where (n.status, n.amount_paid_minor, n.overdue_since) is distinct from
          (o.status, o.amount_paid_minor, o.overdue_since)
    order by n.id
    on conflict (bill_id) do update set changed_at = clock_timestamp();
    return null;
end $$;

COMMENT ON FUNCTION private.note_graph_changes() IS 'Queues the bills that the graph shows otherwise by now. Who changes a bill has locked it.';

REVOKE ALL ON FUNCTION private.note_graph_changes() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_graph_changes() TO service_role;

CREATE FUNCTION public.graph_totals(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'feeders', jsonb_build_object('rows', (select count(*) from public.feeders)),
        'transformers', jsonb_build_object('rows', (select count(*) from public.transformers)),
        'customers', jsonb_build_object('rows', (select count(*) from public.customers)),
        'service_points', jsonb_build_object('rows', (select count(*) from public.service_points)),
        'agreements', jsonb_build_object('rows', (select count(*) from public.service_agreements)),
        'meters', jsonb_build_object('rows', (select count(*) from public.meters)),
        'tariffs', jsonb_build_object('rows', (select count(*) from public.tariff_versions)),
        'readings', (select jsonb_build_object('rows', count(*), 'sum', coalesce(sum(register_wh), 0))
                     from public.readings),
        'bills', (select jsonb_build_object('rows', count(*), 'sum', coalesce(sum(total_minor), 0))
                  from public.bills),
        'payments', (select jsonb_build_object('rows', count(distinct (c.payment_id, d.bill_id)),
                                               'sum', coalesce(sum(a.amount_minor), 0))
                     from public.allocations a
                     join public.ledger_entries c on c.id = a.credit_entry_id and c.kind = 'payment'
                     join public.ledger_entries d on d.id = a.debit_entry_id and d.kind = 'bill'),
        'supplies', (select jsonb_build_object('rows', count(*), 'sum', coalesce(sum(energy_wh), 0))
                     from public.supplies))
$$;

COMMENT ON FUNCTION public.graph_totals(p jsonb) IS 'What the graph is made of, by kind as in graph_rows: {} -> {kind: {rows, sum?}}; sum is of register_wh, total_minor, amount_minor or energy_wh.';

REVOKE ALL ON FUNCTION public.graph_totals(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.graph_totals(p jsonb) TO service_role;

CREATE FUNCTION public.graph_backlog(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_work jsonb;
begin
    select coalesce(jsonb_agg(to_jsonb(w)), '[]') into v_work
    from (select o.id, o.bill_id from public.outbox o
          where o.status = 'open' and (o.steps #>> '{8,status}') = 'pending'
            and (o.lease_until is null or o.lease_until < now())
          order by o.id limit (p ->> 'limit')::integer) w;
    if jsonb_array_length(v_work) < (p ->> 'at_least')::integer then
        return jsonb_build_object('work', '[]'::jsonb, 'rows', '{}'::jsonb);
    end if;
    return jsonb_build_object('work', v_work, 'rows', private.graph_rows_of(
        array(select distinct (w ->> 'bill_id')::uuid from jsonb_array_elements(v_work) w)));
end $$;

COMMENT ON FUNCTION public.graph_backlog(p jsonb) IS 'Outbox entries whose step 8 waits and that nobody works on, with what the graph needs for their bills: {limit, at_least} -> {work: [{id, bill_id}], rows: by kind as graph_rows_of_bill}. Fewer than at_least are none.';

REVOKE ALL ON FUNCTION public.graph_backlog(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.graph_backlog(p jsonb) TO service_role;

CREATE FUNCTION public.graph_backlog_done(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_done bigint;
begin
    perform private.set_actor(p);
    -- Whoever took one up meanwhile does its step 8 again, which changes nothing.
    with told as (
        select o.id, jsonb_set(o.steps, '{8}', jsonb_build_object(
                   'status', 'done', 'detail', p ->> 'detail', 'facts', '{}'::jsonb)) as steps
        from public.outbox o
        where o.id = any (array(select w::uuid from jsonb_array_elements_text(p -> 'work') w))
          and o.status = 'open' and (o.steps #>> '{8,status}') = 'pending'
          and (o.lease_until is null or o.lease_until < now())
        for update skip locked
    ), judged as (
        select t.id, t.steps,
               not exists (select 1 from jsonb_each(t.steps) s where s.value ->> 'status' = 'pending') as ended,
               exists (select 1 from jsonb_each(t.steps) s where s.value ->> 'detail' like 'given up%') as gave_up
        from told t
    ), kept as (
        update public.outbox o
        set steps = j.steps,
            status = case when not j.ended then 'open' when j.gave_up then 'given_up' else 'finished' end,
            finished_at = case when j.ended then now() end
        from judged j where j.id = o.id
        returning 1
    )
    select count(*) into v_done from kept;
    return jsonb_build_object('done', v_done);
end $$;

COMMENT ON FUNCTION public.graph_backlog_done(p jsonb) IS 'Ends step 8 of outbox entries whose bills are in the graph by now, but of those that somebody works on: {actor, work: [id], detail} -> {done}.';

REVOKE ALL ON FUNCTION public.graph_backlog_done(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.graph_backlog_done(p jsonb) TO service_role;

CREATE FUNCTION private.graph_rows_of(p_bills uuid[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    v_bills jsonb;
    v_points uuid[];
    v_meters uuid[];
    v_fed_by uuid[];
    v_agreements jsonb;
    v_meter_rows jsonb;
    v_point_rows jsonb;
begin
    -- Ids in arrays, found step by step, let each view be entered by its key, however many rows it has.
    select coalesce(jsonb_agg(to_jsonb(b)), '[]') into v_bills from private.graph_bills b where b.id = any (p_bills);
    v_points := array(select distinct a.service_point_id from public.bills b join public.service_agreements a on a.id = b.agreement_id
                      where b.id = any (p_bills));
    v_meters := array(select i.meter_id from public.meter_installations i where i.service_point_id = any (v_points)
                      union select b.meter_id from public.bills b where b.id = any (p_bills));
    select coalesce(jsonb_agg(to_jsonb(s)), '[]') into v_point_rows from private.graph_service_points s where s.id = any (v_points);
    select coalesce(jsonb_agg(to_jsonb(a)), '[]') into v_agreements from private.graph_agreements a where a.service_point_id = any (v_points);
    select coalesce(jsonb_agg(to_jsonb(m)), '[]') into v_meter_rows from private.graph_meters m where m.id = any (v_meters);
    v_fed_by := array(select (x ->> 'transformer_id')::uuid from jsonb_array_elements(v_point_rows || v_meter_rows) x
                      where x ->> 'transformer_id' is not null
                      union
                      select e.id::uuid from jsonb_array_elements(v_point_rows) x
                      cross join lateral jsonb_array_elements_text(x -> 'earlier_transformer_ids') e (id));
    return jsonb_build_object(
        'feeders', (select coalesce(jsonb_agg(to_jsonb(f)), '[]') from private.graph_feeders f
                    where f.id in (select t.feeder_id from public.transformers t where t.id = any (v_fed_by))),
        'transformers', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from private.graph_transformers t where t.id = any (v_fed_by)),
        'customers', (select coalesce(jsonb_agg(to_jsonb(c)), '[]') from private.graph_customers c
                      where c.id = any (array(select (x ->> 'customer_id')::uuid from jsonb_array_elements(v_meter_rows || v_agreements) x
                                              where x ->> 'customer_id' is not null group by 1))),
        'service_points', v_point_rows,
        'agreements', v_agreements,
        'meters', v_meter_rows,
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(v)), '[]') from private.graph_tariffs v
                    where v.id in (select (x ->> 'tariff_version_id')::uuid from jsonb_array_elements(v_bills) x)),
        'readings', (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from private.graph_readings r
                     where r.id = any (array(
                         select (x ->> 'opening_reading_id')::uuid from jsonb_array_elements(v_bills) x
                         union select (x ->> 'closing_reading_id')::uuid from jsonb_array_elements(v_bills) x
                         union select e.id::uuid from jsonb_array_elements(v_bills) x
                         cross join lateral jsonb_array_elements_text(x -> 'inner_reading_ids') e (id)))),
        'bills', v_bills,
        'payments', (select coalesce(jsonb_agg(to_jsonb(y)), '[]') from private.graph_payments y where y.bill_id = any (p_bills)));
end $$;

COMMENT ON FUNCTION private.graph_rows_of(p_bills uuid[]) IS 'What the graph needs for some bills, by kind and in the shapes of graph_rows: with all agreements and meters of their places.';

REVOKE ALL ON FUNCTION private.graph_rows_of(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.graph_rows_of(p_bills uuid[]) TO service_role;

CREATE TRIGGER bills_in_graph AFTER UPDATE ON public.bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_graph_changes();

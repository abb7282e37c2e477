-- Graph: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

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
 SELECT id,
    serial,
    status,
    opened_on,
    customer_id,
    transformer_id
   FROM public.meters m;

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

CREATE VIEW private.graph_bills WITH (security_invoker='true') AS
 SELECT id,
    number,
    status,
    meter_id,
    tariff_version_id,
    opening_reading_id,
    closing_reading_id,
    period_start,
    period_end,
    consumption_wh,
    currency,
    total_minor
   FROM public.bills b;

GRANT SELECT ON TABLE private.graph_bills TO service_role;

CREATE VIEW private.graph_payments WITH (security_invoker='true') AS
 SELECT (md5(((c.payment_id)::text || (d.bill_id)::text)))::uuid AS id,
    d.bill_id,
    (sum(a.amount_minor))::bigint AS amount_minor,
    y.currency,
    y.received_on,
    c.payment_id
   FROM (((public.allocations a
     JOIN public.ledger_entries c ON (((c.id = a.credit_entry_id) AND (c.kind = 'payment'::text))))
     JOIN public.ledger_entries d ON (((d.id = a.debit_entry_id) AND (d.kind = 'bill'::text))))
     JOIN public.payments y ON ((y.id = c.payment_id)))
  GROUP BY c.payment_id, d.bill_id, y.currency, y.received_on;

GRANT SELECT ON TABLE private.graph_payments TO service_role;

CREATE VIEW private.graph_supplies WITH (security_invoker='true') AS
 SELECT id,
    transformer_id,
    period_start,
    period_end,
    energy_wh
   FROM public.supplies s;

GRANT SELECT ON TABLE private.graph_supplies TO service_role;

CREATE FUNCTION public.graph_rows(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_sort TO 'off'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_rows jsonb;
begin
    -- As text for this page's values, so that the planner knows how small the page is.
    execute format(
        'select coalesce(jsonb_agg(to_jsonb(g) order by g.id), ''[]'')
         from (select * from private.%I where id > %L order by id limit %s) g',
        'graph_' || (p ->> 'what'),
        coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000'),
        (p ->> 'limit')::integer)
    into v_rows;
    return jsonb_build_object('rows', v_rows);
end $$;

COMMENT ON FUNCTION public.graph_rows(p jsonb) IS 'A page of what the graph is made of, in order of id: {what: feeders | transformers | customers | meters | tariffs | readings | bills | payments | supplies, after?, limit}.';

REVOKE ALL ON FUNCTION public.graph_rows(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.graph_rows(p jsonb) TO service_role;

CREATE FUNCTION public.graph_rows_of_bill(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_bill public.bills;
    v_meter public.meters;
begin
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    select * into v_meter from public.meters where id = v_bill.meter_id;
    return jsonb_build_object(
        'feeders', (select coalesce(jsonb_agg(to_jsonb(f)), '[]')
                    from private.graph_feeders f join public.transformers t on t.feeder_id = f.id
                    where t.id = v_meter.transformer_id),
        'transformers', (select coalesce(jsonb_agg(to_jsonb(t)), '[]')
                         from private.graph_transformers t where t.id = v_meter.transformer_id),
        'customers', (select jsonb_agg(to_jsonb(c)) from private.graph_customers c
                      where c.id in (v_meter.customer_id, v_bill.customer_id)),
        'meters', (select jsonb_agg(to_jsonb(m)) from private.graph_meters m where m.id = v_meter.id),
        'tariffs', (select jsonb_agg(to_jsonb(v)) from private.graph_tariffs v where v.id = v_bill.tariff_version_id),
        'readings', (select jsonb_agg(to_jsonb(r)) from private.graph_readings r
                     where r.id in (v_bill.opening_reading_id, v_bill.closing_reading_id)),
        'bills', (select jsonb_agg(to_jsonb(b)) from private.graph_bills b where b.id = v_bill.id),
        'payments', (select coalesce(jsonb_agg(to_jsonb(y)), '[]')
                     from private.graph_payments y where y.bill_id = v_bill.id));
end $$;

COMMENT ON FUNCTION public.graph_rows_of_bill(p jsonb) IS 'What the graph needs for one bill, by kind and in the shapes of graph_rows: {bill_id}.';

REVOKE ALL ON FUNCTION public.graph_rows_of_bill(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.graph_rows_of_bill(p jsonb) TO service_role;

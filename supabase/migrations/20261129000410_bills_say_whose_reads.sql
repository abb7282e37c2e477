-- A bill says whether it rests on an estimate, or on the customer's own reading.

create or replace view public.bill_list WITH (security_invoker='true') AS
 SELECT b.id,
    b.number,
    b.meter_id,
    m.serial AS meter_serial,
    b.customer_id,
    c.account_no,
    c.name AS customer_name,
    c.address,
    b.tariff_version_id,
    t.code AS tariff_code,
    t.name AS tariff_name,
    b.opening_reading_id,
    b.closing_reading_id,
    b.period_start,
    b.period_end,
    b.opening_wh,
    b.closing_wh,
    b.consumption_wh,
    b.multiplier_milli,
    b.currency,
    b.lines,
    b.subtotal_minor,
    b.tax_minor,
    b.total_minor,
    b.amount_paid_minor,
        CASE
            WHEN (b.status = 'void'::text) THEN (0)::bigint
            ELSE (b.total_minor - b.amount_paid_minor)
        END AS balance_minor,
        CASE
            WHEN (b.status = 'void'::text) THEN 'void'::text
            WHEN (b.status = 'draft'::text) THEN 'draft'::text
            WHEN (b.amount_paid_minor >= b.total_minor) THEN 'paid'::text
            WHEN (b.overdue_since IS NOT NULL) THEN 'overdue'::text
            WHEN (b.amount_paid_minor > 0) THEN 'partially_paid'::text
            ELSE 'issued'::text
        END AS status,
    b.issued_at,
    b.issued_on,
    b.due_date,
    b.overdue_since,
    b.payment_url,
    b.reissue_no,
    b.void_reason,
    b.created_at,
    lower(concat_ws(' '::text, private.invoice_reference(b.number), c.account_no, c.name, m.serial)) AS search,
    b.usage,
    b.replaces_id,
    ( SELECT r.id
           FROM public.bills r
          WHERE (r.replaces_id = b.id)) AS replaced_by_id,
    b.held_because,
    ( SELECT s.reason
           FROM public.spared_bills s
          WHERE ((s.bill_id = b.id) AND (s.released_at IS NULL) AND ((s.until IS NULL) OR (s.until > now())))
          ORDER BY s.reason DESC
         LIMIT 1) AS spared_because,
    b.agreement_id,
        CASE
            WHEN (b.segments IS NOT NULL) THEN ( SELECT jsonb_agg((x.value || jsonb_build_object('meter_serial', y.serial, 'opened_on', o.read_on, 'opening_source', o.source, 'closed_on', e.read_on, 'closing_source', e.source)) ORDER BY x.ordinality) AS jsonb_agg
               FROM (((jsonb_array_elements(b.segments) WITH ORDINALITY x(value, ordinality)
                 JOIN public.meters y ON ((y.id = ((x.value ->> 'meter_id'::text))::uuid)))
                 JOIN public.readings o ON ((o.id = ((x.value ->> 'opening_reading_id'::text))::uuid)))
                 JOIN public.readings e ON ((e.id = ((x.value ->> 'closing_reading_id'::text))::uuid))))
            ELSE NULL::jsonb
        END AS segments,
    p.id AS service_point_id,
    p.code AS service_point_code,
    p.address AS service_address,
    ( SELECT o.source FROM public.readings o WHERE (o.id = b.opening_reading_id)) AS opening_source,
    ( SELECT e.source FROM public.readings e WHERE (e.id = b.closing_reading_id)) AS closing_source
   FROM ((((((public.bills b
     JOIN public.meters m ON ((m.id = b.meter_id)))
     JOIN public.customers c ON ((c.id = b.customer_id)))
     JOIN public.tariff_versions v ON ((v.id = b.tariff_version_id)))
     JOIN public.tariffs t ON ((t.id = v.tariff_id)))
     JOIN public.service_agreements a ON ((a.id = b.agreement_id)))
     JOIN public.service_points p ON ((p.id = a.service_point_id)));
comment on column public.bill_list.opening_source is 'How the read at which it opens came about: field, smart, imported, customer or estimated.';
comment on column public.bill_list.closing_source is 'How the read at which it closes came about.';

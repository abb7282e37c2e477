-- A bill says how autopay stands that is to pay it: on which day, or since when a charge is under way.

create or replace view public.bill_list with (security_invoker = 'true') as
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
            WHEN (b.segments IS NOT NULL) THEN ( SELECT jsonb_agg((x.value || jsonb_build_object('meter_serial', y.serial, 'opened_on', o.read_on, 'opening_source', o.source, 'closed_on', e.read_on, 'closing_source', e.source, 'opening_quality', private.quality_of_reading(o.source, 'accepted'::text, o.is_opening, o.supersedes_id,
                    CASE o.status
                        WHEN 'accepted'::text THEN o.decided_at
                        ELSE NULL::timestamp with time zone
                    END, o.validation), 'closing_quality', private.quality_of_reading(e.source, 'accepted'::text, e.is_opening, e.supersedes_id,
                    CASE e.status
                        WHEN 'accepted'::text THEN e.decided_at
                        ELSE NULL::timestamp with time zone
                    END, e.validation))) ORDER BY x.ordinality) AS jsonb_agg
               FROM (((jsonb_array_elements(b.segments) WITH ORDINALITY x(value, ordinality)
                 JOIN public.meters y ON ((y.id = ((x.value ->> 'meter_id'::text))::uuid)))
                 JOIN public.readings o ON ((o.id = ((x.value ->> 'opening_reading_id'::text))::uuid)))
                 JOIN public.readings e ON ((e.id = ((x.value ->> 'closing_reading_id'::text))::uuid))))
            ELSE NULL::jsonb
        END AS segments,
    p.id AS service_point_id,
    p.code AS service_point_code,
    p.address AS service_address,
    ( SELECT o.source
           FROM public.readings o
          WHERE (o.id = b.opening_reading_id)) AS opening_source,
    ( SELECT e.source
           FROM public.readings e
          WHERE (e.id = b.closing_reading_id)) AS closing_source,
    ( SELECT private.quality_of_reading(o.source, 'accepted'::text, o.is_opening, o.supersedes_id,
                CASE o.status
                    WHEN 'accepted'::text THEN o.decided_at
                    ELSE NULL::timestamp with time zone
                END, o.validation) AS quality_of_reading
           FROM public.readings o
          WHERE (o.id = b.opening_reading_id)) AS opening_quality,
    ( SELECT private.quality_of_reading(e.source, 'accepted'::text, e.is_opening, e.supersedes_id,
                CASE e.status
                    WHEN 'accepted'::text THEN e.decided_at
                    ELSE NULL::timestamp with time zone
                END, e.validation) AS quality_of_reading
           FROM public.readings e
          WHERE (e.id = b.closing_reading_id)) AS closing_quality,
    ( SELECT jsonb_build_object('status', h.status, 'charge_on', h.charge_on, 'since', y.started_on,
                'confirming', COALESCE((y.status = 'confirming'::text), false), 'kind', n.kind) AS jsonb_build_object
           FROM (((public.autopay_charge_bills x
             JOIN public.autopay_charges h ON ((h.id = x.charge_id)))
             JOIN public.autopay_mandates n ON ((n.id = h.mandate_id)))
             LEFT JOIN public.autopay_attempts y ON (((y.charge_id = h.id) AND (y.ended_at IS NULL))))
          WHERE ((x.bill_id = b.id) AND x.live)) AS autopay
   FROM ((((((public.bills b
     JOIN public.meters m ON ((m.id = b.meter_id)))
     JOIN public.customers c ON ((c.id = b.customer_id)))
     JOIN public.tariff_versions v ON ((v.id = b.tariff_version_id)))
     JOIN public.tariffs t ON ((t.id = v.tariff_id)))
     JOIN public.service_agreements a ON ((a.id = b.agreement_id)))
     JOIN public.service_points p ON ((p.id = a.service_point_id)));

comment on column public.bill_list.autopay is 'Of a bill that autopay is to pay: {status: of the charge, charge_on, since: the local date since which a try is under way or null, confirming: whether the bank wants its customer to confirm it, kind: of the card or account}; else null.';

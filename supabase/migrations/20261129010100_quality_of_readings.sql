-- How sure each reading is, as a code of ESPI (QualityOfReading): derived here from what is stored, and nowhere else.

create function private.quality_of_reading(
    p_source text, p_status text, p_is_opening boolean, p_supersedes_id uuid, p_decided_at timestamptz, p_validation jsonb) returns smallint
    language sql immutable
    set search_path to ''
    as $$
    select case
        -- It waits for a person, or one set it aside.
        when p_status <> 'accepted' then 10
        when p_source = 'estimated' then coalesce(
            (p_validation ->> 'quality')::smallint, case p_validation #>> '{estimate,rule}' when 'class_profile' then 11 else 8 end)
        -- A person put it in the place of another, or accepted what a rule or AI doubted.
        when p_supersedes_id is not null then 7
        when p_decided_at is not null or p_validation ->> 'verdict' = 'needs_review' then 18
        when p_validation ? 'quality' then (p_validation ->> 'quality')::smallint
        when p_is_opening then 0
        when p_validation ? 'rules' then 17
        else 14
    end
$$;

comment on function private.quality_of_reading(text, text, boolean, uuid, timestamptz, jsonb) is 'How sure a reading is, as a code of ESPI (services/quantities/quality.py): questionable unless it is accepted; estimated from comparable days (8), or of similar meters alone (11), unless a file said how; edited by hand; verified, as a person accepted it; what a file said; valid as an opening read; validated, as the rules passed it; else raw.';
revoke all on function private.quality_of_reading(text, text, boolean, uuid, timestamptz, jsonb) from public;
grant execute on function private.quality_of_reading(text, text, boolean, uuid, timestamptz, jsonb) to service_role;

create or replace view public.reading_list with (security_invoker = 'true') as
 SELECT r.id,
    r.meter_id,
    m.serial AS meter_serial,
    a.customer_id,
    c.account_no,
    c.name AS customer_name,
    COALESCE(NULLIF(a.address, ''::text), c.address) AS address,
    r.read_at,
    r.read_on,
    r.register_wh,
    r.source,
    r.status,
    r.is_opening,
    r.submitted_by,
    r.validation,
    r.supersedes_id,
    r.decided_by,
    r.decided_at,
    r.decision_reason,
    r.created_at,
    b.id AS bill_id,
    b.number AS bill_number,
    b.total_minor AS bill_total_minor,
    b.currency AS bill_currency,
    r.registers,
    r.rolled_over,
    private.quality_of_reading(r.source, r.status, r.is_opening, r.supersedes_id, r.decided_at, r.validation) AS quality
   FROM ((((public.readings r
     JOIN public.meters m ON ((m.id = r.meter_id)))
     LEFT JOIN LATERAL ( SELECT x.customer_id,
            s.address
           FROM ((public.meter_installations i
             JOIN public.service_points s ON ((s.id = i.service_point_id)))
             LEFT JOIN public.service_agreements x ON (((x.service_point_id = s.id) AND (r.read_on >= x.starts_on) AND ((x.ends_on IS NULL) OR (r.read_on <= x.ends_on)))))
          WHERE ((i.meter_id = r.meter_id) AND (r.read_at >= i.installed_at) AND ((i.removed_at IS NULL) OR (r.read_at <= i.removed_at)))
          ORDER BY x.starts_on, i.installed_at
         LIMIT 1) a ON (true))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
     LEFT JOIN public.bills b ON (((b.closing_reading_id = r.id) AND (b.status <> 'void'::text))));

comment on column public.reading_list.quality is 'How sure it is: a code of ESPI.';

-- A bill says of its reads what held when it was drawn up: a read that was set aside later was an accepted one.
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
            WHEN (b.segments IS NOT NULL) THEN ( SELECT jsonb_agg((x.value || jsonb_build_object('meter_serial', y.serial, 'opened_on', o.read_on, 'opening_source', o.source, 'closed_on', e.read_on, 'closing_source', e.source,
                    'opening_quality', private.quality_of_reading(o.source, 'accepted', o.is_opening, o.supersedes_id, case o.status when 'accepted' then o.decided_at end, o.validation),
                    'closing_quality', private.quality_of_reading(e.source, 'accepted', e.is_opening, e.supersedes_id, case e.status when 'accepted' then e.decided_at end, e.validation))) ORDER BY x.ordinality) AS jsonb_agg
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
    ( SELECT private.quality_of_reading(o.source, 'accepted', o.is_opening, o.supersedes_id, case o.status when 'accepted' then o.decided_at end, o.validation)
           FROM public.readings o
          WHERE (o.id = b.opening_reading_id)) AS opening_quality,
    ( SELECT private.quality_of_reading(e.source, 'accepted', e.is_opening, e.supersedes_id, case e.status when 'accepted' then e.decided_at end, e.validation)
           FROM public.readings e
          WHERE (e.id = b.closing_reading_id)) AS closing_quality
   FROM ((((((public.bills b
     JOIN public.meters m ON ((m.id = b.meter_id)))
     JOIN public.customers c ON ((c.id = b.customer_id)))
     JOIN public.tariff_versions v ON ((v.id = b.tariff_version_id)))
     JOIN public.tariffs t ON ((t.id = v.tariff_id)))
     JOIN public.service_agreements a ON ((a.id = b.agreement_id)))
     JOIN public.service_points p ON ((p.id = a.service_point_id)));

comment on column public.bill_list.opening_quality is 'How sure the read is at which it opens: a code of ESPI.';
comment on column public.bill_list.closing_quality is 'How sure the read is at which it closes.';

create or replace function public.meter_series(p jsonb) returns jsonb
    language sql stable
    set search_path to ''
    as $$
    select jsonb_build_object(
        'days', (select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(i)) order by i.day), '[]')
                 from (select distinct on (d.day) d.day, d.minutes, d.wh, d.quality from public.intervals d
                       where d.meter_id = (p ->> 'meter_id')::uuid and d.day >= (p ->> 'from')::date and d.day < (p ->> 'until')::date
                       order by d.day, d.id desc) i),
        'reads', (select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(r)) order by r.read_at), '[]')
                  from (select x.read_at, x.register_wh, x.source,
                               private.quality_of_reading(x.source, x.status, x.is_opening, x.supersedes_id, x.decided_at, x.validation) as quality
                        from public.readings x
                        where x.meter_id = (p ->> 'meter_id')::uuid and x.status = 'accepted'
                          and x.read_on >= (p ->> 'from')::date and x.read_on < (p ->> 'until')::date) r))
$$;

comment on function public.meter_series(p jsonb) is 'What a meter measured from a local date to before another: {meter_id, from, until} -> {days: [{day, minutes, wh: nulls where nothing is known, quality?}], reads: [{read_at, register_wh: before the multiplier, source, quality: a code of ESPI}] that were accepted}.';

create or replace view private.export_reads with (security_invoker = 'true') as
 SELECT id,
    serial,
    COALESCE(( SELECT jsonb_agg(jsonb_build_object('read_at', x.read_at, 'register_wh', x.register_wh, 'registers', x.registers, 'quality',
                case x.status when 'accepted' then to_jsonb(private.quality_of_reading(x.source, x.status, x.is_opening, x.supersedes_id, x.decided_at, x.validation))
                              else x.validation -> 'quality' end) ORDER BY x.read_at) AS jsonb_agg
           FROM public.readings x
          WHERE ((x.meter_id = m.id) AND (x.read_at > m.read_at) AND (x.read_on > m.read_on) AND (x.status = ANY (ARRAY['accepted'::text, 'needs_review'::text])))), '[]'::jsonb) AS reads
   FROM private.export_meters m;

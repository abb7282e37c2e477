-- A full export says of each read who or what took it: what a customer read is settled by the next actual read there too.

create or replace view private.export_reads with (security_invoker = 'true') as
 SELECT id,
    serial,
    COALESCE(( SELECT jsonb_agg(jsonb_build_object('read_at', x.read_at, 'register_wh', x.register_wh, 'registers', x.registers, 'source', x.source, 'quality',
                case x.status when 'accepted' then to_jsonb(private.quality_of_reading(x.source, x.status, x.is_opening, x.supersedes_id, x.decided_at, x.validation))
                              else x.validation -> 'quality' end) ORDER BY x.read_at) AS jsonb_agg
           FROM public.readings x
          WHERE ((x.meter_id = m.id) AND (x.read_at > m.read_at) AND (x.read_on > m.read_on) AND (x.status = ANY (ARRAY['accepted'::text, 'needs_review'::text])))), '[]'::jsonb) AS reads
   FROM private.export_meters m;

create or replace view private.export_meters with (security_invoker = 'true') as
 SELECT m.id,
    m.serial,
    m.kind,
    m.dials,
    m.registers,
    i.multiplier_milli,
    r.id AS opening_id,
    r.read_at,
    r.read_on,
    r.register_wh,
    r.registers AS opening_registers,
    s.id AS service_point_id,
    s.code AS service_point,
    c.account_no,
    t.code AS tariff_code,
    private.quality_of_reading(r.source, r.status, r.is_opening, r.supersedes_id, r.decided_at, r.validation) AS opening_quality,
    r.source AS opening_source
   FROM ((((((((public.meters m
     JOIN public.meter_installations i ON (((i.meter_id = m.id) AND (i.removed_at IS NULL))))
     JOIN public.service_points s ON ((s.id = i.service_point_id)))
     LEFT JOIN LATERAL ( SELECT b_1.closing_reading_id
           FROM ((public.service_agreements a_1
             JOIN public.bills b_1 ON (((b_1.agreement_id = a_1.id) AND (b_1.status = 'issued'::text) AND (b_1.meter_id = m.id))))
             JOIN public.readings x ON (((x.id = b_1.closing_reading_id) AND (x.read_at >= i.installed_at))))
          WHERE (a_1.service_point_id = s.id)
          ORDER BY x.read_at DESC
         LIMIT 1) b ON (true))
     JOIN public.readings r ON ((r.id = COALESCE(b.closing_reading_id, i.opening_reading_id))))
     LEFT JOIN public.service_agreements a ON (((a.service_point_id = s.id) AND (a.starts_on <= r.read_on) AND (COALESCE(a.ends_on, 'infinity'::date) > r.read_on))))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
     LEFT JOIN LATERAL ( SELECT y_1.tariff_id
           FROM public.agreement_tariffs y_1
          WHERE (y_1.agreement_id = a.id)
          ORDER BY (y_1.starts_on <= r.read_on) DESC,
                CASE
                    WHEN (y_1.starts_on <= r.read_on) THEN y_1.starts_on
                    ELSE NULL::date
                END DESC, y_1.starts_on
         LIMIT 1) y ON (true))
     LEFT JOIN public.tariffs t ON ((t.id = y.tariff_id)));

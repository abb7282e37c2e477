-- Readings: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.readings (
    id uuid NOT NULL,
    meter_id uuid NOT NULL,
    read_at timestamp with time zone NOT NULL,
    read_on date NOT NULL,
    register_wh bigint NOT NULL,
    source text NOT NULL,
    status text NOT NULL,
    is_opening boolean DEFAULT false NOT NULL,
    submitted_by text NOT NULL,
    validation jsonb DEFAULT '{}'::jsonb NOT NULL,
    supersedes_id uuid,
    decided_by text,
    decided_at timestamp with time zone,
    decision_reason text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    registers jsonb DEFAULT '{}'::jsonb NOT NULL,
    rolled_over boolean DEFAULT false NOT NULL,
    CONSTRAINT readings_check CHECK (((NOT is_opening) OR (status = 'accepted'::text))),
    CONSTRAINT readings_register_wh_check CHECK ((register_wh >= 0)),
    CONSTRAINT readings_registers_check CHECK ((jsonb_typeof(registers) = 'object'::text)),
    CONSTRAINT readings_source_check CHECK ((source = ANY (ARRAY['field'::text, 'smart'::text, 'customer'::text, 'estimated'::text, 'imported'::text]))),
    CONSTRAINT readings_status_check CHECK ((status = ANY (ARRAY['accepted'::text, 'needs_review'::text, 'rejected'::text, 'superseded'::text]))),
    CONSTRAINT readings_submitted_by_check CHECK ((submitted_by <> ''::text))
)
WITH (autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.readings IS 'The reads of each meter''s register. A correction is a new row that supersedes the old one.';

COMMENT ON COLUMN public.readings.read_on IS 'Local date of the read in the utility''s zone, as it was when the read was taken.';

COMMENT ON COLUMN public.readings.register_wh IS 'The register''s value in Wh, before the multiplier.';

COMMENT ON COLUMN public.readings.is_opening IS 'The read at which the meter was installed. One that was corrected is it no longer.';

COMMENT ON COLUMN public.readings.validation IS 'Outcome of each rule, and what AI thought, as they were when the read came in.';

COMMENT ON COLUMN public.readings.registers IS 'What the further registers showed, before the multiplier: {name: whole Wh (VAh, varh), or W (VA, var) of a maximum}.';

COMMENT ON COLUMN public.readings.rolled_over IS 'A person said that the register passed its last digit and began again at 0 before this read, which is below an earlier one.';

ALTER TABLE ONLY public.readings
    ADD CONSTRAINT readings_pkey PRIMARY KEY (id);

CREATE INDEX readings_accepted ON public.readings USING btree (meter_id, read_at DESC) WHERE (status = 'accepted'::text);

CREATE INDEX readings_by_day ON public.readings USING btree (meter_id, read_on);

CREATE INDEX readings_by_submitter ON public.readings USING btree (submitted_by, created_at DESC);

CREATE INDEX readings_estimated ON public.readings USING btree (read_on, id) WHERE ((source = 'estimated'::text) AND (status = 'accepted'::text));

CREATE INDEX readings_flagged ON public.readings USING btree (created_at) WHERE (status = 'needs_review'::text);

CREATE INDEX readings_judged_by_ai ON public.readings USING btree (created_at) WHERE ((validation #>> '{ai,verdict}'::text[]) IS NOT NULL);

CREATE INDEX readings_not_asked ON public.readings USING btree (created_at) WHERE (validation ? 'ai_spared'::text);

CREATE UNIQUE INDEX readings_one_live ON public.readings USING btree (meter_id, read_at) WHERE (status = ANY (ARRAY['accepted'::text, 'needs_review'::text]));

CREATE INDEX readings_opening ON public.readings USING btree (meter_id) WHERE is_opening;

CREATE INDEX readings_rolled_over ON public.readings USING btree (meter_id, read_at) WHERE (rolled_over AND (status = 'accepted'::text));

CREATE INDEX readings_written ON public.readings USING brin (created_at);

ALTER TABLE public.readings ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.readings TO service_role;

CREATE TABLE public.idempotency_keys (
    caller text NOT NULL,
    key text NOT NULL,
    body_hash text NOT NULL,
    reading_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.idempotency_keys IS 'The key a caller sent with a reading: the same key and body is a replay, with another body a conflict.';

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller, key);

CREATE INDEX idempotency_keys_by_time ON public.idempotency_keys USING btree (created_at);

CREATE INDEX idempotency_keys_reading ON public.idempotency_keys USING btree (reading_id);

ALTER TABLE public.idempotency_keys ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.idempotency_keys TO service_role;

CREATE TABLE public.intervals (
    id bigint NOT NULL,
    meter_id uuid NOT NULL,
    day date NOT NULL,
    minutes smallint NOT NULL,
    wh integer[] NOT NULL,
    imported_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    quality smallint[],
    CONSTRAINT intervals_check CHECK (((((cardinality(wh) * minutes) >= (22 * 60)) AND ((cardinality(wh) * minutes) <= (26 * 60))) AND (array_remove(wh, NULL::integer) <> '{}'::integer[]) AND (0 <= ALL (wh)))),
    CONSTRAINT intervals_imported_by_check CHECK ((imported_by <> ''::text)),
    CONSTRAINT intervals_minutes_check CHECK ((minutes = ANY (ARRAY[15, 30, 60]))),
    CONSTRAINT intervals_quality_check CHECK ((((cardinality(quality) = 1) OR (cardinality(quality) = cardinality(wh))) AND (0 <= ALL (quality)) AND (19 >= ALL (quality))))
);

COMMENT ON TABLE public.intervals IS 'The interval series of meters, a row a local day. A day that is imported again with other values is a new row; the latest counts.';

COMMENT ON COLUMN public.intervals.wh IS 'Wh after the multiplier in each interval of the day, in order of time; a day on which clocks change has an hour more or less. Null where no value came yet: such a day is billed once it is whole.';

COMMENT ON COLUMN public.intervals.quality IS 'How sure each interval is, as a code of ESPI (services/quantities/quality.py): one for each, or one for the whole day; null where nothing was said.';

ALTER TABLE ONLY public.intervals
    ADD CONSTRAINT intervals_pkey PRIMARY KEY (id);

CREATE INDEX intervals_latest ON public.intervals USING btree (meter_id, day, id DESC);

CREATE INDEX intervals_written ON public.intervals USING brin (created_at);

ALTER TABLE public.intervals ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.intervals TO service_role;

ALTER TABLE public.intervals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.intervals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.intervals_id_seq TO service_role;

CREATE TABLE public.latest_reads (
    service_point_id uuid NOT NULL,
    read_on date NOT NULL,
    is_first boolean NOT NULL,
    route text NOT NULL,
    by_hand boolean NOT NULL
);

COMMENT ON TABLE public.latest_reads IS 'Of each place with a meter the local date of its last accepted read. Kept by triggers from readings and installations.';

COMMENT ON COLUMN public.latest_reads.is_first IS 'Whether nothing was read there since its meters were put in.';

COMMENT ON COLUMN public.latest_reads.route IS 'The route of the place.';

COMMENT ON COLUMN public.latest_reads.by_hand IS 'Whether its meter is read by hand.';

ALTER TABLE ONLY public.latest_reads
    ADD CONSTRAINT latest_reads_pkey PRIMARY KEY (service_point_id);

CREATE INDEX latest_reads_by_day ON public.latest_reads USING btree (read_on, service_point_id);

CREATE INDEX latest_reads_first ON public.latest_reads USING btree (service_point_id) WHERE is_first;

CREATE INDEX latest_reads_of_routes ON public.latest_reads USING btree (route, read_on) WHERE by_hand;

ALTER TABLE public.latest_reads ENABLE ROW LEVEL SECURITY;

GRANT ALL ON TABLE public.latest_reads TO service_role;

CREATE TABLE public.reading_requests (
    id uuid NOT NULL,
    meter_id uuid NOT NULL,
    reason text NOT NULL,
    about_reading_id uuid,
    requested_on date NOT NULL,
    requested_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    done_at timestamp with time zone,
    done_reading_id uuid,
    CONSTRAINT reading_requests_check CHECK (((done_reading_id IS NULL) OR (done_at IS NOT NULL))),
    CONSTRAINT reading_requests_reason_check CHECK (((reason = btrim(reason)) AND (reason <> ''::text) AND (length(reason) <= 500))),
    CONSTRAINT reading_requests_requested_by_check CHECK ((requested_by <> ''::text))
);

COMMENT ON TABLE public.reading_requests IS 'Meters that the office asked to have read again. At most one is open for a meter; the next read of it closes it.';

COMMENT ON COLUMN public.reading_requests.about_reading_id IS 'The reading that was doubted, where there is one.';

COMMENT ON COLUMN public.reading_requests.requested_on IS 'Local date.';

COMMENT ON COLUMN public.reading_requests.done_reading_id IS 'The reading that answered it; null while it is open, and where it was withdrawn.';

ALTER TABLE ONLY public.reading_requests
    ADD CONSTRAINT reading_requests_pkey PRIMARY KEY (id);

CREATE INDEX reading_requests_about ON public.reading_requests USING btree (about_reading_id) WHERE (about_reading_id IS NOT NULL);

CREATE INDEX reading_requests_done ON public.reading_requests USING btree (done_reading_id) WHERE (done_reading_id IS NOT NULL);

CREATE INDEX reading_requests_of_meter ON public.reading_requests USING btree (meter_id, created_at DESC);

CREATE UNIQUE INDEX reading_requests_one_open ON public.reading_requests USING btree (meter_id) WHERE (done_at IS NULL);

ALTER TABLE public.reading_requests ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_requests TO service_role;

CREATE TABLE public.missed_reads (
    id uuid NOT NULL,
    service_point_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    missed_at timestamp with time zone NOT NULL,
    missed_on date NOT NULL,
    reason text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    submitted_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT missed_reads_check CHECK (((reason <> 'other'::text) OR (note <> ''::text))),
    CONSTRAINT missed_reads_note_check CHECK (((note = btrim(note)) AND (length(note) <= 500))),
    CONSTRAINT missed_reads_reason_check CHECK ((reason = ANY (ARRAY['no_access'::text, 'dog'::text, 'damaged'::text, 'not_found'::text, 'locked'::text, 'other'::text]))),
    CONSTRAINT missed_reads_submitted_by_check CHECK ((submitted_by <> ''::text))
);

COMMENT ON TABLE public.missed_reads IS 'Visits at which a meter could not be read, and why.';

COMMENT ON COLUMN public.missed_reads.missed_on IS 'Local date of the visit.';

ALTER TABLE ONLY public.missed_reads
    ADD CONSTRAINT missed_reads_pkey PRIMARY KEY (id);

CREATE INDEX missed_reads_by_day ON public.missed_reads USING btree (missed_on, service_point_id);

CREATE INDEX missed_reads_by_time ON public.missed_reads USING btree (missed_at, meter_id);

CREATE INDEX missed_reads_of_meter ON public.missed_reads USING btree (meter_id, missed_on);

CREATE INDEX missed_reads_of_point ON public.missed_reads USING btree (service_point_id, missed_on);

CREATE INDEX missed_reads_walked ON public.missed_reads USING btree (missed_on, id);

ALTER TABLE public.missed_reads ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.missed_reads TO service_role;

CREATE TABLE public.photo_contents (
    sha256 text NOT NULL,
    jpeg bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT photo_contents_check CHECK ((encode(sha256(jpeg), 'hex'::text) = sha256)),
    CONSTRAINT photo_contents_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);

COMMENT ON TABLE public.photo_contents IS 'The pictures themselves, each kept once; made anew from their pixels, so that they hold no place and no other data.';

ALTER TABLE ONLY public.photo_contents
    ADD CONSTRAINT photo_contents_pkey PRIMARY KEY (sha256);

ALTER TABLE public.photo_contents ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE ON TABLE public.photo_contents TO service_role;

CREATE TABLE public.meter_photos (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    meter_id uuid NOT NULL,
    taken_by text NOT NULL,
    key text NOT NULL,
    sha256 text NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT meter_photos_height_check CHECK ((height > 0)),
    CONSTRAINT meter_photos_key_check CHECK (((length(key) >= 1) AND (length(key) <= 200))),
    CONSTRAINT meter_photos_taken_by_check CHECK ((taken_by <> ''::text)),
    CONSTRAINT meter_photos_width_check CHECK ((width > 0))
);

COMMENT ON TABLE public.meter_photos IS 'Who photographed which meter. A photo belongs to the reading, or to the missed read, that the same person sends under the same key.';

COMMENT ON COLUMN public.meter_photos.key IS 'The idempotency key of the reading, or the id of the missed read.';

ALTER TABLE ONLY public.meter_photos
    ADD CONSTRAINT meter_photos_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.meter_photos
    ADD CONSTRAINT meter_photos_taken_by_key_key UNIQUE (taken_by, key);

CREATE INDEX meter_photos_by_time ON public.meter_photos USING btree (created_at);

CREATE INDEX meter_photos_content ON public.meter_photos USING btree (sha256);

CREATE INDEX meter_photos_of_meter ON public.meter_photos USING btree (meter_id, created_at DESC);

ALTER TABLE public.meter_photos ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE ON TABLE public.meter_photos TO service_role;

CREATE TABLE public.photos_to_claim (
    photo_id uuid NOT NULL,
    kept_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.photos_to_claim IS 'Photos of the last 30 days, whose reading or missed read may still come; each is looked at once, after them.';

ALTER TABLE ONLY public.photos_to_claim
    ADD CONSTRAINT photos_to_claim_pkey PRIMARY KEY (photo_id);

CREATE INDEX photos_to_claim_by_time ON public.photos_to_claim USING btree (kept_at);

ALTER TABLE public.photos_to_claim ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.photos_to_claim TO service_role;

CREATE TABLE public.refused_reads (
    submitted_by text NOT NULL,
    key text NOT NULL,
    meter_serial text NOT NULL,
    shown text NOT NULL,
    read_at text NOT NULL,
    why text NOT NULL,
    refused_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT refused_reads_key_check CHECK ((key <> ''::text)),
    CONSTRAINT refused_reads_submitted_by_check CHECK ((submitted_by <> ''::text)),
    CONSTRAINT refused_reads_why_check CHECK ((why <> ''::text))
);

COMMENT ON TABLE public.refused_reads IS 'Readings that came from the round and were refused, as they were typed; at most 200 of one person within a day are kept, until retention removes them.';

COMMENT ON COLUMN public.refused_reads.key IS 'The idempotency key under which the phone sent it.';

COMMENT ON COLUMN public.refused_reads.shown IS 'What was typed for the total, and for further registers.';

ALTER TABLE ONLY public.refused_reads
    ADD CONSTRAINT refused_reads_pkey PRIMARY KEY (submitted_by, key);

CREATE INDEX refused_reads_by_time ON public.refused_reads USING btree (refused_at);

CREATE INDEX refused_reads_of_user ON public.refused_reads USING btree (submitted_by, refused_at);

ALTER TABLE public.refused_reads ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.refused_reads TO service_role;

ALTER TABLE ONLY public.readings
    ADD CONSTRAINT readings_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meters(id);

ALTER TABLE ONLY public.readings
    ADD CONSTRAINT readings_supersedes_id_fkey FOREIGN KEY (supersedes_id) REFERENCES public.readings(id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_reading_id_fkey FOREIGN KEY (reading_id) REFERENCES public.readings(id);

ALTER TABLE ONLY public.intervals
    ADD CONSTRAINT intervals_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meters(id);

ALTER TABLE ONLY public.reading_requests
    ADD CONSTRAINT reading_requests_about_reading_id_fkey FOREIGN KEY (about_reading_id) REFERENCES public.readings(id);

ALTER TABLE ONLY public.reading_requests
    ADD CONSTRAINT reading_requests_done_reading_id_fkey FOREIGN KEY (done_reading_id) REFERENCES public.readings(id);

ALTER TABLE ONLY public.reading_requests
    ADD CONSTRAINT reading_requests_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meters(id);

ALTER TABLE ONLY public.missed_reads
    ADD CONSTRAINT missed_reads_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meters(id);

ALTER TABLE ONLY public.meter_photos
    ADD CONSTRAINT meter_photos_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meters(id);

ALTER TABLE ONLY public.meter_photos
    ADD CONSTRAINT meter_photos_sha256_fkey FOREIGN KEY (sha256) REFERENCES public.photo_contents(sha256);

ALTER TABLE ONLY public.photos_to_claim
    ADD CONSTRAINT photos_to_claim_photo_id_fkey FOREIGN KEY (photo_id) REFERENCES public.meter_photos(id) ON DELETE CASCADE;

CREATE VIEW public.meter_photo_list WITH (security_invoker='true') AS
 SELECT p.id,
    p.meter_id,
    m.serial AS meter_serial,
    p.taken_by,
    p.key,
    p.sha256,
    p.width,
    p.height,
    p.created_at,
    k.reading_id,
    x.id AS missed_read_id
   FROM (((public.meter_photos p
     JOIN public.meters m ON ((m.id = p.meter_id)))
     LEFT JOIN public.idempotency_keys k ON (((k.caller = p.taken_by) AND (k.key = p.key) AND (EXISTS ( SELECT 1
           FROM public.readings r
          WHERE ((r.id = k.reading_id) AND (r.meter_id = p.meter_id)))))))
     LEFT JOIN public.missed_reads x ON ((((x.id)::text = p.key) AND (x.submitted_by = p.taken_by) AND (x.meter_id = p.meter_id))));

COMMENT ON VIEW public.meter_photo_list IS 'Photos of meters with the reading or the missed read that they belong to, once it came.';

GRANT ALL ON TABLE public.meter_photo_list TO service_role;

CREATE VIEW public.refused_read_list WITH (security_invoker='true') AS
 SELECT x.submitted_by,
    x.key,
    x.meter_serial,
    x.shown,
    x.read_at,
    x.why,
    x.refused_at,
    m.id AS meter_id,
    (EXISTS ( SELECT 1
           FROM public.readings r
          WHERE ((r.meter_id = m.id) AND (r.created_at > x.refused_at) AND (r.source <> 'estimated'::text) AND (r.status = ANY (ARRAY['accepted'::text, 'needs_review'::text]))))) AS was_read_since
   FROM (public.refused_reads x
     LEFT JOIN public.meters m ON ((m.serial = x.meter_serial)));

COMMENT ON VIEW public.refused_read_list IS 'Refused readings of the round, each with its meter where there is one, and whether a reading of it came since.';

GRANT ALL ON TABLE public.refused_read_list TO service_role;

CREATE FUNCTION public.keep_idempotency_key(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.keep_key(p, (p ->> 'reading_id')::uuid);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.keep_idempotency_key(p jsonb) IS 'Binds a key to the reading that its body repeats: {caller, idempotency_key, body_hash, reading_id}.';

REVOKE ALL ON FUNCTION public.keep_idempotency_key(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.keep_idempotency_key(p jsonb) TO service_role;

CREATE FUNCTION private.causes_of(p_validation jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select array(
        select x ->> 'rule'
        from jsonb_array_elements(case when jsonb_typeof(p_validation -> 'rules') = 'array' then p_validation -> 'rules' else '[]' end) x
        where x ->> 'outcome' in ('review', 'warn'))
        || case when p_validation -> 'ai' ->> 'verdict' = 'suspicious' then array['ai'] else '{}' end
$$;

COMMENT ON FUNCTION private.causes_of(p_validation jsonb) IS 'The rules that doubt a reading or explain a doubt, and ai where AI doubts it.';

REVOKE ALL ON FUNCTION private.causes_of(p_validation jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.causes_of(p_validation jsonb) TO service_role;

CREATE FUNCTION public.exceptions(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with ranked as materialized (
        select r.id, r.meter_id, r.read_at, private.causes_of(r.validation) as causes,
               private.at_stake_wh(r.validation) as at_stake_wh
        from public.readings r
        where r.status = 'needs_review'
        order by private.at_stake_wh(r.validation) desc, r.id
        limit (p ->> 'ranked_to')::integer
    ), priced as materialized (
        select r.*, coalesce(s.route, '') as route, b.currency, b.rate,
               r.at_stake_wh * coalesce(b.rate, avg(b.rate) over (), 1) as rank
        from ranked r
        left join lateral (
            select i.service_point_id from public.meter_installations i
            where i.meter_id = r.meter_id and i.installed_at <= r.read_at and (i.removed_at is null or r.read_at <= i.removed_at)
            order by i.installed_at desc limit 1) i on true
        left join public.service_points s on s.id = i.service_point_id
        left join lateral (
            -- What a kWh of its last bill came to, all in all.
            select x.currency, x.total_minor::numeric / x.consumption_wh as rate from public.bills x
            where x.meter_id = r.meter_id and x.status <> 'void' and x.consumption_wh > 0
            order by x.period_end desc limit 1) b on true
    ), found as materialized (
        select x.* from priced x
        where (p ->> 'cause' is null or p ->> 'cause' = any (x.causes))
          and (p ->> 'route' is null or p ->> 'route' = x.route)
    )
    select jsonb_build_object(
        'total', (select count(*) from found),
        'ranked', (select count(*) from ranked),
        'causes', (select coalesce(jsonb_object_agg(c.cause, c.n), '{}') from (
            select cause, count(*) as n from priced, unnest(causes) cause group by cause) c),
        'routes', (select coalesce(jsonb_object_agg(c.route, c.n), '{}') from (
            select route, count(*) as n from priced group by route) c),
        'items', (select coalesce(jsonb_agg(jsonb_build_object(
                      'reading', private.reading_json(n.id), 'route', n.route, 'at_stake_wh', n.at_stake_wh, 'currency', n.currency,
                      'at_stake_minor', round(n.at_stake_wh * n.rate)) order by n.skipped, n.rank desc, n.id), '[]')
                  from (select f.*, coalesce(s.place, 0) as skipped
                        from found f
                        left join jsonb_array_elements_text(p -> 'skipped') with ordinality s(id, place) on s.id = f.id::text
                        order by skipped, f.rank desc, f.id
                        limit (p ->> 'limit')::integer) n))
$$;

COMMENT ON FUNCTION public.exceptions(p jsonb) IS 'Readings that wait for a decision, the most money at stake first: {ranked_to, limit, cause?, route?, skipped: [ids]} -> {total, ranked, causes: {cause: number}, routes: {route: number}, items: [{reading, route, at_stake_wh, at_stake_minor, currency}]}. Of more than ranked_to those with the most energy at stake are looked at; skipped ones come last, in their order.';

REVOKE ALL ON FUNCTION public.exceptions(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.exceptions(p jsonb) TO service_role;

CREATE FUNCTION private.reading_json(p_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select to_jsonb(r) from public.reading_list r where r.id = p_id
$$;

REVOKE ALL ON FUNCTION private.reading_json(p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.reading_json(p_id uuid) TO service_role;

CREATE FUNCTION public.import_intervals(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', u."row", 'column', 'meter_serial', 'message',
               format('No meter has the serial %s.', u.meter_serial)) order by u."row")
    into v_errors
    from (select x.meter_serial, min(x."row") as "row"
          from jsonb_to_recordset(p -> 'rows') as x("row" integer, meter_serial text)
          where not exists (select 1 from public.meters m where m.serial = x.meter_serial)
          group by 1) u;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        -- Two imports of a day at once must not both add it.
        perform 1 from public.meters
        where serial in (select x ->> 'meter_serial' from jsonb_array_elements(p -> 'rows') x)
        order by id for no key update;
        with compared as materialized (
            select m.id as meter_id, x.day, x.minutes, v.wh, v.quality, s.id as stored,
                   (s.minutes, s.wh, private.each_quality(s.quality, cardinality(s.wh))) is distinct from
                   (x.minutes, v.wh, private.each_quality(v.quality, cardinality(v.wh))) as differs
            from jsonb_to_recordset(p -> 'rows') as x(meter_serial text, day date, minutes smallint, wh integer[], quality smallint[])
            join public.meters m on m.serial = x.meter_serial
            left join lateral (
                select i.id, i.minutes, i.wh, i.quality from public.intervals i
                where i.meter_id = m.id and i.day = x.day order by i.id desc limit 1) s on true
            -- What a part of a day has not is kept as it is stored.
            left join lateral (
                select array_agg(coalesce(n.wh, o.wh) order by n.place) as wh,
                       case when x.quality is not null or s.quality is not null
                            then array_agg(case when n.wh is not null then coalesce(n.quality, 0::smallint)
                                                when o.wh is not null then coalesce(o.quality, 0::smallint) end order by n.place) end as quality
                from unnest(x.wh, private.each_quality(x.quality, cardinality(x.wh))) with ordinality n(wh, quality, place)
                join unnest(s.wh, private.each_quality(s.quality, cardinality(s.wh))) with ordinality o(wh, quality, place) using (place)
                where array_position(x.wh, null) is not null and s.minutes = x.minutes and cardinality(s.wh) = cardinality(x.wh)
                having count(*) > 0) b on true
            -- A file that says nothing of the quality of what is stored leaves that too.
            cross join lateral (
                select coalesce(b.wh, x.wh) as wh,
                       case when b.wh is not null then b.quality
                            when x.quality is null and (s.minutes, s.wh) = (x.minutes, x.wh) then s.quality
                            else x.quality end as quality) v
        ), kept as (
            insert into public.intervals (meter_id, day, minutes, wh, quality, imported_by)
            select c.meter_id, c.day, c.minutes, c.wh, c.quality, p ->> 'actor' from compared c where c.differs
        )
        select count(*) filter (where stored is null), count(*) filter (where stored is not null and differs)
        into v_added, v_changed from compared;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_intervals(p jsonb) IS 'Keeps days of interval series: {actor, dry_run, rows: [{row, meter_serial, day, minutes, wh: [...], quality?: [...]}]}. A day that is there with other values gets a new version; nulls in wh leave what is stored.';

REVOKE ALL ON FUNCTION public.import_intervals(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_intervals(p jsonb) TO service_role;

CREATE FUNCTION private.keep_key(p jsonb, p_reading_id uuid) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.idempotency_keys (caller, key, body_hash, reading_id)
    select p ->> 'caller', p ->> 'idempotency_key', p ->> 'body_hash', p_reading_id
    where p ->> 'idempotency_key' is not null
    on conflict do nothing
$$;

REVOKE ALL ON FUNCTION private.keep_key(p jsonb, p_reading_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_key(p jsonb, p_reading_id uuid) TO service_role;

CREATE FUNCTION private.find_replay(p jsonb, p_meter_id uuid) RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_key public.idempotency_keys;
    v_reading uuid;
begin
    if p ->> 'idempotency_key' is not null then
        select * into v_key from public.idempotency_keys
        where caller = p ->> 'caller' and key = p ->> 'idempotency_key';
        if found then
            if v_key.body_hash <> p ->> 'body_hash' then
                perform private.refuse('EB002', 'This idempotency key was used for another reading.');
            end if;
            return v_key.reading_id;
        end if;
    end if;
    select id into v_reading from public.readings
    where meter_id = p_meter_id and read_on = (p ->> 'read_on')::date
      and register_wh = (p ->> 'register_wh')::bigint and registers = coalesce(p -> 'registers', '{}')
      and status in ('accepted', 'needs_review')
    order by created_at limit 1;
    if found then
        return v_reading;
    end if;
    if exists (select 1 from public.readings
               where meter_id = p_meter_id and read_at = (p ->> 'read_at')::timestamptz
                 and status in ('accepted', 'needs_review')) then
        perform private.refuse('EB003', 'Another value was already submitted for this meter at this very time.');
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.find_replay(p jsonb, p_meter_id uuid) IS 'The reading that this submission repeats, or null. Refuses a reused key (EB002) and a second value at one instant (EB003).';

REVOKE ALL ON FUNCTION private.find_replay(p jsonb, p_meter_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.find_replay(p jsonb, p_meter_id uuid) TO service_role;

CREATE FUNCTION private.insert_reading(p_reading jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.readings (
        id, meter_id, read_at, read_on, register_wh, source, status, is_opening, submitted_by, validation,
        supersedes_id, decided_by, decided_at, decision_reason, registers, rolled_over)
    select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.source, r.status,
           coalesce(r.is_opening, false), r.submitted_by, coalesce(r.validation, '{}'),
           r.supersedes_id, r.decided_by, r.decided_at, r.decision_reason, coalesce(r.registers, '{}'),
           coalesce(r.rolled_over, false)
    from jsonb_to_record(p_reading) as r(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text,
        status text, is_opening boolean, submitted_by text, validation jsonb, supersedes_id uuid,
        decided_by text, decided_at timestamptz, decision_reason text, registers jsonb, rolled_over boolean)
$$;

REVOKE ALL ON FUNCTION private.insert_reading(p_reading jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.insert_reading(p_reading jsonb) TO service_role;

CREATE FUNCTION private.neighbours(p_meter_id uuid, p_at timestamp with time zone) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_array(
        (select r.id from public.readings r
         where r.meter_id = p_meter_id and r.status = 'accepted' and r.read_at < p_at
         order by r.read_at desc limit 1),
        (select r.id from public.readings r
         where r.meter_id = p_meter_id and r.status = 'accepted' and r.read_at > p_at
         order by r.read_at limit 1))
$$;

COMMENT ON FUNCTION private.neighbours(p_meter_id uuid, p_at timestamp with time zone) IS 'The accepted reads before and after an instant, or null.';

REVOKE ALL ON FUNCTION private.neighbours(p_meter_id uuid, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION private.neighbours(p_meter_id uuid, p_at timestamp with time zone) TO service_role;

CREATE FUNCTION private.guard_reading() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_decision text[] := array['status', 'decided_by', 'decided_at', 'decision_reason'];
begin
    if old.is_opening and old.status = 'accepted' and (
        new.status = 'superseded'
        -- Of a meter that was never installed there, or not then.
        or (new.status = 'rejected' and not exists (
            select 1 from public.meter_installations i where old.id in (i.opening_reading_id, i.closing_reading_id)))) then
        v_decision := v_decision || array['is_opening'];
    end if;
    -- Whoever accepts a flagged read may say that the register rolled over before it.
    if old.status = 'needs_review' and new.status = 'accepted' then
        v_decision := v_decision || array['rolled_over'];
    end if;
    if to_jsonb(new) - v_decision <> to_jsonb(old) - v_decision then
        raise exception using errcode = 'EB005',
            message = 'A reading is never overwritten: enter a correction instead.';
    end if;
    if new.status <> old.status and not (
        (old.status = 'needs_review' and new.status in ('accepted', 'rejected', 'superseded'))
        or (old.status = 'accepted' and new.status in ('superseded', 'rejected') and not new.is_opening)
    ) then
        raise exception using errcode = 'EB005',
            message = format('This reading is already %s.', replace(old.status, '_', ' '));
    end if;
    return new;
end $$;

REVOKE ALL ON FUNCTION private.guard_reading() FROM PUBLIC;
GRANT ALL ON FUNCTION private.guard_reading() TO service_role;

CREATE FUNCTION private.reads_between(p_point_id uuid, p_opening_id uuid, p_until timestamp with time zone) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', r.id, 'meter_id', r.meter_id, 'read_at', r.read_at, 'read_on', r.read_on, 'register_wh', r.register_wh,
               'registers', r.registers, 'rolled_over', r.rolled_over, 'source', r.source, 'reissues', private.reissues(r.id)) order by r.read_at), '[]')
    from public.meter_installations i
    join public.readings r on r.meter_id = i.meter_id and r.status = 'accepted'
    where i.service_point_id = p_point_id
      -- A bill ends where a meter was removed, not where the next one was installed.
      and r.read_at > i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
      and r.read_at < p_until and r.read_at > (select o.read_at from public.readings o where o.id = p_opening_id)
$$;

COMMENT ON FUNCTION private.reads_between(p_point_id uuid, p_opening_id uuid, p_until timestamp with time zone) IS 'The accepted reads at a service point after an opening read and before an instant, each with how many void bills opened there.';

REVOKE ALL ON FUNCTION private.reads_between(p_point_id uuid, p_opening_id uuid, p_until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION private.reads_between(p_point_id uuid, p_opening_id uuid, p_until timestamp with time zone) TO service_role;

CREATE FUNCTION public.reading_rounds(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_today constant date := (p ->> 'today')::date;
    v_before constant date := (p ->> 'read_before')::date;
    v_after text := p ->> 'after';
    v_route text;
    v_routes text[] := '{}';
    -- Few of many meters, looked up once.
    v_asked constant uuid[] := array(select q.meter_id from public.reading_requests q where q.done_at is null);
    v_waits constant uuid[] := array(select r.meter_id from public.readings r where r.status = 'needs_review' and r.read_on > v_before);
    v_missed constant uuid[] := array(select x.service_point_id from public.missed_reads x where x.missed_on = v_today);
    v_estimated constant uuid[] := array(
        select r.meter_id from public.readings r where r.source = 'estimated' and r.status = 'accepted' and r.read_on > v_before);
begin
    for n in 1 .. (p ->> 'limit')::integer loop
        -- One step of an index for each route, however many places there are.
        select s.route into v_route from public.service_points s
        where v_after is null or s.route > v_after order by s.route limit 1;
        exit when not found;
        v_routes := v_routes || v_route;
        v_after := v_route;
    end loop;
    return (
        with special as materialized (
            select x.id from unnest(v_missed) x (id)
            union
            select i.service_point_id from (select unnest(v_asked || v_waits || v_estimated)) x (id)
            join public.meter_installations i on i.meter_id = x.id and i.removed_at is null
        ), looked_at as materialized (
            select s.route, i.meter_id = any (v_asked) as asked, s.id = any (v_missed) as missed, l.read_on > v_before as counted_as_read,
                   i.meter_id = any (v_waits) or (l.read_on > v_before and exists (
                       select 1 from public.readings r
                       where r.meter_id = i.meter_id and r.read_on > v_before and r.read_at >= i.installed_at
                         and r.status = 'accepted' and r.source <> 'estimated')) as was_read
            from special x
            join public.service_points s on s.id = x.id and s.route = any (v_routes)
            join public.latest_reads l on l.service_point_id = s.id and l.by_hand
            cross join lateral (
                select z.meter_id, z.installed_at from public.meter_installations z
                where z.service_point_id = s.id and z.removed_at is null limit 1) i
        ), corrected as (
            select k.route, count(*) filter (where k.asked) as asked,
                   count(*) filter (where (k.asked or not k.was_read) and k.missed) as missed,
                   count(*) filter (where (k.asked or not k.was_read) and not k.missed)
                       - count(*) filter (where not k.counted_as_read) as more_still
            from looked_at k group by 1
        )
        select jsonb_build_object('rounds', coalesce(jsonb_agg(jsonb_build_object(
            'route', v.route, 'meters', c.meters, 'still', c.still + coalesce(k.more_still, 0), 'asked', coalesce(k.asked, 0),
            'missed', coalesce(k.missed, 0)) order by v.place), '[]'))
        from unnest(v_routes) with ordinality v (route, place)
        cross join lateral (
            select count(*) as meters, count(*) filter (where l.read_on <= v_before) as still
            from public.latest_reads l where l.route = v.route and l.by_hand) c
        left join corrected k on k.route = v.route);
end $$;

COMMENT ON FUNCTION public.reading_rounds(p jsonb) IS 'Routes by name with how many meters they have, are still to read, are asked for again, and could not be read today: {after?: a route, limit, read_before, today} -> {rounds}. The route of places that are on none is empty.';

REVOKE ALL ON FUNCTION public.reading_rounds(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reading_rounds(p jsonb) TO service_role;

CREATE FUNCTION private.is_read_by_hand(p_point uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select exists (select 1 from public.meter_installations i join public.meters m on m.id = i.meter_id
                   where i.service_point_id = p_point and i.removed_at is null and m.kind = 'manual')
$$;

COMMENT ON FUNCTION private.is_read_by_hand(p_point uuid) IS 'Whether a place has a meter that is read by hand.';

REVOKE ALL ON FUNCTION private.is_read_by_hand(p_point uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_read_by_hand(p_point uuid) TO service_role;

CREATE FUNCTION private.place_latest_read() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    new.route := (select s.route from public.service_points s where s.id = new.service_point_id);
    new.by_hand := private.is_read_by_hand(new.service_point_id);
    return new;
end $$;

COMMENT ON FUNCTION private.place_latest_read() IS 'Notes of the last read of a place on which route that is, and whether it is read by hand.';

REVOKE ALL ON FUNCTION private.place_latest_read() FROM PUBLIC;
GRANT ALL ON FUNCTION private.place_latest_read() TO service_role;

CREATE FUNCTION private.note_moved_places() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.latest_reads l set route = n.route
    from new_rows n where l.service_point_id = n.id and l.route <> n.route;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.note_moved_places() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_moved_places() TO service_role;

CREATE FUNCTION private.note_kinds_of_meters() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.latest_reads l set by_hand = not l.by_hand
    from new_rows n join public.meter_installations i on i.meter_id = n.id and i.removed_at is null
    where l.service_point_id = i.service_point_id and l.by_hand <> private.is_read_by_hand(i.service_point_id);
    return null;
end $$;

REVOKE ALL ON FUNCTION private.note_kinds_of_meters() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_kinds_of_meters() TO service_role;

CREATE FUNCTION public.reading_to_correct(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    r public.readings;
begin
    select * into r from public.readings where id = (p ->> 'reading_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    return jsonb_build_object(
        'reading', private.reading_json(r.id),
        'bill_id', (select b.id from public.bills b
                    where b.status <> 'void' and r.id in (b.closing_reading_id, b.opening_reading_id)
                    order by b.closing_reading_id = r.id desc limit 1),
        'at_a_change', r.is_opening or exists (select 1 from public.meter_installations i where r.id in (i.opening_reading_id, i.closing_reading_id))
            or exists (select 1 from public.service_agreements a where r.id in (a.opening_reading_id, a.closing_reading_id))
            or exists (select 1 from public.disconnections d where r.id in (d.disconnect_reading_id, d.reconnect_reading_id) and not d.withdrawn),
        'before', (select private.reading_json(x.id) from public.readings x
                   where x.meter_id = r.meter_id and x.status = 'accepted' and x.read_at < r.read_at order by x.read_at desc limit 1),
        'after', (select private.reading_json(x.id) from public.readings x
                  where x.meter_id = r.meter_id and x.status = 'accepted' and x.read_at > r.read_at order by x.read_at limit 1));
end $$;

COMMENT ON FUNCTION public.reading_to_correct(p jsonb) IS 'A reading with what its correction depends on: {reading_id} -> {reading, bill_id: the bill that closes at it, else that opens at it, else null, at_a_change: a meter came or went, somebody moved, was disconnected or reconnected then, before, after: the accepted reads beside it}.';

REVOKE ALL ON FUNCTION public.reading_to_correct(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reading_to_correct(p jsonb) TO service_role;

CREATE FUNCTION private.refresh_latest_reads(p_points uuid[]) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    with found as (
        select i.service_point_id, max(r.read_on) as read_on, not coalesce(bool_or(r.since), false) as is_first
        from public.meter_installations i
        cross join lateral (
            (select x.read_on, false as since from public.readings x
             where x.meter_id = i.meter_id and x.status = 'accepted' and x.read_at >= i.installed_at
               and x.read_at <= coalesce(i.removed_at, 'infinity')
             order by x.read_at desc limit 1)
            union all
            (select x.read_on, true from public.readings x
             where x.meter_id = i.meter_id and x.status = 'accepted' and x.read_at > i.installed_at
               and x.read_at <= coalesce(i.removed_at, 'infinity')
             order by x.read_at desc limit 1)) r
        where i.service_point_id = any (p_points)
          and exists (select 1 from public.meter_installations o
                      where o.service_point_id = i.service_point_id and o.removed_at is null)
        group by i.service_point_id
    ), gone as (
        delete from public.latest_reads l
        where l.service_point_id = any (p_points) and l.service_point_id not in (select f.service_point_id from found f)
    )
    insert into public.latest_reads as l (service_point_id, read_on, is_first)
    select f.service_point_id, f.read_on, f.is_first from found f order by f.service_point_id
    on conflict (service_point_id) do update set read_on = excluded.read_on, is_first = excluded.is_first
    where (l.read_on, l.is_first) <> (excluded.read_on, excluded.is_first)
$$;

COMMENT ON FUNCTION private.refresh_latest_reads(p_points uuid[]) IS 'Works out again when some places were read last; a place without a meter has no row. Who changes reads or installations has locked the places.';

REVOKE ALL ON FUNCTION private.refresh_latest_reads(p_points uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.refresh_latest_reads(p_points uuid[]) TO service_role;

CREATE FUNCTION private.note_new_reads() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.latest_reads as l (service_point_id, read_on, is_first)
    select i.service_point_id, max(n.read_on), bool_and(n.read_at = i.installed_at)
    from new_rows n
    join public.meter_installations i on i.meter_id = n.meter_id and n.read_at >= i.installed_at
        and n.read_at <= coalesce(i.removed_at, 'infinity')
    where n.status = 'accepted'
      and exists (select 1 from public.meter_installations o
                  where o.service_point_id = i.service_point_id and o.removed_at is null)
    group by i.service_point_id
    order by i.service_point_id
    on conflict (service_point_id) do update
        set read_on = greatest(l.read_on, excluded.read_on), is_first = l.is_first and excluded.is_first
        where l.read_on < excluded.read_on or l.is_first and not excluded.is_first;
    return null;
end $$;

COMMENT ON FUNCTION private.note_new_reads() IS 'A new read can only be later than the last one, so that bulk writes look at no other reading.';

REVOKE ALL ON FUNCTION private.note_new_reads() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_new_reads() TO service_role;

CREATE FUNCTION private.note_changed_reads() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_points uuid[];
begin
    v_points := array(
        select distinct i.service_point_id
        from new_rows n join old_rows o on o.id = n.id
        join public.meter_installations i on i.meter_id = n.meter_id
        where (n.status, n.read_at) is distinct from (o.status, o.read_at));
    if cardinality(v_points) > 0 then
        perform private.refresh_latest_reads(v_points);
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.note_changed_reads() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_changed_reads() TO service_role;

CREATE FUNCTION private.note_changed_installations() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.refresh_latest_reads(array(select distinct c.service_point_id from changed c));
    -- Another meter may be read in another way.
    update public.latest_reads l set by_hand = not l.by_hand
    from (select distinct c.service_point_id from changed c) p
    where l.service_point_id = p.service_point_id and l.by_hand <> private.is_read_by_hand(p.service_point_id);
    return null;
end $$;

REVOKE ALL ON FUNCTION private.note_changed_installations() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_changed_installations() TO service_role;

CREATE FUNCTION private.maxima(p_registers jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_object_agg(k.key, k.value), '{}') from jsonb_each(p_registers) k where k.key like 'max\_%'
$$;

COMMENT ON FUNCTION private.maxima(p_registers jsonb) IS 'Of the registers of a read those that show the highest demand since the read before.';

REVOKE ALL ON FUNCTION private.maxima(p_registers jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.maxima(p_registers jsonb) TO service_role;

CREATE FUNCTION private.each_quality(p_quality smallint[], p_size integer) RETURNS smallint[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select case when cardinality(p_quality) = p_size or p_size = 0 then p_quality
                else array_fill(p_quality[1], array[p_size]) end
$$;

COMMENT ON FUNCTION private.each_quality(p_quality smallint[], p_size integer) IS 'The quality of each of a day''s intervals, from one for each or one for all.';

REVOKE ALL ON FUNCTION private.each_quality(p_quality smallint[], p_size integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.each_quality(p_quality smallint[], p_size integer) TO service_role;

CREATE FUNCTION private.interval_differences(p_most integer) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with written as (
        select m.serial, n.day, n.minutes, o.minutes as old_minutes, n.wh, o.wh as old_wh,
               (select count(*) from unnest(n.wh, o.wh) as v(new, old) where v.new is distinct from v.old) as values_changed
        from public.intervals n
        join public.meters m on m.id = n.meter_id
        join lateral (select i.minutes, i.wh from public.intervals i
                      where i.meter_id = n.meter_id and i.day = n.day and i.id < n.id order by i.id desc limit 1) o on true
        -- What this transaction wrote has its time.
        where n.created_at = now()
        order by m.serial, n.day limit p_most)
    select coalesce(jsonb_agg(jsonb_build_object(
        'of', 'intervals', 'name', format('%s, %s', w.serial, w.day), 'field', 'energy_kwh',
        'before', format('%s in %s of %s minutes', trim_scale((select sum(v) from unnest(w.old_wh) v) / 1000.0),
                         cardinality(array_remove(w.old_wh, null)), w.old_minutes),
        'after', format('%s in %s of %s minutes, %s', trim_scale((select sum(v) from unnest(w.wh) v) / 1000.0),
                        cardinality(array_remove(w.wh, null)), w.minutes,
                        case w.values_changed when 0 then 'of another quality' when 1 then '1 value differs'
                             else format('%s values differ', w.values_changed) end)) order by w.serial, w.day), '[]')
    from written w
$$;

COMMENT ON FUNCTION private.interval_differences(p_most integer) IS 'What an import of intervals in this transaction changed, day by day, at most so many: [{of, name, field, before, after}].';

REVOKE ALL ON FUNCTION private.interval_differences(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.interval_differences(p_most integer) TO service_role;

CREATE FUNCTION private.is_actual(p_source text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select p_source not in ('estimated', 'customer')
$$;

COMMENT ON FUNCTION private.is_actual(p_source text) IS 'Whether the utility read the meter: it is no estimate and not the customer''s own reading. The next actual read settles what was billed up to another one.';

REVOKE ALL ON FUNCTION private.is_actual(p_source text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_actual(p_source text) TO service_role;

CREATE FUNCTION public.estimate_facts(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with wanted as materialized (
        select a.id, a.service_point_id, a.starts_on, w."on", i.meter_id, i.multiplier_milli, i.installed_at, i.removed_at,
               (select t.tariff_id from private.tariff_spans t
                where t.agreement_id = a.id and t.starts_on <= w."on" and w."on" <= t.ends_on
                order by t.starts_on limit 1) as tariff_id
        from jsonb_to_recordset(p -> 'rows') as w(agreement_id uuid, "on" date)
        join public.service_agreements a on a.id = w.agreement_id
        cross join lateral (
            select x.meter_id, x.multiplier_milli, x.installed_at, x.removed_at from public.meter_installations x
            where x.service_point_id = a.service_point_id and x.installed_on < w."on"
              and (x.removed_on is null or x.removed_on >= w."on")
            order by x.installed_at desc limit 1) i
        where a.starts_on < w."on" and (a.ends_on is null or w."on" <= a.ends_on)
    ), known as materialized (
        select w.*, to_jsonb(l) as last, l.read_at as last_at,
               (select max(r.read_at) from public.readings r
                where r.meter_id = w.meter_id and r.status = 'accepted' and r.read_at >= w.installed_at and r.read_on < w."on"
                  and private.is_actual(r.source)) as actual_at,
               (select coalesce(jsonb_agg(jsonb_build_object('register_wh', h.register_wh, 'read_on', h.read_on) order by h.read_on), '[]')
                from (
                    -- Of a meter that is read each day, three reads a month say as much.
                    select distinct on (date_trunc('month', r.read_on), least((extract(day from r.read_on)::integer - 1) / 10, 2))
                           r.register_wh, r.read_on
                    from public.readings r
                    where r.meter_id = w.meter_id and r.status = 'accepted' and private.is_actual(r.source)
                      and r.read_at >= w.installed_at and r.read_on >= w.starts_on and r.read_on < w."on"
                      and r.read_on > w."on" - 520
                    order by date_trunc('month', r.read_on), least((extract(day from r.read_on)::integer - 1) / 10, 2), r.read_at desc) h) as reads
        from wanted w
        cross join lateral (
            select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers, r.rolled_over, r.source
            from public.readings r
            where r.meter_id = w.meter_id and r.status = 'accepted' and r.read_at >= w.installed_at and r.read_on < w."on"
            order by r.read_at desc limit 1) l
    ), classes as materialized (
        select c.tariff_id, c."on", private.season_use(c.tariff_id, c."on") as class_use
        from (select distinct k.tariff_id, k."on" from known k where jsonb_array_length(k.reads) < 2) c
    )
    select jsonb_build_object('agreements', coalesce(jsonb_agg(jsonb_build_object(
        'agreement_id', k.id, 'meter_id', m.id, 'serial', m.serial, 'dials', m.dials, 'multiplier_milli', k.multiplier_milli,
        'registers', m.registers, 'connected_w', s.connected_w, 'last', k.last, 'reads', k.reads,
        'in_a_row', (select count(*) from public.readings r
                     where r.meter_id = k.meter_id and r.status = 'accepted' and not private.is_actual(r.source)
                       and r.read_at > coalesce(k.actual_at, k.installed_at) and r.read_on < k."on"),
        'waiting_on', (select min(r.read_on) from public.readings r
                       where r.meter_id = k.meter_id and r.status = 'needs_review' and r.read_at > k.last_at and r.read_on <= k."on"),
        'later_on', (select min(r.read_on) from public.readings r
                     where r.meter_id = k.meter_id and r.status = 'accepted' and r.read_at > k.last_at and r.read_on >= k."on"
                       and (k.removed_at is null or r.read_at <= k.removed_at)),
        'disconnected', private.is_disconnected(k.id, k."on"),
        'class_use', (select c.class_use from classes c where c.tariff_id = k.tariff_id and c."on" = k."on"))), '[]'))
    from known k
    join public.meters m on m.id = k.meter_id
    join public.service_points s on s.id = k.service_point_id
$$;

COMMENT ON FUNCTION public.estimate_facts(p jsonb) IS 'What estimating reads of agreements needs: {rows: [{agreement_id, on: local date}]} -> {agreements: [{agreement_id, meter_id, serial, dials, multiplier_milli, registers, connected_w, last: the last accepted read before the date, reads: actual ones since the agreement began, about three a month, in_a_row: reads after the last actual one, waiting_on, later_on, disconnected, class_use: where the meter has no two reads}]}. One without a meter on that date is left out.';

REVOKE ALL ON FUNCTION public.estimate_facts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.estimate_facts(p jsonb) TO service_role;

CREATE FUNCTION private.season_use(p_tariff_id uuid, p_on date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- The first ones by their hash are a sample; each costs one step in an index.
    select jsonb_build_object(
        'meters', count(*), 'wh', coalesce(sum(b.wh), 0), 'days', coalesce(sum(b.days), 0),
        'loaded_meters', count(*) filter (where s.connected_w > 0),
        'loaded_wh', coalesce(sum(b.wh) filter (where s.connected_w > 0), 0),
        'loaded_w_days', coalesce(sum(b.days * s.connected_w) filter (where s.connected_w > 0), 0))
    from (select distinct s.agreement_id as id
          from (select t.agreement_id from public.agreement_tariffs t where t.tariff_id = p_tariff_id
                order by uuid_hash(t.agreement_id) limit 300) s) m
    join public.service_agreements a on a.id = m.id
    join public.service_points s on s.id = a.service_point_id
    cross join lateral (
        select sum(x.consumption_wh)::bigint as wh, sum(x.period_end - x.period_start)::bigint as days
        from public.bills x
        join public.readings o on o.id = x.opening_reading_id
        join public.readings c on c.id = x.closing_reading_id
        where x.agreement_id = m.id and x.status <> 'void' and private.is_actual(o.source) and private.is_actual(c.source)
          and (x.period_end between p_on - 45 and p_on + 45
               or x.period_end between (p_on - interval '1 year')::date - 45 and (p_on - interval '1 year')::date + 45)) b
    where b.days > 0
$$;

COMMENT ON FUNCTION private.season_use(p_tariff_id uuid, p_on date) IS 'What up to 300 agreements on a tariff used at a time of the year, by their bills that end within 45 days of a local date or of the one a year before, between actual reads: {meters, wh, days, and of those whose connected load is known loaded_meters, loaded_wh, loaded_w_days}.';

REVOKE ALL ON FUNCTION private.season_use(p_tariff_id uuid, p_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.season_use(p_tariff_id uuid, p_on date) TO service_role;

CREATE FUNCTION private.answer_reading_requests() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.reading_requests q set done_at = now(), done_reading_id = n.id
    from (select distinct on (r.meter_id) r.* from new_rows r
          where r.source <> 'estimated' and r.status in ('accepted', 'needs_review') and not r.is_opening
            and exists (select 1 from public.reading_requests o where o.meter_id = r.meter_id and o.done_at is null)
          order by r.meter_id, r.read_at desc) n
    where q.meter_id = n.meter_id and q.done_at is null
      -- A file may know the day alone.
      and (n.read_at > q.created_at or (n.source = 'imported' and n.read_on >= q.requested_on));
    return null;
end $$;

COMMENT ON FUNCTION private.answer_reading_requests() IS 'The next read of a meter answers what was asked of it, whether it is accepted or waits for a review.';

REVOKE ALL ON FUNCTION private.answer_reading_requests() FROM PUBLIC;
GRANT ALL ON FUNCTION private.answer_reading_requests() TO service_role;

CREATE FUNCTION private.answer_reading_request_again() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- A key that is kept alone names no other actor.
    perform private.set_actor(jsonb_build_object('actor', new.caller));
    update public.reading_requests q set done_at = now(), done_reading_id = r.id
    from public.readings r
    where r.id = new.reading_id and q.meter_id = r.meter_id and q.done_at is null
      and r.created_at < q.created_at and new.created_at > q.created_at;
    return null;
end $$;

COMMENT ON FUNCTION private.answer_reading_request_again() IS 'Whoever reads the same value again on the same day adds no reading, and answers the request all the same.';

REVOKE ALL ON FUNCTION private.answer_reading_request_again() FROM PUBLIC;
GRANT ALL ON FUNCTION private.answer_reading_request_again() TO service_role;

CREATE FUNCTION public.request_reading(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_meter uuid := (select m.id from public.meters m where m.id = (p ->> 'meter_id')::uuid);
begin
    perform private.set_actor(p);
    if v_meter is null then
        perform private.refuse('EB404', 'No such meter.');
    elsif not exists (select 1 from public.meter_installations i where i.meter_id = v_meter and i.removed_at is null) then
        perform private.refuse('EB005', 'This meter is not installed anywhere: it cannot be read.');
    end if;
    insert into public.reading_requests (id, meter_id, reason, about_reading_id, requested_on, requested_by)
    values ((p ->> 'id')::uuid, v_meter, p ->> 'reason', (p ->> 'about_reading_id')::uuid, (p ->> 'requested_on')::date, p ->> 'actor')
    on conflict do nothing;
    return (select to_jsonb(q) from public.reading_requests q
            where q.id = (p ->> 'id')::uuid or (q.meter_id = v_meter and q.done_at is null)
            order by q.id = (p ->> 'id')::uuid desc limit 1);
end $$;

COMMENT ON FUNCTION public.request_reading(p jsonb) IS 'Asks for a meter to be read again: {actor, id, meter_id, reason, about_reading_id?, requested_on} -> the request, or the one that is open for this meter already.';

REVOKE ALL ON FUNCTION public.request_reading(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.request_reading(p jsonb) TO service_role;

CREATE FUNCTION public.withdraw_reading_request(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.reading_requests q set done_at = now() where q.id = (p ->> 'id')::uuid and q.done_at is null;
    if not exists (select 1 from public.reading_requests where id = (p ->> 'id')::uuid) then
        perform private.refuse('EB404', 'No such request.');
    end if;
    return (select to_jsonb(q) from public.reading_requests q where q.id = (p ->> 'id')::uuid);
end $$;

COMMENT ON FUNCTION public.withdraw_reading_request(p jsonb) IS 'Closes a request that is still open, without a reading: {actor, id} -> the request as it is now.';

REVOKE ALL ON FUNCTION public.withdraw_reading_request(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.withdraw_reading_request(p jsonb) TO service_role;

CREATE FUNCTION public.miss_reading(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    i public.meter_installations;
    m public.missed_reads;
begin
    perform private.set_actor(p);
    select x.* into i from public.meters t join public.meter_installations x on x.meter_id = t.id
    where t.serial = p ->> 'meter_serial' and x.installed_at <= (p ->> 'missed_at')::timestamptz
    order by x.installed_at desc limit 1;
    if not found then
        perform private.refuse('EB404', format('No meter with the serial %s is installed.', p ->> 'meter_serial'));
    end if;
    insert into public.missed_reads (id, service_point_id, meter_id, missed_at, missed_on, reason, note, submitted_by)
    values (v_id, i.service_point_id, i.meter_id, (p ->> 'missed_at')::timestamptz, (p ->> 'missed_on')::date,
            p ->> 'reason', coalesce(p ->> 'note', ''), p ->> 'actor')
    on conflict (id) do nothing;
    select * into m from public.missed_reads where id = v_id;
    if (m.meter_id, m.missed_at, m.reason, m.note, m.submitted_by)
        is distinct from (i.meter_id, (p ->> 'missed_at')::timestamptz, p ->> 'reason', coalesce(p ->> 'note', ''), p ->> 'actor') then
        perform private.refuse('EB002', 'This id was used for another visit.');
    end if;
    return to_jsonb(m);
end $$;

COMMENT ON FUNCTION public.miss_reading(p jsonb) IS 'Keeps that a meter could not be read: {actor, id, meter_serial, missed_at, missed_on, reason, note?} -> the visit. A repeat is answered with the first; another visit under its id is refused.';

REVOKE ALL ON FUNCTION public.miss_reading(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.miss_reading(p jsonb) TO service_role;

CREATE FUNCTION public.photo_content(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select (select jsonb_build_object('sha256', c.sha256, 'jpeg', encode(c.jpeg, 'base64'))
            from public.photo_contents c where c.sha256 = p ->> 'sha256')
$$;

COMMENT ON FUNCTION public.photo_content(p jsonb) IS 'A picture in base64, or null: {sha256} -> {sha256, jpeg}.';

REVOKE ALL ON FUNCTION public.photo_content(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.photo_content(p jsonb) TO service_role;

CREATE FUNCTION public.store_estimates(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_rows jsonb;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.lock_points_of(array(select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x));
    -- A read may have come since the estimate was made, or this very one was stored before.
    v_rows := (select coalesce(jsonb_agg(x), '[]') from jsonb_array_elements(p -> 'rows') x
               where not exists (select 1 from public.readings r where r.id = (x ->> 'id')::uuid)
                 and private.neighbours((x ->> 'meter_id')::uuid, (x ->> 'read_at')::timestamptz)
                     = jsonb_build_array(x -> 'last_id', null)
                 and not exists (select 1 from public.readings r
                                 where r.meter_id = (x ->> 'meter_id')::uuid and r.status = 'needs_review'
                                   and r.read_at > (select l.read_at from public.readings l where l.id = (x ->> 'last_id')::uuid)));
    insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, submitted_by, validation)
    select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, 'estimated', 'accepted', p ->> 'actor', x.validation
    from jsonb_to_recordset(v_rows) as x(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, validation jsonb)
    order by x.read_at;
    -- Whose meter was estimated often enough is asked for again; at most one request of a meter is open.
    insert into public.reading_requests (id, meter_id, reason, requested_on, requested_by)
    select a.id, a.meter_id, a.reason, a.requested_on, p ->> 'actor'
    from jsonb_to_recordset(coalesce(p -> 'ask', '[]')) as a(id uuid, meter_id uuid, reason text, requested_on date)
    order by a.meter_id
    on conflict do nothing;
    return jsonb_build_object('stored', (select coalesce(jsonb_agg(x -> 'id'), '[]') from jsonb_array_elements(p -> 'rows') x
                                         where exists (select 1 from public.readings r where r.id = (x ->> 'id')::uuid)));
end $$;

COMMENT ON FUNCTION public.store_estimates(p jsonb) IS 'Stores estimated reads in one transaction, each only where no other read came: {actor, run, rows: [{id, meter_id, read_at, read_on, register_wh, validation, last_id: the read that it goes on from}], ask?: meters to read, [{id, meter_id, reason, requested_on}]} -> {stored: ids that are there now}.';

REVOKE ALL ON FUNCTION public.store_estimates(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.store_estimates(p jsonb) TO service_role;

CREATE FUNCTION public.round_meters(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with page as materialized (
        select s.id, i.meter_id, i.installed_at, i.multiplier_milli, coalesce(s.sequence, 2147483647) as "position", s.code, s.transformer_id
        from public.service_points s
        join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
        join public.meters m on m.id = i.meter_id and m.kind = 'manual'
        where s.route = p ->> 'route'
          and (p ->> 'after' is null
               or (coalesce(s.sequence, 2147483647), s.code) > ((p #>> '{after,0}')::integer, p #>> '{after,1}'))
        order by coalesce(s.sequence, 2147483647), s.code
        limit (p ->> 'limit')::integer
    ), judged as materialized (
        select g.id, j.*, a.customer_id, t.tariff_id,
               -- As the judge chooses peers: of the transformer, or of the tariff where that is not known.
               case when j.is_settled then coalesce(g.transformer_id, t.tariff_id) end as group_id
        from page g
        cross join lateral private.judged_by(g.meter_id, g.installed_at, 'infinity') j
        left join public.service_agreements a on a.service_point_id = g.id and a.ends_on is null
        -- One by one, for the view of all spans would be made whole.
        left join lateral (
            select x.tariff_id from private.tariff_spans x
            where x.agreement_id = a.id and x.starts_on <= (p ->> 'today')::date and (p ->> 'today')::date < x.ends_on limit 1) t on true
    ), uses as materialized (
        -- Once for all meters that are beside each other.
        select k.group_id, private.group_uses(k.transformer_id, k.tariff_id, (p ->> 'today')::date) as uses
        from (select distinct j.group_id, g.transformer_id, case when g.transformer_id is null then j.tariff_id end as tariff_id
              from judged j join page g on g.id = j.id where j.group_id is not null) k
    ), classes as materialized (
        select k.tariff_id, private.class_use(k.tariff_id) as class_use
        from (select distinct j.tariff_id from judged j where j.is_new and j.tariff_id is not null) k
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'service_point_id', s.id, 'code', s.code, 'sequence', s.sequence, 'access_note', s.access_note,
        'address', coalesce(nullif(s.address, ''), c.address, ''), 'customer_name', c.name,
        'meter_id', m.id, 'serial', m.serial, 'dials', m.dials, 'registers', m.registers,
        'multiplier_milli', g.multiplier_milli, 'connected_w', s.connected_w, 'connected_va', s.connected_va,
        'tariff_id', j.tariff_id, 'last_read', private.read_point(j.last_id),
        'last_actual', case when j.actual_id <> j.last_id then private.read_point(j.actual_id) end,
        'history', j.history, 'waiting', j.waiting,
        'class_use', case when j.is_new then u.class_use end,
        'peers', coalesce(private.uses_beside(v.uses, g.meter_id), '[]'),
        'request', (select to_jsonb(q) from public.reading_requests q where q.meter_id = m.id and q.done_at is null),
        'missed', (select to_jsonb(x) from public.missed_reads x
                   where x.service_point_id = s.id and x.missed_on = (p ->> 'today')::date
                   order by x.missed_at desc limit 1),
        'was_read_on', w.read_on, 'waits', coalesce(w.waits, false)) order by g."position", g.code), '[]'))
    from page g
    join public.service_points s on s.id = g.id
    join public.meters m on m.id = g.meter_id
    join judged j on j.id = g.id
    left join uses v on v.group_id = j.group_id
    left join classes u on u.tariff_id = j.tariff_id
    left join public.customers c on c.id = j.customer_id
    left join lateral (
        select r.read_on, r.status = 'needs_review' as waits from public.readings r
        where r.meter_id = m.id and r.read_on > (p ->> 'read_before')::date and r.read_at >= g.installed_at
          and r.status in ('accepted', 'needs_review') and r.source <> 'estimated'
        order by r.read_on desc, r.read_at desc limit 1) w on true
$$;

COMMENT ON FUNCTION public.round_meters(p jsonb) IS 'A page of a route''s meters in the order in which they are read: {route, after?: [sequence, code], limit, read_before, today} -> {meters}. With each what a reading of it is judged by, why it is to be read again, whether it was missed today, and the last read after the day read_before.';

REVOKE ALL ON FUNCTION public.round_meters(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.round_meters(p jsonb) TO service_role;

CREATE FUNCTION public.photos_of(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('photos', coalesce(jsonb_agg(to_jsonb(f) order by f.created_at desc, f.id), '[]'))
    from (select l.* from public.meter_photo_list l
          where l.id in (
              select m.id from public.meter_photos m where m.meter_id = (p ->> 'meter_id')::uuid
              union all
              select m.id from public.idempotency_keys k join public.meter_photos m on m.taken_by = k.caller and m.key = k.key
              where k.reading_id = (p ->> 'reading_id')::uuid
              union all
              select m.id from public.meter_photos m where m.taken_by = p ->> 'taken_by' and m.key = p ->> 'key')
            -- What nothing came of is not shown.
            and (l.reading_id is not null or l.missed_read_id is not null or p ->> 'key' is not null)
          order by l.created_at desc, l.id limit (p ->> 'limit')::integer) f
$$;

COMMENT ON FUNCTION public.photos_of(p jsonb) IS 'Photos, the newest first: {meter_id} or {reading_id} or {taken_by, key}, limit -> {photos: rows of meter_photo_list}. Of a meter those that belong to a reading or a missed read.';

REVOKE ALL ON FUNCTION public.photos_of(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.photos_of(p jsonb) TO service_role;

CREATE FUNCTION public.keep_photo(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_meter uuid := (select m.id from public.meters m where m.serial = p ->> 'meter_serial');
    v_photo public.meter_photos;
begin
    perform private.set_actor(p);
    if v_meter is null then
        perform private.refuse('EB404', format('No meter has the serial %s.', p ->> 'meter_serial'));
    end if;
    select * into v_photo from public.meter_photos where taken_by = p ->> 'actor' and key = p ->> 'key';
    if not found then
        insert into public.photo_contents (sha256, jpeg) values (p ->> 'sha256', decode(p ->> 'jpeg', 'base64')) on conflict do nothing;
        insert into public.meter_photos (meter_id, taken_by, key, sha256, width, height)
        values (v_meter, p ->> 'actor', p ->> 'key', p ->> 'sha256', (p ->> 'width')::integer, (p ->> 'height')::integer)
        on conflict (taken_by, key) do nothing;
        select * into v_photo from public.meter_photos where taken_by = p ->> 'actor' and key = p ->> 'key';
    end if;
    if (v_photo.meter_id, v_photo.sha256) is distinct from (v_meter, p ->> 'sha256') then
        perform private.refuse('EB002', 'There is another photo under this key already.');
    end if;
    perform private.forget_photos();
    return (select to_jsonb(l) from public.meter_photo_list l where l.id = v_photo.id);
end $$;

COMMENT ON FUNCTION public.keep_photo(p jsonb) IS 'Keeps a photo of a meter: {actor, key, meter_serial, sha256, width, height, jpeg in base64} -> the row of meter_photo_list. A repeat is answered with the first; another photo under its key is refused.';

REVOKE ALL ON FUNCTION public.keep_photo(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.keep_photo(p jsonb) TO service_role;

CREATE FUNCTION private.at_stake_wh(p_validation jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select coalesce(max(abs(f.used - coalesce(f.usual, f.bound, f.used))), 0)::bigint
    from jsonb_array_elements(case when jsonb_typeof(p_validation -> 'rules') = 'array' then p_validation -> 'rules' else '[]' end) x
    cross join lateral (
        select coalesce((x -> 'values' ->> 'used_wh')::numeric, 0) as used,
               (x -> 'values' ->> 'usual_wh')::numeric as usual,
               case when x ->> 'outcome' = 'review'
                    then coalesce(x -> 'values' ->> 'most_wh', x -> 'values' ->> 'least_wh')::numeric end as bound) f
$$;

COMMENT ON FUNCTION private.at_stake_wh(p_validation jsonb) IS 'How far the use up to a reading is from the usual one, in Wh, by the values that the rules compared; from their limit where the usual use is not known.';

CREATE INDEX readings_at_stake ON public.readings USING btree (private.at_stake_wh(validation) DESC, id) WHERE (status = 'needs_review'::text);

REVOKE ALL ON FUNCTION private.at_stake_wh(p_validation jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.at_stake_wh(p_validation jsonb) TO service_role;

CREATE FUNCTION private.quality_of_reading(p_source text, p_status text, p_is_opening boolean, p_supersedes_id uuid, p_decided_at timestamp with time zone, p_validation jsonb) RETURNS smallint
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.quality_of_reading(p_source text, p_status text, p_is_opening boolean, p_supersedes_id uuid, p_decided_at timestamp with time zone, p_validation jsonb) IS 'How sure a reading is, as a code of ESPI (services/quantities/quality.py): questionable unless it is accepted; estimated from comparable days (8), or of similar meters alone (11), unless a file said how; edited by hand; verified, as a person accepted it; what a file said; valid as an opening read; validated, as the rules passed it; else raw.';

REVOKE ALL ON FUNCTION private.quality_of_reading(p_source text, p_status text, p_is_opening boolean, p_supersedes_id uuid, p_decided_at timestamp with time zone, p_validation jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.quality_of_reading(p_source text, p_status text, p_is_opening boolean, p_supersedes_id uuid, p_decided_at timestamp with time zone, p_validation jsonb) TO service_role;

CREATE FUNCTION private.judged_by(p_meter uuid, p_installed_at timestamp with time zone, p_before timestamp with time zone) RETURNS TABLE(last_id uuid, actual_id uuid, is_new boolean, is_settled boolean, history jsonb, waiting jsonb)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select l.id,
           case when private.is_actual(l.source) then l.id else (
               select r.id from public.readings r
               where r.meter_id = p_meter and r.status = 'accepted' and r.read_at < p_before and r.read_at >= p_installed_at
                 and private.is_actual(r.source)
               order by r.read_at desc limit 1) end,
           not exists (select 1 from public.readings h
                       where h.meter_id = p_meter and h.status = 'accepted' and h.read_at <= l.read_at and h.read_at >= p_installed_at
                         and h.read_at > l.read_at - interval '500 days' and h.read_on <> l.read_on),
           coalesce(l.read_at - s.since > interval '80 days', false),
           (select coalesce(jsonb_agg(jsonb_build_object(
                       'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers) order by h.read_at), '[]')
            from public.readings h
            where h.meter_id = p_meter and h.status = 'accepted' and h.source <> 'estimated'
              and h.read_at <= l.read_at and h.read_at >= p_installed_at and h.read_at > l.read_at - interval '500 days'),
           (select coalesce(jsonb_agg(jsonb_build_object(
                       'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers) order by h.read_at), '[]')
            from public.readings h
            where h.meter_id = p_meter and h.status = 'needs_review' and h.read_at < p_before and h.read_at > s.since)
    from (select 1) one
    left join lateral (
        select r.id, r.read_at, r.read_on, r.source from public.readings r
        where r.meter_id = p_meter and r.status = 'accepted' and r.read_at < p_before and r.read_at >= p_installed_at
        order by r.read_at desc limit 1) l on true
    cross join lateral (select greatest(p_installed_at, l.read_at - interval '500 days') as since) s
$$;

COMMENT ON FUNCTION private.judged_by(p_meter uuid, p_installed_at timestamp with time zone, p_before timestamp with time zone) IS 'What of its own past a meter''s read before an instant is judged by: the last accepted read and the last actual one, whether all its reads are of one day, whether they span 80 days, those of up to 500 days before, and those that wait for review since.';

REVOKE ALL ON FUNCTION private.judged_by(p_meter uuid, p_installed_at timestamp with time zone, p_before timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION private.judged_by(p_meter uuid, p_installed_at timestamp with time zone, p_before timestamp with time zone) TO service_role;

CREATE FUNCTION private.uses_beside(p_uses jsonb, p_meter uuid) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_agg(m.use - 'meter_id'), '[]')
    from (select x.use from jsonb_array_elements(p_uses) x (use) where (x.use ->> 'meter_id')::uuid <> p_meter limit 60) m
$$;

COMMENT ON FUNCTION private.uses_beside(p_uses jsonb, p_meter uuid) IS 'Of the answer of private.group_uses what other meters than one used, up to 60 of them: [{daily_wh, doubted}].';

REVOKE ALL ON FUNCTION private.uses_beside(p_uses jsonb, p_meter uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.uses_beside(p_uses jsonb, p_meter uuid) TO service_role;

CREATE FUNCTION private.read_point(p_reading uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('register_wh', r.register_wh, 'read_on', r.read_on, 'registers', r.registers)
    from public.readings r where r.id = p_reading
$$;

COMMENT ON FUNCTION private.read_point(p_reading uuid) IS 'What a meter showed at a reading: {register_wh, read_on, registers}.';

REVOKE ALL ON FUNCTION private.read_point(p_reading uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.read_point(p_reading uuid) TO service_role;

CREATE FUNCTION private.group_uses(p_transformer uuid, p_tariff uuid, p_on date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- Each of up to 61 meters costs up to nine steps in an index.
    select coalesce(jsonb_agg(jsonb_build_object('meter_id', member.meter_id, 'daily_wh', u.daily_wh, 'doubted', d.doubted)), '[]')
    from ((select i.meter_id, i.installed_at
           from public.service_points s
           join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
           where s.transformer_id = p_transformer order by s.id limit 61)
          union all
          (select i.meter_id, i.installed_at
           from private.sample_on_tariff(p_tariff, p_on, 61) m (agreement_id)
           join public.service_agreements a on p_transformer is null and a.id = m.agreement_id
           join public.meter_installations i on i.service_point_id = a.service_point_id and i.removed_at is null)) member
    cross join lateral (select 10::bigint ^ (m.dials + 3) as capacity from public.meters m where m.id = member.meter_id) k
    cross join lateral (select r.read_at, r.read_on, r.register_wh, r.status = 'needs_review' as doubted from public.readings r
                        where r.meter_id = member.meter_id and r.status in ('accepted', 'needs_review') and r.read_on <= p_on
                          and r.read_at < p_on + interval '2 days' and r.read_on >= p_on - 10 and r.read_at > member.installed_at
                          and r.source <> 'estimated'
                        order by r.read_at desc limit 1) d
    cross join lateral (
        -- Back from one read to the one about a month before it.
        with recursive walk as (
            select d.read_at, d.read_on, d.register_wh, 0 as back, null::bigint as daily_wh, false as fell
            union all
            select e.read_at, e.read_on, e.register_wh, w.back + 1,
                   (((w.register_wh - e.register_wh + k.capacity)::bigint % k.capacity::bigint) / (w.read_on - e.read_on))::bigint,
                   w.register_wh < e.register_wh and 2 * (w.register_wh - e.register_wh + k.capacity) > k.capacity
            from walk w
            cross join lateral (select r.read_at, r.read_on, r.register_wh from public.readings r
                                where r.meter_id = member.meter_id and r.status = 'accepted' and r.read_at >= member.installed_at
                                  and r.source <> 'estimated' and r.read_at < w.read_at - interval '19 days'
                                  and r.read_at >= d.read_at - interval '250 days'
                                order by r.read_at desc limit 1) e
            where w.back < 8 and not w.fell and w.read_on > e.read_on)
        select jsonb_agg(w.daily_wh order by w.back desc) as daily_wh, count(*) as periods
        from walk w where w.back > 0 and not w.fell) u
    where u.periods > 1
$$;

COMMENT ON FUNCTION private.group_uses(p_transformer uuid, p_tariff uuid, p_on date) IS 'What up to 61 meters of a transformer, or a sample of those on a tariff where that is null, used a day in up to eight periods of about a month, the newest last, up to a read near a local date: [{meter_id, daily_wh: before the multiplier, doubted: whether that read waits for review}].';

REVOKE ALL ON FUNCTION private.group_uses(p_transformer uuid, p_tariff uuid, p_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.group_uses(p_transformer uuid, p_tariff uuid, p_on date) TO service_role;

CREATE FUNCTION private.keep_claimed_photo() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if old.created_at > now() - interval '12 months'
       and exists (select 1 from public.meter_photo_list l where l.id = old.id and (l.reading_id is not null or l.missed_read_id is not null)) then
        raise exception 'Photos of readings and of missed reads are kept: % is not deleted.', old.id;
    end if;
    return old;
end $$;

COMMENT ON FUNCTION private.keep_claimed_photo() IS 'A photo with a reading or a missed read is evidence, and not deleted within 12 months, however the retention is set.';

REVOKE ALL ON FUNCTION private.keep_claimed_photo() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_claimed_photo() TO service_role;

CREATE FUNCTION private.expect_claims() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.photos_to_claim (photo_id, kept_at) select n.id, n.created_at from new_rows n;
    return null;
end $$;

COMMENT ON FUNCTION private.expect_claims() IS 'What a photo belongs to comes after it.';

REVOKE ALL ON FUNCTION private.expect_claims() FROM PUBLIC;
GRANT ALL ON FUNCTION private.expect_claims() TO service_role;

CREATE FUNCTION private.forget_photos() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_ids uuid[];
    v_pictures text[];
begin
    with due as (
        select c.photo_id from public.photos_to_claim c where c.kept_at < now() - interval '30 days'
        order by c.kept_at limit 100 for update skip locked
    ), looked as (
        delete from public.photos_to_claim c using due where c.photo_id = due.photo_id returning c.photo_id
    )
    select array_agg(l.photo_id) into v_ids from looked l;
    if v_ids is null then
        return;
    end if;
    with gone as (
        delete from public.meter_photos p
        where p.id = any (array(select l.id from public.meter_photo_list l
                                where l.id = any (v_ids) and l.reading_id is null and l.missed_read_id is null))
        returning p.sha256
    )
    select array_agg(distinct g.sha256) into v_pictures from gone g;
    delete from public.photo_contents c
    where c.sha256 = any (v_pictures) and not exists (select 1 from public.meter_photos p where p.sha256 = c.sha256);
end $$;

COMMENT ON FUNCTION private.forget_photos() IS 'Deletes photos of more than 30 days ago to which neither a reading nor a missed read came; up to 100 are looked at, by each upload.';

REVOKE ALL ON FUNCTION private.forget_photos() FROM PUBLIC;
GRANT ALL ON FUNCTION private.forget_photos() TO service_role;

CREATE FUNCTION public.note_refused_read(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.refused_reads (submitted_by, key, meter_serial, shown, read_at, why)
    select p ->> 'actor', p ->> 'key', p ->> 'meter_serial', p ->> 'shown', p ->> 'read_at', p ->> 'why'
    where (select count(*) from (select 1 from public.refused_reads x
                                 where x.submitted_by = p ->> 'actor' and x.refused_at > now() - interval '1 day' limit 200) n) < 200
    on conflict do nothing;
    return jsonb_build_object('kept', found);
end $$;

COMMENT ON FUNCTION public.note_refused_read(p jsonb) IS 'Keeps a reading that the round sent and that was refused, once for its key: {actor, key, meter_serial, shown, read_at: as typed, why} -> {kept}.';

REVOKE ALL ON FUNCTION public.note_refused_read(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_refused_read(p jsonb) TO service_role;

CREATE FUNCTION public.reading_contexts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_row jsonb;
    v_one jsonb;
    v_group jsonb;
    v_uses jsonb := '{}';
    v_found jsonb[] := '{}';
    v_code text;
    v_message text;
begin
    for v_row in select x from jsonb_array_elements(p -> 'rows') x loop
        begin
            v_one := public.reading_context(v_row || '{"peers_later": true}');
            v_group := v_one -> 'peers';
            if jsonb_typeof(v_group) = 'object' then
                if not v_uses ? v_group::text then
                    v_uses := v_uses || jsonb_build_object(v_group::text, private.group_uses(
                        (v_group ->> 'transformer_id')::uuid, (v_group ->> 'tariff_id')::uuid, (v_group ->> 'on')::date));
                end if;
                v_one := v_one || jsonb_build_object(
                    'peers', private.uses_beside(v_uses -> (v_group::text), (v_one #>> '{meter,id}')::uuid));
            end if;
        exception when others then
            get stacked diagnostics v_code = returned_sqlstate, v_message = message_text;
            -- A refusal of ours is about this reading alone; anything else is about all.
            if v_code not like 'EB%' then
                raise;
            end if;
            v_one := jsonb_build_object('refused', jsonb_build_object('code', v_code, 'message', v_message));
        end;
        v_found := v_found || v_one;
    end loop;
    return jsonb_build_object('contexts', to_jsonb(v_found));
end $$;

COMMENT ON FUNCTION public.reading_contexts(p jsonb) IS 'public.reading_context for many readings: {rows: what that takes} -> {contexts: its answers in order, or {refused: {code, message}}}.';

REVOKE ALL ON FUNCTION public.reading_contexts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reading_contexts(p jsonb) TO service_role;

CREATE FUNCTION private.interval_days(p_point uuid, p_from date, p_until date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_strip_nulls(jsonb_build_object(
        'days', coalesce(string_agg(i.day::text, ' ' order by i.day), ''),
        'minutes', coalesce(string_agg(i.minutes::text, ' ' order by i.day), ''),
        'sizes', coalesce(string_agg(cardinality(i.wh)::text, ' ' order by i.day), ''),
        'wh', coalesce(string_agg(array_to_string(i.wh, ' '), ' ' order by i.day), ''),
        'quality', case when count(i.quality) > 0 then string_agg(coalesce(array_to_string(i.quality, ' '), ''), ',' order by i.day) end))
    from (select distinct on (d.day, d.meter_id) d.day, d.minutes, d.wh, d.quality
          from public.meter_installations m
          join public.intervals d on d.meter_id = m.meter_id and d.day >= greatest(p_from, m.installed_on)
              and d.day < p_until and d.day <= coalesce(m.removed_on, 'infinity')
          where m.service_point_id = p_point and array_position(d.wh, null) is null
          order by d.day, d.meter_id, d.id desc) i
$$;

COMMENT ON FUNCTION private.interval_days(p_point uuid, p_from date, p_until date) IS 'The whole local days that meters measured at a service point from a date to before another, each as a text with spaces between: {days, minutes, sizes: how many intervals each day has, wh: of all of them in order of time, quality?: of each day its codes, with commas between the days}.';

REVOKE ALL ON FUNCTION private.interval_days(p_point uuid, p_from date, p_until date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.interval_days(p_point uuid, p_from date, p_until date) TO service_role;

CREATE FUNCTION public.import_readings(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_added integer;
begin
    perform private.set_actor(p);
    perform private.lock_points_of(array(select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x));
    -- Stored in order of time: lists of readings are ordered by created_at.
    insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, submitted_by,
                                 validation, created_at, registers)
    select coalesce(x.id, private.ordered_id()), x.meter_id, x.read_at, x.read_on, x.register_wh, coalesce(x.source, 'imported'), x.status,
           p ->> 'actor', coalesce(x.validation, '{}'), clock_timestamp(), coalesce(x.registers, '{}')
    from jsonb_to_recordset(p -> 'rows') as x(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text,
        status text, validation jsonb, registers jsonb)
    where not exists (
        select 1 from public.readings r
        where r.meter_id = x.meter_id and r.read_on = x.read_on and r.register_wh = x.register_wh
          and r.registers = coalesce(x.registers, '{}')
          -- A read that a person rejected does not come back with the next import of its file.
          and (r.status in ('accepted', 'needs_review') or r.read_at = x.read_at))
    order by x.read_at;
    get diagnostics v_added = row_count;
    return private.import_answer(null, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
exception when unique_violation then
    raise exception using errcode = 'EB003', message = 'Another value was stored for one of these meters at the very same time.';
end $$;

COMMENT ON FUNCTION public.import_readings(p jsonb) IS 'Stores validated reads, unbilled; same meter, local date and values is left as it is: {actor, rows: [{id?, meter_id, read_at, read_on, register_wh, registers?, status, validation, source?}]}.';

REVOKE ALL ON FUNCTION public.import_readings(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_readings(p jsonb) TO service_role;

CREATE TRIGGER latest_reads_by_kind AFTER UPDATE ON public.meters REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_kinds_of_meters();

CREATE TRIGGER answer_requests AFTER INSERT ON public.readings REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.answer_reading_requests();

CREATE TRIGGER audit_insert AFTER INSERT ON public.readings REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit_new_readings();

CREATE TRIGGER audit_update AFTER UPDATE ON public.readings REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER latest_reads_changed AFTER UPDATE ON public.readings REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_changed_reads();

CREATE TRIGGER latest_reads_new AFTER INSERT ON public.readings REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_new_reads();

CREATE TRIGGER readings_fit_register AFTER INSERT ON public.readings REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_register();

CREATE TRIGGER readings_guard BEFORE UPDATE ON public.readings FOR EACH ROW EXECUTE FUNCTION private.guard_reading();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.readings FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.readings FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER answer_request_again AFTER INSERT ON public.idempotency_keys FOR EACH ROW EXECUTE FUNCTION private.answer_reading_request_again();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.intervals FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.intervals FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.intervals FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER latest_read_placed BEFORE INSERT ON public.latest_reads FOR EACH ROW EXECUTE FUNCTION private.place_latest_read();

CREATE TRIGGER audit_insert AFTER INSERT ON public.reading_requests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.reading_requests REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.reading_requests FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.reading_requests FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER audit_insert AFTER INSERT ON public.missed_reads REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.missed_reads REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.missed_reads FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.missed_reads FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.missed_reads FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.photo_contents FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.photo_contents FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER audit_insert AFTER INSERT ON public.meter_photos REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.meter_photos REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER expect_claims AFTER INSERT ON public.meter_photos REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.expect_claims();

CREATE TRIGGER keep_claimed BEFORE DELETE ON public.meter_photos FOR EACH ROW EXECUTE FUNCTION private.keep_claimed_photo();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.meter_photos FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.meter_photos FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

-- Supply: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.service_points (
    id uuid NOT NULL,
    code text NOT NULL,
    address text DEFAULT ''::text NOT NULL,
    transformer_id uuid,
    route text DEFAULT ''::text NOT NULL,
    sequence integer,
    phases smallint,
    connected_w integer,
    connected_va integer,
    access_note text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT service_points_code_check CHECK (((code <> ''::text) AND (code = btrim(code)))),
    CONSTRAINT service_points_connected_va_check CHECK ((connected_va > 0)),
    CONSTRAINT service_points_connected_w_check CHECK ((connected_w > 0)),
    CONSTRAINT service_points_phases_check CHECK (((phases >= 1) AND (phases <= 3))),
    CONSTRAINT service_points_sequence_check CHECK ((sequence >= 0))
);

COMMENT ON TABLE public.service_points IS 'Places of supply. A place stays, whoever is supplied there and by whichever meter.';

COMMENT ON COLUMN public.service_points.route IS 'The round on which its meter is read; empty when it is on none.';

COMMENT ON COLUMN public.service_points.sequence IS 'Its place on the route.';

COMMENT ON COLUMN public.service_points.connected_w IS 'Connected load in W; null when it is not known.';

COMMENT ON COLUMN public.service_points.connected_va IS 'Connected load in VA; null when it is not known.';

COMMENT ON COLUMN public.service_points.access_note IS 'What a person who reads the meter must know: a gate, a dog, who has the key.';

ALTER TABLE ONLY public.service_points
    ADD CONSTRAINT service_points_code_key UNIQUE (code);

ALTER TABLE ONLY public.service_points
    ADD CONSTRAINT service_points_pkey PRIMARY KEY (id);

CREATE INDEX service_points_by_code ON public.service_points USING btree (code, id);

CREATE INDEX service_points_key ON public.service_points USING btree (private.identifier_key(code));

CREATE INDEX service_points_route ON public.service_points USING btree (route, COALESCE(sequence, 2147483647), code);

CREATE INDEX service_points_transformer ON public.service_points USING btree (transformer_id);

ALTER TABLE public.service_points ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.service_points TO service_role;

CREATE TABLE public.meter_installations (
    id uuid NOT NULL,
    service_point_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    installed_at timestamp with time zone NOT NULL,
    installed_on date NOT NULL,
    removed_at timestamp with time zone,
    removed_on date,
    multiplier_milli integer NOT NULL,
    opening_reading_id uuid NOT NULL,
    closing_reading_id uuid,
    removal_reason text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT meter_installations_check CHECK ((((removed_at IS NULL) = (removed_on IS NULL)) AND ((removed_at IS NULL) = (closing_reading_id IS NULL)))),
    CONSTRAINT meter_installations_check1 CHECK ((removed_at > installed_at)),
    CONSTRAINT meter_installations_multiplier_milli_check CHECK ((multiplier_milli > 0))
);

COMMENT ON TABLE public.meter_installations IS 'Which meter measures at which service point, from the instant of its opening read to that of its closing read. Another multiplier is another installation of the same meter, which begins at the read where the last one ends.';

COMMENT ON COLUMN public.meter_installations.installed_on IS 'Local date of the opening read.';

COMMENT ON COLUMN public.meter_installations.multiplier_milli IS 'Multiplying factor in thousandths: a register on a 40:1 current transformer has 40000.';

ALTER TABLE ONLY public.meter_installations
    ADD CONSTRAINT meter_installations_pkey PRIMARY KEY (id);

CREATE INDEX meter_installations_at_point ON public.meter_installations USING btree (service_point_id, installed_at DESC);

CREATE INDEX meter_installations_closing ON public.meter_installations USING btree (closing_reading_id) WHERE (closing_reading_id IS NOT NULL);

CREATE INDEX meter_installations_of_meter ON public.meter_installations USING btree (meter_id, installed_at DESC);

CREATE UNIQUE INDEX meter_installations_one_meter ON public.meter_installations USING btree (service_point_id) WHERE (removed_at IS NULL);

CREATE UNIQUE INDEX meter_installations_one_place ON public.meter_installations USING btree (meter_id) WHERE (removed_at IS NULL);

CREATE INDEX meter_installations_opening ON public.meter_installations USING btree (opening_reading_id);

ALTER TABLE public.meter_installations ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.meter_installations TO service_role;

CREATE TABLE public.service_agreements (
    id uuid NOT NULL,
    service_point_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    starts_on date NOT NULL,
    ends_on date,
    opening_reading_id uuid NOT NULL,
    closing_reading_id uuid,
    billing_day smallint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT service_agreements_billing_day_check CHECK (((billing_day >= 1) AND (billing_day <= 28))),
    CONSTRAINT service_agreements_check CHECK ((ends_on > starts_on)),
    CONSTRAINT service_agreements_check1 CHECK (((ends_on IS NULL) = (closing_reading_id IS NULL)))
);

COMMENT ON TABLE public.service_agreements IS 'Who is supplied at a service point, from one local date to another: [starts_on, ends_on). Never two at a time. Its bills form a chain from the opening read to the closing one.';

COMMENT ON COLUMN public.service_agreements.ends_on IS 'Exclusive: the local date of the closing read; null while it lasts.';

COMMENT ON COLUMN public.service_agreements.billing_day IS 'The day of the month on which a billing cycle ends.';

ALTER TABLE ONLY public.service_agreements
    ADD CONSTRAINT service_agreements_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.service_agreements
    ADD CONSTRAINT service_agreements_with_customer UNIQUE (id, customer_id);

CREATE INDEX service_agreements_at_point ON public.service_agreements USING btree (service_point_id, starts_on DESC);

CREATE INDEX service_agreements_begun ON public.service_agreements USING btree (starts_on);

CREATE INDEX service_agreements_closing ON public.service_agreements USING btree (closing_reading_id) WHERE (closing_reading_id IS NOT NULL);

CREATE INDEX service_agreements_ended ON public.service_agreements USING btree (ends_on) WHERE (ends_on IS NOT NULL);

CREATE INDEX service_agreements_of_customer ON public.service_agreements USING btree (customer_id);

CREATE INDEX service_agreements_of_cycle ON public.service_agreements USING btree (billing_day, id);

CREATE UNIQUE INDEX service_agreements_one_open ON public.service_agreements USING btree (service_point_id) WHERE (ends_on IS NULL);

CREATE INDEX service_agreements_opening ON public.service_agreements USING btree (opening_reading_id);

ALTER TABLE public.service_agreements ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.service_agreements TO service_role;

CREATE TABLE public.agreement_tariffs (
    id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    starts_on date NOT NULL,
    tariff_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.agreement_tariffs IS 'The tariff of an agreement from a local date on, until the next row''s.';

ALTER TABLE ONLY public.agreement_tariffs
    ADD CONSTRAINT agreement_tariffs_agreement_id_starts_on_key UNIQUE (agreement_id, starts_on);

ALTER TABLE ONLY public.agreement_tariffs
    ADD CONSTRAINT agreement_tariffs_pkey PRIMARY KEY (id);

CREATE INDEX agreement_tariffs_begun ON public.agreement_tariffs USING btree (starts_on);

CREATE INDEX agreement_tariffs_tariff ON public.agreement_tariffs USING btree (tariff_id, uuid_hash(agreement_id));

ALTER TABLE public.agreement_tariffs ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.agreement_tariffs TO service_role;

COMMENT ON INDEX public.agreement_tariffs_tariff IS 'Those on a tariff; the first ones by the hash are a sample of them.';

CREATE TABLE public.billing_cycles (
    billing_day smallint NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT billing_cycles_billing_day_check CHECK (((billing_day >= 1) AND (billing_day <= 28)))
);

COMMENT ON TABLE public.billing_cycles IS 'The days of the month on which agreements are or were billed, and since when: no run of a day is due from before.';

ALTER TABLE ONLY public.billing_cycles
    ADD CONSTRAINT billing_cycles_pkey PRIMARY KEY (billing_day);

ALTER TABLE public.billing_cycles ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.billing_cycles TO service_role;

CREATE TABLE public.reading_routes (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    route text NOT NULL,
    billing_day smallint NOT NULL,
    CONSTRAINT reading_routes_billing_day_check CHECK (((billing_day >= 1) AND (billing_day <= 28))),
    CONSTRAINT reading_routes_route_check CHECK (((route <> ''::text) AND (route = btrim(route))))
);

COMMENT ON TABLE public.reading_routes IS 'Reading routes that are billed on a day of their own: who is connected on one is billed on its day.';

ALTER TABLE ONLY public.reading_routes
    ADD CONSTRAINT reading_routes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reading_routes
    ADD CONSTRAINT reading_routes_route_key UNIQUE (route);

ALTER TABLE public.reading_routes ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_routes TO service_role;

CREATE TABLE public.disconnections (
    id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    disconnected_on date NOT NULL,
    disconnect_reading_id uuid NOT NULL,
    reconnected_on date,
    reconnect_reading_id uuid,
    fee_entry_id uuid,
    withdrawn boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT disconnections_check CHECK ((reconnected_on >= disconnected_on)),
    CONSTRAINT disconnections_check1 CHECK (((reconnected_on IS NULL) = (reconnect_reading_id IS NULL))),
    CONSTRAINT disconnections_check2 CHECK (((NOT withdrawn) OR (reconnected_on IS NULL))),
    CONSTRAINT disconnections_check3 CHECK (((fee_entry_id IS NULL) OR (reconnected_on IS NOT NULL)))
);

COMMENT ON TABLE public.disconnections IS 'When the supply of an agreement was cut: [disconnected_on, reconnected_on), at the latest until the agreement ends. Never two at a time. Bills run on over it.';

COMMENT ON COLUMN public.disconnections.reconnected_on IS 'Exclusive: the local date of the read at which the supply came back; null while it is cut or until the agreement ends.';

COMMENT ON COLUMN public.disconnections.fee_entry_id IS 'The fee for the reconnection, where one was charged.';

COMMENT ON COLUMN public.disconnections.withdrawn IS 'It was entered by mistake: they were not disconnected.';

ALTER TABLE ONLY public.disconnections
    ADD CONSTRAINT disconnections_pkey PRIMARY KEY (id);

CREATE INDEX disconnections_disconnect_reading ON public.disconnections USING btree (disconnect_reading_id);

CREATE INDEX disconnections_fee ON public.disconnections USING btree (fee_entry_id) WHERE (fee_entry_id IS NOT NULL);

CREATE INDEX disconnections_of_agreement ON public.disconnections USING btree (agreement_id, disconnected_on DESC);

CREATE UNIQUE INDEX disconnections_one_open ON public.disconnections USING btree (agreement_id) WHERE ((reconnected_on IS NULL) AND (NOT withdrawn));

CREATE INDEX disconnections_reconnect_reading ON public.disconnections USING btree (reconnect_reading_id) WHERE (reconnect_reading_id IS NOT NULL);

ALTER TABLE public.disconnections ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.disconnections TO service_role;

CREATE TABLE public.vacancies (
    service_point_id uuid NOT NULL,
    since date,
    until date,
    closing_reading_id uuid,
    opening_reading_id uuid
);

COMMENT ON TABLE public.vacancies IS 'The times in which nobody had an agreement for a place. Kept by triggers from places, installations and agreements.';

COMMENT ON COLUMN public.vacancies.since IS 'Local date on which the last agreement ended, or the first meter came; null where neither was there yet.';

COMMENT ON COLUMN public.vacancies.until IS 'Local date on which the next agreement begins; null while the place is vacant.';

COMMENT ON COLUMN public.vacancies.closing_reading_id IS 'The read with which it began.';

COMMENT ON COLUMN public.vacancies.opening_reading_id IS 'The read of the next agreement.';

CREATE INDEX vacancies_lasting ON public.vacancies USING btree (service_point_id) WHERE (until IS NULL);

CREATE INDEX vacancies_of_place ON public.vacancies USING btree (service_point_id);

ALTER TABLE public.vacancies ENABLE ROW LEVEL SECURITY;

GRANT ALL ON TABLE public.vacancies TO service_role;

CREATE TABLE public.transformer_moves (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    service_point_id uuid NOT NULL,
    moved_on date NOT NULL,
    from_transformer_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.transformer_moves IS 'From which day on a place hangs on another transformer than before. Never changed: what it hangs on since the last is in service_points.';

COMMENT ON COLUMN public.transformer_moves.from_transformer_id IS 'What it hung on until then, since the move before; null where that is not known.';

ALTER TABLE ONLY public.transformer_moves
    ADD CONSTRAINT transformer_moves_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.transformer_moves
    ADD CONSTRAINT transformer_moves_service_point_id_moved_on_key UNIQUE (service_point_id, moved_on);

CREATE INDEX transformer_moves_from ON public.transformer_moves USING btree (from_transformer_id);

ALTER TABLE public.transformer_moves ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.transformer_moves TO service_role;

ALTER TABLE ONLY public.service_points
    ADD CONSTRAINT service_points_transformer_id_fkey FOREIGN KEY (transformer_id) REFERENCES public.transformers(id);

ALTER TABLE ONLY public.meter_installations
    ADD CONSTRAINT meter_installations_closing_reading_id_fkey FOREIGN KEY (closing_reading_id) REFERENCES public.readings(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.meter_installations
    ADD CONSTRAINT meter_installations_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meters(id);

ALTER TABLE ONLY public.meter_installations
    ADD CONSTRAINT meter_installations_opening_reading_id_fkey FOREIGN KEY (opening_reading_id) REFERENCES public.readings(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.meter_installations
    ADD CONSTRAINT meter_installations_service_point_id_fkey FOREIGN KEY (service_point_id) REFERENCES public.service_points(id);

ALTER TABLE ONLY public.service_agreements
    ADD CONSTRAINT service_agreements_closing_reading_id_fkey FOREIGN KEY (closing_reading_id) REFERENCES public.readings(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.service_agreements
    ADD CONSTRAINT service_agreements_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.service_agreements
    ADD CONSTRAINT service_agreements_opening_reading_id_fkey FOREIGN KEY (opening_reading_id) REFERENCES public.readings(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.service_agreements
    ADD CONSTRAINT service_agreements_service_point_id_fkey FOREIGN KEY (service_point_id) REFERENCES public.service_points(id);

ALTER TABLE ONLY public.agreement_tariffs
    ADD CONSTRAINT agreement_tariffs_agreement_id_fkey FOREIGN KEY (agreement_id) REFERENCES public.service_agreements(id);

ALTER TABLE ONLY public.agreement_tariffs
    ADD CONSTRAINT agreement_tariffs_tariff_id_fkey FOREIGN KEY (tariff_id) REFERENCES public.tariffs(id);

ALTER TABLE ONLY public.supply_changes
    ADD CONSTRAINT supply_changes_service_point_id_fkey FOREIGN KEY (service_point_id) REFERENCES public.service_points(id);

ALTER TABLE ONLY public.disconnections
    ADD CONSTRAINT disconnections_agreement_id_fkey FOREIGN KEY (agreement_id) REFERENCES public.service_agreements(id);

ALTER TABLE ONLY public.disconnections
    ADD CONSTRAINT disconnections_disconnect_reading_id_fkey FOREIGN KEY (disconnect_reading_id) REFERENCES public.readings(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.disconnections
    ADD CONSTRAINT disconnections_reconnect_reading_id_fkey FOREIGN KEY (reconnect_reading_id) REFERENCES public.readings(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.latest_reads
    ADD CONSTRAINT latest_reads_service_point_id_fkey FOREIGN KEY (service_point_id) REFERENCES public.service_points(id);

ALTER TABLE ONLY public.vacancies
    ADD CONSTRAINT vacancies_service_point_id_fkey FOREIGN KEY (service_point_id) REFERENCES public.service_points(id);

ALTER TABLE ONLY public.missed_reads
    ADD CONSTRAINT missed_reads_service_point_id_fkey FOREIGN KEY (service_point_id) REFERENCES public.service_points(id);

ALTER TABLE ONLY public.transformer_moves
    ADD CONSTRAINT transformer_moves_from_transformer_id_fkey FOREIGN KEY (from_transformer_id) REFERENCES public.transformers(id);

ALTER TABLE ONLY public.transformer_moves
    ADD CONSTRAINT transformer_moves_service_point_id_fkey FOREIGN KEY (service_point_id) REFERENCES public.service_points(id);

CREATE VIEW public.meter_list WITH (security_invoker='true') AS
 SELECT m.id,
    m.serial,
    m.kind,
    m.dials,
    COALESCE(i.multiplier_milli, 1000) AS multiplier_milli,
        CASE
            WHEN ((i.id IS NOT NULL) AND (i.removed_at IS NULL)) THEN 'active'::text
            ELSE 'closed'::text
        END AS status,
    i.installed_on AS opened_on,
    a.customer_id,
    c.account_no,
    c.name AS customer_name,
    COALESCE(NULLIF(s.address, ''::text), c.address) AS address,
    t.id AS tariff_id,
    t.code AS tariff_code,
    t.name AS tariff_name,
    t.currency,
    lower(concat_ws(' '::text, m.serial, s.code, c.account_no, c.name, s.address, c.address)) AS search,
    m.registers,
    s.connected_w,
    s.connected_va,
    s.id AS service_point_id,
    s.code AS service_point_code,
    a.id AS agreement_id,
    i.removed_on
   FROM ((((((public.meters m
     LEFT JOIN LATERAL ( SELECT x.id,
            x.service_point_id,
            x.meter_id,
            x.installed_at,
            x.installed_on,
            x.removed_at,
            x.removed_on,
            x.multiplier_milli,
            x.opening_reading_id,
            x.closing_reading_id,
            x.removal_reason,
            x.created_at
           FROM public.meter_installations x
          WHERE (x.meter_id = m.id)
          ORDER BY x.installed_at DESC
         LIMIT 1) i ON (true))
     LEFT JOIN public.service_points s ON ((s.id = i.service_point_id)))
     LEFT JOIN public.service_agreements a ON (((a.service_point_id = s.id) AND (a.ends_on IS NULL) AND (i.removed_at IS NULL))))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
     LEFT JOIN LATERAL ( SELECT y_1.tariff_id
           FROM public.agreement_tariffs y_1
          WHERE (y_1.agreement_id = a.id)
          ORDER BY (y_1.starts_on <= CURRENT_DATE) DESC, y_1.starts_on DESC
         LIMIT 1) y ON (true))
     LEFT JOIN public.tariffs t ON ((t.id = y.tariff_id)));

COMMENT ON VIEW public.meter_list IS 'Meters where they are installed, or were last, with who is supplied there now: nobody while the place is vacant.';

COMMENT ON COLUMN public.meter_list.search IS 'Lower case: what an engineer may look a meter up by.';

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.meter_list TO service_role;

CREATE VIEW private.tariff_spans WITH (security_invoker='true') AS
 SELECT agreement_id,
    tariff_id,
        CASE
            WHEN (lag(starts_on) OVER w IS NULL) THEN '-infinity'::date
            ELSE starts_on
        END AS starts_on,
    COALESCE(lead(starts_on) OVER w, 'infinity'::date) AS ends_on
   FROM ( SELECT x.agreement_id,
            x.tariff_id,
            x.starts_on,
            lag(x.tariff_id) OVER (PARTITION BY x.agreement_id ORDER BY x.starts_on) AS tariff_before
           FROM public.agreement_tariffs x) t
  WHERE (tariff_before IS DISTINCT FROM tariff_id)
  WINDOW w AS (PARTITION BY agreement_id ORDER BY t.starts_on);

COMMENT ON VIEW private.tariff_spans IS 'The tariffs of an agreement, each from a local date to another: [starts_on, ends_on). The first holds from ever; one that follows itself is one.';

GRANT SELECT ON TABLE private.tariff_spans TO service_role;

CREATE VIEW public.service_point_list WITH (security_invoker='true') AS
 SELECT s.id,
    s.code,
    s.address,
    s.route,
    s.sequence,
    s.phases,
    s.connected_w,
    s.connected_va,
    s.access_note,
    s.transformer_id,
    t.code AS transformer_code,
    s.created_at,
    m.id AS meter_id,
    m.serial AS meter_serial,
    i.installed_on,
    a.id AS agreement_id,
    a.customer_id,
    c.account_no,
    c.name AS customer_name,
    a.starts_on,
    lower(concat_ws(' '::text, s.code, s.address, s.route, m.serial, c.account_no, c.name)) AS search,
    d.disconnected_on,
        CASE
            WHEN (NOT r.is_first) THEN r.read_on
            ELSE NULL::date
        END AS last_read_on
   FROM (((((((public.service_points s
     LEFT JOIN public.transformers t ON ((t.id = s.transformer_id)))
     LEFT JOIN public.meter_installations i ON (((i.service_point_id = s.id) AND (i.removed_at IS NULL))))
     LEFT JOIN public.meters m ON ((m.id = i.meter_id)))
     LEFT JOIN public.service_agreements a ON (((a.service_point_id = s.id) AND (a.ends_on IS NULL))))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
     LEFT JOIN public.disconnections d ON (((d.agreement_id = a.id) AND (d.reconnected_on IS NULL) AND (NOT d.withdrawn))))
     LEFT JOIN public.latest_reads r ON ((r.service_point_id = s.id)));

COMMENT ON VIEW public.service_point_list IS 'Places of supply with the meter that is there and who is supplied now.';

COMMENT ON COLUMN public.service_point_list.disconnected_on IS 'Since when their supply is cut; null while it is not.';

COMMENT ON COLUMN public.service_point_list.last_read_on IS 'Local date of the last accepted read there; null while nothing was read since the meter was put in, or without a meter.';

GRANT SELECT ON TABLE public.service_point_list TO service_role;

CREATE VIEW private.vacancies_worked_out WITH (security_invoker='true') AS
 SELECT a.service_point_id,
    a.ends_on AS since,
    n.starts_on AS until,
    a.closing_reading_id,
    n.opening_reading_id
   FROM (public.service_agreements a
     LEFT JOIN LATERAL ( SELECT x.starts_on,
            x.opening_reading_id
           FROM public.service_agreements x
          WHERE ((x.service_point_id = a.service_point_id) AND (x.starts_on >= a.ends_on))
          ORDER BY x.starts_on
         LIMIT 1) n ON (true))
  WHERE ((a.ends_on IS NOT NULL) AND ((n.starts_on IS NULL) OR (n.starts_on > a.ends_on)))
UNION ALL
 SELECT i.service_point_id,
    i.installed_on AS since,
    n.starts_on AS until,
    i.opening_reading_id AS closing_reading_id,
    n.opening_reading_id
   FROM (public.meter_installations i
     LEFT JOIN LATERAL ( SELECT x.starts_on,
            x.opening_reading_id
           FROM public.service_agreements x
          WHERE (x.service_point_id = i.service_point_id)
          ORDER BY x.starts_on
         LIMIT 1) n ON (true))
  WHERE ((NOT (EXISTS ( SELECT 1
           FROM public.service_agreements x
          WHERE ((x.service_point_id = i.service_point_id) AND (x.opening_reading_id = i.opening_reading_id))))) AND (NOT (EXISTS ( SELECT 1
           FROM public.meter_installations x
          WHERE ((x.service_point_id = i.service_point_id) AND (x.installed_at < i.installed_at))))))
UNION ALL
 SELECT s.id AS service_point_id,
    NULL::date AS since,
    NULL::date AS until,
    NULL::uuid AS closing_reading_id,
    NULL::uuid AS opening_reading_id
   FROM public.service_points s
  WHERE ((NOT (EXISTS ( SELECT 1
           FROM public.service_agreements x
          WHERE (x.service_point_id = s.id)))) AND (NOT (EXISTS ( SELECT 1
           FROM public.meter_installations x
          WHERE (x.service_point_id = s.id)))));

COMMENT ON VIEW private.vacancies_worked_out IS 'What public.vacancies should hold.';

GRANT SELECT ON TABLE private.vacancies_worked_out TO service_role;

CREATE FUNCTION private.note_new_places() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- One statement may make a place and what is there: this may be told of last.
    perform private.refresh_vacancies(array(select n.id from new_rows n));
    return null;
end $$;

REVOKE ALL ON FUNCTION private.note_new_places() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_new_places() TO service_role;

CREATE FUNCTION private.spans_of(p_agreement_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_agg(jsonb_build_object('tariff_id', s.tariff_id, 'starts_on', nullif(s.starts_on, '-infinity'))
                              order by s.starts_on), '[]')
    from private.tariff_spans s where s.agreement_id = p_agreement_id
$$;

COMMENT ON FUNCTION private.spans_of(p_agreement_id uuid) IS 'The tariffs of an agreement in order: [{tariff_id, starts_on: null of the first}].';

REVOKE ALL ON FUNCTION private.spans_of(p_agreement_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.spans_of(p_agreement_id uuid) TO service_role;

CREATE FUNCTION private.versions_of(p_agreement_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_agg(to_jsonb(v) order by v.effective_from, v.id), '[]') from public.tariff_version_list v
    where v.tariff_id in (select t.tariff_id from public.agreement_tariffs t where t.agreement_id = p_agreement_id)
$$;

COMMENT ON FUNCTION private.versions_of(p_agreement_id uuid) IS 'All versions in force of the tariffs that an agreement has or had.';

REVOKE ALL ON FUNCTION private.versions_of(p_agreement_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.versions_of(p_agreement_id uuid) TO service_role;

CREATE FUNCTION private.looks_back_along(p_agreement_id uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select exists (select 1 from public.agreement_tariffs t
                   where t.agreement_id = p_agreement_id and private.looks_back(t.tariff_id))
$$;

COMMENT ON FUNCTION private.looks_back_along(p_agreement_id uuid) IS 'Whether bills of an agreement depend on earlier ones.';

REVOKE ALL ON FUNCTION private.looks_back_along(p_agreement_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.looks_back_along(p_agreement_id uuid) TO service_role;

CREATE FUNCTION private.lock_points(p_points uuid[]) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    select count(*) from (
        select 1 from public.service_points where id = any (p_points) order by id for update) locked
$$;

COMMENT ON FUNCTION private.lock_points(p_points uuid[]) IS 'One at a time changes what is measured, supplied or billed at a place; always before customers, bills and the counter.';

REVOKE ALL ON FUNCTION private.lock_points(p_points uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.lock_points(p_points uuid[]) TO service_role;

CREATE FUNCTION private.lock_points_of(p_meters uuid[]) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    select private.lock_points(array(
        select i.service_point_id from public.meter_installations i where i.meter_id = any (p_meters)))
$$;

COMMENT ON FUNCTION private.lock_points_of(p_meters uuid[]) IS 'Locks the places at which some meters are or were installed.';

REVOKE ALL ON FUNCTION private.lock_points_of(p_meters uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.lock_points_of(p_meters uuid[]) TO service_role;

CREATE FUNCTION private.check_agreement_tariff() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if exists (select 1 from public.service_agreements a
               join public.customers c on c.id = a.customer_id
               join public.tariffs t on t.id = new.tariff_id
               where a.id = new.agreement_id and t.currency <> coalesce(c.currency, t.currency)) then
        raise exception using errcode = 'EB005', message = 'That tariff is in another currency than the account.';
    end if;
    return new;
end $$;

REVOKE ALL ON FUNCTION private.check_agreement_tariff() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_agreement_tariff() TO service_role;

CREATE FUNCTION private.check_installation() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.lock_points(array[new.service_point_id]);
    if exists (select 1 from public.meter_installations x
               where x.id <> new.id and x.meter_id = new.meter_id
                 and x.installed_at < coalesce(new.removed_at, 'infinity')
                 and coalesce(x.removed_at, 'infinity') > new.installed_at) then
        raise exception using errcode = 'EB005', message = 'This meter is installed at another place at that time: remove it there first.';
    elsif exists (select 1 from public.meter_installations x
               where x.id <> new.id and x.service_point_id = new.service_point_id
                 and x.installed_at < coalesce(new.removed_at, 'infinity')
                 and coalesce(x.removed_at, 'infinity') > new.installed_at) then
        raise exception using errcode = 'EB005', message = 'Another meter is installed at this place at that time: exchange it, or remove it first.';
    elsif new.removed_at is not null and exists (
        select 1 from public.readings r
        where r.meter_id = new.meter_id and r.status in ('accepted', 'needs_review') and r.read_at > new.removed_at
          and not exists (select 1 from public.meter_installations n
                          where n.meter_id = new.meter_id and n.id <> new.id and n.installed_at <= r.read_at
                            and (n.removed_at is null or r.read_at <= n.removed_at))
          -- The same meter goes on under another multiplier: its next row comes in this transaction.
          and current_setting('billing.same_meter', true) is distinct from new.meter_id::text) then
        raise exception using errcode = 'EB005', message = 'This meter was read after that time: correct or reject that reading first.';
    end if;
    return new;
end $$;

REVOKE ALL ON FUNCTION private.check_installation() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_installation() TO service_role;

CREATE FUNCTION private.check_agreement() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.lock_points(array[new.service_point_id]);
    if exists (select 1 from public.service_agreements x
               where x.id <> new.id and x.service_point_id = new.service_point_id
                 and x.starts_on < coalesce(new.ends_on, 'infinity')
                 and coalesce(x.ends_on, 'infinity') > new.starts_on) then
        raise exception using errcode = 'EB005', message = 'Somebody else has an agreement for this place at that time: end it first.';
    elsif new.ends_on is not null and exists (
        select 1 from public.bills b
        where b.agreement_id = new.id and b.status <> 'void' and b.period_end + 0 > new.ends_on) then
        raise exception using errcode = 'EB001', message = 'A bill of this agreement runs beyond that day: look at it again.';
    end if;
    return new;
end $$;

REVOKE ALL ON FUNCTION private.check_agreement() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_agreement() TO service_role;

CREATE FUNCTION private.add_customer(p jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_answer jsonb := public.import_customers(jsonb_build_object(
        'actor', p -> 'actor', 'dry_run', false, 'rows', jsonb_build_array(p -> 'customer')));
begin
    -- By the rules of imports, so that a form lets nothing in that a file would not.
    if coalesce(v_answer -> 'errors', 'null') not in ('null', '[]') then
        perform private.refuse('EB005', v_answer #>> '{errors,0,message}');
    elsif (v_answer ->> 'added')::integer <> 1 then
        perform private.refuse('EB005', 'There is a customer with this account number already.');
    end if;
end $$;

COMMENT ON FUNCTION private.add_customer(p jsonb) IS 'Adds a customer that a form is about: {actor, customer: as import_customers takes it}.';

REVOKE ALL ON FUNCTION private.add_customer(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.add_customer(p jsonb) TO service_role;

CREATE FUNCTION private.points_found(p_words text[], p_text text, p_limit integer) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    select (array(select x.id from public.service_points x where x.code = p_text)
           || private.ids_found('{"table": "service_points", "text": "private.point_search_text(%1$s.code, %1$s.address)", "begins": true}', p_words, p_limit)
           || array(select i.service_point_id from public.meter_installations i
                    where i.meter_id = any (private.meters_found(p_words, p_text, p_limit))))[:p_limit]
$_$;

COMMENT ON FUNCTION private.points_found(p_words text[], p_text text, p_limit integer) IS 'Places whose code and address have all words, whose code it is, or where a meter with such a serial is or was; at most so many.';

REVOKE ALL ON FUNCTION private.points_found(p_words text[], p_text text, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.points_found(p_words text[], p_text text, p_limit integer) TO service_role;

CREATE FUNCTION private.day_of_route() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    new.billing_day := coalesce(
        (select r.billing_day from public.service_points s join public.reading_routes r on r.route = s.route
         where s.id = new.service_point_id), new.billing_day);
    return new;
end $$;

COMMENT ON FUNCTION private.day_of_route() IS 'A new agreement on a route that has a billing day is billed on that day, unless it was given another than the 1st.';

REVOKE ALL ON FUNCTION private.day_of_route() FROM PUBLIC;
GRANT ALL ON FUNCTION private.day_of_route() TO service_role;

CREATE FUNCTION private.move_to_day_of_route() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.service_agreements a set billing_day = r.billing_day
    from new_rows n
    join old_rows o on o.id = n.id and o.route is distinct from n.route
    join public.reading_routes r on r.route = n.route
    where a.service_point_id = n.id and a.ends_on is null and a.billing_day <> r.billing_day;
    return null;
end $$;

COMMENT ON FUNCTION private.move_to_day_of_route() IS 'A place that comes to a route with a billing day is billed on that day from then on.';

REVOKE ALL ON FUNCTION private.move_to_day_of_route() FROM PUBLIC;
GRANT ALL ON FUNCTION private.move_to_day_of_route() TO service_role;

CREATE FUNCTION private.installations_between(p_point_id uuid, p_from timestamp with time zone, p_to timestamp with time zone) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'meter_id', m.id, 'dials', m.dials, 'multiplier_milli', i.multiplier_milli,
               'connected_w', s.connected_w, 'connected_va', s.connected_va,
               'opening', to_jsonb(o), 'closing', to_jsonb(c)) order by i.installed_at), '[]')
    from public.meter_installations i
    join public.service_points s on s.id = i.service_point_id
    join public.meters m on m.id = i.meter_id
    join lateral (select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers, r.rolled_over
                  from public.readings r where r.id = i.opening_reading_id) o on true
    left join lateral (select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers, r.rolled_over
                       from public.readings r where r.id = i.closing_reading_id) c on true
    where i.service_point_id = p_point_id and i.installed_at <= p_to and (i.removed_at is null or i.removed_at >= p_from)
$$;

COMMENT ON FUNCTION private.installations_between(p_point_id uuid, p_from timestamp with time zone, p_to timestamp with time zone) IS 'What was installed at a service point between two instants, in order: [{meter_id, dials, multiplier_milli, connected_w, connected_va, opening, closing or null}].';

REVOKE ALL ON FUNCTION private.installations_between(p_point_id uuid, p_from timestamp with time zone, p_to timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION private.installations_between(p_point_id uuid, p_from timestamp with time zone, p_to timestamp with time zone) TO service_role;

CREATE FUNCTION private.set_tariff(p_agreement_id uuid, p_from date, p_tariff_id uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
    values (private.ordered_id(), p_agreement_id,
            greatest(p_from, (select starts_on from public.service_agreements where id = p_agreement_id)), p_tariff_id)
    on conflict (agreement_id, starts_on) do update set tariff_id = excluded.tariff_id
    where agreement_tariffs.tariff_id <> excluded.tariff_id;
    -- What was to begin later gives way.
    update public.agreement_tariffs set tariff_id = p_tariff_id
    where agreement_id = p_agreement_id and starts_on > p_from and tariff_id <> p_tariff_id;
end $$;

COMMENT ON FUNCTION private.set_tariff(p_agreement_id uuid, p_from date, p_tariff_id uuid) IS 'Puts an agreement on a tariff from a local date on.';

REVOKE ALL ON FUNCTION private.set_tariff(p_agreement_id uuid, p_from date, p_tariff_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.set_tariff(p_agreement_id uuid, p_from date, p_tariff_id uuid) TO service_role;

CREATE FUNCTION private.cycle_end(p_on date, p_day smallint) RETURNS date
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select date_trunc('month', (p_on - (p_day - 1))::timestamp)::date + (p_day - 1)
$$;

COMMENT ON FUNCTION private.cycle_end(p_on date, p_day smallint) IS 'The last date on or before a date that has this day of the month (1 to 28): where the cycle that was billed last ends.';

REVOKE ALL ON FUNCTION private.cycle_end(p_on date, p_day smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION private.cycle_end(p_on date, p_day smallint) TO service_role;

CREATE FUNCTION private.note_cycles() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.billing_cycles (billing_day)
    select distinct n.billing_day from new_rows n
    where not exists (select 1 from public.billing_cycles c where c.billing_day = n.billing_day)
    on conflict do nothing;
    return null;
end $$;

COMMENT ON FUNCTION private.note_cycles() IS 'Keeps which billing days are in use.';

REVOKE ALL ON FUNCTION private.note_cycles() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_cycles() TO service_role;

CREATE FUNCTION private.cycles_in_use() RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_agg(jsonb_build_object('billing_day', c.billing_day, 'since', nullif(c.since, '-infinity'))
                              order by c.billing_day), '[]')
    from public.billing_cycles c
    where exists (select 1 from public.service_agreements a where a.billing_day = c.billing_day)
$$;

COMMENT ON FUNCTION private.cycles_in_use() IS 'The billing days that agreements have: [{billing_day, since: null where it always was}].';

REVOKE ALL ON FUNCTION private.cycles_in_use() FROM PUBLIC;
GRANT ALL ON FUNCTION private.cycles_in_use() TO service_role;

CREATE FUNCTION public.set_billing_day(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_day smallint := (p ->> 'billing_day')::smallint;
    v_moved bigint;
begin
    perform private.set_actor(p);
    if v_day is null or v_day not between 1 and 28 then
        perform private.refuse('EB400', 'A billing day is from 1 to 28, so that each month has it.');
    end if;
    if p ->> 'agreement_id' is not null then
        update public.service_agreements set billing_day = v_day
        where id = (p ->> 'agreement_id')::uuid and ends_on is null and billing_day <> v_day;
        get diagnostics v_moved = row_count;
        if not exists (select 1 from public.service_agreements where id = (p ->> 'agreement_id')::uuid) then
            perform private.refuse('EB404', 'There is no such agreement.');
        elsif v_moved = 0 and not exists (select 1 from public.service_agreements
                                          where id = (p ->> 'agreement_id')::uuid and ends_on is null) then
            perform private.refuse('EB005', 'This agreement has ended: it is not billed on any day.');
        end if;
        return jsonb_build_object('agreements', v_moved);
    end if;
    if not exists (select 1 from public.service_points where route = p ->> 'route' and route <> '') then
        perform private.refuse('EB404', format('No place of supply is on route %s.', p ->> 'route'));
    end if;
    insert into public.reading_routes (route, billing_day) values (p ->> 'route', v_day)
    on conflict (route) do update set billing_day = excluded.billing_day;
    update public.service_agreements a set billing_day = v_day
    from public.service_points s
    where s.route = p ->> 'route' and s.route <> '' and a.service_point_id = s.id and a.ends_on is null and a.billing_day <> v_day;
    get diagnostics v_moved = row_count;
    return jsonb_build_object('agreements', v_moved);
end $$;

COMMENT ON FUNCTION public.set_billing_day(p jsonb) IS 'Bills an agreement, or all of a route and who comes to it later, on another day of the month: {actor, billing_day, agreement_id | route} -> {agreements: how many were moved}. A repeat moves none.';

REVOKE ALL ON FUNCTION public.set_billing_day(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_billing_day(p jsonb) TO service_role;

CREATE FUNCTION public.billing_cycles_page(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with kept as materialized (
        select t.kind, t.name, sum(t.number)::bigint as number from public.supply_totals t
        where t.kind in ('billing_day', 'route') group by 1, 2 having sum(t.number) <> 0)
    select jsonb_build_object(
        'cycles', (select coalesce(jsonb_agg(jsonb_build_object(
                       'billing_day', c -> 'billing_day', 'since', c -> 'since',
                       'agreements', coalesce((select k.number from kept k where k.kind = 'billing_day' and k.name = c ->> 'billing_day'), 0))
                       order by (c ->> 'billing_day')::integer), '[]')
                   from jsonb_array_elements(private.cycles_in_use()) c),
        'routes', (select coalesce(jsonb_agg(jsonb_build_object(
                       'route', k.name, 'places', k.number, 'billing_day', r.billing_day) order by k.name), '[]')
                   from kept k left join public.reading_routes r on r.route = k.name where k.kind = 'route'))
$$;

COMMENT ON FUNCTION public.billing_cycles_page(p jsonb) IS 'The billing days in use and the reading routes: {} -> {cycles: [{billing_day, since, agreements: those that last}], routes: [{route, places, billing_day: null without one of its own}]}.';

REVOKE ALL ON FUNCTION public.billing_cycles_page(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.billing_cycles_page(p jsonb) TO service_role;

CREATE FUNCTION public.change_service_point(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_point public.service_points;
    v_is jsonb;
    v_transformer uuid;
    v_moved_on constant date := (p ->> 'moved_on')::date;
    v_last date;
begin
    perform private.set_actor(p);
    select * into v_point from public.service_points where id = (p ->> 'service_point_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such service point.');
    end if;
    v_is := jsonb_build_object(
        'code', v_point.code, 'address', v_point.address, 'route', v_point.route, 'sequence', v_point.sequence,
        'phases', v_point.phases, 'connected_w', v_point.connected_w, 'connected_va', v_point.connected_va,
        'access_note', v_point.access_note,
        'transformer_code', (select t.code from public.transformers t where t.id = v_point.transformer_id));
    -- A repeat of this very change finds what it wrote.
    if v_is <> p -> 'seen' and v_is <> p -> 'details' then
        perform private.refuse('EB005', 'Somebody else changed this place meanwhile. Look at it as it is now.');
    end if;
    if p #>> '{details,transformer_code}' is not null then
        select t.id into v_transformer from public.transformers t where t.code = p #>> '{details,transformer_code}';
        if not found then
            perform private.refuse('EB005', format('No transformer has the code %s.', p #>> '{details,transformer_code}'));
        end if;
    end if;
    if v_moved_on is not null and v_transformer is distinct from v_point.transformer_id then
        select max(m.moved_on) into v_last from public.transformer_moves m where m.service_point_id = v_point.id;
        if v_last > v_moved_on then
            perform private.refuse('EB005', format('This place was moved to another transformer on %s already: it can only be moved on from there on a later day.', v_last));
        end if;
        -- Moved twice on one day, it never hung on the first of the two.
        insert into public.transformer_moves (service_point_id, moved_on, from_transformer_id)
        values (v_point.id, v_moved_on, v_point.transformer_id)
        on conflict (service_point_id, moved_on) do nothing;
    end if;
    update public.service_points s
    set code = x.code, address = x.address, route = x.route, sequence = x.sequence, phases = x.phases,
        connected_w = x.connected_w, connected_va = x.connected_va, access_note = x.access_note, transformer_id = v_transformer
    from jsonb_to_record(p -> 'details') as x(
        code text, address text, route text, sequence integer, phases smallint, connected_w integer, connected_va integer,
        access_note text)
    where s.id = v_point.id and v_is <> p -> 'details';
    return '{}'::jsonb;
exception when unique_violation then
    raise exception using errcode = 'EB005', message = format('Another service point has the code %s already.', p #>> '{details,code}');
end $$;

COMMENT ON FUNCTION public.change_service_point(p jsonb) IS 'Changes the details of a place: {actor, service_point_id, seen: {code, address, route, sequence, phases, connected_w, connected_va, access_note, transformer_code} as they were, details: the same as they are to be, moved_on?: from when on it hangs on another transformer; without it the transformer is corrected for as long as it was said to hang on it}. EB005 when somebody else changed them meanwhile, the code is taken, or it was moved later than that day.';

REVOKE ALL ON FUNCTION public.change_service_point(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_service_point(p jsonb) TO service_role;

CREATE FUNCTION private.read_at_place(p_point_id uuid, p_on date) RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select r.id
    from public.meter_installations i
    join public.readings r on r.meter_id = i.meter_id and r.read_on = p_on and r.status = 'accepted'
        and r.read_at >= i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
    where i.service_point_id = p_point_id and i.installed_on <= p_on
    -- Where agreements meet on a day, one read closes the first and opens the next.
    order by exists (select 1 from public.service_agreements a
                     where a.service_point_id = p_point_id and r.id in (a.opening_reading_id, a.closing_reading_id)) desc,
             r.read_at, r.id
    limit 1
$$;

COMMENT ON FUNCTION private.read_at_place(p_point_id uuid, p_on date) IS 'The accepted read at which an agreement may begin or end at a place on a local date, or null.';

REVOKE ALL ON FUNCTION private.read_at_place(p_point_id uuid, p_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.read_at_place(p_point_id uuid, p_on date) TO service_role;

CREATE FUNCTION public.import_service_points(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_moved uuid[];
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', z."row", 'column', z."column", 'message', z.message) order by z."row")
    into v_errors
    from (
        select x."row", 'transformer_code' as "column", format('No transformer has the code %s.', x.transformer_code) as message
        from jsonb_to_recordset(p -> 'rows') as x("row" integer, transformer_code text)
        where x.transformer_code <> '' and not exists (select 1 from public.transformers t where t.code = x.transformer_code)
        union all
        select x."row", 'transformer_since', format('This place was moved to another transformer on %s already: it can only be moved on from there on a later day.', m.last)
        from jsonb_to_recordset(p -> 'rows') as x("row" integer, code text, transformer_code text, moved_on date)
        join public.service_points s on s.code = x.code
        left join public.transformers t on t.code = x.transformer_code
        cross join lateral (select max(y.moved_on) as last from public.transformer_moves y where y.service_point_id = s.id) m
        where x.moved_on is not null and (m.last > x.moved_on or (m.last < x.moved_on and s.transformer_id is not distinct from t.id))) z;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.service_points (id, code) select private.ordered_id(), x.code
        from jsonb_to_recordset(p -> 'rows') as x(code text)
        -- A place that came with its meter has its serial for a code.
        where not exists (select 1 from public.service_points s where s.code = x.code)
        on conflict do nothing;
        get diagnostics v_added = row_count;
        -- Where it hangs on that transformer already, what it hung on before is not known.
        with moved as (
            insert into public.transformer_moves (service_point_id, moved_on, from_transformer_id)
            select s.id, x.moved_on, case when s.transformer_id is distinct from t.id then s.transformer_id end
            from jsonb_to_recordset(p -> 'rows') as x(code text, transformer_code text, moved_on date)
            join public.service_points s on s.code = x.code
            left join public.transformers t on t.code = x.transformer_code
            where x.moved_on is not null
            on conflict (service_point_id, moved_on) do nothing
            returning service_point_id
        )
        select coalesce(array_agg(m.service_point_id), '{}') into v_moved from moved m;
        with wanted as materialized (
            select s.id, s.created_at = now() as is_new, coalesce(e ->> 'address', s.address) as address,
                   case when e ? 'transformer_code' then t.id else s.transformer_id end as transformer_id,
                   coalesce(e ->> 'route', s.route) as route,
                   case when e ? 'sequence' then (e ->> 'sequence')::integer else s.sequence end as sequence,
                   case when e ? 'phases' then (e ->> 'phases')::smallint else s.phases end as phases,
                   case when e ? 'connected_w' then (e ->> 'connected_w')::integer else s.connected_w end as connected_w,
                   case when e ? 'connected_va' then (e ->> 'connected_va')::integer else s.connected_va end as connected_va,
                   coalesce(e ->> 'access_note', s.access_note) as access_note
            from jsonb_array_elements(p -> 'rows') e
            join public.service_points s on s.code = e ->> 'code'
            left join public.transformers t on t.code = e ->> 'transformer_code'
        ), written as (
            update public.service_points s
            set address = w.address, transformer_id = w.transformer_id, route = w.route, sequence = w.sequence, phases = w.phases,
                connected_w = w.connected_w, connected_va = w.connected_va, access_note = w.access_note
            from wanted w
            where s.id = w.id and (s.address, s.transformer_id, s.route, s.sequence, s.phases, s.connected_w, s.connected_va, s.access_note)
                is distinct from (w.address, w.transformer_id, w.route, w.sequence, w.phases, w.connected_w, w.connected_va, w.access_note)
            returning s.id
        )
        select count(*) into v_changed from wanted w
        where not w.is_new and (w.id = any (v_moved) or w.id in (select x.id from written x));
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_service_points(p jsonb) IS 'Adds places of supply, or changes what is known of those with these codes: {actor, dry_run, rows: [{row, code, address?, transformer_code?, moved_on?: from when on it hangs on that transformer, route?, sequence?, phases?, connected_w?, connected_va?, access_note?}]}. What a row does not give stays; an empty text or null takes it away. Without moved_on the transformer is corrected for as long as it was said to hang on it.';

REVOKE ALL ON FUNCTION public.import_service_points(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_service_points(p jsonb) TO service_role;

CREATE FUNCTION private.agreement_problems(p_rows jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with m as materialized (select * from private.match_agreements(p_rows)),
    -- Who will be supplied when: what is known, as the file ends it, and what the file adds.
    spans as materialized (
        select a.service_point_id as point_id, a.id, a.starts_on, coalesce(a.ends_on, e.ends_on) as ends_on, k.account_no
        from public.service_agreements a
        join public.customers k on k.id = a.customer_id
        left join (select n.known_id, min(n.ends_on) as ends_on from m n group by 1) e on e.known_id = a.id
        where a.service_point_id in (select n.point_id from m n)
        union all
        select n.point_id, n.id, n.starts_on, n.ends_on, n.account_no
        from m n where n.known_id is null and n.tariff_from = n.starts_on and n.point_id is not null
    ), problems as (
        select m."row", case
            when m.point_id is null then array['service_point', format(
                'No service point has the code %s: import service points, or the meter that stands there, first.', m.service_point)]
            when m.customer_id is null then array['account_no', format('No customer has the account number %s.', m.account_no)]
            when m.tariff_id is null then array['tariff_code', format('No tariff has the code %s.', m.tariff_code)]
            when coalesce(m.currency, m.tariff_currency) <> m.tariff_currency then array['tariff_code', format(
                'Tariff %s is in %s, account %s in %s.', m.tariff_code, m.tariff_currency, m.account_no, m.currency)]
            when m.known_id is not null and m.known_customer_id <> m.customer_id then array['account_no', format(
                'Account %s is supplied at %s from %s: an import does not change whose agreement it is.',
                (select k.account_no from public.customers k where k.id = m.known_customer_id), m.service_point, m.starts_on)]
            when not exists (select 1 from public.tariff_versions v where v.tariff_id = m.tariff_id and v.effective_from <= m.tariff_from)
                then array['tariff_code', format('No version of tariff %s is in force on %s.', m.tariff_code, m.tariff_from)]
            when m.known_ends_on <> m.ends_on then array['ends_on', format(
                'This agreement ended on %s: change that on the page of the service point.', m.known_ends_on)]
            when o.account_no is not null then array['starts_on', format(
                'Account %s is supplied at %s from %s%s: there is one agreement at a time. End that one first, or correct the dates.',
                o.account_no, m.service_point, o.starts_on, coalesce(' to ' || o.ends_on, ' on'))]
            when m.known_id is null and m.opening_reading_id is null then array['starts_on', r.why || ' The agreement begins at it.']
            when m.ends_on is not null and m.closing_reading_id is null then array['ends_on', q.why || ' The agreement ends at it.']
            when m.ends_on is not null and m.known_ends_on is null and b.period_end > m.ends_on then array['ends_on', format(
                'A bill of this agreement runs to %s: end it on the page of the service point, which corrects the bill.', b.period_end)]
            when m.tariff_from >= coalesce(m.ends_on, m.known_ends_on, 'infinity') or m.tariff_from < m.starts_on then
                array['tariff_from', 'must be a day of the agreement.']
            when m.known_id is not null and w.tariff_id <> m.tariff_id and m.tariff_from = m.starts_on then array['tariff_code', format(
                'The agreement began on tariff %s: put the day from which another holds under tariff_from.', w.code)]
            when m.known_id is null and m.tariff_from > m.starts_on and not exists (
                    select 1 from m n where n.point_id = m.point_id and n.starts_on = m.starts_on and n.tariff_from = n.starts_on) then
                array['tariff_from', 'The file lacks the row with the tariff on which this agreement begins.']
            when m.known_id is not null and w.tariff_id <> m.tariff_id and b.period_end > m.tariff_from then array['tariff_from', format(
                'A bill of this agreement runs to %s: change the tariff on the page of the service point, which corrects the bill.', b.period_end)]
            when d.amount_minor <> -m.deposit_minor then array['deposit', format(
                'Another deposit was brought in for this agreement: change it on the page of account %s.', m.account_no)]
            end as problem
        from m
        left join lateral (
            select s.account_no, s.starts_on, s.ends_on from spans s
            where m.tariff_from = m.starts_on and s.point_id = m.point_id and s.id <> m.id
              and s.starts_on < coalesce(m.ends_on, m.known_ends_on, 'infinity') and coalesce(s.ends_on, 'infinity') > m.starts_on
            order by s.starts_on limit 1) o on true
        left join lateral (
            select max(x.period_end) as period_end from public.bills x
            where x.agreement_id = m.known_id and x.status <> 'void') b on true
        left join lateral (
            select x.tariff_id, t.code from private.tariff_spans x join public.tariffs t on t.id = x.tariff_id
            where x.agreement_id = m.known_id and x.starts_on <= m.tariff_from and m.tariff_from < x.ends_on) w on true
        left join public.ledger_entries d on d.id = md5('agreement_deposit/' || m.id)::uuid
        cross join lateral (
            select case when exists (select 1 from public.meter_installations i where i.service_point_id = m.point_id and i.installed_on <= m.starts_on)
                        then format('No read of %s is accepted: import one at %s first.', m.starts_on, m.service_point)
                        else format('No meter stands at %s on %s: import it with an opening read of that day or before.', m.service_point, m.starts_on)
                   end as why) r
        cross join lateral (
            select format('No read of %s is accepted: import one at %s first.', m.ends_on, m.service_point) as why) q
    )
    select jsonb_agg(jsonb_build_object('row', p."row", 'column', p.problem[1], 'message', p.problem[2]) order by p."row")
    from problems p where p.problem is not null
$$;

REVOKE ALL ON FUNCTION private.agreement_problems(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.agreement_problems(p_rows jsonb) TO service_role;

CREATE FUNCTION public.import_agreements(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_errors jsonb;
    v_matched jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_done integer[] := '{}';
    v_some integer[];
begin
    perform private.set_actor(p);
    perform private.lock_points(array(
        select s.id from public.service_points s
        where s.code in (select x ->> 'service_point' from jsonb_array_elements(p -> 'rows') x)));
    perform private.lock_customers(array(
        select c.id from public.customers c
        where c.account_no in (select x ->> 'account_no' from jsonb_array_elements(p -> 'rows') x)));
    v_errors := coalesce(private.agreement_problems(p -> 'rows'), private.opening_bank_problems(p -> 'rows'));
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        select jsonb_agg(to_jsonb(m)) into v_matched from private.match_agreements(p -> 'rows') m;
        update public.customers c set currency = m.tariff_currency
        from jsonb_to_recordset(v_matched) as m(customer_id uuid, tariff_currency text)
        where c.id = m.customer_id and c.currency is null;
        with ended as (
            update public.service_agreements a
            set ends_on = coalesce(a.ends_on, m.ends_on), billing_day = coalesce(m.billing_day, a.billing_day),
                closing_reading_id = coalesce(a.closing_reading_id, case when m.ends_on is not null then m.closing_reading_id end)
            from jsonb_to_recordset(v_matched) as m(
                "row" integer, known_id uuid, starts_on date, tariff_from date, ends_on date, closing_reading_id uuid, billing_day smallint)
            where a.id = m.known_id and m.tariff_from = m.starts_on
              and (m.ends_on is not null and a.ends_on is null or m.billing_day <> a.billing_day)
            returning m."row"
        )
        select coalesce(array_agg("row"), '{}') into v_done from ended;
        with added as (
            insert into public.service_agreements (
                id, service_point_id, customer_id, starts_on, ends_on, opening_reading_id, closing_reading_id, billing_day)
            select m.id, m.point_id, m.customer_id, m.starts_on, m.ends_on, m.opening_reading_id, m.closing_reading_id,
                   coalesce(m.billing_day, 1)
            from jsonb_to_recordset(v_matched) as m(
                id uuid, known_id uuid, point_id uuid, customer_id uuid, starts_on date, tariff_from date, ends_on date,
                opening_reading_id uuid, closing_reading_id uuid, billing_day smallint)
            where m.known_id is null and m.tariff_from = m.starts_on
            order by m.starts_on
            returning 1
        )
        select count(*) into v_added from added;
        with wanted as (
            select m."row", m.id, m.tariff_from, m.tariff_id, m.known_id is null and m.tariff_from = m.starts_on as is_new
            from jsonb_to_recordset(v_matched) as m("row" integer, id uuid, known_id uuid, starts_on date, tariff_from date, tariff_id uuid)
            where m.known_id is null or (
                select x.tariff_id from private.tariff_spans x
                where x.agreement_id = m.id and x.starts_on <= m.tariff_from and m.tariff_from < x.ends_on) <> m.tariff_id
        ), put as (
            insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
            select private.ordered_id(), w.id, w.tariff_from, w.tariff_id from wanted w
            on conflict (agreement_id, starts_on) do update set tariff_id = excluded.tariff_id
            returning agreement_id, starts_on
        )
        select coalesce(array_agg(w."row"), '{}') into v_some
        from wanted w join put u on (u.agreement_id, u.starts_on) = (w.id, w.tariff_from) where not w.is_new;
        v_done := v_done || v_some;
        select coalesce(array_agg(m."row"), '{}') into v_some
        from jsonb_to_recordset(v_matched) as m("row" integer, id uuid, deposit_minor bigint)
        where m.deposit_minor > 0
          and not exists (select 1 from public.ledger_entries e where e.id = md5('agreement_deposit/' || m.id)::uuid);
        perform private.post_entries((
            select jsonb_agg(jsonb_build_object(
                'id', md5('agreement_deposit/' || m.id)::uuid, 'customer_id', m.customer_id, 'book', 'deposit',
                'currency', m.tariff_currency, 'kind', 'opening_balance', 'amount_minor', -m.deposit_minor,
                'on_date', m.starts_on, 'note', format('Deposit for %s, brought in', m.service_point)) order by m."row")
            from jsonb_to_recordset(v_matched) as m(
                "row" integer, id uuid, customer_id uuid, tariff_currency text, deposit_minor bigint, starts_on date, service_point text)
            where m."row" = any (v_some))) where v_some <> '{}';
        v_some := v_some || private.bring_in_banks(p -> 'rows', v_matched);
        -- The deposit and the bank of a new agreement come with it.
        select count(distinct n) into v_changed from unnest(v_done || array(
            select m."row" from jsonb_to_recordset(v_matched) as m("row" integer, known_id uuid)
            where m."row" = any (v_some) and m.known_id is not null)) n;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_agreements(p jsonb) IS 'Adds service agreements between accepted reads, ends known ones, changes their billing day, puts them on another tariff from a day, and enters deposits that are held and kWh that are banked: {actor, dry_run, rows: [{row, service_point, account_no, tariff_code, starts_on, ends_on?, tariff_from?, deposit_minor?, billing_day?, opening_bank?: Wh by period of its tariff, "" for all hours}]}. All rows of a place come together.';

REVOKE ALL ON FUNCTION public.import_agreements(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_agreements(p jsonb) TO service_role;

CREATE FUNCTION private.match_agreements(p_rows jsonb) RETURNS TABLE("row" integer, id uuid, service_point text, account_no text, tariff_code text, starts_on date, ends_on date, tariff_from date, deposit_minor bigint, billing_day smallint, point_id uuid, customer_id uuid, currency text, tariff_id uuid, tariff_currency text, known_id uuid, known_customer_id uuid, known_ends_on date, opening_reading_id uuid, closing_reading_id uuid)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with rows as materialized (
        select * from jsonb_to_recordset(p_rows) as x(
            "row" integer, service_point text, account_no text, tariff_code text, starts_on date, ends_on date,
            tariff_from date, deposit_minor bigint, billing_day smallint)
    ), added as materialized (
        -- The rows of one that is new, of a tariff each, have one id.
        select x.service_point, x.starts_on, private.ordered_id() as id
        from (select y.service_point, y.starts_on from rows y group by 1, 2 order by min(y."row")) x
    )
    select x."row", coalesce(a.id, n.id), x.service_point, x.account_no, x.tariff_code, x.starts_on, x.ends_on,
           coalesce(x.tariff_from, x.starts_on), x.deposit_minor, x.billing_day, s.id, c.id, c.currency, t.id, t.currency, a.id, a.customer_id,
           a.ends_on, coalesce(a.opening_reading_id, private.read_at_place(s.id, x.starts_on)),
           coalesce(a.closing_reading_id, private.read_at_place(s.id, x.ends_on))
    from rows x
    left join added n on n.service_point = x.service_point and n.starts_on = x.starts_on
    left join public.service_points s on s.code = x.service_point
    left join public.customers c on c.account_no = x.account_no
    left join public.tariffs t on t.code = x.tariff_code
    left join public.service_agreements a on a.service_point_id = s.id and a.starts_on = x.starts_on
$$;

COMMENT ON FUNCTION private.match_agreements(p_rows jsonb) IS 'Rows of an import beside the places, customers, tariffs, agreements and reads that they name.';

REVOKE ALL ON FUNCTION private.match_agreements(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.match_agreements(p_rows jsonb) TO service_role;

CREATE FUNCTION private.undo_agreement(p_agreement uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if exists (select 1 from public.bills b where b.agreement_id = p_agreement) then
        perform private.refuse('EB005', 'Bills were made for this agreement: let them move out instead.');
    end if;
    perform set_config('billing.undoing', p_agreement::text, true);
    delete from public.agreements_to_bill where agreement_id = p_agreement;
    update public.job_set_aside set agreement_id = null where agreement_id = p_agreement;
    delete from public.disconnections where agreement_id = p_agreement and withdrawn;
    delete from public.agreement_tariffs where agreement_id = p_agreement;
    delete from public.service_agreements where id = p_agreement;
    perform set_config('billing.undoing', '', true);
end $$;

COMMENT ON FUNCTION private.undo_agreement(p_agreement uuid) IS 'Takes an agreement away that nobody ever had, and that no bill was made for.';

REVOKE ALL ON FUNCTION private.undo_agreement(p_agreement uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.undo_agreement(p_agreement uuid) TO service_role;

CREATE FUNCTION private.meters_at_place(p_point uuid) RETURNS TABLE(meter_id uuid, days datemultirange)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- A meter that came back, or has another multiplier, has several installations.
    select i.meter_id, range_agg(daterange(i.installed_on, i.removed_on, '[]'))
    from public.meter_installations i where i.service_point_id = p_point
    group by i.meter_id
$$;

COMMENT ON FUNCTION private.meters_at_place(p_point uuid) IS 'The meters that are or were installed at a place, with the local dates on which they were.';

REVOKE ALL ON FUNCTION private.meters_at_place(p_point uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.meters_at_place(p_point uuid) TO service_role;

CREATE FUNCTION public.reads_at_place(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_point constant uuid := (p ->> 'service_point_id')::uuid;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_at constant timestamptz := coalesce((p #>> '{after,0}')::timestamptz, 'infinity');
    v_id constant uuid := coalesce((p #>> '{after,1}')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    v_ids uuid[];
begin
    if not exists (select 1 from public.service_points where id = v_point) then
        perform private.refuse('EB404', 'No such service point.');
    end if;
    -- Two rows more than asked for say that there are older ones, and where use since then began: where a meter was
    -- exchanged, the first read of the new one stands between two of the old one.
    v_ids := array(
        select y.id from (
            select distinct x.read_at, x.id
            from public.meter_installations i
            cross join lateral (
                select r.read_at, r.id from public.readings r
                where r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
                  and r.read_at <= coalesce(i.removed_at, 'infinity') and r.read_at <= v_at and (r.read_at, r.id) < (v_at, v_id)
                order by r.read_at desc, r.id desc limit v_limit + 2) x
            where i.service_point_id = v_point) y
        order by y.read_at desc, y.id desc limit v_limit + 2);
    return jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.reading_list l where l.id = any (v_ids)));
end $$;

COMMENT ON FUNCTION public.reads_at_place(p jsonb) IS 'The accepted reads of all meters while they were at a place, the newest first: {service_point_id, after: [read_at, id] or null, limit} -> {rows: up to two more than the limit where there are older ones}.';

REVOKE ALL ON FUNCTION public.reads_at_place(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reads_at_place(p jsonb) TO service_role;

CREATE FUNCTION private.is_disconnected(p_agreement_id uuid, p_on date) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select exists (select 1 from public.disconnections d
                   where d.agreement_id = p_agreement_id and not d.withdrawn
                     and d.disconnected_on <= p_on and coalesce(d.reconnected_on, 'infinity') > p_on)
$$;

COMMENT ON FUNCTION private.is_disconnected(p_agreement_id uuid, p_on date) IS 'Whether the supply of an agreement was cut on a local date.';

REVOKE ALL ON FUNCTION private.is_disconnected(p_agreement_id uuid, p_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_disconnected(p_agreement_id uuid, p_on date) TO service_role;

CREATE FUNCTION private.change_disconnection(p jsonb, a public.service_agreements) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_kind text := p ->> 'kind';
    v_on date := (p ->> 'effective_on')::date;
    d public.disconnections;
begin
    -- The last one that counts; the place and the customer are locked.
    select * into d from public.disconnections x
    where x.agreement_id = a.id and not x.withdrawn order by x.disconnected_on desc, x.created_at desc limit 1;
    if a.ends_on is not null then
        perform private.refuse('EB005', 'They moved out meanwhile: look at the place again.');
    elsif v_kind = 'disconnect' then
        if v_on <= a.starts_on then
            perform private.refuse('EB005', 'Nobody who has an agreement for this place was supplied that day.');
        elsif d.id is not null and d.reconnected_on is null then
            perform private.refuse('EB005', 'They are disconnected already.');
        elsif v_on < d.reconnected_on then
            perform private.refuse('EB005', 'They were reconnected after that day: give a later one.');
        end if;
        insert into public.disconnections (id, agreement_id, disconnected_on, disconnect_reading_id)
        values ((p #>> '{disconnection,id}')::uuid, a.id, v_on, (p #>> '{disconnection,reading_id}')::uuid);
        return;
    end if;
    if d.id is distinct from (p #>> '{disconnection,id}')::uuid
       or (v_kind = 'not_reconnected') = (d.reconnected_on is null) then
        perform private.refuse('EB001', 'They were disconnected or reconnected meanwhile: look at the place again.');
    end if;
    if v_kind = 'reconnect' then
        if p #> '{disconnection,fee}' <> 'null' then
            perform public.add_adjustment((p #> '{disconnection,fee}') || jsonb_build_object(
                'actor', p -> 'actor', 'kind', 'fee', 'customer_id', a.customer_id, 'on_date', p -> 'on', 'owed', p -> 'owed'));
        end if;
        update public.disconnections
        set reconnected_on = v_on, reconnect_reading_id = (p #>> '{disconnection,reading_id}')::uuid,
            fee_entry_id = (p #>> '{disconnection,fee,id}')::uuid
        where id = d.id;
    elsif v_kind = 'not_reconnected' then
        update public.disconnections set reconnected_on = null, reconnect_reading_id = null, fee_entry_id = null where id = d.id;
        if d.fee_entry_id is not null then
            perform public.undo_adjustment(jsonb_build_object(
                'actor', p -> 'actor', 'entry_id', d.fee_entry_id, 'reason', p -> 'reason', 'on_date', p -> 'on', 'owed', p -> 'owed'));
        end if;
    else
        update public.disconnections set withdrawn = true where id = d.id;
    end if;
end $$;

COMMENT ON FUNCTION private.change_disconnection(p jsonb, a public.service_agreements) IS 'The part of change_supply that cuts a supply, brings it back with its fee, or takes either back: {kind, effective_on, reason, on, owed?, disconnection: {id, reading_id?, fee?: {id, amount_minor, currency, note}}}.';

REVOKE ALL ON FUNCTION private.change_disconnection(p jsonb, a public.service_agreements) FROM PUBLIC;
GRANT ALL ON FUNCTION private.change_disconnection(p jsonb, a public.service_agreements) TO service_role;

CREATE FUNCTION private.undo_installation(p_point uuid, p_before boolean, p_reason text, p_actor text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    i public.meter_installations;
    v_before public.meter_installations;
begin
    select * into i from public.meter_installations where service_point_id = p_point and removed_at is null for update;
    if not found then
        perform private.refuse('EB005', 'The meter that was installed then is not there any more: look at the place again.');
    end if;
    select * into v_before from public.meter_installations
    where service_point_id = p_point and removed_at = i.installed_at for update;
    if p_before and v_before.id is null then
        perform private.refuse('EB005', 'There is no meter to put back.');
    elsif exists (select 1 from public.bills b join public.service_agreements a on a.id = b.agreement_id
                  where a.service_point_id = p_point and b.status <> 'void' and b.period_end > i.installed_on) then
        perform private.refuse('EB005', 'A bill runs beyond that day: void it first.');
    elsif i.meter_id is distinct from v_before.meter_id and exists (
        select 1 from public.readings r
        where r.meter_id = i.meter_id and r.read_at > i.installed_at and r.status in ('accepted', 'needs_review')) then
        perform private.refuse('EB005', 'The meter was read since it was installed: take those readings away first.');
    end if;
    perform set_config('billing.undoing', i.id::text, true);
    delete from public.meter_installations where id = i.id;
    perform set_config('billing.undoing', '', true);
    if i.meter_id is distinct from v_before.meter_id then
        -- Of a meter that was never there nothing was read.
        update public.readings
        set status = 'rejected', is_opening = false, decided_by = p_actor, decided_at = now(), decision_reason = p_reason
        where id = i.opening_reading_id and status = 'accepted'
          and not exists (select 1 from public.service_agreements a where i.opening_reading_id in (a.opening_reading_id, a.closing_reading_id));
    end if;
    update public.meter_installations
    set removed_at = null, removed_on = null, closing_reading_id = null, removal_reason = '' where id = v_before.id;
end $$;

COMMENT ON FUNCTION private.undo_installation(p_point uuid, p_before boolean, p_reason text, p_actor text) IS 'Takes the meter away that is at a place, and puts the one before it back; refused once a bill runs beyond the day.';

REVOKE ALL ON FUNCTION private.undo_installation(p_point uuid, p_before boolean, p_reason text, p_actor text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.undo_installation(p_point uuid, p_before boolean, p_reason text, p_actor text) TO service_role;

CREATE FUNCTION public.undo_supply_change(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    c public.supply_changes;
begin
    perform private.set_actor(p);
    select * into c from public.supply_changes where id = (p ->> 'change_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such change.');
    end if;
    perform private.lock_points(array[c.service_point_id]);
    if exists (select 1 from public.supply_changes where id = v_id) then
        return (select to_jsonb(x) from public.supply_changes x where x.id = v_id);
    elsif exists (select 1 from public.supply_changes where undoes_id = c.id) then
        perform private.refuse('EB005', 'This was undone already.');
    elsif exists (select 1 from public.supply_changes x
                  where x.service_point_id = c.service_point_id and x.created_at > c.created_at and x.undoes_id is null
                    and not exists (select 1 from public.supply_changes u where u.undoes_id = x.id)) then
        perform private.refuse('EB005', 'Something else was changed at this place after it: undo that first.');
    end if;
    case c.kind
        when 'move_in' then
            perform private.undo_agreement(c.agreement_id);
        when 'connect' then
            perform private.undo_agreement(c.agreement_id);
            perform private.undo_installation(c.service_point_id, false, p ->> 'reason', p ->> 'actor');
        when 'exchange' then
            perform private.undo_installation(c.service_point_id, true, p ->> 'reason', p ->> 'actor');
        when 'multiplier' then
            perform private.undo_installation(c.service_point_id, true, p ->> 'reason', p ->> 'actor');
        when 'tariff' then
            if exists (select 1 from public.bills b
                       where b.agreement_id = c.agreement_id and b.status <> 'void' and b.period_end + 0 > c.effective_on) then
                perform private.refuse('EB005', 'A bill is priced by this tariff: change the tariff back from that day, which issues it again.');
            end if;
            perform private.undo_tariff(c);
        else
            perform private.refuse('EB005', 'This cannot be undone so.');
    end case;
    set constraints all immediate;
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, undoes_id, created_by)
    values (v_id, 'undo', c.service_point_id, (select a.id from public.service_agreements a where a.id = c.agreement_id),
            c.effective_on, p ->> 'reason', c.details || jsonb_build_object('undone', c.kind), c.id, p ->> 'actor');
    return (select to_jsonb(x) from public.supply_changes x where x.id = v_id);
end $$;

COMMENT ON FUNCTION public.undo_supply_change(p jsonb) IS 'Takes the last change at a place back, which did not happen: {actor, id, change_id, reason} -> the change that says so. EB005 once something was billed by it or changed after it; a repeat is answered with the first result.';

REVOKE ALL ON FUNCTION public.undo_supply_change(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.undo_supply_change(p jsonb) TO service_role;

CREATE FUNCTION private.undo_tariff(c public.supply_changes) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform set_config('billing.undoing', c.agreement_id::text, true);
    if c.details ? 'before' then
        delete from public.agreement_tariffs where agreement_id = c.agreement_id and starts_on >= c.effective_on;
        insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
        select private.ordered_id(), c.agreement_id, b.starts_on, t.id
        from jsonb_to_recordset(c.details -> 'before') as b(starts_on date, code text) join public.tariffs t on t.code = b.code
        where b.starts_on >= c.effective_on;
    elsif (select count(*) from public.agreement_tariffs t where t.agreement_id = c.agreement_id) < 2 then
        perform private.refuse('EB005', 'It is the only tariff of this agreement: change it to the right one from that day.');
    else
        -- A change of an earlier version, which did not keep what was there before it.
        delete from public.agreement_tariffs where agreement_id = c.agreement_id and starts_on = c.effective_on;
    end if;
    perform set_config('billing.undoing', '', true);
end $$;

COMMENT ON FUNCTION private.undo_tariff(c public.supply_changes) IS 'The tariffs of an agreement as they were before a change of kind tariff.';

REVOKE ALL ON FUNCTION private.undo_tariff(c public.supply_changes) FROM PUBLIC;
GRANT ALL ON FUNCTION private.undo_tariff(c public.supply_changes) TO service_role;

CREATE FUNCTION private.note_changed_vacancies() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- Another billing day, which a whole route may get, leaves a place as vacant as it was.
    perform private.refresh_vacancies(array(
        select distinct n.service_point_id from new_rows n join old_rows o on o.id = n.id
        where (n.starts_on, n.ends_on, n.opening_reading_id, n.closing_reading_id)
            is distinct from (o.starts_on, o.ends_on, o.opening_reading_id, o.closing_reading_id)));
    return null;
end $$;

REVOKE ALL ON FUNCTION private.note_changed_vacancies() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_changed_vacancies() TO service_role;

CREATE FUNCTION private.refresh_vacancies(p_points uuid[]) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    delete from public.vacancies v where v.service_point_id = any (p_points);
    insert into public.vacancies (service_point_id, since, until, closing_reading_id, opening_reading_id)
    select w.service_point_id, w.since, w.until, w.closing_reading_id, w.opening_reading_id
    from private.vacancies_worked_out w where w.service_point_id = any (p_points)
$$;

COMMENT ON FUNCTION private.refresh_vacancies(p_points uuid[]) IS 'Works out again when some places were vacant. Who changes agreements or installations has locked the places.';

REVOKE ALL ON FUNCTION private.refresh_vacancies(p_points uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.refresh_vacancies(p_points uuid[]) TO service_role;

CREATE FUNCTION private.note_vacancies() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.refresh_vacancies(array(select distinct c.service_point_id from changed c));
    return null;
end $$;

REVOKE ALL ON FUNCTION private.note_vacancies() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_vacancies() TO service_role;

CREATE FUNCTION private.sample_on_tariff(p_tariff uuid, p_on date, p_most integer) RETURNS SETOF uuid
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    -- The first ones by their hash are a sample. Where nearly all have left, fewer are found rather than all looked through.
    select t.agreement_id
    from (select x.agreement_id, x.starts_on from public.agreement_tariffs x where x.tariff_id = p_tariff
          order by uuid_hash(x.agreement_id) limit 10 * p_most) t
    join public.service_agreements a on a.id = t.agreement_id and (a.ends_on is null or a.ends_on > p_on)
    where (t.starts_on <= p_on) is not false
      and not exists (select 1 from public.agreement_tariffs n
                      where n.agreement_id = t.agreement_id and n.starts_on > t.starts_on and (n.starts_on <= p_on) is not false)
    limit p_most
$$;

COMMENT ON FUNCTION private.sample_on_tariff(p_tariff uuid, p_on date, p_most integer) IS 'A sample of at most so many agreements that are on a tariff on a local date; without one, of those that have no end.';

REVOKE ALL ON FUNCTION private.sample_on_tariff(p_tariff uuid, p_on date, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.sample_on_tariff(p_tariff uuid, p_on date, p_most integer) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.service_points REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.service_points REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER latest_reads_moved AFTER UPDATE ON public.service_points REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_moved_places();

CREATE TRIGGER move_to_day_of_route AFTER UPDATE ON public.service_points REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.move_to_day_of_route();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.service_points FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.service_points FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER vacancies_new AFTER INSERT ON public.service_points REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_new_places();

CREATE TRIGGER audit_delete AFTER DELETE ON public.meter_installations REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit_delete();

CREATE TRIGGER audit_insert AFTER INSERT ON public.meter_installations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.meter_installations REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER latest_reads_installed AFTER INSERT ON public.meter_installations REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION private.note_changed_installations();

CREATE TRIGGER latest_reads_removed AFTER UPDATE ON public.meter_installations REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION private.note_changed_installations();

CREATE TRIGGER latest_reads_undone AFTER DELETE ON public.meter_installations REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION private.note_changed_installations();

CREATE TRIGGER never_two_meters BEFORE INSERT OR UPDATE ON public.meter_installations FOR EACH ROW EXECUTE FUNCTION private.check_installation();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.meter_installations FOR EACH ROW EXECUTE FUNCTION private.refuse_delete_unless_undone();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.meter_installations FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER vacancies_installed AFTER INSERT ON public.meter_installations REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION private.note_vacancies();

CREATE TRIGGER vacancies_moved AFTER UPDATE ON public.meter_installations REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION private.note_vacancies();

CREATE TRIGGER vacancies_undone AFTER DELETE ON public.meter_installations REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION private.note_vacancies();

CREATE TRIGGER audit_delete AFTER DELETE ON public.service_agreements REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit_delete();

CREATE TRIGGER audit_insert AFTER INSERT ON public.service_agreements REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.service_agreements REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER cycles_insert AFTER INSERT ON public.service_agreements REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_cycles();

CREATE TRIGGER cycles_update AFTER UPDATE ON public.service_agreements REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_cycles();

CREATE TRIGGER day_of_route BEFORE INSERT ON public.service_agreements FOR EACH ROW WHEN ((new.billing_day = 1)) EXECUTE FUNCTION private.day_of_route();

CREATE TRIGGER never_two_agreements BEFORE INSERT OR UPDATE ON public.service_agreements FOR EACH ROW EXECUTE FUNCTION private.check_agreement();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.service_agreements FOR EACH ROW EXECUTE FUNCTION private.refuse_delete_unless_undone();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.service_agreements FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER vacancies_begun AFTER INSERT ON public.service_agreements REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION private.note_vacancies();

CREATE TRIGGER vacancies_changed AFTER UPDATE ON public.service_agreements REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_changed_vacancies();

CREATE TRIGGER vacancies_undone AFTER DELETE ON public.service_agreements REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION private.note_vacancies();

CREATE TRIGGER audit_delete AFTER DELETE ON public.agreement_tariffs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit_delete();

CREATE TRIGGER audit_insert AFTER INSERT ON public.agreement_tariffs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.agreement_tariffs REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER one_currency BEFORE INSERT OR UPDATE ON public.agreement_tariffs FOR EACH ROW EXECUTE FUNCTION private.check_agreement_tariff();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.agreement_tariffs FOR EACH ROW EXECUTE FUNCTION private.refuse_delete_unless_undone();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.agreement_tariffs FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER audit_insert AFTER INSERT ON public.reading_routes REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.reading_routes REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_delete AFTER DELETE ON public.disconnections REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit_delete();

CREATE TRIGGER audit_insert AFTER INSERT ON public.disconnections REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.disconnections REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.disconnections FOR EACH ROW EXECUTE FUNCTION private.refuse_delete_unless_undone();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.disconnections FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.transformer_moves FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.transformer_moves FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.transformer_moves FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

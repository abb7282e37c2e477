-- Bills: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.bills (
    id uuid NOT NULL,
    number bigint,
    status text NOT NULL,
    meter_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    tariff_version_id uuid NOT NULL,
    opening_reading_id uuid NOT NULL,
    closing_reading_id uuid NOT NULL,
    period_start date NOT NULL,
    period_end date NOT NULL,
    opening_wh bigint NOT NULL,
    closing_wh bigint NOT NULL,
    consumption_wh bigint NOT NULL,
    currency text NOT NULL,
    lines jsonb NOT NULL,
    subtotal_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    total_minor bigint NOT NULL,
    amount_paid_minor bigint DEFAULT 0 NOT NULL,
    issued_at timestamp with time zone,
    issued_on date,
    due_date date,
    overdue_since date,
    payment_url text,
    reissue_no integer DEFAULT 0 NOT NULL,
    void_reason text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    second_opinion jsonb,
    usage jsonb,
    replaces_id uuid,
    priced_by uuid[],
    held_because text,
    agreement_id uuid NOT NULL,
    multiplier_milli integer NOT NULL,
    segments jsonb,
    created_by text DEFAULT NULLIF(current_setting('billing.actor'::text, true), ''::text),
    CONSTRAINT bills_check CHECK ((period_end > period_start)),
    CONSTRAINT bills_check3 CHECK ((total_minor = (subtotal_minor + tax_minor))),
    CONSTRAINT bills_check4 CHECK (((status <> 'draft'::text) OR (number IS NULL))),
    CONSTRAINT bills_check5 CHECK (((status <> 'issued'::text) OR ((number IS NOT NULL) AND (issued_at IS NOT NULL) AND (issued_on IS NOT NULL) AND (due_date IS NOT NULL)))),
    CONSTRAINT bills_check6 CHECK (((status <> 'void'::text) OR (COALESCE(void_reason, ''::text) <> ''::text))),
    CONSTRAINT bills_check7 CHECK ((opening_reading_id <> closing_reading_id)),
    CONSTRAINT bills_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT bills_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT bills_held_because_check CHECK ((held_because <> ''::text)),
    CONSTRAINT bills_lines_check CHECK ((jsonb_typeof(lines) = 'array'::text)),
    CONSTRAINT bills_multiplier_milli_check CHECK ((multiplier_milli > 0)),
    CONSTRAINT bills_number_check CHECK ((number > 0)),
    CONSTRAINT bills_reissue_no_check CHECK ((reissue_no >= 0)),
    CONSTRAINT bills_second_opinion_check CHECK (((second_opinion IS NULL) OR (jsonb_typeof(second_opinion) = 'object'::text))),
    CONSTRAINT bills_segments_check CHECK (((segments IS NULL) OR (jsonb_typeof(segments) = 'array'::text))),
    CONSTRAINT bills_status_check CHECK ((status = ANY (ARRAY['draft'::text, 'issued'::text, 'void'::text]))),
    CONSTRAINT bills_usage_check CHECK (((usage IS NULL) OR (jsonb_typeof(usage) = 'object'::text)))
)
WITH (autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.bills IS 'One bill an agreement and period, from the closing read of the agreement''s last bill that is not void to a later accepted read.';

COMMENT ON COLUMN public.bills.number IS 'Given at issue, without gaps; a void bill keeps it, a draft has none.';

COMMENT ON COLUMN public.bills.period_end IS 'Exclusive: the local date of the closing read.';

COMMENT ON COLUMN public.bills.lines IS 'Array of lines [code, description, tax, quantity, unit, rate, amount_minor, {slabs?: [[from_kwh, to_kwh, quantity, rate, amount]], note?, part?, billed_before?}?]; integers, strings and booleans only. Lines of bills from before are objects with these names. public.bill_lines reads both.';

COMMENT ON COLUMN public.bills.reissue_no IS 'How many void bills opened at the same read before this one.';

COMMENT ON COLUMN public.bills.second_opinion IS 'AI''s own calculation: {model, agrees, held, currency, total, difference, lines, other_lines}, amounts as decimal strings. Given when the bill is made; bills_guard refuses every later change, as of all figures.';

COMMENT ON COLUMN public.bills.usage IS 'What the bill was priced from beside its consumption_wh, in whole Wh, W and minor units; null when there was nothing else.';

COMMENT ON COLUMN public.bills.replaces_id IS 'The void bill that this one was made anew for.';

COMMENT ON COLUMN public.bills.priced_by IS 'The versions of the tariff that its days were priced by, in order; null in bills from before there were corrections.';

COMMENT ON COLUMN public.bills.held_because IS 'Why a person was to look at it before its issue, such as a period longer than its tariff is made for.';

COMMENT ON COLUMN public.bills.segments IS 'Where more than one meter or multiplier measured in the period: [{meter_id, opening_reading_id, closing_reading_id, opening_wh, closing_wh, multiplier_milli, consumption_wh}] in order. Null where it was one. The bill''s own meter, multiplier, opening_wh and closing_wh are those of the last.';

COMMENT ON COLUMN public.bills.created_by IS 'Who made it. Null in bills from before, whose audit record says so.';

ALTER TABLE ONLY public.bills
    ADD CONSTRAINT bills_number_key UNIQUE (number);

ALTER TABLE ONLY public.bills
    ADD CONSTRAINT bills_pkey PRIMARY KEY (id);

CREATE INDEX bills_by_due_date ON public.bills USING btree (COALESCE(due_date, 'infinity'::date), id);

CREATE INDEX bills_by_number ON public.bills USING btree (COALESCE(number, '9223372036854775807'::bigint), id);

CREATE INDEX bills_by_total ON public.bills USING btree (total_minor, id);

CREATE INDEX bills_by_version ON public.bills USING btree (tariff_version_id, period_end) WHERE (status <> 'void'::text);

CREATE INDEX bills_chain ON public.bills USING btree (agreement_id, period_end DESC) INCLUDE (period_start, consumption_wh, status) WHERE (status <> 'void'::text);

CREATE INDEX bills_created ON public.bills USING brin (created_at);

CREATE INDEX bills_customer ON public.bills USING btree (customer_id, period_end DESC, id DESC);

CREATE INDEX bills_drafts ON public.bills USING btree (period_end DESC, id DESC) WHERE (status = 'draft'::text);

CREATE INDEX bills_in_arrears ON public.bills USING btree (customer_id, due_date, id) WHERE ((status = 'issued'::text) AND (amount_paid_minor < total_minor) AND (overdue_since IS NOT NULL));

CREATE INDEX bills_in_arrears_by_day ON public.bills USING btree (due_date, id) WHERE ((status = 'issued'::text) AND (amount_paid_minor < total_minor) AND (overdue_since IS NOT NULL));

CREATE INDEX bills_issued_on ON public.bills USING btree (issued_on);

CREATE INDEX bills_made ON public.bills USING btree (customer_id, created_at DESC);

CREATE INDEX bills_meter ON public.bills USING btree (meter_id, period_end DESC);

CREATE UNIQUE INDEX bills_one_closing ON public.bills USING btree (closing_reading_id) WHERE (status <> 'void'::text);

CREATE UNIQUE INDEX bills_one_opening ON public.bills USING btree (opening_reading_id) WHERE (status <> 'void'::text);

CREATE INDEX bills_open_since ON public.bills USING btree (issued_on) WHERE ((status = 'issued'::text) AND (amount_paid_minor < total_minor) AND (overdue_since IS NULL));

CREATE INDEX bills_overdue ON public.bills USING btree (customer_id) INCLUDE (total_minor, amount_paid_minor) WHERE ((status = 'issued'::text) AND (overdue_since IS NOT NULL));

CREATE INDEX bills_partly_paid ON public.bills USING btree (period_end DESC, id DESC) WHERE ((status = 'issued'::text) AND (overdue_since IS NULL) AND (amount_paid_minor > 0) AND (amount_paid_minor < total_minor));

CREATE INDEX bills_recent ON public.bills USING btree (period_end DESC, id DESC) INCLUDE (customer_id, meter_id, number, status, total_minor, amount_paid_minor, overdue_since);

CREATE UNIQUE INDEX bills_replaces_id_key ON public.bills USING btree (replaces_id) WHERE (replaces_id IS NOT NULL);

CREATE INDEX bills_second_opinion ON public.bills USING btree (created_at) WHERE (second_opinion IS NOT NULL);

CREATE INDEX bills_to_dun ON public.bills USING btree (due_date, id) WHERE ((status = 'issued'::text) AND (amount_paid_minor < total_minor) AND (overdue_since IS NULL));

CREATE INDEX bills_void ON public.bills USING btree (agreement_id) WHERE (status = 'void'::text);

CREATE INDEX bills_void_opening ON public.bills USING btree (opening_reading_id) WHERE (status = 'void'::text);

ALTER TABLE public.bills ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.bills TO service_role;

CREATE TABLE public.unprinted_bills (
    bill_id uuid NOT NULL,
    reason text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    tried_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT unprinted_bills_reason_check CHECK ((reason <> ''::text))
);

COMMENT ON TABLE public.unprinted_bills IS 'Issued bills whose PDF could not be made in full, such as for want of a font: why, and when that was last tried.';

ALTER TABLE ONLY public.unprinted_bills
    ADD CONSTRAINT unprinted_bills_pkey PRIMARY KEY (bill_id);

CREATE INDEX unprinted_bills_tried ON public.unprinted_bills USING btree (tried_at);

ALTER TABLE public.unprinted_bills ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.unprinted_bills TO service_role;

CREATE TABLE public.agreements_to_bill (
    agreement_id uuid NOT NULL,
    queued_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.agreements_to_bill IS 'Agreements that a read (or a tariff) of an earlier month came for after that month''s run: the next tick looks at them again.';

ALTER TABLE ONLY public.agreements_to_bill
    ADD CONSTRAINT agreements_to_bill_pkey PRIMARY KEY (agreement_id);

ALTER TABLE public.agreements_to_bill ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.agreements_to_bill TO service_role;

CREATE TABLE public.kwh_bank_entries (
    id bigint NOT NULL,
    agreement_id uuid NOT NULL,
    bill_id uuid,
    period text NOT NULL,
    kind text NOT NULL,
    wh bigint NOT NULL,
    undoes_id bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT kwh_bank_entries_check CHECK (
CASE kind
    WHEN 'opening'::text THEN ((wh > 0) AND (undoes_id IS NULL) AND (bill_id IS NULL))
    WHEN 'added'::text THEN ((wh > 0) AND (undoes_id IS NULL) AND (bill_id IS NOT NULL))
    WHEN 'used'::text THEN ((wh < 0) AND (undoes_id IS NULL) AND (bill_id IS NOT NULL))
    WHEN 'settled'::text THEN ((wh < 0) AND (undoes_id IS NULL) AND (bill_id IS NOT NULL))
    WHEN 'moved'::text THEN ((wh <> 0) AND (undoes_id IS NULL) AND (bill_id IS NOT NULL))
    WHEN 'undone'::text THEN ((wh <> 0) AND (undoes_id IS NOT NULL))
    ELSE false
END)
);

COMMENT ON TABLE public.kwh_bank_entries IS 'What bills under net metering put into an agreement''s banks of kWh, and took out, in whole Wh. Never changed: a void bill''s entries are undone by others.';

COMMENT ON COLUMN public.kwh_bank_entries.period IS 'The period of the tariff whose energy it is; empty for all hours.';

COMMENT ON COLUMN public.kwh_bank_entries.kind IS 'opening: banked with another system before; added: exported beyond what was imported; used: taken for energy of this bill; settled: paid out, or lapsed; moved: from periods that the tariff has no more; undone: the bill became void.';

ALTER TABLE ONLY public.kwh_bank_entries
    ADD CONSTRAINT kwh_bank_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.kwh_bank_entries
    ADD CONSTRAINT kwh_bank_entries_undoes_id_key UNIQUE (undoes_id);

CREATE INDEX kwh_bank_entries_of_agreement ON public.kwh_bank_entries USING btree (agreement_id, period, id);

CREATE INDEX kwh_bank_entries_of_bill ON public.kwh_bank_entries USING btree (bill_id);

CREATE UNIQUE INDEX kwh_bank_openings ON public.kwh_bank_entries USING btree (agreement_id, period) WHERE (kind = 'opening'::text);

ALTER TABLE public.kwh_bank_entries ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.kwh_bank_entries TO service_role;

ALTER TABLE public.kwh_bank_entries ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.kwh_bank_entries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT USAGE ON SEQUENCE public.kwh_bank_entries_id_seq TO service_role;

CREATE TABLE public.bill_run_previews (
    scheduled_on date NOT NULL,
    worked_out_at timestamp with time zone NOT NULL,
    worked_out_by text NOT NULL,
    looked_at integer NOT NULL,
    whole boolean NOT NULL,
    totals jsonb NOT NULL,
    CONSTRAINT bill_run_previews_looked_at_check CHECK ((looked_at >= 0)),
    CONSTRAINT bill_run_previews_totals_check CHECK ((jsonb_typeof(totals) = 'array'::text))
);

COMMENT ON TABLE public.bill_run_previews IS 'The last preview of each bill run: what it was to make, to be compared with what it made.';

COMMENT ON COLUMN public.bill_run_previews.whole IS 'Whether each agreement was looked at.';

COMMENT ON COLUMN public.bill_run_previews.totals IS '[{currency, number, held, consumption_wh, total_minor}]';

ALTER TABLE ONLY public.bill_run_previews
    ADD CONSTRAINT bill_run_previews_pkey PRIMARY KEY (scheduled_on);

ALTER TABLE public.bill_run_previews ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.bill_run_previews TO service_role;

CREATE TABLE public.issue_runs (
    id uuid NOT NULL,
    started_by text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    status text DEFAULT 'running'::text NOT NULL,
    number integer NOT NULL,
    reached integer DEFAULT 0 NOT NULL,
    issued integer DEFAULT 0 NOT NULL,
    first_number bigint,
    last_number bigint,
    refusal text DEFAULT ''::text NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT issue_runs_check CHECK (((reached >= 0) AND (reached <= number))),
    CONSTRAINT issue_runs_check1 CHECK (((issued >= 0) AND (issued <= reached))),
    CONSTRAINT issue_runs_number_check CHECK ((number > 0)),
    CONSTRAINT issue_runs_status_check CHECK ((status = ANY (ARRAY['running'::text, 'done'::text])))
);

COMMENT ON TABLE public.issue_runs IS 'Drafts that somebody approved together: they are issued in batches, each one transaction that moves "reached" on.';

COMMENT ON COLUMN public.issue_runs.number IS 'How many drafts were chosen.';

COMMENT ON COLUMN public.issue_runs.reached IS 'Up to which place they were looked at; those sent back or issued meanwhile are not counted in "issued".';

COMMENT ON COLUMN public.issue_runs.refusal IS 'Why the last of those that could not be issued was refused; empty where none was.';

ALTER TABLE ONLY public.issue_runs
    ADD CONSTRAINT issue_runs_pkey PRIMARY KEY (id);

CREATE INDEX issue_runs_recent ON public.issue_runs USING btree (started_at DESC);

CREATE INDEX issue_runs_running ON public.issue_runs USING btree (started_at, id) WHERE (status = 'running'::text);

ALTER TABLE public.issue_runs ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.issue_runs TO service_role;

CREATE TABLE public.issue_run_bills (
    run_id uuid NOT NULL,
    place integer NOT NULL,
    bill_id uuid NOT NULL
);

COMMENT ON TABLE public.issue_run_bills IS 'The drafts of an issue run in the order of their numbers to be, until the run is done; a draft is in one run at most.';

ALTER TABLE ONLY public.issue_run_bills
    ADD CONSTRAINT issue_run_bills_bill_id_key UNIQUE (bill_id);

ALTER TABLE ONLY public.issue_run_bills
    ADD CONSTRAINT issue_run_bills_pkey PRIMARY KEY (run_id, place);

ALTER TABLE public.issue_run_bills ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE ON TABLE public.issue_run_bills TO service_role;

ALTER TABLE ONLY public.bills
    ADD CONSTRAINT bills_agreement_and_customer_fkey FOREIGN KEY (agreement_id, customer_id) REFERENCES public.service_agreements(id, customer_id);

ALTER TABLE ONLY public.bills
    ADD CONSTRAINT bills_replaces_id_fkey FOREIGN KEY (replaces_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.unprinted_bills
    ADD CONSTRAINT unprinted_bills_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.agreements_to_bill
    ADD CONSTRAINT agreements_to_bill_agreement_id_fkey FOREIGN KEY (agreement_id) REFERENCES public.service_agreements(id);

ALTER TABLE ONLY public.kwh_bank_entries
    ADD CONSTRAINT kwh_bank_entries_agreement_id_fkey FOREIGN KEY (agreement_id) REFERENCES public.service_agreements(id);

ALTER TABLE ONLY public.kwh_bank_entries
    ADD CONSTRAINT kwh_bank_entries_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.kwh_bank_entries
    ADD CONSTRAINT kwh_bank_entries_undoes_id_fkey FOREIGN KEY (undoes_id) REFERENCES public.kwh_bank_entries(id);

ALTER TABLE ONLY public.issue_run_bills
    ADD CONSTRAINT issue_run_bills_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.issue_run_bills
    ADD CONSTRAINT issue_run_bills_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.issue_runs(id);

CREATE VIEW public.reading_list WITH (security_invoker='true') AS
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

COMMENT ON VIEW public.reading_list IS 'Readings with their meter, the customer who was supplied by it then, and the live bill that each closes.';

COMMENT ON COLUMN public.reading_list.quality IS 'How sure it is: a code of ESPI.';

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.reading_list TO service_role;

CREATE VIEW public.bill_lines WITH (security_invoker='true') AS
 SELECT b.id AS bill_id,
    b.number,
    b.status AS bill_status,
    b.currency,
    (l."position")::integer AS "position",
    COALESCE((l.line ->> 0), (l.line ->> 'code'::text)) AS code,
    COALESCE((l.line ->> 1), (l.line ->> 'description'::text)) AS description,
    (COALESCE((l.line ->> 2), (l.line ->> 'tax'::text)))::boolean AS tax,
    COALESCE((l.line ->> 3), (l.line ->> 'quantity'::text)) AS quantity,
    COALESCE((l.line ->> 4), (l.line ->> 'unit'::text)) AS unit,
    COALESCE((l.line ->> 5), (l.line ->> 'rate'::text)) AS rate,
    (COALESCE((l.line ->> 6), (l.line ->> 'amount_minor'::text)))::bigint AS amount_minor
   FROM (public.bills b
     CROSS JOIN LATERAL jsonb_array_elements(b.lines) WITH ORDINALITY l(line, "position"));

COMMENT ON VIEW public.bill_lines IS 'Every line of every bill as a row, for reports.';

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.bill_lines TO service_role;

CREATE VIEW public.unprinted_bill_list WITH (security_invoker='true') AS
 SELECT u.bill_id,
    b.number AS bill_number,
    c.account_no,
    u.reason,
    u.since,
    u.tried_at
   FROM ((public.unprinted_bills u
     JOIN public.bills b ON ((b.id = u.bill_id)))
     JOIN public.customers c ON ((c.id = b.customer_id)));

COMMENT ON VIEW public.unprinted_bill_list IS 'The bills that could not be printed, with their number and account.';

GRANT SELECT ON TABLE public.unprinted_bill_list TO service_role;

CREATE VIEW public.kwh_bank_list WITH (security_invoker='true') AS
 SELECT e.id,
    e.agreement_id,
    e.bill_id,
    b.number AS bill_number,
    b.period_start,
    b.period_end,
    e.period,
    e.kind,
    e.wh,
    (sum(e.wh) OVER (PARTITION BY e.agreement_id, e.period ORDER BY e.id))::bigint AS balance_wh,
    e.created_at
   FROM (public.kwh_bank_entries e
     LEFT JOIN public.bills b ON ((b.id = e.bill_id)));

COMMENT ON VIEW public.kwh_bank_list IS 'The entries of the banks of kWh, each with what its bank then held.';

GRANT SELECT ON TABLE public.kwh_bank_list TO service_role;

CREATE FUNCTION private.reissues(p_opening_reading_id uuid) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select count(*)::integer from public.bills
    where opening_reading_id = p_opening_reading_id and status = 'void'
$$;

REVOKE ALL ON FUNCTION private.reissues(p_opening_reading_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.reissues(p_opening_reading_id uuid) TO service_role;

CREATE FUNCTION private.looks_back(p_tariff_id uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    select exists (
        select 1 from public.tariff_versions v
        where v.tariff_id = p_tariff_id
          and (v.definition #>> '{rounding,total,carry_forward}' = 'true'
               or jsonb_typeof(v.definition -> 'net_metering') = 'object'
               or jsonb_path_exists(v.definition,
                   '$.charges[*] ? (exists(@.ratchet) || (@.kind == "minimum" && @.per == "year"))')))
$_$;

COMMENT ON FUNCTION private.looks_back(p_tariff_id uuid) IS 'Whether bills of a tariff depend on earlier ones: a ratchet, a minimum per year, a rounding carried forward, kWh banked under net metering.';

REVOKE ALL ON FUNCTION private.looks_back(p_tariff_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.looks_back(p_tariff_id uuid) TO service_role;

CREATE FUNCTION private.guard_billed_reading() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if new.status <> 'accepted' and exists (
        select 1 from public.bills b
        where b.status <> 'void' and new.id in (b.opening_reading_id, b.closing_reading_id)
    ) then
        raise exception using errcode = 'EB005', message = 'This reading is billed: void the bill first.';
    end if;
    return new;
end $$;

REVOKE ALL ON FUNCTION private.guard_billed_reading() FROM PUBLIC;
GRANT ALL ON FUNCTION private.guard_billed_reading() TO service_role;

CREATE FUNCTION private.bill_json(p_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select to_jsonb(b) - 'search' from public.bill_list b where b.id = p_id
$$;

REVOKE ALL ON FUNCTION private.bill_json(p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bill_json(p_id uuid) TO service_role;

CREATE FUNCTION public.agreements_to_bill_page(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('agreements', coalesce(jsonb_agg(to_jsonb(q) order by q.agreement_id), '[]'))
    from (select t.agreement_id, t.queued_at from public.agreements_to_bill t
          where t.agreement_id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
          order by t.agreement_id limit (p ->> 'limit')::integer) q
$$;

COMMENT ON FUNCTION public.agreements_to_bill_page(p jsonb) IS 'The agreements that wait for another look: {after?, limit} -> {agreements: [{agreement_id, queued_at}]}.';

REVOKE ALL ON FUNCTION public.agreements_to_bill_page(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.agreements_to_bill_page(p jsonb) TO service_role;

CREATE FUNCTION public.agreements_without_address(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('agreements', to_jsonb(private.without_address(
        array(select jsonb_array_elements_text(p -> 'agreements')::uuid)
        || array(select b.agreement_id from jsonb_array_elements_text(p -> 'bills') x
                 join public.bills b on b.id = x.value::uuid))))
$$;

COMMENT ON FUNCTION public.agreements_without_address(p jsonb) IS 'Those of some agreements, and of those of some bills, whose bills would not say where the supply is: {agreements: [id], bills: [id]} -> {agreements}.';

REVOKE ALL ON FUNCTION public.agreements_without_address(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.agreements_without_address(p jsonb) TO service_role;

CREATE FUNCTION private.with_address(p_bills uuid[], p jsonb) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_without uuid[];
begin
    if p ->> 'no_address' is null then
        return p_bills;
    end if;
    v_without := private.without_address(array(
        select b.agreement_id from unnest(p_bills) i(id) join public.bills b on b.id = i.id where b.status = 'draft'));
    return array(select i.id from unnest(p_bills) with ordinality as i(id, place)
                 join public.bills b on b.id = i.id
                 where b.status <> 'draft' or b.agreement_id <> all (v_without) order by i.place);
end $$;

COMMENT ON FUNCTION private.with_address(p_bills uuid[], p jsonb) IS 'Those of some bills that may be issued where a bill must say where the supply is, in their order: {no_address?: what is said of the others}; without it all of them.';

REVOKE ALL ON FUNCTION private.with_address(p_bills uuid[], p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.with_address(p_bills uuid[], p jsonb) TO service_role;

CREATE FUNCTION public.decide_reading(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_reading public.readings;
    v_bills jsonb := private.bills_given(p);
    v_correction jsonb := nullif(p -> 'correction', 'null'::jsonb);
    v_request jsonb := nullif(p -> 'request', 'null'::jsonb);
    v_answer_id uuid := coalesce((p -> 'correction' ->> 'id')::uuid, (p ->> 'reading_id')::uuid);
begin
    perform private.set_actor(p);
    select * into v_reading from public.readings where id = (p ->> 'reading_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    perform private.lock_points_of(array[v_reading.meter_id]);
    -- A correction that is already there is this very call, repeated.
    if v_correction is not null and exists (select 1 from public.readings where id = v_answer_id) then
        return private.reading_answer(v_answer_id, 'stored');
    end if;
    update public.readings
    set status = p ->> 'status', decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason',
        rolled_over = p ->> 'status' = 'accepted' and coalesce((p ->> 'rolled_over')::boolean, false)
    where id = v_reading.id and status = 'needs_review';
    if not found then
        -- The same decision of the same person for the same reason is this call, repeated.
        if v_correction is null and exists (
            select 1 from public.readings r
            where r.id = v_reading.id and r.status = p ->> 'status' and r.decided_by = p ->> 'actor'
              and r.decision_reason = p ->> 'reason') then
            return private.reading_answer(v_answer_id, 'stored');
        end if;
        perform private.refuse('EB005', 'Somebody has already decided on this reading.');
    end if;
    if v_correction is not null then
        perform private.insert_reading(v_correction);
    end if;
    if v_request is not null then
        perform public.request_reading(v_request || jsonb_build_object(
            'actor', p ->> 'actor', 'meter_id', v_reading.meter_id, 'reason', p ->> 'reason', 'about_reading_id', v_reading.id));
    end if;
    perform private.join_chain(v_bills);
    return private.reading_answer(v_answer_id, 'stored');
end $$;

COMMENT ON FUNCTION public.decide_reading(p jsonb) IS 'A person decides on a flagged reading: {actor, reading_id, status: accepted|rejected|superseded, reason, rolled_over?, correction?, request?: {id, requested_on} to have the meter read again, bill?, earlier?: as commit_reading takes them}. The same decision again is answered with the first.';

REVOKE ALL ON FUNCTION public.decide_reading(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.decide_reading(p jsonb) TO service_role;

CREATE FUNCTION private.is_outlier(p_past bigint[], p_wh bigint, p_days integer, p_total bigint, p_marked boolean) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO ''
    AS $$
begin
    return p_marked or p_wh = 0 or p_total <= 0 or p_days not between 25 and 35 or p_past[1] = 0
        or p_wh * 3 < p_past[3] * p_days
        or p_wh > p_days * case when p_past[1] < 4 then 3 * p_past[3]
                                else p_past[3] + 3 * greatest(p_past[4] - p_past[2], p_past[3] / 6) end;
end $$;

COMMENT ON FUNCTION private.is_outlier(p_past bigint[], p_wh bigint, p_days integer, p_total bigint, p_marked boolean) IS 'Whether services/domain/draft_signs.py finds anything about a draft; a test holds the two equal. The past is {bills, lower quartile, median, upper quartile} of Wh a day; "marked" is what a column says by itself.';

REVOKE ALL ON FUNCTION private.is_outlier(p_past bigint[], p_wh bigint, p_days integer, p_total bigint, p_marked boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_outlier(p_past bigint[], p_wh bigint, p_days integer, p_total bigint, p_marked boolean) TO service_role;

CREATE FUNCTION private.bill_now(p_bill_id uuid) RETURNS public.bills
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select b from public.bills b where b.id = (select n.now_id from private.bills_now(array[p_bill_id]) n)
$$;

COMMENT ON FUNCTION private.bill_now(p_bill_id uuid) IS 'A bill as it is now: the last one made anew in its place for the same customer, or itself.';

REVOKE ALL ON FUNCTION private.bill_now(p_bill_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bill_now(p_bill_id uuid) TO service_role;

CREATE FUNCTION private.bills_given(p jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select case when coalesce(p -> 'bill', 'null') = 'null' then '[]'
                else coalesce(nullif(p -> 'earlier', 'null'), '[]') || jsonb_build_array(p -> 'bill') end
$$;

COMMENT ON FUNCTION private.bills_given(p jsonb) IS 'The bills of {earlier?: [bill], bill?} in the order of the chain.';

REVOKE ALL ON FUNCTION private.bills_given(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bills_given(p jsonb) TO service_role;

CREATE FUNCTION private.check_opening(p_bill jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if private.chain_tail((p_bill ->> 'agreement_id')::uuid) is distinct from (p_bill ->> 'opening_reading_id')::uuid
       or private.reissues((p_bill ->> 'opening_reading_id')::uuid) <> (p_bill ->> 'reissue_no')::integer then
        perform private.refuse('EB001', 'Another bill came between: the price must be computed again.');
    end if;
end $$;

REVOKE ALL ON FUNCTION private.check_opening(p_bill jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_opening(p_bill jsonb) TO service_role;

CREATE FUNCTION public.void_bill(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bill public.bills;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform private.lock_points(array[(select service_point_id from public.service_agreements where id = v_bill.agreement_id)]);
    perform private.lock_customers(array[v_bill.customer_id]);
    select * into v_bill from public.bills where id = v_bill.id for update;
    if v_bill.status <> 'void' then
        perform private.void_one(v_bill.id, p ->> 'reason', coalesce((p ->> 'on')::date, current_date));
        set constraints public.bills_chain_whole immediate;
        perform private.settle(array[v_bill.customer_id]);
    end if;
    return private.bill_json(v_bill.id);
end $$;

COMMENT ON FUNCTION public.void_bill(p jsonb) IS 'Voids the last bill of a meter''s chain; what was paid on it stays with the account and pays what else is open: {actor, bill_id, reason, on?, owed?}.';

REVOKE ALL ON FUNCTION public.void_bill(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.void_bill(p jsonb) TO service_role;

CREATE FUNCTION public.issue_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_ids uuid[] := array(select (x ->> 'bill_id')::uuid from jsonb_array_elements(p -> 'bills') x);
    v_drafts uuid[];
begin
    perform private.set_actor(p);
    if (select count(*) from unnest(v_ids) i(id) join public.bills b on b.id = i.id) <> cardinality(v_ids) then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    v_drafts := private.issue_drafts(v_ids, p);
    if exists (select 1 from unnest(v_ids) i(id) join public.bills b on b.id = i.id where b.status = 'void') then
        perform private.refuse('EB005', 'A void bill cannot be issued.');
    end if;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select o.id, x.bill_id, 'bill_issued', o.steps, o.status, case when o.status <> 'open' then now() end
    from jsonb_to_recordset(p -> 'bills') as x(bill_id uuid, owed jsonb)
    cross join lateral jsonb_to_record(x.owed) as o(id uuid, steps jsonb, status text)
    where x.bill_id = any (v_drafts)
    on conflict (bill_id, kind, occasion) do nothing;
    return jsonb_build_object(
        'issued', cardinality(v_drafts),
        'bills', (select coalesce(jsonb_agg(private.bill_json(i.id) order by i.place), '[]')
                  from unnest(v_ids) with ordinality as i(id, place)));
end $$;

COMMENT ON FUNCTION public.issue_bills(p jsonb) IS 'Approves drafts, all or none: {actor, bills: [{bill_id, owed}], issued_at, issued_on, due_date} -> {issued, bills}. One issued already is answered as it is.';

REVOKE ALL ON FUNCTION public.issue_bills(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.issue_bills(p jsonb) TO service_role;

CREATE FUNCTION public.billed_uses(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with wanted as (
        select b.id, b.period_start, b.period_end, b.consumption_wh, b.total_minor, b.usage, b.customer_id, b.meter_id
        from public.bills b join public.tariff_versions v on v.id = b.tariff_version_id
        where v.tariff_id = (p ->> 'tariff_id')::uuid and b.status = 'issued'
          and b.period_end > (p ->> 'after_day')::date and b.period_end <= (p ->> 'until_day')::date
          and (p -> 'after' = 'null'
               or (b.period_end, b.id) > ((p -> 'after' ->> 'period_end')::date, (p -> 'after' ->> 'id')::uuid))
        order by b.period_end, b.id
        limit (p ->> 'limit')::integer
    )
    select jsonb_build_object('bills', coalesce(jsonb_agg(jsonb_build_object(
        'id', w.id, 'account_no', c.account_no, 'meter_serial', m.serial,
        'period_start', w.period_start, 'period_end', w.period_end, 'consumption_wh', w.consumption_wh,
        'total_minor', w.total_minor, 'usage', w.usage - 'registers') order by w.period_end, w.id), '[]'))
    from wanted w
    join public.customers c on c.id = w.customer_id
    join public.meters m on m.id = w.meter_id
$$;

COMMENT ON FUNCTION public.billed_uses(p jsonb) IS 'What issued bills of a tariff were made of, by period_end in (after_day, until_day] and id: {tariff_id, after_day, until_day, after: {period_end, id} or null, limit}. usage is null where that was the kWh and days alone.';

REVOKE ALL ON FUNCTION public.billed_uses(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.billed_uses(p jsonb) TO service_role;

CREATE FUNCTION public.draft_totals(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with chosen as materialized (select * from private.drafts_chosen(p)),
    months as (select m::date as first from jsonb_array_elements_text(coalesce(p -> 'compare', '[]')) m)
    select jsonb_build_object(
        'mark', (select private.drafts_mark(array_agg(id)) from chosen),
        'totals', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency), '[]')
                   from (select currency, count(*) as number, count(*) filter (where outlier) as outliers,
                                sum(consumption_wh)::bigint as consumption_wh, sum(subtotal_minor)::bigint as subtotal_minor,
                                sum(tax_minor)::bigint as tax_minor, sum(total_minor)::bigint as total_minor
                         from chosen group by 1) z),
        'issued', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.month), '[]')
                   from (select s.first as month, t.currency, sum(t.bills)::bigint as number,
                                sum(t.consumption_wh)::bigint as consumption_wh, sum(t.subtotal_minor)::bigint as subtotal_minor,
                                sum(t.tax_minor)::bigint as tax_minor, sum(t.total_minor)::bigint as total_minor
                         from months s join public.bill_totals t on t.ended_in = s.first and t.state <> 'draft'
                         group by 1, 2 having sum(t.bills) <> 0) z),
        'waiting', (select coalesce(jsonb_agg(to_jsonb(z) order by z.month desc, z.tariff_code, z.currency), '[]')
                    from (select d.ended_in as month, t.code as tariff_code, d.currency, sum(d.bills)::bigint as number
                          from public.bill_totals d
                          join public.tariff_versions v on v.id = d.tariff_version_id
                          join public.tariffs t on t.id = v.tariff_id
                          where d.state = 'draft' group by 1, 2, 3 having sum(d.bills) <> 0) z))
$$;

COMMENT ON FUNCTION public.draft_totals(p jsonb) IS 'What issuing the chosen drafts would bill, by currency: {… as private.drafts_chosen, compare?: [months]} -> {mark, totals, issued: the same of bills issued for those months, waiting: all drafts by month, tariff and currency}.';

REVOKE ALL ON FUNCTION public.draft_totals(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.draft_totals(p jsonb) TO service_role;

CREATE FUNCTION public.reading_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_meter public.meters;
    i public.meter_installations;
    s public.service_points;
    a public.service_agreements;
    v_replay uuid;
    v_tail uuid;
    v_at timestamptz := (p ->> 'read_at')::timestamptz;
    v_on date := (p ->> 'read_on')::date;
    v_past record;
    v_tariff uuid;
begin
    select * into v_meter from public.meters where serial = p ->> 'meter_serial';
    if not found then
        perform private.refuse('EB404', format('No meter has the serial %s.', p ->> 'meter_serial'));
    end if;
    if p ? 'register_wh' then
        v_replay := private.find_replay(p, v_meter.id);
    end if;
    -- Where it was at that time; of a read from before or between, where it came to next.
    select * into i from public.meter_installations x
    where x.meter_id = v_meter.id
    order by x.installed_at <= v_at and (x.removed_at is null or v_at <= x.removed_at) desc, x.installed_at > v_at desc,
             abs(extract(epoch from x.installed_at - v_at)) limit 1;
    select * into s from public.service_points where id = i.service_point_id;
    select * into a from public.service_agreements x
    where x.service_point_id = s.id and x.starts_on <= v_on and (x.ends_on is null or v_on <= x.ends_on)
    order by x.starts_on desc limit 1;
    if not found then
        -- Before the first: what it would have been billed to.
        select * into a from public.service_agreements x
        where x.service_point_id = s.id and v_on < x.starts_on and i.installed_on = x.starts_on
        order by x.starts_on limit 1;
    end if;
    v_tail := coalesce(private.chain_tail(a.id), i.opening_reading_id);
    v_tariff := (select t.tariff_id from private.tariff_spans t
                 where t.agreement_id = a.id and t.starts_on <= v_on and v_on < t.ends_on);
    select * into v_past from private.judged_by(v_meter.id, i.installed_at, v_at);
    return jsonb_build_object(
        'meter', (select to_jsonb(l) - 'search' from public.meter_list l where l.id = v_meter.id)
            || jsonb_build_object(
                'multiplier_milli', i.multiplier_milli, 'opened_on', i.installed_on, 'removed_on', i.removed_on,
                'address', coalesce(nullif(s.address, ''), (select c.address from public.customers c where c.id = a.customer_id)),
                'connected_w', s.connected_w, 'connected_va', s.connected_va, 'service_point_id', s.id,
                'service_point_code', s.code, 'agreement_id', a.id)
            || (select jsonb_build_object('customer_id', c.id, 'account_no', c.account_no, 'customer_name', c.name,
                                          'tariff_id', t.id, 'tariff_code', t.code, 'tariff_name', t.name, 'currency', t.currency)
                from (select 1) one
                left join public.customers c on c.id = a.customer_id
                left join public.tariffs t on t.id = v_tariff),
        'tariffs', private.versions_of(a.id),
        'spans', private.spans_of(a.id),
        'ends_on', a.ends_on,
        'billing_day', coalesce(a.billing_day, 1),
        'opening', private.reading_json(v_tail),
        'reissue_no', private.reissues(v_tail),
        'installations', private.installations_between(
            s.id, (select o.read_at from public.readings o where o.id = v_tail), v_at),
        'last_read', private.reading_json(v_past.last_id),
        'last_actual', case when v_past.actual_id <> v_past.last_id then private.reading_json(v_past.actual_id) end,
        'next_read', (select private.reading_json(r.id) from public.readings r
                      where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_at > v_at
                        and (i.removed_at is null or r.read_at <= i.removed_at)
                      order by r.read_at limit 1),
        'history', v_past.history,
        'class_use', case when v_tariff is not null and v_past.is_new then private.class_use(v_tariff) end,
        'waiting', v_past.waiting,
        'peers', case when not v_past.is_settled then '[]'
                      when (p ->> 'peers_later')::boolean
                      then jsonb_build_object('transformer_id', s.transformer_id, 'tariff_id', v_tariff, 'on', v_on)
                      else private.uses_beside(private.group_uses(s.transformer_id, v_tariff, v_on), v_meter.id) end,
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_on = v_on),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'between', private.reads_between(s.id, v_tail, v_at),
        'pricing', private.pricing_facts(
            a.id, array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = s.id),
            private.looks_back_along(a.id), v_tail, v_at, v_on));
end $$;

COMMENT ON FUNCTION public.reading_context(p jsonb) IS 'Everything that validating and pricing a read of {meter_serial, read_at, read_on} needs, of the place where the meter was then and of who was supplied there; with {register_wh, registers?, caller, idempotency_key, body_hash} also the reading it repeats. With peers_later it names the group of its peers instead of what they used.';

REVOKE ALL ON FUNCTION public.reading_context(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reading_context(p jsonb) TO service_role;

CREATE FUNCTION public.commit_reading(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_reading jsonb := p -> 'reading';
    v_bills jsonb := private.bills_given(p);
    v_meter uuid := (v_reading ->> 'meter_id')::uuid;
    v_replay uuid;
begin
    perform private.set_actor(p);
    perform private.lock_points_of(array[v_meter]);
    if not exists (select 1 from public.meters where id = v_meter) then
        perform private.refuse('EB404', 'No such meter.');
    end if;
    if exists (select 1 from public.readings where id = (v_reading ->> 'id')::uuid) then
        return private.reading_answer((v_reading ->> 'id')::uuid, 'stored');
    end if;
    perform private.check_run(p -> 'run');
    v_replay := private.find_replay(
        v_reading || jsonb_build_object('caller', p -> 'caller', 'idempotency_key', p -> 'idempotency_key',
                                        'body_hash', p -> 'body_hash'), v_meter);
    if v_replay is not null then
        perform private.keep_key(p, v_replay);
        return private.reading_answer(v_replay, 'replay');
    end if;
    -- The rules compared it with these two: a read that came between must be compared with first.
    if private.neighbours(v_meter, (v_reading ->> 'read_at')::timestamptz) is distinct from p -> 'neighbours' then
        perform private.refuse('EB001', 'Another reading came between: it must be compared with that one.');
    end if;
    perform private.insert_reading(v_reading);
    perform private.keep_key(p, (v_reading ->> 'id')::uuid);
    perform private.join_chain(v_bills);
    return private.reading_answer((v_reading ->> 'id')::uuid, 'stored');
end $$;

COMMENT ON FUNCTION public.commit_reading(p jsonb) IS 'Step 7: {actor, caller, idempotency_key?, body_hash?, run?, reading, neighbours: [id before, id after], bill?, earlier?: bills before that one}. One transaction: reading, bills, their numbers, the work owed. EB001 when another bill came between.';

REVOKE ALL ON FUNCTION public.commit_reading(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.commit_reading(p jsonb) TO service_role;

CREATE FUNCTION public.note_unprinted_bill(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.unprinted_bills as u (bill_id, reason)
    select (p ->> 'bill_id')::uuid, p ->> 'reason'
    -- Another process may have printed it meanwhile.
    where not exists (select 1 from public.bill_documents d where d.bill_id = (p ->> 'bill_id')::uuid)
    on conflict (bill_id) do update set reason = excluded.reason, tried_at = now();
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.note_unprinted_bill(p jsonb) IS 'Keeps why the PDF of a bill could not be made, unless one is kept: {bill_id, reason}.';

REVOKE ALL ON FUNCTION public.note_unprinted_bill(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_unprinted_bill(p jsonb) TO service_role;

CREATE FUNCTION private.drafts_mark(p_ids uuid[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select md5(coalesce(string_agg(i::text, ' ' order by i), '')) from unnest(p_ids) i
$$;

COMMENT ON FUNCTION private.drafts_mark(p_ids uuid[]) IS 'The same for the same drafts: a draft''s figures never change, so what was previewed is what is issued.';

REVOKE ALL ON FUNCTION private.drafts_mark(p_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.drafts_mark(p_ids uuid[]) TO service_role;

CREATE FUNCTION private.drafts_chosen(p jsonb) RETURNS TABLE(id uuid, period_end date, currency text, consumption_wh bigint, subtotal_minor bigint, tax_minor bigint, total_minor bigint, outlier boolean)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    return query execute private.drafts_found(
        p, 'b.id, b.period_end, b.currency, b.consumption_wh, b.subtotal_minor, b.tax_minor, b.total_minor, s.outlier', '') using p;
end $$;

COMMENT ON FUNCTION private.drafts_chosen(p jsonb) IS 'Drafts by {month? (its 1st), tariff?, currency?, search?: [patterns], outliers?, of_last_run?, without_held?, only?: [ids], except?: [ids]}.';

REVOKE ALL ON FUNCTION private.drafts_chosen(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.drafts_chosen(p jsonb) TO service_role;

CREATE FUNCTION private.where_it_ends(p_bills uuid[], p_limit integer) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('due_date', b.due_date, 'id', b.id) from public.bills b
    where cardinality(p_bills) = p_limit and b.id = p_bills[p_limit]
$$;

COMMENT ON FUNCTION private.where_it_ends(p_bills uuid[], p_limit integer) IS 'The key of the last bill of a full batch, after which the next one begins; null of the last batch.';

REVOKE ALL ON FUNCTION private.where_it_ends(p_bills uuid[], p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.where_it_ends(p_bills uuid[], p_limit integer) TO service_role;

CREATE FUNCTION private.void_one(p_bill_id uuid, p_reason text, p_on date) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_entry uuid := (select id from public.ledger_entries where bill_id = p_bill_id and kind = 'bill');
begin
    if v_entry is not null then
        perform private.take_back(v_entry, 9000000000000000000, null);
    end if;
    update public.bills set status = 'void', void_reason = p_reason where id = p_bill_id;
    if v_entry is not null then
        perform private.undo_entry(v_entry, 'bill_void', p_on, p_reason);
    end if;
end $$;

COMMENT ON FUNCTION private.void_one(p_bill_id uuid, p_reason text, p_on date) IS 'Voids a bill that is not void; what was paid on it returns to the account. The caller has locked meter, customer and bill.';

REVOKE ALL ON FUNCTION private.void_one(p_bill_id uuid, p_reason text, p_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.void_one(p_bill_id uuid, p_reason text, p_on date) TO service_role;

CREATE FUNCTION private.last_bill_with(p_tariff uuid) RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select b.id
    from public.tariff_versions v
    cross join lateral (
        select id, period_end from public.bills
        where tariff_version_id = v.id and status <> 'void'
        order by period_end desc limit 1) b
    where v.tariff_id = p_tariff
    order by b.period_end desc limit 1
$$;

COMMENT ON FUNCTION private.last_bill_with(p_tariff uuid) IS 'A bill that ends last of those, drafts too, that were made with any version of a tariff.';

REVOKE ALL ON FUNCTION private.last_bill_with(p_tariff uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.last_bill_with(p_tariff uuid) TO service_role;

CREATE FUNCTION private.join_chain(p_bills jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if p_bills = '[]' then
        return;
    end if;
    perform private.check_opening(p_bills -> 0);
    if exists (
        select 1
        from (select x.bill, x.place, lag(x.bill ->> 'closing_reading_id') over (order by x.place) as before
              from jsonb_array_elements(p_bills) with ordinality x(bill, place)) b
        where b.place > 1
          and (b.before is distinct from b.bill ->> 'opening_reading_id'
               or private.reissues((b.bill ->> 'opening_reading_id')::uuid) <> (b.bill ->> 'reissue_no')::integer)
    ) then
        perform private.refuse('EB001', 'Another bill came between: the price must be computed again.');
    end if;
    perform private.insert_bills(p_bills);
end $$;

COMMENT ON FUNCTION private.join_chain(p_bills jsonb) IS 'Stores bills of one meter, the first of which opens where its chain ends. EB001 when it ends elsewhere.';

REVOKE ALL ON FUNCTION private.join_chain(p_bills jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.join_chain(p_bills jsonb) TO service_role;

CREATE FUNCTION public.send_back_drafts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_ids uuid[] := array(select b::uuid from jsonb_array_elements_text(p -> 'bills') b);
    v_drafts uuid[];
begin
    perform private.set_actor(p);
    if (select count(*) from public.bills where id = any (v_ids)) <> cardinality(v_ids) then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform private.lock_points(array(select a.service_point_id from public.bills b
                                      join public.service_agreements a on a.id = b.agreement_id where b.id = any (v_ids)));
    perform private.lock_customers(array(select customer_id from public.bills where id = any (v_ids)));
    if exists (select 1 from public.bills where id = any (v_ids) and status = 'issued') then
        perform private.refuse('EB005', 'It was issued meanwhile, and what is issued is voided, not sent back.');
    end if;
    v_drafts := array(select id from public.bills where id = any (v_ids) and status = 'draft' order by id for update);
    if exists (select 1 from public.bills b
               join public.bills later on later.opening_reading_id = b.closing_reading_id and later.status <> 'void'
               where b.id = any (v_drafts) and later.id <> all (v_drafts)) then
        perform private.refuse('EB005', 'A later bill begins where this one ends: send that one back with it, or void it first.');
    end if;
    perform private.void_one(i, p ->> 'reason', current_date) from unnest(v_drafts) i;
    return jsonb_build_object('sent_back', cardinality(v_drafts));
end $$;

COMMENT ON FUNCTION public.send_back_drafts(p jsonb) IS 'Voids drafts, all or none, so that their readings are billed anew: {actor, bills: [id], reason} -> {sent_back}. One that is void already is left as it is.';

REVOKE ALL ON FUNCTION public.send_back_drafts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.send_back_drafts(p jsonb) TO service_role;

CREATE FUNCTION private.check_chain_whole() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if exists (select 1 from public.bills later
               where later.opening_reading_id = new.closing_reading_id and later.status <> 'void'
                 and later.agreement_id = new.agreement_id)
       and not exists (select 1 from public.bills again
                       where again.closing_reading_id = new.closing_reading_id and again.status <> 'void'
                       and again.agreement_id = new.agreement_id) then
        raise exception using errcode = 'EB005', message = 'A later bill of the meter would begin where no bill ends.';
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.check_chain_whole() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_chain_whole() TO service_role;

CREATE FUNCTION private.insert_bills(p_bills jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.insert_bill_rows(array(select b from jsonb_populate_recordset(null::public.bills, p_bills) b), p_bills);
end $$;

COMMENT ON FUNCTION private.insert_bills(p_bills jsonb) IS 'Inserts bills, numbers the issued ones in order without gaps, and writes the work each owes. The caller has locked the service points.';

REVOKE ALL ON FUNCTION private.insert_bills(p_bills jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.insert_bills(p_bills jsonb) TO service_role;

CREATE FUNCTION private.chain_tail(p_agreement_id uuid) RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(
        (select b.closing_reading_id from public.bills b
         where b.agreement_id = p_agreement_id and b.status <> 'void' order by b.period_end desc limit 1),
        (select a.opening_reading_id from public.service_agreements a where a.id = p_agreement_id))
$$;

COMMENT ON FUNCTION private.chain_tail(p_agreement_id uuid) IS 'The read at which an agreement''s next bill opens.';

REVOKE ALL ON FUNCTION private.chain_tail(p_agreement_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.chain_tail(p_agreement_id uuid) TO service_role;

CREATE FUNCTION public.billed_use(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('periods', coalesce(jsonb_agg(jsonb_build_object(
        'meter_id', m.id, 'meter_serial', m.serial, 'period_start', s.period_start, 'period_end', s.period_end,
        'consumption_wh', s.consumption_wh) order by m.serial, s.period_start), '[]'))
    from public.bills b
    cross join lateral (
        -- A bill of several meters says of each how much it measured, and between which reads.
        select (x ->> 'meter_id')::uuid as meter_id, o.read_on as period_start, c.read_on as period_end,
               (x ->> 'consumption_wh')::bigint as consumption_wh
        from jsonb_array_elements(b.segments) x
        join public.readings o on o.id = (x ->> 'opening_reading_id')::uuid
        join public.readings c on c.id = (x ->> 'closing_reading_id')::uuid
        where c.read_on > o.read_on
        union all
        select b.meter_id, b.period_start, b.period_end, b.consumption_wh where b.segments is null) s
    join public.meters m on m.id = s.meter_id
    where (p ->> 'meter_id' is null or s.meter_id = (p ->> 'meter_id')::uuid)
      and b.id = any (array(
        select k.id from public.bills k
        where k.customer_id = (p ->> 'customer_id')::uuid and k.period_end + 0 > (p ->> 'since')::date and k.status <> 'void'
        union all
        -- A meter is billed by the agreements of the places where it was.
        select k.id from public.bills k
        where k.agreement_id = any (array(
                select a.id from public.meter_installations i
                join public.service_agreements a on a.service_point_id = i.service_point_id
                where i.meter_id = (p ->> 'meter_id')::uuid))
          and k.period_end + 0 > (p ->> 'since')::date and k.status <> 'void'))
$$;

COMMENT ON FUNCTION public.billed_use(p jsonb) IS 'What the bills of a customer or a meter that are not void measured, by meter and period: {customer_id or meter_id, since: the periods end after it} -> {periods: [{meter_id, meter_serial, period_start, period_end, consumption_wh}]}.';

REVOKE ALL ON FUNCTION public.billed_use(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.billed_use(p jsonb) TO service_role;

CREATE FUNCTION private.bills_now(p_bills uuid[]) RETURNS TABLE(bill_id uuid, now_id uuid)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with recursive chain as (
        select b.id as first_id, b.id, b.customer_id, 0 as place from public.bills b where b.id = any (p_bills)
        union all
        -- On another customer's account it is no longer this one's debt, and a draft is none yet.
        select c.first_id, n.id, n.customer_id, c.place + 1
        from chain c join public.bills n on n.replaces_id = c.id and n.customer_id = c.customer_id and n.number is not null
    )
    select distinct on (c.first_id) c.first_id, c.id from chain c order by c.first_id, c.place desc
$$;

COMMENT ON FUNCTION private.bills_now(p_bills uuid[]) IS 'Bills as they are now: of each the last one made anew in its place for the same customer, or itself.';

REVOKE ALL ON FUNCTION private.bills_now(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bills_now(p_bills uuid[]) TO service_role;

CREATE FUNCTION public.save_bill_run_preview(p jsonb) RETURNS jsonb
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.bill_run_previews (scheduled_on, worked_out_at, worked_out_by, looked_at, whole, totals)
    values ((p ->> 'scheduled_on')::date, (p ->> 'worked_out_at')::timestamptz, p ->> 'actor', (p ->> 'looked_at')::integer,
            (p ->> 'whole')::boolean, p -> 'totals')
    on conflict (scheduled_on) do update
    set worked_out_at = excluded.worked_out_at, worked_out_by = excluded.worked_out_by, looked_at = excluded.looked_at,
        whole = excluded.whole, totals = excluded.totals
    returning jsonb_build_object('scheduled_on', scheduled_on)
$$;

COMMENT ON FUNCTION public.save_bill_run_preview(p jsonb) IS 'Keeps the preview of a run, in place of an earlier one: {actor, scheduled_on, worked_out_at, looked_at, whole, totals: [{currency, number, held, consumption_wh, total_minor}]} -> {scheduled_on}.';

REVOKE ALL ON FUNCTION public.save_bill_run_preview(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.save_bill_run_preview(p jsonb) TO service_role;

CREATE FUNCTION public.last_bill_run(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with run as materialized (select * from private.last_bill_run_of()),
    made as (
        select b.currency, count(*) as number, count(*) filter (where b.held_because is not null) as held,
               count(*) filter (where b.status = 'draft') as drafts,
               sum(b.consumption_wh)::bigint as consumption_wh, sum(b.total_minor)::bigint as total_minor
        from run r join public.bills b on b.created_at >= r.begun_at and b.period_end <= r.scheduled_on and b.status <> 'void'
        group by 1)
    select jsonb_build_object(
        'run', (select private.run_json('monthly_bills', r.scheduled_on) from run r),
        'preview', (select to_jsonb(w) from run r join public.bill_run_previews w on w.scheduled_on = r.scheduled_on),
        'made', (select coalesce(jsonb_agg(to_jsonb(m) order by m.currency), '[]') from made m))
$$;

COMMENT ON FUNCTION public.last_bill_run(p jsonb) IS 'The run of the monthly bills that began last: {} -> {run or null, preview: row of bill_run_previews or null, made: [{currency, number, held, drafts: that are drafts still, consumption_wh, total_minor}] of its bills that are not void}.';

REVOKE ALL ON FUNCTION public.last_bill_run(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.last_bill_run(p jsonb) TO service_role;

CREATE FUNCTION private.add_to_kwh_bank() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.kwh_bank_entries (agreement_id, bill_id, period, kind, wh)
    select n.agreement_id, n.id, x.key, e.kind, e.wh
    from new_rows n
    cross join lateral jsonb_each(n.usage #> '{net,banks}') x
    cross join lateral (values
        (1, 'moved', (x.value ->> 'moved')::bigint), (2, 'added', (x.value ->> 'added')::bigint),
        (3, 'used', -(x.value ->> 'used')::bigint), (4, 'settled', -(x.value ->> 'settled')::bigint)) e(place, kind, wh)
    where e.wh <> 0
    order by n.agreement_id, n.period_start, e.place, x.key;
    return null;
end $$;

COMMENT ON FUNCTION private.add_to_kwh_bank() IS 'Books what new bills under net metering put into the banks of kWh and took out.';

REVOKE ALL ON FUNCTION private.add_to_kwh_bank() FROM PUBLIC;
GRANT ALL ON FUNCTION private.add_to_kwh_bank() TO service_role;

CREATE FUNCTION private.undo_in_kwh_bank() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.kwh_bank_entries (agreement_id, bill_id, period, kind, wh, undoes_id)
    select e.agreement_id, e.bill_id, e.period, 'undone', -e.wh, e.id
    from public.kwh_bank_entries e
    where e.bill_id = new.id and e.kind <> 'undone'
    order by e.id;
    return null;
end $$;

COMMENT ON FUNCTION private.undo_in_kwh_bank() IS 'Takes back what a bill that became void booked in the banks of kWh.';

REVOKE ALL ON FUNCTION private.undo_in_kwh_bank() FROM PUBLIC;
GRANT ALL ON FUNCTION private.undo_in_kwh_bank() TO service_role;

CREATE FUNCTION private.drafts_found(p jsonb, p_columns text, p_end text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $_$
    -- Only what is asked for is looked up.
    select format('select %s from public.bills b', p_columns)
        || case when p_columns like '%s.outlier%' or coalesce((p ->> 'outliers')::boolean, false)
                then ' join public.draft_signs s on s.bill_id = b.id' else '' end
        || case when jsonb_array_length(coalesce(nullif(p -> 'search', 'null'), '[]')) > 0
                then ' join public.customers c on c.id = b.customer_id join public.meters m on m.id = b.meter_id' else '' end
        || case when p ->> 'tariff' is not null
                then ' join public.tariff_versions v on v.id = b.tariff_version_id join public.tariffs t on t.id = v.tariff_id' else '' end
        || case when coalesce((p ->> 'of_last_run')::boolean, false)
                then ' join private.last_bill_run_of() r on b.created_at >= r.begun_at and b.period_end <= r.scheduled_on' else '' end
        || ' where b.status = ''draft'''
        || case when p ->> 'month' is not null then
                ' and b.period_end > ($1 ->> ''month'')::date and b.period_end <= (($1 ->> ''month'')::date + interval ''1 month'')::date' else '' end
        || case when p ->> 'tariff' is not null then ' and t.code = $1 ->> ''tariff''' else '' end
        || case when p ->> 'currency' is not null then ' and b.currency = $1 ->> ''currency''' else '' end
        || case when jsonb_array_length(coalesce(nullif(p -> 'search', 'null'), '[]')) > 0
                then ' and lower(concat_ws('' '', c.account_no, c.name, m.serial)) ilike all (array(select jsonb_array_elements_text($1 -> ''search'')))' else '' end
        || case when p ->> 'only' is not null then ' and b.id in (select i::uuid from jsonb_array_elements_text($1 -> ''only'') i)' else '' end
        || case when p ->> 'except' is not null then ' and b.id not in (select i::uuid from jsonb_array_elements_text($1 -> ''except'') i)' else '' end
        || case when coalesce((p ->> 'outliers')::boolean, false) then ' and s.outlier' else '' end
        || case when coalesce((p ->> 'without_held')::boolean, false) then ' and b.held_because is null' else '' end
        || ' ' || p_end
$_$;

COMMENT ON FUNCTION private.drafts_found(p jsonb, p_columns text, p_end text) IS 'The statement that selects columns of drafts (b) and their signs (s), in which $1 is p: as private.drafts_chosen takes it. The texts come from the functions below only.';

REVOKE ALL ON FUNCTION private.drafts_found(p jsonb, p_columns text, p_end text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.drafts_found(p jsonb, p_columns text, p_end text) TO service_role;

CREATE FUNCTION private.check_kwh_bank() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if exists (select 1 from public.kwh_bank_entries e where e.agreement_id = new.agreement_id
               group by e.period having sum(e.wh) < 0) then
        raise exception using errcode = 'EB005', message = 'More kWh would be taken from the bank than there are.';
    end if;
    -- Each bill begins with what the one before it left.
    if exists (
        with netted as (
            select b.usage #> '{net,banks}' as banks,
                   lag(b.usage #> '{net,banks}') over (order by b.period_start) as before
            from public.bills b
            where b.agreement_id = new.agreement_id and b.status <> 'void' and b.usage ? 'net')
        -- The first one begins with what the agreement brought along.
        select 1 from (
            select w.banks, coalesce(w.before, (
                       select jsonb_object_agg(o.key, jsonb_build_object('closing', o.value))
                       from jsonb_each(private.opening_bank(new.agreement_id)) o), '{}') as before
            from netted w) n
        cross join lateral (select jsonb_object_keys(n.banks || n.before) as period) k
        where coalesce((n.banks #>> array[k.period, 'opening'])::bigint, 0)
              <> coalesce((n.before #>> array[k.period, 'closing'])::bigint, 0)
    ) then
        raise exception using errcode = 'EB001', message = 'The bank of kWh changed meanwhile: the price must be computed again.';
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.check_kwh_bank() IS 'No bank of kWh is ever below 0, and each bill of an agreement opens its banks with what the last one left.';

REVOKE ALL ON FUNCTION private.check_kwh_bank() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_kwh_bank() TO service_role;

CREATE FUNCTION private.settled_from(p_agreement_id uuid, p_opening_id uuid) RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- Where a bill opens at no actual read: the last actual one that a bill before it opens at, else the first.
    with recursive back as (
        select b.opening_reading_id, b.period_start, o.source
        from public.bills b join public.readings o on o.id = b.opening_reading_id
        where b.agreement_id = p_agreement_id and b.closing_reading_id = p_opening_id and b.status <> 'void'
          and not private.is_actual((select r.source from public.readings r where r.id = p_opening_id))
        union all
        select b.opening_reading_id, b.period_start, o.source
        from back k
        join public.bills b on b.agreement_id = p_agreement_id and b.closing_reading_id = k.opening_reading_id and b.status <> 'void'
        join public.readings o on o.id = b.opening_reading_id
        where not private.is_actual(k.source)
    )
    select k.opening_reading_id from back k order by k.period_start limit 1
$$;

COMMENT ON FUNCTION private.settled_from(p_agreement_id uuid, p_opening_id uuid) IS 'Of an agreement, and a read at which a bill opens: the read from which an actual read after it settles what was billed. Null where it is an actual one, or nothing was billed before.';

REVOKE ALL ON FUNCTION private.settled_from(p_agreement_id uuid, p_opening_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.settled_from(p_agreement_id uuid, p_opening_id uuid) TO service_role;

CREATE FUNCTION private.opening_bank_problems(p_rows jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    with said as (
        select m."row", m.id, x.opening_bank, m.service_point, m.ends_on, m.known_ends_on, m.tariff_from, m.starts_on, m.known_id,
               x.opening_bank is not null and private.opening_bank(m.id) <> x.opening_bank as is_other,
               exists (select 1 from public.tariff_versions v
                       where v.tariff_id = m.tariff_id and jsonb_typeof(v.definition -> 'net_metering') = 'object') as nets
        from private.match_agreements(p_rows) m
        join jsonb_to_recordset(p_rows) as x("row" integer, opening_bank jsonb) on x."row" = m."row"
    ), problems as (
        select s."row", case
            when s.is_other and private.opening_bank(s.id) <> '{}' then array['banked_kwh',
                'Another bank was brought in for this agreement, from which its bills go on.']
            when s.is_other and exists (
                    select 1 from public.bills b where b.agreement_id = s.id and b.status <> 'void' and b.usage ? 'net') then
                array['banked_kwh', 'This agreement has bills under net metering already, which begin with an empty bank.']
            when s.known_ends_on is null and s.ends_on = l.period_end and l.banked then array['ends_on', format(
                'Its last bill left kWh in the bank: end the agreement on the page of %s, which settles them.', s.service_point)]
            when s.tariff_from > s.starts_on and s.tariff_from = l.period_end and l.banked and not s.nets then array['tariff_from', format(
                'Its last bill left kWh in the bank: change the tariff on the page of %s, which settles them.', s.service_point)]
            end as problem
        from said s
        left join lateral (
            select b.period_end, jsonb_path_exists(b.usage, '$.net.banks.* ? (@.closing > 0)') as banked
            from public.bills b where b.agreement_id = s.known_id and b.status <> 'void'
            order by b.period_end desc limit 1) l on true
    )
    select jsonb_agg(jsonb_build_object('row', p."row", 'column', p.problem[1], 'message', p.problem[2]) order by p."row")
    from problems p where p.problem is not null
$_$;

COMMENT ON FUNCTION private.opening_bank_problems(p_rows jsonb) IS 'Rows of an import of agreements whose banked kWh cannot be brought in, or would stay unsettled.';

REVOKE ALL ON FUNCTION private.opening_bank_problems(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.opening_bank_problems(p_rows jsonb) TO service_role;

CREATE FUNCTION private.opening_bank(p_agreement_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_object_agg(e.period, e.wh), '{}') from public.kwh_bank_entries e
    where e.agreement_id = p_agreement_id and e.kind = 'opening'
$$;

COMMENT ON FUNCTION private.opening_bank(p_agreement_id uuid) IS 'The Wh that an agreement brought along, by bank; {} for most.';

REVOKE ALL ON FUNCTION private.opening_bank(p_agreement_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.opening_bank(p_agreement_id uuid) TO service_role;

CREATE FUNCTION private.bring_in_banks(p_rows jsonb, p_matched jsonb) RETURNS integer[]
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    with said as (
        select distinct on (m.id) m."row", m.id, x.opening_bank
        from jsonb_to_recordset(p_matched) as m("row" integer, id uuid)
        join jsonb_to_recordset(p_rows) as x("row" integer, opening_bank jsonb) on x."row" = m."row"
        where x.opening_bank is not null and private.opening_bank(m.id) = '{}'
        order by m.id, m."row"
    ), entered as (
        insert into public.kwh_bank_entries (agreement_id, period, kind, wh)
        select s.id, o.key, 'opening', o.value::bigint from said s cross join lateral jsonb_each_text(s.opening_bank) o
        order by s."row", o.key
        returning agreement_id
    )
    select coalesce(array_agg(s."row"), '{}') from said s where s.id in (select e.agreement_id from entered e)
$$;

COMMENT ON FUNCTION private.bring_in_banks(p_rows jsonb, p_matched jsonb) IS 'Enters what agreements had banked with another system, once for each; the rows that did.';

REVOKE ALL ON FUNCTION private.bring_in_banks(p_rows jsonb, p_matched jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bring_in_banks(p_rows jsonb, p_matched jsonb) TO service_role;

CREATE FUNCTION private.version_leaves_kwh_bank(p_tariff_id uuid, p_from date, p_definition jsonb) RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    select b.meter_id
    from public.agreement_tariffs y
    join public.service_agreements a on a.id = y.agreement_id and (a.ends_on is null or a.ends_on > p_from)
    cross join lateral (
        select x.meter_id, x.period_end, x.usage from public.bills x
        where x.agreement_id = a.id and x.status <> 'void' order by x.period_end desc limit 1) b
    where jsonb_typeof(p_definition -> 'net_metering') is distinct from 'object'
      and y.tariff_id = p_tariff_id and y.starts_on <= p_from
      and b.period_end = p_from and jsonb_path_exists(b.usage, '$.net.banks.* ? (@.closing > 0)')
      and not exists (select 1 from public.agreement_tariffs n
                      where n.agreement_id = a.id and n.starts_on > y.starts_on and n.starts_on <= p_from)
    limit 1
$_$;

COMMENT ON FUNCTION private.version_leaves_kwh_bank(p_tariff_id uuid, p_from date, p_definition jsonb) IS 'A meter whose last bill ends where a version of its tariff is to begin that has no net metering, and has kWh in its bank; else null.';

REVOKE ALL ON FUNCTION private.version_leaves_kwh_bank(p_tariff_id uuid, p_from date, p_definition jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.version_leaves_kwh_bank(p_tariff_id uuid, p_from date, p_definition jsonb) TO service_role;

CREATE FUNCTION private.check_new_bills() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_moved boolean;
    v_wrong boolean;
    v_between boolean;
    v_found bigint;
begin
    if exists (
        select 1 from new_rows b
        cross join lateral (
            select coalesce(sum(l.amount_minor) filter (where l.tax), 0) as tax_minor,
                   coalesce(sum(l.amount_minor) filter (where not l.tax), 0) as other_minor,
                   coalesce(bool_or(l.tax is null), false) as unknown
            from (select (coalesce(x -> 6, x -> 'amount_minor'))::bigint as amount_minor,
                         (coalesce(x -> 2, x -> 'tax'))::boolean as tax
                  from jsonb_array_elements(b.lines) x) l) l
        where l.unknown or l.tax_minor <> b.tax_minor or l.other_minor <> b.subtotal_minor
    ) then
        raise exception using errcode = '23514', message = 'The lines of a bill must add up to its subtotal and its tax.';
    end if;
    select bool_or(
               -- Somebody moved, or a meter was exchanged, between pricing and storing.
               b.period_start < a.starts_on or b.period_end > coalesce(a.ends_on, 'infinity')),
           bool_or(
               b.customer_id <> a.customer_id
               or b.period_start <> o.read_on or b.period_end <> c.read_on
               or o.status <> 'accepted' or c.status <> 'accepted' or c.read_at <= o.read_at
               or (b.segments is null and (
                   o.meter_id <> b.meter_id or c.meter_id <> b.meter_id
                   or b.opening_wh <> o.register_wh or b.closing_wh <> c.register_wh
                   or not exists (
                       select 1 from public.meter_installations i
                       where i.meter_id = b.meter_id and i.service_point_id = a.service_point_id
                         and i.multiplier_milli = b.multiplier_milli
                         and i.installed_at <= o.read_at and (i.removed_at is null or i.removed_at >= c.read_at))
                   or (b.consumption_wh <> ((c.register_wh - o.register_wh) * b.multiplier_milli + 500) / 1000
                       or c.register_wh < o.register_wh)
                      and not private.is_use_between(o, c, b.multiplier_milli, b.consumption_wh, true)))),
           bool_or(
               -- Continuity: a bill opens at the agreement's opening read or where a live bill of it closed.
               a.opening_reading_id <> b.opening_reading_id and not exists (
                   select 1 from public.bills prior
                   where prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
                     and prior.agreement_id = b.agreement_id)),
           count(*)
    into v_moved, v_wrong, v_between, v_found
    from new_rows b
    join public.service_agreements a on a.id = b.agreement_id
    join public.readings o on o.id = b.opening_reading_id
    join public.readings c on c.id = b.closing_reading_id;
    -- Its reads and its agreement are there; its meter is that of its closing read, its customer that of the agreement.
    if v_found <> (select count(*) from new_rows) then
        raise exception using errcode = '23503', message = 'A bill must run between two reads that are there.';
    end if;
    if v_moved then
        raise exception using errcode = 'EB001', message = 'The agreement changed meanwhile: the price must be computed again.';
    end if;
    if v_wrong or exists (select 1 from new_rows b where b.segments is not null and private.has_wrong_segments(b)) then
        raise exception using errcode = 'EB005',
            message = 'A bill must run between two accepted reads of its meter and bill exactly the energy between them.';
    end if;
    if v_between then
        raise exception using errcode = 'EB001', message = 'Another bill came between: the price must be computed again.';
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.check_new_bills() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_new_bills() TO service_role;

CREATE FUNCTION private.is_use_between(o public.readings, c public.readings, p_multiplier_milli integer, p_wh bigint, p_opens boolean) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select p_wh = ((c.register_wh - o.register_wh + x.span) % x.span * p_multiplier_milli + 500) / 1000
        -- A register that was estimated too high falls: the use is negative, a half away from zero.
        or (p_opens and not private.is_actual(o.source) and private.is_actual(c.source)
            and c.register_wh < o.register_wh
            and -p_wh = ((o.register_wh - c.register_wh) * p_multiplier_milli + 500) / 1000)
        -- One that was estimated to roll over and did not yet is a turn below the estimate.
        or (p_opens and not private.is_actual(o.source) and private.is_actual(c.source)
            and -p_wh = ((o.register_wh + x.span - c.register_wh) * p_multiplier_milli + 500) / 1000
            and exists (select 1 from public.readings l
                        where l.meter_id = o.meter_id and l.status = 'accepted' and private.is_actual(l.source)
                          and l.read_at < o.read_at and l.register_wh > o.register_wh and l.register_wh <= c.register_wh))
    from (select private.register_span_wh(m.dials) as span from public.meters m where m.id = o.meter_id) x
$$;

COMMENT ON FUNCTION private.is_use_between(o public.readings, c public.readings, p_multiplier_milli integer, p_wh bigint, p_opens boolean) IS 'Whether an energy in Wh is what a meter used between two of its reads; p_opens says that the bill opens at the first, which may have been estimated too high.';

REVOKE ALL ON FUNCTION private.is_use_between(o public.readings, c public.readings, p_multiplier_milli integer, p_wh bigint, p_opens boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_use_between(o public.readings, c public.readings, p_multiplier_milli integer, p_wh bigint, p_opens boolean) TO service_role;

CREATE FUNCTION private.has_wrong_segments(b public.bills) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with parts as (
        select s.*, a.service_point_id, lag(s.closing_reading_id) over (order by s.place) as before,
               s.place = count(*) over () as is_last
        from public.service_agreements a
        cross join rows from (jsonb_to_recordset(b.segments) as (
                 meter_id uuid, opening_reading_id uuid, closing_reading_id uuid, opening_wh bigint,
                 closing_wh bigint, multiplier_milli integer, consumption_wh bigint)) with ordinality s(
                 meter_id, opening_reading_id, closing_reading_id, opening_wh, closing_wh, multiplier_milli,
                 consumption_wh, place)
        where a.id = b.agreement_id
    )
    select b.consumption_wh is distinct from (select sum(p.consumption_wh) from parts p)
        or not exists (select 1 from parts p where p.is_last and p.closing_reading_id = b.closing_reading_id
                       and p.meter_id = b.meter_id and p.opening_wh = b.opening_wh and p.closing_wh = b.closing_wh
                       and p.multiplier_milli = b.multiplier_milli)
        or exists (
            select 1
            from parts p
            left join public.readings o on o.id = p.opening_reading_id
            left join public.readings c on c.id = p.closing_reading_id
            left join lateral (
                -- The installation that measured it, and where the one before it at this place ended.
                select i.opening_reading_id,
                       (select e.closing_reading_id from public.meter_installations e
                        where e.service_point_id = i.service_point_id and e.removed_at <= i.installed_at
                        order by e.removed_at desc limit 1) as ended_at
                from public.meter_installations i
                where i.meter_id = p.meter_id and i.service_point_id = p.service_point_id
                  and i.multiplier_milli = p.multiplier_milli
                  and i.installed_at <= o.read_at and (i.removed_at is null or i.removed_at >= c.read_at)
                order by i.installed_at desc limit 1) i on true
            where o.id is null or c.id is null or i.opening_reading_id is null
               or o.meter_id <> p.meter_id or c.meter_id <> p.meter_id
               or o.status <> 'accepted' or c.status <> 'accepted' or c.read_at <= o.read_at
               or p.opening_wh <> o.register_wh or p.closing_wh <> c.register_wh
               or not (case when p.before is null
                                then o.id = b.opening_reading_id
                                     or (o.id = i.opening_reading_id and i.ended_at = b.opening_reading_id)
                            else o.id = i.opening_reading_id and i.ended_at = p.before end)
               or not private.is_use_between(o, c, p.multiplier_milli, p.consumption_wh, o.id = b.opening_reading_id))
$$;

COMMENT ON FUNCTION private.has_wrong_segments(b public.bills) IS 'Whether the segments of a bill do not follow one another over the meters of its place, or bill other energy than these measured.';

REVOKE ALL ON FUNCTION private.has_wrong_segments(b public.bills) FROM PUBLIC;
GRANT ALL ON FUNCTION private.has_wrong_segments(b public.bills) TO service_role;

CREATE FUNCTION private.insert_bill_rows(p_rows public.bills[], p_bills jsonb, p_common jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_ids constant uuid[] := array(select b.id from unnest(p_rows) b);
    v_issued integer;
    v_base bigint;
begin
    perform private.lock_customers(array(
        select a.customer_id from unnest(p_rows) b join public.service_agreements a on a.id = b.agreement_id));
    select count(*) into v_issued from unnest(p_rows) b where b.status = 'issued';
    if v_issued > 0 then
        update public.counters set last_number = last_number + v_issued where name = 'bill'
        returning last_number - v_issued into v_base;
    end if;
    insert into public.bills (
        id, number, status, agreement_id, meter_id, customer_id, tariff_version_id, opening_reading_id, closing_reading_id,
        period_start, period_end, opening_wh, closing_wh, consumption_wh, currency, lines,
        subtotal_minor, tax_minor, total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage,
        replaces_id, priced_by, held_because, multiplier_milli, segments)
    select b.id,
           case when b.status = 'issued'
                then v_base + count(*) filter (where b.status = 'issued') over (order by b.position rows unbounded preceding) end,
           b.status, b.agreement_id, b.meter_id, a.customer_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
           b.period_start, b.period_end, b.opening_wh, b.closing_wh, b.consumption_wh, b.currency, b.lines,
           b.subtotal_minor, b.tax_minor, b.total_minor, b.issued_at, b.issued_on, b.due_date, b.reissue_no,
           b.second_opinion, b.usage, b.replaces_id, b.priced_by, b.held_because, b.multiplier_milli, b.segments
    from (select r.*, row_number() over () as position from unnest(p_rows) r) b
    join public.service_agreements a on a.id = b.agreement_id;
    insert into public.outbox (id, bill_id, kind, steps, facts, status, finished_at, lease_owner, lease_until)
    select coalesce(b.owed_id, o.id), b.id, 'bill_issued', o.steps, coalesce(o.facts, '{}'), o.status, case when o.status <> 'open' then now() end,
           o.lease_owner, now() + make_interval(secs => o.lease_seconds)
    from jsonb_to_recordset(p_bills) as b(id uuid, owed_id uuid, owed jsonb)
    cross join lateral jsonb_to_record(coalesce(b.owed, p_common -> 'owed')) as o(
        id uuid, steps jsonb, facts jsonb, status text, lease_owner text, lease_seconds integer)
    where coalesce(b.owed, p_common -> 'owed', 'null') <> 'null' and b.id = any (v_ids);
end $$;

COMMENT ON FUNCTION private.insert_bill_rows(p_rows public.bills[], p_bills jsonb, p_common jsonb) IS 'Inserts bills, numbers the issued ones in order without gaps, and writes the work each owes, which p_bills has of these or more; p_common is what is the same of all. The caller has locked the service points.';

REVOKE ALL ON FUNCTION private.insert_bill_rows(p_rows public.bills[], p_bills jsonb, p_common jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.insert_bill_rows(p_rows public.bills[], p_bills jsonb, p_common jsonb) TO service_role;

CREATE FUNCTION private.guard_bill() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bill public.bills := new;
begin
    if new.status <> old.status and not (
        (old.status = 'draft' and new.status in ('issued', 'void'))
        or (old.status = 'issued' and new.status = 'void')
    ) then
        raise exception using errcode = 'EB005', message = format('A bill that is %s cannot become %s.', old.status, new.status);
    end if;
    if old.status = 'void' and new is distinct from old then
        raise exception using errcode = 'EB005', message = 'A void bill does not change.';
    end if;
    v_bill.status := old.status;
    v_bill.amount_paid_minor := old.amount_paid_minor;
    v_bill.overdue_since := old.overdue_since;
    v_bill.payment_url := old.payment_url;
    v_bill.void_reason := old.void_reason;
    if old.status = 'draft' and new.status = 'issued' then
        v_bill.number := old.number;
        v_bill.issued_at := old.issued_at;
        v_bill.issued_on := old.issued_on;
        v_bill.due_date := old.due_date;
    end if;
    if v_bill is distinct from old then
        raise exception using errcode = 'EB005',
            message = 'A bill''s figures never change: void it and issue a new one.';
    end if;
    if new.status = 'void' and old.status <> 'void' and old.amount_paid_minor <> 0 then
        raise exception using errcode = 'EB005', message = 'A bill with payments cannot be voided: they return to the account first.';
    end if;
    return new;
end $$;

REVOKE ALL ON FUNCTION private.guard_bill() FROM PUBLIC;
GRANT ALL ON FUNCTION private.guard_bill() TO service_role;

CREATE FUNCTION public.last_bills(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('bills', coalesce(jsonb_agg(jsonb_build_array(
        a.id, b.id, b.period_start, b.period_end, b.consumption_wh, b.currency, b.total_minor)), '[]'))
    from unnest(array(select x::uuid from jsonb_array_elements_text(p -> 'agreements') x)) as a(id)
    cross join lateral (
        select l.id, l.period_start, l.period_end, l.consumption_wh, l.currency, l.total_minor from public.bills l
        where l.agreement_id = a.id and l.status <> 'void' order by l.period_end desc limit 1) b
$$;

COMMENT ON FUNCTION public.last_bills(p jsonb) IS 'The last bill of each agreement that is not void: {agreements: [ids]} -> {bills: [[agreement_id, id, period_start, period_end, consumption_wh, currency, total_minor]]}; none for one that was never billed.';

REVOKE ALL ON FUNCTION public.last_bills(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.last_bills(p jsonb) TO service_role;

CREATE FUNCTION public.customer_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_customer uuid;
    v_after public.bills;
    v_bills jsonb;
    v_limit integer := (p ->> 'limit')::integer;
begin
    -- An id where it is one, else an account number, which may look like an id: each has its index.
    if lower(p ->> 'customer') ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        select id into v_customer from public.customers where id = (p ->> 'customer')::uuid;
    end if;
    if v_customer is null then
        select id into v_customer from public.customers where account_no = p ->> 'customer';
    end if;
    if v_customer is null then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    if p ->> 'after' is not null then
        select * into v_after from public.bills
        where customer_id = v_customer and id::text = lower(p ->> 'after');
        if not found then
            perform private.refuse('EB404', 'This customer has no such bill to go on after.');
        end if;
    end if;
    select jsonb_agg(to_jsonb(b) - 'search' order by b.period_end desc, b.id desc) into v_bills
    from (select * from public.bill_list l
          where l.customer_id = v_customer and l.status <> 'draft'
            and (v_after.id is null or (l.period_end, l.id) < (v_after.period_end, v_after.id))
            and (p ->> 'reader' is null or exists (
                 select 1 from public.readings r
                 where r.meter_id = l.meter_id and r.submitted_by = p ->> 'reader'
                   and r.status in ('accepted', 'superseded')))
          order by l.period_end desc, l.id desc limit v_limit + 1) b;
    return jsonb_build_object('bills', coalesce(v_bills, '[]'));
end $_$;

COMMENT ON FUNCTION public.customer_bills(p jsonb) IS 'Bills of a customer (id or account number), newest period first, after a bill, with reader only those of meters that they read: {customer, reader?, after?, limit} -> {bills: up to limit + 1}.';

REVOKE ALL ON FUNCTION public.customer_bills(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.customer_bills(p jsonb) TO service_role;

CREATE FUNCTION private.last_bill_run_of() RETURNS TABLE(scheduled_on date, begun_at timestamp with time zone)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select r.scheduled_on, r.begun_at from public.job_runs r
    where r.job = 'monthly_bills' and (r.status = 'running' or r.clock_at is not null)
    order by r.begun_at desc limit 1
$$;

COMMENT ON FUNCTION private.last_bill_run_of() IS 'The date of the run of the monthly bills that began last, under way or over, and when it began. Its bills are those made since then that end by its date.';

REVOKE ALL ON FUNCTION private.last_bill_run_of() FROM PUBLIC;
GRANT ALL ON FUNCTION private.last_bill_run_of() TO service_role;

CREATE FUNCTION public.last_issue_run(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('run', (
        select to_jsonb(r) from public.issue_runs r order by r.status = 'running' desc, r.started_at desc limit 1))
$$;

COMMENT ON FUNCTION public.last_issue_run(p jsonb) IS 'The issue run that is under way, else the one that began last: {} -> {run or null}.';

REVOKE ALL ON FUNCTION public.last_issue_run(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.last_issue_run(p jsonb) TO service_role;

CREATE FUNCTION private.issue_drafts(p_ids uuid[], p jsonb) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_drafts uuid[];
    v_base bigint;
begin
    perform private.lock_points(array(
        select a.service_point_id from unnest(p_ids) i(id)
        join public.bills b on b.id = i.id join public.service_agreements a on a.id = b.agreement_id));
    perform private.lock_customers(array(select b.customer_id from unnest(p_ids) i(id) join public.bills b on b.id = i.id));
    if p ->> 'no_address' is not null and private.without_address(array(
            select b.agreement_id from unnest(p_ids) i(id) join public.bills b on b.id = i.id where b.status = 'draft')) <> '{}' then
        perform private.refuse('EB005', p ->> 'no_address');
    end if;
    v_drafts := array(select b.id from unnest(p_ids) i(id) join public.bills b on b.id = i.id
                      where b.status = 'draft' order by b.period_end, b.id for update of b);
    update public.counters set last_number = last_number + cardinality(v_drafts)
    where name = 'bill' and v_drafts <> '{}' returning last_number - cardinality(v_drafts) into v_base;
    update public.bills b
    set status = 'issued', number = v_base + d.place, issued_at = (p ->> 'issued_at')::timestamptz,
        issued_on = (p ->> 'issued_on')::date, due_date = (p ->> 'due_date')::date
    from unnest(v_drafts) with ordinality as d(id, place) where b.id = d.id;
    return v_drafts;
end $$;

COMMENT ON FUNCTION private.issue_drafts(p_ids uuid[], p jsonb) IS 'Issues those of some bills that are drafts, with the next numbers in the order of their periods: {issued_at, issued_on, due_date, no_address?: what is said where a bill must say where the supply is and cannot, which refuses all}; their ids. Under the locks of their places and customers.';

REVOKE ALL ON FUNCTION private.issue_drafts(p_ids uuid[], p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.issue_drafts(p_ids uuid[], p jsonb) TO service_role;

CREATE FUNCTION public.begin_issue_run(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_ids uuid[];
begin
    if not exists (select 1 from public.issue_runs where id = v_id) then
        v_ids := array(select c.id from private.drafts_chosen(p) c order by c.period_end, c.id);
        if private.drafts_mark(v_ids) <> p ->> 'mark' then
            perform private.refuse('EB005', 'The drafts have changed since their totals were shown.');
        elsif v_ids = '{}' then
            perform private.refuse('EB005', 'No draft is chosen.');
        end if;
        insert into public.issue_runs (id, started_by, number) values (v_id, p ->> 'actor', cardinality(v_ids));
        begin
            insert into public.issue_run_bills (run_id, place, bill_id)
            select v_id, d.place, d.id from unnest(v_ids) with ordinality as d(id, place);
        exception when unique_violation then
            perform private.refuse('EB005', 'Some of these drafts are being issued already.');
        end;
    end if;
    return (select to_jsonb(r) from public.issue_runs r where r.id = v_id);
end $$;

COMMENT ON FUNCTION public.begin_issue_run(p jsonb) IS 'Has drafts issued in the background: {actor, id, mark: of their totals as they were shown, … as private.drafts_chosen} -> issue run. EB005 where other drafts are chosen by now, or where some are in a run already. A repeat with the id is answered with the run.';

REVOKE ALL ON FUNCTION public.begin_issue_run(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_issue_run(p jsonb) TO service_role;

CREATE FUNCTION public.issue_next(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_run public.issue_runs;
    v_ids uuid[];
    v_issued uuid[];
begin
    select * into v_run from public.issue_runs where status = 'running' order by started_at, id limit 1 for update skip locked;
    if not found then
        return jsonb_build_object('run', null);
    end if;
    perform private.set_actor(jsonb_build_object('actor', v_run.started_by));
    v_ids := array(select x.bill_id from public.issue_run_bills x
                   where x.run_id = v_run.id and x.place > v_run.reached and x.place <= v_run.reached + (p ->> 'limit')::integer
                   order by x.place);
    v_issued := case when p ->> 'skip' is null then private.issue_drafts(private.with_address(v_ids, p), p) else '{}' end;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select private.ordered_id(), i, 'bill_issued', p #> '{owed,steps}', p #>> '{owed,status}',
           case when p #>> '{owed,status}' <> 'open' then now() end
    from unnest(v_issued) i
    on conflict (bill_id, kind, occasion) do nothing;
    update public.issue_runs r
    set reached = r.reached + cardinality(v_ids), issued = r.issued + cardinality(v_issued),
        first_number = coalesce(r.first_number, n.first), last_number = coalesce(n.last, r.last_number),
        refusal = coalesce(p ->> 'skip', case when private.with_address(v_ids, p) <> v_ids then p ->> 'no_address' end, r.refusal),
        status = case when r.reached + cardinality(v_ids) < r.number then 'running' else 'done' end,
        finished_at = case when r.reached + cardinality(v_ids) < r.number then null else now() end
    from (select min(b.number) as first, max(b.number) as last
          from unnest(v_issued) i(id) join public.bills b on b.id = i.id) n
    where r.id = v_run.id returning r.* into v_run;
    if v_run.status = 'done' then
        delete from public.issue_run_bills where run_id = v_run.id;
    end if;
    return jsonb_build_object('run', to_jsonb(v_run));
end $$;

COMMENT ON FUNCTION public.issue_next(p jsonb) IS 'Issues the next drafts of the oldest issue run that no other process is at, in the name of who began it: {limit, issued_at, issued_on, due_date, owed: {steps, status} for each, skip?: passes them over for this reason, no_address?: passes those over, for this reason, that could not say where the supply is} -> {run: as it is then, null when there is none}. Those that are no drafts any more are passed over.';

REVOKE ALL ON FUNCTION public.issue_next(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.issue_next(p jsonb) TO service_role;

CREATE FUNCTION private.pricing_facts(p_agreement_id uuid, p_meters uuid[], p_looks_back boolean, p_opening_id uuid, p_until timestamp with time zone, p_until_on date) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_facts jsonb := '{}';
    o public.readings;
    v_from public.readings;
    v_point uuid;
begin
    select * into o from public.readings where id = p_opening_id;
    select a.service_point_id into v_point from public.service_agreements a where a.id = p_agreement_id;
    if exists (select 1 from public.meters m where m.id = any (p_meters) and m.registers <> '[]') then
        v_facts := jsonb_build_object(
            -- A register that came later, or was set anew, has its start in a read of that day and total.
            'opening_registers', (
                select coalesce(jsonb_object_agg(v.key, v.value order by r.created_at), '{}')
                from public.readings r cross join lateral jsonb_each(r.registers) v
                where r.meter_id = o.meter_id and r.status = 'accepted' and r.read_on = o.read_on
                  and r.register_wh = o.register_wh),
            'between', (
                select coalesce(jsonb_agg(r.registers order by r.read_at), '[]')
                from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
                where i.service_point_id = v_point and r.status = 'accepted' and r.registers <> '{}'
                  and r.read_at > greatest(o.read_at, i.installed_at) and r.read_at < p_until
                  and r.read_at <= coalesce(i.removed_at, 'infinity')));
    end if;
    if p_looks_back then
        v_facts := v_facts || jsonb_build_object('past', (
            select coalesce(jsonb_agg(jsonb_build_object(
                       'period_start', b.period_start, 'period_end', b.period_end, 'usage', b.usage,
                       'tariff_id', (select v.tariff_id from public.tariff_versions v where v.id = b.tariff_version_id),
                       'charged', (select coalesce(jsonb_object_agg(l.code, l.minor), '{}')
                                   from (select x.code, sum(x.amount_minor)::bigint as minor
                                         from public.bill_lines x where x.bill_id = b.id group by 1) l))
                       order by b.period_end desc), '[]')
            from public.bills b where b.agreement_id = p_agreement_id and b.status <> 'void'),
            'opening_bank', private.opening_bank(p_agreement_id));
    end if;
    if exists (select 1 from public.intervals where meter_id = any (p_meters)) then
        v_facts := v_facts || jsonb_build_object('intervals', private.interval_days(v_point, o.read_on, p_until_on));
    end if;
    select r.* into v_from from public.readings r where r.id = private.settled_from(p_agreement_id, p_opening_id);
    if found then
        v_facts := v_facts || jsonb_build_object('trued_up', jsonb_build_object(
            'opening', to_jsonb(v_from),
            'bills', (select jsonb_agg(jsonb_build_object(
                          'opening_reading_id', b.opening_reading_id, 'closing_reading_id', b.closing_reading_id,
                          'period_start', b.period_start, 'period_end', b.period_end, 'lines', b.lines) order by b.period_start)
                      from public.bills b
                      where b.agreement_id = p_agreement_id and b.status <> 'void'
                        and b.period_start >= v_from.read_on and b.period_end <= o.read_on),
            'installations', private.installations_between(v_point, v_from.read_at, p_until),
            'between', private.reads_between(v_point, v_from.id, p_until),
            'pricing', private.pricing_facts(
                p_agreement_id, p_meters, p_looks_back, v_from.id, p_until, p_until_on) - 'trued_up'));
    end if;
    return v_facts;
end $$;

COMMENT ON FUNCTION private.pricing_facts(p_agreement_id uuid, p_meters uuid[], p_looks_back boolean, p_opening_id uuid, p_until timestamp with time zone, p_until_on date) IS 'What pricing a bill of an agreement needs beside its reads, {} for most: {opening_registers, between: registers of the reads in between; past: its bills, the last first, where the tariff looks back; intervals of the period, packed by private.interval_days, where its meters have any; trued_up: {opening: the last actual read, bills since then, installations, between, pricing} where it opens at an estimate or a customer''s reading}.';

REVOKE ALL ON FUNCTION private.pricing_facts(p_agreement_id uuid, p_meters uuid[], p_looks_back boolean, p_opening_id uuid, p_until timestamp with time zone, p_until_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.pricing_facts(p_agreement_id uuid, p_meters uuid[], p_looks_back boolean, p_opening_id uuid, p_until timestamp with time zone, p_until_on date) TO service_role;

CREATE FUNCTION private.bills_made(p_of text, p_id uuid, p_at timestamp with time zone, p_limit integer) RETURNS TABLE(key text, at timestamp with time zone, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with of_it as (
        select b.id, b.created_at, b.created_by, b.period_end
        -- From the index alone: the last so many of all. Of one without its maker the audit trail says it, so that none is missed.
        from (select x.id from public.bills x where p_of = 'customer' and x.customer_id = p_id and x.created_at = p_at
              union all
              (select x.id from public.bills x where p_of = 'customer' and x.customer_id = p_id and x.created_at < p_at
               order by x.created_at desc fetch first p_limit rows with ties)) k
        join public.bills b on b.id = k.id
        where b.created_by is not null
        union all
        select b.id, b.created_at, b.created_by, b.period_end from public.bills b
        where p_of = 'meter' and b.meter_id = p_id and b.created_by is not null and b.created_at <= p_at
        union all
        select b.id, b.created_at, b.created_by, b.period_end
        from private.bills_of_place(case p_of when 'service_point' then p_id end) i join public.bills b on b.id = i.id
        where b.created_by is not null and b.created_at <= p_at
        union all
        select b.id, b.created_at, b.created_by, b.period_end from public.bills b
        where p_of = 'bill' and b.id = p_id and b.created_by is not null and b.created_at <= p_at
    ), last as (
        -- Whole transactions: one makes many bills of a customer with many places.
        select * from of_it where created_at = p_at
        union all
        (select * from of_it where created_at < p_at order by created_at desc fetch first p_limit rows with ties)
    )
    -- After what the same transaction did before, and before what it changed of the bill.
    select coalesce((select 'a' || lpad((min(u.id) - 1)::text, 19, '0')
                     from public.audit_log u
                     where u.table_name = 'bills' and u.row_id = l.id::text and u.at = l.created_at), '')
               || 'b' || to_char(l.period_end, 'YYYYMMDD') || l.id,
           l.created_at, l.created_by, 'insert', 'bills', l.id::text, null::jsonb, '{}'::jsonb
    from last l
$$;

COMMENT ON FUNCTION private.bills_made(p_of text, p_id uuid, p_at timestamp with time zone, p_limit integer) IS 'That the bills of a customer, meter, service point, or one bill, were made, as changes of the timeline: the last so many by an instant.';

REVOKE ALL ON FUNCTION private.bills_made(p_of text, p_id uuid, p_at timestamp with time zone, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bills_made(p_of text, p_id uuid, p_at timestamp with time zone, p_limit integer) TO service_role;

CREATE FUNCTION private.moved_agreements(p_bills public.bills[]) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    -- Between computing and storing, a read may have been billed or corrected, or this very bill
    -- stored and voided: those agreements are computed again. Of several bills of one each opens
    -- where the one before it closes.
    select array(
        select distinct b.agreement_id
        from (select x.agreement_id, x.opening_reading_id, x.closing_reading_id, x.reissue_no,
                     lag(x.closing_reading_id) over (partition by x.agreement_id order by x.place) as before
              from (select n.*, row_number() over () as place from unnest(p_bills) n) x) b
        join public.service_agreements a on a.id = b.agreement_id
        left join lateral (
            select t.closing_reading_id from public.bills t
            where t.agreement_id = a.id and t.status <> 'void' order by t.period_end desc limit 1) t on b.before is null
        where coalesce(b.before, t.closing_reading_id, a.opening_reading_id) <> b.opening_reading_id
           or b.reissue_no <> (select count(*) from public.bills v
                               where v.opening_reading_id = b.opening_reading_id and v.status = 'void')
           or not exists (select 1 from public.readings r where r.id = b.closing_reading_id and r.status = 'accepted'))
$$;

COMMENT ON FUNCTION private.moved_agreements(p_bills public.bills[]) IS 'The agreements of some bills, in the order of their agreements and periods, that do not follow on what is stored.';

REVOKE ALL ON FUNCTION private.moved_agreements(p_bills public.bills[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.moved_agreements(p_bills public.bills[]) TO service_role;

CREATE FUNCTION private.without_address(p_agreements uuid[]) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select array(
        select a.id from unnest(p_agreements) u(id)
        join public.service_agreements a on a.id = u.id
        join public.service_points s on s.id = a.service_point_id
        join public.customers c on c.id = a.customer_id
        where btrim(s.address) = '' and btrim(c.address) = '')
$$;

COMMENT ON FUNCTION private.without_address(p_agreements uuid[]) IS 'Those of some agreements whose bills would not say where the supply is: neither the place nor the customer has an address.';

REVOKE ALL ON FUNCTION private.without_address(p_agreements uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.without_address(p_agreements uuid[]) TO service_role;

CREATE FUNCTION private.class_use(p_tariff_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- The first ones by their hash are a sample; each costs some steps in an index.
    select jsonb_build_object(
        'meters', count(*),
        'low_wh', coalesce(percentile_disc(0.1) within group (order by b.daily_wh), 0),
        'high_wh', coalesce(percentile_disc(0.9) within group (order by b.daily_wh), 0),
        'loaded_meters', count(b.daily_wh_kw),
        'low_wh_kw', coalesce(percentile_disc(0.1) within group (order by b.daily_wh_kw), 0),
        'high_wh_kw', coalesce(percentile_disc(0.9) within group (order by b.daily_wh_kw), 0))
    from (select t.agreement_id as id from public.agreement_tariffs t where t.tariff_id = p_tariff_id
          order by uuid_hash(t.agreement_id) limit 300) m
    cross join lateral (
        select x.consumption_wh / (x.period_end - x.period_start) as daily_wh,
               x.consumption_wh * 1000 / (x.period_end - x.period_start) / coalesce(s.connected_w, s.connected_va) as daily_wh_kw
        from public.bills x
        join public.service_agreements a on a.id = x.agreement_id
        join public.service_points s on s.id = a.service_point_id
        where x.agreement_id = m.id and x.status <> 'void' and x.period_end > x.period_start
        order by x.period_end desc limit 1) b
$$;

COMMENT ON FUNCTION private.class_use(p_tariff_id uuid) IS 'Wh a day of the last bills of up to 300 meters on a tariff, the lowest and highest tenths, and the same for each kW of connected load where that is known: {meters, low_wh, high_wh, loaded_meters, low_wh_kw, high_wh_kw}.';

REVOKE ALL ON FUNCTION private.class_use(p_tariff_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.class_use(p_tariff_id uuid) TO service_role;

CREATE FUNCTION private.reading_answer(p_reading_id uuid, p_outcome text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with made as (
        -- Of one transaction, which gives all its rows the same time.
        select distinct b.id, b.period_end
        from public.readings r
        join public.meter_installations i on i.meter_id = r.meter_id
        join public.service_agreements a on a.service_point_id = i.service_point_id
        join public.bills b on b.agreement_id = a.id and b.status <> 'void' and b.period_end <= r.read_on
                           and b.created_at in (r.created_at, r.decided_at)
        where r.id = p_reading_id
    ), last as (
        select coalesce(
            (select b.id from public.bills b where b.closing_reading_id = p_reading_id and b.status <> 'void'),
            (select m.id from made m order by m.period_end desc limit 1)) as id
    )
    select jsonb_build_object(
        'outcome', p_outcome,
        'reading', private.reading_json(p_reading_id),
        'bill', private.bill_json(l.id),
        'earlier', (select coalesce(jsonb_agg(private.bill_json(m.id) order by m.period_end), '[]')
                    from made m where m.id <> l.id),
        'owed', (select to_jsonb(o) from public.outbox o where o.bill_id = l.id and o.kind = 'bill_issued'))
    from last l
$$;

REVOKE ALL ON FUNCTION private.reading_answer(p_reading_id uuid, p_outcome text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.reading_answer(p_reading_id uuid, p_outcome text) TO service_role;

CREATE TRIGGER readings_guard_billed BEFORE UPDATE OF status ON public.readings FOR EACH ROW WHEN ((old.status = 'accepted'::text)) EXECUTE FUNCTION private.guard_billed_reading();

CREATE TRIGGER audit_update AFTER UPDATE ON public.bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE CONSTRAINT TRIGGER bills_chain_whole AFTER UPDATE OF status ON public.bills DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.status = 'void'::text)) EXECUTE FUNCTION private.check_chain_whole();

CREATE TRIGGER bills_guard BEFORE UPDATE ON public.bills FOR EACH ROW EXECUTE FUNCTION private.guard_bill();

CREATE TRIGGER bills_in_kwh_bank AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.add_to_kwh_bank();

CREATE TRIGGER bills_join_the_chain AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_new_bills();

CREATE TRIGGER bills_name_their_maker AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_maker();

CREATE TRIGGER bills_use_the_version_in_force AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_replaced_version();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.bills FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.bills FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER void_in_kwh_bank AFTER UPDATE OF status ON public.bills FOR EACH ROW WHEN (((new.status = 'void'::text) AND (old.status <> 'void'::text) AND (new.usage IS NOT NULL))) EXECUTE FUNCTION private.undo_in_kwh_bank();

CREATE CONSTRAINT TRIGGER kwh_bank_adds_up AFTER INSERT ON public.kwh_bank_entries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION private.check_kwh_bank();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.kwh_bank_entries FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.kwh_bank_entries FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.kwh_bank_entries FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

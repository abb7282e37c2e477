-- Autopay: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.autopay_policies (
    id uuid NOT NULL,
    version integer NOT NULL,
    notice_days integer NOT NULL,
    retry_days integer[] NOT NULL,
    confirm_days integer NOT NULL,
    expiry_days integer NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT autopay_policies_confirm_days_check CHECK (((confirm_days >= 1) AND (confirm_days <= 30))),
    CONSTRAINT autopay_policies_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT autopay_policies_expiry_days_check CHECK (((expiry_days >= 1) AND (expiry_days <= 120))),
    CONSTRAINT autopay_policies_notice_days_check CHECK (((notice_days >= 1) AND (notice_days <= 60))),
    CONSTRAINT autopay_policies_retry_days_check CHECK ((cardinality(retry_days) <= 8)),
    CONSTRAINT autopay_policies_version_check CHECK ((version > 0))
);

COMMENT ON TABLE public.autopay_policies IS 'How autopay charges, in versions: the highest holds. Never changed. Where there is none, private.autopay_policy has the default.';

COMMENT ON COLUMN public.autopay_policies.notice_days IS 'So many days before a charge the customer is told its amount and day.';

COMMENT ON COLUMN public.autopay_policies.retry_days IS 'On which days after the first try a soft decline is tried again; empty: never.';

COMMENT ON COLUMN public.autopay_policies.confirm_days IS 'So long a charge that the customer''s bank wants confirmed waits for that.';

COMMENT ON COLUMN public.autopay_policies.expiry_days IS 'So many days before a card expires the customer is told.';

ALTER TABLE ONLY public.autopay_policies
    ADD CONSTRAINT autopay_policies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.autopay_policies
    ADD CONSTRAINT autopay_policies_version_key UNIQUE (version);

ALTER TABLE public.autopay_policies ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.autopay_policies TO service_role;

CREATE TABLE public.autopay_mandates (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    status text DEFAULT 'opened'::text NOT NULL,
    consent text NOT NULL,
    consented_at timestamp with time zone NOT NULL,
    limit_minor bigint,
    session_id text,
    stripe_customer text,
    payment_method text,
    kind text DEFAULT ''::text NOT NULL,
    brand text DEFAULT ''::text NOT NULL,
    last4 text DEFAULT ''::text NOT NULL,
    exp_month integer,
    exp_year integer,
    charges_from date,
    active_since timestamp with time zone,
    paused_at timestamp with time zone,
    paused_because text DEFAULT ''::text NOT NULL,
    expiry_told date,
    ended_at timestamp with time zone,
    ended_by text,
    ended_because text DEFAULT ''::text NOT NULL,
    detached_at timestamp with time zone,
    look_at timestamp with time zone,
    looks integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT autopay_mandates_check CHECK (((status = 'ended'::text) = (ended_at IS NOT NULL))),
    CONSTRAINT autopay_mandates_check1 CHECK (((status <> ALL (ARRAY['active'::text, 'paused'::text])) OR ((stripe_customer IS NOT NULL) AND (payment_method IS NOT NULL) AND (charges_from IS NOT NULL)))),
    CONSTRAINT autopay_mandates_consent_check CHECK ((btrim(consent) <> ''::text)),
    CONSTRAINT autopay_mandates_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT autopay_mandates_exp_month_check CHECK (((exp_month >= 1) AND (exp_month <= 12))),
    CONSTRAINT autopay_mandates_exp_year_check CHECK (((exp_year >= 2000) AND (exp_year <= 2200))),
    CONSTRAINT autopay_mandates_last4_check CHECK ((last4 ~ '^[0-9A-Za-z]{0,4}$'::text)),
    CONSTRAINT autopay_mandates_limit_minor_check CHECK ((limit_minor > 0)),
    CONSTRAINT autopay_mandates_status_check CHECK ((status = ANY (ARRAY['opened'::text, 'confirming'::text, 'active'::text, 'paused'::text, 'ended'::text])))
);

COMMENT ON TABLE public.autopay_mandates IS 'Customers'' consents that their bills are charged to a card or an account that Stripe keeps. Of a card nothing is here but brand, last digits and expiry.';

COMMENT ON COLUMN public.autopay_mandates.id IS 'The form''s own id. Stripe has it in the metadata of the session by which the card was saved.';

COMMENT ON COLUMN public.autopay_mandates.status IS 'opened: the customer was sent to Stripe. confirming: Stripe has it, and we are yet to ask what it is. paused: the last charge failed for good.';

COMMENT ON COLUMN public.autopay_mandates.consent IS 'The words that the customer agreed to.';

COMMENT ON COLUMN public.autopay_mandates.limit_minor IS 'More than that is never charged at once; null: no limit.';

COMMENT ON COLUMN public.autopay_mandates.charges_from IS 'Bills that are due before this local date are not charged.';

COMMENT ON COLUMN public.autopay_mandates.expiry_told IS 'The last day of the card of which the customer was told.';

COMMENT ON COLUMN public.autopay_mandates.look_at IS 'When Stripe is asked next: what was set up, or to forget it; null: there is nothing to ask.';

ALTER TABLE ONLY public.autopay_mandates
    ADD CONSTRAINT autopay_mandates_pkey PRIMARY KEY (id);

CREATE INDEX autopay_mandates_active ON public.autopay_mandates USING btree (id) WHERE (status = 'active'::text);

CREATE INDEX autopay_mandates_customer ON public.autopay_mandates USING btree (customer_id, created_at DESC);

CREATE INDEX autopay_mandates_look ON public.autopay_mandates USING btree (look_at) WHERE (look_at IS NOT NULL);

CREATE INDEX autopay_mandates_method ON public.autopay_mandates USING btree (payment_method) WHERE (payment_method IS NOT NULL);

CREATE UNIQUE INDEX autopay_mandates_one ON public.autopay_mandates USING btree (customer_id) WHERE (status = ANY (ARRAY['active'::text, 'paused'::text]));

CREATE INDEX autopay_mandates_paused ON public.autopay_mandates USING btree (id) WHERE (status = 'paused'::text);

ALTER TABLE public.autopay_mandates ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.autopay_mandates TO service_role;

CREATE TABLE public.autopay_charges (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    mandate_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    due_on date NOT NULL,
    bill_id uuid NOT NULL,
    status text DEFAULT 'planned'::text NOT NULL,
    notice_on date NOT NULL,
    charge_on date NOT NULL,
    notices integer DEFAULT 0 NOT NULL,
    announced_minor bigint,
    announced_on date,
    first_try_on date,
    attempts integer DEFAULT 0 NOT NULL,
    code text DEFAULT ''::text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    paid_minor bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT autopay_charges_check CHECK (((status = ANY (ARRAY['paid'::text, 'failed'::text, 'dropped'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT autopay_charges_check1 CHECK (((status <> ALL (ARRAY['announced'::text, 'charging'::text, 'waiting'::text])) OR (announced_minor IS NOT NULL))),
    CONSTRAINT autopay_charges_status_check CHECK ((status = ANY (ARRAY['planned'::text, 'announced'::text, 'charging'::text, 'waiting'::text, 'paid'::text, 'failed'::text, 'dropped'::text])))
);

COMMENT ON TABLE public.autopay_charges IS 'What is to be charged of an account''s bills with one due date, and what came of it.';

COMMENT ON COLUMN public.autopay_charges.bill_id IS 'The bill by which the customer is told.';

COMMENT ON COLUMN public.autopay_charges.status IS 'planned: the notice is still to go out. charging: Stripe is asked, or the bank is at it. waiting: declined, and tried again on charge_on.';

COMMENT ON COLUMN public.autopay_charges.announced_minor IS 'More than that is not charged without another notice.';

ALTER TABLE ONLY public.autopay_charges
    ADD CONSTRAINT autopay_charges_pkey PRIMARY KEY (id);

CREATE INDEX autopay_charges_customer ON public.autopay_charges USING btree (customer_id, created_at DESC);

CREATE INDEX autopay_charges_ended ON public.autopay_charges USING btree (ended_at DESC, id DESC) WHERE (ended_at IS NOT NULL);

CREATE INDEX autopay_charges_live ON public.autopay_charges USING btree (charge_on, id) WHERE (ended_at IS NULL);

CREATE INDEX autopay_charges_mandate ON public.autopay_charges USING btree (mandate_id) WHERE (ended_at IS NULL);

CREATE INDEX autopay_charges_to_announce ON public.autopay_charges USING btree (id) INCLUDE (notice_on) WHERE (status = 'planned'::text);

CREATE INDEX autopay_charges_to_try ON public.autopay_charges USING btree (id) INCLUDE (charge_on) WHERE (status = ANY (ARRAY['announced'::text, 'waiting'::text]));

ALTER TABLE public.autopay_charges ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.autopay_charges TO service_role;

CREATE TABLE public.autopay_charge_bills (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    charge_id uuid NOT NULL,
    bill_id uuid NOT NULL,
    live boolean DEFAULT true NOT NULL
);

COMMENT ON TABLE public.autopay_charge_bills IS 'The bills that a charge is to pay; live until it is over. A bill is in one live charge at most.';

ALTER TABLE ONLY public.autopay_charge_bills
    ADD CONSTRAINT autopay_charge_bills_charge_id_bill_id_key UNIQUE (charge_id, bill_id);

ALTER TABLE ONLY public.autopay_charge_bills
    ADD CONSTRAINT autopay_charge_bills_pkey PRIMARY KEY (id);

CREATE INDEX autopay_charge_bills_bill ON public.autopay_charge_bills USING btree (bill_id);

CREATE UNIQUE INDEX autopay_charge_bills_once ON public.autopay_charge_bills USING btree (bill_id) WHERE live;

ALTER TABLE public.autopay_charge_bills ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.autopay_charge_bills TO service_role;

CREATE TABLE public.autopay_attempts (
    id uuid NOT NULL,
    charge_id uuid NOT NULL,
    mandate_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    number integer NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    bills jsonb NOT NULL,
    status text DEFAULT 'asking'::text NOT NULL,
    payment_intent text,
    decline text DEFAULT ''::text NOT NULL,
    code text DEFAULT ''::text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    payment_id uuid,
    started_on date NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    owner text DEFAULT ''::text NOT NULL,
    look_at timestamp with time zone NOT NULL,
    CONSTRAINT autopay_attempts_amount_minor_check CHECK ((amount_minor > 0)),
    CONSTRAINT autopay_attempts_bills_check CHECK ((jsonb_typeof(bills) = 'array'::text)),
    CONSTRAINT autopay_attempts_check CHECK (((status = ANY (ARRAY['succeeded'::text, 'failed'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT autopay_attempts_decline_check CHECK ((decline = ANY (ARRAY[''::text, 'soft'::text, 'hard'::text, 'authentication'::text, 'amount'::text]))),
    CONSTRAINT autopay_attempts_number_check CHECK ((number > 0)),
    CONSTRAINT autopay_attempts_status_check CHECK ((status = ANY (ARRAY['asking'::text, 'processing'::text, 'confirming'::text, 'succeeded'::text, 'failed'::text])))
);

COMMENT ON TABLE public.autopay_attempts IS 'Each try to charge. Its row is stored before Stripe is asked, under its id as idempotency key; Stripe has the id in the metadata of the payment.';

COMMENT ON COLUMN public.autopay_attempts.bills IS '[{bill_id, amount_minor}]: what was open of each, in the order in which the money pays them.';

COMMENT ON COLUMN public.autopay_attempts.look_at IS 'When somebody else asks Stripe what became of it: until then whoever began it does.';

ALTER TABLE ONLY public.autopay_attempts
    ADD CONSTRAINT autopay_attempts_charge_id_number_key UNIQUE (charge_id, number);

ALTER TABLE ONLY public.autopay_attempts
    ADD CONSTRAINT autopay_attempts_pkey PRIMARY KEY (id);

CREATE INDEX autopay_attempts_customer ON public.autopay_attempts USING btree (customer_id) WHERE (ended_at IS NULL);

CREATE INDEX autopay_attempts_failed ON public.autopay_attempts USING btree (started_at DESC, id DESC) WHERE (status = 'failed'::text);

CREATE UNIQUE INDEX autopay_attempts_intent ON public.autopay_attempts USING btree (payment_intent) WHERE (payment_intent IS NOT NULL);

CREATE INDEX autopay_attempts_look ON public.autopay_attempts USING btree (look_at) WHERE (ended_at IS NULL);

CREATE UNIQUE INDEX autopay_attempts_open ON public.autopay_attempts USING btree (charge_id) WHERE (ended_at IS NULL);

CREATE INDEX autopay_attempts_payment ON public.autopay_attempts USING btree (payment_id) WHERE (payment_id IS NOT NULL);

CREATE INDEX autopay_attempts_recent ON public.autopay_attempts USING btree (started_at DESC, id DESC);

ALTER TABLE public.autopay_attempts ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.autopay_attempts TO service_role;

ALTER TABLE ONLY public.autopay_mandates
    ADD CONSTRAINT autopay_mandates_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.autopay_charges
    ADD CONSTRAINT autopay_charges_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.autopay_charges
    ADD CONSTRAINT autopay_charges_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.autopay_charges
    ADD CONSTRAINT autopay_charges_mandate_id_fkey FOREIGN KEY (mandate_id) REFERENCES public.autopay_mandates(id);

ALTER TABLE ONLY public.autopay_charge_bills
    ADD CONSTRAINT autopay_charge_bills_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.autopay_charge_bills
    ADD CONSTRAINT autopay_charge_bills_charge_id_fkey FOREIGN KEY (charge_id) REFERENCES public.autopay_charges(id);

ALTER TABLE ONLY public.autopay_attempts
    ADD CONSTRAINT autopay_attempts_charge_id_fkey FOREIGN KEY (charge_id) REFERENCES public.autopay_charges(id);

ALTER TABLE ONLY public.autopay_attempts
    ADD CONSTRAINT autopay_attempts_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.autopay_attempts
    ADD CONSTRAINT autopay_attempts_mandate_id_fkey FOREIGN KEY (mandate_id) REFERENCES public.autopay_mandates(id);

ALTER TABLE ONLY public.autopay_attempts
    ADD CONSTRAINT autopay_attempts_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments(id);

CREATE VIEW public.bill_list WITH (security_invoker='true') AS
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
    ( SELECT jsonb_build_object('status', h.status, 'charge_on', h.charge_on, 'since', y.started_on, 'confirming', COALESCE((y.status = 'confirming'::text), false), 'kind', n.kind) AS jsonb_build_object
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

COMMENT ON COLUMN public.bill_list.status IS 'The status people see, derived: void, draft, paid (nothing left to pay), overdue, partially_paid, issued.';

COMMENT ON COLUMN public.bill_list.opening_source IS 'How the read at which it opens came about: field, smart, imported, customer or estimated.';

COMMENT ON COLUMN public.bill_list.closing_source IS 'How the read at which it closes came about.';

COMMENT ON COLUMN public.bill_list.opening_quality IS 'How sure the read is at which it opens: a code of ESPI.';

COMMENT ON COLUMN public.bill_list.closing_quality IS 'How sure the read is at which it closes.';

COMMENT ON COLUMN public.bill_list.autopay IS 'Of a bill that autopay is to pay: {status: of the charge, charge_on, since: the local date since which a try is under way or null, confirming: whether the bank wants its customer to confirm it, kind: of the card or account}; else null.';

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.bill_list TO service_role;

CREATE VIEW private.graph_bills WITH (security_invoker='true') AS
 SELECT b.id,
    b.number,
    l.status,
    b.meter_id,
    b.tariff_version_id,
    b.opening_reading_id,
    b.closing_reading_id,
    b.period_start,
    b.period_end,
    b.consumption_wh,
    b.currency,
    b.total_minor,
    b.agreement_id,
        CASE
            WHEN (b.segments IS NULL) THEN '[]'::jsonb
            ELSE ( SELECT COALESCE(jsonb_agg(DISTINCT (x.value ->> 'meter_id'::text)), '[]'::jsonb) AS "coalesce"
               FROM jsonb_array_elements(b.segments) x(value)
              WHERE (((x.value ->> 'meter_id'::text))::uuid <> b.meter_id))
        END AS earlier_meter_ids,
        CASE
            WHEN (b.segments IS NULL) THEN '[]'::jsonb
            ELSE ( SELECT COALESCE(jsonb_agg(DISTINCT r.id), '[]'::jsonb) AS "coalesce"
               FROM (jsonb_array_elements(b.segments) x(value)
                 CROSS JOIN LATERAL ( VALUES ((x.value ->> 'opening_reading_id'::text)), ((x.value ->> 'closing_reading_id'::text))) r(id))
              WHERE ((r.id)::uuid <> ALL (ARRAY[b.opening_reading_id, b.closing_reading_id])))
        END AS inner_reading_ids,
    COALESCE(((b.usage ->> 'export_wh'::text))::bigint, ( SELECT (sum(((x.value ->> 'export_wh'::text))::bigint))::bigint AS sum
           FROM jsonb_array_elements((b.usage -> 'parts'::text)) x(value))) AS exported_wh,
    ((b.usage #>> '{trued_up,start}'::text[]))::date AS settled_from,
    w.piece_starts,
    w.piece_ends,
    w.piece_wh
   FROM ((public.bills b
     JOIN public.bill_list l ON ((l.id = b.id)))
     LEFT JOIN LATERAL ( SELECT jsonb_agg(x.starts ORDER BY x.starts, x.ends, x.wh) AS piece_starts,
            jsonb_agg(x.ends ORDER BY x.starts, x.ends, x.wh) AS piece_ends,
            jsonb_agg(x.wh ORDER BY x.starts, x.ends, x.wh) AS piece_wh
           FROM ( SELECT (((b.usage #>> '{trued_up,start}'::text[]))::date - '1970-01-01'::date) AS starts,
                    (b.period_end - '1970-01-01'::date) AS ends,
                    ((b.usage #>> '{trued_up,wh}'::text[]))::bigint AS wh
                UNION ALL
                 SELECT (s.period_start - '1970-01-01'::date),
                    (s.period_end - '1970-01-01'::date),
                    (- s.consumption_wh)
                   FROM public.bills s
                  WHERE ((s.agreement_id = b.agreement_id) AND (s.status <> 'void'::text) AND (s.period_end <= b.period_start) AND (s.period_start >= ((b.usage #>> '{trued_up,start}'::text[]))::date))) x) w ON ((b.usage ? 'trued_up'::text)));

GRANT SELECT ON TABLE private.graph_bills TO service_role;

CREATE FUNCTION private.plan_autopay_of_bills() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_void uuid[];
begin
    v_void := array(select n.id from new_rows n where n.status = 'void');
    if v_void <> '{}' then
        -- What is to be charged of void bills alone is nothing: their customer is not told of it until its day.
        perform private.end_autopay_charges(array(
            select c.id from public.autopay_charge_bills x join public.autopay_charges c on c.id = x.charge_id
            where x.bill_id = any (v_void) and x.live and c.status in ('planned', 'announced', 'waiting')
              and not exists (select 1 from public.autopay_charge_bills y join public.bills b on b.id = y.bill_id
                              where y.charge_id = c.id and y.live and b.status <> 'void')), 'dropped', 'void', 'The bill is void.');
    end if;
    if exists (select 1 from public.autopay_mandates where status = 'active') then
        perform private.plan_autopay(array(
            select n.id from new_rows n where n.status = 'issued' and n.amount_paid_minor < n.total_minor));
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.plan_autopay_of_bills() FROM PUBLIC;
GRANT ALL ON FUNCTION private.plan_autopay_of_bills() TO service_role;

CREATE FUNCTION private.owe_autopay_message(p_kind text, p_bill uuid, p_occasion text, p_facts jsonb, p_owed jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select private.ordered_id(), p_bill, p_kind, p_occasion, jsonb_strip_nulls(p_facts), p_owed -> 'steps', p_owed ->> 'status',
           case when p_owed ->> 'status' <> 'open' then now() end
    where p_bill is not null and p_owed is not null and p_owed <> 'null'::jsonb
    on conflict (bill_id, kind, occasion) do nothing
$$;

REVOKE ALL ON FUNCTION private.owe_autopay_message(p_kind text, p_bill uuid, p_occasion text, p_facts jsonb, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.owe_autopay_message(p_kind text, p_bill uuid, p_occasion text, p_facts jsonb, p_owed jsonb) TO service_role;

CREATE FUNCTION private.autopay_amounts(p_charges uuid[]) RETURNS TABLE(charge_id uuid, amount_minor bigint, bills jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
#variable_conflict use_column
declare
    v_bills constant uuid[] := array(select x.bill_id from public.autopay_charge_bills x where x.charge_id = any (p_charges) and x.live);
    v_in_plan constant uuid[] := private.in_plan_of(v_bills);
    v_customers constant uuid[] := array(select distinct c.customer_id from public.autopay_charges c where c.id = any (p_charges));
begin
    return query
    with open_bills as (
        select c.id as charge_id, c.customer_id, c.currency, b.id, b.number, b.total_minor - b.amount_paid_minor as open_minor
        from public.autopay_charges c
        join public.autopay_charge_bills x on x.charge_id = c.id and x.live
        join public.bills b on b.id = x.bill_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.currency = c.currency
        where c.id = any (p_charges) and b.id <> all (v_in_plan)
          and not exists (select 1 from public.spared_bills s
                          where s.bill_id = b.id and s.released_at is null and (s.until is null or s.until > now())
                            and s.reason <> 'autopay')
    ), sums as (
        select o.charge_id, o.customer_id, o.currency, sum(o.open_minor)::bigint as open_minor,
               jsonb_agg(jsonb_build_object('bill_id', o.id, 'amount_minor', o.open_minor) order by o.number) as bills
        from open_bills o group by 1, 2, 3
    ), under_way as (
        select t.customer_id, t.currency, sum(t.amount_minor)::bigint as minor
        from public.autopay_attempts t
        where t.customer_id = any (v_customers) and t.ended_at is null and t.charge_id <> all (p_charges) group by 1, 2
    )
    select s.charge_id,
           least(s.open_minor, greatest(coalesce(o.owed_minor, 0) - coalesce(u.minor, 0), 0))::bigint, s.bills
    from sums s
    left join private.owed_of(v_customers) o on o.customer_id = s.customer_id and o.currency = s.currency
    left join under_way u on u.customer_id = s.customer_id and u.currency = s.currency;
end $$;

COMMENT ON FUNCTION private.autopay_amounts(p_charges uuid[]) IS 'What some charges come to now: what is open of their bills, without those in plans or paid another way just now, and no more than the account owes beside what other charges are under way for. None: nothing.';

REVOKE ALL ON FUNCTION private.autopay_amounts(p_charges uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.autopay_amounts(p_charges uuid[]) TO service_role;

CREATE FUNCTION private.last_bill_of(p_customer_id uuid) RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select b.id from public.bills b where b.customer_id = p_customer_id and b.status = 'issued' order by b.period_end desc, b.id desc limit 1
$$;

COMMENT ON FUNCTION private.last_bill_of(p_customer_id uuid) IS 'The bill by which a customer is told of what is about none; null where there is none yet.';

REVOKE ALL ON FUNCTION private.last_bill_of(p_customer_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.last_bill_of(p_customer_id uuid) TO service_role;

CREATE FUNCTION private.stop_autopay(m public.autopay_mandates, p_status text, p_code text, p_because text) RETURNS public.autopay_mandates
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- What the bank is at goes on: the money may come. What waits for the customer's confirmation is called off.
    perform private.end_autopay_charges(array(
        select c.id from public.autopay_charges c
        where c.mandate_id = m.id and c.status in ('planned', 'announced', 'waiting')), 'dropped', p_code, p_because);
    update public.autopay_attempts set look_at = now() where mandate_id = m.id and status = 'confirming';
    if p_status = 'paused' then
        update public.autopay_mandates set status = 'paused', paused_at = now(), paused_because = p_because
        where id = m.id returning * into m;
    else
        update public.autopay_mandates
        set status = 'ended', ended_at = now(), ended_by = current_setting('billing.actor'), ended_because = p_because,
            look_at = case when payment_method is not null and detached_at is null then now() end, looks = 0
        where id = m.id returning * into m;
    end if;
    return m;
end $$;

COMMENT ON FUNCTION private.stop_autopay(m public.autopay_mandates, p_status text, p_code text, p_because text) IS 'A mandate is paused or ended, and nothing more is charged by it. Of one that is ended Stripe is asked to forget the card.';

REVOKE ALL ON FUNCTION private.stop_autopay(m public.autopay_mandates, p_status text, p_code text, p_because text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.stop_autopay(m public.autopay_mandates, p_status text, p_code text, p_because text) TO service_role;

CREATE FUNCTION private.autopay_failed(c public.autopay_charges, t public.autopay_attempts, p_on date, p_owed jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    m public.autopay_mandates;
    v_policy constant jsonb := private.autopay_policy();
    v_next date;
begin
    select * into m from public.autopay_mandates where id = c.mandate_id;
    if t.code = 'superseded' then
        -- Stripe was never asked, and by now it comes to something else: it is worked out again.
        update public.autopay_charges set status = 'announced', charge_on = p_on where id = c.id and m.status = 'active';
        perform private.end_autopay_charges(array[c.id], 'dropped', 'ended', 'Autopay has ended.') where m.status <> 'active';
        return;
    end if;
    if m.status = 'active' and t.decline <> all (array['hard', 'amount']) and t.number <= jsonb_array_length(v_policy -> 'retry_days') then
        v_next := greatest(c.first_try_on + (v_policy #>> array['retry_days', (t.number - 1)::text])::integer, p_on + 1);
    end if;
    if v_next is not null and not exists (
        select 1 from public.autopay_charge_bills x join public.bills b on b.id = x.bill_id
        where x.charge_id = c.id and x.live and b.status = 'issued' and b.amount_paid_minor < b.total_minor) then
        -- Void or paid meanwhile: nobody is told that it will be tried again.
        perform private.end_autopay_charges(array[c.id], 'dropped', 'nothing_due', 'Nothing was due any more.');
        return;
    end if;
    if v_next is not null then
        update public.autopay_charges set status = 'waiting', charge_on = v_next, code = t.code, detail = t.detail where id = c.id;
    else
        perform private.end_autopay_charges(array[c.id], 'failed', t.code, t.detail);
        if m.status = 'active' and t.decline <> 'amount' then
            m := private.stop_autopay(m, 'paused', 'paused', 'A charge failed: ' || t.detail);
        end if;
    end if;
    -- A charge that waited for a confirmation was told of when it began to wait.
    perform private.owe_autopay_message('autopay_failed', c.bill_id, t.id || case when v_next is null then '/last' else '' end,
        jsonb_build_object('amount_minor', t.amount_minor::text, 'currency', t.currency, 'method', private.autopay_method(m),
                           'decline', t.decline, 'code', t.code, 'again_on', v_next::text,
                           'paused', case when m.status = 'paused' then 'yes' end), p_owed -> 'autopay_failed')
    where m.status <> 'ended';
end $$;

COMMENT ON FUNCTION private.autopay_failed(c public.autopay_charges, t public.autopay_attempts, p_on date, p_owed jsonb) IS 'A try failed: it is tried again on a day of the policy, or the charge is over and autopay pauses.';

REVOKE ALL ON FUNCTION private.autopay_failed(c public.autopay_charges, t public.autopay_attempts, p_on date, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.autopay_failed(c public.autopay_charges, t public.autopay_attempts, p_on date, p_owed jsonb) TO service_role;

CREATE FUNCTION public.plan_autopay(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_found uuid[];
    v_customers uuid[];
    v_planned integer := 0;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select m.id from public.autopay_mandates m
        where m.status = 'active' and m.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by m.id limit v_limit);
    v_customers := array(select m.customer_id from public.autopay_mandates m where m.id = any (v_found));
    perform private.lock_customers(v_customers);
    v_planned := private.plan_autopay(array(
        select b.id from public.autopay_mandates m
        join public.bills b on b.customer_id = m.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor
            and b.due_date >= m.charges_from and b.due_date >= (p ->> 'today')::date
        where m.id = any (v_found)));
    perform private.note_progress(p);
    return jsonb_build_object('count', v_planned, 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;

COMMENT ON FUNCTION public.plan_autopay(p jsonb) IS 'Plans what is not planned yet of a page of mandates, such as of bills that have left a hold: {actor, run, today, limit, after?, owed} -> {count, after}.';

REVOKE ALL ON FUNCTION public.plan_autopay(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.plan_autopay(p jsonb) TO service_role;

CREATE FUNCTION public.autopay_charge(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select private.autopay_charge_json((p ->> 'id')::uuid)
$$;

COMMENT ON FUNCTION public.autopay_charge(p jsonb) IS 'One charge: {id} -> it, or null.';

REVOKE ALL ON FUNCTION public.autopay_charge(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.autopay_charge(p jsonb) TO service_role;

CREATE FUNCTION public.end_autopay_attempt(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    t public.autopay_attempts;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_stripe_payments(array[p ->> 'payment_intent']);
    t := private.note_autopay((p ->> 'id')::uuid, p, p -> 'owed');
    if t.id is null then
        perform private.refuse('EB404', 'No such charge.');
    end if;
    perform private.take_waiting_stripe_events(t.payment_intent, p -> 'owed') where t.status = 'succeeded';
    return to_jsonb(t);
end $$;

COMMENT ON FUNCTION public.end_autopay_attempt(p jsonb) IS 'Keeps what Stripe answered to a try: {actor, id, …as private.note_autopay, owed: {payment_received, balance_changed, autopay_failed}} -> the try.';

REVOKE ALL ON FUNCTION public.end_autopay_attempt(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_autopay_attempt(p jsonb) TO service_role;

CREATE FUNCTION public.announce_autopay(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    v_days constant integer := (private.autopay_policy() ->> 'notice_days')::integer;
    v_found uuid[];
    v_due uuid[];
    v_rows jsonb;
    v_told uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select c.id from public.autopay_charges c
        where c.status = 'planned' and c.notice_on <= v_today
          and c.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by c.id limit v_limit);
    perform private.lock_customers(array(select distinct c.customer_id from public.autopay_charges c where c.id = any (v_found)));
    v_due := array(select c.id from public.autopay_charges c where c.id = any (v_found) and c.status = 'planned' order by c.id for update);
    v_rows := coalesce((select jsonb_agg(to_jsonb(r)) from private.autopay_rows(v_due, v_today) r), '[]');
    perform private.drop_autopay(v_rows, p -> 'owed');
    with told as (
        update public.autopay_charges c
        set status = 'announced', announced_minor = x.amount_minor, announced_on = v_today, notices = c.notices + 1, bill_id = x.bill_id,
            -- Who hears late is charged late: the notice has its days.
            charge_on = greatest(c.due_on, v_today + v_days)
        from jsonb_to_recordset(v_rows) as x(id uuid, bill_id uuid, amount_minor bigint, what text)
        where c.id = x.id and x.what in ('announce', 'charge')
        returning c.id
    ) select array(select t.id from told t) into v_told;
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select private.ordered_id(), c.bill_id, 'autopay_notice', c.id || '/' || c.notices,
           jsonb_build_object('charge_id', c.id, 'amount_minor', c.announced_minor::text, 'currency', c.currency,
                              'charge_on', c.charge_on::text, 'method', private.autopay_method(m)),
           p #> '{owed,autopay_notice,steps}', p #>> '{owed,autopay_notice,status}',
           case when p #>> '{owed,autopay_notice,status}' <> 'open' then now() end
    from public.autopay_charges c join public.autopay_mandates m on m.id = c.mandate_id
    where c.id = any (v_told) and jsonb_typeof(p #> '{owed,autopay_notice}') = 'object'
    on conflict (bill_id, kind, occasion) do nothing;
    -- While its account is on hold, or another charge is under way for it, nobody hears of it, and its day moves on.
    update public.autopay_charges c set notice_on = v_today + 1, charge_on = greatest(c.due_on, v_today + 1 + v_days)
    where c.id = any (array(select (x ->> 'id')::uuid from jsonb_array_elements(v_rows) x where x ->> 'what' in ('held', 'wait')));
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_told)));
    return jsonb_build_object('count', cardinality(v_told), 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;

COMMENT ON FUNCTION public.announce_autopay(p jsonb) IS 'Announces the charges whose notice is due of a page of planned ones, in the same transaction as the message: {actor, run, today, limit, after?, owed: {autopay_notice, autopay_failed, balance_changed}} -> {count, after}.';

REVOKE ALL ON FUNCTION public.announce_autopay(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.announce_autopay(p jsonb) TO service_role;

CREATE FUNCTION public.claim_autopay(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_attempts uuid[];
    v_mandates uuid[];
begin
    perform private.set_actor(p);
    v_attempts := array(
        select t.id from public.autopay_attempts t where t.ended_at is null and t.look_at <= now()
        order by t.look_at limit (p ->> 'limit')::integer for update skip locked);
    update public.autopay_attempts
    set owner = p ->> 'owner', look_at = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
    where id = any (v_attempts);
    v_mandates := array(
        select m.id from public.autopay_mandates m where m.look_at <= now()
        order by m.look_at limit (p ->> 'limit')::integer for update skip locked);
    update public.autopay_mandates set look_at = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
    where id = any (v_mandates);
    return jsonb_build_object(
        'attempts', private.autopay_to_ask(v_attempts),
        'mandates', (select coalesce(jsonb_agg(to_jsonb(m) order by m.id), '[]') from public.autopay_mandates m where m.id = any (v_mandates)));
end $$;

COMMENT ON FUNCTION public.claim_autopay(p jsonb) IS 'Leases what Stripe is to be asked about: tries whose end nobody knows, cards that were just saved or are to be forgotten: {actor, owner, lease_seconds, limit} -> {attempts, mandates}.';

REVOKE ALL ON FUNCTION public.claim_autopay(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_autopay(p jsonb) TO service_role;

CREATE FUNCTION public.open_autopay(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    insert into public.autopay_mandates (id, customer_id, currency, consent, consented_at, limit_minor)
    values ((p ->> 'id')::uuid, (p ->> 'customer_id')::uuid, p ->> 'currency', p ->> 'consent', (p ->> 'at')::timestamptz,
            (p ->> 'limit_minor')::bigint)
    on conflict (id) do nothing;
    select * into m from public.autopay_mandates where id = (p ->> 'id')::uuid;
    if (m.customer_id, m.status, m.consent, coalesce(m.limit_minor, 0))
       is distinct from ((p ->> 'customer_id')::uuid, 'opened', p ->> 'consent', coalesce((p ->> 'limit_minor')::bigint, 0)) then
        perform private.refuse('EB005', 'This form was sent before: open it again.');
    end if;
    if p ->> 'session_id' is not null then
        update public.autopay_mandates
        set session_id = p ->> 'session_id', stripe_customer = p ->> 'stripe_customer'
        where id = m.id returning * into m;
    end if;
    return to_jsonb(m);
end $$;

COMMENT ON FUNCTION public.open_autopay(p jsonb) IS 'Keeps a consent before the customer is sent to Stripe, and the session there once it is known: {actor, id, customer_id, currency, consent, at, limit_minor?, session_id?, stripe_customer?} -> the mandate.';

REVOKE ALL ON FUNCTION public.open_autopay(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.open_autopay(p jsonb) TO service_role;

CREATE FUNCTION public.complete_autopay(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    m public.autopay_mandates;
    v_old public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into m from public.autopay_mandates where id = (p ->> 'id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such consent.');
    end if;
    perform private.lock_customers(array[m.customer_id]);
    select * into m from public.autopay_mandates where id = m.id for update;
    if m.status not in ('opened', 'confirming') then
        return to_jsonb(m);
    end if;
    for v_old in select * from public.autopay_mandates x where x.customer_id = m.customer_id and x.status in ('active', 'paused') for update loop
        perform private.stop_autopay(v_old, 'ended', 'replaced', 'The customer saved another card or account.');
    end loop;
    update public.autopay_mandates
    set status = 'active', stripe_customer = p ->> 'stripe_customer', payment_method = p ->> 'payment_method', kind = p ->> 'kind',
        brand = coalesce(p ->> 'brand', ''), last4 = coalesce(p ->> 'last4', ''), exp_month = (p ->> 'exp_month')::integer,
        exp_year = (p ->> 'exp_year')::integer, charges_from = (p ->> 'today')::date, active_since = now(), look_at = null, looks = 0
    where id = m.id returning * into m;
    perform private.plan_autopay(array(
        select b.id from public.bills b
        where b.customer_id = m.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.due_date >= m.charges_from));
    return to_jsonb(m);
end $$;

COMMENT ON FUNCTION public.complete_autopay(p jsonb) IS 'Autopay begins with what Stripe saved, in the place of what there was; the bills that are not due yet are planned: {actor, id, stripe_customer, payment_method, kind, brand?, last4?, exp_month?, exp_year?, today, owed} -> the mandate.';

REVOKE ALL ON FUNCTION public.complete_autopay(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.complete_autopay(p jsonb) TO service_role;

CREATE FUNCTION public.note_autopay_look(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.autopay_mandates
    set looks = looks + 1,
        detached_at = case when p ->> 'result' = 'detached' then now() else detached_at end,
        look_at = case when p ->> 'result' = 'later' then now() + make_interval(secs => (p ->> 'retry_in_seconds')::integer) end,
        status = case when p ->> 'result' = 'expired' and status in ('opened', 'confirming') then 'ended' else status end,
        ended_at = case when p ->> 'result' = 'expired' and status in ('opened', 'confirming') then now() else ended_at end,
        ended_by = case when p ->> 'result' = 'expired' and status in ('opened', 'confirming') then p ->> 'actor' else ended_by end,
        ended_because = case when p ->> 'result' = 'expired' and status in ('opened', 'confirming')
                             then 'It was not finished at Stripe.' else ended_because end
    where id = (p ->> 'id')::uuid;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.note_autopay_look(p jsonb) IS 'What a look at Stripe about a mandate came to: {actor, id, result: later | expired | detached | given_up, retry_in_seconds?}.';

REVOKE ALL ON FUNCTION public.note_autopay_look(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_autopay_look(p jsonb) TO service_role;

CREATE FUNCTION public.resume_autopay(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    select * into m from public.autopay_mandates
    where id = (p ->> 'id')::uuid and customer_id = (p ->> 'customer_id')::uuid for update;
    if not found or m.status not in ('active', 'paused') then
        perform private.refuse('EB005', 'This autopay has ended: set it up again.');
    end if;
    if m.status = 'paused' then
        update public.autopay_mandates set status = 'active', paused_at = null, paused_because = '', charges_from = (p ->> 'today')::date
        where id = m.id returning * into m;
        perform private.plan_autopay(array(
            select b.id from public.bills b
            where b.customer_id = m.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor
              and b.due_date >= m.charges_from));
    end if;
    return to_jsonb(m);
end $$;

COMMENT ON FUNCTION public.resume_autopay(p jsonb) IS 'Lets paused autopay go on with the bills that are due from today: {actor, id, customer_id, today, owed} -> the mandate.';

REVOKE ALL ON FUNCTION public.resume_autopay(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.resume_autopay(p jsonb) TO service_role;

CREATE FUNCTION public.tell_of_expiring_cards(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_before constant date := (p ->> 'today')::date + (private.autopay_policy() ->> 'expiry_days')::integer;
    v_found uuid[];
    v_told uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    v_found := array(
        select m.id from public.autopay_mandates m
        where m.status = 'active' and m.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by m.id limit v_limit);
    with told as (
        update public.autopay_mandates m
        set expiry_told = (make_date(m.exp_year, m.exp_month, 1) + interval '1 month - 1 day')::date
        where m.id = any (v_found) and m.status = 'active' and m.exp_year is not null and m.exp_month is not null
          and (make_date(m.exp_year, m.exp_month, 1) + interval '1 month - 1 day')::date <= v_before
          and m.expiry_told is distinct from (make_date(m.exp_year, m.exp_month, 1) + interval '1 month - 1 day')::date
        returning m.id
    ) select array(select t.id from told t) into v_told;
    perform private.owe_autopay_message('autopay_expiring', private.last_bill_of(m.customer_id), m.id || '/' || m.expiry_told,
        jsonb_build_object('method', private.autopay_method(m), 'expires_on', m.expiry_told::text), p #> '{owed,autopay_expiring}')
    from public.autopay_mandates m where m.id = any (v_told);
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_told)));
    return jsonb_build_object('count', cardinality(v_told), 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;

COMMENT ON FUNCTION public.tell_of_expiring_cards(p jsonb) IS 'Owes the customers of a page of mandates the word that their card expires, once: {actor, run, today, limit, after?, owed: {autopay_expiring}} -> {count, after}.';

REVOKE ALL ON FUNCTION public.tell_of_expiring_cards(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.tell_of_expiring_cards(p jsonb) TO service_role;

CREATE FUNCTION public.publish_autopay_policy(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row public.autopay_policies;
begin
    perform private.set_actor(p);
    perform pg_advisory_xact_lock(hashtext('autopay_policies'));
    select * into v_row from public.autopay_policies where id = (p ->> 'id')::uuid;
    if found then
        return to_jsonb(v_row);
    end if;
    if (p ->> 'seen_version')::integer is distinct from coalesce((select max(x.version) from public.autopay_policies x), 0) then
        perform private.refuse('EB005', 'Somebody else has changed the policy meanwhile: look at it again.');
    end if;
    insert into public.autopay_policies (id, version, notice_days, retry_days, confirm_days, expiry_days, created_by)
    values ((p ->> 'id')::uuid, (p ->> 'seen_version')::integer + 1, (p ->> 'notice_days')::integer,
            array(select x::integer from jsonb_array_elements_text(p -> 'retry_days') with ordinality as t(x, n) order by n),
            (p ->> 'confirm_days')::integer, (p ->> 'expiry_days')::integer, p ->> 'actor')
    returning * into v_row;
    return to_jsonb(v_row);
end $$;

COMMENT ON FUNCTION public.publish_autopay_policy(p jsonb) IS 'Adds a version of the policy, once: {actor, id, seen_version, notice_days, retry_days, confirm_days, expiry_days} -> the version.';

REVOKE ALL ON FUNCTION public.publish_autopay_policy(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.publish_autopay_policy(p jsonb) TO service_role;

CREATE FUNCTION public.autopay_policy(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select private.autopay_policy()
$$;

COMMENT ON FUNCTION public.autopay_policy(p jsonb) IS 'The policy that holds: {} -> its version.';

REVOKE ALL ON FUNCTION public.autopay_policy(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.autopay_policy(p jsonb) TO service_role;

CREATE FUNCTION public.autopay_of_customer(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'mandate', (select to_jsonb(m) from public.autopay_mandates m
                    where m.customer_id = (p ->> 'customer_id')::uuid
                    order by m.status in ('active', 'paused') desc, m.created_at desc limit 1),
        'opened', (select to_jsonb(m) from public.autopay_mandates m
                   where m.customer_id = (p ->> 'customer_id')::uuid and m.status in ('opened', 'confirming')
                   order by m.created_at desc limit 1),
        'charges', coalesce((
            select jsonb_agg(private.autopay_charge_json(c.id) order by c.created_at desc, c.id desc)
            from (select * from public.autopay_charges x where x.customer_id = (p ->> 'customer_id')::uuid
                  order by x.created_at desc, x.id desc limit 20) c), '[]'))
$$;

COMMENT ON FUNCTION public.autopay_of_customer(p jsonb) IS 'How a customer''s autopay stands, with the last 20 charges: {customer_id} -> {mandate, opened: what is at Stripe just now, charges}.';

REVOKE ALL ON FUNCTION public.autopay_of_customer(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.autopay_of_customer(p jsonb) TO service_role;

CREATE FUNCTION public.autopay_attempt(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select private.autopay_to_ask(array[(p ->> 'id')::uuid]) -> 0
$$;

COMMENT ON FUNCTION public.autopay_attempt(p jsonb) IS 'One try: {id} -> it with its mandate''s ids at Stripe, or null.';

REVOKE ALL ON FUNCTION public.autopay_attempt(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.autopay_attempt(p jsonb) TO service_role;

CREATE FUNCTION public.autopay_upcoming(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_rows jsonb;
begin
    v_rows := (
        select coalesce(jsonb_agg(private.autopay_charge_json(c.id) order by c.charge_on, c.id), '[]')
        from (select * from public.autopay_charges x
              where x.ended_at is null
                and (x.charge_on, x.id) > (coalesce((p #>> '{after,on}')::date, '-infinity'), coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid)
              order by x.charge_on, x.id limit v_limit) c);
    return jsonb_build_object('rows', v_rows, 'after', case when jsonb_array_length(v_rows) = v_limit then jsonb_build_object(
        'on', v_rows -> (v_limit - 1) ->> 'charge_on', 'id', v_rows -> (v_limit - 1) ->> 'id') end);
end $$;

COMMENT ON FUNCTION public.autopay_upcoming(p jsonb) IS 'Charges that are not over, by their day: {limit, after?} -> {rows, after}.';

REVOKE ALL ON FUNCTION public.autopay_upcoming(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.autopay_upcoming(p jsonb) TO service_role;

CREATE FUNCTION public.autopay_over(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_rows jsonb;
begin
    v_rows := (
        select coalesce(jsonb_agg(private.autopay_charge_json(c.id) order by c.ended_at desc, c.id desc), '[]')
        from (select * from public.autopay_charges x
              where x.ended_at is not null
                and (p -> 'after' is null or p -> 'after' = 'null'::jsonb
                     or (x.ended_at, x.id) < ((p #>> '{after,on}')::timestamptz, (p #>> '{after,id}')::uuid))
              order by x.ended_at desc, x.id desc limit v_limit) c);
    return jsonb_build_object('rows', v_rows, 'after', case when jsonb_array_length(v_rows) = v_limit then jsonb_build_object(
        'on', v_rows -> (v_limit - 1) ->> 'ended_at', 'id', v_rows -> (v_limit - 1) ->> 'id') end);
end $$;

COMMENT ON FUNCTION public.autopay_over(p jsonb) IS 'Charges that are over, the last first, with why: {limit, after?} -> {rows, after}.';

REVOKE ALL ON FUNCTION public.autopay_over(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.autopay_over(p jsonb) TO service_role;

CREATE FUNCTION private.autopay_policy() RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(
        (select to_jsonb(x) from public.autopay_policies x order by x.version desc limit 1),
        jsonb_build_object('id', null, 'version', 0, 'notice_days', 7, 'retry_days', jsonb_build_array(3, 7),
                           'confirm_days', 3, 'expiry_days', 30, 'created_by', '', 'created_at', null))
$$;

COMMENT ON FUNCTION private.autopay_policy() IS 'The policy that holds: seven days'' notice, two more tries after three and seven days, unless a utility has set another.';

REVOKE ALL ON FUNCTION private.autopay_policy() FROM PUBLIC;
GRANT ALL ON FUNCTION private.autopay_policy() TO service_role;

CREATE FUNCTION private.autopay_method(m public.autopay_mandates) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select concat_ws(' ', nullif(initcap(replace(coalesce(nullif(m.brand, ''), m.kind), '_', ' ')), ''), nullif('…' || m.last4, '…'))
$$;

COMMENT ON FUNCTION private.autopay_method(m public.autopay_mandates) IS 'A card or an account as people recognise it: Visa …4242.';

REVOKE ALL ON FUNCTION private.autopay_method(m public.autopay_mandates) FROM PUBLIC;
GRANT ALL ON FUNCTION private.autopay_method(m public.autopay_mandates) TO service_role;

CREATE FUNCTION private.end_autopay_charges(p_charges uuid[], p_status text, p_code text, p_detail text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.autopay_charges set status = p_status, code = p_code, detail = p_detail, ended_at = now()
    where id = any (p_charges) and ended_at is null;
    update public.autopay_charge_bills set live = false where charge_id = any (p_charges) and live;
    update public.spared_bills
    set released_at = now(), released_by = current_setting('billing.actor'),
        released_because = case when p_status = 'paid' then 'The money came.' else p_detail end
    where source = any (array(select 'autopay ' || c from unnest(p_charges) c)) and released_at is null;
end $$;

COMMENT ON FUNCTION private.end_autopay_charges(p_charges uuid[], p_status text, p_code text, p_detail text) IS 'Charges are over: paid, failed or dropped. Their bills are dunned as any, if something is open of them.';

REVOKE ALL ON FUNCTION private.end_autopay_charges(p_charges uuid[], p_status text, p_code text, p_detail text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.end_autopay_charges(p_charges uuid[], p_status text, p_code text, p_detail text) TO service_role;

CREATE FUNCTION private.plan_autopay(p_bills uuid[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_days integer;
    v_mine uuid[];
    v_charges uuid[];
begin
    if not exists (select 1 from public.autopay_mandates where status = 'active') then
        return 0;
    end if;
    v_mine := array(
        select b.id
        from public.bills b
        join public.autopay_mandates m on m.customer_id = b.customer_id and m.status = 'active' and m.currency = b.currency
        where b.id = any (p_bills) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date >= m.charges_from
          and not exists (select 1 from public.plan_bills p where p.bill_id = b.id)
          and (m.limit_minor is null or b.total_minor - b.amount_paid_minor <= m.limit_minor)
          and not exists (
              select 1 from public.autopay_charge_bills x join public.autopay_charges c on c.id = x.charge_id
              where x.bill_id = b.id
                and (x.live or c.mandate_id = m.id and (c.status <> 'dropped' or c.code <> 'paused'))));
    if v_mine = '{}' then
        return 0;
    end if;
    v_mine := private.dunned_of(v_mine);
    v_days := (private.autopay_policy() ->> 'notice_days')::integer;
    insert into public.autopay_charges (mandate_id, customer_id, currency, due_on, bill_id, notice_on, charge_on)
    select m.id, b.customer_id, b.currency, b.due_date, (array_agg(b.id order by b.number))[1],
           max(n.notice_on), greatest(b.due_date, max(n.notice_on) + v_days)
    from public.bills b
    join public.autopay_mandates m on m.customer_id = b.customer_id and m.status = 'active'
    -- Nobody hears of it before there is a bill and a mandate; who hears late is charged late.
    cross join lateral (select greatest(b.due_date - v_days, b.issued_on, m.charges_from) as notice_on) n
    where b.id = any (v_mine)
      and not exists (select 1 from public.autopay_charges c
                      where c.mandate_id = m.id and c.ended_at is null and c.due_on = b.due_date and c.status in ('planned', 'announced'))
    group by m.id, b.customer_id, b.currency, b.due_date;
    with added as (
        insert into public.autopay_charge_bills (charge_id, bill_id)
        select c.id, b.id
        from public.bills b
        join public.autopay_mandates m on m.customer_id = b.customer_id and m.status = 'active'
        cross join lateral (
            select x.id from public.autopay_charges x
            where x.mandate_id = m.id and x.ended_at is null and x.due_on = b.due_date and x.status in ('planned', 'announced')
            order by x.created_at, x.id limit 1) c
        where b.id = any (v_mine)
        on conflict do nothing
        returning charge_id, bill_id
    ), spared as (
        insert into public.spared_bills (bill_id, reason, source, detail)
        select a.bill_id, 'autopay', 'autopay ' || a.charge_id, 'It is charged by autopay.' from added a
        on conflict (bill_id, source) do nothing
    ) select array(select distinct a.charge_id from added a) into v_charges;
    -- What comes to more than was announced is announced again, on the next day at the latest.
    if exists (select 1 from public.autopay_charges c where c.id = any (v_charges) and c.status = 'announced') then
        update public.autopay_charges c set status = 'planned', charge_on = greatest(c.charge_on, a.issued_on + v_days)
        from (select x.charge_id, max(b.issued_on) as issued_on, sum(b.total_minor - b.amount_paid_minor) as open_minor
              from public.autopay_charge_bills x join public.bills b on b.id = x.bill_id and b.status = 'issued'
              where x.charge_id = any (v_charges) and x.live group by 1) a
        where c.id = a.charge_id and c.status = 'announced' and a.open_minor > c.announced_minor;
        -- A void bill is named no more.
        update public.autopay_charges c
        set bill_id = (select b.id from public.autopay_charge_bills x join public.bills b on b.id = x.bill_id and b.status = 'issued'
                       where x.charge_id = c.id and x.live order by b.number limit 1)
        where c.id = any (v_charges) and exists (select 1 from public.bills b where b.id = c.bill_id and b.status = 'void');
    end if;
    return cardinality(v_charges);
end $$;

COMMENT ON FUNCTION private.plan_autopay(p_bills uuid[]) IS 'Plans the charges of those of some bills that autopay is to pay, one for each account and due date; their dunning is silent from then on. Not of bills on hold, in plans, spared, above the limit or that were charged before. The caller has locked the customers.';

REVOKE ALL ON FUNCTION private.plan_autopay(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.plan_autopay(p_bills uuid[]) TO service_role;

CREATE FUNCTION private.drop_autopay(p_rows jsonb, p_owed jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.end_autopay_charges(array(select (x ->> 'id')::uuid from jsonb_array_elements(p_rows) x where x ->> 'what' = 'ended'),
                                        'dropped', 'ended', 'Autopay has ended.');
    perform private.end_autopay_charges(array(select (x ->> 'id')::uuid from jsonb_array_elements(p_rows) x where x ->> 'what' = 'nothing'),
                                        'dropped', 'nothing_due', 'Nothing was due any more.');
    perform private.owe_autopay_message('autopay_failed', x.bill_id, x.id || '/limit',
        jsonb_build_object('amount_minor', x.amount_minor::text, 'currency', m.currency, 'method', private.autopay_method(m),
                           'decline', 'limit', 'code', 'over_limit', 'limit_minor', m.limit_minor::text), p_owed -> 'autopay_failed')
    from jsonb_to_recordset(p_rows) as x(id uuid, mandate_id uuid, bill_id uuid, amount_minor bigint, what text)
    join public.autopay_mandates m on m.id = x.mandate_id
    where x.what = 'over_limit';
    perform private.end_autopay_charges(array(select (x ->> 'id')::uuid from jsonb_array_elements(p_rows) x where x ->> 'what' = 'over_limit'),
                                        'dropped', 'over_limit', 'It is above the customer''s limit.');
end $$;

REVOKE ALL ON FUNCTION private.drop_autopay(p_rows jsonb, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.drop_autopay(p_rows jsonb, p_owed jsonb) TO service_role;

CREATE FUNCTION private.autopay_rows(p_charges uuid[], p_today date) RETURNS TABLE(id uuid, mandate_id uuid, customer_id uuid, bill_id uuid, amount_minor bigint, bills jsonb, what text)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
#variable_conflict use_column
declare
    v_held constant uuid[] := private.held_of(array(
        select distinct c.customer_id from public.autopay_charges c where c.id = any (p_charges)), p_today);
begin
    return query
    select c.id, c.mandate_id, c.customer_id, coalesce((a.bills #>> '{0,bill_id}')::uuid, c.bill_id), coalesce(a.amount_minor, 0), a.bills,
           case when m.status <> 'active' then 'ended'
                -- Another charge is under way for it, as of a bill that was corrected since.
                when a.amount_minor = 0 and exists (
                    select 1 from public.autopay_attempts t
                    where t.customer_id = c.customer_id and t.currency = c.currency and t.ended_at is null and t.charge_id <> c.id) then 'wait'
                when coalesce(a.amount_minor, 0) = 0 then 'nothing'
                when c.customer_id = any (v_held) then 'held'
                when a.amount_minor > m.limit_minor then 'over_limit'
                when a.amount_minor > coalesce(c.announced_minor, 0) then 'announce'
                else 'charge' end
    from public.autopay_charges c
    join public.autopay_mandates m on m.id = c.mandate_id
    left join private.autopay_amounts(p_charges) a on a.charge_id = c.id
    where c.id = any (p_charges);
end $$;

COMMENT ON FUNCTION private.autopay_rows(p_charges uuid[], p_today date) IS 'What is to be done about some charges on a local date, and their amounts. what: charge; announce (again), where more is open than was announced; held: the account''s dunning is on hold; wait: another charge is under way that would pay it; or why it is dropped: ended, nothing, over_limit.';

REVOKE ALL ON FUNCTION private.autopay_rows(p_charges uuid[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.autopay_rows(p_charges uuid[], p_today date) TO service_role;

CREATE FUNCTION private.take_autopay_event(e public.stripe_events, p_owed jsonb) RETURNS public.stripe_events
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    t public.autopay_attempts;
    m public.autopay_mandates;
    v_theirs text;
begin
    e.outcome := 'applied';
    case e.effect ->> 'kind'
        when 'autopay_result' then
            select x.stripe_customer into v_theirs
            from public.autopay_attempts a join public.autopay_mandates x on x.id = a.mandate_id
            where a.id = (e.effect ->> 'attempt_id')::uuid;
            if not found then
                t := private.take_lost_autopay_try(e, p_owed);
            elsif v_theirs = e.effect ->> 'stripe_customer' then
                t := private.note_autopay((e.effect ->> 'attempt_id')::uuid, e.effect || jsonb_build_object('payment_intent', e.payment_intent), p_owed);
            end if;
            e.payment_id := coalesce((select y.id from public.payments y where y.provider_id = e.payment_intent), t.payment_id);
            e.outcome := case when t.id is null then 'kept' else 'applied' end;
            e.detail := case when t.id is null then 'It names a charge that is not here, or of another customer: look at it at Stripe.'
                             else 'Autopay: ' || t.status || '.' end;
        when 'autopay_set_up' then
            -- What was saved is asked for by who looks at mandates; of one that was ended it is forgotten.
            update public.autopay_mandates
            set status = case when status = 'opened' then 'confirming' else status end, look_at = now()
            where id = (e.effect ->> 'mandate_id')::uuid
              and (status = 'opened' or status = 'ended' and payment_method is null and session_id is not null and detached_at is null)
            returning * into m;
            e.detail := case when m.id is null then 'Counted already.' when m.status = 'ended' then 'Autopay had ended.'
                             else 'A customer was at Stripe to set autopay up.' end;
        when 'autopay_method_changed' then
            update public.autopay_mandates
            set brand = coalesce(e.effect ->> 'brand', brand), last4 = coalesce(e.effect ->> 'last4', last4),
                exp_month = (e.effect ->> 'exp_month')::integer, exp_year = (e.effect ->> 'exp_year')::integer
            where payment_method = e.object_id and status in ('active', 'paused') returning * into m;
            e.detail := case when m.id is null then 'It is no card of autopay.' else 'The card was renewed.' end;
        when 'autopay_method_gone' then
            select * into m from public.autopay_mandates
            where payment_method = e.effect ->> 'payment_method' and status in ('active', 'paused');
            if found then
                perform private.lock_customers(array[m.customer_id]);
                -- The customer may have ended it just now.
                select * into m from public.autopay_mandates where id = m.id and status in ('active', 'paused') for update;
            end if;
            if m.id is not null then
                m := private.stop_autopay(m, 'ended', 'ended', e.effect ->> 'because');
                perform private.owe_autopay_message('autopay_ended', private.last_bill_of(m.customer_id), m.id::text,
                    jsonb_build_object('method', private.autopay_method(m)), p_owed -> 'autopay_ended');
            end if;
            e.detail := case when m.id is null then 'It is nothing of autopay that goes on.' else 'Autopay has ended.' end;
    end case;
    return e;
end $$;

COMMENT ON FUNCTION private.take_autopay_event(e public.stripe_events, p_owed jsonb) IS 'An event of autopay: what became of a try, a card that was saved, changed or is gone.';

REVOKE ALL ON FUNCTION private.take_autopay_event(e public.stripe_events, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_autopay_event(e public.stripe_events, p_owed jsonb) TO service_role;

CREATE FUNCTION private.pause_disputed_autopay(e public.stripe_events) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    m public.autopay_mandates;
begin
    select x.* into m
    from public.autopay_attempts t join public.autopay_mandates x on x.id = t.mandate_id
    where t.payment_id = e.payment_id and x.status = 'active';
    if found then
        perform private.stop_autopay(m, 'paused', 'paused', 'The customer''s bank disputes a charge.');
    end if;
end $$;

COMMENT ON FUNCTION private.pause_disputed_autopay(e public.stripe_events) IS 'A bank disputes what autopay charged: nothing more is charged until the customer says so. The caller has locked the customer.';

REVOKE ALL ON FUNCTION private.pause_disputed_autopay(e public.stripe_events) FROM PUBLIC;
GRANT ALL ON FUNCTION private.pause_disputed_autopay(e public.stripe_events) TO service_role;

CREATE FUNCTION private.autopay_charge_json(p_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select to_jsonb(c) || jsonb_build_object(
        'detail', coalesce(nullif(t.detail, ''), c.detail), 'account_no', k.account_no, 'customer_name', k.name, 'bill_number', b.number, 'method', private.autopay_method(m), 'kind', m.kind, 'since', t.started_on,
        'amount_minor', case when c.ended_at is not null then coalesce(nullif(c.paid_minor, 0), l.amount_minor, c.announced_minor, 0)
                             else coalesce(t.amount_minor, (select a.amount_minor from private.autopay_amounts(array[c.id]) a), 0) end,
        'confirm_id', case when t.status = 'confirming' then t.id end)
    from public.autopay_charges c
    join public.customers k on k.id = c.customer_id
    join public.bills b on b.id = c.bill_id
    join public.autopay_mandates m on m.id = c.mandate_id
    left join public.autopay_attempts t on t.charge_id = c.id and t.ended_at is null
    left join lateral (select x.amount_minor from public.autopay_attempts x where x.charge_id = c.id order by x.number desc limit 1) l
        on c.ended_at is not null
    where c.id = p_id
$$;

COMMENT ON FUNCTION private.autopay_charge_json(p_id uuid) IS 'A charge as it is shown; amount_minor is what it comes to now; of one that is over what came, else what was tried last or announced. since: the local date since which a try is under way.';

REVOKE ALL ON FUNCTION private.autopay_charge_json(p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.autopay_charge_json(p_id uuid) TO service_role;

CREATE FUNCTION public.switch_autopay(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_because constant text := 'Autopay is switched off.';
    v_on constant boolean := (p ->> 'on')::boolean;
    v_found uuid[];
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select x.id from public.autopay_mandates x
        where case when v_on then x.status = 'paused' and x.paused_because = v_because else x.status = 'active' end
        order by x.id limit (p ->> 'limit')::integer);
    perform private.lock_customers(array(select x.customer_id from public.autopay_mandates x where x.id = any (v_found)));
    for m in
        select * from public.autopay_mandates x
        where x.id = any (v_found) and x.status = case when v_on then 'paused' else 'active' end order by x.id for update
    loop
        if v_on then
            update public.autopay_mandates
            set status = 'active', paused_at = null, paused_because = '', charges_from = (p ->> 'today')::date where id = m.id;
        else
            perform private.stop_autopay(m, 'paused', 'paused', v_because);
        end if;
    end loop;
    return jsonb_build_object('count', cardinality(v_found));
end $$;

COMMENT ON FUNCTION public.switch_autopay(p jsonb) IS 'Pauses the mandates of a page where nothing can be charged (Stripe is not configured), or lets those that were paused so go on with bills due from today: {actor, run, on, today, limit, owed} -> {count}.';

REVOKE ALL ON FUNCTION public.switch_autopay(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.switch_autopay(p jsonb) TO service_role;

CREATE FUNCTION public.end_autopay(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    select * into m from public.autopay_mandates
    where id = (p ->> 'id')::uuid and customer_id = (p ->> 'customer_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'There is no autopay to end.');
    end if;
    if m.status in ('active', 'paused') then
        m := private.stop_autopay(m, 'ended', 'ended', p ->> 'because');
        perform private.owe_autopay_message('autopay_ended', private.last_bill_of(m.customer_id), m.id::text,
            jsonb_build_object('method', private.autopay_method(m)), p #> '{owed,autopay_ended}');
    elsif m.status <> 'ended' then
        update public.autopay_mandates
        set status = 'ended', ended_at = now(), ended_by = p ->> 'actor', ended_because = p ->> 'because', look_at = case when session_id is not null then now() end, looks = 0
        where id = m.id returning * into m;
    end if;
    return to_jsonb(m);
end $$;

COMMENT ON FUNCTION public.end_autopay(p jsonb) IS 'Ends a customer''s autopay; one that has ended stays as it is: {actor, id, customer_id, because, owed: {autopay_ended, balance_changed}} -> the mandate.';

REVOKE ALL ON FUNCTION public.end_autopay(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_autopay(p jsonb) TO service_role;

CREATE FUNCTION private.note_autopay(p_attempt uuid, p jsonb, p_owed jsonb) RETURNS public.autopay_attempts
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    t public.autopay_attempts;
    c public.autopay_charges;
    m public.autopay_mandates;
    v_payment uuid;
    v_status constant text := p ->> 'status';
    v_intent constant text := p ->> 'payment_intent';
begin
    select * into t from public.autopay_attempts where id = p_attempt;
    if not found then
        return null;
    end if;
    perform private.lock_customers(array[t.customer_id]);
    select * into t from public.autopay_attempts where id = p_attempt for update;
    select * into c from public.autopay_charges where id = t.charge_id for update;
    -- Of another payment that names the same try only its money counts, and one payment is of one try.
    if v_status <> 'succeeded' and v_intent <> t.payment_intent
       or exists (select 1 from public.autopay_attempts x where x.payment_intent = v_intent and x.id <> t.id)
       or t.status = 'succeeded' and (v_status <> 'succeeded' or exists (select 1 from public.payments y where y.provider_id = v_intent))
       or t.status = 'failed' and v_status <> 'succeeded'
       -- The bank is at it: that it wanted a confirmation was before.
       or t.status = 'processing' and v_status = 'confirming' then
        return t;
    elsif v_status = 'succeeded' then
        -- Money that came counts, whatever was heard before.
        v_payment := private.take_autopay_money(t, p, p_owed);
        if t.status = 'succeeded' then
            perform private.raise_flag(v_payment, 'already_paid', 'Stripe charged one try of autopay twice: give one back.');
        else
            update public.autopay_attempts
            set status = 'succeeded', payment_intent = v_intent, ended_at = now(), decline = '', code = '', detail = '',
                payment_id = v_payment
            where id = t.id returning * into t;
        end if;
        perform private.end_autopay_charges(array[c.id], 'paid', '', '') where c.ended_at is null;
        update public.autopay_charges set paid_minor = paid_minor + (p ->> 'amount_minor')::bigint where id = c.id;
        -- Another try that waits for its customer is called off.
        update public.autopay_attempts set look_at = now() where charge_id = c.id and status = 'confirming';
    elsif v_status = 'failed' then
        update public.autopay_attempts
        set status = 'failed', payment_intent = coalesce(v_intent, payment_intent), ended_at = now(),
            decline = p ->> 'decline', code = coalesce(p ->> 'code', ''), detail = coalesce(p ->> 'detail', '')
        where id = t.id returning * into t;
        perform private.autopay_failed(c, t, (p ->> 'on')::date, p_owed) where c.ended_at is null;
    elsif v_status = 'confirming' then
        update public.autopay_attempts
        set status = 'confirming', payment_intent = v_intent, decline = 'authentication',
            code = coalesce(p ->> 'code', ''), detail = coalesce(p ->> 'detail', ''),
            -- Autopay may have ended meanwhile: then it is called off at once.
            look_at = now() + case when (select x.status from public.autopay_mandates x where x.id = t.mandate_id) = 'active'
                then make_interval(days => (private.autopay_policy() ->> 'confirm_days')::integer) else interval '0' end
        where id = t.id and status <> 'confirming' returning * into t;
        if found then
            select * into m from public.autopay_mandates where id = c.mandate_id;
            perform private.owe_autopay_message('autopay_failed', c.bill_id, t.id::text,
                jsonb_build_object('amount_minor', t.amount_minor::text, 'currency', t.currency, 'method', private.autopay_method(m),
                                   'decline', 'authentication', 'code', t.code, 'confirm', t.id), p_owed -> 'autopay_failed')
            where m.status = 'active';
        else
            select * into t from public.autopay_attempts where id = p_attempt;
        end if;
    elsif v_status = 'processing' then
        update public.autopay_attempts
        set status = 'processing', payment_intent = v_intent, look_at = now() + interval '1 day'
        where id = t.id returning * into t;
    else
        -- Nobody knows: Stripe is asked what became of it before anything else is done.
        update public.autopay_attempts
        set detail = coalesce(p ->> 'detail', ''), look_at = now() + make_interval(secs => (p ->> 'retry_in_seconds')::integer)
        where id = t.id returning * into t;
    end if;
    return t;
end $$;

COMMENT ON FUNCTION private.note_autopay(p_attempt uuid, p jsonb, p_owed jsonb) IS 'What Stripe said of a try, in its answer or by its webhook, counted once: {status: succeeded | failed | confirming | processing | unknown, payment_intent?, decline?, code?, detail?, on, of succeeded: amount_minor, currency, payment_id, received_at; of unknown: retry_in_seconds}. Null: there is no such try.';

REVOKE ALL ON FUNCTION private.note_autopay(p_attempt uuid, p jsonb, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_autopay(p_attempt uuid, p jsonb, p_owed jsonb) TO service_role;

CREATE FUNCTION private.take_autopay_money(t public.autopay_attempts, p jsonb, p_owed jsonb) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid;
    v_credit public.open_items;
    v_left bigint;
    v_part bigint;
    r record;
begin
    select id into v_id from public.payments where provider_id = p ->> 'payment_intent';
    if found then
        return v_id;
    end if;
    v_id := (p ->> 'payment_id')::uuid;
    perform private.take_payment(jsonb_build_object(
        'id', v_id, 'bill_id', t.bills #>> '{0,bill_id}', 'customer_id', t.customer_id, 'amount_minor', p -> 'amount_minor',
        'currency', p ->> 'currency', 'method', 'stripe', 'provider_id', p ->> 'payment_intent', 'apply', 'none',
        'reference', (select 'Autopay ' || private.autopay_method(m) from public.autopay_mandates m where m.id = t.mandate_id),
        'received_at', p ->> 'received_at', 'received_on', p ->> 'on'));
    select o.* into v_credit from public.open_items o
    join public.ledger_entries e on e.id = o.entry_id where e.payment_id = v_id and e.kind = 'payment';
    v_left := -v_credit.open_minor;
    for r in
        select o.entry_id, least(o.open_minor, x.amount_minor) as minor
        from jsonb_to_recordset(t.bills) as x(bill_id uuid, amount_minor bigint)
        -- Its reissue pays for a bill that was made void meanwhile.
        join public.bills b on b.id = (private.bill_now(x.bill_id)).id
        join public.ledger_entries d on d.bill_id = b.id and d.kind = 'bill' and d.currency = v_credit.currency
        join public.open_items o on o.entry_id = d.id and o.open_minor > 0
        order by b.number
    loop
        v_part := least(r.minor, v_left);
        continue when v_part <= 0;
        perform private.allocate(jsonb_build_array(jsonb_build_object('credit', v_credit.entry_id, 'debit', r.entry_id, 'amount', v_part)));
        v_left := v_left - v_part;
    end loop;
    perform private.settle(array[t.customer_id]) where v_left > 0;
    perform private.raise_flag(v_id, 'already_paid', 'Autopay charged more than was open of its bills by then; the rest pays what else is open, or is credit.')
    where v_left > 0;
    perform private.owe_thanks(v_id, p_owed -> 'payment_received');
    return v_id;
end $$;

COMMENT ON FUNCTION private.take_autopay_money(t public.autopay_attempts, p jsonb, p_owed jsonb) IS 'Counts the money of a try once, by Stripe''s id of the payment, and lets it pay the bills that were charged; what they no longer need pays what else is open.';

REVOKE ALL ON FUNCTION private.take_autopay_money(t public.autopay_attempts, p jsonb, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_autopay_money(t public.autopay_attempts, p jsonb, p_owed jsonb) TO service_role;

CREATE FUNCTION private.autopay_to_ask(p_attempts uuid[]) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_agg(
        to_jsonb(t) || jsonb_build_object(
            'stripe_customer', m.stripe_customer, 'payment_method', m.payment_method, 'kind', m.kind, 'mandate_status', m.status,
            'bill_number', b.number, 'open_minor', coalesce(a.amount_minor, 0),
            'held', t.customer_id = any (private.held_of(array[t.customer_id], greatest(t.started_on, current_date)))) order by t.id), '[]')
    from public.autopay_attempts t
    left join private.autopay_amounts(array(
        select x.charge_id from public.autopay_attempts x where x.id = any (p_attempts))) a on a.charge_id = t.charge_id
    join public.autopay_mandates m on m.id = t.mandate_id
    join public.autopay_charges c on c.id = t.charge_id
    join public.bills b on b.id = c.bill_id
    where t.id = any (p_attempts)
$$;

REVOKE ALL ON FUNCTION private.autopay_to_ask(p_attempts uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.autopay_to_ask(p_attempts uuid[]) TO service_role;

CREATE FUNCTION private.take_lost_autopay_try(e public.stripe_events, p_owed jsonb) RETURNS public.autopay_attempts
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    c public.autopay_charges;
    t public.autopay_attempts;
    v_open boolean;
    v_minor constant bigint := coalesce((e.effect ->> 'amount_minor')::bigint, (e.effect ->> 'asked_minor')::bigint);
begin
    select x.* into c from public.autopay_charges x join public.autopay_mandates m on m.id = x.mandate_id
    where x.id = (e.effect ->> 'charge_id')::uuid and m.stripe_customer = e.effect ->> 'stripe_customer';
    if not found or e.effect ->> 'status' = 'failed' or coalesce(v_minor, 0) <= 0 then
        return null;
    end if;
    perform private.lock_customers(array[c.customer_id]);
    select * into c from public.autopay_charges where id = c.id for update;
    v_open := c.ended_at is not null
              or exists (select 1 from public.autopay_attempts where charge_id = c.id and ended_at is null);
    -- What is under way beside another try, or after the end, counts once its money comes.
    if v_open and e.effect ->> 'status' <> 'succeeded' then
        return null;
    end if;
    insert into public.autopay_attempts (id, charge_id, mandate_id, customer_id, number, amount_minor, currency, bills, status,
                                         started_on, ended_at, look_at)
    values ((e.effect ->> 'attempt_id')::uuid, c.id, c.mandate_id, c.customer_id, c.attempts + 1, v_minor, c.currency,
            coalesce((select a.bills from private.autopay_amounts(array[c.id]) a),
                     jsonb_build_array(jsonb_build_object('bill_id', c.bill_id, 'amount_minor', v_minor))),
            case when v_open then 'failed' else 'asking' end, (e.effect ->> 'on')::date, case when v_open then now() end, now());
    update public.autopay_charges
    set attempts = attempts + 1, first_try_on = coalesce(first_try_on, (e.effect ->> 'on')::date),
        status = case when v_open then status else 'charging' end, announced_minor = coalesce(announced_minor, v_minor)
    where id = c.id;
    t := private.note_autopay((e.effect ->> 'attempt_id')::uuid, e.effect || jsonb_build_object('payment_intent', e.payment_intent), p_owed);
    return t;
end $$;

COMMENT ON FUNCTION private.take_lost_autopay_try(e public.stripe_events, p_owed jsonb) IS 'Stripe tells of a try that is not here, of a charge that is: a backup from before the try was restored. Its row is made again, so that nothing is charged twice. Null: it is of no charge of ours.';

REVOKE ALL ON FUNCTION private.take_lost_autopay_try(e public.stripe_events, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_lost_autopay_try(e public.stripe_events, p_owed jsonb) TO service_role;

CREATE FUNCTION public.autopay_turns(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_ids constant uuid[] := array(select x::uuid from jsonb_array_elements_text(p -> 'ids') x);
    v_from timestamptz;
    v_free_at timestamptz;
begin
    insert into public.message_rates (channel, free_at) values ('stripe', '-infinity') on conflict (channel) do nothing;
    select r.free_at into v_free_at from public.message_rates r where r.channel = 'stripe' for update;
    -- Stripe asks nobody to wait for an hour: such a time was set by a wrong clock.
    v_from := case when v_free_at < clock_timestamp() + interval '1 hour' then greatest(v_free_at, clock_timestamp())
                   else clock_timestamp() end;
    update public.message_rates
    set free_at = v_from + interval '1 second' / (p ->> 'a_second')::integer * cardinality(v_ids) where channel = 'stripe';
    return jsonb_build_object(
        'wait_ms', ceil(extract(epoch from v_from - clock_timestamp()) * 1000)::integer,
        'attempts', private.autopay_to_ask(v_ids));
end $$;

COMMENT ON FUNCTION public.autopay_turns(p jsonb) IS 'The turns of some tries at Stripe, one after another at the rate of all processes together, and the tries as they are now: {ids, a_second} -> {wait_ms: until the first, attempts}.';

REVOKE ALL ON FUNCTION public.autopay_turns(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.autopay_turns(p jsonb) TO service_role;

CREATE FUNCTION public.end_autopay_attempts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    t public.autopay_attempts;
    x jsonb;
    v_problems jsonb := '[]';
    v_done uuid[] := '{}';
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_stripe_payments(array(select r ->> 'payment_intent' from jsonb_array_elements(p -> 'results') r));
    perform private.lock_customers(array(
        select a.customer_id from public.autopay_attempts a
        where a.id = any (array(select (r ->> 'id')::uuid from jsonb_array_elements(p -> 'results') r))));
    begin
        v_done := private.take_autopay_together(p -> 'results', p -> 'owed');
    exception when others then
        if left(sqlstate, 2) in ('08', '40', '53', '55', '57', '58') then
            raise;
        end if;
        -- One by one it shows whose answer that is.
        v_done := '{}';
    end;
    for x in select r from jsonb_array_elements(p -> 'results') r where (r ->> 'id')::uuid <> all (v_done) loop
        begin
            t := private.note_autopay((x ->> 'id')::uuid, x, p -> 'owed');
            perform private.take_waiting_stripe_events(t.payment_intent, p -> 'owed') where t.status = 'succeeded';
        exception when others then
            -- What the database has no time or room for now is the caller's to repeat.
            if left(sqlstate, 2) in ('08', '40', '53', '55', '57', '58') then
                raise;
            end if;
            v_problems := v_problems || jsonb_build_object('id', x ->> 'id', 'message', sqlerrm);
            update public.autopay_attempts set detail = 'What Stripe said of it cannot be kept: look at it at Stripe.', look_at = now() + interval '6 hours'
            where id = (x ->> 'id')::uuid and ended_at is null;
        end;
    end loop;
    return jsonb_build_object('problems', v_problems);
end $$;

COMMENT ON FUNCTION public.end_autopay_attempts(p jsonb) IS 'Keeps what Stripe answered to some tries, each for itself: {actor, results: [{id, …as private.note_autopay}], owed} -> {problems: [{id, message}]}: those that could not be kept.';

REVOKE ALL ON FUNCTION public.end_autopay_attempts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_autopay_attempts(p jsonb) TO service_role;

CREATE FUNCTION private.take_autopay_together(p_results jsonb, p_owed jsonb) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_rows jsonb;
    v_new uuid[];
begin
    perform 1 from public.autopay_attempts
    where id = any (array(select (r ->> 'id')::uuid from jsonb_array_elements(p_results) r)) order by id for update;
    -- The plain ones: what was asked for came, for bills of which that is open. All others are looked at one by one.
    v_rows := (
        with told as (
            select r.id, r.payment_intent, r.payment_id, r.amount_minor, r.currency, r.received_at, r."on",
                   count(*) over (partition by r.id) as times, count(*) over (partition by r.payment_intent) as payments
            from jsonb_to_recordset(p_results) as r(
                id uuid, status text, payment_intent text, payment_id uuid, amount_minor bigint, currency text, received_at timestamptz, "on" date)
            where r.status = 'succeeded'
        ), plain as (
            select distinct on (t.customer_id) t.id as attempt_id, t.charge_id, t.customer_id, t.bills, t.mandate_id, told.*
            from told
            join public.autopay_attempts t on t.id = told.id and t.ended_at is null
            join public.autopay_charges c on c.id = t.charge_id and c.ended_at is null
            where told.times = 1 and told.payments = 1 and told.amount_minor = t.amount_minor and told.currency = t.currency
              and told.payment_intent is not null and coalesce(t.payment_intent, told.payment_intent) = told.payment_intent
              and not exists (select 1 from public.autopay_attempts x where x.payment_intent = told.payment_intent and x.id <> t.id)
              and not exists (select 1 from public.payments y where y.provider_id = told.payment_intent)
              and not exists (select 1 from public.stripe_events e where e.payment_intent = told.payment_intent and e.outcome = 'waiting')
              and t.amount_minor <= (
                  select sum(least(x.amount_minor, b.total_minor - b.amount_paid_minor))
                  from jsonb_to_recordset(t.bills) as x(bill_id uuid, amount_minor bigint)
                  join public.bills b on b.id = x.bill_id and b.status = 'issued' and b.currency = t.currency)
            order by t.customer_id, t.id
        )
        select jsonb_agg(jsonb_build_object(
            'id', p.payment_id, 'bill_id', p.bills #>> '{0,bill_id}', 'customer_id', p.customer_id, 'amount_minor', p.amount_minor,
            'currency', p.currency, 'method', 'stripe', 'provider_id', p.payment_intent,
            'reference', 'Autopay ' || private.autopay_method(m), 'received_at', p.received_at, 'received_on', p."on",
            'attempt_id', p.attempt_id, 'charge_id', p.charge_id, 'bills', p.bills) order by p.customer_id)
        from plain p join public.autopay_mandates m on m.id = p.mandate_id);
    if v_rows is null then
        return '{}';
    end if;
    v_new := private.store_payments(v_rows);
    perform private.post_payments(v_new, 'none');
    perform private.allocate((
        with parts as (
            select r.id, o.entry_id, o.part, r.amount_minor, sum(o.part) over (partition by r.id order by o.number) as upto
            from jsonb_to_recordset(v_rows) as r(id uuid, amount_minor bigint, currency text, bills jsonb)
            cross join lateral (
                select i.entry_id, b.number, least(i.open_minor, x.amount_minor) as part
                from jsonb_to_recordset(r.bills) as x(bill_id uuid, amount_minor bigint)
                join public.bills b on b.id = x.bill_id
                join public.ledger_entries d on d.bill_id = b.id and d.kind = 'bill' and d.currency = r.currency
                join public.open_items i on i.entry_id = d.id and i.open_minor > 0) o
        )
        select jsonb_agg(jsonb_build_object(
            'credit', c.id, 'debit', p.entry_id, 'amount', least(p.part, p.amount_minor - (p.upto - p.part))) order by p.id, p.upto)
        from parts p
        join public.ledger_entries c on c.payment_id = p.id and c.kind = 'payment'
        where p.amount_minor > p.upto - p.part));
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select private.ordered_id(), y.bill_id, 'payment_received', y.id::text,
           jsonb_build_object('payment_id', y.id, 'amount_minor', y.amount_minor::text, 'currency', y.currency, 'received_on', y.received_on),
           p_owed #> '{payment_received,steps}', p_owed #>> '{payment_received,status}',
           case when p_owed #>> '{payment_received,status}' <> 'open' then now() end
    from public.payments y where y.id = any (v_new) and jsonb_typeof(p_owed -> 'payment_received') = 'object'
    on conflict (bill_id, kind, occasion) do nothing;
    update public.autopay_attempts t
    set status = 'succeeded', payment_intent = r.provider_id, ended_at = now(), decline = '', code = '', detail = '', payment_id = r.id
    from jsonb_to_recordset(v_rows) as r(id uuid, attempt_id uuid, provider_id text)
    where t.id = r.attempt_id;
    perform private.end_autopay_charges(array(select (r ->> 'charge_id')::uuid from jsonb_array_elements(v_rows) r), 'paid', '', '');
    update public.autopay_charges c set paid_minor = c.paid_minor + r.amount_minor
    from jsonb_to_recordset(v_rows) as r(charge_id uuid, amount_minor bigint)
    where c.id = r.charge_id;
    return array(select (r ->> 'attempt_id')::uuid from jsonb_array_elements(v_rows) r);
end $$;

COMMENT ON FUNCTION private.take_autopay_together(p_results jsonb, p_owed jsonb) IS 'Counts the money of those of some answers for which nothing is odd, all together, and answers their tries; as private.note_autopay and private.take_autopay_money do for one. The caller has locked Stripe''s payments and the customers.';

REVOKE ALL ON FUNCTION private.take_autopay_together(p_results jsonb, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_autopay_together(p_results jsonb, p_owed jsonb) TO service_role;

CREATE FUNCTION public.begin_autopay(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    v_found uuid[];
    v_due uuid[];
    v_rows jsonb;
    v_new uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select c.id from public.autopay_charges c
        where c.status in ('announced', 'waiting') and c.charge_on <= v_today
          and c.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by c.id limit v_limit);
    perform private.lock_customers(array(select distinct c.customer_id from public.autopay_charges c where c.id = any (v_found)));
    v_due := array(select c.id from public.autopay_charges c
                   where c.id = any (v_found) and c.status in ('announced', 'waiting') and c.charge_on <= v_today order by c.id for update);
    -- Credit pays first, as before a reminder.
    perform private.pay_from_credit_of(array(select x.bill_id from public.autopay_charge_bills x where x.charge_id = any (v_due) and x.live))
    where v_due <> '{}';
    v_rows := coalesce((select jsonb_agg(to_jsonb(r)) from private.autopay_rows(v_due, v_today) r), '[]');
    perform private.drop_autopay(v_rows, p -> 'owed');
    -- On hold, or for more than was announced: another notice comes first.
    update public.autopay_charges c
    set status = 'planned', notice_on = v_today + 1,
        charge_on = greatest(c.due_on, v_today + 1 + (private.autopay_policy() ->> 'notice_days')::integer)
    where c.id = any (array(select (x ->> 'id')::uuid from jsonb_array_elements(v_rows) x where x ->> 'what' in ('held', 'announce')));
    update public.autopay_charges c set charge_on = v_today + 1
    where c.id = any (array(select (x ->> 'id')::uuid from jsonb_array_elements(v_rows) x where x ->> 'what' = 'wait'));
    with tried as (
        update public.autopay_charges c
        set status = 'charging', attempts = c.attempts + 1, first_try_on = coalesce(c.first_try_on, v_today), bill_id = x.bill_id
        from jsonb_to_recordset(v_rows) as x(id uuid, bill_id uuid, amount_minor bigint, bills jsonb, what text)
        where c.id = x.id and x.what = 'charge'
        returning c.id, c.mandate_id, c.customer_id, c.currency, c.attempts, x.amount_minor, x.bills
    ), new as (
        insert into public.autopay_attempts (id, charge_id, mandate_id, customer_id, number, amount_minor, currency, bills, started_on, owner, look_at)
        select private.ordered_id(), t.id, t.mandate_id, t.customer_id, t.attempts, t.amount_minor, t.currency, t.bills, v_today, p ->> 'owner',
               now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
        from tried t
        returning id
    ) select array(select n.id from new n) into v_new;
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_new)));
    return jsonb_build_object('attempts', private.autopay_to_ask(v_new),
                              'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;

COMMENT ON FUNCTION public.begin_autopay(p jsonb) IS 'Begins the tries that are due of a page of charges, each as a row that is stored before Stripe is asked: {actor, run, today, limit, after?, owner, lease_seconds, owed: {autopay_failed, balance_changed}} -> {attempts, after}.';

REVOKE ALL ON FUNCTION public.begin_autopay(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_autopay(p jsonb) TO service_role;

CREATE FUNCTION private.autopay_without_supply(p_mandates uuid[], p_today date) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select array(
        select m.id from public.autopay_mandates m
        where m.id = any (p_mandates) and m.status in ('active', 'paused')
          and exists (select 1 from public.service_agreements a where a.customer_id = m.customer_id)
          and not exists (
              select 1 from public.service_agreements a
              where a.customer_id = m.customer_id
                and (a.ends_on is null or a.ends_on > p_today
                     -- The final bill is yet to come; after two months nobody waits for it.
                     or a.ends_on > p_today - 60 and not exists (
                         select 1 from public.bills b
                         where b.agreement_id = a.id and b.closing_reading_id = a.closing_reading_id and b.status = 'issued')))
          and not exists (select 1 from public.bills b where b.customer_id = m.customer_id and b.status = 'draft')
          and not exists (select 1 from public.autopay_charges c where c.mandate_id = m.id and c.ended_at is null)
          -- Such as one on hold, which is charged after it if it is not due by then.
          and not exists (select 1 from public.bills b
                          where b.customer_id = m.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor
                            and b.due_date >= p_today and m.status = 'active')
        order by m.id)
$$;

COMMENT ON FUNCTION private.autopay_without_supply(p_mandates uuid[], p_today date) IS 'Those of some mandates whose customers are supplied nowhere any more, on a local date, and of which nothing is to be charged: the final bill is made, and its charge is over.';

REVOKE ALL ON FUNCTION private.autopay_without_supply(p_mandates uuid[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.autopay_without_supply(p_mandates uuid[], p_today date) TO service_role;

CREATE FUNCTION public.end_autopay_without_supply(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_after constant uuid := coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000');
    v_today constant date := (p ->> 'today')::date;
    v_found uuid[];
    v_left uuid[];
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select x.id
        from ((select a.id from public.autopay_mandates a where a.status = 'active' and a.id > v_after order by a.id limit v_limit)
              union all
              (select a.id from public.autopay_mandates a where a.status = 'paused' and a.id > v_after order by a.id limit v_limit)) x
        order by x.id limit v_limit);
    v_left := private.autopay_without_supply(v_found, v_today);
    if v_left <> '{}' then
        perform private.lock_customers(array(select x.customer_id from public.autopay_mandates x where x.id = any (v_left)));
        -- Somebody may have moved in again, or was billed, just now.
        v_left := private.autopay_without_supply(v_left, v_today);
        for m in select * from public.autopay_mandates x where x.id = any (v_left) order by x.id for update loop
            m := private.stop_autopay(m, 'ended', 'ended', 'The customer''s supply has ended.');
            perform private.owe_autopay_message('autopay_ended', private.last_bill_of(m.customer_id), m.id::text,
                jsonb_build_object('method', private.autopay_method(m), 'left', 'yes'), p #> '{owed,autopay_ended}');
        end loop;
    end if;
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_left)));
    return jsonb_build_object('count', cardinality(v_left), 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;

COMMENT ON FUNCTION public.end_autopay_without_supply(p jsonb) IS 'Ends autopay of those of a page of mandates whose customers have left and whose final bill is settled or not to be charged; Stripe is asked to forget the cards: {actor, run, today, limit, after?, owed: {autopay_ended, balance_changed}} -> {count, after}.';

REVOKE ALL ON FUNCTION public.end_autopay_without_supply(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_autopay_without_supply(p jsonb) TO service_role;

CREATE TRIGGER plan_autopay AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.plan_autopay_of_bills();

CREATE TRIGGER plan_autopay_at_issue AFTER UPDATE ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.plan_autopay_of_bills();

CREATE TRIGGER audit_insert AFTER INSERT ON public.autopay_policies REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.autopay_policies REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.autopay_policies FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.autopay_policies FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.autopay_policies FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER audit_insert AFTER INSERT ON public.autopay_mandates REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.autopay_mandates REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.autopay_mandates FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.autopay_mandates FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.autopay_charges FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.autopay_charges FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.autopay_charge_bills FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.autopay_charge_bills FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.autopay_attempts FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.autopay_attempts FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

-- Ledger: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TYPE private.new_entry AS (
	id uuid,
	customer_id uuid,
	book text,
	currency text,
	kind text,
	amount_minor bigint,
	bill_id uuid,
	payment_id uuid,
	return_id uuid,
	undoes_id uuid,
	on_date date,
	order_on date,
	note text
);

COMMENT ON TYPE private.new_entry IS 'A ledger entry to be posted: "order_on" is the date by which its open item comes in turn, without it on_date.';

CREATE SEQUENCE public.posting_no
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

COMMENT ON SEQUENCE public.posting_no IS 'Numbers what is posted, in order; some numbers may be left out.';

GRANT ALL ON SEQUENCE public.posting_no TO service_role;

CREATE TABLE public.accounts (
    customer_id uuid NOT NULL,
    book text NOT NULL,
    currency text NOT NULL,
    balance_minor bigint DEFAULT 0 NOT NULL,
    entries integer DEFAULT 0 NOT NULL,
    CONSTRAINT accounts_book_check CHECK ((book = ANY (ARRAY['account'::text, 'deposit'::text]))),
    CONSTRAINT accounts_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT accounts_entries_check CHECK ((entries >= 0))
);

COMMENT ON TABLE public.accounts IS 'The balance of a customer by book and currency: always that of the ledger''s last entry. Above 0 the customer owes.';

COMMENT ON COLUMN public.accounts.book IS '"account": bills, payments, fees, credits. "deposit": security deposits that are held, which pay no bill until they are used.';

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (customer_id, book, currency);

ALTER TABLE public.accounts ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.accounts TO service_role;

CREATE TABLE public.ledger_entries (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    customer_id uuid NOT NULL,
    book text NOT NULL,
    currency text NOT NULL,
    entry_no integer NOT NULL,
    kind text NOT NULL,
    amount_minor bigint NOT NULL,
    balance_minor bigint NOT NULL,
    bill_id uuid,
    payment_id uuid,
    return_id uuid,
    undoes_id uuid,
    on_date date NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    actor text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    posting_no bigint DEFAULT nextval('public.posting_no'::regclass) NOT NULL,
    CONSTRAINT ledger_entries_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT ledger_entries_check CHECK (
CASE kind
    WHEN 'bill'::text THEN ((bill_id IS NOT NULL) AND (undoes_id IS NULL))
    WHEN 'bill_void'::text THEN ((bill_id IS NOT NULL) AND (undoes_id IS NOT NULL))
    WHEN 'payment'::text THEN ((payment_id IS NOT NULL) AND (amount_minor < 0))
    WHEN 'refund'::text THEN ((return_id IS NOT NULL) AND (amount_minor > 0))
    WHEN 'reversal'::text THEN ((return_id IS NOT NULL) AND (amount_minor > 0))
    WHEN 'dispute'::text THEN ((return_id IS NOT NULL) AND (amount_minor > 0))
    WHEN 'payout'::text THEN ((return_id IS NOT NULL) AND (amount_minor > 0))
    WHEN 'return_undone'::text THEN ((return_id IS NOT NULL) AND (undoes_id IS NOT NULL) AND (amount_minor < 0))
    WHEN 'credit'::text THEN ((amount_minor < 0) AND (btrim(note) <> ''::text))
    WHEN 'credit_undone'::text THEN ((amount_minor > 0) AND (undoes_id IS NOT NULL))
    WHEN 'fee'::text THEN ((amount_minor > 0) AND (btrim(note) <> ''::text))
    WHEN 'fee_undone'::text THEN ((amount_minor < 0) AND (undoes_id IS NOT NULL))
    WHEN 'deposit_used'::text THEN (amount_minor <> 0)
    WHEN 'opening_balance'::text THEN ((amount_minor <> 0) AND (btrim(note) <> ''::text) AND ((book = 'account'::text) OR (amount_minor < 0)))
    WHEN 'opening_balance_undone'::text THEN ((amount_minor <> 0) AND (undoes_id IS NOT NULL))
    ELSE false
END),
    CONSTRAINT ledger_entries_entry_no_check CHECK ((entry_no > 0))
)
WITH (autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.ledger_entries IS 'Every bill, payment, return, credit and fee of an account, in order, with the balance after it. Never changed: a mistake is undone by another entry.';

COMMENT ON COLUMN public.ledger_entries.entry_no IS 'Counts 1, 2, 3 in each account; the balance is checked along it.';

COMMENT ON COLUMN public.ledger_entries.on_date IS 'Local date it counts for; in a month that is closed, the first day that is open instead.';

COMMENT ON COLUMN public.ledger_entries.posting_no IS 'In the order of posting, over all accounts and what is posted of nobody known.';

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_customer_id_book_currency_entry_no_key UNIQUE (customer_id, book, currency, entry_no);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_undoes_id_key UNIQUE (undoes_id);

CREATE INDEX ledger_entries_by_hand ON public.ledger_entries USING btree (customer_id, created_at DESC) WHERE ((book = 'account'::text) AND (kind = ANY (ARRAY['credit'::text, 'credit_undone'::text, 'fee'::text, 'fee_undone'::text, 'deposit_used'::text, 'opening_balance'::text, 'opening_balance_undone'::text])));

CREATE INDEX ledger_entries_credits ON public.ledger_entries USING btree (on_date, posting_no) WHERE (kind = ANY (ARRAY['credit'::text, 'credit_undone'::text]));

CREATE INDEX ledger_entries_in_order ON public.ledger_entries USING brin (posting_no) WITH (pages_per_range='16', autosummarize='on');

CREATE INDEX ledger_entries_of_bills ON public.ledger_entries USING btree (bill_id) WHERE ((bill_id IS NOT NULL) AND (kind <> 'bill'::text));

CREATE INDEX ledger_entries_of_payments ON public.ledger_entries USING btree (payment_id) WHERE ((payment_id IS NOT NULL) AND (kind <> 'payment'::text));

CREATE UNIQUE INDEX ledger_entries_posted ON public.ledger_entries USING btree (on_date, posting_no);

CREATE UNIQUE INDEX ledger_one_entry_a_bill ON public.ledger_entries USING btree (bill_id) WHERE (kind = 'bill'::text);

CREATE UNIQUE INDEX ledger_one_entry_a_payment ON public.ledger_entries USING btree (payment_id) WHERE (kind = 'payment'::text);

CREATE UNIQUE INDEX ledger_one_entry_a_return ON public.ledger_entries USING btree (return_id) WHERE (kind = ANY (ARRAY['refund'::text, 'reversal'::text, 'dispute'::text, 'payout'::text]));

ALTER TABLE public.ledger_entries ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.ledger_entries TO service_role;

CREATE TABLE public.open_items (
    entry_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    book text NOT NULL,
    currency text NOT NULL,
    entry_no integer NOT NULL,
    order_on date NOT NULL,
    amount_minor bigint NOT NULL,
    open_minor bigint NOT NULL,
    is_charge boolean DEFAULT false NOT NULL,
    CONSTRAINT open_items_amount_minor_check CHECK ((amount_minor <> 0)),
    CONSTRAINT open_items_check CHECK (((open_minor >= LEAST(amount_minor, (0)::bigint)) AND (open_minor <= GREATEST(amount_minor, (0)::bigint))))
)
WITH (autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.open_items IS 'What of each entry is not yet allocated: of a bill what is left to pay, of a payment what is left of it.';

COMMENT ON COLUMN public.open_items.order_on IS 'Oldest first is by this date: of a bill the end of its period.';

COMMENT ON COLUMN public.open_items.is_charge IS 'A fee or an opening balance of the account, which is dunned beside its bills.';

ALTER TABLE ONLY public.open_items
    ADD CONSTRAINT open_items_pkey PRIMARY KEY (entry_id);

CREATE INDEX open_items_charges ON public.open_items USING btree (customer_id) WHERE (is_charge AND (open_minor > 0));

CREATE INDEX open_items_of_credits ON public.open_items USING btree (entry_id) WHERE (open_minor < 0);

CREATE INDEX open_items_open ON public.open_items USING btree (customer_id, book, currency) WHERE (open_minor <> 0);

ALTER TABLE public.open_items ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.open_items TO service_role;

CREATE TABLE public.allocations (
    id bigint NOT NULL,
    credit_entry_id uuid NOT NULL,
    debit_entry_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    actor text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT allocations_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT allocations_amount_minor_check CHECK ((amount_minor <> 0))
);

COMMENT ON TABLE public.allocations IS 'Which credit paid which debit. Never changed: what is taken back is a row below 0.';

ALTER TABLE ONLY public.allocations
    ADD CONSTRAINT allocations_pkey PRIMARY KEY (id);

CREATE INDEX allocations_credit ON public.allocations USING btree (credit_entry_id);

CREATE INDEX allocations_debit ON public.allocations USING btree (debit_entry_id);

CREATE INDEX allocations_written ON public.allocations USING brin (created_at);

ALTER TABLE public.allocations ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.allocations TO service_role;

ALTER TABLE public.allocations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.allocations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.allocations_id_seq TO service_role;

CREATE TABLE public.ledger_totals (
    id bigint NOT NULL,
    currency text NOT NULL,
    book text NOT NULL,
    month date NOT NULL,
    kind text NOT NULL,
    method text NOT NULL,
    amount_minor bigint NOT NULL,
    number bigint NOT NULL,
    CONSTRAINT ledger_totals_month_check CHECK ((EXTRACT(day FROM month) = (1)::numeric))
);

COMMENT ON TABLE public.ledger_totals IS 'What the entries of a month come to, by currency, book, kind and method (empty where no money moved): parts, to be added up.';

ALTER TABLE ONLY public.ledger_totals
    ADD CONSTRAINT ledger_totals_pkey PRIMARY KEY (id);

ALTER TABLE public.ledger_totals ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,DELETE,TRIGGER,MAINTAIN ON TABLE public.ledger_totals TO service_role;

GRANT UPDATE(id) ON TABLE public.ledger_totals TO service_role;

ALTER TABLE public.ledger_totals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ledger_totals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.ledger_totals_id_seq TO service_role;

CREATE TABLE public.bill_totals (
    id bigint NOT NULL,
    currency text NOT NULL,
    month date NOT NULL,
    state text NOT NULL,
    bills bigint NOT NULL,
    total_minor bigint NOT NULL,
    open_minor bigint NOT NULL,
    tariff_version_id uuid NOT NULL,
    priced_by uuid[] NOT NULL,
    ended_in date NOT NULL,
    due_date date NOT NULL,
    consumption_wh bigint DEFAULT 0 NOT NULL,
    subtotal_minor bigint DEFAULT 0 NOT NULL,
    tax_minor bigint DEFAULT 0 NOT NULL,
    paid_minor bigint DEFAULT 0 NOT NULL,
    CONSTRAINT bill_totals_month_check CHECK (((month = 'infinity'::date) OR (EXTRACT(day FROM month) = (1)::numeric))),
    CONSTRAINT bill_totals_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'paid'::text, 'open'::text, 'overdue'::text])))
);

COMMENT ON TABLE public.bill_totals IS 'What the bills issued in a month come to, by currency, state, tariff version, the month that they bill and the date on which they are due, and what of it is open: parts, to be added up. Drafts have the month infinity; void bills are in no total.';

COMMENT ON COLUMN public.bill_totals.priced_by IS 'As bills have it; empty where they say nothing.';

COMMENT ON COLUMN public.bill_totals.ended_in IS 'The month (its 1st) of the last day that they bill.';

COMMENT ON COLUMN public.bill_totals.due_date IS 'Of open and overdue bills; infinity of all others.';

ALTER TABLE ONLY public.bill_totals
    ADD CONSTRAINT bill_totals_pkey PRIMARY KEY (id);

ALTER TABLE public.bill_totals ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,DELETE,TRIGGER,MAINTAIN ON TABLE public.bill_totals TO service_role;

GRANT UPDATE(id) ON TABLE public.bill_totals TO service_role;

ALTER TABLE public.bill_totals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.bill_totals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.bill_totals_id_seq TO service_role;

CREATE TABLE public.overdue_accounts (
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    overdue_minor bigint NOT NULL
);

COMMENT ON TABLE public.overdue_accounts IS 'What is open of a customer''s overdue bills, by currency; 0 once it is paid. Kept with the bills.';

ALTER TABLE ONLY public.overdue_accounts
    ADD CONSTRAINT overdue_accounts_pkey PRIMARY KEY (customer_id, currency);

CREATE INDEX overdue_accounts_by_currency ON public.overdue_accounts USING btree (currency, ((- overdue_minor)), customer_id) WHERE (overdue_minor > 0);

CREATE INDEX overdue_accounts_most ON public.overdue_accounts USING btree (overdue_minor, customer_id) WHERE (overdue_minor > 0);

ALTER TABLE public.overdue_accounts ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.overdue_accounts TO service_role;

CREATE TABLE public.supply_totals (
    id bigint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    number bigint NOT NULL,
    CONSTRAINT supply_totals_kind_check CHECK ((kind = ANY (ARRAY['billing_day'::text, 'tariff'::text, 'route'::text])))
);

COMMENT ON TABLE public.supply_totals IS 'How many agreements that go on a billing day or a tariff (its id; the last one that was agreed on) has, and how many places a reading route: parts, to be added up.';

ALTER TABLE ONLY public.supply_totals
    ADD CONSTRAINT supply_totals_pkey PRIMARY KEY (id);

ALTER TABLE public.supply_totals ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE ON TABLE public.supply_totals TO service_role;

GRANT UPDATE(id) ON TABLE public.supply_totals TO service_role;

ALTER TABLE public.supply_totals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.supply_totals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.supply_totals_id_seq TO service_role;

CREATE TABLE public.draft_signs (
    bill_id uuid NOT NULL,
    past_use bigint[] NOT NULL,
    outlier boolean NOT NULL
);

COMMENT ON TABLE public.draft_signs IS 'What draft_list says of each draft: the past use that it is compared with, and whether it is unusual. Kept with the bills.';

ALTER TABLE ONLY public.draft_signs
    ADD CONSTRAINT draft_signs_pkey PRIMARY KEY (bill_id);

ALTER TABLE public.draft_signs ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.draft_signs TO service_role;

CREATE TABLE public.open_totals (
    id bigint NOT NULL,
    currency text NOT NULL,
    part text NOT NULL,
    order_on date NOT NULL,
    items bigint NOT NULL,
    open_minor bigint NOT NULL,
    CONSTRAINT open_totals_part_check CHECK ((part = ANY (ARRAY['credit'::text, 'opening_balance'::text, 'other'::text])))
);

COMMENT ON TABLE public.open_totals IS 'What is open on customers'' accounts beside their bills: credits (below 0), opening balances by their day, fees and all else with the day infinity. Parts, to be added up.';

ALTER TABLE ONLY public.open_totals
    ADD CONSTRAINT open_totals_pkey PRIMARY KEY (id);

ALTER TABLE public.open_totals ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE ON TABLE public.open_totals TO service_role;

GRANT UPDATE(id) ON TABLE public.open_totals TO service_role;

ALTER TABLE public.open_totals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.open_totals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.open_totals_id_seq TO service_role;

CREATE TABLE public.bill_number_blocks (
    ended_in date NOT NULL,
    block bigint NOT NULL,
    CONSTRAINT bill_number_blocks_ended_in_check CHECK ((EXTRACT(day FROM ended_in) = (1)::numeric))
);

COMMENT ON TABLE public.bill_number_blocks IS 'Which blocks of 4,096 bill numbers have a bill of a month (by the last day of its period); a block stays when its bills are void. Kept with the bills.';

ALTER TABLE ONLY public.bill_number_blocks
    ADD CONSTRAINT bill_number_blocks_pkey PRIMARY KEY (ended_in, block);

ALTER TABLE public.bill_number_blocks ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.bill_number_blocks TO service_role;

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_undoes_id_fkey FOREIGN KEY (undoes_id) REFERENCES public.ledger_entries(id);

ALTER TABLE ONLY public.allocations
    ADD CONSTRAINT allocations_credit_entry_id_fkey FOREIGN KEY (credit_entry_id) REFERENCES public.ledger_entries(id);

ALTER TABLE ONLY public.allocations
    ADD CONSTRAINT allocations_debit_entry_id_fkey FOREIGN KEY (debit_entry_id) REFERENCES public.ledger_entries(id);

ALTER TABLE ONLY public.disconnections
    ADD CONSTRAINT disconnections_fee_entry_id_fkey FOREIGN KEY (fee_entry_id) REFERENCES public.ledger_entries(id);

ALTER TABLE ONLY public.overdue_accounts
    ADD CONSTRAINT overdue_accounts_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.draft_signs
    ADD CONSTRAINT draft_signs_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

CREATE VIEW public.tariff_list WITH (security_invoker='true') AS
 SELECT id,
    code,
    name,
    currency,
    ( SELECT (COALESCE(sum(k.number), (0)::numeric))::bigint AS "coalesce"
           FROM public.supply_totals k
          WHERE ((k.kind = 'tariff'::text) AND (k.name = (t.id)::text))) AS meters,
    ( SELECT b.period_end
           FROM public.bills b
          WHERE (b.id = private.last_bill_with(t.id))) AS billed_until,
    ( SELECT jsonb_agg(v.effective_from ORDER BY v.effective_from) AS jsonb_agg
           FROM private.versions_in_force(t.id) v(id, tariff_id, effective_from, definition, created_at, replaces_id, correction_reason)) AS begins
   FROM public.tariffs t;

COMMENT ON COLUMN public.tariff_list.meters IS 'How many agreements that go on are on it, by what was agreed on last.';

COMMENT ON COLUMN public.tariff_list.billed_until IS 'The end of the last bill made with it, draft or issued: a new version begins then or later. Null without bills.';

COMMENT ON COLUMN public.tariff_list.begins IS 'The dates from which its versions hold, in order.';

GRANT SELECT,INSERT,REFERENCES,DELETE,TRUNCATE,MAINTAIN,UPDATE ON TABLE public.tariff_list TO service_role;

CREATE VIEW public.account_list WITH (security_invoker='true') AS
 SELECT c.id,
    c.account_no,
    c.name,
    c.address,
    c.email,
    c.phone,
    c.language,
    c.currency,
    COALESCE(a.balance_minor, (0)::bigint) AS balance_minor,
    COALESCE((- d.balance_minor), (0)::bigint) AS deposit_minor,
    COALESCE(u.bills, (0)::bigint) AS open_bills,
    (COALESCE(u.overdue_minor, (0)::numeric))::bigint AS overdue_minor,
    lower(concat_ws(' '::text, c.account_no, c.name, c.address, c.phone)) AS search,
    c.tax_number
   FROM (((public.customers c
     LEFT JOIN public.accounts a ON (((a.customer_id = c.id) AND (a.book = 'account'::text) AND (a.currency = c.currency))))
     LEFT JOIN public.accounts d ON (((d.customer_id = c.id) AND (d.book = 'deposit'::text) AND (d.currency = c.currency))))
     LEFT JOIN LATERAL ( SELECT count(*) AS bills,
            sum((b.total_minor - b.amount_paid_minor)) FILTER (WHERE (b.overdue_since IS NOT NULL)) AS overdue_minor
           FROM public.bills b
          WHERE ((b.customer_id = c.id) AND (b.status = 'issued'::text) AND (b.amount_paid_minor < b.total_minor))) u ON (true));

COMMENT ON VIEW public.account_list IS 'Customers with what they owe (below 0: are in credit) and the deposit that is held, in the account''s currency.';

GRANT SELECT ON TABLE public.account_list TO service_role;

CREATE VIEW public.allocation_list WITH (security_invoker='true') AS
 SELECT a.credit_entry_id,
    a.debit_entry_id,
    (sum(a.amount_minor))::bigint AS amount_minor,
    max(a.created_at) AS allocated_at,
    c.kind AS credit_kind,
    c.payment_id,
    c.customer_id,
    c.currency,
    d.kind AS debit_kind,
    d.bill_id,
    b.number AS bill_number,
    max(a.id) AS allocation_no
   FROM (((public.allocations a
     JOIN public.ledger_entries c ON ((c.id = a.credit_entry_id)))
     JOIN public.ledger_entries d ON ((d.id = a.debit_entry_id)))
     LEFT JOIN public.bills b ON ((b.id = d.bill_id)))
  GROUP BY a.credit_entry_id, a.debit_entry_id, c.kind, c.payment_id, c.customer_id, c.currency, d.kind, d.bill_id, b.number
 HAVING (sum(a.amount_minor) > (0)::numeric);

COMMENT ON VIEW public.allocation_list IS 'Which credit pays which debit now, what was taken back left out.';

GRANT SELECT ON TABLE public.allocation_list TO service_role;

CREATE VIEW public.draft_list WITH (security_invoker='true') AS
 SELECT id,
    meter_id,
    meter_serial,
    customer_id,
    account_no,
    customer_name,
    tariff_code,
    period_start,
    period_end,
    consumption_wh,
    currency,
    subtotal_minor,
    tax_minor,
    total_minor,
    created_at,
    estimated,
    tariff_changes,
    opinion_differs,
    past_use,
    outlier,
    search,
    held_because,
    of_last_run
   FROM ( SELECT b.id,
            b.meter_id,
            m.serial AS meter_serial,
            b.customer_id,
            c.account_no,
            c.name AS customer_name,
            t.code AS tariff_code,
            b.period_start,
            b.period_end,
            b.consumption_wh,
            b.currency,
            b.subtotal_minor,
            b.tax_minor,
            b.total_minor,
            b.created_at,
            b.held_because,
            s.outlier,
            (('estimated'::text = opening.source) OR ('estimated'::text = closing.source)) AS estimated,
            ((b.lines @> '[[{"part": {}}]]'::jsonb) OR (b.lines @> '[{"part": {}}]'::jsonb)) AS tariff_changes,
            COALESCE(((b.second_opinion ->> 'agrees'::text) = 'false'::text), false) AS opinion_differs,
            s.past_use,
            lower(concat_ws(' '::text, c.account_no, c.name, m.serial)) AS search,
            COALESCE(((b.created_at >= r.begun_at) AND (b.period_end <= r.scheduled_on)), false) AS of_last_run
           FROM ((((((((public.bills b
             JOIN public.draft_signs s ON ((s.bill_id = b.id)))
             JOIN public.meters m ON ((m.id = b.meter_id)))
             JOIN public.customers c ON ((c.id = b.customer_id)))
             JOIN public.tariff_versions v ON ((v.id = b.tariff_version_id)))
             JOIN public.tariffs t ON ((t.id = v.tariff_id)))
             JOIN public.readings opening ON ((opening.id = b.opening_reading_id)))
             JOIN public.readings closing ON ((closing.id = b.closing_reading_id)))
             LEFT JOIN private.last_bill_run_of() r(scheduled_on, begun_at) ON (true))
          WHERE (b.status = 'draft'::text)) d;

COMMENT ON VIEW public.draft_list IS 'Bills that wait to be issued, with what tells an unusual one from the others.';

COMMENT ON COLUMN public.draft_list.past_use IS 'Of the last 12 issued bills of the meter: how many there are, and lower quartile, median and upper quartile of their whole Wh a day.';

COMMENT ON COLUMN public.draft_list.of_last_run IS 'Whether it was made since the last bill run began and ends by that run''s date.';

GRANT SELECT ON TABLE public.draft_list TO service_role;

CREATE VIEW private.supply_counted WITH (security_invoker='true') AS
 SELECT 'billing_day'::text AS kind,
    (a.billing_day)::text AS name,
    count(*) AS number
   FROM public.service_agreements a
  WHERE (a.ends_on IS NULL)
  GROUP BY (a.billing_day)::text
UNION ALL
 SELECT 'tariff'::text AS kind,
    (t.tariff_id)::text AS name,
    count(*) AS number
   FROM ( SELECT DISTINCT ON (x.agreement_id) x.tariff_id
           FROM (public.agreement_tariffs x
             JOIN public.service_agreements a ON (((a.id = x.agreement_id) AND (a.ends_on IS NULL))))
          ORDER BY x.agreement_id, x.starts_on DESC) t
  GROUP BY (t.tariff_id)::text
UNION ALL
 SELECT 'route'::text AS kind,
    s.route AS name,
    count(*) AS number
   FROM public.service_points s
  WHERE (s.route <> ''::text)
  GROUP BY s.route;

COMMENT ON VIEW private.supply_counted IS 'What supply_totals comes to, counted.';

GRANT SELECT ON TABLE private.supply_counted TO service_role;

CREATE VIEW private.bill_numbers_counted WITH (security_invoker='true') AS
 SELECT DISTINCT (date_trunc('month'::text, ((period_end - 1))::timestamp with time zone))::date AS ended_in,
    (number / 4096) AS block
   FROM public.bills b
  WHERE (number IS NOT NULL);

COMMENT ON VIEW private.bill_numbers_counted IS 'What bill_number_blocks has to have, from all bills.';

GRANT SELECT ON TABLE private.bill_numbers_counted TO service_role;

CREATE FUNCTION private.post_approved_bills() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bills uuid[] := array(
        select n.id from new_rows n join old_rows o on o.id = n.id where n.status = 'issued' and o.status = 'draft');
begin
    if v_bills <> '{}' then
        perform private.post_bills(v_bills);
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.post_approved_bills() FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_approved_bills() TO service_role;

CREATE FUNCTION private.pay_from_credit(p_debit_id uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.allocate((
        with d as (select * from public.open_items where entry_id = p_debit_id),
        c as (
            select o.entry_id, -o.open_minor as amount,
                   sum(-o.open_minor) over (order by o.order_on, o.entry_no) + o.open_minor as before
            from public.open_items o join d using (customer_id, book, currency) where o.open_minor < 0
        )
        select jsonb_agg(jsonb_build_object('credit', c.entry_id, 'debit', d.entry_id,
                                            'amount', least(c.amount, d.open_minor - c.before)) order by c.before)
        from c cross join d where c.before < d.open_minor));
end $$;

COMMENT ON FUNCTION private.pay_from_credit(p_debit_id uuid) IS 'Lets the open credits of an account pay one debit, the oldest first.';

REVOKE ALL ON FUNCTION private.pay_from_credit(p_debit_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.pay_from_credit(p_debit_id uuid) TO service_role;

CREATE FUNCTION private.post_new_bills() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bills private.new_entry[] := array(
        select row(null, n.customer_id, null, n.currency, 'bill', n.total_minor, n.id, null, null, null,
                   n.issued_on, n.period_end, null)::private.new_entry
        from new_rows n where n.status = 'issued' order by n.issued_at, n.number);
begin
    if v_bills <> '{}' then
        perform private.post_bill_rows(v_bills);
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.post_new_bills() FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_new_bills() TO service_role;

CREATE FUNCTION private.post_bills(p_bills uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
begin
    perform private.post_bill_rows(array(
        select row(null, b.customer_id, null, b.currency, 'bill', b.total_minor, b.id, null, null, null,
                   b.issued_on, b.period_end, null)::private.new_entry
        from unnest(p_bills) x join public.bills b on b.id = x
        order by b.issued_at, b.number));
end $$;

REVOKE ALL ON FUNCTION private.post_bills(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_bills(p_bills uuid[]) TO service_role;

CREATE FUNCTION private.open_credit(p_customer_id uuid, p_book text, p_currency text) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(sum(-open_minor), 0)::bigint from public.open_items
    where customer_id = p_customer_id and book = p_book and currency = p_currency and open_minor < 0
$$;

REVOKE ALL ON FUNCTION private.open_credit(p_customer_id uuid, p_book text, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.open_credit(p_customer_id uuid, p_book text, p_currency text) TO service_role;

CREATE FUNCTION private.open_account() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.customers c set currency = n.currency
    from new_rows n where c.id = n.customer_id and c.currency is null;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.open_account() FROM PUBLIC;
GRANT ALL ON FUNCTION private.open_account() TO service_role;

CREATE FUNCTION private.lock_customers(p_customers uuid[]) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    select count(*) from (
        select 1 from public.customers where id = any (p_customers) order by id for no key update) locked
$$;

COMMENT ON FUNCTION private.lock_customers(p_customers uuid[]) IS 'One at a time changes a customer''s money; always after meters, before bills and the counter.';

REVOKE ALL ON FUNCTION private.lock_customers(p_customers uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.lock_customers(p_customers uuid[]) TO service_role;

CREATE FUNCTION private.open_from() RETURNS date
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce((max(month) + interval '1 month')::date, '-infinity') from public.month_closings
$$;

COMMENT ON FUNCTION private.open_from() IS 'The first local date that entries may still be dated.';

REVOKE ALL ON FUNCTION private.open_from() FROM PUBLIC;
GRANT ALL ON FUNCTION private.open_from() TO service_role;

CREATE FUNCTION private.check_ledger_chain() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_open_from date := private.open_from();
begin
    if exists (
        select 1 from new_rows n
        left join public.ledger_entries e on e.customer_id = n.customer_id and e.book = n.book
            and e.currency = n.currency and e.entry_no = n.entry_no - 1
        where n.balance_minor <> n.amount_minor + coalesce(e.balance_minor, 0) or (n.entry_no > 1 and e.id is null)
           or n.on_date < v_open_from
    ) then
        raise exception using errcode = 'EB005', message = 'A ledger entry must continue the balance before it, in an open month.';
    end if;
    if exists (
        select 1 from new_rows n
        left join public.accounts a on a.customer_id = n.customer_id and a.book = n.book and a.currency = n.currency
        left join public.bills b on b.id = n.bill_id
        where a.customer_id is null or (n.bill_id is not null and b.id is null)
    ) then
        raise exception using errcode = '23503', message = 'A ledger entry must be of an account, and of a bill, that is there.';
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.check_ledger_chain() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_ledger_chain() TO service_role;

CREATE FUNCTION public.settle_account(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    perform private.settle(array[(p ->> 'customer_id')::uuid]);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.settle_account(p jsonb) IS 'Lets open credits of a customer pay what is open, the oldest first: {actor, customer_id, owed?}.';

REVOKE ALL ON FUNCTION public.settle_account(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.settle_account(p jsonb) TO service_role;

CREATE FUNCTION private.take_back(p_entry_id uuid, p_amount bigint, p_from text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.allocate((
        with pairs as (
            select a.credit_entry_id as credit, a.debit_entry_id as debit, sum(a.amount_minor)::bigint as amount, max(a.id) as last
            from public.allocations a
            where p_entry_id in (a.credit_entry_id, a.debit_entry_id)
            group by 1, 2 having sum(a.amount_minor) > 0
        ), counted as (
            select p.*, sum(p.amount) over (order by p.last desc) - p.amount as before
            from pairs p
            join public.ledger_entries o on o.id = case when p.credit = p_entry_id then p.debit else p.credit end
            where p_from is null or o.kind = any (p_from)
        )
        select jsonb_agg(jsonb_build_object(
                   'credit', c.credit, 'debit', c.debit, 'amount', -least(c.amount, p_amount - c.before)) order by c.last desc)
        from counted c where c.before < p_amount));
end $$;

COMMENT ON FUNCTION private.take_back(p_entry_id uuid, p_amount bigint, p_from text[]) IS 'Takes back what an entry paid or was paid by, the newest first, up to an amount, from entries of some kinds or of all (null).';

REVOKE ALL ON FUNCTION private.take_back(p_entry_id uuid, p_amount bigint, p_from text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_back(p_entry_id uuid, p_amount bigint, p_from text[]) TO service_role;

CREATE FUNCTION public.account_statement(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    c public.customers;
    v_currency text;
begin
    select * into c from public.customers where id = (p ->> 'customer_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    v_currency := coalesce(p ->> 'currency', c.currency, '');
    return jsonb_build_object(
        'account_no', c.account_no, 'name', c.name, 'address', c.address, 'tax_number', c.tax_number, 'language', c.language,
        'currency', v_currency, 'one_statement', c.one_statement,
        'opening_minor', coalesce((select sum(e.amount_minor) from public.ledger_entries e
                                   where e.customer_id = c.id and e.book = 'account' and e.currency = v_currency
                                     and e.on_date < (p ->> 'start')::date), 0),
        'entries', (select coalesce(jsonb_agg(x.entry order by x.on_date, x.entry_no), '[]')
                    from (select l.on_date, l.entry_no, to_jsonb(l) as entry from public.ledger_list l
                          where l.customer_id = c.id and l.book = 'account' and l.currency = v_currency
                            and l.on_date >= (p ->> 'start')::date and l.on_date < (p ->> 'end')::date
                          order by l.on_date, l.entry_no limit 1000) x),
        'bills', (select coalesce(jsonb_agg(jsonb_build_object(
                             'bill_id', b.id, 'number', b.number, 'period_start', b.period_start, 'period_end', b.period_end,
                             'consumption_wh', b.consumption_wh, 'total_minor', b.total_minor,
                             'meter_serial', m.serial, 'place', coalesce(nullif(s.address, ''), s.code))
                             order by b.issued_on, b.number), '[]')
                  from (select * from public.bills y
                        where y.customer_id = c.id and y.status = 'issued' and y.currency = v_currency
                          and y.issued_on >= (p ->> 'start')::date and y.issued_on < (p ->> 'end')::date
                        order by y.issued_on, y.number limit 1000) b
                  join public.meters m on m.id = b.meter_id
                  join public.service_agreements a on a.id = b.agreement_id
                  join public.service_points s on s.id = a.service_point_id));
end $$;

COMMENT ON FUNCTION public.account_statement(p jsonb) IS 'What happened on a customer''s account in [start, end): {customer_id, start, end, currency?: else the account''s} -> {account_no, name, address, language, currency, one_statement, opening_minor: the balance before, entries and bills in order, 1,000 of each at most}.';

REVOKE ALL ON FUNCTION public.account_statement(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.account_statement(p jsonb) TO service_role;

CREATE FUNCTION public.check_ledger(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with problems as (
        select 'total' as what, w.subject, w.subject || ': ' || w.detail as detail from private.wrong_totals() w
        union all
        select 'balance', a.customer_id::text,
               format('%s %s: balance %s, sum of its entries %s', a.book, a.currency, a.balance_minor, coalesce(s.total, 0))
        from public.accounts a
        left join (select customer_id, book, currency, sum(amount_minor) as total, count(*) as number
                   from public.ledger_entries group by 1, 2, 3) s using (customer_id, book, currency)
        where a.balance_minor <> coalesce(s.total, 0) or a.entries <> coalesce(s.number, 0)
        union all
        select 'open', e.id::text, format('entry of %s: %s open, %s by its allocations', e.amount_minor, coalesce(o.open_minor, 0), e.amount_minor - coalesce(x.allocated, 0))
        from public.ledger_entries e
        left join public.open_items o on o.entry_id = e.id
        left join (select y.id, sum(y.amount) as allocated
                   from (select credit_entry_id as id, -amount_minor as amount from public.allocations
                         union all select debit_entry_id, amount_minor from public.allocations) y group by 1) x on x.id = e.id
        where coalesce(o.open_minor, 0) <> e.amount_minor - coalesce(x.allocated, 0)
        union all
        select 'bill', b.id::text, format('%s of %s: the ledger has %s and %s paid', b.amount_paid_minor, b.total_minor, coalesce(e.amount_minor, 0), coalesce(e.amount_minor - o.open_minor, 0))
        from public.bills b
        left join public.ledger_entries e on e.bill_id = b.id and e.kind = 'bill'
        left join public.open_items o on o.entry_id = e.id
        where (b.status = 'issued' and (e.id is null or e.amount_minor <> b.total_minor
                                        or coalesce(e.amount_minor - o.open_minor, 0) <> b.amount_paid_minor))
           or (b.status = 'draft' and e.id is not null)
           or (b.status = 'void' and (b.amount_paid_minor <> 0 or coalesce(o.open_minor, 0) <> 0))
        union all
        select 'payment', y.id::text, format('%s %s: not in the ledger as it is', y.amount_minor, y.currency)
        from public.payments y
        left join public.ledger_entries e on e.payment_id = y.id and e.kind = 'payment'
        where (y.customer_id is not null and (e.id is null or e.amount_minor <> -y.amount_minor or e.currency <> y.currency or e.book <> y.book))
           or (y.customer_id is null and e.id is not null)
        union all
        select 'return', r.id::text, format('%s %s: %s, and the ledger has another sum', r.amount_minor, r.currency, r.status)
        from public.payment_returns r
        left join (select return_id, sum(amount_minor) as total from public.ledger_entries where return_id is not null group by 1) e
            on e.return_id = r.id
        where r.customer_id is not null
          and coalesce(e.total, 0) <> case when r.status = 'done' then r.amount_minor else 0 end
    )
    select jsonb_build_object(
        'problems', coalesce((select jsonb_agg(to_jsonb(q)) from (select * from problems limit 100) q), '[]'),
        'entries', (select count(*) from public.ledger_entries),
        'balances', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.book), '[]')
                     from (select currency, book, sum(balance_minor)::bigint as balance_minor, count(*) as accounts
                           from public.accounts group by 1, 2) z))
$$;

COMMENT ON FUNCTION public.check_ledger(p jsonb) IS 'Adds everything up again: {} -> {problems: [{what, subject, detail}], at most 100; entries; balances by currency and book}.';

REVOKE ALL ON FUNCTION public.check_ledger(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.check_ledger(p jsonb) TO service_role;

CREATE FUNCTION private.keep_open_totals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_columns constant text := 'entry_id, book, currency, order_on, open_minor';
    v_many boolean;
begin
    execute 'with added as (
        insert into public.open_totals (currency, part, order_on, items, open_minor) '
        || private.sums_of_open('select 1 as sign, ' || v_columns || ' from new_rows'
            || case tg_op when 'UPDATE' then ' union all select -1, ' || v_columns || ' from old_rows' else '' end)
        || ' returning id)
        select bool_or(id % 256 = 0) from added' into v_many;
    if v_many then
        perform private.add_up_open_totals();
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.keep_open_totals() IS 'Adds new open items, and what changed of others, to open_totals; those of bills are in bill_totals.';

REVOKE ALL ON FUNCTION private.keep_open_totals() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_open_totals() TO service_role;

CREATE FUNCTION public.undo_adjustment(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    e public.ledger_entries;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into e from public.ledger_entries where id = (p ->> 'entry_id')::uuid and kind in ('credit', 'fee', 'opening_balance')
      and (book = 'account' or kind <> 'opening_balance');
    if not found then
        perform private.refuse('EB404', 'No such credit, fee or opening balance.');
    end if;
    perform private.lock_customers(array[e.customer_id]);
    if not exists (select 1 from public.ledger_entries where undoes_id = e.id) then
        perform private.undo_entry(e.id, e.kind || '_undone', (p ->> 'on_date')::date, p ->> 'reason');
        perform private.settle(array[e.customer_id]);
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.undo_adjustment(p jsonb) IS 'Takes a credit or a fee back, once: {actor, entry_id, reason, on_date, owed?}.';

REVOKE ALL ON FUNCTION public.undo_adjustment(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.undo_adjustment(p jsonb) TO service_role;

CREATE FUNCTION public.add_adjustment(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    c public.customers;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    select * into c from public.customers where id = (p ->> 'customer_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    elsif p ->> 'kind' not in ('credit', 'fee') or (p ->> 'amount_minor')::bigint <= 0 then
        perform private.refuse('EB400', 'A credit or a fee has an amount above 0.');
    elsif c.currency <> p ->> 'currency' then
        perform private.refuse('EB005', format('The account is in %s.', c.currency));
    elsif not exists (select 1 from public.ledger_entries where id = (p ->> 'id')::uuid) then
        perform private.post_entries(jsonb_build_array(jsonb_build_object(
            'id', p ->> 'id', 'customer_id', c.id, 'currency', p ->> 'currency', 'kind', p ->> 'kind',
            'amount_minor', case p ->> 'kind' when 'credit' then -1 else 1 end * (p ->> 'amount_minor')::bigint,
            'on_date', p ->> 'on_date', 'note', p ->> 'note')));
        perform private.settle(array[c.id]);
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.add_adjustment(p jsonb) IS 'A credit given or a fee charged: {actor, id, customer_id, kind: credit|fee, amount_minor (above 0), currency, note, on_date, owed?}.';

REVOKE ALL ON FUNCTION public.add_adjustment(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_adjustment(p jsonb) TO service_role;

CREATE FUNCTION public.allocate_credit(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_credit public.open_items;
    v_debit public.open_items;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into v_credit from public.open_items where entry_id = (p ->> 'entry_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such entry.');
    end if;
    perform private.lock_customers(array[v_credit.customer_id]);
    if p ->> 'bill_id' is null then
        perform private.take_back(v_credit.entry_id, 9000000000000000000, array['bill', 'fee', 'opening_balance']);
        return '{}'::jsonb;
    end if;
    select * into v_credit from public.open_items where entry_id = v_credit.entry_id;
    select o.* into v_debit from public.open_items o join public.ledger_entries e on e.id = o.entry_id
    where e.bill_id = (p ->> 'bill_id')::uuid and e.kind = 'bill'
      and (o.customer_id, o.book, o.currency) = (v_credit.customer_id, v_credit.book, v_credit.currency);
    if not found or v_debit.open_minor <= 0 then
        perform private.refuse('EB005', 'Nothing is open of that bill on this account.');
    elsif v_credit.open_minor >= 0 then
        perform private.refuse('EB005', 'Nothing is left of that credit.');
    end if;
    perform private.allocate(jsonb_build_array(jsonb_build_object(
        'credit', v_credit.entry_id, 'debit', v_debit.entry_id, 'amount', least(-v_credit.open_minor, v_debit.open_minor))));
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.allocate_credit(p jsonb) IS 'Lets what is left of a credit pay a bill, or without a bill takes back what it paid, which leaves it unapplied: {actor, entry_id, bill_id?, owed?}.';

REVOKE ALL ON FUNCTION public.allocate_credit(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.allocate_credit(p jsonb) TO service_role;

CREATE FUNCTION private.undo_entry(p_entry_id uuid, p_kind text, p_on date, p_note text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    e public.ledger_entries;
    v_id uuid := private.ordered_id();
begin
    select * into e from public.ledger_entries where id = p_entry_id;
    perform private.take_back(e.id, 9000000000000000000, null);
    perform private.post_entries(jsonb_build_array(jsonb_build_object(
        'id', v_id, 'customer_id', e.customer_id, 'book', e.book, 'currency', e.currency, 'kind', p_kind,
        'amount_minor', -e.amount_minor, 'bill_id', e.bill_id, 'payment_id', e.payment_id, 'return_id', e.return_id,
        'undoes_id', e.id, 'on_date', p_on, 'note', p_note)));
    if e.amount_minor <> 0 then
        perform private.allocate(jsonb_build_array(jsonb_build_object(
            'credit', case when e.amount_minor < 0 then e.id else v_id end,
            'debit', case when e.amount_minor < 0 then v_id else e.id end,
            'amount', abs(e.amount_minor))));
    end if;
end $$;

COMMENT ON FUNCTION private.undo_entry(p_entry_id uuid, p_kind text, p_on date, p_note text) IS 'Undoes an entry by another of the opposite amount; what it paid or was paid by is open again.';

REVOKE ALL ON FUNCTION private.undo_entry(p_entry_id uuid, p_kind text, p_on date, p_note text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.undo_entry(p_entry_id uuid, p_kind text, p_on date, p_note text) TO service_role;

CREATE FUNCTION private.pay_from_credit_of(p_bills uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_customers uuid[] := array(
        select distinct o.customer_id from public.bills b
        join public.open_items o on o.customer_id = b.customer_id and o.book = 'account' and o.currency = b.currency
        where b.id = any (p_bills) and o.open_minor < 0
          -- Credit that is about to go back pays nothing.
          and not exists (select 1 from public.payment_returns r where r.customer_id = b.customer_id and r.status = 'pending')
        order by 1);
begin
    if v_customers <> '{}' then
        perform private.lock_customers(v_customers);
        perform private.settle(v_customers);
    end if;
    perform 1 from public.bills b where b.id = any (p_bills) order by b.id for update;
    return private.dunned_of(p_bills);
end $$;

COMMENT ON FUNCTION private.pay_from_credit_of(p_bills uuid[]) IS 'Before anybody is pressed, what is open on the account as credit pays its bills; those of the bills that are still open. An account at nothing is never dunned.';

REVOKE ALL ON FUNCTION private.pay_from_credit_of(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.pay_from_credit_of(p_bills uuid[]) TO service_role;

CREATE FUNCTION private.allocate(p_pairs jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
    v_bills uuid[];
    v_amounts bigint[];
begin
    if jsonb_array_length(coalesce(p_pairs, '[]')) = 0 then
        return;
    end if;
    -- Each side's check keeps what is open between nothing and the whole entry.
    with pairs as materialized (
        select * from rows from (jsonb_to_recordset(p_pairs) as (credit uuid, debit uuid, amount bigint)) with ordinality
            as p(credit, debit, amount, place)
    ), entries as materialized (
        select e.id, e.customer_id, e.book, e.currency, e.kind, e.bill_id
        from public.ledger_entries e
        where e.id = any (array(select p.credit from pairs p union select p.debit from pairs p))
    ), made as (
        insert into public.allocations (credit_entry_id, debit_entry_id, amount_minor, actor)
        select c.id, d.id, p.amount, current_setting('billing.actor')
        from pairs p
        join entries c on c.id = p.credit
        join entries d on d.id = p.debit and (d.customer_id, d.book, d.currency) = (c.customer_id, c.book, c.currency)
        order by p.place
    ), moved as (
        update public.open_items o set open_minor = o.open_minor + s.amount
        from (select s.entry_id, sum(s.amount)::bigint as amount
              from pairs p cross join lateral (values (p.credit, p.amount), (p.debit, -p.amount)) s(entry_id, amount)
              group by 1) s
        where o.entry_id = s.entry_id and o.entry_id = any (array(select e.id from entries e))
    )
    -- What a bill's void gives back is no payment of it.
    select array_agg(y.bill_id), array_agg(y.amount) into v_bills, v_amounts
    from (select s.bill_id, sum(s.amount)::bigint as amount
          from pairs p
          join entries c on c.id = p.credit
          join entries d on d.id = p.debit
          cross join lateral (values (c.kind, c.bill_id, -p.amount, d.kind), (d.kind, d.bill_id, p.amount, c.kind))
              s(kind, bill_id, amount, other)
          where s.kind = 'bill' and s.other <> 'bill_void'
          group by 1 having sum(s.amount) <> 0) y;
    if v_bills is not null then
        perform 1 from public.bills where id = any (v_bills) order by id for update;
        update public.bills b set amount_paid_minor = b.amount_paid_minor + x.amount
        from unnest(v_bills, v_amounts) x(id, amount)
        where b.id = x.id and b.id = any (v_bills);
    end if;
end $$;

COMMENT ON FUNCTION private.allocate(p_pairs jsonb) IS 'Lets credits pay debits of the same account, or below 0 takes it back, and keeps the bills'' amounts paid: [{credit, debit, amount}].';

REVOKE ALL ON FUNCTION private.allocate(p_pairs jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.allocate(p_pairs jsonb) TO service_role;

CREATE FUNCTION private.settle(p_customers uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
    if not exists (select 1 from public.open_items o where o.customer_id = any (p_customers) and o.open_minor < 0) then
        return;
    end if;
    perform private.allocate((
        with c as (
            select o.entry_id, o.customer_id, o.book, o.currency, sum(-o.open_minor) over w as upto, -o.open_minor as amount
            from public.open_items o where o.customer_id = any (p_customers) and o.open_minor < 0
            window w as (partition by o.customer_id, o.book, o.currency order by o.order_on, o.entry_no)
        ), d as (
            select o.entry_id, o.customer_id, o.book, o.currency, sum(o.open_minor) over w as upto, o.open_minor as amount
            from public.open_items o where o.customer_id = any (p_customers) and o.open_minor > 0
            window w as (partition by o.customer_id, o.book, o.currency order by o.order_on, o.entry_no)
        )
        select jsonb_agg(jsonb_build_object(
                   'credit', c.entry_id, 'debit', d.entry_id,
                   'amount', least(c.upto, d.upto) - greatest(c.upto - c.amount, d.upto - d.amount))
                   order by least(c.upto, d.upto))
        from c join d using (customer_id, book, currency)
        where least(c.upto, d.upto) > greatest(c.upto - c.amount, d.upto - d.amount)));
end $$;

COMMENT ON FUNCTION private.settle(p_customers uuid[]) IS 'Lets what is open of credits pay what is open of debits, the oldest of each first.';

REVOKE ALL ON FUNCTION private.settle(p_customers uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.settle(p_customers uuid[]) TO service_role;

CREATE FUNCTION private.keep_bill_number_blocks() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.bill_number_blocks (ended_in, block)
    select x.ended_in, x.block
    from (select distinct date_trunc('month', n.period_end - 1)::date as ended_in, n.number / 4096 as block
          from new_rows n where n.number is not null) x
    where not exists (select 1 from public.bill_number_blocks k where k.ended_in = x.ended_in and k.block = x.block)
    order by 1, 2
    on conflict do nothing;
    return null;
end $$;

COMMENT ON FUNCTION private.keep_bill_number_blocks() IS 'Notes in which blocks of numbers new bills are, and drafts that were numbered.';

REVOKE ALL ON FUNCTION private.keep_bill_number_blocks() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_bill_number_blocks() TO service_role;

CREATE FUNCTION private.make_counts() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.make_counts_of_supply();
    insert into public.bill_number_blocks (ended_in, block) select c.ended_in, c.block from private.bill_numbers_counted c
    on conflict do nothing;
end $$;

COMMENT ON FUNCTION private.make_counts() IS 'Counts all agreements and places, compares all drafts and looks where bills are numbered: where they came without their triggers. Nobody changes them meanwhile.';

REVOKE ALL ON FUNCTION private.make_counts() FROM PUBLIC;

CREATE FUNCTION private.number_blocks_of(p jsonb) RETURNS TABLE(first_no bigint, last_no bigint)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select k.block * 4096, k.block * 4096 + 4095 from public.bill_number_blocks k
    where k.ended_in >= date_trunc('month', (p ->> 'ended_after')::date) and k.ended_in < (p ->> 'ended_by')::date
    group by k.block
    union all
    -- Drafts have no number, and come after all that have one.
    select 9223372036854775807, 9223372036854775807
$$;

COMMENT ON FUNCTION private.number_blocks_of(p jsonb) IS 'From which number to which the bills of some days lie, block by block: {ended_after, ended_by} as public.list_bills takes them.';

REVOKE ALL ON FUNCTION private.number_blocks_of(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.number_blocks_of(p jsonb) TO service_role;

CREATE FUNCTION public.import_balances(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_errors jsonb;
    v_customers uuid[];
    v_added integer := 0;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    v_customers := array(
        select c.id from public.customers c
        where c.account_no = any (array(select x ->> 'account_no' from jsonb_array_elements(p -> 'rows') x)) order by c.id);
    perform private.lock_customers(v_customers);
    select jsonb_agg(jsonb_build_object('row', q."row", 'column', q.problem[1], 'message', q.problem[2]) order by q."row")
    into v_errors
    from (
        select x."row", case
            when c.id is null then array['account_no', format('No customer has the account number %s.', x.account_no)]
            when c.currency <> x.currency then array['currency', format('Account %s is in %s, not in %s.', x.account_no, c.currency, x.currency)]
            when e.id is not null and (e.amount_minor, o.order_on) is distinct from (x.amount_minor, x.as_of) then array[case x.book when 'deposit' then 'deposit' else 'balance' end, format(
                'Account %s has an opening balance with this reference already, as of %s and of another amount or date. Take that one back on the customer''s page, and give this row another reference.',
                x.account_no, o.order_on)]
            end as problem
        from jsonb_to_recordset(p -> 'rows') as x("row" integer, id uuid, account_no text, book text, currency text, amount_minor bigint, as_of date)
        left join public.customers c on c.account_no = x.account_no
        left join public.ledger_entries e on e.id = x.id
        left join public.open_items o on o.entry_id = x.id) q
    where q.problem is not null;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        select count(*) into v_added
        from jsonb_to_recordset(p -> 'rows') as x(id uuid, amount_minor bigint)
        where x.amount_minor <> 0 and not exists (select 1 from public.ledger_entries e where e.id = x.id);
        perform private.post_entries((
            select jsonb_agg(jsonb_build_object(
                'id', x.id, 'customer_id', c.id, 'book', coalesce(x.book, 'account'), 'currency', x.currency, 'kind', 'opening_balance', 'amount_minor', x.amount_minor,
                'on_date', x.as_of, 'order_on', x.as_of, 'note', x.note) order by x.as_of, x."row")
            from jsonb_to_recordset(p -> 'rows') as x(
                "row" integer, id uuid, account_no text, book text, currency text, amount_minor bigint, as_of date, note text)
            join public.customers c on c.account_no = x.account_no
            where x.amount_minor <> 0 and not exists (select 1 from public.ledger_entries e where e.id = x.id))) where v_added > 0;
        perform private.settle(v_customers) where v_added > 0;
    end if;
    return private.import_answer(v_errors, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;

COMMENT ON FUNCTION public.import_balances(p jsonb) IS 'Enters what was owed, in credit or held as a deposit before this system, and lets credit pay what is open: {actor, dry_run, outbox?, rows: [{row, id, account_no, book?: account|deposit, currency, amount_minor: above 0 is owed, as_of, note}]}. A repeat changes nothing; an amount of 0 is no entry.';

REVOKE ALL ON FUNCTION public.import_balances(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_balances(p jsonb) TO service_role;

CREATE FUNCTION public.account_currencies(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
    select jsonb_build_object('found', coalesce(jsonb_object_agg(c.account_no, c.currency), '{}'))
    from public.customers c
    where c.account_no = any (array(select jsonb_array_elements_text(p -> 'account_nos'))) and c.currency is not null
$$;

COMMENT ON FUNCTION public.account_currencies(p jsonb) IS 'The currencies of accounts that have one: {account_nos: [...]} gives {found: {account_no: currency}}.';

REVOKE ALL ON FUNCTION public.account_currencies(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.account_currencies(p jsonb) TO service_role;

CREATE FUNCTION private.check_accounts() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
begin
    if exists (
        select 1 from new_rows a
        left join public.ledger_entries e on e.customer_id = a.customer_id and e.book = a.book
            and e.currency = a.currency and e.entry_no = a.entries
        left join public.ledger_entries l on l.customer_id = a.customer_id and l.book = a.book
            and l.currency = a.currency and l.entry_no = a.entries + 1
        where a.balance_minor <> coalesce(e.balance_minor, 0) or (a.entries = 0) <> (e.id is null) or l.id is not null
    ) then
        raise exception using errcode = 'EB005', message = 'An account''s balance must be that of its last ledger entry.';
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.check_accounts() IS 'An account is as its last ledger entry says: both are written by one statement.';

REVOKE ALL ON FUNCTION private.check_accounts() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_accounts() TO service_role;

CREATE FUNCTION private.post_entries(p_entries jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.post_rows(array(select e from jsonb_populate_recordset(null::private.new_entry, p_entries) e));
end $$;

COMMENT ON FUNCTION private.post_entries(p_entries jsonb) IS 'Adds entries to the ledger, in order: [{id?, customer_id, book?, currency, kind, amount_minor, bill_id?, payment_id?, return_id?, undoes_id?, on_date, order_on?, note?}]. The caller has locked the customers.';

REVOKE ALL ON FUNCTION private.post_entries(p_entries jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_entries(p_entries jsonb) TO service_role;

CREATE FUNCTION private.sums_of_entries(p_rows text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select format('
        select x.currency, x.book, x.month, x.kind, x.method, sum(x.amount_minor)::bigint as amount_minor, count(*) as number
        from (select e.currency, e.book, date_trunc(''month'', e.on_date)::date as month, e.kind, e.amount_minor,
                     coalesce(r.method, y.method, '''') as method
              from %s e
              left join public.payments y on y.id = e.payment_id
              left join public.payment_returns r on r.id = e.return_id) x
        group by 1, 2, 3, 4, 5', p_rows)
$$;

COMMENT ON FUNCTION private.sums_of_entries(p_rows text) IS 'The statement that adds rows of ledger_entries up as ledger_totals has them.';

REVOKE ALL ON FUNCTION private.sums_of_entries(p_rows text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.sums_of_entries(p_rows text) TO service_role;

CREATE FUNCTION private.keep_ledger_totals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_many boolean;
begin
    execute 'with added as (
        insert into public.ledger_totals (currency, book, month, kind, method, amount_minor, number) '
        || private.sums_of_entries('new_rows') || ' returning id)
        select bool_or(id % 256 = 0) from added' into v_many;
    if v_many then
        perform private.add_up_totals();
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.keep_ledger_totals() IS 'Adds new entries to ledger_totals.';

REVOKE ALL ON FUNCTION private.keep_ledger_totals() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_ledger_totals() TO service_role;

CREATE FUNCTION private.sums_of_bills(p_rows text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select format('
        select x.currency, x.month, x.state, x.tariff_version_id, x.priced_by, x.ended_in, x.due_date, sum(x.sign)::bigint as bills,
               sum(x.sign * x.total_minor)::bigint as total_minor, sum(x.sign * x.open_minor)::bigint as open_minor,
               sum(x.sign * x.consumption_wh)::bigint as consumption_wh, sum(x.sign * x.subtotal_minor)::bigint as subtotal_minor,
               sum(x.sign * x.tax_minor)::bigint as tax_minor, sum(x.sign * x.amount_paid_minor)::bigint as paid_minor
        from (select b.sign, b.currency, b.tariff_version_id, coalesce(b.priced_by, ''{}'') as priced_by, b.consumption_wh, b.subtotal_minor, b.tax_minor, b.total_minor,
                     b.amount_paid_minor, s.state, date_trunc(''month'', b.period_end - 1)::date as ended_in,
                     case s.state when ''draft'' then ''infinity'' else date_trunc(''month'', b.issued_on)::date end as month,
                     case when s.state in (''open'', ''overdue'') then b.due_date else ''infinity'' end as due_date,
                     case when s.state in (''open'', ''overdue'') then b.total_minor - b.amount_paid_minor else 0 end as open_minor
              from (%s) b
              cross join lateral (select case
                  when b.status = ''draft'' then ''draft''
                  when b.amount_paid_minor >= b.total_minor then ''paid''
                  when b.overdue_since is null then ''open'' else ''overdue'' end as state) s
              where b.status <> ''void'') x
        group by 1, 2, 3, 4, 5, 6, 7
        having sum(x.sign) <> 0 or sum(x.sign * x.total_minor) <> 0 or sum(x.sign * x.amount_paid_minor) <> 0
            or sum(x.sign * x.consumption_wh) <> 0 or sum(x.sign * x.tax_minor) <> 0', p_rows)
$$;

COMMENT ON FUNCTION private.sums_of_bills(p_rows text) IS 'The statement that adds rows of bills up as bill_totals has them; its rows have a sign besides, -1 for a bill as it was.';

REVOKE ALL ON FUNCTION private.sums_of_bills(p_rows text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.sums_of_bills(p_rows text) TO service_role;

CREATE FUNCTION private.add_up_totals() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- Who adds up beside takes other rows. Those of a statement that goes on are not seen, and stay.
    with parts as (
        select t.id from public.ledger_totals t
        join (select currency, book, month, kind, method from public.ledger_totals
              group by 1, 2, 3, 4, 5 having count(*) > 1) s using (currency, book, month, kind, method)
        for update of t skip locked
    ), gone as (
        delete from public.ledger_totals t using parts p where t.id = p.id returning t.*
    )
    insert into public.ledger_totals (currency, book, month, kind, method, amount_minor, number)
    select currency, book, month, kind, method, sum(amount_minor), sum(number) from gone group by 1, 2, 3, 4, 5;
    with parts as (
        select t.id from public.bill_totals t
        join (select currency, month, state, tariff_version_id, priced_by, ended_in, due_date from public.bill_totals
              group by 1, 2, 3, 4, 5, 6, 7 having count(*) > 1) s using (currency, month, state, tariff_version_id, priced_by, ended_in, due_date)
        for update of t skip locked
    ), gone as (
        delete from public.bill_totals t using parts p where t.id = p.id returning t.*
    )
    insert into public.bill_totals (currency, month, state, tariff_version_id, priced_by, ended_in, due_date, bills, total_minor, open_minor,
                                    consumption_wh, subtotal_minor, tax_minor, paid_minor)
    select * from (
        select currency, month, state, tariff_version_id, priced_by, ended_in, due_date, sum(bills) as bills, sum(total_minor) as total_minor,
               sum(open_minor), sum(consumption_wh) as consumption_wh, sum(subtotal_minor), sum(tax_minor), sum(paid_minor) as paid_minor
        from gone group by 1, 2, 3, 4, 5, 6, 7) x
    -- Nothing is open any more of what was due on most days.
    where bills <> 0 or total_minor <> 0 or consumption_wh <> 0 or paid_minor <> 0;
end $$;

COMMENT ON FUNCTION private.add_up_totals() IS 'Makes one row of the parts of each total; their sums stay as they are.';

REVOKE ALL ON FUNCTION private.add_up_totals() FROM PUBLIC;
GRANT ALL ON FUNCTION private.add_up_totals() TO service_role;

CREATE FUNCTION private.keep_bill_totals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_columns constant text := 'currency, status, total_minor, amount_paid_minor, overdue_since, issued_on, tariff_version_id, priced_by,'
        ' period_end, due_date, consumption_wh, subtotal_minor, tax_minor, customer_id';
    v_rows constant text := 'select 1 as sign, ' || v_columns || ' from new_rows'
        || case tg_op when 'UPDATE' then ' union all select -1, ' || v_columns || ' from old_rows' else '' end;
    v_many boolean;
    v_late boolean := false;
begin
    execute 'with added as (
        insert into public.bill_totals (currency, month, state, tariff_version_id, priced_by, ended_in, due_date, bills, total_minor, open_minor,
                                        consumption_wh, subtotal_minor, tax_minor, paid_minor) '
        || private.sums_of_bills(v_rows)
        || ' returning id)
        select bool_or(id % 256 = 0) from added' into v_many;
    if tg_op = 'UPDATE' then
        v_late := exists (select 1 from old_rows where overdue_since is not null);
    end if;
    -- Nothing of a bill run is late.
    if v_late or exists (select 1 from new_rows where overdue_since is not null) then
        execute 'insert into public.overdue_accounts as a (customer_id, currency, overdue_minor)
            select * from (' || private.late_of_bills(v_rows) || ') x order by 1, 2
            on conflict (customer_id, currency) do update set overdue_minor = a.overdue_minor + excluded.overdue_minor';
    end if;
    if v_many then
        perform private.add_up_totals();
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.keep_bill_totals() IS 'Adds new bills, and what changed of others, to bill_totals, and what is late of them to overdue_accounts.';

REVOKE ALL ON FUNCTION private.keep_bill_totals() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_bill_totals() TO service_role;

CREATE FUNCTION private.late_of_bills(p_rows text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select format('
        select b.customer_id, b.currency, sum(b.sign * (b.total_minor - b.amount_paid_minor))::bigint as overdue_minor
        from (%s) b
        where b.status = ''issued'' and b.overdue_since is not null and b.amount_paid_minor < b.total_minor
        group by 1, 2 having sum(b.sign * (b.total_minor - b.amount_paid_minor)) <> 0', p_rows)
$$;

COMMENT ON FUNCTION private.late_of_bills(p_rows text) IS 'The statement that adds rows of bills up as overdue_accounts has them; its rows have a sign besides, -1 for a bill as it was.';

REVOKE ALL ON FUNCTION private.late_of_bills(p_rows text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.late_of_bills(p_rows text) TO service_role;

CREATE FUNCTION private.bill_total_in_words(p_bills numeric, p_total numeric, p_open numeric, p_paid numeric, p_wh numeric, p_subtotal numeric, p_tax numeric) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select format('%s bills of %s (%s and %s tax) with %s open and %s paid, %s Wh', coalesce(p_bills, 0), coalesce(p_total, 0),
                  coalesce(p_subtotal, 0), coalesce(p_tax, 0), coalesce(p_open, 0), coalesce(p_paid, 0), coalesce(p_wh, 0))
$$;

COMMENT ON FUNCTION private.bill_total_in_words(p_bills numeric, p_total numeric, p_open numeric, p_paid numeric, p_wh numeric, p_subtotal numeric, p_tax numeric) IS 'What a total of bills says: the same words only for the same sums.';

REVOKE ALL ON FUNCTION private.bill_total_in_words(p_bills numeric, p_total numeric, p_open numeric, p_paid numeric, p_wh numeric, p_subtotal numeric, p_tax numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bill_total_in_words(p_bills numeric, p_total numeric, p_open numeric, p_paid numeric, p_wh numeric, p_subtotal numeric, p_tax numeric) TO service_role;

CREATE FUNCTION private.make_sums_of_bills() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    lock table public.bills, public.ledger_entries in share row exclusive mode;
    delete from public.ledger_totals;
    delete from public.bill_totals;
    delete from public.overdue_accounts;
    execute 'insert into public.ledger_totals (currency, book, month, kind, method, amount_minor, number) '
        || private.sums_of_entries('public.ledger_entries');
    execute 'insert into public.bill_totals (currency, month, state, tariff_version_id, priced_by, ended_in, due_date, bills, total_minor,
                                             open_minor, consumption_wh, subtotal_minor, tax_minor, paid_minor) '
        || private.sums_of_bills('select 1 as sign, b.* from public.bills b');
    execute 'insert into public.overdue_accounts (customer_id, currency, overdue_minor) '
        || private.late_of_bills('select 1 as sign, b.* from public.bills b');
end $$;

COMMENT ON FUNCTION private.make_sums_of_bills() IS 'Adds up all bills and entries: where they came without their triggers. Nobody posts meanwhile.';

REVOKE ALL ON FUNCTION private.make_sums_of_bills() FROM PUBLIC;

CREATE FUNCTION private.accounts_counted(p_owing boolean, p_to integer) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    return case when p_to = 0 then null
        when p_owing then (select count(*) from (select 1 from public.accounts a where a.book = 'account' and a.balance_minor > 0 limit p_to + 1) x)
        else (select count(*) from (select 1 from public.customers limit p_to + 1) x) end;
end $$;

COMMENT ON FUNCTION private.accounts_counted(p_owing boolean, p_to integer) IS 'How many customers there are, or owe something, counted so far and one more; null for a count to 0.';

REVOKE ALL ON FUNCTION private.accounts_counted(p_owing boolean, p_to integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.accounts_counted(p_owing boolean, p_to integer) TO service_role;

CREATE FUNCTION private.accounts_by_balance(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_down constant boolean := (p ->> 'descending')::boolean <> (p ->> 'backwards')::boolean;
    v_order constant text := case when v_down then 'desc' else 'asc' end;
    v_beyond constant text := case when v_down then '<' else '>' end;
    v_step constant integer := case when v_down then -1 else 1 end;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_owing constant boolean := coalesce((p ->> 'owing_only')::boolean, false);
    v_after jsonb := nullif(p -> 'after', 'null');
    -- Credits, those who owe nothing, those who owe.
    v_sign integer := coalesce(sign((v_after ->> 0)::bigint), -v_step);
    v_rows jsonb := '[]';
    v_found jsonb;
begin
    loop
        if v_sign = 0 and not v_owing then
            execute format($q$
                select coalesce(jsonb_agg(jsonb_build_array(0, x.id) order by x.id %1$s), '[]')
                from (select c.id from public.customers c
                      where ($1 is null or c.id %2$s ($1 ->> 1)::uuid) and not exists (
                          select 1 from public.accounts a where a.customer_id = c.id and a.book = 'account' and a.currency = c.currency and a.balance_minor <> 0)
                      order by c.id %1$s limit %3$s) x $q$, v_order, v_beyond, v_limit + 1) into v_found using v_after;
        elsif v_sign = 1 or v_sign = -1 and not v_owing then
            -- Sorted before their customers are looked up; an account in another currency than its customer's is left out then.
            execute format($q$
                select coalesce(jsonb_agg(jsonb_build_array(x.balance_minor, x.customer_id) order by x.balance_minor %1$s, x.customer_id %1$s), '[]')
                from (select a.balance_minor, a.customer_id
                      from (select y.customer_id, y.currency, y.balance_minor from public.accounts y
                            where y.book = 'account' and y.balance_minor %4$s 0
                              and ($1 is null or (y.balance_minor, y.customer_id) %2$s (($1 ->> 0)::bigint, ($1 ->> 1)::uuid))
                            order by y.balance_minor %1$s, y.customer_id %1$s limit %5$s) a
                      join public.customers c on c.id = a.customer_id and c.currency = a.currency
                      order by a.balance_minor %1$s, a.customer_id %1$s limit %3$s) x $q$,
                v_order, v_beyond, v_limit + 1, case v_sign when 1 then '>' else '<' end, 2 * v_limit + 100) into v_found using v_after;
        else
            v_found := '[]';
        end if;
        v_rows := v_rows || v_found;
        exit when jsonb_array_length(v_rows) > v_limit or v_sign = v_step;
        v_sign := v_sign + v_step;
        v_after := null;
    end loop;
    return jsonb_build_object(
        'keys', (select coalesce(jsonb_agg(r.key order by r.n * case when (p ->> 'backwards')::boolean then -1 else 1 end), '[]')
                 from jsonb_array_elements(v_rows) with ordinality as r (key, n) where r.n <= v_limit),
        'more', jsonb_array_length(v_rows) > v_limit, 'reached', null, 'total', private.accounts_counted(v_owing, (p ->> 'count_to')::integer));
end $_$;

COMMENT ON FUNCTION private.accounts_by_balance(p jsonb) IS 'A page of the customers by what they owe, all or those who owe: as private.page_by_key.';

REVOKE ALL ON FUNCTION private.accounts_by_balance(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.accounts_by_balance(p jsonb) TO service_role;

CREATE FUNCTION private.wrong_sums_of_bills() RETURNS TABLE(subject text, detail text)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    return query execute format('
        select concat_ws('' '', currency, book, month, kind, method),
               format(''%%s from %%s entries kept, they come to %%s from %%s'', coalesce(k.amount_minor, 0), coalesce(k.number, 0),
                      coalesce(s.amount_minor, 0), coalesce(s.number, 0))
        from (select currency, book, month, kind, method, sum(amount_minor) as amount_minor, sum(number) as number
              from public.ledger_totals group by 1, 2, 3, 4, 5) k
        full join (%s) s using (currency, book, month, kind, method)
        where coalesce(k.amount_minor, 0) <> coalesce(s.amount_minor, 0) or coalesce(k.number, 0) <> coalesce(s.number, 0)
        union all
        select concat_ws('' '', currency, month, ended_in, tariff_version_id, nullif(priced_by, ''{}''), due_date, state),
               format(''%%s kept, there are %%s'',
                      private.bill_total_in_words(k.bills, k.total_minor, k.open_minor, k.paid_minor, k.consumption_wh, k.subtotal_minor, k.tax_minor),
                      private.bill_total_in_words(s.bills, s.total_minor, s.open_minor, s.paid_minor, s.consumption_wh, s.subtotal_minor, s.tax_minor))
        from (select currency, month, state, tariff_version_id, priced_by, ended_in, due_date, sum(bills) as bills, sum(total_minor) as total_minor,
                     sum(open_minor) as open_minor, sum(consumption_wh) as consumption_wh, sum(subtotal_minor) as subtotal_minor,
                     sum(tax_minor) as tax_minor, sum(paid_minor) as paid_minor
              from public.bill_totals group by 1, 2, 3, 4, 5, 6, 7) k
        full join (%s) s using (currency, month, state, tariff_version_id, priced_by, ended_in, due_date)
        where private.bill_total_in_words(k.bills, k.total_minor, k.open_minor, k.paid_minor, k.consumption_wh, k.subtotal_minor, k.tax_minor)
            <> private.bill_total_in_words(s.bills, s.total_minor, s.open_minor, s.paid_minor, s.consumption_wh, s.subtotal_minor, s.tax_minor)
        union all
        select concat_ws('' '', currency, customer_id, ''late''),
               format(''%%s overdue kept, the bills come to %%s'', coalesce(k.overdue_minor, 0), coalesce(s.overdue_minor, 0))
        from public.overdue_accounts k
        full join (%s) s using (customer_id, currency)
        where coalesce(k.overdue_minor, 0) <> coalesce(s.overdue_minor, 0)',
        private.sums_of_entries('public.ledger_entries'),
        private.sums_of_bills('select 1 as sign, b.* from public.bills b'),
        private.late_of_bills('select 1 as sign, b.* from public.bills b'));
end $$;

COMMENT ON FUNCTION private.wrong_sums_of_bills() IS 'The sums that are not what bills and entries come to.';

REVOKE ALL ON FUNCTION private.wrong_sums_of_bills() FROM PUBLIC;
GRANT ALL ON FUNCTION private.wrong_sums_of_bills() TO service_role;

CREATE FUNCTION private.tariff_agreed_on(p_agreement uuid) RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select t.tariff_id from public.agreement_tariffs t where t.agreement_id = p_agreement order by t.starts_on desc limit 1
$$;

COMMENT ON FUNCTION private.tariff_agreed_on(p_agreement uuid) IS 'The tariff of an agreement that begins last.';

REVOKE ALL ON FUNCTION private.tariff_agreed_on(p_agreement uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.tariff_agreed_on(p_agreement uuid) TO service_role;

CREATE FUNCTION private.add_supply_totals(p_parts jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_many boolean;
begin
    with added as (
        insert into public.supply_totals (kind, name, number)
        select x.kind, x.name, sum(x.number) from jsonb_to_recordset(p_parts) as x (kind text, name text, number bigint)
        group by 1, 2 having sum(x.number) <> 0 returning id)
    select bool_or(id % 256 = 0) into v_many from added;
    if v_many then
        with parts as (
            select t.id from public.supply_totals t
            join (select kind, name from public.supply_totals group by 1, 2 having count(*) > 1) s using (kind, name)
            for update of t skip locked
        ), gone as (
            delete from public.supply_totals t using parts y where t.id = y.id returning t.*
        )
        insert into public.supply_totals (kind, name, number) select kind, name, sum(number) from gone group by 1, 2;
    end if;
end $$;

COMMENT ON FUNCTION private.add_supply_totals(p_parts jsonb) IS 'Adds parts to supply_totals: [{kind, name, number}].';

REVOKE ALL ON FUNCTION private.add_supply_totals(p_parts jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.add_supply_totals(p_parts jsonb) TO service_role;

CREATE FUNCTION private.keep_agreements_counted() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_rows text := '';
    v_parts jsonb;
begin
    if tg_op <> 'DELETE' then
        v_rows := 'select 1 as sign, n.* from new_rows n';
    end if;
    if tg_op <> 'INSERT' then
        v_rows := v_rows || case tg_op when 'UPDATE' then ' union all ' else '' end || 'select -1 as sign, o.* from old_rows o';
    end if;
    execute 'with r as materialized (' || v_rows || '),
        days as (select ''billing_day'' as kind, r.billing_day::text as name, sum(r.sign) as number from r where r.ends_on is null group by 2),
        -- The rows of its tariffs come after it, and go before it.
        changed as (select r.id, sum(r.sign) filter (where r.ends_on is null) as number from r group by 1 having count(*) = 2),
        tariffs as (select ''tariff'', private.tariff_agreed_on(c.id)::text, sum(c.number) from changed c where c.number <> 0 group by 2)
        select jsonb_agg(to_jsonb(x)) from (select * from days union all select * from tariffs) x
        where x.number <> 0 and x.name is not null' into v_parts;
    if v_parts is not null then
        perform private.add_supply_totals(v_parts);
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.keep_agreements_counted() IS 'Counts agreements by billing day, and by tariff where one ends or goes on.';

REVOKE ALL ON FUNCTION private.keep_agreements_counted() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_agreements_counted() TO service_role;

CREATE FUNCTION private.keep_draft_signs() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_drafts uuid[] := array(select n.id from new_rows n where n.status = 'draft');
    v_agreements uuid[] := '{}';
begin
    -- A bill that is issued or void from now on changes the past of the drafts after it; a new one is the last, unless it replaces another.
    if tg_op = 'UPDATE' then
        v_agreements := array(
            select x.agreement_id from (select n.id, n.agreement_id, n.status from new_rows n
                                        except select o.id, o.agreement_id, o.status from old_rows o) x);
        if v_agreements <> '{}' then
            delete from public.draft_signs s using new_rows n where s.bill_id = n.id and n.status <> 'draft';
        end if;
    else
        v_agreements := array(select n.agreement_id from new_rows n where n.status = 'issued' and n.replaces_id is not null);
    end if;
    if v_agreements <> '{}' then
        v_drafts := v_drafts || array(
            select b.id from unnest(v_agreements) a (id) join public.bills b on b.agreement_id = a.id and b.status <> 'void'
            where b.status = 'draft');
    end if;
    if v_drafts <> '{}' then
        insert into public.draft_signs (bill_id, past_use, outlier)
        select distinct on (d.bill_id) d.* from private.signs_of_drafts(v_drafts) d order by d.bill_id
        on conflict (bill_id) do update set past_use = excluded.past_use, outlier = excluded.outlier;
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.keep_draft_signs() IS 'Keeps draft_signs with new and changed drafts, and with what is issued or void before them.';

REVOKE ALL ON FUNCTION private.keep_draft_signs() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_draft_signs() TO service_role;

CREATE FUNCTION private.keep_tariffs_counted() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_new constant text := case tg_op when 'DELETE' then 'select * from old_rows where false' else 'select * from new_rows' end;
    v_old constant text := case tg_op when 'INSERT' then 'select * from new_rows where false' else 'select * from old_rows' end;
    v_parts jsonb;
begin
    -- What was agreed on last before, and is now.
    execute format('with n as materialized (%s), o as materialized (%s),
        agreements as (
            select x.agreement_id from (select agreement_id from n union select agreement_id from o) x
            join public.service_agreements a on a.id = x.agreement_id and a.ends_on is null)
        select jsonb_agg(to_jsonb(y)) from (
            select ''tariff'' as kind, z.tariff_id::text as name, sum(z.sign) as number
            from agreements g
            cross join lateral (
                select 1 as sign, private.tariff_agreed_on(g.agreement_id) as tariff_id
                union all
                (select -1, b.tariff_id
                 from (select t.starts_on, t.tariff_id from public.agreement_tariffs t
                       where t.agreement_id = g.agreement_id and not exists (select 1 from n where n.id = t.id)
                       union all select o.starts_on, o.tariff_id from o where o.agreement_id = g.agreement_id) b
                 order by b.starts_on desc limit 1)) z
            where z.tariff_id is not null group by 2 having sum(z.sign) <> 0) y', v_new, v_old) into v_parts;
    if v_parts is not null then
        perform private.add_supply_totals(v_parts);
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.keep_tariffs_counted() IS 'Counts agreements that go on by the tariff that was agreed on last.';

REVOKE ALL ON FUNCTION private.keep_tariffs_counted() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_tariffs_counted() TO service_role;

CREATE FUNCTION private.keep_places_counted() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_parts jsonb;
begin
    execute 'select jsonb_agg(to_jsonb(y)) from (
        select ''route'' as kind, x.route as name, sum(x.sign) as number
        from (select 1 as sign, n.route from new_rows n'
        || case tg_op when 'UPDATE' then ' union all select -1, o.route from old_rows o' else '' end
        || ') x where x.route <> '''' group by 2 having sum(x.sign) <> 0) y' into v_parts;
    if v_parts is not null then
        perform private.add_supply_totals(v_parts);
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.keep_places_counted() IS 'Counts places by reading route.';

REVOKE ALL ON FUNCTION private.keep_places_counted() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_places_counted() TO service_role;

CREATE FUNCTION private.signs_of_drafts(p_bills uuid[]) RETURNS TABLE(bill_id uuid, past_use bigint[], outlier boolean)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select b.id, u.past, private.is_outlier(
        u.past, b.consumption_wh, b.period_end - b.period_start, b.total_minor,
        'estimated' in (opening.source, closing.source) or b.lines @> '[[{"part": {}}]]' or b.lines @> '[{"part": {}}]'
        or coalesce(b.second_opinion ->> 'agrees' = 'false', false) or b.held_because is not null)
    from public.bills b
    join public.readings opening on opening.id = b.opening_reading_id
    join public.readings closing on closing.id = b.closing_reading_id
    cross join lateral (
        select array[z.number, coalesce(z.q[1], 0), coalesce(z.q[2], 0), coalesce(z.q[3], 0)] as past
        from (select count(*) as number,
                     percentile_disc(array[0.25, 0.5, 0.75]) within group (order by x.use) as q
              from (select y.consumption_wh / (y.period_end - y.period_start) as use from public.bills y
                    where y.agreement_id = b.agreement_id and y.status = 'issued' and y.period_end <= b.period_start
                    order by y.period_end desc limit 12) x) z) u
    where b.id = any (p_bills) and b.status = 'draft'
$$;

COMMENT ON FUNCTION private.signs_of_drafts(p_bills uuid[]) IS 'Of drafts what draft_signs keeps, worked out.';

REVOKE ALL ON FUNCTION private.signs_of_drafts(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.signs_of_drafts(p_bills uuid[]) TO service_role;

CREATE FUNCTION private.wrong_totals() RETURNS TABLE(subject text, detail text)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select w.subject, w.detail from private.wrong_sums() w
    union all
    select concat_ws(' ', kind, name), format('%s kept, there are %s', coalesce(k.number, 0), coalesce(c.number, 0))
    from (select kind, name, sum(number) as number from public.supply_totals group by 1, 2) k
    full join private.supply_counted c using (kind, name)
    where coalesce(k.number, 0) <> coalesce(c.number, 0)
    union all
    select concat_ws(' ', bill_id, 'draft'), format('%s %s kept, it is %s %s', k.past_use, k.outlier, d.past_use, d.outlier)
    from public.draft_signs k
    full join private.signs_of_drafts(array(select b.id from public.bills b where b.status = 'draft')) d using (bill_id)
    where (k.past_use, k.outlier) is distinct from (d.past_use, d.outlier)
$$;

COMMENT ON FUNCTION private.wrong_totals() IS 'What is kept and is not what bills, entries, agreements and places come to.';

REVOKE ALL ON FUNCTION private.wrong_totals() FROM PUBLIC;
GRANT ALL ON FUNCTION private.wrong_totals() TO service_role;

CREATE FUNCTION private.make_totals() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.make_sums();
    perform private.make_counts();
end $$;

COMMENT ON FUNCTION private.make_totals() IS 'Makes again all that is kept: where rows came without their triggers. Nobody posts meanwhile.';

REVOKE ALL ON FUNCTION private.make_totals() FROM PUBLIC;

CREATE FUNCTION private.make_counts_of_supply() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    lock table public.bills, public.service_agreements, public.agreement_tariffs, public.service_points in share row exclusive mode;
    delete from public.supply_totals;
    delete from public.draft_signs;
    insert into public.supply_totals (kind, name, number) select kind, name, number from private.supply_counted;
    insert into public.draft_signs (bill_id, past_use, outlier)
    select d.* from private.signs_of_drafts(array(select b.id from public.bills b where b.status = 'draft')) d;
end $$;

COMMENT ON FUNCTION private.make_counts_of_supply() IS 'Counts all agreements and places and compares all drafts: where they came without their triggers. Nobody changes them meanwhile.';

REVOKE ALL ON FUNCTION private.make_counts_of_supply() FROM PUBLIC;

CREATE FUNCTION public.ledger_balances_at(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with bounds as (select (p ->> 'until')::date as until, date_trunc('month', (p ->> 'until')::date)::date as month),
    parts as (
        -- Whole months are kept added up.
        select t.currency, t.book, t.amount_minor from public.ledger_totals t, bounds s where t.month < s.month
        union all
        select e.currency, e.book, e.amount_minor from public.ledger_entries e, bounds s where e.on_date >= s.month and e.on_date < s.until
        union all
        select e.currency, 'suspense', e.amount_minor from public.suspense_entries e, bounds s where e.on_date < s.until)
    select jsonb_build_object('balances', coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.book), '[]'))
    from (select currency, book, sum(amount_minor)::bigint as balance_minor from parts group by 1, 2) z
$$;

COMMENT ON FUNCTION public.ledger_balances_at(p jsonb) IS 'What the books came to before a date, by currency: {until: exclusive} -> {balances: [{currency, book: account | deposit | suspense, balance_minor}]}.';

REVOKE ALL ON FUNCTION public.ledger_balances_at(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ledger_balances_at(p jsonb) TO service_role;

CREATE FUNCTION private.keep_account_key() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    raise exception using errcode = 'EB005', message = 'An account is never another customer''s, nor in another currency.';
end $$;

REVOKE ALL ON FUNCTION private.keep_account_key() FROM PUBLIC;
GRANT ALL ON FUNCTION private.keep_account_key() TO service_role;

CREATE FUNCTION private.check_open_items() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
begin
    if exists (
        select 1 from new_rows n
        left join public.ledger_entries e on e.id = n.entry_id
        where (e.customer_id, e.book, e.currency, e.entry_no, e.amount_minor)
              is distinct from (n.customer_id, n.book, n.currency, n.entry_no, n.amount_minor)
    ) then
        raise exception using errcode = '23503', message = 'An open item must be what its ledger entry is.';
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.check_open_items() IS 'A new open item is of a ledger entry, with its account, number and amount.';

REVOKE ALL ON FUNCTION private.check_open_items() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_open_items() TO service_role;

CREATE FUNCTION private.post_bill_rows(p_bills private.new_entry[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_customers uuid[];
begin
    perform private.post_rows(p_bills);
    -- Only where a credit is open is there anything to pay with.
    v_customers := array(
        select distinct o.customer_id
        from unnest(p_bills) b join public.open_items o on o.customer_id = b.customer_id and o.open_minor < 0);
    if v_customers <> '{}' then
        perform private.settle(v_customers);
    end if;
end $$;

COMMENT ON FUNCTION private.post_bill_rows(p_bills private.new_entry[]) IS 'Posts bills on their accounts, and pays them with what is open there.';

REVOKE ALL ON FUNCTION private.post_bill_rows(p_bills private.new_entry[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_bill_rows(p_bills private.new_entry[]) TO service_role;

CREATE FUNCTION private.post_rows(p_entries private.new_entry[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'on'
    AS $$
declare
    v_open_from date := private.open_from();
begin
    -- Shared by all who post; who closes a month has it alone.
    perform pg_advisory_xact_lock_shared(hashtext('ledger'));
    with incoming as materialized (
        select coalesce(e.id, private.ordered_id()) as id, e.customer_id, coalesce(e.book, 'account') as book, e.currency,
               e.kind, e.amount_minor, e.bill_id, e.payment_id, e.return_id, e.undoes_id,
               greatest(e.on_date, v_open_from) as on_date,
               coalesce(e.order_on, e.on_date) as order_on, coalesce(e.note, '') as note,
               e.position, row_number() over (w order by e.position)::integer as place,
               sum(e.amount_minor) over (w order by e.position)::bigint as running
        from unnest(p_entries) with ordinality as e(
                 id, customer_id, book, currency, kind, amount_minor, bill_id, payment_id, return_id, undoes_id,
                 on_date, order_on, note, position)
        window w as (partition by e.customer_id, coalesce(e.book, 'account'), e.currency)
    ), moved as (
        insert into public.accounts as a (customer_id, book, currency, balance_minor, entries)
        select i.customer_id, i.book, i.currency, sum(i.amount_minor)::bigint, count(*)::integer
        from incoming i group by 1, 2, 3 order by 1, 2, 3
        on conflict (customer_id, book, currency) do update
        set balance_minor = a.balance_minor + excluded.balance_minor, entries = a.entries + excluded.entries
        returning a.customer_id, a.book, a.currency, a.balance_minor, a.entries
    ), placed as (
        select i.*, m.entries - max(i.place) over w + i.place as entry_no,
               m.balance_minor - sum(i.amount_minor) over w + i.running as balance_minor
        from incoming i join moved m using (customer_id, book, currency)
        window w as (partition by i.customer_id, i.book, i.currency)
    ), posted as (
        insert into public.ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor, balance_minor,
                                           bill_id, payment_id, return_id, undoes_id, on_date, note, actor)
        select p.id, p.customer_id, p.book, p.currency, p.entry_no, p.kind, p.amount_minor, p.balance_minor,
               p.bill_id, p.payment_id, p.return_id, p.undoes_id, p.on_date, p.note, current_setting('billing.actor')
        from placed p order by p.position
    )
    insert into public.open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor, open_minor, is_charge)
    select p.id, p.customer_id, p.book, p.currency, p.entry_no, p.order_on, p.amount_minor, p.amount_minor,
           p.book = 'account' and p.kind in ('fee', 'opening_balance') and p.amount_minor > 0
    from placed p
    where p.amount_minor <> 0;
end $$;

COMMENT ON FUNCTION private.post_rows(p_entries private.new_entry[]) IS 'Posts entries of the ledger, in this order, with their accounts'' balances and open items.';

REVOKE ALL ON FUNCTION private.post_rows(p_entries private.new_entry[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_rows(p_entries private.new_entry[]) TO service_role;

CREATE FUNCTION private.sums_of_open(p_rows text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select format('
        select x.currency, k.part, case k.part when ''opening_balance'' then x.order_on else ''infinity'' end as order_on,
               sum(x.sign)::bigint as items, sum(x.sign * x.open_minor)::bigint as open_minor
        from (%s) x
        cross join lateral (select case
            when x.open_minor < 0 then ''credit''
            else (select case e.kind when ''bill'' then null when ''opening_balance'' then e.kind else ''other'' end
                  from public.ledger_entries e where e.id = x.entry_id) end as part) k
        where x.book = ''account'' and x.open_minor <> 0 and k.part is not null
        group by 1, 2, 3
        having sum(x.sign) <> 0 or sum(x.sign * x.open_minor) <> 0', p_rows)
$$;

COMMENT ON FUNCTION private.sums_of_open(p_rows text) IS 'The statement that adds rows of open_items up as open_totals has them; its rows have a sign besides, -1 for an item as it was.';

REVOKE ALL ON FUNCTION private.sums_of_open(p_rows text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.sums_of_open(p_rows text) TO service_role;

CREATE FUNCTION private.add_up_open_totals() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- As private.add_up_totals: who adds up beside takes other rows.
    with parts as (
        select t.id from public.open_totals t
        join (select currency, part, order_on from public.open_totals group by 1, 2, 3 having count(*) > 1) s using (currency, part, order_on)
        for update of t skip locked
    ), gone as (
        delete from public.open_totals t using parts p where t.id = p.id returning t.*
    )
    insert into public.open_totals (currency, part, order_on, items, open_minor)
    select x.currency, x.part, x.order_on, x.items, x.open_minor
    from (select currency, part, order_on, sum(items) as items, sum(open_minor) as open_minor from gone group by 1, 2, 3) x
    where x.items <> 0 or x.open_minor <> 0;
end $$;

COMMENT ON FUNCTION private.add_up_open_totals() IS 'Makes one row of the parts of each total of open_totals; their sums stay as they are.';

REVOKE ALL ON FUNCTION private.add_up_open_totals() FROM PUBLIC;
GRANT ALL ON FUNCTION private.add_up_open_totals() TO service_role;

CREATE FUNCTION private.make_sums() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.make_sums_of_bills();
    delete from public.open_totals;
    execute 'insert into public.open_totals (currency, part, order_on, items, open_minor) '
        || private.sums_of_open('select 1 as sign, o.* from public.open_items o where o.open_minor <> 0');
    -- They are worked out again for whoever asks.
    delete from public.aged_months;
end $$;

COMMENT ON FUNCTION private.make_sums() IS 'Adds up all bills, entries and open items: where they came without their triggers. Nobody posts meanwhile.';

REVOKE ALL ON FUNCTION private.make_sums() FROM PUBLIC;

CREATE FUNCTION private.wrong_sums() RETURNS TABLE(subject text, detail text)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    return query select w.* from private.wrong_sums_of_bills() w;
    return query execute format('
        select concat_ws('' '', currency, part, order_on, ''open''),
               format(''%%s in %%s items kept, they come to %%s in %%s'', coalesce(k.open_minor, 0), coalesce(k.items, 0),
                      coalesce(s.open_minor, 0), coalesce(s.items, 0))
        from (select currency, part, order_on, sum(items) as items, sum(open_minor) as open_minor from public.open_totals group by 1, 2, 3) k
        full join (%s) s using (currency, part, order_on)
        where coalesce(k.open_minor, 0) <> coalesce(s.open_minor, 0) or coalesce(k.items, 0) <> coalesce(s.items, 0)',
        private.sums_of_open('select 1 as sign, o.* from public.open_items o where o.open_minor <> 0'));
    return query
        select concat_ws(' ', c.ended_in, c.block, 'numbers'), 'bills of the month have numbers in a block that is not kept'
        from private.bill_numbers_counted c
        where not exists (select 1 from public.bill_number_blocks k where k.ended_in = c.ended_in and k.block = c.block);
end $$;

COMMENT ON FUNCTION private.wrong_sums() IS 'The sums that are not what bills, entries and open items come to.';

REVOKE ALL ON FUNCTION private.wrong_sums() FROM PUBLIC;
GRANT ALL ON FUNCTION private.wrong_sums() TO service_role;

CREATE FUNCTION private.credit_notes_named(p_text text, p_limit integer) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    -- A prefix may end with digits: each tail of the digits may be the number, and the number's index says which is.
    select array(
        select n.id from public.credit_notes n
        where n.number = any (array(
                select right(d.digits, k)::bigint
                from (select substring(p_text from '[0-9]{1,15}$') as digits) d, generate_series(1, length(d.digits)) k))
          and (ltrim(p_text, '0') = n.number::text
               or starts_with(lower(p_text), lower(n.prefix)) and ltrim(substr(p_text, length(n.prefix) + 1), '0') = n.number::text)
        order by n.number limit p_limit)
$_$;

COMMENT ON FUNCTION private.credit_notes_named(p_text text, p_limit integer) IS 'The credit notes whose number a text is, as CN-000117, CN-117 or 117.';

REVOKE ALL ON FUNCTION private.credit_notes_named(p_text text, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.credit_notes_named(p_text text, p_limit integer) TO service_role;

CREATE TRIGGER bills_in_number_blocks AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_bill_number_blocks();

CREATE TRIGGER bills_in_totals AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_bill_totals();

CREATE TRIGGER bills_posted AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.post_new_bills();

CREATE TRIGGER bills_posted_at_approval AFTER UPDATE ON public.bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.post_approved_bills();

CREATE TRIGGER changed_bills_in_totals AFTER UPDATE ON public.bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_bill_totals();

CREATE TRIGGER changed_drafts_compared AFTER UPDATE ON public.bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_draft_signs();

CREATE TRIGGER drafts_compared AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_draft_signs();

CREATE TRIGGER numbered_bills_in_blocks AFTER UPDATE ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_bill_number_blocks();

CREATE TRIGGER accounts_follow_the_ledger AFTER INSERT ON public.accounts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_accounts();

CREATE TRIGGER accounts_have_a_currency AFTER INSERT ON public.accounts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.open_account();

CREATE TRIGGER accounts_keep_their_key BEFORE UPDATE OF customer_id, book, currency ON public.accounts FOR EACH ROW EXECUTE FUNCTION private.keep_account_key();

CREATE TRIGGER accounts_still_follow_the_ledger AFTER UPDATE ON public.accounts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_accounts();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.accounts FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.accounts FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER entries_in_totals AFTER INSERT ON public.ledger_entries REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_ledger_totals();

CREATE TRIGGER ledger_goes_on AFTER INSERT ON public.ledger_entries REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_ledger_chain();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.ledger_entries FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.ledger_entries FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER changed_open_items_in_totals AFTER UPDATE ON public.open_items REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_open_totals();

CREATE TRIGGER open_items_in_totals AFTER INSERT ON public.open_items REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_open_totals();

CREATE TRIGGER open_items_of_entries AFTER INSERT ON public.open_items REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_open_items();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.open_items FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.open_items FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.allocations FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.allocations FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.allocations FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER changed_places_counted AFTER UPDATE ON public.service_points REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_places_counted();

CREATE TRIGGER places_counted AFTER INSERT ON public.service_points REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_places_counted();

CREATE TRIGGER agreements_counted AFTER INSERT ON public.service_agreements REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_agreements_counted();

CREATE TRIGGER changed_agreements_counted AFTER UPDATE ON public.service_agreements REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_agreements_counted();

CREATE TRIGGER undone_agreements_counted AFTER DELETE ON public.service_agreements REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_agreements_counted();

CREATE TRIGGER changed_tariffs_counted AFTER UPDATE ON public.agreement_tariffs REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_tariffs_counted();

CREATE TRIGGER tariffs_counted AFTER INSERT ON public.agreement_tariffs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_tariffs_counted();

CREATE TRIGGER undone_tariffs_counted AFTER DELETE ON public.agreement_tariffs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION private.keep_tariffs_counted();

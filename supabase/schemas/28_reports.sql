-- Reports: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TYPE private.posting AS (
	on_date date,
	posting_no bigint,
	book text,
	kind text,
	currency text,
	amount_minor bigint,
	customer_id uuid,
	bill_id uuid,
	payment_id uuid,
	return_id uuid,
	note text,
	actor text,
	created_at timestamp with time zone
);

REVOKE ALL ON TYPE private.posting FROM PUBLIC;
GRANT ALL ON TYPE private.posting TO service_role;

CREATE TABLE public.cash_closings (
    id uuid NOT NULL,
    cashier text NOT NULL,
    on_date date NOT NULL,
    since timestamp with time zone NOT NULL,
    closed_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_by text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    counts jsonb NOT NULL,
    CONSTRAINT cash_closings_cashier_check CHECK ((cashier <> ''::text)),
    CONSTRAINT cash_closings_closed_by_check CHECK ((closed_by <> ''::text)),
    CONSTRAINT cash_closings_counts_check CHECK ((jsonb_typeof(counts) = 'array'::text))
);

COMMENT ON TABLE public.cash_closings IS 'The days that cashiers closed: what was expected and what was counted. Never changed.';

COMMENT ON COLUMN public.cash_closings.since IS 'What was entered from then on is in it, unless it is in an earlier one.';

COMMENT ON COLUMN public.cash_closings.counts IS 'By currency and method: [{currency, method, expected_minor, counted_minor}].';

ALTER TABLE ONLY public.cash_closings
    ADD CONSTRAINT cash_closings_cashier_on_date_key UNIQUE (cashier, on_date);

ALTER TABLE ONLY public.cash_closings
    ADD CONSTRAINT cash_closings_pkey PRIMARY KEY (id);

CREATE INDEX cash_closings_recent ON public.cash_closings USING btree (on_date DESC, cashier);

ALTER TABLE public.cash_closings ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.cash_closings TO service_role;

CREATE TABLE public.cash_closing_items (
    id bigint NOT NULL,
    closing_id uuid NOT NULL,
    payment_id uuid,
    return_id uuid,
    CONSTRAINT cash_closing_items_check CHECK (((payment_id IS NULL) <> (return_id IS NULL)))
);

COMMENT ON TABLE public.cash_closing_items IS 'What each closing of a cashier is of: payments that they entered, and money that they gave back.';

ALTER TABLE ONLY public.cash_closing_items
    ADD CONSTRAINT cash_closing_items_payment_id_key UNIQUE (payment_id);

ALTER TABLE ONLY public.cash_closing_items
    ADD CONSTRAINT cash_closing_items_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.cash_closing_items
    ADD CONSTRAINT cash_closing_items_return_id_key UNIQUE (return_id);

ALTER TABLE public.cash_closing_items ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.cash_closing_items TO service_role;

ALTER TABLE public.cash_closing_items ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.cash_closing_items_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.cash_closing_items_id_seq TO service_role;

CREATE TABLE public.summed_postings (
    only_one boolean DEFAULT true NOT NULL,
    upto bigint NOT NULL,
    safe bigint NOT NULL,
    CONSTRAINT summed_postings_only_one_check CHECK (only_one)
);

COMMENT ON TABLE public.summed_postings IS 'Up to which posting all are in posting_sums, revenue_sums and collection_sums, and up to which nobody posts any more.';

ALTER TABLE ONLY public.summed_postings
    ADD CONSTRAINT summed_postings_pkey PRIMARY KEY (only_one);

ALTER TABLE public.summed_postings ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.summed_postings TO service_role;

CREATE TABLE public.posting_sums (
    on_date date NOT NULL,
    currency text NOT NULL,
    part text NOT NULL,
    detail text NOT NULL,
    is_debit boolean NOT NULL,
    code text NOT NULL,
    unit text NOT NULL,
    description text,
    amount_minor bigint NOT NULL,
    base numeric NOT NULL,
    number bigint NOT NULL
);

COMMENT ON TABLE public.posting_sums IS 'The lines of the journal added up by day, part and side, up to summed_postings.upto.';

ALTER TABLE ONLY public.posting_sums
    ADD CONSTRAINT posting_sums_pkey PRIMARY KEY (on_date, currency, part, detail, is_debit, code, unit);

ALTER TABLE public.posting_sums ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.posting_sums TO service_role;

CREATE TABLE public.revenue_sums (
    on_date date NOT NULL,
    tariff_version_id uuid NOT NULL,
    currency text NOT NULL,
    issued bigint NOT NULL,
    voided bigint NOT NULL,
    consumption_wh bigint NOT NULL,
    subtotal_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    total_minor bigint NOT NULL
);

COMMENT ON TABLE public.revenue_sums IS 'Bills issued, less those voided, added up by day and tariff version, up to summed_postings.upto.';

ALTER TABLE ONLY public.revenue_sums
    ADD CONSTRAINT revenue_sums_pkey PRIMARY KEY (on_date, tariff_version_id, currency);

ALTER TABLE public.revenue_sums ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.revenue_sums TO service_role;

CREATE TABLE public.collection_sums (
    on_date date NOT NULL,
    currency text NOT NULL,
    method text NOT NULL,
    cashier text NOT NULL,
    payments bigint NOT NULL,
    received_minor bigint NOT NULL,
    returned_minor bigint NOT NULL,
    deposits_minor bigint NOT NULL
);

COMMENT ON TABLE public.collection_sums IS 'Money received and given back added up by day, method and who entered it, up to summed_postings.upto.';

ALTER TABLE ONLY public.collection_sums
    ADD CONSTRAINT collection_sums_pkey PRIMARY KEY (on_date, currency, method, cashier);

ALTER TABLE public.collection_sums ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.collection_sums TO service_role;

CREATE TABLE public.debt_days (
    until date NOT NULL,
    until_at timestamp with time zone NOT NULL,
    reached uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL,
    customers bigint DEFAULT 0 NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    done_at timestamp with time zone
);

COMMENT ON TABLE public.debt_days IS 'Days as of whose end the aged debt is kept, or being worked out, up to which customer. The last few that were asked for.';

COMMENT ON COLUMN public.debt_days.until IS 'The day after.';

COMMENT ON COLUMN public.debt_days.until_at IS 'Its first instant in the utility''s zone.';

COMMENT ON COLUMN public.debt_days.customers IS 'How many were looked at until it was worked out.';

ALTER TABLE ONLY public.debt_days
    ADD CONSTRAINT debt_days_pkey PRIMARY KEY (until);

ALTER TABLE public.debt_days ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.debt_days TO service_role;

CREATE TABLE public.debt_rows (
    until date NOT NULL,
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    not_due_minor bigint NOT NULL,
    late_30_minor bigint NOT NULL,
    late_60_minor bigint NOT NULL,
    late_90_minor bigint NOT NULL,
    later_minor bigint NOT NULL,
    credit_minor bigint NOT NULL,
    balance_minor bigint NOT NULL,
    since date,
    days_late integer
);

COMMENT ON TABLE public.debt_rows IS 'What a customer had open at the end of a day, by days past due. Whoever had nothing open has no row.';

ALTER TABLE ONLY public.debt_rows
    ADD CONSTRAINT debt_rows_pkey PRIMARY KEY (until, customer_id, currency);

CREATE INDEX debt_rows_customer ON public.debt_rows USING btree (customer_id);

ALTER TABLE public.debt_rows ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE ON TABLE public.debt_rows TO service_role;

GRANT UPDATE(until) ON TABLE public.debt_rows TO service_role;

CREATE TABLE public.debt_changes (
    id bigint NOT NULL,
    until date NOT NULL,
    customer_id uuid NOT NULL
);

COMMENT ON TABLE public.debt_changes IS 'Customers of whom something dated before a day was posted after its debt was worked out: until it is worked out again.';

ALTER TABLE ONLY public.debt_changes
    ADD CONSTRAINT debt_changes_pkey PRIMARY KEY (id);

CREATE INDEX debt_changes_customer ON public.debt_changes USING btree (customer_id);

CREATE INDEX debt_changes_day ON public.debt_changes USING btree (until, customer_id);

ALTER TABLE public.debt_changes ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE ON TABLE public.debt_changes TO service_role;

GRANT UPDATE(id) ON TABLE public.debt_changes TO service_role;

ALTER TABLE public.debt_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.debt_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.debt_changes_id_seq TO service_role;

ALTER TABLE ONLY public.cash_closing_items
    ADD CONSTRAINT cash_closing_items_closing_id_fkey FOREIGN KEY (closing_id) REFERENCES public.cash_closings(id);

ALTER TABLE ONLY public.cash_closing_items
    ADD CONSTRAINT cash_closing_items_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments(id);

ALTER TABLE ONLY public.cash_closing_items
    ADD CONSTRAINT cash_closing_items_return_id_fkey FOREIGN KEY (return_id) REFERENCES public.payment_returns(id);

ALTER TABLE ONLY public.revenue_sums
    ADD CONSTRAINT revenue_sums_tariff_version_id_fkey FOREIGN KEY (tariff_version_id) REFERENCES public.tariff_versions(id);

ALTER TABLE ONLY public.debt_rows
    ADD CONSTRAINT debt_rows_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.debt_rows
    ADD CONSTRAINT debt_rows_until_fkey FOREIGN KEY (until) REFERENCES public.debt_days(until) ON DELETE CASCADE;

ALTER TABLE ONLY public.debt_changes
    ADD CONSTRAINT debt_changes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.debt_changes
    ADD CONSTRAINT debt_changes_until_fkey FOREIGN KEY (until) REFERENCES public.debt_days(until) ON DELETE CASCADE;

CREATE FUNCTION public.debts_to_age(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('days', coalesce(jsonb_agg(jsonb_build_object('until', d.until, 'until_at', d.until_at) order by d.begun_at desc), '[]'))
    from public.debt_days d
    where d.done_at is null or exists (select 1 from public.debt_changes c where c.until = d.until)
$$;

COMMENT ON FUNCTION public.debts_to_age(p jsonb) IS 'The days whose debt was begun, or changed since, the last first: {} -> {days: [{until, until_at}]}.';

REVOKE ALL ON FUNCTION public.debts_to_age(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.debts_to_age(p jsonb) TO service_role;

CREATE FUNCTION public.report_collections(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(private.postings_behind(), (
        select jsonb_build_object('rows', coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.method, z.cashier), '[]'))
        from (select x.currency, x.method, x.cashier, sum(x.payments)::bigint as payments, sum(x.received_minor)::bigint as received_minor,
                     sum(x.returned_minor)::bigint as returned_minor, sum(x.deposits_minor)::bigint as deposits_minor
              from (select * from public.collection_sums k where k.on_date >= (p ->> 'from')::date and k.on_date < (p ->> 'to')::date
                    union all
                    select * from private.sums_of_collections(private.postings_since((p ->> 'from')::date, (p ->> 'to')::date))) x
              group by 1, 2, 3) z))
$$;

COMMENT ON FUNCTION public.report_collections(p jsonb) IS 'Money received and given back by method and by who entered it, that of nobody known among it: {from, to: exclusive} -> {rows: [{currency, method, cashier, payments, received_minor, returned_minor, deposits_minor: of deposits, net}]}, or {permille} while it is being added up.';

REVOKE ALL ON FUNCTION public.report_collections(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_collections(p jsonb) TO service_role;

CREATE FUNCTION private.journal_of(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) RETURNS TABLE(on_date date, posting_no bigint, book text, kind text, currency text, part text, detail text, amount_minor bigint, customer_id uuid, bill_id uuid, payment_id uuid, return_id uuid, note text, actor text, created_at timestamp with time zone, code text, description text, unit text, base text)
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    select l.* from private.lines_of_postings(array(
        select (x.on_date, x.posting_no, x.book, x.kind, x.currency, x.amount_minor, x.customer_id, x.bill_id, x.payment_id, x.return_id,
                x.note, x.actor, x.created_at)::private.posting
        from (
            (select e.on_date, e.posting_no, e.book, e.kind, e.currency, e.amount_minor, e.customer_id, e.bill_id, e.payment_id,
                    e.return_id, e.note, e.actor, e.created_at
             from public.ledger_entries e
             where (e.on_date, e.posting_no) > (coalesce(p_after_on, p_from), coalesce(p_after_no, 0)) and e.on_date < p_to
             order by e.on_date, e.posting_no limit p_limit)
            union all
            (select s.on_date, s.posting_no, 'suspense', s.kind, s.currency, s.amount_minor, null, null, s.payment_id,
                    s.return_id, '', s.actor, s.created_at
             from public.suspense_entries s
             where (s.on_date, s.posting_no) > (coalesce(p_after_on, p_from), coalesce(p_after_no, 0)) and s.on_date < p_to
             order by s.on_date, s.posting_no limit p_limit)) x
        order by x.on_date, x.posting_no limit p_limit)) l
$$;

COMMENT ON FUNCTION private.journal_of(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) IS 'The lines of up to so many postings of [from, to) after a posting: those of each posting come to 0. A debit is above 0. Tax lines say of what they are a tax, in their unit (money where that is %).';

REVOKE ALL ON FUNCTION private.journal_of(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.journal_of(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) TO service_role;

CREATE FUNCTION private.last_posting(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select case when count(*) = p_limit then jsonb_build_object('on', max(z.on_date),
               'no', (array_agg(z.posting_no order by z.on_date desc, z.posting_no desc))[1]) end
    from (select * from (
            (select e.on_date, e.posting_no from public.ledger_entries e
             where (e.on_date, e.posting_no) > (coalesce(p_after_on, p_from), coalesce(p_after_no, 0)) and e.on_date < p_to
             order by e.on_date, e.posting_no limit p_limit)
            union all
            (select s.on_date, s.posting_no from public.suspense_entries s
             where (s.on_date, s.posting_no) > (coalesce(p_after_on, p_from), coalesce(p_after_no, 0)) and s.on_date < p_to
             order by s.on_date, s.posting_no limit p_limit)) x
          order by x.on_date, x.posting_no limit p_limit) z
$$;

COMMENT ON FUNCTION private.last_posting(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) IS 'After which posting the next page begins; null where there is none.';

REVOKE ALL ON FUNCTION private.last_posting(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.last_posting(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) TO service_role;

CREATE FUNCTION public.journal_lines(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    with asked as (
        select (p ->> 'from')::date as from_on, (p ->> 'to')::date as to_on, (p #>> '{after,on}')::date as after_on,
               (p #>> '{after,no}')::bigint as after_no, (p ->> 'limit')::integer as most
    )
    select jsonb_build_object(
        'lines', (select coalesce(jsonb_agg(jsonb_build_object(
                      'on_date', j.on_date, 'posting_no', j.posting_no, 'kind', j.kind, 'book', j.book, 'currency', j.currency,
                      'part', j.part, 'detail', j.detail, 'amount_minor', j.amount_minor, 'bill_number', b.number,
                      'account_no', c.account_no, 'customer_name', c.name, 'reference', coalesce(nullif(r.reference, ''), y.reference),
                      'credit_note', case j.kind when 'bill_void' then (
                          select private.credit_note_reference(n.prefix, n.number) from public.credit_notes n where n.bill_id = j.bill_id) end,
                      'note', j.note, 'actor', j.actor, 'created_at', j.created_at, 'code', j.code) order by j.place), '[]')
                  from (select g.*, row_number() over () as place
                        from private.journal_of(a.from_on, a.to_on, a.after_on, a.after_no, a.most) g where g.amount_minor <> 0) j
                  left join public.customers c on c.id = j.customer_id
                  left join public.bills b on b.id = j.bill_id
                  left join public.payments y on y.id = j.payment_id
                  left join public.payment_returns r on r.id = j.return_id),
        'after', private.last_posting(a.from_on, a.to_on, a.after_on, a.after_no, a.most))
    from asked a
$$;

COMMENT ON FUNCTION public.journal_lines(p jsonb) IS 'A page of the journal, by date and posting: {from, to: exclusive, after?: {on, no}, limit: postings} -> {lines: [{on_date, posting_no, kind, book, currency, part: receivables | deposits | suspense | money | revenue | tax | rounding | credits | fees | opening_balances, detail: the method of money, what revenue is of, the rate of a tax, amount_minor: a debit above 0, ...}], after: for the next page, or null}.';

REVOKE ALL ON FUNCTION public.journal_lines(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.journal_lines(p jsonb) TO service_role;

CREATE FUNCTION public.journal_sums(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(private.postings_behind(), (
        select jsonb_build_object('sums', coalesce(jsonb_agg(jsonb_build_object(
            'on_date', z.on_date, 'currency', z.currency, 'part', z.part, 'detail', z.detail, 'is_debit', z.is_debit, 'code', nullif(z.code, ''),
            'description', z.description, 'unit', nullif(z.unit, ''), 'amount_minor', z.amount_minor, 'base', z.base::text,
            'number', z.number)), '[]'))
        from (select x.on_date, x.currency, x.part, x.detail, x.is_debit, x.code, x.unit, max(x.description) as description,
                     sum(x.amount_minor)::bigint as amount_minor, sum(x.base) as base, sum(x.number)::bigint as number
              from (select * from public.posting_sums k where k.on_date >= (p ->> 'from')::date and k.on_date < (p ->> 'to')::date
                    union all
                    select * from private.sums_of_journal(private.postings_since((p ->> 'from')::date, (p ->> 'to')::date))) x
              group by 1, 2, 3, 4, 5, 6, 7) z))
$$;

COMMENT ON FUNCTION public.journal_sums(p jsonb) IS 'The lines of the journal added up by day, part and side: {from, to: exclusive} -> {sums: [{on_date, currency, part, detail, is_debit, code, description, unit, amount_minor, base: decimal text, number: postings}]}, or {permille} while they are being added up.';

REVOKE ALL ON FUNCTION public.journal_sums(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.journal_sums(p jsonb) TO service_role;

CREATE FUNCTION public.report_register(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    with asked as (
        select (p ->> 'from')::date as from_on, (p ->> 'to')::date as to_on, (p #>> '{after,on}')::date as after_on,
               (p #>> '{after,no}')::bigint as after_no, (p ->> 'limit')::integer as most
    ), found as materialized (
        select e.on_date, e.posting_no, e.kind, e.currency, e.amount_minor, e.bill_id, e.customer_id, e.note
        from asked a cross join lateral (
            select * from public.ledger_entries x
            where (x.on_date, x.posting_no) > (coalesce(a.after_on, a.from_on), coalesce(a.after_no, 0)) and x.on_date < a.to_on
              and x.bill_id is not null and x.kind in ('bill', 'bill_void')
            order by x.on_date, x.posting_no limit a.most) e
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(jsonb_build_object(
                     'on_date', f.on_date, 'posting_no', f.posting_no, 'kind', f.kind, 'currency', f.currency, 'bill_number', b.number,
                     'credit_note', case f.kind when 'bill_void' then (
                         select private.credit_note_reference(n.prefix, n.number) from public.credit_notes n where n.bill_id = f.bill_id) end,
                     'account_no', c.account_no, 'customer_name', c.name, 'tariff_code', t.code, 'period_start', b.period_start,
                     'period_end', b.period_end, 'consumption_wh', g.sign * b.consumption_wh, 'subtotal_minor', g.sign * b.subtotal_minor,
                     'tax_minor', g.sign * b.tax_minor, 'total_minor', f.amount_minor, 'due_date', b.due_date,
                     'note', case f.kind when 'bill_void' then f.note else '' end) order by f.on_date, f.posting_no), '[]')
                 from found f
                 cross join lateral (select case f.kind when 'bill' then 1 else -1 end as sign) g
                 join public.bills b on b.id = f.bill_id
                 join public.customers c on c.id = f.customer_id
                 join public.tariff_versions v on v.id = b.tariff_version_id
                 join public.tariffs t on t.id = v.tariff_id),
        'after', (select case when count(*) = (p ->> 'limit')::integer then jsonb_build_object('on', max(f.on_date),
                      'no', (array_agg(f.posting_no order by f.on_date desc, f.posting_no desc))[1]) end from found f))
$$;

COMMENT ON FUNCTION public.report_register(p jsonb) IS 'A page of the billing register, by date and posting: bills issued, and those voided below 0 on the date of the void: {from, to: exclusive, after?: {on, no}, limit} -> {rows, after}.';

REVOKE ALL ON FUNCTION public.report_register(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_register(p jsonb) TO service_role;

CREATE FUNCTION public.report_credits(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    with found as materialized (
        select e.on_date, e.posting_no, e.kind, e.currency, e.amount_minor, e.customer_id, e.note, e.actor
        from public.ledger_entries e
        where (e.on_date, e.posting_no) > (coalesce((p #>> '{after,on}')::date, (p ->> 'from')::date), coalesce((p #>> '{after,no}')::bigint, 0))
          and e.on_date < (p ->> 'to')::date and e.kind in ('credit', 'credit_undone')
        order by e.on_date, e.posting_no limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(to_jsonb(f) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name)
                                           order by f.on_date, f.posting_no), '[]')
                 from found f join public.customers c on c.id = f.customer_id),
        'after', (select case when count(*) = (p ->> 'limit')::integer then jsonb_build_object('on', max(f.on_date),
                      'no', (array_agg(f.posting_no order by f.on_date desc, f.posting_no desc))[1]) end from found f))
$$;

COMMENT ON FUNCTION public.report_credits(p jsonb) IS 'A page of the credits given and taken back, write-offs among them, by date and posting: {from, to: exclusive, after?, limit} -> {rows, after}.';

REVOKE ALL ON FUNCTION public.report_credits(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_credits(p jsonb) TO service_role;

CREATE FUNCTION public.cash_day(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'closing', (select to_jsonb(c) from public.cash_closings c where c.cashier = p ->> 'cashier' and c.on_date = (p ->> 'on_date')::date),
        'since', coalesce((select max(c.closed_at) from public.cash_closings c where c.cashier = p ->> 'cashier'), (p ->> 'from')::timestamptz),
        'rows', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.method), '[]')
                 from (select i.currency, i.method, count(i.payment_id) as payments,
                              coalesce(sum(i.minor) filter (where i.minor > 0), 0)::bigint as received_minor,
                              coalesce(-sum(i.minor) filter (where i.minor < 0), 0)::bigint as returned_minor
                       from private.cash_day_items(p ->> 'cashier', (p ->> 'from')::timestamptz) i group by 1, 2) z))
$$;

COMMENT ON FUNCTION public.cash_day(p jsonb) IS 'What a cashier took since their last closing, by method: {cashier, on_date, from: of the first closing} -> {closing: of that day, if it is closed, since, rows}.';

REVOKE ALL ON FUNCTION public.cash_day(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.cash_day(p jsonb) TO service_role;

CREATE FUNCTION public.report_revenue(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(private.postings_behind(), (
        select jsonb_build_object('rows', coalesce(jsonb_agg(to_jsonb(z) order by z.month, z.tariff_code, z.currency), '[]'))
        from (select date_trunc('month', x.on_date)::date as month, t.code as tariff_code, max(t.name) as tariff_name, x.currency,
                     sum(x.issued)::bigint as issued, sum(x.voided)::bigint as voided, sum(x.consumption_wh)::bigint as consumption_wh,
                     sum(x.subtotal_minor)::bigint as subtotal_minor, sum(x.tax_minor)::bigint as tax_minor,
                     sum(x.total_minor)::bigint as total_minor
              from (select * from public.revenue_sums k where k.on_date >= (p ->> 'from')::date and k.on_date < (p ->> 'to')::date
                    union all
                    select * from private.sums_of_revenue(private.postings_since((p ->> 'from')::date, (p ->> 'to')::date))) x
              join public.tariff_versions v on v.id = x.tariff_version_id
              join public.tariffs t on t.id = v.tariff_id
              group by 1, 2, 4) z))
$$;

COMMENT ON FUNCTION public.report_revenue(p jsonb) IS 'What was billed, less what was voided, by month and tariff: {from, to: exclusive} -> {rows}, or {permille} while it is being added up.';

REVOKE ALL ON FUNCTION public.report_revenue(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_revenue(p jsonb) TO service_role;

CREATE FUNCTION public.report_deposits(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    with looked_at as materialized (
        select a.customer_id, a.currency from public.accounts a
        where a.book = 'deposit' and (a.customer_id, a.book, a.currency) > (coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000'),
                                                                           'deposit', coalesce(p #>> '{after,currency}', ''))
        order by a.customer_id, a.book, a.currency limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'currency', l.currency,
                     'held_minor', h.held, 'taken_on', h.taken_on) order by l.customer_id, l.currency), '[]')
                 from looked_at l
                 cross join lateral (
                     select (-sum(e.amount_minor))::bigint as held, min(e.on_date) filter (where e.amount_minor < 0) as taken_on
                     from public.ledger_entries e
                     where e.customer_id = l.customer_id and e.book = 'deposit' and e.currency = l.currency
                       and e.on_date < (p ->> 'until')::date) h
                 join public.customers c on c.id = l.customer_id
                 where h.held <> 0),
        'after', (select case when count(*) = (p ->> 'limit')::integer then (
                      select jsonb_build_object('id', z.customer_id, 'currency', z.currency) from looked_at z
                      order by z.customer_id desc, z.currency desc limit 1) end from looked_at))
$$;

COMMENT ON FUNCTION public.report_deposits(p jsonb) IS 'Deposits held before a date, by customer: {until: exclusive, after?: {id, currency}, limit: customers looked at} -> {rows, after}.';

REVOKE ALL ON FUNCTION public.report_deposits(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_deposits(p jsonb) TO service_role;

CREATE FUNCTION public.report_unbilled(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    with looked_at as materialized (
        select distinct v.service_point_id from public.vacancies v
        where v.service_point_id > coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000')
          and coalesce(v.until, 'infinity') > (p ->> 'from')::date and coalesce(v.since, '-infinity') < (p ->> 'to')::date
        order by 1 limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(jsonb_build_object('place', u.service_point_code, 'address', u.address, 'meter_serial', u.meter_serial,
                     'since', u.since, 'until', u.until, 'consumption_wh', u.wh) order by u.service_point_id, u.since, u.meter_serial), '[]')
                 from looked_at l
                 join public.unbilled_use_list u on u.service_point_id = l.service_point_id
                 where coalesce(u.until, 'infinity') > (p ->> 'from')::date and coalesce(u.since, '-infinity') < (p ->> 'to')::date and u.wh <> 0),
        'after', (select case when count(*) = (p ->> 'limit')::integer then jsonb_build_object(
                      'id', (array_agg(l.service_point_id order by l.service_point_id desc))[1]) end from looked_at l))
$$;

COMMENT ON FUNCTION public.report_unbilled(p jsonb) IS 'What was measured where nobody had an agreement, of all times that touch a span: {from, to: exclusive, after?: {id}, limit: places} -> {rows, after}.';

REVOKE ALL ON FUNCTION public.report_unbilled(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_unbilled(p jsonb) TO service_role;

CREATE FUNCTION private.cash_day_items(p_cashier text, p_from timestamp with time zone) RETURNS TABLE(payment_id uuid, return_id uuid, currency text, method text, minor bigint)
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    with since as (
        -- What was begun before a closing and stored after it is looked for a day back.
        select coalesce(greatest(min(c.since), max(c.closed_at) - interval '1 day'), p_from) as at
        from public.cash_closings c where c.cashier = p_cashier
    )
    select y.id, null::uuid, y.currency, y.method, y.amount_minor from since s
    join public.payments y on y.recorded_by = p_cashier and y.method <> 'stripe' and y.created_at >= s.at
    where not exists (select 1 from public.cash_closing_items i where i.payment_id = y.id)
    union all
    select null, r.id, r.currency, r.method, -r.amount_minor from since s
    join public.payment_returns r on r.created_by = p_cashier and r.method <> 'stripe' and r.created_at >= s.at
    where r.status = 'done' and not exists (select 1 from public.cash_closing_items i where i.return_id = r.id)
$$;

COMMENT ON FUNCTION private.cash_day_items(p_cashier text, p_from timestamp with time zone) IS 'What a cashier entered and gave back that is in no closing; before their first one, from a moment on.';

REVOKE ALL ON FUNCTION private.cash_day_items(p_cashier text, p_from timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION private.cash_day_items(p_cashier text, p_from timestamp with time zone) TO service_role;

CREATE FUNCTION public.report_reads(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    with asked as (
        select coalesce((p #>> '{after,on}')::date, (p ->> 'from')::date) as after_on,
               coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000') as after_id,
               (p ->> 'to')::date as to_on, (p ->> 'limit')::integer as most
    ), found as materialized (
        select x.* from asked s cross join lateral (
            (select r.read_on as on_date, r.id, 'estimated' as kind, r.meter_id, null::uuid as service_point_id, r.register_wh, r.submitted_by as by,
                    '' as why
             from public.readings r
             where r.source = 'estimated' and r.status = 'accepted' and (r.read_on, r.id) > (s.after_on, s.after_id) and r.read_on < s.to_on
             order by r.read_on, r.id limit s.most)
            union all
            (select m.missed_on, m.id, 'not read', m.meter_id, m.service_point_id, null, m.submitted_by,
                    m.reason || case when m.note = '' then '' else ': ' || m.note end
             from public.missed_reads m
             where (m.missed_on, m.id) > (s.after_on, s.after_id) and m.missed_on < s.to_on
             order by m.missed_on, m.id limit s.most)) x
        order by x.on_date, x.id limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(jsonb_build_object('on_date', f.on_date, 'kind', f.kind, 'meter_serial', m.serial, 'place', t.code,
                     'address', t.address, 'register_wh', f.register_wh, 'entered_by', f.by, 'reason', f.why) order by f.on_date, f.id), '[]')
                 from found f
                 join public.meters m on m.id = f.meter_id
                 left join lateral (
                     select s.code, s.address from public.meter_installations i
                     join public.service_points s on s.id = i.service_point_id
                     where i.meter_id = f.meter_id and (f.service_point_id is null or i.service_point_id = f.service_point_id)
                     -- Where the meter was on that day, wherever it is now.
                     order by (i.installed_on <= f.on_date) desc, i.installed_at desc limit 1) t on true),
        'after', (select case when count(*) = (p ->> 'limit')::integer then (
                      select jsonb_build_object('on', z.on_date, 'id', z.id) from found z order by z.on_date desc, z.id desc limit 1) end
                  from found))
$$;

COMMENT ON FUNCTION public.report_reads(p jsonb) IS 'Reads that were estimated, and visits at which a meter could not be read, by date: {from, to: exclusive, after?: {on, id}, limit} -> {rows, after}.';

REVOKE ALL ON FUNCTION public.report_reads(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_reads(p jsonb) TO service_role;

CREATE FUNCTION public.close_cash_day(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_items jsonb;
    v_counts jsonb;
begin
    perform private.set_actor(p);
    perform pg_advisory_xact_lock(hashtextextended('cash day ' || (p ->> 'cashier'), 0));
    if exists (select 1 from public.cash_closings where id = (p ->> 'id')::uuid) then
        return '{}'::jsonb;
    elsif exists (select 1 from public.cash_closings where cashier = p ->> 'cashier' and on_date = (p ->> 'on_date')::date) then
        perform private.refuse('EB005', 'This day is closed already.');
    end if;
    v_items := (select coalesce(jsonb_agg(to_jsonb(i)), '[]') from private.cash_day_items(p ->> 'cashier', (p ->> 'from')::timestamptz) i);
    v_counts := (
        select coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'method', method, 'expected_minor', coalesce(e.minor, 0),
                                                     'counted_minor', coalesce(c.counted_minor, 0)) order by currency, method), '[]')
        from (select x.currency, x.method, sum(x.minor)::bigint as minor
              from jsonb_to_recordset(v_items) as x(currency text, method text, minor bigint) group by 1, 2) e
        full join jsonb_to_recordset(p -> 'counts') as c(currency text, method text, expected_minor bigint, counted_minor bigint)
            using (currency, method));
    if exists (select 1 from jsonb_to_recordset(v_counts) as n(currency text, method text, expected_minor bigint)
               full join jsonb_to_recordset(p -> 'counts') as c(currency text, method text, expected_minor bigint) using (currency, method)
               where n.expected_minor is distinct from c.expected_minor) then
        perform private.refuse('EB005', 'Something was entered or given back meanwhile: look at what is expected now.');
    elsif btrim(coalesce(p ->> 'note', '')) = '' and exists (
        select 1 from jsonb_to_recordset(v_counts) as n(expected_minor bigint, counted_minor bigint)
        where n.expected_minor <> n.counted_minor) then
        perform private.refuse('EB005', 'Say in the note why another amount was counted than is expected.');
    end if;
    insert into public.cash_closings (id, cashier, on_date, since, closed_by, note, counts)
    values ((p ->> 'id')::uuid, p ->> 'cashier', (p ->> 'on_date')::date,
            coalesce((select max(c.closed_at) from public.cash_closings c where c.cashier = p ->> 'cashier'), (p ->> 'from')::timestamptz),
            p ->> 'actor', btrim(coalesce(p ->> 'note', '')), v_counts);
    insert into public.cash_closing_items (closing_id, payment_id, return_id)
    select (p ->> 'id')::uuid, x.payment_id, x.return_id from jsonb_to_recordset(v_items) as x(payment_id uuid, return_id uuid);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.close_cash_day(p jsonb) IS 'Closes a cashier''s day, once: {actor, id, cashier, on_date, from: of the first closing, counts: [{currency, method, expected_minor: as it was shown, counted_minor}], note: needed where they differ}. EB005 where something came meanwhile.';

REVOKE ALL ON FUNCTION public.close_cash_day(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.close_cash_day(p jsonb) TO service_role;

CREATE FUNCTION private.last_posting_no() RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select case when is_called then last_value else 0 end from public.posting_no
$$;

COMMENT ON FUNCTION private.last_posting_no() IS 'The number that was drawn last for a posting, 0 before the first.';

REVOKE ALL ON FUNCTION private.last_posting_no() FROM PUBLIC;
GRANT ALL ON FUNCTION private.last_posting_no() TO service_role;

CREATE FUNCTION private.lines_of_postings(p_posted private.posting[]) RETURNS TABLE(on_date date, posting_no bigint, book text, kind text, currency text, part text, detail text, amount_minor bigint, customer_id uuid, bill_id uuid, payment_id uuid, return_id uuid, note text, actor text, created_at timestamp with time zone, code text, description text, unit text, base text)
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $_$
    select x.on_date, x.posting_no, x.book, x.kind, x.currency, l.part, l.detail, l.amount_minor, x.customer_id, x.bill_id,
           x.payment_id, x.return_id, x.note, x.actor, x.created_at, l.code, l.description, l.unit, l.base::text
    from unnest(p_posted) x
    left join public.payments y on y.id = x.payment_id
    left join public.payment_returns r on r.id = x.return_id
    cross join lateral (
        select 0 as place, case x.book when 'account' then 'receivables' when 'deposit' then 'deposits' else 'suspense' end as part,
               '' as detail, x.amount_minor, null::text as code, null::text as description, null::text as unit, null::numeric as base
        -- A deposit that is used is posted in both books at once; what it is in the journal hangs on the one of deposits.
        where x.kind <> 'deposit_used' or x.book = 'deposit'
        union all
        select 1, 'receivables', '', -x.amount_minor, null, null, null, null where x.kind = 'deposit_used' and x.book = 'deposit'
        union all
        select 1, 'money', coalesce(r.method, y.method), -x.amount_minor, null, null, null, null
        where x.kind in ('payment', 'refund', 'reversal', 'dispute', 'payout', 'return_undone', 'assigned', 'return')
        union all
        select 1, case x.kind when 'credit' then 'credits' when 'credit_undone' then 'credits'
                              when 'fee' then 'fees' when 'fee_undone' then 'fees' else 'opening_balances' end,
               '', -x.amount_minor, null, null, null, null
        where x.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'opening_balance', 'opening_balance_undone')
        union all
        select 2, g.part, g.detail, (-g.sign * sum(g.amount_minor))::bigint, g.code, max(g.description), g.unit, g.sign * sum(g.quantity)
        from (select case x.kind when 'bill' then 1 else -1 end as sign, i.amount_minor,
                     case when i.tax then 'tax' when i.code in ('rounding', 'brought_forward', 'carried_forward') then 'rounding'
                          else 'revenue' end as part,
                     case when i.tax then coalesce(i.rate, '') when i.code in ('rounding', 'brought_forward', 'carried_forward') then ''
                          when i.unit in ('kWh', 'kVAh', 'kVArh') then 'energy' when i.unit in ('kW', 'kVA', 'kVAr') then 'demand'
                          when i.unit = '%' then 'percent' else 'fixed' end as detail,
                     case when i.tax then i.code end as code, case when i.tax then i.description end as description,
                     case when i.tax then i.unit end as unit,
                     -- What a bill before charged has a difference alone, and no quantity of its own.
                     case when i.tax and i.quantity ~ '^-?[0-9]+([.][0-9]+)?$' then i.quantity::numeric else 0 end as quantity
              from public.bill_lines i where i.bill_id = x.bill_id and x.kind in ('bill', 'bill_void')) g
        group by g.part, g.detail, g.code, g.unit, g.sign) l
    where l.amount_minor <> 0 or l.base <> 0
    order by x.on_date, x.posting_no, l.place, l.part, l.detail, l.code
$_$;

COMMENT ON FUNCTION private.lines_of_postings(p_posted private.posting[]) IS 'The lines of postings in the journal: those of each come to 0. A debit is above 0. Tax lines say of what they are a tax, in their unit (money where that is %).';

REVOKE ALL ON FUNCTION private.lines_of_postings(p_posted private.posting[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.lines_of_postings(p_posted private.posting[]) TO service_role;

CREATE FUNCTION private.postings_numbered(p_above bigint, p_upto bigint, p_from date, p_to date) RETURNS private.posting[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
begin
    -- Planned with its numbers, which say how few there are.
    return (
        select coalesce(array_agg(y), '{}')
        from (select e.on_date, e.posting_no, e.book, e.kind, e.currency, e.amount_minor, e.customer_id, e.bill_id, e.payment_id, e.return_id,
                     e.note, e.actor, e.created_at
              from public.ledger_entries e
              where e.posting_no > p_above and e.posting_no <= p_upto and e.on_date >= p_from and e.on_date < p_to
              union all
              select s.on_date, s.posting_no, 'suspense', s.kind, s.currency, s.amount_minor, null, null, s.payment_id, s.return_id,
                     '', s.actor, s.created_at
              from public.suspense_entries s
              where s.posting_no > p_above and s.posting_no <= p_upto and s.on_date >= p_from and s.on_date < p_to) x
        cross join lateral (select (x.on_date, x.posting_no, x.book, x.kind, x.currency, x.amount_minor, x.customer_id, x.bill_id,
                                    x.payment_id, x.return_id, x.note, x.actor, x.created_at)::private.posting as y) z);
end $$;

COMMENT ON FUNCTION private.postings_numbered(p_above bigint, p_upto bigint, p_from date, p_to date) IS 'Postings above a number and up to another, dated in [from, to).';

REVOKE ALL ON FUNCTION private.postings_numbered(p_above bigint, p_upto bigint, p_from date, p_to date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.postings_numbered(p_above bigint, p_upto bigint, p_from date, p_to date) TO service_role;

CREATE FUNCTION private.sums_of_journal(p_posted private.posting[]) RETURNS SETOF public.posting_sums
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select j.on_date, j.currency, j.part, j.detail, j.amount_minor >= 0, coalesce(j.code, ''), coalesce(j.unit, ''), max(j.description),
           sum(j.amount_minor)::bigint, coalesce(sum(j.base::numeric), 0), count(distinct j.posting_no)
    from private.lines_of_postings(p_posted) j group by 1, 2, 3, 4, 5, 6, 7
$$;

COMMENT ON FUNCTION private.sums_of_journal(p_posted private.posting[]) IS 'The lines of postings added up as posting_sums has them.';

REVOKE ALL ON FUNCTION private.sums_of_journal(p_posted private.posting[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.sums_of_journal(p_posted private.posting[]) TO service_role;

CREATE FUNCTION private.sums_of_revenue(p_posted private.posting[]) RETURNS SETOF public.revenue_sums
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    select e.on_date, b.tariff_version_id, e.currency, count(*) filter (where e.kind = 'bill'), count(*) filter (where e.kind = 'bill_void'),
           sum(s.sign * b.consumption_wh)::bigint, sum(s.sign * b.subtotal_minor)::bigint, sum(s.sign * b.tax_minor)::bigint,
           sum(e.amount_minor)::bigint
    from unnest(p_posted) e
    cross join lateral (select case e.kind when 'bill' then 1 else -1 end as sign) s
    join public.bills b on b.id = e.bill_id
    where e.kind in ('bill', 'bill_void')
    group by 1, 2, 3
$$;

COMMENT ON FUNCTION private.sums_of_revenue(p_posted private.posting[]) IS 'Bills among postings added up as revenue_sums has them.';

REVOKE ALL ON FUNCTION private.sums_of_revenue(p_posted private.posting[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.sums_of_revenue(p_posted private.posting[]) TO service_role;

CREATE FUNCTION private.sums_of_collections(p_posted private.posting[]) RETURNS SETOF public.collection_sums
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    select x.on_date, x.currency, coalesce(r.method, y.method),
           coalesce(case when x.return_id is null then y.recorded_by else r.created_by end, ''),
           -- What is assigned was received before.
           coalesce(sum(case x.kind when 'payment' then 1 when 'assigned' then -1 end), 0)::bigint,
           coalesce(sum(-x.amount_minor) filter (where x.kind in ('payment', 'assigned')), 0)::bigint,
           coalesce(sum(x.amount_minor) filter (where x.kind not in ('payment', 'assigned')), 0)::bigint,
           coalesce(sum(-x.amount_minor) filter (where x.book = 'deposit'), 0)::bigint
    from unnest(p_posted) x
    left join public.payments y on y.id = x.payment_id
    left join public.payment_returns r on r.id = x.return_id
    where x.book = 'suspense' or x.kind in ('payment', 'refund', 'reversal', 'dispute', 'payout', 'return_undone')
    group by 1, 2, 3, 4
$$;

COMMENT ON FUNCTION private.sums_of_collections(p_posted private.posting[]) IS 'Money among postings added up as collection_sums has it.';

REVOKE ALL ON FUNCTION private.sums_of_collections(p_posted private.posting[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.sums_of_collections(p_posted private.posting[]) TO service_role;

CREATE FUNCTION private.postings_behind() RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- What was posted since is added up by whoever asks, if it is not more.
    select case when n.last_no - s.upto > 3000 then jsonb_build_object('permille', least(s.upto * 1000 / n.last_no, 999)) end
    from public.summed_postings s cross join (select private.last_posting_no() as last_no) n
$$;

COMMENT ON FUNCTION private.postings_behind() IS 'How far postings are added up, {permille}, where more is left than a question can wait for; else null.';

REVOKE ALL ON FUNCTION private.postings_behind() FROM PUBLIC;
GRANT ALL ON FUNCTION private.postings_behind() TO service_role;

CREATE FUNCTION private.postings_since(p_from date, p_to date) RETURNS private.posting[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select private.postings_numbered((select s.upto from public.summed_postings s), 9223372036854775807, p_from, p_to)
$$;

COMMENT ON FUNCTION private.postings_since(p_from date, p_to date) IS 'Postings of [from, to) that are not added up yet.';

REVOKE ALL ON FUNCTION private.postings_since(p_from date, p_to date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.postings_since(p_from date, p_to date) TO service_role;

CREATE FUNCTION public.sum_postings(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_last constant bigint := private.last_posting_no();
    v_at public.summed_postings;
    v_upto bigint;
    v_posted private.posting[];
begin
    select * into v_at from public.summed_postings s for update skip locked;
    if not found or v_at.upto >= v_last then
        return '{"worked": false}'::jsonb;
    elsif v_at.upto >= v_at.safe then
        -- Whoever drew a number by now has posted it, or never will.
        perform pg_advisory_xact_lock(hashtext('ledger'));
        update public.summed_postings s set safe = private.last_posting_no();
        return '{"worked": true}'::jsonb;
    end if;
    v_upto := least(v_at.upto + (p ->> 'limit')::bigint, v_at.safe);
    v_posted := private.postings_numbered(v_at.upto, v_upto, '-infinity', 'infinity');
    insert into public.posting_sums as k select * from private.sums_of_journal(v_posted)
    on conflict (on_date, currency, part, detail, is_debit, code, unit) do update set
        description = greatest(k.description, excluded.description), amount_minor = k.amount_minor + excluded.amount_minor,
        base = k.base + excluded.base, number = k.number + excluded.number;
    insert into public.revenue_sums as k select * from private.sums_of_revenue(v_posted)
    on conflict (on_date, tariff_version_id, currency) do update set
        issued = k.issued + excluded.issued, voided = k.voided + excluded.voided, consumption_wh = k.consumption_wh + excluded.consumption_wh,
        subtotal_minor = k.subtotal_minor + excluded.subtotal_minor, tax_minor = k.tax_minor + excluded.tax_minor,
        total_minor = k.total_minor + excluded.total_minor;
    insert into public.collection_sums as k select * from private.sums_of_collections(v_posted)
    on conflict (on_date, currency, method, cashier) do update set
        payments = k.payments + excluded.payments, received_minor = k.received_minor + excluded.received_minor,
        returned_minor = k.returned_minor + excluded.returned_minor, deposits_minor = k.deposits_minor + excluded.deposits_minor;
    update public.summed_postings s set upto = v_upto;
    return '{"worked": true}'::jsonb;
end $$;

COMMENT ON FUNCTION public.sum_postings(p jsonb) IS 'Adds up the next so many postings for the reports: {limit} -> {worked: something was left, and nobody else is at it}.';

REVOKE ALL ON FUNCTION public.sum_postings(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.sum_postings(p jsonb) TO service_role;

CREATE FUNCTION public.report_year(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with bounds as (select (p ->> 'from')::date as from_on, (p ->> 'to')::date as to_on), changed as (
        -- Those of which something is otherwise now than it was at the end of the span.
        select a.id from public.service_agreements a where a.starts_on >= (p ->> 'to')::date
        union
        select a.id from public.service_agreements a where a.ends_on >= (p ->> 'to')::date
        union
        select x.agreement_id from public.agreement_tariffs x where x.starts_on >= (p ->> 'to')::date
    ), numbers as (
        select k.name::uuid as tariff_id, k.number from public.supply_totals k where k.kind = 'tariff'
        union all
        select private.tariff_agreed_on(a.id), -1
        from changed c join public.service_agreements a on a.id = c.id where a.ends_on is null
        union all
        select y.tariff_id, 1
        from changed c cross join bounds b
        join public.service_agreements a on a.id = c.id and a.starts_on < b.to_on and coalesce(a.ends_on, 'infinity') >= b.to_on
        cross join lateral (select x.tariff_id from public.agreement_tariffs x
                            where x.agreement_id = a.id and x.starts_on < b.to_on order by x.starts_on desc limit 1) y
    )
    select jsonb_build_object(
        'supplied', (select coalesce(jsonb_agg(jsonb_build_object('tariff_code', z.code, 'agreements', z.number) order by z.code), '[]')
                     from (select t.code, sum(n.number)::bigint as number from numbers n join public.tariffs t on t.id = n.tariff_id
                           group by 1 having sum(n.number) <> 0) z),
        'into_network_wh', (select coalesce(sum(s.energy_wh), 0)::bigint from public.supplies s, bounds b
                            where s.period_start >= b.from_on and s.period_start < b.to_on),
        'estimated_reads', (select count(*) from public.readings r, bounds b
                            where r.source = 'estimated' and r.status = 'accepted' and r.read_on >= b.from_on and r.read_on < b.to_on),
        'disconnections', (select count(*) from public.disconnections d, bounds b
                           where not d.withdrawn and d.disconnected_on >= b.from_on and d.disconnected_on < b.to_on),
        'reconnections', (select count(*) from public.disconnections d, bounds b
                          where not d.withdrawn and d.reconnected_on >= b.from_on and d.reconnected_on < b.to_on))
$$;

COMMENT ON FUNCTION public.report_year(p jsonb) IS 'Counts of a span beside its money: {from, to: exclusive} -> {supplied: agreements at its end by tariff, into_network_wh: of supply periods that begin in it, estimated_reads, disconnections, reconnections}.';

REVOKE ALL ON FUNCTION public.report_year(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_year(p jsonb) TO service_role;

CREATE FUNCTION public.report_aged_debt(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_until constant date := (p ->> 'until')::date;
    v_until_at constant timestamptz := (p ->> 'until_at')::timestamptz;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_after_id constant uuid := coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000');
    v_after_currency constant text := coalesce(p #>> '{after,currency}', '');
    -- Nothing is dated later: what is open now is what was open then.
    v_is_now constant boolean := v_until_at > now() and not exists (select 1 from public.ledger_entries e where e.on_date >= v_until);
    v_day public.debt_days;
    v_changed uuid[];
    v_looked_at jsonb;
    v_customers uuid[];
begin
    -- What was begun before the day ended is posted within minutes.
    if not v_is_now and v_until_at + interval '5 minutes' <= now() and private.debt_is_kept() then
        select * into v_day from public.debt_days d where d.until = v_until and d.until_at = v_until_at;
        v_changed := array(select c.customer_id from public.debt_changes c where c.until = v_until group by 1 limit 201);
        if v_day.done_at is null or cardinality(v_changed) > 200 then
            return jsonb_build_object('permille', case when v_day.done_at is not null then 999 when v_day.until is null then 0
                else least(v_day.customers * 1000 / greatest(v_day.customers + 1, (
                    select c.reltuples::bigint from pg_catalog.pg_class c where c.oid = 'public.accounts'::regclass)), 999) end);
        end if;
        return (
            with page as materialized (
                select x.* from (
                    (select r.customer_id, r.currency, r.not_due_minor, r.late_30_minor, r.late_60_minor, r.late_90_minor, r.later_minor,
                            r.credit_minor, r.balance_minor, r.since, r.days_late
                     from public.debt_rows r
                     where r.until = v_until and (r.customer_id, r.currency) > (v_after_id, v_after_currency)
                       and r.customer_id <> all (v_changed)
                     order by r.customer_id, r.currency limit v_limit)
                    union all
                    select g.* from private.debt_at(v_until, v_until_at, v_changed) g
                    where (g.customer_id, g.currency) > (v_after_id, v_after_currency)) x
                order by x.customer_id, x.currency limit v_limit
            )
            select jsonb_build_object(
                'rows', (select coalesce(jsonb_agg(to_jsonb(g) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name,
                                                                                     'phone', c.phone) order by g.customer_id, g.currency), '[]')
                         from page g join public.customers c on c.id = g.customer_id),
                'after', (select case when count(*) = v_limit then (
                              select jsonb_build_object('id', z.customer_id, 'currency', z.currency) from page z
                              order by z.customer_id desc, z.currency desc limit 1) end from page)));
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('id', l.customer_id, 'currency', l.currency) order by l.customer_id, l.currency), '[]'),
           coalesce(array_agg(distinct l.customer_id), '{}')
    into v_looked_at, v_customers
    from (select a.customer_id, a.currency from public.accounts a
          where a.book = 'account' and (a.customer_id, a.book, a.currency) > (v_after_id, 'account', v_after_currency)
          order by a.customer_id, a.book, a.currency limit v_limit) l;
    return jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(to_jsonb(g) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'phone', c.phone)
                                           order by g.customer_id, g.currency), '[]')
                 from (select y.* from private.debt_now(v_until, v_customers) y where v_is_now
                       union all
                       select y.* from private.debt_at(v_until, v_until_at, v_customers) y where not v_is_now) g
                 join jsonb_to_recordset(v_looked_at) as l(id uuid, currency text) on l.id = g.customer_id and l.currency = g.currency
                 join public.customers c on c.id = g.customer_id),
        'after', case when jsonb_array_length(v_looked_at) = v_limit then v_looked_at -> -1 end);
end $$;

COMMENT ON FUNCTION public.report_aged_debt(p jsonb) IS 'What was open at the end of a day, by customer and days past due: {until: exclusive, until_at: its instant, after?: {id, currency}, limit: customers looked at} -> {rows, after}, or {permille} while it is being worked out, where there are many customers. A bill is late from its due date on, all else from its own.';

REVOKE ALL ON FUNCTION public.report_aged_debt(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.report_aged_debt(p jsonb) TO service_role;

CREATE FUNCTION private.debt_at(p_until date, p_until_at timestamp with time zone, p_customers uuid[]) RETURNS TABLE(customer_id uuid, currency text, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint, late_90_minor bigint, later_minor bigint, credit_minor bigint, balance_minor bigint, since date, days_late integer)
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
    with open as (
        select e.customer_id, e.currency, e.amount_minor + x.paid as minor, coalesce(b.due_date, o.order_on, e.on_date) as due_on
        from unnest(p_customers) k (id)
        join public.ledger_entries e on e.customer_id = k.id and e.book = 'account' and e.on_date < p_until
        cross join lateral (
            select coalesce(sum(y.amount), 0)::bigint as paid
            from (select a.amount_minor as amount, a.created_at as at, a.debit_entry_id as other_id
                  from public.allocations a where a.credit_entry_id = e.id
                  union all
                  select -a.amount_minor, a.created_at, a.credit_entry_id from public.allocations a where a.debit_entry_id = e.id) y
            join public.ledger_entries z on z.id = y.other_id
            -- As for the month's receivables: what was let pay later is of later, but what came late with what it paid comes with it.
            where z.on_date < p_until and (y.at < p_until_at or y.at <= greatest(e.created_at, z.created_at))) x
        left join public.open_items o on o.entry_id = e.id
        left join public.bills b on b.id = e.bill_id and e.kind = 'bill'
        where e.amount_minor + x.paid <> 0
    )
    select o.customer_id, o.currency,
           coalesce(sum(o.minor) filter (where o.minor > 0 and d.late <= 0), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor > 0 and d.late between 1 and 30), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor > 0 and d.late between 31 and 60), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor > 0 and d.late between 61 and 90), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor > 0 and d.late > 90), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor < 0), 0)::bigint, sum(o.minor)::bigint,
           min(o.due_on) filter (where o.minor > 0 and d.late > 0), max(d.late) filter (where o.minor > 0 and d.late > 0)
    from open o cross join lateral (select p_until - 1 - o.due_on as late) d
    group by 1, 2
$$;

COMMENT ON FUNCTION private.debt_at(p_until date, p_until_at timestamp with time zone, p_customers uuid[]) IS 'What some customers had open at the end of the day before, by how many days it was past due: from entries and allocations, which never change.';

REVOKE ALL ON FUNCTION private.debt_at(p_until date, p_until_at timestamp with time zone, p_customers uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.debt_at(p_until date, p_until_at timestamp with time zone, p_customers uuid[]) TO service_role;

CREATE FUNCTION private.debt_now(p_until date, p_customers uuid[]) RETURNS TABLE(customer_id uuid, currency text, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint, late_90_minor bigint, later_minor bigint, credit_minor bigint, balance_minor bigint, since date, days_late integer)
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
    select o.customer_id, o.currency,
           coalesce(sum(o.open_minor) filter (where o.open_minor > 0 and d.late <= 0), 0)::bigint,
           coalesce(sum(o.open_minor) filter (where o.open_minor > 0 and d.late between 1 and 30), 0)::bigint,
           coalesce(sum(o.open_minor) filter (where o.open_minor > 0 and d.late between 31 and 60), 0)::bigint,
           coalesce(sum(o.open_minor) filter (where o.open_minor > 0 and d.late between 61 and 90), 0)::bigint,
           coalesce(sum(o.open_minor) filter (where o.open_minor > 0 and d.late > 90), 0)::bigint,
           coalesce(sum(o.open_minor) filter (where o.open_minor < 0), 0)::bigint, sum(o.open_minor)::bigint,
           min(d.due_on) filter (where o.open_minor > 0 and d.late > 0), max(d.late) filter (where o.open_minor > 0 and d.late > 0)
    from unnest(p_customers) k (id)
    join public.open_items o on o.customer_id = k.id and o.book = 'account' and o.open_minor <> 0
    join public.ledger_entries e on e.id = o.entry_id
    left join public.bills b on b.id = e.bill_id and e.kind = 'bill'
    cross join lateral (select coalesce(b.due_date, o.order_on) as due_on, p_until - 1 - coalesce(b.due_date, o.order_on) as late) d
    group by 1, 2
$$;

COMMENT ON FUNCTION private.debt_now(p_until date, p_customers uuid[]) IS 'What is open of some customers now, by how many days it was past due on the day before.';

REVOKE ALL ON FUNCTION private.debt_now(p_until date, p_customers uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.debt_now(p_until date, p_customers uuid[]) TO service_role;

CREATE FUNCTION private.debt_is_kept() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- So many are looked at in some seconds.
    select count(*) > 3000 from (select 1 from public.accounts a where a.book = 'account' limit 3001) x
$$;

COMMENT ON FUNCTION private.debt_is_kept() IS 'Whether there are so many customers that their debt as of an earlier day is worked out once and kept.';

REVOKE ALL ON FUNCTION private.debt_is_kept() FROM PUBLIC;
GRANT ALL ON FUNCTION private.debt_is_kept() TO service_role;

CREATE FUNCTION public.age_debt(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_until constant date := (p ->> 'until')::date;
    v_until_at constant timestamptz := (p ->> 'until_at')::timestamptz;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_day public.debt_days;
    v_customers uuid[];
begin
    if v_until_at + interval '5 minutes' > now() then
        return '{"worked": false}'::jsonb;
    elsif not exists (select 1 from public.debt_days d where d.until = v_until and d.until_at = v_until_at) then
        -- Whoever posts from now on sees the day and notes what they change of it.
        perform pg_advisory_xact_lock(hashtext('ledger'));
        delete from public.debt_days d where d.until = v_until and d.until_at <> v_until_at;
        delete from public.debt_days d where d.until in (
            select x.until from public.debt_days x where x.until <> v_until order by x.begun_at desc, x.until offset 4);
        insert into public.debt_days (until, until_at) values (v_until, v_until_at) on conflict do nothing;
        return '{"worked": true}'::jsonb;
    end if;
    select * into v_day from public.debt_days d where d.until = v_until for update skip locked;
    if not found then
        return '{"worked": false}'::jsonb;
    end if;
    if v_day.done_at is null then
        v_customers := array(
            select a.customer_id from public.accounts a where a.book = 'account' and a.customer_id > v_day.reached
            group by 1 order by 1 limit v_limit);
    else
        with taken as (
            select c.id from public.debt_changes c where c.until = v_until order by c.id limit v_limit
        ), gone as (
            delete from public.debt_changes c using taken s where c.id = s.id returning c.customer_id
        )
        select coalesce(array_agg(distinct g.customer_id), '{}') into v_customers from gone g;
        if v_customers = '{}' then
            return '{"worked": false}'::jsonb;
        end if;
        delete from public.debt_rows r where r.until = v_until and r.customer_id = any (v_customers);
    end if;
    -- A statement of its own: it sees all that was noted by then.
    insert into public.debt_rows (until, customer_id, currency, not_due_minor, late_30_minor, late_60_minor, late_90_minor, later_minor,
                                  credit_minor, balance_minor, since, days_late)
    select v_until, g.* from private.debt_at(v_until, v_until_at, v_customers) g;
    update public.debt_days d set
        customers = d.customers + case when v_day.done_at is null then cardinality(v_customers) else 0 end,
        reached = case when v_day.done_at is null and v_customers <> '{}' then v_customers[cardinality(v_customers)] else d.reached end,
        done_at = case when v_day.done_at is not null then d.done_at when cardinality(v_customers) < v_limit then now() end
    where d.until = v_until;
    return '{"worked": true}'::jsonb;
end $$;

COMMENT ON FUNCTION public.age_debt(p jsonb) IS 'Works out a part of what was open at the end of a day, and keeps it: {until: the day after, until_at: its first instant, limit: customers} -> {worked: something was done}. A day that is worked out has the customers worked out again of whom something came since. Of the days that are kept the oldest goes.';

REVOKE ALL ON FUNCTION public.age_debt(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.age_debt(p jsonb) TO service_role;

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.cash_closings FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.cash_closings FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.cash_closings FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.cash_closing_items FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.cash_closing_items FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.cash_closing_items FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

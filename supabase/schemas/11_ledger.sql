-- Ledger: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

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
    id uuid DEFAULT gen_random_uuid() NOT NULL,
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
);

COMMENT ON TABLE public.ledger_entries IS 'Every bill, payment, return, credit and fee of an account, in order, with the balance after it. Never changed: a mistake is undone by another entry.';

COMMENT ON COLUMN public.ledger_entries.entry_no IS 'Counts 1, 2, 3 in each account; the balance is checked along it.';

COMMENT ON COLUMN public.ledger_entries.on_date IS 'Local date it counts for; in a month that is closed, the first day that is open instead.';

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_customer_id_book_currency_entry_no_key UNIQUE (customer_id, book, currency, entry_no);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_undoes_id_key UNIQUE (undoes_id);

CREATE INDEX ledger_entries_by_day ON public.ledger_entries USING btree (on_date);

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
    CONSTRAINT open_items_amount_minor_check CHECK ((amount_minor <> 0)),
    CONSTRAINT open_items_check CHECK (((open_minor >= LEAST(amount_minor, (0)::bigint)) AND (open_minor <= GREATEST(amount_minor, (0)::bigint))))
);

COMMENT ON TABLE public.open_items IS 'What of each entry is not yet allocated: of a bill what is left to pay, of a payment what is left of it.';

COMMENT ON COLUMN public.open_items.order_on IS 'Oldest first is by this date: of a bill the end of its period.';

ALTER TABLE ONLY public.open_items
    ADD CONSTRAINT open_items_pkey PRIMARY KEY (entry_id);

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

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_customer_id_book_currency_fkey FOREIGN KEY (customer_id, book, currency) REFERENCES public.accounts(customer_id, book, currency);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_undoes_id_fkey FOREIGN KEY (undoes_id) REFERENCES public.ledger_entries(id);

ALTER TABLE ONLY public.open_items
    ADD CONSTRAINT open_items_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES public.ledger_entries(id);

ALTER TABLE ONLY public.allocations
    ADD CONSTRAINT allocations_credit_entry_id_fkey FOREIGN KEY (credit_entry_id) REFERENCES public.ledger_entries(id);

ALTER TABLE ONLY public.allocations
    ADD CONSTRAINT allocations_debit_entry_id_fkey FOREIGN KEY (debit_entry_id) REFERENCES public.ledger_entries(id);

ALTER TABLE ONLY public.disconnections
    ADD CONSTRAINT disconnections_fee_entry_id_fkey FOREIGN KEY (fee_entry_id) REFERENCES public.ledger_entries(id);

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
    lower(concat_ws(' '::text, c.account_no, c.name, c.address, c.phone)) AS search
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
    v_bills uuid[] := array(select id from new_rows where status = 'issued');
begin
    if v_bills <> '{}' then
        perform private.post_bills(v_bills);
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.post_new_bills() FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_new_bills() TO service_role;

CREATE FUNCTION private.open_credit(p_customer_id uuid, p_book text, p_currency text) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(sum(-open_minor), 0)::bigint from public.open_items
    where customer_id = p_customer_id and book = p_book and currency = p_currency and open_minor < 0
$$;

REVOKE ALL ON FUNCTION private.open_credit(p_customer_id uuid, p_book text, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.open_credit(p_customer_id uuid, p_book text, p_currency text) TO service_role;

CREATE FUNCTION private.post_bills(p_bills uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_customers uuid[];
begin
    perform private.post_entries((
        select jsonb_agg(jsonb_build_object(
            'customer_id', b.customer_id, 'currency', b.currency, 'kind', 'bill', 'amount_minor', b.total_minor,
            'bill_id', b.id, 'on_date', b.issued_on, 'order_on', b.period_end) order by b.issued_at, b.number)
        from public.bills b where b.id = any (p_bills)));
    -- Only where a credit is open is there anything to pay with.
    v_customers := array(
        select distinct o.customer_id from public.bills b
        join public.open_items o on o.customer_id = b.customer_id and o.open_minor < 0
        where b.id = any (p_bills));
    if v_customers <> '{}' then
        perform private.settle(v_customers);
    end if;
end $$;

REVOKE ALL ON FUNCTION private.post_bills(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_bills(p_bills uuid[]) TO service_role;

CREATE FUNCTION private.open_account() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.customers set currency = new.currency where id = new.customer_id and currency is null;
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
    AS $$
begin
    if exists (
        select 1 from new_rows n
        left join public.ledger_entries e on e.customer_id = n.customer_id and e.book = n.book
            and e.currency = n.currency and e.entry_no = n.entry_no - 1
        where n.balance_minor <> n.amount_minor + coalesce(e.balance_minor, 0) or (n.entry_no > 1 and e.id is null)
           or n.on_date < private.open_from()
    ) then
        raise exception using errcode = 'EB005', message = 'A ledger entry must continue the balance before it, in an open month.';
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
        'account_no', c.account_no, 'name', c.name, 'address', c.address, 'language', c.language,
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
        select 'balance' as what, a.customer_id::text as subject,
               format('%s %s: balance %s, sum of its entries %s', a.book, a.currency, a.balance_minor, coalesce(s.total, 0)) as detail
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

COMMENT ON FUNCTION public.check_ledger(p jsonb) IS 'Adds everything up anew: {} -> {problems: [{what, subject, detail}], at most 100; entries; balances by currency and book}.';

REVOKE ALL ON FUNCTION public.check_ledger(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.check_ledger(p jsonb) TO service_role;

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
    v_id uuid := gen_random_uuid();
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

CREATE FUNCTION private.post_entries(p_entries jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    -- Shared by all who post; who closes a month has it alone.
    select pg_advisory_xact_lock_shared(hashtext('ledger'));
    with incoming as (
        select coalesce(e.id, gen_random_uuid()) as id, e.customer_id, coalesce(e.book, 'account') as book, e.currency,
               e.kind, e.amount_minor, e.bill_id, e.payment_id, e.return_id, e.undoes_id,
               greatest(e.on_date, private.open_from()) as on_date,
               coalesce(e.order_on, e.on_date) as order_on, coalesce(e.note, '') as note,
               row_number() over (w order by e.position)::integer as place,
               sum(e.amount_minor) over (w order by e.position)::bigint as running
        from rows from (jsonb_to_recordset(p_entries) as (
                 id uuid, customer_id uuid, book text, currency text, kind text, amount_minor bigint, bill_id uuid,
                 payment_id uuid, return_id uuid, undoes_id uuid, on_date date, order_on date, note text)
             ) with ordinality as e(
                 id, customer_id, book, currency, kind, amount_minor, bill_id, payment_id, return_id, undoes_id,
                 on_date, order_on, note, position)
        window w as (partition by e.customer_id, coalesce(e.book, 'account'), e.currency)
    ), sums as (
        select customer_id, book, currency, sum(amount_minor)::bigint as total, count(*)::integer as number
        from incoming group by 1, 2, 3
    ), moved as (
        insert into public.accounts as a (customer_id, book, currency, balance_minor, entries)
        select * from sums order by 1, 2, 3
        on conflict (customer_id, book, currency) do update
        set balance_minor = a.balance_minor + excluded.balance_minor, entries = a.entries + excluded.entries
        returning a.customer_id, a.book, a.currency, a.balance_minor, a.entries
    ), posted as (
        insert into public.ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor, balance_minor,
                                           bill_id, payment_id, return_id, undoes_id, on_date, note, actor)
        select i.id, i.customer_id, i.book, i.currency, m.entries - s.number + i.place, i.kind, i.amount_minor,
               m.balance_minor - s.total + i.running, i.bill_id, i.payment_id, i.return_id, i.undoes_id, i.on_date,
               i.note, current_setting('billing.actor')
        from incoming i join sums s using (customer_id, book, currency) join moved m using (customer_id, book, currency)
        returning id, customer_id, book, currency, entry_no, amount_minor
    )
    insert into public.open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor, open_minor)
    select p.id, p.customer_id, p.book, p.currency, p.entry_no, i.order_on, p.amount_minor, p.amount_minor
    from posted p join incoming i on i.id = p.id
    where p.amount_minor <> 0
$$;

COMMENT ON FUNCTION private.post_entries(p_entries jsonb) IS 'Adds entries to the ledger, in order: [{id?, customer_id, book?, currency, kind, amount_minor, bill_id?, payment_id?, return_id?, undoes_id?, on_date, order_on?, note?}]. The caller has locked the customers.';

REVOKE ALL ON FUNCTION private.post_entries(p_entries jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_entries(p_entries jsonb) TO service_role;

CREATE FUNCTION private.check_account() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if not exists (
        select 1 from public.accounts a
        left join public.ledger_entries e on e.customer_id = a.customer_id and e.book = a.book
            and e.currency = a.currency and e.entry_no = a.entries
        where a.customer_id = new.customer_id and a.book = new.book and a.currency = new.currency
          and a.balance_minor = coalesce(e.balance_minor, 0) and (a.entries = 0) = (e.id is null)
          and not exists (select 1 from public.ledger_entries l
                          where l.customer_id = a.customer_id and l.book = a.book and l.currency = a.currency
                            and l.entry_no = a.entries + 1)
    ) then
        raise exception using errcode = 'EB005', message = 'An account''s balance must be that of its last ledger entry.';
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.check_account() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_account() TO service_role;

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
    return array(select b.id from public.bills b where b.id = any (p_bills) and private.is_dunned(b) order by b.id for update);
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

CREATE TRIGGER bills_posted AFTER INSERT ON public.bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.post_new_bills();

CREATE TRIGGER bills_posted_at_approval AFTER UPDATE ON public.bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.post_approved_bills();

CREATE CONSTRAINT TRIGGER accounts_follow_the_ledger AFTER INSERT OR UPDATE ON public.accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION private.check_account();

CREATE TRIGGER accounts_have_a_currency AFTER INSERT ON public.accounts FOR EACH ROW EXECUTE FUNCTION private.open_account();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.accounts FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.accounts FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER ledger_goes_on AFTER INSERT ON public.ledger_entries REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_ledger_chain();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.ledger_entries FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.ledger_entries FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.open_items FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.open_items FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.allocations FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.allocations FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.allocations FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

-- Month end: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.month_closings (
    month date NOT NULL,
    totals jsonb NOT NULL,
    closed_by text NOT NULL,
    closed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT month_closings_closed_by_check CHECK ((closed_by <> ''::text)),
    CONSTRAINT month_closings_month_check CHECK ((EXTRACT(day FROM month) = (1)::numeric))
);

COMMENT ON TABLE public.month_closings IS 'Months whose books are closed, with their totals: no entry is ever dated in them again.';

ALTER TABLE ONLY public.month_closings
    ADD CONSTRAINT month_closings_pkey PRIMARY KEY (month);

ALTER TABLE public.month_closings ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.month_closings TO service_role;

CREATE TABLE public.aged_months (
    month date NOT NULL,
    until timestamp with time zone NOT NULL,
    reached uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    done_at timestamp with time zone,
    totals jsonb DEFAULT '[]'::jsonb NOT NULL,
    customers bigint DEFAULT 0 NOT NULL,
    CONSTRAINT aged_months_customers_check CHECK ((customers >= 0)),
    CONSTRAINT aged_months_month_check CHECK ((EXTRACT(day FROM month) = (1)::numeric))
);

COMMENT ON TABLE public.aged_months IS 'Months that are over and whose receivables are kept, or are being worked out: up to which customer, and by currency what they come to.';

COMMENT ON COLUMN public.aged_months.until IS 'The instant at which the month ended in the utility''s zone.';

COMMENT ON COLUMN public.aged_months.customers IS 'How many were looked at until it was worked out.';

ALTER TABLE ONLY public.aged_months
    ADD CONSTRAINT aged_months_pkey PRIMARY KEY (month);

ALTER TABLE public.aged_months ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.aged_months TO service_role;

CREATE TABLE public.aged_accounts (
    month date NOT NULL,
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    not_due_minor bigint NOT NULL,
    late_30_minor bigint NOT NULL,
    late_60_minor bigint NOT NULL,
    late_90_minor bigint NOT NULL,
    later_minor bigint NOT NULL,
    credit_minor bigint NOT NULL,
    balance_minor bigint NOT NULL,
    late_minor bigint GENERATED ALWAYS AS ((((late_30_minor + late_60_minor) + late_90_minor) + later_minor)) STORED NOT NULL
);

COMMENT ON TABLE public.aged_accounts IS 'What a customer had open when a month ended, by how many days it was past due. Whoever had nothing open has no row.';

ALTER TABLE ONLY public.aged_accounts
    ADD CONSTRAINT aged_accounts_pkey PRIMARY KEY (month, customer_id, currency);

CREATE INDEX aged_accounts_most ON public.aged_accounts USING btree (month, currency, ((- late_minor)), customer_id);

ALTER TABLE public.aged_accounts ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE ON TABLE public.aged_accounts TO service_role;

CREATE TABLE public.aged_changes (
    id bigint NOT NULL,
    month date NOT NULL,
    customer_id uuid NOT NULL
);

COMMENT ON TABLE public.aged_changes IS 'Customers of whom something dated in a month was posted after it was worked out: until it is worked out again.';

ALTER TABLE ONLY public.aged_changes
    ADD CONSTRAINT aged_changes_pkey PRIMARY KEY (id);

CREATE INDEX aged_changes_month ON public.aged_changes USING btree (month, customer_id);

ALTER TABLE public.aged_changes ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE ON TABLE public.aged_changes TO service_role;

GRANT UPDATE(id) ON TABLE public.aged_changes TO service_role;

ALTER TABLE public.aged_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.aged_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

GRANT ALL ON SEQUENCE public.aged_changes_id_seq TO service_role;

CREATE TABLE public.ledger_checks (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    began_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    checked_by text NOT NULL,
    entries bigint NOT NULL,
    problems jsonb NOT NULL,
    balances jsonb NOT NULL,
    CONSTRAINT ledger_checks_checked_by_check CHECK ((checked_by <> ''::text))
);

COMMENT ON TABLE public.ledger_checks IS 'What came of adding up the whole ledger: it as it was at began_at. Never changed.';

COMMENT ON COLUMN public.ledger_checks.problems IS '[{what, subject, detail}], at most 100; of a sound ledger [].';

COMMENT ON COLUMN public.ledger_checks.balances IS 'By currency and book: [{currency, book, balance_minor, accounts}].';

ALTER TABLE ONLY public.ledger_checks
    ADD CONSTRAINT ledger_checks_pkey PRIMARY KEY (id);

CREATE INDEX ledger_checks_recent ON public.ledger_checks USING btree (began_at DESC);

ALTER TABLE public.ledger_checks ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.ledger_checks TO service_role;

ALTER TABLE ONLY public.aged_accounts
    ADD CONSTRAINT aged_accounts_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.aged_accounts
    ADD CONSTRAINT aged_accounts_month_fkey FOREIGN KEY (month) REFERENCES public.aged_months(month) ON DELETE CASCADE;

ALTER TABLE ONLY public.aged_changes
    ADD CONSTRAINT aged_changes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.aged_changes
    ADD CONSTRAINT aged_changes_month_fkey FOREIGN KEY (month) REFERENCES public.aged_months(month) ON DELETE CASCADE;

CREATE FUNCTION public.month_books(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with span as (
        select (p ->> 'month')::date as first
    ), sums as (
        select t.currency, t.book, t.kind,
               coalesce(sum(t.amount_minor) filter (where t.month < s.first), 0)::bigint as before,
               coalesce(sum(t.amount_minor) filter (where t.month = s.first), 0)::bigint as within,
               coalesce(sum(t.number) filter (where t.month = s.first), 0)::bigint as number
        from public.ledger_totals t cross join span s where t.month <= s.first group by 1, 2, 3
    )
    select jsonb_build_object(
        'closing', (select to_jsonb(m) from public.month_closings m, span where m.month = span.first),
        'open_from', nullif(private.open_from(), '-infinity'),
        'books', coalesce((select jsonb_agg(jsonb_build_object(
            'currency', b.currency, 'book', b.book, 'opening_minor', b.before, 'closing_minor', b.before + b.within,
            'kinds', b.kinds) order by b.currency, b.book)
            from (select currency, book, sum(before)::bigint as before, sum(within)::bigint as within,
                         jsonb_agg(jsonb_build_object('kind', kind, 'amount_minor', within, 'number', number) order by kind)
                             filter (where number > 0) as kinds
                  from sums group by 1, 2) b), '[]'),
        'methods', coalesce((select jsonb_agg(to_jsonb(y) order by y.currency, y.method)
            from (select t.currency, t.method,
                         (sum(-t.amount_minor) filter (where t.kind = 'payment'))::bigint as received_minor,
                         (sum(t.amount_minor) filter (where t.kind <> 'payment'))::bigint as returned_minor
                  from public.ledger_totals t cross join span s
                  where t.month = s.first and t.method <> ''
                  group by 1, 2) y), '[]'))
$$;

COMMENT ON FUNCTION public.month_books(p jsonb) IS 'A month''s ledger by currency and book: what it opened and closed with, and the sum of each kind of entry; money received and returned by method: {month: its 1st} -> {closing, open_from, books, methods}.';

REVOKE ALL ON FUNCTION public.month_books(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.month_books(p jsonb) TO service_role;

CREATE FUNCTION public.close_month(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_month date := (p ->> 'month')::date;
begin
    perform private.set_actor(p);
    -- Nobody posts meanwhile: an entry must not slip into the month after its totals are taken.
    perform pg_advisory_xact_lock(hashtext('ledger'));
    if (v_month + interval '1 month')::date > (p ->> 'today')::date then
        perform private.refuse('EB005', 'Only a month that is over can be closed.');
    elsif exists (select 1 from public.month_closings where month = v_month) then
        return '{}'::jsonb;
    elsif v_month < private.open_from() then
        perform private.refuse('EB005', 'A later month is closed already.');
    end if;
    perform private.require_sound_ledger();
    insert into public.month_closings (month, totals, closed_by)
    values (v_month, public.month_books(p) - array['closing', 'open_from'], p ->> 'actor');
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.close_month(p jsonb) IS 'Closes the books of a month and all before it, with their totals; later entries are dated after it: {actor, month, today}.';

REVOKE ALL ON FUNCTION public.close_month(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.close_month(p jsonb) TO service_role;

CREATE FUNCTION public.overview(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with bounds as (
        select (p ->> 'today')::date as today, date_trunc('month', (p ->> 'today')::date)::date as month,
               (date_trunc('month', (p ->> 'today')::date)
                - make_interval(months => (p ->> 'months')::integer - 1))::date as since
    ), months as (
        select generate_series(b.since, b.month, interval '1 month')::date as month from bounds b
    ), currencies as (
        select distinct currency from public.tariffs
        union
        select p ->> 'currency' where not exists (select 1 from public.tariffs)
    ), billed as (
        select t.currency, t.month, sum(t.total_minor)::bigint as minor, sum(t.bills)::bigint as bills
        from public.bill_totals t, bounds
        where t.state <> 'draft' and t.month >= bounds.since
        group by 1, 2
    ), collected as (
        select c.currency, date_trunc('month', c.on_date)::date as month, sum(c.minor)::bigint as minor
        from (
            -- A deposit is held, not earned, until it is used.
            select t.currency, t.month as on_date, -t.amount_minor as minor from public.ledger_totals t, bounds
            where t.month >= bounds.since and t.book = 'account'
              and t.kind in ('payment', 'refund', 'reversal', 'dispute', 'payout', 'return_undone', 'deposit_used')
            union all
            -- Money of nobody known is in no ledger, and was collected all the same.
            select y.currency, y.received_on, y.amount_minor from public.payments y, bounds
            where y.customer_id is null and y.received_on >= bounds.since
            union all
            select r.currency, r.on_date, -r.amount_minor from public.payment_returns r, bounds
            where r.customer_id is null and r.status = 'done' and r.on_date >= bounds.since
        ) c
        group by 1, 2
    ), owed as (
        select currency, sum(open_minor)::bigint as outstanding, sum(bills)::bigint as outstanding_bills,
               sum(open_minor) filter (where state = 'overdue')::bigint as overdue,
               sum(bills) filter (where state = 'overdue')::bigint as overdue_bills
        from public.bill_totals where state in ('open', 'overdue')
        group by 1
    )
    select jsonb_build_object(
        'flagged', (select count(*) from (select from public.readings where status = 'needs_review' limit 10001) r),
        'flagged_payments', (select count(distinct payment_id) from public.payment_flags where resolved_at is null),
        'drafts', (select coalesce(sum(bills), 0)::bigint from public.bill_totals where state = 'draft'),
        'meters', (select count(*) from (select from public.meter_installations where removed_at is null limit 10001) i),
        'overdue_as_of', private.overdue_as_of(),
        'bills_to_decide', (select count(*) from public.returned_bill_list),
        'owed_work', (select count(*) from (select from public.outbox where status = 'open' limit 10001) o),
        'currencies', (select coalesce(jsonb_agg(jsonb_build_object(
            'currency', c.currency,
            'outstanding_minor', coalesce(o.outstanding, 0), 'outstanding_bills', coalesce(o.outstanding_bills, 0),
            'overdue_minor', coalesce(o.overdue, 0), 'overdue_bills', coalesce(o.overdue_bills, 0),
            'months', (select jsonb_agg(jsonb_build_object(
                           'month', m.month, 'billed_minor', coalesce(b.minor, 0), 'bills', coalesce(b.bills, 0),
                           'collected_minor', coalesce(k.minor, 0)) order by m.month)
                       from months m
                       left join billed b on b.currency = c.currency and b.month = m.month
                       left join collected k on k.currency = c.currency and k.month = m.month)
            ) order by c.currency), '[]')
            from currencies c left join owed o on o.currency = c.currency))
$$;

COMMENT ON FUNCTION public.overview(p jsonb) IS 'Billed and collected (net of what went back, without deposits that are held) by month, outstanding and overdue now, per currency (never added across): {today, currency: the one to show without tariffs, months}.';

REVOKE ALL ON FUNCTION public.overview(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.overview(p jsonb) TO service_role;

CREATE FUNCTION private.aged_at(p_month date, p_until timestamp with time zone, p_customers uuid[]) RETURNS TABLE(customer_id uuid, currency text, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint, late_90_minor bigint, later_minor bigint, credit_minor bigint, balance_minor bigint)
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
    with span as (
        select (p_month + interval '1 month')::date as next
    ), entries as materialized (
        select e.id, e.customer_id, e.currency, e.amount_minor, e.bill_id, e.kind, e.created_at
        from unnest(p_customers) k (id) cross join span s
        join public.ledger_entries e on e.customer_id = k.id and e.book = 'account' and e.on_date < s.next
    ), open as (
        select e.customer_id, e.currency, e.amount_minor + x.paid as minor,
               -- What has no due date, such as a fee, is past no date; an opening balance was due on its day.
               case when e.kind = 'opening_balance' then greatest(s.next - 1 - o.order_on, 0)
                    when s.next - 1 > b.due_date and not private.spared_at(b.id, p_until) then s.next - 1 - b.due_date
                    else 0 end as days_late
        from entries e cross join span s
        cross join lateral (
            select coalesce(sum(y.amount), 0)::bigint as paid
            from (select a.amount_minor as amount, a.created_at as at, a.debit_entry_id as other_id
                  from public.allocations a where a.credit_entry_id = e.id
                  union all
                  select -a.amount_minor, a.created_at, a.credit_entry_id from public.allocations a where a.debit_entry_id = e.id) y
            join public.ledger_entries z on z.id = y.other_id
            -- What was let pay, or taken back, after the month is of a later month. But an entry that was
            -- written later and dated in it comes with what it paid at once.
            where z.book = 'account' and z.on_date < s.next
              and (y.at < p_until or y.at <= greatest(e.created_at, z.created_at))) x
        left join public.bills b on b.id = e.bill_id
        left join public.open_items o on e.kind = 'opening_balance' and o.entry_id = e.id
        where e.amount_minor + x.paid <> 0
    )
    select o.customer_id, o.currency,
           coalesce(sum(o.minor) filter (where o.minor > 0 and o.days_late <= 0), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor > 0 and o.days_late between 1 and 30), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor > 0 and o.days_late between 31 and 60), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor > 0 and o.days_late between 61 and 90), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor > 0 and o.days_late > 90), 0)::bigint,
           coalesce(sum(o.minor) filter (where o.minor < 0), 0)::bigint, sum(o.minor)::bigint
    from open o group by 1, 2
$$;

COMMENT ON FUNCTION private.aged_at(p_month date, p_until timestamp with time zone, p_customers uuid[]) IS 'What some customers had open when a month ended, by how many days it was past due: from entries and allocations, which never change.';

REVOKE ALL ON FUNCTION private.aged_at(p_month date, p_until timestamp with time zone, p_customers uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.aged_at(p_month date, p_until timestamp with time zone, p_customers uuid[]) TO service_role;

CREATE FUNCTION private.aged_now(p_as_of date, p_customers uuid[]) RETURNS TABLE(customer_id uuid, currency text, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint, late_90_minor bigint, later_minor bigint, credit_minor bigint, balance_minor bigint)
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
           coalesce(sum(o.open_minor) filter (where o.open_minor < 0), 0)::bigint, sum(o.open_minor)::bigint
    from unnest(p_customers) k (id)
    join public.open_items o on o.customer_id = k.id and o.book = 'account' and o.open_minor <> 0
    join public.ledger_entries e on e.id = o.entry_id
    left join public.bills b on b.id = e.bill_id and e.kind = 'bill'
    cross join lateral (select case when e.kind = 'opening_balance' then greatest(p_as_of - o.order_on, 0)
                                    when b.overdue_since is null then 0
                                    else greatest(p_as_of - b.due_date, 1) end as late) d
    group by 1, 2
$$;

COMMENT ON FUNCTION private.aged_now(p_as_of date, p_customers uuid[]) IS 'What is open of some customers now, by how many days it is past due as bills are marked.';

REVOKE ALL ON FUNCTION private.aged_now(p_as_of date, p_customers uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.aged_now(p_as_of date, p_customers uuid[]) TO service_role;

CREATE FUNCTION private.aged_totals_now(p_as_of date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with parts as (
        select t.currency, t.open_minor as minor, case t.state when 'overdue' then greatest(p_as_of - t.due_date, 1) else 0 end as late
        from public.bill_totals t where t.state in ('open', 'overdue')
        union all
        select o.currency, o.open_minor, case o.part when 'opening_balance' then greatest(p_as_of - o.order_on, 0) else 0 end
        from public.open_totals o where o.part <> 'credit'
    ), sums as (
        select currency, coalesce(sum(minor) filter (where late <= 0), 0)::bigint as not_due_minor,
               coalesce(sum(minor) filter (where late between 1 and 30), 0)::bigint as late_30_minor,
               coalesce(sum(minor) filter (where late between 31 and 60), 0)::bigint as late_60_minor,
               coalesce(sum(minor) filter (where late between 61 and 90), 0)::bigint as late_90_minor,
               coalesce(sum(minor) filter (where late > 90), 0)::bigint as later_minor,
               sum(minor)::bigint as debit_minor, 0::bigint as credit_minor
        from parts group by 1
        union all
        select o.currency, 0, 0, 0, 0, 0, 0, sum(o.open_minor)::bigint from public.open_totals o where o.part = 'credit' group by 1
    ), both_sides as (
        select currency, sum(not_due_minor)::bigint as not_due_minor, sum(late_30_minor)::bigint as late_30_minor,
               sum(late_60_minor)::bigint as late_60_minor, sum(late_90_minor)::bigint as late_90_minor, sum(later_minor)::bigint as later_minor,
               sum(credit_minor)::bigint as credit_minor, sum(debit_minor + credit_minor)::bigint as balance_minor
        from sums group by 1 having sum(debit_minor) <> 0 or sum(credit_minor) <> 0
    )
    select coalesce(jsonb_agg(to_jsonb(z) order by z.currency), '[]')
    from (select b.*, (select count(*) from (
                           select 1 from public.open_items o where o.book = 'account' and o.currency = b.currency and o.open_minor <> 0
                           group by o.customer_id order by o.customer_id limit 10001) x) as customers
          from both_sides b) z
$$;

COMMENT ON FUNCTION private.aged_totals_now(p_as_of date) IS 'What is open now by currency and days past due, from what is kept added up; customers are counted to 10,001.';

REVOKE ALL ON FUNCTION private.aged_totals_now(p_as_of date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.aged_totals_now(p_as_of date) TO service_role;

CREATE FUNCTION private.aged_page_now(p jsonb, p_as_of date, p_currencies text[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer + 1;
    -- Where the page before ended: its currency, what was overdue below 0, and the customer.
    v_from constant text := coalesce(p #>> '{after,currency}', '');
    v_late bigint := coalesce((p #>> '{after,late}')::bigint, -9223372036854775808);
    v_customer uuid := coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000');
    v_currency text;
    v_keys jsonb := '[]';
    v_ids uuid[];
begin
    foreach v_currency in array p_currencies loop
        continue when v_currency < v_from;
        if v_currency > v_from then
            v_late := -9223372036854775808;
            v_customer := '00000000-0000-0000-0000-000000000000';
        end if;
        if v_late < 0 then
            v_keys := v_keys || (
                select coalesce(jsonb_agg(jsonb_build_array(v_currency, x.late, x.customer_id) order by x.late, x.customer_id), '[]')
                from (select -u.overdue_minor as late, u.customer_id from public.overdue_accounts u
                      where u.currency = v_currency and u.overdue_minor > 0 and (-u.overdue_minor, u.customer_id) > (v_late, v_customer)
                      order by -u.overdue_minor, u.customer_id limit v_limit - jsonb_array_length(v_keys)) x);
            v_customer := '00000000-0000-0000-0000-000000000000';
        end if;
        exit when jsonb_array_length(v_keys) >= v_limit;
        -- Those with something open that is not late.
        v_keys := v_keys || (
            select coalesce(jsonb_agg(jsonb_build_array(v_currency, 0, x.customer_id) order by x.customer_id), '[]')
            from (select o.customer_id from public.open_items o
                  where o.customer_id > v_customer and o.book = 'account' and o.currency = v_currency and o.open_minor <> 0
                    and not exists (select 1 from public.overdue_accounts u
                                    where u.customer_id = o.customer_id and u.currency = v_currency and u.overdue_minor > 0)
                  group by 1 order by 1 limit v_limit - jsonb_array_length(v_keys)) x);
        exit when jsonb_array_length(v_keys) >= v_limit;
    end loop;
    v_ids := array(select (k.key ->> 2)::uuid from jsonb_array_elements(v_keys) with ordinality k (key, n) where k.n < v_limit group by 1);
    return jsonb_build_object(
        'customers', (select coalesce(jsonb_agg(to_jsonb(g) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name) order by k.n), '[]')
                      from jsonb_array_elements(v_keys) with ordinality k (key, n)
                      join private.aged_now(p_as_of, v_ids) g on g.customer_id = (k.key ->> 2)::uuid and g.currency = k.key ->> 0
                      join public.customers c on c.id = g.customer_id
                      where k.n < v_limit),
        'after', case when jsonb_array_length(v_keys) >= v_limit then jsonb_build_object(
            'currency', v_keys -> (v_limit - 2) -> 0, 'late', v_keys -> (v_limit - 2) -> 1, 'id', v_keys -> (v_limit - 2) -> 2) end);
end $$;

COMMENT ON FUNCTION private.aged_page_now(p jsonb, p_as_of date, p_currencies text[]) IS 'Some customers with something open now, by currency, those with the most overdue bills first: {after?: {currency, late, id}, limit} -> {customers, after}.';

REVOKE ALL ON FUNCTION private.aged_page_now(p jsonb, p_as_of date, p_currencies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.aged_page_now(p jsonb, p_as_of date, p_currencies text[]) TO service_role;

CREATE FUNCTION public.receivables(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_month constant date := (p ->> 'month')::date;
    v_until constant timestamptz := (p ->> 'until')::timestamptz;
    v_last constant date := (v_month + interval '1 month')::date - 1;
    v_limit constant integer := (p ->> 'limit')::integer + 1;
    v_as_of date;
    v_totals jsonb;
    v_changed uuid[];
    v_kept public.aged_months;
begin
    if v_until > now() then
        v_as_of := least(coalesce(private.overdue_as_of(), now()::date), v_last);
        v_totals := private.aged_totals_now(v_as_of);
        return jsonb_build_object('as_of', v_as_of, 'totals', v_totals) || private.aged_page_now(
            p, v_as_of, array(select t ->> 'currency' from jsonb_array_elements(v_totals) t order by 1));
    end if;
    select * into v_kept from public.aged_months where month = v_month and until = v_until;
    v_changed := array(select c.customer_id from public.aged_changes c where c.month = v_month group by 1 limit 201);
    if v_kept.done_at is null or cardinality(v_changed) > 200 then
        return jsonb_build_object(
            'as_of', v_last, 'totals', '[]'::jsonb, 'customers', '[]'::jsonb,
            'permille', case when v_kept.done_at is not null then 999 when v_kept.month is null then 0
                else least(v_kept.customers * 1000 / greatest(v_kept.customers + 1, (
                    select c.reltuples::bigint from pg_catalog.pg_class c where c.oid = 'public.accounts'::regclass)), 999) end);
    end if;
    -- Few of whom something came since: of them it is worked out now.
    return (
        with fresh as materialized (
            select g.*, g.late_30_minor + g.late_60_minor + g.late_90_minor + g.later_minor as late_minor
            from private.aged_at(v_month, v_until, v_changed) g
        ), gone as (
            select a.* from public.aged_accounts a where a.month = v_month and a.customer_id = any (v_changed)
        ), totals as (
            select x.currency, sum(x.customers)::bigint as customers, sum(x.not_due_minor)::bigint as not_due_minor,
                   sum(x.late_30_minor)::bigint as late_30_minor, sum(x.late_60_minor)::bigint as late_60_minor,
                   sum(x.late_90_minor)::bigint as late_90_minor, sum(x.later_minor)::bigint as later_minor,
                   sum(x.credit_minor)::bigint as credit_minor, sum(x.balance_minor)::bigint as balance_minor
            from (select t.* from jsonb_to_recordset(v_kept.totals) t (
                      currency text, customers bigint, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint,
                      late_90_minor bigint, later_minor bigint, credit_minor bigint, balance_minor bigint)
                  union all
                  select g.currency, -1, -g.not_due_minor, -g.late_30_minor, -g.late_60_minor, -g.late_90_minor, -g.later_minor,
                         -g.credit_minor, -g.balance_minor from gone g
                  union all
                  select f.currency, 1, f.not_due_minor, f.late_30_minor, f.late_60_minor, f.late_90_minor, f.later_minor,
                         f.credit_minor, f.balance_minor from fresh f) x
            group by 1 having sum(x.customers) <> 0
        ), page as materialized (
            select x.*, row_number() over (order by x.currency, -x.late_minor, x.customer_id) as n
            from ((select a.customer_id, a.currency, a.not_due_minor, a.late_30_minor, a.late_60_minor, a.late_90_minor, a.later_minor,
                          a.credit_minor, a.balance_minor, a.late_minor
                   from public.aged_accounts a
                   where a.month = v_month
                     and (a.currency, -a.late_minor, a.customer_id)
                         > (coalesce(p #>> '{after,currency}', ''), coalesce((p #>> '{after,late}')::bigint, -9223372036854775808),
                            coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000'))
                     and a.customer_id <> all (v_changed)
                   order by a.currency, -a.late_minor, a.customer_id limit v_limit)
                  union all
                  select f.* from fresh f
                  where (f.currency, -f.late_minor, f.customer_id)
                        > (coalesce(p #>> '{after,currency}', ''), coalesce((p #>> '{after,late}')::bigint, -9223372036854775808),
                           coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000'))) x
            order by x.currency, -x.late_minor, x.customer_id limit v_limit
        )
        select jsonb_build_object(
            'as_of', v_last,
            'totals', (select coalesce(jsonb_agg(to_jsonb(t) order by t.currency), '[]') from totals t),
            'customers', (select coalesce(jsonb_agg(to_jsonb(g) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name)
                                                    order by g.n), '[]')
                          from page g join public.customers c on c.id = g.customer_id where g.n < v_limit),
            'after', case when (select count(*) from page) >= v_limit then (
                select jsonb_build_object('currency', g.currency, 'late', -g.late_minor, 'id', g.customer_id)
                from page g where g.n = v_limit - 1) end));
end $$;

COMMENT ON FUNCTION public.receivables(p jsonb) IS 'What was open when a month ended, by how many days it was past due: {month: its 1st, until: the instant at which it ended, after?: {currency, late, id}, limit} -> {as_of, totals by currency, customers: those with the most past due first, after: for the next page, permille: how far it is worked out, where it is not yet}. Of a month that goes on, as bills are marked by now.';

REVOKE ALL ON FUNCTION public.receivables(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.receivables(p jsonb) TO service_role;

CREATE FUNCTION public.months_to_age(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('months', coalesce(jsonb_agg(jsonb_build_object('month', m.month, 'until', m.until) order by m.month desc), '[]'))
    from public.aged_months m
    where m.done_at is null or exists (select 1 from public.aged_changes c where c.month = m.month)
$$;

COMMENT ON FUNCTION public.months_to_age(p jsonb) IS 'The months whose receivables were begun, or changed since, the last first: {} -> {months: [{month, until}]}.';

REVOKE ALL ON FUNCTION public.months_to_age(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.months_to_age(p jsonb) TO service_role;

CREATE FUNCTION public.month_entries(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    with found as materialized (
        select e.id, e.on_date, e.posting_no from public.ledger_entries e
        where (e.on_date, e.posting_no) > (coalesce((p #>> '{after,on}')::date, (p ->> 'from')::date), coalesce((p #>> '{after,no}')::bigint, 0))
          and e.on_date < (p ->> 'to')::date
        order by e.on_date, e.posting_no limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(to_jsonb(l) order by f.on_date, f.posting_no), '[]')
                 from found f join public.ledger_list l on l.id = f.id),
        'after', (select case when count(*) = (p ->> 'limit')::integer then jsonb_build_object('on', max(f.on_date),
                      'no', (array_agg(f.posting_no order by f.on_date desc, f.posting_no desc))[1]) end from found f))
$$;

COMMENT ON FUNCTION public.month_entries(p jsonb) IS 'A page of the entries of customers'' accounts, by date and posting: {from, to: exclusive, after?: {on, no}, limit} -> {rows of ledger_list, after: for the next page, or null}.';

REVOKE ALL ON FUNCTION public.month_entries(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.month_entries(p jsonb) TO service_role;

CREATE FUNCTION public.record_ledger_check(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET statement_timeout TO '30min'
    SET work_mem TO '64MB'
    AS $$
declare
    v_began constant timestamptz := clock_timestamp();
    v_found jsonb;
    v_check public.ledger_checks;
begin
    v_found := public.check_ledger('{}');
    insert into public.ledger_checks (began_at, finished_at, checked_by, entries, problems, balances)
    values (v_began, clock_timestamp(), p ->> 'actor', (v_found ->> 'entries')::bigint, v_found -> 'problems', v_found -> 'balances')
    returning * into v_check;
    -- Not before: it holds the row of the run, which is prolonged meanwhile.
    perform private.check_run(p -> 'run');
    return to_jsonb(v_check);
end $$;

COMMENT ON FUNCTION public.record_ledger_check(p jsonb) IS 'Adds up the whole ledger and keeps what came of it: {actor, run?} -> the row of ledger_checks. Takes minutes of a large one.';

REVOKE ALL ON FUNCTION public.record_ledger_check(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_ledger_check(p jsonb) TO service_role;

CREATE FUNCTION private.ledger_is_large() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- So many are added up in about a second.
    select coalesce(sum(t.number), 0) > 50000 from public.ledger_totals t
$$;

COMMENT ON FUNCTION private.ledger_is_large() IS 'Whether adding up the ledger takes longer than somebody waits for it.';

REVOKE ALL ON FUNCTION private.ledger_is_large() FROM PUBLIC;
GRANT ALL ON FUNCTION private.ledger_is_large() TO service_role;

CREATE FUNCTION public.last_ledger_check(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'is_large', private.ledger_is_large(),
        'check', (select to_jsonb(c) from public.ledger_checks c order by c.began_at desc limit 1))
$$;

COMMENT ON FUNCTION public.last_ledger_check(p jsonb) IS 'The last check of the ledger, and whether it is too large to be checked while somebody waits: {} -> {is_large, check: a row of ledger_checks or null}.';

REVOKE ALL ON FUNCTION public.last_ledger_check(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.last_ledger_check(p jsonb) TO service_role;

CREATE FUNCTION private.require_sound_ledger() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_check public.ledger_checks;
begin
    if not private.ledger_is_large() then
        if public.check_ledger('{}') -> 'problems' <> '[]' then
            perform private.refuse('EB005', 'The ledger does not add up: see what is wrong with it first.');
        end if;
        return;
    end if;
    select * into v_check from public.ledger_checks c order by c.began_at desc limit 1;
    if v_check.id is null or v_check.began_at < now() - interval '36 hours' then
        perform private.refuse('EB005', 'The ledger was not checked within the last 36 hours. It is checked each night; run Ledger check on Jobs to have it checked now.');
    elsif v_check.problems <> '[]' then
        perform private.refuse('EB005', 'The ledger did not add up at its last check: see what is wrong with it, and run Ledger check on Jobs again.');
    end if;
end $$;

COMMENT ON FUNCTION private.require_sound_ledger() IS 'Refuses unless the ledger adds up: a small one now, a large one at its last check, which must be of the last 36 hours.';

REVOKE ALL ON FUNCTION private.require_sound_ledger() FROM PUBLIC;
GRANT ALL ON FUNCTION private.require_sound_ledger() TO service_role;

CREATE FUNCTION private.note_aged_changes() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if exists (select 1 from public.aged_months m
               where m.month >= (select date_trunc('month', min(n.on_date))::date from new_rows n)) then
        insert into public.aged_changes (month, customer_id)
        select distinct m.month, n.customer_id
        from new_rows n join public.aged_months m on m.month >= date_trunc('month', n.on_date)::date
        where n.book = 'account';
    end if;
    if exists (select 1 from public.debt_days d where d.until > (select min(n.on_date) from new_rows n)) then
        insert into public.debt_changes (until, customer_id)
        select distinct d.until, n.customer_id from new_rows n join public.debt_days d on d.until > n.on_date where n.book = 'account';
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.note_aged_changes() IS 'Notes whose receivables of a month that is over, or debt as of a day, are changed by new entries.';

REVOKE ALL ON FUNCTION private.note_aged_changes() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_aged_changes() TO service_role;

CREATE FUNCTION public.age_month(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_month constant date := (p ->> 'month')::date;
    v_until constant timestamptz := (p ->> 'until')::timestamptz;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_kept public.aged_months;
    v_customers uuid[];
begin
    -- What was begun before the month ended is posted within minutes.
    if v_until + interval '5 minutes' > now() then
        return '{"done": false, "worked": false}'::jsonb;
    end if;
    if not exists (select 1 from public.aged_months m where m.month = v_month and m.until = v_until) then
        -- Whoever posts from now on sees the month and notes what they change of it.
        perform pg_advisory_xact_lock(hashtext('ledger'));
        delete from public.aged_months m where m.month = v_month and m.until <> v_until;
        insert into public.aged_months (month, until) values (v_month, v_until) on conflict do nothing;
        return '{"done": false, "worked": true}'::jsonb;
    end if;
    select * into v_kept from public.aged_months m where m.month = v_month for update skip locked;
    if not found then
        return '{"done": false, "worked": false}'::jsonb;
    end if;
    if v_kept.done_at is null then
        v_customers := array(
            select a.customer_id from public.accounts a where a.book = 'account' and a.customer_id > v_kept.reached
            group by 1 order by 1 limit v_limit);
    else
        with taken as (
            select c.id from public.aged_changes c where c.month = v_month order by c.id limit v_limit
        ), gone as (
            delete from public.aged_changes c using taken s where c.id = s.id returning c.customer_id
        )
        select coalesce(array_agg(distinct g.customer_id), '{}') into v_customers from gone g;
        if v_customers = '{}' then
            return '{"done": true, "worked": false}'::jsonb;
        end if;
        delete from public.aged_accounts a where a.month = v_month and a.customer_id = any (v_customers);
    end if;
    -- A statement of its own: it sees all that was noted by then.
    insert into public.aged_accounts (month, customer_id, currency, not_due_minor, late_30_minor, late_60_minor, late_90_minor, later_minor,
                                      credit_minor, balance_minor)
    select v_month, g.* from private.aged_at(v_month, v_until, v_customers) g;
    update public.aged_months m set
        customers = m.customers + case when v_kept.done_at is null then cardinality(v_customers) else 0 end,
        reached = case when v_kept.done_at is null and v_customers <> '{}' then v_customers[cardinality(v_customers)] else m.reached end,
        done_at = case when v_kept.done_at is not null then m.done_at when cardinality(v_customers) < v_limit then now() end
    where m.month = v_month returning m.* into v_kept;
    if v_kept.done_at is not null then
        update public.aged_months m set totals = (
            select coalesce(jsonb_agg(to_jsonb(z) order by z.currency), '[]')
            from (select a.currency, count(*) as customers, sum(a.not_due_minor)::bigint as not_due_minor,
                         sum(a.late_30_minor)::bigint as late_30_minor, sum(a.late_60_minor)::bigint as late_60_minor,
                         sum(a.late_90_minor)::bigint as late_90_minor, sum(a.later_minor)::bigint as later_minor,
                         sum(a.credit_minor)::bigint as credit_minor, sum(a.balance_minor)::bigint as balance_minor
                  from public.aged_accounts a where a.month = v_month group by 1) z)
        where m.month = v_month;
    end if;
    return jsonb_build_object('worked', true, 'done', v_kept.done_at is not null
        and not exists (select 1 from public.aged_changes c where c.month = v_month));
end $$;

COMMENT ON FUNCTION public.age_month(p jsonb) IS 'Works out a part of what was open when a month ended, and keeps it: {month: its 1st, until: the instant at which it ended, limit: customers} -> {done, worked: something was done}. One that is worked out has the customers worked out again of whom something came since.';

REVOKE ALL ON FUNCTION public.age_month(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.age_month(p jsonb) TO service_role;

CREATE TRIGGER entries_age_months AFTER INSERT ON public.ledger_entries REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.note_aged_changes();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.month_closings FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.month_closings FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.month_closings FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.ledger_checks FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.ledger_checks FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.ledger_checks FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

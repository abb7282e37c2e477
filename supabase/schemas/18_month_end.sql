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

CREATE TABLE public.ledger_checks (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
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

CREATE FUNCTION public.aged_receivables(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET work_mem TO '64MB'
    AS $$
    with span as (
        select ((p ->> 'month')::date + interval '1 month')::date as next, (p ->> 'until')::timestamptz as until,
               -- A month that is not over is looked at as the bills are marked today.
               (p ->> 'until')::timestamptz > now() as goes_on
    ), day as (
        select s.*, case when s.goes_on then least(coalesce(private.overdue_as_of(), now()::date), s.next - 1) else s.next - 1 end as as_of
        from span s
    ), touched as (
        -- What is open, and what was paid, or taken back, since the month or by what is dated after it: all else was settled.
        select o.entry_id as id from public.open_items o where o.open_minor <> 0
        union
        select y.id from public.allocations a cross join span s
        cross join lateral (values (a.credit_entry_id), (a.debit_entry_id)) y(id) where a.created_at >= s.until
        union
        select a.debit_entry_id from public.ledger_entries l cross join span s
        join public.allocations a on a.credit_entry_id = l.id where l.on_date >= s.next
        union
        select a.credit_entry_id from public.ledger_entries l cross join span s
        join public.allocations a on a.debit_entry_id = l.id where l.on_date >= s.next
    ), entries as materialized (
        select e.id, e.customer_id, e.currency, e.amount_minor, e.bill_id, e.kind, e.on_date, e.created_at
        from touched t join public.ledger_entries e on e.id = t.id cross join span s
        where e.book = 'account' and e.on_date < s.next
    ), allocated as (
        select y.id, sum(y.amount) as amount
        from (select e.id, e.created_at, a.amount_minor as amount, a.created_at as at, a.debit_entry_id as other_id
              from entries e join public.allocations a on a.credit_entry_id = e.id
              union all
              select e.id, e.created_at, -a.amount_minor, a.created_at, a.credit_entry_id
              from entries e join public.allocations a on a.debit_entry_id = e.id) y
        join public.ledger_entries x on x.id = y.other_id
        cross join span s
        -- What was let pay, or taken back, after the month is of a later month. But an entry that was
        -- written later and dated in it comes with what it paid at once.
        where x.book = 'account' and x.on_date < s.next
          and (y.at < s.until or y.at <= greatest(y.created_at, x.created_at))
        group by 1
    ), open as (
        select e.customer_id, e.currency, (e.amount_minor + coalesce(a.amount, 0))::bigint as minor,
               -- What has no due date, such as a fee, is past no date; an opening balance was due on its day.
               case when e.kind = 'opening_balance' then greatest(s.as_of - o.order_on, 0)
                    when b.id is null then 0
                    when s.goes_on then case when b.overdue_since is null then 0 else greatest(s.as_of - b.due_date, 1) end
                    when s.as_of > b.due_date and not private.spared_at(b.id, s.until) then s.as_of - b.due_date
                    else 0 end as days_late
        from entries e cross join day s
        left join allocated a on a.id = e.id
        left join public.bills b on b.id = e.bill_id
        left join public.open_items o on e.kind = 'opening_balance' and o.entry_id = e.id
        where e.amount_minor + coalesce(a.amount, 0) <> 0
    ), aged as materialized (
        select customer_id, currency,
               coalesce(sum(minor) filter (where minor > 0 and days_late <= 0), 0)::bigint as not_due_minor,
               coalesce(sum(minor) filter (where minor > 0 and days_late between 1 and 30), 0)::bigint as late_30_minor,
               coalesce(sum(minor) filter (where minor > 0 and days_late between 31 and 60), 0)::bigint as late_60_minor,
               coalesce(sum(minor) filter (where minor > 0 and days_late between 61 and 90), 0)::bigint as late_90_minor,
               coalesce(sum(minor) filter (where minor > 0 and days_late > 90), 0)::bigint as later_minor,
               coalesce(sum(minor) filter (where minor < 0), 0)::bigint as credit_minor,
               sum(minor)::bigint as balance_minor
        from open group by 1, 2
    )
    select jsonb_build_object(
        'as_of', (select as_of from day),
        'totals', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency), '[]')
                   from (select currency, count(*) as customers, sum(not_due_minor)::bigint as not_due_minor,
                                sum(late_30_minor)::bigint as late_30_minor, sum(late_60_minor)::bigint as late_60_minor,
                                sum(late_90_minor)::bigint as late_90_minor, sum(later_minor)::bigint as later_minor,
                                sum(credit_minor)::bigint as credit_minor, sum(balance_minor)::bigint as balance_minor
                         from aged group by 1) z),
        'customers', (select coalesce(jsonb_agg(to_jsonb(z) order by z.place), '[]')
                      from (select c.account_no, c.name as customer_name, g.*,
                                   row_number() over (order by g.currency, g.balance_minor - g.not_due_minor desc, c.account_no) as place
                            from aged g join public.customers c on c.id = g.customer_id
                            order by place limit (p ->> 'limit')::integer offset (p ->> 'offset')::integer) z))
$$;

COMMENT ON FUNCTION public.aged_receivables(p jsonb) IS 'What was open when a month ended, by how many days it was past due: {month: its 1st, until: the instant at which it ended, limit, offset} -> {as_of, totals by currency, customers: those with the most past due first}. Of a month that goes on, as it is marked by now. From entries and allocations, which never change: a month that is over answers the same for ever.';

REVOKE ALL ON FUNCTION public.aged_receivables(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.aged_receivables(p jsonb) TO service_role;

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

CREATE FUNCTION public.open_bills(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('bills', coalesce(sum(t.bills), 0)::bigint)
    from public.bill_totals t where t.state in ('open', 'overdue')
$$;

COMMENT ON FUNCTION public.open_bills(p jsonb) IS 'How many bills are issued and not paid in full now: {} -> {bills}.';

REVOKE ALL ON FUNCTION public.open_bills(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.open_bills(p jsonb) TO service_role;

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

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.month_closings FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.month_closings FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.month_closings FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.ledger_checks FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.ledger_checks FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.ledger_checks FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

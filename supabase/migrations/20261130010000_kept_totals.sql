-- Overview and the month's books added up every bill and every entry whenever they were looked at. Their sums are kept
-- now: each statement that changes bills or posts entries adds rows of its own with what it changed, so that nobody waits
-- for anybody, and one in some hundreds of these rows adds up those that have come together.

create table public.ledger_totals (
    id bigint primary key generated always as identity,
    currency text not null,
    book text not null,
    month date not null check (extract(day from month) = 1),
    kind text not null,
    method text not null,
    amount_minor bigint not null,
    number bigint not null
);
comment on table public.ledger_totals is
    'What the entries of a month come to, by currency, book, kind and method (empty where no money moved): parts, to be added up.';

create table public.bill_totals (
    id bigint primary key generated always as identity,
    currency text not null,
    month date not null check (month = 'infinity' or extract(day from month) = 1),
    state text not null check (state in ('draft', 'paid', 'open', 'overdue')),
    bills bigint not null,
    total_minor bigint not null,
    open_minor bigint not null
);
comment on table public.bill_totals is
    'What the bills issued in a month come to, by currency and state, and what of it is open: parts, to be added up. Drafts have the month infinity; void bills are in no total.';

alter table public.ledger_totals enable row level security;
alter table public.bill_totals enable row level security;
revoke all on public.ledger_totals, public.bill_totals from public, anon, authenticated;
revoke truncate, update on public.ledger_totals, public.bill_totals from service_role;
grant select, insert, delete on public.ledger_totals, public.bill_totals to service_role;

create function private.sums_of_entries(p_rows text) returns text
    language sql immutable set search_path = '' as $$
    select format('
        select x.currency, x.book, x.month, x.kind, x.method, sum(x.amount_minor)::bigint as amount_minor, count(*) as number
        from (select e.currency, e.book, date_trunc(''month'', e.on_date)::date as month, e.kind, e.amount_minor,
                     coalesce(r.method, y.method, '''') as method
              from %s e
              left join public.payments y on y.id = e.payment_id
              left join public.payment_returns r on r.id = e.return_id) x
        group by 1, 2, 3, 4, 5', p_rows)
$$;
comment on function private.sums_of_entries(text) is
    'The statement that adds rows of ledger_entries up as ledger_totals has them.';

create function private.sums_of_bills(p_rows text) returns text
    language sql immutable set search_path = '' as $$
    select format('
        select x.currency, x.month, x.state, sum(x.sign)::bigint as bills, sum(x.sign * x.total_minor)::bigint as total_minor,
               sum(x.sign * x.open_minor)::bigint as open_minor
        from (select b.sign, b.currency, b.total_minor, s.state,
                     case s.state when ''draft'' then ''infinity'' else date_trunc(''month'', b.issued_on)::date end as month,
                     case when s.state in (''open'', ''overdue'') then b.total_minor - b.amount_paid_minor else 0 end as open_minor
              from (%s) b
              cross join lateral (select case
                  when b.status = ''draft'' then ''draft''
                  when b.amount_paid_minor >= b.total_minor then ''paid''
                  when b.overdue_since is null then ''open'' else ''overdue'' end as state) s
              where b.status <> ''void'') x
        group by 1, 2, 3
        having sum(x.sign) <> 0 or sum(x.sign * x.total_minor) <> 0 or sum(x.sign * x.open_minor) <> 0', p_rows)
$$;
comment on function private.sums_of_bills(text) is
    'The statement that adds rows of bills up as bill_totals has them; its rows have a sign besides, -1 for a bill as it was.';

create function private.add_up_totals() returns void
    language plpgsql set search_path = '' as $$
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
        join (select currency, month, state from public.bill_totals group by 1, 2, 3 having count(*) > 1) s
            using (currency, month, state)
        for update of t skip locked
    ), gone as (
        delete from public.bill_totals t using parts p where t.id = p.id returning t.*
    )
    insert into public.bill_totals (currency, month, state, bills, total_minor, open_minor)
    select currency, month, state, sum(bills), sum(total_minor), sum(open_minor) from gone group by 1, 2, 3;
end $$;
comment on function private.add_up_totals() is
    'Makes one row of the parts of each total; their sums stay as they are.';

create function private.keep_ledger_totals() returns trigger
    language plpgsql set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
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
comment on function private.keep_ledger_totals() is 'Adds new entries to ledger_totals.';
create trigger entries_in_totals after insert on public.ledger_entries
    referencing new table as new_rows for each statement execute function private.keep_ledger_totals();

create function private.keep_bill_totals() returns trigger
    language plpgsql set search_path = ''
    as $$
declare
    v_columns constant text := 'currency, status, total_minor, amount_paid_minor, overdue_since, issued_on';
    v_many boolean;
begin
    execute 'with added as (
        insert into public.bill_totals (currency, month, state, bills, total_minor, open_minor) '
        || private.sums_of_bills(
            'select 1 as sign, ' || v_columns || ' from new_rows'
            || case tg_op when 'UPDATE' then ' union all select -1, ' || v_columns || ' from old_rows' else '' end)
        || ' returning id)
        select bool_or(id % 256 = 0) from added' into v_many;
    if v_many then
        perform private.add_up_totals();
    end if;
    return null;
end $$;
comment on function private.keep_bill_totals() is 'Adds new bills, and what changed of others, to bill_totals.';
create trigger bills_in_totals after insert on public.bills
    referencing new table as new_rows for each statement execute function private.keep_bill_totals();
create trigger changed_bills_in_totals after update on public.bills
    referencing old table as old_rows new table as new_rows for each statement execute function private.keep_bill_totals();

create function private.make_totals() returns void
    language plpgsql set search_path = '' as $$
begin
    lock table public.bills, public.ledger_entries in share row exclusive mode;
    delete from public.ledger_totals;
    delete from public.bill_totals;
    execute 'insert into public.ledger_totals (currency, book, month, kind, method, amount_minor, number) '
        || private.sums_of_entries('public.ledger_entries');
    execute 'insert into public.bill_totals (currency, month, state, bills, total_minor, open_minor) '
        || private.sums_of_bills('select 1 as sign, b.* from public.bills b');
end $$;
comment on function private.make_totals() is
    'Adds up all bills and entries anew: where they came without their triggers. Nobody posts meanwhile.';
select private.make_totals();

create function private.wrong_totals() returns table (subject text, detail text)
    language plpgsql stable set search_path = '' as $$
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
        select concat_ws('' '', currency, month, state),
               format(''%%s bills of %%s with %%s open kept, there are %%s of %%s with %%s'', coalesce(k.bills, 0),
                      coalesce(k.total_minor, 0), coalesce(k.open_minor, 0), coalesce(s.bills, 0),
                      coalesce(s.total_minor, 0), coalesce(s.open_minor, 0))
        from (select currency, month, state, sum(bills) as bills, sum(total_minor) as total_minor, sum(open_minor) as open_minor
              from public.bill_totals group by 1, 2, 3) k
        full join (%s) s using (currency, month, state)
        where coalesce(k.bills, 0) <> coalesce(s.bills, 0) or coalesce(k.total_minor, 0) <> coalesce(s.total_minor, 0)
           or coalesce(k.open_minor, 0) <> coalesce(s.open_minor, 0)',
        private.sums_of_entries('public.ledger_entries'),
        private.sums_of_bills('select 1 as sign, b.* from public.bills b'));
end $$;
comment on function private.wrong_totals() is 'The totals that are not what bills and entries come to.';

revoke all on function private.sums_of_entries(text), private.sums_of_bills(text), private.add_up_totals(),
    private.keep_ledger_totals(), private.keep_bill_totals(), private.make_totals(), private.wrong_totals()
    from public, anon, authenticated;
grant execute on function private.sums_of_entries(text), private.sums_of_bills(text), private.add_up_totals(),
    private.keep_ledger_totals(), private.keep_bill_totals(), private.wrong_totals() to service_role;
revoke execute on function private.make_totals() from service_role;

create or replace function public.month_books(p jsonb) RETURNS jsonb
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

create or replace function public.overview(p jsonb) RETURNS jsonb
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

create or replace function public.check_ledger(p jsonb) RETURNS jsonb
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

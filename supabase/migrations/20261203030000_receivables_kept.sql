-- What customers had open was added up from all open items, or all entries, whenever the month's books were looked at: more than
-- ten seconds with half a million open bills. Of today it is kept added up: of bills by their due date (bill_totals), of all else
-- here. Of a month that is over it is worked out once, a customer at a time, and kept; what is dated in that month later has its
-- customer worked out again.

create table public.open_totals (
    id bigint primary key generated always as identity,
    currency text not null,
    part text not null check (part in ('credit', 'opening_balance', 'other')),
    order_on date not null,
    items bigint not null,
    open_minor bigint not null
);
comment on table public.open_totals is
    'What is open on customers'' accounts beside their bills: credits (below 0), opening balances by their day, fees and all else with the day infinity. Parts, to be added up.';

create table public.aged_months (
    month date primary key check (extract(day from month) = 1),
    until timestamptz not null,
    reached uuid not null default '00000000-0000-0000-0000-000000000000',
    begun_at timestamptz not null default now(),
    done_at timestamptz,
    totals jsonb not null default '[]'
);
comment on table public.aged_months is
    'Months that are over and whose receivables are kept, or are being worked out: up to which customer, and by currency what they come to.';
comment on column public.aged_months.until is 'The instant at which the month ended in the utility''s zone.';

create table public.aged_accounts (
    month date not null references public.aged_months (month) on delete cascade,
    customer_id uuid not null references public.customers (id),
    currency text not null,
    not_due_minor bigint not null,
    late_30_minor bigint not null,
    late_60_minor bigint not null,
    late_90_minor bigint not null,
    later_minor bigint not null,
    credit_minor bigint not null,
    balance_minor bigint not null,
    late_minor bigint not null generated always as (late_30_minor + late_60_minor + late_90_minor + later_minor) stored,
    primary key (month, customer_id, currency)
);
comment on table public.aged_accounts is
    'What a customer had open when a month ended, by how many days it was past due. Whoever had nothing open has no row.';
create index aged_accounts_most on public.aged_accounts (month, currency, (-late_minor), customer_id);

create table public.aged_changes (
    id bigint primary key generated always as identity,
    month date not null references public.aged_months (month) on delete cascade,
    customer_id uuid not null references public.customers (id)
);
comment on table public.aged_changes is
    'Customers of whom something dated in a month was posted after it was worked out: until it is worked out again.';
create index aged_changes_month on public.aged_changes (month, customer_id);

alter table public.open_totals enable row level security;
alter table public.aged_months enable row level security;
alter table public.aged_accounts enable row level security;
alter table public.aged_changes enable row level security;
revoke all on public.open_totals, public.aged_months, public.aged_accounts, public.aged_changes from public, anon, authenticated, service_role;
grant select, insert, delete on public.open_totals, public.aged_accounts, public.aged_changes to service_role;
grant select, insert, update, delete on public.aged_months to service_role;
-- Rows are locked while they are added up or worked out again.
grant update (id) on public.open_totals, public.aged_changes to service_role;

create index overdue_accounts_by_currency on public.overdue_accounts (currency, (-overdue_minor), customer_id) where overdue_minor > 0;

create function private.sums_of_open(p_rows text) returns text
    language sql immutable set search_path = '' as $$
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
comment on function private.sums_of_open(text) is
    'The statement that adds rows of open_items up as open_totals has them; its rows have a sign besides, -1 for an item as it was.';

create function private.add_up_open_totals() returns void
    language plpgsql set search_path = '' as $$
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
comment on function private.add_up_open_totals() is 'Makes one row of the parts of each total of open_totals; their sums stay as they are.';

create function private.keep_open_totals() returns trigger
    language plpgsql set search_path = '' as $$
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
comment on function private.keep_open_totals() is 'Adds new open items, and what changed of others, to open_totals; those of bills are in bill_totals.';
create trigger open_items_in_totals after insert on public.open_items
    referencing new table as new_rows for each statement execute function private.keep_open_totals();
create trigger changed_open_items_in_totals after update on public.open_items
    referencing old table as old_rows new table as new_rows for each statement execute function private.keep_open_totals();

create function private.note_aged_changes() returns trigger
    language plpgsql set search_path = '' as $$
begin
    if exists (select 1 from public.aged_months m
               where m.month >= (select date_trunc('month', min(n.on_date))::date from new_rows n)) then
        insert into public.aged_changes (month, customer_id)
        select distinct m.month, n.customer_id
        from new_rows n join public.aged_months m on m.month >= date_trunc('month', n.on_date)::date
        where n.book = 'account';
    end if;
    return null;
end $$;
comment on function private.note_aged_changes() is 'Notes whose receivables of a month that is over are changed by new entries.';
create trigger entries_age_months after insert on public.ledger_entries
    referencing new table as new_rows for each statement execute function private.note_aged_changes();

create function private.aged_at(p_month date, p_until timestamptz, p_customers uuid[])
    returns table (customer_id uuid, currency text, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint, late_90_minor bigint,
                   later_minor bigint, credit_minor bigint, balance_minor bigint)
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
    set plan_cache_mode = force_custom_plan as $$
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
comment on function private.aged_at(date, timestamptz, uuid[]) is
    'What some customers had open when a month ended, by how many days it was past due: from entries and allocations, which never change.';

create function private.aged_now(p_as_of date, p_customers uuid[])
    returns table (customer_id uuid, currency text, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint, late_90_minor bigint,
                   later_minor bigint, credit_minor bigint, balance_minor bigint)
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
    set plan_cache_mode = force_custom_plan as $$
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
comment on function private.aged_now(date, uuid[]) is
    'What is open of some customers now, by how many days it is past due as bills are marked.';

create function private.aged_totals_now(p_as_of date) returns jsonb
    language sql stable set search_path = '' as $$
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
comment on function private.aged_totals_now(date) is
    'What is open now by currency and days past due, from what is kept added up; customers are counted to 10,001.';

create function private.aged_page_now(p jsonb, p_as_of date, p_currencies text[]) returns jsonb
    language plpgsql stable set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
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
comment on function private.aged_page_now(jsonb, date, text[]) is
    'Some customers with something open now, by currency, those with the most overdue bills first: {after?: {currency, late, id}, limit} -> {customers, after}.';

create function public.receivables(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' as $$
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
            -- Ids are random, so that how far they came says how many of them.
            'permille', case when v_kept.done_at is not null then 999
                             else coalesce(('x0000' || left(v_kept.reached::text, 4))::bit(32)::integer * 1000 / 65536, 0) end);
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
comment on function public.receivables(jsonb) is
    'What was open when a month ended, by how many days it was past due: {month: its 1st, until: the instant at which it ended, after?: {currency, late, id}, limit} -> {as_of, totals by currency, customers: those with the most past due first, after: for the next page, permille: how far it is worked out, where it is not yet}. Of a month that goes on, as bills are marked by now.';

create function public.age_month(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
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
comment on function public.age_month(jsonb) is
    'Works out a part of what was open when a month ended, and keeps it: {month: its 1st, until: the instant at which it ended, limit: customers} -> {done, worked: something was done}. One that is worked out has the customers worked out again of whom something came since.';

create function public.months_to_age(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('months', coalesce(jsonb_agg(jsonb_build_object('month', m.month, 'until', m.until) order by m.month desc), '[]'))
    from public.aged_months m
    where m.done_at is null or exists (select 1 from public.aged_changes c where c.month = m.month)
$$;
comment on function public.months_to_age(jsonb) is 'The months whose receivables were begun, or changed since, the last first: {} -> {months: [{month, until}]}.';

alter function private.make_sums() rename to make_sums_of_bills;
create function private.make_sums() returns void
    language plpgsql set search_path = '' as $$
begin
    perform private.make_sums_of_bills();
    delete from public.open_totals;
    execute 'insert into public.open_totals (currency, part, order_on, items, open_minor) '
        || private.sums_of_open('select 1 as sign, o.* from public.open_items o where o.open_minor <> 0');
    -- They are worked out again for whoever asks.
    delete from public.aged_months;
end $$;
comment on function private.make_sums() is 'Adds up all bills, entries and open items: where they came without their triggers. Nobody posts meanwhile.';

alter function private.wrong_sums() rename to wrong_sums_of_bills;
create function private.wrong_sums() returns table (subject text, detail text)
    language plpgsql stable set search_path = '' as $$
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
end $$;
comment on function private.wrong_sums() is 'The sums that are not what bills, entries and open items come to.';

lock table public.open_items in share row exclusive mode;
do $$ begin
    execute 'insert into public.open_totals (currency, part, order_on, items, open_minor) '
        || private.sums_of_open('select 1 as sign, o.* from public.open_items o where o.open_minor <> 0');
end $$;

drop function public.aged_receivables(jsonb);

revoke all on function private.sums_of_open(text), private.add_up_open_totals(), private.keep_open_totals(), private.note_aged_changes(),
    private.aged_at(date, timestamptz, uuid[]), private.aged_now(date, uuid[]), private.aged_totals_now(date),
    private.aged_page_now(jsonb, date, text[]), public.receivables(jsonb), public.age_month(jsonb), public.months_to_age(jsonb),
    private.make_sums(), private.wrong_sums() from public, anon, authenticated;
grant execute on function private.sums_of_open(text), private.add_up_open_totals(), private.keep_open_totals(), private.note_aged_changes(),
    private.aged_at(date, timestamptz, uuid[]), private.aged_now(date, uuid[]), private.aged_totals_now(date),
    private.aged_page_now(jsonb, date, text[]), public.receivables(jsonb), public.age_month(jsonb), public.months_to_age(jsonb),
    private.wrong_sums() to service_role;
revoke execute on function private.make_sums() from service_role;

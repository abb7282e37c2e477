-- The aged debt as of an earlier day looked at every customer, for a file and for each page. Where there are many it is worked
-- out once, some hundred customers at a time and in the background, and kept for the last few days that were asked for.

create table public.debt_days (
    until date primary key,
    until_at timestamptz not null,
    reached uuid not null default '00000000-0000-0000-0000-000000000000',
    customers bigint not null default 0,
    begun_at timestamptz not null default now(),
    done_at timestamptz
);
comment on table public.debt_days is 'Days as of whose end the aged debt is kept, or being worked out, up to which customer. The last few that were asked for.';
comment on column public.debt_days.until is 'The day after.';
comment on column public.debt_days.customers is 'How many were looked at until it was worked out.';
comment on column public.debt_days.until_at is 'Its first instant in the utility''s zone.';
create table public.debt_rows (
    until date not null references public.debt_days (until) on delete cascade,
    customer_id uuid not null references public.customers (id),
    currency text not null,
    not_due_minor bigint not null,
    late_30_minor bigint not null,
    late_60_minor bigint not null,
    late_90_minor bigint not null,
    later_minor bigint not null,
    credit_minor bigint not null,
    balance_minor bigint not null,
    since date,
    days_late integer,
    primary key (until, customer_id, currency)
);
comment on table public.debt_rows is 'What a customer had open at the end of a day, by days past due. Whoever had nothing open has no row.';
create index debt_rows_customer on public.debt_rows (customer_id);
create table public.debt_changes (
    id bigint generated always as identity primary key,
    until date not null references public.debt_days (until) on delete cascade,
    customer_id uuid not null references public.customers (id)
);
comment on table public.debt_changes is 'Customers of whom something dated before a day was posted after its debt was worked out: until it is worked out again.';
create index debt_changes_day on public.debt_changes (until, customer_id);
create index debt_changes_customer on public.debt_changes (customer_id);

alter table public.debt_days enable row level security;
alter table public.debt_rows enable row level security;
alter table public.debt_changes enable row level security;
revoke all on public.debt_days, public.debt_rows, public.debt_changes from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.debt_days to service_role;
grant select, insert, delete on public.debt_rows, public.debt_changes to service_role;
-- To take some of them away they are locked.
grant update (until) on public.debt_rows to service_role;
grant update (id) on public.debt_changes to service_role;

create or replace function private.note_aged_changes() returns trigger
    language plpgsql set search_path to ''
as $$
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
comment on function private.note_aged_changes() is 'Notes whose receivables of a month that is over, or debt as of a day, are changed by new entries.';

create function private.debt_at(p_until date, p_until_at timestamptz, p_customers uuid[])
    returns table (customer_id uuid, currency text, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint, late_90_minor bigint,
                   later_minor bigint, credit_minor bigint, balance_minor bigint, since date, days_late integer)
    language sql stable set search_path to ''
    set enable_hashjoin to 'off'
    set enable_mergejoin to 'off'
    set enable_seqscan to 'off'
    set plan_cache_mode to 'force_custom_plan'
as $$
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
comment on function private.debt_at(p_until date, p_until_at timestamptz, p_customers uuid[]) is 'What some customers had open at the end of the day before, by how many days it was past due: from entries and allocations, which never change.';

create function private.debt_now(p_until date, p_customers uuid[])
    returns table (customer_id uuid, currency text, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint, late_90_minor bigint,
                   later_minor bigint, credit_minor bigint, balance_minor bigint, since date, days_late integer)
    language sql stable set search_path to ''
    set enable_hashjoin to 'off'
    set enable_mergejoin to 'off'
    set enable_seqscan to 'off'
    set plan_cache_mode to 'force_custom_plan'
as $$
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
comment on function private.debt_now(p_until date, p_customers uuid[]) is 'What is open of some customers now, by how many days it was past due on the day before.';

create function private.debt_is_kept() returns boolean
    language sql stable set search_path to ''
as $$
    -- So many are looked at in some seconds.
    select count(*) > 3000 from (select 1 from public.accounts a where a.book = 'account' limit 3001) x
$$;
comment on function private.debt_is_kept() is 'Whether there are so many customers that their debt as of an earlier day is worked out once and kept.';

create or replace function public.report_aged_debt(p jsonb) returns jsonb
    language plpgsql stable set search_path to ''
    set enable_hashjoin to 'off'
    set enable_mergejoin to 'off'
as $$
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
comment on function public.report_aged_debt(p jsonb) is 'What was open at the end of a day, by customer and days past due: {until: exclusive, until_at: its instant, after?: {id, currency}, limit: customers looked at} -> {rows, after}, or {permille} while it is being worked out, where there are many customers. A bill is late from its due date on, all else from its own.';

create function public.age_debt(p jsonb) returns jsonb
    language plpgsql set search_path to ''
as $$
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
comment on function public.age_debt(p jsonb) is 'Works out a part of what was open at the end of a day, and keeps it: {until: the day after, until_at: its first instant, limit: customers} -> {worked: something was done}. A day that is worked out has the customers worked out again of whom something came since. Of the days that are kept the oldest goes.';

create function public.debts_to_age(p jsonb) returns jsonb
    language sql stable set search_path to ''
as $$
    select jsonb_build_object('days', coalesce(jsonb_agg(jsonb_build_object('until', d.until, 'until_at', d.until_at) order by d.begun_at desc), '[]'))
    from public.debt_days d
    where d.done_at is null or exists (select 1 from public.debt_changes c where c.until = d.until)
$$;
comment on function public.debts_to_age(p jsonb) is 'The days whose debt was begun, or changed since, the last first: {} -> {days: [{until, until_at}]}.';

revoke all on function private.debt_at(date, timestamptz, uuid[]), private.debt_now(date, uuid[]), private.debt_is_kept(),
    public.age_debt(jsonb), public.debts_to_age(jsonb) from public;
grant execute on function private.debt_at(date, timestamptz, uuid[]), private.debt_now(date, uuid[]), private.debt_is_kept(),
    public.age_debt(jsonb), public.debts_to_age(jsonb) to service_role;

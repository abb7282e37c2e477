-- What the bills of a month, of a tariff and of the drafts come to was added up bill by bill. The totals of bills are kept by
-- tariff version, by the month in which they end, and while they are open by the date on which they are due.

alter table public.bill_totals
    add column tariff_version_id uuid,
    add column priced_by uuid[],
    add column ended_in date,
    add column due_date date,
    add column consumption_wh bigint not null default 0,
    add column subtotal_minor bigint not null default 0,
    add column tax_minor bigint not null default 0,
    add column paid_minor bigint not null default 0;
comment on column public.bill_totals.priced_by is 'As bills have it; empty where they say nothing.';
comment on column public.bill_totals.ended_in is 'The month (its 1st) of the last day that they bill.';
comment on column public.bill_totals.due_date is 'Of open and overdue bills; infinity of all others.';
comment on table public.bill_totals is
    'What the bills issued in a month come to, by currency, state, tariff version, the month that they bill and the date on which they are due, and what of it is open: parts, to be added up. Drafts have the month infinity; void bills are in no total.';

-- What customers are late with, for lists in its order. Nothing of a bill run is late: its bills change nothing here.
create table public.overdue_accounts (
    customer_id uuid not null references public.customers,
    currency text not null,
    overdue_minor bigint not null,
    primary key (customer_id, currency)
);
comment on table public.overdue_accounts is
    'What is open of a customer''s overdue bills, by currency; 0 once it is paid. Kept with the bills.';
create index overdue_accounts_most on public.overdue_accounts (overdue_minor, customer_id) where overdue_minor > 0;
alter table public.overdue_accounts enable row level security;
revoke all on public.overdue_accounts from public, anon, authenticated, service_role;
grant select, insert, update on public.overdue_accounts to service_role;

create or replace function private.sums_of_bills(p_rows text) returns text
    language sql immutable set search_path = '' as $$
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

create or replace function private.add_up_totals() returns void
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

create function private.late_of_bills(p_rows text) returns text
    language sql immutable set search_path = '' as $$
    select format('
        select b.customer_id, b.currency, sum(b.sign * (b.total_minor - b.amount_paid_minor))::bigint as overdue_minor
        from (%s) b
        where b.status = ''issued'' and b.overdue_since is not null and b.amount_paid_minor < b.total_minor
        group by 1, 2 having sum(b.sign * (b.total_minor - b.amount_paid_minor)) <> 0', p_rows)
$$;
comment on function private.late_of_bills(text) is
    'The statement that adds rows of bills up as overdue_accounts has them; its rows have a sign besides, -1 for a bill as it was.';

create or replace function private.keep_bill_totals() returns trigger
    language plpgsql set search_path = ''
    as $$
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
comment on function private.keep_bill_totals() is
    'Adds new bills, and what changed of others, to bill_totals, and what is late of them to overdue_accounts.';

create or replace function private.make_totals() returns void
    language plpgsql set search_path = '' as $$
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

-- Only those of bills: adding up the entries again would take as long and change nothing.
do $$ begin
    lock table public.bills in share row exclusive mode;
    delete from public.bill_totals;
    execute 'insert into public.bill_totals (currency, month, state, tariff_version_id, priced_by, ended_in, due_date, bills, total_minor,
                                             open_minor, consumption_wh, subtotal_minor, tax_minor, paid_minor) '
        || private.sums_of_bills('select 1 as sign, b.* from public.bills b');
    execute 'insert into public.overdue_accounts (customer_id, currency, overdue_minor) '
        || private.late_of_bills('select 1 as sign, b.* from public.bills b');
end $$;
alter table public.bill_totals
    alter column tariff_version_id set not null,
    alter column priced_by set not null,
    alter column ended_in set not null,
    alter column due_date set not null;

create or replace function private.wrong_totals() returns table (subject text, detail text)
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

create function private.bill_total_in_words(p_bills numeric, p_total numeric, p_open numeric, p_paid numeric, p_wh numeric,
                                            p_subtotal numeric, p_tax numeric) returns text
    language sql immutable set search_path = '' as $$
    select format('%s bills of %s (%s and %s tax) with %s open and %s paid, %s Wh', coalesce(p_bills, 0), coalesce(p_total, 0),
                  coalesce(p_subtotal, 0), coalesce(p_tax, 0), coalesce(p_open, 0), coalesce(p_paid, 0), coalesce(p_wh, 0))
$$;
comment on function private.bill_total_in_words(numeric, numeric, numeric, numeric, numeric, numeric, numeric) is
    'What a total of bills says: the same words only for the same sums.';

revoke all on function private.late_of_bills(text),
    private.bill_total_in_words(numeric, numeric, numeric, numeric, numeric, numeric, numeric) from public, anon, authenticated;
grant execute on function private.late_of_bills(text),
    private.bill_total_in_words(numeric, numeric, numeric, numeric, numeric, numeric, numeric) to service_role;

create or replace function public.bills_of_span(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with bounds as (select (p ->> 'after')::date as after, (p ->> 'until')::date as until),
    parts as (
        -- Whole months, as after a run, are kept added up.
        select t.currency, t.bills, t.total_minor from public.bill_totals t, bounds s
        where extract(day from s.after) = 1 and extract(day from s.until) = 1 and t.ended_in >= s.after and t.ended_in < s.until
        union all
        select b.currency, 1, b.total_minor from public.bills b, bounds s
        where (extract(day from s.after) <> 1 or extract(day from s.until) <> 1)
          and b.period_end > s.after and b.period_end <= s.until and b.status <> 'void')
    select jsonb_build_object('currencies', coalesce(jsonb_agg(to_jsonb(g) order by g.currency), '[]'))
    from (select currency, sum(bills)::bigint as bills, sum(total_minor)::bigint as total_minor from parts
          group by 1 having sum(bills) <> 0) g
$$;

create or replace function public.draft_totals(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
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

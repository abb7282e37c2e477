-- Which accounts owe charges beside their bills is asked of open items, not of all charges that there ever were.

alter table public.open_items add column is_charge boolean not null default false;
comment on column public.open_items.is_charge is 'A fee or an opening balance of the account, which is dunned beside its bills.';

-- What is open stays as it is, so nothing is added up.
alter table public.open_items disable trigger changed_open_items_in_totals;
update public.open_items o set is_charge = true
from public.ledger_entries e
where e.id = o.entry_id and e.book = 'account' and e.kind in ('fee', 'opening_balance') and e.amount_minor > 0;
alter table public.open_items enable trigger changed_open_items_in_totals;

create index open_items_charges on public.open_items (customer_id) where is_charge and open_minor > 0;

create or replace function private.post_rows(p_entries private.new_entry[]) returns void
    language plpgsql
    set search_path = ''
    set enable_hashjoin = 'on'
    as $$
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

create or replace function private.accounts_in_arrears(p_after uuid, p_limit integer) returns uuid[]
    language plpgsql stable
    set search_path = ''
    set enable_seqscan = 'off'
    as $$
declare
    v_after constant uuid := coalesce(p_after, '00000000-0000-0000-0000-000000000000'::uuid);
begin
    return array(
        select x.customer_id
        from ((select distinct b.customer_id from public.bills b
               where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
                 and b.customer_id > v_after
               order by 1 limit p_limit)
              union
              (select distinct o.customer_id from public.open_items o
               where o.is_charge and o.open_minor > 0 and o.customer_id > v_after
               order by 1 limit p_limit)) x
        order by 1 limit p_limit);
end $$;

create or replace function private.dunning_charges_alone(p_after uuid, p_today date, p_limit integer) returns uuid[]
    language plpgsql stable
    set search_path = ''
    set enable_seqscan = 'off'
    as $$
declare
    v_after uuid := p_after;
    v_some uuid[];
    v_found uuid[] := '{}';
begin
    -- Some at a time, by the index of open charges: whether they are due is worked out for all of these together.
    loop
        v_some := array(
            select distinct o.customer_id from public.open_items o
            where o.is_charge and o.open_minor > 0 and o.customer_id > v_after order by 1 limit 500);
        v_found := v_found || array(
            select distinct c.customer_id from private.due_charges_of(v_some, p_today) c
            where not exists (select 1 from public.bills b
                              where b.customer_id = c.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor
                                and b.overdue_since is not null offset 0)
            order by 1);
        exit when cardinality(v_some) < 500 or cardinality(v_found) >= p_limit;
        v_after := v_some[500];
    end loop;
    return v_found[1:p_limit];
end $$;

create or replace function private.due_charges_of(p_customers uuid[], p_today date) returns table(customer_id uuid, currency text, occasion text, due_date date, open_minor bigint, bill_id uuid)
    language plpgsql stable
    set search_path = ''
    as $$
#variable_conflict use_column
begin
    return query
    with charges as materialized (
        select e.customer_id, e.currency, e.id, e.on_date, e.entry_no, o.open_minor
        from public.open_items o
        join public.ledger_entries e on e.id = o.entry_id
        where o.customer_id = any (p_customers) and o.is_charge and o.open_minor > 0
    ), first as materialized (
        select distinct on (c.customer_id, c.currency) c.* from charges c order by c.customer_id, c.currency, c.on_date, c.entry_no
    ), anchors as materialized (
        -- Messages hang on a bill: on the one that was there when the charge was made, else on the next.
        select f.customer_id, f.currency, f.id as entry_id, b.id,
               -- As bills would be, where there is none.
               coalesce(b.term, (select (s.settings ->> 'due_days')::integer from public.utility_settings s
                                 order by s.version desc limit 1), 15) as term
        from first f
        left join lateral (
            select x.id, greatest(0, x.due_date - x.issued_on) as term from public.bills x
            where x.customer_id = f.customer_id and x.currency = f.currency and x.status = 'issued'
            order by x.issued_on <= f.on_date desc, abs(x.issued_on - f.on_date), x.id limit 1) b on true)
    select c.customer_id, c.currency, 'charges-' || a.entry_id, min(c.on_date) + a.term, sum(c.open_minor)::bigint, a.id
    from charges c join anchors a on a.customer_id = c.customer_id and a.currency = c.currency
    where c.on_date + a.term < p_today
    group by c.customer_id, c.currency, a.entry_id, a.term, a.id;
end $$;

-- It was there to walk the charges.
drop index public.ledger_entries_charges;

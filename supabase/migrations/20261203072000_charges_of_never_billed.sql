-- Accounts that were never billed are sent messages about charges that are due, and who owes charges is listed with who owes bills.

alter table public.dunning_actions alter column bill_id drop not null;
comment on column public.dunning_actions.bill_id is 'Null for charges of an account that has no bill.';
create unique index dunning_actions_of_account on public.dunning_actions (customer_id, occasion, step) where bill_id is null;

create function private.dunning_charges_alone(p_after uuid, p_today date, p_limit integer) returns uuid[]
    language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
    v_after uuid := p_after;
    v_some uuid[];
    v_found uuid[] := '{}';
begin
    -- Some at a time, by the index of charges: whether they are due is worked out for all of these together.
    loop
        v_some := array(
            select distinct e.customer_id from public.ledger_entries e
            where e.book = 'account' and e.kind in ('fee', 'opening_balance') and e.amount_minor > 0 and e.customer_id > v_after
              and exists (select 1 from public.open_items o where o.entry_id = e.id and o.open_minor > 0 offset 0)
            order by 1 limit 500);
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
comment on function private.dunning_charges_alone(uuid, date, integer) is 'The next accounts, by id, that owe charges that are due and no overdue bill.';

create or replace function public.arrears_page(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    -- Behind the bills come the charges, with a date that no bill is due on.
    v_charges_on constant date := '9999-12-31';
    v_date constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
    v_oldest uuid[] := '{}';
    v_alone uuid[] := '{}';
    v_debts jsonb;
begin
    if v_date < v_charges_on then
        v_oldest := array(
            select b.id from public.bills b
            where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
              and (b.due_date, b.id) > (v_date, v_id)
              and not exists (select 1 from public.bills o
                              where o.customer_id = b.customer_id and o.status = 'issued' and o.amount_paid_minor < o.total_minor
                                and o.overdue_since is not null and (o.due_date, o.id) < (b.due_date, b.id) and o.currency = b.currency
                              offset 0)
            order by b.due_date, b.id limit v_limit);
    end if;
    if cardinality(v_oldest) < v_limit then
        v_alone := private.dunning_charges_alone(
            case when v_date < v_charges_on then '00000000-0000-0000-0000-000000000000' else v_id end, v_today,
            v_limit - cardinality(v_oldest));
    end if;
    v_debts := (
        with charges as materialized (
            select d.* from private.due_charges_of(
                v_alone || array(select b.customer_id from public.bills b where b.id = any (v_oldest)), v_today) d
        ), debts as (
            select b.customer_id, b.currency, b.id as bill_id, b.due_date as since, t.overdue_minor, t.bills,
                   coalesce(c.open_minor, 0) as charges_minor, x.place, b.customer_id as key
            from unnest(v_oldest) with ordinality x(id, place)
            join public.bills b on b.id = x.id
            cross join lateral (
                select sum(y.total_minor - y.amount_paid_minor)::bigint as overdue_minor, count(*)::integer as bills from public.bills y
                where y.customer_id = b.customer_id and y.currency = b.currency and y.status = 'issued'
                  and y.amount_paid_minor < y.total_minor and y.overdue_since is not null) t
            left join charges c on c.customer_id = b.customer_id and c.currency = b.currency
            union all
            select c.customer_id, c.currency, c.bill_id, c.due_date, 0, 0, c.open_minor, v_limit + x.place, c.customer_id
            from unnest(v_alone) with ordinality x(id, place)
            join charges c on c.customer_id = x.id)
        select jsonb_agg(jsonb_build_object(
            'customer_id', d.customer_id, 'account_no', c.account_no, 'customer_name', c.name, 'currency', d.currency,
            'bill_id', d.bill_id, 'since', d.since, 'overdue_minor', d.overdue_minor, 'bills', d.bills, 'charges_minor', d.charges_minor,
            'last', l.last, 'held', private.held_of(array[d.customer_id], v_today) <> '{}') order by d.place, d.currency)
        from debts d
        join public.customers c on c.id = d.customer_id
        left join lateral (
            select to_jsonb(a) as last from public.dunning_actions a
            where a.customer_id = d.customer_id and a.currency = d.currency and a.action <> 'reminder'
            order by a.taken_on desc, a.day desc limit 1) l on true);
    return jsonb_build_object('rows', coalesce(v_debts, '[]'), 'after', case
        when cardinality(v_oldest) = v_limit then (
            select jsonb_build_object('due_date', b.due_date, 'id', b.id) from public.bills b where b.id = v_oldest[v_limit])
        when cardinality(v_oldest) + cardinality(v_alone) = v_limit then
            jsonb_build_object('due_date', v_charges_on, 'id', v_alone[cardinality(v_alone)]) end);
end $$;
comment on function public.arrears_page(jsonb) is 'Accounts that owe something overdue: those with overdue bills, that owe for the longest first, then by id those with charges alone that are due: {today, after?, limit} -> {rows: [{customer_id, account_no, customer_name, currency, bill_id: the oldest, null of charges of who was never billed, since, overdue_minor: of bills, bills, charges_minor: of charges beside or alone, last: the last step that was taken, held}], after}.';

-- Each as it is now, whatever else changed it.
do $do$
declare
    v record;
    v_text text;
begin
    for v in select x.name, array_agg(x.old order by x.place) as old, array_agg(x.new order by x.place) as new from (values
        (1, 'private.due_charges_of(uuid[],date)',
$old$        select f.customer_id, f.currency, f.id as entry_id, b.id, b.term
        from first f
        cross join lateral ($old$,
$new$        select f.customer_id, f.currency, f.id as entry_id, b.id,
               -- As bills would be, where there is none.
               coalesce(b.term, (select (s.settings ->> 'due_days')::integer from public.utility_settings s
                                 order by s.version desc limit 1), 15) as term
        from first f
        left join lateral ($new$),
        (2, 'private.due_charges_of(uuid[],date)',
$old$abs(x.issued_on - f.on_date), x.id limit 1) b)$old$,
$new$abs(x.issued_on - f.on_date), x.id limit 1) b on true)$new$),
        (3, 'private.dunning_due(uuid[],date)',
$old$          and a.bill_id <> all (v_dunned)$old$,
$new$          and (a.bill_id is null or a.bill_id <> all (v_dunned))$new$),
        (4, 'private.take_dunning(jsonb,jsonb)',
$old$        on conflict (bill_id, occasion, step) do nothing$old$,
$new$        on conflict do nothing$new$),
        (5, 'private.take_dunning(jsonb,jsonb)',
$old$    insert into public.outbox (id, bill_id, kind,$old$,
$new$    insert into public.outbox (id, bill_id, customer_id, kind,$new$),
        (6, 'private.take_dunning(jsonb,jsonb)',
$old$    select gen_random_uuid(), a.bill_id,
$old$,
$new$    select gen_random_uuid(), a.bill_id, case when a.bill_id is null then a.customer_id end,
$new$),
        (7, 'private.take_dunning(jsonb,jsonb)',
$old$    on conflict (bill_id, kind, occasion) do nothing;$old$,
$new$    on conflict do nothing;$new$),
        (8, 'public.arrears_of_bill(jsonb)',
$old$    from public.bills x
$old$,
$new$    from private.message_subject((p ->> 'bill_id')::uuid, (p ->> 'customer_id')::uuid) x
$new$),
        (9, 'public.arrears_of_bill(jsonb)',
$old$
    where x.id = (p ->> 'bill_id')::uuid$old$, ''),
        (10, 'public.dunning_history(jsonb)',
$old$        join public.bills b on b.id = a.bill_id$old$,
$new$        left join public.bills b on b.id = a.bill_id$new$),
        (11, 'public.dunning_preview(jsonb)',
$old$            join public.bills b on b.id = (x.value ->> 'bill_id')::uuid)$old$,
$new$            left join public.bills b on b.id = (x.value ->> 'bill_id')::uuid)$new$)
    ) as x (place, name, old, new) group by x.name loop
        v_text := pg_get_functiondef(v.name::regprocedure);
        for n in 1 .. cardinality(v.old) loop
            if position(v.old[n] in v_text) = 0 then
                raise exception 'There is nothing to change in %: %', v.name, n;
            end if;
            v_text := replace(v_text, v.old[n], v.new[n]);
        end loop;
        execute v_text;
    end loop;
end $do$;
comment on function private.due_charges_of(uuid[], date) is 'What is open and due on some accounts beside their bills, such as fees and opening balances: as one debt, which is that of the oldest of them. A charge is due after as many days as the account''s bills are, or would be: bill_id is null where it has none.';
comment on function public.arrears_of_bill(jsonb) is 'What the account of a bill, or an account without one, owes overdue in its currency: {bill_id, or null and customer_id, today?} -> {overdue_minor: of bills, bills, since, charges_minor: of charges that are due, charges_since}.';
revoke all on function private.dunning_charges_alone(uuid, date, integer) from public;
grant execute on function private.dunning_charges_alone(uuid, date, integer) to service_role;

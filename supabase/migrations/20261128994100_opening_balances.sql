-- What a utility that moves in from another system brings: each account's opening balance, which is a ledger entry like
-- any other, and past payments, which are history and in no ledger.

alter table public.ledger_entries drop constraint ledger_entries_check;
alter table public.ledger_entries add constraint ledger_entries_check check (
    case kind
        when 'bill' then bill_id is not null and undoes_id is null
        when 'bill_void' then bill_id is not null and undoes_id is not null
        when 'payment' then payment_id is not null and amount_minor < 0
        when 'refund' then return_id is not null and amount_minor > 0
        when 'reversal' then return_id is not null and amount_minor > 0
        when 'dispute' then return_id is not null and amount_minor > 0
        when 'payout' then return_id is not null and amount_minor > 0
        when 'return_undone' then return_id is not null and undoes_id is not null and amount_minor < 0
        when 'credit' then amount_minor < 0 and btrim(note) <> ''
        when 'credit_undone' then amount_minor > 0 and undoes_id is not null
        when 'fee' then amount_minor > 0 and btrim(note) <> ''
        when 'fee_undone' then amount_minor < 0 and undoes_id is not null
        when 'deposit_used' then amount_minor <> 0
        when 'opening_balance' then amount_minor <> 0 and btrim(note) <> '' and (book = 'account' or amount_minor < 0)
        when 'opening_balance_undone' then amount_minor <> 0 and undoes_id is not null
        else false
    end);

create table public.past_payments (
    id uuid primary key,
    customer_id uuid not null references public.customers,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    method text not null default '',
    reference text not null default '',
    received_on date not null,
    imported_by text not null check (imported_by <> ''),
    created_at timestamptz not null default now()
);
comment on table public.past_payments is
    'Payments that another system took before this one: to be looked at. They are in no ledger and pay nothing; what they left open is the opening balance.';
create index past_payments_of_customer on public.past_payments (customer_id, received_on desc, id);
alter table public.past_payments enable row level security;
revoke all on public.past_payments from public, anon, authenticated, service_role;
grant select, insert on public.past_payments to service_role;
select private.never_changed('public.past_payments');

create function public.account_currencies(p jsonb) returns jsonb
language sql stable set search_path = '' set plan_cache_mode = force_custom_plan as $$
    select jsonb_build_object('found', coalesce(jsonb_object_agg(c.account_no, c.currency), '{}'))
    from public.customers c
    where c.account_no = any (array(select jsonb_array_elements_text(p -> 'account_nos'))) and c.currency is not null
$$;
comment on function public.account_currencies(jsonb) is
    'The currencies of accounts that have one: {account_nos: [...]} gives {found: {account_no: currency}}.';
revoke all on function public.account_currencies(jsonb) from public;
grant execute on function public.account_currencies(jsonb) to service_role;

create function public.import_balances(p jsonb) returns jsonb
language plpgsql set search_path = '' set plan_cache_mode = force_custom_plan as $$
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
            when e.id is not null and (e.amount_minor, o.order_on) is distinct from (x.amount_minor, x.as_of) then array['balance', format(
                'Account %s has an opening balance with this reference already, as of %s and of another amount or date. Take that one back on the customer''s page, and give this row another reference.',
                x.account_no, o.order_on)]
            end as problem
        from jsonb_to_recordset(p -> 'rows') as x("row" integer, id uuid, account_no text, currency text, amount_minor bigint, as_of date)
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
                'id', x.id, 'customer_id', c.id, 'currency', x.currency, 'kind', 'opening_balance', 'amount_minor', x.amount_minor,
                'on_date', x.as_of, 'order_on', x.as_of, 'note', x.note) order by x.as_of, x."row")
            from jsonb_to_recordset(p -> 'rows') as x(
                "row" integer, id uuid, account_no text, currency text, amount_minor bigint, as_of date, note text)
            join public.customers c on c.account_no = x.account_no
            where x.amount_minor <> 0 and not exists (select 1 from public.ledger_entries e where e.id = x.id))) where v_added > 0;
        perform private.settle(v_customers) where v_added > 0;
    end if;
    return private.import_answer(v_errors, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;
comment on function public.import_balances(jsonb) is
    'Enters what was owed or in credit before this system, and lets credit pay what is open: {actor, dry_run, outbox?, rows: [{row, id, account_no, currency, amount_minor: above 0 is owed, as_of, note}]}. A repeat changes nothing; an amount of 0 is no entry.';
revoke all on function public.import_balances(jsonb) from public;
grant execute on function public.import_balances(jsonb) to service_role;

create function public.import_past_payments(p jsonb) returns jsonb
language plpgsql set search_path = '' set plan_cache_mode = force_custom_plan as $$
declare
    v_errors jsonb;
    v_added integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', case when c.id is null then 'account_no' else 'currency' end,
               'message', case when c.id is null then format('No customer has the account number %s.', x.account_no)
                               else format('Account %s is in %s, not in %s.', x.account_no, c.currency, x.currency) end) order by x."row")
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, currency text)
    left join public.customers c on c.account_no = x.account_no
    where c.id is null or c.currency <> x.currency;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.past_payments (id, customer_id, amount_minor, currency, method, reference, received_on, imported_by)
        select x.id, c.id, x.amount_minor, x.currency, x.method, x.reference, x.received_on, p ->> 'actor'
        from jsonb_to_recordset(p -> 'rows') as x(
            id uuid, account_no text, amount_minor bigint, currency text, method text, reference text, received_on date)
        join public.customers c on c.account_no = x.account_no
        on conflict do nothing;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(v_errors, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;
comment on function public.import_past_payments(jsonb) is
    'Keeps payments that another system took, which pay nothing here: {actor, dry_run, rows: [{row, id, account_no, amount_minor, currency, method, reference, received_on}]}. A repeat changes nothing.';
revoke all on function public.import_past_payments(jsonb) from public;
grant execute on function public.import_past_payments(jsonb) to service_role;

-- An opening balance is paid, taken back and told of like a fee or a credit.

create or replace function public.undo_adjustment(p jsonb) RETURNS jsonb
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

create or replace function public.allocate_credit(p jsonb) RETURNS jsonb
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

create or replace function private.left_of_payment(p_payment_id uuid) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select case y.book when 'deposit' then private.open_credit(y.customer_id, y.book, y.currency)
        else -o.open_minor + coalesce((
            select sum(a.amount_minor) from public.allocations a
            join public.ledger_entries d on d.id = a.debit_entry_id and d.kind in ('bill', 'fee', 'opening_balance')
            where a.credit_entry_id = e.id), 0)::bigint end
    from public.payments y
    join public.ledger_entries e on e.payment_id = y.id and e.kind = 'payment'
    join public.open_items o on o.entry_id = e.id
    where y.id = p_payment_id
$$;

create or replace function private.post_return(r public.payment_returns) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_paid public.open_items;
    v_id uuid := gen_random_uuid();
begin
    if r.customer_id is null then
        return;
    end if;
    select o.* into v_paid from public.ledger_entries e join public.open_items o on o.entry_id = e.id
    where e.payment_id = r.payment_id and e.kind = 'payment' and e.book = 'account';
    if found and -v_paid.open_minor < r.amount_minor then
        perform private.take_back(v_paid.entry_id, r.amount_minor + v_paid.open_minor, array['bill', 'fee', 'opening_balance']);
        select * into v_paid from public.open_items where entry_id = v_paid.entry_id;
    end if;
    perform private.post_entries(jsonb_build_array(jsonb_build_object(
        'id', v_id, 'customer_id', r.customer_id, 'book', r.book, 'currency', r.currency, 'kind', r.kind,
        'amount_minor', r.amount_minor, 'payment_id', r.payment_id, 'return_id', r.id, 'on_date', r.on_date,
        'note', r.reason)));
    if v_paid.entry_id is null then
        perform private.pay_from_credit(v_id);
    elsif v_paid.open_minor < 0 then
        perform private.allocate(jsonb_build_array(jsonb_build_object(
            'credit', v_paid.entry_id, 'debit', v_id, 'amount', least(-v_paid.open_minor, r.amount_minor))));
    end if;
    perform private.settle(array[r.customer_id]);
    if r.kind in ('refund', 'dispute') and v_paid.entry_id is not null then
        perform private.spare_reopened(r, v_paid.entry_id);
    end if;
end $$;

create or replace function private.recorded_beside_audit(p_of text, p_id uuid) RETURNS TABLE(key text, at timestamp with time zone, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select 'l' || e.id, e.created_at, e.actor, 'insert',
           case e.kind when 'deposit_used' then 'deposit_uses' else 'adjustments' end, e.id::text, null::jsonb,
           jsonb_build_object('kind', e.kind, 'amount_minor', e.amount_minor, 'currency', e.currency, 'on_date', e.on_date, 'note', e.note)
    from public.ledger_entries e
    where p_of = 'customer' and e.customer_id = p_id and e.book = 'account'
      and e.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used', 'opening_balance', 'opening_balance_undone')
    union all
    select 'n' || n.id, n.created_at, 'system:owed-work', 'insert', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id)
    from public.notifications n
    where n.id = any (array(
        select k.id from public.notifications k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.notifications k where p_of = 'bill' and k.bill_id = p_id))
    union all
    select 'c' || c.id, c.created_at, c.created_by, 'insert', 'corrections', c.id::text, null,
           jsonb_build_object('kind', c.kind, 'reason', c.reason, 'difference_minor', c.difference_minor, 'currency', c.currency,
                              'meter_id', c.meter_id, 'bills', (select count(*) from public.corrected_bills x where x.correction_id = c.id))
    from public.corrections c
    where c.id = any (array(
        select k.id from public.corrections k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.corrections k where p_of = 'meter' and k.meter_id = p_id
        union all
        select x.correction_id from public.corrected_bills x where p_of = 'bill' and (x.void_bill_id = p_id or x.new_bill_id = p_id)))
    union all
    select 'f' || f.reason, f.raised_at, 'system:payments', 'insert', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'detail', f.detail)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id
    union all
    select 'g' || f.reason, f.resolved_at, f.resolved_by, 'update', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'resolution', f.resolution)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id and f.resolved_at is not null
    union all
    select 'p' || lpad(a.id::text, 19, '0'), a.created_at, a.actor, 'insert', 'allocations', a.id::text, null,
           jsonb_build_object('amount_minor', a.amount_minor, 'currency', c.currency, 'kind', d.kind, 'note', d.note, 'bill_id', d.bill_id)
    from public.ledger_entries c
    join public.allocations a on a.credit_entry_id = c.id
    join public.ledger_entries d on d.id = a.debit_entry_id
    where p_of = 'payment' and c.kind = 'payment' and c.payment_id = p_id
    union all
    select 's' || s.id, s.created_at, s.created_by, 'insert', 'supply_changes', s.id::text, null,
           jsonb_build_object('kind', s.kind, 'reason', s.reason, 'effective_on', s.effective_on, 'service_point_id', s.service_point_id)
    from public.supply_changes s
    where s.id = any (array(
        -- One that names an agreement is of its customer, another one of whoever was supplied there that day.
        select k.id from public.service_agreements g join public.supply_changes k on k.service_point_id = g.service_point_id
            and case when k.agreement_id is not null then k.agreement_id = g.id
                     else k.effective_on between g.starts_on and coalesce(g.ends_on, 'infinity') end
        where p_of = 'customer' and g.customer_id = p_id
        union all
        select k.id from public.meter_installations i join public.supply_changes k on k.service_point_id = i.service_point_id
            and k.effective_on between i.installed_on and coalesce(i.removed_on, 'infinity')
        where p_of = 'meter' and i.meter_id = p_id))
$$;

create or replace function public.aged_receivables(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with span as (
        select ((p ->> 'month')::date + interval '1 month')::date as next, (p ->> 'until')::timestamptz as until,
               -- A month that is not over is looked at as the bills are marked today.
               (p ->> 'until')::timestamptz > now() as goes_on
    ), day as (
        select s.*, case when s.goes_on then least(coalesce(private.overdue_as_of(), now()::date), s.next - 1) else s.next - 1 end as as_of
        from span s
    ), entries as materialized (
        select e.id, e.customer_id, e.currency, e.amount_minor, e.bill_id, e.kind, e.on_date, e.created_at
        from public.ledger_entries e, span s where e.book = 'account' and e.on_date < s.next
    ), allocated as (
        select y.id, sum(y.amount) as amount
        from public.allocations a
        join entries c on c.id = a.credit_entry_id
        join entries d on d.id = a.debit_entry_id
        cross join span s
        cross join lateral (values (c.id, a.amount_minor), (d.id, -a.amount_minor)) y(id, amount)
        -- What was let pay, or taken back, after the month is of a later month. But an entry that was
        -- written later and dated in it comes with what it paid at once.
        where a.created_at < s.until or a.created_at <= greatest(c.created_at, d.created_at)
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

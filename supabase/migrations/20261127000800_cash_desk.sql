-- What the cash desk adds: a payment for one bill alone, accounts opened by their first money, what of
-- a payment was paid out, an account's timeline, and the overview's "collected" net of what went back.

-- An account without a meter takes a deposit; from then on it has that currency.
create function private.open_account() returns trigger
language plpgsql set search_path = '' as $$
begin
    update public.customers set currency = new.currency where id = new.customer_id and currency is null;
    return null;
end $$;
create trigger accounts_have_a_currency after insert on public.accounts
    for each row execute function private.open_account();

-- Payments are stored and counted together: one after the other costs milliseconds each.
create function private.store_payments(p_rows jsonb) returns uuid[]
language plpgsql set search_path = '' as $$
declare
    v_new uuid[];
begin
    with stored as (
        insert into public.payments (id, bill_id, customer_id, amount_minor, currency, method, reference, received_at,
                                     received_on, book, provider_id, recorded_by)
        select x.id, x.bill_id, coalesce(x.customer_id, b.customer_id), x.amount_minor, x.currency, x.method,
               coalesce(x.reference, ''), x.received_at, x.received_on, coalesce(x.book, 'account'), x.provider_id,
               current_setting('billing.actor')
        from jsonb_to_recordset(p_rows) as x(
            id uuid, bill_id uuid, customer_id uuid, amount_minor bigint, currency text, method text, reference text,
            received_at timestamptz, received_on date, book text, provider_id text)
        left join public.bills b on b.id = x.bill_id
        on conflict do nothing
        returning id
    )
    select coalesce(array_agg(s.id order by r.place), '{}') into v_new
    from stored s
    join (select (x ->> 'id')::uuid as id, min(place) as place
          from jsonb_array_elements(p_rows) with ordinality as e(x, place) group by 1) r using (id);
    return v_new;
end $$;
comment on function private.store_payments is
    'Stores those payments that are not there already (by id or by the provider''s id): the new ones'' ids, in order.';

create function private.post_payments(p_ids uuid[], p_apply text) returns void
language plpgsql set search_path = '' as $$
declare
    v_ids uuid[] := array(
        select y.id from unnest(p_ids) with ordinality as i(id, place)
        join public.payments y on y.id = i.id
        where y.customer_id is not null order by i.place);
begin
    perform private.post_entries((
        select jsonb_agg(jsonb_build_object(
            'customer_id', y.customer_id, 'book', y.book, 'currency', y.currency, 'kind', 'payment',
            'amount_minor', -y.amount_minor, 'payment_id', y.id, 'on_date', y.received_on, 'note', y.reference)
            order by i.place)
        from unnest(v_ids) with ordinality as i(id, place) join public.payments y on y.id = i.id));
    if p_apply = 'none' then
        return;
    end if;
    perform private.allocate((
        with credits as (
            select c.id, y.bill_id, c.currency, y.amount_minor as amount,
                   sum(y.amount_minor) over (partition by y.bill_id, c.currency order by i.place) as upto
            from unnest(v_ids) with ordinality as i(id, place)
            join public.payments y on y.id = i.id and y.book = 'account' and y.bill_id is not null
            join public.ledger_entries c on c.payment_id = y.id and c.kind = 'payment'
        )
        select jsonb_agg(jsonb_build_object(
                   'credit', c.id, 'debit', o.entry_id,
                   'amount', least(c.upto, o.open_minor) - least(c.upto - c.amount, o.open_minor)))
        from credits c
        join public.ledger_entries d on d.bill_id = c.bill_id and d.kind = 'bill' and d.currency = c.currency
        join public.open_items o on o.entry_id = d.id and o.open_minor > c.upto - c.amount));
    if p_apply = 'oldest' then
        perform private.settle(array(
            select distinct y.customer_id from public.payments y where y.id = any (v_ids) and y.book = 'account'));
    end if;
end $$;
comment on function private.post_payments is
    'Counts payments in their accounts. oldest: the bill that each names first, then the oldest that is open. bill: that bill alone, the rest stays open. none: all of it stays open.';

create or replace function private.post_payment(y public.payments, p_apply text) returns void
language sql set search_path = '' as $$
    select private.post_payments(array[y.id], p_apply)
$$;

create or replace function private.take_payment(p_row jsonb) returns boolean
language plpgsql set search_path = '' as $$
declare
    v_new uuid[] := private.store_payments(jsonb_build_array(p_row));
begin
    perform private.post_payments(v_new, coalesce(p_row ->> 'apply', 'oldest')) where v_new <> '{}';
    return v_new <> '{}';
end $$;

create or replace function public.record_payments(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_apply text;
    v_new uuid[];
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array(
        select coalesce((x ->> 'customer_id')::uuid, b.customer_id)
        from jsonb_array_elements(p -> 'payments') x left join public.bills b on b.id = (x ->> 'bill_id')::uuid));
    -- A repeat of the call counts nothing twice, whatever became of the bill meanwhile.
    perform private.check_payment(x) from jsonb_array_elements(p -> 'payments') x
    where not exists (select 1 from public.payments where id = (x ->> 'id')::uuid);
    v_new := private.store_payments(p -> 'payments');
    foreach v_apply in array array['oldest', 'bill', 'none'] loop
        perform private.post_payments(f.ids, v_apply)
        from (select array_agg(i.id order by i.place) as ids
              from unnest(v_new) with ordinality as i(id, place)
              where v_apply = coalesce((select x ->> 'apply' from jsonb_array_elements(p -> 'payments') x
                                        where (x ->> 'id')::uuid = i.id limit 1), 'oldest')) f
        where f.ids is not null;
    end loop;
    if p #> '{owed,payment_received}' is not null then
        perform private.owe_thanks(i.id, p #> '{owed,payment_received}') from unnest(v_new) as i(id);
    end if;
    return jsonb_build_object('recorded', cardinality(v_new));
end $$;
comment on function public.record_payments is
    'Stores payments and lets them pay, all or none: {actor, owed?: {payment_received, balance_changed}, payments: [{id, bill_id? or customer_id?, amount_minor, currency, method, reference, received_at, received_on, book?, apply?: oldest|bill|none}]}. What is more than the bill named pays the oldest that is open, and what is left stays on the account.';

create or replace view public.payment_list with (security_invoker = true) as
select y.id, y.bill_id, b.number as bill_number, y.customer_id, c.account_no, c.name as customer_name, y.amount_minor,
       y.currency, y.method, y.reference, y.received_at, y.received_on, y.book, y.provider_id, y.recorded_by, y.created_at,
       e.id as entry_id, coalesce(-o.open_minor, 0) as open_minor,
       coalesce(r.returned_minor, 0)::bigint as returned_minor, coalesce(r.pending_minor, 0)::bigint as pending_minor,
       coalesce(f.flags, '{}') as flags,
       case
           when y.customer_id is null then 'unidentified'
           when coalesce(r.returned_minor, 0) >= y.amount_minor then 'returned'
           when y.book = 'deposit' then 'deposit'
           when coalesce(-o.open_minor, 0) = 0 then 'applied'
           when -o.open_minor = y.amount_minor then 'unapplied'
           else 'partly_applied'
       end as status,
       lower(concat_ws(' ', private.invoice_reference(b.number), c.account_no, c.name, y.reference, y.provider_id)) as search,
       coalesce(w.spent_minor, 0)::bigint as spent_minor
from public.payments y
left join public.bills b on b.id = y.bill_id
left join public.customers c on c.id = y.customer_id
left join public.ledger_entries e on e.payment_id = y.id and e.kind = 'payment'
left join public.open_items o on o.entry_id = e.id
left join lateral (
    select sum(x.amount_minor) filter (where x.status = 'done') as returned_minor,
           sum(x.amount_minor) filter (where x.status = 'pending') as pending_minor
    from public.payment_returns x where x.payment_id = y.id) r on true
left join lateral (
    select array_agg(g.reason order by g.reason) as flags from public.payment_flags g
    where g.payment_id = y.id and g.resolved_at is null) f on true
left join lateral (
    select sum(a.amount_minor) as spent_minor
    from public.allocations a join public.ledger_entries d on d.id = a.debit_entry_id
    where a.credit_entry_id = e.id and d.kind in ('payout', 'deposit_used')) w on true;
comment on column public.payment_list.spent_minor is 'Paid out as credit, or used of a deposit: it cannot go back as a refund as well.';

create index notifications_customer on public.notifications (customer_id);

create view public.timeline_list with (security_invoker = true) as
select e.id, e.customer_id, e.kind as what,
       -- What was entered later stands where it counts.
       coalesce(case e.kind when 'bill' then b.issued_at when 'payment' then y.received_at end,
                least(e.created_at, (e.on_date + 1)::timestamp at time zone 'UTC')) as at,
       e.on_date, e.book, e.currency, e.amount_minor, e.balance_minor, e.bill_id, b.number as bill_number, e.payment_id,
       coalesce(r.method, y.method) as method, e.note, e.actor, null::text as status, null::text as channel
from public.ledger_entries e
left join public.bills b on b.id = e.bill_id
left join public.payments y on y.id = e.payment_id
left join public.payment_returns r on r.id = e.return_id
union all
select r.id, r.customer_id, 'return_' || r.status, r.created_at, r.on_date, r.book, r.currency, r.amount_minor, null, null, null,
       r.payment_id, r.method, concat_ws(': ', r.reason, nullif(r.error, '')), r.created_by, r.status, null
from public.payment_returns r where r.status in ('pending', 'failed')
union all
select n.id, n.customer_id, 'message', n.created_at, null, null, null, null, null, n.bill_id, b.number, null, null, n.kind,
       'system', n.status, n.channel
from public.notifications n left join public.bills b on b.id = n.bill_id
union all
select i.id, i.customer_id, 'plan_agreed', i.created_at, i.agreed_on, null, i.currency,
       (select sum(p.amount_minor)::bigint from public.plan_bills p where p.plan_id = i.id), null, null, null, null, null,
       case when i.status = 'active' then i.reason else '' end, i.created_by, null, null
from public.instalment_plans i
union all
select i.id, i.customer_id, 'plan_' || i.status, i.ended_at, null, null, i.currency, null, null, null, null, null, null, i.reason,
       'system', null, null
from public.instalment_plans i where i.status <> 'active';
comment on view public.timeline_list is
    'All that happened to an account: its ledger, refunds not yet or never done, messages (note: their occasion), plans.';

create or replace function public.overview(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
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
        select currency, date_trunc('month', issued_on)::date as month, sum(total_minor) as minor, count(*) as bills
        from public.bills, bounds
        where status = 'issued' and issued_on >= bounds.since
        group by 1, 2
    ), collected as (
        select c.currency, date_trunc('month', c.on_date)::date as month, sum(c.minor) as minor
        from (
            -- A deposit is held, not earned, until it is used.
            select e.currency, e.on_date, -e.amount_minor as minor from public.ledger_entries e, bounds
            where e.on_date >= bounds.since and e.book = 'account'
              and e.kind in ('payment', 'refund', 'reversal', 'dispute', 'payout', 'return_undone', 'deposit_used')
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
        select currency, sum(total_minor - amount_paid_minor) as outstanding, count(*) as outstanding_bills,
               sum(total_minor - amount_paid_minor) filter (where overdue_since is not null) as overdue,
               count(*) filter (where overdue_since is not null) as overdue_bills
        from public.bills where status = 'issued' and amount_paid_minor < total_minor
        group by 1
    )
    select jsonb_build_object(
        'flagged', (select count(*) from public.readings where status = 'needs_review'),
        'flagged_payments', (select count(distinct payment_id) from public.payment_flags where resolved_at is null),
        'drafts', (select count(*) from public.bills where status = 'draft'),
        'meters', (select count(*) from public.meters where status = 'active'),
        'owed_work', (select count(*) from public.outbox where status = 'open'),
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
comment on function public.overview is
    'Billed and collected (net of what went back, without deposits that are held) by month, outstanding and overdue now, per currency (never added across): {today, currency: the one to show without tariffs, months}.';

revoke all on public.timeline_list from public, anon, authenticated, service_role;
grant select on public.timeline_list to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

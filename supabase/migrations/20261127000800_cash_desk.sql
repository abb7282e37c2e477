-- What the cash desk adds: accounts opened by their first money, an account's timeline, and the overview's
-- "collected" net of what went back.

-- An account without a meter takes a deposit; from then on it has that currency.
create function private.open_account() returns trigger
language plpgsql set search_path = '' as $$
begin
    update public.customers set currency = new.currency where id = new.customer_id and currency is null;
    return null;
end $$;
create trigger accounts_have_a_currency after insert on public.accounts
    for each row execute function private.open_account();

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

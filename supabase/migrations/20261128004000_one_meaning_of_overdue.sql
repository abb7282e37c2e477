-- One meaning of overdue, and bills that nobody is pressed for: while a bank debit is under way, and after money went back.
--
-- A bill is overdue when the daily job has marked it: past its due date with something open, in no plan that is kept, and not
-- spared. Every figure reads that mark; the job's last day is the day that it is as of. A plan or a sparing takes the mark away.

create table public.spared_bills (
    id uuid primary key default gen_random_uuid(),
    bill_id uuid not null references public.bills,
    reason text not null check (reason in ('bank_debit', 'money_returned')),
    source text not null check (source <> ''),
    detail text not null default '',
    since timestamptz not null default now(),
    until timestamptz,
    released_at timestamptz,
    released_by text,
    released_because text not null default '',
    unique (bill_id, source),
    check ((released_at is null) = (released_by is null)),
    check (reason <> 'bank_debit' or until is not null)
);
create index spared_bills_now on public.spared_bills (bill_id) where released_at is null;
create index spared_bills_source on public.spared_bills (source) where released_at is null;
comment on table public.spared_bills is
    'Bills that are neither reminded of nor marked overdue: bank_debit until the bank has answered, at most until a moment; money_returned until an administrator says to collect again.';
comment on column public.spared_bills.source is 'What it is for: the session at Stripe, or the return.';
select private.keep_rows('public.spared_bills');
select private.audit_table('public.spared_bills');

create function private.is_spared(p_bill_id uuid) returns boolean
language sql stable set search_path = '' as $$
    select exists (select 1 from public.spared_bills s where s.bill_id = p_bill_id and s.released_at is null
                   and (s.until is null or s.until > now()))
$$;

create index payment_returns_of_customer on public.payment_returns (customer_id) where status = 'pending';

create function private.owes_nothing(p_customer_id uuid, p_currency text) returns boolean
language sql stable set search_path = '' as $$
    select coalesce(sum(o.open_minor), 0) <= 0 from public.open_items o
    where o.customer_id = p_customer_id and o.book = 'account' and o.currency = p_currency
$$;
comment on function private.owes_nothing is 'Whether credit that lies open on an account covers all that is open on it.';

create function private.awaits_return(p_customer_id uuid, p_currency text) returns boolean
language sql stable set search_path = '' as $$
    select exists (select 1 from public.payment_returns r where r.customer_id = p_customer_id and r.status = 'pending')
       and private.owes_nothing(p_customer_id, p_currency)
$$;
comment on function private.awaits_return is
    'Whether an account owes nothing while credit of it is about to go back: only when it has gone, something is owed.';

create function private.is_dunned(b public.bills) returns boolean
language sql stable set search_path = '' as $$
    select b.status = 'issued' and b.amount_paid_minor < b.total_minor and not private.is_spared(b.id)
       and not private.in_plan(b.id) and not private.awaits_return(b.customer_id, b.currency)
$$;
comment on function private.is_dunned is
    'Whether a customer may be pressed for a bill: something is open of it, it is in no plan that is kept, not spared, and not covered by credit about to go back.';

create function private.spared_at(p_bill_id uuid, p_at timestamptz) returns boolean
language sql stable set search_path = '' as $$
    select exists (select 1 from public.spared_bills s where s.bill_id = p_bill_id and s.since < p_at
                   and least(s.released_at, s.until, 'infinity') >= p_at)
        or exists (select 1 from public.plan_bills p join public.instalment_plans i on i.id = p.plan_id
                   where p.bill_id in (with recursive back as (
                             select p_bill_id as id union all
                             select b.replaces_id from back join public.bills b on b.id = back.id where b.replaces_id is not null)
                         select id from back)
                     and i.created_at < p_at and coalesce(i.ended_at, 'infinity') >= p_at)
$$;
comment on function private.spared_at is 'Whether a bill, or one it replaces, was in a plan or spared at a moment; for months that are over.';

create function private.overdue_as_of() returns date
language sql stable set search_path = '' as $$
    select max(scheduled_on) from public.job_runs where job = 'overdue_marking' and status = 'done'
$$;
comment on function private.overdue_as_of is 'The day that the marks of overdue bills are as of: the last one that the daily job has done.';

create function public.overdue_day(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('as_of', private.overdue_as_of())
$$;
comment on function public.overdue_day is 'The day that every figure of overdue bills is as of: {} -> {as_of or null}.';

create function private.take_mark_away() returns trigger
language plpgsql set search_path = '' as $$
begin
    update public.bills set overdue_since = null
    where id in (select bill_id from new_rows) and overdue_since is not null;
    return null;
end $$;
create trigger not_overdue after insert on public.spared_bills
    referencing new table as new_rows for each statement execute function private.take_mark_away();
create trigger not_overdue after insert on public.plan_bills
    referencing new table as new_rows for each statement execute function private.take_mark_away();

create function private.owe_for_balance(p_bills uuid[]) returns void
language plpgsql set search_path = '' as $$
declare
    v_owed constant jsonb := nullif(current_setting('billing.owed_on_balance', true), '')::jsonb;
begin
    if v_owed is null then
        return;
    end if;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select gen_random_uuid(), b, 'balance_changed', v_owed -> 'steps', v_owed ->> 'status',
           case when v_owed ->> 'status' <> 'open' then now() end
    from (select distinct b from unnest(p_bills) b order by b) x
    -- Whoever is at it has looked at the old balance: their lease ends, and it is done again.
    on conflict (bill_id, kind, occasion) do update
    set steps = excluded.steps, status = excluded.status, finished_at = excluded.finished_at, attempts = 0,
        next_attempt_at = now(), lease_owner = null, lease_until = null;
end $$;
comment on function private.owe_for_balance is
    'The links of bills are to follow their balances, or whether they are spared, as set_owed said for this transaction.';

create or replace function private.owe_on_balance() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform private.owe_for_balance(array(
        select n.id from new_rows n join old_rows o on o.id = n.id
        where n.amount_paid_minor <> o.amount_paid_minor or (n.status = 'void' and o.status <> 'void')));
    return null;
end $$;

-- A link that stays open while a bank is paying invites to pay twice.
create function private.owe_where_spared() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform private.owe_for_balance(array(select bill_id from new_rows));
    return null;
end $$;
create trigger owe_after_sparing after insert on public.spared_bills
    referencing new table as new_rows for each statement execute function private.owe_where_spared();
create trigger owe_after_release after update on public.spared_bills
    referencing new table as new_rows for each statement execute function private.owe_where_spared();

create function private.release_unanswered() returns void
language sql set search_path = '' as $$
    update public.spared_bills
    set released_at = now(), released_by = current_setting('billing.actor'), released_because = 'No answer came in time.'
    where until <= now() and released_at is null
$$;
comment on function private.release_unanswered is 'Bank debits that nobody answered are waited for no longer: the links of their bills open again.';

create function private.release_spared(p_source text, p_because text) returns void
language sql set search_path = '' as $$
    update public.spared_bills
    set released_at = now(), released_by = current_setting('billing.actor'), released_because = p_because
    where source = p_source and released_at is null
$$;

create function private.spare_while_debited(e public.stripe_events) returns void
language sql set search_path = '' as $$
    insert into public.spared_bills (bill_id, reason, source, detail, until)
    select b.id, 'bank_debit', 'session ' || e.object_id, 'The customer''s bank is paying it.', now() + interval '21 days'
    from public.bills b
    where b.id = coalesce((select x.id from public.bills x where x.id = (e.effect ->> 'bill_id')::uuid),
                          (select l.bill_id from public.payment_links l where l.id = e.effect ->> 'link_id'))
      -- The bank's answer may have come before.
      and not exists (select 1 from public.stripe_events x where x.object_id = e.object_id and x.id <> e.id
                      and x.outcome = 'applied' and x.effect ->> 'kind' in ('payment', 'payment_failed', 'expired'))
    on conflict (bill_id, source) do nothing
$$;
comment on function private.spare_while_debited is 'A bank debit is under way, which takes days: nobody is pressed for the bill meanwhile, three weeks at most.';
create index stripe_events_object on public.stripe_events (object_id);

create function private.spare_reopened(r public.payment_returns, p_entry_id uuid) returns void
language sql set search_path = '' as $$
    insert into public.spared_bills (bill_id, reason, source, detail)
    select distinct b.id, 'money_returned', 'return ' || r.id,
           case r.kind when 'dispute' then 'The customer''s bank took the money back.' else 'The payment was refunded.' end
    from public.allocations a
    join public.ledger_entries d on d.id = a.debit_entry_id and d.kind = 'bill'
    join public.bills b on b.id = d.bill_id
    where a.credit_entry_id = p_entry_id and a.amount_minor < 0 and a.created_at = now()
      and b.status = 'issued' and b.amount_paid_minor < b.total_minor
    on conflict (bill_id, source) do nothing
$$;
comment on function private.spare_reopened is 'The bills that a return has opened again wait for somebody to say whether they are collected.';

create view public.returned_bill_list with (security_invoker = true) as
select b.id as bill_id, b.number as bill_number, b.customer_id, c.account_no, c.name as customer_name, b.currency,
       b.total_minor - b.amount_paid_minor as open_minor, s.detail, s.since
from (select x.bill_id, string_agg(x.detail, ' ' order by x.since) as detail, min(x.since) as since
      from public.spared_bills x where x.released_at is null and x.reason = 'money_returned' group by 1) s
join public.bills b on b.id = s.bill_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor
join public.customers c on c.id = b.customer_id;
comment on view public.returned_bill_list is 'Bills opened again by money that went back: an administrator decides whether they are collected again.';

create function public.collect_again(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_bill public.bills;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    update public.spared_bills set released_at = now(), released_by = p ->> 'actor', released_because = p ->> 'reason'
    where bill_id = v_bill.id and reason = 'money_returned' and released_at is null;
    return private.bill_json(v_bill.id);
end $$;
comment on function public.collect_again is
    'An administrator says that a bill is collected although money of it went back: {actor, bill_id, reason, owed?: {balance_changed}} -> the bill. Repeating it changes nothing.';

create or replace function private.owe_notices(p_bills uuid[], p_kind text, p_steps jsonb) returns void
language sql set search_path = '' as $$
    -- After a sparing the notice is one of its own: the customer hears again that the bill is to be paid.
    insert into public.outbox (id, bill_id, kind, occasion, steps, status, finished_at)
    select gen_random_uuid(), b, p_kind,
           coalesce((select s.id::text from public.spared_bills s where s.bill_id = b
                     order by coalesce(s.released_at, s.until) desc limit 1), ''),
           p_steps -> 'steps', p_steps ->> 'status', case when p_steps ->> 'status' <> 'open' then now() end
    from unnest(p_bills) b
    on conflict (bill_id, kind, occasion) do nothing
$$;

create function private.pay_from_credit_of(p_bills uuid[]) returns uuid[]
language plpgsql set search_path = '' as $$
declare
    v_customers uuid[] := array(
        select distinct o.customer_id from public.bills b
        join public.open_items o on o.customer_id = b.customer_id and o.book = 'account' and o.currency = b.currency
        where b.id = any (p_bills) and o.open_minor < 0
          -- Credit that is about to go back pays nothing.
          and not exists (select 1 from public.payment_returns r where r.customer_id = b.customer_id and r.status = 'pending')
        order by 1);
begin
    if v_customers <> '{}' then
        perform private.lock_customers(v_customers);
        perform private.settle(v_customers);
    end if;
    return array(select b.id from public.bills b where b.id = any (p_bills) and private.is_dunned(b) order by b.id for update);
end $$;
comment on function private.pay_from_credit_of is
    'Before anybody is pressed, what is open on the account as credit pays its bills; those of the bills that are still open. An account at nothing is never dunned.';

create or replace function public.queue_reminders(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_found uuid[];
    v_bills uuid[];
begin
    perform private.set_actor(jsonb_build_object('actor', coalesce(p ->> 'actor', 'system:reminders')));
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    perform private.release_unanswered();
    v_found := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date >= (p ->> 'today')::date and b.due_date <= (p ->> 'until')::date
          and not exists (select 1 from public.outbox o where o.bill_id = b.id and o.kind = 'payment_reminder')
          and private.is_dunned(b)
        order by b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(v_found);
    perform private.owe_notices(v_bills, 'payment_reminder', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_found));
end $$;
comment on function public.queue_reminders is
    'Owes a reminder for each bill due in [today, until] that is dunned and was not reminded of: {actor?, run, today, until, limit, owed, balance_changed?} -> {count: looked at; fewer than limit when none is left}.';

create or replace function public.mark_overdue(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_found uuid[];
    v_bills uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    perform private.release_unanswered();
    v_found := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date < (p ->> 'today')::date and b.overdue_since is null
          and private.is_dunned(b)
        order by b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(v_found);
    update public.bills set overdue_since = due_date + 1 where id = any (v_bills) and overdue_since is null;
    perform private.owe_notices(v_bills, 'overdue_notice', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_found));
end $$;
comment on function public.mark_overdue is
    'Marks the bills due before today that are dunned as overdue and owes each the notice: {actor, run, today, limit, owed, balance_changed?} -> {count: looked at; fewer than limit when none is left}.';

create function public.why_unsaid(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('reason', coalesce((
        select case
            when x.kind = 'payment_received' then ''
            when b.status = 'void' then 'the bill is void by now'
            when x.pressing and b.amount_paid_minor >= b.total_minor then 'the bill is paid by now'
            when x.pressing and private.in_plan(b.id) then 'the bill is in an instalment plan by now'
            when x.pressing and private.is_spared(b.id) then
                case (select s.reason from public.spared_bills s where s.bill_id = b.id and s.released_at is null
                        and (s.until is null or s.until > now()) order by s.reason desc limit 1)
                    when 'bank_debit' then 'the customer''s bank is paying the bill'
                    else 'money of the bill went back, and nobody has said to collect it again' end
            when x.pressing and private.owes_nothing(b.customer_id, b.currency) then 'credit on the account covers the bill'
            when x.kind = 'payment_reminder' and b.due_date < (p ->> 'today')::date
                then 'its due date has passed, and the overdue notice follows'
            when x.kind in ('bill_issued', 'payment_reminder', 'overdue_notice') then coalesce((
                select case l.kind when 'overdue_notice' then 'the overdue notice overtook it'
                                   else 'the payment reminder overtook it' end
                from public.outbox o
                join public.outbox l on l.bill_id = o.bill_id and l.created_at > o.created_at and l.status = 'open'
                where (o.bill_id, o.kind, o.occasion) = (b.id, x.kind, coalesce(p ->> 'occasion', ''))
                  and 'pending' in (l.steps #>> '{11,status}', l.steps #>> '{12,status}')
                  and (l.kind = 'overdue_notice' or l.kind = 'payment_reminder' and b.due_date >= (p ->> 'today')::date)
                  and private.is_dunned(b)
                order by l.created_at desc limit 1), '')
            else '' end
        from public.bills b
        cross join (select p ->> 'kind' as kind, p ->> 'kind' in ('payment_reminder', 'overdue_notice') as pressing) x
        where b.id = (p ->> 'bill_id')::uuid), 'no such bill'))
$$;
comment on function public.why_unsaid is
    'Why a message that was owed is no longer sent, or an empty text: {bill_id, kind, occasion, today} -> {reason}. What goes out is the latest that is still true.';

create or replace function public.aged_receivables(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with span as (
        select ((p ->> 'month')::date + interval '1 month')::date as next, (p ->> 'until')::timestamptz as until,
               -- A month that is not over is looked at as the bills are marked today.
               (p ->> 'until')::timestamptz > now() as goes_on
    ), day as (
        select s.*, case when s.goes_on then least(coalesce(private.overdue_as_of(), now()::date), s.next - 1) else s.next - 1 end as as_of
        from span s
    ), entries as materialized (
        select e.id, e.customer_id, e.currency, e.amount_minor, e.bill_id, e.on_date, e.created_at
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
               -- What has no due date, such as a fee, is past no date.
               case when b.id is null then 0
                    when s.goes_on then case when b.overdue_since is null then 0 else greatest(s.as_of - b.due_date, 1) end
                    when s.as_of > b.due_date and not private.spared_at(b.id, s.until) then s.as_of - b.due_date
                    else 0 end as days_late
        from entries e cross join day s
        left join allocated a on a.id = e.id
        left join public.bills b on b.id = e.bill_id
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
comment on function public.aged_receivables is
    'What was open when a month ended, by how many days it was past due: {month: its 1st, until: the instant at which it ended, limit, offset} -> {as_of, totals by currency, customers: those with the most past due first}. Of a month that goes on, as it is marked by now. From entries and allocations, which never change: a month that is over answers the same for ever.';

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
        'overdue_as_of', private.overdue_as_of(),
        'bills_to_decide', (select count(*) from public.returned_bill_list),
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

create or replace function private.post_return(r public.payment_returns) returns void
language plpgsql set search_path = '' as $$
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
        perform private.take_back(v_paid.entry_id, r.amount_minor + v_paid.open_minor, array['bill', 'fee']);
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

create or replace function private.undo_return(r public.payment_returns, p_on date, p_note text) returns void
language plpgsql set search_path = '' as $$
begin
    update public.payment_returns set status = 'undone', error = p_note where id = r.id;
    perform private.release_spared('return ' || r.id, p_note);
    if r.customer_id is not null then
        perform private.undo_entry(e.id, 'return_undone', p_on, p_note)
        from public.ledger_entries e where e.return_id = r.id and e.kind = r.kind;
        perform private.settle(array[r.customer_id]);
    end if;
end $$;

create or replace function private.take_stripe_event(e public.stripe_events, p_owed jsonb) returns public.stripe_events
language plpgsql set search_path = '' as $$
begin
    if e.effect ->> 'kind' = 'payment' then
        e := private.take_stripe_payment(e, p_owed);
        perform private.release_spared('session ' || e.object_id, 'The money came.');
    elsif e.effect ->> 'kind' = 'payment_awaited' then
        perform private.spare_while_debited(e);
        e.outcome := 'applied';
    elsif e.effect ->> 'kind' in ('payment_failed', 'expired') then
        perform private.release_spared('session ' || e.object_id, e.detail);
        e.outcome := 'applied';
    else
        e := private.take_stripe_aftermath(e);
    end if;
    update public.stripe_events set outcome = e.outcome, detail = e.detail, payment_id = e.payment_id where id = e.id;
    return e;
end $$;

create or replace view public.bill_list with (security_invoker = true) as
select b.id, b.number, b.meter_id, m.serial as meter_serial, b.customer_id, c.account_no,
       c.name as customer_name, c.address, b.tariff_version_id, t.code as tariff_code, t.name as tariff_name,
       b.opening_reading_id, b.closing_reading_id, b.period_start, b.period_end,
       b.opening_wh, b.closing_wh, b.consumption_wh, m.multiplier_milli, b.currency, b.lines,
       b.subtotal_minor, b.tax_minor, b.total_minor, b.amount_paid_minor,
       case when b.status = 'void' then 0 else b.total_minor - b.amount_paid_minor end as balance_minor,
       case
           when b.status = 'void' then 'void'
           when b.status = 'draft' then 'draft'
           when b.amount_paid_minor >= b.total_minor then 'paid'
           when b.overdue_since is not null then 'overdue'
           when b.amount_paid_minor > 0 then 'partially_paid'
           else 'issued'
       end as status,
       b.issued_at, b.issued_on, b.due_date, b.overdue_since, b.payment_url, b.reissue_no, b.void_reason,
       b.created_at,
       lower(concat_ws(' ', private.invoice_reference(b.number), c.account_no, c.name, m.serial)) as search,
       b.usage, b.replaces_id,
       (select r.id from public.bills r where r.replaces_id = b.id) as replaced_by_id,
       b.held_because,
       (select s.reason from public.spared_bills s where s.bill_id = b.id and s.released_at is null
          and (s.until is null or s.until > now()) order by s.reason desc limit 1) as spared_because
from public.bills b
join public.meters m on m.id = b.meter_id
join public.customers c on c.id = b.customer_id
join public.tariff_versions v on v.id = b.tariff_version_id
join public.tariffs t on t.id = v.tariff_id;

-- Marks that a plan already kept had before, and bills that are in one.
select set_config('billing.actor', 'system:migrations', false);
update public.bills b set overdue_since = null
where b.overdue_since is not null and b.status = 'issued' and b.amount_paid_minor < b.total_minor and private.in_plan(b.id);

alter table public.spared_bills enable row level security;
revoke all on public.spared_bills, public.returned_bill_list from public, anon, authenticated, service_role;
grant select, insert, update on public.spared_bills to service_role;
grant select on public.returned_bill_list to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

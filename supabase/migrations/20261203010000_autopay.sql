-- Autopay: what customers agreed to, what is charged on which day, and each try at Stripe.

create table public.autopay_policies (
    id uuid primary key,
    version integer not null unique check (version > 0),
    notice_days integer not null check (notice_days between 1 and 60),
    retry_days integer[] not null check (cardinality(retry_days) <= 8),
    confirm_days integer not null check (confirm_days between 1 and 30),
    expiry_days integer not null check (expiry_days between 1 and 120),
    created_by text not null check (created_by <> ''),
    created_at timestamptz not null default now()
);
comment on table public.autopay_policies is 'How autopay charges, in versions: the highest holds. Never changed. Where there is none, private.autopay_policy has the default.';
comment on column public.autopay_policies.notice_days is 'So many days before a charge the customer is told its amount and day.';
comment on column public.autopay_policies.retry_days is 'On which days after the first try a soft decline is tried again; empty: never.';
comment on column public.autopay_policies.confirm_days is 'So long a charge that the customer''s bank wants confirmed waits for that.';
comment on column public.autopay_policies.expiry_days is 'So many days before a card expires the customer is told.';
alter table public.autopay_policies enable row level security;
revoke all on public.autopay_policies from public, anon, authenticated, service_role;
grant select, insert on public.autopay_policies to service_role;
select private.audit_table('public.autopay_policies');
select private.never_changed('public.autopay_policies');

create table public.autopay_mandates (
    id uuid primary key,
    customer_id uuid not null references public.customers (id),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    status text not null default 'opened' check (status in ('opened', 'confirming', 'active', 'paused', 'ended')),
    consent text not null check (btrim(consent) <> ''),
    consented_at timestamptz not null,
    limit_minor bigint check (limit_minor > 0),
    session_id text,
    stripe_customer text,
    payment_method text,
    kind text not null default '',
    brand text not null default '',
    last4 text not null default '' check (last4 ~ '^[0-9A-Za-z]{0,4}$'),
    exp_month integer check (exp_month between 1 and 12),
    exp_year integer check (exp_year between 2000 and 2200),
    charges_from date,
    active_since timestamptz,
    paused_at timestamptz,
    paused_because text not null default '',
    expiry_told date,
    ended_at timestamptz,
    ended_by text,
    ended_because text not null default '',
    detached_at timestamptz,
    look_at timestamptz,
    looks integer not null default 0,
    created_at timestamptz not null default now(),
    check ((status = 'ended') = (ended_at is not null)),
    check (status not in ('active', 'paused') or (stripe_customer is not null and payment_method is not null and charges_from is not null))
);
comment on table public.autopay_mandates is 'Customers'' consents that their bills are charged to a card or an account that Stripe keeps. Of a card nothing is here but brand, last digits and expiry.';
comment on column public.autopay_mandates.id is 'The form''s own id. Stripe has it in the metadata of the session by which the card was saved.';
comment on column public.autopay_mandates.status is 'opened: the customer was sent to Stripe. confirming: Stripe has it, and we are yet to ask what it is. paused: the last charge failed for good.';
comment on column public.autopay_mandates.consent is 'The words that the customer agreed to.';
comment on column public.autopay_mandates.limit_minor is 'More than that is never charged at once; null: no limit.';
comment on column public.autopay_mandates.charges_from is 'Bills that are due before this local date are not charged.';
comment on column public.autopay_mandates.expiry_told is 'The last day of the card of which the customer was told.';
comment on column public.autopay_mandates.look_at is 'When Stripe is asked next: what was set up, or to forget it; null: there is nothing to ask.';
create unique index autopay_mandates_one on public.autopay_mandates (customer_id) where status in ('active', 'paused');
create index autopay_mandates_customer on public.autopay_mandates (customer_id, created_at desc);
create index autopay_mandates_active on public.autopay_mandates (id) where status = 'active';
create index autopay_mandates_look on public.autopay_mandates (look_at) where look_at is not null;
create index autopay_mandates_method on public.autopay_mandates (payment_method) where payment_method is not null;
alter table public.autopay_mandates enable row level security;
revoke all on public.autopay_mandates from public, anon, authenticated, service_role;
grant select, insert, update on public.autopay_mandates to service_role;
select private.audit_table('public.autopay_mandates');
select private.keep_rows('public.autopay_mandates');

create table public.autopay_charges (
    id uuid primary key default gen_random_uuid(),
    mandate_id uuid not null references public.autopay_mandates (id),
    customer_id uuid not null references public.customers (id),
    currency text not null,
    due_on date not null,
    bill_id uuid not null references public.bills (id),
    status text not null default 'planned'
        check (status in ('planned', 'announced', 'charging', 'waiting', 'paid', 'failed', 'dropped')),
    notice_on date not null,
    charge_on date not null,
    notices integer not null default 0,
    announced_minor bigint,
    announced_on date,
    first_try_on date,
    attempts integer not null default 0,
    code text not null default '',
    detail text not null default '',
    paid_minor bigint not null default 0,
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    check ((status in ('paid', 'failed', 'dropped')) = (ended_at is not null)),
    check (status not in ('announced', 'charging', 'waiting') or announced_minor is not null)
);
comment on table public.autopay_charges is 'What is to be charged of an account''s bills with one due date, and what came of it.';
comment on column public.autopay_charges.bill_id is 'The bill by which the customer is told.';
comment on column public.autopay_charges.status is 'planned: the notice is still to go out. charging: Stripe is asked, or the bank is at it. waiting: declined, and tried again on charge_on.';
comment on column public.autopay_charges.announced_minor is 'More than that is not charged without another notice.';
create index autopay_charges_to_announce on public.autopay_charges (id) include (notice_on) where status = 'planned';
create index autopay_charges_to_try on public.autopay_charges (id) include (charge_on) where status in ('announced', 'waiting');
create index autopay_charges_live on public.autopay_charges (charge_on, id) where ended_at is null;
create index autopay_charges_ended on public.autopay_charges (ended_at desc, id desc) where ended_at is not null;
create index autopay_charges_customer on public.autopay_charges (customer_id, created_at desc);
create index autopay_charges_mandate on public.autopay_charges (mandate_id) where ended_at is null;
alter table public.autopay_charges enable row level security;
revoke all on public.autopay_charges from public, anon, authenticated, service_role;
grant select, insert, update on public.autopay_charges to service_role;
select private.keep_rows('public.autopay_charges');

create table public.autopay_charge_bills (
    id uuid primary key default gen_random_uuid(),
    charge_id uuid not null references public.autopay_charges (id),
    bill_id uuid not null references public.bills (id),
    live boolean not null default true,
    unique (charge_id, bill_id)
);
comment on table public.autopay_charge_bills is 'The bills that a charge is to pay; live until it is over. A bill is in one live charge at most.';
create unique index autopay_charge_bills_once on public.autopay_charge_bills (bill_id) where live;
create index autopay_charge_bills_bill on public.autopay_charge_bills (bill_id);
alter table public.autopay_charge_bills enable row level security;
revoke all on public.autopay_charge_bills from public, anon, authenticated, service_role;
grant select, insert, update on public.autopay_charge_bills to service_role;
select private.keep_rows('public.autopay_charge_bills');

create table public.autopay_attempts (
    id uuid primary key,
    charge_id uuid not null references public.autopay_charges (id),
    mandate_id uuid not null references public.autopay_mandates (id),
    customer_id uuid not null references public.customers (id),
    number integer not null check (number > 0),
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null,
    bills jsonb not null check (jsonb_typeof(bills) = 'array'),
    status text not null default 'asking' check (status in ('asking', 'processing', 'confirming', 'succeeded', 'failed')),
    payment_intent text,
    decline text not null default '' check (decline in ('', 'soft', 'hard', 'authentication', 'amount')),
    code text not null default '',
    detail text not null default '',
    payment_id uuid references public.payments (id),
    started_on date not null,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    owner text not null default '',
    look_at timestamptz not null,
    unique (charge_id, number),
    check ((status in ('succeeded', 'failed')) = (ended_at is not null))
);
comment on table public.autopay_attempts is 'Each try to charge. Its row is stored before Stripe is asked, under its id as idempotency key; Stripe has the id in the metadata of the payment.';
comment on column public.autopay_attempts.bills is '[{bill_id, amount_minor}]: what was open of each, in the order in which the money pays them.';
comment on column public.autopay_attempts.look_at is 'When somebody else asks Stripe what became of it: until then whoever began it does.';
create unique index autopay_attempts_open on public.autopay_attempts (charge_id) where ended_at is null;
create index autopay_attempts_look on public.autopay_attempts (look_at) where ended_at is null;
create unique index autopay_attempts_intent on public.autopay_attempts (payment_intent) where payment_intent is not null;
create index autopay_attempts_recent on public.autopay_attempts (started_at desc, id desc);
create index autopay_attempts_failed on public.autopay_attempts (started_at desc, id desc) where status = 'failed';
create index autopay_attempts_customer on public.autopay_attempts (customer_id) where ended_at is null;
alter table public.autopay_attempts enable row level security;
revoke all on public.autopay_attempts from public, anon, authenticated, service_role;
grant select, insert, update on public.autopay_attempts to service_role;
select private.keep_rows('public.autopay_attempts');

alter table public.spared_bills drop constraint spared_bills_reason_check;
alter table public.spared_bills add constraint spared_bills_reason_check
    check (reason = any (array['bank_debit', 'money_returned', 'autopay']));
comment on table public.spared_bills is 'Bills that are neither reminded of nor marked overdue: bank_debit until the bank has answered, at most until a moment; autopay while a charge is planned or under way; money_returned until an administrator says to collect again.';

alter table public.outbox drop constraint outbox_kind_check;
alter table public.outbox add constraint outbox_kind_check check (kind = any (array[
    'bill_issued', 'payment_reminder', 'overdue_notice', 'disconnection_notice', 'payment_received', 'balance_changed', 'bill_corrected',
    'autopay_notice', 'autopay_failed', 'autopay_expiring', 'autopay_ended']));

create function private.autopay_policy() returns jsonb
    language sql stable set search_path = '' as $$
    select coalesce(
        (select to_jsonb(x) from public.autopay_policies x order by x.version desc limit 1),
        jsonb_build_object('id', null, 'version', 0, 'notice_days', 7, 'retry_days', jsonb_build_array(3, 7),
                           'confirm_days', 3, 'expiry_days', 30, 'created_by', '', 'created_at', null))
$$;
comment on function private.autopay_policy() is 'The policy that holds: seven days'' notice, two more tries after three and seven days, unless a utility has set another.';

create function private.autopay_method(m public.autopay_mandates) returns text
    language sql immutable set search_path = '' as $$
    select concat_ws(' ', nullif(initcap(replace(coalesce(nullif(m.brand, ''), m.kind), '_', ' ')), ''), nullif('…' || m.last4, '…'))
$$;
comment on function private.autopay_method(public.autopay_mandates) is 'A card or an account as people recognise it: Visa …4242.';

create function private.end_autopay_charges(p_charges uuid[], p_status text, p_code text, p_detail text) returns void
    language plpgsql set search_path = '' as $$
begin
    update public.autopay_charges set status = p_status, code = p_code, detail = p_detail, ended_at = now()
    where id = any (p_charges) and ended_at is null;
    update public.autopay_charge_bills set live = false where charge_id = any (p_charges) and live;
    update public.spared_bills
    set released_at = now(), released_by = current_setting('billing.actor'),
        released_because = case when p_status = 'paid' then 'The money came.' else p_detail end
    where source = any (array(select 'autopay ' || c from unnest(p_charges) c)) and released_at is null;
end $$;
comment on function private.end_autopay_charges(uuid[], text, text, text) is 'Charges are over: paid, failed or dropped. Their bills are dunned as any, if something is open of them.';

create function private.plan_autopay(p_bills uuid[]) returns integer
    language plpgsql set search_path = '' as $$
declare
    v_days integer;
    v_mine uuid[];
    v_charges uuid[];
begin
    if not exists (select 1 from public.autopay_mandates where status = 'active') then
        return 0;
    end if;
    v_mine := array(
        select b.id
        from public.bills b
        join public.autopay_mandates m on m.customer_id = b.customer_id and m.status = 'active' and m.currency = b.currency
        where b.id = any (p_bills) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date >= m.charges_from
          and (m.limit_minor is null or b.total_minor - b.amount_paid_minor <= m.limit_minor)
          and not exists (
              select 1 from public.autopay_charge_bills x join public.autopay_charges c on c.id = x.charge_id
              where x.bill_id = b.id
                and (x.live or c.mandate_id = m.id and (c.status <> 'dropped' or c.code <> 'paused'))));
    if v_mine = '{}' then
        return 0;
    end if;
    v_mine := private.dunned_of(v_mine);
    v_days := (private.autopay_policy() ->> 'notice_days')::integer;
    insert into public.autopay_charges (mandate_id, customer_id, currency, due_on, bill_id, notice_on, charge_on)
    select m.id, b.customer_id, b.currency, b.due_date, (array_agg(b.id order by b.number))[1], b.due_date - v_days, b.due_date
    from public.bills b
    join public.autopay_mandates m on m.customer_id = b.customer_id and m.status = 'active'
    where b.id = any (v_mine)
      and not exists (select 1 from public.autopay_charges c
                      where c.mandate_id = m.id and c.due_on = b.due_date and c.status in ('planned', 'announced'))
    group by m.id, b.customer_id, b.currency, b.due_date;
    with added as (
        insert into public.autopay_charge_bills (charge_id, bill_id)
        select c.id, b.id
        from public.bills b
        join public.autopay_mandates m on m.customer_id = b.customer_id and m.status = 'active'
        cross join lateral (
            select x.id from public.autopay_charges x
            where x.mandate_id = m.id and x.due_on = b.due_date and x.status in ('planned', 'announced')
            order by x.created_at, x.id limit 1) c
        where b.id = any (v_mine)
        on conflict do nothing
        returning charge_id, bill_id
    ), spared as (
        insert into public.spared_bills (bill_id, reason, source, detail)
        select a.bill_id, 'autopay', 'autopay ' || a.charge_id, 'It is charged by autopay.' from added a
        on conflict (bill_id, source) do nothing
    ) select array(select distinct a.charge_id from added a) into v_charges;
    -- It comes to more than was announced: that is announced again.
    update public.autopay_charges set status = 'planned' where id = any (v_charges) and status = 'announced';
    return cardinality(v_charges);
end $$;
comment on function private.plan_autopay(uuid[]) is 'Plans the charges of those of some bills that autopay is to pay, one for each account and due date; their dunning is silent from then on. Not of bills on hold, in plans, spared, above the limit or that were charged before. The caller has locked the customers.';

create function private.plan_autopay_of_bills() returns trigger
    language plpgsql set search_path = '' as $$
begin
    if exists (select 1 from public.autopay_mandates where status = 'active') then
        perform private.plan_autopay(array(
            select n.id from new_rows n where n.status = 'issued' and n.amount_paid_minor < n.total_minor));
    end if;
    return null;
end $$;
create trigger plan_autopay after insert on public.bills
    referencing new table as new_rows for each statement execute function private.plan_autopay_of_bills();
create trigger plan_autopay_at_issue after update on public.bills
    referencing new table as new_rows for each statement execute function private.plan_autopay_of_bills();

create function private.autopay_amounts(p_charges uuid[]) returns table (charge_id uuid, amount_minor bigint, bills jsonb)
    language plpgsql stable set search_path = '' as $$
#variable_conflict use_column
declare
    v_bills constant uuid[] := array(select x.bill_id from public.autopay_charge_bills x where x.charge_id = any (p_charges) and x.live);
    v_in_plan constant uuid[] := private.in_plan_of(v_bills);
    v_customers constant uuid[] := array(select distinct c.customer_id from public.autopay_charges c where c.id = any (p_charges));
begin
    return query
    with open_bills as (
        select c.id as charge_id, c.customer_id, c.currency, b.id, b.number, b.total_minor - b.amount_paid_minor as open_minor
        from public.autopay_charges c
        join public.autopay_charge_bills x on x.charge_id = c.id and x.live
        join public.bills b on b.id = x.bill_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.currency = c.currency
        where c.id = any (p_charges) and b.id <> all (v_in_plan)
          and not exists (select 1 from public.spared_bills s
                          where s.bill_id = b.id and s.released_at is null and (s.until is null or s.until > now())
                            and s.reason <> 'autopay')
    ), sums as (
        select o.charge_id, o.customer_id, o.currency, sum(o.open_minor)::bigint as open_minor,
               jsonb_agg(jsonb_build_object('bill_id', o.id, 'amount_minor', o.open_minor) order by o.number) as bills
        from open_bills o group by 1, 2, 3
    ), under_way as (
        select t.customer_id, t.currency, sum(t.amount_minor)::bigint as minor
        from public.autopay_attempts t
        where t.customer_id = any (v_customers) and t.ended_at is null and t.charge_id <> all (p_charges) group by 1, 2
    )
    select s.charge_id,
           least(s.open_minor, greatest(coalesce(o.owed_minor, 0) - coalesce(u.minor, 0), 0))::bigint, s.bills
    from sums s
    left join private.owed_of(v_customers) o on o.customer_id = s.customer_id and o.currency = s.currency
    left join under_way u on u.customer_id = s.customer_id and u.currency = s.currency;
end $$;
comment on function private.autopay_amounts(uuid[]) is 'What some charges come to now: what is open of their bills, without those in plans or paid another way just now, and no more than the account owes beside what other charges are under way for. None: nothing.';

create function private.owe_autopay_message(p_kind text, p_bill uuid, p_occasion text, p_facts jsonb, p_owed jsonb) returns void
    language sql set search_path = '' as $$
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select gen_random_uuid(), p_bill, p_kind, p_occasion, jsonb_strip_nulls(p_facts), p_owed -> 'steps', p_owed ->> 'status',
           case when p_owed ->> 'status' <> 'open' then now() end
    where p_bill is not null and p_owed is not null and p_owed <> 'null'::jsonb
    on conflict (bill_id, kind, occasion) do nothing
$$;

create function private.last_bill_of(p_customer_id uuid) returns uuid
    language sql stable set search_path = '' as $$
    select b.id from public.bills b where b.customer_id = p_customer_id and b.status = 'issued' order by b.period_end desc, b.id desc limit 1
$$;
comment on function private.last_bill_of(uuid) is 'The bill by which a customer is told of what is about none; null where there is none yet.';

create function private.stop_autopay(m public.autopay_mandates, p_status text, p_code text, p_because text) returns public.autopay_mandates
    language plpgsql set search_path = '' as $$
begin
    -- What the bank is at goes on: the money may come. What waits for the customer's confirmation is called off.
    perform private.end_autopay_charges(array(
        select c.id from public.autopay_charges c
        where c.mandate_id = m.id and c.status in ('planned', 'announced', 'waiting')), 'dropped', p_code, p_because);
    update public.autopay_attempts set look_at = now() where mandate_id = m.id and status = 'confirming';
    if p_status = 'paused' then
        update public.autopay_mandates set status = 'paused', paused_at = now(), paused_because = p_because
        where id = m.id returning * into m;
    else
        update public.autopay_mandates
        set status = 'ended', ended_at = now(), ended_by = current_setting('billing.actor'), ended_because = p_because,
            look_at = case when payment_method is not null and detached_at is null then now() end, looks = 0
        where id = m.id returning * into m;
    end if;
    return m;
end $$;
comment on function private.stop_autopay(public.autopay_mandates, text, text, text) is 'A mandate is paused or ended, and nothing more is charged by it. Of one that is ended Stripe is asked to forget the card.';

create function private.autopay_failed(c public.autopay_charges, t public.autopay_attempts, p_on date, p_owed jsonb) returns void
    language plpgsql set search_path = '' as $$
declare
    m public.autopay_mandates;
    v_policy constant jsonb := private.autopay_policy();
    v_next date;
begin
    select * into m from public.autopay_mandates where id = c.mandate_id;
    if t.code = 'superseded' then
        -- Stripe was never asked, and by now it comes to something else: it is worked out again.
        update public.autopay_charges set status = 'announced', charge_on = p_on where id = c.id and m.status = 'active';
        perform private.end_autopay_charges(array[c.id], 'dropped', 'ended', 'Autopay has ended.') where m.status <> 'active';
        return;
    end if;
    if m.status = 'active' and t.decline <> all (array['hard', 'amount']) and t.number <= jsonb_array_length(v_policy -> 'retry_days') then
        v_next := greatest(c.first_try_on + (v_policy #>> array['retry_days', (t.number - 1)::text])::integer, p_on + 1);
    end if;
    if v_next is not null then
        update public.autopay_charges set status = 'waiting', charge_on = v_next, code = t.code, detail = t.detail where id = c.id;
    else
        perform private.end_autopay_charges(array[c.id], 'failed', t.code, t.detail);
        if m.status = 'active' and t.decline <> 'amount' then
            m := private.stop_autopay(m, 'paused', 'paused', 'A charge failed: ' || t.detail);
        end if;
    end if;
    -- A charge that waited for a confirmation was told of when it began to wait.
    perform private.owe_autopay_message('autopay_failed', c.bill_id, t.id || case when v_next is null then '/last' else '' end,
        jsonb_build_object('amount_minor', t.amount_minor::text, 'currency', t.currency, 'method', private.autopay_method(m),
                           'decline', t.decline, 'code', t.code, 'again_on', v_next::text,
                           'paused', case when m.status = 'paused' then 'yes' end), p_owed -> 'autopay_failed')
    where m.status <> 'ended';
end $$;
comment on function private.autopay_failed(public.autopay_charges, public.autopay_attempts, date, jsonb) is 'A try failed: it is tried again on a day of the policy, or the charge is over and autopay pauses.';

create function private.take_autopay_money(t public.autopay_attempts, p jsonb, p_owed jsonb) returns uuid
    language plpgsql set search_path = '' as $$
declare
    v_id uuid;
    v_credit public.open_items;
    v_left bigint;
    v_part bigint;
    r record;
begin
    select id into v_id from public.payments where provider_id = p ->> 'payment_intent';
    if found then
        return v_id;
    end if;
    v_id := (p ->> 'payment_id')::uuid;
    perform private.take_payment(jsonb_build_object(
        'id', v_id, 'bill_id', t.bills #>> '{0,bill_id}', 'customer_id', t.customer_id, 'amount_minor', p -> 'amount_minor',
        'currency', p ->> 'currency', 'method', 'stripe', 'provider_id', p ->> 'payment_intent', 'apply', 'none',
        'reference', (select 'Autopay ' || private.autopay_method(m) from public.autopay_mandates m where m.id = t.mandate_id),
        'received_at', p ->> 'received_at', 'received_on', p ->> 'on'));
    select o.* into v_credit from public.open_items o
    join public.ledger_entries e on e.id = o.entry_id where e.payment_id = v_id and e.kind = 'payment';
    v_left := -v_credit.open_minor;
    for r in
        select o.entry_id, least(o.open_minor, x.amount_minor) as minor
        from jsonb_to_recordset(t.bills) as x(bill_id uuid, amount_minor bigint)
        -- Its reissue pays for a bill that was made void meanwhile.
        join public.bills b on b.id = (private.bill_now(x.bill_id)).id
        join public.ledger_entries d on d.bill_id = b.id and d.kind = 'bill' and d.currency = v_credit.currency
        join public.open_items o on o.entry_id = d.id and o.open_minor > 0
        order by b.number
    loop
        v_part := least(r.minor, v_left);
        continue when v_part <= 0;
        perform private.allocate(jsonb_build_array(jsonb_build_object('credit', v_credit.entry_id, 'debit', r.entry_id, 'amount', v_part)));
        v_left := v_left - v_part;
    end loop;
    perform private.settle(array[t.customer_id]) where v_left > 0;
    perform private.owe_thanks(v_id, p_owed -> 'payment_received');
    return v_id;
end $$;
comment on function private.take_autopay_money(public.autopay_attempts, jsonb, jsonb) is 'Counts the money of a try once, by Stripe''s id of the payment, and lets it pay the bills that were charged; what they no longer need pays what else is open.';

create function private.note_autopay(p_attempt uuid, p jsonb, p_owed jsonb) returns public.autopay_attempts
    language plpgsql set search_path = '' as $$
declare
    t public.autopay_attempts;
    c public.autopay_charges;
    m public.autopay_mandates;
    v_payment uuid;
    v_status constant text := p ->> 'status';
begin
    select * into t from public.autopay_attempts where id = p_attempt;
    if not found then
        return null;
    end if;
    perform private.lock_customers(array[t.customer_id]);
    select * into t from public.autopay_attempts where id = p_attempt for update;
    select * into c from public.autopay_charges where id = t.charge_id for update;
    if t.status = 'succeeded' or (t.status = 'failed' and v_status <> 'succeeded') then
        return t;
    elsif v_status = 'succeeded' then
        -- Money that came counts, whatever was heard before.
        v_payment := private.take_autopay_money(t, p, p_owed);
        update public.autopay_attempts
        set status = 'succeeded', payment_intent = p ->> 'payment_intent', ended_at = now(), decline = '', code = '', detail = '',
            payment_id = v_payment
        where id = t.id returning * into t;
        perform private.end_autopay_charges(array[c.id], 'paid', '', '') where c.ended_at is null;
        update public.autopay_charges set paid_minor = paid_minor + (p ->> 'amount_minor')::bigint where id = c.id;
    elsif v_status = 'failed' then
        update public.autopay_attempts
        set status = 'failed', payment_intent = coalesce(p ->> 'payment_intent', payment_intent), ended_at = now(),
            decline = p ->> 'decline', code = coalesce(p ->> 'code', ''), detail = coalesce(p ->> 'detail', '')
        where id = t.id returning * into t;
        perform private.autopay_failed(c, t, (p ->> 'on')::date, p_owed);
    elsif v_status = 'confirming' then
        update public.autopay_attempts
        set status = 'confirming', payment_intent = p ->> 'payment_intent', decline = 'authentication',
            code = coalesce(p ->> 'code', ''), detail = coalesce(p ->> 'detail', ''),
            look_at = case when t.status = 'confirming' then look_at
                           else now() + make_interval(days => (private.autopay_policy() ->> 'confirm_days')::integer) end
        where id = t.id and status <> 'confirming' returning * into t;
        if found then
            select * into m from public.autopay_mandates where id = c.mandate_id;
            perform private.owe_autopay_message('autopay_failed', c.bill_id, t.id::text,
                jsonb_build_object('amount_minor', t.amount_minor::text, 'currency', t.currency, 'method', private.autopay_method(m),
                                   'decline', 'authentication', 'code', t.code, 'confirm', t.id), p_owed -> 'autopay_failed');
        else
            select * into t from public.autopay_attempts where id = p_attempt;
        end if;
    elsif v_status = 'processing' then
        update public.autopay_attempts
        set status = 'processing', payment_intent = p ->> 'payment_intent', look_at = now() + interval '1 day'
        where id = t.id returning * into t;
    else
        -- Nobody knows: Stripe is asked what became of it before anything else is done.
        update public.autopay_attempts
        set detail = coalesce(p ->> 'detail', ''), look_at = now() + make_interval(secs => (p ->> 'retry_in_seconds')::integer)
        where id = t.id returning * into t;
    end if;
    return t;
end $$;
comment on function private.note_autopay(uuid, jsonb, jsonb) is 'What Stripe said of a try, in its answer or by its webhook, counted once: {status: succeeded | failed | confirming | processing | unknown, payment_intent?, decline?, code?, detail?, on, of succeeded: amount_minor, currency, payment_id, received_at; of unknown: retry_in_seconds}. Null: there is no such try.';

create function public.end_autopay_attempt(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    t public.autopay_attempts;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    t := private.note_autopay((p ->> 'id')::uuid, p, p -> 'owed');
    if t.id is null then
        perform private.refuse('EB404', 'No such charge.');
    end if;
    return to_jsonb(t);
end $$;
comment on function public.end_autopay_attempt(jsonb) is 'Keeps what Stripe answered to a try: {actor, id, …as private.note_autopay, owed: {payment_received, balance_changed, autopay_failed}} -> the try.';

create function public.plan_autopay(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_found uuid[];
    v_customers uuid[];
    v_planned integer := 0;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select m.id from public.autopay_mandates m
        where m.status = 'active' and m.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by m.id limit v_limit);
    v_customers := array(select m.customer_id from public.autopay_mandates m where m.id = any (v_found));
    perform private.lock_customers(v_customers);
    v_planned := private.plan_autopay(array(
        select b.id from public.autopay_mandates m
        join public.bills b on b.customer_id = m.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor
            and b.due_date >= m.charges_from and b.due_date >= (p ->> 'today')::date
        where m.id = any (v_found)));
    perform private.note_progress(p);
    return jsonb_build_object('count', v_planned, 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;
comment on function public.plan_autopay(jsonb) is 'Plans what is not planned yet of a page of mandates, such as of bills that have left a hold: {actor, run, today, limit, after?, owed} -> {count, after}.';

create function private.autopay_rows(p_charges uuid[], p_today date)
    returns table (id uuid, mandate_id uuid, customer_id uuid, bill_id uuid, amount_minor bigint, bills jsonb, what text)
    language plpgsql stable set search_path = '' as $$
#variable_conflict use_column
declare
    v_held constant uuid[] := private.held_of(array(
        select distinct c.customer_id from public.autopay_charges c where c.id = any (p_charges)), p_today);
begin
    return query
    select c.id, c.mandate_id, c.customer_id, coalesce((a.bills #>> '{0,bill_id}')::uuid, c.bill_id), coalesce(a.amount_minor, 0), a.bills,
           case when m.status <> 'active' then 'ended'
                when coalesce(a.amount_minor, 0) = 0 then 'nothing'
                when c.customer_id = any (v_held) then 'held'
                when a.amount_minor > m.limit_minor then 'over_limit'
                when a.amount_minor > coalesce(c.announced_minor, 0) then 'announce'
                else 'charge' end
    from public.autopay_charges c
    join public.autopay_mandates m on m.id = c.mandate_id
    left join private.autopay_amounts(p_charges) a on a.charge_id = c.id
    where c.id = any (p_charges);
end $$;
comment on function private.autopay_rows(uuid[], date) is 'What is to be done about some charges on a local date, and their amounts. what: charge; announce (again), where more is open than was announced; held: the account''s dunning is on hold; or why it is dropped: ended, nothing, over_limit.';

create function private.drop_autopay(p_rows jsonb, p_owed jsonb) returns void
    language plpgsql set search_path = '' as $$
begin
    perform private.end_autopay_charges(array(select (x ->> 'id')::uuid from jsonb_array_elements(p_rows) x where x ->> 'what' = 'ended'),
                                        'dropped', 'ended', 'Autopay has ended.');
    perform private.end_autopay_charges(array(select (x ->> 'id')::uuid from jsonb_array_elements(p_rows) x where x ->> 'what' = 'nothing'),
                                        'dropped', 'nothing_due', 'Nothing was due any more.');
    perform private.owe_autopay_message('autopay_failed', x.bill_id, x.id || '/limit',
        jsonb_build_object('amount_minor', x.amount_minor::text, 'currency', m.currency, 'method', private.autopay_method(m),
                           'decline', 'limit', 'code', 'over_limit', 'limit_minor', m.limit_minor::text), p_owed -> 'autopay_failed')
    from jsonb_to_recordset(p_rows) as x(id uuid, mandate_id uuid, bill_id uuid, amount_minor bigint, what text)
    join public.autopay_mandates m on m.id = x.mandate_id
    where x.what = 'over_limit';
    perform private.end_autopay_charges(array(select (x ->> 'id')::uuid from jsonb_array_elements(p_rows) x where x ->> 'what' = 'over_limit'),
                                        'dropped', 'over_limit', 'It is above the customer''s limit.');
end $$;

create function public.announce_autopay(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    v_days constant integer := (private.autopay_policy() ->> 'notice_days')::integer;
    v_found uuid[];
    v_due uuid[];
    v_rows jsonb;
    v_told uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select c.id from public.autopay_charges c
        where c.status = 'planned' and c.notice_on <= v_today
          and c.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by c.id limit v_limit);
    perform private.lock_customers(array(select distinct c.customer_id from public.autopay_charges c where c.id = any (v_found)));
    v_due := array(select c.id from public.autopay_charges c where c.id = any (v_found) and c.status = 'planned' order by c.id for update);
    v_rows := coalesce((select jsonb_agg(to_jsonb(r)) from private.autopay_rows(v_due, v_today) r), '[]');
    perform private.drop_autopay(v_rows, p -> 'owed');
    with told as (
        update public.autopay_charges c
        set status = 'announced', announced_minor = x.amount_minor, announced_on = v_today, notices = c.notices + 1, bill_id = x.bill_id,
            -- Who hears late is charged late: the notice has its days.
            charge_on = greatest(c.due_on, v_today + v_days)
        from jsonb_to_recordset(v_rows) as x(id uuid, bill_id uuid, amount_minor bigint, what text)
        where c.id = x.id and x.what in ('announce', 'charge')
        returning c.id
    ) select array(select t.id from told t) into v_told;
    perform private.owe_autopay_message('autopay_notice', c.bill_id, c.id || '/' || c.notices,
        jsonb_build_object('charge_id', c.id, 'amount_minor', c.announced_minor::text, 'currency', c.currency,
                           'charge_on', c.charge_on::text, 'method', private.autopay_method(m)), p #> '{owed,autopay_notice}')
    from public.autopay_charges c join public.autopay_mandates m on m.id = c.mandate_id
    where c.id = any (v_told);
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_told)));
    return jsonb_build_object('count', cardinality(v_told), 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;
comment on function public.announce_autopay(jsonb) is 'Announces the charges whose notice is due of a page of planned ones, in the same transaction as the message: {actor, run, today, limit, after?, owed: {autopay_notice, autopay_failed, balance_changed}} -> {count, after}.';

create function public.begin_autopay(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    v_found uuid[];
    v_due uuid[];
    v_rows jsonb;
    v_new uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select c.id from public.autopay_charges c
        where c.status in ('announced', 'waiting') and c.charge_on <= v_today
          and c.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by c.id limit v_limit);
    perform private.lock_customers(array(select distinct c.customer_id from public.autopay_charges c where c.id = any (v_found)));
    v_due := array(select c.id from public.autopay_charges c
                   where c.id = any (v_found) and c.status in ('announced', 'waiting') and c.charge_on <= v_today order by c.id for update);
    -- Credit pays first, as before a reminder.
    perform private.pay_from_credit_of(array(select x.bill_id from public.autopay_charge_bills x where x.charge_id = any (v_due) and x.live))
    where v_due <> '{}';
    v_rows := coalesce((select jsonb_agg(to_jsonb(r)) from private.autopay_rows(v_due, v_today) r), '[]');
    perform private.drop_autopay(v_rows, p -> 'owed');
    -- On hold, or for more than was announced: another notice comes first.
    update public.autopay_charges c set status = 'planned', notice_on = v_today
    where c.id = any (array(select (x ->> 'id')::uuid from jsonb_array_elements(v_rows) x where x ->> 'what' in ('held', 'announce')));
    with tried as (
        update public.autopay_charges c
        set status = 'charging', attempts = c.attempts + 1, first_try_on = coalesce(c.first_try_on, v_today), bill_id = x.bill_id
        from jsonb_to_recordset(v_rows) as x(id uuid, bill_id uuid, amount_minor bigint, bills jsonb, what text)
        where c.id = x.id and x.what = 'charge'
        returning c.id, c.mandate_id, c.customer_id, c.currency, c.attempts, x.amount_minor, x.bills
    ), new as (
        insert into public.autopay_attempts (id, charge_id, mandate_id, customer_id, number, amount_minor, currency, bills, started_on, owner, look_at)
        select gen_random_uuid(), t.id, t.mandate_id, t.customer_id, t.attempts, t.amount_minor, t.currency, t.bills, v_today, p ->> 'owner',
               now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
        from tried t
        returning id
    ) select array(select n.id from new n) into v_new;
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_new)));
    return jsonb_build_object('attempts', private.autopay_to_ask(v_new),
                              'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;
comment on function public.begin_autopay(jsonb) is 'Begins the tries that are due of a page of charges, each as a row that is stored before Stripe is asked: {actor, run, today, limit, after?, owner, lease_seconds, owed: {autopay_failed, balance_changed}} -> {attempts, after}.';

create function private.autopay_to_ask(p_attempts uuid[]) returns jsonb
    language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(
        to_jsonb(t) || jsonb_build_object(
            'stripe_customer', m.stripe_customer, 'payment_method', m.payment_method, 'kind', m.kind, 'mandate_status', m.status,
            'bill_number', b.number, 'open_minor', coalesce(a.amount_minor, 0)) order by t.id), '[]')
    from public.autopay_attempts t
    left join private.autopay_amounts(array(
        select x.charge_id from public.autopay_attempts x where x.id = any (p_attempts))) a on a.charge_id = t.charge_id
    join public.autopay_mandates m on m.id = t.mandate_id
    join public.autopay_charges c on c.id = t.charge_id
    join public.bills b on b.id = c.bill_id
    where t.id = any (p_attempts)
$$;

create function public.claim_autopay(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_attempts uuid[];
    v_mandates uuid[];
begin
    perform private.set_actor(p);
    v_attempts := array(
        select t.id from public.autopay_attempts t where t.ended_at is null and t.look_at <= now()
        order by t.look_at limit (p ->> 'limit')::integer for update skip locked);
    update public.autopay_attempts
    set owner = p ->> 'owner', look_at = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
    where id = any (v_attempts);
    v_mandates := array(
        select m.id from public.autopay_mandates m where m.look_at <= now()
        order by m.look_at limit (p ->> 'limit')::integer for update skip locked);
    update public.autopay_mandates set look_at = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
    where id = any (v_mandates);
    return jsonb_build_object(
        'attempts', private.autopay_to_ask(v_attempts),
        'mandates', (select coalesce(jsonb_agg(to_jsonb(m) order by m.id), '[]') from public.autopay_mandates m where m.id = any (v_mandates)));
end $$;
comment on function public.claim_autopay(jsonb) is 'Leases what Stripe is to be asked about: tries whose end nobody knows, cards that were just saved or are to be forgotten: {actor, owner, lease_seconds, limit} -> {attempts, mandates}.';

create function public.open_autopay(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    insert into public.autopay_mandates (id, customer_id, currency, consent, consented_at, limit_minor)
    values ((p ->> 'id')::uuid, (p ->> 'customer_id')::uuid, p ->> 'currency', p ->> 'consent', (p ->> 'at')::timestamptz,
            (p ->> 'limit_minor')::bigint)
    on conflict (id) do nothing;
    select * into m from public.autopay_mandates where id = (p ->> 'id')::uuid;
    if (m.customer_id, m.status, m.consent, coalesce(m.limit_minor, 0))
       is distinct from ((p ->> 'customer_id')::uuid, 'opened', p ->> 'consent', coalesce((p ->> 'limit_minor')::bigint, 0)) then
        perform private.refuse('EB005', 'This form was sent before: open it again.');
    end if;
    if p ->> 'session_id' is not null then
        update public.autopay_mandates
        set session_id = p ->> 'session_id', stripe_customer = p ->> 'stripe_customer'
        where id = m.id returning * into m;
    end if;
    return to_jsonb(m);
end $$;
comment on function public.open_autopay(jsonb) is 'Keeps a consent before the customer is sent to Stripe, and the session there once it is known: {actor, id, customer_id, currency, consent, at, limit_minor?, session_id?, stripe_customer?} -> the mandate.';

create function public.complete_autopay(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    m public.autopay_mandates;
    v_old public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into m from public.autopay_mandates where id = (p ->> 'id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such consent.');
    end if;
    perform private.lock_customers(array[m.customer_id]);
    select * into m from public.autopay_mandates where id = m.id for update;
    if m.status not in ('opened', 'confirming') then
        return to_jsonb(m);
    end if;
    for v_old in select * from public.autopay_mandates x where x.customer_id = m.customer_id and x.status in ('active', 'paused') for update loop
        perform private.stop_autopay(v_old, 'ended', 'replaced', 'The customer saved another card or account.');
    end loop;
    update public.autopay_mandates
    set status = 'active', stripe_customer = p ->> 'stripe_customer', payment_method = p ->> 'payment_method', kind = p ->> 'kind',
        brand = coalesce(p ->> 'brand', ''), last4 = coalesce(p ->> 'last4', ''), exp_month = (p ->> 'exp_month')::integer,
        exp_year = (p ->> 'exp_year')::integer, charges_from = (p ->> 'today')::date, active_since = now(), look_at = null, looks = 0
    where id = m.id returning * into m;
    perform private.plan_autopay(array(
        select b.id from public.bills b
        where b.customer_id = m.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.due_date >= m.charges_from));
    return to_jsonb(m);
end $$;
comment on function public.complete_autopay(jsonb) is 'Autopay begins with what Stripe saved, in the place of what there was; the bills that are not due yet are planned: {actor, id, stripe_customer, payment_method, kind, brand?, last4?, exp_month?, exp_year?, today, owed} -> the mandate.';

create function public.note_autopay_look(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.autopay_mandates
    set looks = looks + 1,
        detached_at = case when p ->> 'result' = 'detached' then now() else detached_at end,
        look_at = case when p ->> 'result' = 'later' then now() + make_interval(secs => (p ->> 'retry_in_seconds')::integer) end,
        status = case when p ->> 'result' = 'expired' and status in ('opened', 'confirming') then 'ended' else status end,
        ended_at = case when p ->> 'result' = 'expired' and status in ('opened', 'confirming') then now() else ended_at end,
        ended_by = case when p ->> 'result' = 'expired' and status in ('opened', 'confirming') then p ->> 'actor' else ended_by end,
        ended_because = case when p ->> 'result' = 'expired' and status in ('opened', 'confirming')
                             then 'It was not finished at Stripe.' else ended_because end
    where id = (p ->> 'id')::uuid;
    return '{}'::jsonb;
end $$;
comment on function public.note_autopay_look(jsonb) is 'What a look at Stripe about a mandate came to: {actor, id, result: later | expired | detached | given_up, retry_in_seconds?}.';

create function public.end_autopay(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    select * into m from public.autopay_mandates
    where id = (p ->> 'id')::uuid and customer_id = (p ->> 'customer_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'There is no autopay to end.');
    end if;
    if m.status in ('active', 'paused') then
        m := private.stop_autopay(m, 'ended', 'ended', p ->> 'because');
        perform private.owe_autopay_message('autopay_ended', private.last_bill_of(m.customer_id), m.id::text,
            jsonb_build_object('method', private.autopay_method(m)), p #> '{owed,autopay_ended}');
    elsif m.status <> 'ended' then
        update public.autopay_mandates
        set status = 'ended', ended_at = now(), ended_by = p ->> 'actor', ended_because = p ->> 'because', look_at = null
        where id = m.id returning * into m;
    end if;
    return to_jsonb(m);
end $$;
comment on function public.end_autopay(jsonb) is 'Ends a customer''s autopay; one that has ended stays as it is: {actor, id, customer_id, because, owed: {autopay_ended, balance_changed}} -> the mandate.';

create function public.resume_autopay(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    select * into m from public.autopay_mandates
    where id = (p ->> 'id')::uuid and customer_id = (p ->> 'customer_id')::uuid for update;
    if not found or m.status not in ('active', 'paused') then
        perform private.refuse('EB005', 'This autopay has ended: set it up again.');
    end if;
    if m.status = 'paused' then
        update public.autopay_mandates set status = 'active', paused_at = null, paused_because = '', charges_from = (p ->> 'today')::date
        where id = m.id returning * into m;
        perform private.plan_autopay(array(
            select b.id from public.bills b
            where b.customer_id = m.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor
              and b.due_date >= m.charges_from));
    end if;
    return to_jsonb(m);
end $$;
comment on function public.resume_autopay(jsonb) is 'Lets paused autopay go on with the bills that are due from today: {actor, id, customer_id, today, owed} -> the mandate.';

create function public.tell_of_expiring_cards(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_before constant date := (p ->> 'today')::date + (private.autopay_policy() ->> 'expiry_days')::integer;
    v_found uuid[];
    v_told uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    v_found := array(
        select m.id from public.autopay_mandates m
        where m.status = 'active' and m.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by m.id limit v_limit);
    with told as (
        update public.autopay_mandates m
        set expiry_told = (make_date(m.exp_year, m.exp_month, 1) + interval '1 month - 1 day')::date
        where m.id = any (v_found) and m.status = 'active' and m.exp_year is not null and m.exp_month is not null
          and (make_date(m.exp_year, m.exp_month, 1) + interval '1 month - 1 day')::date <= v_before
          and m.expiry_told is distinct from (make_date(m.exp_year, m.exp_month, 1) + interval '1 month - 1 day')::date
        returning m.id
    ) select array(select t.id from told t) into v_told;
    perform private.owe_autopay_message('autopay_expiring', private.last_bill_of(m.customer_id), m.id || '/' || m.expiry_told,
        jsonb_build_object('method', private.autopay_method(m), 'expires_on', m.expiry_told::text), p #> '{owed,autopay_expiring}')
    from public.autopay_mandates m where m.id = any (v_told);
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_told)));
    return jsonb_build_object('count', cardinality(v_told), 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;
comment on function public.tell_of_expiring_cards(jsonb) is 'Owes the customers of a page of mandates the word that their card expires, once: {actor, run, today, limit, after?, owed: {autopay_expiring}} -> {count, after}.';

create function private.take_autopay_event(e public.stripe_events, p_owed jsonb) returns public.stripe_events
    language plpgsql set search_path = '' as $$
declare
    t public.autopay_attempts;
    m public.autopay_mandates;
begin
    e.outcome := 'applied';
    case e.effect ->> 'kind'
        when 'autopay_result' then
            t := private.note_autopay((e.effect ->> 'attempt_id')::uuid, e.effect || jsonb_build_object('payment_intent', e.payment_intent), p_owed);
            e.payment_id := t.payment_id;
            e.outcome := case when t.id is null then 'kept' else 'applied' end;
            e.detail := case when t.id is null then 'It names a charge that is not here: look at it at Stripe.'
                             else 'Autopay: ' || t.status || '.' end;
        when 'autopay_set_up' then
            -- What was saved is asked for by who looks at mandates.
            update public.autopay_mandates set status = 'confirming', look_at = now()
            where id = (e.effect ->> 'mandate_id')::uuid and status = 'opened' returning * into m;
            e.detail := case when m.id is null then 'Counted already.' else 'A customer has set autopay up.' end;
        when 'autopay_method_changed' then
            update public.autopay_mandates
            set brand = coalesce(e.effect ->> 'brand', brand), last4 = coalesce(e.effect ->> 'last4', last4),
                exp_month = (e.effect ->> 'exp_month')::integer, exp_year = (e.effect ->> 'exp_year')::integer
            where payment_method = e.object_id and status in ('active', 'paused') returning * into m;
            e.detail := case when m.id is null then 'It is no card of autopay.' else 'The card was renewed.' end;
        when 'autopay_method_gone' then
            select * into m from public.autopay_mandates
            where payment_method = e.effect ->> 'payment_method' and status in ('active', 'paused');
            if found then
                perform private.lock_customers(array[m.customer_id]);
                m := private.stop_autopay(m, 'ended', 'ended', e.effect ->> 'because');
                perform private.owe_autopay_message('autopay_ended', private.last_bill_of(m.customer_id), m.id::text,
                    jsonb_build_object('method', private.autopay_method(m)), p_owed -> 'autopay_ended');
            end if;
            e.detail := case when m.id is null then 'It is nothing of autopay that goes on.' else 'Autopay has ended.' end;
    end case;
    return e;
end $$;
comment on function private.take_autopay_event(public.stripe_events, jsonb) is 'An event of autopay: what became of a try, a card that was saved, changed or is gone.';

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
    elsif e.effect ->> 'kind' like 'autopay%' then
        e := private.take_autopay_event(e, p_owed);
    else
        e := private.take_stripe_aftermath(e);
    end if;
    update public.stripe_events set outcome = e.outcome, detail = e.detail, payment_id = e.payment_id where id = e.id;
    return e;
end $$;

create function public.publish_autopay_policy(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_row public.autopay_policies;
begin
    perform private.set_actor(p);
    perform pg_advisory_xact_lock(hashtext('autopay_policies'));
    select * into v_row from public.autopay_policies where id = (p ->> 'id')::uuid;
    if found then
        return to_jsonb(v_row);
    end if;
    if (p ->> 'seen_version')::integer is distinct from coalesce((select max(x.version) from public.autopay_policies x), 0) then
        perform private.refuse('EB005', 'Somebody else has changed the policy meanwhile: look at it again.');
    end if;
    insert into public.autopay_policies (id, version, notice_days, retry_days, confirm_days, expiry_days, created_by)
    values ((p ->> 'id')::uuid, (p ->> 'seen_version')::integer + 1, (p ->> 'notice_days')::integer,
            array(select x::integer from jsonb_array_elements_text(p -> 'retry_days') with ordinality as t(x, n) order by n),
            (p ->> 'confirm_days')::integer, (p ->> 'expiry_days')::integer, p ->> 'actor')
    returning * into v_row;
    return to_jsonb(v_row);
end $$;
comment on function public.publish_autopay_policy(jsonb) is 'Adds a version of the policy, once: {actor, id, seen_version, notice_days, retry_days, confirm_days, expiry_days} -> the version.';

create function public.autopay_policy(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select private.autopay_policy()
$$;
comment on function public.autopay_policy(jsonb) is 'The policy that holds: {} -> its version.';

create function private.autopay_charge_json(p_id uuid) returns jsonb
    language sql stable set search_path = '' as $$
    select to_jsonb(c) || jsonb_build_object(
        'account_no', k.account_no, 'customer_name', k.name, 'bill_number', b.number, 'method', private.autopay_method(m),
        'amount_minor', case when c.ended_at is not null then c.paid_minor
                             else coalesce(t.amount_minor, (select a.amount_minor from private.autopay_amounts(array[c.id]) a), 0) end,
        'confirm_id', case when t.status = 'confirming' then t.id end)
    from public.autopay_charges c
    join public.customers k on k.id = c.customer_id
    join public.bills b on b.id = c.bill_id
    join public.autopay_mandates m on m.id = c.mandate_id
    left join public.autopay_attempts t on t.charge_id = c.id and t.ended_at is null
    where c.id = p_id
$$;
comment on function private.autopay_charge_json(uuid) is 'A charge as it is shown; amount_minor is what it comes to now, of one that is over what came.';

create function public.autopay_of_customer(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'mandate', (select to_jsonb(m) from public.autopay_mandates m
                    where m.customer_id = (p ->> 'customer_id')::uuid
                    order by m.status in ('active', 'paused') desc, m.created_at desc limit 1),
        'opened', (select to_jsonb(m) from public.autopay_mandates m
                   where m.customer_id = (p ->> 'customer_id')::uuid and m.status in ('opened', 'confirming')
                   order by m.created_at desc limit 1),
        'charges', coalesce((
            select jsonb_agg(private.autopay_charge_json(c.id) order by c.created_at desc, c.id desc)
            from (select * from public.autopay_charges x where x.customer_id = (p ->> 'customer_id')::uuid
                  order by x.created_at desc, x.id desc limit 20) c), '[]'))
$$;
comment on function public.autopay_of_customer(jsonb) is 'How a customer''s autopay stands, with the last 20 charges: {customer_id} -> {mandate, opened: what is at Stripe just now, charges}.';

create function public.autopay_charge(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select private.autopay_charge_json((p ->> 'id')::uuid)
$$;
comment on function public.autopay_charge(jsonb) is 'One charge: {id} -> it, or null.';

create function public.autopay_attempt(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select private.autopay_to_ask(array[(p ->> 'id')::uuid]) -> 0
$$;
comment on function public.autopay_attempt(jsonb) is 'One try: {id} -> it with its mandate''s ids at Stripe, or null.';

create function public.autopay_upcoming(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_rows jsonb;
begin
    v_rows := (
        select coalesce(jsonb_agg(private.autopay_charge_json(c.id) order by c.charge_on, c.id), '[]')
        from (select * from public.autopay_charges x
              where x.ended_at is null
                and (x.charge_on, x.id) > (coalesce((p #>> '{after,on}')::date, '-infinity'), coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid)
              order by x.charge_on, x.id limit v_limit) c);
    return jsonb_build_object('rows', v_rows, 'after', case when jsonb_array_length(v_rows) = v_limit then jsonb_build_object(
        'on', v_rows -> (v_limit - 1) ->> 'charge_on', 'id', v_rows -> (v_limit - 1) ->> 'id') end);
end $$;
comment on function public.autopay_upcoming(jsonb) is 'Charges that are not over, by their day: {limit, after?} -> {rows, after}.';

create function public.autopay_over(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_rows jsonb;
begin
    v_rows := (
        select coalesce(jsonb_agg(private.autopay_charge_json(c.id) order by c.ended_at desc, c.id desc), '[]')
        from (select * from public.autopay_charges x
              where x.ended_at is not null
                and (p -> 'after' is null or p -> 'after' = 'null'::jsonb
                     or (x.ended_at, x.id) < ((p #>> '{after,on}')::timestamptz, (p #>> '{after,id}')::uuid))
              order by x.ended_at desc, x.id desc limit v_limit) c);
    return jsonb_build_object('rows', v_rows, 'after', case when jsonb_array_length(v_rows) = v_limit then jsonb_build_object(
        'on', v_rows -> (v_limit - 1) ->> 'ended_at', 'id', v_rows -> (v_limit - 1) ->> 'id') end);
end $$;
comment on function public.autopay_over(jsonb) is 'Charges that are over, the last first, with why: {limit, after?} -> {rows, after}.';

do $do$
declare
    v_why text := pg_get_functiondef('public.why_unsaid(jsonb)'::regprocedure);
begin
    v_why := replace(v_why, 'when ''bank_debit'' then ''the customer''''s bank is paying the bill''',
        'when ''bank_debit'' then ''the customer''''s bank is paying the bill'' when ''autopay'' then ''autopay pays the bill''');
    v_why := replace(v_why, 'when x.kind = ''payment_received'' then ''''',
        'when x.kind = ''payment_received'' then ''''
            when x.kind in (''autopay_expiring'', ''autopay_ended'') then ''''
            when x.kind = ''autopay_failed'' then case when exists (
                select 1 from public.autopay_attempts t
                where t.id::text = split_part(coalesce(p ->> ''occasion'', ''''), ''/'', 1) and t.status = ''succeeded'')
                then ''it is paid by now'' else '''' end
            when x.kind = ''autopay_notice'' then case when exists (
                select 1 from public.autopay_charges c
                where c.id::text = split_part(coalesce(p ->> ''occasion'', ''''), ''/'', 1) and c.status = ''announced'')
                then '''' else ''nothing is charged any more'' end');
    if v_why not like '%autopay pays the bill%' or v_why not like '%nothing is charged any more%' then
        raise exception 'why_unsaid is not as it was';
    end if;
    execute v_why;
    execute replace(pg_get_functiondef('private.archived_tables()'::regprocedure),
                    '''dunning_actions'',',
                    '''dunning_actions'', ''autopay_policies'', ''autopay_mandates'', ''autopay_charges'', ''autopay_charge_bills'', ''autopay_attempts'',');
end $do$;

revoke all on function public.end_autopay_attempt, public.plan_autopay, public.announce_autopay, public.begin_autopay, public.claim_autopay,
    public.open_autopay, public.complete_autopay, public.note_autopay_look, public.end_autopay, public.resume_autopay,
    public.tell_of_expiring_cards, public.publish_autopay_policy, public.autopay_policy, public.autopay_of_customer, public.autopay_charge,
    public.autopay_attempt, public.autopay_upcoming, public.autopay_over from public, anon, authenticated;
grant execute on function public.end_autopay_attempt, public.plan_autopay, public.announce_autopay, public.begin_autopay, public.claim_autopay,
    public.open_autopay, public.complete_autopay, public.note_autopay_look, public.end_autopay, public.resume_autopay,
    public.tell_of_expiring_cards, public.publish_autopay_policy, public.autopay_policy, public.autopay_of_customer, public.autopay_charge,
    public.autopay_attempt, public.autopay_upcoming, public.autopay_over to service_role;
revoke all on function private.autopay_policy, private.autopay_method, private.end_autopay_charges, private.plan_autopay,
    private.plan_autopay_of_bills, private.autopay_amounts, private.owe_autopay_message, private.last_bill_of, private.stop_autopay,
    private.autopay_failed, private.take_autopay_money, private.note_autopay, private.autopay_rows, private.drop_autopay,
    private.autopay_to_ask, private.take_autopay_event, private.autopay_charge_json from public;
grant execute on function private.autopay_policy, private.autopay_method, private.end_autopay_charges, private.plan_autopay,
    private.plan_autopay_of_bills, private.autopay_amounts, private.owe_autopay_message, private.last_bill_of, private.stop_autopay,
    private.autopay_failed, private.take_autopay_money, private.note_autopay, private.autopay_rows, private.drop_autopay,
    private.autopay_to_ask, private.take_autopay_event, private.autopay_charge_json to service_role;

create or replace function private.owe_thanks(p_payment_id uuid, p_owed jsonb) returns void
    language sql set search_path = '' as $$
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select gen_random_uuid(), b.id, 'payment_received', y.id::text,
           jsonb_strip_nulls(jsonb_build_object(
               'payment_id', y.id, 'amount_minor', y.amount_minor::text, 'currency', y.currency, 'received_on', y.received_on,
               'on_account', case when b.how = 'latest' then 'yes' end)),
           p_owed -> 'steps', p_owed ->> 'status', case when p_owed ->> 'status' <> 'open' then now() end
    from public.payments y
    cross join lateral (
        select x.id, 'named' as how from public.bills x where x.id = y.bill_id
        union all
        (select x.id, 'paid' from public.ledger_entries e
         join public.allocations a on a.credit_entry_id = e.id
         join public.ledger_entries d on d.id = a.debit_entry_id
         join public.bills x on x.id = d.bill_id
         where e.payment_id = y.id and e.kind = 'payment' order by a.id limit 1)
        union all
        (select x.id, 'latest' from public.bills x where x.customer_id = y.customer_id and x.status = 'issued'
         order by x.period_end desc limit 1)
        limit 1) b
    where y.id = p_payment_id and p_owed is not null and p_owed <> 'null'::jsonb
    on conflict (bill_id, kind, occasion) do nothing
$$;
comment on function private.owe_thanks(uuid, jsonb) is 'Owes the thanks for a payment, with the bill that it is told by: the one named, else the first it paid, else the latest, and then on_account says that it paid none.';

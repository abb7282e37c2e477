-- What people and Stripe do to an account: payments, returns, credits, fees, deposits, plans.
-- And how bills are issued and voided now that there is a ledger.

alter table public.bills add column replaces_id uuid unique references public.bills;
comment on column public.bills.replaces_id is 'The void bill that this one was made anew for.';
alter table public.bills add column priced_by uuid[];
comment on column public.bills.priced_by is
    'The versions of the tariff that its days were priced by, in order; null in bills from before there were corrections.';

-- Owed work of an occasion that comes more than once for a bill, such as each of its payments.
alter table public.outbox
    drop constraint outbox_kind_check,
    add constraint outbox_kind_check check (kind in (
        'bill_issued', 'payment_reminder', 'overdue_notice', 'payment_received', 'balance_changed', 'bill_corrected')),
    add column occasion text not null default '',
    add column facts jsonb not null default '{}' check (jsonb_typeof(facts) = 'object'),
    drop constraint outbox_bill_id_kind_key,
    add constraint outbox_once unique (bill_id, kind, occasion);
comment on column public.outbox.occasion is 'Which one, where a bill has several of a kind: of payment_received the payment.';
comment on column public.outbox.facts is 'What the occasion is about, as texts: of payment_received the payment and its amount.';
comment on column public.outbox.kind is
    'balance_changed: the link and the graph follow what is left to pay; one row a bill, taken up anew at each change.';

alter table public.notifications add column occasion text not null default '';

create or replace view public.owed_work_list with (security_invoker = true) as
select o.id, o.bill_id, b.number as bill_number, o.kind, o.steps, o.status, o.attempts,
       o.next_attempt_at, o.lease_until, o.created_at, o.finished_at, o.occasion
from public.outbox o join public.bills b on b.id = o.bill_id;

create or replace view public.notification_list with (security_invoker = true) as
select n.id, n.bill_id, b.number as bill_number, c.account_no, n.kind, n.channel,
       case when n.status in ('waiting', 'sending') and o.status <> 'open' then 'given_up' else n.status end as status,
       n.attempts, n.recipient, n.body, n.error, n.message_id, n.created_at, n.updated_at,
       o.id as owed_id, o.status as owed_status,
       lower(concat_ws(' ', private.invoice_reference(b.number), c.account_no)) as search,
       n.occasion
from public.notifications n
left join public.bills b on b.id = n.bill_id
left join public.customers c on c.id = n.customer_id
left join public.outbox o on o.bill_id = n.bill_id and o.kind = n.kind and o.occasion = n.occasion;

create or replace function public.begin_notification(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.notifications;
    v_send boolean := false;
begin
    insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status)
    select (p ->> 'id')::uuid, b.id, b.customer_id, p ->> 'kind', coalesce(p ->> 'occasion', ''), p ->> 'channel', 'waiting'
    from public.bills b where b.id = (p ->> 'bill_id')::uuid
    on conflict (id) do nothing;
    select * into v_row from public.notifications where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    if v_row.status in ('waiting', 'not_configured') then
        v_send := true;
        update public.notifications
        set status = 'sending', attempts = attempts + 1, error = '', updated_at = now(),
            recipient = p ->> 'recipient', body = p ->> 'body'
        where id = v_row.id returning * into v_row;
    elsif v_row.status = 'sending' then
        update public.notifications
        set status = 'unknown', updated_at = now(),
            error = 'The program stopped while this was being sent. It may have arrived; it is not sent twice.'
        where id = v_row.id returning * into v_row;
    end if;
    return jsonb_build_object('send', v_send, 'status', v_row.status, 'error', v_row.error,
                              'message_id', v_row.message_id);
end $$;
comment on function public.begin_notification is
    'Says that a message is about to leave, unless it left before: {id, bill_id, kind, occasion?, channel, recipient, body} -> {send, status, error, message_id}.';

create or replace function public.save_owed_work(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.outbox;
    v_open boolean := p ->> 'status' = 'open';
    v_release boolean := coalesce((p ->> 'release')::boolean, true);
begin
    perform private.set_actor(p);
    if p ->> 'payment_url' is not null then
        -- Before the outbox row, as whoever changes a bill's balance does.
        perform 1 from public.bills
        where id = (select bill_id from public.outbox where id = (p ->> 'id')::uuid) for update;
    end if;
    select * into v_row from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found or v_row.lease_owner is distinct from p ->> 'owner' then
        perform private.refuse('EB007', 'Another process is working on this by now.');
    end if;
    update public.outbox
    set steps = p -> 'steps', status = p ->> 'status',
        attempts = (p ->> 'attempts')::integer,
        next_attempt_at = now() + make_interval(secs => coalesce((p ->> 'retry_in_seconds')::integer, 0)),
        finished_at = case when not v_open then now() end,
        lease_owner = case when v_release then null else lease_owner end,
        lease_until = case when v_release then null
                           else now() + make_interval(secs => (p ->> 'lease_seconds')::integer) end
    where id = v_row.id;
    if p ->> 'payment_url' is not null then
        update public.bills set payment_url = p ->> 'payment_url'
        where id = v_row.bill_id and status = 'issued' and payment_url is distinct from p ->> 'payment_url';
    end if;
    insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status, recipient, body, error)
    select n.id, v_row.bill_id, b.customer_id, v_row.kind, v_row.occasion, n.channel, n.status, n.recipient, n.body, n.error
    from jsonb_to_recordset(coalesce(p -> 'notifications', '[]')) as n(
        id uuid, channel text, status text, recipient text, body text, error text)
    cross join public.bills b
    where b.id = v_row.bill_id
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;

create or replace function public.retry_owed_work(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.outbox;
    v_unsent boolean;
    v_steps jsonb;
begin
    perform private.set_actor(p);
    select * into v_row from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such work.');
    end if;
    if v_row.status = 'open' then
        return '{}'::jsonb;
    end if;
    update public.notifications set status = 'waiting', updated_at = now()
    where bill_id = v_row.bill_id and kind = v_row.kind and occasion = v_row.occasion and status in ('failed', 'waiting');
    v_unsent := found;
    v_steps := private.to_try_again(v_row.steps, v_unsent);
    if v_steps = v_row.steps then
        perform private.refuse('EB005', 'Nothing of this can be tried again.');
    end if;
    update public.outbox
    set steps = v_steps, status = 'open', attempts = 0, next_attempt_at = now(), finished_at = null,
        lease_owner = null, lease_until = null
    where id = v_row.id;
    insert into public.audit_log (actor, action, table_name, row_id, before, after)
    values (p ->> 'actor', 'update', 'outbox', v_row.id::text,
            jsonb_build_object('status', v_row.status, 'steps', v_row.steps),
            jsonb_build_object('status', 'open', 'steps', v_steps));
    return '{}'::jsonb;
end $$;

create or replace function private.owe_notices(p_bills uuid[], p_kind text, p_steps jsonb) returns void
language sql set search_path = '' as $$
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select gen_random_uuid(), b, p_kind, p_steps -> 'steps', p_steps ->> 'status',
           case when p_steps ->> 'status' <> 'open' then now() end
    from unnest(p_bills) b
    on conflict (bill_id, kind, occasion) do nothing
$$;

create function private.set_owed(p jsonb) returns void
language sql set search_path = '' as $$
    select set_config('billing.owed_on_balance', coalesce(p #>> '{owed,balance_changed}', ''), true)
$$;
comment on function private.set_owed is
    'Says what a bill owes when its balance changes in this transaction: {owed: {balance_changed: {steps, status}}}; without it nothing.';

create function private.owe_on_balance() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_owed jsonb := nullif(current_setting('billing.owed_on_balance', true), '')::jsonb;
begin
    if v_owed is null then
        return null;
    end if;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select gen_random_uuid(), n.id, 'balance_changed', v_owed -> 'steps', v_owed ->> 'status',
           case when v_owed ->> 'status' <> 'open' then now() end
    from new_rows n join old_rows o on o.id = n.id
    where n.amount_paid_minor <> o.amount_paid_minor or (n.status = 'void' and o.status <> 'void')
    order by n.id
    -- Whoever is at it has looked at the old balance: their lease ends, and it is done anew.
    on conflict (bill_id, kind, occasion) do update
    set steps = excluded.steps, status = excluded.status, finished_at = excluded.finished_at, attempts = 0,
        next_attempt_at = now(), lease_owner = null, lease_until = null;
    return null;
end $$;
create trigger bills_owe_on_balance after update on public.bills
    referencing old table as old_rows new table as new_rows
    for each statement execute function private.owe_on_balance();

-- A bill in the middle of a chain may be made anew in one transaction, so the chain is looked at when it ends.
create or replace function private.guard_bill() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_at_issue constant text[] := array['number', 'issued_at', 'issued_on', 'due_date'];
    v_later constant text[] := array['status', 'amount_paid_minor', 'overdue_since', 'payment_url', 'void_reason'];
begin
    if new.status <> old.status and not (
        (old.status = 'draft' and new.status in ('issued', 'void'))
        or (old.status = 'issued' and new.status = 'void')
    ) then
        raise exception using errcode = 'EB005', message = format('A bill that is %s cannot become %s.', old.status, new.status);
    end if;
    if old.status = 'void' and to_jsonb(new) <> to_jsonb(old) then
        raise exception using errcode = 'EB005', message = 'A void bill does not change.';
    end if;
    if to_jsonb(new) - v_at_issue - v_later <> to_jsonb(old) - v_at_issue - v_later
       or (not (old.status = 'draft' and new.status = 'issued')
           and (new.number, new.issued_at, new.issued_on, new.due_date)
               is distinct from (old.number, old.issued_at, old.issued_on, old.due_date)) then
        raise exception using errcode = 'EB005',
            message = 'A bill''s figures never change: void it and issue a new one.';
    end if;
    if new.status = 'void' and old.status <> 'void' and old.amount_paid_minor <> 0 then
        raise exception using errcode = 'EB005', message = 'A bill with payments cannot be voided: they return to the account first.';
    end if;
    return new;
end $$;

create function private.check_chain_whole() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (select 1 from public.bills later
               where later.opening_reading_id = new.closing_reading_id and later.status <> 'void')
       and not exists (select 1 from public.bills again
                       where again.closing_reading_id = new.closing_reading_id and again.status <> 'void') then
        raise exception using errcode = 'EB005', message = 'A later bill begins where this one ends: void that one first.';
    end if;
    return null;
end $$;
create constraint trigger bills_chain_whole after update of status on public.bills
    deferrable initially deferred for each row when (new.status = 'void')
    execute function private.check_chain_whole();

-- As before, and with the bill that each replaces; customers are locked before the counter.
create or replace function private.insert_bills(p_bills jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_issued integer;
    v_base bigint;
begin
    perform private.lock_customers(array(
        select m.customer_id from public.meters m
        where m.id in (select (b ->> 'meter_id')::uuid from jsonb_array_elements(p_bills) b)));
    select count(*) into v_issued from jsonb_array_elements(p_bills) b where b ->> 'status' = 'issued';
    if v_issued > 0 then
        update public.counters set last_number = last_number + v_issued where name = 'bill'
        returning last_number - v_issued into v_base;
    end if;
    insert into public.bills (
        id, number, status, meter_id, customer_id, tariff_version_id, opening_reading_id, closing_reading_id,
        period_start, period_end, opening_wh, closing_wh, consumption_wh, currency, lines,
        subtotal_minor, tax_minor, total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage,
        replaces_id, priced_by)
    select b.id,
           case when b.status = 'issued'
                then v_base + row_number() over (partition by b.status = 'issued' order by b.position) end,
           b.status, b.meter_id, m.customer_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
           b.period_start, b.period_end, b.opening_wh, b.closing_wh, b.consumption_wh, b.currency, b.lines,
           b.subtotal_minor, b.tax_minor, b.total_minor, b.issued_at, b.issued_on, b.due_date, b.reissue_no,
           nullif(b.second_opinion, 'null'::jsonb), nullif(b.usage, 'null'::jsonb), b.replaces_id, b.priced_by
    from rows from (jsonb_to_recordset(p_bills) as (
             id uuid, status text, meter_id uuid, tariff_version_id uuid, opening_reading_id uuid,
             closing_reading_id uuid, period_start date, period_end date, opening_wh bigint, closing_wh bigint,
             consumption_wh bigint, currency text, lines jsonb, subtotal_minor bigint, tax_minor bigint,
             total_minor bigint, issued_at timestamptz, issued_on date, due_date date, reissue_no integer,
             second_opinion jsonb, usage jsonb, replaces_id uuid, priced_by uuid[])
         ) with ordinality as b(
             id, status, meter_id, tariff_version_id, opening_reading_id, closing_reading_id, period_start,
             period_end, opening_wh, closing_wh, consumption_wh, currency, lines, subtotal_minor, tax_minor,
             total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage, replaces_id, priced_by,
             position)
    join public.meters m on m.id = b.meter_id;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at, lease_owner, lease_until)
    select o.id, b.id, 'bill_issued', o.steps, o.status, case when o.status <> 'open' then now() end,
           o.lease_owner, now() + make_interval(secs => o.lease_seconds)
    from jsonb_to_recordset(p_bills) as b(id uuid, owed jsonb)
    cross join lateral jsonb_to_record(b.owed) as o(
        id uuid, steps jsonb, status text, lease_owner text, lease_seconds integer)
    where b.owed is not null and b.owed <> 'null'::jsonb;
end $$;

create function private.void_one(p_bill_id uuid, p_reason text, p_on date) returns void
language plpgsql set search_path = '' as $$
declare
    v_entry uuid := (select id from public.ledger_entries where bill_id = p_bill_id and kind = 'bill');
begin
    if v_entry is not null then
        perform private.take_back(v_entry, 9000000000000000000, null);
    end if;
    update public.bills set status = 'void', void_reason = p_reason where id = p_bill_id;
    if v_entry is not null then
        perform private.undo_entry(v_entry, 'bill_void', p_on, p_reason);
    end if;
end $$;
comment on function private.void_one is
    'Voids a bill that is not void; what was paid on it returns to the account. The caller has locked meter, customer and bill.';

create or replace function public.void_bill(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_bill public.bills;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform 1 from public.meters where id = v_bill.meter_id for update;
    perform private.lock_customers(array[v_bill.customer_id]);
    select * into v_bill from public.bills where id = v_bill.id for update;
    if v_bill.status <> 'void' then
        if exists (select 1 from public.bills later
                   where later.opening_reading_id = v_bill.closing_reading_id and later.status <> 'void') then
            perform private.refuse('EB005', 'A later bill begins where this one ends: void that one first.');
        end if;
        perform private.void_one(v_bill.id, p ->> 'reason', coalesce((p ->> 'on')::date, current_date));
        perform private.settle(array[v_bill.customer_id]);
    end if;
    return private.bill_json(v_bill.id);
end $$;
comment on function public.void_bill is
    'Voids the last bill of a meter''s chain; what was paid on it stays with the account and pays what else is open: {actor, bill_id, reason, on?, owed?}.';

-- Payments.
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

create function private.take_payment(p_row jsonb) returns boolean
language plpgsql set search_path = '' as $$
declare
    v_new uuid[] := private.store_payments(jsonb_build_array(p_row));
begin
    perform private.post_payments(v_new, coalesce(p_row ->> 'apply', 'oldest')) where v_new <> '{}';
    return v_new <> '{}';
end $$;
comment on function private.take_payment is
    'Stores a payment and counts it, unless it is there already (by id or by the provider''s id); whether it was new.';

create function private.check_payment(p_row jsonb) returns void
language plpgsql stable set search_path = '' as $$
declare
    b public.bills;
    c public.customers;
begin
    select * into b from public.bills where id = (p_row ->> 'bill_id')::uuid;
    if not found and p_row ->> 'bill_id' is not null then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    select * into c from public.customers where id = coalesce((p_row ->> 'customer_id')::uuid, b.customer_id);
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    perform private.refuse('EB005', q.why)
    from (select case
              when b.id is not null and b.customer_id <> c.id then 'The bill is another customer''s.'
              when b.status in ('draft', 'void') then 'Only an issued bill takes payments.'
              when b.currency <> p_row ->> 'currency' then format('The bill is in %s.', b.currency)
              when c.currency <> p_row ->> 'currency' then format('The account is in %s.', c.currency)
              when b.id is not null and p_row ->> 'book' = 'deposit' then 'A deposit pays no bill until it is used.'
              end as why) q
    where q.why is not null;
end $$;
comment on function private.check_payment is 'What somebody enters must fit: the bill, its customer, their currency.';

create function private.owe_thanks(p_payment_id uuid, p_owed jsonb) returns void
language sql set search_path = '' as $$
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select gen_random_uuid(), b.id, 'payment_received', y.id::text,
           jsonb_build_object('payment_id', y.id, 'amount_minor', y.amount_minor::text, 'currency', y.currency,
                              'received_on', y.received_on),
           p_owed -> 'steps', p_owed ->> 'status', case when p_owed ->> 'status' <> 'open' then now() end
    from public.payments y
    cross join lateral (
        select x.id from public.bills x where x.id = y.bill_id
        union all
        (select x.id from public.ledger_entries e
         join public.allocations a on a.credit_entry_id = e.id
         join public.ledger_entries d on d.id = a.debit_entry_id
         join public.bills x on x.id = d.bill_id
         where e.payment_id = y.id and e.kind = 'payment' order by a.id limit 1)
        union all
        (select x.id from public.bills x where x.customer_id = y.customer_id and x.status = 'issued'
         order by x.period_end desc limit 1)
        limit 1) b
    where y.id = p_payment_id and p_owed is not null and p_owed <> 'null'::jsonb
    on conflict (bill_id, kind, occasion) do nothing
$$;
comment on function private.owe_thanks is
    'Owes the thanks for a payment, with the bill that it is told by: the one named, else the first it paid, else the latest.';

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

create function private.resolve_flag(p_payment_id uuid, p_reason text, p_resolution text) returns void
language sql set search_path = '' as $$
    update public.payment_flags
    set resolved_at = now(), resolved_by = current_setting('billing.actor'), resolution = p_resolution
    where payment_id = p_payment_id and resolved_at is null and (p_reason is null or reason = p_reason)
$$;

create function public.resolve_payment_flag(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    perform private.resolve_flag((p ->> 'payment_id')::uuid, p ->> 'reason', p ->> 'resolution');
    return '{}'::jsonb;
end $$;
comment on function public.resolve_payment_flag is
    'A person has looked at it: {actor, payment_id, reason? (all without it), resolution}.';

create function public.assign_payment(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    y public.payments;
    b public.bills;
    v_customer uuid;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into b from public.bills where id = (p ->> 'bill_id')::uuid;
    v_customer := coalesce((p ->> 'customer_id')::uuid, b.customer_id);
    if v_customer is null or not exists (select 1 from public.customers where id = v_customer) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    perform private.lock_customers(array[v_customer]);
    select * into y from public.payments where id = (p ->> 'payment_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such payment.');
    elsif y.customer_id = v_customer then
        return '{}'::jsonb;
    elsif y.customer_id is not null then
        perform private.refuse('EB005', 'This payment is in an account already: reverse it there and enter it here.');
    elsif exists (select 1 from public.payment_returns where payment_id = y.id and status in ('pending', 'done')) then
        perform private.refuse('EB005', 'This payment went back already.');
    end if;
    update public.payments set customer_id = v_customer, bill_id = b.id where id = y.id returning * into y;
    perform private.post_payments(array[y.id], 'oldest');
    perform private.owe_thanks(y.id, p #> '{owed,payment_received}');
    perform private.resolve_flag(y.id, 'unknown_bill', format('Assigned to account %s.',
        (select account_no from public.customers where id = v_customer)));
    return '{}'::jsonb;
end $$;
comment on function public.assign_payment is
    'Says whose a payment of nobody known is: {actor, payment_id, customer_id or bill_id, owed?}.';

-- Money that goes back.
create function private.returnable(p_payment_id uuid) returns bigint
language sql stable set search_path = '' as $$
    select y.amount_minor - coalesce((select sum(r.amount_minor) from public.payment_returns r
                                      where r.payment_id = y.id and r.status in ('pending', 'done')), 0)::bigint
    from public.payments y where y.id = p_payment_id
$$;
comment on function private.returnable is 'What of a payment can still go back, in minor units.';

create function private.pay_from_credit(p_debit_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.allocate((
        with d as (select * from public.open_items where entry_id = p_debit_id),
        c as (
            select o.entry_id, -o.open_minor as amount,
                   sum(-o.open_minor) over (order by o.order_on, o.entry_no) + o.open_minor as before
            from public.open_items o join d using (customer_id, book, currency) where o.open_minor < 0
        )
        select jsonb_agg(jsonb_build_object('credit', c.entry_id, 'debit', d.entry_id,
                                            'amount', least(c.amount, d.open_minor - c.before)) order by c.before)
        from c cross join d where c.before < d.open_minor));
end $$;
comment on function private.pay_from_credit is 'Lets the open credits of an account pay one debit, the oldest first.';

create function private.open_credit(p_customer_id uuid, p_book text, p_currency text) returns bigint
language sql stable set search_path = '' as $$
    select coalesce(sum(-open_minor), 0)::bigint from public.open_items
    where customer_id = p_customer_id and book = p_book and currency = p_currency and open_minor < 0
$$;

create function private.left_of_payment(p_payment_id uuid) returns bigint
language sql stable set search_path = '' as $$
    select case y.book when 'deposit' then private.open_credit(y.customer_id, y.book, y.currency)
        else -o.open_minor + coalesce((
            select sum(a.amount_minor) from public.allocations a
            join public.ledger_entries d on d.id = a.debit_entry_id and d.kind in ('bill', 'fee')
            where a.credit_entry_id = e.id), 0)::bigint end
    from public.payments y
    join public.ledger_entries e on e.payment_id = y.id and e.kind = 'payment'
    join public.open_items o on o.entry_id = e.id
    where y.id = p_payment_id
$$;
comment on function private.left_of_payment is
    'What of a payment is open or pays bills and fees: not what was paid out or, of a deposit, used. Null of a payment in no account.';

create function private.post_return(r public.payment_returns) returns void
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
end $$;
comment on function private.post_return is
    'Counts money that went back: from what is open of its payment first, then from the bills it paid, the last first. What the payment no longer has, the customer owes.';

create function private.undo_return(r public.payment_returns, p_on date, p_note text) returns void
language plpgsql set search_path = '' as $$
begin
    update public.payment_returns set status = 'undone', error = p_note where id = r.id;
    if r.customer_id is not null then
        perform private.undo_entry(e.id, 'return_undone', p_on, p_note)
        from public.ledger_entries e where e.return_id = r.id and e.kind = r.kind;
        perform private.settle(array[r.customer_id]);
    end if;
end $$;
comment on function private.undo_return is 'Money that had gone back came again: a refund that failed later, a dispute that was won.';

create function public.record_return(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    y public.payments;
    r public.payment_returns;
    v_left bigint;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into y from public.payments where id = (p ->> 'payment_id')::uuid;
    if not found and p ->> 'payment_id' is not null then
        perform private.refuse('EB404', 'No such payment.');
    end if;
    perform private.lock_customers(array[coalesce(y.customer_id, (p ->> 'customer_id')::uuid)]);
    perform 1 from public.payments where id = y.id for update;
    select * into r from public.payment_returns where id = (p ->> 'id')::uuid;
    if found then
        return to_jsonb(r);
    end if;
    v_left := private.returnable(y.id);
    insert into public.payment_returns (id, payment_id, customer_id, book, kind, amount_minor, currency, method,
                                        reference, reason, status, provider_id, on_date, created_by)
    select x.id, y.id, coalesce(y.customer_id, x.customer_id), coalesce(y.book, x.book, 'account'), x.kind,
           coalesce(x.amount_minor, nullif(v_left, 0), y.amount_minor), coalesce(y.currency, x.currency), x.method,
           coalesce(x.reference, ''), x.reason, coalesce(x.status, 'done'), x.provider_id, x.on_date, p ->> 'actor'
    from jsonb_to_record(p) as x(
        id uuid, customer_id uuid, book text, kind text, amount_minor bigint, currency text, method text,
        reference text, reason text, status text, provider_id text, on_date date)
    returning * into r;
    if y.id is not null and r.amount_minor > v_left then
        perform private.refuse('EB005', case when v_left = 0 then 'All of this payment went back already.'
            else 'That is more than what is left of the payment.' end);
    elsif r.kind = 'refund' and r.amount_minor > private.left_of_payment(y.id) then
        perform private.refuse('EB005', case y.book when 'deposit' then 'A part of this deposit has been used for bills.'
            else 'A part of this payment was paid out already.' end);
    elsif r.kind = 'payout' and r.amount_minor > private.open_credit(r.customer_id, r.book, r.currency) then
        perform private.refuse('EB005', 'There is not so much credit on the account.');
    elsif r.method = 'stripe' and (y.provider_id is null or r.kind = 'payout') then
        perform private.refuse('EB005', 'Only a payment that came by Stripe can go back by it.');
    end if;
    if r.status = 'done' then
        perform private.post_return(r);
    end if;
    return to_jsonb(r);
end $$;
comment on function public.record_return is
    'Money goes back: {actor, id, payment_id or (payout) customer_id and currency, kind: refund|reversal|dispute|payout, amount_minor? (all that is left), method, reference?, reason, on_date, status?: done|pending (asked of Stripe), provider_id?, owed?} -> the row. EB005 when it is more than what is left.';

create function public.end_return(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    r public.payment_returns;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into r from public.payment_returns where id = (p ->> 'id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such refund.');
    end if;
    perform private.lock_customers(array[r.customer_id]);
    select * into r from public.payment_returns where id = r.id for update;
    if r.status = 'pending' then
        update public.payment_returns
        set status = p ->> 'status', attempts = attempts + 1, error = coalesce(p ->> 'error', ''),
            provider_id = coalesce(provider_id, p ->> 'provider_id'), on_date = coalesce((p ->> 'on_date')::date, on_date),
            next_attempt_at = now() + make_interval(secs => coalesce((p ->> 'retry_in_seconds')::integer, 0))
        where id = r.id returning * into r;
        if r.status = 'done' then
            perform private.post_return(r);
        end if;
    elsif r.provider_id is null and p ->> 'provider_id' is not null and r.status = 'done' then
        update public.payment_returns set provider_id = p ->> 'provider_id' where id = r.id returning * into r;
    end if;
    return to_jsonb(r);
end $$;
comment on function public.end_return is
    'What became of a refund asked of Stripe: {actor, id, status: done|failed|pending (later again), provider_id?, error?, on_date?, retry_in_seconds?, owed?} -> the row. One that is over is left as it is.';

-- Credits and fees.
create function public.add_adjustment(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    c public.customers;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    select * into c from public.customers where id = (p ->> 'customer_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    elsif p ->> 'kind' not in ('credit', 'fee') or (p ->> 'amount_minor')::bigint <= 0 then
        perform private.refuse('EB400', 'A credit or a fee has an amount above 0.');
    elsif c.currency <> p ->> 'currency' then
        perform private.refuse('EB005', format('The account is in %s.', c.currency));
    elsif not exists (select 1 from public.ledger_entries where id = (p ->> 'id')::uuid) then
        perform private.post_entries(jsonb_build_array(jsonb_build_object(
            'id', p ->> 'id', 'customer_id', c.id, 'currency', p ->> 'currency', 'kind', p ->> 'kind',
            'amount_minor', case p ->> 'kind' when 'credit' then -1 else 1 end * (p ->> 'amount_minor')::bigint,
            'on_date', p ->> 'on_date', 'note', p ->> 'note')));
        perform private.settle(array[c.id]);
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.add_adjustment is
    'A credit given or a fee charged: {actor, id, customer_id, kind: credit|fee, amount_minor (above 0), currency, note, on_date, owed?}.';

create function public.undo_adjustment(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    e public.ledger_entries;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into e from public.ledger_entries where id = (p ->> 'entry_id')::uuid and kind in ('credit', 'fee');
    if not found then
        perform private.refuse('EB404', 'No such credit or fee.');
    end if;
    perform private.lock_customers(array[e.customer_id]);
    if not exists (select 1 from public.ledger_entries where undoes_id = e.id) then
        perform private.undo_entry(e.id, e.kind || '_undone', (p ->> 'on_date')::date, p ->> 'reason');
        perform private.settle(array[e.customer_id]);
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.undo_adjustment is 'Takes a credit or a fee back, once: {actor, entry_id, reason, on_date, owed?}.';

create function public.use_deposit(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer uuid := (p ->> 'customer_id')::uuid;
    v_amount bigint := (p ->> 'amount_minor')::bigint;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[v_customer]);
    if exists (select 1 from public.ledger_entries where id = (p ->> 'id')::uuid) then
        return '{}'::jsonb;
    elsif v_amount <= 0 or private.open_credit(v_customer, 'deposit', p ->> 'currency') < v_amount then
        perform private.refuse('EB005', 'There is not so much deposit held.');
    end if;
    perform private.post_entries(jsonb_build_array(
        jsonb_build_object('id', p ->> 'id', 'customer_id', v_customer, 'book', 'deposit', 'currency', p ->> 'currency',
                           'kind', 'deposit_used', 'amount_minor', v_amount, 'on_date', p ->> 'on_date', 'note', p ->> 'note'),
        jsonb_build_object('customer_id', v_customer, 'currency', p ->> 'currency', 'kind', 'deposit_used',
                           'amount_minor', -v_amount, 'on_date', p ->> 'on_date', 'note', p ->> 'note')));
    perform private.pay_from_credit((p ->> 'id')::uuid);
    perform private.settle(array[v_customer]);
    return '{}'::jsonb;
end $$;
comment on function public.use_deposit is
    'Lets a deposit that is held pay what is open: {actor, id, customer_id, currency, amount_minor, note, on_date, owed?}.';

create function public.allocate_credit(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
        perform private.take_back(v_credit.entry_id, 9000000000000000000, array['bill', 'fee']);
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
comment on function public.allocate_credit is
    'Lets what is left of a credit pay a bill, or without a bill takes back what it paid, which leaves it unapplied: {actor, entry_id, bill_id?, owed?}.';

create function public.settle_account(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[(p ->> 'customer_id')::uuid]);
    perform private.settle(array[(p ->> 'customer_id')::uuid]);
    return '{}'::jsonb;
end $$;
comment on function public.settle_account is 'Lets open credits of a customer pay what is open, the oldest first: {actor, customer_id, owed?}.';

-- Instalment plans.
create table public.instalment_plans (
    id uuid primary key,
    customer_id uuid not null references public.customers,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    status text not null default 'active' check (status in ('active', 'broken', 'cancelled')),
    reason text not null default '',
    created_by text not null check (created_by <> ''),
    agreed_on date not null,
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    check ((status = 'active') = (ended_at is null))
);
create index instalment_plans_customer on public.instalment_plans (customer_id);
create index instalment_plans_active on public.instalment_plans (id) where status = 'active';
comment on table public.instalment_plans is
    'An agreement to pay bills in parts; while it is kept they are neither reminded of nor marked overdue.';

create table public.plan_bills (
    plan_id uuid not null references public.instalment_plans,
    bill_id uuid not null references public.bills,
    amount_minor bigint not null check (amount_minor > 0),
    primary key (plan_id, bill_id)
);
create index plan_bills_bill on public.plan_bills (bill_id);
comment on column public.plan_bills.amount_minor is 'What was open of the bill when the plan was agreed.';

create table public.instalments (
    plan_id uuid not null references public.instalment_plans,
    instalment_no integer not null check (instalment_no > 0),
    due_on date not null,
    amount_minor bigint not null check (amount_minor > 0),
    primary key (plan_id, instalment_no)
);

create function private.in_plan(p_bill_id uuid) returns boolean
language sql stable set search_path = '' as $$
    select exists (select 1 from public.plan_bills b join public.instalment_plans i on i.id = b.plan_id
                   where b.bill_id = p_bill_id and i.status = 'active')
$$;

create function private.plan_paid(p_plan_id uuid) returns bigint
language sql stable set search_path = '' as $$
    select coalesce(sum(greatest(p.amount_minor - case when b.status = 'void' then 0 else b.total_minor - b.amount_paid_minor end, 0)), 0)::bigint
    from public.plan_bills p join public.bills b on b.id = p.bill_id where p.plan_id = p_plan_id
$$;
comment on function private.plan_paid is 'What was paid of a plan''s bills since it was agreed, in minor units.';

create function public.agree_plan(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer uuid := (p ->> 'customer_id')::uuid;
    v_bills uuid[] := array(select b::uuid from jsonb_array_elements_text(p -> 'bills') b order by b);
    v_open bigint;
begin
    perform private.set_actor(p);
    perform private.lock_customers(array[v_customer]);
    if exists (select 1 from public.instalment_plans where id = (p ->> 'id')::uuid) then
        return '{}'::jsonb;
    end if;
    if (select count(*) from public.bills where id = any (v_bills) and customer_id = v_customer and status = 'issued'
            and currency = p ->> 'currency' and amount_paid_minor < total_minor) <> cardinality(v_bills) or v_bills = '{}' then
        perform private.refuse('EB005', 'A plan is about unpaid bills of one customer.');
    elsif exists (select 1 from unnest(v_bills) b where private.in_plan(b)) then
        perform private.refuse('EB005', 'One of these bills is in a plan already.');
    end if;
    select sum(total_minor - amount_paid_minor) into v_open from public.bills where id = any (v_bills);
    if v_open <> (select sum((i ->> 'amount_minor')::bigint) from jsonb_array_elements(p -> 'instalments') i) then
        perform private.refuse('EB005', 'The instalments must add up to what is open of the bills.');
    end if;
    insert into public.instalment_plans (id, customer_id, currency, reason, created_by, agreed_on)
    values ((p ->> 'id')::uuid, v_customer, p ->> 'currency', coalesce(p ->> 'reason', ''), p ->> 'actor', (p ->> 'on')::date);
    insert into public.plan_bills (plan_id, bill_id, amount_minor)
    select (p ->> 'id')::uuid, id, total_minor - amount_paid_minor from public.bills where id = any (v_bills);
    insert into public.instalments (plan_id, instalment_no, due_on, amount_minor)
    select (p ->> 'id')::uuid, row_number() over (order by x.due_on, x.place), x.due_on, x.amount_minor
    from rows from (jsonb_to_recordset(p -> 'instalments') as (due_on date, amount_minor bigint)) with ordinality
        as x(due_on, amount_minor, place);
    return '{}'::jsonb;
end $$;
comment on function public.agree_plan is
    'Agrees an instalment plan: {actor, id, customer_id, currency, bills: [id], instalments: [{due_on, amount_minor}], on, reason?}. The instalments add up to what is open of the bills.';

create function public.end_plan(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.instalment_plans set status = 'cancelled', reason = p ->> 'reason', ended_at = now()
    where id = (p ->> 'id')::uuid and status = 'active';
    return '{}'::jsonb;
end $$;
comment on function public.end_plan is 'Cancels a plan that is active: {actor, id, reason}.';

create function public.break_plans(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_broken integer;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    update public.instalment_plans i
    set status = 'broken', ended_at = now(), reason = 'An instalment was not paid by its date.'
    where i.status = 'active'
      and private.plan_paid(i.id) < (select coalesce(sum(n.amount_minor), 0) from public.instalments n
                                     where n.plan_id = i.id and n.due_on < (p ->> 'today')::date);
    get diagnostics v_broken = row_count;
    return jsonb_build_object('broken', v_broken);
end $$;
comment on function public.break_plans is 'Ends plans of which an instalment is past due: {actor, run, today} -> {broken}.';

create or replace function public.queue_reminders(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_bills uuid[];
begin
    perform private.check_run(p -> 'run');
    v_bills := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date >= (p ->> 'today')::date and b.due_date <= (p ->> 'until')::date
          and not exists (select 1 from public.outbox o where o.bill_id = b.id and o.kind = 'payment_reminder')
          and not private.in_plan(b.id)
        order by b.id limit (p ->> 'limit')::integer);
    perform private.owe_notices(v_bills, 'payment_reminder', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills));
end $$;

create or replace function public.mark_overdue(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_bills uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    v_bills := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date < (p ->> 'today')::date and b.overdue_since is null
          and not private.in_plan(b.id)
        order by b.id limit (p ->> 'limit')::integer for update);
    update public.bills set overdue_since = due_date + 1 where id = any (v_bills);
    perform private.owe_notices(v_bills, 'overdue_notice', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills));
end $$;

-- The month's books.
create function public.month_books(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with span as (
        select (p ->> 'month')::date as first, ((p ->> 'month')::date + interval '1 month')::date as next
    ), sums as (
        select e.currency, e.book, e.kind,
               coalesce(sum(e.amount_minor) filter (where e.on_date < s.first), 0)::bigint as before,
               coalesce(sum(e.amount_minor) filter (where e.on_date >= s.first), 0)::bigint as within,
               count(*) filter (where e.on_date >= s.first) as number
        from public.ledger_entries e cross join span s where e.on_date < s.next group by 1, 2, 3
    )
    select jsonb_build_object(
        'closing', (select to_jsonb(m) from public.month_closings m, span where m.month = span.first),
        'open_from', nullif(private.open_from(), '-infinity'),
        'books', coalesce((select jsonb_agg(jsonb_build_object(
            'currency', b.currency, 'book', b.book, 'opening_minor', b.before, 'closing_minor', b.before + b.within,
            'kinds', b.kinds) order by b.currency, b.book)
            from (select currency, book, sum(before)::bigint as before, sum(within)::bigint as within,
                         jsonb_agg(jsonb_build_object('kind', kind, 'amount_minor', within, 'number', number) order by kind)
                             filter (where number > 0) as kinds
                  from sums group by 1, 2) b), '[]'),
        'methods', coalesce((select jsonb_agg(to_jsonb(y) order by y.currency, y.method)
            from (select e.currency, coalesce(r.method, y.method) as method,
                         sum(-e.amount_minor) filter (where e.kind = 'payment') as received_minor,
                         sum(e.amount_minor) filter (where e.kind <> 'payment') as returned_minor
                  from public.ledger_entries e cross join span s
                  left join public.payments y on y.id = e.payment_id
                  left join public.payment_returns r on r.id = e.return_id
                  where e.on_date >= s.first and e.on_date < s.next and (e.payment_id is not null or e.return_id is not null)
                  group by 1, 2) y), '[]'))
$$;
comment on function public.month_books is
    'A month''s ledger by currency and book: what it opened and closed with, and the sum of each kind of entry; money received and returned by method: {month: its 1st} -> {closing, open_from, books, methods}.';

create function public.close_month(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_month date := (p ->> 'month')::date;
begin
    perform private.set_actor(p);
    -- Nobody posts meanwhile: an entry must not slip into the month after its totals are taken.
    perform pg_advisory_xact_lock(hashtext('ledger'));
    if (v_month + interval '1 month')::date > (p ->> 'today')::date then
        perform private.refuse('EB005', 'Only a month that is over can be closed.');
    elsif exists (select 1 from public.month_closings where month = v_month) then
        return '{}'::jsonb;
    elsif v_month < private.open_from() then
        perform private.refuse('EB005', 'A later month is closed already.');
    elsif public.check_ledger('{}') -> 'problems' <> '[]' then
        perform private.refuse('EB005', 'The ledger does not add up: see what is wrong with it first.');
    end if;
    insert into public.month_closings (month, totals, closed_by)
    values (v_month, public.month_books(p) - array['closing', 'open_from'], p ->> 'actor');
    return '{}'::jsonb;
end $$;
comment on function public.close_month is
    'Closes the books of a month and all before it, with their totals; later entries are dated after it: {actor, month, today}.';

-- What pages read.
create view public.ledger_list with (security_invoker = true) as
select e.id, e.customer_id, c.account_no, e.book, e.currency, e.entry_no, e.kind, e.amount_minor, e.balance_minor,
       coalesce(o.open_minor, 0) as open_minor, e.bill_id, b.number as bill_number, b.period_start, b.period_end,
       e.payment_id, coalesce(r.method, y.method) as method, coalesce(nullif(r.reference, ''), y.reference) as reference,
       e.return_id, e.undoes_id,
       exists (select 1 from public.ledger_entries u where u.undoes_id = e.id) as undone,
       e.on_date, e.note, e.actor, e.created_at
from public.ledger_entries e
join public.customers c on c.id = e.customer_id
left join public.open_items o on o.entry_id = e.id
left join public.bills b on b.id = e.bill_id
left join public.payments y on y.id = e.payment_id
left join public.payment_returns r on r.id = e.return_id;
comment on view public.ledger_list is 'The statement of accounts: each entry with the balance after it and what of it is open.';

create view public.account_list with (security_invoker = true) as
select c.id, c.account_no, c.name, c.address, c.email, c.phone, c.language, c.currency,
       coalesce(a.balance_minor, 0) as balance_minor, coalesce(-d.balance_minor, 0) as deposit_minor,
       coalesce(u.bills, 0) as open_bills, coalesce(u.overdue_minor, 0)::bigint as overdue_minor,
       lower(concat_ws(' ', c.account_no, c.name, c.address, c.phone)) as search
from public.customers c
left join public.accounts a on a.customer_id = c.id and a.book = 'account' and a.currency = c.currency
left join public.accounts d on d.customer_id = c.id and d.book = 'deposit' and d.currency = c.currency
left join lateral (
    select count(*) as bills, sum(b.total_minor - b.amount_paid_minor) filter (where b.overdue_since is not null) as overdue_minor
    from public.bills b where b.customer_id = c.id and b.status = 'issued' and b.amount_paid_minor < b.total_minor) u on true;
comment on view public.account_list is 'Customers with what they owe (below 0: are in credit) and the deposit that is held, in the account''s currency.';

create view public.allocation_list with (security_invoker = true) as
select a.credit_entry_id, a.debit_entry_id, sum(a.amount_minor)::bigint as amount_minor, max(a.created_at) as allocated_at,
       c.kind as credit_kind, c.payment_id, c.customer_id, c.currency, d.kind as debit_kind, d.bill_id, b.number as bill_number,
       max(a.id) as allocation_no
from public.allocations a
join public.ledger_entries c on c.id = a.credit_entry_id
join public.ledger_entries d on d.id = a.debit_entry_id
left join public.bills b on b.id = d.bill_id
group by a.credit_entry_id, a.debit_entry_id, c.kind, c.payment_id, c.customer_id, c.currency, d.kind, d.bill_id, b.number
having sum(a.amount_minor) > 0;
comment on view public.allocation_list is 'Which credit pays which debit now, what was taken back left out.';

create view public.payment_list with (security_invoker = true) as
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
comment on view public.payment_list is 'Payments with what is left of each, what went back, and the flags that nobody has looked at.';
comment on column public.payment_list.spent_minor is 'Paid out as credit, or used of a deposit: it cannot go back as a refund as well.';

create view public.payment_flag_list with (security_invoker = true) as
select f.payment_id, f.reason, f.detail, f.raised_at, f.resolved_at, f.resolved_by, f.resolution, y.amount_minor, y.currency,
       y.received_on, c.account_no
from public.payment_flags f
join public.payments y on y.id = f.payment_id
left join public.customers c on c.id = y.customer_id;

create view public.return_list with (security_invoker = true) as
select r.id, r.payment_id, y.provider_id as payment_provider_id, r.customer_id, c.account_no, r.book, r.kind, r.amount_minor,
       r.currency, r.method, r.reference, r.reason, r.status, r.provider_id, r.on_date, r.attempts, r.next_attempt_at,
       r.error, r.created_by, r.created_at
from public.payment_returns r
left join public.payments y on y.id = r.payment_id
left join public.customers c on c.id = r.customer_id;

create view public.plan_list with (security_invoker = true) as
select i.id, i.customer_id, c.account_no, c.name as customer_name, i.currency, i.reason, i.created_by, i.agreed_on, i.ended_at,
       t.total_minor, w.paid_minor,
       case when i.status = 'active' and w.paid_minor >= t.total_minor then 'kept' else i.status end as status,
       (select jsonb_agg(jsonb_build_object('bill_id', p.bill_id, 'number', b.number, 'amount_minor', p.amount_minor) order by b.period_end)
        from public.plan_bills p join public.bills b on b.id = p.bill_id where p.plan_id = i.id) as bills,
       (select jsonb_agg(jsonb_build_object(
                   'instalment_no', n.instalment_no, 'due_on', n.due_on, 'amount_minor', n.amount_minor,
                   'paid', n.upto <= w.paid_minor) order by n.instalment_no)
        from (select x.*, sum(x.amount_minor) over (order by x.instalment_no) as upto
              from public.instalments x where x.plan_id = i.id) n) as instalments
from public.instalment_plans i
join public.customers c on c.id = i.customer_id
cross join lateral (select sum(p.amount_minor)::bigint as total_minor from public.plan_bills p where p.plan_id = i.id) t
cross join lateral (select private.plan_paid(i.id) as paid_minor) w;

-- In the graph a payment is what it pays of a bill; what was taken back stays there with nothing.
create or replace view private.graph_payments with (security_invoker = true) as
select md5(c.payment_id::text || d.bill_id::text)::uuid as id, d.bill_id, sum(a.amount_minor)::bigint as amount_minor,
       y.currency, y.received_on, c.payment_id
from public.allocations a
join public.ledger_entries c on c.id = a.credit_entry_id and c.kind = 'payment'
join public.ledger_entries d on d.id = a.debit_entry_id and d.kind = 'bill'
join public.payments y on y.id = c.payment_id
group by c.payment_id, d.bill_id, y.currency, y.received_on;

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
       (select r.id from public.bills r where r.replaces_id = b.id) as replaced_by_id
from public.bills b
join public.meters m on m.id = b.meter_id
join public.customers c on c.id = b.customer_id
join public.tariff_versions v on v.id = b.tariff_version_id
join public.tariffs t on t.id = v.tariff_id;

select private.keep_rows('public.instalment_plans');
select private.audit_table('public.instalment_plans');
select private.never_changed('public.plan_bills');
select private.never_changed('public.instalments');
alter table public.instalment_plans enable row level security;
alter table public.plan_bills enable row level security;
alter table public.instalments enable row level security;
revoke all on public.instalment_plans, public.plan_bills, public.instalments, public.ledger_list, public.account_list,
    public.allocation_list, public.payment_list, public.payment_flag_list, public.return_list, public.plan_list
    from public, anon, authenticated, service_role;
grant select, insert, update on public.instalment_plans to service_role;
grant select, insert on public.plan_bills, public.instalments to service_role;
grant select on public.ledger_list, public.account_list, public.allocation_list, public.payment_list,
    public.payment_flag_list, public.return_list, public.plan_list to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

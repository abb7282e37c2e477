-- What Stripe told, each event once, and what it changed: payments, refunds, disputes.
--
-- Events come more than once and in any order. All of one payment are taken one after another, and
-- what they leave behind does not depend on the order: what comes too early waits for the rest.

create table public.stripe_events (
    id text primary key check (id <> ''),
    type text not null check (type <> ''),
    created_at timestamptz not null,
    received_at timestamptz not null default now(),
    arrived_by text not null check (arrived_by in ('webhook', 'reconciliation')),
    livemode boolean not null,
    object_id text not null default '',
    payment_intent text,
    effect jsonb check (jsonb_typeof(effect) = 'object'),
    outcome text not null check (outcome in ('applied', 'waiting', 'kept', 'ignored')),
    detail text not null default '',
    payment_id uuid references public.payments,
    check (outcome not in ('applied', 'waiting') or effect is not null)
);
create index stripe_events_intent on public.stripe_events (payment_intent, created_at) where payment_intent is not null;
create index stripe_events_created on public.stripe_events (created_at desc, id);
create index stripe_events_payment on public.stripe_events (payment_id) where payment_id is not null;
comment on table public.stripe_events is
    'Every event of Stripe by its own id, and what became of it. No customer''s name or address is kept.';
comment on column public.stripe_events.created_at is 'When it happened, by Stripe''s clock.';
comment on column public.stripe_events.payment_intent is 'Stripe''s id of the payment it is about; ours have it as provider_id.';
comment on column public.stripe_events.effect is 'What it means for us, in our own words and minor units; null: nothing.';
comment on column public.stripe_events.outcome is
    'applied: it counted, or had counted already. waiting: for another event that has not come. kept: of no effect, or for a person to look at. ignored: not ours.';

create function private.guard_stripe_event() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_may constant text[] := array['outcome', 'detail', 'payment_id'];
begin
    if old.outcome <> 'waiting' or to_jsonb(new) - v_may <> to_jsonb(old) - v_may then
        raise exception using errcode = 'EB005', message = 'What Stripe told is never overwritten.';
    end if;
    return new;
end $$;
create trigger stripe_events_guard before update on public.stripe_events
    for each row execute function private.guard_stripe_event();
select private.keep_rows('public.stripe_events');

create function private.raise_flag(p_payment_id uuid, p_reason text, p_detail text) returns void
language sql set search_path = '' as $$
    insert into public.payment_flags as f (payment_id, reason, detail) values (p_payment_id, p_reason, p_detail)
    on conflict (payment_id, reason) do update
    set detail = excluded.detail, raised_at = now(), resolved_at = null, resolved_by = null, resolution = null
$$;
comment on function private.raise_flag is 'Asks a person to look at a payment, anew if they did before.';

create function private.stripe_return(
    y public.payments, p_kind text, p_amount bigint, p_provider_id text, p_reason text, p_on date) returns void
language plpgsql set search_path = '' as $$
declare
    r public.payment_returns;
begin
    insert into public.payment_returns (id, payment_id, customer_id, book, kind, amount_minor, currency, method, reason,
                                        status, provider_id, on_date, created_by)
    values (gen_random_uuid(), y.id, y.customer_id, y.book, p_kind, p_amount, y.currency, 'stripe', p_reason,
            'done', p_provider_id, p_on, current_setting('billing.actor'))
    returning * into r;
    perform private.post_return(r);
    -- The money left, whatever we think of it: it is counted, and somebody looks.
    if (select sum(x.amount_minor) from public.payment_returns x where x.payment_id = y.id and x.status = 'done') > y.amount_minor then
        perform private.raise_flag(y.id, 'amount_differs', 'More went back than came.');
    end if;
end $$;
comment on function private.stripe_return is 'Money went back at Stripe: it is stored and counted.';

create function private.flag_stripe_payment(p_payment_id uuid, b public.bills, p_effect jsonb) returns void
language sql set search_path = '' as $$
    insert into public.payment_flags (payment_id, reason, detail)
    select p_payment_id, f.reason, f.detail
    from (select (p_effect ->> 'amount_minor')::bigint as amount, p_effect ->> 'currency' as currency,
                 b.total_minor - b.amount_paid_minor as open,
                 b.status = 'issued' and b.currency = p_effect ->> 'currency' as payable,
                 private.invoice_reference(b.number) as reference) x
    cross join lateral (values
        ('unknown_bill', b.id is null, case when p_effect ->> 'bill_id' is null then 'It names no bill.'
            else format('It names a bill that is not here: %s.', p_effect ->> 'bill_id') end),
        ('currency_differs', b.currency <> x.currency,
            format('The bill is in %s; the money is on an account in %s and pays no bill.', b.currency, x.currency)),
        ('bill_void', b.status = 'void',
            format('%s was void; the money pays what else is open, and the rest is credit.', coalesce(x.reference, 'The bill'))),
        ('bill_not_issued', b.status = 'draft', 'The bill was a draft; the money pays what else is open, and the rest is credit.'),
        ('already_paid', x.payable and x.open <= 0,
            format('Nothing was left to pay of %s; the money pays what else is open, and the rest is credit.', x.reference)),
        ('amount_differs', x.payable and x.open > 0 and x.amount <> x.open,
            format(case when x.amount < x.open then 'Less came than was open of %s.'
                   else 'More came than was open of %s; the rest pays what else is open, or is credit.' end, x.reference)
            || case when x.amount = (p_effect ->> 'expected_minor')::bigint then ' It is what the link asked for.' else '' end)
    ) f(reason, raised, detail)
    where f.raised
$$;
comment on function private.flag_stripe_payment is
    'Says what is odd about a payment, by its bill as it was just before.';

create function private.take_stripe_payment(e public.stripe_events, p_owed jsonb) returns public.stripe_events
language plpgsql set search_path = '' as $$
declare
    b public.bills;
    v_id constant uuid := (e.effect ->> 'payment_id')::uuid;
    v_named constant uuid := (e.effect ->> 'bill_id')::uuid;
begin
    e.outcome := 'applied';
    select id into e.payment_id from public.payments where provider_id = e.payment_intent;
    if found then
        e.detail := 'Counted already.';
        return e;
    end if;
    select * into b from public.bills
    where id in (v_named, (select bill_id from public.payment_links where id = e.effect ->> 'link_id'))
    order by id = v_named desc limit 1;
    perform private.lock_customers(array[b.customer_id]);
    -- As it is now that nobody else changes it.
    select * into b from public.bills where id = b.id;
    perform private.take_payment(jsonb_build_object(
        'id', v_id, 'bill_id', b.id, 'customer_id', b.customer_id, 'amount_minor', e.effect -> 'amount_minor',
        'currency', e.effect ->> 'currency', 'method', 'stripe', 'provider_id', e.payment_intent,
        'received_at', e.effect ->> 'received_at', 'received_on', e.effect ->> 'received_on'));
    perform private.flag_stripe_payment(v_id, b, e.effect);
    perform private.owe_thanks(v_id, p_owed -> 'payment_received');
    e.payment_id := v_id;
    e.detail := coalesce((select string_agg(detail, ' ' order by reason) from public.payment_flags where payment_id = v_id), 'Counted.');
    return e;
end $$;

create function private.failed_at_stripe(p_intent text, p_since timestamptz) returns bigint
language sql stable set search_path = '' as $$
    select coalesce(sum(f.amount), 0)::bigint
    from (select distinct effect ->> 'refund_id', (effect ->> 'amount_minor')::bigint as amount
          from public.stripe_events
          where payment_intent = p_intent and effect ->> 'kind' = 'refund_failed' and outcome = 'applied'
            and created_at >= p_since) f
$$;
comment on function private.failed_at_stripe is 'What of a payment''s refunds is known to have failed since a moment.';

create function private.match_refunded(y public.payments, e public.stripe_events) returns text
language plpgsql set search_path = '' as $$
declare
    r public.payment_returns;
    -- Stripe tells the total as it was at that moment: what has failed since was still in it.
    v_more bigint := (e.effect ->> 'refunded_total_minor')::bigint - private.failed_at_stripe(e.payment_intent, e.created_at)
        - coalesce((select sum(x.amount_minor) from public.payment_returns x
                    where x.payment_id = y.id and x.kind = 'refund' and x.method = 'stripe' and x.status = 'done'), 0)::bigint;
begin
    if v_more <= 0 then
        return 'Counted already.';
    end if;
    -- Those that we asked for, before their own answer: one of just this amount first, then the oldest.
    for r in
        select * from public.payment_returns
        where payment_id = y.id and kind = 'refund' and method = 'stripe' and status = 'pending'
        order by amount_minor = v_more desc, created_at, id
    loop
        continue when r.amount_minor > v_more;
        update public.payment_returns set status = 'done', error = '' where id = r.id returning * into r;
        perform private.post_return(r);
        v_more := v_more - r.amount_minor;
    end loop;
    if v_more > 0 then
        perform private.stripe_return(y, 'refund', v_more, null, 'Refunded at Stripe', (e.effect ->> 'on_date')::date);
    end if;
    return 'Counted.';
end $$;
comment on function private.match_refunded is
    'Brings the refunds of a payment up to the total that Stripe told: those asked for by us are done, the rest was made at Stripe.';

create function private.undo_failed_refund(y public.payments, e public.stripe_events) returns text
language plpgsql set search_path = '' as $$
declare
    r public.payment_returns;
    v_on constant date := (e.effect ->> 'on_date')::date;
    v_left bigint := (e.effect ->> 'amount_minor')::bigint;
begin
    if exists (select 1 from public.stripe_events x
               where x.payment_intent = e.payment_intent and x.id <> e.id and x.outcome = 'applied'
                 and x.effect ->> 'kind' = 'refund_failed' and x.effect ->> 'refund_id' = e.effect ->> 'refund_id') then
        return 'Counted already.';
    end if;
    select * into r from public.payment_returns
    where provider_id = e.effect ->> 'refund_id' and payment_id = y.id;
    if r.status = 'pending' then
        update public.payment_returns set status = 'failed', error = 'It failed at Stripe.' where id = r.id;
        return 'It had not been counted yet.';
    elsif r.status = 'done' then
        perform private.undo_return(r, v_on, 'The refund failed at Stripe');
        return 'The money is back.';
    elsif r.status = 'undone' or (r.status = 'failed' and not exists (
        select 1 from public.payment_returns x where x.payment_id = y.id and x.kind = 'refund' and x.method = 'stripe'
           and x.status = 'done' and x.provider_id is null and x.amount_minor = v_left)) then
        return 'Known already.';
    end if;
    -- Only its amount is known: of those made at Stripe, one of just this amount, else the newest.
    if (select coalesce(sum(x.amount_minor), 0) from public.payment_returns x
        where x.payment_id = y.id and x.kind = 'refund' and x.method = 'stripe' and x.status = 'done'
          and x.provider_id is null) < v_left then
        return null;
    end if;
    for r in
        select * from public.payment_returns x
        where x.payment_id = y.id and x.kind = 'refund' and x.method = 'stripe' and x.status = 'done' and x.provider_id is null
        order by x.amount_minor = v_left desc, x.created_at desc, x.id
    loop
        exit when v_left <= 0;
        perform private.undo_return(r, v_on, 'The refund failed at Stripe');
        v_left := v_left - r.amount_minor;
    end loop;
    if v_left < 0 then
        perform private.stripe_return(y, 'refund', -v_left, null, 'Refunded at Stripe', v_on);
    end if;
    return 'The money is back.';
end $$;
comment on function private.undo_failed_refund is
    'A refund that did not arrive came back: undone by its id, else by its amount; null when it is not known yet.';

create function private.fail_refund(y public.payments, e public.stripe_events) returns text
language plpgsql set search_path = '' as $$
declare
    v_detail text := private.undo_failed_refund(y, e);
    v_later public.stripe_events;
begin
    if v_detail is not null then
        -- A later total may have seemed reached by what has just been undone.
        select * into v_later from public.stripe_events
        where payment_intent = e.payment_intent and effect ->> 'kind' = 'refunded' and outcome = 'applied'
          and created_at > e.created_at
        order by created_at desc, id limit 1;
        if found then
            perform private.match_refunded(y, v_later);
        end if;
    end if;
    return v_detail;
end $$;

create function private.withdraw_dispute(y public.payments, e public.stripe_events) returns text
language plpgsql set search_path = '' as $$
declare
    v_dispute constant text := e.effect ->> 'dispute_id';
begin
    if not exists (select 1 from public.payment_returns where provider_id = v_dispute) then
        perform private.stripe_return(y, 'dispute', (e.effect ->> 'amount_minor')::bigint, v_dispute, 'Disputed at the bank',
                                      (e.effect ->> 'on_date')::date);
        return 'Counted.';
    elsif exists (select 1 from public.stripe_events x
                  where x.payment_intent = e.payment_intent and x.outcome = 'applied' and x.created_at < e.created_at
                    and x.effect ->> 'kind' = 'dispute_reinstated' and x.effect ->> 'dispute_id' = v_dispute) then
        perform private.raise_flag(y.id, 'disputed', 'The bank took the money again after it had given it back: record that by hand.');
        return 'Taken again: recorded by hand.';
    end if;
    return 'Counted already.';
end $$;

create function private.reinstate_dispute(y public.payments, e public.stripe_events) returns text
language plpgsql set search_path = '' as $$
declare
    r public.payment_returns;
begin
    select * into r from public.payment_returns
    where provider_id = e.effect ->> 'dispute_id' and payment_id = y.id;
    if not found then
        return null;
    elsif r.status <> 'done' then
        return 'Counted already.';
    end if;
    perform private.undo_return(r, (e.effect ->> 'on_date')::date, 'The bank gave the money back');
    return 'The money is back.';
end $$;

create function private.close_dispute(y public.payments, e public.stripe_events) returns text
language plpgsql set search_path = '' as $$
begin
    if not exists (select 1 from public.stripe_events x
                   where x.payment_intent = e.payment_intent and x.outcome = 'applied'
                     and x.effect ->> 'kind' = 'dispute_opened' and x.effect ->> 'dispute_id' = e.effect ->> 'dispute_id') then
        return null;
    elsif e.effect ->> 'result' = 'lost' then
        perform private.raise_flag(y.id, 'disputed', 'The dispute was lost: what the payment paid is open again.');
        return 'Lost.';
    elsif not exists (
        select 1 from public.stripe_events x
        where x.payment_intent = e.payment_intent and x.id <> e.id and x.outcome = 'applied'
        group by x.effect ->> 'dispute_id'
        having x.effect ->> 'dispute_id' <> e.effect ->> 'dispute_id' and bool_or(x.effect ->> 'kind' = 'dispute_opened')
           and not coalesce(bool_or(x.effect ->> 'kind' = 'dispute_closed' and x.effect ->> 'result' <> 'lost'), false)) then
        perform private.resolve_flag(y.id, 'disputed', 'The dispute ended in our favour.');
    end if;
    return 'It ended in our favour.';
end $$;
comment on function private.close_dispute is
    'A dispute ended: lost, a person looks; else its flag is done with, unless another one goes on. Null when it is not known yet.';

create function private.take_stripe_aftermath(e public.stripe_events) returns public.stripe_events
language plpgsql set search_path = '' as $$
declare
    y public.payments;
    v_detail text;
begin
    select * into y from public.payments where provider_id = e.payment_intent;
    if not found then
        e.detail := 'Waits for its payment.';
        return e;
    end if;
    perform private.lock_customers(array[y.customer_id]);
    select * into y from public.payments where id = y.id for update;
    -- Somebody may just have said whose it is.
    perform private.lock_customers(array[y.customer_id]);
    perform 1 from public.payment_returns where payment_id = y.id order by id for update;
    e.payment_id := y.id;
    if e.effect ->> 'currency' <> y.currency then
        e.outcome := 'kept';
        e.detail := format('It is in %s and its payment in %s: look at it at Stripe.', e.effect ->> 'currency', y.currency);
        return e;
    end if;
    case e.effect ->> 'kind'
        when 'refunded' then v_detail := private.match_refunded(y, e);
        when 'refund_failed' then v_detail := private.fail_refund(y, e);
        when 'dispute_opened' then
            perform private.raise_flag(y.id, 'disputed', e.detail);
            v_detail := e.detail;
        when 'dispute_withdrawn' then v_detail := private.withdraw_dispute(y, e);
        when 'dispute_reinstated' then v_detail := private.reinstate_dispute(y, e);
        when 'dispute_closed' then v_detail := private.close_dispute(y, e);
    end case;
    e.outcome := case when v_detail is null then 'waiting' else 'applied' end;
    e.detail := coalesce(v_detail, 'Waits for an earlier event of its payment.');
    return e;
end $$;
comment on function private.take_stripe_aftermath is 'What happened to a payment after it came: refunds and disputes.';

create function private.take_stripe_event(e public.stripe_events, p_owed jsonb) returns public.stripe_events
language plpgsql set search_path = '' as $$
begin
    if e.effect ->> 'kind' = 'payment' then
        e := private.take_stripe_payment(e, p_owed);
    elsif e.effect ->> 'kind' in ('payment_awaited', 'payment_failed', 'expired') then
        e.outcome := 'applied';
    else
        e := private.take_stripe_aftermath(e);
    end if;
    update public.stripe_events set outcome = e.outcome, detail = e.detail, payment_id = e.payment_id where id = e.id;
    return e;
end $$;

create function private.take_waiting_stripe_events(p_intent text, p_owed jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    e public.stripe_events;
    v_again boolean := true;
begin
    while v_again loop
        v_again := false;
        for e in select * from public.stripe_events where payment_intent = p_intent and outcome = 'waiting' order by created_at, id loop
            e := private.take_stripe_event(e, p_owed);
            v_again := v_again or e.outcome <> 'waiting';
        end loop;
    end loop;
end $$;
comment on function private.take_waiting_stripe_events is 'Tries what waits of a payment, until nothing more can be done.';

create function public.apply_stripe_event(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    e public.stripe_events;
    v_intent constant text := p #>> '{event,payment_intent}';
    v_replay boolean;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    -- One after another: two that come at the same moment must not both find that the other has not come.
    perform pg_advisory_xact_lock(hashtextextended('stripe ' || coalesce(v_intent, p #>> '{event,id}'), 0));
    insert into public.stripe_events (id, type, created_at, arrived_by, livemode, object_id, payment_intent, effect, outcome, detail)
    select x.id, x.type, x.created_at, p ->> 'arrived_by', x.livemode, coalesce(x.object_id, ''), x.payment_intent,
           nullif(p -> 'effect', 'null'), coalesce(p ->> 'outcome', 'waiting'), coalesce(p ->> 'detail', '')
    from jsonb_to_record(p -> 'event') as x(
        id text, type text, created_at timestamptz, livemode boolean, object_id text, payment_intent text)
    on conflict (id) do nothing
    returning * into e;
    v_replay := not found;
    if v_replay then
        select * into e from public.stripe_events where id = p #>> '{event,id}';
    elsif e.outcome = 'waiting' then
        e := private.take_stripe_event(e, p -> 'owed');
        if e.outcome = 'applied' and v_intent is not null then
            perform private.take_waiting_stripe_events(v_intent, p -> 'owed');
        end if;
    end if;
    return jsonb_build_object('replay', v_replay, 'outcome', e.outcome, 'detail', e.detail, 'payment_id', e.payment_id);
end $$;
comment on function public.apply_stripe_event is
    'Stores an event of Stripe, once, with all that it changes: {actor, event: {id, type, created_at, livemode, object_id, payment_intent}, arrived_by: webhook|reconciliation, effect or outcome: ignored|kept, detail?, owed?: {payment_received, balance_changed}} -> {replay, outcome, detail, payment_id}. Effects by kind: payment {payment_id, bill_id?, link_id?, expected_minor?, expected_currency?, amount_minor, currency, received_at, received_on}; refunded {refunded_total_minor, currency, on_date}; refund_failed {refund_id, amount_minor, currency, on_date}; dispute_opened|withdrawn|reinstated|closed {dispute_id, amount_minor, currency, on_date, result? of closed: won|lost|closed}; payment_awaited, payment_failed, expired {}.';

create view public.stripe_event_list with (security_invoker = true) as
select e.id, e.type, e.created_at, e.received_at, e.arrived_by, e.livemode, e.object_id, e.payment_intent, e.effect,
       e.outcome, e.detail, e.payment_id, y.amount_minor as payment_minor, y.currency as payment_currency,
       y.bill_id, b.number as bill_number, c.account_no,
       lower(concat_ws(' ', e.id, e.type, e.object_id, e.payment_intent, private.invoice_reference(b.number), c.account_no)) as search
from public.stripe_events e
left join public.payments y on y.id = e.payment_id
left join public.bills b on b.id = y.bill_id
left join public.customers c on c.id = y.customer_id;
comment on view public.stripe_event_list is 'Events of Stripe with the payment that each is about.';

alter table public.stripe_events enable row level security;
revoke all on public.stripe_events, public.stripe_event_list from public, anon, authenticated, service_role;
grant select, insert, update on public.stripe_events to service_role;
grant select on public.stripe_event_list to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

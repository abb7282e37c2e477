-- Two refunds in the same instant do not pass the limit together: the one that is stored second is refused.
create function private.passes_refund_limit(p_customer_id uuid, p_payment_id uuid, p_currency text, p_amount bigint, p_but uuid) returns boolean
language sql stable set search_path = '' as $$
    select coalesce(p_amount + private.given_back_lately(p_customer_id, p_payment_id, p_currency, p_but)
                    > (select (s.settings #>> array['refund_limits', p_currency])::bigint
                       from public.utility_settings s order by s.version desc limit 1), false)
$$;
comment on function private.passes_refund_limit is
    'Whether an amount, with what went back to the customer in the last 30 days but for one row, is above what a cashier may send back.';
revoke all on function private.passes_refund_limit from public;
grant execute on function private.passes_refund_limit to service_role;

create or replace function public.ask_approval(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    r public.approval_requests;
    v_over boolean := false;
    v_payment uuid := coalesce((p #>> '{payload,payment_id}')::uuid, (
        select x.payment_id from public.payment_returns x where x.id = (p #>> '{payload,return_id}')::uuid));
    v_customer uuid := coalesce((p #>> '{payload,customer_id}')::uuid, (
        select y.customer_id from public.payments y where y.id = v_payment));
begin
    perform private.set_actor(p);
    if p ? 'amount_minor' then
        v_over := private.passes_refund_limit(v_customer, v_payment, p ->> 'currency', (p ->> 'amount_minor')::bigint,
                                              (p ->> 'action_id')::uuid);
    end if;
    if not private.four_eyes(p ->> 'group') and (not v_over or (p ->> 'may_over_limit')::boolean) then
        return jsonb_build_object('state', 'not_needed');
    end if;
    if p ->> 'kind' = 'tariff' and exists (
        select 1 from public.tariff_versions v join public.tariffs t on t.id = v.tariff_id
        where t.code = p #>> '{payload,tariff,code}' and v.effective_from = (p #>> '{payload,tariff,effective_from}')::date)
    then
        -- It holds already, or another from that day does: nothing would be added.
        return jsonb_build_object('state', 'not_needed');
    end if;
    perform pg_advisory_xact_lock(hashtext('approval/' || (p ->> 'action_id')));
    update public.approval_requests set state = 'expired'
    where action_id = (p ->> 'action_id')::uuid and state = 'pending' and expires_at <= now();
    select * into r from public.approval_requests
    where action_id = (p ->> 'action_id')::uuid and state in ('pending', 'approved', 'done');
    if r.id is null then
        insert into public.approval_requests (id, kind, action_id, payload, summary, reason, over_limit, asked_by, expires_at)
        values ((p ->> 'id')::uuid, p ->> 'kind', (p ->> 'action_id')::uuid, p -> 'payload', p ->> 'summary',
                coalesce(p ->> 'reason', ''), v_over, p ->> 'actor', now() + interval '14 days')
        returning * into r;
    end if;
    return jsonb_build_object('state', r.state, 'id', r.id, 'same', r.payload = p -> 'payload');
end $$;

create or replace function public.record_return(p jsonb) returns jsonb
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
    elsif r.kind in ('refund', 'payout') and p ->> 'actor' not like 'system:%' and not coalesce((p ->> 'may_over_limit')::boolean, false)
        and private.passes_refund_limit(r.customer_id, r.payment_id, r.currency, r.amount_minor, r.id)
        and not exists (select 1 from public.approval_requests a
                        where a.action_id = r.id and a.over_limit and a.state in ('approved', 'done'))
    then
        -- Another one came between the question and this row, under the lock that both take.
        perform private.refuse('EB005', 'Together with what went back meanwhile this passes the limit: ask for it again.');
    end if;
    if r.status = 'done' then
        perform private.post_return(r);
    end if;
    return to_jsonb(r);
end $$;
comment on function public.record_return is
    'Money goes back: {actor, id, payment_id or (payout) customer_id and currency, kind: refund|reversal|dispute|payout, amount_minor? (all that is left), method, reference?, reason, on_date, status?: done|pending (asked of Stripe), provider_id?, may_over_limit?, owed?} -> the row. EB005 when it is more than what is left, or above the limit and nobody approved that.';

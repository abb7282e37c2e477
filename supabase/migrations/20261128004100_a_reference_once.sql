-- A reference of a bank or a cheque that is booked already is asked about, whoever it was booked to.

create function private.reference_key(p_reference text) returns text
language sql immutable set search_path = '' as $$
    select upper(regexp_replace(p_reference, '[^[:alnum:]]', '', 'g'))
$$;
comment on function private.reference_key is 'A reference without its spaces, signs and case: what two people may write differently.';
create index payments_reference on public.payments (private.reference_key(reference)) where reference <> '';

alter table public.payment_flags drop constraint payment_flags_reason_check;
alter table public.payment_flags add constraint payment_flags_reason_check check (reason in (
    'amount_differs', 'currency_differs', 'bill_void', 'bill_not_issued', 'unknown_bill', 'already_paid', 'disputed',
    'reference_repeated'));

create function private.repeats(y public.payments) returns public.payments
language sql stable set search_path = '' as $$
    select s from public.payments s
    where y.reference <> '' and y.method <> 'cash' and private.reference_key(y.reference) <> ''
      and s.reference <> '' and private.reference_key(s.reference) = private.reference_key(y.reference)
      and s.method = y.method and s.id <> y.id
      and (select l.status from public.payment_list l where l.id = s.id) <> 'returned'
    order by s.received_on desc, s.id limit 1
$$;
comment on function private.repeats is 'Another payment with the reference of this one by the same method that did not go back whole, or nothing.';

create function private.flag_repeated(p_payments uuid[]) returns void
language sql set search_path = '' as $$
    insert into public.payment_flags (payment_id, reason, detail)
    select y.id, 'reference_repeated', format('The reference %s is booked already, to %s on %s.', y.reference,
           coalesce('account ' || c.account_no, 'nobody known'), s.received_on)
    from public.payments y
    cross join lateral private.repeats(y) s
    left join public.customers c on c.id = s.customer_id
    where y.id = any (p_payments) and s.id is not null
    on conflict (payment_id, reason) do nothing
$$;
comment on function private.flag_repeated is 'Where nobody can be asked whether a payment is another one, a person looks at it afterwards.';

create or replace function public.record_payments(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_apply text;
    v_new uuid[];
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    if not coalesce((p ->> 'confirmed')::boolean, false) then
        perform pg_advisory_xact_lock(hashtextextended('payment references', 0));
    end if;
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
    if not coalesce((p ->> 'confirmed')::boolean, false) then
        perform private.flag_repeated(v_new);
    end if;
    return jsonb_build_object('recorded', cardinality(v_new));
end $$;
comment on function public.record_payments is
    'Stores payments and lets them pay, all or none: {actor, owed?: {payment_received, balance_changed}, confirmed?, payments: [{id, bill_id? or customer_id?, amount_minor, currency, method, reference, received_at, received_on, book?, apply?: oldest|bill|none}]}. What is more than the bill named pays the oldest that is open, and what is left stays on the account. Unless it is confirmed, one whose reference is booked already is flagged.';

create function public.record_desk_payment(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    x constant jsonb := p -> 'payment';
    v_key constant text := private.reference_key(coalesce(x ->> 'reference', ''));
    v_on constant date := (x ->> 'received_on')::date;
    v_alike uuid[] := '{}';
begin
    perform private.set_actor(p);
    -- Shared with other desks, not with whoever records many at once.
    perform pg_advisory_xact_lock_shared(hashtextextended('payment references', 0));
    -- Two desks that book the same at one moment must not both find that the other has not.
    perform pg_advisory_xact_lock(hashtextextended('payment ' || (x ->> 'method') || ' '
        || case when v_key <> '' then v_key else x ->> 'customer_id' end, 0));
    if not coalesce((p ->> 'confirmed')::boolean, false) then
        v_alike := array(
            select y.id from public.payments y join public.payment_list l on l.id = y.id
            where y.id in (
                    select s.id from public.payments s
                    where v_key <> '' and s.reference <> '' and private.reference_key(s.reference) = v_key
                      and s.method = x ->> 'method' and s.method <> 'cash'
                    union
                    select s.id from public.payments s
                    where s.customer_id = (x ->> 'customer_id')::uuid and s.amount_minor = (x ->> 'amount_minor')::bigint
                      and s.method = x ->> 'method' and private.reference_key(s.reference) = v_key
                      and s.received_on between v_on - 2 and v_on + 2)
              -- A second click may find what the first has just stored; what went back whole is entered again rightly.
              and y.id <> (x ->> 'id')::uuid and l.status <> 'returned'
            order by y.received_on desc, y.id limit 10);
    end if;
    if v_alike <> '{}' then
        return jsonb_build_object('recorded', 0, 'alike', to_jsonb(v_alike));
    end if;
    return public.record_payments(jsonb_build_object(
        'actor', p ->> 'actor', 'owed', p -> 'owed', 'payments', jsonb_build_array(x), 'confirmed', true)) || jsonb_build_object('alike', '[]'::jsonb);
end $$;
comment on function public.record_desk_payment is
    'Records a payment that a person enters, unless one is there that it may repeat and that is not confirmed: with the same reference by the same method of whichever customer, or of this customer the same amount within two days: {actor, payment, confirmed?, owed?} -> {recorded, alike: [payment id]}.';

revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

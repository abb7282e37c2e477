-- A reference of a bank or a cheque that is booked already is asked about, whoever it was booked to.

create function private.reference_key(p_reference text) returns text
language sql immutable set search_path = '' as $$
    select upper(regexp_replace(p_reference, '[^[:alnum:]]', '', 'g'))
$$;
comment on function private.reference_key is 'A reference without its spaces, signs and case: what two people may write differently.';
create index payments_reference on public.payments (private.reference_key(reference)) where reference <> '';

create function public.record_desk_payment(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    x constant jsonb := p -> 'payment';
    v_key constant text := private.reference_key(coalesce(x ->> 'reference', ''));
    v_on constant date := (x ->> 'received_on')::date;
    v_alike uuid[] := '{}';
begin
    perform private.set_actor(p);
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
        'actor', p ->> 'actor', 'owed', p -> 'owed', 'payments', jsonb_build_array(x))) || jsonb_build_object('alike', '[]'::jsonb);
end $$;
comment on function public.record_desk_payment is
    'Records a payment that a person enters, unless one is there that it may repeat and that is not confirmed: with the same reference by the same method of whichever customer, or of this customer the same amount within two days: {actor, payment, confirmed?, owed?} -> {recorded, alike: [payment id]}.';

revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

-- A deposit that is taken as somebody is connected or moves in is stored with the change, or not at all.

create function public.supply_with_deposit(p jsonb) returns jsonb
language plpgsql set search_path = ''
as $$
declare
    v_change jsonb := case p ->> 'what' when 'connect' then public.connect_supply((p -> 'change') || jsonb_build_object('actor', p -> 'actor'))
                           else public.change_supply((p -> 'change') || jsonb_build_object('actor', p -> 'actor')) end;
    v_customer uuid := (select a.customer_id from public.service_agreements a
                        where a.id = coalesce((p #>> '{change,start,id}')::uuid, (v_change ->> 'agreement_id')::uuid));
begin
    -- Its id is the form's: a repeat finds it stored.
    perform public.record_payments(jsonb_build_object(
        'actor', p -> 'actor', 'owed', p -> 'owed', 'confirmed', true,
        'payments', jsonb_build_array((p -> 'deposit') || jsonb_build_object('customer_id', v_customer, 'book', 'deposit', 'apply', 'none'))));
    return v_change;
end $$;
comment on function public.supply_with_deposit is 'Connects a customer, or lets one move in, and takes a deposit, in one transaction: {actor, what: connect|move_in, change: as connect_supply or change_supply takes it, deposit: {id, amount_minor, currency, method, reference, received_at, received_on}, owed?} -> the change. A repeat is answered with the first result.';
revoke all on function public.supply_with_deposit(jsonb) from public, anon, authenticated;
grant execute on function public.supply_with_deposit(jsonb) to service_role;

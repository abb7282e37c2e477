-- The reference of a transfer is asked about also where it was booked as mobile money or by card.

create function private.one_reference(p_method text, p_other text) returns boolean
language sql immutable set search_path = '' as $$
    select case when p_method = p_other then p_method <> 'cash'
                else p_method not in ('cash', 'cheque') and p_other not in ('cash', 'cheque') end
$$;
comment on function private.one_reference is
    'Whether the same reference by these two methods may be one payment. A cheque''s number is its bank''s alone, a receipt''s the desk''s.';

-- As before, by whichever of the methods that have such references.
create or replace function private.repeats(y public.payments) returns public.payments
language sql stable set search_path = '' as $$
    select s from public.payments s
    where y.reference <> '' and y.method <> 'cash' and private.reference_key(y.reference) <> ''
      and s.reference <> '' and private.reference_key(s.reference) = private.reference_key(y.reference)
      and private.one_reference(s.method, y.method) and s.id <> y.id
      and (select l.status from public.payment_list l where l.id = s.id) <> 'returned'
    order by s.received_on desc, s.id limit 1
$$;
comment on function private.repeats is 'Another payment that may be this one, by its reference, that did not go back whole; or nothing.';

create or replace function public.record_desk_payment(p jsonb) returns jsonb
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
    perform pg_advisory_xact_lock(hashtextextended('payment '
        || case when v_key <> '' then v_key else (x ->> 'method') || ' ' || (x ->> 'customer_id') end, 0));
    if not coalesce((p ->> 'confirmed')::boolean, false) then
        v_alike := array(
            select y.id from public.payments y join public.payment_list l on l.id = y.id
            where y.id in (
                    select s.id from public.payments s
                    where v_key <> '' and s.reference <> '' and private.reference_key(s.reference) = v_key
                      and private.one_reference(s.method, x ->> 'method')
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

revoke all on function private.one_reference from public, anon, authenticated;
grant execute on function private.one_reference to service_role;

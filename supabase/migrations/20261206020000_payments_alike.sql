-- Payments that another may repeat are found by their reference first --------------------------------------------------------------
-- What became of them was worked out of all payments, or they were looked for among the newest: eleven seconds for each payment at
-- a desk, with twelve million.

create function private.payment_status(p_payment uuid) returns text
    language sql stable
    set search_path = ''
    as $$
    select l.status from public.payment_list l where l.id = p_payment
$$;

comment on function private.payment_status(p_payment uuid) is 'What became of a payment, as the list of payments says it.';

revoke all on function private.payment_status(p_payment uuid) from public;
grant all on function private.payment_status(p_payment uuid) to service_role;

create or replace function public.record_desk_payment(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
        -- Found first, and looked at then: with a reference that many have, the last ones.
        v_alike := array(
            with found as materialized (
                select s.id, s.received_on from public.payments s
                where v_key <> '' and s.reference <> '' and private.reference_key(s.reference) = v_key
                  and private.one_reference(s.method, x ->> 'method')
                union
                select s.id, s.received_on from public.payments s
                where s.customer_id = (x ->> 'customer_id')::uuid and s.amount_minor = (x ->> 'amount_minor')::bigint
                  and s.method = x ->> 'method' and private.reference_key(s.reference) = v_key
                  and s.received_on between v_on - 2 and v_on + 2
            ), last as materialized (
                -- A second click may find what the first has just stored.
                select f.id, f.received_on from found f where f.id <> (x ->> 'id')::uuid order by f.received_on desc, f.id limit 100
            )
            -- What went back whole is entered again rightly.
            select z.id from last z where private.payment_status(z.id) <> 'returned'
            order by z.received_on desc, z.id limit 10);
    end if;
    if v_alike <> '{}' then
        return jsonb_build_object('recorded', 0, 'alike', to_jsonb(v_alike));
    end if;
    return public.record_payments(jsonb_build_object(
        'actor', p ->> 'actor', 'owed', p -> 'owed', 'payments', jsonb_build_array(x), 'confirmed', true)) || jsonb_build_object('alike', '[]'::jsonb);
end $$;

create or replace function private.repeats(y public.payments) returns public.payments
    language sql stable
    set search_path = ''
    as $$
    with found as materialized (
        select s.id, s.received_on from public.payments s
        where y.reference <> '' and y.method <> 'cash' and private.reference_key(y.reference) <> ''
          and s.reference <> '' and private.reference_key(s.reference) = private.reference_key(y.reference)
          and private.one_reference(s.method, y.method) and s.id <> y.id
    ), last as materialized (
        select f.id, f.received_on from found f order by f.received_on desc, f.id limit 100
    )
    select s from public.payments s
    where s.id = (select z.id from last z where private.payment_status(z.id) <> 'returned'
                  order by z.received_on desc, z.id limit 1)
$$;

-- A customer's contact details, as the office changes them one customer at a time.

create function public.change_customer(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer public.customers;
    v_seen constant jsonb := p -> 'seen';
begin
    perform private.set_actor(p);
    select * into v_customer from public.customers where id = (p ->> 'customer_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    if (v_customer.name, v_customer.phone, v_customer.email, v_customer.address, v_customer.language)
       is distinct from (v_seen ->> 'name', v_seen ->> 'phone', v_seen ->> 'email', v_seen ->> 'address', v_seen ->> 'language')
       -- A repeat of this very change finds what it wrote.
       and (v_customer.name, v_customer.phone, v_customer.email, v_customer.address, v_customer.language)
       is distinct from (p ->> 'name', p ->> 'phone', p ->> 'email', p ->> 'address', p ->> 'language') then
        perform private.refuse('EB005', 'Somebody else changed these details meanwhile. Look at them as they are now.');
    end if;
    update public.customers c
    set name = p ->> 'name', phone = p ->> 'phone', email = p ->> 'email', address = p ->> 'address',
        language = p ->> 'language'
    where c.id = v_customer.id
      and (c.name, c.phone, c.email, c.address, c.language) is distinct from
          (p ->> 'name', p ->> 'phone', p ->> 'email', p ->> 'address', p ->> 'language');
    if p ? 'channels' then
        perform public.set_customer_channels(jsonb_build_object(
            'actor', p ->> 'actor',
            'rows', jsonb_build_array((p -> 'channels') || jsonb_build_object('account_no', v_customer.account_no))));
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.change_customer is
    'Changes a customer''s name and how they are reached; a bill keeps the name that it was issued to: {actor, customer_id, seen: {name, phone, email, address, language} as they were, the same five as they are to be, channels?: as set_customer_channels takes them}. EB005 when somebody else changed them meanwhile.';
revoke all on function public.change_customer from public;
grant execute on function public.change_customer to service_role;

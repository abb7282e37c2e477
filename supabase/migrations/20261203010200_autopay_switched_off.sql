-- Where Stripe is no longer configured nothing is charged: autopay is paused, and the bills are dunned as any.

create function public.switch_autopay(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_because constant text := 'Autopay is switched off.';
    v_on constant boolean := (p ->> 'on')::boolean;
    v_found uuid[];
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select x.id from public.autopay_mandates x
        where case when v_on then x.status = 'paused' and x.paused_because = v_because else x.status = 'active' end
        order by x.id limit (p ->> 'limit')::integer);
    perform private.lock_customers(array(select x.customer_id from public.autopay_mandates x where x.id = any (v_found)));
    for m in
        select * from public.autopay_mandates x
        where x.id = any (v_found) and x.status = case when v_on then 'paused' else 'active' end order by x.id for update
    loop
        if v_on then
            update public.autopay_mandates
            set status = 'active', paused_at = null, paused_because = '', charges_from = (p ->> 'today')::date where id = m.id;
        else
            perform private.stop_autopay(m, 'paused', 'paused', v_because);
        end if;
    end loop;
    return jsonb_build_object('count', cardinality(v_found));
end $$;
comment on function public.switch_autopay(jsonb) is 'Pauses the mandates of a page where nothing can be charged (Stripe is not configured), or lets those that were paused so go on with bills due from today: {actor, run, on, today, limit, owed} -> {count}.';
create index autopay_mandates_paused on public.autopay_mandates (id) where status = 'paused';
revoke all on function public.switch_autopay from public, anon, authenticated;
grant execute on function public.switch_autopay to service_role;

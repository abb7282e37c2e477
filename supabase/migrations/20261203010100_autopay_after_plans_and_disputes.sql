-- Autopay keeps away from what was agreed to be paid by parts, and pauses where a bank disputes a charge.

do $do$
declare
    v_plan text := pg_get_functiondef('private.plan_autopay(uuid[])'::regprocedure);
    v_event text := pg_get_functiondef('private.take_stripe_event(public.stripe_events, jsonb)'::regprocedure);
begin
    v_plan := replace(v_plan, 'and (m.limit_minor is null or',
                      'and not exists (select 1 from public.plan_bills p where p.bill_id = b.id)
          and (m.limit_minor is null or');
    v_event := replace(v_event, 'e := private.take_stripe_aftermath(e);',
                       'e := private.take_stripe_aftermath(e);
        perform private.pause_disputed_autopay(e) where e.effect ->> ''kind'' = ''dispute_opened'' and e.outcome = ''applied'';');
    if v_plan not like '%plan_bills p%' or v_event not like '%pause_disputed_autopay%' then
        raise exception 'autopay is not as it was';
    end if;
    execute v_plan;
    execute v_event;
end $do$;

create function private.pause_disputed_autopay(e public.stripe_events) returns void
    language plpgsql set search_path = '' as $$
declare
    m public.autopay_mandates;
begin
    select x.* into m
    from public.autopay_attempts t join public.autopay_mandates x on x.id = t.mandate_id
    where t.payment_id = e.payment_id and x.status = 'active';
    if found then
        perform private.stop_autopay(m, 'paused', 'paused', 'The customer''s bank disputes a charge.');
    end if;
end $$;
comment on function private.pause_disputed_autopay(public.stripe_events) is 'A bank disputes what autopay charged: nothing more is charged until the customer says so. The caller has locked the customer.';
create index autopay_attempts_payment on public.autopay_attempts (payment_id) where payment_id is not null;

revoke all on function private.pause_disputed_autopay from public;
grant execute on function private.pause_disputed_autopay to service_role;

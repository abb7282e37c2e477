-- Money of autopay is counted many payments at a time: by far most of what a charge took was each one's own statements.

create function private.take_autopay_together(p_results jsonb, p_owed jsonb) returns uuid[]
    language plpgsql set search_path = '' as $$
declare
    v_rows jsonb;
    v_new uuid[];
begin
    perform 1 from public.autopay_attempts
    where id = any (array(select (r ->> 'id')::uuid from jsonb_array_elements(p_results) r)) order by id for update;
    -- The plain ones: what was asked for came, for bills of which that is open. All others are looked at one by one.
    v_rows := (
        with told as (
            select r.id, r.payment_intent, r.payment_id, r.amount_minor, r.currency, r.received_at, r."on",
                   count(*) over (partition by r.id) as times, count(*) over (partition by r.payment_intent) as payments
            from jsonb_to_recordset(p_results) as r(
                id uuid, status text, payment_intent text, payment_id uuid, amount_minor bigint, currency text, received_at timestamptz, "on" date)
            where r.status = 'succeeded'
        ), plain as (
            select distinct on (t.customer_id) t.id as attempt_id, t.charge_id, t.customer_id, t.bills, t.mandate_id, told.*
            from told
            join public.autopay_attempts t on t.id = told.id and t.ended_at is null
            join public.autopay_charges c on c.id = t.charge_id and c.ended_at is null
            where told.times = 1 and told.payments = 1 and told.amount_minor = t.amount_minor and told.currency = t.currency
              and told.payment_intent is not null and coalesce(t.payment_intent, told.payment_intent) = told.payment_intent
              and not exists (select 1 from public.autopay_attempts x where x.payment_intent = told.payment_intent and x.id <> t.id)
              and not exists (select 1 from public.payments y where y.provider_id = told.payment_intent)
              and not exists (select 1 from public.stripe_events e where e.payment_intent = told.payment_intent and e.outcome = 'waiting')
              and t.amount_minor <= (
                  select sum(least(x.amount_minor, b.total_minor - b.amount_paid_minor))
                  from jsonb_to_recordset(t.bills) as x(bill_id uuid, amount_minor bigint)
                  join public.bills b on b.id = x.bill_id and b.status = 'issued' and b.currency = t.currency)
            order by t.customer_id, t.id
        )
        select jsonb_agg(jsonb_build_object(
            'id', p.payment_id, 'bill_id', p.bills #>> '{0,bill_id}', 'customer_id', p.customer_id, 'amount_minor', p.amount_minor,
            'currency', p.currency, 'method', 'stripe', 'provider_id', p.payment_intent,
            'reference', 'Autopay ' || private.autopay_method(m), 'received_at', p.received_at, 'received_on', p."on",
            'attempt_id', p.attempt_id, 'charge_id', p.charge_id, 'bills', p.bills) order by p.customer_id)
        from plain p join public.autopay_mandates m on m.id = p.mandate_id);
    if v_rows is null then
        return '{}';
    end if;
    v_new := private.store_payments(v_rows);
    perform private.post_payments(v_new, 'none');
    perform private.allocate((
        with parts as (
            select r.id, o.entry_id, o.part, r.amount_minor, sum(o.part) over (partition by r.id order by o.number) as upto
            from jsonb_to_recordset(v_rows) as r(id uuid, amount_minor bigint, currency text, bills jsonb)
            cross join lateral (
                select i.entry_id, b.number, least(i.open_minor, x.amount_minor) as part
                from jsonb_to_recordset(r.bills) as x(bill_id uuid, amount_minor bigint)
                join public.bills b on b.id = x.bill_id
                join public.ledger_entries d on d.bill_id = b.id and d.kind = 'bill' and d.currency = r.currency
                join public.open_items i on i.entry_id = d.id and i.open_minor > 0) o
        )
        select jsonb_agg(jsonb_build_object(
            'credit', c.id, 'debit', p.entry_id, 'amount', least(p.part, p.amount_minor - (p.upto - p.part))) order by p.id, p.upto)
        from parts p
        join public.ledger_entries c on c.payment_id = p.id and c.kind = 'payment'
        where p.amount_minor > p.upto - p.part));
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select gen_random_uuid(), y.bill_id, 'payment_received', y.id::text,
           jsonb_build_object('payment_id', y.id, 'amount_minor', y.amount_minor::text, 'currency', y.currency, 'received_on', y.received_on),
           p_owed #> '{payment_received,steps}', p_owed #>> '{payment_received,status}',
           case when p_owed #>> '{payment_received,status}' <> 'open' then now() end
    from public.payments y where y.id = any (v_new) and jsonb_typeof(p_owed -> 'payment_received') = 'object'
    on conflict (bill_id, kind, occasion) do nothing;
    update public.autopay_attempts t
    set status = 'succeeded', payment_intent = r.provider_id, ended_at = now(), decline = '', code = '', detail = '', payment_id = r.id
    from jsonb_to_recordset(v_rows) as r(id uuid, attempt_id uuid, provider_id text)
    where t.id = r.attempt_id;
    perform private.end_autopay_charges(array(select (r ->> 'charge_id')::uuid from jsonb_array_elements(v_rows) r), 'paid', '', '');
    update public.autopay_charges c set paid_minor = c.paid_minor + r.amount_minor
    from jsonb_to_recordset(v_rows) as r(charge_id uuid, amount_minor bigint)
    where c.id = r.charge_id;
    return array(select (r ->> 'attempt_id')::uuid from jsonb_array_elements(v_rows) r);
end $$;
comment on function private.take_autopay_together(jsonb, jsonb) is 'Counts the money of those of some answers for which nothing is odd, all together, and answers their tries; as private.note_autopay and private.take_autopay_money do for one. The caller has locked Stripe''s payments and the customers.';

-- Of a try whose end nobody knows the office sees why.
do $do$
declare
    v_json text := pg_get_functiondef('private.autopay_charge_json(uuid)'::regprocedure);
begin
    v_json := replace(v_json, '''account_no'', k.account_no,',
                      '''detail'', coalesce(nullif(t.detail, ''''), c.detail), ''account_no'', k.account_no,');
    if v_json not like '%nullif(t.detail%' then
        raise exception 'autopay is not as it was';
    end if;
    execute v_json;
end $do$;

do $do$
declare
    v_ends text := pg_get_functiondef('public.end_autopay_attempts(jsonb)'::regprocedure);
begin
    v_ends := replace(v_ends, 'v_problems jsonb := ''[]'';', 'v_problems jsonb := ''[]'';
    v_done uuid[] := ''{}'';');
    v_ends := replace(v_ends, '    for x in select r from jsonb_array_elements(p -> ''results'') r loop',
        '    begin
        v_done := private.take_autopay_together(p -> ''results'', p -> ''owed'');
    exception when others then
        if left(sqlstate, 2) in (''08'', ''40'', ''53'', ''55'', ''57'', ''58'') then
            raise;
        end if;
        -- One by one it shows whose answer that is.
        v_done := ''{}'';
    end;
    for x in select r from jsonb_array_elements(p -> ''results'') r where (r ->> ''id'')::uuid <> all (v_done) loop');
    if v_ends not like '%take_autopay_together%' or v_ends not like '%all (v_done)%' then
        raise exception 'autopay is not as it was';
    end if;
    execute v_ends;
end $do$;

revoke all on function private.take_autopay_together from public;
grant execute on function private.take_autopay_together to service_role;

-- The writes of story 1: a reading with its bill and the work it owes, in one transaction.

create function private.refuse(p_code text, p_message text) returns void
language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = p_code, message = p_message;
end $$;

create function private.chain_tail(p_meter_id uuid) returns uuid
language sql stable set search_path = '' as $$
    select coalesce(
        (select b.closing_reading_id from public.bills b
         where b.meter_id = p_meter_id and b.status <> 'void' order by b.period_end desc limit 1),
        (select r.id from public.readings r where r.meter_id = p_meter_id and r.is_opening))
$$;
comment on function private.chain_tail is 'The read at which a meter''s next bill opens.';

create function private.reissues(p_opening_reading_id uuid) returns integer
language sql stable set search_path = '' as $$
    select count(*)::integer from public.bills
    where opening_reading_id = p_opening_reading_id and status = 'void'
$$;

create function private.reading_json(p_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select to_jsonb(r) from public.reading_list r where r.id = p_id
$$;

create function private.bill_json(p_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select to_jsonb(b) - 'search' from public.bill_list b where b.id = p_id
$$;

create function private.reading_answer(p_reading_id uuid, p_outcome text) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'outcome', p_outcome,
        'reading', private.reading_json(p_reading_id),
        'bill', private.bill_json(b.id),
        'owed', (select to_jsonb(o) from public.outbox o where o.bill_id = b.id and o.kind = 'bill_issued'))
    from (select 1) one
    left join public.bills b on b.closing_reading_id = p_reading_id and b.status <> 'void'
$$;

create function private.find_replay(p jsonb, p_meter_id uuid) returns uuid
language plpgsql stable set search_path = '' as $$
declare
    v_key public.idempotency_keys;
    v_reading uuid;
begin
    if p ->> 'idempotency_key' is not null then
        select * into v_key from public.idempotency_keys
        where caller = p ->> 'caller' and key = p ->> 'idempotency_key';
        if found then
            if v_key.body_hash <> p ->> 'body_hash' then
                perform private.refuse('EB002', 'This idempotency key was used for another reading.');
            end if;
            return v_key.reading_id;
        end if;
    end if;
    select id into v_reading from public.readings
    where meter_id = p_meter_id and read_on = (p ->> 'read_on')::date
      and register_wh = (p ->> 'register_wh')::bigint and status in ('accepted', 'needs_review')
    order by created_at limit 1;
    if found then
        return v_reading;
    end if;
    if exists (select 1 from public.readings
               where meter_id = p_meter_id and read_at = (p ->> 'read_at')::timestamptz
                 and status in ('accepted', 'needs_review')) then
        perform private.refuse('EB003', 'Another value was already submitted for this meter at this very time.');
    end if;
    return null;
end $$;
comment on function private.find_replay is
    'The reading that this submission repeats, or null. Refuses a reused key (EB002) and a second value at one instant (EB003).';

create function public.reading_context(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    m public.meter_list;
    v_replay uuid;
    v_tail uuid;
    v_at timestamptz := (p ->> 'read_at')::timestamptz;
    v_last public.readings;
begin
    select * into m from public.meter_list where serial = p ->> 'meter_serial';
    if not found then
        perform private.refuse('EB404', format('No meter has the serial %s.', p ->> 'meter_serial'));
    end if;
    if p ? 'register_wh' then
        v_replay := private.find_replay(p, m.id);
    end if;
    v_tail := private.chain_tail(m.id);
    select * into v_last from public.readings
    where meter_id = m.id and status = 'accepted' and read_at < v_at order by read_at desc limit 1;
    return jsonb_build_object(
        'meter', to_jsonb(m) - 'search',
        'tariffs', (select jsonb_agg(to_jsonb(v) order by v.effective_from)
                    from public.tariff_version_list v where v.tariff_id = m.tariff_id),
        'opening', private.reading_json(v_tail),
        'reissue_no', private.reissues(v_tail),
        'last_read', private.reading_json(v_last.id),
        'next_read', (select private.reading_json(r.id) from public.readings r
                      where r.meter_id = m.id and r.status = 'accepted' and r.read_at > v_at
                      order by r.read_at limit 1),
        'history', (select coalesce(jsonb_agg(jsonb_build_object(
                               'register_wh', h.register_wh, 'read_on', h.read_on) order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = m.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                      and h.read_at > v_last.read_at - interval '400 days'),
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = m.id and r.status = 'accepted' and r.read_on = (p ->> 'read_on')::date),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end);
end $$;
comment on function public.reading_context is
    'Everything that validating and pricing a read of {meter_serial, read_at, read_on} needs; with {register_wh, caller, idempotency_key, body_hash} also the reading it repeats.';

create function private.insert_bills(p_bills jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_issued integer;
    v_base bigint;
begin
    select count(*) into v_issued from jsonb_array_elements(p_bills) b where b ->> 'status' = 'issued';
    if v_issued > 0 then
        update public.counters set last_number = last_number + v_issued where name = 'bill'
        returning last_number - v_issued into v_base;
    end if;
    insert into public.bills (
        id, number, status, meter_id, customer_id, tariff_version_id, opening_reading_id, closing_reading_id,
        period_start, period_end, opening_wh, closing_wh, consumption_wh, currency, lines,
        subtotal_minor, tax_minor, total_minor, issued_at, issued_on, due_date, reissue_no)
    select b.id,
           case when b.status = 'issued'
                then v_base + row_number() over (partition by b.status = 'issued' order by b.position) end,
           b.status, b.meter_id, m.customer_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
           b.period_start, b.period_end, b.opening_wh, b.closing_wh, b.consumption_wh, b.currency, b.lines,
           b.subtotal_minor, b.tax_minor, b.total_minor, b.issued_at, b.issued_on, b.due_date, b.reissue_no
    from rows from (jsonb_to_recordset(p_bills) as (
             id uuid, status text, meter_id uuid, tariff_version_id uuid, opening_reading_id uuid,
             closing_reading_id uuid, period_start date, period_end date, opening_wh bigint, closing_wh bigint,
             consumption_wh bigint, currency text, lines jsonb, subtotal_minor bigint, tax_minor bigint,
             total_minor bigint, issued_at timestamptz, issued_on date, due_date date, reissue_no integer)
         ) with ordinality as b(
             id, status, meter_id, tariff_version_id, opening_reading_id, closing_reading_id, period_start,
             period_end, opening_wh, closing_wh, consumption_wh, currency, lines, subtotal_minor, tax_minor,
             total_minor, issued_at, issued_on, due_date, reissue_no, position)
    join public.meters m on m.id = b.meter_id;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at, lease_owner, lease_until)
    select o.id, b.id, 'bill_issued', o.steps, o.status, case when o.status <> 'open' then now() end,
           o.lease_owner, now() + make_interval(secs => o.lease_seconds)
    from jsonb_to_recordset(p_bills) as b(id uuid, owed jsonb)
    cross join lateral jsonb_to_record(b.owed) as o(
        id uuid, steps jsonb, status text, lease_owner text, lease_seconds integer)
    where b.owed is not null and b.owed <> 'null'::jsonb;
end $$;
comment on function private.insert_bills is
    'Inserts bills, numbers the issued ones in order without gaps, and writes the work each owes. The caller has locked the meters.';

create function private.insert_reading(p_reading jsonb) returns void
language sql set search_path = '' as $$
    insert into public.readings (
        id, meter_id, read_at, read_on, register_wh, source, status, is_opening, submitted_by, validation,
        supersedes_id, decided_by, decided_at, decision_reason)
    select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.source, r.status,
           coalesce(r.is_opening, false), r.submitted_by, coalesce(r.validation, '{}'),
           r.supersedes_id, r.decided_by, r.decided_at, r.decision_reason
    from jsonb_to_record(p_reading) as r(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text,
        status text, is_opening boolean, submitted_by text, validation jsonb, supersedes_id uuid,
        decided_by text, decided_at timestamptz, decision_reason text)
$$;

create function private.check_opening(p_bill jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    if private.chain_tail((p_bill ->> 'meter_id')::uuid) is distinct from (p_bill ->> 'opening_reading_id')::uuid
       or private.reissues((p_bill ->> 'opening_reading_id')::uuid) <> (p_bill ->> 'reissue_no')::integer then
        perform private.refuse('EB001', 'Another bill came between: the price must be computed again.');
    end if;
end $$;

create function private.check_run(p_run jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    if p_run is null or p_run = 'null'::jsonb then
        return;
    end if;
    update public.job_runs set lease_until = now() + make_interval(secs => (p_run ->> 'lease_seconds')::integer)
    where job = p_run ->> 'job' and scheduled_on = (p_run ->> 'scheduled_on')::date
      and attempt = (p_run ->> 'attempt')::integer and status = 'running';
    if not found then
        perform private.refuse('EB006', 'This run of the job was taken over by another process.');
    end if;
end $$;
comment on function private.check_run is
    'Lets a batch write only while its attempt is the current one, and prolongs its lease.';

create function private.neighbours(p_meter_id uuid, p_at timestamptz) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_array(
        (select r.id from public.readings r
         where r.meter_id = p_meter_id and r.status = 'accepted' and r.read_at < p_at
         order by r.read_at desc limit 1),
        (select r.id from public.readings r
         where r.meter_id = p_meter_id and r.status = 'accepted' and r.read_at > p_at
         order by r.read_at limit 1))
$$;
comment on function private.neighbours is 'The accepted reads before and after an instant, or null.';

create function private.keep_key(p jsonb, p_reading_id uuid) returns void
language sql set search_path = '' as $$
    insert into public.idempotency_keys (caller, key, body_hash, reading_id)
    select p ->> 'caller', p ->> 'idempotency_key', p ->> 'body_hash', p_reading_id
    where p ->> 'idempotency_key' is not null
    on conflict do nothing
$$;

create function public.keep_idempotency_key(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.keep_key(p, (p ->> 'reading_id')::uuid);
    return '{}'::jsonb;
end $$;
comment on function public.keep_idempotency_key is
    'Binds a key to the reading that its body repeats: {caller, idempotency_key, body_hash, reading_id}.';

create function public.commit_reading(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_reading jsonb := p -> 'reading';
    v_bill jsonb := nullif(p -> 'bill', 'null'::jsonb);
    v_meter uuid := (v_reading ->> 'meter_id')::uuid;
    v_replay uuid;
begin
    perform private.set_actor(p);
    perform 1 from public.meters where id = v_meter for update;
    if not found then
        perform private.refuse('EB404', 'No such meter.');
    end if;
    if exists (select 1 from public.readings where id = (v_reading ->> 'id')::uuid) then
        return private.reading_answer((v_reading ->> 'id')::uuid, 'stored');
    end if;
    perform private.check_run(p -> 'run');
    v_replay := private.find_replay(
        v_reading || jsonb_build_object('caller', p -> 'caller', 'idempotency_key', p -> 'idempotency_key',
                                        'body_hash', p -> 'body_hash'), v_meter);
    if v_replay is not null then
        perform private.keep_key(p, v_replay);
        return private.reading_answer(v_replay, 'replay');
    end if;
    -- The rules compared it with these two: a read that came between must be compared with first.
    if private.neighbours(v_meter, (v_reading ->> 'read_at')::timestamptz) is distinct from p -> 'neighbours' then
        perform private.refuse('EB001', 'Another reading came between: it must be compared with that one.');
    end if;
    perform private.insert_reading(v_reading);
    perform private.keep_key(p, (v_reading ->> 'id')::uuid);
    if v_bill is not null then
        perform private.check_opening(v_bill);
        perform private.insert_bills(jsonb_build_array(v_bill));
    end if;
    return private.reading_answer((v_reading ->> 'id')::uuid, 'stored');
end $$;
comment on function public.commit_reading is
    'Step 7: {actor, caller, idempotency_key?, body_hash?, run?, reading, neighbours: [id before, id after], bill?}. One transaction: reading, bill, its number, the work owed. EB001 when another bill came between.';

create function public.decide_reading(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_reading public.readings;
    v_bill jsonb := nullif(p -> 'bill', 'null'::jsonb);
    v_correction jsonb := nullif(p -> 'correction', 'null'::jsonb);
    v_answer_id uuid := coalesce((p -> 'correction' ->> 'id')::uuid, (p ->> 'reading_id')::uuid);
begin
    perform private.set_actor(p);
    select * into v_reading from public.readings where id = (p ->> 'reading_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    perform 1 from public.meters where id = v_reading.meter_id for update;
    -- A correction that is already there is this very call, repeated.
    if v_correction is not null and exists (select 1 from public.readings where id = v_answer_id) then
        return private.reading_answer(v_answer_id, 'stored');
    end if;
    update public.readings
    set status = p ->> 'status', decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason'
    where id = v_reading.id and status = 'needs_review';
    if not found then
        perform private.refuse('EB005', 'Somebody has already decided on this reading.');
    end if;
    if v_correction is not null then
        perform private.insert_reading(v_correction);
    end if;
    if v_bill is not null then
        perform private.check_opening(v_bill);
        perform private.insert_bills(jsonb_build_array(v_bill));
    end if;
    return private.reading_answer(v_answer_id, 'stored');
end $$;
comment on function public.decide_reading is
    'A person decides on a flagged reading: {actor, reading_id, status: accepted|rejected|superseded, reason, correction?, bill?}.';

create function public.issue_bill(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_bill public.bills;
    v_number bigint;
begin
    perform private.set_actor(p);
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform 1 from public.meters where id = v_bill.meter_id for update;
    select * into v_bill from public.bills where id = v_bill.id for update;
    if v_bill.status = 'draft' then
        update public.counters set last_number = last_number + 1 where name = 'bill' returning last_number into v_number;
        update public.bills
        set status = 'issued', number = v_number, issued_at = (p ->> 'issued_at')::timestamptz,
            issued_on = (p ->> 'issued_on')::date, due_date = (p ->> 'due_date')::date
        where id = v_bill.id;
        insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
        select o.id, v_bill.id, 'bill_issued', o.steps, o.status, case when o.status <> 'open' then now() end
        from jsonb_to_record(p -> 'owed') as o(id uuid, steps jsonb, status text)
        on conflict (bill_id, kind) do nothing;
    elsif v_bill.status = 'void' then
        perform private.refuse('EB005', 'A void bill cannot be issued.');
    end if;
    return private.bill_json(v_bill.id);
end $$;
comment on function public.issue_bill is 'Approves a draft: {actor, bill_id, issued_at, issued_on, due_date, owed}. A bill already issued is answered as it is.';

create function public.void_bill(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_bill public.bills;
begin
    perform private.set_actor(p);
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform 1 from public.meters where id = v_bill.meter_id for update;
    update public.bills set status = 'void', void_reason = p ->> 'reason'
    where id = v_bill.id and status <> 'void';
    return private.bill_json(v_bill.id);
end $$;
comment on function public.void_bill is 'Voids the last bill of a meter''s chain: {actor, bill_id, reason}.';

create function public.record_payments(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_rows jsonb := p -> 'payments';
    v_refused text;
begin
    perform private.set_actor(p);
    perform 1 from public.bills where id in (select (x ->> 'bill_id')::uuid from jsonb_array_elements(v_rows) x)
    order by id for update;
    -- A repeat of the call counts nothing twice.
    v_rows := (select coalesce(jsonb_agg(x), '[]') from jsonb_array_elements(v_rows) x
               where not exists (select 1 from public.payments where id = (x ->> 'id')::uuid));
    select case
               when b.id is null then 'No such bill.'
               when b.status <> 'issued' then 'Only an issued bill takes payments.'
               when b.currency <> n.currency then format('The bill is in %s.', b.currency)
               else 'The payment is more than the bill''s balance.'
           end into v_refused
    from (select (x ->> 'bill_id')::uuid as bill_id, min(x ->> 'currency') as currency,
                 sum((x ->> 'amount_minor')::bigint) as amount
          from jsonb_array_elements(v_rows) x group by 1) n
    left join public.bills b on b.id = n.bill_id
    where b.id is null or b.status <> 'issued' or b.currency <> n.currency
       or n.amount > b.total_minor - b.amount_paid_minor
    limit 1;
    if v_refused is not null then
        perform private.refuse('EB005', v_refused);
    end if;
    insert into public.payments (id, bill_id, customer_id, amount_minor, currency, method, reference, received_at, received_on)
    select n.id, n.bill_id, b.customer_id, n.amount_minor, n.currency, n.method, coalesce(n.reference, ''),
           n.received_at, n.received_on
    from jsonb_to_recordset(v_rows) as n(
        id uuid, bill_id uuid, amount_minor bigint, currency text, method text, reference text,
        received_at timestamptz, received_on date)
    join public.bills b on b.id = n.bill_id;
    update public.bills b set amount_paid_minor = b.amount_paid_minor + n.amount
    from (select (x ->> 'bill_id')::uuid as bill_id, sum((x ->> 'amount_minor')::bigint) as amount
          from jsonb_array_elements(v_rows) x group by 1) n
    where b.id = n.bill_id;
    return jsonb_build_object('recorded', jsonb_array_length(v_rows));
end $$;
comment on function public.record_payments is
    'Stores payments and raises each bill''s amount_paid, in one transaction: {actor, payments: [{id, bill_id, amount_minor, currency, method, reference, received_at, received_on}]}.';

create function public.customer_bills(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_customer uuid;
    v_after public.bills;
    v_bills jsonb;
    v_limit integer := (p ->> 'limit')::integer;
begin
    select id into v_customer from public.customers
    where id::text = lower(p ->> 'customer') or account_no = p ->> 'customer'
    order by id::text = lower(p ->> 'customer') desc limit 1;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    if p ->> 'after' is not null then
        select * into v_after from public.bills
        where id::text = lower(p ->> 'after') and customer_id = v_customer;
        if not found then
            perform private.refuse('EB404', 'This customer has no such bill to go on after.');
        end if;
    end if;
    select jsonb_agg(to_jsonb(b) - 'search' order by b.period_end desc, b.id desc) into v_bills
    from (select * from public.bill_list l
          where l.customer_id = v_customer and l.status <> 'draft'
            and (v_after.id is null or (l.period_end, l.id) < (v_after.period_end, v_after.id))
          order by l.period_end desc, l.id desc limit v_limit + 1) b;
    return jsonb_build_object('bills', coalesce(v_bills, '[]'));
end $$;
comment on function public.customer_bills is
    'Bills of a customer (id or account number), newest period first, after a bill: {customer, after?, limit} -> {bills: up to limit + 1}.';

-- The chain of bills runs along the service agreement, over whichever meters measure at its place.

drop function private.chain_tail(uuid);
create function private.chain_tail(p_agreement_id uuid) returns uuid
language sql stable set search_path = '' as $$
    select coalesce(
        (select b.closing_reading_id from public.bills b
         where b.agreement_id = p_agreement_id and b.status <> 'void' order by b.period_end desc limit 1),
        (select a.opening_reading_id from public.service_agreements a where a.id = p_agreement_id))
$$;
comment on function private.chain_tail is 'The read at which an agreement''s next bill opens.';

drop function private.reads_between(uuid, uuid, timestamptz);
create function private.reads_between(p_point_id uuid, p_opening_id uuid, p_until timestamptz) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', r.id, 'meter_id', r.meter_id, 'read_at', r.read_at, 'read_on', r.read_on, 'register_wh', r.register_wh,
               'registers', r.registers, 'rolled_over', r.rolled_over, 'reissues', private.reissues(r.id)) order by r.read_at), '[]')
    from public.meter_installations i
    join public.readings r on r.meter_id = i.meter_id and r.status = 'accepted'
    where i.service_point_id = p_point_id
      -- A bill ends where a meter was removed, not where the next one was installed.
      and r.read_at > i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
      and r.read_at < p_until and r.read_at > (select o.read_at from public.readings o where o.id = p_opening_id)
$$;
comment on function private.reads_between is 'The accepted reads at a service point after an opening read and before an instant, each with how many void bills opened there.';

create function private.installations_between(p_point_id uuid, p_from timestamptz, p_to timestamptz) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'meter_id', m.id, 'dials', m.dials, 'multiplier_milli', i.multiplier_milli,
               'connected_w', s.connected_w, 'connected_va', s.connected_va,
               'opening', to_jsonb(o), 'closing', to_jsonb(c)) order by i.installed_at), '[]')
    from public.meter_installations i
    join public.service_points s on s.id = i.service_point_id
    join public.meters m on m.id = i.meter_id
    join lateral (select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers, r.rolled_over
                  from public.readings r where r.id = i.opening_reading_id) o on true
    left join lateral (select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers, r.rolled_over
                       from public.readings r where r.id = i.closing_reading_id) c on true
    where i.service_point_id = p_point_id and i.installed_at <= p_to and (i.removed_at is null or i.removed_at >= p_from)
$$;
comment on function private.installations_between is 'What was installed at a service point between two instants, in order: [{meter_id, dials, multiplier_milli, connected_w, connected_va, opening, closing or null}].';

drop function private.rolled_over(uuid, timestamptz, timestamptz);
create function private.rolled_over(p_point_id uuid, p_after timestamptz, p_before timestamptz) returns boolean
language sql stable set search_path = '' as $$
    select exists (select 1 from public.meter_installations i
                   join public.readings r on r.meter_id = i.meter_id and r.rolled_over and r.status = 'accepted'
                   where i.service_point_id = p_point_id and r.read_at > p_after and r.read_at < p_before)
$$;
comment on function private.rolled_over is 'Whether a person said of a read at a service point between two instants that the register rolled over.';

create function private.spans_of(p_agreement_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('tariff_id', s.tariff_id, 'starts_on', nullif(s.starts_on, '-infinity'))
                              order by s.starts_on), '[]')
    from private.tariff_spans s where s.agreement_id = p_agreement_id
$$;
comment on function private.spans_of is 'The tariffs of an agreement in order: [{tariff_id, starts_on: null of the first}].';

create function private.versions_of(p_agreement_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(to_jsonb(v) order by v.effective_from, v.id), '[]') from public.tariff_version_list v
    where v.tariff_id in (select t.tariff_id from public.agreement_tariffs t where t.agreement_id = p_agreement_id)
$$;
comment on function private.versions_of is 'All versions in force of the tariffs that an agreement has or had.';

create function private.looks_back_along(p_agreement_id uuid) returns boolean
language sql stable set search_path = '' as $$
    select exists (select 1 from public.agreement_tariffs t
                   where t.agreement_id = p_agreement_id and private.looks_back(t.tariff_id))
$$;
comment on function private.looks_back_along is 'Whether bills of an agreement depend on earlier ones.';

drop function private.pricing_facts(uuid, jsonb, boolean, uuid, timestamptz, date);

create function private.pricing_facts(p_agreement_id uuid, p_meters uuid[], p_looks_back boolean, p_opening_id uuid, p_until timestamptz, p_until_on date) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_facts jsonb := '{}';
    o public.readings;
begin
    select * into o from public.readings where id = p_opening_id;
    if exists (select 1 from public.meters m where m.id = any (p_meters) and m.registers <> '[]') then
        v_facts := jsonb_build_object(
            -- A register that came later, or was set anew, has its start in a read of that day and total.
            'opening_registers', (
                select coalesce(jsonb_object_agg(v.key, v.value order by r.created_at), '{}')
                from public.readings r cross join lateral jsonb_each(r.registers) v
                where r.meter_id = o.meter_id and r.status = 'accepted' and r.read_on = o.read_on
                  and r.register_wh = o.register_wh),
            'between', (
                select coalesce(jsonb_agg(r.registers order by r.read_at), '[]') from public.readings r
                where r.meter_id = any (p_meters) and r.status = 'accepted' and r.registers <> '{}'
                  and r.read_at > o.read_at and r.read_at < p_until));
    end if;
    if p_looks_back then
        v_facts := v_facts || jsonb_build_object('past', (
            select coalesce(jsonb_agg(jsonb_build_object(
                       'period_start', b.period_start, 'period_end', b.period_end, 'usage', b.usage,
                       'tariff_id', (select v.tariff_id from public.tariff_versions v where v.id = b.tariff_version_id),
                       'charged', (select coalesce(jsonb_object_agg(l.code, l.minor), '{}')
                                   from (select x ->> 'code' as code, sum((x ->> 'amount_minor')::bigint)::bigint as minor
                                         from jsonb_array_elements(b.lines) x group by 1) l))
                       order by b.period_end desc), '[]')
            from public.bills b where b.agreement_id = p_agreement_id and b.status <> 'void'));
    end if;
    if exists (select 1 from public.intervals where meter_id = any (p_meters)) then
        v_facts := v_facts || jsonb_build_object('intervals', (
            select coalesce(jsonb_agg(to_jsonb(i) order by i.day), '[]')
            from (select distinct on (d.day, d.meter_id) d.day, d.minutes, d.wh from public.intervals d
                  where d.meter_id = any (p_meters) and d.day >= o.read_on and d.day < p_until_on
                  order by d.day, d.meter_id, d.id desc) i));
    end if;
    return v_facts;
end $$;

comment on function private.pricing_facts is 'What pricing a bill of an agreement needs beside its reads, {} for most: {opening_registers, between: registers of the reads in between; past: its bills, the last first, where the tariff looks back; intervals: [{day, minutes, wh}] of the period, where its meters have any}.';

create or replace function private.reading_answer(p_reading_id uuid, p_outcome text) RETURNS jsonb
    language sql STABLE
    SET search_path TO ''
    AS $$
    with made as (
        -- Of one transaction, which gives all its rows the same time.
        select b.id, b.period_end
        from public.readings r
        join public.bills b on b.status <> 'void' and b.period_end <= r.read_on
                           and b.agreement_id in (
                               select a.id from public.meter_installations i
                               join public.service_agreements a on a.service_point_id = i.service_point_id
                               where i.meter_id = r.meter_id)
                           and b.created_at in (r.created_at, r.decided_at)
        where r.id = p_reading_id
    ), last as (
        select coalesce(
            (select b.id from public.bills b where b.closing_reading_id = p_reading_id and b.status <> 'void'),
            (select m.id from made m order by m.period_end desc limit 1)) as id
    )
    select jsonb_build_object(
        'outcome', p_outcome,
        'reading', private.reading_json(p_reading_id),
        'bill', private.bill_json(l.id),
        'earlier', (select coalesce(jsonb_agg(private.bill_json(m.id) order by m.period_end), '[]')
                    from made m where m.id <> l.id),
        'owed', (select to_jsonb(o) from public.outbox o where o.bill_id = l.id and o.kind = 'bill_issued'))
    from last l
$$;

create or replace function private.check_opening(p_bill jsonb) RETURNS void
    language plpgsql
    SET search_path TO ''
    AS $$
begin
    if private.chain_tail((p_bill ->> 'agreement_id')::uuid) is distinct from (p_bill ->> 'opening_reading_id')::uuid
       or private.reissues((p_bill ->> 'opening_reading_id')::uuid) <> (p_bill ->> 'reissue_no')::integer then
        perform private.refuse('EB001', 'Another bill came between: the price must be computed again.');
    end if;
end $$;

create or replace function public.void_bill(p jsonb) RETURNS jsonb
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bill public.bills;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform private.lock_points(array[(select service_point_id from public.service_agreements where id = v_bill.agreement_id)]);
    perform private.lock_customers(array[v_bill.customer_id]);
    select * into v_bill from public.bills where id = v_bill.id for update;
    if v_bill.status <> 'void' then
        perform private.void_one(v_bill.id, p ->> 'reason', coalesce((p ->> 'on')::date, current_date));
        set constraints public.bills_chain_whole immediate;
        perform private.settle(array[v_bill.customer_id]);
    end if;
    return private.bill_json(v_bill.id);
end $$;

create or replace function public.issue_bills(p jsonb) RETURNS jsonb
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_ids uuid[] := array(select (x ->> 'bill_id')::uuid from jsonb_array_elements(p -> 'bills') x);
    v_expected jsonb := nullif(p -> 'expected', 'null');
    v_drafts uuid[];
    v_base bigint;
begin
    perform private.set_actor(p);
    if (select count(*) from public.bills where id = any (v_ids)) <> cardinality(v_ids) then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform private.lock_points(array(select a.service_point_id from public.bills b
                                      join public.service_agreements a on a.id = b.agreement_id where b.id = any (v_ids)));
    perform private.lock_customers(array(select customer_id from public.bills where id = any (v_ids)));
    -- A repeat of this call, whose answer was lost, finds them issued at this very moment.
    if v_expected is not null and v_expected is distinct from (
        select coalesce(jsonb_object_agg(z.currency, jsonb_build_object('number', z.number, 'total_minor', z.total)), '{}')
        from (select currency, count(*) as number, sum(total_minor)::bigint as total
              from public.bills
              where id = any (v_ids) and (status = 'draft' or (status = 'issued' and issued_at = (p ->> 'issued_at')::timestamptz))
              group by 1) z) then
        perform private.refuse('EB005', 'Somebody issued or sent back some of these drafts meanwhile.');
    elsif exists (select 1 from public.bills where id = any (v_ids) and status = 'void') then
        perform private.refuse('EB005', 'A void bill cannot be issued.');
    end if;
    v_drafts := array(select id from public.bills where id = any (v_ids) and status = 'draft' order by period_end, id for update);
    update public.counters set last_number = last_number + cardinality(v_drafts)
    where name = 'bill' and v_drafts <> '{}' returning last_number - cardinality(v_drafts) into v_base;
    update public.bills
    set status = 'issued', number = v_base + array_position(v_drafts, id), issued_at = (p ->> 'issued_at')::timestamptz,
        issued_on = (p ->> 'issued_on')::date, due_date = (p ->> 'due_date')::date
    where id = any (v_drafts);
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select o.id, x.bill_id, 'bill_issued', o.steps, o.status, case when o.status <> 'open' then now() end
    from jsonb_to_recordset(p -> 'bills') as x(bill_id uuid, owed jsonb)
    cross join lateral jsonb_to_record(x.owed) as o(id uuid, steps jsonb, status text)
    where x.bill_id = any (v_drafts)
    on conflict (bill_id, kind, occasion) do nothing;
    return jsonb_build_object(
        'issued', cardinality(v_drafts),
        'first_number', (select min(number) from public.bills where id = any (v_ids)),
        'last_number', (select max(number) from public.bills where id = any (v_ids)),
        'bills', case when v_expected is null then
            (select coalesce(jsonb_agg(private.bill_json(i.id) order by i.place), '[]')
             from unnest(v_ids) with ordinality as i(id, place))
            else '[]' end);
end $$;

create or replace function public.send_back_drafts(p jsonb) RETURNS jsonb
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_ids uuid[] := array(select b::uuid from jsonb_array_elements_text(p -> 'bills') b);
    v_drafts uuid[];
begin
    perform private.set_actor(p);
    if (select count(*) from public.bills where id = any (v_ids)) <> cardinality(v_ids) then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform private.lock_points(array(select a.service_point_id from public.bills b
                                      join public.service_agreements a on a.id = b.agreement_id where b.id = any (v_ids)));
    perform private.lock_customers(array(select customer_id from public.bills where id = any (v_ids)));
    if exists (select 1 from public.bills where id = any (v_ids) and status = 'issued') then
        perform private.refuse('EB005', 'It was issued meanwhile, and what is issued is voided, not sent back.');
    end if;
    v_drafts := array(select id from public.bills where id = any (v_ids) and status = 'draft' order by id for update);
    if exists (select 1 from public.bills b
               join public.bills later on later.opening_reading_id = b.closing_reading_id and later.status <> 'void'
               where b.id = any (v_drafts) and later.id <> all (v_drafts)) then
        perform private.refuse('EB005', 'A later bill begins where this one ends: send that one back with it, or void it first.');
    end if;
    perform private.void_one(i, p ->> 'reason', current_date) from unnest(v_drafts) i;
    return jsonb_build_object('sent_back', cardinality(v_drafts));
end $$;

create or replace function public.commit_reading(p jsonb) RETURNS jsonb
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_reading jsonb := p -> 'reading';
    v_bills jsonb := private.bills_given(p);
    v_meter uuid := (v_reading ->> 'meter_id')::uuid;
    v_replay uuid;
begin
    perform private.set_actor(p);
    perform private.lock_points_of(array[v_meter]);
    if not exists (select 1 from public.meters where id = v_meter) then
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
    perform private.join_chain(v_bills);
    return private.reading_answer((v_reading ->> 'id')::uuid, 'stored');
end $$;

create or replace function public.decide_reading(p jsonb) RETURNS jsonb
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_reading public.readings;
    v_bills jsonb := private.bills_given(p);
    v_correction jsonb := nullif(p -> 'correction', 'null'::jsonb);
    v_answer_id uuid := coalesce((p -> 'correction' ->> 'id')::uuid, (p ->> 'reading_id')::uuid);
begin
    perform private.set_actor(p);
    select * into v_reading from public.readings where id = (p ->> 'reading_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    perform private.lock_points_of(array[v_reading.meter_id]);
    -- A correction that is already there is this very call, repeated.
    if v_correction is not null and exists (select 1 from public.readings where id = v_answer_id) then
        return private.reading_answer(v_answer_id, 'stored');
    end if;
    update public.readings
    set status = p ->> 'status', decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason',
        rolled_over = p ->> 'status' = 'accepted' and coalesce((p ->> 'rolled_over')::boolean, false)
    where id = v_reading.id and status = 'needs_review';
    if not found then
        perform private.refuse('EB005', 'Somebody has already decided on this reading.');
    end if;
    if v_correction is not null then
        perform private.insert_reading(v_correction);
    end if;
    perform private.join_chain(v_bills);
    return private.reading_answer(v_answer_id, 'stored');
end $$;

create or replace function public.import_readings(p jsonb) RETURNS jsonb
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_added integer;
begin
    perform private.set_actor(p);
    perform private.lock_points_of(array(select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x));
    -- Stored in order of time: lists of readings are ordered by created_at.
    insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, submitted_by,
                                 validation, created_at, registers)
    select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, coalesce(x.source, 'imported'), x.status,
           p ->> 'actor', coalesce(x.validation, '{}'), clock_timestamp(), coalesce(x.registers, '{}')
    from jsonb_to_recordset(p -> 'rows') as x(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text,
        status text, validation jsonb, registers jsonb)
    where not exists (
        select 1 from public.readings r
        where r.meter_id = x.meter_id and r.read_on = x.read_on and r.register_wh = x.register_wh
          and r.registers = coalesce(x.registers, '{}')
          -- A read that a person rejected does not come back with the next import of its file.
          and (r.status in ('accepted', 'needs_review') or r.id = x.id))
    order by x.read_at;
    get diagnostics v_added = row_count;
    return private.import_answer(null, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
exception when unique_violation then
    raise exception using errcode = 'EB003', message = 'Another value was stored for one of these meters at the very same time.';
end $$;

create or replace function private.insert_bills(p_bills jsonb) RETURNS void
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_issued integer;
    v_base bigint;
begin
    perform private.lock_customers(array(
        select a.customer_id from public.service_agreements a
        where a.id in (select (b ->> 'agreement_id')::uuid from jsonb_array_elements(p_bills) b)));
    select count(*) into v_issued from jsonb_array_elements(p_bills) b where b ->> 'status' = 'issued';
    if v_issued > 0 then
        update public.counters set last_number = last_number + v_issued where name = 'bill'
        returning last_number - v_issued into v_base;
    end if;
    insert into public.bills (
        id, number, status, agreement_id, meter_id, customer_id, tariff_version_id, opening_reading_id, closing_reading_id,
        period_start, period_end, opening_wh, closing_wh, consumption_wh, currency, lines,
        subtotal_minor, tax_minor, total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage,
        replaces_id, priced_by, held_because, multiplier_milli, segments)
    select b.id,
           case when b.status = 'issued'
                then v_base + row_number() over (partition by b.status = 'issued' order by b.position) end,
           b.status, b.agreement_id, b.meter_id, a.customer_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
           b.period_start, b.period_end, b.opening_wh, b.closing_wh, b.consumption_wh, b.currency, b.lines,
           b.subtotal_minor, b.tax_minor, b.total_minor, b.issued_at, b.issued_on, b.due_date, b.reissue_no,
           nullif(b.second_opinion, 'null'::jsonb), nullif(b.usage, 'null'::jsonb), b.replaces_id, b.priced_by,
           b.held_because, b.multiplier_milli, nullif(b.segments, 'null'::jsonb)
    from rows from (jsonb_to_recordset(p_bills) as (
             id uuid, status text, meter_id uuid, tariff_version_id uuid, opening_reading_id uuid,
             closing_reading_id uuid, period_start date, period_end date, opening_wh bigint, closing_wh bigint,
             consumption_wh bigint, currency text, lines jsonb, subtotal_minor bigint, tax_minor bigint,
             total_minor bigint, issued_at timestamptz, issued_on date, due_date date, reissue_no integer,
             second_opinion jsonb, usage jsonb, replaces_id uuid, priced_by uuid[],
             held_because text, agreement_id uuid, multiplier_milli integer, segments jsonb)
         ) with ordinality as b(
             id, status, meter_id, tariff_version_id, opening_reading_id, closing_reading_id, period_start,
             period_end, opening_wh, closing_wh, consumption_wh, currency, lines, subtotal_minor, tax_minor,
             total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage, replaces_id, priced_by,
             held_because, agreement_id, multiplier_milli, segments, position)
    join public.service_agreements a on a.id = b.agreement_id;
    insert into public.outbox (id, bill_id, kind, steps, facts, status, finished_at, lease_owner, lease_until)
    select o.id, b.id, 'bill_issued', o.steps, coalesce(o.facts, '{}'), o.status, case when o.status <> 'open' then now() end,
           o.lease_owner, now() + make_interval(secs => o.lease_seconds)
    from jsonb_to_recordset(p_bills) as b(id uuid, owed jsonb)
    cross join lateral jsonb_to_record(b.owed) as o(
        id uuid, steps jsonb, facts jsonb, status text, lease_owner text, lease_seconds integer)
    where b.owed is not null and b.owed <> 'null'::jsonb;
end $$;

comment on function private.insert_bills is 'Inserts bills, numbers the issued ones in order without gaps, and writes the work each owes. The caller has locked the service points.';

create or replace function private.class_use(p_tariff_id uuid) RETURNS jsonb
    language sql STABLE
    SET search_path TO ''
    AS $$
    -- Ids are hashes, so the first ones are a sample; each costs one step in an index.
    select jsonb_build_object(
        'meters', count(*),
        'low_wh', coalesce(percentile_disc(0.1) within group (order by b.daily_wh), 0),
        'high_wh', coalesce(percentile_disc(0.9) within group (order by b.daily_wh), 0))
    from (select t.agreement_id as id from public.agreement_tariffs t where t.tariff_id = p_tariff_id order by t.id limit 300) m
    cross join lateral (
        select x.consumption_wh / (x.period_end - x.period_start) as daily_wh from public.bills x
        where x.agreement_id = m.id and x.status <> 'void' and x.period_end > x.period_start
        order by x.period_end desc limit 1) b
$$;

create or replace function private.check_chain_whole() RETURNS trigger
    language plpgsql
    SET search_path TO ''
    AS $$
begin
    if exists (select 1 from public.bills later
               where later.opening_reading_id = new.closing_reading_id and later.status <> 'void'
                 and later.agreement_id = new.agreement_id)
       and not exists (select 1 from public.bills again
                       where again.closing_reading_id = new.closing_reading_id and again.status <> 'void'
                       and again.agreement_id = new.agreement_id) then
        raise exception using errcode = 'EB005', message = 'A later bill of the meter would begin where no bill ends.';
    end if;
    return null;
end $$;

create or replace function private.check_new_bills() returns trigger
language plpgsql set search_path = '' as $$
begin
    -- Somebody moved, or a meter was exchanged, between pricing and storing.
    if exists (
        select 1 from new_rows b join public.service_agreements a on a.id = b.agreement_id
        where b.period_start < a.starts_on or b.period_end > coalesce(a.ends_on, 'infinity')
    ) then
        raise exception using errcode = 'EB001', message = 'The agreement changed meanwhile: the price must be computed again.';
    end if;
    if exists (
        with parts as (
            select b.id, a.service_point_id, s.*, lag(s.closing_id) over (partition by b.id order by s.place) as before,
                   s.place = count(*) over (partition by b.id) as is_last, b.opening_reading_id as opens_at
            from new_rows b
            join public.service_agreements a on a.id = b.agreement_id
            cross join lateral (
                select 1 as place, b.meter_id, b.opening_reading_id as opening_id, b.closing_reading_id as closing_id,
                       b.opening_wh, b.closing_wh, b.multiplier_milli, b.consumption_wh as wh
                where b.segments is null
                union all
                select x.place, x.meter_id, x.opening_reading_id, x.closing_reading_id, x.opening_wh, x.closing_wh,
                       x.multiplier_milli, x.consumption_wh
                from rows from (jsonb_to_recordset(b.segments) as (
                         meter_id uuid, opening_reading_id uuid, closing_reading_id uuid, opening_wh bigint,
                         closing_wh bigint, multiplier_milli integer, consumption_wh bigint)) with ordinality x(
                         meter_id, opening_reading_id, closing_reading_id, opening_wh, closing_wh, multiplier_milli,
                         consumption_wh, place)
                where b.segments is not null) s
        )
        select 1
        from new_rows b
        join public.service_agreements a on a.id = b.agreement_id
        join public.readings o on o.id = b.opening_reading_id
        join public.readings c on c.id = b.closing_reading_id
        where b.customer_id <> a.customer_id
           or b.period_start <> o.read_on or b.period_end <> c.read_on
           or o.status <> 'accepted' or c.status <> 'accepted' or c.read_at <= o.read_at
           or not exists (select 1 from parts p where p.id = b.id and p.is_last and p.closing_id = c.id
                          and p.meter_id = b.meter_id and p.opening_wh = b.opening_wh and p.closing_wh = b.closing_wh
                          and p.multiplier_milli = b.multiplier_milli)
           or b.consumption_wh <> (select sum(p.wh) from parts p where p.id = b.id)
        union all
        select 1
        from parts p
        join public.meters m on m.id = p.meter_id
        join public.readings o on o.id = p.opening_id
        join public.readings c on c.id = p.closing_id
        left join lateral (
            -- The installation that measured it, and where the one before it at this place ended.
            select i.opening_reading_id,
                   (select e.closing_reading_id from public.meter_installations e
                    where e.service_point_id = i.service_point_id and e.removed_at <= i.installed_at
                    order by e.removed_at desc limit 1) as ended_at
            from public.meter_installations i
            where i.meter_id = p.meter_id and i.service_point_id = p.service_point_id
              and i.multiplier_milli = p.multiplier_milli
              and i.installed_at <= o.read_at and (i.removed_at is null or i.removed_at >= c.read_at)
            order by i.installed_at desc limit 1) i on true
        where i.opening_reading_id is null
           or o.meter_id <> p.meter_id or c.meter_id <> p.meter_id
           or o.status <> 'accepted' or c.status <> 'accepted' or c.read_at <= o.read_at
           or p.opening_wh <> o.register_wh or p.closing_wh <> c.register_wh
           or not (case when p.before is null then o.id = p.opens_at or (o.id = i.opening_reading_id and i.ended_at = p.opens_at)
                        else o.id = i.opening_reading_id and i.ended_at = p.before end)
           or p.wh <> (
                (c.register_wh - o.register_wh + private.register_span_wh(m.dials))
                    % private.register_span_wh(m.dials) * p.multiplier_milli + 500) / 1000
    ) then
        raise exception using errcode = 'EB005',
            message = 'A bill must run between two accepted reads of its meter and bill exactly the energy between them.';
    end if;
    -- Continuity: a bill opens at the agreement's opening read or where a live bill of it closed.
    if exists (
        select 1 from new_rows b join public.service_agreements a on a.id = b.agreement_id
        where a.opening_reading_id <> b.opening_reading_id and not exists (
            select 1 from public.bills prior
            where prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
              and prior.agreement_id = b.agreement_id)
    ) then
        raise exception using errcode = 'EB001', message = 'Another bill came between: the price must be computed again.';
    end if;
    return null;
end $$;

create or replace function private.refuse_replaced_version() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (
        select 1 from new_rows b
        where b.priced_by is distinct from array(
            select v.id
            from private.tariff_spans s
            join (select w.id, w.tariff_id, w.effective_from,
                         coalesce(lead(w.effective_from) over (partition by w.tariff_id order by w.effective_from), 'infinity') as until
                  from public.tariff_versions w
                  where w.tariff_id in (select y.tariff_id from public.agreement_tariffs y where y.agreement_id = b.agreement_id)
                    and not exists (select 1 from public.tariff_versions n where n.replaces_id = w.id)) v
                on v.tariff_id = s.tariff_id
            where s.agreement_id = b.agreement_id
              and greatest(v.effective_from, s.starts_on, b.period_start) < least(v.until, s.ends_on, b.period_end)
            order by greatest(v.effective_from, s.starts_on))
    ) then
        raise exception using errcode = 'EB001',
            message = 'A new version of the tariff came between: the price must be computed again.';
    end if;
    return null;
end $$;

create or replace view public.draft_list with (security_invoker = true) as

 SELECT id,
    meter_id,
    meter_serial,
    customer_id,
    account_no,
    customer_name,
    tariff_code,
    period_start,
    period_end,
    consumption_wh,
    currency,
    subtotal_minor,
    tax_minor,
    total_minor,
    created_at,
    estimated,
    tariff_changes,
    opinion_differs,
    past_use,
    private.is_outlier(past_use, consumption_wh, (period_end - period_start), total_minor, (estimated OR tariff_changes OR opinion_differs OR (held_because IS NOT NULL))) AS outlier,
    search,
    held_because
   FROM ( SELECT b.id,
            b.meter_id,
            m.serial AS meter_serial,
            b.customer_id,
            c.account_no,
            c.name AS customer_name,
            t.code AS tariff_code,
            b.period_start,
            b.period_end,
            b.consumption_wh,
            b.currency,
            b.subtotal_minor,
            b.tax_minor,
            b.total_minor,
            b.created_at,
            b.held_because,
            (('estimated'::text = opening.source) OR ('estimated'::text = closing.source)) AS estimated,
            (b.lines @> '[{"part": {}}]'::jsonb) AS tariff_changes,
            COALESCE(((b.second_opinion ->> 'agrees'::text) = 'false'::text), false) AS opinion_differs,
            ( SELECT ARRAY[z.number, COALESCE(z.q[1], (0)::bigint), COALESCE(z.q[2], (0)::bigint), COALESCE(z.q[3], (0)::bigint)] AS "array"
                   FROM ( SELECT count(*) AS number,
                            percentile_disc((ARRAY[0.25, 0.5, 0.75])::double precision[]) WITHIN GROUP (ORDER BY x.use) AS q
                           FROM ( SELECT (y.consumption_wh / (y.period_end - y.period_start)) AS use
                                   FROM public.bills y
                                  WHERE ((y.agreement_id = b.agreement_id) AND (y.status = 'issued'::text) AND (y.period_end <= b.period_start))
                                  ORDER BY y.period_end DESC
                                 LIMIT 12) x) z) AS past_use,
            lower(concat_ws(' '::text, c.account_no, c.name, m.serial)) AS search
           FROM ((((((public.bills b
             JOIN public.meters m ON ((m.id = b.meter_id)))
             JOIN public.customers c ON ((c.id = b.customer_id)))
             JOIN public.tariff_versions v ON ((v.id = b.tariff_version_id)))
             JOIN public.tariffs t ON ((t.id = v.tariff_id)))
             JOIN public.readings opening ON ((opening.id = b.opening_reading_id)))
             JOIN public.readings closing ON ((closing.id = b.closing_reading_id)))
          WHERE (b.status = 'draft'::text)) d;

create or replace function public.reading_context(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_meter public.meters;
    i public.meter_installations;
    s public.service_points;
    a public.service_agreements;
    v_replay uuid;
    v_tail uuid;
    v_at timestamptz := (p ->> 'read_at')::timestamptz;
    v_on date := (p ->> 'read_on')::date;
    v_last public.readings;
    v_tariff uuid;
begin
    select * into v_meter from public.meters where serial = p ->> 'meter_serial';
    if not found then
        perform private.refuse('EB404', format('No meter has the serial %s.', p ->> 'meter_serial'));
    end if;
    if p ? 'register_wh' then
        v_replay := private.find_replay(p, v_meter.id);
    end if;
    -- Where it was at that time; of a read from before or between, where it came to next.
    select * into i from public.meter_installations x
    where x.meter_id = v_meter.id
    order by x.installed_at <= v_at and (x.removed_at is null or v_at <= x.removed_at) desc, x.installed_at > v_at desc,
             abs(extract(epoch from x.installed_at - v_at)) limit 1;
    select * into s from public.service_points where id = i.service_point_id;
    select * into a from public.service_agreements x
    where x.service_point_id = s.id and x.starts_on <= v_on and (x.ends_on is null or v_on <= x.ends_on)
    order by x.starts_on desc limit 1;
    if not found then
        -- Before the first: what it would have been billed to.
        select * into a from public.service_agreements x
        where x.service_point_id = s.id and v_on < x.starts_on and i.installed_on = x.starts_on
        order by x.starts_on limit 1;
    end if;
    v_tail := coalesce(private.chain_tail(a.id), i.opening_reading_id);
    v_tariff := (select t.tariff_id from private.tariff_spans t
                 where t.agreement_id = a.id and t.starts_on <= v_on and v_on < t.ends_on);
    select * into v_last from public.readings
    where meter_id = v_meter.id and status = 'accepted' and read_at < v_at and read_at >= i.installed_at
    order by read_at desc limit 1;
    return jsonb_build_object(
        'meter', (select to_jsonb(l) - 'search' from public.meter_list l where l.id = v_meter.id)
            || jsonb_build_object(
                'multiplier_milli', i.multiplier_milli, 'opened_on', i.installed_on, 'removed_on', i.removed_on,
                'address', coalesce(nullif(s.address, ''), (select c.address from public.customers c where c.id = a.customer_id)),
                'connected_w', s.connected_w, 'connected_va', s.connected_va, 'service_point_id', s.id,
                'service_point_code', s.code, 'agreement_id', a.id)
            || (select jsonb_build_object('customer_id', c.id, 'account_no', c.account_no, 'customer_name', c.name,
                                          'tariff_id', t.id, 'tariff_code', t.code, 'tariff_name', t.name, 'currency', t.currency)
                from (select 1) one
                left join public.customers c on c.id = a.customer_id
                left join public.tariffs t on t.id = v_tariff),
        'tariffs', private.versions_of(a.id),
        'spans', private.spans_of(a.id),
        'ends_on', a.ends_on,
        'opening', private.reading_json(v_tail),
        'reissue_no', private.reissues(v_tail),
        'installations', private.installations_between(
            s.id, (select o.read_at from public.readings o where o.id = v_tail), v_at),
        'last_read', private.reading_json(v_last.id),
        'next_read', (select private.reading_json(r.id) from public.readings r
                      where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_at > v_at
                        and (i.removed_at is null or r.read_at <= i.removed_at)
                      order by r.read_at limit 1),
        'history', (select coalesce(jsonb_agg(jsonb_build_object(
                               'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers)
                               order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = v_meter.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                      and h.read_at >= i.installed_at and h.read_at > v_last.read_at - interval '400 days'),
        'class_use', case when v_tariff is not null and not exists (
                              select 1 from public.readings h
                              where h.meter_id = v_meter.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                                and h.read_at >= i.installed_at
                                and h.read_at > v_last.read_at - interval '400 days' and h.read_on <> v_last.read_on)
                          then private.class_use(v_tariff) end,
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_on = v_on),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'between', private.reads_between(s.id, v_tail, v_at),
        'pricing', private.pricing_facts(
            a.id, array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = s.id),
            private.looks_back_along(a.id), v_tail, v_at, v_on));
end $$;
comment on function public.reading_context is 'Everything that validating and pricing a read of {meter_serial, read_at, read_on} needs, of the place where the meter was then and of who was supplied there; with {register_wh, registers?, caller, idempotency_key, body_hash} also the reading it repeats.';

create or replace function private.check_register() RETURNS trigger
    language plpgsql
    SET search_path TO ''
    AS $_$
begin
    if exists (
        select 1 from new_rows r join public.meters m on m.id = r.meter_id
        where r.register_wh >= private.register_span_wh(m.dials)
    ) then
        raise exception using errcode = 'EB005', message = 'The reading has more digits than the meter.';
    end if;
    if exists (
        select 1 from new_rows r join public.meters m on m.id = r.meter_id
        cross join lateral jsonb_each(r.registers) v
        where r.registers <> '{}' and not (m.registers ? v.key and case when v.value::text ~ '^[0-9]{1,12}$'
            then v.value::bigint < private.register_span_wh(m.dials) else false end)
    ) then
        raise exception using errcode = 'EB005', message = 'A register of the reading is none of the meter''s, or has more digits.';
    end if;
    if exists (
        select 1 from new_rows r
        where not r.is_opening and not exists (
            select 1 from public.meter_installations i
            where i.meter_id = r.meter_id and i.installed_at <= r.read_at and (i.removed_at is null or r.read_at <= i.removed_at))
    ) then
        raise exception using errcode = 'EB005', message = 'The meter was not installed at that time.';
    end if;
    return null;
end $_$;

create or replace function public.meter_reads(p jsonb) RETURNS jsonb
    language sql STABLE
    SET search_path TO ''
    AS $$
    with asked as (
        select m.id, m.serial, m.dials, m.multiplier_milli, m.tariff_id, m.registers, m.connected_w, m.connected_va, m.agreement_id,
               (select count(*) from (
                         select distinct r.read_on from public.readings r
                         where r.meter_id = m.id and r.status = 'accepted' limit 2) d) < 2 as is_new
        from public.meter_list m
        where m.serial in (select jsonb_array_elements_text(p -> 'serials'))
    ), classes as materialized (
        select t.tariff_id, private.class_use(t.tariff_id) as class_use
        from (select distinct a.tariff_id from asked a where a.is_new and a.tariff_id is not null) t
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'id', m.id, 'agreement_id', m.agreement_id, 'serial', m.serial, 'dials', m.dials, 'multiplier_milli', m.multiplier_milli,
        'tariff_id', m.tariff_id, 'registers', m.registers,
        'connected_w', m.connected_w, 'connected_va', m.connected_va,
        'class_use', case when m.is_new then k.class_use end,
        'installed', (select coalesce(jsonb_agg(jsonb_build_object('since', i.installed_at, 'until', i.removed_at)
                                                order by i.installed_at), '[]')
                      from public.meter_installations i where i.meter_id = m.id),
        'reads', (select coalesce(jsonb_agg(jsonb_build_object(
                             'id', r.id, 'meter_id', r.meter_id, 'read_at', r.read_at, 'read_on', r.read_on,
                             'register_wh', r.register_wh, 'registers', r.registers,
                             'status', r.status) order by r.read_at), '[]')
                  from public.readings r
                  where r.meter_id = m.id
                    and (r.status in ('accepted', 'needs_review') or (p ->> 'every_status')::boolean)
                    and r.read_on >= coalesce((p ->> 'since')::date, '-infinity')))), '[]'))
    from asked m left join classes k on k.tariff_id = m.tariff_id
$$;

create or replace function private.register_problems(p_rows jsonb) RETURNS jsonb
    language sql STABLE
    SET search_path TO ''
    AS $_$
    select jsonb_agg(jsonb_build_object('row', q."row", 'column', 'registers', 'message', q.problem) order by q."row")
    from (
        select x."row", case
            when u.period is not null then format(
                'Tariff %s has no period named %s: a register is export, kvah, kvarh, a maximum such as max_kw, or a period of the tariff.',
                x.tariff_code, u.period)
            when m.id is null and jsonb_array_length(x.unopened) > 0 then format(
                'Say what %1$s showed when the meter was connected, such as %1$s=0.', x.unopened ->> 0)
            when exists (select 1 from jsonb_each(x.opening_registers) o
                         where m.id is not null and r.registers -> o.key is distinct from o.value) then format(
                'Meter %s is connected already: give only the names of its registers. What a new one showed at the last billed read is imported as a reading of that day with the same total.',
                x.serial)
            end as problem
        from jsonb_to_recordset(p_rows) as x(
            "row" integer, serial text, tariff_code text, registers jsonb, opening_registers jsonb, unopened jsonb,
            periods jsonb)
        join public.tariffs t on t.code = x.tariff_code
        left join public.meters m on m.serial = x.serial
        left join public.meter_installations n on n.meter_id = m.id and n.removed_at is null
        left join public.readings r on r.id = n.opening_reading_id
        left join lateral (
            select n.period from jsonb_array_elements_text(x.periods) n(period)
            where not exists (
                select 1 from public.tariff_versions v
                cross join lateral jsonb_each(v.definition -> 'calendars') c
                cross join lateral jsonb_object_keys(c.value -> 'periods') k(name)
                where v.tariff_id = t.id
                  and (lower(k.name) = n.period or lower(k.name) in (
                      -- One register may count a period of every season: "peak" that of "summer_peak".
                      select lower(s.name) || '_' || n.period
                      from jsonb_object_keys(v.definition -> 'seasons') s(name))))
            limit 1) u on true
        where x.registers is not null) q
    where q.problem is not null
$_$;

create or replace function private.graph_rows_of(p_bills uuid[]) RETURNS jsonb
    language sql STABLE
    SET search_path TO ''
    AS $$
    with bills as (select b.* from public.bills b where b.id = any (p_bills)),
         meters as (select m.* from private.graph_meters m where m.id in (select meter_id from bills))
    select jsonb_build_object(
        'feeders', (select coalesce(jsonb_agg(to_jsonb(f)), '[]') from private.graph_feeders f
                    where f.id in (select t.feeder_id from public.transformers t
                                   where t.id in (select transformer_id from meters))),
        'transformers', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from private.graph_transformers t
                         where t.id in (select transformer_id from meters)),
        'customers', (select coalesce(jsonb_agg(to_jsonb(c)), '[]') from private.graph_customers c
                      where c.id in (select customer_id from meters union select customer_id from bills)),
        'meters', (select coalesce(jsonb_agg(to_jsonb(m)), '[]') from private.graph_meters m
                   where m.id in (select id from meters)),
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(v)), '[]') from private.graph_tariffs v
                    where v.id in (select tariff_version_id from bills)),
        'readings', (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from private.graph_readings r
                     where r.id in (select opening_reading_id from bills union select closing_reading_id from bills)),
        'bills', (select coalesce(jsonb_agg(to_jsonb(b)), '[]') from private.graph_bills b
                  where b.id = any (p_bills)),
        'payments', (select coalesce(jsonb_agg(to_jsonb(y)), '[]') from private.graph_payments y
                     where y.bill_id = any (p_bills)))
$$;

create or replace function public.overview(p jsonb) RETURNS jsonb
    language sql STABLE
    SET search_path TO ''
    AS $$
    with bounds as (
        select (p ->> 'today')::date as today, date_trunc('month', (p ->> 'today')::date)::date as month,
               (date_trunc('month', (p ->> 'today')::date)
                - make_interval(months => (p ->> 'months')::integer - 1))::date as since
    ), months as (
        select generate_series(b.since, b.month, interval '1 month')::date as month from bounds b
    ), currencies as (
        select distinct currency from public.tariffs
        union
        select p ->> 'currency' where not exists (select 1 from public.tariffs)
    ), billed as (
        select currency, date_trunc('month', issued_on)::date as month, sum(total_minor) as minor, count(*) as bills
        from public.bills, bounds
        where status = 'issued' and issued_on >= bounds.since
        group by 1, 2
    ), collected as (
        select c.currency, date_trunc('month', c.on_date)::date as month, sum(c.minor) as minor
        from (
            -- A deposit is held, not earned, until it is used.
            select e.currency, e.on_date, -e.amount_minor as minor from public.ledger_entries e, bounds
            where e.on_date >= bounds.since and e.book = 'account'
              and e.kind in ('payment', 'refund', 'reversal', 'dispute', 'payout', 'return_undone', 'deposit_used')
            union all
            -- Money of nobody known is in no ledger, and was collected all the same.
            select y.currency, y.received_on, y.amount_minor from public.payments y, bounds
            where y.customer_id is null and y.received_on >= bounds.since
            union all
            select r.currency, r.on_date, -r.amount_minor from public.payment_returns r, bounds
            where r.customer_id is null and r.status = 'done' and r.on_date >= bounds.since
        ) c
        group by 1, 2
    ), owed as (
        select currency, sum(total_minor - amount_paid_minor) as outstanding, count(*) as outstanding_bills,
               sum(total_minor - amount_paid_minor) filter (where overdue_since is not null) as overdue,
               count(*) filter (where overdue_since is not null) as overdue_bills
        from public.bills where status = 'issued' and amount_paid_minor < total_minor
        group by 1
    )
    select jsonb_build_object(
        'flagged', (select count(*) from public.readings where status = 'needs_review'),
        'flagged_payments', (select count(distinct payment_id) from public.payment_flags where resolved_at is null),
        'drafts', (select count(*) from public.bills where status = 'draft'),
        'meters', (select count(*) from public.meter_installations where removed_at is null),
        'overdue_as_of', private.overdue_as_of(),
        'bills_to_decide', (select count(*) from public.returned_bill_list),
        'owed_work', (select count(*) from public.outbox where status = 'open'),
        'currencies', (select coalesce(jsonb_agg(jsonb_build_object(
            'currency', c.currency,
            'outstanding_minor', coalesce(o.outstanding, 0), 'outstanding_bills', coalesce(o.outstanding_bills, 0),
            'overdue_minor', coalesce(o.overdue, 0), 'overdue_bills', coalesce(o.overdue_bills, 0),
            'months', (select jsonb_agg(jsonb_build_object(
                           'month', m.month, 'billed_minor', coalesce(b.minor, 0), 'bills', coalesce(b.bills, 0),
                           'collected_minor', coalesce(k.minor, 0)) order by m.month)
                       from months m
                       left join billed b on b.currency = c.currency and b.month = m.month
                       left join collected k on k.currency = c.currency and k.month = m.month)
            ) order by c.currency), '[]')
            from currencies c left join owed o on o.currency = c.currency))
$$;

revoke all on function private.chain_tail, private.reads_between, private.installations_between, private.rolled_over,
    private.spans_of, private.versions_of, private.looks_back_along, private.pricing_facts from public;
grant execute on function private.chain_tail, private.reads_between, private.installations_between, private.rolled_over,
    private.spans_of, private.versions_of, private.looks_back_along, private.pricing_facts to service_role;

-- Where reads were taken at the end of each month, a long time is several bills: priced together,
-- stored together, each opening where the one before it closes.

create function private.reads_between(p_meter_id uuid, p_opening_id uuid, p_until timestamptz) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', r.id, 'read_at', r.read_at, 'read_on', r.read_on, 'register_wh', r.register_wh,
               'registers', r.registers, 'reissues', private.reissues(r.id)) order by r.read_at), '[]')
    from public.readings r
    where r.meter_id = p_meter_id and r.status = 'accepted' and r.read_at < p_until
      and r.read_at > (select o.read_at from public.readings o where o.id = p_opening_id)
$$;
comment on function private.reads_between is
    'The accepted reads of a meter after an opening read and before an instant, each with how many void bills opened there.';

create function private.bills_given(p jsonb) returns jsonb
language sql immutable set search_path = '' as $$
    select case when coalesce(p -> 'bill', 'null') = 'null' then '[]'
                else coalesce(nullif(p -> 'earlier', 'null'), '[]') || jsonb_build_array(p -> 'bill') end
$$;
comment on function private.bills_given is 'The bills of {earlier?: [bill], bill?} in the order of the chain.';

create function private.join_chain(p_bills jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    if p_bills = '[]' then
        return;
    end if;
    perform private.check_opening(p_bills -> 0);
    if exists (
        select 1
        from (select x.bill, x.place, lag(x.bill ->> 'closing_reading_id') over (order by x.place) as before
              from jsonb_array_elements(p_bills) with ordinality x(bill, place)) b
        where b.place > 1
          and (b.before is distinct from b.bill ->> 'opening_reading_id'
               or private.reissues((b.bill ->> 'opening_reading_id')::uuid) <> (b.bill ->> 'reissue_no')::integer)
    ) then
        perform private.refuse('EB001', 'Another bill came between: the price must be computed again.');
    end if;
    perform private.insert_bills(p_bills);
end $$;
comment on function private.join_chain is
    'Stores bills of one meter, the first of which opens where its chain ends. EB001 when it ends elsewhere.';

-- As before, and with the other bills that came of the reading.
create or replace function private.reading_answer(p_reading_id uuid, p_outcome text) returns jsonb
language sql stable set search_path = '' as $$
    with made as (
        -- Of one transaction, which gives all its rows the same time.
        select b.id, b.period_end
        from public.readings r
        join public.bills b on b.meter_id = r.meter_id and b.status <> 'void' and b.period_end <= r.read_on
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

-- As before, and with the reads in between.
create or replace function public.reading_context(p jsonb) returns jsonb
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
                               'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers)
                               order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = m.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                      and h.read_at > v_last.read_at - interval '400 days'),
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = m.id and r.status = 'accepted' and r.read_on = (p ->> 'read_on')::date),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'between', private.reads_between(m.id, v_tail, v_at),
        'pricing', private.pricing_facts(m.id, m.registers, private.looks_back(m.tariff_id), v_tail, v_at,
                                         (p ->> 'read_on')::date));
end $$;

-- As before; the reading may bring several bills.
create or replace function public.commit_reading(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_reading jsonb := p -> 'reading';
    v_bills jsonb := private.bills_given(p);
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
    perform private.join_chain(v_bills);
    return private.reading_answer((v_reading ->> 'id')::uuid, 'stored');
end $$;
comment on function public.commit_reading is
    'Step 7: {actor, caller, idempotency_key?, body_hash?, run?, reading, neighbours: [id before, id after], bill?, earlier?: bills before that one}. One transaction: reading, bills, their numbers, the work owed. EB001 when another bill came between.';

-- As before; the reading may bring several bills.
create or replace function public.decide_reading(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
    perform private.join_chain(v_bills);
    return private.reading_answer(v_answer_id, 'stored');
end $$;
comment on function public.decide_reading is
    'A person decides on a flagged reading: {actor, reading_id, status: accepted|rejected|superseded, reason, correction?, bill?, earlier?: bills before that one}.';

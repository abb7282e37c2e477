-- What Python and SQL both said is said by one of them.
--
-- How far a tariff looks back is said by its charges; that only the last bill of a chain can be voided
-- alone, and why, by services/corrections. Here a chain is only kept whole.

create or replace function private.pricing_facts(p_meter_id uuid, p_registers jsonb, p_looks_back boolean, p_opening_id uuid, p_until timestamp with time zone, p_until_on date) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_facts jsonb := '{}';
    o public.readings;
begin
    if p_registers <> '[]' then
        select * into o from public.readings where id = p_opening_id;
        v_facts := jsonb_build_object(
            -- A register that came later, or was set anew, has its start in a read of that day and total.
            'opening_registers', (
                select coalesce(jsonb_object_agg(v.key, v.value order by r.created_at), '{}')
                from public.readings r cross join lateral jsonb_each(r.registers) v
                where r.meter_id = p_meter_id and r.status = 'accepted' and r.read_on = o.read_on
                  and r.register_wh = o.register_wh),
            'between', (
                select coalesce(jsonb_agg(r.registers order by r.read_at), '[]') from public.readings r
                where r.meter_id = p_meter_id and r.status = 'accepted' and r.registers <> '{}'
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
            from public.bills b where b.meter_id = p_meter_id and b.status <> 'void'));
    end if;
    if exists (select 1 from public.intervals where meter_id = p_meter_id) then
        select * into o from public.readings where id = p_opening_id;
        v_facts := v_facts || jsonb_build_object('intervals', (
            select coalesce(jsonb_agg(to_jsonb(i) order by i.day), '[]')
            from (select distinct on (d.day) d.day, d.minutes, d.wh from public.intervals d
                  where d.meter_id = p_meter_id and d.day >= o.read_on and d.day < p_until_on
                  order by d.day, d.id desc) i));
    end if;
    return v_facts;
end $$;

create or replace function public.void_bill(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
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
    perform 1 from public.meters where id = v_bill.meter_id for update;
    perform private.lock_customers(array[v_bill.customer_id]);
    select * into v_bill from public.bills where id = v_bill.id for update;
    if v_bill.status <> 'void' then
        perform private.void_one(v_bill.id, p ->> 'reason', coalesce((p ->> 'on')::date, current_date));
        set constraints public.bills_chain_whole immediate;
        perform private.settle(array[v_bill.customer_id]);
    end if;
    return private.bill_json(v_bill.id);
end $$;

create or replace function private.check_chain_whole() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if exists (select 1 from public.bills later
               where later.opening_reading_id = new.closing_reading_id and later.status <> 'void')
       and not exists (select 1 from public.bills again
                       where again.closing_reading_id = new.closing_reading_id and again.status <> 'void') then
        raise exception using errcode = 'EB005', message = 'A later bill of the meter would begin where no bill ends.';
    end if;
    return null;
end $$;

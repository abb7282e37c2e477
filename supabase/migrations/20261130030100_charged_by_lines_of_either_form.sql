-- What earlier bills charged, for bills that settle them: from lines as arrays and from those as objects.
create or replace function private.pricing_facts(p_agreement_id uuid, p_meters uuid[], p_looks_back boolean, p_opening_id uuid, p_until timestamp with time zone, p_until_on date) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_facts jsonb := '{}';
    o public.readings;
    v_from public.readings;
    v_point uuid;
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
                                   from (select x.code, sum(x.amount_minor)::bigint as minor
                                         from public.bill_lines x where x.bill_id = b.id group by 1) l))
                       order by b.period_end desc), '[]')
            from public.bills b where b.agreement_id = p_agreement_id and b.status <> 'void'),
            'opening_bank', private.opening_bank(p_agreement_id));
    end if;
    if exists (select 1 from public.intervals where meter_id = any (p_meters)) then
        v_facts := v_facts || jsonb_build_object('intervals', private.interval_days(p_meters, o.read_on, p_until_on));
    end if;
    select r.* into v_from from public.readings r where r.id = private.settled_from(p_agreement_id, p_opening_id);
    if found then
        select a.service_point_id into v_point from public.service_agreements a where a.id = p_agreement_id;
        v_facts := v_facts || jsonb_build_object('trued_up', jsonb_build_object(
            'opening', to_jsonb(v_from),
            'bills', (select jsonb_agg(jsonb_build_object(
                          'opening_reading_id', b.opening_reading_id, 'closing_reading_id', b.closing_reading_id,
                          'period_start', b.period_start, 'period_end', b.period_end, 'lines', b.lines) order by b.period_start)
                      from public.bills b
                      where b.agreement_id = p_agreement_id and b.status <> 'void'
                        and b.period_start >= v_from.read_on and b.period_end <= o.read_on),
            'installations', private.installations_between(v_point, v_from.read_at, p_until),
            'between', private.reads_between(v_point, v_from.id, p_until),
            'pricing', private.pricing_facts(
                p_agreement_id, p_meters, p_looks_back, v_from.id, p_until, p_until_on) - 'trued_up'));
    end if;
    return v_facts;
end $$;

-- A minimum per year is of the bills under its tariff: past bills say which tariff theirs was.

-- As before, and with the tariff of each past bill.
create or replace function private.pricing_facts(
    p_meter_id uuid, p_registers jsonb, p_looks_back boolean, p_opening_id uuid, p_until timestamptz, p_until_on date)
returns jsonb
language plpgsql stable set search_path = '' as $$
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
            from (select * from public.bills where meter_id = p_meter_id and status <> 'void'
                  order by period_end desc limit 60) b));
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

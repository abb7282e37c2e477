-- Meters that are billed already are passed over before their reads are looked for, as it was.

-- As before.
create or replace function public.monthly_bill_candidates(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_which text := case when nullif(p -> 'only', 'null') is null
        then $s$m.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
        else $s$m.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$ end;
    v_found jsonb;
begin
    -- Planned for each of the two ways: one plan for both would read all meters for either.
    execute format($q$
    with back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
    ), chosen as materialized (
        select m.id as meter_id, m.serial, m.tariff_id, m.dials, m.multiplier_milli, m.registers, m.connected_w,
               m.connected_va, to_jsonb(o) as opening, to_jsonb(k) as closing, o.read_at as opened_at, private.reissues(o.id) as reissue_no,
               o.id as opening_id, o.read_on as opened_on, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on
        from public.meters m
        cross join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.id = private.chain_tail(m.id)) o
        left join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers, r.rolled_over from public.readings r
            where r.meter_id = m.id and r.status = 'accepted'
              and r.read_at > o.read_at and r.read_on > o.read_on
              and r.read_on <= ($1 ->> 'month_end')::date
            order by r.read_at desc limit 1) k on true
        where m.status = 'active' and m.opened_on < ($1 ->> 'month_end')::date
          and %s
          -- Most meters of a repeated run end here, before their closing read is looked for.
          and not exists (
              select 1 from public.bills b
              where b.meter_id = m.id and b.status <> 'void'
                and b.period_end > ($1 ->> 'month_start')::date + coalesce(($1 ->> 'month_end_days')::integer, 0)
                and b.period_end <= ($1 ->> 'month_end')::date)
          -- A bill that ends at a read somewhat after the 1st is that of the month before.
          and (k.id is not null or not exists (
              select 1 from public.bills b
              where b.meter_id = m.id and b.status <> 'void' and b.period_end > ($1 ->> 'month_start')::date
                and b.period_end <= ($1 ->> 'month_start')::date + coalesce(($1 ->> 'month_end_days')::integer, 0)))
          -- Billed beyond the month already (by a later field read): nothing of the month is open.
          and o.read_on < ($1 ->> 'month_end')::date
        order by m.id
        limit ($1 ->> 'limit')::integer
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(
        to_jsonb(c) - array['opening_id', 'opened_on', 'opened_at', 'closing_id', 'closed_at', 'closed_on'] || jsonb_build_object(
            -- Within a month nothing is split; but a person may have said that a register rolled over.
            'between', case when c.closed_on - c.opened_on > 31 or private.rolled_over(c.meter_id, c.opened_at, c.closed_at)
                then private.reads_between(c.meter_id, c.opening_id, c.closed_at) else '[]' end,
            -- Most meters have nothing to ask for: the call would be the dearest part of their row.
            'pricing', case when c.closing_id is null or (
                    c.registers = '[]' and not b.looks_back
                    and not exists (select 1 from public.intervals i where i.meter_id = c.meter_id)) then '{}'
                else private.pricing_facts(
                    c.meter_id, c.registers, b.looks_back, c.opening_id, c.closed_at, c.closed_on) end)
        order by c.meter_id), '[]'))
    from chosen c join back b on b.id = c.tariff_id
    $q$, v_which) into v_found using p;
    return v_found;
end $$;

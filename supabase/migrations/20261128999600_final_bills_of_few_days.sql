-- The last days of an agreement are billed however few they are: no later bill takes them along.

create or replace function public.monthly_bill_candidates(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_which text := case when nullif(p -> 'only', 'null') is not null
        then $s$a.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$
        else $s$a.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
            || case when p ->> 'billing_day' is null then '' else $s$ and a.billing_day = ($1 ->> 'billing_day')::smallint$s$ end end;
    v_found jsonb;
begin
    -- Planned for each of the ways: one plan for all would read every agreement for each.
    execute format($q$
    with chosen as materialized (
        select a.id as agreement_id, a.service_point_id, a.billing_day, a.ends_on, c.ends_on as cycle_end, o.id as opening_id, o.read_on as opened_on, o.read_at as opened_at,
               to_jsonb(o) as opening, to_jsonb(k) as closing, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on,
               k.meter_id as closing_meter_id, private.reissues(o.id) as reissue_no
        from public.service_agreements a
        cross join lateral (
            select x.ends_on, (x.ends_on - interval '1 month')::date as starts_on
            from (select private.cycle_end(($1 ->> 'on')::date, a.billing_day) as ends_on) x) c
        cross join lateral (
            select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.id = private.chain_tail(a.id)) o
        left join lateral (
            select r.* from public.meter_installations i
            cross join lateral (
                select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, x.registers, x.rolled_over from public.readings x
                where x.meter_id = i.meter_id and x.status = 'accepted'
                  and x.read_at > greatest(o.read_at, i.installed_at) and x.read_on > o.read_on
                  and x.read_at <= coalesce(i.removed_at, 'infinity')
                  and x.read_on <= least(c.ends_on, coalesce(a.ends_on, 'infinity'))
                order by x.read_at desc limit 1) r
            where i.service_point_id = a.service_point_id and (i.removed_at is null or i.removed_at > o.read_at)
            order by r.read_at desc limit 1) k on true
        where a.starts_on < c.ends_on
          and %s
          -- What is billed to its end needs no more.
          and (a.ends_on is null or o.read_on < a.ends_on)
          -- Most of a repeated run end here, before their closing read is looked for.
          and not exists (
              select 1 from public.bills b
              where b.agreement_id = a.id and b.status <> 'void'
                and b.period_end > c.starts_on + coalesce(($1 ->> 'cycle_end_days')::integer, 0)
                and b.period_end <= c.ends_on)
          -- A bill that ends at a read somewhat after the billing day is that of the cycle before.
          and (k.id is not null or not exists (
              select 1 from public.bills b
              where b.agreement_id = a.id and b.status <> 'void' and b.period_end > c.starts_on
                and b.period_end <= c.starts_on + coalesce(($1 ->> 'cycle_end_days')::integer, 0)))
          -- Billed beyond the cycle already (by a later field read): nothing of it is open.
          and o.read_on < c.ends_on
        order by a.id
        limit ($1 ->> 'limit')::integer
    ), placed as materialized (
        -- With the meter that it closes at, or that is there; most places have had one.
        select c.*, m.id as meter_id, m.serial, m.dials, m.registers, i.multiplier_milli, s.connected_w, s.connected_va,
               i.installed_at > c.opened_at as exchanged, t.tariff_id, t.number as tariffs
        from chosen c
        join public.service_points s on s.id = c.service_point_id
        cross join lateral (
            select x.meter_id, x.multiplier_milli, x.installed_at from public.meter_installations x
            where x.service_point_id = c.service_point_id and (c.closing_id is null
                or (x.meter_id = c.closing_meter_id and x.installed_at < c.closed_at and c.closed_at <= coalesce(x.removed_at, 'infinity')))
            order by x.installed_at desc limit 1) i
        join public.meters m on m.id = i.meter_id
        cross join lateral (
            select count(*) as number, (array_agg(y.tariff_id order by y.starts_on desc))[1] as tariff_id
            from public.agreement_tariffs y where y.agreement_id = c.agreement_id) t
    ), back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
    )
    select jsonb_build_object('agreements', coalesce(jsonb_agg(
        to_jsonb(c) - array['opening_id', 'opened_on', 'opened_at', 'closing_id', 'closed_at', 'closed_on', 'service_point_id',
                            'closing_meter_id', 'exchanged', 'tariffs'] || jsonb_build_object(
            'spans', case when c.tariffs > 1 then private.spans_of(c.agreement_id) else '[]' end,
            'installations', case when c.exchanged
                then private.installations_between(c.service_point_id, c.opened_at, c.closed_at) else '[]' end,
            -- Within a month nothing is split; but a person may have said that a register rolled over.
            'between', case when c.exchanged or c.closed_on - c.opened_on > 31
                                 or private.rolled_over(c.service_point_id, c.opened_at, c.closed_at)
                then private.reads_between(c.service_point_id, c.opening_id, c.closed_at) else '[]' end,
            -- Most have nothing to ask for: the call would be the dearest part of their row.
            'pricing', case when c.closing_id is null or (
                    not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
                    and not exists (select 1 from public.intervals i where i.meter_id = c.meter_id)) then '{}'
                else private.pricing_facts(
                    c.agreement_id,
                    array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = c.service_point_id),
                    private.looks_back_along(c.agreement_id), c.opening_id, c.closed_at, c.closed_on) end)
        order by c.agreement_id), '[]'))
    from placed c join back b on b.id = c.tariff_id
    $q$, v_which) into v_found using p;
    return v_found;
end $_$;

comment on function public.monthly_bill_candidates is 'Agreements not billed yet for the cycle that last ended on or before a local date, each with the read it opens at and the latest accepted read it can close at, or null, and the meter of that: {on, billing_day?: of this cycle alone, cycle_end_days?, after?, limit, only?: [agreement ids]}. Where there is such a read, a bill that ends within cycle_end_days after the cycle''s start is of the one before.';

-- A meter that went to another place goes on measuring there: its intervals, and the highest demands read of it, counted
-- for the first place too.

drop function private.interval_days(uuid[], date, date);

create function private.interval_days(p_point uuid, p_from date, p_until date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_strip_nulls(jsonb_build_object(
        'days', coalesce(string_agg(i.day::text, ' ' order by i.day), ''),
        'minutes', coalesce(string_agg(i.minutes::text, ' ' order by i.day), ''),
        'sizes', coalesce(string_agg(cardinality(i.wh)::text, ' ' order by i.day), ''),
        'wh', coalesce(string_agg(array_to_string(i.wh, ' '), ' ' order by i.day), ''),
        'quality', case when count(i.quality) > 0 then string_agg(coalesce(array_to_string(i.quality, ' '), ''), ',' order by i.day) end))
    from (select distinct on (d.day, d.meter_id) d.day, d.minutes, d.wh, d.quality
          from public.meter_installations m
          join public.intervals d on d.meter_id = m.meter_id and d.day >= greatest(p_from, m.installed_on)
              and d.day < p_until and d.day <= coalesce(m.removed_on, 'infinity')
          where m.service_point_id = p_point and array_position(d.wh, null) is null
          order by d.day, d.meter_id, d.id desc) i
$$;

comment on function private.interval_days(uuid, date, date) is
    'The whole local days that meters measured at a service point from a date to before another, each as a text with spaces between: {days, minutes, sizes: how many intervals each day has, wh: of all of them in order of time, quality?: of each day its codes, with commas between the days}.';
revoke all on function private.interval_days(uuid, date, date) from public;
grant execute on function private.interval_days(uuid, date, date) to service_role;

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
    select a.service_point_id into v_point from public.service_agreements a where a.id = p_agreement_id;
    if exists (select 1 from public.meters m where m.id = any (p_meters) and m.registers <> '[]') then
        v_facts := jsonb_build_object(
            -- A register that came later, or was set anew, has its start in a read of that day and total.
            'opening_registers', (
                select coalesce(jsonb_object_agg(v.key, v.value order by r.created_at), '{}')
                from public.readings r cross join lateral jsonb_each(r.registers) v
                where r.meter_id = o.meter_id and r.status = 'accepted' and r.read_on = o.read_on
                  and r.register_wh = o.register_wh),
            'between', (
                select coalesce(jsonb_agg(r.registers order by r.read_at), '[]')
                from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
                where i.service_point_id = v_point and r.status = 'accepted' and r.registers <> '{}'
                  and r.read_at > greatest(o.read_at, i.installed_at) and r.read_at < p_until
                  and r.read_at <= coalesce(i.removed_at, 'infinity')));
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
        v_facts := v_facts || jsonb_build_object('intervals', private.interval_days(v_point, o.read_on, p_until_on));
    end if;
    select r.* into v_from from public.readings r where r.id = private.settled_from(p_agreement_id, p_opening_id);
    if found then
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

create or replace function public.rebill_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    m public.meter_list;
    a public.service_agreements;
    v_since date;
    v_versions uuid[];
begin
    select * into a from public.service_agreements
    where id = coalesce((select b.agreement_id from public.bills b where b.id = (p ->> 'bill_id')::uuid), (p ->> 'agreement_id')::uuid);
    if not found then
        perform private.refuse('EB404', case when p ? 'bill_id' then 'No such bill.' else 'No such agreement.' end);
    end if;
    -- The meter of the bill; else the last that the agreement had.
    select * into m from public.meter_list
    where id = coalesce(
        (select b.meter_id from public.bills b where b.id = (p ->> 'bill_id')::uuid),
        (select i.meter_id from public.meter_installations i
         where i.service_point_id = a.service_point_id and i.installed_on < coalesce(a.ends_on, 'infinity')
         order by i.installed_at desc limit 1));
    v_versions := case when p ->> 'version_id' is not null then array[(p ->> 'version_id')::uuid]
        else (select coalesce(array_agg(n.replaces_id), '{}')
              from public.bills b
              join public.tariff_versions u on u.id = b.tariff_version_id
              join public.tariff_versions n on n.tariff_id = u.tariff_id and n.replaces_id is not null
              where b.agreement_id = a.id and b.status <> 'void') end;
    v_since := coalesce(
        (select coalesce(prior.period_start, b.period_start)
         from public.bills b
         left join public.bills prior on prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
         where b.id = (p ->> 'bill_id')::uuid),
        (select min(b.period_start) from public.bills b
         where b.agreement_id = a.id and b.status <> 'void' and private.is_priced_by(b, v_versions)),
        (select coalesce((select b.period_start from public.bills b
                          where b.agreement_id = a.id and b.status <> 'void' and b.period_end > (p ->> 'since')::date
                          order by b.period_end limit 1),
                         (select r.read_on from public.readings r where r.id = private.chain_tail(a.id)))
         where p ->> 'since' is not null),
        'infinity');
    -- What an actual read settles begins at the actual read before it.
    v_since := coalesce(
        (select max(b.period_start) from public.bills b join public.readings o on o.id = b.opening_reading_id
         where b.agreement_id = a.id and b.status <> 'void' and b.period_start <= v_since and private.is_actual(o.source)),
        (select min(b.period_start) from public.bills b
         where b.agreement_id = a.id and b.status <> 'void' and b.period_start <= v_since),
        v_since);
    return jsonb_build_object(
        'meter', to_jsonb(m) - 'search',
        'agreement_id', a.id, 'tail_id', private.chain_tail(a.id),
        'tail_reissues', private.reissues(private.chain_tail(a.id)),
        'reissues', (select coalesce(jsonb_object_agg(v.opening_reading_id, v.number), '{}')
                     from (select b.opening_reading_id, count(*) as number from public.bills b
                           where b.agreement_id = a.id and b.status = 'void' and b.period_start >= v_since group by 1) v),
        'starts_on', a.starts_on, 'ends_on', a.ends_on, 'billing_day', a.billing_day, 'spans', private.spans_of(a.id),
        'opening_bank', private.opening_bank(a.id),
        'installations', private.installations_between(a.service_point_id, '-infinity', 'infinity'),
        'balance_minor', coalesce((select x.balance_minor from public.accounts x
                                   where x.customer_id = a.customer_id and x.book = 'account'
                                     and x.currency = (select c.currency from public.customers c where c.id = a.customer_id)), 0),
        'bills', (select coalesce(jsonb_agg(to_jsonb(l) - 'search' || jsonb_build_object(
                             'reissues', private.reissues(b.opening_reading_id), 'tariff_id', v.tariff_id,
                             'priced_wrongly', private.is_priced_by(b, v_versions)) order by b.period_start), '[]')
                  from public.bills b
                  join public.bill_list l on l.id = b.id
                  join public.tariff_versions v on v.id = b.tariff_version_id
                  where b.agreement_id = a.id and b.status <> 'void'),
        'reads', (select coalesce(jsonb_agg(to_jsonb(r) order by r.read_at), '[]') from public.reading_list r
                  where r.status = 'accepted' and r.read_on >= v_since and r.id in (
                      select x.id from public.meter_installations i join public.readings x on x.meter_id = i.meter_id
                      where i.service_point_id = a.service_point_id and x.read_at >= i.installed_at
                        and (i.removed_at is null or x.read_at <= i.removed_at))),
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(t) order by t.code, t.effective_from), '[]') from public.tariff_version_list t
                    where t.tariff_id in (select y.tariff_id from public.agreement_tariffs y where y.agreement_id = a.id) or t.code = p ->> 'tariff_code' or t.tariff_id in (
                        select v.tariff_id from public.bills b join public.tariff_versions v on v.id = b.tariff_version_id
                        where b.agreement_id = a.id and b.status <> 'void')),
        'intervals', private.interval_days(a.service_point_id, v_since, 'infinity'));
end $$;

create or replace function public.monthly_bill_candidates(p jsonb) RETURNS json
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $_$
declare
    v_which text := case when nullif(p -> 'only', 'null') is not null
        then $s$a.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$
        else $s$a.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
            || case when p ->> 'until' is null then '' else $s$ and a.id <= ($1 ->> 'until')::uuid$s$ end
            || case when p ->> 'billing_day' is null then '' else $s$ and a.billing_day = ($1 ->> 'billing_day')::smallint$s$ end end;
    v_page uuid[];
begin
    -- Planned for each of the ways: one plan for all would read every agreement for each.
    execute format($q$ select array(
        select a.id from public.service_agreements a where %s order by a.id limit ($1 ->> 'limit')::integer) $q$, v_which)
    into v_page using p;
    return (
    with page as materialized (
        select a.id, a.service_point_id, a.billing_day, a.starts_on, a.ends_on, a.opening_reading_id,
               private.cycle_end((p ->> 'on')::date, a.billing_day) as cycle_end
        from unnest(v_page) x join public.service_agreements a on a.id = x
    ), chosen as materialized (
        select a.id as agreement_id, a.service_point_id, a.billing_day, a.ends_on, a.cycle_end, o.id as opening_id,
               o.read_on as opened_on, o.read_at as opened_at, o.source as opening_source,
               json_build_object('id', o.id, 'meter_id', o.meter_id, 'read_at', o.read_at, 'read_on', o.read_on,
                                 'register_wh', o.register_wh, 'registers', o.registers, 'source', o.source) as opening,
               to_json(k) as closing, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on,
               k.meter_id as closing_meter_id,
               (select count(*) from public.bills v where v.opening_reading_id = o.id and v.status = 'void') as reissue_no
        from page a
        -- The end of its chain. Billed for the cycle already, most of a repeated run end here.
        left join lateral (
            select b.closing_reading_id, b.period_end from public.bills b
            where b.agreement_id = a.id and b.status <> 'void' order by b.period_end desc limit 1) t on true
        join public.readings o on o.id = coalesce(t.closing_reading_id, a.opening_reading_id)
        left join lateral (
            select r.* from public.meter_installations i
            cross join lateral (
                select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, x.registers, x.rolled_over, x.source from public.readings x
                where x.meter_id = i.meter_id and x.status = 'accepted'
                  and x.read_at > greatest(o.read_at, i.installed_at) and x.read_on > o.read_on
                  and x.read_at <= coalesce(i.removed_at, 'infinity')
                  and x.read_on <= least(a.cycle_end, coalesce(a.ends_on, 'infinity'))
                order by x.read_at desc limit 1) r
            where i.service_point_id = a.service_point_id and (i.removed_at is null or i.removed_at > o.read_at)
            order by r.read_at desc limit 1) k on true
        where a.starts_on < a.cycle_end
          and coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date + coalesce((p ->> 'cycle_end_days')::integer, 0), true)
          -- What is billed to its end needs no more.
          and (a.ends_on is null or o.read_on < a.ends_on)
          -- Billed beyond the cycle already (by a later field read): nothing of it is open.
          and o.read_on < a.cycle_end
          -- A bill that ends at a read somewhat after the billing day is that of the cycle before.
          and (k.id is not null or coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date, true))
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
        where t.id in (select c.tariff_id from placed c)
    )
    select json_build_object(
        'next', case when cardinality(v_page) = (p ->> 'limit')::integer then v_page[cardinality(v_page)] end,
        'agreements', coalesce((select json_agg(
            json_build_object(
                'agreement_id', c.agreement_id, 'billing_day', c.billing_day, 'ends_on', c.ends_on, 'cycle_end', c.cycle_end,
                'opening', c.opening, 'closing', c.closing, 'reissue_no', c.reissue_no, 'meter_id', c.meter_id,
                'serial', c.serial, 'dials', c.dials, 'registers', c.registers, 'multiplier_milli', c.multiplier_milli,
                'connected_w', c.connected_w, 'connected_va', c.connected_va, 'tariff_id', c.tariff_id,
                'spans', case when c.tariffs > 1 then private.spans_of(c.agreement_id) else '[]' end,
                'installations', case when c.exchanged
                    then private.installations_between(c.service_point_id, c.opened_at, c.closed_at) else '[]' end,
                -- Within a month nothing is split; but a person may have said that a register rolled over.
                'between', case when c.exchanged or c.closed_on - c.opened_on > 31
                                     or exists (select 1 from public.meter_installations i
                                                join public.readings r on r.meter_id = i.meter_id and r.rolled_over and r.status = 'accepted'
                                                where i.service_point_id = c.service_point_id
                                                  and r.read_at > c.opened_at and r.read_at < c.closed_at)
                    then private.reads_between(c.service_point_id, c.opening_id, c.closed_at) else '[]' end,
                -- Most have nothing to ask for, or intervals alone: the call would be the dearest part of their row.
                'pricing', case when c.closing_id is null then '{}'
                    when private.is_actual(c.opening_source) and not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
                    then case when exists (select 1 from public.intervals i where i.meter_id = c.meter_id)
                         then jsonb_build_object('intervals', private.interval_days(c.service_point_id, c.opened_on, c.closed_on)) else '{}' end
                    else private.pricing_facts(
                        c.agreement_id,
                        array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = c.service_point_id),
                        private.looks_back_along(c.agreement_id), c.opening_id, c.closed_at, c.closed_on) end)
            order by c.agreement_id)
        from placed c join back b on b.id = c.tariff_id), '[]')));
end $_$;

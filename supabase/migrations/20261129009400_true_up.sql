-- An actual read settles the bills that estimates closed: what pricing needs for that, and bills of negative use.

create or replace function private.reads_between(p_point_id uuid, p_opening_id uuid, p_until timestamp with time zone) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', r.id, 'meter_id', r.meter_id, 'read_at', r.read_at, 'read_on', r.read_on, 'register_wh', r.register_wh,
               'registers', r.registers, 'rolled_over', r.rolled_over, 'source', r.source, 'reissues', private.reissues(r.id)) order by r.read_at), '[]')
    from public.meter_installations i
    join public.readings r on r.meter_id = i.meter_id and r.status = 'accepted'
    where i.service_point_id = p_point_id
      -- A bill ends where a meter was removed, not where the next one was installed.
      and r.read_at > i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
      and r.read_at < p_until and r.read_at > (select o.read_at from public.readings o where o.id = p_opening_id)
$$;

create function private.settled_from(p_agreement_id uuid, p_opening_id uuid) returns uuid
    language sql stable set search_path = '' as $$
    -- Where a bill opens at no actual read: the last actual one that a bill before it opens at, else the first.
    with recursive back as (
        select b.opening_reading_id, b.period_start, o.source
        from public.bills b join public.readings o on o.id = b.opening_reading_id
        where b.agreement_id = p_agreement_id and b.closing_reading_id = p_opening_id and b.status <> 'void'
          and not private.is_actual((select r.source from public.readings r where r.id = p_opening_id))
        union all
        select b.opening_reading_id, b.period_start, o.source
        from back k
        join public.bills b on b.agreement_id = p_agreement_id and b.closing_reading_id = k.opening_reading_id and b.status <> 'void'
        join public.readings o on o.id = b.opening_reading_id
        where not private.is_actual(k.source)
    )
    select k.opening_reading_id from back k order by k.period_start limit 1
$$;
comment on function private.settled_from(uuid, uuid) is
    'Of an agreement, and a read at which a bill opens: the read from which an actual read after it settles what was billed. Null where it is an actual one, or nothing was billed before.';
revoke all on function private.settled_from(uuid, uuid) from public;
grant execute on function private.settled_from(uuid, uuid) to service_role;

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
                                   from (select x ->> 'code' as code, sum((x ->> 'amount_minor')::bigint)::bigint as minor
                                         from jsonb_array_elements(b.lines) x group by 1) l))
                       order by b.period_end desc), '[]')
            from public.bills b where b.agreement_id = p_agreement_id and b.status <> 'void'));
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

comment on function private.pricing_facts(uuid, uuid[], boolean, uuid, timestamptz, date) is
    'What pricing a bill of an agreement needs beside its reads, {} for most: {opening_registers, between: registers of the reads in between; past: its bills, the last first, where the tariff looks back; intervals: [{day, minutes, wh}] of the period, where its meters have any; trued_up: {opening: the last actual read, bills since then, installations, between, pricing} where it opens at an estimate or a customer''s reading}.';

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
            select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers, r.source from public.readings r
            where r.id = private.chain_tail(a.id)) o
        left join lateral (
            select r.* from public.meter_installations i
            cross join lateral (
                select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, x.registers, x.rolled_over, x.source from public.readings x
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
                    private.is_actual(c.opening ->> 'source') and not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
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
        'intervals', private.interval_days(array(
            select i.meter_id from public.meter_installations i where i.service_point_id = a.service_point_id), v_since, 'infinity'));
end $$;

create or replace function private.replace_reading(p jsonb, p_point_id uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.readings;
    v_right jsonb := nullif(p #> '{reading,right}', 'null'::jsonb);
begin
    select * into r from public.readings
    where id = (p #>> '{reading,id}')::uuid and status = 'accepted'
      and meter_id in (select i.meter_id from public.meter_installations i where i.service_point_id = p_point_id) for update;
    if not found then
        perform private.refuse('EB001', 'This reading was corrected meanwhile.');
    elsif v_right is null and (
        r.is_opening
        or exists (select 1 from public.meter_installations where closing_reading_id = r.id)
        or exists (select 1 from public.service_agreements where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.disconnections where r.id in (disconnect_reading_id, reconnect_reading_id) and not withdrawn)) then
        perform private.refuse('EB005', 'A read at which a meter came or went, or somebody moved or was disconnected, can be corrected, not withdrawn.');
    end if;
    if v_right is not null and (v_right ->> 'read_on')::date <> r.read_on and (
        r.is_opening
        or exists (select 1 from public.meter_installations where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.service_agreements where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.disconnections where r.id in (disconnect_reading_id, reconnect_reading_id) and not withdrawn)) then
        perform private.refuse('EB005', 'A read at which a meter came or went, or somebody moved or was disconnected, keeps its date.');
    end if;
    if v_right is not null then
        update public.meter_installations set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.meter_installations set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
        update public.service_agreements set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.service_agreements set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
        update public.disconnections set disconnect_reading_id = (v_right ->> 'id')::uuid where disconnect_reading_id = r.id;
        update public.disconnections set reconnect_reading_id = (v_right ->> 'id')::uuid where reconnect_reading_id = r.id;
    end if;
    update public.readings
    set status = case when v_right is null then 'rejected' else 'superseded' end, is_opening = false,
        decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason'
    where id = r.id;
    if v_right is not null then
        perform private.insert_reading(v_right || jsonb_build_object(
            'meter_id', r.meter_id, 'read_at', coalesce((v_right ->> 'read_at')::timestamptz, r.read_at),
            'read_on', coalesce((v_right ->> 'read_on')::date, r.read_on), 
            -- Whoever corrects an estimate says what the meter showed.
            'source', case r.source when 'estimated' then 'field' else r.source end, 'status', 'accepted',
            'is_opening', r.is_opening, 'submitted_by', p ->> 'actor', 'supersedes_id', r.id, 'decided_by', p ->> 'actor',
            'decided_at', now(), 'decision_reason', p ->> 'reason'));
    end if;
end $$;

create or replace function private.check_new_bills() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
           or (p.wh <> (
                (c.register_wh - o.register_wh + private.register_span_wh(m.dials))
                    % private.register_span_wh(m.dials) * p.multiplier_milli + 500) / 1000
               -- A register that was estimated too high falls: the use is negative, a half away from zero.
               and not (o.id = p.opens_at and not private.is_actual(o.source) and private.is_actual(c.source)
                        and c.register_wh < o.register_wh
                        and -p.wh = ((o.register_wh - c.register_wh) * p.multiplier_milli + 500) / 1000))
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

-- Where a bill opens at an estimate that was too high its use is negative; private.check_new_bills allows no other.
alter table public.bills drop constraint bills_consumption_wh_check;

create or replace function private.pay_again(p_paid jsonb, p_after bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v jsonb;
    v_debit uuid;
    v_open bigint;
begin
    for v in select x from jsonb_array_elements(p_paid) x loop
        -- A bill in credit that became void itself pays nothing any more.
        continue when exists (select 1 from public.ledger_entries u where u.undoes_id = (v ->> 'credit')::uuid);
        select o.entry_id, least(o.open_minor, (v ->> 'amount')::bigint) into v_debit, v_open
        from public.open_items o join public.ledger_entries e on e.id = o.entry_id
        where e.bill_id = (v ->> 'bill')::uuid and e.kind = 'bill';
        continue when v_open is null or v_open <= 0;
        -- The oldest debt may have taken it first, as any credit: what this voided bill had comes back to the new one.
        perform private.allocate((
            with pairs as (
                select a.debit_entry_id as debit, sum(a.amount_minor)::bigint as amount, max(a.id) as last
                from public.allocations a
                join public.ledger_entries e on e.id = a.debit_entry_id
                where a.credit_entry_id = (v ->> 'credit')::uuid and a.id > p_after
                  and coalesce(e.bill_id::text, '') <> all (select y ->> 'bill' from jsonb_array_elements(p_paid) y)
                group by 1 having sum(a.amount_minor) > 0
            ), counted as (
                select p.*, sum(p.amount) over (order by p.last desc) - p.amount as before from pairs p
            )
            select jsonb_agg(jsonb_build_object('credit', v ->> 'credit', 'debit', c.debit,
                                                'amount', -least(c.amount, v_open - c.before)))
            from counted c where c.before < v_open));
        select least(v_open, -o.open_minor) into v_open from public.open_items o where o.entry_id = (v ->> 'credit')::uuid;
        continue when v_open <= 0;
        perform private.allocate(jsonb_build_array(jsonb_build_object(
            'credit', v ->> 'credit', 'debit', v_debit, 'amount', v_open)));
    end loop;
end $$;

create or replace function public.reading_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
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
    v_actual public.readings;
    v_tariff uuid;
    v_since timestamptz;
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
    v_since := greatest(i.installed_at, v_last.read_at - interval '400 days');
    if not private.is_actual(v_last.source) then
        select * into v_actual from public.readings
        where meter_id = v_meter.id and status = 'accepted' and read_at < v_at and read_at >= i.installed_at
          and private.is_actual(source)
        order by read_at desc limit 1;
    end if;
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
        'billing_day', coalesce(a.billing_day, 1),
        'opening', private.reading_json(v_tail),
        'reissue_no', private.reissues(v_tail),
        'installations', private.installations_between(
            s.id, (select o.read_at from public.readings o where o.id = v_tail), v_at),
        'last_read', private.reading_json(v_last.id),
        'last_actual', private.reading_json(v_actual.id),
        'next_read', (select private.reading_json(r.id) from public.readings r
                      where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_at > v_at
                        and (i.removed_at is null or r.read_at <= i.removed_at)
                      order by r.read_at limit 1),
        'history', (select coalesce(jsonb_agg(jsonb_build_object(
                               'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers)
                               order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = v_meter.id and h.status = 'accepted' and h.source <> 'estimated'
                      and h.read_at <= v_last.read_at and h.read_at >= i.installed_at and h.read_at > v_last.read_at - interval '400 days'),
        'class_use', case when v_tariff is not null and not exists (
                              select 1 from public.readings h
                              where h.meter_id = v_meter.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                                and h.read_at >= i.installed_at
                                and h.read_at > v_last.read_at - interval '400 days' and h.read_on <> v_last.read_on)
                          then private.class_use(v_tariff) end,
        'waiting', (select coalesce(jsonb_agg(jsonb_build_object(
                               'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers)
                               order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = v_meter.id and h.status = 'needs_review' and h.read_at < v_at and h.read_at > v_since),
        'peers', case when v_last.read_at - v_since > interval '80 days'
                      then private.peer_moves(v_meter.id, s.transformer_id, v_tariff, v_on) else '[]' end,
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_on = v_on),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'between', private.reads_between(s.id, v_tail, v_at),
        'pricing', private.pricing_facts(
            a.id, array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = s.id),
            private.looks_back_along(a.id), v_tail, v_at, v_on));
end $$;

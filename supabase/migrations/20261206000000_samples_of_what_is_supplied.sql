-- Samples of those that are supplied now ------------------------------------------------------------------------------------
-- Ids begin with a time, so that the first ones are the oldest. A read was judged beside the first 61 on its tariff, of whom more
-- have left with each year, and limits were tried on the first 500 meters.

create function private.sample_on_tariff(p_tariff uuid, p_on date, p_most integer) returns setof uuid
    language sql stable
    set search_path = ''
    set enable_hashjoin = 'off'
    set enable_mergejoin = 'off'
    as $$
    -- The first ones by their hash are a sample. Where nearly all have left, fewer are found rather than all looked through.
    select t.agreement_id
    from (select x.agreement_id, x.starts_on from public.agreement_tariffs x where x.tariff_id = p_tariff
          order by uuid_hash(x.agreement_id) limit 10 * p_most) t
    join public.service_agreements a on a.id = t.agreement_id and (a.ends_on is null or a.ends_on > p_on)
    where (t.starts_on <= p_on) is not false
      and not exists (select 1 from public.agreement_tariffs n
                      where n.agreement_id = t.agreement_id and n.starts_on > t.starts_on and (n.starts_on <= p_on) is not false)
    limit p_most
$$;

comment on function private.sample_on_tariff(p_tariff uuid, p_on date, p_most integer) is 'A sample of at most so many agreements that are on a tariff on a local date; without one, of those that have no end.';

revoke all on function private.sample_on_tariff(p_tariff uuid, p_on date, p_most integer) from public;
grant all on function private.sample_on_tariff(p_tariff uuid, p_on date, p_most integer) to service_role;

create or replace function private.group_uses(p_transformer uuid, p_tariff uuid, p_on date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- Each of up to 61 meters costs up to nine steps in an index.
    select coalesce(jsonb_agg(jsonb_build_object('meter_id', member.meter_id, 'daily_wh', u.daily_wh, 'doubted', d.doubted)), '[]')
    from ((select i.meter_id, i.installed_at
           from public.service_points s
           join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
           where s.transformer_id = p_transformer order by s.id limit 61)
          union all
          (select i.meter_id, i.installed_at
           from private.sample_on_tariff(p_tariff, p_on, 61) m (agreement_id)
           join public.service_agreements a on p_transformer is null and a.id = m.agreement_id
           join public.meter_installations i on i.service_point_id = a.service_point_id and i.removed_at is null)) member
    cross join lateral (select 10::bigint ^ (m.dials + 3) as capacity from public.meters m where m.id = member.meter_id) k
    cross join lateral (select r.read_at, r.read_on, r.register_wh, r.status = 'needs_review' as doubted from public.readings r
                        where r.meter_id = member.meter_id and r.status in ('accepted', 'needs_review') and r.read_on <= p_on
                          and r.read_at < p_on + interval '2 days' and r.read_on >= p_on - 10 and r.read_at > member.installed_at
                          and r.source <> 'estimated'
                        order by r.read_at desc limit 1) d
    cross join lateral (
        -- Back from one read to the one about a month before it.
        with recursive walk as (
            select d.read_at, d.read_on, d.register_wh, 0 as back, null::bigint as daily_wh, false as fell
            union all
            select e.read_at, e.read_on, e.register_wh, w.back + 1,
                   (((w.register_wh - e.register_wh + k.capacity)::bigint % k.capacity::bigint) / (w.read_on - e.read_on))::bigint,
                   w.register_wh < e.register_wh and 2 * (w.register_wh - e.register_wh + k.capacity) > k.capacity
            from walk w
            cross join lateral (select r.read_at, r.read_on, r.register_wh from public.readings r
                                where r.meter_id = member.meter_id and r.status = 'accepted' and r.read_at >= member.installed_at
                                  and r.source <> 'estimated' and r.read_at < w.read_at - interval '19 days'
                                  and r.read_at >= d.read_at - interval '250 days'
                                order by r.read_at desc limit 1) e
            where w.back < 8 and not w.fell and w.read_on > e.read_on)
        select jsonb_agg(w.daily_wh order by w.back desc) as daily_wh, count(*) as periods
        from walk w where w.back > 0 and not w.fell) u
    where u.periods > 1
$$;

COMMENT ON FUNCTION private.group_uses(p_transformer uuid, p_tariff uuid, p_on date) IS 'What up to 61 meters of a transformer, or a sample of those on a tariff where that is null, used a day in up to eight periods of about a month, the newest last, up to a read near a local date: [{meter_id, daily_wh: before the multiplier, doubted: whether that read waits for review}].';

create or replace function public.similar_use(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with near as (
        (select a.id from (select s.id from public.service_points s
                           where s.route = p ->> 'route' and p ->> 'route' <> '' limit (p ->> 'most')::integer) s
         join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null)
        union all
        (select x from private.sample_on_tariff((p ->> 'tariff_id')::uuid, null, (p ->> 'most')::integer) x
         where p ->> 'route' = '')
    ), homes as (
        select distinct n.id from near n
        join public.service_agreements a on a.id = n.id and a.ends_on is null
        cross join lateral (select x.tariff_id from public.agreement_tariffs x where x.agreement_id = n.id order by x.starts_on desc limit 1) t
        where t.tariff_id = (p ->> 'tariff_id')::uuid
    ), used as (
        select h.id, m.month::date as month,
               sum(b.consumption_wh * o.days / (b.period_end - b.period_start)) as wh, sum(o.days) as days
        from homes h
        join public.bills b on b.agreement_id = h.id and b.period_end > (p ->> 'since')::date and b.status = 'issued'
        cross join lateral generate_series(date_trunc('month', b.period_start::timestamp),
                                           b.period_end::timestamp - interval '1 day', interval '1 month') m (month)
        cross join lateral (select least(b.period_end, (m.month + interval '1 month')::date) - greatest(b.period_start, m.month::date) as days) o
        group by h.id, m.month
    ), whole as (
        -- A month of which hardly a day is missing.
        select u.month, u.wh from used u
        where u.days >= (u.month + interval '1 month')::date - u.month - 3
    )
    select jsonb_build_object('months', coalesce(jsonb_agg(jsonb_build_object('month', g.month, 'homes', g.homes, 'median_wh', g.median_wh) order by g.month), '[]'))
    from (select w.month, count(*) as homes, percentile_disc(0.5) within group (order by w.wh)::bigint as median_wh
          from whole w where w.month >= (p ->> 'since')::date group by w.month
          having count(*) > (p ->> 'least')::integer) g
$$;

create index meters_by_hash on public.meters (uuid_hash(id));
comment on index public.meters_by_hash is 'The first ones are a sample of all.';

create function public.meter_sample(p jsonb) returns jsonb
    language sql stable
    set search_path = ''
    as $$
    select jsonb_build_object('serials', coalesce(jsonb_agg(m.serial), '[]'))
    from (select x.serial from public.meters x order by uuid_hash(x.id) limit (p ->> 'limit')::integer) m
$$;

comment on function public.meter_sample(p jsonb) is 'The serials of a sample of the meters, the same ones as long as none is added: {limit} -> {serials}.';

revoke all on function public.meter_sample(p jsonb) from public;
grant all on function public.meter_sample(p jsonb) to service_role;

-- The demo alone had ids made from a meter's.
create or replace function public.import_meters(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', case
               when x.service_point is not null and (s.id is null or taken.why is not null) then 'service_point'
               when x.account_no <> '' and c.id is null then 'account_no'
               when x.account_no <> '' and t.id is null or coalesce(c.currency, t.currency) <> t.currency then 'tariff_code'
               when x.transformer_code <> '' and g.id is null then 'transformer_code'
               when m.id is null then 'opened_on'
               when x.service_point is not null and n.service_point_id <> s.id then 'service_point'
               else 'serial' end, 'message', case
               when x.service_point is not null and s.id is null then format(
                   'No service point has the code %s: import it first, or leave the cell empty.', x.service_point)
               when taken.why is not null then taken.why
               when x.account_no <> '' and c.id is null then format('No customer has the account number %s.', x.account_no)
               when x.account_no <> '' and t.id is null then format('No tariff has the code %s.', x.tariff_code)
               when coalesce(c.currency, t.currency) <> t.currency then format(
                   'Tariff %s is in %s, account %s in %s.', x.tariff_code, t.currency, x.account_no, c.currency)
               when x.transformer_code <> '' and g.id is null then format(
                   'No transformer has the code %s.', x.transformer_code)
               when m.id is null then format(
                   'No version of tariff %s is in force on %s, where billing would begin.', x.tariff_code, x.opened_on)
               when x.service_point is not null and n.service_point_id <> s.id then format(
                   'Meter %s is installed at another service point.', x.serial)
               else format('Meter %s is already connected with other details.', x.serial) end) order by x."row")
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x(
        "row" integer, serial text, account_no text, tariff_code text, kind text, dials smallint,
        multiplier_milli integer, opened_on date, opening_wh bigint, transformer_code text, service_point text)
    left join public.service_points s on s.code = x.service_point
    left join public.customers c on c.account_no = x.account_no
    left join public.tariffs t on t.code = x.tariff_code
    left join public.transformers g on g.code = x.transformer_code
    left join public.meters m on m.serial = x.serial
    left join public.meter_installations n on n.meter_id = m.id and n.removed_at is null
    left join public.readings r on r.id = n.opening_reading_id
    left join lateral (
        select format('Meter %s is installed at %s: exchange it on the page of the service point.', k.serial, s.code) as why
        from public.meter_installations i join public.meters k on k.id = i.meter_id
        where m.id is null and i.service_point_id = s.id and coalesce(i.removed_on, 'infinity') > x.opened_on
        union all
        select format('Account %s is supplied at %s: install the meter on the page of the service point.', k.account_no, s.code)
        from public.service_agreements a join public.customers k on k.id = a.customer_id
        where m.id is null and a.service_point_id = s.id and coalesce(a.ends_on, 'infinity') > x.opened_on
        limit 1) taken on true
    where (x.account_no <> '' and (c.id is null or t.id is null)) or coalesce(c.currency, t.currency) <> t.currency
       or (x.service_point is not null and (s.id is null or n.service_point_id <> s.id)) or taken.why is not null
       or (x.transformer_code <> '' and g.id is null)
       or (m.id is null and x.account_no <> '' and not exists (
               select 1 from public.tariff_versions v where v.tariff_id = t.id and v.effective_from <= x.opened_on))
       or (m.id is not null and ((m.kind, m.dials, n.multiplier_milli, n.installed_on, r.register_wh)
               is distinct from (x.kind, x.dials, x.multiplier_milli, x.opened_on, x.opening_wh)
           -- Who moved in later, and on which tariff, is no contradiction: a file that was imported is harmless for ever.
           or (x.account_no <> '' and not exists (
                   select 1 from public.service_agreements a join public.agreement_tariffs y on y.agreement_id = a.id
                   where a.service_point_id = n.service_point_id and a.customer_id = c.id and y.tariff_id = t.id
                     and coalesce(a.ends_on, 'infinity') > n.installed_on))
           or (x.account_no = '' and exists (
                   select 1 from public.service_agreements a
                   where a.service_point_id = n.service_point_id and a.starts_on <= n.installed_on
                     and coalesce(a.ends_on, 'infinity') > n.installed_on))));
    if v_errors is null then
        v_errors := private.register_problems(p -> 'rows');
    end if;
    if v_errors is null then
        select jsonb_agg(jsonb_build_object('row', y.last_row, 'column', 'tariff_code', 'message', format(
                   'Account %s would have tariffs in different currencies.', y.account_no)))
        into v_errors
        from (select x.account_no, max(x."row") as last_row
              from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, tariff_code text)
              join public.tariffs t on t.code = x.tariff_code
              group by x.account_no having count(distinct t.currency) > 1) y;
    end if;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        update public.customers c set currency = t.currency
        from jsonb_to_recordset(p -> 'rows') as x(account_no text, tariff_code text)
        join public.tariffs t on t.code = x.tariff_code
        where c.account_no = x.account_no and c.currency is null;
        with known as materialized (
            select k.id, i.service_point_id, coalesce(x.registers, k.registers) as registers,
                   coalesce(x.connected_w, s.connected_w) as connected_w,
                   coalesce(x.connected_va, s.connected_va) as connected_va,
                   case when x.transformer_code is null then s.transformer_id else g.id end as transformer_id
            from jsonb_to_recordset(p -> 'rows') as x(
                serial text, transformer_code text, registers jsonb, connected_w integer, connected_va integer)
            join public.meters k on k.serial = x.serial
            join public.meter_installations i on i.meter_id = k.id and i.removed_at is null
            join public.service_points s on s.id = i.service_point_id
            left join public.transformers g on g.code = x.transformer_code
        ), of_meters as (
            update public.meters m set registers = n.registers
            from known n where m.id = n.id and m.registers is distinct from n.registers
            returning m.id
        ), of_points as (
            update public.service_points s
            set transformer_id = n.transformer_id, connected_w = n.connected_w, connected_va = n.connected_va
            from known n
            where s.id = n.service_point_id
              and (s.transformer_id, s.connected_w, s.connected_va)
                  is distinct from (n.transformer_id, n.connected_w, n.connected_va)
            returning n.id
        )
        select count(*) into v_changed from (select id from of_meters union select id from of_points) z;
        with added as (
            insert into public.meters (id, serial, kind, dials, registers)
            select coalesce(x.id, private.ordered_id()), x.serial, x.kind, x.dials, coalesce(x.registers, '[]')
            from jsonb_to_recordset(p -> 'rows') as x(id uuid, serial text, kind text, dials smallint, registers jsonb)
            on conflict do nothing
            returning id, serial
        ), placed as materialized (
            select x.*, added.id, private.ordered_id() as opening_reading_id, private.ordered_id() as agreement_id,
                   coalesce(s.id, private.ordered_id()) as point_id, c.id as customer_id, c.address, t.id as tariff_id, g.id as transformer_id,
                   s.id as place_id
            from added
            join jsonb_to_recordset(p -> 'rows') as x(
                "row" integer, serial text, account_no text, tariff_code text, multiplier_milli integer,
                opened_on date, opened_at timestamptz, opening_wh bigint, opening_registers jsonb, transformer_code text,
                connected_w integer, connected_va integer, service_point text, opening_source text, opening_quality smallint) on x.serial = added.serial
            left join public.service_points s on s.code = x.service_point
            left join public.customers c on c.account_no = x.account_no
            left join public.tariffs t on t.code = x.tariff_code
            left join public.transformers g on g.code = x.transformer_code
            order by x."row"
        ), of_points as (
            -- Known by the serial of the meter that it came with, unless a place has that code.
            insert into public.service_points (id, code, address, transformer_id, connected_w, connected_va)
            select x.point_id, x.serial || case when s.id is null then '' else '/' || right(x.id::text, 8) end, coalesce(x.address, ''),
                   x.transformer_id, x.connected_w, x.connected_va
            from placed x left join public.service_points s on s.code = x.serial
            where x.place_id is null
        ), of_places as (
            update public.service_points s
            set transformer_id = case when x.transformer_code is null then s.transformer_id else x.transformer_id end,
                connected_w = coalesce(x.connected_w, s.connected_w), connected_va = coalesce(x.connected_va, s.connected_va)
            from placed x
            where s.id = x.place_id and (x.transformer_code is not null or x.connected_w is not null or x.connected_va is not null)
        ), of_reads as (
            insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, is_opening,
                                         submitted_by, registers, validation)
            select x.opening_reading_id, x.id, x.opened_at, x.opened_on, x.opening_wh, coalesce(x.opening_source, 'imported'), 'accepted', true,
                   p ->> 'actor', coalesce(x.opening_registers, '{}'),
                   jsonb_strip_nulls(jsonb_build_object('quality', x.opening_quality))
            from placed x
        ), of_installations as (
            insert into public.meter_installations (id, service_point_id, meter_id, installed_at, installed_on,
                                                    multiplier_milli, opening_reading_id)
            select private.ordered_id(), x.point_id, x.id, x.opened_at, x.opened_on, x.multiplier_milli,
                   x.opening_reading_id
            from placed x
        ), of_agreements as (
            insert into public.service_agreements (id, service_point_id, customer_id, starts_on, opening_reading_id)
            select x.agreement_id, x.point_id, x.customer_id, x.opened_on, x.opening_reading_id from placed x
            where x.customer_id is not null
        ), of_tariffs as (
            insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
            select private.ordered_id(), x.agreement_id, x.opened_on, x.tariff_id from placed x
            where x.customer_id is not null
        )
        select count(*) into v_added from added;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_meters(p jsonb) IS 'Connects meters, each at a known service point or one of its own and with the agreement of its customer, if it names one, with their opening read, or sets transformer, registers and connected load of known ones: {actor, dry_run, rows: [{row, id?, serial, account_no, tariff_code, kind, dials, multiplier_milli, opening_wh, opened_on, opened_at, service_point?, transformer_code?, registers?, opening_registers?, unopened?, periods?, connected_w?, connected_va?, opening_source?, opening_quality?: a code of ESPI}]}.';

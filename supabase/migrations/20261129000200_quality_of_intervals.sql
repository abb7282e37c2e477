-- Intervals say how sure they are, and a day may come in parts: a file's days need not be local ones.

alter table public.intervals add column quality smallint[];
alter table public.intervals drop constraint intervals_check;
alter table public.intervals add constraint intervals_check check (
    cardinality(wh) * minutes between 22 * 60 and 26 * 60 and array_remove(wh, null) <> '{}' and 0 <= all (wh));
alter table public.intervals add constraint intervals_quality_check check (
    (cardinality(quality) = 1 or cardinality(quality) = cardinality(wh)) and 0 <= all (quality) and 19 >= all (quality));
comment on column public.intervals.wh is
    'Wh after the multiplier in each interval of the day, in order of time; a day on which clocks change has an hour more or less. Null where no value came yet: such a day is billed once it is whole.';
comment on column public.intervals.quality is
    'How sure each interval is, as a code of ESPI (services/quantities/quality.py): one for each, or one for the whole day; null where nothing was said.';

create function private.interval_days(p_meters uuid[], p_from date, p_until date) returns jsonb
    language sql stable set search_path to '' as $$
    select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(i)) order by i.day), '[]')
    from (select distinct on (d.day, d.meter_id) d.day, d.minutes, d.wh, d.quality from public.intervals d
          where d.meter_id = any (p_meters) and d.day >= p_from and d.day < p_until and array_position(d.wh, null) is null
          order by d.day, d.meter_id, d.id desc) i
$$;
comment on function private.interval_days(uuid[], date, date) is
    'The whole local days of meters'' interval series from a date to before another: [{day, minutes, wh, quality?}].';
revoke all on function private.interval_days(uuid[], date, date) from public;
grant execute on function private.interval_days(uuid[], date, date) to service_role;

create function private.each_quality(p_quality smallint[], p_size integer) returns smallint[]
    language sql immutable set search_path to '' as $$
    select case when cardinality(p_quality) = p_size or p_size = 0 then p_quality
                else array_fill(p_quality[1], array[p_size]) end
$$;
comment on function private.each_quality(smallint[], integer) is
    'The quality of each of a day''s intervals, from one for each or one for all.';
revoke all on function private.each_quality(smallint[], integer) from public;
grant execute on function private.each_quality(smallint[], integer) to service_role;

create or replace function public.import_intervals(p jsonb) returns jsonb
    language plpgsql set search_path to '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', u."row", 'column', 'meter_serial', 'message',
               format('No meter has the serial %s.', u.meter_serial)) order by u."row")
    into v_errors
    from (select x.meter_serial, min(x."row") as "row"
          from jsonb_to_recordset(p -> 'rows') as x("row" integer, meter_serial text)
          where not exists (select 1 from public.meters m where m.serial = x.meter_serial)
          group by 1) u;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        -- Two imports of a day at once must not both add it.
        perform 1 from public.meters
        where serial in (select x ->> 'meter_serial' from jsonb_array_elements(p -> 'rows') x)
        order by id for no key update;
        with compared as materialized (
            select m.id as meter_id, x.day, x.minutes, v.wh, v.quality, s.id as stored,
                   (s.minutes, s.wh, private.each_quality(s.quality, cardinality(s.wh))) is distinct from
                   (x.minutes, v.wh, private.each_quality(v.quality, cardinality(v.wh))) as differs
            from jsonb_to_recordset(p -> 'rows') as x(meter_serial text, day date, minutes smallint, wh integer[], quality smallint[])
            join public.meters m on m.serial = x.meter_serial
            left join lateral (
                select i.id, i.minutes, i.wh, i.quality from public.intervals i
                where i.meter_id = m.id and i.day = x.day order by i.id desc limit 1) s on true
            -- What a part of a day has not is kept as it is stored.
            left join lateral (
                select array_agg(coalesce(n.wh, o.wh) order by n.place) as wh,
                       case when x.quality is not null or s.quality is not null
                            then array_agg(case when n.wh is not null then coalesce(n.quality, 0::smallint)
                                                when o.wh is not null then coalesce(o.quality, 0::smallint) end order by n.place) end as quality
                from unnest(x.wh, private.each_quality(x.quality, cardinality(x.wh))) with ordinality n(wh, quality, place)
                join unnest(s.wh, private.each_quality(s.quality, cardinality(s.wh))) with ordinality o(wh, quality, place) using (place)
                where array_position(x.wh, null) is not null and s.minutes = x.minutes and cardinality(s.wh) = cardinality(x.wh)
                having count(*) > 0) b on true
            -- A file that says nothing of the quality of what is stored leaves that too.
            cross join lateral (
                select coalesce(b.wh, x.wh) as wh,
                       case when b.wh is not null then b.quality
                            when x.quality is null and (s.minutes, s.wh) = (x.minutes, x.wh) then s.quality
                            else x.quality end as quality) v
        ), kept as (
            insert into public.intervals (meter_id, day, minutes, wh, quality, imported_by)
            select c.meter_id, c.day, c.minutes, c.wh, c.quality, p ->> 'actor' from compared c where c.differs
        )
        select count(*) filter (where stored is null), count(*) filter (where stored is not null and differs)
        into v_added, v_changed from compared;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;
comment on function public.import_intervals(p jsonb) is
    'Keeps days of interval series: {actor, dry_run, rows: [{row, meter_serial, day, minutes, wh: [...], quality?: [...]}]}. A day that is there with other values gets a new version; nulls in wh leave what is stored.';

create function private.interval_differences(p_most integer) returns jsonb
    language sql stable set search_path to '' as $$
    with written as (
        select m.serial, n.day, n.minutes, o.minutes as old_minutes, n.wh, o.wh as old_wh,
               (select count(*) from unnest(n.wh, o.wh) as v(new, old) where v.new is distinct from v.old) as values_changed
        from public.intervals n
        join public.meters m on m.id = n.meter_id
        join lateral (select i.minutes, i.wh from public.intervals i
                      where i.meter_id = n.meter_id and i.day = n.day and i.id < n.id order by i.id desc limit 1) o on true
        -- What this transaction wrote has its time.
        where n.created_at = now()
        order by m.serial, n.day limit p_most)
    select coalesce(jsonb_agg(jsonb_build_object(
        'of', 'intervals', 'name', format('%s, %s', w.serial, w.day), 'field', 'energy_kwh',
        'before', format('%s in %s of %s minutes', trim_scale((select sum(v) from unnest(w.old_wh) v) / 1000.0),
                         cardinality(array_remove(w.old_wh, null)), w.old_minutes),
        'after', format('%s in %s of %s minutes, %s', trim_scale((select sum(v) from unnest(w.wh) v) / 1000.0),
                        cardinality(array_remove(w.wh, null)), w.minutes,
                        case w.values_changed when 0 then 'of another quality' when 1 then '1 value differs'
                             else format('%s values differ', w.values_changed) end)) order by w.serial, w.day), '[]')
    from written w
$$;
comment on function private.interval_differences(integer) is
    'What an import of intervals in this transaction changed, day by day, at most so many: [{of, name, field, before, after}].';
revoke all on function private.interval_differences(integer) from public;
grant execute on function private.interval_differences(integer) to service_role;
-- An import is looked at without a walk through all intervals.
create index intervals_written on public.intervals using brin (created_at);

create or replace function private.import_differences(p_after bigint, p_most integer, p_what text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with written as (
        select a.id, a.action, a.table_name, a.before, a.after,
               case a.table_name
                   when 'customers' then (select c.account_no from public.customers c where c.id = a.row_id::uuid)
                   when 'meters' then (select m.serial from public.meters m where m.id = a.row_id::uuid)
                   when 'transformers' then (select t.code from public.transformers t where t.id = a.row_id::uuid)
                   when 'feeders' then (select f.code from public.feeders f where f.id = a.row_id::uuid)
                   when 'service_points' then case
                       when p_what = 'meters' then (
                           select min(m.serial) from public.meter_installations i join public.meters m on m.id = i.meter_id
                           where i.service_point_id = a.row_id::uuid and i.removed_at is null)
                       else (select s.code from public.service_points s where s.id = a.row_id::uuid) end
                   when 'service_agreements' then (
                       select format('%s, %s from %s', s.code, c.account_no, g.starts_on)
                       from public.service_agreements g
                       join public.service_points s on s.id = g.service_point_id
                       join public.customers c on c.id = g.customer_id where g.id = a.row_id::uuid)
                   when 'agreement_tariffs' then (
                       select format('%s, %s from %s', s.code, c.account_no, y.starts_on)
                       from public.agreement_tariffs y
                       join public.service_agreements g on g.id = y.agreement_id and g.created_at < now()
                       join public.service_points s on s.id = g.service_point_id
                       join public.customers c on c.id = g.customer_id where y.id = a.row_id::uuid)
                   end as name
        from public.audit_log a
        -- Others write too; what this transaction wrote has its time.
        where a.id > p_after and a.at = now()),
    fields as (
        select w.id, w.table_name, w.name, n.key, w.before -> n.key as before, n.value as after
        from written w, jsonb_each(w.after) n
        where w.name is not null and case w.action
            -- What a new place, account … holds is no difference; another tariff of a known agreement is.
            when 'update' then n.key <> 'closing_reading_id'
                 and not (w.table_name = 'service_points' and p_what = 'service_points' and exists (
                     select 1 from public.service_points s where s.code = w.name and s.created_at = now()))
            else w.table_name = 'agreement_tariffs' and n.key = 'tariff_id' end)
    select jsonb_build_object(
        'new_names', coalesce((select jsonb_agg(distinct w.name) from written w
                               where w.action = 'insert' and w.table_name in ('customers', 'meters', 'transformers', 'service_points')), '[]'),
        'differences', coalesce((
            select jsonb_agg(jsonb_build_object('of', f.table_name, 'name', f.name, 'field', f.key,
                                                'before', private.import_value(f.key, f.before),
                                                'after', private.import_value(f.key, f.after)) order by f.id, f.key)
            from (select * from fields order by id, key limit p_most) f), '[]'))
        || case when p_what = 'intervals' then jsonb_build_object('differences', private.interval_differences(p_most)) else '{}' end
$$;

create or replace function private.pricing_facts(p_agreement_id uuid, p_meters uuid[], p_looks_back boolean, p_opening_id uuid, p_until timestamp with time zone, p_until_on date) RETURNS jsonb
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
        v_facts := v_facts || jsonb_build_object('intervals', private.interval_days(p_meters, o.read_on, p_until_on));
    end if;
    return v_facts;
end $$;

COMMENT ON FUNCTION private.pricing_facts(p_agreement_id uuid, p_meters uuid[], p_looks_back boolean, p_opening_id uuid, p_until timestamp with time zone, p_until_on date) IS 'What pricing a bill of an agreement needs beside its reads, {} for most: {opening_registers, between: registers of the reads in between; past: its bills, the last first, where the tariff looks back; intervals: [{day, minutes, wh, quality}] of the period, where its meters have any}.';

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

create or replace view private.export_intervals with (security_invoker = true) as
select i.id, m.serial, i.day, i.minutes, i.wh, private.each_quality(i.quality, cardinality(i.wh)) as quality
from public.intervals i
join public.meters m on m.id = i.meter_id
-- A part of a day is in the archive alone: a table is taken back by whole days.
where array_position(i.wh, null) is null
  and not exists (select 1 from public.intervals n
                  where n.meter_id = i.meter_id and n.day = i.day and n.id > i.id and array_position(n.wh, null) is null);

create or replace view private.export_reads with (security_invoker = true) as
select m.id, m.serial,
       coalesce((select jsonb_agg(jsonb_build_object('read_at', x.read_at, 'register_wh', x.register_wh, 'registers', x.registers,
                                                     'quality', x.validation -> 'quality') order by x.read_at)
                 from public.readings x
                 where x.meter_id = m.id and x.read_at > m.read_at and x.read_on > m.read_on
                   and x.status in ('accepted', 'needs_review')), '[]') as reads
from private.export_meters m;

-- What answers a command finds its rows by indexes -----------------------------------------------------------------------------
-- The answer to a reading joined all installations and agreements to find those of its meter: a second, with a million meters.

create or replace function private.reading_answer(p_reading_id uuid, p_outcome text) returns jsonb
    language sql stable
    set search_path = ''
    as $$
    with made as (
        -- Of one transaction, which gives all its rows the same time.
        select distinct b.id, b.period_end
        from public.readings r
        join public.meter_installations i on i.meter_id = r.meter_id
        join public.service_agreements a on a.service_point_id = i.service_point_id
        join public.bills b on b.agreement_id = a.id and b.status <> 'void' and b.period_end <= r.read_on
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

-- Bills of one agreement or customer are found by it, never by their day: with "+ 0" no index by the day fits. What a run has just made
-- is not in the statistics yet, so that an index by the day seems to lead to one row; it leads to all bills of the month.

create or replace function private.check_agreement() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.lock_points(array[new.service_point_id]);
    if exists (select 1 from public.service_agreements x
               where x.id <> new.id and x.service_point_id = new.service_point_id
                 and x.starts_on < coalesce(new.ends_on, 'infinity')
                 and coalesce(x.ends_on, 'infinity') > new.starts_on) then
        raise exception using errcode = 'EB005', message = 'Somebody else has an agreement for this place at that time: end it first.';
    elsif new.ends_on is not null and exists (
        select 1 from public.bills b
        where b.agreement_id = new.id and b.status <> 'void' and b.period_end + 0 > new.ends_on) then
        raise exception using errcode = 'EB001', message = 'A bill of this agreement runs beyond that day: look at it again.';
    end if;
    return new;
end $$;

create or replace function public.undo_supply_change(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    c public.supply_changes;
begin
    perform private.set_actor(p);
    select * into c from public.supply_changes where id = (p ->> 'change_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such change.');
    end if;
    perform private.lock_points(array[c.service_point_id]);
    if exists (select 1 from public.supply_changes where id = v_id) then
        return (select to_jsonb(x) from public.supply_changes x where x.id = v_id);
    elsif exists (select 1 from public.supply_changes where undoes_id = c.id) then
        perform private.refuse('EB005', 'This was undone already.');
    elsif exists (select 1 from public.supply_changes x
                  where x.service_point_id = c.service_point_id and x.created_at > c.created_at and x.undoes_id is null
                    and not exists (select 1 from public.supply_changes u where u.undoes_id = x.id)) then
        perform private.refuse('EB005', 'Something else was changed at this place after it: undo that first.');
    end if;
    case c.kind
        when 'move_in' then
            perform private.undo_agreement(c.agreement_id);
        when 'connect' then
            perform private.undo_agreement(c.agreement_id);
            perform private.undo_installation(c.service_point_id, false, p ->> 'reason', p ->> 'actor');
        when 'exchange' then
            perform private.undo_installation(c.service_point_id, true, p ->> 'reason', p ->> 'actor');
        when 'multiplier' then
            perform private.undo_installation(c.service_point_id, true, p ->> 'reason', p ->> 'actor');
        when 'tariff' then
            if exists (select 1 from public.bills b
                       where b.agreement_id = c.agreement_id and b.status <> 'void' and b.period_end + 0 > c.effective_on) then
                perform private.refuse('EB005', 'A bill is priced by this tariff: change the tariff back from that day, which issues it again.');
            end if;
            perform private.undo_tariff(c);
        else
            perform private.refuse('EB005', 'This cannot be undone so.');
    end case;
    set constraints all immediate;
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, undoes_id, created_by)
    values (v_id, 'undo', c.service_point_id, (select a.id from public.service_agreements a where a.id = c.agreement_id),
            c.effective_on, p ->> 'reason', c.details || jsonb_build_object('undone', c.kind), c.id, p ->> 'actor');
    return (select to_jsonb(x) from public.supply_changes x where x.id = v_id);
end $$;

create or replace function public.billed_use(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('periods', coalesce(jsonb_agg(jsonb_build_object(
        'meter_id', m.id, 'meter_serial', m.serial, 'period_start', s.period_start, 'period_end', s.period_end,
        'consumption_wh', s.consumption_wh) order by m.serial, s.period_start), '[]'))
    from public.bills b
    cross join lateral (
        -- A bill of several meters says of each how much it measured, and between which reads.
        select (x ->> 'meter_id')::uuid as meter_id, o.read_on as period_start, c.read_on as period_end,
               (x ->> 'consumption_wh')::bigint as consumption_wh
        from jsonb_array_elements(b.segments) x
        join public.readings o on o.id = (x ->> 'opening_reading_id')::uuid
        join public.readings c on c.id = (x ->> 'closing_reading_id')::uuid
        where c.read_on > o.read_on
        union all
        select b.meter_id, b.period_start, b.period_end, b.consumption_wh where b.segments is null) s
    join public.meters m on m.id = s.meter_id
    where (p ->> 'meter_id' is null or s.meter_id = (p ->> 'meter_id')::uuid)
      and b.id = any (array(
        select k.id from public.bills k
        where k.customer_id = (p ->> 'customer_id')::uuid and k.period_end + 0 > (p ->> 'since')::date and k.status <> 'void'
        union all
        -- A meter is billed by the agreements of the places where it was.
        select k.id from public.bills k
        where k.agreement_id = any (array(
                select a.id from public.meter_installations i
                join public.service_agreements a on a.service_point_id = i.service_point_id
                where i.meter_id = (p ->> 'meter_id')::uuid))
          and k.period_end + 0 > (p ->> 'since')::date and k.status <> 'void'))
$$;

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
                          where b.agreement_id = a.id and b.status <> 'void' and b.period_end + 0 > (p ->> 'since')::date
                          order by b.period_end + 0 limit 1),
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
        join public.bills b on b.agreement_id = h.id and b.period_end + 0 > (p ->> 'since')::date and b.status = 'issued'
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

-- By default the statistics of a table are renewed when a tenth of it has changed, which at millions of bills is less than a month's.
alter table public.bills set (autovacuum_analyze_scale_factor = 0.01);
alter table public.readings set (autovacuum_analyze_scale_factor = 0.01);
alter table public.payments set (autovacuum_analyze_scale_factor = 0.01);
alter table public.ledger_entries set (autovacuum_analyze_scale_factor = 0.01);
alter table public.open_items set (autovacuum_analyze_scale_factor = 0.01);
alter table public.outbox set (autovacuum_analyze_scale_factor = 0.01);
alter table public.notifications set (autovacuum_analyze_scale_factor = 0.01);
alter table public.audit_log set (autovacuum_analyze_scale_factor = 0.01);

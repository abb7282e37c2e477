-- What net-metered customers had banked with another system: the bank that their first bill opens with.

alter table public.kwh_bank_entries alter column bill_id drop not null;
alter table public.kwh_bank_entries drop constraint kwh_bank_entries_check;
alter table public.kwh_bank_entries add constraint kwh_bank_entries_check check (case kind
    when 'opening' then wh > 0 and undoes_id is null and bill_id is null
    when 'added' then wh > 0 and undoes_id is null and bill_id is not null
    when 'used' then wh < 0 and undoes_id is null and bill_id is not null
    when 'settled' then wh < 0 and undoes_id is null and bill_id is not null
    when 'moved' then wh <> 0 and undoes_id is null and bill_id is not null
    when 'undone' then wh <> 0 and undoes_id is not null
    else false end);
comment on column public.kwh_bank_entries.kind is
    'opening: banked with another system before; added: exported beyond what was imported; used: taken for energy of this bill; settled: paid out, or lapsed; moved: from periods that the tariff has no more; undone: the bill became void.';
create unique index kwh_bank_openings on public.kwh_bank_entries (agreement_id, period) where kind = 'opening';

create or replace view public.kwh_bank_list with (security_invoker = true) as
select e.id, e.agreement_id, e.bill_id, b.number as bill_number, b.period_start, b.period_end, e.period, e.kind, e.wh,
       sum(e.wh) over (partition by e.agreement_id, e.period order by e.id)::bigint as balance_wh, e.created_at
from public.kwh_bank_entries e
left join public.bills b on b.id = e.bill_id;

create function private.opening_bank(p_agreement_id uuid) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_object_agg(e.period, e.wh), '{}') from public.kwh_bank_entries e
    where e.agreement_id = p_agreement_id and e.kind = 'opening'
$$;
comment on function private.opening_bank is 'The Wh that an agreement brought along, by bank; {} for most.';
revoke all on function private.opening_bank(uuid) from public, anon, authenticated;
grant execute on function private.opening_bank(uuid) to service_role;

create or replace function private.check_kwh_bank() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if exists (select 1 from public.kwh_bank_entries e where e.agreement_id = new.agreement_id
               group by e.period having sum(e.wh) < 0) then
        raise exception using errcode = 'EB005', message = 'More kWh would be taken from the bank than there are.';
    end if;
    -- Each bill begins with what the one before it left.
    if exists (
        with netted as (
            select b.usage #> '{net,banks}' as banks,
                   lag(b.usage #> '{net,banks}') over (order by b.period_start) as before
            from public.bills b
            where b.agreement_id = new.agreement_id and b.status <> 'void' and b.usage ? 'net')
        -- The first one begins with what the agreement brought along.
        select 1 from (
            select w.banks, coalesce(w.before, (
                       select jsonb_object_agg(o.key, jsonb_build_object('closing', o.value))
                       from jsonb_each(private.opening_bank(new.agreement_id)) o), '{}') as before
            from netted w) n
        cross join lateral (select jsonb_object_keys(n.banks || n.before) as period) k
        where coalesce((n.banks #>> array[k.period, 'opening'])::bigint, 0)
              <> coalesce((n.before #>> array[k.period, 'closing'])::bigint, 0)
    ) then
        raise exception using errcode = 'EB001', message = 'The bank of kWh changed meanwhile: the price must be computed again.';
    end if;
    return null;
end $$;

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
        'intervals', private.interval_days(array(
            select i.meter_id from public.meter_installations i where i.service_point_id = a.service_point_id), v_since, 'infinity'));
end $$;

create function private.opening_bank_problems(p_rows jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with said as (
        select m."row", m.id, x.opening_bank
        from private.match_agreements(p_rows) m
        join jsonb_to_recordset(p_rows) as x("row" integer, opening_bank jsonb) on x."row" = m."row"
        where x.opening_bank is not null)
    select jsonb_agg(jsonb_build_object('row', s."row", 'column', 'banked_kwh', 'message', case
               when k.bank <> '{}' then
                   'Another bank was brought in for this agreement, from which its bills go on.'
               else 'This agreement has bills under net metering already, which begin with an empty bank.' end) order by s."row")
    from said s
    cross join lateral (select private.opening_bank(s.id) as bank) k
    where k.bank <> s.opening_bank
      and (k.bank <> '{}' or exists (
          select 1 from public.bills b where b.agreement_id = s.id and b.status <> 'void' and b.usage ? 'net'))
$$;
comment on function private.opening_bank_problems is 'Rows of an import of agreements whose banked kWh cannot be brought in.';
revoke all on function private.opening_bank_problems(jsonb) from public, anon, authenticated;
grant execute on function private.opening_bank_problems(jsonb) to service_role;

create function private.bring_in_banks(p_rows jsonb, p_matched jsonb) returns integer[]
language sql set search_path = '' as $$
    with said as (
        select distinct on (m.id) m."row", m.id, x.opening_bank
        from jsonb_to_recordset(p_matched) as m("row" integer, id uuid)
        join jsonb_to_recordset(p_rows) as x("row" integer, opening_bank jsonb) on x."row" = m."row"
        where x.opening_bank is not null and private.opening_bank(m.id) = '{}'
        order by m.id, m."row"
    ), entered as (
        insert into public.kwh_bank_entries (agreement_id, period, kind, wh)
        select s.id, o.key, 'opening', o.value::bigint from said s cross join lateral jsonb_each_text(s.opening_bank) o
        order by s."row", o.key
        returning agreement_id
    )
    select coalesce(array_agg(s."row"), '{}') from said s where s.id in (select e.agreement_id from entered e)
$$;
comment on function private.bring_in_banks is 'Enters what agreements had banked with another system, once for each; the rows that did.';
revoke all on function private.bring_in_banks(jsonb, jsonb) from public, anon, authenticated;
grant execute on function private.bring_in_banks(jsonb, jsonb) to service_role;

create or replace function public.import_agreements(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_errors jsonb;
    v_matched jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_done integer[] := '{}';
    v_some integer[];
begin
    perform private.set_actor(p);
    perform private.lock_points(array(
        select s.id from public.service_points s
        where s.code in (select x ->> 'service_point' from jsonb_array_elements(p -> 'rows') x)));
    perform private.lock_customers(array(
        select c.id from public.customers c
        where c.account_no in (select x ->> 'account_no' from jsonb_array_elements(p -> 'rows') x)));
    v_errors := coalesce(private.agreement_problems(p -> 'rows'), private.opening_bank_problems(p -> 'rows'));
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        select jsonb_agg(to_jsonb(m)) into v_matched from private.match_agreements(p -> 'rows') m;
        update public.customers c set currency = m.tariff_currency
        from jsonb_to_recordset(v_matched) as m(customer_id uuid, tariff_currency text)
        where c.id = m.customer_id and c.currency is null;
        with ended as (
            update public.service_agreements a
            set ends_on = coalesce(a.ends_on, m.ends_on), billing_day = coalesce(m.billing_day, a.billing_day),
                closing_reading_id = coalesce(a.closing_reading_id, case when m.ends_on is not null then m.closing_reading_id end)
            from jsonb_to_recordset(v_matched) as m(
                "row" integer, known_id uuid, starts_on date, tariff_from date, ends_on date, closing_reading_id uuid, billing_day smallint)
            where a.id = m.known_id and m.tariff_from = m.starts_on
              and (m.ends_on is not null and a.ends_on is null or m.billing_day <> a.billing_day)
            returning m."row"
        )
        select coalesce(array_agg("row"), '{}') into v_done from ended;
        with added as (
            insert into public.service_agreements (
                id, service_point_id, customer_id, starts_on, ends_on, opening_reading_id, closing_reading_id, billing_day)
            select m.id, m.point_id, m.customer_id, m.starts_on, m.ends_on, m.opening_reading_id, m.closing_reading_id,
                   coalesce(m.billing_day, 1)
            from jsonb_to_recordset(v_matched) as m(
                id uuid, known_id uuid, point_id uuid, customer_id uuid, starts_on date, tariff_from date, ends_on date,
                opening_reading_id uuid, closing_reading_id uuid, billing_day smallint)
            where m.known_id is null and m.tariff_from = m.starts_on
            order by m.starts_on
            returning 1
        )
        select count(*) into v_added from added;
        with wanted as (
            select m."row", m.id, m.tariff_from, m.tariff_id, m.known_id is null and m.tariff_from = m.starts_on as is_new
            from jsonb_to_recordset(v_matched) as m("row" integer, id uuid, known_id uuid, starts_on date, tariff_from date, tariff_id uuid)
            where m.known_id is null or (
                select x.tariff_id from private.tariff_spans x
                where x.agreement_id = m.id and x.starts_on <= m.tariff_from and m.tariff_from < x.ends_on) <> m.tariff_id
        ), put as (
            insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
            select md5('agreement_tariff/' || w.id || '/' || w.tariff_from)::uuid, w.id, w.tariff_from, w.tariff_id from wanted w
            on conflict (agreement_id, starts_on) do update set tariff_id = excluded.tariff_id
            returning agreement_id, starts_on
        )
        select coalesce(array_agg(w."row"), '{}') into v_some
        from wanted w join put u on (u.agreement_id, u.starts_on) = (w.id, w.tariff_from) where not w.is_new;
        v_done := v_done || v_some;
        select coalesce(array_agg(m."row"), '{}') into v_some
        from jsonb_to_recordset(v_matched) as m("row" integer, id uuid, deposit_minor bigint)
        where m.deposit_minor > 0
          and not exists (select 1 from public.ledger_entries e where e.id = md5('agreement_deposit/' || m.id)::uuid);
        perform private.post_entries((
            select jsonb_agg(jsonb_build_object(
                'id', md5('agreement_deposit/' || m.id)::uuid, 'customer_id', m.customer_id, 'book', 'deposit',
                'currency', m.tariff_currency, 'kind', 'opening_balance', 'amount_minor', -m.deposit_minor,
                'on_date', m.starts_on, 'note', format('Deposit for %s, brought in', m.service_point)) order by m."row")
            from jsonb_to_recordset(v_matched) as m(
                "row" integer, id uuid, customer_id uuid, tariff_currency text, deposit_minor bigint, starts_on date, service_point text)
            where m."row" = any (v_some))) where v_some <> '{}';
        v_some := v_some || private.bring_in_banks(p -> 'rows', v_matched);
        -- The deposit and the bank of a new agreement come with it.
        select count(distinct n) into v_changed from unnest(v_done || array(
            select m."row" from jsonb_to_recordset(v_matched) as m("row" integer, known_id uuid)
            where m."row" = any (v_some) and m.known_id is not null)) n;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

comment on function public.import_agreements(jsonb) is 'Adds service agreements between accepted reads, ends known ones, changes their billing day, puts them on another tariff from a day, and enters deposits that are held and kWh that are banked: {actor, dry_run, rows: [{row, id, service_point, account_no, tariff_code, starts_on, ends_on?, tariff_from?, deposit_minor?, billing_day?, opening_bank?: Wh by period of its tariff, "" for all hours}]}. All rows of a place come together.';

create or replace view private.export_agreements WITH (security_invoker='true') AS
 SELECT y.id,
    m.service_point,
    c.account_no,
    t.code AS tariff_code,
    GREATEST(a.starts_on, m.read_on) AS starts_on,
    a.ends_on,
    a.billing_day,
    NULLIF(GREATEST(
        CASE
            WHEN f.first THEN a.starts_on
            ELSE y.starts_on
        END, m.read_on), GREATEST(a.starts_on, m.read_on)) AS tariff_from,
    -- As the last issued bill left it: from there billing goes on.
    ( SELECT jsonb_object_agg(e.period, e.wh) AS jsonb_object_agg
           FROM ( SELECT k.period,
                    sum(k.wh) AS wh
                   FROM public.kwh_bank_entries k
                  WHERE ((k.agreement_id = a.id) AND ((k.bill_id IS NULL) OR (NOT (EXISTS ( SELECT 1
                           FROM public.bills d
                          WHERE ((d.id = k.bill_id) AND (d.status = 'draft'::text)))))))
                  GROUP BY k.period
                 HAVING (sum(k.wh) <> (0)::numeric)) e) AS banked
   FROM ((((((public.agreement_tariffs y
     JOIN public.service_agreements a ON ((a.id = y.agreement_id)))
     JOIN public.meter_installations i ON (((i.service_point_id = a.service_point_id) AND (i.removed_at IS NULL))))
     JOIN private.export_meters m ON ((m.id = i.meter_id)))
     JOIN public.customers c ON ((c.id = a.customer_id)))
     JOIN public.tariffs t ON ((t.id = y.tariff_id)))
     CROSS JOIN LATERAL ( SELECT (NOT (EXISTS ( SELECT 1
                   FROM public.agreement_tariffs e
                  WHERE ((e.agreement_id = y.agreement_id) AND (e.starts_on < y.starts_on))))) AS first,
            ( SELECT min(e.starts_on) AS min
                   FROM public.agreement_tariffs e
                  WHERE ((e.agreement_id = y.agreement_id) AND (e.starts_on > y.starts_on))) AS next_on) f)
  WHERE ((COALESCE(a.ends_on, 'infinity'::date) > m.read_on) AND (COALESCE(f.next_on, 'infinity'::date) > GREATEST(a.starts_on, m.read_on)));

-- What took ids for random takes counts or a sample ------------------------------------------------------------------------
-- Ids begin with a time now, also those of what an import brings: the first ones by id are the oldest, no sample, and how far along
-- the ids a pass came does not say how much of it is done.

drop index public.agreement_tariffs_tariff;
create index agreement_tariffs_tariff on public.agreement_tariffs (tariff_id, uuid_hash(agreement_id));
comment on index public.agreement_tariffs_tariff is 'Those on a tariff; the first ones by the hash are a sample of them.';

create or replace function private.season_use(p_tariff_id uuid, p_on date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- The first ones by their hash are a sample; each costs one step in an index.
    select jsonb_build_object(
        'meters', count(*), 'wh', coalesce(sum(b.wh), 0), 'days', coalesce(sum(b.days), 0),
        'loaded_meters', count(*) filter (where s.connected_w > 0),
        'loaded_wh', coalesce(sum(b.wh) filter (where s.connected_w > 0), 0),
        'loaded_w_days', coalesce(sum(b.days * s.connected_w) filter (where s.connected_w > 0), 0))
    from (select distinct s.agreement_id as id
          from (select t.agreement_id from public.agreement_tariffs t where t.tariff_id = p_tariff_id
                order by uuid_hash(t.agreement_id) limit 300) s) m
    join public.service_agreements a on a.id = m.id
    join public.service_points s on s.id = a.service_point_id
    cross join lateral (
        select sum(x.consumption_wh)::bigint as wh, sum(x.period_end - x.period_start)::bigint as days
        from public.bills x
        join public.readings o on o.id = x.opening_reading_id
        join public.readings c on c.id = x.closing_reading_id
        where x.agreement_id = m.id and x.status <> 'void' and private.is_actual(o.source) and private.is_actual(c.source)
          and (x.period_end between p_on - 45 and p_on + 45
               or x.period_end between (p_on - interval '1 year')::date - 45 and (p_on - interval '1 year')::date + 45)) b
    where b.days > 0
$$;

create or replace function private.class_use(p_tariff_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- The first ones by their hash are a sample; each costs some steps in an index.
    select jsonb_build_object(
        'meters', count(*),
        'low_wh', coalesce(percentile_disc(0.1) within group (order by b.daily_wh), 0),
        'high_wh', coalesce(percentile_disc(0.9) within group (order by b.daily_wh), 0),
        'loaded_meters', count(b.daily_wh_kw),
        'low_wh_kw', coalesce(percentile_disc(0.1) within group (order by b.daily_wh_kw), 0),
        'high_wh_kw', coalesce(percentile_disc(0.9) within group (order by b.daily_wh_kw), 0))
    from (select t.agreement_id as id from public.agreement_tariffs t where t.tariff_id = p_tariff_id
          order by uuid_hash(t.agreement_id) limit 300) m
    cross join lateral (
        select x.consumption_wh / (x.period_end - x.period_start) as daily_wh,
               x.consumption_wh * 1000 / (x.period_end - x.period_start) / coalesce(s.connected_w, s.connected_va) as daily_wh_kw
        from public.bills x
        join public.service_agreements a on a.id = x.agreement_id
        join public.service_points s on s.id = a.service_point_id
        where x.agreement_id = m.id and x.status <> 'void' and x.period_end > x.period_start
        order by x.period_end desc limit 1) b
$$;

create or replace function public.similar_use(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with near as (
        (select a.id from (select s.id from public.service_points s
                           where s.route = p ->> 'route' and p ->> 'route' <> '' limit (p ->> 'most')::integer) s
         join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null)
        union all
        (select x.agreement_id from public.agreement_tariffs x
         where p ->> 'route' = '' and x.tariff_id = (p ->> 'tariff_id')::uuid
         order by uuid_hash(x.agreement_id) limit (p ->> 'most')::integer)
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

alter table public.aged_months add column customers bigint default 0 not null check (customers >= 0);
comment on column public.aged_months.customers is 'How many were looked at until it was worked out.';

create or replace function public.age_month(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_month constant date := (p ->> 'month')::date;
    v_until constant timestamptz := (p ->> 'until')::timestamptz;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_kept public.aged_months;
    v_customers uuid[];
begin
    -- What was begun before the month ended is posted within minutes.
    if v_until + interval '5 minutes' > now() then
        return '{"done": false, "worked": false}'::jsonb;
    end if;
    if not exists (select 1 from public.aged_months m where m.month = v_month and m.until = v_until) then
        -- Whoever posts from now on sees the month and notes what they change of it.
        perform pg_advisory_xact_lock(hashtext('ledger'));
        delete from public.aged_months m where m.month = v_month and m.until <> v_until;
        insert into public.aged_months (month, until) values (v_month, v_until) on conflict do nothing;
        return '{"done": false, "worked": true}'::jsonb;
    end if;
    select * into v_kept from public.aged_months m where m.month = v_month for update skip locked;
    if not found then
        return '{"done": false, "worked": false}'::jsonb;
    end if;
    if v_kept.done_at is null then
        v_customers := array(
            select a.customer_id from public.accounts a where a.book = 'account' and a.customer_id > v_kept.reached
            group by 1 order by 1 limit v_limit);
    else
        with taken as (
            select c.id from public.aged_changes c where c.month = v_month order by c.id limit v_limit
        ), gone as (
            delete from public.aged_changes c using taken s where c.id = s.id returning c.customer_id
        )
        select coalesce(array_agg(distinct g.customer_id), '{}') into v_customers from gone g;
        if v_customers = '{}' then
            return '{"done": true, "worked": false}'::jsonb;
        end if;
        delete from public.aged_accounts a where a.month = v_month and a.customer_id = any (v_customers);
    end if;
    -- A statement of its own: it sees all that was noted by then.
    insert into public.aged_accounts (month, customer_id, currency, not_due_minor, late_30_minor, late_60_minor, late_90_minor, later_minor,
                                      credit_minor, balance_minor)
    select v_month, g.* from private.aged_at(v_month, v_until, v_customers) g;
    update public.aged_months m set
        customers = m.customers + case when v_kept.done_at is null then cardinality(v_customers) else 0 end,
        reached = case when v_kept.done_at is null and v_customers <> '{}' then v_customers[cardinality(v_customers)] else m.reached end,
        done_at = case when v_kept.done_at is not null then m.done_at when cardinality(v_customers) < v_limit then now() end
    where m.month = v_month returning m.* into v_kept;
    if v_kept.done_at is not null then
        update public.aged_months m set totals = (
            select coalesce(jsonb_agg(to_jsonb(z) order by z.currency), '[]')
            from (select a.currency, count(*) as customers, sum(a.not_due_minor)::bigint as not_due_minor,
                         sum(a.late_30_minor)::bigint as late_30_minor, sum(a.late_60_minor)::bigint as late_60_minor,
                         sum(a.late_90_minor)::bigint as late_90_minor, sum(a.later_minor)::bigint as later_minor,
                         sum(a.credit_minor)::bigint as credit_minor, sum(a.balance_minor)::bigint as balance_minor
                  from public.aged_accounts a where a.month = v_month group by 1) z)
        where m.month = v_month;
    end if;
    return jsonb_build_object('worked', true, 'done', v_kept.done_at is not null
        and not exists (select 1 from public.aged_changes c where c.month = v_month));
end $$;

create or replace function public.receivables(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_month constant date := (p ->> 'month')::date;
    v_until constant timestamptz := (p ->> 'until')::timestamptz;
    v_last constant date := (v_month + interval '1 month')::date - 1;
    v_limit constant integer := (p ->> 'limit')::integer + 1;
    v_as_of date;
    v_totals jsonb;
    v_changed uuid[];
    v_kept public.aged_months;
begin
    if v_until > now() then
        v_as_of := least(coalesce(private.overdue_as_of(), now()::date), v_last);
        v_totals := private.aged_totals_now(v_as_of);
        return jsonb_build_object('as_of', v_as_of, 'totals', v_totals) || private.aged_page_now(
            p, v_as_of, array(select t ->> 'currency' from jsonb_array_elements(v_totals) t order by 1));
    end if;
    select * into v_kept from public.aged_months where month = v_month and until = v_until;
    v_changed := array(select c.customer_id from public.aged_changes c where c.month = v_month group by 1 limit 201);
    if v_kept.done_at is null or cardinality(v_changed) > 200 then
        return jsonb_build_object(
            'as_of', v_last, 'totals', '[]'::jsonb, 'customers', '[]'::jsonb,
            'permille', case when v_kept.done_at is not null then 999 when v_kept.month is null then 0
                else least(v_kept.customers * 1000 / greatest(v_kept.customers + 1, (
                    select c.reltuples::bigint from pg_catalog.pg_class c where c.oid = 'public.accounts'::regclass)), 999) end);
    end if;
    -- Few of whom something came since: of them it is worked out now.
    return (
        with fresh as materialized (
            select g.*, g.late_30_minor + g.late_60_minor + g.late_90_minor + g.later_minor as late_minor
            from private.aged_at(v_month, v_until, v_changed) g
        ), gone as (
            select a.* from public.aged_accounts a where a.month = v_month and a.customer_id = any (v_changed)
        ), totals as (
            select x.currency, sum(x.customers)::bigint as customers, sum(x.not_due_minor)::bigint as not_due_minor,
                   sum(x.late_30_minor)::bigint as late_30_minor, sum(x.late_60_minor)::bigint as late_60_minor,
                   sum(x.late_90_minor)::bigint as late_90_minor, sum(x.later_minor)::bigint as later_minor,
                   sum(x.credit_minor)::bigint as credit_minor, sum(x.balance_minor)::bigint as balance_minor
            from (select t.* from jsonb_to_recordset(v_kept.totals) t (
                      currency text, customers bigint, not_due_minor bigint, late_30_minor bigint, late_60_minor bigint,
                      late_90_minor bigint, later_minor bigint, credit_minor bigint, balance_minor bigint)
                  union all
                  select g.currency, -1, -g.not_due_minor, -g.late_30_minor, -g.late_60_minor, -g.late_90_minor, -g.later_minor,
                         -g.credit_minor, -g.balance_minor from gone g
                  union all
                  select f.currency, 1, f.not_due_minor, f.late_30_minor, f.late_60_minor, f.late_90_minor, f.later_minor,
                         f.credit_minor, f.balance_minor from fresh f) x
            group by 1 having sum(x.customers) <> 0
        ), page as materialized (
            select x.*, row_number() over (order by x.currency, -x.late_minor, x.customer_id) as n
            from ((select a.customer_id, a.currency, a.not_due_minor, a.late_30_minor, a.late_60_minor, a.late_90_minor, a.later_minor,
                          a.credit_minor, a.balance_minor, a.late_minor
                   from public.aged_accounts a
                   where a.month = v_month
                     and (a.currency, -a.late_minor, a.customer_id)
                         > (coalesce(p #>> '{after,currency}', ''), coalesce((p #>> '{after,late}')::bigint, -9223372036854775808),
                            coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000'))
                     and a.customer_id <> all (v_changed)
                   order by a.currency, -a.late_minor, a.customer_id limit v_limit)
                  union all
                  select f.* from fresh f
                  where (f.currency, -f.late_minor, f.customer_id)
                        > (coalesce(p #>> '{after,currency}', ''), coalesce((p #>> '{after,late}')::bigint, -9223372036854775808),
                           coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000'))) x
            order by x.currency, -x.late_minor, x.customer_id limit v_limit
        )
        select jsonb_build_object(
            'as_of', v_last,
            'totals', (select coalesce(jsonb_agg(to_jsonb(t) order by t.currency), '[]') from totals t),
            'customers', (select coalesce(jsonb_agg(to_jsonb(g) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name)
                                                    order by g.n), '[]')
                          from page g join public.customers c on c.id = g.customer_id where g.n < v_limit),
            'after', case when (select count(*) from page) >= v_limit then (
                select jsonb_build_object('currency', g.currency, 'late', -g.late_minor, 'id', g.customer_id)
                from page g where g.n = v_limit - 1) end));
end $$;

create function public.agreement_parts(p jsonb) returns jsonb
    language plpgsql stable
    set search_path to ''
    set plan_cache_mode to 'force_custom_plan'
    as $$
declare
    v_day constant smallint := (p ->> 'billing_day')::smallint;
    v_every constant integer := (p ->> 'every')::integer;
begin
    if v_day is null then
        return (select jsonb_build_object('ends', coalesce(jsonb_agg(x.id order by x.id), '[]'))
                from (select a.id, row_number() over (order by a.id) as place from public.service_agreements a) x
                where x.place % v_every = 0);
    end if;
    return (select jsonb_build_object('ends', coalesce(jsonb_agg(x.id order by x.id), '[]'))
            from (select a.id, row_number() over (order by a.id) as place from public.service_agreements a where a.billing_day = v_day) x
            where x.place % v_every = 0);
end $$;

comment on function public.agreement_parts(p jsonb) is 'Where parts of so many agreements each end, in the order of their ids: {every, billing_day?: of this cycle alone} -> {ends: [id]}. What follows the last end is a part of fewer.';

revoke all on function public.agreement_parts(p jsonb) from public;
grant execute on function public.agreement_parts(p jsonb) to service_role;

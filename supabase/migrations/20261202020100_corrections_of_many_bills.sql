-- What a correction of a whole tariff touches was found by reading all bills of it, again for each page of their meters. How
-- many they are is kept added up by version; their meters are walked from the oldest bill on, which is gone once it is reissued.

create function private.totals_priced_by(p_versions uuid[])
    returns table (currency text, issued bigint, bills bigint, total_minor bigint, paid_minor bigint)
    language plpgsql stable set search_path = '' as $$
begin
    return query
    select t.currency, sum(t.bills) filter (where t.state <> 'draft')::bigint, sum(t.bills)::bigint, sum(t.total_minor)::bigint,
           sum(t.paid_minor)::bigint
    from public.bill_totals t where t.tariff_version_id = any (p_versions) or t.priced_by && p_versions
    group by 1;
    -- Bills from before there were corrections do not say which versions priced them.
    if exists (select 1 from public.tariff_versions v
               join public.tariff_versions u on u.tariff_id = v.tariff_id and u.effective_from < v.effective_from
               join public.bill_totals t on t.tariff_version_id = u.id and t.priced_by = '{}'
                   and t.ended_in >= date_trunc('month', v.effective_from)
               where v.id = any (p_versions) and u.id <> all (p_versions)) then
        return query
        select b.currency, count(*) filter (where b.status = 'issued'), count(*), sum(b.total_minor)::bigint, sum(b.amount_paid_minor)::bigint
        from private.bills_priced_by(p_versions) b
        where b.priced_by is null and b.tariff_version_id <> all (p_versions) group by 1;
    end if;
end $$;
comment on function private.totals_priced_by(uuid[]) is 'What the bills that versions of a tariff priced come to, in parts: those that are not void, of them issued, their totals and what is paid of them, by currency.';

create function private.newest_priced_by(p_versions uuid[]) returns table (agreement_id uuid, customer_id uuid)
    language sql stable set search_path = '' set enable_seqscan = off as $$
    -- All of few; of many so many that they tell apart as many meters as are counted.
    select b.agreement_id, b.customer_id from unnest(p_versions) v (id)
    cross join lateral (
        select x.agreement_id, x.customer_id from public.bills x where x.tariff_version_id = v.id and x.status <> 'void'
        order by x.period_end desc, x.id desc limit 12002) b
    union all
    select b.agreement_id, b.customer_id from public.tariff_versions v
    join public.tariff_versions u on u.tariff_id = v.tariff_id and u.effective_from < v.effective_from
    cross join lateral (
        select x.agreement_id, x.customer_id from public.bills x
        where x.tariff_version_id = u.id and x.status <> 'void' and x.period_end > v.effective_from
          and private.is_priced_by(x, p_versions)
        order by x.period_end desc, x.id desc limit 12002) b
    where v.id = any (p_versions) and u.id <> all (p_versions)
$$;
comment on function private.newest_priced_by(uuid[]) is 'Agreements and customers of the bills that versions priced: of each version the newest 12,002, by which up to 10,000 meters are counted.';

create or replace function public.tariff_reach(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with sums as materialized (
        select t.currency, sum(t.issued)::bigint as issued, sum(t.bills)::bigint as bills, sum(t.total_minor)::bigint as total_minor,
               sum(t.paid_minor)::bigint as paid_minor
        from private.totals_priced_by(array[(p ->> 'version_id')::uuid]) t group by 1 having sum(t.bills) <> 0)
    select jsonb_build_object(
        'bills', (select coalesce(sum(bills), 0)::bigint from sums),
        'issued', (select coalesce(sum(issued), 0)::bigint from sums),
        'customers', (select least(count(distinct n.customer_id), 10001) from private.newest_priced_by(array[(p ->> 'version_id')::uuid]) n),
        'sums', (select coalesce(jsonb_agg(jsonb_build_object(
                     'currency', s.currency, 'total_minor', s.total_minor, 'paid_minor', s.paid_minor) order by s.currency), '[]') from sums s))
$$;
comment on function public.tariff_reach(jsonb) is 'The bills, not void, that a version of a tariff priced: {version_id} -> {bills, issued, customers: counted to 10,001, sums: [{currency, total_minor, paid_minor}]}.';

create or replace function public.bills_to_correct(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_versions constant uuid[] := case when p ->> 'version_id' is not null then array[(p ->> 'version_id')::uuid]
                                       else private.wrong_versions((p ->> 'tariff_id')::uuid) end;
    v_on constant date := coalesce((p #>> '{after,ended_on}')::date, '-infinity');
    v_bill constant uuid := coalesce(p #>> '{after,bill_id}', '00000000-0000-0000-0000-000000000000')::uuid;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_bills bigint;
    v_minor bigint;
begin
    select coalesce(sum(t.bills), 0), coalesce(sum(t.total_minor), 0) into v_bills, v_minor from private.totals_priced_by(v_versions) t;
    return (
        with sources as materialized (
            -- Those that they open, and of an earlier version those that reach over their dates.
            select v.id, '-infinity'::date as since from unnest(v_versions) v (id)
            union
            select u.id, v.effective_from from public.tariff_versions v
            join public.tariff_versions u on u.tariff_id = v.tariff_id and u.effective_from < v.effective_from
            where v.id = any (v_versions) and u.id <> all (v_versions)
        ), first_of as materialized (
            -- The first bill of each agreement, in the order of their ends.
            select x.* from sources s
            cross join lateral (
                select b.id, b.period_end, b.agreement_id, b.meter_id from public.bills b
                where b.tariff_version_id = s.id and b.status <> 'void' and b.period_end >= v_on and b.period_end > s.since
                  and (b.period_end, b.id) > (v_on, v_bill) and (b.tariff_version_id = any (v_versions) or private.is_priced_by(b, v_versions))
                  and not exists (select 1 from public.bills y
                                  where y.agreement_id = b.agreement_id and y.status <> 'void'
                                    and y.period_end < b.period_end and (y.tariff_version_id = any (v_versions) or private.is_priced_by(y, v_versions)))
                order by b.period_end, b.id limit v_limit) x
            order by x.period_end, x.id limit v_limit
        ), oldest as (
            select x.period_start from sources s
            cross join lateral (
                select b.period_start from public.bills b
                where b.tariff_version_id = s.id and b.status <> 'void' and b.period_end > s.since and (b.tariff_version_id = any (v_versions) or private.is_priced_by(b, v_versions))
                order by b.period_end, b.id limit 1000) x)
        select jsonb_build_object(
            'bills', v_bills,
            'meters_in_all', (select least(count(distinct n.agreement_id), 10001) from private.newest_priced_by(v_versions) n),
            'since', (select min(o.period_start) from oldest o),
            'total_minor', v_minor,
            'meters', (select coalesce(jsonb_agg(jsonb_build_object(
                           'agreement_id', f.agreement_id, 'meter_id', m.id, 'serial', m.serial, 'account_no', c.account_no,
                           'customer_name', c.name, 'bills', w.bills, 'since', w.since, 'total_minor', w.total_minor,
                           'ended_on', f.period_end, 'bill_id', f.id) order by f.period_end, f.id), '[]')
                       from first_of f
                       cross join lateral (
                           select count(*) as bills, min(b.period_start) as since, sum(b.total_minor)::bigint as total_minor,
                                  (array_agg(b.meter_id order by b.period_start desc))[1] as meter_id
                           from public.bills b
                           where b.agreement_id = f.agreement_id and b.status <> 'void' and (b.tariff_version_id = any (v_versions) or private.is_priced_by(b, v_versions))) w
                       join public.meters m on m.id = w.meter_id
                       join public.service_agreements a on a.id = f.agreement_id
                       join public.customers c on c.id = a.customer_id)));
end $$;
comment on function public.bills_to_correct(jsonb) is 'The bills, not void, that a version of a tariff priced, or all versions of it that were corrected: {version_id or tariff_id, after: {ended_on, bill_id} of a meter or null, limit} -> {bills, meters_in_all: counted to 10,001, since: the first day among the oldest thousand, total_minor, meters: [{agreement_id, meter_id, serial, account_no, customer_name, bills, since, total_minor, ended_on and bill_id: of the first of its bills, in whose order they are}]}.';

revoke all on function private.totals_priced_by(uuid[]), private.newest_priced_by(uuid[]) from public, anon, authenticated;
grant execute on function private.totals_priced_by(uuid[]), private.newest_priced_by(uuid[]) to service_role;

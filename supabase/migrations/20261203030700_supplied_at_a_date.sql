-- How many agreements each tariff had at the end of a year was counted over all agreements: a second for 100,000 of them. It is what is
-- kept of now, but for those that changed since.

create index service_agreements_begun on public.service_agreements (starts_on);
create index service_agreements_ended on public.service_agreements (ends_on) where ends_on is not null;
create index agreement_tariffs_begun on public.agreement_tariffs (starts_on);

CREATE OR REPLACE FUNCTION public.report_year(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with bounds as (select (p ->> 'from')::date as from_on, (p ->> 'to')::date as to_on), changed as (
        -- Those of which something is otherwise now than it was at the end of the span.
        select a.id from public.service_agreements a where a.starts_on >= (p ->> 'to')::date
        union
        select a.id from public.service_agreements a where a.ends_on >= (p ->> 'to')::date
        union
        select x.agreement_id from public.agreement_tariffs x where x.starts_on >= (p ->> 'to')::date
    ), numbers as (
        select k.name::uuid as tariff_id, k.number from public.supply_totals k where k.kind = 'tariff'
        union all
        select private.tariff_agreed_on(a.id), -1
        from changed c join public.service_agreements a on a.id = c.id where a.ends_on is null
        union all
        select y.tariff_id, 1
        from changed c cross join bounds b
        join public.service_agreements a on a.id = c.id and a.starts_on < b.to_on and coalesce(a.ends_on, 'infinity') >= b.to_on
        cross join lateral (select x.tariff_id from public.agreement_tariffs x
                            where x.agreement_id = a.id and x.starts_on < b.to_on order by x.starts_on desc limit 1) y
    )
    select jsonb_build_object(
        'supplied', (select coalesce(jsonb_agg(jsonb_build_object('tariff_code', z.code, 'agreements', z.number) order by z.code), '[]')
                     from (select t.code, sum(n.number)::bigint as number from numbers n join public.tariffs t on t.id = n.tariff_id
                           group by 1 having sum(n.number) <> 0) z),
        'into_network_wh', (select coalesce(sum(s.energy_wh), 0)::bigint from public.supplies s, bounds b
                            where s.period_start >= b.from_on and s.period_start < b.to_on),
        'estimated_reads', (select count(*) from public.readings r, bounds b
                            where r.source = 'estimated' and r.status = 'accepted' and r.read_on >= b.from_on and r.read_on < b.to_on),
        'disconnections', (select count(*) from public.disconnections d, bounds b
                           where not d.withdrawn and d.disconnected_on >= b.from_on and d.disconnected_on < b.to_on),
        'reconnections', (select count(*) from public.disconnections d, bounds b
                          where not d.withdrawn and d.reconnected_on >= b.from_on and d.reconnected_on < b.to_on))
$$;


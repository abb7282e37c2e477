-- The graph knew a bill's last meter and who has that meter now. So after an exchange or a move it lost the bills of the
-- meter that was taken out and of the customer who left. Now it has the place and the agreement of each bill, and the
-- meters and reads within a bill.

create view private.graph_service_points with (security_invoker = true) as
select s.id, s.code, s.transformer_id,
       case when i.still then 'active' else 'closed' end as status, i.opened_on
from public.service_points s
left join lateral (
    select min(x.installed_on) as opened_on, bool_or(x.removed_at is null) as still
    from public.meter_installations x where x.service_point_id = s.id) i on true;

create view private.graph_agreements with (security_invoker = true) as
select a.id, a.starts_on, a.ends_on, a.service_point_id, a.customer_id
from public.service_agreements a;

create or replace view private.graph_bills with (security_invoker = true) as
select b.id, b.number, l.status, b.meter_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
       b.period_start, b.period_end, b.consumption_wh, b.currency, b.total_minor,
       b.agreement_id,
       case when b.segments is null then '[]'::jsonb else (
           select coalesce(jsonb_agg(distinct x ->> 'meter_id'), '[]')
           from jsonb_array_elements(b.segments) x
           where (x ->> 'meter_id')::uuid <> b.meter_id) end as earlier_meter_ids,
       case when b.segments is null then '[]'::jsonb else (
           select coalesce(jsonb_agg(distinct r.id), '[]')
           from jsonb_array_elements(b.segments) x
           cross join lateral (values (x ->> 'opening_reading_id'), (x ->> 'closing_reading_id')) r (id)
           where r.id::uuid not in (b.opening_reading_id, b.closing_reading_id)) end as inner_reading_ids
from public.bills b
join public.bill_list l on l.id = b.id;

revoke all on private.graph_service_points, private.graph_agreements from public, anon, authenticated;
grant select on private.graph_service_points, private.graph_agreements to service_role;

create or replace function private.graph_rows_of(p_bills uuid[]) returns jsonb
language sql stable set search_path = '' as $$
    with bills as (select b.* from private.graph_bills b where b.id = any (p_bills)),
         points as (select s.* from private.graph_service_points s where s.id in (
             select a.service_point_id from public.service_agreements a where a.id in (select agreement_id from bills))),
         agreements as (select a.* from private.graph_agreements a
                        where a.service_point_id in (select id from points)),
         meters as (select m.* from private.graph_meters m where m.id in (
             select i.meter_id from public.meter_installations i where i.service_point_id in (select id from points)
             union select meter_id from bills)),
         fed_by as (select transformer_id as id from points union select transformer_id from meters)
    select jsonb_build_object(
        'feeders', (select coalesce(jsonb_agg(to_jsonb(f)), '[]') from private.graph_feeders f
                    where f.id in (select t.feeder_id from public.transformers t
                                   where t.id in (select id from fed_by))),
        'transformers', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from private.graph_transformers t
                         where t.id in (select id from fed_by)),
        'customers', (select coalesce(jsonb_agg(to_jsonb(c)), '[]') from private.graph_customers c
                      where c.id in (select customer_id from meters union select customer_id from agreements)),
        'service_points', (select coalesce(jsonb_agg(to_jsonb(s)), '[]') from points s),
        'agreements', (select coalesce(jsonb_agg(to_jsonb(a)), '[]') from agreements a),
        'meters', (select coalesce(jsonb_agg(to_jsonb(m)), '[]') from meters m),
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(v)), '[]') from private.graph_tariffs v
                    where v.id in (select tariff_version_id from bills)),
        'readings', (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from private.graph_readings r
                     where r.id in (select opening_reading_id from bills union select closing_reading_id from bills
                                    union select e.id::uuid from bills b
                                    cross join lateral jsonb_array_elements_text(b.inner_reading_ids) e (id))),
        'bills', (select coalesce(jsonb_agg(to_jsonb(b)), '[]') from bills b),
        'payments', (select coalesce(jsonb_agg(to_jsonb(y)), '[]') from private.graph_payments y
                     where y.bill_id = any (p_bills)))
$$;
comment on function private.graph_rows_of(uuid[]) is 'What the graph needs for some bills, by kind and in the shapes of graph_rows: with all agreements and meters of their places.';

comment on function public.graph_rows(jsonb) is 'A page of what the graph is made of, in order of id: {what: feeders | transformers | customers | service_points | agreements | meters | tariffs | readings | bills | payments | supplies, after?, limit}.';

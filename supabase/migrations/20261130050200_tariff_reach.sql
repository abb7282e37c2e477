-- What the bills of a version of a tariff add up to, so that nobody has to list all of them to say it.

create function public.tariff_reach(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with priced as materialized (
        select b.currency, b.status, b.customer_id, b.total_minor, b.amount_paid_minor
        from private.bills_priced_by(array[(p ->> 'version_id')::uuid]) b)
    select jsonb_build_object(
        'bills', (select count(*) from priced),
        'issued', (select count(*) from priced where status = 'issued'),
        'customers', (select count(distinct customer_id) from priced),
        'sums', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency), '[]')
                 from (select currency, sum(total_minor)::bigint as total_minor, sum(amount_paid_minor)::bigint as paid_minor
                       from priced group by 1) z))
$$;

comment on function public.tariff_reach(jsonb) is 'The bills, not void, that a version of a tariff priced: {version_id} -> {bills, issued, customers, sums: [{currency, total_minor, paid_minor}]}.';

revoke all on function public.tariff_reach(jsonb) from public;
grant execute on function public.tariff_reach(jsonb) to service_role;

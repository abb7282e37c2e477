-- A month priced again under another version needs all that its bills were priced from, not the kWh alone.

create or replace function public.billed_uses(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with wanted as (
        select b.id, b.period_start, b.period_end, b.consumption_wh, b.total_minor, b.usage, b.customer_id, b.meter_id
        from public.bills b join public.tariff_versions v on v.id = b.tariff_version_id
        where v.tariff_id = (p ->> 'tariff_id')::uuid and b.status = 'issued'
          and b.period_end > (p ->> 'after_day')::date and b.period_end <= (p ->> 'until_day')::date
          and (p -> 'after' = 'null'
               or (b.period_end, b.id) > ((p -> 'after' ->> 'period_end')::date, (p -> 'after' ->> 'id')::uuid))
        order by b.period_end, b.id
        limit (p ->> 'limit')::integer
    )
    select jsonb_build_object('bills', coalesce(jsonb_agg(jsonb_build_object(
        'id', w.id, 'account_no', c.account_no, 'meter_serial', m.serial,
        'period_start', w.period_start, 'period_end', w.period_end, 'consumption_wh', w.consumption_wh,
        'total_minor', w.total_minor, 'usage', w.usage - 'registers') order by w.period_end, w.id), '[]'))
    from wanted w
    join public.customers c on c.id = w.customer_id
    join public.meters m on m.id = w.meter_id
$$;
comment on function public.billed_uses is
    'What issued bills of a tariff were made of, by period_end in (after_day, until_day] and id: {tariff_id, after_day, until_day, after: {period_end, id} or null, limit}. usage is null where that was the kWh and days alone.';

-- A night's steps of dunning added up, and which work orders are of smart meters.

create function public.dunning_totals(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with found as materialized (select public.dunning_preview(p || '{"limit": 1000000, "after": null}') as page)
    select jsonb_build_object(
        'rows', coalesce((
            select jsonb_agg(to_jsonb(t) order by t.currency, t.day, t.step)
            from (select r.currency, r.step, r.action, r.day, count(*)::integer as steps, count(distinct r.customer_id)::integer as accounts,
                         sum(r.amount_minor)::bigint as amount_minor, sum(r.fee_minor + r.tax_minor)::bigint as fee_minor,
                         count(*) filter (where r.wait <> '')::integer as waiting
                  from found f
                  cross join lateral jsonb_to_recordset(f.page -> 'rows') as r(
                      customer_id uuid, currency text, step text, action text, day integer, amount_minor bigint, fee_minor bigint,
                      tax_minor bigint, wait text)
                  group by 1, 2, 3, 4) t), '[]'),
        'complete', (select f.page -> 'after' is null or f.page -> 'after' = 'null' from found f))
$$;
comment on function public.dunning_totals(jsonb) is 'What a night''s jobs would do, added up by step: {today, part} -> {rows: [{currency, step, action, day, steps, accounts, amount_minor, fee_minor: with tax, waiting: of them held or waiting for the notice}], complete: whether all was looked at, which are 10,000 bills or accounts at most}.';

create or replace view public.work_order_list with (security_invoker = true) as
    select w.*, c.account_no, c.name as customer_name, s.code as service_point_code, s.route, coalesce(nullif(s.address, ''), c.address, '') as address,
           m.serial as meter_serial, r.register_wh as read_wh, r.read_on, r.submitted_by as read_by,
           x.reason as missed_reason, x.note as missed_note, x.missed_on, m.kind as meter_kind
    from public.work_orders w
    join public.customers c on c.id = w.customer_id
    join public.service_points s on s.id = w.service_point_id
    join public.meters m on m.id = w.meter_id
    left join public.reading_requests q on q.id = w.id
    left join public.readings r on r.id = q.done_reading_id
    left join lateral (
        select y.reason, y.note, y.missed_on from public.missed_reads y
        where y.service_point_id = w.service_point_id and y.missed_on >= w.ordered_on and q.done_reading_id is null
        order by y.missed_on desc limit 1) x on true;

revoke all on function public.dunning_totals from public, anon, authenticated;
grant execute on function public.dunning_totals to service_role;

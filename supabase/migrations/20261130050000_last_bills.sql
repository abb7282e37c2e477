-- What agreements were billed last, to be compared with what they are billed next.

create function public.last_bills(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('bills', coalesce(jsonb_agg(jsonb_build_array(
        a.id, b.id, b.period_start, b.period_end, b.consumption_wh, b.currency, b.total_minor)), '[]'))
    from unnest(array(select x::uuid from jsonb_array_elements_text(p -> 'agreements') x)) as a(id)
    cross join lateral (
        select l.id, l.period_start, l.period_end, l.consumption_wh, l.currency, l.total_minor from public.bills l
        where l.agreement_id = a.id and l.status <> 'void' order by l.period_end desc limit 1) b
$$;

comment on function public.last_bills(jsonb) is 'The last bill of each agreement that is not void: {agreements: [ids]} -> {bills: [[agreement_id, id, period_start, period_end, consumption_wh, currency, total_minor]]}; none for one that was never billed.';

revoke all on function public.last_bills(jsonb) from public;
grant execute on function public.last_bills(jsonb) to service_role;

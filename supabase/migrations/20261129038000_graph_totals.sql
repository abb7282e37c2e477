-- How much the graph should hold, and a few sums over it, without a look at each row from outside.

create function public.graph_totals(p jsonb) returns jsonb
    language sql stable set search_path to '' as $$
    select jsonb_build_object(
        'feeders', jsonb_build_object('rows', (select count(*) from public.feeders)),
        'transformers', jsonb_build_object('rows', (select count(*) from public.transformers)),
        'customers', jsonb_build_object('rows', (select count(*) from public.customers)),
        'service_points', jsonb_build_object('rows', (select count(*) from public.service_points)),
        'agreements', jsonb_build_object('rows', (select count(*) from public.service_agreements)),
        'meters', jsonb_build_object('rows', (select count(*) from public.meters)),
        'tariffs', jsonb_build_object('rows', (select count(*) from public.tariff_versions)),
        'readings', (select jsonb_build_object('rows', count(*), 'sum', coalesce(sum(register_wh), 0))
                     from public.readings),
        'bills', (select jsonb_build_object('rows', count(*), 'sum', coalesce(sum(total_minor), 0))
                  from public.bills),
        'payments', (select jsonb_build_object('rows', count(distinct (c.payment_id, d.bill_id)),
                                               'sum', coalesce(sum(a.amount_minor), 0))
                     from public.allocations a
                     join public.ledger_entries c on c.id = a.credit_entry_id and c.kind = 'payment'
                     join public.ledger_entries d on d.id = a.debit_entry_id and d.kind = 'bill'),
        'supplies', (select jsonb_build_object('rows', count(*), 'sum', coalesce(sum(energy_wh), 0))
                     from public.supplies))
$$;
comment on function public.graph_totals(jsonb) is
    'What the graph is made of, by kind as in graph_rows: {} -> {kind: {rows, sum?}}; sum is of register_wh, total_minor, amount_minor or energy_wh.';
revoke all on function public.graph_totals(jsonb) from public, anon, authenticated;
grant execute on function public.graph_totals(jsonb) to service_role;

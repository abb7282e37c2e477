-- The entries of a month were read all at once for a file: two million at a million meters. They come by date and posting now.

create function public.month_entries(p jsonb) returns jsonb
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with found as materialized (
        select e.id, e.on_date, e.posting_no from public.ledger_entries e
        where (e.on_date, e.posting_no) > (coalesce((p #>> '{after,on}')::date, (p ->> 'from')::date), coalesce((p #>> '{after,no}')::bigint, 0))
          and e.on_date < (p ->> 'to')::date
        order by e.on_date, e.posting_no limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(to_jsonb(l) order by f.on_date, f.posting_no), '[]')
                 from found f join public.ledger_list l on l.id = f.id),
        'after', (select case when count(*) = (p ->> 'limit')::integer then jsonb_build_object('on', max(f.on_date),
                      'no', (array_agg(f.posting_no order by f.on_date desc, f.posting_no desc))[1]) end from found f))
$$;
comment on function public.month_entries(jsonb) is
    'A page of the entries of customers'' accounts, by date and posting: {from, to: exclusive, after?: {on, no}, limit} -> {rows of ledger_list, after: for the next page, or null}.';

drop function public.open_bills(jsonb);

revoke all on function public.month_entries(jsonb) from public, anon, authenticated;
grant execute on function public.month_entries(jsonb) to service_role;

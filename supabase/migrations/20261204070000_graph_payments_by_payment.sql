-- The graph's payments come in the order of payments -------------------------------------------------------------------------
-- Their ids were hashes of payment and bill, in whose order no index has them: each page of a pass put all payments together and
-- sorted them. With a million payments a page took longer than a statement may, so that no pass came to its end.

create or replace view private.graph_payments with (security_invoker = true) as
select (left(y.id::text, 26) || left(md5(d.bill_id::text), 10))::uuid as id, d.bill_id, sum(a.amount_minor)::bigint as amount_minor,
       y.currency, y.received_on, y.id as payment_id
from public.payments y
join public.ledger_entries c on c.payment_id = y.id and c.kind = 'payment'
join public.allocations a on a.credit_entry_id = c.id
join public.ledger_entries d on d.id = a.debit_entry_id and d.kind = 'bill'
group by y.id, d.bill_id, y.currency, y.received_on;
comment on view private.graph_payments is 'What a payment pays of a bill. Its id begins as that of the payment, so that payments in their order give these in theirs.';

create or replace function public.graph_rows(p jsonb) returns jsonb
    language plpgsql stable
    set search_path to ''
    set enable_sort to off
    set enable_seqscan to off
    as $$
declare
    v_after constant uuid := coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000');
    v_page text := format('select * from private.%I where id > %L order by id limit %s', 'graph_' || (p ->> 'what'), v_after,
                          (p ->> 'limit')::integer);
    v_rows jsonb;
begin
    if p ->> 'what' = 'payments' then
        -- One payment after the other: of all that is paid, the planner would put everything together for each page.
        v_page := format(
            'select g.* from public.payments y
             cross join lateral (select * from private.graph_payments x where x.payment_id = y.id and x.id > %L order by x.id) g
             where y.id >= %L order by y.id, g.id limit %s',
            v_after, (left(v_after::text, 26) || '0000000000')::uuid, (p ->> 'limit')::integer);
    end if;
    -- As text for this page's values, so that the planner knows how small the page is.
    execute format('select coalesce(jsonb_agg(to_jsonb(g) order by g.id), ''[]'') from (%s) g', v_page) into v_rows;
    return jsonb_build_object('rows', v_rows);
end $$;

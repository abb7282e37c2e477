-- A bill that autopay pays prints so ----------------------------------------------------------------------------------------------
-- It asked its customer to pay, with a link to pay by, though autopay was to pay it.

create or replace function public.bill_document_facts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    b public.bills;
    e public.ledger_entries;
    v_before public.ledger_entries;
begin
    select * into b from public.bills where id = (p ->> 'bill_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    elsif b.number is null then
        perform private.refuse('EB005', 'A draft cannot be printed: issue the bill first.');
    end if;
    select * into e from public.ledger_entries where bill_id = b.id and kind = 'bill';
    -- Bills that were issued in the same moment stand beside this one, not before it.
    select l.* into v_before from public.ledger_entries l join public.bills o on o.id = l.bill_id
    where l.customer_id = e.customer_id and l.book = e.book and l.currency = e.currency and l.kind = 'bill'
      and l.entry_no < e.entry_no and o.issued_at < b.issued_at
    order by l.entry_no desc limit 1;
    return jsonb_build_object(
        'bill', private.bill_json(b.id),
        'opening', private.reading_json(b.opening_reading_id),
        'closing', private.reading_json(b.closing_reading_id),
        'tax_number', (select tax_number from public.customers where id = b.customer_id),
        'contract_ends_on', (select a.ends_on from public.service_agreements a where a.id = b.agreement_id),
        'language', (select language from public.customers where id = b.customer_id),
        'replaces', (select number from public.bills where id = b.replaces_id),
        -- That it was planned as the bill was issued, whatever became of it.
        'autopaid', exists (
            select 1 from public.spared_bills s where s.bill_id = b.id and s.reason = 'autopay' and s.since = e.created_at),
        -- The link that was made for it at its issue, whatever link it has by now.
        'payment_url', (select url from public.payment_links where bill_id = b.id order by created_at limit 1),
        'brought_forward_minor', coalesce(v_before.balance_minor, 0),
        'entries', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'kind', l.kind, 'amount_minor', l.amount_minor, 'on', l.on_date,
                'method', coalesce(r.method, y.method, ''), 'reference', coalesce(nullif(r.reference, ''), y.reference, '')
                ) order by l.entry_no), '[]')
            from public.ledger_entries l
            left join public.payments y on y.id = l.payment_id
            left join public.payment_returns r on r.id = l.return_id
            left join public.bills o on o.id = l.bill_id
            where l.customer_id = e.customer_id and l.book = e.book and l.currency = e.currency
              and l.entry_no > coalesce(v_before.entry_no, 0) and l.entry_no < e.entry_no
              and not (l.kind = 'bill' and o.issued_at = b.issued_at)),
        'used_before', (
            select coalesce(jsonb_object_agg(u.month, u.wh), '{}')
            from (select date_trunc('month', o.period_end - 1)::date as month, sum(o.consumption_wh)::bigint as wh
                  from public.bills o
                  join public.ledger_entries l on l.bill_id = o.id and l.kind = 'bill'
                  left join public.ledger_entries x on x.undoes_id = l.id
                  where o.meter_id = b.meter_id and o.id <> b.id and o.period_end <= b.period_start
                    and o.period_end > b.period_end - 400 and o.issued_at <= b.issued_at
                    and (x.id is null or x.created_at > e.created_at)
                  group by 1) u));
end $$;

COMMENT ON FUNCTION public.bill_document_facts(p jsonb) IS 'What a bill prints, as it was when it was issued: {bill_id} -> {bill, opening, closing, autopaid: whether autopay was to pay it, tax_number of the customer, contract_ends_on: null while the agreement has no end, language, replaces, payment_url, brought_forward_minor, entries since the bill before, used_before: {month: Wh}}.';

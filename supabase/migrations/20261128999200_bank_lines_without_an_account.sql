-- One file of a bank names its account and another does not: the same line of both is not counted twice.

create or replace function private.match_bank_lines(p_rows jsonb) returns table (
    id uuid, status text, matched_by text, why text, detail text, customer_id uuid, bill_id uuid, expected_minor bigint)
language sql stable set search_path = '' as $$
    with x as materialized (
        select r.id, coalesce(r.account, '') as account, r.amount_minor, r.currency, r.booked_on, r.numbers, r.tokens
        from jsonb_to_recordset(p_rows) as r(
            id uuid, account text, amount_minor bigint, currency text, booked_on date, numbers jsonb, tokens jsonb)
        where r.amount_minor > 0
    ), words as materialized (
        select x.id, private.identifier_key(t.word) as key from x, jsonb_array_elements_text(x.tokens) t(word)
    ), named as materialized (
        select x.id, 1 as rank, b.customer_id, b.id as bill_id, private.invoice_reference(b.number) as name
        from x, jsonb_array_elements_text(x.numbers) n(number) join public.bills b on b.number = n.number::bigint
        union
        select w.id, 2, c.id, null, c.account_no
        from words w join public.customers c on private.identifier_key(c.account_no) = w.key
        union
        select w.id, 3, a.customer_id, null, m.serial
        from words w
        join public.meters m on private.identifier_key(m.serial) = w.key
        join public.meter_installations i on i.meter_id = m.id and i.removed_at is null
        join public.service_agreements a on a.service_point_id = i.service_point_id and a.ends_on is null
    ), found as (
        select n.id, count(distinct n.customer_id) as customers, min(n.rank) as rank,
               (array_agg(n.customer_id order by n.rank))[1] as customer_id,
               -- Of several bills the oldest that is open is paid first.
               case when count(distinct n.bill_id) = 1 then (array_agg(n.bill_id) filter (where n.bill_id is not null))[1] end as bill_id,
               string_agg(distinct n.name, ', ' order by n.name) as names
        from named n group by n.id
    ), judged as (
        select x.*, f.rank, f.names, f.customer_id, f.customers, b.id as bill_id, b.status as bill_status,
               coalesce(c.currency, x.currency) as account_currency,
               case when b.id is not null then b.total_minor - b.amount_paid_minor
                    else coalesce((select a.balance_minor from public.accounts a
                                   where a.customer_id = c.id and a.book = 'account' and a.currency = x.currency), 0) end as expected_minor,
               (select case when l.id is null then 'entered on ' else 'imported from another file, of ' end
                     || y.received_on
                from public.payments y left join public.bank_lines l on l.payment_id = y.id
                where y.customer_id = c.id and y.amount_minor = x.amount_minor and y.currency = x.currency
                  and y.method in ('bank', 'cheque', 'mobile_money', 'card')
                  and case when l.id is null then y.received_on between x.booked_on - 7 and x.booked_on + 7
                           -- A file that names no account may have the lines of one that does.
                           else l.booked_on = x.booked_on and (l.account = '') <> (x.account = '') end
                  and not exists (select 1 from public.payment_returns q where q.payment_id = y.id and q.status in ('pending', 'done'))
                order by l.id nulls first limit 1) as entered
        from x
        left join found f on f.id = x.id
        left join public.customers c on c.id = f.customer_id
        left join public.bills b on b.id = f.bill_id
    ), decided as (
        select j.*, case
            when j.customer_id is null then 'no_reference'
            when j.customers > 1 then 'several'
            when j.account_currency <> j.currency then 'other_currency'
            when j.bill_status in ('draft', 'void') then 'not_payable'
            when j.entered is not null then 'entered_already' end as why
        from judged j
    )
    select d.id, case when d.why is null then 'matched' else 'open' end,
           case when d.why is null then (array['bill', 'account', 'meter'])[d.rank] end, d.why,
           coalesce(case d.why when 'other_currency' then d.account_currency when 'entered_already' then d.entered else d.names end, ''),
           case when d.why is null then d.customer_id end, case when d.why is null then d.bill_id end,
           case when d.why is null then d.expected_minor end
    from decided d
$$;
comment on function private.match_bank_lines(jsonb) is
    'Whose payments lines of a bank are: by the bill''s number, the account or the meter that their text names. Whoever names two customers, another currency, a void bill, what was entered by hand or came in a file with no account is for a person.';

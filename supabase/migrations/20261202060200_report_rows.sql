-- Rows of reports that are walked by posting or by customer, and sums of a span. All go by the date of the ledger's entries,
-- so that they come to what the ledger has, and stay as they are once a month is closed.

create function public.report_register(p jsonb) returns jsonb
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with asked as (
        select (p ->> 'from')::date as from_on, (p ->> 'to')::date as to_on, (p #>> '{after,on}')::date as after_on,
               (p #>> '{after,no}')::bigint as after_no, (p ->> 'limit')::integer as most
    ), found as materialized (
        select e.on_date, e.posting_no, e.kind, e.currency, e.amount_minor, e.bill_id, e.customer_id, e.note
        from asked a cross join lateral (
            select * from public.ledger_entries x
            where (x.on_date, x.posting_no) > (coalesce(a.after_on, a.from_on), coalesce(a.after_no, 0)) and x.on_date < a.to_on
              and x.bill_id is not null and x.kind in ('bill', 'bill_void')
            order by x.on_date, x.posting_no limit a.most) e
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(jsonb_build_object(
                     'on_date', f.on_date, 'posting_no', f.posting_no, 'kind', f.kind, 'currency', f.currency, 'bill_number', b.number,
                     'account_no', c.account_no, 'customer_name', c.name, 'tariff_code', t.code, 'period_start', b.period_start,
                     'period_end', b.period_end, 'consumption_wh', g.sign * b.consumption_wh, 'subtotal_minor', g.sign * b.subtotal_minor,
                     'tax_minor', g.sign * b.tax_minor, 'total_minor', f.amount_minor, 'due_date', b.due_date,
                     'note', case f.kind when 'bill_void' then f.note else '' end) order by f.on_date, f.posting_no), '[]')
                 from found f
                 cross join lateral (select case f.kind when 'bill' then 1 else -1 end as sign) g
                 join public.bills b on b.id = f.bill_id
                 join public.customers c on c.id = f.customer_id
                 join public.tariff_versions v on v.id = b.tariff_version_id
                 join public.tariffs t on t.id = v.tariff_id),
        'after', (select case when count(*) = (p ->> 'limit')::integer then jsonb_build_object('on', max(f.on_date),
                      'no', (array_agg(f.posting_no order by f.on_date desc, f.posting_no desc))[1]) end from found f))
$$;
comment on function public.report_register(jsonb) is
    'A page of the billing register, by date and posting: bills issued, and those voided below 0 on the date of the void: {from, to: exclusive, after?: {on, no}, limit} -> {rows, after}.';

create function public.report_revenue(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('rows', coalesce(jsonb_agg(to_jsonb(z) order by z.month, z.tariff_code, z.currency), '[]'))
    from (select date_trunc('month', x.on_date)::date as month, t.code as tariff_code, max(t.name) as tariff_name, x.currency,
                 sum(x.issued)::bigint as issued, sum(x.voided)::bigint as voided, sum(x.wh)::bigint as consumption_wh,
                 sum(x.subtotal)::bigint as subtotal_minor, sum(x.tax)::bigint as tax_minor, sum(x.total)::bigint as total_minor
          from (select e.on_date, e.currency, b.tariff_version_id, count(*) filter (where e.kind = 'bill') as issued,
                       count(*) filter (where e.kind = 'bill_void') as voided, sum(s.sign * b.consumption_wh) as wh,
                       sum(s.sign * b.subtotal_minor) as subtotal, sum(s.sign * b.tax_minor) as tax, sum(e.amount_minor) as total
                from public.ledger_entries e
                cross join lateral (select case e.kind when 'bill' then 1 else -1 end as sign) s
                join public.bills b on b.id = e.bill_id
                where e.on_date >= (p ->> 'from')::date and e.on_date < (p ->> 'to')::date and e.kind in ('bill', 'bill_void')
                group by 1, 2, 3) x
          join public.tariff_versions v on v.id = x.tariff_version_id
          join public.tariffs t on t.id = v.tariff_id
          group by 1, 2, 4) z
$$;
comment on function public.report_revenue(jsonb) is
    'What was billed, less what was voided, by month and tariff: {from, to: exclusive} -> {rows}.';

create function public.report_collections(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with posted as (
        select e.currency, e.kind, e.amount_minor, e.payment_id, e.return_id, e.book from public.ledger_entries e
        where e.on_date >= (p ->> 'from')::date and e.on_date < (p ->> 'to')::date
          and e.kind in ('payment', 'refund', 'reversal', 'dispute', 'payout', 'return_undone')
        union all
        select s.currency, s.kind, s.amount_minor, s.payment_id, s.return_id, 'suspense' from public.suspense_entries s
        where s.on_date >= (p ->> 'from')::date and s.on_date < (p ->> 'to')::date
    )
    select jsonb_build_object('rows', coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.method, z.cashier), '[]'))
    from (select x.currency, coalesce(r.method, y.method) as method,
                 case when x.return_id is null then y.recorded_by else r.created_by end as cashier,
                 -- What is assigned was received before.
                 coalesce(sum(case x.kind when 'payment' then 1 when 'assigned' then -1 end), 0)::bigint as payments,
                 coalesce(sum(-x.amount_minor) filter (where x.kind in ('payment', 'assigned')), 0)::bigint as received_minor,
                 coalesce(sum(x.amount_minor) filter (where x.kind not in ('payment', 'assigned')), 0)::bigint as returned_minor,
                 coalesce(sum(-x.amount_minor) filter (where x.book = 'deposit'), 0)::bigint as deposits_minor
          from posted x
          left join public.payments y on y.id = x.payment_id
          left join public.payment_returns r on r.id = x.return_id
          group by 1, 2, 3) z
$$;
comment on function public.report_collections(jsonb) is
    'Money received and given back by method and by who entered it, that of nobody known among it: {from, to: exclusive} -> {rows: [{currency, method, cashier, payments, received_minor, returned_minor, deposits_minor: of deposits, net}]}.';

create function public.report_credits(p jsonb) returns jsonb
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with found as materialized (
        select e.on_date, e.posting_no, e.kind, e.currency, e.amount_minor, e.customer_id, e.note, e.actor
        from public.ledger_entries e
        where (e.on_date, e.posting_no) > (coalesce((p #>> '{after,on}')::date, (p ->> 'from')::date), coalesce((p #>> '{after,no}')::bigint, 0))
          and e.on_date < (p ->> 'to')::date and e.kind in ('credit', 'credit_undone')
        order by e.on_date, e.posting_no limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(to_jsonb(f) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name)
                                           order by f.on_date, f.posting_no), '[]')
                 from found f join public.customers c on c.id = f.customer_id),
        'after', (select case when count(*) = (p ->> 'limit')::integer then jsonb_build_object('on', max(f.on_date),
                      'no', (array_agg(f.posting_no order by f.on_date desc, f.posting_no desc))[1]) end from found f))
$$;
comment on function public.report_credits(jsonb) is
    'A page of the credits given and taken back, write-offs among them, by date and posting: {from, to: exclusive, after?, limit} -> {rows, after}.';

create function public.report_deposits(p jsonb) returns jsonb
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with looked_at as materialized (
        select a.customer_id, a.currency from public.accounts a
        where a.book = 'deposit' and (a.customer_id, a.book, a.currency) > (coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000'),
                                                                           'deposit', coalesce(p #>> '{after,currency}', ''))
        order by a.customer_id, a.book, a.currency limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'currency', l.currency,
                     'held_minor', h.held, 'taken_on', h.taken_on) order by l.customer_id, l.currency), '[]')
                 from looked_at l
                 cross join lateral (
                     select (-sum(e.amount_minor))::bigint as held, min(e.on_date) filter (where e.amount_minor < 0) as taken_on
                     from public.ledger_entries e
                     where e.customer_id = l.customer_id and e.book = 'deposit' and e.currency = l.currency
                       and e.on_date < (p ->> 'until')::date) h
                 join public.customers c on c.id = l.customer_id
                 where h.held <> 0),
        'after', (select case when count(*) = (p ->> 'limit')::integer then (
                      select jsonb_build_object('id', z.customer_id, 'currency', z.currency) from looked_at z
                      order by z.customer_id desc, z.currency desc limit 1) end from looked_at))
$$;
comment on function public.report_deposits(jsonb) is
    'Deposits held before a date, by customer: {until: exclusive, after?: {id, currency}, limit: customers looked at} -> {rows, after}.';

revoke all on function public.report_register(jsonb), public.report_revenue(jsonb), public.report_collections(jsonb),
    public.report_credits(jsonb), public.report_deposits(jsonb) from public, anon, authenticated;
grant execute on function public.report_register(jsonb), public.report_revenue(jsonb), public.report_collections(jsonb),
    public.report_credits(jsonb), public.report_deposits(jsonb) to service_role;

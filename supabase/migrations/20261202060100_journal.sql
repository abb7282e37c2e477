-- The journal: what was posted as lines that balance, document by document. Which account each line goes to is not said here
-- but the part that it plays, such as receivables or the tax of a rate; the utility's account codes say the rest.

create function private.journal_of(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer)
    returns table (on_date date, posting_no bigint, book text, kind text, currency text, part text, detail text, amount_minor bigint,
                   customer_id uuid, bill_id uuid, payment_id uuid, return_id uuid, note text, actor text, created_at timestamptz,
                   code text, description text, unit text, base text)
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with posted as materialized (
        select * from (
            (select e.on_date, e.posting_no, e.book, e.kind, e.currency, e.amount_minor, e.customer_id, e.bill_id, e.payment_id,
                    e.return_id, e.note, e.actor, e.created_at
             from public.ledger_entries e
             where (e.on_date, e.posting_no) > (coalesce(p_after_on, p_from), coalesce(p_after_no, 0)) and e.on_date < p_to
             order by e.on_date, e.posting_no limit p_limit)
            union all
            (select s.on_date, s.posting_no, 'suspense', s.kind, s.currency, s.amount_minor, null, null, s.payment_id,
                    s.return_id, '', s.actor, s.created_at
             from public.suspense_entries s
             where (s.on_date, s.posting_no) > (coalesce(p_after_on, p_from), coalesce(p_after_no, 0)) and s.on_date < p_to
             order by s.on_date, s.posting_no limit p_limit)) x
        order by x.on_date, x.posting_no limit p_limit
    )
    select x.on_date, x.posting_no, x.book, x.kind, x.currency, l.part, l.detail, l.amount_minor, x.customer_id, x.bill_id,
           x.payment_id, x.return_id, x.note, x.actor, x.created_at, l.code, l.description, l.unit, l.base::text
    from posted x
    left join public.payments y on y.id = x.payment_id
    left join public.payment_returns r on r.id = x.return_id
    cross join lateral (
        select 0 as place, case x.book when 'account' then 'receivables' when 'deposit' then 'deposits' else 'suspense' end as part,
               '' as detail, x.amount_minor, null::text as code, null::text as description, null::text as unit, null::numeric as base
        -- A deposit that is used is posted in both books at once; what it is in the journal hangs on the one of deposits.
        where x.kind <> 'deposit_used' or x.book = 'deposit'
        union all
        select 1, 'receivables', '', -x.amount_minor, null, null, null, null where x.kind = 'deposit_used' and x.book = 'deposit'
        union all
        select 1, 'money', coalesce(r.method, y.method), -x.amount_minor, null, null, null, null
        where x.kind in ('payment', 'refund', 'reversal', 'dispute', 'payout', 'return_undone', 'assigned', 'return')
        union all
        select 1, case x.kind when 'credit' then 'credits' when 'credit_undone' then 'credits'
                              when 'fee' then 'fees' when 'fee_undone' then 'fees' else 'opening_balances' end,
               '', -x.amount_minor, null, null, null, null
        where x.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'opening_balance', 'opening_balance_undone')
        union all
        select 2, g.part, g.detail, (-g.sign * sum(g.amount_minor))::bigint, g.code, max(g.description), g.unit, g.sign * sum(g.quantity)
        from (select case x.kind when 'bill' then 1 else -1 end as sign, i.amount_minor,
                     case when i.tax then 'tax' when i.code in ('rounding', 'brought_forward', 'carried_forward') then 'rounding'
                          else 'revenue' end as part,
                     case when i.tax then coalesce(i.rate, '') when i.code in ('rounding', 'brought_forward', 'carried_forward') then ''
                          when i.unit in ('kWh', 'kVAh', 'kVArh') then 'energy' when i.unit in ('kW', 'kVA', 'kVAr') then 'demand'
                          when i.unit = '%' then 'percent' else 'fixed' end as detail,
                     case when i.tax then i.code end as code, case when i.tax then i.description end as description,
                     case when i.tax then i.unit end as unit,
                     -- What a bill before charged has a difference alone, and no quantity of its own.
                     case when i.tax and i.quantity ~ '^-?[0-9]+([.][0-9]+)?$' then i.quantity::numeric else 0 end as quantity
              from public.bill_lines i where i.bill_id = x.bill_id and x.kind in ('bill', 'bill_void')) g
        group by g.part, g.detail, g.code, g.unit, g.sign) l
    where l.amount_minor <> 0 or l.base <> 0
    order by x.on_date, x.posting_no, l.place, l.part, l.detail, l.code
$$;
comment on function private.journal_of(date, date, date, bigint, integer) is
    'The lines of up to so many postings of [from, to) after a posting: those of each posting come to 0. A debit is above 0. Tax lines say of what they are a tax, in their unit (money where that is %).';

create function private.last_posting(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) returns jsonb
    language sql stable set search_path = '' as $$
    select case when count(*) = p_limit then jsonb_build_object('on', max(z.on_date),
               'no', (array_agg(z.posting_no order by z.on_date desc, z.posting_no desc))[1]) end
    from (select * from (
            (select e.on_date, e.posting_no from public.ledger_entries e
             where (e.on_date, e.posting_no) > (coalesce(p_after_on, p_from), coalesce(p_after_no, 0)) and e.on_date < p_to
             order by e.on_date, e.posting_no limit p_limit)
            union all
            (select s.on_date, s.posting_no from public.suspense_entries s
             where (s.on_date, s.posting_no) > (coalesce(p_after_on, p_from), coalesce(p_after_no, 0)) and s.on_date < p_to
             order by s.on_date, s.posting_no limit p_limit)) x
          order by x.on_date, x.posting_no limit p_limit) z
$$;
comment on function private.last_posting(date, date, date, bigint, integer) is
    'After which posting the next page begins; null where there is none.';

create function public.journal_lines(p jsonb) returns jsonb
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with asked as (
        select (p ->> 'from')::date as from_on, (p ->> 'to')::date as to_on, (p #>> '{after,on}')::date as after_on,
               (p #>> '{after,no}')::bigint as after_no, (p ->> 'limit')::integer as most
    )
    select jsonb_build_object(
        'lines', (select coalesce(jsonb_agg(jsonb_build_object(
                      'on_date', j.on_date, 'posting_no', j.posting_no, 'kind', j.kind, 'book', j.book, 'currency', j.currency,
                      'part', j.part, 'detail', j.detail, 'amount_minor', j.amount_minor, 'bill_number', b.number,
                      'account_no', c.account_no, 'customer_name', c.name, 'reference', coalesce(nullif(r.reference, ''), y.reference),
                      'note', j.note, 'actor', j.actor, 'created_at', j.created_at, 'code', j.code) order by j.place), '[]')
                  from (select g.*, row_number() over () as place
                        from private.journal_of(a.from_on, a.to_on, a.after_on, a.after_no, a.most) g where g.amount_minor <> 0) j
                  left join public.customers c on c.id = j.customer_id
                  left join public.bills b on b.id = j.bill_id
                  left join public.payments y on y.id = j.payment_id
                  left join public.payment_returns r on r.id = j.return_id),
        'after', private.last_posting(a.from_on, a.to_on, a.after_on, a.after_no, a.most))
    from asked a
$$;
comment on function public.journal_lines(jsonb) is
    'A page of the journal, by date and posting: {from, to: exclusive, after?: {on, no}, limit: postings} -> {lines: [{on_date, posting_no, kind, book, currency, part: receivables | deposits | suspense | money | revenue | tax | rounding | credits | fees | opening_balances, detail: the method of money, what revenue is of, the rate of a tax, amount_minor: a debit above 0, ...}], after: for the next page, or null}.';

create function public.journal_sums(p jsonb) returns jsonb
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with asked as (
        select (p ->> 'from')::date as from_on, (p ->> 'to')::date as to_on, (p #>> '{after,on}')::date as after_on,
               (p #>> '{after,no}')::bigint as after_no, (p ->> 'limit')::integer as most
    )
    select jsonb_build_object(
        'sums', (select coalesce(jsonb_agg(to_jsonb(z)), '[]')
                 from (select j.on_date, j.currency, j.part, j.detail, j.amount_minor >= 0 as is_debit, j.code, max(j.description) as description,
                              j.unit, sum(j.amount_minor)::bigint as amount_minor, sum(j.base::numeric)::text as base,
                              count(distinct j.posting_no) as number
                       from private.journal_of(a.from_on, a.to_on, a.after_on, a.after_no, a.most) j
                       group by 1, 2, 3, 4, 5, j.code, j.unit) z),
        'after', private.last_posting(a.from_on, a.to_on, a.after_on, a.after_no, a.most))
    from asked a
$$;
comment on function public.journal_sums(jsonb) is
    'The lines of a page of journal_lines added up by day, part and side: {from, to, after?, limit} -> {sums: [{on_date, currency, part, detail, is_debit, code, description, unit, amount_minor, base: decimal text, number: postings}], after}. The sums of all pages are to be added up.';

create function public.ledger_balances_at(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with bounds as (select (p ->> 'until')::date as until, date_trunc('month', (p ->> 'until')::date)::date as month),
    parts as (
        -- Whole months are kept added up.
        select t.currency, t.book, t.amount_minor from public.ledger_totals t, bounds s where t.month < s.month
        union all
        select e.currency, e.book, e.amount_minor from public.ledger_entries e, bounds s where e.on_date >= s.month and e.on_date < s.until
        union all
        select e.currency, 'suspense', e.amount_minor from public.suspense_entries e, bounds s where e.on_date < s.until)
    select jsonb_build_object('balances', coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.book), '[]'))
    from (select currency, book, sum(amount_minor)::bigint as balance_minor from parts group by 1, 2) z
$$;
comment on function public.ledger_balances_at(jsonb) is
    'What the books came to before a date, by currency: {until: exclusive} -> {balances: [{currency, book: account | deposit | suspense, balance_minor}]}.';

create function public.utility_settings_of_month(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select (select to_jsonb(s) from public.utility_settings s
            where s.changed_at <= coalesce((select c.closed_at from public.month_closings c
                                            where c.month >= (p ->> 'month')::date order by c.month limit 1), 'infinity')
            order by s.version desc limit 1)
$$;
comment on function public.utility_settings_of_month(jsonb) is
    'The settings that held when a month was closed, of one that is open those that hold now; null before the first: {month: its 1st} -> {version, id, settings, changed_at}.';

revoke all on function private.journal_of(date, date, date, bigint, integer), private.last_posting(date, date, date, bigint, integer),
    public.journal_lines(jsonb), public.journal_sums(jsonb), public.ledger_balances_at(jsonb),
    public.utility_settings_of_month(jsonb) from public, anon, authenticated;
grant execute on function private.journal_of(date, date, date, bigint, integer), private.last_posting(date, date, date, bigint, integer),
    public.journal_lines(jsonb), public.journal_sums(jsonb), public.ledger_balances_at(jsonb),
    public.utility_settings_of_month(jsonb) to service_role;

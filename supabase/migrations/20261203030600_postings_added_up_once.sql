-- Revenue, collections, tax and the journal by day were added up from all postings of their days: minutes for a year of a large
-- utility. What is posted never changes, so that it is added up once, in the order of posting, a piece at a time in the background;
-- a report adds what was posted since.

create type private.posting as (
    on_date date, posting_no bigint, book text, kind text, currency text, amount_minor bigint, customer_id uuid, bill_id uuid,
    payment_id uuid, return_id uuid, note text, actor text, created_at timestamptz);

create table public.summed_postings (
    only_one boolean primary key default true check (only_one),
    upto bigint not null,
    safe bigint not null
);
comment on table public.summed_postings is
    'Up to which posting all are in posting_sums, revenue_sums and collection_sums, and up to which nobody posts any more.';
insert into public.summed_postings (upto, safe) values (0, 0);

create table public.posting_sums (
    on_date date not null,
    currency text not null,
    part text not null,
    detail text not null,
    is_debit boolean not null,
    code text not null,
    unit text not null,
    description text,
    amount_minor bigint not null,
    base numeric not null,
    number bigint not null,
    primary key (on_date, currency, part, detail, is_debit, code, unit)
);
comment on table public.posting_sums is 'The lines of the journal added up by day, part and side, up to summed_postings.upto.';

create table public.revenue_sums (
    on_date date not null,
    tariff_version_id uuid not null references public.tariff_versions (id),
    currency text not null,
    issued bigint not null,
    voided bigint not null,
    consumption_wh bigint not null,
    subtotal_minor bigint not null,
    tax_minor bigint not null,
    total_minor bigint not null,
    primary key (on_date, tariff_version_id, currency)
);
comment on table public.revenue_sums is 'Bills issued, less those voided, added up by day and tariff version, up to summed_postings.upto.';

create table public.collection_sums (
    on_date date not null,
    currency text not null,
    method text not null,
    cashier text not null,
    payments bigint not null,
    received_minor bigint not null,
    returned_minor bigint not null,
    deposits_minor bigint not null,
    primary key (on_date, currency, method, cashier)
);
comment on table public.collection_sums is 'Money received and given back added up by day, method and who entered it, up to summed_postings.upto.';

do $$
declare
    v_table text;
begin
    foreach v_table in array array['summed_postings', 'posting_sums', 'revenue_sums', 'collection_sums'] loop
        execute format('alter table public.%I enable row level security', v_table);
        execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_table);
        execute format('grant select, insert, update on public.%I to service_role', v_table);
    end loop;
end $$;

-- Numbers follow each other on the disk as they were drawn.
create index ledger_entries_in_order on public.ledger_entries using brin (posting_no) with (pages_per_range = 16, autosummarize = on);

create function private.lines_of_postings(p_posted private.posting[]) returns table(on_date date, posting_no bigint, book text, kind text, currency text, part text, detail text, amount_minor bigint, customer_id uuid, bill_id uuid, payment_id uuid, return_id uuid, note text, actor text, created_at timestamp with time zone, code text, description text, unit text, base text)
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $_$
    select x.on_date, x.posting_no, x.book, x.kind, x.currency, l.part, l.detail, l.amount_minor, x.customer_id, x.bill_id,
           x.payment_id, x.return_id, x.note, x.actor, x.created_at, l.code, l.description, l.unit, l.base::text
    from unnest(p_posted) x
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
$_$;
comment on function private.lines_of_postings(private.posting[]) is
    'The lines of postings in the journal: those of each come to 0. A debit is above 0. Tax lines say of what they are a tax, in their unit (money where that is %).';

create or replace function private.journal_of(p_from date, p_to date, p_after_on date, p_after_no bigint, p_limit integer) returns table(on_date date, posting_no bigint, book text, kind text, currency text, part text, detail text, amount_minor bigint, customer_id uuid, bill_id uuid, payment_id uuid, return_id uuid, note text, actor text, created_at timestamp with time zone, code text, description text, unit text, base text)
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    select l.* from private.lines_of_postings(array(
        select (x.on_date, x.posting_no, x.book, x.kind, x.currency, x.amount_minor, x.customer_id, x.bill_id, x.payment_id, x.return_id,
                x.note, x.actor, x.created_at)::private.posting
        from (
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
        order by x.on_date, x.posting_no limit p_limit)) l
$$;

create function private.postings_numbered(p_above bigint, p_upto bigint, p_from date, p_to date) returns private.posting[]
    language plpgsql stable set search_path = '' as $$
begin
    -- Planned with its numbers, which say how few there are.
    return (
        select coalesce(array_agg(y), '{}')
        from (select e.on_date, e.posting_no, e.book, e.kind, e.currency, e.amount_minor, e.customer_id, e.bill_id, e.payment_id, e.return_id,
                     e.note, e.actor, e.created_at
              from public.ledger_entries e
              where e.posting_no > p_above and e.posting_no <= p_upto and e.on_date >= p_from and e.on_date < p_to
              union all
              select s.on_date, s.posting_no, 'suspense', s.kind, s.currency, s.amount_minor, null, null, s.payment_id, s.return_id,
                     '', s.actor, s.created_at
              from public.suspense_entries s
              where s.posting_no > p_above and s.posting_no <= p_upto and s.on_date >= p_from and s.on_date < p_to) x
        cross join lateral (select (x.on_date, x.posting_no, x.book, x.kind, x.currency, x.amount_minor, x.customer_id, x.bill_id,
                                    x.payment_id, x.return_id, x.note, x.actor, x.created_at)::private.posting as y) z);
end $$;
alter function private.postings_numbered(bigint, bigint, date, date) set plan_cache_mode = force_custom_plan;
comment on function private.postings_numbered(bigint, bigint, date, date) is 'Postings above a number and up to another, dated in [from, to).';

create function private.sums_of_journal(p_posted private.posting[]) returns setof public.posting_sums
    language sql stable set search_path = '' as $$
    select j.on_date, j.currency, j.part, j.detail, j.amount_minor >= 0, coalesce(j.code, ''), coalesce(j.unit, ''), max(j.description),
           sum(j.amount_minor)::bigint, coalesce(sum(j.base::numeric), 0), count(distinct j.posting_no)
    from private.lines_of_postings(p_posted) j group by 1, 2, 3, 4, 5, 6, 7
$$;
comment on function private.sums_of_journal(private.posting[]) is 'The lines of postings added up as posting_sums has them.';

create function private.sums_of_revenue(p_posted private.posting[]) returns setof public.revenue_sums
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    select e.on_date, b.tariff_version_id, e.currency, count(*) filter (where e.kind = 'bill'), count(*) filter (where e.kind = 'bill_void'),
           sum(s.sign * b.consumption_wh)::bigint, sum(s.sign * b.subtotal_minor)::bigint, sum(s.sign * b.tax_minor)::bigint,
           sum(e.amount_minor)::bigint
    from unnest(p_posted) e
    cross join lateral (select case e.kind when 'bill' then 1 else -1 end as sign) s
    join public.bills b on b.id = e.bill_id
    where e.kind in ('bill', 'bill_void')
    group by 1, 2, 3
$$;
comment on function private.sums_of_revenue(private.posting[]) is 'Bills among postings added up as revenue_sums has them.';

create function private.sums_of_collections(p_posted private.posting[]) returns setof public.collection_sums
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    select x.on_date, x.currency, coalesce(r.method, y.method),
           coalesce(case when x.return_id is null then y.recorded_by else r.created_by end, ''),
           -- What is assigned was received before.
           coalesce(sum(case x.kind when 'payment' then 1 when 'assigned' then -1 end), 0)::bigint,
           coalesce(sum(-x.amount_minor) filter (where x.kind in ('payment', 'assigned')), 0)::bigint,
           coalesce(sum(x.amount_minor) filter (where x.kind not in ('payment', 'assigned')), 0)::bigint,
           coalesce(sum(-x.amount_minor) filter (where x.book = 'deposit'), 0)::bigint
    from unnest(p_posted) x
    left join public.payments y on y.id = x.payment_id
    left join public.payment_returns r on r.id = x.return_id
    where x.book = 'suspense' or x.kind in ('payment', 'refund', 'reversal', 'dispute', 'payout', 'return_undone')
    group by 1, 2, 3, 4
$$;
comment on function private.sums_of_collections(private.posting[]) is 'Money among postings added up as collection_sums has it.';

create function private.last_posting_no() returns bigint
    language sql stable set search_path = '' as $$
    select case when is_called then last_value else 0 end from public.posting_no
$$;
comment on function private.last_posting_no() is 'The number that was drawn last for a posting, 0 before the first.';

create function private.postings_behind() returns jsonb
    language sql stable set search_path = '' as $$
    -- What was posted since is added up by whoever asks, if it is not more.
    select case when n.last_no - s.upto > 3000 then jsonb_build_object('permille', least(s.upto * 1000 / n.last_no, 999)) end
    from public.summed_postings s cross join (select private.last_posting_no() as last_no) n
$$;
comment on function private.postings_behind() is 'How far postings are added up, {permille}, where more is left than a question can wait for; else null.';

create function private.postings_since(p_from date, p_to date) returns private.posting[]
    language sql stable set search_path = '' as $$
    select private.postings_numbered((select s.upto from public.summed_postings s), 9223372036854775807, p_from, p_to)
$$;
comment on function private.postings_since(date, date) is 'Postings of [from, to) that are not added up yet.';

create function public.sum_postings(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_last constant bigint := private.last_posting_no();
    v_at public.summed_postings;
    v_upto bigint;
    v_posted private.posting[];
begin
    select * into v_at from public.summed_postings s for update skip locked;
    if not found or v_at.upto >= v_last then
        return '{"worked": false}'::jsonb;
    elsif v_at.upto >= v_at.safe then
        -- Whoever drew a number by now has posted it, or never will.
        perform pg_advisory_xact_lock(hashtext('ledger'));
        update public.summed_postings s set safe = private.last_posting_no();
        return '{"worked": true}'::jsonb;
    end if;
    v_upto := least(v_at.upto + (p ->> 'limit')::bigint, v_at.safe);
    v_posted := private.postings_numbered(v_at.upto, v_upto, '-infinity', 'infinity');
    insert into public.posting_sums as k select * from private.sums_of_journal(v_posted)
    on conflict (on_date, currency, part, detail, is_debit, code, unit) do update set
        description = greatest(k.description, excluded.description), amount_minor = k.amount_minor + excluded.amount_minor,
        base = k.base + excluded.base, number = k.number + excluded.number;
    insert into public.revenue_sums as k select * from private.sums_of_revenue(v_posted)
    on conflict (on_date, tariff_version_id, currency) do update set
        issued = k.issued + excluded.issued, voided = k.voided + excluded.voided, consumption_wh = k.consumption_wh + excluded.consumption_wh,
        subtotal_minor = k.subtotal_minor + excluded.subtotal_minor, tax_minor = k.tax_minor + excluded.tax_minor,
        total_minor = k.total_minor + excluded.total_minor;
    insert into public.collection_sums as k select * from private.sums_of_collections(v_posted)
    on conflict (on_date, currency, method, cashier) do update set
        payments = k.payments + excluded.payments, received_minor = k.received_minor + excluded.received_minor,
        returned_minor = k.returned_minor + excluded.returned_minor, deposits_minor = k.deposits_minor + excluded.deposits_minor;
    update public.summed_postings s set upto = v_upto;
    return '{"worked": true}'::jsonb;
end $$;
comment on function public.sum_postings(jsonb) is
    'Adds up the next so many postings for the reports: {limit} -> {worked: something was left, and nobody else is at it}.';

create or replace function public.journal_sums(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select coalesce(private.postings_behind(), (
        select jsonb_build_object('sums', coalesce(jsonb_agg(jsonb_build_object(
            'on_date', z.on_date, 'currency', z.currency, 'part', z.part, 'detail', z.detail, 'is_debit', z.is_debit, 'code', nullif(z.code, ''),
            'description', z.description, 'unit', nullif(z.unit, ''), 'amount_minor', z.amount_minor, 'base', z.base::text,
            'number', z.number)), '[]'))
        from (select x.on_date, x.currency, x.part, x.detail, x.is_debit, x.code, x.unit, max(x.description) as description,
                     sum(x.amount_minor)::bigint as amount_minor, sum(x.base) as base, sum(x.number)::bigint as number
              from (select * from public.posting_sums k where k.on_date >= (p ->> 'from')::date and k.on_date < (p ->> 'to')::date
                    union all
                    select * from private.sums_of_journal(private.postings_since((p ->> 'from')::date, (p ->> 'to')::date))) x
              group by 1, 2, 3, 4, 5, 6, 7) z))
$$;
comment on function public.journal_sums(jsonb) is
    'The lines of the journal added up by day, part and side: {from, to: exclusive} -> {sums: [{on_date, currency, part, detail, is_debit, code, description, unit, amount_minor, base: decimal text, number: postings}]}, or {permille} while they are being added up.';

create or replace function public.report_revenue(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select coalesce(private.postings_behind(), (
        select jsonb_build_object('rows', coalesce(jsonb_agg(to_jsonb(z) order by z.month, z.tariff_code, z.currency), '[]'))
        from (select date_trunc('month', x.on_date)::date as month, t.code as tariff_code, max(t.name) as tariff_name, x.currency,
                     sum(x.issued)::bigint as issued, sum(x.voided)::bigint as voided, sum(x.consumption_wh)::bigint as consumption_wh,
                     sum(x.subtotal_minor)::bigint as subtotal_minor, sum(x.tax_minor)::bigint as tax_minor,
                     sum(x.total_minor)::bigint as total_minor
              from (select * from public.revenue_sums k where k.on_date >= (p ->> 'from')::date and k.on_date < (p ->> 'to')::date
                    union all
                    select * from private.sums_of_revenue(private.postings_since((p ->> 'from')::date, (p ->> 'to')::date))) x
              join public.tariff_versions v on v.id = x.tariff_version_id
              join public.tariffs t on t.id = v.tariff_id
              group by 1, 2, 4) z))
$$;
comment on function public.report_revenue(jsonb) is
    'What was billed, less what was voided, by month and tariff: {from, to: exclusive} -> {rows}, or {permille} while it is being added up.';

create or replace function public.report_collections(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select coalesce(private.postings_behind(), (
        select jsonb_build_object('rows', coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.method, z.cashier), '[]'))
        from (select x.currency, x.method, x.cashier, sum(x.payments)::bigint as payments, sum(x.received_minor)::bigint as received_minor,
                     sum(x.returned_minor)::bigint as returned_minor, sum(x.deposits_minor)::bigint as deposits_minor
              from (select * from public.collection_sums k where k.on_date >= (p ->> 'from')::date and k.on_date < (p ->> 'to')::date
                    union all
                    select * from private.sums_of_collections(private.postings_since((p ->> 'from')::date, (p ->> 'to')::date))) x
              group by 1, 2, 3) z))
$$;
comment on function public.report_collections(jsonb) is
    'Money received and given back by method and by who entered it, that of nobody known among it: {from, to: exclusive} -> {rows: [{currency, method, cashier, payments, received_minor, returned_minor, deposits_minor: of deposits, net}]}, or {permille} while it is being added up.';

revoke all on type private.posting from public;
grant usage on type private.posting to service_role;
revoke all on function private.lines_of_postings(private.posting[]), private.postings_numbered(bigint, bigint, date, date),
    private.sums_of_journal(private.posting[]), private.sums_of_revenue(private.posting[]), private.sums_of_collections(private.posting[]),
    private.last_posting_no(), private.postings_behind(), private.postings_since(date, date), public.sum_postings(jsonb)
    from public, anon, authenticated;
grant execute on function private.lines_of_postings(private.posting[]), private.postings_numbered(bigint, bigint, date, date),
    private.sums_of_journal(private.posting[]), private.sums_of_revenue(private.posting[]), private.sums_of_collections(private.posting[]),
    private.last_posting_no(), private.postings_behind(), private.postings_since(date, date), public.sum_postings(jsonb)
    to service_role;

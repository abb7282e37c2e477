-- Who owes since when, what was not read or not billed, and a year for the regulator.

create index readings_estimated on public.readings (read_on, id) where source = 'estimated' and status = 'accepted';
create index missed_reads_walked on public.missed_reads (missed_on, id);

create function public.report_aged_debt(p jsonb) returns jsonb
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with asked as (
        select (p ->> 'until')::date as until, (p ->> 'until_at')::timestamptz as until_at,
               -- Nothing is dated later: what is open now is what was open then.
               not exists (select 1 from public.ledger_entries e where e.on_date >= (p ->> 'until')::date)
                   and (p ->> 'until_at')::timestamptz > now() as is_now
    ), looked_at as materialized (
        select a.customer_id, a.currency from public.accounts a
        where a.book = 'account' and (a.customer_id, a.book, a.currency)
              > (coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000'), 'account', coalesce(p #>> '{after,currency}', ''))
        order by a.customer_id, a.book, a.currency limit (p ->> 'limit')::integer
    ), open as (
        select o.customer_id, o.currency, o.open_minor as minor, coalesce(b.due_date, o.order_on) as due_on
        from asked s cross join looked_at l
        join public.open_items o on o.customer_id = l.customer_id and o.book = 'account' and o.currency = l.currency and o.open_minor <> 0
        join public.ledger_entries e on e.id = o.entry_id
        left join public.bills b on b.id = e.bill_id and e.kind = 'bill'
        where s.is_now
        union all
        select e.customer_id, e.currency, e.amount_minor + x.paid, coalesce(b.due_date, o.order_on, e.on_date)
        from asked s cross join looked_at l
        join public.ledger_entries e on e.customer_id = l.customer_id and e.book = 'account' and e.currency = l.currency and e.on_date < s.until
        cross join lateral (
            select coalesce(sum(y.amount), 0)::bigint as paid
            from (select a.amount_minor as amount, a.created_at as at, a.debit_entry_id as other_id
                  from public.allocations a where a.credit_entry_id = e.id
                  union all
                  select -a.amount_minor, a.created_at, a.credit_entry_id from public.allocations a where a.debit_entry_id = e.id) y
            join public.ledger_entries z on z.id = y.other_id
            -- As for the month's receivables: what was let pay later is of later, but what came late with what it paid comes with it.
            where z.on_date < s.until and (y.at < s.until_at or y.at <= greatest(e.created_at, z.created_at))) x
        left join public.open_items o on o.entry_id = e.id
        left join public.bills b on b.id = e.bill_id and e.kind = 'bill'
        where not s.is_now and e.amount_minor + x.paid <> 0
    ), aged as (
        select o.customer_id, o.currency,
               coalesce(sum(o.minor) filter (where o.minor > 0 and d.late <= 0), 0)::bigint as not_due_minor,
               coalesce(sum(o.minor) filter (where o.minor > 0 and d.late between 1 and 30), 0)::bigint as late_30_minor,
               coalesce(sum(o.minor) filter (where o.minor > 0 and d.late between 31 and 60), 0)::bigint as late_60_minor,
               coalesce(sum(o.minor) filter (where o.minor > 0 and d.late between 61 and 90), 0)::bigint as late_90_minor,
               coalesce(sum(o.minor) filter (where o.minor > 0 and d.late > 90), 0)::bigint as later_minor,
               coalesce(sum(o.minor) filter (where o.minor < 0), 0)::bigint as credit_minor,
               sum(o.minor)::bigint as balance_minor,
               min(o.due_on) filter (where o.minor > 0 and d.late > 0) as since,
               max(d.late) filter (where o.minor > 0 and d.late > 0) as days_late
        from open o cross join asked s cross join lateral (select s.until - 1 - o.due_on as late) d
        group by 1, 2
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(to_jsonb(g) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'phone', c.phone)
                                           order by g.customer_id, g.currency), '[]')
                 from aged g join public.customers c on c.id = g.customer_id),
        'after', (select case when count(*) = (p ->> 'limit')::integer then (
                      select jsonb_build_object('id', z.customer_id, 'currency', z.currency) from looked_at z
                      order by z.customer_id desc, z.currency desc limit 1) end from looked_at))
$$;
comment on function public.report_aged_debt(jsonb) is
    'What was open at the end of a day, by customer and days past due: {until: exclusive, until_at: its instant, after?: {id, currency}, limit: customers looked at} -> {rows, after}. A bill is late from its due date on, all else from its own.';

create function public.report_reads(p jsonb) returns jsonb
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with asked as (
        select coalesce((p #>> '{after,on}')::date, (p ->> 'from')::date) as after_on,
               coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000') as after_id,
               (p ->> 'to')::date as to_on, (p ->> 'limit')::integer as most
    ), found as materialized (
        select x.* from asked s cross join lateral (
            (select r.read_on as on_date, r.id, 'estimated' as kind, r.meter_id, null::uuid as service_point_id, r.register_wh, r.submitted_by as by,
                    '' as why
             from public.readings r
             where r.source = 'estimated' and r.status = 'accepted' and (r.read_on, r.id) > (s.after_on, s.after_id) and r.read_on < s.to_on
             order by r.read_on, r.id limit s.most)
            union all
            (select m.missed_on, m.id, 'not read', m.meter_id, m.service_point_id, null, m.submitted_by,
                    m.reason || case when m.note = '' then '' else ': ' || m.note end
             from public.missed_reads m
             where (m.missed_on, m.id) > (s.after_on, s.after_id) and m.missed_on < s.to_on
             order by m.missed_on, m.id limit s.most)) x
        order by x.on_date, x.id limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(jsonb_build_object('on_date', f.on_date, 'kind', f.kind, 'meter_serial', m.serial, 'place', t.code,
                     'address', t.address, 'register_wh', f.register_wh, 'entered_by', f.by, 'reason', f.why) order by f.on_date, f.id), '[]')
                 from found f
                 join public.meters m on m.id = f.meter_id
                 left join lateral (
                     select s.code, s.address from public.meter_installations i
                     join public.service_points s on s.id = i.service_point_id
                     where i.meter_id = f.meter_id and (f.service_point_id is null or i.service_point_id = f.service_point_id)
                     order by i.installed_at desc limit 1) t on true),
        'after', (select case when count(*) = (p ->> 'limit')::integer then (
                      select jsonb_build_object('on', z.on_date, 'id', z.id) from found z order by z.on_date desc, z.id desc limit 1) end
                  from found))
$$;
comment on function public.report_reads(jsonb) is
    'Reads that were estimated, and visits at which a meter could not be read, by date: {from, to: exclusive, after?: {on, id}, limit} -> {rows, after}.';

create function public.report_unbilled(p jsonb) returns jsonb
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with looked_at as materialized (
        select distinct v.service_point_id from public.vacancies v
        where v.service_point_id > coalesce((p #>> '{after,id}')::uuid, '00000000-0000-0000-0000-000000000000')
          and coalesce(v.until, 'infinity') > (p ->> 'from')::date and coalesce(v.since, '-infinity') < (p ->> 'to')::date
        order by 1 limit (p ->> 'limit')::integer
    )
    select jsonb_build_object(
        'rows', (select coalesce(jsonb_agg(jsonb_build_object('place', u.service_point_code, 'address', u.address, 'meter_serial', u.meter_serial,
                     'since', u.since, 'until', u.until, 'consumption_wh', u.wh) order by u.service_point_id, u.since, u.meter_serial), '[]')
                 from looked_at l
                 join public.unbilled_use_list u on u.service_point_id = l.service_point_id
                 where coalesce(u.until, 'infinity') > (p ->> 'from')::date and coalesce(u.since, '-infinity') < (p ->> 'to')::date and u.wh <> 0),
        'after', (select case when count(*) = (p ->> 'limit')::integer then jsonb_build_object(
                      'id', (array_agg(l.service_point_id order by l.service_point_id desc))[1]) end from looked_at l))
$$;
comment on function public.report_unbilled(jsonb) is
    'What was measured where nobody had an agreement, of all times that touch a span: {from, to: exclusive, after?: {id}, limit: places} -> {rows, after}.';

create function public.report_year(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with bounds as (select (p ->> 'from')::date as from_on, (p ->> 'to')::date as to_on)
    select jsonb_build_object(
        'supplied', (select coalesce(jsonb_agg(jsonb_build_object('tariff_code', z.code, 'agreements', z.number) order by z.code), '[]')
                     from (select t.code, count(*) as number
                           from bounds b
                           join public.service_agreements a on a.starts_on < b.to_on and coalesce(a.ends_on, 'infinity') >= b.to_on
                           cross join lateral (select x.tariff_id from public.agreement_tariffs x
                                               where x.agreement_id = a.id and x.starts_on < b.to_on order by x.starts_on desc limit 1) y
                           join public.tariffs t on t.id = y.tariff_id group by 1) z),
        'into_network_wh', (select coalesce(sum(s.energy_wh), 0)::bigint from public.supplies s, bounds b
                            where s.period_start >= b.from_on and s.period_start < b.to_on),
        'estimated_reads', (select count(*) from public.readings r, bounds b
                            where r.source = 'estimated' and r.status = 'accepted' and r.read_on >= b.from_on and r.read_on < b.to_on),
        'disconnections', (select count(*) from public.disconnections d, bounds b
                           where not d.withdrawn and d.disconnected_on >= b.from_on and d.disconnected_on < b.to_on),
        'reconnections', (select count(*) from public.disconnections d, bounds b
                          where not d.withdrawn and d.reconnected_on >= b.from_on and d.reconnected_on < b.to_on))
$$;
comment on function public.report_year(jsonb) is
    'Counts of a span beside its money: {from, to: exclusive} -> {supplied: agreements at its end by tariff, into_network_wh: of supply periods that begin in it, estimated_reads, disconnections, reconnections}.';

-- What a cashier took is closed once a day, against what was counted. It is closed by payment, so that none is in two closings
-- or in none: what is entered after a closing is in the next one.

create table public.cash_closings (
    id uuid primary key,
    cashier text not null check (cashier <> ''),
    on_date date not null,
    since timestamptz not null,
    closed_at timestamptz not null default now(),
    closed_by text not null check (closed_by <> ''),
    note text not null default '',
    counts jsonb not null check (jsonb_typeof(counts) = 'array'),
    unique (cashier, on_date)
);
comment on table public.cash_closings is 'The days that cashiers closed: what was expected and what was counted. Never changed.';
comment on column public.cash_closings.since is 'What was entered from then on is in it, unless it is in an earlier one.';
comment on column public.cash_closings.counts is 'By currency and method: [{currency, method, expected_minor, counted_minor}].';
create index cash_closings_recent on public.cash_closings (on_date desc, cashier);

create table public.cash_closing_items (
    id bigint primary key generated always as identity,
    closing_id uuid not null references public.cash_closings,
    payment_id uuid unique references public.payments,
    return_id uuid unique references public.payment_returns,
    check ((payment_id is null) <> (return_id is null))
);
comment on table public.cash_closing_items is 'What each closing of a cashier is of: payments that they entered, and money that they gave back.';


create index payments_by_cashier on public.payments (recorded_by, created_at) where method <> 'stripe';
create index payment_returns_by_cashier on public.payment_returns (created_by, created_at) where method <> 'stripe';

alter table public.cash_closings enable row level security;
alter table public.cash_closing_items enable row level security;
revoke all on public.cash_closings, public.cash_closing_items from public, anon, authenticated, service_role;
grant select, insert on public.cash_closings, public.cash_closing_items to service_role;
create trigger refuse_update before update on public.cash_closings for each row execute function private.refuse_change();
create trigger refuse_delete before delete on public.cash_closings for each row execute function private.refuse_delete();
create trigger refuse_truncate before truncate on public.cash_closings for each statement execute function private.refuse_delete();
create trigger refuse_update before update on public.cash_closing_items for each row execute function private.refuse_change();
create trigger refuse_delete before delete on public.cash_closing_items for each row execute function private.refuse_delete();
create trigger refuse_truncate before truncate on public.cash_closing_items for each statement execute function private.refuse_delete();

create function private.cash_day_items(p_cashier text, p_from timestamptz)
    returns table (payment_id uuid, return_id uuid, currency text, method text, minor bigint)
    language sql stable set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
    with since as (
        -- What was begun before a closing and stored after it is looked for a day back.
        select coalesce(greatest(min(c.since), max(c.closed_at) - interval '1 day'), p_from) as at
        from public.cash_closings c where c.cashier = p_cashier
    )
    select y.id, null::uuid, y.currency, y.method, y.amount_minor from since s
    join public.payments y on y.recorded_by = p_cashier and y.method <> 'stripe' and y.created_at >= s.at
    where not exists (select 1 from public.cash_closing_items i where i.payment_id = y.id)
    union all
    select null, r.id, r.currency, r.method, -r.amount_minor from since s
    join public.payment_returns r on r.created_by = p_cashier and r.method <> 'stripe' and r.created_at >= s.at
    where r.status = 'done' and not exists (select 1 from public.cash_closing_items i where i.return_id = r.id)
$$;
comment on function private.cash_day_items(text, timestamptz) is
    'What a cashier entered and gave back that is in no closing; before their first one, from a moment on.';

create function public.cash_day(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'closing', (select to_jsonb(c) from public.cash_closings c where c.cashier = p ->> 'cashier' and c.on_date = (p ->> 'on_date')::date),
        'since', coalesce((select max(c.closed_at) from public.cash_closings c where c.cashier = p ->> 'cashier'), (p ->> 'from')::timestamptz),
        'rows', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.method), '[]')
                 from (select i.currency, i.method, count(i.payment_id) as payments,
                              coalesce(sum(i.minor) filter (where i.minor > 0), 0)::bigint as received_minor,
                              coalesce(-sum(i.minor) filter (where i.minor < 0), 0)::bigint as returned_minor
                       from private.cash_day_items(p ->> 'cashier', (p ->> 'from')::timestamptz) i group by 1, 2) z))
$$;
comment on function public.cash_day(jsonb) is
    'What a cashier took since their last closing, by method: {cashier, on_date, from: of the first closing} -> {closing: of that day, if it is closed, since, rows}.';

create function public.close_cash_day(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_items jsonb;
    v_counts jsonb;
begin
    perform private.set_actor(p);
    perform pg_advisory_xact_lock(hashtextextended('cash day ' || (p ->> 'cashier'), 0));
    if exists (select 1 from public.cash_closings where id = (p ->> 'id')::uuid) then
        return '{}'::jsonb;
    elsif exists (select 1 from public.cash_closings where cashier = p ->> 'cashier' and on_date = (p ->> 'on_date')::date) then
        perform private.refuse('EB005', 'This day is closed already.');
    end if;
    v_items := (select coalesce(jsonb_agg(to_jsonb(i)), '[]') from private.cash_day_items(p ->> 'cashier', (p ->> 'from')::timestamptz) i);
    v_counts := (
        select coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'method', method, 'expected_minor', coalesce(e.minor, 0),
                                                     'counted_minor', coalesce(c.counted_minor, 0)) order by currency, method), '[]')
        from (select x.currency, x.method, sum(x.minor)::bigint as minor
              from jsonb_to_recordset(v_items) as x(currency text, method text, minor bigint) group by 1, 2) e
        full join jsonb_to_recordset(p -> 'counts') as c(currency text, method text, expected_minor bigint, counted_minor bigint)
            using (currency, method));
    if exists (select 1 from jsonb_to_recordset(v_counts) as n(currency text, method text, expected_minor bigint)
               full join jsonb_to_recordset(p -> 'counts') as c(currency text, method text, expected_minor bigint) using (currency, method)
               where n.expected_minor is distinct from c.expected_minor) then
        perform private.refuse('EB005', 'Something was entered or given back meanwhile: look at what is expected now.');
    elsif btrim(coalesce(p ->> 'note', '')) = '' and exists (
        select 1 from jsonb_to_recordset(v_counts) as n(expected_minor bigint, counted_minor bigint)
        where n.expected_minor <> n.counted_minor) then
        perform private.refuse('EB005', 'Say in the note why another amount was counted than is expected.');
    end if;
    insert into public.cash_closings (id, cashier, on_date, since, closed_by, note, counts)
    values ((p ->> 'id')::uuid, p ->> 'cashier', (p ->> 'on_date')::date,
            coalesce((select max(c.closed_at) from public.cash_closings c where c.cashier = p ->> 'cashier'), (p ->> 'from')::timestamptz),
            p ->> 'actor', btrim(coalesce(p ->> 'note', '')), v_counts);
    insert into public.cash_closing_items (closing_id, payment_id, return_id)
    select (p ->> 'id')::uuid, x.payment_id, x.return_id from jsonb_to_recordset(v_items) as x(payment_id uuid, return_id uuid);
    return '{}'::jsonb;
end $$;
comment on function public.close_cash_day(jsonb) is
    'Closes a cashier''s day, once: {actor, id, cashier, on_date, from: of the first closing, counts: [{currency, method, expected_minor: as it was shown, counted_minor}], note: needed where they differ}. EB005 where something came meanwhile.';

revoke all on function public.report_aged_debt(jsonb), public.report_reads(jsonb), public.report_unbilled(jsonb), public.report_year(jsonb),
    private.cash_day_items(text, timestamptz), public.cash_day(jsonb), public.close_cash_day(jsonb) from public, anon, authenticated;
grant execute on function public.report_aged_debt(jsonb), public.report_reads(jsonb), public.report_unbilled(jsonb), public.report_year(jsonb),
    private.cash_day_items(text, timestamptz), public.cash_day(jsonb), public.close_cash_day(jsonb) to service_role;

do $$ begin
    execute replace(pg_get_functiondef('private.archived_tables()'::regprocedure), '''suspense_entries''',
                    '''suspense_entries'', ''cash_closings'', ''cash_closing_items''');
end $$;

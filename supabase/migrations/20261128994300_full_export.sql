-- The full export: what the imports take back, from where billing goes on, and every table as an archive.

-- A deposit that is held comes with the balances, also of somebody who has no agreement any more.
create or replace function public.import_balances(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    v_errors jsonb;
    v_customers uuid[];
    v_added integer := 0;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    v_customers := array(
        select c.id from public.customers c
        where c.account_no = any (array(select x ->> 'account_no' from jsonb_array_elements(p -> 'rows') x)) order by c.id);
    perform private.lock_customers(v_customers);
    select jsonb_agg(jsonb_build_object('row', q."row", 'column', q.problem[1], 'message', q.problem[2]) order by q."row")
    into v_errors
    from (
        select x."row", case
            when c.id is null then array['account_no', format('No customer has the account number %s.', x.account_no)]
            when c.currency <> x.currency then array['currency', format('Account %s is in %s, not in %s.', x.account_no, c.currency, x.currency)]
            when e.id is not null and (e.amount_minor, o.order_on) is distinct from (x.amount_minor, x.as_of) then array[case x.book when 'deposit' then 'deposit' else 'balance' end, format(
                'Account %s has an opening balance with this reference already, as of %s and of another amount or date. Take that one back on the customer''s page, and give this row another reference.',
                x.account_no, o.order_on)]
            end as problem
        from jsonb_to_recordset(p -> 'rows') as x("row" integer, id uuid, account_no text, book text, currency text, amount_minor bigint, as_of date)
        left join public.customers c on c.account_no = x.account_no
        left join public.ledger_entries e on e.id = x.id
        left join public.open_items o on o.entry_id = x.id) q
    where q.problem is not null;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        select count(*) into v_added
        from jsonb_to_recordset(p -> 'rows') as x(id uuid, amount_minor bigint)
        where x.amount_minor <> 0 and not exists (select 1 from public.ledger_entries e where e.id = x.id);
        perform private.post_entries((
            select jsonb_agg(jsonb_build_object(
                'id', x.id, 'customer_id', c.id, 'book', coalesce(x.book, 'account'), 'currency', x.currency, 'kind', 'opening_balance', 'amount_minor', x.amount_minor,
                'on_date', x.as_of, 'order_on', x.as_of, 'note', x.note) order by x.as_of, x."row")
            from jsonb_to_recordset(p -> 'rows') as x(
                "row" integer, id uuid, account_no text, book text, currency text, amount_minor bigint, as_of date, note text)
            join public.customers c on c.account_no = x.account_no
            where x.amount_minor <> 0 and not exists (select 1 from public.ledger_entries e where e.id = x.id))) where v_added > 0;
        perform private.settle(v_customers) where v_added > 0;
    end if;
    return private.import_answer(v_errors, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;
comment on function public.import_balances(jsonb) is
    'Enters what was owed, in credit or held as a deposit before this system, and lets credit pay what is open: {actor, dry_run, outbox?, rows: [{row, id, account_no, book?: account|deposit, currency, amount_minor: above 0 is owed, as_of, note}]}. A repeat changes nothing; an amount of 0 is no entry.';

create view private.export_customers with (security_invoker = true) as
select c.id, c.account_no, c.name, c.email, c.phone, c.address, c.currency, c.language, h.whatsapp_opt_in_at
from public.customers c left join public.customer_channels h on h.customer_id = c.id;

create view private.export_transformers with (security_invoker = true) as
select t.id, t.code, t.name, f.code as feeder_code, f.name as feeder_name, t.rated_kva
from public.transformers t join public.feeders f on f.id = t.feeder_id;

create view private.export_service_points with (security_invoker = true) as
select s.id, s.code, s.address, t.code as transformer_code, s.route, s.sequence, s.phases, s.connected_w, s.connected_va, s.access_note
from public.service_points s left join public.transformers t on t.id = s.transformer_id;

-- Where billing goes on: at the last read that an issued bill closed at, else at the read of the installation.
create view private.export_meters with (security_invoker = true) as
select m.id, m.serial, m.kind, m.dials, m.registers, i.multiplier_milli, r.id as opening_id, r.read_at, r.read_on, r.register_wh,
       r.registers as opening_registers, s.id as service_point_id, s.code as service_point, c.account_no, t.code as tariff_code
from public.meters m
join public.meter_installations i on i.meter_id = m.id and i.removed_at is null
join public.service_points s on s.id = i.service_point_id
left join lateral (
    select b.closing_reading_id from public.service_agreements a
    join public.bills b on b.agreement_id = a.id and b.status = 'issued' and b.meter_id = m.id
    join public.readings x on x.id = b.closing_reading_id and x.read_at >= i.installed_at
    where a.service_point_id = s.id
    order by x.read_at desc limit 1) b on true
join public.readings r on r.id = coalesce(b.closing_reading_id, i.opening_reading_id)
left join public.service_agreements a on a.service_point_id = s.id and a.starts_on <= r.read_on and coalesce(a.ends_on, 'infinity') > r.read_on
left join public.customers c on c.id = a.customer_id
left join lateral (
    select y.tariff_id from public.agreement_tariffs y where y.agreement_id = a.id
    order by (y.starts_on <= r.read_on) desc, case when y.starts_on <= r.read_on then y.starts_on end desc, y.starts_on limit 1) y on true
left join public.tariffs t on t.id = y.tariff_id;
comment on view private.export_meters is
    'Meters that are installed, with the read from which billing goes on and who is supplied there that day: nobody where the place is vacant.';

create view private.export_reads with (security_invoker = true) as
select m.id, m.serial, coalesce((
           select jsonb_agg(jsonb_build_object('read_at', x.read_at, 'register_wh', x.register_wh, 'registers', x.registers) order by x.read_at)
           from public.readings x
           where x.meter_id = m.id and x.read_at > m.read_at and x.read_on > m.read_on and x.status in ('accepted', 'needs_review')), '[]') as reads
from private.export_meters m;

create view private.export_agreements with (security_invoker = true) as
select y.id, m.service_point, c.account_no, t.code as tariff_code, greatest(a.starts_on, m.read_on) as starts_on, a.ends_on, a.billing_day,
       nullif(greatest(case when f.first then a.starts_on else y.starts_on end, m.read_on), greatest(a.starts_on, m.read_on)) as tariff_from
from public.agreement_tariffs y
join public.service_agreements a on a.id = y.agreement_id
join public.meter_installations i on i.service_point_id = a.service_point_id and i.removed_at is null
join private.export_meters m on m.id = i.meter_id
join public.customers c on c.id = a.customer_id
join public.tariffs t on t.id = y.tariff_id
cross join lateral (
    select not exists (select 1 from public.agreement_tariffs e where e.agreement_id = y.agreement_id and e.starts_on < y.starts_on) as first,
           (select min(e.starts_on) from public.agreement_tariffs e where e.agreement_id = y.agreement_id and e.starts_on > y.starts_on) as next_on) f
where coalesce(a.ends_on, 'infinity') > m.read_on and coalesce(f.next_on, 'infinity') > greatest(a.starts_on, m.read_on);
comment on view private.export_agreements is 'Who is supplied where from the day on which billing goes on, a row for each tariff.';

create view private.export_balances with (security_invoker = true) as
select o.entry_id as id, c.account_no, o.book, o.currency, o.open_minor,
       coalesce(b.due_date, o.order_on) as as_of,
       case when e.kind = 'bill' then private.invoice_reference(b.number) else e.kind || ' ' || e.book || ' ' || e.entry_no end as reference
from public.open_items o
join public.ledger_entries e on e.id = o.entry_id
join public.customers c on c.id = o.customer_id
left join public.bills b on b.id = e.bill_id
where o.open_minor <> 0;

create view private.export_payments with (security_invoker = true) as
select y.id, c.account_no, y.currency, y.method, y.reference, y.received_on,
       y.amount_minor - coalesce((select sum(r.amount_minor) from public.payment_returns r
                                  where r.payment_id = y.id and r.status = 'done'), 0)::bigint as amount_minor
from public.payments y join public.customers c on c.id = y.customer_id
where y.amount_minor > coalesce((select sum(r.amount_minor) from public.payment_returns r
                                 where r.payment_id = y.id and r.status = 'done'), 0);

create view private.export_past_payments with (security_invoker = true) as
select y.id, c.account_no, y.currency, y.method, y.reference, y.received_on, y.amount_minor
from public.past_payments y join public.customers c on c.id = y.customer_id;

create view private.export_intervals with (security_invoker = true) as
select i.id, m.serial, i.day, i.minutes, i.wh
from public.intervals i join public.meters m on m.id = i.meter_id
where not exists (select 1 from public.intervals n where n.meter_id = i.meter_id and n.day = i.day and n.id > i.id);

create view private.export_supplies with (security_invoker = true) as
select s.id, t.code as transformer_code, s.period_start, s.period_end, s.energy_wh
from public.supplies s join public.transformers t on t.id = s.transformer_id;

revoke all on private.export_customers, private.export_transformers, private.export_service_points, private.export_meters,
    private.export_reads, private.export_agreements, private.export_balances, private.export_payments,
    private.export_past_payments, private.export_intervals, private.export_supplies
    from public, anon, authenticated, service_role;
grant select on private.export_customers, private.export_transformers, private.export_service_points, private.export_meters,
    private.export_reads, private.export_agreements, private.export_balances, private.export_payments,
    private.export_past_payments, private.export_intervals, private.export_supplies to service_role;

create function private.archived_tables() returns text[]
language sql immutable set search_path = '' as $$
    -- Not here: sign-ins, keys and addresses that are secrets, work owed to the outside, and documents, which are files.
    select array['customers', 'customer_notes', 'tariffs', 'tariff_versions', 'feeders', 'transformers', 'supplies',
                 'service_points', 'meters', 'meter_installations', 'service_agreements', 'agreement_tariffs', 'billing_cycles',
                 'reading_routes', 'supply_changes', 'readings', 'intervals', 'bills', 'notifications', 'accounts', 'ledger_entries',
                 'open_items', 'allocations', 'payments', 'payment_returns', 'payment_flags', 'past_payments', 'bank_lines',
                 'instalment_plans', 'plan_bills', 'instalments', 'spared_bills', 'corrections', 'corrected_bills', 'month_closings',
                 'utility_settings', 'audit_log']
$$;
comment on function private.archived_tables() is 'The tables of which a full export holds every row.';
revoke all on function private.archived_tables() from public;
grant execute on function private.archived_tables() to service_role;

create function public.export_plan(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'registers', (select coalesce(jsonb_agg(distinct n order by n), '[]')
                      from public.meters m, jsonb_array_elements_text(m.registers) n),
        'tables', (select jsonb_agg(jsonb_build_object(
                       'name', n.name,
                       'columns', (select jsonb_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
                                   where a.attrelid = ('public.' || n.name)::regclass and a.attnum > 0 and not a.attisdropped))
                       order by n.place)
                   from unnest(private.archived_tables()) with ordinality n(name, place)))
$$;
comment on function public.export_plan(jsonb) is
    'What a full export consists of: {} gives {registers: the names of all further registers, tables: [{name, columns}]}.';
revoke all on function public.export_plan(jsonb) from public;
grant execute on function public.export_plan(jsonb) to service_role;

create function public.export_rows(p jsonb) returns jsonb
language plpgsql stable set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_what constant text := p ->> 'what';
    v_relation text;
    v_keys text[] := array['id'];
    v_beyond text := 'true';
    v_rows jsonb;
begin
    if p ->> 'from' = 'archive' and v_what = any (private.archived_tables()) then
        v_relation := format('public.%I', v_what);
        select array_agg(a.attname order by k.place) into v_keys
        from pg_catalog.pg_index x
        cross join lateral unnest(x.indkey::smallint[]) with ordinality k(attnum, place)
        join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
        where x.indrelid = v_relation::regclass and x.indisprimary;
    elsif p ->> 'from' = 'import' and to_regclass(format('private.%I', 'export_' || v_what)) is not null then
        v_relation := format('private.%I', 'export_' || v_what);
    else
        perform private.refuse('EB400', 'There is no such export.');
    end if;
    if jsonb_typeof(p -> 'after') = 'array' then
        v_beyond := format('(%s) > (%s)',
            (select string_agg(format('s.%I', k), ', ' order by n) from unnest(v_keys) with ordinality as u(k, n)),
            (select string_agg(format('%L', e), ', ' order by n) from jsonb_array_elements_text(p -> 'after') with ordinality as u(e, n)));
    end if;
    execute format(
        'select coalesce(jsonb_agg(to_jsonb(g)), ''[]'') from (select s.* from %s s where %s order by %s limit %s) g',
        v_relation, v_beyond, (select string_agg(format('s.%I', k), ', ' order by n) from unnest(v_keys) with ordinality as u(k, n)),
        (p ->> 'limit')::integer)
    into v_rows;
    return jsonb_build_object('rows', v_rows, 'after', (
        select jsonb_agg(v_rows -> -1 -> k order by n) from unnest(v_keys) with ordinality as u(k, n)));
end $$;
comment on function public.export_rows(jsonb) is
    'A page of a full export, in order of its key: {from: import|archive, what, after?, limit} gives {rows, after: the key of the last}.';
revoke all on function public.export_rows(jsonb) from public;
grant execute on function public.export_rows(jsonb) to service_role;

-- Storing a batch of bills took the database one to two milliseconds a bill: half of it was one
-- check whose plan read whole tables, the rest values that were read again row by row.

-- What an insert leaves in the audit trail of readings is what may change later; the rest stands in
-- the row, which its guard keeps as it is. Of bills it leaves nothing: each later change is in the
-- trail too, with what was there before. That is a fifth of the space.
create function private.audit_new_bills() returns trigger
    language plpgsql security definer set search_path = ''
    as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_relid <> 'public.bills'::regclass then
        raise exception using errcode = '42501', message = 'This trigger is of bills alone.';
    end if;
    if v_actor is null and exists (select 1 from new_rows) then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, customer_id, meter_id, after)
    select v_actor, 'insert', 'bills', n.id::text, n.customer_id, n.meter_id, '{}' from new_rows n;
    return null;
end $$;
comment on function private.audit_new_bills() is 'Audits that bills are new, and by whom. What they were then is the row, less what its updates changed, which the audit trail has.';

create function private.audit_new_readings() returns trigger
    language plpgsql security definer set search_path = ''
    as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_relid <> 'public.readings'::regclass then
        raise exception using errcode = '42501', message = 'This trigger is of readings alone.';
    end if;
    if v_actor is null and exists (select 1 from new_rows) then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, meter_id, after)
    select v_actor, 'insert', 'readings', n.id::text, n.meter_id,
           jsonb_strip_nulls(jsonb_build_object(
               'status', n.status, 'is_opening', n.is_opening, 'rolled_over', n.rolled_over,
               'decided_by', n.decided_by, 'decided_at', n.decided_at, 'decision_reason', n.decision_reason))
    from new_rows n;
    return null;
end $$;
comment on function private.audit_new_readings() is 'Audits new readings by the columns that private.guard_reading lets change later: the others stay in the row as they are.';

revoke all on function private.audit_new_bills(), private.audit_new_readings() from public;
grant execute on function private.audit_new_bills(), private.audit_new_readings() to service_role;

drop trigger audit_insert on public.bills;
create trigger audit_insert after insert on public.bills
    referencing new table as new_rows for each statement execute function private.audit_new_bills();
drop trigger audit_insert on public.readings;
create trigger audit_insert after insert on public.readings
    referencing new table as new_rows for each statement execute function private.audit_new_readings();

comment on column public.audit_log.after is 'Of an insert: the row; of a reading only what may change later, of a bill nothing: the rest is in the row and in what its updates changed. Of an update: the columns that changed.';

create function private.as_inserted(p_table_name text, p_row_id text, p_after jsonb) returns jsonb
    language sql stable set search_path = ''
    as $$
    select case p_table_name
        when 'bills' then (
            select to_jsonb(b) - array['lines', 'number', 'issued_at', 'issued_on', 'due_date', 'overdue_since', 'payment_url', 'void_reason']
                || jsonb_strip_nulls(jsonb_build_object(
                       'number', b.number, 'issued_at', b.issued_at, 'issued_on', b.issued_on, 'due_date', b.due_date,
                       'overdue_since', b.overdue_since, 'payment_url', b.payment_url, 'void_reason', b.void_reason)
                       -- Of several changes of a column the first one has what was inserted.
                       || coalesce((select jsonb_object_agg(e.key, e.value order by u.id desc)
                                    from public.audit_log u cross join lateral jsonb_each(u.before) e
                                    where u.table_name = 'bills' and u.row_id = p_row_id and u.action = 'update'), '{}'))
            from public.bills b where b.id = p_row_id::uuid)
        when 'readings' then (
            select to_jsonb(r) - array['decided_by', 'decided_at', 'decision_reason']
            from public.readings r where r.id = p_row_id::uuid)
        else '{}' end || p_after
$$;
comment on function private.as_inserted(p_table_name text, p_row_id text, p_after jsonb) is 'A row as it was inserted, from what the audit trail kept of it and what never changes.';
revoke all on function private.as_inserted(text, text, jsonb) from public;
grant execute on function private.as_inserted(text, text, jsonb) to service_role;

create or replace function public.timeline(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_of constant text := p ->> 'of';
    v_id constant uuid := (p ->> 'id')::uuid;
    v_tables constant text[] := case when jsonb_typeof(p -> 'tables') = 'array' then array(select jsonb_array_elements_text(p -> 'tables')) end;
    v_deposits constant boolean := coalesce('deposits' = any (v_tables), false);
    v_at constant timestamptz := coalesce((p #>> '{after,0}')::timestamptz, 'infinity');
    v_key constant text := coalesce(p #>> '{after,1}', '~');
    v_limit constant integer := (p ->> 'limit')::integer;
    v_changes jsonb;
    v_ids uuid[];
begin
    with audited as (
        (select a.* from public.audit_log a
         where v_of = 'customer' and a.customer_id = v_id
           and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
           and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
         order by a.at desc, a.id desc limit v_limit + 1)
        union all
        select x.* from private.meters_of_customer(case v_of when 'customer' then v_id end) m
        cross join lateral (
            select a.* from public.audit_log a
            where a.meter_id = m.meter_id and a.customer_id is null
              and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
              and m.days @> coalesce(
                  (a.after ->> 'read_on')::date, (a.after ->> 'removed_on')::date, (a.after ->> 'installed_on')::date,
                  case a.table_name when 'readings' then (select r.read_on from public.readings r where r.id = a.row_id::uuid) end,
                  (a.at at time zone 'UTC')::date)
              and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
            order by a.at desc, a.id desc limit v_limit + 1) x
        union all
        -- Of a place what was read there: of each meter while it was there.
        select x.* from private.meters_at_place(case v_of when 'service_point' then v_id end) m
        cross join lateral (
            select a.* from public.audit_log a
            where a.meter_id = m.meter_id and a.table_name = 'readings'
              and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
              and m.days @> coalesce((a.after ->> 'read_on')::date, (select r.read_on from public.readings r where r.id = a.row_id::uuid))
              and (v_tables is null or a.table_name = any (v_tables))
            order by a.at desc, a.id desc limit v_limit + 1) x
        union all
        (select a.* from public.audit_log a
         where v_of = 'meter' and a.meter_id = v_id
           and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
           and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
         order by a.at desc, a.id desc limit v_limit + 1)
        union all
        select a.* from private.rows_about(v_of, v_id) r
        join public.audit_log a on a.table_name = r.table_name and a.row_id = r.row_id
        where v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id))
        union all
        -- Of a place only what happened while it was the customer's.
        (select distinct on (a.id) a.*
         from public.service_agreements g
         join public.audit_log a on a.table_name = 'service_points' and a.row_id = g.service_point_id::text
         where v_of = 'customer' and g.customer_id = v_id and (v_tables is null or 'service_points' = any (v_tables))
           and (a.at at time zone 'UTC')::date between g.starts_on and coalesce(g.ends_on, 'infinity'))
    ), told as (
        select 'a' || lpad(a.id::text, 19, '0') as key, a.at, a.actor, a.action, a.table_name, a.row_id, a.before, a.after
        from audited a
        union all
        select b.* from private.recorded_beside_audit(v_of, v_id) b
        where v_tables is null or b.table_name = any (v_tables) or (v_deposits and b.table_name = 'payments' and private.is_deposit(b.row_id))
    ), page as (
        select t.* from told t
        where t.at < v_at or (t.at = v_at and t.key < v_key collate "C")
        order by t.at desc, t.key collate "C" desc limit v_limit + 1
    )
    select coalesce(jsonb_agg(jsonb_build_object(
               'key', jsonb_build_array(g.at, g.key), 'at', g.at, 'actor', g.actor, 'action', g.action, 'table', g.table_name,
               'row_id', g.row_id, 'before', coalesce(g.before, '{}') - w.unsaid, 'after', case g.action when 'insert' then private.as_inserted(g.table_name, g.row_id, g.after) else g.after end - w.unsaid,
               'inserted', case when g.action = 'update' then (
                   select private.as_inserted(i.table_name, i.row_id, i.after) - w.unsaid from public.audit_log i
                   where i.table_name = g.table_name and i.row_id = g.row_id and i.action = 'insert' limit 1) end)
               order by g.at desc, g.key collate "C" desc), '[]')
    into v_changes
    from page g
    cross join (select array['lines', 'validation', 'definition', 'usage', 'second_opinion', 'priced_by', 'facts', 'steps', 'segments']) w (unsaid);
    v_ids := array(
        select distinct i.value::uuid
        from jsonb_array_elements(v_changes) c
        cross join lateral unnest(array[c -> 'before', c -> 'after', c -> 'inserted', jsonb_build_object('row_id', c -> 'row_id')]) o
        cross join lateral jsonb_each_text(case jsonb_typeof(o) when 'object' then o else '{}' end) i
        where i.key like '%\_id' and i.value ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$');
    return jsonb_build_object(
        'changes', (select coalesce(jsonb_agg(c order by n), '[]') from jsonb_array_elements(v_changes) with ordinality x (c, n) where n <= v_limit),
        'names', private.names_of(v_ids),
        'more', jsonb_array_length(v_changes) > v_limit);
end $_$;

-- The lines of a bill add up: looked at once for a statement, not twice for each row.
alter table public.bills drop constraint bills_check1, drop constraint bills_check2;

create or replace function private.check_new_bills() returns trigger
    language plpgsql
    set search_path = ''
    -- A batch has few rows beside the tables that it is compared with.
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
declare
    v_moved boolean;
    v_wrong boolean;
    v_between boolean;
begin
    if exists (
        select 1 from new_rows b
        cross join lateral (
            select coalesce(sum(l.amount_minor) filter (where l.tax), 0) as tax_minor,
                   coalesce(sum(l.amount_minor) filter (where not l.tax), 0) as other_minor,
                   coalesce(bool_or(l.tax is null), false) as unknown
            from (select (coalesce(x -> 6, x -> 'amount_minor'))::bigint as amount_minor,
                         (coalesce(x -> 2, x -> 'tax'))::boolean as tax
                  from jsonb_array_elements(b.lines) x) l) l
        where l.unknown or l.tax_minor <> b.tax_minor or l.other_minor <> b.subtotal_minor
    ) then
        raise exception using errcode = '23514', message = 'The lines of a bill must add up to its subtotal and its tax.';
    end if;
    select bool_or(
               -- Somebody moved, or a meter was exchanged, between pricing and storing.
               b.period_start < a.starts_on or b.period_end > coalesce(a.ends_on, 'infinity')),
           bool_or(
               b.customer_id <> a.customer_id
               or b.period_start <> o.read_on or b.period_end <> c.read_on
               or o.status <> 'accepted' or c.status <> 'accepted' or c.read_at <= o.read_at
               or (b.segments is null and (
                   o.meter_id <> b.meter_id or c.meter_id <> b.meter_id
                   or b.opening_wh <> o.register_wh or b.closing_wh <> c.register_wh
                   or not exists (
                       select 1 from public.meter_installations i
                       where i.meter_id = b.meter_id and i.service_point_id = a.service_point_id
                         and i.multiplier_milli = b.multiplier_milli
                         and i.installed_at <= o.read_at and (i.removed_at is null or i.removed_at >= c.read_at))
                   or (b.consumption_wh <> ((c.register_wh - o.register_wh) * b.multiplier_milli + 500) / 1000
                       or c.register_wh < o.register_wh)
                      and not private.is_use_between(o, c, b.multiplier_milli, b.consumption_wh, true)))),
           bool_or(
               -- Continuity: a bill opens at the agreement's opening read or where a live bill of it closed.
               a.opening_reading_id <> b.opening_reading_id and not exists (
                   select 1 from public.bills prior
                   where prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
                     and prior.agreement_id = b.agreement_id))
    into v_moved, v_wrong, v_between
    from new_rows b
    join public.service_agreements a on a.id = b.agreement_id
    join public.readings o on o.id = b.opening_reading_id
    join public.readings c on c.id = b.closing_reading_id;
    if v_moved then
        raise exception using errcode = 'EB001', message = 'The agreement changed meanwhile: the price must be computed again.';
    end if;
    if v_wrong or exists (select 1 from new_rows b where b.segments is not null and private.has_wrong_segments(b)) then
        raise exception using errcode = 'EB005',
            message = 'A bill must run between two accepted reads of its meter and bill exactly the energy between them.';
    end if;
    if v_between then
        raise exception using errcode = 'EB001', message = 'Another bill came between: the price must be computed again.';
    end if;
    return null;
end $$;

create function private.is_use_between(
    o public.readings, c public.readings, p_multiplier_milli integer, p_wh bigint, p_opens boolean) returns boolean
    language sql stable set search_path = ''
    as $$
    select p_wh = ((c.register_wh - o.register_wh + x.span) % x.span * p_multiplier_milli + 500) / 1000
        -- A register that was estimated too high falls: the use is negative, a half away from zero.
        or (p_opens and not private.is_actual(o.source) and private.is_actual(c.source)
            and c.register_wh < o.register_wh
            and -p_wh = ((o.register_wh - c.register_wh) * p_multiplier_milli + 500) / 1000)
        -- One that was estimated to roll over and did not yet is a turn below the estimate.
        or (p_opens and not private.is_actual(o.source) and private.is_actual(c.source)
            and -p_wh = ((o.register_wh + x.span - c.register_wh) * p_multiplier_milli + 500) / 1000
            and exists (select 1 from public.readings l
                        where l.meter_id = o.meter_id and l.status = 'accepted' and private.is_actual(l.source)
                          and l.read_at < o.read_at and l.register_wh > o.register_wh and l.register_wh <= c.register_wh))
    from (select private.register_span_wh(m.dials) as span from public.meters m where m.id = o.meter_id) x
$$;
comment on function private.is_use_between(public.readings, public.readings, integer, bigint, boolean) is 'Whether an energy in Wh is what a meter used between two of its reads; p_opens says that the bill opens at the first, which may have been estimated too high.';

create function private.has_wrong_segments(b public.bills) returns boolean
    language sql stable set search_path = ''
    as $$
    with parts as (
        select s.*, a.service_point_id, lag(s.closing_reading_id) over (order by s.place) as before,
               s.place = count(*) over () as is_last
        from public.service_agreements a
        cross join rows from (jsonb_to_recordset(b.segments) as (
                 meter_id uuid, opening_reading_id uuid, closing_reading_id uuid, opening_wh bigint,
                 closing_wh bigint, multiplier_milli integer, consumption_wh bigint)) with ordinality s(
                 meter_id, opening_reading_id, closing_reading_id, opening_wh, closing_wh, multiplier_milli,
                 consumption_wh, place)
        where a.id = b.agreement_id
    )
    select b.consumption_wh is distinct from (select sum(p.consumption_wh) from parts p)
        or not exists (select 1 from parts p where p.is_last and p.closing_reading_id = b.closing_reading_id
                       and p.meter_id = b.meter_id and p.opening_wh = b.opening_wh and p.closing_wh = b.closing_wh
                       and p.multiplier_milli = b.multiplier_milli)
        or exists (
            select 1
            from parts p
            left join public.readings o on o.id = p.opening_reading_id
            left join public.readings c on c.id = p.closing_reading_id
            left join lateral (
                -- The installation that measured it, and where the one before it at this place ended.
                select i.opening_reading_id,
                       (select e.closing_reading_id from public.meter_installations e
                        where e.service_point_id = i.service_point_id and e.removed_at <= i.installed_at
                        order by e.removed_at desc limit 1) as ended_at
                from public.meter_installations i
                where i.meter_id = p.meter_id and i.service_point_id = p.service_point_id
                  and i.multiplier_milli = p.multiplier_milli
                  and i.installed_at <= o.read_at and (i.removed_at is null or i.removed_at >= c.read_at)
                order by i.installed_at desc limit 1) i on true
            where o.id is null or c.id is null or i.opening_reading_id is null
               or o.meter_id <> p.meter_id or c.meter_id <> p.meter_id
               or o.status <> 'accepted' or c.status <> 'accepted' or c.read_at <= o.read_at
               or p.opening_wh <> o.register_wh or p.closing_wh <> c.register_wh
               or not (case when p.before is null
                                then o.id = b.opening_reading_id
                                     or (o.id = i.opening_reading_id and i.ended_at = b.opening_reading_id)
                            else o.id = i.opening_reading_id and i.ended_at = p.before end)
               or not private.is_use_between(o, c, p.multiplier_milli, p.consumption_wh, o.id = b.opening_reading_id))
$$;
comment on function private.has_wrong_segments(public.bills) is 'Whether the segments of a bill do not follow one another over the meters of its place, or bill other energy than these measured.';
revoke all on function private.is_use_between(public.readings, public.readings, integer, bigint, boolean), private.has_wrong_segments(public.bills) from public;
grant execute on function private.is_use_between(public.readings, public.readings, integer, bigint, boolean), private.has_wrong_segments(public.bills) to service_role;

-- The ledger: an account and its entries are written by one statement, so that one look at the
-- statement's accounts is enough; a deferred look at each row was not.
drop trigger accounts_follow_the_ledger on public.accounts;
drop function private.check_account();
create function private.check_accounts() returns trigger
    language plpgsql set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
begin
    if exists (
        select 1 from new_rows a
        left join public.ledger_entries e on e.customer_id = a.customer_id and e.book = a.book
            and e.currency = a.currency and e.entry_no = a.entries
        left join public.ledger_entries l on l.customer_id = a.customer_id and l.book = a.book
            and l.currency = a.currency and l.entry_no = a.entries + 1
        where a.balance_minor <> coalesce(e.balance_minor, 0) or (a.entries = 0) <> (e.id is null) or l.id is not null
    ) then
        raise exception using errcode = 'EB005', message = 'An account''s balance must be that of its last ledger entry.';
    end if;
    return null;
end $$;
comment on function private.check_accounts() is 'An account is as its last ledger entry says: both are written by one statement.';
revoke all on function private.check_accounts() from public;
grant execute on function private.check_accounts() to service_role;
create trigger accounts_follow_the_ledger after insert on public.accounts
    referencing new table as new_rows for each statement execute function private.check_accounts();
create trigger accounts_still_follow_the_ledger after update on public.accounts
    referencing new table as new_rows for each statement execute function private.check_accounts();

drop trigger accounts_have_a_currency on public.accounts;
create or replace function private.open_account() returns trigger
    language plpgsql set search_path = ''
    as $$
begin
    update public.customers c set currency = n.currency
    from new_rows n where c.id = n.customer_id and c.currency is null;
    return null;
end $$;
create trigger accounts_have_a_currency after insert on public.accounts
    referencing new table as new_rows for each statement execute function private.open_account();

create or replace function private.check_ledger_chain() returns trigger
    language plpgsql set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
declare
    v_open_from date := private.open_from();
begin
    if exists (
        select 1 from new_rows n
        left join public.ledger_entries e on e.customer_id = n.customer_id and e.book = n.book
            and e.currency = n.currency and e.entry_no = n.entry_no - 1
        where n.balance_minor <> n.amount_minor + coalesce(e.balance_minor, 0) or (n.entry_no > 1 and e.id is null)
           or n.on_date < v_open_from
    ) then
        raise exception using errcode = 'EB005', message = 'A ledger entry must continue the balance before it, in an open month.';
    end if;
    return null;
end $$;

create or replace function private.post_bills(p_bills uuid[]) returns void
    language plpgsql set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
declare
    v_customers uuid[];
begin
    perform private.post_entries((
        select jsonb_agg(jsonb_build_object(
            'customer_id', b.customer_id, 'currency', b.currency, 'kind', 'bill', 'amount_minor', b.total_minor,
            'bill_id', b.id, 'on_date', b.issued_on, 'order_on', b.period_end) order by b.issued_at, b.number)
        from unnest(p_bills) x join public.bills b on b.id = x));
    -- Only where a credit is open is there anything to pay with.
    v_customers := array(
        select distinct o.customer_id
        from unnest(p_bills) x join public.bills b on b.id = x
        join public.open_items o on o.customer_id = b.customer_id and o.open_minor < 0);
    if v_customers <> '{}' then
        perform private.settle(v_customers);
    end if;
end $$;

create or replace function private.post_entries(p_entries jsonb) returns void
    language plpgsql set search_path = ''
    -- Also where the caller has it off: only rows of the batch are joined, each with each otherwise.
    set enable_hashjoin = on
    as $$
declare
    v_open_from date := private.open_from();
begin
    -- Shared by all who post; who closes a month has it alone.
    perform pg_advisory_xact_lock_shared(hashtext('ledger'));
    with incoming as materialized (
        select coalesce(e.id, gen_random_uuid()) as id, e.customer_id, coalesce(e.book, 'account') as book, e.currency,
               e.kind, e.amount_minor, e.bill_id, e.payment_id, e.return_id, e.undoes_id,
               greatest(e.on_date, v_open_from) as on_date,
               coalesce(e.order_on, e.on_date) as order_on, coalesce(e.note, '') as note,
               row_number() over (w order by e.position)::integer as place,
               sum(e.amount_minor) over (w order by e.position)::bigint as running
        from rows from (jsonb_to_recordset(p_entries) as (
                 id uuid, customer_id uuid, book text, currency text, kind text, amount_minor bigint, bill_id uuid,
                 payment_id uuid, return_id uuid, undoes_id uuid, on_date date, order_on date, note text)
             ) with ordinality as e(
                 id, customer_id, book, currency, kind, amount_minor, bill_id, payment_id, return_id, undoes_id,
                 on_date, order_on, note, position)
        window w as (partition by e.customer_id, coalesce(e.book, 'account'), e.currency)
    ), moved as (
        insert into public.accounts as a (customer_id, book, currency, balance_minor, entries)
        select i.customer_id, i.book, i.currency, sum(i.amount_minor)::bigint, count(*)::integer
        from incoming i group by 1, 2, 3 order by 1, 2, 3
        on conflict (customer_id, book, currency) do update
        set balance_minor = a.balance_minor + excluded.balance_minor, entries = a.entries + excluded.entries
        returning a.customer_id, a.book, a.currency, a.balance_minor, a.entries
    ), placed as (
        select i.*, m.entries - max(i.place) over w + i.place as entry_no,
               m.balance_minor - sum(i.amount_minor) over w + i.running as balance_minor
        from incoming i join moved m using (customer_id, book, currency)
        window w as (partition by i.customer_id, i.book, i.currency)
    ), posted as (
        insert into public.ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor, balance_minor,
                                           bill_id, payment_id, return_id, undoes_id, on_date, note, actor)
        select p.id, p.customer_id, p.book, p.currency, p.entry_no, p.kind, p.amount_minor, p.balance_minor,
               p.bill_id, p.payment_id, p.return_id, p.undoes_id, p.on_date, p.note, current_setting('billing.actor')
        from placed p
    )
    insert into public.open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor, open_minor)
    select p.id, p.customer_id, p.book, p.currency, p.entry_no, p.order_on, p.amount_minor, p.amount_minor
    from placed p
    where p.amount_minor <> 0;
end $$;

-- One parse of a batch's JSON, and what each bill is compared with looked up for all of them.
create or replace function private.insert_bills(p_bills jsonb) returns void
    language plpgsql set search_path = ''
    as $$
begin
    perform private.insert_bill_rows(array(select b from jsonb_populate_recordset(null::public.bills, p_bills) b), p_bills);
end $$;

create function private.insert_bill_rows(p_rows public.bills[], p_bills jsonb, p_common jsonb default null) returns void
    language plpgsql set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
declare
    v_ids constant uuid[] := array(select b.id from unnest(p_rows) b);
    v_issued integer;
    v_base bigint;
begin
    perform private.lock_customers(array(
        select a.customer_id from unnest(p_rows) b join public.service_agreements a on a.id = b.agreement_id));
    select count(*) into v_issued from unnest(p_rows) b where b.status = 'issued';
    if v_issued > 0 then
        update public.counters set last_number = last_number + v_issued where name = 'bill'
        returning last_number - v_issued into v_base;
    end if;
    insert into public.bills (
        id, number, status, agreement_id, meter_id, customer_id, tariff_version_id, opening_reading_id, closing_reading_id,
        period_start, period_end, opening_wh, closing_wh, consumption_wh, currency, lines,
        subtotal_minor, tax_minor, total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage,
        replaces_id, priced_by, held_because, multiplier_milli, segments)
    select b.id,
           case when b.status = 'issued'
                then v_base + count(*) filter (where b.status = 'issued') over (order by b.position rows unbounded preceding) end,
           b.status, b.agreement_id, b.meter_id, a.customer_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
           b.period_start, b.period_end, b.opening_wh, b.closing_wh, b.consumption_wh, b.currency, b.lines,
           b.subtotal_minor, b.tax_minor, b.total_minor, b.issued_at, b.issued_on, b.due_date, b.reissue_no,
           b.second_opinion, b.usage, b.replaces_id, b.priced_by, b.held_because, b.multiplier_milli, b.segments
    from (select r.*, row_number() over () as position from unnest(p_rows) r) b
    join public.service_agreements a on a.id = b.agreement_id;
    insert into public.outbox (id, bill_id, kind, steps, facts, status, finished_at, lease_owner, lease_until)
    select coalesce(b.owed_id, o.id), b.id, 'bill_issued', o.steps, coalesce(o.facts, '{}'), o.status, case when o.status <> 'open' then now() end,
           o.lease_owner, now() + make_interval(secs => o.lease_seconds)
    from jsonb_to_recordset(p_bills) as b(id uuid, owed_id uuid, owed jsonb)
    cross join lateral jsonb_to_record(coalesce(b.owed, p_common -> 'owed')) as o(
        id uuid, steps jsonb, facts jsonb, status text, lease_owner text, lease_seconds integer)
    where coalesce(b.owed, p_common -> 'owed', 'null') <> 'null' and b.id = any (v_ids);
end $$;
comment on function private.insert_bill_rows(public.bills[], jsonb, jsonb) is 'Inserts bills, numbers the issued ones in order without gaps, and writes the work each owes, which p_bills has of these or more; p_common is what is the same of all. The caller has locked the service points.';
revoke all on function private.insert_bill_rows(public.bills[], jsonb, jsonb) from public;
grant execute on function private.insert_bill_rows(public.bills[], jsonb, jsonb) to service_role;

create or replace function public.store_job_bills(p jsonb) returns jsonb
    language plpgsql set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
declare
    v_given public.bills[] := array(select b from jsonb_populate_recordset(null::public.bills, p -> 'bills') b);
    v_new public.bills[];
    v_moved uuid[];
    v_done integer;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.lock_points(array(
        select a.service_point_id
        from (select b.agreement_id from unnest(v_given) b
              union select (s ->> 'agreement_id')::uuid from jsonb_array_elements(coalesce(p -> 'set_aside', '[]')) s) x
        join public.service_agreements a on a.id = x.agreement_id));
    v_new := array(
        select g.bill from (select b as bill, row_number() over () as place from unnest(v_given) b) g
        where not exists (select 1 from public.bills x where x.id = (g.bill).id and x.status <> 'void')
        order by (g.bill).agreement_id, g.place);
    -- Between computing and storing, a read may have been billed or corrected, or this very bill
    -- stored and voided: those agreements are computed again. Of several bills of one each opens
    -- where the one before it closes.
    v_moved := array(
        select distinct b.agreement_id
        from (select x.agreement_id, x.opening_reading_id, x.closing_reading_id, x.reissue_no,
                     lag(x.closing_reading_id) over (partition by x.agreement_id order by x.place) as before
              from (select n.*, row_number() over () as place from unnest(v_new) n) x) b
        join public.service_agreements a on a.id = b.agreement_id
        left join lateral (
            select t.closing_reading_id from public.bills t
            where t.agreement_id = a.id and t.status <> 'void' order by t.period_end desc limit 1) t on b.before is null
        where coalesce(b.before, t.closing_reading_id, a.opening_reading_id) <> b.opening_reading_id
           or b.reissue_no <> (select count(*) from public.bills v
                               where v.opening_reading_id = b.opening_reading_id and v.status = 'void')
           or not exists (select 1 from public.readings r where r.id = b.closing_reading_id and r.status = 'accepted'));
    if v_moved <> '{}' then
        v_new := array(select b from unnest(v_new) b where b.agreement_id <> all (v_moved) order by b.agreement_id, b.period_start);
    end if;
    v_done := cardinality(v_new);
    perform private.insert_bill_rows(v_new, p -> 'bills');
    if p -> 'run' is not null then
        -- What was set aside before, and is billed now, is set aside no more.
        perform private.note_progress(p - 'bills' || jsonb_build_object(
            'done', v_done,
            'settled', (select coalesce(jsonb_agg(distinct b.agreement_id), '[]') from unnest(v_new) b)));
    end if;
    return jsonb_build_object('stored', v_done, 'moved', to_jsonb(v_moved));
end $$;

-- A page of agreements by key, whether they are billed already or not: however many are, a call
-- looks at so many and no more. Each one's chain is looked up once.
create or replace function public.monthly_bill_candidates(p jsonb) returns jsonb
    language plpgsql stable set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $_$
declare
    v_which text := case when nullif(p -> 'only', 'null') is not null
        then $s$a.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$
        else $s$a.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
            || case when p ->> 'billing_day' is null then '' else $s$ and a.billing_day = ($1 ->> 'billing_day')::smallint$s$ end end;
    v_found jsonb;
begin
    -- Planned for each of the ways: one plan for all would read every agreement for each.
    execute format($q$
    with page as materialized (
        select a.id, a.service_point_id, a.billing_day, a.starts_on, a.ends_on, a.opening_reading_id,
               private.cycle_end(($1 ->> 'on')::date, a.billing_day) as cycle_end
        from public.service_agreements a where %s
        order by a.id limit ($1 ->> 'limit')::integer
    ), chosen as materialized (
        select a.id as agreement_id, a.service_point_id, a.billing_day, a.ends_on, a.cycle_end, o.id as opening_id,
               o.read_on as opened_on, o.read_at as opened_at, o.source as opening_source,
               jsonb_build_object('id', o.id, 'meter_id', o.meter_id, 'read_at', o.read_at, 'read_on', o.read_on,
                                  'register_wh', o.register_wh, 'registers', o.registers, 'source', o.source) as opening,
               to_jsonb(k) as closing, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on,
               k.meter_id as closing_meter_id,
               (select count(*) from public.bills v where v.opening_reading_id = o.id and v.status = 'void') as reissue_no
        from page a
        -- The end of its chain. Billed for the cycle already, most of a repeated run end here.
        left join lateral (
            select b.closing_reading_id, b.period_end from public.bills b
            where b.agreement_id = a.id and b.status <> 'void' order by b.period_end desc limit 1) t on true
        join public.readings o on o.id = coalesce(t.closing_reading_id, a.opening_reading_id)
        left join lateral (
            select r.* from public.meter_installations i
            cross join lateral (
                select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, x.registers, x.rolled_over, x.source from public.readings x
                where x.meter_id = i.meter_id and x.status = 'accepted'
                  and x.read_at > greatest(o.read_at, i.installed_at) and x.read_on > o.read_on
                  and x.read_at <= coalesce(i.removed_at, 'infinity')
                  and x.read_on <= least(a.cycle_end, coalesce(a.ends_on, 'infinity'))
                order by x.read_at desc limit 1) r
            where i.service_point_id = a.service_point_id and (i.removed_at is null or i.removed_at > o.read_at)
            order by r.read_at desc limit 1) k on true
        where a.starts_on < a.cycle_end
          and coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date + coalesce(($1 ->> 'cycle_end_days')::integer, 0), true)
          -- What is billed to its end needs no more.
          and (a.ends_on is null or o.read_on < a.ends_on)
          -- Billed beyond the cycle already (by a later field read): nothing of it is open.
          and o.read_on < a.cycle_end
          -- A bill that ends at a read somewhat after the billing day is that of the cycle before.
          and (k.id is not null or coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date, true))
    ), placed as materialized (
        -- With the meter that it closes at, or that is there; most places have had one.
        select c.*, m.id as meter_id, m.serial, m.dials, m.registers, i.multiplier_milli, s.connected_w, s.connected_va,
               i.installed_at > c.opened_at as exchanged, t.tariff_id, t.number as tariffs
        from chosen c
        join public.service_points s on s.id = c.service_point_id
        cross join lateral (
            select x.meter_id, x.multiplier_milli, x.installed_at from public.meter_installations x
            where x.service_point_id = c.service_point_id and (c.closing_id is null
                or (x.meter_id = c.closing_meter_id and x.installed_at < c.closed_at and c.closed_at <= coalesce(x.removed_at, 'infinity')))
            order by x.installed_at desc limit 1) i
        join public.meters m on m.id = i.meter_id
        cross join lateral (
            select count(*) as number, (array_agg(y.tariff_id order by y.starts_on desc))[1] as tariff_id
            from public.agreement_tariffs y where y.agreement_id = c.agreement_id) t
    ), back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
        where t.id in (select c.tariff_id from placed c)
    )
    select jsonb_build_object(
        'next', (select case when count(*) = ($1 ->> 'limit')::integer then (array_agg(a.id order by a.id desc))[1] end from page a),
        'agreements', coalesce((select jsonb_agg(
            jsonb_build_object(
                'agreement_id', c.agreement_id, 'billing_day', c.billing_day, 'ends_on', c.ends_on, 'cycle_end', c.cycle_end,
                'opening', c.opening, 'closing', c.closing, 'reissue_no', c.reissue_no, 'meter_id', c.meter_id,
                'serial', c.serial, 'dials', c.dials, 'registers', c.registers, 'multiplier_milli', c.multiplier_milli,
                'connected_w', c.connected_w, 'connected_va', c.connected_va, 'tariff_id', c.tariff_id,
                'spans', case when c.tariffs > 1 then private.spans_of(c.agreement_id) else '[]' end,
                'installations', case when c.exchanged
                    then private.installations_between(c.service_point_id, c.opened_at, c.closed_at) else '[]' end,
                -- Within a month nothing is split; but a person may have said that a register rolled over.
                'between', case when c.exchanged or c.closed_on - c.opened_on > 31
                                     or exists (select 1 from public.meter_installations i
                                                join public.readings r on r.meter_id = i.meter_id and r.rolled_over and r.status = 'accepted'
                                                where i.service_point_id = c.service_point_id
                                                  and r.read_at > c.opened_at and r.read_at < c.closed_at)
                    then private.reads_between(c.service_point_id, c.opening_id, c.closed_at) else '[]' end,
                -- Most have nothing to ask for: the call would be the dearest part of their row.
                'pricing', case when c.closing_id is null or (
                        private.is_actual(c.opening_source) and not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
                        and not exists (select 1 from public.intervals i where i.meter_id = c.meter_id)) then '{}'
                    else private.pricing_facts(
                        c.agreement_id,
                        array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = c.service_point_id),
                        private.looks_back_along(c.agreement_id), c.opening_id, c.closed_at, c.closed_on) end)
            order by c.agreement_id)
        from placed c join back b on b.id = c.tariff_id), '[]'))
    $q$, v_which) into v_found using p;
    return v_found;
end $_$;
comment on function public.monthly_bill_candidates(p jsonb) is 'Of a page of agreements by id those not billed yet for the cycle that last ended on or before a local date, each with the read it opens at and the latest accepted read it can close at, or null, and the meter of that: {on, billing_day?: of this cycle alone, cycle_end_days?, after?, limit, only?: [agreement ids]} -> {agreements, next: the last one looked at, null when there are no more}. Where there is such a read, a bill that ends within cycle_end_days after the cycle''s start is of the one before.';

drop function private.rolled_over(uuid, timestamptz, timestamptz);
drop function private.lines_total(jsonb, boolean);

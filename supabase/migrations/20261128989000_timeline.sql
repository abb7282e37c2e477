-- A timeline of a customer, meter, bill, payment or tariff from the audit trail, and notes on customers.

alter table public.audit_log add column customer_id uuid, add column meter_id uuid;
comment on column public.audit_log.customer_id is 'Whom the change concerns, where the row, its bill or its agreement names a customer.';
comment on column public.audit_log.meter_id is 'The meter that the row names.';

-- Of an update only what changed is kept, so whom it is about is taken from the row as it was inserted.
update public.audit_log a
set customer_id = x.customer_id, meter_id = x.meter_id
from (
    select i.table_name, i.row_id,
           coalesce(case when i.table_name in ('customers', 'customer_channels') then i.row_id::uuid else (i.after ->> 'customer_id')::uuid end,
                    b.customer_id, g.customer_id) as customer_id,
           case when i.table_name = 'meters' then i.row_id::uuid else (i.after ->> 'meter_id')::uuid end as meter_id
    from public.audit_log i
    left join public.bills b on b.id = (i.after ->> 'bill_id')::uuid
    left join public.service_agreements g on g.id = (i.after ->> 'agreement_id')::uuid
    where i.action = 'insert' and (i.table_name in ('customers', 'customer_channels', 'meters')
                                   or i.after ?| array['customer_id', 'meter_id', 'bill_id', 'agreement_id'])) x
where a.table_name = x.table_name and a.row_id = x.row_id;
update public.audit_log a set customer_id = b.customer_id
from public.outbox o join public.bills b on b.id = o.bill_id
where a.table_name = 'outbox' and o.id::text = a.row_id;

create index audit_log_customer on public.audit_log (customer_id, at desc, id desc) where customer_id is not null;
create index audit_log_meter on public.audit_log (meter_id, at desc, id desc) where meter_id is not null;
create index corrections_customer on public.corrections (customer_id);

create function private.customer_behind(p_row jsonb) returns uuid
language plpgsql stable set search_path = '' as $$
begin
    if p_row ->> 'bill_id' is not null then
        return (select b.customer_id from public.bills b where b.id = (p_row ->> 'bill_id')::uuid);
    elsif p_row ->> 'agreement_id' is not null then
        return (select a.customer_id from public.service_agreements a where a.id = (p_row ->> 'agreement_id')::uuid);
    end if;
    return null;
end $$;
comment on function private.customer_behind is 'The customer of the bill or the agreement that a row names.';
revoke all on function private.customer_behind from public;
grant execute on function private.customer_behind to service_role;

create or replace function private.audit() returns trigger
language plpgsql security definer set search_path = '' set enable_nestloop = off as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null and exists (select 1 from new_rows) then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, meter_id, after)
        select v_actor, 'insert', tg_table_name, r.id,
               case when r.n ->> 'customer_id' is not null then (r.n ->> 'customer_id')::uuid
                    when tg_table_name = 'customers' then r.id::uuid
                    when r.n ?| array['bill_id', 'agreement_id'] then private.customer_behind(r.n) end,
               case when tg_table_name = 'meters' then r.id::uuid else (r.n ->> 'meter_id')::uuid end,
               r.n - 'lines'
        from (select n.id::text as id, to_jsonb(n) as n from new_rows n offset 0) r;
    else
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, meter_id, before, after)
        select v_actor, 'update', tg_table_name, r.id,
               case when r.n ->> 'customer_id' is not null then (r.n ->> 'customer_id')::uuid
                    when tg_table_name = 'customers' then r.id::uuid
                    when r.n ?| array['bill_id', 'agreement_id'] then private.customer_behind(r.n) end,
               case when tg_table_name = 'meters' then r.id::uuid else (r.n ->> 'meter_id')::uuid end,
               private.changed_columns(r.n, r.o), private.changed_columns(r.o, r.n)
        from (select n.id::text as id, to_jsonb(o) as o, to_jsonb(n) as n
              from new_rows n join old_rows o on o.id = n.id
              where o is distinct from n
              offset 0) r;
    end if;
    return null;
end $$;

create or replace function private.audit_reopened_work() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, customer_id, before, after)
    values (v_actor, 'update', tg_table_name, new.id::text, private.customer_behind(to_jsonb(new)),
            jsonb_build_object('status', old.status, 'steps', old.steps),
            jsonb_build_object('status', new.status, 'steps', new.steps));
    return null;
end $$;

create or replace function private.audit_customer_channels() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
    v_after jsonb := to_jsonb(new) - 'updated_at'
        || jsonb_build_object('discord_webhook_url', private.fingerprint(new.discord_webhook_url));
    v_before jsonb;
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, after)
        values (v_actor, 'insert', tg_table_name, new.customer_id::text, new.customer_id, v_after);
        return null;
    end if;
    v_before := to_jsonb(old) - 'updated_at'
        || jsonb_build_object('discord_webhook_url', private.fingerprint(old.discord_webhook_url));
    if v_before <> v_after then
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, before, after)
        values (v_actor, 'update', tg_table_name, new.customer_id::text, new.customer_id,
                private.changed_columns(v_after, v_before), private.changed_columns(v_before, v_after));
    end if;
    return null;
end $$;

create table public.customer_notes (
    id uuid primary key,
    customer_id uuid not null references public.customers (id),
    note text not null check (btrim(note) <> '' and length(note) <= 4000),
    written_by text not null check (written_by <> ''),
    created_at timestamptz not null default now()
);
comment on table public.customer_notes is 'What the office wrote down about a customer. A note is never changed: another one corrects it.';
create index customer_notes_customer on public.customer_notes (customer_id, created_at desc);
alter table public.customer_notes enable row level security;
revoke all on public.customer_notes from public, anon, authenticated, service_role;
grant select, insert on public.customer_notes to service_role;
select private.audit_table('public.customer_notes');
select private.never_changed('public.customer_notes');

create function public.add_customer_note(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_note public.customer_notes;
begin
    perform private.set_actor(p);
    if not exists (select 1 from public.customers where id = (p ->> 'customer_id')::uuid) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    insert into public.customer_notes (id, customer_id, note, written_by)
    values ((p ->> 'id')::uuid, (p ->> 'customer_id')::uuid, p ->> 'note', p ->> 'actor')
    on conflict (id) do nothing;
    select * into v_note from public.customer_notes where id = (p ->> 'id')::uuid;
    if (v_note.customer_id, v_note.note) is distinct from ((p ->> 'customer_id')::uuid, p ->> 'note') then
        perform private.refuse('EB005', 'Another note was stored under this id: open the form again.');
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.add_customer_note is 'Writes a note about a customer, once: {actor, id, customer_id, note}.';
revoke all on function public.add_customer_note from public;
grant execute on function public.add_customer_note to service_role;

create function private.meters_of_customer(p_customer uuid) returns table (meter_id uuid, days datemultirange)
language sql stable set search_path = '' as $$
    -- The day of the read at which an agreement ends is still its customer's.
    select i.meter_id, range_agg(daterange(greatest(a.starts_on, i.installed_on), least(a.ends_on, i.removed_on), '[]'))
    from public.service_agreements a
    join public.meter_installations i on i.service_point_id = a.service_point_id
        and i.installed_on <= coalesce(a.ends_on, 'infinity') and coalesce(i.removed_on, 'infinity') >= a.starts_on
    where a.customer_id = p_customer
    group by i.meter_id
$$;
comment on function private.meters_of_customer is 'The meters that a customer was or is supplied by, with the local dates on which they were.';
revoke all on function private.meters_of_customer from public;
grant execute on function private.meters_of_customer to service_role;

create function private.rows_about(p_of text, p_id uuid) returns table (table_name text, row_id text)
language sql stable set search_path = '' as $$
    select p_of || 's', p_id::text
    union
    select 'readings', r.id::text
    from public.bills b
    cross join lateral (
        select unnest(array[b.opening_reading_id, b.closing_reading_id])
        union
        select unnest(array[x ->> 'opening_reading_id', x ->> 'closing_reading_id'])::uuid from jsonb_array_elements(b.segments) x) r (id)
    where p_of = 'bill' and b.id = p_id
    union
    select 'payments', y.id::text from public.payments y where p_of = 'bill' and y.bill_id = p_id
    union
    select 'payments', c.payment_id::text
    from public.ledger_entries d
    join public.allocations a on a.debit_entry_id = d.id
    join public.ledger_entries c on c.id = a.credit_entry_id
    where p_of = 'bill' and d.bill_id = p_id and d.kind = 'bill' and c.payment_id is not null
    union
    select 'spared_bills', s.id::text from public.spared_bills s where p_of = 'bill' and s.bill_id = p_id
    union
    select 'payment_links', k.id from public.payment_links k where p_of = 'bill' and k.bill_id = p_id
    union
    select 'outbox', o.id::text from public.outbox o where p_of = 'bill' and o.bill_id = p_id
    union
    select 'instalment_plans', i.plan_id::text from public.plan_bills i where p_of = 'bill' and i.bill_id = p_id
    union
    select 'payment_returns', x.id::text from public.payment_returns x where p_of = 'payment' and x.payment_id = p_id
    union
    select 'tariff_versions', v.id::text from public.tariff_versions v where p_of = 'tariff' and v.tariff_id = p_id
$$;
comment on function private.rows_about is 'The audited rows that the timeline of a bill, payment or tariff is made of.';
revoke all on function private.rows_about from public;
grant execute on function private.rows_about to service_role;

create function private.recorded_beside_audit(p_of text, p_id uuid)
returns table (key text, at timestamptz, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
language sql stable set search_path = '' as $$
    select 'l' || e.id, e.created_at, e.actor, 'insert',
           case e.kind when 'deposit_used' then 'deposit_uses' else 'adjustments' end, e.id::text, null::jsonb,
           jsonb_build_object('kind', e.kind, 'amount_minor', e.amount_minor, 'currency', e.currency, 'on_date', e.on_date, 'note', e.note)
    from public.ledger_entries e
    where p_of = 'customer' and e.customer_id = p_id and e.book = 'account'
      and e.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used')
    union all
    select 'n' || n.id, n.created_at, 'system:owed-work', 'insert', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id)
    from public.notifications n
    where n.id = any (array(
        select k.id from public.notifications k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.notifications k where p_of = 'bill' and k.bill_id = p_id))
    union all
    select 'c' || c.id, c.created_at, c.created_by, 'insert', 'corrections', c.id::text, null,
           jsonb_build_object('kind', c.kind, 'reason', c.reason, 'difference_minor', c.difference_minor, 'currency', c.currency,
                              'meter_id', c.meter_id, 'bills', (select count(*) from public.corrected_bills x where x.correction_id = c.id))
    from public.corrections c
    where c.id = any (array(
        select k.id from public.corrections k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.corrections k where p_of = 'meter' and k.meter_id = p_id
        union all
        select x.correction_id from public.corrected_bills x where p_of = 'bill' and (x.void_bill_id = p_id or x.new_bill_id = p_id)))
    union all
    select 'f' || f.reason, f.raised_at, 'system:payments', 'insert', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'detail', f.detail)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id
    union all
    select 'g' || f.reason, f.resolved_at, f.resolved_by, 'update', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'resolution', f.resolution)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id and f.resolved_at is not null
    union all
    select 'p' || lpad(a.id::text, 19, '0'), a.created_at, a.actor, 'insert', 'allocations', a.id::text, null,
           jsonb_build_object('amount_minor', a.amount_minor, 'currency', c.currency, 'kind', d.kind, 'note', d.note, 'bill_id', d.bill_id)
    from public.ledger_entries c
    join public.allocations a on a.credit_entry_id = c.id
    join public.ledger_entries d on d.id = a.debit_entry_id
    where p_of = 'payment' and c.kind = 'payment' and c.payment_id = p_id
$$;
comment on function private.recorded_beside_audit is 'What a timeline tells from tables that only grow and name their own author, in the shape of audit rows.';
revoke all on function private.recorded_beside_audit from public;
grant execute on function private.recorded_beside_audit to service_role;

create function private.names_of(p_ids uuid[]) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_object_agg(x.id, x.name), '{}')
    from (select c.id, c.name || ', account ' || c.account_no as name from public.customers c where c.id = any (p_ids)
          union all
          select t.id, t.name from public.tariffs t where t.id = any (p_ids)
          union all
          select m.id, m.serial from public.meters m where m.id = any (p_ids)
          union all
          select s.id, s.code from public.service_points s where s.id = any (p_ids)
          union all
          select f.id, f.code from public.transformers f where f.id = any (p_ids)
          union all
          select b.id, coalesce(private.invoice_reference(b.number), '') from public.bills b where b.id = any (p_ids)) x
$$;
comment on function private.names_of is 'What people call the customers, tariffs, meters, transformers, bills (empty: without a number) and places with these ids.';
revoke all on function private.names_of from public;
grant execute on function private.names_of to service_role;

create function private.is_deposit(p_payment text) returns boolean
language sql stable set search_path = '' as $$
    select exists (select 1 from public.payments y where y.id = p_payment::uuid and y.book = 'deposit')
$$;
comment on function private.is_deposit is 'Whether a payment, by its id as the audit trail has it, is held as a deposit.';
revoke all on function private.is_deposit from public;
grant execute on function private.is_deposit to service_role;

create function public.timeline(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
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
              and m.days @> coalesce((a.after ->> 'read_on')::date, (a.after ->> 'installed_on')::date, (a.at at time zone 'UTC')::date)
              and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
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
        where v_of in ('bill', 'payment', 'tariff') and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
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
               'row_id', g.row_id, 'before', coalesce(g.before, '{}') - w.unsaid, 'after', g.after - w.unsaid,
               'inserted', case when g.action = 'update' then (
                   select i.after - w.unsaid from public.audit_log i
                   where i.table_name = g.table_name and i.row_id = g.row_id and i.action = 'insert' limit 1) end)
               order by g.at desc, g.key collate "C" desc), '[]')
    into v_changes
    from page g
    cross join (select array['validation', 'definition', 'usage', 'second_opinion', 'priced_by', 'facts', 'steps', 'segments']) w (unsaid);
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
end $$;

comment on function public.timeline is 'What happened to a customer, meter, bill, payment or tariff, the newest first: {of: customer|meter|bill|payment|tariff, id, tables: [...] or null, after: [at, key] or null, limit} -> {changes: [{key, at, actor, action, table, row_id, before, after, inserted: an updated row as it once was inserted}], names: {id: name}, more}.';
revoke all on function public.timeline from public;
grant execute on function public.timeline to service_role;

create function public.meters_of_customer(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('meters', coalesce(jsonb_agg(
        to_jsonb(m) - 'search' || jsonb_build_object('last_read_on', r.read_on, 'last_register_wh', r.register_wh, 'last_source', r.source)
        order by m.serial), '[]'))
    from public.meter_list m
    left join lateral (
        select x.read_on, x.register_wh, x.source from public.readings x
        where x.meter_id = m.id and x.status = 'accepted' order by x.read_at desc limit 1) r on true
    where m.id = any (array(select o.meter_id from private.meters_of_customer((p ->> 'customer_id')::uuid) o))
      and m.customer_id = (p ->> 'customer_id')::uuid
$$;
comment on function public.meters_of_customer is 'The meters that a customer has now, each with its last accepted read: {customer_id} -> {meters: rows of meter_list with last_read_on, last_register_wh, last_source}.';
revoke all on function public.meters_of_customer from public;
grant execute on function public.meters_of_customer to service_role;

create function public.billed_use(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('periods', coalesce(jsonb_agg(jsonb_build_object(
        'meter_id', m.id, 'meter_serial', m.serial, 'period_start', s.period_start, 'period_end', s.period_end,
        'consumption_wh', s.consumption_wh) order by m.serial, s.period_start), '[]'))
    from public.bills b
    cross join lateral (
        -- A bill of several meters says of each how much it measured, and between which reads.
        select (x ->> 'meter_id')::uuid as meter_id, o.read_on as period_start, c.read_on as period_end,
               (x ->> 'consumption_wh')::bigint as consumption_wh
        from jsonb_array_elements(b.segments) x
        join public.readings o on o.id = (x ->> 'opening_reading_id')::uuid
        join public.readings c on c.id = (x ->> 'closing_reading_id')::uuid
        where c.read_on > o.read_on
        union all
        select b.meter_id, b.period_start, b.period_end, b.consumption_wh where b.segments is null) s
    join public.meters m on m.id = s.meter_id
    where (p ->> 'meter_id' is null or s.meter_id = (p ->> 'meter_id')::uuid)
      and b.id = any (array(
        select k.id from public.bills k
        where k.customer_id = (p ->> 'customer_id')::uuid and k.period_end > (p ->> 'since')::date and k.status <> 'void'
        union all
        -- A meter is billed by the agreements of the places where it was.
        select k.id from public.bills k
        where k.agreement_id = any (array(
                select a.id from public.meter_installations i
                join public.service_agreements a on a.service_point_id = i.service_point_id
                where i.meter_id = (p ->> 'meter_id')::uuid))
          and k.period_end > (p ->> 'since')::date and k.status <> 'void'))
$$;
comment on function public.billed_use is 'What the bills of a customer or a meter that are not void measured, by meter and period: {customer_id or meter_id, since: the periods end after it} -> {periods: [{meter_id, meter_serial, period_start, period_end, consumption_wh}]}.';
revoke all on function public.billed_use from public;
grant execute on function public.billed_use to service_role;

drop view public.timeline_list;

-- The lists of bills, payments and messages of one customer.

create or replace function public.list_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.bills b';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[] := array(
        select format(
            '(b.customer_id in (select c.id from public.customers c where strpos(lower(concat_ws('' '', c.account_no, c.name)), %1$L) > 0)'
            ' or b.meter_id in (select m.id from public.meters m where strpos(lower(m.serial), %1$L) > 0)%2$s)',
            w, private.names_a_bill(w, 'b.number'))
        from unnest(private.search_words(p ->> 'text')) w);
begin
    case p ->> 'sort'
        when 'period' then v_key := 'b.period_end'; v_type := 'date';
        when 'number' then v_key := 'coalesce(b.number, 9223372036854775807)'; v_type := 'bigint';
        when 'total' then v_key := 'b.total_minor'; v_type := 'bigint';
        when 'due' then v_key := 'coalesce(b.due_date, ''infinity''::date)'; v_type := 'date';
        when 'customer' then
            v_key := 'lower(k.name)'; v_type := 'text';
            v_from := 'public.bills b join public.customers k on k.id = b.customer_id';
    end case;
    v_conditions := v_conditions || array[
        case when p ->> 'ids' is not null then 'b.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'customer_id' is not null then 'b.customer_id = ($1 ->> ''customer_id'')::uuid' end,
        case when p ->> 'ended_after' is not null then 'b.period_end > ($1 ->> ''ended_after'')::date' end,
        case when p ->> 'ended_by' is not null then 'b.period_end <= ($1 ->> ''ended_by'')::date' end,
        case when p ->> 'issued_from' is not null then 'b.issued_on >= ($1 ->> ''issued_from'')::date' end,
        case when p ->> 'issued_to' is not null then 'b.issued_on <= ($1 ->> ''issued_to'')::date' end,
        case p ->> 'status'
            when 'void' then 'b.status = ''void'''
            when 'draft' then 'b.status = ''draft'''
            when 'paid' then 'b.status = ''issued'' and b.amount_paid_minor >= b.total_minor'
            when 'overdue' then 'b.status = ''issued'' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null'
            when 'partially_paid' then 'b.status = ''issued'' and b.amount_paid_minor < b.total_minor and b.overdue_since is null and b.amount_paid_minor > 0'
            when 'issued' then 'b.status = ''issued'' and b.amount_paid_minor < b.total_minor and b.overdue_since is null and b.amount_paid_minor <= 0'
        end];
    v_page := private.page_by_key(p, v_from, 'b.id', v_key, v_type, v_conditions);
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(jsonb_build_object(
            'id', l.id, 'number', l.number, 'status', l.status, 'customer_id', l.customer_id,
            'account_no', l.account_no, 'customer_name', l.customer_name, 'meter_serial', l.meter_serial,
            'tariff_name', l.tariff_name, 'period_start', l.period_start, 'period_end', l.period_end,
            'consumption_wh', l.consumption_wh, 'currency', l.currency, 'total_minor', l.total_minor,
            'amount_paid_minor', l.amount_paid_minor, 'balance_minor', l.balance_minor,
            'issued_on', l.issued_on, 'due_date', l.due_date, 'overdue_since', l.overdue_since) order by array_position(v_ids, l.id)), '[]')
        from public.bill_list l where l.id = any (v_ids)));
end $_$;
comment on function public.list_bills is
    'A page of the bills without their lines: {text?, status?, ended_after?, ended_by?, issued_from?, issued_to?, customer_id?, ids?, sort: period|number|customer|total|due, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the account number, the customer''s name or the meter''s serial, or the whole number of the bill. A draft, which has no number and no due date, comes after all that have one.';

create or replace function public.list_payments(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.payments y';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[] := array(
        select format(
            '(y.customer_id in (select c.id from public.customers c where strpos(lower(concat_ws('' '', c.account_no, c.name)), %1$L) > 0)'
            ' or strpos(lower(concat_ws('' '', y.reference, y.provider_id)), %1$L) > 0%2$s)',
            w, private.names_a_bill(w, '(select b.number from public.bills b where b.id = y.bill_id)'))
        from unnest(private.search_words(p ->> 'text')) w);
begin
    case p ->> 'sort'
        when 'received' then v_key := 'y.received_on'; v_type := 'date';
        when 'amount' then v_key := 'y.amount_minor'; v_type := 'bigint';
        when 'customer' then
            v_key := 'coalesce(lower(k.name), '''')'; v_type := 'text';
            v_from := 'public.payments y left join public.customers k on k.id = y.customer_id';
    end case;
    v_conditions := v_conditions || array[
        case when p ->> 'ids' is not null then 'y.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'customer_id' is not null then 'y.customer_id = ($1 ->> ''customer_id'')::uuid' end,
        case when p ->> 'received_from' is not null then 'y.received_on >= ($1 ->> ''received_from'')::date' end,
        case when p ->> 'received_to' is not null then 'y.received_on <= ($1 ->> ''received_to'')::date' end,
        -- What leaves few to be looked at; the status itself is said by the view alone.
        case p ->> 'status'
            when 'unidentified' then 'y.customer_id is null'
            when 'returned' then 'y.id in (select x.payment_id from public.payment_returns x)'
            when 'deposit' then 'y.book = ''deposit'''
            when 'unapplied' then 'y.id in (select e.payment_id from public.open_items o join public.ledger_entries e on e.id = o.entry_id where o.open_minor < 0)'
            when 'partly_applied' then 'y.id in (select e.payment_id from public.open_items o join public.ledger_entries e on e.id = o.entry_id where o.open_minor < 0)'
        end,
        case when p ->> 'status' is not null
            then '(select s.status from public.payment_list s where s.id = y.id) = $1 ->> ''status''' end];
    v_page := private.page_by_key(p, v_from, 'y.id', v_key, v_type, v_conditions);
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) - 'search' order by array_position(v_ids, l.id)), '[]')
        from public.payment_list l where l.id = any (v_ids)));
end $_$;
comment on function public.list_payments is
    'A page of the payments: {text?, status?, received_from?, received_to?, customer_id?, ids?, sort: received|amount|customer, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the account number, the customer''s name, the reference or the provider''s id, or the whole number of the bill. A payment of nobody known sorts before all names.';

create or replace view public.notification_list WITH (security_invoker='true') AS
 SELECT n.id,
    n.bill_id,
    b.number AS bill_number,
    c.account_no,
    n.kind,
    n.channel,
        CASE
            WHEN ((n.status = ANY (ARRAY['waiting'::text, 'sending'::text])) AND (o.status <> 'open'::text)) THEN 'given_up'::text
            ELSE n.status
        END AS status,
    n.attempts,
    n.recipient,
    n.body,
    n.error,
    n.message_id,
    n.created_at,
    n.updated_at,
    o.id AS owed_id,
    o.status AS owed_status,
    lower(concat_ws(' '::text, private.invoice_reference(b.number), c.account_no)) AS search,
    n.occasion,
    n.customer_id
   FROM (((public.notifications n
     LEFT JOIN public.bills b ON ((b.id = n.bill_id)))
     LEFT JOIN public.customers c ON ((c.id = n.customer_id)))
     LEFT JOIN public.outbox o ON (((o.bill_id = n.bill_id) AND (o.kind = n.kind) AND (o.occasion = n.occasion))));

-- The timeline of a customer read all bills, messages and entries of theirs, and the audit trail of each of their meters, for a page of
-- 50: seconds for a landlord with tens of thousands of bills. Each source says its last so many by an instant now, from an index.

create index bills_customer_made on public.bills (customer_id, period_end desc, id desc) include (created_at);
drop index public.bills_customer;
alter index public.bills_customer_made rename to bills_customer;
create index notifications_customer_made on public.notifications (customer_id, created_at desc);
drop index public.notifications_customer;
alter index public.notifications_customer_made rename to notifications_customer;
create index notifications_came_back on public.notifications (customer_id) where status in ('undelivered', 'bounced');
create index ledger_entries_by_hand on public.ledger_entries (customer_id, created_at desc)
    where book = 'account' and kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used', 'opening_balance', 'opening_balance_undone');

CREATE OR REPLACE FUNCTION private.bills_made(p_of text, p_id uuid, p_at timestamp with time zone, p_limit integer) RETURNS TABLE(key text, at timestamp with time zone, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with of_it as (
        select b.id, b.created_at, b.created_by, b.period_end
        -- From the index alone: the last so many of all. Of one without its maker the audit trail says it, so that none is missed.
        from (select x.id from public.bills x where p_of = 'customer' and x.customer_id = p_id and x.created_at = p_at
              union all
              (select x.id from public.bills x where p_of = 'customer' and x.customer_id = p_id and x.created_at < p_at
               order by x.created_at desc fetch first p_limit rows with ties)) k
        join public.bills b on b.id = k.id
        where b.created_by is not null
        union all
        select b.id, b.created_at, b.created_by, b.period_end from public.bills b
        where p_of = 'meter' and b.meter_id = p_id and b.created_by is not null and b.created_at <= p_at
        union all
        select b.id, b.created_at, b.created_by, b.period_end
        from private.bills_of_place(case p_of when 'service_point' then p_id end) i join public.bills b on b.id = i.id
        where b.created_by is not null and b.created_at <= p_at
        union all
        select b.id, b.created_at, b.created_by, b.period_end from public.bills b
        where p_of = 'bill' and b.id = p_id and b.created_by is not null and b.created_at <= p_at
    ), last as (
        -- Whole transactions: one makes many bills of a customer with many places.
        select * from of_it where created_at = p_at
        union all
        (select * from of_it where created_at < p_at order by created_at desc fetch first p_limit rows with ties)
    )
    -- After what the same transaction did before, and before what it changed of the bill.
    select coalesce((select 'a' || lpad((min(u.id) - 1)::text, 19, '0')
                     from public.audit_log u
                     where u.table_name = 'bills' and u.row_id = l.id::text and u.at = l.created_at), '')
               || 'b' || to_char(l.period_end, 'YYYYMMDD') || l.id,
           l.created_at, l.created_by, 'insert', 'bills', l.id::text, null::jsonb, '{}'::jsonb
    from last l
$$;


drop function private.recorded_beside_audit(text, uuid);
CREATE FUNCTION private.recorded_beside_audit(p_of text, p_id uuid, p_from timestamp with time zone, p_at timestamp with time zone, p_limit integer) RETURNS TABLE(key text, at timestamp with time zone, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select 'l' || e.id, e.created_at, e.actor, 'insert',
           case e.kind when 'deposit_used' then 'deposit_uses' else 'adjustments' end, e.id::text, null::jsonb,
           jsonb_build_object('kind', e.kind, 'amount_minor', e.amount_minor, 'currency', e.currency, 'on_date', e.on_date, 'note', e.note)
    from (select * from public.ledger_entries x
          where p_of = 'customer' and x.customer_id = p_id and x.book = 'account' and x.created_at = p_at
            and x.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used', 'opening_balance', 'opening_balance_undone')
          union all
          (select * from public.ledger_entries x
           where p_of = 'customer' and x.customer_id = p_id and x.book = 'account' and x.created_at >= p_from and x.created_at < p_at
             and x.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used', 'opening_balance', 'opening_balance_undone')
           order by x.created_at desc fetch first p_limit rows with ties)) e
    union all
    select 'n' || n.id, n.created_at, 'system:owed-work', 'insert', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id, 'life', n.life)
    from public.notifications n
    where n.id = any (array(
        select k.id from public.notifications k where p_of = 'customer' and k.customer_id = p_id and k.created_at = p_at
        union all
        (select k.id from public.notifications k
         where p_of = 'customer' and k.customer_id = p_id and k.created_at >= p_from and k.created_at < p_at
         order by k.created_at desc fetch first p_limit rows with ties)
        union all
        select k.id from public.notifications k where p_of = 'bill' and k.bill_id = p_id))
    union all
    -- What came back, also when it did: that may be days later.
    select 'b' || n.id, (n.life -> -1 ->> 'at')::timestamptz, 'system:deliveries', 'update', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id)
    from public.notifications n
    where n.status in ('undelivered', 'bounced') and n.life -> -1 ->> 'state' = n.status and n.id = any (array(
        select k.id from public.notifications k
        where p_of = 'customer' and k.customer_id = p_id and k.status in ('undelivered', 'bounced')
        union all
        select k.id from public.notifications k where p_of = 'bill' and k.bill_id = p_id))
    union all
    select 'r' || r.id, r.received_at, 'system:mailbox', 'insert', 'customer_replies', r.id::text, null,
           jsonb_build_object('channel', r.channel, 'sender', r.sender, 'subject', r.subject, 'body', left(r.body, 500),
                              'handled_by', r.handled_by)
    from public.customer_replies r where p_of = 'customer' and r.customer_id = p_id
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
        select x.correction_id from public.corrected_bills x where p_of = 'bill' and (x.void_bill_id = p_id or x.new_bill_id = p_id)
        union all
        select x.correction_id
        from private.bills_of_place(case p_of when 'service_point' then p_id end) b
        join public.corrected_bills x on b.id in (x.void_bill_id, x.new_bill_id)))
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
    union all
    select 's' || s.id, s.created_at, s.created_by, 'insert', 'supply_changes', s.id::text, null,
           jsonb_build_object('kind', s.kind, 'reason', s.reason, 'effective_on', s.effective_on, 'service_point_id', s.service_point_id)
    from public.supply_changes s
    where s.id = any (array(
        -- One that names an agreement is of its customer, another one of whoever was supplied there that day.
        select k.id from public.service_agreements g join public.supply_changes k on k.service_point_id = g.service_point_id
            and case when k.agreement_id is not null then k.agreement_id = g.id
                     else k.effective_on between g.starts_on and coalesce(g.ends_on, 'infinity') end
        where p_of = 'customer' and g.customer_id = p_id
        union all
        select k.id from public.meter_installations i join public.supply_changes k on k.service_point_id = i.service_point_id
            and k.effective_on between i.installed_on and coalesce(i.removed_on, 'infinity')
        where p_of = 'meter' and i.meter_id = p_id
        union all
        select k.id from public.supply_changes k where p_of = 'service_point' and k.service_point_id = p_id))
$$;

CREATE OR REPLACE FUNCTION public.timeline(p jsonb) RETURNS jsonb
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
    -- Before it nothing is on the page.
    v_from timestamptz := '-infinity';
    v_changes jsonb;
    v_ids uuid[];
begin
    if v_of = 'customer' then
        -- As many as the page has are newer by what is cheap to find: of what is found meter by meter no more is needed.
        select case when count(*) > v_limit then min(x.at) else v_from end into v_from
        from (select y.at
              from ((select a.at from public.audit_log a
                     where a.customer_id = v_id and a.at < v_at and (v_tables is null or a.table_name = any (v_tables))
                     order by a.at desc, a.id desc limit v_limit + 1)
                    union all
                    select m.at from private.bills_made(v_of, v_id, v_at, v_limit + 1) m
                    where m.at < v_at and (v_tables is null or 'bills' = any (v_tables))) y
              order by y.at desc limit v_limit + 1) x;
    end if;
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
              and a.at between v_from and v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
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
        select b.* from private.recorded_beside_audit(v_of, v_id, v_from, v_at, v_limit + 1) b
        where v_tables is null or b.table_name = any (v_tables) or (v_deposits and b.table_name = 'payments' and private.is_deposit(b.row_id))
        union all
        select m.* from private.bills_made(v_of, v_id, v_at, v_limit + 1) m
        where v_tables is null or 'bills' = any (v_tables)
    ), page as (
        select t.* from told t
        where t.at < v_at or (t.at = v_at and t.key < v_key collate "C")
        order by t.at desc, t.key collate "C" desc limit v_limit + 1
    )
    select coalesce(jsonb_agg(jsonb_build_object(
               'key', jsonb_build_array(g.at, g.key), 'at', g.at, 'actor', g.actor, 'action', g.action, 'table', g.table_name,
               'row_id', g.row_id, 'before', coalesce(g.before, '{}') - w.unsaid, 'after', case g.action when 'insert' then private.as_inserted(g.table_name, g.row_id, g.after) else g.after end - w.unsaid,
               'inserted', case when g.action = 'update' then (
                   select private.as_inserted(i.table_name, i.row_id, i.after) - w.unsaid
                   from (select x.table_name, x.row_id, x.after from public.audit_log x
                         where x.table_name = g.table_name and x.row_id = g.row_id and x.action = 'insert'
                         union all
                         select 'bills', b.id::text, '{}' from public.bills b
                         where b.id = case g.table_name when 'bills' then g.row_id::uuid end and b.created_by is not null) i
                   limit 1) end)
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


comment on function private.recorded_beside_audit(text, uuid, timestamptz, timestamptz, integer) is
    'What a timeline tells from tables that only grow and name their own author, in the shape of audit rows: of a customer the last so many entries and messages by an instant, from another one on.';
revoke all on function private.recorded_beside_audit(text, uuid, timestamptz, timestamptz, integer) from public, anon, authenticated;
grant execute on function private.recorded_beside_audit(text, uuid, timestamptz, timestamptz, integer) to service_role;

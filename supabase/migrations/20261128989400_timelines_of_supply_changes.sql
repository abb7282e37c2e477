-- Timelines say why somebody moved, a meter was exchanged, or a tariff changed.

create or replace function private.recorded_beside_audit(p_of text, p_id uuid)
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
        where p_of = 'meter' and i.meter_id = p_id))
$$;

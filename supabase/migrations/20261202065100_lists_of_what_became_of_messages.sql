-- Lists, timelines and the nightly removal know what became of messages, and what customers answered.
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
    n.customer_id,
    n.life
   FROM (((public.notifications n
     LEFT JOIN public.bills b ON ((b.id = n.bill_id)))
     LEFT JOIN public.customers c ON ((c.id = n.customer_id)))
     LEFT JOIN public.outbox o ON (((o.bill_id = n.bill_id) AND (o.kind = n.kind) AND (o.occasion = n.occasion))));

create or replace function public.list_notifications(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $_$
declare
    v_page jsonb;
    v_ids uuid[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'n.customer_id', 'n.customer_id', null)], 'n.bill_id');
begin
    v_page := private.page_by_key(
        p || '{"descending": true, "backwards": false, "after": null}', 'public.notifications n', 'n.id', 'n.created_at', 'timestamptz',
        array[
            -- What the index of undone messages has; which of them were given up is said by the view alone.
            case when p ->> 'status' in ('waiting', 'sending', 'given_up', 'failed', 'unknown', 'undelivered', 'bounced')
                then 'n.status in (''waiting'', ''sending'', ''failed'', ''unknown'', ''undelivered'', ''bounced'')' end,
            case when p ->> 'status' in ('waiting', 'sending', 'given_up')
                    then '(select l.status from public.notification_list l where l.id = n.id) = $1 ->> ''status'''
                 when p ->> 'status' is not null then 'n.status = $1 ->> ''status''' end],
        v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') with ordinality x (k, n)
                   where n > (p ->> 'offset')::integer);
    return jsonb_build_object('total', v_page -> 'total', 'rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.notification_list l where l.id = any (v_ids)));
end $_$;

create or replace function private.recorded_beside_audit(p_of text, p_id uuid) returns TABLE(key text, at timestamp with time zone, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
language sql stable set search_path = '' as $$
    select 'l' || e.id, e.created_at, e.actor, 'insert',
           case e.kind when 'deposit_used' then 'deposit_uses' else 'adjustments' end, e.id::text, null::jsonb,
           jsonb_build_object('kind', e.kind, 'amount_minor', e.amount_minor, 'currency', e.currency, 'on_date', e.on_date, 'note', e.note)
    from public.ledger_entries e
    where p_of = 'customer' and e.customer_id = p_id and e.book = 'account'
      and e.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used', 'opening_balance', 'opening_balance_undone')
    union all
    select 'n' || n.id, n.created_at, 'system:owed-work', 'insert', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id, 'life', n.life)
    from public.notifications n
    where n.id = any (array(
        select k.id from public.notifications k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.notifications k where p_of = 'bill' and k.bill_id = p_id))
    union all
    -- What came back, also when it did: that may be days later.
    select 'b' || n.id, (n.life -> -1 ->> 'at')::timestamptz, 'system:deliveries', 'update', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id)
    from public.notifications n
    where n.status in ('undelivered', 'bounced') and n.life -> -1 ->> 'state' = n.status and n.id = any (array(
        select k.id from public.notifications k where p_of = 'customer' and k.customer_id = p_id
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

create or replace function public.save_owed_work(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.outbox;
    v_open boolean := p ->> 'status' = 'open';
    v_release boolean := coalesce((p ->> 'release')::boolean, true);
begin
    perform private.set_actor(p);
    if p ->> 'payment_url' is not null then
        -- Before the outbox row, as whoever changes a bill's balance does.
        perform 1 from public.bills
        where id = (select bill_id from public.outbox where id = (p ->> 'id')::uuid) for update;
    end if;
    select * into v_row from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found or v_row.lease_owner is distinct from p ->> 'owner' then
        perform private.refuse('EB007', 'Another process is working on this by now.');
    end if;
    update public.outbox
    set steps = p -> 'steps', status = p ->> 'status',
        attempts = (p ->> 'attempts')::integer,
        next_attempt_at = case when p ->> 'retry_in_seconds' is null then next_attempt_at
                               else now() + make_interval(secs => (p ->> 'retry_in_seconds')::integer) end,
        finished_at = case when not v_open then now() end,
        lease_owner = case when v_release then null else lease_owner end,
        lease_until = case when v_release then null
                           else now() + make_interval(secs => (p ->> 'lease_seconds')::integer) end
    where id = v_row.id;
    if p ->> 'payment_url' is not null then
        update public.bills set payment_url = p ->> 'payment_url'
        where id = v_row.bill_id and status = 'issued' and payment_url is distinct from p ->> 'payment_url';
    end if;
    insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status, recipient, body, error)
    select n.id, v_row.bill_id, b.customer_id, v_row.kind, v_row.occasion, n.channel, n.status, n.recipient, n.body, n.error
    from jsonb_to_recordset(coalesce(p -> 'notifications', '[]')) as n(
        id uuid, channel text, status text, recipient text, body text, error text)
    cross join public.bills b
    where b.id = v_row.bill_id
    on conflict (id) do nothing;
    if not v_open then
        -- What is not said after all waits for no turn.
        update public.notifications
        set queued_at = null, status = 'not_configured', updated_at = now(), error = coalesce(p #>> '{steps,12,detail}', '')
        where bill_id = v_row.bill_id and kind = v_row.kind and occasion = v_row.occasion
          and (queued_at is not null or status = 'waiting' and attempts = 0);
    end if;
    return '{}'::jsonb;
end $$;

create or replace function private.remove_old() returns trigger
language plpgsql SECURITY DEFINER set search_path = '' as $$
declare
    v_pictures text[];
begin
    case new.what
        when 'outbox' then
            delete from public.outbox where ctid = any (array(
                select o.ctid from public.outbox o where o.status <> 'open' and o.finished_at < new.older_than
                order by o.finished_at limit new.at_most));
        when 'notifications' then
            delete from public.notifications where ctid = any (array(
                select n.ctid from public.notifications n
                where n.created_at < new.older_than and n.updated_at < new.older_than and n.status not in ('waiting', 'sending')
                order by n.created_at limit new.at_most));
        when 'customer_replies' then
            delete from public.customer_replies where ctid = any (array(
                select r.ctid from public.customer_replies r where r.received_at < new.older_than and r.handled_at is not null
                order by r.received_at limit new.at_most));
        when 'ai_calls' then
            delete from public.ai_calls where ctid = any (array(
                select c.ctid from public.ai_calls c where c.created_at < new.older_than order by c.created_at limit new.at_most));
        when 'sessions' then
            delete from public.sessions where ctid = any (array(
                select s.ctid from public.sessions s where s.first_used_at < new.older_than and s.expires_at < new.older_than
                order by s.first_used_at limit new.at_most));
        -- These two are written in the order of their ids: the oldest come first.
        when 'security_log' then
            delete from public.security_log where ctid = any (array(
                select l.ctid from (select x.ctid, x.at from public.security_log x order by x.id limit new.at_most) l where l.at < new.older_than));
        when 'audit_log' then
            delete from public.audit_log where ctid = any (array(
                select a.ctid from (select x.ctid, x.at from public.audit_log x order by x.id limit new.at_most) a where a.at < new.older_than));
        when 'operations_alerts' then
            delete from public.operations_alerts where ctid = any (array(
                select a.ctid from public.operations_alerts a where a.resolved_at < new.older_than order by a.since limit new.at_most));
        when 'refused_reads' then
            delete from public.refused_reads where ctid = any (array(
                select x.ctid from public.refused_reads x where x.refused_at < new.older_than order by x.refused_at limit new.at_most));
        -- What the last month's run set aside may still be billed: it is never older than a month before that run.
        when 'job_set_aside' then
            delete from public.job_set_aside where ctid = any (array(
                select s.ctid
                from (select r.job, r.scheduled_on from public.job_runs r
                      where r.scheduled_on < least((new.older_than at time zone 'UTC')::date,
                                                   (private.last_month_run() - interval '1 month')::date)
                      order by r.scheduled_on, r.job) o
                cross join lateral (select x.ctid from public.job_set_aside x
                                    where x.job = o.job and x.scheduled_on = o.scheduled_on
                                    order by x.subject limit new.at_most) s
                limit new.at_most));
        when 'meter_photos' then
            with gone as (
                delete from public.meter_photos where ctid = any (array(
                    select f.ctid from public.meter_photos f where f.created_at < new.older_than order by f.created_at limit new.at_most))
                returning sha256
            ) select coalesce(array_agg(g.sha256), '{}') into v_pictures from gone g;
            delete from public.photo_contents c
            where c.sha256 = any (v_pictures) and not exists (select 1 from public.meter_photos f where f.sha256 = c.sha256);
            new.removed := cardinality(v_pictures);
            return case when new.removed > 0 then new end;
        -- A photo finds its reading by the key of both, which stays for as long.
        when 'idempotency_keys' then
            delete from public.idempotency_keys where ctid = any (array(
                select k.ctid from public.idempotency_keys k
                where k.created_at < new.older_than
                  and not exists (select 1 from public.meter_photos f where f.taken_by = k.caller and f.key = k.key)
                order by k.created_at limit new.at_most));
        when 'stripe_events' then
            delete from public.stripe_events where ctid = any (array(
                select e.ctid from public.stripe_events e where e.created_at < new.older_than and e.outcome <> 'waiting'
                order by e.created_at limit new.at_most));
        -- The last good look says since when to look again.
        when 'reconciliations' then
            delete from public.reconciliations where ctid = any (array(
                select r.ctid from public.reconciliations r
                where r.at < new.older_than
                  and r.at < (select max(x.at) from public.reconciliations x where x.kind = r.kind and x.error = '')
                order by r.at limit new.at_most));
        when 'removals' then
            delete from public.removals where ctid = any (array(
                select r.ctid from public.removals r where r.at < new.older_than order by r.id limit new.at_most));
        else
            perform private.refuse('EB400', format('Nothing is removed of %s.', new.what));
    end case;
    get diagnostics new.removed = row_count;
    return case when new.removed > 0 then new end;
end $$;
comment on function public.remove_old_records(p jsonb) is 'Removes up to so many records of a kind that are older than an instant: {run?, what: outbox|notifications|customer_replies|ai_calls|sessions|security_log|audit_log|operations_alerts|refused_reads|job_set_aside|meter_photos|idempotency_keys|stripe_events|reconciliations|removals, before, limit} -> {removed}. What is open, and what the law wants kept, stays.';

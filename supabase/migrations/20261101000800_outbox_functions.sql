-- The outbox: whoever holds a row's lease works on it, and only they may save it.

create function public.claim_owed_work(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_due uuid[] := array(
        select o.id from public.outbox o
        where o.status = 'open' and o.next_attempt_at <= now()
          and (o.lease_until is null or o.lease_until < now())
        order by o.next_attempt_at
        limit (p ->> 'limit')::integer
        for update skip locked);
begin
    update public.outbox
    set lease_owner = p ->> 'owner',
        lease_until = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
    where id = any (v_due);
    return (
        select jsonb_build_object('owed', coalesce(jsonb_agg(
            to_jsonb(o) || jsonb_build_object('bill', private.bill_json(o.bill_id)) order by o.created_at), '[]'))
        from public.outbox o where o.id = any (v_due));
end $$;
comment on function public.claim_owed_work is 'Leases what is due: {owner, lease_seconds, limit} -> {owed: [outbox row with its bill]}.';

create function public.save_owed_work(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.outbox;
    v_open boolean := p ->> 'status' = 'open';
    v_release boolean := coalesce((p ->> 'release')::boolean, true);
begin
    perform private.set_actor(p);
    select * into v_row from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found or v_row.lease_owner is distinct from p ->> 'owner' then
        perform private.refuse('EB007', 'Another process is working on this by now.');
    end if;
    update public.outbox
    set steps = p -> 'steps', status = p ->> 'status',
        attempts = (p ->> 'attempts')::integer,
        next_attempt_at = now() + make_interval(secs => coalesce((p ->> 'retry_in_seconds')::integer, 0)),
        finished_at = case when not v_open then now() end,
        lease_owner = case when v_release then null else lease_owner end,
        lease_until = case when v_release then null
                           else now() + make_interval(secs => (p ->> 'lease_seconds')::integer) end
    where id = v_row.id;
    if p ->> 'payment_url' is not null then
        update public.bills set payment_url = p ->> 'payment_url'
        where id = v_row.bill_id and status = 'issued' and payment_url is distinct from p ->> 'payment_url';
    end if;
    insert into public.notifications (id, bill_id, customer_id, kind, channel, status, recipient, body, error)
    select n.id, v_row.bill_id, b.customer_id, v_row.kind, n.channel, n.status, n.recipient, n.body, n.error
    from jsonb_to_recordset(coalesce(p -> 'notifications', '[]')) as n(
        id uuid, channel text, status text, recipient text, body text, error text)
    cross join public.bills b
    where b.id = v_row.bill_id
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;
comment on function public.save_owed_work is
    'Keeps the state of the steps: {actor, id, owner, steps, status, attempts, retry_in_seconds, release, lease_seconds, payment_url?, notifications?}. EB007 when the lease is another''s.';

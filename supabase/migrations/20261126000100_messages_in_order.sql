-- A customer hears of one bill in the order in which things happened to it.

create or replace function public.claim_owed_work(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_due uuid[] := array(
        select o.id from public.outbox o
        where o.status = 'open' and o.next_attempt_at <= now()
          and (o.lease_until is null or o.lease_until < now())
          -- The reminder waits until the bill itself was sent or given up.
          and not exists (
              select 1 from public.outbox e
              where e.bill_id = o.bill_id and e.status = 'open' and e.created_at < o.created_at
                and 'pending' in (e.steps #>> '{11,status}', e.steps #>> '{12,status}')
                and 'pending' in (o.steps #>> '{11,status}', o.steps #>> '{12,status}'))
        order by o.next_attempt_at
        limit (p ->> 'limit')::integer
        for update of o skip locked);
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
comment on function public.claim_owed_work is
    'Leases what is due, of a bill''s messages the oldest first: {owner, lease_seconds, limit} -> {owed: [outbox row with its bill]}.';

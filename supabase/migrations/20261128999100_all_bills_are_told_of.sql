-- Bills of one customer that are made in several steps are all told of: whoever takes over the message of
-- another takes over the bills that this one was to tell of.

create or replace function private.join_statement(p_customer uuid, p_in_run boolean) returns void
language plpgsql set search_path = ''
as $$
declare
    v_bills uuid[];
    v_tells uuid;
    v_told text;
begin
    -- Bills that nobody has begun to tell of, the latest first; it tells of the others.
    select array_agg(x.bill_id order by x.period_end desc, x.number desc) into v_bills
    from (select o.bill_id, b.period_end, b.number
          from public.bills b join public.outbox o on o.bill_id = b.id and o.kind = 'bill_issued'
          where b.customer_id = p_customer and b.status = 'issued' and o.status = 'open'
            and o.steps #>> '{11,status}' = 'pending' and (o.lease_until is null or o.lease_until < now())
            and o.created_at > now() - interval '2 days'
          for update of o) x;
    v_tells := v_bills[1];
    if v_tells is null then
        return;
    end if;
    -- With those that each of them was to tell of already.
    select string_agg(b.id::text, ' ' order by b.period_end desc, b.number desc) into v_told
    from public.bills b
    where b.status = 'issued' and b.id <> v_tells and (b.id = any (v_bills) or b.id in (
        select t.id::uuid from public.outbox o, unnest(string_to_array(o.facts ->> 'tells_of', ' ')) t(id)
        where o.bill_id = any (v_bills) and o.kind = 'bill_issued'));
    update public.outbox o
    set facts = o.facts || case when v_told is null then '{}' else jsonb_build_object('tells_of', v_told) end
            || case when p_in_run then jsonb_build_object('statement', 'waits') else '{}' end,
        -- The run goes through agreements, not customers: the message waits for its end.
        next_attempt_at = case when p_in_run then now() + interval '12 hours' else now() + interval '2 minutes' end
    where o.bill_id = v_tells and o.kind = 'bill_issued';
    update public.outbox o
    set facts = o.facts - 'tells_of' - 'statement', next_attempt_at = now(),
        steps = o.steps || (select jsonb_object_agg(s, '{"status": "skipped", "detail": "in one message with the customer''s other bills"}'::jsonb)
                            from unnest(array['11', '12', '13']) s)
    where o.bill_id = any (v_bills[2:]) and o.kind = 'bill_issued';
end $$;

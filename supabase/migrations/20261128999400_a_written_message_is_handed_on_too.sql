-- One message tells of several bills. Where the bill that carries it becomes void after it was written and before
-- it is sent, another of them carries it as well: it is written anew.

create or replace function private.hand_message_on() returns trigger
language plpgsql set search_path = ''
as $$
declare
    o public.outbox;
    v_others uuid[];
begin
    select * into o from public.outbox x
    where x.bill_id = new.id and x.kind = 'bill_issued' and x.facts ? 'tells_of' and x.status = 'open'
      -- Written or not: what is written of a void bill is not sent.
      and (x.steps #>> '{11,status}' = 'pending'
           or x.steps #>> '{12,status}' = 'pending' and coalesce(x.steps #> '{12,facts}', '{}') = '{}')
      and (x.lease_until is null or x.lease_until < now())
    for update;
    if not found then
        return null;
    end if;
    v_others := array(select b.id from public.bills b
                      where b.id = any (string_to_array(o.facts ->> 'tells_of', ' ')::uuid[]) and b.status = 'issued'
                      order by b.period_end desc, b.number desc);
    update public.outbox x
    set status = 'open', finished_at = null, next_attempt_at = o.next_attempt_at,
        steps = x.steps || (
            select jsonb_object_agg(s, case when s = '11' or o.steps #>> array[s, 'status'] = 'pending'
                                            then '{"status": "pending", "detail": ""}' else o.steps -> s end)
            from unnest(array['11', '12', '13']) s where o.steps ? s),
        facts = x.facts || (o.facts - 'tells_of')
            || case when cardinality(v_others) > 1
                    then jsonb_build_object('tells_of', (select string_agg(b::text, ' ') from unnest(v_others[2:]) b)) else '{}' end
    where x.bill_id = v_others[1] and x.kind = 'bill_issued';
    update public.outbox x set facts = x.facts - 'tells_of' - 'statement' where x.id = o.id;
    return null;
end $$;

-- One message tells of several bills. Where the bill that carries it becomes void before it is written,
-- another of them carries it.

create function private.hand_message_on() returns trigger
language plpgsql set search_path = ''
as $$
declare
    o public.outbox;
    v_others uuid[];
begin
    select * into o from public.outbox x
    where x.bill_id = new.id and x.kind = 'bill_issued' and x.facts ? 'tells_of' and x.status = 'open'
      and x.steps #>> '{11,status}' = 'pending' and (x.lease_until is null or x.lease_until < now())
    for update;
    if not found then
        return null;
    end if;
    v_others := array(select b.id from public.bills b
                      where b.id = any (string_to_array(o.facts ->> 'tells_of', ' ')::uuid[]) and b.status = 'issued'
                      order by b.period_end desc, b.number desc);
    update public.outbox x
    set status = 'open', finished_at = null, next_attempt_at = o.next_attempt_at,
        steps = x.steps || (select jsonb_object_agg(s, o.steps -> s) from unnest(array['11', '12', '13']) s where o.steps ? s),
        facts = x.facts || (o.facts - 'tells_of')
            || case when cardinality(v_others) > 1
                    then jsonb_build_object('tells_of', (select string_agg(b::text, ' ') from unnest(v_others[2:]) b)) else '{}' end
    where x.bill_id = v_others[1] and x.kind = 'bill_issued';
    update public.outbox x set facts = x.facts - 'tells_of' - 'statement' where x.id = o.id;
    return null;
end $$;
comment on function private.hand_message_on is 'Lets another bill tell of those that a void bill was to tell of.';
revoke all on function private.hand_message_on() from public, anon, authenticated;
grant execute on function private.hand_message_on() to service_role;

create trigger hand_message_on after update of status on public.bills
for each row when (new.status = 'void' and old.status = 'issued') execute function private.hand_message_on();

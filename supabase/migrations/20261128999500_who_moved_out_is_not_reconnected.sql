-- Who moves out while somebody else reconnects them is not charged for it.

create or replace function private.change_disconnection(p jsonb, a public.service_agreements) returns void
language plpgsql set search_path = '' as $$
declare
    v_kind text := p ->> 'kind';
    v_on date := (p ->> 'effective_on')::date;
    d public.disconnections;
begin
    -- The last one that counts; the place and the customer are locked.
    select * into d from public.disconnections x
    where x.agreement_id = a.id and not x.withdrawn order by x.disconnected_on desc, x.created_at desc limit 1;
    if a.ends_on is not null then
        perform private.refuse('EB005', 'They moved out meanwhile: look at the place again.');
    elsif v_kind = 'disconnect' then
        if v_on <= a.starts_on then
            perform private.refuse('EB005', 'Nobody who has an agreement for this place was supplied that day.');
        elsif d.id is not null and d.reconnected_on is null then
            perform private.refuse('EB005', 'They are disconnected already.');
        elsif v_on < d.reconnected_on then
            perform private.refuse('EB005', 'They were reconnected after that day: give a later one.');
        end if;
        insert into public.disconnections (id, agreement_id, disconnected_on, disconnect_reading_id)
        values ((p #>> '{disconnection,id}')::uuid, a.id, v_on, (p #>> '{disconnection,reading_id}')::uuid);
        return;
    end if;
    if d.id is distinct from (p #>> '{disconnection,id}')::uuid
       or (v_kind = 'not_reconnected') = (d.reconnected_on is null) then
        perform private.refuse('EB001', 'They were disconnected or reconnected meanwhile: look at the place again.');
    end if;
    if v_kind = 'reconnect' then
        if p #> '{disconnection,fee}' <> 'null' then
            perform public.add_adjustment((p #> '{disconnection,fee}') || jsonb_build_object(
                'actor', p -> 'actor', 'kind', 'fee', 'customer_id', a.customer_id, 'on_date', p -> 'on', 'owed', p -> 'owed'));
        end if;
        update public.disconnections
        set reconnected_on = v_on, reconnect_reading_id = (p #>> '{disconnection,reading_id}')::uuid,
            fee_entry_id = (p #>> '{disconnection,fee,id}')::uuid
        where id = d.id;
    elsif v_kind = 'not_reconnected' then
        update public.disconnections set reconnected_on = null, reconnect_reading_id = null, fee_entry_id = null where id = d.id;
        if d.fee_entry_id is not null then
            perform public.undo_adjustment(jsonb_build_object(
                'actor', p -> 'actor', 'entry_id', d.fee_entry_id, 'reason', p -> 'reason', 'on_date', p -> 'on', 'owed', p -> 'owed'));
        end if;
    else
        update public.disconnections set withdrawn = true where id = d.id;
    end if;
end $$;

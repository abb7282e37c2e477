-- A change that was taken back, by a form of its own too, is in the way of no other undoing.

drop trigger refuse_delete on public.disconnections;
create trigger refuse_delete before delete on public.disconnections for each row execute function private.refuse_delete_unless_undone();
create trigger audit_delete after delete on public.disconnections referencing old table as old_rows for each statement execute function private.audit_delete();
grant delete on public.disconnections to service_role;

create function private.supply_taken_back(p_kind text, p_agreement_id uuid) returns uuid
language sql stable set search_path = '' as $$
    select c.id from public.supply_changes c
    where c.agreement_id = p_agreement_id
      and c.kind = case p_kind when 'not_disconnected' then 'disconnect' when 'not_reconnected' then 'reconnect' when 'stay' then 'move_out' end
      and not exists (select 1 from public.supply_changes u where u.undoes_id = c.id)
    order by c.created_at desc limit 1
$$;
comment on function private.supply_taken_back is 'The change that one of the kind not_disconnected, not_reconnected or stay takes back, else null.';
revoke all on function private.supply_taken_back(text, uuid) from public, anon, authenticated;
grant execute on function private.supply_taken_back(text, uuid) to service_role;

create or replace function public.change_supply(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_point uuid := (p ->> 'service_point_id')::uuid;
    a public.service_agreements;
    v_state jsonb;
    v_correction uuid;
    v_deposit bigint;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_points(array(
        select v_point union
        select i.service_point_id from public.meter_installations i where i.meter_id = (p #>> '{install,meter_id}')::uuid));
    if exists (select 1 from public.supply_changes where id = v_id) then
        return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
    end if;
    if p ->> 'customer' is not null then
        perform private.add_customer(p);
    end if;
    insert into public.meters (id, serial, kind, dials, registers)
    select x.id, x.serial, x.kind, x.dials, coalesce(x.registers, '[]')
    from jsonb_to_record(p -> 'new_meter') as x(id uuid, serial text, kind text, dials smallint, registers jsonb)
    where p ->> 'new_meter' is not null;
    if p ->> 'agreement_id' is not null then
        select * into a from public.service_agreements where id = (p ->> 'agreement_id')::uuid and service_point_id = v_point;
        if not found then
            perform private.refuse('EB404', 'No such agreement.');
        elsif a.ends_on is not null and p ->> 'kind' = 'move_out' then
            perform private.refuse('EB005', 'They have moved out already.');
        end if;
        v_state := private.begin_correction(p, a);
    end if;
    if p #>> '{remove,same_meter}' is not null then
        perform set_config('billing.same_meter', p #>> '{remove,same_meter}', true);
    end if;
    -- The read at which a meter goes is one of its installation, that at which one comes is an opening.
    perform private.insert_reading(x) from jsonb_array_elements(coalesce(p -> 'readings', '[]')) x;
    update public.meter_installations i
    set removed_at = x.removed_at, removed_on = x.removed_on, closing_reading_id = x.closing_reading_id, removal_reason = p ->> 'reason'
    from jsonb_to_record(p -> 'remove') as x(
        installation_id uuid, removed_at timestamptz, removed_on date, closing_reading_id uuid)
    where p ->> 'remove' is not null and i.id = x.installation_id and i.removed_at is null;
    if not found and p ->> 'remove' is not null then
        perform private.refuse('EB001', 'This meter was removed meanwhile: look at the place again.');
    end if;
    insert into public.meter_installations (id, service_point_id, meter_id, installed_at, installed_on, multiplier_milli, opening_reading_id)
    select x.id, v_point, x.meter_id, x.installed_at, x.installed_on, x.multiplier_milli, x.opening_reading_id
    from jsonb_to_record(p -> 'install') as x(
        id uuid, meter_id uuid, installed_at timestamptz, installed_on date, multiplier_milli integer, opening_reading_id uuid)
    where p ->> 'install' is not null;
    if p ->> 'end' is not null then
        update public.service_agreements
        set ends_on = (p #>> '{end,ends_on}')::date, closing_reading_id = (p #>> '{end,closing_reading_id}')::uuid
        where id = a.id;
    end if;
    if p ->> 'kind' = 'stay' then
        update public.service_agreements set ends_on = null, closing_reading_id = null where id = a.id;
    end if;
    if p ->> 'start' is not null then
        insert into public.service_agreements (id, service_point_id, customer_id, starts_on, opening_reading_id, billing_day)
        select x.id, v_point, x.customer_id, x.starts_on, x.opening_reading_id, coalesce(x.billing_day, 1)
        from jsonb_to_record(p -> 'start') as x(
            id uuid, customer_id uuid, starts_on date, opening_reading_id uuid, billing_day smallint);
        insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
        select gen_random_uuid(), x.id, x.starts_on, x.tariff_id
        from jsonb_to_record(p -> 'start') as x(id uuid, starts_on date, tariff_id uuid);
        update public.customers c set currency = t.currency
        from public.tariffs t
        where t.id = (p #>> '{start,tariff_id}')::uuid and c.id = (p #>> '{start,customer_id}')::uuid and c.currency is null;
    end if;
    if p ->> 'tariff_id' is not null then
        perform private.set_tariff(a.id, (p ->> 'effective_on')::date, (p ->> 'tariff_id')::uuid);
    end if;
    if a.id is not null then
        v_correction := private.end_correction(p || jsonb_build_object('kind', 'supply'), a, v_state);
    end if;
    if p ->> 'disconnection' is not null then
        perform private.change_disconnection(p, a);
    end if;
    if p ->> 'deposit_entry_id' is not null then
        -- What is held pays what is open; what is left of it can be paid out.
        select least(private.open_credit(a.customer_id, 'deposit', c.currency),
                     coalesce((select x.balance_minor from public.accounts x
                               where x.customer_id = c.id and x.book = 'account' and x.currency = c.currency), 0))
        into v_deposit from public.customers c where c.id = a.customer_id;
        if v_deposit > 0 then
            perform public.use_deposit(jsonb_build_object(
                'actor', p ->> 'actor', 'id', p ->> 'deposit_entry_id', 'customer_id', a.customer_id,
                'currency', (select currency from public.customers where id = a.customer_id),
                'amount_minor', v_deposit, 'note', p ->> 'reason', 'on_date', p ->> 'on', 'owed', p -> 'owed'));
        end if;
    end if;
    set constraints all immediate;
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, correction_id, undoes_id, created_by)
    values (v_id, p ->> 'kind', v_point, coalesce(a.id, (p #>> '{start,id}')::uuid), (p ->> 'effective_on')::date, p ->> 'reason',
            coalesce(p -> 'details', '{}'), v_correction,
            private.supply_taken_back(p ->> 'kind', a.id), p ->> 'actor');
    return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
exception when unique_violation then
    raise exception using errcode = 'EB005', message = case
        when sqlerrm like '%meters_serial%' then 'There is a meter with this serial already.'
        when sqlerrm like '%readings_one_live%' then 'Another value is stored for this meter at this very time.'
        when sqlerrm like '%one_place%' then 'This meter is installed at another place: remove it there first.'
        when sqlerrm like '%one_meter%' then 'Another meter is installed at this place: exchange it, or remove it first.'
        when sqlerrm like '%one_open%' then 'Somebody else has an agreement for this place: end it first.'
        when sqlerrm like '%disconnections_one_open%' then 'They are disconnected already.'
        else 'Somebody else changed this at the same time: look at it again.' end;
end $$;

create or replace function private.undo_agreement(p_agreement uuid) returns void
language plpgsql set search_path = '' as $$
begin
    if exists (select 1 from public.bills b where b.agreement_id = p_agreement) then
        perform private.refuse('EB005', 'Bills were made for this agreement: let them move out instead.');
    end if;
    perform set_config('billing.undoing', p_agreement::text, true);
    delete from public.agreements_to_bill where agreement_id = p_agreement;
    update public.job_set_aside set agreement_id = null where agreement_id = p_agreement;
    delete from public.disconnections where agreement_id = p_agreement and withdrawn;
    delete from public.agreement_tariffs where agreement_id = p_agreement;
    delete from public.service_agreements where id = p_agreement;
    perform set_config('billing.undoing', '', true);
end $$;

create or replace function public.undo_supply_change(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    c public.supply_changes;
begin
    perform private.set_actor(p);
    select * into c from public.supply_changes where id = (p ->> 'change_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such change.');
    end if;
    perform private.lock_points(array[c.service_point_id]);
    if exists (select 1 from public.supply_changes where id = v_id) then
        return (select to_jsonb(x) from public.supply_changes x where x.id = v_id);
    elsif exists (select 1 from public.supply_changes where undoes_id = c.id) then
        perform private.refuse('EB005', 'This was undone already.');
    elsif exists (select 1 from public.supply_changes x
                  where x.service_point_id = c.service_point_id and x.created_at > c.created_at and x.undoes_id is null
                    and not exists (select 1 from public.supply_changes u where u.undoes_id = x.id)) then
        perform private.refuse('EB005', 'Something else was changed at this place after it: undo that first.');
    end if;
    case c.kind
        when 'move_in' then
            perform private.undo_agreement(c.agreement_id);
        when 'connect' then
            perform private.undo_agreement(c.agreement_id);
            perform private.undo_installation(c.service_point_id, false, p ->> 'reason', p ->> 'actor');
        when 'exchange' then
            perform private.undo_installation(c.service_point_id, true, p ->> 'reason', p ->> 'actor');
        when 'multiplier' then
            perform private.undo_installation(c.service_point_id, true, p ->> 'reason', p ->> 'actor');
        when 'tariff' then
            if exists (select 1 from public.bills b
                       where b.agreement_id = c.agreement_id and b.status <> 'void' and b.period_end > c.effective_on) then
                perform private.refuse('EB005', 'A bill is priced by this tariff: change the tariff back from that day, which issues it again.');
            end if;
            perform private.undo_tariff(c);
        else
            perform private.refuse('EB005', 'This cannot be undone so.');
    end case;
    set constraints all immediate;
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, undoes_id, created_by)
    values (v_id, 'undo', c.service_point_id, (select a.id from public.service_agreements a where a.id = c.agreement_id),
            c.effective_on, p ->> 'reason', c.details || jsonb_build_object('undone', c.kind), c.id, p ->> 'actor');
    return (select to_jsonb(x) from public.supply_changes x where x.id = v_id);
end $$;

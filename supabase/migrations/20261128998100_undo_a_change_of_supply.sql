-- A change of supply that did not happen is undone while nothing was billed by it.

alter table public.supply_changes drop constraint supply_changes_kind_check;
alter table public.supply_changes add constraint supply_changes_kind_check check (kind in (
    'connect', 'move_in', 'move_out', 'exchange', 'multiplier', 'tariff', 'stay',
    'disconnect', 'reconnect', 'not_disconnected', 'not_reconnected', 'undo'));
alter table public.supply_changes add column undoes_id uuid references public.supply_changes (id);
comment on column public.supply_changes.undoes_id is 'The change that did not happen, which this one took back.';
create unique index supply_changes_undone_once on public.supply_changes (undoes_id) where undoes_id is not null;
-- The agreement of a move that did not happen is no more, and the change that made it stays.
alter table public.supply_changes drop constraint supply_changes_agreement_id_fkey;
comment on column public.supply_changes.agreement_id is 'The agreement that it made or changed; one that was undone is no more.';

alter table public.audit_log drop constraint audit_log_action_check;
alter table public.audit_log add constraint audit_log_action_check check (action in ('insert', 'update', 'delete'));

create function private.audit_delete() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, customer_id, meter_id, before, after)
    select current_setting('billing.actor', true), 'delete', tg_table_name, r.o ->> 'id',
           coalesce((r.o ->> 'customer_id')::uuid, case when r.o ? 'agreement_id' then private.customer_behind(r.o) end),
           (r.o ->> 'meter_id')::uuid, r.o, '{}'
    from (select to_jsonb(o) as o from old_rows o offset 0) r;
    return null;
end $$;
comment on function private.audit_delete is 'Keeps a row that is taken back in the audit trail.';
revoke all on function private.audit_delete() from public, anon, authenticated;
grant execute on function private.audit_delete() to service_role;

create function private.refuse_delete_unless_undone() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if current_setting('billing.undoing', true) = coalesce(to_jsonb(old) ->> 'agreement_id', old.id::text) then
        return old;
    end if;
    raise exception using errcode = 'EB005',
        message = format('Rows of %s are never deleted: undo the change that made them.', tg_table_name);
end $$;
comment on function private.refuse_delete_unless_undone is 'Only private.undo_rows takes a row away, one that nothing was billed by.';
revoke all on function private.refuse_delete_unless_undone() from public, anon, authenticated;
grant execute on function private.refuse_delete_unless_undone() to service_role;

do $$
declare
    v_table text;
begin
    foreach v_table in array array['meter_installations', 'service_agreements', 'agreement_tariffs'] loop
        execute format('drop trigger refuse_delete on public.%I', v_table);
        execute format('create trigger refuse_delete before delete on public.%I for each row execute function private.refuse_delete_unless_undone()', v_table);
        execute format('create trigger audit_delete after delete on public.%I referencing old table as old_rows for each statement execute function private.audit_delete()', v_table);
        execute format('grant delete on public.%I to service_role', v_table);
    end loop;
end $$;

create or replace function private.guard_reading() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_decision text[] := array['status', 'decided_by', 'decided_at', 'decision_reason'];
begin
    if old.is_opening and old.status = 'accepted' and (
        new.status = 'superseded'
        -- Of a meter that was never installed there, or not then.
        or (new.status = 'rejected' and not exists (
            select 1 from public.meter_installations i where old.id in (i.opening_reading_id, i.closing_reading_id)))) then
        v_decision := v_decision || array['is_opening'];
    end if;
    -- Whoever accepts a flagged read may say that the register rolled over before it.
    if old.status = 'needs_review' and new.status = 'accepted' then
        v_decision := v_decision || array['rolled_over'];
    end if;
    if to_jsonb(new) - v_decision <> to_jsonb(old) - v_decision then
        raise exception using errcode = 'EB005',
            message = 'A reading is never overwritten: enter a correction instead.';
    end if;
    if new.status <> old.status and not (
        (old.status = 'needs_review' and new.status in ('accepted', 'rejected', 'superseded'))
        or (old.status = 'accepted' and new.status in ('superseded', 'rejected') and not new.is_opening)
    ) then
        raise exception using errcode = 'EB005',
            message = format('This reading is already %s.', replace(old.status, '_', ' '));
    end if;
    return new;
end $$;

create function private.undo_agreement(p_agreement uuid) returns void
language plpgsql set search_path = ''
as $$
begin
    if exists (select 1 from public.bills b where b.agreement_id = p_agreement) then
        perform private.refuse('EB005', 'Bills were made for this agreement: let them move out instead.');
    end if;
    perform set_config('billing.undoing', p_agreement::text, true);
    delete from public.agreements_to_bill where agreement_id = p_agreement;
    update public.job_set_aside set agreement_id = null where agreement_id = p_agreement;
    delete from public.agreement_tariffs where agreement_id = p_agreement;
    delete from public.service_agreements where id = p_agreement;
    perform set_config('billing.undoing', '', true);
end $$;
comment on function private.undo_agreement is 'Takes an agreement away that nobody ever had, and that no bill was made for.';

create function private.undo_installation(p_point uuid, p_before boolean, p_reason text, p_actor text) returns void
language plpgsql set search_path = ''
as $$
declare
    i public.meter_installations;
    v_before public.meter_installations;
begin
    select * into i from public.meter_installations where service_point_id = p_point and removed_at is null for update;
    if not found then
        perform private.refuse('EB005', 'The meter that was installed then is not there any more: look at the place again.');
    end if;
    select * into v_before from public.meter_installations
    where service_point_id = p_point and removed_at = i.installed_at for update;
    if p_before and v_before.id is null then
        perform private.refuse('EB005', 'There is no meter to put back.');
    elsif exists (select 1 from public.bills b join public.service_agreements a on a.id = b.agreement_id
                  where a.service_point_id = p_point and b.status <> 'void' and b.period_end > i.installed_on) then
        perform private.refuse('EB005', 'A bill runs beyond that day: void it first.');
    elsif i.meter_id is distinct from v_before.meter_id and exists (
        select 1 from public.readings r
        where r.meter_id = i.meter_id and r.read_at > i.installed_at and r.status in ('accepted', 'needs_review')) then
        perform private.refuse('EB005', 'The meter was read since it was installed: take those readings away first.');
    end if;
    perform set_config('billing.undoing', i.id::text, true);
    delete from public.meter_installations where id = i.id;
    perform set_config('billing.undoing', '', true);
    if i.meter_id is distinct from v_before.meter_id then
        -- Of a meter that was never there nothing was read.
        update public.readings
        set status = 'rejected', is_opening = false, decided_by = p_actor, decided_at = now(), decision_reason = p_reason
        where id = i.opening_reading_id and status = 'accepted'
          and not exists (select 1 from public.service_agreements a where i.opening_reading_id in (a.opening_reading_id, a.closing_reading_id));
    end if;
    update public.meter_installations
    set removed_at = null, removed_on = null, closing_reading_id = null, removal_reason = '' where id = v_before.id;
end $$;
comment on function private.undo_installation is 'Takes the meter away that is at a place, and puts the one before it back; refused once a bill runs beyond the day.';
revoke all on function private.undo_agreement(uuid), private.undo_installation(uuid, boolean, text, text) from public, anon, authenticated;
grant execute on function private.undo_agreement(uuid), private.undo_installation(uuid, boolean, text, text) to service_role;

create function public.undo_supply_change(p jsonb) returns jsonb
language plpgsql set search_path = ''
as $$
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
                  where x.service_point_id = c.service_point_id and x.created_at > c.created_at and x.kind <> 'undo'
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
            elsif (select count(*) from public.agreement_tariffs t where t.agreement_id = c.agreement_id) < 2 then
                perform private.refuse('EB005', 'It is the only tariff of this agreement: change it to the right one from that day.');
            end if;
            perform set_config('billing.undoing', c.agreement_id::text, true);
            delete from public.agreement_tariffs where agreement_id = c.agreement_id and starts_on = c.effective_on;
            perform set_config('billing.undoing', '', true);
        else
            perform private.refuse('EB005', 'This cannot be undone so.');
    end case;
    set constraints all immediate;
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, undoes_id, created_by)
    values (v_id, 'undo', c.service_point_id, (select a.id from public.service_agreements a where a.id = c.agreement_id),
            c.effective_on, p ->> 'reason', c.details || jsonb_build_object('undone', c.kind), c.id, p ->> 'actor');
    return (select to_jsonb(x) from public.supply_changes x where x.id = v_id);
end $$;
comment on function public.undo_supply_change is 'Takes the last change at a place back, which did not happen: {actor, id, change_id, reason} -> the change that says so. EB005 once something was billed by it or changed after it; a repeat is answered with the first result.';
revoke all on function public.undo_supply_change(jsonb) from public, anon, authenticated;
grant execute on function public.undo_supply_change(jsonb) to service_role;

-- A tariff that is undone leaves the tariffs that were there before, also those that gave way to it.

create function private.undo_tariff(c public.supply_changes) returns void
language plpgsql set search_path = ''
as $$
begin
    perform set_config('billing.undoing', c.agreement_id::text, true);
    if c.details ? 'before' then
        delete from public.agreement_tariffs where agreement_id = c.agreement_id and starts_on >= c.effective_on;
        insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
        select gen_random_uuid(), c.agreement_id, b.starts_on, t.id
        from jsonb_to_recordset(c.details -> 'before') as b(starts_on date, code text) join public.tariffs t on t.code = b.code
        where b.starts_on >= c.effective_on;
    elsif (select count(*) from public.agreement_tariffs t where t.agreement_id = c.agreement_id) < 2 then
        perform private.refuse('EB005', 'It is the only tariff of this agreement: change it to the right one from that day.');
    else
        -- A change of an earlier version, which did not keep what was there before it.
        delete from public.agreement_tariffs where agreement_id = c.agreement_id and starts_on = c.effective_on;
    end if;
    perform set_config('billing.undoing', '', true);
end $$;
comment on function private.undo_tariff is 'The tariffs of an agreement as they were before a change of kind tariff.';
revoke all on function private.undo_tariff(public.supply_changes) from public, anon, authenticated;
grant execute on function private.undo_tariff(public.supply_changes) to service_role;

create or replace function public.undo_supply_change(p jsonb) returns jsonb
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

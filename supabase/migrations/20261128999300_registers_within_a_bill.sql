-- A reading within a bill is not billed by its value, but its highest demand may be.

create function private.maxima(p_registers jsonb) returns jsonb
language sql immutable set search_path = '' as $$
    select coalesce(jsonb_object_agg(k.key, k.value), '{}') from jsonb_each(p_registers) k where k.key like 'max\_%'
$$;
comment on function private.maxima is 'Of the registers of a read those that show the highest demand since the read before.';
revoke all on function private.maxima(jsonb) from public, anon, authenticated;
grant execute on function private.maxima(jsonb) to service_role;

create or replace function public.correct_reading(p jsonb) returns jsonb
language plpgsql set search_path = ''
as $$
declare
    r public.readings;
    v_right jsonb := nullif(p #> '{reading,right}', 'null'::jsonb);
    v_point uuid;
begin
    perform private.set_actor(p);
    select i.service_point_id into v_point
    from public.readings x
    join public.meter_installations i on i.meter_id = x.meter_id and i.installed_at <= x.read_at
        and (i.removed_at is null or x.read_at <= i.removed_at)
    where x.id = (p #>> '{reading,id}')::uuid
    order by i.installed_at desc limit 1;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    perform private.lock_points(array[v_point]);
    select * into r from public.readings where id = (p #>> '{reading,id}')::uuid;
    -- The same once more: it is done.
    if r.status <> 'accepted' and r.decision_reason = p ->> 'reason' and r.decided_by = p ->> 'actor' and (
        (v_right is null and r.status = 'rejected')
        or exists (select 1 from public.readings x where x.id = (v_right ->> 'id')::uuid and x.supersedes_id = r.id)) then
        return private.reading_json(coalesce((v_right ->> 'id')::uuid, r.id));
    end if;
    if r.status <> 'accepted' then
        perform private.refuse('EB005', 'This reading was corrected or decided on already: look at it as it is now.');
    elsif exists (select 1 from public.bills b where b.status <> 'void' and r.id in (b.opening_reading_id, b.closing_reading_id)) then
        perform private.refuse('EB005', 'A bill opens or closes at this reading: correct it on the bill, which is then issued again.');
    elsif exists (select 1 from public.bills b
                  join public.service_agreements a on a.id = b.agreement_id and a.service_point_id = v_point
                  where b.status <> 'void' and b.period_start <= r.read_on and r.read_on < b.period_end
                    and exists (select 1 from public.meter_installations i where r.id in (i.opening_reading_id, i.closing_reading_id))) then
        perform private.refuse('EB005', 'A bill runs over the exchange at this reading: void that bill first.');
    elsif private.maxima(r.registers) <> private.maxima(coalesce(v_right -> 'registers', '{}')) and exists (
            -- The highest demand of all reads within a bill is billed.
            select 1 from public.bills b
            join public.service_agreements a on a.id = b.agreement_id and a.service_point_id = v_point
            join public.readings o on o.id = b.opening_reading_id
            join public.readings c on c.id = b.closing_reading_id
            where b.status <> 'void' and o.read_at < r.read_at and r.read_at < c.read_at) then
        perform private.refuse('EB005', 'A bill runs over this reading, and its demand may be that of this reading: void that bill first.');
    end if;
    perform private.replace_reading(p, v_point);
    set constraints all immediate;
    return private.reading_json(coalesce((v_right ->> 'id')::uuid, r.id));
exception when unique_violation then
    raise exception using errcode = 'EB003', message = 'There is another reading of this meter at that time already.';
end $$;

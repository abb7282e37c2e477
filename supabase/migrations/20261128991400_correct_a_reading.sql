-- A reading that no bill opens or closes at is corrected too: before the first bill, or one that a
-- later bill ran over.

create function public.correct_reading(p jsonb) returns jsonb
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
    end if;
    perform private.replace_reading(p, v_point);
    set constraints all immediate;
    return private.reading_json(coalesce((v_right ->> 'id')::uuid, r.id));
exception when unique_violation then
    raise exception using errcode = 'EB003', message = 'There is another reading of this meter at that time already.';
end $$;
comment on function public.correct_reading is 'Corrects a reading that is not billed, or withdraws it: {actor, reason, reading: {id, right: {id, register_wh, registers, rolled_over, read_at, read_on, validation} or null}} -> the reading that holds now. EB005 where a bill rests on it; a repeat is answered with the first result.';
revoke all on function public.correct_reading(jsonb) from public, anon, authenticated;
grant execute on function public.correct_reading(jsonb) to service_role;

create function public.reading_to_correct(p jsonb) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
    r public.readings;
begin
    select * into r from public.readings where id = (p ->> 'reading_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    return jsonb_build_object(
        'reading', private.reading_json(r.id),
        'bill_id', (select b.id from public.bills b
                    where b.status <> 'void' and r.id in (b.closing_reading_id, b.opening_reading_id)
                    order by b.closing_reading_id = r.id desc limit 1),
        'at_a_change', r.is_opening or exists (select 1 from public.meter_installations i where r.id in (i.opening_reading_id, i.closing_reading_id))
            or exists (select 1 from public.service_agreements a where r.id in (a.opening_reading_id, a.closing_reading_id)),
        'before', (select private.reading_json(x.id) from public.readings x
                   where x.meter_id = r.meter_id and x.status = 'accepted' and x.read_at < r.read_at order by x.read_at desc limit 1),
        'after', (select private.reading_json(x.id) from public.readings x
                  where x.meter_id = r.meter_id and x.status = 'accepted' and x.read_at > r.read_at order by x.read_at limit 1));
end $$;
comment on function public.reading_to_correct is 'A reading with what its correction depends on: {reading_id} -> {reading, bill_id: the bill that closes at it, else that opens at it, else null, at_a_change: a meter came or went or somebody moved then, before, after: the accepted reads beside it}.';
revoke all on function public.reading_to_correct(jsonb) from public, anon, authenticated;
grant execute on function public.reading_to_correct(jsonb) to service_role;

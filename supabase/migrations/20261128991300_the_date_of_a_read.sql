-- A read that was entered with a wrong date is corrected as one with a wrong value is.

create or replace function private.replace_reading(p jsonb, p_point_id uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.readings;
    v_right jsonb := nullif(p #> '{reading,right}', 'null'::jsonb);
begin
    select * into r from public.readings
    where id = (p #>> '{reading,id}')::uuid and status = 'accepted'
      and meter_id in (select i.meter_id from public.meter_installations i where i.service_point_id = p_point_id) for update;
    if not found then
        perform private.refuse('EB001', 'This reading was corrected meanwhile.');
    elsif v_right is null and (
        r.is_opening
        or exists (select 1 from public.meter_installations where closing_reading_id = r.id)
        or exists (select 1 from public.service_agreements where r.id in (opening_reading_id, closing_reading_id))) then
        perform private.refuse('EB005', 'A read at which a meter came or went, or somebody moved, can be corrected, not withdrawn.');
    end if;
    if v_right is not null and (v_right ->> 'read_on')::date <> r.read_on and (
        r.is_opening
        or exists (select 1 from public.meter_installations where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.service_agreements where r.id in (opening_reading_id, closing_reading_id))) then
        perform private.refuse('EB005', 'A read at which a meter came or went, or somebody moved, keeps its date.');
    end if;
    if v_right is not null then
        update public.meter_installations set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.meter_installations set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
        update public.service_agreements set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.service_agreements set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
    end if;
    update public.readings
    set status = case when v_right is null then 'rejected' else 'superseded' end, is_opening = false,
        decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason'
    where id = r.id;
    if v_right is not null then
        perform private.insert_reading(v_right || jsonb_build_object(
            'meter_id', r.meter_id, 'read_at', coalesce((v_right ->> 'read_at')::timestamptz, r.read_at),
            'read_on', coalesce((v_right ->> 'read_on')::date, r.read_on), 'source', r.source, 'status', 'accepted',
            'is_opening', r.is_opening, 'submitted_by', p ->> 'actor', 'supersedes_id', r.id, 'decided_by', p ->> 'actor',
            'decided_at', now(), 'decision_reason', p ->> 'reason'));
    end if;
end $$;

comment on function private.replace_reading is 'Puts a right read in the place of a wrong one, or withdraws it: {reading: {id, right: {id, register_wh, registers, rolled_over, read_at?, read_on?, validation} or null}, actor, reason}.';

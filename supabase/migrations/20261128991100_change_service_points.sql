-- The details of a place of supply, changed by the office.

create function public.change_service_point(p jsonb) returns jsonb
language plpgsql set search_path = ''
as $$
declare
    v_point public.service_points;
    v_is jsonb;
    v_transformer uuid;
begin
    perform private.set_actor(p);
    select * into v_point from public.service_points where id = (p ->> 'service_point_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such service point.');
    end if;
    v_is := jsonb_build_object(
        'code', v_point.code, 'address', v_point.address, 'route', v_point.route, 'sequence', v_point.sequence,
        'phases', v_point.phases, 'connected_w', v_point.connected_w, 'connected_va', v_point.connected_va,
        'access_note', v_point.access_note,
        'transformer_code', (select t.code from public.transformers t where t.id = v_point.transformer_id));
    -- A repeat of this very change finds what it wrote.
    if v_is <> p -> 'seen' and v_is <> p -> 'details' then
        perform private.refuse('EB005', 'Somebody else changed this place meanwhile. Look at it as it is now.');
    end if;
    if p #>> '{details,transformer_code}' is not null then
        select t.id into v_transformer from public.transformers t where t.code = p #>> '{details,transformer_code}';
        if not found then
            perform private.refuse('EB005', format('No transformer has the code %s.', p #>> '{details,transformer_code}'));
        end if;
    end if;
    update public.service_points s
    set code = x.code, address = x.address, route = x.route, sequence = x.sequence, phases = x.phases,
        connected_w = x.connected_w, connected_va = x.connected_va, access_note = x.access_note, transformer_id = v_transformer
    from jsonb_to_record(p -> 'details') as x(
        code text, address text, route text, sequence integer, phases smallint, connected_w integer, connected_va integer,
        access_note text)
    where s.id = v_point.id and v_is <> p -> 'details';
    return '{}'::jsonb;
exception when unique_violation then
    raise exception using errcode = 'EB005', message = format('Another service point has the code %s already.', p #>> '{details,code}');
end $$;
comment on function public.change_service_point is 'Changes the details of a place: {actor, service_point_id, seen: {code, address, route, sequence, phases, connected_w, connected_va, access_note, transformer_code} as they were, details: the same as they are to be}. EB005 when somebody else changed them meanwhile, or the code is taken.';
revoke all on function public.change_service_point(jsonb) from public, anon, authenticated;
grant execute on function public.change_service_point(jsonb) to service_role;

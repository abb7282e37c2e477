-- A manual meter becomes smart, and a smart one manual again.

create function public.set_meter_kind(p jsonb) returns jsonb
language plpgsql set search_path = ''
as $$
declare
    m public.meters;
begin
    perform private.set_actor(p);
    select * into m from public.meters where id = (p ->> 'meter_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such meter.');
    elsif not exists (select 1 from public.meter_installations i where i.meter_id = m.id and i.removed_at is null) then
        perform private.refuse('EB005', format('Meter %s is installed nowhere: how it is read is said when it is installed.', m.serial));
    end if;
    update public.meters set kind = p ->> 'kind' where id = m.id and kind <> p ->> 'kind';
    return '{}'::jsonb;
end $$;
comment on function public.set_meter_kind is 'How a meter is read from now on: {actor, meter_id, kind: manual, or smart: collected from the head end by its serial}. A repeat changes nothing.';
revoke all on function public.set_meter_kind(jsonb) from public, anon, authenticated;
grant execute on function public.set_meter_kind(jsonb) to service_role;

-- How the rounds of twenty routes stand was looked up place by place: three seconds at 2,000 places a route. Of most places the day of
-- their last read says all there is to know, which is counted in an index by route; only those are looked at of which more is to be
-- known: asked for again, not read today, in review, or estimated.

alter table public.latest_reads add column route text, add column by_hand boolean;
comment on column public.latest_reads.route is 'The route of the place.';
comment on column public.latest_reads.by_hand is 'Whether its meter is read by hand.';

create function private.is_read_by_hand(p_point uuid) returns boolean
    language sql stable set search_path = '' as $$
    select exists (select 1 from public.meter_installations i join public.meters m on m.id = i.meter_id
                   where i.service_point_id = p_point and i.removed_at is null and m.kind = 'manual')
$$;
comment on function private.is_read_by_hand(uuid) is 'Whether a place has a meter that is read by hand.';

update public.latest_reads l set route = s.route, by_hand = exists (
    select 1 from public.meter_installations i join public.meters m on m.id = i.meter_id
    where i.service_point_id = l.service_point_id and i.removed_at is null and m.kind = 'manual')
from public.service_points s where s.id = l.service_point_id;
alter table public.latest_reads alter column route set not null, alter column by_hand set not null;
create index latest_reads_of_routes on public.latest_reads (route, read_on) where by_hand;

create function private.place_latest_read() returns trigger
    language plpgsql set search_path = '' as $$
begin
    new.route := (select s.route from public.service_points s where s.id = new.service_point_id);
    new.by_hand := private.is_read_by_hand(new.service_point_id);
    return new;
end $$;
comment on function private.place_latest_read() is 'Notes of the last read of a place on which route that is, and whether it is read by hand.';
create trigger latest_read_placed before insert on public.latest_reads for each row execute function private.place_latest_read();

create function private.note_moved_places() returns trigger
    language plpgsql set search_path = '' as $$
begin
    update public.latest_reads l set route = n.route
    from new_rows n where l.service_point_id = n.id and l.route <> n.route;
    return null;
end $$;
create trigger latest_reads_moved after update on public.service_points
    referencing new table as new_rows for each statement execute function private.note_moved_places();

create function private.note_kinds_of_meters() returns trigger
    language plpgsql set search_path = '' as $$
begin
    update public.latest_reads l set by_hand = not l.by_hand
    from new_rows n join public.meter_installations i on i.meter_id = n.id and i.removed_at is null
    where l.service_point_id = i.service_point_id and l.by_hand <> private.is_read_by_hand(i.service_point_id);
    return null;
end $$;
create trigger latest_reads_by_kind after update on public.meters
    referencing new table as new_rows for each statement execute function private.note_kinds_of_meters();

create or replace function private.note_changed_installations() returns trigger
    language plpgsql set search_path = '' as $$
begin
    perform private.refresh_latest_reads(array(select distinct c.service_point_id from changed c));
    -- Another meter may be read in another way.
    update public.latest_reads l set by_hand = not l.by_hand
    from (select distinct c.service_point_id from changed c) p
    where l.service_point_id = p.service_point_id and l.by_hand <> private.is_read_by_hand(p.service_point_id);
    return null;
end $$;

create or replace function public.reading_rounds(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_seqscan = off as $$
declare
    v_today constant date := (p ->> 'today')::date;
    v_before constant date := (p ->> 'read_before')::date;
    v_after text := p ->> 'after';
    v_route text;
    v_routes text[] := '{}';
    -- Few of many meters, looked up once.
    v_asked constant uuid[] := array(select q.meter_id from public.reading_requests q where q.done_at is null);
    v_waits constant uuid[] := array(select r.meter_id from public.readings r where r.status = 'needs_review' and r.read_on > v_before);
    v_missed constant uuid[] := array(select x.service_point_id from public.missed_reads x where x.missed_on = v_today);
    v_estimated constant uuid[] := array(
        select r.meter_id from public.readings r where r.source = 'estimated' and r.status = 'accepted' and r.read_on > v_before);
begin
    for n in 1 .. (p ->> 'limit')::integer loop
        -- One step of an index for each route, however many places there are.
        select s.route into v_route from public.service_points s
        where v_after is null or s.route > v_after order by s.route limit 1;
        exit when not found;
        v_routes := v_routes || v_route;
        v_after := v_route;
    end loop;
    return (
        with special as materialized (
            select x.id from unnest(v_missed) x (id)
            union
            select i.service_point_id from (select unnest(v_asked || v_waits || v_estimated)) x (id)
            join public.meter_installations i on i.meter_id = x.id and i.removed_at is null
        ), looked_at as materialized (
            select s.route, i.meter_id = any (v_asked) as asked, s.id = any (v_missed) as missed, l.read_on > v_before as counted_as_read,
                   i.meter_id = any (v_waits) or (l.read_on > v_before and exists (
                       select 1 from public.readings r
                       where r.meter_id = i.meter_id and r.read_on > v_before and r.read_at >= i.installed_at
                         and r.status = 'accepted' and r.source <> 'estimated')) as was_read
            from special x
            join public.service_points s on s.id = x.id and s.route = any (v_routes)
            join public.latest_reads l on l.service_point_id = s.id and l.by_hand
            cross join lateral (
                select z.meter_id, z.installed_at from public.meter_installations z
                where z.service_point_id = s.id and z.removed_at is null limit 1) i
        ), corrected as (
            select k.route, count(*) filter (where k.asked) as asked,
                   count(*) filter (where (k.asked or not k.was_read) and k.missed) as missed,
                   count(*) filter (where (k.asked or not k.was_read) and not k.missed)
                       - count(*) filter (where not k.counted_as_read) as more_still
            from looked_at k group by 1
        )
        select jsonb_build_object('rounds', coalesce(jsonb_agg(jsonb_build_object(
            'route', v.route, 'meters', c.meters, 'still', c.still + coalesce(k.more_still, 0), 'asked', coalesce(k.asked, 0),
            'missed', coalesce(k.missed, 0)) order by v.place), '[]'))
        from unnest(v_routes) with ordinality v (route, place)
        cross join lateral (
            select count(*) as meters, count(*) filter (where l.read_on <= v_before) as still
            from public.latest_reads l where l.route = v.route and l.by_hand) c
        left join corrected k on k.route = v.route);
end $$;
comment on function public.reading_rounds(jsonb) is
    'Routes by name with how many meters they have, are still to read, are asked for again, and could not be read today: {after?: a route, limit, read_before, today} -> {rounds}. The route of places that are on none is empty.';

revoke all on function private.is_read_by_hand(uuid), private.place_latest_read(), private.note_moved_places(), private.note_kinds_of_meters()
    from public, anon, authenticated;
grant execute on function private.is_read_by_hand(uuid), private.place_latest_read(), private.note_moved_places(), private.note_kinds_of_meters()
    to service_role;

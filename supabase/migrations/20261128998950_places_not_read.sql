-- Which places were not read for long, or never: found among a million without looking through all readings.

create table public.latest_reads (
    service_point_id uuid primary key references public.service_points (id),
    read_on date not null,
    is_first boolean not null
);
comment on table public.latest_reads is 'Of each place with a meter the local date of its last accepted read. Kept by triggers from readings and installations.';
comment on column public.latest_reads.is_first is 'Whether nothing was read there since its meters were put in.';
create index latest_reads_by_day on public.latest_reads (read_on, service_point_id);
create index latest_reads_first on public.latest_reads (service_point_id) where is_first;
alter table public.latest_reads enable row level security;
revoke all on public.latest_reads from public, anon, authenticated;
grant select, insert, update, delete on public.latest_reads to service_role;

create function private.refresh_latest_reads(p_points uuid[]) returns void
language sql set search_path = '' as $$
    with found as (
        select i.service_point_id, max(r.read_on) as read_on, not coalesce(bool_or(r.since), false) as is_first
        from public.meter_installations i
        cross join lateral (
            (select x.read_on, false as since from public.readings x
             where x.meter_id = i.meter_id and x.status = 'accepted' and x.read_at >= i.installed_at
               and x.read_at <= coalesce(i.removed_at, 'infinity')
             order by x.read_at desc limit 1)
            union all
            (select x.read_on, true from public.readings x
             where x.meter_id = i.meter_id and x.status = 'accepted' and x.read_at > i.installed_at
               and x.read_at <= coalesce(i.removed_at, 'infinity')
             order by x.read_at desc limit 1)) r
        where i.service_point_id = any (p_points)
          and exists (select 1 from public.meter_installations o
                      where o.service_point_id = i.service_point_id and o.removed_at is null)
        group by i.service_point_id
    ), gone as (
        delete from public.latest_reads l
        where l.service_point_id = any (p_points) and l.service_point_id not in (select f.service_point_id from found f)
    )
    insert into public.latest_reads as l (service_point_id, read_on, is_first)
    select f.service_point_id, f.read_on, f.is_first from found f order by f.service_point_id
    on conflict (service_point_id) do update set read_on = excluded.read_on, is_first = excluded.is_first
    where (l.read_on, l.is_first) <> (excluded.read_on, excluded.is_first)
$$;
comment on function private.refresh_latest_reads(uuid[]) is 'Works out again when some places were read last; a place without a meter has no row. Who changes reads or installations has locked the places.';

create function private.note_new_reads() returns trigger
language plpgsql set search_path = '' as $$
begin
    insert into public.latest_reads as l (service_point_id, read_on, is_first)
    select i.service_point_id, max(n.read_on), bool_and(n.read_at = i.installed_at)
    from new_rows n
    join public.meter_installations i on i.meter_id = n.meter_id and n.read_at >= i.installed_at
        and n.read_at <= coalesce(i.removed_at, 'infinity')
    where n.status = 'accepted'
      and exists (select 1 from public.meter_installations o
                  where o.service_point_id = i.service_point_id and o.removed_at is null)
    group by i.service_point_id
    order by i.service_point_id
    on conflict (service_point_id) do update
        set read_on = greatest(l.read_on, excluded.read_on), is_first = l.is_first and excluded.is_first
        where l.read_on < excluded.read_on or l.is_first and not excluded.is_first;
    return null;
end $$;
comment on function private.note_new_reads() is 'A new read can only be later than the last one, so that bulk writes look at no other reading.';

create function private.note_changed_reads() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_points uuid[];
begin
    v_points := array(
        select distinct i.service_point_id
        from new_rows n join old_rows o on o.id = n.id
        join public.meter_installations i on i.meter_id = n.meter_id
        where (n.status, n.read_at) is distinct from (o.status, o.read_at));
    if cardinality(v_points) > 0 then
        perform private.refresh_latest_reads(v_points);
    end if;
    return null;
end $$;

create function private.note_changed_installations() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform private.refresh_latest_reads(array(select distinct c.service_point_id from changed c));
    return null;
end $$;

revoke all on function private.refresh_latest_reads(uuid[]), private.note_new_reads(), private.note_changed_reads(),
    private.note_changed_installations() from public, anon, authenticated;
grant execute on function private.refresh_latest_reads(uuid[]), private.note_new_reads(), private.note_changed_reads(),
    private.note_changed_installations() to service_role;

create trigger latest_reads_new after insert on public.readings
    referencing new table as new_rows for each statement execute function private.note_new_reads();
create trigger latest_reads_changed after update on public.readings
    referencing old table as old_rows new table as new_rows for each statement execute function private.note_changed_reads();
create trigger latest_reads_installed after insert on public.meter_installations
    referencing new table as changed for each statement execute function private.note_changed_installations();
create trigger latest_reads_removed after update on public.meter_installations
    referencing new table as changed for each statement execute function private.note_changed_installations();
create trigger latest_reads_undone after delete on public.meter_installations
    referencing old table as changed for each statement execute function private.note_changed_installations();

select private.refresh_latest_reads(array(select id from public.service_points));

create or replace view public.service_point_list WITH (security_invoker='true') AS
 SELECT s.id,
    s.code,
    s.address,
    s.route,
    s.sequence,
    s.phases,
    s.connected_w,
    s.connected_va,
    s.access_note,
    s.transformer_id,
    t.code AS transformer_code,
    s.created_at,
    m.id AS meter_id,
    m.serial AS meter_serial,
    i.installed_on,
    a.id AS agreement_id,
    a.customer_id,
    c.account_no,
    c.name AS customer_name,
    a.starts_on,
    lower(concat_ws(' '::text, s.code, s.address, s.route, m.serial, c.account_no, c.name)) AS search,
    d.disconnected_on,
        CASE
            WHEN (NOT r.is_first) THEN r.read_on
            ELSE NULL::date
        END AS last_read_on
   FROM (((((((public.service_points s
     LEFT JOIN public.transformers t ON ((t.id = s.transformer_id)))
     LEFT JOIN public.meter_installations i ON (((i.service_point_id = s.id) AND (i.removed_at IS NULL))))
     LEFT JOIN public.meters m ON ((m.id = i.meter_id)))
     LEFT JOIN public.service_agreements a ON (((a.service_point_id = s.id) AND (a.ends_on IS NULL))))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
     LEFT JOIN public.disconnections d ON (((d.agreement_id = a.id) AND (d.reconnected_on IS NULL) AND (NOT d.withdrawn))))
     LEFT JOIN public.latest_reads r ON ((r.service_point_id = s.id)));
comment on column public.service_point_list.last_read_on is 'Local date of the last accepted read there; null while nothing was read since the meter was put in, or without a meter.';

create or replace function public.list_service_points(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[] := array(
        select format(
            '(strpos(lower(concat_ws('' '', s.code, s.address, s.route)), %1$L) > 0'
            ' or s.id in (select i.service_point_id from public.meter_installations i join public.meters m on m.id = i.meter_id'
            ' where i.removed_at is null and strpos(lower(m.serial), %1$L) > 0)'
            ' or s.id in (select a.service_point_id from public.service_agreements a join public.customers c on c.id = a.customer_id'
            ' where a.ends_on is null and strpos(lower(concat_ws('' '', c.account_no, c.name)), %1$L) > 0))', w)
        from unnest(private.search_words(p ->> 'text')) w);
begin
    v_conditions := v_conditions || array[
        case when p ->> 'ids' is not null then 's.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when coalesce((p ->> 'vacant_only')::boolean, false) then
            'not exists (select 1 from public.service_agreements a where a.service_point_id = s.id and a.ends_on is null)' end,
        case when coalesce((p ->> 'disconnected_only')::boolean, false) then
            's.id in (select a.service_point_id from public.disconnections d join public.service_agreements a on a.id = d.agreement_id'
            ' where d.reconnected_on is null and not d.withdrawn and a.ends_on is null)' end,
        case when coalesce((p ->> 'vacant_with_use')::boolean, false) then
            's.id in (select u.service_point_id from public.unbilled_use_list u where u.until is null and u.wh > 0)' end,
        case when coalesce((p ->> 'never_read')::boolean, false) then
            's.id in (select r.service_point_id from public.latest_reads r where r.is_first)' end,
        -- The day as a value of its own, so that the planner knows how many places there are.
        case when p ->> 'last_read_by' is not null then format(
            's.id in (select r.service_point_id from public.latest_reads r where r.read_on <= %L)', (p ->> 'last_read_by')::date) end];
    v_page := private.page_by_key(p, 'public.service_points s', 's.id', 's.code', 'text', v_conditions);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.service_point_list l where l.id = any (v_ids)));
end $_$;
comment on function public.list_service_points(jsonb) is 'A page of the service points by code: {text?, vacant_only?, disconnected_only?, vacant_with_use?, never_read?, last_read_by?: a local date, ids?, sort: code, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the code, the address, the route, the meter''s serial, or the account number or name of who is supplied now.';

-- Photos of meters: of the dial beside a reading, or of why it could not be read.

create table public.photo_contents (
    sha256 text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
    jpeg bytea not null check (encode(sha256(jpeg), 'hex') = sha256),
    created_at timestamptz not null default now()
);
comment on table public.photo_contents is 'The pictures themselves, each kept once; made anew from their pixels, so that they hold no place and no other data.';
alter table public.photo_contents enable row level security;
revoke all on public.photo_contents from public, anon, authenticated, service_role;
grant select, insert on public.photo_contents to service_role;
select private.never_changed('public.photo_contents');

create table public.meter_photos (
    id uuid primary key default gen_random_uuid(),
    meter_id uuid not null references public.meters (id),
    taken_by text not null check (taken_by <> ''),
    key text not null check (length(key) between 1 and 200),
    sha256 text not null references public.photo_contents (sha256),
    width integer not null check (width > 0),
    height integer not null check (height > 0),
    created_at timestamptz not null default now(),
    unique (taken_by, key)
);
comment on table public.meter_photos is 'Who photographed which meter. A photo belongs to the reading, or to the missed read, that the same person sends under the same key.';
comment on column public.meter_photos.key is 'The idempotency key of the reading, or the id of the missed read.';
create index meter_photos_of_meter on public.meter_photos (meter_id, created_at desc);
create index meter_photos_content on public.meter_photos (sha256);
alter table public.meter_photos enable row level security;
revoke all on public.meter_photos from public, anon, authenticated, service_role;
grant select, insert on public.meter_photos to service_role;
select private.audit_table('public.meter_photos'), private.never_changed('public.meter_photos');

create index idempotency_keys_reading on public.idempotency_keys (reading_id);

create view public.meter_photo_list with (security_invoker = true) as
select p.id, p.meter_id, m.serial as meter_serial, p.taken_by, p.key, p.sha256, p.width, p.height, p.created_at,
       k.reading_id, x.id as missed_read_id
from public.meter_photos p
join public.meters m on m.id = p.meter_id
left join public.idempotency_keys k on k.caller = p.taken_by and k.key = p.key
    and exists (select 1 from public.readings r where r.id = k.reading_id and r.meter_id = p.meter_id)
left join public.missed_reads x on x.id::text = p.key and x.submitted_by = p.taken_by and x.meter_id = p.meter_id;
comment on view public.meter_photo_list is 'Photos of meters with the reading or the missed read that they belong to, once it came.';
revoke all on public.meter_photo_list from public, anon, authenticated;
grant select on public.meter_photo_list to service_role;

create function public.keep_photo(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_meter uuid := (select m.id from public.meters m where m.serial = p ->> 'meter_serial');
    v_photo public.meter_photos;
begin
    perform private.set_actor(p);
    if v_meter is null then
        perform private.refuse('EB404', format('No meter has the serial %s.', p ->> 'meter_serial'));
    end if;
    select * into v_photo from public.meter_photos where taken_by = p ->> 'actor' and key = p ->> 'key';
    if not found then
        insert into public.photo_contents (sha256, jpeg) values (p ->> 'sha256', decode(p ->> 'jpeg', 'base64')) on conflict do nothing;
        insert into public.meter_photos (meter_id, taken_by, key, sha256, width, height)
        values (v_meter, p ->> 'actor', p ->> 'key', p ->> 'sha256', (p ->> 'width')::integer, (p ->> 'height')::integer)
        on conflict (taken_by, key) do nothing;
        select * into v_photo from public.meter_photos where taken_by = p ->> 'actor' and key = p ->> 'key';
    end if;
    if (v_photo.meter_id, v_photo.sha256) is distinct from (v_meter, p ->> 'sha256') then
        perform private.refuse('EB002', 'There is another photo under this key already.');
    end if;
    return (select to_jsonb(l) from public.meter_photo_list l where l.id = v_photo.id);
end $$;
comment on function public.keep_photo is 'Keeps a photo of a meter: {actor, key, meter_serial, sha256, width, height, jpeg in base64} -> the row of meter_photo_list. A repeat is answered with the first; another photo under its key is refused.';

create function public.photo_content(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select (select jsonb_build_object('sha256', c.sha256, 'jpeg', encode(c.jpeg, 'base64'))
            from public.photo_contents c where c.sha256 = p ->> 'sha256')
$$;
comment on function public.photo_content is 'A picture in base64, or null: {sha256} -> {sha256, jpeg}.';

create function public.photos_of(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('photos', coalesce(jsonb_agg(to_jsonb(f) order by f.created_at desc, f.id), '[]'))
    from (select l.* from public.meter_photo_list l
          where l.id in (
              select m.id from public.meter_photos m where m.meter_id = (p ->> 'meter_id')::uuid
              union all
              select m.id from public.idempotency_keys k join public.meter_photos m on m.taken_by = k.caller and m.key = k.key
              where k.reading_id = (p ->> 'reading_id')::uuid
              union all
              select m.id from public.meter_photos m where m.taken_by = p ->> 'taken_by' and m.key = p ->> 'key')
            -- What nothing came of is not shown.
            and (l.reading_id is not null or l.missed_read_id is not null or p ->> 'key' is not null)
          order by l.created_at desc, l.id limit (p ->> 'limit')::integer) f
$$;
comment on function public.photos_of is 'Photos, the newest first: {meter_id} or {reading_id} or {taken_by, key}, limit -> {photos: rows of meter_photo_list}. Of a meter those that belong to a reading or a missed read.';

revoke all on function public.keep_photo(jsonb), public.photo_content(jsonb), public.photos_of(jsonb) from public, anon, authenticated;
grant execute on function public.keep_photo(jsonb), public.photo_content(jsonb), public.photos_of(jsonb) to service_role;

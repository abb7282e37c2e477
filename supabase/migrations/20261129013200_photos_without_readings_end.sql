-- A photo whose reading never came is kept for 30 days, and not for ever.

create table public.photos_to_claim (
    photo_id uuid primary key references public.meter_photos (id) on delete cascade,
    kept_at timestamptz not null
);
comment on table public.photos_to_claim is 'Photos of the last 30 days, whose reading or missed read may still come; each is looked at once, after them.';
create index photos_to_claim_by_time on public.photos_to_claim (kept_at);
alter table public.photos_to_claim enable row level security;
revoke all on public.photos_to_claim from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.photos_to_claim to service_role;
insert into public.photos_to_claim (photo_id, kept_at) select p.id, p.created_at from public.meter_photos p;

create function private.expect_claims() returns trigger
language plpgsql set search_path = '' as $$
begin
    insert into public.photos_to_claim (photo_id, kept_at) select n.id, n.created_at from new_rows n;
    return null;
end $$;
comment on function private.expect_claims() is 'What a photo belongs to comes after it.';
create trigger expect_claims after insert on public.meter_photos
    referencing new table as new_rows for each statement execute function private.expect_claims();

create function private.keep_claimed_photo() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (select 1 from public.meter_photo_list l where l.id = old.id and (l.reading_id is not null or l.missed_read_id is not null)) then
        raise exception 'Photos of readings and of missed reads are kept: % is not deleted.', old.id;
    end if;
    return old;
end $$;
comment on function private.keep_claimed_photo() is 'A photo with a reading or a missed read is evidence, and never deleted.';
drop trigger refuse_delete on public.meter_photos;
create trigger keep_claimed before delete on public.meter_photos for each row execute function private.keep_claimed_photo();
-- Of the pictures those that a photo names are held by their foreign key.
drop trigger refuse_delete on public.photo_contents;
grant delete on public.meter_photos, public.photo_contents to service_role;

create function private.forget_photos() returns void
language plpgsql set search_path = '' as $$
declare
    v_ids uuid[];
    v_pictures text[];
begin
    with due as (
        select c.photo_id from public.photos_to_claim c where c.kept_at < now() - interval '30 days'
        order by c.kept_at limit 100 for update skip locked
    ), looked as (
        delete from public.photos_to_claim c using due where c.photo_id = due.photo_id returning c.photo_id
    )
    select array_agg(l.photo_id) into v_ids from looked l;
    if v_ids is null then
        return;
    end if;
    with gone as (
        delete from public.meter_photos p
        where p.id = any (array(select l.id from public.meter_photo_list l
                                where l.id = any (v_ids) and l.reading_id is null and l.missed_read_id is null))
        returning p.sha256
    )
    select array_agg(distinct g.sha256) into v_pictures from gone g;
    delete from public.photo_contents c
    where c.sha256 = any (v_pictures) and not exists (select 1 from public.meter_photos p where p.sha256 = c.sha256);
end $$;
comment on function private.forget_photos() is 'Deletes photos of more than 30 days ago to which neither a reading nor a missed read came; up to 100 are looked at, by each upload.';
revoke all on function private.expect_claims(), private.keep_claimed_photo(), private.forget_photos() from public, anon, authenticated;
grant execute on function private.expect_claims(), private.keep_claimed_photo(), private.forget_photos() to service_role;

create or replace function public.keep_photo(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
    perform private.forget_photos();
    return (select to_jsonb(l) from public.meter_photo_list l where l.id = v_photo.id);
end $$;

-- Which places are vacant, and since when: kept, so that among a million places they are found without comparing each with
-- its agreements.

create table public.vacancies (
    service_point_id uuid not null references public.service_points (id),
    since date,
    until date,
    closing_reading_id uuid references public.readings (id),
    opening_reading_id uuid references public.readings (id)
);
comment on table public.vacancies is 'The times in which nobody had an agreement for a place. Kept by triggers from places, installations and agreements.';
comment on column public.vacancies.since is 'Local date on which the last agreement ended, or the first meter came; null where neither was there yet.';
comment on column public.vacancies.until is 'Local date on which the next agreement begins; null while the place is vacant.';
comment on column public.vacancies.closing_reading_id is 'The read with which it began.';
comment on column public.vacancies.opening_reading_id is 'The read of the next agreement.';
create index vacancies_of_place on public.vacancies (service_point_id);
create index vacancies_lasting on public.vacancies (service_point_id) where until is null;
alter table public.vacancies enable row level security;
revoke all on public.vacancies from public, anon, authenticated;
grant select, insert, update, delete on public.vacancies to service_role;

create view private.vacancies_worked_out with (security_invoker = true) as
-- From where an agreement ended to where the next began, if it did.
select a.service_point_id, a.ends_on as since, n.starts_on as until, a.closing_reading_id, n.opening_reading_id
from public.service_agreements a
left join lateral (
    select x.starts_on, x.opening_reading_id from public.service_agreements x
    where x.service_point_id = a.service_point_id and x.starts_on >= a.ends_on
    order by x.starts_on limit 1) n on true
where a.ends_on is not null and (n.starts_on is null or n.starts_on > a.ends_on)
union all
-- From where the first meter came to where the first agreement began.
select i.service_point_id, i.installed_on, n.starts_on, i.opening_reading_id, n.opening_reading_id
from public.meter_installations i
left join lateral (
    select x.starts_on, x.opening_reading_id from public.service_agreements x
    where x.service_point_id = i.service_point_id order by x.starts_on limit 1) n on true
where not exists (select 1 from public.service_agreements x
                  where x.service_point_id = i.service_point_id and x.opening_reading_id = i.opening_reading_id)
  and not exists (select 1 from public.meter_installations x
                  where x.service_point_id = i.service_point_id and x.installed_at < i.installed_at)
union all
-- A place where neither a meter nor a customer ever was.
select s.id, null, null, null, null
from public.service_points s
where not exists (select 1 from public.service_agreements x where x.service_point_id = s.id)
  and not exists (select 1 from public.meter_installations x where x.service_point_id = s.id);
comment on view private.vacancies_worked_out is 'What public.vacancies should hold.';
revoke all on private.vacancies_worked_out from public, anon, authenticated;
grant select on private.vacancies_worked_out to service_role;

create function private.refresh_vacancies(p_points uuid[]) returns void
language sql set search_path = '' as $$
    delete from public.vacancies v where v.service_point_id = any (p_points);
    insert into public.vacancies (service_point_id, since, until, closing_reading_id, opening_reading_id)
    select w.service_point_id, w.since, w.until, w.closing_reading_id, w.opening_reading_id
    from private.vacancies_worked_out w where w.service_point_id = any (p_points)
$$;
comment on function private.refresh_vacancies(uuid[]) is 'Works out again when some places were vacant. Who changes agreements or installations has locked the places.';

create function private.note_vacancies() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform private.refresh_vacancies(array(select distinct c.service_point_id from changed c));
    return null;
end $$;

create function private.note_changed_vacancies() returns trigger
language plpgsql set search_path = '' as $$
begin
    -- Another billing day, which a whole route may get, leaves a place as vacant as it was.
    perform private.refresh_vacancies(array(
        select distinct n.service_point_id from new_rows n join old_rows o on o.id = n.id
        where (n.starts_on, n.ends_on, n.opening_reading_id, n.closing_reading_id)
            is distinct from (o.starts_on, o.ends_on, o.opening_reading_id, o.closing_reading_id)));
    return null;
end $$;

create function private.note_new_places() returns trigger
language plpgsql set search_path = '' as $$
begin
    -- One statement may make a place and what is there: this may be told of last.
    perform private.refresh_vacancies(array(select n.id from new_rows n));
    return null;
end $$;

revoke all on function private.refresh_vacancies(uuid[]), private.note_vacancies(), private.note_changed_vacancies(),
    private.note_new_places() from public, anon, authenticated;
grant execute on function private.refresh_vacancies(uuid[]), private.note_vacancies(), private.note_changed_vacancies(),
    private.note_new_places() to service_role;

create trigger vacancies_new after insert on public.service_points
    referencing new table as new_rows for each statement execute function private.note_new_places();
create trigger vacancies_installed after insert on public.meter_installations
    referencing new table as changed for each statement execute function private.note_vacancies();
create trigger vacancies_moved after update on public.meter_installations
    referencing new table as changed for each statement execute function private.note_vacancies();
create trigger vacancies_undone after delete on public.meter_installations
    referencing old table as changed for each statement execute function private.note_vacancies();
create trigger vacancies_begun after insert on public.service_agreements
    referencing new table as changed for each statement execute function private.note_vacancies();
create trigger vacancies_changed after update on public.service_agreements
    referencing old table as old_rows new table as new_rows for each statement execute function private.note_changed_vacancies();
create trigger vacancies_undone after delete on public.service_agreements
    referencing old table as changed for each statement execute function private.note_vacancies();

insert into public.vacancies (service_point_id, since, until, closing_reading_id, opening_reading_id)
select w.service_point_id, w.since, w.until, w.closing_reading_id, w.opening_reading_id from private.vacancies_worked_out w;

create or replace view public.unbilled_use_list with (security_invoker = true) as
select s.id as service_point_id, s.code as service_point_code, s.address, g.since, g.until, m.id as meter_id, m.serial as meter_serial,
       ((c.register_wh - o.register_wh + private.register_span_wh(m.dials)) % private.register_span_wh(m.dials)
            * i.multiplier_milli + 500) / 1000 as wh
from public.vacancies g
join public.service_points s on s.id = g.service_point_id
join public.meter_installations i on i.service_point_id = s.id
join public.meters m on m.id = i.meter_id
join lateral (
    select r.* from public.readings r
    where r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
      and (i.removed_at is null or r.read_at <= i.removed_at) and r.read_on >= g.since
    order by r.id = g.closing_reading_id desc, r.read_at limit 1) o on true
join lateral (
    select r.* from public.readings r
    where r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
      and (i.removed_at is null or r.read_at <= i.removed_at) and r.read_on <= coalesce(g.until, 'infinity')
    order by r.id = g.opening_reading_id desc, r.read_at desc limit 1) c on true
where c.read_at > o.read_at;

create or replace function public.list_service_points(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('service_points', 's.id', 's.id', null),
        private.search_source('meters', 's.id', '(select i.meter_id from public.meter_installations i where i.service_point_id = s.id and i.removed_at is null)', 'select i.service_point_id from public.meter_installations i where i.removed_at is null and i.meter_id = any ($1)'),
        private.search_source('customers', 's.id', '(select a.customer_id from public.service_agreements a where a.service_point_id = s.id and a.ends_on is null)', 'select a.service_point_id from public.service_agreements a where a.ends_on is null and a.customer_id = any ($1)')], null);
begin
    v_conditions := array[
        case when p ->> 'ids' is not null then 's.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when coalesce((p ->> 'vacant_only')::boolean, false) then
            's.id in (select v.service_point_id from public.vacancies v where v.until is null)' end,
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
    v_page := private.page_by_key(p, 'public.service_points s', 's.id', 's.code', 'text', v_conditions, v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.service_point_list l where l.id = any (v_ids)));
end $_$;

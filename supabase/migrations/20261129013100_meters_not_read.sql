-- Meters whose last visits brought no reading, as a list of the office.

create index missed_reads_by_time on public.missed_reads (missed_at, meter_id);

create function private.visits_in_vain(p_meter uuid) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('times', count(distinct x.missed_on), 'first_on', min(x.missed_on))
    from public.missed_reads x
    where x.meter_id = p_meter
      and x.missed_at > coalesce((
          select r.read_at from public.readings r
          where r.meter_id = p_meter and r.status in ('accepted', 'needs_review') and r.source <> 'estimated'
          order by r.read_at desc limit 1), '-infinity')
$$;
comment on function private.visits_in_vain(uuid) is 'On how many days in a row, and from which on, a meter could not be read since its last read that is no estimate: {times, first_on}.';

create view public.missed_read_list with (security_invoker = true) as
select x.meter_id as id, m.serial as meter_serial, s.id as service_point_id, s.code, s.address, s.route, c.name as customer_name,
       x.missed_at, x.missed_on, x.reason, x.note, x.submitted_by,
       (v.said ->> 'times')::integer as times, (v.said ->> 'first_on')::date as first_on,
       (select q.reason from public.reading_requests q where q.meter_id = x.meter_id and q.done_at is null) as asked_because,
       (select r.read_on from public.latest_reads r where r.service_point_id = s.id limit 1) as last_read_on,
       exists (select 1 from public.meter_photos p where p.key = x.id::text and p.taken_by = x.submitted_by and p.meter_id = x.meter_id) as has_photo
from public.missed_reads x
join public.meters m on m.id = x.meter_id
join public.service_points s on s.id = x.service_point_id
left join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null
left join public.customers c on c.id = a.customer_id
cross join lateral (select private.visits_in_vain(x.meter_id) as said) v
where not exists (select 1 from public.missed_reads l where l.meter_id = x.meter_id and (l.missed_at, l.id) > (x.missed_at, x.id));
comment on view public.missed_read_list is 'The last visit to each meter that could not be read then, and how often that was so in a row.';
revoke all on public.missed_read_list from public, anon, authenticated;
grant select on public.missed_read_list to service_role;

create function public.list_missed_reads(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_from text := 'public.missed_reads y';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('meters', 'y.meter_id', 'y.meter_id', null),
        private.search_source('service_points', 'y.service_point_id', 'y.service_point_id', null),
        private.search_source('customers', 'y.service_point_id', '(select a.customer_id from public.service_agreements a where a.service_point_id = y.service_point_id and a.ends_on is null)', 'select a.service_point_id from public.service_agreements a where a.ends_on is null and a.customer_id = any ($1)')], null);
begin
    case p ->> 'sort'
        when 'visit' then v_key := 'y.missed_at'; v_type := 'timestamptz';
        when 'times' then v_key := '(private.visits_in_vain(y.meter_id) ->> ''times'')::integer'; v_type := 'integer';
        when 'place' then
            v_from := 'public.missed_reads y join public.service_points s on s.id = y.service_point_id';
            v_key := 'coalesce(s.code, '''')'; v_type := 'text';
    end case;
    v_page := private.page_by_key(p, v_from, 'y.meter_id', v_key, v_type, array[
        'not exists (select 1 from public.missed_reads l where l.meter_id = y.meter_id and (l.missed_at, l.id) > (y.missed_at, y.id))',
        -- Read since, or taken out: nothing is to be done any more.
        'not exists (select 1 from public.readings r where r.meter_id = y.meter_id and r.read_at >= y.missed_at'
        ' and r.status in (''accepted'', ''needs_review'') and r.source <> ''estimated'')',
        'exists (select 1 from public.meter_installations i where i.meter_id = y.meter_id and i.service_point_id = y.service_point_id and i.removed_at is null)',
        case when p ->> 'ids' is not null then 'y.meter_id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'missed_from' is not null then 'y.missed_on >= ($1 ->> ''missed_from'')::date' end,
        case when p ->> 'missed_to' is not null then 'y.missed_on <= ($1 ->> ''missed_to'')::date' end,
        case when p ->> 'reason' is not null then 'y.reason = $1 ->> ''reason''' end,
        case when (p ->> 'at_least')::integer > 1
            then '(private.visits_in_vain(y.meter_id) ->> ''times'')::integer >= ($1 ->> ''at_least'')::integer' end], v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.missed_read_list l where l.id = any (v_ids)));
end $$;
comment on function public.list_missed_reads(jsonb) is 'A page of the meters that could not be read at their last visit and are not read since: {text?, reason?, missed_from?, missed_to?: local dates of that visit, at_least?: so many days in a row, ids?: of meters, sort: visit, times or place, and what private.page_by_key takes} -> its answer, and rows.';

revoke all on function private.visits_in_vain(uuid), public.list_missed_reads(jsonb) from public, anon, authenticated;
grant execute on function private.visits_in_vain(uuid), public.list_missed_reads(jsonb) to service_role;

-- The list of service points, page by page.

create index service_points_by_code on public.service_points (code, id);

create function public.list_service_points(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $_$
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
            'not exists (select 1 from public.service_agreements a where a.service_point_id = s.id and a.ends_on is null)' end];
    v_page := private.page_by_key(p, 'public.service_points s', 's.id', 's.code', 'text', v_conditions);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.service_point_list l where l.id = any (v_ids)));
end $_$;
comment on function public.list_service_points is 'A page of the service points by code: {text?, vacant_only?, ids?, sort: code, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the code, the address, the route, the meter''s serial, or the account number or name of who is supplied now.';
revoke all on function public.list_service_points from public;
grant execute on function public.list_service_points to service_role;

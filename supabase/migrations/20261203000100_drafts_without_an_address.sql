-- Drafts that are issued together: those that could not say where the supply is are passed over at once, with the reason.

create function private.with_address(p_bills uuid[], p jsonb) returns uuid[]
    language plpgsql stable set search_path = '' as $$
declare
    v_without uuid[];
begin
    if p ->> 'no_address' is null then
        return p_bills;
    end if;
    v_without := private.without_address(array(
        select b.agreement_id from unnest(p_bills) i(id) join public.bills b on b.id = i.id where b.status = 'draft'));
    return array(select i.id from unnest(p_bills) with ordinality as i(id, place)
                 join public.bills b on b.id = i.id
                 where b.status <> 'draft' or b.agreement_id <> all (v_without) order by i.place);
end $$;
comment on function private.with_address(uuid[], jsonb) is 'Those of some bills that may be issued where a bill must say where the supply is, in their order: {no_address?: what is said of the others}; without it all of them.';
revoke all on function private.with_address(uuid[], jsonb) from public, anon, authenticated;
grant execute on function private.with_address(uuid[], jsonb) to service_role;

-- As it is now, whatever else changed it.
do $do$
declare
    v record;
    v_text text;
begin
    for v in select * from (values
        (1, $old$private.issue_drafts(v_ids, p) else$old$, $new$private.issue_drafts(private.with_address(v_ids, p), p) else$new$),
        (2, $old$refusal = coalesce(p ->> 'skip', r.refusal)$old$,
$new$refusal = coalesce(p ->> 'skip', case when private.with_address(v_ids, p) <> v_ids then p ->> 'no_address' end, r.refusal)$new$)
    ) as x (place, old, new) order by place loop
        v_text := pg_get_functiondef('public.issue_next(jsonb)'::regprocedure);
        if position(v.old in v_text) = 0 then
            raise exception 'There is nothing to change in public.issue_next.';
        end if;
        execute replace(v_text, v.old, v.new);
    end loop;
end $do$;
comment on function public.issue_next(jsonb) is 'Issues the next drafts of the oldest issue run that no other process is at, in the name of who began it: {limit, issued_at, issued_on, due_date, owed: {steps, status} for each, skip?: passes them over for this reason, no_address?: passes those over, for this reason, that could not say where the supply is} -> {run: as it is then, null when there is none}. Those that are no drafts any more are passed over.';

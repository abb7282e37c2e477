-- A monthly run leaves a step 8 for each of its bills. One by one they would take hours: whoever
-- follows the graph takes them many at a time.

create index outbox_for_graph on public.outbox (id)
    where status = 'open' and (steps #>> '{8,status}') = 'pending';

create function public.graph_backlog(p jsonb) returns jsonb
    language plpgsql stable set search_path to '' as $$
declare
    v_work jsonb;
begin
    select coalesce(jsonb_agg(to_jsonb(w)), '[]') into v_work
    from (select o.id, o.bill_id from public.outbox o
          where o.status = 'open' and (o.steps #>> '{8,status}') = 'pending'
            and (o.lease_until is null or o.lease_until < now())
          order by o.id limit (p ->> 'limit')::integer) w;
    if jsonb_array_length(v_work) < (p ->> 'at_least')::integer then
        return jsonb_build_object('work', '[]'::jsonb, 'rows', '{}'::jsonb);
    end if;
    return jsonb_build_object('work', v_work, 'rows', private.graph_rows_of(
        array(select distinct (w ->> 'bill_id')::uuid from jsonb_array_elements(v_work) w)));
end $$;
comment on function public.graph_backlog(jsonb) is
    'Outbox entries whose step 8 waits and that nobody works on, with what the graph needs for their bills: {limit, at_least} -> {work: [{id, bill_id}], rows: by kind as graph_rows_of_bill}. Fewer than at_least are none.';
revoke all on function public.graph_backlog(jsonb) from public, anon, authenticated;
grant execute on function public.graph_backlog(jsonb) to service_role;

create function public.graph_backlog_done(p jsonb) returns jsonb
    language plpgsql set search_path to '' as $$
declare
    v_done bigint;
begin
    perform private.set_actor(p);
    -- Whoever took one up meanwhile does its step 8 again, which changes nothing.
    with told as (
        select o.id, jsonb_set(o.steps, '{8}', jsonb_build_object(
                   'status', 'done', 'detail', p ->> 'detail', 'facts', '{}'::jsonb)) as steps
        from public.outbox o
        where o.id = any (array(select w::uuid from jsonb_array_elements_text(p -> 'work') w))
          and o.status = 'open' and (o.steps #>> '{8,status}') = 'pending'
          and (o.lease_until is null or o.lease_until < now())
        for update skip locked
    ), judged as (
        select t.id, t.steps,
               not exists (select 1 from jsonb_each(t.steps) s where s.value ->> 'status' = 'pending') as ended,
               exists (select 1 from jsonb_each(t.steps) s where s.value ->> 'detail' like 'given up%') as gave_up
        from told t
    ), kept as (
        update public.outbox o
        set steps = j.steps,
            status = case when not j.ended then 'open' when j.gave_up then 'given_up' else 'finished' end,
            finished_at = case when j.ended then now() end
        from judged j where j.id = o.id
        returning 1
    )
    select count(*) into v_done from kept;
    return jsonb_build_object('done', v_done);
end $$;
comment on function public.graph_backlog_done(jsonb) is
    'Ends step 8 of outbox entries whose bills are in the graph by now, but of those that somebody works on: {actor, work: [id], detail} -> {done}.';
revoke all on function public.graph_backlog_done(jsonb) from public, anon, authenticated;
grant execute on function public.graph_backlog_done(jsonb) to service_role;

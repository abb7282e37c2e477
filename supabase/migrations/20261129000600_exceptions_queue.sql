-- The exceptions queue: the readings that wait for a decision, by what is at stake; a decision that asks for a new read.

create function private.at_stake_wh(p_validation jsonb) returns bigint
language sql immutable set search_path = '' as $$
    select coalesce(max(abs(f.used - coalesce(f.usual, f.bound, f.used))), 0)::bigint
    from jsonb_array_elements(case when jsonb_typeof(p_validation -> 'rules') = 'array' then p_validation -> 'rules' else '[]' end) x
    cross join lateral (
        select coalesce((x -> 'values' ->> 'used_wh')::numeric, 0) as used,
               (x -> 'values' ->> 'usual_wh')::numeric as usual,
               case when x ->> 'outcome' = 'review'
                    then coalesce(x -> 'values' ->> 'most_wh', x -> 'values' ->> 'least_wh')::numeric end as bound) f
$$;
comment on function private.at_stake_wh is 'How far the use up to a reading is from the usual one, in Wh, by the values that the rules compared; from their limit where the usual use is not known.';

create function private.causes_of(p_validation jsonb) returns text[]
language sql immutable set search_path = '' as $$
    select array(
        select x ->> 'rule'
        from jsonb_array_elements(case when jsonb_typeof(p_validation -> 'rules') = 'array' then p_validation -> 'rules' else '[]' end) x
        where x ->> 'outcome' in ('review', 'warn'))
        || case when p_validation -> 'ai' ->> 'verdict' = 'suspicious' then array['ai'] else '{}' end
$$;
comment on function private.causes_of is 'The rules that doubt a reading or explain a doubt, and ai where AI doubts it.';
revoke all on function private.at_stake_wh(jsonb), private.causes_of(jsonb) from public, anon, authenticated;
grant execute on function private.at_stake_wh(jsonb), private.causes_of(jsonb) to service_role;

create index readings_at_stake on public.readings ((private.at_stake_wh(validation)) desc, id) where status = 'needs_review';

create function public.exceptions(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with ranked as materialized (
        select r.id, r.meter_id, r.read_at, private.causes_of(r.validation) as causes,
               private.at_stake_wh(r.validation) as at_stake_wh
        from public.readings r
        where r.status = 'needs_review'
        order by private.at_stake_wh(r.validation) desc, r.id
        limit (p ->> 'ranked_to')::integer
    ), priced as materialized (
        select r.*, coalesce(s.route, '') as route, b.currency, b.rate,
               r.at_stake_wh * coalesce(b.rate, avg(b.rate) over (), 1) as rank
        from ranked r
        left join lateral (
            select i.service_point_id from public.meter_installations i
            where i.meter_id = r.meter_id and i.installed_at <= r.read_at and (i.removed_at is null or r.read_at <= i.removed_at)
            order by i.installed_at desc limit 1) i on true
        left join public.service_points s on s.id = i.service_point_id
        left join lateral (
            -- What a kWh of its last bill came to, all in all.
            select x.currency, x.total_minor::numeric / x.consumption_wh as rate from public.bills x
            where x.meter_id = r.meter_id and x.status <> 'void' and x.consumption_wh > 0
            order by x.period_end desc limit 1) b on true
    ), found as materialized (
        select x.* from priced x
        where (p ->> 'cause' is null or p ->> 'cause' = any (x.causes))
          and (p ->> 'route' is null or p ->> 'route' = x.route)
    )
    select jsonb_build_object(
        'total', (select count(*) from found),
        'ranked', (select count(*) from ranked),
        'causes', (select coalesce(jsonb_object_agg(c.cause, c.n), '{}') from (
            select cause, count(*) as n from priced, unnest(causes) cause group by cause) c),
        'routes', (select coalesce(jsonb_object_agg(c.route, c.n), '{}') from (
            select route, count(*) as n from priced group by route) c),
        'items', (select coalesce(jsonb_agg(jsonb_build_object(
                      'reading', private.reading_json(n.id), 'route', n.route, 'at_stake_wh', n.at_stake_wh, 'currency', n.currency,
                      'at_stake_minor', round(n.at_stake_wh * n.rate)) order by n.skipped, n.rank desc, n.id), '[]')
                  from (select f.*, coalesce(s.place, 0) as skipped
                        from found f
                        left join jsonb_array_elements_text(p -> 'skipped') with ordinality s(id, place) on s.id = f.id::text
                        order by skipped, f.rank desc, f.id
                        limit (p ->> 'limit')::integer) n))
$$;
comment on function public.exceptions is 'Readings that wait for a decision, the most money at stake first: {ranked_to, limit, cause?, route?, skipped: [ids]} -> {total, ranked, causes: {cause: number}, routes: {route: number}, items: [{reading, route, at_stake_wh, at_stake_minor, currency}]}. Of more than ranked_to those with the most energy at stake are looked at; skipped ones come last, in their order.';
revoke all on function public.exceptions(jsonb) from public, anon, authenticated;
grant execute on function public.exceptions(jsonb) to service_role;

create or replace function public.decide_reading(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_reading public.readings;
    v_bills jsonb := private.bills_given(p);
    v_correction jsonb := nullif(p -> 'correction', 'null'::jsonb);
    v_request jsonb := nullif(p -> 'request', 'null'::jsonb);
    v_answer_id uuid := coalesce((p -> 'correction' ->> 'id')::uuid, (p ->> 'reading_id')::uuid);
begin
    perform private.set_actor(p);
    select * into v_reading from public.readings where id = (p ->> 'reading_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    perform private.lock_points_of(array[v_reading.meter_id]);
    -- A correction that is already there is this very call, repeated.
    if v_correction is not null and exists (select 1 from public.readings where id = v_answer_id) then
        return private.reading_answer(v_answer_id, 'stored');
    end if;
    update public.readings
    set status = p ->> 'status', decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason',
        rolled_over = p ->> 'status' = 'accepted' and coalesce((p ->> 'rolled_over')::boolean, false)
    where id = v_reading.id and status = 'needs_review';
    if not found then
        -- The same decision of the same person for the same reason is this call, repeated.
        if v_correction is null and exists (
            select 1 from public.readings r
            where r.id = v_reading.id and r.status = p ->> 'status' and r.decided_by = p ->> 'actor'
              and r.decision_reason = p ->> 'reason') then
            return private.reading_answer(v_answer_id, 'stored');
        end if;
        perform private.refuse('EB005', 'Somebody has already decided on this reading.');
    end if;
    if v_correction is not null then
        perform private.insert_reading(v_correction);
    end if;
    if v_request is not null then
        perform public.request_reading(v_request || jsonb_build_object(
            'actor', p ->> 'actor', 'meter_id', v_reading.meter_id, 'reason', p ->> 'reason', 'about_reading_id', v_reading.id));
    end if;
    perform private.join_chain(v_bills);
    return private.reading_answer(v_answer_id, 'stored');
end $$;
comment on function public.decide_reading is 'A person decides on a flagged reading: {actor, reading_id, status: accepted|rejected|superseded, reason, rolled_over?, correction?, request?: {id, requested_on} to have the meter read again, bill?, earlier?: as commit_reading takes them}. The same decision again is answered with the first.';

-- A bill of a monthly run took 3.8 kB: a third were names that each line repeats, and steps of the
-- outbox that nothing is configured for.

comment on column public.bills.lines is 'Array of lines [code, description, tax, quantity, unit, rate, amount_minor, {slabs?: [[from_kwh, to_kwh, quantity, rate, amount]], note?, part?, billed_before?}?]; integers, strings and booleans only. Lines of bills from before are objects with these names. public.bill_lines reads both.';

create or replace view public.bill_lines with (security_invoker = true) as
select b.id as bill_id, b.number, b.status as bill_status, b.currency, l.position::integer as position,
       coalesce(l.line ->> 0, l.line ->> 'code') as code,
       coalesce(l.line ->> 1, l.line ->> 'description') as description,
       coalesce(l.line ->> 2, l.line ->> 'tax')::boolean as tax,
       coalesce(l.line ->> 3, l.line ->> 'quantity') as quantity,
       coalesce(l.line ->> 4, l.line ->> 'unit') as unit,
       coalesce(l.line ->> 5, l.line ->> 'rate') as rate,
       coalesce(l.line ->> 6, l.line ->> 'amount_minor')::bigint as amount_minor
from public.bills b
cross join lateral jsonb_array_elements(b.lines) with ordinality l(line, position);

comment on column public.outbox.steps is '{"8": {"status": "pending|done|skipped|failed", "detail": text, …}, …}; a step that is missing was skipped, since its service was not configured.';

-- What the other message lacks was skipped.
create or replace function private.hand_message_on() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    o public.outbox;
    v_others uuid[];
begin
    select * into o from public.outbox x
    where x.bill_id = new.id and x.kind = 'bill_issued' and x.facts ? 'tells_of' and x.status = 'open'
      -- Written or not: what is written of a void bill is not sent.
      and (x.steps #>> '{11,status}' = 'pending'
           or x.steps #>> '{12,status}' = 'pending' and coalesce(x.steps #> '{12,facts}', '{}') = '{}')
      and (x.lease_until is null or x.lease_until < now())
    for update;
    if not found then
        return null;
    end if;
    v_others := array(select b.id from public.bills b
                      where b.id = any (string_to_array(o.facts ->> 'tells_of', ' ')::uuid[]) and b.status = 'issued'
                      order by b.period_end desc, b.number desc);
    update public.outbox x
    set status = 'open', finished_at = null, next_attempt_at = o.next_attempt_at,
        steps = x.steps - array['11', '12', '13'] || (
            select jsonb_object_agg(s, case when s = '11' or o.steps #>> array[s, 'status'] = 'pending'
                                            then '{"status": "pending", "detail": ""}' else o.steps -> s end)
            from unnest(array['11', '12', '13']) s where o.steps ? s),
        facts = x.facts || (o.facts - 'tells_of')
            || case when cardinality(v_others) > 1
                    then jsonb_build_object('tells_of', (select string_agg(b::text, ' ') from unnest(v_others[2:]) b)) else '{}' end
    where x.bill_id = v_others[1] and x.kind = 'bill_issued';
    update public.outbox x set facts = x.facts - 'tells_of' - 'statement' where x.id = o.id;
    return null;
end $$;


-- One index along the chain instead of two, and none of bills that replace no other.
drop index public.bills_past_use;
drop index public.bills_chain;
create index bills_chain on public.bills (agreement_id, period_end desc) include (period_start, consumption_wh, status)
    where status <> 'void';
alter table public.bills drop constraint bills_replaces_id_key;
create unique index bills_replaces_id_key on public.bills (replaces_id) where replaces_id is not null;

-- As json, which is written at once as what is sent: jsonb took as long as finding the rows.
drop function public.monthly_bill_candidates(jsonb);
create function public.monthly_bill_candidates(p jsonb) RETURNS json
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $_$
declare
    v_which text := case when nullif(p -> 'only', 'null') is not null
        then $s$a.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$
        else $s$a.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
            || case when p ->> 'until' is null then '' else $s$ and a.id <= ($1 ->> 'until')::uuid$s$ end
            || case when p ->> 'billing_day' is null then '' else $s$ and a.billing_day = ($1 ->> 'billing_day')::smallint$s$ end end;
    v_page uuid[];
begin
    -- Planned for each of the ways: one plan for all would read every agreement for each.
    execute format($q$ select array(
        select a.id from public.service_agreements a where %s order by a.id limit ($1 ->> 'limit')::integer) $q$, v_which)
    into v_page using p;
    return (
    with page as materialized (
        select a.id, a.service_point_id, a.billing_day, a.starts_on, a.ends_on, a.opening_reading_id,
               private.cycle_end((p ->> 'on')::date, a.billing_day) as cycle_end
        from unnest(v_page) x join public.service_agreements a on a.id = x
    ), chosen as materialized (
        select a.id as agreement_id, a.service_point_id, a.billing_day, a.ends_on, a.cycle_end, o.id as opening_id,
               o.read_on as opened_on, o.read_at as opened_at, o.source as opening_source,
               json_build_object('id', o.id, 'meter_id', o.meter_id, 'read_at', o.read_at, 'read_on', o.read_on,
                                 'register_wh', o.register_wh, 'registers', o.registers, 'source', o.source) as opening,
               to_json(k) as closing, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on,
               k.meter_id as closing_meter_id,
               (select count(*) from public.bills v where v.opening_reading_id = o.id and v.status = 'void') as reissue_no
        from page a
        -- The end of its chain. Billed for the cycle already, most of a repeated run end here.
        left join lateral (
            select b.closing_reading_id, b.period_end from public.bills b
            where b.agreement_id = a.id and b.status <> 'void' order by b.period_end desc limit 1) t on true
        join public.readings o on o.id = coalesce(t.closing_reading_id, a.opening_reading_id)
        left join lateral (
            select r.* from public.meter_installations i
            cross join lateral (
                select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, x.registers, x.rolled_over, x.source from public.readings x
                where x.meter_id = i.meter_id and x.status = 'accepted'
                  and x.read_at > greatest(o.read_at, i.installed_at) and x.read_on > o.read_on
                  and x.read_at <= coalesce(i.removed_at, 'infinity')
                  and x.read_on <= least(a.cycle_end, coalesce(a.ends_on, 'infinity'))
                order by x.read_at desc limit 1) r
            where i.service_point_id = a.service_point_id and (i.removed_at is null or i.removed_at > o.read_at)
            order by r.read_at desc limit 1) k on true
        where a.starts_on < a.cycle_end
          and coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date + coalesce((p ->> 'cycle_end_days')::integer, 0), true)
          -- What is billed to its end needs no more.
          and (a.ends_on is null or o.read_on < a.ends_on)
          -- Billed beyond the cycle already (by a later field read): nothing of it is open.
          and o.read_on < a.cycle_end
          -- A bill that ends at a read somewhat after the billing day is that of the cycle before.
          and (k.id is not null or coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date, true))
    ), placed as materialized (
        -- With the meter that it closes at, or that is there; most places have had one.
        select c.*, m.id as meter_id, m.serial, m.dials, m.registers, i.multiplier_milli, s.connected_w, s.connected_va,
               i.installed_at > c.opened_at as exchanged, t.tariff_id, t.number as tariffs
        from chosen c
        join public.service_points s on s.id = c.service_point_id
        cross join lateral (
            select x.meter_id, x.multiplier_milli, x.installed_at from public.meter_installations x
            where x.service_point_id = c.service_point_id and (c.closing_id is null
                or (x.meter_id = c.closing_meter_id and x.installed_at < c.closed_at and c.closed_at <= coalesce(x.removed_at, 'infinity')))
            order by x.installed_at desc limit 1) i
        join public.meters m on m.id = i.meter_id
        cross join lateral (
            select count(*) as number, (array_agg(y.tariff_id order by y.starts_on desc))[1] as tariff_id
            from public.agreement_tariffs y where y.agreement_id = c.agreement_id) t
    ), back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
        where t.id in (select c.tariff_id from placed c)
    )
    select json_build_object(
        'next', case when cardinality(v_page) = (p ->> 'limit')::integer then v_page[cardinality(v_page)] end,
        'agreements', coalesce((select json_agg(
            json_build_object(
                'agreement_id', c.agreement_id, 'billing_day', c.billing_day, 'ends_on', c.ends_on, 'cycle_end', c.cycle_end,
                'opening', c.opening, 'closing', c.closing, 'reissue_no', c.reissue_no, 'meter_id', c.meter_id,
                'serial', c.serial, 'dials', c.dials, 'registers', c.registers, 'multiplier_milli', c.multiplier_milli,
                'connected_w', c.connected_w, 'connected_va', c.connected_va, 'tariff_id', c.tariff_id,
                'spans', case when c.tariffs > 1 then private.spans_of(c.agreement_id) else '[]' end,
                'installations', case when c.exchanged
                    then private.installations_between(c.service_point_id, c.opened_at, c.closed_at) else '[]' end,
                -- Within a month nothing is split; but a person may have said that a register rolled over.
                'between', case when c.exchanged or c.closed_on - c.opened_on > 31
                                     or exists (select 1 from public.meter_installations i
                                                join public.readings r on r.meter_id = i.meter_id and r.rolled_over and r.status = 'accepted'
                                                where i.service_point_id = c.service_point_id
                                                  and r.read_at > c.opened_at and r.read_at < c.closed_at)
                    then private.reads_between(c.service_point_id, c.opening_id, c.closed_at) else '[]' end,
                -- Most have nothing to ask for, or intervals alone: the call would be the dearest part of their row.
                'pricing', case when c.closing_id is null then '{}'
                    when private.is_actual(c.opening_source) and not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
                    then case when exists (select 1 from public.intervals i where i.meter_id = c.meter_id)
                         then jsonb_build_object('intervals', private.interval_days(array[c.meter_id], c.opened_on, c.closed_on)) else '{}' end
                    else private.pricing_facts(
                        c.agreement_id,
                        array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = c.service_point_id),
                        private.looks_back_along(c.agreement_id), c.opening_id, c.closed_at, c.closed_on) end)
            order by c.agreement_id)
        from placed c join back b on b.id = c.tariff_id), '[]')));
end $_$;

comment on function public.monthly_bill_candidates(p jsonb) is 'Of a page of agreements by id those not billed yet for the cycle that last ended on or before a local date, each with the read it opens at and the latest accepted read it can close at, or null, and the meter of that: {on, billing_day?: of this cycle alone, cycle_end_days?, after?, until?, limit, only?: [agreement ids]} -> {agreements, next: the last one looked at, null when there are no more}. Where there is such a read, a bill that ends within cycle_end_days after the cycle''s start is of the one before.';
revoke all on function public.monthly_bill_candidates(jsonb) from public;
grant execute on function public.monthly_bill_candidates(jsonb) to service_role;

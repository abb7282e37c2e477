-- Several processes store the batches of one run side by side. A batch used to hold the run's row
-- from its first statement to its end; now it looks at the run first, and takes its row last.

create function private.expect_run(p_run jsonb) returns void
    language plpgsql stable set search_path = ''
    as $$
begin
    if coalesce(p_run, 'null') <> 'null' and not exists (
        select 1 from public.job_runs
        where job = p_run ->> 'job' and scheduled_on = (p_run ->> 'scheduled_on')::date
          and attempt = (p_run ->> 'attempt')::integer and status = 'running'
    ) then
        perform private.refuse('EB006', 'This run of the job was taken over by another process, or slept for too long.');
    end if;
end $$;
comment on function private.expect_run(p_run jsonb) is 'Refuses a batch whose attempt is not the current one, without waiting for batches beside it; private.check_run at the end of the batch is what counts.';
revoke all on function private.expect_run(jsonb) from public;
grant execute on function private.expect_run(jsonb) to service_role;

create or replace function public.store_job_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_given public.bills[] := array(
        select b from jsonb_populate_recordset(jsonb_populate_record(null::public.bills, p -> 'common'), p -> 'bills') b);
    v_new public.bills[];
    v_moved uuid[];
    v_done integer;
begin
    perform private.set_actor(p);
    perform private.expect_run(p -> 'run');
    perform private.lock_points(array(
        select a.service_point_id
        from (select b.agreement_id from unnest(v_given) b
              union select (s ->> 'agreement_id')::uuid from jsonb_array_elements(coalesce(p -> 'set_aside', '[]')) s) x
        join public.service_agreements a on a.id = x.agreement_id));
    v_new := array(
        select g.bill from (select b as bill, row_number() over () as place from unnest(v_given) b) g
        where not exists (select 1 from public.bills x where x.id = (g.bill).id and x.status <> 'void')
        order by (g.bill).agreement_id, g.place);
    -- Between computing and storing, a read may have been billed or corrected, or this very bill
    -- stored and voided: those agreements are computed again. Of several bills of one each opens
    -- where the one before it closes.
    v_moved := array(
        select distinct b.agreement_id
        from (select x.agreement_id, x.opening_reading_id, x.closing_reading_id, x.reissue_no,
                     lag(x.closing_reading_id) over (partition by x.agreement_id order by x.place) as before
              from (select n.*, row_number() over () as place from unnest(v_new) n) x) b
        join public.service_agreements a on a.id = b.agreement_id
        left join lateral (
            select t.closing_reading_id from public.bills t
            where t.agreement_id = a.id and t.status <> 'void' order by t.period_end desc limit 1) t on b.before is null
        where coalesce(b.before, t.closing_reading_id, a.opening_reading_id) <> b.opening_reading_id
           or b.reissue_no <> (select count(*) from public.bills v
                               where v.opening_reading_id = b.opening_reading_id and v.status = 'void')
           or not exists (select 1 from public.readings r where r.id = b.closing_reading_id and r.status = 'accepted'));
    if v_moved <> '{}' then
        v_new := array(select b from unnest(v_new) b where b.agreement_id <> all (v_moved) order by b.agreement_id, b.period_start);
    end if;
    v_done := cardinality(v_new);
    perform private.insert_bill_rows(v_new, p -> 'bills', p -> 'common');
    if p -> 'run' is not null then
        perform private.check_run(p -> 'run');
        -- What was set aside before, and is billed now, is set aside no more.
        perform private.note_progress(p - 'bills' - 'common' || jsonb_build_object(
            'done', v_done,
            'settled', (select coalesce(jsonb_agg(distinct b.agreement_id), '[]') from unnest(v_new) b)));
    end if;
    return jsonb_build_object('stored', v_done, 'moved', to_jsonb(v_moved));
end $$;

comment on function public.store_job_bills(jsonb) is 'One batch of bills in one transaction: {actor, run?, common?: what is the same of all bills, bills, set_aside?} -> {stored, moved: agreements whose chain changed meanwhile}.';

create or replace function public.monthly_bill_candidates(p jsonb) RETURNS jsonb
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
    v_found jsonb;
begin
    -- Planned for each of the ways: one plan for all would read every agreement for each.
    execute format($q$
    with page as materialized (
        select a.id, a.service_point_id, a.billing_day, a.starts_on, a.ends_on, a.opening_reading_id,
               private.cycle_end(($1 ->> 'on')::date, a.billing_day) as cycle_end
        from public.service_agreements a where %s
        order by a.id limit ($1 ->> 'limit')::integer
    ), chosen as materialized (
        select a.id as agreement_id, a.service_point_id, a.billing_day, a.ends_on, a.cycle_end, o.id as opening_id,
               o.read_on as opened_on, o.read_at as opened_at, o.source as opening_source,
               jsonb_build_object('id', o.id, 'meter_id', o.meter_id, 'read_at', o.read_at, 'read_on', o.read_on,
                                  'register_wh', o.register_wh, 'registers', o.registers, 'source', o.source) as opening,
               to_jsonb(k) as closing, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on,
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
          and coalesce(t.period_end <= (a.cycle_end - interval '1 month')::date + coalesce(($1 ->> 'cycle_end_days')::integer, 0), true)
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
    select jsonb_build_object(
        'next', (select case when count(*) = ($1 ->> 'limit')::integer then (array_agg(a.id order by a.id desc))[1] end from page a),
        'agreements', coalesce((select jsonb_agg(
            jsonb_build_object(
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
                -- Most have nothing to ask for: the call would be the dearest part of their row.
                'pricing', case when c.closing_id is null or (
                        private.is_actual(c.opening_source) and not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
                        and not exists (select 1 from public.intervals i where i.meter_id = c.meter_id)) then '{}'
                    else private.pricing_facts(
                        c.agreement_id,
                        array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = c.service_point_id),
                        private.looks_back_along(c.agreement_id), c.opening_id, c.closed_at, c.closed_on) end)
            order by c.agreement_id)
        from placed c join back b on b.id = c.tariff_id), '[]'))
    $q$, v_which) into v_found using p;
    return v_found;
end $_$;

comment on function public.monthly_bill_candidates(p jsonb) is 'Of a page of agreements by id those not billed yet for the cycle that last ended on or before a local date, each with the read it opens at and the latest accepted read it can close at, or null, and the meter of that: {on, billing_day?: of this cycle alone, cycle_end_days?, after?, until?, limit, only?: [agreement ids]} -> {agreements, next: the last one looked at, null when there are no more}. Where there is such a read, a bill that ends within cycle_end_days after the cycle''s start is of the one before.';

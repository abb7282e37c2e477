-- The monthly job makes a bill a month where reads were taken at the end of each.

-- As before, and with the reads in between where there is more than a month.
create or replace function public.monthly_bill_candidates(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_which text := case when nullif(p -> 'only', 'null') is null
        then $s$m.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
        else $s$m.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$ end;
    v_found jsonb;
begin
    -- Planned for each of the two ways: one plan for both would read all meters for either.
    execute format($q$
    with back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
    ), chosen as materialized (
        select m.id as meter_id, m.serial, m.tariff_id, m.dials, m.multiplier_milli, m.registers, m.connected_w,
               m.connected_va, to_jsonb(o) as opening, to_jsonb(k) as closing, private.reissues(o.id) as reissue_no,
               o.id as opening_id, o.read_on as opened_on, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on
        from public.meters m
        cross join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.id = private.chain_tail(m.id)) o
        left join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.meter_id = m.id and r.status = 'accepted'
              and r.read_at > o.read_at and r.read_on > o.read_on
              and r.read_on <= ($1 ->> 'month_end')::date
            order by r.read_at desc limit 1) k on true
        where m.status = 'active' and m.opened_on < ($1 ->> 'month_end')::date
          and %s
          and not exists (
              select 1 from public.bills b
              where b.meter_id = m.id and b.status <> 'void'
                and b.period_end > ($1 ->> 'month_start')::date and b.period_end <= ($1 ->> 'month_end')::date)
          -- Billed beyond the month already (by a later field read): nothing of the month is open.
          and o.read_on < ($1 ->> 'month_end')::date
        order by m.id
        limit ($1 ->> 'limit')::integer
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(
        to_jsonb(c) - array['opening_id', 'opened_on', 'closing_id', 'closed_at', 'closed_on'] || jsonb_build_object(
            -- Within a month nothing is split.
            'between', case when c.closed_on - c.opened_on > 31
                then private.reads_between(c.meter_id, c.opening_id, c.closed_at) else '[]' end,
            -- Most meters have nothing to ask for: the call would be the dearest part of their row.
            'pricing', case when c.closing_id is null or (
                    c.registers = '[]' and not b.looks_back
                    and not exists (select 1 from public.intervals i where i.meter_id = c.meter_id)) then '{}'
                else private.pricing_facts(
                    c.meter_id, c.registers, b.looks_back, c.opening_id, c.closed_at, c.closed_on) end)
        order by c.meter_id), '[]'))
    from chosen c join back b on b.id = c.tariff_id
    $q$, v_which) into v_found using p;
    return v_found;
end $$;

-- As before; a meter may have several bills in a batch, in the order of its chain.
create or replace function public.store_job_bills(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_bills jsonb;
    v_moved jsonb;
    v_done integer;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform 1 from public.meters
    where id in (select (b ->> 'meter_id')::uuid
                 from jsonb_array_elements((p -> 'bills') || coalesce(p -> 'set_aside', '[]')) b)
    order by id for update;
    v_bills := (select coalesce(jsonb_agg(b.bill order by b.bill ->> 'meter_id', b.place), '[]')
                from jsonb_array_elements(p -> 'bills') with ordinality b(bill, place)
                where not exists (select 1 from public.bills x
                                  where x.id = (b.bill ->> 'id')::uuid and x.status <> 'void'));
    -- Between computing and storing, a read may have been billed or corrected, or this very bill
    -- stored and voided: those meters are computed again. Of several bills of a meter each opens
    -- where the one before it closes.
    v_moved := (select coalesce(jsonb_agg(distinct b.bill -> 'meter_id'), '[]')
                from (select x.bill, lag(x.bill ->> 'closing_reading_id')
                                 over (partition by x.bill ->> 'meter_id' order by x.place) as before
                      from jsonb_array_elements(v_bills) with ordinality x(bill, place)) b
                where coalesce(b.before::uuid, private.chain_tail((b.bill ->> 'meter_id')::uuid))
                          is distinct from (b.bill ->> 'opening_reading_id')::uuid
                   or private.reissues((b.bill ->> 'opening_reading_id')::uuid) <> (b.bill ->> 'reissue_no')::integer
                   or not exists (select 1 from public.readings r
                                  where r.id = (b.bill ->> 'closing_reading_id')::uuid and r.status = 'accepted'));
    v_bills := (select coalesce(jsonb_agg(b.bill order by b.place), '[]')
                from jsonb_array_elements(v_bills) with ordinality b(bill, place)
                where not v_moved @> (b.bill -> 'meter_id'));
    v_done := jsonb_array_length(v_bills);
    perform private.insert_bills(v_bills);
    if p -> 'run' is not null then
        -- What was set aside before, and is billed now, is set aside no more.
        perform private.note_progress(p || jsonb_build_object(
            'done', v_done,
            'settled', (select coalesce(jsonb_agg(distinct b -> 'meter_id'), '[]') from jsonb_array_elements(v_bills) b)));
    end if;
    return jsonb_build_object('stored', v_done, 'moved', v_moved);
end $$;

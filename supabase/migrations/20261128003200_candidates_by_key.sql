-- The candidates again as the walk along the meters' key that it was: with a union in it, each page sorted all meters.

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
               o.id as opening_id, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on
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
        to_jsonb(c) - array['opening_id', 'closing_id', 'closed_at', 'closed_on'] || jsonb_build_object(
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

-- As before, by key however many wait: a meter is set aside under its serial.
drop index public.job_set_aside_meter;
create or replace function private.note_progress(p jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_job text := p -> 'run' ->> 'job';
    v_on date := (p -> 'run' ->> 'scheduled_on')::date;
    v_gone integer;
    v_new integer;
begin
    -- By arrays: a plan that reads the whole table would be dear where a million meters wait.
    delete from public.meters_to_bill q
    where q.meter_id = any (array(select (x ->> 'meter_id')::uuid
                                  from jsonb_array_elements(coalesce(p -> 'looked_at', '[]')) x))
      and exists (select 1 from jsonb_to_recordset(p -> 'looked_at') as x(meter_id uuid, queued_at timestamptz)
                  where x.meter_id = q.meter_id and x.queued_at = q.queued_at);
    with gone as (
        delete from public.job_set_aside a
        where a.job = v_job and a.scheduled_on = v_on
          and a.subject = any (array(
              select m.serial from public.meters m
              where m.id = any (array(select x::uuid from jsonb_array_elements_text(coalesce(p -> 'settled', '[]')) x))))
        returning 1
    ) select count(*) into v_gone from gone;
    with kept as (
        insert into public.job_set_aside (job, scheduled_on, subject, reason, code, ref, meter_id)
        select v_job, v_on, s.subject, s.reason, coalesce(s.code, 'other'), s.ref, s.meter_id
        from jsonb_to_recordset(coalesce(p -> 'set_aside', '[]')) as s(
            subject text, reason text, code text, ref uuid, meter_id uuid)
        on conflict (job, scheduled_on, subject) do update
        set reason = excluded.reason, code = excluded.code, ref = excluded.ref, meter_id = excluded.meter_id, at = now()
        returning xmax = 0 as is_new
    ) select count(*) filter (where is_new) into v_new from kept;
    perform private.queue_read_meanwhile(coalesce(p -> 'set_aside', '[]'), date_trunc('month', v_on)::date);
    -- Added to, for a run may set aside so many that no batch should count them.
    update public.job_runs r
    set done_count = r.done_count + coalesce((p ->> 'done')::integer, 0),
        failed_count = r.failed_count + v_new - v_gone
    where r.job = v_job and r.scheduled_on = v_on;
end $$;

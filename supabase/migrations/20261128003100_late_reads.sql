-- Why a meter was not billed, kept so that it leads to what mends it; and reads that come after the month's run.

alter table public.job_set_aside
    add column code text not null default 'other',
    add column ref uuid,
    add column meter_id uuid;
comment on column public.job_set_aside.code is 'The kind of reason, by which a page knows where it is mended.';
comment on column public.job_set_aside.ref is 'What the reason is about: the reading that waits, the bill to correct.';
create index job_set_aside_meter on public.job_set_aside (meter_id, scheduled_on) where meter_id is not null;
create index job_set_aside_tariff on public.job_set_aside (scheduled_on) where code = 'tariff_missing';

create table public.meters_to_bill (
    meter_id uuid primary key references public.meters,
    queued_at timestamptz not null default clock_timestamp()
);
comment on table public.meters_to_bill is
    'Meters that a read (or a tariff) of an earlier month came for after that month''s run: the next tick looks at them again.';
alter table public.meters_to_bill enable row level security;
revoke all on public.meters_to_bill from public, anon, authenticated;
revoke truncate on public.meters_to_bill from service_role;
grant select, insert, update, delete on public.meters_to_bill to service_role;

create function private.last_month_run() returns date
language sql stable set search_path = '' as $$
    select max(r.scheduled_on) from public.job_runs r
    where r.job = 'monthly_bills' and (r.status = 'running' or r.clock_at is not null)
$$;
comment on function private.last_month_run is
    'The date of the latest run of the monthly bills, under way or over: it bills up to the 1st of its month.';

create function private.queue_late_reads() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_month_end date := date_trunc('month', private.last_month_run());
begin
    insert into public.meters_to_bill (meter_id)
    select distinct r.meter_id from new_rows r
    where r.status = 'accepted' and not r.is_opening and r.read_on <= v_month_end
    order by r.meter_id
    on conflict (meter_id) do update set queued_at = clock_timestamp();
    return null;
end $$;
comment on function private.queue_late_reads is
    'Queues the meters whose read came, or was accepted, after the run of its month. Who writes a read has locked its meter.';
create trigger readings_come_late after insert on public.readings
    referencing new table as new_rows for each statement execute function private.queue_late_reads();
create trigger readings_accepted_late after update on public.readings
    referencing new table as new_rows for each statement execute function private.queue_late_reads();

create function private.queue_for_late_tariff() returns trigger
language plpgsql set search_path = '' as $$
begin
    insert into public.meters_to_bill (meter_id)
    select distinct m.id from public.job_set_aside a
    join public.meters m on m.id = a.meter_id
    where a.code = 'tariff_missing' and a.job = 'monthly_bills' and a.scheduled_on = private.last_month_run()
      and m.tariff_id in (select v.tariff_id from new_rows v)
    order by m.id
    on conflict (meter_id) do update set queued_at = clock_timestamp();
    return null;
end $$;
comment on function private.queue_for_late_tariff is 'Queues the meters that the last run could not bill for want of this tariff.';
create trigger tariffs_come_late after insert on public.tariff_versions
    referencing new table as new_rows for each statement execute function private.queue_for_late_tariff();

create function public.meters_to_bill_page(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('meters', coalesce(jsonb_agg(to_jsonb(q) order by q.meter_id), '[]'))
    from (select t.meter_id, t.queued_at from public.meters_to_bill t
          where t.meter_id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
          order by t.meter_id limit (p ->> 'limit')::integer) q
$$;
comment on function public.meters_to_bill_page is 'The meters that wait for another look: {after?, limit} -> {meters: [{meter_id, queued_at}]}.';

-- A read that was being written while the run looked at its meter has come when the lock is had.
create function private.queue_read_meanwhile(p_set_aside jsonb, p_month_end date) returns void
language sql set search_path = '' as $$
    insert into public.meters_to_bill (meter_id)
    select s.meter_id
    from jsonb_to_recordset(p_set_aside) as s(meter_id uuid, opening_id uuid, closing_id uuid, again boolean)
    left join lateral (
        select r.id from public.readings r join public.readings o on o.id = s.opening_id
        where r.meter_id = s.meter_id and r.status = 'accepted' and r.read_on <= p_month_end
          and r.read_at > o.read_at and r.read_on > o.read_on
        order by r.read_at desc limit 1) k on true
    where s.meter_id is not null and (s.again or (k.id is not null and k.id is distinct from s.closing_id))
    order by s.meter_id
    on conflict (meter_id) do update set queued_at = clock_timestamp()
$$;

-- As before, and with the kind of reason and the meters that are looked at again.
create or replace function private.note_progress(p jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_job text := p -> 'run' ->> 'job';
    v_on date := (p -> 'run' ->> 'scheduled_on')::date;
    v_gone integer;
    v_new integer;
begin
    delete from public.meters_to_bill q
    using jsonb_to_recordset(coalesce(p -> 'looked_at', '[]')) as x(meter_id uuid, queued_at timestamptz)
    where q.meter_id = x.meter_id and q.queued_at = x.queued_at;
    with gone as (
        delete from public.job_set_aside a
        where a.job = v_job and a.scheduled_on = v_on
          and a.meter_id in (select x::uuid from jsonb_array_elements_text(coalesce(p -> 'settled', '[]')) x)
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

create or replace function public.note_job_progress(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.check_run(p -> 'run');
    perform 1 from public.meters
    where id in (select (s ->> 'meter_id')::uuid from jsonb_array_elements(coalesce(p -> 'set_aside', '[]')) s)
    order by id for update;
    perform private.note_progress(p);
    return '{}'::jsonb;
end $$;
comment on function public.note_job_progress is
    'Counts what a batch did: {run, done, set_aside: [{subject, reason, code?, ref?, meter_id?, opening_id?, closing_id?, again?}], looked_at?: [{meter_id, queued_at}], settled?: [meters that are no longer set aside]}. A meter set aside is queued for another look when its closing read is another one by now, or with again.';

-- As before, and of only some meters where that is said.
create or replace function public.monthly_bill_candidates(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
    ), chosen as materialized (
        select m.id as meter_id, m.serial, m.tariff_id, m.dials, m.multiplier_milli, m.registers, m.connected_w,
               m.connected_va, to_jsonb(o) as opening, to_jsonb(k) as closing, private.reissues(o.id) as reissue_no,
               o.id as opening_id, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on
        from (select a.* from public.meters a where nullif(p -> 'only', 'null') is null
              union all
              select a.* from public.meters a
              where a.id = any (array(select jsonb_array_elements_text(nullif(p -> 'only', 'null'))::uuid))) m
        cross join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.id = private.chain_tail(m.id)) o
        left join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.meter_id = m.id and r.status = 'accepted'
              and r.read_at > o.read_at and r.read_on > o.read_on
              and r.read_on <= (p ->> 'month_end')::date
            order by r.read_at desc limit 1) k on true
        where m.status = 'active' and m.opened_on < (p ->> 'month_end')::date
          and m.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
          and not exists (
              select 1 from public.bills b
              where b.meter_id = m.id and b.status <> 'void'
                and b.period_end > (p ->> 'month_start')::date and b.period_end <= (p ->> 'month_end')::date)
          -- Billed beyond the month already (by a later field read): nothing of the month is open.
          and o.read_on < (p ->> 'month_end')::date
        order by m.id
        limit (p ->> 'limit')::integer
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
$$;

comment on function public.monthly_bill_candidates is
    'Active meters without a bill that ends in (month_start, month_end], each with the read it opens at and the latest accepted read it can close at, or null: {month_start, month_end, after?, limit, only?: [meter ids]}.';

create function public.unbilled_facts(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'meter_id', o.meter_id, 'kept_back', to_jsonb(k),
        'next_on', (select min(r.read_on) from public.readings r
                    where r.meter_id = o.meter_id and r.status = 'accepted' and r.read_on > (p ->> 'month_end')::date),
        'last_bill_id', (select b.id from public.bills b
                         where b.closing_reading_id = o.id and b.status = 'issued' limit 1))), '[]'))
    from public.readings o
    left join lateral (
        select r.id, r.read_on, r.register_wh, r.status from public.readings r
        where r.meter_id = o.meter_id and r.status in ('needs_review', 'rejected')
          and r.read_at > o.read_at and r.read_on > o.read_on and r.read_on <= (p ->> 'month_end')::date
        order by r.status, r.read_at desc limit 1) k on true
    where o.id in (select jsonb_array_elements_text(p -> 'openings')::uuid)
$$;
comment on function public.unbilled_facts is
    'What there is instead of a closing read: {openings: [reading ids], month_end} -> {meters: [{meter_id, kept_back: a read that waits for review or was rejected, next_on: date of the first read after the month, last_bill_id}]}.';

-- As before; locks also the meters that are set aside, and a meter that is billed is set aside no more.
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
    v_bills := (select coalesce(jsonb_agg(b order by b ->> 'meter_id'), '[]') from jsonb_array_elements(p -> 'bills') b
                where not exists (select 1 from public.bills x
                                  where x.id = (b ->> 'id')::uuid and x.status <> 'void'));
    -- Between computing and storing, a read may have been billed or corrected, or this very bill
    -- stored and voided: those meters are computed again.
    v_moved := (select coalesce(jsonb_agg(b -> 'meter_id'), '[]') from jsonb_array_elements(v_bills) b
                where private.chain_tail((b ->> 'meter_id')::uuid) is distinct from (b ->> 'opening_reading_id')::uuid
                   or private.reissues((b ->> 'opening_reading_id')::uuid) <> (b ->> 'reissue_no')::integer
                   or not exists (select 1 from public.readings r
                                  where r.id = (b ->> 'closing_reading_id')::uuid and r.status = 'accepted'));
    v_bills := (select coalesce(jsonb_agg(b order by b ->> 'meter_id'), '[]') from jsonb_array_elements(v_bills) b
                where not v_moved @> (b -> 'meter_id'));
    v_done := jsonb_array_length(v_bills);
    perform private.insert_bills(v_bills);
    if p -> 'run' is not null then
        -- What was set aside before, and is billed now, is set aside no more.
        perform private.note_progress(p || jsonb_build_object(
            'done', v_done,
            'settled', (select coalesce(jsonb_agg(b -> 'meter_id'), '[]') from jsonb_array_elements(v_bills) b)));
    end if;
    return jsonb_build_object('stored', v_done, 'moved', v_moved);
end $$;

-- As before, and a run that is over may be resumed for what came later; it keeps what it did.
create or replace function public.claim_job_run(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_job text := p ->> 'job';
    v_on date := (p ->> 'scheduled_on')::date;
    v_lease timestamptz := now() + make_interval(secs => (p ->> 'lease_seconds')::integer);
    v_clock timestamptz := coalesce((p ->> 'clock_at')::timestamptz, now());
    v_run public.job_runs;
    v_other date;
begin
    perform pg_advisory_xact_lock(hashtext('job_runs'), hashtext(v_job));
    select r.scheduled_on into v_other from public.job_runs r
    where r.job = v_job and r.scheduled_on <> v_on and r.status = 'running' and r.lease_until >= now() limit 1;
    if found then
        return jsonb_build_object('claimed', false, 'run', private.run_json(v_job, v_other));
    end if;
    insert into public.job_runs (job, scheduled_on, owner, lease_until, status, started_by, clock_at)
    values (v_job, v_on, p ->> 'owner', v_lease, 'running', p ->> 'started_by', v_clock)
    on conflict do nothing;
    if found then
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    select * into v_run from public.job_runs where job = v_job and scheduled_on = v_on for update;
    if v_run.status in ('done', 'failed') and v_run.attempt = (p ->> 'resume_attempt')::integer
       and (v_run.status = 'done' or v_run.finished_at < now() - interval '5 minutes')
       -- Not beside a newer run that the caller did not know: what came late is that one's.
       and not exists (select 1 from public.job_runs r where r.job = v_job and r.scheduled_on > v_on
                       and r.scheduled_on <= (v_clock + interval '14 hours')::date) then
        update public.job_runs
        set attempt = attempt + 1, owner = p ->> 'owner', lease_until = v_lease, status = 'running', finished_at = null
        where job = v_job and scheduled_on = v_on;
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    if (v_run.status = 'running' and v_run.lease_until < now())
       or (v_run.status = 'failed' and v_run.finished_at < now() - interval '5 minutes'
           and v_run.attempt < private.most_attempts())
       or (v_run.status <> 'running' and (coalesce((p ->> 'rerun')::boolean, false)
                                          or v_run.attempt = (p ->> 'instead_of_attempt')::integer)) then
        delete from public.job_set_aside where job = v_job and scheduled_on = v_on;
        update public.job_runs
        set attempt = attempt + 1, owner = p ->> 'owner', lease_until = v_lease, status = 'running',
            failed_count = 0, detail = '', finished_at = null, clock_at = v_clock,
            -- An interrupted run goes on as it was started, with what it finished; another counts anew.
            started_by = case when v_run.status = 'running' then started_by else p ->> 'started_by' end,
            done_count = case when v_run.status = 'running' then done_count else 0 end,
            started_at = case when v_run.status = 'running' then started_at else now() end
        where job = v_job and scheduled_on = v_on;
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    return jsonb_build_object('claimed', false, 'run', private.run_json(v_job, v_on));
end $$;
comment on function public.claim_job_run is
    'Takes a run that is new, whose lease ran out, that failed a while ago, that is over and does not count (instead_of_attempt: the one that was seen), that is over and goes on (resume_attempt, likewise), or (with rerun) that is over: {job, scheduled_on, owner, lease_seconds, started_by, clock_at?, rerun?, instead_of_attempt?, resume_attempt?} -> {claimed, run}. One run of a job at a time: when another date''s is under way, that is the run answered.';

-- As before, and whether meters wait for another look.
create or replace function public.job_history(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'late_reads', exists (select 1 from public.meters_to_bill),
        'installed_at', (select installed_at from public.installation),
        'last_runs', (select coalesce(jsonb_object_agg(l.job, to_jsonb(l)), '{}')
                      from (select distinct on (r.job) r.* from public.job_run_list r
                            order by r.job, r.disregarded or r.started_at > now() + interval '5 minutes',
                                     r.started_at desc, r.scheduled_on desc) l),
        'runs', (select coalesce(jsonb_agg(jsonb_build_object(
                            'job', r.job, 'scheduled_on', r.scheduled_on, 'status', r.status,
                            'attempt', r.attempt, 'clock_at', r.clock_at,
                            'over', r.status in ('done', 'disregarded')
                                    or (r.status = 'failed' and r.attempt >= private.most_attempts()))), '[]')
                 from public.job_run_list r
                 where r.status <> 'done'
                    or r.scheduled_on >= coalesce((p -> 'since' ->> r.job)::date, '-infinity')))
$$;

comment on function public.job_history is
    'What the scheduler''s tick compares with what is due: {since?: {job: date}} -> {late_reads, installed_at, last_runs by job, runs since those dates and all that did not end well}. "over": nobody tries it again by itself, if the clock was right.';

revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema private to service_role;

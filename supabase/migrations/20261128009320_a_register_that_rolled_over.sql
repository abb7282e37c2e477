-- A register that falls by less than half a turn is billed as a turn only where a person said that it rolled over.
alter table public.readings add column rolled_over boolean not null default false;
comment on column public.readings.rolled_over is
    'A person said that the register passed its last digit and began again at 0 before this read, which is below an earlier one.';
create index readings_rolled_over on public.readings (meter_id, read_at) where rolled_over and status = 'accepted';

create or replace view public.reading_list with (security_invoker = true) as
select r.id, r.meter_id, m.serial as meter_serial, m.customer_id, c.account_no, c.name as customer_name,
       c.address, r.read_at, r.read_on, r.register_wh, r.source, r.status, r.is_opening, r.submitted_by,
       r.validation, r.supersedes_id, r.decided_by, r.decided_at, r.decision_reason, r.created_at,
       b.id as bill_id, b.number as bill_number, b.total_minor as bill_total_minor,
       b.currency as bill_currency, r.registers, r.rolled_over
from public.readings r
join public.meters m on m.id = r.meter_id
join public.customers c on c.id = m.customer_id
left join public.bills b on b.closing_reading_id = r.id and b.status <> 'void';

create function private.rolled_over(p_meter_id uuid, p_after timestamptz, p_before timestamptz) returns boolean
language sql stable set search_path = '' as $$
    select exists (select 1 from public.readings r
                   where r.meter_id = p_meter_id and r.rolled_over and r.status = 'accepted'
                     and r.read_at > p_after and r.read_at < p_before)
$$;
comment on function private.rolled_over is 'Whether a person said of a read between two instants that the register rolled over.';

-- As before, and the person who decides on a read may say that the register rolled over.
create or replace function private.guard_reading() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_decision text[] := array['status', 'decided_by', 'decided_at', 'decision_reason'];
begin
    if old.is_opening and old.status = 'accepted' and new.status = 'superseded' then
        v_decision := v_decision || array['is_opening'];
    end if;
    -- Whoever accepts a flagged read may say that the register rolled over before it.
    if old.status = 'needs_review' and new.status = 'accepted' then
        v_decision := v_decision || array['rolled_over'];
    end if;
    if to_jsonb(new) - v_decision <> to_jsonb(old) - v_decision then
        raise exception using errcode = 'EB005',
            message = 'A reading is never overwritten: enter a correction instead.';
    end if;
    if new.status <> old.status and not (
        (old.status = 'needs_review' and new.status in ('accepted', 'rejected', 'superseded'))
        or (old.status = 'accepted' and new.status in ('superseded', 'rejected') and not new.is_opening)
    ) then
        raise exception using errcode = 'EB005',
            message = format('This reading is already %s.', replace(old.status, '_', ' '));
    end if;
    return new;
end $$;

create or replace function private.insert_reading(p_reading jsonb) returns void
language sql set search_path = '' as $$
    insert into public.readings (
        id, meter_id, read_at, read_on, register_wh, source, status, is_opening, submitted_by, validation,
        supersedes_id, decided_by, decided_at, decision_reason, registers, rolled_over)
    select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.source, r.status,
           coalesce(r.is_opening, false), r.submitted_by, coalesce(r.validation, '{}'),
           r.supersedes_id, r.decided_by, r.decided_at, r.decision_reason, coalesce(r.registers, '{}'),
           coalesce(r.rolled_over, false)
    from jsonb_to_record(p_reading) as r(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text,
        status text, is_opening boolean, submitted_by text, validation jsonb, supersedes_id uuid,
        decided_by text, decided_at timestamptz, decision_reason text, registers jsonb, rolled_over boolean)
$$;

create or replace function public.decide_reading(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_reading public.readings;
    v_bills jsonb := private.bills_given(p);
    v_correction jsonb := nullif(p -> 'correction', 'null'::jsonb);
    v_answer_id uuid := coalesce((p -> 'correction' ->> 'id')::uuid, (p ->> 'reading_id')::uuid);
begin
    perform private.set_actor(p);
    select * into v_reading from public.readings where id = (p ->> 'reading_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    perform 1 from public.meters where id = v_reading.meter_id for update;
    -- A correction that is already there is this very call, repeated.
    if v_correction is not null and exists (select 1 from public.readings where id = v_answer_id) then
        return private.reading_answer(v_answer_id, 'stored');
    end if;
    update public.readings
    set status = p ->> 'status', decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason',
        rolled_over = p ->> 'status' = 'accepted' and coalesce((p ->> 'rolled_over')::boolean, false)
    where id = v_reading.id and status = 'needs_review';
    if not found then
        perform private.refuse('EB005', 'Somebody has already decided on this reading.');
    end if;
    if v_correction is not null then
        perform private.insert_reading(v_correction);
    end if;
    perform private.join_chain(v_bills);
    return private.reading_answer(v_answer_id, 'stored');
end $$;
comment on function public.decide_reading is
    'A person decides on a flagged reading: {actor, reading_id, status: accepted|rejected|superseded, reason, rolled_over?, correction?, bill?, earlier?: bills before that one}.';

-- As before, and with whether the register rolled over before a read.
create or replace function private.reads_between(p_meter_id uuid, p_opening_id uuid, p_until timestamptz) returns jsonb
language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', r.id, 'read_at', r.read_at, 'read_on', r.read_on, 'register_wh', r.register_wh,
               'registers', r.registers, 'rolled_over', r.rolled_over, 'reissues', private.reissues(r.id)) order by r.read_at), '[]')
    from public.readings r
    where r.meter_id = p_meter_id and r.status = 'accepted' and r.read_at < p_until
      and r.read_at > (select o.read_at from public.readings o where o.id = p_opening_id)
$$;

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
               m.connected_va, to_jsonb(o) as opening, to_jsonb(k) as closing, o.read_at as opened_at, private.reissues(o.id) as reissue_no,
               o.id as opening_id, o.read_on as opened_on, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on
        from public.meters m
        cross join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.id = private.chain_tail(m.id)) o
        left join lateral (
            select r.id, r.read_at, r.read_on, r.register_wh, r.registers, r.rolled_over from public.readings r
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
        to_jsonb(c) - array['opening_id', 'opened_on', 'opened_at', 'closing_id', 'closed_at', 'closed_on'] || jsonb_build_object(
            -- Within a month nothing is split; but a person may have said that a register rolled over.
            'between', case when c.closed_on - c.opened_on > 31 or private.rolled_over(c.meter_id, c.opened_at, c.closed_at)
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

revoke all on function private.rolled_over from public, anon, authenticated;
grant execute on function private.rolled_over to service_role;

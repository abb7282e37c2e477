-- What tariffs by time, by demand and by reactive energy are priced from: further registers of a
-- meter, its interval series, its connected load; and what each bill was priced from.

alter table public.meters
    add column registers jsonb not null default '[]' check (jsonb_typeof(registers) = 'array'),
    add column connected_w integer check (connected_w > 0),
    add column connected_va integer check (connected_va > 0);
comment on column public.meters.registers is
    'Names of the registers that are read at each reading beside the total kWh (services/domain/registers.py says what each measures).';
comment on column public.meters.connected_w is 'Connected load in W; null when it is not known.';
comment on column public.meters.connected_va is 'Connected load in VA; null when it is not known.';

alter table public.readings
    add column registers jsonb not null default '{}' check (jsonb_typeof(registers) = 'object');
comment on column public.readings.registers is
    'What the further registers showed, before the multiplier: {name: whole Wh (VAh, varh), or W (VA, var) of a maximum}.';

alter table public.bills
    add column usage jsonb check (usage is null or jsonb_typeof(usage) = 'object');
comment on column public.bills.usage is
    'What the bill was priced from beside its consumption_wh, in whole Wh, W and minor units; null when there was nothing else.';

create table public.intervals (
    id bigint generated always as identity primary key,
    meter_id uuid not null references public.meters,
    day date not null,
    minutes smallint not null check (minutes in (15, 30, 60)),
    wh integer[] not null check (
        cardinality(wh) * minutes between 22 * 60 and 26 * 60 and array_position(wh, null) is null and 0 <= all (wh)),
    imported_by text not null check (imported_by <> ''),
    created_at timestamptz not null default now()
);
create index intervals_latest on public.intervals (meter_id, day, id desc);
comment on table public.intervals is
    'The interval series of meters, a row a local day. A day that is imported again with other values is a new row; the latest counts.';
comment on column public.intervals.wh is
    'Wh after the multiplier in each interval of the day, in order of time; a day on which clocks change has an hour more or less.';

create trigger refuse_update before update on public.intervals
    for each row execute function private.refuse_delete();
select private.keep_rows('public.intervals');

create or replace function private.check_register() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (
        select 1 from new_rows r join public.meters m on m.id = r.meter_id
        where r.register_wh >= private.register_span_wh(m.dials)
    ) then
        raise exception using errcode = 'EB005', message = 'The reading has more digits than the meter.';
    end if;
    if exists (
        select 1 from new_rows r join public.meters m on m.id = r.meter_id
        cross join lateral jsonb_each(r.registers) v
        where r.registers <> '{}' and not (m.registers ? v.key and case when v.value::text ~ '^[0-9]{1,12}$'
            then v.value::bigint < private.register_span_wh(m.dials) else false end)
    ) then
        raise exception using errcode = 'EB005', message = 'A register of the reading is none of the meter''s, or has more digits.';
    end if;
    return null;
end $$;

create or replace view public.reading_list with (security_invoker = true) as
select r.id, r.meter_id, m.serial as meter_serial, m.customer_id, c.account_no, c.name as customer_name,
       c.address, r.read_at, r.read_on, r.register_wh, r.source, r.status, r.is_opening, r.submitted_by,
       r.validation, r.supersedes_id, r.decided_by, r.decided_at, r.decision_reason, r.created_at,
       b.id as bill_id, b.number as bill_number, b.total_minor as bill_total_minor,
       b.currency as bill_currency, r.registers
from public.readings r
join public.meters m on m.id = r.meter_id
join public.customers c on c.id = m.customer_id
left join public.bills b on b.closing_reading_id = r.id and b.status <> 'void';

create or replace view public.meter_list with (security_invoker = true) as
select m.id, m.serial, m.kind, m.dials, m.multiplier_milli, m.status, m.opened_on,
       m.customer_id, c.account_no, c.name as customer_name, c.address,
       m.tariff_id, t.code as tariff_code, t.name as tariff_name, t.currency,
       lower(concat_ws(' ', m.serial, c.account_no, c.name, c.address)) as search,
       m.registers, m.connected_w, m.connected_va
from public.meters m
join public.customers c on c.id = m.customer_id
join public.tariffs t on t.id = m.tariff_id;

create or replace view public.bill_list with (security_invoker = true) as
select b.id, b.number, b.meter_id, m.serial as meter_serial, b.customer_id, c.account_no,
       c.name as customer_name, c.address, b.tariff_version_id, t.code as tariff_code, t.name as tariff_name,
       b.opening_reading_id, b.closing_reading_id, b.period_start, b.period_end,
       b.opening_wh, b.closing_wh, b.consumption_wh, m.multiplier_milli, b.currency, b.lines,
       b.subtotal_minor, b.tax_minor, b.total_minor, b.amount_paid_minor,
       case when b.status = 'void' then 0 else b.total_minor - b.amount_paid_minor end as balance_minor,
       case
           when b.status = 'void' then 'void'
           when b.status = 'draft' then 'draft'
           when b.amount_paid_minor >= b.total_minor then 'paid'
           when b.overdue_since is not null then 'overdue'
           when b.amount_paid_minor > 0 then 'partially_paid'
           else 'issued'
       end as status,
       b.issued_at, b.issued_on, b.due_date, b.overdue_since, b.payment_url, b.reissue_no, b.void_reason,
       b.created_at,
       lower(concat_ws(' ', private.invoice_reference(b.number), c.account_no, c.name, m.serial)) as search,
       b.usage
from public.bills b
join public.meters m on m.id = b.meter_id
join public.customers c on c.id = b.customer_id
join public.tariff_versions v on v.id = b.tariff_version_id
join public.tariffs t on t.id = v.tariff_id;

-- As before, and a reading with other registers is another reading.
create or replace function private.find_replay(p jsonb, p_meter_id uuid) returns uuid
language plpgsql stable set search_path = '' as $$
declare
    v_key public.idempotency_keys;
    v_reading uuid;
begin
    if p ->> 'idempotency_key' is not null then
        select * into v_key from public.idempotency_keys
        where caller = p ->> 'caller' and key = p ->> 'idempotency_key';
        if found then
            if v_key.body_hash <> p ->> 'body_hash' then
                perform private.refuse('EB002', 'This idempotency key was used for another reading.');
            end if;
            return v_key.reading_id;
        end if;
    end if;
    select id into v_reading from public.readings
    where meter_id = p_meter_id and read_on = (p ->> 'read_on')::date
      and register_wh = (p ->> 'register_wh')::bigint and registers = coalesce(p -> 'registers', '{}')
      and status in ('accepted', 'needs_review')
    order by created_at limit 1;
    if found then
        return v_reading;
    end if;
    if exists (select 1 from public.readings
               where meter_id = p_meter_id and read_at = (p ->> 'read_at')::timestamptz
                 and status in ('accepted', 'needs_review')) then
        perform private.refuse('EB003', 'Another value was already submitted for this meter at this very time.');
    end if;
    return null;
end $$;

create function private.looks_back(p_tariff_id uuid) returns boolean
language sql stable set search_path = '' as $$
    select exists (
        select 1 from public.tariff_versions v
        where v.tariff_id = p_tariff_id
          and (v.definition #>> '{rounding,total,carry_forward}' = 'true'
               or jsonb_path_exists(v.definition,
                   '$.charges[*] ? (exists(@.ratchet) || (@.kind == "minimum" && @.per == "year"))')))
$$;
comment on function private.looks_back is
    'Whether bills of a tariff depend on earlier ones: a ratchet, a minimum per year, a rounding carried forward.';

create function private.pricing_facts(
    p_meter_id uuid, p_registers jsonb, p_looks_back boolean, p_opening_id uuid, p_until timestamptz, p_until_on date)
returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_facts jsonb := '{}';
    o public.readings;
begin
    if p_registers <> '[]' then
        select * into o from public.readings where id = p_opening_id;
        v_facts := jsonb_build_object(
            -- A register that came later, or was set anew, has its start in a read of that day and total.
            'opening_registers', (
                select coalesce(jsonb_object_agg(v.key, v.value order by r.created_at), '{}')
                from public.readings r cross join lateral jsonb_each(r.registers) v
                where r.meter_id = p_meter_id and r.status = 'accepted' and r.read_on = o.read_on
                  and r.register_wh = o.register_wh),
            'between', (
                select coalesce(jsonb_agg(r.registers order by r.read_at), '[]') from public.readings r
                where r.meter_id = p_meter_id and r.status = 'accepted' and r.registers <> '{}'
                  and r.read_at > o.read_at and r.read_at < p_until));
    end if;
    if p_looks_back then
        v_facts := v_facts || jsonb_build_object('past', (
            select coalesce(jsonb_agg(jsonb_build_object(
                       'period_start', b.period_start, 'period_end', b.period_end, 'usage', b.usage,
                       'charged', (select coalesce(jsonb_object_agg(l.code, l.minor), '{}')
                                   from (select x ->> 'code' as code, sum((x ->> 'amount_minor')::bigint)::bigint as minor
                                         from jsonb_array_elements(b.lines) x group by 1) l))
                       order by b.period_end desc), '[]')
            from (select * from public.bills where meter_id = p_meter_id and status <> 'void'
                  order by period_end desc limit 60) b));
    end if;
    if exists (select 1 from public.intervals where meter_id = p_meter_id) then
        select * into o from public.readings where id = p_opening_id;
        v_facts := v_facts || jsonb_build_object('intervals', (
            select coalesce(jsonb_agg(to_jsonb(i) order by i.day), '[]')
            from (select distinct on (d.day) d.day, d.minutes, d.wh from public.intervals d
                  where d.meter_id = p_meter_id and d.day >= o.read_on and d.day < p_until_on
                  order by d.day, d.id desc) i));
    end if;
    return v_facts;
end $$;
comment on function private.pricing_facts is
    'What pricing a bill needs beside its two reads, {} for most meters: {opening_registers, between: registers of the reads in between; past: up to 60 bills, the last first, where the tariff looks back; intervals: [{day, minutes, wh}] of the period, where the meter has any}.';

-- As before, and with what pricing needs.
create or replace function public.reading_context(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    m public.meter_list;
    v_replay uuid;
    v_tail uuid;
    v_at timestamptz := (p ->> 'read_at')::timestamptz;
    v_last public.readings;
begin
    select * into m from public.meter_list where serial = p ->> 'meter_serial';
    if not found then
        perform private.refuse('EB404', format('No meter has the serial %s.', p ->> 'meter_serial'));
    end if;
    if p ? 'register_wh' then
        v_replay := private.find_replay(p, m.id);
    end if;
    v_tail := private.chain_tail(m.id);
    select * into v_last from public.readings
    where meter_id = m.id and status = 'accepted' and read_at < v_at order by read_at desc limit 1;
    return jsonb_build_object(
        'meter', to_jsonb(m) - 'search',
        'tariffs', (select jsonb_agg(to_jsonb(v) order by v.effective_from)
                    from public.tariff_version_list v where v.tariff_id = m.tariff_id),
        'opening', private.reading_json(v_tail),
        'reissue_no', private.reissues(v_tail),
        'last_read', private.reading_json(v_last.id),
        'next_read', (select private.reading_json(r.id) from public.readings r
                      where r.meter_id = m.id and r.status = 'accepted' and r.read_at > v_at
                      order by r.read_at limit 1),
        'history', (select coalesce(jsonb_agg(jsonb_build_object(
                               'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers)
                               order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = m.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                      and h.read_at > v_last.read_at - interval '400 days'),
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = m.id and r.status = 'accepted' and r.read_on = (p ->> 'read_on')::date),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'pricing', private.pricing_facts(m.id, m.registers, private.looks_back(m.tariff_id), v_tail, v_at,
                                         (p ->> 'read_on')::date));
end $$;
comment on function public.reading_context is
    'Everything that validating and pricing a read of {meter_serial, read_at, read_on} needs; with {register_wh, registers?, caller, idempotency_key, body_hash} also the reading it repeats.';

-- As before, and with what the bill was priced from.
create or replace function private.insert_bills(p_bills jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_issued integer;
    v_base bigint;
begin
    select count(*) into v_issued from jsonb_array_elements(p_bills) b where b ->> 'status' = 'issued';
    if v_issued > 0 then
        update public.counters set last_number = last_number + v_issued where name = 'bill'
        returning last_number - v_issued into v_base;
    end if;
    insert into public.bills (
        id, number, status, meter_id, customer_id, tariff_version_id, opening_reading_id, closing_reading_id,
        period_start, period_end, opening_wh, closing_wh, consumption_wh, currency, lines,
        subtotal_minor, tax_minor, total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage)
    select b.id,
           case when b.status = 'issued'
                then v_base + row_number() over (partition by b.status = 'issued' order by b.position) end,
           b.status, b.meter_id, m.customer_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
           b.period_start, b.period_end, b.opening_wh, b.closing_wh, b.consumption_wh, b.currency, b.lines,
           b.subtotal_minor, b.tax_minor, b.total_minor, b.issued_at, b.issued_on, b.due_date, b.reissue_no,
           nullif(b.second_opinion, 'null'::jsonb), nullif(b.usage, 'null'::jsonb)
    from rows from (jsonb_to_recordset(p_bills) as (
             id uuid, status text, meter_id uuid, tariff_version_id uuid, opening_reading_id uuid,
             closing_reading_id uuid, period_start date, period_end date, opening_wh bigint, closing_wh bigint,
             consumption_wh bigint, currency text, lines jsonb, subtotal_minor bigint, tax_minor bigint,
             total_minor bigint, issued_at timestamptz, issued_on date, due_date date, reissue_no integer,
             second_opinion jsonb, usage jsonb)
         ) with ordinality as b(
             id, status, meter_id, tariff_version_id, opening_reading_id, closing_reading_id, period_start,
             period_end, opening_wh, closing_wh, consumption_wh, currency, lines, subtotal_minor, tax_minor,
             total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, usage, position)
    join public.meters m on m.id = b.meter_id;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at, lease_owner, lease_until)
    select o.id, b.id, 'bill_issued', o.steps, o.status, case when o.status <> 'open' then now() end,
           o.lease_owner, now() + make_interval(secs => o.lease_seconds)
    from jsonb_to_recordset(p_bills) as b(id uuid, owed jsonb)
    cross join lateral jsonb_to_record(b.owed) as o(
        id uuid, steps jsonb, status text, lease_owner text, lease_seconds integer)
    where b.owed is not null and b.owed <> 'null'::jsonb;
end $$;

-- As before, and with the further registers.
create or replace function private.insert_reading(p_reading jsonb) returns void
language sql set search_path = '' as $$
    insert into public.readings (
        id, meter_id, read_at, read_on, register_wh, source, status, is_opening, submitted_by, validation,
        supersedes_id, decided_by, decided_at, decision_reason, registers)
    select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.source, r.status,
           coalesce(r.is_opening, false), r.submitted_by, coalesce(r.validation, '{}'),
           r.supersedes_id, r.decided_by, r.decided_at, r.decision_reason, coalesce(r.registers, '{}')
    from jsonb_to_record(p_reading) as r(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text,
        status text, is_opening boolean, submitted_by text, validation jsonb, supersedes_id uuid,
        decided_by text, decided_at timestamptz, decision_reason text, registers jsonb)
$$;

-- As before, and with what pricing needs of the meters that have a closing read.
create or replace function public.monthly_bill_candidates(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
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

-- As before, and with the registers.
create or replace function public.meter_reads(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'id', m.id, 'serial', m.serial, 'dials', m.dials, 'multiplier_milli', m.multiplier_milli,
        'tariff_id', m.tariff_id, 'registers', m.registers,
        'reads', (select coalesce(jsonb_agg(jsonb_build_object(
                             'id', r.id, 'read_at', r.read_at, 'read_on', r.read_on,
                             'register_wh', r.register_wh, 'registers', r.registers,
                             'status', r.status) order by r.read_at), '[]')
                  from public.readings r
                  where r.meter_id = m.id
                    and (r.status in ('accepted', 'needs_review') or (p ->> 'every_status')::boolean)
                    and r.read_on >= coalesce((p ->> 'since')::date, '-infinity')))), '[]'))
    from public.meters m
    where m.serial in (select jsonb_array_elements_text(p -> 'serials'))
$$;

create or replace function public.import_readings(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_added integer;
begin
    perform private.set_actor(p);
    perform 1 from public.meters where id in (select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x)
    order by id for update;
    -- Stored in order of time: lists of readings are ordered by created_at.
    insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, submitted_by,
                                 validation, created_at, registers)
    select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, coalesce(x.source, 'imported'), x.status,
           p ->> 'actor', coalesce(x.validation, '{}'), clock_timestamp(), coalesce(x.registers, '{}')
    from jsonb_to_recordset(p -> 'rows') as x(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text,
        status text, validation jsonb, registers jsonb)
    where not exists (
        select 1 from public.readings r
        where r.meter_id = x.meter_id and r.read_on = x.read_on and r.register_wh = x.register_wh
          and r.registers = coalesce(x.registers, '{}')
          -- A read that a person rejected does not come back with the next import of its file.
          and (r.status in ('accepted', 'needs_review') or r.id = x.id))
    order by x.read_at;
    get diagnostics v_added = row_count;
    return private.import_answer(null, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
exception when unique_violation then
    raise exception using errcode = 'EB003', message = 'Another value was stored for one of these meters at the very same time.';
end $$;
comment on function public.import_readings is
    'Stores validated reads, unbilled; same meter, local date and values is left as it is: {actor, rows: [{id, meter_id, read_at, read_on, register_wh, registers?, status, validation, source?}]}.';

create function private.register_problems(p_rows jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_agg(jsonb_build_object('row', q."row", 'column', 'registers', 'message', q.problem) order by q."row")
    from (
        select x."row", case
            when u.period is not null then format(
                'Tariff %s has no period named %s: a register is export, kvah, kvarh, a maximum such as max_kw, or a period of the tariff.',
                x.tariff_code, u.period)
            when m.id is null and jsonb_array_length(x.unopened) > 0 then format(
                'Say what %1$s showed when the meter was connected, such as %1$s=0.', x.unopened ->> 0)
            when exists (select 1 from jsonb_each(x.opening_registers) o
                         where m.id is not null and r.registers -> o.key is distinct from o.value) then format(
                'Meter %s is connected already: give only the names of its registers. What a new one showed at the last billed read is imported as a reading of that day with the same total.',
                x.serial)
            end as problem
        from jsonb_to_recordset(p_rows) as x(
            "row" integer, serial text, tariff_code text, registers jsonb, opening_registers jsonb, unopened jsonb,
            periods jsonb)
        join public.tariffs t on t.code = x.tariff_code
        left join public.meters m on m.serial = x.serial
        left join public.readings r on r.meter_id = m.id and r.is_opening
        left join lateral (
            select n.period from jsonb_array_elements_text(x.periods) n(period)
            where not exists (
                select 1 from public.tariff_versions v
                cross join lateral jsonb_each(v.definition -> 'calendars') c
                cross join lateral jsonb_object_keys(c.value -> 'periods') k(name)
                where v.tariff_id = t.id
                  and (lower(k.name) = n.period or lower(k.name) in (
                      -- One register may count a period of every season: "peak" that of "summer_peak".
                      select lower(s.name) || '_' || n.period
                      from jsonb_object_keys(v.definition -> 'seasons') s(name))))
            limit 1) u on true
        where x.registers is not null) q
    where q.problem is not null
$$;

-- As before, and with the transformer ('' is none), registers and connected load: null leaves them as they are.
create or replace function public.import_meters(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', case
               when c.id is null then 'account_no'
               when t.id is null or coalesce(c.currency, t.currency) <> t.currency then 'tariff_code'
               when x.transformer_code <> '' and g.id is null then 'transformer_code'
               when m.id is null then 'opened_on'
               else 'serial' end, 'message', case
               when c.id is null then format('No customer has the account number %s.', x.account_no)
               when t.id is null then format('No tariff has the code %s.', x.tariff_code)
               when coalesce(c.currency, t.currency) <> t.currency then format(
                   'Tariff %s is in %s, account %s in %s.', x.tariff_code, t.currency, x.account_no, c.currency)
               when x.transformer_code <> '' and g.id is null then format(
                   'No transformer has the code %s.', x.transformer_code)
               when m.id is null then format(
                   'No version of tariff %s is in force on %s, where billing would begin.', x.tariff_code, x.opened_on)
               else format('Meter %s is already connected with other details.', x.serial) end) order by x."row")
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x(
        "row" integer, serial text, account_no text, tariff_code text, kind text, dials smallint,
        multiplier_milli integer, opened_on date, opening_wh bigint, transformer_code text)
    left join public.customers c on c.account_no = x.account_no
    left join public.tariffs t on t.code = x.tariff_code
    left join public.transformers g on g.code = x.transformer_code
    left join public.meters m on m.serial = x.serial
    left join public.readings r on r.meter_id = m.id and r.is_opening
    where c.id is null or t.id is null or coalesce(c.currency, t.currency) <> t.currency
       or (x.transformer_code <> '' and g.id is null)
       or (m.id is null and not exists (
               select 1 from public.tariff_versions v where v.tariff_id = t.id and v.effective_from <= x.opened_on))
       or (m.id is not null and (m.customer_id, m.tariff_id, m.kind, m.dials, m.multiplier_milli, m.opened_on, r.register_wh)
               is distinct from (c.id, t.id, x.kind, x.dials, x.multiplier_milli, x.opened_on, x.opening_wh));
    if v_errors is null then
        v_errors := private.register_problems(p -> 'rows');
    end if;
    if v_errors is null then
        select jsonb_agg(jsonb_build_object('row', y.last_row, 'column', 'tariff_code', 'message', format(
                   'Account %s would have tariffs in different currencies.', y.account_no)))
        into v_errors
        from (select x.account_no, max(x."row") as last_row
              from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, tariff_code text)
              join public.tariffs t on t.code = x.tariff_code
              group by x.account_no having count(distinct t.currency) > 1) y;
    end if;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        update public.customers c set currency = t.currency
        from jsonb_to_recordset(p -> 'rows') as x(account_no text, tariff_code text)
        join public.tariffs t on t.code = x.tariff_code
        where c.account_no = x.account_no and c.currency is null;
        update public.meters m
        set transformer_id = n.transformer_id, registers = n.registers, connected_w = n.connected_w,
            connected_va = n.connected_va
        from (select k.id, coalesce(x.registers, k.registers) as registers,
                     coalesce(x.connected_w, k.connected_w) as connected_w,
                     coalesce(x.connected_va, k.connected_va) as connected_va,
                     case when x.transformer_code is null then k.transformer_id else g.id end as transformer_id
              from jsonb_to_recordset(p -> 'rows') as x(
                  serial text, transformer_code text, registers jsonb, connected_w integer, connected_va integer)
              join public.meters k on k.serial = x.serial
              left join public.transformers g on g.code = x.transformer_code) n
        where m.id = n.id
          and (m.transformer_id, m.registers, m.connected_w, m.connected_va)
              is distinct from (n.transformer_id, n.registers, n.connected_w, n.connected_va);
        get diagnostics v_changed = row_count;
        with added as (
            insert into public.meters (id, serial, customer_id, tariff_id, kind, dials, multiplier_milli, opened_on,
                                       transformer_id, registers, connected_w, connected_va)
            select x.id, x.serial, c.id, t.id, x.kind, x.dials, x.multiplier_milli, x.opened_on, g.id,
                   coalesce(x.registers, '[]'), x.connected_w, x.connected_va
            from jsonb_to_recordset(p -> 'rows') as x(
                id uuid, serial text, account_no text, tariff_code text, kind text, dials smallint,
                multiplier_milli integer, opened_on date, transformer_code text, registers jsonb,
                connected_w integer, connected_va integer)
            join public.customers c on c.account_no = x.account_no
            join public.tariffs t on t.code = x.tariff_code
            left join public.transformers g on g.code = x.transformer_code
            on conflict do nothing
            returning id
        )
        insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, is_opening,
                                     submitted_by, registers)
        select x.opening_reading_id, x.id, x.opened_at, x.opened_on, x.opening_wh, 'imported', 'accepted', true,
               p ->> 'actor', coalesce(x.opening_registers, '{}')
        from added
        join jsonb_to_recordset(p -> 'rows') as x(
            id uuid, opening_reading_id uuid, opened_at timestamptz, opened_on date, opening_wh bigint,
            opening_registers jsonb) on x.id = added.id;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;
comment on function public.import_meters is
    'Connects meters with their opening read, or sets transformer, registers and connected load of known ones: {actor, dry_run, rows: [{row, id, opening_reading_id, serial, account_no, tariff_code, kind, dials, multiplier_milli, opening_wh, opened_on, opened_at, transformer_code?, registers?, opening_registers?, unopened?, periods?, connected_w?, connected_va?}]}.';

create function public.import_intervals(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', u."row", 'column', 'meter_serial', 'message',
               format('No meter has the serial %s.', u.meter_serial)) order by u."row")
    into v_errors
    from (select x.meter_serial, min(x."row") as "row"
          from jsonb_to_recordset(p -> 'rows') as x("row" integer, meter_serial text)
          where not exists (select 1 from public.meters m where m.serial = x.meter_serial)
          group by 1) u;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        -- Two imports of a day at once must not both add it.
        perform 1 from public.meters
        where serial in (select x ->> 'meter_serial' from jsonb_array_elements(p -> 'rows') x)
        order by id for no key update;
        with compared as materialized (
            select m.id as meter_id, x.day, x.minutes, x.wh, s.id as stored,
                   (s.minutes, s.wh) is distinct from (x.minutes, x.wh) as differs
            from jsonb_to_recordset(p -> 'rows') as x(meter_serial text, day date, minutes smallint, wh integer[])
            join public.meters m on m.serial = x.meter_serial
            left join lateral (
                select i.id, i.minutes, i.wh from public.intervals i
                where i.meter_id = m.id and i.day = x.day order by i.id desc limit 1) s on true
        ), kept as (
            insert into public.intervals (meter_id, day, minutes, wh, imported_by)
            select c.meter_id, c.day, c.minutes, c.wh, p ->> 'actor' from compared c where c.differs
        )
        select count(*) filter (where stored is null), count(*) filter (where stored is not null and differs)
        into v_added, v_changed from compared;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;
comment on function public.import_intervals is
    'Keeps days of interval series: {actor, dry_run, rows: [{row, meter_serial, day, minutes, wh: [...]}]}. A day that is there with other values gets a new version.';

alter table public.intervals enable row level security;
revoke all on public.intervals from public, anon, authenticated, service_role;
grant select, insert on public.intervals to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

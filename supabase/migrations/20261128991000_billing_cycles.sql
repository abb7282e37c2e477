-- Billing cycles: each agreement is billed on its own day of the month, or on that of its route.

create function private.cycle_end(p_on date, p_day smallint) returns date
language sql immutable set search_path = ''
as $$
    select date_trunc('month', (p_on - (p_day - 1))::timestamp)::date + (p_day - 1)
$$;
comment on function private.cycle_end is 'The last date on or before a date that has this day of the month (1 to 28): where the cycle that was billed last ends.';
revoke all on function private.cycle_end(date, smallint) from public, anon, authenticated;
grant execute on function private.cycle_end(date, smallint) to service_role;

-- The monthly job takes one cycle, in order of id; a day with few agreements is found at once.
create index service_agreements_of_cycle on public.service_agreements (billing_day, id);

create table public.billing_cycles (
    billing_day smallint primary key check (billing_day between 1 and 28),
    since timestamptz not null default now()
);
comment on table public.billing_cycles is 'The days of the month on which agreements are or were billed, and since when: no run of a day is due from before.';

create table public.reading_routes (
    id uuid primary key default gen_random_uuid(),
    route text not null unique check (route <> '' and route = btrim(route)),
    billing_day smallint not null check (billing_day between 1 and 28)
);
comment on table public.reading_routes is 'Reading routes that are billed on a day of their own: who is connected on one is billed on its day.';

alter table public.billing_cycles enable row level security;
alter table public.reading_routes enable row level security;
revoke all on public.billing_cycles, public.reading_routes from public, anon, authenticated, service_role;
grant select, insert on public.billing_cycles to service_role;
grant select, insert, update on public.reading_routes to service_role;

create trigger audit_insert after insert on public.reading_routes
referencing new table as new_rows for each statement execute function private.audit();
create trigger audit_update after update on public.reading_routes
referencing old table as old_rows new table as new_rows for each statement execute function private.audit();

insert into public.billing_cycles (billing_day, since)
select 1, '-infinity'::timestamptz
union
select distinct a.billing_day, '-infinity'::timestamptz from public.service_agreements a;

create function private.note_cycles() returns trigger
language plpgsql set search_path = ''
as $$
begin
    insert into public.billing_cycles (billing_day)
    select distinct n.billing_day from new_rows n
    where not exists (select 1 from public.billing_cycles c where c.billing_day = n.billing_day)
    on conflict do nothing;
    return null;
end $$;
comment on function private.note_cycles is 'Keeps which billing days are in use.';
revoke all on function private.note_cycles() from public, anon, authenticated;
grant execute on function private.note_cycles() to service_role;

create trigger cycles_insert after insert on public.service_agreements
referencing new table as new_rows for each statement execute function private.note_cycles();
create trigger cycles_update after update on public.service_agreements
referencing new table as new_rows for each statement execute function private.note_cycles();

create function private.cycles_in_use() returns jsonb
language sql stable set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object('billing_day', c.billing_day, 'since', nullif(c.since, '-infinity'))
                              order by c.billing_day), '[]')
    from public.billing_cycles c
    where exists (select 1 from public.service_agreements a where a.billing_day = c.billing_day)
$$;
comment on function private.cycles_in_use is 'The billing days that agreements have: [{billing_day, since: null where it always was}].';
revoke all on function private.cycles_in_use() from public, anon, authenticated;
grant execute on function private.cycles_in_use() to service_role;

create function private.day_of_route() returns trigger
language plpgsql set search_path = ''
as $$
begin
    new.billing_day := coalesce(
        (select r.billing_day from public.service_points s join public.reading_routes r on r.route = s.route
         where s.id = new.service_point_id), new.billing_day);
    return new;
end $$;
comment on function private.day_of_route is 'A new agreement on a route that has a billing day is billed on that day, unless it was given another than the 1st.';
revoke all on function private.day_of_route() from public, anon, authenticated;
grant execute on function private.day_of_route() to service_role;

create trigger day_of_route before insert on public.service_agreements
for each row when (new.billing_day = 1) execute function private.day_of_route();

create function private.move_to_day_of_route() returns trigger
language plpgsql set search_path = ''
as $$
begin
    update public.service_agreements a set billing_day = r.billing_day
    from new_rows n
    join old_rows o on o.id = n.id and o.route is distinct from n.route
    join public.reading_routes r on r.route = n.route
    where a.service_point_id = n.id and a.ends_on is null and a.billing_day <> r.billing_day;
    return null;
end $$;
comment on function private.move_to_day_of_route is 'A place that comes to a route with a billing day is billed on that day from then on.';
revoke all on function private.move_to_day_of_route() from public, anon, authenticated;
grant execute on function private.move_to_day_of_route() to service_role;

create trigger move_to_day_of_route after update on public.service_points
referencing old table as old_rows new table as new_rows for each statement execute function private.move_to_day_of_route();

create or replace function public.monthly_bill_candidates(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_which text := case when nullif(p -> 'only', 'null') is not null
        then $s$a.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$
        else $s$a.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
            || case when p ->> 'billing_day' is null then '' else $s$ and a.billing_day = ($1 ->> 'billing_day')::smallint$s$ end end;
    v_found jsonb;
begin
    -- Planned for each of the ways: one plan for all would read every agreement for each.
    execute format($q$
    with chosen as materialized (
        select a.id as agreement_id, a.service_point_id, a.billing_day, c.ends_on as cycle_end, o.id as opening_id, o.read_on as opened_on, o.read_at as opened_at,
               to_jsonb(o) as opening, to_jsonb(k) as closing, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on,
               k.meter_id as closing_meter_id, private.reissues(o.id) as reissue_no
        from public.service_agreements a
        cross join lateral (
            select x.ends_on, (x.ends_on - interval '1 month')::date as starts_on
            from (select private.cycle_end(($1 ->> 'on')::date, a.billing_day) as ends_on) x) c
        cross join lateral (
            select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.id = private.chain_tail(a.id)) o
        left join lateral (
            select r.* from public.meter_installations i
            cross join lateral (
                select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, x.registers, x.rolled_over from public.readings x
                where x.meter_id = i.meter_id and x.status = 'accepted'
                  and x.read_at > greatest(o.read_at, i.installed_at) and x.read_on > o.read_on
                  and x.read_at <= coalesce(i.removed_at, 'infinity')
                  and x.read_on <= least(c.ends_on, coalesce(a.ends_on, 'infinity'))
                order by x.read_at desc limit 1) r
            where i.service_point_id = a.service_point_id and (i.removed_at is null or i.removed_at > o.read_at)
            order by r.read_at desc limit 1) k on true
        where a.starts_on < c.ends_on
          and %s
          -- What is billed to its end needs no more.
          and (a.ends_on is null or o.read_on < a.ends_on)
          -- Most of a repeated run end here, before their closing read is looked for.
          and not exists (
              select 1 from public.bills b
              where b.agreement_id = a.id and b.status <> 'void'
                and b.period_end > c.starts_on + coalesce(($1 ->> 'cycle_end_days')::integer, 0)
                and b.period_end <= c.ends_on)
          -- A bill that ends at a read somewhat after the billing day is that of the cycle before.
          and (k.id is not null or not exists (
              select 1 from public.bills b
              where b.agreement_id = a.id and b.status <> 'void' and b.period_end > c.starts_on
                and b.period_end <= c.starts_on + coalesce(($1 ->> 'cycle_end_days')::integer, 0)))
          -- Billed beyond the cycle already (by a later field read): nothing of it is open.
          and o.read_on < c.ends_on
        order by a.id
        limit ($1 ->> 'limit')::integer
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
    )
    select jsonb_build_object('agreements', coalesce(jsonb_agg(
        to_jsonb(c) - array['opening_id', 'opened_on', 'opened_at', 'closing_id', 'closed_at', 'closed_on', 'service_point_id',
                            'closing_meter_id', 'exchanged', 'tariffs'] || jsonb_build_object(
            'spans', case when c.tariffs > 1 then private.spans_of(c.agreement_id) else '[]' end,
            'installations', case when c.exchanged
                then private.installations_between(c.service_point_id, c.opened_at, c.closed_at) else '[]' end,
            -- Within a month nothing is split; but a person may have said that a register rolled over.
            'between', case when c.exchanged or c.closed_on - c.opened_on > 31
                                 or private.rolled_over(c.service_point_id, c.opened_at, c.closed_at)
                then private.reads_between(c.service_point_id, c.opening_id, c.closed_at) else '[]' end,
            -- Most have nothing to ask for: the call would be the dearest part of their row.
            'pricing', case when c.closing_id is null or (
                    not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
                    and not exists (select 1 from public.intervals i where i.meter_id = c.meter_id)) then '{}'
                else private.pricing_facts(
                    c.agreement_id,
                    array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = c.service_point_id),
                    private.looks_back_along(c.agreement_id), c.opening_id, c.closed_at, c.closed_on) end)
        order by c.agreement_id), '[]'))
    from placed c join back b on b.id = c.tariff_id
    $q$, v_which) into v_found using p;
    return v_found;
end $_$;

comment on function public.monthly_bill_candidates is 'Agreements not billed yet for the cycle that last ended on or before a local date, each with the read it opens at and the latest accepted read it can close at, or null, and the meter of that: {on, billing_day?: of this cycle alone, cycle_end_days?, after?, limit, only?: [agreement ids]}. Where there is such a read, a bill that ends within cycle_end_days after the cycle''s start is of the one before.';

create or replace function public.unbilled_facts(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('agreements', coalesce(jsonb_agg(jsonb_build_object(
        'agreement_id', a.id, 'kept_back', to_jsonb(k),
        'next_on', (select min(r.read_on) from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
                    where i.service_point_id = a.service_point_id and r.status = 'accepted'
                      and r.read_on > private.cycle_end((p ->> 'on')::date, a.billing_day) and r.read_at > i.installed_at
                      and (i.removed_at is null or r.read_at <= i.removed_at)),
        'last_bill_id', (select b.id from public.bills b
                         where b.closing_reading_id = o.id and b.agreement_id = a.id and b.status = 'issued' limit 1))), '[]'))
    from public.service_agreements a
    join public.readings o on o.id = private.chain_tail(a.id)
    left join lateral (
        select r.id, r.read_on, r.register_wh, r.status
        from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
        where i.service_point_id = a.service_point_id and r.status in ('needs_review', 'rejected')
          and r.read_at > i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
          and r.read_at > o.read_at and r.read_on > o.read_on and r.read_on <= private.cycle_end((p ->> 'on')::date, a.billing_day)
        order by r.status, r.read_at desc limit 1) k on true
    where a.id in (select jsonb_array_elements_text(p -> 'agreements')::uuid)
$$;

comment on function public.unbilled_facts is 'What there is instead of a closing read: {agreements: [ids], on: local date of the run} -> {agreements: [{agreement_id, kept_back: a read that waits for review or was rejected, next_on: date of the first read after the cycle, last_bill_id}]}.';

create or replace function private.queue_late_reads() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_last_run date := private.last_month_run();
begin
    if v_last_run is null then
        return null;
    end if;
    insert into public.agreements_to_bill (agreement_id)
    select distinct a.id
    from new_rows r
    join public.meter_installations i on i.meter_id = r.meter_id and i.installed_at <= r.read_at
        and (i.removed_at is null or r.read_at <= i.removed_at)
    join public.service_agreements a on a.service_point_id = i.service_point_id and a.starts_on < r.read_on
        and (a.ends_on is null or r.read_on <= a.ends_on)
    where r.status = 'accepted' and not r.is_opening and r.read_on <= private.cycle_end(v_last_run, a.billing_day)
    order by a.id
    on conflict (agreement_id) do update set queued_at = clock_timestamp();
    return null;
end $$;

comment on function private.queue_late_reads is 'Queues the agreements whose read came, or was accepted, after the run of its cycle. Who writes a read has locked its service point.';

drop function private.queue_read_meanwhile(jsonb, date);
create function private.queue_read_meanwhile(p_set_aside jsonb, p_on date) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.agreements_to_bill (agreement_id)
    select s.agreement_id
    from jsonb_to_recordset(p_set_aside) as s(agreement_id uuid, opening_id uuid, closing_id uuid, again boolean)
    join public.service_agreements a on a.id = s.agreement_id
    left join lateral (
        select r.id from public.readings o
        cross join public.meter_installations i
        join public.readings r on r.meter_id = i.meter_id and r.read_at > i.installed_at
            and (i.removed_at is null or r.read_at <= i.removed_at)
        where o.id = s.opening_id and i.service_point_id = a.service_point_id
          and r.status = 'accepted' and r.read_on <= least(private.cycle_end(p_on, a.billing_day), coalesce(a.ends_on, 'infinity'))
          and r.read_at > o.read_at and r.read_on > o.read_on
        order by r.read_at desc limit 1) k on true
    where s.again or (k.id is not null and k.id is distinct from s.closing_id)
    order by s.agreement_id
    on conflict (agreement_id) do update set queued_at = clock_timestamp()
$$;
revoke all on function private.queue_read_meanwhile(jsonb, date) from public, anon, authenticated;
grant execute on function private.queue_read_meanwhile(jsonb, date) to service_role;

create or replace function private.note_progress(p jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_job text := p -> 'run' ->> 'job';
    v_on date := (p -> 'run' ->> 'scheduled_on')::date;
    v_gone integer;
    v_new integer;
begin
    -- By arrays: a plan that reads the whole table would be dear where a million wait.
    delete from public.agreements_to_bill q
    where q.agreement_id = any (array(select (x ->> 'agreement_id')::uuid
                                  from jsonb_array_elements(coalesce(p -> 'looked_at', '[]')) x))
      and exists (select 1 from jsonb_to_recordset(p -> 'looked_at') as x(agreement_id uuid, queued_at timestamptz)
                  where x.agreement_id = q.agreement_id and x.queued_at = q.queued_at);
    -- The run of another billing day may have set it aside: each has one run a month.
    with gone as (
        delete from public.job_set_aside a
        where a.job = v_job and a.scheduled_on > v_on - interval '1 month' and a.scheduled_on <= v_on
          and a.agreement_id = any (array(select x::uuid from jsonb_array_elements_text(coalesce(p -> 'settled', '[]')) x))
        returning a.scheduled_on
    ), of_others as (
        update public.job_runs r set failed_count = r.failed_count - g.number
        from (select scheduled_on, count(*) as number from gone where scheduled_on <> v_on group by 1) g
        where r.job = v_job and r.scheduled_on = g.scheduled_on
        returning 1
    ) select count(*) filter (where g.scheduled_on = v_on) into v_gone from gone g;
    with kept as (
        insert into public.job_set_aside (job, scheduled_on, subject, reason, code, ref, meter_id, agreement_id)
        select v_job, v_on, s.subject, s.reason, coalesce(s.code, 'other'), s.ref, s.meter_id, s.agreement_id
        from jsonb_to_recordset(coalesce(p -> 'set_aside', '[]')) as s(
            subject text, reason text, code text, ref uuid, meter_id uuid, agreement_id uuid)
        on conflict (job, scheduled_on, subject) do update
        set reason = excluded.reason, code = excluded.code, ref = excluded.ref, meter_id = excluded.meter_id,
            agreement_id = excluded.agreement_id, at = now()
        returning xmax = 0 as is_new
    ) select count(*) filter (where is_new) into v_new from kept;
    perform private.queue_read_meanwhile(coalesce(p -> 'set_aside', '[]'), v_on);
    -- Added to, for a run may set aside so many that no batch should count them.
    update public.job_runs r
    set done_count = r.done_count + coalesce((p ->> 'done')::integer, 0),
        failed_count = r.failed_count + v_new - v_gone
    where r.job = v_job and r.scheduled_on = v_on;
end $$;

create or replace function private.queue_for_late_tariff() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.agreements_to_bill (agreement_id)
    select distinct a.agreement_id from public.job_set_aside a
    join public.agreement_tariffs t on t.agreement_id = a.agreement_id
    where a.code = 'tariff_missing' and a.job = 'monthly_bills' and a.scheduled_on > private.last_month_run() - interval '1 month'
      and t.tariff_id in (select v.tariff_id from new_rows v)
    order by a.agreement_id
    on conflict (agreement_id) do update set queued_at = clock_timestamp();
    return null;
end $$;

create or replace function public.reading_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_meter public.meters;
    i public.meter_installations;
    s public.service_points;
    a public.service_agreements;
    v_replay uuid;
    v_tail uuid;
    v_at timestamptz := (p ->> 'read_at')::timestamptz;
    v_on date := (p ->> 'read_on')::date;
    v_last public.readings;
    v_tariff uuid;
begin
    select * into v_meter from public.meters where serial = p ->> 'meter_serial';
    if not found then
        perform private.refuse('EB404', format('No meter has the serial %s.', p ->> 'meter_serial'));
    end if;
    if p ? 'register_wh' then
        v_replay := private.find_replay(p, v_meter.id);
    end if;
    -- Where it was at that time; of a read from before or between, where it came to next.
    select * into i from public.meter_installations x
    where x.meter_id = v_meter.id
    order by x.installed_at <= v_at and (x.removed_at is null or v_at <= x.removed_at) desc, x.installed_at > v_at desc,
             abs(extract(epoch from x.installed_at - v_at)) limit 1;
    select * into s from public.service_points where id = i.service_point_id;
    select * into a from public.service_agreements x
    where x.service_point_id = s.id and x.starts_on <= v_on and (x.ends_on is null or v_on <= x.ends_on)
    order by x.starts_on desc limit 1;
    if not found then
        -- Before the first: what it would have been billed to.
        select * into a from public.service_agreements x
        where x.service_point_id = s.id and v_on < x.starts_on and i.installed_on = x.starts_on
        order by x.starts_on limit 1;
    end if;
    v_tail := coalesce(private.chain_tail(a.id), i.opening_reading_id);
    v_tariff := (select t.tariff_id from private.tariff_spans t
                 where t.agreement_id = a.id and t.starts_on <= v_on and v_on < t.ends_on);
    select * into v_last from public.readings
    where meter_id = v_meter.id and status = 'accepted' and read_at < v_at and read_at >= i.installed_at
    order by read_at desc limit 1;
    return jsonb_build_object(
        'meter', (select to_jsonb(l) - 'search' from public.meter_list l where l.id = v_meter.id)
            || jsonb_build_object(
                'multiplier_milli', i.multiplier_milli, 'opened_on', i.installed_on, 'removed_on', i.removed_on,
                'address', coalesce(nullif(s.address, ''), (select c.address from public.customers c where c.id = a.customer_id)),
                'connected_w', s.connected_w, 'connected_va', s.connected_va, 'service_point_id', s.id,
                'service_point_code', s.code, 'agreement_id', a.id)
            || (select jsonb_build_object('customer_id', c.id, 'account_no', c.account_no, 'customer_name', c.name,
                                          'tariff_id', t.id, 'tariff_code', t.code, 'tariff_name', t.name, 'currency', t.currency)
                from (select 1) one
                left join public.customers c on c.id = a.customer_id
                left join public.tariffs t on t.id = v_tariff),
        'tariffs', private.versions_of(a.id),
        'spans', private.spans_of(a.id),
        'ends_on', a.ends_on,
        'billing_day', coalesce(a.billing_day, 1),
        'opening', private.reading_json(v_tail),
        'reissue_no', private.reissues(v_tail),
        'installations', private.installations_between(
            s.id, (select o.read_at from public.readings o where o.id = v_tail), v_at),
        'last_read', private.reading_json(v_last.id),
        'next_read', (select private.reading_json(r.id) from public.readings r
                      where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_at > v_at
                        and (i.removed_at is null or r.read_at <= i.removed_at)
                      order by r.read_at limit 1),
        'history', (select coalesce(jsonb_agg(jsonb_build_object(
                               'register_wh', h.register_wh, 'read_on', h.read_on, 'registers', h.registers)
                               order by h.read_at), '[]')
                    from public.readings h
                    where h.meter_id = v_meter.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                      and h.read_at >= i.installed_at and h.read_at > v_last.read_at - interval '400 days'),
        'class_use', case when v_tariff is not null and not exists (
                              select 1 from public.readings h
                              where h.meter_id = v_meter.id and h.status = 'accepted' and h.read_at <= v_last.read_at
                                and h.read_at >= i.installed_at
                                and h.read_at > v_last.read_at - interval '400 days' and h.read_on <> v_last.read_on)
                          then private.class_use(v_tariff) end,
        'same_day', exists (select 1 from public.readings r
                            where r.meter_id = v_meter.id and r.status = 'accepted' and r.read_on = v_on),
        'replay', case when v_replay is not null then private.reading_answer(v_replay, 'replay') end,
        'between', private.reads_between(s.id, v_tail, v_at),
        'pricing', private.pricing_facts(
            a.id, array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = s.id),
            private.looks_back_along(a.id), v_tail, v_at, v_on));
end $$;

create or replace function public.rebill_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    m public.meter_list;
    a public.service_agreements;
    v_since date;
    v_versions uuid[];
begin
    select * into a from public.service_agreements
    where id = coalesce((select b.agreement_id from public.bills b where b.id = (p ->> 'bill_id')::uuid), (p ->> 'agreement_id')::uuid);
    if not found then
        perform private.refuse('EB404', case when p ? 'bill_id' then 'No such bill.' else 'No such agreement.' end);
    end if;
    -- The meter of the bill; else the last that the agreement had.
    select * into m from public.meter_list
    where id = coalesce(
        (select b.meter_id from public.bills b where b.id = (p ->> 'bill_id')::uuid),
        (select i.meter_id from public.meter_installations i
         where i.service_point_id = a.service_point_id and i.installed_on < coalesce(a.ends_on, 'infinity')
         order by i.installed_at desc limit 1));
    v_versions := case when p ->> 'version_id' is not null then array[(p ->> 'version_id')::uuid]
        else (select coalesce(array_agg(n.replaces_id), '{}')
              from public.bills b
              join public.tariff_versions u on u.id = b.tariff_version_id
              join public.tariff_versions n on n.tariff_id = u.tariff_id and n.replaces_id is not null
              where b.agreement_id = a.id and b.status <> 'void') end;
    v_since := coalesce(
        (select coalesce(prior.period_start, b.period_start)
         from public.bills b
         left join public.bills prior on prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
         where b.id = (p ->> 'bill_id')::uuid),
        (select min(b.period_start) from public.bills b
         where b.agreement_id = a.id and b.status <> 'void' and private.is_priced_by(b, v_versions)),
        (select coalesce((select b.period_start from public.bills b
                          where b.agreement_id = a.id and b.status <> 'void' and b.period_end > (p ->> 'since')::date
                          order by b.period_end limit 1),
                         (select r.read_on from public.readings r where r.id = private.chain_tail(a.id)))
         where p ->> 'since' is not null),
        'infinity');
    return jsonb_build_object(
        'meter', to_jsonb(m) - 'search',
        'agreement_id', a.id, 'tail_id', private.chain_tail(a.id),
        'tail_reissues', private.reissues(private.chain_tail(a.id)),
        'reissues', (select coalesce(jsonb_object_agg(v.opening_reading_id, v.number), '{}')
                     from (select b.opening_reading_id, count(*) as number from public.bills b
                           where b.agreement_id = a.id and b.status = 'void' and b.period_start >= v_since group by 1) v),
        'starts_on', a.starts_on, 'ends_on', a.ends_on, 'billing_day', a.billing_day, 'spans', private.spans_of(a.id),
        'installations', private.installations_between(a.service_point_id, '-infinity', 'infinity'),
        'balance_minor', coalesce((select x.balance_minor from public.accounts x
                                   where x.customer_id = a.customer_id and x.book = 'account'
                                     and x.currency = (select c.currency from public.customers c where c.id = a.customer_id)), 0),
        'bills', (select coalesce(jsonb_agg(to_jsonb(l) - 'search' || jsonb_build_object(
                             'reissues', private.reissues(b.opening_reading_id), 'tariff_id', v.tariff_id,
                             'priced_wrongly', private.is_priced_by(b, v_versions)) order by b.period_start), '[]')
                  from public.bills b
                  join public.bill_list l on l.id = b.id
                  join public.tariff_versions v on v.id = b.tariff_version_id
                  where b.agreement_id = a.id and b.status <> 'void'),
        'reads', (select coalesce(jsonb_agg(to_jsonb(r) order by r.read_at), '[]') from public.reading_list r
                  where r.status = 'accepted' and r.read_on >= v_since and r.id in (
                      select x.id from public.meter_installations i join public.readings x on x.meter_id = i.meter_id
                      where i.service_point_id = a.service_point_id and x.read_at >= i.installed_at
                        and (i.removed_at is null or x.read_at <= i.removed_at))),
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(t) order by t.code, t.effective_from), '[]') from public.tariff_version_list t
                    where t.tariff_id in (select y.tariff_id from public.agreement_tariffs y where y.agreement_id = a.id) or t.code = p ->> 'tariff_code' or t.tariff_id in (
                        select v.tariff_id from public.bills b join public.tariff_versions v on v.id = b.tariff_version_id
                        where b.agreement_id = a.id and b.status <> 'void')),
        'intervals', (select coalesce(jsonb_agg(to_jsonb(i) order by i.day), '[]')
                      from (select distinct on (d.day, d.meter_id) d.day, d.minutes, d.wh from public.intervals d
                            where d.day >= v_since and d.meter_id in (
                                select i.meter_id from public.meter_installations i where i.service_point_id = a.service_point_id)
                            order by d.day, d.meter_id, d.id desc) i));
end $$;

create or replace function public.job_history(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'late_reads', exists (select 1 from public.agreements_to_bill),
        'cycles', private.cycles_in_use(),
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

comment on function public.job_history is 'What the scheduler''s tick compares with what is due: {since?: {job: date}} -> {late_reads, cycles: billing days in use, installed_at, last_runs by job, runs since those dates and all that did not end well}. "over": nobody tries it again by itself, if the clock was right.';

create or replace function public.connect_supply(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_point uuid := md5('service_point/' || (p #>> '{meter,id}'))::uuid;
    v_answer jsonb;
begin
    perform private.set_actor(p);
    if exists (select 1 from public.supply_changes where id = v_id) then
        return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
    end if;
    if p ->> 'customer' is not null then
        perform private.add_customer(p);
    end if;
    v_answer := public.import_meters(jsonb_build_object(
        'actor', p -> 'actor', 'dry_run', false, 'rows', jsonb_build_array(p -> 'meter')));
    if coalesce(v_answer -> 'errors', 'null') not in ('null', '[]') then
        perform private.refuse('EB005', v_answer #>> '{errors,0,message}');
    elsif (v_answer ->> 'added')::integer <> 1 then
        perform private.refuse('EB005', 'There is a meter with this serial already.');
    end if;
    update public.service_points
    set code = coalesce(nullif(p #>> '{point,code}', ''), code), address = coalesce(p #>> '{point,address}', address),
        access_note = coalesce(p #>> '{point,access_note}', ''), route = coalesce(p #>> '{point,route}', '')
    where id = v_point;
    -- Without a day of its own it has that of its route.
    if p ->> 'billing_day' is not null then
        update public.service_agreements set billing_day = (p ->> 'billing_day')::smallint where service_point_id = v_point;
    end if;
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, created_by)
    select v_id, 'connect', v_point, a.id, a.starts_on, p ->> 'reason', coalesce(p -> 'details', '{}'), p ->> 'actor'
    from public.service_agreements a where a.service_point_id = v_point;
    return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
exception when unique_violation then
    raise exception using errcode = 'EB005', message = 'There is a service point with this code already.';
end $$;

comment on function private.last_month_run is 'The date of the latest run of the monthly bills, under way or over: it bills each cycle that ended by then.';

create function public.billing_cycles_page(p jsonb) returns jsonb
language sql stable set search_path = ''
as $$
    select jsonb_build_object(
        'cycles', (select coalesce(jsonb_agg(jsonb_build_object(
                       'billing_day', c -> 'billing_day', 'since', c -> 'since',
                       'agreements', (select count(*) from public.service_agreements a
                                      where a.billing_day = (c ->> 'billing_day')::smallint and a.ends_on is null))
                       order by (c ->> 'billing_day')::integer), '[]')
                   from jsonb_array_elements(private.cycles_in_use()) c),
        'routes', (select coalesce(jsonb_agg(jsonb_build_object(
                       'route', s.route, 'places', s.places, 'billing_day', r.billing_day) order by s.route), '[]')
                   from (select x.route, count(*) as places from public.service_points x where x.route <> '' group by 1) s
                   left join public.reading_routes r on r.route = s.route))
$$;
comment on function public.billing_cycles_page is 'The billing days in use and the reading routes: {} -> {cycles: [{billing_day, since, agreements: those that last}], routes: [{route, places, billing_day: null without one of its own}]}.';

create function public.set_billing_day(p jsonb) returns jsonb
language plpgsql set search_path = ''
as $$
declare
    v_day smallint := (p ->> 'billing_day')::smallint;
    v_moved bigint;
begin
    perform private.set_actor(p);
    if v_day is null or v_day not between 1 and 28 then
        perform private.refuse('EB400', 'A billing day is from 1 to 28, so that each month has it.');
    end if;
    if p ->> 'agreement_id' is not null then
        update public.service_agreements set billing_day = v_day
        where id = (p ->> 'agreement_id')::uuid and ends_on is null and billing_day <> v_day;
        get diagnostics v_moved = row_count;
        if not exists (select 1 from public.service_agreements where id = (p ->> 'agreement_id')::uuid) then
            perform private.refuse('EB404', 'There is no such agreement.');
        elsif v_moved = 0 and not exists (select 1 from public.service_agreements
                                          where id = (p ->> 'agreement_id')::uuid and ends_on is null) then
            perform private.refuse('EB005', 'This agreement has ended: it is not billed on any day.');
        end if;
        return jsonb_build_object('agreements', v_moved);
    end if;
    if not exists (select 1 from public.service_points where route = p ->> 'route' and route <> '') then
        perform private.refuse('EB404', format('No place of supply is on route %s.', p ->> 'route'));
    end if;
    insert into public.reading_routes (route, billing_day) values (p ->> 'route', v_day)
    on conflict (route) do update set billing_day = excluded.billing_day;
    update public.service_agreements a set billing_day = v_day
    from public.service_points s
    where s.route = p ->> 'route' and s.route <> '' and a.service_point_id = s.id and a.ends_on is null and a.billing_day <> v_day;
    get diagnostics v_moved = row_count;
    return jsonb_build_object('agreements', v_moved);
end $$;
comment on function public.set_billing_day is 'Bills an agreement, or all of a route and who comes to it later, on another day of the month: {actor, billing_day, agreement_id | route} -> {agreements: how many were moved}. A repeat moves none.';

revoke all on function public.billing_cycles_page(jsonb), public.set_billing_day(jsonb) from public, anon, authenticated;
grant execute on function public.billing_cycles_page(jsonb), public.set_billing_day(jsonb) to service_role;

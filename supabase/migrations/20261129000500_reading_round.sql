-- The round of whoever reads meters: what is due on a route, what is to be read again, and what could not be read.

create table public.reading_requests (
    id uuid primary key,
    meter_id uuid not null references public.meters (id),
    reason text not null check (reason = btrim(reason) and reason <> '' and length(reason) <= 500),
    about_reading_id uuid references public.readings (id),
    requested_on date not null,
    requested_by text not null check (requested_by <> ''),
    created_at timestamptz not null default now(),
    done_at timestamptz,
    done_reading_id uuid references public.readings (id),
    check (done_reading_id is null or done_at is not null)
);
comment on table public.reading_requests is 'Meters that the office asked to have read again. At most one is open for a meter; the next read of it closes it.';
comment on column public.reading_requests.about_reading_id is 'The reading that was doubted, where there is one.';
comment on column public.reading_requests.requested_on is 'Local date.';
comment on column public.reading_requests.done_reading_id is 'The reading that answered it; null while it is open, and where it was withdrawn.';
create unique index reading_requests_one_open on public.reading_requests (meter_id) where done_at is null;
create index reading_requests_of_meter on public.reading_requests (meter_id, created_at desc);
create index reading_requests_about on public.reading_requests (about_reading_id) where about_reading_id is not null;
create index reading_requests_done on public.reading_requests (done_reading_id) where done_reading_id is not null;
alter table public.reading_requests enable row level security;
revoke all on public.reading_requests from public, anon, authenticated, service_role;
grant select, insert, update on public.reading_requests to service_role;
select private.audit_table('public.reading_requests'), private.keep_rows('public.reading_requests');

create table public.missed_reads (
    id uuid primary key,
    service_point_id uuid not null references public.service_points (id),
    meter_id uuid not null references public.meters (id),
    missed_at timestamptz not null,
    missed_on date not null,
    reason text not null check (reason in ('no_access', 'dog', 'damaged', 'not_found', 'locked', 'other')),
    note text not null default '' check (note = btrim(note) and length(note) <= 500),
    submitted_by text not null check (submitted_by <> ''),
    created_at timestamptz not null default now(),
    check (reason <> 'other' or note <> '')
);
comment on table public.missed_reads is 'Visits at which a meter could not be read, and why.';
comment on column public.missed_reads.missed_on is 'Local date of the visit.';
create index missed_reads_of_point on public.missed_reads (service_point_id, missed_on);
create index missed_reads_of_meter on public.missed_reads (meter_id, missed_on);
alter table public.missed_reads enable row level security;
revoke all on public.missed_reads from public, anon, authenticated, service_role;
grant select, insert on public.missed_reads to service_role;
select private.audit_table('public.missed_reads'), private.never_changed('public.missed_reads');

create function private.answer_reading_requests() returns trigger
language plpgsql set search_path = '' as $$
begin
    update public.reading_requests q set done_at = now(), done_reading_id = n.id
    from (select distinct on (r.meter_id) r.* from new_rows r
          where r.source <> 'estimated' and r.status in ('accepted', 'needs_review') and not r.is_opening
            and exists (select 1 from public.reading_requests o where o.meter_id = r.meter_id and o.done_at is null)
          order by r.meter_id, r.read_at desc) n
    where q.meter_id = n.meter_id and q.done_at is null
      -- A file may know the day alone.
      and (n.read_at > q.created_at or (n.source = 'imported' and n.read_on >= q.requested_on));
    return null;
end $$;
comment on function private.answer_reading_requests() is 'The next read of a meter answers what was asked of it, whether it is accepted or waits for a review.';

create function private.answer_reading_request_again() returns trigger
language plpgsql set search_path = '' as $$
begin
    -- A key that is kept alone names no other actor.
    perform private.set_actor(jsonb_build_object('actor', new.caller));
    update public.reading_requests q set done_at = now(), done_reading_id = r.id
    from public.readings r
    where r.id = new.reading_id and q.meter_id = r.meter_id and q.done_at is null
      and r.created_at < q.created_at and new.created_at > q.created_at;
    return null;
end $$;
comment on function private.answer_reading_request_again() is 'Whoever reads the same value again on the same day adds no reading, and answers the request all the same.';
revoke all on function private.answer_reading_requests(), private.answer_reading_request_again() from public, anon, authenticated;
grant execute on function private.answer_reading_requests(), private.answer_reading_request_again() to service_role;

create trigger answer_requests after insert on public.readings
    referencing new table as new_rows for each statement execute function private.answer_reading_requests();
create trigger answer_request_again after insert on public.idempotency_keys
    for each row execute function private.answer_reading_request_again();

create function public.request_reading(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_meter uuid := (select m.id from public.meters m where m.id = (p ->> 'meter_id')::uuid);
begin
    perform private.set_actor(p);
    if v_meter is null then
        perform private.refuse('EB404', 'No such meter.');
    elsif not exists (select 1 from public.meter_installations i where i.meter_id = v_meter and i.removed_at is null) then
        perform private.refuse('EB005', 'This meter is not installed anywhere: it cannot be read.');
    end if;
    insert into public.reading_requests (id, meter_id, reason, about_reading_id, requested_on, requested_by)
    values ((p ->> 'id')::uuid, v_meter, p ->> 'reason', (p ->> 'about_reading_id')::uuid, (p ->> 'requested_on')::date, p ->> 'actor')
    on conflict do nothing;
    return (select to_jsonb(q) from public.reading_requests q
            where q.id = (p ->> 'id')::uuid or (q.meter_id = v_meter and q.done_at is null)
            order by q.id = (p ->> 'id')::uuid desc limit 1);
end $$;
comment on function public.request_reading is 'Asks for a meter to be read again: {actor, id, meter_id, reason, about_reading_id?, requested_on} -> the request, or the one that is open for this meter already.';

create function public.withdraw_reading_request(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.reading_requests q set done_at = now() where q.id = (p ->> 'id')::uuid and q.done_at is null;
    if not exists (select 1 from public.reading_requests where id = (p ->> 'id')::uuid) then
        perform private.refuse('EB404', 'No such request.');
    end if;
    return (select to_jsonb(q) from public.reading_requests q where q.id = (p ->> 'id')::uuid);
end $$;
comment on function public.withdraw_reading_request is 'Closes a request that is still open, without a reading: {actor, id} -> the request as it is now.';

create function public.miss_reading(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    i public.meter_installations;
    m public.missed_reads;
begin
    perform private.set_actor(p);
    select x.* into i from public.meters t join public.meter_installations x on x.meter_id = t.id
    where t.serial = p ->> 'meter_serial' and x.installed_at <= (p ->> 'missed_at')::timestamptz
    order by x.installed_at desc limit 1;
    if not found then
        perform private.refuse('EB404', format('No meter with the serial %s is installed.', p ->> 'meter_serial'));
    end if;
    insert into public.missed_reads (id, service_point_id, meter_id, missed_at, missed_on, reason, note, submitted_by)
    values (v_id, i.service_point_id, i.meter_id, (p ->> 'missed_at')::timestamptz, (p ->> 'missed_on')::date,
            p ->> 'reason', coalesce(p ->> 'note', ''), p ->> 'actor')
    on conflict (id) do nothing;
    select * into m from public.missed_reads where id = v_id;
    if (m.meter_id, m.missed_at, m.reason, m.note, m.submitted_by)
        is distinct from (i.meter_id, (p ->> 'missed_at')::timestamptz, p ->> 'reason', coalesce(p ->> 'note', ''), p ->> 'actor') then
        perform private.refuse('EB002', 'This id was used for another visit.');
    end if;
    return to_jsonb(m);
end $$;
comment on function public.miss_reading is 'Keeps that a meter could not be read: {actor, id, meter_serial, missed_at, missed_on, reason, note?} -> the visit. A repeat is answered with the first; another visit under its id is refused.';

drop index public.service_points_route;
create index service_points_route on public.service_points (route, (coalesce(sequence, 2147483647)), code);

create function private.round_places(p_route text, p_read_before date, p_today date)
returns table (service_point_id uuid, meter_id uuid, "position" integer, code text, was_read boolean, is_asked boolean, is_missed boolean)
language sql stable set search_path = '' as $$
    select s.id, i.meter_id, coalesce(s.sequence, 2147483647), s.code,
           exists (select 1 from public.readings r
                   where r.meter_id = i.meter_id and r.read_on > p_read_before and r.read_at >= i.installed_at
                     and r.status in ('accepted', 'needs_review') and r.source <> 'estimated'),
           exists (select 1 from public.reading_requests q where q.meter_id = i.meter_id and q.done_at is null),
           exists (select 1 from public.missed_reads x where x.service_point_id = s.id and x.missed_on = p_today)
    from public.service_points s
    join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
    join public.meters m on m.id = i.meter_id and m.kind = 'manual'
    where s.route = p_route
$$;
comment on function private.round_places(text, date, date) is 'The places of a route whose meter people read, and whether it was read after a day, is to be read again, or was missed today.';

create function public.reading_rounds(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    -- One step of an index for each route, however many places there are.
    with recursive routes as (
        (select s.route from public.service_points s
         where p ->> 'after' is null or s.route > p ->> 'after'
         order by s.route limit 1)
        union all
        select (select s.route from public.service_points s where s.route > r.route order by s.route limit 1)
        from routes r where r.route is not null
    ), chosen as (
        select r.route from routes r where r.route is not null limit (p ->> 'limit')::integer
    )
    select jsonb_build_object('rounds', coalesce(jsonb_agg(jsonb_build_object(
               'route', c.route, 'meters', n.meters, 'still', n.still, 'asked', n.asked, 'missed', n.missed) order by c.route), '[]'))
    from chosen c
    cross join lateral (
        select count(*) as meters,
               count(*) filter (where (x.is_asked or not x.was_read) and not x.is_missed) as still,
               count(*) filter (where x.is_asked) as asked,
               count(*) filter (where (x.is_asked or not x.was_read) and x.is_missed) as missed
        from (select y.* from private.round_places(c.route, (p ->> 'read_before')::date, (p ->> 'today')::date) y
              limit (p ->> 'counted_to')::integer) x) n
$$;
comment on function public.reading_rounds is 'Routes by name with how many meters they have, are still to read, are asked for again, and could not be read today: {after?: a route, limit, read_before, today, counted_to: meters of a route} -> {rounds}. The route of places that are on none is empty.';

create function public.round_meters(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with page as materialized (
        select s.id, i.meter_id, i.installed_at, i.multiplier_milli, coalesce(s.sequence, 2147483647) as "position", s.code
        from public.service_points s
        join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
        join public.meters m on m.id = i.meter_id and m.kind = 'manual'
        where s.route = p ->> 'route'
          and (p ->> 'after' is null
               or (coalesce(s.sequence, 2147483647), s.code) > ((p #>> '{after,0}')::integer, p #>> '{after,1}'))
        order by coalesce(s.sequence, 2147483647), s.code
        limit (p ->> 'limit')::integer
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'service_point_id', s.id, 'code', s.code, 'sequence', s.sequence, 'access_note', s.access_note,
        'address', coalesce(nullif(s.address, ''), c.address, ''), 'customer_name', c.name,
        'meter_id', m.id, 'serial', m.serial, 'dials', m.dials, 'registers', m.registers,
        'multiplier_milli', g.multiplier_milli, 'connected_w', s.connected_w, 'connected_va', s.connected_va,
        'tariff_id', t.tariff_id, 'last_read', l.last_read, 'history', coalesce(h.history, '[]'),
        'class_use', case when l.days > 1 then null else private.class_use(t.tariff_id) end,
        'request', (select to_jsonb(q) from public.reading_requests q where q.meter_id = m.id and q.done_at is null),
        'missed', (select to_jsonb(x) from public.missed_reads x
                   where x.service_point_id = s.id and x.missed_on = (p ->> 'today')::date
                   order by x.missed_at desc limit 1),
        'was_read_on', w.read_on, 'waits', coalesce(w.waits, false)) order by g."position", g.code), '[]'))
    from page g
    join public.service_points s on s.id = g.id
    join public.meters m on m.id = g.meter_id
    left join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null
    left join public.customers c on c.id = a.customer_id
    left join private.tariff_spans t on t.agreement_id = a.id and t.starts_on <= (p ->> 'today')::date and (p ->> 'today')::date < t.ends_on
    left join lateral (
        select jsonb_build_object('register_wh', r.register_wh, 'read_on', r.read_on, 'registers', r.registers) as last_read, r.read_at,
               (select count(distinct d.read_on) from public.readings d
                where d.meter_id = m.id and d.status = 'accepted' and d.read_at >= g.installed_at
                  and d.read_at <= r.read_at and d.read_at > r.read_at - interval '400 days') as days
        from public.readings r
        where r.meter_id = m.id and r.status = 'accepted' and r.read_at >= g.installed_at
        order by r.read_at desc limit 1) l on true
    left join lateral (
        select jsonb_agg(jsonb_build_object('register_wh', r.register_wh, 'read_on', r.read_on, 'registers', r.registers) order by r.read_at) as history
        from public.readings r
        where r.meter_id = m.id and r.status = 'accepted' and r.read_at >= g.installed_at
          and r.read_at <= l.read_at and r.read_at > l.read_at - interval '400 days') h on true
    left join lateral (
        select r.read_on, r.status = 'needs_review' as waits from public.readings r
        where r.meter_id = m.id and r.read_on > (p ->> 'read_before')::date and r.read_at >= g.installed_at
          and r.status in ('accepted', 'needs_review') and r.source <> 'estimated'
        order by r.read_on desc, r.read_at desc limit 1) w on true
$$;
comment on function public.round_meters is 'A page of a route''s meters in the order in which they are read: {route, after?: [sequence, code], limit, read_before, today} -> {meters}. With each what a reading of it is judged by, why it is to be read again, whether it was missed today, and the last read after the day read_before.';

revoke all on function public.request_reading(jsonb), public.withdraw_reading_request(jsonb), public.miss_reading(jsonb),
    private.round_places(text, date, date), public.reading_rounds(jsonb), public.round_meters(jsonb) from public, anon, authenticated;
grant execute on function public.request_reading(jsonb), public.withdraw_reading_request(jsonb), public.miss_reading(jsonb),
    private.round_places(text, date, date), public.reading_rounds(jsonb), public.round_meters(jsonb) to service_role;

create or replace function private.rows_about(p_of text, p_id uuid) RETURNS TABLE(table_name text, row_id text)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select p_of || 's', p_id::text where p_of in ('bill', 'payment', 'tariff')
    union
    -- A meter's own changes name it; who was supplied by it, and on which tariff, is said of its places.
    select 'service_agreements', a.id::text
    from public.meter_installations i
    join public.service_agreements a on a.service_point_id = i.service_point_id
        and a.starts_on <= coalesce(i.removed_on, 'infinity') and coalesce(a.ends_on, 'infinity') >= i.installed_on
    where p_of = 'meter' and i.meter_id = p_id
    union
    select 'agreement_tariffs', t.id::text
    from public.meter_installations i
    join public.service_agreements a on a.service_point_id = i.service_point_id
        and a.starts_on <= coalesce(i.removed_on, 'infinity') and coalesce(a.ends_on, 'infinity') >= i.installed_on
    join public.agreement_tariffs t on t.agreement_id = a.id
    where p_of = 'meter' and i.meter_id = p_id
    union
    -- Of a place everything that was agreed on there, and the bills of it; readings are said of its meters.
    select 'service_points', p_id::text where p_of = 'service_point'
    union
    select 'service_agreements', a.id::text from public.service_agreements a where p_of = 'service_point' and a.service_point_id = p_id
    union
    select 'agreement_tariffs', t.id::text
    from public.service_agreements a join public.agreement_tariffs t on t.agreement_id = a.id
    where p_of = 'service_point' and a.service_point_id = p_id
    union
    select 'meter_installations', i.id::text from public.meter_installations i where p_of = 'service_point' and i.service_point_id = p_id
    union
    select 'missed_reads', x.id::text from public.missed_reads x where p_of = 'service_point' and x.service_point_id = p_id
    union
    select 'bills', b.id::text
    from public.service_agreements a join public.bills b on b.agreement_id = a.id
    where p_of = 'service_point' and a.service_point_id = p_id
    union
    select 'service_points', i.service_point_id::text from public.meter_installations i where p_of = 'meter' and i.meter_id = p_id
    union
    select 'readings', r.id::text
    from public.bills b
    cross join lateral (
        select unnest(array[b.opening_reading_id, b.closing_reading_id])
        union
        select unnest(array[x ->> 'opening_reading_id', x ->> 'closing_reading_id'])::uuid from jsonb_array_elements(b.segments) x) r (id)
    where p_of = 'bill' and b.id = p_id
    union
    select 'payments', y.id::text from public.payments y where p_of = 'bill' and y.bill_id = p_id
    union
    select 'payments', c.payment_id::text
    from public.ledger_entries d
    join public.allocations a on a.debit_entry_id = d.id
    join public.ledger_entries c on c.id = a.credit_entry_id
    where p_of = 'bill' and d.bill_id = p_id and d.kind = 'bill' and c.payment_id is not null
    union
    select 'spared_bills', s.id::text from public.spared_bills s where p_of = 'bill' and s.bill_id = p_id
    union
    select 'payment_links', k.id from public.payment_links k where p_of = 'bill' and k.bill_id = p_id
    union
    select 'outbox', o.id::text from public.outbox o where p_of = 'bill' and o.bill_id = p_id
    union
    select 'instalment_plans', i.plan_id::text from public.plan_bills i where p_of = 'bill' and i.bill_id = p_id
    union
    select 'payment_returns', x.id::text from public.payment_returns x where p_of = 'payment' and x.payment_id = p_id
    union
    select 'tariff_versions', v.id::text from public.tariff_versions v where p_of = 'tariff' and v.tariff_id = p_id
$$;

create or replace function private.archived_tables() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    -- Not here: sign-ins, keys and addresses that are secrets, work owed to the outside, and documents, which are files.
    select array['customers', 'customer_notes', 'tariffs', 'tariff_versions', 'feeders', 'transformers', 'supplies',
                 'service_points', 'meters', 'meter_installations', 'service_agreements', 'agreement_tariffs', 'billing_cycles',
                 'reading_routes', 'supply_changes', 'disconnections', 'readings', 'reading_requests', 'missed_reads', 'intervals', 'bills', 'notifications', 'accounts', 'ledger_entries',
                 'open_items', 'allocations', 'payments', 'payment_returns', 'payment_flags', 'past_payments', 'bank_lines',
                 'instalment_plans', 'plan_bills', 'instalments', 'spared_bills', 'corrections', 'corrected_bills', 'month_closings',
                 'utility_settings', 'audit_log']
$$;

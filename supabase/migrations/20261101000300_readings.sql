-- Meter readings: never overwritten, one live reading per meter and instant.

create table public.readings (
    id uuid primary key,
    meter_id uuid not null references public.meters,
    read_at timestamptz not null,
    read_on date not null,
    register_wh bigint not null check (register_wh >= 0),
    source text not null check (source in ('field', 'smart', 'customer', 'estimated', 'imported')),
    status text not null check (status in ('accepted', 'needs_review', 'rejected', 'superseded')),
    is_opening boolean not null default false,
    submitted_by text not null check (submitted_by <> ''),
    validation jsonb not null default '{}',
    supersedes_id uuid references public.readings,
    decided_by text,
    decided_at timestamptz,
    decision_reason text,
    created_at timestamptz not null default now(),
    check (not is_opening or status = 'accepted')
);
comment on table public.readings is 'The reads of each meter''s register. A correction is a new row that supersedes the old one.';
comment on column public.readings.read_on is 'Local date of the read in the utility''s zone, as it was when the read was taken.';
comment on column public.readings.register_wh is 'The register''s value in Wh, before the multiplier.';
comment on column public.readings.is_opening is 'The read at which the meter was connected: the first bill opens here.';
comment on column public.readings.validation is 'Outcome of each rule, and what AI thought, as they were when the read came in.';

create unique index readings_one_live on public.readings (meter_id, read_at)
    where status in ('accepted', 'needs_review');
create unique index readings_one_opening on public.readings (meter_id) where is_opening;
create index readings_accepted on public.readings (meter_id, read_at desc) where status = 'accepted';
create index readings_by_day on public.readings (meter_id, read_on);
create index readings_flagged on public.readings (created_at) where status = 'needs_review';
create index readings_by_submitter on public.readings (submitted_by, created_at desc);

create table public.idempotency_keys (
    caller text not null,
    key text not null,
    body_hash text not null,
    reading_id uuid not null references public.readings,
    created_at timestamptz not null default now(),
    primary key (caller, key)
);
comment on table public.idempotency_keys is
    'The key a caller sent with a reading: the same key and body is a replay, with another body a conflict.';

create function private.guard_reading() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_decision constant text[] := array['status', 'decided_by', 'decided_at', 'decision_reason'];
begin
    if to_jsonb(new) - v_decision <> to_jsonb(old) - v_decision then
        raise exception using errcode = 'EB005',
            message = 'A reading is never overwritten: enter a correction instead.';
    end if;
    if new.status <> old.status and not (
        (old.status = 'needs_review' and new.status in ('accepted', 'rejected', 'superseded'))
        or (old.status = 'accepted' and new.status = 'superseded' and not old.is_opening)
    ) then
        raise exception using errcode = 'EB005',
            message = format('This reading is already %s.', replace(old.status, '_', ' '));
    end if;
    return new;
end $$;
create trigger readings_guard before update on public.readings
    for each row execute function private.guard_reading();

create function private.check_register() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (
        select 1 from new_rows r join public.meters m on m.id = r.meter_id
        where r.register_wh >= private.register_span_wh(m.dials)
    ) then
        raise exception using errcode = 'EB005', message = 'The reading has more digits than the meter.';
    end if;
    return null;
end $$;
create trigger readings_fit_register after insert on public.readings
    referencing new table as new_rows for each statement execute function private.check_register();

select private.keep_rows('public.readings');
select private.audit_table('public.readings');

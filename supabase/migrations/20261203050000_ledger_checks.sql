-- Adding up all entries takes minutes at a million accounts, longer than a page or the closing of a
-- month may wait: it is done each night, and what was found is kept.

create table public.ledger_checks (
    id uuid primary key default gen_random_uuid(),
    began_at timestamptz not null,
    finished_at timestamptz not null,
    checked_by text not null check (checked_by <> ''),
    entries bigint not null,
    problems jsonb not null,
    balances jsonb not null
);
comment on table public.ledger_checks is 'What came of adding up the whole ledger: it as it was at began_at. Never changed.';
comment on column public.ledger_checks.problems is '[{what, subject, detail}], at most 100; of a sound ledger [].';
comment on column public.ledger_checks.balances is 'By currency and book: [{currency, book, balance_minor, accounts}].';
create index ledger_checks_recent on public.ledger_checks (began_at desc);
alter table public.ledger_checks enable row level security;
revoke all on public.ledger_checks from public, anon, authenticated, service_role;
grant select, insert on public.ledger_checks to service_role;
create trigger refuse_update before update on public.ledger_checks for each row execute function private.refuse_change();
create trigger refuse_delete before delete on public.ledger_checks for each row execute function private.refuse_delete();
create trigger refuse_truncate before truncate on public.ledger_checks for each statement execute function private.refuse_delete();

create function private.ledger_is_large() returns boolean
    language sql stable set search_path to ''
as $$
    -- So many are added up in about a second.
    select coalesce(sum(t.number), 0) > 50000 from public.ledger_totals t
$$;
comment on function private.ledger_is_large() is 'Whether adding up the ledger takes longer than somebody waits for it.';
revoke all on function private.ledger_is_large() from public;
grant execute on function private.ledger_is_large() to service_role;

create function public.record_ledger_check(p jsonb) returns jsonb
    language plpgsql set search_path to ''
    -- Over REST its statement may take so long; work_mem is for adding up, one such check at a time.
    set statement_timeout to '30min'
    set work_mem to '64MB'
as $$
declare
    v_began constant timestamptz := clock_timestamp();
    v_found jsonb;
    v_check public.ledger_checks;
begin
    v_found := public.check_ledger('{}');
    insert into public.ledger_checks (began_at, finished_at, checked_by, entries, problems, balances)
    values (v_began, clock_timestamp(), p ->> 'actor', (v_found ->> 'entries')::bigint, v_found -> 'problems', v_found -> 'balances')
    returning * into v_check;
    -- Not before: it holds the row of the run, which is prolonged meanwhile.
    perform private.check_run(p -> 'run');
    return to_jsonb(v_check);
end $$;
comment on function public.record_ledger_check(p jsonb) is 'Adds up the whole ledger and keeps what came of it: {actor, run?} -> the row of ledger_checks. Takes minutes of a large one.';
revoke all on function public.record_ledger_check(p jsonb) from public;
grant execute on function public.record_ledger_check(p jsonb) to service_role;

create function public.last_ledger_check(p jsonb) returns jsonb
    language sql stable set search_path to ''
as $$
    select jsonb_build_object(
        'is_large', private.ledger_is_large(),
        'check', (select to_jsonb(c) from public.ledger_checks c order by c.began_at desc limit 1))
$$;
comment on function public.last_ledger_check(p jsonb) is 'The last check of the ledger, and whether it is too large to be checked while somebody waits: {} -> {is_large, check: a row of ledger_checks or null}.';
revoke all on function public.last_ledger_check(p jsonb) from public;
grant execute on function public.last_ledger_check(p jsonb) to service_role;

create function private.require_sound_ledger() returns void
    language plpgsql set search_path to ''
as $$
declare
    v_check public.ledger_checks;
begin
    if not private.ledger_is_large() then
        if public.check_ledger('{}') -> 'problems' <> '[]' then
            perform private.refuse('EB005', 'The ledger does not add up: see what is wrong with it first.');
        end if;
        return;
    end if;
    select * into v_check from public.ledger_checks c order by c.began_at desc limit 1;
    if v_check.id is null or v_check.began_at < now() - interval '36 hours' then
        perform private.refuse('EB005', 'The ledger was not checked within the last 36 hours. It is checked each night; run Ledger check on Jobs to have it checked now.');
    elsif v_check.problems <> '[]' then
        perform private.refuse('EB005', 'The ledger did not add up at its last check: see what is wrong with it, and run Ledger check on Jobs again.');
    end if;
end $$;
comment on function private.require_sound_ledger() is 'Refuses unless the ledger adds up: a small one now, a large one at its last check, which must be of the last 36 hours.';
revoke all on function private.require_sound_ledger() from public;
grant execute on function private.require_sound_ledger() to service_role;

create or replace function public.close_month(p jsonb) returns jsonb
    language plpgsql set search_path to ''
as $$
declare
    v_month date := (p ->> 'month')::date;
begin
    perform private.set_actor(p);
    -- Nobody posts meanwhile: an entry must not slip into the month after its totals are taken.
    perform pg_advisory_xact_lock(hashtext('ledger'));
    if (v_month + interval '1 month')::date > (p ->> 'today')::date then
        perform private.refuse('EB005', 'Only a month that is over can be closed.');
    elsif exists (select 1 from public.month_closings where month = v_month) then
        return '{}'::jsonb;
    elsif v_month < private.open_from() then
        perform private.refuse('EB005', 'A later month is closed already.');
    end if;
    perform private.require_sound_ledger();
    insert into public.month_closings (month, totals, closed_by)
    values (v_month, public.month_books(p) - array['closing', 'open_from'], p ->> 'actor');
    return '{}'::jsonb;
end $$;

comment on function public.check_ledger(p jsonb) is 'Adds everything up again: {} -> {problems: [{what, subject, detail}], at most 100; entries; balances by currency and book}.';

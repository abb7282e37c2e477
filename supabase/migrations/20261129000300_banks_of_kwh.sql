-- Net metering: the kWh that an agreement has banked, in a ledger of their own.

create table public.kwh_bank_entries (
    id bigint generated always as identity primary key,
    agreement_id uuid not null references public.service_agreements (id),
    bill_id uuid not null references public.bills (id),
    period text not null,
    kind text not null,
    wh bigint not null,
    undoes_id bigint unique references public.kwh_bank_entries (id),
    created_at timestamptz not null default now(),
    check (case kind
        when 'added' then wh > 0 and undoes_id is null
        when 'used' then wh < 0 and undoes_id is null
        when 'settled' then wh < 0 and undoes_id is null
        when 'moved' then wh <> 0 and undoes_id is null
        when 'undone' then wh <> 0 and undoes_id is not null
        else false end)
);
comment on table public.kwh_bank_entries is
    'What bills under net metering put into an agreement''s banks of kWh, and took out, in whole Wh. Never changed: a void bill''s entries are undone by others.';
comment on column public.kwh_bank_entries.period is 'The period of the tariff whose energy it is; empty for all hours.';
comment on column public.kwh_bank_entries.kind is
    'added: exported beyond what was imported; used: taken for energy of this bill; settled: paid out, or lapsed; moved: from periods that the tariff has no more; undone: the bill became void.';
create index kwh_bank_entries_of_agreement on public.kwh_bank_entries (agreement_id, period, id);
create index kwh_bank_entries_of_bill on public.kwh_bank_entries (bill_id);
alter table public.kwh_bank_entries enable row level security;
revoke all on public.kwh_bank_entries from public, anon, authenticated, service_role;
grant select, insert on public.kwh_bank_entries to service_role;
revoke all on sequence public.kwh_bank_entries_id_seq from public, anon, authenticated, service_role;
grant usage on sequence public.kwh_bank_entries_id_seq to service_role;
select private.never_changed('public.kwh_bank_entries');

create view public.kwh_bank_list with (security_invoker = true) as
select e.id, e.agreement_id, e.bill_id, b.number as bill_number, b.period_start, b.period_end, e.period, e.kind, e.wh,
       sum(e.wh) over (partition by e.agreement_id, e.period order by e.id)::bigint as balance_wh, e.created_at
from public.kwh_bank_entries e
join public.bills b on b.id = e.bill_id;
comment on view public.kwh_bank_list is 'The entries of the banks of kWh, each with what its bank then held.';
revoke all on public.kwh_bank_list from public, anon, authenticated, service_role;
grant select on public.kwh_bank_list to service_role;

create function private.add_to_kwh_bank() returns trigger
language plpgsql set search_path = '' as $$
begin
    insert into public.kwh_bank_entries (agreement_id, bill_id, period, kind, wh)
    select n.agreement_id, n.id, x.key, e.kind, e.wh
    from new_rows n
    cross join lateral jsonb_each(n.usage #> '{net,banks}') x
    cross join lateral (values
        (1, 'moved', (x.value ->> 'moved')::bigint), (2, 'added', (x.value ->> 'added')::bigint),
        (3, 'used', -(x.value ->> 'used')::bigint), (4, 'settled', -(x.value ->> 'settled')::bigint)) e(place, kind, wh)
    where e.wh <> 0
    order by n.agreement_id, n.period_start, e.place, x.key;
    return null;
end $$;
comment on function private.add_to_kwh_bank is 'Books what new bills under net metering put into the banks of kWh and took out.';
revoke all on function private.add_to_kwh_bank() from public, anon, authenticated;
grant execute on function private.add_to_kwh_bank() to service_role;
create trigger bills_in_kwh_bank after insert on public.bills referencing new table as new_rows
    for each statement execute function private.add_to_kwh_bank();

create function private.undo_in_kwh_bank() returns trigger
language plpgsql set search_path = '' as $$
begin
    insert into public.kwh_bank_entries (agreement_id, bill_id, period, kind, wh, undoes_id)
    select e.agreement_id, e.bill_id, e.period, 'undone', -e.wh, e.id
    from public.kwh_bank_entries e
    where e.bill_id = new.id and e.kind <> 'undone'
    order by e.id;
    return null;
end $$;
comment on function private.undo_in_kwh_bank is 'Takes back what a bill that became void booked in the banks of kWh.';
revoke all on function private.undo_in_kwh_bank() from public, anon, authenticated;
grant execute on function private.undo_in_kwh_bank() to service_role;
create trigger void_in_kwh_bank after update of status on public.bills for each row
    when (new.status = 'void' and old.status <> 'void' and new.usage is not null)
    execute function private.undo_in_kwh_bank();

create function private.check_kwh_bank() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (select 1 from public.kwh_bank_entries e where e.agreement_id = new.agreement_id
               group by e.period having sum(e.wh) < 0) then
        raise exception using errcode = 'EB005', message = 'More kWh would be taken from the bank than there are.';
    end if;
    -- Each bill begins with what the one before it left.
    if exists (
        with netted as (
            select b.usage #> '{net,banks}' as banks,
                   lag(b.usage #> '{net,banks}', 1, '{}') over (order by b.period_start) as before
            from public.bills b
            where b.agreement_id = new.agreement_id and b.status <> 'void' and b.usage ? 'net')
        select 1 from netted n
        cross join lateral (select jsonb_object_keys(n.banks || n.before) as period) k
        where coalesce((n.banks #>> array[k.period, 'opening'])::bigint, 0)
              <> coalesce((n.before #>> array[k.period, 'closing'])::bigint, 0)
    ) then
        raise exception using errcode = 'EB001', message = 'The bank of kWh changed meanwhile: the price must be computed again.';
    end if;
    return null;
end $$;
comment on function private.check_kwh_bank is
    'No bank of kWh is ever below 0, and each bill of an agreement opens its banks with what the last one left.';
revoke all on function private.check_kwh_bank() from public, anon, authenticated;
grant execute on function private.check_kwh_bank() to service_role;
create constraint trigger kwh_bank_adds_up after insert on public.kwh_bank_entries deferrable initially deferred
    for each row execute function private.check_kwh_bank();

create or replace function private.looks_back(p_tariff_id uuid) returns boolean
language sql stable set search_path = '' as $$
    select exists (
        select 1 from public.tariff_versions v
        where v.tariff_id = p_tariff_id
          and (v.definition #>> '{rounding,total,carry_forward}' = 'true'
               or jsonb_typeof(v.definition -> 'net_metering') = 'object'
               or jsonb_path_exists(v.definition,
                   '$.charges[*] ? (exists(@.ratchet) || (@.kind == "minimum" && @.per == "year"))')))
$$;
comment on function private.looks_back(uuid) is
    'Whether bills of a tariff depend on earlier ones: a ratchet, a minimum per year, a rounding carried forward, kWh banked under net metering.';

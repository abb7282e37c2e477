-- A new bill with all that follows from it was checked by ten foreign keys, row by row, which took a
-- fifth of the database's time. What they refuse is refused by the checks of the whole statement,
-- which join those rows anyway. What is referred to is never deleted, and never has another id:
-- bills, readings, ledger entries, accounts and versions of tariffs have guards for that.

-- Of the agreement and of its customer by one key, so that an agreement whose bills are there stays its customer's.
alter table public.service_agreements add constraint service_agreements_with_customer unique (id, customer_id);
alter table public.bills drop constraint bills_agreement_id_fkey;
alter table public.bills drop constraint bills_customer_id_fkey;
alter table public.bills add constraint bills_agreement_and_customer_fkey
    foreign key (agreement_id, customer_id) references public.service_agreements (id, customer_id);

create or replace function private.check_new_bills() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_moved boolean;
    v_wrong boolean;
    v_between boolean;
    v_found bigint;
begin
    if exists (
        select 1 from new_rows b
        cross join lateral (
            select coalesce(sum(l.amount_minor) filter (where l.tax), 0) as tax_minor,
                   coalesce(sum(l.amount_minor) filter (where not l.tax), 0) as other_minor,
                   coalesce(bool_or(l.tax is null), false) as unknown
            from (select (coalesce(x -> 6, x -> 'amount_minor'))::bigint as amount_minor,
                         (coalesce(x -> 2, x -> 'tax'))::boolean as tax
                  from jsonb_array_elements(b.lines) x) l) l
        where l.unknown or l.tax_minor <> b.tax_minor or l.other_minor <> b.subtotal_minor
    ) then
        raise exception using errcode = '23514', message = 'The lines of a bill must add up to its subtotal and its tax.';
    end if;
    select bool_or(
               -- Somebody moved, or a meter was exchanged, between pricing and storing.
               b.period_start < a.starts_on or b.period_end > coalesce(a.ends_on, 'infinity')),
           bool_or(
               b.customer_id <> a.customer_id
               or b.period_start <> o.read_on or b.period_end <> c.read_on
               or o.status <> 'accepted' or c.status <> 'accepted' or c.read_at <= o.read_at
               or (b.segments is null and (
                   o.meter_id <> b.meter_id or c.meter_id <> b.meter_id
                   or b.opening_wh <> o.register_wh or b.closing_wh <> c.register_wh
                   or not exists (
                       select 1 from public.meter_installations i
                       where i.meter_id = b.meter_id and i.service_point_id = a.service_point_id
                         and i.multiplier_milli = b.multiplier_milli
                         and i.installed_at <= o.read_at and (i.removed_at is null or i.removed_at >= c.read_at))
                   or (b.consumption_wh <> ((c.register_wh - o.register_wh) * b.multiplier_milli + 500) / 1000
                       or c.register_wh < o.register_wh)
                      and not private.is_use_between(o, c, b.multiplier_milli, b.consumption_wh, true)))),
           bool_or(
               -- Continuity: a bill opens at the agreement's opening read or where a live bill of it closed.
               a.opening_reading_id <> b.opening_reading_id and not exists (
                   select 1 from public.bills prior
                   where prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
                     and prior.agreement_id = b.agreement_id)),
           count(*)
    into v_moved, v_wrong, v_between, v_found
    from new_rows b
    join public.service_agreements a on a.id = b.agreement_id
    join public.readings o on o.id = b.opening_reading_id
    join public.readings c on c.id = b.closing_reading_id;
    -- Its reads and its agreement are there; its meter is that of its closing read, its customer that of the agreement.
    if v_found <> (select count(*) from new_rows) then
        raise exception using errcode = '23503', message = 'A bill must run between two reads that are there.';
    end if;
    if v_moved then
        raise exception using errcode = 'EB001', message = 'The agreement changed meanwhile: the price must be computed again.';
    end if;
    if v_wrong or exists (select 1 from new_rows b where b.segments is not null and private.has_wrong_segments(b)) then
        raise exception using errcode = 'EB005',
            message = 'A bill must run between two accepted reads of its meter and bill exactly the energy between them.';
    end if;
    if v_between then
        raise exception using errcode = 'EB001', message = 'Another bill came between: the price must be computed again.';
    end if;
    return null;
end $$;

alter table public.bills drop constraint bills_meter_id_fkey;
alter table public.bills drop constraint bills_opening_reading_id_fkey;
alter table public.bills drop constraint bills_closing_reading_id_fkey;

create or replace function private.refuse_replaced_version() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- Who corrects a version waits for the bills that are being stored with it, and they for who does.
    perform 1 from public.tariff_versions v
    where v.id = any (array(select distinct b.tariff_version_id from new_rows b)) order by v.id for key share;
    if exists (
        select 1 from new_rows b
        where b.priced_by is distinct from array(
            select v.id
            from private.tariff_spans s
            join (select w.id, w.tariff_id, w.effective_from,
                         coalesce(lead(w.effective_from) over (partition by w.tariff_id order by w.effective_from), 'infinity') as until
                  from public.tariff_versions w
                  where w.tariff_id in (select y.tariff_id from public.agreement_tariffs y where y.agreement_id = b.agreement_id)
                    and not exists (select 1 from public.tariff_versions n where n.replaces_id = w.id)) v
                on v.tariff_id = s.tariff_id
            where s.agreement_id = b.agreement_id
              and greatest(v.effective_from, s.starts_on, b.period_start) < least(v.until, s.ends_on, b.period_end)
            order by greatest(v.effective_from, s.starts_on))
    ) then
        raise exception using errcode = 'EB001',
            message = 'A new version of the tariff came between: the price must be computed again.';
    end if;
    if exists (select 1 from new_rows b where b.tariff_version_id <> all (b.priced_by)) then
        raise exception using errcode = '23503', message = 'The tariff version of a bill must be one that it was priced by.';
    end if;
    return null;
end $$;

alter table public.bills drop constraint bills_tariff_version_id_fkey;

create or replace function private.check_ledger_chain() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_open_from date := private.open_from();
begin
    if exists (
        select 1 from new_rows n
        left join public.ledger_entries e on e.customer_id = n.customer_id and e.book = n.book
            and e.currency = n.currency and e.entry_no = n.entry_no - 1
        where n.balance_minor <> n.amount_minor + coalesce(e.balance_minor, 0) or (n.entry_no > 1 and e.id is null)
           or n.on_date < v_open_from
    ) then
        raise exception using errcode = 'EB005', message = 'A ledger entry must continue the balance before it, in an open month.';
    end if;
    if exists (
        select 1 from new_rows n
        left join public.accounts a on a.customer_id = n.customer_id and a.book = n.book and a.currency = n.currency
        left join public.bills b on b.id = n.bill_id
        where a.customer_id is null or (n.bill_id is not null and b.id is null)
    ) then
        raise exception using errcode = '23503', message = 'A ledger entry must be of an account, and of a bill, that is there.';
    end if;
    return null;
end $$;

alter table public.ledger_entries drop constraint ledger_entries_bill_id_fkey;
alter table public.ledger_entries drop constraint ledger_entries_customer_id_book_currency_fkey;

create function private.keep_account_key() returns trigger
    language plpgsql
    set search_path to ''
    as $$
begin
    raise exception using errcode = 'EB005', message = 'An account is never another customer''s, nor in another currency.';
end $$;
revoke all on function private.keep_account_key() from public;
grant execute on function private.keep_account_key() to service_role;
create trigger accounts_keep_their_key before update of customer_id, book, currency on public.accounts
    for each row execute function private.keep_account_key();

create function private.check_open_items() returns trigger
    language plpgsql
    set search_path to ''
    set enable_hashjoin to 'off'
    set enable_mergejoin to 'off'
    as $$
begin
    if exists (
        select 1 from new_rows n
        left join public.ledger_entries e on e.id = n.entry_id
        where (e.customer_id, e.book, e.currency, e.entry_no, e.amount_minor)
              is distinct from (n.customer_id, n.book, n.currency, n.entry_no, n.amount_minor)
    ) then
        raise exception using errcode = '23503', message = 'An open item must be what its ledger entry is.';
    end if;
    return null;
end $$;
comment on function private.check_open_items() is 'A new open item is of a ledger entry, with its account, number and amount.';
revoke all on function private.check_open_items() from public;
grant execute on function private.check_open_items() to service_role;
create trigger open_items_of_entries after insert on public.open_items
    referencing new table as new_rows for each statement execute function private.check_open_items();
alter table public.open_items drop constraint open_items_entry_id_fkey;

create or replace function private.join_statements() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
begin
    if exists (select 1 from new_rows n where not exists (select 1 from public.bills b where b.id = n.bill_id)) then
        raise exception using errcode = '23503', message = 'What is owed must be owed for a bill that is there.';
    end if;
    -- A reading that is billed while its engineer waits is told of at once: its work is leased.
    perform private.join_statement(x.customer_id, current_setting('billing.actor', true) = 'job:monthly_bills')
    from (select distinct b.customer_id
          from new_rows n
          join public.bills b on b.id = n.bill_id
          join public.customers c on c.id = b.customer_id and c.one_statement
          where n.kind = 'bill_issued' and n.status = 'open' and n.lease_owner is null
          order by b.customer_id) x;
    return null;
end $$;

alter table public.outbox drop constraint outbox_bill_id_fkey;

-- Bills form a chain along each meter; what was issued is never edited.

create function private.lines_total(p_lines jsonb, p_tax boolean) returns bigint
language sql immutable set search_path = '' as $$
    select coalesce(sum((l ->> 'amount_minor')::bigint), 0)::bigint
    from jsonb_array_elements(p_lines) l
    where (l ->> 'tax')::boolean = p_tax
$$;
comment on function private.lines_total is 'Sum of a bill''s tax lines, or of its other lines, in minor units.';

create table public.bills (
    id uuid primary key,
    number bigint unique check (number > 0),
    status text not null check (status in ('draft', 'issued', 'void')),
    meter_id uuid not null references public.meters,
    customer_id uuid not null references public.customers,
    tariff_version_id uuid not null references public.tariff_versions,
    opening_reading_id uuid not null references public.readings,
    closing_reading_id uuid not null references public.readings,
    period_start date not null,
    period_end date not null check (period_end > period_start),
    opening_wh bigint not null,
    closing_wh bigint not null,
    consumption_wh bigint not null check (consumption_wh >= 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    lines jsonb not null check (jsonb_typeof(lines) = 'array'),
    subtotal_minor bigint not null check (subtotal_minor = private.lines_total(lines, false)),
    tax_minor bigint not null check (tax_minor = private.lines_total(lines, true)),
    total_minor bigint not null check (total_minor = subtotal_minor + tax_minor),
    amount_paid_minor bigint not null default 0,
    issued_at timestamptz,
    issued_on date,
    due_date date,
    overdue_since date,
    payment_url text,
    reissue_no integer not null default 0 check (reissue_no >= 0),
    void_reason text,
    created_at timestamptz not null default now(),
    check (status <> 'draft' or number is null),
    check (status <> 'issued' or (number is not null and issued_at is not null
                                  and issued_on is not null and due_date is not null)),
    check (status <> 'void' or coalesce(void_reason, '') <> ''),
    check (opening_reading_id <> closing_reading_id)
);
comment on table public.bills is
    'One bill a meter and period, from the closing read of the meter''s last bill that is not void to a later accepted read.';
comment on column public.bills.number is 'Given at issue, without gaps; a void bill keeps it, a draft has none.';
comment on column public.bills.period_end is 'Exclusive: the local date of the closing read.';
comment on column public.bills.lines is
    'Array of {code, description, tax, quantity, unit, rate, amount_minor, slabs?}; integers and strings only.';
comment on column public.bills.reissue_no is 'How many void bills opened at the same read before this one.';

-- No kWh and no day is billed twice: a read opens one live bill and closes one.
create unique index bills_one_opening on public.bills (opening_reading_id) where status <> 'void';
create unique index bills_one_closing on public.bills (closing_reading_id) where status <> 'void';
create index bills_chain on public.bills (meter_id, period_end desc) where status <> 'void';
create index bills_customer on public.bills (customer_id, period_end desc, id desc);
create index bills_recent on public.bills (period_end desc, id desc);
create index bills_unpaid on public.bills (due_date)
    where status = 'issued' and amount_paid_minor < total_minor;
create index bills_issued_on on public.bills (issued_on);

create table public.counters (
    name text primary key,
    last_number bigint not null default 0 check (last_number >= 0)
);
insert into public.counters (name) values ('bill');
comment on table public.counters is
    'The last number given of each series. Always the last lock a transaction takes: meters (sorted), then this.';

create function private.check_new_bills() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (
        select 1
        from new_rows b
        join public.meters m on m.id = b.meter_id
        join public.readings o on o.id = b.opening_reading_id
        join public.readings c on c.id = b.closing_reading_id
        where o.meter_id <> b.meter_id or c.meter_id <> b.meter_id
           or o.status <> 'accepted' or c.status <> 'accepted'
           or c.read_at <= o.read_at
           or b.period_start <> o.read_on or b.period_end <> c.read_on
           or b.opening_wh <> o.register_wh or b.closing_wh <> c.register_wh
           or b.customer_id <> m.customer_id
           or b.consumption_wh <> (
                (c.register_wh - o.register_wh + private.register_span_wh(m.dials))
                    % private.register_span_wh(m.dials) * m.multiplier_milli + 500) / 1000
    ) then
        raise exception using errcode = 'EB005',
            message = 'A bill must run between two accepted reads of its meter and bill exactly the energy between them.';
    end if;
    -- Continuity: a bill opens at the meter's opening read or where a live bill closed.
    if exists (
        select 1 from new_rows b join public.readings o on o.id = b.opening_reading_id
        where not o.is_opening and not exists (
            select 1 from public.bills prior
            where prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void')
    ) then
        raise exception using errcode = 'EB001', message = 'Another bill came between: the price must be computed again.';
    end if;
    return null;
end $$;
create trigger bills_join_the_chain after insert on public.bills
    referencing new table as new_rows for each statement execute function private.check_new_bills();

create function private.guard_bill() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_at_issue constant text[] := array['number', 'issued_at', 'issued_on', 'due_date'];
    v_later constant text[] := array['status', 'amount_paid_minor', 'overdue_since', 'payment_url', 'void_reason'];
begin
    if new.status <> old.status and not (
        (old.status = 'draft' and new.status in ('issued', 'void'))
        or (old.status = 'issued' and new.status = 'void')
    ) then
        raise exception using errcode = 'EB005', message = format('A bill that is %s cannot become %s.', old.status, new.status);
    end if;
    if old.status = 'void' and to_jsonb(new) <> to_jsonb(old) then
        raise exception using errcode = 'EB005', message = 'A void bill does not change.';
    end if;
    if to_jsonb(new) - v_at_issue - v_later <> to_jsonb(old) - v_at_issue - v_later
       or (not (old.status = 'draft' and new.status = 'issued')
           and (new.number, new.issued_at, new.issued_on, new.due_date)
               is distinct from (old.number, old.issued_at, old.issued_on, old.due_date)) then
        raise exception using errcode = 'EB005',
            message = 'A bill''s figures never change: void it and issue a new one.';
    end if;
    if new.status = 'void' and old.status <> 'void' then
        if old.amount_paid_minor <> 0 then
            raise exception using errcode = 'EB005', message = 'A bill with payments cannot be voided.';
        end if;
        if exists (select 1 from public.bills later
                   where later.opening_reading_id = old.closing_reading_id and later.status <> 'void') then
            raise exception using errcode = 'EB005',
                message = 'A later bill begins where this one ends: void that one first.';
        end if;
    end if;
    return new;
end $$;
create trigger bills_guard before update on public.bills
    for each row execute function private.guard_bill();

create function private.guard_billed_reading() returns trigger
language plpgsql set search_path = '' as $$
begin
    if new.status <> 'accepted' and exists (
        select 1 from public.bills b
        where b.status <> 'void' and new.id in (b.opening_reading_id, b.closing_reading_id)
    ) then
        raise exception using errcode = 'EB005', message = 'This reading is billed: void the bill first.';
    end if;
    return new;
end $$;
create trigger readings_guard_billed before update of status on public.readings
    for each row when (old.status = 'accepted') execute function private.guard_billed_reading();

create table public.payments (
    id uuid primary key,
    bill_id uuid not null references public.bills,
    customer_id uuid not null references public.customers,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    method text not null check (method in ('cash', 'cheque', 'bank', 'mobile_money', 'card')),
    reference text not null default '',
    received_at timestamptz not null,
    received_on date not null,
    created_at timestamptz not null default now()
);
create index payments_bill on public.payments (bill_id);
create index payments_received_on on public.payments (received_on);
comment on table public.payments is 'Money received for a bill. Never overwritten; the bill''s amount_paid follows in the same transaction.';

create function private.refuse_payment_change() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = 'EB005', message = 'A payment is never overwritten.';
end $$;
create trigger payments_fixed before update on public.payments
    for each row execute function private.refuse_payment_change();

select private.keep_rows('public.bills');
select private.keep_rows('public.payments');
select private.audit_table('public.bills');
select private.audit_table('public.payments');

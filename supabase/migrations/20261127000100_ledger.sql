-- The customer's account: a ledger of entries that never change, and what of each is still open.
--
-- A debit (above 0) is owed by the customer, a credit (below 0) is in their favour. Who changes an
-- account locks in this order: meters, customers (both sorted), bills, the counter.

create table public.accounts (
    customer_id uuid not null references public.customers,
    book text not null check (book in ('account', 'deposit')),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    balance_minor bigint not null default 0,
    entries integer not null default 0 check (entries >= 0),
    primary key (customer_id, book, currency)
);
comment on table public.accounts is
    'The balance of a customer by book and currency: always that of the ledger''s last entry. Above 0 the customer owes.';
comment on column public.accounts.book is
    '"account": bills, payments, fees, credits. "deposit": security deposits that are held, which pay no bill until they are used.';

create table public.payment_returns (
    id uuid primary key,
    payment_id uuid references public.payments,
    customer_id uuid references public.customers,
    book text not null default 'account' check (book in ('account', 'deposit')),
    kind text not null check (kind in ('refund', 'reversal', 'dispute', 'payout')),
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    method text not null check (method in ('cash', 'cheque', 'bank', 'mobile_money', 'card', 'stripe')),
    reference text not null default '',
    reason text not null check (btrim(reason) <> ''),
    status text not null check (status in ('pending', 'done', 'failed', 'undone')),
    provider_id text unique,
    on_date date not null,
    attempts integer not null default 0 check (attempts >= 0),
    next_attempt_at timestamptz not null default now(),
    error text not null default '',
    created_by text not null check (created_by <> ''),
    created_at timestamptz not null default now(),
    check ((kind = 'payout') = (payment_id is null)),
    check (status <> 'pending' or method = 'stripe')
);
create index payment_returns_payment on public.payment_returns (payment_id);
create index payment_returns_pending on public.payment_returns (next_attempt_at) where status = 'pending';
comment on table public.payment_returns is
    'Money that went back: a refund, a payment entered wrongly or bounced (reversal), a lost or open dispute, a credit paid out.';
comment on column public.payment_returns.status is
    'pending: asked of the payment provider, and held back from other refunds. failed: never left. undone: left and came back.';
comment on column public.payment_returns.provider_id is 'The payment provider''s own id of the refund or dispute.';

-- Payments: online ones, those that name no bill, deposits, and those of nobody known.
alter table public.payments
    alter column bill_id drop not null,
    alter column customer_id drop not null,
    drop constraint payments_method_check,
    add constraint payments_method_check
        check (method in ('cash', 'cheque', 'bank', 'mobile_money', 'card', 'stripe')),
    add column book text not null default 'account' check (book in ('account', 'deposit')),
    add column provider_id text unique,
    add column recorded_by text not null default '';
create index payments_customer on public.payments (customer_id, received_on desc);
create index payments_recent on public.payments (received_on desc, id desc);
comment on table public.payments is
    'Money received. Never overwritten: what was wrong is returned. Its allocations say which bills it paid.';
comment on column public.payments.bill_id is 'The bill it was said to be for, if any.';
comment on column public.payments.customer_id is 'Null while nobody knows whose it is; it is then in no account.';
comment on column public.payments.provider_id is 'The payment provider''s own id (Stripe: the payment intent); each is counted once.';

drop trigger payments_fixed on public.payments;
create or replace function private.refuse_payment_change() returns trigger
language plpgsql set search_path = '' as $$
begin
    if old.customer_id is null and to_jsonb(new) - array['customer_id', 'bill_id'] = to_jsonb(old) - array['customer_id', 'bill_id'] then
        return new;
    end if;
    raise exception using errcode = 'EB005', message = 'A payment is never overwritten.';
end $$;
create trigger payments_fixed before update on public.payments
    for each row execute function private.refuse_payment_change();

create table public.payment_flags (
    payment_id uuid not null references public.payments,
    reason text not null check (reason in (
        'amount_differs', 'currency_differs', 'bill_void', 'bill_not_issued', 'unknown_bill', 'already_paid', 'disputed')),
    detail text not null default '',
    raised_at timestamptz not null default now(),
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    primary key (payment_id, reason),
    check ((resolved_at is null) = (resolved_by is null))
);
create index payment_flags_open on public.payment_flags (raised_at) where resolved_at is null;
comment on table public.payment_flags is 'What a person must look at about a payment; the money is counted all the same.';

create table public.ledger_entries (
    id uuid primary key default gen_random_uuid(),
    customer_id uuid not null,
    book text not null,
    currency text not null,
    entry_no integer not null check (entry_no > 0),
    kind text not null,
    amount_minor bigint not null,
    balance_minor bigint not null,
    bill_id uuid references public.bills,
    payment_id uuid references public.payments,
    return_id uuid references public.payment_returns,
    undoes_id uuid unique references public.ledger_entries,
    on_date date not null,
    note text not null default '',
    actor text not null check (actor <> ''),
    created_at timestamptz not null default now(),
    unique (customer_id, book, currency, entry_no),
    foreign key (customer_id, book, currency) references public.accounts,
    check (case kind
        when 'bill' then bill_id is not null and undoes_id is null
        when 'bill_void' then bill_id is not null and undoes_id is not null
        when 'payment' then payment_id is not null and amount_minor < 0
        when 'refund' then return_id is not null and amount_minor > 0
        when 'reversal' then return_id is not null and amount_minor > 0
        when 'dispute' then return_id is not null and amount_minor > 0
        when 'payout' then return_id is not null and amount_minor > 0
        when 'return_undone' then return_id is not null and undoes_id is not null and amount_minor < 0
        when 'credit' then amount_minor < 0 and btrim(note) <> ''
        when 'credit_undone' then amount_minor > 0 and undoes_id is not null
        when 'fee' then amount_minor > 0 and btrim(note) <> ''
        when 'fee_undone' then amount_minor < 0 and undoes_id is not null
        when 'deposit_used' then amount_minor <> 0
        else false end)
);
create unique index ledger_one_entry_a_bill on public.ledger_entries (bill_id) where kind = 'bill';
create unique index ledger_one_entry_a_payment on public.ledger_entries (payment_id) where kind = 'payment';
create unique index ledger_one_entry_a_return on public.ledger_entries (return_id)
    where kind in ('refund', 'reversal', 'dispute', 'payout');
create index ledger_entries_by_day on public.ledger_entries (on_date);
comment on table public.ledger_entries is
    'Every bill, payment, return, credit and fee of an account, in order, with the balance after it. Never changed: a mistake is undone by another entry.';
comment on column public.ledger_entries.entry_no is 'Counts 1, 2, 3 in each account; the balance is checked along it.';
comment on column public.ledger_entries.on_date is
    'Local date it counts for; in a month that is closed, the first day that is open instead.';

create table public.open_items (
    entry_id uuid primary key references public.ledger_entries,
    customer_id uuid not null,
    book text not null,
    currency text not null,
    entry_no integer not null,
    order_on date not null,
    amount_minor bigint not null check (amount_minor <> 0),
    open_minor bigint not null,
    check (open_minor between least(amount_minor, 0) and greatest(amount_minor, 0))
);
create index open_items_open on public.open_items (customer_id, book, currency) where open_minor <> 0;
comment on table public.open_items is 'What of each entry is not yet allocated: of a bill what is left to pay, of a payment what is left of it.';
comment on column public.open_items.order_on is 'Oldest first is by this date: of a bill the end of its period.';

create table public.allocations (
    id bigint generated always as identity primary key,
    credit_entry_id uuid not null references public.ledger_entries,
    debit_entry_id uuid not null references public.ledger_entries,
    amount_minor bigint not null check (amount_minor <> 0),
    actor text not null check (actor <> ''),
    created_at timestamptz not null default now()
);
create index allocations_credit on public.allocations (credit_entry_id);
create index allocations_debit on public.allocations (debit_entry_id);
comment on table public.allocations is
    'Which credit paid which debit. Never changed: what is taken back is a row below 0.';

create table public.month_closings (
    month date primary key check (extract(day from month) = 1),
    totals jsonb not null,
    closed_by text not null check (closed_by <> ''),
    closed_at timestamptz not null default now()
);
comment on table public.month_closings is
    'Months whose books are closed, with their totals: no entry is ever dated in them again.';

create function private.open_from() returns date
language sql stable set search_path = '' as $$
    select coalesce((max(month) + interval '1 month')::date, '-infinity') from public.month_closings
$$;
comment on function private.open_from is 'The first local date that entries may still be dated.';

create function private.refuse_change() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = 'EB005', message = format('Rows of %s are never changed.', tg_table_name);
end $$;

create function private.never_changed(p_table regclass) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.keep_rows(p_table);
    execute format('create trigger refuse_update before update on %s for each row execute function private.refuse_change()', p_table);
end $$;
select private.never_changed('public.ledger_entries');
select private.never_changed('public.allocations');
select private.never_changed('public.month_closings');
select private.keep_rows('public.accounts');
select private.keep_rows('public.open_items');
select private.keep_rows('public.payment_returns');
select private.keep_rows('public.payment_flags');
select private.audit_table('public.payment_returns');

create function private.guard_return() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_may constant text[] := array['status', 'provider_id', 'attempts', 'next_attempt_at', 'error', 'on_date'];
begin
    if to_jsonb(new) - v_may <> to_jsonb(old) - v_may
       or (new.on_date <> old.on_date and old.status <> 'pending')
       or (new.provider_id is distinct from old.provider_id and old.provider_id is not null)
       or (new.status <> old.status and not (
            (old.status = 'pending' and new.status in ('done', 'failed')) or (old.status = 'done' and new.status = 'undone'))) then
        raise exception using errcode = 'EB005', message = 'What went back is never overwritten.';
    end if;
    return new;
end $$;
create trigger payment_returns_guard before update on public.payment_returns
    for each row execute function private.guard_return();

create function private.check_ledger_chain() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (
        select 1 from new_rows n
        left join public.ledger_entries e on e.customer_id = n.customer_id and e.book = n.book
            and e.currency = n.currency and e.entry_no = n.entry_no - 1
        where n.balance_minor <> n.amount_minor + coalesce(e.balance_minor, 0) or (n.entry_no > 1 and e.id is null)
           or n.on_date < private.open_from()
    ) then
        raise exception using errcode = 'EB005', message = 'A ledger entry must continue the balance before it, in an open month.';
    end if;
    return null;
end $$;
create trigger ledger_goes_on after insert on public.ledger_entries
    referencing new table as new_rows for each statement execute function private.check_ledger_chain();

create function private.check_account() returns trigger
language plpgsql set search_path = '' as $$
begin
    if not exists (
        select 1 from public.accounts a
        left join public.ledger_entries e on e.customer_id = a.customer_id and e.book = a.book
            and e.currency = a.currency and e.entry_no = a.entries
        where a.customer_id = new.customer_id and a.book = new.book and a.currency = new.currency
          and a.balance_minor = coalesce(e.balance_minor, 0) and (a.entries = 0) = (e.id is null)
          and not exists (select 1 from public.ledger_entries l
                          where l.customer_id = a.customer_id and l.book = a.book and l.currency = a.currency
                            and l.entry_no = a.entries + 1)
    ) then
        raise exception using errcode = 'EB005', message = 'An account''s balance must be that of its last ledger entry.';
    end if;
    return null;
end $$;
create constraint trigger accounts_follow_the_ledger after insert or update on public.accounts
    deferrable initially deferred for each row execute function private.check_account();

create function private.lock_customers(p_customers uuid[]) returns void
language sql set search_path = '' as $$
    select count(*) from (
        select 1 from public.customers where id = any (p_customers) order by id for no key update) locked
$$;
comment on function private.lock_customers is 'One at a time changes a customer''s money; always after meters, before bills and the counter.';

create function private.post_entries(p_entries jsonb) returns void
language sql set search_path = '' as $$
    -- Shared by all who post; who closes a month has it alone.
    select pg_advisory_xact_lock_shared(hashtext('ledger'));
    with incoming as (
        select coalesce(e.id, gen_random_uuid()) as id, e.customer_id, coalesce(e.book, 'account') as book, e.currency,
               e.kind, e.amount_minor, e.bill_id, e.payment_id, e.return_id, e.undoes_id,
               greatest(e.on_date, private.open_from()) as on_date,
               coalesce(e.order_on, e.on_date) as order_on, coalesce(e.note, '') as note,
               row_number() over (w order by e.position)::integer as place,
               sum(e.amount_minor) over (w order by e.position)::bigint as running
        from rows from (jsonb_to_recordset(p_entries) as (
                 id uuid, customer_id uuid, book text, currency text, kind text, amount_minor bigint, bill_id uuid,
                 payment_id uuid, return_id uuid, undoes_id uuid, on_date date, order_on date, note text)
             ) with ordinality as e(
                 id, customer_id, book, currency, kind, amount_minor, bill_id, payment_id, return_id, undoes_id,
                 on_date, order_on, note, position)
        window w as (partition by e.customer_id, coalesce(e.book, 'account'), e.currency)
    ), sums as (
        select customer_id, book, currency, sum(amount_minor)::bigint as total, count(*)::integer as number
        from incoming group by 1, 2, 3
    ), moved as (
        insert into public.accounts as a (customer_id, book, currency, balance_minor, entries)
        select * from sums order by 1, 2, 3
        on conflict (customer_id, book, currency) do update
        set balance_minor = a.balance_minor + excluded.balance_minor, entries = a.entries + excluded.entries
        returning a.customer_id, a.book, a.currency, a.balance_minor, a.entries
    ), posted as (
        insert into public.ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor, balance_minor,
                                           bill_id, payment_id, return_id, undoes_id, on_date, note, actor)
        select i.id, i.customer_id, i.book, i.currency, m.entries - s.number + i.place, i.kind, i.amount_minor,
               m.balance_minor - s.total + i.running, i.bill_id, i.payment_id, i.return_id, i.undoes_id, i.on_date,
               i.note, current_setting('billing.actor')
        from incoming i join sums s using (customer_id, book, currency) join moved m using (customer_id, book, currency)
        returning id, customer_id, book, currency, entry_no, amount_minor
    )
    insert into public.open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor, open_minor)
    select p.id, p.customer_id, p.book, p.currency, p.entry_no, i.order_on, p.amount_minor, p.amount_minor
    from posted p join incoming i on i.id = p.id
    where p.amount_minor <> 0
$$;
comment on function private.post_entries is
    'Adds entries to the ledger, in order: [{id?, customer_id, book?, currency, kind, amount_minor, bill_id?, payment_id?, return_id?, undoes_id?, on_date, order_on?, note?}]. The caller has locked the customers.';

create function private.allocate(p_pairs jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_bills jsonb;
begin
    if jsonb_array_length(coalesce(p_pairs, '[]')) = 0 then
        return;
    end if;
    -- The limits take nothing away: they tell the planner how few there are, or it would read whole tables for them.
    insert into public.allocations (credit_entry_id, debit_entry_id, amount_minor, actor)
    select c.id, d.id, x.amount, current_setting('billing.actor')
    from (select * from rows from (jsonb_to_recordset(p_pairs) as (credit uuid, debit uuid, amount bigint)) with ordinality
              as p(credit, debit, amount, place)
          limit jsonb_array_length(p_pairs)) x
    join public.ledger_entries c on c.id = x.credit
    join public.ledger_entries d on d.id = x.debit and (d.customer_id, d.book, d.currency) = (c.customer_id, c.book, c.currency)
    order by x.place;
    -- Each side's check keeps what is open between nothing and the whole entry.
    update public.open_items o set open_minor = o.open_minor + x.amount
    from (select credit as entry_id, sum(amount)::bigint as amount
          from jsonb_to_recordset(p_pairs) as c(credit uuid, amount bigint) group by 1
          union all
          select debit, -sum(amount)::bigint
          from jsonb_to_recordset(p_pairs) as d(debit uuid, amount bigint) group by 1
          limit 2 * jsonb_array_length(p_pairs)) x
    where o.entry_id = x.entry_id;
    -- What a bill's void gives back is no payment of it.
    select jsonb_object_agg(y.bill_id, y.amount) into v_bills
    from (select s.bill_id, sum(s.amount)::bigint as amount
          from (select * from jsonb_to_recordset(p_pairs) as p(credit uuid, debit uuid, amount bigint)
                limit jsonb_array_length(p_pairs)) x
          join public.ledger_entries c on c.id = x.credit
          join public.ledger_entries d on d.id = x.debit
          cross join lateral (values (c.kind, c.bill_id, -x.amount, d.kind), (d.kind, d.bill_id, x.amount, c.kind))
              s(kind, bill_id, amount, other)
          where s.kind = 'bill' and s.other <> 'bill_void'
          group by 1 having sum(s.amount) <> 0) y;
    if v_bills is not null then
        perform 1 from public.bills where id in (select k::uuid from jsonb_object_keys(v_bills) k) order by id for update;
        update public.bills b set amount_paid_minor = b.amount_paid_minor + x.value::bigint
        from jsonb_each_text(v_bills) x
        where b.id = x.key::uuid;
    end if;
end $$;
comment on function private.allocate is
    'Lets credits pay debits of the same account, or below 0 takes it back, and keeps the bills'' amounts paid: [{credit, debit, amount}].';

create function private.settle(p_customers uuid[]) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.allocate((
        with c as (
            select o.entry_id, o.customer_id, o.book, o.currency, sum(-o.open_minor) over w as upto, -o.open_minor as amount
            from public.open_items o where o.customer_id = any (p_customers) and o.open_minor < 0
            window w as (partition by o.customer_id, o.book, o.currency order by o.order_on, o.entry_no)
        ), d as (
            select o.entry_id, o.customer_id, o.book, o.currency, sum(o.open_minor) over w as upto, o.open_minor as amount
            from public.open_items o where o.customer_id = any (p_customers) and o.open_minor > 0
            window w as (partition by o.customer_id, o.book, o.currency order by o.order_on, o.entry_no)
        )
        select jsonb_agg(jsonb_build_object(
                   'credit', c.entry_id, 'debit', d.entry_id,
                   'amount', least(c.upto, d.upto) - greatest(c.upto - c.amount, d.upto - d.amount))
                   order by least(c.upto, d.upto))
        from c join d using (customer_id, book, currency)
        where least(c.upto, d.upto) > greatest(c.upto - c.amount, d.upto - d.amount)));
end $$;
comment on function private.settle is 'Lets what is open of credits pay what is open of debits, the oldest of each first.';

create function private.take_back(p_entry_id uuid, p_amount bigint, p_from text[]) returns void
language plpgsql set search_path = '' as $$
begin
    perform private.allocate((
        with pairs as (
            select a.credit_entry_id as credit, a.debit_entry_id as debit, sum(a.amount_minor)::bigint as amount, max(a.id) as last
            from public.allocations a
            where p_entry_id in (a.credit_entry_id, a.debit_entry_id)
            group by 1, 2 having sum(a.amount_minor) > 0
        ), counted as (
            select p.*, sum(p.amount) over (order by p.last desc) - p.amount as before
            from pairs p
            join public.ledger_entries o on o.id = case when p.credit = p_entry_id then p.debit else p.credit end
            where p_from is null or o.kind = any (p_from)
        )
        select jsonb_agg(jsonb_build_object(
                   'credit', c.credit, 'debit', c.debit, 'amount', -least(c.amount, p_amount - c.before)) order by c.last desc)
        from counted c where c.before < p_amount));
end $$;
comment on function private.take_back is
    'Takes back what an entry paid or was paid by, the newest first, up to an amount, from entries of some kinds or of all (null).';

create function private.undo_entry(p_entry_id uuid, p_kind text, p_on date, p_note text) returns void
language plpgsql set search_path = '' as $$
declare
    e public.ledger_entries;
    v_id uuid := gen_random_uuid();
begin
    select * into e from public.ledger_entries where id = p_entry_id;
    perform private.take_back(e.id, 9000000000000000000, null);
    perform private.post_entries(jsonb_build_array(jsonb_build_object(
        'id', v_id, 'customer_id', e.customer_id, 'book', e.book, 'currency', e.currency, 'kind', p_kind,
        'amount_minor', -e.amount_minor, 'bill_id', e.bill_id, 'payment_id', e.payment_id, 'return_id', e.return_id,
        'undoes_id', e.id, 'on_date', p_on, 'note', p_note)));
    if e.amount_minor <> 0 then
        perform private.allocate(jsonb_build_array(jsonb_build_object(
            'credit', case when e.amount_minor < 0 then e.id else v_id end,
            'debit', case when e.amount_minor < 0 then v_id else e.id end,
            'amount', abs(e.amount_minor))));
    end if;
end $$;
comment on function private.undo_entry is 'Undoes an entry by another of the opposite amount; what it paid or was paid by is open again.';

-- An issued bill is in the ledger, whoever issues it.
create function private.post_bills(p_bills uuid[]) returns void
language plpgsql set search_path = '' as $$
declare
    v_customers uuid[];
begin
    perform private.post_entries((
        select jsonb_agg(jsonb_build_object(
            'customer_id', b.customer_id, 'currency', b.currency, 'kind', 'bill', 'amount_minor', b.total_minor,
            'bill_id', b.id, 'on_date', b.issued_on, 'order_on', b.period_end) order by b.issued_at, b.number)
        from public.bills b where b.id = any (p_bills)));
    -- Only where a credit is open is there anything to pay with.
    v_customers := array(
        select distinct o.customer_id from public.bills b
        join public.open_items o on o.customer_id = b.customer_id and o.open_minor < 0
        where b.id = any (p_bills));
    if v_customers <> '{}' then
        perform private.settle(v_customers);
    end if;
end $$;

create function private.post_new_bills() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_bills uuid[] := array(select id from new_rows where status = 'issued');
begin
    if v_bills <> '{}' then
        perform private.post_bills(v_bills);
    end if;
    return null;
end $$;
create trigger bills_posted after insert on public.bills
    referencing new table as new_rows for each statement execute function private.post_new_bills();

create function private.post_approved_bills() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_bills uuid[] := array(
        select n.id from new_rows n join old_rows o on o.id = n.id where n.status = 'issued' and o.status = 'draft');
begin
    if v_bills <> '{}' then
        perform private.post_bills(v_bills);
    end if;
    return null;
end $$;
create trigger bills_posted_at_approval after update on public.bills
    referencing old table as old_rows new table as new_rows
    for each statement execute function private.post_approved_bills();

create function public.check_ledger(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with problems as (
        select 'balance' as what, a.customer_id::text as subject,
               format('%s %s: balance %s, sum of its entries %s', a.book, a.currency, a.balance_minor, coalesce(s.total, 0)) as detail
        from public.accounts a
        left join (select customer_id, book, currency, sum(amount_minor) as total, count(*) as number
                   from public.ledger_entries group by 1, 2, 3) s using (customer_id, book, currency)
        where a.balance_minor <> coalesce(s.total, 0) or a.entries <> coalesce(s.number, 0)
        union all
        select 'open', e.id::text, format('entry of %s: %s open, %s by its allocations', e.amount_minor, coalesce(o.open_minor, 0), e.amount_minor - coalesce(x.allocated, 0))
        from public.ledger_entries e
        left join public.open_items o on o.entry_id = e.id
        left join (select y.id, sum(y.amount) as allocated
                   from (select credit_entry_id as id, -amount_minor as amount from public.allocations
                         union all select debit_entry_id, amount_minor from public.allocations) y group by 1) x on x.id = e.id
        where coalesce(o.open_minor, 0) <> e.amount_minor - coalesce(x.allocated, 0)
        union all
        select 'bill', b.id::text, format('%s of %s: the ledger has %s and %s paid', b.amount_paid_minor, b.total_minor, coalesce(e.amount_minor, 0), coalesce(e.amount_minor - o.open_minor, 0))
        from public.bills b
        left join public.ledger_entries e on e.bill_id = b.id and e.kind = 'bill'
        left join public.open_items o on o.entry_id = e.id
        where (b.status = 'issued' and (e.id is null or e.amount_minor <> b.total_minor
                                        or coalesce(e.amount_minor - o.open_minor, 0) <> b.amount_paid_minor))
           or (b.status = 'draft' and e.id is not null)
           or (b.status = 'void' and (b.amount_paid_minor <> 0 or coalesce(o.open_minor, 0) <> 0))
        union all
        select 'payment', y.id::text, format('%s %s: not in the ledger as it is', y.amount_minor, y.currency)
        from public.payments y
        left join public.ledger_entries e on e.payment_id = y.id and e.kind = 'payment'
        where (y.customer_id is not null and (e.id is null or e.amount_minor <> -y.amount_minor or e.currency <> y.currency or e.book <> y.book))
           or (y.customer_id is null and e.id is not null)
        union all
        select 'return', r.id::text, format('%s %s: %s, and the ledger has another sum', r.amount_minor, r.currency, r.status)
        from public.payment_returns r
        left join (select return_id, sum(amount_minor) as total from public.ledger_entries where return_id is not null group by 1) e
            on e.return_id = r.id
        where r.customer_id is not null
          and coalesce(e.total, 0) <> case when r.status = 'done' then r.amount_minor else 0 end
    )
    select jsonb_build_object(
        'problems', coalesce((select jsonb_agg(to_jsonb(q)) from (select * from problems limit 100) q), '[]'),
        'entries', (select count(*) from public.ledger_entries),
        'balances', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.book), '[]')
                     from (select currency, book, sum(balance_minor)::bigint as balance_minor, count(*) as accounts
                           from public.accounts group by 1, 2) z))
$$;
comment on function public.check_ledger is
    'Adds everything up anew: {} -> {problems: [{what, subject, detail}], at most 100; entries; balances by currency and book}.';

-- Bills and payments from before there was a ledger.
do $$
begin
    perform set_config('billing.actor', 'system:migration', true);
    perform private.post_entries((
        select jsonb_agg(h.entry order by h.at, h.rank)
        from (
            select b.issued_at as at, 1 as rank, jsonb_build_object(
                       'id', b.id, 'customer_id', b.customer_id, 'currency', b.currency, 'kind', 'bill',
                       'amount_minor', b.total_minor, 'bill_id', b.id, 'on_date', b.issued_on, 'order_on', b.period_end) as entry
            from public.bills b where b.number is not null
            union all
            select y.received_at, 2, jsonb_build_object(
                       'id', y.id, 'customer_id', y.customer_id, 'currency', y.currency, 'kind', 'payment',
                       'amount_minor', -y.amount_minor, 'payment_id', y.id, 'on_date', y.received_on)
            from public.payments y
        ) h) );
    -- The bills have their amounts paid already.
    insert into public.allocations (credit_entry_id, debit_entry_id, amount_minor, actor)
    select y.id, y.bill_id, y.amount_minor, 'system:migration' from public.payments y;
    update public.open_items o set open_minor = 0 from public.payments y where o.entry_id = y.id;
    update public.open_items o set open_minor = b.total_minor - b.amount_paid_minor
    from public.bills b where o.entry_id = b.id and b.status = 'issued';
    perform private.undo_entry(b.id, 'bill_void', current_date, coalesce(b.void_reason, ''))
    from public.bills b where b.number is not null and b.status = 'void';
end $$;

alter table public.accounts enable row level security;
alter table public.payment_returns enable row level security;
alter table public.payment_flags enable row level security;
alter table public.ledger_entries enable row level security;
alter table public.open_items enable row level security;
alter table public.allocations enable row level security;
alter table public.month_closings enable row level security;
revoke all on public.accounts, public.payment_returns, public.payment_flags, public.ledger_entries, public.open_items,
    public.allocations, public.month_closings from public, anon, authenticated, service_role;
grant select, insert on public.ledger_entries, public.allocations, public.month_closings to service_role;
grant select, insert, update on public.accounts, public.payment_returns, public.payment_flags, public.open_items to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

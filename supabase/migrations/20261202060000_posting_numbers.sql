-- Each entry has a number in the order of posting, so that registers and the journal can be walked by day, and read like a book.
-- Money of nobody known is in no account; it is now posted as well, to be in the journal until somebody says whose it is.

create sequence public.posting_no;
comment on sequence public.posting_no is 'Numbers what is posted, in order; some numbers may be left out.';
revoke all on sequence public.posting_no from public, anon, authenticated;
grant usage, select on sequence public.posting_no to service_role;

alter table public.ledger_entries add column posting_no bigint not null default nextval('public.posting_no');
comment on column public.ledger_entries.posting_no is 'In the order of posting, over all accounts and what is posted of nobody known.';

create unique index ledger_entries_posted on public.ledger_entries (on_date, posting_no);
drop index public.ledger_entries_by_day;
create index ledger_entries_credits on public.ledger_entries (on_date, posting_no) where kind in ('credit', 'credit_undone');

create table public.suspense_entries (
    posting_no bigint primary key default nextval('public.posting_no'),
    kind text not null check (kind in ('payment', 'assigned', 'return', 'return_undone')),
    payment_id uuid not null references public.payments,
    return_id uuid references public.payment_returns,
    currency text not null,
    method text not null,
    amount_minor bigint not null check (amount_minor <> 0),
    on_date date not null,
    actor text not null check (actor <> ''),
    created_at timestamptz not null default now(),
    check ((kind in ('payment', 'return_undone')) = (amount_minor < 0)),
    check ((kind in ('return', 'return_undone')) = (return_id is not null))
);
comment on table public.suspense_entries is
    'Money received of nobody known, until it is assigned to an account or goes back: below 0 is held. Never changed.';
comment on column public.suspense_entries.on_date is
    'Local date it counts for; in a month that is closed, the first day that is open instead.';
create unique index suspense_entries_posted on public.suspense_entries (on_date, posting_no);
create unique index suspense_entries_of_payments on public.suspense_entries (payment_id, kind) where return_id is null;
create unique index suspense_entries_of_returns on public.suspense_entries (return_id, kind) where return_id is not null;
alter table public.suspense_entries enable row level security;
revoke all on public.suspense_entries from public, anon, authenticated, service_role;
grant select, insert on public.suspense_entries to service_role;
create trigger refuse_update before update on public.suspense_entries for each row execute function private.refuse_change();
create trigger refuse_delete before delete on public.suspense_entries for each row execute function private.refuse_delete();
create trigger refuse_truncate before truncate on public.suspense_entries for each statement execute function private.refuse_delete();

create function private.post_suspense() returns trigger
    language plpgsql set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_open_from date;
begin
    if tg_op = 'INSERT' and not exists (select 1 from new_rows where customer_id is null) then
        return null;
    end if;
    -- Shared by all who post; who closes a month has it alone.
    perform pg_advisory_xact_lock_shared(hashtext('ledger'));
    v_open_from := private.open_from();
    if tg_table_name = 'payments' and tg_op = 'INSERT' then
        insert into public.suspense_entries (kind, payment_id, currency, method, amount_minor, on_date, actor)
        select 'payment', n.id, n.currency, n.method, -n.amount_minor, greatest(n.received_on, v_open_from),
               coalesce(nullif(n.recorded_by, ''), 'unknown')
        from new_rows n where n.customer_id is null order by n.received_at, n.id;
    elsif tg_table_name = 'payments' then
        insert into public.suspense_entries (kind, payment_id, currency, method, amount_minor, on_date, actor)
        select 'assigned', n.id, n.currency, n.method, n.amount_minor, greatest(n.received_on, v_open_from),
               current_setting('billing.actor')
        from new_rows n join old_rows o on o.id = n.id
        where o.customer_id is null and n.customer_id is not null order by n.received_at, n.id;
    else
        insert into public.suspense_entries (kind, payment_id, return_id, currency, method, amount_minor, on_date, actor)
        select 'return', n.payment_id, n.id, n.currency, n.method, n.amount_minor, greatest(n.on_date, v_open_from), n.created_by
        from new_rows n
        where n.customer_id is null and n.status = 'done'
          and not exists (select 1 from public.suspense_entries s where s.return_id = n.id and s.kind = 'return');
        insert into public.suspense_entries (kind, payment_id, return_id, currency, method, amount_minor, on_date, actor)
        select 'return_undone', n.payment_id, n.id, n.currency, n.method, -n.amount_minor,
               greatest(n.on_date, now()::date, v_open_from), current_setting('billing.actor')
        from new_rows n
        where n.customer_id is null and n.status = 'undone'
          and not exists (select 1 from public.suspense_entries s where s.return_id = n.id and s.kind = 'return_undone');
    end if;
    return null;
end $$;
comment on function private.post_suspense() is 'Posts what comes of nobody known, is assigned, or goes back.';
revoke all on function private.post_suspense() from public, anon, authenticated;
grant execute on function private.post_suspense() to service_role;

insert into public.suspense_entries (kind, payment_id, currency, method, amount_minor, on_date, actor)
select 'payment', y.id, y.currency, y.method, -y.amount_minor, greatest(y.received_on, private.open_from()),
       coalesce(nullif(y.recorded_by, ''), 'unknown')
from public.payments y where y.customer_id is null order by y.received_at, y.id;
insert into public.suspense_entries (kind, payment_id, return_id, currency, method, amount_minor, on_date, actor)
select k.kind, r.payment_id, r.id, r.currency, r.method, k.sign * r.amount_minor, greatest(r.on_date, private.open_from()), r.created_by
from public.payment_returns r
cross join lateral (values ('return', 1, true), ('return_undone', -1, r.status = 'undone')) k(kind, sign, counts)
where r.customer_id is null and r.status in ('done', 'undone') and k.counts order by r.created_at, k.kind;

create trigger payments_of_nobody_posted after insert on public.payments
    referencing new table as new_rows for each statement execute function private.post_suspense();
create trigger payments_assigned_posted after update on public.payments
    referencing old table as old_rows new table as new_rows for each statement execute function private.post_suspense();
create trigger returns_of_nobody_posted after insert on public.payment_returns
    referencing new table as new_rows for each statement execute function private.post_suspense();
create trigger ended_returns_of_nobody_posted after update on public.payment_returns
    referencing new table as new_rows for each statement execute function private.post_suspense();

-- Of several entries that come together the numbers follow their order, such as that of the bills of a run.
create or replace function private.post_entries(p_entries jsonb) returns void
    language plpgsql set search_path = '' set enable_hashjoin = on as $$
declare
    v_open_from date := private.open_from();
begin
    -- Shared by all who post; who closes a month has it alone.
    perform pg_advisory_xact_lock_shared(hashtext('ledger'));
    with incoming as materialized (
        select coalesce(e.id, gen_random_uuid()) as id, e.customer_id, coalesce(e.book, 'account') as book, e.currency,
               e.kind, e.amount_minor, e.bill_id, e.payment_id, e.return_id, e.undoes_id,
               greatest(e.on_date, v_open_from) as on_date,
               coalesce(e.order_on, e.on_date) as order_on, coalesce(e.note, '') as note,
               e.position, row_number() over (w order by e.position)::integer as place,
               sum(e.amount_minor) over (w order by e.position)::bigint as running
        from rows from (jsonb_to_recordset(p_entries) as (
                 id uuid, customer_id uuid, book text, currency text, kind text, amount_minor bigint, bill_id uuid,
                 payment_id uuid, return_id uuid, undoes_id uuid, on_date date, order_on date, note text)
             ) with ordinality as e(
                 id, customer_id, book, currency, kind, amount_minor, bill_id, payment_id, return_id, undoes_id,
                 on_date, order_on, note, position)
        window w as (partition by e.customer_id, coalesce(e.book, 'account'), e.currency)
    ), moved as (
        insert into public.accounts as a (customer_id, book, currency, balance_minor, entries)
        select i.customer_id, i.book, i.currency, sum(i.amount_minor)::bigint, count(*)::integer
        from incoming i group by 1, 2, 3 order by 1, 2, 3
        on conflict (customer_id, book, currency) do update
        set balance_minor = a.balance_minor + excluded.balance_minor, entries = a.entries + excluded.entries
        returning a.customer_id, a.book, a.currency, a.balance_minor, a.entries
    ), placed as (
        select i.*, m.entries - max(i.place) over w + i.place as entry_no,
               m.balance_minor - sum(i.amount_minor) over w + i.running as balance_minor
        from incoming i join moved m using (customer_id, book, currency)
        window w as (partition by i.customer_id, i.book, i.currency)
    ), posted as (
        insert into public.ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor, balance_minor,
                                           bill_id, payment_id, return_id, undoes_id, on_date, note, actor)
        select p.id, p.customer_id, p.book, p.currency, p.entry_no, p.kind, p.amount_minor, p.balance_minor,
               p.bill_id, p.payment_id, p.return_id, p.undoes_id, p.on_date, p.note, current_setting('billing.actor')
        from placed p order by p.position
    )
    insert into public.open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor, open_minor)
    select p.id, p.customer_id, p.book, p.currency, p.entry_no, p.order_on, p.amount_minor, p.amount_minor
    from placed p
    where p.amount_minor <> 0;
end $$;

-- Whatever else is archived by then stays so.
do $$ begin
    execute replace(pg_get_functiondef('private.archived_tables()'::regprocedure), '''month_closings''',
                    '''month_closings'', ''suspense_entries''');
end $$;

-- Open charges that are due, such as fees, climb the ladder with the account's bills, and alone where no bill is overdue.

create index ledger_entries_charges on public.ledger_entries (customer_id)
    where book = 'account' and kind in ('fee', 'opening_balance') and amount_minor > 0;

do $do$
declare
    -- With the kinds that it has by now, whichever those are.
    v_check constant text := (select pg_get_constraintdef(c.oid) from pg_catalog.pg_constraint c
                              where c.conrelid = 'public.outbox'::regclass and c.conname = 'outbox_kind_check');
begin
    alter table public.outbox drop constraint outbox_kind_check;
    execute 'alter table public.outbox add constraint outbox_kind_check '
            || replace(v_check, $$'bill_corrected'::text$$, $$'bill_corrected'::text, 'charges_overdue'::text$$);
end $do$;

create function private.due_charges_of(p_customers uuid[], p_today date)
    returns table (customer_id uuid, currency text, occasion text, due_date date, open_minor bigint, bill_id uuid)
    language plpgsql stable set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    with charges as materialized (
        select e.customer_id, e.currency, e.id, e.on_date, e.entry_no, o.open_minor
        from public.ledger_entries e
        join public.open_items o on o.entry_id = e.id and o.open_minor > 0
        where e.customer_id = any (p_customers) and e.book = 'account' and e.kind in ('fee', 'opening_balance') and e.amount_minor > 0
    ), first as materialized (
        select distinct on (c.customer_id, c.currency) c.* from charges c order by c.customer_id, c.currency, c.on_date, c.entry_no
    ), anchors as materialized (
        -- Messages hang on a bill: on the one that was there when the charge was made, else on the next.
        select f.customer_id, f.currency, f.id as entry_id, b.id, b.term
        from first f
        cross join lateral (
            select x.id, greatest(0, x.due_date - x.issued_on) as term from public.bills x
            where x.customer_id = f.customer_id and x.currency = f.currency and x.status = 'issued'
            order by x.issued_on <= f.on_date desc, abs(x.issued_on - f.on_date), x.id limit 1) b)
    select c.customer_id, c.currency, 'charges-' || a.entry_id, min(c.on_date) + a.term, sum(c.open_minor)::bigint, a.id
    from charges c join anchors a on a.customer_id = c.customer_id and a.currency = c.currency
    where c.on_date + a.term < p_today
    group by c.customer_id, c.currency, a.entry_id, a.term, a.id;
end $$;
comment on function private.due_charges_of(uuid[], date) is 'What is open and due on some accounts beside their bills, such as fees and opening balances: as one debt, which is that of the oldest of them. A charge is due after as many days as the account''s bills are. Accounts without a bill have none: there is nothing that a message could hang on.';

create or replace function private.accounts_in_arrears(p_after uuid, p_limit integer) returns uuid[]
    language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
    v_after constant uuid := coalesce(p_after, '00000000-0000-0000-0000-000000000000'::uuid);
begin
    return array(
        select x.customer_id
        from ((select distinct b.customer_id from public.bills b
               where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
                 and b.customer_id > v_after
               order by 1 limit p_limit)
              union
              (select distinct e.customer_id from public.ledger_entries e
               where e.book = 'account' and e.kind in ('fee', 'opening_balance') and e.amount_minor > 0 and e.customer_id > v_after
                 and exists (select 1 from public.open_items o where o.entry_id = e.id and o.open_minor > 0 offset 0)
               order by 1 limit p_limit)) x
        order by 1 limit p_limit);
end $$;
comment on function private.accounts_in_arrears(uuid, integer) is 'The next accounts, by id, that have overdue bills or open charges.';

create or replace function private.dunning_due(p_customers uuid[], p_today date)
    returns table (customer_id uuid, currency text, bill_id uuid, occasion text, step text, action text, day integer, policy_id uuid,
                   due_date date, amount_minor bigint, bills integer, fee_minor bigint, tax_minor bigint, notice_days integer, wait text)
    language plpgsql stable set search_path = '' as $$
#variable_conflict use_column
declare
    v_dunned constant uuid[] := private.dunned_of(array(
        select b.id from public.bills b
        where b.customer_id = any (p_customers) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.overdue_since is not null));
    v_held constant uuid[] := private.held_of(p_customers, p_today);
begin
    return query
    with charges as materialized (select c.* from private.due_charges_of(p_customers, p_today) c
    ), debts as materialized (
        select b.customer_id, b.currency, b.id, b.due_date, b.total_minor - b.amount_paid_minor as open_minor, o.occasion,
               false as of_charges
        from public.bills b join private.dunning_occasions(v_dunned) o on o.bill_id = b.id
        where b.id = any (v_dunned)
        union all
        -- Beside an overdue bill, also one in a plan, charges have no ladder of their own.
        select c.customer_id, c.currency, c.bill_id, c.due_date, c.open_minor, c.occasion, true
        from charges c
        where not exists (select 1 from public.bills b
                          where b.customer_id = c.customer_id and b.currency = c.currency and b.status = 'issued'
                            and b.amount_paid_minor < b.total_minor and b.overdue_since is not null)
    ), steps as materialized (
        select s.* from private.dunning_steps_on(array(select distinct d.currency from debts d), p_today) s where s.action <> 'reminder'
    ), taken as materialized (
        select a.bill_id, a.occasion, a.action, a.day, a.taken_on, a.given_on, a.fee_minor
        from public.dunning_actions a where a.bill_id = any (v_dunned) and a.action <> 'reminder'
        union all
        select a.bill_id, a.occasion, a.action, a.day, a.taken_on, a.given_on, a.fee_minor
        from public.dunning_actions a
        where a.customer_id = any (array(select d.customer_id from debts d where d.of_charges)) and a.occasion like 'charges-%'
          and a.bill_id <> all (v_dunned)
    ), accounts as materialized (
        select d.customer_id, d.currency,
               sum(d.open_minor)::bigint + case when bool_or(d.of_charges) then 0 else coalesce(max(c.open_minor), 0) end as amount,
               count(*) filter (where not d.of_charges)::integer as bills, min(d.due_date) as due_date,
               (array_agg(d.id order by d.due_date, d.id))[1] as anchor,
               (array_agg(d.occasion order by d.due_date, d.id))[1] as occasion, bool_or(d.of_charges) as of_charges
        from debts d left join charges c on c.customer_id = d.customer_id and c.currency = d.currency
        group by 1, 2
    ), reached as materialized (
        -- The account is as far up as any of its debts.
        select d.customer_id, d.currency, max(t.day) as day, max(t.given_on) filter (where t.action = 'notice') as given_on,
               (array_agg(t.taken_on order by t.day desc, t.taken_on desc))[1] as taken_on, max(t.taken_on) as last_on
        from taken t join debts d on d.occasion = t.occasion and (d.of_charges or d.id = t.bill_id)
        group by 1, 2
    ), levels as materialized (
        select c.*, r.day, r.taken_on, r.given_on
        from accounts c
        left join reached r on r.customer_id = c.customer_id and r.currency = c.currency
        -- One step a night.
        where r.last_on is null or r.last_on < p_today
    ), missing as materialized (
        select d.customer_id, d.currency, d.id as bill_id, d.occasion, d.due_date, d.open_minor, d.of_charges, s.*, l.bills as of_bills
        from debts d
        join levels l on l.customer_id = d.customer_id and l.currency = d.currency
        join (select x.currency as of, x.policy_id, x.minimum_minor, x.notice_days, x.late_fee, x.step, x.action, x.day, x.fee
              from steps x where x.action = 'overdue') s
            on s.of = d.currency and d.due_date + s.day <= p_today
        where coalesce(l.day, 0) <= s.day and l.amount >= s.minimum_minor
          and not exists (select 1 from taken t
                          where t.occasion = d.occasion and (d.of_charges or t.bill_id = d.id) and t.action = 'overdue')
    ), next as materialized (
        -- In order, and no faster than the policy goes: who was left alone for long begins at the first step.
        select distinct on (l.customer_id, l.currency)
               l.customer_id, l.currency, l.anchor as bill_id, l.occasion, l.due_date, l.amount as open_minor, l.of_charges, s.policy_id,
               s.minimum_minor, s.notice_days, s.late_fee, s.step, s.action, s.day, s.fee, l.bills, l.day as last_day, l.taken_on, l.given_on
        from levels l
        join steps s on s.currency = l.currency and s.action <> 'overdue' and s.day > coalesce(l.day, 0)
             -- Nobody is cut off for charges alone.
             and (not l.of_charges or s.action = 'demand')
        where not exists (select 1 from missing m where m.customer_id = l.customer_id and m.currency = l.currency)
        order by l.customer_id, l.currency, s.day
    ), found as (
        select m.customer_id, m.currency, m.bill_id, m.occasion, m.due_date, m.open_minor, m.of_charges, m.policy_id, m.notice_days,
               m.late_fee, m.step, m.action, m.day, m.fee, case when m.of_charges then 0 else 1 end as bills, '' as wait
        from missing m
        union all
        select n.customer_id, n.currency, n.bill_id, n.occasion, n.due_date, n.open_minor, n.of_charges, n.policy_id, n.notice_days,
               n.late_fee, n.step, n.action, n.day, n.fee, n.bills,
               case when n.action = 'disconnection' and n.given_on is null then 'notice' else '' end
        from next n
        where n.open_minor >= n.minimum_minor and n.due_date + n.day <= p_today
          and (n.taken_on is null or n.taken_on + (n.day - n.last_day) <= p_today)
          and (n.action <> 'disconnection' or n.given_on is null or n.given_on + n.notice_days <= p_today)
    ), charged as (
        select f.*,
               -- No fee is charged on fees.
               case when f.fee and f.late_fee is not null and not f.of_charges then greatest(0, least(
                   (f.late_fee ->> 'fixed_minor')::bigint
                   + round(b.base * (f.late_fee ->> 'percent_bp')::numeric / 10000)::bigint,
                   (f.late_fee ->> 'cap_minor')::bigint - b.before)) else 0 end as net
        from found f
        cross join lateral (
            select coalesce((select sum(t.fee_minor) from taken t where t.bill_id = f.bill_id), 0)::bigint as before,
                   coalesce((select sum(d.open_minor) from debts d
                             where d.customer_id = f.customer_id and d.currency = f.currency and not d.of_charges
                               and (f.action <> 'overdue' or d.id = f.bill_id)
                               and d.due_date + (f.late_fee ->> 'grace_days')::integer < p_today), 0)::numeric as base) b)
    select c.customer_id, c.currency, c.bill_id, c.occasion, c.step, c.action, c.day, c.policy_id, c.due_date, c.open_minor, c.bills,
           c.net, case when c.net > 0 then round(c.net::numeric * (c.late_fee ->> 'tax_bp')::numeric / 10000)::bigint else 0 end,
           c.notice_days, case when c.customer_id = any (v_held) then 'held' else c.wait end
    from charged c;
end $$;
comment on function private.dunning_due(uuid[], date) is 'Of some accounts the step that is due on a local date: the next of the ladder of their oldest unpaid bill, or overdue notices that some bills did not have yet; where no bill is overdue, of the charges that are open and due, up to the demands (their occasion begins with charges-). wait: held, or notice where the disconnection notice has reached nobody.';

create function private.why_charges_unsaid(p_customer uuid, p_currency text, p_today date) returns text
    language sql stable set search_path = '' as $$
    select case
        when not exists (select 1 from private.due_charges_of(array[p_customer], p_today) c where c.currency = p_currency)
            then 'the charges are paid by now'
        when exists (select 1 from public.bills b where b.customer_id = p_customer and b.currency = p_currency and b.status = 'issued'
                       and b.amount_paid_minor < b.total_minor and b.overdue_since is not null)
            then 'a bill is overdue by now, and its notice names the charges too'
        when private.owes_nothing(p_customer, p_currency) then 'credit on the account covers the charges'
        when private.held_of(array[p_customer], p_today) <> '{}' then 'dunning of the account is on hold'
        when (select coalesce(sum(o.owed_minor), 0) from private.owed_of(array[p_customer]) o where o.currency = p_currency)
            < (private.dunning_policy_on(p_currency, p_today) ->> 'minimum_minor')::bigint
            then 'what is left is a small balance, which is left alone'
        else '' end
$$;
comment on function private.why_charges_unsaid(uuid, text, date) is 'Why a message about charges that are due is no longer sent, or nothing.';

create or replace function public.arrears_of_bill(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'overdue_minor', t.overdue_minor, 'bills', t.bills, 'since', t.since,
        'charges_minor', coalesce(c.open_minor, 0), 'charges_since', c.due_date)
    from public.bills x
    cross join lateral (
        select coalesce(sum(b.total_minor - b.amount_paid_minor), 0)::bigint as overdue_minor, count(*) as bills, min(b.due_date) as since
        from public.bills b
        where b.customer_id = x.customer_id and b.currency = x.currency and b.status = 'issued'
          and b.amount_paid_minor < b.total_minor and b.overdue_since is not null) t
    left join lateral (
        select y.open_minor, y.due_date
        from private.due_charges_of(array[x.customer_id], coalesce((p ->> 'today')::date, current_date)) y
        where y.currency = x.currency) c on true
    where x.id = (p ->> 'bill_id')::uuid
$$;
comment on function public.arrears_of_bill(jsonb) is 'What the account of a bill owes overdue in its currency: {bill_id, today?} -> {overdue_minor: of bills, bills, since, charges_minor: of charges that are due, charges_since}.';

revoke all on function private.due_charges_of, private.why_charges_unsaid from public;
grant execute on function private.due_charges_of, private.why_charges_unsaid to service_role;

do $do$
declare
    v_text text := pg_get_functiondef('public.why_unsaid(jsonb)'::regprocedure);
begin
    if v_text not like '%when x.kind = ''payment_received'' then ''''%' then
        raise exception 'why_unsaid has changed: look at charges there.';
    end if;
    execute replace(v_text, 'when x.kind = ''payment_received'' then ''''', 'when x.kind = ''payment_received'' then ''''
            when x.kind = ''charges_overdue'' then private.why_charges_unsaid(b.customer_id, b.currency, (p ->> ''today'')::date)');
    v_text := pg_get_functiondef('private.take_dunning(jsonb, jsonb)'::regprocedure);
    if v_text not like '%case a.action when ''reminder'' then ''payment_reminder''%' or v_text not like '%case when a.action in (''demand'', ''notice'') or a.fee_minor > 0%' then
        raise exception 'take_dunning has changed: look at charges there.';
    end if;
    v_text := replace(v_text, 'case a.action when ''reminder'' then ''payment_reminder''',
                      'case when a.occasion like ''charges-%'' then ''charges_overdue'' when a.action = ''reminder'' then ''payment_reminder''');
    v_text := replace(v_text, 'when ''notice'' then ''disconnection_notice'' else', 'when a.action = ''notice'' then ''disconnection_notice'' else');
    execute replace(v_text, 'case when a.action in (''demand'', ''notice'') or a.fee_minor > 0',
                    'case when a.action in (''demand'', ''notice'') or a.fee_minor > 0 or a.occasion like ''charges-%''');
end $do$;

-- Dunning by account, as a ladder that a policy sets: what is due, taken once, with its message and its late fee.

create table public.dunning_policies (
    id uuid primary key,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    version integer not null check (version > 0),
    valid_from date not null,
    minimum_minor bigint not null check (minimum_minor >= 0),
    notice_days integer not null check (notice_days between 1 and 365),
    steps jsonb not null check (jsonb_typeof(steps) = 'array'),
    late_fee jsonb check (jsonb_typeof(late_fee) = 'object'),
    created_by text not null check (created_by <> ''),
    created_at timestamptz not null default now(),
    unique (currency, version)
);
comment on table public.dunning_policies is 'What is done about open bills, by currency, in versions: of those that are valid on a day the highest holds. Never changed. Where there is none, private.default_dunning_policy holds.';
comment on column public.dunning_policies.minimum_minor is 'Accounts with less than that overdue are left alone.';
comment on column public.dunning_policies.notice_days is 'Days that must go by between a disconnection notice and the work order that cuts the supply.';
comment on column public.dunning_policies.steps is '[{key, action: reminder|overdue|demand|notice|disconnection, day: from the due date, fee: whether the late fee is charged}], by day. Checked by services/dunning/policy.py.';
comment on column public.dunning_policies.late_fee is '{fixed_minor, percent_bp and tax_bp in hundredths of a percent, cap_minor, grace_days}.';
alter table public.dunning_policies enable row level security;
revoke all on public.dunning_policies from public, anon, authenticated, service_role;
grant select, insert on public.dunning_policies to service_role;
select private.audit_table('public.dunning_policies');
select private.never_changed('public.dunning_policies');

create table public.dunning_actions (
    id uuid primary key,
    customer_id uuid not null references public.customers (id),
    currency text not null,
    bill_id uuid not null references public.bills (id),
    occasion text not null default '',
    step text not null check (step <> ''),
    action text not null check (action in ('reminder', 'overdue', 'demand', 'notice', 'disconnection')),
    day integer not null,
    policy_id uuid references public.dunning_policies (id),
    taken_on date not null,
    amount_minor bigint not null,
    fee_minor bigint not null default 0 check (fee_minor >= 0),
    tax_minor bigint not null default 0 check (tax_minor >= 0),
    given_on date,
    given_by text,
    created_at timestamptz not null default now(),
    constraint dunning_actions_once unique (bill_id, occasion, step)
);
comment on table public.dunning_actions is 'Each step of the ladder that was taken, once for a debt. The debt is that of a bill: of a reminder and an overdue notice their own, of the other steps the oldest unpaid bill of the account, with which the debt began.';
comment on column public.dunning_actions.occasion is 'After a sparing or a plan has ended the debt is one of its own: the id of that, else empty.';
comment on column public.dunning_actions.policy_id is 'The version by which it was taken; null of the default.';
comment on column public.dunning_actions.fee_minor is 'Late fee without its tax. The fee''s ledger entry, of fee and tax together, has the id of this row.';
comment on column public.dunning_actions.given_on is 'Of a disconnection notice the local date on which it reached the customer: sent, or handed over by somebody. From then on the wait counts.';
create index dunning_actions_customer on public.dunning_actions (customer_id, taken_on desc);
create index dunning_actions_day on public.dunning_actions (taken_on, id);
create index dunning_notices_not_given on public.dunning_actions (taken_on, id) where action = 'notice' and given_on is null;
alter table public.dunning_actions enable row level security;
revoke all on public.dunning_actions from public, anon, authenticated, service_role;
grant select, insert, update on public.dunning_actions to service_role;

-- The accounts that owe something overdue, in pages by customer, and since when.
create index bills_in_arrears on public.bills (customer_id, due_date, id)
    where status = 'issued' and amount_paid_minor < total_minor and overdue_since is not null;
create index bills_in_arrears_by_day on public.bills (due_date, id)
    where status = 'issued' and amount_paid_minor < total_minor and overdue_since is not null;

alter table public.outbox drop constraint outbox_kind_check;
alter table public.outbox add constraint outbox_kind_check check (kind = any (array[
    'bill_issued', 'payment_reminder', 'overdue_notice', 'disconnection_notice', 'payment_received', 'balance_changed', 'bill_corrected']));

create function private.default_dunning_policy(p_currency text) returns jsonb
    language sql immutable set search_path = '' as $$
    select jsonb_build_object(
        'id', null, 'currency', p_currency, 'version', 0, 'valid_from', null,
        -- One of the currency, or a hundred of one that has no smaller unit.
        'minimum_minor', case when p_currency = any (array['BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND']) then 1000 else 100 end,
        'notice_days', 15, 'late_fee', null,
        'steps', '[{"key": "reminder", "action": "reminder", "day": -3, "fee": false},
                   {"key": "overdue", "action": "overdue", "day": 1, "fee": false}]'::jsonb)
$$;
comment on function private.default_dunning_policy(text) is 'What is done where a utility has set no policy: a reminder three days before, a notice the day after, balances of cents left alone.';

create function private.dunning_policy_on(p_currency text, p_today date) returns jsonb
    language sql stable set search_path = '' as $$
    select coalesce(
        (select to_jsonb(x) from public.dunning_policies x
         where x.currency = p_currency and x.valid_from <= p_today order by x.version desc limit 1),
        private.default_dunning_policy(p_currency))
$$;
comment on function private.dunning_policy_on(text, date) is 'The policy of a currency that holds on a local date.';

create function private.dunning_steps_on(p_currencies text[], p_today date)
    returns table (currency text, policy_id uuid, minimum_minor bigint, notice_days integer, late_fee jsonb,
                   step text, action text, day integer, fee boolean)
    language sql stable set search_path = '' as $$
    select c.currency, (c.policy ->> 'id')::uuid, (c.policy ->> 'minimum_minor')::bigint, (c.policy ->> 'notice_days')::integer,
           nullif(c.policy -> 'late_fee', 'null'), s.key, s.action, s.day, coalesce(s.fee, false)
    from (select x as currency, private.dunning_policy_on(x, p_today) as policy from unnest(p_currencies) x) c
    cross join lateral jsonb_to_recordset(c.policy -> 'steps') as s(key text, action text, day integer, fee boolean)
$$;
comment on function private.dunning_steps_on(text[], date) is 'The steps of the policies of some currencies that hold on a local date.';

create function private.dunning_occasions(p_bills uuid[]) returns table (bill_id uuid, occasion text)
    language sql stable set search_path = '' as $$
    select b.id, coalesce(e.occasion, '')
    from unnest(p_bills) b(id)
    left join (
        select distinct on (x.bill_id) x.bill_id, x.occasion
        from (select s.bill_id, s.id::text as occasion, coalesce(s.released_at, s.until) as ended_at
              from public.spared_bills s where s.bill_id = any (p_bills)
              union all
              select p.bill_id, i.id::text, i.ended_at
              from public.plan_bills p join public.instalment_plans i on i.id = p.plan_id
              where p.bill_id = any (p_bills) and i.ended_at is not null) x
        order by x.bill_id, x.ended_at desc) e on e.bill_id = b.id
$$;
comment on function private.dunning_occasions(uuid[]) is 'Of some bills the sparing or the plan that ended last, after which a debt is one of its own: the customer hears again that the bill is to be paid.';

create function private.owed_of(p_customers uuid[]) returns table (customer_id uuid, currency text, owed_minor bigint)
    language sql stable set search_path = '' as $$
    select o.customer_id, o.currency, sum(o.open_minor)::bigint
    from public.open_items o
    where o.customer_id = any (p_customers) and o.book = 'account' and o.open_minor <> 0
    group by 1, 2
$$;
comment on function private.owed_of(uuid[]) is 'What some accounts owe in all, less credit that lies open.';

create function private.overdue_of(p_customers uuid[]) returns table (customer_id uuid, currency text, overdue_minor bigint)
    language sql stable set search_path = '' as $$
    select b.customer_id, b.currency, sum(b.total_minor - b.amount_paid_minor)::bigint
    from public.bills b
    where b.customer_id = any (p_customers) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
      and b.overdue_since is not null
    group by 1, 2
$$;
comment on function private.overdue_of(uuid[]) is 'What is overdue on some accounts, bills in plans and spared ones with it.';

create function private.reminders_due(p_bills uuid[], p_today date)
    returns table (customer_id uuid, currency text, bill_id uuid, occasion text, step text, action text, day integer, policy_id uuid,
                   due_date date, amount_minor bigint, bills integer, fee_minor bigint, tax_minor bigint, notice_days integer, wait text)
    language plpgsql stable set search_path = '' as $$
#variable_conflict use_column
declare
    v_customers constant uuid[] := array(select distinct b.customer_id from public.bills b where b.id = any (p_bills));
    v_held constant uuid[] := private.held_of(v_customers, p_today);
begin
    return query
    with steps as materialized (
        select s.* from private.dunning_steps_on(
            array(select distinct b.currency from public.bills b where b.id = any (p_bills)), p_today) s where s.action = 'reminder'
    ), owed as materialized (select o.* from private.owed_of(v_customers) o
    ), taken as materialized (
        select a.bill_id, max(a.day) as day from public.dunning_actions a
        where a.bill_id = any (p_bills) and a.action = 'reminder' group by 1)
    select distinct on (b.id)
           b.customer_id, b.currency, b.id, '', s.step, s.action, s.day, s.policy_id, b.due_date,
           b.total_minor - b.amount_paid_minor, 1, 0::bigint, 0::bigint, s.notice_days,
           case when b.customer_id = any (v_held) then 'held' else '' end
    from public.bills b
    join steps s on s.currency = b.currency and b.due_date + s.day <= p_today and p_today <= b.due_date
    join owed o on o.customer_id = b.customer_id and o.currency = b.currency and o.owed_minor >= s.minimum_minor
    left join taken t on t.bill_id = b.id
    where b.id = any (p_bills) and (t.day is null or t.day < s.day)
    order by b.id, s.day desc;
end $$;
comment on function private.reminders_due(uuid[], date) is 'Of some bills that are dunned the reminder that is due on a local date: the latest whose day has come, once. wait: held, where the account is on hold.';

create function private.overdue_notices_due(p_bills uuid[], p_today date)
    returns table (customer_id uuid, currency text, bill_id uuid, occasion text, step text, action text, day integer, policy_id uuid,
                   due_date date, amount_minor bigint, bills integer, fee_minor bigint, tax_minor bigint, notice_days integer, wait text)
    language plpgsql stable set search_path = '' as $$
#variable_conflict use_column
declare
    v_customers constant uuid[] := array(select distinct b.customer_id from public.bills b where b.id = any (p_bills));
    v_held constant uuid[] := private.held_of(v_customers, p_today);
begin
    return query
    with steps as materialized (
        select s.* from private.dunning_steps_on(
            array(select distinct b.currency from public.bills b where b.id = any (p_bills)), p_today) s
        -- A fee is charged by the account's pass, which locks the account.
        where s.action = 'overdue' and not s.fee
    ), marked as materialized (select o.* from private.overdue_of(v_customers) o
    ), new as materialized (
        -- What is not marked yet is about to be.
        select b.customer_id, b.currency, sum(b.total_minor - b.amount_paid_minor)::bigint as open_minor
        from public.bills b where b.id = any (p_bills) and b.overdue_since is null group by 1, 2
    ), levels as materialized (
        -- An account that is further up gets no notice of a younger bill: its next step names that too.
        select b.customer_id, b.currency, max(a.day) as day
        from public.bills b join public.dunning_actions a on a.bill_id = b.id and a.action <> 'reminder'
        join private.dunning_occasions(array(
            select x.id from public.bills x where x.customer_id = any (v_customers) and x.status = 'issued'
              and x.amount_paid_minor < x.total_minor and x.overdue_since is not null)) o
            on o.bill_id = a.bill_id and o.occasion = a.occasion
        group by 1, 2)
    select b.customer_id, b.currency, b.id, o.occasion, s.step, s.action, s.day, s.policy_id, b.due_date,
           b.total_minor - b.amount_paid_minor, 1, 0::bigint, 0::bigint, s.notice_days,
           case when b.customer_id = any (v_held) then 'held' else '' end
    from public.bills b
    join private.dunning_occasions(p_bills) o on o.bill_id = b.id
    join steps s on s.currency = b.currency and b.due_date + s.day <= p_today
    left join marked m on m.customer_id = b.customer_id and m.currency = b.currency
    left join new n on n.customer_id = b.customer_id and n.currency = b.currency
    left join levels l on l.customer_id = b.customer_id and l.currency = b.currency
    where b.id = any (p_bills) and coalesce(m.overdue_minor, 0) + coalesce(n.open_minor, 0) >= s.minimum_minor
      and coalesce(l.day, 0) <= s.day
      and not exists (select 1 from public.dunning_actions a
                      where a.bill_id = b.id and a.occasion = o.occasion and a.action = 'overdue');
end $$;
comment on function private.overdue_notices_due(uuid[], date) is 'Which of some bills that are past due and dunned have their notice due on a local date, each a message of its own.';

create function private.dunning_due(p_customers uuid[], p_today date)
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
    with debts as materialized (
        select b.customer_id, b.currency, b.id, b.due_date, b.total_minor - b.amount_paid_minor as open_minor, o.occasion
        from public.bills b join private.dunning_occasions(v_dunned) o on o.bill_id = b.id
        where b.id = any (v_dunned)
    ), steps as materialized (
        select s.* from private.dunning_steps_on(array(select distinct d.currency from debts d), p_today) s where s.action <> 'reminder'
    ), taken as materialized (
        select a.bill_id, a.occasion, a.action, a.day, a.taken_on, a.given_on, a.fee_minor
        from public.dunning_actions a where a.bill_id = any (v_dunned) and a.action <> 'reminder'
    ), accounts as materialized (
        select d.customer_id, d.currency, sum(d.open_minor)::bigint as amount, count(*)::integer as bills, min(d.due_date) as due_date,
               (array_agg(d.id order by d.due_date, d.id))[1] as anchor,
               (array_agg(d.occasion order by d.due_date, d.id))[1] as occasion
        from debts d group by 1, 2
    ), reached as materialized (
        -- The account is as far up as any of its debts.
        select d.customer_id, d.currency, max(t.day) as day, max(t.given_on) filter (where t.action = 'notice') as given_on,
               (array_agg(t.taken_on order by t.day desc, t.taken_on desc))[1] as taken_on, max(t.taken_on) as last_on
        from taken t join debts d on d.id = t.bill_id and d.occasion = t.occasion
        group by 1, 2
    ), levels as materialized (
        select c.*, r.day, r.taken_on, r.given_on
        from accounts c
        left join reached r on r.customer_id = c.customer_id and r.currency = c.currency
        -- One step a night.
        where r.last_on is null or r.last_on < p_today
    ), missing as materialized (
        select d.customer_id, d.currency, d.id as bill_id, d.occasion, d.due_date, d.open_minor, s.*, 1 as bills
        from debts d
        join levels l on l.customer_id = d.customer_id and l.currency = d.currency
        join (select x.currency as of, x.policy_id, x.minimum_minor, x.notice_days, x.late_fee, x.step, x.action, x.day, x.fee
              from steps x where x.action = 'overdue') s
            on s.of = d.currency and d.due_date + s.day <= p_today
        where coalesce(l.day, 0) <= s.day and l.amount >= s.minimum_minor
          and not exists (select 1 from taken t where t.bill_id = d.id and t.occasion = d.occasion and t.action = 'overdue')
    ), next as materialized (
        -- In order, and no faster than the policy goes: who was left alone for long begins at the first step.
        select distinct on (l.customer_id, l.currency)
               l.customer_id, l.currency, l.anchor as bill_id, l.occasion, l.due_date, l.amount as open_minor, s.policy_id, s.minimum_minor,
               s.notice_days, s.late_fee, s.step, s.action, s.day, s.fee, l.bills, l.day as last_day, l.taken_on, l.given_on
        from levels l
        join steps s on s.currency = l.currency and s.action <> 'overdue' and s.day > coalesce(l.day, 0)
        where not exists (select 1 from missing m where m.customer_id = l.customer_id and m.currency = l.currency)
        order by l.customer_id, l.currency, s.day
    ), found as (
        select m.customer_id, m.currency, m.bill_id, m.occasion, m.due_date, m.open_minor, m.policy_id, m.notice_days, m.late_fee,
               m.step, m.action, m.day, m.fee, m.bills, '' as wait
        from missing m
        union all
        select n.customer_id, n.currency, n.bill_id, n.occasion, n.due_date, n.open_minor, n.policy_id, n.notice_days, n.late_fee,
               n.step, n.action, n.day, n.fee, n.bills,
               case when n.action = 'disconnection' and n.given_on is null then 'notice' else '' end
        from next n
        where n.open_minor >= n.minimum_minor and n.due_date + n.day <= p_today
          and (n.taken_on is null or n.taken_on + (n.day - n.last_day) <= p_today)
          and (n.action <> 'disconnection' or n.given_on is null or n.given_on + n.notice_days <= p_today)
    ), charged as (
        select f.*,
               case when f.fee and f.late_fee is not null then greatest(0, least(
                   (f.late_fee ->> 'fixed_minor')::bigint
                   + round(b.base * (f.late_fee ->> 'percent_bp')::numeric / 10000)::bigint,
                   (f.late_fee ->> 'cap_minor')::bigint - b.before)) else 0 end as net
        from found f
        cross join lateral (
            select coalesce((select sum(t.fee_minor) from taken t where t.bill_id = f.bill_id), 0)::bigint as before,
                   coalesce((select sum(d.open_minor) from debts d
                             where d.customer_id = f.customer_id and d.currency = f.currency
                               and (f.action <> 'overdue' or d.id = f.bill_id)
                               and d.due_date + (f.late_fee ->> 'grace_days')::integer < p_today), 0)::numeric as base) b)
    select c.customer_id, c.currency, c.bill_id, c.occasion, c.step, c.action, c.day, c.policy_id, c.due_date, c.open_minor, c.bills,
           c.net, case when c.net > 0 then round(c.net::numeric * (c.late_fee ->> 'tax_bp')::numeric / 10000)::bigint else 0 end,
           c.notice_days, case when c.customer_id = any (v_held) then 'held' else c.wait end
    from charged c;
end $$;
comment on function private.dunning_due(uuid[], date) is 'Of some accounts the step that is due on a local date: the next of the ladder of their oldest unpaid bill, or overdue notices that some bills did not have yet. wait: held, or notice where the disconnection notice has reached nobody.';

create function private.take_dunning(p_rows jsonb, p jsonb) returns integer
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_today constant date := (p ->> 'today')::date;
    v_new uuid[];
    v_fees jsonb;
begin
    if p_rows is null then
        return 0;
    end if;
    -- Whoever takes a step first has it: another process finds the row and does nothing.
    with new as (
        insert into public.dunning_actions (id, customer_id, currency, bill_id, occasion, step, action, day, policy_id, taken_on,
                                            amount_minor, fee_minor, tax_minor)
        select gen_random_uuid(), r.customer_id, r.currency, r.bill_id, r.occasion, r.step, r.action, r.day, r.policy_id, v_today,
               r.amount_minor, r.fee_minor, r.tax_minor
        from jsonb_to_recordset(p_rows) as r(customer_id uuid, currency text, bill_id uuid, occasion text, step text, action text,
                                             day integer, policy_id uuid, amount_minor bigint, fee_minor bigint, tax_minor bigint)
        order by r.bill_id, r.occasion, r.step
        on conflict (bill_id, occasion, step) do nothing
        returning id)
    select array(select n.id from new n) into v_new;
    v_fees := (
        select jsonb_agg(jsonb_build_object(
            'id', a.id, 'customer_id', a.customer_id, 'currency', a.currency, 'kind', 'fee', 'amount_minor', a.fee_minor + a.tax_minor,
            'on_date', v_today,
            'note', format('Late payment fee, %s days after the due date%s', v_today - b.due_date,
                           case when a.tax_minor > 0 then ', with tax' else '' end)) order by a.customer_id, a.id)
        from public.dunning_actions a join public.bills b on b.id = a.bill_id
        where a.id = any (v_new) and a.fee_minor > 0);
    if v_fees is not null then
        perform private.post_entries(v_fees);
    end if;
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select gen_random_uuid(), a.bill_id,
           case a.action when 'reminder' then 'payment_reminder' when 'notice' then 'disconnection_notice' else 'overdue_notice' end,
           -- The first of a kind is named as it was before there were several.
           concat_ws('/', nullif(a.occasion, ''), nullif(nullif(a.step, 'reminder'), 'overdue')),
           case when a.action in ('demand', 'notice') or a.fee_minor > 0
                then jsonb_strip_nulls(jsonb_build_object(
                    'dunning', a.action, 'notice_days', private.dunning_policy_on(a.currency, v_today) ->> 'notice_days',
                    'late_fee_minor', nullif(a.fee_minor + a.tax_minor, 0)::text))
                else '{}'::jsonb end,
           p #> '{owed,steps}', p #>> '{owed,status}', case when p #>> '{owed,status}' <> 'open' then now() end
    from public.dunning_actions a
    where a.id = any (v_new) and a.action <> 'disconnection'
    on conflict (bill_id, kind, occasion) do nothing;
    return cardinality(v_new);
end $$;
comment on function private.take_dunning(jsonb, jsonb) is 'Takes steps that are due, once each: rows of private.dunning_due, {today, owed: {steps, status}}. Late fees are posted and messages owed in the same transaction. The caller has locked the bills, and where there are fees the customers. How many were new.';

create or replace function public.queue_reminders(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_found uuid[];
    v_bills uuid[];
    v_taken integer;
    v_today constant date := (p ->> 'today')::date;
    v_after constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_after_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
begin
    perform private.set_actor(jsonb_build_object('actor', coalesce(p ->> 'actor', 'system:reminders')));
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    perform private.release_unanswered();
    v_found := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is null
          and (b.due_date, b.id) > (greatest(v_after, v_today - 1), v_after_id)
          and b.due_date >= v_today and b.due_date <= (p ->> 'until')::date
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := array(select d.bill_id from private.reminders_due(private.dunned_of(v_found), v_today) d where d.wait = '');
    -- Asked again now that the bills are locked: somebody may have paid, another process may have been at the same.
    v_bills := private.pay_from_credit_of(v_bills);
    v_taken := private.take_dunning((
        select jsonb_agg(to_jsonb(d)) from private.reminders_due(v_bills, v_today) d where d.wait = ''), p);
    perform private.note_progress(p || jsonb_build_object('done', v_taken));
    return jsonb_build_object('count', v_taken, 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;

create or replace function public.mark_overdue(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_found uuid[];
    v_bills uuid[];
    v_today constant date := (p ->> 'today')::date;
    v_after constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_after_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    perform private.release_unanswered();
    v_found := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date < v_today and b.overdue_since is null
          and (b.due_date, b.id) > (v_after, v_after_id)
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(private.dunned_of(v_found));
    -- Another process may have marked some while this one waited for their locks.
    with marked as (
        update public.bills set overdue_since = due_date + 1 where id = any (v_bills) and overdue_since is null
        returning id
    ) select array(select id from marked order by id) into v_bills;
    perform private.take_dunning((
        select jsonb_agg(to_jsonb(d)) from private.overdue_notices_due(v_bills, v_today) d where d.wait = ''), p);
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills), 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;
comment on function public.mark_overdue(jsonb) is
    'Marks the bills due before today that are dunned as overdue, and owes each the notice where the policy has it by then: {actor, run, today, limit, after?, owed, balance_changed?} -> {count, after: where the next batch begins, null when none is left}.';

create function public.take_dunning_steps(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    v_found uuid[];
    v_due uuid[];
    v_taken integer := 0;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    v_found := private.accounts_in_arrears((p ->> 'after')::uuid, v_limit);
    v_due := array(select distinct d.customer_id from private.dunning_due(v_found, v_today) d where d.wait = '' order by 1);
    if v_due <> '{}' then
        -- From here on nobody else changes what they owe; what was paid meanwhile is seen by the second look.
        perform private.lock_customers(v_due);
        perform private.pay_from_credit_of(array(
            select b.id from public.bills b
            where b.customer_id = any (v_due) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
              and b.overdue_since is not null));
        v_taken := private.take_dunning((
            select jsonb_agg(to_jsonb(d)) from private.dunning_due(v_due, v_today) d where d.wait = ''), p);
    end if;
    perform private.note_progress(p || jsonb_build_object('done', v_taken));
    return jsonb_build_object('count', v_taken, 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;
comment on function public.take_dunning_steps(jsonb) is 'Takes the steps of the ladder that are due of a page of accounts with overdue bills: {actor, run, today, limit, after?: a customer, owed, balance_changed?} -> {count, after: null when none is left}.';

create function private.accounts_in_arrears(p_after uuid, p_limit integer) returns uuid[]
    language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
    v_after constant uuid := coalesce(p_after, '00000000-0000-0000-0000-000000000000'::uuid);
begin
    return array(
        select distinct b.customer_id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
          and b.customer_id > v_after
        order by 1 limit p_limit);
end $$;
comment on function private.accounts_in_arrears(uuid, integer) is 'The next accounts, by id, that have overdue bills.';

create function public.note_notices_given(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_given integer;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    -- A message that came back has reached nobody after all.
    update public.dunning_actions a set given_on = null, given_by = null
    where a.action = 'notice' and a.given_by = 'system:messages' and a.taken_on > current_date - 120
      and exists (select 1 from public.notifications x where x.bill_id = a.bill_id and x.kind = 'disconnection_notice')
      and not exists (select 1 from public.notifications x
                      where x.bill_id = a.bill_id and x.kind = 'disconnection_notice' and x.status in ('sent', 'delivered', 'read')
                        and x.channel <> 'discord');
    update public.dunning_actions a
    set given_on = (n.sent_at at time zone (p ->> 'zone'))::date, given_by = 'system:messages'
    from (select x.bill_id, x.occasion, min(x.updated_at) as sent_at
          from public.notifications x
          where x.bill_id = any (array(select y.bill_id from public.dunning_actions y where y.action = 'notice' and y.given_on is null))
            and x.kind = 'disconnection_notice' and x.status in ('sent', 'delivered', 'read') and x.channel <> 'discord'
          group by 1, 2) n
    where a.action = 'notice' and a.given_on is null and a.bill_id = n.bill_id
      and n.occasion = concat_ws('/', nullif(a.occasion, ''), a.step);
    get diagnostics v_given = row_count;
    return jsonb_build_object('given', v_given);
end $$;
comment on function public.note_notices_given(jsonb) is 'Keeps of disconnection notices on which day they reached the customer by a message of their own: {actor, run, zone} -> {given}.';

create function public.give_notice(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_row public.dunning_actions;
begin
    perform private.set_actor(p);
    update public.dunning_actions set given_on = (p ->> 'on')::date, given_by = p ->> 'actor'
    where id = (p ->> 'id')::uuid and action = 'notice' and given_on is null and taken_on <= (p ->> 'on')::date;
    select * into v_row from public.dunning_actions where id = (p ->> 'id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such notice.');
    elsif v_row.action <> 'notice' then
        perform private.refuse('EB005', 'Only a disconnection notice is handed over.');
    elsif v_row.given_on is null then
        perform private.refuse('EB005', 'The notice is from after that day.');
    end if;
    return to_jsonb(v_row);
end $$;
comment on function public.give_notice(jsonb) is 'Somebody handed a disconnection notice over: {actor, id, on} -> the action. One that reached the customer before stays as it is.';

create function public.publish_dunning_policy(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_row public.dunning_policies;
begin
    perform private.set_actor(p);
    perform pg_advisory_xact_lock(hashtext('dunning_policies'));
    select * into v_row from public.dunning_policies where id = (p ->> 'id')::uuid;
    if found then
        return to_jsonb(v_row);
    end if;
    if (p ->> 'seen_version')::integer is distinct from coalesce((
            select max(x.version) from public.dunning_policies x where x.currency = p ->> 'currency'), 0) then
        perform private.refuse('EB005', 'Somebody else has changed the policy meanwhile: look at it again.');
    end if;
    insert into public.dunning_policies (id, currency, version, valid_from, minimum_minor, notice_days, steps, late_fee, created_by)
    values ((p ->> 'id')::uuid, p ->> 'currency', (p ->> 'seen_version')::integer + 1, (p ->> 'valid_from')::date,
            (p ->> 'minimum_minor')::bigint, (p ->> 'notice_days')::integer, p -> 'steps', nullif(p -> 'late_fee', 'null'), p ->> 'actor')
    returning * into v_row;
    return to_jsonb(v_row);
end $$;
comment on function public.publish_dunning_policy(jsonb) is 'Adds a version of a currency''s policy, once: {actor, id, currency, seen_version, valid_from, minimum_minor, notice_days, steps, late_fee} -> the version.';

create function public.dunning_policies_of(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'in_force', private.dunning_policy_on(p ->> 'currency', (p ->> 'today')::date),
        'versions', coalesce((
            select jsonb_agg(to_jsonb(x) order by x.version desc)
            from (select * from public.dunning_policies y where y.currency = p ->> 'currency' order by y.version desc limit 50) x), '[]'))
$$;
comment on function public.dunning_policies_of(jsonb) is 'The policy of a currency that holds on a day, and its last 50 versions: {currency, today} -> {in_force, versions}.';

create function public.arrears_of_bill(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'overdue_minor', coalesce(sum(b.total_minor - b.amount_paid_minor), 0)::bigint, 'bills', count(*), 'since', min(b.due_date))
    from public.bills x
    join public.bills b on b.customer_id = x.customer_id and b.currency = x.currency and b.status = 'issued'
        and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
    where x.id = (p ->> 'bill_id')::uuid
$$;
comment on function public.arrears_of_bill(jsonb) is 'What the account of a bill owes overdue in its currency: {bill_id} -> {overdue_minor, bills, since}.';

create function public.days_of_reminders(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('days', greatest(3, -coalesce((
        select min((s ->> 'day')::integer) from public.dunning_policies x cross join jsonb_array_elements(x.steps) s), 0)))
$$;
comment on function public.days_of_reminders(jsonb) is 'How many days before the due date the first reminder of any policy goes: {} -> {days}.';

create or replace function public.why_unsaid(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('reason', coalesce((
        select case
            when x.kind = 'payment_received' then ''
            when b.status = 'void' then 'the bill is void by now'
            when x.pressing and b.amount_paid_minor >= b.total_minor then 'the bill is paid by now'
            when x.pressing and private.in_plan(b.id) then 'the bill is in an instalment plan by now'
            when x.pressing and private.is_spared(b.id) then
                case (select s.reason from public.spared_bills s where s.bill_id = b.id and s.released_at is null
                        and (s.until is null or s.until > now()) order by s.reason desc limit 1)
                    when 'bank_debit' then 'the customer''s bank is paying the bill'
                    else 'money of the bill went back, and nobody has said to collect it again' end
            when x.pressing and private.owes_nothing(b.customer_id, b.currency) then 'credit on the account covers the bill'
            when x.pressing and private.held_of(array[b.customer_id], (p ->> 'today')::date) <> '{}' then 'dunning of the account is on hold'
            when x.pressing and (
                    select coalesce(sum(o.owed_minor), 0) from private.owed_of(array[b.customer_id]) o where o.currency = b.currency)
                < (private.dunning_policy_on(b.currency, (p ->> 'today')::date) ->> 'minimum_minor')::bigint
                then 'what is left is a small balance, which is left alone'
            when x.kind = 'payment_reminder' and b.due_date < (p ->> 'today')::date
                then 'its due date has passed, and the overdue notice follows'
            when x.kind in ('bill_issued', 'payment_reminder', 'overdue_notice') then coalesce((
                select case l.kind when 'disconnection_notice' then 'the disconnection notice overtook it'
                                   when 'overdue_notice' then 'the overdue notice overtook it'
                                   else 'the payment reminder overtook it' end
                from public.outbox o
                join public.outbox l on l.bill_id = o.bill_id and l.created_at > o.created_at and l.status = 'open'
                where (o.bill_id, o.kind, o.occasion) = (b.id, x.kind, coalesce(p ->> 'occasion', ''))
                  and 'pending' in (l.steps #>> '{11,status}', l.steps #>> '{12,status}')
                  and (l.kind in ('overdue_notice', 'disconnection_notice')
                       or l.kind = 'payment_reminder' and b.due_date >= (p ->> 'today')::date)
                  and private.is_dunned(b)
                order by l.created_at desc limit 1), '')
            else '' end
        from public.bills b
        cross join (select p ->> 'kind' as kind,
                           p ->> 'kind' in ('payment_reminder', 'overdue_notice', 'disconnection_notice') as pressing) x
        where b.id = (p ->> 'bill_id')::uuid), 'no such bill'))
$$;

-- Who was reminded and notified before there was a ladder hears nothing of it twice.
insert into public.dunning_actions (id, customer_id, currency, bill_id, occasion, step, action, day, taken_on, amount_minor)
select gen_random_uuid(), b.customer_id, b.currency, b.id, '', 'reminder', 'reminder', -3, min(o.created_at)::date, b.total_minor
from public.outbox o join public.bills b on b.id = o.bill_id
where o.kind = 'payment_reminder' and b.status = 'issued' and b.amount_paid_minor < b.total_minor
group by b.id;
insert into public.dunning_actions (id, customer_id, currency, bill_id, occasion, step, action, day, taken_on, amount_minor)
select gen_random_uuid(), b.customer_id, b.currency, b.id, o.occasion, 'overdue', 'overdue', 1, o.created_at::date, b.total_minor
from public.outbox o join public.bills b on b.id = o.bill_id
where o.kind = 'overdue_notice' and b.status = 'issued' and b.amount_paid_minor < b.total_minor;
-- Of notices that were removed since then as old.
insert into public.dunning_actions (id, customer_id, currency, bill_id, occasion, step, action, day, taken_on, amount_minor)
select gen_random_uuid(), b.customer_id, b.currency, b.id, o.occasion, 'overdue', 'overdue', 1, b.overdue_since, b.total_minor
from (select array_agg(x.id) as ids from public.bills x
      where x.status = 'issued' and x.amount_paid_minor < x.total_minor and x.overdue_since is not null) y
cross join lateral private.dunning_occasions(y.ids) o
join public.bills b on b.id = o.bill_id
on conflict (bill_id, occasion, step) do nothing;

revoke all on function public.take_dunning_steps, public.note_notices_given, public.give_notice, public.publish_dunning_policy,
    public.dunning_policies_of, public.arrears_of_bill, public.days_of_reminders from public, anon, authenticated;
revoke all on function private.default_dunning_policy, private.dunning_policy_on, private.dunning_steps_on, private.dunning_occasions,
    private.owed_of, private.overdue_of, private.reminders_due, private.overdue_notices_due, private.dunning_due, private.take_dunning,
    private.accounts_in_arrears from public;
grant execute on function public.take_dunning_steps, public.note_notices_given, public.give_notice, public.publish_dunning_policy,
    public.dunning_policies_of, public.arrears_of_bill, public.days_of_reminders, private.default_dunning_policy, private.dunning_policy_on,
    private.dunning_steps_on, private.dunning_occasions, private.owed_of, private.overdue_of, private.reminders_due,
    private.overdue_notices_due, private.dunning_due, private.take_dunning, private.accounts_in_arrears to service_role;

drop function private.owe_notices(uuid[], text, jsonb);
drop function private.not_reminded_of(uuid[]);

do $do$
begin
    execute replace(pg_get_functiondef('private.archived_tables()'::regprocedure),
                    '''dunning_holds'',', '''dunning_holds'', ''dunning_policies'', ''dunning_actions'',');
end $do$;

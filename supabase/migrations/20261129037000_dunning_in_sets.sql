-- Reminders and overdue marks in a constant number of statements a batch. What was asked for each bill by a function
-- of its own is asked once for all of them; what is asked of one bill asks the same.

-- Tables that are small as a run begins grow while it goes on: no plan that is kept reads one from end to end.
-- Batches walk by (due_date, id) over bills that may still be marked, of which long overdue ones are none.
create index bills_to_dun on public.bills (due_date, id)
    where status = 'issued' and amount_paid_minor < total_minor and overdue_since is null;
drop index public.bills_unpaid;

create function private.bills_now(p_bills uuid[]) returns table (bill_id uuid, now_id uuid)
    language sql stable set search_path = '' as $$
    with recursive chain as (
        select b.id as first_id, b.id, b.customer_id, 0 as place from public.bills b where b.id = any (p_bills)
        union all
        -- On another customer's account it is no longer this one's debt, and a draft is none yet.
        select c.first_id, n.id, n.customer_id, c.place + 1
        from chain c join public.bills n on n.replaces_id = c.id and n.customer_id = c.customer_id and n.number is not null
    )
    select distinct on (c.first_id) c.first_id, c.id from chain c order by c.first_id, c.place desc
$$;
comment on function private.bills_now(uuid[]) is
    'Bills as they are now: of each the last one made anew in its place for the same customer, or itself.';

create or replace function private.bill_now(p_bill_id uuid) returns public.bills
    language sql stable set search_path = '' as $$
    select b from public.bills b where b.id = (select n.now_id from private.bills_now(array[p_bill_id]) n)
$$;

create function private.plans_paid(p_plans uuid[]) returns table (plan_id uuid, agreed_minor bigint, paid_minor bigint)
    language sql stable set search_path = '' as $$
    -- A void bill has nothing to pay; one made anew lower has that much less. One made anew higher may take the
    -- instalments before the others do: what was paid of them all since it was agreed counts, whatever is open.
    select x.plan_id, x.agreed, least(x.agreed, greatest(0, x.agreed - x.open, x.paid - x.paid_before))
    from (select p.plan_id,
                 sum(p.amount_minor)::bigint as agreed,
                 coalesce(sum(n.total_minor - n.amount_paid_minor) filter (where n.status <> 'void'), 0)::bigint as open,
                 coalesce(sum(n.amount_paid_minor) filter (where n.status <> 'void'), 0)::bigint as paid,
                 coalesce(sum(b.total_minor - p.amount_minor) filter (where n.status <> 'void'), 0)::bigint as paid_before
          from public.plan_bills p
          join public.bills b on b.id = p.bill_id
          join private.bills_now(array(select y.bill_id from public.plan_bills y where y.plan_id = any (p_plans))) w
              on w.bill_id = p.bill_id
          join public.bills n on n.id = w.now_id
          where p.plan_id = any (p_plans)
          group by p.plan_id) x
$$;
comment on function private.plans_paid(uuid[]) is
    'What was agreed of plans, and what was paid of their bills since or need not be paid any more, in minor units; at most what was agreed.';

create or replace function private.plan_paid(p_plan_id uuid) returns bigint
    language sql stable set search_path = '' as $$
    select coalesce((select x.paid_minor from private.plans_paid(array[p_plan_id]) x), 0)
$$;

create function private.in_plan_of(p_bills uuid[]) returns uuid[]
    language plpgsql stable set search_path = '' as $$
declare
    v_plans constant uuid[] := array(
        select i.id from public.instalment_plans i
        where i.status = 'active'
          and i.customer_id = any (array(select b.customer_id from public.bills b where b.id = any (p_bills))));
begin
    if v_plans = '{}' then
        return '{}';
    end if;
    return array(
        select n.now_id
        from public.plan_bills p
        -- What a correction added is due as any bill, once all that was agreed is paid.
        join private.plans_paid(v_plans) x on x.plan_id = p.plan_id and x.paid_minor < x.agreed_minor
        join private.bills_now(array(select y.bill_id from public.plan_bills y where y.plan_id = any (v_plans))) n
            on n.bill_id = p.bill_id
        where p.plan_id = any (v_plans) and n.now_id = any (p_bills));
end $$;
comment on function private.in_plan_of(uuid[]) is
    'Those of some bills that are, or replace one that is, in a plan that is kept and not yet paid.';

create or replace function private.in_plan(p_bill_id uuid) returns boolean
    language sql stable set search_path = '' as $$
    select private.in_plan_of(array[p_bill_id]) <> '{}'
$$;

create or replace function private.dunned_of(p_bills uuid[]) returns uuid[]
    language sql stable set search_path = '' as $$
    select array(
        select b.id from public.bills b
        where b.id = any (p_bills) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and not exists (select 1 from public.spared_bills s where s.bill_id = b.id and s.released_at is null
                          and (s.until is null or s.until > now()))
          and not exists (select 1 from public.payment_returns r where r.customer_id = b.customer_id and r.status = 'pending'
                          and private.owes_nothing(b.customer_id, b.currency))
          and b.id <> all ((select private.in_plan_of(p_bills))::uuid[])
        order by b.id)
$$;
comment on function private.dunned_of(uuid[]) is
    'Those of some bills for which a customer may be pressed: something is open of it, it is in no plan that is kept, not spared, and not covered by credit about to go back.';

create or replace function private.pay_from_credit_of(p_bills uuid[]) returns uuid[]
    language plpgsql set search_path = '' as $$
declare
    v_customers uuid[] := array(
        select distinct o.customer_id from public.bills b
        join public.open_items o on o.customer_id = b.customer_id and o.book = 'account' and o.currency = b.currency
        where b.id = any (p_bills) and o.open_minor < 0
          -- Credit that is about to go back pays nothing.
          and not exists (select 1 from public.payment_returns r where r.customer_id = b.customer_id and r.status = 'pending')
        order by 1);
begin
    if v_customers <> '{}' then
        perform private.lock_customers(v_customers);
        perform private.settle(v_customers);
    end if;
    perform 1 from public.bills b where b.id = any (p_bills) order by b.id for update;
    return private.dunned_of(p_bills);
end $$;

create or replace function private.owe_notices(p_bills uuid[], p_kind text, p_steps jsonb) returns void
    language sql set search_path = '' as $$
    -- After a sparing or a plan the notice is one of its own: the customer hears again that the bill is to be paid.
    insert into public.outbox (id, bill_id, kind, occasion, steps, status, finished_at)
    select gen_random_uuid(), b.id, p_kind, coalesce(e.occasion, ''),
           p_steps -> 'steps', p_steps ->> 'status', case when p_steps ->> 'status' <> 'open' then now() end
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
    on conflict (bill_id, kind, occasion) do nothing
$$;
comment on function private.owe_notices(uuid[], text, jsonb) is
    'Owes each of some bills a reminder or a notice, once: outbox_once refuses a second one of the same occasion.';

create or replace function public.queue_reminders(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_found uuid[];
    v_bills uuid[];
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
          and (b.due_date, b.id) > (greatest(v_after, (p ->> 'today')::date - 1), v_after_id)
          and b.due_date >= (p ->> 'today')::date and b.due_date <= (p ->> 'until')::date
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(private.dunned_of(private.not_reminded_of(v_found)));
    -- Asked again now that the bills are locked: another process may have been at the same.
    v_bills := private.not_reminded_of(v_bills);
    perform private.owe_notices(v_bills, 'payment_reminder', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills), 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;

create function private.not_reminded_of(p_bills uuid[]) returns uuid[]
    language sql stable set search_path = '' as $$
    select array(
        select b.id from unnest(p_bills) b(id)
        where b.id <> all (array(select o.bill_id from public.outbox o
                                 where o.bill_id = any (p_bills) and o.kind = 'payment_reminder'))
        order by b.id)
$$;
comment on function private.not_reminded_of(uuid[]) is 'Those of some bills that nobody was reminded of.';

create or replace function public.mark_overdue(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_found uuid[];
    v_bills uuid[];
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
          and b.due_date < (p ->> 'today')::date and b.overdue_since is null
          and (b.due_date, b.id) > (v_after, v_after_id)
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(private.dunned_of(v_found));
    -- Another process may have marked some while this one waited for their locks.
    with marked as (
        update public.bills set overdue_since = due_date + 1 where id = any (v_bills) and overdue_since is null
        returning id
    ) select array(select id from marked order by id) into v_bills;
    perform private.owe_notices(v_bills, 'overdue_notice', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills), 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;

create or replace function public.break_plans(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_broken integer;
    v_due uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    v_due := array(select i.id from public.instalment_plans i
                   where i.status = 'active' and exists (select 1 from public.instalments n where n.plan_id = i.id
                                                         and n.due_on < (p ->> 'today')::date));
    update public.instalment_plans i
    set status = 'broken', ended_at = now(), reason = 'An instalment was not paid by its date.'
    from private.plans_paid(v_due) x
    where i.id = x.plan_id and i.status = 'active'
      and x.paid_minor < (select coalesce(sum(n.amount_minor), 0) from public.instalments n
                          where n.plan_id = i.id and n.due_on < (p ->> 'today')::date);
    get diagnostics v_broken = row_count;
    return jsonb_build_object('broken', v_broken);
end $$;

-- The same refusals without a bill as JSON: a copy of the new row that has all that may change from the old one.
create or replace function private.guard_bill() returns trigger
    language plpgsql set search_path = '' as $$
declare
    v_bill public.bills := new;
begin
    if new.status <> old.status and not (
        (old.status = 'draft' and new.status in ('issued', 'void'))
        or (old.status = 'issued' and new.status = 'void')
    ) then
        raise exception using errcode = 'EB005', message = format('A bill that is %s cannot become %s.', old.status, new.status);
    end if;
    if old.status = 'void' and new is distinct from old then
        raise exception using errcode = 'EB005', message = 'A void bill does not change.';
    end if;
    v_bill.status := old.status;
    v_bill.amount_paid_minor := old.amount_paid_minor;
    v_bill.overdue_since := old.overdue_since;
    v_bill.payment_url := old.payment_url;
    v_bill.void_reason := old.void_reason;
    if old.status = 'draft' and new.status = 'issued' then
        v_bill.number := old.number;
        v_bill.issued_at := old.issued_at;
        v_bill.issued_on := old.issued_on;
        v_bill.due_date := old.due_date;
    end if;
    if v_bill is distinct from old then
        raise exception using errcode = 'EB005',
            message = 'A bill''s figures never change: void it and issue a new one.';
    end if;
    if new.status = 'void' and old.status <> 'void' and old.amount_paid_minor <> 0 then
        raise exception using errcode = 'EB005', message = 'A bill with payments cannot be voided: they return to the account first.';
    end if;
    return new;
end $$;

-- What changed of a row is worked out in the statement, both ways at once.
create or replace function private.audit() returns trigger
    language plpgsql security definer set search_path = '' set enable_nestloop = off as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    -- What a row is searched by is made of its other columns.
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null and exists (select 1 from new_rows) then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, meter_id, after)
        select v_actor, 'insert', tg_table_name, r.id,
               case when r.n ->> 'customer_id' is not null then (r.n ->> 'customer_id')::uuid
                    when tg_table_name = 'customers' then r.id::uuid
                    when r.n ?| array['bill_id', 'agreement_id'] then private.customer_behind(r.n) end,
               case when tg_table_name = 'meters' then r.id::uuid else (r.n ->> 'meter_id')::uuid end,
               r.n - 'lines'
        from (select n.id::text as id, to_jsonb(n) - 'search_text' as n from new_rows n offset 0) r;
    else
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, meter_id, before, after)
        select v_actor, 'update', tg_table_name, r.id,
               case when r.n ->> 'customer_id' is not null then (r.n ->> 'customer_id')::uuid
                    when tg_table_name = 'customers' then r.id::uuid
                    when r.n ?| array['bill_id', 'agreement_id'] then private.customer_behind(r.n) end,
               case when tg_table_name = 'meters' then r.id::uuid else (r.n ->> 'meter_id')::uuid end,
               coalesce(c.before, '{}'), coalesce(c.after, '{}')
        from (select n.id::text as id, to_jsonb(o) - 'search_text' as o, to_jsonb(n) - 'search_text' as n
              from new_rows n join old_rows o on o.id = n.id
              where o is distinct from n
              offset 0) r
        cross join lateral (
            select jsonb_object_agg(e.key, r.o -> e.key) as before, jsonb_object_agg(e.key, e.value) as after
            from jsonb_each(r.n) e where r.o -> e.key is distinct from e.value) c;
    end if;
    return null;
end $$;

revoke all on function private.bills_now(uuid[]) from public;
revoke all on function private.plans_paid(uuid[]) from public;
revoke all on function private.in_plan_of(uuid[]) from public;
revoke all on function private.not_reminded_of(uuid[]) from public;
grant execute on function private.bills_now(uuid[]) to service_role;
grant execute on function private.plans_paid(uuid[]) to service_role;
grant execute on function private.in_plan_of(uuid[]) to service_role;
grant execute on function private.not_reminded_of(uuid[]) to service_role;

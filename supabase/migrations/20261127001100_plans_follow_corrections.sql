-- A bill made anew stands in an instalment plan in the place of the one it replaces.

create function private.bill_now(p_bill_id uuid) returns public.bills
language sql stable set search_path = '' as $$
    with recursive chain as (
        select b.id, b.customer_id, 0 as place from public.bills b where b.id = p_bill_id
        union all
        -- On another customer's account it is no longer this one's debt, and a draft is none yet.
        select n.id, n.customer_id, c.place + 1
        from chain c join public.bills n on n.replaces_id = c.id and n.customer_id = c.customer_id and n.number is not null
    )
    select b from public.bills b where b.id = (select id from chain order by place desc limit 1)
$$;
comment on function private.bill_now is
    'A bill as it is now: the last one made anew in its place for the same customer, or itself.';

create or replace function private.plan_paid(p_plan_id uuid) returns bigint
language sql stable set search_path = '' as $$
    -- A void bill has nothing to pay; one made anew lower has that much less. One made anew higher may take the
    -- instalments before the others do: what was paid of them all since it was agreed counts, whatever is open.
    select least(x.agreed, greatest(0, x.agreed - x.open, x.paid - x.paid_before))
    from (select coalesce(sum(p.amount_minor), 0)::bigint as agreed,
                 coalesce(sum(n.total_minor - n.amount_paid_minor) filter (where n.status <> 'void'), 0)::bigint as open,
                 coalesce(sum(n.amount_paid_minor) filter (where n.status <> 'void'), 0)::bigint as paid,
                 coalesce(sum(b.total_minor - p.amount_minor) filter (where n.status <> 'void'), 0)::bigint as paid_before
          from public.plan_bills p
          join public.bills b on b.id = p.bill_id
          cross join lateral private.bill_now(p.bill_id) n
          where p.plan_id = p_plan_id) x
$$;
comment on function private.plan_paid is
    'What was paid of a plan''s bills since it was agreed, or need not be paid any more, in minor units; at most what was agreed.';

create function private.plan_total(p_plan_id uuid) returns bigint
language sql stable set search_path = '' as $$
    select sum(p.amount_minor)::bigint from public.plan_bills p where p.plan_id = p_plan_id
$$;

create or replace function private.in_plan(p_bill_id uuid) returns boolean
language sql stable set search_path = '' as $$
    select exists (
        select 1 from public.bills b
        join public.instalment_plans i on i.customer_id = b.customer_id and i.status = 'active'
        join public.plan_bills p on p.plan_id = i.id
        where b.id = p_bill_id and (private.bill_now(p.bill_id)).id = b.id
          -- What a correction added is due as any bill, once all that was agreed is paid.
          and private.plan_paid(i.id) < private.plan_total(i.id))
$$;
comment on function private.in_plan is 'Whether a bill, or one that it replaces, is in a plan that is kept and not yet paid.';

create function private.end_plans_of_merged_bills() returns trigger
language plpgsql set search_path = '' as $$
begin
    with recursive ended as (
        select r.void_bill_id as id from new_rows r join public.bills n on n.id = r.new_bill_id
        where n.number is null or (select count(*) from new_rows x where x.new_bill_id = r.new_bill_id) > 1
    ), back as (
        select id from ended
        union
        select b.replaces_id from back join public.bills b on b.id = back.id where b.replaces_id is not null
    )
    update public.instalment_plans i
    set status = 'cancelled', ended_at = now(),
        reason = 'Its bills were made anew, several as one or as a draft: agree on another plan.'
    where i.status = 'active'
      and i.id in (select p.plan_id from public.plan_bills p where p.bill_id in (select id from back));
    return null;
end $$;
comment on function private.end_plans_of_merged_bills is
    'Of a bill that holds others too, or is none yet, nobody can say which part was agreed on.';
create trigger end_plans after insert on public.corrected_bills
    referencing new table as new_rows for each statement execute function private.end_plans_of_merged_bills();

create or replace view public.plan_list with (security_invoker = true) as
select i.id, i.customer_id, c.account_no, c.name as customer_name, i.currency, i.reason, i.created_by, i.agreed_on, i.ended_at,
       t.total_minor, w.paid_minor,
       case when i.status = 'active' and w.paid_minor >= t.total_minor then 'kept' else i.status end as status,
       (select jsonb_agg(jsonb_build_object('bill_id', n.id, 'number', n.number, 'amount_minor', p.amount_minor) order by n.period_end)
        from public.plan_bills p cross join lateral private.bill_now(p.bill_id) n where p.plan_id = i.id) as bills,
       (select jsonb_agg(jsonb_build_object(
                   'instalment_no', n.instalment_no, 'due_on', n.due_on, 'amount_minor', n.amount_minor,
                   'paid', n.upto <= w.paid_minor) order by n.instalment_no)
        from (select x.*, sum(x.amount_minor) over (order by x.instalment_no) as upto
              from public.instalments x where x.plan_id = i.id) n) as instalments
from public.instalment_plans i
join public.customers c on c.id = i.customer_id
cross join lateral (select private.plan_total(i.id) as total_minor) t
cross join lateral (select private.plan_paid(i.id) as paid_minor) w;

revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema private to service_role;

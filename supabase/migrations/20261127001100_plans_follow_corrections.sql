-- A bill made anew stands in an instalment plan in the place of the one it replaces.

create function private.bill_now(p_bill_id uuid) returns public.bills
language sql stable set search_path = '' as $$
    with recursive chain as (
        select b.id, b.customer_id, 0 as place from public.bills b where b.id = p_bill_id
        union all
        -- On another customer's account it is no longer this one's debt.
        select n.id, n.customer_id, c.place + 1
        from chain c join public.bills n on n.replaces_id = c.id and n.customer_id = c.customer_id
    )
    select b from public.bills b where b.id = (select id from chain order by place desc limit 1)
$$;
comment on function private.bill_now is
    'A bill as it is now: the last one made anew in its place for the same customer, or itself.';

create or replace function private.plan_paid(p_plan_id uuid) returns bigint
language sql stable set search_path = '' as $$
    select coalesce(sum(case when n.status = 'void' then p.amount_minor
        -- Made anew lower, the customer has that much less to pay; made anew higher, what they had paid still counts.
        else least(p.amount_minor, greatest(0, p.amount_minor - (n.total_minor - n.amount_paid_minor),
                                            n.amount_paid_minor - (b.total_minor - p.amount_minor))) end), 0)::bigint
    from public.plan_bills p
    join public.bills b on b.id = p.bill_id
    cross join lateral private.bill_now(p.bill_id) n
    where p.plan_id = p_plan_id
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

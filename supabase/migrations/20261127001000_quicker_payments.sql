-- A payment counted in fewer steps: what it took was planning anew each time, and a statement for each part.
--
-- The functions below read by ids that come in an array, so one plan fits any number of them. Left alone,
-- the planner makes one for each call, which costs more than the call.

create or replace function private.allocate(p_pairs jsonb) returns void
language plpgsql set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
    v_bills uuid[];
    v_amounts bigint[];
begin
    if jsonb_array_length(coalesce(p_pairs, '[]')) = 0 then
        return;
    end if;
    -- Each side's check keeps what is open between nothing and the whole entry.
    with pairs as materialized (
        select * from rows from (jsonb_to_recordset(p_pairs) as (credit uuid, debit uuid, amount bigint)) with ordinality
            as p(credit, debit, amount, place)
    ), entries as materialized (
        select e.id, e.customer_id, e.book, e.currency, e.kind, e.bill_id
        from public.ledger_entries e
        where e.id = any (array(select p.credit from pairs p union select p.debit from pairs p))
    ), made as (
        insert into public.allocations (credit_entry_id, debit_entry_id, amount_minor, actor)
        select c.id, d.id, p.amount, current_setting('billing.actor')
        from pairs p
        join entries c on c.id = p.credit
        join entries d on d.id = p.debit and (d.customer_id, d.book, d.currency) = (c.customer_id, c.book, c.currency)
        order by p.place
    ), moved as (
        update public.open_items o set open_minor = o.open_minor + s.amount
        from (select s.entry_id, sum(s.amount)::bigint as amount
              from pairs p cross join lateral (values (p.credit, p.amount), (p.debit, -p.amount)) s(entry_id, amount)
              group by 1) s
        where o.entry_id = s.entry_id and o.entry_id = any (array(select e.id from entries e))
    )
    -- What a bill's void gives back is no payment of it.
    select array_agg(y.bill_id), array_agg(y.amount) into v_bills, v_amounts
    from (select s.bill_id, sum(s.amount)::bigint as amount
          from pairs p
          join entries c on c.id = p.credit
          join entries d on d.id = p.debit
          cross join lateral (values (c.kind, c.bill_id, -p.amount, d.kind), (d.kind, d.bill_id, p.amount, c.kind))
              s(kind, bill_id, amount, other)
          where s.kind = 'bill' and s.other <> 'bill_void'
          group by 1 having sum(s.amount) <> 0) y;
    if v_bills is not null then
        perform 1 from public.bills where id = any (v_bills) order by id for update;
        update public.bills b set amount_paid_minor = b.amount_paid_minor + x.amount
        from unnest(v_bills, v_amounts) x(id, amount)
        where b.id = x.id and b.id = any (v_bills);
    end if;
end $$;

create or replace function private.settle(p_customers uuid[]) returns void
language plpgsql set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
    if not exists (select 1 from public.open_items o where o.customer_id = any (p_customers) and o.open_minor < 0) then
        return;
    end if;
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
alter function private.post_payments(uuid[], text) set plan_cache_mode = force_generic_plan;
alter function private.lock_customers(uuid[]) set plan_cache_mode = force_generic_plan;

-- As before, with each row made into JSON once instead of three times. Nothing here may need a nested loop: with
-- those off its cost is so high, before Postgres 18, that the server would compile the plan at each call.
create or replace function private.audit() returns trigger
-- Transition tables have no statistics: left alone, the planner joins a thousand rows row by row.
language plpgsql set search_path = '' set enable_nestloop = off as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if v_actor is null and exists (select 1 from new_rows) then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_log (actor, action, table_name, row_id, after)
        select v_actor, 'insert', tg_table_name, n.id::text, to_jsonb(n) - 'lines'
        from new_rows n;
    else
        insert into public.audit_log (actor, action, table_name, row_id, before, after)
        select v_actor, 'update', tg_table_name, r.id::text,
               private.changed_columns(r.n, r.o), private.changed_columns(r.o, r.n)
        from (select n.id, to_jsonb(o) as o, to_jsonb(n) as n
              from new_rows n join old_rows o on o.id = n.id
              where o is distinct from n
              offset 0) r;
    end if;
    return null;
end $$;

-- A customer with several agreements can have one message and one statement for all of them.

alter table public.customers add column one_statement boolean not null default false;
comment on column public.customers.one_statement is 'Bills that are made together are told of in one message, with one statement for all agreements.';

create index outbox_held_for_statement on public.outbox (bill_id) where facts ? 'statement';

create function private.join_statement(p_customer uuid, p_in_run boolean) returns void
language plpgsql set search_path = ''
as $$
declare
    v_bills uuid[];
    v_tells uuid;
begin
    -- Bills that nobody has begun to tell of, the latest first; it tells of the others.
    select array_agg(x.bill_id order by x.period_end desc, x.number desc) into v_bills
    from (select o.bill_id, b.period_end, b.number
          from public.bills b join public.outbox o on o.bill_id = b.id and o.kind = 'bill_issued'
          where b.customer_id = p_customer and b.status = 'issued' and o.status = 'open'
            and o.steps #>> '{11,status}' = 'pending' and (o.lease_until is null or o.lease_until < now())
            and o.created_at > now() - interval '2 days'
          for update of o) x;
    v_tells := v_bills[1];
    if v_tells is null then
        return;
    end if;
    update public.outbox o
    set facts = o.facts
            || case when cardinality(v_bills) > 1
                    then jsonb_build_object('tells_of', (select string_agg(b::text, ' ') from unnest(v_bills[2:]) b)) else '{}' end
            || case when p_in_run then jsonb_build_object('statement', 'waits') else '{}' end,
        -- The run goes through agreements, not customers: the message waits for its end.
        next_attempt_at = case when p_in_run then now() + interval '12 hours' else now() + interval '2 minutes' end
    where o.bill_id = v_tells and o.kind = 'bill_issued';
    update public.outbox o
    set facts = o.facts - 'tells_of' - 'statement', next_attempt_at = now(),
        steps = o.steps || (select jsonb_object_agg(s, '{"status": "skipped", "detail": "in one message with the customer''s other bills"}'::jsonb)
                            from unnest(array['11', '12', '13']) s)
    where o.bill_id = any (v_bills[2:]) and o.kind = 'bill_issued';
end $$;
comment on function private.join_statement is 'Lets the latest of a customer''s untold bills tell of the others.';
revoke all on function private.join_statement(uuid, boolean) from public, anon, authenticated;
grant execute on function private.join_statement(uuid, boolean) to service_role;

create function private.join_statements() returns trigger
language plpgsql set search_path = ''
as $$
begin
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
comment on function private.join_statements is 'Customers who have one statement are told of all bills that are made together in one message.';
revoke all on function private.join_statements() from public, anon, authenticated;
grant execute on function private.join_statements() to service_role;

create trigger join_statements after insert on public.outbox
referencing new table as new_rows for each statement execute function private.join_statements();

create function private.release_statements() returns trigger
language plpgsql set search_path = ''
as $$
begin
    update public.outbox set next_attempt_at = now(), facts = facts - 'statement'
    where facts ? 'statement' and status = 'open';
    return null;
end $$;
comment on function private.release_statements is 'The run has ended: the messages that waited for it go out.';
revoke all on function private.release_statements() from public, anon, authenticated;
grant execute on function private.release_statements() to service_role;

create trigger release_statements after update on public.job_runs
for each row when (new.job = 'monthly_bills' and old.status = 'running' and new.status <> 'running')
execute function private.release_statements();

create function public.set_one_statement(p jsonb) returns jsonb
language plpgsql set search_path = ''
as $$
begin
    perform private.set_actor(p);
    if not exists (select 1 from public.customers where id = (p ->> 'customer_id')::uuid) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    update public.customers set one_statement = (p ->> 'one_statement')::boolean
    where id = (p ->> 'customer_id')::uuid and one_statement <> (p ->> 'one_statement')::boolean;
    return '{}'::jsonb;
end $$;
comment on function public.set_one_statement is 'Whether a customer has one statement for all agreements: {actor, customer_id, one_statement}.';

create function public.account_statement(p jsonb) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
    c public.customers;
    v_currency text;
begin
    select * into c from public.customers where id = (p ->> 'customer_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    v_currency := coalesce(p ->> 'currency', c.currency, '');
    return jsonb_build_object(
        'account_no', c.account_no, 'name', c.name, 'address', c.address, 'language', c.language,
        'currency', v_currency, 'one_statement', c.one_statement,
        'opening_minor', coalesce((select sum(e.amount_minor) from public.ledger_entries e
                                   where e.customer_id = c.id and e.book = 'account' and e.currency = v_currency
                                     and e.on_date < (p ->> 'start')::date), 0),
        'entries', (select coalesce(jsonb_agg(x.entry order by x.on_date, x.entry_no), '[]')
                    from (select l.on_date, l.entry_no, to_jsonb(l) as entry from public.ledger_list l
                          where l.customer_id = c.id and l.book = 'account' and l.currency = v_currency
                            and l.on_date >= (p ->> 'start')::date and l.on_date < (p ->> 'end')::date
                          order by l.on_date, l.entry_no limit 1000) x),
        'bills', (select coalesce(jsonb_agg(jsonb_build_object(
                             'bill_id', b.id, 'number', b.number, 'period_start', b.period_start, 'period_end', b.period_end,
                             'consumption_wh', b.consumption_wh, 'total_minor', b.total_minor,
                             'meter_serial', m.serial, 'place', coalesce(nullif(s.address, ''), s.code))
                             order by b.issued_on, b.number), '[]')
                  from (select * from public.bills y
                        where y.customer_id = c.id and y.status = 'issued' and y.currency = v_currency
                          and y.issued_on >= (p ->> 'start')::date and y.issued_on < (p ->> 'end')::date
                        order by y.issued_on, y.number limit 1000) b
                  join public.meters m on m.id = b.meter_id
                  join public.service_agreements a on a.id = b.agreement_id
                  join public.service_points s on s.id = a.service_point_id));
end $$;
comment on function public.account_statement is 'What happened on a customer''s account in [start, end): {customer_id, start, end, currency?: else the account''s} -> {account_no, name, address, language, currency, one_statement, opening_minor: the balance before, entries and bills in order, 1,000 of each at most}.';

revoke all on function public.set_one_statement(jsonb), public.account_statement(jsonb) from public, anon, authenticated;
grant execute on function public.set_one_statement(jsonb), public.account_statement(jsonb) to service_role;

-- What the pages ask that grew with the number of bills, entries or messages.

-- Filters of lists that few rows fit, so that nobody reads all bills or payments to find none. These indexes hold those
-- few rows alone, and cost other writes nothing but the look at their condition.
create index bills_partly_paid on public.bills (period_end desc, id desc)
    where status = 'issued' and overdue_since is null and amount_paid_minor > 0 and amount_paid_minor < total_minor;
create index bills_void on public.bills (agreement_id) where status = 'void';
create index meters_smart on public.meters (serial) where kind = 'smart';
create index open_items_of_credits on public.open_items (entry_id) where open_minor < 0;
create index payment_returns_of_nobody on public.payment_returns (on_date) where customer_id is null;

-- The entry of each bill and payment has an index; these are of the few others that name one.
create index ledger_entries_of_bills on public.ledger_entries (bill_id) where bill_id is not null and kind <> 'bill';
create index ledger_entries_of_payments on public.ledger_entries (payment_id) where payment_id is not null and kind <> 'payment';

-- What payments_provider_id_key finds as well.
drop index public.payments_provider;

-- Allocations are written in the order of time: a summary of each range of blocks finds those since a day.
create index allocations_written on public.allocations using brin (created_at);

create function private.page_of_two(
    p jsonb, p_sources text[], p_id text, p_keys text[], p_type text, p_first text[], p_second text[], p_text jsonb
) returns jsonb
    language plpgsql stable set search_path = '' as $$
declare
    v_down constant boolean := (p ->> 'descending')::boolean <> (p ->> 'backwards')::boolean;
    v_limit constant integer := (p ->> 'limit')::integer;
    -- The part that the walk begins in, and the one that it comes to.
    v_from constant integer := case when p -> 'after' <> 'null' then case p #>> '{after,0}' when '' then 1 else 2 end
                                    when v_down then 2 else 1 end;
    v_last constant boolean := v_from = case when v_down then 1 else 2 end;
    v_page jsonb;
    v_other jsonb;
    v_found integer;
begin
    v_page := private.page_by_key(p, p_sources[v_from], p_id, p_keys[v_from], p_type,
                                  case v_from when 1 then p_first else p_second end, p_text);
    v_found := jsonb_array_length(v_page -> 'keys');
    if v_last and (p ->> 'count_to')::integer = 0 then
        return v_page;
    end if;
    v_other := private.page_by_key(
        p || jsonb_build_object('after', null, 'limit', case when v_last then 1 else greatest(v_limit - v_found, 1) end),
        p_sources[3 - v_from], p_id, p_keys[3 - v_from], p_type, case v_from when 1 then p_second else p_first end, p_text);
    if not v_last then
        v_page := v_page || jsonb_build_object(
            'keys', case when (v_page ->> 'more')::boolean or v_found = v_limit then v_page -> 'keys'
                         when (p ->> 'backwards')::boolean then v_other -> 'keys' || (v_page -> 'keys')
                         else v_page -> 'keys' || (v_other -> 'keys') end,
            'more', (v_page ->> 'more')::boolean
                or case when v_found = v_limit then v_other -> 'keys' <> '[]' else (v_other ->> 'more')::boolean end);
    end if;
    return v_page || jsonb_build_object(
        'total', least((v_page ->> 'total')::bigint + (v_other ->> 'total')::bigint, (p ->> 'count_to')::bigint + 1));
end $$;
comment on function private.page_of_two(jsonb, text[], text, text[], text, text[], text[], jsonb) is
    'A page of two lists, of which the first, whose key is always empty, comes before the second: as private.page_by_key, with two sources, keys and conditions.';
revoke all on function private.page_of_two(jsonb, text[], text, text[], text, text[], text[], jsonb) from public, anon, authenticated;
grant execute on function private.page_of_two(jsonb, text[], text, text[], text, text[], text[], jsonb) to service_role;

create or replace function public.list_payments(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.payments y';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    -- The index of credits finds them: of payments nearly all are spent.
    v_with_credit constant text := 'y.id in (select e.payment_id from public.open_items o join public.ledger_entries e on e.id = o.entry_id'
        ' where o.open_minor < 0 and e.payment_id is not null)';
    v_conditions text[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'y.customer_id', 'y.customer_id', null),
        private.search_source('payments', 'y.id', 'y.id', null)], 'y.bill_id');
begin
    case p ->> 'sort'
        when 'received' then v_key := 'y.received_on'; v_type := 'date';
        when 'amount' then v_key := 'y.amount_minor'; v_type := 'bigint';
        when 'customer' then
            v_key := 'lower(k.name)'; v_type := 'text';
            v_from := 'public.payments y join public.customers k on k.id = y.customer_id';
    end case;
    v_conditions := array[
        case when p ->> 'ids' is not null then 'y.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'customer_id' is not null then 'y.customer_id = ($1 ->> ''customer_id'')::uuid' end,
        case when p ->> 'received_from' is not null then 'y.received_on >= ($1 ->> ''received_from'')::date' end,
        case when p ->> 'received_to' is not null then 'y.received_on <= ($1 ->> ''received_to'')::date' end,
        -- What leaves few to be looked at, and of nearly all those that may not be what is asked for; of these the view says it.
        case p ->> 'status'
            when 'unidentified' then 'y.customer_id is null'
            when 'returned' then 'y.id in (select x.payment_id from public.payment_returns x)'
            when 'deposit' then 'y.book = ''deposit'''
            when 'unapplied' then v_with_credit
            when 'partly_applied' then v_with_credit
            when 'applied' then 'y.customer_id is not null and y.book = ''account'''
        end,
        case when p ->> 'status' is not null then
            case p ->> 'status' when 'applied' then
                'case when y.id not in (select x.payment_id from public.payment_returns x where x.payment_id is not null)'
                ' and not ' || v_with_credit || ' then true else (select s.status from public.payment_list s where s.id = y.id) = ''applied'' end'
            else '(select s.status from public.payment_list s where s.id = y.id) = $1 ->> ''status''' end end];
    if p ->> 'sort' = 'customer' then
        -- Payments of nobody known come before all names. Each part has an order of its own, which one of both together has not.
        v_page := private.page_of_two(p,
            array['public.payments y', v_from], 'y.id', array['''''::text', v_key], v_type,
            v_conditions || 'y.customer_id is null'::text, v_conditions, v_text);
    else
        v_page := private.page_by_key(p, v_from, 'y.id', v_key, v_type, v_conditions, v_text);
    end if;
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) - 'search' order by array_position(v_ids, l.id)), '[]')
        from public.payment_list l where l.id = any (v_ids)));
end $_$;

create or replace function public.list_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.bills b';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'b.customer_id', 'b.customer_id', null),
        private.search_source('meters', 'b.meter_id', 'b.meter_id', null)], 'b.id');
begin
    case p ->> 'sort'
        when 'period' then v_key := 'b.period_end'; v_type := 'date';
        when 'number' then v_key := 'coalesce(b.number, 9223372036854775807)'; v_type := 'bigint';
        when 'total' then v_key := 'b.total_minor'; v_type := 'bigint';
        when 'due' then
            v_type := 'date';
            -- An open bill has its date: those of one are in the order of bills_to_dun.
            v_key := case when p ->> 'status' in ('issued', 'partially_paid') then 'b.due_date' else 'coalesce(b.due_date, ''infinity''::date)' end;
        when 'customer' then
            v_key := 'lower(k.name)'; v_type := 'text';
            v_from := 'public.bills b join public.customers k on k.id = b.customer_id';
    end case;
    v_conditions := array[
        case when p ->> 'ids' is not null then 'b.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'customer_id' is not null then 'b.customer_id = ($1 ->> ''customer_id'')::uuid' end,
        case when p ->> 'ended_after' is not null then 'b.period_end > ($1 ->> ''ended_after'')::date' end,
        case when p ->> 'ended_by' is not null then 'b.period_end <= ($1 ->> ''ended_by'')::date' end,
        case when p ->> 'issued_from' is not null then 'b.issued_on >= ($1 ->> ''issued_from'')::date' end,
        case when p ->> 'issued_to' is not null then 'b.issued_on <= ($1 ->> ''issued_to'')::date' end,
        case p ->> 'status'
            when 'void' then 'b.status = ''void'''
            when 'draft' then 'b.status = ''draft'''
            when 'paid' then 'b.status = ''issued'' and b.amount_paid_minor >= b.total_minor'
            when 'overdue' then 'b.status = ''issued'' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null'
            when 'partially_paid' then 'b.status = ''issued'' and b.amount_paid_minor < b.total_minor and b.overdue_since is null and b.amount_paid_minor > 0'
            when 'issued' then 'b.status = ''issued'' and b.amount_paid_minor < b.total_minor and b.overdue_since is null and b.amount_paid_minor <= 0'
        end];
    v_page := private.page_by_key(p, v_from, 'b.id', v_key, v_type, v_conditions, v_text);
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(jsonb_build_object(
            'id', l.id, 'number', l.number, 'status', l.status, 'customer_id', l.customer_id,
            'account_no', l.account_no, 'customer_name', l.customer_name, 'meter_serial', l.meter_serial,
            'tariff_name', l.tariff_name, 'period_start', l.period_start, 'period_end', l.period_end,
            'consumption_wh', l.consumption_wh, 'currency', l.currency, 'total_minor', l.total_minor,
            'amount_paid_minor', l.amount_paid_minor, 'balance_minor', l.balance_minor,
            'issued_on', l.issued_on, 'due_date', l.due_date, 'overdue_since', l.overdue_since) order by array_position(v_ids, l.id)), '[]')
        from public.bill_list l where l.id = any (v_ids)));
end $_$;

create function public.list_notifications(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' as $$
declare
    v_page jsonb;
    v_ids uuid[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'n.customer_id', 'n.customer_id', null)], 'n.bill_id');
begin
    v_page := private.page_by_key(
        p || '{"descending": true, "backwards": false, "after": null}', 'public.notifications n', 'n.id', 'n.created_at', 'timestamptz',
        array[
            -- What the index of undone messages has; which of them were given up is said by the view alone.
            case when p ->> 'status' in ('waiting', 'sending', 'given_up', 'failed', 'unknown')
                then 'n.status in (''waiting'', ''sending'', ''failed'', ''unknown'')' end,
            case when p ->> 'status' in ('waiting', 'sending', 'given_up')
                    then '(select l.status from public.notification_list l where l.id = n.id) = $1 ->> ''status'''
                 when p ->> 'status' is not null then 'n.status = $1 ->> ''status''' end],
        v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') with ordinality x (k, n)
                   where n > (p ->> 'offset')::integer);
    return jsonb_build_object('total', v_page -> 'total', 'rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.notification_list l where l.id = any (v_ids)));
end $$;
comment on function public.list_notifications(jsonb) is
    'Messages, the last written first: {text?, status?, offset, limit: of the last row, from the first on, count_to} -> {total: count_to + 1 at most, rows of notification_list}. Each word of the text is part of what a search finds the customer by, or the whole number of the bill.';
revoke all on function public.list_notifications(jsonb) from public, anon, authenticated;
grant execute on function public.list_notifications(jsonb) to service_role;

create or replace function public.aged_receivables(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    -- By key: how few entries are open is beyond the planner, who would read the whole ledger for them.
    SET enable_hashjoin TO off
    SET enable_mergejoin TO off
    SET work_mem TO '64MB'
    AS $$
    with span as (
        select ((p ->> 'month')::date + interval '1 month')::date as next, (p ->> 'until')::timestamptz as until,
               -- A month that is not over is looked at as the bills are marked today.
               (p ->> 'until')::timestamptz > now() as goes_on
    ), day as (
        select s.*, case when s.goes_on then least(coalesce(private.overdue_as_of(), now()::date), s.next - 1) else s.next - 1 end as as_of
        from span s
    ), touched as (
        -- What is open, and what was paid, or taken back, since the month or by what is dated after it: all else was settled.
        select o.entry_id as id from public.open_items o where o.open_minor <> 0
        union
        select y.id from public.allocations a cross join span s
        cross join lateral (values (a.credit_entry_id), (a.debit_entry_id)) y(id) where a.created_at >= s.until
        union
        select a.debit_entry_id from public.ledger_entries l cross join span s
        join public.allocations a on a.credit_entry_id = l.id where l.on_date >= s.next
        union
        select a.credit_entry_id from public.ledger_entries l cross join span s
        join public.allocations a on a.debit_entry_id = l.id where l.on_date >= s.next
    ), entries as materialized (
        select e.id, e.customer_id, e.currency, e.amount_minor, e.bill_id, e.kind, e.on_date, e.created_at
        from touched t join public.ledger_entries e on e.id = t.id cross join span s
        where e.book = 'account' and e.on_date < s.next
    ), allocated as (
        select y.id, sum(y.amount) as amount
        from (select e.id, e.created_at, a.amount_minor as amount, a.created_at as at, a.debit_entry_id as other_id
              from entries e join public.allocations a on a.credit_entry_id = e.id
              union all
              select e.id, e.created_at, -a.amount_minor, a.created_at, a.credit_entry_id
              from entries e join public.allocations a on a.debit_entry_id = e.id) y
        join public.ledger_entries x on x.id = y.other_id
        cross join span s
        -- What was let pay, or taken back, after the month is of a later month. But an entry that was
        -- written later and dated in it comes with what it paid at once.
        where x.book = 'account' and x.on_date < s.next
          and (y.at < s.until or y.at <= greatest(y.created_at, x.created_at))
        group by 1
    ), open as (
        select e.customer_id, e.currency, (e.amount_minor + coalesce(a.amount, 0))::bigint as minor,
               -- What has no due date, such as a fee, is past no date; an opening balance was due on its day.
               case when e.kind = 'opening_balance' then greatest(s.as_of - o.order_on, 0)
                    when b.id is null then 0
                    when s.goes_on then case when b.overdue_since is null then 0 else greatest(s.as_of - b.due_date, 1) end
                    when s.as_of > b.due_date and not private.spared_at(b.id, s.until) then s.as_of - b.due_date
                    else 0 end as days_late
        from entries e cross join day s
        left join allocated a on a.id = e.id
        left join public.bills b on b.id = e.bill_id
        left join public.open_items o on e.kind = 'opening_balance' and o.entry_id = e.id
        where e.amount_minor + coalesce(a.amount, 0) <> 0
    ), aged as materialized (
        select customer_id, currency,
               coalesce(sum(minor) filter (where minor > 0 and days_late <= 0), 0)::bigint as not_due_minor,
               coalesce(sum(minor) filter (where minor > 0 and days_late between 1 and 30), 0)::bigint as late_30_minor,
               coalesce(sum(minor) filter (where minor > 0 and days_late between 31 and 60), 0)::bigint as late_60_minor,
               coalesce(sum(minor) filter (where minor > 0 and days_late between 61 and 90), 0)::bigint as late_90_minor,
               coalesce(sum(minor) filter (where minor > 0 and days_late > 90), 0)::bigint as later_minor,
               coalesce(sum(minor) filter (where minor < 0), 0)::bigint as credit_minor,
               sum(minor)::bigint as balance_minor
        from open group by 1, 2
    )
    select jsonb_build_object(
        'as_of', (select as_of from day),
        'totals', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency), '[]')
                   from (select currency, count(*) as customers, sum(not_due_minor)::bigint as not_due_minor,
                                sum(late_30_minor)::bigint as late_30_minor, sum(late_60_minor)::bigint as late_60_minor,
                                sum(late_90_minor)::bigint as late_90_minor, sum(later_minor)::bigint as later_minor,
                                sum(credit_minor)::bigint as credit_minor, sum(balance_minor)::bigint as balance_minor
                         from aged group by 1) z),
        'customers', (select coalesce(jsonb_agg(to_jsonb(z) order by z.place), '[]')
                      from (select c.account_no, c.name as customer_name, g.*,
                                   row_number() over (order by g.currency, g.balance_minor - g.not_due_minor desc, c.account_no) as place
                            from aged g join public.customers c on c.id = g.customer_id
                            order by place limit (p ->> 'limit')::integer offset (p ->> 'offset')::integer) z))
$$;

create function public.open_bills(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('bills', coalesce(sum(t.bills), 0)::bigint)
    from public.bill_totals t where t.state in ('open', 'overdue')
$$;
comment on function public.open_bills(jsonb) is 'How many bills are issued and not paid in full now: {} -> {bills}.';
revoke all on function public.open_bills(jsonb) from public, anon, authenticated;
grant execute on function public.open_bills(jsonb) to service_role;

create or replace function public.customer_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_customer uuid;
    v_after public.bills;
    v_bills jsonb;
    v_limit integer := (p ->> 'limit')::integer;
begin
    -- An id where it is one, else an account number, which may look like an id: each has its index.
    if lower(p ->> 'customer') ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        select id into v_customer from public.customers where id = (p ->> 'customer')::uuid;
    end if;
    if v_customer is null then
        select id into v_customer from public.customers where account_no = p ->> 'customer';
    end if;
    if v_customer is null then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    if p ->> 'after' is not null then
        select * into v_after from public.bills
        where customer_id = v_customer and id::text = lower(p ->> 'after');
        if not found then
            perform private.refuse('EB404', 'This customer has no such bill to go on after.');
        end if;
    end if;
    select jsonb_agg(to_jsonb(b) - 'search' order by b.period_end desc, b.id desc) into v_bills
    from (select * from public.bill_list l
          where l.customer_id = v_customer and l.status <> 'draft'
            and (v_after.id is null or (l.period_end, l.id) < (v_after.period_end, v_after.id))
            and (p ->> 'reader' is null or exists (
                 select 1 from public.readings r
                 where r.meter_id = l.meter_id and r.submitted_by = p ->> 'reader'
                   and r.status in ('accepted', 'superseded')))
          order by l.period_end desc, l.id desc limit v_limit + 1) b;
    return jsonb_build_object('bills', coalesce(v_bills, '[]'));
end $$;

create or replace view public.tariff_list with (security_invoker = true) as
select t.id, t.code, t.name, t.currency,
       -- Counted as far as a list is.
       (select count(*) from (
            select from public.agreement_tariffs y
            join public.service_agreements a on a.id = y.agreement_id
            where y.tariff_id = t.id and a.ends_on is null
              and not exists (select 1 from public.agreement_tariffs n
                              where n.agreement_id = y.agreement_id and n.starts_on > y.starts_on)
            limit 10001) on_it) as meters,
       (select b.period_end from public.bills b where b.id = private.last_bill_with(t.id)) as billed_until,
       (select jsonb_agg(v.effective_from order by v.effective_from) from private.versions_in_force(t.id) v) as begins
from public.tariffs t;

create function private.bills_of_place(p_service_point uuid) returns table (id uuid)
    language sql stable set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    rows 50 as $$
    select b.id from public.service_agreements a join public.bills b on b.agreement_id = a.id and b.status <> 'void'
    where a.service_point_id = p_service_point
    union all
    select b.id from public.service_agreements a join public.bills b on b.agreement_id = a.id and b.status = 'void'
    where a.service_point_id = p_service_point
$$;
comment on function private.bills_of_place(uuid) is
    'The bills of all agreements at a place: those in the chain and the void ones have an index each.';
revoke all on function private.bills_of_place(uuid) from public, anon, authenticated;
grant execute on function private.bills_of_place(uuid) to service_role;

create or replace function private.rows_about(p_of text, p_id uuid) RETURNS TABLE(table_name text, row_id text)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select p_of || 's', p_id::text where p_of in ('bill', 'payment', 'tariff')
    union
    -- A meter's own changes name it; who was supplied by it, and on which tariff, is said of its places.
    select 'service_agreements', a.id::text
    from public.meter_installations i
    join public.service_agreements a on a.service_point_id = i.service_point_id
        and a.starts_on <= coalesce(i.removed_on, 'infinity') and coalesce(a.ends_on, 'infinity') >= i.installed_on
    where p_of = 'meter' and i.meter_id = p_id
    union
    select 'agreement_tariffs', t.id::text
    from public.meter_installations i
    join public.service_agreements a on a.service_point_id = i.service_point_id
        and a.starts_on <= coalesce(i.removed_on, 'infinity') and coalesce(a.ends_on, 'infinity') >= i.installed_on
    join public.agreement_tariffs t on t.agreement_id = a.id
    where p_of = 'meter' and i.meter_id = p_id
    union
    -- Of a place everything that was agreed on there, and the bills of it; readings are said of its meters.
    select 'service_points', p_id::text where p_of = 'service_point'
    union
    select 'service_agreements', a.id::text from public.service_agreements a where p_of = 'service_point' and a.service_point_id = p_id
    union
    select 'agreement_tariffs', t.id::text
    from public.service_agreements a join public.agreement_tariffs t on t.agreement_id = a.id
    where p_of = 'service_point' and a.service_point_id = p_id
    union
    select 'meter_installations', i.id::text from public.meter_installations i where p_of = 'service_point' and i.service_point_id = p_id
    union
    select 'missed_reads', x.id::text from public.missed_reads x where p_of = 'service_point' and x.service_point_id = p_id
    union
    select 'bills', b.id::text from private.bills_of_place(case p_of when 'service_point' then p_id end) b
    union
    select 'service_points', i.service_point_id::text from public.meter_installations i where p_of = 'meter' and i.meter_id = p_id
    union
    select 'readings', r.id::text
    from public.bills b
    cross join lateral (
        select unnest(array[b.opening_reading_id, b.closing_reading_id])
        union
        select unnest(array[x ->> 'opening_reading_id', x ->> 'closing_reading_id'])::uuid from jsonb_array_elements(b.segments) x) r (id)
    where p_of = 'bill' and b.id = p_id
    union
    select 'payments', y.id::text from public.payments y where p_of = 'bill' and y.bill_id = p_id
    union
    select 'payments', c.payment_id::text
    from public.ledger_entries d
    join public.allocations a on a.debit_entry_id = d.id
    join public.ledger_entries c on c.id = a.credit_entry_id
    where p_of = 'bill' and d.bill_id = p_id and d.kind = 'bill' and c.payment_id is not null
    union
    select 'spared_bills', s.id::text from public.spared_bills s where p_of = 'bill' and s.bill_id = p_id
    union
    select 'payment_links', k.id from public.payment_links k where p_of = 'bill' and k.bill_id = p_id
    union
    select 'outbox', o.id::text from public.outbox o where p_of = 'bill' and o.bill_id = p_id
    union
    select 'instalment_plans', i.plan_id::text from public.plan_bills i where p_of = 'bill' and i.bill_id = p_id
    union
    select 'payment_returns', x.id::text from public.payment_returns x where p_of = 'payment' and x.payment_id = p_id
    union
    select 'tariff_versions', v.id::text from public.tariff_versions v where p_of = 'tariff' and v.tariff_id = p_id
$$;

create or replace function private.recorded_beside_audit(p_of text, p_id uuid) RETURNS TABLE(key text, at timestamp with time zone, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select 'l' || e.id, e.created_at, e.actor, 'insert',
           case e.kind when 'deposit_used' then 'deposit_uses' else 'adjustments' end, e.id::text, null::jsonb,
           jsonb_build_object('kind', e.kind, 'amount_minor', e.amount_minor, 'currency', e.currency, 'on_date', e.on_date, 'note', e.note)
    from public.ledger_entries e
    where p_of = 'customer' and e.customer_id = p_id and e.book = 'account'
      and e.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used', 'opening_balance', 'opening_balance_undone')
    union all
    select 'n' || n.id, n.created_at, 'system:owed-work', 'insert', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id)
    from public.notifications n
    where n.id = any (array(
        select k.id from public.notifications k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.notifications k where p_of = 'bill' and k.bill_id = p_id))
    union all
    select 'c' || c.id, c.created_at, c.created_by, 'insert', 'corrections', c.id::text, null,
           jsonb_build_object('kind', c.kind, 'reason', c.reason, 'difference_minor', c.difference_minor, 'currency', c.currency,
                              'meter_id', c.meter_id, 'bills', (select count(*) from public.corrected_bills x where x.correction_id = c.id))
    from public.corrections c
    where c.id = any (array(
        select k.id from public.corrections k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.corrections k where p_of = 'meter' and k.meter_id = p_id
        union all
        select x.correction_id from public.corrected_bills x where p_of = 'bill' and (x.void_bill_id = p_id or x.new_bill_id = p_id)
        union all
        select x.correction_id
        from private.bills_of_place(case p_of when 'service_point' then p_id end) b
        join public.corrected_bills x on b.id in (x.void_bill_id, x.new_bill_id)))
    union all
    select 'f' || f.reason, f.raised_at, 'system:payments', 'insert', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'detail', f.detail)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id
    union all
    select 'g' || f.reason, f.resolved_at, f.resolved_by, 'update', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'resolution', f.resolution)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id and f.resolved_at is not null
    union all
    select 'p' || lpad(a.id::text, 19, '0'), a.created_at, a.actor, 'insert', 'allocations', a.id::text, null,
           jsonb_build_object('amount_minor', a.amount_minor, 'currency', c.currency, 'kind', d.kind, 'note', d.note, 'bill_id', d.bill_id)
    from public.ledger_entries c
    join public.allocations a on a.credit_entry_id = c.id
    join public.ledger_entries d on d.id = a.debit_entry_id
    where p_of = 'payment' and c.kind = 'payment' and c.payment_id = p_id
    union all
    select 's' || s.id, s.created_at, s.created_by, 'insert', 'supply_changes', s.id::text, null,
           jsonb_build_object('kind', s.kind, 'reason', s.reason, 'effective_on', s.effective_on, 'service_point_id', s.service_point_id)
    from public.supply_changes s
    where s.id = any (array(
        -- One that names an agreement is of its customer, another one of whoever was supplied there that day.
        select k.id from public.service_agreements g join public.supply_changes k on k.service_point_id = g.service_point_id
            and case when k.agreement_id is not null then k.agreement_id = g.id
                     else k.effective_on between g.starts_on and coalesce(g.ends_on, 'infinity') end
        where p_of = 'customer' and g.customer_id = p_id
        union all
        select k.id from public.meter_installations i join public.supply_changes k on k.service_point_id = i.service_point_id
            and k.effective_on between i.installed_on and coalesce(i.removed_on, 'infinity')
        where p_of = 'meter' and i.meter_id = p_id
        union all
        select k.id from public.supply_changes k where p_of = 'service_point' and k.service_point_id = p_id))
$$;

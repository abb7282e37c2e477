-- Work orders to cut a supply and to bring it back, on an engineer's round; what is due tonight, who owes, what was done.

create table public.work_orders (
    id uuid primary key,
    kind text not null check (kind in ('disconnect', 'reconnect')),
    customer_id uuid not null references public.customers (id),
    agreement_id uuid not null references public.service_agreements (id),
    service_point_id uuid not null references public.service_points (id),
    meter_id uuid not null references public.meters (id),
    action_id uuid references public.dunning_actions (id),
    ordered_on date not null,
    status text not null default 'open' check (status in ('open', 'done', 'cancelled')),
    disconnection_id uuid references public.disconnections (id),
    followed_at timestamptz,
    closed_at timestamptz,
    closed_because text not null default '',
    created_at timestamptz not null default now(),
    check ((status = 'open') = (closed_at is null))
);
comment on table public.work_orders is 'Supplies that an engineer is to cut for a debt, or to bring back once it is paid. Each puts its meter on the round by a reading request; the office enters the disconnection or reconnection, which closes it.';
comment on column public.work_orders.followed_at is 'Of a disconnection by order: when its reconnection was ordered, or made without one.';
create unique index work_orders_one_open on public.work_orders (agreement_id) where status = 'open';
create index work_orders_customer on public.work_orders (customer_id, created_at desc);
create index work_orders_recent on public.work_orders (created_at desc, id);
create index work_orders_to_follow on public.work_orders (customer_id) where kind = 'disconnect' and status = 'done' and followed_at is null;
alter table public.work_orders enable row level security;
revoke all on public.work_orders from public, anon, authenticated, service_role;
grant select, insert, update on public.work_orders to service_role;
select private.audit_table('public.work_orders');

alter table public.dunning_actions add column ordered_at timestamptz;
comment on column public.dunning_actions.ordered_at is 'Of a disconnection order: when its work orders were made, or found to be needed no more.';
create index dunning_actions_to_order on public.dunning_actions (customer_id) where action = 'disconnection' and ordered_at is null;

create function private.is_owed_still(p_actions uuid[], p_today date) returns uuid[]
    language plpgsql stable set search_path = '' as $$
declare
    v_bills constant uuid[] := array(select a.bill_id from public.dunning_actions a where a.id = any (p_actions));
    v_customers constant uuid[] := array(select distinct a.customer_id from public.dunning_actions a where a.id = any (p_actions));
    v_dunned constant uuid[] := private.dunned_of(v_bills);
    v_held constant uuid[] := private.held_of(v_customers, p_today);
begin
    return array(
        select a.id from public.dunning_actions a
        join private.overdue_of(v_customers) o on o.customer_id = a.customer_id and o.currency = a.currency
        where a.id = any (p_actions) and a.bill_id = any (v_dunned) and a.customer_id <> all (v_held)
          and o.overdue_minor >= (private.dunning_policy_on(a.currency, p_today) ->> 'minimum_minor')::bigint);
end $$;
comment on function private.is_owed_still(uuid[], date) is 'Those of some disconnection orders of the ladder whose debt is still pressed: unpaid, no small balance, not on hold, in no plan.';

create function public.follow_work_orders(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
    v_today constant date := (p ->> 'today')::date;
    v_actions uuid[];
    v_still uuid[];
    v_orders uuid[] := '{}';
    v_cancelled uuid[] := '{}';
    v_back uuid[] := '{}';
begin
    v_actions := array(select a.id from public.dunning_actions a where a.action = 'disconnection' and a.ordered_at is null limit 1000);
    if v_actions = '{}' and not exists (select 1 from public.work_orders w where w.status = 'open')
       and not exists (select 1 from public.work_orders w where w.kind = 'disconnect' and w.status = 'done' and w.followed_at is null) then
        return jsonb_build_object('ordered', 0, 'cancelled', 0);
    end if;
    perform private.set_actor(p);
    -- One at a time, in any number of processes.
    perform pg_advisory_xact_lock(hashtext('work_orders'));
    v_still := private.is_owed_still(v_actions, v_today);
    with new as (
        insert into public.work_orders (id, kind, customer_id, agreement_id, service_point_id, meter_id, action_id, ordered_on)
        select gen_random_uuid(), 'disconnect', x.customer_id, x.agreement_id, x.service_point_id, x.meter_id, x.action_id, v_today
        from (select distinct on (g.id) a.customer_id, g.id as agreement_id, g.service_point_id, i.meter_id, a.id as action_id
              from public.dunning_actions a
              join public.bills b on b.customer_id = a.customer_id and b.currency = a.currency and b.status = 'issued'
                  and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
              join public.service_agreements g on g.id = b.agreement_id and g.ends_on is null
              join public.meter_installations i on i.service_point_id = g.service_point_id and i.removed_at is null
              where a.id = any (v_still) and not private.is_disconnected(g.id, v_today)
              order by g.id, a.id, i.installed_at desc) x
        on conflict (agreement_id) where status = 'open' do nothing
        returning id)
    select array(select n.id from new n) into v_orders;
    update public.dunning_actions a set ordered_at = now()
    where a.id = any (v_still) or (a.id = any (v_actions) and exists (
        -- Paid meanwhile: what is still open begins at the first step. What is held or small waits.
        select 1 from public.bills b where b.id = a.bill_id and (b.status <> 'issued' or b.amount_paid_minor >= b.total_minor)));

    -- Who paid meanwhile, or is on hold, is not cut.
    v_actions := array(select w.action_id from public.work_orders w where w.status = 'open' and w.kind = 'disconnect');
    v_still := private.is_owed_still(v_actions, v_today);
    with ended as (
        update public.work_orders w
        set status = 'cancelled', closed_at = now(),
            closed_because = case when g.ends_on is not null then 'They moved out.'
                                  when b.amount_paid_minor >= b.total_minor then 'The debt was paid.'
                                  else 'The account is on hold, in a plan, or owes a small balance.' end
        from public.service_agreements g, public.dunning_actions a, public.bills b
        where w.status = 'open' and w.kind = 'disconnect' and g.id = w.agreement_id and a.id = w.action_id and b.id = a.bill_id
          and (w.action_id <> all (v_still) or g.ends_on is not null)
        returning w.id, w.action_id, b.amount_paid_minor < b.total_minor and g.ends_on is null as again
    ), again as (
        -- Ordered anew when the hold is over, if it is still owed then.
        update public.dunning_actions a set ordered_at = null from ended e where a.id = e.action_id and e.again returning 1)
    select array(select e.id from ended e) into v_cancelled;

    -- Who paid is connected again, by an order too.
    with paid as (
        select w.id, w.customer_id, w.agreement_id, w.service_point_id
        from public.work_orders w
        join public.service_agreements g on g.id = w.agreement_id and g.ends_on is null
        where w.kind = 'disconnect' and w.status = 'done' and w.followed_at is null
          and private.is_disconnected(w.agreement_id, v_today)
          and coalesce((select sum(o.overdue_minor) from private.overdue_of(array[w.customer_id]) o), 0)
              < (select (private.dunning_policy_on(a.currency, v_today) ->> 'minimum_minor')::bigint
                 from public.dunning_actions a where a.id = w.action_id)
        order by w.id limit 500
    ), new as (
        insert into public.work_orders (id, kind, customer_id, agreement_id, service_point_id, meter_id, ordered_on)
        select gen_random_uuid(), 'reconnect', d.customer_id, d.agreement_id, d.service_point_id, i.meter_id, v_today
        from paid d
        cross join lateral (select x.meter_id from public.meter_installations x
                            where x.service_point_id = d.service_point_id and x.removed_at is null order by x.installed_at desc limit 1) i
        on conflict (agreement_id) where status = 'open' do nothing
        returning id
    ), followed as (
        update public.work_orders w set followed_at = now() from paid d where w.id = d.id returning 1)
    select array(select n.id from new n) into v_back;

    insert into public.reading_requests (id, meter_id, reason, requested_on, requested_by)
    select w.id, w.meter_id,
           case w.kind
               when 'disconnect' then 'Disconnect for non-payment: cut the supply, then read the meter. Not done? Say that it could not be read, and why.'
               else 'Reconnect, the debt is paid: bring the supply back, then read the meter. Not done? Say that it could not be read, and why.' end,
           v_today, p ->> 'actor'
    from public.work_orders w where w.id = any (v_orders || v_back)
    on conflict (meter_id) where done_at is null do update
    set reason = left(excluded.reason || ' Also: ' || public.reading_requests.reason, 500);
    update public.reading_requests q set done_at = now() where q.id = any (v_cancelled) and q.done_at is null;
    return jsonb_build_object('ordered', cardinality(v_orders) + cardinality(v_back), 'cancelled', cardinality(v_cancelled));
end $$;
comment on function public.follow_work_orders(jsonb) is 'Orders the disconnections that the ladder came to, cancels those whose debt is paid or on hold, and orders reconnections of who paid: {actor, today} -> {ordered, cancelled}. Costs next to nothing where there are none.';

create function private.close_work_orders() returns trigger
    language plpgsql set search_path = '' as $$
declare
    v_kind constant text := case when new.reconnected_on is null then 'disconnect' else 'reconnect' end;
begin
    if new.withdrawn then
        return null;
    end if;
    with ended as (
        update public.work_orders w
        set status = 'done', closed_at = now(), disconnection_id = new.id,
            closed_because = case v_kind when 'disconnect' then 'Disconnected.' else 'Reconnected.' end
        where w.agreement_id = new.agreement_id and w.kind = v_kind and w.status = 'open'
        returning w.id)
    update public.reading_requests q set done_at = now() from ended e where q.id = e.id and q.done_at is null;
    if new.reconnected_on is not null then
        update public.work_orders w set followed_at = now()
        where w.agreement_id = new.agreement_id and w.kind = 'disconnect' and w.status = 'done' and w.followed_at is null;
    end if;
    return null;
end $$;
create trigger disconnections_close_orders after insert or update on public.disconnections
    for each row execute function private.close_work_orders();

create view public.work_order_list with (security_invoker = true) as
    select w.*, c.account_no, c.name as customer_name, s.code as service_point_code, s.route, coalesce(nullif(s.address, ''), c.address, '') as address,
           m.serial as meter_serial, r.register_wh as read_wh, r.read_on, r.submitted_by as read_by,
           x.reason as missed_reason, x.note as missed_note, x.missed_on
    from public.work_orders w
    join public.customers c on c.id = w.customer_id
    join public.service_points s on s.id = w.service_point_id
    join public.meters m on m.id = w.meter_id
    left join public.reading_requests q on q.id = w.id
    left join public.readings r on r.id = q.done_reading_id
    left join lateral (
        select y.reason, y.note, y.missed_on from public.missed_reads y
        where y.service_point_id = w.service_point_id and y.missed_on >= w.ordered_on and q.done_reading_id is null
        order by y.missed_on desc limit 1) x on true;
comment on view public.work_order_list is 'Work orders with where they are, and what the engineer found: the read after the work, or why it could not be done.';
revoke all on public.work_order_list from public, anon, authenticated;
grant select on public.work_order_list to service_role;

create function public.dunning_preview(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
    v_today constant date := (p ->> 'today')::date;
    v_part constant text := p ->> 'part';
    v_limit constant integer := (p ->> 'limit')::integer;
    -- As many at once as the jobs look at; most of them have nothing due.
    v_page constant integer := 500;
    v_date date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_id uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
    v_until constant date := v_today + (public.days_of_reminders('{}') ->> 'days')::integer;
    v_found uuid[];
    v_rows jsonb := '[]';
    v_more boolean := true;
begin
    for n in 1 .. 20 loop
        if v_part = 'ladder' then
            v_found := private.accounts_in_arrears(v_id, v_page);
            v_rows := v_rows || coalesce((select jsonb_agg(to_jsonb(d) order by d.customer_id, d.bill_id)
                                          from private.dunning_due(v_found, v_today) d), '[]');
        elsif v_part = 'overdue' then
            v_found := array(
                select b.id from public.bills b
                where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is null
                  and b.due_date < v_today and (b.due_date, b.id) > (v_date, v_id)
                order by b.due_date, b.id limit v_page);
            v_rows := v_rows || coalesce((select jsonb_agg(to_jsonb(d) order by d.due_date, d.bill_id)
                                          from private.overdue_notices_due(private.dunned_of(v_found), v_today) d), '[]');
        else
            v_found := array(
                select b.id from public.bills b
                where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is null
                  and (b.due_date, b.id) > (greatest(v_date, v_today - 1), v_id) and b.due_date >= v_today and b.due_date <= v_until
                order by b.due_date, b.id limit v_page);
            v_rows := v_rows || coalesce((select jsonb_agg(to_jsonb(d) order by d.due_date, d.bill_id)
                                          from private.reminders_due(private.dunned_of(v_found), v_today) d), '[]');
        end if;
        v_more := cardinality(v_found) = v_page;
        exit when not v_more;
        v_id := v_found[v_page];
        v_date := case when v_part = 'ladder' then null else (select b.due_date from public.bills b where b.id = v_id) end;
        exit when jsonb_array_length(v_rows) >= v_limit;
    end loop;
    if jsonb_array_length(v_rows) > v_limit then
        -- The page ends with a row, and goes on after it; of an account all rows are on one page.
        v_id := (v_rows -> (v_limit - 1) ->> case when v_part = 'ladder' then 'customer_id' else 'bill_id' end)::uuid;
        v_date := case when v_part = 'ladder' then null else (v_rows -> (v_limit - 1) ->> 'due_date')::date end;
        v_rows := (select jsonb_agg(x.value order by x.ordinality) from jsonb_array_elements(v_rows) with ordinality x
                   where x.ordinality <= v_limit or v_part = 'ladder' and (x.value ->> 'customer_id')::uuid = v_id);
        v_more := true;
    end if;
    return jsonb_build_object(
        'rows', coalesce((
            select jsonb_agg(x.value || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'bill_number', b.number)
                             order by x.ordinality)
            from jsonb_array_elements(v_rows) with ordinality x
            join public.customers c on c.id = (x.value ->> 'customer_id')::uuid
            join public.bills b on b.id = (x.value ->> 'bill_id')::uuid), '[]'),
        'after', case when v_more then jsonb_build_object('due_date', v_date, 'id', v_id) end);
end $$;
comment on function public.dunning_preview(jsonb) is 'What a night''s jobs would do, and nothing of it: {today, part: reminders|overdue|ladder, after?, limit} -> {rows, after: where the next page begins, null at the end}. At most 10,000 bills or accounts are looked at; credit that lies open is not taken into account.';

create function public.arrears_page(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_date constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
    v_oldest uuid[];
begin
    v_oldest := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
          and (b.due_date, b.id) > (v_date, v_id)
          and not exists (select 1 from public.bills o
                          where o.customer_id = b.customer_id and o.status = 'issued' and o.amount_paid_minor < o.total_minor
                            and o.overdue_since is not null and (o.due_date, o.id) < (b.due_date, b.id) and o.currency = b.currency
                          offset 0)
        order by b.due_date, b.id limit v_limit);
    return jsonb_build_object('rows', coalesce((
        select jsonb_agg(jsonb_build_object(
            'customer_id', b.customer_id, 'account_no', c.account_no, 'customer_name', c.name, 'currency', b.currency,
            'bill_id', b.id, 'since', b.due_date, 'overdue_minor', t.overdue_minor, 'bills', t.bills,
            'last', l.last, 'held', private.held_of(array[b.customer_id], (p ->> 'today')::date) <> '{}') order by x.place)
        from unnest(v_oldest) with ordinality x(id, place)
        join public.bills b on b.id = x.id
        join public.customers c on c.id = b.customer_id
        cross join lateral (
            select sum(y.total_minor - y.amount_paid_minor)::bigint as overdue_minor, count(*)::integer as bills from public.bills y
            where y.customer_id = b.customer_id and y.currency = b.currency and y.status = 'issued'
              and y.amount_paid_minor < y.total_minor and y.overdue_since is not null) t
        left join lateral (
            select to_jsonb(a) as last from public.dunning_actions a
            where a.customer_id = b.customer_id and a.currency = b.currency and a.action <> 'reminder'
            order by a.taken_on desc, a.day desc limit 1) l on true), '[]'),
        'after', (select jsonb_build_object('due_date', b.due_date, 'id', b.id) from public.bills b
                  where cardinality(v_oldest) = v_limit and b.id = v_oldest[v_limit]));
end $$;
comment on function public.arrears_page(jsonb) is 'Accounts with overdue bills, those that owe for the longest first: {today, after?, limit} -> {rows: [{customer_id, account_no, customer_name, currency, bill_id: the oldest, since, overdue_minor, bills, last: the last step that was taken, held}], after}.';

create function public.dunning_history(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_on constant date := coalesce((p #>> '{after,taken_on}')::date, 'infinity');
    v_id constant uuid := coalesce(p #>> '{after,id}', 'ffffffff-ffff-ffff-ffff-ffffffffffff')::uuid;
    v_found uuid[];
begin
    if p ->> 'customer_id' is not null then
        v_found := array(select a.id from public.dunning_actions a where a.customer_id = (p ->> 'customer_id')::uuid
                         and (a.taken_on, a.id) < (v_on, v_id) order by a.taken_on desc, a.id desc limit v_limit);
    elsif coalesce((p ->> 'not_given')::boolean, false) then
        v_found := array(select a.id from public.dunning_actions a where a.action = 'notice' and a.given_on is null
                         and (a.taken_on, a.id) < (v_on, v_id) order by a.taken_on desc, a.id desc limit v_limit);
    else
        v_found := array(select a.id from public.dunning_actions a
                         where (a.taken_on, a.id) < (v_on, v_id) order by a.taken_on desc, a.id desc limit v_limit);
    end if;
    return jsonb_build_object('rows', coalesce((
        select jsonb_agg(to_jsonb(a) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'bill_number', b.number)
                         order by a.taken_on desc, a.id desc)
        from public.dunning_actions a
        join public.customers c on c.id = a.customer_id
        join public.bills b on b.id = a.bill_id
        where a.id = any (v_found)), '[]'),
        'after', (select jsonb_build_object('taken_on', a.taken_on, 'id', a.id) from public.dunning_actions a
                  where cardinality(v_found) = v_limit and a.id = v_found[v_limit]));
end $$;
comment on function public.dunning_history(jsonb) is 'Steps that were taken, the last first: {customer_id?, not_given?: disconnection notices that reached nobody, after?, limit} -> {rows, after}.';

create function public.dunning_of_account(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'due', coalesce((
            select jsonb_agg(to_jsonb(d) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'bill_number', b.number)
                             order by d.due_date, d.bill_id)
            from (select * from private.dunning_due(array[(p ->> 'customer_id')::uuid], (p ->> 'today')::date)
                  union all
                  select r.* from private.reminders_due(private.dunned_of(array(
                      select x.id from public.bills x
                      where x.customer_id = (p ->> 'customer_id')::uuid and x.status = 'issued' and x.amount_paid_minor < x.total_minor
                        and x.overdue_since is null and x.due_date >= (p ->> 'today')::date)), (p ->> 'today')::date) r
                  union all
                  select n.* from private.overdue_notices_due(private.dunned_of(array(
                      select x.id from public.bills x
                      where x.customer_id = (p ->> 'customer_id')::uuid and x.status = 'issued' and x.amount_paid_minor < x.total_minor
                        and x.overdue_since is null and x.due_date < (p ->> 'today')::date)), (p ->> 'today')::date) n) d
            join public.customers c on c.id = d.customer_id
            join public.bills b on b.id = d.bill_id), '[]'),
        'arrears', coalesce((
            select jsonb_agg(to_jsonb(a) order by a.currency)
            from (select b.currency, min(b.due_date) as since, sum(b.total_minor - b.amount_paid_minor)::bigint as overdue_minor,
                         count(*)::integer as bills
                  from public.bills b
                  where b.customer_id = (p ->> 'customer_id')::uuid and b.status = 'issued' and b.amount_paid_minor < b.total_minor
                    and b.overdue_since is not null
                  group by 1) a), '[]'))
$$;
comment on function public.dunning_of_account(jsonb) is 'How dunning of an account stands: {customer_id, today} -> {due: what the jobs would do now, arrears: [{currency, since, overdue_minor, bills}]}.';

revoke all on function public.follow_work_orders, public.dunning_preview, public.arrears_page, public.dunning_history,
    public.dunning_of_account from public, anon, authenticated;
revoke all on function private.is_owed_still, private.close_work_orders from public;
grant execute on function public.follow_work_orders, public.dunning_preview, public.arrears_page, public.dunning_history,
    public.dunning_of_account, private.is_owed_still, private.close_work_orders to service_role;

do $do$
begin
    execute replace(pg_get_functiondef('private.archived_tables()'::regprocedure),
                    '''dunning_actions'',', '''dunning_actions'', ''work_orders'',');
end $do$;

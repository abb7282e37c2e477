-- A page of mandates is planned by the index of charges that are not over: without saying so, each bill read all charges that
-- there ever were. The day of a charge that is not announced yet is the day on which it can be charged at the earliest.

create or replace function private.plan_autopay(p_bills uuid[]) returns integer
    language plpgsql
    set search_path = ''
    set enable_seqscan = 'off'
    as $$
declare
    v_days integer;
    v_mine uuid[];
    v_charges uuid[];
begin
    if not exists (select 1 from public.autopay_mandates where status = 'active') then
        return 0;
    end if;
    v_mine := array(
        select b.id
        from public.bills b
        join public.autopay_mandates m on m.customer_id = b.customer_id and m.status = 'active' and m.currency = b.currency
        where b.id = any (p_bills) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date >= m.charges_from
          and not exists (select 1 from public.plan_bills p where p.bill_id = b.id)
          and (m.limit_minor is null or b.total_minor - b.amount_paid_minor <= m.limit_minor)
          and not exists (
              select 1 from public.autopay_charge_bills x join public.autopay_charges c on c.id = x.charge_id
              where x.bill_id = b.id
                and (x.live or c.mandate_id = m.id and (c.status <> 'dropped' or c.code <> 'paused'))));
    if v_mine = '{}' then
        return 0;
    end if;
    v_mine := private.dunned_of(v_mine);
    v_days := (private.autopay_policy() ->> 'notice_days')::integer;
    insert into public.autopay_charges (mandate_id, customer_id, currency, due_on, bill_id, notice_on, charge_on)
    select m.id, b.customer_id, b.currency, b.due_date, (array_agg(b.id order by b.number))[1],
           max(n.notice_on), greatest(b.due_date, max(n.notice_on) + v_days)
    from public.bills b
    join public.autopay_mandates m on m.customer_id = b.customer_id and m.status = 'active'
    -- Nobody hears of it before there is a bill and a mandate; who hears late is charged late.
    cross join lateral (select greatest(b.due_date - v_days, b.issued_on, m.charges_from) as notice_on) n
    where b.id = any (v_mine)
      and not exists (select 1 from public.autopay_charges c
                      where c.mandate_id = m.id and c.ended_at is null and c.due_on = b.due_date and c.status in ('planned', 'announced'))
    group by m.id, b.customer_id, b.currency, b.due_date;
    with added as (
        insert into public.autopay_charge_bills (charge_id, bill_id)
        select c.id, b.id
        from public.bills b
        join public.autopay_mandates m on m.customer_id = b.customer_id and m.status = 'active'
        cross join lateral (
            select x.id from public.autopay_charges x
            where x.mandate_id = m.id and x.ended_at is null and x.due_on = b.due_date and x.status in ('planned', 'announced')
            order by x.created_at, x.id limit 1) c
        where b.id = any (v_mine)
        on conflict do nothing
        returning charge_id, bill_id
    ), spared as (
        insert into public.spared_bills (bill_id, reason, source, detail)
        select a.bill_id, 'autopay', 'autopay ' || a.charge_id, 'It is charged by autopay.' from added a
        on conflict (bill_id, source) do nothing
    ) select array(select distinct a.charge_id from added a) into v_charges;
    -- What comes to more than was announced is announced again, on the next day at the latest.
    if exists (select 1 from public.autopay_charges c where c.id = any (v_charges) and c.status = 'announced') then
        update public.autopay_charges c set status = 'planned', charge_on = greatest(c.charge_on, a.issued_on + v_days)
        from (select x.charge_id, max(b.issued_on) as issued_on, sum(b.total_minor - b.amount_paid_minor) as open_minor
              from public.autopay_charge_bills x join public.bills b on b.id = x.bill_id and b.status = 'issued'
              where x.charge_id = any (v_charges) and x.live group by 1) a
        where c.id = a.charge_id and c.status = 'announced' and a.open_minor > c.announced_minor;
        -- A void bill is named no more.
        update public.autopay_charges c
        set bill_id = (select b.id from public.autopay_charge_bills x join public.bills b on b.id = x.bill_id and b.status = 'issued'
                       where x.charge_id = c.id and x.live order by b.number limit 1)
        where c.id = any (v_charges) and exists (select 1 from public.bills b where b.id = c.bill_id and b.status = 'void');
    end if;
    return cardinality(v_charges);
end $$;

create or replace function public.announce_autopay(p jsonb) returns jsonb
    language plpgsql
    set search_path = ''
    set enable_seqscan = 'off'
    as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    v_days constant integer := (private.autopay_policy() ->> 'notice_days')::integer;
    v_found uuid[];
    v_due uuid[];
    v_rows jsonb;
    v_told uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select c.id from public.autopay_charges c
        where c.status = 'planned' and c.notice_on <= v_today
          and c.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by c.id limit v_limit);
    perform private.lock_customers(array(select distinct c.customer_id from public.autopay_charges c where c.id = any (v_found)));
    v_due := array(select c.id from public.autopay_charges c where c.id = any (v_found) and c.status = 'planned' order by c.id for update);
    v_rows := coalesce((select jsonb_agg(to_jsonb(r)) from private.autopay_rows(v_due, v_today) r), '[]');
    perform private.drop_autopay(v_rows, p -> 'owed');
    with told as (
        update public.autopay_charges c
        set status = 'announced', announced_minor = x.amount_minor, announced_on = v_today, notices = c.notices + 1, bill_id = x.bill_id,
            -- Who hears late is charged late: the notice has its days.
            charge_on = greatest(c.due_on, v_today + v_days)
        from jsonb_to_recordset(v_rows) as x(id uuid, bill_id uuid, amount_minor bigint, what text)
        where c.id = x.id and x.what in ('announce', 'charge')
        returning c.id
    ) select array(select t.id from told t) into v_told;
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select private.ordered_id(), c.bill_id, 'autopay_notice', c.id || '/' || c.notices,
           jsonb_build_object('charge_id', c.id, 'amount_minor', c.announced_minor::text, 'currency', c.currency,
                              'charge_on', c.charge_on::text, 'method', private.autopay_method(m)),
           p #> '{owed,autopay_notice,steps}', p #>> '{owed,autopay_notice,status}',
           case when p #>> '{owed,autopay_notice,status}' <> 'open' then now() end
    from public.autopay_charges c join public.autopay_mandates m on m.id = c.mandate_id
    where c.id = any (v_told) and jsonb_typeof(p #> '{owed,autopay_notice}') = 'object'
    on conflict (bill_id, kind, occasion) do nothing;
    -- While its account is on hold, or another charge is under way for it, nobody hears of it, and its day moves on.
    update public.autopay_charges c set notice_on = v_today + 1, charge_on = greatest(c.due_on, v_today + 1 + v_days)
    where c.id = any (array(select (x ->> 'id')::uuid from jsonb_array_elements(v_rows) x where x ->> 'what' in ('held', 'wait')));
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_told)));
    return jsonb_build_object('count', cardinality(v_told), 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;

create or replace function public.begin_autopay(p jsonb) returns jsonb
    language plpgsql
    set search_path = ''
    set enable_seqscan = 'off'
    as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    v_found uuid[];
    v_due uuid[];
    v_rows jsonb;
    v_new uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select c.id from public.autopay_charges c
        where c.status in ('announced', 'waiting') and c.charge_on <= v_today
          and c.id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
        order by c.id limit v_limit);
    perform private.lock_customers(array(select distinct c.customer_id from public.autopay_charges c where c.id = any (v_found)));
    v_due := array(select c.id from public.autopay_charges c
                   where c.id = any (v_found) and c.status in ('announced', 'waiting') and c.charge_on <= v_today order by c.id for update);
    -- Credit pays first, as before a reminder.
    perform private.pay_from_credit_of(array(select x.bill_id from public.autopay_charge_bills x where x.charge_id = any (v_due) and x.live))
    where v_due <> '{}';
    v_rows := coalesce((select jsonb_agg(to_jsonb(r)) from private.autopay_rows(v_due, v_today) r), '[]');
    perform private.drop_autopay(v_rows, p -> 'owed');
    -- On hold, or for more than was announced: another notice comes first.
    update public.autopay_charges c
    set status = 'planned', notice_on = v_today + 1,
        charge_on = greatest(c.due_on, v_today + 1 + (private.autopay_policy() ->> 'notice_days')::integer)
    where c.id = any (array(select (x ->> 'id')::uuid from jsonb_array_elements(v_rows) x where x ->> 'what' in ('held', 'announce')));
    update public.autopay_charges c set charge_on = v_today + 1
    where c.id = any (array(select (x ->> 'id')::uuid from jsonb_array_elements(v_rows) x where x ->> 'what' = 'wait'));
    with tried as (
        update public.autopay_charges c
        set status = 'charging', attempts = c.attempts + 1, first_try_on = coalesce(c.first_try_on, v_today), bill_id = x.bill_id
        from jsonb_to_recordset(v_rows) as x(id uuid, bill_id uuid, amount_minor bigint, bills jsonb, what text)
        where c.id = x.id and x.what = 'charge'
        returning c.id, c.mandate_id, c.customer_id, c.currency, c.attempts, x.amount_minor, x.bills
    ), new as (
        insert into public.autopay_attempts (id, charge_id, mandate_id, customer_id, number, amount_minor, currency, bills, started_on, owner, look_at)
        select private.ordered_id(), t.id, t.mandate_id, t.customer_id, t.attempts, t.amount_minor, t.currency, t.bills, v_today, p ->> 'owner',
               now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
        from tried t
        returning id
    ) select array(select n.id from new n) into v_new;
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_new)));
    return jsonb_build_object('attempts', private.autopay_to_ask(v_new),
                              'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;

create or replace function private.plan_autopay_of_bills() returns trigger
    language plpgsql
    set search_path = ''
    as $$
declare
    v_void uuid[];
begin
    v_void := array(select n.id from new_rows n where n.status = 'void');
    if v_void <> '{}' then
        -- What is to be charged of void bills alone is nothing: their customer is not told of it until its day.
        perform private.end_autopay_charges(array(
            select c.id from public.autopay_charge_bills x join public.autopay_charges c on c.id = x.charge_id
            where x.bill_id = any (v_void) and x.live and c.status in ('planned', 'announced', 'waiting')
              and not exists (select 1 from public.autopay_charge_bills y join public.bills b on b.id = y.bill_id
                              where y.charge_id = c.id and y.live and b.status <> 'void')), 'dropped', 'void', 'The bill is void.');
    end if;
    if exists (select 1 from public.autopay_mandates where status = 'active') then
        perform private.plan_autopay(array(
            select n.id from new_rows n where n.status = 'issued' and n.amount_paid_minor < n.total_minor));
    end if;
    return null;
end $$;

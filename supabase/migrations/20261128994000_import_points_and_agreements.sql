-- Places of supply and agreements come by file too, and a meter may be installed at a place that is known.

alter table public.import_headings drop constraint import_headings_kind_check;
alter table public.import_headings add constraint import_headings_kind_check check (
    kind in ('customers', 'intervals', 'meters', 'readings', 'supplies', 'transformers', 'service_points', 'agreements',
             'balances', 'past_payments', 'bank_statements'));

-- What was owed or held before this system is an entry like any other, which names the old system's reference.
alter table public.ledger_entries drop constraint ledger_entries_check;
alter table public.ledger_entries add constraint ledger_entries_check check (
    case kind
        when 'bill' then bill_id is not null and undoes_id is null
        when 'bill_void' then bill_id is not null and undoes_id is not null
        when 'payment' then payment_id is not null and amount_minor < 0
        when 'refund' then return_id is not null and amount_minor > 0
        when 'reversal' then return_id is not null and amount_minor > 0
        when 'dispute' then return_id is not null and amount_minor > 0
        when 'payout' then return_id is not null and amount_minor > 0
        when 'return_undone' then return_id is not null and undoes_id is not null and amount_minor < 0
        when 'credit' then amount_minor < 0 and btrim(note) <> ''
        when 'credit_undone' then amount_minor > 0 and undoes_id is not null
        when 'fee' then amount_minor > 0 and btrim(note) <> ''
        when 'fee_undone' then amount_minor < 0 and undoes_id is not null
        when 'deposit_used' then amount_minor <> 0
        when 'opening_balance' then amount_minor <> 0 and btrim(note) <> '' and (book = 'account' or amount_minor < 0)
        else false
    end);

create function public.import_service_points(p jsonb) returns jsonb
language plpgsql set search_path = '' set plan_cache_mode = force_custom_plan as $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', 'transformer_code', 'message',
                                        format('No transformer has the code %s.', x.transformer_code)) order by x."row")
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x("row" integer, transformer_code text)
    where x.transformer_code <> '' and not exists (select 1 from public.transformers t where t.code = x.transformer_code);
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.service_points (id, code) select x.id, x.code
        from jsonb_to_recordset(p -> 'rows') as x(id uuid, code text)
        -- A place that came with its meter has another id, and its serial for a code.
        where not exists (select 1 from public.service_points s where s.code = x.code)
        on conflict do nothing;
        get diagnostics v_added = row_count;
        with wanted as materialized (
            select s.id, s.created_at = now() as is_new, coalesce(e ->> 'address', s.address) as address,
                   case when e ? 'transformer_code' then t.id else s.transformer_id end as transformer_id,
                   coalesce(e ->> 'route', s.route) as route,
                   case when e ? 'sequence' then (e ->> 'sequence')::integer else s.sequence end as sequence,
                   case when e ? 'phases' then (e ->> 'phases')::smallint else s.phases end as phases,
                   case when e ? 'connected_w' then (e ->> 'connected_w')::integer else s.connected_w end as connected_w,
                   case when e ? 'connected_va' then (e ->> 'connected_va')::integer else s.connected_va end as connected_va,
                   coalesce(e ->> 'access_note', s.access_note) as access_note
            from jsonb_array_elements(p -> 'rows') e
            join public.service_points s on s.code = e ->> 'code'
            left join public.transformers t on t.code = e ->> 'transformer_code'
        ), written as (
            update public.service_points s
            set address = w.address, transformer_id = w.transformer_id, route = w.route, sequence = w.sequence, phases = w.phases,
                connected_w = w.connected_w, connected_va = w.connected_va, access_note = w.access_note
            from wanted w
            where s.id = w.id and (s.address, s.transformer_id, s.route, s.sequence, s.phases, s.connected_w, s.connected_va, s.access_note)
                is distinct from (w.address, w.transformer_id, w.route, w.sequence, w.phases, w.connected_w, w.connected_va, w.access_note)
            returning w.is_new
        )
        select count(*) into v_changed from written where not is_new;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;
comment on function public.import_service_points(jsonb) is
    'Adds places of supply, or changes what is known of those with these codes: {actor, dry_run, rows: [{row, id, code, address?, transformer_code?, route?, sequence?, phases?, connected_w?, connected_va?, access_note?}]}. What a row does not give stays; an empty text or null takes it away.';
revoke all on function public.import_service_points(jsonb) from public;
grant execute on function public.import_service_points(jsonb) to service_role;

create function private.read_at_place(p_point_id uuid, p_on date) returns uuid
language sql stable set search_path = '' as $$
    select r.id
    from public.meter_installations i
    join public.readings r on r.meter_id = i.meter_id and r.read_on = p_on and r.status = 'accepted'
        and r.read_at >= i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
    where i.service_point_id = p_point_id and i.installed_on <= p_on
    -- Where agreements meet on a day, one read closes the first and opens the next.
    order by exists (select 1 from public.service_agreements a
                     where a.service_point_id = p_point_id and r.id in (a.opening_reading_id, a.closing_reading_id)) desc,
             r.read_at, r.id
    limit 1
$$;
comment on function private.read_at_place(uuid, date) is
    'The accepted read at which an agreement may begin or end at a place on a local date, or null.';
revoke all on function private.read_at_place(uuid, date) from public;
grant execute on function private.read_at_place(uuid, date) to service_role;

create function private.match_agreements(p_rows jsonb) returns table (
    "row" integer, id uuid, service_point text, account_no text, tariff_code text, starts_on date, ends_on date,
    tariff_from date, deposit_minor bigint, billing_day smallint, point_id uuid, customer_id uuid, currency text, tariff_id uuid,
    tariff_currency text, known_id uuid, known_customer_id uuid, known_ends_on date, opening_reading_id uuid,
    closing_reading_id uuid)
language sql stable set search_path = '' as $$
    select x."row", coalesce(a.id, x.id), x.service_point, x.account_no, x.tariff_code, x.starts_on, x.ends_on,
           coalesce(x.tariff_from, x.starts_on), x.deposit_minor, x.billing_day, s.id, c.id, c.currency, t.id, t.currency, a.id, a.customer_id,
           a.ends_on, coalesce(a.opening_reading_id, private.read_at_place(s.id, x.starts_on)),
           coalesce(a.closing_reading_id, private.read_at_place(s.id, x.ends_on))
    from jsonb_to_recordset(p_rows) as x(
        "row" integer, id uuid, service_point text, account_no text, tariff_code text, starts_on date, ends_on date,
        tariff_from date, deposit_minor bigint, billing_day smallint)
    left join public.service_points s on s.code = x.service_point
    left join public.customers c on c.account_no = x.account_no
    left join public.tariffs t on t.code = x.tariff_code
    left join public.service_agreements a on a.service_point_id = s.id and a.starts_on = x.starts_on
$$;
comment on function private.match_agreements(jsonb) is
    'Rows of an import beside the places, customers, tariffs, agreements and reads that they name.';
revoke all on function private.match_agreements(jsonb) from public;
grant execute on function private.match_agreements(jsonb) to service_role;

create function private.agreement_problems(p_rows jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with m as materialized (select * from private.match_agreements(p_rows)),
    -- Who will be supplied when: what is known, as the file ends it, and what the file adds.
    spans as materialized (
        select a.service_point_id as point_id, a.id, a.starts_on, coalesce(a.ends_on, e.ends_on) as ends_on, k.account_no
        from public.service_agreements a
        join public.customers k on k.id = a.customer_id
        left join (select n.known_id, min(n.ends_on) as ends_on from m n group by 1) e on e.known_id = a.id
        where a.service_point_id in (select n.point_id from m n)
        union all
        select n.point_id, n.id, n.starts_on, n.ends_on, n.account_no
        from m n where n.known_id is null and n.tariff_from = n.starts_on and n.point_id is not null
    ), problems as (
        select m."row", case
            when m.point_id is null then array['service_point', format(
                'No service point has the code %s: import service points, or the meter that stands there, first.', m.service_point)]
            when m.customer_id is null then array['account_no', format('No customer has the account number %s.', m.account_no)]
            when m.tariff_id is null then array['tariff_code', format('No tariff has the code %s.', m.tariff_code)]
            when coalesce(m.currency, m.tariff_currency) <> m.tariff_currency then array['tariff_code', format(
                'Tariff %s is in %s, account %s in %s.', m.tariff_code, m.tariff_currency, m.account_no, m.currency)]
            when m.known_id is not null and m.known_customer_id <> m.customer_id then array['account_no', format(
                'Account %s is supplied at %s from %s: an import does not change whose agreement it is.',
                (select k.account_no from public.customers k where k.id = m.known_customer_id), m.service_point, m.starts_on)]
            when not exists (select 1 from public.tariff_versions v where v.tariff_id = m.tariff_id and v.effective_from <= m.tariff_from)
                then array['tariff_code', format('No version of tariff %s is in force on %s.', m.tariff_code, m.tariff_from)]
            when m.known_ends_on <> m.ends_on then array['ends_on', format(
                'This agreement ended on %s: change that on the page of the service point.', m.known_ends_on)]
            when o.account_no is not null then array['starts_on', format(
                'Account %s is supplied at %s from %s%s: there is one agreement at a time. End that one first, or correct the dates.',
                o.account_no, m.service_point, o.starts_on, coalesce(' to ' || o.ends_on, ' on'))]
            when m.known_id is null and m.opening_reading_id is null then array['starts_on', r.why || ' The agreement begins at it.']
            when m.ends_on is not null and m.closing_reading_id is null then array['ends_on', q.why || ' The agreement ends at it.']
            when m.ends_on is not null and m.known_ends_on is null and b.period_end > m.ends_on then array['ends_on', format(
                'A bill of this agreement runs to %s: end it on the page of the service point, which corrects the bill.', b.period_end)]
            when m.tariff_from >= coalesce(m.ends_on, m.known_ends_on, 'infinity') or m.tariff_from < m.starts_on then
                array['tariff_from', 'must be a day of the agreement.']
            when m.known_id is not null and w.tariff_id <> m.tariff_id and m.tariff_from = m.starts_on then array['tariff_code', format(
                'The agreement began on tariff %s: put the day from which another holds under tariff_from.', w.code)]
            when m.known_id is null and m.tariff_from > m.starts_on and not exists (
                    select 1 from m n where n.point_id = m.point_id and n.starts_on = m.starts_on and n.tariff_from = n.starts_on) then
                array['tariff_from', 'The file lacks the row with the tariff on which this agreement begins.']
            when m.known_id is not null and w.tariff_id <> m.tariff_id and b.period_end > m.tariff_from then array['tariff_from', format(
                'A bill of this agreement runs to %s: change the tariff on the page of the service point, which corrects the bill.', b.period_end)]
            when d.amount_minor <> -m.deposit_minor then array['deposit', format(
                'Another deposit was brought in for this agreement: change it on the page of account %s.', m.account_no)]
            end as problem
        from m
        left join lateral (
            select s.account_no, s.starts_on, s.ends_on from spans s
            where m.tariff_from = m.starts_on and s.point_id = m.point_id and s.id <> m.id
              and s.starts_on < coalesce(m.ends_on, m.known_ends_on, 'infinity') and coalesce(s.ends_on, 'infinity') > m.starts_on
            order by s.starts_on limit 1) o on true
        left join lateral (
            select max(x.period_end) as period_end from public.bills x
            where x.agreement_id = m.known_id and x.status <> 'void') b on true
        left join lateral (
            select x.tariff_id, t.code from private.tariff_spans x join public.tariffs t on t.id = x.tariff_id
            where x.agreement_id = m.known_id and x.starts_on <= m.tariff_from and m.tariff_from < x.ends_on) w on true
        left join public.ledger_entries d on d.id = md5('agreement_deposit/' || m.id)::uuid
        cross join lateral (
            select case when exists (select 1 from public.meter_installations i where i.service_point_id = m.point_id and i.installed_on <= m.starts_on)
                        then format('No read of %s is accepted: import one at %s first.', m.starts_on, m.service_point)
                        else format('No meter stands at %s on %s: import it with an opening read of that day or before.', m.service_point, m.starts_on)
                   end as why) r
        cross join lateral (
            select format('No read of %s is accepted: import one at %s first.', m.ends_on, m.service_point) as why) q
    )
    select jsonb_agg(jsonb_build_object('row', p."row", 'column', p.problem[1], 'message', p.problem[2]) order by p."row")
    from problems p where p.problem is not null
$$;
revoke all on function private.agreement_problems(jsonb) from public;
grant execute on function private.agreement_problems(jsonb) to service_role;

create function public.import_agreements(p jsonb) returns jsonb
language plpgsql set search_path = '' set plan_cache_mode = force_custom_plan as $$
declare
    v_errors jsonb;
    v_matched jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_done integer[] := '{}';
    v_some integer[];
begin
    perform private.set_actor(p);
    perform private.lock_points(array(
        select s.id from public.service_points s
        where s.code in (select x ->> 'service_point' from jsonb_array_elements(p -> 'rows') x)));
    perform private.lock_customers(array(
        select c.id from public.customers c
        where c.account_no in (select x ->> 'account_no' from jsonb_array_elements(p -> 'rows') x)));
    v_errors := private.agreement_problems(p -> 'rows');
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        select jsonb_agg(to_jsonb(m)) into v_matched from private.match_agreements(p -> 'rows') m;
        update public.customers c set currency = m.tariff_currency
        from jsonb_to_recordset(v_matched) as m(customer_id uuid, tariff_currency text)
        where c.id = m.customer_id and c.currency is null;
        with ended as (
            update public.service_agreements a
            set ends_on = coalesce(a.ends_on, m.ends_on), billing_day = coalesce(m.billing_day, a.billing_day),
                closing_reading_id = coalesce(a.closing_reading_id, case when m.ends_on is not null then m.closing_reading_id end)
            from jsonb_to_recordset(v_matched) as m(
                "row" integer, known_id uuid, starts_on date, tariff_from date, ends_on date, closing_reading_id uuid, billing_day smallint)
            where a.id = m.known_id and m.tariff_from = m.starts_on
              and (m.ends_on is not null and a.ends_on is null or m.billing_day <> a.billing_day)
            returning m."row"
        )
        select coalesce(array_agg("row"), '{}') into v_done from ended;
        with added as (
            insert into public.service_agreements (
                id, service_point_id, customer_id, starts_on, ends_on, opening_reading_id, closing_reading_id, billing_day)
            select m.id, m.point_id, m.customer_id, m.starts_on, m.ends_on, m.opening_reading_id, m.closing_reading_id,
                   coalesce(m.billing_day, 1)
            from jsonb_to_recordset(v_matched) as m(
                id uuid, known_id uuid, point_id uuid, customer_id uuid, starts_on date, tariff_from date, ends_on date,
                opening_reading_id uuid, closing_reading_id uuid, billing_day smallint)
            where m.known_id is null and m.tariff_from = m.starts_on
            order by m.starts_on
            returning 1
        )
        select count(*) into v_added from added;
        with wanted as (
            select m."row", m.id, m.tariff_from, m.tariff_id, m.known_id is null and m.tariff_from = m.starts_on as is_new
            from jsonb_to_recordset(v_matched) as m("row" integer, id uuid, known_id uuid, starts_on date, tariff_from date, tariff_id uuid)
            where m.known_id is null or (
                select x.tariff_id from private.tariff_spans x
                where x.agreement_id = m.id and x.starts_on <= m.tariff_from and m.tariff_from < x.ends_on) <> m.tariff_id
        ), put as (
            insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
            select md5('agreement_tariff/' || w.id || '/' || w.tariff_from)::uuid, w.id, w.tariff_from, w.tariff_id from wanted w
            on conflict (agreement_id, starts_on) do update set tariff_id = excluded.tariff_id
            returning agreement_id, starts_on
        )
        select coalesce(array_agg(w."row"), '{}') into v_some
        from wanted w join put u on (u.agreement_id, u.starts_on) = (w.id, w.tariff_from) where not w.is_new;
        v_done := v_done || v_some;
        select coalesce(array_agg(m."row"), '{}') into v_some
        from jsonb_to_recordset(v_matched) as m("row" integer, id uuid, deposit_minor bigint)
        where m.deposit_minor > 0
          and not exists (select 1 from public.ledger_entries e where e.id = md5('agreement_deposit/' || m.id)::uuid);
        perform private.post_entries((
            select jsonb_agg(jsonb_build_object(
                'id', md5('agreement_deposit/' || m.id)::uuid, 'customer_id', m.customer_id, 'book', 'deposit',
                'currency', m.tariff_currency, 'kind', 'opening_balance', 'amount_minor', -m.deposit_minor,
                'on_date', m.starts_on, 'note', format('Deposit for %s, brought in', m.service_point)) order by m."row")
            from jsonb_to_recordset(v_matched) as m(
                "row" integer, id uuid, customer_id uuid, tariff_currency text, deposit_minor bigint, starts_on date, service_point text)
            where m."row" = any (v_some))) where v_some <> '{}';
        -- The deposit of a new agreement comes with it.
        select count(distinct n) into v_changed from unnest(v_done || array(
            select m."row" from jsonb_to_recordset(v_matched) as m("row" integer, known_id uuid)
            where m."row" = any (v_some) and m.known_id is not null)) n;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;
comment on function public.import_agreements(jsonb) is
    'Adds service agreements between accepted reads, ends known ones, changes their billing day, puts them on another tariff from a day, and enters deposits that are held: {actor, dry_run, rows: [{row, id, service_point, account_no, tariff_code, starts_on, ends_on?, tariff_from?, deposit_minor?, billing_day?}]}. All rows of a place come together.';
revoke all on function public.import_agreements(jsonb) from public;
grant execute on function public.import_agreements(jsonb) to service_role;

create or replace function public.import_meters(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', case
               when x.service_point is not null and (s.id is null or taken.why is not null) then 'service_point'
               when x.account_no <> '' and c.id is null then 'account_no'
               when x.account_no <> '' and t.id is null or coalesce(c.currency, t.currency) <> t.currency then 'tariff_code'
               when x.transformer_code <> '' and g.id is null then 'transformer_code'
               when m.id is null then 'opened_on'
               when x.service_point is not null and n.service_point_id <> s.id then 'service_point'
               else 'serial' end, 'message', case
               when x.service_point is not null and s.id is null then format(
                   'No service point has the code %s: import it first, or leave the cell empty.', x.service_point)
               when taken.why is not null then taken.why
               when x.account_no <> '' and c.id is null then format('No customer has the account number %s.', x.account_no)
               when x.account_no <> '' and t.id is null then format('No tariff has the code %s.', x.tariff_code)
               when coalesce(c.currency, t.currency) <> t.currency then format(
                   'Tariff %s is in %s, account %s in %s.', x.tariff_code, t.currency, x.account_no, c.currency)
               when x.transformer_code <> '' and g.id is null then format(
                   'No transformer has the code %s.', x.transformer_code)
               when m.id is null then format(
                   'No version of tariff %s is in force on %s, where billing would begin.', x.tariff_code, x.opened_on)
               when x.service_point is not null and n.service_point_id <> s.id then format(
                   'Meter %s is installed at another service point.', x.serial)
               else format('Meter %s is already connected with other details.', x.serial) end) order by x."row")
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x(
        "row" integer, serial text, account_no text, tariff_code text, kind text, dials smallint,
        multiplier_milli integer, opened_on date, opening_wh bigint, transformer_code text, service_point text)
    left join public.service_points s on s.code = x.service_point
    left join public.customers c on c.account_no = x.account_no
    left join public.tariffs t on t.code = x.tariff_code
    left join public.transformers g on g.code = x.transformer_code
    left join public.meters m on m.serial = x.serial
    left join public.meter_installations n on n.meter_id = m.id and n.removed_at is null
    left join public.readings r on r.id = n.opening_reading_id
    left join lateral (
        select format('Meter %s is installed at %s: exchange it on the page of the service point.', k.serial, s.code) as why
        from public.meter_installations i join public.meters k on k.id = i.meter_id
        where m.id is null and i.service_point_id = s.id and coalesce(i.removed_on, 'infinity') > x.opened_on
        union all
        select format('Account %s is supplied at %s: install the meter on the page of the service point.', k.account_no, s.code)
        from public.service_agreements a join public.customers k on k.id = a.customer_id
        where m.id is null and a.service_point_id = s.id and coalesce(a.ends_on, 'infinity') > x.opened_on
        limit 1) taken on true
    where (x.account_no <> '' and (c.id is null or t.id is null)) or coalesce(c.currency, t.currency) <> t.currency
       or (x.service_point is not null and (s.id is null or n.service_point_id <> s.id)) or taken.why is not null
       or (x.transformer_code <> '' and g.id is null)
       or (m.id is null and x.account_no <> '' and not exists (
               select 1 from public.tariff_versions v where v.tariff_id = t.id and v.effective_from <= x.opened_on))
       or (m.id is not null and ((m.kind, m.dials, n.multiplier_milli, n.installed_on, r.register_wh)
               is distinct from (x.kind, x.dials, x.multiplier_milli, x.opened_on, x.opening_wh)
           -- Who moved in later, and on which tariff, is no contradiction: a file that was imported is harmless for ever.
           or (x.account_no <> '' and not exists (
                   select 1 from public.service_agreements a join public.agreement_tariffs y on y.agreement_id = a.id
                   where a.service_point_id = n.service_point_id and a.customer_id = c.id and y.tariff_id = t.id
                     and coalesce(a.ends_on, 'infinity') > n.installed_on))
           or (x.account_no = '' and exists (
                   select 1 from public.service_agreements a
                   where a.service_point_id = n.service_point_id and a.starts_on <= n.installed_on
                     and coalesce(a.ends_on, 'infinity') > n.installed_on))));
    if v_errors is null then
        v_errors := private.register_problems(p -> 'rows');
    end if;
    if v_errors is null then
        select jsonb_agg(jsonb_build_object('row', y.last_row, 'column', 'tariff_code', 'message', format(
                   'Account %s would have tariffs in different currencies.', y.account_no)))
        into v_errors
        from (select x.account_no, max(x."row") as last_row
              from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, tariff_code text)
              join public.tariffs t on t.code = x.tariff_code
              group by x.account_no having count(distinct t.currency) > 1) y;
    end if;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        update public.customers c set currency = t.currency
        from jsonb_to_recordset(p -> 'rows') as x(account_no text, tariff_code text)
        join public.tariffs t on t.code = x.tariff_code
        where c.account_no = x.account_no and c.currency is null;
        with known as materialized (
            select k.id, i.service_point_id, coalesce(x.registers, k.registers) as registers,
                   coalesce(x.connected_w, s.connected_w) as connected_w,
                   coalesce(x.connected_va, s.connected_va) as connected_va,
                   case when x.transformer_code is null then s.transformer_id else g.id end as transformer_id
            from jsonb_to_recordset(p -> 'rows') as x(
                serial text, transformer_code text, registers jsonb, connected_w integer, connected_va integer)
            join public.meters k on k.serial = x.serial
            join public.meter_installations i on i.meter_id = k.id and i.removed_at is null
            join public.service_points s on s.id = i.service_point_id
            left join public.transformers g on g.code = x.transformer_code
        ), of_meters as (
            update public.meters m set registers = n.registers
            from known n where m.id = n.id and m.registers is distinct from n.registers
            returning m.id
        ), of_points as (
            update public.service_points s
            set transformer_id = n.transformer_id, connected_w = n.connected_w, connected_va = n.connected_va
            from known n
            where s.id = n.service_point_id
              and (s.transformer_id, s.connected_w, s.connected_va)
                  is distinct from (n.transformer_id, n.connected_w, n.connected_va)
            returning n.id
        )
        select count(*) into v_changed from (select id from of_meters union select id from of_points) z;
        with added as (
            insert into public.meters (id, serial, kind, dials, registers)
            select x.id, x.serial, x.kind, x.dials, coalesce(x.registers, '[]')
            from jsonb_to_recordset(p -> 'rows') as x(id uuid, serial text, kind text, dials smallint, registers jsonb)
            on conflict do nothing
            returning id
        ), placed as materialized (
            select x.*, c.id as customer_id, c.address, t.id as tariff_id, g.id as transformer_id,
                   s.id as place_id, coalesce(s.id, md5('service_point/' || x.id)::uuid) as point_id, md5('agreement/' || x.id)::uuid as agreement_id
            from added
            join jsonb_to_recordset(p -> 'rows') as x(
                id uuid, opening_reading_id uuid, serial text, account_no text, tariff_code text, multiplier_milli integer,
                opened_on date, opened_at timestamptz, opening_wh bigint, opening_registers jsonb, transformer_code text,
                connected_w integer, connected_va integer, service_point text) on x.id = added.id
            left join public.service_points s on s.code = x.service_point
            left join public.customers c on c.account_no = x.account_no
            left join public.tariffs t on t.code = x.tariff_code
            left join public.transformers g on g.code = x.transformer_code
        ), of_points as (
            -- Known by the serial of the meter that it came with, unless a place has that code.
            insert into public.service_points (id, code, address, transformer_id, connected_w, connected_va)
            select x.point_id, x.serial || case when s.id is null then '' else '/' || left(x.id::text, 8) end, coalesce(x.address, ''),
                   x.transformer_id, x.connected_w, x.connected_va
            from placed x left join public.service_points s on s.code = x.serial
            where x.place_id is null
        ), of_places as (
            update public.service_points s
            set transformer_id = case when x.transformer_code is null then s.transformer_id else x.transformer_id end,
                connected_w = coalesce(x.connected_w, s.connected_w), connected_va = coalesce(x.connected_va, s.connected_va)
            from placed x
            where s.id = x.place_id and (x.transformer_code is not null or x.connected_w is not null or x.connected_va is not null)
        ), of_reads as (
            insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, is_opening,
                                         submitted_by, registers)
            select x.opening_reading_id, x.id, x.opened_at, x.opened_on, x.opening_wh, 'imported', 'accepted', true,
                   p ->> 'actor', coalesce(x.opening_registers, '{}')
            from placed x
        ), of_installations as (
            insert into public.meter_installations (id, service_point_id, meter_id, installed_at, installed_on,
                                                    multiplier_milli, opening_reading_id)
            select md5('installation/' || x.id)::uuid, x.point_id, x.id, x.opened_at, x.opened_on, x.multiplier_milli,
                   x.opening_reading_id
            from placed x
        ), of_agreements as (
            insert into public.service_agreements (id, service_point_id, customer_id, starts_on, opening_reading_id)
            select x.agreement_id, x.point_id, x.customer_id, x.opened_on, x.opening_reading_id from placed x
            where x.customer_id is not null
        ), of_tariffs as (
            insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
            select md5('agreement_tariff/' || x.id)::uuid, x.agreement_id, x.opened_on, x.tariff_id from placed x
            where x.customer_id is not null
        )
        select count(*) into v_added from added;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;
comment on function public.import_meters(jsonb) is
    'Connects meters, each at a known service point or one of its own and with the agreement of its customer, if it names one, with their opening read, or sets transformer, registers and connected load of known ones: {actor, dry_run, rows: [{row, id, opening_reading_id, serial, account_no, tariff_code, kind, dials, multiplier_milli, opening_wh, opened_on, opened_at, service_point?, transformer_code?, registers?, opening_registers?, unopened?, periods?, connected_w?, connected_va?}]}.';


create or replace function private.import_value(p_column text, p_value jsonb) returns text
language sql stable set search_path = '' as $$
    select case when p_value is null or p_value = 'null' then ''
                when p_column = 'transformer_id' then
                    (select t.code from public.transformers t where t.id = (p_value #>> '{}')::uuid)
                when p_column = 'feeder_id' then
                    (select f.code from public.feeders f where f.id = (p_value #>> '{}')::uuid)
                when p_column = 'tariff_id' then
                    (select t.code from public.tariffs t where t.id = (p_value #>> '{}')::uuid)
                else p_value #>> '{}' end
$$;

drop function private.import_differences(bigint, integer);
create function private.import_differences(p_after bigint, p_most integer, p_what text) returns jsonb
language sql stable set search_path = '' as $$
    with written as (
        select a.id, a.action, a.table_name, a.before, a.after,
               case a.table_name
                   when 'customers' then (select c.account_no from public.customers c where c.id = a.row_id::uuid)
                   when 'meters' then (select m.serial from public.meters m where m.id = a.row_id::uuid)
                   when 'transformers' then (select t.code from public.transformers t where t.id = a.row_id::uuid)
                   when 'feeders' then (select f.code from public.feeders f where f.id = a.row_id::uuid)
                   when 'service_points' then case
                       when p_what = 'meters' then (
                           select min(m.serial) from public.meter_installations i join public.meters m on m.id = i.meter_id
                           where i.service_point_id = a.row_id::uuid and i.removed_at is null)
                       else (select s.code from public.service_points s where s.id = a.row_id::uuid) end
                   when 'service_agreements' then (
                       select format('%s, %s from %s', s.code, c.account_no, g.starts_on)
                       from public.service_agreements g
                       join public.service_points s on s.id = g.service_point_id
                       join public.customers c on c.id = g.customer_id where g.id = a.row_id::uuid)
                   when 'agreement_tariffs' then (
                       select format('%s, %s from %s', s.code, c.account_no, y.starts_on)
                       from public.agreement_tariffs y
                       join public.service_agreements g on g.id = y.agreement_id and g.created_at < now()
                       join public.service_points s on s.id = g.service_point_id
                       join public.customers c on c.id = g.customer_id where y.id = a.row_id::uuid)
                   end as name
        from public.audit_log a
        -- Others write too; what this transaction wrote has its time.
        where a.id > p_after and a.at = now()),
    fields as (
        select w.id, w.table_name, w.name, n.key, w.before -> n.key as before, n.value as after
        from written w, jsonb_each(w.after) n
        where w.name is not null and case w.action
            -- What a new place, account … holds is no difference; another tariff of a known agreement is.
            when 'update' then n.key <> 'closing_reading_id'
                 and not (w.table_name = 'service_points' and p_what = 'service_points' and exists (
                     select 1 from public.service_points s where s.code = w.name and s.created_at = now()))
            else w.table_name = 'agreement_tariffs' and n.key = 'tariff_id' end)
    select jsonb_build_object(
        'new_names', coalesce((select jsonb_agg(distinct w.name) from written w
                               where w.action = 'insert' and w.table_name in ('customers', 'meters', 'transformers', 'service_points')), '[]'),
        'differences', coalesce((
            select jsonb_agg(jsonb_build_object('of', f.table_name, 'name', f.name, 'field', f.key,
                                                'before', private.import_value(f.key, f.before),
                                                'after', private.import_value(f.key, f.after)) order by f.id, f.key)
            from (select * from fields order by id, key limit p_most) f), '[]'))
$$;
comment on function private.import_differences(bigint, integer, text) is
    'What this transaction wrote to the audit trail after an entry, for a kind of import: names added, and fields with their values before and after, at most so many.';
revoke all on function private.import_differences(bigint, integer, text) from public;
grant execute on function private.import_differences(bigint, integer, text) to service_role;

create or replace function public.preview_import(p jsonb) returns jsonb
language plpgsql set search_path = '' set plan_cache_mode = force_custom_plan as $$
declare
    v_last bigint;
    v_answer jsonb;
    v_differences jsonb;
begin
    if p ->> 'what' not in ('customers', 'intervals', 'meters', 'readings', 'supplies', 'tariffs', 'transformers',
                            'service_points', 'agreements', 'balances', 'past_payments') then
        perform private.refuse('EB400', 'There is no such import.');
    end if;
    select coalesce(max(id), 0) into v_last from public.audit_log;
    begin
        execute format('select public.%I($1)', 'import_' || (p ->> 'what'))
        into v_answer using p || '{"dry_run": false}';
        v_differences := private.import_differences(v_last, (p ->> 'most')::integer, p ->> 'what');
        raise exception using errcode = 'EB000', message = 'Undo what was written to be looked at.';
    exception when sqlstate 'EB000' then
        null;
    end;
    return v_answer || v_differences;
end $$;


create or replace function public.identifier_keys(p jsonb) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan as $$
declare
    v_found jsonb;
begin
    case p ->> 'kind'
        when 'customers' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(c.account_no order by c.account_no = i desc, c.account_no))[1] as known
                from public.customers c
                where private.identifier_key(c.account_no) = private.identifier_key(i)) k on true;
        when 'meters' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(m.serial order by m.serial = i desc, m.serial))[1] as known
                from public.meters m
                where private.identifier_key(m.serial) = private.identifier_key(i)) k on true;
        when 'transformers' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(t.code order by t.code = i desc, t.code))[1] as known
                from public.transformers t
                where private.identifier_key(t.code) = private.identifier_key(i)) k on true;
        when 'service_points' then
            select jsonb_agg(jsonb_build_object('identifier', i, 'key', private.identifier_key(i), 'known', k.known))
            into v_found
            from jsonb_array_elements_text(p -> 'identifiers') i
            left join lateral (
                select (array_agg(s.code order by s.code = i desc, s.code))[1] as known
                from public.service_points s
                where private.identifier_key(s.code) = private.identifier_key(i)) k on true;
    end case;
    return jsonb_build_object('found', coalesce(v_found, '[]'));
end $$;
comment on function public.identifier_keys(jsonb) is
    'Of each identifier its key, and what is stored with the same key (the identifier itself first, else null): {kind: customers|meters|transformers|service_points, identifiers: [...]} gives {found: [{identifier, key, known}]}.';
create index service_points_key on public.service_points (private.identifier_key(code));

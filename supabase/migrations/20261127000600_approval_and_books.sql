-- Drafts reviewed in bulk and issued together, and what customers owed when a month ended.

-- The last bills of each draft's meter are looked up by the thousand.
create index bills_past_use on public.bills (meter_id, period_end desc) include (period_start, consumption_wh)
    where status = 'issued';
create index bills_drafts on public.bills (period_end desc, id desc) where status = 'draft';

create function private.is_outlier(
    p_past bigint[], p_wh bigint, p_days integer, p_total bigint, p_marked boolean
) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
    return p_marked or p_wh = 0 or p_total <= 0 or p_days not between 25 and 35 or p_past[1] = 0
        or p_wh * 3 < p_past[3] * p_days
        or p_wh > p_days * case when p_past[1] < 4 then 3 * p_past[3]
                                else p_past[3] + 3 * greatest(p_past[4] - p_past[2], p_past[3] / 6) end;
end $$;
comment on function private.is_outlier is
    'Whether services/domain/draft_signs.py finds anything about a draft; a test holds the two equal. The past is {bills, lower quartile, median, upper quartile} of Wh a day; "marked" is what a column says by itself.';

create view public.draft_list with (security_invoker = true) as
select d.id, d.meter_id, d.meter_serial, d.customer_id, d.account_no, d.customer_name, d.tariff_code, d.period_start,
       d.period_end, d.consumption_wh, d.currency, d.subtotal_minor, d.tax_minor, d.total_minor, d.created_at,
       d.estimated, d.tariff_changes, d.opinion_differs, d.past_use,
       private.is_outlier(d.past_use, d.consumption_wh, d.period_end - d.period_start, d.total_minor,
                          d.estimated or d.tariff_changes or d.opinion_differs) as outlier,
       d.search
from (
    select b.id, b.meter_id, m.serial as meter_serial, b.customer_id, c.account_no, c.name as customer_name,
           t.code as tariff_code, b.period_start, b.period_end, b.consumption_wh, b.currency, b.subtotal_minor,
           b.tax_minor, b.total_minor, b.created_at,
           'estimated' in (opening.source, closing.source) as estimated,
           b.lines @> '[{"part": {}}]' as tariff_changes,
           coalesce(b.second_opinion ->> 'agrees' = 'false', false) as opinion_differs,
           (select array[z.number, coalesce(z.q[1], 0), coalesce(z.q[2], 0), coalesce(z.q[3], 0)]
            from (select count(*) as number, percentile_disc(array[0.25, 0.5, 0.75]) within group (order by x.use) as q
                  from (select y.consumption_wh / (y.period_end - y.period_start) as use
                        from public.bills y
                        where y.meter_id = b.meter_id and y.status = 'issued' and y.period_end <= b.period_start
                        order by y.period_end desc limit 12) x) z) as past_use,
           lower(concat_ws(' ', c.account_no, c.name, m.serial)) as search
    from public.bills b
    join public.meters m on m.id = b.meter_id
    join public.customers c on c.id = b.customer_id
    join public.tariff_versions v on v.id = b.tariff_version_id
    join public.tariffs t on t.id = v.tariff_id
    join public.readings opening on opening.id = b.opening_reading_id
    join public.readings closing on closing.id = b.closing_reading_id
    where b.status = 'draft'
) d;
comment on view public.draft_list is 'Bills that wait to be issued, with what tells an unusual one from the others.';
comment on column public.draft_list.past_use is
    'Of the last 12 issued bills of the meter: how many there are, and lower quartile, median and upper quartile of their whole Wh a day.';

create function private.drafts_chosen(p jsonb)
returns table (
    id uuid, period_end date, currency text, consumption_wh bigint, subtotal_minor bigint, tax_minor bigint,
    total_minor bigint, outlier boolean)
language sql stable set search_path = '' as $$
    select d.id, d.period_end, d.currency, d.consumption_wh, d.subtotal_minor, d.tax_minor, d.total_minor, d.outlier
    from public.draft_list d
    where (p ->> 'month' is null or (d.period_end > (p ->> 'month')::date
                                     and d.period_end <= ((p ->> 'month')::date + interval '1 month')::date))
      and (p ->> 'tariff' is null or d.tariff_code = p ->> 'tariff')
      and (p ->> 'currency' is null or d.currency = p ->> 'currency')
      and (p ->> 'search' is null or d.search ilike all (array(select jsonb_array_elements_text(p -> 'search'))))
      and (p ->> 'only' is null or d.id in (select i::uuid from jsonb_array_elements_text(p -> 'only') i))
      and (p ->> 'except' is null or d.id not in (select i::uuid from jsonb_array_elements_text(p -> 'except') i))
      and (not coalesce((p ->> 'outliers')::boolean, false) or d.outlier)
$$;
comment on function private.drafts_chosen is
    'Drafts by {month? (its 1st), tariff?, currency?, search?: [patterns], outliers?, only?: [ids], except?: [ids]}.';

create function private.drafts_mark(p_ids uuid[]) returns text
language sql immutable set search_path = '' as $$
    select md5(coalesce(string_agg(i::text, ' ' order by i), '')) from unnest(p_ids) i
$$;
comment on function private.drafts_mark is
    'The same for the same drafts: a draft''s figures never change, so what was previewed is what is issued.';

create function public.draft_totals(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with chosen as materialized (select * from private.drafts_chosen(p)),
    months as (select m::date as first, (m::date + interval '1 month')::date as next
               from jsonb_array_elements_text(coalesce(p -> 'compare', '[]')) m)
    select jsonb_build_object(
        'mark', (select private.drafts_mark(array_agg(id)) from chosen),
        'totals', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency), '[]')
                   from (select currency, count(*) as number, count(*) filter (where outlier) as outliers,
                                sum(consumption_wh)::bigint as consumption_wh, sum(subtotal_minor)::bigint as subtotal_minor,
                                sum(tax_minor)::bigint as tax_minor, sum(total_minor)::bigint as total_minor
                         from chosen group by 1) z),
        'issued', (select coalesce(jsonb_agg(to_jsonb(z) order by z.currency, z.month), '[]')
                   from (select s.first as month, b.currency, count(*) as number,
                                sum(b.consumption_wh)::bigint as consumption_wh, sum(b.subtotal_minor)::bigint as subtotal_minor,
                                sum(b.tax_minor)::bigint as tax_minor, sum(b.total_minor)::bigint as total_minor
                         from months s
                         join public.bills b on b.period_end > s.first and b.period_end <= s.next and b.status = 'issued'
                         group by 1, 2) z),
        'waiting', (select coalesce(jsonb_agg(to_jsonb(z) order by z.month desc, z.tariff_code, z.currency), '[]')
                    from (select date_trunc('month', (b.period_end - 1)::timestamp)::date as month, t.code as tariff_code, b.currency,
                                 count(*) as number
                          from public.bills b
                          join public.tariff_versions v on v.id = b.tariff_version_id
                          join public.tariffs t on t.id = v.tariff_id
                          where b.status = 'draft' group by 1, 2, 3) z))
$$;
comment on function public.draft_totals is
    'What issuing the chosen drafts would bill, by currency: {… as private.drafts_chosen, compare?: [months]} -> {mark, totals, issued: the same of bills issued for those months, waiting: all drafts by month, tariff and currency}.';

create function public.draft_choice(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with chosen as materialized (select id, currency, total_minor, period_end from private.drafts_chosen(p))
    select jsonb_build_object(
        'mark', (select private.drafts_mark(array_agg(id)) from chosen),
        'drafts', (select coalesce(jsonb_agg(jsonb_build_array(id, currency, total_minor) order by period_end, id), '[]')
                   from chosen))
$$;
comment on function public.draft_choice is
    'The chosen drafts in the order of their numbers to be: {… as private.drafts_chosen} -> {mark, drafts: [[id, currency, total_minor]]}.';

drop function public.issue_bill(jsonb);
create function public.issue_bills(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_ids uuid[] := array(select (x ->> 'bill_id')::uuid from jsonb_array_elements(p -> 'bills') x);
    v_expected jsonb := nullif(p -> 'expected', 'null');
    v_drafts uuid[];
    v_base bigint;
begin
    perform private.set_actor(p);
    if (select count(*) from public.bills where id = any (v_ids)) <> cardinality(v_ids) then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform 1 from public.meters where id in (select meter_id from public.bills where id = any (v_ids)) order by id for update;
    perform private.lock_customers(array(select customer_id from public.bills where id = any (v_ids)));
    -- A repeat of this call, whose answer was lost, finds them issued at this very moment.
    if v_expected is not null and v_expected is distinct from (
        select coalesce(jsonb_object_agg(z.currency, jsonb_build_object('number', z.number, 'total_minor', z.total)), '{}')
        from (select currency, count(*) as number, sum(total_minor)::bigint as total
              from public.bills
              where id = any (v_ids) and (status = 'draft' or (status = 'issued' and issued_at = (p ->> 'issued_at')::timestamptz))
              group by 1) z) then
        perform private.refuse('EB005', 'Somebody issued or sent back some of these drafts meanwhile.');
    elsif exists (select 1 from public.bills where id = any (v_ids) and status = 'void') then
        perform private.refuse('EB005', 'A void bill cannot be issued.');
    end if;
    v_drafts := array(select id from public.bills where id = any (v_ids) and status = 'draft' order by period_end, id for update);
    update public.counters set last_number = last_number + cardinality(v_drafts)
    where name = 'bill' and v_drafts <> '{}' returning last_number - cardinality(v_drafts) into v_base;
    update public.bills
    set status = 'issued', number = v_base + array_position(v_drafts, id), issued_at = (p ->> 'issued_at')::timestamptz,
        issued_on = (p ->> 'issued_on')::date, due_date = (p ->> 'due_date')::date
    where id = any (v_drafts);
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select o.id, x.bill_id, 'bill_issued', o.steps, o.status, case when o.status <> 'open' then now() end
    from jsonb_to_recordset(p -> 'bills') as x(bill_id uuid, owed jsonb)
    cross join lateral jsonb_to_record(x.owed) as o(id uuid, steps jsonb, status text)
    where x.bill_id = any (v_drafts)
    on conflict (bill_id, kind, occasion) do nothing;
    return jsonb_build_object(
        'issued', cardinality(v_drafts),
        'first_number', (select min(number) from public.bills where id = any (v_ids)),
        'last_number', (select max(number) from public.bills where id = any (v_ids)),
        'bills', case when v_expected is null then
            (select coalesce(jsonb_agg(private.bill_json(i.id) order by i.place), '[]')
             from unnest(v_ids) with ordinality as i(id, place))
            else '[]' end);
end $$;
comment on function public.issue_bills is
    'Approves drafts together, all or none: {actor, bills: [{bill_id, owed}], issued_at, issued_on, due_date, expected?: {currency: {number, total_minor}}} -> {issued, first_number, last_number, bills}. With what is expected it refuses unless all are drafts that add up to it, and answers no bills; without, one issued already is answered as it is.';

create function public.send_back_drafts(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_ids uuid[] := array(select b::uuid from jsonb_array_elements_text(p -> 'bills') b);
    v_drafts uuid[];
begin
    perform private.set_actor(p);
    if (select count(*) from public.bills where id = any (v_ids)) <> cardinality(v_ids) then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    perform 1 from public.meters where id in (select meter_id from public.bills where id = any (v_ids)) order by id for update;
    perform private.lock_customers(array(select customer_id from public.bills where id = any (v_ids)));
    if exists (select 1 from public.bills where id = any (v_ids) and status = 'issued') then
        perform private.refuse('EB005', 'It was issued meanwhile, and what is issued is voided, not sent back.');
    end if;
    v_drafts := array(select id from public.bills where id = any (v_ids) and status = 'draft' order by id for update);
    if exists (select 1 from public.bills b
               join public.bills later on later.opening_reading_id = b.closing_reading_id and later.status <> 'void'
               where b.id = any (v_drafts) and later.id <> all (v_drafts)) then
        perform private.refuse('EB005', 'A later bill begins where this one ends: send that one back with it, or void it first.');
    end if;
    perform private.void_one(i, p ->> 'reason', current_date) from unnest(v_drafts) i;
    return jsonb_build_object('sent_back', cardinality(v_drafts));
end $$;
comment on function public.send_back_drafts is
    'Voids drafts, all or none, so that their readings are billed anew: {actor, bills: [id], reason} -> {sent_back}. One that is void already is left as it is.';

create function public.aged_receivables(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with span as (
        select ((p ->> 'month')::date + interval '1 month')::date as next, (p ->> 'until')::timestamptz as until
    ), entries as materialized (
        select e.id, e.customer_id, e.currency, e.amount_minor, e.bill_id, e.on_date, e.created_at
        from public.ledger_entries e, span s where e.book = 'account' and e.on_date < s.next
    ), allocated as (
        select y.id, sum(y.amount) as amount
        from public.allocations a
        join entries c on c.id = a.credit_entry_id
        join entries d on d.id = a.debit_entry_id
        cross join span s
        cross join lateral (values (c.id, a.amount_minor), (d.id, -a.amount_minor)) y(id, amount)
        -- What was let pay, or taken back, after the month is of a later month. But an entry that was
        -- written later and dated in it comes with what it paid at once.
        where a.created_at < s.until or a.created_at <= greatest(c.created_at, d.created_at)
        group by 1
    ), open as (
        select e.customer_id, e.currency, (e.amount_minor + coalesce(a.amount, 0))::bigint as minor,
               s.next - 1 - coalesce(b.due_date, e.on_date) as days_late
        from entries e cross join span s
        left join allocated a on a.id = e.id
        left join public.bills b on b.id = e.bill_id
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
comment on function public.aged_receivables is
    'What was open when a month ended, by how many days it was past due: {month: its 1st, until: the instant at which it ended, limit, offset} -> {totals by currency, customers: those with the most past due first}. From entries and allocations, which never change: a month that is closed answers the same for ever.';

revoke all on public.draft_list from public, anon, authenticated, service_role;
grant select on public.draft_list to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

-- What a batch of bills did on its way that another step does anyway: entries of the ledger went through
-- JSON, which version prices a bill was asked for each bill, and whether its chain moved was asked twice.

create type private.new_entry as (
    id uuid, customer_id uuid, book text, currency text, kind text, amount_minor bigint, bill_id uuid, payment_id uuid,
    return_id uuid, undoes_id uuid, on_date date, order_on date, note text);
comment on type private.new_entry is 'A ledger entry to be posted: "order_on" is the date by which its open item comes in turn, without it on_date.';

create function private.post_rows(p_entries private.new_entry[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'on'
    AS $$
declare
    v_open_from date := private.open_from();
begin
    -- Shared by all who post; who closes a month has it alone.
    perform pg_advisory_xact_lock_shared(hashtext('ledger'));
    with incoming as materialized (
        select coalesce(e.id, gen_random_uuid()) as id, e.customer_id, coalesce(e.book, 'account') as book, e.currency,
               e.kind, e.amount_minor, e.bill_id, e.payment_id, e.return_id, e.undoes_id,
               greatest(e.on_date, v_open_from) as on_date,
               coalesce(e.order_on, e.on_date) as order_on, coalesce(e.note, '') as note,
               e.position, row_number() over (w order by e.position)::integer as place,
               sum(e.amount_minor) over (w order by e.position)::bigint as running
        from unnest(p_entries) with ordinality as e(
                 id, customer_id, book, currency, kind, amount_minor, bill_id, payment_id, return_id, undoes_id,
                 on_date, order_on, note, position)
        window w as (partition by e.customer_id, coalesce(e.book, 'account'), e.currency)
    ), moved as (
        insert into public.accounts as a (customer_id, book, currency, balance_minor, entries)
        select i.customer_id, i.book, i.currency, sum(i.amount_minor)::bigint, count(*)::integer
        from incoming i group by 1, 2, 3 order by 1, 2, 3
        on conflict (customer_id, book, currency) do update
        set balance_minor = a.balance_minor + excluded.balance_minor, entries = a.entries + excluded.entries
        returning a.customer_id, a.book, a.currency, a.balance_minor, a.entries
    ), placed as (
        select i.*, m.entries - max(i.place) over w + i.place as entry_no,
               m.balance_minor - sum(i.amount_minor) over w + i.running as balance_minor
        from incoming i join moved m using (customer_id, book, currency)
        window w as (partition by i.customer_id, i.book, i.currency)
    ), posted as (
        insert into public.ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor, balance_minor,
                                           bill_id, payment_id, return_id, undoes_id, on_date, note, actor)
        select p.id, p.customer_id, p.book, p.currency, p.entry_no, p.kind, p.amount_minor, p.balance_minor,
               p.bill_id, p.payment_id, p.return_id, p.undoes_id, p.on_date, p.note, current_setting('billing.actor')
        from placed p order by p.position
    )
    insert into public.open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor, open_minor)
    select p.id, p.customer_id, p.book, p.currency, p.entry_no, p.order_on, p.amount_minor, p.amount_minor
    from placed p
    where p.amount_minor <> 0;
end $$;
comment on function private.post_rows(p_entries private.new_entry[]) is 'Posts entries of the ledger, in this order, with their accounts'' balances and open items.';
revoke all on function private.post_rows(private.new_entry[]) from public;
grant execute on function private.post_rows(private.new_entry[]) to service_role;

create or replace function private.post_entries(p_entries jsonb) returns void
    language plpgsql
    set search_path to ''
    as $$
begin
    perform private.post_rows(array(select e from jsonb_populate_recordset(null::private.new_entry, p_entries) e));
end $$;

create function private.post_bill_rows(p_bills private.new_entry[]) returns void
    language plpgsql
    set search_path to ''
    set enable_hashjoin to 'off'
    set enable_mergejoin to 'off'
    as $$
declare
    v_customers uuid[];
begin
    perform private.post_rows(p_bills);
    -- Only where a credit is open is there anything to pay with.
    v_customers := array(
        select distinct o.customer_id
        from unnest(p_bills) b join public.open_items o on o.customer_id = b.customer_id and o.open_minor < 0);
    if v_customers <> '{}' then
        perform private.settle(v_customers);
    end if;
end $$;
comment on function private.post_bill_rows(p_bills private.new_entry[]) is 'Posts bills on their accounts, and pays them with what is open there.';
revoke all on function private.post_bill_rows(private.new_entry[]) from public;
grant execute on function private.post_bill_rows(private.new_entry[]) to service_role;

create or replace function private.post_bills(p_bills uuid[]) returns void
    language plpgsql
    set search_path to ''
    set enable_hashjoin to 'off'
    set enable_mergejoin to 'off'
    as $$
begin
    perform private.post_bill_rows(array(
        select row(null, b.customer_id, null, b.currency, 'bill', b.total_minor, b.id, null, null, null,
                   b.issued_on, b.period_end, null)::private.new_entry
        from unnest(p_bills) x join public.bills b on b.id = x
        order by b.issued_at, b.number));
end $$;

create or replace function private.post_new_bills() returns trigger
    language plpgsql
    set search_path to ''
    as $$
declare
    v_bills private.new_entry[] := array(
        select row(null, n.customer_id, null, n.currency, 'bill', n.total_minor, n.id, null, null, null,
                   n.issued_on, n.period_end, null)::private.new_entry
        from new_rows n where n.status = 'issued' order by n.issued_at, n.number);
begin
    if v_bills <> '{}' then
        perform private.post_bill_rows(v_bills);
    end if;
    return null;
end $$;

create or replace function private.refuse_replaced_version() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- Who corrects a version waits for the bills that are being stored with it, and they for who does.
    perform 1 from public.tariff_versions v
    where v.id = any (array(select distinct b.tariff_version_id from new_rows b)) order by v.id for key share;
    if exists (
        with agreed as materialized (
            select b.agreement_id, b.period_start, b.period_end, b.priced_by, t.tariff_id, t.number
            from new_rows b
            cross join lateral (select count(*) as number, (array_agg(y.tariff_id))[1] as tariff_id
                                from public.agreement_tariffs y where y.agreement_id = b.agreement_id) t)
        -- Most bills of a batch are of the same days and tariff, which is their agreement's only one.
        select 1 from (select distinct a.tariff_id, a.period_start, a.period_end, a.priced_by from agreed a where a.number = 1) b
        where b.priced_by is distinct from array(
            select v.id
            from (select w.id, w.effective_from,
                         coalesce(lead(w.effective_from) over (order by w.effective_from), 'infinity') as until
                  from public.tariff_versions w
                  where w.tariff_id = b.tariff_id
                    and not exists (select 1 from public.tariff_versions n where n.replaces_id = w.id)) v
            where greatest(v.effective_from, b.period_start) < least(v.until, b.period_end)
            order by v.effective_from)
        union all
        select 1 from agreed b
        where b.number <> 1 and b.priced_by is distinct from array(
            select v.id
            from private.tariff_spans s
            join (select w.id, w.tariff_id, w.effective_from,
                         coalesce(lead(w.effective_from) over (partition by w.tariff_id order by w.effective_from), 'infinity') as until
                  from public.tariff_versions w
                  where w.tariff_id in (select y.tariff_id from public.agreement_tariffs y where y.agreement_id = b.agreement_id)
                    and not exists (select 1 from public.tariff_versions n where n.replaces_id = w.id)) v
                on v.tariff_id = s.tariff_id
            where s.agreement_id = b.agreement_id
              and greatest(v.effective_from, s.starts_on, b.period_start) < least(v.until, s.ends_on, b.period_end)
            order by greatest(v.effective_from, s.starts_on))
    ) then
        raise exception using errcode = 'EB001',
            message = 'A new version of the tariff came between: the price must be computed again.';
    end if;
    if exists (select 1 from new_rows b where b.tariff_version_id <> all (b.priced_by)) then
        raise exception using errcode = '23503', message = 'The tariff version of a bill must be one that it was priced by.';
    end if;
    return null;
end $$;

create function private.moved_agreements(p_bills public.bills[]) returns uuid[]
    language sql stable
    set search_path to ''
    set enable_hashjoin to 'off'
    set enable_mergejoin to 'off'
    as $$
    -- Between computing and storing, a read may have been billed or corrected, or this very bill
    -- stored and voided: those agreements are computed again. Of several bills of one each opens
    -- where the one before it closes.
    select array(
        select distinct b.agreement_id
        from (select x.agreement_id, x.opening_reading_id, x.closing_reading_id, x.reissue_no,
                     lag(x.closing_reading_id) over (partition by x.agreement_id order by x.place) as before
              from (select n.*, row_number() over () as place from unnest(p_bills) n) x) b
        join public.service_agreements a on a.id = b.agreement_id
        left join lateral (
            select t.closing_reading_id from public.bills t
            where t.agreement_id = a.id and t.status <> 'void' order by t.period_end desc limit 1) t on b.before is null
        where coalesce(b.before, t.closing_reading_id, a.opening_reading_id) <> b.opening_reading_id
           or b.reissue_no <> (select count(*) from public.bills v
                               where v.opening_reading_id = b.opening_reading_id and v.status = 'void')
           or not exists (select 1 from public.readings r where r.id = b.closing_reading_id and r.status = 'accepted'))
$$;
comment on function private.moved_agreements(p_bills public.bills[]) is 'The agreements of some bills, in the order of their agreements and periods, that do not follow on what is stored.';
revoke all on function private.moved_agreements(public.bills[]) from public;
grant execute on function private.moved_agreements(public.bills[]) to service_role;

create or replace function public.store_job_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_given public.bills[] := array(
        select b from jsonb_populate_recordset(jsonb_populate_record(null::public.bills, p -> 'common'), p -> 'bills') b);
    v_new public.bills[];
    v_moved uuid[] := '{}';
    v_done integer;
begin
    perform private.set_actor(p);
    perform private.expect_run(p -> 'run');
    perform private.lock_points(array(
        select a.service_point_id
        from (select b.agreement_id from unnest(v_given) b
              union select (s ->> 'agreement_id')::uuid from jsonb_array_elements(coalesce(p -> 'set_aside', '[]')) s) x
        join public.service_agreements a on a.id = x.agreement_id));
    v_new := array(
        select g.bill from (select b as bill, row_number() over () as place from unnest(v_given) b) g
        where not exists (select 1 from public.bills x where x.id = (g.bill).id and x.status <> 'void')
        order by (g.bill).agreement_id, g.place);
    -- That none of them moved is what the checks of new bills say. Which did is asked only if they refuse.
    begin
        perform private.insert_bill_rows(v_new, p -> 'bills', p -> 'common');
    exception when unique_violation or sqlstate 'EB001' or sqlstate 'EB005' then
        v_moved := private.moved_agreements(v_new);
        if v_moved = '{}' then
            raise;
        end if;
        v_new := array(select b from unnest(v_new) b where b.agreement_id <> all (v_moved) order by b.agreement_id, b.period_start);
        perform private.insert_bill_rows(v_new, p -> 'bills', p -> 'common');
    end;
    v_done := cardinality(v_new);
    if p -> 'run' is not null then
        perform private.check_run(p -> 'run');
        -- What was set aside before, and is billed now, is set aside no more.
        perform private.note_progress(p - 'bills' - 'common' || jsonb_build_object(
            'done', v_done,
            'settled', (select coalesce(jsonb_agg(distinct b.agreement_id), '[]') from unnest(v_new) b)));
    end if;
    return jsonb_build_object('stored', v_done, 'moved', to_jsonb(v_moved));
end $$;

-- All bills of a day that a version priced take one entry for their key: without the id it is kept once.
drop index public.bills_by_version;
create index bills_by_version on public.bills (tariff_version_id, period_end) where status <> 'void';

create or replace function private.last_bill_with(p_tariff uuid) returns uuid
    language sql stable
    set search_path to ''
    as $$
    select b.id
    from public.tariff_versions v
    cross join lateral (
        select id, period_end from public.bills
        where tariff_version_id = v.id and status <> 'void'
        order by period_end desc limit 1) b
    where v.tariff_id = p_tariff
    order by b.period_end desc limit 1
$$;
comment on function private.last_bill_with(p_tariff uuid) is 'A bill that ends last of those, drafts too, that were made with any version of a tariff.';

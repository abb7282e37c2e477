-- Imports (checked whole before anything is written) and the figures of the overview.

create function private.import_answer(p_errors jsonb, p_added integer, p_changed integer, p_unchanged integer)
returns jsonb
language sql immutable set search_path = '' as $$
    select jsonb_build_object('errors', coalesce(p_errors, '[]'), 'added', p_added, 'changed', p_changed,
                              'unchanged', p_unchanged)
$$;

create function public.import_customers(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_total integer := jsonb_array_length(p -> 'rows');
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', 'currency', 'message',
               format('Account %s is in %s; its currency cannot change to %s.', x.account_no, c.currency, x.currency)))
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, currency text)
    join public.customers c on c.account_no = x.account_no
    where x.currency is not null and c.currency is not null and c.currency <> x.currency;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        with incoming as (
            select * from jsonb_to_recordset(p -> 'rows') as x(
                id uuid, account_no text, name text, email text, phone text, address text, language text, currency text)
        )
        insert into public.customers (id, account_no, name, email, phone, address, language, currency)
        select id, account_no, name, coalesce(email, ''), coalesce(phone, ''), coalesce(address, ''),
               coalesce(language, 'en'), currency
        from incoming
        on conflict do nothing;
        get diagnostics v_added = row_count;
        update public.customers c
        set name = x.name, email = coalesce(x.email, ''), phone = coalesce(x.phone, ''),
            address = coalesce(x.address, ''), language = coalesce(x.language, c.language),
            currency = coalesce(c.currency, x.currency)
        from jsonb_to_recordset(p -> 'rows') as x(
            account_no text, name text, email text, phone text, address text, language text, currency text)
        where c.account_no = x.account_no
          and (c.name, c.email, c.phone, c.address, c.language, c.currency) is distinct from
              (x.name, coalesce(x.email, ''), coalesce(x.phone, ''), coalesce(x.address, ''),
               coalesce(x.language, c.language), coalesce(c.currency, x.currency));
        get diagnostics v_changed = row_count;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, v_total - v_added - v_changed);
end $$;
comment on function public.import_customers is
    'Adds customers, or updates the contact details of known account numbers: {actor, dry_run, rows: [{row, id, account_no, name, …}]}.';

create function public.import_tariffs(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row",
               'column', case when t.currency <> x.currency then 'currency' else 'effective_from' end,
               'message', case
               when t.currency <> x.currency then format('Tariff %s is in %s; its currency cannot change.', x.code, t.currency)
               when v.id is not null then format(
                   'Tariff %s already has another version from %s; a version never changes: give the new one a later date.',
                   x.code, x.effective_from)
               else format('Bills were already made with tariff %s for periods that begin on %s or later: a new version must start after them.',
                           x.code, x.effective_from) end))
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x(
        "row" integer, code text, currency text, effective_from date, definition jsonb)
    join public.tariffs t on t.code = x.code
    left join public.tariff_versions v on v.tariff_id = t.id and v.effective_from = x.effective_from
    where t.currency <> x.currency
       or v.definition <> x.definition
       or (v.id is null and exists (
               select 1 from public.bills b join public.tariff_versions bv on bv.id = b.tariff_version_id
               where bv.tariff_id = t.id and b.status <> 'void' and b.period_start >= x.effective_from
                 and b.period_start < coalesce(
                     (select min(later.effective_from) from public.tariff_versions later
                      where later.tariff_id = t.id and later.effective_from > x.effective_from), 'infinity')));
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.tariffs (id, code, name, currency)
        select distinct on (x.code) x.tariff_id, x.code, x.name, x.currency
        from jsonb_to_recordset(p -> 'rows') as x(tariff_id uuid, code text, name text, currency text)
        order by x.code
        on conflict do nothing;
        insert into public.tariff_versions (id, tariff_id, effective_from, definition)
        select x.id, t.id, x.effective_from, x.definition
        from jsonb_to_recordset(p -> 'rows') as x(id uuid, code text, effective_from date, definition jsonb)
        join public.tariffs t on t.code = x.code
        on conflict do nothing;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(v_errors, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;
comment on function public.import_tariffs is
    'Adds tariff versions: {actor, dry_run, rows: [{row, id, tariff_id, code, name, currency, effective_from, definition}]}.';

create function public.import_meters(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', case
               when c.id is null then 'account_no'
               when t.id is null or coalesce(c.currency, t.currency) <> t.currency then 'tariff_code'
               when m.id is null then 'opened_on'
               else 'serial' end, 'message', case
               when c.id is null then format('No customer has the account number %s.', x.account_no)
               when t.id is null then format('No tariff has the code %s.', x.tariff_code)
               when coalesce(c.currency, t.currency) <> t.currency then format(
                   'Tariff %s is in %s, account %s in %s.', x.tariff_code, t.currency, x.account_no, c.currency)
               when m.id is null then format(
                   'No version of tariff %s is in force on %s, where billing would begin.', x.tariff_code, x.opened_on)
               else format('Meter %s is already connected with other details.', x.serial) end) order by x."row")
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x(
        "row" integer, serial text, account_no text, tariff_code text, kind text, dials smallint,
        multiplier_milli integer, opened_on date, opening_wh bigint)
    left join public.customers c on c.account_no = x.account_no
    left join public.tariffs t on t.code = x.tariff_code
    left join public.meters m on m.serial = x.serial
    left join public.readings r on r.meter_id = m.id and r.is_opening
    where c.id is null or t.id is null or coalesce(c.currency, t.currency) <> t.currency
       or (m.id is null and not exists (
               select 1 from public.tariff_versions v where v.tariff_id = t.id and v.effective_from <= x.opened_on))
       or (m.id is not null and (m.customer_id, m.tariff_id, m.kind, m.dials, m.multiplier_milli, m.opened_on, r.register_wh)
               is distinct from (c.id, t.id, x.kind, x.dials, x.multiplier_milli, x.opened_on, x.opening_wh));
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
        with added as (
            insert into public.meters (id, serial, customer_id, tariff_id, kind, dials, multiplier_milli, opened_on)
            select x.id, x.serial, c.id, t.id, x.kind, x.dials, x.multiplier_milli, x.opened_on
            from jsonb_to_recordset(p -> 'rows') as x(
                id uuid, serial text, account_no text, tariff_code text, kind text, dials smallint,
                multiplier_milli integer, opened_on date)
            join public.customers c on c.account_no = x.account_no
            join public.tariffs t on t.code = x.tariff_code
            on conflict do nothing
            returning id
        )
        insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, is_opening, submitted_by)
        select x.opening_reading_id, x.id, x.opened_at, x.opened_on, x.opening_wh, 'imported', 'accepted', true, p ->> 'actor'
        from added
        join jsonb_to_recordset(p -> 'rows') as x(
            id uuid, opening_reading_id uuid, opened_at timestamptz, opened_on date, opening_wh bigint) on x.id = added.id;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(v_errors, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;
comment on function public.import_meters is
    'Connects meters with their opening read: {actor, dry_run, rows: [{row, id, opening_reading_id, serial, account_no, tariff_code, kind, dials, multiplier_milli, opening_wh, opened_on, opened_at}]}.';

create function public.meter_reads(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'id', m.id, 'serial', m.serial, 'dials', m.dials, 'multiplier_milli', m.multiplier_milli,
        'reads', (select coalesce(jsonb_agg(jsonb_build_object(
                             'id', r.id, 'read_at', r.read_at, 'read_on', r.read_on,
                             'register_wh', r.register_wh, 'status', r.status) order by r.read_at), '[]')
                  from public.readings r
                  where r.meter_id = m.id
                    and (r.status in ('accepted', 'needs_review') or (p ->> 'every_status')::boolean)
                    and r.read_on >= coalesce((p ->> 'since')::date, '-infinity')))), '[]'))
    from public.meters m
    where m.serial in (select jsonb_array_elements_text(p -> 'serials'))
$$;
comment on function public.meter_reads is 'Live reads of some meters, or those of every status, oldest first: {serials, since?, every_status?}.';

create function public.import_readings(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_added integer;
begin
    perform private.set_actor(p);
    perform 1 from public.meters where id in (select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x)
    order by id for update;
    -- Stored in order of time: lists of readings are ordered by created_at.
    insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, submitted_by,
                                 validation, created_at)
    select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, coalesce(x.source, 'imported'), x.status,
           p ->> 'actor', coalesce(x.validation, '{}'), clock_timestamp()
    from jsonb_to_recordset(p -> 'rows') as x(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text,
        status text, validation jsonb)
    where not exists (
        select 1 from public.readings r
        where r.meter_id = x.meter_id and r.read_on = x.read_on and r.register_wh = x.register_wh
          -- A read that a person rejected does not come back with the next import of its file.
          and (r.status in ('accepted', 'needs_review') or r.id = x.id))
    order by x.read_at;
    get diagnostics v_added = row_count;
    return private.import_answer(null, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
exception when unique_violation then
    raise exception using errcode = 'EB003', message = 'Another value was stored for one of these meters at the very same time.';
end $$;
comment on function public.import_readings is
    'Stores validated reads, unbilled; same meter, local date and value is left as it is: {actor, rows: [{id, meter_id, read_at, read_on, register_wh, status, validation, source?}]}.';

create function public.overview(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with bounds as (
        select (p ->> 'today')::date as today, date_trunc('month', (p ->> 'today')::date)::date as month
    ), months as (
        select generate_series(b.month - make_interval(months => (p ->> 'months')::integer - 1), b.month,
                               interval '1 month')::date as month
        from bounds b
    ), currencies as (
        select distinct currency from public.tariffs
        union
        select p ->> 'currency' where not exists (select 1 from public.tariffs)
    ), billed as (
        select currency, date_trunc('month', issued_on)::date as month, sum(total_minor) as minor, count(*) as bills
        from public.bills, bounds
        where status = 'issued' and issued_on >= bounds.month - make_interval(months => (p ->> 'months')::integer - 1)
        group by 1, 2
    ), collected as (
        select currency, date_trunc('month', received_on)::date as month, sum(amount_minor) as minor
        from public.payments, bounds
        where received_on >= bounds.month - make_interval(months => (p ->> 'months')::integer - 1)
        group by 1, 2
    ), owed as (
        select currency, sum(total_minor - amount_paid_minor) as outstanding, count(*) as outstanding_bills,
               sum(total_minor - amount_paid_minor) filter (where overdue_since is not null) as overdue,
               count(*) filter (where overdue_since is not null) as overdue_bills
        from public.bills where status = 'issued' and amount_paid_minor < total_minor
        group by 1
    )
    select jsonb_build_object(
        'flagged', (select count(*) from public.readings where status = 'needs_review'),
        'drafts', (select count(*) from public.bills where status = 'draft'),
        'meters', (select count(*) from public.meters where status = 'active'),
        'owed_work', (select count(*) from public.outbox where status = 'open'),
        'currencies', (select coalesce(jsonb_agg(jsonb_build_object(
            'currency', c.currency,
            'outstanding_minor', coalesce(o.outstanding, 0), 'outstanding_bills', coalesce(o.outstanding_bills, 0),
            'overdue_minor', coalesce(o.overdue, 0), 'overdue_bills', coalesce(o.overdue_bills, 0),
            'months', (select jsonb_agg(jsonb_build_object(
                           'month', m.month, 'billed_minor', coalesce(b.minor, 0), 'bills', coalesce(b.bills, 0),
                           'collected_minor', coalesce(k.minor, 0)) order by m.month)
                       from months m
                       left join billed b on b.currency = c.currency and b.month = m.month
                       left join collected k on k.currency = c.currency and k.month = m.month)
            ) order by c.currency), '[]')
            from currencies c left join owed o on o.currency = c.currency))
$$;
comment on function public.overview is
    'Billed and collected by month, outstanding and overdue now, per currency (never added across): {today, currency: the one to show without tariffs, months}.';

create function public.add_api_key(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    insert into public.api_keys (id, name, key_hash, role)
    values ((p ->> 'id')::uuid, p ->> 'name', p ->> 'key_hash', p ->> 'role')
    on conflict (id) do nothing;
    return '{}'::jsonb;
exception when unique_violation then
    raise exception using errcode = 'EB005', message = format('There is already a key named %s.', p ->> 'name');
end $$;
comment on function public.add_api_key is 'Keeps the hash of a new key: {actor, id, name, key_hash, role}.';

-- Everything above belongs to service_role alone.
alter table public.audit_log enable row level security;
alter table public.installation enable row level security;
alter table public.customers enable row level security;
alter table public.tariffs enable row level security;
alter table public.tariff_versions enable row level security;
alter table public.meters enable row level security;
alter table public.readings enable row level security;
alter table public.idempotency_keys enable row level security;
alter table public.bills enable row level security;
alter table public.counters enable row level security;
alter table public.payments enable row level security;
alter table public.outbox enable row level security;
alter table public.notifications enable row level security;
alter table public.job_runs enable row level security;
alter table public.job_set_aside enable row level security;
alter table public.api_keys enable row level security;

revoke all on all tables in schema public from public, anon, authenticated;
revoke all on all sequences in schema public from public, anon, authenticated;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
revoke delete, truncate on all tables in schema public from service_role;
grant select, insert, update on all tables in schema public to service_role;
grant delete on public.job_set_aside to service_role;
revoke update on public.audit_log from service_role;
grant usage on all sequences in schema public to service_role;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

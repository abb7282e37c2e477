-- Lines of bank statements: each is kept once, becomes a payment where its text names who paid, and waits for a person
-- where it does not.

create table public.bank_lines (
    id uuid primary key,
    account text not null default '',
    booked_on date not null,
    booked_at timestamptz not null,
    amount_minor bigint not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    reference text not null default '',
    payer text not null default '',
    bank_reference text not null default '',
    status text not null check (status in ('matched', 'open', 'set_aside', 'out')),
    matched_by text check (matched_by in ('bill', 'account', 'meter', 'person')),
    why text check (why in ('no_reference', 'several', 'other_currency', 'not_payable', 'entered_already')),
    detail text not null default '',
    expected_minor bigint,
    payment_id uuid references public.payments,
    decided_by text,
    decided_at timestamptz,
    reason text not null default '',
    imported_by text not null check (imported_by <> ''),
    created_at timestamptz not null default now(),
    check ((status = 'matched') = (payment_id is not null)),
    check ((status = 'matched') = (matched_by is not null)),
    check (status <> 'set_aside' or btrim(reason) <> '')
);
comment on table public.bank_lines is 'The lines of bank statements, each once, with what became of it.';
comment on column public.bank_lines.account is 'The utility''s account at the bank, as the file names it; empty where it does not.';
comment on column public.bank_lines.amount_minor is 'Above 0 came in; what left the account is kept to be looked at (status out).';
comment on column public.bank_lines.reference is 'What the payer wrote.';
comment on column public.bank_lines.bank_reference is 'The bank''s own id of the line, if it has one: the line is known by it in every file.';
comment on column public.bank_lines.matched_by is 'What named the payer: the number of a bill, an account or a meter in the text, or a person.';
comment on column public.bank_lines.why is 'Why nobody was matched.';
comment on column public.bank_lines.expected_minor is 'What was open of the bill, or owed on the account, when the line was matched.';
create index bank_lines_open on public.bank_lines (booked_on, id) where status = 'open';
create index bank_lines_by_day on public.bank_lines (booked_on desc, id desc);
create index bank_lines_account on public.bank_lines (account);
create index bank_lines_payment on public.bank_lines (payment_id);
alter table public.bank_lines enable row level security;
revoke all on public.bank_lines from public, anon, authenticated, service_role;
grant select, insert, update on public.bank_lines to service_role;
-- A line says itself who imported it; what becomes of it later is in the audit trail.
create trigger audit_update after update on public.bank_lines
referencing old table as old_rows new table as new_rows for each statement execute function private.audit();
select private.keep_rows('public.bank_lines');

create function private.match_bank_lines(p_rows jsonb) returns table (
    id uuid, status text, matched_by text, why text, detail text, customer_id uuid, bill_id uuid, expected_minor bigint)
language sql stable set search_path = '' as $$
    with x as materialized (
        select r.id, r.amount_minor, r.currency, r.booked_on, r.numbers, r.tokens
        from jsonb_to_recordset(p_rows) as r(
            id uuid, amount_minor bigint, currency text, booked_on date, numbers jsonb, tokens jsonb)
        where r.amount_minor > 0
    ), words as materialized (
        select x.id, private.identifier_key(t.word) as key from x, jsonb_array_elements_text(x.tokens) t(word)
    ), named as materialized (
        select x.id, 1 as rank, b.customer_id, b.id as bill_id, private.invoice_reference(b.number) as name
        from x, jsonb_array_elements_text(x.numbers) n(number) join public.bills b on b.number = n.number::bigint
        union
        select w.id, 2, c.id, null, c.account_no
        from words w join public.customers c on private.identifier_key(c.account_no) = w.key
        union
        select w.id, 3, a.customer_id, null, m.serial
        from words w
        join public.meters m on private.identifier_key(m.serial) = w.key
        join public.meter_installations i on i.meter_id = m.id and i.removed_at is null
        join public.service_agreements a on a.service_point_id = i.service_point_id and a.ends_on is null
    ), found as (
        select n.id, count(distinct n.customer_id) as customers, min(n.rank) as rank,
               (array_agg(n.customer_id order by n.rank))[1] as customer_id,
               -- Of several bills the oldest that is open is paid first.
               case when count(distinct n.bill_id) = 1 then (array_agg(n.bill_id) filter (where n.bill_id is not null))[1] end as bill_id,
               string_agg(distinct n.name, ', ' order by n.name) as names
        from named n group by n.id
    ), judged as (
        select x.*, f.rank, f.names, f.customer_id, f.customers, b.id as bill_id, b.status as bill_status,
               coalesce(c.currency, x.currency) as account_currency,
               case when b.id is not null then b.total_minor - b.amount_paid_minor
                    else coalesce((select a.balance_minor from public.accounts a
                                   where a.customer_id = c.id and a.book = 'account' and a.currency = x.currency), 0) end as expected_minor,
               (select 'entered on ' || y.received_on from public.payments y
                where y.customer_id = c.id and y.amount_minor = x.amount_minor and y.currency = x.currency
                  and y.method in ('bank', 'cheque', 'mobile_money', 'card')
                  and y.received_on between x.booked_on - 7 and x.booked_on + 7
                  and not exists (select 1 from public.bank_lines l where l.payment_id = y.id)
                  and not exists (select 1 from public.payment_returns q where q.payment_id = y.id and q.status in ('pending', 'done'))
                limit 1) as entered
        from x
        left join found f on f.id = x.id
        left join public.customers c on c.id = f.customer_id
        left join public.bills b on b.id = f.bill_id
    ), decided as (
        select j.*, case
            when j.customer_id is null then 'no_reference'
            when j.customers > 1 then 'several'
            when j.account_currency <> j.currency then 'other_currency'
            when j.bill_status in ('draft', 'void') then 'not_payable'
            when j.entered is not null then 'entered_already' end as why
        from judged j
    )
    select d.id, case when d.why is null then 'matched' else 'open' end,
           case when d.why is null then (array['bill', 'account', 'meter'])[d.rank] end, d.why,
           coalesce(case d.why when 'other_currency' then d.account_currency when 'entered_already' then d.entered else d.names end, ''),
           case when d.why is null then d.customer_id end, case when d.why is null then d.bill_id end,
           case when d.why is null then d.expected_minor end
    from decided d
$$;
comment on function private.match_bank_lines(jsonb) is
    'Whose payments lines of a bank are: by the bill''s number, the account or the meter that their text names. Whoever names two customers, another currency, a void bill or what was entered by hand is for a person.';
revoke all on function private.match_bank_lines(jsonb) from public;
grant execute on function private.match_bank_lines(jsonb) to service_role;

create function public.import_bank_statements(p jsonb) returns jsonb
language plpgsql set search_path = '' set plan_cache_mode = force_custom_plan as $$
declare
    v_new jsonb;
    v_matches jsonb;
    v_added integer;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    -- Statements that overlap do not come in at the same time.
    perform pg_advisory_xact_lock(hashtextextended('bank statements', 0));
    select coalesce(jsonb_agg(x), '[]'), count(*) into v_new, v_added
    from jsonb_array_elements(p -> 'rows') x
    where not exists (select 1 from public.bank_lines l where l.id = (x ->> 'id')::uuid);
    if v_added > 0 and not coalesce((p ->> 'dry_run')::boolean, false) then
        select jsonb_agg(to_jsonb(m)) into v_matches from private.match_bank_lines(v_new) m;
        perform private.lock_customers(array(
            select (m ->> 'customer_id')::uuid from jsonb_array_elements(v_matches) m where m ->> 'customer_id' is not null));
        perform private.post_payments(private.store_payments((
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', md5('bank_payment/' || x.id)::uuid, 'customer_id', m.customer_id, 'bill_id', m.bill_id,
                'amount_minor', x.amount_minor, 'currency', x.currency, 'method', 'bank',
                'reference', left(coalesce(nullif(x.bank_reference, ''), x.reference), 100),
                'received_at', x.booked_at, 'received_on', x.booked_on) order by x.booked_on, x."row"), '[]')
            from jsonb_to_recordset(v_matches) as m(id uuid, status text, customer_id uuid, bill_id uuid)
            join jsonb_to_recordset(v_new) as x(
                "row" integer, id uuid, amount_minor bigint, currency text, bank_reference text, reference text,
                booked_at timestamptz, booked_on date) on x.id = m.id
            where m.status = 'matched')), 'oldest');
        insert into public.bank_lines (id, account, booked_on, booked_at, amount_minor, currency, reference, payer, bank_reference,
                                       status, matched_by, why, detail, expected_minor, payment_id, imported_by)
        select x.id, x.account, x.booked_on, x.booked_at, x.amount_minor, x.currency, x.reference, x.payer, x.bank_reference,
               coalesce(m.status, 'out'), m.matched_by, m.why, coalesce(m.detail, ''), m.expected_minor,
               case when m.status = 'matched' then md5('bank_payment/' || x.id)::uuid end, p ->> 'actor'
        from jsonb_to_recordset(v_new) as x(
            id uuid, account text, booked_on date, booked_at timestamptz, amount_minor bigint, currency text, reference text,
            payer text, bank_reference text)
        left join jsonb_to_recordset(coalesce(v_matches, '[]')) as m(
            id uuid, status text, matched_by text, why text, detail text, expected_minor bigint) on m.id = x.id;
    end if;
    return private.import_answer(null, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;
comment on function public.import_bank_statements(jsonb) is
    'Keeps the lines of a bank statement that are not known yet, and counts those whose payer is named as payments: {actor, dry_run, owed?, rows: [{row, id, account, booked_on, booked_at, amount_minor, currency, reference, payer, bank_reference, numbers, tokens}]}. A line that is known changes nothing.';
revoke all on function public.import_bank_statements(jsonb) from public;
grant execute on function public.import_bank_statements(jsonb) to service_role;

create function public.bank_accounts(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with recursive accounts as (
        (select l.account from public.bank_lines l order by l.account limit 1)
        union all
        select (select l.account from public.bank_lines l where l.account > a.account order by l.account limit 1)
        from accounts a where a.account is not null
    )
    select jsonb_build_object('accounts', coalesce(jsonb_agg(a.account order by a.account), '[]'))
    from accounts a where a.account <> ''
$$;
comment on function public.bank_accounts(jsonb) is 'The accounts of which statements were imported: {} gives {accounts: [...]}.';
revoke all on function public.bank_accounts(jsonb) from public;
grant execute on function public.bank_accounts(jsonb) to service_role;

create function public.decide_bank_line(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    l public.bank_lines;
    v_payment uuid;
    v_row jsonb;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[coalesce(
        (p ->> 'customer_id')::uuid, (select b.customer_id from public.bills b where b.id = (p ->> 'bill_id')::uuid))]);
    select * into l from public.bank_lines where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such line of a bank statement.');
    elsif p ->> 'reason' is not null then
        if l.status = 'set_aside' then
            return '{}'::jsonb;
        elsif l.status <> 'open' then
            perform private.refuse('EB005', 'Somebody else decided this line meanwhile: look at it again.');
        end if;
        update public.bank_lines
        set status = 'set_aside', reason = p ->> 'reason', decided_by = p ->> 'actor', decided_at = now()
        where id = l.id;
        return '{}'::jsonb;
    end if;
    v_payment := md5('bank_payment/' || l.id)::uuid;
    v_row := jsonb_build_object(
        'id', v_payment, 'customer_id', p -> 'customer_id', 'bill_id', p -> 'bill_id', 'amount_minor', l.amount_minor,
        'currency', l.currency, 'method', 'bank', 'reference', left(coalesce(nullif(l.bank_reference, ''), l.reference), 100),
        'received_at', l.booked_at, 'received_on', l.booked_on);
    if l.status = 'matched' then
        if exists (select 1 from public.payments y left join public.bills b on b.id = (p ->> 'bill_id')::uuid
                   where y.id = l.payment_id and y.customer_id = coalesce((p ->> 'customer_id')::uuid, b.customer_id)) then
            return '{}'::jsonb;
        end if;
        perform private.refuse('EB005', 'Somebody else decided this line meanwhile: look at it again.');
    elsif l.status = 'out' then
        perform private.refuse('EB005', 'This money left the account: it is nobody''s payment.');
    end if;
    perform private.check_payment(v_row);
    perform private.take_payment(v_row);
    update public.bank_lines
    set status = 'matched', matched_by = 'person', why = null, payment_id = v_payment, decided_by = p ->> 'actor', decided_at = now()
    where id = l.id;
    if p #> '{owed,payment_received}' is not null then
        perform private.owe_thanks(v_payment, p #> '{owed,payment_received}');
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.decide_bank_line(jsonb) is
    'A person says whose a line of the bank is, or sets it aside: {actor, id, customer_id or bill_id, owed?} or {actor, id, reason}. A repeat changes nothing; EB005 where somebody else decided otherwise.';
revoke all on function public.decide_bank_line(jsonb) from public;
grant execute on function public.decide_bank_line(jsonb) to service_role;

create view public.bank_line_list with (security_invoker = true) as
select l.id, l.account, l.booked_on, l.amount_minor, l.currency, l.reference, l.payer, l.bank_reference, l.status, l.matched_by,
       l.why, l.detail, l.expected_minor, l.payment_id, l.decided_by, l.decided_at, l.reason, l.imported_by, l.created_at,
       y.customer_id, c.account_no, c.name as customer_name, b.number as bill_number
from public.bank_lines l
left join public.payments y on y.id = l.payment_id
left join public.customers c on c.id = y.customer_id
left join public.bills b on b.id = y.bill_id;
comment on view public.bank_line_list is 'Lines of bank statements with the payment that each became.';
revoke all on public.bank_line_list from public, anon, authenticated, service_role;
grant select on public.bank_line_list to service_role;

create or replace function public.preview_import(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $_$
declare
    v_last bigint;
    v_answer jsonb;
    v_differences jsonb;
begin
    if p ->> 'what' not in ('customers', 'intervals', 'meters', 'readings', 'supplies', 'tariffs', 'transformers',
                            'service_points', 'agreements', 'balances', 'past_payments', 'bank_statements') then
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
end $_$;

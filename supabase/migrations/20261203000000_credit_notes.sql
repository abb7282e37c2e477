-- Tax numbers, credit notes with numbers of their own, and what a bill must have before it is issued.

alter table public.customers add column tax_number text not null default ''
    check (tax_number = btrim(tax_number) and length(tax_number) <= 40);
comment on column public.customers.tax_number is 'By which the tax office knows the customer, such as a VAT number; empty for most.';

insert into public.counters (name) values ('credit_note');

create table public.credit_notes (
    id uuid primary key,
    number bigint not null unique check (number > 0),
    prefix text not null,
    bill_id uuid not null unique references public.bills (id),
    entry_id uuid not null unique references public.ledger_entries (id),
    customer_id uuid not null references public.customers (id),
    on_date date not null,
    reason text not null check (btrim(reason) <> ''),
    currency text not null,
    subtotal_minor bigint not null,
    tax_minor bigint not null,
    total_minor bigint not null check (total_minor = subtotal_minor + tax_minor),
    customer_name text not null,
    address text not null,
    tax_number text not null,
    settings_version integer not null references public.utility_settings (version),
    created_by text not null check (created_by <> ''),
    created_at timestamptz not null default now()
);
comment on table public.credit_notes is 'A document for each issued bill that was voided while the utility gives credit notes: it takes back the whole bill. Numbered without gaps in a series of its own, and never changed.';
comment on column public.credit_notes.entry_id is 'The entry of the ledger that voids the bill.';
comment on column public.credit_notes.total_minor is 'What is credited: what the bill came to. Below 0 where the bill was a credit itself.';
comment on column public.credit_notes.customer_name is 'As it was then, with the address and the tax number.';
comment on column public.credit_notes.settings_version is 'The utility''s settings as they were then.';
create index credit_notes_customer on public.credit_notes (customer_id, number desc);
create index credit_notes_by_date on public.credit_notes (on_date, number);
alter table public.credit_notes enable row level security;
revoke all on public.credit_notes from public, anon, authenticated, service_role;
grant select, insert on public.credit_notes to service_role;
create trigger refuse_update before update on public.credit_notes for each row execute function private.refuse_change();
create trigger refuse_delete before delete on public.credit_notes for each row execute function private.refuse_delete();
create trigger refuse_truncate before truncate on public.credit_notes for each statement execute function private.refuse_delete();

create table public.credit_note_documents (
    credit_note_id uuid primary key references public.credit_notes (id),
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    pdf bytea not null,
    created_at timestamptz not null default now(),
    check (encode(sha256(pdf), 'hex') = sha256)
);
comment on table public.credit_note_documents is 'The PDF of each credit note, rendered once, when somebody asks for it first.';
alter table public.credit_note_documents enable row level security;
revoke all on public.credit_note_documents from public, anon, authenticated, service_role;
grant select, insert on public.credit_note_documents to service_role;
create trigger refuse_update before update on public.credit_note_documents for each row execute function private.refuse_change();
create trigger refuse_delete before delete on public.credit_note_documents for each row execute function private.refuse_delete();
create trigger refuse_truncate before truncate on public.credit_note_documents for each statement execute function private.refuse_delete();

create function private.credit_note_reference(p_prefix text, p_number bigint) returns text
    language sql immutable set search_path = '' as $$
    select p_prefix || repeat('0', greatest(0, 6 - length(p_number::text))) || p_number
$$;
comment on function private.credit_note_reference(text, bigint) is 'A credit note''s number as people write it.';

create function private.give_credit_notes() returns trigger
    language plpgsql set search_path = '' set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_settings public.utility_settings;
    v_number bigint;
    v_base bigint;
begin
    select count(*) into v_number from new_rows n where n.kind = 'bill_void';
    if v_number = 0 then
        return null;
    end if;
    select * into v_settings from public.utility_settings s order by s.version desc limit 1;
    if not coalesce((v_settings.settings ->> 'credit_notes')::boolean, false) then
        return null;
    end if;
    -- Whoever voids has the lock on the customer by now; the series comes after that, as the bills' does.
    update public.counters set last_number = last_number + v_number where name = 'credit_note'
    returning last_number - v_number into v_base;
    insert into public.credit_notes (id, number, prefix, bill_id, entry_id, customer_id, on_date, reason, currency, subtotal_minor,
                                     tax_minor, total_minor, customer_name, address, tax_number, settings_version, created_by)
    select gen_random_uuid(), v_base + row_number() over (order by n.posting_no),
           coalesce(v_settings.settings ->> 'credit_note_prefix', 'CN-'), n.bill_id, n.id, n.customer_id, n.on_date, n.note,
           n.currency, b.subtotal_minor, b.tax_minor, b.total_minor, c.name, c.address, c.tax_number, v_settings.version, n.actor
    from new_rows n
    join public.bills b on b.id = n.bill_id
    join public.customers c on c.id = n.customer_id
    where n.kind = 'bill_void';
    return null;
end $$;
comment on function private.give_credit_notes() is 'Gives each voided bill its credit note, in the statement that posts the void, where the utility gives them.';
create trigger voids_have_credit_notes after insert on public.ledger_entries referencing new table as new_rows
    for each statement execute function private.give_credit_notes();

create view public.credit_note_list with (security_invoker = true) as
select n.id, n.number, private.credit_note_reference(n.prefix, n.number) as reference, n.bill_id, b.number as bill_number,
       n.customer_id, c.account_no, n.customer_name, n.address, n.tax_number, c.language, n.on_date, n.reason, n.currency,
       n.subtotal_minor, n.tax_minor, n.total_minor, n.settings_version, n.created_by, n.created_at,
       r.id as replaced_by_id, r.number as replaced_by_number,
       lower(concat_ws(' ', private.credit_note_reference(n.prefix, n.number), private.invoice_reference(b.number),
                       c.account_no, n.customer_name)) as search
from public.credit_notes n
join public.bills b on b.id = n.bill_id
join public.customers c on c.id = n.customer_id
left join public.corrected_bills x on x.void_bill_id = n.bill_id
left join public.bills r on r.id = coalesce(x.new_bill_id, (select y.id from public.bills y where y.replaces_id = n.bill_id));
comment on view public.credit_note_list is 'Credit notes with the bill that each takes back, and the bill in its place where there is one.';
grant select on public.credit_note_list to service_role;

create function public.credit_note_document(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select (select jsonb_build_object('sha256', d.sha256, 'pdf', encode(d.pdf, 'base64'), 'created_at', d.created_at)
            from public.credit_note_documents d where d.credit_note_id = (p ->> 'credit_note_id')::uuid)
$$;
comment on function public.credit_note_document(jsonb) is 'The kept PDF of a credit note, in base64, or null: {credit_note_id} -> {sha256, pdf, created_at}.';

create function public.keep_credit_note_document(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
begin
    insert into public.credit_note_documents (credit_note_id, sha256, pdf)
    values ((p ->> 'credit_note_id')::uuid, p ->> 'sha256', decode(p ->> 'pdf', 'base64'))
    on conflict (credit_note_id) do nothing;
    return public.credit_note_document(p);
end $$;
comment on function public.keep_credit_note_document(jsonb) is 'Keeps the PDF of a credit note, unless there is one; the one that is kept: {credit_note_id, sha256, pdf in base64}.';

create function public.utility_settings_version(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select (select to_jsonb(s) from public.utility_settings s where s.version = (p ->> 'version')::integer)
$$;
comment on function public.utility_settings_version(jsonb) is 'One version of the settings, or null: {version} -> {version, id, settings, changed_at}.';

create function private.without_address(p_agreements uuid[]) returns uuid[]
    language sql stable set search_path = '' as $$
    select array(
        select a.id from unnest(p_agreements) u(id)
        join public.service_agreements a on a.id = u.id
        join public.service_points s on s.id = a.service_point_id
        join public.customers c on c.id = a.customer_id
        where btrim(s.address) = '' and btrim(c.address) = '')
$$;
comment on function private.without_address(uuid[]) is 'Those of some agreements whose bills would not say where the supply is: neither the place nor the customer has an address.';

create function public.agreements_without_address(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('agreements', to_jsonb(private.without_address(
        array(select jsonb_array_elements_text(p -> 'agreements')::uuid)
        || array(select b.agreement_id from jsonb_array_elements_text(p -> 'bills') x
                 join public.bills b on b.id = x.value::uuid))))
$$;
comment on function public.agreements_without_address(jsonb) is 'Those of some agreements, and of those of some bills, whose bills would not say where the supply is: {agreements: [id], bills: [id]} -> {agreements}.';

-- Each as it is now, whatever else changed it.
do $do$
declare
    v record;
    v_text text;
begin
    for v in select * from (values
        (1, 'private.archived_tables()',
$old$'corrected_bills', $old$,
$new$'corrected_bills', 'credit_notes', $new$),
        (2, 'private.issue_drafts(uuid[],jsonb)',
$old$    v_drafts := array(select b.id$old$,
$new$    if p ->> 'no_address' is not null and private.without_address(array(
            select b.agreement_id from unnest(p_ids) i(id) join public.bills b on b.id = i.id where b.status = 'draft')) <> '{}' then
        perform private.refuse('EB005', p ->> 'no_address');
    end if;
    v_drafts := array(select b.id$new$),
        (3, 'public.bill_document_facts(jsonb)',
$old$        'language', (select$old$,
$new$        'tax_number', (select tax_number from public.customers where id = b.customer_id),
        'contract_ends_on', (select a.ends_on from public.service_agreements a where a.id = b.agreement_id),
        'language', (select$new$),
        (4, 'public.report_register(jsonb)',
$old$'bill_number', b.number,$old$,
$new$'bill_number', b.number,
                     'credit_note', case f.kind when 'bill_void' then (
                         select private.credit_note_reference(n.prefix, n.number) from public.credit_notes n where n.bill_id = f.bill_id) end,$new$),
        (5, 'public.journal_lines(jsonb)',
$old$'reference', coalesce(nullif(r.reference, ''), y.reference),$old$,
$new$'reference', coalesce(nullif(r.reference, ''), y.reference),
                      'credit_note', case j.kind when 'bill_void' then (
                          select private.credit_note_reference(n.prefix, n.number) from public.credit_notes n where n.bill_id = j.bill_id) end,$new$),
        (6, 'public.import_customers(jsonb)',
$old$address, language, currency)
        select$old$,
$new$address, language, currency, tax_number)
        select$new$),
        (7, 'public.import_customers(jsonb)',
$old$'en'), currency
$old$,
$new$'en'), currency, coalesce(tax_number, '')
$new$),
        (8, 'public.import_customers(jsonb)',
$old$language text, currency text)$old$,
$new$language text, currency text, tax_number text)$new$),
        (9, 'public.import_customers(jsonb)',
$old$currency = coalesce(c.currency, x.currency)
        from$old$,
$new$currency = coalesce(c.currency, x.currency), tax_number = coalesce(x.tax_number, c.tax_number)
        from$new$),
        (10, 'public.import_customers(jsonb)',
$old$c.language, c.currency) is distinct from$old$,
$new$c.language, c.currency, c.tax_number) is distinct from$new$),
        (11, 'public.import_customers(jsonb)',
$old$coalesce(c.currency, x.currency));$old$,
$new$coalesce(c.currency, x.currency),
               coalesce(x.tax_number, c.tax_number));$new$),
        (12, 'public.change_customer(jsonb)',
$old$    update public.customers c
$old$,
$new$    if v_customer.tax_number is distinct from coalesce(v_seen ->> 'tax_number', v_customer.tax_number)
       and v_customer.tax_number is distinct from coalesce(p ->> 'tax_number', v_customer.tax_number) then
        perform private.refuse('EB005', 'Somebody else changed these details meanwhile. Look at them as they are now.');
    end if;
    update public.customers c
$new$),
        (13, 'public.change_customer(jsonb)',
$old$        language = p ->> 'language'
    where$old$,
$new$        language = p ->> 'language', tax_number = coalesce(p ->> 'tax_number', c.tax_number)
    where$new$),
        (14, 'public.change_customer(jsonb)',
$old$(c.name, c.phone, c.email, c.address, c.language) is distinct from
          (p ->> 'name', p ->> 'phone', p ->> 'email', p ->> 'address', p ->> 'language');$old$,
$new$(c.name, c.phone, c.email, c.address, c.language, c.tax_number) is distinct from
          (p ->> 'name', p ->> 'phone', p ->> 'email', p ->> 'address', p ->> 'language', coalesce(p ->> 'tax_number', c.tax_number));$new$),
        (15, 'public.account_statement(jsonb)',
$old$'address', c.address, 'language'$old$,
$new$'address', c.address, 'tax_number', c.tax_number, 'language'$new$)
    ) as x (place, name, old, new) order by place loop
        v_text := pg_get_functiondef(v.name::regprocedure);
        if position(v.old in v_text) = 0 then
            raise exception 'There is nothing to change in %.', v.name;
        end if;
        execute replace(v_text, v.old, v.new);
    end loop;
end $do$;
comment on function private.issue_drafts(uuid[], jsonb) is 'Issues those of some bills that are drafts, with the next numbers in the order of their periods: {issued_at, issued_on, due_date, no_address?: what is said where a bill must say where the supply is and cannot, which refuses all}; their ids. Under the locks of their places and customers.';
comment on function public.bill_document_facts(jsonb) is 'What a bill prints, as it was when it was issued: {bill_id} -> {bill, opening, closing, tax_number of the customer, contract_ends_on: null while the agreement has no end, language, replaces, payment_url, brought_forward_minor, entries since the bill before, used_before: {month: Wh}}.';
comment on function public.import_customers(jsonb) is 'Adds customers, or updates the contact details of known account numbers: {actor, dry_run, default_language?: of new ones without one, rows: [{row, id, account_no, name, email?, phone?, address?, language?, currency?, tax_number?}]}. What a row does not give stays; an empty text takes it away.';
comment on function public.change_customer(jsonb) is 'Changes a customer''s name and how they are reached; a bill keeps the name that it was issued to: {actor, customer_id, seen: {name, phone, email, address, language, tax_number?} as they were, the same as they are to be, channels?: as set_customer_channels takes them}. EB005 when somebody else changed them meanwhile.';

create or replace view public.account_list WITH (security_invoker='true') AS
 SELECT c.id,
    c.account_no,
    c.name,
    c.address,
    c.email,
    c.phone,
    c.language,
    c.currency,
    COALESCE(a.balance_minor, (0)::bigint) AS balance_minor,
    COALESCE((- d.balance_minor), (0)::bigint) AS deposit_minor,
    COALESCE(u.bills, (0)::bigint) AS open_bills,
    (COALESCE(u.overdue_minor, (0)::numeric))::bigint AS overdue_minor,
    lower(concat_ws(' '::text, c.account_no, c.name, c.address, c.phone)) AS search,
    c.tax_number
   FROM (((public.customers c
     LEFT JOIN public.accounts a ON (((a.customer_id = c.id) AND (a.book = 'account'::text) AND (a.currency = c.currency))))
     LEFT JOIN public.accounts d ON (((d.customer_id = c.id) AND (d.book = 'deposit'::text) AND (d.currency = c.currency))))
     LEFT JOIN LATERAL ( SELECT count(*) AS bills,
            sum((b.total_minor - b.amount_paid_minor)) FILTER (WHERE (b.overdue_since IS NOT NULL)) AS overdue_minor
           FROM public.bills b
          WHERE ((b.customer_id = c.id) AND (b.status = 'issued'::text) AND (b.amount_paid_minor < b.total_minor))) u ON (true));

create or replace view private.export_customers WITH (security_invoker='true') AS
 SELECT c.id,
    c.account_no,
    c.name,
    c.email,
    c.phone,
    c.address,
    c.currency,
    c.language,
    h.whatsapp_opt_in_at,
    c.tax_number
   FROM (public.customers c
     LEFT JOIN public.customer_channels h ON ((h.customer_id = c.id)));

revoke all on function private.credit_note_reference(text, bigint), private.give_credit_notes(), private.without_address(uuid[]),
    public.credit_note_document(jsonb), public.keep_credit_note_document(jsonb), public.utility_settings_version(jsonb),
    public.agreements_without_address(jsonb) from public, anon, authenticated;
grant execute on function private.credit_note_reference(text, bigint), private.give_credit_notes(), private.without_address(uuid[]),
    public.credit_note_document(jsonb), public.keep_credit_note_document(jsonb), public.utility_settings_version(jsonb),
    public.agreements_without_address(jsonb) to service_role;

-- Credit notes go to their customers with the message of the correction, begin at a number of choice, and are found by indexes.

alter table public.letters add column credit_notes uuid[] not null default '{}';
comment on column public.letters.credit_notes is 'The credit notes whose PDFs are printed behind the bills.';

create function private.credit_note_search_text(p_prefix text, p_number bigint, p_customer_name text) returns text
    language plpgsql immutable cost 1000 set search_path = '' as $$
begin
    return lower(concat_ws(' ', private.credit_note_reference(p_prefix, p_number), p_prefix || p_number, p_customer_name));
end $$;
comment on function private.credit_note_search_text(text, bigint, text) is 'What a search of credit notes looks for its words in: the number with and without zeros before it, and the customer''s name as it was then.';
do $$
declare
    v_schema text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm');
begin
    -- Without the extension a search reads the table.
    if v_schema is not null then
        execute format('create index credit_notes_search on public.credit_notes'
                       ' using gin (private.credit_note_search_text(prefix, number, customer_name) %I.gin_trgm_ops)', v_schema);
    end if;
end $$;

create function private.credit_notes_named(p_text text, p_limit integer) returns uuid[]
    language sql stable set search_path = '' as $$
    -- A prefix may end with digits: each tail of the digits may be the number, and the number's index says which is.
    select array(
        select n.id from public.credit_notes n
        where n.number = any (array(
                select right(d.digits, k)::bigint
                from (select substring(p_text from '[0-9]{1,15}$') as digits) d, generate_series(1, length(d.digits)) k))
          and (ltrim(p_text, '0') = n.number::text
               or starts_with(lower(p_text), lower(n.prefix)) and ltrim(substr(p_text, length(n.prefix) + 1), '0') = n.number::text)
        order by n.number limit p_limit)
$$;
comment on function private.credit_notes_named(text, integer) is 'The credit notes whose number a text is, as CN-000117, CN-117 or 117.';

drop view public.credit_note_list;
create view public.credit_note_list with (security_invoker = true) as
select n.id, n.number, private.credit_note_reference(n.prefix, n.number) as reference, n.bill_id, b.number as bill_number,
       n.customer_id, c.account_no, n.customer_name, n.address, n.tax_number, c.language, n.on_date, n.reason, n.currency,
       n.subtotal_minor, n.tax_minor, n.total_minor, n.settings_version, n.created_by, n.created_at,
       r.id as replaced_by_id, r.number as replaced_by_number
from public.credit_notes n
join public.bills b on b.id = n.bill_id
join public.customers c on c.id = n.customer_id
left join public.corrected_bills x on x.void_bill_id = n.bill_id
left join public.bills r on r.id = coalesce(x.new_bill_id, (select y.id from public.bills y where y.replaces_id = n.bill_id));
comment on view public.credit_note_list is 'Credit notes with the bill that each takes back, and the bill in its place where there is one.';
grant select on public.credit_note_list to service_role;

create function public.list_credit_notes(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' as $$
declare
    v_page jsonb;
    v_ids uuid[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('credit_notes', 'n.id', 'n.id', null),
        private.search_source('customers', 'n.customer_id', 'n.customer_id', null)], 'n.bill_id');
begin
    v_page := private.page_by_key(
        p || jsonb_build_object(
            'descending', true, 'backwards', false, 'count_to', 0,
            'after', case when p ->> 'after' is not null
                          then jsonb_build_array(p -> 'after', '00000000-0000-0000-0000-000000000000') end),
        'public.credit_notes n', 'n.id', 'n.number', 'bigint',
        array[
            case when p ->> 'bill_id' is not null then 'n.bill_id = ($1 ->> ''bill_id'')::uuid' end,
            case when p ->> 'customer_id' is not null then 'n.customer_id = ($1 ->> ''customer_id'')::uuid' end,
            case when p ->> 'start' is not null then 'n.on_date >= ($1 ->> ''start'')::date' end,
            case when p ->> 'until' is not null then 'n.on_date < ($1 ->> ''until'')::date' end],
        v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by l.number desc), '[]')
        from public.credit_note_list l where l.id = any (v_ids)));
end $$;
comment on function public.list_credit_notes(jsonb) is 'Credit notes, the last number first: {text?, bill_id?, customer_id?, start?, until?: local dates, after?: a number, limit} -> {rows: of credit_note_list}. Each word of the text is part of the number or the name on the note, of what a search finds its customer by, or the whole number of the bill.';

-- Each as it is now, whatever else changed it.
do $do$
declare
    v record;
    v_text text;
begin
    for v in select * from (values
        (1, 'private.search_source(text,text,text,text)',
$old$            when 'payments' then$old$,
$new$            when 'credit_notes' then 'private.credit_note_search_text(%1$s.prefix, %1$s.number, %1$s.customer_name)'
            when 'payments' then$new$),
        (2, 'public.search(jsonb)',
$old$        'payments', ($old$,
$new$        'credit_notes', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', n.id, 'reference', n.reference, 'customer_name', n.customer_name, 'on_date', n.on_date, 'bill_id', n.bill_id,
                'bill_number', n.bill_number, 'total_minor', n.total_minor, 'currency', n.currency) order by n.number), '[]')
            from public.credit_note_list n
            where n.id = any (private.credit_notes_named(p ->> 'text', v_limit))),
        'payments', ($new$),
        (3, 'private.owe_correction(uuid,jsonb)',
$old$'currency', k.currency),$old$,
$new$'currency', k.currency)
           || coalesce((
               select jsonb_build_object(
                   'credit_notes', string_agg(n.id::text, ' ' order by n.number),
                   'credited', string_agg(private.credit_note_reference(n.prefix, n.number), ', ' order by n.number))
               from public.credit_notes n
               where n.bill_id in (select x.void_bill_id from public.corrected_bills x where x.correction_id = k.id)
               having count(*) > 0), '{}'),$new$),
        (4, 'public.why_unsaid(jsonb)',
$old$            when b.status = 'void' then$old$,
$new$            -- A credit note is a document that the customer gets whatever became of the bills since.
            when x.kind = 'bill_corrected' and exists (
                select 1 from public.outbox o
                where (o.bill_id, o.kind, o.occasion) = (b.id, x.kind, coalesce(p ->> 'occasion', '')) and o.facts ? 'credit_notes') then ''
            when b.status = 'void' then$new$),
        (5, 'public.print_letters(jsonb)',
$old$currency, subject, body, encloses)$old$,
$new$currency, subject, body, encloses, credit_notes)$new$),
        (6, 'public.print_letters(jsonb)',
$old$array(select jsonb_array_elements_text(l -> 'encloses')::uuid)$old$,
$new$array(select jsonb_array_elements_text(l -> 'encloses')::uuid),
               array(select jsonb_array_elements_text(l -> 'credit_notes')::uuid)$new$),
        (7, 'public.save_utility_settings(jsonb)',
$old$    if p ? 'logo' then$old$,
$new$    if v_wanted ? 'first_credit_note_number' then
        -- Whoever voids a bill waits here, or was here before.
        perform 1 from public.counters where name = 'credit_note' for update;
        if exists (select 1 from public.credit_notes) then
            perform private.refuse('EB005', 'Credit notes have numbers already, so the first number stays as it is.');
        end if;
        update public.counters set last_number = coalesce((v_wanted ->> 'first_credit_note_number')::bigint, 1) - 1
        where name = 'credit_note';
    end if;
    if p ? 'logo' then$new$)
    ) as x (place, name, old, new) order by place loop
        v_text := pg_get_functiondef(v.name::regprocedure);
        if position(v.old in v_text) = 0 then
            raise exception 'There is nothing to change in %.', v.name;
        end if;
        execute replace(v_text, v.old, v.new);
    end loop;
end $do$;
comment on function public.search(jsonb) is 'What fits a text: {text, bill_number?, amount_minor?, limit} -> {customers, meters, service_points, bills, credit_notes, payments}, `limit` of each way at most. Customers by parts of account, name, phone, e-mail and address, each word of the text, of which one must have three letters; meters by parts of the serial, also those that were taken out; service points by parts of code and address, or the serial of a meter that is or was there; bills by their number or total; credit notes by their number; payments by their reference, the provider''s id or the amount. The whole serial of a meter also finds who is supplied by it, or was at its end, and its latest bills.';
comment on function public.print_letters(jsonb) is 'Keeps messages as letters that are printed together, each once, whoever prints it: {actor, id: of the batch, today, letters: [{id: of the notification, work_id, customer_name, address, account_no, language, subject, body, encloses, credit_notes}], dropped: [work_id of what needs no letter any more]} -> the batch, or null where all were printed before.';
comment on function public.save_utility_settings(jsonb) is 'Adds a version with some settings changed: {actor, id, settings, seen: those settings as they were, without the missing ones, logo?: {sha256, image in base64}} -> the version. With first_bill_number the next bill has that number, as long as none has one; with first_credit_note_number the next credit note. EB005 when somebody else changed one of them meanwhile.';
comment on function private.owe_correction(uuid, jsonb) is 'The message of a correction is owed: by the last bill made in place of others, else the last one voided, with the numbers of all and the credit notes.';

revoke all on function private.credit_note_search_text(text, bigint, text), private.credit_notes_named(text, integer),
    public.list_credit_notes(jsonb) from public, anon, authenticated;
grant execute on function private.credit_note_search_text(text, bigint, text), private.credit_notes_named(text, integer),
    public.list_credit_notes(jsonb) to service_role;

-- Documents: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.bill_documents (
    bill_id uuid NOT NULL,
    sha256 text NOT NULL,
    pdf bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bill_documents_check CHECK ((encode(sha256(pdf), 'hex'::text) = sha256)),
    CONSTRAINT bill_documents_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);

COMMENT ON TABLE public.bill_documents IS 'The PDF of each bill, rendered once. What comes later (payments, a void) changes nothing of it.';

ALTER TABLE ONLY public.bill_documents
    ADD CONSTRAINT bill_documents_pkey PRIMARY KEY (bill_id);

ALTER TABLE public.bill_documents ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.bill_documents TO service_role;

CREATE TABLE public.credit_notes (
    id uuid NOT NULL,
    number bigint NOT NULL,
    prefix text NOT NULL,
    bill_id uuid NOT NULL,
    entry_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    on_date date NOT NULL,
    reason text NOT NULL,
    currency text NOT NULL,
    subtotal_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    total_minor bigint NOT NULL,
    customer_name text NOT NULL,
    address text NOT NULL,
    tax_number text NOT NULL,
    settings_version integer NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT credit_notes_check CHECK ((total_minor = (subtotal_minor + tax_minor))),
    CONSTRAINT credit_notes_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT credit_notes_number_check CHECK ((number > 0)),
    CONSTRAINT credit_notes_reason_check CHECK ((btrim(reason) <> ''::text))
);

COMMENT ON TABLE public.credit_notes IS 'A document for each issued bill that was voided while the utility gives credit notes: it takes back the whole bill. Numbered without gaps in a series of its own, and never changed.';

COMMENT ON COLUMN public.credit_notes.entry_id IS 'The entry of the ledger that voids the bill.';

COMMENT ON COLUMN public.credit_notes.total_minor IS 'What is credited: what the bill came to. Below 0 where the bill was a credit itself.';

COMMENT ON COLUMN public.credit_notes.customer_name IS 'As it was then, with the address and the tax number.';

COMMENT ON COLUMN public.credit_notes.settings_version IS 'The utility''s settings as they were then.';

ALTER TABLE ONLY public.credit_notes
    ADD CONSTRAINT credit_notes_bill_id_key UNIQUE (bill_id);

ALTER TABLE ONLY public.credit_notes
    ADD CONSTRAINT credit_notes_entry_id_key UNIQUE (entry_id);

ALTER TABLE ONLY public.credit_notes
    ADD CONSTRAINT credit_notes_number_key UNIQUE (number);

ALTER TABLE ONLY public.credit_notes
    ADD CONSTRAINT credit_notes_pkey PRIMARY KEY (id);

CREATE INDEX credit_notes_by_date ON public.credit_notes USING btree (on_date, number);

CREATE INDEX credit_notes_customer ON public.credit_notes USING btree (customer_id, number DESC);

ALTER TABLE public.credit_notes ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.credit_notes TO service_role;

CREATE TABLE public.credit_note_documents (
    credit_note_id uuid NOT NULL,
    sha256 text NOT NULL,
    pdf bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT credit_note_documents_check CHECK ((encode(sha256(pdf), 'hex'::text) = sha256)),
    CONSTRAINT credit_note_documents_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);

COMMENT ON TABLE public.credit_note_documents IS 'The PDF of each credit note, rendered once, when somebody asks for it first.';

ALTER TABLE ONLY public.credit_note_documents
    ADD CONSTRAINT credit_note_documents_pkey PRIMARY KEY (credit_note_id);

ALTER TABLE public.credit_note_documents ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.credit_note_documents TO service_role;

ALTER TABLE ONLY public.bill_documents
    ADD CONSTRAINT bill_documents_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.credit_notes
    ADD CONSTRAINT credit_notes_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.credit_notes
    ADD CONSTRAINT credit_notes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.credit_notes
    ADD CONSTRAINT credit_notes_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES public.ledger_entries(id);

ALTER TABLE ONLY public.credit_note_documents
    ADD CONSTRAINT credit_note_documents_credit_note_id_fkey FOREIGN KEY (credit_note_id) REFERENCES public.credit_notes(id);

CREATE FUNCTION public.keep_bill_document(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.bill_documents (bill_id, sha256, pdf)
    values ((p ->> 'bill_id')::uuid, p ->> 'sha256', decode(p ->> 'pdf', 'base64'))
    on conflict (bill_id) do nothing;
    delete from public.unprinted_bills where bill_id = (p ->> 'bill_id')::uuid;
    return public.bill_document(p);
end $$;

COMMENT ON FUNCTION public.keep_bill_document(p jsonb) IS 'Keeps the PDF of a bill, unless there is one; the one that is kept: {bill_id, sha256, pdf in base64}.';

REVOKE ALL ON FUNCTION public.keep_bill_document(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.keep_bill_document(p jsonb) TO service_role;

CREATE FUNCTION public.bill_document(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select (select jsonb_build_object('sha256', d.sha256, 'pdf', encode(d.pdf, 'base64'), 'created_at', d.created_at)
            from public.bill_documents d where d.bill_id = (p ->> 'bill_id')::uuid)
$$;

COMMENT ON FUNCTION public.bill_document(p jsonb) IS 'The kept PDF of a bill, in base64, or null: {bill_id} -> {sha256, pdf, created_at}.';

REVOKE ALL ON FUNCTION public.bill_document(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bill_document(p jsonb) TO service_role;

CREATE FUNCTION public.bills_to_print(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('bills', coalesce(jsonb_agg(q.id), '[]'))
    from (select exists (select 1 from public.job_runs r where r.job = 'monthly_bills' and r.status = 'running'
                                                          and r.lease_until > now()) as billing) v
    cross join lateral (
        -- Those that could not be printed come after the others, and not more often than hourly.
        (select b.id from public.bills b
         where not v.billing and b.issued_on >= (p ->> 'since')::date and b.number is not null
           and not exists (select 1 from public.bill_documents d where d.bill_id = b.id)
           and not exists (select 1 from public.unprinted_bills u where u.bill_id = b.id)
           -- A link that is still to be made belongs on it, but it does not wait for ever.
           and not exists (select 1 from public.outbox o
                           where o.bill_id = b.id and o.kind = 'bill_issued' and o.status = 'open'
                             and o.steps #>> '{9,status}' = 'pending' and o.created_at > now() - interval '15 minutes')
         order by b.issued_on, b.number limit (p ->> 'limit')::integer)
        union all
        (select u.bill_id from public.unprinted_bills u
         where not v.billing and u.tried_at < now() - interval '1 hour'
         order by u.tried_at, u.bill_id limit (p ->> 'limit')::integer)
        limit (p ->> 'limit')::integer) q
$$;

COMMENT ON FUNCTION public.bills_to_print(p jsonb) IS 'Issued bills without a kept PDF, then those that could not be printed an hour ago or earlier, whenever they were issued; none while a monthly run is at work: {since: local date of issue, limit} -> {bills: [id]}.';

REVOKE ALL ON FUNCTION public.bills_to_print(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bills_to_print(p jsonb) TO service_role;

CREATE FUNCTION public.bill_document_facts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    b public.bills;
    e public.ledger_entries;
    v_before public.ledger_entries;
begin
    select * into b from public.bills where id = (p ->> 'bill_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    elsif b.number is null then
        perform private.refuse('EB005', 'A draft cannot be printed: issue the bill first.');
    end if;
    select * into e from public.ledger_entries where bill_id = b.id and kind = 'bill';
    -- Bills that were issued in the same moment stand beside this one, not before it.
    select l.* into v_before from public.ledger_entries l join public.bills o on o.id = l.bill_id
    where l.customer_id = e.customer_id and l.book = e.book and l.currency = e.currency and l.kind = 'bill'
      and l.entry_no < e.entry_no and o.issued_at < b.issued_at
    order by l.entry_no desc limit 1;
    return jsonb_build_object(
        'bill', private.bill_json(b.id),
        'opening', private.reading_json(b.opening_reading_id),
        'closing', private.reading_json(b.closing_reading_id),
        'tax_number', (select tax_number from public.customers where id = b.customer_id),
        'contract_ends_on', (select a.ends_on from public.service_agreements a where a.id = b.agreement_id),
        'language', (select language from public.customers where id = b.customer_id),
        'replaces', (select number from public.bills where id = b.replaces_id),
        -- That it was planned as the bill was issued, whatever became of it.
        'autopaid', exists (
            select 1 from public.spared_bills s where s.bill_id = b.id and s.reason = 'autopay' and s.since = e.created_at),
        -- The link that was made for it at its issue, whatever link it has by now.
        'payment_url', (select url from public.payment_links where bill_id = b.id order by created_at limit 1),
        'brought_forward_minor', coalesce(v_before.balance_minor, 0),
        'entries', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'kind', l.kind, 'amount_minor', l.amount_minor, 'on', l.on_date,
                'method', coalesce(r.method, y.method, ''), 'reference', coalesce(nullif(r.reference, ''), y.reference, '')
                ) order by l.entry_no), '[]')
            from public.ledger_entries l
            left join public.payments y on y.id = l.payment_id
            left join public.payment_returns r on r.id = l.return_id
            left join public.bills o on o.id = l.bill_id
            where l.customer_id = e.customer_id and l.book = e.book and l.currency = e.currency
              and l.entry_no > coalesce(v_before.entry_no, 0) and l.entry_no < e.entry_no
              and not (l.kind = 'bill' and o.issued_at = b.issued_at)),
        'used_before', (
            select coalesce(jsonb_object_agg(u.month, u.wh), '{}')
            from (select date_trunc('month', o.period_end - 1)::date as month, sum(o.consumption_wh)::bigint as wh
                  from public.bills o
                  join public.ledger_entries l on l.bill_id = o.id and l.kind = 'bill'
                  left join public.ledger_entries x on x.undoes_id = l.id
                  where o.meter_id = b.meter_id and o.id <> b.id and o.period_end <= b.period_start
                    and o.period_end > b.period_end - 400 and o.issued_at <= b.issued_at
                    and (x.id is null or x.created_at > e.created_at)
                  group by 1) u));
end $$;

COMMENT ON FUNCTION public.bill_document_facts(p jsonb) IS 'What a bill prints, as it was when it was issued: {bill_id} -> {bill, opening, closing, autopaid: whether autopay was to pay it, tax_number of the customer, contract_ends_on: null while the agreement has no end, language, replaces, payment_url, brought_forward_minor, entries since the bill before, used_before: {month: Wh}}.';

REVOKE ALL ON FUNCTION public.bill_document_facts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bill_document_facts(p jsonb) TO service_role;

CREATE FUNCTION private.credit_note_reference(p_prefix text, p_number bigint) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select p_prefix || repeat('0', greatest(0, 6 - length(p_number::text))) || p_number
$$;

COMMENT ON FUNCTION private.credit_note_reference(p_prefix text, p_number bigint) IS 'A credit note''s number as people write it.';

REVOKE ALL ON FUNCTION private.credit_note_reference(p_prefix text, p_number bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION private.credit_note_reference(p_prefix text, p_number bigint) TO service_role;

CREATE VIEW public.credit_note_list WITH (security_invoker='true') AS
 SELECT n.id,
    n.number,
    private.credit_note_reference(n.prefix, n.number) AS reference,
    n.bill_id,
    b.number AS bill_number,
    n.customer_id,
    c.account_no,
    n.customer_name,
    n.address,
    n.tax_number,
    c.language,
    n.on_date,
    n.reason,
    n.currency,
    n.subtotal_minor,
    n.tax_minor,
    n.total_minor,
    n.settings_version,
    n.created_by,
    n.created_at,
    r.id AS replaced_by_id,
    r.number AS replaced_by_number
   FROM ((((public.credit_notes n
     JOIN public.bills b ON ((b.id = n.bill_id)))
     JOIN public.customers c ON ((c.id = n.customer_id)))
     LEFT JOIN public.corrected_bills x ON ((x.void_bill_id = n.bill_id)))
     LEFT JOIN public.bills r ON ((r.id = COALESCE(x.new_bill_id, ( SELECT y.id
           FROM public.bills y
          WHERE (y.replaces_id = n.bill_id))))));

COMMENT ON VIEW public.credit_note_list IS 'Credit notes with the bill that each takes back, and the bill in its place where there is one.';

GRANT ALL ON TABLE public.credit_note_list TO service_role;

CREATE FUNCTION public.credit_note_document(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select (select jsonb_build_object('sha256', d.sha256, 'pdf', encode(d.pdf, 'base64'), 'created_at', d.created_at)
            from public.credit_note_documents d where d.credit_note_id = (p ->> 'credit_note_id')::uuid)
$$;

COMMENT ON FUNCTION public.credit_note_document(p jsonb) IS 'The kept PDF of a credit note, in base64, or null: {credit_note_id} -> {sha256, pdf, created_at}.';

REVOKE ALL ON FUNCTION public.credit_note_document(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.credit_note_document(p jsonb) TO service_role;

CREATE FUNCTION public.keep_credit_note_document(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.credit_note_documents (credit_note_id, sha256, pdf)
    values ((p ->> 'credit_note_id')::uuid, p ->> 'sha256', decode(p ->> 'pdf', 'base64'))
    on conflict (credit_note_id) do nothing;
    return public.credit_note_document(p);
end $$;

COMMENT ON FUNCTION public.keep_credit_note_document(p jsonb) IS 'Keeps the PDF of a credit note, unless there is one; the one that is kept: {credit_note_id, sha256, pdf in base64}.';

REVOKE ALL ON FUNCTION public.keep_credit_note_document(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.keep_credit_note_document(p jsonb) TO service_role;

CREATE FUNCTION private.give_credit_notes() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
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
    select private.ordered_id(), v_base + row_number() over (order by n.posting_no),
           coalesce(v_settings.settings ->> 'credit_note_prefix', 'CN-'), n.bill_id, n.id, n.customer_id, n.on_date, n.note,
           n.currency, b.subtotal_minor, b.tax_minor, b.total_minor, c.name, c.address, c.tax_number, v_settings.version, n.actor
    from new_rows n
    join public.bills b on b.id = n.bill_id
    join public.customers c on c.id = n.customer_id
    where n.kind = 'bill_void';
    return null;
end $$;

COMMENT ON FUNCTION private.give_credit_notes() IS 'Gives each voided bill its credit note, in the statement that posts the void, where the utility gives them.';

REVOKE ALL ON FUNCTION private.give_credit_notes() FROM PUBLIC;
GRANT ALL ON FUNCTION private.give_credit_notes() TO service_role;

CREATE FUNCTION public.list_credit_notes(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
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
end $_$;

COMMENT ON FUNCTION public.list_credit_notes(p jsonb) IS 'Credit notes, the last number first: {text?, bill_id?, customer_id?, start?, until?: local dates, after?: a number, limit} -> {rows: of credit_note_list}. Each word of the text is part of the number or the name on the note, of what a search finds its customer by, or the whole number of the bill.';

REVOKE ALL ON FUNCTION public.list_credit_notes(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_credit_notes(p jsonb) TO service_role;

CREATE TRIGGER voids_have_credit_notes AFTER INSERT ON public.ledger_entries REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.give_credit_notes();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.bill_documents FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.bill_documents FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.bill_documents FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.credit_notes FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.credit_notes FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.credit_notes FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.credit_note_documents FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.credit_note_documents FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.credit_note_documents FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

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

ALTER TABLE ONLY public.bill_documents
    ADD CONSTRAINT bill_documents_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

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
        'language', (select language from public.customers where id = b.customer_id),
        'replaces', (select number from public.bills where id = b.replaces_id),
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

COMMENT ON FUNCTION public.bill_document_facts(p jsonb) IS 'What a bill prints, as it was when it was issued: {bill_id} -> {bill, opening, closing, language, replaces, payment_url, brought_forward_minor, entries since the bill before, used_before: {month: Wh}}.';

REVOKE ALL ON FUNCTION public.bill_document_facts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bill_document_facts(p jsonb) TO service_role;

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.bill_documents FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.bill_documents FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.bill_documents FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

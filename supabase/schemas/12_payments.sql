-- Payments: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.payments (
    id uuid NOT NULL,
    bill_id uuid,
    customer_id uuid,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    method text NOT NULL,
    reference text DEFAULT ''::text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    received_on date NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    book text DEFAULT 'account'::text NOT NULL,
    provider_id text,
    recorded_by text DEFAULT ''::text NOT NULL,
    CONSTRAINT payments_amount_minor_check CHECK ((amount_minor > 0)),
    CONSTRAINT payments_book_check CHECK ((book = ANY (ARRAY['account'::text, 'deposit'::text]))),
    CONSTRAINT payments_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT payments_method_check CHECK ((method = ANY (ARRAY['cash'::text, 'cheque'::text, 'bank'::text, 'mobile_money'::text, 'card'::text, 'stripe'::text])))
)
WITH (autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.payments IS 'Money received. Never overwritten: what was wrong is returned. Its allocations say which bills it paid.';

COMMENT ON COLUMN public.payments.bill_id IS 'The bill it was said to be for, if any.';

COMMENT ON COLUMN public.payments.customer_id IS 'Null while nobody knows whose it is; it is then in no account.';

COMMENT ON COLUMN public.payments.provider_id IS 'The payment provider''s own id (Stripe: the payment intent); each is counted once.';

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_provider_id_key UNIQUE (provider_id);

CREATE INDEX payments_bill ON public.payments USING btree (bill_id);

CREATE INDEX payments_by_amount ON public.payments USING btree (amount_minor, id);

CREATE INDEX payments_by_cashier ON public.payments USING btree (recorded_by, created_at) WHERE (method <> 'stripe'::text);

CREATE INDEX payments_by_stripe ON public.payments USING btree (received_at) WHERE (method = 'stripe'::text);

CREATE INDEX payments_customer ON public.payments USING btree (customer_id, received_on DESC, id DESC);

CREATE INDEX payments_of_deposits ON public.payments USING btree (received_on DESC, id DESC) WHERE (book = 'deposit'::text);

CREATE INDEX payments_of_nobody ON public.payments USING btree (received_on DESC, id DESC) WHERE (customer_id IS NULL);

CREATE INDEX payments_recent ON public.payments USING btree (received_on DESC, id DESC);

ALTER TABLE public.payments ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.payments TO service_role;

CREATE TABLE public.payment_returns (
    id uuid NOT NULL,
    payment_id uuid,
    customer_id uuid,
    book text DEFAULT 'account'::text NOT NULL,
    kind text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    method text NOT NULL,
    reference text DEFAULT ''::text NOT NULL,
    reason text NOT NULL,
    status text NOT NULL,
    provider_id text,
    on_date date NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT payment_returns_amount_minor_check CHECK ((amount_minor > 0)),
    CONSTRAINT payment_returns_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT payment_returns_book_check CHECK ((book = ANY (ARRAY['account'::text, 'deposit'::text]))),
    CONSTRAINT payment_returns_check CHECK (((kind = 'payout'::text) = (payment_id IS NULL))),
    CONSTRAINT payment_returns_check1 CHECK (((status <> 'pending'::text) OR (method = 'stripe'::text))),
    CONSTRAINT payment_returns_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT payment_returns_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT payment_returns_kind_check CHECK ((kind = ANY (ARRAY['refund'::text, 'reversal'::text, 'dispute'::text, 'payout'::text]))),
    CONSTRAINT payment_returns_method_check CHECK ((method = ANY (ARRAY['cash'::text, 'cheque'::text, 'bank'::text, 'mobile_money'::text, 'card'::text, 'stripe'::text]))),
    CONSTRAINT payment_returns_reason_check CHECK ((btrim(reason) <> ''::text)),
    CONSTRAINT payment_returns_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'done'::text, 'failed'::text, 'undone'::text])))
);

COMMENT ON TABLE public.payment_returns IS 'Money that went back: a refund, a payment entered wrongly or bounced (reversal), a lost or open dispute, a credit paid out.';

COMMENT ON COLUMN public.payment_returns.status IS 'pending: asked of the payment provider, and held back from other refunds. failed: never left. undone: left and came back.';

COMMENT ON COLUMN public.payment_returns.provider_id IS 'The payment provider''s own id of the refund or dispute.';

ALTER TABLE ONLY public.payment_returns
    ADD CONSTRAINT payment_returns_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.payment_returns
    ADD CONSTRAINT payment_returns_provider_id_key UNIQUE (provider_id);

CREATE INDEX payment_returns_by_cashier ON public.payment_returns USING btree (created_by, created_at) WHERE (method <> 'stripe'::text);

CREATE INDEX payment_returns_given ON public.payment_returns USING btree (customer_id, created_at) WHERE (kind = ANY (ARRAY['refund'::text, 'payout'::text]));

CREATE INDEX payment_returns_of_customer ON public.payment_returns USING btree (customer_id) WHERE (status = 'pending'::text);

CREATE INDEX payment_returns_of_nobody ON public.payment_returns USING btree (on_date) WHERE (customer_id IS NULL);

CREATE INDEX payment_returns_payment ON public.payment_returns USING btree (payment_id);

CREATE INDEX payment_returns_pending ON public.payment_returns USING btree (next_attempt_at) WHERE (status = 'pending'::text);

ALTER TABLE public.payment_returns ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.payment_returns TO service_role;

CREATE TABLE public.payment_flags (
    payment_id uuid NOT NULL,
    reason text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    raised_at timestamp with time zone DEFAULT now() NOT NULL,
    resolved_at timestamp with time zone,
    resolved_by text,
    resolution text,
    CONSTRAINT payment_flags_check CHECK (((resolved_at IS NULL) = (resolved_by IS NULL))),
    CONSTRAINT payment_flags_reason_check CHECK ((reason = ANY (ARRAY['amount_differs'::text, 'currency_differs'::text, 'bill_void'::text, 'bill_not_issued'::text, 'unknown_bill'::text, 'already_paid'::text, 'disputed'::text, 'reference_repeated'::text])))
);

COMMENT ON TABLE public.payment_flags IS 'What a person must look at about a payment; the money is counted all the same.';

ALTER TABLE ONLY public.payment_flags
    ADD CONSTRAINT payment_flags_pkey PRIMARY KEY (payment_id, reason);

CREATE INDEX payment_flags_open ON public.payment_flags USING btree (raised_at) WHERE (resolved_at IS NULL);

ALTER TABLE public.payment_flags ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.payment_flags TO service_role;

CREATE TABLE public.past_payments (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    method text DEFAULT ''::text NOT NULL,
    reference text DEFAULT ''::text NOT NULL,
    received_on date NOT NULL,
    imported_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT past_payments_amount_minor_check CHECK ((amount_minor > 0)),
    CONSTRAINT past_payments_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT past_payments_imported_by_check CHECK ((imported_by <> ''::text))
);

COMMENT ON TABLE public.past_payments IS 'Payments that another system took before this one: to be looked at. They are in no ledger and pay nothing; what they left open is the opening balance.';

ALTER TABLE ONLY public.past_payments
    ADD CONSTRAINT past_payments_pkey PRIMARY KEY (id);

CREATE INDEX past_payments_of_customer ON public.past_payments USING btree (customer_id, received_on DESC, id);

ALTER TABLE public.past_payments ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.past_payments TO service_role;

CREATE TABLE public.bank_lines (
    id uuid NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    booked_on date NOT NULL,
    booked_at timestamp with time zone NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    reference text DEFAULT ''::text NOT NULL,
    payer text DEFAULT ''::text NOT NULL,
    bank_reference text DEFAULT ''::text NOT NULL,
    status text NOT NULL,
    matched_by text,
    why text,
    detail text DEFAULT ''::text NOT NULL,
    expected_minor bigint,
    payment_id uuid,
    decided_by text,
    decided_at timestamp with time zone,
    reason text DEFAULT ''::text NOT NULL,
    imported_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bank_lines_check CHECK (((status = 'matched'::text) = (payment_id IS NOT NULL))),
    CONSTRAINT bank_lines_check1 CHECK (((status = 'matched'::text) = (matched_by IS NOT NULL))),
    CONSTRAINT bank_lines_check2 CHECK (((status <> 'set_aside'::text) OR (btrim(reason) <> ''::text))),
    CONSTRAINT bank_lines_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT bank_lines_imported_by_check CHECK ((imported_by <> ''::text)),
    CONSTRAINT bank_lines_matched_by_check CHECK ((matched_by = ANY (ARRAY['bill'::text, 'account'::text, 'meter'::text, 'person'::text]))),
    CONSTRAINT bank_lines_status_check CHECK ((status = ANY (ARRAY['matched'::text, 'open'::text, 'set_aside'::text, 'out'::text]))),
    CONSTRAINT bank_lines_why_check CHECK ((why = ANY (ARRAY['no_reference'::text, 'several'::text, 'other_currency'::text, 'not_payable'::text, 'entered_already'::text])))
);

COMMENT ON TABLE public.bank_lines IS 'The lines of bank statements, each once, with what became of it.';

COMMENT ON COLUMN public.bank_lines.account IS 'The utility''s account at the bank, as the file names it; empty where it does not.';

COMMENT ON COLUMN public.bank_lines.amount_minor IS 'Above 0 came in; what left the account is kept to be looked at (status out).';

COMMENT ON COLUMN public.bank_lines.reference IS 'What the payer wrote.';

COMMENT ON COLUMN public.bank_lines.bank_reference IS 'The bank''s own id of the line, if it has one: the line is known by it in every file.';

COMMENT ON COLUMN public.bank_lines.matched_by IS 'What named the payer: the number of a bill, an account or a meter in the text, or a person.';

COMMENT ON COLUMN public.bank_lines.why IS 'Why nobody was matched.';

COMMENT ON COLUMN public.bank_lines.expected_minor IS 'What was open of the bill, or owed on the account, when the line was matched.';

ALTER TABLE ONLY public.bank_lines
    ADD CONSTRAINT bank_lines_pkey PRIMARY KEY (id);

CREATE INDEX bank_lines_account ON public.bank_lines USING btree (account);

CREATE INDEX bank_lines_by_day ON public.bank_lines USING btree (booked_on DESC, id DESC);

CREATE INDEX bank_lines_open ON public.bank_lines USING btree (booked_on, id) WHERE (status = 'open'::text);

CREATE INDEX bank_lines_payment ON public.bank_lines USING btree (payment_id);

ALTER TABLE public.bank_lines ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.bank_lines TO service_role;

CREATE TABLE public.suspense_entries (
    posting_no bigint DEFAULT nextval('public.posting_no'::regclass) NOT NULL,
    kind text NOT NULL,
    payment_id uuid NOT NULL,
    return_id uuid,
    currency text NOT NULL,
    method text NOT NULL,
    amount_minor bigint NOT NULL,
    on_date date NOT NULL,
    actor text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT suspense_entries_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT suspense_entries_amount_minor_check CHECK ((amount_minor <> 0)),
    CONSTRAINT suspense_entries_check CHECK (((kind = ANY (ARRAY['payment'::text, 'return_undone'::text])) = (amount_minor < 0))),
    CONSTRAINT suspense_entries_check1 CHECK (((kind = ANY (ARRAY['return'::text, 'return_undone'::text])) = (return_id IS NOT NULL))),
    CONSTRAINT suspense_entries_kind_check CHECK ((kind = ANY (ARRAY['payment'::text, 'assigned'::text, 'return'::text, 'return_undone'::text])))
);

COMMENT ON TABLE public.suspense_entries IS 'Money received of nobody known, until it is assigned to an account or goes back: below 0 is held. Never changed.';

COMMENT ON COLUMN public.suspense_entries.on_date IS 'Local date it counts for; in a month that is closed, the first day that is open instead.';

ALTER TABLE ONLY public.suspense_entries
    ADD CONSTRAINT suspense_entries_pkey PRIMARY KEY (posting_no);

CREATE UNIQUE INDEX suspense_entries_of_payments ON public.suspense_entries USING btree (payment_id, kind) WHERE (return_id IS NULL);

CREATE UNIQUE INDEX suspense_entries_of_returns ON public.suspense_entries USING btree (return_id, kind) WHERE (return_id IS NOT NULL);

CREATE UNIQUE INDEX suspense_entries_posted ON public.suspense_entries USING btree (on_date, posting_no);

ALTER TABLE public.suspense_entries ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.suspense_entries TO service_role;

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.payment_returns
    ADD CONSTRAINT payment_returns_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.payment_returns
    ADD CONSTRAINT payment_returns_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments(id);

ALTER TABLE ONLY public.payment_flags
    ADD CONSTRAINT payment_flags_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments(id);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments(id);

ALTER TABLE ONLY public.ledger_entries
    ADD CONSTRAINT ledger_entries_return_id_fkey FOREIGN KEY (return_id) REFERENCES public.payment_returns(id);

ALTER TABLE ONLY public.past_payments
    ADD CONSTRAINT past_payments_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.bank_lines
    ADD CONSTRAINT bank_lines_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments(id);

ALTER TABLE ONLY public.suspense_entries
    ADD CONSTRAINT suspense_entries_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments(id);

ALTER TABLE ONLY public.suspense_entries
    ADD CONSTRAINT suspense_entries_return_id_fkey FOREIGN KEY (return_id) REFERENCES public.payment_returns(id);

CREATE VIEW public.ledger_list WITH (security_invoker='true') AS
 SELECT e.id,
    e.customer_id,
    c.account_no,
    e.book,
    e.currency,
    e.entry_no,
    e.kind,
    e.amount_minor,
    e.balance_minor,
    COALESCE(o.open_minor, (0)::bigint) AS open_minor,
    e.bill_id,
    b.number AS bill_number,
    b.period_start,
    b.period_end,
    e.payment_id,
    COALESCE(r.method, y.method) AS method,
    COALESCE(NULLIF(r.reference, ''::text), y.reference) AS reference,
    e.return_id,
    e.undoes_id,
    (EXISTS ( SELECT 1
           FROM public.ledger_entries u
          WHERE (u.undoes_id = e.id))) AS undone,
    e.on_date,
    e.note,
    e.actor,
    e.created_at
   FROM (((((public.ledger_entries e
     JOIN public.customers c ON ((c.id = e.customer_id)))
     LEFT JOIN public.open_items o ON ((o.entry_id = e.id)))
     LEFT JOIN public.bills b ON ((b.id = e.bill_id)))
     LEFT JOIN public.payments y ON ((y.id = e.payment_id)))
     LEFT JOIN public.payment_returns r ON ((r.id = e.return_id)));

COMMENT ON VIEW public.ledger_list IS 'The statement of accounts: each entry with the balance after it and what of it is open.';

GRANT SELECT ON TABLE public.ledger_list TO service_role;

CREATE VIEW public.payment_flag_list WITH (security_invoker='true') AS
 SELECT f.payment_id,
    f.reason,
    f.detail,
    f.raised_at,
    f.resolved_at,
    f.resolved_by,
    f.resolution,
    y.amount_minor,
    y.currency,
    y.received_on,
    c.account_no
   FROM ((public.payment_flags f
     JOIN public.payments y ON ((y.id = f.payment_id)))
     LEFT JOIN public.customers c ON ((c.id = y.customer_id)));

GRANT SELECT ON TABLE public.payment_flag_list TO service_role;

CREATE VIEW public.return_list WITH (security_invoker='true') AS
 SELECT r.id,
    r.payment_id,
    y.provider_id AS payment_provider_id,
    r.customer_id,
    c.account_no,
    r.book,
    r.kind,
    r.amount_minor,
    r.currency,
    r.method,
    r.reference,
    r.reason,
    r.status,
    r.provider_id,
    r.on_date,
    r.attempts,
    r.next_attempt_at,
    r.error,
    r.created_by,
    r.created_at
   FROM ((public.payment_returns r
     LEFT JOIN public.payments y ON ((y.id = r.payment_id)))
     LEFT JOIN public.customers c ON ((c.id = r.customer_id)));

GRANT SELECT ON TABLE public.return_list TO service_role;

CREATE VIEW public.bank_line_list WITH (security_invoker='true') AS
 SELECT l.id,
    l.account,
    l.booked_on,
    l.amount_minor,
    l.currency,
    l.reference,
    l.payer,
    l.bank_reference,
    l.status,
    l.matched_by,
    l.why,
    l.detail,
    l.expected_minor,
    l.payment_id,
    l.decided_by,
    l.decided_at,
    l.reason,
    l.imported_by,
    l.created_at,
    y.customer_id,
    c.account_no,
    c.name AS customer_name,
    b.number AS bill_number
   FROM (((public.bank_lines l
     LEFT JOIN public.payments y ON ((y.id = l.payment_id)))
     LEFT JOIN public.customers c ON ((c.id = y.customer_id)))
     LEFT JOIN public.bills b ON ((b.id = y.bill_id)));

COMMENT ON VIEW public.bank_line_list IS 'Lines of bank statements with the payment that each became.';

GRANT SELECT ON TABLE public.bank_line_list TO service_role;

CREATE FUNCTION public.resolve_payment_flag(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    perform private.resolve_flag((p ->> 'payment_id')::uuid, p ->> 'reason', p ->> 'resolution');
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.resolve_payment_flag(p jsonb) IS 'A person has looked at it: {actor, payment_id, reason? (all without it), resolution}.';

REVOKE ALL ON FUNCTION public.resolve_payment_flag(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.resolve_payment_flag(p jsonb) TO service_role;

CREATE FUNCTION private.invoice_reference(p_number bigint) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select 'INV-' || repeat('0', greatest(0, 6 - length(p_number::text))) || p_number
$$;

COMMENT ON FUNCTION private.invoice_reference(p_number bigint) IS 'A bill''s number as people write it, which is also the reference for paying at the office.';

REVOKE ALL ON FUNCTION private.invoice_reference(p_number bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION private.invoice_reference(p_number bigint) TO service_role;

CREATE VIEW public.notification_list WITH (security_invoker='true') AS
 SELECT n.id,
    n.bill_id,
    b.number AS bill_number,
    c.account_no,
    n.kind,
    n.channel,
        CASE
            WHEN ((n.status = ANY (ARRAY['waiting'::text, 'sending'::text])) AND (COALESCE(o.status, a.status) <> 'open'::text)) THEN 'given_up'::text
            ELSE n.status
        END AS status,
    n.attempts,
    n.recipient,
    n.body,
    n.error,
    n.message_id,
    n.created_at,
    n.updated_at,
    COALESCE(o.id, a.id) AS owed_id,
    COALESCE(o.status, a.status) AS owed_status,
    lower(concat_ws(' '::text, private.invoice_reference(b.number), c.account_no)) AS search,
    n.occasion,
    n.customer_id,
    n.life
   FROM ((((public.notifications n
     LEFT JOIN public.bills b ON ((b.id = n.bill_id)))
     LEFT JOIN public.customers c ON ((c.id = n.customer_id)))
     LEFT JOIN public.outbox o ON (((o.bill_id = n.bill_id) AND (o.kind = n.kind) AND (o.occasion = n.occasion))))
     LEFT JOIN public.outbox a ON (((n.bill_id IS NULL) AND (a.bill_id IS NULL) AND (a.customer_id = n.customer_id) AND (a.kind = n.kind) AND (a.occasion = n.occasion))));

COMMENT ON VIEW public.notification_list IS 'Messages by bill, occasion and channel, each with the owed work that it belongs to.';

GRANT SELECT,INSERT,REFERENCES,DELETE,TRUNCATE,MAINTAIN,UPDATE ON TABLE public.notification_list TO service_role;

CREATE VIEW public.payment_list WITH (security_invoker='true') AS
 SELECT y.id,
    y.bill_id,
    b.number AS bill_number,
    y.customer_id,
    c.account_no,
    c.name AS customer_name,
    y.amount_minor,
    y.currency,
    y.method,
    y.reference,
    y.received_at,
    y.received_on,
    y.book,
    y.provider_id,
    y.recorded_by,
    y.created_at,
    e.id AS entry_id,
    COALESCE((- o.open_minor), (0)::bigint) AS open_minor,
    (COALESCE(r.returned_minor, (0)::numeric))::bigint AS returned_minor,
    (COALESCE(r.pending_minor, (0)::numeric))::bigint AS pending_minor,
    COALESCE(f.flags, '{}'::text[]) AS flags,
        CASE
            WHEN (y.customer_id IS NULL) THEN 'unidentified'::text
            WHEN (COALESCE(r.returned_minor, (0)::numeric) >= (y.amount_minor)::numeric) THEN 'returned'::text
            WHEN (y.book = 'deposit'::text) THEN 'deposit'::text
            WHEN (COALESCE((- o.open_minor), (0)::bigint) = 0) THEN 'applied'::text
            WHEN ((- o.open_minor) = y.amount_minor) THEN 'unapplied'::text
            ELSE 'partly_applied'::text
        END AS status,
    lower(concat_ws(' '::text, private.invoice_reference(b.number), c.account_no, c.name, y.reference, y.provider_id)) AS search,
    (COALESCE(w.spent_minor, (0)::numeric))::bigint AS spent_minor
   FROM (((((((public.payments y
     LEFT JOIN public.bills b ON ((b.id = y.bill_id)))
     LEFT JOIN public.customers c ON ((c.id = y.customer_id)))
     LEFT JOIN public.ledger_entries e ON (((e.payment_id = y.id) AND (e.kind = 'payment'::text))))
     LEFT JOIN public.open_items o ON ((o.entry_id = e.id)))
     LEFT JOIN LATERAL ( SELECT sum(x.amount_minor) FILTER (WHERE (x.status = 'done'::text)) AS returned_minor,
            sum(x.amount_minor) FILTER (WHERE (x.status = 'pending'::text)) AS pending_minor
           FROM public.payment_returns x
          WHERE (x.payment_id = y.id)) r ON (true))
     LEFT JOIN LATERAL ( SELECT array_agg(g.reason ORDER BY g.reason) AS flags
           FROM public.payment_flags g
          WHERE ((g.payment_id = y.id) AND (g.resolved_at IS NULL))) f ON (true))
     LEFT JOIN LATERAL ( SELECT sum(a.amount_minor) AS spent_minor
           FROM (public.allocations a
             JOIN public.ledger_entries d ON ((d.id = a.debit_entry_id)))
          WHERE ((a.credit_entry_id = e.id) AND (d.kind = ANY (ARRAY['payout'::text, 'deposit_used'::text])))) w ON (true));

COMMENT ON VIEW public.payment_list IS 'Payments with what is left of each, what went back, and the flags that nobody has looked at.';

COMMENT ON COLUMN public.payment_list.spent_minor IS 'Paid out as credit, or used of a deposit: it cannot go back as a refund as well.';

GRANT SELECT ON TABLE public.payment_list TO service_role;

CREATE FUNCTION private.raise_flag(p_payment_id uuid, p_reason text, p_detail text) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.payment_flags as f (payment_id, reason, detail) values (p_payment_id, p_reason, p_detail)
    on conflict (payment_id, reason) do update
    set detail = excluded.detail, raised_at = now(), resolved_at = null, resolved_by = null, resolution = null
$$;

COMMENT ON FUNCTION private.raise_flag(p_payment_id uuid, p_reason text, p_detail text) IS 'Asks a person to look at a payment, anew if they did before.';

REVOKE ALL ON FUNCTION private.raise_flag(p_payment_id uuid, p_reason text, p_detail text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.raise_flag(p_payment_id uuid, p_reason text, p_detail text) TO service_role;

CREATE FUNCTION private.guard_return() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_may constant text[] := array['status', 'provider_id', 'attempts', 'next_attempt_at', 'error', 'on_date'];
begin
    if to_jsonb(new) - v_may <> to_jsonb(old) - v_may
       or (new.on_date <> old.on_date and old.status <> 'pending')
       or (new.provider_id is distinct from old.provider_id and old.provider_id is not null)
       or (new.status <> old.status and not (
            (old.status = 'pending' and new.status in ('done', 'failed')) or (old.status = 'done' and new.status = 'undone'))) then
        raise exception using errcode = 'EB005', message = 'What went back is never overwritten.';
    end if;
    return new;
end $$;

REVOKE ALL ON FUNCTION private.guard_return() FROM PUBLIC;
GRANT ALL ON FUNCTION private.guard_return() TO service_role;

CREATE FUNCTION private.refuse_payment_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if old.customer_id is null and to_jsonb(new) - array['customer_id', 'bill_id'] = to_jsonb(old) - array['customer_id', 'bill_id'] then
        return new;
    end if;
    raise exception using errcode = 'EB005', message = 'A payment is never overwritten.';
end $$;

REVOKE ALL ON FUNCTION private.refuse_payment_change() FROM PUBLIC;
GRANT ALL ON FUNCTION private.refuse_payment_change() TO service_role;

CREATE FUNCTION private.flag_repeated(p_payments uuid[]) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.payment_flags (payment_id, reason, detail)
    select y.id, 'reference_repeated', format('The reference %s is booked already, to %s on %s.', y.reference,
           coalesce('account ' || c.account_no, 'nobody known'), s.received_on)
    from public.payments y
    cross join lateral private.repeats(y) s
    left join public.customers c on c.id = s.customer_id
    where y.id = any (p_payments) and s.id is not null
    on conflict (payment_id, reason) do nothing
$$;

COMMENT ON FUNCTION private.flag_repeated(p_payments uuid[]) IS 'Where nobody can be asked whether a payment is another one, a person looks at it afterwards.';

REVOKE ALL ON FUNCTION private.flag_repeated(p_payments uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.flag_repeated(p_payments uuid[]) TO service_role;

CREATE FUNCTION private.reference_key(p_reference text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select upper(regexp_replace(p_reference, '[^[:alnum:]]', '', 'g'))
$$;

COMMENT ON FUNCTION private.reference_key(p_reference text) IS 'A reference without its spaces, signs and case: what two people may write differently.';

CREATE INDEX payments_reference ON public.payments USING btree (private.reference_key(reference)) WHERE (reference <> ''::text);

REVOKE ALL ON FUNCTION private.reference_key(p_reference text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.reference_key(p_reference text) TO service_role;

CREATE FUNCTION private.undo_return(r public.payment_returns, p_on date, p_note text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.payment_returns set status = 'undone', error = p_note where id = r.id;
    perform private.release_spared('return ' || r.id, p_note);
    if r.customer_id is not null then
        perform private.undo_entry(e.id, 'return_undone', p_on, p_note)
        from public.ledger_entries e where e.return_id = r.id and e.kind = r.kind;
        perform private.settle(array[r.customer_id]);
    end if;
end $$;

COMMENT ON FUNCTION private.undo_return(r public.payment_returns, p_on date, p_note text) IS 'Money that had gone back came again: a refund that failed later, a dispute that was won.';

REVOKE ALL ON FUNCTION private.undo_return(r public.payment_returns, p_on date, p_note text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.undo_return(r public.payment_returns, p_on date, p_note text) TO service_role;

CREATE FUNCTION public.assign_payment(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    y public.payments;
    b public.bills;
    v_customer uuid;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into b from public.bills where id = (p ->> 'bill_id')::uuid;
    v_customer := coalesce((p ->> 'customer_id')::uuid, b.customer_id);
    if v_customer is null or not exists (select 1 from public.customers where id = v_customer) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    perform private.lock_customers(array[v_customer]);
    select * into y from public.payments where id = (p ->> 'payment_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such payment.');
    elsif y.customer_id = v_customer then
        return '{}'::jsonb;
    elsif y.customer_id is not null then
        perform private.refuse('EB005', 'This payment is in an account already: reverse it there and enter it here.');
    elsif exists (select 1 from public.payment_returns where payment_id = y.id and status in ('pending', 'done')) then
        perform private.refuse('EB005', 'This payment went back already.');
    end if;
    update public.payments set customer_id = v_customer, bill_id = b.id where id = y.id returning * into y;
    perform private.post_payments(array[y.id], 'oldest');
    perform private.owe_thanks(y.id, p #> '{owed,payment_received}');
    perform private.resolve_flag(y.id, 'unknown_bill', format('Assigned to account %s.',
        (select account_no from public.customers where id = v_customer)));
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.assign_payment(p jsonb) IS 'Says whose a payment of nobody known is: {actor, payment_id, customer_id or bill_id, owed?}.';

REVOKE ALL ON FUNCTION public.assign_payment(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.assign_payment(p jsonb) TO service_role;

CREATE FUNCTION public.record_desk_payment(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    x constant jsonb := p -> 'payment';
    v_key constant text := private.reference_key(coalesce(x ->> 'reference', ''));
    v_on constant date := (x ->> 'received_on')::date;
    v_alike uuid[] := '{}';
begin
    perform private.set_actor(p);
    -- Shared with other desks, not with whoever records many at once.
    perform pg_advisory_xact_lock_shared(hashtextextended('payment references', 0));
    -- Two desks that book the same at one moment must not both find that the other has not.
    perform pg_advisory_xact_lock(hashtextextended('payment '
        || case when v_key <> '' then v_key else (x ->> 'method') || ' ' || (x ->> 'customer_id') end, 0));
    if not coalesce((p ->> 'confirmed')::boolean, false) then
        -- Found first, and looked at then: with a reference that many have, the last ones.
        v_alike := array(
            with found as materialized (
                select s.id, s.received_on from public.payments s
                where v_key <> '' and s.reference <> '' and private.reference_key(s.reference) = v_key
                  and private.one_reference(s.method, x ->> 'method')
                union
                select s.id, s.received_on from public.payments s
                where s.customer_id = (x ->> 'customer_id')::uuid and s.amount_minor = (x ->> 'amount_minor')::bigint
                  and s.method = x ->> 'method' and private.reference_key(s.reference) = v_key
                  and s.received_on between v_on - 2 and v_on + 2
            ), last as materialized (
                -- A second click may find what the first has just stored.
                select f.id, f.received_on from found f where f.id <> (x ->> 'id')::uuid order by f.received_on desc, f.id limit 100
            )
            -- What went back whole is entered again rightly.
            select z.id from last z where private.payment_status(z.id) <> 'returned'
            order by z.received_on desc, z.id limit 10);
    end if;
    if v_alike <> '{}' then
        return jsonb_build_object('recorded', 0, 'alike', to_jsonb(v_alike));
    end if;
    return public.record_payments(jsonb_build_object(
        'actor', p ->> 'actor', 'owed', p -> 'owed', 'payments', jsonb_build_array(x), 'confirmed', true)) || jsonb_build_object('alike', '[]'::jsonb);
end $$;

COMMENT ON FUNCTION public.record_desk_payment(p jsonb) IS 'Records a payment that a person enters, unless one is there that it may repeat and that is not confirmed: with the same reference by the same method of whichever customer, or of this customer the same amount within two days: {actor, payment, confirmed?, owed?} -> {recorded, alike: [payment id]}.';

REVOKE ALL ON FUNCTION public.record_desk_payment(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_desk_payment(p jsonb) TO service_role;

CREATE FUNCTION public.record_payments(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_apply text;
    v_new uuid[];
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    if not coalesce((p ->> 'confirmed')::boolean, false) then
        perform pg_advisory_xact_lock(hashtextextended('payment references', 0));
    end if;
    perform private.lock_customers(array(
        select coalesce((x ->> 'customer_id')::uuid, b.customer_id)
        from jsonb_array_elements(p -> 'payments') x left join public.bills b on b.id = (x ->> 'bill_id')::uuid));
    -- A repeat of the call counts nothing twice, whatever became of the bill meanwhile.
    perform private.check_payment(x) from jsonb_array_elements(p -> 'payments') x
    where not exists (select 1 from public.payments where id = (x ->> 'id')::uuid);
    v_new := private.store_payments(p -> 'payments');
    foreach v_apply in array array['oldest', 'bill', 'none'] loop
        perform private.post_payments(f.ids, v_apply)
        from (select array_agg(i.id order by i.place) as ids
              from unnest(v_new) with ordinality as i(id, place)
              where v_apply = coalesce((select x ->> 'apply' from jsonb_array_elements(p -> 'payments') x
                                        where (x ->> 'id')::uuid = i.id limit 1), 'oldest')) f
        where f.ids is not null;
    end loop;
    if p #> '{owed,payment_received}' is not null then
        perform private.owe_thanks(i.id, p #> '{owed,payment_received}') from unnest(v_new) as i(id);
    end if;
    if not coalesce((p ->> 'confirmed')::boolean, false) then
        perform private.flag_repeated(v_new);
    end if;
    return jsonb_build_object('recorded', cardinality(v_new));
end $$;

COMMENT ON FUNCTION public.record_payments(p jsonb) IS 'Stores payments and lets them pay, all or none: {actor, owed?: {payment_received, balance_changed}, confirmed?, payments: [{id, bill_id? or customer_id?, amount_minor, currency, method, reference, received_at, received_on, book?, apply?: oldest|bill|none}]}. What is more than the bill named pays the oldest that is open, and what is left stays on the account. Unless it is confirmed, one whose reference is booked already is flagged.';

REVOKE ALL ON FUNCTION public.record_payments(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_payments(p jsonb) TO service_role;

CREATE FUNCTION public.use_deposit(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_customer uuid := (p ->> 'customer_id')::uuid;
    v_amount bigint := (p ->> 'amount_minor')::bigint;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_customers(array[v_customer]);
    if exists (select 1 from public.ledger_entries where id = (p ->> 'id')::uuid) then
        return '{}'::jsonb;
    elsif v_amount <= 0 or private.open_credit(v_customer, 'deposit', p ->> 'currency') < v_amount then
        perform private.refuse('EB005', 'There is not so much deposit held.');
    end if;
    perform private.post_entries(jsonb_build_array(
        jsonb_build_object('id', p ->> 'id', 'customer_id', v_customer, 'book', 'deposit', 'currency', p ->> 'currency',
                           'kind', 'deposit_used', 'amount_minor', v_amount, 'on_date', p ->> 'on_date', 'note', p ->> 'note'),
        jsonb_build_object('customer_id', v_customer, 'currency', p ->> 'currency', 'kind', 'deposit_used',
                           'amount_minor', -v_amount, 'on_date', p ->> 'on_date', 'note', p ->> 'note')));
    perform private.pay_from_credit((p ->> 'id')::uuid);
    perform private.settle(array[v_customer]);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.use_deposit(p jsonb) IS 'Lets a deposit that is held pay what is open: {actor, id, customer_id, currency, amount_minor, note, on_date, owed?}.';

REVOKE ALL ON FUNCTION public.use_deposit(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_deposit(p jsonb) TO service_role;

CREATE FUNCTION public.end_return(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.payment_returns;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into r from public.payment_returns where id = (p ->> 'id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such refund.');
    end if;
    perform private.lock_customers(array[r.customer_id]);
    select * into r from public.payment_returns where id = r.id for update;
    if r.status = 'pending' then
        update public.payment_returns
        set status = p ->> 'status', attempts = attempts + 1, error = coalesce(p ->> 'error', ''),
            provider_id = coalesce(provider_id, p ->> 'provider_id'), on_date = coalesce((p ->> 'on_date')::date, on_date),
            next_attempt_at = now() + make_interval(secs => coalesce((p ->> 'retry_in_seconds')::integer, 0))
        where id = r.id returning * into r;
        if r.status = 'done' then
            perform private.post_return(r);
        end if;
    elsif r.provider_id is null and p ->> 'provider_id' is not null and r.status = 'done' then
        update public.payment_returns set provider_id = p ->> 'provider_id' where id = r.id returning * into r;
    end if;
    return to_jsonb(r);
end $$;

COMMENT ON FUNCTION public.end_return(p jsonb) IS 'What became of a refund asked of Stripe: {actor, id, status: done|failed|pending (later again), provider_id?, error?, on_date?, retry_in_seconds?, owed?} -> the row. One that is over is left as it is.';

REVOKE ALL ON FUNCTION public.end_return(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_return(p jsonb) TO service_role;

CREATE FUNCTION private.resolve_flag(p_payment_id uuid, p_reason text, p_resolution text) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    update public.payment_flags
    set resolved_at = now(), resolved_by = current_setting('billing.actor'), resolution = p_resolution
    where payment_id = p_payment_id and resolved_at is null and (p_reason is null or reason = p_reason)
$$;

REVOKE ALL ON FUNCTION private.resolve_flag(p_payment_id uuid, p_reason text, p_resolution text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.resolve_flag(p_payment_id uuid, p_reason text, p_resolution text) TO service_role;

CREATE FUNCTION private.left_of_payment(p_payment_id uuid) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select case y.book when 'deposit' then private.open_credit(y.customer_id, y.book, y.currency)
        else -o.open_minor + coalesce((
            select sum(a.amount_minor) from public.allocations a
            join public.ledger_entries d on d.id = a.debit_entry_id and d.kind in ('bill', 'fee', 'opening_balance')
            where a.credit_entry_id = e.id), 0)::bigint end
    from public.payments y
    join public.ledger_entries e on e.payment_id = y.id and e.kind = 'payment'
    join public.open_items o on o.entry_id = e.id
    where y.id = p_payment_id
$$;

COMMENT ON FUNCTION private.left_of_payment(p_payment_id uuid) IS 'What of a payment is open or pays bills and fees: not what was paid out or, of a deposit, used. Null of a payment in no account.';

REVOKE ALL ON FUNCTION private.left_of_payment(p_payment_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.left_of_payment(p_payment_id uuid) TO service_role;

CREATE FUNCTION private.post_payments(p_ids uuid[], p_apply text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
declare
    v_ids uuid[] := array(
        select y.id from unnest(p_ids) with ordinality as i(id, place)
        join public.payments y on y.id = i.id
        where y.customer_id is not null order by i.place);
begin
    perform private.post_entries((
        select jsonb_agg(jsonb_build_object(
            'customer_id', y.customer_id, 'book', y.book, 'currency', y.currency, 'kind', 'payment',
            'amount_minor', -y.amount_minor, 'payment_id', y.id, 'on_date', y.received_on, 'note', y.reference)
            order by i.place)
        from unnest(v_ids) with ordinality as i(id, place) join public.payments y on y.id = i.id));
    if p_apply = 'none' then
        return;
    end if;
    perform private.allocate((
        with credits as (
            select c.id, y.bill_id, c.currency, y.amount_minor as amount,
                   sum(y.amount_minor) over (partition by y.bill_id, c.currency order by i.place) as upto
            from unnest(v_ids) with ordinality as i(id, place)
            join public.payments y on y.id = i.id and y.book = 'account' and y.bill_id is not null
            join public.ledger_entries c on c.payment_id = y.id and c.kind = 'payment'
        )
        select jsonb_agg(jsonb_build_object(
                   'credit', c.id, 'debit', o.entry_id,
                   'amount', least(c.upto, o.open_minor) - least(c.upto - c.amount, o.open_minor)))
        from credits c
        join public.ledger_entries d on d.bill_id = c.bill_id and d.kind = 'bill' and d.currency = c.currency
        join public.open_items o on o.entry_id = d.id and o.open_minor > c.upto - c.amount));
    if p_apply = 'oldest' then
        perform private.settle(array(
            select distinct y.customer_id from public.payments y where y.id = any (v_ids) and y.book = 'account'));
    end if;
end $$;

COMMENT ON FUNCTION private.post_payments(p_ids uuid[], p_apply text) IS 'Counts payments in their accounts. oldest: the bill that each names first, then the oldest that is open. bill: that bill alone, the rest stays open. none: all of it stays open.';

REVOKE ALL ON FUNCTION private.post_payments(p_ids uuid[], p_apply text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_payments(p_ids uuid[], p_apply text) TO service_role;

CREATE FUNCTION private.returnable(p_payment_id uuid) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select y.amount_minor - coalesce((select sum(r.amount_minor) from public.payment_returns r
                                      where r.payment_id = y.id and r.status in ('pending', 'done')), 0)::bigint
    from public.payments y where y.id = p_payment_id
$$;

COMMENT ON FUNCTION private.returnable(p_payment_id uuid) IS 'What of a payment can still go back, in minor units.';

REVOKE ALL ON FUNCTION private.returnable(p_payment_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.returnable(p_payment_id uuid) TO service_role;

CREATE FUNCTION private.check_payment(p_row jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    b public.bills;
    c public.customers;
begin
    select * into b from public.bills where id = (p_row ->> 'bill_id')::uuid;
    if not found and p_row ->> 'bill_id' is not null then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    select * into c from public.customers where id = coalesce((p_row ->> 'customer_id')::uuid, b.customer_id);
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    perform private.refuse('EB005', q.why)
    from (select case
              when b.id is not null and b.customer_id <> c.id then 'The bill is another customer''s.'
              when b.status in ('draft', 'void') then 'Only an issued bill takes payments.'
              when b.currency <> p_row ->> 'currency' then format('The bill is in %s.', b.currency)
              when c.currency <> p_row ->> 'currency' then format('The account is in %s.', c.currency)
              when b.id is not null and p_row ->> 'book' = 'deposit' then 'A deposit pays no bill until it is used.'
              end as why) q
    where q.why is not null;
end $$;

COMMENT ON FUNCTION private.check_payment(p_row jsonb) IS 'What somebody enters must fit: the bill, its customer, their currency.';

REVOKE ALL ON FUNCTION private.check_payment(p_row jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_payment(p_row jsonb) TO service_role;

CREATE FUNCTION private.one_reference(p_method text, p_other text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select case when p_method = p_other then p_method <> 'cash'
                else p_method not in ('cash', 'cheque') and p_other not in ('cash', 'cheque') end
$$;

COMMENT ON FUNCTION private.one_reference(p_method text, p_other text) IS 'Whether the same reference by these two methods may be one payment. A cheque''s number is its bank''s alone, a receipt''s the desk''s.';

REVOKE ALL ON FUNCTION private.one_reference(p_method text, p_other text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.one_reference(p_method text, p_other text) TO service_role;

CREATE FUNCTION private.take_payment(p_row jsonb) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_new uuid[] := private.store_payments(jsonb_build_array(p_row));
begin
    perform private.post_payments(v_new, coalesce(p_row ->> 'apply', 'oldest')) where v_new <> '{}';
    return v_new <> '{}';
end $$;

COMMENT ON FUNCTION private.take_payment(p_row jsonb) IS 'Stores a payment and counts it, unless it is there already (by id or by the provider''s id); whether it was new.';

REVOKE ALL ON FUNCTION private.take_payment(p_row jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_payment(p_row jsonb) TO service_role;

CREATE FUNCTION private.awaits_return(p_customer_id uuid, p_currency text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select exists (select 1 from public.payment_returns r where r.customer_id = p_customer_id and r.status = 'pending')
       and private.owes_nothing(p_customer_id, p_currency)
$$;

COMMENT ON FUNCTION private.awaits_return(p_customer_id uuid, p_currency text) IS 'Whether an account owes nothing while credit of it is about to go back: only when it has gone, something is owed.';

REVOKE ALL ON FUNCTION private.awaits_return(p_customer_id uuid, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.awaits_return(p_customer_id uuid, p_currency text) TO service_role;

CREATE FUNCTION private.store_payments(p_rows jsonb) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_new uuid[];
begin
    with stored as (
        insert into public.payments (id, bill_id, customer_id, amount_minor, currency, method, reference, received_at,
                                     received_on, book, provider_id, recorded_by)
        select x.id, x.bill_id, coalesce(x.customer_id, b.customer_id), x.amount_minor, x.currency, x.method,
               coalesce(x.reference, ''), x.received_at, x.received_on, coalesce(x.book, 'account'), x.provider_id,
               current_setting('billing.actor')
        from jsonb_to_recordset(p_rows) as x(
            id uuid, bill_id uuid, customer_id uuid, amount_minor bigint, currency text, method text, reference text,
            received_at timestamptz, received_on date, book text, provider_id text)
        left join public.bills b on b.id = x.bill_id
        on conflict do nothing
        returning id
    )
    select coalesce(array_agg(s.id order by r.place), '{}') into v_new
    from stored s
    join (select (x ->> 'id')::uuid as id, min(place) as place
          from jsonb_array_elements(p_rows) with ordinality as e(x, place) group by 1) r using (id);
    return v_new;
end $$;

COMMENT ON FUNCTION private.store_payments(p_rows jsonb) IS 'Stores those payments that are not there already (by id or by the provider''s id): the new ones'' ids, in order.';

REVOKE ALL ON FUNCTION private.store_payments(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.store_payments(p_rows jsonb) TO service_role;

CREATE FUNCTION public.supply_with_deposit(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_change jsonb := case p ->> 'what' when 'connect' then public.connect_supply((p -> 'change') || jsonb_build_object('actor', p -> 'actor'))
                           else public.change_supply((p -> 'change') || jsonb_build_object('actor', p -> 'actor')) end;
    v_customer uuid := (select a.customer_id from public.service_agreements a
                        where a.id = coalesce((p #>> '{change,start,id}')::uuid, (v_change ->> 'agreement_id')::uuid));
begin
    -- Its id is the form's: a repeat finds it stored.
    perform public.record_payments(jsonb_build_object(
        'actor', p -> 'actor', 'owed', p -> 'owed', 'confirmed', true,
        'payments', jsonb_build_array((p -> 'deposit') || jsonb_build_object('customer_id', v_customer, 'book', 'deposit', 'apply', 'none'))));
    return v_change;
end $$;

COMMENT ON FUNCTION public.supply_with_deposit(p jsonb) IS 'Connects a customer, or lets one move in, and takes a deposit, in one transaction: {actor, what: connect|move_in, change: as connect_supply or change_supply takes it, deposit: {id, amount_minor, currency, method, reference, received_at, received_on}, owed?} -> the change. A repeat is answered with the first result.';

REVOKE ALL ON FUNCTION public.supply_with_deposit(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.supply_with_deposit(p jsonb) TO service_role;

CREATE FUNCTION public.import_past_payments(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', case when c.id is null then 'account_no' else 'currency' end,
               'message', case when c.id is null then format('No customer has the account number %s.', x.account_no)
                               else format('Account %s is in %s, not in %s.', x.account_no, c.currency, x.currency) end) order by x."row")
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, currency text)
    left join public.customers c on c.account_no = x.account_no
    where c.id is null or c.currency <> x.currency;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.past_payments (id, customer_id, amount_minor, currency, method, reference, received_on, imported_by)
        select x.id, c.id, x.amount_minor, x.currency, x.method, x.reference, x.received_on, p ->> 'actor'
        from jsonb_to_recordset(p -> 'rows') as x(
            id uuid, account_no text, amount_minor bigint, currency text, method text, reference text, received_on date)
        join public.customers c on c.account_no = x.account_no
        on conflict do nothing;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(v_errors, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;

COMMENT ON FUNCTION public.import_past_payments(p jsonb) IS 'Keeps payments that another system took, which pay nothing here: {actor, dry_run, rows: [{row, id, account_no, amount_minor, currency, method, reference, received_on}]}. A repeat changes nothing.';

REVOKE ALL ON FUNCTION public.import_past_payments(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_past_payments(p jsonb) TO service_role;

CREATE FUNCTION private.match_bank_lines(p_rows jsonb) RETURNS TABLE(id uuid, status text, matched_by text, why text, detail text, customer_id uuid, bill_id uuid, expected_minor bigint)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with x as materialized (
        select r.id, coalesce(r.account, '') as account, r.amount_minor, r.currency, r.booked_on, r.numbers, r.tokens
        from jsonb_to_recordset(p_rows) as r(
            id uuid, account text, amount_minor bigint, currency text, booked_on date, numbers jsonb, tokens jsonb)
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
               (select case when l.id is null then 'entered on ' else 'imported from another file, of ' end
                     || y.received_on
                from public.payments y left join public.bank_lines l on l.payment_id = y.id
                where y.customer_id = c.id and y.amount_minor = x.amount_minor and y.currency = x.currency
                  and y.method in ('bank', 'cheque', 'mobile_money', 'card')
                  and case when l.id is null then y.received_on between x.booked_on - 7 and x.booked_on + 7
                           -- A file that names no account may have the lines of one that does.
                           else l.booked_on = x.booked_on and (l.account = '') <> (x.account = '') end
                  and not exists (select 1 from public.payment_returns q where q.payment_id = y.id and q.status in ('pending', 'done'))
                order by l.id nulls first limit 1) as entered
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

COMMENT ON FUNCTION private.match_bank_lines(p_rows jsonb) IS 'Whose payments lines of a bank are: by the bill''s number, the account or the meter that their text names. Whoever names two customers, another currency, a void bill, what was entered by hand or came in a file with no account is for a person.';

REVOKE ALL ON FUNCTION private.match_bank_lines(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.match_bank_lines(p_rows jsonb) TO service_role;

CREATE FUNCTION private.post_return(r public.payment_returns) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_paid public.open_items;
    v_id uuid := private.ordered_id();
begin
    if r.customer_id is null then
        return;
    end if;
    select o.* into v_paid from public.ledger_entries e join public.open_items o on o.entry_id = e.id
    where e.payment_id = r.payment_id and e.kind = 'payment' and e.book = 'account';
    if found and -v_paid.open_minor < r.amount_minor then
        perform private.take_back(v_paid.entry_id, r.amount_minor + v_paid.open_minor, array['bill', 'fee', 'opening_balance']);
        select * into v_paid from public.open_items where entry_id = v_paid.entry_id;
    end if;
    perform private.post_entries(jsonb_build_array(jsonb_build_object(
        'id', v_id, 'customer_id', r.customer_id, 'book', r.book, 'currency', r.currency, 'kind', r.kind,
        'amount_minor', r.amount_minor, 'payment_id', r.payment_id, 'return_id', r.id, 'on_date', r.on_date,
        'note', r.reason)));
    if v_paid.entry_id is null then
        perform private.pay_from_credit(v_id);
    elsif v_paid.open_minor < 0 then
        perform private.allocate(jsonb_build_array(jsonb_build_object(
            'credit', v_paid.entry_id, 'debit', v_id, 'amount', least(-v_paid.open_minor, r.amount_minor))));
    end if;
    perform private.settle(array[r.customer_id]);
    if r.kind in ('refund', 'dispute') and v_paid.entry_id is not null then
        perform private.spare_reopened(r, v_paid.entry_id);
    end if;
end $$;

COMMENT ON FUNCTION private.post_return(r public.payment_returns) IS 'Counts money that went back: from what is open of its payment first, then from the bills it paid, the last first. What the payment no longer has, the customer owes.';

REVOKE ALL ON FUNCTION private.post_return(r public.payment_returns) FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_return(r public.payment_returns) TO service_role;

CREATE FUNCTION public.import_bank_statements(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.import_bank_statements(p jsonb) IS 'Keeps the lines of a bank statement that are not known yet, and counts those whose payer is named as payments: {actor, dry_run, owed?, rows: [{row, id, account, booked_on, booked_at, amount_minor, currency, reference, payer, bank_reference, numbers, tokens}]}. A line that is known changes nothing.';

REVOKE ALL ON FUNCTION public.import_bank_statements(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_bank_statements(p jsonb) TO service_role;

CREATE FUNCTION public.bank_accounts(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with recursive accounts as (
        (select l.account from public.bank_lines l order by l.account limit 1)
        union all
        select (select l.account from public.bank_lines l where l.account > a.account order by l.account limit 1)
        from accounts a where a.account is not null
    )
    select jsonb_build_object('accounts', coalesce(jsonb_agg(a.account order by a.account), '[]'))
    from accounts a where a.account <> ''
$$;

COMMENT ON FUNCTION public.bank_accounts(p jsonb) IS 'The accounts of which statements were imported: {} gives {accounts: [...]}.';

REVOKE ALL ON FUNCTION public.bank_accounts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bank_accounts(p jsonb) TO service_role;

CREATE FUNCTION public.decide_bank_line(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.decide_bank_line(p jsonb) IS 'A person says whose a line of the bank is, or sets it aside: {actor, id, customer_id or bill_id, owed?} or {actor, id, reason}. A repeat changes nothing; EB005 where somebody else decided otherwise.';

REVOKE ALL ON FUNCTION public.decide_bank_line(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.decide_bank_line(p jsonb) TO service_role;

CREATE FUNCTION public.record_return(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    y public.payments;
    r public.payment_returns;
    v_left bigint;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into y from public.payments where id = (p ->> 'payment_id')::uuid;
    if not found and p ->> 'payment_id' is not null then
        perform private.refuse('EB404', 'No such payment.');
    end if;
    perform private.lock_customers(array[coalesce(y.customer_id, (p ->> 'customer_id')::uuid)]);
    perform 1 from public.payments where id = y.id for update;
    select * into r from public.payment_returns where id = (p ->> 'id')::uuid;
    if found then
        return to_jsonb(r);
    end if;
    v_left := private.returnable(y.id);
    insert into public.payment_returns (id, payment_id, customer_id, book, kind, amount_minor, currency, method,
                                        reference, reason, status, provider_id, on_date, created_by)
    select x.id, y.id, coalesce(y.customer_id, x.customer_id), coalesce(y.book, x.book, 'account'), x.kind,
           coalesce(x.amount_minor, nullif(v_left, 0), y.amount_minor), coalesce(y.currency, x.currency), x.method,
           coalesce(x.reference, ''), x.reason, coalesce(x.status, 'done'), x.provider_id, x.on_date, p ->> 'actor'
    from jsonb_to_record(p) as x(
        id uuid, customer_id uuid, book text, kind text, amount_minor bigint, currency text, method text,
        reference text, reason text, status text, provider_id text, on_date date)
    returning * into r;
    if y.id is not null and r.amount_minor > v_left then
        perform private.refuse('EB005', case when v_left = 0 then 'All of this payment went back already.'
            else 'That is more than what is left of the payment.' end);
    elsif r.kind = 'refund' and r.amount_minor > private.left_of_payment(y.id) then
        perform private.refuse('EB005', case y.book when 'deposit' then 'A part of this deposit has been used for bills.'
            else 'A part of this payment was paid out already.' end);
    elsif r.kind = 'payout' and r.amount_minor > private.open_credit(r.customer_id, r.book, r.currency) then
        perform private.refuse('EB005', 'There is not so much credit on the account.');
    elsif r.method = 'stripe' and (y.provider_id is null or r.kind = 'payout') then
        perform private.refuse('EB005', 'Only a payment that came by Stripe can go back by it.');
    elsif r.kind in ('refund', 'payout') and p ->> 'actor' not like 'system:%' and not coalesce((p ->> 'may_over_limit')::boolean, false)
        and private.passes_refund_limit(r.customer_id, r.payment_id, r.currency, r.amount_minor, r.id)
        and not exists (select 1 from public.approval_requests a
                        where a.action_id = r.id and a.over_limit and a.state in ('approved', 'done'))
    then
        -- Another one came between the question and this row, under the lock that both take.
        perform private.refuse('EB005', 'Together with what went back meanwhile this passes the limit: ask for it again.');
    end if;
    if r.status = 'done' then
        perform private.post_return(r);
    end if;
    return to_jsonb(r);
end $$;

COMMENT ON FUNCTION public.record_return(p jsonb) IS 'Money goes back: {actor, id, payment_id or (payout) customer_id and currency, kind: refund|reversal|dispute|payout, amount_minor? (all that is left), method, reference?, reason, on_date, status?: done|pending (asked of Stripe), provider_id?, may_over_limit?, owed?} -> the row. EB005 when it is more than what is left, or above the limit and nobody approved that.';

REVOKE ALL ON FUNCTION public.record_return(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_return(p jsonb) TO service_role;

CREATE FUNCTION private.post_suspense() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_open_from date;
begin
    if tg_op = 'INSERT' and not exists (select 1 from new_rows where customer_id is null) then
        return null;
    end if;
    -- Shared by all who post; who closes a month has it alone.
    perform pg_advisory_xact_lock_shared(hashtext('ledger'));
    v_open_from := private.open_from();
    if tg_table_name = 'payments' and tg_op = 'INSERT' then
        insert into public.suspense_entries (kind, payment_id, currency, method, amount_minor, on_date, actor)
        select 'payment', n.id, n.currency, n.method, -n.amount_minor, greatest(n.received_on, v_open_from),
               coalesce(nullif(n.recorded_by, ''), 'unknown')
        from new_rows n where n.customer_id is null order by n.received_at, n.id;
    elsif tg_table_name = 'payments' then
        insert into public.suspense_entries (kind, payment_id, currency, method, amount_minor, on_date, actor)
        select 'assigned', n.id, n.currency, n.method, n.amount_minor, greatest(n.received_on, v_open_from),
               current_setting('billing.actor')
        from new_rows n
        where n.id = any (array(select o.id from old_rows o where o.customer_id is null)) and n.customer_id is not null order by n.received_at, n.id;
    else
        insert into public.suspense_entries (kind, payment_id, return_id, currency, method, amount_minor, on_date, actor)
        select 'return', n.payment_id, n.id, n.currency, n.method, n.amount_minor, greatest(n.on_date, v_open_from), n.created_by
        from new_rows n
        where n.customer_id is null and n.status = 'done'
          and not exists (select 1 from public.suspense_entries s where s.return_id = n.id and s.kind = 'return');
        insert into public.suspense_entries (kind, payment_id, return_id, currency, method, amount_minor, on_date, actor)
        select 'return_undone', n.payment_id, n.id, n.currency, n.method, -n.amount_minor,
               greatest(n.on_date, now()::date, v_open_from), current_setting('billing.actor')
        from new_rows n
        where n.customer_id is null and n.status = 'undone'
          and not exists (select 1 from public.suspense_entries s where s.return_id = n.id and s.kind = 'return_undone');
    end if;
    return null;
end $$;

COMMENT ON FUNCTION private.post_suspense() IS 'Posts what comes of nobody known, is assigned, or goes back.';

REVOKE ALL ON FUNCTION private.post_suspense() FROM PUBLIC;
GRANT ALL ON FUNCTION private.post_suspense() TO service_role;

CREATE FUNCTION private.owe_thanks(p_payment_id uuid, p_owed jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select private.ordered_id(), b.id, 'payment_received', y.id::text,
           jsonb_strip_nulls(jsonb_build_object(
               'payment_id', y.id, 'amount_minor', y.amount_minor::text, 'currency', y.currency, 'received_on', y.received_on,
               'on_account', case when b.how = 'latest' then 'yes' end)),
           p_owed -> 'steps', p_owed ->> 'status', case when p_owed ->> 'status' <> 'open' then now() end
    from public.payments y
    cross join lateral (
        select x.id, 'named' as how from public.bills x where x.id = y.bill_id
        union all
        (select x.id, 'paid' from public.ledger_entries e
         join public.allocations a on a.credit_entry_id = e.id
         join public.ledger_entries d on d.id = a.debit_entry_id
         join public.bills x on x.id = d.bill_id
         where e.payment_id = y.id and e.kind = 'payment' order by a.id limit 1)
        union all
        (select x.id, 'latest' from public.bills x where x.customer_id = y.customer_id and x.status = 'issued'
         order by x.period_end desc limit 1)
        limit 1) b
    where y.id = p_payment_id and p_owed is not null and p_owed <> 'null'::jsonb
    on conflict (bill_id, kind, occasion) do nothing
$$;

COMMENT ON FUNCTION private.owe_thanks(p_payment_id uuid, p_owed jsonb) IS 'Owes the thanks for a payment, with the bill that it is told by: the one named, else the first it paid, else the latest, and then on_account says that it paid none.';

REVOKE ALL ON FUNCTION private.owe_thanks(p_payment_id uuid, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.owe_thanks(p_payment_id uuid, p_owed jsonb) TO service_role;

CREATE FUNCTION private.payment_status(p_payment uuid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select l.status from public.payment_list l where l.id = p_payment
$$;

COMMENT ON FUNCTION private.payment_status(p_payment uuid) IS 'What became of a payment, as the list of payments says it.';

REVOKE ALL ON FUNCTION private.payment_status(p_payment uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.payment_status(p_payment uuid) TO service_role;

CREATE FUNCTION private.repeats(y public.payments) RETURNS public.payments
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with found as materialized (
        select s.id, s.received_on from public.payments s
        where y.reference <> '' and y.method <> 'cash' and private.reference_key(y.reference) <> ''
          and s.reference <> '' and private.reference_key(s.reference) = private.reference_key(y.reference)
          and private.one_reference(s.method, y.method) and s.id <> y.id
    ), last as materialized (
        select f.id, f.received_on from found f order by f.received_on desc, f.id limit 100
    )
    select s from public.payments s
    where s.id = (select z.id from last z where private.payment_status(z.id) <> 'returned'
                  order by z.received_on desc, z.id limit 1)
$$;

COMMENT ON FUNCTION private.repeats(y public.payments) IS 'Another payment that may be this one, by its reference, that did not go back whole; or nothing.';

REVOKE ALL ON FUNCTION private.repeats(y public.payments) FROM PUBLIC;
GRANT ALL ON FUNCTION private.repeats(y public.payments) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.payments REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.payments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER payments_assigned_posted AFTER UPDATE ON public.payments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.post_suspense();

CREATE TRIGGER payments_fixed BEFORE UPDATE ON public.payments FOR EACH ROW EXECUTE FUNCTION private.refuse_payment_change();

CREATE TRIGGER payments_of_nobody_posted AFTER INSERT ON public.payments REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.post_suspense();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.payments FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.payments FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER audit_insert AFTER INSERT ON public.payment_returns REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.payment_returns REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER ended_returns_of_nobody_posted AFTER UPDATE ON public.payment_returns REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.post_suspense();

CREATE TRIGGER payment_returns_guard BEFORE UPDATE ON public.payment_returns FOR EACH ROW EXECUTE FUNCTION private.guard_return();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.payment_returns FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.payment_returns FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER returns_of_nobody_posted AFTER INSERT ON public.payment_returns REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.post_suspense();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.payment_flags FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.payment_flags FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.past_payments FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.past_payments FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.past_payments FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER audit_update AFTER UPDATE ON public.bank_lines REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.bank_lines FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.bank_lines FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.suspense_entries FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.suspense_entries FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.suspense_entries FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

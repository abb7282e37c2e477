-- Outbox: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.outbox (
    id uuid NOT NULL,
    bill_id uuid,
    kind text NOT NULL,
    steps jsonb NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    lease_owner text,
    lease_until timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    occasion text DEFAULT ''::text NOT NULL,
    facts jsonb DEFAULT '{}'::jsonb NOT NULL,
    unreached_at timestamp with time zone,
    customer_id uuid,
    CONSTRAINT outbox_check CHECK (((status = 'open'::text) = (finished_at IS NULL))),
    CONSTRAINT outbox_facts_check CHECK ((jsonb_typeof(facts) = 'object'::text)),
    CONSTRAINT outbox_kind_check CHECK ((kind = ANY (ARRAY['bill_issued'::text, 'payment_reminder'::text, 'overdue_notice'::text, 'disconnection_notice'::text, 'payment_received'::text, 'balance_changed'::text, 'bill_corrected'::text, 'charges_overdue'::text, 'account_statement'::text, 'autopay_notice'::text, 'autopay_failed'::text, 'autopay_expiring'::text, 'autopay_ended'::text]))),
    CONSTRAINT outbox_status_check CHECK ((status = ANY (ARRAY['open'::text, 'finished'::text, 'given_up'::text]))),
    CONSTRAINT outbox_steps_check CHECK ((jsonb_typeof(steps) = 'object'::text)),
    CONSTRAINT outbox_subject CHECK (((bill_id IS NULL) = (customer_id IS NOT NULL)))
)
WITH (autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.outbox IS 'What is still owed for a bill, or an account, after a commit: one row a bill and occasion, a state a step.';

COMMENT ON COLUMN public.outbox.kind IS 'balance_changed: the link and the graph follow what is left to pay; one row a bill, taken up anew at each change.';

COMMENT ON COLUMN public.outbox.steps IS '{"8": {"status": "pending|done|skipped|failed", "detail": text, …}, …}; a step that is missing was skipped, since its service was not configured.';

COMMENT ON COLUMN public.outbox.lease_until IS 'By the database''s clock: until then only lease_owner works on this row.';

COMMENT ON COLUMN public.outbox.occasion IS 'Which one, where a bill has several of a kind: of payment_received the payment.';

COMMENT ON COLUMN public.outbox.facts IS 'What the occasion is about, as texts: of payment_received the payment and its amount.';

COMMENT ON COLUMN public.outbox.unreached_at IS 'Of a message that was written and has reached the customer on no channel of their own: since when. Null again once a letter is printed, it goes out after all, or nobody needs it any more.';

COMMENT ON COLUMN public.outbox.customer_id IS 'Whose account it is about, where it is about no bill.';

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_once UNIQUE (bill_id, kind, occasion);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

CREATE INDEX outbox_due ON public.outbox USING btree (next_attempt_at) WHERE (status = 'open'::text);

CREATE INDEX outbox_due_graph ON public.outbox USING btree (next_attempt_at) WHERE ((status = 'open'::text) AND ((steps #>> '{8,status}'::text[]) = 'pending'::text));

CREATE INDEX outbox_due_links ON public.outbox USING btree (next_attempt_at) WHERE ((status = 'open'::text) AND (((steps #>> '{9,status}'::text[]) = 'pending'::text) OR ((steps #>> '{10,status}'::text[]) = 'pending'::text)));

CREATE INDEX outbox_due_messages ON public.outbox USING btree (((kind = ANY (ARRAY['payment_reminder'::text, 'overdue_notice'::text]))), next_attempt_at) WHERE ((status = 'open'::text) AND (((steps #>> '{11,status}'::text[]) = 'pending'::text) OR ((steps #>> '{12,status}'::text[]) = 'pending'::text) OR ((steps #>> '{13,status}'::text[]) = 'pending'::text)));

CREATE INDEX outbox_failed ON public.outbox USING btree (finished_at DESC) WHERE ((status <> 'open'::text) AND jsonb_path_exists(steps, '$.*."status"?(@ == "failed")'::jsonpath));

CREATE INDEX outbox_finished ON public.outbox USING btree (finished_at) WHERE (status <> 'open'::text);

CREATE INDEX outbox_for_graph ON public.outbox USING btree (id) WHERE ((status = 'open'::text) AND ((steps #>> '{8,status}'::text[]) = 'pending'::text));

CREATE INDEX outbox_held_for_statement ON public.outbox USING btree (bill_id) WHERE (facts ? 'statement'::text);

CREATE INDEX outbox_leased ON public.outbox USING btree (lease_until) WHERE (lease_until IS NOT NULL);

CREATE UNIQUE INDEX outbox_of_account ON public.outbox USING btree (customer_id, kind, occasion) WHERE (bill_id IS NULL);

CREATE INDEX outbox_oldest ON public.outbox USING btree (created_at) WHERE (status = 'open'::text);

CREATE INDEX outbox_unreached ON public.outbox USING btree (unreached_at, id) WHERE (unreached_at IS NOT NULL);

ALTER TABLE public.outbox ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.outbox TO service_role;

CREATE TABLE public.notifications (
    id uuid NOT NULL,
    bill_id uuid,
    customer_id uuid,
    kind text NOT NULL,
    channel text NOT NULL,
    status text NOT NULL,
    recipient text DEFAULT ''::text NOT NULL,
    body text DEFAULT ''::text NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    message_id text DEFAULT ''::text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    occasion text DEFAULT ''::text NOT NULL,
    queued_at timestamp with time zone,
    life jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT notifications_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT notifications_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'sending'::text, 'sent'::text, 'not_configured'::text, 'failed'::text, 'unknown'::text, 'delivered'::text, 'read'::text, 'undelivered'::text, 'bounced'::text])))
)
WITH (autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.notifications IS 'One row a bill, occasion and channel. It says "sending" before a message leaves, so that a crash in between is seen: then "unknown", and not sent twice.';

COMMENT ON COLUMN public.notifications.status IS 'waiting: will be tried again. unknown: it left, and no answer told what became of it. sent: the other side took it, which says nothing of the customer; delivered, read: it reported so. undelivered: it could not deliver it; bounced: an e-mail that came back.';

COMMENT ON COLUMN public.notifications.recipient IS 'Masked: enough to recognise, not enough to use.';

COMMENT ON COLUMN public.notifications.message_id IS 'The other side''s id of the message.';

COMMENT ON COLUMN public.notifications.queued_at IS 'Since when it waits for its turn on its channel; null: it does not.';

COMMENT ON COLUMN public.notifications.life IS 'What happened to it, in order: [{at, state, why?}]; state is a status, or queued, or held while its time has not come. Empty where it was never to leave.';

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (id);

CREATE INDEX notifications_bill ON public.notifications USING btree (bill_id);

CREATE INDEX notifications_came_back ON public.notifications USING btree (customer_id) WHERE (status = ANY (ARRAY['undelivered'::text, 'bounced'::text]));

CREATE INDEX notifications_customer ON public.notifications USING btree (customer_id, created_at DESC);

CREATE INDEX notifications_of_account ON public.notifications USING btree (customer_id, kind, occasion) WHERE (bill_id IS NULL);

CREATE INDEX notifications_queue ON public.notifications USING btree (channel, ((kind = ANY (ARRAY['payment_reminder'::text, 'overdue_notice'::text]))), queued_at, id) WHERE (queued_at IS NOT NULL);

CREATE INDEX notifications_recent ON public.notifications USING btree (created_at DESC);

CREATE INDEX notifications_undone ON public.notifications USING btree (updated_at DESC) WHERE (status = ANY (ARRAY['waiting'::text, 'sending'::text, 'failed'::text, 'unknown'::text, 'undelivered'::text, 'bounced'::text]));

ALTER TABLE public.notifications ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.notifications TO service_role;

CREATE TABLE public.customer_channels (
    customer_id uuid NOT NULL,
    discord_webhook_url text,
    whatsapp_opt_in_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    preferred text,
    quiet_from time without time zone,
    quiet_until time without time zone,
    opted_out_at timestamp with time zone,
    bounced_email text,
    bounced_at timestamp with time zone,
    email_trusted_at timestamp with time zone,
    unreached_phone text,
    unreached_phone_at timestamp with time zone,
    CONSTRAINT customer_channels_bounced_check CHECK (((bounced_email IS NULL) = (bounced_at IS NULL))),
    CONSTRAINT customer_channels_discord_webhook_url_check CHECK ((discord_webhook_url ~ '^https?://'::text)),
    CONSTRAINT customer_channels_preferred_check CHECK ((preferred = ANY (ARRAY['email'::text, 'sms'::text, 'whatsapp'::text, 'discord_customer'::text]))),
    CONSTRAINT customer_channels_quiet_check CHECK ((((quiet_from IS NULL) = (quiet_until IS NULL)) AND ((quiet_from IS NULL) OR (quiet_from <> quiet_until)))),
    CONSTRAINT customer_channels_unreached_check CHECK (((unreached_phone IS NULL) = (unreached_phone_at IS NULL)))
);

COMMENT ON TABLE public.customer_channels IS 'How a customer wants to be reached beside the post. Apart from customers, so that lists of them never carry an address that is a secret.';

COMMENT ON COLUMN public.customer_channels.discord_webhook_url IS 'A secret: whoever knows it can post there. Never listed, logged or audited; the audit trail has a fingerprint.';

COMMENT ON COLUMN public.customer_channels.whatsapp_opt_in_at IS 'When the customer agreed to messages on WhatsApp; null: not agreed, or withdrawn.';

COMMENT ON COLUMN public.customer_channels.preferred IS 'The channel that is tried first; the others only where it cannot deliver. Null: every channel but SMS, and SMS where no other can.';

COMMENT ON COLUMN public.customer_channels.quiet_from IS 'No message leaves from then to quiet_until, by the utility''s clock; over midnight where it is the later one.';

COMMENT ON COLUMN public.customer_channels.opted_out_at IS 'Since when the customer wants no messages; null: wants them.';

COMMENT ON COLUMN public.customer_channels.bounced_email IS 'The address that mail came back from; it gets none while it is still the customer''s.';

COMMENT ON COLUMN public.customer_channels.email_trusted_at IS 'When somebody last said that the address works: reports on what was sent before it mark it no more.';

COMMENT ON COLUMN public.customer_channels.unreached_phone IS 'The number (E.164) at which texts do not arrive, as the network says; they are tried still, for networks err. One that arrives takes it away.';

ALTER TABLE ONLY public.customer_channels
    ADD CONSTRAINT customer_channels_pkey PRIMARY KEY (customer_id);

ALTER TABLE public.customer_channels ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.customer_channels TO service_role;

CREATE TABLE public.message_rates (
    channel text NOT NULL,
    free_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.message_rates IS 'Of each channel, and of Stripe, when the next message or request may leave, by the database''s clock: of Stripe for the jobs, and for somebody who waits. Whoever sends one moves it on under its lock, so that all processes together keep the rate, and what was not used is not saved up.';

ALTER TABLE ONLY public.message_rates
    ADD CONSTRAINT message_rates_pkey PRIMARY KEY (channel);

ALTER TABLE public.message_rates ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.message_rates TO service_role;

CREATE TABLE public.customer_replies (
    id uuid NOT NULL,
    customer_id uuid,
    notification_id uuid,
    channel text NOT NULL,
    sender text NOT NULL,
    subject text DEFAULT ''::text NOT NULL,
    body text DEFAULT ''::text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    handled_at timestamp with time zone,
    handled_by text,
    CONSTRAINT customer_replies_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'whatsapp'::text, 'sms'::text]))),
    CONSTRAINT customer_replies_check CHECK (((handled_at IS NULL) = (handled_by IS NULL)))
);

COMMENT ON TABLE public.customer_replies IS 'What customers answered to a message of ours, for the office. The mail itself stays in the mailbox.';

COMMENT ON COLUMN public.customer_replies.customer_id IS 'Whose address or number it came from, or whose message it answers; null: nobody knows.';

ALTER TABLE ONLY public.customer_replies
    ADD CONSTRAINT customer_replies_pkey PRIMARY KEY (id);

CREATE INDEX customer_replies_customer ON public.customer_replies USING btree (customer_id);

CREATE INDEX customer_replies_kept ON public.customer_replies USING btree (created_at);

CREATE INDEX customer_replies_of_sender ON public.customer_replies USING btree (lower(sender), created_at);

CREATE INDEX customer_replies_open ON public.customer_replies USING btree (received_at DESC, id DESC) WHERE (handled_at IS NULL);

CREATE INDEX customer_replies_received ON public.customer_replies USING btree (received_at);

ALTER TABLE public.customer_replies ENABLE ROW LEVEL SECURITY;

GRANT ALL ON TABLE public.customer_replies TO service_role;

CREATE TABLE public.mailboxes (
    name text NOT NULL,
    uid_validity bigint NOT NULL,
    last_uid bigint NOT NULL,
    read_at timestamp with time zone DEFAULT now() NOT NULL,
    waiting bigint DEFAULT 0 NOT NULL,
    passed_over bigint DEFAULT 0 NOT NULL,
    flooded_since timestamp with time zone,
    flooded_at timestamp with time zone,
    CONSTRAINT mailboxes_check CHECK (((flooded_since IS NULL) = (flooded_at IS NULL))),
    CONSTRAINT mailboxes_passed_over_check CHECK ((passed_over >= 0)),
    CONSTRAINT mailboxes_waiting_check CHECK ((waiting >= 0))
);

COMMENT ON TABLE public.mailboxes IS 'How far the mailbox of the sender''s address was read: of what the server numbers anew (uid_validity) up to last_uid. Nothing in it is changed.';

COMMENT ON COLUMN public.mailboxes.waiting IS 'Mails behind last_uid when it was last read.';

COMMENT ON COLUMN public.mailboxes.passed_over IS 'Mails that were left unread as too many from flooded_since to flooded_at; a day without one ends a flood.';

ALTER TABLE ONLY public.mailboxes
    ADD CONSTRAINT mailboxes_pkey PRIMARY KEY (name);

ALTER TABLE public.mailboxes ENABLE ROW LEVEL SECURITY;

GRANT ALL ON TABLE public.mailboxes TO service_role;

CREATE TABLE public.stopped_numbers (
    phone text NOT NULL,
    stopped_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    CONSTRAINT stopped_numbers_check CHECK ((started_at >= stopped_at)),
    CONSTRAINT stopped_numbers_phone_check CHECK ((phone ~ '^\+[0-9]{5,15}$'::text))
);

COMMENT ON TABLE public.stopped_numbers IS 'Numbers (E.164) from which somebody answered STOP to a text: they get none, whosever they are, until a START comes from them. The words themselves are in customer_replies.';

COMMENT ON COLUMN public.stopped_numbers.started_at IS 'When a START came after it; null: no texts go there.';

ALTER TABLE ONLY public.stopped_numbers
    ADD CONSTRAINT stopped_numbers_pkey PRIMARY KEY (phone);

ALTER TABLE public.stopped_numbers ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.stopped_numbers TO service_role;

CREATE TABLE public.letter_batches (
    id uuid NOT NULL,
    made_by text NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    written_on date NOT NULL,
    letters integer NOT NULL,
    CONSTRAINT letter_batches_letters_check CHECK ((letters >= 0)),
    CONSTRAINT letter_batches_made_by_check CHECK ((made_by <> ''::text))
);

COMMENT ON TABLE public.letter_batches IS 'Letters that were printed together; they can be printed once more as they were.';

ALTER TABLE ONLY public.letter_batches
    ADD CONSTRAINT letter_batches_pkey PRIMARY KEY (id);

CREATE INDEX letter_batches_recent ON public.letter_batches USING btree (made_at DESC, id);

ALTER TABLE public.letter_batches ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.letter_batches TO service_role;

CREATE TABLE public.letters (
    id uuid NOT NULL,
    batch_id uuid NOT NULL,
    place integer NOT NULL,
    customer_id uuid NOT NULL,
    bill_id uuid,
    kind text NOT NULL,
    customer_name text NOT NULL,
    address text NOT NULL,
    account_no text NOT NULL,
    language text NOT NULL,
    currency text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    encloses uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    credit_notes uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    CONSTRAINT letters_address_check CHECK ((address <> ''::text))
);

COMMENT ON TABLE public.letters IS 'A message as a letter, as it was printed. The id is that of its row in notifications, of which there is one for each message: so a message is printed in no second batch.';

COMMENT ON COLUMN public.letters.bill_id IS 'The bill that it is about; null where it is about the account.';

COMMENT ON COLUMN public.letters.encloses IS 'The bills whose PDFs are printed behind it.';

COMMENT ON COLUMN public.letters.credit_notes IS 'The credit notes whose PDFs are printed behind the bills.';

ALTER TABLE ONLY public.letters
    ADD CONSTRAINT letters_batch_id_place_key UNIQUE (batch_id, place);

ALTER TABLE ONLY public.letters
    ADD CONSTRAINT letters_pkey PRIMARY KEY (id);

CREATE INDEX letters_bill ON public.letters USING btree (bill_id);

CREATE INDEX letters_customer ON public.letters USING btree (customer_id);

ALTER TABLE public.letters ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.letters TO service_role;

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.customer_channels
    ADD CONSTRAINT customer_channels_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.customer_replies
    ADD CONSTRAINT customer_replies_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.letters
    ADD CONSTRAINT letters_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES public.letter_batches(id);

ALTER TABLE ONLY public.letters
    ADD CONSTRAINT letters_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.letters
    ADD CONSTRAINT letters_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE VIEW public.owed_work_list WITH (security_invoker='true') AS
 SELECT o.id,
    o.bill_id,
    b.number AS bill_number,
    o.kind,
    o.steps,
    o.status,
    o.attempts,
    o.next_attempt_at,
    o.lease_until,
    o.created_at,
    o.finished_at,
    o.occasion,
    o.customer_id
   FROM (public.outbox o
     LEFT JOIN public.bills b ON ((b.id = o.bill_id)));

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.owed_work_list TO service_role;

CREATE VIEW public.failed_work_list WITH (security_invoker='true') AS
 SELECT o.id,
    o.bill_id,
    b.number AS bill_number,
    c.account_no,
    o.kind,
    o.steps,
    o.status,
    o.attempts,
    o.created_at,
    o.finished_at
   FROM ((public.outbox o
     LEFT JOIN public.bills b ON ((b.id = o.bill_id)))
     JOIN public.customers c ON ((c.id = COALESCE(b.customer_id, o.customer_id))))
  WHERE ((o.status <> 'open'::text) AND jsonb_path_exists(o.steps, '$.*."status"?(@ == "failed")'::jsonpath));

COMMENT ON VIEW public.failed_work_list IS 'Owed work that ended with a step refused or given up: a person must look.';

GRANT SELECT,INSERT,REFERENCES,DELETE,TRUNCATE,MAINTAIN,UPDATE ON TABLE public.failed_work_list TO service_role;

CREATE VIEW public.customer_reply_list WITH (security_invoker='true') AS
 SELECT r.id,
    r.customer_id,
    c.account_no,
    c.name AS customer_name,
    r.channel,
    r.sender,
    r.subject,
    r.body,
    r.received_at,
    r.handled_at,
    r.handled_by
   FROM (public.customer_replies r
     LEFT JOIN public.customers c ON ((c.id = r.customer_id)));

COMMENT ON VIEW public.customer_reply_list IS 'What customers answered to messages, with whose answer it is.';

GRANT ALL ON TABLE public.customer_reply_list TO service_role;

CREATE FUNCTION private.set_owed(p jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    select set_config('billing.owed_on_balance', coalesce(p #>> '{owed,balance_changed}', ''), true)
$$;

COMMENT ON FUNCTION private.set_owed(p jsonb) IS 'Says what a bill owes when its balance changes in this transaction: {owed: {balance_changed: {steps, status}}}; without it nothing.';

REVOKE ALL ON FUNCTION private.set_owed(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.set_owed(p jsonb) TO service_role;

CREATE FUNCTION public.end_notification(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.notifications
    set status = p ->> 'status', error = coalesce(p ->> 'error', ''),
        message_id = coalesce(p ->> 'message_id', ''), updated_at = now()
    -- "unknown" too: another process may have taken the silence of this one for its end.
    where id = (p ->> 'id')::uuid and status in ('sending', 'unknown');
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.end_notification(p jsonb) IS 'Says what became of a message: {id, status, error?, message_id?}.';

REVOKE ALL ON FUNCTION public.end_notification(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_notification(p jsonb) TO service_role;

CREATE FUNCTION private.message_work(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    if p_bill is not null then
        return (select o.id from public.outbox o where o.bill_id = p_bill and o.kind = p_kind and o.occasion = p_occasion);
    end if;
    return (select o.id from public.outbox o
            where o.bill_id is null and o.customer_id = p_customer and o.kind = p_kind and o.occasion = p_occasion);
end $$;

COMMENT ON FUNCTION private.message_work(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) IS 'The work that a message belongs to: of its bill, or without one of its account.';

REVOKE ALL ON FUNCTION private.message_work(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.message_work(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) TO service_role;

CREATE FUNCTION private.messages_of(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    if p_bill is not null then
        return array(select n.id from public.notifications n where n.bill_id = p_bill and n.kind = p_kind and n.occasion = p_occasion);
    end if;
    return array(select n.id from public.notifications n
                 where n.bill_id is null and n.customer_id = p_customer and n.kind = p_kind and n.occasion = p_occasion);
end $$;

COMMENT ON FUNCTION private.messages_of(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) IS 'The messages of one work on all channels: of its bill, or without one of its account.';

REVOKE ALL ON FUNCTION private.messages_of(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.messages_of(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) TO service_role;

CREATE FUNCTION private.message_subject(p_bill uuid, p_customer uuid) RETURNS TABLE(bill_id uuid, customer_id uuid, currency text)
    LANGUAGE plpgsql STABLE ROWS 1
    SET search_path TO ''
    AS $$
#variable_conflict use_column
begin
    if p_bill is not null then
        return query select b.id, b.customer_id, b.currency from public.bills b where b.id = p_bill;
    else
        return query select null::uuid, c.id, c.currency from public.customers c where c.id = p_customer;
    end if;
end $$;

COMMENT ON FUNCTION private.message_subject(p_bill uuid, p_customer uuid) IS 'Whom a message is to, in which currency, and about which bill: none where it is about the account.';

REVOKE ALL ON FUNCTION private.message_subject(p_bill uuid, p_customer uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.message_subject(p_bill uuid, p_customer uuid) TO service_role;

CREATE FUNCTION private.subject_json(p_bill uuid, p_customer uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    if p_bill is not null then
        return jsonb_build_object('bill', private.bill_json(p_bill));
    end if;
    return (select jsonb_build_object('account', jsonb_build_object(
                'customer_id', c.id, 'account_no', c.account_no, 'customer_name', c.name, 'currency', c.currency))
            from public.customers c where c.id = p_customer);
end $$;

COMMENT ON FUNCTION private.subject_json(p_bill uuid, p_customer uuid) IS 'What work is about: {bill}, or {account: {customer_id, account_no, customer_name, currency}}.';

REVOKE ALL ON FUNCTION private.subject_json(p_bill uuid, p_customer uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.subject_json(p_bill uuid, p_customer uuid) TO service_role;

CREATE FUNCTION public.owe_statement(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    if not exists (select 1 from public.customers where id = (p ->> 'customer_id')::uuid) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    insert into public.outbox (id, customer_id, kind, occasion, facts, steps, status, finished_at)
    values ((p ->> 'id')::uuid, (p ->> 'customer_id')::uuid, 'account_statement', p ->> 'id',
            jsonb_build_object('statement_start', p ->> 'start', 'statement_end', p ->> 'end'),
            p #> '{owed,steps}', p #>> '{owed,status}', case when p #>> '{owed,status}' <> 'open' then now() end)
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.owe_statement(p jsonb) IS 'A statement of account is to be mailed, once for each id: {actor, id, customer_id, start, end: local dates, the end is the first day after it, owed: {steps, status}}.';

REVOKE ALL ON FUNCTION public.owe_statement(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.owe_statement(p jsonb) TO service_role;

CREATE FUNCTION public.begin_notification(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row public.notifications;
    v_send boolean := false;
    v_rate constant integer := (p ->> 'per_minute')::integer;
    v_at timestamptz;
begin
    insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status)
    select (p ->> 'id')::uuid, b.bill_id, b.customer_id, p ->> 'kind', coalesce(p ->> 'occasion', ''), p ->> 'channel', 'waiting'
    from private.message_subject((p ->> 'bill_id')::uuid, (p ->> 'customer_id')::uuid) b
    on conflict (id) do nothing;
    select * into v_row from public.notifications where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    if v_row.status in ('waiting', 'not_configured') then
        v_at := coalesce(v_row.queued_at, now());
        v_send := v_rate is null or coalesce((p ->> 'granted')::boolean, false)
            or not exists (
                select 1 from public.notifications q
                where q.channel = v_row.channel and q.queued_at is not null and q.id <> v_row.id
                  and ((q.kind = any (array['payment_reminder', 'overdue_notice'])), q.queued_at)
                      < ((v_row.kind = any (array['payment_reminder', 'overdue_notice'])), v_at))
               and private.take_turns(v_row.channel, v_rate, 1) = 1;
        update public.notifications
        set status = case when v_send then 'sending' else 'waiting' end,
            attempts = attempts + case when v_send then 1 else 0 end,
            queued_at = case when not v_send then v_at end,
            error = '', updated_at = now(), recipient = p ->> 'recipient', body = p ->> 'body'
        where id = v_row.id returning * into v_row;
    elsif v_row.status = 'sending' then
        update public.notifications
        set status = 'unknown', updated_at = now(),
            error = 'The program stopped while this was being sent. It may have arrived; it is not sent twice.'
        where id = v_row.id returning * into v_row;
    end if;
    return jsonb_build_object('send', v_send, 'status', v_row.status, 'error', v_row.error,
                              'message_id', v_row.message_id, 'queued', v_row.queued_at is not null);
end $$;

COMMENT ON FUNCTION public.begin_notification(p jsonb) IS 'Says that a message is about to leave, unless it left before or its turn on the channel has not come: {id, bill_id, or null and customer_id, kind, occasion?, channel, recipient, body, per_minute?, granted?: its turn was given by claim_messages} -> {send, status, error, message_id, queued}.';

REVOKE ALL ON FUNCTION public.begin_notification(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_notification(p jsonb) TO service_role;

CREATE FUNCTION private.join_statements() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
begin
    if exists (select 1 from new_rows n where n.bill_id is not null and not exists (select 1 from public.bills b where b.id = n.bill_id)) then
        raise exception using errcode = '23503', message = 'What is owed must be owed for a bill that is there.';
    end if;
    -- A reading that is billed while its engineer waits is told of at once: its work is leased.
    perform private.join_statement(x.customer_id, current_setting('billing.actor', true) = 'job:monthly_bills')
    from (select distinct b.customer_id
          from new_rows n
          join public.bills b on b.id = n.bill_id
          join public.customers c on c.id = b.customer_id and c.one_statement
          where n.kind = 'bill_issued' and n.status = 'open' and n.lease_owner is null
          order by b.customer_id) x;
    return null;
end $$;

COMMENT ON FUNCTION private.join_statements() IS 'Customers who have one statement are told of all bills that are made together in one message.';

REVOKE ALL ON FUNCTION private.join_statements() FROM PUBLIC;
GRANT ALL ON FUNCTION private.join_statements() TO service_role;

CREATE FUNCTION private.release_statements() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.outbox set next_attempt_at = now(), facts = facts - 'statement'
    where facts ? 'statement' and status = 'open';
    return null;
end $$;

COMMENT ON FUNCTION private.release_statements() IS 'The run has ended: the messages that waited for it go out.';

REVOKE ALL ON FUNCTION private.release_statements() FROM PUBLIC;
GRANT ALL ON FUNCTION private.release_statements() TO service_role;

CREATE FUNCTION public.retry_owed_work(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row public.outbox;
    v_unsent boolean;
    v_steps jsonb;
begin
    perform private.set_actor(p);
    select * into v_row from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such work.');
    end if;
    if v_row.status = 'open' then
        return '{}'::jsonb;
    end if;
    update public.notifications set status = 'waiting', updated_at = now()
    where id = any (private.messages_of(v_row.bill_id, v_row.customer_id, v_row.kind, v_row.occasion)) and status in ('failed', 'waiting');
    v_unsent := found;
    v_steps := private.to_try_again(v_row.steps, v_unsent);
    if v_steps = v_row.steps then
        perform private.refuse('EB005', 'Nothing of this can be tried again.');
    end if;
    update public.outbox
    set steps = v_steps, status = 'open', attempts = 0, next_attempt_at = now(), finished_at = null,
        lease_owner = null, lease_until = null
    where id = v_row.id;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.retry_owed_work(p jsonb) IS 'Takes up again what was refused or given up; what is under way is left alone: {actor, id}.';

REVOKE ALL ON FUNCTION public.retry_owed_work(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.retry_owed_work(p jsonb) TO service_role;

CREATE FUNCTION public.set_customer_channels(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row jsonb;
    v_customer uuid;
    v_old public.customer_channels;
    v_new public.customer_channels;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    -- In one order for everybody, so that two imports cannot wait for each other.
    for v_row in select r from jsonb_array_elements(p -> 'rows') r order by r ->> 'account_no' loop
        select id into v_customer from public.customers where account_no = v_row ->> 'account_no' for no key update;
        if not found then
            perform private.refuse('EB404', format('No customer has the account number %s.', v_row ->> 'account_no'));
        end if;
        v_old := null;
        select * into v_old from public.customer_channels k where k.customer_id = v_customer;
        -- What the row names is taken from it, all else stays.
        v_new := jsonb_populate_record(v_old, v_row - '{account_no,customer_id,updated_at,keep_earlier}'::text[]);
        if (v_row ->> 'keep_earlier')::boolean then
            v_new.whatsapp_opt_in_at := coalesce(v_old.whatsapp_opt_in_at, v_new.whatsapp_opt_in_at);
        end if;
        if v_new is distinct from v_old then
            insert into public.customer_channels as k (
                customer_id, discord_webhook_url, whatsapp_opt_in_at, preferred, quiet_from, quiet_until, opted_out_at)
            values (v_customer, v_new.discord_webhook_url, v_new.whatsapp_opt_in_at, v_new.preferred,
                    v_new.quiet_from, v_new.quiet_until, v_new.opted_out_at)
            on conflict (customer_id) do update set
                discord_webhook_url = excluded.discord_webhook_url, whatsapp_opt_in_at = excluded.whatsapp_opt_in_at,
                preferred = excluded.preferred, quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until,
                opted_out_at = excluded.opted_out_at, updated_at = now();
            v_changed := v_changed + 1;
        end if;
    end loop;
    return jsonb_build_object('changed', v_changed);
end $$;

COMMENT ON FUNCTION public.set_customer_channels(p jsonb) IS 'Sets how customers are reached; what a row does not name stays, null takes away, keep_earlier leaves an earlier consent: {actor, rows: [{account_no, discord_webhook_url?, whatsapp_opt_in_at?, keep_earlier?}]}.';

REVOKE ALL ON FUNCTION public.set_customer_channels(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_customer_channels(p jsonb) TO service_role;

CREATE FUNCTION public.set_one_statement(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    if not exists (select 1 from public.customers where id = (p ->> 'customer_id')::uuid) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    update public.customers set one_statement = (p ->> 'one_statement')::boolean
    where id = (p ->> 'customer_id')::uuid and one_statement <> (p ->> 'one_statement')::boolean;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.set_one_statement(p jsonb) IS 'Whether a customer has one statement for all agreements: {actor, customer_id, one_statement}.';

REVOKE ALL ON FUNCTION public.set_one_statement(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_one_statement(p jsonb) TO service_role;

CREATE FUNCTION public.save_owed_work(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row public.outbox;
    v_open boolean := p ->> 'status' = 'open';
    v_release boolean := coalesce((p ->> 'release')::boolean, true);
begin
    perform private.set_actor(p);
    if p ->> 'payment_url' is not null then
        -- Before the outbox row, as whoever changes a bill's balance does.
        perform 1 from public.bills
        where id = (select bill_id from public.outbox where id = (p ->> 'id')::uuid) for update;
    end if;
    select * into v_row from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found or v_row.lease_owner is distinct from p ->> 'owner' then
        perform private.refuse('EB007', 'Another process is working on this by now.');
    end if;
    update public.outbox
    set steps = p -> 'steps', status = p ->> 'status',
        attempts = (p ->> 'attempts')::integer,
        next_attempt_at = case when p ->> 'retry_in_seconds' is null then next_attempt_at
                               else now() + make_interval(secs => (p ->> 'retry_in_seconds')::integer) end,
        finished_at = case when not v_open then now() end,
        lease_owner = case when v_release then null else lease_owner end,
        lease_until = case when v_release then null
                           else now() + make_interval(secs => (p ->> 'lease_seconds')::integer) end
    where id = v_row.id;
    if p ->> 'payment_url' is not null then
        update public.bills set payment_url = p ->> 'payment_url'
        where id = v_row.bill_id and status = 'issued' and payment_url is distinct from p ->> 'payment_url';
    end if;
    insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status, recipient, body, error)
    select n.id, v_row.bill_id, b.customer_id, v_row.kind, v_row.occasion, n.channel, n.status, n.recipient, n.body, n.error
    from jsonb_to_recordset(coalesce(p -> 'notifications', '[]')) as n(
        id uuid, channel text, status text, recipient text, body text, error text)
    cross join private.message_subject(v_row.bill_id, v_row.customer_id) b
    on conflict (id) do nothing;
    if not v_open then
        -- What is not said after all waits for no turn.
        update public.notifications
        set queued_at = null, status = 'not_configured', updated_at = now(), error = coalesce(p #>> '{steps,12,detail}', '')
        where id = any (private.messages_of(v_row.bill_id, v_row.customer_id, v_row.kind, v_row.occasion))
          and (queued_at is not null or status = 'waiting' and attempts = 0);
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.save_owed_work(p jsonb) IS 'Keeps the state of the steps: {actor, id, owner, steps, status, attempts, retry_in_seconds?: without it as before, release, lease_seconds, payment_url?, notifications?}. EB007 when the lease is another''s.';

REVOKE ALL ON FUNCTION public.save_owed_work(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.save_owed_work(p jsonb) TO service_role;

CREATE FUNCTION public.claim_owed_work(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
    v_pending constant text := case p ->> 'lane'
        when 'graph' then $q$o.steps #>> '{8,status}' = 'pending'$q$
        when 'links' then $q$(o.steps #>> '{9,status}' = 'pending' or o.steps #>> '{10,status}' = 'pending')$q$
        when 'messages' then $q$(o.steps #>> '{11,status}' = 'pending' or o.steps #>> '{12,status}' = 'pending'
                                 or o.steps #>> '{13,status}' = 'pending')
            -- A message waits some minutes for its bill's link.
            and (o.created_at <= now() - make_interval(secs => ($2 ->> 'link_patience_seconds')::integer)
                 or 'pending' not in (coalesce(o.steps #>> '{9,status}', ''), coalesce(o.steps #>> '{10,status}', '')))$q$
        else 'true' end;
    -- The reminder waits until the bill itself was sent or given up.
    v_first constant text := case when p ->> 'lane' in ('graph', 'links') then 'true' else $q$not exists (
              select 1 from public.outbox e
              where e.bill_id = o.bill_id and e.status = 'open' and e.created_at < o.created_at
                and 'pending' in (e.steps #>> '{11,status}', e.steps #>> '{12,status}')
                and 'pending' in (o.steps #>> '{11,status}', o.steps #>> '{12,status}')
              -- Of one row at a time, by the index of its bill.
              offset 0)$q$ end;
    v_order constant text := case when p ->> 'lane' = 'messages'
        then $q$(o.kind = any (array['payment_reminder', 'overdue_notice'])), o.next_attempt_at$q$ else 'o.next_attempt_at' end;
    v_due uuid[];
begin
    execute format(
        $q$select array(
            select o.id from public.outbox o
            where o.status = 'open' and o.next_attempt_at <= now()
              and (o.lease_until is null or o.lease_until < now()) and %s and %s
            order by %s limit $1 for update of o skip locked)$q$, v_pending, v_first, v_order)
    into v_due using (p ->> 'limit')::integer, p;
    update public.outbox
    set lease_owner = p ->> 'owner',
        lease_until = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
    where id = any (v_due);
    return (
        select jsonb_build_object('owed', coalesce(jsonb_agg(
            to_jsonb(o) || private.subject_json(o.bill_id, o.customer_id) order by o.created_at), '[]'))
        from public.outbox o where o.id = any (v_due));
end $_$;

COMMENT ON FUNCTION public.claim_owed_work(p jsonb) IS 'Leases what is due, of a bill''s messages the oldest first: {owner, lease_seconds, limit, lane?: graph | links | messages, link_patience_seconds?: of messages} -> {owed: [outbox row with its bill]}.';

REVOKE ALL ON FUNCTION public.claim_owed_work(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_owed_work(p jsonb) TO service_role;

CREATE FUNCTION private.owe_on_balance() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.owe_for_balance(array(
        select n.id from new_rows n join old_rows o on o.id = n.id
        where n.amount_paid_minor <> o.amount_paid_minor or (n.status = 'void' and o.status <> 'void')));
    return null;
end $$;

REVOKE ALL ON FUNCTION private.owe_on_balance() FROM PUBLIC;
GRANT ALL ON FUNCTION private.owe_on_balance() TO service_role;

CREATE FUNCTION private.owe_for_balance(p_bills uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_owed constant jsonb := nullif(current_setting('billing.owed_on_balance', true), '')::jsonb;
begin
    if v_owed is null then
        return;
    end if;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select private.ordered_id(), b, 'balance_changed', v_owed -> 'steps', v_owed ->> 'status',
           case when v_owed ->> 'status' <> 'open' then now() end
    from (select distinct b from unnest(p_bills) b order by b) x
    -- Whoever is at it has looked at the old balance: their lease ends, and it is done again.
    on conflict (bill_id, kind, occasion) do update
    set steps = excluded.steps, status = excluded.status, finished_at = excluded.finished_at, attempts = 0,
        next_attempt_at = now(), lease_owner = null, lease_until = null;
end $$;

COMMENT ON FUNCTION private.owe_for_balance(p_bills uuid[]) IS 'The links of bills are to follow their balances, or whether they are spared, as set_owed said for this transaction.';

REVOKE ALL ON FUNCTION private.owe_for_balance(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.owe_for_balance(p_bills uuid[]) TO service_role;

CREATE FUNCTION private.to_try_again(p_steps jsonb, p_unsent boolean) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO ''
    AS $_$
declare
    v_again constant jsonb := '{"status": "pending", "detail": "to be tried again", "facts": {}}';
    v_step text;
    v_before text;
begin
    for v_step in select k from jsonb_object_keys(p_steps) k order by k::integer loop
        v_before := case v_step when '10' then '9' when '12' then '11' when '13' then '12' end;
        if p_steps -> v_step ->> 'status' = 'failed'
           or (p_unsent and v_step in ('12', '13') and p_steps -> v_step ->> 'status' = 'done')
           -- Skipped only because the step before it came to nothing.
           or (p_steps -> v_step ->> 'detail' ~ '^step \d+ (failed|was skipped)$'
               and p_steps -> v_before ->> 'status' = 'pending') then
            p_steps := jsonb_set(p_steps, array[v_step], v_again);
        end if;
    end loop;
    return p_steps;
end $_$;

COMMENT ON FUNCTION private.to_try_again(p_steps jsonb, p_unsent boolean) IS 'Steps with those that came to nothing pending again; what is done stays done, except sending when a channel is left unsent.';

REVOKE ALL ON FUNCTION private.to_try_again(p_steps jsonb, p_unsent boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION private.to_try_again(p_steps jsonb, p_unsent boolean) TO service_role;

CREATE FUNCTION private.audit_customer_channels() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
    v_after jsonb := to_jsonb(new) - 'updated_at'
        || jsonb_build_object('discord_webhook_url', private.fingerprint(new.discord_webhook_url));
    v_before jsonb;
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, after)
        values (v_actor, 'insert', tg_table_name, new.customer_id::text, new.customer_id, v_after);
        return null;
    end if;
    v_before := to_jsonb(old) - 'updated_at'
        || jsonb_build_object('discord_webhook_url', private.fingerprint(old.discord_webhook_url));
    if v_before <> v_after then
        insert into public.audit_log (actor, action, table_name, row_id, customer_id, before, after)
        values (v_actor, 'update', tg_table_name, new.customer_id::text, new.customer_id,
                private.changed_columns(v_after, v_before), private.changed_columns(v_before, v_after));
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.audit_customer_channels() FROM PUBLIC;
GRANT ALL ON FUNCTION private.audit_customer_channels() TO service_role;

CREATE FUNCTION private.join_statement(p_customer uuid, p_in_run boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bills uuid[];
    v_tells uuid;
    v_told text;
begin
    -- Bills that nobody has begun to tell of, the latest first; it tells of the others.
    select array_agg(x.bill_id order by x.period_end desc, x.number desc) into v_bills
    from (select o.bill_id, b.period_end, b.number
          from public.bills b join public.outbox o on o.bill_id = b.id and o.kind = 'bill_issued'
          where b.customer_id = p_customer and b.status = 'issued' and o.status = 'open'
            and o.steps #>> '{11,status}' = 'pending' and (o.lease_until is null or o.lease_until < now())
            and o.created_at > now() - interval '2 days'
          for update of o) x;
    v_tells := v_bills[1];
    if v_tells is null then
        return;
    end if;
    -- With those that each of them was to tell of already.
    select string_agg(b.id::text, ' ' order by b.period_end desc, b.number desc) into v_told
    from public.bills b
    where b.status = 'issued' and b.id <> v_tells and (b.id = any (v_bills) or b.id in (
        select t.id::uuid from public.outbox o, unnest(string_to_array(o.facts ->> 'tells_of', ' ')) t(id)
        where o.bill_id = any (v_bills) and o.kind = 'bill_issued'));
    update public.outbox o
    set facts = o.facts || case when v_told is null then '{}' else jsonb_build_object('tells_of', v_told) end
            || case when p_in_run then jsonb_build_object('statement', 'waits') else '{}' end,
        -- The run goes through agreements, not customers: the message waits for its end.
        next_attempt_at = case when p_in_run then now() + interval '12 hours' else now() + interval '2 minutes' end
    where o.bill_id = v_tells and o.kind = 'bill_issued';
    update public.outbox o
    set facts = o.facts - 'tells_of' - 'statement', next_attempt_at = now(),
        steps = o.steps || (select jsonb_object_agg(s, '{"status": "skipped", "detail": "in one message with the customer''s other bills"}'::jsonb)
                            from unnest(array['11', '12', '13']) s)
    where o.bill_id = any (v_bills[2:]) and o.kind = 'bill_issued';
end $$;

COMMENT ON FUNCTION private.join_statement(p_customer uuid, p_in_run boolean) IS 'Lets the latest of a customer''s untold bills tell of the others.';

REVOKE ALL ON FUNCTION private.join_statement(p_customer uuid, p_in_run boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION private.join_statement(p_customer uuid, p_in_run boolean) TO service_role;

CREATE FUNCTION private.hand_message_on() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    o public.outbox;
    v_others uuid[];
begin
    select * into o from public.outbox x
    where x.bill_id = new.id and x.kind = 'bill_issued' and x.facts ? 'tells_of' and x.status = 'open'
      -- Written or not: what is written of a void bill is not sent.
      and (x.steps #>> '{11,status}' = 'pending'
           or x.steps #>> '{12,status}' = 'pending' and coalesce(x.steps #> '{12,facts}', '{}') = '{}')
      and (x.lease_until is null or x.lease_until < now())
    for update;
    if not found then
        return null;
    end if;
    v_others := array(select b.id from public.bills b
                      where b.id = any (string_to_array(o.facts ->> 'tells_of', ' ')::uuid[]) and b.status = 'issued'
                      order by b.period_end desc, b.number desc);
    update public.outbox x
    set status = 'open', finished_at = null, next_attempt_at = o.next_attempt_at,
        steps = x.steps - array['11', '12', '13'] || (
            select jsonb_object_agg(s, case when s = '11' or o.steps #>> array[s, 'status'] = 'pending'
                                            then '{"status": "pending", "detail": ""}' else o.steps -> s end)
            from unnest(array['11', '12', '13']) s where o.steps ? s),
        facts = x.facts || (o.facts - 'tells_of')
            || case when cardinality(v_others) > 1
                    then jsonb_build_object('tells_of', (select string_agg(b::text, ' ') from unnest(v_others[2:]) b)) else '{}' end
    where x.bill_id = v_others[1] and x.kind = 'bill_issued';
    update public.outbox x set facts = x.facts - 'tells_of' - 'statement' where x.id = o.id;
    return null;
end $$;

COMMENT ON FUNCTION private.hand_message_on() IS 'Lets another bill tell of those that a void bill was to tell of.';

REVOKE ALL ON FUNCTION private.hand_message_on() FROM PUBLIC;
GRANT ALL ON FUNCTION private.hand_message_on() TO service_role;

CREATE FUNCTION public.pause_channel(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.message_rates as r (channel, free_at)
    values (p ->> 'channel', now() + (p ->> 'ms')::integer * interval '1 millisecond')
    on conflict (channel) do update set free_at = greatest(r.free_at, excluded.free_at);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.pause_channel(p jsonb) IS 'Nothing leaves on a channel for some time, in no process, because its provider asked for that: {channel, ms}.';

REVOKE ALL ON FUNCTION public.pause_channel(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.pause_channel(p jsonb) TO service_role;

CREATE FUNCTION public.message_queue(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('channels', coalesce(jsonb_agg(jsonb_build_object(
        'channel', q.channel, 'waiting', q.waiting, 'since', q.since) order by q.channel), '[]'))
    from (select n.channel, count(*) as waiting, min(n.queued_at) as since
          from public.notifications n where n.queued_at is not null group by 1) q
$$;

COMMENT ON FUNCTION public.message_queue(p jsonb) IS 'How many messages wait for their turn, by channel: {} -> {channels: [{channel, waiting, since}]}.';

REVOKE ALL ON FUNCTION public.message_queue(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.message_queue(p jsonb) TO service_role;

CREATE FUNCTION private.take_turns(p_channel text, p_per_minute integer, p_most integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_free_at timestamptz;
    -- Where many leave in a minute, as many as of a quarter of a second leave together.
    v_turns constant integer := least(p_most, greatest(1, p_per_minute / 240));
begin
    insert into public.message_rates (channel, free_at) values (p_channel, '-infinity') on conflict (channel) do nothing;
    select r.free_at into v_free_at from public.message_rates r where r.channel = p_channel for update;
    -- No provider asks to wait for a day: such a time was set by a wrong clock.
    if v_turns < 1 or v_free_at > clock_timestamp() and v_free_at < clock_timestamp() + interval '1 day' then
        return 0;
    end if;
    update public.message_rates set free_at = clock_timestamp() + interval '1 minute' / p_per_minute * v_turns
    where channel = p_channel;
    return v_turns;
end $$;

COMMENT ON FUNCTION private.take_turns(p_channel text, p_per_minute integer, p_most integer) IS 'How many messages may leave on a channel now, at most so many; the next may when they would have at the rate.';

REVOKE ALL ON FUNCTION private.take_turns(p_channel text, p_per_minute integer, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_turns(p_channel text, p_per_minute integer, p_most integer) TO service_role;

CREATE FUNCTION public.claim_messages(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_channel constant text := p ->> 'channel';
    v_turns integer := 0;
    v_rows uuid[] := '{}';
begin
    if not exists (select 1 from public.notifications where channel = v_channel and queued_at is not null) then
        return jsonb_build_object('owed', '[]'::jsonb);
    end if;
    v_turns := private.take_turns(v_channel, (p ->> 'per_minute')::integer, (p ->> 'limit')::integer);
    if v_turns > 0 then
        v_rows := array(
            select o.id
            from public.notifications n
            join public.outbox o on o.id = private.message_work(n.bill_id, n.customer_id, n.kind, n.occasion)
            where n.channel = v_channel and n.queued_at is not null
              and o.status = 'open' and (o.lease_until is null or o.lease_until < now())
            order by n.kind = any (array['payment_reminder', 'overdue_notice']), n.queued_at, n.id
            limit v_turns
            for update of o skip locked);
        -- Due, should the process die: what became of its message is then looked at without the queue.
        update public.outbox
        set lease_owner = p ->> 'owner', next_attempt_at = now(),
            lease_until = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
        where id = any (v_rows);
    end if;
    return (
        select jsonb_build_object(
            'owed', coalesce(jsonb_agg(to_jsonb(o) || private.subject_json(o.bill_id, o.customer_id) || jsonb_build_object('granted', v_channel)
                                       order by o.created_at), '[]'),
            'wait_ms', (select greatest(0, ceil(extract(epoch from r.free_at - clock_timestamp()) * 1000))::integer
                        from public.message_rates r where r.channel = v_channel))
        from public.outbox o where o.id = any (v_rows));
end $$;

COMMENT ON FUNCTION public.claim_messages(p jsonb) IS 'Leases the work of the first messages in a channel''s queue, as many as may leave now: {owner, lease_seconds, channel, per_minute, limit} -> {owed: [outbox row with its bill, granted], wait_ms?: when to ask again; nothing waits without it}.';

REVOKE ALL ON FUNCTION public.claim_messages(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_messages(p jsonb) TO service_role;

CREATE FUNCTION public.trust_email(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.customer_channels
    set bounced_email = null, bounced_at = null, email_trusted_at = now(), updated_at = now()
    where customer_id = (p ->> 'customer_id')::uuid and bounced_email is not null;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.trust_email(p jsonb) IS 'Lets mail go again to an address that it came back from: {actor, customer_id}.';

REVOKE ALL ON FUNCTION public.trust_email(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.trust_email(p jsonb) TO service_role;

CREATE FUNCTION private.note_life() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_state constant text := case when new.queued_at is not null then 'queued'
                                  when new.status = 'waiting' and new.attempts = 0 then 'held'
                                  else new.status end;
    v_last constant jsonb := new.life -> -1;
begin
    -- Nothing is said of what was never to leave, nor of a row that only begins.
    if new.status = 'not_configured' and new.life = '[]' or v_state = 'held' and new.error = ''
       or v_last ->> 'state' = v_state and coalesce(v_last ->> 'why', '') = new.error
       or jsonb_array_length(new.life) >= 60 then
        return new;
    end if;
    new.life := new.life || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
        'at', now(), 'state', v_state, 'why', nullif(new.error, ''))));
    return new;
end $$;

COMMENT ON FUNCTION private.note_life() IS 'Adds to a message''s life what became of it, where that is something new.';

REVOKE ALL ON FUNCTION private.note_life() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_life() TO service_role;

CREATE FUNCTION public.note_delivery(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_status constant text := p ->> 'status';
    v_back constant boolean := v_status in ('undelivered', 'bounced');
    v_row public.notifications;
    v_work public.outbox;
begin
    perform private.set_actor(p);
    select * into v_row from public.notifications where id = (p ->> 'id')::uuid;
    if not found or v_row.channel <> p ->> 'channel' then
        return jsonb_build_object('known', false, 'changed', false);
    end if;
    -- The work before its messages, as whoever saves it does.
    select * into v_work from public.outbox o
    where o.id = private.message_work(v_row.bill_id, v_row.customer_id, v_row.kind, v_row.occasion) for update;
    select * into v_row from public.notifications where id = v_row.id for update;
    -- A report that comes twice, or after one that says more, changes nothing.
    if not (v_row.status in ('sending', 'sent', 'unknown') or v_row.status = 'delivered' and v_status = 'read') then
        return jsonb_build_object('known', true, 'changed', false);
    end if;
    update public.notifications
    set status = v_status, error = coalesce(p ->> 'detail', ''), updated_at = now(),
        message_id = coalesce(nullif(p ->> 'message_id', ''), message_id)
    where id = v_row.id;
    if v_back and (p ->> 'address_is_gone')::boolean then
        perform private.note_unreachable(v_row);
    elsif not v_back and v_row.channel = 'sms' then
        update public.customer_channels set unreached_phone = null, unreached_phone_at = null, updated_at = now()
        where customer_id = v_row.customer_id and unreached_phone is not null;
    end if;
    if v_back and v_work.id is not null and v_work.steps #>> '{12,status}' in ('done', 'pending', 'failed') then
        -- The other channels are tried, each of them once; whoever is at it does not know of this.
        update public.outbox
        set steps = steps || '{"12": {"status": "pending", "detail": "came back, so on another channel"}, "13": {"status": "pending"}}',
            status = 'open', attempts = 0, next_attempt_at = now(), finished_at = null, lease_owner = null, lease_until = null
        where id = v_work.id;
    end if;
    return jsonb_build_object('known', true, 'changed', true);
end $$;

COMMENT ON FUNCTION public.note_delivery(p jsonb) IS 'What a channel reports of a message that it took: {actor, id, channel, status: delivered | read | undelivered | bounced, detail?, message_id?, address_is_gone?} -> {known, changed}. What came back is tried on the other channels.';

REVOKE ALL ON FUNCTION public.note_delivery(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_delivery(p jsonb) TO service_role;

CREATE FUNCTION public.hold_message(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.notifications set queued_at = null, updated_at = now()
    where id = any (private.messages_of((p ->> 'bill_id')::uuid, (p ->> 'customer_id')::uuid, p ->> 'kind', p ->> 'occasion')) and queued_at is not null;
    if p ->> 'id' is not null then
        insert into public.notifications as n (id, bill_id, customer_id, kind, occasion, channel, status, recipient, body, error)
        select (p ->> 'id')::uuid, b.bill_id, b.customer_id, p ->> 'kind', p ->> 'occasion', p ->> 'channel', 'waiting',
               p ->> 'recipient', p ->> 'body', p ->> 'why'
        from private.message_subject((p ->> 'bill_id')::uuid, (p ->> 'customer_id')::uuid) b
        on conflict (id) do update set error = excluded.error, updated_at = now()
        where n.status = 'waiting' and n.error <> excluded.error;
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.hold_message(p jsonb) IS 'Takes a message out of the queues of all channels, for its time comes later, and says so of the channel that it will leave on: {bill_id, or null and customer_id, kind, occasion, id?, channel, recipient, body, why}.';

REVOKE ALL ON FUNCTION public.hold_message(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.hold_message(p jsonb) TO service_role;

CREATE FUNCTION public.mailbox_read(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row public.mailboxes;
    v_passed constant bigint := coalesce((p ->> 'passed_over')::bigint, 0);
begin
    if p ? 'last_uid' then
        insert into public.mailboxes as m (name, uid_validity, last_uid, waiting, passed_over, flooded_since, flooded_at)
        values (p ->> 'name', (p ->> 'uid_validity')::bigint, (p ->> 'last_uid')::bigint, coalesce((p ->> 'waiting')::bigint, 0),
                v_passed, case when v_passed > 0 then now() end, case when v_passed > 0 then now() end)
        on conflict (name) do update
        set last_uid = case when m.uid_validity = excluded.uid_validity then greatest(m.last_uid, excluded.last_uid) else excluded.last_uid end,
            uid_validity = excluded.uid_validity, read_at = now(), waiting = excluded.waiting,
            passed_over = case when v_passed = 0 then m.passed_over
                               when m.flooded_at > now() - interval '1 day' then m.passed_over + v_passed else v_passed end,
            flooded_since = case when v_passed = 0 or m.flooded_at > now() - interval '1 day' then m.flooded_since else now() end,
            flooded_at = case when v_passed = 0 then m.flooded_at else now() end;
    end if;
    select * into v_row from public.mailboxes where name = p ->> 'name';
    return to_jsonb(v_row) - 'name';
end $$;

COMMENT ON FUNCTION public.mailbox_read(p jsonb) IS 'How far a mailbox was read, after noting it where it is given: {name, uid_validity?, last_uid?, waiting?, passed_over?} -> {uid_validity, last_uid, read_at, waiting, passed_over, flooded_since, flooded_at}, null for one that never was.';

REVOKE ALL ON FUNCTION public.mailbox_read(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.mailbox_read(p jsonb) TO service_role;

CREATE FUNCTION public.send_again(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_work public.outbox;
begin
    perform private.set_actor(p);
    select * into v_work from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such work.');
    end if;
    if v_work.facts ->> 'again' = p ->> 'form_id' then
        return '{}'::jsonb;
    end if;
    if v_work.status = 'open' then
        perform private.refuse('EB005', 'It is still being sent.');
    end if;
    if coalesce(v_work.steps #>> '{11,facts,text}', '') = '' then
        perform private.refuse('EB005', 'Nothing was written, so nothing can be sent again.');
    end if;
    update public.outbox
    set steps = steps || jsonb_build_object('12', jsonb_build_object('status', 'pending', 'detail', 'once more, by ' || (p ->> 'label')),
                                            '13', '{"status": "pending"}'::jsonb),
        facts = facts || jsonb_build_object('again', p ->> 'form_id', 'again_on', p ->> 'channel'),
        status = 'open', attempts = 0, next_attempt_at = now(), finished_at = null, lease_owner = null, lease_until = null
    where id = v_work.id;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.send_again(p jsonb) IS 'Sends a message once more on one channel, because somebody asks for it; once for each form: {actor, id: of the work, form_id, channel, label: as people call it}.';

REVOKE ALL ON FUNCTION public.send_again(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.send_again(p jsonb) TO service_role;

CREATE FUNCTION public.handle_reply(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.customer_replies set handled_at = now(), handled_by = p ->> 'actor'
    where id = (p ->> 'id')::uuid and handled_at is null;
    if not found and not exists (select 1 from public.customer_replies where id = (p ->> 'id')::uuid) then
        perform private.refuse('EB404', 'No such reply.');
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.handle_reply(p jsonb) IS 'Says that somebody saw to a customer''s answer: {actor, id}.';

REVOKE ALL ON FUNCTION public.handle_reply(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.handle_reply(p jsonb) TO service_role;

CREATE FUNCTION public.note_reply(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_customer uuid;
    v_notification uuid;
    v_new boolean;
    v_at constant timestamptz := (p ->> 'received_at')::timestamptz;
begin
    perform private.set_actor(p);
    -- A STOP or a START counts always. Mails are weighed before they are read (customer_replies_wanted).
    if p ->> 'channel' <> 'email' and p ->> 'wants_texts' is null
       and (select count(*) from (select 1 from public.customer_replies r
                                  where lower(r.sender) = lower(p ->> 'sender') and r.channel = p ->> 'channel'
                                    and r.created_at > now() - interval '1 day' limit 100) x) = 100 then
        return jsonb_build_object('new', false);
    end if;
    select n.id, n.customer_id into v_notification, v_customer
    from public.notifications n where n.id = (p ->> 'notification_id')::uuid;
    if v_customer is null then
        -- Only where no two customers share it.
        select case when count(*) = 1 then (array_agg(x.id))[1] end into v_customer
        from (select c.id from public.customers c
              where case when p ->> 'channel' = 'email' then c.email <> '' and lower(c.email) = lower(p ->> 'sender')
                         else c.phone = p ->> 'sender' end limit 2) x;
    end if;
    insert into public.customer_replies (id, customer_id, notification_id, channel, sender, subject, body, received_at)
    values ((p ->> 'id')::uuid, v_customer, v_notification, p ->> 'channel', p ->> 'sender', coalesce(p ->> 'subject', ''),
            coalesce(p ->> 'body', ''), v_at)
    on conflict (id) do nothing;
    v_new := found;
    -- What is delivered twice must not undo what was said in between.
    if v_new and (p ->> 'wants_texts')::boolean then
        update public.stopped_numbers set started_at = greatest(v_at, stopped_at)
        where phone = p ->> 'sender' and started_at is null;
    elsif v_new and not (p ->> 'wants_texts')::boolean then
        insert into public.stopped_numbers as s (phone, stopped_at) values (p ->> 'sender', v_at)
        on conflict (phone) do update set stopped_at = excluded.stopped_at, started_at = null where s.started_at is not null;
    end if;
    return jsonb_build_object('new', v_new);
end $$;

COMMENT ON FUNCTION public.note_reply(p jsonb) IS 'Keeps what a customer answered, once, and of a number 100 within a day: {actor, id, notification_id?, channel, sender, subject?, body?, received_at, wants_texts?: false for STOP, true for START} -> {new}.';

REVOKE ALL ON FUNCTION public.note_reply(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_reply(p jsonb) TO service_role;

CREATE FUNCTION private.dialled(p_phone text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select regexp_replace(replace(p_phone, '(0)', ''), '[^0-9+]', '', 'g')
$$;

COMMENT ON FUNCTION private.dialled(p_phone text) IS 'A number with its country code as it is dialled from anywhere; one without stays what it is.';

REVOKE ALL ON FUNCTION private.dialled(p_phone text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.dialled(p_phone text) TO service_role;

CREATE FUNCTION public.note_address_gone(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    insert into public.customer_channels as k (customer_id, bounced_email, bounced_at)
    select c.id, c.email, now() from public.customers c
    -- Unless it was changed since.
    where c.id = (p ->> 'customer_id')::uuid and c.email <> '' and c.email = p ->> 'email'
    on conflict (customer_id) do update
    set bounced_email = excluded.bounced_email, bounced_at = excluded.bounced_at, updated_at = now()
    where k.bounced_email is distinct from excluded.bounced_email
      -- A mailbox may be read twice: what came before somebody trusted the address says nothing of it.
      and coalesce(k.email_trusted_at < (p ->> 'reported_at')::timestamptz, true);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.note_address_gone(p jsonb) IS 'A code or a note that was sent at once came back, for the address is not there: {actor, customer_id, email, reported_at?}.';

REVOKE ALL ON FUNCTION public.note_address_gone(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_address_gone(p jsonb) TO service_role;

CREATE FUNCTION public.unreached_page(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_at constant timestamptz := coalesce((p #>> '{after,at}')::timestamptz, '-infinity');
    v_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
    v_found uuid[];
    v_rows jsonb;
begin
    if p ? 'works' then
        v_found := array(select o.id from public.outbox o
                         where o.id = any (array(select jsonb_array_elements_text(p -> 'works')::uuid)) and o.status <> 'open');
    else
        v_found := array(select o.id from public.outbox o
                         where o.unreached_at is not null and (o.unreached_at, o.id) > (v_at, v_id)
                         order by o.unreached_at, o.id limit v_limit);
    end if;
    v_rows := (
        select jsonb_agg(jsonb_build_object(
            'work_id', x.id, 'at', coalesce(x.unreached_at, x.finished_at), 'kind', x.kind, 'bill_id', x.bill_id, 'bill_number', b.number,
            'currency', coalesce(b.currency, c.currency), 'customer_id', c.id, 'account_no', c.account_no, 'customer_name', c.name, 'language', c.language,
            'occasion', x.occasion, 'facts', x.facts || coalesce(x.steps #> '{11,facts}', '{}'),
            'address', coalesce(nullif(btrim(c.address), ''), btrim(s.address), ''),
            'why', coalesce((
                select jsonb_object_agg(n.channel, n.error) from public.notifications n
                where n.id = any (private.messages_of(x.bill_id, x.customer_id, x.kind, x.occasion)) and n.channel <> 'discord'), '{}'))
            order by x.unreached_at, x.id)
        from public.outbox x
        left join public.bills b on b.id = x.bill_id
        join public.customers c on c.id = coalesce(b.customer_id, x.customer_id)
        left join public.service_agreements g on g.id = b.agreement_id
        left join public.service_points s on s.id = g.service_point_id
        where x.id = any (v_found));
    return jsonb_build_object(
        'rows', coalesce(v_rows, '[]'),
        'after', case when not p ? 'works' and cardinality(v_found) = v_limit
                      then jsonb_build_object('at', v_rows -> -1 -> 'at', 'id', v_rows -> -1 -> 'work_id') end,
        'total', (select count(*) from (select 1 from public.outbox o where o.unreached_at is not null limit 10001) t));
end $$;

COMMENT ON FUNCTION public.unreached_page(p jsonb) IS 'Messages that reached nobody, those that wait for the longest first: {limit, after?, works?: those of these outbox entries, reached or not} -> {rows: [{work_id, at, kind, bill_id, bill_number, currency, customer_id, account_no, customer_name, language, occasion, facts: with those of the text that was written, address, why: by channel}], after, total: 10,001 at most}.';

REVOKE ALL ON FUNCTION public.unreached_page(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unreached_page(p jsonb) TO service_role;

CREATE FUNCTION public.print_letters(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_batch public.letter_batches;
    v_works constant uuid[] := array(select (l ->> 'work_id')::uuid from jsonb_array_elements(p -> 'letters') l
                                     union select jsonb_array_elements_text(p -> 'dropped')::uuid);
    v_new uuid[];
begin
    perform private.set_actor(p);
    select * into v_batch from public.letter_batches where id = (p ->> 'id')::uuid;
    if found then
        return to_jsonb(v_batch);
    end if;
    -- Whoever prints the same at the same time waits here, and finds the letters printed.
    perform 1 from public.outbox o where o.id = any (v_works) order by o.id for update;
    with new as (
        insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status, recipient, body)
        select (l ->> 'id')::uuid, o.bill_id, b.customer_id, o.kind, o.occasion, 'letter', 'sent', 'by post', l ->> 'body'
        from jsonb_array_elements(p -> 'letters') l
        join public.outbox o on o.id = (l ->> 'work_id')::uuid and o.status <> 'open'
        cross join lateral private.message_subject(o.bill_id, o.customer_id) b
        on conflict (id) do nothing
        returning id)
    select array(select n.id from new n) into v_new;
    if v_new <> '{}' then
        insert into public.letter_batches (id, made_by, written_on, letters)
        values ((p ->> 'id')::uuid, p ->> 'actor', (p ->> 'today')::date, cardinality(v_new)) returning * into v_batch;
        insert into public.letters (id, batch_id, place, customer_id, bill_id, kind, customer_name, address, account_no, language,
                                    currency, subject, body, encloses, credit_notes)
        select (l ->> 'id')::uuid, v_batch.id, x.place, b.customer_id, o.bill_id, o.kind, l ->> 'customer_name', l ->> 'address',
               l ->> 'account_no', l ->> 'language', b.currency, l ->> 'subject', l ->> 'body',
               array(select jsonb_array_elements_text(l -> 'encloses')::uuid),
               array(select jsonb_array_elements_text(l -> 'credit_notes')::uuid)
        from jsonb_array_elements(p -> 'letters') with ordinality x(l, place)
        join public.outbox o on o.id = (l ->> 'work_id')::uuid
        cross join lateral private.message_subject(o.bill_id, o.customer_id) b
        where (l ->> 'id')::uuid = any (v_new);
    end if;
    update public.outbox set unreached_at = null where id = any (v_works) and unreached_at is not null;
    return case when v_batch.id is null then null else to_jsonb(v_batch) end;
end $$;

COMMENT ON FUNCTION public.print_letters(p jsonb) IS 'Keeps messages as letters that are printed together, each once, whoever prints it: {actor, id: of the batch, today, letters: [{id: of the notification, work_id, customer_name, address, account_no, language, subject, body, encloses, credit_notes}], dropped: [work_id of what needs no letter any more]} -> the batch, or null where all were printed before.';

REVOKE ALL ON FUNCTION public.print_letters(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.print_letters(p jsonb) TO service_role;

CREATE FUNCTION private.note_unreached() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    new.unreached_at := null;
    if new.status <> 'open' and coalesce(new.steps #>> '{11,facts,text}', '') <> ''
       and coalesce(new.steps #>> '{12,facts,sent}', '') <> 'no'
       and not exists (
           select 1 from public.notifications n
           where n.id = any (private.messages_of(new.bill_id, new.customer_id, new.kind, new.occasion)) and n.channel <> 'discord'
             and n.status in ('sending', 'sent', 'delivered', 'read', 'unknown'))
       -- Who wants no messages wants no letters, but for what the law asks for.
       and (new.kind = 'disconnection_notice' or not exists (
           select 1 from private.message_subject(new.bill_id, new.customer_id) b
           join public.customer_channels k on k.customer_id = b.customer_id
           where k.opted_out_at is not null)) then
        new.unreached_at := now();
    end if;
    return new;
end $$;

COMMENT ON FUNCTION private.note_unreached() IS 'Keeps of a message whose work ended whether it reached the customer. Thanks are worth no stamp.';

REVOKE ALL ON FUNCTION private.note_unreached() FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_unreached() TO service_role;

CREATE FUNCTION public.customer_replies_wanted(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with given as (
        select (m ->> 'uid')::bigint as uid, lower(m ->> 'sender') as sender,
               exists (select 1 from public.notifications n where n.id = (m ->> 'notification_id')::uuid)
               or exists (select 1 from public.customers c where c.email <> '' and lower(c.email) = lower(m ->> 'sender')) as known
        from jsonb_array_elements(p -> 'mails') m
    ), lately as materialized (
        select lower(r.sender) as sender, r.customer_id is not null as known
        from public.customer_replies r
        where r.channel = 'email' and r.created_at > now() - interval '1 day'
    ), of_sender as (
        select g.*, row_number() over (partition by g.sender order by g.uid)
                    + (select count(*) from lately l where l.sender = g.sender) as place
        from given g
    ), of_kind as (
        select s.*, row_number() over (partition by s.known order by s.uid)
                    + (select count(*) from lately l where l.known = s.known) as place_of_kind
        from of_sender s where s.place <= (p ->> 'most_of_sender')::integer
    )
    select jsonb_build_object('wanted', coalesce(jsonb_agg(k.uid order by k.uid), '[]'))
    from of_kind k
    where k.place_of_kind <= case when k.known then (p ->> 'most_of_customers')::integer else (p ->> 'most_of_strangers')::integer end
$$;

COMMENT ON FUNCTION public.customer_replies_wanted(p jsonb) IS 'Which mails are kept as answers, so that a flood of them fills nothing: {mails: [{uid, sender, notification_id?}], most_of_sender, most_of_customers, most_of_strangers: within a day} -> {wanted: [uid]}.';

REVOKE ALL ON FUNCTION public.customer_replies_wanted(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.customer_replies_wanted(p jsonb) TO service_role;

CREATE FUNCTION private.note_unreachable(p_notification public.notifications) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    -- When it left: what was changed or trusted since is not what it went to.
    v_left constant timestamptz := coalesce(
        (select max((e ->> 'at')::timestamptz) from jsonb_array_elements(p_notification.life) e where e ->> 'state' = 'sending'),
        p_notification.created_at);
    v_column constant text := case p_notification.channel when 'email' then 'email' when 'sms' then 'phone' end;
begin
    if v_column is null or exists (
        select 1 from public.audit_log a
        where a.table_name = 'customers' and a.row_id = p_notification.customer_id::text
          and a.action = 'update' and a.at > v_left and a.after ? v_column) then
        return;
    end if;
    if v_column = 'email' then
        insert into public.customer_channels as k (customer_id, bounced_email, bounced_at)
        select c.id, c.email, now() from public.customers c
        where c.id = p_notification.customer_id and c.email <> ''
        on conflict (customer_id) do update
        set bounced_email = excluded.bounced_email, bounced_at = excluded.bounced_at, updated_at = now()
        where k.bounced_email is distinct from excluded.bounced_email and coalesce(k.email_trusted_at < v_left, true);
    else
        insert into public.customer_channels as k (customer_id, unreached_phone, unreached_phone_at)
        select c.id, private.dialled(c.phone), now() from public.customers c
        where c.id = p_notification.customer_id and c.phone <> ''
        on conflict (customer_id) do update
        set unreached_phone = excluded.unreached_phone, unreached_phone_at = excluded.unreached_phone_at, updated_at = now()
        where k.unreached_phone is distinct from excluded.unreached_phone;
    end if;
end $$;

COMMENT ON FUNCTION private.note_unreachable(p_notification public.notifications) IS 'Marks the customer''s address or number as not there, unless it was changed since the message left, or trusted again.';

REVOKE ALL ON FUNCTION private.note_unreachable(p_notification public.notifications) FROM PUBLIC;
GRANT ALL ON FUNCTION private.note_unreachable(p_notification public.notifications) TO service_role;

CREATE TRIGGER bills_owe_on_balance AFTER UPDATE ON public.bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.owe_on_balance();

CREATE TRIGGER hand_message_on AFTER UPDATE OF status ON public.bills FOR EACH ROW WHEN (((new.status = 'void'::text) AND (old.status = 'issued'::text))) EXECUTE FUNCTION private.hand_message_on();

CREATE TRIGGER audit_reopened AFTER UPDATE ON public.outbox FOR EACH ROW WHEN (((old.status <> 'open'::text) AND (new.status = 'open'::text))) EXECUTE FUNCTION private.audit_reopened_work();

CREATE TRIGGER join_statements AFTER INSERT ON public.outbox REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.join_statements();

CREATE TRIGGER note_unreached BEFORE UPDATE OF status ON public.outbox FOR EACH ROW WHEN (((new.status IS DISTINCT FROM old.status) AND (new.kind <> ALL (ARRAY['payment_received'::text, 'balance_changed'::text, 'account_statement'::text])))) EXECUTE FUNCTION private.note_unreached();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.outbox FOR EACH ROW WHEN ((old.status = 'open'::text)) EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER note_life BEFORE INSERT OR UPDATE OF status, error, queued_at, attempts ON public.notifications FOR EACH ROW EXECUTE FUNCTION private.note_life();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.notifications FOR EACH ROW WHEN ((old.status = ANY (ARRAY['waiting'::text, 'sending'::text]))) EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER release_statements AFTER UPDATE ON public.job_runs FOR EACH ROW WHEN (((new.job = 'monthly_bills'::text) AND (old.status = 'running'::text) AND (new.status <> 'running'::text))) EXECUTE FUNCTION private.release_statements();

CREATE TRIGGER audit AFTER INSERT OR UPDATE ON public.customer_channels FOR EACH ROW EXECUTE FUNCTION private.audit_customer_channels();

CREATE TRIGGER audit_insert AFTER INSERT ON public.letter_batches REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.letter_batches REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.letter_batches FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.letter_batches FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.letter_batches FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.letters FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.letters FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.letters FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

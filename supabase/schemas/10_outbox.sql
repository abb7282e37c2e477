-- Outbox: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.outbox (
    id uuid NOT NULL,
    bill_id uuid NOT NULL,
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
    CONSTRAINT outbox_check CHECK (((status = 'open'::text) = (finished_at IS NULL))),
    CONSTRAINT outbox_facts_check CHECK ((jsonb_typeof(facts) = 'object'::text)),
    CONSTRAINT outbox_kind_check CHECK ((kind = ANY (ARRAY['bill_issued'::text, 'payment_reminder'::text, 'overdue_notice'::text, 'payment_received'::text, 'balance_changed'::text, 'bill_corrected'::text]))),
    CONSTRAINT outbox_status_check CHECK ((status = ANY (ARRAY['open'::text, 'finished'::text, 'given_up'::text]))),
    CONSTRAINT outbox_steps_check CHECK ((jsonb_typeof(steps) = 'object'::text))
);

COMMENT ON TABLE public.outbox IS 'What is still owed for a bill after its commit: one row a bill and occasion, a state a step.';

COMMENT ON COLUMN public.outbox.kind IS 'balance_changed: the link and the graph follow what is left to pay; one row a bill, taken up anew at each change.';

COMMENT ON COLUMN public.outbox.steps IS '{"8": {"status": "pending|done|skipped|failed", "detail": text, …}, …}';

COMMENT ON COLUMN public.outbox.lease_until IS 'By the database''s clock: until then only lease_owner works on this row.';

COMMENT ON COLUMN public.outbox.occasion IS 'Which one, where a bill has several of a kind: of payment_received the payment.';

COMMENT ON COLUMN public.outbox.facts IS 'What the occasion is about, as texts: of payment_received the payment and its amount.';

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_once UNIQUE (bill_id, kind, occasion);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

CREATE INDEX outbox_due ON public.outbox USING btree (next_attempt_at) WHERE (status = 'open'::text);

CREATE INDEX outbox_failed ON public.outbox USING btree (finished_at DESC) WHERE ((status <> 'open'::text) AND jsonb_path_exists(steps, '$.*."status"?(@ == "failed")'::jsonpath));

CREATE INDEX outbox_finished ON public.outbox USING btree (finished_at) WHERE (status <> 'open'::text);

CREATE INDEX outbox_held_for_statement ON public.outbox USING btree (bill_id) WHERE (facts ? 'statement'::text);

CREATE INDEX outbox_oldest ON public.outbox USING btree (created_at) WHERE (status = 'open'::text);

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
    CONSTRAINT notifications_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT notifications_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'sending'::text, 'sent'::text, 'not_configured'::text, 'failed'::text, 'unknown'::text])))
);

COMMENT ON TABLE public.notifications IS 'One row a bill, occasion and channel. It says "sending" before a message leaves, so that a crash in between is seen: then "unknown", and not sent twice.';

COMMENT ON COLUMN public.notifications.status IS 'waiting: will be tried again. unknown: it left, and no answer told what became of it.';

COMMENT ON COLUMN public.notifications.recipient IS 'Masked: enough to recognise, not enough to use.';

COMMENT ON COLUMN public.notifications.message_id IS 'The other side''s id of the message.';

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (id);

CREATE INDEX notifications_bill ON public.notifications USING btree (bill_id);

CREATE INDEX notifications_customer ON public.notifications USING btree (customer_id);

CREATE INDEX notifications_recent ON public.notifications USING btree (created_at DESC);

CREATE INDEX notifications_undone ON public.notifications USING btree (updated_at DESC) WHERE (status = ANY (ARRAY['waiting'::text, 'sending'::text, 'failed'::text, 'unknown'::text]));

ALTER TABLE public.notifications ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.notifications TO service_role;

CREATE TABLE public.customer_channels (
    customer_id uuid NOT NULL,
    discord_webhook_url text,
    whatsapp_opt_in_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT customer_channels_discord_webhook_url_check CHECK ((discord_webhook_url ~ '^https?://'::text))
);

COMMENT ON TABLE public.customer_channels IS 'How a customer wants to be reached beside the post. Apart from customers, so that lists of them never carry an address that is a secret.';

COMMENT ON COLUMN public.customer_channels.discord_webhook_url IS 'A secret: whoever knows it can post there. Never listed, logged or audited; the audit trail has a fingerprint.';

COMMENT ON COLUMN public.customer_channels.whatsapp_opt_in_at IS 'When the customer agreed to messages on WhatsApp; null: not agreed, or withdrawn.';

ALTER TABLE ONLY public.customer_channels
    ADD CONSTRAINT customer_channels_pkey PRIMARY KEY (customer_id);

ALTER TABLE public.customer_channels ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.customer_channels TO service_role;

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.customer_channels
    ADD CONSTRAINT customer_channels_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

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
    o.occasion
   FROM (public.outbox o
     JOIN public.bills b ON ((b.id = o.bill_id)));

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
     JOIN public.bills b ON ((b.id = o.bill_id)))
     JOIN public.customers c ON ((c.id = b.customer_id)))
  WHERE ((o.status <> 'open'::text) AND jsonb_path_exists(o.steps, '$.*."status"?(@ == "failed")'::jsonpath));

COMMENT ON VIEW public.failed_work_list IS 'Owed work that ended with a step refused or given up: a person must look.';

GRANT SELECT,INSERT,REFERENCES,DELETE,TRUNCATE,MAINTAIN,UPDATE ON TABLE public.failed_work_list TO service_role;

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

CREATE FUNCTION private.join_statements() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
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

CREATE FUNCTION public.set_customer_channels(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row jsonb;
    v_customer uuid;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    -- In one order for everybody, so that two imports cannot wait for each other.
    for v_row in select r from jsonb_array_elements(p -> 'rows') r order by r ->> 'account_no' loop
        select id into v_customer from public.customers where account_no = v_row ->> 'account_no';
        if not found then
            perform private.refuse('EB404', format('No customer has the account number %s.', v_row ->> 'account_no'));
        end if;
        insert into public.customer_channels as k (customer_id, discord_webhook_url, whatsapp_opt_in_at)
        values (v_customer, v_row ->> 'discord_webhook_url', (v_row ->> 'whatsapp_opt_in_at')::timestamptz)
        on conflict (customer_id) do update
        set discord_webhook_url = case when v_row ? 'discord_webhook_url' then excluded.discord_webhook_url
                                       else k.discord_webhook_url end,
            whatsapp_opt_in_at = case when not v_row ? 'whatsapp_opt_in_at' then k.whatsapp_opt_in_at
                                      when (v_row ->> 'keep_earlier')::boolean
                                          then coalesce(k.whatsapp_opt_in_at, excluded.whatsapp_opt_in_at)
                                      else excluded.whatsapp_opt_in_at end,
            updated_at = now()
        where (v_row ? 'discord_webhook_url' and k.discord_webhook_url is distinct from excluded.discord_webhook_url)
           or (v_row ? 'whatsapp_opt_in_at' and k.whatsapp_opt_in_at is distinct from excluded.whatsapp_opt_in_at
               and not (k.whatsapp_opt_in_at is not null and coalesce((v_row ->> 'keep_earlier')::boolean, false)));
        if found then
            v_changed := v_changed + 1;
        end if;
    end loop;
    return jsonb_build_object('changed', v_changed);
end $$;

COMMENT ON FUNCTION public.set_customer_channels(p jsonb) IS 'Sets how customers are reached; what a row does not name stays, null takes away, keep_earlier leaves an earlier consent: {actor, rows: [{account_no, discord_webhook_url?, whatsapp_opt_in_at?, keep_earlier?}]}.';

REVOKE ALL ON FUNCTION public.set_customer_channels(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_customer_channels(p jsonb) TO service_role;

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
    where bill_id = v_row.bill_id and kind = v_row.kind and occasion = v_row.occasion and status in ('failed', 'waiting');
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

CREATE FUNCTION public.begin_notification(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row public.notifications;
    v_send boolean := false;
begin
    insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status)
    select (p ->> 'id')::uuid, b.id, b.customer_id, p ->> 'kind', coalesce(p ->> 'occasion', ''), p ->> 'channel', 'waiting'
    from public.bills b where b.id = (p ->> 'bill_id')::uuid
    on conflict (id) do nothing;
    select * into v_row from public.notifications where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    if v_row.status in ('waiting', 'not_configured') then
        v_send := true;
        update public.notifications
        set status = 'sending', attempts = attempts + 1, error = '', updated_at = now(),
            recipient = p ->> 'recipient', body = p ->> 'body'
        where id = v_row.id returning * into v_row;
    elsif v_row.status = 'sending' then
        update public.notifications
        set status = 'unknown', updated_at = now(),
            error = 'The program stopped while this was being sent. It may have arrived; it is not sent twice.'
        where id = v_row.id returning * into v_row;
    end if;
    return jsonb_build_object('send', v_send, 'status', v_row.status, 'error', v_row.error,
                              'message_id', v_row.message_id);
end $$;

COMMENT ON FUNCTION public.begin_notification(p jsonb) IS 'Says that a message is about to leave, unless it left before: {id, bill_id, kind, occasion?, channel, recipient, body} -> {send, status, error, message_id}.';

REVOKE ALL ON FUNCTION public.begin_notification(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_notification(p jsonb) TO service_role;

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
        next_attempt_at = now() + make_interval(secs => coalesce((p ->> 'retry_in_seconds')::integer, 0)),
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
    cross join public.bills b
    where b.id = v_row.bill_id
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.save_owed_work(p jsonb) IS 'Keeps the state of the steps: {actor, id, owner, steps, status, attempts, retry_in_seconds, release, lease_seconds, payment_url?, notifications?}. EB007 when the lease is another''s.';

REVOKE ALL ON FUNCTION public.save_owed_work(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.save_owed_work(p jsonb) TO service_role;

CREATE FUNCTION public.claim_owed_work(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_due uuid[] := array(
        select o.id from public.outbox o
        where o.status = 'open' and o.next_attempt_at <= now()
          and (o.lease_until is null or o.lease_until < now())
          -- The reminder waits until the bill itself was sent or given up.
          and not exists (
              select 1 from public.outbox e
              where e.bill_id = o.bill_id and e.status = 'open' and e.created_at < o.created_at
                and 'pending' in (e.steps #>> '{11,status}', e.steps #>> '{12,status}')
                and 'pending' in (o.steps #>> '{11,status}', o.steps #>> '{12,status}'))
        order by o.next_attempt_at
        limit (p ->> 'limit')::integer
        for update of o skip locked);
begin
    update public.outbox
    set lease_owner = p ->> 'owner',
        lease_until = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
    where id = any (v_due);
    return (
        select jsonb_build_object('owed', coalesce(jsonb_agg(
            to_jsonb(o) || jsonb_build_object('bill', private.bill_json(o.bill_id)) order by o.created_at), '[]'))
        from public.outbox o where o.id = any (v_due));
end $$;

COMMENT ON FUNCTION public.claim_owed_work(p jsonb) IS 'Leases what is due, of a bill''s messages the oldest first: {owner, lease_seconds, limit} -> {owed: [outbox row with its bill]}.';

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
    select gen_random_uuid(), b, 'balance_changed', v_owed -> 'steps', v_owed ->> 'status',
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
        steps = x.steps || (
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

CREATE TRIGGER bills_owe_on_balance AFTER UPDATE ON public.bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.owe_on_balance();

CREATE TRIGGER hand_message_on AFTER UPDATE OF status ON public.bills FOR EACH ROW WHEN (((new.status = 'void'::text) AND (old.status = 'issued'::text))) EXECUTE FUNCTION private.hand_message_on();

CREATE TRIGGER audit_reopened AFTER UPDATE ON public.outbox FOR EACH ROW WHEN (((old.status <> 'open'::text) AND (new.status = 'open'::text))) EXECUTE FUNCTION private.audit_reopened_work();

CREATE TRIGGER join_statements AFTER INSERT ON public.outbox REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.join_statements();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.outbox FOR EACH ROW WHEN ((old.status = 'open'::text)) EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.notifications FOR EACH ROW WHEN ((old.status = ANY (ARRAY['waiting'::text, 'sending'::text]))) EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER release_statements AFTER UPDATE ON public.job_runs FOR EACH ROW WHEN (((new.job = 'monthly_bills'::text) AND (old.status = 'running'::text) AND (new.status <> 'running'::text))) EXECUTE FUNCTION private.release_statements();

CREATE TRIGGER audit AFTER INSERT OR UPDATE ON public.customer_channels FOR EACH ROW EXECUTE FUNCTION private.audit_customer_channels();

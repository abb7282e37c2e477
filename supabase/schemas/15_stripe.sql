-- Stripe: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.payment_links (
    id text NOT NULL,
    bill_id uuid NOT NULL,
    url text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT payment_links_amount_minor_check CHECK ((amount_minor > 0)),
    CONSTRAINT payment_links_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT payment_links_id_check CHECK ((id <> ''::text)),
    CONSTRAINT payment_links_url_check CHECK ((url ~ '^https?://'::text))
);

COMMENT ON TABLE public.payment_links IS 'Every link that was ever made for a bill''s balance. When the balance changes, the old one is closed and a new one made.';

COMMENT ON COLUMN public.payment_links.id IS 'The payment provider''s own id of the link, needed to close it.';

ALTER TABLE ONLY public.payment_links
    ADD CONSTRAINT payment_links_pkey PRIMARY KEY (id);

CREATE INDEX payment_links_bill ON public.payment_links USING btree (bill_id, created_at DESC);

CREATE UNIQUE INDEX payment_links_one_active ON public.payment_links USING btree (bill_id) WHERE active;

ALTER TABLE public.payment_links ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.payment_links TO service_role;

CREATE TABLE public.stripe_events (
    id text NOT NULL,
    type text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    arrived_by text NOT NULL,
    livemode boolean NOT NULL,
    object_id text DEFAULT ''::text NOT NULL,
    payment_intent text,
    effect jsonb,
    outcome text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    payment_id uuid,
    CONSTRAINT stripe_events_arrived_by_check CHECK ((arrived_by = ANY (ARRAY['webhook'::text, 'reconciliation'::text]))),
    CONSTRAINT stripe_events_check CHECK (((outcome <> ALL (ARRAY['applied'::text, 'waiting'::text])) OR (effect IS NOT NULL))),
    CONSTRAINT stripe_events_effect_check CHECK ((jsonb_typeof(effect) = 'object'::text)),
    CONSTRAINT stripe_events_id_check CHECK ((id <> ''::text)),
    CONSTRAINT stripe_events_outcome_check CHECK ((outcome = ANY (ARRAY['applied'::text, 'waiting'::text, 'kept'::text, 'ignored'::text]))),
    CONSTRAINT stripe_events_type_check CHECK ((type <> ''::text))
);

COMMENT ON TABLE public.stripe_events IS 'Every event of Stripe by its own id, and what became of it. No customer''s name or address is kept.';

COMMENT ON COLUMN public.stripe_events.created_at IS 'When it happened, by Stripe''s clock.';

COMMENT ON COLUMN public.stripe_events.payment_intent IS 'Stripe''s id of the payment it is about; ours have it as provider_id.';

COMMENT ON COLUMN public.stripe_events.effect IS 'What it means for us, in our own words and minor units; null: nothing.';

COMMENT ON COLUMN public.stripe_events.outcome IS 'applied: it counted, or had counted already. waiting: for another event that has not come. kept: of no effect, or for a person to look at. ignored: not ours.';

ALTER TABLE ONLY public.stripe_events
    ADD CONSTRAINT stripe_events_pkey PRIMARY KEY (id);

CREATE INDEX stripe_events_by_outcome ON public.stripe_events USING btree (outcome, created_at DESC, id DESC);

CREATE INDEX stripe_events_by_type ON public.stripe_events USING btree (type, created_at DESC, id DESC);

CREATE INDEX stripe_events_intent ON public.stripe_events USING btree (payment_intent, created_at) WHERE (payment_intent IS NOT NULL);

CREATE INDEX stripe_events_object ON public.stripe_events USING btree (object_id);

CREATE INDEX stripe_events_payment ON public.stripe_events USING btree (payment_id) WHERE (payment_id IS NOT NULL);

CREATE INDEX stripe_events_recent ON public.stripe_events USING btree (created_at DESC, id DESC);

ALTER TABLE public.stripe_events ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.stripe_events TO service_role;

CREATE TABLE public.reconciliations (
    id uuid NOT NULL,
    kind text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    applied integer DEFAULT 0 NOT NULL,
    differences jsonb DEFAULT '[]'::jsonb NOT NULL,
    equal jsonb DEFAULT '[]'::jsonb NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    CONSTRAINT reconciliations_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT reconciliations_applied_check CHECK ((applied >= 0)),
    CONSTRAINT reconciliations_check CHECK ((until >= since)),
    CONSTRAINT reconciliations_differences_check CHECK ((jsonb_typeof(differences) = 'array'::text)),
    CONSTRAINT reconciliations_equal_check CHECK ((jsonb_typeof(equal) = 'array'::text)),
    CONSTRAINT reconciliations_kind_check CHECK ((kind = ANY (ARRAY['events'::text, 'payments'::text])))
);

COMMENT ON TABLE public.reconciliations IS 'Each look at Stripe: what the webhook had missed, or how our payments and Stripe''s differ.';

COMMENT ON COLUMN public.reconciliations.kind IS 'events: what Stripe told was read again and applied. payments: the payments of both were compared.';

COMMENT ON COLUMN public.reconciliations.until IS 'Of events that ended without an error: all that Stripe told before it is here.';

COMMENT ON COLUMN public.reconciliations.applied IS 'Events that had not come, or payments and refunds that were taken up.';

COMMENT ON COLUMN public.reconciliations.equal IS 'Payments that both have alike, by currency: [{currency, number, minor}].';

ALTER TABLE ONLY public.reconciliations
    ADD CONSTRAINT reconciliations_pkey PRIMARY KEY (id);

CREATE INDEX reconciliations_recent ON public.reconciliations USING btree (at DESC, id);

ALTER TABLE public.reconciliations ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.reconciliations TO service_role;

ALTER TABLE ONLY public.payment_links
    ADD CONSTRAINT payment_links_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.stripe_events
    ADD CONSTRAINT stripe_events_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments(id);

CREATE VIEW public.stripe_payment_list WITH (security_invoker='true') AS
 SELECT y.id,
    y.provider_id AS payment_intent,
    y.amount_minor,
    y.currency,
    y.received_at,
    c.account_no,
    private.invoice_reference(b.number) AS bill_reference,
    (COALESCE(( SELECT sum(r.amount_minor) AS sum
           FROM public.payment_returns r
          WHERE ((r.payment_id = y.id) AND (r.kind = 'refund'::text) AND (r.method = 'stripe'::text) AND (r.status = 'done'::text))), (0)::numeric))::bigint AS refunded_minor
   FROM ((public.payments y
     LEFT JOIN public.customers c ON ((c.id = y.customer_id)))
     LEFT JOIN public.bills b ON ((b.id = y.bill_id)))
  WHERE ((y.method = 'stripe'::text) AND (y.provider_id IS NOT NULL));

COMMENT ON VIEW public.stripe_payment_list IS 'Our payments that came by Stripe, with what went back by it.';

GRANT SELECT ON TABLE public.stripe_payment_list TO service_role;

CREATE VIEW public.stripe_event_list WITH (security_invoker='true') AS
 SELECT e.id,
    e.type,
    e.created_at,
    e.received_at,
    e.arrived_by,
    e.livemode,
    e.object_id,
    e.payment_intent,
    e.effect,
    e.outcome,
    e.detail,
    e.payment_id,
    y.amount_minor AS payment_minor,
    y.currency AS payment_currency,
    y.bill_id,
    b.number AS bill_number,
    c.account_no
   FROM (((public.stripe_events e
     LEFT JOIN public.payments y ON ((y.id = e.payment_id)))
     LEFT JOIN public.bills b ON ((b.id = y.bill_id)))
     LEFT JOIN public.customers c ON ((c.id = y.customer_id)));

COMMENT ON VIEW public.stripe_event_list IS 'Events of Stripe with the payment that each is about.';

GRANT ALL ON TABLE public.stripe_event_list TO service_role;

CREATE FUNCTION public.close_payment_link(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_link public.payment_links;
begin
    perform private.set_actor(p);
    perform 1 from public.bills where id = (select bill_id from public.payment_links where id = p ->> 'id') for update;
    update public.payment_links set active = false where id = p ->> 'id' and active returning * into v_link;
    if found then
        update public.bills set payment_url = null
        where id = v_link.bill_id and status = 'issued' and payment_url = v_link.url;
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.close_payment_link(p jsonb) IS 'Closes a link and takes it off its bill: {actor, id}.';

REVOKE ALL ON FUNCTION public.close_payment_link(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.close_payment_link(p jsonb) TO service_role;

CREATE FUNCTION private.guard_stripe_event() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_may constant text[] := array['outcome', 'detail', 'payment_id'];
begin
    if old.outcome <> 'waiting' or to_jsonb(new) - v_may <> to_jsonb(old) - v_may then
        raise exception using errcode = 'EB005', message = 'What Stripe told is never overwritten.';
    end if;
    return new;
end $$;

REVOKE ALL ON FUNCTION private.guard_stripe_event() FROM PUBLIC;
GRANT ALL ON FUNCTION private.guard_stripe_event() TO service_role;

CREATE FUNCTION private.failed_at_stripe(p_intent text, p_since timestamp with time zone) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(sum(f.amount), 0)::bigint
    from (select distinct effect ->> 'refund_id', (effect ->> 'amount_minor')::bigint as amount
          from public.stripe_events
          where payment_intent = p_intent and effect ->> 'kind' = 'refund_failed' and outcome = 'applied'
            and created_at >= p_since) f
$$;

COMMENT ON FUNCTION private.failed_at_stripe(p_intent text, p_since timestamp with time zone) IS 'What of a payment''s refunds is known to have failed since a moment.';

REVOKE ALL ON FUNCTION private.failed_at_stripe(p_intent text, p_since timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION private.failed_at_stripe(p_intent text, p_since timestamp with time zone) TO service_role;

CREATE FUNCTION private.guard_payment_link() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if to_jsonb(new) - 'active' <> to_jsonb(old) - 'active' or (new.active and not old.active) then
        raise exception using errcode = 'EB005',
            message = 'A payment link never changes: it is closed, and another is made.';
    end if;
    return new;
end $$;

REVOKE ALL ON FUNCTION private.guard_payment_link() FROM PUBLIC;
GRANT ALL ON FUNCTION private.guard_payment_link() TO service_role;

CREATE FUNCTION private.reinstate_dispute(y public.payments, e public.stripe_events) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.payment_returns;
begin
    select * into r from public.payment_returns
    where provider_id = e.effect ->> 'dispute_id' and payment_id = y.id;
    if not found then
        return null;
    elsif r.status <> 'done' then
        return 'Counted already.';
    end if;
    perform private.undo_return(r, (e.effect ->> 'on_date')::date, 'The bank gave the money back');
    return 'The money is back.';
end $$;

REVOKE ALL ON FUNCTION private.reinstate_dispute(y public.payments, e public.stripe_events) FROM PUBLIC;
GRANT ALL ON FUNCTION private.reinstate_dispute(y public.payments, e public.stripe_events) TO service_role;

CREATE FUNCTION public.pause_stripe(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.message_rates as r (channel, free_at)
    select c, clock_timestamp() + (p ->> 'ms')::integer * interval '1 millisecond'
    from unnest(array['stripe', 'stripe, for somebody']) c order by c
    on conflict (channel) do update set free_at = greatest(r.free_at, excluded.free_at);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.pause_stripe(p jsonb) IS 'No process asks Stripe for anything for some time, because Stripe asked for that: {ms}.';

REVOKE ALL ON FUNCTION public.pause_stripe(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.pause_stripe(p jsonb) TO service_role;

CREATE FUNCTION public.record_reconciliation(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    insert into public.reconciliations (id, kind, actor, since, until, applied, differences, equal, detail, error)
    select x.id, x.kind, p ->> 'actor', x.since, x.until, x.applied, x.differences, x.equal, x.detail, x.error
    from jsonb_to_record(p) as x(
        id uuid, kind text, since timestamptz, until timestamptz, applied integer, differences jsonb, equal jsonb,
        detail text, error text)
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.record_reconciliation(p jsonb) IS 'Keeps what a look at Stripe found: {actor, id, kind, since, until, applied, differences, equal, detail, error}.';

REVOKE ALL ON FUNCTION public.record_reconciliation(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_reconciliation(p jsonb) TO service_role;

CREATE FUNCTION public.save_payment_link(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bill public.bills;
    v_active boolean;
begin
    perform private.set_actor(p);
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    select active into v_active from public.payment_links where id = p ->> 'id';
    if not found then
        -- A payment or a void may have come since the link was asked for: then it is of no use.
        v_active := v_bill.status = 'issued'
            and v_bill.total_minor - v_bill.amount_paid_minor = (p ->> 'amount_minor')::bigint;
        if v_active then
            update public.payment_links set active = false where bill_id = v_bill.id and active;
            update public.bills set payment_url = p ->> 'url' where id = v_bill.id;
        end if;
        insert into public.payment_links (id, bill_id, url, amount_minor, currency, active)
        values (p ->> 'id', v_bill.id, p ->> 'url', (p ->> 'amount_minor')::bigint, p ->> 'currency', v_active);
    end if;
    return jsonb_build_object('active', v_active);
end $$;

COMMENT ON FUNCTION public.save_payment_link(p jsonb) IS 'Keeps a new link and, when it is for the balance of now, puts it on the bill in place of the one before: {actor, id, bill_id, url, amount_minor, currency} -> {active}.';

REVOKE ALL ON FUNCTION public.save_payment_link(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.save_payment_link(p jsonb) TO service_role;

CREATE FUNCTION public.apply_stripe_event(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    e public.stripe_events;
    v_intent constant text := p #>> '{event,payment_intent}';
    v_replay boolean;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    -- One after another: two that come at the same moment must not both find that the other has not come.
    perform pg_advisory_xact_lock(hashtextextended('stripe ' || coalesce(v_intent, p #>> '{event,id}'), 0));
    insert into public.stripe_events (id, type, created_at, arrived_by, livemode, object_id, payment_intent, effect, outcome, detail)
    select x.id, x.type, x.created_at, p ->> 'arrived_by', x.livemode, coalesce(x.object_id, ''), x.payment_intent,
           nullif(p -> 'effect', 'null'), coalesce(p ->> 'outcome', 'waiting'), coalesce(p ->> 'detail', '')
    from jsonb_to_record(p -> 'event') as x(
        id text, type text, created_at timestamptz, livemode boolean, object_id text, payment_intent text)
    on conflict (id) do nothing
    returning * into e;
    v_replay := not found;
    if v_replay then
        select * into e from public.stripe_events where id = p #>> '{event,id}';
    elsif e.outcome = 'waiting' then
        e := private.take_stripe_event(e, p -> 'owed');
        if e.outcome = 'applied' and v_intent is not null then
            perform private.take_waiting_stripe_events(v_intent, p -> 'owed');
        end if;
    end if;
    return jsonb_build_object('replay', v_replay, 'outcome', e.outcome, 'detail', e.detail, 'payment_id', e.payment_id);
end $$;

COMMENT ON FUNCTION public.apply_stripe_event(p jsonb) IS 'Stores an event of Stripe, once, with all that it changes: {actor, event: {id, type, created_at, livemode, object_id, payment_intent}, arrived_by: webhook|reconciliation, effect or outcome: ignored|kept, detail?, owed?: {payment_received, balance_changed}} -> {replay, outcome, detail, payment_id}. Effects by kind: payment {payment_id, bill_id?, link_id?, expected_minor?, expected_currency?, amount_minor, currency, received_at, received_on}; refunded {refunded_total_minor, currency, on_date}; refund_failed {refund_id, amount_minor, currency, on_date}; dispute_opened|withdrawn|reinstated|closed {dispute_id, amount_minor, currency, on_date, result? of closed: won|lost|closed}; payment_awaited, payment_failed, expired {}.';

REVOKE ALL ON FUNCTION public.apply_stripe_event(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.apply_stripe_event(p jsonb) TO service_role;

CREATE FUNCTION private.stripe_return(y public.payments, p_kind text, p_amount bigint, p_provider_id text, p_reason text, p_on date) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.payment_returns;
begin
    insert into public.payment_returns (id, payment_id, customer_id, book, kind, amount_minor, currency, method, reason,
                                        status, provider_id, on_date, created_by)
    values (private.ordered_id(), y.id, y.customer_id, y.book, p_kind, p_amount, y.currency, 'stripe', p_reason,
            'done', p_provider_id, p_on, current_setting('billing.actor'))
    returning * into r;
    perform private.post_return(r);
    -- The money left, whatever we think of it: it is counted, and somebody looks.
    if (select sum(x.amount_minor) from public.payment_returns x where x.payment_id = y.id and x.status = 'done') > y.amount_minor then
        perform private.raise_flag(y.id, 'amount_differs', 'More went back than came.');
    end if;
end $$;

COMMENT ON FUNCTION private.stripe_return(y public.payments, p_kind text, p_amount bigint, p_provider_id text, p_reason text, p_on date) IS 'Money went back at Stripe: it is stored and counted.';

REVOKE ALL ON FUNCTION private.stripe_return(y public.payments, p_kind text, p_amount bigint, p_provider_id text, p_reason text, p_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.stripe_return(y public.payments, p_kind text, p_amount bigint, p_provider_id text, p_reason text, p_on date) TO service_role;

CREATE FUNCTION private.take_stripe_event(e public.stripe_events, p_owed jsonb) RETURNS public.stripe_events
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if e.effect ->> 'kind' = 'payment' then
        e := private.take_stripe_payment(e, p_owed);
        perform private.release_spared('session ' || e.object_id, 'The money came.');
    elsif e.effect ->> 'kind' = 'payment_awaited' then
        perform private.spare_while_debited(e);
        e.outcome := 'applied';
    elsif e.effect ->> 'kind' in ('payment_failed', 'expired') then
        perform private.release_spared('session ' || e.object_id, e.detail);
        e.outcome := 'applied';
    elsif e.effect ->> 'kind' like 'autopay%' then
        e := private.take_autopay_event(e, p_owed);
    else
        e := private.take_stripe_aftermath(e);
        perform private.pause_disputed_autopay(e) where e.effect ->> 'kind' = 'dispute_opened' and e.outcome = 'applied';
    end if;
    update public.stripe_events set outcome = e.outcome, detail = e.detail, payment_id = e.payment_id where id = e.id;
    return e;
end $$;

REVOKE ALL ON FUNCTION private.take_stripe_event(e public.stripe_events, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_stripe_event(e public.stripe_events, p_owed jsonb) TO service_role;

CREATE FUNCTION private.flag_stripe_payment(p_payment_id uuid, b public.bills, p_effect jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.payment_flags (payment_id, reason, detail)
    select p_payment_id, f.reason, f.detail
    from (select (p_effect ->> 'amount_minor')::bigint as amount, p_effect ->> 'currency' as currency,
                 b.total_minor - b.amount_paid_minor as open,
                 b.status = 'issued' and b.currency = p_effect ->> 'currency' as payable,
                 private.invoice_reference(b.number) as reference) x
    cross join lateral (values
        ('unknown_bill', b.id is null, case when p_effect ->> 'bill_id' is null then 'It names no bill.'
            else format('It names a bill that is not here: %s.', p_effect ->> 'bill_id') end),
        ('currency_differs', b.currency <> x.currency,
            format('The bill is in %s; the money is on an account in %s and pays no bill.', b.currency, x.currency)),
        ('bill_void', b.status = 'void',
            format('%s was void; the money pays what else is open, and the rest is credit.', coalesce(x.reference, 'The bill'))),
        ('bill_not_issued', b.status = 'draft', 'The bill was a draft; the money pays what else is open, and the rest is credit.'),
        ('already_paid', x.payable and x.open <= 0,
            format('Nothing was left to pay of %s; the money pays what else is open, and the rest is credit.', x.reference)),
        ('amount_differs', x.payable and x.open > 0 and x.amount <> x.open,
            format(case when x.amount < x.open then 'Less came than was open of %s.'
                   else 'More came than was open of %s; the rest pays what else is open, or is credit.' end, x.reference)
            || case when x.amount = (p_effect ->> 'expected_minor')::bigint then ' It is what the link asked for.' else '' end)
    ) f(reason, raised, detail)
    where f.raised
$$;

COMMENT ON FUNCTION private.flag_stripe_payment(p_payment_id uuid, b public.bills, p_effect jsonb) IS 'Says what is odd about a payment, by its bill as it was just before.';

REVOKE ALL ON FUNCTION private.flag_stripe_payment(p_payment_id uuid, b public.bills, p_effect jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.flag_stripe_payment(p_payment_id uuid, b public.bills, p_effect jsonb) TO service_role;

CREATE FUNCTION private.fail_refund(y public.payments, e public.stripe_events) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_detail text := private.undo_failed_refund(y, e);
    v_later public.stripe_events;
begin
    if v_detail is not null then
        -- A later total may have seemed reached by what has just been undone.
        select * into v_later from public.stripe_events
        where payment_intent = e.payment_intent and effect ->> 'kind' = 'refunded' and outcome = 'applied'
          and created_at > e.created_at
        order by created_at desc, id limit 1;
        if found then
            perform private.match_refunded(y, v_later);
        end if;
    end if;
    return v_detail;
end $$;

REVOKE ALL ON FUNCTION private.fail_refund(y public.payments, e public.stripe_events) FROM PUBLIC;
GRANT ALL ON FUNCTION private.fail_refund(y public.payments, e public.stripe_events) TO service_role;

CREATE FUNCTION private.spare_while_debited(e public.stripe_events) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.spared_bills (bill_id, reason, source, detail, until)
    select (private.bill_now(b.id)).id, 'bank_debit', 'session ' || e.object_id, 'The customer''s bank is paying it.', now() + interval '21 days'
    from public.bills b
    where b.id = coalesce((select x.id from public.bills x where x.id = (e.effect ->> 'bill_id')::uuid),
                          (select l.bill_id from public.payment_links l where l.id = e.effect ->> 'link_id'))
      -- The bank's answer may have come before.
      and not exists (select 1 from public.stripe_events x where x.object_id = e.object_id and x.id <> e.id
                      and x.outcome = 'applied' and x.effect ->> 'kind' in ('payment', 'payment_failed', 'expired'))
    on conflict (bill_id, source) do nothing
$$;

COMMENT ON FUNCTION private.spare_while_debited(e public.stripe_events) IS 'A bank debit is under way, which takes days: nobody is pressed for the bill meanwhile, three weeks at most.';

REVOKE ALL ON FUNCTION private.spare_while_debited(e public.stripe_events) FROM PUBLIC;
GRANT ALL ON FUNCTION private.spare_while_debited(e public.stripe_events) TO service_role;

CREATE FUNCTION private.match_refunded(y public.payments, e public.stripe_events) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.payment_returns;
    -- Stripe tells the total as it was at that moment: what has failed since was still in it.
    v_more bigint := (e.effect ->> 'refunded_total_minor')::bigint - private.failed_at_stripe(e.payment_intent, e.created_at)
        - coalesce((select sum(x.amount_minor) from public.payment_returns x
                    where x.payment_id = y.id and x.kind = 'refund' and x.method = 'stripe' and x.status = 'done'), 0)::bigint;
begin
    if v_more <= 0 then
        return 'Counted already.';
    end if;
    -- Those that we asked for, before their own answer: one of just this amount first, then the oldest.
    for r in
        select * from public.payment_returns
        where payment_id = y.id and kind = 'refund' and method = 'stripe' and status = 'pending'
        order by amount_minor = v_more desc, created_at, id
    loop
        continue when r.amount_minor > v_more;
        update public.payment_returns set status = 'done', error = '' where id = r.id returning * into r;
        perform private.post_return(r);
        v_more := v_more - r.amount_minor;
    end loop;
    if v_more > 0 then
        perform private.stripe_return(y, 'refund', v_more, null, 'Refunded at Stripe', (e.effect ->> 'on_date')::date);
    end if;
    return 'Counted.';
end $$;

COMMENT ON FUNCTION private.match_refunded(y public.payments, e public.stripe_events) IS 'Brings the refunds of a payment up to the total that Stripe told: those asked for by us are done, the rest was made at Stripe.';

REVOKE ALL ON FUNCTION private.match_refunded(y public.payments, e public.stripe_events) FROM PUBLIC;
GRANT ALL ON FUNCTION private.match_refunded(y public.payments, e public.stripe_events) TO service_role;

CREATE FUNCTION private.withdraw_dispute(y public.payments, e public.stripe_events) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_dispute constant text := e.effect ->> 'dispute_id';
begin
    if not exists (select 1 from public.payment_returns where provider_id = v_dispute) then
        perform private.stripe_return(y, 'dispute', (e.effect ->> 'amount_minor')::bigint, v_dispute, 'Disputed at the bank',
                                      (e.effect ->> 'on_date')::date);
        return 'Counted.';
    elsif exists (select 1 from public.stripe_events x
                  where x.payment_intent = e.payment_intent and x.outcome = 'applied' and x.created_at < e.created_at
                    and x.effect ->> 'kind' = 'dispute_reinstated' and x.effect ->> 'dispute_id' = v_dispute) then
        perform private.raise_flag(y.id, 'disputed', 'The bank took the money again after it had given it back: record that by hand.');
        return 'Taken again: recorded by hand.';
    end if;
    return 'Counted already.';
end $$;

REVOKE ALL ON FUNCTION private.withdraw_dispute(y public.payments, e public.stripe_events) FROM PUBLIC;
GRANT ALL ON FUNCTION private.withdraw_dispute(y public.payments, e public.stripe_events) TO service_role;

CREATE FUNCTION private.take_stripe_payment(e public.stripe_events, p_owed jsonb) RETURNS public.stripe_events
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    b public.bills;
    v_id constant uuid := (e.effect ->> 'payment_id')::uuid;
    v_named constant uuid := (e.effect ->> 'bill_id')::uuid;
begin
    e.outcome := 'applied';
    select id into e.payment_id from public.payments where provider_id = e.payment_intent;
    if found then
        e.detail := 'Counted already.';
        return e;
    end if;
    select * into b from public.bills
    where id in (v_named, (select bill_id from public.payment_links where id = e.effect ->> 'link_id'))
    order by id = v_named desc limit 1;
    perform private.lock_customers(array[b.customer_id]);
    -- As it is now that nobody else changes it.
    select * into b from public.bills where id = b.id;
    perform private.take_payment(jsonb_build_object(
        'id', v_id, 'bill_id', b.id, 'customer_id', b.customer_id, 'amount_minor', e.effect -> 'amount_minor',
        'currency', e.effect ->> 'currency', 'method', 'stripe', 'provider_id', e.payment_intent,
        'received_at', e.effect ->> 'received_at', 'received_on', e.effect ->> 'received_on'));
    perform private.flag_stripe_payment(v_id, b, e.effect);
    perform private.owe_thanks(v_id, p_owed -> 'payment_received');
    e.payment_id := v_id;
    e.detail := coalesce((select string_agg(detail, ' ' order by reason) from public.payment_flags where payment_id = v_id), 'Counted.');
    return e;
end $$;

REVOKE ALL ON FUNCTION private.take_stripe_payment(e public.stripe_events, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_stripe_payment(e public.stripe_events, p_owed jsonb) TO service_role;

CREATE FUNCTION private.take_waiting_stripe_events(p_intent text, p_owed jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    e public.stripe_events;
    v_again boolean := true;
begin
    while v_again loop
        v_again := false;
        for e in select * from public.stripe_events where payment_intent = p_intent and outcome = 'waiting' order by created_at, id loop
            e := private.take_stripe_event(e, p_owed);
            v_again := v_again or e.outcome <> 'waiting';
        end loop;
    end loop;
end $$;

COMMENT ON FUNCTION private.take_waiting_stripe_events(p_intent text, p_owed jsonb) IS 'Tries what waits of a payment, until nothing more can be done.';

REVOKE ALL ON FUNCTION private.take_waiting_stripe_events(p_intent text, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_waiting_stripe_events(p_intent text, p_owed jsonb) TO service_role;

CREATE FUNCTION private.undo_failed_refund(y public.payments, e public.stripe_events) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.payment_returns;
    v_on constant date := (e.effect ->> 'on_date')::date;
    v_left bigint := (e.effect ->> 'amount_minor')::bigint;
begin
    if exists (select 1 from public.stripe_events x
               where x.payment_intent = e.payment_intent and x.id <> e.id and x.outcome = 'applied'
                 and x.effect ->> 'kind' = 'refund_failed' and x.effect ->> 'refund_id' = e.effect ->> 'refund_id') then
        return 'Counted already.';
    end if;
    select * into r from public.payment_returns
    where provider_id = e.effect ->> 'refund_id' and payment_id = y.id;
    if r.status = 'pending' then
        update public.payment_returns set status = 'failed', error = 'It failed at Stripe.' where id = r.id;
        return 'It had not been counted yet.';
    elsif r.status = 'done' then
        perform private.undo_return(r, v_on, 'The refund failed at Stripe');
        return 'The money is back.';
    elsif r.status = 'undone' or (r.status = 'failed' and not exists (
        select 1 from public.payment_returns x where x.payment_id = y.id and x.kind = 'refund' and x.method = 'stripe'
           and x.status = 'done' and x.provider_id is null and x.amount_minor = v_left)) then
        return 'Known already.';
    end if;
    -- Only its amount is known: of those made at Stripe, one of just this amount, else the newest.
    if (select coalesce(sum(x.amount_minor), 0) from public.payment_returns x
        where x.payment_id = y.id and x.kind = 'refund' and x.method = 'stripe' and x.status = 'done'
          and x.provider_id is null) < v_left then
        return null;
    end if;
    for r in
        select * from public.payment_returns x
        where x.payment_id = y.id and x.kind = 'refund' and x.method = 'stripe' and x.status = 'done' and x.provider_id is null
        order by x.amount_minor = v_left desc, x.created_at desc, x.id
    loop
        exit when v_left <= 0;
        perform private.undo_return(r, v_on, 'The refund failed at Stripe');
        v_left := v_left - r.amount_minor;
    end loop;
    if v_left < 0 then
        perform private.stripe_return(y, 'refund', -v_left, null, 'Refunded at Stripe', v_on);
    end if;
    return 'The money is back.';
end $$;

COMMENT ON FUNCTION private.undo_failed_refund(y public.payments, e public.stripe_events) IS 'A refund that did not arrive came back: undone by its id, else by its amount; null when it is not known yet.';

REVOKE ALL ON FUNCTION private.undo_failed_refund(y public.payments, e public.stripe_events) FROM PUBLIC;
GRANT ALL ON FUNCTION private.undo_failed_refund(y public.payments, e public.stripe_events) TO service_role;

CREATE FUNCTION private.close_dispute(y public.payments, e public.stripe_events) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if not exists (select 1 from public.stripe_events x
                   where x.payment_intent = e.payment_intent and x.outcome = 'applied'
                     and x.effect ->> 'kind' = 'dispute_opened' and x.effect ->> 'dispute_id' = e.effect ->> 'dispute_id') then
        return null;
    elsif e.effect ->> 'result' = 'lost' then
        perform private.raise_flag(y.id, 'disputed', 'The dispute was lost: what the payment paid is open again.');
        return 'Lost.';
    elsif not exists (
        select 1 from public.stripe_events x
        where x.payment_intent = e.payment_intent and x.id <> e.id and x.outcome = 'applied'
        group by x.effect ->> 'dispute_id'
        having x.effect ->> 'dispute_id' <> e.effect ->> 'dispute_id' and bool_or(x.effect ->> 'kind' = 'dispute_opened')
           and not coalesce(bool_or(x.effect ->> 'kind' = 'dispute_closed' and x.effect ->> 'result' <> 'lost'), false)) then
        perform private.resolve_flag(y.id, 'disputed', 'The dispute ended in our favour.');
    end if;
    return 'It ended in our favour.';
end $$;

COMMENT ON FUNCTION private.close_dispute(y public.payments, e public.stripe_events) IS 'A dispute ended: lost, a person looks; else its flag is done with, unless another one goes on. Null when it is not known yet.';

REVOKE ALL ON FUNCTION private.close_dispute(y public.payments, e public.stripe_events) FROM PUBLIC;
GRANT ALL ON FUNCTION private.close_dispute(y public.payments, e public.stripe_events) TO service_role;

CREATE FUNCTION private.take_stripe_aftermath(e public.stripe_events) RETURNS public.stripe_events
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    y public.payments;
    v_detail text;
begin
    select * into y from public.payments where provider_id = e.payment_intent;
    if not found then
        e.detail := 'Waits for its payment.';
        return e;
    end if;
    perform private.lock_customers(array[y.customer_id]);
    select * into y from public.payments where id = y.id for update;
    -- Somebody may just have said whose it is.
    perform private.lock_customers(array[y.customer_id]);
    perform 1 from public.payment_returns where payment_id = y.id order by id for update;
    e.payment_id := y.id;
    if e.effect ->> 'currency' <> y.currency then
        e.outcome := 'kept';
        e.detail := format('It is in %s and its payment in %s: look at it at Stripe.', e.effect ->> 'currency', y.currency);
        return e;
    end if;
    case e.effect ->> 'kind'
        when 'refunded' then v_detail := private.match_refunded(y, e);
        when 'refund_failed' then v_detail := private.fail_refund(y, e);
        when 'dispute_opened' then
            perform private.raise_flag(y.id, 'disputed', e.detail);
            v_detail := e.detail;
        when 'dispute_withdrawn' then v_detail := private.withdraw_dispute(y, e);
        when 'dispute_reinstated' then v_detail := private.reinstate_dispute(y, e);
        when 'dispute_closed' then v_detail := private.close_dispute(y, e);
    end case;
    e.outcome := case when v_detail is null then 'waiting' else 'applied' end;
    e.detail := coalesce(v_detail, 'Waits for an earlier event of its payment.');
    return e;
end $$;

COMMENT ON FUNCTION private.take_stripe_aftermath(e public.stripe_events) IS 'What happened to a payment after it came: refunds and disputes.';

REVOKE ALL ON FUNCTION private.take_stripe_aftermath(e public.stripe_events) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_stripe_aftermath(e public.stripe_events) TO service_role;

CREATE FUNCTION private.lock_stripe_payments(p_intents text[]) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    select count(pg_advisory_xact_lock(hashtextextended('stripe ' || x, 0)))
    from (select distinct i as x from unnest(p_intents) i where i is not null order by 1) o
$$;

COMMENT ON FUNCTION private.lock_stripe_payments(p_intents text[]) IS 'One at a time takes what Stripe says of a payment; before customers are locked.';

REVOKE ALL ON FUNCTION private.lock_stripe_payments(p_intents text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.lock_stripe_payments(p_intents text[]) TO service_role;

CREATE FUNCTION private.stripe_event_is(p_word text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_types text[];
    v_payments uuid[];
    v_bill constant text := private.names_a_bill(lower(p_word), 'b.number');
begin
    -- The few types that there are, each found once by the index.
    with recursive types as (
        (select e.type from public.stripe_events e order by e.type limit 1)
        union all
        select (select e.type from public.stripe_events e where e.type > t.type order by e.type limit 1) from types t where t.type is not null
    )
    select array_agg(t.type) into v_types from types t where position(lower(p_word) in t.type) > 0;
    v_payments := array(
        select y.id from public.customers c join public.payments y on y.customer_id = c.id
        where private.identifier_key(c.account_no) = private.identifier_key(p_word));
    -- Without a whole number it would be any bill.
    if v_bill like '%=%' then
        execute 'select $1 || array(select y.id from public.bills b join public.payments y on y.bill_id = b.id where false' || v_bill || ')'
        into v_payments using v_payments;
    end if;
    return format('(e.id = %1$L or e.object_id = %1$L or e.payment_intent = %1$L%2$s%3$s)', p_word,
        case when v_types <> '{}' then format(' or e.type = any (%L)', v_types) end,
        case when v_payments <> '{}' then format(' or e.payment_id = any (%L)', v_payments) end);
end $_$;

COMMENT ON FUNCTION private.stripe_event_is(p_word text) IS 'The condition that an event e has a word: its whole id, object or payment intent, a part of its type, the number of the bill or of the account whose payment it is about.';

REVOKE ALL ON FUNCTION private.stripe_event_is(p_word text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.stripe_event_is(p_word text) TO service_role;

CREATE FUNCTION public.stripe_turn(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_between constant interval := interval '1 second' / (p ->> 'a_second')::integer;
    v_for_somebody constant boolean := (p ->> 'for_somebody')::boolean;
    v_most constant interval := (p ->> 'most_ms')::integer * interval '1 millisecond';
    v_now timestamptz;
    v_from timestamptz;
begin
    insert into public.message_rates (channel, free_at) values ('stripe', '-infinity'), ('stripe, for somebody', '-infinity')
    on conflict (channel) do nothing;
    -- Whoever takes a turn locks the first of them, so that all do so one after another.
    perform 1 from public.message_rates r where r.channel = 'stripe' for update;
    v_now := clock_timestamp();
    select r.free_at into v_from from public.message_rates r
    where r.channel = case when v_for_somebody then 'stripe, for somebody' else 'stripe' end;
    -- Stripe asks nobody to wait for an hour: such a time was set by a wrong clock.
    v_from := case when v_from < v_now + interval '1 hour' then greatest(v_from, v_now) else v_now end;
    if v_from - v_now > v_most then
        return jsonb_build_object('wait_ms', ceil(extract(epoch from v_from - v_now) * 1000)::integer, 'taken', false);
    end if;
    if v_for_somebody then
        update public.message_rates set free_at = v_from + v_between where channel = 'stripe, for somebody';
    end if;
    -- The turn of somebody who waits is one that the jobs do not get.
    update public.message_rates r
    set free_at = case when r.free_at < v_now + interval '1 hour' then greatest(r.free_at, v_now) else v_now end + v_between
    where r.channel = 'stripe';
    return jsonb_build_object('wait_ms', ceil(extract(epoch from v_from - v_now) * 1000)::integer, 'taken', true);
end $$;

COMMENT ON FUNCTION public.stripe_turn(p jsonb) IS 'The turn of a request at Stripe, at the rate of all processes together: {a_second, for_somebody: whether somebody waits for it, who then goes before the jobs, most_ms: who would wait longer takes none} -> {wait_ms: until its turn, taken}.';

REVOKE ALL ON FUNCTION public.stripe_turn(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.stripe_turn(p jsonb) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.payment_links REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.payment_links REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER payment_links_guard BEFORE UPDATE ON public.payment_links FOR EACH ROW EXECUTE FUNCTION private.guard_payment_link();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.payment_links FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.payment_links FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.stripe_events FOR EACH ROW WHEN (((old.created_at > (now() - '1 year 11 mons'::interval)) OR (old.outcome = 'waiting'::text))) EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.stripe_events FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER stripe_events_guard BEFORE UPDATE ON public.stripe_events FOR EACH ROW EXECUTE FUNCTION private.guard_stripe_event();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.reconciliations FOR EACH ROW WHEN ((old.at > (now() - '1 year 11 mons'::interval))) EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.reconciliations FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.reconciliations FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

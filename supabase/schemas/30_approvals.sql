-- Approvals: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.approval_requests (
    id uuid NOT NULL,
    kind text NOT NULL,
    action_id uuid NOT NULL,
    payload jsonb NOT NULL,
    summary text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    over_limit boolean DEFAULT false NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    decided_by text,
    decided_at timestamp with time zone,
    decision_reason text DEFAULT ''::text NOT NULL,
    outcome text DEFAULT ''::text NOT NULL,
    CONSTRAINT approval_requests_asked_by_check CHECK ((asked_by <> ''::text)),
    CONSTRAINT approval_requests_by_another CHECK ((lower(decided_by) <> lower(asked_by))),
    CONSTRAINT approval_requests_decided CHECK (((state = ANY (ARRAY['pending'::text, 'expired'::text])) = (decided_by IS NULL))),
    CONSTRAINT approval_requests_decided_by_check CHECK ((decided_by <> ''::text)),
    CONSTRAINT approval_requests_kind_check CHECK ((kind = ANY (ARRAY['refund'::text, 'refund_again'::text, 'payout'::text, 'correction'::text, 'credit'::text, 'waiver'::text, 'tariff'::text, 'tariff_correction'::text, 'supply'::text]))),
    CONSTRAINT approval_requests_payload_check CHECK ((jsonb_typeof(payload) = 'object'::text)),
    CONSTRAINT approval_requests_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'approved'::text, 'rejected'::text, 'done'::text, 'failed'::text, 'expired'::text]))),
    CONSTRAINT approval_requests_summary_check CHECK ((btrim(summary) <> ''::text))
);

COMMENT ON TABLE public.approval_requests IS 'What somebody asked to be done that needs another person''s approval, with what became of it.';

COMMENT ON COLUMN public.approval_requests.action_id IS 'The id of the row that the action makes: the refund, correction, credit, tariff version or change of supply; of a waiver the charge that it takes back.';

COMMENT ON COLUMN public.approval_requests.payload IS 'What the action takes, as its service wrote it.';

COMMENT ON COLUMN public.approval_requests.state IS 'approved: and not done yet. failed: approved, and refused when it was to be done, as outcome says.';

ALTER TABLE ONLY public.approval_requests
    ADD CONSTRAINT approval_requests_pkey PRIMARY KEY (id);

CREATE UNIQUE INDEX approval_requests_live ON public.approval_requests USING btree (action_id) WHERE (state = ANY (ARRAY['pending'::text, 'approved'::text, 'done'::text]));

CREATE INDEX approval_requests_recent ON public.approval_requests USING btree (asked_at DESC, id DESC);

CREATE INDEX approval_requests_waiting ON public.approval_requests USING btree (asked_at DESC, id DESC) WHERE (state = ANY (ARRAY['pending'::text, 'approved'::text]));

ALTER TABLE public.approval_requests ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.approval_requests TO service_role;

CREATE VIEW public.approval_list WITH (security_invoker='true') AS
 SELECT id,
    kind,
    action_id,
    payload,
    summary,
    reason,
    over_limit,
    asked_by,
    asked_at,
    expires_at,
        CASE
            WHEN ((state = 'pending'::text) AND (expires_at <= now())) THEN 'expired'::text
            ELSE state
        END AS state,
    decided_by,
    decided_at,
    decision_reason,
    outcome
   FROM public.approval_requests r;

COMMENT ON VIEW public.approval_list IS 'Requests, with those that nobody decided on in time as expired.';

GRANT SELECT ON TABLE public.approval_list TO service_role;

CREATE FUNCTION private.four_eyes(p_group text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce((select s.settings -> 'four_eyes' ? p_group
                     from public.utility_settings s order by s.version desc limit 1), false)
$$;

COMMENT ON FUNCTION private.four_eyes(p_group text) IS 'Whether the utility wants another person''s approval for refunds, voids or tariffs.';

REVOKE ALL ON FUNCTION private.four_eyes(p_group text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.four_eyes(p_group text) TO service_role;

CREATE FUNCTION public.decide_approval(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.approval_requests;
begin
    perform private.set_actor(p);
    select * into r from public.approval_requests where id = (p ->> 'id')::uuid for update;
    if r.id is null then
        perform private.refuse('EB404', 'There is no such request.');
    elsif lower(r.asked_by) = lower(p ->> 'actor') then
        perform private.refuse('EB005', 'Somebody else must decide on what you asked for.');
    elsif r.state = 'pending' and r.expires_at <= now() then
        perform private.refuse('EB005', 'This request has expired. It can be asked for again.');
    elsif r.state = p ->> 'state' and lower(r.decided_by) = lower(p ->> 'actor') then
        return to_jsonb(r);
    elsif r.state <> 'pending' then
        perform private.refuse('EB005', 'This request was decided on already.');
    end if;
    update public.approval_requests
    set state = p ->> 'state', decided_by = p ->> 'actor', decided_at = now(), decision_reason = coalesce(p ->> 'reason', '')
    where id = r.id returning * into r;
    return to_jsonb(r);
end $$;

COMMENT ON FUNCTION public.decide_approval(p jsonb) IS 'Approves or rejects a pending request: {actor, id, state: approved|rejected, reason?} -> the request. Never by who asked for it.';

REVOKE ALL ON FUNCTION public.decide_approval(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.decide_approval(p jsonb) TO service_role;

CREATE FUNCTION public.end_approval(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.approval_requests;
begin
    perform private.set_actor(p);
    update public.approval_requests set state = p ->> 'state', outcome = coalesce(p ->> 'outcome', '')
    where id = (p ->> 'id')::uuid and state = 'approved' returning * into r;
    if r.id is null then
        select * into r from public.approval_requests where id = (p ->> 'id')::uuid;
    end if;
    return to_jsonb(r);
end $$;

COMMENT ON FUNCTION public.end_approval(p jsonb) IS 'Says what came of an approved request: {actor, id, state: done|failed, outcome?} -> the request.';

REVOKE ALL ON FUNCTION public.end_approval(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_approval(p jsonb) TO service_role;

CREATE FUNCTION private.needs_approval() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- The second argument names the column by which a request means this row, where it is not the id.
    if coalesce(current_setting('billing.actor', true), '') not in ('')
        and current_setting('billing.actor', true) not like 'system:%'
        and private.four_eyes(tg_argv[0])
        and not exists (select 1 from public.approval_requests r
                        where r.action_id = (to_jsonb(new) ->> coalesce(tg_argv[1], 'id'))::uuid and r.state in ('approved', 'done'))
    then
        perform private.refuse('EB005', 'This needs the approval of a second person: see Approvals.');
    end if;
    return new;
end $$;

COMMENT ON FUNCTION private.needs_approval() IS 'Refuses a row that needs an approval which nobody gave; of the group in its argument.';

REVOKE ALL ON FUNCTION private.needs_approval() FROM PUBLIC;
GRANT ALL ON FUNCTION private.needs_approval() TO service_role;

CREATE FUNCTION private.given_back_lately(p_customer_id uuid, p_payment_id uuid, p_currency text, p_but uuid) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(sum(r.amount_minor), 0)::bigint
    from public.payment_returns r
    where case when p_customer_id is null then r.payment_id = p_payment_id
               else r.customer_id = p_customer_id and r.created_at > now() - interval '30 days' end
      and r.kind in ('refund', 'payout') and r.status in ('pending', 'done') and r.currency = p_currency and r.id <> p_but
$$;

COMMENT ON FUNCTION private.given_back_lately(p_customer_id uuid, p_payment_id uuid, p_currency text, p_but uuid) IS 'What was refunded or paid out to a customer in the last 30 days, or of a payment of nobody known, but for one row: minor units.';

REVOKE ALL ON FUNCTION private.given_back_lately(p_customer_id uuid, p_payment_id uuid, p_currency text, p_but uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.given_back_lately(p_customer_id uuid, p_payment_id uuid, p_currency text, p_but uuid) TO service_role;

CREATE FUNCTION private.passes_refund_limit(p_customer_id uuid, p_payment_id uuid, p_currency text, p_amount bigint, p_but uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(p_amount + private.given_back_lately(p_customer_id, p_payment_id, p_currency, p_but)
                    > (select (s.settings #>> array['refund_limits', p_currency])::bigint
                       from public.utility_settings s order by s.version desc limit 1), false)
$$;

COMMENT ON FUNCTION private.passes_refund_limit(p_customer_id uuid, p_payment_id uuid, p_currency text, p_amount bigint, p_but uuid) IS 'Whether an amount, with what went back to the customer in the last 30 days but for one row, is above what a cashier may send back.';

REVOKE ALL ON FUNCTION private.passes_refund_limit(p_customer_id uuid, p_payment_id uuid, p_currency text, p_amount bigint, p_but uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.passes_refund_limit(p_customer_id uuid, p_payment_id uuid, p_currency text, p_amount bigint, p_but uuid) TO service_role;

CREATE FUNCTION public.ask_approval(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.approval_requests;
    v_over boolean := false;
    v_payment uuid := coalesce((p #>> '{payload,payment_id}')::uuid, (
        select x.payment_id from public.payment_returns x where x.id = (p #>> '{payload,return_id}')::uuid));
    v_customer uuid := coalesce((p #>> '{payload,customer_id}')::uuid, (
        select y.customer_id from public.payments y where y.id = v_payment));
begin
    perform private.set_actor(p);
    if p ? 'amount_minor' then
        v_over := private.passes_refund_limit(v_customer, v_payment, p ->> 'currency', (p ->> 'amount_minor')::bigint,
                                              (p ->> 'action_id')::uuid);
    end if;
    if not private.four_eyes(p ->> 'group') and (not v_over or (p ->> 'may_over_limit')::boolean) then
        return jsonb_build_object('state', 'not_needed');
    end if;
    if p ->> 'kind' = 'tariff' and exists (
        select 1 from public.tariff_versions v join public.tariffs t on t.id = v.tariff_id
        where t.code = p #>> '{payload,tariff,code}' and v.effective_from = (p #>> '{payload,tariff,effective_from}')::date)
    then
        -- It holds already, or another from that day does: nothing would be added.
        return jsonb_build_object('state', 'not_needed');
    end if;
    perform pg_advisory_xact_lock(hashtext('approval/' || (p ->> 'action_id')));
    update public.approval_requests set state = 'expired'
    where action_id = (p ->> 'action_id')::uuid and state = 'pending' and expires_at <= now();
    select * into r from public.approval_requests
    where action_id = (p ->> 'action_id')::uuid and state in ('pending', 'approved', 'done');
    if r.id is null then
        insert into public.approval_requests (id, kind, action_id, payload, summary, reason, over_limit, asked_by, expires_at)
        values ((p ->> 'id')::uuid, p ->> 'kind', (p ->> 'action_id')::uuid, p -> 'payload', p ->> 'summary',
                coalesce(p ->> 'reason', ''), v_over, p ->> 'actor', now() + interval '14 days')
        returning * into r;
    end if;
    return jsonb_build_object('state', r.state, 'id', r.id, 'same', r.payload = p -> 'payload');
end $$;

COMMENT ON FUNCTION public.ask_approval(p jsonb) IS 'Whether an action may be done now: {actor, id, kind, group, action_id, payload, summary, reason, amount_minor?, currency?, may_over_limit?} -> {state: not_needed|pending|approved|done, id?, same?}. A request that is not there is stored as pending, for 14 days.';

REVOKE ALL ON FUNCTION public.ask_approval(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ask_approval(p jsonb) TO service_role;

CREATE TRIGGER needs_approval AFTER INSERT ON public.tariff_versions FOR EACH ROW EXECUTE FUNCTION private.needs_approval('tariffs');

CREATE TRIGGER needs_approval BEFORE INSERT ON public.payment_returns FOR EACH ROW WHEN ((new.kind = ANY (ARRAY['refund'::text, 'payout'::text]))) EXECUTE FUNCTION private.needs_approval('refunds');

CREATE TRIGGER needs_approval BEFORE INSERT ON public.ledger_entries FOR EACH ROW WHEN ((new.kind = 'credit'::text)) EXECUTE FUNCTION private.needs_approval('voids');

CREATE TRIGGER needs_approval_to_waive BEFORE INSERT ON public.ledger_entries FOR EACH ROW WHEN (((new.kind = ANY (ARRAY['fee_undone'::text, 'opening_balance_undone'::text])) AND (new.amount_minor < 0))) EXECUTE FUNCTION private.needs_approval('voids', 'undoes_id');

CREATE TRIGGER needs_approval BEFORE INSERT ON public.corrections FOR EACH ROW WHEN ((new.kind = ANY (ARRAY['void'::text, 'reading'::text, 'tariff'::text]))) EXECUTE FUNCTION private.needs_approval('voids');

CREATE TRIGGER audit_insert AFTER INSERT ON public.approval_requests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.approval_requests REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.approval_requests FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.approval_requests FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO service_role;

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON SEQUENCES TO postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON SEQUENCES TO service_role;

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON FUNCTIONS TO postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON FUNCTIONS TO service_role;

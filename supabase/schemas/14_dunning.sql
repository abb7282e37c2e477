-- Dunning: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.spared_bills (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    bill_id uuid NOT NULL,
    reason text NOT NULL,
    source text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    until timestamp with time zone,
    released_at timestamp with time zone,
    released_by text,
    released_because text DEFAULT ''::text NOT NULL,
    CONSTRAINT spared_bills_check CHECK (((released_at IS NULL) = (released_by IS NULL))),
    CONSTRAINT spared_bills_check1 CHECK (((reason <> 'bank_debit'::text) OR (until IS NOT NULL))),
    CONSTRAINT spared_bills_reason_check CHECK ((reason = ANY (ARRAY['bank_debit'::text, 'money_returned'::text, 'autopay'::text]))),
    CONSTRAINT spared_bills_source_check CHECK ((source <> ''::text))
);

COMMENT ON TABLE public.spared_bills IS 'Bills that are neither reminded of nor marked overdue: bank_debit until the bank has answered, at most until a moment; autopay while a charge is planned or under way; money_returned until an administrator says to collect again.';

COMMENT ON COLUMN public.spared_bills.source IS 'What it is for: the session at Stripe, or the return.';

ALTER TABLE ONLY public.spared_bills
    ADD CONSTRAINT spared_bills_bill_id_source_key UNIQUE (bill_id, source);

ALTER TABLE ONLY public.spared_bills
    ADD CONSTRAINT spared_bills_pkey PRIMARY KEY (id);

CREATE INDEX spared_bills_now ON public.spared_bills USING btree (bill_id) WHERE (released_at IS NULL);

CREATE INDEX spared_bills_source ON public.spared_bills USING btree (source) WHERE (released_at IS NULL);

ALTER TABLE public.spared_bills ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.spared_bills TO service_role;

CREATE TABLE public.dunning_holds (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    reason text NOT NULL,
    note text NOT NULL,
    since date NOT NULL,
    until date,
    held_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    released_at timestamp with time zone,
    released_by text,
    released_because text DEFAULT ''::text NOT NULL,
    CONSTRAINT dunning_holds_check CHECK (((until IS NULL) OR (until > since))),
    CONSTRAINT dunning_holds_check1 CHECK (((released_at IS NULL) = (released_by IS NULL))),
    CONSTRAINT dunning_holds_held_by_check CHECK ((held_by <> ''::text)),
    CONSTRAINT dunning_holds_note_check CHECK (((btrim(note) <> ''::text) AND (length(note) <= 400))),
    CONSTRAINT dunning_holds_reason_check CHECK ((reason = ANY (ARRAY['dispute'::text, 'plan'::text, 'vulnerable'::text, 'hand'::text])))
);

COMMENT ON TABLE public.dunning_holds IS 'Accounts that are neither reminded nor pressed further: from a local date up to and without another, or until somebody releases them. The ladder goes on afterwards where it was.';

ALTER TABLE ONLY public.dunning_holds
    ADD CONSTRAINT dunning_holds_pkey PRIMARY KEY (id);

CREATE INDEX dunning_holds_customer ON public.dunning_holds USING btree (customer_id, created_at DESC);

CREATE INDEX dunning_holds_now ON public.dunning_holds USING btree (customer_id) WHERE (released_at IS NULL);

ALTER TABLE public.dunning_holds ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.dunning_holds TO service_role;

CREATE TABLE public.dunning_policies (
    id uuid NOT NULL,
    currency text NOT NULL,
    version integer NOT NULL,
    valid_from date NOT NULL,
    minimum_minor bigint NOT NULL,
    notice_days integer NOT NULL,
    steps jsonb NOT NULL,
    late_fee jsonb,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT dunning_policies_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT dunning_policies_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT dunning_policies_late_fee_check CHECK ((jsonb_typeof(late_fee) = 'object'::text)),
    CONSTRAINT dunning_policies_minimum_minor_check CHECK ((minimum_minor >= 0)),
    CONSTRAINT dunning_policies_notice_days_check CHECK (((notice_days >= 1) AND (notice_days <= 365))),
    CONSTRAINT dunning_policies_steps_check CHECK ((jsonb_typeof(steps) = 'array'::text)),
    CONSTRAINT dunning_policies_version_check CHECK ((version > 0))
);

COMMENT ON TABLE public.dunning_policies IS 'What is done about open bills, by currency, in versions: of those that are valid on a day the highest holds. Never changed. Where there is none, private.default_dunning_policy holds.';

COMMENT ON COLUMN public.dunning_policies.minimum_minor IS 'Accounts with less than that overdue are left alone.';

COMMENT ON COLUMN public.dunning_policies.notice_days IS 'Days that must go by between a disconnection notice and the work order that cuts the supply.';

COMMENT ON COLUMN public.dunning_policies.steps IS '[{key, action: reminder|overdue|demand|notice|disconnection, day: from the due date, fee: whether the late fee is charged}], by day. Checked by services/dunning/policy.py.';

COMMENT ON COLUMN public.dunning_policies.late_fee IS '{fixed_minor, percent_bp and tax_bp in hundredths of a percent, cap_minor, grace_days}.';

ALTER TABLE ONLY public.dunning_policies
    ADD CONSTRAINT dunning_policies_currency_version_key UNIQUE (currency, version);

ALTER TABLE ONLY public.dunning_policies
    ADD CONSTRAINT dunning_policies_pkey PRIMARY KEY (id);

ALTER TABLE public.dunning_policies ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.dunning_policies TO service_role;

CREATE TABLE public.dunning_actions (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    bill_id uuid,
    occasion text DEFAULT ''::text NOT NULL,
    step text NOT NULL,
    action text NOT NULL,
    day integer NOT NULL,
    policy_id uuid,
    taken_on date NOT NULL,
    amount_minor bigint NOT NULL,
    fee_minor bigint DEFAULT 0 NOT NULL,
    tax_minor bigint DEFAULT 0 NOT NULL,
    given_on date,
    given_by text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ordered_at timestamp with time zone,
    CONSTRAINT dunning_actions_action_check CHECK ((action = ANY (ARRAY['reminder'::text, 'overdue'::text, 'demand'::text, 'notice'::text, 'disconnection'::text]))),
    CONSTRAINT dunning_actions_fee_minor_check CHECK ((fee_minor >= 0)),
    CONSTRAINT dunning_actions_step_check CHECK ((step <> ''::text)),
    CONSTRAINT dunning_actions_tax_minor_check CHECK ((tax_minor >= 0))
);

COMMENT ON TABLE public.dunning_actions IS 'Each step of the ladder that was taken, once for a debt. The debt is that of a bill: of a reminder and an overdue notice their own, of the other steps the oldest unpaid bill of the account, with which the debt began.';

COMMENT ON COLUMN public.dunning_actions.bill_id IS 'Null for charges of an account that has no bill.';

COMMENT ON COLUMN public.dunning_actions.occasion IS 'After a sparing or a plan has ended the debt is one of its own: the id of that, else empty.';

COMMENT ON COLUMN public.dunning_actions.policy_id IS 'The version by which it was taken; null of the default.';

COMMENT ON COLUMN public.dunning_actions.fee_minor IS 'Late fee without its tax. The fee''s ledger entry, of fee and tax together, has the id of this row.';

COMMENT ON COLUMN public.dunning_actions.given_on IS 'Of a disconnection notice the local date on which it reached the customer: sent, or handed over by somebody. From then on the wait counts.';

COMMENT ON COLUMN public.dunning_actions.ordered_at IS 'Of a disconnection order: when its work orders were made, or found to be needed no more.';

ALTER TABLE ONLY public.dunning_actions
    ADD CONSTRAINT dunning_actions_once UNIQUE (bill_id, occasion, step);

ALTER TABLE ONLY public.dunning_actions
    ADD CONSTRAINT dunning_actions_pkey PRIMARY KEY (id);

CREATE INDEX dunning_actions_customer ON public.dunning_actions USING btree (customer_id, taken_on DESC);

CREATE INDEX dunning_actions_day ON public.dunning_actions USING btree (taken_on, id);

CREATE UNIQUE INDEX dunning_actions_of_account ON public.dunning_actions USING btree (customer_id, occasion, step) WHERE (bill_id IS NULL);

CREATE INDEX dunning_actions_to_order ON public.dunning_actions USING btree (customer_id) WHERE ((action = 'disconnection'::text) AND (ordered_at IS NULL));

CREATE INDEX dunning_notices_not_given ON public.dunning_actions USING btree (taken_on, id) WHERE ((action = 'notice'::text) AND (given_on IS NULL));

ALTER TABLE public.dunning_actions ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.dunning_actions TO service_role;

CREATE TABLE public.work_orders (
    id uuid NOT NULL,
    kind text NOT NULL,
    customer_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    service_point_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    action_id uuid,
    ordered_on date NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    disconnection_id uuid,
    followed_at timestamp with time zone,
    closed_at timestamp with time zone,
    closed_because text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT work_orders_check CHECK (((status = 'open'::text) = (closed_at IS NULL))),
    CONSTRAINT work_orders_kind_check CHECK ((kind = ANY (ARRAY['disconnect'::text, 'reconnect'::text]))),
    CONSTRAINT work_orders_status_check CHECK ((status = ANY (ARRAY['open'::text, 'done'::text, 'cancelled'::text])))
);

COMMENT ON TABLE public.work_orders IS 'Supplies that an engineer is to cut for a debt, or to bring back once it is paid. Each puts its meter on the round by a reading request; the office enters the disconnection or reconnection, which closes it.';

COMMENT ON COLUMN public.work_orders.followed_at IS 'Of a disconnection by order: when its reconnection was ordered, or made without one.';

ALTER TABLE ONLY public.work_orders
    ADD CONSTRAINT work_orders_pkey PRIMARY KEY (id);

CREATE INDEX work_orders_customer ON public.work_orders USING btree (customer_id, created_at DESC);

CREATE UNIQUE INDEX work_orders_one_open ON public.work_orders USING btree (agreement_id) WHERE (status = 'open'::text);

CREATE INDEX work_orders_recent ON public.work_orders USING btree (created_at DESC, id);

CREATE INDEX work_orders_to_follow ON public.work_orders USING btree (customer_id) WHERE ((kind = 'disconnect'::text) AND (status = 'done'::text) AND (followed_at IS NULL));

ALTER TABLE public.work_orders ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.work_orders TO service_role;

ALTER TABLE ONLY public.spared_bills
    ADD CONSTRAINT spared_bills_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.dunning_holds
    ADD CONSTRAINT dunning_holds_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.dunning_actions
    ADD CONSTRAINT dunning_actions_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.dunning_actions
    ADD CONSTRAINT dunning_actions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.dunning_actions
    ADD CONSTRAINT dunning_actions_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES public.dunning_policies(id);

ALTER TABLE ONLY public.work_orders
    ADD CONSTRAINT work_orders_action_id_fkey FOREIGN KEY (action_id) REFERENCES public.dunning_actions(id);

ALTER TABLE ONLY public.work_orders
    ADD CONSTRAINT work_orders_agreement_id_fkey FOREIGN KEY (agreement_id) REFERENCES public.service_agreements(id);

ALTER TABLE ONLY public.work_orders
    ADD CONSTRAINT work_orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.work_orders
    ADD CONSTRAINT work_orders_disconnection_id_fkey FOREIGN KEY (disconnection_id) REFERENCES public.disconnections(id);

ALTER TABLE ONLY public.work_orders
    ADD CONSTRAINT work_orders_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meters(id);

ALTER TABLE ONLY public.work_orders
    ADD CONSTRAINT work_orders_service_point_id_fkey FOREIGN KEY (service_point_id) REFERENCES public.service_points(id);

CREATE VIEW public.returned_bill_list WITH (security_invoker='true') AS
 SELECT b.id AS bill_id,
    b.number AS bill_number,
    b.customer_id,
    c.account_no,
    c.name AS customer_name,
    b.currency,
    (b.total_minor - b.amount_paid_minor) AS open_minor,
    s.detail,
    s.since
   FROM ((( SELECT x.bill_id,
            string_agg(x.detail, ' '::text ORDER BY x.since) AS detail,
            min(x.since) AS since
           FROM public.spared_bills x
          WHERE ((x.released_at IS NULL) AND (x.reason = 'money_returned'::text))
          GROUP BY x.bill_id) s
     JOIN public.bills b ON (((b.id = s.bill_id) AND (b.status = 'issued'::text) AND (b.amount_paid_minor < b.total_minor))))
     JOIN public.customers c ON ((c.id = b.customer_id)));

COMMENT ON VIEW public.returned_bill_list IS 'Bills opened again by money that went back: an administrator decides whether they are collected again.';

GRANT SELECT ON TABLE public.returned_bill_list TO service_role;

CREATE VIEW public.work_order_list WITH (security_invoker='true') AS
 SELECT w.id,
    w.kind,
    w.customer_id,
    w.agreement_id,
    w.service_point_id,
    w.meter_id,
    w.action_id,
    w.ordered_on,
    w.status,
    w.disconnection_id,
    w.followed_at,
    w.closed_at,
    w.closed_because,
    w.created_at,
    c.account_no,
    c.name AS customer_name,
    s.code AS service_point_code,
    s.route,
    COALESCE(NULLIF(s.address, ''::text), c.address, ''::text) AS address,
    m.serial AS meter_serial,
    r.register_wh AS read_wh,
    r.read_on,
    r.submitted_by AS read_by,
    x.reason AS missed_reason,
    x.note AS missed_note,
    x.missed_on,
    m.kind AS meter_kind
   FROM ((((((public.work_orders w
     JOIN public.customers c ON ((c.id = w.customer_id)))
     JOIN public.service_points s ON ((s.id = w.service_point_id)))
     JOIN public.meters m ON ((m.id = w.meter_id)))
     LEFT JOIN public.reading_requests q ON ((q.id = w.id)))
     LEFT JOIN public.readings r ON ((r.id = q.done_reading_id)))
     LEFT JOIN LATERAL ( SELECT y.reason,
            y.note,
            y.missed_on
           FROM public.missed_reads y
          WHERE ((y.service_point_id = w.service_point_id) AND (y.missed_on >= w.ordered_on) AND (q.done_reading_id IS NULL))
          ORDER BY y.missed_on DESC
         LIMIT 1) x ON (true));

COMMENT ON VIEW public.work_order_list IS 'Work orders with where they are, and what the engineer found: the read after the work, or why it could not be done.';

GRANT ALL ON TABLE public.work_order_list TO service_role;

CREATE FUNCTION private.owe_where_spared() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.owe_for_balance(array(select bill_id from new_rows));
    return null;
end $$;

REVOKE ALL ON FUNCTION private.owe_where_spared() FROM PUBLIC;
GRANT ALL ON FUNCTION private.owe_where_spared() TO service_role;

CREATE FUNCTION private.overdue_as_of() RETURNS date
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select max(scheduled_on) from public.job_runs where job = 'overdue_marking' and status = 'done'
$$;

COMMENT ON FUNCTION private.overdue_as_of() IS 'The day that the marks of overdue bills are as of: the last one that the daily job has done.';

REVOKE ALL ON FUNCTION private.overdue_as_of() FROM PUBLIC;
GRANT ALL ON FUNCTION private.overdue_as_of() TO service_role;

CREATE FUNCTION private.release_unanswered() RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    update public.spared_bills
    set released_at = now(), released_by = current_setting('billing.actor'), released_because = 'No answer came in time.'
    where until <= now() and released_at is null
$$;

COMMENT ON FUNCTION private.release_unanswered() IS 'Bank debits that nobody answered are waited for no longer: the links of their bills open again.';

REVOKE ALL ON FUNCTION private.release_unanswered() FROM PUBLIC;
GRANT ALL ON FUNCTION private.release_unanswered() TO service_role;

CREATE FUNCTION private.take_mark_away() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    update public.bills set overdue_since = null
    where id in (select bill_id from new_rows) and overdue_since is not null;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.take_mark_away() FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_mark_away() TO service_role;

CREATE FUNCTION public.overdue_day(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('as_of', private.overdue_as_of())
$$;

COMMENT ON FUNCTION public.overdue_day(p jsonb) IS 'The day that every figure of overdue bills is as of: {} -> {as_of or null}.';

REVOKE ALL ON FUNCTION public.overdue_day(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.overdue_day(p jsonb) TO service_role;

CREATE FUNCTION private.is_spared(p_bill_id uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select exists (select 1 from public.spared_bills s where s.bill_id = p_bill_id and s.released_at is null
                   and (s.until is null or s.until > now()))
$$;

REVOKE ALL ON FUNCTION private.is_spared(p_bill_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_spared(p_bill_id uuid) TO service_role;

CREATE FUNCTION private.release_spared(p_source text, p_because text) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    update public.spared_bills
    set released_at = now(), released_by = current_setting('billing.actor'), released_because = p_because
    where source = p_source and released_at is null
$$;

REVOKE ALL ON FUNCTION private.release_spared(p_source text, p_because text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.release_spared(p_source text, p_because text) TO service_role;

CREATE FUNCTION public.collect_again(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bill public.bills;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    update public.spared_bills set released_at = now(), released_by = p ->> 'actor', released_because = p ->> 'reason'
    where bill_id = v_bill.id and reason = 'money_returned' and released_at is null;
    return private.bill_json(v_bill.id);
end $$;

COMMENT ON FUNCTION public.collect_again(p jsonb) IS 'An administrator says that a bill is collected although money of it went back: {actor, bill_id, reason, owed?: {balance_changed}} -> the bill. Repeating it changes nothing.';

REVOKE ALL ON FUNCTION public.collect_again(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.collect_again(p jsonb) TO service_role;

CREATE FUNCTION private.owes_nothing(p_customer_id uuid, p_currency text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(sum(o.open_minor), 0) <= 0 from public.open_items o
    where o.customer_id = p_customer_id and o.book = 'account' and o.currency = p_currency
$$;

COMMENT ON FUNCTION private.owes_nothing(p_customer_id uuid, p_currency text) IS 'Whether credit that lies open on an account covers all that is open on it.';

REVOKE ALL ON FUNCTION private.owes_nothing(p_customer_id uuid, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.owes_nothing(p_customer_id uuid, p_currency text) TO service_role;

CREATE FUNCTION private.spare_in_its_place() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    with moved as (
        update public.spared_bills s
        set released_at = now(), released_by = current_setting('billing.actor'), released_because = 'It holds for the bill made anew.'
        from new_rows r
        where s.bill_id = r.void_bill_id and s.released_at is null and r.new_bill_id is not null
        returning r.new_bill_id as bill_id, s.reason, s.source, s.detail, s.since, s.until
    )
    insert into public.spared_bills (bill_id, reason, source, detail, since, until)
    select m.bill_id, m.reason, m.source, m.detail, m.since, m.until from moved m order by m.since
    on conflict (bill_id, source) do nothing;
    return null;
end $$;

COMMENT ON FUNCTION private.spare_in_its_place() IS 'The bill made anew in the place of spared ones is spared for the same reasons, until the same ends them.';

REVOKE ALL ON FUNCTION private.spare_in_its_place() FROM PUBLIC;
GRANT ALL ON FUNCTION private.spare_in_its_place() TO service_role;

CREATE FUNCTION private.spare_reopened(r public.payment_returns, p_entry_id uuid) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.spared_bills (bill_id, reason, source, detail)
    select distinct b.id, 'money_returned', 'return ' || r.id,
           case r.kind when 'dispute' then 'The customer''s bank took the money back.' else 'The payment was refunded.' end
    from public.allocations a
    join public.ledger_entries d on d.id = a.debit_entry_id and d.kind = 'bill'
    join public.bills b on b.id = d.bill_id
    where a.credit_entry_id = p_entry_id and a.amount_minor < 0 and a.created_at = now()
      and b.status = 'issued' and b.amount_paid_minor < b.total_minor
    on conflict (bill_id, source) do nothing
$$;

COMMENT ON FUNCTION private.spare_reopened(r public.payment_returns, p_entry_id uuid) IS 'The bills that a return has opened again wait for somebody to say whether they are collected.';

REVOKE ALL ON FUNCTION private.spare_reopened(r public.payment_returns, p_entry_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.spare_reopened(r public.payment_returns, p_entry_id uuid) TO service_role;

CREATE FUNCTION private.spared_at(p_bill_id uuid, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select exists (select 1 from public.spared_bills s where s.bill_id = p_bill_id and s.since < p_at
                   and least(s.released_at, s.until, 'infinity') >= p_at)
        or exists (select 1 from public.plan_bills p join public.instalment_plans i on i.id = p.plan_id
                   where p.bill_id in (with recursive back as (
                             select p_bill_id as id union all
                             select b.replaces_id from back join public.bills b on b.id = back.id where b.replaces_id is not null)
                         select id from back)
                     and i.created_at < p_at and coalesce(i.ended_at, 'infinity') >= p_at)
$$;

COMMENT ON FUNCTION private.spared_at(p_bill_id uuid, p_at timestamp with time zone) IS 'Whether a bill, or one it replaces, was in a plan or spared at a moment; for months that are over.';

REVOKE ALL ON FUNCTION private.spared_at(p_bill_id uuid, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION private.spared_at(p_bill_id uuid, p_at timestamp with time zone) TO service_role;

CREATE FUNCTION private.is_dunned(b public.bills) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select b.status = 'issued' and b.amount_paid_minor < b.total_minor and not private.is_spared(b.id)
       and not private.in_plan(b.id) and not private.awaits_return(b.customer_id, b.currency)
$$;

COMMENT ON FUNCTION private.is_dunned(b public.bills) IS 'Whether a customer may be pressed for a bill: something is open of it, it is in no plan that is kept, not spared, and not covered by credit about to go back.';

REVOKE ALL ON FUNCTION private.is_dunned(b public.bills) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_dunned(b public.bills) TO service_role;

CREATE FUNCTION private.dunned_of(p_bills uuid[]) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select array(
        select b.id from public.bills b
        where b.id = any (p_bills) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and not exists (select 1 from public.spared_bills s where s.bill_id = b.id and s.released_at is null
                          and (s.until is null or s.until > now()))
          and not exists (select 1 from public.payment_returns r where r.customer_id = b.customer_id and r.status = 'pending'
                          and private.owes_nothing(b.customer_id, b.currency))
          and b.id <> all ((select private.in_plan_of(p_bills))::uuid[])
        order by b.id)
$$;

COMMENT ON FUNCTION private.dunned_of(p_bills uuid[]) IS 'Those of some bills for which a customer may be pressed: something is open of it, it is in no plan that is kept, not spared, and not covered by credit about to go back.';

REVOKE ALL ON FUNCTION private.dunned_of(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.dunned_of(p_bills uuid[]) TO service_role;

CREATE FUNCTION public.queue_reminders(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_found uuid[];
    v_bills uuid[];
    v_taken integer;
    v_today constant date := (p ->> 'today')::date;
    v_after constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_after_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
begin
    perform private.set_actor(jsonb_build_object('actor', coalesce(p ->> 'actor', 'system:reminders')));
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    perform private.release_unanswered();
    v_found := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is null
          and (b.due_date, b.id) > (greatest(v_after, v_today - 1), v_after_id)
          and b.due_date >= v_today and b.due_date <= (p ->> 'until')::date
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := array(select d.bill_id from private.reminders_due(private.dunned_of(v_found), v_today) d where d.wait = '');
    -- Asked again now that the bills are locked: somebody may have paid, another process may have been at the same.
    v_bills := private.pay_from_credit_of(v_bills);
    v_taken := private.take_dunning((
        select jsonb_agg(to_jsonb(d)) from private.reminders_due(v_bills, v_today) d where d.wait = ''), p);
    perform private.note_progress(p || jsonb_build_object('done', v_taken));
    return jsonb_build_object('count', v_taken, 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;

COMMENT ON FUNCTION public.queue_reminders(p jsonb) IS 'Owes a reminder for each bill due in [today, until] that is dunned and was not reminded of: {actor?, run, today, until, limit, after?, owed, balance_changed?} -> {count, after: where the next batch begins, null when none is left}.';

REVOKE ALL ON FUNCTION public.queue_reminders(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.queue_reminders(p jsonb) TO service_role;

CREATE FUNCTION private.held_of(p_customers uuid[], p_today date) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select array(
        select distinct h.customer_id from public.dunning_holds h
        where h.customer_id = any (p_customers) and h.released_at is null and (h.until is null or h.until > p_today)
        order by 1)
$$;

COMMENT ON FUNCTION private.held_of(p_customers uuid[], p_today date) IS 'Those of some customers whose dunning is on hold on a local date.';

REVOKE ALL ON FUNCTION private.held_of(p_customers uuid[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.held_of(p_customers uuid[], p_today date) TO service_role;

CREATE FUNCTION public.hold_dunning(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_hold public.dunning_holds;
begin
    perform private.set_actor(p);
    if not exists (select 1 from public.customers where id = (p ->> 'customer_id')::uuid) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    insert into public.dunning_holds (id, customer_id, reason, note, since, until, held_by)
    values ((p ->> 'id')::uuid, (p ->> 'customer_id')::uuid, p ->> 'reason', p ->> 'note',
            (p ->> 'since')::date, (p ->> 'until')::date, p ->> 'actor')
    on conflict (id) do nothing;
    select * into v_hold from public.dunning_holds where id = (p ->> 'id')::uuid;
    if (v_hold.customer_id, v_hold.reason, v_hold.note, v_hold.until)
       is distinct from ((p ->> 'customer_id')::uuid, p ->> 'reason', p ->> 'note', (p ->> 'until')::date) then
        perform private.refuse('EB005', 'Another hold was stored under this id: open the form again.');
    end if;
    return to_jsonb(v_hold);
end $$;

COMMENT ON FUNCTION public.hold_dunning(p jsonb) IS 'Holds the dunning of an account, once: {actor, id, customer_id, reason, note, since, until?} -> the hold.';

REVOKE ALL ON FUNCTION public.hold_dunning(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.hold_dunning(p jsonb) TO service_role;

CREATE FUNCTION public.release_dunning(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_hold public.dunning_holds;
begin
    perform private.set_actor(p);
    update public.dunning_holds
    set released_at = now(), released_by = p ->> 'actor', released_because = coalesce(p ->> 'because', '')
    where id = (p ->> 'id')::uuid and released_at is null;
    select * into v_hold from public.dunning_holds where id = (p ->> 'id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such hold.');
    end if;
    return to_jsonb(v_hold);
end $$;

COMMENT ON FUNCTION public.release_dunning(p jsonb) IS 'Ends a hold of dunning: {actor, id, because} -> the hold. Repeating it changes nothing.';

REVOKE ALL ON FUNCTION public.release_dunning(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.release_dunning(p jsonb) TO service_role;

CREATE FUNCTION private.owed_of(p_customers uuid[]) RETURNS TABLE(customer_id uuid, currency text, owed_minor bigint)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select o.customer_id, o.currency, sum(o.open_minor)::bigint
    from public.open_items o
    where o.customer_id = any (p_customers) and o.book = 'account' and o.open_minor <> 0
    group by 1, 2
$$;

COMMENT ON FUNCTION private.owed_of(p_customers uuid[]) IS 'What some accounts owe in all, less credit that lies open.';

REVOKE ALL ON FUNCTION private.owed_of(p_customers uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.owed_of(p_customers uuid[]) TO service_role;

CREATE FUNCTION private.overdue_of(p_customers uuid[]) RETURNS TABLE(customer_id uuid, currency text, overdue_minor bigint)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select b.customer_id, b.currency, sum(b.total_minor - b.amount_paid_minor)::bigint
    from public.bills b
    where b.customer_id = any (p_customers) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
      and b.overdue_since is not null
    group by 1, 2
$$;

COMMENT ON FUNCTION private.overdue_of(p_customers uuid[]) IS 'What is overdue on some accounts, bills in plans and spared ones with it.';

REVOKE ALL ON FUNCTION private.overdue_of(p_customers uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.overdue_of(p_customers uuid[]) TO service_role;

CREATE FUNCTION private.default_dunning_policy(p_currency text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'id', null, 'currency', p_currency, 'version', 0, 'valid_from', null,
        -- One of the currency, or a hundred of one that has no smaller unit.
        'minimum_minor', case when p_currency = any (array['BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND']) then 1000 else 100 end,
        'notice_days', 15, 'late_fee', null,
        'steps', '[{"key": "reminder", "action": "reminder", "day": -3, "fee": false},
                   {"key": "overdue", "action": "overdue", "day": 1, "fee": false}]'::jsonb)
$$;

COMMENT ON FUNCTION private.default_dunning_policy(p_currency text) IS 'What is done where a utility has set no policy: a reminder three days before, a notice the day after, balances of cents left alone.';

REVOKE ALL ON FUNCTION private.default_dunning_policy(p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.default_dunning_policy(p_currency text) TO service_role;

CREATE FUNCTION private.dunning_steps_on(p_currencies text[], p_today date) RETURNS TABLE(currency text, policy_id uuid, minimum_minor bigint, notice_days integer, late_fee jsonb, step text, action text, day integer, fee boolean)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select c.currency, (c.policy ->> 'id')::uuid, (c.policy ->> 'minimum_minor')::bigint, (c.policy ->> 'notice_days')::integer,
           nullif(c.policy -> 'late_fee', 'null'), s.key, s.action, s.day, coalesce(s.fee, false)
    from (select x as currency, private.dunning_policy_on(x, p_today) as policy from unnest(p_currencies) x) c
    cross join lateral jsonb_to_recordset(c.policy -> 'steps') as s(key text, action text, day integer, fee boolean)
$$;

COMMENT ON FUNCTION private.dunning_steps_on(p_currencies text[], p_today date) IS 'The steps of the policies of some currencies that hold on a local date.';

REVOKE ALL ON FUNCTION private.dunning_steps_on(p_currencies text[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.dunning_steps_on(p_currencies text[], p_today date) TO service_role;

CREATE FUNCTION public.mark_overdue(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_found uuid[];
    v_bills uuid[];
    v_today constant date := (p ->> 'today')::date;
    v_after constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_after_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    perform private.release_unanswered();
    v_found := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date < v_today and b.overdue_since is null
          and (b.due_date, b.id) > (v_after, v_after_id)
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(private.dunned_of(v_found));
    -- Another process may have marked some while this one waited for their locks.
    with marked as (
        update public.bills set overdue_since = due_date + 1 where id = any (v_bills) and overdue_since is null
        returning id
    ) select array(select id from marked order by id) into v_bills;
    perform private.take_dunning((
        select jsonb_agg(to_jsonb(d)) from private.overdue_notices_due(v_bills, v_today) d where d.wait = ''), p);
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills), 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;

COMMENT ON FUNCTION public.mark_overdue(p jsonb) IS 'Marks the bills due before today that are dunned as overdue, and owes each the notice where the policy has it by then: {actor, run, today, limit, after?, owed, balance_changed?} -> {count, after: where the next batch begins, null when none is left}.';

REVOKE ALL ON FUNCTION public.mark_overdue(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_overdue(p jsonb) TO service_role;

CREATE FUNCTION public.take_dunning_steps(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    v_found uuid[];
    v_due uuid[];
    v_taken integer := 0;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    v_found := private.accounts_in_arrears((p ->> 'after')::uuid, v_limit);
    v_due := array(select distinct d.customer_id from private.dunning_due(v_found, v_today) d where d.wait = '' order by 1);
    if v_due <> '{}' then
        -- From here on nobody else changes what they owe; what was paid meanwhile is seen by the second look.
        perform private.lock_customers(v_due);
        perform private.pay_from_credit_of(array(
            select b.id from public.bills b
            where b.customer_id = any (v_due) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
              and b.overdue_since is not null));
        v_taken := private.take_dunning((
            select jsonb_agg(to_jsonb(d)) from private.dunning_due(v_due, v_today) d where d.wait = ''), p);
    end if;
    perform private.note_progress(p || jsonb_build_object('done', v_taken));
    return jsonb_build_object('count', v_taken, 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;

COMMENT ON FUNCTION public.take_dunning_steps(p jsonb) IS 'Takes the steps of the ladder that are due of a page of accounts with overdue bills: {actor, run, today, limit, after?: a customer, owed, balance_changed?} -> {count, after: null when none is left}.';

REVOKE ALL ON FUNCTION public.take_dunning_steps(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.take_dunning_steps(p jsonb) TO service_role;

CREATE FUNCTION private.reminders_due(p_bills uuid[], p_today date) RETURNS TABLE(customer_id uuid, currency text, bill_id uuid, occasion text, step text, action text, day integer, policy_id uuid, due_date date, amount_minor bigint, bills integer, fee_minor bigint, tax_minor bigint, notice_days integer, wait text)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
#variable_conflict use_column
declare
    v_customers constant uuid[] := array(select distinct b.customer_id from public.bills b where b.id = any (p_bills));
    v_held constant uuid[] := private.held_of(v_customers, p_today);
begin
    return query
    with steps as materialized (
        select s.* from private.dunning_steps_on(
            array(select distinct b.currency from public.bills b where b.id = any (p_bills)), p_today) s where s.action = 'reminder'
    ), owed as materialized (select o.* from private.owed_of(v_customers) o
    ), taken as materialized (
        select a.bill_id, max(a.day) as day from public.dunning_actions a
        where a.bill_id = any (p_bills) and a.action = 'reminder' group by 1)
    select distinct on (b.id)
           b.customer_id, b.currency, b.id, '', s.step, s.action, s.day, s.policy_id, b.due_date,
           b.total_minor - b.amount_paid_minor, 1, 0::bigint, 0::bigint, s.notice_days,
           case when b.customer_id = any (v_held) then 'held' else '' end
    from public.bills b
    join steps s on s.currency = b.currency and b.due_date + s.day <= p_today and p_today <= b.due_date
    join owed o on o.customer_id = b.customer_id and o.currency = b.currency and o.owed_minor >= s.minimum_minor
    left join taken t on t.bill_id = b.id
    where b.id = any (p_bills) and (t.day is null or t.day < s.day)
    order by b.id, s.day desc;
end $$;

COMMENT ON FUNCTION private.reminders_due(p_bills uuid[], p_today date) IS 'Of some bills that are dunned the reminder that is due on a local date: the latest whose day has come, once. wait: held, where the account is on hold.';

REVOKE ALL ON FUNCTION private.reminders_due(p_bills uuid[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.reminders_due(p_bills uuid[], p_today date) TO service_role;

CREATE FUNCTION public.give_notice(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row public.dunning_actions;
begin
    perform private.set_actor(p);
    update public.dunning_actions set given_on = (p ->> 'on')::date, given_by = p ->> 'actor'
    where id = (p ->> 'id')::uuid and action = 'notice' and given_on is null and taken_on <= (p ->> 'on')::date;
    select * into v_row from public.dunning_actions where id = (p ->> 'id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such notice.');
    elsif v_row.action <> 'notice' then
        perform private.refuse('EB005', 'Only a disconnection notice is handed over.');
    elsif v_row.given_on is null then
        perform private.refuse('EB005', 'The notice is from after that day.');
    end if;
    return to_jsonb(v_row);
end $$;

COMMENT ON FUNCTION public.give_notice(p jsonb) IS 'Somebody handed a disconnection notice over: {actor, id, on} -> the action. One that reached the customer before stays as it is.';

REVOKE ALL ON FUNCTION public.give_notice(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.give_notice(p jsonb) TO service_role;

CREATE FUNCTION public.publish_dunning_policy(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_row public.dunning_policies;
begin
    perform private.set_actor(p);
    perform pg_advisory_xact_lock(hashtext('dunning_policies'));
    select * into v_row from public.dunning_policies where id = (p ->> 'id')::uuid;
    if found then
        return to_jsonb(v_row);
    end if;
    if (p ->> 'seen_version')::integer is distinct from coalesce((
            select max(x.version) from public.dunning_policies x where x.currency = p ->> 'currency'), 0) then
        perform private.refuse('EB005', 'Somebody else has changed the policy meanwhile: look at it again.');
    end if;
    insert into public.dunning_policies (id, currency, version, valid_from, minimum_minor, notice_days, steps, late_fee, created_by)
    values ((p ->> 'id')::uuid, p ->> 'currency', (p ->> 'seen_version')::integer + 1, (p ->> 'valid_from')::date,
            (p ->> 'minimum_minor')::bigint, (p ->> 'notice_days')::integer, p -> 'steps', nullif(p -> 'late_fee', 'null'), p ->> 'actor')
    returning * into v_row;
    return to_jsonb(v_row);
end $$;

COMMENT ON FUNCTION public.publish_dunning_policy(p jsonb) IS 'Adds a version of a currency''s policy, once: {actor, id, currency, seen_version, valid_from, minimum_minor, notice_days, steps, late_fee} -> the version.';

REVOKE ALL ON FUNCTION public.publish_dunning_policy(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.publish_dunning_policy(p jsonb) TO service_role;

CREATE FUNCTION public.dunning_policies_of(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'in_force', private.dunning_policy_on(p ->> 'currency', (p ->> 'today')::date),
        'versions', coalesce((
            select jsonb_agg(to_jsonb(x) order by x.version desc)
            from (select * from public.dunning_policies y where y.currency = p ->> 'currency' order by y.version desc limit 50) x), '[]'))
$$;

COMMENT ON FUNCTION public.dunning_policies_of(p jsonb) IS 'The policy of a currency that holds on a day, and its last 50 versions: {currency, today} -> {in_force, versions}.';

REVOKE ALL ON FUNCTION public.dunning_policies_of(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.dunning_policies_of(p jsonb) TO service_role;

CREATE FUNCTION public.days_of_reminders(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('days', greatest(3, -coalesce((
        select min((s ->> 'day')::integer) from public.dunning_policies x cross join jsonb_array_elements(x.steps) s), 0)))
$$;

COMMENT ON FUNCTION public.days_of_reminders(p jsonb) IS 'How many days before the due date the first reminder of any policy goes: {} -> {days}.';

REVOKE ALL ON FUNCTION public.days_of_reminders(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.days_of_reminders(p jsonb) TO service_role;

CREATE FUNCTION private.dunning_policy_on(p_currency text, p_today date) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(
        (select to_jsonb(x) from public.dunning_policies x
         where x.currency = p_currency and x.valid_from <= p_today order by x.version desc limit 1),
        private.default_dunning_policy(p_currency))
$$;

COMMENT ON FUNCTION private.dunning_policy_on(p_currency text, p_today date) IS 'The policy of a currency that holds on a local date.';

REVOKE ALL ON FUNCTION private.dunning_policy_on(p_currency text, p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.dunning_policy_on(p_currency text, p_today date) TO service_role;

CREATE FUNCTION private.dunning_occasions(p_bills uuid[]) RETURNS TABLE(bill_id uuid, occasion text)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select b.id, coalesce(e.occasion, '')
    from unnest(p_bills) b(id)
    left join (
        select distinct on (x.bill_id) x.bill_id, x.occasion
        from (select s.bill_id, s.id::text as occasion, coalesce(s.released_at, s.until) as ended_at
              from public.spared_bills s where s.bill_id = any (p_bills)
              union all
              select p.bill_id, i.id::text, i.ended_at
              from public.plan_bills p join public.instalment_plans i on i.id = p.plan_id
              where p.bill_id = any (p_bills) and i.ended_at is not null) x
        order by x.bill_id, x.ended_at desc) e on e.bill_id = b.id
$$;

COMMENT ON FUNCTION private.dunning_occasions(p_bills uuid[]) IS 'Of some bills the sparing or the plan that ended last, after which a debt is one of its own: the customer hears again that the bill is to be paid.';

REVOKE ALL ON FUNCTION private.dunning_occasions(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.dunning_occasions(p_bills uuid[]) TO service_role;

CREATE FUNCTION public.arrears_of_bill(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'overdue_minor', t.overdue_minor, 'bills', t.bills, 'since', t.since,
        'charges_minor', coalesce(c.open_minor, 0), 'charges_since', c.due_date)
    from private.message_subject((p ->> 'bill_id')::uuid, (p ->> 'customer_id')::uuid) x
    cross join lateral (
        select coalesce(sum(b.total_minor - b.amount_paid_minor), 0)::bigint as overdue_minor, count(*) as bills, min(b.due_date) as since
        from public.bills b
        where b.customer_id = x.customer_id and b.currency = x.currency and b.status = 'issued'
          and b.amount_paid_minor < b.total_minor and b.overdue_since is not null) t
    left join lateral (
        select y.open_minor, y.due_date
        from private.due_charges_of(array[x.customer_id], coalesce((p ->> 'today')::date, current_date)) y
        where y.currency = x.currency) c on true
$$;

COMMENT ON FUNCTION public.arrears_of_bill(p jsonb) IS 'What the account of a bill, or an account without one, owes overdue in its currency: {bill_id, or null and customer_id, today?} -> {overdue_minor: of bills, bills, since, charges_minor: of charges that are due, charges_since}.';

REVOKE ALL ON FUNCTION public.arrears_of_bill(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.arrears_of_bill(p jsonb) TO service_role;

CREATE FUNCTION private.overdue_notices_due(p_bills uuid[], p_today date) RETURNS TABLE(customer_id uuid, currency text, bill_id uuid, occasion text, step text, action text, day integer, policy_id uuid, due_date date, amount_minor bigint, bills integer, fee_minor bigint, tax_minor bigint, notice_days integer, wait text)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
#variable_conflict use_column
declare
    v_customers constant uuid[] := array(select distinct b.customer_id from public.bills b where b.id = any (p_bills));
    v_held constant uuid[] := private.held_of(v_customers, p_today);
begin
    return query
    with steps as materialized (
        select s.* from private.dunning_steps_on(
            array(select distinct b.currency from public.bills b where b.id = any (p_bills)), p_today) s
        -- A fee is charged by the account's pass, which locks the account.
        where s.action = 'overdue' and not s.fee
    ), marked as materialized (select o.* from private.overdue_of(v_customers) o
    ), new as materialized (
        -- What is not marked yet is about to be.
        select b.customer_id, b.currency, sum(b.total_minor - b.amount_paid_minor)::bigint as open_minor
        from public.bills b where b.id = any (p_bills) and b.overdue_since is null group by 1, 2
    ), levels as materialized (
        -- An account that is further up gets no notice of a younger bill: its next step names that too.
        select b.customer_id, b.currency, max(a.day) as day
        from public.bills b join public.dunning_actions a on a.bill_id = b.id and a.action <> 'reminder'
        join private.dunning_occasions(array(
            select x.id from public.bills x where x.customer_id = any (v_customers) and x.status = 'issued'
              and x.amount_paid_minor < x.total_minor and x.overdue_since is not null)) o
            on o.bill_id = a.bill_id and o.occasion = a.occasion
        group by 1, 2)
    select b.customer_id, b.currency, b.id, o.occasion, s.step, s.action, s.day, s.policy_id, b.due_date,
           b.total_minor - b.amount_paid_minor, 1, 0::bigint, 0::bigint, s.notice_days,
           case when b.customer_id = any (v_held) then 'held' else '' end
    from public.bills b
    join private.dunning_occasions(p_bills) o on o.bill_id = b.id
    join steps s on s.currency = b.currency and b.due_date + s.day <= p_today
    left join marked m on m.customer_id = b.customer_id and m.currency = b.currency
    left join new n on n.customer_id = b.customer_id and n.currency = b.currency
    left join levels l on l.customer_id = b.customer_id and l.currency = b.currency
    where b.id = any (p_bills) and coalesce(m.overdue_minor, 0) + coalesce(n.open_minor, 0) >= s.minimum_minor
      and coalesce(l.day, 0) <= s.day
      and not exists (select 1 from public.dunning_actions a
                      where a.bill_id = b.id and a.occasion = o.occasion and a.action = 'overdue');
end $$;

COMMENT ON FUNCTION private.overdue_notices_due(p_bills uuid[], p_today date) IS 'Which of some bills that are past due and dunned have their notice due on a local date, each a message of its own.';

REVOKE ALL ON FUNCTION private.overdue_notices_due(p_bills uuid[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.overdue_notices_due(p_bills uuid[], p_today date) TO service_role;

CREATE FUNCTION private.dunning_due(p_customers uuid[], p_today date) RETURNS TABLE(customer_id uuid, currency text, bill_id uuid, occasion text, step text, action text, day integer, policy_id uuid, due_date date, amount_minor bigint, bills integer, fee_minor bigint, tax_minor bigint, notice_days integer, wait text)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
#variable_conflict use_column
declare
    v_dunned constant uuid[] := private.dunned_of(array(
        select b.id from public.bills b
        where b.customer_id = any (p_customers) and b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.overdue_since is not null));
    v_held constant uuid[] := private.held_of(p_customers, p_today);
begin
    return query
    with charges as materialized (select c.* from private.due_charges_of(p_customers, p_today) c
    ), debts as materialized (
        select b.customer_id, b.currency, b.id, b.due_date, b.total_minor - b.amount_paid_minor as open_minor, o.occasion,
               false as of_charges
        from public.bills b join private.dunning_occasions(v_dunned) o on o.bill_id = b.id
        where b.id = any (v_dunned)
        union all
        -- Beside an overdue bill, also one in a plan, charges have no ladder of their own.
        select c.customer_id, c.currency, c.bill_id, c.due_date, c.open_minor, c.occasion, true
        from charges c
        where not exists (select 1 from public.bills b
                          where b.customer_id = c.customer_id and b.currency = c.currency and b.status = 'issued'
                            and b.amount_paid_minor < b.total_minor and b.overdue_since is not null)
    ), steps as materialized (
        select s.* from private.dunning_steps_on(array(select distinct d.currency from debts d), p_today) s where s.action <> 'reminder'
    ), taken as materialized (
        select a.bill_id, a.occasion, a.action, a.day, a.taken_on, a.given_on, a.fee_minor
        from public.dunning_actions a where a.bill_id = any (v_dunned) and a.action <> 'reminder'
        union all
        select a.bill_id, a.occasion, a.action, a.day, a.taken_on, a.given_on, a.fee_minor
        from public.dunning_actions a
        where a.customer_id = any (array(select d.customer_id from debts d where d.of_charges)) and a.occasion like 'charges-%'
          and (a.bill_id is null or a.bill_id <> all (v_dunned))
    ), accounts as materialized (
        select d.customer_id, d.currency,
               sum(d.open_minor)::bigint + case when bool_or(d.of_charges) then 0 else coalesce(max(c.open_minor), 0) end as amount,
               count(*) filter (where not d.of_charges)::integer as bills, min(d.due_date) as due_date,
               (array_agg(d.id order by d.due_date, d.id))[1] as anchor,
               (array_agg(d.occasion order by d.due_date, d.id))[1] as occasion, bool_or(d.of_charges) as of_charges
        from debts d left join charges c on c.customer_id = d.customer_id and c.currency = d.currency
        group by 1, 2
    ), reached as materialized (
        -- The account is as far up as any of its debts.
        select d.customer_id, d.currency, max(t.day) as day, max(t.given_on) filter (where t.action = 'notice') as given_on,
               (array_agg(t.taken_on order by t.day desc, t.taken_on desc))[1] as taken_on, max(t.taken_on) as last_on
        from taken t join debts d on d.occasion = t.occasion and (d.of_charges or d.id = t.bill_id)
        group by 1, 2
    ), levels as materialized (
        select c.*, r.day, r.taken_on, r.given_on
        from accounts c
        left join reached r on r.customer_id = c.customer_id and r.currency = c.currency
        -- One step a night.
        where r.last_on is null or r.last_on < p_today
    ), missing as materialized (
        select d.customer_id, d.currency, d.id as bill_id, d.occasion, d.due_date, d.open_minor, d.of_charges, s.*, l.bills as of_bills
        from debts d
        join levels l on l.customer_id = d.customer_id and l.currency = d.currency
        join (select x.currency as of, x.policy_id, x.minimum_minor, x.notice_days, x.late_fee, x.step, x.action, x.day, x.fee
              from steps x where x.action = 'overdue') s
            on s.of = d.currency and d.due_date + s.day <= p_today
        where coalesce(l.day, 0) <= s.day and l.amount >= s.minimum_minor
          and not exists (select 1 from taken t
                          where t.occasion = d.occasion and (d.of_charges or t.bill_id = d.id) and t.action = 'overdue')
    ), next as materialized (
        -- In order, and no faster than the policy goes: who was left alone for long begins at the first step.
        select distinct on (l.customer_id, l.currency)
               l.customer_id, l.currency, l.anchor as bill_id, l.occasion, l.due_date, l.amount as open_minor, l.of_charges, s.policy_id,
               s.minimum_minor, s.notice_days, s.late_fee, s.step, s.action, s.day, s.fee, l.bills, l.day as last_day, l.taken_on, l.given_on
        from levels l
        join steps s on s.currency = l.currency and s.action <> 'overdue' and s.day > coalesce(l.day, 0)
             -- Nobody is cut off for charges alone.
             and (not l.of_charges or s.action = 'demand')
        where not exists (select 1 from missing m where m.customer_id = l.customer_id and m.currency = l.currency)
        order by l.customer_id, l.currency, s.day
    ), found as (
        select m.customer_id, m.currency, m.bill_id, m.occasion, m.due_date, m.open_minor, m.of_charges, m.policy_id, m.notice_days,
               m.late_fee, m.step, m.action, m.day, m.fee, case when m.of_charges then 0 else 1 end as bills, '' as wait
        from missing m
        union all
        select n.customer_id, n.currency, n.bill_id, n.occasion, n.due_date, n.open_minor, n.of_charges, n.policy_id, n.notice_days,
               n.late_fee, n.step, n.action, n.day, n.fee, n.bills,
               case when n.action = 'disconnection' and n.given_on is null then 'notice' else '' end
        from next n
        where n.open_minor >= n.minimum_minor and n.due_date + n.day <= p_today
          and (n.taken_on is null or n.taken_on + (n.day - n.last_day) <= p_today)
          and (n.action <> 'disconnection' or n.given_on is null or n.given_on + n.notice_days <= p_today)
    ), charged as (
        select f.*,
               -- No fee is charged on fees.
               case when f.fee and f.late_fee is not null and not f.of_charges then greatest(0, least(
                   (f.late_fee ->> 'fixed_minor')::bigint
                   + round(b.base * (f.late_fee ->> 'percent_bp')::numeric / 10000)::bigint,
                   (f.late_fee ->> 'cap_minor')::bigint - b.before)) else 0 end as net
        from found f
        cross join lateral (
            select coalesce((select sum(t.fee_minor) from taken t where t.bill_id = f.bill_id), 0)::bigint as before,
                   coalesce((select sum(d.open_minor) from debts d
                             where d.customer_id = f.customer_id and d.currency = f.currency and not d.of_charges
                               and (f.action <> 'overdue' or d.id = f.bill_id)
                               and d.due_date + (f.late_fee ->> 'grace_days')::integer < p_today), 0)::numeric as base) b)
    select c.customer_id, c.currency, c.bill_id, c.occasion, c.step, c.action, c.day, c.policy_id, c.due_date, c.open_minor, c.bills,
           c.net, case when c.net > 0 then round(c.net::numeric * (c.late_fee ->> 'tax_bp')::numeric / 10000)::bigint else 0 end,
           c.notice_days, case when c.customer_id = any (v_held) then 'held' else c.wait end
    from charged c;
end $$;

COMMENT ON FUNCTION private.dunning_due(p_customers uuid[], p_today date) IS 'Of some accounts the step that is due on a local date: the next of the ladder of their oldest unpaid bill, or overdue notices that some bills did not have yet; where no bill is overdue, of the charges that are open and due, up to the demands (their occasion begins with charges-). wait: held, or notice where the disconnection notice has reached nobody.';

REVOKE ALL ON FUNCTION private.dunning_due(p_customers uuid[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.dunning_due(p_customers uuid[], p_today date) TO service_role;

CREATE FUNCTION private.accounts_in_arrears(p_after uuid, p_limit integer) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_after constant uuid := coalesce(p_after, '00000000-0000-0000-0000-000000000000'::uuid);
begin
    return array(
        select x.customer_id
        from ((select distinct b.customer_id from public.bills b
               where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
                 and b.customer_id > v_after
               order by 1 limit p_limit)
              union
              (select distinct o.customer_id from public.open_items o
               where o.is_charge and o.open_minor > 0 and o.customer_id > v_after
               order by 1 limit p_limit)) x
        order by 1 limit p_limit);
end $$;

COMMENT ON FUNCTION private.accounts_in_arrears(p_after uuid, p_limit integer) IS 'The next accounts, by id, that have overdue bills or open charges.';

REVOKE ALL ON FUNCTION private.accounts_in_arrears(p_after uuid, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.accounts_in_arrears(p_after uuid, p_limit integer) TO service_role;

CREATE FUNCTION public.dunning_of_account(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'due', coalesce((
            select jsonb_agg(to_jsonb(d) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'bill_number', b.number)
                             order by d.due_date, d.bill_id)
            from (select * from private.dunning_due(array[(p ->> 'customer_id')::uuid], (p ->> 'today')::date)
                  union all
                  select r.* from private.reminders_due(private.dunned_of(array(
                      select x.id from public.bills x
                      where x.customer_id = (p ->> 'customer_id')::uuid and x.status = 'issued' and x.amount_paid_minor < x.total_minor
                        and x.overdue_since is null and x.due_date >= (p ->> 'today')::date)), (p ->> 'today')::date) r
                  union all
                  select n.* from private.overdue_notices_due(private.dunned_of(array(
                      select x.id from public.bills x
                      where x.customer_id = (p ->> 'customer_id')::uuid and x.status = 'issued' and x.amount_paid_minor < x.total_minor
                        and x.overdue_since is null and x.due_date < (p ->> 'today')::date)), (p ->> 'today')::date) n) d
            join public.customers c on c.id = d.customer_id
            join public.bills b on b.id = d.bill_id), '[]'),
        'arrears', coalesce((
            select jsonb_agg(to_jsonb(a) order by a.currency)
            from (select b.currency, min(b.due_date) as since, sum(b.total_minor - b.amount_paid_minor)::bigint as overdue_minor,
                         count(*)::integer as bills
                  from public.bills b
                  where b.customer_id = (p ->> 'customer_id')::uuid and b.status = 'issued' and b.amount_paid_minor < b.total_minor
                    and b.overdue_since is not null
                  group by 1) a), '[]'))
$$;

COMMENT ON FUNCTION public.dunning_of_account(p jsonb) IS 'How dunning of an account stands: {customer_id, today} -> {due: what the jobs would do now, arrears: [{currency, since, overdue_minor, bills}]}.';

REVOKE ALL ON FUNCTION public.dunning_of_account(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.dunning_of_account(p jsonb) TO service_role;

CREATE FUNCTION public.follow_work_orders(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_today constant date := (p ->> 'today')::date;
    v_actions uuid[];
    v_still uuid[];
    v_orders uuid[] := '{}';
    v_cancelled uuid[] := '{}';
    v_back uuid[] := '{}';
begin
    v_actions := array(select a.id from public.dunning_actions a where a.action = 'disconnection' and a.ordered_at is null limit 1000);
    if v_actions = '{}' and not exists (select 1 from public.work_orders w where w.status = 'open')
       and not exists (select 1 from public.work_orders w where w.kind = 'disconnect' and w.status = 'done' and w.followed_at is null) then
        return jsonb_build_object('ordered', 0, 'cancelled', 0);
    end if;
    perform private.set_actor(p);
    -- One at a time, in any number of processes.
    perform pg_advisory_xact_lock(hashtext('work_orders'));
    v_still := private.is_owed_still(v_actions, v_today);
    with new as (
        insert into public.work_orders (id, kind, customer_id, agreement_id, service_point_id, meter_id, action_id, ordered_on)
        select private.ordered_id(), 'disconnect', x.customer_id, x.agreement_id, x.service_point_id, x.meter_id, x.action_id, v_today
        from (select distinct on (g.id) a.customer_id, g.id as agreement_id, g.service_point_id, i.meter_id, a.id as action_id
              from public.dunning_actions a
              join public.bills b on b.customer_id = a.customer_id and b.currency = a.currency and b.status = 'issued'
                  and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
              join public.service_agreements g on g.id = b.agreement_id and g.ends_on is null
              join public.meter_installations i on i.service_point_id = g.service_point_id and i.removed_at is null
              where a.id = any (v_still) and not private.is_disconnected(g.id, v_today)
              order by g.id, a.id, i.installed_at desc) x
        on conflict (agreement_id) where status = 'open' do nothing
        returning id)
    select array(select n.id from new n) into v_orders;
    update public.dunning_actions a set ordered_at = now()
    where a.id = any (v_still) or (a.id = any (v_actions) and exists (
        -- Paid meanwhile: what is still open begins at the first step. What is held or small waits.
        select 1 from public.bills b where b.id = a.bill_id and (b.status <> 'issued' or b.amount_paid_minor >= b.total_minor)));

    -- Who paid meanwhile, or is on hold, is not cut.
    v_actions := array(select w.action_id from public.work_orders w where w.status = 'open' and w.kind = 'disconnect');
    v_still := private.is_owed_still(v_actions, v_today);
    with ended as (
        update public.work_orders w
        set status = 'cancelled', closed_at = now(),
            closed_because = case when g.ends_on is not null then 'They moved out.'
                                  when b.amount_paid_minor >= b.total_minor then 'The debt was paid.'
                                  else 'The account is on hold, in a plan, or owes a small balance.' end
        from public.service_agreements g, public.dunning_actions a, public.bills b
        where w.status = 'open' and w.kind = 'disconnect' and g.id = w.agreement_id and a.id = w.action_id and b.id = a.bill_id
          and (w.action_id <> all (v_still) or g.ends_on is not null)
        returning w.id, w.action_id, b.amount_paid_minor < b.total_minor and g.ends_on is null as again
    ), again as (
        -- Ordered anew when the hold is over, if it is still owed then.
        update public.dunning_actions a set ordered_at = null from ended e where a.id = e.action_id and e.again returning 1)
    select array(select e.id from ended e) into v_cancelled;

    -- Who paid is connected again, by an order too.
    with paid as (
        select w.id, w.customer_id, w.agreement_id, w.service_point_id
        from public.work_orders w
        join public.service_agreements g on g.id = w.agreement_id and g.ends_on is null
        where w.kind = 'disconnect' and w.status = 'done' and w.followed_at is null
          and private.is_disconnected(w.agreement_id, v_today)
          and coalesce((select sum(o.overdue_minor) from private.overdue_of(array[w.customer_id]) o), 0)
              < (select (private.dunning_policy_on(a.currency, v_today) ->> 'minimum_minor')::bigint
                 from public.dunning_actions a where a.id = w.action_id)
        order by w.id limit 500
    ), new as (
        insert into public.work_orders (id, kind, customer_id, agreement_id, service_point_id, meter_id, ordered_on)
        select private.ordered_id(), 'reconnect', d.customer_id, d.agreement_id, d.service_point_id, i.meter_id, v_today
        from paid d
        cross join lateral (select x.meter_id from public.meter_installations x
                            where x.service_point_id = d.service_point_id and x.removed_at is null order by x.installed_at desc limit 1) i
        on conflict (agreement_id) where status = 'open' do nothing
        returning id
    ), followed as (
        update public.work_orders w set followed_at = now() from paid d where w.id = d.id returning 1)
    select array(select n.id from new n) into v_back;

    insert into public.reading_requests (id, meter_id, reason, requested_on, requested_by)
    select w.id, w.meter_id,
           case w.kind
               when 'disconnect' then 'Disconnect for non-payment: cut the supply, then read the meter. Not done? Say that it could not be read, and why.'
               else 'Reconnect, the debt is paid: bring the supply back, then read the meter. Not done? Say that it could not be read, and why.' end,
           v_today, p ->> 'actor'
    from public.work_orders w where w.id = any (v_orders || v_back)
    on conflict (meter_id) where done_at is null do update
    set reason = left(excluded.reason || ' Also: ' || public.reading_requests.reason, 500);
    update public.reading_requests q set done_at = now() where q.id = any (v_cancelled) and q.done_at is null;
    return jsonb_build_object('ordered', cardinality(v_orders) + cardinality(v_back), 'cancelled', cardinality(v_cancelled));
end $$;

COMMENT ON FUNCTION public.follow_work_orders(p jsonb) IS 'Orders the disconnections that the ladder came to, cancels those whose debt is paid or on hold, and orders reconnections of who paid: {actor, today} -> {ordered, cancelled}. Costs next to nothing where there are none.';

REVOKE ALL ON FUNCTION public.follow_work_orders(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.follow_work_orders(p jsonb) TO service_role;

CREATE FUNCTION private.is_owed_still(p_actions uuid[], p_today date) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_bills constant uuid[] := array(select a.bill_id from public.dunning_actions a where a.id = any (p_actions));
    v_customers constant uuid[] := array(select distinct a.customer_id from public.dunning_actions a where a.id = any (p_actions));
    v_dunned constant uuid[] := private.dunned_of(v_bills);
    v_held constant uuid[] := private.held_of(v_customers, p_today);
begin
    return array(
        select a.id from public.dunning_actions a
        join private.overdue_of(v_customers) o on o.customer_id = a.customer_id and o.currency = a.currency
        where a.id = any (p_actions) and a.bill_id = any (v_dunned) and a.customer_id <> all (v_held)
          and o.overdue_minor >= (private.dunning_policy_on(a.currency, p_today) ->> 'minimum_minor')::bigint);
end $$;

COMMENT ON FUNCTION private.is_owed_still(p_actions uuid[], p_today date) IS 'Those of some disconnection orders of the ladder whose debt is still pressed: unpaid, no small balance, not on hold, in no plan.';

REVOKE ALL ON FUNCTION private.is_owed_still(p_actions uuid[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_owed_still(p_actions uuid[], p_today date) TO service_role;

CREATE FUNCTION private.close_work_orders() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_kind constant text := case when new.reconnected_on is null then 'disconnect' else 'reconnect' end;
begin
    if new.withdrawn then
        return null;
    end if;
    with ended as (
        update public.work_orders w
        set status = 'done', closed_at = now(), disconnection_id = new.id,
            closed_because = case v_kind when 'disconnect' then 'Disconnected.' else 'Reconnected.' end
        where w.agreement_id = new.agreement_id and w.kind = v_kind and w.status = 'open'
        returning w.id)
    update public.reading_requests q set done_at = now() from ended e where q.id = e.id and q.done_at is null;
    if new.reconnected_on is not null then
        update public.work_orders w set followed_at = now()
        where w.agreement_id = new.agreement_id and w.kind = 'disconnect' and w.status = 'done' and w.followed_at is null;
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.close_work_orders() FROM PUBLIC;
GRANT ALL ON FUNCTION private.close_work_orders() TO service_role;

CREATE FUNCTION public.note_notices_given(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_given integer;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    -- A message that came back has reached nobody after all.
    update public.dunning_actions a set given_on = null, given_by = null
    where a.action = 'notice' and a.given_by = 'system:messages' and a.taken_on > current_date - 120
      and exists (select 1 from public.notifications x where x.bill_id = a.bill_id and x.kind = 'disconnection_notice')
      and not exists (select 1 from public.notifications x
                      where x.bill_id = a.bill_id and x.kind = 'disconnection_notice' and x.status in ('sent', 'delivered', 'read')
                        and x.channel not in ('discord', 'letter'));
    update public.dunning_actions a
    set given_on = (n.sent_at at time zone (p ->> 'zone'))::date, given_by = 'system:messages'
    from (select x.bill_id, x.occasion, min(x.updated_at) as sent_at
          from public.notifications x
          where x.bill_id = any (array(select y.bill_id from public.dunning_actions y where y.action = 'notice' and y.given_on is null))
            and x.kind = 'disconnection_notice' and x.status in ('sent', 'delivered', 'read') and x.channel not in ('discord', 'letter')
          group by 1, 2) n
    where a.action = 'notice' and a.given_on is null and a.bill_id = n.bill_id
      and n.occasion = concat_ws('/', nullif(a.occasion, ''), a.step);
    get diagnostics v_given = row_count;
    return jsonb_build_object('given', v_given);
end $$;

COMMENT ON FUNCTION public.note_notices_given(p jsonb) IS 'Keeps of disconnection notices on which day they reached the customer by a message of their own: {actor, run, zone} -> {given}.';

REVOKE ALL ON FUNCTION public.note_notices_given(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_notices_given(p jsonb) TO service_role;

CREATE FUNCTION public.dunning_totals(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with found as materialized (select public.dunning_preview(p || '{"limit": 1000000, "after": null}') as page)
    select jsonb_build_object(
        'rows', coalesce((
            select jsonb_agg(to_jsonb(t) order by t.currency, t.day, t.step)
            from (select r.currency, r.step, r.action, r.day, count(*)::integer as steps, count(distinct r.customer_id)::integer as accounts,
                         sum(r.amount_minor)::bigint as amount_minor, sum(r.fee_minor + r.tax_minor)::bigint as fee_minor,
                         count(*) filter (where r.wait <> '')::integer as waiting
                  from found f
                  cross join lateral jsonb_to_recordset(f.page -> 'rows') as r(
                      customer_id uuid, currency text, step text, action text, day integer, amount_minor bigint, fee_minor bigint,
                      tax_minor bigint, wait text)
                  group by 1, 2, 3, 4) t), '[]'),
        'complete', (select f.page -> 'after' is null or f.page -> 'after' = 'null' from found f))
$$;

COMMENT ON FUNCTION public.dunning_totals(p jsonb) IS 'What a night''s jobs would do, added up by step: {today, part} -> {rows: [{currency, step, action, day, steps, accounts, amount_minor, fee_minor: with tax, waiting: of them held or waiting for the notice}], complete: whether all was looked at, which are 10,000 bills or accounts at most}.';

REVOKE ALL ON FUNCTION public.dunning_totals(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.dunning_totals(p jsonb) TO service_role;

CREATE FUNCTION private.why_charges_unsaid(p_customer uuid, p_currency text, p_today date) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select case
        when not exists (select 1 from private.due_charges_of(array[p_customer], p_today) c where c.currency = p_currency)
            then 'the charges are paid by now'
        when exists (select 1 from public.bills b where b.customer_id = p_customer and b.currency = p_currency and b.status = 'issued'
                       and b.amount_paid_minor < b.total_minor and b.overdue_since is not null)
            then 'a bill is overdue by now, and its notice names the charges too'
        when private.owes_nothing(p_customer, p_currency) then 'credit on the account covers the charges'
        when private.held_of(array[p_customer], p_today) <> '{}' then 'dunning of the account is on hold'
        when (select coalesce(sum(o.owed_minor), 0) from private.owed_of(array[p_customer]) o where o.currency = p_currency)
            < (private.dunning_policy_on(p_currency, p_today) ->> 'minimum_minor')::bigint
            then 'what is left is a small balance, which is left alone'
        else '' end
$$;

COMMENT ON FUNCTION private.why_charges_unsaid(p_customer uuid, p_currency text, p_today date) IS 'Why a message about charges that are due is no longer sent, or nothing.';

REVOKE ALL ON FUNCTION private.why_charges_unsaid(p_customer uuid, p_currency text, p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.why_charges_unsaid(p_customer uuid, p_currency text, p_today date) TO service_role;

CREATE FUNCTION private.take_dunning(p_rows jsonb, p jsonb) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_today constant date := (p ->> 'today')::date;
    v_new uuid[];
    v_fees jsonb;
begin
    if p_rows is null then
        return 0;
    end if;
    -- Whoever takes a step first has it: another process finds the row and does nothing.
    with new as (
        insert into public.dunning_actions (id, customer_id, currency, bill_id, occasion, step, action, day, policy_id, taken_on,
                                            amount_minor, fee_minor, tax_minor)
        select private.ordered_id(), r.customer_id, r.currency, r.bill_id, r.occasion, r.step, r.action, r.day, r.policy_id, v_today,
               r.amount_minor, r.fee_minor, r.tax_minor
        from jsonb_to_recordset(p_rows) as r(customer_id uuid, currency text, bill_id uuid, occasion text, step text, action text,
                                             day integer, policy_id uuid, amount_minor bigint, fee_minor bigint, tax_minor bigint)
        order by r.bill_id, r.occasion, r.step
        on conflict do nothing
        returning id)
    select array(select n.id from new n) into v_new;
    v_fees := (
        select jsonb_agg(jsonb_build_object(
            'id', a.id, 'customer_id', a.customer_id, 'currency', a.currency, 'kind', 'fee', 'amount_minor', a.fee_minor + a.tax_minor,
            'on_date', v_today,
            'note', format('Late payment fee, %s days after the due date%s', v_today - b.due_date,
                           case when a.tax_minor > 0 then ', with tax' else '' end)) order by a.customer_id, a.id)
        from public.dunning_actions a join public.bills b on b.id = a.bill_id
        where a.id = any (v_new) and a.fee_minor > 0);
    if v_fees is not null then
        perform private.post_entries(v_fees);
    end if;
    insert into public.outbox (id, bill_id, customer_id, kind, occasion, facts, steps, status, finished_at)
    select private.ordered_id(), a.bill_id, case when a.bill_id is null then a.customer_id end,
           case when a.occasion like 'charges-%' then 'charges_overdue' when a.action = 'reminder' then 'payment_reminder' when a.action = 'notice' then 'disconnection_notice' else 'overdue_notice' end,
           -- The first of a kind is named as it was before there were several.
           concat_ws('/', nullif(a.occasion, ''), nullif(nullif(a.step, 'reminder'), 'overdue')),
           case when a.action in ('demand', 'notice') or a.fee_minor > 0 or a.occasion like 'charges-%'
                then jsonb_strip_nulls(jsonb_build_object(
                    'dunning', a.action, 'notice_days', private.dunning_policy_on(a.currency, v_today) ->> 'notice_days',
                    'late_fee_minor', nullif(a.fee_minor + a.tax_minor, 0)::text))
                else '{}'::jsonb end,
           p #> '{owed,steps}', p #>> '{owed,status}', case when p #>> '{owed,status}' <> 'open' then now() end
    from public.dunning_actions a
    where a.id = any (v_new) and a.action <> 'disconnection'
    on conflict do nothing;
    return cardinality(v_new);
end $$;

COMMENT ON FUNCTION private.take_dunning(p_rows jsonb, p jsonb) IS 'Takes steps that are due, once each: rows of private.dunning_due, {today, owed: {steps, status}}. Late fees are posted and messages owed in the same transaction. The caller has locked the bills, and where there are fees the customers. How many were new.';

REVOKE ALL ON FUNCTION private.take_dunning(p_rows jsonb, p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.take_dunning(p_rows jsonb, p jsonb) TO service_role;

CREATE FUNCTION public.why_unsaid(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('reason', coalesce(case when p ->> 'bill_id' is null then
        case p ->> 'kind' when 'charges_overdue' then (
            select private.why_charges_unsaid(c.id, c.currency, (p ->> 'today')::date)
            from public.customers c where c.id = (p ->> 'customer_id')::uuid) else '' end end, (
        select case
            when x.kind = 'payment_received' then ''
            when x.kind = 'charges_overdue' then private.why_charges_unsaid(b.customer_id, b.currency, (p ->> 'today')::date)
            when x.kind in ('autopay_expiring', 'autopay_ended') then ''
            when x.kind = 'autopay_failed' then case when exists (
                select 1 from public.autopay_attempts t
                where t.id::text = split_part(coalesce(p ->> 'occasion', ''), '/', 1) and t.status = 'succeeded')
                then 'it is paid by now' else '' end
            when x.kind = 'autopay_notice' then case when exists (
                select 1 from public.autopay_charges c
                where c.id::text = split_part(coalesce(p ->> 'occasion', ''), '/', 1) and c.status = 'announced'
                  and exists (select 1 from private.autopay_amounts(array[c.id]) a where a.amount_minor > 0))
                then '' else 'nothing is charged any more' end
            -- A credit note is a document that the customer gets whatever became of the bills since.
            when x.kind = 'bill_corrected' and exists (
                select 1 from public.outbox o
                where (o.bill_id, o.kind, o.occasion) = (b.id, x.kind, coalesce(p ->> 'occasion', '')) and o.facts ? 'credit_notes') then ''
            when b.status = 'void' then 'the bill is void by now'
            when x.pressing and b.amount_paid_minor >= b.total_minor then 'the bill is paid by now'
            when x.pressing and private.in_plan(b.id) then 'the bill is in an instalment plan by now'
            when x.pressing and private.is_spared(b.id) then
                case (select s.reason from public.spared_bills s where s.bill_id = b.id and s.released_at is null
                        and (s.until is null or s.until > now()) order by s.reason desc limit 1)
                    when 'bank_debit' then 'the customer''s bank is paying the bill' when 'autopay' then 'autopay pays the bill'
                    else 'money of the bill went back, and nobody has said to collect it again' end
            when x.pressing and private.owes_nothing(b.customer_id, b.currency) then 'credit on the account covers the bill'
            when x.pressing and private.held_of(array[b.customer_id], (p ->> 'today')::date) <> '{}' then 'dunning of the account is on hold'
            when x.pressing and (
                    select coalesce(sum(o.owed_minor), 0) from private.owed_of(array[b.customer_id]) o where o.currency = b.currency)
                < (private.dunning_policy_on(b.currency, (p ->> 'today')::date) ->> 'minimum_minor')::bigint
                then 'what is left is a small balance, which is left alone'
            when x.kind = 'payment_reminder' and b.due_date < (p ->> 'today')::date
                then 'its due date has passed, and the overdue notice follows'
            when x.kind in ('bill_issued', 'payment_reminder', 'overdue_notice') then coalesce((
                select case l.kind when 'disconnection_notice' then 'the disconnection notice overtook it'
                                   when 'overdue_notice' then 'the overdue notice overtook it'
                                   else 'the payment reminder overtook it' end
                from public.outbox o
                join public.outbox l on l.bill_id = o.bill_id and l.created_at > o.created_at and l.status = 'open'
                where (o.bill_id, o.kind, o.occasion) = (b.id, x.kind, coalesce(p ->> 'occasion', ''))
                  and 'pending' in (l.steps #>> '{11,status}', l.steps #>> '{12,status}')
                  and (l.kind in ('overdue_notice', 'disconnection_notice')
                       or l.kind = 'payment_reminder' and b.due_date >= (p ->> 'today')::date)
                  and private.is_dunned(b)
                order by l.created_at desc limit 1), '')
            else '' end
        from public.bills b
        cross join (select p ->> 'kind' as kind,
                           p ->> 'kind' in ('payment_reminder', 'overdue_notice', 'disconnection_notice') as pressing) x
        where b.id = (p ->> 'bill_id')::uuid), 'no such bill'))
$$;

COMMENT ON FUNCTION public.why_unsaid(p jsonb) IS 'Why a message that was owed is no longer sent, or an empty text: {bill_id, kind, occasion, today} -> {reason}. What goes out is the latest that is still true.';

REVOKE ALL ON FUNCTION public.why_unsaid(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.why_unsaid(p jsonb) TO service_role;

CREATE FUNCTION public.arrears_page(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_today constant date := (p ->> 'today')::date;
    -- Behind the bills come the charges, with a date that no bill is due on.
    v_charges_on constant date := '9999-12-31';
    v_date constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
    v_oldest uuid[] := '{}';
    v_alone uuid[] := '{}';
    v_debts jsonb;
begin
    if v_date < v_charges_on then
        v_oldest := array(
            select b.id from public.bills b
            where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null
              and (b.due_date, b.id) > (v_date, v_id)
              and not exists (select 1 from public.bills o
                              where o.customer_id = b.customer_id and o.status = 'issued' and o.amount_paid_minor < o.total_minor
                                and o.overdue_since is not null and (o.due_date, o.id) < (b.due_date, b.id) and o.currency = b.currency
                              offset 0)
            order by b.due_date, b.id limit v_limit);
    end if;
    if cardinality(v_oldest) < v_limit then
        v_alone := private.dunning_charges_alone(
            case when v_date < v_charges_on then '00000000-0000-0000-0000-000000000000' else v_id end, v_today,
            v_limit - cardinality(v_oldest));
    end if;
    v_debts := (
        with charges as materialized (
            select d.* from private.due_charges_of(
                v_alone || array(select b.customer_id from public.bills b where b.id = any (v_oldest)), v_today) d
        ), debts as (
            select b.customer_id, b.currency, b.id as bill_id, b.due_date as since, t.overdue_minor, t.bills,
                   coalesce(c.open_minor, 0) as charges_minor, x.place, b.customer_id as key
            from unnest(v_oldest) with ordinality x(id, place)
            join public.bills b on b.id = x.id
            cross join lateral (
                select sum(y.total_minor - y.amount_paid_minor)::bigint as overdue_minor, count(*)::integer as bills from public.bills y
                where y.customer_id = b.customer_id and y.currency = b.currency and y.status = 'issued'
                  and y.amount_paid_minor < y.total_minor and y.overdue_since is not null) t
            left join charges c on c.customer_id = b.customer_id and c.currency = b.currency
            union all
            select c.customer_id, c.currency, c.bill_id, c.due_date, 0, 0, c.open_minor, v_limit + x.place, c.customer_id
            from unnest(v_alone) with ordinality x(id, place)
            join charges c on c.customer_id = x.id)
        select jsonb_agg(jsonb_build_object(
            'customer_id', d.customer_id, 'account_no', c.account_no, 'customer_name', c.name, 'currency', d.currency,
            'bill_id', d.bill_id, 'since', d.since, 'overdue_minor', d.overdue_minor, 'bills', d.bills, 'charges_minor', d.charges_minor,
            'last', l.last, 'held', private.held_of(array[d.customer_id], v_today) <> '{}') order by d.place, d.currency)
        from debts d
        join public.customers c on c.id = d.customer_id
        left join lateral (
            select to_jsonb(a) as last from public.dunning_actions a
            where a.customer_id = d.customer_id and a.currency = d.currency and a.action <> 'reminder'
            order by a.taken_on desc, a.day desc limit 1) l on true);
    return jsonb_build_object('rows', coalesce(v_debts, '[]'), 'after', case
        when cardinality(v_oldest) = v_limit then (
            select jsonb_build_object('due_date', b.due_date, 'id', b.id) from public.bills b where b.id = v_oldest[v_limit])
        when cardinality(v_oldest) + cardinality(v_alone) = v_limit then
            jsonb_build_object('due_date', v_charges_on, 'id', v_alone[cardinality(v_alone)]) end);
end $$;

COMMENT ON FUNCTION public.arrears_page(p jsonb) IS 'Accounts that owe something overdue: those with overdue bills, that owe for the longest first, then by id those with charges alone that are due: {today, after?, limit} -> {rows: [{customer_id, account_no, customer_name, currency, bill_id: the oldest, null of charges of who was never billed, since, overdue_minor: of bills, bills, charges_minor: of charges beside or alone, last: the last step that was taken, held}], after}.';

REVOKE ALL ON FUNCTION public.arrears_page(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.arrears_page(p jsonb) TO service_role;

CREATE FUNCTION public.dunning_history(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_on constant date := coalesce((p #>> '{after,taken_on}')::date, 'infinity');
    v_id constant uuid := coalesce(p #>> '{after,id}', 'ffffffff-ffff-ffff-ffff-ffffffffffff')::uuid;
    v_found uuid[];
begin
    if p ->> 'customer_id' is not null then
        v_found := array(select a.id from public.dunning_actions a where a.customer_id = (p ->> 'customer_id')::uuid
                         and (a.taken_on, a.id) < (v_on, v_id) order by a.taken_on desc, a.id desc limit v_limit);
    elsif coalesce((p ->> 'not_given')::boolean, false) then
        v_found := array(select a.id from public.dunning_actions a where a.action = 'notice' and a.given_on is null
                         and (a.taken_on, a.id) < (v_on, v_id) order by a.taken_on desc, a.id desc limit v_limit);
    else
        v_found := array(select a.id from public.dunning_actions a
                         where (a.taken_on, a.id) < (v_on, v_id) order by a.taken_on desc, a.id desc limit v_limit);
    end if;
    return jsonb_build_object('rows', coalesce((
        select jsonb_agg(to_jsonb(a) || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'bill_number', b.number)
                         order by a.taken_on desc, a.id desc)
        from public.dunning_actions a
        join public.customers c on c.id = a.customer_id
        left join public.bills b on b.id = a.bill_id
        where a.id = any (v_found)), '[]'),
        'after', (select jsonb_build_object('taken_on', a.taken_on, 'id', a.id) from public.dunning_actions a
                  where cardinality(v_found) = v_limit and a.id = v_found[v_limit]));
end $$;

COMMENT ON FUNCTION public.dunning_history(p jsonb) IS 'Steps that were taken, the last first: {customer_id?, not_given?: disconnection notices that reached nobody, after?, limit} -> {rows, after}.';

REVOKE ALL ON FUNCTION public.dunning_history(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.dunning_history(p jsonb) TO service_role;

CREATE FUNCTION private.due_charges_of(p_customers uuid[], p_today date) RETURNS TABLE(customer_id uuid, currency text, occasion text, due_date date, open_minor bigint, bill_id uuid)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
#variable_conflict use_column
begin
    return query
    with charges as materialized (
        select e.customer_id, e.currency, e.id, e.on_date, e.entry_no, o.open_minor
        from public.open_items o
        join public.ledger_entries e on e.id = o.entry_id
        where o.customer_id = any (p_customers) and o.is_charge and o.open_minor > 0
    ), first as materialized (
        select distinct on (c.customer_id, c.currency) c.* from charges c order by c.customer_id, c.currency, c.on_date, c.entry_no
    ), anchors as materialized (
        -- Messages hang on a bill: on the one that was there when the charge was made, else on the next.
        select f.customer_id, f.currency, f.id as entry_id, b.id,
               -- As bills would be, where there is none.
               coalesce(b.term, (select (s.settings ->> 'due_days')::integer from public.utility_settings s
                                 order by s.version desc limit 1), 15) as term
        from first f
        left join lateral (
            select x.id, greatest(0, x.due_date - x.issued_on) as term from public.bills x
            where x.customer_id = f.customer_id and x.currency = f.currency and x.status = 'issued'
            order by x.issued_on <= f.on_date desc, abs(x.issued_on - f.on_date), x.id limit 1) b on true)
    select c.customer_id, c.currency, 'charges-' || a.entry_id, min(c.on_date) + a.term, sum(c.open_minor)::bigint, a.id
    from charges c join anchors a on a.customer_id = c.customer_id and a.currency = c.currency
    where c.on_date + a.term < p_today
    group by c.customer_id, c.currency, a.entry_id, a.term, a.id;
end $$;

COMMENT ON FUNCTION private.due_charges_of(p_customers uuid[], p_today date) IS 'What is open and due on some accounts beside their bills, such as fees and opening balances: as one debt, which is that of the oldest of them. A charge is due after as many days as the account''s bills are, or would be: bill_id is null where it has none.';

REVOKE ALL ON FUNCTION private.due_charges_of(p_customers uuid[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION private.due_charges_of(p_customers uuid[], p_today date) TO service_role;

CREATE FUNCTION public.dunning_preview(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_today constant date := (p ->> 'today')::date;
    v_part constant text := p ->> 'part';
    v_limit constant integer := (p ->> 'limit')::integer;
    -- As many at once as the jobs look at; most of them have nothing due.
    v_page constant integer := 500;
    v_date date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_id uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
    v_until constant date := v_today + (public.days_of_reminders('{}') ->> 'days')::integer;
    v_found uuid[];
    v_rows jsonb := '[]';
    v_more boolean := true;
begin
    for n in 1 .. 20 loop
        if v_part = 'ladder' then
            v_found := private.accounts_in_arrears(v_id, v_page);
            v_rows := v_rows || coalesce((select jsonb_agg(to_jsonb(d) order by d.customer_id, d.bill_id)
                                          from private.dunning_due(v_found, v_today) d), '[]');
        elsif v_part = 'overdue' then
            v_found := array(
                select b.id from public.bills b
                where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is null
                  and b.due_date < v_today and (b.due_date, b.id) > (v_date, v_id)
                order by b.due_date, b.id limit v_page);
            v_rows := v_rows || coalesce((select jsonb_agg(to_jsonb(d) order by d.due_date, d.bill_id)
                                          from private.overdue_notices_due(private.dunned_of(v_found), v_today) d), '[]');
        else
            v_found := array(
                select b.id from public.bills b
                where b.status = 'issued' and b.amount_paid_minor < b.total_minor and b.overdue_since is null
                  and (b.due_date, b.id) > (greatest(v_date, v_today - 1), v_id) and b.due_date >= v_today and b.due_date <= v_until
                order by b.due_date, b.id limit v_page);
            v_rows := v_rows || coalesce((select jsonb_agg(to_jsonb(d) order by d.due_date, d.bill_id)
                                          from private.reminders_due(private.dunned_of(v_found), v_today) d), '[]');
        end if;
        v_more := cardinality(v_found) = v_page;
        exit when not v_more;
        v_id := v_found[v_page];
        v_date := case when v_part = 'ladder' then null else (select b.due_date from public.bills b where b.id = v_id) end;
        exit when jsonb_array_length(v_rows) >= v_limit;
    end loop;
    if jsonb_array_length(v_rows) > v_limit then
        -- The page ends with a row, and goes on after it; of an account all rows are on one page.
        v_id := (v_rows -> (v_limit - 1) ->> case when v_part = 'ladder' then 'customer_id' else 'bill_id' end)::uuid;
        v_date := case when v_part = 'ladder' then null else (v_rows -> (v_limit - 1) ->> 'due_date')::date end;
        v_rows := (select jsonb_agg(x.value order by x.ordinality) from jsonb_array_elements(v_rows) with ordinality x
                   where x.ordinality <= v_limit or v_part = 'ladder' and (x.value ->> 'customer_id')::uuid = v_id);
        v_more := true;
    end if;
    return jsonb_build_object(
        'rows', coalesce((
            select jsonb_agg(x.value || jsonb_build_object('account_no', c.account_no, 'customer_name', c.name, 'bill_number', b.number)
                             order by x.ordinality)
            from jsonb_array_elements(v_rows) with ordinality x
            join public.customers c on c.id = (x.value ->> 'customer_id')::uuid
            left join public.bills b on b.id = (x.value ->> 'bill_id')::uuid), '[]'),
        'after', case when v_more then jsonb_build_object('due_date', v_date, 'id', v_id) end);
end $$;

COMMENT ON FUNCTION public.dunning_preview(p jsonb) IS 'What a night''s jobs would do, and nothing of it: {today, part: reminders|overdue|ladder, after?, limit} -> {rows, after: where the next page begins, null at the end}. At most 10,000 bills or accounts are looked at; credit that lies open is not taken into account.';

REVOKE ALL ON FUNCTION public.dunning_preview(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.dunning_preview(p jsonb) TO service_role;

CREATE FUNCTION private.dunning_charges_alone(p_after uuid, p_today date, p_limit integer) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_after uuid := p_after;
    v_some uuid[];
    v_found uuid[] := '{}';
begin
    -- Some at a time, by the index of open charges: whether they are due is worked out for all of these together.
    loop
        v_some := array(
            select distinct o.customer_id from public.open_items o
            where o.is_charge and o.open_minor > 0 and o.customer_id > v_after order by 1 limit 500);
        v_found := v_found || array(
            select distinct c.customer_id from private.due_charges_of(v_some, p_today) c
            where not exists (select 1 from public.bills b
                              where b.customer_id = c.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor
                                and b.overdue_since is not null offset 0)
            order by 1);
        exit when cardinality(v_some) < 500 or cardinality(v_found) >= p_limit;
        v_after := v_some[500];
    end loop;
    return v_found[1:p_limit];
end $$;

COMMENT ON FUNCTION private.dunning_charges_alone(p_after uuid, p_today date, p_limit integer) IS 'The next accounts, by id, that owe charges that are due and no overdue bill.';

REVOKE ALL ON FUNCTION private.dunning_charges_alone(p_after uuid, p_today date, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.dunning_charges_alone(p_after uuid, p_today date, p_limit integer) TO service_role;

CREATE TRIGGER not_overdue AFTER INSERT ON public.plan_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.take_mark_away();

CREATE TRIGGER audit_insert AFTER INSERT ON public.spared_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.spared_bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER not_overdue AFTER INSERT ON public.spared_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.take_mark_away();

CREATE TRIGGER owe_after_release AFTER UPDATE ON public.spared_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.owe_where_spared();

CREATE TRIGGER owe_after_sparing AFTER INSERT ON public.spared_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.owe_where_spared();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.spared_bills FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.spared_bills FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER disconnections_close_orders AFTER INSERT OR UPDATE ON public.disconnections FOR EACH ROW EXECUTE FUNCTION private.close_work_orders();

CREATE TRIGGER audit_insert AFTER INSERT ON public.dunning_holds REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.dunning_holds REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_insert AFTER INSERT ON public.dunning_policies REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.dunning_policies REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.dunning_policies FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.dunning_policies FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.dunning_policies FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER audit_insert AFTER INSERT ON public.work_orders REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.work_orders REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

-- Plans: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.instalment_plans (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    created_by text NOT NULL,
    agreed_on date NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT instalment_plans_check CHECK (((status = 'active'::text) = (ended_at IS NULL))),
    CONSTRAINT instalment_plans_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT instalment_plans_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT instalment_plans_status_check CHECK ((status = ANY (ARRAY['active'::text, 'broken'::text, 'cancelled'::text])))
);

COMMENT ON TABLE public.instalment_plans IS 'An agreement to pay bills in parts; while it is kept they are neither reminded of nor marked overdue.';

ALTER TABLE ONLY public.instalment_plans
    ADD CONSTRAINT instalment_plans_pkey PRIMARY KEY (id);

CREATE INDEX instalment_plans_active ON public.instalment_plans USING btree (id) WHERE (status = 'active'::text);

CREATE INDEX instalment_plans_customer ON public.instalment_plans USING btree (customer_id);

ALTER TABLE public.instalment_plans ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.instalment_plans TO service_role;

CREATE TABLE public.plan_bills (
    plan_id uuid NOT NULL,
    bill_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    CONSTRAINT plan_bills_amount_minor_check CHECK ((amount_minor > 0))
);

COMMENT ON COLUMN public.plan_bills.amount_minor IS 'What was open of the bill when the plan was agreed.';

ALTER TABLE ONLY public.plan_bills
    ADD CONSTRAINT plan_bills_pkey PRIMARY KEY (plan_id, bill_id);

CREATE INDEX plan_bills_bill ON public.plan_bills USING btree (bill_id);

ALTER TABLE public.plan_bills ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.plan_bills TO service_role;

CREATE TABLE public.instalments (
    plan_id uuid NOT NULL,
    instalment_no integer NOT NULL,
    due_on date NOT NULL,
    amount_minor bigint NOT NULL,
    CONSTRAINT instalments_amount_minor_check CHECK ((amount_minor > 0)),
    CONSTRAINT instalments_instalment_no_check CHECK ((instalment_no > 0))
);

ALTER TABLE ONLY public.instalments
    ADD CONSTRAINT instalments_pkey PRIMARY KEY (plan_id, instalment_no);

ALTER TABLE public.instalments ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.instalments TO service_role;

ALTER TABLE ONLY public.instalment_plans
    ADD CONSTRAINT instalment_plans_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.plan_bills
    ADD CONSTRAINT plan_bills_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.plan_bills
    ADD CONSTRAINT plan_bills_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES public.instalment_plans(id);

ALTER TABLE ONLY public.instalments
    ADD CONSTRAINT instalments_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES public.instalment_plans(id);

CREATE FUNCTION private.plan_total(p_plan_id uuid) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select sum(p.amount_minor)::bigint from public.plan_bills p where p.plan_id = p_plan_id
$$;

REVOKE ALL ON FUNCTION private.plan_total(p_plan_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.plan_total(p_plan_id uuid) TO service_role;

CREATE FUNCTION public.end_plan(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.instalment_plans set status = 'cancelled', reason = p ->> 'reason', ended_at = now()
    where id = (p ->> 'id')::uuid and status = 'active';
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.end_plan(p jsonb) IS 'Cancels a plan that is active: {actor, id, reason}.';

REVOKE ALL ON FUNCTION public.end_plan(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_plan(p jsonb) TO service_role;

CREATE FUNCTION public.break_plans(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_broken integer;
    v_due uuid[];
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    v_due := array(select i.id from public.instalment_plans i
                   where i.status = 'active' and exists (select 1 from public.instalments n where n.plan_id = i.id
                                                         and n.due_on < (p ->> 'today')::date));
    update public.instalment_plans i
    set status = 'broken', ended_at = now(), reason = 'An instalment was not paid by its date.'
    from private.plans_paid(v_due) x
    where i.id = x.plan_id and i.status = 'active'
      and x.paid_minor < (select coalesce(sum(n.amount_minor), 0) from public.instalments n
                          where n.plan_id = i.id and n.due_on < (p ->> 'today')::date);
    get diagnostics v_broken = row_count;
    return jsonb_build_object('broken', v_broken);
end $$;

COMMENT ON FUNCTION public.break_plans(p jsonb) IS 'Ends plans of which an instalment is past due: {actor, run, today} -> {broken}.';

REVOKE ALL ON FUNCTION public.break_plans(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.break_plans(p jsonb) TO service_role;

CREATE FUNCTION public.agree_plan(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_customer uuid := (p ->> 'customer_id')::uuid;
    v_bills uuid[] := array(select b::uuid from jsonb_array_elements_text(p -> 'bills') b order by b);
    v_open bigint;
begin
    perform private.set_actor(p);
    perform private.lock_customers(array[v_customer]);
    if exists (select 1 from public.instalment_plans where id = (p ->> 'id')::uuid) then
        return '{}'::jsonb;
    end if;
    if (select count(*) from public.bills where id = any (v_bills) and customer_id = v_customer and status = 'issued'
            and currency = p ->> 'currency' and amount_paid_minor < total_minor) <> cardinality(v_bills) or v_bills = '{}' then
        perform private.refuse('EB005', 'A plan is about unpaid bills of one customer.');
    elsif exists (select 1 from unnest(v_bills) b where private.in_plan(b)) then
        perform private.refuse('EB005', 'One of these bills is in a plan already.');
    end if;
    select sum(total_minor - amount_paid_minor) into v_open from public.bills where id = any (v_bills);
    if v_open <> (select sum((i ->> 'amount_minor')::bigint) from jsonb_array_elements(p -> 'instalments') i) then
        perform private.refuse('EB005', 'The instalments must add up to what is open of the bills.');
    end if;
    insert into public.instalment_plans (id, customer_id, currency, reason, created_by, agreed_on)
    values ((p ->> 'id')::uuid, v_customer, p ->> 'currency', coalesce(p ->> 'reason', ''), p ->> 'actor', (p ->> 'on')::date);
    insert into public.plan_bills (plan_id, bill_id, amount_minor)
    select (p ->> 'id')::uuid, id, total_minor - amount_paid_minor from public.bills where id = any (v_bills);
    insert into public.instalments (plan_id, instalment_no, due_on, amount_minor)
    select (p ->> 'id')::uuid, row_number() over (order by x.due_on, x.place), x.due_on, x.amount_minor
    from rows from (jsonb_to_recordset(p -> 'instalments') as (due_on date, amount_minor bigint)) with ordinality
        as x(due_on, amount_minor, place);
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.agree_plan(p jsonb) IS 'Agrees an instalment plan: {actor, id, customer_id, currency, bills: [id], instalments: [{due_on, amount_minor}], on, reason?}. The instalments add up to what is open of the bills.';

REVOKE ALL ON FUNCTION public.agree_plan(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.agree_plan(p jsonb) TO service_role;

CREATE FUNCTION private.end_plans_of_merged_bills() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    with recursive ended as (
        select r.void_bill_id as id from new_rows r join public.bills n on n.id = r.new_bill_id
        where n.number is null or (select count(*) from new_rows x where x.new_bill_id = r.new_bill_id) > 1
    ), back as (
        select id from ended
        union
        select b.replaces_id from back join public.bills b on b.id = back.id where b.replaces_id is not null
    )
    update public.instalment_plans i
    set status = 'cancelled', ended_at = now(),
        reason = 'Its bills were made anew, several as one or as a draft: agree on another plan.'
    where i.status = 'active'
      and i.id in (select p.plan_id from public.plan_bills p where p.bill_id in (select id from back));
    return null;
end $$;

COMMENT ON FUNCTION private.end_plans_of_merged_bills() IS 'Of a bill that holds others too, or is none yet, nobody can say which part was agreed on.';

REVOKE ALL ON FUNCTION private.end_plans_of_merged_bills() FROM PUBLIC;
GRANT ALL ON FUNCTION private.end_plans_of_merged_bills() TO service_role;

CREATE FUNCTION private.in_plan(p_bill_id uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select private.in_plan_of(array[p_bill_id]) <> '{}'
$$;

COMMENT ON FUNCTION private.in_plan(p_bill_id uuid) IS 'Whether a bill, or one that it replaces, is in a plan that is kept and not yet paid.';

REVOKE ALL ON FUNCTION private.in_plan(p_bill_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.in_plan(p_bill_id uuid) TO service_role;

CREATE FUNCTION private.plan_paid(p_plan_id uuid) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce((select x.paid_minor from private.plans_paid(array[p_plan_id]) x), 0)
$$;

COMMENT ON FUNCTION private.plan_paid(p_plan_id uuid) IS 'What was paid of a plan''s bills since it was agreed, or need not be paid any more, in minor units; at most what was agreed.';

REVOKE ALL ON FUNCTION private.plan_paid(p_plan_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.plan_paid(p_plan_id uuid) TO service_role;

CREATE VIEW public.plan_list WITH (security_invoker='true') AS
 SELECT i.id,
    i.customer_id,
    c.account_no,
    c.name AS customer_name,
    i.currency,
    i.reason,
    i.created_by,
    i.agreed_on,
    i.ended_at,
    t.total_minor,
    w.paid_minor,
        CASE
            WHEN ((i.status = 'active'::text) AND (w.paid_minor >= t.total_minor)) THEN 'kept'::text
            ELSE i.status
        END AS status,
    ( SELECT jsonb_agg(jsonb_build_object('bill_id', n.id, 'number', n.number, 'amount_minor', p.amount_minor) ORDER BY n.period_end) AS jsonb_agg
           FROM (public.plan_bills p
             CROSS JOIN LATERAL private.bill_now(p.bill_id) n(id, number, status, meter_id, customer_id, tariff_version_id, opening_reading_id, closing_reading_id, period_start, period_end, opening_wh, closing_wh, consumption_wh, currency, lines, subtotal_minor, tax_minor, total_minor, amount_paid_minor, issued_at, issued_on, due_date, overdue_since, payment_url, reissue_no, void_reason, created_at, second_opinion, usage, replaces_id, priced_by))
          WHERE (p.plan_id = i.id)) AS bills,
    ( SELECT jsonb_agg(jsonb_build_object('instalment_no', n.instalment_no, 'due_on', n.due_on, 'amount_minor', n.amount_minor, 'paid', (n.upto <= (w.paid_minor)::numeric)) ORDER BY n.instalment_no) AS jsonb_agg
           FROM ( SELECT x.plan_id,
                    x.instalment_no,
                    x.due_on,
                    x.amount_minor,
                    sum(x.amount_minor) OVER (ORDER BY x.instalment_no) AS upto
                   FROM public.instalments x
                  WHERE (x.plan_id = i.id)) n) AS instalments
   FROM (((public.instalment_plans i
     JOIN public.customers c ON ((c.id = i.customer_id)))
     CROSS JOIN LATERAL ( SELECT private.plan_total(i.id) AS total_minor) t)
     CROSS JOIN LATERAL ( SELECT private.plan_paid(i.id) AS paid_minor) w);

GRANT SELECT ON TABLE public.plan_list TO service_role;

CREATE FUNCTION private.plans_paid(p_plans uuid[]) RETURNS TABLE(plan_id uuid, agreed_minor bigint, paid_minor bigint)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- A void bill has nothing to pay; one made anew lower has that much less. One made anew higher may take the
    -- instalments before the others do: what was paid of them all since it was agreed counts, whatever is open.
    select x.plan_id, x.agreed, least(x.agreed, greatest(0, x.agreed - x.open, x.paid - x.paid_before))
    from (select p.plan_id,
                 sum(p.amount_minor)::bigint as agreed,
                 coalesce(sum(n.total_minor - n.amount_paid_minor) filter (where n.status <> 'void'), 0)::bigint as open,
                 coalesce(sum(n.amount_paid_minor) filter (where n.status <> 'void'), 0)::bigint as paid,
                 coalesce(sum(b.total_minor - p.amount_minor) filter (where n.status <> 'void'), 0)::bigint as paid_before
          from public.plan_bills p
          join public.bills b on b.id = p.bill_id
          join private.bills_now(array(select y.bill_id from public.plan_bills y where y.plan_id = any (p_plans))) w
              on w.bill_id = p.bill_id
          join public.bills n on n.id = w.now_id
          where p.plan_id = any (p_plans)
          group by p.plan_id) x
$$;

COMMENT ON FUNCTION private.plans_paid(p_plans uuid[]) IS 'What was agreed of plans, and what was paid of their bills since or need not be paid any more, in minor units; at most what was agreed.';

REVOKE ALL ON FUNCTION private.plans_paid(p_plans uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.plans_paid(p_plans uuid[]) TO service_role;

CREATE FUNCTION private.in_plan_of(p_bills uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_plans constant uuid[] := array(
        select i.id from public.instalment_plans i
        where i.status = 'active'
          and i.customer_id = any (array(select b.customer_id from public.bills b where b.id = any (p_bills))));
begin
    if v_plans = '{}' then
        return '{}';
    end if;
    return array(
        select n.now_id
        from public.plan_bills p
        -- What a correction added is due as any bill, once all that was agreed is paid.
        join private.plans_paid(v_plans) x on x.plan_id = p.plan_id and x.paid_minor < x.agreed_minor
        join private.bills_now(array(select y.bill_id from public.plan_bills y where y.plan_id = any (v_plans))) n
            on n.bill_id = p.bill_id
        where p.plan_id = any (v_plans) and n.now_id = any (p_bills));
end $$;

COMMENT ON FUNCTION private.in_plan_of(p_bills uuid[]) IS 'Those of some bills that are, or replace one that is, in a plan that is kept and not yet paid.';

REVOKE ALL ON FUNCTION private.in_plan_of(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.in_plan_of(p_bills uuid[]) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.instalment_plans REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.instalment_plans REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.instalment_plans FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.instalment_plans FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.plan_bills FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.plan_bills FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.plan_bills FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.instalments FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.instalments FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.instalments FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

-- Dunning: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.spared_bills (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
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
    CONSTRAINT spared_bills_reason_check CHECK ((reason = ANY (ARRAY['bank_debit'::text, 'money_returned'::text]))),
    CONSTRAINT spared_bills_source_check CHECK ((source <> ''::text))
);

COMMENT ON TABLE public.spared_bills IS 'Bills that are neither reminded of nor marked overdue: bank_debit until the bank has answered, at most until a moment; money_returned until an administrator says to collect again.';

COMMENT ON COLUMN public.spared_bills.source IS 'What it is for: the session at Stripe, or the return.';

ALTER TABLE ONLY public.spared_bills
    ADD CONSTRAINT spared_bills_bill_id_source_key UNIQUE (bill_id, source);

ALTER TABLE ONLY public.spared_bills
    ADD CONSTRAINT spared_bills_pkey PRIMARY KEY (id);

CREATE INDEX spared_bills_now ON public.spared_bills USING btree (bill_id) WHERE (released_at IS NULL);

CREATE INDEX spared_bills_source ON public.spared_bills USING btree (source) WHERE (released_at IS NULL);

ALTER TABLE public.spared_bills ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.spared_bills TO service_role;

ALTER TABLE ONLY public.spared_bills
    ADD CONSTRAINT spared_bills_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

CREATE VIEW public.bill_list WITH (security_invoker='true') AS
 SELECT b.id,
    b.number,
    b.meter_id,
    m.serial AS meter_serial,
    b.customer_id,
    c.account_no,
    c.name AS customer_name,
    c.address,
    b.tariff_version_id,
    t.code AS tariff_code,
    t.name AS tariff_name,
    b.opening_reading_id,
    b.closing_reading_id,
    b.period_start,
    b.period_end,
    b.opening_wh,
    b.closing_wh,
    b.consumption_wh,
    b.multiplier_milli,
    b.currency,
    b.lines,
    b.subtotal_minor,
    b.tax_minor,
    b.total_minor,
    b.amount_paid_minor,
        CASE
            WHEN (b.status = 'void'::text) THEN (0)::bigint
            ELSE (b.total_minor - b.amount_paid_minor)
        END AS balance_minor,
        CASE
            WHEN (b.status = 'void'::text) THEN 'void'::text
            WHEN (b.status = 'draft'::text) THEN 'draft'::text
            WHEN (b.amount_paid_minor >= b.total_minor) THEN 'paid'::text
            WHEN (b.overdue_since IS NOT NULL) THEN 'overdue'::text
            WHEN (b.amount_paid_minor > 0) THEN 'partially_paid'::text
            ELSE 'issued'::text
        END AS status,
    b.issued_at,
    b.issued_on,
    b.due_date,
    b.overdue_since,
    b.payment_url,
    b.reissue_no,
    b.void_reason,
    b.created_at,
    lower(concat_ws(' '::text, private.invoice_reference(b.number), c.account_no, c.name, m.serial)) AS search,
    b.usage,
    b.replaces_id,
    ( SELECT r.id
           FROM public.bills r
          WHERE (r.replaces_id = b.id)) AS replaced_by_id,
    b.held_because,
    ( SELECT s.reason
           FROM public.spared_bills s
          WHERE ((s.bill_id = b.id) AND (s.released_at IS NULL) AND ((s.until IS NULL) OR (s.until > now())))
          ORDER BY s.reason DESC
         LIMIT 1) AS spared_because,
    b.agreement_id,
        CASE
            WHEN (b.segments IS NOT NULL) THEN ( SELECT jsonb_agg((x.value || jsonb_build_object('meter_serial', y.serial, 'opened_on', o.read_on, 'opening_source', o.source, 'closed_on', e.read_on, 'closing_source', e.source, 'opening_quality', private.quality_of_reading(o.source, 'accepted'::text, o.is_opening, o.supersedes_id,
                    CASE o.status
                        WHEN 'accepted'::text THEN o.decided_at
                        ELSE NULL::timestamp with time zone
                    END, o.validation), 'closing_quality', private.quality_of_reading(e.source, 'accepted'::text, e.is_opening, e.supersedes_id,
                    CASE e.status
                        WHEN 'accepted'::text THEN e.decided_at
                        ELSE NULL::timestamp with time zone
                    END, e.validation))) ORDER BY x.ordinality) AS jsonb_agg
               FROM (((jsonb_array_elements(b.segments) WITH ORDINALITY x(value, ordinality)
                 JOIN public.meters y ON ((y.id = ((x.value ->> 'meter_id'::text))::uuid)))
                 JOIN public.readings o ON ((o.id = ((x.value ->> 'opening_reading_id'::text))::uuid)))
                 JOIN public.readings e ON ((e.id = ((x.value ->> 'closing_reading_id'::text))::uuid))))
            ELSE NULL::jsonb
        END AS segments,
    p.id AS service_point_id,
    p.code AS service_point_code,
    p.address AS service_address,
    ( SELECT o.source
           FROM public.readings o
          WHERE (o.id = b.opening_reading_id)) AS opening_source,
    ( SELECT e.source
           FROM public.readings e
          WHERE (e.id = b.closing_reading_id)) AS closing_source,
    ( SELECT private.quality_of_reading(o.source, 'accepted'::text, o.is_opening, o.supersedes_id,
                CASE o.status
                    WHEN 'accepted'::text THEN o.decided_at
                    ELSE NULL::timestamp with time zone
                END, o.validation) AS quality_of_reading
           FROM public.readings o
          WHERE (o.id = b.opening_reading_id)) AS opening_quality,
    ( SELECT private.quality_of_reading(e.source, 'accepted'::text, e.is_opening, e.supersedes_id,
                CASE e.status
                    WHEN 'accepted'::text THEN e.decided_at
                    ELSE NULL::timestamp with time zone
                END, e.validation) AS quality_of_reading
           FROM public.readings e
          WHERE (e.id = b.closing_reading_id)) AS closing_quality
   FROM ((((((public.bills b
     JOIN public.meters m ON ((m.id = b.meter_id)))
     JOIN public.customers c ON ((c.id = b.customer_id)))
     JOIN public.tariff_versions v ON ((v.id = b.tariff_version_id)))
     JOIN public.tariffs t ON ((t.id = v.tariff_id)))
     JOIN public.service_agreements a ON ((a.id = b.agreement_id)))
     JOIN public.service_points p ON ((p.id = a.service_point_id)));

COMMENT ON COLUMN public.bill_list.status IS 'The status people see, derived: void, draft, paid (nothing left to pay), overdue, partially_paid, issued.';

COMMENT ON COLUMN public.bill_list.opening_source IS 'How the read at which it opens came about: field, smart, imported, customer or estimated.';

COMMENT ON COLUMN public.bill_list.closing_source IS 'How the read at which it closes came about.';

COMMENT ON COLUMN public.bill_list.opening_quality IS 'How sure the read is at which it opens: a code of ESPI.';

COMMENT ON COLUMN public.bill_list.closing_quality IS 'How sure the read is at which it closes.';

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.bill_list TO service_role;

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

CREATE FUNCTION public.queue_reminders(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_found uuid[];
    v_bills uuid[];
    v_after constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_after_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
begin
    perform private.set_actor(jsonb_build_object('actor', coalesce(p ->> 'actor', 'system:reminders')));
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    perform private.release_unanswered();
    v_found := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date >= (p ->> 'today')::date and b.due_date <= (p ->> 'until')::date
          and not exists (select 1 from public.outbox o where o.bill_id = b.id and o.kind = 'payment_reminder')
          and (b.due_date, b.id) > (v_after, v_after_id)
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(private.dunned_of(v_found));
    perform private.owe_notices(v_bills, 'payment_reminder', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills), 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;

COMMENT ON FUNCTION public.queue_reminders(p jsonb) IS 'Owes a reminder for each bill due in [today, until] that is dunned and was not reminded of: {actor?, run, today, until, limit, after?, owed, balance_changed?} -> {count, after: where the next batch begins, null when none is left}.';

REVOKE ALL ON FUNCTION public.queue_reminders(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.queue_reminders(p jsonb) TO service_role;

CREATE FUNCTION public.why_unsaid(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('reason', coalesce((
        select case
            when x.kind = 'payment_received' then ''
            when b.status = 'void' then 'the bill is void by now'
            when x.pressing and b.amount_paid_minor >= b.total_minor then 'the bill is paid by now'
            when x.pressing and private.in_plan(b.id) then 'the bill is in an instalment plan by now'
            when x.pressing and private.is_spared(b.id) then
                case (select s.reason from public.spared_bills s where s.bill_id = b.id and s.released_at is null
                        and (s.until is null or s.until > now()) order by s.reason desc limit 1)
                    when 'bank_debit' then 'the customer''s bank is paying the bill'
                    else 'money of the bill went back, and nobody has said to collect it again' end
            when x.pressing and private.owes_nothing(b.customer_id, b.currency) then 'credit on the account covers the bill'
            when x.kind = 'payment_reminder' and b.due_date < (p ->> 'today')::date
                then 'its due date has passed, and the overdue notice follows'
            when x.kind in ('bill_issued', 'payment_reminder', 'overdue_notice') then coalesce((
                select case l.kind when 'overdue_notice' then 'the overdue notice overtook it'
                                   else 'the payment reminder overtook it' end
                from public.outbox o
                join public.outbox l on l.bill_id = o.bill_id and l.created_at > o.created_at and l.status = 'open'
                where (o.bill_id, o.kind, o.occasion) = (b.id, x.kind, coalesce(p ->> 'occasion', ''))
                  and 'pending' in (l.steps #>> '{11,status}', l.steps #>> '{12,status}')
                  and (l.kind = 'overdue_notice' or l.kind = 'payment_reminder' and b.due_date >= (p ->> 'today')::date)
                  and private.is_dunned(b)
                order by l.created_at desc limit 1), '')
            else '' end
        from public.bills b
        cross join (select p ->> 'kind' as kind, p ->> 'kind' in ('payment_reminder', 'overdue_notice') as pressing) x
        where b.id = (p ->> 'bill_id')::uuid), 'no such bill'))
$$;

COMMENT ON FUNCTION public.why_unsaid(p jsonb) IS 'Why a message that was owed is no longer sent, or an empty text: {bill_id, kind, occasion, today} -> {reason}. What goes out is the latest that is still true.';

REVOKE ALL ON FUNCTION public.why_unsaid(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.why_unsaid(p jsonb) TO service_role;

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

CREATE FUNCTION public.mark_overdue(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_found uuid[];
    v_bills uuid[];
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
          and b.due_date < (p ->> 'today')::date and b.overdue_since is null
          and (b.due_date, b.id) > (v_after, v_after_id)
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(private.dunned_of(v_found));
    update public.bills set overdue_since = due_date + 1 where id = any (v_bills) and overdue_since is null;
    perform private.owe_notices(v_bills, 'overdue_notice', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills), 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;

COMMENT ON FUNCTION public.mark_overdue(p jsonb) IS 'Marks the bills due before today that are dunned as overdue and owes each the notice: {actor, run, today, limit, after?, owed, balance_changed?} -> {count, after: where the next batch begins, null when none is left}.';

REVOKE ALL ON FUNCTION public.mark_overdue(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_overdue(p jsonb) TO service_role;

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

CREATE FUNCTION private.owe_notices(p_bills uuid[], p_kind text, p_steps jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    -- After a sparing the notice is one of its own: the customer hears again that the bill is to be paid.
    insert into public.outbox (id, bill_id, kind, occasion, steps, status, finished_at)
    select gen_random_uuid(), b, p_kind,
           coalesce((select s.id::text from public.spared_bills s where s.bill_id = b
                     order by coalesce(s.released_at, s.until) desc limit 1), ''),
           p_steps -> 'steps', p_steps ->> 'status', case when p_steps ->> 'status' <> 'open' then now() end
    from unnest(p_bills) b
    on conflict (bill_id, kind, occasion) do nothing
$$;

REVOKE ALL ON FUNCTION private.owe_notices(p_bills uuid[], p_kind text, p_steps jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.owe_notices(p_bills uuid[], p_kind text, p_steps jsonb) TO service_role;

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
    select array(select b.id from public.bills b where b.id = any (p_bills) and private.is_dunned(b) order by b.id)
$$;

COMMENT ON FUNCTION private.dunned_of(p_bills uuid[]) IS 'Those of some bills for which a customer may be pressed.';

REVOKE ALL ON FUNCTION private.dunned_of(p_bills uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.dunned_of(p_bills uuid[]) TO service_role;

CREATE TRIGGER not_overdue AFTER INSERT ON public.plan_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.take_mark_away();

CREATE TRIGGER audit_insert AFTER INSERT ON public.spared_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.spared_bills REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER not_overdue AFTER INSERT ON public.spared_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.take_mark_away();

CREATE TRIGGER owe_after_release AFTER UPDATE ON public.spared_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.owe_where_spared();

CREATE TRIGGER owe_after_sparing AFTER INSERT ON public.spared_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.owe_where_spared();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.spared_bills FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.spared_bills FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

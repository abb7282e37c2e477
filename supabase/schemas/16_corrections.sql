-- Corrections: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.corrections (
    id uuid NOT NULL,
    kind text NOT NULL,
    meter_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    reading_id uuid,
    reason text NOT NULL,
    warned text DEFAULT ''::text NOT NULL,
    difference_minor bigint NOT NULL,
    currency text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT corrections_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT corrections_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT corrections_kind_check CHECK ((kind = ANY (ARRAY['reading'::text, 'tariff_version'::text, 'tariff'::text, 'void'::text, 'supply'::text]))),
    CONSTRAINT corrections_reason_check CHECK ((btrim(reason) <> ''::text))
);

COMMENT ON TABLE public.corrections IS 'Each time that bills of a meter were voided, and made anew or not: why, by whom, what it came to.';

COMMENT ON COLUMN public.corrections.kind IS 'reading: a read was wrong. tariff_version: a version of the tariff was. tariff: the meter was on another tariff. void: nothing takes the bill''s place. supply: somebody moved, or a meter was another, and that was said late.';

COMMENT ON COLUMN public.corrections.reading_id IS 'The read that was wrong.';

COMMENT ON COLUMN public.corrections.warned IS 'What whoever did it was warned of and went on nevertheless.';

COMMENT ON COLUMN public.corrections.difference_minor IS 'What the customer owes more for it; below 0 less. Drafts do not count.';

ALTER TABLE ONLY public.corrections
    ADD CONSTRAINT corrections_pkey PRIMARY KEY (id);

CREATE INDEX corrections_customer ON public.corrections USING btree (customer_id);

CREATE INDEX corrections_meter ON public.corrections USING btree (meter_id);

ALTER TABLE public.corrections ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.corrections TO service_role;

CREATE TABLE public.corrected_bills (
    void_bill_id uuid NOT NULL,
    correction_id uuid NOT NULL,
    new_bill_id uuid
);

COMMENT ON TABLE public.corrected_bills IS 'Which bill took the place of which. Two void ones have the same where the read between them was withdrawn.';

ALTER TABLE ONLY public.corrected_bills
    ADD CONSTRAINT corrected_bills_pkey PRIMARY KEY (void_bill_id);

CREATE INDEX corrected_bills_correction ON public.corrected_bills USING btree (correction_id);

CREATE INDEX corrected_bills_new ON public.corrected_bills USING btree (new_bill_id);

ALTER TABLE public.corrected_bills ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.corrected_bills TO service_role;

ALTER TABLE ONLY public.corrections
    ADD CONSTRAINT corrections_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.corrections
    ADD CONSTRAINT corrections_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meters(id);

ALTER TABLE ONLY public.corrections
    ADD CONSTRAINT corrections_reading_id_fkey FOREIGN KEY (reading_id) REFERENCES public.readings(id);

ALTER TABLE ONLY public.corrected_bills
    ADD CONSTRAINT corrected_bills_correction_id_fkey FOREIGN KEY (correction_id) REFERENCES public.corrections(id);

ALTER TABLE ONLY public.corrected_bills
    ADD CONSTRAINT corrected_bills_new_bill_id_fkey FOREIGN KEY (new_bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.corrected_bills
    ADD CONSTRAINT corrected_bills_void_bill_id_fkey FOREIGN KEY (void_bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.supply_changes
    ADD CONSTRAINT supply_changes_correction_id_fkey FOREIGN KEY (correction_id) REFERENCES public.corrections(id);

CREATE VIEW public.corrected_bill_list WITH (security_invoker='true') AS
 SELECT x.correction_id,
    x.void_bill_id,
    o.number AS void_number,
    o.total_minor AS void_total_minor,
    o.period_start,
    o.period_end,
    x.new_bill_id,
    n.number AS new_number,
    n.status AS new_status,
    n.total_minor AS new_total_minor
   FROM ((public.corrected_bills x
     JOIN public.bills o ON ((o.id = x.void_bill_id)))
     LEFT JOIN public.bills n ON ((n.id = x.new_bill_id)));

GRANT SELECT ON TABLE public.corrected_bill_list TO service_role;

CREATE VIEW public.correction_list WITH (security_invoker='true') AS
 SELECT k.id,
    k.kind,
    k.meter_id,
    m.serial AS meter_serial,
    k.customer_id,
    c.account_no,
    k.reading_id,
    k.reason,
    k.warned,
    k.difference_minor,
    k.currency,
    k.created_by,
    k.created_at,
    ( SELECT jsonb_agg((to_jsonb(x.*) - 'correction_id'::text) ORDER BY x.period_start) AS jsonb_agg
           FROM public.corrected_bill_list x
          WHERE (x.correction_id = k.id)) AS bills
   FROM ((public.corrections k
     JOIN public.meters m ON ((m.id = k.meter_id)))
     JOIN public.customers c ON ((c.id = k.customer_id)));

COMMENT ON VIEW public.correction_list IS 'Corrections with the bills that each voided, and those that took their places.';

GRANT SELECT ON TABLE public.correction_list TO service_role;

CREATE FUNCTION private.paid_on(p_bills jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_agg(jsonb_build_object('credit', q.credit, 'bill', q.bill, 'amount', q.amount) order by q.last), '[]')
    from (select a.credit_entry_id as credit, x.value ->> 'new' as bill, sum(a.amount_minor)::bigint as amount, max(a.id) as last
          from jsonb_array_elements(p_bills) x
          join public.ledger_entries d on d.bill_id = (x.value ->> 'void')::uuid and d.kind = 'bill'
          join public.allocations a on a.debit_entry_id = d.id
          where x.value ->> 'new' is not null
          group by 1, 2 having sum(a.amount_minor) > 0) q
$$;

COMMENT ON FUNCTION private.paid_on(p_bills jsonb) IS 'Which credit paid how much of each of [{void, new}]: [{credit, bill: the new one, amount}].';

REVOKE ALL ON FUNCTION private.paid_on(p_bills jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.paid_on(p_bills jsonb) TO service_role;

CREATE FUNCTION public.corrections_of_bill(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('corrections', coalesce(jsonb_agg(to_jsonb(k) order by k.created_at), '[]'))
    from public.correction_list k
    where k.id in (select x.correction_id from public.corrected_bills x
                   where (p ->> 'bill_id')::uuid in (x.void_bill_id, x.new_bill_id))
$$;

COMMENT ON FUNCTION public.corrections_of_bill(p jsonb) IS 'The corrections that made a bill or voided it, the first first: {bill_id} -> {corrections}.';

REVOKE ALL ON FUNCTION public.corrections_of_bill(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.corrections_of_bill(p jsonb) TO service_role;

CREATE FUNCTION private.wrong_versions(p_tariff_id uuid) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select array(select replaces_id from public.tariff_versions where tariff_id = p_tariff_id and replaces_id is not null)
$$;

REVOKE ALL ON FUNCTION private.wrong_versions(p_tariff_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.wrong_versions(p_tariff_id uuid) TO service_role;

CREATE FUNCTION private.is_priced_by(b public.bills, p_versions uuid[]) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select b.tariff_version_id = any (p_versions) or coalesce(b.priced_by && p_versions, exists (
        -- From before there were corrections: by those that begin within its days.
        select 1 from public.tariff_versions used
        join public.tariff_versions v on v.tariff_id = used.tariff_id and v.replaces_id is null
            and v.effective_from > b.period_start and v.effective_from < b.period_end
        where used.id = b.tariff_version_id and v.id = any (p_versions)))
$$;

REVOKE ALL ON FUNCTION private.is_priced_by(b public.bills, p_versions uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_priced_by(b public.bills, p_versions uuid[]) TO service_role;

CREATE FUNCTION public.rebill_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    m public.meter_list;
    a public.service_agreements;
    v_since date;
    v_versions uuid[];
begin
    select * into a from public.service_agreements
    where id = coalesce((select b.agreement_id from public.bills b where b.id = (p ->> 'bill_id')::uuid), (p ->> 'agreement_id')::uuid);
    if not found then
        perform private.refuse('EB404', case when p ? 'bill_id' then 'No such bill.' else 'No such agreement.' end);
    end if;
    -- The meter of the bill; else the last that the agreement had.
    select * into m from public.meter_list
    where id = coalesce(
        (select b.meter_id from public.bills b where b.id = (p ->> 'bill_id')::uuid),
        (select i.meter_id from public.meter_installations i
         where i.service_point_id = a.service_point_id and i.installed_on < coalesce(a.ends_on, 'infinity')
         order by i.installed_at desc limit 1));
    v_versions := case when p ->> 'version_id' is not null then array[(p ->> 'version_id')::uuid]
        else (select coalesce(array_agg(n.replaces_id), '{}')
              from public.bills b
              join public.tariff_versions u on u.id = b.tariff_version_id
              join public.tariff_versions n on n.tariff_id = u.tariff_id and n.replaces_id is not null
              where b.agreement_id = a.id and b.status <> 'void') end;
    v_since := coalesce(
        (select coalesce(prior.period_start, b.period_start)
         from public.bills b
         left join public.bills prior on prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
         where b.id = (p ->> 'bill_id')::uuid),
        (select min(b.period_start) from public.bills b
         where b.agreement_id = a.id and b.status <> 'void' and private.is_priced_by(b, v_versions)),
        (select coalesce((select b.period_start from public.bills b
                          where b.agreement_id = a.id and b.status <> 'void' and b.period_end + 0 > (p ->> 'since')::date
                          order by b.period_end + 0 limit 1),
                         (select r.read_on from public.readings r where r.id = private.chain_tail(a.id)))
         where p ->> 'since' is not null),
        'infinity');
    -- What an actual read settles begins at the actual read before it.
    v_since := coalesce(
        (select max(b.period_start) from public.bills b join public.readings o on o.id = b.opening_reading_id
         where b.agreement_id = a.id and b.status <> 'void' and b.period_start <= v_since and private.is_actual(o.source)),
        (select min(b.period_start) from public.bills b
         where b.agreement_id = a.id and b.status <> 'void' and b.period_start <= v_since),
        v_since);
    return jsonb_build_object(
        'meter', to_jsonb(m) - 'search',
        'agreement_id', a.id, 'tail_id', private.chain_tail(a.id),
        'tail_reissues', private.reissues(private.chain_tail(a.id)),
        'reissues', (select coalesce(jsonb_object_agg(v.opening_reading_id, v.number), '{}')
                     from (select b.opening_reading_id, count(*) as number from public.bills b
                           where b.agreement_id = a.id and b.status = 'void' and b.period_start >= v_since group by 1) v),
        'starts_on', a.starts_on, 'ends_on', a.ends_on, 'billing_day', a.billing_day, 'spans', private.spans_of(a.id),
        'opening_bank', private.opening_bank(a.id),
        'installations', private.installations_between(a.service_point_id, '-infinity', 'infinity'),
        'balance_minor', coalesce((select x.balance_minor from public.accounts x
                                   where x.customer_id = a.customer_id and x.book = 'account'
                                     and x.currency = (select c.currency from public.customers c where c.id = a.customer_id)), 0),
        'bills', (select coalesce(jsonb_agg(to_jsonb(l) - 'search' || jsonb_build_object(
                             'reissues', private.reissues(b.opening_reading_id), 'tariff_id', v.tariff_id,
                             'priced_wrongly', private.is_priced_by(b, v_versions)) order by b.period_start), '[]')
                  from public.bills b
                  join public.bill_list l on l.id = b.id
                  join public.tariff_versions v on v.id = b.tariff_version_id
                  where b.agreement_id = a.id and b.status <> 'void'),
        'reads', (select coalesce(jsonb_agg(to_jsonb(r) order by r.read_at), '[]') from public.reading_list r
                  where r.status = 'accepted' and r.read_on >= v_since and r.id in (
                      select x.id from public.meter_installations i join public.readings x on x.meter_id = i.meter_id
                      where i.service_point_id = a.service_point_id and x.read_at >= i.installed_at
                        and (i.removed_at is null or x.read_at <= i.removed_at))),
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(t) order by t.code, t.effective_from), '[]') from public.tariff_version_list t
                    where t.tariff_id in (select y.tariff_id from public.agreement_tariffs y where y.agreement_id = a.id) or t.code = p ->> 'tariff_code' or t.tariff_id in (
                        select v.tariff_id from public.bills b join public.tariff_versions v on v.id = b.tariff_version_id
                        where b.agreement_id = a.id and b.status <> 'void')),
        'intervals', private.interval_days(a.service_point_id, v_since, 'infinity'));
end $$;

COMMENT ON FUNCTION public.rebill_context(p jsonb) IS 'What reissuing bills of an agreement needs: {bill_id, or agreement_id with since?: a local date, else the first bill that a wrong version priced; version_id?: one that is about to be corrected; tariff_code?} -> {meter, agreement_id, tail_id, tail_reissues, starts_on, ends_on, spans, installations, balance_minor, bills: all that are not void in order, reads and intervals from the bill before on, tariffs}.';

REVOKE ALL ON FUNCTION public.rebill_context(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.rebill_context(p jsonb) TO service_role;

CREATE FUNCTION private.bills_priced_by(p_versions uuid[]) RETURNS SETOF public.bills
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select b.* from public.bills b where b.tariff_version_id = any (p_versions) and b.status <> 'void'
    union all
    select b.* from public.bills b
    where b.status <> 'void' and b.tariff_version_id <> all (p_versions) and private.is_priced_by(b, p_versions)
      and b.id in (
          -- Of those that another version opens only the few that reach over a date of these.
          select x.id from public.tariff_versions v
          join public.tariff_versions u on u.tariff_id = v.tariff_id and u.effective_from < v.effective_from
          join public.bills x on x.tariff_version_id = u.id and x.status <> 'void' and x.period_end > v.effective_from
          where v.id = any (p_versions))
$$;

COMMENT ON FUNCTION private.bills_priced_by(p_versions uuid[]) IS 'The bills, not void, of which one of these versions priced at least a part.';

REVOKE ALL ON FUNCTION private.bills_priced_by(p_versions uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bills_priced_by(p_versions uuid[]) TO service_role;

CREATE FUNCTION public.correct_tariff(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_old public.tariff_versions;
begin
    perform private.set_actor(p);
    select * into v_old from public.tariff_versions where id = (p ->> 'version_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such version of a tariff.');
    end if;
    perform private.lock_tariffs(array[(select code from public.tariffs where id = v_old.tariff_id)]);
    if exists (select 1 from public.tariff_versions where id = (p ->> 'id')::uuid) then
        return '{}'::jsonb;
    elsif exists (select 1 from public.tariff_versions where replaces_id = v_old.id) then
        perform private.refuse('EB005', 'This version was corrected already: look at what it says now.');
    elsif v_old.definition = p -> 'definition' then
        perform private.refuse('EB005', 'This says the same as the version that it would correct.');
    end if;
    insert into public.tariff_versions (id, tariff_id, effective_from, definition, replaces_id, correction_reason)
    values ((p ->> 'id')::uuid, v_old.tariff_id, v_old.effective_from, p -> 'definition', v_old.id, p ->> 'reason');
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.correct_tariff(p jsonb) IS 'Replaces a version of a tariff on its own date; the bills made with it are then made anew: {actor, id, version_id, definition, reason}.';

REVOKE ALL ON FUNCTION public.correct_tariff(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.correct_tariff(p jsonb) TO service_role;

CREATE FUNCTION private.pay_again(p_paid jsonb, p_after bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v jsonb;
    v_debit uuid;
    v_open bigint;
begin
    for v in select x from jsonb_array_elements(p_paid) x loop
        -- A bill in credit that became void itself pays nothing any more.
        continue when exists (select 1 from public.ledger_entries u where u.undoes_id = (v ->> 'credit')::uuid);
        select o.entry_id, least(o.open_minor, (v ->> 'amount')::bigint) into v_debit, v_open
        from public.open_items o join public.ledger_entries e on e.id = o.entry_id
        where e.bill_id = (v ->> 'bill')::uuid and e.kind = 'bill';
        continue when v_open is null or v_open <= 0;
        -- The oldest debt may have taken it first, as any credit: what this voided bill had comes back to the new one.
        perform private.allocate((
            with pairs as (
                select a.debit_entry_id as debit, sum(a.amount_minor)::bigint as amount, max(a.id) as last
                from public.allocations a
                join public.ledger_entries e on e.id = a.debit_entry_id
                where a.credit_entry_id = (v ->> 'credit')::uuid and a.id > p_after
                  and coalesce(e.bill_id::text, '') <> all (select y ->> 'bill' from jsonb_array_elements(p_paid) y)
                group by 1 having sum(a.amount_minor) > 0
            ), counted as (
                select p.*, sum(p.amount) over (order by p.last desc) - p.amount as before from pairs p
            )
            select jsonb_agg(jsonb_build_object('credit', v ->> 'credit', 'debit', c.debit,
                                                'amount', -least(c.amount, v_open - c.before)))
            from counted c where c.before < v_open));
        select least(v_open, -o.open_minor) into v_open from public.open_items o where o.entry_id = (v ->> 'credit')::uuid;
        continue when v_open <= 0;
        perform private.allocate(jsonb_build_array(jsonb_build_object(
            'credit', v ->> 'credit', 'debit', v_debit, 'amount', v_open)));
    end loop;
end $$;

COMMENT ON FUNCTION private.pay_again(p_paid jsonb, p_after bigint) IS 'Lets what paid a void bill pay the one in its place, before older debts: {private.paid_on, id of the last allocation before}.';

REVOKE ALL ON FUNCTION private.pay_again(p_paid jsonb, p_after bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION private.pay_again(p_paid jsonb, p_after bigint) TO service_role;

CREATE FUNCTION public.rebill(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    a public.service_agreements;
    v_state jsonb;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into a from public.service_agreements where id = (p ->> 'agreement_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such agreement.');
    end if;
    perform private.lock_points(array[a.service_point_id]);
    if exists (select 1 from public.corrections where id = v_id) then
        return (select to_jsonb(k) from public.correction_list k where k.id = v_id);
    elsif p -> 'touched' = '[]' then
        perform private.refuse('EB001', 'The bills of this meter changed meanwhile: look at them again.');
    end if;
    v_state := private.begin_correction(p, a);
    if p ->> 'reading' is not null then
        perform private.replace_reading(p, a.service_point_id);
    end if;
    if p ->> 'tariff_id' is not null then
        perform private.set_tariff(a.id, (p ->> 'chain_from')::date, (p ->> 'tariff_id')::uuid);
    end if;
    perform private.end_correction(p, a, v_state);
    -- Refused here rather than when the transaction ends, where nobody could say why.
    set constraints all immediate;
    return (select to_jsonb(k) from public.correction_list k where k.id = v_id);
end $$;

COMMENT ON FUNCTION public.rebill(p jsonb) IS 'Voids bills of an agreement and reissues them, in one transaction: {actor, id, kind, agreement_id, meter_id, reason, warned?, on, chain_from, chain: ["id status"] of its bills from there on as they were seen, touched: [{void, new?}] in order, reading?: {id, right: its values or null where it is withdrawn}, tariff_id?: its tariff from chain_from on, bills, owed?} -> the correction. EB001 when the bills are not as they were seen; a repeat is answered with the first result.';

REVOKE ALL ON FUNCTION public.rebill(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.rebill(p jsonb) TO service_role;

CREATE FUNCTION public.bills_to_correct(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_versions constant uuid[] := case when p ->> 'version_id' is not null then array[(p ->> 'version_id')::uuid]
                                       else private.wrong_versions((p ->> 'tariff_id')::uuid) end;
    v_on constant date := coalesce((p #>> '{after,ended_on}')::date, '-infinity');
    v_bill constant uuid := coalesce(p #>> '{after,bill_id}', '00000000-0000-0000-0000-000000000000')::uuid;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_bills bigint;
    v_minor bigint;
begin
    select coalesce(sum(t.bills), 0), coalesce(sum(t.total_minor), 0) into v_bills, v_minor from private.totals_priced_by(v_versions) t;
    return (
        with sources as materialized (
            -- Those that they open, and of an earlier version those that reach over their dates.
            select v.id, '-infinity'::date as since from unnest(v_versions) v (id)
            union
            select u.id, v.effective_from from public.tariff_versions v
            join public.tariff_versions u on u.tariff_id = v.tariff_id and u.effective_from < v.effective_from
            where v.id = any (v_versions) and u.id <> all (v_versions)
        ), first_of as materialized (
            -- The first bill of each agreement, in the order of their ends.
            select x.* from sources s
            cross join lateral (
                select b.id, b.period_end, b.agreement_id, b.meter_id from public.bills b
                where b.tariff_version_id = s.id and b.status <> 'void' and b.period_end >= v_on and b.period_end > s.since
                  and (b.period_end, b.id) > (v_on, v_bill) and (b.tariff_version_id = any (v_versions) or private.is_priced_by(b, v_versions))
                  and not exists (select 1 from public.bills y
                                  where y.agreement_id = b.agreement_id and y.status <> 'void'
                                    and y.period_end < b.period_end and (y.tariff_version_id = any (v_versions) or private.is_priced_by(y, v_versions)))
                order by b.period_end, b.id limit v_limit) x
            order by x.period_end, x.id limit v_limit
        ), oldest as (
            select x.period_start from sources s
            cross join lateral (
                select b.period_start from public.bills b
                where b.tariff_version_id = s.id and b.status <> 'void' and b.period_end > s.since and (b.tariff_version_id = any (v_versions) or private.is_priced_by(b, v_versions))
                order by b.period_end, b.id limit 1000) x)
        select jsonb_build_object(
            'bills', v_bills,
            'meters_in_all', (select least(count(distinct n.agreement_id), 10001) from private.newest_priced_by(v_versions) n),
            'since', (select min(o.period_start) from oldest o),
            'total_minor', v_minor,
            'meters', (select coalesce(jsonb_agg(jsonb_build_object(
                           'agreement_id', f.agreement_id, 'meter_id', m.id, 'serial', m.serial, 'account_no', c.account_no,
                           'customer_name', c.name, 'bills', w.bills, 'since', w.since, 'total_minor', w.total_minor,
                           'ended_on', f.period_end, 'bill_id', f.id) order by f.period_end, f.id), '[]')
                       from first_of f
                       cross join lateral (
                           select count(*) as bills, min(b.period_start) as since, sum(b.total_minor)::bigint as total_minor,
                                  (array_agg(b.meter_id order by b.period_start desc))[1] as meter_id
                           from public.bills b
                           where b.agreement_id = f.agreement_id and b.status <> 'void' and (b.tariff_version_id = any (v_versions) or private.is_priced_by(b, v_versions))) w
                       join public.meters m on m.id = w.meter_id
                       join public.service_agreements a on a.id = f.agreement_id
                       join public.customers c on c.id = a.customer_id)));
end $$;

COMMENT ON FUNCTION public.bills_to_correct(p jsonb) IS 'The bills, not void, that a version of a tariff priced, or all versions of it that were corrected: {version_id or tariff_id, after: {ended_on, bill_id} of a meter or null, limit} -> {bills, meters_in_all: counted to 10,001, since: the first day among the oldest thousand, total_minor, meters: [{agreement_id, meter_id, serial, account_no, customer_name, bills, since, total_minor, ended_on and bill_id: of the first of its bills, in whose order they are}]}.';

REVOKE ALL ON FUNCTION public.bills_to_correct(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bills_to_correct(p jsonb) TO service_role;

CREATE FUNCTION private.replace_reading(p jsonb, p_point_id uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.readings;
    v_right jsonb := nullif(p #> '{reading,right}', 'null'::jsonb);
begin
    select * into r from public.readings
    where id = (p #>> '{reading,id}')::uuid and status = 'accepted'
      and meter_id in (select i.meter_id from public.meter_installations i where i.service_point_id = p_point_id) for update;
    if not found then
        perform private.refuse('EB001', 'This reading was corrected meanwhile.');
    elsif v_right is null and (
        r.is_opening
        or exists (select 1 from public.meter_installations where closing_reading_id = r.id)
        or exists (select 1 from public.service_agreements where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.disconnections where r.id in (disconnect_reading_id, reconnect_reading_id) and not withdrawn)) then
        perform private.refuse('EB005', 'A read at which a meter came or went, or somebody moved or was disconnected, can be corrected, not withdrawn.');
    end if;
    if v_right is not null and (v_right ->> 'read_on')::date <> r.read_on and (
        r.is_opening
        or exists (select 1 from public.meter_installations where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.service_agreements where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.disconnections where r.id in (disconnect_reading_id, reconnect_reading_id) and not withdrawn)) then
        perform private.refuse('EB005', 'A read at which a meter came or went, or somebody moved or was disconnected, keeps its date.');
    end if;
    if v_right is not null then
        update public.meter_installations set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.meter_installations set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
        update public.service_agreements set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.service_agreements set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
        update public.disconnections set disconnect_reading_id = (v_right ->> 'id')::uuid where disconnect_reading_id = r.id;
        update public.disconnections set reconnect_reading_id = (v_right ->> 'id')::uuid where reconnect_reading_id = r.id;
    end if;
    update public.readings
    set status = case when v_right is null then 'rejected' else 'superseded' end, is_opening = false,
        decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason'
    where id = r.id;
    if v_right is not null then
        perform private.insert_reading(v_right || jsonb_build_object(
            'meter_id', r.meter_id, 'read_at', coalesce((v_right ->> 'read_at')::timestamptz, r.read_at),
            'read_on', coalesce((v_right ->> 'read_on')::date, r.read_on),
            -- Whoever corrects an estimate says what the meter showed.
            'source', case r.source when 'estimated' then 'field' else r.source end, 'status', 'accepted',
            'is_opening', r.is_opening, 'submitted_by', p ->> 'actor', 'supersedes_id', r.id, 'decided_by', p ->> 'actor',
            'decided_at', now(), 'decision_reason', p ->> 'reason'));
    end if;
end $$;

COMMENT ON FUNCTION private.replace_reading(p jsonb, p_point_id uuid) IS 'Puts a right read in the place of a wrong one, or withdraws it: {reading: {id, right: {id, register_wh, registers, rolled_over, read_at?, read_on?, validation} or null}, actor, reason}.';

REVOKE ALL ON FUNCTION private.replace_reading(p jsonb, p_point_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.replace_reading(p jsonb, p_point_id uuid) TO service_role;

CREATE FUNCTION private.begin_correction(p jsonb, a public.service_agreements) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_void uuid[] := array(select (x ->> 'void')::uuid from jsonb_array_elements(p -> 'touched') with ordinality t(x, n) order by n);
    v_state jsonb;
    v_bill uuid;
begin
    perform private.lock_customers(array(select customer_id from public.bills where id = any (v_void)) || a.customer_id);
    perform 1 from public.bills where id = any (v_void) order by id for update;
    if (select coalesce(jsonb_agg(b.id || ' ' || b.status order by b.period_start), '[]') from public.bills b
            where b.agreement_id = a.id and b.status <> 'void' and b.period_start >= (p ->> 'chain_from')::date)
       is distinct from p -> 'chain' then
        perform private.refuse('EB001', 'The bills of this meter changed meanwhile: look at them again.');
    end if;
    v_state := jsonb_build_object('paid', private.paid_on(p -> 'touched'),
                                  'last', (select coalesce(max(id), 0) from public.allocations));
    foreach v_bill in array array(select b from unnest(v_void) with ordinality u(b, n) order by n desc) loop
        perform private.void_one(v_bill, p ->> 'reason', (p ->> 'on')::date);
    end loop;
    return v_state;
end $$;

COMMENT ON FUNCTION private.begin_correction(p jsonb, a public.service_agreements) IS 'Voids bills of an agreement, if its chain is as it was seen: {chain_from, chain, touched, reason, on} -> what private.end_correction needs.';

REVOKE ALL ON FUNCTION private.begin_correction(p jsonb, a public.service_agreements) FROM PUBLIC;
GRANT ALL ON FUNCTION private.begin_correction(p jsonb, a public.service_agreements) TO service_role;

CREATE FUNCTION private.end_correction(p jsonb, a public.service_agreements, p_state jsonb) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_void uuid[] := array(select (x ->> 'void')::uuid from jsonb_array_elements(p -> 'touched') x);
begin
    if exists (select 1 from jsonb_to_recordset(p -> 'bills') as b(opening_reading_id uuid, reissue_no integer)
               where private.reissues(b.opening_reading_id) <> b.reissue_no) then
        perform private.refuse('EB001', 'The bills of this meter changed meanwhile: look at them again.');
    end if;
    perform private.insert_bills(p -> 'bills');
    perform private.settle(array[a.customer_id]);
    perform private.pay_again(p_state -> 'paid', (p_state ->> 'last')::bigint);
    perform private.settle(array[a.customer_id]);
    if v_void = '{}' then
        return null;
    end if;
    insert into public.corrections (id, kind, meter_id, customer_id, reading_id, reason, warned, difference_minor, currency, created_by)
    select v_id, p ->> 'kind', (p ->> 'meter_id')::uuid, a.customer_id, (p #>> '{reading,id}')::uuid, p ->> 'reason', coalesce(p ->> 'warned', ''),
           (select coalesce(sum(n.total_minor), 0) from public.bills n
            where n.number is not null and n.id in (select (x ->> 'id')::uuid from jsonb_array_elements(p -> 'bills') x))
           - sum(case when o.number is not null then o.total_minor else 0 end), min(o.currency), p ->> 'actor'
    from public.bills o where o.id = any (v_void);
    insert into public.corrected_bills (void_bill_id, correction_id, new_bill_id)
    select (x ->> 'void')::uuid, v_id, (x ->> 'new')::uuid from jsonb_array_elements(p -> 'touched') x;
    perform private.owe_correction(v_id, p #> '{owed,bill_corrected}');
    return v_id;
end $$;

COMMENT ON FUNCTION private.end_correction(p jsonb, a public.service_agreements, p_state jsonb) IS 'Stores the bills in the place of those that private.begin_correction voided, lets what paid those pay these, and keeps the correction; null where none was voided.';

REVOKE ALL ON FUNCTION private.end_correction(p jsonb, a public.service_agreements, p_state jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.end_correction(p jsonb, a public.service_agreements, p_state jsonb) TO service_role;

CREATE FUNCTION public.correct_reading(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.readings;
    v_right jsonb := nullif(p #> '{reading,right}', 'null'::jsonb);
    v_point uuid;
begin
    perform private.set_actor(p);
    select i.service_point_id into v_point
    from public.readings x
    join public.meter_installations i on i.meter_id = x.meter_id and i.installed_at <= x.read_at
        and (i.removed_at is null or x.read_at <= i.removed_at)
    where x.id = (p #>> '{reading,id}')::uuid
    order by i.installed_at desc limit 1;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    perform private.lock_points(array[v_point]);
    select * into r from public.readings where id = (p #>> '{reading,id}')::uuid;
    -- The same once more: it is done.
    if r.status <> 'accepted' and r.decision_reason = p ->> 'reason' and r.decided_by = p ->> 'actor' and (
        (v_right is null and r.status = 'rejected')
        or exists (select 1 from public.readings x where x.id = (v_right ->> 'id')::uuid and x.supersedes_id = r.id)) then
        return private.reading_json(coalesce((v_right ->> 'id')::uuid, r.id));
    end if;
    if r.status <> 'accepted' then
        perform private.refuse('EB005', 'This reading was corrected or decided on already: look at it as it is now.');
    elsif exists (select 1 from public.bills b where b.status <> 'void' and r.id in (b.opening_reading_id, b.closing_reading_id)) then
        perform private.refuse('EB005', 'A bill opens or closes at this reading: correct it on the bill, which is then issued again.');
    elsif exists (select 1 from public.bills b
                  join public.service_agreements a on a.id = b.agreement_id and a.service_point_id = v_point
                  where b.status <> 'void' and b.period_start <= r.read_on and r.read_on < b.period_end
                    and exists (select 1 from public.meter_installations i where r.id in (i.opening_reading_id, i.closing_reading_id))) then
        perform private.refuse('EB005', 'A bill runs over the exchange at this reading: void that bill first.');
    elsif private.maxima(r.registers) <> private.maxima(coalesce(v_right -> 'registers', '{}')) and exists (
            -- The highest demand of all reads within a bill is billed.
            select 1 from public.bills b
            join public.service_agreements a on a.id = b.agreement_id and a.service_point_id = v_point
            join public.readings o on o.id = b.opening_reading_id
            join public.readings c on c.id = b.closing_reading_id
            where b.status <> 'void' and o.read_at < r.read_at and r.read_at < c.read_at) then
        perform private.refuse('EB005', 'A bill runs over this reading, and its demand may be that of this reading: void that bill first.');
    end if;
    perform private.replace_reading(p, v_point);
    set constraints all immediate;
    return private.reading_json(coalesce((v_right ->> 'id')::uuid, r.id));
exception when unique_violation then
    raise exception using errcode = 'EB003', message = 'There is another reading of this meter at that time already.';
end $$;

COMMENT ON FUNCTION public.correct_reading(p jsonb) IS 'Corrects a reading that is not billed, or withdraws it: {actor, reason, reading: {id, right: {id, register_wh, registers, rolled_over, read_at, read_on, validation} or null}} -> the reading that holds now. EB005 where a bill rests on it; a repeat is answered with the first result.';

REVOKE ALL ON FUNCTION public.correct_reading(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.correct_reading(p jsonb) TO service_role;

CREATE FUNCTION public.tariff_reach(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with sums as materialized (
        select t.currency, sum(t.issued)::bigint as issued, sum(t.bills)::bigint as bills, sum(t.total_minor)::bigint as total_minor,
               sum(t.paid_minor)::bigint as paid_minor
        from private.totals_priced_by(array[(p ->> 'version_id')::uuid]) t group by 1 having sum(t.bills) <> 0)
    select jsonb_build_object(
        'bills', (select coalesce(sum(bills), 0)::bigint from sums),
        'issued', (select coalesce(sum(issued), 0)::bigint from sums),
        'customers', (select least(count(distinct n.customer_id), 10001) from private.newest_priced_by(array[(p ->> 'version_id')::uuid]) n),
        'sums', (select coalesce(jsonb_agg(jsonb_build_object(
                     'currency', s.currency, 'total_minor', s.total_minor, 'paid_minor', s.paid_minor) order by s.currency), '[]') from sums s))
$$;

COMMENT ON FUNCTION public.tariff_reach(p jsonb) IS 'The bills, not void, that a version of a tariff priced: {version_id} -> {bills, issued, customers: counted to 10,001, sums: [{currency, total_minor, paid_minor}]}.';

REVOKE ALL ON FUNCTION public.tariff_reach(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.tariff_reach(p jsonb) TO service_role;

CREATE FUNCTION private.newest_priced_by(p_versions uuid[]) RETURNS TABLE(agreement_id uuid, customer_id uuid)
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    AS $$
    -- All of few; of many so many that they tell apart as many meters as are counted.
    select b.agreement_id, b.customer_id from unnest(p_versions) v (id)
    cross join lateral (
        select x.agreement_id, x.customer_id from public.bills x where x.tariff_version_id = v.id and x.status <> 'void'
        order by x.period_end desc, x.id desc limit 12002) b
    union all
    select b.agreement_id, b.customer_id from public.tariff_versions v
    join public.tariff_versions u on u.tariff_id = v.tariff_id and u.effective_from < v.effective_from
    cross join lateral (
        select x.agreement_id, x.customer_id from public.bills x
        where x.tariff_version_id = u.id and x.status <> 'void' and x.period_end > v.effective_from
          and private.is_priced_by(x, p_versions)
        order by x.period_end desc, x.id desc limit 12002) b
    where v.id = any (p_versions) and u.id <> all (p_versions)
$$;

COMMENT ON FUNCTION private.newest_priced_by(p_versions uuid[]) IS 'Agreements and customers of the bills that versions priced: of each version the newest 12,002, by which up to 10,000 meters are counted.';

REVOKE ALL ON FUNCTION private.newest_priced_by(p_versions uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.newest_priced_by(p_versions uuid[]) TO service_role;

CREATE FUNCTION private.totals_priced_by(p_versions uuid[]) RETURNS TABLE(currency text, issued bigint, bills bigint, total_minor bigint, paid_minor bigint)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    return query
    select t.currency, sum(t.bills) filter (where t.state <> 'draft')::bigint, sum(t.bills)::bigint, sum(t.total_minor)::bigint,
           sum(t.paid_minor)::bigint
    from public.bill_totals t where t.tariff_version_id = any (p_versions) or t.priced_by && p_versions
    group by 1;
    -- Bills from before there were corrections do not say which versions priced them.
    if exists (select 1 from public.tariff_versions v
               join public.tariff_versions u on u.tariff_id = v.tariff_id and u.effective_from < v.effective_from
               join public.bill_totals t on t.tariff_version_id = u.id and t.priced_by = '{}'
                   and t.ended_in >= date_trunc('month', v.effective_from)
               where v.id = any (p_versions) and u.id <> all (p_versions)) then
        return query
        select b.currency, count(*) filter (where b.status = 'issued'), count(*), sum(b.total_minor)::bigint, sum(b.amount_paid_minor)::bigint
        from private.bills_priced_by(p_versions) b
        where b.priced_by is null and b.tariff_version_id <> all (p_versions) group by 1;
    end if;
end $$;

COMMENT ON FUNCTION private.totals_priced_by(p_versions uuid[]) IS 'What the bills that versions of a tariff priced come to, in parts: those that are not void, of them issued, their totals and what is paid of them, by currency.';

REVOKE ALL ON FUNCTION private.totals_priced_by(p_versions uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.totals_priced_by(p_versions uuid[]) TO service_role;

CREATE FUNCTION private.owe_correction(p_id uuid, p_owed jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status, finished_at)
    select private.ordered_id(), t.bill_id, 'bill_corrected', k.id::text,
           jsonb_build_object(
               'voided', (select string_agg(private.invoice_reference(number), ', ' order by number)
                          from (select distinct o.number from public.corrected_bills x join public.bills o on o.id = x.void_bill_id
                                where x.correction_id = k.id and o.number is not null) a),
               'issued', coalesce((select string_agg(private.invoice_reference(number), ', ' order by number)
                          from (select distinct n.number from public.corrected_bills x join public.bills n on n.id = x.new_bill_id
                                where x.correction_id = k.id and n.number is not null) a), ''),
               'difference_minor', k.difference_minor::text, 'currency', k.currency)
           || coalesce((
               select jsonb_build_object(
                   'credit_notes', string_agg(n.id::text, ' ' order by n.number),
                   'credited', string_agg(private.credit_note_reference(n.prefix, n.number), ', ' order by n.number))
               from public.credit_notes n
               where n.bill_id in (select x.void_bill_id from public.corrected_bills x where x.correction_id = k.id)
               having count(*) > 0), '{}'),
           p_owed -> 'steps', p_owed ->> 'status', case when p_owed ->> 'status' <> 'open' then now() end
    from public.corrections k
    cross join lateral (
        -- Told by the last one made anew; a draft is nothing to tell of.
        select coalesce(
            (select n.id from public.corrected_bills x join public.bills n on n.id = x.new_bill_id
             where x.correction_id = k.id and n.number is not null order by n.period_end desc limit 1),
            (select o.id from public.corrected_bills x join public.bills o on o.id = x.void_bill_id
             where x.correction_id = k.id and o.number is not null order by o.period_end desc limit 1)) as bill_id) t
    where k.id = p_id and t.bill_id is not null and p_owed is not null and p_owed <> 'null'::jsonb
$$;

COMMENT ON FUNCTION private.owe_correction(p_id uuid, p_owed jsonb) IS 'The message of a correction is owed: by the last bill made in place of others, else the last one voided, with the numbers of all and the credit notes.';

REVOKE ALL ON FUNCTION private.owe_correction(p_id uuid, p_owed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.owe_correction(p_id uuid, p_owed jsonb) TO service_role;

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.corrections FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.corrections FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.corrections FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER end_plans AFTER INSERT ON public.corrected_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.end_plans_of_merged_bills();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.corrected_bills FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.corrected_bills FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.corrected_bills FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

CREATE TRIGGER spare_in_its_place AFTER INSERT ON public.corrected_bills REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.spare_in_its_place();

-- Network: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.feeders (
    id uuid NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT feeders_code_check CHECK (((code <> ''::text) AND (code = btrim(code)))),
    CONSTRAINT feeders_name_check CHECK ((btrim(name) <> ''::text))
);

COMMENT ON TABLE public.feeders IS 'The lines that leave a substation; transformers hang on them.';

ALTER TABLE ONLY public.feeders
    ADD CONSTRAINT feeders_code_key UNIQUE (code);

ALTER TABLE ONLY public.feeders
    ADD CONSTRAINT feeders_pkey PRIMARY KEY (id);

ALTER TABLE public.feeders ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.feeders TO service_role;

CREATE TABLE public.transformers (
    id uuid NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    feeder_id uuid NOT NULL,
    rated_kva integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT transformers_code_check CHECK (((code <> ''::text) AND (code = btrim(code)))),
    CONSTRAINT transformers_name_check CHECK ((btrim(name) <> ''::text)),
    CONSTRAINT transformers_rated_kva_check CHECK ((rated_kva > 0))
);

COMMENT ON COLUMN public.transformers.rated_kva IS 'Rated power in whole kVA; null when it is not known.';

ALTER TABLE ONLY public.transformers
    ADD CONSTRAINT transformers_code_key UNIQUE (code);

ALTER TABLE ONLY public.transformers
    ADD CONSTRAINT transformers_pkey PRIMARY KEY (id);

CREATE INDEX transformers_feeder ON public.transformers USING btree (feeder_id);

CREATE INDEX transformers_like ON public.transformers USING btree (private.identifier_key(code));

ALTER TABLE public.transformers ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.transformers TO service_role;

CREATE TABLE public.supplies (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    transformer_id uuid NOT NULL,
    period_start date NOT NULL,
    period_end date NOT NULL,
    energy_wh bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT supplies_check CHECK ((period_end > period_start)),
    CONSTRAINT supplies_energy_wh_check CHECK ((energy_wh >= 0))
);

COMMENT ON TABLE public.supplies IS 'Energy that went into a transformer, by the meter at its head, over local days; the periods of one transformer never overlap. A value is changed only by an import that says "correction", and the audit trail keeps what it was.';

COMMENT ON COLUMN public.supplies.period_end IS 'Exclusive: the first local day that no longer belongs to the period.';

ALTER TABLE ONLY public.supplies
    ADD CONSTRAINT supplies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.supplies
    ADD CONSTRAINT supplies_transformer_id_period_start_key UNIQUE (transformer_id, period_start) DEFERRABLE;

ALTER TABLE public.supplies ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.supplies TO service_role;

CREATE TABLE public.supply_changes (
    id uuid NOT NULL,
    kind text NOT NULL,
    service_point_id uuid NOT NULL,
    agreement_id uuid,
    effective_on date NOT NULL,
    reason text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    correction_id uuid,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    undoes_id uuid,
    CONSTRAINT supply_changes_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT supply_changes_kind_check CHECK ((kind = ANY (ARRAY['connect'::text, 'move_in'::text, 'move_out'::text, 'exchange'::text, 'multiplier'::text, 'tariff'::text, 'stay'::text, 'disconnect'::text, 'reconnect'::text, 'not_disconnected'::text, 'not_reconnected'::text, 'undo'::text])))
);

COMMENT ON TABLE public.supply_changes IS 'Each change of who is supplied at a place, or by which meter: since which local date it holds, why, by whom.';

COMMENT ON COLUMN public.supply_changes.agreement_id IS 'The agreement that it made or changed; one that was undone is no more.';

COMMENT ON COLUMN public.supply_changes.details IS 'What the form said, for the history of the place.';

COMMENT ON COLUMN public.supply_changes.correction_id IS 'Where it came late, and bills had to be reissued.';

COMMENT ON COLUMN public.supply_changes.undoes_id IS 'The change that did not happen, which this one took back.';

ALTER TABLE ONLY public.supply_changes
    ADD CONSTRAINT supply_changes_pkey PRIMARY KEY (id);

CREATE INDEX supply_changes_of_agreement ON public.supply_changes USING btree (agreement_id);

CREATE INDEX supply_changes_of_point ON public.supply_changes USING btree (service_point_id, created_at);

CREATE UNIQUE INDEX supply_changes_undone_once ON public.supply_changes USING btree (undoes_id) WHERE (undoes_id IS NOT NULL);

ALTER TABLE public.supply_changes ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.supply_changes TO service_role;

ALTER TABLE ONLY public.transformers
    ADD CONSTRAINT transformers_feeder_id_fkey FOREIGN KEY (feeder_id) REFERENCES public.feeders(id);

ALTER TABLE ONLY public.supplies
    ADD CONSTRAINT supplies_transformer_id_fkey FOREIGN KEY (transformer_id) REFERENCES public.transformers(id);

ALTER TABLE ONLY public.supply_changes
    ADD CONSTRAINT supply_changes_undoes_id_fkey FOREIGN KEY (undoes_id) REFERENCES public.supply_changes(id);

CREATE FUNCTION public.import_transformers(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    if not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.feeders (id, code, name)
        select distinct on (x.feeder_code) x.feeder_id, x.feeder_code, coalesce(x.feeder_name, x.feeder_code)
        from jsonb_to_recordset(p -> 'rows') as x(feeder_id uuid, feeder_code text, feeder_name text)
        order by x.feeder_code, x.feeder_name
        on conflict do nothing;
        select count(*) into v_changed
        from jsonb_to_recordset(p -> 'rows') as x(
            code text, name text, feeder_code text, feeder_name text, rated_kva integer)
        join public.transformers t on t.code = x.code
        join public.feeders f on f.code = x.feeder_code
        where (t.name, t.feeder_id, t.rated_kva, f.name) is distinct from
              (x.name, f.id, coalesce(x.rated_kva, t.rated_kva), coalesce(x.feeder_name, f.name));
        update public.feeders f set name = x.feeder_name
        from (select distinct y.feeder_code, y.feeder_name
              from jsonb_to_recordset(p -> 'rows') as y(feeder_code text, feeder_name text)
              where y.feeder_name is not null) x
        where f.code = x.feeder_code and f.name <> x.feeder_name;
        update public.transformers t
        set name = x.name, feeder_id = f.id, rated_kva = coalesce(x.rated_kva, t.rated_kva)
        from jsonb_to_recordset(p -> 'rows') as x(code text, name text, feeder_code text, rated_kva integer)
        join public.feeders f on f.code = x.feeder_code
        where t.code = x.code
          and (t.name, t.feeder_id, t.rated_kva) is distinct from
              (x.name, f.id, coalesce(x.rated_kva, t.rated_kva));
        insert into public.transformers (id, code, name, feeder_id, rated_kva)
        select x.id, x.code, x.name, f.id, x.rated_kva
        from jsonb_to_recordset(p -> 'rows') as x(
            id uuid, code text, name text, feeder_code text, rated_kva integer)
        join public.feeders f on f.code = x.feeder_code
        on conflict do nothing;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(null, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_transformers(p jsonb) IS 'Adds transformers with their feeders, or updates known codes: {actor, dry_run, rows: [{row, id, code, name, feeder_id, feeder_code, feeder_name?, rated_kva?}]}. What a row does not say stays as it is.';

REVOKE ALL ON FUNCTION public.import_transformers(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_transformers(p jsonb) TO service_role;

CREATE FUNCTION private.check_supplies() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_nestloop TO 'off'
    AS $$
begin
    -- Not "for update": that would wait for the key share that a foreign key takes.
    perform 1 from public.transformers
    where id in (select n.transformer_id from new_rows n) order by id for no key update;
    if exists (
        select 1 from new_rows n
        join public.supplies s on s.transformer_id = n.transformer_id
        where s.id <> n.id and s.period_start < n.period_end and n.period_start < s.period_end
    ) then
        raise exception using errcode = 'EB005',
            message = 'Two periods of one transformer cannot overlap: its energy would count twice.';
    end if;
    return null;
end $$;

REVOKE ALL ON FUNCTION private.check_supplies() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_supplies() TO service_role;

CREATE FUNCTION public.change_supply(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_point uuid := (p ->> 'service_point_id')::uuid;
    a public.service_agreements;
    v_state jsonb;
    v_correction uuid;
    v_deposit bigint;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_points(array(
        select v_point union
        select i.service_point_id from public.meter_installations i where i.meter_id = (p #>> '{install,meter_id}')::uuid));
    if exists (select 1 from public.supply_changes where id = v_id) then
        return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
    end if;
    if p ->> 'customer' is not null then
        perform private.add_customer(p);
    end if;
    insert into public.meters (id, serial, kind, dials, registers)
    select x.id, x.serial, x.kind, x.dials, coalesce(x.registers, '[]')
    from jsonb_to_record(p -> 'new_meter') as x(id uuid, serial text, kind text, dials smallint, registers jsonb)
    where p ->> 'new_meter' is not null;
    if p ->> 'agreement_id' is not null then
        select * into a from public.service_agreements where id = (p ->> 'agreement_id')::uuid and service_point_id = v_point;
        if not found then
            perform private.refuse('EB404', 'No such agreement.');
        elsif a.ends_on is not null and p ->> 'kind' = 'move_out' then
            perform private.refuse('EB005', 'They have moved out already.');
        end if;
        v_state := private.begin_correction(p, a);
    end if;
    if p #>> '{remove,same_meter}' is not null then
        perform set_config('billing.same_meter', p #>> '{remove,same_meter}', true);
    end if;
    -- The read at which a meter goes is one of its installation, that at which one comes is an opening.
    perform private.insert_reading(x) from jsonb_array_elements(coalesce(p -> 'readings', '[]')) x;
    update public.meter_installations i
    set removed_at = x.removed_at, removed_on = x.removed_on, closing_reading_id = x.closing_reading_id, removal_reason = p ->> 'reason'
    from jsonb_to_record(p -> 'remove') as x(
        installation_id uuid, removed_at timestamptz, removed_on date, closing_reading_id uuid)
    where p ->> 'remove' is not null and i.id = x.installation_id and i.removed_at is null;
    if not found and p ->> 'remove' is not null then
        perform private.refuse('EB001', 'This meter was removed meanwhile: look at the place again.');
    end if;
    insert into public.meter_installations (id, service_point_id, meter_id, installed_at, installed_on, multiplier_milli, opening_reading_id)
    select x.id, v_point, x.meter_id, x.installed_at, x.installed_on, x.multiplier_milli, x.opening_reading_id
    from jsonb_to_record(p -> 'install') as x(
        id uuid, meter_id uuid, installed_at timestamptz, installed_on date, multiplier_milli integer, opening_reading_id uuid)
    where p ->> 'install' is not null;
    if p ->> 'end' is not null then
        update public.service_agreements
        set ends_on = (p #>> '{end,ends_on}')::date, closing_reading_id = (p #>> '{end,closing_reading_id}')::uuid
        where id = a.id;
    end if;
    if p ->> 'kind' = 'stay' then
        update public.service_agreements set ends_on = null, closing_reading_id = null where id = a.id;
    end if;
    if p ->> 'start' is not null then
        insert into public.service_agreements (id, service_point_id, customer_id, starts_on, opening_reading_id, billing_day)
        select x.id, v_point, x.customer_id, x.starts_on, x.opening_reading_id, coalesce(x.billing_day, 1)
        from jsonb_to_record(p -> 'start') as x(
            id uuid, customer_id uuid, starts_on date, opening_reading_id uuid, billing_day smallint);
        insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
        select private.ordered_id(), x.id, x.starts_on, x.tariff_id
        from jsonb_to_record(p -> 'start') as x(id uuid, starts_on date, tariff_id uuid);
        update public.customers c set currency = t.currency
        from public.tariffs t
        where t.id = (p #>> '{start,tariff_id}')::uuid and c.id = (p #>> '{start,customer_id}')::uuid and c.currency is null;
    end if;
    if p ->> 'tariff_id' is not null then
        perform private.set_tariff(a.id, (p ->> 'effective_on')::date, (p ->> 'tariff_id')::uuid);
    end if;
    if a.id is not null then
        v_correction := private.end_correction(p || jsonb_build_object('kind', 'supply'), a, v_state);
    end if;
    if p ->> 'disconnection' is not null then
        perform private.change_disconnection(p, a);
    end if;
    if p ->> 'deposit_entry_id' is not null then
        -- What is held pays what is open; what is left of it can be paid out.
        select least(private.open_credit(a.customer_id, 'deposit', c.currency),
                     coalesce((select x.balance_minor from public.accounts x
                               where x.customer_id = c.id and x.book = 'account' and x.currency = c.currency), 0))
        into v_deposit from public.customers c where c.id = a.customer_id;
        if v_deposit > 0 then
            perform public.use_deposit(jsonb_build_object(
                'actor', p ->> 'actor', 'id', p ->> 'deposit_entry_id', 'customer_id', a.customer_id,
                'currency', (select currency from public.customers where id = a.customer_id),
                'amount_minor', v_deposit, 'note', p ->> 'reason', 'on_date', p ->> 'on', 'owed', p -> 'owed'));
        end if;
    end if;
    set constraints all immediate;
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, correction_id, undoes_id, created_by)
    values (v_id, p ->> 'kind', v_point, coalesce(a.id, (p #>> '{start,id}')::uuid), (p ->> 'effective_on')::date, p ->> 'reason',
            coalesce(p -> 'details', '{}'), v_correction,
            private.supply_taken_back(p ->> 'kind', a.id), p ->> 'actor');
    return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
exception when unique_violation then
    raise exception using errcode = 'EB005', message = case
        when sqlerrm like '%meters_serial%' then 'There is a meter with this serial already.'
        when sqlerrm like '%readings_one_live%' then 'Another value is stored for this meter at this very time.'
        when sqlerrm like '%one_place%' then 'This meter is installed at another place: remove it there first.'
        when sqlerrm like '%one_meter%' then 'Another meter is installed at this place: exchange it, or remove it first.'
        when sqlerrm like '%one_open%' then 'Somebody else has an agreement for this place: end it first.'
        when sqlerrm like '%disconnections_one_open%' then 'They are disconnected already.'
        else 'Somebody else changed this at the same time: look at it again.' end;
end $$;

COMMENT ON FUNCTION public.change_supply(p jsonb) IS 'Changes who is supplied at a place, or by which meter, in one transaction: {actor, id, kind, service_point_id, effective_on, reason, on, details?, customer?: a new one, as import_customers takes it, new_meter?, readings?: reads to store, remove?: {installation_id, removed_at, removed_on, closing_reading_id, same_meter?}, install?: {id, meter_id, installed_at, installed_on, multiplier_milli, opening_reading_id}, end?: {ends_on, closing_reading_id}, start?: {id, customer_id, starts_on, opening_reading_id, billing_day?, tariff_id}, tariff_id?: from effective_on on, disconnection?: as private.change_disconnection takes it, with agreement_id; with agreement_id also, as rebill: meter_id, warned?, chain_from, chain, touched, bills, owed?, deposit_entry_id?: the deposit pays what is then open} -> the change. EB001 when the bills are not as they were seen; a repeat is answered with the first result.';

REVOKE ALL ON FUNCTION public.change_supply(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_supply(p jsonb) TO service_role;

CREATE FUNCTION public.import_supplies(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    perform 1 from public.transformers
    where code in (select x ->> 'transformer_code' from jsonb_array_elements(p -> 'rows') x)
    order by id for no key update;
    v_errors := private.supply_problems(p -> 'rows');
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        update public.supplies s
        set period_start = m.period_start, period_end = m.period_end, energy_wh = m.energy_wh
        from private.match_supplies(p -> 'rows') m
        where m.correction and s.id = m.stored_id and not (m.same_period and m.stored_wh = m.energy_wh);
        get diagnostics v_changed = row_count;
        insert into public.supplies (transformer_id, period_start, period_end, energy_wh)
        select m.transformer_id, m.period_start, m.period_end, m.energy_wh
        from private.match_supplies(p -> 'rows') m
        where m.stored_id is null;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_supplies(p jsonb) IS 'Adds what went into transformers, or corrects a stored period where a row says so: {actor, dry_run, rows: [{row, transformer_code, period_start, period_end, energy_wh, correction?}]}. Rows that repeat what is stored change nothing.';

REVOKE ALL ON FUNCTION public.import_supplies(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_supplies(p jsonb) TO service_role;

CREATE FUNCTION private.supply_problems(p_rows jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with m as (
        select *, count(*) filter (where correction) over (partition by stored_id) as claims
        from private.match_supplies(p_rows)
    ), problems as (
        select m."row", case
            when m.transformer_id is null then array['transformer_code', format('No transformer has the code %s.', m.transformer_code)]
            when m.same_period and m.stored_wh = m.energy_wh then null
            when m.correction and m.stored_id is null then array['correction', format(
                'Nothing is stored for transformer %s in this period that could be corrected.', m.transformer_code)]
            when m.correction and m.claims > 1 then array['correction', 'Another row of the file corrects the same stored period.']
            when m.same_period and not m.correction then array['energy_kwh', format(
                'Transformer %s has another value for this period, %s kWh. If that one is wrong, add a column named correction with yes in this row.',
                m.transformer_code, trim_scale(m.stored_wh / 1000.0))]
            -- In the way: a stored period that no row of the file moves.
            else (select array['period_start', format(
                      'The period overlaps that from %s up to %s, which is stored for transformer %s.',
                      min(s.period_start), min(s.period_end), m.transformer_code)]
                  from public.supplies s
                  where s.transformer_id = m.transformer_id
                    and s.period_start < m.period_end and m.period_start < s.period_end
                    and s.id not in (select o.stored_id from m o where o.correction and o.stored_id is not null)
                  having count(*) > 0)
            end as problem
        from m
    )
    select jsonb_agg(jsonb_build_object('row', q."row", 'column', q.problem[1], 'message', q.problem[2]) order by q."row")
    from problems q where q.problem is not null
$$;

REVOKE ALL ON FUNCTION private.supply_problems(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.supply_problems(p_rows jsonb) TO service_role;

CREATE FUNCTION private.match_supplies(p_rows jsonb) RETURNS TABLE("row" integer, transformer_code text, transformer_id uuid, period_start date, period_end date, energy_wh bigint, correction boolean, stored_id uuid, stored_wh bigint, same_period boolean)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select x."row", x.transformer_code, t.id, x.period_start, x.period_end, x.energy_wh,
           coalesce(x.correction, false), s.id, s.energy_wh,
           (s.period_start, s.period_end) = (x.period_start, x.period_end)
    from jsonb_to_recordset(p_rows) as x(
        "row" integer, transformer_code text, period_start date, period_end date, energy_wh bigint,
        correction boolean)
    left join public.transformers t on t.code = x.transformer_code
    left join lateral (
        select s.id, s.period_start, s.period_end, s.energy_wh
        from public.supplies s
        where s.transformer_id = t.id and s.period_start < x.period_end and x.period_start < s.period_end
        order by s.period_start = x.period_start desc, s.period_end = x.period_end desc, s.period_start
        limit 1
    ) s on true
$$;

COMMENT ON FUNCTION private.match_supplies(p_rows jsonb) IS 'The rows of a file, each with the stored supply that it repeats or would correct: of those that it overlaps the one with the same start, else the same end, else the first.';

REVOKE ALL ON FUNCTION private.match_supplies(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.match_supplies(p_rows jsonb) TO service_role;

CREATE FUNCTION public.supply_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    s public.service_points;
begin
    select * into s from public.service_points where id = (p ->> 'service_point_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such service point.');
    end if;
    return jsonb_build_object(
        'point', (select to_jsonb(l) - 'search' from public.service_point_list l where l.id = s.id),
        'installations', (select coalesce(jsonb_agg(to_jsonb(i) || jsonb_build_object(
                'serial', m.serial, 'dials', m.dials, 'kind', m.kind, 'registers', m.registers,
                'opening', private.reading_json(i.opening_reading_id), 'closing', private.reading_json(i.closing_reading_id))
                order by i.installed_at desc), '[]')
            from public.meter_installations i join public.meters m on m.id = i.meter_id where i.service_point_id = s.id),
        'agreements', (select coalesce(jsonb_agg(to_jsonb(a) || jsonb_build_object(
                'account_no', c.account_no, 'customer_name', c.name, 'currency', c.currency,
                'opening', private.reading_json(a.opening_reading_id), 'closing', private.reading_json(a.closing_reading_id),
                'billed_until', (select max(b.period_end) from public.bills b where b.agreement_id = a.id and b.status <> 'void'),
                'tariffs', (select jsonb_agg(jsonb_build_object('starts_on', t.starts_on, 'code', r.code, 'name', r.name) order by t.starts_on)
                            from public.agreement_tariffs t join public.tariffs r on r.id = t.tariff_id where t.agreement_id = a.id))
                order by a.starts_on desc), '[]')
            from public.service_agreements a join public.customers c on c.id = a.customer_id where a.service_point_id = s.id),
        'disconnections', (select coalesce(jsonb_agg(to_jsonb(d) || jsonb_build_object(
                'disconnected', private.reading_json(d.disconnect_reading_id), 'reconnected', private.reading_json(d.reconnect_reading_id))
                order by d.disconnected_on desc, d.created_at desc), '[]')
            from public.service_agreements a join public.disconnections d on d.agreement_id = a.id
            where a.service_point_id = s.id and not d.withdrawn and d.disconnected_on < coalesce(a.ends_on, 'infinity')),
        'last_reads', (select coalesce(jsonb_agg(to_jsonb(r) order by r.read_at desc), '[]')
            from (select x.* from public.meter_installations i join public.reading_list x on x.meter_id = i.meter_id
                  where i.service_point_id = s.id and x.status = 'accepted' and x.read_at >= i.installed_at
                    and (i.removed_at is null or x.read_at <= i.removed_at)
                    and (p ->> 'on' is null or x.read_on = (p ->> 'on')::date)
                  order by x.read_at desc limit 40) r),
        'changes', (select coalesce(jsonb_agg(to_jsonb(k) order by k.created_at desc), '[]')
                    from public.supply_changes k where k.service_point_id = s.id));
end $$;

COMMENT ON FUNCTION public.supply_context(p jsonb) IS 'A place with everything: {service_point_id, on?: a local date} -> {point, installations, agreements and disconnections (with their reads) the last first, last_reads: up to 40 accepted ones, of that date if given, changes}.';

REVOKE ALL ON FUNCTION public.supply_context(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.supply_context(p jsonb) TO service_role;

CREATE FUNCTION public.connect_supply(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_point uuid;
    v_answer jsonb;
begin
    perform private.set_actor(p);
    if exists (select 1 from public.supply_changes where id = v_id) then
        return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
    end if;
    if p ->> 'customer' is not null then
        perform private.add_customer(p);
    end if;
    v_answer := public.import_meters(jsonb_build_object(
        'actor', p -> 'actor', 'dry_run', false, 'rows', jsonb_build_array(p -> 'meter')));
    if coalesce(v_answer -> 'errors', 'null') not in ('null', '[]') then
        perform private.refuse('EB005', v_answer #>> '{errors,0,message}');
    elsif (v_answer ->> 'added')::integer <> 1 then
        perform private.refuse('EB005', 'There is a meter with this serial already.');
    end if;
    select i.service_point_id into strict v_point
    from public.meters m join public.meter_installations i on i.meter_id = m.id
    where m.serial = p #>> '{meter,serial}';
    update public.service_points
    set code = coalesce(nullif(p #>> '{point,code}', ''), code), address = coalesce(p #>> '{point,address}', address),
        access_note = coalesce(p #>> '{point,access_note}', ''), route = coalesce(p #>> '{point,route}', '')
    where id = v_point;
    -- Without a day of its own it has that of its route.
    if p ->> 'billing_day' is not null then
        update public.service_agreements set billing_day = (p ->> 'billing_day')::smallint where service_point_id = v_point;
    end if;
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, created_by)
    select v_id, 'connect', v_point, a.id, a.starts_on, p ->> 'reason', coalesce(p -> 'details', '{}'), p ->> 'actor'
    from public.service_agreements a where a.service_point_id = v_point;
    return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
exception when unique_violation then
    raise exception using errcode = 'EB005', message = 'There is a service point with this code already.';
end $$;

COMMENT ON FUNCTION public.connect_supply(p jsonb) IS 'Connects a customer at a new place, in one transaction: {actor, id, reason, details?, customer?: as import_customers takes it, for a new one, meter: as import_meters takes it, point: {code?, address?, access_note?, route?}, billing_day?} -> the change. A repeat is answered with the first result.';

REVOKE ALL ON FUNCTION public.connect_supply(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.connect_supply(p jsonb) TO service_role;

CREATE FUNCTION private.supply_taken_back(p_kind text, p_agreement_id uuid) RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select c.id from public.supply_changes c
    where c.agreement_id = p_agreement_id
      and c.kind = case p_kind when 'not_disconnected' then 'disconnect' when 'not_reconnected' then 'reconnect' when 'stay' then 'move_out' end
      and not exists (select 1 from public.supply_changes u where u.undoes_id = c.id)
    order by c.created_at desc limit 1
$$;

COMMENT ON FUNCTION private.supply_taken_back(p_kind text, p_agreement_id uuid) IS 'The change that one of the kind not_disconnected, not_reconnected or stay takes back, else null.';

REVOKE ALL ON FUNCTION private.supply_taken_back(p_kind text, p_agreement_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.supply_taken_back(p_kind text, p_agreement_id uuid) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.feeders REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.feeders REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_insert AFTER INSERT ON public.transformers REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.transformers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_insert AFTER INSERT ON public.supplies REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.supplies REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.supplies FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.supplies FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER supplies_apart_insert AFTER INSERT ON public.supplies REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_supplies();

CREATE TRIGGER supplies_apart_update AFTER UPDATE ON public.supplies REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.check_supplies();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.supply_changes FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.supply_changes FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.supply_changes FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

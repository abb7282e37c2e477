-- Meters: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.meters (
    id uuid NOT NULL,
    serial text NOT NULL,
    kind text NOT NULL,
    dials smallint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    registers jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT meters_dials_check CHECK (((dials >= 1) AND (dials <= 9))),
    CONSTRAINT meters_kind_check CHECK ((kind = ANY (ARRAY['manual'::text, 'smart'::text]))),
    CONSTRAINT meters_registers_check CHECK ((jsonb_typeof(registers) = 'array'::text)),
    CONSTRAINT meters_serial_check CHECK (((serial <> ''::text) AND (serial = btrim(serial))))
);

COMMENT ON COLUMN public.meters.dials IS 'Whole kWh digits of the register: five dials run from 0 to 99,999 and then roll over.';

COMMENT ON COLUMN public.meters.registers IS 'Names of the registers that are read at each reading beside the total kWh (services/domain/registers.py says what each measures).';

ALTER TABLE ONLY public.meters
    ADD CONSTRAINT meters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.meters
    ADD CONSTRAINT meters_serial_key UNIQUE (serial);

CREATE INDEX meters_by_hash ON public.meters USING btree (uuid_hash(id));

CREATE INDEX meters_like ON public.meters USING btree (private.identifier_key(serial));

CREATE INDEX meters_search ON public.meters USING gin (lower(serial) extensions.gin_trgm_ops);

CREATE INDEX meters_smart ON public.meters USING btree (serial) WHERE (kind = 'smart'::text);

ALTER TABLE public.meters ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.meters TO service_role;

COMMENT ON INDEX public.meters_by_hash IS 'The first ones are a sample of all.';

CREATE FUNCTION public.import_meters(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', case
               when x.service_point is not null and (s.id is null or taken.why is not null) then 'service_point'
               when x.account_no <> '' and c.id is null then 'account_no'
               when x.account_no <> '' and t.id is null or coalesce(c.currency, t.currency) <> t.currency then 'tariff_code'
               when x.transformer_code <> '' and g.id is null then 'transformer_code'
               when m.id is null then 'opened_on'
               when x.service_point is not null and n.service_point_id <> s.id then 'service_point'
               else 'serial' end, 'message', case
               when x.service_point is not null and s.id is null then format(
                   'No service point has the code %s: import it first, or leave the cell empty.', x.service_point)
               when taken.why is not null then taken.why
               when x.account_no <> '' and c.id is null then format('No customer has the account number %s.', x.account_no)
               when x.account_no <> '' and t.id is null then format('No tariff has the code %s.', x.tariff_code)
               when coalesce(c.currency, t.currency) <> t.currency then format(
                   'Tariff %s is in %s, account %s in %s.', x.tariff_code, t.currency, x.account_no, c.currency)
               when x.transformer_code <> '' and g.id is null then format(
                   'No transformer has the code %s.', x.transformer_code)
               when m.id is null then format(
                   'No version of tariff %s is in force on %s, where billing would begin.', x.tariff_code, x.opened_on)
               when x.service_point is not null and n.service_point_id <> s.id then format(
                   'Meter %s is installed at another service point.', x.serial)
               else format('Meter %s is already connected with other details.', x.serial) end) order by x."row")
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x(
        "row" integer, serial text, account_no text, tariff_code text, kind text, dials smallint,
        multiplier_milli integer, opened_on date, opening_wh bigint, transformer_code text, service_point text)
    left join public.service_points s on s.code = x.service_point
    left join public.customers c on c.account_no = x.account_no
    left join public.tariffs t on t.code = x.tariff_code
    left join public.transformers g on g.code = x.transformer_code
    left join public.meters m on m.serial = x.serial
    left join public.meter_installations n on n.meter_id = m.id and n.removed_at is null
    left join public.readings r on r.id = n.opening_reading_id
    left join lateral (
        select format('Meter %s is installed at %s: exchange it on the page of the service point.', k.serial, s.code) as why
        from public.meter_installations i join public.meters k on k.id = i.meter_id
        where m.id is null and i.service_point_id = s.id and coalesce(i.removed_on, 'infinity') > x.opened_on
        union all
        select format('Account %s is supplied at %s: install the meter on the page of the service point.', k.account_no, s.code)
        from public.service_agreements a join public.customers k on k.id = a.customer_id
        where m.id is null and a.service_point_id = s.id and coalesce(a.ends_on, 'infinity') > x.opened_on
        limit 1) taken on true
    where (x.account_no <> '' and (c.id is null or t.id is null)) or coalesce(c.currency, t.currency) <> t.currency
       or (x.service_point is not null and (s.id is null or n.service_point_id <> s.id)) or taken.why is not null
       or (x.transformer_code <> '' and g.id is null)
       or (m.id is null and x.account_no <> '' and not exists (
               select 1 from public.tariff_versions v where v.tariff_id = t.id and v.effective_from <= x.opened_on))
       or (m.id is not null and ((m.kind, m.dials, n.multiplier_milli, n.installed_on, r.register_wh)
               is distinct from (x.kind, x.dials, x.multiplier_milli, x.opened_on, x.opening_wh)
           -- Who moved in later, and on which tariff, is no contradiction: a file that was imported is harmless for ever.
           or (x.account_no <> '' and not exists (
                   select 1 from public.service_agreements a join public.agreement_tariffs y on y.agreement_id = a.id
                   where a.service_point_id = n.service_point_id and a.customer_id = c.id and y.tariff_id = t.id
                     and coalesce(a.ends_on, 'infinity') > n.installed_on))
           or (x.account_no = '' and exists (
                   select 1 from public.service_agreements a
                   where a.service_point_id = n.service_point_id and a.starts_on <= n.installed_on
                     and coalesce(a.ends_on, 'infinity') > n.installed_on))));
    if v_errors is null then
        v_errors := private.register_problems(p -> 'rows');
    end if;
    if v_errors is null then
        select jsonb_agg(jsonb_build_object('row', y.last_row, 'column', 'tariff_code', 'message', format(
                   'Account %s would have tariffs in different currencies.', y.account_no)))
        into v_errors
        from (select x.account_no, max(x."row") as last_row
              from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, tariff_code text)
              join public.tariffs t on t.code = x.tariff_code
              group by x.account_no having count(distinct t.currency) > 1) y;
    end if;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        update public.customers c set currency = t.currency
        from jsonb_to_recordset(p -> 'rows') as x(account_no text, tariff_code text)
        join public.tariffs t on t.code = x.tariff_code
        where c.account_no = x.account_no and c.currency is null;
        with known as materialized (
            select k.id, i.service_point_id, coalesce(x.registers, k.registers) as registers,
                   coalesce(x.connected_w, s.connected_w) as connected_w,
                   coalesce(x.connected_va, s.connected_va) as connected_va,
                   case when x.transformer_code is null then s.transformer_id else g.id end as transformer_id
            from jsonb_to_recordset(p -> 'rows') as x(
                serial text, transformer_code text, registers jsonb, connected_w integer, connected_va integer)
            join public.meters k on k.serial = x.serial
            join public.meter_installations i on i.meter_id = k.id and i.removed_at is null
            join public.service_points s on s.id = i.service_point_id
            left join public.transformers g on g.code = x.transformer_code
        ), of_meters as (
            update public.meters m set registers = n.registers
            from known n where m.id = n.id and m.registers is distinct from n.registers
            returning m.id
        ), of_points as (
            update public.service_points s
            set transformer_id = n.transformer_id, connected_w = n.connected_w, connected_va = n.connected_va
            from known n
            where s.id = n.service_point_id
              and (s.transformer_id, s.connected_w, s.connected_va)
                  is distinct from (n.transformer_id, n.connected_w, n.connected_va)
            returning n.id
        )
        select count(*) into v_changed from (select id from of_meters union select id from of_points) z;
        with added as (
            insert into public.meters (id, serial, kind, dials, registers)
            select coalesce(x.id, private.ordered_id()), x.serial, x.kind, x.dials, coalesce(x.registers, '[]')
            from jsonb_to_recordset(p -> 'rows') as x(id uuid, serial text, kind text, dials smallint, registers jsonb)
            on conflict do nothing
            returning id, serial
        ), placed as materialized (
            select x.*, added.id, private.ordered_id() as opening_reading_id, private.ordered_id() as agreement_id,
                   coalesce(s.id, private.ordered_id()) as point_id, c.id as customer_id, c.address, t.id as tariff_id, g.id as transformer_id,
                   s.id as place_id
            from added
            join jsonb_to_recordset(p -> 'rows') as x(
                "row" integer, serial text, account_no text, tariff_code text, multiplier_milli integer,
                opened_on date, opened_at timestamptz, opening_wh bigint, opening_registers jsonb, transformer_code text,
                connected_w integer, connected_va integer, service_point text, opening_source text, opening_quality smallint) on x.serial = added.serial
            left join public.service_points s on s.code = x.service_point
            left join public.customers c on c.account_no = x.account_no
            left join public.tariffs t on t.code = x.tariff_code
            left join public.transformers g on g.code = x.transformer_code
            order by x."row"
        ), of_points as (
            -- Known by the serial of the meter that it came with, unless a place has that code.
            insert into public.service_points (id, code, address, transformer_id, connected_w, connected_va)
            select x.point_id, x.serial || case when s.id is null then '' else '/' || right(x.id::text, 8) end, coalesce(x.address, ''),
                   x.transformer_id, x.connected_w, x.connected_va
            from placed x left join public.service_points s on s.code = x.serial
            where x.place_id is null
        ), of_places as (
            update public.service_points s
            set transformer_id = case when x.transformer_code is null then s.transformer_id else x.transformer_id end,
                connected_w = coalesce(x.connected_w, s.connected_w), connected_va = coalesce(x.connected_va, s.connected_va)
            from placed x
            where s.id = x.place_id and (x.transformer_code is not null or x.connected_w is not null or x.connected_va is not null)
        ), of_reads as (
            insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, is_opening,
                                         submitted_by, registers, validation)
            select x.opening_reading_id, x.id, x.opened_at, x.opened_on, x.opening_wh, coalesce(x.opening_source, 'imported'), 'accepted', true,
                   p ->> 'actor', coalesce(x.opening_registers, '{}'),
                   jsonb_strip_nulls(jsonb_build_object('quality', x.opening_quality))
            from placed x
        ), of_installations as (
            insert into public.meter_installations (id, service_point_id, meter_id, installed_at, installed_on,
                                                    multiplier_milli, opening_reading_id)
            select private.ordered_id(), x.point_id, x.id, x.opened_at, x.opened_on, x.multiplier_milli,
                   x.opening_reading_id
            from placed x
        ), of_agreements as (
            insert into public.service_agreements (id, service_point_id, customer_id, starts_on, opening_reading_id)
            select x.agreement_id, x.point_id, x.customer_id, x.opened_on, x.opening_reading_id from placed x
            where x.customer_id is not null
        ), of_tariffs as (
            insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
            select private.ordered_id(), x.agreement_id, x.opened_on, x.tariff_id from placed x
            where x.customer_id is not null
        )
        select count(*) into v_added from added;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_meters(p jsonb) IS 'Connects meters, each at a known service point or one of its own and with the agreement of its customer, if it names one, with their opening read, or sets transformer, registers and connected load of known ones: {actor, dry_run, rows: [{row, id?, serial, account_no, tariff_code, kind, dials, multiplier_milli, opening_wh, opened_on, opened_at, service_point?, transformer_code?, registers?, opening_registers?, unopened?, periods?, connected_w?, connected_va?, opening_source?, opening_quality?: a code of ESPI}]}.';

REVOKE ALL ON FUNCTION public.import_meters(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_meters(p jsonb) TO service_role;

CREATE FUNCTION private.register_span_wh(p_dials integer) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select ('1' || repeat('0', p_dials + 3))::bigint
$$;

COMMENT ON FUNCTION private.register_span_wh(p_dials integer) IS 'Wh after which a register of so many dials starts again at 0.';

REVOKE ALL ON FUNCTION private.register_span_wh(p_dials integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.register_span_wh(p_dials integer) TO service_role;

CREATE FUNCTION public.meter_reads(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with asked as (
        select m.id, m.serial, m.dials, m.multiplier_milli, m.tariff_id, m.registers, m.connected_w, m.connected_va, m.agreement_id,
               (select count(*) from (
                         select distinct r.read_on from public.readings r
                         where r.meter_id = m.id and r.status = 'accepted' limit 2) d) < 2 as is_new
        from public.meter_list m
        where m.serial in (select jsonb_array_elements_text(p -> 'serials'))
    ), classes as materialized (
        select t.tariff_id, private.class_use(t.tariff_id) as class_use
        from (select distinct a.tariff_id from asked a where a.is_new and a.tariff_id is not null) t
    )
    select jsonb_build_object('meters', coalesce(jsonb_agg(jsonb_build_object(
        'id', m.id, 'agreement_id', m.agreement_id, 'serial', m.serial, 'dials', m.dials, 'multiplier_milli', m.multiplier_milli,
        'tariff_id', m.tariff_id, 'registers', m.registers,
        'connected_w', m.connected_w, 'connected_va', m.connected_va,
        'class_use', case when m.is_new then k.class_use end,
        'installed', (select coalesce(jsonb_agg(jsonb_build_object('since', i.installed_at, 'until', i.removed_at)
                                                order by i.installed_at), '[]')
                      from public.meter_installations i where i.meter_id = m.id),
        'reads', (select coalesce(jsonb_agg(jsonb_build_object(
                             'id', r.id, 'meter_id', r.meter_id, 'read_at', r.read_at, 'read_on', r.read_on,
                             'register_wh', r.register_wh, 'registers', r.registers,
                             'status', r.status) order by r.read_at), '[]')
                  from public.readings r
                  where r.meter_id = m.id
                    and (r.status in ('accepted', 'needs_review') or (p ->> 'every_status')::boolean)
                    and r.read_on >= coalesce((p ->> 'since')::date, '-infinity')))), '[]'))
    from asked m left join classes k on k.tariff_id = m.tariff_id
$$;

COMMENT ON FUNCTION public.meter_reads(p jsonb) IS 'Live reads of some meters, or those of every status, oldest first: {serials, since?, every_status?}.';

REVOKE ALL ON FUNCTION public.meter_reads(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.meter_reads(p jsonb) TO service_role;

CREATE FUNCTION private.check_register() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
begin
    if exists (
        select 1 from new_rows r join public.meters m on m.id = r.meter_id
        where r.register_wh >= private.register_span_wh(m.dials)
    ) then
        raise exception using errcode = 'EB005', message = 'The reading has more digits than the meter.';
    end if;
    if exists (
        select 1 from new_rows r join public.meters m on m.id = r.meter_id
        cross join lateral jsonb_each(r.registers) v
        where r.registers <> '{}' and not (m.registers ? v.key and case when v.value::text ~ '^[0-9]{1,12}$'
            then v.value::bigint < private.register_span_wh(m.dials) else false end)
    ) then
        raise exception using errcode = 'EB005', message = 'A register of the reading is none of the meter''s, or has more digits.';
    end if;
    if exists (
        select 1 from new_rows r
        where not r.is_opening and not exists (
            select 1 from public.meter_installations i
            where i.meter_id = r.meter_id and i.installed_at <= r.read_at and (i.removed_at is null or r.read_at <= i.removed_at))
    ) then
        raise exception using errcode = 'EB005', message = 'The meter was not installed at that time.';
    end if;
    return null;
end $_$;

REVOKE ALL ON FUNCTION private.check_register() FROM PUBLIC;
GRANT ALL ON FUNCTION private.check_register() TO service_role;

CREATE FUNCTION private.register_problems(p_rows jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    select jsonb_agg(jsonb_build_object('row', q."row", 'column', 'registers', 'message', q.problem) order by q."row")
    from (
        select x."row", case
            when u.period is not null then format(
                'Tariff %s has no period named %s: a register is export, kvah, kvarh, a maximum such as max_kw, or a period of the tariff.',
                x.tariff_code, u.period)
            when m.id is null and jsonb_array_length(x.unopened) > 0 then format(
                'Say what %1$s showed when the meter was connected, such as %1$s=0.', x.unopened ->> 0)
            when exists (select 1 from jsonb_each(x.opening_registers) o
                         where m.id is not null and r.registers -> o.key is distinct from o.value) then format(
                'Meter %s is connected already: give only the names of its registers. What a new one showed at the last billed read is imported as a reading of that day with the same total.',
                x.serial)
            end as problem
        from jsonb_to_recordset(p_rows) as x(
            "row" integer, serial text, tariff_code text, registers jsonb, opening_registers jsonb, unopened jsonb,
            periods jsonb)
        join public.tariffs t on t.code = x.tariff_code
        left join public.meters m on m.serial = x.serial
        left join public.meter_installations n on n.meter_id = m.id and n.removed_at is null
        left join public.readings r on r.id = n.opening_reading_id
        left join lateral (
            select n.period from jsonb_array_elements_text(x.periods) n(period)
            where not exists (
                select 1 from public.tariff_versions v
                cross join lateral jsonb_each(v.definition -> 'calendars') c
                cross join lateral jsonb_object_keys(c.value -> 'periods') k(name)
                where v.tariff_id = t.id
                  and (lower(k.name) = n.period or lower(k.name) in (
                      -- One register may count a period of every season: "peak" that of "summer_peak".
                      select lower(s.name) || '_' || n.period
                      from jsonb_object_keys(v.definition -> 'seasons') s(name))))
            limit 1) u on true
        where x.registers is not null) q
    where q.problem is not null
$_$;

REVOKE ALL ON FUNCTION private.register_problems(p_rows jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.register_problems(p_rows jsonb) TO service_role;

CREATE FUNCTION public.set_meter_kind(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    m public.meters;
begin
    perform private.set_actor(p);
    select * into m from public.meters where id = (p ->> 'meter_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such meter.');
    elsif not exists (select 1 from public.meter_installations i where i.meter_id = m.id and i.removed_at is null) then
        perform private.refuse('EB005', format('Meter %s is installed nowhere: how it is read is said when it is installed.', m.serial));
    end if;
    update public.meters set kind = p ->> 'kind' where id = m.id and kind <> p ->> 'kind';
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.set_meter_kind(p jsonb) IS 'How a meter is read from now on: {actor, meter_id, kind: manual, or smart: collected from the head end by its serial}. A repeat changes nothing.';

REVOKE ALL ON FUNCTION public.set_meter_kind(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_meter_kind(p jsonb) TO service_role;

CREATE FUNCTION public.meter_series(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'days', (select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(i)) order by i.day), '[]')
                 from (select distinct on (d.day) d.day, d.minutes, d.wh, d.quality from public.intervals d
                       where d.meter_id = (p ->> 'meter_id')::uuid and d.day >= (p ->> 'from')::date and d.day < (p ->> 'until')::date
                       order by d.day, d.id desc) i),
        'reads', (select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(r)) order by r.read_at), '[]')
                  from (select x.read_at, x.register_wh, x.source,
                               private.quality_of_reading(x.source, x.status, x.is_opening, x.supersedes_id, x.decided_at, x.validation) as quality
                        from public.readings x
                        where x.meter_id = (p ->> 'meter_id')::uuid and x.status = 'accepted'
                          and x.read_on >= (p ->> 'from')::date and x.read_on < (p ->> 'until')::date) r))
$$;

COMMENT ON FUNCTION public.meter_series(p jsonb) IS 'What a meter measured from a local date to before another: {meter_id, from, until} -> {days: [{day, minutes, wh: nulls where nothing is known, quality?}], reads: [{read_at, register_wh: before the multiplier, source, quality: a code of ESPI}] that were accepted}.';

REVOKE ALL ON FUNCTION public.meter_series(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.meter_series(p jsonb) TO service_role;

CREATE FUNCTION public.meter_sample(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('serials', coalesce(jsonb_agg(m.serial), '[]'))
    from (select x.serial from public.meters x order by uuid_hash(x.id) limit (p ->> 'limit')::integer) m
$$;

COMMENT ON FUNCTION public.meter_sample(p jsonb) IS 'The serials of a sample of the meters, the same ones as long as none is added: {limit} -> {serials}.';

REVOKE ALL ON FUNCTION public.meter_sample(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.meter_sample(p jsonb) TO service_role;

CREATE FUNCTION private.meters_found(p_words text[], p_serial text, p_limit integer) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    select (array(select x.id from public.meters x where x.serial = p_serial)
           || private.ids_found('{"table": "meters", "text": "lower(%1$s.serial)", "begins": true}', p_words, p_limit))[:p_limit]
$_$;

COMMENT ON FUNCTION private.meters_found(p_words text[], p_serial text, p_limit integer) IS 'Meters whose serial has all words, or is the one given; at most so many.';

REVOKE ALL ON FUNCTION private.meters_found(p_words text[], p_serial text, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.meters_found(p_words text[], p_serial text, p_limit integer) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.meters REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.meters REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

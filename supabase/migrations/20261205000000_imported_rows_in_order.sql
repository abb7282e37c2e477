-- What an import brings gets ids that begin with a time -----------------------------------------------------------------------
-- They were hashes of what a row names, so that agreements, their customers, meters and reads lay in no order: for each bill a run
-- read other pages of every table, and wrote to other leaves of every index. Imported rows are found again by what they name
-- (account number, serial, code, place and day), so that nothing needs the hash.

create or replace function public.import_customers(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_total integer := jsonb_array_length(p -> 'rows');
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', 'currency', 'message',
               format('Account %s is in %s; its currency cannot change to %s.', x.account_no, c.currency, x.currency)))
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, currency text)
    join public.customers c on c.account_no = x.account_no
    where x.currency is not null and c.currency is not null and c.currency <> x.currency;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.customers (id, account_no, name, email, phone, address, language, currency, tax_number)
        select coalesce(id, private.ordered_id()), account_no, name, coalesce(email, ''), coalesce(phone, ''), coalesce(address, ''),
               coalesce(language, p ->> 'default_language', 'en'), currency, coalesce(tax_number, '')
        from jsonb_to_recordset(p -> 'rows') as x(
            id uuid, account_no text, name text, email text, phone text, address text, language text, currency text, tax_number text)
        on conflict do nothing;
        get diagnostics v_added = row_count;
        update public.customers c
        set name = x.name, email = coalesce(x.email, c.email), phone = coalesce(x.phone, c.phone),
            address = coalesce(x.address, c.address), language = coalesce(x.language, c.language),
            currency = coalesce(c.currency, x.currency), tax_number = coalesce(x.tax_number, c.tax_number)
        from jsonb_to_recordset(p -> 'rows') as x(
            account_no text, name text, email text, phone text, address text, language text, currency text, tax_number text)
        where c.account_no = x.account_no
          and (c.name, c.email, c.phone, c.address, c.language, c.currency, c.tax_number) is distinct from
              (x.name, coalesce(x.email, c.email), coalesce(x.phone, c.phone), coalesce(x.address, c.address),
               coalesce(x.language, c.language), coalesce(c.currency, x.currency),
               coalesce(x.tax_number, c.tax_number));
        get diagnostics v_changed = row_count;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, v_total - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_customers(p jsonb) IS 'Adds customers, or updates the contact details of known account numbers: {actor, dry_run, default_language?: of new ones without one, rows: [{row, id?, account_no, name, email?, phone?, address?, language?, currency?, tax_number?}]}. What a row does not give stays; an empty text takes it away.';

create or replace function public.import_meters(p jsonb) RETURNS jsonb
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
            -- Whose meter comes with its id has all ids made from it.
            select x.*, added.id, coalesce(md5('opening/' || x.given)::uuid, private.ordered_id()) as opening_reading_id,
                   coalesce(md5('agreement/' || x.given)::uuid, private.ordered_id()) as agreement_id,
                   coalesce(s.id, md5('service_point/' || x.given)::uuid, private.ordered_id()) as point_id, c.id as customer_id, c.address, t.id as tariff_id, g.id as transformer_id,
                   s.id as place_id
            from added
            join (select y.*, (r ->> 'id')::uuid as given from jsonb_array_elements(p -> 'rows') r, jsonb_to_record(r) as y(
                "row" integer, serial text, account_no text, tariff_code text, multiplier_milli integer,
                opened_on date, opened_at timestamptz, opening_wh bigint, opening_registers jsonb, transformer_code text,
                connected_w integer, connected_va integer, service_point text, opening_source text, opening_quality smallint)) x on x.serial = added.serial
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

create or replace function public.connect_supply(p jsonb) RETURNS jsonb
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

create or replace function public.import_service_points(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_moved uuid[];
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', z."row", 'column', z."column", 'message', z.message) order by z."row")
    into v_errors
    from (
        select x."row", 'transformer_code' as "column", format('No transformer has the code %s.', x.transformer_code) as message
        from jsonb_to_recordset(p -> 'rows') as x("row" integer, transformer_code text)
        where x.transformer_code <> '' and not exists (select 1 from public.transformers t where t.code = x.transformer_code)
        union all
        select x."row", 'transformer_since', format('This place was moved to another transformer on %s already: it can only be moved on from there on a later day.', m.last)
        from jsonb_to_recordset(p -> 'rows') as x("row" integer, code text, transformer_code text, moved_on date)
        join public.service_points s on s.code = x.code
        left join public.transformers t on t.code = x.transformer_code
        cross join lateral (select max(y.moved_on) as last from public.transformer_moves y where y.service_point_id = s.id) m
        where x.moved_on is not null and (m.last > x.moved_on or (m.last < x.moved_on and s.transformer_id is not distinct from t.id))) z;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.service_points (id, code) select private.ordered_id(), x.code
        from jsonb_to_recordset(p -> 'rows') as x(code text)
        -- A place that came with its meter has its serial for a code.
        where not exists (select 1 from public.service_points s where s.code = x.code)
        on conflict do nothing;
        get diagnostics v_added = row_count;
        -- Where it hangs on that transformer already, what it hung on before is not known.
        with moved as (
            insert into public.transformer_moves (service_point_id, moved_on, from_transformer_id)
            select s.id, x.moved_on, case when s.transformer_id is distinct from t.id then s.transformer_id end
            from jsonb_to_recordset(p -> 'rows') as x(code text, transformer_code text, moved_on date)
            join public.service_points s on s.code = x.code
            left join public.transformers t on t.code = x.transformer_code
            where x.moved_on is not null
            on conflict (service_point_id, moved_on) do nothing
            returning service_point_id
        )
        select coalesce(array_agg(m.service_point_id), '{}') into v_moved from moved m;
        with wanted as materialized (
            select s.id, s.created_at = now() as is_new, coalesce(e ->> 'address', s.address) as address,
                   case when e ? 'transformer_code' then t.id else s.transformer_id end as transformer_id,
                   coalesce(e ->> 'route', s.route) as route,
                   case when e ? 'sequence' then (e ->> 'sequence')::integer else s.sequence end as sequence,
                   case when e ? 'phases' then (e ->> 'phases')::smallint else s.phases end as phases,
                   case when e ? 'connected_w' then (e ->> 'connected_w')::integer else s.connected_w end as connected_w,
                   case when e ? 'connected_va' then (e ->> 'connected_va')::integer else s.connected_va end as connected_va,
                   coalesce(e ->> 'access_note', s.access_note) as access_note
            from jsonb_array_elements(p -> 'rows') e
            join public.service_points s on s.code = e ->> 'code'
            left join public.transformers t on t.code = e ->> 'transformer_code'
        ), written as (
            update public.service_points s
            set address = w.address, transformer_id = w.transformer_id, route = w.route, sequence = w.sequence, phases = w.phases,
                connected_w = w.connected_w, connected_va = w.connected_va, access_note = w.access_note
            from wanted w
            where s.id = w.id and (s.address, s.transformer_id, s.route, s.sequence, s.phases, s.connected_w, s.connected_va, s.access_note)
                is distinct from (w.address, w.transformer_id, w.route, w.sequence, w.phases, w.connected_w, w.connected_va, w.access_note)
            returning s.id
        )
        select count(*) into v_changed from wanted w
        where not w.is_new and (w.id = any (v_moved) or w.id in (select x.id from written x));
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_service_points(p jsonb) IS 'Adds places of supply, or changes what is known of those with these codes: {actor, dry_run, rows: [{row, code, address?, transformer_code?, moved_on?: from when on it hangs on that transformer, route?, sequence?, phases?, connected_w?, connected_va?, access_note?}]}. What a row does not give stays; an empty text or null takes it away. Without moved_on the transformer is corrected for as long as it was said to hang on it.';

create or replace function public.import_agreements(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    AS $$
declare
    v_errors jsonb;
    v_matched jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_done integer[] := '{}';
    v_some integer[];
begin
    perform private.set_actor(p);
    perform private.lock_points(array(
        select s.id from public.service_points s
        where s.code in (select x ->> 'service_point' from jsonb_array_elements(p -> 'rows') x)));
    perform private.lock_customers(array(
        select c.id from public.customers c
        where c.account_no in (select x ->> 'account_no' from jsonb_array_elements(p -> 'rows') x)));
    v_errors := coalesce(private.agreement_problems(p -> 'rows'), private.opening_bank_problems(p -> 'rows'));
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        select jsonb_agg(to_jsonb(m)) into v_matched from private.match_agreements(p -> 'rows') m;
        update public.customers c set currency = m.tariff_currency
        from jsonb_to_recordset(v_matched) as m(customer_id uuid, tariff_currency text)
        where c.id = m.customer_id and c.currency is null;
        with ended as (
            update public.service_agreements a
            set ends_on = coalesce(a.ends_on, m.ends_on), billing_day = coalesce(m.billing_day, a.billing_day),
                closing_reading_id = coalesce(a.closing_reading_id, case when m.ends_on is not null then m.closing_reading_id end)
            from jsonb_to_recordset(v_matched) as m(
                "row" integer, known_id uuid, starts_on date, tariff_from date, ends_on date, closing_reading_id uuid, billing_day smallint)
            where a.id = m.known_id and m.tariff_from = m.starts_on
              and (m.ends_on is not null and a.ends_on is null or m.billing_day <> a.billing_day)
            returning m."row"
        )
        select coalesce(array_agg("row"), '{}') into v_done from ended;
        with added as (
            insert into public.service_agreements (
                id, service_point_id, customer_id, starts_on, ends_on, opening_reading_id, closing_reading_id, billing_day)
            select m.id, m.point_id, m.customer_id, m.starts_on, m.ends_on, m.opening_reading_id, m.closing_reading_id,
                   coalesce(m.billing_day, 1)
            from jsonb_to_recordset(v_matched) as m(
                id uuid, known_id uuid, point_id uuid, customer_id uuid, starts_on date, tariff_from date, ends_on date,
                opening_reading_id uuid, closing_reading_id uuid, billing_day smallint)
            where m.known_id is null and m.tariff_from = m.starts_on
            order by m.starts_on
            returning 1
        )
        select count(*) into v_added from added;
        with wanted as (
            select m."row", m.id, m.tariff_from, m.tariff_id, m.known_id is null and m.tariff_from = m.starts_on as is_new
            from jsonb_to_recordset(v_matched) as m("row" integer, id uuid, known_id uuid, starts_on date, tariff_from date, tariff_id uuid)
            where m.known_id is null or (
                select x.tariff_id from private.tariff_spans x
                where x.agreement_id = m.id and x.starts_on <= m.tariff_from and m.tariff_from < x.ends_on) <> m.tariff_id
        ), put as (
            insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
            select private.ordered_id(), w.id, w.tariff_from, w.tariff_id from wanted w
            on conflict (agreement_id, starts_on) do update set tariff_id = excluded.tariff_id
            returning agreement_id, starts_on
        )
        select coalesce(array_agg(w."row"), '{}') into v_some
        from wanted w join put u on (u.agreement_id, u.starts_on) = (w.id, w.tariff_from) where not w.is_new;
        v_done := v_done || v_some;
        select coalesce(array_agg(m."row"), '{}') into v_some
        from jsonb_to_recordset(v_matched) as m("row" integer, id uuid, deposit_minor bigint)
        where m.deposit_minor > 0
          and not exists (select 1 from public.ledger_entries e where e.id = md5('agreement_deposit/' || m.id)::uuid);
        perform private.post_entries((
            select jsonb_agg(jsonb_build_object(
                'id', md5('agreement_deposit/' || m.id)::uuid, 'customer_id', m.customer_id, 'book', 'deposit',
                'currency', m.tariff_currency, 'kind', 'opening_balance', 'amount_minor', -m.deposit_minor,
                'on_date', m.starts_on, 'note', format('Deposit for %s, brought in', m.service_point)) order by m."row")
            from jsonb_to_recordset(v_matched) as m(
                "row" integer, id uuid, customer_id uuid, tariff_currency text, deposit_minor bigint, starts_on date, service_point text)
            where m."row" = any (v_some))) where v_some <> '{}';
        v_some := v_some || private.bring_in_banks(p -> 'rows', v_matched);
        -- The deposit and the bank of a new agreement come with it.
        select count(distinct n) into v_changed from unnest(v_done || array(
            select m."row" from jsonb_to_recordset(v_matched) as m("row" integer, known_id uuid)
            where m."row" = any (v_some) and m.known_id is not null)) n;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_agreements(p jsonb) IS 'Adds service agreements between accepted reads, ends known ones, changes their billing day, puts them on another tariff from a day, and enters deposits that are held and kWh that are banked: {actor, dry_run, rows: [{row, service_point, account_no, tariff_code, starts_on, ends_on?, tariff_from?, deposit_minor?, billing_day?, opening_bank?: Wh by period of its tariff, "" for all hours}]}. All rows of a place come together.';

create or replace function private.match_agreements(p_rows jsonb) RETURNS TABLE("row" integer, id uuid, service_point text, account_no text, tariff_code text, starts_on date, ends_on date, tariff_from date, deposit_minor bigint, billing_day smallint, point_id uuid, customer_id uuid, currency text, tariff_id uuid, tariff_currency text, known_id uuid, known_customer_id uuid, known_ends_on date, opening_reading_id uuid, closing_reading_id uuid)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with rows as materialized (
        select * from jsonb_to_recordset(p_rows) as x(
            "row" integer, service_point text, account_no text, tariff_code text, starts_on date, ends_on date,
            tariff_from date, deposit_minor bigint, billing_day smallint)
    ), added as materialized (
        -- The rows of one that is new, of a tariff each, have one id.
        select x.service_point, x.starts_on, private.ordered_id() as id
        from (select y.service_point, y.starts_on from rows y group by 1, 2 order by min(y."row")) x
    )
    select x."row", coalesce(a.id, n.id), x.service_point, x.account_no, x.tariff_code, x.starts_on, x.ends_on,
           coalesce(x.tariff_from, x.starts_on), x.deposit_minor, x.billing_day, s.id, c.id, c.currency, t.id, t.currency, a.id, a.customer_id,
           a.ends_on, coalesce(a.opening_reading_id, private.read_at_place(s.id, x.starts_on)),
           coalesce(a.closing_reading_id, private.read_at_place(s.id, x.ends_on))
    from rows x
    left join added n on n.service_point = x.service_point and n.starts_on = x.starts_on
    left join public.service_points s on s.code = x.service_point
    left join public.customers c on c.account_no = x.account_no
    left join public.tariffs t on t.code = x.tariff_code
    left join public.service_agreements a on a.service_point_id = s.id and a.starts_on = x.starts_on
$$;

COMMENT ON FUNCTION private.match_agreements(p_rows jsonb) IS 'Rows of an import beside the places, customers, tariffs, agreements and reads that they name.';

create or replace function public.import_readings(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_added integer;
begin
    perform private.set_actor(p);
    perform private.lock_points_of(array(select (x ->> 'meter_id')::uuid from jsonb_array_elements(p -> 'rows') x));
    -- Stored in order of time: lists of readings are ordered by created_at.
    insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, submitted_by,
                                 validation, created_at, registers)
    select coalesce(x.id, private.ordered_id()), x.meter_id, x.read_at, x.read_on, x.register_wh, coalesce(x.source, 'imported'), x.status,
           p ->> 'actor', coalesce(x.validation, '{}'), clock_timestamp(), coalesce(x.registers, '{}')
    from jsonb_to_recordset(p -> 'rows') as x(
        id uuid, meter_id uuid, read_at timestamptz, read_on date, register_wh bigint, source text,
        status text, validation jsonb, registers jsonb)
    where not exists (
        select 1 from public.readings r
        where r.meter_id = x.meter_id and r.read_on = x.read_on and r.register_wh = x.register_wh
          and r.registers = coalesce(x.registers, '{}')
          -- A read that a person rejected does not come back with the next import of its file.
          and (r.status in ('accepted', 'needs_review') or r.read_at = x.read_at))
    order by x.read_at;
    get diagnostics v_added = row_count;
    return private.import_answer(null, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
exception when unique_violation then
    raise exception using errcode = 'EB003', message = 'Another value was stored for one of these meters at the very same time.';
end $$;

COMMENT ON FUNCTION public.import_readings(p jsonb) IS 'Stores validated reads, unbilled; same meter, local date and values is left as it is: {actor, rows: [{id?, meter_id, read_at, read_on, register_wh, registers?, status, validation, source?}]}.';

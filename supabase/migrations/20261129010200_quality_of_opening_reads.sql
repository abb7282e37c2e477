-- A meter that moves in may begin at a read that was estimated: its quality comes with it, and goes out again.

create or replace view private.export_meters with (security_invoker = 'true') as
 SELECT m.id,
    m.serial,
    m.kind,
    m.dials,
    m.registers,
    i.multiplier_milli,
    r.id AS opening_id,
    r.read_at,
    r.read_on,
    r.register_wh,
    r.registers AS opening_registers,
    s.id AS service_point_id,
    s.code AS service_point,
    c.account_no,
    t.code AS tariff_code,
    private.quality_of_reading(r.source, r.status, r.is_opening, r.supersedes_id, r.decided_at, r.validation) AS opening_quality
   FROM ((((((((public.meters m
     JOIN public.meter_installations i ON (((i.meter_id = m.id) AND (i.removed_at IS NULL))))
     JOIN public.service_points s ON ((s.id = i.service_point_id)))
     LEFT JOIN LATERAL ( SELECT b_1.closing_reading_id
           FROM ((public.service_agreements a_1
             JOIN public.bills b_1 ON (((b_1.agreement_id = a_1.id) AND (b_1.status = 'issued'::text) AND (b_1.meter_id = m.id))))
             JOIN public.readings x ON (((x.id = b_1.closing_reading_id) AND (x.read_at >= i.installed_at))))
          WHERE (a_1.service_point_id = s.id)
          ORDER BY x.read_at DESC
         LIMIT 1) b ON (true))
     JOIN public.readings r ON ((r.id = COALESCE(b.closing_reading_id, i.opening_reading_id))))
     LEFT JOIN public.service_agreements a ON (((a.service_point_id = s.id) AND (a.starts_on <= r.read_on) AND (COALESCE(a.ends_on, 'infinity'::date) > r.read_on))))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
     LEFT JOIN LATERAL ( SELECT y_1.tariff_id
           FROM public.agreement_tariffs y_1
          WHERE (y_1.agreement_id = a.id)
          ORDER BY (y_1.starts_on <= r.read_on) DESC,
                CASE
                    WHEN (y_1.starts_on <= r.read_on) THEN y_1.starts_on
                    ELSE NULL::date
                END DESC, y_1.starts_on
         LIMIT 1) y ON (true))
     LEFT JOIN public.tariffs t ON ((t.id = y.tariff_id)));

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
            select x.id, x.serial, x.kind, x.dials, coalesce(x.registers, '[]')
            from jsonb_to_recordset(p -> 'rows') as x(id uuid, serial text, kind text, dials smallint, registers jsonb)
            on conflict do nothing
            returning id
        ), placed as materialized (
            select x.*, c.id as customer_id, c.address, t.id as tariff_id, g.id as transformer_id,
                   s.id as place_id, coalesce(s.id, md5('service_point/' || x.id)::uuid) as point_id, md5('agreement/' || x.id)::uuid as agreement_id
            from added
            join jsonb_to_recordset(p -> 'rows') as x(
                id uuid, opening_reading_id uuid, serial text, account_no text, tariff_code text, multiplier_milli integer,
                opened_on date, opened_at timestamptz, opening_wh bigint, opening_registers jsonb, transformer_code text,
                connected_w integer, connected_va integer, service_point text, opening_source text, opening_quality smallint) on x.id = added.id
            left join public.service_points s on s.code = x.service_point
            left join public.customers c on c.account_no = x.account_no
            left join public.tariffs t on t.code = x.tariff_code
            left join public.transformers g on g.code = x.transformer_code
        ), of_points as (
            -- Known by the serial of the meter that it came with, unless a place has that code.
            insert into public.service_points (id, code, address, transformer_id, connected_w, connected_va)
            select x.point_id, x.serial || case when s.id is null then '' else '/' || left(x.id::text, 8) end, coalesce(x.address, ''),
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
            select md5('installation/' || x.id)::uuid, x.point_id, x.id, x.opened_at, x.opened_on, x.multiplier_milli,
                   x.opening_reading_id
            from placed x
        ), of_agreements as (
            insert into public.service_agreements (id, service_point_id, customer_id, starts_on, opening_reading_id)
            select x.agreement_id, x.point_id, x.customer_id, x.opened_on, x.opening_reading_id from placed x
            where x.customer_id is not null
        ), of_tariffs as (
            insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
            select md5('agreement_tariff/' || x.id)::uuid, x.agreement_id, x.opened_on, x.tariff_id from placed x
            where x.customer_id is not null
        )
        select count(*) into v_added from added;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

comment on function public.import_meters(p jsonb) IS 'Connects meters, each at a known service point or one of its own and with the agreement of its customer, if it names one, with their opening read, or sets transformer, registers and connected load of known ones: {actor, dry_run, rows: [{row, id, opening_reading_id, serial, account_no, tariff_code, kind, dials, multiplier_milli, opening_wh, opened_on, opened_at, service_point?, transformer_code?, registers?, opening_registers?, unopened?, periods?, connected_w?, connected_va?, opening_source?, opening_quality?: a code of ESPI}]}.';


-- Words of one or two letters where there are many rows.
--
-- Trigrams find no part of two letters within a word, so all rows were read: of 12,000,000 payments
-- for longer than a page may wait. They do find the beginning of a word, however short.

create function private.is_large(p_table text) returns boolean
    language sql stable
    set search_path = ''
    as $$
    select c.reltuples >= 200000 from pg_class c where c.oid = format('public.%I', p_table)::regclass
$$;

comment on function private.is_large(p_table text) is 'Whether a table has so many rows that a list does not read all of them for a word.';

revoke all on function private.is_large(p_table text) from public;
grant all on function private.is_large(p_table text) to service_role;

create or replace function private.share_of_words(p_source jsonb, p_words text[]) RETURNS real
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_rows constant real := (select c.reltuples from pg_class c where c.oid = format('public.%I', p_source ->> 'table')::regclass);
    v_share real;
begin
    -- Of fewer the trigrams answer soon.
    if not private.is_large(p_source ->> 'table') then
        return 0;
    end if;
    execute format('select (count(*) filter (where %s))::real / greatest(count(*), 1) from public.%I x tablesample system (%s) repeatable (1)',
                   private.words_in(p_source, p_words, 'x'), p_source ->> 'table', (200000 / v_rows)::numeric(8, 6)) into v_share;
    return v_share;
end $$;

create or replace function private.has_trigrams(p_source jsonb, p_words text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select exists (select 1 from unnest(private.words_of(p_source, p_words)) w
                   where w ~ case when p_source ? 'begins' then '[[:alnum:]]' else '[[:alnum:]]{3}' end)
$$;

comment on function private.has_trigrams(p_source jsonb, p_words text[]) is 'Whether the index of a source can be entered by one of the words: by three letters or digits in a row, or by one at the beginning of a word.';

create or replace function private.words_in(p_source jsonb, p_words text[], p_alias text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select string_agg(case
               when not p_source ? 'begins' or w ~ '[[:alnum:]]{3}' or w !~ '[[:alnum:]]' then format('%s like %L', t, '%' || l || '%')
               -- Of a pattern with letters from here on the trigrams know nothing.
               when w ~ '[\u0800-\U0010FFFF]' then format('(%1$s like %2$L or %1$s like %3$L)', t, l || '%', '% ' || l || '%')
               -- After a space or a sign of ASCII: of so few they know that a word begins behind them.
               else format('%s ~ %L', t, '(^|[ -/:-@\[-`{-~])' || regexp_replace(w, '([^[:alnum:]])', '\\\1', 'g')) end, ' and ')
    from unnest(private.words_of(p_source, p_words)) w
    cross join lateral (select format(p_source ->> 'text', p_alias) as t,
                               replace(replace(replace(w, '\', '\\'), '%', '\%'), '_', '\_') as l) x
$$;

comment on function private.words_in(p_source jsonb, p_words text[], p_alias text) is 'The condition that a row of a source, under an alias, has all words: anywhere, or where the source says so words of one or two letters at the beginning of a word. Each is a condition of its own, which enters the index.';

create or replace function private.ids_found(p_source jsonb, p_words text[], p_limit integer) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'on'
    SET jit TO 'off'
    AS $$
declare
    v_found uuid[];
begin
    if p_words = '{}' then
        return '{}';
    end if;
    if private.share_of_words(p_source, p_words) > 0.25 then
        -- Sooner met than put together.
        perform set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'off', true);
    elsif not private.has_trigrams(p_source, p_words) then
        perform set_config('enable_seqscan', 'on', true);
    end if;
    -- Planned as if all were wanted: for a few the planner hopes to meet them early on a walk through the table.
    execute format('select array(select f.id from (select x.id from public.%I x where %s offset 0) f limit %s)',
                   p_source ->> 'table', private.words_in(p_source, p_words, 'x'), p_limit) into v_found;
    return v_found;
end $$;

create or replace function private.text_conditions(p jsonb, p_sources jsonb[], p_bill text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_words constant text[] := private.search_words(p ->> 'text');
    v_limit constant integer := greatest(coalesce((p ->> 'count_to')::integer, 0), 1000) + 1;
    -- Words of one or two letters alone are looked for at the beginning of words, which the index knows, and where there are few rows
    -- in the texts themselves.
    v_sources_of constant jsonb[] := array(
        select case when private.is_large(s ->> 'table') and not private.has_trigrams(s, v_words) then s || '{"begins": true}' else s end
        from unnest(p_sources) with ordinality as x (s, place) order by x.place);
    v_within jsonb[] := v_sources_of;
    v_reads constant boolean := exists (
        select 1 from unnest(v_sources_of) s where not s ? 'begins' and not private.has_trigrams(s, v_words));
    v_together boolean := false;
    v_group text[];
    v_named text;
    v_sources jsonb;
    v_all text[] := '{}';
    v_many boolean;
    v_share real;
    v_found jsonb;
begin
    -- Signs alone enter no index.
    if v_words <> '{}' and array_to_string(v_words, '') !~ '[[:alnum:]]' and exists (select 1 from unnest(v_sources_of) s where s ? 'begins') then
        return '{"all": ["false"], "found": {"many": false, "sources": [{"is": "false", "many": false}], "place": 1}, "reads": false}';
    end if;
    if cardinality(v_words) > 1 then
        v_within := array(
            select s from unnest(v_sources_of) s
            where exists (select 1 from unnest(v_words) w
                          where not private.has_trigrams(s, array[w]) or private.is_common(s, array[w])
                             or private.ids_found(s, array[w], 1) <> '{}'));
        -- Words that are all of one table are looked for together: few rows have them all.
        v_together := cardinality(v_within) = 1
            and (p_bill is null or not exists (select 1 from unnest(v_words) w where private.names_a_bill(w, p_bill) <> ''));
    end if;
    for n in 1 .. case when v_together then 1 else cardinality(v_words) end loop
        v_group := case when v_together then v_words else v_words[n:n] end;
        v_named := case when p_bill is not null and not v_together then private.names_a_bill(v_group[1], 'n.number') else '' end;
        v_named := case
            when v_named like '%is not null' then format('(select n.number from public.bills n where n.id = %s) is not null', p_bill)
            -- Found once, by its index.
            when v_named <> '' then format('%s = (select n.id from public.bills n where %s)', p_bill, substr(v_named, 5)) end;
        select coalesce(jsonb_agg(f order by place) filter (where f ->> 'is' <> 'false'), '[{"is": "false", "many": false}]') into v_sources
        from (select s || private.words_found(s, v_group, v_limit, v_reads), place from unnest(v_within) with ordinality as w (s, place)
              union all
              select jsonb_build_object('is', v_named, 'many', v_named like '%is not null'), 99 where v_named is not null) x (f, place);
        v_all := v_all || (select '(' || string_agg(f ->> 'is', ' or ') || ')' from jsonb_array_elements(v_sources) f);
        v_many := exists (select 1 from jsonb_array_elements(v_sources) f where (f ->> 'many')::boolean);
        v_share := case when v_many then (select max(private.share_of_words(s, v_group)) from unnest(v_within) s) end;
        if (v_found is null or (v_found ->> 'many')::boolean and not v_many or v_share < (v_found ->> 'share')::real) and not exists (
                select 1 from jsonb_array_elements(v_sources) f where (f ->> 'many')::boolean and f ->> 'found' is null) then
            v_found := jsonb_build_object('many', v_many, 'share', v_share, 'sources', v_sources, 'place', cardinality(v_all));
        end if;
    end loop;
    return jsonb_build_object('all', v_all, 'found', v_found, 'reads', v_reads);
end $$;

drop function private.customers_found(text[], text, integer);

create function private.customers_found(p_words text[], p_account_no text, p_limit integer) returns uuid[]
    language sql stable
    set search_path = ''
    as $$
    select (array(select x.id from public.customers x where x.account_no = p_account_no)
           || private.ids_found('{"table": "customers", "text": "%1$s.search_text", "begins": true}', p_words, p_limit))[:p_limit]
$$;

comment on function private.customers_found(p_words text[], p_account_no text, p_limit integer) is 'Customers whose search text has all words, or whose account number it is; at most so many.';

revoke all on function private.customers_found(p_words text[], p_account_no text, p_limit integer) from public;
grant all on function private.customers_found(p_words text[], p_account_no text, p_limit integer) to service_role;

drop function private.meters_found(text[], text, integer);

create function private.meters_found(p_words text[], p_serial text, p_limit integer) returns uuid[]
    language sql stable
    set search_path = ''
    as $$
    select (array(select x.id from public.meters x where x.serial = p_serial)
           || private.ids_found('{"table": "meters", "text": "lower(%1$s.serial)", "begins": true}', p_words, p_limit))[:p_limit]
$$;

comment on function private.meters_found(p_words text[], p_serial text, p_limit integer) is 'Meters whose serial has all words, or is the one given; at most so many.';

revoke all on function private.meters_found(p_words text[], p_serial text, p_limit integer) from public;
grant all on function private.meters_found(p_words text[], p_serial text, p_limit integer) to service_role;

drop function private.points_found(text[], text, integer);

create function private.points_found(p_words text[], p_text text, p_limit integer) returns uuid[]
    language sql stable
    set search_path = ''
    as $$
    select (array(select x.id from public.service_points x where x.code = p_text)
           || private.ids_found('{"table": "service_points", "text": "private.point_search_text(%1$s.code, %1$s.address)", "begins": true}', p_words, p_limit)
           || array(select i.service_point_id from public.meter_installations i
                    where i.meter_id = any (private.meters_found(p_words, p_text, p_limit))))[:p_limit]
$$;

comment on function private.points_found(p_words text[], p_text text, p_limit integer) is 'Places whose code and address have all words, whose code it is, or where a meter with such a serial is or was; at most so many.';

revoke all on function private.points_found(p_words text[], p_text text, p_limit integer) from public;
grant all on function private.points_found(p_words text[], p_text text, p_limit integer) to service_role;

create or replace function public.search(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    -- Signs alone enter no index.
    v_words constant text[] := array(
        select w from unnest(private.search_words(private.search_text(p ->> 'text'))) w where w ~ '[[:alnum:]]');
    v_limit constant integer := (p ->> 'limit')::integer;
    v_number constant bigint := (p ->> 'bill_number')::bigint;
    v_minor constant bigint := (p ->> 'amount_minor')::bigint;
    v_key constant text := private.reference_key(p ->> 'text');
    v_named uuid[];
begin
    v_named := array(select m.id from public.meters m
                     where private.identifier_key(m.serial) = private.identifier_key(p ->> 'text') limit v_limit);
    return jsonb_build_object(
        'customers', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', c.id, 'account_no', c.account_no, 'name', c.name, 'address', c.address, 'phone', c.phone)
                order by c.account_no <> p ->> 'text', lower(c.name), c.id), '[]')
            from public.customers c
            where c.id = any (private.customers_found(v_words, p ->> 'text', v_limit)
                              || private.customers_of_meters(v_named, v_limit))),
        'meters', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', m.id, 'serial', m.serial, 'customer_id', m.customer_id, 'account_no', m.account_no,
                'customer_name', m.customer_name, 'address', m.address, 'removed_on', m.removed_on,
                'service_point_code', m.service_point_code) order by m.serial), '[]')
            from public.meter_list m
            where m.id = any (private.meters_found(v_words, p ->> 'text', v_limit))),
        'service_points', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', s.id, 'code', s.code, 'address', s.address, 'meter_serial', s.meter_serial,
                'account_no', s.account_no, 'customer_name', s.customer_name) order by s.code <> p ->> 'text', s.code, s.id), '[]')
            from public.service_point_list s
            where s.id = any (private.points_found(v_words, p ->> 'text', v_limit))),
        'bills', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', b.id, 'number', b.number, 'status', b.status, 'customer_name', b.customer_name,
                'period_start', b.period_start, 'period_end', b.period_end, 'total_minor', b.total_minor,
                'currency', b.currency) order by b.number is distinct from v_number, b.period_end desc, b.id), '[]')
            from public.bill_list b
            where b.id = any (array(
                select k.id from public.bills k where k.number = v_number
                union all
                (select k.id from public.bills k where k.total_minor = v_minor order by k.id desc limit v_limit)
                union all
                select unnest(private.bills_of_meters(v_named, v_limit))))),
        'credit_notes', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', n.id, 'reference', n.reference, 'customer_name', n.customer_name, 'on_date', n.on_date, 'bill_id', n.bill_id,
                'bill_number', n.bill_number, 'total_minor', n.total_minor, 'currency', n.currency) order by n.number), '[]')
            from public.credit_note_list n
            where n.id = any (private.credit_notes_named(p ->> 'text', v_limit))),
        'payments', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', y.id, 'customer_name', y.customer_name, 'reference', y.reference, 'method', y.method,
                'received_on', y.received_on, 'amount_minor', y.amount_minor, 'currency', y.currency)
                order by y.received_on desc, y.id), '[]')
            from public.payment_list y
            where y.id = any (array(
                (select k.id from public.payments k
                 where v_key <> '' and k.reference <> '' and private.reference_key(k.reference) = v_key limit v_limit)
                union
                (select k.id from public.payments k where k.provider_id <> '' and k.provider_id = p ->> 'text' limit v_limit)
                union
                (select k.id from public.payments k where k.amount_minor = v_minor order by k.id desc limit v_limit)))));
end $$;

comment on function public.search(p jsonb) is 'What fits a text: {text, bill_number?, amount_minor?, limit} -> {customers, meters, service_points, bills, credit_notes, payments}, `limit` of each way at most. Customers by parts of account, name, phone, e-mail and address, each word of the text, those of one or two letters at the beginning of a word; meters by parts of the serial, also those that were taken out; service points by parts of code and address, or the serial of a meter that is or was there; bills by their number or total; credit notes by their number; payments by their reference, the provider''s id or the amount. The whole serial of a meter also finds who is supplied by it, or was at its end, and its latest bills.';

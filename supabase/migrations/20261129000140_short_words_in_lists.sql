-- Words of one or two letters, which no trigram index knows, are looked for in the texts that each table is searched by,
-- rather than in those of each row of a list and of all that hangs on it.

create or replace function private.ids_found(p_source jsonb, p_words text[], p_limit integer) returns uuid[]
language plpgsql stable set search_path = '' set enable_seqscan = off set jit = off as $$
declare
    v_found uuid[];
begin
    if not private.has_trigrams(p_source, p_words) then
        perform set_config('enable_seqscan', 'on', true);
    end if;
    -- Planned as if all were wanted: for a few the planner hopes to meet them early on a walk through the table.
    execute format('select array(select f.id from (select x.id from public.%I x where %s offset 0) f limit %s)',
                   p_source ->> 'table', private.words_in(p_source, p_words, 'x'), p_limit) into v_found;
    return v_found;
end $$;

drop function private.words_found(jsonb, text[], integer);
create function private.words_found(p_source jsonb, p_words text[], p_limit integer, p_reads boolean) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_in constant text := private.words_in(p_source, p_words, 'x');
    v_key constant text := p_source ->> 'key';
    v_ids uuid[];
begin
    if p_reads or private.has_trigrams(p_source, p_words) then
        v_ids := private.ids_found(p_source, p_words, p_limit);
        if cardinality(v_ids) < p_limit then
            if p_source ->> 'via' is not null and cardinality(v_ids) > 0 then
                execute format('select array(%s)', p_source ->> 'via') into v_ids using v_ids;
            end if;
            return jsonb_build_object('many', false, 'is', case
                when v_ids = '{}' then 'false' else format('%s = any (%L::uuid[])', p_source ->> 'column', v_ids) end);
        end if;
    end if;
    return jsonb_build_object(
        'many', true,
        'is', case
            when v_key like '%.id' then '(' || private.words_in(p_source, p_words, split_part(v_key, '.', 1)) || ')'
            -- A scalar query: one that exists would be planned as a scan of the whole table.
            else format('coalesce((select %s from public.%I x where x.id = %s), false)', v_in, p_source ->> 'table', v_key) end,
        'found', case when v_ids is not null then format('public.%I x where %s', p_source ->> 'table', v_in) end);
end $$;
comment on function private.words_found(jsonb, text[], integer, boolean) is 'Whether words are in a source of a list''s row: {is: the condition, many: whether more have them than the limit, found: of many where they are found, null if the index cannot tell}. Few are named by their ids. p_reads: what no index can tell is read.';

create or replace function private.text_conditions(p jsonb, p_sources jsonb[], p_bill text) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_words constant text[] := private.search_words(p ->> 'text');
    v_limit constant integer := greatest(coalesce((p ->> 'count_to')::integer, 0), 1000) + 1;
    v_within jsonb[] := p_sources;
    -- Words of one or two letters alone are looked for in the texts themselves.
    v_reads constant boolean := exists (select 1 from unnest(p_sources) s where not private.has_trigrams(s, v_words));
    v_together boolean := false;
    v_group text[];
    v_named text;
    v_sources jsonb;
    v_all text[] := '{}';
    v_many boolean;
    v_found jsonb;
begin
    if cardinality(v_words) > 1 then
        v_within := array(
            select s from unnest(p_sources) s
            where exists (select 1 from unnest(v_words) w
                          where not private.has_trigrams(s, array[w]) or private.ids_found(s, array[w], 1) <> '{}'));
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
        if (v_found is null or (v_found ->> 'many')::boolean and not v_many) and not exists (
                select 1 from jsonb_array_elements(v_sources) f where (f ->> 'many')::boolean and f ->> 'found' is null) then
            v_found := jsonb_build_object('many', v_many, 'sources', v_sources, 'place', cardinality(v_all));
        end if;
    end loop;
    return jsonb_build_object('all', v_all, 'found', v_found, 'reads', v_reads);
end $$;
comment on function private.text_conditions(jsonb, jsonb[], text) is 'What a list is filtered by for its text: {text, count_to}, the sources that each word may be in, and the column of a bill''s id, if a word may be its number -> {all: the conditions; found: of the one that is best found its place and its sources, null if none can be; reads: whether a source must be read for it}.';

drop function private.by_index(text, jsonb);
create function private.by_index(p_statement text, p jsonb, p_reads boolean) returns jsonb
language plpgsql stable set search_path = '' set enable_seqscan = off set jit = off set work_mem = '32MB' as $$
declare
    v_answer jsonb;
begin
    if p_reads then
        perform set_config('enable_seqscan', 'on', true);
    end if;
    execute p_statement into v_answer using p;
    return v_answer;
end $$;
comment on function private.by_index(text, jsonb, boolean) is 'The answer of a statement, in which $1 is p, planned to read no table from end to end unless told so: it stops at a limit that the planner cannot foresee.';
revoke all on function private.words_found(jsonb, text[], integer, boolean), private.by_index(text, jsonb, boolean)
    from public, anon, authenticated;
grant execute on function private.words_found(jsonb, text[], integer, boolean), private.by_index(text, jsonb, boolean) to service_role;

create or replace function private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[], p_text jsonb default null) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_alias constant text := split_part(p_id, '.', 1);
    v_table constant text := split_part(p_source, ' ', 1);
    v_joins constant text := substr(p_source, length(v_table || ' ' || v_alias) + 1);
    v_sources constant jsonb := p_text #> '{found,sources}';
    v_reads constant boolean := coalesce((p_text ->> 'reads')::boolean, false);
    -- So many are found at once: more than are counted.
    v_most constant integer := greatest(coalesce((p ->> 'count_to')::integer, 0), 1000) + 1;
    v_others constant text := array_to_string(array['true'] || array_remove(p_conditions, null), ' and ');
    v_words constant text := coalesce((select string_agg(c, ' and ') from jsonb_array_elements_text(p_text -> 'all') c), 'true');
    v_down constant boolean := (p ->> 'descending')::boolean <> (p ->> 'backwards')::boolean;
    v_order constant text := case when v_down then 'desc' else 'asc' end;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_count_to constant integer := (p ->> 'count_to')::integer;
    -- The first condition is what an index of another table than the id's can be entered by.
    v_beyond constant text := case when p -> 'after' = 'null' then 'true' else format(
        '%%1$s %2$s= ($1 #>> ''{after,0}'')::%1$s'
        ' and (%%1$s, %%2$s) %2$s (($1 #>> ''{after,0}'')::%1$s, ($1 #>> ''{after,1}'')::uuid)',
        p_type, case when v_down then '<' else '>' end) end;
    v_page constant text := format(
        'select coalesce(jsonb_agg(jsonb_build_array(x.key, x.id) order by x.key %1$s, x.id %1$s), ''[]'')'
        ' from (select %%1$s as key, %%2$s as id from %%3$s where %%4$s order by %%1$s %1$s, %%2$s %1$s limit %2$s) x',
        v_order, v_limit + 1);
    -- The rows before their words are looked at, with the key, or so many of them in the list's order.
    v_list constant text := format('(select %1$s.*, %2$s as list_key from %3$s where %4$s%%s) %1$s', v_alias, p_key, p_source, v_others);
    -- What another table may lack is ordered by no index.
    v_is_indexed constant boolean := coalesce(substring(p_key from '^coalesce\((?:lower\()?(\w+)\.'), v_alias) = v_alias;
    v_found text;
    v_found_where text;
    v_few text;
    v_all jsonb;
    v_rows jsonb;
    v_total bigint;
begin
    if v_sources is not null then
        v_found := private.rows_found(v_sources, v_table, v_alias) || v_joins;
        v_found_where := concat_ws(' and ', v_others, (
            select string_agg(c, ' and ') from jsonb_array_elements_text(p_text -> 'all') with ordinality as a (c, place)
            where a.place <> (p_text #>> '{found,place}')::integer));
        v_few := format('select %s as key, %s as id from %s where %s', p_key, p_id, v_found, v_found_where);
        if v_others <> 'true' and (p_text #>> '{found,many}')::boolean and private.by_index(format(
            'select to_jsonb(count(*) < %1$s) from (select 1 from %2$s where %3$s limit %1$s) x', v_most, p_source, v_others), p, false)::boolean
        then
            -- Fewer are left by the other conditions: the words of each are looked at.
            v_few := format('select %1$s.list_key as key, %2$s as id from %3$s where %4$s', v_alias, p_id, format(v_list, ' offset 0'), v_words);
        end if;
    elsif v_others <> 'true' and v_words = 'true' then
        v_few := format('select %s as key, %s as id from %s where %s', p_key, p_id, p_source, v_others);
    end if;
    if v_few is not null then
        v_all := private.by_index(format(
            'with f as materialized (%s limit %s) select jsonb_build_object(''total'', (select count(*) from f), ''rows'', (%s))',
            v_few, v_most, format(v_page, 'f.key', 'f.id', 'f', format(v_beyond, 'f.key', 'f.id'))), p, v_reads);
        v_total := (v_all ->> 'total')::bigint;
    end if;
    if v_total < v_most then
        v_rows := v_all -> 'rows';
    elsif v_sources is null then
        execute format(v_page, p_key, p_id, p_source, concat_ws(' and ', v_others, v_words, format(v_beyond, p_key, p_id))) into v_rows using p;
    else
        -- More than are counted: most words are soon met in the list's order.
        if v_is_indexed then
            v_rows := private.by_index(format(v_page, v_alias || '.list_key', p_id, format(v_list, format(
                ' and %s order by %s %s, %s %s limit %s', format(v_beyond, p_key, p_id), p_key, v_order, p_id, v_order, v_most / 10)), v_words), p, false);
        end if;
        if coalesce(jsonb_array_length(v_rows), 0) <= v_limit then
            v_rows := private.by_index(format(v_page, p_key, p_id, v_found, concat_ws(' and ', v_found_where, format(v_beyond, p_key, p_id))), p, v_reads);
        end if;
    end if;
    if v_count_to > 0 and v_total is null then
        execute format('select count(*) from (select 1 from %s where %s and %s limit %s) x', p_source, v_others, v_words, v_count_to + 1)
        into v_total using p;
    end if;
    return jsonb_build_object(
        'keys', (select coalesce(jsonb_agg(r.key order by r.n * case when (p ->> 'backwards')::boolean then -1 else 1 end), '[]')
                 from jsonb_array_elements(v_rows) with ordinality as r (key, n) where r.n <= v_limit),
        'more', jsonb_array_length(v_rows) > v_limit,
        'total', case when v_count_to > 0 then least(v_total, v_count_to + 1) end);
end $_$;

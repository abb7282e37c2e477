-- A list that is narrowed by a common word stops at a limit that the planner cannot foresee: it goes from row to row by index
-- and builds no hash of a whole table. Where words keep to some days, as a street does whose meters are read and paid
-- together, the list is walked further before all that have the words are sorted.

create or replace function private.by_index(p_statement text, p jsonb, p_reads boolean) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET work_mem TO '32MB'
    AS $$
declare
    v_answer jsonb;
begin
    if p_reads then
        perform set_config('enable_seqscan', 'on', true);
    end if;
    execute p_statement into v_answer using p;
    return v_answer;
end $$;

create or replace function private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[], p_text jsonb DEFAULT NULL::jsonb) RETURNS jsonb
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
    v_looked_at integer;
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
        -- More than are counted: most words are soon met in the list's order, those of a street when its day comes.
        if v_is_indexed then
            foreach v_looked_at in array array[v_most / 10, v_most * 5] loop
                v_rows := private.by_index(format(v_page, v_alias || '.list_key', p_id, format(v_list, format(
                    ' and %s order by %s %s, %s %s limit %s', format(v_beyond, p_key, p_id), p_key, v_order, p_id, v_order, v_looked_at)), v_words), p, false);
                exit when jsonb_array_length(v_rows) > v_limit;
            end loop;
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

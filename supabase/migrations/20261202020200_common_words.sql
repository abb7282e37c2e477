-- A word that every tenth row has was looked up by its trigrams again and again, and a list in which its rows come late was walked,
-- or all of them sorted, for seconds. Whether a word is common is asked of a sample; a list of many rows is looked through for it,
-- 5,000 rows at a time, and says how far it came.

create function private.is_common(p_source jsonb, p_words text[]) returns boolean
    language plpgsql stable set search_path = '' as $$
declare
    v_rows constant real := (select c.reltuples from pg_class c where c.oid = format('public.%I', p_source ->> 'table')::regclass);
    v_common boolean;
begin
    -- Of fewer the trigrams answer soon.
    if v_rows < 200000 then
        return false;
    end if;
    execute format('select count(*) filter (where %s) * 25 > count(*) from public.%I x tablesample system (%s) repeatable (1)',
                   private.words_in(p_source, p_words, 'x'), p_source ->> 'table', (200000 / v_rows)::numeric(8, 6)) into v_common;
    return v_common;
end $$;
comment on function private.is_common(jsonb, text[]) is 'Whether of a sample of some 2,000 rows of a large source more than every 25th has all words.';
revoke all on function private.is_common(jsonb, text[]) from public, anon, authenticated;
grant execute on function private.is_common(jsonb, text[]) to service_role;

create or replace function private.words_found(p_source jsonb, p_words text[], p_limit integer, p_reads boolean) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_in constant text := private.words_in(p_source, p_words, 'x');
    v_key constant text := p_source ->> 'key';
    v_ids uuid[];
begin
    -- Common words are met on a walk, sooner than their trigrams are put together.
    if (p_reads or private.has_trigrams(p_source, p_words)) and not private.is_common(p_source, p_words) then
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

create or replace function private.text_conditions(p jsonb, p_sources jsonb[], p_bill text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
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
        if (v_found is null or (v_found ->> 'many')::boolean and not v_many) and not exists (
                select 1 from jsonb_array_elements(v_sources) f where (f ->> 'many')::boolean and f ->> 'found' is null) then
            v_found := jsonb_build_object('many', v_many, 'sources', v_sources, 'place', cardinality(v_all));
        end if;
    end loop;
    return jsonb_build_object('all', v_all, 'found', v_found, 'reads', v_reads);
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
    -- So many rows are looked at for words that a list of many has here and there.
    v_most_looked_at constant integer := 5000;
    v_found text;
    v_found_where text;
    v_few text;
    v_all jsonb;
    v_rows jsonb;
    v_total bigint;
    v_looked_at integer;
    v_reached jsonb;
begin
    if v_sources is not null then
        v_found := private.rows_found(v_sources, v_table, v_alias) || v_joins;
        v_found_where := concat_ws(' and ', v_others, (
            select string_agg(c, ' and ') from jsonb_array_elements_text(p_text -> 'all') with ordinality as a (c, place)
            where a.place <> (p_text #>> '{found,place}')::integer));
        v_few := format('select %s as key, %s as id from %s where %s', p_key, p_id, v_found, v_found_where);
    end if;
    if v_others <> 'true' and v_words <> 'true' and coalesce((p_text #>> '{found,many}')::boolean, true) and private.by_index(format(
        'select to_jsonb(count(*) < %1$s) from (select 1 from %2$s where %3$s limit %1$s) x', v_most, p_source, v_others), p, false)::boolean
    then
        -- Fewer are left by the other conditions: the words of each are looked at.
        v_few := format('select %1$s.list_key as key, %2$s as id from %3$s where %4$s', v_alias, p_id, format(v_list, ' offset 0'), v_words);
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
    elsif v_words = 'true' then
        if (p_text ->> 'sorts')::boolean then
            -- The list's order would be walked past all others: those that fit are found first, and then sorted.
            v_rows := private.by_index(format(v_page, 'f.key', 'f.id', format('(select %s as key, %s as id from %s where %s offset 0) f',
                p_key, p_id, p_source, v_others), format(v_beyond, 'f.key', 'f.id')), p, false);
        else
            execute format(v_page, p_key, p_id, p_source, concat_ws(' and ', v_others, format(v_beyond, p_key, p_id))) into v_rows using p;
        end if;
    else
        -- More than are counted: most words are soon met in the list's order, those of a street when its day comes.
        if v_is_indexed then
            foreach v_looked_at in array array[v_most_looked_at / 10, v_most_looked_at] loop
                v_rows := private.by_index(format(v_page, v_alias || '.list_key', p_id, format(v_list, format(
                    ' and %s order by %s %s, %s %s limit %s', format(v_beyond, p_key, p_id), p_key, v_order, p_id, v_order, v_looked_at)), v_words), p, false);
                exit when jsonb_array_length(v_rows) > v_limit;
            end loop;
            if jsonb_array_length(v_rows) <= v_limit then
                v_reached := private.by_index(format(
                    'select jsonb_build_array(x.key, x.id) from (select %1$s as key, %2$s as id from %3$s where %4$s'
                    ' order by %1$s %5$s, %2$s %5$s limit 1 offset %6$s) x',
                    p_key, p_id, p_source, concat_ws(' and ', v_others, format(v_beyond, p_key, p_id)), v_order, v_most_looked_at - 1), p, false);
            end if;
        end if;
        if v_sources is not null and (not v_is_indexed or v_reached is not null and private.by_index(format(
            'select to_jsonb(count(*) < %1$s) from (select 1 from %2$s where %3$s limit %1$s) x', v_most_looked_at, v_found, v_found_where), p, v_reads)::boolean)
        then
            v_rows := private.by_index(format(v_page, p_key, p_id, v_found, concat_ws(' and ', v_found_where, format(v_beyond, p_key, p_id))), p, v_reads);
            v_reached := null;
        elsif not v_is_indexed then
            execute format(v_page, p_key, p_id, p_source, concat_ws(' and ', v_others, v_words, format(v_beyond, p_key, p_id))) into v_rows using p;
        end if;
    end if;
    if v_count_to > 0 and v_total is null then
        if v_words = 'true' then
            execute format('select count(*) from (select 1 from %s where %s limit %s) x', p_source, v_others, v_count_to + 1) into v_total using p;
        elsif v_reached is null and p -> 'after' = 'null' and jsonb_array_length(v_rows) <= v_limit then
            -- All of them are on this page; how many more there are of what was met on a walk is not known.
            v_total := jsonb_array_length(v_rows);
        end if;
    end if;
    return jsonb_build_object(
        'keys', (select coalesce(jsonb_agg(r.key order by r.n * case when (p ->> 'backwards')::boolean then -1 else 1 end), '[]')
                 from jsonb_array_elements(v_rows) with ordinality as r (key, n) where r.n <= v_limit),
        'more', jsonb_array_length(v_rows) > v_limit or v_reached is not null,
        'reached', v_reached,
        'total', case when v_count_to > 0 then least(v_total, v_count_to + 1) end);
end $_$;
comment on function private.page_by_key(jsonb, text, text, text, text, text[], jsonb) is 'A page of a list in the order of a key and then the id: {descending, backwards, after: [key, id] or null, limit, count_to}. -> {keys: [[key, id]] in the order asked for, more: whether the list goes on in the direction walked, total: how many there are, count_to + 1 at most, null where that is not known, reached: [key, id] of the row up to which the list was looked through where it may have more, else null}. Backwards without after is the last page. The texts are parts of a statement, in which $1 is p: they come from the functions below only, with every value quoted. p_text are further conditions, as private.text_conditions makes them: what they leave of the list is found by the words, or met on a walk where that is more than is counted; or {sorts: true} where the rows that fit are few among those of the order.';

create or replace function private.page_of_two(p jsonb, p_sources text[], p_id text, p_keys text[], p_type text, p_first text[], p_second text[], p_text jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_down constant boolean := (p ->> 'descending')::boolean <> (p ->> 'backwards')::boolean;
    v_limit constant integer := (p ->> 'limit')::integer;
    -- The part that the walk begins in, and the one that it comes to.
    v_from constant integer := case when p -> 'after' <> 'null' then case when p #>> '{after,0}' in ('', '0') then 1 else 2 end
                                    when v_down then 2 else 1 end;
    v_last constant boolean := v_from = case when v_down then 1 else 2 end;
    v_page jsonb;
    v_other jsonb;
    v_found integer;
begin
    v_page := private.page_by_key(p, p_sources[v_from], p_id, p_keys[v_from], p_type,
                                  case v_from when 1 then p_first else p_second end, p_text);
    v_found := jsonb_array_length(v_page -> 'keys');
    if v_page -> 'reached' <> 'null' then
        -- It is looked through further from there.
        return v_page || '{"total": null}';
    elsif v_last and (p ->> 'count_to')::integer = 0 then
        return v_page;
    end if;
    v_other := private.page_by_key(
        p || jsonb_build_object('after', null, 'limit', case when v_last then 1 else greatest(v_limit - v_found, 1) end),
        p_sources[3 - v_from], p_id, p_keys[3 - v_from], p_type, case v_from when 1 then p_second else p_first end, p_text);
    if not v_last then
        v_page := v_page || jsonb_build_object(
            'keys', case when (v_page ->> 'more')::boolean or v_found = v_limit then v_page -> 'keys'
                         when (p ->> 'backwards')::boolean then v_other -> 'keys' || (v_page -> 'keys')
                         else v_page -> 'keys' || (v_other -> 'keys') end,
            'more', (v_page ->> 'more')::boolean
                or case when v_found = v_limit then v_other -> 'keys' <> '[]' else (v_other ->> 'more')::boolean end,
            'reached', v_other -> 'reached');
    end if;
    return v_page || jsonb_build_object(
        'total', least((v_page ->> 'total')::bigint + (v_other ->> 'total')::bigint, (p ->> 'count_to')::bigint + 1));
end $$;

create or replace function public.list_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.bills b';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[];
    v_text jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'b.customer_id', 'b.customer_id', null),
        private.search_source('meters', 'b.meter_id', 'b.meter_id', null)], 'b.id');
begin
    case p ->> 'sort'
        when 'period' then v_key := 'b.period_end'; v_type := 'date';
        when 'number' then v_key := 'coalesce(b.number, 9223372036854775807)'; v_type := 'bigint';
        when 'total' then v_key := 'b.total_minor'; v_type := 'bigint';
        when 'due' then
            v_type := 'date';
            -- An open bill has its date: those of one are in the order of bills_to_dun.
            v_key := case when p ->> 'status' in ('issued', 'partially_paid') then 'b.due_date' else 'coalesce(b.due_date, ''infinity''::date)' end;
        when 'customer' then
            v_key := 'lower(k.name)'; v_type := 'text';
            v_from := 'public.bills b join public.customers k on k.id = b.customer_id';
    end case;
    v_conditions := array[
        case when p ->> 'ids' is not null then 'b.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'customer_id' is not null then 'b.customer_id = ($1 ->> ''customer_id'')::uuid' end,
        case when p ->> 'ended_after' is not null then 'b.period_end > ($1 ->> ''ended_after'')::date' end,
        case when p ->> 'ended_by' is not null then 'b.period_end <= ($1 ->> ''ended_by'')::date' end,
        case when p ->> 'issued_from' is not null then 'b.issued_on >= ($1 ->> ''issued_from'')::date' end,
        case when p ->> 'issued_to' is not null then 'b.issued_on <= ($1 ->> ''issued_to'')::date' end,
        case p ->> 'status'
            when 'void' then 'b.status = ''void'''
            when 'draft' then 'b.status = ''draft'''
            when 'paid' then 'b.status = ''issued'' and b.amount_paid_minor >= b.total_minor'
            when 'overdue' then 'b.status = ''issued'' and b.amount_paid_minor < b.total_minor and b.overdue_since is not null'
            when 'partially_paid' then 'b.status = ''issued'' and b.amount_paid_minor < b.total_minor and b.overdue_since is null and b.amount_paid_minor > 0'
            when 'issued' then 'b.status = ''issued'' and b.amount_paid_minor < b.total_minor and b.overdue_since is null and b.amount_paid_minor <= 0'
        end];
    if v_text -> 'all' = '[]' and p ->> 'sort' = 'number' and (p ->> 'ended_by')::date - (p ->> 'ended_after')::date <= 31 then
        -- The numbers of a month lie together among those of all others.
        v_text := v_text || '{"sorts": true}';
    end if;
    v_page := private.page_by_key(p, v_from, 'b.id', v_key, v_type, v_conditions, v_text);
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(jsonb_build_object(
            'id', l.id, 'number', l.number, 'status', l.status, 'customer_id', l.customer_id,
            'account_no', l.account_no, 'customer_name', l.customer_name, 'meter_serial', l.meter_serial,
            'tariff_name', l.tariff_name, 'period_start', l.period_start, 'period_end', l.period_end,
            'consumption_wh', l.consumption_wh, 'currency', l.currency, 'total_minor', l.total_minor,
            'amount_paid_minor', l.amount_paid_minor, 'balance_minor', l.balance_minor,
            'issued_on', l.issued_on, 'due_date', l.due_date, 'overdue_since', l.overdue_since) order by array_position(v_ids, l.id)), '[]')
        from public.bill_list l where l.id = any (v_ids)));
end $_$;

create function private.accounts_counted(p_owing boolean, p_to integer) returns bigint
    language plpgsql stable set search_path = '' as $$
begin
    return case when p_to = 0 then null
        when p_owing then (select count(*) from (select 1 from public.accounts a where a.book = 'account' and a.balance_minor > 0 limit p_to + 1) x)
        else (select count(*) from (select 1 from public.customers limit p_to + 1) x) end;
end $$;
comment on function private.accounts_counted(boolean, integer) is 'How many customers there are, or owe something, counted so far and one more; null for a count to 0.';
revoke all on function private.accounts_counted(boolean, integer) from public, anon, authenticated;
grant execute on function private.accounts_counted(boolean, integer) to service_role;

create function private.accounts_by_balance(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' as $_$
declare
    v_down constant boolean := (p ->> 'descending')::boolean <> (p ->> 'backwards')::boolean;
    v_order constant text := case when v_down then 'desc' else 'asc' end;
    v_beyond constant text := case when v_down then '<' else '>' end;
    v_step constant integer := case when v_down then -1 else 1 end;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_owing constant boolean := coalesce((p ->> 'owing_only')::boolean, false);
    v_after jsonb := nullif(p -> 'after', 'null');
    -- Credits, those who owe nothing, those who owe.
    v_sign integer := coalesce(sign((v_after ->> 0)::bigint), -v_step);
    v_rows jsonb := '[]';
    v_found jsonb;
begin
    loop
        if v_sign = 0 and not v_owing then
            execute format($q$
                select coalesce(jsonb_agg(jsonb_build_array(0, x.id) order by x.id %1$s), '[]')
                from (select c.id from public.customers c
                      where ($1 is null or c.id %2$s ($1 ->> 1)::uuid) and not exists (
                          select 1 from public.accounts a where a.customer_id = c.id and a.book = 'account' and a.currency = c.currency and a.balance_minor <> 0)
                      order by c.id %1$s limit %3$s) x $q$, v_order, v_beyond, v_limit + 1) into v_found using v_after;
        elsif v_sign = 1 or v_sign = -1 and not v_owing then
            -- Sorted before their customers are looked up; an account in another currency than its customer's is left out then.
            execute format($q$
                select coalesce(jsonb_agg(jsonb_build_array(x.balance_minor, x.customer_id) order by x.balance_minor %1$s, x.customer_id %1$s), '[]')
                from (select a.balance_minor, a.customer_id
                      from (select y.customer_id, y.currency, y.balance_minor from public.accounts y
                            where y.book = 'account' and y.balance_minor %4$s 0
                              and ($1 is null or (y.balance_minor, y.customer_id) %2$s (($1 ->> 0)::bigint, ($1 ->> 1)::uuid))
                            order by y.balance_minor %1$s, y.customer_id %1$s limit %5$s) a
                      join public.customers c on c.id = a.customer_id and c.currency = a.currency
                      order by a.balance_minor %1$s, a.customer_id %1$s limit %3$s) x $q$,
                v_order, v_beyond, v_limit + 1, case v_sign when 1 then '>' else '<' end, 2 * v_limit + 100) into v_found using v_after;
        else
            v_found := '[]';
        end if;
        v_rows := v_rows || v_found;
        exit when jsonb_array_length(v_rows) > v_limit or v_sign = v_step;
        v_sign := v_sign + v_step;
        v_after := null;
    end loop;
    return jsonb_build_object(
        'keys', (select coalesce(jsonb_agg(r.key order by r.n * case when (p ->> 'backwards')::boolean then -1 else 1 end), '[]')
                 from jsonb_array_elements(v_rows) with ordinality as r (key, n) where r.n <= v_limit),
        'more', jsonb_array_length(v_rows) > v_limit, 'reached', null, 'total', private.accounts_counted(v_owing, (p ->> 'count_to')::integer));
end $_$;
comment on function private.accounts_by_balance(jsonb) is 'A page of the customers by what they owe, all or those who owe: as private.page_by_key.';
revoke all on function private.accounts_by_balance(jsonb) from public, anon, authenticated;
grant execute on function private.accounts_by_balance(jsonb) to service_role;

create or replace function public.list_accounts(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' as $_$
declare
    v_from text := 'public.customers c';
    v_page jsonb;
    v_ids uuid[];
    v_owing constant boolean := coalesce((p ->> 'owing_only')::boolean, false);
    v_sort constant text := p ->> 'sort';
    v_counted boolean;
    v_conditions text[];
    v_balance constant text := ' join public.accounts a on a.customer_id = c.id and a.book = ''account'' and a.currency = c.currency';
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'c.id', 'c.id', null)], null);
begin
    if v_owing then
        v_from := v_from || v_balance;
    end if;
    v_conditions := array[
        case when p ->> 'ids' is not null then 'c.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when v_owing then 'a.balance_minor > 0' end];
    if v_sort = 'overdue' then
        v_counted := v_text -> 'all' = '[]' and p ->> 'ids' is null;
        -- Those who are late with nothing come before all others.
        v_page := private.page_of_two(case when v_counted then p || '{"count_to": 0}' else p end, array[v_from, v_from || ' join public.overdue_accounts u on u.customer_id = c.id and u.currency = c.currency'],
            'c.id', array['0::bigint', 'u.overdue_minor'], 'bigint',
            v_conditions || 'not exists (select 1 from public.overdue_accounts n where n.customer_id = c.id and n.currency = c.currency and n.overdue_minor > 0)'::text,
            v_conditions || 'u.overdue_minor > 0'::text, v_text);
        if v_counted then
            v_page := v_page || jsonb_build_object('total', private.accounts_counted(v_owing, (p ->> 'count_to')::integer));
        end if;
    elsif v_sort = 'balance' and v_text -> 'all' = '[]' and p ->> 'ids' is null then
        v_page := private.accounts_by_balance(p);
    elsif v_sort = 'balance' then
        v_page := private.page_by_key(p, v_from || case when v_owing then '' else ' left' || v_balance end, 'c.id', 'coalesce(a.balance_minor, 0)', 'bigint', v_conditions, v_text);
    else
        v_page := private.page_by_key(p, v_from, 'c.id', case v_sort when 'account' then 'c.account_no' when 'name' then 'lower(c.name)' end, 'text', v_conditions, v_text);
    end if;
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) - 'search' order by array_position(v_ids, l.id)), '[]')
        from public.account_list l where l.id = any (v_ids)));
end $_$;

-- Open bills of the days up to one, of which there may be none.
create index bills_open_since on public.bills (issued_on)
    where status = 'issued' and amount_paid_minor < total_minor and overdue_since is null;
-- payments_recent begins with the same column.
drop index public.payments_received_on;

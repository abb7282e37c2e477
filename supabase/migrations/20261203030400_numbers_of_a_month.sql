-- The bills of a month by number were all of them read and sorted. Where among the numbers a month has any is kept, in blocks of 4,096:
-- most of a month is numbered in one run, and what came late lies in few other blocks.

create table public.bill_number_blocks (
    ended_in date not null check (extract(day from ended_in) = 1),
    block bigint not null,
    primary key (ended_in, block)
);
comment on table public.bill_number_blocks is
    'Which blocks of 4,096 bill numbers have a bill of a month (by the last day of its period); a block stays when its bills are void. Kept with the bills.';
alter table public.bill_number_blocks enable row level security;
revoke all on public.bill_number_blocks from public, anon, authenticated, service_role;
grant select, insert on public.bill_number_blocks to service_role;

create view private.bill_numbers_counted with (security_invoker = true) as
    select distinct date_trunc('month', b.period_end - 1)::date as ended_in, b.number / 4096 as block
    from public.bills b where b.number is not null;
comment on view private.bill_numbers_counted is 'What bill_number_blocks has to have, from all bills.';
revoke all on private.bill_numbers_counted from public, anon, authenticated, service_role;
grant select on private.bill_numbers_counted to service_role;

create function private.keep_bill_number_blocks() returns trigger
    language plpgsql set search_path = '' as $$
begin
    insert into public.bill_number_blocks (ended_in, block)
    select x.ended_in, x.block
    from (select distinct date_trunc('month', n.period_end - 1)::date as ended_in, n.number / 4096 as block
          from new_rows n where n.number is not null) x
    where not exists (select 1 from public.bill_number_blocks k where k.ended_in = x.ended_in and k.block = x.block)
    order by 1, 2
    on conflict do nothing;
    return null;
end $$;
comment on function private.keep_bill_number_blocks() is 'Notes in which blocks of numbers new bills are, and drafts that were numbered.';
create trigger bills_in_number_blocks after insert on public.bills
    referencing new table as new_rows for each statement execute function private.keep_bill_number_blocks();
create trigger numbered_bills_in_blocks after update on public.bills
    referencing new table as new_rows for each statement execute function private.keep_bill_number_blocks();

create function private.number_blocks_of(p jsonb) returns table (first_no bigint, last_no bigint)
    language sql stable set search_path = '' as $$
    select k.block * 4096, k.block * 4096 + 4095 from public.bill_number_blocks k
    where k.ended_in >= date_trunc('month', (p ->> 'ended_after')::date) and k.ended_in < (p ->> 'ended_by')::date
    group by k.block
    union all
    -- Drafts have no number, and come after all that have one.
    select 9223372036854775807, 9223372036854775807
$$;
comment on function private.number_blocks_of(jsonb) is
    'From which number to which the bills of some days lie, block by block: {ended_after, ended_by} as public.list_bills takes them.';

CREATE OR REPLACE FUNCTION private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[], p_text jsonb DEFAULT NULL::jsonb) RETURNS jsonb
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
    v_base boolean;
    v_first_no bigint;
    v_last_no bigint;
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
            -- The list's order would be walked past all others: only where some of those that fit are numbered is it walked.
            v_rows := '[]';
            for v_first_no, v_last_no in select x.first_no, x.last_no from private.number_blocks_of(p) x
                                         where p -> 'after' = 'null' or v_down and x.first_no <= (p #>> '{after,0}')::bigint
                                            or not v_down and x.last_no >= (p #>> '{after,0}')::bigint
                                         order by x.first_no * case when v_down then -1 else 1 end loop
                v_rows := v_rows || private.by_index(format(v_page, p_key, p_id, p_source, concat_ws(' and ', v_others,
                    format('%s between %s and %s', p_key, v_first_no, v_last_no), format(v_beyond, p_key, p_id))), p, false);
                exit when jsonb_array_length(v_rows) > v_limit;
            end loop;
        else
            execute format(v_page, p_key, p_id, p_source, concat_ws(' and ', v_others, format(v_beyond, p_key, p_id))) into v_rows using p;
        end if;
    else
        -- More than are counted: most words are soon met in the list's order, those of a street when its day comes.
        if v_is_indexed then
            -- Where a row of another table says what else is asked for, the rows are looked at before it is looked up.
            v_base := v_joins <> '' and v_others <> 'true' and substring(p_key from '(\w+)\.') = v_alias;
            foreach v_looked_at in array array[v_most_looked_at / 10, v_most_looked_at] loop
                v_looked_at := v_looked_at * case when v_base then 4 else 1 end;
                v_rows := private.by_index(case when v_base then format(v_page, v_alias || '.list_key', p_id, format(
                    '(select %1$s.*, %2$s as list_key from %3$s %1$s where %4$s order by %2$s %5$s, %6$s %5$s limit %7$s) %1$s%8$s',
                    v_alias, p_key, v_table, format(v_beyond, p_key, p_id), v_order, p_id, v_looked_at, v_joins), v_others || ' and ' || v_words)
                else format(v_page, v_alias || '.list_key', p_id, format(v_list, format(
                    ' and %s order by %s %s, %s %s limit %s', format(v_beyond, p_key, p_id), p_key, v_order, p_id, v_order, v_looked_at)), v_words) end, p, false);
                exit when jsonb_array_length(v_rows) > v_limit;
            end loop;
            if jsonb_array_length(v_rows) <= v_limit then
                v_reached := private.by_index(format(
                    'select jsonb_build_array(x.key, x.id) from (select %1$s as key, %2$s as id from %3$s where %4$s'
                    ' order by %1$s %5$s, %2$s %5$s limit 1 offset %6$s) x',
                    p_key, p_id, case when v_base then v_table || ' ' || v_alias else p_source end,
                    concat_ws(' and ', case when not v_base then v_others end, format(v_beyond, p_key, p_id)), v_order, v_looked_at - 1), p, false);
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

alter function private.make_counts() rename to make_counts_of_supply;
create function private.make_counts() returns void
    language plpgsql set search_path = '' as $$
begin
    perform private.make_counts_of_supply();
    insert into public.bill_number_blocks (ended_in, block) select c.ended_in, c.block from private.bill_numbers_counted c
    on conflict do nothing;
end $$;
comment on function private.make_counts() is
    'Counts all agreements and places, compares all drafts and looks where bills are numbered: where they came without their triggers. Nobody changes them meanwhile.';

lock table public.bills in share row exclusive mode;
insert into public.bill_number_blocks (ended_in, block) select c.ended_in, c.block from private.bill_numbers_counted c;

create or replace function private.wrong_sums() returns table (subject text, detail text)
    language plpgsql stable set search_path = '' as $$
begin
    return query select w.* from private.wrong_sums_of_bills() w;
    return query execute format('
        select concat_ws('' '', currency, part, order_on, ''open''),
               format(''%%s in %%s items kept, they come to %%s in %%s'', coalesce(k.open_minor, 0), coalesce(k.items, 0),
                      coalesce(s.open_minor, 0), coalesce(s.items, 0))
        from (select currency, part, order_on, sum(items) as items, sum(open_minor) as open_minor from public.open_totals group by 1, 2, 3) k
        full join (%s) s using (currency, part, order_on)
        where coalesce(k.open_minor, 0) <> coalesce(s.open_minor, 0) or coalesce(k.items, 0) <> coalesce(s.items, 0)',
        private.sums_of_open('select 1 as sign, o.* from public.open_items o where o.open_minor <> 0'));
    return query
        select concat_ws(' ', c.ended_in, c.block, 'numbers'), 'bills of the month have numbers in a block that is not kept'
        from private.bill_numbers_counted c
        where not exists (select 1 from public.bill_number_blocks k where k.ended_in = c.ended_in and k.block = c.block);
end $$;

revoke all on function private.keep_bill_number_blocks(), private.number_blocks_of(jsonb), private.make_counts() from public, anon, authenticated;
grant execute on function private.keep_bill_number_blocks(), private.number_blocks_of(jsonb) to service_role;
revoke execute on function private.make_counts() from service_role;

-- The text filters of lists find rows by trigram indexes, whichever table a word is in.

-- As they were, but in plpgsql, which keeps their plans: they are evaluated for each row that an index proposes.
-- Their cost says that reading an index is cheaper than evaluating them for a whole table.
create or replace function private.search_text(p_text text) returns text
language plpgsql immutable strict set search_path = '' cost 400 as $$
begin
    -- Words as they are abbreviated, so that "Canal Rd." finds "Canal Road" and the other way round.
    return btrim(replace(replace(replace(replace(replace(
        ' ' || translate(lower(normalize(p_text, NFKC)), '.,;', '   ') || ' ',
        ' road ', ' rd '), ' street ', ' st '), ' avenue ', ' ave '), ' lane ', ' ln '), ' apartment ', ' apt '));
end $$;

create or replace function private.customer_search_text(
    p_account_no text, p_name text, p_phone text, p_email text, p_address text) returns text
language plpgsql immutable set search_path = '' cost 1000 as $$
begin
    -- The phone twice: as it is written, and its digits alone.
    return private.search_text(coalesce(p_account_no, '') || ' ' || coalesce(p_name, '') || ' ' || coalesce(p_phone, '') || ' '
        || regexp_replace(coalesce(p_phone, ''), '[^0-9]', '', 'g') || ' ' || coalesce(p_email, '') || ' ' || coalesce(p_address, ''));
end $$;

create function private.place_search_text(p_code text, p_address text, p_route text) returns text
language plpgsql immutable set search_path = '' cost 1000 as $$
begin
    return lower(p_code || ' ' || p_address || ' ' || p_route);
end $$;
revoke all on function private.place_search_text(text, text, text) from public;
grant execute on function private.place_search_text(text, text, text) to service_role;

do $$
declare
    v_schema text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm');
begin
    -- Without the extension a search reads the table.
    if v_schema is not null then
        execute format('create index service_points_search on public.service_points using gin (private.place_search_text(code, address, route) %I.gin_trgm_ops)', v_schema);
    end if;
end $$;

create function private.payment_search_text(p_reference text, p_provider_id text) returns text
language plpgsql immutable set search_path = '' cost 1000 as $$
begin
    return lower(p_reference || ' ' || coalesce(p_provider_id, ''));
end $$;
revoke all on function private.payment_search_text(text, text) from public;
grant execute on function private.payment_search_text(text, text) to service_role;

do $$
declare
    v_schema text := (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm');
begin
    -- Without the extension a search reads the table.
    if v_schema is not null then
        execute format('create index payments_search on public.payments using gin (private.payment_search_text(reference, provider_id) %I.gin_trgm_ops)', v_schema);
    end if;
end $$;

create function private.search_source(p_table text, p_column text, p_key text, p_via text) returns jsonb
language sql immutable set search_path = '' as $$
    select jsonb_build_object(
        'table', p_table, 'column', p_column, 'key', p_key, 'via', p_via,
        'text', case p_table
            when 'customers' then 'private.customer_search_text(x.account_no, x.name, x.phone, x.email, x.address)'
            when 'meters' then 'lower(x.serial)'
            when 'service_points' then 'private.place_search_text(x.code, x.address, x.route)'
            when 'payments' then 'private.payment_search_text(x.reference, x.provider_id)' end)
$$;
comment on function private.search_source(text, text, text, text) is 'A table in which a list looks for words: p_column of the list has the found ids, or what p_via selects with them as $1; p_key is the id that a row of the list leads to.';
revoke all on function private.search_source(text, text, text, text) from public;
grant execute on function private.search_source(text, text, text, text) to service_role;

create function private.words_in(p_source jsonb, p_words text[]) returns text
language sql immutable set search_path = '' as $$
    -- Addresses of customers are searched with their common words abbreviated.
    select string_agg(format('%s like %L', p_source ->> 'text',
               '%' || replace(replace(replace(s.word, '\', '\\'), '%', '\%'), '_', '\_') || '%'), ' and ')
    from unnest(p_words) w
    cross join lateral (
        select case when p_source ->> 'table' = 'customers' then coalesce(nullif(private.search_text(w), ''), w) else w end) s (word)
$$;
comment on function private.words_in(jsonb, text[]) is 'The condition that a row x of a source has all words.';
revoke all on function private.words_in(jsonb, text[]) from public;
grant execute on function private.words_in(jsonb, text[]) to service_role;

create function private.ids_found(p_source jsonb, p_words text[], p_limit integer) returns uuid[]
language plpgsql stable set search_path = '' as $$
declare
    v_found uuid[];
begin
    -- Planned as if all were wanted: for a few the planner hopes to meet them early on a walk through the table.
    execute format('with found as materialized (select x.id from public.%I x where %s) select array(select f.id from found f limit %s)',
                   p_source ->> 'table', private.words_in(p_source, p_words), p_limit) into v_found;
    return v_found;
end $$;
comment on function private.ids_found(jsonb, text[], integer) is 'The ids of a source''s rows that have all words, so many at most.';
revoke all on function private.ids_found(jsonb, text[], integer) from public;
grant execute on function private.ids_found(jsonb, text[], integer) to service_role;

create function private.words_found(p_source jsonb, p_words text[], p_limit integer) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_ids uuid[];
    v_many boolean := true;
    v_some text;
begin
    -- The index knows nothing of words of less than three letters.
    if exists (select 1 from unnest(p_words) w where length(w) >= 3) then
        v_ids := private.ids_found(p_source, p_words, p_limit);
        v_many := cardinality(v_ids) >= p_limit;
        if p_source ->> 'via' is not null and cardinality(v_ids) > 0 then
            execute format('select array(%s)', p_source ->> 'via') into v_ids using v_ids;
        end if;
        v_some := case when v_ids = '{}' then 'false' else format('%s = any (%L::uuid[])', p_source ->> 'column', v_ids) end;
    end if;
    return jsonb_build_object('some', v_some, 'all', case
        when not v_many then v_some
        -- A scalar query: one that exists would be planned as a scan of the whole table.
        else format('coalesce((select %s from public.%I x where x.id = %s), false)',
                    private.words_in(p_source, p_words), p_source ->> 'table', p_source ->> 'key') end);
end $$;
comment on function private.words_found(jsonb, text[], integer) is 'The conditions of a list''s row for words in one source: {all, some: of those that were found up to the limit, null if the index cannot tell}. Few are named by their ids; of many each row is looked at, which soon fills a page.';
revoke all on function private.words_found(jsonb, text[], integer) from public;
grant execute on function private.words_found(jsonb, text[], integer) to service_role;

create function private.text_conditions(p jsonb, p_sources jsonb[], p_bill text) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_words constant text[] := private.search_words(p ->> 'text');
    v_limit constant integer := greatest(coalesce((p ->> 'count_to')::integer, 0), 1000) + 1;
    v_within jsonb[] := p_sources;
    v_together boolean := false;
    v_group text[];
    v_named text;
    v_all text[] := '{}';
    v_some text[] := '{}';
begin
    if cardinality(v_words) > 1 then
        v_within := array(
            select s from unnest(p_sources) s
            where exists (select 1 from unnest(v_words) w where length(w) < 3 or private.ids_found(s, array[w], 1) <> '{}'));
        -- Words that are all of one table are looked for together: few rows have them all.
        v_together := cardinality(v_within) = 1
            and (p_bill is null or not exists (select 1 from unnest(v_words) w where private.names_a_bill(w, p_bill) <> ''));
    end if;
    for n in 1 .. case when v_together then 1 else cardinality(v_words) end loop
        v_group := case when v_together then v_words else v_words[n:n] end;
        v_named := case when p_bill is not null and not v_together then private.names_a_bill(v_group[1], 'n.number') else '' end;
        v_named := case
            when v_named like '%is not null' then format(' or (select n.number from public.bills n where n.id = %s) is not null', p_bill)
            -- Found once, by its index.
            when v_named <> '' then format(' or %s = (select n.id from public.bills n where %s)', p_bill, substr(v_named, 5))
            else '' end;
        select v_all || ('(' || coalesce(string_agg(f ->> 'all', ' or '), 'false') || v_named || ')'),
               v_some || ('(' || coalesce(string_agg(f ->> 'some', ' or '), 'false') || v_named || ')')
        into v_all, v_some
        from unnest(v_within) s cross join lateral private.words_found(s, v_group, v_limit) f;
    end loop;
    return jsonb_build_object('all', v_all, 'some', v_some);
end $$;
comment on function private.text_conditions(jsonb, jsonb[], text) is 'What a list is filtered by for its text: {text, count_to}, the sources that each word may be in, and the column of a bill''s id, if a word may be its number -> {all: the conditions, some: such as fewer rows fulfil, and are quicker counted}.';
revoke all on function private.text_conditions(jsonb, jsonb[], text) from public;
grant execute on function private.text_conditions(jsonb, jsonb[], text) to service_role;

-- With a default for those that have no such conditions.
drop function private.page_by_key(jsonb, text, text, text, text, text[]);

create function private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[], p_text jsonb default null) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_others constant text := array_to_string(array['true'] || array_remove(p_conditions, null), ' and ');
    v_where constant text := v_others || coalesce((select string_agg(' and ' || c, '') from jsonb_array_elements_text(p_text -> 'all') c), '');
    v_some constant text := v_others || coalesce((select string_agg(' and ' || c, '') from jsonb_array_elements_text(p_text -> 'some') c), '');
    v_counted text;
    v_down constant boolean := (p ->> 'descending')::boolean <> (p ->> 'backwards')::boolean;
    v_order constant text := case when v_down then 'desc' else 'asc' end;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_beyond text := '';
    v_rows jsonb;
    v_total bigint;
begin
    if p -> 'after' <> 'null' then
        -- The first condition is what an index of another table than the id's can be entered by.
        v_beyond := format(
            ' and %1$s %4$s= ($1 #>> ''{after,0}'')::%3$s'
            ' and (%1$s, %2$s) %4$s (($1 #>> ''{after,0}'')::%3$s, ($1 #>> ''{after,1}'')::uuid)',
            p_key, p_id, p_type, case when v_down then '<' else '>' end);
    end if;
    execute format(
        'select coalesce(jsonb_agg(jsonb_build_array(x.key, x.id) order by x.key %1$s, x.id %1$s), ''[]'')'
        ' from (select %2$s as key, %3$s as id from %4$s where %5$s%6$s order by %2$s %1$s, %3$s %1$s limit %7$s) x',
        v_order, p_key, p_id, p_source, v_where, v_beyond, v_limit + 1)
    into v_rows using p;
    if (p ->> 'count_to')::integer > 0 then
        -- Where those that are quickly found are more than are counted, the others need not be looked at.
        foreach v_counted in array array[nullif(v_some, v_where), v_where] loop
            continue when v_counted is null;
            execute format('select count(*) from (select 1 from %s where %s limit %s) x',
                           p_source, v_counted, (p ->> 'count_to')::integer + 1)
            into v_total using p;
            exit when v_total > (p ->> 'count_to')::integer;
        end loop;
    end if;
    return jsonb_build_object(
        'keys', (select coalesce(jsonb_agg(r.key order by r.n * case when (p ->> 'backwards')::boolean then -1 else 1 end), '[]')
                 from jsonb_array_elements(v_rows) with ordinality as r (key, n) where r.n <= v_limit),
        'more', jsonb_array_length(v_rows) > v_limit,
        'total', v_total);
end $_$;
comment on function private.page_by_key(jsonb, text, text, text, text, text[], jsonb) is 'A page of a list in the order of a key and then the id: {descending, backwards, after: [key, id] or null, limit, count_to}. -> {keys: [[key, id]] in the order asked for, more: whether the list goes on in the direction walked, total: how many there are, count_to + 1 at most}. Backwards without after is the last page. The texts are parts of a statement, in which $1 is p: they come from the functions below only, with every value quoted. p_text are further conditions, as private.text_conditions makes them.';
revoke all on function private.page_by_key(jsonb, text, text, text, text, text[], jsonb) from public;
grant execute on function private.page_by_key(jsonb, text, text, text, text, text[], jsonb) to service_role;

create or replace function public.list_accounts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.customers c';
    v_key text;
    v_type text := 'bigint';
    v_page jsonb;
    v_ids uuid[];
    v_owing constant boolean := coalesce((p ->> 'owing_only')::boolean, false);
    v_conditions text[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'c.id', 'c.id', null)], null);
begin
    if v_owing or p ->> 'sort' = 'balance' then
        v_from := v_from || ' left join public.accounts a on a.customer_id = c.id and a.book = ''account'' and a.currency = c.currency';
    end if;
    case p ->> 'sort'
        when 'account' then v_key := 'c.account_no'; v_type := 'text';
        when 'name' then v_key := 'lower(c.name)'; v_type := 'text';
        when 'balance' then v_key := 'coalesce(a.balance_minor, 0)';
        when 'overdue' then
            v_key := 'coalesce(u.overdue_minor, 0)';
            v_from := v_from || ' left join (select b.customer_id, sum(b.total_minor - b.amount_paid_minor)::bigint as overdue_minor'
                ' from public.bills b where b.status = ''issued'' and b.overdue_since is not null and b.amount_paid_minor < b.total_minor'
                ' group by b.customer_id) u on u.customer_id = c.id';
    end case;
    v_conditions := array[
        case when p ->> 'ids' is not null then 'c.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when v_owing then 'a.balance_minor > 0' end];
    v_page := private.page_by_key(p, v_from, 'c.id', v_key, v_type, v_conditions, v_text);
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) - 'search' order by array_position(v_ids, l.id)), '[]')
        from public.account_list l where l.id = any (v_ids)));
end $_$;

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
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'b.customer_id', 'b.customer_id', null),
        private.search_source('meters', 'b.meter_id', 'b.meter_id', null)], 'b.id');
begin
    case p ->> 'sort'
        when 'period' then v_key := 'b.period_end'; v_type := 'date';
        when 'number' then v_key := 'coalesce(b.number, 9223372036854775807)'; v_type := 'bigint';
        when 'total' then v_key := 'b.total_minor'; v_type := 'bigint';
        when 'due' then v_key := 'coalesce(b.due_date, ''infinity''::date)'; v_type := 'date';
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

create or replace function public.list_payments(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.payments y';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'y.customer_id', 'y.customer_id', null),
        private.search_source('payments', 'y.id', 'y.id', null)], 'y.bill_id');
begin
    case p ->> 'sort'
        when 'received' then v_key := 'y.received_on'; v_type := 'date';
        when 'amount' then v_key := 'y.amount_minor'; v_type := 'bigint';
        when 'customer' then
            v_key := 'coalesce(lower(k.name), '''')'; v_type := 'text';
            v_from := 'public.payments y left join public.customers k on k.id = y.customer_id';
    end case;
    v_conditions := array[
        case when p ->> 'ids' is not null then 'y.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'customer_id' is not null then 'y.customer_id = ($1 ->> ''customer_id'')::uuid' end,
        case when p ->> 'received_from' is not null then 'y.received_on >= ($1 ->> ''received_from'')::date' end,
        case when p ->> 'received_to' is not null then 'y.received_on <= ($1 ->> ''received_to'')::date' end,
        -- What leaves few to be looked at; the status itself is said by the view alone.
        case p ->> 'status'
            when 'unidentified' then 'y.customer_id is null'
            when 'returned' then 'y.id in (select x.payment_id from public.payment_returns x)'
            when 'deposit' then 'y.book = ''deposit'''
            when 'unapplied' then 'y.id in (select e.payment_id from public.open_items o join public.ledger_entries e on e.id = o.entry_id where o.open_minor < 0)'
            when 'partly_applied' then 'y.id in (select e.payment_id from public.open_items o join public.ledger_entries e on e.id = o.entry_id where o.open_minor < 0)'
        end,
        case when p ->> 'status' is not null
            then '(select s.status from public.payment_list s where s.id = y.id) = $1 ->> ''status''' end];
    v_page := private.page_by_key(p, v_from, 'y.id', v_key, v_type, v_conditions, v_text);
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) - 'search' order by array_position(v_ids, l.id)), '[]')
        from public.payment_list l where l.id = any (v_ids)));
end $_$;

create or replace function public.list_service_points(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('service_points', 's.id', 's.id', null),
        private.search_source('meters', 's.id', '(select i.meter_id from public.meter_installations i where i.service_point_id = s.id and i.removed_at is null)', 'select i.service_point_id from public.meter_installations i where i.removed_at is null and i.meter_id = any ($1)'),
        private.search_source('customers', 's.id', '(select a.customer_id from public.service_agreements a where a.service_point_id = s.id and a.ends_on is null)', 'select a.service_point_id from public.service_agreements a where a.ends_on is null and a.customer_id = any ($1)')], null);
begin
    v_conditions := array[
        case when p ->> 'ids' is not null then 's.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when coalesce((p ->> 'vacant_only')::boolean, false) then
            'not exists (select 1 from public.service_agreements a where a.service_point_id = s.id and a.ends_on is null)' end,
        case when coalesce((p ->> 'disconnected_only')::boolean, false) then
            's.id in (select a.service_point_id from public.disconnections d join public.service_agreements a on a.id = d.agreement_id'
            ' where d.reconnected_on is null and not d.withdrawn and a.ends_on is null)' end,
        case when coalesce((p ->> 'vacant_with_use')::boolean, false) then
            's.id in (select u.service_point_id from public.unbilled_use_list u where u.until is null and u.wh > 0)' end,
        case when coalesce((p ->> 'never_read')::boolean, false) then
            's.id in (select r.service_point_id from public.latest_reads r where r.is_first)' end,
        -- The day as a value of its own, so that the planner knows how many places there are.
        case when p ->> 'last_read_by' is not null then format(
            's.id in (select r.service_point_id from public.latest_reads r where r.read_on <= %L)', (p ->> 'last_read_by')::date) end];
    v_page := private.page_by_key(p, 'public.service_points s', 's.id', 's.code', 'text', v_conditions, v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.service_point_list l where l.id = any (v_ids)));
end $_$;

comment on function public.list_service_points(jsonb) is 'A page of the service points by code: {text?, vacant_only?, disconnected_only?, vacant_with_use?, never_read?, last_read_by?: a local date, ids?, sort: code, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the code, the address, the route, the meter''s serial, or of what a search finds its customer by.';
comment on function public.list_accounts(jsonb) is 'A page of the customers with what they owe: {text?, owing_only?, ids?, sort: account|name|balance|overdue, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of what a search finds customers by: the account number, name, phone, e-mail or address.';
comment on function public.list_bills(jsonb) is 'A page of the bills without their lines: {text?, status?, ended_after?, ended_by?, issued_from?, issued_to?, customer_id?, ids?, sort: period|number|customer|total|due, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of what a search finds its customer by, or of the meter''s serial, or the whole number of the bill. A draft, which has no number and no due date, comes after all that have one.';
comment on function public.list_payments(jsonb) is 'A page of the payments: {text?, status?, received_from?, received_to?, customer_id?, ids?, sort: received|amount|customer, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of what a search finds its customer by, or of the reference or the provider''s id, or the whole number of the bill. A payment of nobody known sorts before all names.';

create function public.find_meters(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $_$
declare
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('meters', 'm.id', 'm.id', null),
        private.search_source('service_points', 'm.id',
            '(select i.service_point_id from public.meter_installations i where i.meter_id = m.id order by i.installed_at desc limit 1)',
            'select i.meter_id from public.meter_installations i where i.service_point_id = any ($1) and not exists ('
            ' select 1 from public.meter_installations l where l.meter_id = i.meter_id and l.installed_at > i.installed_at)'),
        private.search_source('customers', 'm.id',
            '(select a.customer_id from public.meter_installations i join public.service_agreements a on a.service_point_id = i.service_point_id'
            ' where i.meter_id = m.id and i.removed_at is null and a.ends_on is null)',
            'select i.meter_id from public.meter_installations i join public.service_agreements a on a.service_point_id = i.service_point_id'
            ' where a.customer_id = any ($1) and i.removed_at is null and a.ends_on is null')], null);
    v_page jsonb;
    v_ids uuid[];
begin
    v_page := private.page_by_key(
        p || '{"descending": false, "backwards": false, "after": null, "count_to": 0}', 'public.meters m', 'm.id', 'm.serial', 'text',
        array[case when not coalesce((p ->> 'also_removed')::boolean, false) then
            'exists (select 1 from public.meter_installations i where i.meter_id = m.id and i.removed_at is null)' end],
        v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return jsonb_build_object('meters', (
        select coalesce(jsonb_agg(to_jsonb(l) - 'search' order by l.serial), '[]') from public.meter_list l where l.id = any (v_ids)));
end $_$;
comment on function public.find_meters(p jsonb) is 'Meters by serial: {text, also_removed?, limit} -> {meters: rows of meter_list}. Each word of the text is part of the serial, of the place''s code, address or route, or of what a search finds its customer by.';
revoke all on function public.find_meters(jsonb) from public;
grant execute on function public.find_meters(jsonb) to service_role;

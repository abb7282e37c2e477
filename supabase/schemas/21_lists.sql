-- Lists: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE FUNCTION private.search_text(p_text text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO ''
    AS $$
    -- Words as they are abbreviated, so that "Canal Rd." finds "Canal Road" and the other way round.
    select btrim(replace(replace(replace(replace(replace(
        ' ' || translate(lower(normalize(p_text, NFKC)), '.,;', '   ') || ' ',
        ' road ', ' rd '), ' street ', ' st '), ' avenue ', ' ave '), ' lane ', ' ln '), ' apartment ', ' apt '))
$$;

COMMENT ON FUNCTION private.search_text(p_text text) IS 'A text as it is searched and searched for: lower case, common words of addresses abbreviated.';

REVOKE ALL ON FUNCTION private.search_text(p_text text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.search_text(p_text text) TO service_role;

CREATE FUNCTION private.customer_search_text(p_account_no text, p_name text, p_phone text, p_email text, p_address text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    -- The phone twice: as it is written, and its digits alone.
    select private.search_text(coalesce(p_account_no, '') || ' ' || coalesce(p_name, '') || ' ' || coalesce(p_phone, '') || ' '
        || regexp_replace(coalesce(p_phone, ''), '[^0-9]', '', 'g') || ' ' || coalesce(p_email, '') || ' ' || coalesce(p_address, ''))
$$;

CREATE INDEX customers_search ON public.customers USING gin (private.customer_search_text(account_no, name, phone, email, address) extensions.gin_trgm_ops);

REVOKE ALL ON FUNCTION private.customer_search_text(p_account_no text, p_name text, p_phone text, p_email text, p_address text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.customer_search_text(p_account_no text, p_name text, p_phone text, p_email text, p_address text) TO service_role;

CREATE FUNCTION public.list_bills(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.bills b';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[] := array(
        select format(
            '(b.customer_id in (select c.id from public.customers c where strpos(lower(concat_ws('' '', c.account_no, c.name)), %1$L) > 0)'
            ' or b.meter_id in (select m.id from public.meters m where strpos(lower(m.serial), %1$L) > 0)%2$s)',
            w, private.names_a_bill(w, 'b.number'))
        from unnest(private.search_words(p ->> 'text')) w);
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
    v_conditions := v_conditions || array[
        case when p ->> 'ids' is not null then 'b.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
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
    v_page := private.page_by_key(p, v_from, 'b.id', v_key, v_type, v_conditions);
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

COMMENT ON FUNCTION public.list_bills(p jsonb) IS 'A page of the bills without their lines: {text?, status?, ended_after?, ended_by?, issued_from?, issued_to?, ids?, sort: period|number|customer|total|due, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the account number, the customer''s name or the meter''s serial, or the whole number of the bill. A draft, which has no number and no due date, comes after all that have one.';

REVOKE ALL ON FUNCTION public.list_bills(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_bills(p jsonb) TO service_role;

CREATE FUNCTION public.list_accounts(p jsonb) RETURNS jsonb
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
    v_conditions text[] := array(
        select format('strpos(lower(concat_ws('' '', c.account_no, c.name, c.address, c.phone)), %L) > 0', w)
        from unnest(private.search_words(p ->> 'text')) w);
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
    v_conditions := v_conditions || array[
        case when p ->> 'ids' is not null then 'c.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when v_owing then 'a.balance_minor > 0' end];
    v_page := private.page_by_key(p, v_from, 'c.id', v_key, v_type, v_conditions);
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) - 'search' order by array_position(v_ids, l.id)), '[]')
        from public.account_list l where l.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_accounts(p jsonb) IS 'A page of the customers with what they owe: {text?, owing_only?, ids?, sort: account|name|balance|overdue, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the account number, name, address or phone.';

REVOKE ALL ON FUNCTION public.list_accounts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_accounts(p jsonb) TO service_role;

CREATE FUNCTION public.list_payments(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.payments y';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[] := array(
        select format(
            '(y.customer_id in (select c.id from public.customers c where strpos(lower(concat_ws('' '', c.account_no, c.name)), %1$L) > 0)'
            ' or strpos(lower(concat_ws('' '', y.reference, y.provider_id)), %1$L) > 0%2$s)',
            w, private.names_a_bill(w, '(select b.number from public.bills b where b.id = y.bill_id)'))
        from unnest(private.search_words(p ->> 'text')) w);
begin
    case p ->> 'sort'
        when 'received' then v_key := 'y.received_on'; v_type := 'date';
        when 'amount' then v_key := 'y.amount_minor'; v_type := 'bigint';
        when 'customer' then
            v_key := 'coalesce(lower(k.name), '''')'; v_type := 'text';
            v_from := 'public.payments y left join public.customers k on k.id = y.customer_id';
    end case;
    v_conditions := v_conditions || array[
        case when p ->> 'ids' is not null then 'y.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
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
    v_page := private.page_by_key(p, v_from, 'y.id', v_key, v_type, v_conditions);
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) - 'search' order by array_position(v_ids, l.id)), '[]')
        from public.payment_list l where l.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_payments(p jsonb) IS 'A page of the payments: {text?, status?, received_from?, received_to?, ids?, sort: received|amount|customer, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the account number, the customer''s name, the reference or the provider''s id, or the whole number of the bill. A payment of nobody known sorts before all names.';

REVOKE ALL ON FUNCTION public.list_payments(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_payments(p jsonb) TO service_role;

CREATE FUNCTION private.search_words(p_text text) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select coalesce(array_agg(w), '{}')
    from (select w from regexp_split_to_table(lower(btrim(p_text)), '\s+') w where w <> '' limit 6) words
$$;

COMMENT ON FUNCTION private.search_words(p_text text) IS 'The words that a search looks for, at most six; all must be found.';

REVOKE ALL ON FUNCTION private.search_words(p_text text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.search_words(p_text text) TO service_role;

CREATE FUNCTION private.names_a_bill(p_word text, p_column text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $_$
    select case
        when p_word ~ '^inv-?0*$' then format(' or %s is not null', p_column)
        when p_word ~ '^(inv-?)?0*[1-9][0-9]{0,14}$'
            then format(' or %s = %s', p_column, substring(p_word from '[1-9][0-9]*$'))
        else ''
    end
$_$;

COMMENT ON FUNCTION private.names_a_bill(p_word text, p_column text) IS 'The further condition that a word of a search is a bill''s whole number, as INV-000117 or 117; empty if it cannot be.';

REVOKE ALL ON FUNCTION private.names_a_bill(p_word text, p_column text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.names_a_bill(p_word text, p_column text) TO service_role;

CREATE FUNCTION private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_where constant text := array_to_string(array['true'] || array_remove(p_conditions, null), ' and ');
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
        execute format('select count(*) from (select 1 from %s where %s limit %s) x',
                       p_source, v_where, (p ->> 'count_to')::integer + 1)
        into v_total using p;
    end if;
    return jsonb_build_object(
        'keys', (select coalesce(jsonb_agg(r.key order by r.n * case when (p ->> 'backwards')::boolean then -1 else 1 end), '[]')
                 from jsonb_array_elements(v_rows) with ordinality as r (key, n) where r.n <= v_limit),
        'more', jsonb_array_length(v_rows) > v_limit,
        'total', v_total);
end $_$;

COMMENT ON FUNCTION private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[]) IS 'A page of a list in the order of a key and then the id: {descending, backwards, after: [key, id] or null, limit, count_to}. -> {keys: [[key, id]] in the order asked for, more: whether the list goes on in the direction walked, total: how many there are, count_to + 1 at most}. Backwards without after is the last page. The texts are parts of a statement, in which $1 is p: they come from the functions below only, with every value quoted.';

REVOKE ALL ON FUNCTION private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[]) TO service_role;

CREATE FUNCTION public.list_service_points(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_page jsonb;
    v_ids uuid[];
    v_conditions text[] := array(
        select format(
            '(strpos(lower(concat_ws('' '', s.code, s.address, s.route)), %1$L) > 0'
            ' or s.id in (select i.service_point_id from public.meter_installations i join public.meters m on m.id = i.meter_id'
            ' where i.removed_at is null and strpos(lower(m.serial), %1$L) > 0)'
            ' or s.id in (select a.service_point_id from public.service_agreements a join public.customers c on c.id = a.customer_id'
            ' where a.ends_on is null and strpos(lower(concat_ws('' '', c.account_no, c.name)), %1$L) > 0))', w)
        from unnest(private.search_words(p ->> 'text')) w);
begin
    v_conditions := v_conditions || array[
        case when p ->> 'ids' is not null then 's.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when coalesce((p ->> 'vacant_only')::boolean, false) then
            'not exists (select 1 from public.service_agreements a where a.service_point_id = s.id and a.ends_on is null)' end];
    v_page := private.page_by_key(p, 'public.service_points s', 's.id', 's.code', 'text', v_conditions);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.service_point_list l where l.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_service_points(p jsonb) IS 'A page of the service points by code: {text?, vacant_only?, ids?, sort: code, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the code, the address, the route, the meter''s serial, or the account number or name of who is supplied now.';

REVOKE ALL ON FUNCTION public.list_service_points(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_service_points(p jsonb) TO service_role;

CREATE FUNCTION public.search(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_words constant text[] := private.search_words(private.search_text(p ->> 'text'));
    v_patterns text[];
    v_limit constant integer := (p ->> 'limit')::integer;
    v_number constant bigint := (p ->> 'bill_number')::bigint;
    v_minor constant bigint := (p ->> 'amount_minor')::bigint;
    v_key constant text := private.reference_key(p ->> 'text');
begin
    select array_agg('%' || replace(replace(replace(w, '\', '\\'), '%', '\%'), '_', '\_') || '%') into v_patterns
    from unnest(v_words) w;
    -- The index knows nothing of words of less than three letters: alone they are looked up whole.
    if not exists (select 1 from unnest(v_words) w where length(w) >= 3) then
        v_patterns := null;
    end if;
    return jsonb_build_object(
        'customers', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', c.id, 'account_no', c.account_no, 'name', c.name, 'address', c.address, 'phone', c.phone)
                order by c.account_no <> p ->> 'text', lower(c.name), c.id), '[]')
            from public.customers c
            where c.id = any (private.customers_found(v_patterns, p ->> 'text', v_limit))),
        'meters', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', m.id, 'serial', m.serial, 'service_point_id', m.service_point_id, 'customer_id', m.customer_id, 'account_no', m.account_no,
                'customer_name', m.customer_name, 'address', m.address) order by m.serial), '[]')
            from public.meter_list m
            where m.id = any (private.meters_found(v_patterns, p ->> 'text', v_limit))),
        'bills', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'id', b.id, 'number', b.number, 'status', b.status, 'customer_name', b.customer_name,
                'period_start', b.period_start, 'period_end', b.period_end, 'total_minor', b.total_minor,
                'currency', b.currency) order by b.number is distinct from v_number, b.period_end desc, b.id), '[]')
            from public.bill_list b
            where b.id = any (array(
                select k.id from public.bills k where k.number = v_number
                union all
                (select k.id from public.bills k where k.total_minor = v_minor order by k.id desc limit v_limit)))),
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

COMMENT ON FUNCTION public.search(p jsonb) IS 'What fits a text: {text, bill_number?, amount_minor?, limit} -> {customers, meters, bills, payments}, `limit` of each at most. Customers by parts of account, name, phone, e-mail and address, each word of the text, of which one must have three letters; meters by parts of the serial; bills by their number or total; payments by their reference, the provider''s id or the amount.';

REVOKE ALL ON FUNCTION public.search(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.search(p jsonb) TO service_role;

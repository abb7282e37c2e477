-- Lists: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE VIEW public.meter_collection_list WITH (security_invoker='true') AS
 SELECT x.meter_id AS id,
    m.serial AS meter_serial,
    i.service_point_id,
    s.code,
    s.address,
    c.name AS customer_name,
    x.tried_at,
    x.tries,
    x.outcome,
    x.reason,
    x.reading_id,
    x.collected_at,
    x.next_try_at,
    x.give_up_at,
    x.round_at
   FROM (((((public.meter_collections x
     JOIN public.meters m ON ((m.id = x.meter_id)))
     JOIN public.meter_installations i ON (((i.meter_id = x.meter_id) AND (i.removed_at IS NULL))))
     JOIN public.service_points s ON ((s.id = i.service_point_id)))
     LEFT JOIN public.service_agreements a ON (((a.service_point_id = s.id) AND (a.ends_on IS NULL))))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
  WHERE (m.kind = 'smart'::text);

COMMENT ON VIEW public.meter_collection_list IS 'The smart meters in use that were asked for, and what came of it the last time.';

GRANT ALL ON TABLE public.meter_collection_list TO service_role;

CREATE FUNCTION public.search(p jsonb) RETURNS jsonb
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

COMMENT ON FUNCTION public.search(p jsonb) IS 'What fits a text: {text, bill_number?, amount_minor?, limit} -> {customers, meters, service_points, bills, credit_notes, payments}, `limit` of each way at most. Customers by parts of account, name, phone, e-mail and address, each word of the text, those of one or two letters at the beginning of a word; meters by parts of the serial, also those that were taken out; service points by parts of code and address, or the serial of a meter that is or was there; bills by their number or total; credit notes by their number; payments by their reference, the provider''s id or the amount. The whole serial of a meter also finds who is supplied by it, or was at its end, and its latest bills.';

REVOKE ALL ON FUNCTION public.search(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.search(p jsonb) TO service_role;

CREATE FUNCTION public.list_accounts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
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

COMMENT ON FUNCTION public.list_accounts(p jsonb) IS 'A page of the customers with what they owe: {text?, owing_only?, ids?, sort: account|name|balance|overdue, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of what a search finds customers by: the account number, name, phone, e-mail or address.';

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
    -- The index of credits finds them: of payments nearly all are spent.
    v_with_credit constant text := 'y.id in (select e.payment_id from public.open_items o join public.ledger_entries e on e.id = o.entry_id'
        ' where o.open_minor < 0 and e.payment_id is not null)';
    v_conditions text[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'y.customer_id', 'y.customer_id', null),
        private.search_source('payments', 'y.id', 'y.id', null)], 'y.bill_id');
begin
    case p ->> 'sort'
        when 'received' then v_key := 'y.received_on'; v_type := 'date';
        when 'amount' then v_key := 'y.amount_minor'; v_type := 'bigint';
        when 'customer' then
            v_key := 'lower(k.name)'; v_type := 'text';
            v_from := 'public.payments y join public.customers k on k.id = y.customer_id';
    end case;
    v_conditions := array[
        case when p ->> 'ids' is not null then 'y.id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'customer_id' is not null then 'y.customer_id = ($1 ->> ''customer_id'')::uuid' end,
        case when p ->> 'received_from' is not null then 'y.received_on >= ($1 ->> ''received_from'')::date' end,
        case when p ->> 'received_to' is not null then 'y.received_on <= ($1 ->> ''received_to'')::date' end,
        -- What leaves few to be looked at, and of nearly all those that may not be what is asked for; of these the view says it.
        case p ->> 'status'
            when 'unidentified' then 'y.customer_id is null'
            when 'returned' then 'y.id in (select x.payment_id from public.payment_returns x)'
            when 'deposit' then 'y.book = ''deposit'''
            when 'unapplied' then v_with_credit
            when 'partly_applied' then v_with_credit
            when 'applied' then 'y.customer_id is not null and y.book = ''account'''
        end,
        case when p ->> 'status' is not null then
            case p ->> 'status' when 'applied' then
                'case when y.id not in (select x.payment_id from public.payment_returns x where x.payment_id is not null)'
                ' and not ' || v_with_credit || ' then true else (select s.status from public.payment_list s where s.id = y.id) = ''applied'' end'
            else '(select s.status from public.payment_list s where s.id = y.id) = $1 ->> ''status''' end end];
    if p ->> 'sort' = 'customer' then
        -- Payments of nobody known come before all names. Each part has an order of its own, which one of both together has not.
        v_page := private.page_of_two(p,
            array['public.payments y', v_from], 'y.id', array['''''::text', v_key], v_type,
            v_conditions || 'y.customer_id is null'::text, v_conditions, v_text);
    else
        v_page := private.page_by_key(p, v_from, 'y.id', v_key, v_type, v_conditions, v_text);
    end if;
    -- Ids in an array let the view be entered by its key; a join with a set is planned as if it were long.
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) - 'search' order by array_position(v_ids, l.id)), '[]')
        from public.payment_list l where l.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_payments(p jsonb) IS 'A page of the payments: {text?, status?, received_from?, received_to?, customer_id?, ids?, sort: received|amount|customer, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of what a search finds its customer by, or of the reference or the provider''s id, or the whole number of the bill. A payment of nobody known sorts before all names.';

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

CREATE FUNCTION private.recorded_beside_audit(p_of text, p_id uuid, p_from timestamp with time zone, p_at timestamp with time zone, p_limit integer) RETURNS TABLE(key text, at timestamp with time zone, actor text, action text, table_name text, row_id text, before jsonb, after jsonb)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select 'l' || e.id, e.created_at, e.actor, 'insert',
           case e.kind when 'deposit_used' then 'deposit_uses' else 'adjustments' end, e.id::text, null::jsonb,
           jsonb_build_object('kind', e.kind, 'amount_minor', e.amount_minor, 'currency', e.currency, 'on_date', e.on_date, 'note', e.note)
    from (select * from public.ledger_entries x
          where p_of = 'customer' and x.customer_id = p_id and x.book = 'account' and x.created_at = p_at
            and x.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used', 'opening_balance', 'opening_balance_undone')
          union all
          (select * from public.ledger_entries x
           where p_of = 'customer' and x.customer_id = p_id and x.book = 'account' and x.created_at >= p_from and x.created_at < p_at
             and x.kind in ('credit', 'credit_undone', 'fee', 'fee_undone', 'deposit_used', 'opening_balance', 'opening_balance_undone')
           order by x.created_at desc fetch first p_limit rows with ties)) e
    union all
    select 'n' || n.id, n.created_at,
           case n.channel when 'letter' then coalesce((
               select h.made_by from public.letters l join public.letter_batches h on h.id = l.batch_id where l.id = n.id), 'system:owed-work')
               else 'system:owed-work' end, 'insert', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id, 'life', n.life)
    from public.notifications n
    where n.id = any (array(
        select k.id from public.notifications k where p_of = 'customer' and k.customer_id = p_id and k.created_at = p_at
        union all
        (select k.id from public.notifications k
         where p_of = 'customer' and k.customer_id = p_id and k.created_at >= p_from and k.created_at < p_at
         order by k.created_at desc fetch first p_limit rows with ties)
        union all
        select k.id from public.notifications k where p_of = 'bill' and k.bill_id = p_id))
    union all
    -- What came back, also when it did: that may be days later.
    select 'b' || n.id, (n.life -> -1 ->> 'at')::timestamptz, 'system:deliveries', 'update', 'notifications', n.id::text, null,
           jsonb_build_object('kind', n.kind, 'channel', n.channel, 'status', n.status, 'recipient', n.recipient, 'error', n.error, 'bill_id', n.bill_id)
    from public.notifications n
    where n.status in ('undelivered', 'bounced') and n.life -> -1 ->> 'state' = n.status and n.id = any (array(
        select k.id from public.notifications k
        where p_of = 'customer' and k.customer_id = p_id and k.status in ('undelivered', 'bounced')
        union all
        select k.id from public.notifications k where p_of = 'bill' and k.bill_id = p_id))
    union all
    select 'r' || r.id, r.received_at, 'system:mailbox', 'insert', 'customer_replies', r.id::text, null,
           jsonb_build_object('channel', r.channel, 'sender', r.sender, 'subject', r.subject, 'body', left(r.body, 500),
                              'handled_by', r.handled_by)
    from public.customer_replies r where p_of = 'customer' and r.customer_id = p_id
    union all
    select 't' || x.what || s.phone, x.at, 'system:texts', x.what, 'stopped_numbers', s.phone, null,
           jsonb_build_object('phone', s.phone)
    from public.customers c
    join public.stopped_numbers s on s.phone = private.dialled(c.phone)
    cross join lateral (values ('insert', s.stopped_at), ('update', s.started_at)) x (what, at)
    where p_of = 'customer' and c.id = p_id and x.at is not null
    union all
    select 'c' || c.id, c.created_at, c.created_by, 'insert', 'corrections', c.id::text, null,
           jsonb_build_object('kind', c.kind, 'reason', c.reason, 'difference_minor', c.difference_minor, 'currency', c.currency,
                              'meter_id', c.meter_id, 'bills', (select count(*) from public.corrected_bills x where x.correction_id = c.id))
    from public.corrections c
    where c.id = any (array(
        select k.id from public.corrections k where p_of = 'customer' and k.customer_id = p_id
        union all
        select k.id from public.corrections k where p_of = 'meter' and k.meter_id = p_id
        union all
        select x.correction_id from public.corrected_bills x where p_of = 'bill' and (x.void_bill_id = p_id or x.new_bill_id = p_id)
        union all
        select x.correction_id
        from private.bills_of_place(case p_of when 'service_point' then p_id end) b
        join public.corrected_bills x on b.id in (x.void_bill_id, x.new_bill_id)))
    union all
    select 'f' || f.reason, f.raised_at, 'system:payments', 'insert', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'detail', f.detail)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id
    union all
    select 'g' || f.reason, f.resolved_at, f.resolved_by, 'update', 'payment_flags', f.payment_id::text, null,
           jsonb_build_object('reason', f.reason, 'resolution', f.resolution)
    from public.payment_flags f where p_of = 'payment' and f.payment_id = p_id and f.resolved_at is not null
    union all
    select 'p' || lpad(a.id::text, 19, '0'), a.created_at, a.actor, 'insert', 'allocations', a.id::text, null,
           jsonb_build_object('amount_minor', a.amount_minor, 'currency', c.currency, 'kind', d.kind, 'note', d.note, 'bill_id', d.bill_id)
    from public.ledger_entries c
    join public.allocations a on a.credit_entry_id = c.id
    join public.ledger_entries d on d.id = a.debit_entry_id
    where p_of = 'payment' and c.kind = 'payment' and c.payment_id = p_id
    union all
    select 's' || s.id, s.created_at, s.created_by, 'insert', 'supply_changes', s.id::text, null,
           jsonb_build_object('kind', s.kind, 'reason', s.reason, 'effective_on', s.effective_on, 'service_point_id', s.service_point_id)
    from public.supply_changes s
    where s.id = any (array(
        -- One that names an agreement is of its customer, another one of whoever was supplied there that day.
        select k.id from public.service_agreements g join public.supply_changes k on k.service_point_id = g.service_point_id
            and case when k.agreement_id is not null then k.agreement_id = g.id
                     else k.effective_on between g.starts_on and coalesce(g.ends_on, 'infinity') end
        where p_of = 'customer' and g.customer_id = p_id
        union all
        select k.id from public.meter_installations i join public.supply_changes k on k.service_point_id = i.service_point_id
            and k.effective_on between i.installed_on and coalesce(i.removed_on, 'infinity')
        where p_of = 'meter' and i.meter_id = p_id
        union all
        select k.id from public.supply_changes k where p_of = 'service_point' and k.service_point_id = p_id))
$$;

COMMENT ON FUNCTION private.recorded_beside_audit(p_of text, p_id uuid, p_from timestamp with time zone, p_at timestamp with time zone, p_limit integer) IS 'What a timeline tells from tables that only grow and name their own author, in the shape of audit rows: of a customer the last so many entries and messages by an instant, from another one on.';

REVOKE ALL ON FUNCTION private.recorded_beside_audit(p_of text, p_id uuid, p_from timestamp with time zone, p_at timestamp with time zone, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.recorded_beside_audit(p_of text, p_id uuid, p_from timestamp with time zone, p_at timestamp with time zone, p_limit integer) TO service_role;

CREATE FUNCTION private.names_of(p_ids uuid[]) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_object_agg(x.id, x.name), '{}')
    from (select c.id, c.name || ', account ' || c.account_no as name from public.customers c where c.id = any (p_ids)
          union all
          select t.id, t.name from public.tariffs t where t.id = any (p_ids)
          union all
          select m.id, m.serial from public.meters m where m.id = any (p_ids)
          union all
          select s.id, s.code from public.service_points s where s.id = any (p_ids)
          union all
          select f.id, f.code from public.transformers f where f.id = any (p_ids)
          union all
          select b.id, coalesce(private.invoice_reference(b.number), '') from public.bills b where b.id = any (p_ids)) x
$$;

COMMENT ON FUNCTION private.names_of(p_ids uuid[]) IS 'What people call the customers, tariffs, meters, transformers, bills (empty: without a number) and places with these ids.';

REVOKE ALL ON FUNCTION private.names_of(p_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.names_of(p_ids uuid[]) TO service_role;

CREATE FUNCTION private.is_deposit(p_payment text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select exists (select 1 from public.payments y where y.id = p_payment::uuid and y.book = 'deposit')
$$;

COMMENT ON FUNCTION private.is_deposit(p_payment text) IS 'Whether a payment, by its id as the audit trail has it, is held as a deposit.';

REVOKE ALL ON FUNCTION private.is_deposit(p_payment text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_deposit(p_payment text) TO service_role;

CREATE FUNCTION public.timeline(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_of constant text := p ->> 'of';
    v_id constant uuid := (p ->> 'id')::uuid;
    v_tables constant text[] := case when jsonb_typeof(p -> 'tables') = 'array' then array(select jsonb_array_elements_text(p -> 'tables')) end;
    v_deposits constant boolean := coalesce('deposits' = any (v_tables), false);
    v_at constant timestamptz := coalesce((p #>> '{after,0}')::timestamptz, 'infinity');
    v_key constant text := coalesce(p #>> '{after,1}', '~');
    v_limit constant integer := (p ->> 'limit')::integer;
    -- Before it nothing is on the page.
    v_from timestamptz := '-infinity';
    v_changes jsonb;
    v_ids uuid[];
begin
    if v_of = 'customer' then
        -- As many as the page has are newer by what is cheap to find: of what is found meter by meter no more is needed.
        select case when count(*) > v_limit then min(x.at) else v_from end into v_from
        from (select y.at
              from ((select a.at from public.audit_log a
                     where a.customer_id = v_id and a.at < v_at and (v_tables is null or a.table_name = any (v_tables))
                     order by a.at desc, a.id desc limit v_limit + 1)
                    union all
                    select m.at from private.bills_made(v_of, v_id, v_at, v_limit + 1) m
                    where m.at < v_at and (v_tables is null or 'bills' = any (v_tables))) y
              order by y.at desc limit v_limit + 1) x;
    end if;
    with audited as (
        (select a.* from public.audit_log a
         where v_of = 'customer' and a.customer_id = v_id
           and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
           and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
         order by a.at desc, a.id desc limit v_limit + 1)
        union all
        select x.* from private.meters_of_customer(case v_of when 'customer' then v_id end) m
        cross join lateral (
            select a.* from public.audit_log a
            where a.meter_id = m.meter_id and a.customer_id is null
              and a.at between v_from and v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
              and m.days @> coalesce(
                  (a.after ->> 'read_on')::date, (a.after ->> 'removed_on')::date, (a.after ->> 'installed_on')::date,
                  case a.table_name when 'readings' then (select r.read_on from public.readings r where r.id = a.row_id::uuid) end,
                  (a.at at time zone 'UTC')::date)
              and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
            order by a.at desc, a.id desc limit v_limit + 1) x
        union all
        -- Of a place what was read there: of each meter while it was there.
        select x.* from private.meters_at_place(case v_of when 'service_point' then v_id end) m
        cross join lateral (
            select a.* from public.audit_log a
            where a.meter_id = m.meter_id and a.table_name = 'readings'
              and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
              and m.days @> coalesce((a.after ->> 'read_on')::date, (select r.read_on from public.readings r where r.id = a.row_id::uuid))
              and (v_tables is null or a.table_name = any (v_tables))
            order by a.at desc, a.id desc limit v_limit + 1) x
        union all
        (select a.* from public.audit_log a
         where v_of = 'meter' and a.meter_id = v_id
           and a.at <= v_at and (a.at < v_at or 'a' || lpad(a.id::text, 19, '0') < v_key collate "C")
           and (v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id)))
         order by a.at desc, a.id desc limit v_limit + 1)
        union all
        select a.* from private.rows_about(v_of, v_id) r
        join public.audit_log a on a.table_name = r.table_name and a.row_id = r.row_id
        where v_tables is null or a.table_name = any (v_tables) or (v_deposits and a.table_name = 'payments' and private.is_deposit(a.row_id))
        union all
        -- Of a place only what happened while it was the customer's.
        (select distinct on (a.id) a.*
         from public.service_agreements g
         join public.audit_log a on a.table_name = 'service_points' and a.row_id = g.service_point_id::text
         where v_of = 'customer' and g.customer_id = v_id and (v_tables is null or 'service_points' = any (v_tables))
           and (a.at at time zone 'UTC')::date between g.starts_on and coalesce(g.ends_on, 'infinity'))
    ), told as (
        select 'a' || lpad(a.id::text, 19, '0') as key, a.at, a.actor, a.action, a.table_name, a.row_id, a.before, a.after
        from audited a
        union all
        select b.* from private.recorded_beside_audit(v_of, v_id, v_from, v_at, v_limit + 1) b
        where v_tables is null or b.table_name = any (v_tables) or (v_deposits and b.table_name = 'payments' and private.is_deposit(b.row_id))
        union all
        select m.* from private.bills_made(v_of, v_id, v_at, v_limit + 1) m
        where v_tables is null or 'bills' = any (v_tables)
    ), page as (
        select t.* from told t
        where t.at < v_at or (t.at = v_at and t.key < v_key collate "C")
        order by t.at desc, t.key collate "C" desc limit v_limit + 1
    )
    select coalesce(jsonb_agg(jsonb_build_object(
               'key', jsonb_build_array(g.at, g.key), 'at', g.at, 'actor', g.actor, 'action', g.action, 'table', g.table_name,
               'row_id', g.row_id, 'before', coalesce(g.before, '{}') - w.unsaid, 'after', case g.action when 'insert' then private.as_inserted(g.table_name, g.row_id, g.after) else g.after end - w.unsaid,
               'inserted', case when g.action = 'update' then (
                   select private.as_inserted(i.table_name, i.row_id, i.after) - w.unsaid
                   from (select x.table_name, x.row_id, x.after from public.audit_log x
                         where x.table_name = g.table_name and x.row_id = g.row_id and x.action = 'insert'
                         union all
                         select 'bills', b.id::text, '{}' from public.bills b
                         where b.id = case g.table_name when 'bills' then g.row_id::uuid end and b.created_by is not null) i
                   limit 1) end)
               order by g.at desc, g.key collate "C" desc), '[]')
    into v_changes
    from page g
    cross join (select array['lines', 'validation', 'definition', 'usage', 'second_opinion', 'priced_by', 'facts', 'steps', 'segments']) w (unsaid);
    v_ids := array(
        select distinct i.value::uuid
        from jsonb_array_elements(v_changes) c
        cross join lateral unnest(array[c -> 'before', c -> 'after', c -> 'inserted', jsonb_build_object('row_id', c -> 'row_id')]) o
        cross join lateral jsonb_each_text(case jsonb_typeof(o) when 'object' then o else '{}' end) i
        where i.key like '%\_id' and i.value ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$');
    return jsonb_build_object(
        'changes', (select coalesce(jsonb_agg(c order by n), '[]') from jsonb_array_elements(v_changes) with ordinality x (c, n) where n <= v_limit),
        'names', private.names_of(v_ids),
        'more', jsonb_array_length(v_changes) > v_limit);
end $_$;

COMMENT ON FUNCTION public.timeline(p jsonb) IS 'What happened to a customer, meter, service point, bill, payment or tariff, the newest first: {of: customer|meter|service_point|bill|payment|tariff, id, tables: [...] or null, after: [at, key] or null, limit} -> {changes: [{key, at, actor, action, table, row_id, before, after, inserted: an updated row as it once was inserted}], names: {id: name}, more}.';

REVOKE ALL ON FUNCTION public.timeline(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.timeline(p jsonb) TO service_role;

CREATE FUNCTION private.point_search_text(p_code text, p_address text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select private.search_text(p_code || ' ' || p_address)
$$;

CREATE INDEX service_points_found ON public.service_points USING gin (private.point_search_text(code, address) extensions.gin_trgm_ops);

REVOKE ALL ON FUNCTION private.point_search_text(p_code text, p_address text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.point_search_text(p_code text, p_address text) TO service_role;

CREATE FUNCTION private.ids_found(p_source jsonb, p_words text[], p_limit integer) RETURNS uuid[]
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

COMMENT ON FUNCTION private.ids_found(p_source jsonb, p_words text[], p_limit integer) IS 'The ids of a source''s rows that have all words, so many at most.';

REVOKE ALL ON FUNCTION private.ids_found(p_source jsonb, p_words text[], p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.ids_found(p_source jsonb, p_words text[], p_limit integer) TO service_role;

CREATE FUNCTION private.customers_of_meters(p_meters uuid[], p_limit integer) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select array(
        select a.customer_id
        from public.meter_installations i
        join public.service_agreements a on a.service_point_id = i.service_point_id
        where i.meter_id = any (p_meters)
          and case when i.removed_at is null then a.ends_on is null
                   else a.starts_on < i.removed_on and (a.ends_on is null or a.ends_on >= i.removed_on) end
        order by i.installed_at desc
        limit p_limit)
$$;

COMMENT ON FUNCTION private.customers_of_meters(p_meters uuid[], p_limit integer) IS 'Who is supplied by the meters, and of those that were removed who was at the end; at most so many.';

REVOKE ALL ON FUNCTION private.customers_of_meters(p_meters uuid[], p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.customers_of_meters(p_meters uuid[], p_limit integer) TO service_role;

CREATE FUNCTION private.bills_of_meters(p_meters uuid[], p_limit integer) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select array(
        select x.id
        from (
            (select b.id, b.period_end from public.bills b
             where b.meter_id = any (p_meters) order by b.period_end desc limit p_limit)
            union
            -- A bill over an exchange carries the meter that came after.
            select b.id, b.period_end
            from public.meter_installations i
            join public.service_agreements a on a.service_point_id = i.service_point_id
            join public.bills b on b.agreement_id = a.id and b.status <> 'void'
                and b.period_start <= i.removed_on and b.period_end >= i.removed_on
            where i.meter_id = any (p_meters) and i.removed_on is not null
              and b.segments @> jsonb_build_array(jsonb_build_object('meter_id', i.meter_id))
        ) x
        order by x.period_end desc
        limit p_limit)
$$;

COMMENT ON FUNCTION private.bills_of_meters(p_meters uuid[], p_limit integer) IS 'The latest bills of what the meters measured, with those over their exchange; at most so many.';

REVOKE ALL ON FUNCTION private.bills_of_meters(p_meters uuid[], p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bills_of_meters(p_meters uuid[], p_limit integer) TO service_role;

CREATE FUNCTION private.place_search_text(p_code text, p_address text, p_route text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE COST 1000
    SET search_path TO ''
    AS $$
begin
    return lower(p_code || ' ' || p_address || ' ' || p_route);
end $$;

CREATE INDEX service_points_search ON public.service_points USING gin (private.place_search_text(code, address, route) extensions.gin_trgm_ops);

REVOKE ALL ON FUNCTION private.place_search_text(p_code text, p_address text, p_route text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.place_search_text(p_code text, p_address text, p_route text) TO service_role;

CREATE FUNCTION private.search_source(p_table text, p_column text, p_key text, p_via text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $_$
    select jsonb_build_object(
        'table', p_table, 'column', p_column, 'key', p_key, 'via', p_via,
        'text', case p_table
            when 'customers' then '%1$s.search_text'
            when 'meters' then 'lower(%1$s.serial)'
            when 'service_points' then 'private.place_search_text(%1$s.code, %1$s.address, %1$s.route)'
            when 'credit_notes' then 'private.credit_note_search_text(%1$s.prefix, %1$s.number, %1$s.customer_name)'
            when 'payments' then 'private.payment_search_text(%1$s.reference, %1$s.provider_id)' end)
$_$;

COMMENT ON FUNCTION private.search_source(p_table text, p_column text, p_key text, p_via text) IS 'A table in which a list looks for words: p_column of the list has the found ids, or what p_via selects with them as $1; p_key is the id that a row of the list leads to.';

REVOKE ALL ON FUNCTION private.search_source(p_table text, p_column text, p_key text, p_via text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.search_source(p_table text, p_column text, p_key text, p_via text) TO service_role;

CREATE FUNCTION private.payment_search_text(p_reference text, p_provider_id text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE COST 1000
    SET search_path TO ''
    AS $$
begin
    return lower(p_reference || ' ' || coalesce(p_provider_id, ''));
end $$;

CREATE INDEX payments_search ON public.payments USING gin (private.payment_search_text(reference, provider_id) extensions.gin_trgm_ops);

REVOKE ALL ON FUNCTION private.payment_search_text(p_reference text, p_provider_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.payment_search_text(p_reference text, p_provider_id text) TO service_role;

CREATE FUNCTION private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[], p_text jsonb DEFAULT NULL::jsonb) RETURNS jsonb
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
        'select to_jsonb(count(*) < %1$s) from (select 1 from %2$s where %3$s limit %1$s) x', greatest(v_most, v_most_looked_at), p_source, v_others), p, false)::boolean
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

COMMENT ON FUNCTION private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[], p_text jsonb) IS 'A page of a list in the order of a key and then the id: {descending, backwards, after: [key, id] or null, limit, count_to}. -> {keys: [[key, id]] in the order asked for, more: whether the list goes on in the direction walked, total: how many there are, count_to + 1 at most, null where that is not known, reached: [key, id] of the row up to which the list was looked through where it may have more, else null}. Backwards without after is the last page. The texts are parts of a statement, in which $1 is p: they come from the functions below only, with every value quoted. p_text are further conditions, as private.text_conditions makes them: what they leave of the list is found by the words, or met on a walk where that is more than is counted; or {sorts: true} where the rows that fit are few among those of the order.';

REVOKE ALL ON FUNCTION private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[], p_text jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.page_by_key(p jsonb, p_source text, p_id text, p_key text, p_type text, p_conditions text[], p_text jsonb) TO service_role;

CREATE FUNCTION public.list_service_points(p jsonb) RETURNS jsonb
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
            's.id in (select v.service_point_id from public.vacancies v where v.until is null)' end,
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

COMMENT ON FUNCTION public.list_service_points(p jsonb) IS 'A page of the service points by code: {text?, vacant_only?, disconnected_only?, vacant_with_use?, never_read?, last_read_by?: a local date, ids?, sort: code, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of the code, the address, the route, the meter''s serial, or of what a search finds its customer by.';

REVOKE ALL ON FUNCTION public.list_service_points(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_service_points(p jsonb) TO service_role;

CREATE FUNCTION public.find_meters(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
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

COMMENT ON FUNCTION public.find_meters(p jsonb) IS 'Meters by serial: {text, also_removed?, limit} -> {meters: rows of meter_list}. Each word of the text is part of the serial, of the place''s code, address or route, or of what a search finds its customer by.';

REVOKE ALL ON FUNCTION public.find_meters(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.find_meters(p jsonb) TO service_role;

CREATE FUNCTION private.has_trigrams(p_source jsonb, p_words text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select exists (select 1 from unnest(private.words_of(p_source, p_words)) w
                   where w ~ case when p_source ? 'begins' then '[[:alnum:]]' else '[[:alnum:]]{3}' end)
$$;

COMMENT ON FUNCTION private.has_trigrams(p_source jsonb, p_words text[]) IS 'Whether the index of a source can be entered by one of the words: by three letters or digits in a row, or by one at the beginning of a word.';

REVOKE ALL ON FUNCTION private.has_trigrams(p_source jsonb, p_words text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.has_trigrams(p_source jsonb, p_words text[]) TO service_role;

CREATE FUNCTION private.words_of(p_source jsonb, p_words text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    -- Addresses of customers are searched with their common words abbreviated.
    select array(
        select case when p_source ->> 'table' = 'customers' then coalesce(nullif(private.search_text(w.word), ''), w.word) else w.word end
        from unnest(p_words) with ordinality w (word, place) order by w.place)
$$;

COMMENT ON FUNCTION private.words_of(p_source jsonb, p_words text[]) IS 'Words as a source has them.';

REVOKE ALL ON FUNCTION private.words_of(p_source jsonb, p_words text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.words_of(p_source jsonb, p_words text[]) TO service_role;

CREATE FUNCTION private.rows_found(p_sources jsonb, p_table text, p_alias text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $_$
    -- What an earlier source has found already is left out, so that nothing is sorted before it is counted.
    select '(' || string_agg(
        format('select %s.* from ', p_alias) || case
            when f ->> 'found' is null then format('(select %2$s.* from %1$s %2$s where %3$s offset 0) %2$s where true', p_table, p_alias, f ->> 'is')
            when format('public.%s', f ->> 'table') = p_table then format('(select x.* from %s offset 0) %s where true', f ->> 'found', p_alias)
            when f ->> 'via' is null then format('(select x.id from %s offset 0) f join %s %s on %s = f.id where true',
                f ->> 'found', p_table, p_alias, f ->> 'column')
            else format('(select x.id from %s offset 0) f cross join lateral (%s) v (id) join %s %s on %s = v.id where true',
                f ->> 'found', replace(f ->> 'via', '$1', 'array[f.id]'), p_table, p_alias, f ->> 'column') end
        || coalesce((select string_agg(format(' and (%s) is not true', e.before ->> 'is'), '')
                     from jsonb_array_elements(p_sources) with ordinality as e (before, place) where e.place < s.place), ''),
        ' union all ' order by s.place) || ') ' || p_alias
    from jsonb_array_elements(p_sources) with ordinality as s (f, place)
$_$;

COMMENT ON FUNCTION private.rows_found(p_sources jsonb, p_table text, p_alias text) IS 'The rows of a list''s table, under its alias, that words are found for in the sources of private.text_conditions, each once.';

REVOKE ALL ON FUNCTION private.rows_found(p_sources jsonb, p_table text, p_alias text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.rows_found(p_sources jsonb, p_table text, p_alias text) TO service_role;

CREATE FUNCTION private.words_in(p_source jsonb, p_words text[], p_alias text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $_$
    select string_agg(case
               when not p_source ? 'begins' or w ~ '[[:alnum:]]{3}' or w !~ '[[:alnum:]]' then format('%s like %L', t, '%' || l || '%')
               -- Of a pattern with letters from here on the trigrams know nothing.
               when w ~ '[\u0800-\U0010FFFF]' then format('(%1$s like %2$L or %1$s like %3$L)', t, l || '%', '% ' || l || '%')
               -- After a space or a sign of ASCII: of so few they know that a word begins behind them.
               else format('%s ~ %L', t, '(^|[ -/:-@\[-`{-~])' || regexp_replace(w, '([^[:alnum:]])', '\\\1', 'g')) end, ' and ')
    from unnest(private.words_of(p_source, p_words)) w
    cross join lateral (select format(p_source ->> 'text', p_alias) as t,
                               replace(replace(replace(w, '\', '\\'), '%', '\%'), '_', '\_') as l) x
$_$;

COMMENT ON FUNCTION private.words_in(p_source jsonb, p_words text[], p_alias text) IS 'The condition that a row of a source, under an alias, has all words: anywhere, or where the source says so words of one or two letters at the beginning of a word. Each is a condition of its own, which enters the index.';

REVOKE ALL ON FUNCTION private.words_in(p_source jsonb, p_words text[], p_alias text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.words_in(p_source jsonb, p_words text[], p_alias text) TO service_role;

CREATE FUNCTION private.by_index(p_statement text, p jsonb, p_reads boolean) RETURNS jsonb
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

COMMENT ON FUNCTION private.by_index(p_statement text, p jsonb, p_reads boolean) IS 'The answer of a statement, in which $1 is p, planned to read no table from end to end unless told so: it stops at a limit that the planner cannot foresee.';

REVOKE ALL ON FUNCTION private.by_index(p_statement text, p jsonb, p_reads boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION private.by_index(p_statement text, p jsonb, p_reads boolean) TO service_role;

CREATE FUNCTION private.words_found(p_source jsonb, p_words text[], p_limit integer, p_reads boolean) RETURNS jsonb
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

COMMENT ON FUNCTION private.words_found(p_source jsonb, p_words text[], p_limit integer, p_reads boolean) IS 'Whether words are in a source of a list''s row: {is: the condition, many: whether more have them than the limit, found: of many where they are found, null if the index cannot tell}. Few are named by their ids. p_reads: what no index can tell is read.';

REVOKE ALL ON FUNCTION private.words_found(p_source jsonb, p_words text[], p_limit integer, p_reads boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION private.words_found(p_source jsonb, p_words text[], p_limit integer, p_reads boolean) TO service_role;

CREATE FUNCTION private.is_common(p_source jsonb, p_words text[]) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select private.share_of_words(p_source, p_words) > 0.04
$$;

COMMENT ON FUNCTION private.is_common(p_source jsonb, p_words text[]) IS 'Whether of a large source more than every 25th row has all words.';

REVOKE ALL ON FUNCTION private.is_common(p_source jsonb, p_words text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_common(p_source jsonb, p_words text[]) TO service_role;

CREATE FUNCTION private.rows_about(p_of text, p_id uuid) RETURNS TABLE(table_name text, row_id text)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select p_of || 's', p_id::text where p_of in ('bill', 'payment', 'tariff')
    union
    -- A meter's own changes name it; who was supplied by it, and on which tariff, is said of its places.
    select 'service_agreements', a.id::text
    from public.meter_installations i
    join public.service_agreements a on a.service_point_id = i.service_point_id
        and a.starts_on <= coalesce(i.removed_on, 'infinity') and coalesce(a.ends_on, 'infinity') >= i.installed_on
    where p_of = 'meter' and i.meter_id = p_id
    union
    select 'agreement_tariffs', t.id::text
    from public.meter_installations i
    join public.service_agreements a on a.service_point_id = i.service_point_id
        and a.starts_on <= coalesce(i.removed_on, 'infinity') and coalesce(a.ends_on, 'infinity') >= i.installed_on
    join public.agreement_tariffs t on t.agreement_id = a.id
    where p_of = 'meter' and i.meter_id = p_id
    union
    -- Of a place everything that was agreed on there, and the bills of it; readings are said of its meters.
    select 'service_points', p_id::text where p_of = 'service_point'
    union
    select 'service_agreements', a.id::text from public.service_agreements a where p_of = 'service_point' and a.service_point_id = p_id
    union
    select 'agreement_tariffs', t.id::text
    from public.service_agreements a join public.agreement_tariffs t on t.agreement_id = a.id
    where p_of = 'service_point' and a.service_point_id = p_id
    union
    select 'meter_installations', i.id::text from public.meter_installations i where p_of = 'service_point' and i.service_point_id = p_id
    union
    select 'missed_reads', x.id::text from public.missed_reads x where p_of = 'service_point' and x.service_point_id = p_id
    union
    select 'bills', b.id::text from private.bills_of_place(case p_of when 'service_point' then p_id end) b
    union
    select 'service_points', i.service_point_id::text from public.meter_installations i where p_of = 'meter' and i.meter_id = p_id
    union
    select 'readings', r.id::text
    from public.bills b
    cross join lateral (
        select unnest(array[b.opening_reading_id, b.closing_reading_id])
        union
        select unnest(array[x ->> 'opening_reading_id', x ->> 'closing_reading_id'])::uuid from jsonb_array_elements(b.segments) x) r (id)
    where p_of = 'bill' and b.id = p_id
    union
    select 'payments', y.id::text from public.payments y where p_of = 'bill' and y.bill_id = p_id
    union
    select 'payments', c.payment_id::text
    from public.ledger_entries d
    join public.allocations a on a.debit_entry_id = d.id
    join public.ledger_entries c on c.id = a.credit_entry_id
    where p_of = 'bill' and d.bill_id = p_id and d.kind = 'bill' and c.payment_id is not null
    union
    select 'spared_bills', s.id::text from public.spared_bills s where p_of = 'bill' and s.bill_id = p_id
    union
    select 'payment_links', k.id from public.payment_links k where p_of = 'bill' and k.bill_id = p_id
    union
    select 'outbox', o.id::text from public.outbox o where p_of = 'bill' and o.bill_id = p_id
    union
    select 'instalment_plans', i.plan_id::text from public.plan_bills i where p_of = 'bill' and i.bill_id = p_id
    union
    select 'payment_returns', x.id::text from public.payment_returns x where p_of = 'payment' and x.payment_id = p_id
    union
    select 'tariff_versions', v.id::text from public.tariff_versions v where p_of = 'tariff' and v.tariff_id = p_id
$$;

COMMENT ON FUNCTION private.rows_about(p_of text, p_id uuid) IS 'The audited rows that a timeline is made of beside those that name its customer or meter.';

REVOKE ALL ON FUNCTION private.rows_about(p_of text, p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.rows_about(p_of text, p_id uuid) TO service_role;

CREATE FUNCTION private.visits_in_vain(p_meter uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('times', count(distinct x.missed_on), 'first_on', min(x.missed_on))
    from public.missed_reads x
    where x.meter_id = p_meter
      and x.missed_at > coalesce((
          select r.read_at from public.readings r
          where r.meter_id = p_meter and r.status in ('accepted', 'needs_review') and r.source <> 'estimated'
          order by r.read_at desc limit 1), '-infinity')
$$;

COMMENT ON FUNCTION private.visits_in_vain(p_meter uuid) IS 'On how many days in a row, and from which on, a meter could not be read since its last read that is no estimate: {times, first_on}.';

REVOKE ALL ON FUNCTION private.visits_in_vain(p_meter uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.visits_in_vain(p_meter uuid) TO service_role;

CREATE VIEW public.missed_read_list WITH (security_invoker='true') AS
 SELECT x.meter_id AS id,
    m.serial AS meter_serial,
    s.id AS service_point_id,
    s.code,
    s.address,
    s.route,
    c.name AS customer_name,
    x.missed_at,
    x.missed_on,
    x.reason,
    x.note,
    x.submitted_by,
    ((v.said ->> 'times'::text))::integer AS times,
    ((v.said ->> 'first_on'::text))::date AS first_on,
    ( SELECT q.reason
           FROM public.reading_requests q
          WHERE ((q.meter_id = x.meter_id) AND (q.done_at IS NULL))) AS asked_because,
    ( SELECT r.read_on
           FROM public.latest_reads r
          WHERE (r.service_point_id = s.id)
         LIMIT 1) AS last_read_on,
    (EXISTS ( SELECT 1
           FROM public.meter_photos p
          WHERE ((p.key = (x.id)::text) AND (p.taken_by = x.submitted_by) AND (p.meter_id = x.meter_id)))) AS has_photo
   FROM (((((public.missed_reads x
     JOIN public.meters m ON ((m.id = x.meter_id)))
     JOIN public.service_points s ON ((s.id = x.service_point_id)))
     LEFT JOIN public.service_agreements a ON (((a.service_point_id = s.id) AND (a.ends_on IS NULL))))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
     CROSS JOIN LATERAL ( SELECT private.visits_in_vain(x.meter_id) AS said) v)
  WHERE (NOT (EXISTS ( SELECT 1
           FROM public.missed_reads l
          WHERE ((l.meter_id = x.meter_id) AND (ROW(l.missed_at, l.id) > ROW(x.missed_at, x.id))))));

COMMENT ON VIEW public.missed_read_list IS 'The last visit to each meter that could not be read then, and how often that was so in a row.';

GRANT ALL ON TABLE public.missed_read_list TO service_role;

CREATE FUNCTION public.list_missed_reads(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.missed_reads y';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('meters', 'y.meter_id', 'y.meter_id', null),
        private.search_source('service_points', 'y.service_point_id', 'y.service_point_id', null),
        private.search_source('customers', 'y.service_point_id', '(select a.customer_id from public.service_agreements a where a.service_point_id = y.service_point_id and a.ends_on is null)', 'select a.service_point_id from public.service_agreements a where a.ends_on is null and a.customer_id = any ($1)')], null);
begin
    case p ->> 'sort'
        when 'visit' then v_key := 'y.missed_at'; v_type := 'timestamptz';
        when 'times' then v_key := '(private.visits_in_vain(y.meter_id) ->> ''times'')::integer'; v_type := 'integer';
        when 'place' then
            v_from := 'public.missed_reads y join public.service_points s on s.id = y.service_point_id';
            v_key := 'coalesce(s.code, '''')'; v_type := 'text';
    end case;
    v_page := private.page_by_key(p, v_from, 'y.meter_id', v_key, v_type, array[
        'not exists (select 1 from public.missed_reads l where l.meter_id = y.meter_id and (l.missed_at, l.id) > (y.missed_at, y.id))',
        -- Read since, or taken out: nothing is to be done any more.
        'not exists (select 1 from public.readings r where r.meter_id = y.meter_id and r.read_at >= y.missed_at'
        ' and r.status in (''accepted'', ''needs_review'') and r.source <> ''estimated'')',
        'exists (select 1 from public.meter_installations i where i.meter_id = y.meter_id and i.service_point_id = y.service_point_id and i.removed_at is null)',
        case when p ->> 'ids' is not null then 'y.meter_id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'missed_from' is not null then 'y.missed_on >= ($1 ->> ''missed_from'')::date' end,
        case when p ->> 'missed_to' is not null then 'y.missed_on <= ($1 ->> ''missed_to'')::date' end,
        case when p ->> 'reason' is not null then 'y.reason = $1 ->> ''reason''' end,
        case when (p ->> 'at_least')::integer > 1
            then '(private.visits_in_vain(y.meter_id) ->> ''times'')::integer >= ($1 ->> ''at_least'')::integer' end], v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.missed_read_list l where l.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_missed_reads(p jsonb) IS 'A page of the meters that could not be read at their last visit and are not read since: {text?, reason?, missed_from?, missed_to?: local dates of that visit, at_least?: so many days in a row, ids?: of meters, sort: visit, times or place, and what private.page_by_key takes} -> its answer, and rows.';

REVOKE ALL ON FUNCTION public.list_missed_reads(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_missed_reads(p jsonb) TO service_role;

CREATE FUNCTION public.list_meter_collections(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_from text := 'public.meter_collections y';
    v_key text;
    v_type text;
    v_page jsonb;
    v_ids uuid[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('meters', 'y.meter_id', 'y.meter_id', null)], null);
begin
    case p ->> 'sort'
        when 'tried' then v_key := 'y.tried_at'; v_type := 'timestamptz';
        when 'meter' then
            v_from := 'public.meter_collections y join public.meters m on m.id = y.meter_id';
            v_key := 'coalesce(m.serial, '''')'; v_type := 'text';
    end case;
    v_page := private.page_by_key(p, v_from, 'y.meter_id', v_key, v_type, array[
        'exists (select 1 from public.meters k join public.meter_installations i on i.meter_id = k.id and i.removed_at is null'
        ' where k.id = y.meter_id and k.kind = ''smart'')',
        case when p ->> 'ids' is not null then 'y.meter_id in (select i::uuid from jsonb_array_elements_text($1 -> ''ids'') i)' end,
        case when p ->> 'outcome' is not null then 'y.outcome = $1 ->> ''outcome''' end,
        case when (p ->> 'failed')::boolean then 'y.reading_id is null' end], v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') k);
    return v_page || jsonb_build_object('rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.meter_collection_list l where l.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_meter_collections(p jsonb) IS 'A page of the smart meters that were asked for: {text?, outcome?, failed?: those without a reading alone, ids?: of meters, sort: tried or meter, and what private.page_by_key takes} -> its answer, and rows.';

REVOKE ALL ON FUNCTION public.list_meter_collections(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_meter_collections(p jsonb) TO service_role;

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

COMMENT ON FUNCTION public.list_bills(p jsonb) IS 'A page of the bills without their lines: {text?, status?, ended_after?, ended_by?, issued_from?, issued_to?, customer_id?, ids?, sort: period|number|customer|total|due, and what private.page_by_key takes} -> its answer, and rows. Each word of the text is part of what a search finds its customer by, or of the meter''s serial, or the whole number of the bill. A draft, which has no number and no due date, comes after all that have one.';

REVOKE ALL ON FUNCTION public.list_bills(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_bills(p jsonb) TO service_role;

CREATE FUNCTION public.list_notifications(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_page jsonb;
    v_ids uuid[];
    v_text constant jsonb := private.text_conditions(p, array[
        private.search_source('customers', 'n.customer_id', 'n.customer_id', null)], 'n.bill_id');
begin
    v_page := private.page_by_key(
        p || '{"descending": true, "backwards": false, "after": null}', 'public.notifications n', 'n.id', 'n.created_at', 'timestamptz',
        array[
            -- What the index of undone messages has; which of them were given up is said by the view alone.
            case when p ->> 'status' in ('waiting', 'sending', 'given_up', 'failed', 'unknown', 'undelivered', 'bounced')
                then 'n.status in (''waiting'', ''sending'', ''failed'', ''unknown'', ''undelivered'', ''bounced'')' end,
            case when p ->> 'status' in ('waiting', 'sending', 'given_up')
                    then '(select l.status from public.notification_list l where l.id = n.id) = $1 ->> ''status'''
                 when p ->> 'status' is not null then 'n.status = $1 ->> ''status''' end],
        v_text);
    v_ids := array(select (k ->> 1)::uuid from jsonb_array_elements(v_page -> 'keys') with ordinality x (k, n)
                   where n > (p ->> 'offset')::integer);
    return jsonb_build_object('total', v_page -> 'total', 'rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by array_position(v_ids, l.id)), '[]')
        from public.notification_list l where l.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_notifications(p jsonb) IS 'Messages, the last written first: {text?, status?, offset, limit: of the last row, from the first on, count_to} -> {total: count_to + 1 at most, rows of notification_list}. Each word of the text is part of what a search finds the customer by, or the whole number of the bill.';

REVOKE ALL ON FUNCTION public.list_notifications(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_notifications(p jsonb) TO service_role;

CREATE FUNCTION private.bills_of_place(p_service_point uuid) RETURNS TABLE(id uuid)
    LANGUAGE sql STABLE ROWS 50
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    select b.id from public.service_agreements a join public.bills b on b.agreement_id = a.id and b.status <> 'void'
    where a.service_point_id = p_service_point
    union all
    select b.id from public.service_agreements a join public.bills b on b.agreement_id = a.id and b.status = 'void'
    where a.service_point_id = p_service_point
$$;

COMMENT ON FUNCTION private.bills_of_place(p_service_point uuid) IS 'The bills of all agreements at a place: those in the chain and the void ones have an index each.';

REVOKE ALL ON FUNCTION private.bills_of_place(p_service_point uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.bills_of_place(p_service_point uuid) TO service_role;

CREATE FUNCTION private.page_of_two(p jsonb, p_sources text[], p_id text, p_keys text[], p_type text, p_first text[], p_second text[], p_text jsonb) RETURNS jsonb
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

COMMENT ON FUNCTION private.page_of_two(p jsonb, p_sources text[], p_id text, p_keys text[], p_type text, p_first text[], p_second text[], p_text jsonb) IS 'A page of two lists, of which the first, whose key is always empty, comes before the second: as private.page_by_key, with two sources, keys and conditions.';

REVOKE ALL ON FUNCTION private.page_of_two(p jsonb, p_sources text[], p_id text, p_keys text[], p_type text, p_first text[], p_second text[], p_text jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION private.page_of_two(p jsonb, p_sources text[], p_id text, p_keys text[], p_type text, p_first text[], p_second text[], p_text jsonb) TO service_role;

CREATE FUNCTION public.list_readings(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_which constant text := 'from public.readings r where true'
        || case when p ->> 'status' is null then '' else format(' and r.status = %L', p ->> 'status') end
        || case when p ->> 'submitted_by' is null then '' else format(' and r.submitted_by = %L', p ->> 'submitted_by') end
        || case when p ->> 'meter_id' is null then '' else format(' and r.meter_id = %L', p ->> 'meter_id') end;
    v_ids uuid[];
    v_total bigint;
begin
    execute format('select array(select r.id %s order by r.created_at desc, r.id desc limit %s offset %s)',
                   v_which, (p ->> 'limit')::integer, (p ->> 'offset')::integer) into v_ids;
    execute format('select count(*) from (select 1 %s limit %s) x', v_which, (p ->> 'count_to')::integer + 1) into v_total;
    return jsonb_build_object('total', v_total, 'rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by l.created_at desc, l.id desc), '[]') from public.reading_list l where l.id = any (v_ids)));
end $$;

COMMENT ON FUNCTION public.list_readings(p jsonb) IS 'Readings, the newest first: {status?, submitted_by?, meter_id?, offset, limit, count_to} -> {total: count_to + 1 at most, rows of reading_list}.';

REVOKE ALL ON FUNCTION public.list_readings(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_readings(p jsonb) TO service_role;

CREATE FUNCTION public.list_drafts(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    AS $_$
declare
    v_offset constant integer := (p ->> 'offset')::integer;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_count_to constant integer := (p ->> 'count_to')::integer;
    v_all uuid[];
    v_ids uuid[];
begin
    execute 'select array(' || private.drafts_found(p, 'b.id', 'order by b.period_end desc, b.id desc limit $2') || ')'
    into v_all using p, greatest(v_count_to + 1, v_offset + v_limit);
    v_ids := v_all[v_offset + 1 : v_offset + v_limit];
    return jsonb_build_object('total', least(cardinality(v_all), v_count_to + 1), 'rows', (
        select coalesce(jsonb_agg(to_jsonb(d) order by d.period_end desc, d.id desc), '[]') from public.draft_list d where d.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_drafts(p jsonb) IS 'Drafts, the newest period first: {offset, limit, count_to, … as private.drafts_chosen} -> {total: count_to + 1 at most, rows of draft_list}.';

REVOKE ALL ON FUNCTION public.list_drafts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_drafts(p jsonb) TO service_role;

CREATE FUNCTION private.credit_note_search_text(p_prefix text, p_number bigint, p_customer_name text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE COST 1000
    SET search_path TO ''
    AS $$
begin
    return lower(concat_ws(' ', private.credit_note_reference(p_prefix, p_number), p_prefix || p_number, p_customer_name));
end $$;

COMMENT ON FUNCTION private.credit_note_search_text(p_prefix text, p_number bigint, p_customer_name text) IS 'What a search of credit notes looks for its words in: the number with and without zeros before it, and the customer''s name as it was then.';

CREATE INDEX credit_notes_search ON public.credit_notes USING gin (private.credit_note_search_text(prefix, number, customer_name) extensions.gin_trgm_ops);

REVOKE ALL ON FUNCTION private.credit_note_search_text(p_prefix text, p_number bigint, p_customer_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.credit_note_search_text(p_prefix text, p_number bigint, p_customer_name text) TO service_role;

CREATE FUNCTION public.list_stripe_events(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    v_where constant text := array_to_string(
        array['true',
              case when p ->> 'outcome' is not null then 'e.outcome = $1 ->> ''outcome''' end,
              case when p ->> 'arrived_by' is not null then 'e.arrived_by = $1 ->> ''arrived_by''' end,
              case when p ->> 'payment_id' is not null then 'e.payment_id = ($1 ->> ''payment_id'')::uuid' end]
        || array(select private.stripe_event_is(w) from regexp_split_to_table(p ->> 'text', '\s+') w where w <> '' limit 6), ' and ');
    v_ids text[];
    v_total integer;
begin
    execute 'select array(select e.id from public.stripe_events e where ' || v_where
        || ' order by e.created_at desc, e.id desc offset ($1 ->> ''offset'')::integer limit ($1 ->> ''limit'')::integer)'
    into v_ids using p;
    execute 'select count(*) from (select from public.stripe_events e where ' || v_where || ' limit ($1 ->> ''count_to'')::integer + 1) x'
    into v_total using p;
    return jsonb_build_object('total', v_total, 'rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by l.created_at desc, l.id desc), '[]') from public.stripe_event_list l where l.id = any (v_ids)));
end $_$;

COMMENT ON FUNCTION public.list_stripe_events(p jsonb) IS 'Events of Stripe, the newest first: {text, outcome?, arrived_by?, payment_id?, offset, limit, count_to} -> {total: count_to + 1 at most, rows of stripe_event_list}. Each word of the text is as private.stripe_event_is says.';

REVOKE ALL ON FUNCTION public.list_stripe_events(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_stripe_events(p jsonb) TO service_role;

CREATE FUNCTION private.share_of_words(p_source jsonb, p_words text[]) RETURNS real
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

COMMENT ON FUNCTION private.share_of_words(p_source jsonb, p_words text[]) IS 'Which part of a large source''s rows has all words, by a sample of some 2,000; 0 of one that is not large.';

REVOKE ALL ON FUNCTION private.share_of_words(p_source jsonb, p_words text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION private.share_of_words(p_source jsonb, p_words text[]) TO service_role;

CREATE FUNCTION private.text_conditions(p jsonb, p_sources jsonb[], p_bill text) RETURNS jsonb
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

COMMENT ON FUNCTION private.text_conditions(p jsonb, p_sources jsonb[], p_bill text) IS 'What a list is filtered by for its text: {text, count_to}, the sources that each word may be in, and the column of a bill''s id, if a word may be its number -> {all: the conditions; found: of the one that is best found its place and its sources, null if none can be; reads: whether a source must be read for it}.';

REVOKE ALL ON FUNCTION private.text_conditions(p jsonb, p_sources jsonb[], p_bill text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.text_conditions(p jsonb, p_sources jsonb[], p_bill text) TO service_role;

CREATE FUNCTION private.is_large(p_table text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select c.reltuples >= 200000 from pg_class c where c.oid = format('public.%I', p_table)::regclass
$$;

COMMENT ON FUNCTION private.is_large(p_table text) IS 'Whether a table has so many rows that a list does not read all of them for a word.';

REVOKE ALL ON FUNCTION private.is_large(p_table text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.is_large(p_table text) TO service_role;

-- What changed of many rows at once is found without a join of the rows before with those after: these functions
-- have hash joins off, for the tables that they read, and row by row it took minutes for 50,000 bills.
CREATE OR REPLACE FUNCTION private.keep_draft_signs() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_drafts uuid[] := array(select n.id from new_rows n where n.status = 'draft');
    v_agreements uuid[] := '{}';
begin
    -- A bill that is issued or void from now on changes the past of the drafts after it; a new one is the last, unless it replaces another.
    if tg_op = 'UPDATE' then
        v_agreements := array(
            select x.agreement_id from (select n.id, n.agreement_id, n.status from new_rows n
                                        except select o.id, o.agreement_id, o.status from old_rows o) x);
        if v_agreements <> '{}' then
            delete from public.draft_signs s using new_rows n where s.bill_id = n.id and n.status <> 'draft';
        end if;
    else
        v_agreements := array(select n.agreement_id from new_rows n where n.status = 'issued' and n.replaces_id is not null);
    end if;
    if v_agreements <> '{}' then
        v_drafts := v_drafts || array(
            select b.id from unnest(v_agreements) a (id) join public.bills b on b.agreement_id = a.id and b.status <> 'void'
            where b.status = 'draft');
    end if;
    if v_drafts <> '{}' then
        insert into public.draft_signs (bill_id, past_use, outlier)
        select distinct on (d.bill_id) d.* from private.signs_of_drafts(v_drafts) d order by d.bill_id
        on conflict (bill_id) do update set past_use = excluded.past_use, outlier = excluded.outlier;
    end if;
    return null;
end $$;

CREATE OR REPLACE FUNCTION private.post_suspense() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    v_open_from date;
begin
    if tg_op = 'INSERT' and not exists (select 1 from new_rows where customer_id is null) then
        return null;
    end if;
    -- Shared by all who post; who closes a month has it alone.
    perform pg_advisory_xact_lock_shared(hashtext('ledger'));
    v_open_from := private.open_from();
    if tg_table_name = 'payments' and tg_op = 'INSERT' then
        insert into public.suspense_entries (kind, payment_id, currency, method, amount_minor, on_date, actor)
        select 'payment', n.id, n.currency, n.method, -n.amount_minor, greatest(n.received_on, v_open_from),
               coalesce(nullif(n.recorded_by, ''), 'unknown')
        from new_rows n where n.customer_id is null order by n.received_at, n.id;
    elsif tg_table_name = 'payments' then
        insert into public.suspense_entries (kind, payment_id, currency, method, amount_minor, on_date, actor)
        select 'assigned', n.id, n.currency, n.method, n.amount_minor, greatest(n.received_on, v_open_from),
               current_setting('billing.actor')
        from new_rows n
        where n.id = any (array(select o.id from old_rows o where o.customer_id is null)) and n.customer_id is not null order by n.received_at, n.id;
    else
        insert into public.suspense_entries (kind, payment_id, return_id, currency, method, amount_minor, on_date, actor)
        select 'return', n.payment_id, n.id, n.currency, n.method, n.amount_minor, greatest(n.on_date, v_open_from), n.created_by
        from new_rows n
        where n.customer_id is null and n.status = 'done'
          and not exists (select 1 from public.suspense_entries s where s.return_id = n.id and s.kind = 'return');
        insert into public.suspense_entries (kind, payment_id, return_id, currency, method, amount_minor, on_date, actor)
        select 'return_undone', n.payment_id, n.id, n.currency, n.method, -n.amount_minor,
               greatest(n.on_date, now()::date, v_open_from), current_setting('billing.actor')
        from new_rows n
        where n.customer_id is null and n.status = 'undone'
          and not exists (select 1 from public.suspense_entries s where s.return_id = n.id and s.kind = 'return_undone');
    end if;
    return null;
end $$;

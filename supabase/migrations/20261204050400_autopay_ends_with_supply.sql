-- Autopay of who has moved out ends once the final bill needs it no more, and Stripe forgets the card or account.

create function private.autopay_without_supply(p_mandates uuid[], p_today date) returns uuid[]
    language sql stable set search_path = '' as $$
    select array(
        select m.id from public.autopay_mandates m
        where m.id = any (p_mandates) and m.status in ('active', 'paused')
          and exists (select 1 from public.service_agreements a where a.customer_id = m.customer_id)
          and not exists (
              select 1 from public.service_agreements a
              where a.customer_id = m.customer_id
                and (a.ends_on is null or a.ends_on > p_today
                     -- The final bill is yet to come; after two months nobody waits for it.
                     or a.ends_on > p_today - 60 and not exists (
                         select 1 from public.bills b
                         where b.agreement_id = a.id and b.closing_reading_id = a.closing_reading_id and b.status = 'issued')))
          and not exists (select 1 from public.bills b where b.customer_id = m.customer_id and b.status = 'draft')
          and not exists (select 1 from public.autopay_charges c where c.mandate_id = m.id and c.ended_at is null)
          -- Such as one on hold, which is charged after it if it is not due by then.
          and not exists (select 1 from public.bills b
                          where b.customer_id = m.customer_id and b.status = 'issued' and b.amount_paid_minor < b.total_minor
                            and b.due_date >= p_today and m.status = 'active')
        order by m.id)
$$;
comment on function private.autopay_without_supply(uuid[], date) is 'Those of some mandates whose customers are supplied nowhere any more, on a local date, and of which nothing is to be charged: the final bill is made, and its charge is over.';

create function public.end_autopay_without_supply(p jsonb) returns jsonb
    language plpgsql set search_path = '' set enable_seqscan = 'off' as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_after constant uuid := coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000');
    v_today constant date := (p ->> 'today')::date;
    v_found uuid[];
    v_left uuid[];
    m public.autopay_mandates;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(p);
    v_found := array(
        select x.id
        from ((select a.id from public.autopay_mandates a where a.status = 'active' and a.id > v_after order by a.id limit v_limit)
              union all
              (select a.id from public.autopay_mandates a where a.status = 'paused' and a.id > v_after order by a.id limit v_limit)) x
        order by x.id limit v_limit);
    v_left := private.autopay_without_supply(v_found, v_today);
    if v_left <> '{}' then
        perform private.lock_customers(array(select x.customer_id from public.autopay_mandates x where x.id = any (v_left)));
        -- Somebody may have moved in again, or was billed, just now.
        v_left := private.autopay_without_supply(v_left, v_today);
        for m in select * from public.autopay_mandates x where x.id = any (v_left) order by x.id for update loop
            m := private.stop_autopay(m, 'ended', 'ended', 'The customer''s supply has ended.');
            perform private.owe_autopay_message('autopay_ended', private.last_bill_of(m.customer_id), m.id::text,
                jsonb_build_object('method', private.autopay_method(m), 'left', 'yes'), p #> '{owed,autopay_ended}');
        end loop;
    end if;
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_left)));
    return jsonb_build_object('count', cardinality(v_left), 'after', case when cardinality(v_found) = v_limit then v_found[v_limit] end);
end $$;
comment on function public.end_autopay_without_supply(jsonb) is 'Ends autopay of those of a page of mandates whose customers have left and whose final bill is settled or not to be charged; Stripe is asked to forget the cards: {actor, run, today, limit, after?, owed: {autopay_ended, balance_changed}} -> {count, after}.';

revoke all on function private.autopay_without_supply, public.end_autopay_without_supply from public;
grant execute on function private.autopay_without_supply, public.end_autopay_without_supply to service_role;

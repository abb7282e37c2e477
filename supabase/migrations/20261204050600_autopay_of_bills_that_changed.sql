-- What is to be charged of a bill waits while another charge is under way that may pay it: dropped, nobody would charge it
-- if that one fails, and its customer would be pressed meanwhile. A charge that failed is not tried again once nothing is open.

create or replace function private.autopay_rows(p_charges uuid[], p_today date) returns table(id uuid, mandate_id uuid, customer_id uuid, bill_id uuid, amount_minor bigint, bills jsonb, what text)
    language plpgsql stable
    set search_path = ''
    as $$
#variable_conflict use_column
declare
    v_held constant uuid[] := private.held_of(array(
        select distinct c.customer_id from public.autopay_charges c where c.id = any (p_charges)), p_today);
begin
    return query
    select c.id, c.mandate_id, c.customer_id, coalesce((a.bills #>> '{0,bill_id}')::uuid, c.bill_id), coalesce(a.amount_minor, 0), a.bills,
           case when m.status <> 'active' then 'ended'
                -- Another charge is under way for it, as of a bill that was corrected since.
                when a.amount_minor = 0 and exists (
                    select 1 from public.autopay_attempts t
                    where t.customer_id = c.customer_id and t.currency = c.currency and t.ended_at is null and t.charge_id <> c.id) then 'wait'
                when coalesce(a.amount_minor, 0) = 0 then 'nothing'
                when c.customer_id = any (v_held) then 'held'
                when a.amount_minor > m.limit_minor then 'over_limit'
                when a.amount_minor > coalesce(c.announced_minor, 0) then 'announce'
                else 'charge' end
    from public.autopay_charges c
    join public.autopay_mandates m on m.id = c.mandate_id
    left join private.autopay_amounts(p_charges) a on a.charge_id = c.id
    where c.id = any (p_charges);
end $$;

comment on function private.autopay_rows(uuid[], date) is 'What is to be done about some charges on a local date, and their amounts. what: charge; announce (again), where more is open than was announced; held: the account''s dunning is on hold; wait: another charge is under way that would pay it; or why it is dropped: ended, nothing, over_limit.';

create or replace function private.autopay_failed(c public.autopay_charges, t public.autopay_attempts, p_on date, p_owed jsonb) returns void
    language plpgsql
    set search_path = ''
    as $$
declare
    m public.autopay_mandates;
    v_policy constant jsonb := private.autopay_policy();
    v_next date;
begin
    select * into m from public.autopay_mandates where id = c.mandate_id;
    if t.code = 'superseded' then
        -- Stripe was never asked, and by now it comes to something else: it is worked out again.
        update public.autopay_charges set status = 'announced', charge_on = p_on where id = c.id and m.status = 'active';
        perform private.end_autopay_charges(array[c.id], 'dropped', 'ended', 'Autopay has ended.') where m.status <> 'active';
        return;
    end if;
    if m.status = 'active' and t.decline <> all (array['hard', 'amount']) and t.number <= jsonb_array_length(v_policy -> 'retry_days') then
        v_next := greatest(c.first_try_on + (v_policy #>> array['retry_days', (t.number - 1)::text])::integer, p_on + 1);
    end if;
    if v_next is not null and not exists (
        select 1 from public.autopay_charge_bills x join public.bills b on b.id = x.bill_id
        where x.charge_id = c.id and x.live and b.status = 'issued' and b.amount_paid_minor < b.total_minor) then
        -- Void or paid meanwhile: nobody is told that it will be tried again.
        perform private.end_autopay_charges(array[c.id], 'dropped', 'nothing_due', 'Nothing was due any more.');
        return;
    end if;
    if v_next is not null then
        update public.autopay_charges set status = 'waiting', charge_on = v_next, code = t.code, detail = t.detail where id = c.id;
    else
        perform private.end_autopay_charges(array[c.id], 'failed', t.code, t.detail);
        if m.status = 'active' and t.decline <> 'amount' then
            m := private.stop_autopay(m, 'paused', 'paused', 'A charge failed: ' || t.detail);
        end if;
    end if;
    -- A charge that waited for a confirmation was told of when it began to wait.
    perform private.owe_autopay_message('autopay_failed', c.bill_id, t.id || case when v_next is null then '/last' else '' end,
        jsonb_build_object('amount_minor', t.amount_minor::text, 'currency', t.currency, 'method', private.autopay_method(m),
                           'decline', t.decline, 'code', t.code, 'again_on', v_next::text,
                           'paused', case when m.status = 'paused' then 'yes' end), p_owed -> 'autopay_failed')
    where m.status <> 'ended';
end $$;

-- Of a charge that is over and brought nothing the amount is what was tried last, or else announced: not 0.

create or replace function private.autopay_charge_json(p_id uuid) returns jsonb
    language sql stable
    set search_path = ''
    as $$
    select to_jsonb(c) || jsonb_build_object(
        'detail', coalesce(nullif(t.detail, ''), c.detail), 'account_no', k.account_no, 'customer_name', k.name, 'bill_number', b.number, 'method', private.autopay_method(m), 'kind', m.kind, 'since', t.started_on,
        'amount_minor', case when c.ended_at is not null then coalesce(nullif(c.paid_minor, 0), l.amount_minor, c.announced_minor, 0)
                             else coalesce(t.amount_minor, (select a.amount_minor from private.autopay_amounts(array[c.id]) a), 0) end,
        'confirm_id', case when t.status = 'confirming' then t.id end)
    from public.autopay_charges c
    join public.customers k on k.id = c.customer_id
    join public.bills b on b.id = c.bill_id
    join public.autopay_mandates m on m.id = c.mandate_id
    left join public.autopay_attempts t on t.charge_id = c.id and t.ended_at is null
    left join lateral (select x.amount_minor from public.autopay_attempts x where x.charge_id = c.id order by x.number desc limit 1) l
        on c.ended_at is not null
    where c.id = p_id
$$;

comment on function private.autopay_charge_json(uuid) is 'A charge as it is shown; amount_minor is what it comes to now; of one that is over what came, else what was tried last or announced. since: the local date since which a try is under way.';

-- Nobody hears that 0 will be charged: what was paid another way since the notice was due is not announced late.
do $do$
declare
    v_why text := pg_get_functiondef('public.why_unsaid(jsonb)'::regprocedure);
begin
    v_why := replace(v_why, '''/'', 1) and c.status = ''announced'')',
                     '''/'', 1) and c.status = ''announced''
                  and exists (select 1 from private.autopay_amounts(array[c.id]) a where a.amount_minor > 0))');
    if v_why not like '%autopay_amounts%' then
        raise exception 'why_unsaid is not as it was';
    end if;
    execute v_why;
end $do$;

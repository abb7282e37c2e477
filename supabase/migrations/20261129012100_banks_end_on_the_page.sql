-- An import that ends an agreement, or its net metering, on the day of its last bill would leave kWh unsettled.

create or replace function private.opening_bank_problems(p_rows jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with said as (
        select m."row", m.id, x.opening_bank, m.service_point, m.ends_on, m.known_ends_on, m.tariff_from, m.starts_on, m.known_id,
               x.opening_bank is not null and private.opening_bank(m.id) <> x.opening_bank as is_other,
               exists (select 1 from public.tariff_versions v
                       where v.tariff_id = m.tariff_id and jsonb_typeof(v.definition -> 'net_metering') = 'object') as nets
        from private.match_agreements(p_rows) m
        join jsonb_to_recordset(p_rows) as x("row" integer, opening_bank jsonb) on x."row" = m."row"
    ), problems as (
        select s."row", case
            when s.is_other and private.opening_bank(s.id) <> '{}' then array['banked_kwh',
                'Another bank was brought in for this agreement, from which its bills go on.']
            when s.is_other and exists (
                    select 1 from public.bills b where b.agreement_id = s.id and b.status <> 'void' and b.usage ? 'net') then
                array['banked_kwh', 'This agreement has bills under net metering already, which begin with an empty bank.']
            when s.known_ends_on is null and s.ends_on = l.period_end and l.banked then array['ends_on', format(
                'Its last bill left kWh in the bank: end the agreement on the page of %s, which settles them.', s.service_point)]
            when s.tariff_from > s.starts_on and s.tariff_from = l.period_end and l.banked and not s.nets then array['tariff_from', format(
                'Its last bill left kWh in the bank: change the tariff on the page of %s, which settles them.', s.service_point)]
            end as problem
        from said s
        left join lateral (
            select b.period_end, jsonb_path_exists(b.usage, '$.net.banks.* ? (@.closing > 0)') as banked
            from public.bills b where b.agreement_id = s.known_id and b.status <> 'void'
            order by b.period_end desc limit 1) l on true
    )
    select jsonb_agg(jsonb_build_object('row', p."row", 'column', p.problem[1], 'message', p.problem[2]) order by p."row")
    from problems p where p.problem is not null
$$;
comment on function private.opening_bank_problems is
    'Rows of an import of agreements whose banked kWh cannot be brought in, or would stay unsettled.';

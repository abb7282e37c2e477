-- A version that ends net metering exactly where a bill was made up to would leave that bill's banked kWh to nobody: they
-- are settled by the last bill under net metering, which knew of no end.

create function private.version_leaves_kwh_bank(p_tariff_id uuid, p_from date, p_definition jsonb) returns uuid
language sql stable set search_path = '' as $$
    select b.meter_id
    from public.agreement_tariffs y
    join public.service_agreements a on a.id = y.agreement_id and (a.ends_on is null or a.ends_on > p_from)
    cross join lateral (
        select x.meter_id, x.period_end, x.usage from public.bills x
        where x.agreement_id = a.id and x.status <> 'void' order by x.period_end desc limit 1) b
    where jsonb_typeof(p_definition -> 'net_metering') is distinct from 'object'
      and y.tariff_id = p_tariff_id and y.starts_on <= p_from
      and b.period_end = p_from and jsonb_path_exists(b.usage, '$.net.banks.* ? (@.closing > 0)')
      and not exists (select 1 from public.agreement_tariffs n
                      where n.agreement_id = a.id and n.starts_on > y.starts_on and n.starts_on <= p_from)
    limit 1
$$;
comment on function private.version_leaves_kwh_bank is 'A meter whose last bill ends where a version of its tariff is to begin that has no net metering, and has kWh in its bank; else null.';
revoke all on function private.version_leaves_kwh_bank(uuid, date, jsonb) from public;
grant execute on function private.version_leaves_kwh_bank(uuid, date, jsonb) to service_role;

create or replace function private.refusal_of_version(p_code text, p_currency text, p_from date, p_definition jsonb)
returns table (field text, message text)
language sql stable set search_path = '' as $$
    select case when t.currency <> p_currency then 'currency' else 'effective_from' end,
           case
           when t.currency <> p_currency then format(
               'Tariff %s is in %s; its currency cannot change.', p_code, t.currency)
           when v.id is not null then format(
               'Tariff %s already has another version from %s; a version never changes: give the new one a later date.',
               p_code, p_from)
           when b.period_end > p_from then format(
               'Tariff %s is billed up to %s (meter %s): a new version must begin on that day or later.',
               p_code, to_char(b.period_end, 'FMDD Mon YYYY'), m.serial)
           else format(
               'A bill up to %s left kWh in the bank (meter %s), which the last bill under net metering settles: a version without net metering must begin a day later.',
               to_char(p_from, 'FMDD Mon YYYY'), k.serial)
           end
    from public.tariffs t
    left join private.versions_in_force(t.id) v on v.effective_from = p_from
    left join public.bills b on b.id = private.last_bill_with(t.id)
    left join public.meters m on m.id = b.meter_id
    left join public.meters k on k.id = private.version_leaves_kwh_bank(t.id, p_from, p_definition) and v.id is null
    where t.code = p_code
      and (t.currency <> p_currency
           or v.definition <> p_definition
           or (v.id is null and b.period_end > p_from)
           or k.id is not null)
$$;

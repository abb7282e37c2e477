-- A bill over several meters says for each of them when, and how, it was read: what prints or shows such a bill needs
-- no look at its readings.

create or replace view public.bill_list with (security_invoker = true) as
select b.id, b.number, b.meter_id, m.serial as meter_serial, b.customer_id, c.account_no, c.name as customer_name,
       c.address, b.tariff_version_id, t.code as tariff_code, t.name as tariff_name, b.opening_reading_id,
       b.closing_reading_id, b.period_start, b.period_end, b.opening_wh, b.closing_wh, b.consumption_wh,
       b.multiplier_milli, b.currency, b.lines, b.subtotal_minor, b.tax_minor, b.total_minor, b.amount_paid_minor,
       case when b.status = 'void' then 0 else b.total_minor - b.amount_paid_minor end as balance_minor,
       case when b.status = 'void' then 'void'
            when b.status = 'draft' then 'draft'
            when b.amount_paid_minor >= b.total_minor then 'paid'
            when b.overdue_since is not null then 'overdue'
            when b.amount_paid_minor > 0 then 'partially_paid'
            else 'issued' end as status,
       b.issued_at, b.issued_on, b.due_date, b.overdue_since, b.payment_url, b.reissue_no, b.void_reason, b.created_at,
       lower(concat_ws(' ', private.invoice_reference(b.number), c.account_no, c.name, m.serial)) as search,
       b.usage, b.replaces_id, (select r.id from public.bills r where r.replaces_id = b.id) as replaced_by_id,
       b.held_because,
       (select s.reason from public.spared_bills s
        where s.bill_id = b.id and s.released_at is null and (s.until is null or s.until > now())
        order by s.reason desc limit 1) as spared_because,
       b.agreement_id,
       case when b.segments is not null then (
           select jsonb_agg(x.value || jsonb_build_object(
                      'meter_serial', y.serial, 'opened_on', o.read_on, 'opening_source', o.source,
                      'closed_on', e.read_on, 'closing_source', e.source) order by x.ordinality)
           from jsonb_array_elements(b.segments) with ordinality x
           join public.meters y on y.id = (x.value ->> 'meter_id')::uuid
           join public.readings o on o.id = (x.value ->> 'opening_reading_id')::uuid
           join public.readings e on e.id = (x.value ->> 'closing_reading_id')::uuid) end as segments,
       p.id as service_point_id, p.code as service_point_code, p.address as service_address
from public.bills b
join public.meters m on m.id = b.meter_id
join public.customers c on c.id = b.customer_id
join public.tariff_versions v on v.id = b.tariff_version_id
join public.tariffs t on t.id = v.tariff_id
join public.service_agreements a on a.id = b.agreement_id
join public.service_points p on p.id = a.service_point_id;

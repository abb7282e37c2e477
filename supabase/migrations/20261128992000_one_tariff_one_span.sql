-- An agreement that is put on the tariff it is on already stays in one span: another beside it was priced as if the
-- tariff had changed on that day, and a change of tariff dated before it was refused for ever.

create or replace view private.tariff_spans with (security_invoker = true) as
select t.agreement_id,
       t.tariff_id,
       case when lag(t.starts_on) over w is null then '-infinity'::date else t.starts_on end as starts_on,
       coalesce(lead(t.starts_on) over w, 'infinity'::date) as ends_on
from (select x.agreement_id, x.tariff_id, x.starts_on,
             lag(x.tariff_id) over (partition by x.agreement_id order by x.starts_on) as tariff_before
      from public.agreement_tariffs x) t
where t.tariff_before is distinct from t.tariff_id
window w as (partition by t.agreement_id order by t.starts_on);

comment on view private.tariff_spans is 'The tariffs of an agreement, each from a local date to another: [starts_on, ends_on). The first holds from ever; one that follows itself is one.';

-- Who is supplied, where, and by which meter: service points, service agreements, installations.
-- A meter belonged to one customer for ever. Now a place has agreements one after the other, and
-- meters one after the other; a bill belongs to an agreement.

create table public.service_points (
    id uuid primary key,
    code text not null unique check (code <> '' and code = btrim(code)),
    address text not null default '',
    transformer_id uuid references public.transformers (id),
    route text not null default '',
    sequence integer check (sequence >= 0),
    phases smallint check (phases between 1 and 3),
    connected_w integer check (connected_w > 0),
    connected_va integer check (connected_va > 0),
    access_note text not null default '',
    created_at timestamptz not null default now()
);
comment on table public.service_points is 'Places of supply. A place stays, whoever is supplied there and by whichever meter.';
comment on column public.service_points.route is 'The round on which its meter is read; empty when it is on none.';
comment on column public.service_points.sequence is 'Its place on the route.';
comment on column public.service_points.connected_w is 'Connected load in W; null when it is not known.';
comment on column public.service_points.connected_va is 'Connected load in VA; null when it is not known.';
comment on column public.service_points.access_note is 'What a person who reads the meter must know: a gate, a dog, who has the key.';
create index service_points_transformer on public.service_points (transformer_id);
create index service_points_route on public.service_points (route, sequence) where route <> '';

create table public.meter_installations (
    id uuid primary key,
    service_point_id uuid not null references public.service_points (id),
    meter_id uuid not null references public.meters (id),
    installed_at timestamptz not null,
    installed_on date not null,
    removed_at timestamptz,
    removed_on date,
    multiplier_milli integer not null check (multiplier_milli > 0),
    opening_reading_id uuid not null references public.readings (id) deferrable initially deferred,
    closing_reading_id uuid references public.readings (id) deferrable initially deferred,
    removal_reason text not null default '',
    created_at timestamptz not null default now(),
    check ((removed_at is null) = (removed_on is null) and (removed_at is null) = (closing_reading_id is null)),
    check (removed_at > installed_at)
);
comment on table public.meter_installations is 'Which meter measures at which service point, from the instant of its opening read to that of its closing read. Another multiplier is another installation of the same meter, which begins at the read where the last one ends.';
comment on column public.meter_installations.installed_on is 'Local date of the opening read.';
comment on column public.meter_installations.multiplier_milli is 'Multiplying factor in thousandths: a register on a 40:1 current transformer has 40000.';
create unique index meter_installations_one_place on public.meter_installations (meter_id) where removed_at is null;
create unique index meter_installations_one_meter on public.meter_installations (service_point_id) where removed_at is null;
create index meter_installations_of_meter on public.meter_installations (meter_id, installed_at desc);
create index meter_installations_at_point on public.meter_installations (service_point_id, installed_at desc);
create index meter_installations_opening on public.meter_installations (opening_reading_id);
create index meter_installations_closing on public.meter_installations (closing_reading_id) where closing_reading_id is not null;

create table public.service_agreements (
    id uuid primary key,
    service_point_id uuid not null references public.service_points (id),
    customer_id uuid not null references public.customers (id),
    starts_on date not null,
    ends_on date,
    opening_reading_id uuid not null references public.readings (id) deferrable initially deferred,
    closing_reading_id uuid references public.readings (id) deferrable initially deferred,
    billing_day smallint not null default 1 check (billing_day between 1 and 28),
    created_at timestamptz not null default now(),
    check (ends_on > starts_on),
    check ((ends_on is null) = (closing_reading_id is null))
);
comment on table public.service_agreements is 'Who is supplied at a service point, from one local date to another: [starts_on, ends_on). Never two at a time. Its bills form a chain from the opening read to the closing one.';
comment on column public.service_agreements.ends_on is 'Exclusive: the local date of the closing read; null while it lasts.';
comment on column public.service_agreements.billing_day is 'The day of the month on which a billing cycle ends.';
create unique index service_agreements_one_open on public.service_agreements (service_point_id) where ends_on is null;
create index service_agreements_at_point on public.service_agreements (service_point_id, starts_on desc);
create index service_agreements_of_customer on public.service_agreements (customer_id);
create index service_agreements_opening on public.service_agreements (opening_reading_id);
create index service_agreements_closing on public.service_agreements (closing_reading_id) where closing_reading_id is not null;

create table public.agreement_tariffs (
    id uuid primary key,
    agreement_id uuid not null references public.service_agreements (id),
    starts_on date not null,
    tariff_id uuid not null references public.tariffs (id),
    created_at timestamptz not null default now(),
    unique (agreement_id, starts_on)
);
comment on table public.agreement_tariffs is 'The tariff of an agreement from a local date on, until the next row''s.';
create index agreement_tariffs_tariff on public.agreement_tariffs (tariff_id);

alter table public.service_points enable row level security;
alter table public.meter_installations enable row level security;
alter table public.service_agreements enable row level security;
alter table public.agreement_tariffs enable row level security;
revoke all on public.service_points, public.meter_installations, public.service_agreements, public.agreement_tariffs
    from public, anon, authenticated, service_role;
grant select, insert, update on public.service_points, public.meter_installations, public.service_agreements,
    public.agreement_tariffs to service_role;

-- What is there already: each meter has been at one place, of one customer, since its opening read.
insert into public.service_points (id, code, address, transformer_id, connected_w, connected_va, created_at)
select md5('service_point/' || m.id)::uuid, m.serial, c.address, m.transformer_id, m.connected_w, m.connected_va, m.created_at
from public.meters m join public.customers c on c.id = m.customer_id;

insert into public.meter_installations (id, service_point_id, meter_id, installed_at, installed_on, multiplier_milli,
                                        opening_reading_id, created_at)
select md5('installation/' || m.id)::uuid, md5('service_point/' || m.id)::uuid, m.id, r.read_at, r.read_on,
       m.multiplier_milli, r.id, m.created_at
from public.meters m join public.readings r on r.meter_id = m.id and r.is_opening;

insert into public.service_agreements (id, service_point_id, customer_id, starts_on, opening_reading_id, created_at)
select md5('agreement/' || m.id)::uuid, md5('service_point/' || m.id)::uuid, m.customer_id, r.read_on, r.id, m.created_at
from public.meters m join public.readings r on r.meter_id = m.id and r.is_opening;

-- The tariffs that its bills were made with, each from the first of them, and the one that it has now.
insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
select md5('agreement_tariff/' || z.meter_id || '/' || z.starts_on)::uuid, md5('agreement/' || z.meter_id)::uuid, z.starts_on, z.tariff_id
from (
    select y.*, lag(y.tariff_id) over (partition by y.meter_id order by y.starts_on) as before
    from (select b.meter_id, b.period_start as starts_on, v.tariff_id
          from public.bills b join public.tariff_versions v on v.id = b.tariff_version_id
          where b.status <> 'void'
          union all
          select m.id, coalesce((select max(b.period_end) from public.bills b where b.meter_id = m.id and b.status <> 'void'),
                                r.read_on), m.tariff_id
          from public.meters m join public.readings r on r.meter_id = m.id and r.is_opening) y
) z
where z.before is distinct from z.tariff_id;

alter table public.bills disable trigger user;
alter table public.bills
    add column agreement_id uuid,
    add column multiplier_milli integer,
    add column segments jsonb;
update public.bills b
set agreement_id = md5('agreement/' || b.meter_id)::uuid, multiplier_milli = m.multiplier_milli
from public.meters m where m.id = b.meter_id;
alter table public.bills
    alter column agreement_id set not null,
    alter column multiplier_milli set not null,
    add constraint bills_agreement_id_fkey foreign key (agreement_id) references public.service_agreements (id),
    add constraint bills_multiplier_milli_check check (multiplier_milli > 0),
    add constraint bills_segments_check check (segments is null or jsonb_typeof(segments) = 'array');
alter table public.bills enable trigger user;
comment on table public.bills is 'One bill an agreement and period, from the closing read of the agreement''s last bill that is not void to a later accepted read.';
comment on column public.bills.segments is 'Where more than one meter or multiplier measured in the period: [{meter_id, opening_reading_id, closing_reading_id, opening_wh, closing_wh, multiplier_milli, consumption_wh}] in order. Null where it was one. The bill''s own meter, multiplier, opening_wh and closing_wh are those of the last.';

drop index public.bills_chain;
create index bills_chain on public.bills (agreement_id, period_end desc) where status <> 'void';
drop index public.bills_past_use;
create index bills_past_use on public.bills (agreement_id, period_end desc) include (period_start, consumption_wh)
    where status = 'issued';
create index bills_meter on public.bills (meter_id, period_end desc);
drop index public.readings_one_opening;
create index readings_opening on public.readings (meter_id) where is_opening;
comment on column public.readings.is_opening is 'The read at which the meter was installed. One that was corrected is it no longer.';

-- A meter that was closed (by hand: nothing closed one until now) was removed where its bills end.
update public.meter_installations i
set removed_at = r.read_at, removed_on = r.read_on, closing_reading_id = r.id
from public.meters m
cross join lateral (select b.closing_reading_id from public.bills b where b.meter_id = m.id and b.status <> 'void'
                    order by b.period_end desc limit 1) b
join public.readings r on r.id = b.closing_reading_id
where m.status = 'closed' and i.meter_id = m.id;
update public.service_agreements a
set ends_on = i.removed_on, closing_reading_id = i.closing_reading_id
from public.meter_installations i
where i.service_point_id = a.service_point_id and i.removed_on is not null;

create view private.tariff_spans with (security_invoker = true) as
select t.agreement_id, t.tariff_id,
       case when lag(t.starts_on) over w is null then '-infinity'::date else t.starts_on end as starts_on,
       coalesce(lead(t.starts_on) over w, 'infinity'::date) as ends_on
from public.agreement_tariffs t
window w as (partition by t.agreement_id order by t.starts_on);
comment on view private.tariff_spans is 'The tariffs of an agreement, each from a local date to another: [starts_on, ends_on). The first holds from ever.';
revoke all on private.tariff_spans from public, anon, authenticated, service_role;
grant select on private.tariff_spans to service_role;

create or replace view public.meter_list with (security_invoker = true) as
select m.id, m.serial, m.kind, m.dials, coalesce(i.multiplier_milli, 1000) as multiplier_milli,
       case when i.id is not null and i.removed_at is null then 'active' else 'closed' end as status,
       i.installed_on as opened_on, a.customer_id, c.account_no, c.name as customer_name,
       coalesce(nullif(s.address, ''), c.address) as address, t.id as tariff_id, t.code as tariff_code,
       t.name as tariff_name, t.currency,
       lower(concat_ws(' ', m.serial, s.code, c.account_no, c.name, s.address, c.address)) as search,
       m.registers, s.connected_w, s.connected_va, s.id as service_point_id, s.code as service_point_code,
       a.id as agreement_id, i.removed_on
from public.meters m
left join lateral (
    select x.* from public.meter_installations x where x.meter_id = m.id order by x.installed_at desc limit 1) i on true
left join public.service_points s on s.id = i.service_point_id
left join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null and i.removed_at is null
left join public.customers c on c.id = a.customer_id
left join lateral (
    select y.tariff_id from public.agreement_tariffs y
    where y.agreement_id = a.id order by y.starts_on <= current_date desc, y.starts_on desc limit 1) y on true
left join public.tariffs t on t.id = y.tariff_id;
comment on view public.meter_list is 'Meters where they are installed, or were last, with who is supplied there now: nobody while the place is vacant.';

create or replace view public.reading_list with (security_invoker = true) as
select r.id, r.meter_id, m.serial as meter_serial, a.customer_id, c.account_no, c.name as customer_name,
       coalesce(nullif(a.address, ''), c.address) as address,
       r.read_at, r.read_on, r.register_wh, r.source, r.status, r.is_opening, r.submitted_by, r.validation,
       r.supersedes_id, r.decided_by, r.decided_at, r.decision_reason, r.created_at,
       b.id as bill_id, b.number as bill_number, b.total_minor as bill_total_minor, b.currency as bill_currency,
       r.registers, r.rolled_over
from public.readings r
join public.meters m on m.id = r.meter_id
left join lateral (
    -- A read between two agreements closes the first: its energy is that one's.
    select x.customer_id, s.address
    from public.meter_installations i
    join public.service_points s on s.id = i.service_point_id
    left join public.service_agreements x on x.service_point_id = s.id and r.read_on >= x.starts_on
        and (x.ends_on is null or r.read_on <= x.ends_on)
    where i.meter_id = r.meter_id and r.read_at >= i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
    order by x.starts_on, i.installed_at limit 1) a on true
left join public.customers c on c.id = a.customer_id
left join public.bills b on b.closing_reading_id = r.id and b.status <> 'void';
comment on view public.reading_list is 'Readings with their meter, the customer who was supplied by it then, and the live bill that each closes.';

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
           select jsonb_agg(x.value || jsonb_build_object('meter_serial', y.serial) order by x.ordinality)
           from jsonb_array_elements(b.segments) with ordinality x
           join public.meters y on y.id = (x.value ->> 'meter_id')::uuid) end as segments,
       p.id as service_point_id, p.code as service_point_code, p.address as service_address
from public.bills b
join public.meters m on m.id = b.meter_id
join public.customers c on c.id = b.customer_id
join public.tariff_versions v on v.id = b.tariff_version_id
join public.tariffs t on t.id = v.tariff_id
join public.service_agreements a on a.id = b.agreement_id
join public.service_points p on p.id = a.service_point_id;

create or replace view public.tariff_list with (security_invoker = true) as
select t.id, t.code, t.name, t.currency,
       (select count(*) from public.agreement_tariffs y join public.service_agreements a on a.id = y.agreement_id
        where y.tariff_id = t.id and a.ends_on is null and not exists (
            select 1 from public.agreement_tariffs n where n.agreement_id = y.agreement_id and n.starts_on > y.starts_on)) as meters,
       (select b.period_end from public.bills b where b.id = private.last_bill_with(t.id)) as billed_until,
       (select jsonb_agg(v.effective_from order by v.effective_from) from private.versions_in_force(t.id) v) as begins
from public.tariffs t;

create or replace view private.graph_meters with (security_invoker = true) as
select l.id, l.serial, l.status, l.opened_on, l.customer_id, s.transformer_id
from public.meter_list l left join public.service_points s on s.id = l.service_point_id;

alter table public.meters
    drop column customer_id, drop column tariff_id, drop column multiplier_milli, drop column status,
    drop column opened_on, drop column transformer_id, drop column connected_w, drop column connected_va;

-- Rules that hold for whoever writes.

create function private.lock_points(p_points uuid[]) returns void
language sql set search_path = '' as $$
    select count(*) from (
        select 1 from public.service_points where id = any (p_points) order by id for update) locked
$$;
comment on function private.lock_points is 'One at a time changes what is measured, supplied or billed at a place; always before customers, bills and the counter.';

create function private.lock_points_of(p_meters uuid[]) returns void
language sql set search_path = '' as $$
    select private.lock_points(array(
        select i.service_point_id from public.meter_installations i where i.meter_id = any (p_meters)))
$$;
comment on function private.lock_points_of is 'Locks the places at which some meters are or were installed.';

create function private.check_installation() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform private.lock_points(array[new.service_point_id]);
    if exists (select 1 from public.meter_installations x
               where x.id <> new.id and x.meter_id = new.meter_id
                 and x.installed_at < coalesce(new.removed_at, 'infinity')
                 and coalesce(x.removed_at, 'infinity') > new.installed_at) then
        raise exception using errcode = 'EB005', message = 'This meter is installed at another place at that time: remove it there first.';
    elsif exists (select 1 from public.meter_installations x
               where x.id <> new.id and x.service_point_id = new.service_point_id
                 and x.installed_at < coalesce(new.removed_at, 'infinity')
                 and coalesce(x.removed_at, 'infinity') > new.installed_at) then
        raise exception using errcode = 'EB005', message = 'Another meter is installed at this place at that time: exchange it, or remove it first.';
    end if;
    return new;
end $$;

create function private.check_agreement() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform private.lock_points(array[new.service_point_id]);
    if exists (select 1 from public.service_agreements x
               where x.id <> new.id and x.service_point_id = new.service_point_id
                 and x.starts_on < coalesce(new.ends_on, 'infinity')
                 and coalesce(x.ends_on, 'infinity') > new.starts_on) then
        raise exception using errcode = 'EB005', message = 'Somebody else has an agreement for this place at that time: end it first.';
    end if;
    return new;
end $$;

create function private.check_agreement_tariff() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (select 1 from public.service_agreements a
               join public.customers c on c.id = a.customer_id
               join public.tariffs t on t.id = new.tariff_id
               where a.id = new.agreement_id and t.currency <> coalesce(c.currency, t.currency)) then
        raise exception using errcode = 'EB005', message = 'That tariff is in another currency than the account.';
    end if;
    return new;
end $$;

create trigger never_two_meters before insert or update on public.meter_installations
    for each row execute function private.check_installation();
create trigger never_two_agreements before insert or update on public.service_agreements
    for each row execute function private.check_agreement();
create trigger one_currency before insert or update on public.agreement_tariffs
    for each row execute function private.check_agreement_tariff();

select private.audit_table('public.service_points'), private.audit_table('public.meter_installations'),
       private.audit_table('public.service_agreements'), private.audit_table('public.agreement_tariffs');
select private.keep_rows('public.service_points'), private.keep_rows('public.meter_installations'),
       private.keep_rows('public.service_agreements'), private.keep_rows('public.agreement_tariffs');

revoke all on function private.lock_points, private.lock_points_of, private.check_installation, private.check_agreement,
    private.check_agreement_tariff from public;
grant execute on function private.lock_points, private.lock_points_of, private.check_installation, private.check_agreement,
    private.check_agreement_tariff to service_role;

-- What is changed about who is supplied where, and by which meter: connecting, moving, exchanging.

create table public.supply_changes (
    id uuid primary key,
    kind text not null check (kind in ('connect', 'move_in', 'move_out', 'exchange', 'multiplier', 'tariff', 'stay')),
    service_point_id uuid not null references public.service_points (id),
    agreement_id uuid references public.service_agreements (id),
    effective_on date not null,
    reason text not null,
    details jsonb not null default '{}',
    correction_id uuid references public.corrections (id),
    created_by text not null check (created_by <> ''),
    created_at timestamptz not null default now()
);
comment on table public.supply_changes is 'Each change of who is supplied at a place, or by which meter: since which local date it holds, why, by whom.';
comment on column public.supply_changes.details is 'What the form said, for the history of the place.';
comment on column public.supply_changes.correction_id is 'Where it came late, and bills had to be reissued.';
create index supply_changes_of_point on public.supply_changes (service_point_id, created_at);
create index supply_changes_of_agreement on public.supply_changes (agreement_id);
alter table public.supply_changes enable row level security;
revoke all on public.supply_changes from public, anon, authenticated, service_role;
grant select, insert on public.supply_changes to service_role;
select private.never_changed('public.supply_changes');

alter table public.corrections drop constraint corrections_kind_check;
alter table public.corrections add constraint corrections_kind_check
    check (kind in ('reading', 'tariff_version', 'tariff', 'void', 'supply'));
comment on column public.corrections.kind is 'reading: a read was wrong. tariff_version: a version of the tariff was. tariff: the meter was on another tariff. void: nothing takes the bill''s place. supply: somebody moved, or a meter was another, and that was said late.';

-- A move between pricing and storing, or a bill between looking and moving.
create or replace function private.check_agreement() returns trigger
language plpgsql set search_path = '' as $$
begin
    perform private.lock_points(array[new.service_point_id]);
    if exists (select 1 from public.service_agreements x
               where x.id <> new.id and x.service_point_id = new.service_point_id
                 and x.starts_on < coalesce(new.ends_on, 'infinity')
                 and coalesce(x.ends_on, 'infinity') > new.starts_on) then
        raise exception using errcode = 'EB005', message = 'Somebody else has an agreement for this place at that time: end it first.';
    elsif new.ends_on is not null and exists (
        select 1 from public.bills b
        where b.agreement_id = new.id and b.status <> 'void' and b.period_end > new.ends_on) then
        raise exception using errcode = 'EB001', message = 'A bill of this agreement runs beyond that day: look at it again.';
    end if;
    return new;
end $$;

create or replace function private.check_installation() returns trigger
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
    elsif new.removed_at is not null and exists (
        select 1 from public.readings r
        where r.meter_id = new.meter_id and r.status in ('accepted', 'needs_review') and r.read_at > new.removed_at
          and not exists (select 1 from public.meter_installations n
                          where n.meter_id = new.meter_id and n.id <> new.id and n.installed_at <= r.read_at
                            and (n.removed_at is null or r.read_at <= n.removed_at))
          -- The same meter goes on under another multiplier: its next row comes in this transaction.
          and current_setting('billing.same_meter', true) is distinct from new.meter_id::text) then
        raise exception using errcode = 'EB005', message = 'This meter was read after that time: correct or reject that reading first.';
    end if;
    return new;
end $$;

create function private.begin_correction(p jsonb, a public.service_agreements) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_void uuid[] := array(select (x ->> 'void')::uuid from jsonb_array_elements(p -> 'touched') with ordinality t(x, n) order by n);
    v_state jsonb;
    v_bill uuid;
begin
    perform private.lock_customers(array(select customer_id from public.bills where id = any (v_void)) || a.customer_id);
    perform 1 from public.bills where id = any (v_void) order by id for update;
    if (select coalesce(jsonb_agg(b.id || ' ' || b.status order by b.period_start), '[]') from public.bills b
            where b.agreement_id = a.id and b.status <> 'void' and b.period_start >= (p ->> 'chain_from')::date)
       is distinct from p -> 'chain' then
        perform private.refuse('EB001', 'The bills of this meter changed meanwhile: look at them again.');
    end if;
    v_state := jsonb_build_object('paid', private.paid_on(p -> 'touched'),
                                  'last', (select coalesce(max(id), 0) from public.allocations));
    foreach v_bill in array array(select b from unnest(v_void) with ordinality u(b, n) order by n desc) loop
        perform private.void_one(v_bill, p ->> 'reason', (p ->> 'on')::date);
    end loop;
    return v_state;
end $$;
comment on function private.begin_correction is 'Voids bills of an agreement, if its chain is as it was seen: {chain_from, chain, touched, reason, on} -> what private.end_correction needs.';

create function private.end_correction(p jsonb, a public.service_agreements, p_state jsonb) returns uuid
language plpgsql set search_path = '' as $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_void uuid[] := array(select (x ->> 'void')::uuid from jsonb_array_elements(p -> 'touched') x);
begin
    if exists (select 1 from jsonb_to_recordset(p -> 'bills') as b(opening_reading_id uuid, reissue_no integer)
               where private.reissues(b.opening_reading_id) <> b.reissue_no) then
        perform private.refuse('EB001', 'The bills of this meter changed meanwhile: look at them again.');
    end if;
    perform private.insert_bills(p -> 'bills');
    perform private.settle(array[a.customer_id]);
    perform private.pay_again(p_state -> 'paid', (p_state ->> 'last')::bigint);
    perform private.settle(array[a.customer_id]);
    if v_void = '{}' then
        return null;
    end if;
    insert into public.corrections (id, kind, meter_id, customer_id, reading_id, reason, warned, difference_minor, currency, created_by)
    select v_id, p ->> 'kind', (p ->> 'meter_id')::uuid, a.customer_id, (p #>> '{reading,id}')::uuid, p ->> 'reason', coalesce(p ->> 'warned', ''),
           (select coalesce(sum(n.total_minor), 0) from public.bills n
            where n.number is not null and n.id in (select (x ->> 'id')::uuid from jsonb_array_elements(p -> 'bills') x))
           - sum(case when o.number is not null then o.total_minor else 0 end), min(o.currency), p ->> 'actor'
    from public.bills o where o.id = any (v_void);
    insert into public.corrected_bills (void_bill_id, correction_id, new_bill_id)
    select (x ->> 'void')::uuid, v_id, (x ->> 'new')::uuid from jsonb_array_elements(p -> 'touched') x;
    perform private.owe_correction(v_id, p #> '{owed,bill_corrected}');
    return v_id;
end $$;
comment on function private.end_correction is 'Stores the bills in the place of those that private.begin_correction voided, lets what paid those pay these, and keeps the correction; null where none was voided.';

create or replace function public.rebill(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    a public.service_agreements;
    v_state jsonb;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into a from public.service_agreements where id = (p ->> 'agreement_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such agreement.');
    end if;
    perform private.lock_points(array[a.service_point_id]);
    if exists (select 1 from public.corrections where id = v_id) then
        return (select to_jsonb(k) from public.correction_list k where k.id = v_id);
    elsif p -> 'touched' = '[]' then
        perform private.refuse('EB001', 'The bills of this meter changed meanwhile: look at them again.');
    end if;
    v_state := private.begin_correction(p, a);
    if p ->> 'reading' is not null then
        perform private.replace_reading(p, a.service_point_id);
    end if;
    if p ->> 'tariff_id' is not null then
        perform private.set_tariff(a.id, (p ->> 'chain_from')::date, (p ->> 'tariff_id')::uuid);
    end if;
    perform private.end_correction(p, a, v_state);
    -- Refused here rather than when the transaction ends, where nobody could say why.
    set constraints all immediate;
    return (select to_jsonb(k) from public.correction_list k where k.id = v_id);
end $$;

create function private.add_customer(p jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_answer jsonb := public.import_customers(jsonb_build_object(
        'actor', p -> 'actor', 'dry_run', false, 'rows', jsonb_build_array(p -> 'customer')));
begin
    -- By the rules of imports, so that a form lets nothing in that a file would not.
    if coalesce(v_answer -> 'errors', 'null') not in ('null', '[]') then
        perform private.refuse('EB005', v_answer #>> '{errors,0,message}');
    elsif (v_answer ->> 'added')::integer <> 1 then
        perform private.refuse('EB005', 'There is a customer with this account number already.');
    end if;
end $$;
comment on function private.add_customer is 'Adds a customer that a form is about: {actor, customer: as import_customers takes it}.';
revoke all on function private.add_customer from public;
grant execute on function private.add_customer to service_role;

create function public.change_supply(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_point uuid := (p ->> 'service_point_id')::uuid;
    a public.service_agreements;
    v_state jsonb;
    v_correction uuid;
    v_deposit bigint;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_points(array(
        select v_point union
        select i.service_point_id from public.meter_installations i where i.meter_id = (p #>> '{install,meter_id}')::uuid));
    if exists (select 1 from public.supply_changes where id = v_id) then
        return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
    end if;
    if p ->> 'customer' is not null then
        perform private.add_customer(p);
    end if;
    insert into public.meters (id, serial, kind, dials, registers)
    select x.id, x.serial, x.kind, x.dials, coalesce(x.registers, '[]')
    from jsonb_to_record(p -> 'new_meter') as x(id uuid, serial text, kind text, dials smallint, registers jsonb)
    where p ->> 'new_meter' is not null;
    if p ->> 'agreement_id' is not null then
        select * into a from public.service_agreements where id = (p ->> 'agreement_id')::uuid and service_point_id = v_point;
        if not found then
            perform private.refuse('EB404', 'No such agreement.');
        elsif a.ends_on is not null and p ->> 'kind' = 'move_out' then
            perform private.refuse('EB005', 'They have moved out already.');
        end if;
        v_state := private.begin_correction(p, a);
    end if;
    if p #>> '{remove,same_meter}' is not null then
        perform set_config('billing.same_meter', p #>> '{remove,same_meter}', true);
    end if;
    -- The read at which a meter goes is one of its installation, that at which one comes is an opening.
    perform private.insert_reading(x) from jsonb_array_elements(coalesce(p -> 'readings', '[]')) x;
    update public.meter_installations i
    set removed_at = x.removed_at, removed_on = x.removed_on, closing_reading_id = x.closing_reading_id, removal_reason = p ->> 'reason'
    from jsonb_to_record(p -> 'remove') as x(
        installation_id uuid, removed_at timestamptz, removed_on date, closing_reading_id uuid)
    where p ->> 'remove' is not null and i.id = x.installation_id and i.removed_at is null;
    if not found and p ->> 'remove' is not null then
        perform private.refuse('EB001', 'This meter was removed meanwhile: look at the place again.');
    end if;
    insert into public.meter_installations (id, service_point_id, meter_id, installed_at, installed_on, multiplier_milli, opening_reading_id)
    select x.id, v_point, x.meter_id, x.installed_at, x.installed_on, x.multiplier_milli, x.opening_reading_id
    from jsonb_to_record(p -> 'install') as x(
        id uuid, meter_id uuid, installed_at timestamptz, installed_on date, multiplier_milli integer, opening_reading_id uuid)
    where p ->> 'install' is not null;
    if p ->> 'end' is not null then
        update public.service_agreements
        set ends_on = (p #>> '{end,ends_on}')::date, closing_reading_id = (p #>> '{end,closing_reading_id}')::uuid
        where id = a.id;
    end if;
    if p ->> 'kind' = 'stay' then
        update public.service_agreements set ends_on = null, closing_reading_id = null where id = a.id;
    end if;
    if p ->> 'start' is not null then
        insert into public.service_agreements (id, service_point_id, customer_id, starts_on, opening_reading_id, billing_day)
        select x.id, v_point, x.customer_id, x.starts_on, x.opening_reading_id, coalesce(x.billing_day, 1)
        from jsonb_to_record(p -> 'start') as x(
            id uuid, customer_id uuid, starts_on date, opening_reading_id uuid, billing_day smallint);
        insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
        select gen_random_uuid(), x.id, x.starts_on, x.tariff_id
        from jsonb_to_record(p -> 'start') as x(id uuid, starts_on date, tariff_id uuid);
        update public.customers c set currency = t.currency
        from public.tariffs t
        where t.id = (p #>> '{start,tariff_id}')::uuid and c.id = (p #>> '{start,customer_id}')::uuid and c.currency is null;
    end if;
    if p ->> 'tariff_id' is not null then
        perform private.set_tariff(a.id, (p ->> 'effective_on')::date, (p ->> 'tariff_id')::uuid);
    end if;
    if a.id is not null then
        v_correction := private.end_correction(p || jsonb_build_object('kind', 'supply'), a, v_state);
    end if;
    if p ->> 'deposit_entry_id' is not null then
        -- What is held pays what is open; what is left of it can be paid out.
        select least(private.open_credit(a.customer_id, 'deposit', c.currency),
                     coalesce((select x.balance_minor from public.accounts x
                               where x.customer_id = c.id and x.book = 'account' and x.currency = c.currency), 0))
        into v_deposit from public.customers c where c.id = a.customer_id;
        if v_deposit > 0 then
            perform public.use_deposit(jsonb_build_object(
                'actor', p ->> 'actor', 'id', p ->> 'deposit_entry_id', 'customer_id', a.customer_id,
                'currency', (select currency from public.customers where id = a.customer_id),
                'amount_minor', v_deposit, 'note', p ->> 'reason', 'on_date', p ->> 'on', 'owed', p -> 'owed'));
        end if;
    end if;
    set constraints all immediate;
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, correction_id, created_by)
    values (v_id, p ->> 'kind', v_point, coalesce(a.id, (p #>> '{start,id}')::uuid), (p ->> 'effective_on')::date, p ->> 'reason',
            coalesce(p -> 'details', '{}'), v_correction, p ->> 'actor');
    return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
exception when unique_violation then
    raise exception using errcode = 'EB005', message = case
        when sqlerrm like '%meters_serial%' then 'There is a meter with this serial already.'
        when sqlerrm like '%readings_one_live%' then 'Another value is stored for this meter at this very time.'
        when sqlerrm like '%one_place%' then 'This meter is installed at another place: remove it there first.'
        when sqlerrm like '%one_meter%' then 'Another meter is installed at this place: exchange it, or remove it first.'
        when sqlerrm like '%one_open%' then 'Somebody else has an agreement for this place: end it first.'
        else 'Somebody else changed this at the same time: look at it again.' end;
end $$;
comment on function public.change_supply is 'Changes who is supplied at a place, or by which meter, in one transaction: {actor, id, kind, service_point_id, effective_on, reason, on, details?, customer?: a new one, as import_customers takes it, new_meter?, readings?: reads to store, remove?: {installation_id, removed_at, removed_on, closing_reading_id, same_meter?}, install?: {id, meter_id, installed_at, installed_on, multiplier_milli, opening_reading_id}, end?: {ends_on, closing_reading_id}, start?: {id, customer_id, starts_on, opening_reading_id, billing_day?, tariff_id}, tariff_id?: from effective_on on; with agreement_id also, as rebill: meter_id, warned?, chain_from, chain, touched, bills, owed?, deposit_entry_id?: the deposit pays what is then open} -> the change. EB001 when the bills are not as they were seen; a repeat is answered with the first result.';

create or replace function public.rebill_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    m public.meter_list;
    a public.service_agreements;
    v_since date;
    v_versions uuid[];
begin
    select * into a from public.service_agreements
    where id = coalesce((select b.agreement_id from public.bills b where b.id = (p ->> 'bill_id')::uuid), (p ->> 'agreement_id')::uuid);
    if not found then
        perform private.refuse('EB404', case when p ? 'bill_id' then 'No such bill.' else 'No such agreement.' end);
    end if;
    -- The meter of the bill; else the last that the agreement had.
    select * into m from public.meter_list
    where id = coalesce(
        (select b.meter_id from public.bills b where b.id = (p ->> 'bill_id')::uuid),
        (select i.meter_id from public.meter_installations i
         where i.service_point_id = a.service_point_id and i.installed_on < coalesce(a.ends_on, 'infinity')
         order by i.installed_at desc limit 1));
    v_versions := case when p ->> 'version_id' is not null then array[(p ->> 'version_id')::uuid]
        else (select coalesce(array_agg(n.replaces_id), '{}')
              from public.bills b
              join public.tariff_versions u on u.id = b.tariff_version_id
              join public.tariff_versions n on n.tariff_id = u.tariff_id and n.replaces_id is not null
              where b.agreement_id = a.id and b.status <> 'void') end;
    v_since := coalesce(
        (select coalesce(prior.period_start, b.period_start)
         from public.bills b
         left join public.bills prior on prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
         where b.id = (p ->> 'bill_id')::uuid),
        (select min(b.period_start) from public.bills b
         where b.agreement_id = a.id and b.status <> 'void' and private.is_priced_by(b, v_versions)),
        (select coalesce((select b.period_start from public.bills b
                          where b.agreement_id = a.id and b.status <> 'void' and b.period_end > (p ->> 'since')::date
                          order by b.period_end limit 1),
                         (select r.read_on from public.readings r where r.id = private.chain_tail(a.id)))
         where p ->> 'since' is not null),
        'infinity');
    return jsonb_build_object(
        'meter', to_jsonb(m) - 'search',
        'agreement_id', a.id, 'tail_id', private.chain_tail(a.id),
        'tail_reissues', private.reissues(private.chain_tail(a.id)),
        'reissues', (select coalesce(jsonb_object_agg(v.opening_reading_id, v.number), '{}')
                     from (select b.opening_reading_id, count(*) as number from public.bills b
                           where b.agreement_id = a.id and b.status = 'void' and b.period_start >= v_since group by 1) v), 'starts_on', a.starts_on, 'ends_on', a.ends_on, 'spans', private.spans_of(a.id),
        'installations', private.installations_between(a.service_point_id, '-infinity', 'infinity'),
        'balance_minor', coalesce((select x.balance_minor from public.accounts x
                                   where x.customer_id = a.customer_id and x.book = 'account'
                                     and x.currency = (select c.currency from public.customers c where c.id = a.customer_id)), 0),
        'bills', (select coalesce(jsonb_agg(to_jsonb(l) - 'search' || jsonb_build_object(
                             'reissues', private.reissues(b.opening_reading_id), 'tariff_id', v.tariff_id,
                             'priced_wrongly', private.is_priced_by(b, v_versions)) order by b.period_start), '[]')
                  from public.bills b
                  join public.bill_list l on l.id = b.id
                  join public.tariff_versions v on v.id = b.tariff_version_id
                  where b.agreement_id = a.id and b.status <> 'void'),
        'reads', (select coalesce(jsonb_agg(to_jsonb(r) order by r.read_at), '[]') from public.reading_list r
                  where r.status = 'accepted' and r.read_on >= v_since and r.id in (
                      select x.id from public.meter_installations i join public.readings x on x.meter_id = i.meter_id
                      where i.service_point_id = a.service_point_id and x.read_at >= i.installed_at
                        and (i.removed_at is null or x.read_at <= i.removed_at))),
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(t) order by t.code, t.effective_from), '[]') from public.tariff_version_list t
                    where t.tariff_id in (select y.tariff_id from public.agreement_tariffs y where y.agreement_id = a.id) or t.code = p ->> 'tariff_code' or t.tariff_id in (
                        select v.tariff_id from public.bills b join public.tariff_versions v on v.id = b.tariff_version_id
                        where b.agreement_id = a.id and b.status <> 'void')),
        'intervals', (select coalesce(jsonb_agg(to_jsonb(i) order by i.day), '[]')
                      from (select distinct on (d.day, d.meter_id) d.day, d.minutes, d.wh from public.intervals d
                            where d.day >= v_since and d.meter_id in (
                                select i.meter_id from public.meter_installations i where i.service_point_id = a.service_point_id)
                            order by d.day, d.meter_id, d.id desc) i));
end $$;

comment on function public.rebill_context is 'What reissuing bills of an agreement needs: {bill_id, or agreement_id with since?: a local date, else the first bill that a wrong version priced; version_id?: one that is about to be corrected; tariff_code?} -> {meter, agreement_id, tail_id, tail_reissues, starts_on, ends_on, spans, installations, balance_minor, bills: all that are not void in order, reads and intervals from the bill before on, tariffs}.';

create function public.connect_supply(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_point uuid := md5('service_point/' || (p #>> '{meter,id}'))::uuid;
    v_answer jsonb;
begin
    perform private.set_actor(p);
    if exists (select 1 from public.supply_changes where id = v_id) then
        return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
    end if;
    if p ->> 'customer' is not null then
        perform private.add_customer(p);
    end if;
    v_answer := public.import_meters(jsonb_build_object(
        'actor', p -> 'actor', 'dry_run', false, 'rows', jsonb_build_array(p -> 'meter')));
    if coalesce(v_answer -> 'errors', 'null') not in ('null', '[]') then
        perform private.refuse('EB005', v_answer #>> '{errors,0,message}');
    elsif (v_answer ->> 'added')::integer <> 1 then
        perform private.refuse('EB005', 'There is a meter with this serial already.');
    end if;
    update public.service_points
    set code = coalesce(nullif(p #>> '{point,code}', ''), code), address = coalesce(p #>> '{point,address}', address),
        access_note = coalesce(p #>> '{point,access_note}', ''), route = coalesce(p #>> '{point,route}', '')
    where id = v_point;
    update public.service_agreements set billing_day = coalesce((p ->> 'billing_day')::smallint, 1)
    where service_point_id = v_point and billing_day <> coalesce((p ->> 'billing_day')::smallint, 1);
    insert into public.supply_changes (id, kind, service_point_id, agreement_id, effective_on, reason, details, created_by)
    select v_id, 'connect', v_point, a.id, a.starts_on, p ->> 'reason', coalesce(p -> 'details', '{}'), p ->> 'actor'
    from public.service_agreements a where a.service_point_id = v_point;
    return (select to_jsonb(c) from public.supply_changes c where c.id = v_id);
exception when unique_violation then
    raise exception using errcode = 'EB005', message = 'There is a service point with this code already.';
end $$;
comment on function public.connect_supply is 'Connects a customer at a new place, in one transaction: {actor, id, reason, details?, customer?: as import_customers takes it, for a new one, meter: as import_meters takes it, point: {code?, address?, access_note?, route?}, billing_day?} -> the change. A repeat is answered with the first result.';

create view public.service_point_list with (security_invoker = true) as
select s.id, s.code, s.address, s.route, s.sequence, s.phases, s.connected_w, s.connected_va, s.access_note,
       s.transformer_id, t.code as transformer_code, s.created_at,
       m.id as meter_id, m.serial as meter_serial, i.installed_on,
       a.id as agreement_id, a.customer_id, c.account_no, c.name as customer_name, a.starts_on,
       lower(concat_ws(' ', s.code, s.address, s.route, m.serial, c.account_no, c.name)) as search
from public.service_points s
left join public.transformers t on t.id = s.transformer_id
left join public.meter_installations i on i.service_point_id = s.id and i.removed_at is null
left join public.meters m on m.id = i.meter_id
left join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null
left join public.customers c on c.id = a.customer_id;
comment on view public.service_point_list is 'Places of supply with the meter that is there and who is supplied now.';
revoke all on public.service_point_list from public, anon, authenticated, service_role;
grant select on public.service_point_list to service_role;

create function public.supply_context(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    s public.service_points;
begin
    select * into s from public.service_points where id = (p ->> 'service_point_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such service point.');
    end if;
    return jsonb_build_object(
        'point', (select to_jsonb(l) - 'search' from public.service_point_list l where l.id = s.id),
        'installations', (select coalesce(jsonb_agg(to_jsonb(i) || jsonb_build_object(
                'serial', m.serial, 'dials', m.dials, 'kind', m.kind, 'registers', m.registers,
                'opening', private.reading_json(i.opening_reading_id), 'closing', private.reading_json(i.closing_reading_id))
                order by i.installed_at desc), '[]')
            from public.meter_installations i join public.meters m on m.id = i.meter_id where i.service_point_id = s.id),
        'agreements', (select coalesce(jsonb_agg(to_jsonb(a) || jsonb_build_object(
                'account_no', c.account_no, 'customer_name', c.name, 'currency', c.currency,
                'opening', private.reading_json(a.opening_reading_id), 'closing', private.reading_json(a.closing_reading_id),
                'billed_until', (select max(b.period_end) from public.bills b where b.agreement_id = a.id and b.status <> 'void'),
                'tariffs', (select jsonb_agg(jsonb_build_object('starts_on', t.starts_on, 'code', r.code, 'name', r.name) order by t.starts_on)
                            from public.agreement_tariffs t join public.tariffs r on r.id = t.tariff_id where t.agreement_id = a.id))
                order by a.starts_on desc), '[]')
            from public.service_agreements a join public.customers c on c.id = a.customer_id where a.service_point_id = s.id),
        'last_reads', (select coalesce(jsonb_agg(to_jsonb(r) order by r.read_at desc), '[]')
            from (select x.* from public.meter_installations i join public.reading_list x on x.meter_id = i.meter_id
                  where i.service_point_id = s.id and x.status = 'accepted' and x.read_at >= i.installed_at
                    and (i.removed_at is null or x.read_at <= i.removed_at)
                    and (p ->> 'on' is null or x.read_on = (p ->> 'on')::date)
                  order by x.read_at desc limit 40) r),
        'changes', (select coalesce(jsonb_agg(to_jsonb(k) order by k.created_at desc), '[]')
                    from public.supply_changes k where k.service_point_id = s.id));
end $$;
comment on function public.supply_context is 'A place with everything: {service_point_id, on?: a local date} -> {point, installations and agreements the last first, last_reads: up to 40 accepted ones, of that date if given, changes}.';

create view public.unbilled_use_list with (security_invoker = true) as
with gaps as (
    -- From where an agreement ended to where the next began, if it did.
    select a.service_point_id, a.ends_on as since, a.closing_reading_id, n.starts_on as until, n.opening_reading_id
    from public.service_agreements a
    left join lateral (
        select x.starts_on, x.opening_reading_id from public.service_agreements x
        where x.service_point_id = a.service_point_id and x.starts_on >= a.ends_on
        order by x.starts_on limit 1) n on true
    where a.ends_on is not null and (n.starts_on is null or n.starts_on > a.ends_on)
    union all
    -- From where the first meter came to where the first agreement began.
    select i.service_point_id, i.installed_on, i.opening_reading_id, n.starts_on, n.opening_reading_id
    from public.meter_installations i
    left join lateral (
        select x.starts_on, x.opening_reading_id from public.service_agreements x
        where x.service_point_id = i.service_point_id order by x.starts_on limit 1) n on true
    where not exists (select 1 from public.service_agreements x where x.opening_reading_id = i.opening_reading_id)
      and not exists (select 1 from public.meter_installations x
                      where x.service_point_id = i.service_point_id and x.installed_at < i.installed_at)
)
select s.id as service_point_id, s.code as service_point_code, s.address, g.since, g.until, m.id as meter_id, m.serial as meter_serial,
       ((c.register_wh - o.register_wh + private.register_span_wh(m.dials)) % private.register_span_wh(m.dials)
            * i.multiplier_milli + 500) / 1000 as wh
from gaps g
join public.service_points s on s.id = g.service_point_id
join public.meter_installations i on i.service_point_id = s.id
join public.meters m on m.id = i.meter_id
join lateral (
    select r.* from public.readings r
    where r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
      and (i.removed_at is null or r.read_at <= i.removed_at) and r.read_on >= g.since
    order by r.id = g.closing_reading_id desc, r.read_at limit 1) o on true
join lateral (
    select r.* from public.readings r
    where r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
      and (i.removed_at is null or r.read_at <= i.removed_at) and r.read_on <= coalesce(g.until, 'infinity')
    order by r.id = g.opening_reading_id desc, r.read_at desc limit 1) c on true
where c.read_at > o.read_at;
comment on view public.unbilled_use_list is 'What was measured at a place while nobody had an agreement for it, in Wh: from one local date to another, which is null while it lasts.';
revoke all on public.unbilled_use_list from public, anon, authenticated, service_role;
grant select on public.unbilled_use_list to service_role;
revoke all on function private.begin_correction, private.end_correction, public.change_supply, public.connect_supply, public.supply_context from public;
grant execute on function private.begin_correction, private.end_correction, public.change_supply, public.connect_supply, public.supply_context to service_role;

-- Supply that is disconnected, for non-payment as a rule, and reconnected with a fee.

create table public.disconnections (
    id uuid primary key,
    agreement_id uuid not null references public.service_agreements (id),
    disconnected_on date not null,
    disconnect_reading_id uuid not null references public.readings (id) deferrable initially deferred,
    reconnected_on date,
    reconnect_reading_id uuid references public.readings (id) deferrable initially deferred,
    fee_entry_id uuid references public.ledger_entries (id),
    withdrawn boolean not null default false,
    created_at timestamptz not null default now(),
    check (reconnected_on >= disconnected_on),
    check ((reconnected_on is null) = (reconnect_reading_id is null)),
    check (not withdrawn or reconnected_on is null),
    check (fee_entry_id is null or reconnected_on is not null)
);
comment on table public.disconnections is 'When the supply of an agreement was cut: [disconnected_on, reconnected_on), at the latest until the agreement ends. Never two at a time. Bills run on over it.';
comment on column public.disconnections.reconnected_on is 'Exclusive: the local date of the read at which the supply came back; null while it is cut or until the agreement ends.';
comment on column public.disconnections.fee_entry_id is 'The fee for the reconnection, where one was charged.';
comment on column public.disconnections.withdrawn is 'It was entered by mistake: they were not disconnected.';
create unique index disconnections_one_open on public.disconnections (agreement_id) where reconnected_on is null and not withdrawn;
create index disconnections_of_agreement on public.disconnections (agreement_id, disconnected_on desc);
create index disconnections_disconnect_reading on public.disconnections (disconnect_reading_id);
create index disconnections_reconnect_reading on public.disconnections (reconnect_reading_id) where reconnect_reading_id is not null;
create index disconnections_fee on public.disconnections (fee_entry_id) where fee_entry_id is not null;
alter table public.disconnections enable row level security;
revoke all on public.disconnections from public, anon, authenticated, service_role;
grant select, insert, update on public.disconnections to service_role;
select private.audit_table('public.disconnections'), private.keep_rows('public.disconnections');

alter table public.supply_changes drop constraint supply_changes_kind_check;
alter table public.supply_changes add constraint supply_changes_kind_check check (kind in (
    'connect', 'move_in', 'move_out', 'exchange', 'multiplier', 'tariff', 'stay',
    'disconnect', 'reconnect', 'not_disconnected', 'not_reconnected'));

create or replace view public.service_point_list WITH (security_invoker='true') AS
 SELECT s.id,
    s.code,
    s.address,
    s.route,
    s.sequence,
    s.phases,
    s.connected_w,
    s.connected_va,
    s.access_note,
    s.transformer_id,
    t.code AS transformer_code,
    s.created_at,
    m.id AS meter_id,
    m.serial AS meter_serial,
    i.installed_on,
    a.id AS agreement_id,
    a.customer_id,
    c.account_no,
    c.name AS customer_name,
    a.starts_on,
    lower(concat_ws(' '::text, s.code, s.address, s.route, m.serial, c.account_no, c.name)) AS search,
    d.disconnected_on
   FROM ((((((public.service_points s
     LEFT JOIN public.transformers t ON ((t.id = s.transformer_id)))
     LEFT JOIN public.meter_installations i ON (((i.service_point_id = s.id) AND (i.removed_at IS NULL))))
     LEFT JOIN public.meters m ON ((m.id = i.meter_id)))
     LEFT JOIN public.service_agreements a ON (((a.service_point_id = s.id) AND (a.ends_on IS NULL))))
     LEFT JOIN public.customers c ON ((c.id = a.customer_id)))
     LEFT JOIN public.disconnections d ON (((d.agreement_id = a.id) AND (d.reconnected_on IS NULL) AND (NOT d.withdrawn))));
comment on column public.service_point_list.disconnected_on is 'Since when their supply is cut; null while it is not.';

create function private.is_disconnected(p_agreement_id uuid, p_on date) returns boolean
language sql stable set search_path = '' as $$
    select exists (select 1 from public.disconnections d
                   where d.agreement_id = p_agreement_id and not d.withdrawn
                     and d.disconnected_on <= p_on and coalesce(d.reconnected_on, 'infinity') > p_on)
$$;
comment on function private.is_disconnected is 'Whether the supply of an agreement was cut on a local date.';
revoke all on function private.is_disconnected(uuid, date) from public, anon, authenticated;
grant execute on function private.is_disconnected(uuid, date) to service_role;

create function private.change_disconnection(p jsonb, a public.service_agreements) returns void
language plpgsql set search_path = '' as $$
declare
    v_kind text := p ->> 'kind';
    v_on date := (p ->> 'effective_on')::date;
    d public.disconnections;
begin
    -- The last one that counts; the place and the customer are locked.
    select * into d from public.disconnections x
    where x.agreement_id = a.id and not x.withdrawn order by x.disconnected_on desc, x.created_at desc limit 1;
    if v_kind = 'disconnect' then
        if a.ends_on is not null or v_on <= a.starts_on then
            perform private.refuse('EB005', 'Nobody who has an agreement for this place was supplied that day.');
        elsif d.id is not null and d.reconnected_on is null then
            perform private.refuse('EB005', 'They are disconnected already.');
        elsif v_on < d.reconnected_on then
            perform private.refuse('EB005', 'They were reconnected after that day: give a later one.');
        end if;
        insert into public.disconnections (id, agreement_id, disconnected_on, disconnect_reading_id)
        values ((p #>> '{disconnection,id}')::uuid, a.id, v_on, (p #>> '{disconnection,reading_id}')::uuid);
        return;
    end if;
    if d.id is distinct from (p #>> '{disconnection,id}')::uuid
       or (v_kind = 'not_reconnected') = (d.reconnected_on is null) then
        perform private.refuse('EB001', 'They were disconnected or reconnected meanwhile: look at the place again.');
    end if;
    if v_kind = 'reconnect' then
        if p #> '{disconnection,fee}' <> 'null' then
            perform public.add_adjustment((p #> '{disconnection,fee}') || jsonb_build_object(
                'actor', p -> 'actor', 'kind', 'fee', 'customer_id', a.customer_id, 'on_date', p -> 'on', 'owed', p -> 'owed'));
        end if;
        update public.disconnections
        set reconnected_on = v_on, reconnect_reading_id = (p #>> '{disconnection,reading_id}')::uuid,
            fee_entry_id = (p #>> '{disconnection,fee,id}')::uuid
        where id = d.id;
    elsif v_kind = 'not_reconnected' then
        update public.disconnections set reconnected_on = null, reconnect_reading_id = null, fee_entry_id = null where id = d.id;
        if d.fee_entry_id is not null then
            perform public.undo_adjustment(jsonb_build_object(
                'actor', p -> 'actor', 'entry_id', d.fee_entry_id, 'reason', p -> 'reason', 'on_date', p -> 'on', 'owed', p -> 'owed'));
        end if;
    else
        update public.disconnections set withdrawn = true where id = d.id;
    end if;
end $$;
comment on function private.change_disconnection is 'The part of change_supply that cuts a supply, brings it back with its fee, or takes either back: {kind, effective_on, reason, on, owed?, disconnection: {id, reading_id?, fee?: {id, amount_minor, currency, note}}}.';
revoke all on function private.change_disconnection(jsonb, public.service_agreements) from public, anon, authenticated;
grant execute on function private.change_disconnection(jsonb, public.service_agreements) to service_role;

create or replace function public.change_supply(p jsonb) returns jsonb
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
    if p ->> 'disconnection' is not null then
        perform private.change_disconnection(p, a);
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
        when sqlerrm like '%disconnections_one_open%' then 'They are disconnected already.'
        else 'Somebody else changed this at the same time: look at it again.' end;
end $$;

comment on function public.change_supply is 'Changes who is supplied at a place, or by which meter, in one transaction: {actor, id, kind, service_point_id, effective_on, reason, on, details?, customer?: a new one, as import_customers takes it, new_meter?, readings?: reads to store, remove?: {installation_id, removed_at, removed_on, closing_reading_id, same_meter?}, install?: {id, meter_id, installed_at, installed_on, multiplier_milli, opening_reading_id}, end?: {ends_on, closing_reading_id}, start?: {id, customer_id, starts_on, opening_reading_id, billing_day?, tariff_id}, tariff_id?: from effective_on on, disconnection?: as private.change_disconnection takes it, with agreement_id; with agreement_id also, as rebill: meter_id, warned?, chain_from, chain, touched, bills, owed?, deposit_entry_id?: the deposit pays what is then open} -> the change. EB001 when the bills are not as they were seen; a repeat is answered with the first result.';

create or replace function public.supply_context(p jsonb) returns jsonb
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
        'disconnections', (select coalesce(jsonb_agg(to_jsonb(d) || jsonb_build_object(
                'disconnected', private.reading_json(d.disconnect_reading_id), 'reconnected', private.reading_json(d.reconnect_reading_id))
                order by d.disconnected_on desc, d.created_at desc), '[]')
            from public.service_agreements a join public.disconnections d on d.agreement_id = a.id
            where a.service_point_id = s.id and not d.withdrawn),
        'last_reads', (select coalesce(jsonb_agg(to_jsonb(r) order by r.read_at desc), '[]')
            from (select x.* from public.meter_installations i join public.reading_list x on x.meter_id = i.meter_id
                  where i.service_point_id = s.id and x.status = 'accepted' and x.read_at >= i.installed_at
                    and (i.removed_at is null or x.read_at <= i.removed_at)
                    and (p ->> 'on' is null or x.read_on = (p ->> 'on')::date)
                  order by x.read_at desc limit 40) r),
        'changes', (select coalesce(jsonb_agg(to_jsonb(k) order by k.created_at desc), '[]')
                    from public.supply_changes k where k.service_point_id = s.id));
end $$;

comment on function public.supply_context is 'A place with everything: {service_point_id, on?: a local date} -> {point, installations, agreements and disconnections (with their reads) the last first, last_reads: up to 40 accepted ones, of that date if given, changes}.';

create or replace function public.unbilled_facts(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('agreements', coalesce(jsonb_agg(jsonb_build_object(
        'agreement_id', a.id, 'kept_back', to_jsonb(k),
        'next_on', (select min(r.read_on) from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
                    where i.service_point_id = a.service_point_id and r.status = 'accepted'
                      and r.read_on > private.cycle_end((p ->> 'on')::date, a.billing_day) and r.read_at > i.installed_at
                      and (i.removed_at is null or r.read_at <= i.removed_at)),
        'disconnected', private.is_disconnected(a.id, private.cycle_end((p ->> 'on')::date, a.billing_day)),
        'last_bill_id', (select b.id from public.bills b
                         where b.closing_reading_id = o.id and b.agreement_id = a.id and b.status = 'issued' limit 1))), '[]'))
    from public.service_agreements a
    join public.readings o on o.id = private.chain_tail(a.id)
    left join lateral (
        select r.id, r.read_on, r.register_wh, r.status
        from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
        where i.service_point_id = a.service_point_id and r.status in ('needs_review', 'rejected')
          and r.read_at > i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
          and r.read_at > o.read_at and r.read_on > o.read_on and r.read_on <= private.cycle_end((p ->> 'on')::date, a.billing_day)
        order by r.status, r.read_at desc limit 1) k on true
    where a.id in (select jsonb_array_elements_text(p -> 'agreements')::uuid)
$$;

comment on function public.unbilled_facts is 'What there is instead of a closing read: {agreements: [ids], on: local date of the run} -> {agreements: [{agreement_id, kept_back: a read that waits for review or was rejected, next_on: date of the first read after the cycle, disconnected: the supply was cut when the cycle ended, last_bill_id}]}.';

create or replace function private.replace_reading(p jsonb, p_point_id uuid) returns void
language plpgsql set search_path = '' as $$
declare
    r public.readings;
    v_right jsonb := nullif(p #> '{reading,right}', 'null'::jsonb);
begin
    select * into r from public.readings
    where id = (p #>> '{reading,id}')::uuid and status = 'accepted'
      and meter_id in (select i.meter_id from public.meter_installations i where i.service_point_id = p_point_id) for update;
    if not found then
        perform private.refuse('EB001', 'This reading was corrected meanwhile.');
    elsif v_right is null and (
        r.is_opening
        or exists (select 1 from public.meter_installations where closing_reading_id = r.id)
        or exists (select 1 from public.service_agreements where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.disconnections where r.id in (disconnect_reading_id, reconnect_reading_id) and not withdrawn)) then
        perform private.refuse('EB005', 'A read at which a meter came or went, or somebody moved or was disconnected, can be corrected, not withdrawn.');
    end if;
    if v_right is not null and (v_right ->> 'read_on')::date <> r.read_on and (
        r.is_opening
        or exists (select 1 from public.meter_installations where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.service_agreements where r.id in (opening_reading_id, closing_reading_id))
        or exists (select 1 from public.disconnections where r.id in (disconnect_reading_id, reconnect_reading_id) and not withdrawn)) then
        perform private.refuse('EB005', 'A read at which a meter came or went, or somebody moved or was disconnected, keeps its date.');
    end if;
    if v_right is not null then
        update public.meter_installations set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.meter_installations set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
        update public.service_agreements set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.service_agreements set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
        update public.disconnections set disconnect_reading_id = (v_right ->> 'id')::uuid where disconnect_reading_id = r.id;
        update public.disconnections set reconnect_reading_id = (v_right ->> 'id')::uuid where reconnect_reading_id = r.id;
    end if;
    update public.readings
    set status = case when v_right is null then 'rejected' else 'superseded' end, is_opening = false,
        decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason'
    where id = r.id;
    if v_right is not null then
        perform private.insert_reading(v_right || jsonb_build_object(
            'meter_id', r.meter_id, 'read_at', coalesce((v_right ->> 'read_at')::timestamptz, r.read_at),
            'read_on', coalesce((v_right ->> 'read_on')::date, r.read_on), 'source', r.source, 'status', 'accepted',
            'is_opening', r.is_opening, 'submitted_by', p ->> 'actor', 'supersedes_id', r.id, 'decided_by', p ->> 'actor',
            'decided_at', now(), 'decision_reason', p ->> 'reason'));
    end if;
end $$;

create or replace function public.reading_to_correct(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    r public.readings;
begin
    select * into r from public.readings where id = (p ->> 'reading_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such reading.');
    end if;
    return jsonb_build_object(
        'reading', private.reading_json(r.id),
        'bill_id', (select b.id from public.bills b
                    where b.status <> 'void' and r.id in (b.closing_reading_id, b.opening_reading_id)
                    order by b.closing_reading_id = r.id desc limit 1),
        'at_a_change', r.is_opening or exists (select 1 from public.meter_installations i where r.id in (i.opening_reading_id, i.closing_reading_id))
            or exists (select 1 from public.service_agreements a where r.id in (a.opening_reading_id, a.closing_reading_id))
            or exists (select 1 from public.disconnections d where r.id in (d.disconnect_reading_id, d.reconnect_reading_id) and not d.withdrawn),
        'before', (select private.reading_json(x.id) from public.readings x
                   where x.meter_id = r.meter_id and x.status = 'accepted' and x.read_at < r.read_at order by x.read_at desc limit 1),
        'after', (select private.reading_json(x.id) from public.readings x
                  where x.meter_id = r.meter_id and x.status = 'accepted' and x.read_at > r.read_at order by x.read_at limit 1));
end $$;

comment on function public.reading_to_correct is 'A reading with what its correction depends on: {reading_id} -> {reading, bill_id: the bill that closes at it, else that opens at it, else null, at_a_change: a meter came or went, somebody moved, was disconnected or reconnected then, before, after: the accepted reads beside it}.';

create or replace function private.archived_tables() returns text[]
language sql immutable set search_path = '' as $$
    -- Not here: sign-ins, keys and addresses that are secrets, work owed to the outside, and documents, which are files.
    select array['customers', 'customer_notes', 'tariffs', 'tariff_versions', 'feeders', 'transformers', 'supplies',
                 'service_points', 'meters', 'meter_installations', 'service_agreements', 'agreement_tariffs', 'billing_cycles',
                 'reading_routes', 'supply_changes', 'disconnections', 'readings', 'intervals', 'bills', 'notifications', 'accounts', 'ledger_entries',
                 'open_items', 'allocations', 'payments', 'payment_returns', 'payment_flags', 'past_payments', 'bank_lines',
                 'instalment_plans', 'plan_bills', 'instalments', 'spared_bills', 'corrections', 'corrected_bills', 'month_closings',
                 'utility_settings', 'audit_log']
$$;

-- Publishing a tariff version: one rule for the page and for imports, who did it, what was billed with it.

create index bills_by_version on public.bills (tariff_version_id, period_end, id) where status <> 'void';

create function private.last_bill_with(p_tariff uuid) returns uuid
language sql stable set search_path = '' as $$
    select b.id
    from public.tariff_versions v
    cross join lateral (
        select id, period_end from public.bills
        where tariff_version_id = v.id and status <> 'void'
        order by period_end desc, id desc limit 1) b
    where v.tariff_id = p_tariff
    order by b.period_end desc, b.id desc limit 1
$$;
comment on function private.last_bill_with is
    'The bill that ends last of those, drafts too, that were made with any version of a tariff.';

create function private.refusal_of_version(p_code text, p_currency text, p_from date, p_definition jsonb)
returns table (field text, message text)
language sql stable set search_path = '' as $$
    select case when t.currency <> p_currency then 'currency' else 'effective_from' end,
           case
           when t.currency <> p_currency then format(
               'Tariff %s is in %s; its currency cannot change.', p_code, t.currency)
           when v.id is not null then format(
               'Tariff %s already has another version from %s; a version never changes: give the new one a later date.',
               p_code, p_from)
           else format(
               'Tariff %s is billed up to %s (meter %s): a new version must begin on that day or later.',
               p_code, to_char(b.period_end, 'FMDD Mon YYYY'), m.serial)
           end
    from public.tariffs t
    left join public.tariff_versions v on v.tariff_id = t.id and v.effective_from = p_from
    left join public.bills b on b.id = private.last_bill_with(t.id)
    left join public.meters m on m.id = b.meter_id
    where t.code = p_code
      and (t.currency <> p_currency
           or v.definition <> p_definition
           or (v.id is null and b.period_end > p_from))
$$;
comment on function private.refusal_of_version is
    'Why a version of a tariff may not be added: no row where it may. The version that is there already is no reason.';

create function private.lock_tariffs(p_codes text[]) returns void
language plpgsql set search_path = '' as $$
begin
    -- By name, for there may be no row yet; in one order, so that two never wait for each other.
    perform pg_advisory_xact_lock(k.key)
    from (select distinct hashtextextended('tariff ' || c.code, 0) as key from unnest(p_codes) c(code) order by 1) k;
    -- Waits for bills that are just being stored with these versions, and lets later ones wait.
    perform 1 from public.tariff_versions v join public.tariffs t on t.id = v.tariff_id
    where t.code = any (p_codes) order by v.id for update of v;
end $$;
comment on function private.lock_tariffs is 'One publication of a tariff at a time, and none beside a bill of it.';

create function public.publish_tariff(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_from date := (p ->> 'effective_from')::date;
    v_refused text;
begin
    perform private.set_actor(p);
    perform private.lock_tariffs(array[p ->> 'code']);
    select message into v_refused
    from private.refusal_of_version(p ->> 'code', p ->> 'currency', v_from, p -> 'definition');
    if v_refused is not null then
        raise exception using errcode = 'EB005', message = v_refused;
    end if;
    insert into public.tariffs (id, code, name, currency)
    values ((p ->> 'tariff_id')::uuid, p ->> 'code', p ->> 'name', p ->> 'currency')
    on conflict do nothing;
    insert into public.tariff_versions (id, tariff_id, effective_from, definition)
    select (p ->> 'id')::uuid, t.id, v_from, p -> 'definition'
    from public.tariffs t where t.code = p ->> 'code'
    on conflict do nothing;
    return jsonb_build_object('added', found);
end $$;
comment on function public.publish_tariff is
    'Adds a version of a tariff, or the tariff with its first: {actor, id, tariff_id, code, name, currency, effective_from, definition}. The same version again changes nothing.';

create or replace function public.import_tariffs(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_errors jsonb;
    v_added integer := 0;
begin
    perform private.set_actor(p);
    perform private.lock_tariffs(array(
        select distinct x.code from jsonb_to_recordset(p -> 'rows') as x(code text)));
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', r.field, 'message', r.message))
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x(
        "row" integer, code text, currency text, effective_from date, definition jsonb)
    cross join lateral private.refusal_of_version(x.code, x.currency, x.effective_from, x.definition) r;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.tariffs (id, code, name, currency)
        select distinct on (x.code) x.tariff_id, x.code, x.name, x.currency
        from jsonb_to_recordset(p -> 'rows') as x(tariff_id uuid, code text, name text, currency text)
        order by x.code
        on conflict do nothing;
        insert into public.tariff_versions (id, tariff_id, effective_from, definition)
        select x.id, t.id, x.effective_from, x.definition
        from jsonb_to_recordset(p -> 'rows') as x(id uuid, code text, effective_from date, definition jsonb)
        join public.tariffs t on t.code = x.code
        on conflict do nothing;
        get diagnostics v_added = row_count;
    end if;
    return private.import_answer(v_errors, v_added, 0, jsonb_array_length(p -> 'rows') - v_added);
end $$;

-- A bill that was priced before a version was published, and comes to be stored after it.
create function private.refuse_replaced_version() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (
        select 1
        from new_rows b
        join public.tariff_versions used on used.id = b.tariff_version_id
        join public.tariff_versions newer on newer.tariff_id = used.tariff_id
        where newer.effective_from > used.effective_from and newer.effective_from <= b.period_start
    ) then
        raise exception using errcode = 'EB001',
            message = 'A new version of the tariff came between: the price must be computed again.';
    end if;
    return null;
end $$;
create trigger bills_use_the_version_in_force after insert on public.bills
    referencing new table as new_rows for each statement execute function private.refuse_replaced_version();

create view public.tariff_list with (security_invoker = true) as
select t.id, t.code, t.name, t.currency,
       (select count(*) from public.meters m where m.tariff_id = t.id and m.status = 'active') as meters,
       (select b.period_end from public.bills b where b.id = private.last_bill_with(t.id)) as billed_until,
       (select jsonb_agg(v.effective_from order by v.effective_from)
        from public.tariff_versions v where v.tariff_id = t.id) as begins
from public.tariffs t;
comment on column public.tariff_list.billed_until is
    'The end of the last bill made with it, draft or issued: a new version begins then or later. Null without bills.';
comment on column public.tariff_list.begins is 'The dates from which its versions hold, in order.';

create view public.published_version_list with (security_invoker = true) as
select v.id, v.tariff_id, t.code, t.name, t.currency, v.effective_from, v.definition,
       v.created_at as published_at,
       (select a.actor from public.audit_log a
        where a.table_name = 'tariff_versions' and a.row_id = v.id::text and a.action = 'insert'
        limit 1) as published_by
from public.tariff_versions v join public.tariffs t on t.id = v.tariff_id;
comment on view public.published_version_list is 'The versions of tariffs, with who published each and when.';

create function public.billed_uses(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with wanted as (
        select b.id, b.period_start, b.period_end, b.consumption_wh, b.total_minor, b.customer_id, b.meter_id
        from public.bills b join public.tariff_versions v on v.id = b.tariff_version_id
        where v.tariff_id = (p ->> 'tariff_id')::uuid and b.status = 'issued'
          and b.period_end > (p ->> 'after_day')::date and b.period_end <= (p ->> 'until_day')::date
          and (p -> 'after' = 'null'
               or (b.period_end, b.id) > ((p -> 'after' ->> 'period_end')::date, (p -> 'after' ->> 'id')::uuid))
        order by b.period_end, b.id
        limit (p ->> 'limit')::integer
    )
    select jsonb_build_object('bills', coalesce(jsonb_agg(jsonb_build_object(
        'id', w.id, 'account_no', c.account_no, 'meter_serial', m.serial,
        'period_start', w.period_start, 'period_end', w.period_end,
        'consumption_wh', w.consumption_wh, 'total_minor', w.total_minor) order by w.period_end, w.id), '[]'))
    from wanted w
    join public.customers c on c.id = w.customer_id
    join public.meters m on m.id = w.meter_id
$$;
comment on function public.billed_uses is
    'What issued bills of a tariff were made of, by period_end in (after_day, until_day] and id: {tariff_id, after_day, until_day, after: {period_end, id} or null, limit}.';

revoke all on public.tariff_list, public.published_version_list from public, anon, authenticated;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant select on public.tariff_list, public.published_version_list to service_role;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

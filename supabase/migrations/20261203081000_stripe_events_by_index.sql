-- Events of Stripe are found and counted by indexes of their own: the list joined each with its payment, bill and customer before it
-- looked for a text or passed over what is on earlier pages.

drop view public.stripe_event_list;
create view public.stripe_event_list with (security_invoker = true) as
select e.id, e.type, e.created_at, e.received_at, e.arrived_by, e.livemode, e.object_id, e.payment_intent, e.effect, e.outcome, e.detail,
       e.payment_id, y.amount_minor as payment_minor, y.currency as payment_currency, y.bill_id, b.number as bill_number, c.account_no
from public.stripe_events e
left join public.payments y on y.id = e.payment_id
left join public.bills b on b.id = y.bill_id
left join public.customers c on c.id = y.customer_id;
comment on view public.stripe_event_list is 'Events of Stripe with the payment that each is about.';
grant select on public.stripe_event_list to service_role;

-- The newest first, as the list is.
drop index public.stripe_events_created;
create index stripe_events_recent on public.stripe_events (created_at desc, id desc);
create index stripe_events_by_outcome on public.stripe_events (outcome, created_at desc, id desc);
create index stripe_events_by_type on public.stripe_events (type, created_at desc, id desc);

create function private.stripe_event_is(p_word text) returns text
language plpgsql stable set search_path = '' as $$
declare
    v_types text[];
    v_payments uuid[];
    v_bill constant text := private.names_a_bill(lower(p_word), 'b.number');
begin
    -- The few types that there are, each found once by the index.
    with recursive types as (
        (select e.type from public.stripe_events e order by e.type limit 1)
        union all
        select (select e.type from public.stripe_events e where e.type > t.type order by e.type limit 1) from types t where t.type is not null
    )
    select array_agg(t.type) into v_types from types t where position(lower(p_word) in t.type) > 0;
    v_payments := array(
        select y.id from public.customers c join public.payments y on y.customer_id = c.id
        where private.identifier_key(c.account_no) = private.identifier_key(p_word));
    -- Without a whole number it would be any bill.
    if v_bill like '%=%' then
        execute 'select $1 || array(select y.id from public.bills b join public.payments y on y.bill_id = b.id where false' || v_bill || ')'
        into v_payments using v_payments;
    end if;
    return format('(e.id = %1$L or e.object_id = %1$L or e.payment_intent = %1$L%2$s%3$s)', p_word,
        case when v_types <> '{}' then format(' or e.type = any (%L)', v_types) end,
        case when v_payments <> '{}' then format(' or e.payment_id = any (%L)', v_payments) end);
end $$;
comment on function private.stripe_event_is(p_word text) is 'The condition that an event e has a word: its whole id, object or payment intent, a part of its type, the number of the bill or of the account whose payment it is about.';
revoke all on function private.stripe_event_is(p_word text) from public;
grant execute on function private.stripe_event_is(p_word text) to service_role;

create function public.list_stripe_events(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_where constant text := array_to_string(
        array['true',
              case when p ->> 'outcome' is not null then 'e.outcome = $1 ->> ''outcome''' end,
              case when p ->> 'arrived_by' is not null then 'e.arrived_by = $1 ->> ''arrived_by''' end,
              case when p ->> 'payment_id' is not null then 'e.payment_id = ($1 ->> ''payment_id'')::uuid' end]
        || array(select private.stripe_event_is(w) from regexp_split_to_table(p ->> 'text', '\s+') w where w <> '' limit 6), ' and ');
    v_ids text[];
    v_total integer;
begin
    execute 'select array(select e.id from public.stripe_events e where ' || v_where
        || ' order by e.created_at desc, e.id desc offset ($1 ->> ''offset'')::integer limit ($1 ->> ''limit'')::integer)'
    into v_ids using p;
    execute 'select count(*) from (select from public.stripe_events e where ' || v_where || ' limit ($1 ->> ''count_to'')::integer + 1) x'
    into v_total using p;
    return jsonb_build_object('total', v_total, 'rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by l.created_at desc, l.id desc), '[]') from public.stripe_event_list l where l.id = any (v_ids)));
end $$;
comment on function public.list_stripe_events(p jsonb) is 'Events of Stripe, the newest first: {text, outcome?, arrived_by?, payment_id?, offset, limit, count_to} -> {total: count_to + 1 at most, rows of stripe_event_list}. Each word of the text is as private.stripe_event_is says.';
revoke all on function public.list_stripe_events(p jsonb) from public;
grant execute on function public.list_stripe_events(p jsonb) to service_role;

-- Who is not reached: an address is marked only by what was sent to it as it is now, since the day on which it was first so; and a phone
-- number at which the network says that no text arrives.

alter table public.customer_channels
    add column email_trusted_at timestamptz,
    add column unreached_phone text,
    add column unreached_phone_at timestamptz,
    add constraint customer_channels_unreached_check check ((unreached_phone is null) = (unreached_phone_at is null));
comment on column public.customer_channels.email_trusted_at is 'When somebody last said that the address works: reports on what was sent before it mark it no more.';
comment on column public.customer_channels.unreached_phone is 'The number (E.164) at which texts do not arrive, as the network says; they are tried still, for networks err. One that arrives takes it away.';

create or replace function public.customer_contact(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_contact jsonb;
begin
    select jsonb_build_object(
        'customer_id', c.id, 'language', c.language, 'phone', c.phone, 'email', c.email,
        'discord_webhook_url', k.discord_webhook_url, 'whatsapp_opt_in_at', k.whatsapp_opt_in_at,
        'preferred', k.preferred, 'quiet_from', k.quiet_from, 'quiet_until', k.quiet_until,
        'opted_out_at', k.opted_out_at,
        'email_bounced_at', case when k.bounced_email = c.email then k.bounced_at end,
        'sms_stopped_at', (select s.stopped_at from public.stopped_numbers s
                           where s.phone = private.dialled(c.phone) and s.started_at is null),
        'phone_unreached_at', case when k.unreached_phone = private.dialled(c.phone) then k.unreached_phone_at end)
    into v_contact
    from public.customers c left join public.customer_channels k on k.customer_id = c.id
    where c.id = (p ->> 'customer_id')::uuid;
    if v_contact is null then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    return v_contact;
end $$;

create or replace function public.trust_email(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.customer_channels
    set bounced_email = null, bounced_at = null, email_trusted_at = now(), updated_at = now()
    where customer_id = (p ->> 'customer_id')::uuid and bounced_email is not null;
    return '{}'::jsonb;
end $$;

create function private.note_unreachable(p_notification public.notifications) returns void
language plpgsql set search_path = '' as $$
declare
    -- When it left: what was changed or trusted since is not what it went to.
    v_left constant timestamptz := coalesce(
        (select max((e ->> 'at')::timestamptz) from jsonb_array_elements(p_notification.life) e where e ->> 'state' = 'sending'),
        p_notification.created_at);
    v_column constant text := case p_notification.channel when 'email' then 'email' when 'sms' then 'phone' end;
begin
    if v_column is null or exists (
        select 1 from public.audit_log a
        where a.table_name = 'customers' and a.row_id = p_notification.customer_id::text
          and a.action = 'update' and a.at > v_left and a.after ? v_column) then
        return;
    end if;
    if v_column = 'email' then
        insert into public.customer_channels as k (customer_id, bounced_email, bounced_at)
        select c.id, c.email, now() from public.customers c
        where c.id = p_notification.customer_id and c.email <> ''
        on conflict (customer_id) do update
        set bounced_email = excluded.bounced_email, bounced_at = excluded.bounced_at, updated_at = now()
        where k.bounced_email is distinct from excluded.bounced_email and coalesce(k.email_trusted_at < v_left, true);
    else
        insert into public.customer_channels as k (customer_id, unreached_phone, unreached_phone_at)
        select c.id, private.dialled(c.phone), now() from public.customers c
        where c.id = p_notification.customer_id and c.phone <> ''
        on conflict (customer_id) do update
        set unreached_phone = excluded.unreached_phone, unreached_phone_at = excluded.unreached_phone_at, updated_at = now()
        where k.unreached_phone is distinct from excluded.unreached_phone;
    end if;
end $$;
comment on function private.note_unreachable(public.notifications) is 'Marks the customer''s address or number as not there, unless it was changed since the message left, or trusted again.';

create or replace function public.note_delivery(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_status constant text := p ->> 'status';
    v_back constant boolean := v_status in ('undelivered', 'bounced');
    v_row public.notifications;
    v_work public.outbox;
begin
    perform private.set_actor(p);
    select * into v_row from public.notifications where id = (p ->> 'id')::uuid;
    if not found or v_row.channel <> p ->> 'channel' then
        return jsonb_build_object('known', false, 'changed', false);
    end if;
    -- The work before its messages, as whoever saves it does.
    select * into v_work from public.outbox o
    where o.id = private.message_work(v_row.bill_id, v_row.customer_id, v_row.kind, v_row.occasion) for update;
    select * into v_row from public.notifications where id = v_row.id for update;
    -- A report that comes twice, or after one that says more, changes nothing.
    if not (v_row.status in ('sending', 'sent', 'unknown') or v_row.status = 'delivered' and v_status = 'read') then
        return jsonb_build_object('known', true, 'changed', false);
    end if;
    update public.notifications
    set status = v_status, error = coalesce(p ->> 'detail', ''), updated_at = now(),
        message_id = coalesce(nullif(p ->> 'message_id', ''), message_id)
    where id = v_row.id;
    if v_back and (p ->> 'address_is_gone')::boolean then
        perform private.note_unreachable(v_row);
    elsif not v_back and v_row.channel = 'sms' then
        update public.customer_channels set unreached_phone = null, unreached_phone_at = null, updated_at = now()
        where customer_id = v_row.customer_id and unreached_phone is not null;
    end if;
    if v_back and v_work.id is not null and v_work.steps #>> '{12,status}' in ('done', 'pending', 'failed') then
        -- The other channels are tried, each of them once; whoever is at it does not know of this.
        update public.outbox
        set steps = steps || '{"12": {"status": "pending", "detail": "came back, so on another channel"}, "13": {"status": "pending"}}',
            status = 'open', attempts = 0, next_attempt_at = now(), finished_at = null, lease_owner = null, lease_until = null
        where id = v_work.id;
    end if;
    return jsonb_build_object('known', true, 'changed', true);
end $$;

create or replace function public.note_address_gone(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    insert into public.customer_channels as k (customer_id, bounced_email, bounced_at)
    select c.id, c.email, now() from public.customers c
    -- Unless it was changed since.
    where c.id = (p ->> 'customer_id')::uuid and c.email <> '' and c.email = p ->> 'email'
    on conflict (customer_id) do update
    set bounced_email = excluded.bounced_email, bounced_at = excluded.bounced_at, updated_at = now()
    where k.bounced_email is distinct from excluded.bounced_email
      -- A mailbox may be read twice: what came before somebody trusted the address says nothing of it.
      and coalesce(k.email_trusted_at < (p ->> 'reported_at')::timestamptz, true);
    return '{}'::jsonb;
end $$;
comment on function public.note_address_gone(p jsonb) is 'A code or a note that was sent at once came back, for the address is not there: {actor, customer_id, email, reported_at?}.';

revoke all on function private.note_unreachable(public.notifications) from public, anon, authenticated;
grant execute on function private.note_unreachable(public.notifications) to service_role;

-- In timelines a STOP and a START are of each customer who has the number, whoever of them sent it.
do $do$
declare
    v_text text;
    v_before constant text := '    union all
    select ''c'' || c.id, c.created_at, c.created_by, ''insert'', ''corrections''';
begin
    select pg_get_functiondef(f.oid) into v_text from pg_catalog.pg_proc f
    where f.pronamespace = 'private'::regnamespace and f.proname = 'recorded_beside_audit';
    if position(v_before in v_text) = 0 then
        raise exception 'recorded_beside_audit has changed: look at stopped numbers there.';
    end if;
    execute replace(v_text, v_before, '    union all
    select ''t'' || x.what || s.phone, x.at, ''system:texts'', x.what, ''stopped_numbers'', s.phone, null,
           jsonb_build_object(''phone'', s.phone)
    from public.customers c
    join public.stopped_numbers s on s.phone = private.dialled(c.phone)
    cross join lateral (values (''insert'', s.stopped_at), (''update'', s.started_at)) x (what, at)
    where p_of = ''customer'' and c.id = p_id and x.at is not null
' || v_before);
end $do$;

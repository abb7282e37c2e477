-- What customers answer by SMS, STOP and START among it; and addresses from which a code or a note came back.

alter table public.customer_replies
    drop constraint customer_replies_channel_check,
    add constraint customer_replies_channel_check check (channel in ('email', 'whatsapp', 'sms'));

create table public.stopped_numbers (
    phone text primary key check (phone ~ '^\+[0-9]{5,15}$'),
    stopped_at timestamptz not null,
    started_at timestamptz,
    check (started_at >= stopped_at)
);
comment on table public.stopped_numbers is 'Numbers (E.164) from which somebody answered STOP to a text: they get none, whosever they are, until a START comes from them. The words themselves are in customer_replies.';
comment on column public.stopped_numbers.started_at is 'When a START came after it; null: no texts go there.';
alter table public.stopped_numbers enable row level security;
revoke all on public.stopped_numbers from public, anon, authenticated, service_role;
grant select, insert, update on public.stopped_numbers to service_role;

create function private.dialled(p_phone text) returns text
    language sql immutable set search_path = '' as $$
    select regexp_replace(replace(p_phone, '(0)', ''), '[^0-9+]', '', 'g')
$$;
comment on function private.dialled(text) is 'A number with its country code as it is dialled from anywhere; one without stays what it is.';

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
                           where s.phone = private.dialled(c.phone) and s.started_at is null))
    into v_contact
    from public.customers c left join public.customer_channels k on k.customer_id = c.id
    where c.id = (p ->> 'customer_id')::uuid;
    if v_contact is null then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    return v_contact;
end $$;

create or replace function public.note_reply(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer uuid;
    v_notification uuid;
    v_new boolean;
    v_at constant timestamptz := (p ->> 'received_at')::timestamptz;
begin
    perform private.set_actor(p);
    select n.id, n.customer_id into v_notification, v_customer
    from public.notifications n where n.id = (p ->> 'notification_id')::uuid;
    if v_customer is null then
        -- Only where no two customers share it.
        select case when count(*) = 1 then (array_agg(x.id))[1] end into v_customer
        from (select c.id from public.customers c
              where case when p ->> 'channel' = 'email' then c.email <> '' and lower(c.email) = lower(p ->> 'sender')
                         else c.phone = p ->> 'sender' end limit 2) x;
    end if;
    insert into public.customer_replies (id, customer_id, notification_id, channel, sender, subject, body, received_at)
    values ((p ->> 'id')::uuid, v_customer, v_notification, p ->> 'channel', p ->> 'sender', coalesce(p ->> 'subject', ''),
            coalesce(p ->> 'body', ''), v_at)
    on conflict (id) do nothing;
    v_new := found;
    -- What is delivered twice must not undo what was said in between.
    if v_new and (p ->> 'wants_texts')::boolean then
        update public.stopped_numbers set started_at = greatest(v_at, stopped_at)
        where phone = p ->> 'sender' and started_at is null;
    elsif v_new and not (p ->> 'wants_texts')::boolean then
        insert into public.stopped_numbers as s (phone, stopped_at) values (p ->> 'sender', v_at)
        on conflict (phone) do update set stopped_at = excluded.stopped_at, started_at = null where s.started_at is not null;
    end if;
    return jsonb_build_object('new', v_new);
end $$;
comment on function public.note_reply(p jsonb) is 'Keeps what a customer answered, once: {actor, id, notification_id?, channel, sender, subject?, body?, received_at, wants_texts?: false for STOP, true for START} -> {new}.';

create function public.note_address_gone(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    insert into public.customer_channels as k (customer_id, bounced_email, bounced_at)
    select c.id, c.email, now() from public.customers c
    -- Unless it was changed since.
    where c.id = (p ->> 'customer_id')::uuid and c.email <> '' and c.email = p ->> 'email'
    on conflict (customer_id) do update
    set bounced_email = excluded.bounced_email, bounced_at = excluded.bounced_at, updated_at = now()
    where k.bounced_email is distinct from excluded.bounced_email;
    return '{}'::jsonb;
end $$;
comment on function public.note_address_gone(p jsonb) is 'A code or a note that was sent at once came back, for the address is not there: {actor, customer_id, email}.';
revoke all on function public.note_address_gone(p jsonb), private.dialled(text) from public;
revoke all on function public.note_address_gone(p jsonb) from anon, authenticated;
grant execute on function public.note_address_gone(p jsonb), private.dialled(text) to service_role;

do $do$
begin
    execute replace(pg_get_functiondef('private.archived_tables()'::regprocedure),
                    '''dunning_holds'',', '''stopped_numbers'', ''dunning_holds'',');
end $do$;

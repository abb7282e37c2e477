-- Customers are reached by e-mail and SMS too, by the channel that they prefer, at the hours they want, or not at all.
alter table public.customer_channels
    add column preferred text constraint customer_channels_preferred_check
        check (preferred in ('email', 'sms', 'whatsapp', 'discord_customer')),
    add column quiet_from time, add column quiet_until time,
    add column opted_out_at timestamptz,
    add constraint customer_channels_quiet_check
        check ((quiet_from is null) = (quiet_until is null) and (quiet_from is null or quiet_from <> quiet_until));
comment on column public.customer_channels.preferred is 'The channel that is tried first; the others only where it cannot deliver. Null: every channel but SMS, and SMS where no other can.';
comment on column public.customer_channels.quiet_from is 'No message leaves from then to quiet_until, by the utility''s clock; over midnight where it is the later one.';
comment on column public.customer_channels.opted_out_at is 'Since when the customer wants no messages; null: wants them.';

create or replace function public.customer_contact(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_contact jsonb;
begin
    select jsonb_build_object(
        'customer_id', c.id, 'language', c.language, 'phone', c.phone, 'email', c.email,
        'discord_webhook_url', k.discord_webhook_url, 'whatsapp_opt_in_at', k.whatsapp_opt_in_at,
        'preferred', k.preferred, 'quiet_from', k.quiet_from, 'quiet_until', k.quiet_until,
        'opted_out_at', k.opted_out_at)
    into v_contact
    from public.customers c left join public.customer_channels k on k.customer_id = c.id
    where c.id = (p ->> 'customer_id')::uuid;
    if v_contact is null then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    return v_contact;
end $$;

create or replace function public.set_customer_channels(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row jsonb;
    v_customer uuid;
    v_old public.customer_channels;
    v_new public.customer_channels;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    -- In one order for everybody, so that two imports cannot wait for each other.
    for v_row in select r from jsonb_array_elements(p -> 'rows') r order by r ->> 'account_no' loop
        select id into v_customer from public.customers where account_no = v_row ->> 'account_no' for no key update;
        if not found then
            perform private.refuse('EB404', format('No customer has the account number %s.', v_row ->> 'account_no'));
        end if;
        v_old := null;
        select * into v_old from public.customer_channels k where k.customer_id = v_customer;
        -- What the row names is taken from it, all else stays.
        v_new := jsonb_populate_record(v_old, v_row - '{account_no,customer_id,updated_at,keep_earlier}'::text[]);
        if (v_row ->> 'keep_earlier')::boolean then
            v_new.whatsapp_opt_in_at := coalesce(v_old.whatsapp_opt_in_at, v_new.whatsapp_opt_in_at);
        end if;
        if v_new is distinct from v_old then
            insert into public.customer_channels as k (
                customer_id, discord_webhook_url, whatsapp_opt_in_at, preferred, quiet_from, quiet_until, opted_out_at)
            values (v_customer, v_new.discord_webhook_url, v_new.whatsapp_opt_in_at, v_new.preferred,
                    v_new.quiet_from, v_new.quiet_until, v_new.opted_out_at)
            on conflict (customer_id) do update set
                discord_webhook_url = excluded.discord_webhook_url, whatsapp_opt_in_at = excluded.whatsapp_opt_in_at,
                preferred = excluded.preferred, quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until,
                opted_out_at = excluded.opted_out_at, updated_at = now();
            v_changed := v_changed + 1;
        end if;
    end loop;
    return jsonb_build_object('changed', v_changed);
end $$;

create function public.leave_message_queue(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    update public.notifications set queued_at = null, updated_at = now()
    where bill_id = (p ->> 'bill_id')::uuid and kind = p ->> 'kind' and occasion = p ->> 'occasion' and queued_at is not null;
    return '{}'::jsonb;
end $$;
comment on function public.leave_message_queue(p jsonb) is
    'Takes a message out of the queues of all channels, for its time comes later: {bill_id, kind, occasion}.';
revoke all on function public.leave_message_queue(p jsonb) from public;
grant all on function public.leave_message_queue(p jsonb) to service_role;

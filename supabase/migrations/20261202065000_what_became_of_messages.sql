-- What became of a message after it was handed over: delivered, read, come back; and its life, step by step.
alter table public.notifications
    add column life jsonb not null default '[]',
    drop constraint notifications_status_check,
    add constraint notifications_status_check check (status in (
        'waiting', 'sending', 'sent', 'not_configured', 'failed', 'unknown', 'delivered', 'read', 'undelivered', 'bounced'));
comment on column public.notifications.status is 'waiting: will be tried again. unknown: it left, and no answer told what became of it. sent: the other side took it, which says nothing of the customer; delivered, read: it reported so. undelivered: it could not deliver it; bounced: an e-mail that came back.';
comment on column public.notifications.life is 'What happened to it, in order: [{at, state, why?}]; state is a status, or queued, or held while its time has not come. Empty where it was never to leave.';

drop index public.notifications_undone;
create index notifications_undone on public.notifications (updated_at desc)
    where status in ('waiting', 'sending', 'failed', 'unknown', 'undelivered', 'bounced');

create function private.note_life() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_state constant text := case when new.queued_at is not null then 'queued'
                                  when new.status = 'waiting' and new.attempts = 0 then 'held'
                                  else new.status end;
    v_last constant jsonb := new.life -> -1;
begin
    -- Nothing is said of what was never to leave, nor of a row that only begins.
    if new.status = 'not_configured' and new.life = '[]' or v_state = 'held' and new.error = ''
       or v_last ->> 'state' = v_state and coalesce(v_last ->> 'why', '') = new.error
       or jsonb_array_length(new.life) >= 60 then
        return new;
    end if;
    new.life := new.life || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
        'at', now(), 'state', v_state, 'why', nullif(new.error, ''))));
    return new;
end $$;
comment on function private.note_life() is 'Adds to a message''s life what became of it, where that is something new.';
revoke all on function private.note_life() from public;
grant all on function private.note_life() to service_role;
create trigger note_life before insert or update of status, error, queued_at, attempts on public.notifications
    for each row execute function private.note_life();

-- An address that mail came back from gets none until it is changed, or somebody says that it works.
alter table public.customer_channels
    add column bounced_email text,
    add column bounced_at timestamptz,
    add constraint customer_channels_bounced_check check ((bounced_email is null) = (bounced_at is null));
comment on column public.customer_channels.bounced_email is 'The address that mail came back from; it gets none while it is still the customer''s.';

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
        'email_bounced_at', case when k.bounced_email = c.email then k.bounced_at end)
    into v_contact
    from public.customers c left join public.customer_channels k on k.customer_id = c.id
    where c.id = (p ->> 'customer_id')::uuid;
    if v_contact is null then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    return v_contact;
end $$;

create function public.trust_email(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.customer_channels set bounced_email = null, bounced_at = null, updated_at = now()
    where customer_id = (p ->> 'customer_id')::uuid and bounced_email is not null;
    return '{}'::jsonb;
end $$;
comment on function public.trust_email(p jsonb) is 'Lets mail go again to an address that it came back from: {actor, customer_id}.';
revoke all on function public.trust_email(p jsonb) from public;
grant all on function public.trust_email(p jsonb) to service_role;

create function public.note_delivery(p jsonb) returns jsonb
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
    where o.bill_id = v_row.bill_id and o.kind = v_row.kind and o.occasion = v_row.occasion for update;
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
        insert into public.customer_channels as k (customer_id, bounced_email, bounced_at)
        select c.id, c.email, now() from public.customers c
        -- Unless it was changed since.
        where c.id = v_row.customer_id
          and left(c.email, 1) || '…@' || split_part(c.email, '@', 2) = v_row.recipient
        on conflict (customer_id) do update
        set bounced_email = excluded.bounced_email, bounced_at = excluded.bounced_at, updated_at = now();
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
comment on function public.note_delivery(p jsonb) is 'What a channel reports of a message that it took: {actor, id, channel, status: delivered | read | undelivered | bounced, detail?, message_id?, address_is_gone?} -> {known, changed}. What came back is tried on the other channels.';
revoke all on function public.note_delivery(p jsonb) from public;
grant all on function public.note_delivery(p jsonb) to service_role;

create function public.hold_message(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    update public.notifications set queued_at = null, updated_at = now()
    where bill_id = (p ->> 'bill_id')::uuid and kind = p ->> 'kind' and occasion = p ->> 'occasion' and queued_at is not null;
    if p ->> 'id' is not null then
        insert into public.notifications as n (id, bill_id, customer_id, kind, occasion, channel, status, recipient, body, error)
        select (p ->> 'id')::uuid, b.id, b.customer_id, p ->> 'kind', p ->> 'occasion', p ->> 'channel', 'waiting',
               p ->> 'recipient', p ->> 'body', p ->> 'why'
        from public.bills b where b.id = (p ->> 'bill_id')::uuid
        on conflict (id) do update set error = excluded.error, updated_at = now()
        where n.status = 'waiting' and n.error <> excluded.error;
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.hold_message(p jsonb) is
    'Takes a message out of the queues of all channels, for its time comes later, and says so of the channel that it will leave on: {bill_id, kind, occasion, id?, channel, recipient, body, why}.';
revoke all on function public.hold_message(p jsonb) from public;
grant all on function public.hold_message(p jsonb) to service_role;
drop function public.leave_message_queue(jsonb);

create function public.send_again(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_work public.outbox;
begin
    perform private.set_actor(p);
    select * into v_work from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such work.');
    end if;
    if v_work.facts ->> 'again' = p ->> 'form_id' then
        return '{}'::jsonb;
    end if;
    if v_work.status = 'open' then
        perform private.refuse('EB005', 'It is still being sent.');
    end if;
    if coalesce(v_work.steps #>> '{11,facts,text}', '') = '' then
        perform private.refuse('EB005', 'Nothing was written, so nothing can be sent again.');
    end if;
    update public.outbox
    set steps = steps || jsonb_build_object('12', jsonb_build_object('status', 'pending', 'detail', 'once more, by ' || (p ->> 'label')),
                                            '13', '{"status": "pending"}'::jsonb),
        facts = facts || jsonb_build_object('again', p ->> 'form_id', 'again_on', p ->> 'channel'),
        status = 'open', attempts = 0, next_attempt_at = now(), finished_at = null, lease_owner = null, lease_until = null
    where id = v_work.id;
    return '{}'::jsonb;
end $$;
comment on function public.send_again(p jsonb) is 'Sends a message once more on one channel, because somebody asks for it; once for each form: {actor, id: of the work, form_id, channel, label: as people call it}.';
revoke all on function public.send_again(p jsonb) from public;
grant all on function public.send_again(p jsonb) to service_role;

-- What customers answer to messages, and how far the mailbox was read.
create table public.customer_replies (
    id uuid primary key,
    customer_id uuid references public.customers (id),
    notification_id uuid,
    channel text not null check (channel in ('email', 'whatsapp')),
    sender text not null,
    subject text not null default '',
    body text not null default '',
    received_at timestamptz not null,
    created_at timestamptz not null default now(),
    handled_at timestamptz,
    handled_by text,
    check ((handled_at is null) = (handled_by is null))
);
comment on table public.customer_replies is 'What customers answered to a message of ours, for the office. The mail itself stays in the mailbox.';
comment on column public.customer_replies.customer_id is 'Whose address or number it came from, or whose message it answers; null: nobody knows.';
create index customer_replies_open on public.customer_replies (received_at desc, id desc) where handled_at is null;
create index customer_replies_customer on public.customer_replies (customer_id);
create index customer_replies_received on public.customer_replies (received_at);
alter table public.customer_replies enable row level security;
grant select, insert, update on public.customer_replies to service_role;

create table public.mailboxes (
    name text primary key,
    uid_validity bigint not null,
    last_uid bigint not null,
    read_at timestamptz not null default now()
);
comment on table public.mailboxes is 'How far the mailbox of the sender''s address was read: of what the server numbers anew (uid_validity) up to last_uid. Nothing in it is changed.';
alter table public.mailboxes enable row level security;
grant select, insert, update on public.mailboxes to service_role;

create function public.mailbox_read(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.mailboxes;
begin
    if p ? 'last_uid' then
        insert into public.mailboxes as m (name, uid_validity, last_uid)
        values (p ->> 'name', (p ->> 'uid_validity')::bigint, (p ->> 'last_uid')::bigint)
        on conflict (name) do update
        set last_uid = case when m.uid_validity = excluded.uid_validity then greatest(m.last_uid, excluded.last_uid) else excluded.last_uid end,
            uid_validity = excluded.uid_validity, read_at = now();
    end if;
    select * into v_row from public.mailboxes where name = p ->> 'name';
    return jsonb_build_object('uid_validity', v_row.uid_validity, 'last_uid', v_row.last_uid);
end $$;
comment on function public.mailbox_read(p jsonb) is 'How far a mailbox was read, after noting it where it is given: {name, uid_validity?, last_uid?} -> {uid_validity, last_uid}, null for one that never was.';
revoke all on function public.mailbox_read(p jsonb) from public;
grant all on function public.mailbox_read(p jsonb) to service_role;

create function public.note_reply(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer uuid;
    v_notification uuid;
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
            coalesce(p ->> 'body', ''), (p ->> 'received_at')::timestamptz)
    on conflict (id) do nothing;
    return jsonb_build_object('new', found);
end $$;
comment on function public.note_reply(p jsonb) is 'Keeps what a customer answered, once: {actor, id, notification_id?, channel, sender, subject?, body?, received_at} -> {new}.';
revoke all on function public.note_reply(p jsonb) from public;
grant all on function public.note_reply(p jsonb) to service_role;
create index customers_by_email on public.customers (lower(email)) where email <> '';
create index customers_by_phone on public.customers (phone) where phone <> '';

create function public.handle_reply(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.customer_replies set handled_at = now(), handled_by = p ->> 'actor'
    where id = (p ->> 'id')::uuid and handled_at is null;
    if not found and not exists (select 1 from public.customer_replies where id = (p ->> 'id')::uuid) then
        perform private.refuse('EB404', 'No such reply.');
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.handle_reply(p jsonb) is 'Says that somebody saw to a customer''s answer: {actor, id}.';
revoke all on function public.handle_reply(p jsonb) from public;
grant all on function public.handle_reply(p jsonb) to service_role;

create view public.customer_reply_list with (security_invoker = true) as
select r.id, r.customer_id, c.account_no, c.name as customer_name, r.channel, r.sender, r.subject, r.body, r.received_at,
       r.handled_at, r.handled_by
from public.customer_replies r left join public.customers c on c.id = r.customer_id;
comment on view public.customer_reply_list is 'What customers answered to messages, with whose answer it is.';
grant select on public.customer_reply_list to service_role;

-- Payment links, how a customer is reached, and how each message fared on each channel.

create table public.payment_links (
    id text primary key check (id <> ''),
    bill_id uuid not null references public.bills,
    url text not null check (url ~ '^https?://'),
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    active boolean not null default true,
    created_at timestamptz not null default clock_timestamp()
);
comment on table public.payment_links is
    'Every link that was ever made for a bill''s balance. When the balance changes, the old one is closed and a new one made.';
comment on column public.payment_links.id is 'The payment provider''s own id of the link, needed to close it.';
create unique index payment_links_one_active on public.payment_links (bill_id) where active;
create index payment_links_bill on public.payment_links (bill_id, created_at desc);

create function private.guard_payment_link() returns trigger
language plpgsql set search_path = '' as $$
begin
    if to_jsonb(new) - 'active' <> to_jsonb(old) - 'active' or (new.active and not old.active) then
        raise exception using errcode = 'EB005',
            message = 'A payment link never changes: it is closed, and another is made.';
    end if;
    return new;
end $$;
create trigger payment_links_guard before update on public.payment_links
    for each row execute function private.guard_payment_link();

create table public.customer_channels (
    customer_id uuid primary key references public.customers,
    discord_webhook_url text check (discord_webhook_url ~ '^https?://'),
    whatsapp_opt_in_at timestamptz,
    updated_at timestamptz not null default now()
);
comment on table public.customer_channels is
    'How a customer wants to be reached beside the post. Apart from customers, so that lists of them never carry an address that is a secret.';
comment on column public.customer_channels.discord_webhook_url is
    'A secret: whoever knows it can post there. Never listed, logged or audited; the audit trail has a fingerprint.';
comment on column public.customer_channels.whatsapp_opt_in_at is
    'When the customer agreed to messages on WhatsApp; null: not agreed, or withdrawn.';

create function private.fingerprint(p_secret text) returns text
language sql immutable set search_path = '' as $$
    select 'kept, fingerprint ' || left(encode(sha256(convert_to(p_secret, 'UTF8')), 'hex'), 8)
$$;
comment on function private.fingerprint is 'Says that a secret is there, and whether it is another one, without saying what it is.';

create function private.audit_customer_channels() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
    v_after jsonb := to_jsonb(new) - 'updated_at'
        || jsonb_build_object('discord_webhook_url', private.fingerprint(new.discord_webhook_url));
    v_before jsonb;
begin
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_log (actor, action, table_name, row_id, after)
        values (v_actor, 'insert', tg_table_name, new.customer_id::text, v_after);
        return null;
    end if;
    v_before := to_jsonb(old) - 'updated_at'
        || jsonb_build_object('discord_webhook_url', private.fingerprint(old.discord_webhook_url));
    if v_before <> v_after then
        insert into public.audit_log (actor, action, table_name, row_id, before, after)
        values (v_actor, 'update', tg_table_name, new.customer_id::text,
                private.changed_columns(v_after, v_before), private.changed_columns(v_before, v_after));
    end if;
    return null;
end $$;
create trigger audit after insert or update on public.customer_channels
    for each row execute function private.audit_customer_channels();

alter table public.notifications
    drop constraint notifications_status_check,
    add constraint notifications_status_check
        check (status in ('waiting', 'sending', 'sent', 'not_configured', 'failed', 'unknown')),
    add column attempts integer not null default 0 check (attempts >= 0),
    add column message_id text not null default '',
    add column updated_at timestamptz not null default now();
comment on table public.notifications is
    'One row a bill, occasion and channel. It says "sending" before a message leaves, so that a crash in between is seen: then "unknown", and not sent twice.';
comment on column public.notifications.status is
    'waiting: will be tried again. unknown: it left, and no answer told what became of it.';
comment on column public.notifications.message_id is 'The other side''s id of the message.';
create index notifications_undone on public.notifications (updated_at desc)
    where status in ('waiting', 'sending', 'failed', 'unknown');
create index outbox_failed on public.outbox (finished_at desc)
    where status <> 'open' and jsonb_path_exists(steps, '$.*.status ? (@ == "failed")');

create view public.notification_list with (security_invoker = true) as
select n.id, n.bill_id, b.number as bill_number, c.account_no, n.kind, n.channel,
       case when n.status in ('waiting', 'sending') and o.status <> 'open' then 'given_up' else n.status end as status,
       n.attempts, n.recipient, n.body, n.error, n.message_id, n.created_at, n.updated_at,
       o.id as owed_id, o.status as owed_status,
       lower(concat_ws(' ', private.invoice_reference(b.number), c.account_no)) as search
from public.notifications n
left join public.bills b on b.id = n.bill_id
left join public.customers c on c.id = n.customer_id
left join public.outbox o on o.bill_id = n.bill_id and o.kind = n.kind;
comment on view public.notification_list is
    'Messages by bill, occasion and channel, each with the owed work that it belongs to.';

create view public.failed_work_list with (security_invoker = true) as
select o.id, o.bill_id, b.number as bill_number, c.account_no, o.kind, o.steps, o.status, o.attempts,
       o.created_at, o.finished_at
from public.outbox o
join public.bills b on b.id = o.bill_id
join public.customers c on c.id = b.customer_id
where o.status <> 'open' and jsonb_path_exists(o.steps, '$.*.status ? (@ == "failed")');
comment on view public.failed_work_list is
    'Owed work that ended with a step refused or given up: a person must look.';

create function public.save_payment_link(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_bill public.bills;
    v_active boolean;
begin
    perform private.set_actor(p);
    select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    select active into v_active from public.payment_links where id = p ->> 'id';
    if not found then
        -- A payment or a void may have come since the link was asked for: then it is of no use.
        v_active := v_bill.status = 'issued'
            and v_bill.total_minor - v_bill.amount_paid_minor = (p ->> 'amount_minor')::bigint;
        if v_active then
            update public.payment_links set active = false where bill_id = v_bill.id and active;
            update public.bills set payment_url = p ->> 'url' where id = v_bill.id;
        end if;
        insert into public.payment_links (id, bill_id, url, amount_minor, currency, active)
        values (p ->> 'id', v_bill.id, p ->> 'url', (p ->> 'amount_minor')::bigint, p ->> 'currency', v_active);
    end if;
    return jsonb_build_object('active', v_active);
end $$;
comment on function public.save_payment_link is
    'Keeps a new link and, when it is for the balance of now, puts it on the bill in place of the one before: {actor, id, bill_id, url, amount_minor, currency} -> {active}.';

create function public.close_payment_link(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_link public.payment_links;
begin
    perform private.set_actor(p);
    perform 1 from public.bills where id = (select bill_id from public.payment_links where id = p ->> 'id') for update;
    update public.payment_links set active = false where id = p ->> 'id' and active returning * into v_link;
    if found then
        update public.bills set payment_url = null
        where id = v_link.bill_id and status = 'issued' and payment_url = v_link.url;
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.close_payment_link is 'Closes a link and takes it off its bill: {actor, id}.';

create function public.set_customer_channels(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row jsonb;
    v_customer uuid;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    -- In one order for everybody, so that two imports cannot wait for each other.
    for v_row in select r from jsonb_array_elements(p -> 'rows') r order by r ->> 'account_no' loop
        select id into v_customer from public.customers where account_no = v_row ->> 'account_no';
        if not found then
            perform private.refuse('EB404', format('No customer has the account number %s.', v_row ->> 'account_no'));
        end if;
        insert into public.customer_channels as k (customer_id, discord_webhook_url, whatsapp_opt_in_at)
        values (v_customer, v_row ->> 'discord_webhook_url', (v_row ->> 'whatsapp_opt_in_at')::timestamptz)
        on conflict (customer_id) do update
        set discord_webhook_url = case when v_row ? 'discord_webhook_url' then excluded.discord_webhook_url
                                       else k.discord_webhook_url end,
            whatsapp_opt_in_at = case when not v_row ? 'whatsapp_opt_in_at' then k.whatsapp_opt_in_at
                                      when (v_row ->> 'keep_earlier')::boolean
                                          then coalesce(k.whatsapp_opt_in_at, excluded.whatsapp_opt_in_at)
                                      else excluded.whatsapp_opt_in_at end,
            updated_at = now()
        where (v_row ? 'discord_webhook_url' and k.discord_webhook_url is distinct from excluded.discord_webhook_url)
           or (v_row ? 'whatsapp_opt_in_at' and k.whatsapp_opt_in_at is distinct from excluded.whatsapp_opt_in_at
               and not (k.whatsapp_opt_in_at is not null and coalesce((v_row ->> 'keep_earlier')::boolean, false)));
        if found then
            v_changed := v_changed + 1;
        end if;
    end loop;
    return jsonb_build_object('changed', v_changed);
end $$;
comment on function public.set_customer_channels is
    'Sets how customers are reached; what a row does not name stays, null takes away, keep_earlier leaves an earlier consent: {actor, rows: [{account_no, discord_webhook_url?, whatsapp_opt_in_at?, keep_earlier?}]}.';

create function public.customer_contact(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_contact jsonb;
begin
    select jsonb_build_object(
        'customer_id', c.id, 'language', c.language, 'phone', c.phone,
        'discord_webhook_url', k.discord_webhook_url, 'whatsapp_opt_in_at', k.whatsapp_opt_in_at)
    into v_contact
    from public.customers c left join public.customer_channels k on k.customer_id = c.id
    where c.id = (p ->> 'customer_id')::uuid;
    if v_contact is null then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    return v_contact;
end $$;
comment on function public.customer_contact is
    'How a customer is reached, for those who send: {customer_id}. The webhook''s address is a secret.';

create function public.begin_notification(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.notifications;
    v_send boolean := false;
begin
    insert into public.notifications (id, bill_id, customer_id, kind, channel, status)
    select (p ->> 'id')::uuid, b.id, b.customer_id, p ->> 'kind', p ->> 'channel', 'waiting'
    from public.bills b where b.id = (p ->> 'bill_id')::uuid
    on conflict (id) do nothing;
    select * into v_row from public.notifications where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    if v_row.status in ('waiting', 'not_configured') then
        v_send := true;
        update public.notifications
        set status = 'sending', attempts = attempts + 1, error = '', updated_at = now(),
            recipient = p ->> 'recipient', body = p ->> 'body'
        where id = v_row.id returning * into v_row;
    elsif v_row.status = 'sending' then
        update public.notifications
        set status = 'unknown', updated_at = now(),
            error = 'The program stopped while this was being sent. It may have arrived; it is not sent twice.'
        where id = v_row.id returning * into v_row;
    end if;
    return jsonb_build_object('send', v_send, 'status', v_row.status, 'error', v_row.error,
                              'message_id', v_row.message_id);
end $$;
comment on function public.begin_notification is
    'Says that a message is about to leave, unless it left before: {id, bill_id, kind, channel, recipient, body} -> {send, status, error, message_id}.';

create function public.end_notification(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    update public.notifications
    set status = p ->> 'status', error = coalesce(p ->> 'error', ''),
        message_id = coalesce(p ->> 'message_id', ''), updated_at = now()
    -- "unknown" too: another process may have taken the silence of this one for its end.
    where id = (p ->> 'id')::uuid and status in ('sending', 'unknown');
    return '{}'::jsonb;
end $$;
comment on function public.end_notification is 'Says what became of a message: {id, status, error?, message_id?}.';

create function private.to_try_again(p_steps jsonb, p_unsent boolean) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
    v_again constant jsonb := '{"status": "pending", "detail": "to be tried again", "facts": {}}';
    v_step text;
    v_before text;
begin
    for v_step in select k from jsonb_object_keys(p_steps) k order by k::integer loop
        v_before := case v_step when '10' then '9' when '12' then '11' when '13' then '12' end;
        if p_steps -> v_step ->> 'status' = 'failed'
           or (p_unsent and v_step in ('12', '13') and p_steps -> v_step ->> 'status' = 'done')
           -- Skipped only because the step before it came to nothing.
           or (p_steps -> v_step ->> 'detail' ~ '^step \d+ (failed|was skipped)$'
               and p_steps -> v_before ->> 'status' = 'pending') then
            p_steps := jsonb_set(p_steps, array[v_step], v_again);
        end if;
    end loop;
    return p_steps;
end $$;
comment on function private.to_try_again is
    'Steps with those that came to nothing pending again; what is done stays done, except sending when a channel is left unsent.';

create function public.retry_owed_work(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.outbox;
    v_unsent boolean;
    v_steps jsonb;
begin
    perform private.set_actor(p);
    select * into v_row from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such work.');
    end if;
    if v_row.status = 'open' then
        return '{}'::jsonb;
    end if;
    update public.notifications set status = 'waiting', updated_at = now()
    where bill_id = v_row.bill_id and kind = v_row.kind and status in ('failed', 'waiting');
    v_unsent := found;
    v_steps := private.to_try_again(v_row.steps, v_unsent);
    if v_steps = v_row.steps then
        perform private.refuse('EB005', 'Nothing of this can be tried again.');
    end if;
    update public.outbox
    set steps = v_steps, status = 'open', attempts = 0, next_attempt_at = now(), finished_at = null,
        lease_owner = null, lease_until = null
    where id = v_row.id;
    insert into public.audit_log (actor, action, table_name, row_id, before, after)
    values (p ->> 'actor', 'update', 'outbox', v_row.id::text,
            jsonb_build_object('status', v_row.status, 'steps', v_row.steps),
            jsonb_build_object('status', 'open', 'steps', v_steps));
    return '{}'::jsonb;
end $$;
comment on function public.retry_owed_work is
    'Takes up again what was refused or given up; what is under way is left alone: {actor, id}.';

select private.keep_rows('public.payment_links');
select private.audit_table('public.payment_links');

alter table public.payment_links enable row level security;
alter table public.customer_channels enable row level security;
revoke all on public.payment_links, public.customer_channels, public.notification_list, public.failed_work_list
    from public, anon, authenticated;
revoke delete, truncate on public.payment_links, public.customer_channels from service_role;
grant select, insert, update on public.payment_links, public.customer_channels to service_role;
grant select on public.notification_list, public.failed_work_list to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

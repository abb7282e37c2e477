-- A mailbox that strangers fill: how much of it waits and was passed over is kept, and the answers of a day are weighed by sender.

alter table public.mailboxes
    add column waiting bigint not null default 0 check (waiting >= 0),
    add column passed_over bigint not null default 0 check (passed_over >= 0),
    add column flooded_since timestamptz,
    add column flooded_at timestamptz,
    add check ((flooded_since is null) = (flooded_at is null));
comment on column public.mailboxes.waiting is 'Mails behind last_uid when it was last read.';
comment on column public.mailboxes.passed_over is 'Mails that were left unread as too many from flooded_since to flooded_at; a day without one ends a flood.';

create or replace function public.mailbox_read(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_row public.mailboxes;
    v_passed constant bigint := coalesce((p ->> 'passed_over')::bigint, 0);
begin
    if p ? 'last_uid' then
        insert into public.mailboxes as m (name, uid_validity, last_uid, waiting, passed_over, flooded_since, flooded_at)
        values (p ->> 'name', (p ->> 'uid_validity')::bigint, (p ->> 'last_uid')::bigint, coalesce((p ->> 'waiting')::bigint, 0),
                v_passed, case when v_passed > 0 then now() end, case when v_passed > 0 then now() end)
        on conflict (name) do update
        set last_uid = case when m.uid_validity = excluded.uid_validity then greatest(m.last_uid, excluded.last_uid) else excluded.last_uid end,
            uid_validity = excluded.uid_validity, read_at = now(), waiting = excluded.waiting,
            passed_over = case when v_passed = 0 then m.passed_over
                               when m.flooded_at > now() - interval '1 day' then m.passed_over + v_passed else v_passed end,
            flooded_since = case when v_passed = 0 or m.flooded_at > now() - interval '1 day' then m.flooded_since else now() end,
            flooded_at = case when v_passed = 0 then m.flooded_at else now() end;
    end if;
    select * into v_row from public.mailboxes where name = p ->> 'name';
    return to_jsonb(v_row) - 'name';
end $$;
comment on function public.mailbox_read(p jsonb) is 'How far a mailbox was read, after noting it where it is given: {name, uid_validity?, last_uid?, waiting?, passed_over?} -> {uid_validity, last_uid, read_at, waiting, passed_over, flooded_since, flooded_at}, null for one that never was.';

create index customer_replies_kept on public.customer_replies (created_at);

create function public.customer_replies_wanted(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with given as (
        select (m ->> 'uid')::bigint as uid, lower(m ->> 'sender') as sender,
               exists (select 1 from public.notifications n where n.id = (m ->> 'notification_id')::uuid)
               or exists (select 1 from public.customers c where c.email <> '' and lower(c.email) = lower(m ->> 'sender')) as known
        from jsonb_array_elements(p -> 'mails') m
    ), lately as materialized (
        select lower(r.sender) as sender, r.customer_id is not null as known
        from public.customer_replies r
        where r.channel = 'email' and r.created_at > now() - interval '1 day'
    ), of_sender as (
        select g.*, row_number() over (partition by g.sender order by g.uid)
                    + (select count(*) from lately l where l.sender = g.sender) as place
        from given g
    ), of_kind as (
        select s.*, row_number() over (partition by s.known order by s.uid)
                    + (select count(*) from lately l where l.known = s.known) as place_of_kind
        from of_sender s where s.place <= (p ->> 'most_of_sender')::integer
    )
    select jsonb_build_object('wanted', coalesce(jsonb_agg(k.uid order by k.uid), '[]'))
    from of_kind k
    where k.place_of_kind <= case when k.known then (p ->> 'most_of_customers')::integer else (p ->> 'most_of_strangers')::integer end
$$;
comment on function public.customer_replies_wanted(p jsonb) is 'Which mails are kept as answers, so that a flood of them fills nothing: {mails: [{uid, sender, notification_id?}], most_of_sender, most_of_customers, most_of_strangers: within a day} -> {wanted: [uid]}.';
revoke all on function public.customer_replies_wanted(jsonb) from public, anon, authenticated;
grant execute on function public.customer_replies_wanted(jsonb) to service_role;

-- Of texts and WhatsApp, which are handed in one by one, so many of one number are kept within a day; the rest stays with the provider.
create index customer_replies_of_sender on public.customer_replies (lower(sender), created_at);

create or replace function public.note_reply(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer uuid;
    v_notification uuid;
    v_new boolean;
    v_at constant timestamptz := (p ->> 'received_at')::timestamptz;
begin
    perform private.set_actor(p);
    -- A STOP or a START counts always. Mails are weighed before they are read (customer_replies_wanted).
    if p ->> 'channel' <> 'email' and p ->> 'wants_texts' is null
       and (select count(*) from (select 1 from public.customer_replies r
                                  where lower(r.sender) = lower(p ->> 'sender') and r.channel = p ->> 'channel'
                                    and r.created_at > now() - interval '1 day' limit 100) x) = 100 then
        return jsonb_build_object('new', false);
    end if;
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
comment on function public.note_reply(p jsonb) is 'Keeps what a customer answered, once, and of a number 100 within a day: {actor, id, notification_id?, channel, sender, subject?, body?, received_at, wants_texts?: false for STOP, true for START} -> {new}.';

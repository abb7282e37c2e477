-- Messages wait in a queue by channel and leave at the channel's rate, whatever number of processes sends them; and
-- what is owed to the graph, to Stripe and to customers is taken up by each on its own.

create table public.message_rates (
    channel text primary key,
    free_at timestamptz not null default now()
);
comment on table public.message_rates is
    'Of each channel when its next message may leave, by the database''s clock. Whoever sends one moves it on under its lock, so that all processes together keep the rate, and what was not used is not saved up.';
alter table public.message_rates enable row level security;
revoke all on public.message_rates from public, anon, authenticated, service_role;
grant select, insert, update on public.message_rates to service_role;

alter table public.notifications add column queued_at timestamptz;
comment on column public.notifications.queued_at is 'Since when it waits for its turn on its channel; null: it does not.';

-- What people wait for goes before what presses them.
create index notifications_queue on public.notifications
    (channel, (kind = any (array['payment_reminder', 'overdue_notice'])), queued_at, id)
    where queued_at is not null;

create index outbox_due_graph on public.outbox (next_attempt_at)
    where status = 'open' and steps #>> '{8,status}' = 'pending';
create index outbox_due_links on public.outbox (next_attempt_at)
    where status = 'open' and (steps #>> '{9,status}' = 'pending' or steps #>> '{10,status}' = 'pending');
create index outbox_due_messages on public.outbox
    ((kind = any (array['payment_reminder', 'overdue_notice'])), next_attempt_at)
    where status = 'open' and (steps #>> '{11,status}' = 'pending' or steps #>> '{12,status}' = 'pending'
                               or steps #>> '{13,status}' = 'pending');

create function private.take_turns(p_channel text, p_per_minute integer, p_most integer) returns integer
    language plpgsql set search_path = '' as $$
declare
    v_free_at timestamptz;
    -- Where many leave in a minute, as many as of a quarter of a second leave together.
    v_turns constant integer := least(p_most, greatest(1, p_per_minute / 240));
begin
    insert into public.message_rates (channel, free_at) values (p_channel, '-infinity') on conflict (channel) do nothing;
    select r.free_at into v_free_at from public.message_rates r where r.channel = p_channel for update;
    -- No provider asks to wait for a day: such a time was set by a wrong clock.
    if v_turns < 1 or v_free_at > clock_timestamp() and v_free_at < clock_timestamp() + interval '1 day' then
        return 0;
    end if;
    update public.message_rates set free_at = clock_timestamp() + interval '1 minute' / p_per_minute * v_turns
    where channel = p_channel;
    return v_turns;
end $$;
comment on function private.take_turns(text, integer, integer) is
    'How many messages may leave on a channel now, at most so many; the next may when they would have at the rate.';

create function public.pause_channel(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
begin
    insert into public.message_rates as r (channel, free_at)
    values (p ->> 'channel', now() + (p ->> 'ms')::integer * interval '1 millisecond')
    on conflict (channel) do update set free_at = greatest(r.free_at, excluded.free_at);
    return '{}'::jsonb;
end $$;
comment on function public.pause_channel(jsonb) is
    'Nothing leaves on a channel for some time, in no process, because its provider asked for that: {channel, ms}.';

create or replace function public.begin_notification(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_row public.notifications;
    v_send boolean := false;
    v_rate constant integer := (p ->> 'per_minute')::integer;
    v_at timestamptz;
begin
    insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status)
    select (p ->> 'id')::uuid, b.id, b.customer_id, p ->> 'kind', coalesce(p ->> 'occasion', ''), p ->> 'channel', 'waiting'
    from public.bills b where b.id = (p ->> 'bill_id')::uuid
    on conflict (id) do nothing;
    select * into v_row from public.notifications where id = (p ->> 'id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    if v_row.status in ('waiting', 'not_configured') then
        v_at := coalesce(v_row.queued_at, now());
        v_send := v_rate is null or coalesce((p ->> 'granted')::boolean, false)
            or not exists (
                select 1 from public.notifications q
                where q.channel = v_row.channel and q.queued_at is not null and q.id <> v_row.id
                  and ((q.kind = any (array['payment_reminder', 'overdue_notice'])), q.queued_at)
                      < ((v_row.kind = any (array['payment_reminder', 'overdue_notice'])), v_at))
               and private.take_turns(v_row.channel, v_rate, 1) = 1;
        update public.notifications
        set status = case when v_send then 'sending' else 'waiting' end,
            attempts = attempts + case when v_send then 1 else 0 end,
            queued_at = case when not v_send then v_at end,
            error = '', updated_at = now(), recipient = p ->> 'recipient', body = p ->> 'body'
        where id = v_row.id returning * into v_row;
    elsif v_row.status = 'sending' then
        update public.notifications
        set status = 'unknown', updated_at = now(),
            error = 'The program stopped while this was being sent. It may have arrived; it is not sent twice.'
        where id = v_row.id returning * into v_row;
    end if;
    return jsonb_build_object('send', v_send, 'status', v_row.status, 'error', v_row.error,
                              'message_id', v_row.message_id, 'queued', v_row.queued_at is not null);
end $$;
comment on function public.begin_notification(jsonb) is
    'Says that a message is about to leave, unless it left before or its turn on the channel has not come: {id, bill_id, kind, occasion?, channel, recipient, body, per_minute?, granted?: its turn was given by claim_messages} -> {send, status, error, message_id, queued}.';

create function public.claim_messages(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_channel constant text := p ->> 'channel';
    v_turns integer := 0;
    v_rows uuid[] := '{}';
begin
    if not exists (select 1 from public.notifications where channel = v_channel and queued_at is not null) then
        return jsonb_build_object('owed', '[]'::jsonb);
    end if;
    v_turns := private.take_turns(v_channel, (p ->> 'per_minute')::integer, (p ->> 'limit')::integer);
    if v_turns > 0 then
        v_rows := array(
            select o.id
            from public.notifications n
            join public.outbox o on o.bill_id = n.bill_id and o.kind = n.kind and o.occasion = n.occasion
            where n.channel = v_channel and n.queued_at is not null
              and o.status = 'open' and (o.lease_until is null or o.lease_until < now())
            order by n.kind = any (array['payment_reminder', 'overdue_notice']), n.queued_at, n.id
            limit v_turns
            for update of o skip locked);
        -- Due, should the process die: what became of its message is then looked at without the queue.
        update public.outbox
        set lease_owner = p ->> 'owner', next_attempt_at = now(),
            lease_until = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
        where id = any (v_rows);
    end if;
    return (
        select jsonb_build_object(
            'owed', coalesce(jsonb_agg(to_jsonb(o) || jsonb_build_object('bill', private.bill_json(o.bill_id), 'granted', v_channel)
                                       order by o.created_at), '[]'),
            'wait_ms', (select greatest(0, ceil(extract(epoch from r.free_at - clock_timestamp()) * 1000))::integer
                        from public.message_rates r where r.channel = v_channel))
        from public.outbox o where o.id = any (v_rows));
end $$;
comment on function public.claim_messages(jsonb) is
    'Leases the work of the first messages in a channel''s queue, as many as may leave now: {owner, lease_seconds, channel, per_minute, limit} -> {owed: [outbox row with its bill, granted], wait_ms?: when to ask again; nothing waits without it}.';

create or replace function public.claim_owed_work(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_pending constant text := case p ->> 'lane'
        when 'graph' then $q$o.steps #>> '{8,status}' = 'pending'$q$
        when 'links' then $q$(o.steps #>> '{9,status}' = 'pending' or o.steps #>> '{10,status}' = 'pending')$q$
        when 'messages' then $q$(o.steps #>> '{11,status}' = 'pending' or o.steps #>> '{12,status}' = 'pending'
                                 or o.steps #>> '{13,status}' = 'pending')
            -- A message waits some minutes for its bill's link.
            and (o.created_at <= now() - make_interval(secs => ($2 ->> 'link_patience_seconds')::integer)
                 or 'pending' not in (coalesce(o.steps #>> '{9,status}', ''), coalesce(o.steps #>> '{10,status}', '')))$q$
        else 'true' end;
    -- The reminder waits until the bill itself was sent or given up.
    v_first constant text := case when p ->> 'lane' in ('graph', 'links') then 'true' else $q$not exists (
              select 1 from public.outbox e
              where e.bill_id = o.bill_id and e.status = 'open' and e.created_at < o.created_at
                and 'pending' in (e.steps #>> '{11,status}', e.steps #>> '{12,status}')
                and 'pending' in (o.steps #>> '{11,status}', o.steps #>> '{12,status}')
              -- Of one row at a time, by the index of its bill.
              offset 0)$q$ end;
    v_order constant text := case when p ->> 'lane' = 'messages'
        then $q$(o.kind = any (array['payment_reminder', 'overdue_notice'])), o.next_attempt_at$q$ else 'o.next_attempt_at' end;
    v_due uuid[];
begin
    execute format(
        $q$select array(
            select o.id from public.outbox o
            where o.status = 'open' and o.next_attempt_at <= now()
              and (o.lease_until is null or o.lease_until < now()) and %s and %s
            order by %s limit $1 for update of o skip locked)$q$, v_pending, v_first, v_order)
    into v_due using (p ->> 'limit')::integer, p;
    update public.outbox
    set lease_owner = p ->> 'owner',
        lease_until = now() + make_interval(secs => (p ->> 'lease_seconds')::integer)
    where id = any (v_due);
    return (
        select jsonb_build_object('owed', coalesce(jsonb_agg(
            to_jsonb(o) || jsonb_build_object('bill', private.bill_json(o.bill_id)) order by o.created_at), '[]'))
        from public.outbox o where o.id = any (v_due));
end $$;
comment on function public.claim_owed_work(jsonb) is
    'Leases what is due, of a bill''s messages the oldest first: {owner, lease_seconds, limit, lane?: graph | links | messages, link_patience_seconds?: of messages} -> {owed: [outbox row with its bill]}.';

create or replace function public.save_owed_work(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_row public.outbox;
    v_open boolean := p ->> 'status' = 'open';
    v_release boolean := coalesce((p ->> 'release')::boolean, true);
begin
    perform private.set_actor(p);
    if p ->> 'payment_url' is not null then
        -- Before the outbox row, as whoever changes a bill's balance does.
        perform 1 from public.bills
        where id = (select bill_id from public.outbox where id = (p ->> 'id')::uuid) for update;
    end if;
    select * into v_row from public.outbox where id = (p ->> 'id')::uuid for update;
    if not found or v_row.lease_owner is distinct from p ->> 'owner' then
        perform private.refuse('EB007', 'Another process is working on this by now.');
    end if;
    update public.outbox
    set steps = p -> 'steps', status = p ->> 'status',
        attempts = (p ->> 'attempts')::integer,
        next_attempt_at = case when p ->> 'retry_in_seconds' is null then next_attempt_at
                               else now() + make_interval(secs => (p ->> 'retry_in_seconds')::integer) end,
        finished_at = case when not v_open then now() end,
        lease_owner = case when v_release then null else lease_owner end,
        lease_until = case when v_release then null
                           else now() + make_interval(secs => (p ->> 'lease_seconds')::integer) end
    where id = v_row.id;
    if p ->> 'payment_url' is not null then
        update public.bills set payment_url = p ->> 'payment_url'
        where id = v_row.bill_id and status = 'issued' and payment_url is distinct from p ->> 'payment_url';
    end if;
    insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status, recipient, body, error)
    select n.id, v_row.bill_id, b.customer_id, v_row.kind, v_row.occasion, n.channel, n.status, n.recipient, n.body, n.error
    from jsonb_to_recordset(coalesce(p -> 'notifications', '[]')) as n(
        id uuid, channel text, status text, recipient text, body text, error text)
    cross join public.bills b
    where b.id = v_row.bill_id
    on conflict (id) do nothing;
    if not v_open then
        -- What is not said after all waits for no turn.
        update public.notifications
        set queued_at = null, status = 'not_configured', updated_at = now(), error = coalesce(p #>> '{steps,12,detail}', '')
        where bill_id = v_row.bill_id and kind = v_row.kind and occasion = v_row.occasion and queued_at is not null;
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.save_owed_work(jsonb) is
    'Keeps the state of the steps: {actor, id, owner, steps, status, attempts, retry_in_seconds?: without it as before, release, lease_seconds, payment_url?, notifications?}. EB007 when the lease is another''s.';

create function public.message_queue(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('channels', coalesce(jsonb_agg(jsonb_build_object(
        'channel', q.channel, 'waiting', q.waiting, 'since', q.since) order by q.channel), '[]'))
    from (select n.channel, count(*) as waiting, min(n.queued_at) as since
          from public.notifications n where n.queued_at is not null group by 1) q
$$;
comment on function public.message_queue(jsonb) is 'How many messages wait for their turn, by channel: {} -> {channels: [{channel, waiting, since}]}.';

create or replace function public.operation_figures(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    select jsonb_build_object(
        'at', now(),
        'outbox_open', (select count(*) from public.outbox where status = 'open'),
        'outbox_oldest_at', (select created_at from public.outbox where status = 'open' order by created_at limit 1),
        'outbox_failed', (select count(*) from (
            select 1 from public.outbox
            where status <> 'open' and jsonb_path_exists(steps, '$.*."status"?(@ == "failed")'::jsonpath)
            limit 100000) f),
        'outbox_steps', (select coalesce(jsonb_agg(to_jsonb(g)), '[]') from (
            select s.key as step, s.value ->> 'status' as state, count(*) as entries
            from (select o.steps from public.outbox o where o.status = 'open' order by o.created_at limit 10000) o
            cross join lateral jsonb_each(o.steps) s
            group by 1, 2 order by 1, 2) g),
        'messages', public.message_queue('{}') -> 'channels',
        'readings', (select coalesce(jsonb_object_agg(g.source, g.readings), '{}') from (
            select r.source, count(*) as readings from public.readings r
            where r.created_at >= (p ->> 'day_began')::timestamptz group by 1) g),
        'bills', (select count(*) from public.bills b where b.issued_on = (p ->> 'today')::date),
        'ai', public.ai_spending(jsonb_build_object('since', p ->> 'month_began')),
        'database_bytes', pg_catalog.pg_database_size(current_database()),
        'jobs', (select coalesce(jsonb_agg(to_jsonb(j)), '[]') from (
            select l.job, l.status, l.started_at, l.finished_at, l.done_count, l.failed_count,
                   (select max(r.finished_at) from public.job_runs r
                    where r.job = l.job and r.status = 'done' and r.clock_at is not null) as succeeded_at
            from (select distinct on (r.job) r.* from public.job_run_list r
                  where not r.disregarded order by r.job, r.started_at desc, r.scheduled_on desc) l
            order by l.job) j),
        'alerts_open', (select count(*) from public.operations_alerts where resolved_at is null))
$_$;

revoke all on function public.pause_channel, public.claim_messages, public.message_queue from public, anon, authenticated;
revoke all on function private.take_turns from public;
grant execute on function public.pause_channel, public.claim_messages, public.message_queue, private.take_turns to service_role;

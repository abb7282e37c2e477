-- What waits for a time that a wrong clock set does not wait for it once the clock is believed again.
create index outbox_leased on public.outbox (lease_until) where lease_until is not null;

create function private.mend_clock_waits() returns void
language plpgsql set search_path = '' as $$
begin
    -- Whoever holds a lease may live: theirs lasts as long as one that begins now.
    update public.job_runs set lease_until = now() + interval '2 minutes'
    where status = 'running' and lease_until > now() + interval '10 minutes';
    update public.job_runs set finished_at = now()
    where status = 'failed' and finished_at > now() + interval '5 minutes';
    update public.outbox set lease_until = now() + interval '2 minutes'
    where lease_until > now() + interval '10 minutes';
    -- The longest wait is the 12 hours of a message that joins a customer's bills.
    update public.outbox set next_attempt_at = now()
    where status = 'open' and next_attempt_at > now() + interval '13 hours';
    update public.unprinted_bills set tried_at = now()
    where tried_at > now() + interval '5 minutes';
    if exists (select 1 from public.payment_returns where status = 'pending' and next_attempt_at > now() + interval '1 day') then
        perform private.set_actor(jsonb_build_object(
            'actor', coalesce(nullif(current_setting('billing.actor', true), ''), 'system:clock')));
        update public.payment_returns set next_attempt_at = now()
        where status = 'pending' and next_attempt_at > now() + interval '1 day';
    end if;
end $$;
comment on function private.mend_clock_waits is
    'Shortens the leases and the waits that end later than any can: the clock was ahead when they began.';
revoke all on function private.mend_clock_waits from public;
grant execute on function private.mend_clock_waits to service_role;

create or replace function private.trust_clock(p jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_at timestamptz := (p ->> 'at')::timestamptz;
begin
    insert into public.clock_seen (machine, seen_at, uptime_seconds)
    select p ->> 'machine', v_at, (p ->> 'uptime_seconds')::bigint
    on conflict (machine) do update set seen_at = excluded.seen_at, uptime_seconds = excluded.uptime_seconds;
    delete from public.clock_seen where machine <> p ->> 'machine' and seen_at < v_at - interval '60 days';
    update public.installation set installed_at = least(installed_at, v_at), clock_doubted_at = null, clock_doubt = ''
    where installed_at > v_at or clock_doubted_at is not null;
    -- What ran at a time that is still to come ran while the clock was wrong.
    update public.job_runs set clock_at = null
    where status <> 'running' and clock_at > v_at + interval '5 minutes';
    perform private.mend_clock_waits();
end $$;
comment on function private.trust_clock is
    'Takes a time as right: it was seen now, runs claimed at a later time do not count, and nothing waits for a time that the wrong clock set: {machine, at, uptime_seconds}.';

-- An attempt that slept would go on with the day on which it began: bills issued and due months ago.
create or replace function private.check_run(p_run jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    if p_run is null or p_run = 'null'::jsonb then
        return;
    end if;
    update public.job_runs set lease_until = now() + make_interval(secs => (p_run ->> 'lease_seconds')::integer)
    where job = p_run ->> 'job' and scheduled_on = (p_run ->> 'scheduled_on')::date
      and attempt = (p_run ->> 'attempt')::integer and status = 'running'
      and lease_until > now() - interval '1 hour';
    if not found then
        perform private.refuse('EB006', 'This run of the job was taken over by another process, or slept for too long.');
    end if;
end $$;
comment on function private.check_run is
    'Lets a batch write only while its attempt is the current one and its lease did not run out over an hour ago, and prolongs the lease.';

create or replace function public.claim_operations_alerts(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_now constant timestamptz := (p ->> 'now')::timestamptz;
    v_rows jsonb;
begin
    with due as (
        select a.id from public.operations_alerts a
        -- What nobody could be told of for a day is on the page, and no news.
        where coalesce(a.resolved_at, a.last_seen_at) > v_now - interval '1 day'
          -- Nothing waits longer than an hour: the clock was ahead then.
          and (a.next_attempt_at <= v_now or a.next_attempt_at > v_now + interval '65 minutes')
          and exists (select 1 from jsonb_array_elements_text(p -> 'channels') c
                      where not a.told ? (c || '/begin')
                         or (a.resolved_at is not null and not a.told ? (c || '/end')))
        order by a.since, a.id limit 50 for update skip locked
    ), claimed as (
        update public.operations_alerts a
        set attempts = a.attempts + 1,
            next_attempt_at = v_now + least(interval '1 hour', interval '1 minute' * power(2, least(a.attempts, 10)))
        from due where a.id = due.id
        returning a.id, a.condition, a.sentence, a.since, a.last_seen_at, a.resolved_at, a.told
    )
    select coalesce(jsonb_agg(to_jsonb(c) order by c.since, c.id), '[]') into v_rows from claimed c;
    return jsonb_build_object('alerts', v_rows);
end $$;

create or replace function public.note_operations_alerts(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_now constant timestamptz := (p ->> 'now')::timestamptz;
    v_quiet constant interval := make_interval(mins => (p ->> 'quiet_minutes')::integer);
begin
    insert into public.operations_alerts as a (condition, sentence, since, last_seen_at, told, next_attempt_at)
    select s.condition, s.sentence, coalesce(s.since, v_now), v_now, coalesce(s.told, '{}'), v_now
    from jsonb_to_recordset(p -> 'seen') as s(condition text, sentence text, since timestamptz, told jsonb)
    on conflict (condition) where resolved_at is null
    do update set sentence = excluded.sentence, last_seen_at = v_now, clear_since = null, told = a.told || excluded.told;
    update public.operations_alerts a
    -- What was clear at a time that is still to come was so by a wrong clock.
    set clear_since = least(a.clear_since, v_now),
        resolved_at = case when a.clear_since <= q.before then greatest(a.since, v_now) end,
        attempts = 0, next_attempt_at = v_now
    from (select o.id, v_now - least(interval '4 hours', v_quiet * power(2, least(count(e.id), 10))) as before
          from public.operations_alerts o
          left join public.operations_alerts e on e.condition = o.condition and e.resolved_at > v_now - interval '1 day'
          where o.resolved_at is null and o.condition in (select jsonb_array_elements_text(p -> 'clear'))
          group by o.id) q
    where a.id = q.id and (a.clear_since is null or a.clear_since > v_now or a.clear_since <= q.before);
    return '{}'::jsonb;
end $$;

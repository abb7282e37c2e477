-- The clock that the jobs go by: what it said when a run was claimed, when it was last seen, and whether it is in doubt.

alter table public.job_runs add column clock_at timestamptz;
update public.job_runs set clock_at = started_at;
comment on column public.job_runs.clock_at is
    'What the database''s clock said when this attempt was claimed. Null: that clock turned out to be wrong, and the run does not count.';

create table public.clock_seen (
    machine text primary key,
    seen_at timestamptz not null,
    uptime_seconds bigint not null check (uptime_seconds >= 0)
);
comment on table public.clock_seen is
    'The last tick of each machine (one row per start of it), with how long it had been up: the clock and the uptime must advance together.';
alter table public.clock_seen enable row level security;
revoke all on public.clock_seen from public, anon, authenticated;
revoke truncate on public.clock_seen from service_role;
grant select, insert, update, delete on public.clock_seen to service_role;

-- The newest run is the best that is known of a database that no tick has looked at yet.
insert into public.clock_seen (machine, seen_at, uptime_seconds)
select 'before', max(started_at), 0 from public.job_runs where started_at <= now() having max(started_at) is not null;

alter table public.installation
    add column clock_doubted_at timestamptz,
    add column clock_doubt text not null default '',
    add column clock_confirmed_at timestamptz,
    add column clock_confirmed_by text;
comment on column public.installation.clock_doubted_at is
    'What the clock said when it was found to have jumped forward: the jobs wait until it is back before that, or a person confirms it.';

-- The columns keep their order: the new ones come last.
create or replace view public.job_run_list with (security_invoker = true) as
select r.job, r.scheduled_on, r.attempt, r.owner, r.started_by,
       case when r.status = 'running' and r.lease_until < now() then 'interrupted'
            when r.status <> 'running' and r.clock_at is null then 'disregarded'
            else r.status end as status,
       r.done_count, r.failed_count, r.detail, r.started_at, r.finished_at,
       r.clock_at, r.status <> 'running' and r.clock_at is null as disregarded
from public.job_runs r;
comment on column public.job_run_list.status is
    '"interrupted": its process is gone; the next tick takes the run over. "disregarded": it ran while the clock was wrong, and does not count.';

-- As before, and with the clock; a run that does not count is taken again by naming its attempt.
create or replace function public.claim_job_run(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_job text := p ->> 'job';
    v_on date := (p ->> 'scheduled_on')::date;
    v_lease timestamptz := now() + make_interval(secs => (p ->> 'lease_seconds')::integer);
    v_clock timestamptz := coalesce((p ->> 'clock_at')::timestamptz, now());
    v_run public.job_runs;
    v_other date;
begin
    perform pg_advisory_xact_lock(hashtext('job_runs'), hashtext(v_job));
    select r.scheduled_on into v_other from public.job_runs r
    where r.job = v_job and r.scheduled_on <> v_on and r.status = 'running' and r.lease_until >= now() limit 1;
    if found then
        return jsonb_build_object('claimed', false, 'run', private.run_json(v_job, v_other));
    end if;
    insert into public.job_runs (job, scheduled_on, owner, lease_until, status, started_by, clock_at)
    values (v_job, v_on, p ->> 'owner', v_lease, 'running', p ->> 'started_by', v_clock)
    on conflict do nothing;
    if found then
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    select * into v_run from public.job_runs where job = v_job and scheduled_on = v_on for update;
    if (v_run.status = 'running' and v_run.lease_until < now())
       or (v_run.status = 'failed' and v_run.finished_at < now() - interval '5 minutes'
           and v_run.attempt < private.most_attempts())
       or (v_run.status <> 'running' and (coalesce((p ->> 'rerun')::boolean, false)
                                          or v_run.attempt = (p ->> 'instead_of_attempt')::integer)) then
        delete from public.job_set_aside where job = v_job and scheduled_on = v_on;
        update public.job_runs
        set attempt = attempt + 1, owner = p ->> 'owner', lease_until = v_lease, status = 'running',
            failed_count = 0, detail = '', finished_at = null, clock_at = v_clock,
            -- An interrupted run goes on as it was started, with what it finished; another counts anew.
            started_by = case when v_run.status = 'running' then started_by else p ->> 'started_by' end,
            done_count = case when v_run.status = 'running' then done_count else 0 end,
            started_at = case when v_run.status = 'running' then started_at else now() end
        where job = v_job and scheduled_on = v_on;
        return jsonb_build_object('claimed', true, 'run', private.run_json(v_job, v_on));
    end if;
    return jsonb_build_object('claimed', false, 'run', private.run_json(v_job, v_on));
end $$;
comment on function public.claim_job_run is
    'Takes a run that is new, whose lease ran out, that failed a while ago, that is over and does not count (instead_of_attempt: the one that was seen), or (with rerun) that is over: {job, scheduled_on, owner, lease_seconds, started_by, clock_at?, rerun?, instead_of_attempt?} -> {claimed, run}. One run of a job at a time: when another date''s is under way, that is the run answered.';

-- As before, and with the clock. A last run "from the future" is last only where there is no other.
create or replace function public.job_history(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'installed_at', (select installed_at from public.installation),
        'last_runs', (select coalesce(jsonb_object_agg(l.job, to_jsonb(l)), '{}')
                      from (select distinct on (r.job) r.* from public.job_run_list r
                            order by r.job, r.disregarded or r.started_at > now() + interval '5 minutes',
                                     r.started_at desc, r.scheduled_on desc) l),
        'runs', (select coalesce(jsonb_agg(jsonb_build_object(
                            'job', r.job, 'scheduled_on', r.scheduled_on, 'status', r.status,
                            'attempt', r.attempt, 'clock_at', r.clock_at,
                            'over', r.status in ('done', 'disregarded')
                                    or (r.status = 'failed' and r.attempt >= private.most_attempts()))), '[]')
                 from public.job_run_list r
                 where r.status <> 'done'
                    or r.scheduled_on >= coalesce((p -> 'since' ->> r.job)::date, '-infinity')))
$$;
comment on function public.job_history is
    'What the scheduler''s tick compares with what is due: {since?: {job: date}} -> {installed_at, last_runs by job, runs since those dates and all that did not end well}. "over": nobody tries it again by itself, if the clock was right.';

create function public.clock_state(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'now', clock_timestamp(),
        'newest_seen', (select max(s.seen_at) from public.clock_seen s),
        'seen', (select to_jsonb(s) from public.clock_seen s where s.machine = p ->> 'machine'),
        'doubted_at', i.clock_doubted_at, 'doubt', i.clock_doubt)
    from public.installation i
$$;
comment on function public.clock_state is
    'The database''s clock, and what is known of it: {machine?} -> {now, newest_seen, seen: {seen_at, uptime_seconds} of this machine, doubted_at, doubt}.';

create function private.trust_clock(p jsonb) returns void
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
end $$;
comment on function private.trust_clock is
    'Takes a time as right: it was seen now, and runs claimed at a later time do not count: {machine, at, uptime_seconds}.';

create function public.note_clock(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    if (p ->> 'doubt') is null then
        perform private.trust_clock(p);
    else
        update public.installation set clock_doubted_at = (p ->> 'at')::timestamptz, clock_doubt = p ->> 'doubt'
        where clock_doubted_at is null;
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.note_clock is
    'Keeps what a tick found out about the clock: {machine, at, uptime_seconds, doubt?}; a doubt lasts until the clock is back or a person confirms it.';

create function public.confirm_clock(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    delete from public.clock_seen where true;
    perform private.trust_clock(p);
    update public.installation set clock_confirmed_at = (p ->> 'at')::timestamptz, clock_confirmed_by = p ->> 'actor'
    where true;
    return '{}'::jsonb;
end $$;
comment on function public.confirm_clock is 'A person says that the clock is right: {actor, machine, at, uptime_seconds}.';

revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema private to service_role;

-- Retention of what else grows for ever: photos, keys of readings, what runs set aside, what Stripe told.

create index idempotency_keys_by_time on public.idempotency_keys (created_at);
create index meter_photos_by_time on public.meter_photos (created_at);

create or replace function private.keep_claimed_photo() returns trigger
    language plpgsql
    set search_path to ''
    as $$
begin
    if old.created_at > now() - interval '12 months'
       and exists (select 1 from public.meter_photo_list l where l.id = old.id and (l.reading_id is not null or l.missed_read_id is not null)) then
        raise exception 'Photos of readings and of missed reads are kept: % is not deleted.', old.id;
    end if;
    return old;
end $$;
comment on function private.keep_claimed_photo() is 'A photo with a reading or a missed read is evidence, and not deleted within 12 months, however the retention is set.';

-- A dispute may come up to 18 months after its payment, and is understood by what Stripe told before.
drop trigger refuse_delete on public.stripe_events;
create trigger refuse_delete before delete on public.stripe_events
    for each row when (old.created_at > now() - interval '23 months' or old.outcome = 'waiting') execute function private.refuse_delete();
drop trigger refuse_delete on public.reconciliations;
create trigger refuse_delete before delete on public.reconciliations
    for each row when (old.at > now() - interval '23 months') execute function private.refuse_delete();

create or replace function private.remove_old() returns trigger
    language plpgsql security definer
    set search_path to ''
    as $$
declare
    v_pictures text[];
begin
    case new.what
        when 'outbox' then
            delete from public.outbox where id in (
                select o.id from public.outbox o where o.status <> 'open' and o.finished_at < new.older_than
                order by o.finished_at limit new.at_most);
        when 'notifications' then
            delete from public.notifications where id in (
                select n.id from public.notifications n
                where n.created_at < new.older_than and n.updated_at < new.older_than and n.status not in ('waiting', 'sending')
                order by n.created_at limit new.at_most);
        when 'ai_calls' then
            delete from public.ai_calls where id in (
                select c.id from public.ai_calls c where c.created_at < new.older_than order by c.created_at limit new.at_most);
        when 'sessions' then
            delete from public.sessions where id in (
                select s.id from public.sessions s where s.first_used_at < new.older_than and s.expires_at < new.older_than
                order by s.first_used_at limit new.at_most);
        -- These two are written in the order of their ids: the oldest come first.
        when 'security_log' then
            delete from public.security_log where id in (
                select l.id from (select x.id, x.at from public.security_log x order by x.id limit new.at_most) l where l.at < new.older_than);
        when 'audit_log' then
            delete from public.audit_log where id in (
                select a.id from (select x.id, x.at from public.audit_log x order by x.id limit new.at_most) a where a.at < new.older_than);
        when 'operations_alerts' then
            delete from public.operations_alerts where id in (
                select a.id from public.operations_alerts a where a.resolved_at < new.older_than order by a.since limit new.at_most);
        when 'refused_reads' then
            delete from public.refused_reads where (submitted_by, key) in (
                select x.submitted_by, x.key from public.refused_reads x where x.refused_at < new.older_than order by x.refused_at limit new.at_most);
        -- What the last month's run set aside may still be billed: it is never older than a month before that run.
        when 'job_set_aside' then
            delete from public.job_set_aside where (job, scheduled_on, subject) in (
                select s.job, s.scheduled_on, s.subject
                from (select r.job, r.scheduled_on from public.job_runs r
                      where r.scheduled_on < least((new.older_than at time zone 'UTC')::date,
                                                   (private.last_month_run() - interval '1 month')::date)
                      order by r.scheduled_on, r.job) o
                cross join lateral (select x.job, x.scheduled_on, x.subject from public.job_set_aside x
                                    where x.job = o.job and x.scheduled_on = o.scheduled_on limit new.at_most) s
                limit new.at_most);
        when 'meter_photos' then
            with gone as (
                delete from public.meter_photos where id in (
                    select f.id from public.meter_photos f where f.created_at < new.older_than order by f.created_at limit new.at_most)
                returning sha256
            ) select coalesce(array_agg(g.sha256), '{}') into v_pictures from gone g;
            delete from public.photo_contents c
            where c.sha256 = any (v_pictures) and not exists (select 1 from public.meter_photos f where f.sha256 = c.sha256);
            new.removed := cardinality(v_pictures);
            return case when new.removed > 0 then new end;
        -- A photo finds its reading by the key of both, which stays for as long.
        when 'idempotency_keys' then
            delete from public.idempotency_keys where (caller, key) in (
                select k.caller, k.key from public.idempotency_keys k
                where k.created_at < new.older_than
                  and not exists (select 1 from public.meter_photos f where f.taken_by = k.caller and f.key = k.key)
                order by k.created_at limit new.at_most);
        when 'stripe_events' then
            delete from public.stripe_events where id in (
                select e.id from public.stripe_events e where e.created_at < new.older_than and e.outcome <> 'waiting'
                order by e.created_at limit new.at_most);
        -- The last good look says since when to look again.
        when 'reconciliations' then
            delete from public.reconciliations where id in (
                select r.id from public.reconciliations r
                where r.at < new.older_than
                  and r.at < (select max(x.at) from public.reconciliations x where x.kind = r.kind and x.error = '')
                order by r.at limit new.at_most);
        when 'removals' then
            delete from public.removals where id in (
                select r.id from public.removals r where r.at < new.older_than order by r.id limit new.at_most);
        else
            perform private.refuse('EB400', format('Nothing is removed of %s.', new.what));
    end case;
    get diagnostics new.removed = row_count;
    return case when new.removed > 0 then new end;
end $$;

comment on function public.remove_old_records(p jsonb) is 'Removes up to so many records of a kind that are older than an instant: {run?, what: outbox|notifications|ai_calls|sessions|security_log|audit_log|operations_alerts|refused_reads|job_set_aside|meter_photos|idempotency_keys|stripe_events|reconciliations|removals, before, limit} -> {removed}. What is open, and what the law wants kept, stays.';

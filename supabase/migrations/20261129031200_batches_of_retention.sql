-- A batch goes to its rows by where they lie: joined by their ids, the whole table was read for each.

create or replace function private.remove_old() returns trigger
    language plpgsql security definer
    set search_path to ''
    as $$
declare
    v_pictures text[];
begin
    case new.what
        when 'outbox' then
            delete from public.outbox where ctid = any (array(
                select o.ctid from public.outbox o where o.status <> 'open' and o.finished_at < new.older_than
                order by o.finished_at limit new.at_most));
        when 'notifications' then
            delete from public.notifications where ctid = any (array(
                select n.ctid from public.notifications n
                where n.created_at < new.older_than and n.updated_at < new.older_than and n.status not in ('waiting', 'sending')
                order by n.created_at limit new.at_most));
        when 'ai_calls' then
            delete from public.ai_calls where ctid = any (array(
                select c.ctid from public.ai_calls c where c.created_at < new.older_than order by c.created_at limit new.at_most));
        when 'sessions' then
            delete from public.sessions where ctid = any (array(
                select s.ctid from public.sessions s where s.first_used_at < new.older_than and s.expires_at < new.older_than
                order by s.first_used_at limit new.at_most));
        -- These two are written in the order of their ids: the oldest come first.
        when 'security_log' then
            delete from public.security_log where ctid = any (array(
                select l.ctid from (select x.ctid, x.at from public.security_log x order by x.id limit new.at_most) l where l.at < new.older_than));
        when 'audit_log' then
            delete from public.audit_log where ctid = any (array(
                select a.ctid from (select x.ctid, x.at from public.audit_log x order by x.id limit new.at_most) a where a.at < new.older_than));
        when 'operations_alerts' then
            delete from public.operations_alerts where ctid = any (array(
                select a.ctid from public.operations_alerts a where a.resolved_at < new.older_than order by a.since limit new.at_most));
        when 'refused_reads' then
            delete from public.refused_reads where ctid = any (array(
                select x.ctid from public.refused_reads x where x.refused_at < new.older_than order by x.refused_at limit new.at_most));
        -- What the last month's run set aside may still be billed: it is never older than a month before that run.
        when 'job_set_aside' then
            delete from public.job_set_aside where ctid = any (array(
                select s.ctid
                from (select r.job, r.scheduled_on from public.job_runs r
                      where r.scheduled_on < least((new.older_than at time zone 'UTC')::date,
                                                   (private.last_month_run() - interval '1 month')::date)
                      order by r.scheduled_on, r.job) o
                cross join lateral (select x.ctid from public.job_set_aside x
                                    where x.job = o.job and x.scheduled_on = o.scheduled_on limit new.at_most) s
                limit new.at_most));
        when 'meter_photos' then
            with gone as (
                delete from public.meter_photos where ctid = any (array(
                    select f.ctid from public.meter_photos f where f.created_at < new.older_than order by f.created_at limit new.at_most))
                returning sha256
            ) select coalesce(array_agg(g.sha256), '{}') into v_pictures from gone g;
            delete from public.photo_contents c
            where c.sha256 = any (v_pictures) and not exists (select 1 from public.meter_photos f where f.sha256 = c.sha256);
            new.removed := cardinality(v_pictures);
            return case when new.removed > 0 then new end;
        -- A photo finds its reading by the key of both, which stays for as long.
        when 'idempotency_keys' then
            delete from public.idempotency_keys where ctid = any (array(
                select k.ctid from public.idempotency_keys k
                where k.created_at < new.older_than
                  and not exists (select 1 from public.meter_photos f where f.taken_by = k.caller and f.key = k.key)
                order by k.created_at limit new.at_most));
        when 'stripe_events' then
            delete from public.stripe_events where ctid = any (array(
                select e.ctid from public.stripe_events e where e.created_at < new.older_than and e.outcome <> 'waiting'
                order by e.created_at limit new.at_most));
        -- The last good look says since when to look again.
        when 'reconciliations' then
            delete from public.reconciliations where ctid = any (array(
                select r.ctid from public.reconciliations r
                where r.at < new.older_than
                  and r.at < (select max(x.at) from public.reconciliations x where x.kind = r.kind and x.error = '')
                order by r.at limit new.at_most));
        when 'removals' then
            delete from public.removals where ctid = any (array(
                select r.ctid from public.removals r where r.at < new.older_than order by r.id limit new.at_most));
        else
            perform private.refuse('EB400', format('Nothing is removed of %s.', new.what));
    end case;
    get diagnostics new.removed = row_count;
    return case when new.removed > 0 then new end;
end $$;

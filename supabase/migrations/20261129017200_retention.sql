-- What nobody needs any more is removed: never bills, readings, payments or the ledger.

-- However the retention is set, these stay for so long; and nobody deletes them but the trigger below.
drop trigger refuse_delete on public.audit_log;
create trigger refuse_delete before delete on public.audit_log
    for each row when (old.at > now() - interval '5 years') execute function private.refuse_delete();
drop trigger refuse_delete on public.sessions;
create trigger refuse_delete before delete on public.sessions
    for each row when (old.expires_at > now() - interval '28 days') execute function private.refuse_delete();
create trigger refuse_delete before delete on public.security_log
    for each row when (old.at > now() - interval '28 days') execute function private.refuse_delete();
create trigger refuse_delete before delete on public.outbox
    for each row when (old.status = 'open') execute function private.refuse_delete();
create trigger refuse_delete before delete on public.notifications
    for each row when (old.status in ('waiting', 'sending')) execute function private.refuse_delete();

create table public.removals (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    what text not null,
    older_than timestamptz not null,
    at_most integer not null check (at_most > 0),
    removed integer not null default 0
);
comment on table public.removals is 'What retention removed, a row a batch: writing one is what removes it.';
alter table public.removals enable row level security;
revoke all on public.removals from public, anon, authenticated, service_role;
grant select, insert on public.removals to service_role;

create function private.remove_old() returns trigger
    language plpgsql security definer
    set search_path to ''
    as $$
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
        when 'removals' then
            delete from public.removals where id in (
                select r.id from public.removals r where r.at < new.older_than order by r.id limit new.at_most);
        else
            perform private.refuse('EB400', format('Nothing is removed of %s.', new.what));
    end case;
    get diagnostics new.removed = row_count;
    return case when new.removed > 0 then new end;
end $$;
comment on function private.remove_old() is 'Deletes the oldest rows of a table, as its owner: nobody else may delete of the audit trail or the security log, whose triggers keep what is young.';
revoke all on function private.remove_old() from public;
grant all on function private.remove_old() to service_role;
create trigger remove_old before insert on public.removals for each row execute function private.remove_old();

create function public.remove_old_records(p jsonb) returns jsonb
    language plpgsql
    set search_path to ''
    as $$
declare
    v_removed integer := 0;
begin
    perform private.check_run(p -> 'run');
    insert into public.removals (what, older_than, at_most)
    values (p ->> 'what', (p ->> 'before')::timestamptz, (p ->> 'limit')::integer)
    returning removed into v_removed;
    -- No row is written where nothing was removed.
    v_removed := coalesce(v_removed, 0);
    if p ? 'run' and v_removed > 0 then
        perform private.note_progress(p || jsonb_build_object('done', v_removed));
    end if;
    return jsonb_build_object('removed', v_removed);
end $$;
comment on function public.remove_old_records(p jsonb) is 'Removes up to so many records of a kind that are older than an instant: {run?, what: outbox|notifications|ai_calls|sessions|security_log|audit_log|operations_alerts|removals, before, limit} -> {removed}. What is open, and what the law wants kept, stays.';
revoke all on function public.remove_old_records(p jsonb) from public;
grant all on function public.remove_old_records(p jsonb) to service_role;

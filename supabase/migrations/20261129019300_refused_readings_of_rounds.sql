-- Readings of a phone's round that were refused: who typed what would else be known to the phone alone.

create table public.refused_reads (
    submitted_by text not null check (submitted_by <> ''),
    key text not null check (key <> ''),
    meter_serial text not null,
    shown text not null,
    read_at text not null,
    why text not null check (why <> ''),
    refused_at timestamptz not null default now(),
    primary key (submitted_by, key)
);
comment on table public.refused_reads is 'Readings that came from the round and were refused, as they were typed; at most 200 of one person within a day are kept, until retention removes them.';
comment on column public.refused_reads.key is 'The idempotency key under which the phone sent it.';
comment on column public.refused_reads.shown is 'What was typed for the total, and for further registers.';
create index refused_reads_by_time on public.refused_reads (refused_at);
create index refused_reads_of_user on public.refused_reads (submitted_by, refused_at);
alter table public.refused_reads enable row level security;
revoke all on public.refused_reads from public, anon, authenticated, service_role;
grant select, insert on public.refused_reads to service_role;

create function public.note_refused_read(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    insert into public.refused_reads (submitted_by, key, meter_serial, shown, read_at, why)
    select p ->> 'actor', p ->> 'key', p ->> 'meter_serial', p ->> 'shown', p ->> 'read_at', p ->> 'why'
    where (select count(*) from (select 1 from public.refused_reads x
                                 where x.submitted_by = p ->> 'actor' and x.refused_at > now() - interval '1 day' limit 200) n) < 200
    on conflict do nothing;
    return jsonb_build_object('kept', found);
end $$;
comment on function public.note_refused_read(jsonb) is 'Keeps a reading that the round sent and that was refused, once for its key: {actor, key, meter_serial, shown, read_at: as typed, why} -> {kept}.';
revoke all on function public.note_refused_read(jsonb) from public, anon, authenticated;
grant execute on function public.note_refused_read(jsonb) to service_role;

create view public.refused_read_list with (security_invoker = true) as
select x.submitted_by, x.key, x.meter_serial, x.shown, x.read_at, x.why, x.refused_at, m.id as meter_id,
       exists (select 1 from public.readings r
               where r.meter_id = m.id and r.created_at > x.refused_at and r.source <> 'estimated'
                 and r.status in ('accepted', 'needs_review')) as was_read_since
from public.refused_reads x
left join public.meters m on m.serial = x.meter_serial;
comment on view public.refused_read_list is 'Refused readings of the round, each with its meter where there is one, and whether a reading of it came since.';
revoke all on public.refused_read_list from public, anon, authenticated;
grant select on public.refused_read_list to service_role;

create or replace function private.remove_old() returns trigger
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
        when 'refused_reads' then
            delete from public.refused_reads where (submitted_by, key) in (
                select x.submitted_by, x.key from public.refused_reads x where x.refused_at < new.older_than order by x.refused_at limit new.at_most);
        when 'removals' then
            delete from public.removals where id in (
                select r.id from public.removals r where r.at < new.older_than order by r.id limit new.at_most);
        else
            perform private.refuse('EB400', format('Nothing is removed of %s.', new.what));
    end case;
    get diagnostics new.removed = row_count;
    return case when new.removed > 0 then new end;
end $$;

comment on function public.remove_old_records(p jsonb) is 'Removes up to so many records of a kind that are older than an instant: {run?, what: outbox|notifications|ai_calls|sessions|security_log|audit_log|operations_alerts|refused_reads|removals, before, limit} -> {removed}. What is open, and what the law wants kept, stays.';

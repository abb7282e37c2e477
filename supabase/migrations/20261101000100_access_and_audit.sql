-- Who may touch what, and the audit trail that every later table hangs on.
--
-- Supabase grants every new object of "public" to anon and authenticated. This system has one
-- database user, service_role: nobody else may read a row or call a function.

alter default privileges in schema public revoke all on tables from public, anon, authenticated;
alter default privileges in schema public revoke all on sequences from public, anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
-- EXECUTE for PUBLIC is a built-in default, which only a database-wide statement takes away.
alter default privileges revoke execute on functions from public;

create schema private;
comment on schema private is
    'Helpers of the functions in "public"; not exposed over REST.';
grant usage on schema private to service_role;

create table public.audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null check (actor <> ''),
    action text not null check (action in ('insert', 'update')),
    table_name text not null,
    row_id text not null,
    before jsonb,
    after jsonb
);
create index audit_log_row on public.audit_log (table_name, row_id);
comment on table public.audit_log is
    'Every change of a customer, meter, tariff, reading, bill, payment or API key: who, when, what before, what after.';
comment on column public.audit_log.before is 'Of an update: the columns that changed, as they were.';
comment on column public.audit_log.after is
    'Of an insert: the row (a bill without its lines, which never change). Of an update: the columns that changed.';

create function private.set_actor(p jsonb) returns void
language plpgsql set search_path = '' as $$
begin
    if coalesce(p ->> 'actor', '') = '' then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    perform set_config('billing.actor', p ->> 'actor', true);
end $$;
comment on function private.set_actor is
    'Says who makes the changes of this transaction; the audit triggers read it.';

create function private.changed_columns(p_old jsonb, p_new jsonb) returns jsonb
language sql immutable set search_path = '' as $$
    select coalesce(jsonb_object_agg(n.key, n.value), '{}'::jsonb)
    from jsonb_each(p_new) n
    where p_old -> n.key is distinct from n.value
$$;

create function private.audit() returns trigger
-- Transition tables have no statistics: left alone, the planner joins a thousand rows row by row.
language plpgsql set search_path = '' set enable_nestloop = off as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
begin
    if tg_op = 'INSERT' then
        if v_actor is null and exists (select 1 from new_rows) then
            raise exception using errcode = 'EB400', message = 'A write must name its actor.';
        end if;
        insert into public.audit_log (actor, action, table_name, row_id, after)
        select v_actor, 'insert', tg_table_name, n.id::text, to_jsonb(n) - 'lines'
        from new_rows n;
    else
        if v_actor is null and exists (select 1 from new_rows) then
            raise exception using errcode = 'EB400', message = 'A write must name its actor.';
        end if;
        insert into public.audit_log (actor, action, table_name, row_id, before, after)
        select v_actor, 'update', tg_table_name, n.id::text,
               private.changed_columns(to_jsonb(n), to_jsonb(o)),
               private.changed_columns(to_jsonb(o), to_jsonb(n))
        from new_rows n join old_rows o on o.id = n.id
        where to_jsonb(o) <> to_jsonb(n);
    end if;
    return null;
end $$;
comment on function private.audit is
    'Statement trigger over transition tables: one insert a statement, so that bulk writes stay fast.';

create function private.audit_table(p_table regclass) returns void
language plpgsql set search_path = '' as $$
begin
    execute format(
        'create trigger audit_insert after insert on %s
         referencing new table as new_rows
         for each statement execute function private.audit()', p_table);
    execute format(
        'create trigger audit_update after update on %s
         referencing old table as old_rows new table as new_rows
         for each statement execute function private.audit()', p_table);
end $$;

create function private.refuse_delete() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = 'EB005',
        message = format('Rows of %s are never deleted: a correction is a new row.', tg_table_name);
end $$;

create function private.keep_rows(p_table regclass) returns void
language plpgsql set search_path = '' as $$
begin
    execute format(
        'create trigger refuse_delete before delete on %s
         for each row execute function private.refuse_delete()', p_table);
    execute format(
        'create trigger refuse_truncate before truncate on %s
         for each statement execute function private.refuse_delete()', p_table);
end $$;

select private.keep_rows('public.audit_log');

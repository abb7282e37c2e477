-- The roles and default grants of a Supabase database, for a Postgres server that lacks them.
-- It may be run any number of times, and changes nothing on Supabase itself. The schema's owner is
-- the setting prepare_roles.owner, or who runs it. To prepare a server as its superuser by hand:
--   set prepare_roles.owner = 'the role of DATABASE_URL'; \i supabase_roles.sql
do $prepare$
declare
    owner constant text :=
        coalesce(nullif(current_setting('prepare_roles.owner', true), ''), current_user);
    newer constant boolean := current_setting('server_version_num')::int >= 160000;
    -- Since Postgres 16 a member may be one without the right to become the role.
    becoming constant text := case when newer then 'SET' else 'MEMBER' end;
    powerful constant boolean := (select rolsuper from pg_roles where rolname = current_user);
    with_admin constant text := case when newer and powerful then ' with admin option' else '' end;
    name text;
begin
    perform pg_advisory_xact_lock(hashtext('electricity-billing.prepare_roles'));
    if to_regrole('supabase_auth_admin') is not null and to_regrole('service_role') is not null then
        return;
    end if;

    if to_regrole('anon') is null then
        create role anon nologin;
    end if;
    if to_regrole('authenticated') is null then
        create role authenticated nologin;
    end if;
    if to_regrole('service_role') is null then
        create role service_role nologin bypassrls;
    end if;
    if to_regrole('authenticator') is null then
        create role authenticator login noinherit;
    end if;

    foreach name in array array['anon', 'authenticated', 'service_role'] loop
        if not pg_has_role('authenticator', name, becoming) then
            execute format('grant %I to authenticator', name);
        end if;
        if not pg_has_role(owner, name, becoming) then
            execute format('grant %I to %I%s', name, owner, with_admin);
        end if;
    end loop;
    if powerful and not pg_has_role(owner, 'authenticator', becoming) then
        execute format('grant authenticator to %I%s', owner, with_admin);
    end if;

    grant usage on schema public to anon, authenticated, service_role;
    -- The first migration takes some of these away again; they must not come back with each start.
    if to_regclass('supabase_migrations.schema_migrations') is null then
        foreach name in array array['tables', 'functions', 'sequences'] loop
            execute format(
                'alter default privileges for role %I in schema public'
                ' grant all on %s to %I, anon, authenticated, service_role',
                owner, name, owner);
        end loop;
    end if;

    if to_regnamespace('extensions') is null
        and has_database_privilege(current_database(), 'create')
    then
        execute format('create schema extensions authorization %I', owner);
        grant usage on schema extensions to anon, authenticated, service_role;
    end if;
end
$prepare$;

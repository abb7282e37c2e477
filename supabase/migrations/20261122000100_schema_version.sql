-- Which migrations this database has: asked over REST at the start, where nobody can look.

-- The history lies in a schema that REST does not expose; service_role may read it, nobody else.
grant usage on schema supabase_migrations to service_role;
grant select on supabase_migrations.schema_migrations to service_role;

create function public.schema_version(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('versions', coalesce(jsonb_agg(m.version order by m.version), '[]'))
    from supabase_migrations.schema_migrations m
$$;
comment on function public.schema_version is
    'The versions of the migrations that `supabase db push` or the program itself applied here: {}.';

revoke all on function public.schema_version from public, anon, authenticated;
grant execute on function public.schema_version to service_role;

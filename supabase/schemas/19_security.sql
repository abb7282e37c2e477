-- Security: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.api_keys (
    id uuid NOT NULL,
    name text NOT NULL,
    key_hash text NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT api_keys_name_check CHECK ((btrim(name) <> ''::text)),
    CONSTRAINT api_keys_role_check CHECK ((role = ANY (ARRAY['engineer'::text, 'admin'::text])))
);

COMMENT ON COLUMN public.api_keys.key_hash IS 'SHA-256 of the key in hex; the key itself is shown once and kept nowhere.';

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_name_key UNIQUE (name);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN,UPDATE ON TABLE public.api_keys TO service_role;

CREATE VIEW public.api_key_list WITH (security_invoker='true') AS
 SELECT id,
    name,
    role,
    created_at,
    revoked_at,
    ( SELECT a.actor
           FROM public.audit_log a
          WHERE ((a.table_name = 'api_keys'::text) AND (a.row_id = (k.id)::text) AND (a.action = 'insert'::text))
         LIMIT 1) AS created_by,
    ( SELECT a.actor
           FROM public.audit_log a
          WHERE ((a.table_name = 'api_keys'::text) AND (a.row_id = (k.id)::text) AND (a.action = 'update'::text) AND (a.after ? 'revoked_at'::text))
         LIMIT 1) AS revoked_by
   FROM public.api_keys k;

COMMENT ON VIEW public.api_key_list IS 'The keys without their hashes, with who made and who revoked each.';

GRANT ALL ON TABLE public.api_key_list TO service_role;

CREATE FUNCTION public.revoke_api_key(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.api_keys set revoked_at = now()
    where id = (p ->> 'id')::uuid and revoked_at is null;
    if not found and not exists (select 1 from public.api_keys where id = (p ->> 'id')::uuid) then
        raise exception using errcode = 'EB404', message = 'There is no such API key.';
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.revoke_api_key(p jsonb) IS 'Ends a key for good: {actor, id}. Of a key that is revoked already nothing changes.';

REVOKE ALL ON FUNCTION public.revoke_api_key(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.revoke_api_key(p jsonb) TO service_role;

CREATE FUNCTION public.add_api_key(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    insert into public.api_keys (id, name, key_hash, role)
    values ((p ->> 'id')::uuid, p ->> 'name', p ->> 'key_hash', p ->> 'role')
    on conflict (id) do nothing;
    return '{}'::jsonb;
exception when unique_violation then
    raise exception using errcode = 'EB005', message = format('There is already a key named %s.', p ->> 'name');
end $$;

COMMENT ON FUNCTION public.add_api_key(p jsonb) IS 'Keeps the hash of a new key: {actor, id, name, key_hash, role}.';

REVOKE ALL ON FUNCTION public.add_api_key(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_api_key(p jsonb) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.api_keys REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.api_keys REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO service_role;

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON SEQUENCES TO postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON SEQUENCES TO service_role;

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON FUNCTIONS TO postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON FUNCTIONS TO service_role;

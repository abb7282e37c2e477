-- New ids begin with the time (RFC 9562, version 7), so that rows stored together are together in the indexes by id: a run of a
-- million bills writes to the last leaves of each instead of to all of them (docs/decisions/0085).

-- uuidv7() is there from PostgreSQL 18 on. The body is standard SQL, whose names are looked up now and never again: with a search path of
-- its own the function could not be put in the place of its call.
create function private.ordered_id() returns uuid
language sql volatile parallel safe
return encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
                                      placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1),
                              52, 1), 53, 1), 'hex')::uuid;
comment on function private.ordered_id() is 'A new id that begins with the time to the millisecond (RFC 9562, version 7), so that indexes by id grow at their end.';
revoke all on function private.ordered_id() from public;
grant execute on function private.ordered_id() to service_role;

-- Of the functions that make rows, and of the tables, each that made a random id.
do $$
declare
    v_function regprocedure;
    v_column record;
begin
    for v_function in
        select p.oid::regprocedure from pg_proc p
        where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
          and p.prosrc like '%gen_random_uuid()%'
    loop
        execute replace(pg_get_functiondef(v_function), 'gen_random_uuid()', 'private.ordered_id()');
    end loop;
    for v_column in
        select d.adrelid::regclass as of_table, a.attname
        from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        join pg_class c on c.oid = d.adrelid
        where c.relnamespace = 'public'::regnamespace and pg_get_expr(d.adbin, d.adrelid) = 'gen_random_uuid()'
    loop
        execute format('alter table %s alter column %I set default private.ordered_id()', v_column.of_table, v_column.attname);
    end loop;
end $$;

-- The language in which somebody reads the office's pages. Where none is chosen, the browser's is.

create table public.user_languages (
    user_id text primary key check (user_id <> ''),
    language text not null check (language ~ '^[a-z]{2,3}$')
);
comment on table public.user_languages is 'In which language people read the pages, by user id: those who chose one.';
comment on column public.user_languages.language is 'An IETF tag of a language alone.';
alter table public.user_languages enable row level security;
revoke all on public.user_languages from public, anon, authenticated, service_role;
grant select, insert, update on public.user_languages to service_role;

create function public.user_language(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('language', (select l.language from public.user_languages l where l.user_id = p ->> 'user'))
$$;
comment on function public.user_language(p jsonb) is 'The language that somebody chose: {user} -> {language}, null where none.';

create function public.choose_user_language(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    insert into public.user_languages as l (user_id, language) values (p ->> 'actor', p ->> 'language')
    on conflict (user_id) do update set language = excluded.language where l.language <> excluded.language;
    return '{}'::jsonb;
end $$;
comment on function public.choose_user_language(p jsonb) is 'Keeps the language that somebody chose for themselves: {actor, language}.';

revoke all on function public.user_language(jsonb), public.choose_user_language(jsonb) from public, anon, authenticated;
grant execute on function public.user_language(jsonb), public.choose_user_language(jsonb) to service_role;

-- Of two words that many rows have, a list is found by the rarer one, by a sample of each table; and where other conditions leave no
-- more rows than are looked at anyway, the words of each are looked at, instead of walking past all that the conditions leave out.

create function private.share_of_words(p_source jsonb, p_words text[]) returns real
language plpgsql stable set search_path = '' as $$
declare
    v_rows constant real := (select c.reltuples from pg_class c where c.oid = format('public.%I', p_source ->> 'table')::regclass);
    v_share real;
begin
    -- Of fewer the trigrams answer soon.
    if v_rows < 200000 then
        return 0;
    end if;
    execute format('select (count(*) filter (where %s))::real / greatest(count(*), 1) from public.%I x tablesample system (%s) repeatable (1)',
                   private.words_in(p_source, p_words, 'x'), p_source ->> 'table', (200000 / v_rows)::numeric(8, 6)) into v_share;
    return v_share;
end $$;
comment on function private.share_of_words(p_source jsonb, p_words text[]) is 'Which part of a large source''s rows has all words, by a sample of some 2,000; 0 of one that is not large.';
revoke all on function private.share_of_words(p_source jsonb, p_words text[]) from public;
grant execute on function private.share_of_words(p_source jsonb, p_words text[]) to service_role;

create or replace function private.is_common(p_source jsonb, p_words text[]) returns boolean
language sql stable set search_path = '' as $$
    select private.share_of_words(p_source, p_words) > 0.04
$$;
comment on function private.is_common(p_source jsonb, p_words text[]) is 'Whether of a large source more than every 25th row has all words.';

do $$
declare
    v_was text;
    v_is text;
begin
    v_was := pg_get_functiondef('private.text_conditions(jsonb, jsonb[], text)'::regprocedure);
    v_is := replace(v_was, '    v_many boolean;
', '    v_many boolean;
    v_share real;
');
    v_is := replace(v_is, '        if (v_found is null or (v_found ->> ''many'')::boolean and not v_many) and not exists (',
        '        v_share := case when v_many then (select max(private.share_of_words(s, v_group)) from unnest(v_within) s) end;
        if (v_found is null or (v_found ->> ''many'')::boolean and not v_many or v_share < (v_found ->> ''share'')::real) and not exists (');
    v_is := replace(v_is, 'jsonb_build_object(''many'', v_many, ''sources''', 'jsonb_build_object(''many'', v_many, ''share'', v_share, ''sources''');
    if v_is not like all (array['%v_share real;%', '%v_share := case%', '%''share'', v_share%']) then
        raise exception 'private.text_conditions is not as it was expected';
    end if;
    execute v_is;

    v_was := pg_get_functiondef('private.page_by_key(jsonb, text, text, text, text, text[], jsonb)'::regprocedure);
    v_is := replace(v_was, '        ''select to_jsonb(count(*) < %1$s) from (select 1 from %2$s where %3$s limit %1$s) x'', v_most, p_source, v_others), p, false)::boolean
    then',
        '        ''select to_jsonb(count(*) < %1$s) from (select 1 from %2$s where %3$s limit %1$s) x'', greatest(v_most, v_most_looked_at), p_source, v_others), p, false)::boolean
    then');
    if v_is = v_was then
        raise exception 'private.page_by_key is not as it was expected';
    end if;
    execute v_is;
end $$;

-- Word processors and spreadsheets write A-1 with an en dash: it looks the same, and is the same.

create or replace function private.identifier_key(p_identifier text) returns text
language sql immutable strict set search_path = '' as $$
    select case when k.key = '' and p_identifier <> '' then '0' else k.key end
    from (select ltrim(regexp_replace(upper(regexp_replace(translate(normalize(p_identifier, NFKC), U&'\2010\2012\2013\2014\2015\2212', '------'),
                                                           '\s', '', 'g')),
                                      '^([0-9]+)\.0+$', '\1'), '0') as key) k
$$;
comment on function private.identifier_key is
    'What two identifiers have in common that differ only by what a spreadsheet or a hurried hand changes: leading zeros, case, spaces, dashes, wide letters, a .0 at the end.';
reindex index public.customers_like;
reindex index public.meters_like;
reindex index public.transformers_like;

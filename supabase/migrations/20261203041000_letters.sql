-- Messages that reached nobody, and the letters that are printed of them, once each.

alter table public.outbox add column unreached_at timestamptz;
comment on column public.outbox.unreached_at is 'Of a message that was written and has reached the customer on no channel of their own: since when. Null again once a letter is printed, it goes out after all, or nobody needs it any more.';
create index outbox_unreached on public.outbox (unreached_at, id) where unreached_at is not null;

create function private.note_unreached() returns trigger
language plpgsql set search_path = '' as $$
begin
    new.unreached_at := null;
    if new.status <> 'open' and coalesce(new.steps #>> '{11,facts,text}', '') <> ''
       and coalesce(new.steps #>> '{12,facts,sent}', '') <> 'no'
       and not exists (
           select 1 from public.notifications n
           where n.bill_id = new.bill_id and n.kind = new.kind and n.occasion = new.occasion and n.channel <> 'discord'
             and n.status in ('sending', 'sent', 'delivered', 'read', 'unknown'))
       -- Who wants no messages wants no letters, but for what the law asks for.
       and (new.kind = 'disconnection_notice' or not exists (
           select 1 from public.bills b join public.customer_channels k on k.customer_id = b.customer_id
           where b.id = new.bill_id and k.opted_out_at is not null)) then
        new.unreached_at := now();
    end if;
    return new;
end $$;
comment on function private.note_unreached() is 'Keeps of a message whose work ended whether it reached the customer. Thanks are worth no stamp.';
create trigger note_unreached before update of status on public.outbox
    for each row when (new.status is distinct from old.status and new.kind not in ('payment_received', 'balance_changed'))
    execute function private.note_unreached();

create table public.letter_batches (
    id uuid primary key,
    made_by text not null check (made_by <> ''),
    made_at timestamptz not null default now(),
    written_on date not null,
    letters integer not null check (letters >= 0)
);
comment on table public.letter_batches is 'Letters that were printed together; they can be printed once more as they were.';
create index letter_batches_recent on public.letter_batches (made_at desc, id);
alter table public.letter_batches enable row level security;
revoke all on public.letter_batches from public, anon, authenticated, service_role;
grant select, insert on public.letter_batches to service_role;
select private.audit_table('public.letter_batches');
select private.never_changed('public.letter_batches');

create table public.letters (
    id uuid primary key,
    batch_id uuid not null references public.letter_batches (id),
    place integer not null,
    customer_id uuid not null references public.customers (id),
    bill_id uuid not null references public.bills (id),
    kind text not null,
    customer_name text not null,
    address text not null check (address <> ''),
    account_no text not null,
    language text not null,
    currency text not null,
    subject text not null,
    body text not null,
    encloses uuid[] not null default '{}',
    unique (batch_id, place)
);
comment on table public.letters is 'A message as a letter, as it was printed. The id is that of its row in notifications, of which there is one for each message: so a message is printed in no second batch.';
comment on column public.letters.encloses is 'The bills whose PDFs are printed behind it.';
create index letters_customer on public.letters (customer_id);
create index letters_bill on public.letters (bill_id);
alter table public.letters enable row level security;
revoke all on public.letters from public, anon, authenticated, service_role;
grant select, insert on public.letters to service_role;
select private.never_changed('public.letters');

create function public.unreached_page(p jsonb) returns jsonb
language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
    v_limit constant integer := (p ->> 'limit')::integer;
    v_at constant timestamptz := coalesce((p #>> '{after,at}')::timestamptz, '-infinity');
    v_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
    v_found uuid[];
    v_rows jsonb;
begin
    if p ? 'works' then
        v_found := array(select o.id from public.outbox o
                         where o.id = any (array(select jsonb_array_elements_text(p -> 'works')::uuid)) and o.status <> 'open');
    else
        v_found := array(select o.id from public.outbox o
                         where o.unreached_at is not null and (o.unreached_at, o.id) > (v_at, v_id)
                         order by o.unreached_at, o.id limit v_limit);
    end if;
    v_rows := (
        select jsonb_agg(jsonb_build_object(
            'work_id', x.id, 'at', coalesce(x.unreached_at, x.finished_at), 'kind', x.kind, 'bill_id', x.bill_id, 'bill_number', b.number,
            'currency', b.currency, 'customer_id', c.id, 'account_no', c.account_no, 'customer_name', c.name, 'language', c.language,
            'occasion', x.occasion, 'facts', x.facts || coalesce(x.steps #> '{11,facts}', '{}'),
            'address', coalesce(nullif(btrim(c.address), ''), btrim(s.address), ''),
            'why', coalesce((
                select jsonb_object_agg(n.channel, n.error) from public.notifications n
                where n.bill_id = x.bill_id and n.kind = x.kind and n.occasion = x.occasion and n.channel <> 'discord'), '{}'))
            order by x.unreached_at, x.id)
        from public.outbox x
        join public.bills b on b.id = x.bill_id
        join public.customers c on c.id = b.customer_id
        left join public.service_agreements g on g.id = b.agreement_id
        left join public.service_points s on s.id = g.service_point_id
        where x.id = any (v_found));
    return jsonb_build_object(
        'rows', coalesce(v_rows, '[]'),
        'after', case when not p ? 'works' and cardinality(v_found) = v_limit
                      then jsonb_build_object('at', v_rows -> -1 -> 'at', 'id', v_rows -> -1 -> 'work_id') end,
        'total', (select count(*) from (select 1 from public.outbox o where o.unreached_at is not null limit 10001) t));
end $$;
comment on function public.unreached_page(jsonb) is 'Messages that reached nobody, those that wait for the longest first: {limit, after?, works?: those of these outbox entries, reached or not} -> {rows: [{work_id, at, kind, bill_id, bill_number, currency, customer_id, account_no, customer_name, language, occasion, facts: with those of the text that was written, address, why: by channel}], after, total: 10,001 at most}.';

create function public.print_letters(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_batch public.letter_batches;
    v_works constant uuid[] := array(select (l ->> 'work_id')::uuid from jsonb_array_elements(p -> 'letters') l
                                     union select jsonb_array_elements_text(p -> 'dropped')::uuid);
    v_new uuid[];
begin
    perform private.set_actor(p);
    select * into v_batch from public.letter_batches where id = (p ->> 'id')::uuid;
    if found then
        return to_jsonb(v_batch);
    end if;
    -- Whoever prints the same at the same time waits here, and finds the letters printed.
    perform 1 from public.outbox o where o.id = any (v_works) order by o.id for update;
    with new as (
        insert into public.notifications (id, bill_id, customer_id, kind, occasion, channel, status, recipient, body)
        select (l ->> 'id')::uuid, o.bill_id, b.customer_id, o.kind, o.occasion, 'letter', 'sent', 'by post', l ->> 'body'
        from jsonb_array_elements(p -> 'letters') l
        join public.outbox o on o.id = (l ->> 'work_id')::uuid and o.status <> 'open'
        join public.bills b on b.id = o.bill_id
        on conflict (id) do nothing
        returning id)
    select array(select n.id from new n) into v_new;
    if v_new <> '{}' then
        insert into public.letter_batches (id, made_by, written_on, letters)
        values ((p ->> 'id')::uuid, p ->> 'actor', (p ->> 'today')::date, cardinality(v_new)) returning * into v_batch;
        insert into public.letters (id, batch_id, place, customer_id, bill_id, kind, customer_name, address, account_no, language,
                                    currency, subject, body, encloses)
        select (l ->> 'id')::uuid, v_batch.id, x.place, b.customer_id, b.id, o.kind, l ->> 'customer_name', l ->> 'address',
               l ->> 'account_no', l ->> 'language', b.currency, l ->> 'subject', l ->> 'body',
               array(select jsonb_array_elements_text(l -> 'encloses')::uuid)
        from jsonb_array_elements(p -> 'letters') with ordinality x(l, place)
        join public.outbox o on o.id = (l ->> 'work_id')::uuid
        join public.bills b on b.id = o.bill_id
        where (l ->> 'id')::uuid = any (v_new);
    end if;
    update public.outbox set unreached_at = null where id = any (v_works) and unreached_at is not null;
    return case when v_batch.id is null then null else to_jsonb(v_batch) end;
end $$;
comment on function public.print_letters(jsonb) is 'Keeps messages as letters that are printed together, each once, whoever prints it: {actor, id: of the batch, today, letters: [{id: of the notification, work_id, customer_name, address, account_no, language, subject, body, encloses}], dropped: [work_id of what needs no letter any more]} -> the batch, or null where all were printed before.';

revoke all on function public.unreached_page, public.print_letters from public, anon, authenticated;
revoke all on function private.note_unreached from public;
grant execute on function public.unreached_page, public.print_letters, private.note_unreached to service_role;

do $do$
declare
    v_text text;
begin
    execute replace(pg_get_functiondef('private.archived_tables()'::regprocedure),
                    '''dunning_holds'',', '''letter_batches'', ''letters'', ''dunning_holds'',');
    -- A letter that is printed has not arrived: the law's wait begins when somebody says that it did.
    v_text := pg_get_functiondef('public.note_notices_given(jsonb)'::regprocedure);
    if v_text not like '%x.channel <> ''discord''%' then
        raise exception 'note_notices_given has changed: look at letters there.';
    end if;
    execute replace(v_text, 'x.channel <> ''discord''', 'x.channel not in (''discord'', ''letter'')');
    -- In timelines a letter is of who printed it.
    v_text := pg_get_functiondef(f.oid) from pg_catalog.pg_proc f
    where f.pronamespace = 'private'::regnamespace and f.proname = 'recorded_beside_audit';
    if v_text not like '%select ''n'' || n.id, n.created_at, ''system:owed-work'', %' then
        raise exception 'recorded_beside_audit has changed: look at letters there.';
    end if;
    execute replace(v_text, 'select ''n'' || n.id, n.created_at, ''system:owed-work'', ',
                    'select ''n'' || n.id, n.created_at,
           case n.channel when ''letter'' then coalesce((
               select h.made_by from public.letters l join public.letter_batches h on h.id = l.batch_id where l.id = n.id), ''system:owed-work'')
               else ''system:owed-work'' end, ');
end $do$;

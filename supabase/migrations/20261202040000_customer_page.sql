-- Customers have a page of their own, by a signed link or a code, and ask the office for things there.

create table public.customer_pages (
    id uuid primary key default gen_random_uuid(),
    customer_id uuid not null unique references public.customers,
    generation integer not null default 0 check (generation >= 0),
    links_ended_at timestamptz
);
comment on table public.customer_pages is 'Customers whose links were ended at least once. All others are of generation 0.';
comment on column public.customer_pages.generation is 'What a signed link must name to be good; one more ends every link and every visit there is.';
alter table public.customer_pages enable row level security;
revoke all on public.customer_pages from public, anon, authenticated, service_role;
grant select, insert, update on public.customer_pages to service_role;
select private.audit_table('public.customer_pages');
select private.keep_rows('public.customer_pages');

create table public.customer_sessions (
    id uuid primary key,
    customer_id uuid not null references public.customers,
    token_hash text not null unique,
    generation integer not null,
    opened_by text not null check (opened_by in ('link', 'code')),
    opened_at timestamptz not null default now(),
    confirmed_at timestamptz,
    expires_at timestamptz not null,
    ended_at timestamptz,
    ended_by text,
    check ((ended_at is null) = (ended_by is null))
);
create index customer_sessions_of_customer on public.customer_sessions (customer_id, opened_at desc);
create index customer_sessions_expired on public.customer_sessions (expires_at);
comment on table public.customer_sessions is 'Visits to customers'' pages: a browser that opened a link or entered a code. They are forgotten 90 days after their end.';
comment on column public.customer_sessions.token_hash is 'SHA-256 of what the browser''s cookie holds.';
comment on column public.customer_sessions.confirmed_at is 'When a code that was sent to the customer was entered; null: a link alone, which somebody may have passed on.';
alter table public.customer_sessions enable row level security;
revoke all on public.customer_sessions from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.customer_sessions to service_role;

create table public.customer_codes (
    id uuid primary key,
    customer_id uuid not null references public.customers,
    code_hash text not null,
    asked_by text not null check (asked_by <> ''),
    sent_at timestamptz not null default now(),
    expires_at timestamptz not null,
    guesses integer not null default 0,
    used_at timestamptz
);
create index customer_codes_of_customer on public.customer_codes (customer_id, sent_at desc);
create index customer_codes_expired on public.customer_codes (expires_at);
comment on table public.customer_codes is 'Codes that were sent to customers for their page; each is good once, for some minutes. They are forgotten a day later.';
comment on column public.customer_codes.code_hash is 'Keyed hash (HMAC) of the code under a key that the database does not hold.';
comment on column public.customer_codes.asked_by is 'stranger, or the id of a device that was used for this page before: each has codes of its own to ask for.';
alter table public.customer_codes enable row level security;
revoke all on public.customer_codes from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.customer_codes to service_role;

-- Visits in the audit trail, without what proves them.

create function private.audit_customer_session() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
    v_after jsonb := to_jsonb(new) - 'token_hash';
    v_before jsonb := case when tg_op = 'UPDATE' then to_jsonb(old) - 'token_hash' end;
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_before = v_after then
        return null;
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    insert into public.audit_log (actor, action, table_name, row_id, customer_id, before, after)
    values (v_actor, lower(tg_op), tg_table_name, new.id::text, new.customer_id,
            private.changed_columns(v_after, v_before), case when v_before is null then v_after else private.changed_columns(v_before, v_after) end);
    return null;
end $$;
comment on function private.audit_customer_session is 'What of a customer''s visit changed, without the hash of its secret.';
revoke all on function private.audit_customer_session() from public;
grant all on function private.audit_customer_session() to service_role;
create trigger audit_visit after insert or update on public.customer_sessions
    for each row execute function private.audit_customer_session();
create trigger ended_for_good before update on public.customer_sessions for each row
    when (old.ended_at is not null or (old.id, old.customer_id, old.token_hash, old.opened_by)
                                      is distinct from (new.id, new.customer_id, new.token_hash, new.opened_by))
    execute function private.refuse_reopening();

create function private.forget_customer_visits() returns void
language sql set search_path = '' as $$
    delete from public.customer_sessions where ctid = any (array(
        select s.ctid from public.customer_sessions s where s.expires_at < now() - interval '90 days'
        order by s.expires_at limit 20));
    delete from public.customer_codes where ctid = any (array(
        select c.ctid from public.customer_codes c where c.expires_at < now() - interval '1 day'
        order by c.expires_at limit 20));
$$;
comment on function private.forget_customer_visits is 'Forgets some of what is long over, a few at each new one.';
revoke all on function private.forget_customer_visits() from public;
grant all on function private.forget_customer_visits() to service_role;

-- Links and visits.

create function private.page_generation(p_customer_id uuid) returns integer
language sql stable set search_path = '' as $$
    select coalesce((select g.generation from public.customer_pages g where g.customer_id = p_customer_id), 0)
$$;
revoke all on function private.page_generation(uuid) from public;
grant all on function private.page_generation(uuid) to service_role;

create function public.customer_page(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_id uuid := (p ->> 'customer_id')::uuid;
begin
    -- Each by its own index.
    if v_id is null then
        select c.id into v_id from public.customers c where c.account_no = p ->> 'account_no';
    end if;
    return jsonb_build_object('page', (
        select jsonb_build_object('customer_id', c.id, 'account_no', c.account_no, 'generation', private.page_generation(c.id))
        from public.customers c where c.id = v_id));
end $$;
comment on function public.customer_page(p jsonb) is 'Whose page it is and which generation of links is good: {customer_id or account_no} -> {page: {customer_id, account_no, generation} or null}.';

create function public.open_customer_session(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer uuid := (p ->> 'customer_id')::uuid;
begin
    perform private.set_actor(p);
    perform private.forget_customer_visits();
    perform 1 from public.customers where id = v_customer for key share;
    if not found or (p ->> 'generation')::integer <> private.page_generation(v_customer) then
        perform private.refuse('EB005', 'This link was ended.');
    end if;
    insert into public.customer_sessions (id, customer_id, token_hash, generation, opened_by, opened_at, confirmed_at, expires_at)
    values ((p ->> 'id')::uuid, v_customer, p ->> 'token_hash', (p ->> 'generation')::integer, p ->> 'opened_by',
            (p ->> 'at')::timestamptz, case p ->> 'opened_by' when 'code' then (p ->> 'at')::timestamptz end,
            (p ->> 'expires_at')::timestamptz)
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;
comment on function public.open_customer_session(p jsonb) is 'A browser is let in: {actor, id, customer_id, token_hash, generation, opened_by: link|code, at, expires_at}. EB005 where the links of that generation were ended.';

create function public.customer_session(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('session', (
        select jsonb_build_object(
            'id', s.id, 'customer_id', c.id, 'account_no', c.account_no, 'name', c.name, 'language', c.language,
            'currency', c.currency, 'confirmed', s.confirmed_at is not null, 'expires_at', s.expires_at, 'generation', s.generation)
        from public.customer_sessions s join public.customers c on c.id = s.customer_id
        where s.token_hash = p ->> 'token_hash' and s.ended_at is null and s.expires_at > (p ->> 'at')::timestamptz
          and s.generation = private.page_generation(s.customer_id)))
$$;
comment on function public.customer_session(p jsonb) is 'The visit behind a cookie while it holds: {token_hash, at} -> {session: {id, customer_id, account_no, name, language, currency, confirmed, expires_at, generation} or null}.';

create function public.confirm_customer_session(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.customer_sessions
    set confirmed_at = coalesce(confirmed_at, (p ->> 'at')::timestamptz), expires_at = (p ->> 'expires_at')::timestamptz
    where id = (p ->> 'id')::uuid and ended_at is null;
    if not found then
        perform private.refuse('EB404', 'No such visit.');
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.confirm_customer_session(p jsonb) is 'A visit by a link showed the code that was sent: {actor, id, at, expires_at}.';

create function public.end_customer_session(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    update public.customer_sessions set ended_at = (p ->> 'at')::timestamptz, ended_by = p ->> 'actor'
    where id = (p ->> 'id')::uuid and ended_at is null;
    return '{}'::jsonb;
end $$;
comment on function public.end_customer_session(p jsonb) is 'A browser signs out: {actor, id, at}. Doing it again changes nothing.';

create function public.end_customer_links(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_generation integer;
begin
    perform private.set_actor(p);
    perform 1 from public.customers where id = (p ->> 'customer_id')::uuid for no key update;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    insert into public.customer_pages (customer_id, generation, links_ended_at)
    values ((p ->> 'customer_id')::uuid, 1, (p ->> 'at')::timestamptz)
    on conflict (customer_id) do update
    set generation = public.customer_pages.generation + 1, links_ended_at = excluded.links_ended_at
    returning generation into v_generation;
    update public.customer_codes set used_at = now()
    where customer_id = (p ->> 'customer_id')::uuid and used_at is null and expires_at > now();
    return jsonb_build_object('generation', v_generation);
end $$;
comment on function public.end_customer_links(p jsonb) is 'Ends every link to a customer''s page, every visit and every code that is out: {actor, customer_id, at} -> {generation}.';

create function public.keep_customer_code(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer uuid := (p ->> 'customer_id')::uuid;
    v_sent integer;
begin
    perform private.forget_customer_visits();
    perform 1 from public.customers where id = v_customer for no key update;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    select count(*) into v_sent from public.customer_codes
    where customer_id = v_customer and asked_by = p ->> 'asked_by' and sent_at > (p ->> 'at')::timestamptz - interval '1 hour';
    if v_sent >= (p ->> 'most_an_hour')::integer then
        return jsonb_build_object('kept', false);
    end if;
    insert into public.customer_codes (id, customer_id, code_hash, asked_by, sent_at, expires_at)
    values ((p ->> 'id')::uuid, v_customer, p ->> 'code_hash', p ->> 'asked_by', (p ->> 'at')::timestamptz, (p ->> 'expires_at')::timestamptz)
    on conflict (id) do nothing;
    return jsonb_build_object('kept', true);
end $$;
comment on function public.keep_customer_code(p jsonb) is 'Keeps a code that is about to be sent, unless so many were asked for within an hour: {id, customer_id, code_hash, asked_by, at, expires_at, most_an_hour} -> {kept}.';

create function public.use_customer_code(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer uuid := (p ->> 'customer_id')::uuid;
    v_live uuid[];
    v_right boolean;
begin
    perform 1 from public.customers where id = v_customer for no key update;
    select array_agg(c.id), coalesce(bool_or(c.code_hash = p ->> 'code_hash'), false) into v_live, v_right
    from public.customer_codes c
    where c.customer_id = v_customer and c.used_at is null and c.expires_at > (p ->> 'at')::timestamptz
      and c.guesses < (p ->> 'most_guesses')::integer;
    if v_right then
        -- The right one uses up all that were sent.
        update public.customer_codes set used_at = (p ->> 'at')::timestamptz where id = any (v_live);
    else
        update public.customer_codes set guesses = guesses + 1 where id = any (v_live);
    end if;
    return jsonb_build_object('right', v_right);
end $$;
comment on function public.use_customer_code(p jsonb) is 'Whether a code is one of those that were sent, which uses it up: {customer_id, code_hash, at, most_guesses} -> {right}. A wrong one counts against all that are out.';

-- What customers ask of the office.

create table public.customer_requests (
    id uuid primary key,
    customer_id uuid not null references public.customers,
    kind text not null check (kind in ('dispute', 'move_out')),
    bill_id uuid references public.bills,
    agreement_id uuid references public.service_agreements,
    wanted_on date,
    note text not null default '' check (length(note) <= 2000),
    asked_at timestamptz not null,
    state text not null default 'open' check (state in ('open', 'accepted', 'declined', 'withdrawn')),
    closed_at timestamptz,
    closed_by text,
    answer text not null default '' check (length(answer) <= 2000),
    check ((kind = 'dispute') = (bill_id is not null)),
    check ((kind = 'move_out') = (agreement_id is not null)),
    check ((kind = 'move_out') = (wanted_on is not null)),
    check (kind <> 'dispute' or btrim(note) <> ''),
    check ((state = 'open') = (closed_at is null)),
    check ((closed_at is null) = (closed_by is null))
);
create unique index customer_requests_one_dispute on public.customer_requests (bill_id) where state = 'open' and kind = 'dispute';
create unique index customer_requests_one_move on public.customer_requests (agreement_id) where state = 'open' and kind = 'move_out';
create index customer_requests_of_customer on public.customer_requests (customer_id, asked_at desc);
create index customer_requests_open on public.customer_requests (asked_at, id) where state = 'open';
create index customer_requests_closed on public.customer_requests (closed_at desc, id desc) where state <> 'open';
comment on table public.customer_requests is 'What customers ask of the office on their page: to look at a bill again, to end their supply. The office closes each.';
comment on column public.customer_requests.wanted_on is 'Of move_out: the last local date on which they are supplied.';
alter table public.customer_requests enable row level security;
revoke all on public.customer_requests from public, anon, authenticated, service_role;
grant select, insert, update on public.customer_requests to service_role;
select private.audit_table('public.customer_requests');
select private.keep_rows('public.customer_requests');
create trigger ended_for_good before update on public.customer_requests for each row
    when (old.state <> 'open') execute function private.refuse_reopening();

create view public.customer_request_list with (security_invoker = true) as
select q.id, q.customer_id, c.account_no, c.name as customer_name, q.kind, q.bill_id, b.number as bill_number,
       q.agreement_id, a.service_point_id, s.address as service_address, q.wanted_on, q.note, q.asked_at, q.state,
       q.closed_at, q.closed_by, q.answer
from public.customer_requests q
join public.customers c on c.id = q.customer_id
left join public.bills b on b.id = q.bill_id
left join public.service_agreements a on a.id = q.agreement_id
left join public.service_points s on s.id = a.service_point_id;
revoke all on public.customer_request_list from public, anon, authenticated, service_role;
grant select on public.customer_request_list to service_role;

create function public.ask_customer_request(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_customer uuid := (p ->> 'customer_id')::uuid;
    v_bill public.bills;
begin
    perform private.set_actor(p);
    perform 1 from public.customers where id = v_customer for no key update;
    if exists (select 1 from public.customer_requests where id = (p ->> 'id')::uuid and customer_id = v_customer) then
        return '{}'::jsonb;
    end if;
    if p ->> 'kind' = 'dispute' then
        select * into v_bill from public.bills where id = (p ->> 'bill_id')::uuid and customer_id = v_customer and status <> 'draft';
        if not found then
            perform private.refuse('EB404', 'No such bill.');
        elsif v_bill.status = 'void' then
            perform private.refuse('EB005', 'This bill is void: there is nothing to pay of it.');
        elsif v_bill.amount_paid_minor >= v_bill.total_minor then
            perform private.refuse('EB005', 'This bill is paid, so no payment can be held back. If it is wrong, call or visit us: what was charged too much is given back.');
        elsif exists (select 1 from public.customer_requests where bill_id = v_bill.id and state = 'open') then
            perform private.refuse('EB005', 'You have asked us to look at this bill already. We will answer here.');
        end if;
    elsif not exists (select 1 from public.service_agreements
                      where id = (p ->> 'agreement_id')::uuid and customer_id = v_customer and ends_on is null) then
        perform private.refuse('EB404', 'No such place of supply.');
    elsif exists (select 1 from public.customer_requests where agreement_id = (p ->> 'agreement_id')::uuid and state = 'open') then
        perform private.refuse('EB005', 'You have told us already that you move out. Take that back first to give another day.');
    end if;
    insert into public.customer_requests (id, customer_id, kind, bill_id, agreement_id, wanted_on, note, asked_at)
    values ((p ->> 'id')::uuid, v_customer, p ->> 'kind', (p ->> 'bill_id')::uuid, (p ->> 'agreement_id')::uuid,
            (p ->> 'wanted_on')::date, coalesce(p ->> 'note', ''), (p ->> 'at')::timestamptz);
    if p ->> 'kind' = 'dispute' then
        perform public.hold_dunning(jsonb_build_object(
            'actor', p ->> 'actor', 'id', p ->> 'id', 'customer_id', v_customer, 'reason', 'dispute', 'since', p ->> 'today',
            'note', private.invoice_reference(v_bill.number) || ': ' || left(btrim(regexp_replace(p ->> 'note', '\s+', ' ', 'g')), 360)));
    end if;
    return '{}'::jsonb;
end $$;
comment on function public.ask_customer_request(p jsonb) is 'A customer asks for something, once: {actor, id, customer_id, kind: dispute|move_out, bill_id?, agreement_id?, wanted_on?, note?, at, today}. A dispute holds the account''s dunning, under the same id. EB005 with a sentence for the customer where it cannot be.';

create function public.close_customer_request(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_request public.customer_requests;
begin
    perform private.set_actor(p);
    select * into v_request from public.customer_requests
    where id = (p ->> 'id')::uuid and (p ->> 'customer_id' is null or customer_id = (p ->> 'customer_id')::uuid) for update;
    if not found then
        perform private.refuse('EB404', 'No such request.');
    elsif v_request.state = p ->> 'state' and v_request.closed_by = p ->> 'actor' then
        return jsonb_build_object('request', to_jsonb(v_request));
    elsif v_request.state <> 'open' then
        perform private.refuse('EB005', 'This request was closed meanwhile.');
    end if;
    update public.customer_requests
    set state = p ->> 'state', answer = coalesce(p ->> 'answer', ''), closed_at = (p ->> 'at')::timestamptz, closed_by = p ->> 'actor'
    where id = v_request.id
    returning * into v_request;
    if v_request.kind = 'dispute' then
        perform public.release_dunning(jsonb_build_object(
            'actor', p ->> 'actor', 'id', v_request.id, 'because', 'The dispute is closed (' || v_request.state || ').'));
    end if;
    return jsonb_build_object('request', to_jsonb(v_request));
end $$;
comment on function public.close_customer_request(p jsonb) is 'The office answers a request, or the customer takes it back; dunning goes on where a dispute is closed: {actor, id, customer_id?, state: accepted|declined|withdrawn, answer?, at}.';

-- What similar homes use.

create function public.home_band(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('band', (
        select jsonb_build_object('route', s.route, 'tariff_id', t.tariff_id)
        from public.service_agreements a
        join public.service_points s on s.id = a.service_point_id
        cross join lateral (select x.tariff_id from public.agreement_tariffs x where x.agreement_id = a.id order by x.starts_on desc limit 1) t
        where a.id = (p ->> 'agreement_id')::uuid))
$$;
comment on function public.home_band(p jsonb) is 'Which homes an agreement is compared with: those of its tariff, on its route where it is on one: {agreement_id} -> {band: {route, tariff_id} or null}.';

create function public.similar_use(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    with near as (
        (select a.id from (select s.id from public.service_points s
                           where s.route = p ->> 'route' and p ->> 'route' <> '' limit (p ->> 'most')::integer) s
         join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null)
        union all
        (select x.agreement_id from public.agreement_tariffs x
         where p ->> 'route' = '' and x.tariff_id = (p ->> 'tariff_id')::uuid limit (p ->> 'most')::integer)
    ), homes as (
        select distinct n.id from near n
        join public.service_agreements a on a.id = n.id and a.ends_on is null
        cross join lateral (select x.tariff_id from public.agreement_tariffs x where x.agreement_id = n.id order by x.starts_on desc limit 1) t
        where t.tariff_id = (p ->> 'tariff_id')::uuid
    ), used as (
        select h.id, m.month::date as month,
               sum(b.consumption_wh * o.days / (b.period_end - b.period_start)) as wh, sum(o.days) as days
        from homes h
        join public.bills b on b.agreement_id = h.id and b.period_end > (p ->> 'since')::date and b.status = 'issued'
        cross join lateral generate_series(date_trunc('month', b.period_start::timestamp),
                                           b.period_end::timestamp - interval '1 day', interval '1 month') m (month)
        cross join lateral (select least(b.period_end, (m.month + interval '1 month')::date) - greatest(b.period_start, m.month::date) as days) o
        group by h.id, m.month
    ), whole as (
        -- A month of which hardly a day is missing.
        select u.month, u.wh from used u
        where u.days >= (u.month + interval '1 month')::date - u.month - 3
    )
    select jsonb_build_object('months', coalesce(jsonb_agg(jsonb_build_object('month', g.month, 'homes', g.homes, 'median_wh', g.median_wh) order by g.month), '[]'))
    from (select w.month, count(*) as homes, percentile_disc(0.5) within group (order by w.wh)::bigint as median_wh
          from whole w where w.month >= (p ->> 'since')::date group by w.month
          having count(*) > (p ->> 'least')::integer) g
$$;
comment on function public.similar_use(p jsonb) is 'What the homes of a band use in the middle, by month; of at most so many of them, and of months with more homes than `least` alone, so that nobody is shown: {route, tariff_id, since: a first of month, most, least} -> {months: [{month, homes, median_wh}]}.';

do $$
declare
    v_name text;
begin
    foreach v_name in array array['customer_page', 'open_customer_session', 'customer_session', 'confirm_customer_session',
        'end_customer_session', 'end_customer_links', 'keep_customer_code', 'use_customer_code', 'ask_customer_request',
        'close_customer_request', 'home_band', 'similar_use']
    loop
        execute format('revoke all on function public.%I(jsonb) from public', v_name);
        execute format('grant all on function public.%I(jsonb) to service_role', v_name);
    end loop;
end $$;

-- Added to what the function has by now, whatever that is.
do $do$
begin
    execute replace(pg_get_functiondef('private.archived_tables()'::regprocedure),
                    '''spared_bills'',', '''spared_bills'', ''customer_requests'',');
end $do$;

-- Customer page: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.customer_pages (
    id uuid DEFAULT private.ordered_id() NOT NULL,
    customer_id uuid NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    links_ended_at timestamp with time zone,
    CONSTRAINT customer_pages_generation_check CHECK ((generation >= 0))
);

COMMENT ON TABLE public.customer_pages IS 'Customers whose links were ended at least once. All others are of generation 0.';

COMMENT ON COLUMN public.customer_pages.generation IS 'What a signed link must name to be good; one more ends every link and every visit there is.';

ALTER TABLE ONLY public.customer_pages
    ADD CONSTRAINT customer_pages_customer_id_key UNIQUE (customer_id);

ALTER TABLE ONLY public.customer_pages
    ADD CONSTRAINT customer_pages_pkey PRIMARY KEY (id);

ALTER TABLE public.customer_pages ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.customer_pages TO service_role;

CREATE TABLE public.customer_sessions (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    token_hash text NOT NULL,
    generation integer NOT NULL,
    opened_by text NOT NULL,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    confirmed_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    ended_by text,
    CONSTRAINT customer_sessions_check CHECK (((ended_at IS NULL) = (ended_by IS NULL))),
    CONSTRAINT customer_sessions_opened_by_check CHECK ((opened_by = ANY (ARRAY['link'::text, 'code'::text])))
);

COMMENT ON TABLE public.customer_sessions IS 'Visits to customers'' pages: a browser that opened a link or entered a code. They are forgotten 90 days after their end.';

COMMENT ON COLUMN public.customer_sessions.token_hash IS 'SHA-256 of what the browser''s cookie holds.';

COMMENT ON COLUMN public.customer_sessions.confirmed_at IS 'When a code that was sent to the customer was entered; null: a link alone, which somebody may have passed on.';

ALTER TABLE ONLY public.customer_sessions
    ADD CONSTRAINT customer_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.customer_sessions
    ADD CONSTRAINT customer_sessions_token_hash_key UNIQUE (token_hash);

CREATE INDEX customer_sessions_expired ON public.customer_sessions USING btree (expires_at);

CREATE INDEX customer_sessions_of_customer ON public.customer_sessions USING btree (customer_id, opened_at DESC);

ALTER TABLE public.customer_sessions ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customer_sessions TO service_role;

CREATE TABLE public.customer_codes (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    code_hash text NOT NULL,
    asked_by text NOT NULL,
    sent_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    guesses integer DEFAULT 0 NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT customer_codes_asked_by_check CHECK ((asked_by <> ''::text))
);

COMMENT ON TABLE public.customer_codes IS 'Codes that were sent to customers for their page; each is good once, for some minutes. They are forgotten a day later.';

COMMENT ON COLUMN public.customer_codes.code_hash IS 'Keyed hash (HMAC) of the code under a key that the database does not hold.';

COMMENT ON COLUMN public.customer_codes.asked_by IS 'stranger, or the id of a device that was used for this page before: each has codes of its own to ask for.';

ALTER TABLE ONLY public.customer_codes
    ADD CONSTRAINT customer_codes_pkey PRIMARY KEY (id);

CREATE INDEX customer_codes_expired ON public.customer_codes USING btree (expires_at);

CREATE INDEX customer_codes_of_customer ON public.customer_codes USING btree (customer_id, sent_at DESC);

ALTER TABLE public.customer_codes ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customer_codes TO service_role;

CREATE TABLE public.customer_requests (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    kind text NOT NULL,
    bill_id uuid,
    agreement_id uuid,
    wanted_on date,
    note text DEFAULT ''::text NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    closed_at timestamp with time zone,
    closed_by text,
    answer text DEFAULT ''::text NOT NULL,
    CONSTRAINT customer_requests_answer_check CHECK ((length(answer) <= 2000)),
    CONSTRAINT customer_requests_check CHECK (((kind = 'dispute'::text) = (bill_id IS NOT NULL))),
    CONSTRAINT customer_requests_check1 CHECK (((kind = 'move_out'::text) = (agreement_id IS NOT NULL))),
    CONSTRAINT customer_requests_check2 CHECK (((kind = 'move_out'::text) = (wanted_on IS NOT NULL))),
    CONSTRAINT customer_requests_check3 CHECK (((kind <> 'dispute'::text) OR (btrim(note) <> ''::text))),
    CONSTRAINT customer_requests_check4 CHECK (((state = 'open'::text) = (closed_at IS NULL))),
    CONSTRAINT customer_requests_check5 CHECK (((closed_at IS NULL) = (closed_by IS NULL))),
    CONSTRAINT customer_requests_kind_check CHECK ((kind = ANY (ARRAY['dispute'::text, 'move_out'::text]))),
    CONSTRAINT customer_requests_note_check CHECK ((length(note) <= 2000)),
    CONSTRAINT customer_requests_state_check CHECK ((state = ANY (ARRAY['open'::text, 'accepted'::text, 'declined'::text, 'withdrawn'::text])))
);

COMMENT ON TABLE public.customer_requests IS 'What customers ask of the office on their page: to look at a bill again, to end their supply. The office closes each.';

COMMENT ON COLUMN public.customer_requests.wanted_on IS 'Of move_out: the last local date on which they are supplied.';

ALTER TABLE ONLY public.customer_requests
    ADD CONSTRAINT customer_requests_pkey PRIMARY KEY (id);

CREATE INDEX customer_requests_closed ON public.customer_requests USING btree (closed_at DESC, id DESC) WHERE (state <> 'open'::text);

CREATE INDEX customer_requests_of_customer ON public.customer_requests USING btree (customer_id, asked_at DESC);

CREATE UNIQUE INDEX customer_requests_one_dispute ON public.customer_requests USING btree (bill_id) WHERE ((state = 'open'::text) AND (kind = 'dispute'::text));

CREATE UNIQUE INDEX customer_requests_one_move ON public.customer_requests USING btree (agreement_id) WHERE ((state = 'open'::text) AND (kind = 'move_out'::text));

CREATE INDEX customer_requests_open ON public.customer_requests USING btree (asked_at, id) WHERE (state = 'open'::text);

ALTER TABLE public.customer_requests ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.customer_requests TO service_role;

ALTER TABLE ONLY public.customer_pages
    ADD CONSTRAINT customer_pages_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.customer_sessions
    ADD CONSTRAINT customer_sessions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.customer_codes
    ADD CONSTRAINT customer_codes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.customer_requests
    ADD CONSTRAINT customer_requests_agreement_id_fkey FOREIGN KEY (agreement_id) REFERENCES public.service_agreements(id);

ALTER TABLE ONLY public.customer_requests
    ADD CONSTRAINT customer_requests_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES public.bills(id);

ALTER TABLE ONLY public.customer_requests
    ADD CONSTRAINT customer_requests_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE VIEW public.customer_request_list WITH (security_invoker='true') AS
 SELECT q.id,
    q.customer_id,
    c.account_no,
    c.name AS customer_name,
    q.kind,
    q.bill_id,
    b.number AS bill_number,
    q.agreement_id,
    a.service_point_id,
    s.address AS service_address,
    q.wanted_on,
    q.note,
    q.asked_at,
    q.state,
    q.closed_at,
    q.closed_by,
    q.answer
   FROM ((((public.customer_requests q
     JOIN public.customers c ON ((c.id = q.customer_id)))
     LEFT JOIN public.bills b ON ((b.id = q.bill_id)))
     LEFT JOIN public.service_agreements a ON ((a.id = q.agreement_id)))
     LEFT JOIN public.service_points s ON ((s.id = a.service_point_id)));

GRANT SELECT ON TABLE public.customer_request_list TO service_role;

CREATE FUNCTION private.page_generation(p_customer_id uuid) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce((select g.generation from public.customer_pages g where g.customer_id = p_customer_id), 0)
$$;

REVOKE ALL ON FUNCTION private.page_generation(p_customer_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.page_generation(p_customer_id uuid) TO service_role;

CREATE FUNCTION private.audit_customer_session() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION private.audit_customer_session() IS 'What of a customer''s visit changed, without the hash of its secret.';

REVOKE ALL ON FUNCTION private.audit_customer_session() FROM PUBLIC;
GRANT ALL ON FUNCTION private.audit_customer_session() TO service_role;

CREATE FUNCTION private.forget_customer_visits() RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    delete from public.customer_sessions where ctid = any (array(
        select s.ctid from public.customer_sessions s where s.expires_at < now() - interval '90 days'
        order by s.expires_at limit 20));
    delete from public.customer_codes where ctid = any (array(
        select c.ctid from public.customer_codes c where c.expires_at < now() - interval '1 day'
        order by c.expires_at limit 20));
$$;

COMMENT ON FUNCTION private.forget_customer_visits() IS 'Forgets some of what is long over, a few at each new one.';

REVOKE ALL ON FUNCTION private.forget_customer_visits() FROM PUBLIC;
GRANT ALL ON FUNCTION private.forget_customer_visits() TO service_role;

CREATE FUNCTION public.open_customer_session(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.open_customer_session(p jsonb) IS 'A browser is let in: {actor, id, customer_id, token_hash, generation, opened_by: link|code, at, expires_at}. EB005 where the links of that generation were ended.';

REVOKE ALL ON FUNCTION public.open_customer_session(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.open_customer_session(p jsonb) TO service_role;

CREATE FUNCTION public.customer_page(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'customer_id')::uuid;
begin
    -- Each by its own index.
    if v_id is null then
        select c.id into v_id from public.customers c where c.account_no = p ->> 'account_no';
    end if;
    return jsonb_build_object('page', (
        select jsonb_build_object('customer_id', c.id, 'account_no', c.account_no, 'generation', private.page_generation(c.id),
                                  'restored_at', (select i.restored_at from public.installation i))
        from public.customers c where c.id = v_id));
end $$;

COMMENT ON FUNCTION public.customer_page(p jsonb) IS 'Whose page it is and which links are good: {customer_id or account_no} -> {page: {customer_id, account_no, generation, restored_at} or null}. Links made before a backup was restored are not.';

REVOKE ALL ON FUNCTION public.customer_page(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.customer_page(p jsonb) TO service_role;

CREATE FUNCTION public.confirm_customer_session(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.confirm_customer_session(p jsonb) IS 'A visit by a link showed the code that was sent: {actor, id, at, expires_at}.';

REVOKE ALL ON FUNCTION public.confirm_customer_session(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.confirm_customer_session(p jsonb) TO service_role;

CREATE FUNCTION public.end_customer_session(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.set_actor(p);
    update public.customer_sessions set ended_at = (p ->> 'at')::timestamptz, ended_by = p ->> 'actor'
    where id = (p ->> 'id')::uuid and ended_at is null;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.end_customer_session(p jsonb) IS 'A browser signs out: {actor, id, at}. Doing it again changes nothing.';

REVOKE ALL ON FUNCTION public.end_customer_session(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_customer_session(p jsonb) TO service_role;

CREATE FUNCTION public.end_customer_links(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.end_customer_links(p jsonb) IS 'Ends every link to a customer''s page, every visit and every code that is out: {actor, customer_id, at} -> {generation}.';

REVOKE ALL ON FUNCTION public.end_customer_links(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_customer_links(p jsonb) TO service_role;

CREATE FUNCTION public.customer_session(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('session', (
        select jsonb_build_object(
            'id', s.id, 'customer_id', c.id, 'account_no', c.account_no, 'name', c.name, 'language', c.language,
            'currency', c.currency, 'confirmed', s.confirmed_at is not null, 'expires_at', s.expires_at, 'generation', s.generation)
        from public.customer_sessions s join public.customers c on c.id = s.customer_id
        where s.token_hash = p ->> 'token_hash' and s.ended_at is null and s.expires_at > (p ->> 'at')::timestamptz
          and s.generation = private.page_generation(s.customer_id)
          and not exists (select 1 from public.installation i where i.restored_at > s.opened_at)))
$$;

COMMENT ON FUNCTION public.customer_session(p jsonb) IS 'The visit behind a cookie while it holds: {token_hash, at} -> {session: {id, customer_id, account_no, name, language, currency, confirmed, expires_at, generation} or null}.';

REVOKE ALL ON FUNCTION public.customer_session(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.customer_session(p jsonb) TO service_role;

CREATE FUNCTION public.keep_customer_code(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.keep_customer_code(p jsonb) IS 'Keeps a code that is about to be sent, unless so many were asked for within an hour: {id, customer_id, code_hash, asked_by, at, expires_at, most_an_hour} -> {kept}.';

REVOKE ALL ON FUNCTION public.keep_customer_code(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.keep_customer_code(p jsonb) TO service_role;

CREATE FUNCTION public.use_customer_code(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

COMMENT ON FUNCTION public.use_customer_code(p jsonb) IS 'Whether a code is one of those that were sent, which uses it up: {customer_id, code_hash, at, most_guesses} -> {right}. A wrong one counts against all that are out.';

REVOKE ALL ON FUNCTION public.use_customer_code(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_customer_code(p jsonb) TO service_role;

CREATE FUNCTION public.ask_customer_request(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
    if p ->> 'kind' = 'dispute' and not exists (
            select 1 from public.customer_requests r where r.customer_id = v_customer and r.bill_id = v_bill.id and r.kind = 'dispute' and r.id <> (p ->> 'id')::uuid) then
        perform public.hold_dunning(jsonb_build_object(
            'actor', p ->> 'actor', 'id', p ->> 'id', 'customer_id', v_customer, 'reason', 'dispute', 'since', p ->> 'today',
            'note', private.invoice_reference(v_bill.number) || ': ' || left(btrim(regexp_replace(p ->> 'note', '\s+', ' ', 'g')), 360)));
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.ask_customer_request(p jsonb) IS 'A customer asks for something, once: {actor, id, customer_id, kind: dispute|move_out, bill_id?, agreement_id?, wanted_on?, note?, at, today}. The first dispute of a bill holds the account''s dunning, under the same id. EB005 with a sentence for the customer where it cannot be.';

REVOKE ALL ON FUNCTION public.ask_customer_request(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ask_customer_request(p jsonb) TO service_role;

CREATE FUNCTION public.home_band(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('band', (
        select jsonb_build_object('route', s.route, 'tariff_id', t.tariff_id)
        from public.service_agreements a
        join public.service_points s on s.id = a.service_point_id
        cross join lateral (select x.tariff_id from public.agreement_tariffs x where x.agreement_id = a.id order by x.starts_on desc limit 1) t
        where a.id = (p ->> 'agreement_id')::uuid))
$$;

COMMENT ON FUNCTION public.home_band(p jsonb) IS 'Which homes an agreement is compared with: those of its tariff, on its route where it is on one: {agreement_id} -> {band: {route, tariff_id} or null}.';

REVOKE ALL ON FUNCTION public.home_band(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.home_band(p jsonb) TO service_role;

CREATE FUNCTION public.close_customer_request(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
    if v_request.kind = 'dispute' and exists (select 1 from public.dunning_holds h where h.id = v_request.id) then
        perform public.release_dunning(jsonb_build_object(
            'actor', p ->> 'actor', 'id', v_request.id, 'because', 'The dispute is closed (' || v_request.state || ').'));
    end if;
    return jsonb_build_object('request', to_jsonb(v_request));
end $$;

COMMENT ON FUNCTION public.close_customer_request(p jsonb) IS 'The office answers a request, or the customer takes it back; dunning goes on where a dispute is closed: {actor, id, customer_id?, state: accepted|declined|withdrawn, answer?, at}.';

REVOKE ALL ON FUNCTION public.close_customer_request(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.close_customer_request(p jsonb) TO service_role;

CREATE FUNCTION public.similar_use(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    with near as (
        (select a.id from (select s.id from public.service_points s
                           where s.route = p ->> 'route' and p ->> 'route' <> '' limit (p ->> 'most')::integer) s
         join public.service_agreements a on a.service_point_id = s.id and a.ends_on is null)
        union all
        (select x from private.sample_on_tariff((p ->> 'tariff_id')::uuid, null, (p ->> 'most')::integer) x
         where p ->> 'route' = '')
    ), homes as (
        select distinct n.id from near n
        join public.service_agreements a on a.id = n.id and a.ends_on is null
        cross join lateral (select x.tariff_id from public.agreement_tariffs x where x.agreement_id = n.id order by x.starts_on desc limit 1) t
        where t.tariff_id = (p ->> 'tariff_id')::uuid
    ), used as (
        select h.id, m.month::date as month,
               sum(b.consumption_wh * o.days / (b.period_end - b.period_start)) as wh, sum(o.days) as days
        from homes h
        join public.bills b on b.agreement_id = h.id and b.period_end + 0 > (p ->> 'since')::date and b.status = 'issued'
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

COMMENT ON FUNCTION public.similar_use(p jsonb) IS 'What the homes of a band use in the middle, by month; of at most so many of them, and of months with more homes than `least` alone, so that nobody is shown: {route, tariff_id, since: a first of month, most, least} -> {months: [{month, homes, median_wh}]}.';

REVOKE ALL ON FUNCTION public.similar_use(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.similar_use(p jsonb) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.customer_pages REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.customer_pages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.customer_pages FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.customer_pages FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER audit_visit AFTER INSERT OR UPDATE ON public.customer_sessions FOR EACH ROW EXECUTE FUNCTION private.audit_customer_session();

CREATE TRIGGER ended_for_good BEFORE UPDATE ON public.customer_sessions FOR EACH ROW WHEN (((old.ended_at IS NOT NULL) OR ((((old.id IS DISTINCT FROM new.id) OR (old.customer_id IS DISTINCT FROM new.customer_id)) OR (old.token_hash IS DISTINCT FROM new.token_hash)) OR (old.opened_by IS DISTINCT FROM new.opened_by)))) EXECUTE FUNCTION private.refuse_reopening();

CREATE TRIGGER audit_insert AFTER INSERT ON public.customer_requests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.customer_requests REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER ended_for_good BEFORE UPDATE ON public.customer_requests FOR EACH ROW WHEN ((old.state <> 'open'::text)) EXECUTE FUNCTION private.refuse_reopening();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.customer_requests FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.customer_requests FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

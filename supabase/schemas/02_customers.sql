-- Customers: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.customer_notes (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    note text NOT NULL,
    written_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT customer_notes_note_check CHECK (((btrim(note) <> ''::text) AND (length(note) <= 4000))),
    CONSTRAINT customer_notes_written_by_check CHECK ((written_by <> ''::text))
);

COMMENT ON TABLE public.customer_notes IS 'What the office wrote down about a customer. A note is never changed: another one corrects it.';

ALTER TABLE ONLY public.customer_notes
    ADD CONSTRAINT customer_notes_pkey PRIMARY KEY (id);

CREATE INDEX customer_notes_customer ON public.customer_notes USING btree (customer_id, created_at DESC);

ALTER TABLE public.customer_notes ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.customer_notes TO service_role;

CREATE FUNCTION private.search_text(p_text text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT COST 400
    SET search_path TO ''
    AS $$
begin
    -- Words as they are abbreviated, so that "Canal Rd." finds "Canal Road" and the other way round.
    return btrim(replace(replace(replace(replace(replace(
        ' ' || translate(lower(normalize(p_text, NFKC)), '.,;', '   ') || ' ',
        ' road ', ' rd '), ' street ', ' st '), ' avenue ', ' ave '), ' lane ', ' ln '), ' apartment ', ' apt '));
end $$;

COMMENT ON FUNCTION private.search_text(p_text text) IS 'A text as it is searched and searched for: lower case, common words of addresses abbreviated.';

REVOKE ALL ON FUNCTION private.search_text(p_text text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.search_text(p_text text) TO service_role;

CREATE FUNCTION private.customer_search_text(p_account_no text, p_name text, p_phone text, p_email text, p_address text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE COST 1000
    SET search_path TO ''
    AS $$
begin
    -- The phone twice: as it is written, and its digits alone.
    return private.search_text(coalesce(p_account_no, '') || ' ' || coalesce(p_name, '') || ' ' || coalesce(p_phone, '') || ' '
        || regexp_replace(coalesce(p_phone, ''), '[^0-9]', '', 'g') || ' ' || coalesce(p_email, '') || ' ' || coalesce(p_address, ''));
end $$;

REVOKE ALL ON FUNCTION private.customer_search_text(p_account_no text, p_name text, p_phone text, p_email text, p_address text) FROM PUBLIC;
GRANT ALL ON FUNCTION private.customer_search_text(p_account_no text, p_name text, p_phone text, p_email text, p_address text) TO service_role;

CREATE TABLE public.customers (
    id uuid NOT NULL,
    account_no text NOT NULL,
    name text NOT NULL,
    email text DEFAULT ''::text NOT NULL,
    phone text DEFAULT ''::text NOT NULL,
    address text DEFAULT ''::text NOT NULL,
    language text DEFAULT 'en'::text NOT NULL,
    currency text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    one_statement boolean DEFAULT false NOT NULL,
    search_text text GENERATED ALWAYS AS (private.customer_search_text(account_no, name, phone, email, address)) STORED,
    tax_number text DEFAULT ''::text NOT NULL,
    CONSTRAINT customers_account_no_check CHECK (((account_no <> ''::text) AND (account_no = btrim(account_no)))),
    CONSTRAINT customers_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT customers_name_check CHECK ((btrim(name) <> ''::text)),
    CONSTRAINT customers_tax_number_check CHECK (((tax_number = btrim(tax_number)) AND (length(tax_number) <= 40)))
);

COMMENT ON COLUMN public.customers.language IS 'Language for messages, an IETF tag such as "en" or "ml".';

COMMENT ON COLUMN public.customers.currency IS 'Currency of the account (ISO 4217); null until the first meter is connected, then that of its tariff.';

COMMENT ON COLUMN public.customers.one_statement IS 'Bills that are made together are told of in one message, with one statement for all agreements.';

COMMENT ON COLUMN public.customers.search_text IS 'What searches and lists find a customer by; see private.customer_search_text.';

COMMENT ON COLUMN public.customers.tax_number IS 'By which the tax office knows the customer, such as a VAT number; empty for most.';

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_account_no_key UNIQUE (account_no);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

CREATE INDEX customers_by_email ON public.customers USING btree (lower(email)) WHERE (email <> ''::text);

CREATE INDEX customers_by_name ON public.customers USING btree (lower(name), id);

CREATE INDEX customers_by_phone ON public.customers USING btree (phone) WHERE (phone <> ''::text);

CREATE INDEX customers_like ON public.customers USING btree (private.identifier_key(account_no));

CREATE INDEX customers_search ON public.customers USING gin (search_text extensions.gin_trgm_ops);

ALTER TABLE public.customers ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,REFERENCES,MAINTAIN,UPDATE ON TABLE public.customers TO service_role;

ALTER TABLE ONLY public.customer_notes
    ADD CONSTRAINT customer_notes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

CREATE FUNCTION public.meters_of_customer(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object('meters', coalesce(jsonb_agg(
        to_jsonb(m) - 'search' || jsonb_build_object('last_read_on', r.read_on, 'last_register_wh', r.register_wh, 'last_source', r.source,
                                            'disconnected_on', d.disconnected_on)
        order by m.serial), '[]'))
    from public.meter_list m
    left join lateral (
        select x.read_on, x.register_wh, x.source from public.readings x
        where x.meter_id = m.id and x.status = 'accepted' order by x.read_at desc limit 1) r on true
    left join public.disconnections d on d.agreement_id = m.agreement_id and d.reconnected_on is null and not d.withdrawn
    where m.id = any (array(select o.meter_id from private.meters_of_customer((p ->> 'customer_id')::uuid) o))
      and m.customer_id = (p ->> 'customer_id')::uuid
$$;

COMMENT ON FUNCTION public.meters_of_customer(p jsonb) IS 'The meters that a customer has now, each with its last accepted read: {customer_id} -> {meters: rows of meter_list with last_read_on, last_register_wh, last_source, disconnected_on}.';

REVOKE ALL ON FUNCTION public.meters_of_customer(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.meters_of_customer(p jsonb) TO service_role;

CREATE FUNCTION public.change_customer(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_customer public.customers;
    v_seen constant jsonb := p -> 'seen';
begin
    perform private.set_actor(p);
    select * into v_customer from public.customers where id = (p ->> 'customer_id')::uuid for update;
    if not found then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    if (v_customer.name, v_customer.phone, v_customer.email, v_customer.address, v_customer.language)
       is distinct from (v_seen ->> 'name', v_seen ->> 'phone', v_seen ->> 'email', v_seen ->> 'address', v_seen ->> 'language')
       -- A repeat of this very change finds what it wrote.
       and (v_customer.name, v_customer.phone, v_customer.email, v_customer.address, v_customer.language)
       is distinct from (p ->> 'name', p ->> 'phone', p ->> 'email', p ->> 'address', p ->> 'language') then
        perform private.refuse('EB005', 'Somebody else changed these details meanwhile. Look at them as they are now.');
    end if;
    if v_customer.tax_number is distinct from coalesce(v_seen ->> 'tax_number', v_customer.tax_number)
       and v_customer.tax_number is distinct from coalesce(p ->> 'tax_number', v_customer.tax_number) then
        perform private.refuse('EB005', 'Somebody else changed these details meanwhile. Look at them as they are now.');
    end if;
    update public.customers c
    set name = p ->> 'name', phone = p ->> 'phone', email = p ->> 'email', address = p ->> 'address',
        language = p ->> 'language', tax_number = coalesce(p ->> 'tax_number', c.tax_number)
    where c.id = v_customer.id
      and (c.name, c.phone, c.email, c.address, c.language, c.tax_number) is distinct from
          (p ->> 'name', p ->> 'phone', p ->> 'email', p ->> 'address', p ->> 'language', coalesce(p ->> 'tax_number', c.tax_number));
    if p ? 'channels' then
        perform public.set_customer_channels(jsonb_build_object(
            'actor', p ->> 'actor',
            'rows', jsonb_build_array((p -> 'channels') || jsonb_build_object('account_no', v_customer.account_no))));
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.change_customer(p jsonb) IS 'Changes a customer''s name and how they are reached; a bill keeps the name that it was issued to: {actor, customer_id, seen: {name, phone, email, address, language, tax_number?} as they were, the same as they are to be, channels?: as set_customer_channels takes them}. EB005 when somebody else changed them meanwhile.';

REVOKE ALL ON FUNCTION public.change_customer(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_customer(p jsonb) TO service_role;

CREATE FUNCTION public.add_customer_note(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_note public.customer_notes;
begin
    perform private.set_actor(p);
    if not exists (select 1 from public.customers where id = (p ->> 'customer_id')::uuid) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    insert into public.customer_notes (id, customer_id, note, written_by)
    values ((p ->> 'id')::uuid, (p ->> 'customer_id')::uuid, p ->> 'note', p ->> 'actor')
    on conflict (id) do nothing;
    select * into v_note from public.customer_notes where id = (p ->> 'id')::uuid;
    if (v_note.customer_id, v_note.note) is distinct from ((p ->> 'customer_id')::uuid, p ->> 'note') then
        perform private.refuse('EB005', 'Another note was stored under this id: open the form again.');
    end if;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.add_customer_note(p jsonb) IS 'Writes a note about a customer, once: {actor, id, customer_id, note}.';

REVOKE ALL ON FUNCTION public.add_customer_note(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_customer_note(p jsonb) TO service_role;

CREATE FUNCTION private.meters_of_customer(p_customer uuid) RETURNS TABLE(meter_id uuid, days datemultirange)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    -- The day of the read at which an agreement ends is still its customer's.
    select i.meter_id, range_agg(daterange(greatest(a.starts_on, i.installed_on), least(a.ends_on, i.removed_on), '[]'))
    from public.service_agreements a
    join public.meter_installations i on i.service_point_id = a.service_point_id
        and i.installed_on <= coalesce(a.ends_on, 'infinity') and coalesce(i.removed_on, 'infinity') >= a.starts_on
    where a.customer_id = p_customer
    group by i.meter_id
$$;

COMMENT ON FUNCTION private.meters_of_customer(p_customer uuid) IS 'The meters that a customer was or is supplied by, with the local dates on which they were.';

REVOKE ALL ON FUNCTION private.meters_of_customer(p_customer uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION private.meters_of_customer(p_customer uuid) TO service_role;

CREATE FUNCTION public.import_customers(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
    v_total integer := jsonb_array_length(p -> 'rows');
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', 'currency', 'message',
               format('Account %s is in %s; its currency cannot change to %s.', x.account_no, c.currency, x.currency)))
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, currency text)
    join public.customers c on c.account_no = x.account_no
    where x.currency is not null and c.currency is not null and c.currency <> x.currency;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        insert into public.customers (id, account_no, name, email, phone, address, language, currency, tax_number)
        select coalesce(id, private.ordered_id()), account_no, name, coalesce(email, ''), coalesce(phone, ''), coalesce(address, ''),
               coalesce(language, p ->> 'default_language', 'en'), currency, coalesce(tax_number, '')
        from jsonb_to_recordset(p -> 'rows') as x(
            id uuid, account_no text, name text, email text, phone text, address text, language text, currency text, tax_number text)
        on conflict do nothing;
        get diagnostics v_added = row_count;
        update public.customers c
        set name = x.name, email = coalesce(x.email, c.email), phone = coalesce(x.phone, c.phone),
            address = coalesce(x.address, c.address), language = coalesce(x.language, c.language),
            currency = coalesce(c.currency, x.currency), tax_number = coalesce(x.tax_number, c.tax_number)
        from jsonb_to_recordset(p -> 'rows') as x(
            account_no text, name text, email text, phone text, address text, language text, currency text, tax_number text)
        where c.account_no = x.account_no
          and (c.name, c.email, c.phone, c.address, c.language, c.currency, c.tax_number) is distinct from
              (x.name, coalesce(x.email, c.email), coalesce(x.phone, c.phone), coalesce(x.address, c.address),
               coalesce(x.language, c.language), coalesce(c.currency, x.currency),
               coalesce(x.tax_number, c.tax_number));
        get diagnostics v_changed = row_count;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, v_total - v_added - v_changed);
end $$;

COMMENT ON FUNCTION public.import_customers(p jsonb) IS 'Adds customers, or updates the contact details of known account numbers: {actor, dry_run, default_language?: of new ones without one, rows: [{row, id?, account_no, name, email?, phone?, address?, language?, currency?, tax_number?}]}. What a row does not give stays; an empty text takes it away.';

REVOKE ALL ON FUNCTION public.import_customers(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.import_customers(p jsonb) TO service_role;

CREATE FUNCTION public.customer_contact(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    v_contact jsonb;
begin
    select jsonb_build_object(
        'customer_id', c.id, 'language', c.language, 'phone', c.phone, 'email', c.email,
        'discord_webhook_url', k.discord_webhook_url, 'whatsapp_opt_in_at', k.whatsapp_opt_in_at,
        'preferred', k.preferred, 'quiet_from', k.quiet_from, 'quiet_until', k.quiet_until,
        'opted_out_at', k.opted_out_at,
        'email_bounced_at', case when k.bounced_email = c.email then k.bounced_at end,
        'sms_stopped_at', (select s.stopped_at from public.stopped_numbers s
                           where s.phone = private.dialled(c.phone) and s.started_at is null),
        'phone_unreached_at', case when k.unreached_phone = private.dialled(c.phone) then k.unreached_phone_at end)
    into v_contact
    from public.customers c left join public.customer_channels k on k.customer_id = c.id
    where c.id = (p ->> 'customer_id')::uuid;
    if v_contact is null then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    return v_contact;
end $$;

COMMENT ON FUNCTION public.customer_contact(p jsonb) IS 'How a customer is reached, for those who send: {customer_id}. The webhook''s address is a secret.';

REVOKE ALL ON FUNCTION public.customer_contact(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.customer_contact(p jsonb) TO service_role;

CREATE FUNCTION private.customers_found(p_words text[], p_account_no text, p_limit integer) RETURNS uuid[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
    select (array(select x.id from public.customers x where x.account_no = p_account_no)
           || private.ids_found('{"table": "customers", "text": "%1$s.search_text", "begins": true}', p_words, p_limit))[:p_limit]
$_$;

COMMENT ON FUNCTION private.customers_found(p_words text[], p_account_no text, p_limit integer) IS 'Customers whose search text has all words, or whose account number it is; at most so many.';

REVOKE ALL ON FUNCTION private.customers_found(p_words text[], p_account_no text, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION private.customers_found(p_words text[], p_account_no text, p_limit integer) TO service_role;

CREATE TRIGGER audit_insert AFTER INSERT ON public.customers REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.customers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_insert AFTER INSERT ON public.customer_notes REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER audit_update AFTER UPDATE ON public.customer_notes REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION private.audit();

CREATE TRIGGER refuse_delete BEFORE DELETE ON public.customer_notes FOR EACH ROW EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.customer_notes FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_delete();

CREATE TRIGGER refuse_update BEFORE UPDATE ON public.customer_notes FOR EACH ROW EXECUTE FUNCTION private.refuse_change();

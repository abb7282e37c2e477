-- What came of attacking autopay: whose payment an event is about is looked at, a try is asked for only while it
-- is still wanted, answers are kept many at a time, and all processes together keep Stripe's rate.

create or replace function private.note_autopay(p_attempt uuid, p jsonb, p_owed jsonb) returns public.autopay_attempts
    language plpgsql set search_path = '' as $$
declare
    t public.autopay_attempts;
    c public.autopay_charges;
    m public.autopay_mandates;
    v_payment uuid;
    v_status constant text := p ->> 'status';
    v_intent constant text := p ->> 'payment_intent';
begin
    select * into t from public.autopay_attempts where id = p_attempt;
    if not found then
        return null;
    end if;
    perform private.lock_customers(array[t.customer_id]);
    select * into t from public.autopay_attempts where id = p_attempt for update;
    select * into c from public.autopay_charges where id = t.charge_id for update;
    -- Of another payment that names the same try only its money counts, and one payment is of one try.
    if v_status <> 'succeeded' and v_intent <> t.payment_intent
       or exists (select 1 from public.autopay_attempts x where x.payment_intent = v_intent and x.id <> t.id)
       or t.status = 'succeeded' and (v_status <> 'succeeded' or exists (select 1 from public.payments y where y.provider_id = v_intent))
       or t.status = 'failed' and v_status <> 'succeeded'
       -- The bank is at it: that it wanted a confirmation was before.
       or t.status = 'processing' and v_status = 'confirming' then
        return t;
    elsif v_status = 'succeeded' then
        -- Money that came counts, whatever was heard before.
        v_payment := private.take_autopay_money(t, p, p_owed);
        if t.status = 'succeeded' then
            perform private.raise_flag(v_payment, 'already_paid', 'Stripe charged one try of autopay twice: give one back.');
        else
            update public.autopay_attempts
            set status = 'succeeded', payment_intent = v_intent, ended_at = now(), decline = '', code = '', detail = '',
                payment_id = v_payment
            where id = t.id returning * into t;
        end if;
        perform private.end_autopay_charges(array[c.id], 'paid', '', '') where c.ended_at is null;
        update public.autopay_charges set paid_minor = paid_minor + (p ->> 'amount_minor')::bigint where id = c.id;
        -- Another try that waits for its customer is called off.
        update public.autopay_attempts set look_at = now() where charge_id = c.id and status = 'confirming';
    elsif v_status = 'failed' then
        update public.autopay_attempts
        set status = 'failed', payment_intent = coalesce(v_intent, payment_intent), ended_at = now(),
            decline = p ->> 'decline', code = coalesce(p ->> 'code', ''), detail = coalesce(p ->> 'detail', '')
        where id = t.id returning * into t;
        perform private.autopay_failed(c, t, (p ->> 'on')::date, p_owed) where c.ended_at is null;
    elsif v_status = 'confirming' then
        update public.autopay_attempts
        set status = 'confirming', payment_intent = v_intent, decline = 'authentication',
            code = coalesce(p ->> 'code', ''), detail = coalesce(p ->> 'detail', ''),
            -- Autopay may have ended meanwhile: then it is called off at once.
            look_at = now() + case when (select x.status from public.autopay_mandates x where x.id = t.mandate_id) = 'active'
                then make_interval(days => (private.autopay_policy() ->> 'confirm_days')::integer) else interval '0' end
        where id = t.id and status <> 'confirming' returning * into t;
        if found then
            select * into m from public.autopay_mandates where id = c.mandate_id;
            perform private.owe_autopay_message('autopay_failed', c.bill_id, t.id::text,
                jsonb_build_object('amount_minor', t.amount_minor::text, 'currency', t.currency, 'method', private.autopay_method(m),
                                   'decline', 'authentication', 'code', t.code, 'confirm', t.id), p_owed -> 'autopay_failed')
            where m.status = 'active';
        else
            select * into t from public.autopay_attempts where id = p_attempt;
        end if;
    elsif v_status = 'processing' then
        update public.autopay_attempts
        set status = 'processing', payment_intent = v_intent, look_at = now() + interval '1 day'
        where id = t.id returning * into t;
    else
        -- Nobody knows: Stripe is asked what became of it before anything else is done.
        update public.autopay_attempts
        set detail = coalesce(p ->> 'detail', ''), look_at = now() + make_interval(secs => (p ->> 'retry_in_seconds')::integer)
        where id = t.id returning * into t;
    end if;
    return t;
end $$;

-- Money of autopay that finds nothing open is shown to a person, as that of a link is.
do $do$
declare
    v_money text := pg_get_functiondef('private.take_autopay_money(public.autopay_attempts, jsonb, jsonb)'::regprocedure);
    v_ask text := pg_get_functiondef('private.autopay_to_ask(uuid[])'::regprocedure);
    v_end text := pg_get_functiondef('public.end_autopay(jsonb)'::regprocedure);
begin
    v_money := replace(v_money, 'perform private.settle(array[t.customer_id]) where v_left > 0;',
        'perform private.settle(array[t.customer_id]) where v_left > 0;
    perform private.raise_flag(v_id, ''already_paid'', ''Autopay charged more than was open of its bills by then; the rest pays what else is open, or is credit.'')
    where v_left > 0;');
    v_ask := replace(v_ask, '''open_minor'', coalesce(a.amount_minor, 0))',
        '''open_minor'', coalesce(a.amount_minor, 0),
            ''held'', t.customer_id = any (private.held_of(array[t.customer_id], greatest(t.started_on, current_date))))');
    -- The page at Stripe may still be open, or a card was just saved there.
    v_end := replace(v_end, 'ended_because = p ->> ''because'', look_at = null',
        'ended_because = p ->> ''because'', look_at = case when session_id is not null then now() end, looks = 0');
    if v_money not like '%already_paid%' or v_ask not like '%held_of%' or v_end not like '%session_id is not null%' then
        raise exception 'autopay is not as it was';
    end if;
    execute v_money;
    execute v_ask;
    execute v_end;
end $do$;

create function private.take_lost_autopay_try(e public.stripe_events, p_owed jsonb) returns public.autopay_attempts
    language plpgsql set search_path = '' as $$
declare
    c public.autopay_charges;
    t public.autopay_attempts;
    v_open boolean;
    v_minor constant bigint := coalesce((e.effect ->> 'amount_minor')::bigint, (e.effect ->> 'asked_minor')::bigint);
begin
    select x.* into c from public.autopay_charges x join public.autopay_mandates m on m.id = x.mandate_id
    where x.id = (e.effect ->> 'charge_id')::uuid and m.stripe_customer = e.effect ->> 'stripe_customer';
    if not found or e.effect ->> 'status' = 'failed' or coalesce(v_minor, 0) <= 0 then
        return null;
    end if;
    perform private.lock_customers(array[c.customer_id]);
    select * into c from public.autopay_charges where id = c.id for update;
    v_open := c.ended_at is not null
              or exists (select 1 from public.autopay_attempts where charge_id = c.id and ended_at is null);
    -- What is under way beside another try, or after the end, counts once its money comes.
    if v_open and e.effect ->> 'status' <> 'succeeded' then
        return null;
    end if;
    insert into public.autopay_attempts (id, charge_id, mandate_id, customer_id, number, amount_minor, currency, bills, status,
                                         started_on, ended_at, look_at)
    values ((e.effect ->> 'attempt_id')::uuid, c.id, c.mandate_id, c.customer_id, c.attempts + 1, v_minor, c.currency,
            coalesce((select a.bills from private.autopay_amounts(array[c.id]) a),
                     jsonb_build_array(jsonb_build_object('bill_id', c.bill_id, 'amount_minor', v_minor))),
            case when v_open then 'failed' else 'asking' end, (e.effect ->> 'on')::date, case when v_open then now() end, now());
    update public.autopay_charges
    set attempts = attempts + 1, first_try_on = coalesce(first_try_on, (e.effect ->> 'on')::date),
        status = case when v_open then status else 'charging' end, announced_minor = coalesce(announced_minor, v_minor)
    where id = c.id;
    t := private.note_autopay((e.effect ->> 'attempt_id')::uuid, e.effect || jsonb_build_object('payment_intent', e.payment_intent), p_owed);
    return t;
end $$;
comment on function private.take_lost_autopay_try(public.stripe_events, jsonb) is 'Stripe tells of a try that is not here, of a charge that is: a backup from before the try was restored. Its row is made again, so that nothing is charged twice. Null: it is of no charge of ours.';

create or replace function private.take_autopay_event(e public.stripe_events, p_owed jsonb) returns public.stripe_events
    language plpgsql set search_path = '' as $$
declare
    t public.autopay_attempts;
    m public.autopay_mandates;
    v_theirs text;
begin
    e.outcome := 'applied';
    case e.effect ->> 'kind'
        when 'autopay_result' then
            select x.stripe_customer into v_theirs
            from public.autopay_attempts a join public.autopay_mandates x on x.id = a.mandate_id
            where a.id = (e.effect ->> 'attempt_id')::uuid;
            if not found then
                t := private.take_lost_autopay_try(e, p_owed);
            elsif v_theirs = e.effect ->> 'stripe_customer' then
                t := private.note_autopay((e.effect ->> 'attempt_id')::uuid, e.effect || jsonb_build_object('payment_intent', e.payment_intent), p_owed);
            end if;
            e.payment_id := coalesce((select y.id from public.payments y where y.provider_id = e.payment_intent), t.payment_id);
            e.outcome := case when t.id is null then 'kept' else 'applied' end;
            e.detail := case when t.id is null then 'It names a charge that is not here, or of another customer: look at it at Stripe.'
                             else 'Autopay: ' || t.status || '.' end;
        when 'autopay_set_up' then
            -- What was saved is asked for by who looks at mandates; of one that was ended it is forgotten.
            update public.autopay_mandates
            set status = case when status = 'opened' then 'confirming' else status end, look_at = now()
            where id = (e.effect ->> 'mandate_id')::uuid
              and (status = 'opened' or status = 'ended' and payment_method is null and session_id is not null and detached_at is null)
            returning * into m;
            e.detail := case when m.id is null then 'Counted already.' when m.status = 'ended' then 'Autopay had ended.'
                             else 'A customer was at Stripe to set autopay up.' end;
        when 'autopay_method_changed' then
            update public.autopay_mandates
            set brand = coalesce(e.effect ->> 'brand', brand), last4 = coalesce(e.effect ->> 'last4', last4),
                exp_month = (e.effect ->> 'exp_month')::integer, exp_year = (e.effect ->> 'exp_year')::integer
            where payment_method = e.object_id and status in ('active', 'paused') returning * into m;
            e.detail := case when m.id is null then 'It is no card of autopay.' else 'The card was renewed.' end;
        when 'autopay_method_gone' then
            select * into m from public.autopay_mandates
            where payment_method = e.effect ->> 'payment_method' and status in ('active', 'paused');
            if found then
                perform private.lock_customers(array[m.customer_id]);
                -- The customer may have ended it just now.
                select * into m from public.autopay_mandates where id = m.id and status in ('active', 'paused') for update;
            end if;
            if m.id is not null then
                m := private.stop_autopay(m, 'ended', 'ended', e.effect ->> 'because');
                perform private.owe_autopay_message('autopay_ended', private.last_bill_of(m.customer_id), m.id::text,
                    jsonb_build_object('method', private.autopay_method(m)), p_owed -> 'autopay_ended');
            end if;
            e.detail := case when m.id is null then 'It is nothing of autopay that goes on.' else 'Autopay has ended.' end;
    end case;
    return e;
end $$;

create function private.lock_stripe_payments(p_intents text[]) returns void
    language sql set search_path = '' as $$
    select count(pg_advisory_xact_lock(hashtextextended('stripe ' || x, 0)))
    from (select distinct i as x from unnest(p_intents) i where i is not null order by 1) o
$$;
comment on function private.lock_stripe_payments(text[]) is 'One at a time takes what Stripe says of a payment; before customers are locked.';

create or replace function public.end_autopay_attempt(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    t public.autopay_attempts;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_stripe_payments(array[p ->> 'payment_intent']);
    t := private.note_autopay((p ->> 'id')::uuid, p, p -> 'owed');
    if t.id is null then
        perform private.refuse('EB404', 'No such charge.');
    end if;
    perform private.take_waiting_stripe_events(t.payment_intent, p -> 'owed') where t.status = 'succeeded';
    return to_jsonb(t);
end $$;

create function public.end_autopay_attempts(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    t public.autopay_attempts;
    x jsonb;
    v_problems jsonb := '[]';
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    perform private.lock_stripe_payments(array(select r ->> 'payment_intent' from jsonb_array_elements(p -> 'results') r));
    perform private.lock_customers(array(
        select a.customer_id from public.autopay_attempts a
        where a.id = any (array(select (r ->> 'id')::uuid from jsonb_array_elements(p -> 'results') r))));
    for x in select r from jsonb_array_elements(p -> 'results') r loop
        begin
            t := private.note_autopay((x ->> 'id')::uuid, x, p -> 'owed');
            perform private.take_waiting_stripe_events(t.payment_intent, p -> 'owed') where t.status = 'succeeded';
        exception when others then
            -- What the database has no time or room for now is the caller's to repeat.
            if left(sqlstate, 2) in ('08', '40', '53', '55', '57', '58') then
                raise;
            end if;
            v_problems := v_problems || jsonb_build_object('id', x ->> 'id', 'message', sqlerrm);
            update public.autopay_attempts set detail = 'What Stripe said of it cannot be kept: look at it at Stripe.', look_at = now() + interval '6 hours'
            where id = (x ->> 'id')::uuid and ended_at is null;
        end;
    end loop;
    return jsonb_build_object('problems', v_problems);
end $$;
comment on function public.end_autopay_attempts(jsonb) is 'Keeps what Stripe answered to some tries, each for itself: {actor, results: [{id, …as private.note_autopay}], owed} -> {problems: [{id, message}]}: those that could not be kept.';

create function public.autopay_turns(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_ids constant uuid[] := array(select x::uuid from jsonb_array_elements_text(p -> 'ids') x);
    v_from timestamptz;
    v_free_at timestamptz;
begin
    insert into public.message_rates (channel, free_at) values ('stripe', '-infinity') on conflict (channel) do nothing;
    select r.free_at into v_free_at from public.message_rates r where r.channel = 'stripe' for update;
    -- Stripe asks nobody to wait for an hour: such a time was set by a wrong clock.
    v_from := case when v_free_at < clock_timestamp() + interval '1 hour' then greatest(v_free_at, clock_timestamp())
                   else clock_timestamp() end;
    update public.message_rates
    set free_at = v_from + interval '1 second' / (p ->> 'a_second')::integer * cardinality(v_ids) where channel = 'stripe';
    return jsonb_build_object(
        'wait_ms', ceil(extract(epoch from v_from - clock_timestamp()) * 1000)::integer,
        'attempts', private.autopay_to_ask(v_ids));
end $$;
comment on function public.autopay_turns(jsonb) is 'The turns of some tries at Stripe, one after another at the rate of all processes together, and the tries as they are now: {ids, a_second} -> {wait_ms: until the first, attempts}.';
comment on table public.message_rates is 'Of each channel, and of autopay at Stripe, when the next message or request may leave, by the database''s clock. Whoever sends one moves it on under its lock, so that all processes together keep the rate, and what was not used is not saved up.';

revoke all on function private.take_lost_autopay_try, private.lock_stripe_payments, public.end_autopay_attempts,
    public.autopay_turns from public;
grant execute on function private.take_lost_autopay_try, private.lock_stripe_payments, public.end_autopay_attempts,
    public.autopay_turns to service_role;

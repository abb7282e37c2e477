-- A charge that is taken back needs a second person as a credit does; a limit cannot be passed in parts.
alter table public.approval_requests drop constraint approval_requests_kind_check;
alter table public.approval_requests add constraint approval_requests_kind_check
    check (kind in ('refund', 'refund_again', 'payout', 'correction', 'credit', 'waiver', 'tariff', 'tariff_correction'));
comment on column public.approval_requests.action_id is
    'The id of the row that the action makes: the refund, correction, credit or tariff version; of a waiver the charge that it takes back.';

create index payment_returns_given on public.payment_returns (customer_id, created_at) where kind in ('refund', 'payout');

create function private.given_back_lately(p_customer_id uuid, p_payment_id uuid, p_currency text, p_but uuid) returns bigint
language sql stable set search_path = '' as $$
    select coalesce(sum(r.amount_minor), 0)::bigint
    from public.payment_returns r
    where case when p_customer_id is null then r.payment_id = p_payment_id
               else r.customer_id = p_customer_id and r.created_at > now() - interval '30 days' end
      and r.kind in ('refund', 'payout') and r.status in ('pending', 'done') and r.currency = p_currency and r.id <> p_but
$$;
comment on function private.given_back_lately is
    'What was refunded or paid out to a customer in the last 30 days, or of a payment of nobody known, but for one row: minor units.';
revoke all on function private.given_back_lately from public;
grant execute on function private.given_back_lately to service_role;

create or replace function public.ask_approval(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    r public.approval_requests;
    v_limit bigint;
    v_over boolean := false;
    v_payment uuid := coalesce((p #>> '{payload,payment_id}')::uuid, (
        select x.payment_id from public.payment_returns x where x.id = (p #>> '{payload,return_id}')::uuid));
    v_customer uuid := coalesce((p #>> '{payload,customer_id}')::uuid, (
        select y.customer_id from public.payments y where y.id = v_payment));
begin
    perform private.set_actor(p);
    if p ? 'amount_minor' then
        select (s.settings #>> array['refund_limits', p ->> 'currency'])::bigint into v_limit
        from public.utility_settings s order by s.version desc limit 1;
        v_over := coalesce((p ->> 'amount_minor')::bigint
            + private.given_back_lately(v_customer, v_payment, p ->> 'currency', (p ->> 'action_id')::uuid) > v_limit, false);
    end if;
    if not private.four_eyes(p ->> 'group') and (not v_over or (p ->> 'may_over_limit')::boolean) then
        return jsonb_build_object('state', 'not_needed');
    end if;
    if p ->> 'kind' = 'tariff' and exists (
        select 1 from public.tariff_versions v join public.tariffs t on t.id = v.tariff_id
        where t.code = p #>> '{payload,tariff,code}' and v.effective_from = (p #>> '{payload,tariff,effective_from}')::date)
    then
        -- It holds already, or another from that day does: nothing would be added.
        return jsonb_build_object('state', 'not_needed');
    end if;
    perform pg_advisory_xact_lock(hashtext('approval/' || (p ->> 'action_id')));
    update public.approval_requests set state = 'expired'
    where action_id = (p ->> 'action_id')::uuid and state = 'pending' and expires_at <= now();
    select * into r from public.approval_requests
    where action_id = (p ->> 'action_id')::uuid and state in ('pending', 'approved', 'done');
    if r.id is null then
        insert into public.approval_requests (id, kind, action_id, payload, summary, reason, over_limit, asked_by, expires_at)
        values ((p ->> 'id')::uuid, p ->> 'kind', (p ->> 'action_id')::uuid, p -> 'payload', p ->> 'summary',
                coalesce(p ->> 'reason', ''), v_over, p ->> 'actor', now() + interval '14 days')
        returning * into r;
    end if;
    return jsonb_build_object('state', r.state, 'id', r.id, 'same', r.payload = p -> 'payload');
end $$;

create or replace function private.needs_approval() returns trigger
language plpgsql set search_path = '' as $$
begin
    -- The second argument names the column by which a request means this row, where it is not the id.
    if coalesce(current_setting('billing.actor', true), '') not in ('')
        and current_setting('billing.actor', true) not like 'system:%'
        and private.four_eyes(tg_argv[0])
        and not exists (select 1 from public.approval_requests r
                        where r.action_id = (to_jsonb(new) ->> coalesce(tg_argv[1], 'id'))::uuid and r.state in ('approved', 'done'))
    then
        perform private.refuse('EB005', 'This needs the approval of a second person: see Approvals.');
    end if;
    return new;
end $$;

create trigger needs_approval_to_waive before insert on public.ledger_entries
    for each row when (new.kind in ('fee_undone', 'opening_balance_undone') and new.amount_minor < 0)
    execute function private.needs_approval('voids', 'undoes_id');

-- Whatever changes how somebody signs in locks their row of users first: in another order, a link that is
-- used in the instant in which its user is disabled would be a deadlock.
create or replace function public.end_sessions_of(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_ended integer;
begin
    perform private.set_actor(p);
    perform 1 from public.users where sign_in_name = p ->> 'user' for update;
    insert into public.user_access as a (id, sessions_end_before, dismissed_at)
    values (p ->> 'user', (p ->> 'at')::timestamptz,
            case when (p ->> 'dismiss')::boolean then (p ->> 'at')::timestamptz end)
    on conflict (id) do update
    set sessions_end_before = greatest(a.sessions_end_before, excluded.sessions_end_before),
        dismissed_at = coalesce(a.dismissed_at, excluded.dismissed_at);
    update public.sessions set ended_at = now(), ended_by = p ->> 'actor'
    where user_id = p ->> 'user' and ended_at is null and expires_at > now();
    get diagnostics v_ended = row_count;
    return jsonb_build_object('ended', v_ended);
end $$;

create or replace function public.readmit_user(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    perform 1 from public.users where sign_in_name = p ->> 'user' for update;
    update public.user_access set dismissed_at = null where id = p ->> 'user' and dismissed_at is not null;
    return '{}'::jsonb;
end $$;

create or replace function public.use_user_link(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_link public.user_links;
    v_user public.users;
    v_state text;
begin
    perform private.set_actor(p);
    select * into v_link from public.user_links where code_hash = p ->> 'code_hash';
    if not found then
        perform private.refuse('EB404', 'There is no such link.');
    end if;
    v_user := private.user_of(jsonb_build_object('user_id', v_link.user_id));
    select * into v_link from public.user_links where id = v_link.id for update;
    v_state := private.link_state(v_link, v_user, (p ->> 'at')::timestamptz);
    if v_state = 'used' and exists (
        select 1 from public.user_credentials where user_id = v_user.id and password_hash = p ->> 'password_hash') then
        -- This very call, repeated: nobody else makes the same hash.
        return '{}'::jsonb;
    end if;
    if v_state <> 'good' then
        perform private.refuse('EB005', case v_state
            when 'used' then 'This link has been used already.'
            when 'expired' then 'This link is too old.'
            else 'This link is no longer good.' end);
    end if;
    update public.user_links set used_at = (p ->> 'at')::timestamptz where id = v_link.id;
    update public.user_credentials
    set password_hash = p ->> 'password_hash', password_set_at = (p ->> 'at')::timestamptz,
        totp_secret = case when v_link.kind <> 'recovery' then totp_secret end,
        totp_on_at = case when v_link.kind <> 'recovery' then totp_on_at end,
        recovery_codes = case when v_link.kind <> 'recovery' then recovery_codes else '{}' end
    where user_id = v_user.id;
    update public.users set activated_at = coalesce(activated_at, (p ->> 'at')::timestamptz) where id = v_user.id;
    perform private.end_sessions_until(p, v_user);
    return '{}'::jsonb;
end $$;

-- After the insert: before it, the trigger would refuse what is there already and is not added again.
drop trigger needs_approval on public.tariff_versions;
create trigger needs_approval after insert on public.tariff_versions
    for each row execute function private.needs_approval('tariffs');

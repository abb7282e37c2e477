-- Four eyes: with the setting on, what one person asks for is done when another approves it.
create table public.approval_requests (
    id uuid primary key,
    kind text not null check (kind in ('refund', 'refund_again', 'payout', 'correction', 'credit', 'tariff', 'tariff_correction')),
    action_id uuid not null,
    payload jsonb not null check (jsonb_typeof(payload) = 'object'),
    summary text not null check (btrim(summary) <> ''),
    reason text not null default '',
    over_limit boolean not null default false,
    asked_by text not null check (asked_by <> ''),
    asked_at timestamptz not null default now(),
    expires_at timestamptz not null,
    state text not null default 'pending' check (state in ('pending', 'approved', 'rejected', 'done', 'failed', 'expired')),
    decided_by text check (decided_by <> ''),
    decided_at timestamptz,
    decision_reason text not null default '',
    outcome text not null default '',
    constraint approval_requests_decided check ((state in ('pending', 'expired')) = (decided_by is null)),
    constraint approval_requests_by_another check (lower(decided_by) <> lower(asked_by))
);
create unique index approval_requests_live on public.approval_requests (action_id) where state in ('pending', 'approved', 'done');
create index approval_requests_waiting on public.approval_requests (asked_at desc, id desc) where state in ('pending', 'approved');
create index approval_requests_recent on public.approval_requests (asked_at desc, id desc);
alter table public.approval_requests enable row level security;
revoke all on public.approval_requests from public, anon, authenticated, service_role;
grant select, insert, update on public.approval_requests to service_role;
comment on table public.approval_requests is 'What somebody asked to be done that needs another person''s approval, with what became of it.';
comment on column public.approval_requests.action_id is 'The id of the row that the action makes: the refund, correction, credit or tariff version.';
comment on column public.approval_requests.payload is 'What the action takes, as its service wrote it.';
comment on column public.approval_requests.state is 'approved: and not done yet. failed: approved, and refused when it was to be done, as outcome says.';
select private.audit_table('public.approval_requests');
select private.keep_rows('public.approval_requests');

create function private.four_eyes(p_group text) returns boolean
language sql stable set search_path = '' as $$
    select coalesce((select s.settings -> 'four_eyes' ? p_group
                     from public.utility_settings s order by s.version desc limit 1), false)
$$;
comment on function private.four_eyes is 'Whether the utility wants another person''s approval for refunds, voids or tariffs.';
revoke all on function private.four_eyes from public;
grant execute on function private.four_eyes to service_role;

-- Asked before each such action: what is to be done now.
create function public.ask_approval(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    r public.approval_requests;
    v_limit bigint;
    v_over boolean := false;
begin
    perform private.set_actor(p);
    if p ? 'amount_minor' then
        select (s.settings #>> array['refund_limits', p ->> 'currency'])::bigint into v_limit
        from public.utility_settings s order by s.version desc limit 1;
        v_over := coalesce((p ->> 'amount_minor')::bigint > v_limit, false);
    end if;
    if not private.four_eyes(p ->> 'group') and (not v_over or (p ->> 'may_over_limit')::boolean) then
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
comment on function public.ask_approval is
    'Whether an action may be done now: {actor, id, kind, group, action_id, payload, summary, reason, amount_minor?, currency?, may_over_limit?} -> {state: not_needed|pending|approved|done, id?, same?}. A request that is not there is stored as pending, for 14 days.';

create function public.decide_approval(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    r public.approval_requests;
begin
    perform private.set_actor(p);
    select * into r from public.approval_requests where id = (p ->> 'id')::uuid for update;
    if r.id is null then
        perform private.refuse('EB404', 'There is no such request.');
    elsif lower(r.asked_by) = lower(p ->> 'actor') then
        perform private.refuse('EB005', 'Somebody else must decide on what you asked for.');
    elsif r.state = 'pending' and r.expires_at <= now() then
        perform private.refuse('EB005', 'This request has expired. It can be asked for again.');
    elsif r.state = p ->> 'state' and lower(r.decided_by) = lower(p ->> 'actor') then
        return to_jsonb(r);
    elsif r.state <> 'pending' then
        perform private.refuse('EB005', 'This request was decided on already.');
    end if;
    update public.approval_requests
    set state = p ->> 'state', decided_by = p ->> 'actor', decided_at = now(), decision_reason = coalesce(p ->> 'reason', '')
    where id = r.id returning * into r;
    return to_jsonb(r);
end $$;
comment on function public.decide_approval is
    'Approves or rejects a pending request: {actor, id, state: approved|rejected, reason?} -> the request. Never by who asked for it.';

create function public.end_approval(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    r public.approval_requests;
begin
    perform private.set_actor(p);
    update public.approval_requests set state = p ->> 'state', outcome = coalesce(p ->> 'outcome', '')
    where id = (p ->> 'id')::uuid and state = 'approved' returning * into r;
    if r.id is null then
        select * into r from public.approval_requests where id = (p ->> 'id')::uuid;
    end if;
    return to_jsonb(r);
end $$;
comment on function public.end_approval is
    'Says what came of an approved request: {actor, id, state: done|failed, outcome?} -> the request.';

create view public.approval_list with (security_invoker = true) as
select r.id, r.kind, r.action_id, r.payload, r.summary, r.reason, r.over_limit, r.asked_by, r.asked_at, r.expires_at,
       case when r.state = 'pending' and r.expires_at <= now() then 'expired' else r.state end as state,
       r.decided_by, r.decided_at, r.decision_reason, r.outcome
from public.approval_requests r;
comment on view public.approval_list is 'Requests, with those that nobody decided on in time as expired.';
revoke all on public.approval_list from public, anon, authenticated, service_role;
grant select on public.approval_list to service_role;

revoke all on function public.ask_approval, public.decide_approval, public.end_approval from public, anon, authenticated;
grant execute on function public.ask_approval, public.decide_approval, public.end_approval to service_role;

-- The write itself is refused too. A restore has no actor; what Stripe tells is not asked for here.
create function private.needs_approval() returns trigger
language plpgsql set search_path = '' as $$
begin
    if coalesce(current_setting('billing.actor', true), '') not in ('')
        and current_setting('billing.actor', true) not like 'system:%'
        and private.four_eyes(tg_argv[0])
        and not exists (select 1 from public.approval_requests r where r.action_id = new.id and r.state in ('approved', 'done'))
    then
        perform private.refuse('EB005', 'This needs the approval of a second person: see Approvals.');
    end if;
    return new;
end $$;
comment on function private.needs_approval is 'Refuses a row that needs an approval which nobody gave; of the group in its argument.';
revoke all on function private.needs_approval from public;
grant execute on function private.needs_approval to service_role;

create trigger needs_approval before insert on public.payment_returns
    for each row when (new.kind in ('refund', 'payout')) execute function private.needs_approval('refunds');
create trigger needs_approval before insert on public.corrections
    for each row when (new.kind in ('void', 'reading', 'tariff')) execute function private.needs_approval('voids');
create trigger needs_approval before insert on public.ledger_entries
    for each row when (new.kind = 'credit') execute function private.needs_approval('voids');
create trigger needs_approval before insert on public.tariff_versions
    for each row execute function private.needs_approval('tariffs');

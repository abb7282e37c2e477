-- What AI was asked and what it cost, and its second opinion on a bill.

create table public.ai_calls (
    id uuid primary key,
    purpose text not null check (purpose in ('validate_reading', 'calculate_bill', 'write_message')),
    model text not null,
    prompt_tokens integer not null default 0 check (prompt_tokens >= 0),
    completion_tokens integer not null default 0 check (completion_tokens >= 0),
    cost_micro bigint check (cost_micro >= 0),
    outcome text not null check (outcome <> ''),
    reading_id uuid,
    bill_id uuid,
    created_at timestamptz not null default now()
);
create index ai_calls_recent on public.ai_calls (created_at desc);
comment on table public.ai_calls is 'Every question that was sent to AI, whatever came of it.';
comment on column public.ai_calls.cost_micro is
    'Millionths of a US dollar by the prices set at the time; null when no prices were set.';
comment on column public.ai_calls.outcome is
    '"answered", or why there is no usable answer: timeout, unreachable, refused, filtered, cut, malformed, busy, no_quota, not_allowed, not_found, rejected, failed.';
comment on column public.ai_calls.reading_id is
    'No foreign key, as with bill_id: AI is asked before the reading and its bill are stored.';
alter table public.ai_calls enable row level security;

create function public.add_ai_call(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    insert into public.ai_calls (id, purpose, model, prompt_tokens, completion_tokens, cost_micro, outcome,
                                 reading_id, bill_id)
    select c.id, c.purpose, c.model, c.prompt_tokens, c.completion_tokens, c.cost_micro, c.outcome,
           c.reading_id, c.bill_id
    from jsonb_to_record(p) as c(
        id uuid, purpose text, model text, prompt_tokens integer, completion_tokens integer,
        cost_micro bigint, outcome text, reading_id uuid, bill_id uuid)
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;
comment on function public.add_ai_call is
    'Keeps one call: {id, purpose, model, prompt_tokens, completion_tokens, cost_micro, outcome, reading_id, bill_id}.';

create function public.ai_spending(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'calls', count(*),
        'unanswered', count(*) filter (where c.outcome <> 'answered'),
        'prompt_tokens', coalesce(sum(c.prompt_tokens), 0)::bigint,
        'completion_tokens', coalesce(sum(c.completion_tokens), 0)::bigint,
        'cost_micro', coalesce(sum(c.cost_micro), 0)::bigint,
        'unpriced', count(*) filter (where c.cost_micro is null))
    from public.ai_calls c
    where c.created_at >= (p ->> 'since')::timestamptz
$$;
comment on function public.ai_spending is 'What AI cost since an instant, such as the start of the month: {since}.';

alter table public.bills add column second_opinion jsonb
    check (second_opinion is null or jsonb_typeof(second_opinion) = 'object');
comment on column public.bills.second_opinion is
    'AI''s own calculation: {model, agrees, held, currency, total, difference, lines, other_lines}, amounts as decimal strings. Given when the bill is made; bills_guard refuses every later change, as of all figures.';
create index bills_second_opinion on public.bills (created_at) where second_opinion is not null;

create view public.second_opinion_list with (security_invoker = true) as
select b.id as bill_id, b.number, b.status, b.meter_id, b.currency, b.total_minor, b.second_opinion, b.created_at
from public.bills b
where b.second_opinion is not null;
comment on view public.second_opinion_list is 'The bills that AI has computed too.';

create function public.second_opinion_counts(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'asked', count(*),
        'agreed', count(*) filter (where (b.second_opinion ->> 'agrees')::boolean),
        'differed', count(*) filter (where not (b.second_opinion ->> 'agrees')::boolean),
        'held', count(*) filter (where (b.second_opinion ->> 'held')::boolean))
    from public.bills b
    where b.second_opinion is not null and b.created_at >= (p ->> 'since')::timestamptz
$$;
comment on function public.second_opinion_counts is
    'How often AI agreed with the bills made since an instant, differed, and held one for review: {since}.';

-- As before, and with the second opinion.
create or replace function private.insert_bills(p_bills jsonb) returns void
language plpgsql set search_path = '' as $$
declare
    v_issued integer;
    v_base bigint;
begin
    select count(*) into v_issued from jsonb_array_elements(p_bills) b where b ->> 'status' = 'issued';
    if v_issued > 0 then
        update public.counters set last_number = last_number + v_issued where name = 'bill'
        returning last_number - v_issued into v_base;
    end if;
    insert into public.bills (
        id, number, status, meter_id, customer_id, tariff_version_id, opening_reading_id, closing_reading_id,
        period_start, period_end, opening_wh, closing_wh, consumption_wh, currency, lines,
        subtotal_minor, tax_minor, total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion)
    select b.id,
           case when b.status = 'issued'
                then v_base + row_number() over (partition by b.status = 'issued' order by b.position) end,
           b.status, b.meter_id, m.customer_id, b.tariff_version_id, b.opening_reading_id, b.closing_reading_id,
           b.period_start, b.period_end, b.opening_wh, b.closing_wh, b.consumption_wh, b.currency, b.lines,
           b.subtotal_minor, b.tax_minor, b.total_minor, b.issued_at, b.issued_on, b.due_date, b.reissue_no,
           nullif(b.second_opinion, 'null'::jsonb)
    from rows from (jsonb_to_recordset(p_bills) as (
             id uuid, status text, meter_id uuid, tariff_version_id uuid, opening_reading_id uuid,
             closing_reading_id uuid, period_start date, period_end date, opening_wh bigint, closing_wh bigint,
             consumption_wh bigint, currency text, lines jsonb, subtotal_minor bigint, tax_minor bigint,
             total_minor bigint, issued_at timestamptz, issued_on date, due_date date, reissue_no integer,
             second_opinion jsonb)
         ) with ordinality as b(
             id, status, meter_id, tariff_version_id, opening_reading_id, closing_reading_id, period_start,
             period_end, opening_wh, closing_wh, consumption_wh, currency, lines, subtotal_minor, tax_minor,
             total_minor, issued_at, issued_on, due_date, reissue_no, second_opinion, position)
    join public.meters m on m.id = b.meter_id;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at, lease_owner, lease_until)
    select o.id, b.id, 'bill_issued', o.steps, o.status, case when o.status <> 'open' then now() end,
           o.lease_owner, now() + make_interval(secs => o.lease_seconds)
    from jsonb_to_recordset(p_bills) as b(id uuid, owed jsonb)
    cross join lateral jsonb_to_record(b.owed) as o(
        id uuid, steps jsonb, status text, lease_owner text, lease_seconds integer)
    where b.owed is not null and b.owed <> 'null'::jsonb;
end $$;

-- All of it belongs to service_role alone.
revoke all on public.ai_calls, public.second_opinion_list from public, anon, authenticated;
revoke all on function public.add_ai_call(jsonb), public.ai_spending(jsonb), public.second_opinion_counts(jsonb)
    from public, anon, authenticated;
revoke all on public.ai_calls from service_role;
grant select, insert on public.ai_calls to service_role;
grant select on public.second_opinion_list to service_role;
grant execute on function public.add_ai_call(jsonb), public.ai_spending(jsonb), public.second_opinion_counts(jsonb)
    to service_role;

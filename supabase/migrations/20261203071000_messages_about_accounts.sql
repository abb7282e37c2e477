-- Messages about an account and no bill: statements of account, and charges of who was never billed.

alter table public.outbox alter column bill_id drop not null;
alter table public.outbox add column customer_id uuid references public.customers (id);
alter table public.outbox add constraint outbox_subject check ((bill_id is null) = (customer_id is not null));
comment on column public.outbox.customer_id is 'Whose account it is about, where it is about no bill.';
create unique index outbox_of_account on public.outbox (customer_id, kind, occasion) where bill_id is null;
create index notifications_of_account on public.notifications (customer_id, kind, occasion) where bill_id is null;
alter table public.letters alter column bill_id drop not null;
comment on column public.letters.bill_id is 'The bill that it is about; null where it is about the account.';

do $do$
declare
    v_check constant text := (select pg_get_constraintdef(c.oid) from pg_catalog.pg_constraint c
                              where c.conrelid = 'public.outbox'::regclass and c.conname = 'outbox_kind_check');
begin
    alter table public.outbox drop constraint outbox_kind_check;
    execute 'alter table public.outbox add constraint outbox_kind_check '
            || replace(v_check, $$'charges_overdue'::text$$, $$'charges_overdue'::text, 'account_statement'::text$$);
end $do$;

create function private.message_work(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) returns uuid
    language plpgsql stable set search_path = '' as $$
begin
    if p_bill is not null then
        return (select o.id from public.outbox o where o.bill_id = p_bill and o.kind = p_kind and o.occasion = p_occasion);
    end if;
    return (select o.id from public.outbox o
            where o.bill_id is null and o.customer_id = p_customer and o.kind = p_kind and o.occasion = p_occasion);
end $$;
comment on function private.message_work(uuid, uuid, text, text) is 'The work that a message belongs to: of its bill, or without one of its account.';

create function private.messages_of(p_bill uuid, p_customer uuid, p_kind text, p_occasion text) returns uuid[]
    language plpgsql stable set search_path = '' as $$
begin
    if p_bill is not null then
        return array(select n.id from public.notifications n where n.bill_id = p_bill and n.kind = p_kind and n.occasion = p_occasion);
    end if;
    return array(select n.id from public.notifications n
                 where n.bill_id is null and n.customer_id = p_customer and n.kind = p_kind and n.occasion = p_occasion);
end $$;
comment on function private.messages_of(uuid, uuid, text, text) is 'The messages of one work on all channels: of its bill, or without one of its account.';

create function private.message_subject(p_bill uuid, p_customer uuid) returns table (bill_id uuid, customer_id uuid, currency text)
    language plpgsql stable rows 1 set search_path = '' as $$
#variable_conflict use_column
begin
    if p_bill is not null then
        return query select b.id, b.customer_id, b.currency from public.bills b where b.id = p_bill;
    else
        return query select null::uuid, c.id, c.currency from public.customers c where c.id = p_customer;
    end if;
end $$;
comment on function private.message_subject(uuid, uuid) is 'Whom a message is to, in which currency, and about which bill: none where it is about the account.';

create function private.subject_json(p_bill uuid, p_customer uuid) returns jsonb
    language plpgsql stable set search_path = '' as $$
begin
    if p_bill is not null then
        return jsonb_build_object('bill', private.bill_json(p_bill));
    end if;
    return (select jsonb_build_object('account', jsonb_build_object(
                'customer_id', c.id, 'account_no', c.account_no, 'customer_name', c.name, 'currency', c.currency))
            from public.customers c where c.id = p_customer);
end $$;
comment on function private.subject_json(uuid, uuid) is 'What work is about: {bill}, or {account: {customer_id, account_no, customer_name, currency}}.';

create function public.owe_statement(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    if not exists (select 1 from public.customers where id = (p ->> 'customer_id')::uuid) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    insert into public.outbox (id, customer_id, kind, occasion, facts, steps, status, finished_at)
    values ((p ->> 'id')::uuid, (p ->> 'customer_id')::uuid, 'account_statement', p ->> 'id',
            jsonb_build_object('statement_start', p ->> 'start', 'statement_end', p ->> 'end'),
            p #> '{owed,steps}', p #>> '{owed,status}', case when p #>> '{owed,status}' <> 'open' then now() end)
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;
comment on function public.owe_statement(jsonb) is 'A statement of account is to be mailed, once for each id: {actor, id, customer_id, start, end: local dates, the end is the first day after it, owed: {steps, status}}.';

revoke all on function private.message_work(uuid, uuid, text, text), private.messages_of(uuid, uuid, text, text),
    private.message_subject(uuid, uuid), private.subject_json(uuid, uuid), public.owe_statement(jsonb) from public, anon, authenticated;
grant execute on function private.message_work(uuid, uuid, text, text), private.messages_of(uuid, uuid, text, text),
    private.message_subject(uuid, uuid), private.subject_json(uuid, uuid), public.owe_statement(jsonb) to service_role;

create or replace view public.owed_work_list with (security_invoker = true) as
select o.id, o.bill_id, b.number as bill_number, o.kind, o.steps, o.status, o.attempts, o.next_attempt_at, o.lease_until, o.created_at,
       o.finished_at, o.occasion, o.customer_id
from public.outbox o
left join public.bills b on b.id = o.bill_id;

create or replace view public.failed_work_list with (security_invoker = true) as
select o.id, o.bill_id, b.number as bill_number, c.account_no, o.kind, o.steps, o.status, o.attempts, o.created_at, o.finished_at
from public.outbox o
left join public.bills b on b.id = o.bill_id
join public.customers c on c.id = coalesce(b.customer_id, o.customer_id)
where o.status <> 'open' and jsonb_path_exists(o.steps, '$.*."status"?(@ == "failed")');

create or replace view public.notification_list with (security_invoker = true) as
select n.id, n.bill_id, b.number as bill_number, c.account_no, n.kind, n.channel,
       case when n.status = any (array['waiting', 'sending']) and coalesce(o.status, a.status) <> 'open' then 'given_up' else n.status end as status,
       n.attempts, n.recipient, n.body, n.error, n.message_id, n.created_at, n.updated_at,
       coalesce(o.id, a.id) as owed_id, coalesce(o.status, a.status) as owed_status,
       lower(concat_ws(' ', private.invoice_reference(b.number), c.account_no)) as search, n.occasion, n.customer_id, n.life
from public.notifications n
left join public.bills b on b.id = n.bill_id
left join public.customers c on c.id = n.customer_id
left join public.outbox o on o.bill_id = n.bill_id and o.kind = n.kind and o.occasion = n.occasion
left join public.outbox a on n.bill_id is null and a.bill_id is null and a.customer_id = n.customer_id and a.kind = n.kind
    and a.occasion = n.occasion;

-- Each as it is now, whatever else changed it.
do $do$
declare
    v record;
    v_text text;
begin
    for v in select * from (values
        (1, 'private.join_statements()',
$old$where not exists (select 1 from public.bills b where b.id = n.bill_id)$old$,
$new$where n.bill_id is not null and not exists (select 1 from public.bills b where b.id = n.bill_id)$new$),
        (2, 'public.retry_owed_work(jsonb)',
$old$where bill_id = v_row.bill_id and kind = v_row.kind and occasion = v_row.occasion and status in$old$,
$new$where id = any (private.messages_of(v_row.bill_id, v_row.customer_id, v_row.kind, v_row.occasion)) and status in$new$),
        (3, 'public.begin_notification(jsonb)',
$old$select (p ->> 'id')::uuid, b.id, b.customer_id,$old$,
$new$select (p ->> 'id')::uuid, b.bill_id, b.customer_id,$new$),
        (4, 'public.begin_notification(jsonb)',
$old$from public.bills b where b.id = (p ->> 'bill_id')::uuid$old$,
$new$from private.message_subject((p ->> 'bill_id')::uuid, (p ->> 'customer_id')::uuid) b$new$),
        (5, 'public.save_owed_work(jsonb)',
$old$    cross join public.bills b
    where b.id = v_row.bill_id
    on conflict$old$,
$new$    cross join private.message_subject(v_row.bill_id, v_row.customer_id) b
    on conflict$new$),
        (6, 'public.save_owed_work(jsonb)',
$old$where bill_id = v_row.bill_id and kind = v_row.kind and occasion = v_row.occasion
          and (queued_at$old$,
$new$where id = any (private.messages_of(v_row.bill_id, v_row.customer_id, v_row.kind, v_row.occasion))
          and (queued_at$new$),
        (7, 'public.claim_owed_work(jsonb)',
$old$jsonb_build_object('bill', private.bill_json(o.bill_id))$old$,
$new$private.subject_json(o.bill_id, o.customer_id)$new$),
        (8, 'public.claim_messages(jsonb)',
$old$join public.outbox o on o.bill_id = n.bill_id and o.kind = n.kind and o.occasion = n.occasion$old$,
$new$join public.outbox o on o.id = private.message_work(n.bill_id, n.customer_id, n.kind, n.occasion)$new$),
        (9, 'public.claim_messages(jsonb)',
$old$jsonb_build_object('bill', private.bill_json(o.bill_id), 'granted', v_channel)$old$,
$new$private.subject_json(o.bill_id, o.customer_id) || jsonb_build_object('granted', v_channel)$new$),
        (10, 'public.note_delivery(jsonb)',
$old$where o.bill_id = v_row.bill_id and o.kind = v_row.kind and o.occasion = v_row.occasion for update$old$,
$new$where o.id = private.message_work(v_row.bill_id, v_row.customer_id, v_row.kind, v_row.occasion) for update$new$),
        (11, 'public.hold_message(jsonb)',
$old$where bill_id = (p ->> 'bill_id')::uuid and kind = p ->> 'kind' and occasion = p ->> 'occasion' and queued_at$old$,
$new$where id = any (private.messages_of((p ->> 'bill_id')::uuid, (p ->> 'customer_id')::uuid, p ->> 'kind', p ->> 'occasion')) and queued_at$new$),
        (12, 'public.hold_message(jsonb)',
$old$select (p ->> 'id')::uuid, b.id, b.customer_id,$old$,
$new$select (p ->> 'id')::uuid, b.bill_id, b.customer_id,$new$),
        (13, 'public.hold_message(jsonb)',
$old$from public.bills b where b.id = (p ->> 'bill_id')::uuid$old$,
$new$from private.message_subject((p ->> 'bill_id')::uuid, (p ->> 'customer_id')::uuid) b$new$),
        (14, 'public.unreached_page(jsonb)',
$old$where n.bill_id = x.bill_id and n.kind = x.kind and n.occasion = x.occasion and n.channel$old$,
$new$where n.id = any (private.messages_of(x.bill_id, x.customer_id, x.kind, x.occasion)) and n.channel$new$),
        (15, 'public.unreached_page(jsonb)',
$old$        join public.bills b on b.id = x.bill_id
        join public.customers c on c.id = b.customer_id$old$,
$new$        left join public.bills b on b.id = x.bill_id
        join public.customers c on c.id = coalesce(b.customer_id, x.customer_id)$new$),
        (16, 'public.unreached_page(jsonb)',
$old$'currency', b.currency,$old$,
$new$'currency', coalesce(b.currency, c.currency),$new$),
        (17, 'public.print_letters(jsonb)',
$old$        join public.bills b on b.id = o.bill_id
        on conflict$old$,
$new$        cross join lateral private.message_subject(o.bill_id, o.customer_id) b
        on conflict$new$),
        (18, 'public.print_letters(jsonb)',
$old$v_batch.id, x.place, b.customer_id, b.id, o.kind$old$,
$new$v_batch.id, x.place, b.customer_id, o.bill_id, o.kind$new$),
        (19, 'public.print_letters(jsonb)',
$old$        join public.bills b on b.id = o.bill_id
        where (l$old$,
$new$        cross join lateral private.message_subject(o.bill_id, o.customer_id) b
        where (l$new$),
        (20, 'private.note_unreached()',
$old$where n.bill_id = new.bill_id and n.kind = new.kind and n.occasion = new.occasion and n.channel$old$,
$new$where n.id = any (private.messages_of(new.bill_id, new.customer_id, new.kind, new.occasion)) and n.channel$new$),
        (21, 'private.note_unreached()',
$old$select 1 from public.bills b join public.customer_channels k on k.customer_id = b.customer_id
           where b.id = new.bill_id and$old$,
$new$select 1 from private.message_subject(new.bill_id, new.customer_id) b
           join public.customer_channels k on k.customer_id = b.customer_id
           where$new$),
        (22, 'public.why_unsaid(jsonb)',
$old$jsonb_build_object('reason', coalesce((
        select case$old$,
$new$jsonb_build_object('reason', coalesce(case when p ->> 'bill_id' is null then
        case p ->> 'kind' when 'charges_overdue' then (
            select private.why_charges_unsaid(c.id, c.currency, (p ->> 'today')::date)
            from public.customers c where c.id = (p ->> 'customer_id')::uuid) else '' end end, (
        select case$new$)
    ) as x (place, name, old, new) order by place loop
        v_text := pg_get_functiondef(v.name::regprocedure);
        if position(v.old in v_text) = 0 then
            raise exception 'There is nothing to change in %: %', v.name, v.place;
        end if;
        execute replace(v_text, v.old, v.new);
    end loop;
end $do$;

-- A statement that comes back is seen among the messages; a letter would be one about a PDF that is not in it.
drop trigger note_unreached on public.outbox;
create trigger note_unreached before update of status on public.outbox
    for each row when (new.status is distinct from old.status
                       and new.kind <> all (array['payment_received', 'balance_changed', 'account_statement']))
    execute function private.note_unreached();
comment on table public.outbox is 'What is still owed for a bill, or an account, after a commit: one row a bill and occasion, a state a step.';
comment on function public.begin_notification(jsonb) is 'Says that a message is about to leave, unless it left before or its turn on the channel has not come: {id, bill_id, or null and customer_id, kind, occasion?, channel, recipient, body, per_minute?, granted?: its turn was given by claim_messages} -> {send, status, error, message_id, queued}.';
comment on function public.hold_message(jsonb) is 'Takes a message out of the queues of all channels, for its time comes later, and says so of the channel that it will leave on: {bill_id, or null and customer_id, kind, occasion, id?, channel, recipient, body, why}.';

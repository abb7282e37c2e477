-- A bill that could not be printed in full: the reason is kept for administrators, and it is tried again by the hour.

create table public.unprinted_bills (
    bill_id uuid primary key references public.bills,
    reason text not null check (reason <> ''),
    since timestamptz not null default now(),
    tried_at timestamptz not null default now()
);
create index unprinted_bills_tried on public.unprinted_bills (tried_at);
comment on table public.unprinted_bills is
    'Issued bills whose PDF could not be made in full, such as for want of a font: why, and when that was last tried.';

create view public.unprinted_bill_list with (security_invoker = true) as
select u.bill_id, b.number as bill_number, c.account_no, u.reason, u.since, u.tried_at
from public.unprinted_bills u
join public.bills b on b.id = u.bill_id
join public.customers c on c.id = b.customer_id;
comment on view public.unprinted_bill_list is 'The bills that could not be printed, with their number and account.';

create function public.note_unprinted_bill(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    insert into public.unprinted_bills as u (bill_id, reason)
    select (p ->> 'bill_id')::uuid, p ->> 'reason'
    -- Another process may have printed it meanwhile.
    where not exists (select 1 from public.bill_documents d where d.bill_id = (p ->> 'bill_id')::uuid)
    on conflict (bill_id) do update set reason = excluded.reason, tried_at = now();
    return '{}'::jsonb;
end $$;
comment on function public.note_unprinted_bill is
    'Keeps why the PDF of a bill could not be made, unless one is kept: {bill_id, reason}.';

create or replace function public.keep_bill_document(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    insert into public.bill_documents (bill_id, sha256, pdf)
    values ((p ->> 'bill_id')::uuid, p ->> 'sha256', decode(p ->> 'pdf', 'base64'))
    on conflict (bill_id) do nothing;
    delete from public.unprinted_bills where bill_id = (p ->> 'bill_id')::uuid;
    return public.bill_document(p);
end $$;

create or replace function public.bills_to_print(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('bills', coalesce(jsonb_agg(q.id), '[]'))
    from (
        -- Those that could not be printed come after the others, and not more often than hourly.
        (select b.id from public.bills b
         where b.issued_on >= (p ->> 'since')::date and b.number is not null
           and not exists (select 1 from public.bill_documents d where d.bill_id = b.id)
           and not exists (select 1 from public.unprinted_bills u where u.bill_id = b.id)
           -- A link that is still to be made belongs on it, but it does not wait for ever.
           and not exists (select 1 from public.outbox o
                           where o.bill_id = b.id and o.kind = 'bill_issued' and o.status = 'open'
                             and o.steps #>> '{9,status}' = 'pending' and o.created_at > now() - interval '15 minutes')
         order by b.issued_on, b.number limit (p ->> 'limit')::integer)
        union all
        (select u.bill_id from public.unprinted_bills u
         where u.tried_at < now() - interval '1 hour'
         order by u.tried_at, u.bill_id limit (p ->> 'limit')::integer)
        limit (p ->> 'limit')::integer) q
$$;
comment on function public.bills_to_print is
    'Issued bills without a kept PDF, then those that could not be printed an hour ago or earlier, whenever they were issued: {since: local date of issue, limit} -> {bills: [id]}.';

alter table public.unprinted_bills enable row level security;
revoke all on public.unprinted_bills, public.unprinted_bill_list from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.unprinted_bills to service_role;
grant select on public.unprinted_bill_list to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
grant execute on all functions in schema public to service_role;

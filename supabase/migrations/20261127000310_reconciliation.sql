-- What was found when our payments were held against Stripe's.

create table public.reconciliations (
    id uuid primary key,
    kind text not null check (kind in ('events', 'payments')),
    at timestamptz not null default now(),
    actor text not null check (actor <> ''),
    since timestamptz not null,
    until timestamptz not null,
    applied integer not null default 0 check (applied >= 0),
    differences jsonb not null default '[]' check (jsonb_typeof(differences) = 'array'),
    equal jsonb not null default '[]' check (jsonb_typeof(equal) = 'array'),
    detail text not null default '',
    error text not null default '',
    check (until >= since)
);
create index reconciliations_recent on public.reconciliations (at desc, id);
comment on table public.reconciliations is
    'Each look at Stripe: what the webhook had missed, or how our payments and Stripe''s differ.';
comment on column public.reconciliations.kind is
    'events: what Stripe told was read again and applied. payments: the payments of both were compared.';
comment on column public.reconciliations.until is
    'Of events that ended without an error: all that Stripe told before it is here.';
comment on column public.reconciliations.applied is 'Events that had not come, or payments and refunds that were taken up.';
comment on column public.reconciliations.equal is 'Payments that both have alike, by currency: [{currency, number, minor}].';

create function public.record_reconciliation(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.set_actor(p);
    insert into public.reconciliations (id, kind, actor, since, until, applied, differences, equal, detail, error)
    select x.id, x.kind, p ->> 'actor', x.since, x.until, x.applied, x.differences, x.equal, x.detail, x.error
    from jsonb_to_record(p) as x(
        id uuid, kind text, since timestamptz, until timestamptz, applied integer, differences jsonb, equal jsonb,
        detail text, error text)
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;
comment on function public.record_reconciliation is
    'Keeps what a look at Stripe found: {actor, id, kind, since, until, applied, differences, equal, detail, error}.';

create view public.stripe_payment_list with (security_invoker = true) as
select y.id, y.provider_id as payment_intent, y.amount_minor, y.currency, y.received_at, c.account_no,
       private.invoice_reference(b.number) as bill_reference,
       coalesce((select sum(r.amount_minor) from public.payment_returns r
                 where r.payment_id = y.id and r.kind = 'refund' and r.method = 'stripe' and r.status = 'done'), 0)::bigint
           as refunded_minor
from public.payments y
left join public.customers c on c.id = y.customer_id
left join public.bills b on b.id = y.bill_id
where y.method = 'stripe' and y.provider_id is not null;
comment on view public.stripe_payment_list is 'Our payments that came by Stripe, with what went back by it.';
create index payments_by_stripe on public.payments (received_at) where method = 'stripe';

select private.never_changed('public.reconciliations');
alter table public.reconciliations enable row level security;
revoke all on public.reconciliations, public.stripe_payment_list from public, anon, authenticated, service_role;
grant select, insert on public.reconciliations to service_role;
grant select on public.stripe_payment_list to service_role;
revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

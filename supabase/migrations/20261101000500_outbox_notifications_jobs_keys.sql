-- Work owed to the outside world, what was sent, the runs of the jobs, and keys for machines.

create table public.outbox (
    id uuid primary key,
    bill_id uuid not null references public.bills,
    kind text not null check (kind in ('bill_issued', 'payment_reminder', 'overdue_notice')),
    steps jsonb not null check (jsonb_typeof(steps) = 'object'),
    status text not null default 'open' check (status in ('open', 'finished', 'given_up')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    lease_owner text,
    lease_until timestamptz,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    unique (bill_id, kind),
    check ((status = 'open') = (finished_at is null))
);
create index outbox_due on public.outbox (next_attempt_at) where status = 'open';
comment on table public.outbox is 'What is still owed for a bill after its commit: one row a bill and occasion, a state a step.';
comment on column public.outbox.steps is '{"8": {"status": "pending|done|skipped|failed", "detail": text, …}, …}';
comment on column public.outbox.lease_until is 'By the database''s clock: until then only lease_owner works on this row.';

create table public.notifications (
    id uuid primary key,
    bill_id uuid references public.bills,
    customer_id uuid references public.customers,
    kind text not null,
    channel text not null,
    status text not null check (status in ('sent', 'not_configured', 'failed', 'unknown')),
    recipient text not null default '',
    body text not null default '',
    error text not null default '',
    created_at timestamptz not null default now()
);
create index notifications_bill on public.notifications (bill_id);
create index notifications_recent on public.notifications (created_at desc);
comment on column public.notifications.recipient is 'Masked: enough to recognise, not enough to use.';

create table public.job_runs (
    job text not null,
    scheduled_on date not null,
    attempt integer not null default 1 check (attempt > 0),
    owner text not null,
    lease_until timestamptz not null,
    status text not null check (status in ('running', 'done', 'failed')),
    started_by text not null,
    done_count integer not null default 0,
    failed_count integer not null default 0,
    detail text not null default '',
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (job, scheduled_on)
);
create index job_runs_recent on public.job_runs (started_at desc);
comment on table public.job_runs is
    'One run of a job per scheduled local date, claimed by one process at a time under a lease by the database''s clock.';

create table public.job_set_aside (
    job text not null,
    scheduled_on date not null,
    subject text not null,
    reason text not null,
    at timestamptz not null default now(),
    primary key (job, scheduled_on, subject),
    foreign key (job, scheduled_on) references public.job_runs
);
comment on table public.job_set_aside is 'What a run could not do, a meter or a bill at a time, with the reason.';

create table public.api_keys (
    id uuid primary key,
    name text not null unique check (btrim(name) <> ''),
    key_hash text not null unique,
    role text not null check (role in ('engineer', 'admin')),
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
comment on column public.api_keys.key_hash is 'SHA-256 of the key in hex; the key itself is shown once and kept nowhere.';

select private.audit_table('public.api_keys');

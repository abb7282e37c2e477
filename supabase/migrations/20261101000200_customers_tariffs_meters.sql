-- What is billed: customers, the tariffs they are on, and the meters between the two.

create table public.installation (
    only_row boolean primary key default true check (only_row),
    installed_at timestamptz not null default now()
);
insert into public.installation default values;
comment on table public.installation is
    'One row: when this database was made. Jobs due before it are nobody''s to catch up.';

create table public.customers (
    id uuid primary key,
    account_no text not null unique check (account_no <> '' and account_no = btrim(account_no)),
    name text not null check (btrim(name) <> ''),
    email text not null default '',
    phone text not null default '',
    address text not null default '',
    language text not null default 'en',
    currency text check (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz not null default now()
);
comment on column public.customers.currency is
    'Currency of the account (ISO 4217); null until the first meter is connected, then that of its tariff.';
comment on column public.customers.language is 'Language for messages, an IETF tag such as "en" or "ml".';

create table public.tariffs (
    id uuid primary key,
    code text not null unique check (code <> '' and code = btrim(code)),
    name text not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz not null default now()
);

create table public.tariff_versions (
    id uuid primary key,
    tariff_id uuid not null references public.tariffs,
    effective_from date not null,
    definition jsonb not null check (jsonb_typeof(definition) = 'object'),
    created_at timestamptz not null default now(),
    unique (tariff_id, effective_from)
);
comment on table public.tariff_versions is
    'A tariff as it stands from a local date on, until the next version. A version never changes.';
comment on column public.tariff_versions.definition is
    'The project''s tariff format (services/domain/tariff.py); rates are decimal strings.';

create table public.meters (
    id uuid primary key,
    serial text not null unique check (serial <> '' and serial = btrim(serial)),
    customer_id uuid not null references public.customers,
    tariff_id uuid not null references public.tariffs,
    kind text not null check (kind in ('manual', 'smart')),
    dials smallint not null check (dials between 1 and 9),
    multiplier_milli integer not null default 1000 check (multiplier_milli > 0),
    status text not null default 'active' check (status in ('active', 'closed')),
    opened_on date not null,
    created_at timestamptz not null default now()
);
create index meters_customer on public.meters (customer_id);
create index meters_tariff on public.meters (tariff_id);
comment on column public.meters.dials is
    'Whole kWh digits of the register: five dials run from 0 to 99,999 and then roll over.';
comment on column public.meters.multiplier_milli is
    'Multiplying factor in thousandths: a register on a 40:1 current transformer has 40000.';
comment on column public.meters.opened_on is 'Local date of the opening read, where the chain of bills begins.';

create function private.register_span_wh(p_dials integer) returns bigint
language sql immutable set search_path = '' as $$
    select ('1' || repeat('0', p_dials + 3))::bigint
$$;
comment on function private.register_span_wh is 'Wh after which a register of so many dials starts again at 0.';

create function private.refuse_tariff_change() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = 'EB005',
        message = 'A tariff version never changes: publish a new one with a later date.';
end $$;
create trigger tariff_versions_fixed before update on public.tariff_versions
    for each row execute function private.refuse_tariff_change();

select private.keep_rows('public.tariff_versions');
select private.audit_table('public.customers');
select private.audit_table('public.tariffs');
select private.audit_table('public.tariff_versions');
select private.audit_table('public.meters');

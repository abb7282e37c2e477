-- Accounts whose dunning is on hold: for a dispute, a plan that is being agreed, a vulnerable customer, or by hand.

create table public.dunning_holds (
    id uuid primary key,
    customer_id uuid not null references public.customers (id),
    reason text not null check (reason in ('dispute', 'plan', 'vulnerable', 'hand')),
    note text not null check (btrim(note) <> '' and length(note) <= 400),
    since date not null,
    until date,
    held_by text not null check (held_by <> ''),
    created_at timestamptz not null default now(),
    released_at timestamptz,
    released_by text,
    released_because text not null default '',
    check (until is null or until > since),
    check ((released_at is null) = (released_by is null))
);
comment on table public.dunning_holds is 'Accounts that are neither reminded nor pressed further: from a local date up to and without another, or until somebody releases them. The ladder goes on afterwards where it was.';
create index dunning_holds_customer on public.dunning_holds (customer_id, created_at desc);
create index dunning_holds_now on public.dunning_holds (customer_id) where released_at is null;
alter table public.dunning_holds enable row level security;
revoke all on public.dunning_holds from public, anon, authenticated, service_role;
grant select, insert, update on public.dunning_holds to service_role;
select private.audit_table('public.dunning_holds');

create function private.held_of(p_customers uuid[], p_today date) returns uuid[]
    language sql stable set search_path = '' as $$
    select array(
        select distinct h.customer_id from public.dunning_holds h
        where h.customer_id = any (p_customers) and h.released_at is null and (h.until is null or h.until > p_today)
        order by 1)
$$;
comment on function private.held_of(uuid[], date) is 'Those of some customers whose dunning is on hold on a local date.';

create function public.hold_dunning(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_hold public.dunning_holds;
begin
    perform private.set_actor(p);
    if not exists (select 1 from public.customers where id = (p ->> 'customer_id')::uuid) then
        perform private.refuse('EB404', 'No such customer.');
    end if;
    insert into public.dunning_holds (id, customer_id, reason, note, since, until, held_by)
    values ((p ->> 'id')::uuid, (p ->> 'customer_id')::uuid, p ->> 'reason', p ->> 'note',
            (p ->> 'since')::date, (p ->> 'until')::date, p ->> 'actor')
    on conflict (id) do nothing;
    select * into v_hold from public.dunning_holds where id = (p ->> 'id')::uuid;
    if (v_hold.customer_id, v_hold.reason, v_hold.note, v_hold.until)
       is distinct from ((p ->> 'customer_id')::uuid, p ->> 'reason', p ->> 'note', (p ->> 'until')::date) then
        perform private.refuse('EB005', 'Another hold was stored under this id: open the form again.');
    end if;
    return to_jsonb(v_hold);
end $$;
comment on function public.hold_dunning(jsonb) is 'Holds the dunning of an account, once: {actor, id, customer_id, reason, note, since, until?} -> the hold.';

create function public.release_dunning(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_hold public.dunning_holds;
begin
    perform private.set_actor(p);
    update public.dunning_holds
    set released_at = now(), released_by = p ->> 'actor', released_because = coalesce(p ->> 'because', '')
    where id = (p ->> 'id')::uuid and released_at is null;
    select * into v_hold from public.dunning_holds where id = (p ->> 'id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such hold.');
    end if;
    return to_jsonb(v_hold);
end $$;
comment on function public.release_dunning(jsonb) is 'Ends a hold of dunning: {actor, id, because} -> the hold. Repeating it changes nothing.';

revoke all on function public.hold_dunning, public.release_dunning from public, anon, authenticated;
revoke all on function private.held_of from public;
grant execute on function public.hold_dunning, public.release_dunning, private.held_of to service_role;

-- Added to what the function has by now, whatever that is.
do $do$
begin
    execute replace(pg_get_functiondef('private.archived_tables()'::regprocedure),
                    '''spared_bills'',', '''spared_bills'', ''dunning_holds'',');
end $do$;

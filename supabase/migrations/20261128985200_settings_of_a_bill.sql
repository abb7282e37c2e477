-- A bill prints the settings of when it was issued by the database's clock: a job that is run for an earlier
-- date issues its bills with the name of today. And a utility that comes from elsewhere goes on with its numbers.

create or replace function public.utility_settings_at(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select (select to_jsonb(s) from public.utility_settings s
            where s.changed_at <= coalesce(
                (select l.created_at from public.ledger_entries l
                 where l.bill_id = (p ->> 'bill_id')::uuid and l.kind = 'bill'), 'infinity')
            order by s.version desc limit 1)
$$;
comment on function public.utility_settings_at is
    'The settings that held when a bill was issued, without one those that hold now; null before the first: {bill_id?} -> {version, id, settings, changed_at}.';

create or replace function public.save_utility_settings(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_last public.utility_settings;
    v_wanted constant jsonb := p -> 'settings';
begin
    perform private.set_actor(p);
    perform pg_advisory_xact_lock(hashtext('utility_settings'));
    select * into v_last from public.utility_settings where id = (p ->> 'id')::uuid;
    if found then
        if not v_last.settings @> v_wanted then
            perform private.refuse('EB005', 'This form was stored already, with other values. Look at them as they are now.');
        end if;
        return to_jsonb(v_last);
    end if;
    select * into v_last from public.utility_settings order by version desc limit 1;
    if exists (select 1 from jsonb_each(v_wanted) w
               where v_last.settings -> w.key is distinct from p #> array['seen', w.key]
                 and v_last.settings -> w.key is distinct from w.value) then
        perform private.refuse('EB005', 'Somebody else changed these settings meanwhile. Look at them as they are now.');
    end if;
    if v_wanted ? 'first_bill_number' then
        -- Whoever issues a bill waits here, or was here before.
        perform 1 from public.counters where name = 'bill' for update;
        if exists (select 1 from public.bills where number is not null) then
            perform private.refuse('EB005', 'Bills have numbers already, so the first number stays as it is.');
        end if;
        update public.counters set last_number = coalesce((v_wanted ->> 'first_bill_number')::bigint, 1) - 1
        where name = 'bill';
    end if;
    if p ? 'logo' then
        insert into public.utility_logos (sha256, image)
        values (p #>> '{logo,sha256}', decode(p #>> '{logo,image}', 'base64'))
        on conflict do nothing;
    end if;
    insert into public.utility_settings (version, id, settings)
    values (coalesce(v_last.version, 0) + 1, (p ->> 'id')::uuid, coalesce(v_last.settings, '{}') || v_wanted)
    returning * into v_last;
    return to_jsonb(v_last);
end $$;
comment on function public.save_utility_settings is
    'Adds a version with some settings changed: {actor, id, settings, seen: those settings as they were, without the missing ones, logo?: {sha256, image in base64}} -> the version. With first_bill_number the next bill has that number, as long as none has one. EB005 when somebody else changed one of them meanwhile.';

create or replace function public.first_steps(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'tariffs', exists (select 1 from public.tariffs),
        'customers', exists (select 1 from public.customers),
        'meters', exists (select 1 from public.meters),
        'readings', exists (select 1 from public.readings where not is_opening),
        'bills', exists (select 1 from public.bills where number is not null))
$$;
comment on function public.first_steps is
    'What of a new utility is there already: {} -> {tariffs, customers, meters, readings: beside those that meters open with, bills: with a number}.';

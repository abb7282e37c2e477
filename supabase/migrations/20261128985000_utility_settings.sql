-- What an administrator sets on the Settings page: versions that are only added, so that a bill can be
-- printed with what held at its issue.

create table public.utility_settings (
    version integer primary key check (version > 0),
    id uuid not null unique,
    settings jsonb not null check (jsonb_typeof(settings) = 'object'),
    changed_at timestamptz not null default clock_timestamp()
);
comment on table public.utility_settings is
    'The utility''s settings, each version whole: the last one holds. What an environment variable sets is not looked up here.';
comment on column public.utility_settings.id is 'The change''s, made by its caller.';
comment on column public.utility_settings.settings is
    'By name, as the program checks them; one that is missing or null has its default.';

create table public.utility_logos (
    sha256 text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
    image bytea not null,
    check (encode(sha256(image), 'hex') = sha256)
);
comment on table public.utility_logos is 'Every logo that the settings ever named, as PNG.';

create function private.audit_utility_settings() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_actor text := nullif(current_setting('billing.actor', true), '');
    v_before jsonb;
begin
    if tg_table_schema <> 'public' then
        raise exception using errcode = '42501', message = 'The audit trail is of the tables of public alone.';
    end if;
    if v_actor is null then
        raise exception using errcode = 'EB400', message = 'A write must name its actor.';
    end if;
    select coalesce((select s.settings from public.utility_settings s where s.version = new.version - 1), '{}')
    into v_before;
    insert into public.audit_log (actor, action, table_name, row_id, before, after)
    values (v_actor, 'update', tg_table_name, new.version::text,
            private.changed_columns(new.settings, v_before), private.changed_columns(v_before, new.settings));
    return null;
end $$;
comment on function private.audit_utility_settings is
    'A version is audited as the change that it makes: only the settings that it changes, before and after.';
create trigger audit after insert on public.utility_settings
    for each row execute function private.audit_utility_settings();
create trigger refuse_update before update on public.utility_settings
    for each row execute function private.refuse_change();
create trigger refuse_update before update on public.utility_logos
    for each row execute function private.refuse_change();
select private.keep_rows('public.utility_settings');
select private.keep_rows('public.utility_logos');

create view public.utility_settings_changes with (security_invoker = true) as
select a.id, a.at, a.actor, a.before, a.after
from public.audit_log a
where a.table_name = 'utility_settings';
comment on view public.utility_settings_changes is 'Who changed which settings when, from what to what.';

create function public.utility_settings_at(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select (select to_jsonb(s) from public.utility_settings s
            where p ->> 'at' is null or s.changed_at <= (p ->> 'at')::timestamptz
            order by s.version desc limit 1)
$$;
comment on function public.utility_settings_at is
    'The settings that held at a moment, without one those that hold now; null before the first: {at?} -> {version, id, settings, changed_at}.';

create function public.save_utility_settings(p jsonb) returns jsonb
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
    'Adds a version with some settings changed: {actor, id, settings, seen: those settings as they were, without the missing ones, logo?: {sha256, image in base64}} -> the version. EB005 when somebody else changed one of them meanwhile.';

create function public.utility_logo(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('image', (select encode(l.image, 'base64') from public.utility_logos l
                                        where l.sha256 = p ->> 'sha256'))
$$;
comment on function public.utility_logo is 'A logo that the settings name, in base64, or null: {sha256} -> {image}.';

create function public.first_steps(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'tariffs', exists (select 1 from public.tariffs),
        'customers', exists (select 1 from public.customers),
        'meters', exists (select 1 from public.meters),
        'readings', exists (select 1 from public.readings where not is_opening))
$$;
comment on function public.first_steps is
    'What of a new utility is there already: {} -> {tariffs, customers, meters, readings: beside those that meters open with}.';

alter table public.utility_settings enable row level security;
alter table public.utility_logos enable row level security;
revoke all on public.utility_settings, public.utility_logos, public.utility_settings_changes
    from public, anon, authenticated, service_role;
grant select, insert on public.utility_settings, public.utility_logos to service_role;
grant select on public.utility_settings_changes to service_role;
revoke all on function public.utility_settings_at, public.save_utility_settings, public.utility_logo,
    public.first_steps from public, anon, authenticated;
grant execute on function public.utility_settings_at, public.save_utility_settings, public.utility_logo,
    public.first_steps to service_role;
revoke all on function private.audit_utility_settings from public, anon, authenticated, service_role;

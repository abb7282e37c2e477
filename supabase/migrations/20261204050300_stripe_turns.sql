-- Every request to Stripe takes its turn, not only the charges of autopay: those for whom somebody waits before those of jobs.

create function public.stripe_turn(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_between constant interval := interval '1 second' / (p ->> 'a_second')::integer;
    v_for_somebody constant boolean := (p ->> 'for_somebody')::boolean;
    v_most constant interval := (p ->> 'most_ms')::integer * interval '1 millisecond';
    v_now timestamptz;
    v_from timestamptz;
begin
    insert into public.message_rates (channel, free_at) values ('stripe', '-infinity'), ('stripe, for somebody', '-infinity')
    on conflict (channel) do nothing;
    -- Whoever takes a turn locks the first of them, so that all do so one after another.
    perform 1 from public.message_rates r where r.channel = 'stripe' for update;
    v_now := clock_timestamp();
    select r.free_at into v_from from public.message_rates r
    where r.channel = case when v_for_somebody then 'stripe, for somebody' else 'stripe' end;
    -- Stripe asks nobody to wait for an hour: such a time was set by a wrong clock.
    v_from := case when v_from < v_now + interval '1 hour' then greatest(v_from, v_now) else v_now end;
    if v_from - v_now > v_most then
        return jsonb_build_object('wait_ms', ceil(extract(epoch from v_from - v_now) * 1000)::integer, 'taken', false);
    end if;
    if v_for_somebody then
        update public.message_rates set free_at = v_from + v_between where channel = 'stripe, for somebody';
    end if;
    -- The turn of somebody who waits is one that the jobs do not get.
    update public.message_rates r
    set free_at = case when r.free_at < v_now + interval '1 hour' then greatest(r.free_at, v_now) else v_now end + v_between
    where r.channel = 'stripe';
    return jsonb_build_object('wait_ms', ceil(extract(epoch from v_from - v_now) * 1000)::integer, 'taken', true);
end $$;
comment on function public.stripe_turn(jsonb) is 'The turn of a request at Stripe, at the rate of all processes together: {a_second, for_somebody: whether somebody waits for it, who then goes before the jobs, most_ms: who would wait longer takes none} -> {wait_ms: until its turn, taken}.';

create function public.pause_stripe(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
begin
    insert into public.message_rates as r (channel, free_at)
    select c, clock_timestamp() + (p ->> 'ms')::integer * interval '1 millisecond'
    from unnest(array['stripe', 'stripe, for somebody']) c order by c
    on conflict (channel) do update set free_at = greatest(r.free_at, excluded.free_at);
    return '{}'::jsonb;
end $$;
comment on function public.pause_stripe(jsonb) is 'No process asks Stripe for anything for some time, because Stripe asked for that: {ms}.';

comment on table public.message_rates is 'Of each channel, and of Stripe, when the next message or request may leave, by the database''s clock: of Stripe for the jobs, and for somebody who waits. Whoever sends one moves it on under its lock, so that all processes together keep the rate, and what was not used is not saved up.';

revoke all on function public.stripe_turn, public.pause_stripe from public;
grant execute on function public.stripe_turn, public.pause_stripe to service_role;

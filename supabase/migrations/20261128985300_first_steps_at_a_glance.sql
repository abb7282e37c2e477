-- What of a new utility is there already, also where there are very many meters.

create or replace function public.first_steps(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object(
        'tariffs', exists (select 1 from public.tariffs),
        'customers', exists (select 1 from public.customers),
        'meters', exists (select 1 from public.meters),
        -- Whoever has bills has read meters: no look through all opening reads for that.
        'readings', exists (select 1 from public.bills) or exists (select 1 from public.readings where not is_opening),
        'bills', exists (select 1 from public.bills where number is not null))
$$;
comment on function public.first_steps is
    'What of a new utility is there already: {} -> {tariffs, customers, meters, readings: beside those that meters open with, bills: with a number}.';

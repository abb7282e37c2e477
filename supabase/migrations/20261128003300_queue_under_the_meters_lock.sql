-- As before; who writes a read locks its meters in this order too, so neither waits for the other for ever.
create or replace function public.note_job_progress(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
    perform private.check_run(p -> 'run');
    perform 1 from public.meters
    where id in (select (s ->> 'meter_id')::uuid
                 from jsonb_array_elements(coalesce(p -> 'set_aside', '[]') || coalesce(p -> 'looked_at', '[]')) s)
    order by id for update;
    perform private.note_progress(p);
    return '{}'::jsonb;
end $$;

-- Between two parts of an import its tables grow from nothing to many rows, before their statistics are renewed. A part is
-- small beside the table, so an index is always the way.
alter function public.import_meters(jsonb) set plan_cache_mode to force_custom_plan;
alter function public.import_meters(jsonb) set enable_seqscan to off;
alter function public.import_service_points(jsonb) set enable_seqscan to off;
alter function public.import_agreements(jsonb) set enable_seqscan to off;
alter function public.import_balances(jsonb) set enable_seqscan to off;
alter function public.import_past_payments(jsonb) set enable_seqscan to off;
alter function public.import_bank_statements(jsonb) set enable_seqscan to off;
-- Pages come in order of the key's index; a sort would read all that is left for each of them.
alter function public.export_rows(jsonb) set enable_sort to off;

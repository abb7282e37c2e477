-- A full export has the users; what proves who they are stays out.

create or replace function private.archived_tables() returns text[]
language sql immutable set search_path = '' as $$
    -- Not here: sign-ins, keys, passwords and addresses that are secrets, work owed to the outside, and documents, which are files.
    select array['customers', 'customer_notes', 'tariffs', 'tariff_versions', 'feeders', 'transformers', 'supplies',
                 'service_points', 'meters', 'meter_installations', 'service_agreements', 'agreement_tariffs', 'billing_cycles',
                 'reading_routes', 'supply_changes', 'disconnections', 'readings', 'reading_requests', 'missed_reads', 'intervals', 'bills', 'kwh_bank_entries', 'notifications', 'accounts', 'ledger_entries',
                 'open_items', 'allocations', 'payments', 'payment_returns', 'payment_flags', 'past_payments', 'bank_lines',
                 'instalment_plans', 'plan_bills', 'instalments', 'spared_bills', 'corrections', 'corrected_bills', 'month_closings',
                 'utility_settings', 'users', 'audit_log']
$$;

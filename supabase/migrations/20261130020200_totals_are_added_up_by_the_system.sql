-- Locking a row to add it up takes the right to update: without it every 256th statement of the system was refused.

grant update (id) on public.ledger_totals, public.bill_totals to service_role;

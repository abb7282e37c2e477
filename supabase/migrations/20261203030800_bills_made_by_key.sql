-- That bills of a customer were made was found by looking through all of theirs in an index, and through their rows where a vacuum
-- had not come by yet. An index in that order says the last so many.

create index bills_made on public.bills (customer_id, created_at desc);
create index bills_customer_by_period on public.bills (customer_id, period_end desc, id desc);
drop index public.bills_customer;
alter index public.bills_customer_by_period rename to bills_customer;

-- While a monthly run is at work no bill is printed in the background. Laying out takes whole processors,
-- and the run's workers, which come last for processor time, then get next to none. Whoever asks for the
-- PDF of one bill has it at once.

create or replace function public.bills_to_print(p jsonb) RETURNS jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('bills', coalesce(jsonb_agg(q.id), '[]'))
    from (select exists (select 1 from public.job_runs r where r.job = 'monthly_bills' and r.status = 'running'
                                                          and r.lease_until > now()) as billing) v
    cross join lateral (
        -- Those that could not be printed come after the others, and not more often than hourly.
        (select b.id from public.bills b
         where not v.billing and b.issued_on >= (p ->> 'since')::date and b.number is not null
           and not exists (select 1 from public.bill_documents d where d.bill_id = b.id)
           and not exists (select 1 from public.unprinted_bills u where u.bill_id = b.id)
           -- A link that is still to be made belongs on it, but it does not wait for ever.
           and not exists (select 1 from public.outbox o
                           where o.bill_id = b.id and o.kind = 'bill_issued' and o.status = 'open'
                             and o.steps #>> '{9,status}' = 'pending' and o.created_at > now() - interval '15 minutes')
         order by b.issued_on, b.number limit (p ->> 'limit')::integer)
        union all
        (select u.bill_id from public.unprinted_bills u
         where not v.billing and u.tried_at < now() - interval '1 hour'
         order by u.tried_at, u.bill_id limit (p ->> 'limit')::integer)
        limit (p ->> 'limit')::integer) q
$$;

comment on function public.bills_to_print(p jsonb) is 'Issued bills without a kept PDF, then those that could not be printed an hour ago or earlier, whenever they were issued; none while a monthly run is at work: {since: local date of issue, limit} -> {bills: [id]}.';

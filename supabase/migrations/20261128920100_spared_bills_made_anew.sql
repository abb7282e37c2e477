-- A bill that is spared stays so when it is corrected: what its bank pays or what went back concerns the bill made anew.

create function private.spare_in_its_place() returns trigger
language plpgsql set search_path = '' as $$
begin
    with moved as (
        update public.spared_bills s
        set released_at = now(), released_by = current_setting('billing.actor'), released_because = 'It holds for the bill made anew.'
        from new_rows r
        where s.bill_id = r.void_bill_id and s.released_at is null and r.new_bill_id is not null
        returning r.new_bill_id as bill_id, s.reason, s.source, s.detail, s.since, s.until
    )
    insert into public.spared_bills (bill_id, reason, source, detail, since, until)
    select m.bill_id, m.reason, m.source, m.detail, m.since, m.until from moved m order by m.since
    on conflict (bill_id, source) do nothing;
    return null;
end $$;
comment on function private.spare_in_its_place is 'The bill made anew in the place of spared ones is spared for the same reasons, until the same ends them.';
create trigger spare_in_its_place after insert on public.corrected_bills
    referencing new table as new_rows for each statement execute function private.spare_in_its_place();

-- As before, and where the bill was made anew before Stripe told of the debit, the new one is spared.
create or replace function private.spare_while_debited(e public.stripe_events) returns void
language sql set search_path = '' as $$
    insert into public.spared_bills (bill_id, reason, source, detail, until)
    select (private.bill_now(b.id)).id, 'bank_debit', 'session ' || e.object_id, 'The customer''s bank is paying it.', now() + interval '21 days'
    from public.bills b
    where b.id = coalesce((select x.id from public.bills x where x.id = (e.effect ->> 'bill_id')::uuid),
                          (select l.bill_id from public.payment_links l where l.id = e.effect ->> 'link_id'))
      -- The bank's answer may have come before.
      and not exists (select 1 from public.stripe_events x where x.object_id = e.object_id and x.id <> e.id
                      and x.outcome = 'applied' and x.effect ->> 'kind' in ('payment', 'payment_failed', 'expired'))
    on conflict (bill_id, source) do nothing
$$;

revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema private to service_role;

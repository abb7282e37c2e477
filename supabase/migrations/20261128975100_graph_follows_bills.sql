-- The graph has the status that people see, and follows whatever changes of a bill after its issue.
-- A change is queued in its own transaction by a trigger, whoever makes it, and brought into the
-- graph many bills at once: a day's marking of overdue bills may be of a hundred thousand.

create or replace view private.graph_bills with (security_invoker = true) as
select b.id, b.number, l.status, b.meter_id, b.tariff_version_id, b.opening_reading_id,
       b.closing_reading_id, b.period_start, b.period_end, b.consumption_wh, b.currency, b.total_minor
from public.bills b join public.bill_list l on l.id = b.id;

create table public.graph_changes (
    bill_id uuid primary key references public.bills,
    changed_at timestamptz not null default clock_timestamp()
);
comment on table public.graph_changes is
    'Bills that changed since the graph was last told: their status, what is paid of them. Without a graph they wait here.';
alter table public.graph_changes enable row level security;
revoke all on public.graph_changes from public, anon, authenticated;
revoke truncate on public.graph_changes from service_role;
grant select, insert, update, delete on public.graph_changes to service_role;

create function private.note_graph_changes() returns trigger
language plpgsql set search_path = '' as $$
begin
    insert into public.graph_changes (bill_id)
    select n.id from new_rows n join old_rows o on o.id = n.id
    where (n.status, n.amount_paid_minor, n.overdue_since) is distinct from
          (o.status, o.amount_paid_minor, o.overdue_since)
    order by n.id
    on conflict (bill_id) do update set changed_at = clock_timestamp();
    return null;
end $$;
comment on function private.note_graph_changes() is
    'Queues the bills that the graph shows otherwise by now. Who changes a bill has locked it.';
create trigger bills_in_graph after update on public.bills
    referencing old table as old_rows new table as new_rows
    for each statement execute function private.note_graph_changes();

create function private.graph_rows_of(p_bills uuid[]) returns jsonb
language sql stable set search_path = '' as $$
    with bills as (select b.* from public.bills b where b.id = any (p_bills)),
         meters as (select m.* from public.meters m where m.id in (select meter_id from bills))
    select jsonb_build_object(
        'feeders', (select coalesce(jsonb_agg(to_jsonb(f)), '[]') from private.graph_feeders f
                    where f.id in (select t.feeder_id from public.transformers t
                                   where t.id in (select transformer_id from meters))),
        'transformers', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from private.graph_transformers t
                         where t.id in (select transformer_id from meters)),
        'customers', (select coalesce(jsonb_agg(to_jsonb(c)), '[]') from private.graph_customers c
                      where c.id in (select customer_id from meters union select customer_id from bills)),
        'meters', (select coalesce(jsonb_agg(to_jsonb(m)), '[]') from private.graph_meters m
                   where m.id in (select id from meters)),
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(v)), '[]') from private.graph_tariffs v
                    where v.id in (select tariff_version_id from bills)),
        'readings', (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from private.graph_readings r
                     where r.id in (select opening_reading_id from bills union select closing_reading_id from bills)),
        'bills', (select coalesce(jsonb_agg(to_jsonb(b)), '[]') from private.graph_bills b
                  where b.id = any (p_bills)),
        'payments', (select coalesce(jsonb_agg(to_jsonb(y)), '[]') from private.graph_payments y
                     where y.bill_id = any (p_bills)))
$$;
comment on function private.graph_rows_of(uuid[]) is
    'What the graph needs for some bills, by kind and in the shapes of graph_rows.';

create or replace function public.graph_rows_of_bill(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    if not exists (select 1 from public.bills where id = (p ->> 'bill_id')::uuid) then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    return private.graph_rows_of(array[(p ->> 'bill_id')::uuid]);
end $$;

create function public.graph_changes(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
    v_changes jsonb;
begin
    select coalesce(jsonb_agg(to_jsonb(c)), '[]') into v_changes
    from (select g.bill_id, g.changed_at from public.graph_changes g
          order by g.bill_id limit (p ->> 'limit')::integer) c;
    return jsonb_build_object('changes', v_changes, 'rows', private.graph_rows_of(
        array(select (c ->> 'bill_id')::uuid from jsonb_array_elements(v_changes) c)));
end $$;
revoke all on function public.graph_changes(jsonb) from public, anon, authenticated;
comment on function public.graph_changes(jsonb) is
    'Bills that the graph is to be told of, with what it needs for them: {limit} -> {changes: [{bill_id, changed_at}], rows: by kind as graph_rows_of_bill}.';

create function public.graph_changes_done(p jsonb) returns jsonb
language sql set search_path = '' as $$
    -- What is changing at this moment, or changed again, is told again; nobody is waited for.
    with told as (
        select g.bill_id from public.graph_changes g
        join jsonb_to_recordset(p -> 'changes') as x(bill_id uuid, changed_at timestamptz)
            on x.bill_id = g.bill_id and x.changed_at = g.changed_at
        for update of g skip locked
    ), gone as (
        delete from public.graph_changes g using told t where g.bill_id = t.bill_id returning 1
    )
    select jsonb_build_object('done', (select count(*) from gone))
$$;
revoke all on function public.graph_changes_done(jsonb) from public, anon, authenticated;
comment on function public.graph_changes_done(jsonb) is
    'Takes from the queue what the graph was told of, unless it changed again: {changes} -> {done}.';

-- Until now the graph had draft, issued and void alone.
insert into public.graph_changes (bill_id)
select id from public.bills
where status = 'issued' and (amount_paid_minor > 0 or amount_paid_minor >= total_minor or overdue_since is not null);

grant execute on all functions in schema private to service_role;

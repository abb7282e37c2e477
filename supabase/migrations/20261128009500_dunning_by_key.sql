-- Reminders and marks go through the bills that are due by key: those that are spared were looked at again by each batch.

create function private.dunned_of(p_bills uuid[]) returns uuid[]
language sql stable set search_path = '' as $$
    select array(select b.id from public.bills b where b.id = any (p_bills) and private.is_dunned(b) order by b.id)
$$;
comment on function private.dunned_of is 'Those of some bills for which a customer may be pressed.';

create function private.where_it_ends(p_bills uuid[], p_limit integer) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('due_date', b.due_date, 'id', b.id) from public.bills b
    where cardinality(p_bills) = p_limit and b.id = p_bills[p_limit]
$$;
comment on function private.where_it_ends is 'The key of the last bill of a full batch, after which the next one begins; null of the last batch.';

create or replace function public.queue_reminders(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_found uuid[];
    v_bills uuid[];
    v_after constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_after_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
begin
    perform private.set_actor(jsonb_build_object('actor', coalesce(p ->> 'actor', 'system:reminders')));
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    perform private.release_unanswered();
    v_found := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date >= (p ->> 'today')::date and b.due_date <= (p ->> 'until')::date
          and not exists (select 1 from public.outbox o where o.bill_id = b.id and o.kind = 'payment_reminder')
          and (b.due_date, b.id) > (v_after, v_after_id)
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(private.dunned_of(v_found));
    perform private.owe_notices(v_bills, 'payment_reminder', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills), 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;
comment on function public.queue_reminders is
    'Owes a reminder for each bill due in [today, until] that is dunned and was not reminded of: {actor?, run, today, until, limit, after?, owed, balance_changed?} -> {count, after: where the next batch begins, null when none is left}.';

create or replace function public.mark_overdue(p jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
    v_found uuid[];
    v_bills uuid[];
    v_after constant date := coalesce((p #>> '{after,due_date}')::date, '-infinity');
    v_after_id constant uuid := coalesce(p #>> '{after,id}', '00000000-0000-0000-0000-000000000000')::uuid;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.set_owed(jsonb_build_object('owed', jsonb_build_object('balance_changed', p -> 'balance_changed')));
    perform private.release_unanswered();
    v_found := array(
        select b.id from public.bills b
        where b.status = 'issued' and b.amount_paid_minor < b.total_minor
          and b.due_date < (p ->> 'today')::date and b.overdue_since is null
          and (b.due_date, b.id) > (v_after, v_after_id)
        order by b.due_date, b.id limit (p ->> 'limit')::integer);
    v_bills := private.pay_from_credit_of(private.dunned_of(v_found));
    update public.bills set overdue_since = due_date + 1 where id = any (v_bills) and overdue_since is null;
    perform private.owe_notices(v_bills, 'overdue_notice', p -> 'owed');
    perform private.note_progress(p || jsonb_build_object('done', cardinality(v_bills)));
    return jsonb_build_object('count', cardinality(v_bills), 'after', private.where_it_ends(v_found, (p ->> 'limit')::integer));
end $$;
comment on function public.mark_overdue is
    'Marks the bills due before today that are dunned as overdue and owes each the notice: {actor, run, today, limit, after?, owed, balance_changed?} -> {count, after: where the next batch begins, null when none is left}.';

revoke all on all functions in schema public from public, anon, authenticated;
revoke all on all functions in schema private from public, anon, authenticated;
grant execute on all functions in schema public to service_role;
grant execute on all functions in schema private to service_role;

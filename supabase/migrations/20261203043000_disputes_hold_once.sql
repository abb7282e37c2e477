-- A customer's dispute holds the dunning of the account by itself once for each bill: who disputes the same bill again, after the
-- office answered or they took it back, is answered again, and is dunned meanwhile unless the office holds it.
do $do$
declare
    v_text text := pg_get_functiondef('public.ask_customer_request(jsonb)'::regprocedure);
    v_close text := pg_get_functiondef('public.close_customer_request(jsonb)'::regprocedure);
begin
    if v_text not like '%    if p ->> ''kind'' = ''dispute'' then
        perform public.hold_dunning(%' or v_close not like '%    if v_request.kind = ''dispute'' then
        perform public.release_dunning(%' then
        raise exception 'Requests of customers have changed: look at disputes there.';
    end if;
    execute replace(v_text, '    if p ->> ''kind'' = ''dispute'' then
        perform public.hold_dunning(', '    if p ->> ''kind'' = ''dispute'' and not exists (
            select 1 from public.customer_requests r where r.customer_id = v_customer and r.bill_id = v_bill.id and r.kind = ''dispute'' and r.id <> (p ->> ''id'')::uuid) then
        perform public.hold_dunning(');
    execute replace(v_close, '    if v_request.kind = ''dispute'' then
        perform public.release_dunning(', '    if v_request.kind = ''dispute'' and exists (select 1 from public.dunning_holds h where h.id = v_request.id) then
        perform public.release_dunning(');
end $do$;
comment on function public.ask_customer_request(p jsonb) is 'A customer asks for something, once: {actor, id, customer_id, kind: dispute|move_out, bill_id?, agreement_id?, wanted_on?, note?, at, today}. The first dispute of a bill holds the account''s dunning, under the same id. EB005 with a sentence for the customer where it cannot be.';

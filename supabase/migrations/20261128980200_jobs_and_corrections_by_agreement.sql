-- The monthly job, corrections and imports go by service agreement.

create table public.agreements_to_bill (
    agreement_id uuid primary key references public.service_agreements (id),
    queued_at timestamptz not null default clock_timestamp()
);
comment on table public.agreements_to_bill is 'Agreements that a read (or a tariff) of an earlier month came for after that month''s run: the next tick looks at them again.';
alter table public.agreements_to_bill enable row level security;
revoke all on public.agreements_to_bill from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.agreements_to_bill to service_role;
insert into public.agreements_to_bill (agreement_id, queued_at)
select md5('agreement/' || q.meter_id)::uuid, q.queued_at from public.meters_to_bill q;
drop function public.meters_to_bill_page(jsonb);
drop table public.meters_to_bill;

alter table public.job_set_aside add column agreement_id uuid references public.service_agreements (id);
update public.job_set_aside set agreement_id = md5('agreement/' || meter_id)::uuid where meter_id is not null;

create function public.agreements_to_bill_page(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('agreements', coalesce(jsonb_agg(to_jsonb(q) order by q.agreement_id), '[]'))
    from (select t.agreement_id, t.queued_at from public.agreements_to_bill t
          where t.agreement_id > coalesce((p ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
          order by t.agreement_id limit (p ->> 'limit')::integer) q
$$;
comment on function public.agreements_to_bill_page is 'The agreements that wait for another look: {after?, limit} -> {agreements: [{agreement_id, queued_at}]}.';
revoke all on function public.agreements_to_bill_page from public;
grant execute on function public.agreements_to_bill_page to service_role;

create or replace function public.monthly_bill_candidates(p jsonb) returns jsonb
language plpgsql stable set search_path = '' as $_$
declare
    v_which text := case when nullif(p -> 'only', 'null') is null
        then $s$a.id > coalesce(($1 ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')$s$
        else $s$a.id = any (array(select jsonb_array_elements_text($1 -> 'only')::uuid))$s$ end;
    v_found jsonb;
begin
    -- Planned for each of the two ways: one plan for both would read all agreements for either.
    execute format($q$
    with chosen as materialized (
        select a.id as agreement_id, a.service_point_id, o.id as opening_id, o.read_on as opened_on, o.read_at as opened_at,
               to_jsonb(o) as opening, to_jsonb(k) as closing, k.id as closing_id, k.read_at as closed_at, k.read_on as closed_on,
               k.meter_id as closing_meter_id, private.reissues(o.id) as reissue_no
        from public.service_agreements a
        cross join lateral (
            select r.id, r.meter_id, r.read_at, r.read_on, r.register_wh, r.registers from public.readings r
            where r.id = private.chain_tail(a.id)) o
        left join lateral (
            select r.* from public.meter_installations i
            cross join lateral (
                select x.id, x.meter_id, x.read_at, x.read_on, x.register_wh, x.registers, x.rolled_over from public.readings x
                where x.meter_id = i.meter_id and x.status = 'accepted'
                  and x.read_at > greatest(o.read_at, i.installed_at) and x.read_on > o.read_on
                  and x.read_at <= coalesce(i.removed_at, 'infinity')
                  and x.read_on <= least(($1 ->> 'month_end')::date, coalesce(a.ends_on, 'infinity'))
                order by x.read_at desc limit 1) r
            where i.service_point_id = a.service_point_id and (i.removed_at is null or i.removed_at > o.read_at)
            order by r.read_at desc limit 1) k on true
        where a.starts_on < ($1 ->> 'month_end')::date
          and %s
          -- What is billed to its end needs no more.
          and (a.ends_on is null or o.read_on < a.ends_on)
          -- Most of a repeated run end here, before their closing read is looked for.
          and not exists (
              select 1 from public.bills b
              where b.agreement_id = a.id and b.status <> 'void'
                and b.period_end > ($1 ->> 'month_start')::date + coalesce(($1 ->> 'month_end_days')::integer, 0)
                and b.period_end <= ($1 ->> 'month_end')::date)
          -- A bill that ends at a read somewhat after the 1st is that of the month before.
          and (k.id is not null or not exists (
              select 1 from public.bills b
              where b.agreement_id = a.id and b.status <> 'void' and b.period_end > ($1 ->> 'month_start')::date
                and b.period_end <= ($1 ->> 'month_start')::date + coalesce(($1 ->> 'month_end_days')::integer, 0)))
          -- Billed beyond the month already (by a later field read): nothing of the month is open.
          and o.read_on < ($1 ->> 'month_end')::date
        order by a.id
        limit ($1 ->> 'limit')::integer
    ), placed as materialized (
        -- With the meter that it closes at, or that is there; most places have had one.
        select c.*, m.id as meter_id, m.serial, m.dials, m.registers, i.multiplier_milli, s.connected_w, s.connected_va,
               i.installed_at > c.opened_at as exchanged, t.tariff_id, t.number as tariffs
        from chosen c
        join public.service_points s on s.id = c.service_point_id
        cross join lateral (
            select x.meter_id, x.multiplier_milli, x.installed_at from public.meter_installations x
            where x.service_point_id = c.service_point_id and (c.closing_id is null
                or (x.meter_id = c.closing_meter_id and x.installed_at < c.closed_at and c.closed_at <= coalesce(x.removed_at, 'infinity')))
            order by x.installed_at desc limit 1) i
        join public.meters m on m.id = i.meter_id
        cross join lateral (
            select count(*) as number, (array_agg(y.tariff_id order by y.starts_on desc))[1] as tariff_id
            from public.agreement_tariffs y where y.agreement_id = c.agreement_id) t
    ), back as materialized (
        select t.id, private.looks_back(t.id) as looks_back from public.tariffs t
    )
    select jsonb_build_object('agreements', coalesce(jsonb_agg(
        to_jsonb(c) - array['opening_id', 'opened_on', 'opened_at', 'closing_id', 'closed_at', 'closed_on', 'service_point_id',
                            'closing_meter_id', 'exchanged', 'tariffs'] || jsonb_build_object(
            'spans', case when c.tariffs > 1 then private.spans_of(c.agreement_id) else '[]' end,
            'installations', case when c.exchanged
                then private.installations_between(c.service_point_id, c.opened_at, c.closed_at) else '[]' end,
            -- Within a month nothing is split; but a person may have said that a register rolled over.
            'between', case when c.exchanged or c.closed_on - c.opened_on > 31
                                 or private.rolled_over(c.service_point_id, c.opened_at, c.closed_at)
                then private.reads_between(c.service_point_id, c.opening_id, c.closed_at) else '[]' end,
            -- Most have nothing to ask for: the call would be the dearest part of their row.
            'pricing', case when c.closing_id is null or (
                    not c.exchanged and c.tariffs = 1 and c.registers = '[]' and not b.looks_back
                    and not exists (select 1 from public.intervals i where i.meter_id = c.meter_id)) then '{}'
                else private.pricing_facts(
                    c.agreement_id,
                    array(select distinct y.meter_id from public.meter_installations y where y.service_point_id = c.service_point_id),
                    private.looks_back_along(c.agreement_id), c.opening_id, c.closed_at, c.closed_on) end)
        order by c.agreement_id), '[]'))
    from placed c join back b on b.id = c.tariff_id
    $q$, v_which) into v_found using p;
    return v_found;
end $_$;
comment on function public.monthly_bill_candidates is 'Agreements without a bill that ends in (month_start, month_end], each with the read it opens at and the latest accepted read it can close at, or null, and the meter of that: {month_start, month_end, month_end_days?, after?, limit, only?: [agreement ids]}. Where there is such a read, a bill that ends within month_end_days after month_start is not one of the month.';

create or replace function public.note_job_progress(p jsonb) RETURNS jsonb
    language plpgsql
    SET search_path TO ''
    AS $$
begin
    perform private.check_run(p -> 'run');
    perform private.lock_points(array(
        select a.service_point_id from public.service_agreements a
        where a.id in (select (s ->> 'agreement_id')::uuid
                       from jsonb_array_elements(coalesce(p -> 'set_aside', '[]') || coalesce(p -> 'looked_at', '[]')) s)));
    perform private.note_progress(p);
    return '{}'::jsonb;
end $$;

comment on function public.note_job_progress is 'Counts what a batch did: {run, done, set_aside: [{subject, reason, code?, ref?, meter_id?, agreement_id?, opening_id?, closing_id?, again?}], looked_at?: [{agreement_id, queued_at}], settled?: [agreements that are no longer set aside]}. One set aside is queued for another look when its closing read is another one by now, or with again.';

create or replace function private.note_progress(p jsonb) RETURNS void
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_job text := p -> 'run' ->> 'job';
    v_on date := (p -> 'run' ->> 'scheduled_on')::date;
    v_gone integer;
    v_new integer;
begin
    -- By arrays: a plan that reads the whole table would be dear where a million wait.
    delete from public.agreements_to_bill q
    where q.agreement_id = any (array(select (x ->> 'agreement_id')::uuid
                                  from jsonb_array_elements(coalesce(p -> 'looked_at', '[]')) x))
      and exists (select 1 from jsonb_to_recordset(p -> 'looked_at') as x(agreement_id uuid, queued_at timestamptz)
                  where x.agreement_id = q.agreement_id and x.queued_at = q.queued_at);
    with gone as (
        delete from public.job_set_aside a
        where a.job = v_job and a.scheduled_on = v_on
          and a.agreement_id = any (array(select x::uuid from jsonb_array_elements_text(coalesce(p -> 'settled', '[]')) x))
        returning 1
    ) select count(*) into v_gone from gone;
    with kept as (
        insert into public.job_set_aside (job, scheduled_on, subject, reason, code, ref, meter_id, agreement_id)
        select v_job, v_on, s.subject, s.reason, coalesce(s.code, 'other'), s.ref, s.meter_id, s.agreement_id
        from jsonb_to_recordset(coalesce(p -> 'set_aside', '[]')) as s(
            subject text, reason text, code text, ref uuid, meter_id uuid, agreement_id uuid)
        on conflict (job, scheduled_on, subject) do update
        set reason = excluded.reason, code = excluded.code, ref = excluded.ref, meter_id = excluded.meter_id,
            agreement_id = excluded.agreement_id, at = now()
        returning xmax = 0 as is_new
    ) select count(*) filter (where is_new) into v_new from kept;
    perform private.queue_read_meanwhile(coalesce(p -> 'set_aside', '[]'), date_trunc('month', v_on)::date);
    -- Added to, for a run may set aside so many that no batch should count them.
    update public.job_runs r
    set done_count = r.done_count + coalesce((p ->> 'done')::integer, 0),
        failed_count = r.failed_count + v_new - v_gone
    where r.job = v_job and r.scheduled_on = v_on;
end $$;

create or replace function public.store_job_bills(p jsonb) RETURNS jsonb
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_bills jsonb;
    v_moved jsonb;
    v_done integer;
begin
    perform private.set_actor(p);
    perform private.check_run(p -> 'run');
    perform private.lock_points(array(
        select a.service_point_id from public.service_agreements a
        where a.id in (select (b ->> 'agreement_id')::uuid
                       from jsonb_array_elements((p -> 'bills') || coalesce(p -> 'set_aside', '[]')) b)));
    v_bills := (select coalesce(jsonb_agg(b.bill order by b.bill ->> 'agreement_id', b.place), '[]')
                from jsonb_array_elements(p -> 'bills') with ordinality b(bill, place)
                where not exists (select 1 from public.bills x
                                  where x.id = (b.bill ->> 'id')::uuid and x.status <> 'void'));
    -- Between computing and storing, a read may have been billed or corrected, or this very bill
    -- stored and voided: those agreements are computed again. Of several bills of one each opens
    -- where the one before it closes.
    v_moved := (select coalesce(jsonb_agg(distinct b.bill -> 'agreement_id'), '[]')
                from (select x.bill, lag(x.bill ->> 'closing_reading_id')
                                 over (partition by x.bill ->> 'agreement_id' order by x.place) as before
                      from jsonb_array_elements(v_bills) with ordinality x(bill, place)) b
                where coalesce(b.before::uuid, private.chain_tail((b.bill ->> 'agreement_id')::uuid))
                          is distinct from (b.bill ->> 'opening_reading_id')::uuid
                   or private.reissues((b.bill ->> 'opening_reading_id')::uuid) <> (b.bill ->> 'reissue_no')::integer
                   or not exists (select 1 from public.readings r
                                  where r.id = (b.bill ->> 'closing_reading_id')::uuid and r.status = 'accepted'));
    v_bills := (select coalesce(jsonb_agg(b.bill order by b.place), '[]')
                from jsonb_array_elements(v_bills) with ordinality b(bill, place)
                where not v_moved @> (b.bill -> 'agreement_id'));
    v_done := jsonb_array_length(v_bills);
    perform private.insert_bills(v_bills);
    if p -> 'run' is not null then
        -- What was set aside before, and is billed now, is set aside no more.
        perform private.note_progress(p || jsonb_build_object(
            'done', v_done,
            'settled', (select coalesce(jsonb_agg(distinct b -> 'agreement_id'), '[]') from jsonb_array_elements(v_bills) b)));
    end if;
    return jsonb_build_object('stored', v_done, 'moved', v_moved);
end $$;

comment on function public.store_job_bills is 'One batch of bills in one transaction: {actor, run?, bills, set_aside?} -> {stored, moved: agreements whose chain changed meanwhile}.';

create or replace function public.unbilled_facts(p jsonb) returns jsonb
language sql stable set search_path = '' as $$
    select jsonb_build_object('agreements', coalesce(jsonb_agg(jsonb_build_object(
        'agreement_id', a.id, 'kept_back', to_jsonb(k),
        'next_on', (select min(r.read_on) from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
                    where i.service_point_id = a.service_point_id and r.status = 'accepted'
                      and r.read_on > (p ->> 'month_end')::date and r.read_at > i.installed_at
                      and (i.removed_at is null or r.read_at <= i.removed_at)),
        'last_bill_id', (select b.id from public.bills b
                         where b.closing_reading_id = o.id and b.agreement_id = a.id and b.status = 'issued' limit 1))), '[]'))
    from public.service_agreements a
    join public.readings o on o.id = private.chain_tail(a.id)
    left join lateral (
        select r.id, r.read_on, r.register_wh, r.status
        from public.meter_installations i join public.readings r on r.meter_id = i.meter_id
        where i.service_point_id = a.service_point_id and r.status in ('needs_review', 'rejected')
          and r.read_at > i.installed_at and (i.removed_at is null or r.read_at <= i.removed_at)
          and r.read_at > o.read_at and r.read_on > o.read_on and r.read_on <= (p ->> 'month_end')::date
        order by r.status, r.read_at desc limit 1) k on true
    where a.id in (select jsonb_array_elements_text(p -> 'agreements')::uuid)
$$;
comment on function public.unbilled_facts is 'What there is instead of a closing read: {agreements: [ids], month_end} -> {agreements: [{agreement_id, kept_back: a read that waits for review or was rejected, next_on: date of the first read after the month, last_bill_id}]}.';

create or replace function private.queue_late_reads() returns trigger
language plpgsql set search_path = '' as $$
declare
    v_month_end date := date_trunc('month', private.last_month_run());
begin
    if v_month_end is null then
        return null;
    end if;
    insert into public.agreements_to_bill (agreement_id)
    select distinct a.id
    from new_rows r
    join public.meter_installations i on i.meter_id = r.meter_id and i.installed_at <= r.read_at
        and (i.removed_at is null or r.read_at <= i.removed_at)
    join public.service_agreements a on a.service_point_id = i.service_point_id and a.starts_on < r.read_on
        and (a.ends_on is null or r.read_on <= a.ends_on)
    where r.status = 'accepted' and not r.is_opening and r.read_on <= v_month_end
    order by a.id
    on conflict (agreement_id) do update set queued_at = clock_timestamp();
    return null;
end $$;
comment on function private.queue_late_reads is 'Queues the agreements whose read came, or was accepted, after the run of its month. Who writes a read has locked its service point.';

create or replace function private.queue_read_meanwhile(p_set_aside jsonb, p_month_end date) returns void
language sql set search_path = '' as $$
    insert into public.agreements_to_bill (agreement_id)
    select s.agreement_id
    from jsonb_to_recordset(p_set_aside) as s(agreement_id uuid, opening_id uuid, closing_id uuid, again boolean)
    join public.service_agreements a on a.id = s.agreement_id
    left join lateral (
        select r.id from public.readings o
        cross join public.meter_installations i
        join public.readings r on r.meter_id = i.meter_id and r.read_at > i.installed_at
            and (i.removed_at is null or r.read_at <= i.removed_at)
        where o.id = s.opening_id and i.service_point_id = a.service_point_id
          and r.status = 'accepted' and r.read_on <= least(p_month_end, coalesce(a.ends_on, 'infinity'))
          and r.read_at > o.read_at and r.read_on > o.read_on
        order by r.read_at desc limit 1) k on true
    where s.again or (k.id is not null and k.id is distinct from s.closing_id)
    order by s.agreement_id
    on conflict (agreement_id) do update set queued_at = clock_timestamp()
$$;

create or replace function private.queue_for_late_tariff() returns trigger
language plpgsql set search_path = '' as $$
begin
    insert into public.agreements_to_bill (agreement_id)
    select distinct a.agreement_id from public.job_set_aside a
    join public.agreement_tariffs t on t.agreement_id = a.agreement_id
    where a.code = 'tariff_missing' and a.job = 'monthly_bills' and a.scheduled_on = private.last_month_run()
      and t.tariff_id in (select v.tariff_id from new_rows v)
    order by a.agreement_id
    on conflict (agreement_id) do update set queued_at = clock_timestamp();
    return null;
end $$;
comment on function private.queue_for_late_tariff is 'Queues the agreements that the last run could not bill for want of this tariff.';

create or replace function public.job_history(p jsonb) RETURNS jsonb
    language sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'late_reads', exists (select 1 from public.agreements_to_bill),
        'installed_at', (select installed_at from public.installation),
        'last_runs', (select coalesce(jsonb_object_agg(l.job, to_jsonb(l)), '{}')
                      from (select distinct on (r.job) r.* from public.job_run_list r
                            order by r.job, r.disregarded or r.started_at > now() + interval '5 minutes',
                                     r.started_at desc, r.scheduled_on desc) l),
        'runs', (select coalesce(jsonb_agg(jsonb_build_object(
                            'job', r.job, 'scheduled_on', r.scheduled_on, 'status', r.status,
                            'attempt', r.attempt, 'clock_at', r.clock_at,
                            'over', r.status in ('done', 'disregarded')
                                    or (r.status = 'failed' and r.attempt >= private.most_attempts()))), '[]')
                 from public.job_run_list r
                 where r.status <> 'done'
                    or r.scheduled_on >= coalesce((p -> 'since' ->> r.job)::date, '-infinity')))
$$;

create or replace function public.rebill_context(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    m public.meter_list;
    a public.service_agreements;
    v_since date;
    v_versions uuid[];
begin
    select * into a from public.service_agreements
    where id = coalesce((select b.agreement_id from public.bills b where b.id = (p ->> 'bill_id')::uuid), (p ->> 'agreement_id')::uuid);
    if not found then
        perform private.refuse('EB404', case when p ? 'bill_id' then 'No such bill.' else 'No such agreement.' end);
    end if;
    -- The meter of the bill; else the last that the agreement had.
    select * into m from public.meter_list
    where id = coalesce(
        (select b.meter_id from public.bills b where b.id = (p ->> 'bill_id')::uuid),
        (select i.meter_id from public.meter_installations i
         where i.service_point_id = a.service_point_id and i.installed_on < coalesce(a.ends_on, 'infinity')
         order by i.installed_at desc limit 1));
    v_versions := case when p ->> 'version_id' is not null then array[(p ->> 'version_id')::uuid]
        else (select coalesce(array_agg(n.replaces_id), '{}')
              from public.bills b
              join public.tariff_versions u on u.id = b.tariff_version_id
              join public.tariff_versions n on n.tariff_id = u.tariff_id and n.replaces_id is not null
              where b.agreement_id = a.id and b.status <> 'void') end;
    v_since := coalesce(
        (select coalesce(prior.period_start, b.period_start)
         from public.bills b
         left join public.bills prior on prior.closing_reading_id = b.opening_reading_id and prior.status <> 'void'
         where b.id = (p ->> 'bill_id')::uuid),
        (select min(b.period_start) from public.bills b
         where b.agreement_id = a.id and b.status <> 'void' and private.is_priced_by(b, v_versions)),
        'infinity');
    return jsonb_build_object(
        'meter', to_jsonb(m) - 'search',
        'agreement_id', a.id, 'starts_on', a.starts_on, 'ends_on', a.ends_on, 'spans', private.spans_of(a.id),
        'installations', private.installations_between(a.service_point_id, '-infinity', 'infinity'),
        'balance_minor', coalesce((select x.balance_minor from public.accounts x
                                   where x.customer_id = a.customer_id and x.book = 'account'
                                     and x.currency = (select c.currency from public.customers c where c.id = a.customer_id)), 0),
        'bills', (select coalesce(jsonb_agg(to_jsonb(l) - 'search' || jsonb_build_object(
                             'reissues', private.reissues(b.opening_reading_id), 'tariff_id', v.tariff_id,
                             'priced_wrongly', private.is_priced_by(b, v_versions)) order by b.period_start), '[]')
                  from public.bills b
                  join public.bill_list l on l.id = b.id
                  join public.tariff_versions v on v.id = b.tariff_version_id
                  where b.agreement_id = a.id and b.status <> 'void'),
        'reads', (select coalesce(jsonb_agg(to_jsonb(r) order by r.read_at), '[]') from public.reading_list r
                  where r.status = 'accepted' and r.read_on >= v_since and r.id in (
                      select x.id from public.meter_installations i join public.readings x on x.meter_id = i.meter_id
                      where i.service_point_id = a.service_point_id and x.read_at >= i.installed_at
                        and (i.removed_at is null or x.read_at <= i.removed_at))),
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(t) order by t.code, t.effective_from), '[]') from public.tariff_version_list t
                    where t.tariff_id in (select y.tariff_id from public.agreement_tariffs y where y.agreement_id = a.id) or t.code = p ->> 'tariff_code' or t.tariff_id in (
                        select v.tariff_id from public.bills b join public.tariff_versions v on v.id = b.tariff_version_id
                        where b.agreement_id = a.id and b.status <> 'void')),
        'intervals', (select coalesce(jsonb_agg(to_jsonb(i) order by i.day), '[]')
                      from (select distinct on (d.day, d.meter_id) d.day, d.minutes, d.wh from public.intervals d
                            where d.day >= v_since and d.meter_id in (
                                select i.meter_id from public.meter_installations i where i.service_point_id = a.service_point_id)
                            order by d.day, d.meter_id, d.id desc) i));
end $$;

comment on function public.rebill_context is 'What reissuing bills of an agreement needs: {bill_id, or agreement_id and the first bill that a wrong version priced; version_id?: one that is about to be corrected; tariff_code?} -> {meter, agreement_id, starts_on, ends_on, spans, installations, balance_minor, bills: all that are not void in order, reads and intervals from the bill before on, tariffs}.';

create or replace function public.bills_to_correct(p jsonb) RETURNS jsonb
    language sql STABLE
    SET search_path TO ''
    AS $$
    with wanted as materialized (
        select b.id, b.agreement_id, b.meter_id, b.total_minor, b.period_start
        from private.bills_priced_by(case when p ->> 'version_id' is not null then array[(p ->> 'version_id')::uuid]
                                          else private.wrong_versions((p ->> 'tariff_id')::uuid) end) b
    ), by_meter as (
        select w.agreement_id, (array_agg(w.meter_id order by w.period_start desc))[1] as meter_id, count(*) as bills, min(w.period_start) as since, sum(w.total_minor)::bigint as total_minor
        from wanted w group by 1
    )
    select jsonb_build_object(
        'bills', (select count(*) from wanted),
        'meters_in_all', (select count(*) from by_meter),
        'since', (select min(since) from by_meter),
        'total_minor', (select coalesce(sum(total_minor), 0)::bigint from wanted),
        'meters', (select coalesce(jsonb_agg(jsonb_build_object(
                       'agreement_id', x.agreement_id, 'meter_id', x.meter_id, 'serial', x.serial, 'account_no', x.account_no, 'customer_name', x.name,
                       'bills', x.bills, 'since', x.since, 'total_minor', x.total_minor) order by x.serial, x.agreement_id), '[]')
                   from (select y.*, m.serial, c.account_no, c.name
                         from by_meter y
                         join public.meters m on m.id = y.meter_id
                         join public.service_agreements a on a.id = y.agreement_id
                         join public.customers c on c.id = a.customer_id
                         where (m.serial, y.agreement_id) > (coalesce(p #>> '{after,serial}', ''),
                             coalesce((p #>> '{after,agreement_id}')::uuid, '00000000-0000-0000-0000-000000000000'))
                         order by m.serial, y.agreement_id limit (p ->> 'limit')::integer) x))
$$;

comment on function public.bills_to_correct is 'The bills that a version priced, or without one those that corrected versions of a tariff did and that are not reissued yet; their agreements by the meter''s serial: {tariff_id or version_id, after?: {serial, agreement_id}, limit} -> {bills, meters_in_all, since, total_minor, meters: one an agreement}.';

create or replace function public.rebill(p jsonb) RETURNS jsonb
    language plpgsql
    SET search_path TO ''
    AS $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_void uuid[] := array(select (x ->> 'void')::uuid from jsonb_array_elements(p -> 'touched') with ordinality t(x, n) order by n);
    v_moved constant text := 'The bills of this meter changed meanwhile: look at them again.';
    a public.service_agreements;
    v_paid jsonb;
    v_last bigint;
    v_bill uuid;
begin
    perform private.set_actor(p);
    perform private.set_owed(p);
    select * into a from public.service_agreements where id = (p ->> 'agreement_id')::uuid;
    if not found then
        perform private.refuse('EB404', 'No such agreement.');
    end if;
    perform private.lock_points(array[a.service_point_id]);
    perform private.lock_customers(array(select customer_id from public.bills where id = any (v_void)) || a.customer_id);
    if exists (select 1 from public.corrections where id = v_id) then
        return (select to_jsonb(k) from public.correction_list k where k.id = v_id);
    end if;
    perform 1 from public.bills where id = any (v_void) order by id for update;
    if v_void = '{}' or (select jsonb_agg(b.id || ' ' || b.status order by b.period_start) from public.bills b
            where b.agreement_id = a.id and b.status <> 'void' and b.period_start >= (p ->> 'chain_from')::date)
       is distinct from p -> 'chain' then
        perform private.refuse('EB001', v_moved);
    end if;
    v_paid := private.paid_on(p -> 'touched');
    v_last := (select coalesce(max(id), 0) from public.allocations);
    foreach v_bill in array array(select b from unnest(v_void) with ordinality u(b, n) order by n desc) loop
        perform private.void_one(v_bill, p ->> 'reason', (p ->> 'on')::date);
    end loop;
    if p ->> 'reading' is not null then
        perform private.replace_reading(p, a.service_point_id);
    end if;
    if p ->> 'tariff_id' is not null then
        perform private.set_tariff(a.id, (p ->> 'chain_from')::date, (p ->> 'tariff_id')::uuid);
    end if;
    if exists (select 1 from jsonb_to_recordset(p -> 'bills') as b(opening_reading_id uuid, reissue_no integer)
               where private.reissues(b.opening_reading_id) <> b.reissue_no) then
        perform private.refuse('EB001', v_moved);
    end if;
    perform private.insert_bills(p -> 'bills');
    perform private.settle(array[a.customer_id]);
    perform private.pay_again(v_paid, v_last);
    perform private.settle(array[a.customer_id]);
    insert into public.corrections (id, kind, meter_id, customer_id, reading_id, reason, warned, difference_minor, currency, created_by)
    select v_id, p ->> 'kind', (p ->> 'meter_id')::uuid, a.customer_id, (p #>> '{reading,id}')::uuid, p ->> 'reason', coalesce(p ->> 'warned', ''),
           (select coalesce(sum(n.total_minor), 0) from public.bills n
            where n.number is not null and n.id in (select (x ->> 'id')::uuid from jsonb_array_elements(p -> 'bills') x))
           - sum(case when o.number is not null then o.total_minor else 0 end), min(o.currency), p ->> 'actor'
    from public.bills o where o.id = any (v_void);
    insert into public.corrected_bills (void_bill_id, correction_id, new_bill_id)
    select (x ->> 'void')::uuid, v_id, (x ->> 'new')::uuid from jsonb_array_elements(p -> 'touched') x;
    perform private.owe_correction(v_id, p #> '{owed,bill_corrected}');
    -- Refused here rather than when the transaction ends, where nobody could say why.
    set constraints all immediate;
    return (select to_jsonb(k) from public.correction_list k where k.id = v_id);
end $$;

comment on function public.rebill is 'Voids bills of an agreement and reissues them, in one transaction: {actor, id, kind, agreement_id, meter_id, reason, warned?, on, chain_from, chain: ["id status"] of its bills from there on as they were seen, touched: [{void, new?}] in order, reading?: {id, right: its values or null where it is withdrawn}, tariff_id?: its tariff from chain_from on, bills, owed?} -> the correction. EB001 when the bills are not as they were seen; a repeat is answered with the first result.';

create function private.set_tariff(p_agreement_id uuid, p_from date, p_tariff_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
    insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
    values (gen_random_uuid(), p_agreement_id,
            greatest(p_from, (select starts_on from public.service_agreements where id = p_agreement_id)), p_tariff_id)
    on conflict (agreement_id, starts_on) do update set tariff_id = excluded.tariff_id
    where agreement_tariffs.tariff_id <> excluded.tariff_id;
    -- What was to begin later gives way.
    update public.agreement_tariffs set tariff_id = p_tariff_id
    where agreement_id = p_agreement_id and starts_on > p_from and tariff_id <> p_tariff_id;
end $$;
comment on function private.set_tariff is 'Puts an agreement on a tariff from a local date on.';

drop function private.replace_reading(jsonb, uuid);

create function private.replace_reading(p jsonb, p_point_id uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    r public.readings;
    v_right jsonb := nullif(p #> '{reading,right}', 'null'::jsonb);
begin
    select * into r from public.readings
    where id = (p #>> '{reading,id}')::uuid and status = 'accepted'
      and meter_id in (select i.meter_id from public.meter_installations i where i.service_point_id = p_point_id) for update;
    if not found then
        perform private.refuse('EB001', 'This reading was corrected meanwhile.');
    elsif v_right is null and (
        r.is_opening
        or exists (select 1 from public.meter_installations where closing_reading_id = r.id)
        or exists (select 1 from public.service_agreements where r.id in (opening_reading_id, closing_reading_id))) then
        perform private.refuse('EB005', 'A read at which a meter came or went, or somebody moved, can be corrected, not withdrawn.');
    end if;
    if v_right is not null then
        update public.meter_installations set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.meter_installations set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
        update public.service_agreements set opening_reading_id = (v_right ->> 'id')::uuid where opening_reading_id = r.id;
        update public.service_agreements set closing_reading_id = (v_right ->> 'id')::uuid where closing_reading_id = r.id;
    end if;
    update public.readings
    set status = case when v_right is null then 'rejected' else 'superseded' end, is_opening = false,
        decided_by = p ->> 'actor', decided_at = now(), decision_reason = p ->> 'reason'
    where id = r.id;
    if v_right is not null then
        perform private.insert_reading(v_right || jsonb_build_object(
            'meter_id', r.meter_id, 'read_at', r.read_at, 'read_on', r.read_on, 'source', r.source, 'status', 'accepted',
            'is_opening', r.is_opening, 'submitted_by', p ->> 'actor', 'supersedes_id', r.id, 'decided_by', p ->> 'actor',
            'decided_at', now(), 'decision_reason', p ->> 'reason'));
    end if;
end $$;

create or replace function public.import_meters(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    v_errors jsonb;
    v_added integer := 0;
    v_changed integer := 0;
begin
    perform private.set_actor(p);
    select jsonb_agg(jsonb_build_object('row', x."row", 'column', case
               when c.id is null then 'account_no'
               when t.id is null or coalesce(c.currency, t.currency) <> t.currency then 'tariff_code'
               when x.transformer_code <> '' and g.id is null then 'transformer_code'
               when m.id is null then 'opened_on'
               else 'serial' end, 'message', case
               when c.id is null then format('No customer has the account number %s.', x.account_no)
               when t.id is null then format('No tariff has the code %s.', x.tariff_code)
               when coalesce(c.currency, t.currency) <> t.currency then format(
                   'Tariff %s is in %s, account %s in %s.', x.tariff_code, t.currency, x.account_no, c.currency)
               when x.transformer_code <> '' and g.id is null then format(
                   'No transformer has the code %s.', x.transformer_code)
               when m.id is null then format(
                   'No version of tariff %s is in force on %s, where billing would begin.', x.tariff_code, x.opened_on)
               else format('Meter %s is already connected with other details.', x.serial) end) order by x."row")
    into v_errors
    from jsonb_to_recordset(p -> 'rows') as x(
        "row" integer, serial text, account_no text, tariff_code text, kind text, dials smallint,
        multiplier_milli integer, opened_on date, opening_wh bigint, transformer_code text)
    left join public.customers c on c.account_no = x.account_no
    left join public.tariffs t on t.code = x.tariff_code
    left join public.transformers g on g.code = x.transformer_code
    left join public.meters m on m.serial = x.serial
    left join public.meter_installations n on n.meter_id = m.id and n.removed_at is null
    left join public.readings r on r.id = n.opening_reading_id
    left join public.meter_list l on l.id = m.id
    where c.id is null or t.id is null or coalesce(c.currency, t.currency) <> t.currency
       or (x.transformer_code <> '' and g.id is null)
       or (m.id is null and not exists (
               select 1 from public.tariff_versions v where v.tariff_id = t.id and v.effective_from <= x.opened_on))
       or (m.id is not null and (l.customer_id, l.tariff_id, m.kind, m.dials, n.multiplier_milli, n.installed_on, r.register_wh)
               is distinct from (c.id, t.id, x.kind, x.dials, x.multiplier_milli, x.opened_on, x.opening_wh));
    if v_errors is null then
        v_errors := private.register_problems(p -> 'rows');
    end if;
    if v_errors is null then
        select jsonb_agg(jsonb_build_object('row', y.last_row, 'column', 'tariff_code', 'message', format(
                   'Account %s would have tariffs in different currencies.', y.account_no)))
        into v_errors
        from (select x.account_no, max(x."row") as last_row
              from jsonb_to_recordset(p -> 'rows') as x("row" integer, account_no text, tariff_code text)
              join public.tariffs t on t.code = x.tariff_code
              group by x.account_no having count(distinct t.currency) > 1) y;
    end if;
    if v_errors is null and not coalesce((p ->> 'dry_run')::boolean, false) then
        update public.customers c set currency = t.currency
        from jsonb_to_recordset(p -> 'rows') as x(account_no text, tariff_code text)
        join public.tariffs t on t.code = x.tariff_code
        where c.account_no = x.account_no and c.currency is null;
        with known as materialized (
            select k.id, i.service_point_id, coalesce(x.registers, k.registers) as registers,
                   coalesce(x.connected_w, s.connected_w) as connected_w,
                   coalesce(x.connected_va, s.connected_va) as connected_va,
                   case when x.transformer_code is null then s.transformer_id else g.id end as transformer_id
            from jsonb_to_recordset(p -> 'rows') as x(
                serial text, transformer_code text, registers jsonb, connected_w integer, connected_va integer)
            join public.meters k on k.serial = x.serial
            join public.meter_installations i on i.meter_id = k.id and i.removed_at is null
            join public.service_points s on s.id = i.service_point_id
            left join public.transformers g on g.code = x.transformer_code
        ), of_meters as (
            update public.meters m set registers = n.registers
            from known n where m.id = n.id and m.registers is distinct from n.registers
            returning m.id
        ), of_points as (
            update public.service_points s
            set transformer_id = n.transformer_id, connected_w = n.connected_w, connected_va = n.connected_va
            from known n
            where s.id = n.service_point_id
              and (s.transformer_id, s.connected_w, s.connected_va)
                  is distinct from (n.transformer_id, n.connected_w, n.connected_va)
            returning n.id
        )
        select count(*) into v_changed from (select id from of_meters union select id from of_points) z;
        with added as (
            insert into public.meters (id, serial, kind, dials, registers)
            select x.id, x.serial, x.kind, x.dials, coalesce(x.registers, '[]')
            from jsonb_to_recordset(p -> 'rows') as x(id uuid, serial text, kind text, dials smallint, registers jsonb)
            on conflict do nothing
            returning id
        ), placed as materialized (
            select x.*, c.id as customer_id, c.address, t.id as tariff_id, g.id as transformer_id,
                   md5('service_point/' || x.id)::uuid as point_id, md5('agreement/' || x.id)::uuid as agreement_id
            from added
            join jsonb_to_recordset(p -> 'rows') as x(
                id uuid, opening_reading_id uuid, serial text, account_no text, tariff_code text, multiplier_milli integer,
                opened_on date, opened_at timestamptz, opening_wh bigint, opening_registers jsonb, transformer_code text,
                connected_w integer, connected_va integer) on x.id = added.id
            join public.customers c on c.account_no = x.account_no
            join public.tariffs t on t.code = x.tariff_code
            left join public.transformers g on g.code = x.transformer_code
        ), of_points as (
            -- Known by the serial of the meter that it came with, unless a place has that code.
            insert into public.service_points (id, code, address, transformer_id, connected_w, connected_va)
            select x.point_id, x.serial || case when s.id is null then '' else '/' || left(x.id::text, 8) end, x.address,
                   x.transformer_id, x.connected_w, x.connected_va
            from placed x left join public.service_points s on s.code = x.serial
        ), of_reads as (
            insert into public.readings (id, meter_id, read_at, read_on, register_wh, source, status, is_opening,
                                         submitted_by, registers)
            select x.opening_reading_id, x.id, x.opened_at, x.opened_on, x.opening_wh, 'imported', 'accepted', true,
                   p ->> 'actor', coalesce(x.opening_registers, '{}')
            from placed x
        ), of_installations as (
            insert into public.meter_installations (id, service_point_id, meter_id, installed_at, installed_on,
                                                    multiplier_milli, opening_reading_id)
            select md5('installation/' || x.id)::uuid, x.point_id, x.id, x.opened_at, x.opened_on, x.multiplier_milli,
                   x.opening_reading_id
            from placed x
        ), of_agreements as (
            insert into public.service_agreements (id, service_point_id, customer_id, starts_on, opening_reading_id)
            select x.agreement_id, x.point_id, x.customer_id, x.opened_on, x.opening_reading_id from placed x
        ), of_tariffs as (
            insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)
            select md5('agreement_tariff/' || x.id)::uuid, x.agreement_id, x.opened_on, x.tariff_id from placed x
        )
        select count(*) into v_added from added;
    end if;
    return private.import_answer(v_errors, v_added, v_changed, jsonb_array_length(p -> 'rows') - v_added - v_changed);
end $$;

comment on function public.import_meters is 'Connects meters, each at a service point of its own and with the agreement of its customer, with their opening read, or sets transformer, registers and connected load of known ones: {actor, dry_run, rows: [{row, id, opening_reading_id, serial, account_no, tariff_code, kind, dials, multiplier_milli, opening_wh, opened_on, opened_at, transformer_code?, registers?, opening_registers?, unopened?, periods?, connected_w?, connected_va?}]}.';

revoke all on function private.set_tariff, private.replace_reading from public;
grant execute on function private.set_tariff, private.replace_reading to service_role;

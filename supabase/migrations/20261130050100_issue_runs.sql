-- What the last bill run made, beside what its preview said, and drafts that are issued in the background.

-- When a run of a date began first: a run that is begun anew counts from there.
alter table public.job_runs add column begun_at timestamptz;
update public.job_runs set begun_at = started_at;
alter table public.job_runs alter column begun_at set default now(), alter column begun_at set not null;
comment on column public.job_runs.begun_at is 'When the first attempt for this date began; started_at is of the last one that was not merely resumed.';

-- Bills are stored in the order in which they are made: so small an index finds those of a run.
create index bills_created on public.bills using brin (created_at);

create table public.bill_run_previews (
    scheduled_on date primary key,
    worked_out_at timestamptz not null,
    worked_out_by text not null,
    looked_at integer not null check (looked_at >= 0),
    whole boolean not null,
    totals jsonb not null check (jsonb_typeof(totals) = 'array')
);
comment on table public.bill_run_previews is 'The last preview of each bill run: what it was to make, to be compared with what it made.';
comment on column public.bill_run_previews.whole is 'Whether each agreement was looked at.';
comment on column public.bill_run_previews.totals is '[{currency, number, held, consumption_wh, total_minor}]';
alter table public.bill_run_previews enable row level security;
revoke all on public.bill_run_previews from public, anon, authenticated, service_role;
grant select, insert, update on public.bill_run_previews to service_role;

create function public.save_bill_run_preview(p jsonb) returns jsonb
    language sql set search_path = '' as $$
    insert into public.bill_run_previews (scheduled_on, worked_out_at, worked_out_by, looked_at, whole, totals)
    values ((p ->> 'scheduled_on')::date, (p ->> 'worked_out_at')::timestamptz, p ->> 'actor', (p ->> 'looked_at')::integer,
            (p ->> 'whole')::boolean, p -> 'totals')
    on conflict (scheduled_on) do update
    set worked_out_at = excluded.worked_out_at, worked_out_by = excluded.worked_out_by, looked_at = excluded.looked_at,
        whole = excluded.whole, totals = excluded.totals
    returning jsonb_build_object('scheduled_on', scheduled_on)
$$;
comment on function public.save_bill_run_preview(jsonb) is 'Keeps the preview of a run, in place of an earlier one: {actor, scheduled_on, worked_out_at, looked_at, whole, totals: [{currency, number, held, consumption_wh, total_minor}]} -> {scheduled_on}.';

create function private.last_bill_run_of() returns table (scheduled_on date, begun_at timestamptz)
    language sql stable set search_path = '' as $$
    select r.scheduled_on, r.begun_at from public.job_runs r
    where r.job = 'monthly_bills' and (r.status = 'running' or r.clock_at is not null)
    order by r.begun_at desc limit 1
$$;
comment on function private.last_bill_run_of() is 'The date of the run of the monthly bills that began last, under way or over, and when it began. Its bills are those made since then that end by its date.';

create or replace view public.draft_list with (security_invoker = true) as
 SELECT id,
    meter_id,
    meter_serial,
    customer_id,
    account_no,
    customer_name,
    tariff_code,
    period_start,
    period_end,
    consumption_wh,
    currency,
    subtotal_minor,
    tax_minor,
    total_minor,
    created_at,
    estimated,
    tariff_changes,
    opinion_differs,
    past_use,
    private.is_outlier(past_use, consumption_wh, (period_end - period_start), total_minor, (estimated OR tariff_changes OR opinion_differs OR (held_because IS NOT NULL))) AS outlier,
    search,
    held_because,
    of_last_run
   FROM ( SELECT b.id,
            b.meter_id,
            m.serial AS meter_serial,
            b.customer_id,
            c.account_no,
            c.name AS customer_name,
            t.code AS tariff_code,
            b.period_start,
            b.period_end,
            b.consumption_wh,
            b.currency,
            b.subtotal_minor,
            b.tax_minor,
            b.total_minor,
            b.created_at,
            b.held_because,
            (('estimated'::text = opening.source) OR ('estimated'::text = closing.source)) AS estimated,
            (b.lines @> '[[{"part": {}}]]' or b.lines @> '[{"part": {}}]') AS tariff_changes,
            COALESCE(((b.second_opinion ->> 'agrees'::text) = 'false'::text), false) AS opinion_differs,
            ( SELECT ARRAY[z.number, COALESCE(z.q[1], (0)::bigint), COALESCE(z.q[2], (0)::bigint), COALESCE(z.q[3], (0)::bigint)] AS "array"
                   FROM ( SELECT count(*) AS number,
                            percentile_disc((ARRAY[0.25, 0.5, 0.75])::double precision[]) WITHIN GROUP (ORDER BY x.use) AS q
                           FROM ( SELECT (y.consumption_wh / (y.period_end - y.period_start)) AS use
                                   FROM public.bills y
                                  WHERE ((y.agreement_id = b.agreement_id) AND (y.status = 'issued'::text) AND (y.period_end <= b.period_start))
                                  ORDER BY y.period_end DESC
                                 LIMIT 12) x) z) AS past_use,
            lower(concat_ws(' '::text, c.account_no, c.name, m.serial)) AS search,
            coalesce(b.created_at >= r.begun_at and b.period_end <= r.scheduled_on, false) as of_last_run
           FROM ((((((public.bills b
             JOIN public.meters m ON ((m.id = b.meter_id)))
             JOIN public.customers c ON ((c.id = b.customer_id)))
             JOIN public.tariff_versions v ON ((v.id = b.tariff_version_id)))
             JOIN public.tariffs t ON ((t.id = v.tariff_id)))
             JOIN public.readings opening ON ((opening.id = b.opening_reading_id)))
             JOIN public.readings closing ON ((closing.id = b.closing_reading_id)))
             left join private.last_bill_run_of() r on true
          WHERE (b.status = 'draft'::text)) d;

comment on column public.draft_list.of_last_run is 'Whether it was made since the last bill run began and ends by that run''s date.';

create or replace function private.drafts_chosen(p jsonb)
returns table (
    id uuid, period_end date, currency text, consumption_wh bigint, subtotal_minor bigint, tax_minor bigint,
    total_minor bigint, outlier boolean)
language sql stable set search_path = '' as $$
    select d.id, d.period_end, d.currency, d.consumption_wh, d.subtotal_minor, d.tax_minor, d.total_minor, d.outlier
    from public.draft_list d
    where (p ->> 'month' is null or (d.period_end > (p ->> 'month')::date
                                     and d.period_end <= ((p ->> 'month')::date + interval '1 month')::date))
      and (p ->> 'tariff' is null or d.tariff_code = p ->> 'tariff')
      and (p ->> 'currency' is null or d.currency = p ->> 'currency')
      and (p ->> 'search' is null or d.search ilike all (array(select jsonb_array_elements_text(p -> 'search'))))
      and (p ->> 'only' is null or d.id in (select i::uuid from jsonb_array_elements_text(p -> 'only') i))
      and (p ->> 'except' is null or d.id not in (select i::uuid from jsonb_array_elements_text(p -> 'except') i))
      and (not coalesce((p ->> 'outliers')::boolean, false) or d.outlier)
      and (not coalesce((p ->> 'of_last_run')::boolean, false) or d.of_last_run)
      and (not coalesce((p ->> 'without_held')::boolean, false) or d.held_because is null)
$$;
comment on function private.drafts_chosen(jsonb) is
    'Drafts by {month? (its 1st), tariff?, currency?, search?: [patterns], outliers?, of_last_run?, without_held?, only?: [ids], except?: [ids]}.';

create function public.last_bill_run(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with run as materialized (select * from private.last_bill_run_of()),
    made as (
        select b.currency, count(*) as number, count(*) filter (where b.held_because is not null) as held,
               count(*) filter (where b.status = 'draft') as drafts,
               sum(b.consumption_wh)::bigint as consumption_wh, sum(b.total_minor)::bigint as total_minor
        from run r join public.bills b on b.created_at >= r.begun_at and b.period_end <= r.scheduled_on and b.status <> 'void'
        group by 1)
    select jsonb_build_object(
        'run', (select private.run_json('monthly_bills', r.scheduled_on) from run r),
        'preview', (select to_jsonb(w) from run r join public.bill_run_previews w on w.scheduled_on = r.scheduled_on),
        'made', (select coalesce(jsonb_agg(to_jsonb(m) order by m.currency), '[]') from made m))
$$;
comment on function public.last_bill_run(jsonb) is 'The run of the monthly bills that began last: {} -> {run or null, preview: row of bill_run_previews or null, made: [{currency, number, held, drafts: that are drafts still, consumption_wh, total_minor}] of its bills that are not void}.';

create table public.issue_runs (
    id uuid primary key,
    started_by text not null,
    started_at timestamptz not null default now(),
    status text not null default 'running' check (status in ('running', 'done')),
    number integer not null check (number > 0),
    reached integer not null default 0 check (reached between 0 and number),
    issued integer not null default 0 check (issued between 0 and reached),
    first_number bigint,
    last_number bigint,
    refusal text not null default '',
    finished_at timestamptz
);
comment on table public.issue_runs is 'Drafts that somebody approved together: they are issued in batches, each one transaction that moves "reached" on.';
comment on column public.issue_runs.number is 'How many drafts were chosen.';
comment on column public.issue_runs.reached is 'Up to which place they were looked at; those sent back or issued meanwhile are not counted in "issued".';
comment on column public.issue_runs.refusal is 'Why the last of those that could not be issued was refused; empty where none was.';
create index issue_runs_running on public.issue_runs (started_at, id) where status = 'running';
create index issue_runs_recent on public.issue_runs (started_at desc);
alter table public.issue_runs enable row level security;
revoke all on public.issue_runs from public, anon, authenticated, service_role;
grant select, insert, update on public.issue_runs to service_role;

create table public.issue_run_bills (
    run_id uuid not null references public.issue_runs,
    place integer not null,
    bill_id uuid not null unique references public.bills,
    primary key (run_id, place)
);
comment on table public.issue_run_bills is 'The drafts of an issue run in the order of their numbers to be, until the run is done; a draft is in one run at most.';
alter table public.issue_run_bills enable row level security;
revoke all on public.issue_run_bills from public, anon, authenticated, service_role;
grant select, insert, delete on public.issue_run_bills to service_role;

create function public.begin_issue_run(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_id uuid := (p ->> 'id')::uuid;
    v_ids uuid[];
begin
    if not exists (select 1 from public.issue_runs where id = v_id) then
        v_ids := array(select c.id from private.drafts_chosen(p) c order by c.period_end, c.id);
        if private.drafts_mark(v_ids) <> p ->> 'mark' then
            perform private.refuse('EB005', 'The drafts have changed since their totals were shown.');
        elsif v_ids = '{}' then
            perform private.refuse('EB005', 'No draft is chosen.');
        end if;
        insert into public.issue_runs (id, started_by, number) values (v_id, p ->> 'actor', cardinality(v_ids));
        begin
            insert into public.issue_run_bills (run_id, place, bill_id)
            select v_id, d.place, d.id from unnest(v_ids) with ordinality as d(id, place);
        exception when unique_violation then
            perform private.refuse('EB005', 'Some of these drafts are being issued already.');
        end;
    end if;
    return (select to_jsonb(r) from public.issue_runs r where r.id = v_id);
end $$;
comment on function public.begin_issue_run(jsonb) is 'Has drafts issued in the background: {actor, id, mark: of their totals as they were shown, … as private.drafts_chosen} -> issue run. EB005 where other drafts are chosen by now, or where some are in a run already. A repeat with the id is answered with the run.';

create function private.issue_drafts(p_ids uuid[], p jsonb) returns uuid[]
    language plpgsql set search_path = '' as $$
declare
    v_drafts uuid[];
    v_base bigint;
begin
    perform private.lock_points(array(
        select a.service_point_id from unnest(p_ids) i(id)
        join public.bills b on b.id = i.id join public.service_agreements a on a.id = b.agreement_id));
    perform private.lock_customers(array(select b.customer_id from unnest(p_ids) i(id) join public.bills b on b.id = i.id));
    v_drafts := array(select b.id from unnest(p_ids) i(id) join public.bills b on b.id = i.id
                      where b.status = 'draft' order by b.period_end, b.id for update of b);
    update public.counters set last_number = last_number + cardinality(v_drafts)
    where name = 'bill' and v_drafts <> '{}' returning last_number - cardinality(v_drafts) into v_base;
    update public.bills b
    set status = 'issued', number = v_base + d.place, issued_at = (p ->> 'issued_at')::timestamptz,
        issued_on = (p ->> 'issued_on')::date, due_date = (p ->> 'due_date')::date
    from unnest(v_drafts) with ordinality as d(id, place) where b.id = d.id;
    return v_drafts;
end $$;
comment on function private.issue_drafts(uuid[], jsonb) is 'Issues those of some bills that are drafts, with the next numbers in the order of their periods: {issued_at, issued_on, due_date}; their ids. Under the locks of their places and customers.';

create or replace function public.issue_bills(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_ids uuid[] := array(select (x ->> 'bill_id')::uuid from jsonb_array_elements(p -> 'bills') x);
    v_drafts uuid[];
begin
    perform private.set_actor(p);
    if (select count(*) from unnest(v_ids) i(id) join public.bills b on b.id = i.id) <> cardinality(v_ids) then
        perform private.refuse('EB404', 'No such bill.');
    end if;
    v_drafts := private.issue_drafts(v_ids, p);
    if exists (select 1 from unnest(v_ids) i(id) join public.bills b on b.id = i.id where b.status = 'void') then
        perform private.refuse('EB005', 'A void bill cannot be issued.');
    end if;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select o.id, x.bill_id, 'bill_issued', o.steps, o.status, case when o.status <> 'open' then now() end
    from jsonb_to_recordset(p -> 'bills') as x(bill_id uuid, owed jsonb)
    cross join lateral jsonb_to_record(x.owed) as o(id uuid, steps jsonb, status text)
    where x.bill_id = any (v_drafts)
    on conflict (bill_id, kind, occasion) do nothing;
    return jsonb_build_object(
        'issued', cardinality(v_drafts),
        'bills', (select coalesce(jsonb_agg(private.bill_json(i.id) order by i.place), '[]')
                  from unnest(v_ids) with ordinality as i(id, place)));
end $$;
comment on function public.issue_bills(jsonb) is 'Approves drafts, all or none: {actor, bills: [{bill_id, owed}], issued_at, issued_on, due_date} -> {issued, bills}. One issued already is answered as it is.';

create function public.issue_next(p jsonb) returns jsonb
    language plpgsql set search_path = '' as $$
declare
    v_run public.issue_runs;
    v_ids uuid[];
    v_issued uuid[];
begin
    select * into v_run from public.issue_runs where status = 'running' order by started_at, id limit 1 for update skip locked;
    if not found then
        return jsonb_build_object('run', null);
    end if;
    perform private.set_actor(jsonb_build_object('actor', v_run.started_by));
    v_ids := array(select x.bill_id from public.issue_run_bills x
                   where x.run_id = v_run.id and x.place > v_run.reached and x.place <= v_run.reached + (p ->> 'limit')::integer
                   order by x.place);
    v_issued := case when p ->> 'skip' is null then private.issue_drafts(v_ids, p) else '{}' end;
    insert into public.outbox (id, bill_id, kind, steps, status, finished_at)
    select gen_random_uuid(), i, 'bill_issued', p #> '{owed,steps}', p #>> '{owed,status}',
           case when p #>> '{owed,status}' <> 'open' then now() end
    from unnest(v_issued) i
    on conflict (bill_id, kind, occasion) do nothing;
    update public.issue_runs r
    set reached = r.reached + cardinality(v_ids), issued = r.issued + cardinality(v_issued),
        first_number = coalesce(r.first_number, n.first), last_number = coalesce(n.last, r.last_number),
        refusal = coalesce(p ->> 'skip', r.refusal),
        status = case when r.reached + cardinality(v_ids) < r.number then 'running' else 'done' end,
        finished_at = case when r.reached + cardinality(v_ids) < r.number then null else now() end
    from (select min(b.number) as first, max(b.number) as last
          from unnest(v_issued) i(id) join public.bills b on b.id = i.id) n
    where r.id = v_run.id returning r.* into v_run;
    if v_run.status = 'done' then
        delete from public.issue_run_bills where run_id = v_run.id;
    end if;
    return jsonb_build_object('run', to_jsonb(v_run));
end $$;
comment on function public.issue_next(jsonb) is 'Issues the next drafts of the oldest issue run that no other process is at, in the name of who began it: {limit, issued_at, issued_on, due_date, owed: {steps, status} for each, skip?: passes them over for this reason} -> {run: as it is then, null when there is none}. Those that are no drafts any more are passed over.';

create function public.last_issue_run(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    select jsonb_build_object('run', (
        select to_jsonb(r) from public.issue_runs r order by r.status = 'running' desc, r.started_at desc limit 1))
$$;
comment on function public.last_issue_run(jsonb) is 'The issue run that is under way, else the one that began last: {} -> {run or null}.';

drop function public.draft_choice(jsonb);

revoke all on function private.last_bill_run_of(), private.issue_drafts(uuid[], jsonb), public.save_bill_run_preview(jsonb),
    public.last_bill_run(jsonb), public.begin_issue_run(jsonb), public.issue_next(jsonb), public.last_issue_run(jsonb) from public;
grant execute on function private.last_bill_run_of(), private.issue_drafts(uuid[], jsonb), public.save_bill_run_preview(jsonb),
    public.last_bill_run(jsonb), public.begin_issue_run(jsonb), public.issue_next(jsonb), public.last_issue_run(jsonb) to service_role;

-- How many agreements a billing day or a tariff has, how many places a route, and what makes a draft unusual was found row by row
-- whenever a page was opened. It is kept now, as totals are. Lists that people leaf through find the ids of a page before its rows.

create table public.supply_totals (
    id bigint primary key generated always as identity,
    kind text not null check (kind in ('billing_day', 'tariff', 'route')),
    name text not null,
    number bigint not null
);
comment on table public.supply_totals is
    'How many agreements that go on a billing day or a tariff (its id; the last one that was agreed on) has, and how many places a reading route: parts, to be added up.';
alter table public.supply_totals enable row level security;
revoke all on public.supply_totals from public, anon, authenticated, service_role;
grant select, insert, delete on public.supply_totals to service_role;
grant update (id) on public.supply_totals to service_role;

create table public.draft_signs (
    bill_id uuid primary key references public.bills,
    past_use bigint[] not null,
    outlier boolean not null
);
comment on table public.draft_signs is 'What draft_list says of each draft: the past use that it is compared with, and whether it is unusual. Kept with the bills.';
alter table public.draft_signs enable row level security;
revoke all on public.draft_signs from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.draft_signs to service_role;

create function private.add_supply_totals(p_parts jsonb) returns void
    language plpgsql set search_path = '' as $$
declare
    v_many boolean;
begin
    with added as (
        insert into public.supply_totals (kind, name, number)
        select x.kind, x.name, sum(x.number) from jsonb_to_recordset(p_parts) as x (kind text, name text, number bigint)
        group by 1, 2 having sum(x.number) <> 0 returning id)
    select bool_or(id % 256 = 0) into v_many from added;
    if v_many then
        with parts as (
            select t.id from public.supply_totals t
            join (select kind, name from public.supply_totals group by 1, 2 having count(*) > 1) s using (kind, name)
            for update of t skip locked
        ), gone as (
            delete from public.supply_totals t using parts y where t.id = y.id returning t.*
        )
        insert into public.supply_totals (kind, name, number) select kind, name, sum(number) from gone group by 1, 2;
    end if;
end $$;
comment on function private.add_supply_totals(jsonb) is 'Adds parts to supply_totals: [{kind, name, number}].';

create function private.tariff_agreed_on(p_agreement uuid) returns uuid
    language sql stable set search_path = '' as $$
    select t.tariff_id from public.agreement_tariffs t where t.agreement_id = p_agreement order by t.starts_on desc limit 1
$$;
comment on function private.tariff_agreed_on(uuid) is 'The tariff of an agreement that begins last.';

create function private.keep_agreements_counted() returns trigger
    language plpgsql set search_path = '' as $$
declare
    v_rows text := '';
    v_parts jsonb;
begin
    if tg_op <> 'DELETE' then
        v_rows := 'select 1 as sign, n.* from new_rows n';
    end if;
    if tg_op <> 'INSERT' then
        v_rows := v_rows || case tg_op when 'UPDATE' then ' union all ' else '' end || 'select -1 as sign, o.* from old_rows o';
    end if;
    execute 'with r as materialized (' || v_rows || '),
        days as (select ''billing_day'' as kind, r.billing_day::text as name, sum(r.sign) as number from r where r.ends_on is null group by 2),
        -- The rows of its tariffs come after it, and go before it.
        changed as (select r.id, sum(r.sign) filter (where r.ends_on is null) as number from r group by 1 having count(*) = 2),
        tariffs as (select ''tariff'', private.tariff_agreed_on(c.id)::text, sum(c.number) from changed c where c.number <> 0 group by 2)
        select jsonb_agg(to_jsonb(x)) from (select * from days union all select * from tariffs) x
        where x.number <> 0 and x.name is not null' into v_parts;
    if v_parts is not null then
        perform private.add_supply_totals(v_parts);
    end if;
    return null;
end $$;
comment on function private.keep_agreements_counted() is 'Counts agreements by billing day, and by tariff where one ends or goes on.';
create trigger agreements_counted after insert on public.service_agreements
    referencing new table as new_rows for each statement execute function private.keep_agreements_counted();
create trigger changed_agreements_counted after update on public.service_agreements
    referencing old table as old_rows new table as new_rows for each statement execute function private.keep_agreements_counted();
create trigger undone_agreements_counted after delete on public.service_agreements
    referencing old table as old_rows for each statement execute function private.keep_agreements_counted();

create function private.keep_tariffs_counted() returns trigger
    language plpgsql set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
declare
    v_new constant text := case tg_op when 'DELETE' then 'select * from old_rows where false' else 'select * from new_rows' end;
    v_old constant text := case tg_op when 'INSERT' then 'select * from new_rows where false' else 'select * from old_rows' end;
    v_parts jsonb;
begin
    -- What was agreed on last before, and is now.
    execute format('with n as materialized (%s), o as materialized (%s),
        agreements as (
            select x.agreement_id from (select agreement_id from n union select agreement_id from o) x
            join public.service_agreements a on a.id = x.agreement_id and a.ends_on is null)
        select jsonb_agg(to_jsonb(y)) from (
            select ''tariff'' as kind, z.tariff_id::text as name, sum(z.sign) as number
            from agreements g
            cross join lateral (
                select 1 as sign, private.tariff_agreed_on(g.agreement_id) as tariff_id
                union all
                (select -1, b.tariff_id
                 from (select t.starts_on, t.tariff_id from public.agreement_tariffs t
                       where t.agreement_id = g.agreement_id and not exists (select 1 from n where n.id = t.id)
                       union all select o.starts_on, o.tariff_id from o where o.agreement_id = g.agreement_id) b
                 order by b.starts_on desc limit 1)) z
            where z.tariff_id is not null group by 2 having sum(z.sign) <> 0) y', v_new, v_old) into v_parts;
    if v_parts is not null then
        perform private.add_supply_totals(v_parts);
    end if;
    return null;
end $$;
comment on function private.keep_tariffs_counted() is 'Counts agreements that go on by the tariff that was agreed on last.';
create trigger tariffs_counted after insert on public.agreement_tariffs
    referencing new table as new_rows for each statement execute function private.keep_tariffs_counted();
create trigger changed_tariffs_counted after update on public.agreement_tariffs
    referencing old table as old_rows new table as new_rows for each statement execute function private.keep_tariffs_counted();
create trigger undone_tariffs_counted after delete on public.agreement_tariffs
    referencing old table as old_rows for each statement execute function private.keep_tariffs_counted();

create function private.keep_places_counted() returns trigger
    language plpgsql set search_path = '' as $$
declare
    v_parts jsonb;
begin
    execute 'select jsonb_agg(to_jsonb(y)) from (
        select ''route'' as kind, x.route as name, sum(x.sign) as number
        from (select 1 as sign, n.route from new_rows n'
        || case tg_op when 'UPDATE' then ' union all select -1, o.route from old_rows o' else '' end
        || ') x where x.route <> '''' group by 2 having sum(x.sign) <> 0) y' into v_parts;
    if v_parts is not null then
        perform private.add_supply_totals(v_parts);
    end if;
    return null;
end $$;
comment on function private.keep_places_counted() is 'Counts places by reading route.';
create trigger places_counted after insert on public.service_points
    referencing new table as new_rows for each statement execute function private.keep_places_counted();
create trigger changed_places_counted after update on public.service_points
    referencing old table as old_rows new table as new_rows for each statement execute function private.keep_places_counted();

create view private.supply_counted with (security_invoker = true) as
select 'billing_day' as kind, a.billing_day::text as name, count(*) as number
from public.service_agreements a where a.ends_on is null group by 2
union all
select 'tariff', t.tariff_id::text, count(*)
from (select distinct on (x.agreement_id) x.tariff_id from public.agreement_tariffs x
      join public.service_agreements a on a.id = x.agreement_id and a.ends_on is null
      order by x.agreement_id, x.starts_on desc) t group by 2
union all
select 'route', s.route, count(*) from public.service_points s where s.route <> '' group by 2;
comment on view private.supply_counted is 'What supply_totals comes to, counted.';
revoke all on private.supply_counted from public, anon, authenticated;
grant select on private.supply_counted to service_role;

create function private.signs_of_drafts(p_bills uuid[]) returns table (bill_id uuid, past_use bigint[], outlier boolean)
    language sql stable set search_path = '' as $$
    select b.id, u.past, private.is_outlier(
        u.past, b.consumption_wh, b.period_end - b.period_start, b.total_minor,
        'estimated' in (opening.source, closing.source) or b.lines @> '[[{"part": {}}]]' or b.lines @> '[{"part": {}}]'
        or coalesce(b.second_opinion ->> 'agrees' = 'false', false) or b.held_because is not null)
    from public.bills b
    join public.readings opening on opening.id = b.opening_reading_id
    join public.readings closing on closing.id = b.closing_reading_id
    cross join lateral (
        select array[z.number, coalesce(z.q[1], 0), coalesce(z.q[2], 0), coalesce(z.q[3], 0)] as past
        from (select count(*) as number,
                     percentile_disc(array[0.25, 0.5, 0.75]) within group (order by x.use) as q
              from (select y.consumption_wh / (y.period_end - y.period_start) as use from public.bills y
                    where y.agreement_id = b.agreement_id and y.status = 'issued' and y.period_end <= b.period_start
                    order by y.period_end desc limit 12) x) z) u
    where b.id = any (p_bills) and b.status = 'draft'
$$;
comment on function private.signs_of_drafts(uuid[]) is 'Of drafts what draft_signs keeps, worked out.';

create function private.keep_draft_signs() returns trigger
    language plpgsql set search_path = ''
    set enable_hashjoin = off
    set enable_mergejoin = off
    as $$
declare
    v_drafts uuid[] := array(select n.id from new_rows n where n.status = 'draft');
    v_agreements uuid[] := '{}';
begin
    -- A bill that is issued or void from now on changes the past of the drafts after it; a new one is the last, unless it replaces another.
    if tg_op = 'UPDATE' then
        v_agreements := array(select n.agreement_id from new_rows n join old_rows o on o.id = n.id where n.status <> o.status);
        if v_agreements <> '{}' then
            delete from public.draft_signs s using new_rows n where s.bill_id = n.id and n.status <> 'draft';
        end if;
    else
        v_agreements := array(select n.agreement_id from new_rows n where n.status = 'issued' and n.replaces_id is not null);
    end if;
    if v_agreements <> '{}' then
        v_drafts := v_drafts || array(
            select b.id from unnest(v_agreements) a (id) join public.bills b on b.agreement_id = a.id and b.status <> 'void'
            where b.status = 'draft');
    end if;
    if v_drafts <> '{}' then
        insert into public.draft_signs (bill_id, past_use, outlier)
        select distinct on (d.bill_id) d.* from private.signs_of_drafts(v_drafts) d order by d.bill_id
        on conflict (bill_id) do update set past_use = excluded.past_use, outlier = excluded.outlier;
    end if;
    return null;
end $$;
comment on function private.keep_draft_signs() is 'Keeps draft_signs with new and changed drafts, and with what is issued or void before them.';
create trigger drafts_compared after insert on public.bills
    referencing new table as new_rows for each statement execute function private.keep_draft_signs();
create trigger changed_drafts_compared after update on public.bills
    referencing old table as old_rows new table as new_rows for each statement execute function private.keep_draft_signs();

alter function private.make_totals() rename to make_sums;
alter function private.wrong_totals() rename to wrong_sums;
comment on function private.make_sums() is 'Adds up all bills and entries: where they came without their triggers. Nobody posts meanwhile.';
comment on function private.wrong_sums() is 'The sums that are not what bills and entries come to.';

create function private.make_counts() returns void
    language plpgsql set search_path = '' as $$
begin
    lock table public.bills, public.service_agreements, public.agreement_tariffs, public.service_points in share row exclusive mode;
    delete from public.supply_totals;
    delete from public.draft_signs;
    insert into public.supply_totals (kind, name, number) select kind, name, number from private.supply_counted;
    insert into public.draft_signs (bill_id, past_use, outlier)
    select d.* from private.signs_of_drafts(array(select b.id from public.bills b where b.status = 'draft')) d;
end $$;
comment on function private.make_counts() is 'Counts all agreements and places and compares all drafts: where they came without their triggers. Nobody changes them meanwhile.';
select private.make_counts();

create function private.make_totals() returns void
    language plpgsql set search_path = '' as $$
begin
    perform private.make_sums();
    perform private.make_counts();
end $$;
comment on function private.make_totals() is 'Makes again all that is kept: where rows came without their triggers. Nobody posts meanwhile.';

create function private.wrong_totals() returns table (subject text, detail text)
    language sql stable set search_path = '' as $$
    select w.subject, w.detail from private.wrong_sums() w
    union all
    select concat_ws(' ', kind, name), format('%s kept, there are %s', coalesce(k.number, 0), coalesce(c.number, 0))
    from (select kind, name, sum(number) as number from public.supply_totals group by 1, 2) k
    full join private.supply_counted c using (kind, name)
    where coalesce(k.number, 0) <> coalesce(c.number, 0)
    union all
    select concat_ws(' ', bill_id, 'draft'), format('%s %s kept, it is %s %s', k.past_use, k.outlier, d.past_use, d.outlier)
    from public.draft_signs k
    full join private.signs_of_drafts(array(select b.id from public.bills b where b.status = 'draft')) d using (bill_id)
    where (k.past_use, k.outlier) is distinct from (d.past_use, d.outlier)
$$;
comment on function private.wrong_totals() is 'What is kept and is not what bills, entries, agreements and places come to.';

revoke all on function private.add_supply_totals(jsonb), private.tariff_agreed_on(uuid), private.keep_agreements_counted(),
    private.keep_tariffs_counted(), private.keep_places_counted(), private.signs_of_drafts(uuid[]), private.keep_draft_signs(),
    private.make_counts(), private.make_totals(), private.wrong_totals() from public, anon, authenticated;
grant execute on function private.add_supply_totals(jsonb), private.tariff_agreed_on(uuid), private.keep_agreements_counted(),
    private.keep_tariffs_counted(), private.keep_places_counted(), private.signs_of_drafts(uuid[]), private.keep_draft_signs(),
    private.wrong_totals() to service_role;
revoke execute on function private.make_counts(), private.make_totals() from service_role;

create or replace function public.billing_cycles_page(p jsonb) returns jsonb
    language sql stable set search_path = '' as $$
    with kept as materialized (
        select t.kind, t.name, sum(t.number)::bigint as number from public.supply_totals t
        where t.kind in ('billing_day', 'route') group by 1, 2 having sum(t.number) <> 0)
    select jsonb_build_object(
        'cycles', (select coalesce(jsonb_agg(jsonb_build_object(
                       'billing_day', c -> 'billing_day', 'since', c -> 'since',
                       'agreements', coalesce((select k.number from kept k where k.kind = 'billing_day' and k.name = c ->> 'billing_day'), 0))
                       order by (c ->> 'billing_day')::integer), '[]')
                   from jsonb_array_elements(private.cycles_in_use()) c),
        'routes', (select coalesce(jsonb_agg(jsonb_build_object(
                       'route', k.name, 'places', k.number, 'billing_day', r.billing_day) order by k.name), '[]')
                   from kept k left join public.reading_routes r on r.route = k.name where k.kind = 'route'))
$$;

create or replace view public.tariff_list with (security_invoker = true) as
select t.id, t.code, t.name, t.currency,
       (select coalesce(sum(k.number), 0)::bigint from public.supply_totals k where k.kind = 'tariff' and k.name = t.id::text) as meters,
       (select b.period_end from public.bills b where b.id = private.last_bill_with(t.id)) as billed_until,
       (select jsonb_agg(v.effective_from order by v.effective_from) from private.versions_in_force(t.id) v) as begins
from public.tariffs t;
comment on column public.tariff_list.meters is 'How many agreements that go on are on it, by what was agreed on last.';

-- The past use and the signs as they are kept.
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
    outlier,
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
            s.outlier,
            (('estimated'::text = opening.source) OR ('estimated'::text = closing.source)) AS estimated,
            ((b.lines @> '[[{"part": {}}]]'::jsonb) OR (b.lines @> '[{"part": {}}]'::jsonb)) AS tariff_changes,
            COALESCE(((b.second_opinion ->> 'agrees'::text) = 'false'::text), false) AS opinion_differs,
            s.past_use AS past_use,
            lower(concat_ws(' '::text, c.account_no, c.name, m.serial)) AS search,
            COALESCE(((b.created_at >= r.begun_at) AND (b.period_end <= r.scheduled_on)), false) AS of_last_run
           FROM ((((((((public.bills b
             JOIN public.draft_signs s ON ((s.bill_id = b.id)))
             JOIN public.meters m ON ((m.id = b.meter_id)))
             JOIN public.customers c ON ((c.id = b.customer_id)))
             JOIN public.tariff_versions v ON ((v.id = b.tariff_version_id)))
             JOIN public.tariffs t ON ((t.id = v.tariff_id)))
             JOIN public.readings opening ON ((opening.id = b.opening_reading_id)))
             JOIN public.readings closing ON ((closing.id = b.closing_reading_id)))
             LEFT JOIN private.last_bill_run_of() r(scheduled_on, begun_at) ON (true))
          WHERE (b.status = 'draft'::text)) d;

create or replace view public.unbilled_use_list with (security_invoker = true) as
 SELECT s.id AS service_point_id,
    s.code AS service_point_code,
    s.address,
    g.since,
    g.until,
    m.id AS meter_id,
    m.serial AS meter_serial,
    ((((((c.register_wh - o.register_wh) + private.register_span_wh((m.dials)::integer)) % private.register_span_wh((m.dials)::integer)) * i.multiplier_milli) + 500) / 1000) AS wh
   FROM (((((public.vacancies g
     JOIN public.service_points s ON ((s.id = g.service_point_id)))
     JOIN public.meter_installations i ON ((i.service_point_id = s.id)))
     JOIN public.meters m ON ((m.id = i.meter_id)))
     JOIN LATERAL (
             select x.register_wh, x.read_at from (
                 -- The read that ended or begins an agreement, else the one that is nearest: each by its index.
                 select 1 as place, r.register_wh, r.read_at from public.readings r
                 where r.id = g.closing_reading_id and r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
                     and (i.removed_at is null or r.read_at <= i.removed_at) and r.read_on >= g.since
                 union all
                 (select 2, r.register_wh, r.read_at from public.readings r
                  where r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
                     and (i.removed_at is null or r.read_at <= i.removed_at) and r.read_on >= g.since
                  order by r.read_at limit 1)) x
             order by x.place limit 1) o ON (true))
     JOIN LATERAL (
             select x.register_wh, x.read_at from (
                 -- The read that ended or begins an agreement, else the one that is nearest: each by its index.
                 select 1 as place, r.register_wh, r.read_at from public.readings r
                 where r.id = g.opening_reading_id and r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
                     and (i.removed_at is null or r.read_at <= i.removed_at) and r.read_on <= coalesce(g.until, 'infinity')
                 union all
                 (select 2, r.register_wh, r.read_at from public.readings r
                  where r.meter_id = i.meter_id and r.status = 'accepted' and r.read_at >= i.installed_at
                     and (i.removed_at is null or r.read_at <= i.removed_at) and r.read_on <= coalesce(g.until, 'infinity')
                  order by r.read_at desc limit 1)) x
             order by x.place limit 1) c ON (true))
  WHERE (c.read_at > o.read_at);

create function private.drafts_found(p jsonb, p_columns text, p_end text) returns text
    language sql immutable set search_path = '' as $_$
    -- Only what is asked for is looked up.
    select format('select %s from public.bills b', p_columns)
        || case when p_columns like '%s.outlier%' or coalesce((p ->> 'outliers')::boolean, false)
                then ' join public.draft_signs s on s.bill_id = b.id' else '' end
        || case when jsonb_array_length(coalesce(nullif(p -> 'search', 'null'), '[]')) > 0
                then ' join public.customers c on c.id = b.customer_id join public.meters m on m.id = b.meter_id' else '' end
        || case when p ->> 'tariff' is not null
                then ' join public.tariff_versions v on v.id = b.tariff_version_id join public.tariffs t on t.id = v.tariff_id' else '' end
        || case when coalesce((p ->> 'of_last_run')::boolean, false)
                then ' join private.last_bill_run_of() r on b.created_at >= r.begun_at and b.period_end <= r.scheduled_on' else '' end
        || ' where b.status = ''draft'''
        || case when p ->> 'month' is not null then
                ' and b.period_end > ($1 ->> ''month'')::date and b.period_end <= (($1 ->> ''month'')::date + interval ''1 month'')::date' else '' end
        || case when p ->> 'tariff' is not null then ' and t.code = $1 ->> ''tariff''' else '' end
        || case when p ->> 'currency' is not null then ' and b.currency = $1 ->> ''currency''' else '' end
        || case when jsonb_array_length(coalesce(nullif(p -> 'search', 'null'), '[]')) > 0
                then ' and lower(concat_ws('' '', c.account_no, c.name, m.serial)) ilike all (array(select jsonb_array_elements_text($1 -> ''search'')))' else '' end
        || case when p ->> 'only' is not null then ' and b.id in (select i::uuid from jsonb_array_elements_text($1 -> ''only'') i)' else '' end
        || case when p ->> 'except' is not null then ' and b.id not in (select i::uuid from jsonb_array_elements_text($1 -> ''except'') i)' else '' end
        || case when coalesce((p ->> 'outliers')::boolean, false) then ' and s.outlier' else '' end
        || case when coalesce((p ->> 'without_held')::boolean, false) then ' and b.held_because is null' else '' end
        || ' ' || p_end
$_$;
comment on function private.drafts_found(jsonb, text, text) is 'The statement that selects columns of drafts (b) and their signs (s), in which $1 is p: as private.drafts_chosen takes it. The texts come from the functions below only.';

create or replace function private.drafts_chosen(p jsonb)
returns table (
    id uuid, period_end date, currency text, consumption_wh bigint, subtotal_minor bigint, tax_minor bigint,
    total_minor bigint, outlier boolean)
language plpgsql stable set search_path = '' as $$
begin
    return query execute private.drafts_found(
        p, 'b.id, b.period_end, b.currency, b.consumption_wh, b.subtotal_minor, b.tax_minor, b.total_minor, s.outlier', '') using p;
end $$;

create function public.list_drafts(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' as $$
declare
    v_offset constant integer := (p ->> 'offset')::integer;
    v_limit constant integer := (p ->> 'limit')::integer;
    v_count_to constant integer := (p ->> 'count_to')::integer;
    v_all uuid[];
    v_ids uuid[];
begin
    execute 'select array(' || private.drafts_found(p, 'b.id', 'order by b.period_end desc, b.id desc limit $2') || ')'
    into v_all using p, greatest(v_count_to + 1, v_offset + v_limit);
    v_ids := v_all[v_offset + 1 : v_offset + v_limit];
    return jsonb_build_object('total', least(cardinality(v_all), v_count_to + 1), 'rows', (
        select coalesce(jsonb_agg(to_jsonb(d) order by d.period_end desc, d.id desc), '[]') from public.draft_list d where d.id = any (v_ids)));
end $$;
comment on function public.list_drafts(jsonb) is 'Drafts, the newest period first: {offset, limit, count_to, … as private.drafts_chosen} -> {total: count_to + 1 at most, rows of draft_list}.';

create function public.list_readings(p jsonb) returns jsonb
    language plpgsql stable set search_path = '' as $$
declare
    v_which constant text := 'from public.readings r where true'
        || case when p ->> 'status' is null then '' else format(' and r.status = %L', p ->> 'status') end
        || case when p ->> 'submitted_by' is null then '' else format(' and r.submitted_by = %L', p ->> 'submitted_by') end
        || case when p ->> 'meter_id' is null then '' else format(' and r.meter_id = %L', p ->> 'meter_id') end;
    v_ids uuid[];
    v_total bigint;
begin
    execute format('select array(select r.id %s order by r.created_at desc, r.id desc limit %s offset %s)',
                   v_which, (p ->> 'limit')::integer, (p ->> 'offset')::integer) into v_ids;
    execute format('select count(*) from (select 1 %s limit %s) x', v_which, (p ->> 'count_to')::integer + 1) into v_total;
    return jsonb_build_object('total', v_total, 'rows', (
        select coalesce(jsonb_agg(to_jsonb(l) order by l.created_at desc, l.id desc), '[]') from public.reading_list l where l.id = any (v_ids)));
end $$;
comment on function public.list_readings(jsonb) is 'Readings, the newest first: {status?, submitted_by?, meter_id?, offset, limit, count_to} -> {total: count_to + 1 at most, rows of reading_list}.';

revoke all on function private.drafts_found(jsonb, text, text), public.list_drafts(jsonb), public.list_readings(jsonb) from public, anon, authenticated;
grant execute on function private.drafts_found(jsonb, text, text), public.list_drafts(jsonb), public.list_readings(jsonb) to service_role;

create or replace function private.graph_rows_of(p_bills uuid[]) returns jsonb
    language plpgsql stable set search_path = '' set plan_cache_mode = 'force_custom_plan' as $$
declare
    v_bills jsonb;
    v_points uuid[];
    v_meters uuid[];
    v_fed_by uuid[];
    v_agreements jsonb;
    v_meter_rows jsonb;
    v_point_rows jsonb;
begin
    -- Ids in arrays, found step by step, let each view be entered by its key, however many rows it has.
    select coalesce(jsonb_agg(to_jsonb(b)), '[]') into v_bills from private.graph_bills b where b.id = any (p_bills);
    v_points := array(select distinct a.service_point_id from public.bills b join public.service_agreements a on a.id = b.agreement_id
                      where b.id = any (p_bills));
    v_meters := array(select i.meter_id from public.meter_installations i where i.service_point_id = any (v_points)
                      union select b.meter_id from public.bills b where b.id = any (p_bills));
    select coalesce(jsonb_agg(to_jsonb(s)), '[]') into v_point_rows from private.graph_service_points s where s.id = any (v_points);
    select coalesce(jsonb_agg(to_jsonb(a)), '[]') into v_agreements from private.graph_agreements a where a.service_point_id = any (v_points);
    select coalesce(jsonb_agg(to_jsonb(m)), '[]') into v_meter_rows from private.graph_meters m where m.id = any (v_meters);
    v_fed_by := array(select (x ->> 'transformer_id')::uuid from jsonb_array_elements(v_point_rows || v_meter_rows) x
                      where x ->> 'transformer_id' is not null group by 1);
    return jsonb_build_object(
        'feeders', (select coalesce(jsonb_agg(to_jsonb(f)), '[]') from private.graph_feeders f
                    where f.id in (select t.feeder_id from public.transformers t where t.id = any (v_fed_by))),
        'transformers', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from private.graph_transformers t where t.id = any (v_fed_by)),
        'customers', (select coalesce(jsonb_agg(to_jsonb(c)), '[]') from private.graph_customers c
                      where c.id = any (array(select (x ->> 'customer_id')::uuid from jsonb_array_elements(v_meter_rows || v_agreements) x
                                              where x ->> 'customer_id' is not null group by 1))),
        'service_points', v_point_rows,
        'agreements', v_agreements,
        'meters', v_meter_rows,
        'tariffs', (select coalesce(jsonb_agg(to_jsonb(v)), '[]') from private.graph_tariffs v
                    where v.id in (select (x ->> 'tariff_version_id')::uuid from jsonb_array_elements(v_bills) x)),
        'readings', (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from private.graph_readings r
                     where r.id = any (array(
                         select (x ->> 'opening_reading_id')::uuid from jsonb_array_elements(v_bills) x
                         union select (x ->> 'closing_reading_id')::uuid from jsonb_array_elements(v_bills) x
                         union select e.id::uuid from jsonb_array_elements(v_bills) x
                         cross join lateral jsonb_array_elements_text(x -> 'inner_reading_ids') e (id)))),
        'bills', v_bills,
        'payments', (select coalesce(jsonb_agg(to_jsonb(y)), '[]') from private.graph_payments y where y.bill_id = any (p_bills)));
end $$;

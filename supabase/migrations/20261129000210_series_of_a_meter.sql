-- A meter's intervals and reads of some days, for a file that others read.

create function public.meter_series(p jsonb) returns jsonb
    language sql stable set search_path to '' as $$
    select jsonb_build_object(
        'days', (select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(i)) order by i.day), '[]')
                 from (select distinct on (d.day) d.day, d.minutes, d.wh, d.quality from public.intervals d
                       where d.meter_id = (p ->> 'meter_id')::uuid and d.day >= (p ->> 'from')::date and d.day < (p ->> 'until')::date
                       order by d.day, d.id desc) i),
        'reads', (select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(r)) order by r.read_at), '[]')
                  from (select x.read_at, x.register_wh, x.source, (x.validation ->> 'quality')::integer as quality
                        from public.readings x
                        where x.meter_id = (p ->> 'meter_id')::uuid and x.status = 'accepted'
                          and x.read_on >= (p ->> 'from')::date and x.read_on < (p ->> 'until')::date) r))
$$;
comment on function public.meter_series(jsonb) is
    'What a meter measured from a local date to before another: {meter_id, from, until} -> {days: [{day, minutes, wh: nulls where nothing is known, quality?}], reads: [{read_at, register_wh: before the multiplier, source, quality?}] that were accepted}.';
revoke all on function public.meter_series(jsonb) from public;
grant execute on function public.meter_series(jsonb) to service_role;

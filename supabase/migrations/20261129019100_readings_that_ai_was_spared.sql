-- What AI was not asked about because nothing is suspicious is counted, and not what came in while there was no AI.

drop index public.readings_not_asked;
create index readings_not_asked on public.readings (created_at) where validation ? 'ai_spared';

create or replace function public.reading_verdict_counts(p jsonb) returns jsonb
    language sql stable
    set search_path to ''
    as $$
    with judged as (
        select jsonb_path_exists(r.validation, '$.rules[*] ? (@.outcome == "review")') as by_rules,
               r.validation #>> '{ai,verdict}' = 'suspicious'
                   and (r.validation #>> '{ai,confidence}')::integer >= (p ->> 'least_confidence')::integer as by_ai,
               r.decided_at is not null as is_decided, r.status = 'accepted' as is_accepted
        from public.readings r
        where r.validation #>> '{ai,verdict}' is not null and r.created_at >= (p ->> 'since')::timestamptz
    )
    select jsonb_build_object(
        'judged', count(*),
        'neither', count(*) filter (where not by_rules and not by_ai),
        'both', count(*) filter (where by_rules and by_ai),
        'rules_alone', count(*) filter (where by_rules and not by_ai),
        'rules_alone_accepted', count(*) filter (where by_rules and not by_ai and is_decided and is_accepted),
        'rules_alone_refused', count(*) filter (where by_rules and not by_ai and is_decided and not is_accepted),
        'ai_alone', count(*) filter (where by_ai and not by_rules),
        'ai_alone_accepted', count(*) filter (where by_ai and not by_rules and is_decided and is_accepted),
        'ai_alone_refused', count(*) filter (where by_ai and not by_rules and is_decided and not is_accepted),
        'not_asked', (
            select count(*) from public.readings r
            where r.validation ? 'ai_spared' and r.created_at >= (p ->> 'since')::timestamptz))
    from judged
$$;

comment on function public.reading_verdict_counts(p jsonb) is 'Of the readings stored since an instant that AI judged, how many the rules and AI doubted, both, neither or one alone, and what people decided of those that one alone doubted; and how many it was not asked about, as nothing was suspicious: {since, least_confidence: from which AI doubts}.';

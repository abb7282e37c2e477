-- Ai: written by `make schemas`, for reading.
-- To change something, add a file to supabase/migrations.

CREATE TABLE public.ai_calls (
    id uuid NOT NULL,
    purpose text NOT NULL,
    model text NOT NULL,
    prompt_tokens integer DEFAULT 0 NOT NULL,
    completion_tokens integer DEFAULT 0 NOT NULL,
    cost_micro bigint,
    outcome text NOT NULL,
    reading_id uuid,
    bill_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ai_calls_completion_tokens_check CHECK ((completion_tokens >= 0)),
    CONSTRAINT ai_calls_cost_micro_check CHECK ((cost_micro >= 0)),
    CONSTRAINT ai_calls_outcome_check CHECK ((outcome <> ''::text)),
    CONSTRAINT ai_calls_prompt_tokens_check CHECK ((prompt_tokens >= 0)),
    CONSTRAINT ai_calls_purpose_check CHECK ((purpose = ANY (ARRAY['validate_reading'::text, 'calculate_bill'::text, 'write_message'::text, 'read_dial'::text])))
);

COMMENT ON TABLE public.ai_calls IS 'Every question that was sent to AI, whatever came of it.';

COMMENT ON COLUMN public.ai_calls.cost_micro IS 'Millionths of a US dollar by the prices set at the time; null when no prices were set.';

COMMENT ON COLUMN public.ai_calls.outcome IS '"answered", or why there is no usable answer: timeout, unreachable, refused, filtered, cut, malformed, busy, no_quota, not_allowed, not_found, rejected, failed.';

COMMENT ON COLUMN public.ai_calls.reading_id IS 'No foreign key, as with bill_id: AI is asked before the reading and its bill are stored.';

ALTER TABLE ONLY public.ai_calls
    ADD CONSTRAINT ai_calls_pkey PRIMARY KEY (id);

CREATE INDEX ai_calls_recent ON public.ai_calls USING btree (created_at DESC);

ALTER TABLE public.ai_calls ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.ai_calls TO service_role;

CREATE VIEW public.second_opinion_list WITH (security_invoker='true') AS
 SELECT id AS bill_id,
    number,
    status,
    meter_id,
    currency,
    total_minor,
    second_opinion,
    created_at
   FROM public.bills b
  WHERE (second_opinion IS NOT NULL);

COMMENT ON VIEW public.second_opinion_list IS 'The bills that AI has computed too.';

GRANT SELECT,INSERT,REFERENCES,DELETE,TRUNCATE,MAINTAIN,UPDATE ON TABLE public.second_opinion_list TO service_role;

CREATE FUNCTION public.add_ai_call(p jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    insert into public.ai_calls (id, purpose, model, prompt_tokens, completion_tokens, cost_micro, outcome,
                                 reading_id, bill_id)
    select c.id, c.purpose, c.model, c.prompt_tokens, c.completion_tokens, c.cost_micro, c.outcome,
           c.reading_id, c.bill_id
    from jsonb_to_record(p) as c(
        id uuid, purpose text, model text, prompt_tokens integer, completion_tokens integer,
        cost_micro bigint, outcome text, reading_id uuid, bill_id uuid)
    on conflict (id) do nothing;
    return '{}'::jsonb;
end $$;

COMMENT ON FUNCTION public.add_ai_call(p jsonb) IS 'Keeps one call: {id, purpose, model, prompt_tokens, completion_tokens, cost_micro, outcome, reading_id, bill_id}.';

REVOKE ALL ON FUNCTION public.add_ai_call(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_ai_call(p jsonb) TO service_role;

CREATE FUNCTION public.second_opinion_counts(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'asked', count(*),
        'agreed', count(*) filter (where (b.second_opinion ->> 'agrees')::boolean),
        'differed', count(*) filter (where not (b.second_opinion ->> 'agrees')::boolean),
        'held', count(*) filter (where (b.second_opinion ->> 'held')::boolean))
    from public.bills b
    where b.second_opinion is not null and b.created_at >= (p ->> 'since')::timestamptz
$$;

COMMENT ON FUNCTION public.second_opinion_counts(p jsonb) IS 'How often AI agreed with the bills made since an instant, differed, and held one for review: {since}.';

REVOKE ALL ON FUNCTION public.second_opinion_counts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.second_opinion_counts(p jsonb) TO service_role;

CREATE FUNCTION public.ai_spending(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select jsonb_build_object(
        'calls', count(*),
        'unanswered', count(*) filter (where c.outcome <> 'answered'),
        'prompt_tokens', coalesce(sum(c.prompt_tokens), 0)::bigint,
        'completion_tokens', coalesce(sum(c.completion_tokens), 0)::bigint,
        'cost_micro', coalesce(sum(c.cost_micro), 0)::bigint,
        'unpriced', count(*) filter (where c.cost_micro is null))
    from public.ai_calls c
    where c.created_at >= (p ->> 'since')::timestamptz
$$;

COMMENT ON FUNCTION public.ai_spending(p jsonb) IS 'What AI cost since an instant, such as the start of the month: {since}.';

REVOKE ALL ON FUNCTION public.ai_spending(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ai_spending(p jsonb) TO service_role;

CREATE FUNCTION public.reading_verdict_counts(p jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $_$
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
$_$;

COMMENT ON FUNCTION public.reading_verdict_counts(p jsonb) IS 'Of the readings stored since an instant that AI judged, how many the rules and AI doubted, both, neither or one alone, and what people decided of those that one alone doubted; and how many it was not asked about, as nothing was suspicious: {since, least_confidence: from which AI doubts}.';

REVOKE ALL ON FUNCTION public.reading_verdict_counts(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reading_verdict_counts(p jsonb) TO service_role;

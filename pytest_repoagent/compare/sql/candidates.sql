-- What a reference may name: a row per run and model, newest first, with the conditions it was made under.
SELECT
    run_id,
    r.model,
    s.suite,
    s.suite_sha256,
    s.settings_hash,
    s.settings,
    s.settings->>'tag' AS tag,                                                    -- --tag of the run; NULL without
    coalesce((s.settings->>'rollouts')::INTEGER, 1) AS expected,                  -- rollouts of each task that the run was to make
    count(*) FILTER (NOT r.counted) AS spoiled                                    -- rollouts in no number
FROM rollouts r LEFT JOIN runs s USING (run_id)
GROUP BY ALL
ORDER BY coalesce(any_value(s.started_at), min(r.started_at)) DESC, run_id, r.model

-- What one asks the store for. Every rate is between 0 and 1, and NULL where its denominator is 0. Only rollouts with
-- "counted" are in a denominator; tokens and cost are sums over all rollouts, because all of them were paid for.
-- Rates "over replies" pool the replies of the group's rollouts, so long rollouts weigh more; rates "over rollouts"
-- and means weigh every rollout the same. Nothing here weighs tasks equally or gives intervals.

-- The metrics of each group of rollouts, twice: by model, suite and settings over all runs, and by run as well.
-- model_comparison and run_summary choose between the two.
CREATE OR REPLACE VIEW metrics AS
WITH replies AS (
    SELECT
        rollout_id,                                                               -- steps.rollout_id
        count(*) AS replies,                                                      -- model replies
        count(*) FILTER (strict_valid) AS strict,                                 -- that were exactly one action
        count(*) FILTER (strict_valid OR lenient_valid) AS lenient,               -- that were, or can be repaired
        count(*) FILTER (acted AND tool IS NULL) AS finals,                       -- that ended the rollout
        count(*) FILTER (executed_ok) AS executed                                 -- whose tool did its work
    FROM steps
    GROUP BY rollout_id
)
SELECT
    run_id,                                                                       -- the run; NULL in rows over all runs
    grouping(run_id) = 0 AS by_run,                                               -- whether the row is of one run
    model,                                                                        -- spec provider:name
    suite,                                                                        -- suite name
    split,                                                                        -- train or heldout
    settings_hash,                                                                -- names the settings that shape a rollout
    min(started_at) AS started_at,                                                -- when the first rollout began, UTC
    count(DISTINCT run_id) AS runs,                                               -- runs pooled in the row
    count(*) AS rollouts,                                                         -- recorded, counted or not
    count(*) FILTER (counted) AS counted,                                         -- rollouts in the denominators below
    count(DISTINCT task_id) FILTER (counted) AS tasks,                            -- tasks among them
    sum(strict) FILTER (counted) / nullif(sum(replies) FILTER (counted), 0) AS strict_valid,   -- over replies: exactly one action
    sum(lenient) FILTER (counted) / nullif(sum(replies) FILTER (counted), 0) AS lenient_valid, -- over replies: an action after unambiguous repairs at most
    sum(executed) FILTER (counted) / nullif(sum(replies - finals) FILTER (counted), 0) AS executed_ok, -- over replies that were no final: a call whose tool did its work
    avg((parse_errors > 0)::INTEGER) FILTER (counted) AS any_parse_error,         -- over rollouts: at least one parse error
    avg(parse_errors) FILTER (counted) AS mean_parse_errors,                      -- parse errors per rollout
    coalesce(sum(loop_detections) FILTER (counted), 0)::BIGINT AS loop_detections, -- loops detected in counted rollouts
    avg((loop_detections > 0)::INTEGER) FILTER (counted) AS loop_rate,            -- over rollouts: at least one loop detected
    avg(wrote_file::INTEGER) FILTER (counted) AS reached_write,                   -- over rollouts: a write_file succeeded
    avg(steps) FILTER (counted) AS mean_steps,                                    -- replies per rollout
    count(success) FILTER (counted) AS judged,                                    -- rollouts whose tests ran: the denominator of pass_rate
    avg(success::INTEGER) FILTER (counted) AS pass_rate,                          -- over rollouts whose tests ran: the last test run passed
    sum(prompt_tokens)::BIGINT AS prompt_tokens,                                  -- over all rollouts; NULL where nobody counted
    sum(completion_tokens)::BIGINT AS completion_tokens,                          -- over all rollouts; NULL where nobody counted
    sum(cost_usd) AS cost_usd,                                                    -- over all rollouts with a known cost
    sum(duration_s) AS total_duration_s,                                          -- wall seconds of all rollouts together
    avg(duration_s) FILTER (counted) AS mean_duration_s                           -- wall seconds per rollout
FROM rollouts LEFT JOIN replies USING (rollout_id)
GROUP BY GROUPING SETS ((model, suite, split, settings_hash), (run_id, model, suite, split, settings_hash));

-- Models side by side: a row per model, suite and settings over all runs; columns as in metrics.
CREATE OR REPLACE VIEW model_comparison AS
SELECT * EXCLUDE (run_id, by_run, started_at) FROM metrics WHERE NOT by_run
ORDER BY suite, settings_hash, model;

-- The same per run; columns as in metrics.
CREATE OR REPLACE VIEW run_summary AS
SELECT * EXCLUDE (by_run, runs) FROM metrics WHERE by_run
ORDER BY started_at, run_id, model;

-- How a model did from run to run: each run beside the run before it of the same model, suite and settings.
CREATE OR REPLACE VIEW run_history AS
SELECT
    m.run_id,                                                                     -- the run
    coalesce(r.started_at, m.started_at) AS started_at,                           -- when it began, UTC
    r.commit,                                                                     -- commit of the source
    m.model,                                                                      -- spec provider:name
    m.suite,                                                                      -- suite name
    m.settings_hash,                                                              -- names the settings
    m.rollouts,                                                                   -- recorded, counted or not
    m.counted,                                                                    -- in the denominators
    m.strict_valid,                                                               -- as in metrics
    m.strict_valid - lag(m.strict_valid) OVER earlier AS strict_valid_change,     -- since the run before; NULL in the first
    m.pass_rate,                                                                  -- as in metrics
    m.pass_rate - lag(m.pass_rate) OVER earlier AS pass_rate_change               -- since the run before; NULL in the first
FROM metrics m LEFT JOIN runs r ON r.run_id = m.run_id
WHERE m.by_run
WINDOW earlier AS (
    PARTITION BY m.model, m.suite, m.settings_hash ORDER BY coalesce(r.started_at, m.started_at), m.run_id
)
ORDER BY started_at, m.run_id, m.model;

-- Which task each model solves: a row per task and model, over all runs and settings, counted rollouts only.
CREATE OR REPLACE VIEW task_matrix AS
SELECT
    task_id,                                                                      -- source/name
    model,                                                                        -- spec provider:name
    count(*) AS rollouts,                                                         -- counted rollouts
    count(*) FILTER (success) AS passes,                                          -- whose last test run passed
    avg(success::INTEGER) AS pass_rate,                                           -- passes over rollouts whose tests ran
    avg(parse_errors) AS mean_parse_errors                                        -- parse errors per rollout
FROM rollouts
WHERE counted
GROUP BY task_id, model
ORDER BY task_id, model;

-- What models get wrong about the protocol: a row per model and family of parse errors, counted rollouts only.
CREATE OR REPLACE VIEW parse_error_breakdown AS
WITH replies AS (
    SELECT model, error_family, count(*) AS errors, sum(count(*)) OVER (PARTITION BY model) AS replies
    FROM steps JOIN rollouts USING (rollout_id)
    WHERE counted
    GROUP BY model, error_family
)
SELECT
    model,                                                                        -- spec provider:name
    error_family,                                                                 -- error code without its argument
    errors,                                                                       -- replies with such an error
    errors / replies AS share                                                     -- of all the model's replies
FROM replies
WHERE error_family IS NOT NULL
ORDER BY model, errors DESC, error_family;

-- Which tools models use: a row per model and tool, counted rollouts only.
CREATE OR REPLACE VIEW tool_breakdown AS
SELECT
    model,                                                                        -- spec provider:name
    tool,                                                                         -- tool name
    count(*) AS calls,                                                            -- calls that reached the tool
    count(*) FILTER (executed_ok) AS ok,                                          -- that did their work
    avg(executed_ok::INTEGER) AS ok_rate,                                         -- share of calls that did
    count(*) / sum(count(*)) OVER (PARTITION BY model) AS share                   -- of all the model's calls
FROM steps JOIN rollouts USING (rollout_id)
WHERE counted AND tool IS NOT NULL
GROUP BY model, tool
ORDER BY model, calls DESC, tool;

-- How long rollouts are: a row per model and length, counted rollouts only.
CREATE OR REPLACE VIEW step_histogram AS
SELECT
    model,                                                                        -- spec provider:name
    steps,                                                                        -- model replies
    count(*) AS rollouts,                                                         -- rollouts of that length
    count(*) FILTER (success) AS passes                                           -- that passed
FROM rollouts
WHERE counted
GROUP BY model, steps
ORDER BY model, steps;

-- What models cost: a row per model, over all rollouts, counted or not.
CREATE OR REPLACE VIEW cost_by_model AS
SELECT
    model,                                                                        -- spec provider:name
    count(*) AS rollouts,                                                         -- recorded rollouts
    count(cost_usd) AS priced,                                                    -- those with a known cost
    sum(prompt_tokens)::BIGINT AS prompt_tokens,                                  -- NULL where nobody counted
    sum(completion_tokens)::BIGINT AS completion_tokens,                          -- NULL where nobody counted
    sum(cost_usd) AS cost_usd,                                                    -- of the priced rollouts
    sum(cost_usd) / nullif(count(cost_usd), 0) AS rollout_usd,                    -- per priced rollout
    sum(cost_usd) / nullif(count(*) FILTER (counted AND success AND cost_usd IS NOT NULL), 0) AS pass_usd -- cost of the priced rollouts per counted pass among them
FROM rollouts
GROUP BY model
ORDER BY model;

-- What a run says at its end: run_summary with its parse errors by family; other columns as in metrics.
CREATE OR REPLACE VIEW run_totals AS
WITH families AS (
    SELECT run_id, model, error_family, count(*) AS errors
    FROM steps JOIN rollouts USING (rollout_id)
    WHERE counted AND error_family IS NOT NULL
    GROUP BY ALL
), maps AS (
    SELECT
        run_id,
        model,
        map(list(error_family ORDER BY errors DESC, error_family), list(errors ORDER BY errors DESC, error_family)) AS families
    FROM families
    GROUP BY ALL
), walls AS (
    SELECT
        run_id,
        model,
        epoch(max(started_at + to_microseconds((duration_s * 1e6)::BIGINT)) - min(started_at)) AS wall_s
    FROM rollouts
    GROUP BY ALL
)
SELECT
    s.*,
    coalesce(m.families, MAP {}) AS parse_errors_by_code,                         -- error family -> replies, most first
    w.wall_s                                                                      -- seconds from the first rollout's start to the last one's end
FROM run_summary s
LEFT JOIN maps m ON m.run_id = s.run_id AND m.model = s.model
LEFT JOIN walls w ON w.run_id = s.run_id AND w.model = s.model
ORDER BY s.run_id, s.model;

-- What ran the code that models wrote, and what kept it in: a row per run, runner, judge and sandbox.
CREATE OR REPLACE VIEW run_sandbox AS
SELECT
    run_id,                                                                       -- the run
    t.runner,                                                                     -- which test runner judged
    t.judge,                                                                      -- split or in_process, as in test_runs
    t.sandbox,                                                                    -- what kept the code in, as in test_runs
    count(*) AS test_runs                                                         -- test runs of this kind
FROM test_runs t JOIN rollouts USING (rollout_id)
GROUP BY ALL
ORDER BY run_id, test_runs DESC, t.runner, t.judge, t.sandbox;

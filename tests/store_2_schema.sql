-- The store of recorded rollouts: one DuckDB file (2.0 or newer), filled from traces, never edited.
--
-- Words: a run is one pytest session; a rollout is one attempt at one task by one model with one seed; a step is one
-- model reply and what the driver did with it. NULL always means "unknown" or "there was none", as the column says.
-- Times are TIMESTAMP in UTC, without a zone (so that no client's TimeZone setting changes what is shown). *_s are
-- seconds, *_usd US dollars, *_tokens as the provider counted them. JSON columns hold objects unless said otherwise.
-- Half surrogate pairs, which UTF-8 cannot carry, are replaced by U+FFFD; the trace keeps them.
-- Tables have no foreign keys: a rollout whose run or steps are missing is still readable.

-- Facts about this file.
CREATE TABLE meta (
    key VARCHAR PRIMARY KEY,  -- format, schema_version, or views_sha256
    value VARCHAR NOT NULL    -- 'pytest-repoagent'; the version of this file as a number; hash of the views.sql in use
);

-- A run: the facts that its first recorded rollout was made under.
CREATE TABLE runs (
    run_id VARCHAR PRIMARY KEY,                    -- the session's id
    started_at TIMESTAMP,                          -- when the session began, UTC; NULL where unknown
    suite VARCHAR,                                 -- name of the suite
    suite_sha256 VARCHAR,                          -- hash of the suite's content
    split VARCHAR,                                 -- train or heldout; NULL for a suite that is not split, or unknown
    source VARCHAR,                                -- where the tasks' files come from: quixbugs, minibugs, ...
    commit VARCHAR,                                -- commit of the source; NULL where it has none
    settings JSON USING COMPRESSION zstd,          -- every setting by name
    settings_hash VARCHAR,                         -- names the settings that shape a rollout; equal hashes may be pooled
    versions JSON USING COMPRESSION zstd           -- package -> version; {"trace": "legacy"} for old-style traces
);

-- A rollout. The metrics count rows with "counted"; attempts that a provider or this machine spoiled say nothing
-- about the model and are in no denominator.
CREATE TABLE rollouts (
    rollout_id VARCHAR PRIMARY KEY,                 -- names the attempt; a rollout is recorded once
    run_id VARCHAR NOT NULL,                        -- runs.run_id
    task_id VARCHAR,                                -- source/name, such as quixbugs/gcd
    model VARCHAR,                                  -- spec provider:name
    rollout INTEGER,                                -- 0-based index among repeats of task and model in the run
    seed BIGINT,                                    -- seed given to the model
    attempt INTEGER,                                -- 0-based; above 0 where an earlier attempt was spoiled
    suite VARCHAR,                                  -- as in runs
    split VARCHAR,                                  -- as in runs
    source VARCHAR,                                 -- as in runs
    settings_hash VARCHAR,                          -- as in runs
    family VARCHAR,                                 -- tasks of one family are never on both sides of a split
    difficulty VARCHAR,                             -- easy, medium or hard
    category VARCHAR,                               -- what the program is about
    defect_class VARCHAR,                           -- what kind of bug it is
    started_at TIMESTAMP,                           -- when the rollout began, UTC
    duration_s DOUBLE,                              -- wall seconds from start to outcome
    outcome VARCHAR,                                -- final, max_iters, loop, timeout, budget, provider_error or infrastructure_error
    counted BOOLEAN NOT NULL,                       -- false for provider_error, infrastructure_error and the cause budget
    success BOOLEAN,                                -- the driver's own last test run passed; NULL where tests never ran
    error VARCHAR USING COMPRESSION zstd,           -- why it could not go on; NULL where it ended by itself
    cause VARCHAR,                                  -- whose fault the error was: model, provider, infrastructure or user; budget where the run's was spent
    steps INTEGER NOT NULL,                         -- model replies; rows in steps
    tool_calls INTEGER NOT NULL,                    -- calls that reached a tool
    tool_breakdown JSON USING COMPRESSION zstd,     -- tool -> calls that reached it
    files_touched VARCHAR[],                        -- workspace paths written
    wrote_file BOOLEAN NOT NULL,                    -- a write_file succeeded
    parse_errors INTEGER NOT NULL,                  -- replies that were no strictly valid action, repaired or not
    parse_errors_by_code JSON USING COMPRESSION zstd, -- error family -> count
    loop_detections INTEGER,                        -- times the driver saw the agent go in circles
    reflection_count INTEGER,                       -- times the driver asked for reflection
    test_runs INTEGER NOT NULL,                     -- times the driver ran the tests; rows in test_runs
    prompt_tokens BIGINT,                           -- sum over steps; NULL where no step was counted
    completion_tokens BIGINT,                       -- sum over steps; NULL where no step was counted
    cost_usd DOUBLE,                                -- NULL where the price or the tokens are unknown
    final_summary VARCHAR USING COMPRESSION zstd,   -- what the model said it did; empty without a final
    test_output VARCHAR USING COMPRESSION zstd,     -- text of the last test run; empty where tests never ran
    diff VARCHAR USING COMPRESSION zstd,            -- unified diff of the workspace against the pristine files
    metadata JSON USING COMPRESSION zstd,           -- the task's metadata, with expected_files (those the known fix changes)
    run_facts JSON USING COMPRESSION zstd,          -- the run's facts exactly as this rollout's trace has them
    task_facts JSON USING COMPRESSION zstd,         -- the task's facts exactly as this rollout's trace has them
    trace_path VARCHAR,                             -- the file it was read from
    runner VARCHAR,                                 -- the test runner; NULL where an older trace does not say
    sandbox VARCHAR                                 -- what kept the model's code in: full, the layers there were joined by +, or none; NULL as runner
);

-- A step.
CREATE TABLE steps (
    rollout_id VARCHAR NOT NULL,                    -- rollouts.rollout_id
    step INTEGER NOT NULL,                          -- 0-based position in the rollout
    new_messages JSON USING COMPRESSION zstd,       -- array of {role, content}: what the conversation gained since the last request, besides the last reply
    window_policy VARCHAR,                          -- full or last_k:N: how much of the conversation was sent
    prompt_sha256 VARCHAR,                          -- hash of exactly the messages sent; NULL where an old trace lacks them
    raw VARCHAR USING COMPRESSION zstd,             -- the reply
    finish_reason VARCHAR,                          -- stop, length, or the provider's own word
    strict_valid BOOLEAN NOT NULL,                  -- the reply was exactly one action
    lenient_valid BOOLEAN NOT NULL,                 -- it was, or unambiguous repairs make it one
    error_code VARCHAR,                             -- why it was not strictly valid, such as missing_required:content; NULL where it was
    error_family VARCHAR,                           -- the code without its argument: missing_required
    error_message VARCHAR,                          -- what the model was told about it
    action JSON USING COMPRESSION zstd,             -- the executed or final action; NULL where nothing was executed
    tool VARCHAR,                                   -- the action's tool; NULL for a final or where nothing was executed
    executed_ok BOOLEAN,                            -- the tool did its work; NULL where none ran
    tool_code VARCHAR,                              -- why the tool refused; NULL where it did not
    result VARCHAR USING COMPRESSION zstd,          -- the tool's text; NULL where none ran
    flags VARCHAR[],                                -- ways in which a valid step was poor: exact_repeat, no_op_write, ...
    prompt_tokens BIGINT,                           -- of this call; NULL where not counted
    completion_tokens BIGINT,                       -- of this call; NULL where not counted
    latency_s DOUBLE,                               -- seconds the model took
    tool_s DOUBLE,                                  -- seconds the tool took
    extra JSON USING COMPRESSION zstd,              -- what the model reported besides its text
    PRIMARY KEY (rollout_id, step)
);

-- A run of the task's tests by the driver.
CREATE TABLE test_runs (
    rollout_id VARCHAR NOT NULL,             -- rollouts.rollout_id
    n INTEGER NOT NULL,                      -- 0-based position in the rollout
    step INTEGER,                            -- the step after which it ran; NULL for the run at the end
    passed BOOLEAN NOT NULL,                 -- every expected test passed, and the run ended normally
    reason VARCHAR,                          -- passed, or why not: failed, timed_out, collection_error, ...
    counts JSON USING COMPRESSION zstd,      -- test outcome -> number of tests
    text VARCHAR USING COMPRESSION zstd,     -- what the model was shown of it
    duration_s DOUBLE,                       -- wall seconds
    cpu_s DOUBLE,                            -- CPU seconds of the run and its children
    runner VARCHAR,                          -- which runner judged
    judge VARCHAR,                           -- split: tests and program in processes of their own; in_process: in one; NULL where an older trace does not say
    sandbox VARCHAR,                         -- as in rollouts
    PRIMARY KEY (rollout_id, n)
);

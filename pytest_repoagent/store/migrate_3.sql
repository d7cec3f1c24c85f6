-- From version 2 to 3: the texts of a step in one column, and no indexes on steps and test_runs, as schema.sql explains.
CREATE TABLE steps_3 (
    rollout_id VARCHAR NOT NULL,
    step INTEGER NOT NULL,
    new_messages JSON GENERATED ALWAYS AS (split_part(texts, chr(30), 1)),
    window_policy VARCHAR,
    prompt_sha256 VARCHAR,
    raw VARCHAR GENERATED ALWAYS AS (array_to_string(string_split(texts, chr(30))[4:], chr(30))),
    finish_reason VARCHAR,
    strict_valid BOOLEAN NOT NULL,
    lenient_valid BOOLEAN NOT NULL,
    error_code VARCHAR,
    error_family VARCHAR,
    error_message VARCHAR,
    action JSON GENERATED ALWAYS AS (CASE WHEN acted THEN coalesce(nullif(split_part(texts, chr(30), 2), ''), raw) END),
    acted BOOLEAN NOT NULL,
    tool VARCHAR,
    executed_ok BOOLEAN,
    tool_code VARCHAR,
    result VARCHAR GENERATED ALWAYS AS (CAST(split_part(texts, chr(30), 3) AS JSON) ->> '$'),
    flags VARCHAR[],
    prompt_tokens BIGINT,
    completion_tokens BIGINT,
    latency_s DOUBLE,
    tool_s DOUBLE,
    extra JSON USING COMPRESSION zstd,
    texts VARCHAR NOT NULL USING COMPRESSION zstd
);
INSERT INTO steps_3 BY NAME
SELECT
    * EXCLUDE (new_messages, raw, action, result),
    action IS NOT NULL AS acted,
    concat(
        new_messages::VARCHAR, chr(30),
        CASE WHEN action::VARCHAR <> raw THEN action::VARCHAR END, chr(30),
        coalesce(to_json(result)::VARCHAR, 'null'), chr(30),
        raw
    ) AS texts
FROM steps
ORDER BY rowid;
DROP TABLE steps;
ALTER TABLE steps_3 RENAME TO steps;

CREATE TABLE test_runs_3 (
    rollout_id VARCHAR NOT NULL,
    n INTEGER NOT NULL,
    step INTEGER,
    passed BOOLEAN NOT NULL,
    reason VARCHAR,
    counts JSON USING COMPRESSION zstd,
    text VARCHAR USING COMPRESSION zstd,
    duration_s DOUBLE,
    cpu_s DOUBLE,
    runner VARCHAR,
    judge VARCHAR,
    sandbox VARCHAR
);
INSERT INTO test_runs_3 BY NAME FROM test_runs ORDER BY rowid;
DROP TABLE test_runs;
ALTER TABLE test_runs_3 RENAME TO test_runs;

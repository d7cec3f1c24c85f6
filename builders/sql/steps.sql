-- Every step of the usable rollouts, why it is no example (NULL where it is), and what it weighs.
CREATE TEMP TABLE candidate_steps AS
WITH usable AS (
    SELECT rollout_id AS usable_id, task_id AS usable_task, rank, steps AS length FROM candidate_rollouts WHERE reason IS NULL
), failures AS (
    SELECT u.rank AS failed_rank, s.step + 1 AS next_step, coalesce(s.error_family, s.tool_code) AS failure
    FROM steps s JOIN usable u ON u.usable_id = s.rollout_id
    WHERE failure IS NOT NULL
), repeated AS (
    SELECT hash(s.prompt_sha256) AS state
    FROM steps s JOIN usable u ON u.usable_id = s.rollout_id
    GROUP BY state
    HAVING count(*) > 1
), examples AS (  -- only where there are several steps at a state, because reading actions costs more than all else here
    SELECT s.rowid AS example_place, md5_number(s.prompt_sha256 || s.action) AS example
    FROM steps s JOIN repeated r ON hash(s.prompt_sha256) = r.state
), facts AS (
    SELECT
        s.rowid AS place,
        s.step,
        s.tool,
        u.rank,
        u.usable_task AS task_id,
        r.success,
        u.length,
        coalesce(x.example, s.rowid::UHUGEINT) AS example,
        f.failure AS recovers,
        CASE
            WHEN ({where}) IS NOT TRUE THEN 'not in --where'
            WHEN s.prompt_sha256 IS NULL THEN 'prompt not recorded'
            WHEN NOT s.acted OR ($require_strict AND NOT s.strict_valid) THEN 'no valid action'
            WHEN $require_valid_tool_ok AND s.tool IS NOT NULL AND s.executed_ok IS NOT TRUE THEN 'refused by the tool'
            WHEN NOT $loops AND list_has_any(s.flags, $loop_flags) THEN 'loop'
            WHEN NOT $unchanged_writes AND list_contains(s.flags, 'no_op_write') THEN 'write that changes nothing'
            WHEN NOT $bad_content AND list_has_any(s.flags, $content_flags) THEN 'elided or broken content'
            WHEN list_contains(s.flags, 'premature_final') THEN 'final before any write'
            WHEN NOT $include_final AND s.tool IS NULL THEN 'final'
        END AS reason
    FROM steps s
    JOIN rollouts r USING (rollout_id)
    JOIN usable u ON u.usable_id = r.rollout_id
    LEFT JOIN failures f ON f.failed_rank = u.rank AND f.next_step = s.step
    LEFT JOIN examples x ON x.example_place = s.rowid
), recovered AS (
    SELECT * REPLACE (CASE WHEN reason IS NULL AND NOT $recovery AND recovers IS NOT NULL THEN 'recovery' ELSE reason END AS reason)
    FROM facts
), copied AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY example, reason IS NULL ORDER BY success DESC NULLS LAST, rank, step) AS copy,
        count(*) OVER (PARTITION BY example, reason IS NULL) AS copies
    FROM recovered
), distinct_ AS (
    SELECT * REPLACE (CASE WHEN reason IS NULL AND $dedup AND copy > 1 THEN 'duplicate' ELSE reason END AS reason) FROM copied
), slotted AS (
    SELECT *, row_number() OVER (PARTITION BY task_id, step, tool, reason IS NULL ORDER BY length, rank) AS slot FROM distinct_
), spread AS (
    SELECT
        * REPLACE (CASE WHEN reason IS NULL AND $max_per_slot > 0 AND slot > $max_per_slot THEN 'over --max-per-slot' ELSE reason END AS reason)
    FROM slotted
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY task_id, reason IS NULL ORDER BY length, rank, step) AS nth FROM spread
), capped AS (
    SELECT
        * REPLACE (CASE WHEN reason IS NULL AND $max_per_task > 0 AND nth > $max_per_task THEN 'over --max-per-task' ELSE reason END AS reason)
    FROM placed
), groups AS (
    SELECT
        *,
        CASE $balance WHEN 'task' THEN task_id WHEN 'tool' THEN coalesce(tool, 'final') ELSE '' END AS part
    FROM capped
), parts AS (
    SELECT part, sum(count(*)) OVER () / count(*) OVER () / count(*) AS balance FROM groups WHERE reason IS NULL GROUP BY part
)
SELECT
    place, rank, step, reason, recovers, copies,
    round(
        CASE WHEN success THEN 1.0 ELSE $fail_weight END
        * CASE WHEN $dedup AND $duplicate_weight = 'count' THEN copies WHEN $dedup AND $duplicate_weight = 'sqrt' THEN sqrt(copies) ELSE 1.0 END
        * CASE $balance WHEN 'none' THEN 1.0 ELSE p.balance END,
        6
    ) AS weight
FROM groups LEFT JOIN parts p USING (part)
ORDER BY place

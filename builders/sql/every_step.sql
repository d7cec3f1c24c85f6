-- Every step of the usable rollouts, in the columns of steps.sql: for builders that choose among them by themselves.
CREATE TEMP TABLE candidate_steps AS
SELECT
    s.rowid AS place, c.rank, s.step,
    CASE WHEN s.prompt_sha256 IS NULL THEN 'prompt not recorded' END AS reason,
    lag(coalesce(s.error_family, s.tool_code)) OVER (PARTITION BY s.rollout_id ORDER BY s.step) AS recovers,
    1 AS copies,
    1.0 AS weight
FROM candidate_rollouts c JOIN steps s USING (rollout_id)
WHERE c.reason IS NULL
ORDER BY place

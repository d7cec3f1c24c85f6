-- Among all steps of the usable rollouts the first at each state where a student was asked; columns as in steps.sql.
CREATE TEMP TABLE candidate_steps AS
WITH asked AS (
    SELECT DISTINCT state_hash FROM branches
    WHERE raw IS NOT NULL AND (len($students) = 0 OR model IN (SELECT unnest($students)))
)
SELECT
    s.rowid AS place, c.rank, s.step,
    CASE
        WHEN a.state_hash IS NULL THEN 'no student was asked there'
        WHEN row_number() OVER (PARTITION BY s.prompt_sha256 ORDER BY c.rank, s.step) > 1 THEN 'duplicate'
    END AS reason,
    NULL::VARCHAR AS recovers, 1 AS copies, 1.0 AS weight
FROM candidate_rollouts c
JOIN steps s USING (rollout_id)
LEFT JOIN asked a ON a.state_hash = s.prompt_sha256
WHERE c.reason IS NULL
ORDER BY place

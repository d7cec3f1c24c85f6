-- Both sides' steps, among all steps, in the columns of steps.sql.
CREATE TEMP TABLE candidate_steps AS
SELECT
    s.rowid AS place, c.rank, s.step,
    CASE WHEN x.step IS NULL THEN 'not where two rollouts parted' END AS reason,
    NULL::VARCHAR AS recovers, 1 AS copies, 1.0 AS weight
FROM candidate_rollouts c
JOIN steps s USING (rollout_id)
LEFT JOIN (
    SELECT winner AS rollout_id, step FROM contrasts UNION SELECT loser, parted FROM contrasts
) x ON x.rollout_id = s.rollout_id AND x.step = s.step
WHERE c.reason IS NULL
ORDER BY place

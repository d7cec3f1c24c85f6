-- As mistakes.sql, with the replies that were no action at states of usable rollouts of other models.
WITH mistakes AS (
    SELECT coalesce(s.error_family, s.tool_code, s.flags[1]) AS code
    FROM candidate_rollouts c JOIN steps s USING (rollout_id)
    WHERE c.reason IS NULL AND c.model = $model
    UNION ALL
    SELECT b.error_family
    FROM candidate_rollouts c JOIN branches b USING (rollout_id)
    WHERE c.reason IS NULL AND b.model = $model
)
SELECT code, count(*) AS n
FROM mistakes
WHERE code IS NOT NULL
GROUP BY code
ORDER BY code

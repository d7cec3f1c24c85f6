-- What went wrong in the steps of the usable rollouts, by code: why a reply was no action, why the tool refused it, or
-- the first of the ways in which it was poor.
SELECT coalesce(s.error_family, s.tool_code, s.flags[1]) AS code, count(*) AS n
FROM candidate_rollouts c JOIN steps s USING (rollout_id)
WHERE c.reason IS NULL AND c.model = $model AND code IS NOT NULL
GROUP BY code
ORDER BY code

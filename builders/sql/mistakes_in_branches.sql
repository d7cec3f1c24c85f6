-- What was wrong with a model's replies at states of other models' usable rollouts: why each was no action.
SELECT b.error_family AS code, count(*) AS n
FROM candidate_rollouts c JOIN branches b USING (rollout_id)
WHERE c.reason IS NULL AND b.model = $model AND code IS NOT NULL
GROUP BY code
ORDER BY code

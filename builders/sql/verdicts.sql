-- Whether the tests passed after each selected write.
SELECT t.rollout_id, t.step, t.passed
FROM test_runs t
JOIN candidate_rollouts c USING (rollout_id)
JOIN candidate_steps x ON x.rank = c.rank AND x.step = t.step
WHERE x.reason IS NULL
ORDER BY t.rollout_id, t.n

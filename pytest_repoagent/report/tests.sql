-- The test runs of some rollouts. $ids is a list of rollout ids.
SELECT rollout_id, step, passed, reason, counts::VARCHAR AS counts, text, duration_s
FROM test_runs
WHERE rollout_id IN (SELECT unnest($ids))
ORDER BY rollout_id, n;

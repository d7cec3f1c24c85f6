-- The newest run of a tag that has all the rollouts it was to make, each of them counted.
SELECT run_id
FROM rollouts r JOIN runs s USING (run_id)
WHERE s.settings->>'tag' = $tag
GROUP BY run_id, s.started_at
HAVING count(DISTINCT (r.task_id, r.rollout)) FILTER (r.counted) = $rollouts
ORDER BY s.started_at DESC
LIMIT 1

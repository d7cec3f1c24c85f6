SELECT family, count(*) AS steps
FROM candidate_steps x JOIN candidate_rollouts c USING (rank)
WHERE x.reason IS NULL
GROUP BY family
ORDER BY family

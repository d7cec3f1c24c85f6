SELECT reason, sum(steps)::BIGINT AS steps
FROM (
    SELECT reason, steps FROM candidate_rollouts WHERE reason IS NOT NULL
    UNION ALL
    SELECT reason, count(*) FROM candidate_steps GROUP BY reason
)
GROUP BY reason
ORDER BY steps DESC, reason

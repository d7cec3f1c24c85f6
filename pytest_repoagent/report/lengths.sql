-- How many counted rollouts of each arm had how many steps. $runs is a list of run ids.
SELECT run_id, model, steps, count(*) AS rollouts
FROM rollouts
WHERE counted AND run_id IN (SELECT unnest($runs))
GROUP BY ALL
ORDER BY run_id, model, steps;

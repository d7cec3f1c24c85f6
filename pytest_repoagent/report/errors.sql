-- Parse errors of each arm by family, with the share of all the arm's replies. $runs is a list of run ids.
WITH families AS (
    SELECT run_id, model, error_family, count(*) AS errors, sum(count(*)) OVER (PARTITION BY run_id, model) AS replies
    FROM steps JOIN rollouts USING (rollout_id)
    WHERE counted AND run_id IN (SELECT unnest($runs))
    GROUP BY run_id, model, error_family
)
SELECT run_id, model, error_family AS code, errors, errors / replies AS share
FROM families
WHERE error_family IS NOT NULL
ORDER BY run_id, model, errors DESC, code;

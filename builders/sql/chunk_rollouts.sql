-- The rollouts of one chunk, in the order of its steps.
SELECT rollout_id, run_id, task_id, family, model, success
FROM chosen_rollouts
WHERE chunk = $chunk
ORDER BY first_row

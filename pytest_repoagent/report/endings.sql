-- How some rollouts ended. $ids is a list of rollout ids.
SELECT rollout_id, error, cause, final_summary, diff, files_touched
FROM rollouts
WHERE rollout_id IN (SELECT unnest($ids));

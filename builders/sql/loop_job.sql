-- The newest completed job on a training file.
SELECT job_id FROM jobs
WHERE method = $method AND train_sha256 = $train_sha256 AND status = 'completed'
ORDER BY submitted_at DESC LIMIT 1

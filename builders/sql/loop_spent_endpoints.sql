-- What the endpoints of the jobs on these training files cost, by the hour; those still there, until now.
SELECT sum(e.usd_per_hour * date_diff('second', e.created_at, coalesce(e.removed_at, $now::TIMESTAMP)) / 3600)
FROM endpoints e JOIN jobs USING (job_id)
WHERE list_contains($train_sha256s, train_sha256)

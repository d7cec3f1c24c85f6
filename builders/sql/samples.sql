-- The students' replies at the selected states; no students given means all of them.
SELECT b.state_hash, b.model, b.raw, b.finish_reason
FROM branches b
WHERE b.raw IS NOT NULL AND (len($students) = 0 OR b.model IN (SELECT unnest($students)))
    AND b.state_hash IN (
        SELECT s.prompt_sha256 FROM candidate_steps x JOIN steps s ON s.rowid = x.place WHERE x.reason IS NULL
    )
ORDER BY b.state_hash, b.model, b.temperature, b.max_tokens, b.sample

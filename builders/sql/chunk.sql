-- What rendering needs of one chunk: every step up to each rollout's last selected one, because prompts are made of them.
SELECT
    c.first_row,
    s.step,
    x.place IS NOT NULL AS chosen,
    s.extra LIKE '%"restarted"%' AND json_extract(s.extra, '$.restarted') IS NOT NULL AS restarted,
    s.texts,
    s.acted,
    s.prompt_sha256,
    s.window_policy,
    x.recovers,
    x.weight
FROM chosen_rollouts c
JOIN steps s USING (rollout_id)
LEFT JOIN (
    FROM candidate_steps WHERE reason IS NULL AND place BETWEEN $first_row AND $last_row
) x ON x.place = s.rowid
WHERE c.chunk = $chunk AND s.rowid BETWEEN $first_row AND $last_row AND s.step <= c.last_step

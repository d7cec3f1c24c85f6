-- Pairs of rollouts of one task that began at the same state and ended unequally well; the first step at which they did
-- different things at the same state (parted; NULL where they never did); and the winner's step whose state a pair shows:
-- that one, or for the output last_write the winner's last write. Passing counts first, then fewer steps, then
-- fewer tool calls, then fewer files touched. At most 200 pairs of each beginning, the clearest ones.
CREATE TEMP TABLE contrasts AS
WITH scored AS (
    SELECT
        c.rank, c.rollout_id, c.task_id, s.prompt_sha256 AS opening, r.steps,
        row_number() OVER score AS place,
        dense_rank() OVER merit AS merit,
        r.success
    FROM candidate_rollouts c
    JOIN rollouts r USING (rollout_id)
    JOIN steps s ON s.rollout_id = c.rollout_id AND s.step = 0
    WHERE c.reason IS NULL AND r.counted AND r.success IS NOT NULL AND s.prompt_sha256 IS NOT NULL
    WINDOW
        merit AS (
            PARTITION BY c.task_id, s.prompt_sha256
            ORDER BY r.success DESC, r.steps, r.tool_calls, len(r.files_touched)
        ),
        score AS (
            PARTITION BY c.task_id, s.prompt_sha256
            ORDER BY r.success DESC, r.steps, r.tool_calls, len(r.files_touched), c.rank
        )
), pairs AS (
    SELECT
        w.task_id, w.rollout_id AS winner, l.rollout_id AS loser, w.rank AS winner_rank, l.rank AS loser_rank,
        w.success AS winner_success, l.success AS loser_success, l.steps - w.steps AS steps_saved
    FROM scored w JOIN scored l ON l.task_id = w.task_id AND l.opening = w.opening AND l.merit > w.merit
    QUALIFY row_number() OVER (
        PARTITION BY w.task_id, w.opening
        ORDER BY w.success = l.success, l.merit - w.merit DESC, w.place, l.place
    ) <= 200
), diverged AS (
    SELECT p.winner, p.loser, min(ws.step) AS step
    FROM pairs p
    JOIN steps ws ON ws.rollout_id = p.winner
    JOIN steps ls ON ls.rollout_id = p.loser AND ls.step = ws.step AND ls.prompt_sha256 = ws.prompt_sha256
    WHERE coalesce(ws.action::VARCHAR, ws.raw) <> coalesce(ls.action::VARCHAR, ls.raw)
    GROUP BY ALL
)
SELECT p.*, d.step AS parted, CASE WHEN $last_write THEN coalesce(w.step, d.step) ELSE d.step END AS step
FROM pairs p
LEFT JOIN diverged d USING (winner, loser)
LEFT JOIN (
    SELECT rollout_id AS winner, max(step) AS step FROM steps WHERE tool = 'write_file' AND executed_ok GROUP BY rollout_id
) w USING (winner)
ORDER BY winner_rank, loser_rank

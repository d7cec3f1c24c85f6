-- Pairs of rollouts of one task that began at the same state and ended unequally well, and the first step at which
-- they did different things at the same state; NULL where they never did. Passing counts first, then fewer steps, then
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
SELECT p.*, d.step
FROM pairs p LEFT JOIN diverged d USING (winner, loser)
ORDER BY winner_rank, loser_rank;

-- Both sides of each divergence, among all steps, in the columns of steps.sql.
CREATE TEMP TABLE candidate_steps AS
SELECT
    s.rowid AS place, c.rank, s.step,
    CASE WHEN x.step IS NULL THEN 'not where two rollouts parted' END AS reason,
    NULL::VARCHAR AS recovers, 1 AS copies, 1.0 AS weight
FROM candidate_rollouts c
JOIN steps s USING (rollout_id)
LEFT JOIN (
    SELECT winner AS rollout_id, step FROM contrasts UNION SELECT loser, step FROM contrasts
) x ON x.rollout_id = s.rollout_id AND x.step = s.step
WHERE c.reason IS NULL
ORDER BY place;

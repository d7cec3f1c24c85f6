-- The rollouts with examples in them, cut into chunks of neighbours that are read at once.
CREATE TEMP TABLE chosen_rollouts AS
WITH chosen AS (
    SELECT c.* EXCLUDE (reason), max(x.step) AS last_step
    FROM candidate_rollouts c JOIN candidate_steps x USING (rank)
    WHERE x.reason IS NULL
    GROUP BY ALL
)
SELECT *, sum(last_row - first_row + 1) OVER (ORDER BY first_row) // $chunk_steps AS chunk
FROM chosen
ORDER BY first_row

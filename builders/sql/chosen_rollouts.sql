-- The rollouts with examples in them, cut into chunks of neighbours that are read at once.
CREATE TEMP TABLE chosen_rollouts AS
WITH chosen AS (
    SELECT c.* EXCLUDE (reason), x.last_step
    FROM candidate_rollouts c
    JOIN (SELECT rank, max(step) AS last_step FROM candidate_steps WHERE reason IS NULL GROUP BY rank) x USING (rank)
)
SELECT *, sum(last_row - first_row + 1) OVER (ORDER BY first_row) // $chunk_steps AS chunk
FROM chosen
ORDER BY first_row

SELECT chunk, min(first_row), max(last_row) FROM chosen_rollouts GROUP BY chunk ORDER BY chunk

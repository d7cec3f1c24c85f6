DELETE FROM chosen_rollouts
WHERE chunk * $of // (SELECT max(chunk) + 1 FROM chosen_rollouts) <> $index

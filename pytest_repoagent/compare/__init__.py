"""Whether one set of rollouts is better than another."""

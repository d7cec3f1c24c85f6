"""Did it get better? Two or more sets of rollouts, compared task by task."""

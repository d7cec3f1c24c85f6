"""``--engine=ray``: rollouts as tasks on a Ray cluster. Only ``connect`` can be imported without Ray."""

"""Fine-tuning jobs at Together: from a dataset to a model that answers, nothing paid for that was not bounded first."""

"""From a base model to a tuned one that was compared with it: this project's own commands in their order."""

"""Training on this machine with TRL, from the files that Together takes."""

"""The regression gate: rules that a run must keep, most of them against a baseline that lies in git."""

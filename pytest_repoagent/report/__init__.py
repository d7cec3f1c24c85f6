"""Reports on recorded runs: one HTML file to pass around, and one rollout in the terminal."""

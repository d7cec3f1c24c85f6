"""Evaluate tool-using repo agents as pytest items and record every step in DuckDB."""

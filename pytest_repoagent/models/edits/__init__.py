"""Ranked one-edit repairs of a Python program: pure, deterministic, from general reasons alone."""

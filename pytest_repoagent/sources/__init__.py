"""Where tasks come from: one module a source."""

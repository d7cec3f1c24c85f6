"""The DuckDB store: ``schema.sql`` and ``views.sql`` are its documentation, ``writer`` the one writer."""

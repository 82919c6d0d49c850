"""See worker/pyproject.toml."""

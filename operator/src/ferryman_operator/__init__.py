"""See operator/pyproject.toml."""

"""The HTTP API: tasks for any language, and for buttons on dashboards."""

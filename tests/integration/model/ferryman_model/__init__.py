"""A model of a queue in plain Python, and a machine that drives it beside the real scripts on a real server."""

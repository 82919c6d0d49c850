"""A small shop whose slow and failing work is done by tasks."""

"""Ferryman's operator: one TaskQueue object, everything that a queue needs to run."""

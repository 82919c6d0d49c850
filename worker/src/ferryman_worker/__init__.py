"""Ferryman's worker: fetches tasks, runs handlers, never loses one. Handlers come from `ferryman.Queue`."""

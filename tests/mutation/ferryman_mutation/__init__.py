"""Mutation check: what each contract forbids is done on purpose, in a copy of the code, and a test must notice."""

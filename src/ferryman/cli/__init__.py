"""The command line: `ferryman …`, one module per command."""

"""The command line: one module per command, exit codes, no decisions."""

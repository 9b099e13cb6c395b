"""The runner: knows the clock and the ledger, claims what is due, and forks a guard for each run."""

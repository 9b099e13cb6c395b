"""Benchmarks: what runjobs costs, beside its peers in the same run."""

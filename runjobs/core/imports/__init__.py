"""Taking over from other schedulers: their text in, a jobs file and an account of every line out."""

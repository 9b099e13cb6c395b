"""The prover: real runners and guards, killed at random for as long as one likes, judged by what the jobs wrote."""

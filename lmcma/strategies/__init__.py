"""The strategies: one file per algorithm, each with the same `ask`/`tell` protocol."""

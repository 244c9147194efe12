"""What is kept of runs for others to compare with, check and recompute."""

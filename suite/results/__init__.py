"""What is said about finished cells: curves, statistics, plots and the report."""

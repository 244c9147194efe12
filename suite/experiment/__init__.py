"""What is run: tasks, methods, plans, cells, and the store that keeps their results."""

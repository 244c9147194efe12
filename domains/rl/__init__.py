"""Discrete-action reinforcement learning: tasks, environments and the A2C learner."""

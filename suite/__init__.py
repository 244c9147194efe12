"""The core of the lottery-ticket suite: tickets, the experiment, and what is said about its results."""

__version__ = "0.1.0"

RESULT_VERSION = 1
"""Raised whenever a change of code can change a number: cells stored under another version are never reused."""

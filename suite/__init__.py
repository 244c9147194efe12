"""The core of the lottery-ticket suite: tickets, the experiment, and what is said about its results."""

__version__ = "0.1.0"

RELEASES = ("0.1.0",)
"""Every version that was published, oldest first: an entry that names another was not made with the suite."""

RESULT_VERSION = 1
"""The core's version, raised whenever a change in it can change a number: cells of another one are never used again.

Each learner has a version of its own, in its domain's manifest.
"""

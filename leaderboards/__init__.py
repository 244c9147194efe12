"""Entries of the leaderboards: one JSON file each, by domain."""

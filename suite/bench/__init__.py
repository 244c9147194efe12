"""Measurements of the suite's own speed: `lottery bench`."""

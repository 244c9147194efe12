"""Settings of all tests."""

from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)  # a slow machine is no failing property
settings.load_profile("shared-machine")

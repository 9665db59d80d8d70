"""Makes `reference` importable from the tests beside it, and property tests repeatable."""

import signal

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A shell lets what it runs in the background ignore Ctrl-C, and with it all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

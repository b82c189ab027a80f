"""Property tests draw the same examples at every run; `pytest --hypothesis-profile=explore` draws new ones."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeatable")

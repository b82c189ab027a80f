"""Trainings after the search: which networks again, with which seeds, on which split; and what came of them."""

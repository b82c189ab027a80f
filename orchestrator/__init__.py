"""Decides, launches, remembers and talks to people; the only room that knows ray, optuna and mlflow."""

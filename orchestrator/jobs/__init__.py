"""Searches as jobs of a Ray cluster: what is sent (package.py, submitting.py), and the Jobs API (client.py)."""

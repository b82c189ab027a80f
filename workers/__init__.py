"""Trains and measures one network; the only room that knows torch, and it knows nothing of searching."""

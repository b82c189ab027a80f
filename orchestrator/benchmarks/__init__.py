"""Measurements of the program against what people use instead, run in turn on the same machine."""

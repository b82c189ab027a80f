"""What a network is, what it costs, and which is better: pure Python and NumPy."""

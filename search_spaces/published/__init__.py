"""What the papers print: reference networks with their figures, one file of literal tables for each system."""

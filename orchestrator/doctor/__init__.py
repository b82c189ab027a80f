"""What can be wrong before a search starts, found without starting it: one finding for each thing that was looked at."""

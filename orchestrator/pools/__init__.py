"""Where trainings run: one face (protocol.py), on Ray actors or in this process."""

"""Shows a study: knows only the trial table, whose Arrow schema it owns."""

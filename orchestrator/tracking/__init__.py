"""The study as MLflow shows it: runs, curves and models projected from the trial table. MLflow lives here alone."""

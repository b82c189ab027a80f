"""What to train next: accuracy is modelled, costs are known, and the rest follows."""

"""Training measured beside plain PyTorch, in turn on the same machine: what `igcv bench train` runs."""

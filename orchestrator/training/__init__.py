"""One network trained in this process, without a search."""

"""One file for each family of networks, all of the same anatomy; table.py lists them."""

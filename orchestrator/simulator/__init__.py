"""A search replayed against recorded or made-up results, under a virtual clock."""

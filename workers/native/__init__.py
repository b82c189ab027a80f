"""Own CPU kernels for what a network's structure lets one pass over memory do; used where a C compiler is at hand."""

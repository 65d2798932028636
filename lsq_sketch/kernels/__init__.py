"""Numba kernels: arrays in, arrays out.

The functions here validate nothing and draw no random numbers; they take contiguous arrays
and preallocated outputs, and release the GIL. The public functions above them do the rest.
Work is cut into pieces whose bounds depend on the data alone, and a piece's output is its own,
so that results do not depend on the number of threads.

Where LLVM makes no vector code of a loop, the vectors are written down: see `registers`.
"""

"""The environment variables that every worker is started with, wherever it runs."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

KEEPS_MEMORY = dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(1 << 30))
"""Training frees and takes the same megabytes at every step: glibc's allocator keeps them so.

By its own rule it gives some back to the system, which hands out zeroed pages at the next step: 7,400 page faults in a
step of ResNet-32 with 32 images of 32 x 32, a tenth of its time. By Dask's default it gives back all: an abd chain of
the demo took 60 s so, and 42 s without (one worker, twice each, in turn).
"""

"""The benchmarks that come with the project: one file each, with a tuple `BENCHMARKS`; a new one is one new file."""

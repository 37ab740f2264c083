"""The benchmarks: ``python -m loadtest.bench [name …]``, explained in docs/performance.md."""

"""The benchmarks: ``python -m loadtest.bench [name …]``; README.md says what each figure means."""

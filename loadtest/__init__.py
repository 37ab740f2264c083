"""Load, demo and benchmarks: everything that drives the gateway from outside."""

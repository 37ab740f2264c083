"""What the demo, the load, the benchmarks, chaos and soak share."""

"""Playing a courier: payloads and signatures for ``send``, the demo and the load tests."""

"""The courier's side: makes payloads and signs them, for ``send``, the demo, the load tests and
the examples in /openapi.json."""

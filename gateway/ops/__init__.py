"""The ops port: metrics and state for operators, on a port of its own, behind a bearer token."""

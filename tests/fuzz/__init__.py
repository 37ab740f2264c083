"""Fuzzing of the edge over raw sockets: ``make fuzz``, and a bounded share in ``make test``."""

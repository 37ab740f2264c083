"""Fuzz tests of the edge over raw sockets: ``make fuzz``, and a part of it in ``make test``."""

"""Explains why the edge rejects a captured request; ``python -m gateway sources check`` prints it.

The verdict comes from the edge's own code. The search only looks for the one change that would
make the signature valid. Pure functions: bytes, keys and the time go in, sentences come out.
Invariant: no sentence contains a secret, a signature, or any part of one.
"""

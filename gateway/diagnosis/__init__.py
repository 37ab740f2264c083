"""Why does the edge refuse this captured request? What ``sources check`` finds out.

The judge is the edge's own code; the search around it only looks for the one change with which the
signature would have been right. Pure: bytes, keys and the time go in, sentences come out.
Invariant: no sentence holds a secret, a signature, or any part of one.
"""

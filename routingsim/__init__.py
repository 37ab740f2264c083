"""The simulated Routing Service: slow, scriptable and honest about what it was asked.

Invariant: it imports nothing of the gateway's, so that it can stand for a stranger's service.
"""

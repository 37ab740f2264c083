"""The simulated Routing Service: slow, fails on demand, and counts every call.

Invariant: it imports nothing from the gateway's packages, as a service of another company would.
"""

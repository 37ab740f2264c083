"""The queue: a library over Redis, and the scheduler process.

An event's body is opaque bytes to it. ``keys`` is the data dictionary, ``lua/`` has one file for
each verb, ``queue`` one method; docs/architecture.md draws the states of an event.
"""

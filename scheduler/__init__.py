"""The queue: durable, at a controlled pace, and able to account for every event it was given.

Treats an event's body as opaque bytes. ``keys`` is the data dictionary, ``lua/`` holds one verb a
file, ``queue`` one method a verb; docs/architecture.md draws the states of an event.
"""

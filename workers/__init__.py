"""The workers: they carry each reserved event through its lane, exactly once in effect.

``lookup_lane`` and ``routing_lane`` hold the steps, ``process`` the fetch loop around them; the
rest is one noun a file.
"""

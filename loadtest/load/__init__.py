"""``make load``: the proof of load with locust, and its evidence."""

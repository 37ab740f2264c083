"""The workers process each reserved event, exactly once in effect; see README.md."""

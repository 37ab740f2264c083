"""The couriers: their tables in ``sources.toml``, checked and turned into values."""

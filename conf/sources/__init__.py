"""The couriers: reads their tables in ``sources.toml`` over the presets, checks them, and makes
frozen ``Source`` values of them."""

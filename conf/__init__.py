"""Configuration: settings from the environment, sources.toml, logging and process life, and the
configuration files of Redis, MongoDB and supervisord."""

"""Configuration: the only package that reads the environment or a configuration file."""

"""The image and the Compose files, run on a Docker engine: `make test-docker`.

The modules are named check_*.py, which pytest does not collect by itself: `make test` needs no
engine, and nothing here is ever skipped.
"""

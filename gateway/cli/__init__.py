"""The operators' commands, ``python -m gateway …``: one file a noun."""

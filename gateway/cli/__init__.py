"""The operators' commands, ``python -m gateway …``: one file for each group."""

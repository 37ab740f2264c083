"""The former name of ``gateway.stack``: ``python -m gateway.local`` keeps working."""

"""The whole stack on one machine, under supervisord: what `make up`, the demo and tests start."""

"""``python -m gateway COMMAND``: the operators' commands."""

from __future__ import annotations

import sys

from gateway.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

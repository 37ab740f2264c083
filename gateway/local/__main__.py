"""``python -m gateway.local``: the former name of ``python -m gateway.stack``."""

from __future__ import annotations

import sys

from gateway.stack.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

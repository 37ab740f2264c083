"""``python -m gateway.local``: an alias of ``python -m gateway.stack`` for existing scripts."""

from __future__ import annotations

import sys

from gateway.stack.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

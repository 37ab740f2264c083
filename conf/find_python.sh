#!/bin/sh
# Prints the Python to make the virtual environment with: $PYTHON, or the first on the PATH from
# 3.11 to 3.14 that has the venv module. If there is none, prints a remedy and exits with 1.

usable() { # runs each candidate: version managers install shims that may fail
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

has_venv() { # Debian's venv lacks ensurepip until python3-venv is installed
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

without_venv=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    usable "$candidate" || continue
    if has_venv "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
    without_venv=${without_venv:-$candidate}
done

if [ -n "$without_venv" ]; then
    version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$without_venv lacks the venv module: apt-get install python$version-venv" >&2
elif [ -n "$PYTHON" ]; then
    echo "PYTHON=$PYTHON is no Python 3.11 to 3.14: name one that is, or leave PYTHON out" >&2
else
    echo "no Python 3.11 to 3.14 on the PATH: install one, or name it: make PYTHON=/path/to/python3" >&2
fi
exit 1

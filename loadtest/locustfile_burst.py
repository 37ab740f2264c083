# ruff: noqa: F401 (locust runs the user class that it finds here)
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # locust looks in no other folder
from loadtest.load.locust_burst import OneOfMany

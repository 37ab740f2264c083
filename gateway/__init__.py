"""The HTTP edge, and what operators use: where the processes meet the world outside."""

"""The problems that only the ops port answers."""

from __future__ import annotations

from gateway.edge.problems import problem

UNAUTHORISED = problem(
    401,
    "unauthorised",
    "The bearer token is missing or wrong",
    "Send Authorization: Bearer <OPS_TOKEN>.",
)
UNKNOWN_EVENT = problem(
    404,
    "unknown-event",
    "Redis does not know this event",
    "The ledger may: python -m gateway show ID.",
)
REDIS_UNAVAILABLE = problem(503, "redis-away", "Redis does not answer")

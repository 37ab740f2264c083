"""The constants that Python shares with the Lua scripts, each defined here only.

``scripts.py`` injects into a script those that it names.
"""

from __future__ import annotations

from typing import Final

# Tokens that a wake list holds at most. More: more workers wake at once after a burst, some of them
# in vain. Fewer: waking all of them takes more rounds, because each worker wakes the next.
WAKE_MAX: Final = 8

# The source whose ready list holds the events of the quarantine; no configured source can have that
# name.
QUARANTINE: Final = "!suspects"

# Crashes from which an event is quarantined. Fewer: after each crash, all events of that process
# are served one at a time. More: an event that crashes its process does so more often with others
# in it.
QUARANTINE_CRASHES: Final = 2

# How long the process that waits for an exclusive event is the only one. Above the time between two
# reserves of a process; longer: if that process is lost, the event waits so long for another.
EXCLUSIVE_WAIT_MS: Final = 5000

# The routing breaker counts calls over this window. Longer: it reacts later, but less often
# to random failures.
BREAKER_WINDOW_SECONDS: Final = 10
# Probes that must succeed before the breaker closes. More: it closes later after an outage.
BREAKER_CLOSING_PROBES: Final = 10
# Probes at once for each one that has succeeded (one before that). More: a steeper ramp.
BREAKER_RAMP: Final = 4

# Share of DEAD_MAX_EVENTS from which operators are warned. Lower: earlier and more often.
DEAD_WARNING_SHARE: Final = 0.8

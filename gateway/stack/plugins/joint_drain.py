"""A supervisord plugin: at shutdown, the programs that drain stop at the same time.

supervisord stops one program after another, so the drain times would add up. This plugin sends
SIGTERM to the named programs at once when supervisord begins to stop. supervisord then stops the
others in its usual order: the stores last, once everything that uses them has exited.
"""

from __future__ import annotations

from typing import Any

from supervisor import events


def begin(supervisord: Any, programs: str) -> object:
    """The factory that [rpcinterface:…] names; the interface it returns has no methods.

    programs: names separated by commas, in the order in which they get SIGTERM.
    """

    def stop_all(_event: object) -> None:
        for name in programs.split(","):
            group = supervisord.process_groups.get(name.strip())
            if group is not None:
                group.stop_all()

    events.subscribe(events.SupervisorStoppingEvent, stop_all)
    return object()

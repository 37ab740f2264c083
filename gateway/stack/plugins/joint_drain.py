"""A plugin of supervisord: when everything is being stopped, all that drains begins at once.

supervisord stops one program after the other, so their drains would add up. The named ones are told
to stop in the same moment; the others follow one by one, as before, each when those of higher
priority are gone: the stores last.
"""

from __future__ import annotations

from typing import Any

from supervisor import events


def begin(supervisord: Any, programs: str) -> object:
    """The factory that [rpcinterface:…] names; it offers nothing to call.

    programs: their names with commas between, the first to be told first.
    """

    def tell(_event: object) -> None:
        for name in programs.split(","):
            group = supervisord.process_groups.get(name.strip())
            if group is not None:
                group.stop_all()

    events.subscribe(events.SupervisorStoppingEvent, tell)
    return object()

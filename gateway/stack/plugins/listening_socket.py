"""A plugin of supervisord: the edge's listening socket lives in supervisord, not in gunicorn.

Invariant: while supervisord runs, the kernel queues whoever connects to the edge, also between the
end of one gunicorn and the start of the next; and once everything is being stopped, nobody is
queued whom nobody will serve. gunicorn finds the socket as its standard input
(gateway/server/gunicorn_conf.py).

supervisord's own [fcgi-program] hands a socket over in the same way, but closes it with the
program's last process and when the program's file is changed, and it knows no IPv6.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from supervisor import events

_held: dict[str, socket.socket] = {}  # by program


def hold(supervisord: Any, program: str, bind: str, backlog: str) -> object:
    """The factory that [rpcinterface:…] names; it offers nothing to call.

    program: the one that gets the socket. bind: host:port. backlog: how many connections may wait.
    """
    if program not in _held:  # supervisord asks once for each of its own servers
        try:
            _held[program] = _listening(bind, int(backlog))
        except OSError as error:
            supervisord.options.logger.warn(
                f"{bind} cannot be held for {program}, which has to bind it itself: {error}"
            )
            return object()
        _hand_over(supervisord, program)
        events.subscribe(
            events.ProcessGroupAddedEvent,  # by `update`, when its file was changed
            lambda event: _hand_over(supervisord, program),
        )
        events.subscribe(events.SupervisorStoppingEvent, lambda event: _held.pop(program).close())
    return object()


def _listening(bind: str, backlog: int) -> socket.socket:
    host, _, port = bind.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), int(port)))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def _hand_over(supervisord: Any, program: str) -> None:
    group = supervisord.process_groups.get(program)
    for process in group.processes.values() if group else ():
        process._prepare_child_fds = partial(_prepare_child_fds, process, program)


def _prepare_child_fds(process: Any, program: str) -> None:
    """Runs in the child, between fork and exec, where supervisord lays out 0, 1 and 2."""
    if program in _held:
        process.pipes["child_stdin"] = _held[program].fileno()
    type(process)._prepare_child_fds(process)

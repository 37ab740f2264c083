"""A supervisord plugin: supervisord, not gunicorn, owns the edge's listening socket.

Invariant: while supervisord runs, the kernel queues connections to the edge, even between the exit
of one gunicorn and the start of the next. Once supervisord stops, it closes the socket, so that no
connection waits for a server that will not start. gunicorn gets the socket as its standard input
(gateway/server/gunicorn_conf.py).

supervisord's own [fcgi-program] passes a socket in the same way, but closes it when the program's
last process exits or its configuration changes, and it does not support IPv6.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from supervisor import events

_held: dict[str, socket.socket] = {}  # by program


def hold(supervisord: Any, program: str, bind: str, backlog: str) -> object:
    """The factory that [rpcinterface:…] names; the interface it returns has no methods.

    program: gets the socket. bind: host:port. backlog: connections that may wait.
    """
    if program not in _held:  # supervisord calls this once for each of its own servers
        try:
            _held[program] = _listening(bind, int(backlog))
        except OSError as error:
            supervisord.options.logger.warn(
                f"cannot listen on {bind} for {program}, which must bind it itself: {error}"
            )
            return object()
        _pass_to(supervisord, program)
        events.subscribe(
            events.ProcessGroupAddedEvent,  # `supervisorctl update`, after a change of its file
            lambda event: _pass_to(supervisord, program),
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


def _pass_to(supervisord: Any, program: str) -> None:
    group = supervisord.process_groups.get(program)
    for process in group.processes.values() if group else ():
        process._prepare_child_fds = partial(_prepare_child_fds, process, program)


def _prepare_child_fds(process: Any, program: str) -> None:
    """Runs in the child between fork and exec, before supervisord sets up descriptors 0 to 2."""
    if program in _held:
        process.pipes["child_stdin"] = _held[program].fileno()
    type(process)._prepare_child_fds(process)

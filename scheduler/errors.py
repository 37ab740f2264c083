"""The queue's errors, by what the caller may do about them."""

from __future__ import annotations


class RedisUnavailable(Exception):
    """Redis did not confirm: unreachable, slow, loading, out of memory, read-only, unknown reply.

    The command may have taken effect. Every verb is safe to repeat, so the caller may try again.
    ``str()`` is a short reason for logs, without the command's arguments.
    """


class NotHolder(Exception):
    """The caller does not hold the event's lock any more: another process does, or it is finished.

    Nothing was changed. The caller must not do anything more for the event.
    """


class ServerError(Exception):
    """An error reply of Redis; ``str()`` begins with its code (OOM, NOSCRIPT …)."""

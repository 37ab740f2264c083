"""What can go wrong with the queue, named for what the caller may do about it."""

from __future__ import annotations


class RedisUnavailable(Exception):
    """Redis did not confirm: refused, slow, loading, out of memory, read-only or not understood.

    The command may have taken effect. Every verb is safe to repeat, so the caller may try again.
    ``str()`` is a short reason for logs; it holds no argument of the command.
    """


class NotHolder(Exception):
    """The caller holds no lock on the event any more: another owns it, or it is finished.

    Nothing was changed. The caller must forget the event and touch nothing on its behalf.
    """


class ServerError(Exception):
    """An error that Redis answered; ``str()`` begins with its code (OOM, NOSCRIPT …)."""

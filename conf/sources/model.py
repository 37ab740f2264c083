"""A source: one courier, how it signs, and where its payload says what.

Values only: frozen and valid once they exist (``conf.sources.loader`` checks them). Secrets never
show in a repr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from conf.sources.json_pointer import Pointer
from conf.sources.statuses import Status

OTHER: Final = "*"  # in a status map: every word that is not in it

# Between the hosts of the edge: one may take a request that another already takes for too old.
CLOCKS_APART_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Secret:
    """A live key. label: the environment variable that held it, fit for logs and counters."""

    label: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signature:
    """How a source proves itself. Which of the fields matter depends on the scheme."""

    scheme: str  # body-hmac, standard-webhooks, stripe or token
    header: str
    prefix: str = ""  # what stands before the signature or token in its header
    encoding: str = "hex"  # hex, base64, or either
    id_header: str = ""  # signed by standard-webhooks, not by body-hmac
    timestamp_header: str = ""
    tolerance_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Pointers:
    """Where a payload holds what. None: it does not hold it."""

    event_id: Pointer | None = None
    shipment_id: Pointer | None = None
    status: Pointer | None = None
    occurred_at: Pointer | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One courier. statuses: its words for ours; ignored: its words that say nothing about where a
    shipment stands. ``OTHER`` in one of them stands for all words that are in neither.
    quota_per_second: 0 for none."""

    name: str
    signature: Signature
    secrets: tuple[Secret, ...]
    pointers: Pointers
    statuses: Mapping[str, Status]
    dedup_fields: tuple[Pointer, ...] = ()
    quota_per_second: float = 0.0
    quota_burst: float = 0.0
    ignored: frozenset[str] = frozenset()

    @property
    def enabled(self) -> bool:
        """Whether its events are taken in: an optional source without a secret is off."""
        return bool(self.secrets)

    def status(self, word: Any) -> Status | None:
        """The canonical status of the courier's word; None for one that has none."""
        text = _word(word)
        if text is None or self.ignores(word):
            return None
        return self.statuses.get(text) or self.statuses.get(OTHER)

    def ignores(self, word: Any) -> bool:
        """Whether an event with this word is to change nothing, on purpose."""
        text = _word(word)
        return text is not None and (
            text in self.ignored or (OTHER in self.ignored and text not in self.statuses)
        )


def _word(value: Any) -> str | None:
    """Some couriers count their statuses: 11 is the word "11"."""
    if type(value) is int:  # and no bool
        return str(value)
    return value if isinstance(value, str) else None


class Sources(Mapping[str, Source]):
    """All configured sources by name, the switched-off ones too: their events may still wait.

    warnings and notices are lines for the log of a starting process.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        warnings: tuple[str, ...] = (),
        notices: tuple[str, ...] = (),
    ) -> None:
        self._sources = dict(sources)
        self.warnings = warnings
        self.notices = notices

    @property
    def remember_at_least_seconds(self) -> int:
        """How long a captured request of any source may stay within the tolerance of its signed
        time (0: no source signs one). The tolerance is symmetric, so twice as long as it is; an id
        that is forgotten sooner could be accepted a second time."""
        longest = max((s.signature.tolerance_seconds for s in self._sources.values()), default=0)
        return 2 * longest + CLOCKS_APART_SECONDS if longest else 0

    def __getitem__(self, name: str) -> Source:
        return self._sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

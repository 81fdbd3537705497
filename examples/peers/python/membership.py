"""Who is in the group: the configurations of a log, and what counts as a quorum of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Optional

from encoding import decode
from raftwire.ttypes import Configuration, Entry, EntryKind, Member, Suffrage


@dataclass(frozen=True)
class Change:
    """A configuration, and the entry that it stands in; 0: the first one, of the command line."""

    index: int
    configuration: Configuration


def parse(body: bytes) -> Configuration:
    """Reads the body of a CONFIG entry."""
    configuration = decode(Configuration, body)
    if not any(m.suffrage == Suffrage.VOTER for m in configuration.incoming or []):
        raise ValueError("a configuration in which nobody can lead")
    return configuration


def halves(c: Configuration) -> list[list[Member]]:
    return [half for half in (c.incoming or [], c.outgoing or []) if half]


def voters(half: Iterable[Member]) -> set[int]:
    return {m.id for m in half if m.suffrage in (Suffrage.VOTER, Suffrage.WITNESS)}


class Membership:
    """The newest configuration that is certain to stay, then those of entries that may be truncated. The last one counts."""

    def __init__(self, first: Configuration) -> None:
        self.changes = [Change(0, first)]

    @property
    def current(self) -> Configuration:
        return self.changes[-1].configuration

    def restart(self, index: int, configuration: Configuration) -> None:
        """A snapshot says who is in the group."""
        self.changes = [Change(index, configuration)]

    def appended(self, first: int, entries: list[Entry]) -> bool:
        """A configuration counts as soon as it is in the log. Tells whether there was one."""
        kept = [c for k, c in enumerate(self.changes) if k == 0 or c.index < first]
        found = [Change(first + k, parse(e.body)) for k, e in enumerate(entries) if e.kind == EntryKind.CONFIG]
        found = [c for c in found if c.index > kept[-1].index]  # a log may begin before its snapshot's configuration
        changed = len(kept) != len(self.changes) or bool(found)
        self.changes = kept + found
        return changed

    def committed(self, commit: int) -> None:
        while len(self.changes) > 1 and self.changes[1].index <= commit:
            del self.changes[0]

    def member(self, node: int) -> Optional[Member]:
        found = [m for half in halves(self.current) for m in half if m.id == node]
        return found[0] if found else None

    def ids(self) -> set[int]:
        return {m.id for half in halves(self.current) for m in half}

    def may_be_member(self, node: int) -> bool:
        """Whether a node is a member, or may be one again when entries are truncated."""
        return any(m.id == node for c in self.changes for half in halves(c.configuration) for m in half)

    def quorum(self, yes: Callable[[int], bool]) -> bool:
        """Whether those who say yes are a majority in each half."""
        sets = [voters(half) for half in halves(self.current)]
        return bool(sets) and all(2 * sum(1 for v in s if yes(v)) > len(s) for s in sets)

    def reached(self, value: Callable[[int], float]) -> float:
        """The highest value that a quorum has or passes."""
        least = float("inf")
        for half in halves(self.current):
            values = sorted((value(v) for v in voters(half)), reverse=True)
            least = min(least, values[len(values) // 2] if values else float("-inf"))
        return least if least != float("inf") else float("-inf")

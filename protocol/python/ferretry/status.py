"""What a broker tells of campaigns and workers."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List

STATES = ('active', 'paused', 'cancelled', 'purged')


@dataclass(frozen=True)
class Campaign:
    name: str
    tenant: str
    class_name: str
    state: str
    total: int
    ready: int
    running: int
    delayed: int
    done: int
    failed: int
    cancelled: int
    trimmed: int
    workers: int
    labels: str = ''
    stopped: str = ''
    completed: bool = False

    @property
    def unfinished(self) -> int:
        return self.ready + self.running + self.delayed

    @property
    def ended(self) -> int:
        return self.done + self.failed + self.cancelled

    @classmethod
    def parse(cls, row: List[Any]) -> 'Campaign':
        more = row[15:18] if len(row) >= 18 else ['', '', 0]
        return cls(row[0], row[1], row[2], STATES[row[3]], *row[4:13], labels=more[0], stopped=more[1], completed=bool(more[2]))


@dataclass(frozen=True)
class Worker:
    session: str
    class_name: str
    label: str
    running: int
    lease_ms: int
    state: str = ''

    @classmethod
    def parse(cls, row: List[Any]) -> 'Worker':
        return cls(*row[:5], state=row[5] if len(row) > 5 else '')


@dataclass(frozen=True)
class Submitted:
    new: int
    duplicate: int  # were there already, unfinished
    finished: int   # were there already, with a result

"""Jobs: one image and its tasks, as PROTOCOL.md has them in MessagePack (section 8)."""
from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, List, Optional, Sequence, Tuple, Union

import msgpack

from .errors import ProtocolError

CODEC_VERSION = 1
MOST_BYTES = 16 << 10
FIRST_INSTANT_MS = 10 ** 11  # durations, and Unix time in seconds, are under it
TASKS = ('caption', 'describe', 'locate', 'ask')
POINT, BOX, POLYGON, SCRIBBLE, RLE = range(5)
Number = Union[int, float]


def _number(value: Number) -> Number:
    """Whole numbers travel as such."""
    return int(value) if -2 ** 31 <= value < 2 ** 31 and value == int(value) else float(value)


@dataclass(frozen=True)
class Options:
    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: Tuple[str, ...] = ()
    repetition_stop: bool = True

    def _pack(self) -> List[Any]:
        return [self.max_tokens, _number(self.temperature), _number(self.top_p), self.seed, list(self.stop), self.repetition_stop]


@dataclass(frozen=True)
class Region:
    """Made by one of the calls below; coordinates are pixels of the image as displayed, or 0 to 1 where normalised."""
    kind: int
    box: Tuple[Number, Number, Number, Number] = (0, 0, 0, 0)
    xy: Tuple[Number, ...] = ()
    ring_ends: Tuple[int, ...] = ()
    stroke_width: Number = 0
    rle_counts: Optional[str] = None
    rle_size: Tuple[int, int] = (0, 0)
    id: Optional[str] = None
    normalised: bool = False

    @classmethod
    def point(cls, x: Number, y: Number, **more: Any) -> 'Region':
        return cls(POINT, box=(x, y, 0, 0), **more)

    @classmethod
    def rectangle(cls, x1: Number, y1: Number, x2: Number, y2: Number, **more: Any) -> 'Region':
        return cls(BOX, box=(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), **more)

    @classmethod
    def polygon(cls, *rings: Sequence[Number], **more: Any) -> 'Region':
        """Each ring x, y, x, y, ..."""
        ends, n = [], 0
        for ring in rings:
            n += len(ring) // 2
            ends.append(n)
        return cls(POLYGON, xy=tuple(v for ring in rings for v in ring), ring_ends=tuple(ends), **more)

    @classmethod
    def scribble(cls, xy: Sequence[Number], stroke_width: Number = 0, **more: Any) -> 'Region':
        return cls(SCRIBBLE, xy=tuple(xy), stroke_width=stroke_width, **more)

    @classmethod
    def rle(cls, height: int, width: int, counts: str, **more: Any) -> 'Region':
        """COCO's compressed string."""
        return cls(RLE, rle_counts=counts, rle_size=(height, width), **more)

    def _pack(self) -> List[Any]:
        return [self.kind, self.id, self.normalised, [_number(v) for v in self.box], [_number(v) for v in self.xy],
                list(self.ring_ends), _number(self.stroke_width), self.rle_counts, list(self.rle_size)]


@dataclass(frozen=True)
class Task:
    kind: str = 'caption'
    phrases: Tuple[str, ...] = ()            # locate
    turns: Tuple[str, ...] = ()              # ask: user, assistant, user, ...
    regions: Optional[Tuple[int, ...]] = None  # describe: which of the job's; None: all
    id: Optional[str] = None
    options: Options = field(default_factory=Options)

    def _pack(self) -> List[Any]:
        if self.kind not in TASKS:
            raise ProtocolError('task %r is none of %s' % (self.kind, ', '.join(TASKS)))
        return [TASKS.index(self.kind), self.id, None if self.regions is None else list(self.regions), list(self.phrases),
                list(self.turns), self.options._pack()]


@dataclass(frozen=True)
class Job:
    image: str                      # URI: NAME:path, http(s):, s3:, shard.tar#name@offset+length
    id: Optional[str] = None        # the client's key inside the campaign; None: the image
    tasks: Tuple[Task, ...] = (Task(),)
    regions: Tuple[Region, ...] = ()
    group: Optional[str] = None
    policy: str = 'default'
    meta: Any = None                # JSON, copied into the record
    priority: int = 1
    retries: int = 4
    deadline_ms: int = 0            # Unix time, as is not_before_ms; 0: none
    not_before_ms: int = 0
    max_runtime_ms: int = 0
    group_images: int = 0           # how many images the group has, said by one of them; 0: not said

    @property
    def key(self) -> str:
        return self.image if self.id is None else self.id

    def name(self, campaign: str, tenant: str = 'default') -> bytes:
        """Its 16 bytes in the queue."""
        return hashlib.sha256('\0'.join((tenant, campaign, self.key)).encode()).digest()[:16]

    def pack(self, campaign: str, tenant: str = 'default') -> bytes:
        for name, value in (('deadline_ms', self.deadline_ms), ('not_before_ms', self.not_before_ms)):
            if 0 < value < FIRST_INSTANT_MS:
                raise ProtocolError('%s: %d is no Unix time in milliseconds, which has 13 digits' % (name, value))
        meta = None if self.meta is None else json.dumps(self.meta, ensure_ascii=False, separators=(',', ':'))
        fields = [CODEC_VERSION, self.key, self.image, self.group, self.policy, meta, self.priority, self.retries, self.deadline_ms,
                  tenant, campaign, [r._pack() for r in self.regions], [t._pack() for t in self.tasks]]
        if self.not_before_ms or self.max_runtime_ms or self.group_images:
            fields += [None, None, self.not_before_ms, self.max_runtime_ms]
        if self.group_images:
            fields.append(self.group_images)
        packed = msgpack.packb(fields, use_bin_type=True)
        if len(packed) > MOST_BYTES:
            raise ProtocolError('job %.128r is over %d bytes when encoded' % (self.key, MOST_BYTES))
        return packed

    def row(self, campaign: str, tenant: str) -> List[Any]:
        row = [self.name(campaign, tenant), self.priority, self.retries, self.deadline_ms, self.pack(campaign, tenant)]
        return row + [self.not_before_ms] if self.not_before_ms else row

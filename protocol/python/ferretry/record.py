"""Result records (protocol/result.schema.json), one a job."""
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple, Union


@dataclass(frozen=True)
class Failure:
    error_class: str  # 'permanent', 'transient', 'environment'
    code: str
    message: str


@dataclass(frozen=True)
class Entity:
    phrase: str
    span: Tuple[int, int]          # of text, in characters
    boxes: Tuple[Tuple[float, float, float, float], ...]  # pixels of the image as displayed
    score: Optional[float]


@dataclass(frozen=True)
class Answer:
    id: str
    task: str
    text: str
    entities: Tuple[Entity, ...]
    finish: Optional[str]
    error: Optional[Failure]
    raw: Dict[str, Any]


@dataclass(frozen=True)
class Image:
    uri: Optional[str]
    width: Optional[int]
    height: Optional[int]
    sha256: Optional[str]


@dataclass(frozen=True)
class Record:
    id: str
    job: Optional[str]
    campaign: Optional[str]
    status: str  # 'ok', 'partial', 'failed'
    image: Image
    answers: Tuple[Answer, ...]
    error: Optional[Failure]
    meta: Any
    raw: Dict[str, Any]

    @property
    def text(self) -> str:
        """Of the first answer; '' where there is none."""
        return self.answers[0].text if self.answers else ''

    @classmethod
    def parse(cls, record: Union[str, bytes, Dict[str, Any]]) -> 'Record':
        raw = json.loads(record) if isinstance(record, (str, bytes)) else record
        image = raw.get('image') or {}
        return cls(raw['id'], raw.get('job'), raw.get('campaign'), raw['status'],
                   Image(image.get('uri'), image.get('width'), image.get('height'), image.get('sha256')),
                   tuple(_answer(a) for a in raw.get('tasks', [])), _failure(raw.get('error')), raw.get('meta'), raw)


def _failure(raw: Optional[Dict[str, Any]]) -> Optional[Failure]:
    return Failure(raw['class'], raw['code'], raw['message']) if raw else None


def _entity(raw: Dict[str, Any], utf8: bytes) -> Entity:
    start, end = (len(utf8[:n].decode(errors='ignore')) for n in raw['span'])
    boxes: List[Tuple[float, float, float, float]] = [tuple(box) for box in raw['boxes']]  # type: ignore[misc]
    return Entity(raw['phrase'], (start, end), tuple(boxes), raw['score'])


def _answer(raw: Dict[str, Any]) -> Answer:
    text = raw.get('text', '')
    utf8 = text.encode()
    return Answer(raw['id'], raw['task'], text, tuple(_entity(e, utf8) for e in raw.get('entities', [])), raw.get('finish'),
                  _failure(raw.get('error')), raw)

"""What a client says and waits for, without sockets: generators that yield a request or a pause and are sent the answer.
`Client` and `AsyncClient` drive the same ones."""
from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Any, Dict, Generator, Iterable, List, Optional, Sequence, Tuple, Union

from .errors import ProtocolError, Refused
from .job import Job
from .record import Record
from .status import STATES, Campaign, Submitted, Worker

BATCH_JOBS = 128
BATCH_BYTES = 1 << 20
LIMIT_RESULTS = 256


@dataclass(frozen=True)
class Ask:
    """One request; the answer's (kind, fields) comes back. ERROR `store` and `no-class` are tried again by the driver."""
    kind: str
    fields: Dict[str, Any]


@dataclass(frozen=True)
class Pause:
    seconds: float


Step = Union[Ask, Pause]
Answered = Tuple[str, Dict[str, Any]]
Talk = Generator[Step, Any, Any]


def check(answer: Answered, *kinds: str) -> Dict[str, Any]:
    kind, fields = answer
    if kind == 'ERROR':
        raise Refused(fields.get('code', '?'), fields.get('text', '?'))
    if kind not in kinds:
        raise ProtocolError('%s came where %s was expected' % (kind, ' or '.join(kinds)))
    return fields


def campaigns() -> Talk:
    found: List[Campaign] = []
    cursor = 0
    while True:
        fields = check((yield Ask('STATUS', {'cursor': cursor} if cursor else {})), 'CAMPAIGNS')
        found += [Campaign.parse(row) for row in fields['rows']]
        cursor = fields.get('cursor', 0)
        if not cursor:
            return found


def campaign(name: str) -> Talk:
    return Campaign.parse(check((yield Ask('STATUS', {'campaign': name})), 'CAMPAIGNS')['rows'][0])


def set_state(name: str, state: str) -> Talk:
    fields = {'campaign': name, 'state': STATES.index(state)}
    return Campaign.parse(check((yield Ask('CAMPAIGN_SET', fields)), 'CAMPAIGNS')['rows'][0])


def workers() -> Talk:
    return [Worker.parse(row) for row in check((yield Ask('WORKERS', {})), 'SESSIONS')['rows']]


def pin_of(job: Job) -> str:
    """What a campaign's jobs have in common: their tasks and policy."""
    asked = json.dumps([[t._pack() for t in job.tasks], job.policy], separators=(',', ':'))
    return 'python:' + hashlib.sha256(asked.encode()).hexdigest()[:32]


def make(name: str, tenant: str, pin: str, class_name: Optional[str], labels: str, fail_stop: float) -> Talk:
    fields: Dict[str, Any] = {'campaign': name, 'tenant': tenant, 'pin': pin}
    if class_name:
        fields['class'] = class_name
    if labels:
        fields['labels'] = labels
    if fail_stop:
        fields['fail_stop'] = round(fail_stop * 1000)
    return Campaign.parse(check((yield Ask('CAMPAIGN', fields)), 'CAMPAIGNS')['rows'][0])


def _batches(name: str, tenant: str, jobs: Iterable[Job]) -> Iterable[List[Any]]:
    rows: List[Any] = []
    held = 0
    for job in jobs:
        row = job.row(name, tenant)
        if rows and (len(rows) == BATCH_JOBS or held + len(row[4]) > BATCH_BYTES):
            yield rows
            rows, held = [], 0
        rows.append(row)
        held += len(row[4])
    if rows:
        yield rows


def _send(name: str, rows: List[Any], end: bool) -> Talk:
    fields: Dict[str, Any] = {'campaign': name, 'rows': rows}
    if end:
        fields['end'] = 1
    waits = 1.0
    while True:
        answer = yield Ask('SUBMIT', fields)
        if answer[0] != 'BUSY':
            return check(answer, 'ACCEPTED')['statuses']
        yield Pause(min(waits, 4.0) * answer[1]['retry_ms'] / 1000 * random.uniform(0.75, 1.25))
        waits *= 1.5


def submit(name: str, jobs: Iterable[Job], tenant: str, class_name: Optional[str], labels: str, fail_stop: float, pin: Optional[str],
           end: bool) -> Talk:
    """Jobs are taken from the iterable as the queue takes them: that is the back pressure."""
    counts = {'n': 0, 'd': 0, 'f': 0}
    made = pin is not None
    if made:
        yield from make(name, tenant, pin, class_name, labels, fail_stop)
    iterator = iter(jobs)
    first = next(iterator, None)
    if first is not None and not made:
        yield from make(name, tenant, pin_of(first), class_name, labels, fail_stop)
        made = True

    def all_jobs() -> Iterable[Job]:
        if first is not None:
            yield first
        yield from iterator

    for rows in _batches(name, tenant, all_jobs()):
        for letter in (yield from _send(name, rows, False)).decode():
            counts[letter] += 1
    if end and made:
        yield from _send(name, [], True)
    return Submitted(counts['n'], counts['d'], counts['f'])


def results(name: str, cursor: int, most: int = LIMIT_RESULTS) -> Talk:
    """(records with the cursor behind each, cursor behind all, whether there are more)."""
    fields = check((yield Ask('RESULTS', {'campaign': name, 'cursor': cursor, 'max': most})), 'RECORDS')
    found = [(row[1], Record.parse(row[4])) for row in fields['rows']]
    return found, fields['cursor'], bool(fields.get('more', 0))


def is_over(c: Campaign) -> bool:
    return c.completed or (c.state == 'cancelled' and c.unfinished == 0)


def record_of(job: bytes) -> Talk:
    """The record of a job; None while it has not ended, or where its record was taken out of Redis."""
    cursor = 0
    while True:
        fields = check((yield Ask('JOB', {'ids': job, 'action': 0, 'cursor': cursor} if cursor else {'ids': job, 'action': 0})), 'JOB_IS')
        if fields['text'] != 'missing' or not fields.get('cursor', 0):
            body = fields.get('record')
            return fields['text'], Record.parse(body) if body else None
        cursor = fields['cursor']


def annotate(name: str, jobs: Sequence[Job], tenant: str, poll: float, **more: Any) -> Talk:
    """Hands jobs in and waits for their records, in the order of the jobs. One whose record has left Redis is None."""
    yield from submit(name, jobs, tenant, end=False, **more)
    found: Dict[bytes, Optional[Record]] = {}
    names = [job.name(name, tenant) for job in jobs]
    left = list(dict.fromkeys(names))
    while left:
        waiting = []
        for job in left:
            state, record = yield from record_of(job)
            if record is not None or state in ('ended', 'cancelled', 'missing'):
                found[job] = record
            else:
                waiting.append(job)
        left = waiting
        if left:
            yield Pause(poll)
    return [found[job] for job in names]



"""The client for code that waits."""
from __future__ import annotations

import itertools
import json
import os
import random
import time
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import zmq

from . import message, talk
from .errors import NoAnswer, ProtocolError
from .job import Job
from .record import Record
from .status import Campaign, Submitted, Worker

ANSWER_S = 1.5     # a broker that is silent for so long is left for the next one
AGAIN_CODES = ('store', 'no-class')


@dataclass(frozen=True)
class Keys:
    """CURVE keys, 40 characters of Z85 each: one's own pair and the broker's public key."""
    public: str
    secret: str
    broker: str

    @classmethod
    def read(cls, own: Union[str, os.PathLike], broker: Union[str, os.PathLike]) -> 'Keys':
        """From the files that `ferret admin keygen` writes."""
        with open(own, encoding='utf-8') as file:
            mine = json.load(file)
        with open(broker, encoding='utf-8') as file:
            theirs = json.load(file)
        return cls(mine['public-key'], mine['secret-key'], theirs['public-key'])


# Of the brokers of a `ferret up`, which may have several.
SOCKETS = ['broker.client.ipc'] + ['broker-%d.client.ipc' % i for i in range(1, 8)]


class Wire:
    """Sockets and patience, the same for both clients."""

    def __init__(self, context: Any, broker: Union[None, str, Sequence[str]], data: Union[None, str, os.PathLike], keys: Optional[Keys],
                 patience_s: float):
        if broker is None:
            folder = os.path.abspath(data or 'ferret-data')
            found = [name for name in SOCKETS if os.path.exists(os.path.join(folder, name))]
            broker = ['ipc://%s/%s' % (folder, name) for name in found or SOCKETS[:1]]
        addresses = broker.split(',') if isinstance(broker, str) else list(broker)
        random.shuffle(addresses)
        self.addresses = itertools.cycle(addresses)
        self.context = context
        self.keys = keys
        self.patience_s = patience_s
        self.request = 0
        self.socket: Any = None

    def connect(self) -> Any:
        if self.socket is None:
            self.socket = self.context.socket(zmq.DEALER)
            self.socket.setsockopt(zmq.LINGER, 0)
            self.socket.setsockopt(zmq.MAXMSGSIZE, message.MOST_BYTES)
            if self.keys:
                self.socket.curve_publickey = self.keys.public.encode()
                self.socket.curve_secretkey = self.keys.secret.encode()
                self.socket.curve_serverkey = self.keys.broker.encode()
            self.socket.connect(next(self.addresses))
        return self.socket

    def drop(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def frame(self, ask: talk.Ask) -> bytes:
        self.request += 1
        return message.encode(ask.kind, self.request, ask.fields)

    def is_answer(self, frame: bytes) -> Optional[talk.Answered]:
        """None: the late answer of an earlier request."""
        kind, request, fields = message.decode(frame)
        return (kind, fields) if request == self.request else None

    @staticmethod
    def is_final(answer: talk.Answered) -> bool:
        return answer[0] != 'ERROR' or answer[1].get('code') not in AGAIN_CODES

    def gave_up(self, last: Optional[talk.Answered]) -> NoAnswer:
        said = ': ' + last[1].get('text', '') if last else ''
        return NoAnswer('no broker could do it within %g s%s' % (self.patience_s, said))


class Client:
    """Calls block. `patience_s`: how long a call goes on asking while brokers or Redis are away.

    broker: an address or several; else that of the `ferret up` on the folder `data`. One thread."""

    def __init__(self, broker: Union[None, str, Sequence[str]] = None, *, data: Union[None, str, os.PathLike] = None,
                 keys: Optional[Keys] = None, patience_s: float = 60.0):
        self._wire = Wire(zmq.Context(), broker, data, keys, patience_s)

    def close(self) -> None:
        self._wire.drop()
        self._wire.context.term()

    def __enter__(self) -> 'Client':
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _ask_once(self, ask: talk.Ask) -> Optional[talk.Answered]:
        wire = self._wire
        socket = wire.connect()
        socket.send(wire.frame(ask))
        until = time.monotonic() + ANSWER_S
        while socket.poll(max(0, (until - time.monotonic()) * 1000)):
            answer = wire.is_answer(socket.recv())
            if answer:
                return answer
        wire.drop()
        return None

    def _ask(self, ask: talk.Ask) -> talk.Answered:
        deadline = time.monotonic() + self._wire.patience_s
        last = None
        while True:
            answer = self._ask_once(ask)
            if answer and self._wire.is_final(answer):
                return answer
            last = answer or last
            if time.monotonic() >= deadline:
                raise self._wire.gave_up(last)
            if answer:
                time.sleep(answer[1].get('retry_ms', 200) / 1000)

    def _run(self, steps: talk.Talk) -> Any:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return end.value
            if isinstance(step, talk.Pause):
                time.sleep(step.seconds)
                answer = None
            else:
                answer = self._ask(step)

    def ping(self) -> str:
        """What the broker calls itself."""
        kind, fields = self._ask(talk.Ask('PING', {}))
        if kind != 'PONG':
            raise ProtocolError('%s came where PONG was expected' % kind)
        return fields['text']

    def campaigns(self) -> List[Campaign]:
        return self._run(talk.campaigns())

    def campaign(self, name: str) -> Campaign:
        return self._run(talk.campaign(name))

    def workers(self) -> List[Worker]:
        return self._run(talk.workers())

    def pause(self, name: str) -> Campaign:
        return self._run(talk.set_state(name, 'paused'))

    def resume(self, name: str) -> Campaign:
        return self._run(talk.set_state(name, 'active'))

    def cancel(self, name: str) -> Campaign:
        """For good."""
        return self._run(talk.set_state(name, 'cancelled'))

    def submit(self, campaign: str, jobs: Iterable[Job], *, tenant: str = 'default', class_name: Optional[str] = None, labels: str = '',
               fail_stop: float = 0.0, pin: Optional[str] = None, end: bool = True) -> Submitted:
        """Makes the campaign where it is not there yet, and hands jobs in; again is free, since jobs are known by their ids.
        The iterable is read as fast as the queue takes jobs. end: no more come, so that the campaign can be complete."""
        return self._run(talk.submit(campaign, jobs, tenant, class_name, labels, fail_stop, pin, end))

    def results(self, campaign: str, cursor: int = 0) -> Iterator[Tuple[int, Record]]:
        """Records that are there, each with the cursor behind it, to go on from later."""
        more = True
        while more:
            found, cursor, more = self._run(talk.results(campaign, cursor))
            yield from found

    def follow(self, campaign: str, cursor: int = 0, poll_s: float = 0.5) -> Iterator[Record]:
        """Records as they come, until the campaign is complete."""
        while True:
            over = talk.is_over(self.campaign(campaign))
            for cursor, record in self.results(campaign, cursor):
                yield record
            if over:
                return
            time.sleep(poll_s)

    def annotate(self, campaign: str, jobs: Sequence[Job], *, tenant: str = 'default', class_name: Optional[str] = None, labels: str = '',
                 pin: Optional[str] = None, poll_s: float = 0.2) -> List[Optional[Record]]:
        """Hands jobs in and waits for their records, in the order of the jobs. None: its record was taken out of Redis, by an
        export that follows the campaign."""
        return self._run(talk.annotate(campaign, jobs, tenant, poll_s, class_name=class_name, labels=labels, fail_stop=0.0, pin=pin))

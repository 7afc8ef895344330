"""The client for asyncio; calls are those of Client."""
from __future__ import annotations

import asyncio
import os
from typing import Any, AsyncIterator, Iterable, List, Optional, Sequence, Tuple, Union

import zmq
import zmq.asyncio

from . import talk
from .client import ANSWER_S, Keys, Wire
from .errors import ProtocolError
from .job import Job
from .record import Record
from .status import Campaign, Submitted, Worker


class AsyncClient:
    """One request is on the way at a time; calls of several tasks wait for each other."""

    def __init__(self, broker: Union[None, str, Sequence[str]] = None, *, data: Union[None, str, os.PathLike] = None,
                 keys: Optional[Keys] = None, patience_s: float = 60.0):
        self._wire = Wire(zmq.asyncio.Context(), broker, data, keys, patience_s)
        self._lock = asyncio.Lock()

    def close(self) -> None:
        self._wire.drop()
        self._wire.context.term()

    async def __aenter__(self) -> 'AsyncClient':
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.close()

    async def _receive(self, socket: Any) -> talk.Answered:
        while True:
            answer = self._wire.is_answer(await socket.recv())
            if answer:
                return answer

    async def _ask_once(self, ask: talk.Ask) -> Optional[talk.Answered]:
        async with self._lock:
            socket = self._wire.connect()
            await socket.send(self._wire.frame(ask))
            try:
                return await asyncio.wait_for(self._receive(socket), ANSWER_S)
            except asyncio.TimeoutError:
                self._wire.drop()
                return None

    async def _ask(self, ask: talk.Ask) -> talk.Answered:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wire.patience_s
        last = None
        while True:
            answer = await self._ask_once(ask)
            if answer and self._wire.is_final(answer):
                return answer
            last = answer or last
            if loop.time() >= deadline:
                raise self._wire.gave_up(last)
            if answer:
                await asyncio.sleep(answer[1].get('retry_ms', 200) / 1000)

    async def _run(self, steps: talk.Talk) -> Any:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return end.value
            if isinstance(step, talk.Pause):
                await asyncio.sleep(step.seconds)
                answer = None
            else:
                answer = await self._ask(step)

    async def ping(self) -> str:
        kind, fields = await self._ask(talk.Ask('PING', {}))
        if kind != 'PONG':
            raise ProtocolError('%s came where PONG was expected' % kind)
        return fields['text']

    async def campaigns(self) -> List[Campaign]:
        return await self._run(talk.campaigns())

    async def campaign(self, name: str) -> Campaign:
        return await self._run(talk.campaign(name))

    async def workers(self) -> List[Worker]:
        return await self._run(talk.workers())

    async def pause(self, name: str) -> Campaign:
        return await self._run(talk.set_state(name, 'paused'))

    async def resume(self, name: str) -> Campaign:
        return await self._run(talk.set_state(name, 'active'))

    async def cancel(self, name: str) -> Campaign:
        return await self._run(talk.set_state(name, 'cancelled'))

    async def submit(self, campaign: str, jobs: Iterable[Job], *, tenant: str = 'default', class_name: Optional[str] = None,
                     labels: str = '', fail_stop: float = 0.0, pin: Optional[str] = None, end: bool = True) -> Submitted:
        return await self._run(talk.submit(campaign, jobs, tenant, class_name, labels, fail_stop, pin, end))

    async def results(self, campaign: str, cursor: int = 0) -> AsyncIterator[Tuple[int, Record]]:
        more = True
        while more:
            found, cursor, more = await self._run(talk.results(campaign, cursor))
            for one in found:
                yield one

    async def follow(self, campaign: str, cursor: int = 0, poll_s: float = 0.5) -> AsyncIterator[Record]:
        while True:
            over = talk.is_over(await self.campaign(campaign))
            async for cursor, record in self.results(campaign, cursor):
                yield record
            if over:
                return
            await asyncio.sleep(poll_s)

    async def annotate(self, campaign: str, jobs: Sequence[Job], *, tenant: str = 'default', class_name: Optional[str] = None,
                       labels: str = '', pin: Optional[str] = None, poll_s: float = 0.2) -> List[Optional[Record]]:
        return await self._run(talk.annotate(campaign, jobs, tenant, poll_s, class_name=class_name, labels=labels, fail_stop=0.0, pin=pin))

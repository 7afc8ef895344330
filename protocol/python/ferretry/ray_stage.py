"""A stage for Ray Data: `ds.map_batches(Annotate, fn_constructor_kwargs={...}, batch_size=64, concurrency=2)`.

Each call hands its batch in and waits for its records, so that what is in flight is concurrency * batch_size images: Ray holds
the rest back. Jobs are known by their ids: a pipeline that is run again (or a batch that Ray tries again) gets the records that
are there, without computing them a second time."""
from __future__ import annotations

import json
from typing import Any, Dict, Optional, Sequence, Tuple, Union

from .client import Client, Keys
from .job import Job, Task


class Annotate:
    """Adds the columns ferret_status, ferret_text, ferret_answers (JSON) and ferret_error to batches of a column of URIs."""

    def __init__(self, campaign: str, broker: Union[None, str, Sequence[str]] = None, data: Optional[str] = None,
                 keys: Optional[Keys] = None, image_column: str = 'image', id_column: Optional[str] = None,
                 tasks: Tuple[Task, ...] = (Task(),), tenant: str = 'default', patience_s: float = 600.0):
        self.client = Client(broker, data=data, keys=keys, patience_s=patience_s)
        self.campaign, self.tenant, self.tasks = campaign, tenant, tasks
        self.image_column, self.id_column = image_column, id_column

    def __call__(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        images = [str(image) for image in batch[self.image_column]]
        ids = [str(key) for key in batch[self.id_column]] if self.id_column else images
        jobs = [Job(image, id=key, tasks=self.tasks) for image, key in zip(images, ids)]
        records = self.client.annotate(self.campaign, jobs, tenant=self.tenant)
        batch = dict(batch)
        batch['ferret_status'] = [r.status if r else 'gone' for r in records]
        batch['ferret_text'] = [r.text if r else '' for r in records]
        batch['ferret_answers'] = [json.dumps(r.raw.get('tasks', []), ensure_ascii=False) if r else '[]' for r in records]
        batch['ferret_error'] = [r.error.code if r and r.error else '' for r in records]
        return batch

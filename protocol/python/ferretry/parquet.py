"""Parquet in and out, with pyarrow: records as a table, and img2dataset's folders of shards, whose sidecars gain what was
answered."""
from __future__ import annotations

import io
import json
import os
import pathlib
import tarfile
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import FerretryError
from .job import Job, Task
from .record import Record

ENTITY = pa.struct([('phrase', pa.string()), ('start', pa.int32()), ('end', pa.int32()), ('boxes', pa.list_(pa.list_(pa.float64()))),
                    ('score', pa.float64())])
ANSWER = pa.struct([('id', pa.string()), ('task', pa.string()), ('text', pa.string()), ('entities', pa.list_(ENTITY)),
                    ('finish', pa.string()), ('error', pa.string())])
SCHEMA = pa.schema([('id', pa.string()), ('job', pa.string()), ('campaign', pa.string()), ('status', pa.string()),
                    ('uri', pa.string()), ('width', pa.int32()), ('height', pa.int32()), ('sha256', pa.string()),
                    ('answers', pa.list_(ANSWER)), ('error_class', pa.string()), ('error_code', pa.string()),
                    ('error_message', pa.string()), ('meta', pa.string()), ('record', pa.string())])


def answers_of(record: Record) -> List[Dict[str, Any]]:
    return [{'id': a.id, 'task': a.task, 'text': a.text, 'finish': a.finish, 'error': a.error.code if a.error else None,
             'entities': [{'phrase': e.phrase, 'start': e.span[0], 'end': e.span[1], 'boxes': [list(b) for b in e.boxes],
                           'score': e.score} for e in a.entities]} for a in record.answers]


def row_of(record: Record) -> Dict[str, Any]:
    error = record.error
    return {'id': record.id, 'job': record.job, 'campaign': record.campaign, 'status': record.status, 'uri': record.image.uri,
            'width': record.image.width, 'height': record.image.height, 'sha256': record.image.sha256, 'answers': answers_of(record),
            'error_class': error.error_class if error else None, 'error_code': error.code if error else None,
            'error_message': error.message if error else None,
            'meta': None if record.meta is None else json.dumps(record.meta, ensure_ascii=False),
            'record': json.dumps(record.raw, ensure_ascii=False)}


def write(records: Iterable[Record], path: Union[str, os.PathLike], rows_a_group: int = 4096) -> int:
    """Writes a file in flat memory and answers how many rows it has. It appears when it is whole."""
    part, n = str(path) + '.tmp', 0
    with pq.ParquetWriter(part, SCHEMA, compression='zstd') as file:
        rows: List[Dict[str, Any]] = []
        for record in records:
            rows.append(row_of(record))
            n += 1
            if len(rows) == rows_a_group:
                file.write_table(pa.Table.from_pylist(rows, SCHEMA))
                rows = []
        if rows or n == 0:
            file.write_table(pa.Table.from_pylist(rows, SCHEMA))
    os.replace(part, path)
    return n


def read(path: Union[str, os.PathLike]) -> Iterator[Record]:
    """Records of a file that write made, to the last field."""
    for batch in pq.ParquetFile(path).iter_batches(columns=['record']):
        for text in batch.column('record').to_pylist():
            yield Record.parse(text)


# ---- img2dataset -----------------------------------------------------------------------------------------------------------

def _members(tar: pathlib.Path) -> Dict[str, Tuple[str, int, int]]:
    """Key of a sample -> name, offset and length of its image."""
    found = {}
    with tarfile.open(tar) as file:
        for member in file:
            key, _, extension = member.name.partition('.')
            if member.isfile() and extension not in ('txt', 'json'):
                found[key] = (member.name, member.offset_data, member.size)
    return found


def _image_column(sidecar: pathlib.Path) -> Optional[str]:
    """The column that holds images, where they were written into the sidecar itself."""
    schema = pq.read_schema(sidecar)
    found = [name for name in ('jpg', 'png', 'webp') if name in schema.names and pa.types.is_binary(schema.field(name).type)]
    return found[0] if found else None


def _unpack(sidecar: pathlib.Path, column: str, tar: pathlib.Path) -> int:
    n = 0
    with tarfile.open(tar, 'w') as file:
        for batch in pq.ParquetFile(sidecar).iter_batches(batch_size=64, columns=['key', column]):
            for row in batch.to_pylist():
                if row[column] is not None:
                    member = tarfile.TarInfo('%s.%s' % (row['key'], column))
                    member.size = len(row[column])
                    file.addfile(member, io.BytesIO(row[column]))
                    n += 1
    return n


def img2dataset_unpack(folder: Union[str, os.PathLike], out: Union[str, os.PathLike]) -> int:
    """What img2dataset wrote with output_format="parquet", images in the sidecars, once more in `out` as shards beside
    sidecars without images, which img2dataset_jobs reads. Answers how many images there are."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    n = 0
    for sidecar in sorted(pathlib.Path(folder).glob('*.parquet')):
        column = _image_column(sidecar)
        if column is None:
            raise FerretryError('%s: no column jpg, png or webp with images in it' % sidecar)
        tar, rows = out / (sidecar.stem + '.tar'), out / sidecar.name
        n += _unpack(sidecar, column, pathlib.Path(str(tar) + '.tmp'))
        schema = pq.read_schema(sidecar)
        pq.write_table(pq.read_table(sidecar, columns=[c for c in schema.names if c != column]), str(rows) + '.tmp', compression='zstd')
        os.replace(str(tar) + '.tmp', tar)
        os.replace(str(rows) + '.tmp', rows)
    return n


def img2dataset_jobs(folder: Union[str, os.PathLike], root: str, tasks: Tuple[Task, ...] = (Task(),),
                     under: Union[None, str, os.PathLike] = None) -> Iterator[Job]:
    """Jobs of what img2dataset downloaded, shard by shard: ids are its keys, each shard is a group. Workers find the folder
    (or, with `under`, the folder above it) as `root`. Samples whose download failed are left out."""
    folder = pathlib.Path(folder)
    base = pathlib.Path(under or folder)
    for sidecar in sorted(folder.glob('*.parquet')):
        shard = sidecar.stem
        tar = folder / (shard + '.tar')
        members = _members(tar) if tar.exists() else None
        if members is None and not (folder / shard).is_dir():
            if _image_column(sidecar):
                raise FerretryError('%s: the images are in it; img2dataset_unpack makes shards of them' % sidecar)
            raise FerretryError('%s: neither %s nor a folder of that name is there' % (sidecar, tar.name))
        for row in pq.read_table(sidecar, columns=['key', 'status']).to_pylist():
            key = row['key']
            if row['status'] != 'success':
                continue
            if members is None:
                files = [f for f in (folder / shard).glob(key + '.*') if f.suffix not in ('.txt', '.json')]
                if not files:
                    raise FerretryError('%s: the image of key %s is not in the folder %s' % (sidecar, key, shard))
                image = '%s:%s' % (root, files[0].relative_to(base))
            elif key in members:
                image = '%s:%s#%s@%d+%d' % ((root, tar.relative_to(base)) + members[key])
            else:
                raise FerretryError('%s: the image of key %s is not in %s' % (sidecar, key, tar.name))
            yield Job(image, id=key, tasks=tasks, group=shard)


def img2dataset_write(records: Iterable[Record], folder: Union[str, os.PathLike], out: Union[str, os.PathLike]) -> int:
    """Writes each sidecar of `folder` once more into `out`, with the columns ferret_status, ferret_text, ferret_answers and
    ferret_error; rows and their order stay. Answers how many rows gained a record."""
    by_key = {record.id: record for record in records}
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    met = 0
    for sidecar in sorted(pathlib.Path(folder).glob('*.parquet')):
        table = pq.read_table(sidecar)
        found: List[Optional[Record]] = [by_key.get(key) for key in table.column('key').to_pylist()]
        met += sum(r is not None for r in found)
        columns = {
            'ferret_status': pa.array([r.status if r else None for r in found], pa.string()),
            'ferret_text': pa.array([r.text if r else None for r in found], pa.string()),
            'ferret_answers': pa.array([answers_of(r) if r else None for r in found], pa.list_(ANSWER)),
            'ferret_error': pa.array([r.error.code if r and r.error else None for r in found], pa.string()),
        }
        for name, column in columns.items():
            table = table.append_column(name, column)
        part = out / (sidecar.name + '.tmp')
        pq.write_table(table, part, compression='zstd')
        os.replace(part, out / sidecar.name)
    return met

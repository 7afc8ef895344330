#!/usr/bin/python3
"""The Python client: the vectors that the C codecs are tested with too, and both clients against a real `ferret up`, through
outages. Debian's Python, which has pyzmq and msgpack; Parquet where pyarrow is there.
"""
import asyncio
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time

from service import BIN, CORPUS, ROOT, Up, free_port, run, want

sys.path.insert(0, str(ROOT / 'protocol/python'))
try:
    import ferretry
    from ferretry import message
except ImportError as error:
    print('%s is not here' % error.name)
    sys.exit(77)
from ferretry import AsyncClient, Client, Job, Keys, NoAnswer, Options, Refused, Region, Task

IMAGES = sorted(p for p in CORPUS.iterdir() if p.suffix != '.tiff')
FEW = Options(max_tokens=12)


def lines(name):
    return [json.loads(line) for line in (ROOT / 'protocol/vectors' / name).read_text().splitlines()]


def bytes_of(value):
    if isinstance(value, dict):
        return bytes.fromhex(value['hex']) if set(value) == {'hex'} else {k: bytes_of(v) for k, v in value.items()}
    return [bytes_of(v) for v in value] if isinstance(value, list) else value


def region_of(raw):
    more = {'id': raw.get('id'), 'normalised': raw.get('normalised', False)}
    if 'point' in raw:
        return Region.point(*raw['point'], **more)
    if 'box' in raw:
        return Region.rectangle(*raw['box'], **more)
    if 'polygon' in raw:
        return Region.polygon(*raw['polygon'], **more)
    if 'scribble' in raw:
        return Region.scribble(raw['scribble'], raw.get('stroke_width', 0), **more)
    return Region.rle(*raw['rle']['size'], raw['rle']['counts'], **more)


def task_of(raw, options):
    options = {**options, **raw.get('options', {})}
    regions = raw.get('regions')
    return Task(raw.get('kind') or raw['task'], tuple(raw.get('phrases', ())), tuple(raw.get('turns', ())),
                tuple(regions) if 'kind' in raw and regions is not None else None, raw.get('id') if 'kind' in raw else None,
                Options(**{k: tuple(v) if k == 'stop' else v for k, v in options.items()}))


def job_of(line):
    options = line.get('options', {})
    return Job(line['image'], line.get('id'), tuple(task_of(t, options) for t in line.get('tasks', [line])),
               tuple(region_of(r) for r in line.get('regions', ())), line.get('group'), line.get('policy', 'default'), line.get('meta'),
               line.get('priority', 1), line.get('retries', 4), line.get('deadline', 0), line.get('not_before', 0),
               line.get('max_runtime', 0), line.get('group_images', 0))


def check_vectors():
    for vector in lines('jobs.jsonl'):
        job = job_of(vector['line'])
        want(vector['name'], vector['packed'], job.pack(vector['campaign'], vector['tenant']).hex())
        want(vector['name'], vector['id'], job.name(vector['campaign'], vector['tenant']).hex())
    for times in ({'deadline_ms': 3600}, {'not_before_ms': 1764000000}):
        try:
            Job('a:b', **times).pack('c')
        except ferretry.ProtocolError as error:
            assert list(times)[0] in str(error), error
            continue
        raise AssertionError('%r was taken for milliseconds' % times)
    for vector in lines('messages.jsonl'):
        frame, fields = bytes.fromhex(vector['frame']), bytes_of(vector['fields'])
        want('frame of ' + vector['kind'], (vector['kind'], vector['request'], fields), message.decode(frame))
        want('bytes of ' + vector['kind'], frame, message.encode(vector['kind'], vector['request'], fields))
        for n in range(len(frame)):
            try:
                message.decode(frame[:n])
            except ferretry.ProtocolError:
                continue
            raise AssertionError('%s cut to %d bytes was read' % (vector['kind'], n))


def jobs():
    for path in IMAGES:
        yield Job('local:%s' % str(path)[1:], id=path.name, tasks=(Task(options=FEW),), meta={'name': path.name})


def check_sync(client):
    want('name of the broker', 'ferret-broker', client.ping())
    want('workers', 1, len(client.workers()))
    done = client.submit('python', jobs(), labels='by=python')
    want('submitted', (len(IMAGES), 0, 0), dataclasses.astuple(done))
    records = {record.id: record for record in client.follow('python')}
    want('records', sorted(p.name for p in IMAGES), sorted(records))
    want('failed', ['broken.jpg'], [r.id for r in records.values() if r.error])
    want('error', ('permanent', 'truncated'), (records['broken.jpg'].error.error_class, records['broken.jpg'].error.code))
    for record in records.values():
        want('meta', {'name': record.id}, record.meta)
        for answer in record.answers:
            for entity in answer.entities:
                want('span', entity.phrase, answer.text[slice(*entity.span)])
    client.submit('nan', [Job('local:%s' % str(IMAGES[0])[1:], id='nan', tasks=(Task(options=FEW),), meta={'x': float('nan')})])
    odd = next(iter(client.follow('nan')))
    want('a job whose meta is no JSON', ('invalid_job', None), (odd.error.code, odd.meta))
    campaign = client.campaign('python')
    want('campaign', (True, 'by=python', len(IMAGES)), (campaign.completed, campaign.labels, campaign.total))
    again = client.submit('python', jobs())
    want('submitted again', (0, 0, len(IMAGES)), dataclasses.astuple(again))
    code = None
    try:
        client.submit('python', [Job('local:x', tasks=(Task('locate', phrases=('a dog',)),))])
    except Refused as error:
        code = error.code
    want('code of another task in the campaign', 'refused', code)
    try:
        client.campaign('none')
        code = None
    except Refused as error:
        code = error.code
    want('code of no campaign', 'missing', code)
    return list(records.values())


async def check_async(data):
    async with AsyncClient(data=data) as client:
        some = list(jobs())[:4]
        both = await asyncio.gather(client.annotate('async', some), client.campaigns())
        want('records of annotate', [j.key for j in some], [r.id for r in both[0]])
        want('records of follow', 4, len([r async for _, r in client.results('async')]))
        want('again', [r.raw for r in both[0]], [r.raw for r in await client.annotate('async', some)])


def check_outage(up, client):
    """Killed between two calls and in the middle of one, brokers and Redis are asked again."""
    os.kill(up.pid('broker'), signal.SIGKILL)
    want('submitted through an outage', (len(IMAGES), 0, 0), dataclasses.astuple(client.submit('outage', jobs())))
    os.kill(up.pid('redis'), signal.SIGKILL)
    want('records through an outage', len(IMAGES), len(list(client.follow('outage'))))
    began = time.monotonic()
    try:
        with Client('ipc:///nowhere/at.all', patience_s=2) as lost:
            lost.ping()
        raise AssertionError('somebody answered who is not there')
    except NoAnswer:
        assert time.monotonic() - began < 10


def check_curve(up, work):
    """A broker with keys that `ferret admin keygen` made answers whom its list knows, and nobody else."""
    keys, address = work / 'keys', 'tcp://127.0.0.1:%d' % free_port()
    subprocess.run([BIN / 'ferret', 'admin', 'keygen', '-o', keys], check=True, capture_output=True)
    with open(work / 'curve.log', 'wb') as log:
        broker = subprocess.Popen([BIN / 'ferret-broker', '--redis', up.data / 'redis.sock', '--client-bind', address, '--worker-bind',
                                   'ipc://%s/curve.worker' % work, '--key-file', keys / 'broker.key'], stderr=log)
    try:
        with Client(address, keys=Keys.read(keys / 'operate.key', keys / 'broker.pub'), patience_s=20) as client:
            want('campaigns over CURVE', True, 'python' in [c.name for c in client.campaigns()])
        with Client(address, patience_s=2) as stranger:
            try:
                stranger.ping()
                raise AssertionError('a broker with keys answered somebody without')
            except NoAnswer:
                pass
    finally:
        broker.terminate()
        broker.wait()


def check_parquet(work, records):
    try:
        import pyarrow.parquet as pq
        from ferretry import parquet
    except ImportError:
        print('pyarrow is not here: Parquet was not tried')
        return
    path = work / 'records.parquet'
    want('rows', len(records), parquet.write(records, path))
    want('records of the file', [r.raw for r in records], [r.raw for r in parquet.read(path)])
    table = pq.read_table(path)
    want('ids', [r.id for r in records], table.column('id').to_pylist())
    boxes = [e['boxes'] for answers in table.column('answers').to_pylist() for a in answers for e in a['entities']]
    want('boxes', [[list(b) for b in e.boxes] for r in records for a in r.answers for e in a.entities], boxes)


# As img2dataset 1.47 writes it (tests/systems/img2dataset.sh runs the real one): rows in the order in which downloads ended,
# members in another one, text beside each image.
DOWNLOADED = [('000001', 'success', 'landscape.jpg', 'b'), ('000002', 'failed_to_download', None, 'd'), ('000000', 'success', 'tall.jpg', 'a'),
              ('000003', 'success', 'broken.jpg', 'c')]


def make_img2dataset(folder, layout, pa, pq):
    """A shard of it; layout: "webdataset", "files" or "parquet"."""
    folder.mkdir()
    table = pa.table({'url': ['http://example.org/%s' % row[2] for row in DOWNLOADED], 'caption': [row[3] for row in DOWNLOADED],
                      'key': [row[0] for row in DOWNLOADED], 'status': [row[1] for row in DOWNLOADED]})
    images = {row[0]: (CORPUS / row[2]).read_bytes() for row in DOWNLOADED if row[2]}
    if layout == 'parquet':
        table = table.append_column('jpg', pa.array([images.get(row[0]) for row in DOWNLOADED], pa.binary()))
    elif layout == 'files':
        (folder / '00000').mkdir()
    else:
        tar = tarfile.open(folder / '00000.tar', 'w')
    for key in sorted(images, reverse=True) if layout != 'parquet' else ():
        for ending, data in (('jpg', images[key]), ('json', b'{}'), ('txt', b'caption')):
            if layout == 'files':
                (folder / '00000' / ('%s.%s' % (key, ending))).write_bytes(data)
                continue
            member = tarfile.TarInfo('%s.%s' % (key, ending))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    if layout == 'webdataset':
        tar.close()
    pq.write_table(table, folder / '00000.parquet')
    (folder / '00000_stats.json').write_text('{}')


def check_img2dataset(work, client):
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
        from ferretry import parquet
    except ImportError:
        return
    for layout in ('webdataset', 'files', 'parquet'):
        folder = work / layout
        make_img2dataset(folder, layout, pa, pq)
        if layout == 'parquet':
            try:
                list(parquet.img2dataset_jobs(folder, 'local', under='/'))
                raise AssertionError('images in a sidecar were jobs')
            except ferretry.FerretryError as error:
                assert 'img2dataset_unpack' in str(error), error
            want('images that are unpacked', 3, parquet.img2dataset_unpack(folder, work / 'unpacked'))
            folder = work / 'unpacked'
        found = list(parquet.img2dataset_jobs(folder, 'local', (Task(options=FEW),), under='/'))
        want('jobs of ' + layout, ['000001', '000000', '000003'], [job.id for job in found])
        records = [r for r in client.annotate('img2dataset-' + layout, found) if r]
        out = work / ('annotated-' + layout)
        want('rows that gained a record', 3, parquet.img2dataset_write(records, folder, out))
        table = pq.read_table(out / '00000.parquet')
        want('captions', ['b', 'd', 'a', 'c'], table.column('caption').to_pylist())
        want('statuses', ['ok', None, 'ok', 'failed'], table.column('ferret_status').to_pylist())
        want('errors', [None, None, None, 'truncated'], table.column('ferret_error').to_pylist())


def test(work):
    check_vectors()
    with Up(work, '--http', 'off') as up, Client(data=up.data) as client:
        records = check_sync(client)
        check_parquet(work, records)
        check_img2dataset(work, client)
        asyncio.run(check_async(up.data))
        check_curve(up, work)
        check_outage(up, client)


run(test)

"""ds.map_batches(Annotate) with the real Ray: every row gains its record, what is in flight is bounded, and a run over rows of
which half are there computes the other half only."""
import json
import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'e2e'))
from service import CORPUS, Up, run, want

os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
os.environ.setdefault('RAY_DEDUP_LOGS', '0')
# Ray gives its processes the niceness 15: beside any load they need minutes for their imports.
os.environ.setdefault('RAY_worker_niceness', '0')
import ray

from ferretry import Client, Options, Task
from ferretry.ray_stage import Annotate

BATCH, ACTORS = 4, 2


def rows():
    """Each picture several times, under ids of its own."""
    images = [p for p in sorted(CORPUS.iterdir()) if p.suffix in ('.png', '.jpg')]
    return [{'image': 'local:%s' % str(p)[1:], 'id': '%d-%s' % (i, p.name)} for i in range(2) for p in images]


def annotated(up, some):
    ds = ray.data.from_items(some, override_num_blocks=4)
    stage = {'campaign': 'ray', 'data': str(up.data), 'id_column': 'id', 'tasks': (Task(options=Options(max_tokens=8)),)}
    ds = ds.map_batches(Annotate, fn_constructor_kwargs=stage, batch_size=BATCH, concurrency=ACTORS, num_cpus=0.5)
    return {row['id']: row for row in ds.take_all()}


def test(work):
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with Up(work, '--http', 'off') as up, Client(data=up.data) as client:
            most, ended = [0], threading.Event()

            def watch():
                with Client(data=up.data) as mine:
                    while not ended.wait(0.05):
                        most[0] = max([most[0]] + [c.unfinished for c in mine.campaigns()])

            watcher = threading.Thread(target=watch)
            watcher.start()
            half = annotated(up, rows()[::2])
            want('rows of the half', sorted(row['id'] for row in rows()[::2]), sorted(half))
            before = client.campaign('ray')
            want('images of the half', len(half), before.done + before.failed)
            found = annotated(up, rows())
            ended.set()
            watcher.join()
            expected = [row['id'] for row in rows()]
            want('rows', sorted(expected), sorted(found))
            want('rows of the half, again', {k: r['ferret_answers'] for k, r in half.items()},
                 {k: found[k]['ferret_answers'] for k in half})
            # What an image is annotated counts, each time: the half was not annotated again.
            after = client.campaign('ray')
            want('images in the queue', (len(expected), len(expected)), (after.total, after.done + after.failed))
            for key, row in found.items():
                want('status of ' + key, 'failed' if 'broken' in key else 'ok', row['ferret_status'])
                want('error of ' + key, 'truncated' if 'broken' in key else '', row['ferret_error'])
                if row['ferret_status'] == 'ok':
                    want('answers of ' + key, row['ferret_text'], json.loads(row['ferret_answers'])[0]['text'])
            assert 0 < most[0] <= BATCH * ACTORS, 'as many as %d images were in flight' % most[0]
            print('measured: at most %d images in flight, of %d' % (most[0], len(expected)))
            want('images that failed', sum('broken' in key for key in expected), after.failed)
    finally:
        ray.shutdown()


run(test)

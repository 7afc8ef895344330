"""img2dataset's layouts as it writes them: every image that it has gains a record, rows and their order stay."""
import functools
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'tests/e2e'), str(ROOT / 'protocol/python')]
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
import pyarrow.parquet as pq
from service import CORPUS, Up, run, want

from ferretry import Client, Options, Task, parquet

PROGRAM = pathlib.Path(sys.executable).with_name('img2dataset')
NAMES = ['landscape.jpg', 'gone.jpg', 'alpha.png', 'tall.jpg', 'scene.webp', 'broken.jpg']
FEW = Task(options=Options(max_tokens=4))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def download(work, layout):
    """One run of img2dataset, the program: two shards of four rows at most."""
    folder = work / layout
    flags = {'url_list': work / 'list.csv', 'input_format': 'csv', 'url_col': 'url', 'caption_col': 'caption', 'output_format': layout,
             'output_folder': folder, 'processes_count': 1, 'thread_count': 4, 'number_sample_per_shard': 4, 'image_size': 256,
             'disallowed_header_directives': '[]'}
    done = subprocess.run([PROGRAM, *('--%s=%s' % flag for flag in flags.items())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300)
    want('exit code of img2dataset, %s: %s' % (layout, done.stdout[-2000:]), 0, done.returncode)
    stats = [json.loads(p.read_text()) for p in sorted(folder.glob('*_stats.json'))]
    want('rows by its own count, ' + layout, (6, 4, 1, 1),
         tuple(sum(s[k] for s in stats) for k in ('count', 'successes', 'failed_to_download', 'failed_to_resize')))
    return folder


def check(work, layout, client):
    folder = download(work, layout)
    if layout == 'parquet':
        want('images that are unpacked', 4, parquet.img2dataset_unpack(folder, work / 'unpacked'))
        folder = work / 'unpacked'
    jobs = list(parquet.img2dataset_jobs(folder, 'local', (FEW,), under='/'))
    want('jobs of ' + layout, 4, len(jobs))
    records = [r for r in client.annotate(layout, jobs) if r]
    want('records of ' + layout, ['ok'] * 4, [r.status for r in records])
    out = work / ('annotated-' + layout)
    want('rows that gained a record', 4, parquet.img2dataset_write(records, folder, out))
    met = {}
    for sidecar in sorted(folder.glob('*.parquet')):
        before, after = pq.read_table(sidecar), pq.read_table(out / sidecar.name)
        want('columns of ' + sidecar.name, before.column_names, after.column_names[:before.num_columns])
        want('rows of ' + sidecar.name, before.to_pylist(), after.select(before.column_names).to_pylist())
        met.update((row['caption'], (row['status'], row['ferret_status'], bool(row['ferret_text']))) for row in after.to_pylist())
    want('what became of each, ' + layout, {
        'landscape.jpg': ('success', 'ok', True), 'alpha.png': ('success', 'ok', True), 'tall.jpg': ('success', 'ok', True),
        'scene.webp': ('success', 'ok', True), 'gone.jpg': ('failed_to_download', None, False), 'broken.jpg': ('failed_to_resize', None, False),
    }, met)


def test(work):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(CORPUS)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rows = ''.join('http://127.0.0.1:%d/%s,%s\n' % (server.server_port, name, name) for name in NAMES)
    (work / 'list.csv').write_text('url,caption\n' + rows)
    with Up(work, '--http', 'off') as up, Client(data=up.data) as client:
        for layout in ('webdataset', 'files', 'parquet'):
            check(work, layout, client)


if __name__ == '__main__':
    run(test)

#!/usr/bin/env python3
"""What there is to see of a `ferret up` over HTTP: metrics that promtool and a real Prometheus take, health, the token, and
one broker of several that speaks for the queue.
"""
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import urllib.parse

from service import BIN, CORPUS, Up, fetch, free_port, run, wait_for, want

NAME = 'look "here" \\ <b>猫</b>'


def sample(text, name):
    """Sum of the samples whose line begins so; None where there is none."""
    found = [float(line.rsplit(' ', 1)[1]) for line in text.splitlines() if line.startswith(name)]
    return sum(found) if found else None


def check_token(up):
    want('permissions of the token', 0o600, stat.S_IMODE(os.stat(up.data / 'http.token').st_mode))
    want('address that is printed', up.base() + '/?token=' + up.token(), up.url())
    for path in ('/', '/metrics', '/api/status', '/api/events', '/campaigns/x'):
        want('code of %s without a token' % path, 401, fetch(up.base() + path)[0])
        want('code of %s with another token' % path, 401, fetch(up.base() + path, 'x' * 32)[0])
    for index in range(3):
        want('health of %d' % index, (200, 'alive\n'), fetch(up.base(index) + '/healthz'))
        wait_for('readiness of %d' % index, 20, lambda: fetch(up.base(index) + '/readyz') == (200, 'ready\n'))
    want('code of a worker without a token', 401, fetch(up.base(1) + '/metrics')[0])
    want('code of another page', 404, up.get('/nowhere')[0])


def check_run(up):
    up.submit(CORPUS, '--campaign', NAME, '--tenant', 'museum', '--max-tokens', '12')
    up.ferret('watch', '--interval', '1')
    campaign = wait_for('the status knows that it is complete', 20,
                        lambda: [c for c in up.status()['campaigns'] if c['name'] == NAME and c['completed']])[0]
    want('done and failed', (20, 1), (campaign['done'], campaign['failed']))
    def metrics():
        return ''.join(up.get('/metrics', index)[1] for index in (1, 2))
    wait_for('the workers count what the queue counts', 10,
             lambda: sample(metrics(), 'ferretry_worker_images_total{outcome="done"}') == 20)
    text = metrics()
    want('images that failed by the file', 1.0, sample(text, 'ferretry_worker_failures_total{class="permanent"}'))
    for stage in ('fetch', 'decode', 'preprocess', 'encode', 'prefill', 'generate', 'done'):
        n = sample(text, 'ferretry_worker_stage_seconds_count{stage="%s"}' % stage)
        if not n or n < 20 or not sample(text, 'ferretry_worker_stage_seconds_sum{stage="%s"}' % stage):
            raise AssertionError('stage %s was observed %r times' % (stage, n))
    broker = up.get('/metrics')[1]
    want('jobs accepted', 21.0, sample(broker, 'ferretry_broker_jobs_accepted_total'))
    want('jobs handed out', 21.0, sample(broker, 'ferretry_broker_jobs_handed_out_total'))
    want('error that is shown', ['truncated'], [e['code'] for e in up.status()['errors']])
    said = wait_for('workers say how they are', 10, lambda: [w for w in up.status()['workers'] if 'engine' in w])
    want('workers', 2, len(said))
    code, body = up.get('/api/results?n=5&campaign=' + urllib.parse.quote(NAME))
    want('results that are shown', (200, 5), (code, len(json.loads(body)['records'])))
    want('code of results of no campaign', 404, up.get('/api/results?campaign=none')[0])


def check_secrets(up, work):
    """An image's address is told to nobody who looks but without its password and query."""
    images = ['http://me:secret@127.0.0.1/a.jpg?token=secret', 's3://me:secret@bucket/a.jpg', 'ftp://me:secret@127.0.0.1/a.jpg']
    (work / 'secrets.txt').write_text('\n'.join(images) + '\n')
    up.submit(work / 'secrets.txt', '--campaign', 'secrets')
    up.ferret('watch', 'secrets', '--interval', '1')
    shown = ['ftp://127.0.0.1/a.jpg', 'http://127.0.0.1/a.jpg', 's3://bucket/a.jpg']
    errors = wait_for('the page knows what failed', 20,
                      lambda: [e for e in up.status()['errors'] if e['campaign'] == 'secrets'][:3][2:] and up.status()['errors'])
    want('addresses of last errors', shown, sorted(e['id'] for e in errors if e['campaign'] == 'secrets'))
    results = up.get('/api/results?campaign=secrets')[1]
    want('addresses of results', shown, sorted(r['id'] for r in json.loads(results)['records']))
    want('images of results', shown, sorted(r['image']['uri'] for r in json.loads(results)['records']))
    for name, text in (('results', results), ('status', json.dumps(up.status()['errors'])), ('log', up.said())):
        assert 'secret@' not in text and '=secret' not in text, '%s: %s' % (name, text)
    want('jobs that keep their addresses', sorted(images),
         sorted(json.loads(line)['id'] for line in up.ferret('export', 'secrets', '-o', '-')[1].splitlines()))


def check_promtool(up):
    if not shutil.which('promtool'):
        return
    for index in range(3):
        tool = subprocess.run(['promtool', 'check', 'metrics'], input=up.get('/metrics', index)[1].encode(), capture_output=True,
                              check=False)
        want('complaints of promtool', (0, b'', b''), (tool.returncode, tool.stdout, tool.stderr))


def check_election(up, work):
    """Of two brokers on a Redis one tells the queue's gauges, and the other does when it is gone."""
    port = free_port()
    flags = ['--redis', up.data / 'redis.sock', '--client-bind', 'ipc://%s/second.client' % work, '--worker-bind',
             'ipc://%s/second.worker' % work]
    open_to_all = subprocess.run([BIN / 'ferret-broker', *flags, '--http', '0.0.0.0:%d' % port], capture_output=True, check=False)
    want('code of a broker that all hosts may look at', 4, open_to_all.returncode)
    assert b'no token is set' in open_to_all.stderr, open_to_all.stderr
    second = subprocess.Popen([BIN / 'ferret-broker', *flags, '--http', '127.0.0.1:%d' % port], stderr=subprocess.DEVNULL)
    try:
        url = 'http://127.0.0.1:%d' % port
        wait_for('the second broker looks', 20, lambda: fetch(url + '/api/status')[0] == 200)
        texts = [up.get('/metrics')[1], fetch(url + '/metrics')[1]]
        want('brokers that are elected', 1.0, sample(''.join(texts), 'ferretry_broker_elected'))
        want('brokers that tell the gauges', 1, ''.join(texts).count('\nferretry_queue_unfinished_jobs '))
        want('workers that are well', 2.0, sample(''.join(texts), 'ferretry_queue_workers{class='))
        os.kill(up.pid('broker'), signal.SIGSTOP)
        wait_for('the other one is elected', 30, lambda: sample(fetch(url + '/metrics')[1], 'ferretry_broker_elected'))
        os.kill(up.pid('broker'), signal.SIGCONT)
    finally:
        second.terminate()
        want('exit code of the second broker', 0, second.wait())


def check_prometheus(up, work):
    if not shutil.which('prometheus'):
        return
    port = free_port()
    targets = ', '.join('"%s"' % up.base(index)[len('http://'):] for index in range(3))
    (work / 'prometheus.yml').write_text('''global: {scrape_interval: 1s}
scrape_configs:
- job_name: ferretry
  authorization: {credentials_file: "%s"}
  static_configs: [{targets: [%s]}]
''' % (up.data / 'http.token', targets))
    with open(work / 'prometheus.log', 'wb') as log:
        server = subprocess.Popen(['prometheus', '--config.file=%s' % (work / 'prometheus.yml'), '--storage.tsdb.path=%s' % (work / 'tsdb'),
                                   '--web.listen-address=127.0.0.1:%d' % port], stdout=log, stderr=log)
    def query(text):
        result = json.loads(fetch('http://127.0.0.1:%d/api/v1/query?query=%s' % (port, urllib.parse.quote(text)))[1])['data']['result']
        return float(result[0]['value'][1]) if result else None
    try:
        wait_for('Prometheus scrapes all', 40, lambda: query('sum(up)') == 3 and
                 query('sum(ferretry_worker_images_total{outcome="done"})') == 20)
        wait_for('Prometheus knows the queue', 20, lambda: query('sum(ferretry_queue_workers{state="well"})') == 2)
        assert 0 < query('histogram_quantile(0.9, sum by (le) (ferretry_worker_stage_seconds_bucket{stage="encode"}))') < 60
    finally:
        server.terminate()
        server.wait()


def check_outage(up):
    """Without Redis the broker is alive and not ready, and says so on the page."""
    redis = up.pid('redis')
    os.kill(redis, signal.SIGSTOP)
    os.kill(redis, signal.SIGKILL)
    wait_for('the broker is not ready', 10, lambda: fetch(up.base() + '/readyz') == (503, "Redis can't be reached\n"))
    want('health without Redis', 200, fetch(up.base() + '/healthz')[0])
    wait_for('the broker is ready again', 30, lambda: fetch(up.base() + '/readyz')[0] == 200)


def check_trace(work):
    """A trace is whole when its program is killed."""
    trace = work / 'trace.json'
    annotate = subprocess.Popen([BIN / 'ferret', 'annotate', CORPUS, '--trace', trace, '-o', os.devnull], stderr=subprocess.DEVNULL)
    wait_for('stages are traced', 60, lambda: trace.exists() and b'"generate"' in trace.read_bytes())
    annotate.kill()
    annotate.wait()
    events = wait_for('the trace is whole', 10, lambda: json.loads(trace.read_text()))
    names = {e['name'] for e in events if e['ph'] == 'X'}
    assert {'fetch', 'decode', 'preprocess', 'step'} <= names, names
    begun = {(e['name'], e['id']) for e in events if e['ph'] == 'b'}
    want('tasks that begin and end', set(), {(e['name'], e['id']) for e in events if e['ph'] == 'e'} - begun)
    assert all(isinstance(e['pid'], int) and isinstance(e['tid'], int) for e in events)
    assert all(re.fullmatch(r'\d+', str(e['ts'])) for e in events if e['ph'] in 'XbeC')


def test(work):
    with Up(work, '--workers', '2') as up:
        check_token(up)
        check_run(up)
        check_secrets(up, work)
        check_promtool(up)
        check_election(up, work)
        check_prometheus(up, work)
        check_outage(up)
        token = up.token()
    with Up(work, '--http', 'off', '--log', 'json') as up:
        up.submit(CORPUS / 'broken.jpg', '--campaign', 'logged')
        up.ferret('watch', 'logged', '--interval', '1')
        assert 'status page' not in up.said(), 'a page is shown though it was not wanted'
        want('the token from start to start', token, up.token())
    lines = [json.loads(line) for line in up.said().splitlines() if line.startswith('{')]
    assert {'up', 'broker', 'worker'} <= {line['component'] for line in lines}, lines
    want('what is said of the broken image', ['failed: truncated'],
         [line['text'][:17] for line in lines if line.get('campaign') == 'logged'])
    check_trace(work)


run(test)

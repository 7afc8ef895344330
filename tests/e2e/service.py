"""A `ferret up` of its own for tests in Python, and what there is to see of it over HTTP."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get('BIN', ROOT / 'build/bin'))
CORPUS = ROOT / 'tests/e2e/corpus/files'
for variable in ('FERRET_DATA', 'FERRET_BROKER', 'FERRET_CONFIG', 'FERRET_CAMPAIGN', 'FERRET_HTTP', 'FERRET_HTTP_TOKEN'):
    os.environ.pop(variable, None)


def want(what, expected, found):
    if expected != found:
        raise AssertionError('%s: expected %r, found %r' % (what, expected, found))


def wait_for(what, seconds, condition):
    """The first value of condition() that is true; it may raise until then."""
    deadline, said = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            value = condition()
            if value:
                return value
            said = repr(value)
        except (OSError, ValueError, KeyError, AssertionError) as error:
            said = repr(error)
        time.sleep(0.1)
    raise AssertionError('%s: not within %d s; last: %s' % (what, seconds, said))


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def fetch(url, token=None):
    """Status and body."""
    request = urllib.request.Request(url, headers={'Authorization': 'Bearer ' + token} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Up:
    """`with Up(work, '--workers', '2') as up:`"""

    def __init__(self, work, *flags):
        self.data = pathlib.Path(work) / 'data'
        self.log = pathlib.Path(work) / 'up.log'
        self.flags = flags
        self.process = None

    def __enter__(self):
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen([BIN / 'ferret', 'up', '--data', self.data, *self.flags], stderr=log)
        wait_for('ferret up is ready', 90, lambda: self.process.poll() is not None or 'ferret up: ready' in self.said())
        want('ferret up runs', None, self.process.poll())
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait()
        if kind is None:
            want('exit code of ferret up', 0, code)
        else:
            sys.stderr.write(self.said()[-4000:])

    def said(self):
        return self.log.read_text(errors='replace')

    def url(self):
        """Of the page, with its token."""
        lines = [line for line in self.said().splitlines() if line.startswith('ferret up: status page: ')]
        return lines[-1].split()[-1]

    def base(self, index=0):
        """http://HOST:PORT of the broker (0) or a worker (1 ...)."""
        port = int(self.url().split('/')[2].split(':')[1])
        return 'http://127.0.0.1:%d' % (port + index)

    def token(self):
        return (self.data / 'http.token').read_text().strip()

    def get(self, path, index=0):
        return fetch(self.base(index) + path, self.token())

    def status(self):
        return json.loads(self.get('/api/status')[1])

    def ferret(self, *arguments):
        run = subprocess.run([BIN / 'ferret', *map(str, arguments), '--data', self.data], capture_output=True, check=False)
        return run.returncode, run.stdout.decode(), run.stderr.decode()

    def submit(self, *arguments):
        code, out, error = self.ferret('submit', *arguments)
        if code:
            raise AssertionError('ferret submit %r: %d, %s' % (arguments, code, error))
        return out.strip()

    def pid(self, name):
        lines = [line for line in self.said().splitlines() if ' up: %s started, process ' % name in line]
        return int(lines[-1].split()[-1])


def run(test):
    """Runs test(folder) as a program: exit code 0, 77 with a reason (what raise SystemExit(77) says), or 1."""
    with tempfile.TemporaryDirectory(prefix='ferret-e2e.') as work:
        try:
            test(pathlib.Path(work))
        except AssertionError as error:
            sys.exit('not as it should be: %s' % error)

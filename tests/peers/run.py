#!/usr/bin/env python3
"""Layers of 7B here and in each peer, turn about in one run: `run.py TURNS PEERS_FOLDER OUT [--tiny] [PEER...]`.

TURNS is build/test/peers/turns, PEERS_FOLDER what install.sh has filled. A layer's cost is the difference of four layers and
two, the best of some rounds each. OUT/NAME.peer.json holds the best peer's measure; what can't run is skipped by name."""
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FEW, ALL, ROUNDS, TOKENS, REGIONS = 2, 4, 3, 16, 8
PARAMETERS = 4 * 4096 * 4096 + 3 * 4096 * 11008
PREFIX = 676
BATCHES = (1, 8, 16)
DTYPES = ('int8', 'bf16', 'f32')
PEERS = {'ctranslate2': 'peer_ctranslate2.py', 'openvino': 'peer_openvino.py', 'llama.cpp': 'peer_llama_cpp.py'}
DISTRIBUTION = {'ctranslate2': 'ctranslate2', 'openvino': 'openvino', 'llama.cpp': 'llama-cpp-python'}


class Absent(Exception):
    pass


class Side:
    """A process that answers turns."""

    def __init__(self, command, log, env=None):
        self.log = open(log, 'w+')
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=env)
        for line in self.process.stdout:
            if line.strip() == 'ready':
                return
        self.process.wait()
        self.log.seek(0)
        said = [line.strip() for line in self.log if line.strip()]
        raise Absent(said[-1] if said else f'ended with code {self.process.returncode}')

    def turn(self, *words):
        try:
            print(*words, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise Absent('ended in the middle') from None
        line = self.process.stdout.readline().strip()
        if not line:
            raise Absent('ended in the middle')
        return None if line == 'none' else float(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def least(best, key, value):
    if value is not None:
        best[key] = min(best.get(key, value), value)


def kinds(dtype):
    """Names of the turns: ours and the peer's words for it."""
    yield 'prefill', ('prefill',), ('prefill',)
    for n in BATCHES:
        yield f'decode{n}', ('decode', n), ('decode', n)
    if dtype == 'int8':
        yield 'regions', ('regions', TOKENS), ('regions', TOKENS)
        yield 'single', ('single', TOKENS), ('single', TOKENS)
        yield 'cached', None, ('cached', TOKENS)


def rounds(run, peer, dtype, layers, ours, theirs):
    """Adds the best seconds of `layers` layers to both dicts; the two sides take turns."""
    scratch = os.path.join(run.folder, 'model')
    tiny = ['tiny'] if run.tiny else []
    env = dict(os.environ, OMP_NUM_THREADS=str(run.threads))
    python = os.path.join(run.folder, 'venv', 'bin', 'python')
    sides = []
    try:
        sides.append(Side([python, os.path.join(HERE, PEERS[peer]), dtype, str(layers), str(run.threads), scratch] + tiny,
                          os.path.join(run.folder, f'{peer}.turns.log'), env))
        sides.append(Side([run.program, dtype, str(layers)] + tiny, os.path.join(run.folder, 'ours.log')))
        for _ in range(ROUNDS):
            for name, mine, others in kinds(dtype):
                least(theirs, (name, layers), sides[0].turn(*others))
                if mine and ((name, layers) in theirs or name == 'regions'):
                    least(ours, (name, layers), sides[1].turn(*mine))
    finally:
        for side in sides:
            side.close()
        shutil.rmtree(scratch, ignore_errors=True)


def a_layer(times, name):
    if (name, FEW) not in times or (name, ALL) not in times:
        return None
    return max(1e-9, (times[name, ALL] - times[name, FEW]) / (ALL - FEW))


def compare(run, peer, dtype):
    """{measure: (our seconds a layer, the peer's)}"""
    ours, theirs, found = {}, {}, {}
    for layers in (FEW, ALL):
        rounds(run, peer, dtype, layers, ours, theirs)
    for name in ['prefill'] + [f'decode{n}' for n in BATCHES]:
        if a_layer(theirs, name):
            found[f'cpu.{name}_{dtype}'] = a_layer(ours, name), a_layer(theirs, name)
    together = a_layer(ours, 'regions')
    if together and a_layer(theirs, 'single'):
        found['cpu.regions8_peer'] = together / REGIONS, a_layer(theirs, 'single')
    if together and a_layer(theirs, 'cached'):
        found['cpu.regions8_cached'] = together / REGIONS, a_layer(theirs, 'cached') + a_layer(theirs, 'prefill') / REGIONS
    return found


def work(name):
    """Operations behind a layer's turn, in billions, and the unit of their rate; a region counts as one."""
    if 'regions' in name:
        return 1., 'regions/s a layer'
    rows = PREFIX if 'prefill' in name else int(name.split('decode')[1].split('_')[0])
    return 2 * PARAMETERS * rows / 1e9, 'GFLOP/s'


def write(out, name, ours, theirs, peer):
    amount, unit = work(name)
    whole = not name.startswith('cpu.regions8')
    measure = {'name': name, 'value': float(f'{amount / ours:.4g}'), 'unit': unit, 'baseline': float(f'{amount / theirs:.4g}'),
               'ratio': round(theirs / ours, 3), 'peer': peer}
    with open(os.path.join(out, name + ('.peer.json' if whole else '.json')), 'w') as f:
        json.dump(measure, f)


def version(run, peer):
    asked = subprocess.run([os.path.join(run.folder, 'venv', 'bin', 'python'), '-c',
                            f'from importlib.metadata import version; print(version({DISTRIBUTION[peer]!r}))'],
                           capture_output=True, text=True)
    return f'{peer} {asked.stdout.strip()}'.strip()


def missing(run, peer):
    path = os.path.join(run.folder, f'{peer}.missing')
    if os.path.exists(path):
        with open(path) as f:
            return f.read().strip()
    return None if os.path.exists(os.path.join(run.folder, 'venv', 'bin', 'python')) else 'not installed'


class Run:
    def __init__(self, program, folder, tiny):
        self.program, self.folder, self.tiny = program, folder, tiny
        self.threads = cores()


def cores():
    """Physical ones that this process may use, as kernels/cpu/pool.h counts them."""
    leaders = set()
    for cpu in os.sched_getaffinity(0):
        try:
            with open(f'/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list') as f:
                leaders.add(f.read().replace('-', ',').split(',')[0].strip())
        except OSError:
            leaders.add(str(cpu))
    return max(1, len(leaders))


def main(program, folder, out, *rest):
    run = Run(program, folder, '--tiny' in rest)
    chosen = [r for r in rest if r != '--tiny'] or list(PEERS)
    os.makedirs(out, exist_ok=True)
    best = {}
    for peer in chosen:
        reason = missing(run, peer)
        if reason:
            print(f'SKIP {peer}: {reason}')
            continue
        name = version(run, peer)
        for dtype in DTYPES:
            try:
                found = compare(run, peer, dtype)
            except Absent as why:
                print(f'SKIP {name} {dtype}: {why}', flush=True)
                continue
            for measure, (ours, theirs) in found.items():
                amount, unit = work(measure)
                said = 'ran' if run.tiny else f'ours {amount / ours:9.4g}, {name} {amount / theirs:9.4g} {unit}: {theirs / ours:.2f} times'
                print(f'{measure:24} {said}', flush=True)
                if measure not in best or theirs < best[measure][1]:
                    best[measure] = ours, theirs, name
    if not run.tiny:
        for measure, (ours, theirs, name) in best.items():
            write(out, measure, ours, theirs, name)
    return 0 if best else 1


sys.exit(main(*sys.argv[1:]))

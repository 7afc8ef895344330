#!/usr/bin/env python3
"""`ferret annotate` over a hostile folder and a hostile manifest: every input yields exactly one record, a result or the typed
error that is right for it, and nothing one input does touches another.
"""
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get('BIN', ROOT / 'build/bin'))
FLAGS = ['--max-tokens', '12']
PROTOCOL = (ROOT / 'protocol/PROTOCOL.md').read_text()


def want(what, expected, found):
    if expected != found:
        sys.exit('not as it should be: %s: expected %r, found %r' % (what, expected, found))


def annotate(*arguments, stdin=None, code=None):
    """Records by id, and what stderr had."""
    run = subprocess.run([BIN / 'ferret', 'annotate', *FLAGS, *map(str, arguments)], input=stdin, capture_output=True, check=False)
    stderr = run.stderr.decode(errors='replace')
    if code is not None and run.returncode != code:
        sys.exit('exit code %d, expected %d; stderr:\n%s' % (run.returncode, code, stderr))
    records = [json.loads(line) for line in run.stdout.decode().splitlines()]
    twice = [key for key, n in collections.Counter(r['id'] for r in records).items() if n > 1]
    want('ids with several records', [], twice)
    return {r['id']: r for r in records}, stderr


def outcome(record):
    return record['status'] if record['status'] != 'failed' else record['error']['code']


def check_record(record):
    want('schema of ' + record['id'], 1, record['schema'])
    if record['status'] == 'failed':
        assert record['error']['class'] in ('permanent', 'transient', 'environment'), record
        assert record['error']['message'], record
        assert '`%s`' % record['error']['code'] in PROTOCOL, 'not in PROTOCOL.md: %r' % record
        return
    image = record['image']
    for task in record['tasks']:
        for entity in task.get('entities', []):
            start, end = entity['span']
            want('span of a phrase', entity['phrase'], task['text'].encode()[start:end].decode())
            for x1, y1, x2, y2 in entity['boxes']:
                assert 0 <= x1 <= x2 <= image['width'] and 0 <= y1 <= y2 <= image['height'], record


def hostile_folder(work):
    folder = work / 'hostile'
    for python in dict.fromkeys((sys.executable, '/usr/bin/python3')):
        if subprocess.run([python, '-c', 'import numpy, PIL'], capture_output=True, check=False).returncode == 0:
            subprocess.run([python, ROOT / 'tests/e2e/hostile/make_hostile.py', folder], check=True)
            break
    else:
        print('make_hostile.py needs numpy and Pillow (python3-numpy, python3-pil)')
        sys.exit(77)
    expected = json.loads((folder / 'expected.json').read_text())
    records, _ = annotate(folder / 'images', code=1)
    wrong = []
    for name, allowed in expected.items():
        key = str(folder / 'images' / name)
        record = records.pop(key, None)
        if record is None:
            wrong.append('%r: no record' % name)
        elif outcome(record) not in allowed:
            wrong.append('%r: %s, expected %s' % (name, outcome(record), allowed))
        else:
            check_record(record)
    want('files with another outcome', [], wrong)
    want('records of nothing', [], list(records))


MANIFEST = r'''
{"id": "good", "image": "a.png", "task": "caption", "meta": {"row": 7}}
{"id": "partial", "image": "a.png", "regions": [{"box": [1, 1, 9, 9]}, {"box": [500, 500, 600, 600], "id": "far"}], "task": "describe"}
{"id": "outside", "image": "a.png", "regions": [{"point": [5000, 5]}], "task": "describe"}
{"id": "empty mask", "image": "a.png", "regions": [{"rle": {"size": [90, 120], "counts": [10800]}}], "task": "describe"}
{"id": "wrong mask", "image": "a.png", "regions": [{"rle": {"size": [9, 12], "counts": [50, 58]}}], "task": "describe"}
{"id": "no area", "image": "a.png", "regions": [{"polygon": [[10, 10, 20, 10, 10, 10, 20, 10]]}], "task": "describe"}
{"id": "long", "image": "a.png", "tasks": [{"kind": "ask", "question": "QUESTION"}, {"kind": "caption"}]}
{"id": "longer", "image": "a.png", "task": "ask", "question": "QUESTION QUESTION QUESTION"}
{"id": "region in a question", "image": "a.png", "regions": [{"point": [9, 9]}], "task": "ask", "question": "What is {region0}?"}
{"id": "unknown region", "image": "a.png", "task": "ask", "question": "What is {region3}?"}
{"id": "two turns", "image": "a.png", "tasks": [{"id": "chat", "kind": "ask", "turns": ["What?", "A cat.", "Where?"]}]}
{"id": "seeds", "image": "a.png", "tasks": [{"id": "a", "kind": "caption", "options": {"seed": 1}}, {"id": "b", "kind": "caption", "options": {"seed": 2}}]}
{"id": "phrases", "image": {"path": "a.png"}, "task": "locate", "phrases": ["cat", "dog"]}
{"id": "unknown task", "image": "a.png", "task": "paint"}
{"id": "unknown field", "image": "a.png", "task": "caption", "colour": 1}
{"id": "absent", "image": "absent.png", "task": "caption"}
{"id": "other root", "image": "nowhere:a.png", "task": "caption"}
{"id": "private", "image": "http://127.0.0.1:9/a.png", "task": "caption"}
{"image": "a.png", "task":
not json
{"id": "late", "image": "a.png", "policy": "ml-ferret", "task": "caption", "deadline": 1600000000000}
'''.strip()

EXPECTED = {
    'good': 'ok', 'partial': 'partial', 'outside': 'invalid_region', 'empty mask': 'invalid_region', 'wrong mask': 'invalid_region',
    'no area': 'invalid_region', 'long': 'partial', 'longer': 'too_long', 'region in a question': 'ok',
    'unknown region': 'invalid_job', 'two turns': 'ok', 'seeds': 'ok', 'phrases': 'ok', 'unknown task': 'unknown_task',
    'unknown field': 'invalid_job', 'absent': 'missing_file', 'other root': 'unknown_root', 'private': 'blocked_address',
    'late': 'expired', 'jobs.jsonl:19': 'invalid_job', 'jobs.jsonl:20': 'invalid_job',
}


def hostile_manifest(work):
    folder = work / 'manifest'
    folder.mkdir()
    subprocess.run(['cp', ROOT / 'tests/e2e/corpus/files/tiny.png', folder / 'a.png'], check=True)
    # about 3,000 tokens, within the limit of a job's text
    text = MANIFEST.replace('QUESTION', ' '.join('x%d' % (i % 10) for i in range(1500)))
    text = text.replace('[90, 120]', '[72, 72]').replace('[10800]', '[5184]')
    manifest = folder / 'jobs.jsonl'
    manifest.write_text(text + '\n')
    records, _ = annotate(manifest, code=1)
    found = {key.replace(str(folder) + '/', ''): outcome(record) for key, record in records.items()}
    want('outcomes of the manifest', EXPECTED, found)
    for record in records.values():
        check_record(record)
    want('meta', {'row': 7}, records['good']['meta'])
    partial = records['partial']['tasks']
    want('ids of described regions', ['describe-0', 'describe-1'], [t['id'] for t in partial])
    want('box of a region', [1, 1, 9, 9], partial[0]['region']['box'])
    want('error of the bad region alone', [None, 'invalid_region'], [t.get('error', {}).get('code') for t in partial])
    want('error of the long question alone', ['too_long', None], [t.get('error', {}).get('code') for t in records['long']['tasks']])
    want('question of the last turn', 'Where?', records['two turns']['tasks'][0]['question'])
    want('seeds', [1, None, 2], [records['seeds']['seed']] + [t.get('seed') for t in records['seeds']['tasks']])
    want('phrases', ['cat', 'dog'], records['phrases']['tasks'][0]['phrases'])
    again, _ = annotate('-', stdin=json.dumps({'image': str(folder / 'a.png'), 'id': 'stdin', 'task': 'caption'}).encode(), code=0)
    want('the same answer from stdin', records['good']['tasks'][0]['text'], again['stdin']['tasks'][0]['text'])


def repeated_ids(work):
    """One record an id; an id that comes again with another job fails by its place, the same job again is free."""
    manifest = work / 'manifest' / 'again.jsonl'
    lines = [{'id': 'one', 'image': 'a.png'}, {'id': 'one', 'image': 'a.png'}, {'id': 'one', 'image': 'a.png', 'task': 'locate', 'phrase': 'ball'},
             {'id': 'bad', 'image': 'a.png', 'task': 'paint'}, {'id': 'bad', 'image': 'a.png', 'task': 'draw'}]
    manifest.write_text(''.join(json.dumps({'task': 'caption', **line}) + '\n' for line in lines))
    records, stderr = annotate(manifest, code=1)
    found = {key.replace(str(manifest), 'M'): outcome(record) for key, record in records.items()}
    want('records of repeated ids', {'one': 'ok', 'M:3': 'duplicate_id', 'bad': 'unknown_task', 'M:5': 'unknown_task'}, found)
    message = records[str(manifest) + ':3']['error']['message']
    assert message.endswith('id "one" names another job already, at %s:1' % manifest), message
    assert '1 ok, 0 partial, 3 failed, 1 the same again' in stderr, stderr


def links(work):
    """Two links to one file are two inputs, each under the name it was given; one that leads nowhere is no file."""
    folder = work / 'links'
    folder.mkdir()
    for name in ('a.png', 'b.png'):
        (folder / name).symlink_to(ROOT / 'tests/e2e/corpus/files/tiny.png')
    records, _ = annotate(folder, code=0)
    want('records of links', {str(folder / 'a.png'), str(folder / 'b.png')}, set(records))
    (folder / 'circle.png').symlink_to('circle.png')
    records, _ = annotate(folder / 'circle.png', code=1)
    want('a link to itself', ['missing_file'], [outcome(record) for record in records.values()])


def roots(work):
    """With --root NAME=DIR no file elsewhere is read, however an input names it; without it all may be."""
    jail, secret = work / 'jail', work / 'secret'
    for folder in (jail, secret):
        folder.mkdir()
        subprocess.run(['cp', ROOT / 'tests/e2e/corpus/files/tiny.png', folder / 'a.png'], check=True)
    subprocess.run(['tar', '-C', secret, '-cf', secret / 's.tar', 'a.png'], check=True)
    (jail / 'inside.png').symlink_to('a.png')
    (jail / 'outside.png').symlink_to(secret / 'a.png')
    (work / 'door').symlink_to(jail)
    lines = {'name': 'j:a.png', 'beside': 'a.png', 'up': '../secret/a.png', 'root': 'j:../secret/a.png', 'path': secret / 'a.png',
             'file': 'file://%s/a.png' % secret, 'member': '%s/s.tar#a.png@512+100' % secret, 'link': 'outside.png'}
    (jail / 'jobs.jsonl').write_text(''.join(json.dumps({'id': k, 'image': str(v), 'task': 'caption'}) + '\n' for k, v in lines.items()))
    names = ({'file_name': 'a.png'}, {'file_name': '../secret/a.png'}, {'coco_url': 'file://%s/a.png' % secret})
    (jail / 'coco.json').write_text(json.dumps({'images': [{'id': i, **name} for i, name in enumerate(names)], 'annotations': []}))
    (jail / 'list.txt').write_text('a.png\n%s/a.png\n' % secret)
    unknown = 'unknown_root'
    expected = {'name': 'ok', 'beside': 'ok', 'up': unknown, 'root': 'outside_root', 'path': unknown, 'file': unknown, 'member': unknown,
                'link': 'outside_root', '0': 'ok', '1': unknown, '2': unknown, 'jail/a.png': 'ok', 'secret/a.png': unknown,
                'jail/inside.png': 'ok', 'jail/outside.png': 'outside_root', 'secret/s.tar': unknown}
    inputs = [jail / name for name in ('jobs.jsonl', 'coco.json', 'list.txt', 'inside.png', 'outside.png')]
    for door in (jail, work / 'door'): # a root may be a link itself
        paths = [door / path.name for path in inputs] + [secret / 's.tar']
        records, _ = annotate('--root', 'j=%s' % door, *paths, code=1)
        found = {key.replace('%s/' % door, 'jail/').replace('%s/' % work, ''): outcome(record) for key, record in records.items()}
        want('outcomes with a root', expected, found)
        for key in ('up', '1'):
            assert secret.name in records[key]['error']['message'], records[key]
    records, _ = annotate(*inputs, code=1)
    want('what is not read without a root', {'name': unknown, 'root': unknown, 'member': 'truncated'},
         {key: outcome(record) for key, record in records.items() if outcome(record) != 'ok'})


def closed_pipe(work):
    """A reader that goes away ends the run without a crash."""
    command = '"%s" annotate --max-tokens 4 "%s" 2>"%s/err" | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}' % (
        BIN / 'ferret', ROOT / 'tests/e2e/corpus/files', work)
    run = subprocess.run(['bash', '-c', command], check=False)
    if run.returncode not in (0, 1):
        sys.exit('closed pipe: exit code %d' % run.returncode)


def usage(work):
    for arguments in ([], ['--task', 'locate', work], ['--box', '1,2', work], ['--model', work / 'absent', work],
                      ['--task', 'describe', work], ['--phrase', 'dog', work], ['--question', 'What?', work]):
        _, stderr = annotate(*arguments, code=2)
        assert stderr.strip(), arguments


def summary(stderr):
    """Counts of the last line but those in front of "of N inputs taken", and N."""
    line = [text for text in stderr.splitlines() if ' inputs taken' in text][-1]
    counts, taken = re.match(r'(.*) of (\d+) inputs taken', line).groups()
    return sum(int(n) for n in re.findall(r'\d+', counts)), int(taken)


def full_disk(work):
    """Whole lines, a sentence, exit code 1, and a summary that adds up."""
    out = work / 'full.jsonl'
    command = 'trap "" XFSZ; ulimit -f 2; exec "%s" annotate --max-tokens 4 "%s" -o "%s"' % (
        BIN / 'ferret', ROOT / 'tests/e2e/corpus/files', out)
    run = subprocess.run(['bash', '-c', command], capture_output=True, text=True, check=False)
    want('exit code without room', 1, run.returncode)
    counted, taken = summary(run.stderr)
    want('inputs that the summary counts', taken, counted)
    text = out.read_text()
    assert text.endswith('\n') and all(json.loads(line) for line in text.splitlines()), text[-200:]
    want('exit code of an unknown precision', 4, subprocess.run(
        [BIN / 'ferret', 'annotate', '--dtype', 'fp8', '--device', 'cpu', work], capture_output=True, check=False).returncode)


def interrupted(work):
    many = work / 'many'
    many.mkdir()
    for i in range(300):
        (many / ('%d.png' % i)).symlink_to(ROOT / 'tests/e2e/corpus/files/tiny.png')
    with subprocess.Popen([BIN / 'ferret', 'annotate', many], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        run.stdout.readline()
        run.send_signal(signal.SIGINT)
        rest, stderr = run.communicate(timeout=120)
    want('exit code after Ctrl-C', 130, run.returncode)
    counted, taken = summary(stderr)
    want('inputs that the summary counts', taken, counted)
    assert len(rest.splitlines()) < taken, stderr


def main():
    with tempfile.TemporaryDirectory(prefix='ferret-e2e.') as name:
        work = pathlib.Path(name)
        usage(work)
        hostile_manifest(work)
        repeated_ids(work)
        links(work)
        roots(work)
        hostile_folder(work)
        closed_pipe(work)
        full_disk(work)
        interrupted(work)


if __name__ == '__main__':
    main()

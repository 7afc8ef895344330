"""Exports, each read by what it is made for."""
import atexit
import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import traceback
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
FERRET = pathlib.Path(os.environ.get('BIN', ROOT / 'build/bin')) / 'ferret'
WORK = pathlib.Path(tempfile.mkdtemp(prefix='ferret-consumers.'))
atexit.register(shutil.rmtree, WORK, ignore_errors=True)


def want(what, expected, found):
    if expected != found:
        raise AssertionError('%s: expected %r, found %r' % (what, expected, found))


def ferret(*arguments, code=0):
    run = subprocess.run([FERRET, *map(str, arguments)], capture_output=True, check=False)
    if run.returncode != code:
        raise AssertionError('ferret %s: code %d\n%s' % (arguments[0], run.returncode, run.stderr.decode(errors='replace')))
    return run.stdout.decode()


def write(name, records):
    path = WORK / name
    path.write_text(''.join(json.dumps(r, ensure_ascii=False) + '\n' for r in records))
    return path


def entity(text, phrase, boxes, score, behind=0):
    start = text.encode().index(phrase.encode(), behind)
    return {'phrase': phrase, 'span': [start, start + len(phrase.encode())], 'boxes': boxes, 'truncated': [[int(v) for v in b] for b in boxes],
            'raw': [[1, 2, 3, 4] for _ in boxes], 'score': score}


def record(key, tasks, uri=None, width=640, height=480, status='ok', **more):
    return {'schema': 1, 'id': key, 'job': None, 'campaign': None, 'status': status, 'image': {'uri': uri or key, 'format': 'jpeg', 'width': width, 'height': height},
            'policy': 'default', 'tasks': tasks, **more}


def answer(kind, text, entities=(), **more):
    return {'id': kind, 'task': kind, 'question': '?', 'text': text, 'entities': list(entities), 'finish': 'stop', 'tokens': {'prompt': 1, 'output': 1}, 'logprob': -0.5, **more}


TEXT = 'Große Hunde [100, 200, 300, 400][0, 0, 50, 50] by "a [red] <ball>" [500, 500, 600, 700] & a point [9, 9].'
RECORDS = [
    record('397133', [answer('caption', TEXT, [entity(TEXT, 'Große Hunde', [[64, 96, 192, 192], [0, 0, 32, 24]], 0.9), entity(TEXT, 'a [red] <ball>', [[320, 240, 384, 336.5]], None),
                                               entity(TEXT, 'a point', [[5, 5, 5, 5]], 0.2)]),
                      answer('locate', '[1, 2, 3, 4]', [{'phrase': '', 'span': [0, 0], 'boxes': [[10, 20, 30, 60]], 'truncated': [], 'raw': [], 'score': 0.25}], phrases=['a dog']),
                      answer('describe', 'a small cat', region={'index': 0, 'kind': 'box', 'box': [10, 10, 19, 29]})]),
    record('17', [answer('caption', 'Nothing.'), {'id': 'ask', 'task': 'ask', 'question': '?', 'error': {'class': 'permanent', 'code': 'too_long', 'message': 'long'}}], status='partial'),
    {'schema': 1, 'id': 'broken.jpg', 'job': None, 'campaign': None, 'status': 'failed', 'image': {'uri': 'broken.jpg'}, 'tasks': [],
     'error': {'class': 'permanent', 'code': 'corrupt', 'message': 'no header'}},
]


def records_are_what_the_schema_says():
    import jsonschema
    schema = json.loads((ROOT / 'protocol/result.schema.json').read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    out = WORK / 'annotated.jsonl'
    ferret('annotate', ROOT / 'tests/e2e/corpus/manifest.jsonl', '--max-tokens', '24', '-o', out, code=1)
    lines = out.read_text().splitlines()
    assert len(lines) > 15
    for line in [*lines, *map(json.dumps, RECORDS)]:
        error = next(check.iter_errors(json.loads(line)), None)
        assert error is None, '%s: %s' % (list(error.absolute_path), error.message)
    want('lines through an export', sorted(lines), sorted(ferret('export', '--from', out, '-o', '-').splitlines()))


def coco_is_loaded_and_evaluated_by_pycocotools():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    out = WORK / 'coco'
    ferret('export', '--from', write('coco.jsonl', RECORDS), '--format', 'coco', '-o', out)
    quiet = contextlib.redirect_stdout(io.StringIO())
    with quiet:
        truth = COCO(str(out / 'instances-00000.json'))
        found = truth.loadRes(str(out / 'detections-00000.json'))
        evaluation = COCOeval(truth, found, 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    want('images', [17, 397133], sorted(truth.getImgIds()))
    boxes = [a['bbox'] for a in truth.loadAnns(truth.getAnnIds(imgIds=[397133]))]
    want('boxes', [[64, 96, 128, 96], [0, 0, 32, 24], [320, 240, 64, 96.5], [10, 20, 20, 40], [10, 10, 10, 20]], boxes)
    masks = [int(truth.annToMask(a).sum()) for a in truth.loadAnns(truth.getAnnIds(imgIds=[397133]))]
    want('pixels of masks', [128 * 96, 32 * 24, 64 * 97, 20 * 40, 10 * 20], masks)  # half a row becomes one
    names = {c['id']: c['name'] for c in truth.loadCats(truth.getCatIds())}
    want('categories', ['hunde', 'hunde', 'ball', 'dog', 'cat'], [names[a['category_id']] for a in truth.loadAnns(truth.getAnnIds(imgIds=[397133]))])
    assert evaluation.stats[0] > 0.99, 'what was found against itself: AP %r' % evaluation.stats[0]
    with quiet:
        captions = COCO(str(out / 'captions-00000.json'))
        results = captions.loadRes(str(out / 'caption_results-00000.json'))
    want('captions', ['Große Hunde by "a [red] <ball>" & a point.', 'Nothing.'], [a['caption'] for a in captions.loadAnns(captions.getAnnIds())])
    want('caption results', 2, len(results.getAnnIds()))


def coco_is_cut_into_shards_with_ids_of_its_own_and_given_categories():
    from pycocotools.coco import COCO
    records = [record('img-%d.jpg' % i, [answer('caption', 'a dog', [entity('a dog', 'a dog', [[1, 1, 9, 9]], 0.5), entity('a dog', 'dog', [[2, 2, 8, 8]], 0.5)])]) for i in range(25)]
    (WORK / 'categories.json').write_text(json.dumps([{'id': 18, 'name': 'dog'}, {'id': 3, 'name': 'car'}]))
    out = WORK / 'shards'
    ferret('export', '--from', write('shards.jsonl', records), '--format', 'coco', '--shard-images', '10', '--categories', WORK / 'categories.json', '-o', out)
    images, annotations = [], []
    for name in sorted(out.glob('instances-*.json')):
        with contextlib.redirect_stdout(io.StringIO()):
            shard = COCO(str(name))
        want('categories of ' + name.name, [3, 18], sorted(shard.getCatIds()))
        images += shard.getImgIds()
        annotations += shard.getAnnIds()
    want('image ids', list(range(1, 26)), sorted(images))
    want('annotation ids', list(range(1, 51)), sorted(annotations))
    ids = [json.loads(line) for line in (out / 'image_ids.jsonl').read_text().splitlines()]
    want('the map', {i + 1: 'img-%d.jpg' % i for i in range(25)}, {row['image_id']: row['id'] for row in ids})


def kosmos2_tuples_hold_together():
    out = WORK / 'kosmos2'
    ferret('export', '--from', write('kosmos2.jsonl', RECORDS), '--format', 'kosmos2', '-o', out)
    rows = [json.loads(line) for line in (out / 'kosmos2.jsonl').read_text().splitlines()]
    want('answers', [('397133', 'caption'), ('397133', 'locate'), ('397133', 'describe'), ('17', 'caption')], [(r['id'], r['task']) for r in rows])
    for row in rows:
        caption, entities = row['grounded']
        for phrase, (start, end), boxes in entities:
            want('phrase', phrase, caption[start:end])
            assert all(0 <= v <= 1 for box in boxes for v in box) and all(b[0] <= b[2] and b[1] <= b[3] for b in boxes), boxes
    want('first boxes', [[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.05, 0.05]], rows[0]['grounded'][1][0][2])
    want('what was looked for', ['a dog', [['a dog', [0, 5], [[round(v, 9) for v in (10 / 640, 20 / 480, 30 / 640, 60 / 480)]]]]],
         json.loads(json.dumps(rows[1]['grounded']), parse_float=lambda v: round(float(v), 9)))


def flickr30k_is_read_by_its_grammar_and_an_xml_parser():
    out = WORK / 'flickr'
    ferret('export', '--from', write('flickr.jsonl', RECORDS), '--format', 'flickr30k', '-o', out)
    lines = (out / 'Sentences/397133.txt').read_text().splitlines()
    want('sentences', 3, len(lines))
    phrases = {i: p for line in lines for i, p in re.findall(r'\[/EN#(\d+)/other ([^\]]+)\]', line)}
    want('phrases', {'1': 'Große Hunde', '2': 'a (red) <ball>', '3': 'a point', '4': 'a dog'}, phrases)
    want('the first sentence', 'Große Hunde by "a (red) <ball>" & a point.', re.sub(r'\[/EN#\d+/other ([^\]]+)\]', r'\1', lines[0]))
    tree = ElementTree.parse(out / 'Annotations/397133.xml').getroot()
    want('size', ['640', '480', '3'], [tree.findtext('size/' + k) for k in ('width', 'height', 'depth')])
    boxes = [(o.findtext('name'), [int(o.findtext('bndbox/' + k)) for k in ('xmin', 'ymin', 'xmax', 'ymax')]) for o in tree.findall('object')]
    want('boxes', [('1', [64, 96, 192, 192]), ('1', [0, 0, 32, 24]), ('2', [320, 240, 384, 336]), ('3', [5, 5, 5, 5]), ('4', [10, 20, 30, 60])], boxes)
    want('files', ['17.txt', '397133.txt'], sorted(p.name for p in (out / 'Sentences').iterdir()))


def webdataset_shards_stand_beside_their_source():
    import webdataset
    long_key = 'deep/' * 25 + 'x' * 60
    source = [('%s/%04d' % (folder, i)) for folder in ('a', 'b') for i in range(3)] + [long_key]
    records = [record('r%d' % i, [answer('caption', 'Thing %d [1, 2, 3, 4].' % i)], 'data:train/00007.tar#%s.v2.jpg@%d+9' % (key, 512 * i)) for i, key in enumerate(source)]
    for member in ('p/1.left.jpg', 'p/1.right.jpg', 'p/2.png', 'p/2.jpg', 'p/1.left.jpg'):  # the last one again
        records.append(record(member, [answer('caption', member)], 'data:train/00007.tar#%s@0+9' % member))
    records.append(record('other', [answer('caption', 'Another.')], 'data:val/00007.tar#z.jpg@0+9'))
    records += [record('loose %d.jpg' % i, [answer('caption', 'Loose.')]) for i in range(5)]
    records.append({**RECORDS[2], 'image': {'uri': 'data:train/00007.tar#bad.jpg@0+9'}})
    out = WORK / 'wds'
    ferret('export', '--from', write('wds.jsonl', records), '--format', 'webdataset', '--shard-images', '3', '-o', out)
    tars = sorted(p.name for p in out.iterdir())
    want('number of shards', 4, len(tars))
    samples = {s['__key__']: s for s in webdataset.WebDataset(str(out / '00007.tar'), shardshuffle=False)}
    want('keys', sorted([*source, 'bad', 'p/1', 'p/2']), sorted(samples))
    for i, key in enumerate(source):
        want('caption of ' + key, 'Thing %d.' % i, samples[key]['v2.caption.txt'].decode())
        want('record of ' + key, records[i], json.loads(samples[key]['v2.ann.json']))
    for key, field, member in (('p/1', 'left', 'p/1.left.jpg'), ('p/1', 'right', 'p/1.right.jpg'), ('p/2', '', 'p/2.png'), ('p/2', 'jpg', 'p/2.jpg')):
        want('record of ' + member, member, json.loads(samples[key][(field + '.ann.json').lstrip('.')])['id'])
    want('what failed', {'ann.json'}, {k for k in samples['bad'] if not k.startswith('__')})
    loose = [s for t in tars if t.startswith('ferret-') for s in webdataset.WebDataset(str(out / t), shardshuffle=False)]
    want('images of no shard', 5, len({s['__key__'] for s in loose}))
    with tarfile.open(out / '00007.tar') as tar:
        assert all(m.isfile() and m.mode == 0o644 and m.mtime == 0 for m in tar), 'members differ from one export to the next'


def a_folder_of_parts_is_an_input():
    path = write('plain.jsonl', [record('k%d' % i, [answer('caption', 'x' * (i % 50))]) for i in range(3000)])
    packed = WORK / 'parts'
    packed.mkdir()
    subprocess.run(['zstd', '-q', path, '-o', packed / 'part-00000.jsonl.zst'], check=True)
    want('records', path.read_text(), ferret('export', '--from', packed, '-o', '-'))


def main():
    failed = 0
    for test in (records_are_what_the_schema_says, coco_is_loaded_and_evaluated_by_pycocotools, coco_is_cut_into_shards_with_ids_of_its_own_and_given_categories,
                 kosmos2_tuples_hold_together, flickr30k_is_read_by_its_grammar_and_an_xml_parser, webdataset_shards_stand_beside_their_source,
                 a_folder_of_parts_is_an_input):
        claim = 'consumers: ' + test.__name__.replace('_', ' ')
        try:
            test()
            print('PASS ' + claim, flush=True)
        except Exception:  # the next claim is another matter
            traceback.print_exc(file=sys.stdout)
            print('FAIL ' + claim, flush=True)
            failed = 1
    return failed


sys.exit(main())

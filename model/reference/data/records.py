"""The record of README.md: reading, checking, and turning it into questions, answers and masks."""
import json
import re
from typing import List, NamedTuple

import numpy as np

from data import rle

PLACE = re.compile(r'<bbox_location(\d+)>')
KINDS = ('object', 'relation', 'region', 'caption', 'reasoning', 'absent', 'changed')
NEGATIVES = ('absent', 'changed')
FORMS = ('refer-text', 'text-ground', 'refer-ground', 'both', 'text-text')
FREE_SHAPES = ('scribble', 'stroke', 'polygon')
POINT_SPAN = 5            # pixels on each side of a point, as in the published code


class BadRecord(ValueError):
    pass


class Pair(NamedTuple):
    question: str             # with '[..] <region_fea>' for each region
    answer: str               # with '[x1, y1, x2, y2]' for each box
    masks: List[np.ndarray]   # bool [height, width], one for each region of the question, none of them empty
    task: dict                # {"kind", "form", "negative"}


def form_of(question, answer):
    """The form that follows from where the placeholders are."""
    refers, grounds = bool(PLACE.search(question)), bool(PLACE.search(answer))
    words = re.search(r'\w', PLACE.sub('', answer))
    if refers and grounds:
        return 'both' if words else 'refer-ground'
    return 'refer-text' if refers else 'text-ground' if grounds else 'text-text'


def read(path):
    """The file's records, checked, one at a time."""
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
                check(record)
            except ValueError as why:
                raise BadRecord('%s, line %d: %s' % (path, number, why)) from None
            yield record


def want(condition, field, expected, found):
    if not condition:
        raise BadRecord('%s: expected %s, found %.80r' % (field, expected, found))


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def check(record):
    """Raises BadRecord where the record is not as README.md says."""
    want(isinstance(record, dict), 'record', 'an object', record)
    for field in ('id', 'image', 'source'):
        want(isinstance(record.get(field), str) and record[field], field, 'a text', record.get(field))
    want(':' in record['image'], 'image', 'ROOT:path', record['image'])
    for field in ('image_w', 'image_h'):
        want(is_integer(record.get(field)) and record[field] > 0, field, 'pixels', record.get(field))
    digest = record.get('sha256')
    want(isinstance(digest, str) and re.fullmatch('[0-9a-f]{64}', digest), 'sha256', '64 hexadecimal digits', digest)
    turns = record.get('conversations')
    want(isinstance(turns, list) and turns and len(turns) % 2 == 0, 'conversations', 'pairs of turns', turns)
    for field in ('box_x1y1x2y2', 'masks', 'regions'):
        want(isinstance(record.get(field), list) and len(record[field]) == len(turns), field, 'a list a turn', record.get(field))
    tasks = record.get('tasks')
    want(isinstance(tasks, list) and len(tasks) == len(turns) // 2, 'tasks', 'one a pair', tasks)
    for number in range(len(turns)):
        check_turn(record, number)
    for pair, task in enumerate(tasks):
        check_task(record, pair, task)


def check_turn(record, number):
    turn, boxes = record['conversations'][number], record['box_x1y1x2y2'][number]
    at = 'conversations[%d]' % number
    want(isinstance(turn, dict) and isinstance(turn.get('value'), str), at, 'an object with a text "value"', turn)
    want(turn.get('from') == ('gpt' if number % 2 else 'human'), at + '.from', 'human and gpt in turn', turn.get('from'))
    want('<image>' not in turn['value'] and '<region_fea>' not in turn['value'], at, 'no special token', turn['value'])
    used = sorted({int(place) for place in PLACE.findall(turn['value'])})
    want(isinstance(boxes, list), 'box_x1y1x2y2[%d]' % number, 'a list', boxes)
    want(used == list(range(len(boxes))), at, 'every one of %d boxes' % len(boxes), turn['value'])
    for field in ('masks', 'regions'):
        entry = record[field][number]
        want(isinstance(entry, list) and len(entry) == len(boxes), '%s[%d]' % (field, number), 'as many as boxes', entry)
    for i, box in enumerate(boxes):
        check_box(record, 'box_x1y1x2y2[%d][%d]' % (number, i), box)
        check_region(record, number, i)


def check_box(record, at, box):
    want(isinstance(box, list) and len(box) == 4 and all(map(is_integer, box)), at, 'four integers', box)
    x1, y1, x2, y2 = box
    want(0 <= x1 <= x2 < record['image_w'] and 0 <= y1 <= y2 < record['image_h'], at, 'a box in the image', box)


def check_region(record, number, i):
    region, mask, at = record['regions'][number][i], record['masks'][number][i], 'regions[%d][%d]' % (number, i)
    if number % 2:
        want(region is None and mask is None, at, 'null in an answer', region or mask)
        return
    shape = region.get('shape') if isinstance(region, dict) else None
    want(shape in ('point', 'box') + FREE_SHAPES, at + '.shape', 'point, box, scribble, stroke or polygon', shape)
    if shape == 'point':
        point = region.get('point')
        want(isinstance(point, list) and len(point) == 2 and all(map(is_integer, point)), at + '.point', '[x, y]', point)
        want(0 <= point[0] < record['image_w'] and 0 <= point[1] < record['image_h'], at + '.point', 'a pixel of the image', point)
    at = 'masks[%d][%d]' % (number, i)
    want((mask is not None) == (shape in FREE_SHAPES), at, 'an RLE for free-form regions only', mask)
    if mask is not None:
        size = mask.get('size') if isinstance(mask, dict) else None
        want(size == [record['image_h'], record['image_w']], at + '.size', 'that of the image', size)
        try:
            pixels = rle.decode(mask)
        except rle.BadRle as why:
            raise BadRecord('%s: %s' % (at, why)) from None
        want(pixels.any(), at, 'a pixel', mask)


def check_task(record, pair, task):
    question, answer = (record['conversations'][2 * pair + i]['value'] for i in (0, 1))
    at = 'tasks[%d]' % pair
    want(isinstance(task, dict) and task.get('kind') in KINDS, at + '.kind', 'one of ' + ' '.join(KINDS), task)
    want(task.get('form') == form_of(question, answer), at + '.form', form_of(question, answer), task.get('form'))
    want(task.get('negative') is (task['kind'] in NEGATIVES), at + '.negative', 'true for ' + ' '.join(NEGATIVES), task.get('negative'))


def region_mask(record, turn, i):
    """Pixels of region i of a human turn: bool [height, width]."""
    region, (x1, y1, x2, y2) = record['regions'][turn][i], record['box_x1y1x2y2'][turn][i]
    if region['shape'] in FREE_SHAPES:
        return rle.decode(record['masks'][turn][i])
    if region['shape'] == 'point':
        x, y = region['point']
        x1, y1, x2, y2 = max(0, x - POINT_SPAN), max(0, y - POINT_SPAN), x + POINT_SPAN, y + POINT_SPAN
    mask = np.zeros((record['image_h'], record['image_w']), bool)
    mask[y1:y2 + 1, x1:x2 + 1] = True
    return mask


def pairs(record, write):
    """The record's questions and answers.  write(pixels, width, height) -> '[..]' for two or four pixel coordinates."""
    size = record['image_w'], record['image_h']
    for pair, task in enumerate(record['tasks']):
        turn, masks = 2 * pair, []

        def refer(place):
            i = int(place.group(1))
            region = record['regions'][turn][i]
            masks.append(region_mask(record, turn, i))
            pixels = region['point'] if region['shape'] == 'point' else record['box_x1y1x2y2'][turn][i]
            return write(pixels, *size) + ' <region_fea>'

        question = PLACE.sub(refer, record['conversations'][turn]['value'])
        answer = PLACE.sub(lambda place: write(record['box_x1y1x2y2'][turn + 1][int(place.group(1))], *size),
                           record['conversations'][turn + 1]['value'])
        yield Pair(question, answer, masks, task)

"""A page of records to look at: image, regions and boxes drawn in, questions and answers as a model reads them."""
import base64
import html
import io
import os
import random

import numpy as np
from PIL import Image, ImageDraw

from data import records
from prompt import region_text

EACH = 4                  # records of a source and group
WIDEST = 360              # pixels of a picture
ASKED, ANSWERED = (0, 200, 255), (255, 140, 0)
STYLE = '''body{font:14px/1.4 sans-serif;margin:1em;background:#fafafa}h2{margin:1em 0 .3em}
.row{display:flex;flex-wrap:wrap;gap:12px}.card{width:360px;background:#fff;border:1px solid #ddd;padding:8px}
.card img{display:block;max-width:100%;margin-bottom:6px}p{margin:2px 0}.q{color:#046}.a{color:#a50}.n{background:#fee}
.t{color:#888;font-size:12px}'''


class Sample:
    """Some records of each source and group: a reservoir, the same for the same seed."""

    def __init__(self, seed):
        self.rng, self.groups = random.Random(seed), {}

    def add(self, record):
        group = self.groups.setdefault((record['source'], record['id'].split(':')[2]), [0, []])
        group[0] += 1
        if len(group[1]) < EACH:
            group[1].append(record)
        else:
            place = self.rng.randrange(group[0])
            if place < EACH:
                group[1][place] = record


def picture(record, path):
    """The image with regions and boxes, as PNG."""
    with Image.open(path) as file:
        image = file.convert('RGB')
    scale = WIDEST / image.width if image.width > WIDEST else WIDEST // image.width
    for turn in range(0, len(record['regions']), 2):
        for i, region in enumerate(record['regions'][turn]):
            if region['shape'] != 'box':
                tint = np.asarray(image).copy()
                mask = records.region_mask(record, turn, i)
                tint[mask] = (tint[mask] * .4 + np.array(ASKED) * .6).astype(np.uint8)
                image = Image.fromarray(tint)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    pen = ImageDraw.Draw(image)
    for turn, boxes in enumerate(record['box_x1y1x2y2']):
        for i, (x1, y1, x2, y2) in enumerate(boxes):
            if turn % 2 or record['regions'][turn][i]['shape'] == 'box':
                corners = [x1 * scale, y1 * scale, (x2 + 1) * scale - 1, (y2 + 1) * scale - 1]
                pen.rectangle(corners, outline=ANSWERED if turn % 2 else ASKED, width=2)
    out = io.BytesIO()
    image.save(out, 'PNG')
    return base64.b64encode(out.getvalue()).decode()


def card(record, roots):
    root, path = record['image'].split(':', 1)
    out = '<div class="card"><img src="data:image/png;base64,%s" alt="">' % picture(record, os.path.join(roots[root], path))
    for pair in records.pairs(record, region_text):
        mark = ' n' if pair.task['negative'] else ''
        out += '<p class="q%s">%s</p><p class="a%s">%s</p><p class="t">%s, %s</p>' % (
            mark, html.escape(pair.question), mark, html.escape(pair.answer), pair.task['kind'], pair.task['form'])
    return out + '<p class="t">%s</p></div>' % html.escape(record['id'])


def page(sample, roots):
    out = '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Samples of the records</title><style>%s</style>' % STYLE
    out += '<h1>Samples of the records</h1><p>Blue: regions of questions. Orange: boxes of answers. Red ground: negatives.</p>'
    for (source, group), (total, chosen) in sorted(sample.groups.items()):
        out += '<h2>%s: %s (%d records)</h2><div class="row">' % (html.escape(source), html.escape(group), total)
        out += ''.join(card(record, roots) for record in chosen) + '</div>'
    return out + '</html>\n'

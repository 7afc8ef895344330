"""The first wrong answer of each kind of question, as a picture for the model card.

    python3 failures.py SCENES/truth.jsonl RECORDS.jsonl OUT.png
"""
import os
import sys
import textwrap

from PIL import Image, ImageDraw, ImageFont

from evaluation import boxes, drawn
from evaluation.records import Records, read_lines

KINDS = ['caption', 'locate_many', 'present', 'count', 'relation', 'point']
DECIDES = {'caption': 'caption_recall', 'locate_many': 'phrases', 'present': 'rec_acc', 'count': 'count', 'relation': 'relation',
           'point': 'refer_point'}
SIDE, TEXT, ACROSS = 288, 118, 3
FONTS = '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf'
TRUE, SAID = (0, 150, 60), (210, 30, 30)


def wrong(truth, question, text):
    items = drawn.judge(truth, question, text)
    return any(item.value < drawn.HIT for measure, item in items if measure == DECIDES[question['kind']])


def first_failures(truths, records):
    """{kind: (truth, question, the model's text)}"""
    found = {}
    for _, truth in read_lines(truths):
        for question in truth['questions']:
            kind, text = question['kind'], records.text(truth['id'], question['answer_id'])
            if kind in KINDS and kind not in found and text is not None and wrong(truth, question, text):
                found[kind] = truth, question, text
    return found


def tile(folder, truth, question, text):
    """The scene with the true boxes in green and the model's in red, and what was asked and said."""
    made = Image.new('RGB', (SIDE, SIDE + TEXT), 'white')
    image = Image.open(os.path.join(folder, truth['file'])).convert('RGB').resize((SIDE, SIDE), Image.BICUBIC)
    made.paste(image, (0, 0))
    pen, font = ImageDraw.Draw(made), ImageFont.truetype(FONTS, 10)
    for said, colour in ((question['answer'], TRUE), (text, SAID)):
        for x1, y1, x2, y2 in boxes.written(said):
            pen.rectangle([v * SIDE / 1000 for v in (x1, y1, x2, y2)], outline=colour, width=2)
    y = SIDE + 3
    for said, colour in ((question['question'], (0, 0, 0)), (question['answer'], TRUE), (text, SAID)):
        for line in textwrap.wrap(said, 54)[:4]:
            pen.text((4, y), line, colour, font)
            y += 12
    return made


def main(truths, records, out):
    found = first_failures(truths, Records([records]))
    shown = [found[kind] for kind in KINDS if kind in found]
    sheet = Image.new('RGB', (ACROSS * (SIDE + 8), -(-len(shown) // ACROSS) * (SIDE + TEXT + 4)), 'white')
    for i, failure in enumerate(shown):
        sheet.paste(tile(os.path.dirname(truths), *failure), (i % ACROSS * (SIDE + 8), i // ACROSS * (SIDE + TEXT + 4)))
    sheet.quantize(96).save(out, optimize=True)


if __name__ == '__main__':
    main(*sys.argv[1:])

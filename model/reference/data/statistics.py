"""What a file of records holds, as numbers and as a table."""
from data import masks, records

SIZES = [('small', 32 ** 2), ('medium', 96 ** 2), ('large', float('inf'))]         # pixels, as COCO divides them
SHARES = [('under 1 %', .01), ('1 to 10 %', .1), ('10 to 50 %', .5), ('over 50 %', float('inf'))]   # of the image


def step_of(steps, value):
    return next(name for name, end in steps if value < end)


class Tally:
    def __init__(self):
        self.images, self.records, self.pairs = set(), 0, 0
        self.by = {name: {} for name in ('source', 'kind', 'form', 'answer', 'shape', 'region size', 'region share', 'box size', 'box share')}
        self.cells = {}                       # (source, kind) -> pairs
        self.answer_words = 0

    def count(self, what, value):
        self.by[what][value] = self.by[what].get(value, 0) + 1

    def add(self, record):
        self.images.add(record['sha256'])
        self.records += 1
        for number, task in enumerate(record['tasks']):
            self.pairs += 1
            self.count('source', record['source'])
            self.count('kind', task['kind'])
            self.count('form', task['form'])
            self.count('answer', 'negative' if task['negative'] else 'positive')
            cell = record['source'], task['kind']
            self.cells[cell] = self.cells.get(cell, 0) + 1
            self.answer_words += len(records.PLACE.sub(' ', record['conversations'][2 * number + 1]['value']).split())
        for number, boxes in enumerate(record['box_x1y1x2y2']):
            for i, box in enumerate(boxes):
                self.add_box(record, number, i, masks.area(box))

    def add_box(self, record, number, i, pixels):
        region, what = record['regions'][number][i], 'region' if number % 2 == 0 else 'box'
        if region:
            self.count('shape', region['shape'])
        self.count(what + ' size', step_of(SIZES, pixels))
        self.count(what + ' share', step_of(SHARES, pixels / (record['image_w'] * record['image_h'])))

    def numbers(self):
        steps = [name for name, _ in SIZES + SHARES]
        order = {name: number for number, name in enumerate(steps)}
        counts = {what: {name: values[name] for name in sorted(values, key=lambda name: (order.get(name, 0), name))}
                  for what, values in self.by.items()}
        table = {}
        for (source, kind), pairs in sorted(self.cells.items()):
            table.setdefault(source, {})[kind] = pairs
        return {'images': len(self.images), 'records': self.records, 'pairs': self.pairs,
                'negative_share': round(counts['answer'].get('negative', 0) / max(1, self.pairs), 4),
                'words_an_answer': round(self.answer_words / max(1, self.pairs), 2), 'pairs_by': counts, 'pairs_by_source_and_kind': table}


def row(cells):
    return '| ' + ' | '.join(map(str, cells)) + ' |\n'


def markdown(report):
    """The report of a build (numbers() with what was left out) as Markdown."""
    out = '# What was built\n\n%(images)d images, %(records)d records, %(pairs)d pairs of question and answer; ' % report
    out += '%.1f %% negative; %.1f words an answer.\n\n## Pairs by source and kind\n' % (100 * report['negative_share'], report['words_an_answer'])
    table = report['pairs_by_source_and_kind']
    out += row(['source'] + list(records.KINDS) + ['all']) + row(['---'] * (len(records.KINDS) + 2))
    for source, kinds in table.items():
        out += row([source] + [kinds.get(kind, 0) for kind in records.KINDS] + [sum(kinds.values())])
    for what, values in report['pairs_by'].items():
        total = sum(values.values())
        if what not in ('source', 'kind') and total:
            out += '\n## By %s\n' % what + row([what, 'count', 'share']) + row(['---'] * 3)
            out += ''.join(row([name, n, '%.1f %%' % (100 * n / total)]) for name, n in values.items())
    out += '\n## Left out\n' + row(['file', 'reason', 'count', 'first of them']) + row(['---'] * 4)
    for entry in report['left_out']:
        out += row([entry['file'], entry['reason'], entry['count'], ', '.join(entry['first']).replace('|', '\\|').replace('\n', ' ')])
    for source, found in report['leaks'].items():
        out += row([source, 'image of an evaluation (same sha256)', found['count'], ', '.join(found['first'])])
    return out + ''.join('\nBroken off: %s\n' % line for line in report['broken_off'])

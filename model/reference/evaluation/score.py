"""Score files: what a run is worth, and everything that a later comparison needs."""
import hashlib
import json
import os
from collections import defaultdict

from .intervals import Item, difference, estimate
from .records import Problem, read_json

VERSION = 1


class Scores:
    """Items by measure, in the order in which measures first came."""

    def __init__(self):
        self.items, self.kinds = defaultdict(list), {}

    def add(self, measure, kind, item):
        self.kinds[measure] = kind
        self.items[measure].append(item)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def document(suite, scores, made_by, questions, asked, missing, quirks=(), seed=0):
    """The score file.  questions: hash of what was asked and what is true; asked, missing: counts of answers."""
    measures = {name: dict(estimate(scores.kinds[name], items, seed)._asdict(), kind=scores.kinds[name])
                for name, items in scores.items.items()}
    return {'score': VERSION, 'suite': suite, 'quirks': sorted(quirks), 'questions': questions, 'asked': asked, 'missing': missing,
            'bootstrap_seed': seed, **(made_by or {}), 'measures': measures,
            'items': {name: [list(item) for item in items] for name, items in scores.items.items()}}


def write(path, value):
    """The whole file or none of it."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    temporary = '%s.%d' % (path, os.getpid())
    with open(temporary, 'w') as file:
        json.dump(value, file, separators=(',', ':') if 'items' in value else None, indent=None if 'items' in value else 2)
        file.write('\n')
    os.rename(temporary, path)


def read(path):
    value = read_json(path)
    if not isinstance(value, dict) or value.get('score') != VERSION:
        raise Problem('%s: expected a score file of version %d' % (path, VERSION))
    return value


def items_of(value, measure):
    return [Item(*row) for row in value['items'].get(measure, [])]


# ---- tables ---------------------------------------------------------------------------------------------------------

def number(value, digits=1):
    return '-' if value is None else '%.*f' % (digits, value)


def rows_of(value):
    """-> [(measure, value, low, high, n, method)] as text."""
    return [(name, number(m['value'], 2), number(m['low'], 2), number(m['high'], 2), str(m['n']), m['method'])
            for name, m in value['measures'].items()]


def table(header, rows):
    """Columns of text, markdown's way, aligned."""
    widths = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]

    def line(cells):
        return '| ' + ' | '.join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths))) + ' |'

    rule = '|' + '|'.join('-' * (w + 2) for w in widths) + '|'
    return '\n'.join([line(header), rule] + [line(row) for row in rows])


def who(value):
    """The run in one line."""
    model, engine = value.get('model') or {}, value.get('engine') or {}
    return 'model %s, %s on %s, engine %s' % (model.get('hash', '?')[:12], model.get('dtype', '?'), model.get('device', '?'),
                                              engine.get('version', '?'))


def report(value):
    """What `score` prints."""
    lines = ['%s: %s' % (value['suite'], who(value))]
    if value['quirks']:
        lines.append('official quirks: ' + ', '.join(value['quirks']))
    lines.append('%d answers asked for, %d missing or failed (they count as wrong)' % (value['asked'], value['missing']))
    return '\n'.join(lines) + '\n\n' + table(('measure', '%', 'low', 'high', 'n', 'interval'), rows_of(value))


def compare(a, b, seed=0):
    """-> [(measure, a's value, b's value, Difference)] of two score files over the same questions."""
    for key, what in (('suite', 'suites'), ('questions', 'questions'), ('quirks', 'quirks')):
        if a[key] != b[key]:
            raise Problem('the two runs have different %s: %s and %s' % (what, a[key], b[key]))
    found = []
    for name, measure in a['measures'].items():
        change = difference(measure['kind'], items_of(a, name), items_of(b, name), seed)
        if name in b['measures'] and change is not None:
            found.append((name, measure['value'], b['measures'][name]['value'], change))
    return found


def comparison(a, b, found, margin):
    """What `compare` prints; margin: how many points lost are too many, or None."""
    rows = []
    for name, first, second, change in found:
        both = '-' if change.better is None else '+%d -%d' % (change.better, change.worse)
        row = [name, number(first, 2), number(second, 2), '%+.2f' % change.value, '%+.2f' % change.low, '%+.2f' % change.high,
               both, str(change.n)]
        rows.append(row + ([] if margin is None else [verdict(name, change, margin)]))
    header = ['measure', 'A', 'B', 'B - A', 'low', 'high', 'items', 'n'] + ([] if margin is None else ['within %g' % margin])
    return 'A: %s\nB: %s\n\n%s' % (who(a), who(b), table(header, rows))


LOWER_IS_BETTER = {'reject_present', 'hallucination'}


def verdict(name, change, margin):
    """Whether the interval excludes a loss of `margin` points or more."""
    lost = change.high if name in LOWER_IS_BETTER else -change.low
    return 'yes' if lost < margin else 'no'

#!/usr/bin/env python3
"""Prints the measures of a folder (one JSON a measure: name, value, unit, baseline, ratio) as a table.

    table.py build/bench                          on a terminal
    table.py build/bench --into README.md         between the markers of that file, as Markdown

measures.tsv says in which order, what each is, and which ratio is wanted. NAME.peer.json holds the best peer's turn of a
measure, from `make bench-peers`; machine.json what the processor did besides.
"""
import json
import os
import platform
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN, END = '<!-- speed: written by `make bench-table` -->', '<!-- speed ends -->'


def processor():
    """Its name, and the widest instructions it has that matter here."""
    facts = {}
    with open('/proc/cpuinfo') as f:
        for line in f:
            name, _, value = line.partition(':')
            facts.setdefault(name.strip(), value.strip())
    flags = facts.get('flags', '').split()
    widest = next((said for flag, said in (('avx512_vnni', 'AVX-512 VNNI'), ('avx512f', 'AVX-512'), ('avx2', 'AVX2')) if flag in flags), 'SSE')
    return f"{facts.get('model name', platform.machine())} ({widest})"


def catalogue():
    """{name: (wanted, text)} in the file's order."""
    with open(os.path.join(HERE, 'measures.tsv')) as f:
        rows = [line.rstrip('\n').split('\t') for line in f if not line.startswith('#')]
    return {name: (wanted, text) for name, wanted, text in rows}


def read(folder):
    """{name: measure} of the folder, peers apart."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith('.json'):
            with open(os.path.join(folder, name)) as f:
                found[name[:-len('.json')]] = json.load(f)
    return found


def number(value):
    return '' if value is None else f'{value:.4g}' if isinstance(value, float) else str(value)


def met(wanted, measure):
    """'yes', 'no', or '' where nothing is wanted or nothing was compared."""
    words = wanted.split()
    held = measure['value'] if words[-1] == 'value' else measure.get('ratio')
    if len(words) < 2 or held is None:
        return ''
    return 'yes' if (held >= float(words[1]) if words[0] == '>=' else held <= float(words[1])) else 'no'


def rows(folder):
    known, found = catalogue(), read(folder)
    names = [n for n in found if n != 'machine' and not n.endswith('.peer')]
    names.sort(key=lambda n: (list(known).index(n) if n in known else len(known), n))
    for name in names:
        measure, (wanted, text) = found[name], known.get(name, ('-', ''))
        peer = found.get(name + '.peer', {})
        against = f"{number(peer['ratio'])} {peer['peer']}" if peer else ''
        yield [name, number(measure['value']), measure['unit'] + (' *' if measure.get('busy') else ''), number(measure.get('baseline')), number(measure.get('ratio')),
               '' if wanted == '-' else wanted, met(wanted, measure), against, text]


def machine(folder):
    said = f'{processor()}, {len(os.sched_getaffinity(0))} cores'
    path = os.path.join(folder, 'machine.json')
    if os.path.exists(path):
        with open(path) as f:
            said += f"; other programs took {json.load(f)['others']:.0%} of the processor meanwhile"
    return said


HEADS = ['measure', 'value', 'unit', 'baseline', 'ratio', 'wanted', 'met', 'best peer', '']


BUSY = '* other programs held the processors meanwhile: by processor time a thread, not by the clock on the wall'


def plain(folder):
    table = [HEADS] + list(rows(folder))
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADS) - 1)]
    yield machine(folder)
    for row in table:
        cells = (c.rjust(w) if i in (1, 3, 4) else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths)))
        yield '  '.join(cells).rstrip()
    if any(row[2].endswith(' *') for row in table):
        yield BUSY


def markdown(folder):
    yield f'Measured on {machine(folder)}.'
    yield ''
    yield '| ' + ' | '.join(HEADS) + '|'
    yield '|---|---:|---|---:|---:|---|---|---|---|'
    table = list(rows(folder))
    for name, *rest in table:
        yield f'| `{name}` | ' + ' | '.join(rest) + ' |'
    if any(row[2].endswith(' *') for row in table):
        yield f'\n\\{BUSY}.'


def write_into(path, folder):
    with open(path) as f:
        text = f.read()
    before, behind = text.split(BEGIN)
    with open(path, 'w') as f:
        f.write(before + BEGIN + '\n' + '\n'.join(markdown(folder)) + '\n' + END + behind.split(END)[1])


def main(folder, *rest):
    if rest[:1] == ('--into',):
        write_into(rest[1], folder)
    else:
        print('\n'.join(plain(folder)))


if __name__ == '__main__':
    main(*sys.argv[1:])

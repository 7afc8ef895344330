#!/usr/bin/env python3
"""Prints the measures of a folder (one JSON a measure: name, value, unit, baseline, ratio) as a table.

    table.py build/bench
"""
import json
import os
import platform
import sys


def processor():
    with open('/proc/cpuinfo') as f:
        for line in f:
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.machine()


def number(value):
    return '' if value is None else f'{value:.4g}' if isinstance(value, float) else str(value)


def main(folder):
    rows = []
    for name in sorted(os.listdir(folder)):
        if name.endswith('.json'):
            with open(os.path.join(folder, name)) as f:
                measure = json.load(f)
            rows.append([str(measure['name']), number(measure['value']), str(measure['unit']),
                         number(measure.get('baseline')), number(measure.get('ratio'))])
    heads = ['measure', 'value', 'unit', 'baseline', 'ratio']
    widths = [max(len(row[i]) for row in rows + [heads]) for i in range(5)]
    print(f'{processor()}, {len(os.sched_getaffinity(0))} cores')
    for row in [heads] + rows:
        print('  '.join(cell.ljust(w) if i in (0, 2) else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip())


main(sys.argv[1])

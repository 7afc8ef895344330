#!/usr/bin/env python3
"""Two runs beside each other: `compare.py A B` prints, for every measure of both folders, both values and B's ratio to A's;
where both have a baseline, also how B's ratio to its baseline stands to A's, which a busy machine moves less."""
import sys

from table import catalogue, number, read


def main(first, second):
    a, b = read(first), read(second)
    order = list(catalogue())
    names = sorted((n for n in a if n in b and 'value' in a[n]), key=lambda n: (order.index(n) if n in order else len(order), n))
    if not names:
        sys.exit(f'compare: {first} and {second} have no measure in common')
    table = [['measure', 'unit', first, second, 'B / A', 'of baseline, B / A']]
    for name in names:
        x, y = a[name], b[name]
        related = y['ratio'] / x['ratio'] if x.get('ratio') and y.get('ratio') else None
        table.append([name, x['unit'], number(x['value']), number(y['value']),
                      f"{y['value'] / x['value']:.3f}" if x['value'] else '', f'{related:.3f}' if related else ''])
    widths = [max(len(row[i]) for row in table) for i in range(6)]
    for row in table:
        print('  '.join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip())
    for name in sorted(set(a) ^ set(b)):
        if not name.startswith('machine'):
            print(f"only in {first if name in a else second}: {name}")


main(*sys.argv[1:])

"""The command line."""
import argparse
import os
import sys

import scenes

from . import run
from .records import Problem

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..', '..', '..')


def size(text):
    width, height = map(int, text.split('x'))
    return width, height


def parser():
    top = argparse.ArgumentParser(prog='python3 -m evaluation', description='Measures a checkpoint through `ferret`.')
    commands = top.add_subparsers(dest='command', required=True)
    p = commands.add_parser('run', help='held-out scenes through the C engine: what `make eval` does')
    p.add_argument('--ferret', default=os.path.join(ROOT, 'build', 'bin', 'ferret'), help='the program')
    p.add_argument('--model', default=os.path.join(ROOT, 'model', 'pretrained'), help='checkpoint folder')
    p.add_argument('--dtype', default='', help='precision; default: that of the program')
    p.add_argument('--device', default='', help='where it runs; default: as the program chooses')
    p.add_argument('--seed', type=int, default=0, help='which held-out scenes: any number from 0 on [0]')
    p.add_argument('--validation', action='store_true', help='scenes to choose by, not those that numbers are published of')
    p.add_argument('--size', type=size, default=(scenes.SIDE, scenes.SIDE), help='of the scenes, e.g. 640x480 [144x144]')
    p.add_argument('--scenes', type=int, default=2000, help='how many [2000]')
    p.add_argument('--out', default=os.path.join(ROOT, 'build', 'eval'), help='folder for everything written')
    p.add_argument('--processes', type=int, default=os.cpu_count(), help='that draw scenes')
    p.add_argument('--withheld', action=argparse.BooleanOptionalAction, default=True, help='regions by coordinates only, too')
    p.set_defaults(do=run.run)
    return top


def main():
    arguments = parser().parse_args()
    try:
        arguments.do(arguments)
    except Problem as problem:
        print('evaluation: %s' % problem, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""The command line: run, manifest, score, compare, scenes."""
import argparse
import json
import os
import sys

import scenes

from . import published, run, score, suite
from .records import Problem, Records
from .suites import SUITES

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..', '..', '..')
EXAMPLES = """
examples, in model/reference:
  python3 -m evaluation manifest refcoco --annotations finetune_refcoco_testA.json --images train2014 -o testA.jsonl
  ferret annotate testA.jsonl --model ferret-7b -o records.jsonl            or: ferret submit, watch, export
  python3 -m evaluation score refcoco --annotations finetune_refcoco_testA.json --results records.jsonl -o testA-bf16.json
  python3 -m evaluation compare testA-bf16.json testA-int8.json --margin 1
"""


def size(text):
    width, height = map(int, text.split('x'))
    return width, height


def do_manifest(a):
    lines = suite.manifest(SUITES[a.suite].questions(a), os.path.abspath(a.images))
    with sys.stdout if a.out == '-' else open(a.out, 'w') as file:
        file.writelines(json.dumps(line, separators=(',', ':')) + '\n' for line in lines)


def do_score(a):
    value = suite.run(a.suite, SUITES[a.suite], a, Records(a.results))
    if a.out:
        score.write(a.out, value)
    print(score.report(value))


def do_score_scenes(a):
    value = run.ordered(run.score_scenes(a.truth, Records(a.results)))
    if a.out:
        score.write(a.out, value)
    print(score.report(value))


def do_compare(a):
    first, second = score.read(a.first), score.read(a.second)
    found = score.compare(first, second)
    print(score.comparison(first, second, found, a.margin))


def do_scenes(a):
    published.write(a.folder, run.first_seed(a.seed), a.scenes, a.processes)


def add_set(parser, count):
    """Options that say which scenes."""
    parser.add_argument('--seed', type=int, default=0, help='which held-out scenes: any number from 0 on [0]')
    parser.add_argument('--scenes', type=int, default=count, help='how many [%d]' % count)
    parser.add_argument('--processes', type=int, default=os.cpu_count(), help='that draw scenes')


def add_run(commands):
    p = commands.add_parser('run', help='held-out scenes through the C engine: what `make eval` does')
    p.add_argument('--ferret', default=os.path.join(ROOT, 'build', 'bin', 'ferret'), help='the program')
    p.add_argument('--model', default=os.path.join(ROOT, 'model', 'pretrained'), help='checkpoint folder')
    p.add_argument('--dtype', default='', help='precision; default: that of the program')
    p.add_argument('--device', default='', help='where it runs; default: as the program chooses')
    add_set(p, 2000)
    p.add_argument('--validation', action='store_true', help='scenes to choose by, not those that numbers are published of')
    p.add_argument('--size', type=size, default=(scenes.SIDE, scenes.SIDE), help='of the scenes, e.g. 640x480 [144x144]')
    p.add_argument('--out', default=os.path.join(ROOT, 'build', 'eval'), help='folder for everything written')
    p.add_argument('--withheld', action=argparse.BooleanOptionalAction, default=True, help='regions by coordinates only, too')
    p.set_defaults(do=run.run)


def add_suites(commands):
    """manifest SUITE and score SUITE."""
    to_manifest = commands.add_parser('manifest', help='published annotation files -> manifest for `ferret`')
    to_score = commands.add_parser('score', help='the same files and the records -> a table and a score file')
    for kind, command in (('manifest', to_manifest), ('score', to_score)):
        named = command.add_subparsers(dest='suite', required=True)
        for name, module in SUITES.items():
            example = 'example:\n  python3 -m evaluation %s %s %s' % (kind, name, module.EXAMPLE)
            quirks = 'official quirks (--quirk NAME, or all):\n' + '\n'.join('  %s: %s' % q for q in module.QUIRKS.items())
            p = named.add_parser(name, help=module.__doc__, description=module.DESCRIPTION, epilog=quirks + '\n\n' + example,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
            module.arguments(p)
            p.add_argument('--images', default='.', metavar='DIR', help='folder of the images [.]')
            if kind == 'manifest':
                p.add_argument('-o', '--out', default='-', metavar='FILE', help='the manifest [standard output]')
                p.set_defaults(do=do_manifest)
            else:
                add_results(p)
                p.add_argument('--quirk', action='append', default=[], metavar='NAME', help='score as the official script does')
                p.set_defaults(do=do_score)
        if kind == 'score':
            p = named.add_parser('scenes', help='Drawn scenes, by the truth.jsonl beside their manifest')
            p.add_argument('--truth', required=True, metavar='FILE', help='truth.jsonl')
            add_results(p)
            p.set_defaults(do=do_score_scenes)


def add_results(parser):
    parser.add_argument('--results', required=True, nargs='+', metavar='FILE', help='records of `ferret annotate` or `ferret export`')
    parser.add_argument('-o', '--out', metavar='FILE', help='score file')


def parser():
    top = argparse.ArgumentParser(prog='python3 -m evaluation', epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
                                  description='Measures a checkpoint through `ferret`, on drawn scenes or on published suites.')
    commands = top.add_subparsers(dest='command', required=True)
    add_run(commands)
    add_suites(commands)
    p = commands.add_parser('compare', help='two score files over the same questions: paired differences with intervals')
    p.add_argument('first', metavar='A', help='score file')
    p.add_argument('second', metavar='B', help='score file; differences are B - A')
    p.add_argument('--margin', type=float, metavar='POINTS', help='say whether a loss of so many points is excluded')
    p.set_defaults(do=do_compare)
    p = commands.add_parser('scenes', help='held-out scenes in the form of every published suite')
    p.add_argument('folder', metavar='DIR')
    add_set(p, 100)
    p.set_defaults(do=do_scenes)
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

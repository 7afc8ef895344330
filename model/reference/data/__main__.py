"""The command: python3 -m data build | check."""
import argparse
import json
import os
import sys
from contextlib import contextmanager

from data import builder, page, pictures, records, statistics
from data.problems import Problems
from data.readers.coco import Coco
from data.readers.drawn import Drawn
from data.readers.flickr30k import Flickr30k
from data.readers.folders import NotThere
from data.readers.refcoco import RefCoco
from data.readers.visual_genome import VisualGenome
from data.rephrase import Rephraser

EXAMPLES = '''examples:
  python3 -m data build --coco /data/coco --out /tmp/coco-records --seed 1
  python3 -m data build --coco /data/coco --vg /data/vg --refcoco /data/refer --out OUT --mix relation=0.2 --mix region=0.2
  python3 -m data build --scenes 1000 --first-scene 5000000 --out OUT --negative-share 0.5 --held-out evaluation.sha256
  python3 -m data check OUT

folders as published:
  --coco DIR        DIR/annotations/instances_SPLIT.json, captions_SPLIT.json, DIR/SPLIT/*.jpg (or DIR/images)
  --lvis DIR        DIR[/annotations]/lvis_v1_SPLIT.json, DIR/train2017, DIR/val2017
  --objects365 DIR  DIR[/annotations]/zhiyuan_objv2_SPLIT.json, DIR/SPLIT/patchN/*.jpg
  --vg DIR          objects.json relationships.json region_descriptions.json attributes.json image_data.json, VG_100K, VG_100K_2
  --refcoco DIR     refcoco/, refcoco+/, refcocog/ with refs(*).p and instances.json, or finetune_refcoco*.json; train2014
  --flickr30k DIR   Sentences/*.txt, Annotations/*.xml, flickr30k-images/*.jpg, train.txt

Splits named val, test or dev are left out unless --split asks for one.  Writes records.jsonl, roots.json, statistics.json,
statistics.md and samples.html into OUT.  Exit code 0: well; 1: a file broke off, or no record came out; 2: usage.'''


def share(text):
    value = float(text)
    if not 0 <= value <= .5:
        raise argparse.ArgumentTypeError('%s: from 0 to 0.5, since each negative has a positive twin' % text)
    return value


def mix_entry(text):
    kind, _, value = text.partition('=')
    if kind not in records.KINDS or not value.replace('.', '', 1).isdigit():
        raise argparse.ArgumentTypeError('%s: expected KIND=NUMBER, kinds %s' % (text, ' '.join(records.KINDS)))
    return kind, float(value)


def count(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError('%s: expected a number from 1' % text)
    return int(text)


def parser():
    top = argparse.ArgumentParser(prog='python3 -m data', description='Records for instruction tuning of Ferret, of published annotations.',
                                  epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest='command', required=True)
    build = commands.add_parser('build', help='annotations to records', epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('coco', 'lvis', 'objects365', 'vg', 'refcoco', 'flickr30k'):
        build.add_argument('--' + name, metavar='DIR', help='a source')
    build.add_argument('--scenes', metavar='COUNT', type=count, help='drawn scenes, a source; PNG files in OUT/scenes')
    build.add_argument('--first-scene', metavar='SEED', type=int, default=0, help='seed of the first scene (0)')
    build.add_argument('--split', metavar='NAME', help='of every source that has splits')
    build.add_argument('--out', metavar='DIR', required=True)
    build.add_argument('--seed', type=int, default=0, help='decides everything that is drawn by lot (0)')
    build.add_argument('--limit', metavar='N', type=count, help='first N images of each source')
    build.add_argument('--mix', metavar='KIND=N', type=mix_entry, action='append', default=[],
                       help='records of a kind an image, 0.2 for one in five images (1; absent and changed 2, where the '
                            'share allows); kinds: ' + ' '.join(records.KINDS))
    build.add_argument('--turns', metavar='N', type=count, default=4, help='pairs of a record at most (4)')
    build.add_argument('--negative-share', metavar='S', type=share, default=.25, help='of all pairs, 0 to 0.5 (0.25)')
    build.add_argument('--held-out', metavar='FILE|DIR', action='append', default=[],
                       help='sha256 of evaluation images (any text with them, records, results) or a folder of such images')
    build.add_argument('--rephraser', metavar='COMMAND', help='changes phrases for negatives: JSON lines in and out (data/rephrase.py)')
    check = commands.add_parser('check', help='read records and their images again')
    check.add_argument('folder', metavar='OUT')
    return top


def sources(args, problems):
    found = [Coco(name, getattr(args, name), problems, args.split) for name in ('coco', 'lvis', 'objects365') if getattr(args, name)]
    found += [make(getattr(args, make.name), problems, args.split) for make in (VisualGenome, RefCoco, Flickr30k) if getattr(args, make.name)]
    if args.scenes:
        found.append(Drawn(os.path.join(args.out, 'scenes'), args.first_scene, args.scenes))
    if not found:
        raise NotThere('no source: name at least one of --coco --lvis --objects365 --vg --refcoco --flickr30k --scenes')
    return found


@contextmanager
def whole(path):
    """A file that appears when it is complete."""
    with open(path + '.tmp', 'w', encoding='utf-8', newline='\n') as file:
        yield file
    os.rename(path + '.tmp', path)


def build(args):
    problems = Problems()
    change = Rephraser(args.rephraser, problems) if args.rephraser else None
    held_out = frozenset().union(*map(pictures.hashes_in, args.held_out))
    mix = dict(builder.Options().mix, **dict(args.mix))
    options = builder.Options(args.seed, mix, args.turns, args.negative_share, args.limit, held_out, change)
    os.makedirs(args.out, exist_ok=True)
    here, tally, sample, leaks = sources(args, problems), statistics.Tally(), page.Sample(args.seed), {}
    path = os.path.join(args.out, 'records.jsonl')
    with whole(path) as file:
        for source in here:
            one = builder.SourceBuild(source, options, problems)
            for record in one.records():
                records.check(record)
                builder.write(record, file)
                tally.add(record)
                sample.add(record)
            leaks[source.name] = {'count': len(one.leaks), 'first': one.leaks[:5]}
            print('%s: %d images, %d held out' % (source.name, one.images, len(one.leaks)), file=sys.stderr)
    if change:
        change.close()
    roots = {source.name: os.path.abspath(source.root) for source in here}
    report = dict(tally.numbers(), records_sha256=pictures.sha256_of(path), seed=args.seed, negative_share_wanted=args.negative_share,
                  mix=mix, left_out=problems.table(), broken_off=problems.broken, leaks=leaks)
    for name, text in (('roots.json', json.dumps(roots, indent=1) + '\n'), ('statistics.json', json.dumps(report, indent=1) + '\n'),
                       ('statistics.md', statistics.markdown(report)), ('samples.html', page.page(sample, roots))):
        with whole(os.path.join(args.out, name)) as file:
            file.write(text)
    print(statistics.markdown(report), end='')
    return 1 if problems.broken or not tally.records else 0


def check(args):
    with open(os.path.join(args.folder, 'roots.json')) as file:
        roots = json.load(file)
    tally, known, wrong = statistics.Tally(), {}, 0
    for record in records.read(os.path.join(args.folder, 'records.jsonl')):
        tally.add(record)
        root, path = record['image'].split(':', 1)
        if record['image'] not in known:
            try:
                known[record['image']] = tuple(pictures.identify(os.path.join(roots.get(root, ''), path)))
            except pictures.BadPicture as why:
                known[record['image']] = str(why)
            if known[record['image']] != (record['image_w'], record['image_h'], record['sha256']):
                wrong += 1
                print('%s: expected %d x %d, sha256 %s; found %s' % (record['image'], record['image_w'], record['image_h'], record['sha256'],
                                                                     known[record['image']]), file=sys.stderr)
    print('%d records, %d pairs, %d images, %d of them not as recorded' % (tally.records, tally.pairs, len(known), wrong))
    return 1 if wrong else 0


def main():
    args = parser().parse_args()
    try:
        return build(args) if args.command == 'build' else check(args)
    except (NotThere, records.BadRecord) as why:
        print('data: %s' % why, file=sys.stderr)
        return 2 if isinstance(why, NotThere) else 1
    except OSError as why:
        print('data: %s' % why, file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())

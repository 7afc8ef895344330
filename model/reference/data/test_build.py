"""The command from annotation files to records."""
import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
import unittest
from unittest import mock

from data import __main__ as command
from data import records, small_sets


def digest(*path):
    with open(os.path.join(*path), 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


class Build(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        small_sets.coco(self.path('coco'), 12, seed=4)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def run_command(self, *arguments):
        """-> exit code, stdout, stderr"""
        out, errors = io.StringIO(), io.StringIO()
        with mock.patch.object(sys, 'argv', ['data', *arguments]), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                code = command.main()
            except SystemExit as stop:
                code = stop.code
        return code, out.getvalue(), errors.getvalue()

    def build(self, out, *arguments, code=0):
        got = self.run_command('build', '--out', self.path(out), *arguments)
        self.assertEqual(got[0], code, got)
        return list(records.read(self.path(out, 'records.jsonl')))

    def report(self, out):
        with open(self.path(out, 'statistics.json')) as file:
            return json.load(file)

    def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(self):
        for out, seed in (('a', '1'), ('b', '1'), ('c', '2')):
            self.build(out, '--coco', self.path('coco'), '--seed', seed)
        for name in ('records.jsonl', 'samples.html', 'statistics.json'):
            self.assertEqual(digest(self.path('a', name)), digest(self.path('b', name)), name)
        self.assertNotEqual(digest(self.path('a', 'records.jsonl')), digest(self.path('c', 'records.jsonl')))
        self.assertEqual(self.report('a')['records_sha256'], digest(self.path('a', 'records.jsonl')))

    def test_another_source_changes_no_record(self):
        small_sets.visual_genome(self.path('vg'))
        alone = self.build('a', '--coco', self.path('coco'))
        both = self.build('b', '--coco', self.path('coco'), '--vg', self.path('vg'))
        self.assertEqual([r for r in both if r['source'] == 'coco'], alone)
        self.assertTrue(any(r['source'] == 'vg' for r in both))

    def test_every_source_comes_out_and_is_checked(self):
        for name in ('visual_genome', 'refcoco', 'flickr30k', 'lvis', 'objects365'):
            getattr(small_sets, name)(self.path(name))
        found = self.build('o', '--coco', self.path('coco'), '--vg', self.path('visual_genome'), '--refcoco', self.path('refcoco'),
                           '--flickr30k', self.path('flickr30k'), '--lvis', self.path('lvis'), '--objects365', self.path('objects365'))
        self.assertEqual({r['source'] for r in found}, {'coco', 'vg', 'refcoco', 'flickr30k', 'lvis', 'objects365'})
        self.assertEqual(len({r['id'] for r in found}), len(found))
        self.assertEqual({t['kind'] for r in found for t in r['tasks']}, set(records.KINDS))
        self.assertEqual({t['form'] for r in found for t in r['tasks']}, set(records.FORMS))
        self.assertEqual(self.run_command('check', self.path('o'))[0], 0)
        with open(self.path('coco', 'train2017', '%012d.png' % 1), 'ab') as file:
            file.write(b'x')
        code, _, errors = self.run_command('check', self.path('o'))
        self.assertEqual(code, 1)
        self.assertIn('%012d.png' % 1, errors)

    def test_negatives_have_twins_and_keep_their_share(self):
        for wanted in (0., .1, .25, .5):
            found = self.build('o', '--coco', self.path('coco'), '--negative-share', str(wanted))
            tasks = [t for r in found for t in r['tasks']]
            negative = sum(t['negative'] for t in tasks)
            self.assertLessEqual(negative, wanted * len(tasks))
            if wanted < .25:                                # these images hold no more than that
                self.assertGreater(negative, wanted * len(tasks) - 1)
            for record in found:
                if record['id'].split(':')[2] in records.NEGATIVES:
                    self.assertEqual(2 * sum(t['negative'] for t in record['tasks']), len(record['tasks']))
                else:
                    self.assertFalse(any(t['negative'] for t in record['tasks']))

    def test_leaks_are_dropped_and_counted(self):
        everything = self.build('a', '--coco', self.path('coco'))
        leaked = self.path('coco', 'train2017', '%012d.png' % 3), self.path('coco', 'train2017', '%012d.png' % 5)
        os.mkdir(self.path('evaluation'))
        shutil.copy(leaked[0], self.path('evaluation', 'another-name.png'))
        small_sets.write('%s  val/5.png\n' % digest(leaked[1]).upper(), self.path('hashes.txt'))
        small_sets.write(json.dumps({'model_hash': digest(self.path('coco', 'train2017', '%012d.png' % 1)), 'image': {'sha256': '0' * 64}}),
                         self.path('results.jsonl'))
        left = self.build('b', '--coco', self.path('coco'), '--negative-share', '0', '--held-out', self.path('evaluation'),
                          '--held-out', self.path('hashes.txt'), '--held-out', self.path('results.jsonl'))
        gone = {r['image'] for r in everything} - {r['image'] for r in left}
        self.assertEqual(gone, {'coco:train2017/%012d.png' % 3, 'coco:train2017/%012d.png' % 5})
        self.assertEqual(self.report('b')['leaks']['coco']['count'], 2)
        self.assertIn('image of an evaluation', self.run_command('build', '--out', self.path('b'), '--coco', self.path('coco'), '--held-out',
                                                                 self.path('hashes.txt'))[1])

    def test_the_mix_says_how_many_records_of_a_kind(self):
        found = self.build('o', '--coco', self.path('coco'), '--mix', 'object=3', '--mix', 'relation=0', '--mix', 'caption=0.5', '--turns', '2')
        names = [r['id'].split(':')[2] for r in found]
        self.assertEqual(names.count('object'), 36)
        self.assertEqual(names.count('relation'), 0)
        self.assertTrue(2 <= names.count('caption') <= 10)
        self.assertTrue(all(len(r['tasks']) <= 2 for r in found))

    def test_statistics_add_up(self):
        found, report = self.build('o', '--coco', self.path('coco')), self.report('o')
        pairs = sum(len(r['tasks']) for r in found)
        self.assertEqual((report['pairs'], report['records'], report['images']), (pairs, len(found), 12))
        for what in ('source', 'kind', 'form', 'answer'):
            self.assertEqual(sum(report['pairs_by'][what].values()), pairs)
        regions = sum(len(r['regions'][t]) for r in found for t in range(0, len(r['regions']), 2))
        for what in ('shape', 'region size', 'region share'):
            self.assertEqual(sum(report['pairs_by'][what].values()), regions)
        with open(self.path('o', 'statistics.md')) as file:
            self.assertIn('| coco | %d |' % report['pairs_by']['kind']['object'], file.read())
        with open(self.path('o', 'samples.html')) as file:
            page = file.read()
        self.assertGreater(page.count('<img src="data:image/png;base64,'), 15)

    def test_bad_images_are_left_out_by_name(self):
        with open(self.path('coco', 'train2017', '%012d.png' % 2), 'w') as file:
            file.write('no image')
        small_sets.picture([], self.path('coco', 'train2017', '%012d.png' % 4))
        from PIL import Image
        Image.new('RGB', (7, 7)).save(self.path('coco', 'train2017', '%012d.png' % 6))
        turned = Image.Exif()
        turned[274] = 6
        Image.new('RGB', (small_sets.WIDTH, small_sets.HEIGHT)).save(self.path('coco', 'train2017', '%012d.png' % 8), exif=turned)
        found = self.build('o', '--coco', self.path('coco'))
        self.assertEqual(len({r['image'] for r in found}), 9)
        self.assertEqual([(row['reason'], row['count']) for row in self.report('o')['left_out']],
                         [('image file that can not be used', 2), ('image of another size than its annotation says', 1)])

    def test_exit_codes(self):
        self.assertEqual(self.run_command('build', '--out', self.path('o'))[0], 2)
        self.assertEqual(self.run_command('build', '--out', self.path('o'), '--coco', self.path('nowhere'))[0], 2)
        self.assertEqual(self.run_command('build', '--out', self.path('o'), '--coco', 'x', '--negative-share', '0.6')[0], 2)
        self.assertEqual(self.run_command('build', '--out', self.path('o'), '--coco', 'x', '--mix', 'other=1')[0], 2)
        self.assertEqual(self.run_command('check', self.path('nowhere'))[0], 1)
        path = self.path('coco', 'annotations', 'instances_train2017.json')
        os.truncate(path, os.path.getsize(path) - 40)
        self.build('o', '--coco', self.path('coco'), code=1)
        self.assertIn('instances_train2017.json', self.report('o')['broken_off'][0])


if __name__ == '__main__':
    unittest.main()

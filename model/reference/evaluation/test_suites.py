"""Every suite on files made by hand, with values worked out by hand; and on drawn scenes through the program."""
import argparse
import contextlib
import io
import json
import os
import subprocess
import tempfile
import unittest

import scenes

from . import published, score, suite
from .__main__ import parser
from .cider import Cider
from .records import Problem, Records
from .suites import SUITES, captions, lvis, pope

FERRET = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', '..', 'build', 'bin', 'ferret')
SENTENCES = """[/EN#1/people Two men] ride [/EN#2/vehicles a red bicycle] past [/EN#3/scene the park] .
[/EN#1/people Men] with [/EN#4/clothing hats] .
"""
BOX = '<object>%s<bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax></bndbox></object>'
ANNOTATION = '<annotation><size><width>100</width><height>100</height><depth>3</depth></size>%s</annotation>' % ''.join([
    BOX % ('<name>1</name>', 0, 0, 20, 40), BOX % ('<name>1</name>', 20, 0, 40, 40), BOX % ('<name>2</name>', 50, 50, 90, 90),
    '<object><name>3</name><scene>1</scene><nobndbox>0</nobndbox></object>'])


def answer(key, text, entities=()):
    return {'id': key, 'task': 'ask', 'text': text, 'finish': 'stop', 'tokens': {},
            'entities': [{'phrase': phrase, 'boxes': boxes, 'truncated': [[int(v) for v in b] for b in boxes]} for phrase, boxes in entities]}


class Files(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        path = self.path(*name.split('/'))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def lines(self, name, values):
        return self.write(name, ''.join(json.dumps(v) + '\n' for v in values))

    def options(self, name, *given, quirk=()):
        p = argparse.ArgumentParser()
        SUITES[name].arguments(p)
        options = p.parse_args(given)
        options.quirk = list(quirk)
        return options

    def score(self, name, options, answers):
        """answers {record id: [answer]} -> {measure: value}"""
        path = self.lines('records.jsonl', [{'schema': 1, 'id': k, 'status': 'ok', 'tasks': v, 'model': {}, 'engine': {}, 'seed': 0}
                                            for k, v in answers.items()])
        self.document = suite.run(name, SUITES[name], options, Records([path]))
        return {measure: m['value'] for measure, m in self.document['measures'].items()}


class RefCoco(Files):
    def setUp(self):
        super().setUp()
        images = [{'id': k, 'file_name': name, 'height': 100, 'width': 100, 'caption': 'the left, big one'}
                  for k, name in ((3, 'a.jpg'), (1, 'b.jpg'), (2, 'a.jpg'))]
        boxes = [{'image_id': k, 'bbox': [10, 10, 20, 20]} for k in (1, 2, 3)]
        self.file = self.write('refs.json', json.dumps({'images': images, 'annotations': boxes}))
        self.right, self.half = ('x', [[10, 10, 30, 30]]), ('x', [[10, 10, 30, 20.9]])

    def test_the_manifest_shares_an_image_among_its_questions(self):
        lines = suite.manifest(SUITES['refcoco'].questions(self.options('refcoco', '--annotations', self.file)), '/images')
        self.assertEqual([line['id'] for line in lines], ['b.jpg', 'a.jpg'])
        self.assertEqual(lines[1]['image'], {'path': '/images/a.jpg'})
        self.assertEqual(lines[1]['tasks'], [{'id': k, 'kind': 'locate', 'phrases': ['the left, big one']} for k in '23'])

    def test_values_by_hand(self):
        options = self.options('refcoco', '--annotations', self.file)
        got = self.score('refcoco', options, {
            'a.jpg': [answer('2', '', [self.half]), answer('3', '', [('x', [[60, 60, 80, 80], [10, 10, 30, 30]])])], 'b.jpg': [answer('1', '', [self.right])]})
        self.assertAlmostEqual(got['acc'], 200 / 3)
        self.assertAlmostEqual(got['iou'], 100 * (1 + .545 + 0) / 3)
        self.assertAlmostEqual(got['acc_any'], 100.)
        self.assertAlmostEqual(got['acc_mean'], 200 / 3)         # (35, 35, 55, 55) is off

    def test_a_missing_answer_moves_no_other_but_by_the_official_quirk(self):
        answers = {'a.jpg': [answer('2', '', [('x', [[60, 60, 80, 80]])]), answer('3', '', [self.right])]}     # question 1 has none
        options = self.options('refcoco', '--annotations', self.file)
        self.assertAlmostEqual(self.score('refcoco', options, answers)['acc'], 100 / 3)
        self.assertEqual((self.document['asked'], self.document['missing']), (3, 1))
        hits = {row[0]: row[2] for row in self.document['items']['acc']}
        self.assertEqual(hits, {'1': 0., '2': 0., '3': 1.})
        options.quirk = ['by-position']
        self.score('refcoco', options, answers)
        self.assertEqual({row[0]: row[2] for row in self.document['items']['acc']}, {'1': 0., '2': 1., '3': 0.})

    def test_truncated_boxes(self):
        answers = {'a.jpg': [answer('2', '', [('x', [[10.9, 10.9, 30.9, 20.9]])])]}
        options = self.options('refcoco', '--annotations', self.file, quirk=['truncated-boxes'])
        self.score('refcoco', options, answers)
        self.assertEqual(max(row[2] for row in self.document['items']['iou']), .5)

    def test_bad_files_are_named(self):
        for text, said in (('{', 'refs.json'), ('{"images": []}', 'annotations'), (json.dumps(
                {'images': [{'id': 1, 'file_name': 'a'}], 'annotations': []}), r'images\[0\]: expected caption')):
            with self.assertRaisesRegex(Problem, said):
                SUITES['refcoco'].questions(self.options('refcoco', '--annotations', self.write('refs.json', text)))

    def test_records_of_something_else_are_refused(self):
        with self.assertRaisesRegex(Problem, 'none of 3 answers'):
            self.score('refcoco', self.options('refcoco', '--annotations', self.file), {'z.jpg': [answer('1', '')]})

    def test_an_unknown_quirk_is_refused(self):
        with self.assertRaisesRegex(Problem, 'truncated-boxes, by-position'):
            self.score('refcoco', self.options('refcoco', '--annotations', self.file, quirk=['odd']), {'b.jpg': [answer('1', '')]})


class Flickr(Files):
    def setUp(self):
        super().setUp()
        self.write('Sentences/7.txt', SENTENCES)
        self.write('Annotations/7.xml', ANNOTATION)
        self.write('test.txt', '7\n')

    def test_the_manifest_asks_for_phrases_with_boxes(self):
        (line,) = suite.manifest(SUITES['flickr30k'].questions(self.options('flickr30k', '--entities', self.folder)), '')
        self.assertEqual([t['phrases'] for t in line['tasks']], [['Two men', 'a red bicycle'], ['Men']])

    def test_values_by_hand(self):
        men = ('two men', [[0, 0, 20, 40], [0, 0, 40, 39]])            # merged truth: 0 0 40 40
        got = self.score('flickr30k', self.options('flickr30k', '--entities', self.folder), {'7.jpg': [
            answer('7/0', '', [men, ('a red, bicycle', [[0, 0, 5, 5]])]), answer('7/1', '', [('men', [[0, 0, 40, 40]])])]})
        self.assertAlmostEqual(got['r1'], 200 / 3)                     # the half box is a hit: 800 of 1600
        self.assertAlmostEqual(got['r1_people'], 100.)
        self.assertAlmostEqual(got['r1_vehicles'], 0.)
        one = ('two men', [[0, 0, 19, 40], [0, 0, 40, 39]])
        got = self.score('flickr30k', self.options('flickr30k', '--entities', self.folder), {'7.jpg': [answer('7/0', '', [one])]})
        self.assertAlmostEqual(got['r1'], 0.)
        self.assertAlmostEqual(got['r5'], 100 / 3)

    def test_any_box(self):
        got = self.score('flickr30k', self.options('flickr30k', '--entities', self.folder, '--any-box'), {'7.jpg': [
            answer('7/0', '', [('two men', [[0, 0, 19, 40]])])]})
        self.assertAlmostEqual(got['r1'], 100 / 3)


class Lvis(Files):
    def setUp(self):
        super().setUp()
        mask = [[int(x == y) for y in range(3)] for x in range(4)]
        entry = {'image_path': 'coco/val/a.jpg', 'width': 4, 'height': 3, 'name': 'car_(automobile)', 'synonyms': ['car_(automobile)', 'auto'],
                 'neg_class': 'bus', 'bbox_norm': [.25, 0, .75, .67], 'sample_point': [1, 1], 'free_shape_bbox_raw': [0, 0, 1, 1],
                 'free_shape_segment_mask': mask}
        self.file = self.lines('objects.jsonl', [dict(entry, id=1), dict(entry, id=2)])

    def test_regions_and_the_order_of_classes(self):
        regions = {}
        for kind in lvis.REGIONS:
            (line,) = suite.manifest(lvis.questions(self.options('lvis', '--objects', self.file, '--region', kind)), '')
            regions[kind] = line['regions'][0]
        self.assertEqual(regions['point'], {'point': [1, 1]})
        self.assertEqual(regions['box'], {'box': [1, 0, 3, 2]})
        self.assertEqual(lvis.rle.decode(regions['free']['rle']).tolist(),
                         [[True, False, False, False], [False, True, False, False], [False] * 4])
        self.assertEqual([t['question'] for t in line['tasks']],
                         ['Is the object {region0} of the image a car_(automobile) or a bus?',
                          'Is the object {region1} of the image a bus or a car_(automobile)?'])

    def test_a_match_and_the_official_one(self):
        true = ['car', 'automobile', 'auto']
        for text, ours, official in (('It is a car.', True, True), ('A Car', True, False), ('an automobile', True, True),
                                     ('It is a car, not a bus.', True, True), ('a car and a bus', False, True), ('a scarf', False, True),
                                     ('It is not a car, it is a bus.', False, False), ('a north side car, I think', True, False)):
            self.assertEqual(lvis.match(text, true, 'bus'), ours, text)
            self.assertEqual(lvis.official_match(text, true), official, text)

    def test_a_missing_answer_is_wrong(self):
        got = self.score('lvis', self.options('lvis', '--objects', self.file, '--region', 'box'), {'a.jpg': [answer('2', 'A car.')]})
        self.assertEqual(got, {'acc': 50.})


class Pope(Files):
    def setUp(self):
        super().setUp()
        labels = ['yes', 'yes', 'no', 'no']
        self.file = self.lines('coco_pope_random.json', [{'question_id': k, 'image': 'a.jpg', 'text': 'Is there a cat?', 'label': label}
                                                         for k, label in enumerate(labels)])

    def ask(self, texts, *quirk):
        return self.score('pope', self.options('pope', '--questions', self.file, quirk=quirk),
                          {'a.jpg': [answer('random/%d' % k, text) for k, text in texts.items()]})

    def test_values_by_hand(self):
        got = self.ask({0: 'Yes, a cat.', 1: 'No.', 2: 'Yes.', 3: 'There is no cat. Yes.'})      # TP 1 FN 1 FP 1 TN 1
        self.assertEqual(got, {'accuracy_random': 50., 'yes_ratio_random': 50., 'precision_random': 50., 'recall_random': 50., 'f1_random': 50.})

    def test_neither_is_wrong_but_by_the_official_quirk(self):
        texts = {0: 'A cat.', 1: 'Yes', 2: 'No', 3: 'NO'}
        self.assertEqual(self.ask(texts)['accuracy_random'], 75.)
        self.assertEqual(self.ask(texts, 'else-yes')['recall_random'], 100.)
        self.assertEqual(self.ask(texts, 'else-yes')['accuracy_random'], 75., '"NO" is no "No"')

    def test_missing_answers(self):
        texts = {0: 'Yes', 2: 'No', 3: 'No'}
        self.assertEqual(self.ask(texts)['accuracy_random'], 75.)
        self.assertEqual(self.ask(texts, 'by-position')['accuracy_random'], 50., 'all behind it are judged by the wrong label')

    def test_f1_is_the_harmonic_mean(self):
        got = self.ask({0: 'Yes', 1: 'Yes', 2: 'Yes', 3: 'No'})
        self.assertAlmostEqual(got['f1_random'], 2 * got['precision_random'] * got['recall_random'] / (got['precision_random'] + got['recall_random']))


class Captions(Files):
    def setUp(self):
        super().setUp()
        self.write('Sentences/7.txt', SENTENCES)
        self.write('Annotations/7.xml', ANNOTATION)
        self.write('test.txt', '7\n')

    def test_f1_by_hand(self):
        """Classes: man (two captions), bicycle.  Said: man right, bicycle off, park (no box: not counted), hats likewise."""
        got = self.score('captions', self.options('captions', '--entities', self.folder), {'7.jpg': [answer('7', 'x', [
            ('Two men', [[0, 0, 40, 40]]), ('a bicycle', [[0, 0, 5, 5]]), ('the park', [[0, 0, 99, 99]])])]})
        # First caption: man 1, bicycle 0.  Second: man 1; its words hold no bicycle: precision of bicycle 0 of 2.
        self.assertAlmostEqual(got['f1_all'], 50.)
        self.assertAlmostEqual(got['f1_loc'], 50.)
        got = self.score('captions', self.options('captions', '--entities', self.folder), {'7.jpg': [answer('7', 'x', [
            ('Two men', [[0, 0, 40, 40]])])]})
        self.assertAlmostEqual(got['f1_all'], 50.)
        self.assertAlmostEqual(got['f1_loc'], 50., msg='the class that is not said stays in the vocabulary, as in the official script')

    def test_cider_prefers_the_reference(self):
        cider = Cider({'1': ['a cat on a mat', 'the cat sits'], '2': ['a dog in the sun'], '3': ['two birds fly']})
        self.assertGreater(cider.score('1', 'a cat on a mat'), cider.score('1', 'a dog on a mat'))
        self.assertEqual(cider.score('1', 'zebra'), 0.)
        self.assertEqual(cider.score('1', ''), 0.)

    def test_cider_by_hand(self):
        """One reference, equal to the candidate: every n-gram's cosine is 1; with two words there are none of 3 and 4."""
        cider = Cider({'1': ['red cat'], '2': ['blue dog']})
        self.assertAlmostEqual(cider.score('1', 'red cat'), 10 * 2 / 4)
        self.assertAlmostEqual(cider.score('1', 'red dog'), 10 / 4 * .5 * 2.718281828 ** 0)        # one of two words, no pair

    def test_plurals(self):
        for word, one in (('men', 'man'), ('cherries', 'cherry'), ('buses', 'bus'), ('foxes', 'fox'), ('glass', 'glass'), ('bus', 'bus'), ('cats', 'cat')):
            self.assertEqual(captions.lemma(word), one, word)

    def test_the_other_published_form(self):
        refs = self.write('refs.json', json.dumps({'annotations': [{'image_id': 7, 'captions': [
            {'tokens': ['a', 'man'], 'process_clss': ['man'], 'process_bnd_box': [[0, 0, 40, 40]]}]}, {'image_id': 8, 'captions': []}]}))
        split = self.write('split.json', json.dumps({'test': [7]}))
        got = self.score('captions', self.options('captions', '--references', refs, '--split-file', split),
                         {'7.jpg': [answer('7', 'A man [1, 2, 3, 4].', [('A man', [[0, 0, 40, 40]])])]})
        self.assertAlmostEqual(got['f1_all'], 100.)


class Long(unittest.TestCase):
    def test_a_job_holds_a_bounded_number_of_tasks(self):
        questions = [suite.Question(str(k), 'a.jpg', {'kind': 'ask', 'question': '?'}, None) for k in range(150)]
        lines = suite.manifest(questions, '')
        self.assertEqual([len(line['tasks']) for line in lines], [64, 64, 22])
        self.assertEqual(suite.places(questions)[149], suite.Place('a.jpg#2', '149'))


@unittest.skipUnless(os.path.exists(scenes.FONT), 'no fonts-noto-color-emoji')
@unittest.skipUnless(os.path.exists(FERRET), 'the program is not built')
class Program(Files):
    """Drawn scenes in every published form, answered by the model that ships."""

    def command(self, *words):
        arguments = parser().parse_args(words)
        arguments.do(arguments)

    def test_every_suite_runs_through_the_program(self):
        published.write(self.folder, 20000000, 8, 1)
        entities = ['--entities', self.path('flickr30k'), '--suffix', '.png']
        least = {'refcoco': ('acc', 70), 'flickr30k': ('r1', 40), 'lvis': ('acc', 0), 'pope': ('accuracy_random', 70), 'captions': ('f1_all', 40)}
        files = {'refcoco': ['--annotations', self.path('refcoco.json')], 'flickr30k': entities, 'captions': entities,
                 'lvis': ['--objects', self.path('lvis.jsonl'), '--region', 'free'], 'pope': ['--questions', self.path('pope_random.json')]}
        for name, given in files.items():
            with self.subTest(name):
                manifest, records, out = (self.path(name + end) for end in ('-manifest.jsonl', '-records.jsonl', '-score.json'))
                self.command('manifest', name, *given, '--images', self.path('images'), '-o', manifest)
                subprocess.run([FERRET, 'annotate', manifest, '-o', records], check=True, capture_output=True)
                with contextlib.redirect_stdout(io.StringIO()) as said:
                    self.command('score', name, *given, '--results', records, '-o', out)
                    self.command('compare', out, out, '--margin', '100')
                self.assertIn('0 missing', said.getvalue())
                value = score.read(out)
                measure, bound = least[name]
                self.assertGreaterEqual(value['measures'][measure]['value'], bound)
                self.assertTrue(value['model']['hash'] and value['engine']['version'])


if __name__ == '__main__':
    unittest.main()

"""Held-out scenes: what is asked, and what answers are worth, by hand."""
import json
import os
import tempfile
import unittest

import numpy as np

import dialogue
import scenes

from . import drawn, run, score
from .boxes import best, iou, mentions
from .records import Problem, Records, read_lines

FONT = os.path.exists(scenes.FONT)
TRUTH = {'id': 's', 'width': 100, 'height': 100, 'colour': 'red', 'texture': 'plain',
         'things': [{'noun': 'cat', 'size': 'small', 'box': [100, 100, 290, 290]}, {'noun': 'dog', 'size': '', 'box': [500, 500, 790, 790]}]}


def values(question, text):
    return {measure: item.value for measure, item in drawn.judge(TRUTH, dict(question, id='q'), text)}


def record(truth, texts):
    tasks = [{'id': q['answer_id'], 'task': 'ask', 'text': texts[q['id']], 'entities': [], 'finish': 'stop', 'tokens': {}}
             for q in truth['questions'] if q['id'] in texts]
    return {'schema': 1, 'id': truth['id'], 'status': 'ok', 'tasks': tasks, 'model': {'hash': 'h'}, 'engine': {'version': 'e'}, 'seed': 0}


class Boxes(unittest.TestCase):
    def test_iou_of_inclusive_corners(self):
        self.assertAlmostEqual(iou((0, 0, 9, 9), (5, 0, 14, 9), 1), 50 / 150)
        self.assertEqual(iou((0, 0, 9, 9), (20, 0, 29, 9), 1), 0.)
        self.assertAlmostEqual(iou((0, 0, 10, 10), (0, 0, 10, 5)), .5)
        self.assertEqual(best((0, 0, 1, 1), []), 0.)

    def test_boxes_behind_one_phrase_are_all_its_own(self):
        self.assertEqual(mentions('cat [1, 2, 3, 4] [5, 6, 7, 8], dog [9, 9, 9, 9].'),
                         [('cat', (1, 2, 3, 4)), ('cat', (5, 6, 7, 8)), (', dog', (9, 9, 9, 9))])


class Judgement(unittest.TestCase):
    def test_a_present_object(self):
        question = {'kind': 'present', 'answer': '[100, 100, 290, 290]', 'size': 'small'}
        self.assertEqual(values(question, '[100, 100, 290, 290]'),
                         {'rec_acc': 1., 'rec_iou': 1., 'rec_small': 1., 'reject_present': 0.})
        self.assertEqual(values(question, 'There is no cat in the image.'),
                         {'rec_acc': 0., 'rec_iou': 0., 'rec_small': 0., 'reject_present': 1.})
        self.assertEqual(values(question, '[600, 600, 700, 700] [100, 100, 290, 290]')['rec_acc'], 0., 'the first box counts')

    def test_a_missing_answer_is_wrong_in_every_measure_but_rejection(self):
        for kind, answer in (('present', '[1, 1, 9, 9]'), ('box', 'a cat'), ('absent', ''), ('yesno', 'No.'), ('count', 'One.'),
                             ('relation', 'Nothing.'), ('locate_many', 'cat [1, 1, 9, 9].')):
            got = values({'kind': kind, 'answer': answer, 'size': '', 'sampling': 'random'}, None)
            self.assertEqual(set(got.values()), {0.}, kind)

    def test_referring_needs_noun_and_size(self):
        question = {'kind': 'point', 'answer': 'a small red car'}
        self.assertEqual(values(question, 'a small red car'), {'refer_point': 1., 'refer_point_noun': 1.})
        self.assertEqual(values(question, 'a large red car'), {'refer_point': 0., 'refer_point_noun': 1.})
        self.assertEqual(values(question, 'a small blue car'), {'refer_point': 0., 'refer_point_noun': 0.})

    def test_a_relation_needs_noun_and_box(self):
        question = {'kind': 'relation', 'answer': 'a dog [500, 500, 790, 790]'}
        self.assertEqual(values(question, 'a large dog [500, 510, 790, 790]'), {'relation': 1.})
        self.assertEqual(values(question, 'a cat [500, 500, 790, 790]'), {'relation': 0.})
        self.assertEqual(values(question, 'a dog [100, 100, 290, 290]'), {'relation': 0.})

    def test_phrases_count_boxes_of_their_own_noun(self):
        question = {'kind': 'locate_many', 'answer': 'cat [100, 100, 290, 290], dog [500, 500, 790, 790]. There is no owl in the image.'}
        self.assertEqual(values(question, 'cat [100, 100, 290, 290], dog [100, 100, 290, 290]. There is no owl in the image.'),
                         {'phrases': .5, 'phrases_absent': 1.})
        self.assertEqual(values(question, 'cat [500, 500, 790, 790], dog [100, 100, 290, 290].'), {'phrases': 0., 'phrases_absent': 0.})

    def test_a_caption_by_hand(self):
        text = 'A cat [100, 100, 290, 290], a dog [0, 0, 50, 50] and an owl [500, 500, 790, 790] on a red plain background.'
        found = {}
        for measure, item in drawn.judge(TRUTH, {'kind': 'caption', 'id': 'c', 'answer': ''}, text):
            found.setdefault(measure, []).append(item.value)
        self.assertEqual(found, {'caption_recall': [1., 0.], 'caption_precision': [1., 0., 0.], 'hallucination': [0., 0., 1.],
                                 'caption_background': [1.]})


class Seeds(unittest.TestCase):
    def test_sets_of_scenes_never_meet(self):
        self.assertEqual(run.first_seed(0, True), drawn.VALIDATION)
        self.assertLess(run.first_seed(99, True) + drawn.PER_SEED - 1, run.first_seed(0))
        self.assertEqual(run.first_seed(7) - run.first_seed(6), drawn.PER_SEED)
        for seed, validation in ((-1, False), (100, True)):
            with self.assertRaises(Problem):
                run.first_seed(seed, validation)


@unittest.skipUnless(FONT, 'no fonts-noto-color-emoji')
class Folder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        run.write_scenes(cls.folder, drawn.TEST, 12, 1)
        cls.truths = [truth for _, truth in read_lines(os.path.join(cls.folder, 'truth.jsonl'))]

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def score(self, records):
        path = os.path.join(self.folder, 'records.jsonl')
        with open(path, 'w') as file:
            file.writelines(json.dumps(r) + '\n' for r in records)
        return run.score_scenes(os.path.join(self.folder, 'truth.jsonl'), Records([path]))

    def right(self, truth):
        return {q['id']: q['answer'] if q['kind'] != 'absent' else 'There is no such thing.' for q in truth['questions']}

    def test_the_true_answers_score_full_marks_in_any_order(self):
        value = self.score([record(t, self.right(t)) for t in reversed(self.truths)])
        self.assertEqual(value['missing'], 0)
        for name, measure in value['measures'].items():
            self.assertEqual(measure['value'], 0. if name in score.LOWER_IS_BETTER else 100., name)
        self.assertEqual(set(run.card(value)), set(drawn.MEASURES))

    def test_a_missing_record_costs_its_own_answers_only(self):
        whole = self.score([record(t, self.right(t)) for t in self.truths])
        value = self.score([record(t, self.right(t)) for t in self.truths[1:]])
        self.assertEqual(value['missing'], len(self.truths[0]['questions']))
        lost = {i.image for name in ('refer_box', 'count', 'caption_recall') for i in score.items_of(value, name) if not i.value}
        self.assertEqual(lost, {self.truths[0]['id']})
        self.assertEqual(value['measures']['refer_box']['n'], whole['measures']['refer_box']['n'])

    def test_comparison_finds_what_changed(self):
        worse = [record(t, dict(self.right(t), **({'count-0': '?'} if k else {}))) for k, t in enumerate(self.truths)]
        for r, t in zip(worse[:3], self.truths):
            for answer in r['tasks']:
                if answer['id'].startswith('count'):
                    answer['text'] = 'Nine.'
        a, b = self.score([record(t, self.right(t)) for t in self.truths]), self.score(worse)
        found = {name: change for name, _, _, change in score.compare(a, b)}
        self.assertEqual((found['count'].worse, found['count'].better), (3, 0))
        self.assertEqual((found['refer_box'].worse, found['refer_box'].better), (0, 0))
        self.assertEqual(score.verdict('count', found['count'], 1), 'no')

    def test_other_questions_are_not_compared(self):
        a = self.score([record(t, self.right(t)) for t in self.truths])
        with self.assertRaisesRegex(Problem, 'questions'):
            score.compare(a, dict(a, questions='other'))

    def test_a_scene_is_asked_the_same_whoever_else_is_there(self):
        scene = scenes.draw(drawn.TEST + 3)
        popular = list(range(20))
        first, second = (drawn.asked(scene, drawn.TEST + 3, popular) for _ in range(2))
        self.assertEqual([line for _, line in first], [line for _, line in second])

    def test_a_point_becomes_the_pixel_that_is_written_so(self):
        for width in (100, 144, 640, 999):
            for x in range(width):
                text = '[%d, 0] <region_fea>' % int(x * (1000. / width))
                turn = dialogue.Turn('point', text, '', mask=np.zeros((5, width), bool))
                self.assertEqual(drawn.region_of(turn)['point'][0], x, width)


if __name__ == '__main__':
    unittest.main()

"""The record: what reading refuses, and what a trainer gets."""
import copy
import json
import os
import tempfile
import unittest

import numpy as np

from data import records, rle


def scribbled():
    mask = np.zeros((60, 80), bool)
    mask[20:24, 30:50] = True
    return mask


def example():
    return {
        'id': 'coco:7:relation', 'image': 'coco:a/7.jpg', 'image_w': 80, 'image_h': 60, 'sha256': '0' * 64, 'source': 'coco',
        'conversations': [
            {'from': 'human', 'value': 'How does <bbox_location0> stand to <bbox_location1>, given <bbox_location2>?'},
            {'from': 'gpt', 'value': 'The cat <bbox_location0> is left of the dog <bbox_location1>.'},
            {'from': 'human', 'value': 'Is there an owl?'}, {'from': 'gpt', 'value': 'No.'}],
        'box_x1y1x2y2': [[[1, 2, 10, 20], [40, 0, 79, 59], [30, 20, 49, 23]], [[1, 2, 10, 20], [40, 0, 79, 59]], [], []],
        'masks': [[None, None, rle.encode(scribbled())], [None, None], [], []],
        'regions': [[{'shape': 'box'}, {'shape': 'point', 'point': [78, 3]}, {'shape': 'scribble'}], [None, None], [], []],
        'tasks': [{'kind': 'relation', 'form': 'both', 'negative': False}, {'kind': 'absent', 'form': 'text-text', 'negative': True}]}


class Records(unittest.TestCase):
    def test_a_file_comes_back_as_it_was_written(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'records.jsonl')
            with open(path, 'w') as file:
                file.write(json.dumps(example()) + '\n' + json.dumps(example()) + '\n')
            self.assertEqual(list(records.read(path)), [example(), example()])

    def test_pairs_hold_text_and_the_pixels_of_each_shape(self):
        first, second = records.pairs(example(), lambda pixels, width, height: '%s/%dx%d' % (pixels, width, height))
        self.assertEqual(first.question, 'How does [1, 2, 10, 20]/80x60 <region_fea> stand to [78, 3]/80x60 <region_fea>, '
                                         'given [30, 20, 49, 23]/80x60 <region_fea>?')
        self.assertEqual(first.answer, 'The cat [1, 2, 10, 20]/80x60 is left of the dog [40, 0, 79, 59]/80x60.')
        box, point, free = first.masks
        self.assertTrue(box.sum() == 10 * 19 and box[2:21, 1:11].all())
        self.assertTrue(point.sum() == 9 * 7 and point[:9, 73:].all())        # cut at the corner
        np.testing.assert_array_equal(free, scribbled())
        self.assertEqual((second.question, second.answer, second.masks), ('Is there an owl?', 'No.', []))
        self.assertEqual((second.task['kind'], second.task['negative']), ('absent', True))

    def test_what_is_wrong_is_named(self):
        def broken(field, value, *path):
            record = copy.deepcopy(example())
            place = record
            for step in path:
                place = place[step]
            place[field] = value
            return record

        empty = rle.encode(np.zeros((60, 80), bool))
        for record, name in (
                (broken('image_w', '80'), 'image_w'), (broken('sha256', 'abc'), 'sha256'), (broken('image', 'a.jpg'), 'image'),
                (broken('conversations', []), 'conversations'), (broken('from', 'gpt', 'conversations', 0), 'conversations[0].from'),
                (broken('value', 'Where?', 'conversations', 0), 'conversations[0]'),
                (broken('value', '<bbox_location0> <bbox_location5>', 'conversations', 1), 'conversations[1]'),
                (broken(0, [1, 2, 80, 20], 'box_x1y1x2y2', 1), 'box_x1y1x2y2[1][0]'),
                (broken(0, [1., 2, 3, 20], 'box_x1y1x2y2', 1), 'box_x1y1x2y2[1][0]'),
                (broken(0, {'shape': 'star'}, 'regions', 0), 'regions[0][0].shape'),
                (broken(1, {'shape': 'point', 'point': [80, 3]}, 'regions', 0), 'regions[0][1].point'),
                (broken(2, None, 'masks', 0), 'masks[0][2]'), (broken(2, empty, 'masks', 0), 'masks[0][2]'),
                (broken('negative', True, 'tasks', 0), 'tasks[0].negative'), (broken('form', 'refer-text', 'tasks', 0), 'tasks[0].form'),
                (broken('kind', 'other', 'tasks', 1), 'tasks[1].kind')):
            with self.assertRaises(records.BadRecord) as caught:
                records.check(record)
            self.assertTrue(str(caught.exception).startswith(name + ':'), (name, str(caught.exception)))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'r.jsonl')
            with open(path, 'w') as file:
                file.write(json.dumps(example()) + '\n{"id": 3\n')
            with self.assertRaisesRegex(records.BadRecord, 'r.jsonl, line 2'):
                list(records.read(path))

    def test_form_follows_from_the_placeholders(self):
        place = '<bbox_location0>'
        for question, answer, form in (('What is %s?' % place, 'A dog.', 'refer-text'), ('Where?', 'There %s.' % place, 'text-ground'),
                                       ('What is left of %s?' % place, place + '.', 'refer-ground'),
                                       ('And %s?' % place, 'It is beside the dog %s.' % place, 'both'), ('Is it?', 'No.', 'text-text')):
            self.assertEqual(records.form_of(question, answer), form)


if __name__ == '__main__':
    unittest.main()

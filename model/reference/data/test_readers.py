"""Each published format, its oddities, and what is wrong with an entry."""
import json
import os
import pickle
import tempfile
import unittest

import numpy as np

from data import masks, small_sets
from data.facts import Caption, Mention, Phrase, Region, Relation
from data.problems import Problems
from data.readers.coco import Coco, plain_name
from data.readers.drawn import Drawn
from data.readers.flickr30k import Flickr30k
from data.readers.folders import NotThere
from data.readers.refcoco import RefCoco
from data.readers.visual_genome import VisualGenome

SIZE = small_sets.WIDTH, small_sets.HEIGHT


class Readers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.problems = folder.name, Problems()

    def read(self, source):
        source.open()
        found = list(source.facts())
        with self.problems.muted():
            self.assertEqual(str(list(source.facts())), str(found))
        for facts in found:
            self.assertTrue(os.path.isfile(os.path.join(self.folder, facts.image)), facts.image)
            self.assertEqual(facts.size, SIZE)
        return found

    def left_out(self):
        return {(row['file'], row['reason']): row['count'] for row in self.problems.table()}

    def edit(self, change, *path):
        path = os.path.join(self.folder, *path)
        with open(path) as file:
            value = json.load(file)
        change(value)
        with open(path, 'w') as file:
            json.dump(value, file)

    def test_coco(self):
        small_sets.coco(self.folder, 5)
        small_sets.coco(self.folder, 2, split='val2017')
        found = self.read(Coco('coco', self.folder, self.problems))
        self.assertEqual([f.key for f in found], ['train2017/%d' % i for i in range(1, 6)])
        with open(os.path.join(self.folder, 'annotations', 'instances_train2017.json')) as file:
            annotations = [a for a in json.load(file)['annotations'] if a['image_id'] == 1]
        first = found[0]
        self.assertEqual(len(first.things), len(annotations))
        for thing, (x, y, w, h) in zip(first.things, (a['bbox'] for a in annotations)):
            self.assertEqual(thing.box, (x, y, x + w - 1, y + h - 1))
            mask = masks.pixels(thing.outline, *SIZE)
            self.assertLess(abs(mask.sum() / (w * h / 2) - 1), .15)
        names = {thing.name for thing in first.things}
        self.assertEqual(first.complete, names)
        self.assertEqual(first.absent, {name for _, name in small_sets.CATEGORIES} - names)
        self.assertEqual(self.problems.table(), [])
        self.assertEqual(len(self.read(Coco('coco', self.folder, self.problems, 'val2017'))), 2)

    def test_captions_of_coco_are_grounded_where_there_is_no_doubt(self):
        small_sets.coco(self.folder, 1)

        def place(document):
            document['annotations'] = [
                {'id': i, 'image_id': 1, 'category_id': c, 'bbox': [10 * i, 10, 8, 20], 'segmentation': []} for i, c in
                enumerate((1, 18, 18, 3, 3))]
        self.edit(place, 'annotations', 'instances_train2017.json')
        texts = ['A man with two dogs.', 'A woman and a dog', 'Three dogs, and cars near a cat', 'A person is a person']
        self.edit(lambda d: d.update(annotations=[{'image_id': 1, 'caption': t} for t in texts] + [{'image_id': 1, 'caption': 7}, 3]),
                  'annotations', 'captions_train2017.json')
        found = self.read(Coco('coco', self.folder, self.problems))[0]
        self.assertEqual(found.captions, (
            Caption(texts[0], (Mention(2, 5, (0,)), Mention(15, 19, (1, 2)))), Caption(texts[1], (Mention(2, 7, (0,)),)),
            Caption(texts[2], (Mention(16, 20, (3, 4)),)), Caption(texts[3])))
        self.assertEqual(self.left_out(), {('captions_train2017.json', 'caption without a text'): 2})

    def test_bad_entries_of_coco_are_counted_and_the_rest_is_used(self):
        small_sets.coco(self.folder, 3)
        os.remove(os.path.join(self.folder, 'train2017', '%012d.png' % 3))

        def spoil(document):
            document['annotations'] += [
                {'id': 900, 'image_id': 1, 'category_id': 20, 'bbox': [-30, 5, 10, 10]}, {'id': 901, 'image_id': 1, 'category_id': 5},
                {'id': 902, 'image_id': 1, 'category_id': 20, 'bbox': [1, 1, float('nan'), 4]}, {'id': 903, 'category_id': 1}, 'x',
                {'id': 904, 'image_id': 1, 'category_id': 77, 'bbox': [0, 0, 9, 9], 'iscrowd': 1},
                {'id': 905, 'image_id': 2, 'category_id': 77, 'bbox': [0, 0, 9.4, 9], 'segmentation': [[1, 2]]},
                {'id': 906, 'image_id': 2, 'category_id': 77, 'bbox': [50, 50, 500, 9], 'segmentation': {'size': [90, 120], 'counts': [10800]}}]
            document['images'] += [{'id': 50, 'file_name': '../../etc/passwd', 'width': 1, 'height': 1}, {'id': 51, 'width': 4, 'height': 4},
                                   {'id': 52, 'file_name': 'a.png', 'width': 0, 'height': 4}]
            document['categories'].append({'id': 99})
        self.edit(spoil, 'annotations', 'instances_train2017.json')
        found = self.read(Coco('coco', self.folder, self.problems))
        self.assertEqual([f.key for f in found], ['train2017/1', 'train2017/2'])
        self.assertFalse({'cell phone', 'sheep'} & (found[0].complete - {t.name for t in found[0].things}))
        self.assertNotIn('cell phone', found[0].absent)          # a crowd of them is there
        phones = [t for t in found[1].things if t.name == 'cell phone']
        self.assertEqual([t.box for t in phones], [(0, 0, 9, 8), (50, 50, 119, 58)])
        self.assertIsNone(phones[0].outline)
        name = 'instances_train2017.json'
        self.assertEqual(self.left_out(), {
            (name, 'annotation without a box in its image'): 2, (name, 'annotation without an id and a known category'): 1,
            (name, 'entry of annotations without an id'): 2, (name, 'segmentation that is no polygon and no RLE (its box is used)'): 1,
            (name, 'image file is not there'): 2, (name, 'image without file_name'): 1, (name, 'image without width and height'): 1,
            (name, 'category without a name'): 1})

    def test_a_file_that_breaks_off_keeps_what_came_before(self):
        small_sets.coco(self.folder, 3)
        path = os.path.join(self.folder, 'annotations', 'instances_train2017.json')
        with open(path) as file:
            text = file.read()
        with open(path, 'w') as file:
            file.write(text[:text.index('"annotations"') + 400])
        self.assertEqual(len(self.read(Coco('coco', self.folder, self.problems))), 3)
        self.assertEqual(len(self.problems.broken), 1)
        self.assertIn('instances_train2017.json: ', self.problems.broken[0])

    def test_held_out_splits_need_to_be_asked_for(self):
        small_sets.coco(self.folder, 1, split='val2017')
        with self.assertRaisesRegex(NotThere, 'splits there: val2017'):
            Coco('coco', self.folder, self.problems)
        with self.assertRaisesRegex(NotThere, 'train2099'):
            Coco('coco', self.folder, self.problems, 'train2099')

    def test_lvis_says_what_was_looked_for(self):
        small_sets.lvis(self.folder)
        found, = self.read(Coco('lvis', self.folder, self.problems))
        self.assertEqual([t.name for t in found.things], ['mug', 'mug', 'spoon'])
        self.assertEqual((found.complete, found.absent), ({'mug'}, {'cup'}))

    def test_objects365(self):
        small_sets.objects365(self.folder)
        found, = self.read(Coco('objects365', self.folder, self.problems))
        self.assertEqual((found.things[0].name, found.things[0].box, found.image),
                         ('person', (5, 5, 24, 24), 'train/patch8/objects365_v1_00420917.png'))
        self.assertEqual(found.absent, {'street lights', 'cabinet'})
        self.assertEqual(plain_name('cup_(drinking, large)'), 'cup')

    def test_visual_genome(self):
        small_sets.visual_genome(self.folder)
        found, = self.read(VisualGenome(self.folder, self.problems))
        self.assertEqual([(t.name, t.box, t.attributes) for t in found.things],
                         [('man', (50, 5, 69, 34), ()), ('horse', (40, 30, 79, 69), ('brown', 'large')), ('hat', (52, 5, 61, 10), ())])
        self.assertEqual(found.relations, (Relation(0, 'riding', 1), Relation(0, 'wearing', 2)))
        self.assertEqual(found.regions, (Region((38, 0, 82, 71), 'A man on a brown horse'),))
        self.assertEqual((found.complete, found.absent), (frozenset(), frozenset()))
        self.assertEqual(self.left_out(), {
            ('objects.json', 'object without an id, a name and a box in its image'): 1,
            ('relationships.json', 'relationship without subject, predicate and object'): 1,
            ('region_descriptions.json', 'region without a phrase and a box in its image'): 1})

    def test_refcoco(self):
        small_sets.refcoco(self.folder)
        found, = self.read(RefCoco(self.folder, self.problems))
        self.assertEqual(set(found.phrases), {Phrase('left man', (0,)), Phrase('man in the red shirt', (0,)), Phrase('right man', (1,)),
                                              Phrase('the blue car', (2,))})              # 'person' was said of two
        self.assertEqual((found.key, found.complete), ('refcoco/21', {'person', 'car'}))
        self.assertEqual(self.left_out(), {('refs(unc).p', 'ref without ann_id, image_id, split and sentences'): 1,
                                           ('instances.json', 'ref to an annotation that is not there'): 1})

    def test_a_pickle_that_names_code_is_refused(self):
        small_sets.refcoco(self.folder)
        with open(os.path.join(self.folder, 'refcoco', 'refs(unc).p'), 'wb') as file:
            pickle.dump([os.system], file)
        self.assertEqual(self.read(RefCoco(self.folder, self.problems)), [])
        self.assertRegex(self.problems.broken[0], r'refs\(unc\).p: .*names posix.system')

    def test_refcoco_of_mdetr(self):
        small_sets.mdetr(self.folder)
        found, = self.read(RefCoco(self.folder, self.problems))
        self.assertEqual([t.box for t in found.things], [(5, 5, 24, 34), (30, 50, 69, 79)])
        self.assertEqual(found.phrases, (Phrase('a red man', (0,)), Phrase('the car', (1,))))
        self.assertEqual(self.left_out(), {('finetune_refcocog_train.json', 'expression without a text and one box'): 1})

    def test_flickr30k(self):
        small_sets.flickr30k(self.folder)
        found, = self.read(Flickr30k(self.folder, self.problems))
        self.assertEqual([t.box for t in found.things], [(10, 10, 29, 49), (11, 19, 27, 39), (60, 50, 89, 69)])
        self.assertEqual(found.captions[0], Caption('A man in a red shirt walks a dog, in a park.', (
            Mention(0, 5, (0,)), Mention(9, 20, (1,)), Mention(27, 32, (2,)))))
        self.assertIn(Phrase('a brown dog', (2,)), found.phrases)
        self.assertNotIn('a park', [p.text for p in found.phrases])
        self.assertEqual(self.left_out(), {('flickr30k', 'sentence that can not be read'): 1})

    def test_broken_xml_of_flickr30k_costs_its_image_only(self):
        small_sets.flickr30k(self.folder)
        for text in ('<annotation', '<!DOCTYPE x><annotation/>', '<annotation/>', '\0'):
            small_sets.write(text, self.folder, 'Annotations', '123.xml')
            self.assertEqual(self.read(Flickr30k(self.folder, self.problems)), [])
        self.assertEqual(self.left_out(), {('flickr30k', 'annotation that can not be read'): 4})

    def test_scenes(self):
        try:
            source = Drawn(os.path.join(self.folder, 'scenes'), 3000, 2)
        except NotThere as why:
            self.skipTest(str(why))
        first, second = source.facts()
        self.assertEqual((first.key, second.key), ('3000', '3001'))
        for thing in first.things:
            self.assertEqual(thing.box, masks.box_of(thing.outline))
            self.assertIn(thing.name, first.complete - first.absent)
        self.assertTrue(np.array_equal(first.things[0].outline, list(source.facts())[0].things[0].outline))


if __name__ == '__main__':
    unittest.main()

"""The default model's own trainer (`train.py`): what its teachers point at, its stages, its files."""
import json
import os
import shutil
import tempfile
import threading
import unittest
from types import SimpleNamespace

try:
    import random

    import numpy as np
    import torch

    import batches
    import checkpoint
    import curve
    import dialogue
    import export
    import scenes
    import train
    from tokenizer import Tokenizer
except ImportError as why:
    if why.name not in ('numpy', 'PIL', 'sentencepiece', 'torch'):
        raise
    raise unittest.SkipTest('no python3-%s' % why.name)

PRETRAINED = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'pretrained')
PLAIN = np.zeros((144, 144, 3), np.uint8)


def scene(*things):
    """Things drawn as filled boxes, later ones in front."""
    owner = np.zeros((144, 144), np.uint8)
    for i, thing in enumerate(things):
        owner[thing.y1:thing.y2 + 1, thing.x1:thing.x2 + 1] = i + 1
    return scenes.Scene(PLAIN, owner, list(things), 0, 0)


CAT = scenes.Thing(0, '', 10, 60, 50, 95)
CAT_BESIDE = scenes.Thing(0, '', 90, 62, 130, 97)
DOG = scenes.Thing(1, 'small', 60, 10, 85, 35)
THREE = scene(CAT, CAT_BESIDE, DOG)


class Pool:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return THREE


class Neighbours(unittest.TestCase):
    def test_the_nearest_by_centres_nothing_and_what_is_a_matter_of_taste(self):
        self.assertEqual(dialogue.neighbour(THREE, 0, 'right of'), [2])
        self.assertEqual(dialogue.neighbour(THREE, 0, 'left of'), [])
        self.assertEqual(dialogue.neighbour(THREE, 2, 'below'), None)        # both cats, equally far down
        self.assertEqual(dialogue.neighbour(THREE, 0, 'below'), None)        # as good as level

    def test_every_thing_has_one_anchor_on_a_patch_of_its_own(self):
        targets = batches.patch_targets(THREE, 12)
        self.assertEqual(sorted(targets['owner'][targets['anchor']]), [1, 2, 3])
        self.assertTrue(targets['anchor'][6 * 12 + 2])                       # the first cat's middle is (30, 77)


class Guides(unittest.TestCase):
    def setUp(self):
        self.size, tokenizer = train.build().size, Tokenizer(PRETRAINED)
        self.packer = batches.Packer(tokenizer, self.size, random.Random(3), np.random.default_rng(3), 'hard')
        self.batch = self.packer.batch(Pool(), 4)

    def rows(self, rows, image, first, last):
        return {int(at): int(what) for b, at, what in rows.tolist() if b == image and first <= at < last}

    def test_before_a_box_the_heads_are_shown_its_object_and_at_the_end_nothing(self):
        seen, owners = 0, {dialogue.box_text(s, thing): i + 1 for s in (THREE, THREE.mirrored()) for i, thing in enumerate(s.things)}
        for image, first, last, kind in self.batch.turns:
            if kind not in ('locate', 'locate_many', 'caption', 'relation', 'absent'):
                continue
            coming, target = self.rows(self.batch.coming, image, first, last), self.batch.target[image, first:last].tolist()
            said = self.packer.tokenizer.decode(target)
            order = [owners[box.group()] for box in batches.BOX_PATTERN.finditer(said)] + [0]
            inside, opened = False, 0
            for at, token in enumerate(target, first):
                opens, closes = token in self.packer.openers, token in self.packer.closers
                if at in coming:
                    self.assertEqual(coming[at], order[opened], said)
                    self.assertTrue(closes or not inside, said)
                self.assertTrue(at in coming or not (opens or closes or at == first), said)
                inside, opened = opens or inside and not closes, opened + opens
            seen += opened
        self.assertGreater(seen, 10)

    def test_a_count_is_the_number_of_anchors_that_are_asked_for(self):
        checked = 0
        for image, first, last, kind in self.batch.turns:
            if kind == 'count':
                answer = self.packer.tokenizer.decode(self.batch.target[image, first:last].tolist())
                noun = self.rows(self.batch.counted, image, first, first + 1)[first]
                anchors = self.batch.anchor[image] > 0
                if noun != batches.ANY:
                    anchors &= self.batch.noun[image] == noun + 1
                self.assertEqual(dialogue.NUMBERS[int(anchors.sum())].capitalize() + '.', answer.strip())
                checked += 1
        self.assertGreater(checked, 0)


class Stages(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='ferret-train-')
        self.addCleanup(shutil.rmtree, self.folder)
        np.save(os.path.join(self.folder, 'scenes-00000000.npy'), np.dstack([PLAIN, THREE.owner])[None])
        with open(os.path.join(self.folder, 'scenes-00000000.json'), 'w') as file:
            json.dump([[THREE.things, 0, 0]] * scenes.CHUNK, file)
        self.settings = SimpleNamespace(**{
            **train.COMMON, **train.DEFAULTS['tune'], 'stage': 'tune', 'out': os.path.join(self.folder, 'out.pt'), 'pool': self.folder,
            'processes': 1, 'per_process': 1, 'settle': 1, 'until_images': 3, 'init': PRETRAINED, 'tokenizer': PRETRAINED})

    def begin(self):
        sizes = sum(p.numel() for n, p in train.build().named_parameters() if train.trained(n, True))
        shared = SimpleNamespace(gradients=torch.zeros(1, sizes), updates=torch.zeros(sizes), barrier=threading.Barrier(1))
        pool, train.Check, whole = scenes.Pool.__len__, lambda *arguments: None, train.Check
        scenes.Pool.__len__ = lambda pool: 1
        try:
            return train.Run(0, self.settings, shared)
        finally:
            train.Check = whole
            self.addCleanup(setattr, scenes.Pool, '__len__', pool)

    def copy(self, run):
        return {name: value.clone() for name, value in run.net.state_dict().items()}

    def changed(self, before, run):
        return {name.split('.')[0] for name, value in run.net.state_dict().items() if not torch.equal(value, before[name])}

    def test_a_run_begins_with_a_published_folder_and_new_heads_settle_first(self):
        run = self.begin()
        published = checkpoint.read_folder(PRETRAINED)['model.norm.weight'].float()
        self.assertTrue(torch.equal(run.net.state_dict()['model.norm.weight'], published))
        before = self.copy(run)
        run.step()
        self.assertEqual(self.changed(before, run), {'teachers'})
        run.step()
        self.assertEqual(self.changed(before, run), {'teachers', 'model', 'vision_model', 'lm_head'})

    def test_a_run_that_was_cut_is_resumed_where_it_was(self):
        run = self.begin()
        run.step()
        run.save()
        again = self.begin()
        self.assertEqual((again.images, again.optimiser.steps), (1, 1))
        self.assertEqual(self.changed(self.copy(run), again), set())

    def test_the_mean_of_two_checkpoints_is_exported_in_the_published_layout(self):
        run, paths = self.begin(), []
        for k, shift in enumerate((-.5, .5)):
            paths.append(os.path.join(self.folder, '%d.pt' % k))
            torch.save({'average': {name: value + shift * (name == 'model.norm.weight') for name, value in run.average.items()}}, paths[-1])
        export.export(*paths, os.path.join(self.folder, 'out'))
        made, published = (checkpoint.read_folder(folder) for folder in (os.path.join(self.folder, 'out'), PRETRAINED))
        self.assertEqual(set(made), set(published))
        for name, value in published.items():
            self.assertTrue(torch.allclose(made[name].float(), value.float(), atol=2e-3), name)

    def test_the_rate_warms_up_after_settling_and_falls_to_a_fiftieth(self):
        settings = SimpleNamespace(settle=3000, until_images=13000, hold=.2, warm=1000)
        rates = [train.rate_factor(images, settings) for images in (2000, 3000, 3984, 5000, 9000, 13000)]
        np.testing.assert_allclose(rates, [3., .016, 1., 1., .5, .02], atol=1e-6)

    def test_the_same_scenes_have_the_same_digest(self):
        first = scenes.Pool(self.folder).digest()
        self.assertEqual(first, scenes.Pool(self.folder).digest())
        pixels = np.load(os.path.join(self.folder, 'scenes-00000000.npy'))
        pixels[0, 0, 0, 0] += 1
        np.save(os.path.join(self.folder, 'scenes-00000000.npy'), pixels)
        self.assertNotEqual(first, scenes.Pool(self.folder).digest())


class Curve(unittest.TestCase):
    def test_every_measure_of_the_log_has_its_line(self):
        picture = curve.draw([{'images': 1000, 'tokens': .5, 'pixels': 3.}, {'images': 1000, 'check_count': 80., 'check_point': 90.},
                              {'images': 2000, 'tokens': .4, 'pixels': 2., 'check_count': 85., 'check_point': 91.}])
        self.assertEqual(picture.count('<polyline'), 4)
        for name in ('next-token loss', 'box edge, pixels', '>count<', '>point<'):
            self.assertIn(name, picture)


if __name__ == '__main__':
    unittest.main()

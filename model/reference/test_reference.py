"""The reference against the official package's answers on tiny checkpoints (folder FERRET_GOLDEN, default ../shared/golden
beside the repository; skipped where it is absent), against the sampler vectors of the specification, against its own recorded
answers in tests/parity/fixtures, and against the training network.

    python3 test_reference.py
"""
import hashlib
import os
import unittest

import numpy as np
import torch
from PIL import Image

import checkpoint
import region
from arithmetic import autocast
from ferret import Ferret, RegionSampler
from generate import Generator
from prompt import PUBLISHED_TEMPLATE, render
from tokenizer import Tokenizer

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
PRETRAINED = os.path.join(ROOT, 'model', 'pretrained')
FIXTURES = os.path.join(ROOT, 'tests', 'parity', 'fixtures')
GOLDEN = os.environ.get('FERRET_GOLDEN', os.path.join(ROOT, '..', 'shared', 'golden'))


def mask_of(rle):
    """COCO runs down the columns -> bool [width, height]."""
    height, width = rle['size']
    return np.repeat(np.arange(len(rle['counts'])) % 2 == 1, rle['counts']).reshape(width, height)


class SamplerVectors(unittest.TestCase):
    """Specification 4.8, production rule."""

    def setUp(self):
        def value(s, *shape):
            i = np.arange(np.prod(shape))
            return torch.from_numpy((((7919 * i + 104729 * s + 12345) % 2003) / 2003 - .5).reshape(shape))

        weights = {}
        for stage in (0, 1):
            at, diff = 5 + 4 * stage, 1 + 2 * stage
            weights.update({
                'diff_projector_list.%d.weight' % stage: value(diff, 18, 18),
                'diff_projector_list.%d.bias' % stage: value(diff + 1, 18),
                'agg_projector_list.%d.net.0.weight' % stage: value(at, 16, 36),
                'agg_projector_list.%d.net.0.bias' % stage: value(at + 1, 16),
                'agg_projector_list.%d.norm.weight' % stage: 1 + .2 * value(at + 2, 16),
                'agg_projector_list.%d.norm.bias' % stage: value(at + 3, 16)})
        weights.update({'flatten_projector.weight': value(13, 16, 128), 'flatten_projector.bias': value(14, 16),
                        'dim_projector.weight': value(15, 8, 16), 'dim_projector.bias': value(16, 8)})
        weights = {'model.region_geo_sampler.' + name: w.float() for name, w in weights.items()}
        self.features = 2 * value(17, 36, 16).float()
        self.sampler = RegionSampler(
            weights, {'points': 32, 'stages': [16, 8], 'neighbors': [4, 4], 'transposed': True}, 'max')

    def check(self, mask, seed, starts, expected):
        selection = self.sampler.select(mask, seed)
        self.assertEqual(selection.starts, starts)
        np.testing.assert_allclose(self.sampler(self.features, mask, selection), expected, atol=2e-4)

    def test_box(self):
        self.check(region.box_mask((25, 3, 34, 9), 40, 30), 0, [4, 5],
                   [6.50809, -1.16866, -2.35193, -3.28143, 6.75218, -1.48021, -2.66348, -.60637])

    def test_few_pixels(self):
        self.check(region.box_mask((10, 4, 11, 6), 40, 30), 0, [5, 9],
                   [-.38237, -1.47523, -.57907, 3.22724, -.74863, -1.55663, -.66047, 3.86814])

    def test_point(self):
        self.check(region.point_mask(5, 20, 40, 30), 1, [24, 7],
                   [1.06958, -4.69516, -3.48217, 8.93734, -.38323, -4.74149, -3.52850, 10.04684])


class Fixtures(unittest.TestCase):
    folder = FIXTURES

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def close(self, got, expected, tolerance, what):
        np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=tolerance, err_msg=what)

    def test_images(self):
        tower = Ferret(self.path('tiny-ferret-a'), tower=self.path('tiny-ferret-a-clip')).tower
        for entry in checkpoint.read_json(self.path('images', 'images.json')):
            squashed = tower.squash(Image.open(self.path('images', entry['file'])))
            self.assertEqual(hashlib.sha256(squashed.tobytes()).hexdigest(), entry['u8_sha256'], entry['file'])
            self.assertAlmostEqual(float(tower.pixels(squashed).double().sum()), entry['pixels_sum'], delta=1e-3)

    def test_tokenizer(self):
        tokenizer, expected = Tokenizer(self.path('tiny-ferret-a')), checkpoint.read_json(self.path('tokenizer.json'))
        for entry in expected['encode']:
            self.assertEqual([1] + tokenizer.encode(entry['text']), entry['ids'], entry['text'])
        for entry in expected['decode']:
            self.assertEqual(tokenizer.decode(entry['ids']), entry['decoded'])
        for entry in expected['prompts']:
            prompt = render(PUBLISHED_TEMPLATE, entry['turns'])
            self.assertEqual(prompt, entry['prompt'])
            self.assertEqual(tokenizer.encode_prompt(prompt), entry['ids'])

    def test_max_pooling(self):
        self.run_cases('tiny-ferret-a', Ferret(self.path('tiny-ferret-a'), tower=self.path('tiny-ferret-a-clip')))

    def test_delta_and_mean_pooling(self):
        self.run_cases('tiny-ferret-b', Ferret(self.path('tiny-ferret-b-delta'), self.path('tiny-ferret-b-base'),
                                               self.path('tiny-ferret-b-clip')))

    def run_cases(self, name, model):
        folder = self.path(name + '-cases')
        document = checkpoint.read_json(folder, 'cases.json')
        tensors = checkpoint.read_safetensors(os.path.join(folder, 'tensors.safetensors'))
        np.testing.assert_array_equal(model.decoder.inv_freq, tensors['inv_freq'])
        for name, digest in document.get('target_sha256', {}).items():
            self.assertEqual(hashlib.sha256(model.stored[name].numpy().tobytes()).hexdigest(), digest, name)
        rows = document.get('rows', [0, 1, 2, 300, 575])
        for case in document['cases']:
            with self.subTest(case['id']):
                self.check_case(model, case, tensors, rows)
        squashed = model.tower.squash(Image.open(self.path('images', document['cases'][0]['image'])))
        features = model.tower.features(model.tower.pixels(squashed))
        for case in document['sampler_only']:
            mask = np.zeros((case['width'], case['height']), bool)
            for box in case['boxes_inclusive']:
                mask |= region.box_mask(box, case['width'], case['height'])
            with self.subTest(case['id']):
                selection = model.sampler.select(mask, case['seed'])
                self.check_selection(selection, tensors, 'sampler.%s.%%s' % case['id'])
                expected = tensors['sampler.%s.region_features' % case['id']].reshape(-1)
                self.close(model.sampler(features, mask, selection), expected, 1e-5 * abs(expected).max(), case['id'])

    def check_selection(self, selection, tensors, key):
        for name, got in (('chosen', selection.chosen), ('fps0', selection.centres[0]), ('fps1', selection.centres[1])):
            np.testing.assert_array_equal(got, tensors[key % name])

    def check_case(self, model, case, tensors, rows):
        at, greedy = case['id'] + '.', case['greedy']
        masks = [mask_of(r['rle']) for r in case['regions']]
        got = model.answer(Image.open(self.path('images', case['image'])), case['turns'], masks, case['seed'],
                           greedy['max_new_tokens'])
        self.assertEqual((got.prompt, got.input_ids, got.positions), (case['prompt'], case['input_ids'], case['positions']))
        for name, value, tolerance in [('vision_rows', got.vision[rows], 3e-5), ('projected_rows', got.projected[rows], 3e-5),
                                       ('vision', got.vision, 3e-5), ('projected', got.projected, 3e-5),
                                       ('hidden_last', got.states, 5e-5), ('logits', got.logits, 1e-4)]:
            if at + name in tensors:                       # the cases of an image share what is the image's
                self.close(value, tensors[at + name], tolerance, name)
        for k, selection in enumerate(got.selections):
            self.check_selection(selection, tensors, '%s.%%s.%d' % (case['id'], k))
        if masks:
            expected = tensors[at + 'region_features']
            self.close(got.regions, expected, 1e-5 * abs(expected).max(), 'regions')
        for index, value in case['logits']['at'].items():
            self.assertAlmostEqual(float(got.logits[int(index)]), value, delta=1e-4)
        self.assertEqual([s.id for s in got.steps], greedy['ids'])
        self.assertEqual((got.finished, got.text), (greedy['finished'], greedy['text']))
        for step, expected in zip(got.steps, greedy['steps']):
            self.assertAlmostEqual(step.logit, expected['logit'], delta=1e-4)


@unittest.skipUnless(os.path.isdir(GOLDEN), 'no golden data at ' + GOLDEN)
class Golden(Fixtures):
    folder = GOLDEN


class DefaultModel(unittest.TestCase):
    def test_recorded_answers(self):
        Fixtures().run_cases('pretrained', Ferret(PRETRAINED))

    def test_training_network(self):
        """Reads the default model as the reference does, up to rounding."""
        image = np.full((144, 144, 3), 120, np.uint8)
        image[40:90, 30:110] = 200, 50, 50
        generator, model = Generator(PRETRAINED), Ferret(PRETRAINED)
        with torch.no_grad(), autocast():
            features = generator.net.vision_model(torch.from_numpy(image[None])).float()
        mask = region.box_mask((30, 40, 109, 89), 144, 144)
        questions = [('Is there an owl in the image?', None), ('What is the object [208, 277, 756, 618] <region_fea>?', mask)]
        texts = generator.answers(features, [(0, q, None if m is None else m.T) for q, m in questions])
        for (question, mask), text in zip(questions, texts):
            answer = model.answer(Image.fromarray(image), [question], [] if mask is None else [mask])
            self.assertEqual(text, answer.text)
        self.assertLess(float((features[0] - answer.vision).abs().mean()), .05)


if __name__ == '__main__':
    unittest.main()

"""Instruction tuning, on the tiny random checkpoints of the parity fixtures and a handful of records made here."""
import hashlib
import io
import json
import os
import shutil
import tempfile
import unittest
from contextlib import redirect_stderr

try:
    import numpy as np
    import torch
    from PIL import Image

    import checkpoint
    from data import rle
    from ferret import Ferret
    from tokenizer import EOS, IMAGE, Tokenizer
    from tuning import conversations, schedule
    from tuning.__main__ import main
    from tuning.model import Student
    from tuning.run import Run
except ImportError as why:
    if why.name not in ('numpy', 'PIL', 'sentencepiece', 'torch'):
        raise
    raise unittest.SkipTest('no python3-%s' % why.name)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', '..')
PRETRAINED = os.path.join(ROOT, 'model', 'pretrained')
FIXTURES = os.path.join(ROOT, 'tests', 'parity', 'fixtures')
TINY = os.path.join(FIXTURES, 'tiny-ferret-a')
TINY_TOWER = os.path.join(FIXTURES, 'tiny-ferret-a-clip')
TEMPLATE = {'system': 'A drawing.', 'roles': ['USER', 'ASSISTANT'], 'separators': [' ', '</s>']}


def write_records(folder, count):
    """`count` records about coloured squares, each with a box, a point and a free-form region."""
    os.makedirs(os.path.join(folder, 'images'))
    lines = []
    for i in range(count):
        x, y, colour = 5 + 7 * i % 60, 4 + 5 * i % 40, 'red' if i % 2 else 'blue'
        pixels = np.full((80, 100, 3), 230, np.uint8)
        pixels[y:y + 20, x:x + 25] = (200, 40, 40) if i % 2 else (40, 40, 200)
        path = os.path.join(folder, 'images', '%d.png' % i)
        Image.fromarray(pixels).save(path)
        with open(path, 'rb') as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        box = [x, y, x + 24, y + 19]
        mask = np.zeros((80, 100), bool)
        mask[y + 2:y + 9, x + 3:x + 20] = True
        drawn = [x + 3, y + 2, x + 19, y + 8]
        lines.append({
            'id': 'test:%d:object' % i, 'image': 'here:%d.png' % i, 'image_w': 100, 'image_h': 80, 'sha256': digest,
            'source': 'scenes', 'conversations': [
                {'from': 'human', 'value': 'Where is the %s square?' % colour},
                {'from': 'gpt', 'value': '<bbox_location0>'},
                {'from': 'human', 'value': 'What is <bbox_location0>, <bbox_location1>, and <bbox_location2>?'},
                {'from': 'gpt', 'value': 'a %s square <bbox_location0>.' % colour}],
            'box_x1y1x2y2': [[], [box], [box, box, drawn], [box]],
            'masks': [[], [None], [None, None, rle.encode(mask)], [None]],
            'regions': [[], [None], [{'shape': 'box'}, {'shape': 'point', 'point': [x + 9, y + 9]}, {'shape': 'scribble'}], [None]],
            'tasks': [{'kind': 'object', 'form': 'text-ground', 'negative': False},
                      {'kind': 'object', 'form': 'both', 'negative': False}]})
    with open(os.path.join(folder, 'records.jsonl'), 'w') as file:
        file.writelines(json.dumps(line) + '\n' for line in lines)
    with open(os.path.join(folder, 'roots.json'), 'w') as file:
        json.dump({'here': os.path.join(folder, 'images')}, file)
    return os.path.join(folder, 'records.jsonl')


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='ferret-tuning-')
        self.addCleanup(shutil.rmtree, self.folder)
        self.records = write_records(self.folder, 6)

    def out(self, name='out'):
        return os.path.join(self.folder, name)


class Conversations(Folder):
    def setUp(self):
        super().setUp()
        self.tokenizer = Tokenizer(PRETRAINED)

    def test_only_answers_and_their_ends_are_learned(self):
        item = conversations.Records(self.records, self.tokenizer, TEMPLATE)[1]
        told = [token for token in item.targets if token != conversations.NONE]
        first, second = (self.tokenizer.encode(text) + [EOS] for text in
                         ('[120, 112, 360, 350]', 'a red square [120, 112, 360, 350].'))
        self.assertEqual(told, first + second)
        self.assertTrue(all(target in (conversations.NONE, token) for target, token in zip(item.targets, item.ids)))
        self.assertEqual(item.ids.count(IMAGE), 1)

    def test_every_region_token_has_its_mask_in_order(self):
        item = conversations.Records(self.records, self.tokenizer, TEMPLATE)[0]
        self.assertEqual(item.ids.count(self.tokenizer.region), 3)
        self.assertEqual([int(mask.sum()) for mask in item.masks], [25 * 20, 11 * 11, 17 * 7])
        self.assertEqual(item.masks[0].shape, (100, 80))

    def test_a_changed_image_is_refused(self):
        item = conversations.Records(self.records, self.tokenizer, TEMPLATE)[0]
        Image.new('RGB', (100, 80)).save(item.path)
        with self.assertRaisesRegex(conversations.BadExample, 'test:0:object: .*0.png is not the file'):
            conversations.picture(item)

    def test_an_unknown_root_is_refused(self):
        with open(os.path.join(self.folder, 'roots.json'), 'w') as file:
            json.dump({'elsewhere': '/'}, file)
        with self.assertRaisesRegex(conversations.BadExample, 'no root "here"'):
            conversations.Records(self.records, self.tokenizer, TEMPLATE)


class Schedule(unittest.TestCase):
    def test_the_paper_preset_is_the_papers_recipe(self):
        chosen = schedule.settings(['preset=paper'])
        self.assertEqual((chosen.epochs, chosen.batch, chosen.rate, chosen.warmup, chosen.decay, chosen.frozen, chosen.length),
                         (3, 128, 2e-5, .03, 0., ['tower'], 2048))
        self.assertEqual(schedule.steps_of(1280, chosen), 30)

    def test_warm_up_is_linear_and_the_cosine_ends_at_zero(self):
        chosen = schedule.settings(['rate=1', 'warmup=.1'])
        rates = [schedule.rate_at(step, 100, chosen) for step in range(101)]
        np.testing.assert_allclose(rates[:11], [.1, .2, .3, .4, .5, .6, .7, .8, .9, 1., 1.])
        self.assertAlmostEqual(rates[55], .5)
        self.assertAlmostEqual(rates[100], 0.)

    def test_bad_settings_name_the_setting(self):
        for option, why in (('rate', 'key=value'), ('speed=1', 'no setting "speed"'), ('epochs=many', 'epochs: expected int'),
                            ('preset=big', 'preset: expected one of paper small'), ('frozen=eyes', 'frozen: expected some of'),
                            ('frozen=tower,projector,sampler,decoder', 'frozen: expected some of'),
                            ('precision=int8', 'precision: expected bf16 or f32')):
            with self.assertRaisesRegex(schedule.BadSetting, why):
                schedule.settings([option])


class Tuning(Folder):
    def tune(self, out, *options, model=TINY, tower=TINY_TOWER, said=None):
        chosen = schedule.settings(['preset=small', 'batch=4', 'tower=' + tower, *options])
        run = Run(model, self.records, out, chosen, said.append if said is not None else lambda text: None)
        run.run()
        return run

    def weights(self, folder):
        return {**checkpoint.read_folder(folder), **checkpoint.read_folder(os.path.join(folder, 'vision_tower'))}

    def log(self, folder):
        with open(os.path.join(folder, 'log.jsonl')) as file:
            return [json.loads(line) for line in file]

    def test_the_loss_falls_and_the_saved_folder_reads_back(self):
        run = self.tune(self.out(), 'steps=12', 'rate=.003', 'check=' + self.records)
        losses = [entry['loss'] for entry in self.log(self.out())]
        self.assertLess(losses[-1], .7 * losses[0])
        self.assertFalse(os.path.exists(self.out('out/training.pt')))
        back, item = Student(self.out()), run.records[0]
        with torch.no_grad():
            kept, read = (student.loss(item, 0, 'f32')[0].item() for student in (run.student, back))
        self.assertAlmostEqual(kept, read, delta=.002 * kept)
        self.assertTrue(Ferret(self.out()).answer(conversations.picture(item), ['Where is the red square?']).steps)

    def test_the_loss_is_that_of_the_reference(self):
        """Next tokens one at a time through the cache, as answers are made, give the same numbers."""
        student = Student(TINY, tower=TINY_TOWER)
        item = conversations.Records(self.records, student.ferret.tokenizer, student.ferret.template)[2]
        with torch.no_grad():
            loss, count, _ = student.loss(item, 7, 'f32')
            model, features = student.ferret, student.see(conversations.picture(item))
            regions = torch.stack([model.sampler(features, mask, model.sampler.select(mask, 7 + i))
                                   for i, mask in enumerate(item.masks)])
            x, cache, total = model.embed(item.ids, model.project(features), regions), [], 0.
            ahead = len(x) - len(item.ids)
            for at in range(len(x) - 1):
                logits = model.decoder.logits(model.decoder.forward(x[at:at + 1], cache)[-1])
                target = item.targets[at + 1 - ahead] if at + 1 > ahead + 1 else conversations.NONE
                if target != conversations.NONE:
                    total -= float(torch.log_softmax(logits, 0)[target])
        self.assertEqual(count, sum(target != conversations.NONE for target in item.targets))
        self.assertAlmostEqual(loss.item(), total, delta=1e-4 * total)

    def test_frozen_parts_keep_their_bytes_and_the_others_learn(self):
        before = self.weights_of_tiny()
        for part in schedule.PARTS:
            out = self.out(part)
            self.tune(out, 'steps=1', 'rate=.01', 'frozen=' + ','.join(p for p in schedule.PARTS if p != part))
            changed = {schedule.part_of(name) for name, value in self.weights(out).items()
                       if name in before and not torch.equal(value, before[name])}
            self.assertEqual(changed, {part})

    def weights_of_tiny(self):
        return {**checkpoint.read_folder(TINY), **{name: value for name, value in checkpoint.read_folder(TINY_TOWER).items()
                                                   if name.startswith('vision_model.')}}

    def test_gradients_accumulate_to_those_of_the_whole_batch(self):
        """A batch of two is the token mean over both, whatever their lengths."""
        run = self.tune(self.out(), 'steps=1', 'batch=2', 'clip=1e9', 'rate=0')
        told = [run.student.loss(item, 1 + number, 'f32') for number, item in [(i, run.example(i)) for i in (0, 1)]]
        mean = (told[0][0] + told[1][0]) / (told[0][1] + told[1][1])
        self.assertAlmostEqual(self.log(self.out())[0]['loss'], mean.item(), places=4)
        name = 'model.mm_projector.weight'
        expected, = torch.autograd.grad(mean, [run.student.learning[name]])
        torch.testing.assert_close(run.student.learning[name].grad, expected, rtol=1e-4, atol=1e-6)

    def test_a_run_that_was_cut_ends_as_if_it_had_not_been(self):
        self.tune(self.out('whole'), 'steps=4', 'batch=2')
        chosen = schedule.settings(['preset=small', 'batch=2', 'tower=' + TINY_TOWER, 'steps=4'])
        cut = Run(TINY, self.records, self.out('cut'), chosen, lambda text: None)
        cut.update(), cut.update(), cut.keep()
        said = []
        self.tune(self.out('cut'), 'steps=4', 'batch=2', said=said)
        self.assertEqual(said[0], 'resumed at step 2 of 4')
        whole, resumed = self.weights(self.out('whole')), self.weights(self.out('cut'))
        for name, value in whole.items():
            self.assertTrue(torch.equal(value, resumed[name]), name)

    def test_a_run_is_not_resumed_with_other_settings(self):
        chosen = schedule.settings(['preset=small', 'tower=' + TINY_TOWER, 'steps=4'])
        run = Run(TINY, self.records, self.out(), chosen, lambda text: None)
        run.keep()
        with self.assertRaisesRegex(schedule.BadSetting, 'begun with another rate'):
            self.tune(self.out(), 'steps=4', 'rate=.1', 'batch=16')

    def test_bfloat16_learns_too(self):
        run = self.tune(self.out(), 'steps=2', 'precision=bf16')
        half, full = (run.student.loss(run.records[0], 0, precision)[0].item() for precision in ('bf16', 'f32'))
        self.assertAlmostEqual(half, full, delta=.05 * full)
        self.assertEqual({value.dtype for value in run.student.learning.values()}, {torch.float32})

    def test_a_delta_over_a_base_and_mean_pooling(self):
        """tiny-ferret-b is stored as the published deltas are, in PyTorch's shards; what is saved is whole."""
        out = self.out()
        self.tune(out, 'steps=1', 'base=' + os.path.join(FIXTURES, 'tiny-ferret-b-base'),
                  model=os.path.join(FIXTURES, 'tiny-ferret-b-delta'), tower=os.path.join(FIXTURES, 'tiny-ferret-b-clip'))
        self.assertEqual({value.dtype for value in self.weights(out).values()}, {torch.float16})
        self.tune(self.out('again'), 'steps=1', model=out, tower=os.path.join(out, 'vision_tower'))

    def test_the_default_model_is_tuned_from_its_own_folder(self):
        run = self.tune(self.out(), 'steps=1', 'batch=1', model=PRETRAINED, tower='')
        self.assertGreater(self.log(self.out())[0]['right'], .3)
        self.assertEqual(run.student.ferret.config['ferret_tasks'], self.config()['ferret_tasks'])

    def config(self):
        with open(self.out('out/config.json')) as file:
            return json.load(file)

    def test_a_conversation_that_does_not_fit_is_named_and_left_out(self):
        tokenizer, template = Tokenizer(TINY), dict(TEMPLATE, system='')
        shutil.copytree(TINY, self.out('model'))
        with open(self.out('model/config.json')) as file:
            config = json.load(file)
        with open(self.out('model/config.json'), 'w') as file:
            json.dump(dict(config, ferret_template=template), file)
        items = conversations.Records(self.records, tokenizer, template)
        lengths = [len(items[i].ids) - 1 + 36 for i in range(6)]
        longest, said = max(lengths), []
        long_ones = {'test:%d:object' % i for i, length in enumerate(lengths) if length == longest}
        self.assertLess(len(long_ones), 6)
        self.tune(self.out(), 'steps=1', 'batch=6', 'length=%d' % (longest - 1), model=self.out('model'), said=said)
        self.assertEqual({text for text in said if text.startswith('left out')},
                         {'left out: %s is longer than %d tokens' % (name, longest - 1) for name in long_ones})

    def test_errors_are_said_in_one_line(self):
        with redirect_stderr(io.StringIO()) as said:
            self.assertEqual(main([TINY, os.path.join(self.folder, 'none.jsonl'), self.out(), 'tower=' + TINY_TOWER]), 1)
        self.assertRegex(said.getvalue(), r'^tuning: .*none.jsonl.*\n$')


if __name__ == '__main__':
    unittest.main()

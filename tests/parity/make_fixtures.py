"""Writes fixtures/: two tiny random checkpoints, images, and everything that the reference answers on them; the same for the
default model; and expected values for two decoder layers of the sizes of Ferret-7B and 13B, whose weights are a formula.

    python3 make_fixtures.py            (needs Pillow, numpy, torch, sentencepiece, the emoji font; fixtures/README.md describes the files)

Deterministic: a second run writes the same bytes, except for zip timestamps and what another Pillow or torch does differently.
What the repository carries of them is bounded: MOST_BYTES.
"""
import hashlib
import json
import math
import os
import shutil
import sys

import numpy as np
import torch
from PIL import Image, ImageDraw

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, 'fixtures')
ROOT = os.path.join(HERE, '..', '..')
sys.path.insert(0, os.path.join(ROOT, 'model', 'reference'))

import checkpoint
import region
import scenes
from export import ferret_config, tower_config, write_generation, write_tower
from ferret import Ferret
from full_size import FORMULA, run_layers
from prompt import PUBLISHED_TEMPLATE, region_text, render
from tokenizer import Tokenizer

PRETRAINED = os.path.join(ROOT, 'model', 'pretrained')
TOKENIZER_FILES = ['tokenizer.model', 'added_tokens.json', 'tokenizer_config.json', 'special_tokens_map.json']
VOCABULARY = 769
MARGIN = .01               # greedy answers stop before a step with a smaller one
NEW_TOKENS = 20            # of random weights
LONG_ANSWER = 200
DECIMALS = 5               # of recorded logits, which are compared within 1e-4
MOST_BYTES = 2_000_000     # of all files together

MODELS = dict(
    a=dict(hidden=48, layers=2, heads=3, mlp=128, tower_width=32, tower_layers=3, tower_heads=2, image=84, patch=14,
           points=64, stages=[24, 8], neighbors=[8, 6], pooler='max', eps=1e-6),
    b=dict(hidden=48, layers=2, heads=2, mlp=96, tower_width=48, tower_layers=3, tower_heads=3, image=56, patch=8,
           points=40, stages=[16, 6], neighbors=[7, 5], pooler='mean', eps=1e-5))
SCENES = [(10000000, 144, 144), (10000001, 144, 144), (10000003, 320, 240), (10000005, 180, 240)]    # seed, width, height


# Images ------------------------------------------------------------------------------------------------------------

def blobs(seed, width, height):
    """A few coloured ellipses on a gradient, RGB."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width]
    corner = rng.randint(0, 256, (3, 3))
    ramp = corner[0] + (x / width)[..., None] * (corner[1] - corner[0]) + (y / height)[..., None] * (corner[2] - corner[0])
    image = Image.fromarray(np.clip(ramp, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        cx, cy, r = rng.randint(0, width), rng.randint(0, height), rng.randint(3, max(4, min(width, height) // 3))
        draw.ellipse([cx - r, cy - r, cx + r, cy + r], tuple(int(v) for v in rng.randint(0, 256, 3)))
    return image


def scene_file(seed):
    return 'scene-%d.png' % seed


def write_images(folder, towers):
    os.makedirs(folder)
    blobs(1, 96, 72).save(os.path.join(folder, 'rgb_96x72.png'))
    blobs(2, 60, 60).save(os.path.join(folder, 'square_60x60.png'))
    blobs(3, 50, 140).save(os.path.join(folder, 'tall_50x140.png'))
    blobs(4, 120, 80).save(os.path.join(folder, 'rgb_120x80.jpg'), quality=85)
    blobs(5, 64, 48).convert('L').save(os.path.join(folder, 'gray_64x48.jpg'), quality=90)
    blobs(6, 70, 50).convert('P', palette=Image.Palette.ADAPTIVE, colors=32).save(os.path.join(folder, 'palette_70x50.png'))
    blobs(7, 1, 97).save(os.path.join(folder, 'line_1x97.png'))
    rgba = blobs(8, 40, 56)
    rgba.putalpha(Image.linear_gradient('L').resize((40, 56)))
    rgba.save(os.path.join(folder, 'rgba_40x56.png'))
    for seed, width, height in SCENES:
        Image.fromarray(scenes.draw(seed, width, height).image).save(os.path.join(folder, scene_file(seed)), optimize=True)
    entries = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        image = Image.open(path)
        entry = {'file': name, 'mode': image.mode, 'width': image.width, 'height': image.height,
                 'file_sha256': digest(open(path, 'rb').read()), 'rgb_sha256': digest(image.convert('RGB').tobytes())}
        for which, tower in towers.items():
            squashed = tower.squash(image)
            pixels = tower.pixels(squashed).double()
            seen = {'side': tower.side, 'u8_sha256': digest(squashed.tobytes()),
                    'pixels_sum': float(pixels.sum()), 'pixels_sumsq': float((pixels ** 2).sum())}
            entry.update(seen if which == 'a' else {which: seen})
        entries.append(entry)
    write(os.path.join(folder, 'images.json'), entries)


# Checkpoints -------------------------------------------------------------------------------------------------------

def random_tensors(seed, shapes):
    """{name: shape} -> {name: float16 array}: matrices that keep variance, norms near 1, small biases."""
    rng, tensors = np.random.RandomState(seed), {}
    for name, shape in shapes.items():
        noise = rng.standard_normal(shape)
        if 'norm' in name and name.endswith('weight'):
            value = 1 + .1 * noise
        elif name.endswith('bias'):
            value = .1 * noise
        elif 'embed' in name and 'patch' not in name:
            value = noise
        elif name == 'lm_head.weight':
            value = noise * 4 / math.sqrt(shape[1])
        else:
            value = noise / math.sqrt(np.prod(shape[1:]))
        tensors[name] = value.astype(np.float16)
    return tensors


def tower_shapes(m):
    d, shapes = m['tower_width'], {}
    shapes['embeddings.class_embedding'] = (d,)
    shapes['embeddings.patch_embedding.weight'] = (d, 3, m['patch'], m['patch'])
    shapes['embeddings.position_embedding.weight'] = ((m['image'] // m['patch']) ** 2 + 1, d)
    for norm in ('pre_layrnorm', 'post_layernorm'):
        shapes.update({norm + '.weight': (d,), norm + '.bias': (d,)})
    for i in range(m['tower_layers']):
        at = 'encoder.layers.%d.' % i
        linears = {'self_attn.%s_proj' % p: (d, d) for p in ('q', 'k', 'v', 'out')}
        linears.update({'mlp.fc1': (4 * d, d), 'mlp.fc2': (d, 4 * d)})
        for name, shape in linears.items():
            shapes.update({at + name + '.weight': shape, at + name + '.bias': shape[:1]})
        for norm in ('layer_norm1', 'layer_norm2'):
            shapes.update({at + norm + '.weight': (d,), at + norm + '.bias': (d,)})
    return shapes


def decoder_shapes(m, vocabulary):
    h, shapes = m['hidden'], {}
    shapes['model.embed_tokens.weight'] = shapes['lm_head.weight'] = (vocabulary, h)
    shapes['model.norm.weight'] = (h,)
    for i in range(m['layers']):
        at = 'model.layers.%d.' % i
        shapes.update({at + 'self_attn.%s_proj.weight' % p: (h, h) for p in 'qkvo'})
        shapes.update({at + 'mlp.%s_proj.weight' % p: (m['mlp'], h) for p in ('gate', 'up')})
        shapes[at + 'mlp.down_proj.weight'] = (h, m['mlp'])
        shapes.update({at + norm + '.weight': (h,) for norm in ('input_layernorm', 'post_attention_layernorm')})
    return shapes


def ferret_shapes(m):
    """What a Ferret checkpoint has beyond its language model."""
    h, d = m['hidden'], m['tower_width']
    shapes = {'model.mm_projector.weight': (h, d), 'model.mm_projector.bias': (h,)}
    at = 'model.region_geo_sampler.'
    for i in range(2):
        shapes.update({at + 'diff_projector_list.%d.weight' % i: (d + 2, d + 2),
                       at + 'diff_projector_list.%d.bias' % i: (d + 2,),
                       at + 'agg_projector_list.%d.net.0.weight' % i: (d, 2 * d + 4, 1),
                       at + 'agg_projector_list.%d.net.0.bias' % i: (d,),
                       at + 'agg_projector_list.%d.norm.weight' % i: (d,),
                       at + 'agg_projector_list.%d.norm.bias' % i: (d,)})
    shapes.update({at + 'flatten_projector.weight': (d, d * m['stages'][1]), at + 'flatten_projector.bias': (d,),
                   at + 'dim_projector.weight': (h, d), at + 'dim_projector.bias': (h,)})
    return shapes


def write_folder(name, m, vocabulary=VOCABULARY, **more):
    """Everything of a checkpoint folder but its tensors; -> its path."""
    folder = os.path.join(OUT, name)
    os.makedirs(folder)
    for file in TOKENIZER_FILES:
        shutil.copy(os.path.join(PRETRAINED, file), folder)
    config = ferret_config(m['hidden'], m['layers'], m['heads'], m['mlp'], vocabulary, m['tower_width'], -2, m['pooler'],
                           ferret_sampler={key: m[key] for key in ('points', 'stages', 'neighbors')}, **more)
    checkpoint.write_json(folder, 'config.json', dict(config, rms_norm_eps=m['eps']))
    write_generation(folder)
    return folder


def write_shards(folder, stem, extension, save, tensors):
    """Two shards and their index."""
    names = sorted(tensors)
    parts = names[:len(names) // 3], names[len(names) // 3:]
    files = ['%s-%05d-of-00002.%s' % (stem, i + 1, extension) for i in range(2)]
    for file, part in zip(files, parts):
        save(os.path.join(folder, file), {name: tensors[name] for name in part})
    index = {'metadata': {'total_size': sum(t.nbytes for t in tensors.values())},
             'weight_map': {name: file for file, part in zip(files, parts) for name in part}}
    checkpoint.write_json(folder, '%s.%s.index.json' % (stem, extension), index)


def save_torch(path, tensors):
    torch.save({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}, path)


def write_a():
    """A checkpoint of its own: safetensors shards; the tower laid out like the hub's CLIP, text half included."""
    m = MODELS['a']
    folder = write_folder('tiny-ferret-a', m)
    tensors = random_tensors(11, {**decoder_shapes(m, VOCABULARY), **ferret_shapes(m)})
    write_shards(folder, 'model', 'safetensors', checkpoint.write_safetensors, tensors)
    tower = folder + '-clip'
    config = tower_config(m['tower_width'], m['tower_layers'], m['tower_heads'], m['image'], m['patch'])
    write_tower(tower, config, random_tensors(12, tower_shapes(m)), .5, .25)
    checkpoint.write_json(tower, 'config.json', {
        'architectures': ['CLIPModel'], 'model_type': 'clip', 'projection_dim': 16, 'logit_scale_init_value': 2.6592,
        'text_config': {'hidden_size': 16, 'num_hidden_layers': 1, 'num_attention_heads': 1, 'intermediate_size': 16},
        'vision_config': config})
    file = os.path.join(tower, 'model.safetensors')
    weights = checkpoint.read_safetensors(file)
    patches = (m['image'] // m['patch']) ** 2
    weights.update({'vision_model.embeddings.position_ids': np.arange(patches + 1)[None],
                    'text_model.embeddings.position_ids': np.arange(8)[None], 'logit_scale': np.array(2.6592, np.float16),
                    'text_model.embeddings.token_embedding.weight': np.zeros((50, 16), np.float16)})
    checkpoint.write_safetensors(file, weights)
    return Ferret(folder, tower=tower)


def write_b():
    """A delta over a base, PyTorch shards; a template and an untransposed sampler of its own; the tower as a .bin."""
    m = MODELS['b']
    settings = {key: m[key] for key in ('points', 'stages', 'neighbors')}
    delta = write_folder('tiny-ferret-b-delta', m, ferret_template={
        'system': 'Boxes are [x1, y1, x2, y2].', 'roles': ['USER', 'ASSISTANT'], 'separators': [' ', '</s>']})
    config = checkpoint.read_json(delta, 'config.json')
    checkpoint.write_json(delta, 'config.json', dict(config, ferret_sampler=dict(settings, transposed=False)))
    base = write_folder('tiny-ferret-b-base', m, VOCABULARY - 1)
    language = {key: value for key, value in checkpoint.read_json(base, 'config.json').items()
                if not key.startswith(('mm_', 'ferret', 'region', 'sampler', 'im_', 'image_', 'tune_', 'freeze_', 'use_mm'))}
    checkpoint.write_json(base, 'config.json', dict(language, architectures=['LlamaForCausalLM'], model_type='llama'))
    os.remove(os.path.join(base, 'added_tokens.json'))

    start = random_tensors(21, decoder_shapes(m, VOCABULARY - 1))
    target = random_tensors(24, {**decoder_shapes(m, VOCABULARY), **ferret_shapes(m)})
    size = m['hidden'] // m['heads']
    frequencies = (1 / 10000 ** (np.arange(0, size, 2) / size)).astype(np.float16)
    for i in range(m['layers']):
        start['model.layers.%d.self_attn.rotary_emb.inv_freq' % i] = frequencies
        target['model.layers.%d.self_attn.rotary_emb.inv_freq' % i] = frequencies
    change = {name: value.copy() for name, value in target.items()}
    for name, value in start.items():
        change[name][:len(value)] -= value
    write_shards(base, 'pytorch_model', 'bin', save_torch, start)
    write_shards(delta, 'pytorch_model', 'bin', save_torch, change)

    tower = os.path.join(OUT, 'tiny-ferret-b-clip')
    weights = random_tensors(23, tower_shapes(m))
    write_tower(tower, tower_config(m['tower_width'], m['tower_layers'], m['tower_heads'], m['image'], m['patch']),
                weights, .45, .27)
    os.remove(os.path.join(tower, 'model.safetensors'))
    weights['embeddings.position_ids'] = np.arange((m['image'] // m['patch']) ** 2 + 1)[None]
    save_torch(os.path.join(tower, 'pytorch_model.bin'), {'vision_model.' + name: value for name, value in weights.items()})
    return Ferret(delta, base, tower)


# Cases -------------------------------------------------------------------------------------------------------------

class Region:
    """A region of an image: what cases.json says of it, and its mask [width, height]."""

    def __init__(self, kind, size, xy=None, box=None, shape=None):
        width, height = size
        if kind == 'point':
            self.mask, pixels = region.point_mask(*xy, width, height), xy
        else:
            self.mask, pixels = region.box_mask(box, width, height), box
        if shape is not None:
            self.mask &= shape
        self.text = region_text(pixels, width, height)
        self.facts = {'kind': kind, **({'xy': xy} if xy else {'box': box}), 'text': self.text,
                      'rle': {'size': [height, width], 'counts': runs(self.mask)}}


def free_form(kind, size, paint):
    """A region painted with PIL: paint(draw)."""
    canvas = Image.new('1', size)
    paint(ImageDraw.Draw(canvas))
    shape = np.asarray(canvas).T
    xs, ys = np.nonzero(shape)
    return Region(kind, size, box=[int(v) for v in (xs.min(), ys.min(), xs.max(), ys.max())], shape=shape)


def runs(mask):
    """Lengths of alternating runs, zeros first, in the order of [width][height]."""
    flat = mask.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    bounds = np.concatenate([[0] if flat[0] else [], [0], edges, [flat.size]]).astype(int)
    return np.diff(bounds).tolist()


def case_list(points):
    """-> [(id, image, seed, turns with {} where region texts go, regions)]; `points` is the sampler's number of pixels."""
    wide, square, tall, photo = (96, 72), (60, 60), (50, 140), (120, 80)
    box, point = Region('box', wide, box=[10, 12, 50, 40]), Region('point', wide, xy=[70, 30])
    scribble = free_form('scribble', photo, lambda d: d.line([(20, 20), (60, 50), (90, 25)], 1, 4))
    polygon = free_form('polygon', tall, lambda d: d.polygon([(5, 20), (45, 40), (30, 110)], 1))
    holed = free_form('mask', photo, lambda d: (d.rectangle([80, 40, 119, 79], 1), d.rectangle([90, 50, 100, 60], 0)))
    exact = Region('box', square, box=[3, 5, 3 + points // 8 - 1, 12])
    shape = exact.mask.copy()
    shape[30, 30] = True
    plus_one = Region('mask', square, box=[3, 5, 30, 30], shape=shape)
    what = 'What is the object {}?'
    return [
        ('box', 'rgb_96x72.png', 0, [what], [box]),
        ('point', 'rgb_96x72.png', 0, [what], [point]),
        ('point_corner', 'rgb_120x80.jpg', 0, [what], [Region('point', photo, xy=[119, 79])]),
        ('point_origin', 'square_60x60.png', 0, [what], [Region('point', square, xy=[0, 0])]),
        ('no_coordinates', 'rgb_96x72.png', 0, ['What is the object <region_fea>?'], [box]),
        ('no_region', 'tall_50x140.png', 0, ['Describe the image and give the coordinates.'], []),
        ('locate', 'rgb_120x80.jpg', 0, ['Where is the red car?'], []),
        ('scribble', 'rgb_120x80.jpg', 0, [what], [scribble]),
        ('polygon', 'tall_50x140.png', 0, [what], [polygon]),
        ('mask_hole_border', 'rgb_120x80.jpg', 0, [what], [holed]),
        ('two_regions', 'rgb_96x72.png', 0, ['What is between {} and {}?'], [box, point]),
        ('second_turn', 'rgb_96x72.png', 0, ['Where is the cat?', 'cat [93, 166, 310, 456].', 'And what is {}?'], [point]),
        ('pixels_exact', 'square_60x60.png', 0, [what], [exact]),
        ('pixels_plus_one', 'square_60x60.png', 0, [what], [plus_one]),
        ('one_pixel', 'square_60x60.png', 0, [what], [Region('box', square, box=[30, 20, 30, 20])]),
        ('whole_image', 'rgb_96x72.png', 0, [what], [Region('box', wide, box=[0, 0, 95, 71])]),
        ('box_beyond_border', 'square_60x60.png', 0, [what], [Region('box', square, box=[30, 20, 60, 60])]),
        ('spaces_around_token', 'rgb_96x72.png', 0, ['Is   {pad}  , yellow or  <region_fea>purple?\n'], [box, point]),
        ('palette', 'palette_70x50.png', 0, ['Is there an owl in the image?'], []),
        ('gray_jpeg', 'gray_64x48.jpg', 0, ['Wo ist die Eule \U0001f989 \u2014 hier?'], []),
        ('alpha', 'rgba_40x56.png', 0, ['How many cats are there?'], []),
        ('tall_1px', 'line_1x97.png', 0, ['What is {}?'], [Region('box', (1, 97), box=[0, 10, 0, 60])]),
        ('seed_7', 'rgb_120x80.jpg', 7, [what], [Region('box', photo, box=[20, 10, 99, 69])]),
        ('seed_2p32_minus_1', 'rgb_120x80.jpg', 2 ** 32 - 1, [what], [Region('point', photo, xy=[60, 40])]),
        ('seed_2p32_plus_5', 'rgb_120x80.jpg', 2 ** 32 + 5, [what], [Region('box', photo, box=[20, 10, 99, 69])]),
    ]


def scene_cases():
    """The default model on held-out drawings, asked what it was made for."""
    tasks, cases = checkpoint.read_json(PRETRAINED, 'config.json')['ferret_tasks'], []
    for seed, width, height in SCENES:
        scene = scenes.draw(seed, width, height)
        first, last, size = scene.things[0], scene.things[-1], (width, height)
        own = Region('mask', size, box=list(first[2:]), shape=(scene.owner == 1).T)
        middle = Region('point', size, xy=[(last.x1 + last.x2) // 2, (last.y1 + last.y2) // 2])
        describe = tasks['describe'].replace('{region}', '{}')
        nouns = [scenes.NOUNS[t.noun] for t in (first, last)]
        for kind, question, regions in [
                ('caption', tasks['caption'], []), ('box', describe, [Region('box', size, box=list(last[2:]))]),
                ('point', describe, [middle]), ('mask', describe, [own]),
                ('locate', tasks['locate'].format(phrase=nouns[0]), []),
                ('locate_many', tasks['locate_many'].format(phrases=', '.join(nouns + ['zebra'])), [])]:
            cases.append(('%s_%d' % (kind, seed), scene_file(seed), 0, [question], regions))
    return cases


def fill(turns, regions):
    texts = iter([r.text + ' <region_fea>' for r in regions])
    out = []
    for turn in turns:
        while '{}' in turn:
            turn = turn.replace('{}', next(texts), 1)
        out.append(turn.replace('{pad}', regions[0].text + '  <region_fea>') if regions else turn)
    return out


FIXED = [round(i * (VOCABULARY - 1) / 31) for i in range(32)]
ALONE = [('full_3x7', 3, 7, [[0, 0, 2, 6]]), ('box_1920x1080', 1920, 1080, [[100, 200, 1500, 900]]),
         ('window_9000x6000', 9000, 6000, [[8989, 5989, 8999, 5999]]), ('full_1x1', 1, 1, [[0, 0, 0, 0]])]


def summary(selection):
    return {'n': selection.count, 'chosen_first16': selection.chosen[:16].tolist(),
            'chosen_xy_first16': selection.xy[:16].tolist(), 'fps_start': selection.starts,
            'fps0_first16': selection.centres[0][:16].tolist(), 'fps1_first16': selection.centres[1][:16].tolist()}


def choices(selection):
    return {'chosen': selection.chosen, 'fps0': selection.centres[0], 'fps1': selection.centres[1]}


def brief(value):
    return round(float(value), DECIMALS)


def greedy_entry(got):
    entry = {'max_new_tokens': len(got.steps), 'ids': [s.id for s in got.steps], 'finished': got.finished, 'text': got.text,
             'steps': [{'logit': brief(s.logit), 'margin': brief(s.margin), 'logprob': brief(s.logprob)} for s in got.steps],
             'min_margin': min((brief(s.margin) for s in got.steps), default=None)}
    if got.text_without_cleanup != got.text:
        entry['text_without_cleanup'] = got.text_without_cleanup
    return entry


def answer_entry(got):
    """What a ferret.Answer adds to its case."""
    logits, vision, top = got.logits.double(), got.vision.double(), got.logits.topk(10)
    return {'prompt': got.prompt, 'input_ids': got.input_ids, 'positions': got.positions,
            'logits': {'top10_ids': top.indices.tolist(), 'top10': [brief(v) for v in top.values],
                       'at': {str(i): brief(got.logits[i]) for i in FIXED},
                       'mean': brief(logits.mean()), 'var': brief(logits.var(unbiased=False))},
            'vision': {'sum': brief(vision.sum()), 'sumsq': brief((vision ** 2).sum())}, 'greedy': greedy_entry(got),
            'sampler': [summary(s) for s in got.selections]}


def answer_tensors(got, rows, parts):
    """The same for tensors.safetensors; `parts`: names of those that not every case has."""
    tensors = {'vision': got.vision, 'projected': got.projected, 'vision_rows': got.vision[rows],
               'projected_rows': got.projected[rows], 'hidden_last': got.states, 'logits': got.logits}
    tensors = {key: value for key, value in tensors.items() if key in parts}
    if got.selections:
        tensors.update(region_features=got.regions)
    for k, selection in enumerate(got.selections):
        tensors.update({'%s.%d' % (key, k): value for key, value in choices(selection).items()})
    return tensors


def sampler_alone(model, features):
    """The sampler on masks of unusual sizes -> entries, tensors."""
    entries, tensors = [], {}
    for id_, width, height, boxes in ALONE:
        mask = np.logical_or.reduce([region.box_mask(box, width, height) for box in boxes])
        selection = model.sampler.select(mask, 0)
        entries.append({'id': id_, 'width': width, 'height': height, 'boxes_inclusive': boxes, 'seed': 0, **summary(selection)})
        own = dict(choices(selection), region_features=model.sampler(features, mask, selection))
        tensors.update({'sampler.%s.%s' % (id_, key): value for key, value in own.items()})
    return entries, tensors


def parts_of(case, listed, tiny):
    """Which tensors a case records: F is the same for all cases of an image, so the image's first one has it."""
    id_, file, first = case[0], case[1], listed[0]
    parts = {'logits'} if id_ in (first[0], 'point', 'no_region') else set()
    if case is next(c for c in listed if c[1] == file):
        parts |= {'vision_rows', 'projected_rows'}
    if tiny or file == first[1]:
        parts |= {'hidden_last'}
    return parts | ({'vision', 'projected'} if tiny and case is first else set())


def write_cases(name, model, listed, most, tiny=True):
    """listed: as case_list gives them; most: tokens an answer may have; tiny: are the model's states few bytes?"""
    folder = os.path.join(OUT, name + '-cases')
    os.makedirs(folder)
    patches = (model.tower.side // model.tower.patch) ** 2
    rows = [0, 1, 2, patches // 2, patches - 1]
    tensors, cases, features = {'inv_freq': model.decoder.inv_freq}, [], None
    for case in listed:
        id_, file, seed, turns, regions = case
        image, turns = Image.open(os.path.join(OUT, 'images', file)), fill(turns, regions)
        got = model.answer(image, turns, [r.mask for r in regions], seed, most, MARGIN)
        if not got.steps:
            sys.exit('%s, case %s: the first token is not decided, ask something else' % (name, id_))
        cases.append({'id': id_, 'seed': seed, 'image': file, 'width': image.width, 'height': image.height, 'turns': turns,
                      'regions': [r.facts for r in regions], **answer_entry(got)})
        own = answer_tensors(got, rows, parts_of(case, listed, tiny))
        tensors.update({'%s.%s' % (id_, key): value for key, value in own.items()})
        features = got.vision if features is None else features
    alone, own = sampler_alone(model, features)
    tensors.update(own)
    head = {'checkpoint': name, 'compute': 'float32 on the stored values', 'rows': rows, 'fixed_indices': FIXED}
    if name == 'tiny-ferret-b':
        head['target_sha256'] = {key: digest(value.numpy().tobytes()) for key, value in sorted(model.stored.items())
                                 if 'inv_freq' not in key}
    write(os.path.join(folder, 'cases.json'), dict(head, cases=cases, sampler_only=alone))
    arrays = {key: np.asarray(value) for key, value in tensors.items()}
    checkpoint.write_safetensors(os.path.join(folder, 'tensors.safetensors'), {
        key: a.astype(np.int32 if a.dtype == np.int64 else np.float32) for key, a in arrays.items()})
    print(name, 'logits std %.2f' % math.sqrt(np.mean([c['logits']['var'] for c in cases])),
          'tokens', [len(c['greedy']['ids']) for c in cases])


def write_tokenizer():
    """tokenizer.json: encode, decode and prompts, with the shipped tokenizer and the published template."""
    tokenizer = Tokenizer(PRETRAINED)
    texts = ['', ' ', '  ', 'cat', ' cat', 'cat ', '  two  spaces ', 'A small red car [0, 12, 999, 1000].', 'Eule \U0001f989',
             'na\u00efve \u2014 caf\u00e9', 'line\nbreak', '\ttab', '<region_fea>', 'a <region_fea> b', 'a<region_fea>b',
             'a \u00a0<region_fea>\u3000 b', 'a\u200b<region_fea>\u200bb', '<region_fea><region_fea>', ' <region_fea> ',
             '<s>a</s> b <unk> c', 'a </s>', '</s><region_fea> x', '<region_fea', 'x <0x0A> y', '\u2581', 'a\u2581b', '1234567890',
             '[1, 2], [3, 4]', 'What is the object [10, 20, 30, 40] <region_fea>?', 'strawberries', 'zebra', 'A' * 40, '\x1c<region_fea>']
    rng = np.random.RandomState(3)
    answers = [rng.randint(0, VOCABULARY, n).tolist() for n in range(1, 25)] + \
        [[3 + b for b in 'Größe \U0001f989'.encode()], [768], [5, 768, 768, 6], [2, 1, 0], tokenizer.encode('a . b , c ?')]
    conversations = [['Where is the cat?'], ['Hi', 'Hello.', 'More?'], ['What is [1, 2] <region_fea>?', 'a cat', 'And <region_fea> ?'],
                     [' spaces  inside '], ['Describe the image and give the coordinates.']]
    prompts = [{'turns': t, 'prompt': render(PUBLISHED_TEMPLATE, t)} for t in conversations]
    write(os.path.join(OUT, 'tokenizer.json'), {
        'encode': [encoded(tokenizer, text) for text in texts],
        'decode': [decoded(tokenizer, ids) for ids in answers],
        'prompts': [dict(p, ids=tokenizer.encode_prompt(p['prompt'])) for p in prompts]})


def decoded(tokenizer, ids):
    text, plain = tokenizer.decode(ids), tokenizer.decode(ids, clean_up=False)
    return {'ids': ids, 'decoded': text, **({'decoded_without_cleanup': plain} if plain != text else {})}


def encoded(tokenizer, text):
    ids = tokenizer.encode(text)
    return {'text': text, **decoded(tokenizer, ids), 'ids': [1] + ids}


def write_layers():
    write(os.path.join(OUT, 'layers.json'), {
        'formula': FORMULA,
        'output': 'after the final norm, last token; computed in float64 on float32 weights, angles in float32',
        'tolerance': '2e-5 of `largest` for float32',
        'models': {'7b': run_layers(4096, 32, 11008), '13b': run_layers(5120, 40, 13824)}})


# -------------------------------------------------------------------------------------------------------------------

def digest(data):
    return hashlib.sha256(data).hexdigest()


def write(path, content):
    """JSON with one line for every element of its outermost lists."""
    def lines(value, depth):
        if depth == 0 or not isinstance(value, (dict, list)):
            return json.dumps(value, ensure_ascii=True, separators=(',', ':'))
        if isinstance(value, dict):
            return '{\n%s\n}' % ',\n'.join(json.dumps(k) + ': ' + lines(v, depth - 1) for k, v in value.items())
        return '[\n%s\n]' % ',\n'.join(lines(v, depth - 1) for v in value)

    with open(path, 'w') as file:
        file.write(lines(content, 2) + '\n')


def main():
    torch.set_num_threads(1)
    for name in os.listdir(OUT):
        path = os.path.join(OUT, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
    a, b, pretrained = write_a(), write_b(), Ferret(PRETRAINED)
    write_images(os.path.join(OUT, 'images'), {'a': a.tower, 'b': b.tower, 'pretrained': pretrained.tower})
    write_cases('tiny-ferret-a', a, case_list(MODELS['a']['points']), NEW_TOKENS)
    write_cases('tiny-ferret-b', b, case_list(MODELS['b']['points']), NEW_TOKENS)
    write_cases('pretrained', pretrained, scene_cases(), LONG_ANSWER, tiny=False)
    write_tokenizer()
    write_layers()
    size = sum(os.path.getsize(os.path.join(folder, file)) for folder, _, files in os.walk(OUT) for file in files)
    if size > MOST_BYTES:
        sys.exit('%d bytes, at most %d may be in the repository: record less' % (size, MOST_BYTES))


if __name__ == '__main__':
    main()

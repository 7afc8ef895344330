"""Ferret (arXiv 2310.07704), the whole model in plain float32 PyTorch, written to be read.

    python3 ferret.py MODEL IMAGE QUESTION      '{box 10,20,90,120}' and '{point 30,40}' in the question name regions

Shapes: N patches, D tower width, H decoder width, L tokens after the image is put in, V vocabulary.
"""
import math
import os
import re
import sys
from typing import Any, List, NamedTuple, Optional

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import checkpoint
import region
from prompt import PUBLISHED_TEMPLATE, region_text, render
from tokenizer import EOS, IMAGE, Tokenizer, answer_text

PUBLISHED_SAMPLER = {'points': 512, 'stages': [128, 32], 'neighbors': [24, 24], 'transposed': True}


class Tower:
    """CLIP's vision transformer, run up to the layer that Ferret reads."""

    def __init__(self, folder, select_layer):
        config = checkpoint.read_json(folder, 'config.json')
        config = config.get('vision_config', config)
        self.heads, self.eps = config['num_attention_heads'], config.get('layer_norm_eps', 1e-5)
        self.side, self.patch = config['image_size'], config['patch_size']
        states = config['num_hidden_layers'] + 1
        self.layers = range(select_layer % states)
        look = checkpoint.read_json(folder, 'preprocessor_config.json')
        self.mean, self.std = (torch.tensor(look[key], dtype=torch.float32) for key in ('image_mean', 'image_std'))
        self.w = {name[len('vision_model.'):]: value.float() for name, value in checkpoint.read_folder(folder).items()
                  if name.startswith('vision_model.') and value.is_floating_point()}

    def squash(self, image):
        """PIL image -> uint8 [side, side, 3]: aspect ratio not kept, nothing cropped."""
        return np.asarray(image.convert('RGB').resize((self.side, self.side), Image.BICUBIC))

    def pixels(self, squashed):
        """uint8 [side, side, 3] -> float32 [3, side, side]."""
        scaled = torch.from_numpy((squashed * (1 / 255)).astype(np.float32))
        return ((scaled - self.mean) / self.std).permute(2, 0, 1)

    def linear(self, name, x):
        return F.linear(x, self.w[name + '.weight'], self.w[name + '.bias'])

    def norm(self, name, x):
        return F.layer_norm(x.float(), x.shape[-1:], self.w[name + '.weight'], self.w[name + '.bias'], self.eps)

    def features(self, pixels):
        """float32 [3, side, side] -> F [N, D]."""
        patches = F.conv2d(pixels[None], self.w['embeddings.patch_embedding.weight'], stride=self.patch)[0].flatten(1).t()
        x = torch.cat([self.w['embeddings.class_embedding'][None], patches]) + self.w['embeddings.position_embedding.weight']
        x = self.norm('pre_layrnorm', x)
        for i in self.layers:
            x = self.layer('encoder.layers.%d.' % i, x)
        return x[1:]

    def layer(self, at, x):
        length, width = x.shape
        h = self.norm(at + 'layer_norm1', x)
        q, k, v = (self.linear(at + 'self_attn.' + p, h).view(length, self.heads, -1).transpose(0, 1)
                   for p in ('q_proj', 'k_proj', 'v_proj'))
        scores = (q * q.shape[-1] ** -.5) @ k.transpose(1, 2)
        mixed = (torch.softmax(scores, -1) @ v).transpose(0, 1).reshape(length, width)
        x = x + self.linear(at + 'self_attn.out_proj', mixed)
        h = self.linear(at + 'mlp.fc1', self.norm(at + 'layer_norm2', x))
        return x + self.linear(at + 'mlp.fc2', h * torch.sigmoid(1.702 * h))


class RegionSampler:
    """GeoRegionSampler: a region's pixels and F -> one vector of the decoder's width."""

    def __init__(self, weights, settings, pooler):
        prefix = 'model.region_geo_sampler.'
        self.w = {name[len(prefix):]: value for name, value in weights.items() if name.startswith(prefix)}
        self.settings, self.pooler = settings, pooler

    def select(self, mask, seed):
        s = self.settings
        return region.select(mask, seed, s['points'], s['stages'], s['neighbors'])

    def bilinear(self, features, points):
        """F [N, D] at normalised (x, y) [n, 2]; published weights read it with x and y exchanged."""
        grid = math.isqrt(len(features))
        column, row = (points.flip(1) if self.settings['transposed'] else points).t() * (grid - 1)
        left, top = column.floor().long(), row.floor().long()
        right, bottom = (left + 1).clamp(max=grid - 1), (top + 1).clamp(max=grid - 1)
        a, b = (column - left)[:, None], (row - top)[:, None]
        f = features.view(grid, grid, -1)
        return (f[top, left] * (1 - a) + f[top, right] * a) * (1 - b) + (f[bottom, left] * (1 - a) + f[bottom, right] * a) * b

    def __call__(self, features, mask, selection):
        """F [N, D], mask bool [width, height] -> [H]."""
        w = self.w
        points = torch.from_numpy(selection.xy).float() / torch.tensor(mask.shape, dtype=torch.float32)
        x = torch.cat([self.bilinear(features, points), points], 1)                        # [n, D + 2]
        for stage, (centres, near) in enumerate(zip(selection.centres, selection.neighbours)):
            anchor, local = x[torch.from_numpy(centres)], x[torch.from_numpy(near)]        # [m, D + 2], [m, k, D + 2]
            diff, agg = 'diff_projector_list.%d.' % stage, 'agg_projector_list.%d.' % stage
            change = F.linear(local - anchor[:, None], w[diff + 'weight'], w[diff + 'bias'])
            both = torch.cat([change, anchor[:, None].expand_as(change)], -1)
            out = F.relu(F.linear(both, w[agg + 'net.0.weight'].squeeze(-1), w[agg + 'net.0.bias']))
            out = F.layer_norm(out.float(), out.shape[-1:], w[agg + 'norm.weight'], w[agg + 'norm.bias'], 1e-5)
            out = out.max(1)[0] if self.pooler == 'max' else out.mean(1)
            x = torch.cat([out, anchor[:, -2:]], 1)
        flat = F.linear(x[:, :-2].flatten(), w['flatten_projector.weight'], w['flatten_projector.bias'])
        return F.linear(flat, w['dim_projector.weight'], w['dim_projector.bias'])


class Decoder:
    """LLaMA, one sequence at a time, keys and values kept between calls."""

    def __init__(self, weights, config):
        self.w = weights
        self.heads, self.eps = config['num_attention_heads'], config['rms_norm_eps']
        self.layers = config['num_hidden_layers']
        size = config['hidden_size'] // self.heads
        theta = config.get('rope_theta', 10000.)
        self.inv_freq = 1. / theta ** (torch.arange(0, size, 2).float() / size)

    def embed(self, ids):
        return self.w['model.embed_tokens.weight'][torch.as_tensor(ids)]

    def norm(self, name, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.w[name + '.weight']

    def logits(self, state):
        """[.., H] after the final norm -> [.., V]."""
        return F.linear(state, self.w['lm_head.weight'])

    def rotate(self, x, past):
        """RoPE on [heads, L, size], pairs (i, i + size / 2)."""
        angle = torch.arange(past, past + x.shape[1]).float()[:, None] * self.inv_freq
        (a, b), cos, sin = x.chunk(2, -1), angle.cos(), angle.sin()
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def forward(self, x, cache):
        """x [L, H] behind `cache` (a list of (k, v) by layer, extended in place) -> last position's states
        [layers + 1, H]: embedding, output of each layer, the last one after the final norm."""
        states = [x[-1]]
        for i in range(self.layers):
            x = self.layer('model.layers.%d.' % i, x, cache, i)
            states.append(x[-1])
        states[-1] = self.norm('model.norm', x[-1])
        return torch.stack(states)

    def states(self, x):
        """Of all positions at once: x [L, H] -> [L, H] after the final norm."""
        cache = []
        for i in range(self.layers):
            x = self.layer('model.layers.%d.' % i, x, cache, i)
        return self.norm('model.norm', x)

    def layer(self, at, x, cache, i):
        w, length = self.w, len(x)
        h = self.norm(at + 'input_layernorm', x)
        q, k, v = (F.linear(h, w[at + 'self_attn.%s_proj.weight' % p]).view(length, self.heads, -1).transpose(0, 1)
                   for p in 'qkv')
        past = cache[i][0].shape[1] if i < len(cache) else 0
        q, k = self.rotate(q, past), self.rotate(k, past)
        if past:
            k, v = torch.cat([cache[i][0], k], 1), torch.cat([cache[i][1], v], 1)
        cache[i:i + 1] = [(k, v)]
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
        future = torch.ones(length, past + length, dtype=torch.bool).triu(past + 1)
        mixed = torch.softmax(scores.masked_fill(future, -math.inf), -1) @ v
        x = x + F.linear(mixed.transpose(0, 1).reshape(length, -1), w[at + 'self_attn.o_proj.weight'])
        h = self.norm(at + 'post_attention_layernorm', x)
        h = F.silu(F.linear(h, w[at + 'mlp.gate_proj.weight'])) * F.linear(h, w[at + 'mlp.up_proj.weight'])
        return x + F.linear(h, w[at + 'mlp.down_proj.weight'])


class Step(NamedTuple):
    id: int
    logit: float
    margin: float       # to the second best
    logprob: float


class Answer(NamedTuple):
    prompt: str
    input_ids: List[int]
    positions: int                 # prompt length with the image's rows in it
    squashed: Any                  # uint8 [side, side, 3]
    vision: Any                    # F [N, D]
    projected: Any                 # [N, H]
    selections: list               # region.Selection by region
    regions: Any                   # [regions, H]
    states: Any                    # [layers + 1, H] of the last prompt position
    logits: Any                    # [V] of the last prompt position
    steps: List[Step]
    finished: bool
    text: str
    text_without_cleanup: str


class Ferret:
    def __init__(self, folder, base: Optional[str] = None, tower: Optional[str] = None):
        config = checkpoint.read_json(folder, 'config.json')
        weights = checkpoint.read_folder(folder)
        if base:
            weights = checkpoint.apply_delta(weights, checkpoint.read_folder(base))
        self.stored = weights
        weights = {name: value.float() for name, value in weights.items() if value.is_floating_point()}
        self.config, self.weights = config, weights
        self.template = dict(PUBLISHED_TEMPLATE, **config.get('ferret_template', {}))
        self.tower = Tower(tower or os.path.join(folder, 'vision_tower'), config['mm_vision_select_layer'])
        sampler = dict(PUBLISHED_SAMPLER, **config.get('ferret_sampler', {}))
        self.sampler = RegionSampler(weights, sampler, config['sampler_pooler_mode'])
        self.decoder = Decoder(weights, config)
        self.tokenizer = Tokenizer(folder)

    def project(self, features):
        return F.linear(features, self.weights['model.mm_projector.weight'], self.weights['model.mm_projector.bias'])

    def embed(self, ids, projected, regions):
        """Prompt ids with -200 for the image -> [L, H]."""
        at = ids.index(IMAGE)
        before, after = self.decoder.embed(ids[:at]), self.decoder.embed(ids[at + 1:]).clone()
        places = torch.tensor(ids[at + 1:]) == self.config['im_region_fea_token']
        if places.sum() != len(regions):
            raise ValueError('%d region tokens, %d masks' % (places.sum(), len(regions)))
        after[places] = regions
        return torch.cat([before, projected, after])

    @torch.no_grad()
    def answer(self, image, turns, masks=(), seed=0, max_new_tokens=256, smallest_margin=0.):
        """Greedy answer to a conversation about a PIL image.  masks: bool [width, height], one for each `<region_fea>` in
        the turns.  Stops before a step whose margin is below `smallest_margin`."""
        squashed = self.tower.squash(image)
        features = self.tower.features(self.tower.pixels(squashed))
        projected = self.project(features)
        selections = [self.sampler.select(mask, seed) for mask in masks]
        regions = [self.sampler(features, mask, selection) for mask, selection in zip(masks, selections)]
        regions = torch.stack(regions) if regions else torch.zeros(0, projected.shape[1])
        prompt = render(self.template, turns)
        ids = self.tokenizer.encode_prompt(prompt)
        x, cache, steps = self.embed(ids, projected, regions), [], []
        states = self.decoder.forward(x, cache)
        logits = first = self.decoder.logits(states[-1])
        while len(steps) < max_new_tokens:
            best = logits.topk(2)
            step = Step(int(best.indices[0]), float(best.values[0]), float(best.values[0] - best.values[1]),
                        float(torch.log_softmax(logits.double(), 0)[best.indices[0]]))
            if step.margin < smallest_margin:
                break
            steps.append(step)
            if step.id == EOS:
                break
            logits = self.decoder.logits(self.decoder.forward(self.decoder.embed([step.id]), cache)[-1])
        new = [step.id for step in steps]
        return Answer(prompt, ids, len(x), squashed, features, projected, selections, regions, states, first, steps,
                      bool(new) and new[-1] == EOS, answer_text(self.tokenizer, new), answer_text(self.tokenizer, new, False))


def main(folder, path, question):
    image, masks = Image.open(path), []
    width, height = image.size

    def place(match):
        pixels = [int(v) for v in match.group(2).split(',')]
        make = region.box_mask if match.group(1) == 'box' else lambda p, w, h: region.point_mask(*p, w, h)
        masks.append(make(pixels, width, height))
        return region_text(pixels, width, height) + ' <region_fea>'

    question = re.sub(r'\{(box|point) ([\d,]+)\}', place, question)
    print(Ferret(folder).answer(image, [question], masks).text)


if __name__ == '__main__':
    main(*sys.argv[1:])

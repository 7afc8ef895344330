"""Greedy answers in batches with the training network, in its arithmetic: what evaluation of hundreds of scenes can afford."""
import os

import numpy as np
import torch
from PIL import Image

import checkpoint
import dialogue
import region
from arithmetic import FAST, autocast
from network import FAR, Ferret, Sizes, attend, causal_bias
from tokenizer import BOS, EOS, Tokenizer


class Generator:
    def __init__(self, folder):
        """folder: an exported model."""
        self.tokenizer, self.net = Tokenizer(folder), Ferret(Sizes()).eval()
        weights = {**checkpoint.read_folder(folder), **checkpoint.read_folder(os.path.join(folder, 'vision_tower'))}
        self.net.load_state_dict({name: value.float() for name, value in weights.items()})
        self.before = torch.tensor([BOS] + self.tokenizer.encode(dialogue.opening()))
        self.after = torch.tensor(self.tokenizer.encode(dialogue.closing('?'))[:2])

    @torch.no_grad()
    def features(self, scenes):
        with autocast():
            return self.net.vision_model(torch.from_numpy(np.stack([self.squash(s.image) for s in scenes]))).float()

    def squash(self, image):
        side = self.net.size.image
        return np.asarray(Image.fromarray(image).resize((side, side), Image.BICUBIC))

    def region_vectors(self, features, questions):
        """questions [(image, text, mask or None)] -> [R, hidden] for those with a mask (bool [height, width]); seed 0."""
        size = self.net.size
        chosen = [region.select(mask.T, 0, size.points, size.stages, size.neighbors) for _, _, mask in questions if mask is not None]
        if not chosen:
            return torch.zeros(0, size.hidden)
        shape = [mask.T.shape for _, _, mask in questions if mask is not None]
        points = torch.from_numpy(np.stack([s.xy for s in chosen])).float() / torch.tensor(shape)[:, None]
        stages = [tuple(torch.from_numpy(np.stack([getattr(s, what)[i] for s in chosen])) for what in ('centres', 'neighbours'))
                  for i in range(len(size.stages))]
        image = torch.tensor([i for i, _, mask in questions if mask is not None])
        return self.net.model.region_geo_sampler(features, image, points, stages)

    @torch.no_grad()
    def answers(self, features, questions, most=160, blind=False):
        """features [B, N, D]; questions [(image index, text, mask or None)] -> texts.  `blind` withholds region features."""
        with autocast():
            prompts = [self.tokenizer.encode(dialogue.closing(text))[2:] for _, text, _ in questions]
            lengths = torch.tensor([len(p) for p in prompts])
            ids = torch.zeros(len(prompts), int(lengths.max()), dtype=torch.long)
            for row, prompt in zip(ids, prompts):
                row[:len(prompt)] = torch.tensor(prompt)
            text = self.net.model.embed_tokens(ids)
            if not blind:
                text[ids == self.tokenizer.region] = self.region_vectors(features, questions).float()
            image = torch.tensor([i for i, _, _ in questions])
            return [self.tokenizer.decode(out).strip() for out in self.decode(features, image, text, lengths, most)]

    def decode(self, features, image, text, lengths, most):
        """text [Q, L, hidden]: prompts after the shared prefix, padded on the right -> lists of new ids without EOS."""
        net, (count, longest, _) = self.net, text.shape
        x = net.prefix(features, self.before, self.after)
        prefix, rows = x.shape[1], torch.arange(count)
        caches, turn = [], net.turn(torch.arange(prefix)[None])
        for layer in net.model.layers:
            q, k, v = layer.qkv(x, turn)
            x = layer.finish(x, attend(q, k, v, causal_bias(prefix)))
            cache = torch.zeros(2, count, k.shape[1], prefix + longest + most, k.shape[3], dtype=k.dtype)
            cache[0, :, :, :prefix], cache[1, :, :, :prefix] = k[image], v[image]
            caches.append(cache)
        bias = torch.cat([torch.zeros(longest, prefix, dtype=FAST), causal_bias(longest)], 1)
        x, turn, end = text, net.turn(prefix + torch.arange(longest)[None]), prefix + longest
        for layer, cache in zip(net.model.layers, caches):
            q, cache[0, :, :, prefix:end], cache[1, :, :, prefix:end] = layer.qkv(x, turn)
            x = layer.finish(x, attend(q, cache[0, :, :, :end], cache[1, :, :, :end], bias))
        state, at, out, done = x[rows, lengths - 1], prefix + lengths, [[] for _ in rows], torch.zeros(count, dtype=torch.bool)
        for _ in range(most):
            new = net.lm_head(net.model.norm(state)).float().argmax(-1)
            done |= new == EOS
            for i in torch.nonzero(~done).flatten().tolist():
                out[i].append(int(new[i]))
            if done.all():
                break
            x, turn, end = net.model.embed_tokens(new)[:, None], net.turn(at[:, None]), int(at.max()) + 1
            unseen = torch.arange(end) > at[:, None]
            bias = torch.zeros(unseen.shape, dtype=FAST).masked_fill_(unseen, FAR)[:, None, None]
            for layer, cache in zip(net.model.layers, caches):
                q, k, v = layer.qkv(x, turn)
                cache[0, rows, :, at], cache[1, rows, :, at] = k[:, :, 0], v[:, :, 0]
                x = layer.finish(x, attend(q, cache[0, :, :, :end], cache[1, :, :, :end], bias))
            state, at = x[:, 0], at + 1
        return out

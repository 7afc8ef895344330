"""The reference (`ferret.py`) with weights that learn: whole conversations in, loss out; and back into the published layout."""
import os
import shutil

import numpy as np
import torch
import torch.nn.functional as F

import checkpoint
from ferret import Ferret
from tokenizer import IMAGE
from tuning.conversations import NONE, picture
from tuning.schedule import part_of

COPIED = ('config.json', 'generation_config.json', 'tokenizer.model', 'tokenizer_config.json', 'special_tokens_map.json',
          'added_tokens.json')
TOWER_COPIED = 'config.json', 'preprocessor_config.json'


class Student:
    """folder, base, tower: as for `Ferret`.  Weights are float32 (a checkpoint's 16 bits would swallow small updates)."""

    def __init__(self, folder, base='', tower='', frozen=()):
        self.folder, self.tower_folder = folder, tower or os.path.join(folder, 'vision_tower')
        self.ferret = Ferret(folder, base or None, self.tower_folder)
        tower_weights = {'vision_model.' + name: value for name, value in self.ferret.tower.w.items()}
        self.weights = {**{name: value for name, value in self.ferret.weights.items() if not name.endswith('inv_freq')},
                        **tower_weights}
        self.frozen = set(frozen)
        self.learning = {name: value.requires_grad_() for name, value in self.weights.items()
                         if part_of(name) not in self.frozen and 'post_layernorm' not in name}

    def positions(self):
        return (self.ferret.tower.side // self.ferret.tower.patch) ** 2

    def see(self, image):
        with torch.set_grad_enabled('tower' not in self.frozen and torch.is_grad_enabled()):
            return self.ferret.tower.features(self.ferret.tower.pixels(self.ferret.tower.squash(image)))

    def loss(self, item, seed, precision):
        """-> summed cross entropy of the example's targets, how many there are, how many the model gets right."""
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=precision == 'bf16'):
            model, features = self.ferret, self.see(picture(item))
            sampler = model.sampler
            regions = [sampler(features, mask, sampler.select(mask, seed + i)) for i, mask in enumerate(item.masks)]
            projected = model.project(features)
            regions = torch.stack(regions).float() if regions else torch.zeros(0, projected.shape[1])
            states = model.decoder.states(model.embed(item.ids, projected.float(), regions))
            at = item.ids.index(IMAGE)
            targets = item.targets[:at] + [NONE] * len(projected) + item.targets[at + 1:]
            targets = torch.tensor(targets[1:] + [NONE])
            told = targets != NONE
            logits, targets = model.decoder.logits(states[told]).float(), targets[told]
        return F.cross_entropy(logits, targets, reduction='sum'), len(targets), int((logits.argmax(-1) == targets).sum())

    def save(self, folder):
        """The published layout, float16, the tower inside; a folder that exists is replaced file by file."""
        halves = {name: value.detach().to(torch.float16).numpy() for name, value in self.weights.items()}
        for name, value in halves.items():
            if not np.isfinite(value).all():
                raise ValueError('%s does not fit into float16' % name)
        inner = os.path.join(folder, 'vision_tower')
        os.makedirs(inner, exist_ok=True)
        for names, source, target in ((COPIED, self.folder, folder), (TOWER_COPIED, self.tower_folder, inner)):
            for name in names:
                if os.path.exists(os.path.join(source, name)):
                    shutil.copy(os.path.join(source, name), os.path.join(target, name))
        config = dict(self.ferret.config, mm_vision_tower='vision_tower', torch_dtype='float16')
        checkpoint.write_json(folder, 'config.json', config)
        tower = {name for name in halves if part_of(name) == 'tower'}
        checkpoint.write_safetensors(os.path.join(inner, 'model.safetensors'), {name: halves[name] for name in tower})
        checkpoint.write_safetensors(os.path.join(folder, 'model.safetensors'),
                                     {name: value for name, value in halves.items() if name not in tower})

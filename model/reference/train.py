"""Training, data-parallel over processes of one thread each.

    python3 train.py STAGE OUT.pt POOL [key=value ...]

Stage `tower` trains the vision tower with its auxiliary heads; stage `joint` everything, from `init=TOWER.pt`; stage `tune`
goes on from `init=FOLDER` in the published layout, on more crowded scenes; stage `polish` from `init=TUNE.pt`, with more of the
questions that are still answered worst.  An existing OUT.pt is resumed where it stopped; `until_images=N`
may differ then, and the rest of the decay is planned anew.  OUT.jsonl is the log.
"""
import json
import os
import random
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np
import torch
import torch.multiprocessing as mp

import checkpoint
import scenes
from arithmetic import autocast
from batches import Packer, image_batch
from checks import Check
from network import Ferret, Sizes
from optimiser import Optimiser
from teachers import Heads, joint_loss
from tokenizer import Tokenizer

DEFAULTS = {
    'tower': dict(until_images=80000, per_process=24, muon=.008, adam=2e-3, tower_factor=1., hold=.3),
    'joint': dict(until_images=38000, per_process=8, muon=.008, adam=2e-3, tower_factor=.4, hold=.25),
    'tune': dict(until_images=12500, per_process=8, muon=.005, adam=1.2e-3, tower_factor=.3, hold=.2, settle=3000, average=.99,
                 busy=.5),
    'polish': dict(until_images=3200, per_process=8, muon=.003, adam=7e-4, tower_factor=.3, hold=.1, average=.98, busy=.5,
                   warm=400, mix='hard', seed=2),
}
COMMON = dict(settle=0, warm=1000, mix='even', busy=0., processes=2, decay=.02, clip=2., seed=1, init='', save_every=60., check_every=2000,
              heads=.4, average=.997, tokenizer='../pretrained')
LOG_STEPS = 20


def rate_factor(images, settings):
    """Warm-up over `warm` images, constant for the share `hold` of all, then linear to 0.02; anew after `settle` images, in which
    only the teachers' heads learn, three times as fast."""
    if images < settings.settle:
        return 3 * min(1., (images + 16) / settings.warm)
    images, total = images - settings.settle, settings.until_images - settings.settle
    progress = images / total
    decay = 1. if progress < settings.hold else max(.02, (1 - progress) / (1 - settings.hold))
    return min(1., (images + 16) / settings.warm) * decay


class Run:
    """One process's share of a training run."""

    def __init__(self, rank, settings, shared):
        torch.set_num_threads(1)
        torch.manual_seed(settings.seed)
        self.rank, self.settings, self.shared = rank, settings, shared
        self.net = build()
        self.joint = settings.stage != 'tower'
        named = [(n, p) for n, p in self.net.named_parameters() if trained(n, self.joint)]
        self.parameters = [p for _, p in named]
        self.optimiser = Optimiser(named, settings.muon, settings.adam, settings.tower_factor, settings.decay,
                                   rank, settings.processes, shared.updates, shared.barrier)
        self.images, self.average = 0, None
        self.restore()
        self.pool = scenes.Pool(settings.pool)
        seed = settings.seed + settings.processes * self.optimiser.steps + rank
        torch.manual_seed(seed)
        self.rng = random.Random(seed)
        self.check = None
        if self.joint:
            tokenizer = Tokenizer(settings.tokenizer)
            self.check = Check(tokenizer, build()) if rank == 0 else None
            self.packer = Packer(tokenizer, self.net.size, self.rng, np.random.default_rng(seed),
                                 settings.mix, settings.busy)

    def restore(self):
        path = self.settings.out
        if os.path.exists(path):
            saved = torch.load(path)
            self.net.load_state_dict(saved['weights'])
            self.optimiser.load(saved['optimiser'])
            self.images, self.average = saved['images'], saved['average']
        elif self.settings.init:
            begin(self.net, self.settings.init)
        if self.average is None:
            self.average = {n: v.clone() for n, v in self.net.state_dict().items()}

    def save(self):
        temporary = self.settings.out + '.tmp'
        torch.save({'weights': self.net.state_dict(), 'average': self.average, 'images': self.images,
                    'optimiser': self.optimiser.state()}, temporary)
        os.rename(temporary, self.settings.out)

    def loss(self):
        count = self.settings.per_process
        if self.joint and self.images >= self.settings.settle:
            batch = self.packer.batch(self.pool, count)
            with autocast():
                return joint_loss(self.net, batch, self.settings.heads)[:2]
        _, batch = image_batch(self.pool, self.rng, count, self.net.size.grid)
        with autocast():
            with torch.set_grad_enabled(not self.joint):
                features = self.net.vision_model(batch.image)
            return self.net.teachers(features, batch)

    def average_gradients(self):
        """Replace every gradient by the clipped mean over processes; -> its norm."""
        flat, barrier = self.shared.gradients, self.shared.barrier
        flat[self.rank].copy_(torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten()
                                         for p in self.parameters]))
        barrier.wait()
        mean = flat.mean(0)
        barrier.wait()
        norm = float(mean.norm())
        mean *= min(1., self.settings.clip / (norm + 1e-6))
        for p, part in zip(self.parameters, mean.split([p.numel() for p in self.parameters])):
            if p.grad is not None:
                p.grad = part.view_as(p)
        return norm

    @torch.no_grad()
    def update_average(self):
        keep = min(self.settings.average, 1 - 1 / (self.optimiser.steps / 8 + 2))
        for name, value in self.net.state_dict().items():
            self.average[name].lerp_(value, 1 - keep)

    def step(self):
        """-> what the log prints."""
        started = time.time()
        for p in self.parameters:
            p.grad = None
        loss, facts = self.loss()
        loss.backward()
        own = time.time() - started
        norm = self.average_gradients()
        factor = rate_factor(self.images, self.settings)
        self.optimiser.step(factor)
        self.images += self.settings.per_process * self.settings.processes
        if self.rank == 0:
            self.update_average()
        return dict(loss=loss.item(), **facts, norm=norm, rate=factor, own=own, seconds=time.time() - started)

    def run(self):
        saved, log = time.time(), []
        while self.images < self.settings.until_images:
            before = self.images
            log.append(self.step())
            if self.rank:
                continue
            if self.optimiser.steps % LOG_STEPS == 0:
                self.tell({key: sum(entry[key] for entry in log) / len(log) for key in log[-1] if key in log[0]})
                log = []
            if self.check and self.images // self.settings.check_every > before // self.settings.check_every:
                self.tell(self.check(self.average))
            if time.time() - saved > self.settings.save_every:
                self.save()
                saved = time.time()
        if self.rank == 0:
            if self.check:
                self.tell(self.check(self.average))
            self.save()

    def tell(self, facts):
        """Facts go to the terminal and, as a line of JSON, to OUT.jsonl."""
        print(time.strftime('%H:%M:%S'), 'images', self.images, ' '.join('%s %.3f' % item for item in facts.items()), flush=True)
        with open(os.path.splitext(self.settings.out)[0] + '.jsonl', 'a') as log:
            log.write(json.dumps({'time': round(time.time()), 'images': self.images,
                                  **{key: round(value, 5) for key, value in facts.items()}}) + '\n')


def build():
    net = Ferret(Sizes())
    net.teachers = Heads(net.size)
    return net


def begin(net, init):
    """Weights of another stage's checkpoint, or of a folder in the published layout; new teachers stay as they are."""
    if os.path.isdir(init):
        weights = {**checkpoint.read_folder(init), **checkpoint.read_folder(os.path.join(init, 'vision_tower'))}
    else:
        weights = torch.load(init)['average']
    missing, unexpected = net.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    assert not unexpected and all(name.startswith('teachers.') for name in missing), (init, missing, unexpected)


def trained(name, joint):
    """Whether a parameter learns in this stage."""
    return 'post_layernorm' not in name and (joint or name.startswith(('vision_model.', 'teachers.')))


def work(rank, settings, shared):
    warnings.filterwarnings('ignore')
    Run(rank, settings, shared).run()


def main(stage, out, pool, *options):
    settings = {**COMMON, **DEFAULTS[stage], 'stage': stage, 'out': out, 'pool': pool}
    for option in options:
        key, value = option.split('=', 1)
        settings[key] = type(settings[key])(value)
    settings = SimpleNamespace(**settings)
    sizes = [p.numel() for n, p in build().named_parameters() if trained(n, stage != 'tower')]
    print(settings, 'parameters', sum(sizes), 'pool', scenes.Pool(pool).digest(), flush=True)
    shared = SimpleNamespace(gradients=torch.zeros(settings.processes, sum(sizes)).share_memory_(),
                             updates=torch.zeros(sum(sizes)).share_memory_(),
                             barrier=mp.get_context('spawn').Barrier(settings.processes))
    mp.spawn(work, (settings, shared), nprocs=settings.processes)


if __name__ == '__main__':
    main(*sys.argv[1:])

"""Muon for the matrices inside transformer layers, Adam for everything else; shared by data-parallel processes."""
import torch

from arithmetic import FAST


def orthogonalise(matrix):
    """Five Newton-Schulz steps: the nearest (roughly) orthogonal matrix."""
    x = matrix.to(FAST)
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        a = x @ x.t()
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x.t() if tall else x).float()


class Optimiser:
    """Every process holds the same parameters and averaged gradients; each orthogonalises its share of the matrices and
    leaves the result in `updates`, a flat tensor in shared memory."""

    def __init__(self, named, muon_rate, adam_rate, tower_factor, decay, rank, world, updates, barrier):
        self.rates, self.decay, self.tower_factor = (muon_rate, adam_rate), decay, tower_factor
        self.rank, self.world, self.updates, self.barrier = rank, world, updates, barrier
        self.matrices = [(n, p) for n, p in named if p.ndim == 2 and '.layers.' in n]
        self.others = [(n, p) for n, p in named if not (p.ndim == 2 and '.layers.' in n)]
        self.steps = 0
        self.momentum = {n: torch.zeros_like(p) for n, p in self.matrices}
        self.moments = {n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in self.others}

    def state(self):
        return {'steps': self.steps, 'momentum': self.momentum, 'moments': self.moments}

    def load(self, state):
        self.steps, self.momentum, self.moments = state['steps'], state['momentum'], state['moments']

    def rate(self, name, which, factor):
        return self.rates[which] * factor * (self.tower_factor if name.startswith('vision_model.') else 1.)

    @torch.no_grad()
    def step(self, factor):
        self.steps += 1
        self.step_matrices(factor)
        beta1, beta2 = .9, .98
        for name, p in self.others:
            if p.grad is None:
                continue
            mean, square = self.moments[name]
            mean.mul_(beta1).add_(p.grad, alpha=1 - beta1)
            square.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
            scale = (square / (1 - beta2 ** self.steps)).sqrt_().add_(1e-8)
            p.addcdiv_(mean / (1 - beta1 ** self.steps), scale, value=-self.rate(name, 1, factor))

    def step_matrices(self, factor):
        inertia, slots, end = min(.95, .85 + .1 * self.steps / 300), [], 0
        for i, (name, p) in enumerate(self.matrices):
            start, end = end, end + p.numel()
            slots.append(self.updates[start:end].view_as(p))
            if p.grad is None:
                continue
            momentum = self.momentum[name]
            momentum.mul_(inertia).add_(p.grad)
            if i % self.world == self.rank:
                slots[i].copy_(orthogonalise(p.grad + inertia * momentum) * max(1, p.shape[0] / p.shape[1]) ** .5)
        self.barrier.wait()
        for slot, (name, p) in zip(slots, self.matrices):
            if p.grad is not None:
                rate = self.rate(name, 0, factor)
                p.mul_(1 - self.decay * rate).add_(slot, alpha=-rate)

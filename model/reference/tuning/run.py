"""A tuning run: order of examples, accumulation of gradients, updates, log, resumption."""
import json
import os
import random
import time

import torch

from tokenizer import IMAGE
from tuning import conversations, schedule
from tuning.model import Student

STATE = 'training.pt'      # in the output folder; gone when the run is done
LOG = 'log.jsonl'


class Run:
    def __init__(self, model, records, out, chosen, say=print):
        self.out, self.chosen, self.say = out, chosen, say
        self.student = Student(model, chosen.base, chosen.tower, chosen.frozen)
        tokenizer, template = self.student.ferret.tokenizer, self.student.ferret.template
        self.records = conversations.Records(records, tokenizer, template)
        self.checked = conversations.Records(chosen.check, tokenizer, template) if chosen.check else []
        self.total = schedule.steps_of(len(self.records), chosen)
        self.optimiser = torch.optim.AdamW(self.student.learning.values(), lr=chosen.rate, weight_decay=chosen.decay)
        self.step = 0
        self.identity = dict(vars(chosen), records=self.records.sha256, save_every=0, check_every=0, check='')
        os.makedirs(out, exist_ok=True)
        self.resume()

    def resume(self):
        path = os.path.join(self.out, STATE)
        if not os.path.exists(path):
            return
        saved = torch.load(path)
        if saved['identity'] != self.identity:
            differs = sorted(key for key in self.identity if saved['identity'].get(key) != self.identity[key])
            raise schedule.BadSetting('%s was begun with another %s' % (path, ', '.join(differs)))
        with torch.no_grad():
            for name, value in self.student.learning.items():
                value.copy_(saved['weights'][name])
        self.optimiser.load_state_dict(saved['optimiser'])
        self.step = saved['step']
        self.say('resumed at step %d of %d' % (self.step, self.total))

    def keep(self):
        path = os.path.join(self.out, STATE)
        torch.save({'identity': self.identity, 'step': self.step, 'weights': dict(self.student.learning),
                    'optimiser': self.optimiser.state_dict()}, path + '.tmp')
        os.rename(path + '.tmp', path)

    def example(self, number):
        """Example `number` of the run, counted through all epochs, each in an order of its own."""
        epoch, place = divmod(number, len(self.records))
        order = list(range(len(self.records)))
        random.Random(self.chosen.seed * 1000003 + epoch).shuffle(order)
        return self.records[order[place]]

    def batch(self):
        """The next examples, without those that don't fit or whose turns don't tokenize (said, and left out)."""
        taken = []
        for number in range(self.step * self.chosen.batch, (self.step + 1) * self.chosen.batch):
            try:
                item = self.example(number)
                if conversations.usable(item, self.student.positions(), self.chosen.length):
                    taken.append((number, item))
                else:
                    self.say('left out: %s is longer than %d tokens' % (item.id, self.chosen.length))
            except conversations.BadExample as why:
                self.say('left out: %s' % why)
        return taken

    def update(self):
        """One optimiser step over a batch, one conversation at a time -> what the log says."""
        started, chosen, taken = time.time(), self.chosen, self.batch()
        count = sum(target != conversations.NONE for _, item in taken for target in item.targets)
        loss, right = 0., 0
        self.optimiser.zero_grad(set_to_none=True)
        for number, item in taken:
            summed, _, hits = self.student.loss(item, chosen.seed + number, chosen.precision)
            (summed / count).backward()
            loss, right = loss + summed.item() / count, right + hits
        norm = torch.nn.utils.clip_grad_norm_(self.student.learning.values(), chosen.clip)
        rate = schedule.rate_at(self.step, self.total, chosen)
        for group in self.optimiser.param_groups:
            group['lr'] = rate
        self.optimiser.step()
        self.step += 1
        return dict(step=self.step, images=self.step * chosen.batch, loss=loss, right=right / max(1, count), norm=float(norm),
                    rate=rate, tokens=count, seconds=time.time() - started)

    @torch.no_grad()
    def check(self):
        """Loss and share of right tokens on records that nothing is learned from."""
        told = [self.student.loss(self.checked[i], 0, self.chosen.precision) for i in range(len(self.checked))]
        count = sum(n for _, n, _ in told)
        return dict(check_loss=float(sum(loss for loss, _, _ in told)) / count, check_right=sum(hits for _, _, hits in told) / count)

    def run(self):
        with open(os.path.join(self.out, LOG), 'a') as log:
            while self.step < self.total:
                facts = self.update()
                if self.checked and (self.step % self.chosen.check_every == 0 or self.step == self.total):
                    facts.update(self.check())
                log.write(json.dumps(facts) + '\n')
                log.flush()
                self.say(' '.join('%s %.5g' % item for item in facts.items()))
                if self.step % self.chosen.save_every == 0 and self.step < self.total:
                    self.keep()
        self.student.save(self.out)
        if os.path.exists(os.path.join(self.out, STATE)):
            os.remove(os.path.join(self.out, STATE))

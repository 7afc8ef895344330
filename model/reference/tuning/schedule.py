"""Settings of a tuning run, and the learning rate over it."""
import math
from types import SimpleNamespace

# The recipe of the paper and its scripts: 8 GPUs x 16 conversations, AdamW, cosine to zero, the tower frozen.
PRESETS = {
    'paper': dict(epochs=3, batch=128, rate=2e-5, warmup=.03, decay=0., clip=1., frozen='tower', precision='bf16', length=2048),
    'small': dict(epochs=1, batch=16, rate=3e-4, warmup=.05, decay=0., clip=1., frozen='', precision='f32', length=2048),
}
COMMON = dict(preset='paper', seed=1, steps=0, tower='', base='', check='', check_every=100, save_every=500)
PARTS = 'tower', 'projector', 'sampler', 'decoder'


class BadSetting(ValueError):
    pass


def settings(options):
    """['key=value', ..] -> namespace; `preset` first, everything else over it."""
    given = {}
    for option in options:
        key, separator, value = option.partition('=')
        if not separator:
            raise BadSetting('expected key=value, found "%s"' % option)
        given[key] = value
    preset = given.get('preset', COMMON['preset'])
    if preset not in PRESETS:
        raise BadSetting('preset: expected one of %s, found "%s"' % (' '.join(PRESETS), preset))
    values = dict(COMMON, **PRESETS[preset])
    for key, value in given.items():
        if key not in values:
            raise BadSetting('no setting "%s"; there are: %s' % (key, ' '.join(sorted(values))))
        try:
            values[key] = type(values[key])(value)
        except ValueError:
            raise BadSetting('%s: expected %s, found "%s"' % (key, type(values[key]).__name__, value)) from None
    values['frozen'] = [part for part in values['frozen'].split(',') if part]
    if not set(values['frozen']) < set(PARTS):
        raise BadSetting('frozen: expected some of %s, found "%s"' % (' '.join(PARTS), ','.join(values['frozen'])))
    if values['precision'] not in ('bf16', 'f32'):
        raise BadSetting('precision: expected bf16 or f32, found "%s"' % values['precision'])
    return SimpleNamespace(**values)


def part_of(name):
    """The part that a tensor of the published layout belongs to."""
    if name.startswith('vision_model.'):
        return 'tower'
    if name.startswith('model.mm_projector.'):
        return 'projector'
    return 'sampler' if name.startswith('model.region_geo_sampler.') else 'decoder'


def steps_of(count, chosen):
    """Updates of a whole run over `count` examples."""
    return chosen.steps or math.ceil(count * chosen.epochs / chosen.batch)


def rate_at(step, total, chosen):
    """Learning rate of update `step` (from 0): linear warm-up over a share of all, then a cosine to zero."""
    warm = math.ceil(chosen.warmup * total)
    if step < warm:
        return chosen.rate * (step + 1) / warm
    return chosen.rate * .5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

"""`make eval`: held-out scenes, the C engine's answers, the table."""
import json
import multiprocessing
import os
import subprocess
import sys
import time

import scenes

from . import drawn, score
from .records import Problem, Records, read_lines
from .score import Scores, digest
from .withheld import withhold

POPULAR_OF = 500            # scenes that popularity is counted in
REGIONS = {'box', 'point', 'mask'}


def first_seed(seed, validation=False):
    """Scenes of different SEEDs, of training and of validation are all different ones."""
    first = (drawn.VALIDATION if validation else drawn.TEST) + seed * drawn.PER_SEED
    if seed < 0 or validation and first >= drawn.TEST:
        raise Problem('SEED: expected 0 or more (validation: below 100), found %d' % seed)
    return first


def write_scenes(folder, first, count, processes=2, width=scenes.SIDE, height=scenes.SIDE):
    """Pictures, truth.jsonl and manifest.jsonl of `count` scenes from the seed `first` on."""
    if not 0 < count <= drawn.PER_SEED:
        raise Problem('SCENES: expected 1 to %d, found %d' % (drawn.PER_SEED, count))
    os.makedirs(folder, exist_ok=True)
    with multiprocessing.Pool(processes) as pool:
        sample = pool.map(scenes.draw, range(first, first + min(POPULAR_OF, count)), 25)
        popular = drawn.popular_nouns(sample)
        made = pool.starmap(drawn.prepare, [(folder, s, width, height, popular) for s in range(first, first + count)], 25)
    for name, lines in (('truth.jsonl', [t for t, _ in made]), ('manifest.jsonl', [m for _, m in made])):
        with open(os.path.join(folder, name), 'w') as file:
            file.writelines(json.dumps(line, separators=(',', ':')) + '\n' for line in lines)


def regions_only(folder):
    """The part of a manifest that asks what a region shows; all regions stay, since tasks name them by number."""
    path = os.path.join(folder, 'regions.jsonl')
    with open(path, 'w') as file:
        for _, job in read_lines(os.path.join(folder, 'manifest.jsonl')):
            tasks = [t for t in job['tasks'] if t['id'].split('-')[0] in REGIONS]
            file.write(json.dumps(dict(job, tasks=tasks), separators=(',', ':')) + '\n')
    return path


def score_scenes(truth_path, records, kinds=None):
    """-> the score file's content.  kinds: what was asked, where that is not everything."""
    scores, asked, missing, truths = Scores(), 0, 0, []
    for _, truth in read_lines(truth_path):
        truths.append(json.dumps(truth, sort_keys=True))
        for question in truth['questions']:
            if kinds and question['kind'] not in kinds:
                continue
            text = records.text(truth['id'], question['answer_id'])
            asked, missing = asked + 1, missing + (text is None)
            for measure, item in drawn.judge(truth, question, text):
                scores.add(measure, drawn.kind_of(measure), item)
    if not asked:
        raise Problem('%s: nothing to ask' % truth_path)
    return score.document('scenes', scores, records.made_by, digest('\n'.join(truths)), asked, missing)


def annotate(program, manifest, out, options):
    """-> seconds."""
    started = time.monotonic()
    code = subprocess.run([program, 'annotate', manifest, '-o', out, *options], stdout=subprocess.DEVNULL).returncode
    if code not in (0, 1):
        raise Problem('%s annotate ended with code %d' % (program, code))
    return time.monotonic() - started


def engine_options(settings, model):
    return ['--model', model] + (['--dtype', settings.dtype] if settings.dtype else []) + \
        (['--device', settings.device] if settings.device else [])


def ordered(value):
    """The model card's measures first."""
    named = value['measures']
    names = drawn.MEASURES + sorted(set(named) - set(drawn.MEASURES))
    return dict(value, measures={n: named[n] for n in names if n in named})


def run(settings):
    """settings: ferret, model, dtype, device, seed, scenes, validation, size, out, processes, withheld."""
    card_path = os.path.join(settings.out, 'default.json')
    if os.path.exists(card_path):
        os.remove(card_path)
    first = first_seed(settings.seed, settings.validation)
    folder = os.path.join(settings.out, 'scenes-%d-%d' % (first, settings.scenes))
    say('drawing %d scenes from seed %d on' % (settings.scenes, first))
    write_scenes(folder, first, settings.scenes, settings.processes, *settings.size)
    value = answered(settings, settings.model, folder, os.path.join(folder, 'manifest.jsonl'), '')
    print(score.report(value))
    score.write(card_path, card(value))
    if settings.withheld:
        run_withheld(settings, folder)


def answered(settings, model, folder, manifest, prefix, kinds=None):
    """Runs the program over a manifest of the folder and scores it; keeps records-... and score-PREFIX DTYPE-SEED."""
    fresh = os.path.join(settings.out, 'records.jsonl')
    seconds = annotate(settings.ferret, manifest, fresh, engine_options(settings, model))
    value = ordered(score_scenes(os.path.join(folder, 'truth.jsonl'), Records([fresh]), kinds))
    if value['missing'] == value['asked']:
        raise Problem('%s: no answer to anything; the records say why' % fresh)
    say('%d answers in %.0f s' % (value['asked'], seconds))
    name = '%s%s-%d' % (prefix, value['model']['dtype'], settings.seed)
    os.rename(fresh, os.path.join(settings.out, 'records-%s.jsonl' % name))
    score.write(os.path.join(settings.out, 'score-%s.json' % name), value)
    return value


def card(value):
    """{measure: {value, n, low, high}} of the model card's measures."""
    return {name: {key: value['measures'].get(name, {}).get(key) for key in ('value', 'n', 'low', 'high')} for name in drawn.MEASURES}


def run_withheld(settings, folder):
    """The paper's ablation: regions by their coordinates only."""
    model = os.path.join(settings.out, 'model-withheld')
    withhold(settings.model, model)
    value = answered(settings, model, folder, regions_only(folder), 'withheld-', REGIONS)
    print('\nregion feature withheld: coordinates only\n')
    print(score.report(value))


def say(text):
    print('eval: ' + text, file=sys.stderr, flush=True)

"""What all suites share: questions become jobs of a manifest, records become answers to questions, joined by id.

A suite is a module with
    DESCRIPTION, EXAMPLE    for --help
    QUIRKS                  {name: what the official script does}; off unless asked for
    arguments(parser)       its own options
    questions(options)      -> [Question]; the same list for manifest and score
    judge(question, answer, quirks)    -> [(measure, kind, Item)]; answer None: missing or failed
    finish(judged, quirks)  optional: [(question, answer)] -> more of them, what only the whole set can tell
"""
import json
import os
from collections import Counter
from typing import Any, NamedTuple

from . import score
from .records import Problem

TASKS_A_JOB = 64            # a job may have 256 and 16 KiB
BY_POSITION = 'by-position'
SHIFTED = {BY_POSITION: 'answers are matched by order, so that a missing one moves all that follow'}
TRUNCATED = {'truncated-boxes': 'boxes in whole pixels, rounded towards zero'}


class Question(NamedTuple):
    id: str             # unique in the suite
    image: str          # path below the image folder
    task: dict          # the manifest's task without id; "{region}" in a question names the region
    truth: Any
    region: Any = None  # the manifest's region


class Place(NamedTuple):
    """Where a question's answer stands."""
    record: str
    answer: str


def places(questions):
    """-> [Place], one a question: an image's questions share jobs, TASKS_A_JOB in each."""
    seen, found, ids = Counter(), [], set()
    for q in questions:
        if q.id in ids:
            raise Problem('two questions with the id %s' % q.id)
        ids.add(q.id)
        part = seen[q.image] // TASKS_A_JOB
        seen[q.image] += 1
        found.append(Place(q.image + ('#%d' % part if part else ''), q.id))
    return found


def manifest(questions, folder):
    """-> the manifest's lines as objects; folder: where the images are, beside the manifest or absolute."""
    jobs = {}
    for q, place in zip(questions, places(questions)):
        job = jobs.setdefault(place.record, {'id': place.record, 'image': {'path': os.path.join(folder, q.image)}, 'regions': [],
                                             'tasks': []})
        task = dict(q.task)
        if q.region is not None:
            task['question'] = task['question'].replace('{region}', '{region%d}' % len(job['regions']))
            job['regions'].append(q.region)
        job['tasks'].append({'id': place.answer, **task})
    return list(jobs.values())


def answers(questions, records, quirks):
    found = [records.answer(*place) for place in places(questions)]
    if BY_POSITION in quirks:
        there = [a for a in found if a is not None]
        return there + [None] * (len(found) - len(there))
    return found


def run(name, suite, options, records):
    """-> the score file's content."""
    quirks = chosen(suite, options.quirk)
    asked = suite.questions(options)
    if not asked:
        raise Problem('%s: nothing to ask in these files' % name)
    judged = list(zip(asked, answers(asked, records, quirks)))
    if all(answer is None for _, answer in judged):
        raise Problem('%s: none of %d answers is in these records; ids look like %s' % (name, len(judged), places(asked[:1])[0].record))
    scores = score.Scores()
    for q, answer in judged:
        for measure, kind, item in suite.judge(q, answer, quirks):
            scores.add(measure, kind, item)
    for measure, kind, item in getattr(suite, 'finish', lambda *_: [])(judged, quirks):
        scores.add(measure, kind, item)
    what = score.digest('\n'.join(json.dumps(q, sort_keys=True) for q in asked))
    return score.document(name, scores, records.made_by, what, len(asked), sum(a is None for _, a in judged), quirks)


def chosen(suite, names):
    if 'all' in names:
        return frozenset(suite.QUIRKS)
    for name in names:
        if name not in suite.QUIRKS:
            raise Problem('no quirk %s here; there are: %s' % (name, ', '.join(suite.QUIRKS) or 'none'))
    return frozenset(names)


def boxes(answer, quirks):
    """[(phrase, [box])] of an answer, in pixels."""
    if answer is None:
        return []
    key = 'truncated' if 'truncated-boxes' in quirks else 'boxes'
    return [(e['phrase'], e[key]) for e in answer['entities'] if e[key]]


def need(value, where, *names):
    """Members of an object of a published file, or a Problem that names what is missing."""
    missing = [n for n in names if not isinstance(value, dict) or n not in value]
    if missing:
        raise Problem('%s: expected %s' % (where, ', '.join(missing)))
    return [value[n] for n in names] if len(names) > 1 else value[names[0]]

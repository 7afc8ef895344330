"""POPE: does the image hold this object? Yes or no."""
import os

from ..intervals import RATIO, SHARE, Item
from ..records import Problem, read_lines
from ..suite import SHIFTED, Question, need

DESCRIPTION = """Files: coco_pope_random.json, ..._popular.json, ..._adversarial.json as published (an object a line: question_id,
image, text, label), any number of them; measures carry what stands behind the last "_" of the file's name.  An answer means no
where its first sentence has the word "no" or "not", and yes where it has "yes"; neither, or no answer, is wrong and
counts as not yes.  yes_ratio: share of "yes" among all questions."""
EXAMPLE = '--questions coco_pope_random.json coco_pope_popular.json coco_pope_adversarial.json --images val2014'
QUIRKS = {'else-yes': 'whatever is not no means yes; "No", "no" and "not" only, with this case', **SHIFTED}


def arguments(parser):
    parser.add_argument('--questions', required=True, nargs='+', metavar='FILE', help='one question a line')


def questions(options):
    found = []
    for path in options.questions:
        sampling = os.path.basename(path).split('.')[0].split('_')[-1]
        for number, line in read_lines(path):
            where = '%s:%d' % (path, number)
            image, text, label = need(line, where, 'image', 'text', 'label')
            if label not in ('yes', 'no'):
                raise Problem('%s: label: expected yes or no, found %r' % (where, label))
            found.append(Question('%s/%s' % (sampling, line.get('question_id', number)), image, {'kind': 'ask', 'question': text},
                                  (sampling, label == 'yes')))
    return found


def verdict(text, quirks):
    """-> True yes, False no, None neither."""
    first = text.split('.')[0].replace(',', '')
    if 'else-yes' in quirks:
        return not {'No', 'no', 'not'} & set(first.split(' '))
    words = first.lower().split()
    return False if {'no', 'not'} & set(words) else True if 'yes' in words else None


def judge(question, answer, quirks):
    sampling, label = question.truth
    said = None if answer is None else verdict(answer['text'], quirks)
    yes = said is True

    def item(value, weight=1.):
        return Item(question.id, question.image, float(value), weight)

    yield 'accuracy_' + sampling, SHARE, item(said is label)
    yield 'yes_ratio_' + sampling, SHARE, item(yes)
    if yes:
        yield 'precision_' + sampling, SHARE, item(label)
    if label:
        yield 'recall_' + sampling, SHARE, item(yes)
    if yes or label:                    # F1 = 2 TP / (yes said + yes true)
        yield 'f1_' + sampling, RATIO, item(2. * (yes and label), float(yes) + float(label))

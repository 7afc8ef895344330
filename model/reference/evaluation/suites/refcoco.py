"""RefCOCO, RefCOCO+, RefCOCOg: referring expression comprehension."""
from ..boxes import from_xywh, iou
from ..intervals import RATIO, SHARE, Item
from ..records import Problem, read_json
from ..suite import SHIFTED, TRUNCATED, Question, boxes, need

DESCRIPTION = """Files: finetune_refcoco_testA.json and the like, as MDETR publishes them (COCO's form, a caption an image
entry, one box each); images: COCO train2014.  acc: the first box has an overlap (IoU) of at least a half; acc_any: some box has
("upper bound"); acc_mean: the mean of all boxes has; iou: mean overlap of the first box, none counting as 0."""
EXAMPLE = '--annotations finetune_refcoco_testA.json --images train2014'
QUIRKS = {**TRUNCATED, **SHIFTED}
HIT = .5


def arguments(parser):
    parser.add_argument('--annotations', required=True, metavar='FILE', help='MDETR-style JSON')


def questions(options):
    path = options.annotations
    data = read_json(path)
    images, annotations = need(data, path, 'images', 'annotations')
    truth = {}
    for number, a in enumerate(annotations):
        image, box = need(a, '%s: annotations[%d]' % (path, number), 'image_id', 'bbox')
        if image in truth:
            raise Problem('%s: annotations[%d]: a second box for image_id %s' % (path, number, image))
        truth[image] = from_xywh(box)
    found = []
    for number, image in enumerate(images):
        where = '%s: images[%d]' % (path, number)
        key, name, caption = need(image, where, 'id', 'file_name', 'caption')
        if key not in truth:
            raise Problem('%s: no annotation of image_id %s' % (where, key))
        found.append((key, Question(str(key), name, {'kind': 'locate', 'phrases': [caption]}, truth[key])))
    return [q for _, q in sorted(found, key=lambda pair: pair[0])]


def judge(question, answer, quirks):
    found = [box for _, some in boxes(answer, quirks) for box in some]
    overlaps = [iou(box, question.truth) for box in found] or [0.]
    mean = iou([sum(v) / len(found) for v in zip(*found)], question.truth) if found else 0.

    def item(value):
        return Item(question.id, question.image, float(value))

    yield 'acc', SHARE, item(overlaps[0] >= HIT)
    yield 'iou', RATIO, item(overlaps[0])
    yield 'acc_any', SHARE, item(max(overlaps) >= HIT)
    yield 'acc_mean', SHARE, item(mean >= HIT)

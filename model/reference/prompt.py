"""The conversation as text: needs nothing but Python.  (Specification 6.4; coordinates 6.1.)"""

PUBLISHED_TEMPLATE = {
    'system': 'A chat between a human and an AI that understands visuals. In images, [x, y] denotes points: top-left [0, 0], '
              'bottom-right [width-1, height-1]. Increasing x moves right; y moves down. Bounding box: [x1, y1, x2, y2]. '
              'Image size: 1000x1000. Follow instructions. ',
    'roles': ['USER', 'ASSISTANT'], 'separators': [' ', '</s>']}


def text_value(pixel, size):
    """A pixel coordinate as it is written in text, 0..1000."""
    return int(pixel * (1000. / size))


def region_text(pixels, width, height):
    """Two or four pixel coordinates -> '[x, y]' or '[x1, y1, x2, y2]'."""
    return '[%s]' % ', '.join(str(text_value(v, height if i % 2 else width)) for i, v in enumerate(pixels))


def render(template, turns):
    """Turns (user, assistant, user ...) -> prompt text, up to and with the next assistant role (specification 6.4)."""
    system, separators = template['system'], template['separators']
    text = system + separators[0] if system else ''
    for i, turn in enumerate(turns):
        message = turn if i else '<image>\n' + turn
        text += '%s: %s%s' % (template['roles'][i % 2], message, separators[i % 2])
    return text + template['roles'][1] + ':'

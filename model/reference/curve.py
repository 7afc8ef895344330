"""The log of a training run as a picture.

    python3 curve.py LOG.jsonl OUT.svg

Left: next-token loss and the tower's error in pixels, in training.  Right: right answers by kind of question, on scenes that
training doesn't see (`checks.py`).
"""
import json
import sys

WIDTH, HEIGHT, MARGIN, TOP = 760, 330, 46, 76      # TOP: title and legend
LEFT = [('tokens', 'next-token loss'), ('pixels', 'box edge, pixels')]
COLOURS = ['#1b6ca8', '#d1495b', '#2e8b57', '#8a5aa8', '#b8860b', '#444444', '#e07b39', '#4fb3bf', '#a0522d']
CHECKED = 'check_'
NOT_SHARES = {'check_loss', 'check_pixels'}


def read(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def series(entries, name):
    return [(entry['images'], entry[name]) for entry in entries if name in entry]


def nice_step(span):
    """1, 2 or 5 times a power of ten, about a fifth of the span."""
    power = 1.
    while power * 10 <= span / 4:
        power *= 10
    while power > span / 4:
        power /= 10
    return max(power * factor for factor in (1, 2, 5) if power * factor <= span / 4)


class Panel:
    """One plot; x, y: of its upper left corner."""

    def __init__(self, x, title, last, low, high):
        self.x, self.last, self.low, self.high = x, last, low, high
        self.width, self.height = WIDTH / 2 - MARGIN - 14, HEIGHT - TOP - MARGIN
        self.parts = ['<text x="%g" y="20" font-weight="bold">%s</text>' % (x, title)]
        self.grid()

    def at(self, images, value):
        return (self.x + self.width * images / self.last,
                TOP + self.height * (1 - (value - self.low) / (self.high - self.low)))

    def grid(self):
        step, value = nice_step(self.high - self.low), self.low
        while value <= self.high + step / 100:
            _, y = self.at(0, value)
            self.parts.append('<path d="M%g %.1fh%g" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%g</text>'
                              % (self.x, y, self.width, self.x - 5, y + 4, round(value, 6)))
            value += step
        step, images = nice_step(self.last), 0
        while images <= self.last:
            x, _ = self.at(images, 0)
            self.parts.append('<text x="%.1f" y="%g" text-anchor="middle">%g</text>' % (x, HEIGHT - MARGIN + 16, images / 1000))
            images += step
        self.parts.append('<text x="%g" y="%g" text-anchor="middle">thousand images</text>'
                          % (self.x + self.width / 2, HEIGHT - 10))

    def line(self, number, name, points):
        colour = COLOURS[number % len(COLOURS)]
        path = ' '.join('%.1f,%.1f' % self.at(*point) for point in points)
        self.parts.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="1.6"/>' % (path, colour))
        self.parts.append('<text x="%g" y="%g" fill="%s">%s</text>' % (self.x + 6 + 78 * (number % 4), 36 + 14 * (number // 4),
                                                                     colour, name))


def draw(entries):
    last = max(entry['images'] for entry in entries)
    shown = [(label, series(entries, name)) for name, label in LEFT if series(entries, name)]
    high = max(value for _, points in shown for _, value in points)
    losses = Panel(MARGIN, 'training', last, 0., high * 1.02)
    for number, (label, points) in enumerate(shown):
        losses.line(2 * number, label, points)
    names = sorted({name for entry in entries for name in entry if name.startswith(CHECKED)} - NOT_SHARES)
    low = min([value for name in names for _, value in series(entries, name)] or [0.])
    checks = Panel(WIDTH / 2 + MARGIN - 8, 'right answers, percent', last, 10 * (low // 10), 100.)
    for number, name in enumerate(names):
        checks.line(number, name[len(CHECKED):].replace('_', ' '), series(entries, name))
    return '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">' \
           '<rect width="100%%" height="100%%" fill="white"/>%s</svg>\n' % (WIDTH, HEIGHT, ''.join(losses.parts + checks.parts))


def main(log, out):
    with open(out, 'w') as file:
        file.write(draw(read(log)))


if __name__ == '__main__':
    main(*sys.argv[1:])

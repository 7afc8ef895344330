"""Which classes stand in the same images of a data set."""

BEST = 10       # candidates that a hard negative is drawn from


class Cooccurrence:
    def __init__(self):
        self.images, self.together = {}, {}

    def add(self, names):
        """The classes of one image, each once."""
        for name in names:
            self.images[name] = self.images.get(name, 0) + 1
            row = self.together.setdefault(name, {})
            for other in names:
                if other != name:
                    row[other] = row.get(other, 0) + 1

    def share(self, name, other):
        """Of the images with `name`, the share that hold `other` too."""
        return self.together.get(name, {}).get(other, 0) / self.images[name] if name in self.images else 0.

    def usual(self, present, absent):
        """Of the absent classes those that are most often found beside a present one: [(absent, present)], best first."""
        scored = []
        for other in absent:
            share, beside = max((self.share(name, other), name) for name in present)
            if share > 0:
                scored.append((-share, other, beside))
        return [(other, beside) for _, other, beside in sorted(scored)[:BEST]]

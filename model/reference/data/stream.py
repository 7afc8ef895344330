"""Elements of the arrays of a JSON file, one at a time, whatever the file's size."""
import gzip
import json
import re

SPACE = re.compile(r'[ \t\r\n]*')
REST_OF_NUMBER = re.compile(r'[-+.eE0-9]*')
CHUNK = 1 << 20                 # characters
ELEMENT_LIMIT = 1 << 28         # characters of one element: text that is no JSON isn't read to the file's end


class BadJson(ValueError):
    pass


class Window:
    """The part of a file's text that is being looked at."""

    def __init__(self, file):
        self.file, self.text, self.at, self.gone, self.ended = file, '', 0, 0, False
        self.decoder = json.JSONDecoder()

    def more(self):
        chunk = '' if self.ended else self.file.read(max(CHUNK, len(self.text) - self.at))
        self.ended = not chunk
        self.gone += self.at
        self.text, self.at = self.text[self.at:] + chunk, 0
        return not self.ended

    def fail(self, what):
        raise BadJson('%s at character %d' % (what, self.gone + self.at))

    def peek(self):
        """The next character that is no space, or '' at the end."""
        while True:
            self.at = SPACE.match(self.text, self.at).end()
            if self.at < len(self.text) or not self.more():
                return self.text[self.at:self.at + 1]

    def take(self, expected):
        found = self.peek()
        if not found or found not in expected:
            self.fail('expected one of %s, found %s' % (' '.join(expected), repr(found) if found else 'the end'))
        self.at += 1
        return found

    def value(self):
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except json.JSONDecodeError as why:
                if len(self.text) - self.at > ELEMENT_LIMIT or not self.more():
                    self.fail(why.msg)
                continue
            except RecursionError:
                self.fail('nested too deeply')
            if REST_OF_NUMBER.match(self.text, end).end() < len(self.text) or self.ended:
                self.at = end
                return value
            self.more()                       # a number at the window's end may go on behind it

    def array(self):
        """Elements of the array that stands next."""
        self.take('[')
        if self.peek() == ']':
            self.at += 1
            return
        while True:
            yield self.value()
            if self.take(',]') == ']':
                return


def elements(path):
    """(key, element) for each element of each array at the top level of the file's object; other values come whole.  Where the
    top level is an array: (None, element)."""
    opener = gzip.open if path.endswith('.gz') else open
    with opener(path, 'rt', encoding='utf-8-sig') as file:
        window = Window(file)
        try:
            if window.peek() == '[':
                for element in window.array():
                    yield None, element
                return
            if window.take('{') and window.peek() == '}':
                return
            while True:
                if window.peek() != '"':
                    window.fail('expected a key')
                key = window.value()
                window.take(':')
                if window.peek() == '[':
                    for element in window.array():
                        yield key, element
                else:
                    yield key, window.value()
                if window.take(',}') == '}':
                    return
        except (UnicodeDecodeError, EOFError, OSError) as why:
            raise BadJson('%s at about character %d' % (why, window.gone + window.at)) from None

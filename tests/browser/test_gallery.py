"""The gallery of `ferret export --format html`, opened from its folder."""
import atexit
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import chromium
from chromium import until, want
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FERRET = pathlib.Path(os.environ.get('BIN', ROOT / 'build/bin')) / 'ferret'
WORK = pathlib.Path(tempfile.mkdtemp(prefix='ferret-gallery.'))
atexit.register(shutil.rmtree, WORK, ignore_errors=True)
MANY = 3000
HOSTILE = '</script><img src=x onerror=window.owned=1><svg onload=window.owned=1>"\'`${window.owned=1}\u2028javascript:window.owned=1'


def record(key, uri, width, height, entities=(), text=None, status='ok', **more):
    said = text if text is not None else ' and '.join(e['phrase'] for e in entities)
    return {'schema': 1, 'id': key, 'job': None, 'campaign': None, 'status': status,
            'image': {'uri': str(uri), 'format': 'png', 'width': width, 'height': height}, 'policy': 'default',
            'tasks': [{'id': 'caption', 'task': 'caption', 'question': 'Describe.', 'text': said, 'entities': list(entities),
                       'finish': 'stop', 'tokens': {'prompt': 9, 'output': 9}}], **more}


def entity(text, phrase, boxes, score):
    start = len(text.encode()[:text.encode().index(phrase.encode())])
    return {'phrase': phrase, 'span': [start, start + len(phrase.encode())], 'boxes': boxes, 'truncated': boxes, 'raw': [], 'score': score}


def failed(key, code, message):
    return {'schema': 1, 'id': key, 'job': None, 'campaign': None, 'status': 'failed', 'image': {'uri': key}, 'tasks': [],
            'error': {'class': 'permanent', 'code': code, 'message': message}}


def export(name, records, *flags):
    lines = WORK / (name + '.jsonl')
    lines.write_text(''.join(json.dumps(r, ensure_ascii=False) + '\n' for r in records))
    subprocess.run([FERRET, 'export', '--from', lines, '--format', 'html', '-o', WORK / name, *flags], check=True, capture_output=True)
    return 'file://%s/index.html' % (WORK / name)


def paint(name, width, height, boxes):
    """Black, with boxes of one colour each: where they are can be read off a screenshot."""
    image = Image.new('RGB', (width, height), (0, 0, 0))
    for colour, box in boxes:
        image.paste(colour, box)
    image.save(WORK / name)
    return WORK / name


def sample():
    text = 'Ein großer Hund 🐕 [1, 2, 3, 4] beside a small ball [5, 6, 7, 8].'
    wide = paint('wide.png', 640, 400, [((200, 30, 30), (100, 50, 300, 250)), ((30, 200, 30), (400, 300, 520, 380))])
    tall = paint('tall.png', 300, 900, [((30, 30, 200), (30, 90, 270, 810))])
    return [
        record('wide.png', wide, 640, 400, [entity(text, 'großer Hund 🐕', [[100, 50, 300, 250]], 0.93),
                                            entity(text, 'a small ball', [[400, 300, 520, 380]], 0.41)], text),
        record('tall.png', tall, 300, 900, [entity('a tower', 'a tower', [[30, 90, 270, 810]], 0.77)], 'a tower'),
        record('partial', tall, 300, 900, [], 'nothing to see', 'partial'),
        failed('broken.jpg', 'corrupt', 'no header'), failed('missing.jpg', 'missing', 'no such file'),
    ]


URL = export('sample', sample())
browser = chromium.start()
atexit.register(browser.quit)
css = lambda selector: browser.find_elements(By.CSS_SELECTOR, selector)
js = browser.execute_script


def load(url, n):
    browser.get(url)
    until(browser, lambda: len(css('.card')) == n)


def ids():
    return js("return [...document.querySelectorAll('.card .id')].map(e => e.textContent)")


def search(text):
    box = css('#query')[0]
    box.send_keys(Keys.CONTROL, 'a')
    box.send_keys(text or Keys.DELETE)


def loaded(selector):
    until(browser, lambda: js('const i = document.querySelector(arguments[0]); return i && i.complete && i.naturalWidth > 0', selector + ' img'))


def expect_boxes(selector, width, height, boxes):
    """Each rectangle lies where the box does in the picture as it is shown, to less than a pixel."""
    loaded(selector)
    frame = js('const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.top, r.width, r.height]', selector + ' .frame')
    image = js('const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.top, r.width, r.height]', selector + ' img')
    assert all(abs(a - b) < 0.5 for a, b in zip(frame, image)), (frame, image)
    assert abs(image[2] / image[3] - width / height) < 0.01, 'the picture is stretched: %r' % image
    shown = js('''return [...document.querySelectorAll(arguments[0])].map(r => {
        const m = r.getScreenCTM(), b = r.getBBox();
        return [b.x * m.a + m.e, b.y * m.d + m.f, (b.x + b.width) * m.a + m.e, (b.y + b.height) * m.d + m.f]; })''', selector + ' rect.over')
    want('number of boxes', len(boxes), len(shown))
    scale = image[2] / width
    for box, found in zip(boxes, shown):
        expected = [image[0] + box[0] * scale, image[1] + box[1] * scale, image[0] + box[2] * scale, image[1] + box[3] * scale]
        assert all(abs(a - b) < 1 for a, b in zip(expected, found)), 'expected %r, found %r' % (expected, found)


def boxes_lie_on_what_they_are_about_to_a_pixel():
    load(URL, 5)
    expect_boxes('.card:nth-of-type(1)', 640, 400, [[100, 50, 300, 250], [400, 300, 520, 380]])
    expect_boxes('.card:nth-of-type(2)', 300, 900, [[30, 90, 270, 810]])
    css('.card .picture')[0].click()
    until(browser, lambda: css('#viewer[open] .frame'))
    expect_boxes('#viewer', 640, 400, [[100, 50, 300, 250], [400, 300, 520, 380]])
    # By the pixels of a screenshot: the painted box's edge is where the rectangle's is.
    left, top, right, bottom = js('''const r = document.querySelector('#viewer rect.over'), m = r.getScreenCTM(), b = r.getBBox();
        return [b.x * m.a + m.e, b.y * m.d + m.f, (b.x + b.width) * m.a + m.e, (b.y + b.height) * m.d + m.f]''')
    ActionChains(browser).move_to_element(css('#viewer h2')[0]).perform()
    js("document.body.classList.add('no-boxes')")
    until(browser, lambda: float(js("return getComputedStyle(document.querySelector('#viewer .shape')).opacity")) == 0)
    pixels = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert('RGB')
    y, x = int((top + bottom) / 2), int((left + right) / 2)
    red = lambda px: px[0] > 110 and px[1] < 90
    row = [x for x in range(int(left) - 20, int(right) + 20) if red(pixels.getpixel((x, y)))]
    column = [y for y in range(int(top) - 20, int(bottom) + 20) if red(pixels.getpixel((x, y)))]
    for what, edge, found in (('left', left, row[0]), ('right', right, row[-1] + 1), ('top', top, column[0]), ('bottom', bottom, column[-1] + 1)):
        assert abs(edge - found) <= 1.5, '%s edge: drawn at %.2f, painted at %d' % (what, edge, found)


def a_phrase_lights_its_box_and_a_box_its_phrase():
    load(URL, 5)
    lit = lambda selector: js('return [...document.querySelectorAll(arguments[0])].map(e => e.dataset.key)', selector + '.lit')
    marks = css('.card:nth-of-type(1) mark')
    want('phrases', ['großer Hund 🐕', 'a small ball'], [m.text for m in marks])
    for mark, key in zip(marks, ('0.0', '0.1')):
        ActionChains(browser).move_to_element(mark).perform()
        until(browser, lambda: lit('g') == [key])
        want('labels beside it', [key], lit('.tag'))
    loaded('.card:nth-of-type(1)')
    for place, key in ((0, '0.0'), (1, '0.1')):
        ActionChains(browser).move_to_element(css('.card:nth-of-type(1) rect.over')[place]).perform()
        until(browser, lambda: lit('mark') == [key])
    ActionChains(browser).move_to_element(css('#title')[0]).perform()
    until(browser, lambda: lit('g') == [] and lit('mark') == [])


def filters_narrow_by_phrase_score_status_and_error():
    load(URL, 5)
    for text, expected in (('HUND', ['wide.png']), ('small ball', ['wide.png']), ('a, tower', ['tall.png']), ('nothing', ['partial']), ('zebra', [])):
        search(text)
        told = '%d image%s of 5' % (len(expected), '' if len(expected) == 1 else 's')
        until(browser, lambda: ids() == expected and css('#found')[0].text == told)
    until(browser, lambda: css('.empty'))
    search('ball')
    until(browser, lambda: ids() == ['wide.png'])
    want('phrases that are found', ['a small ball'], [m.text for m in css('mark.found')])
    css('#low')[0].send_keys('0.9')  # the dog has it, the ball does not
    until(browser, lambda: ids() == [])
    search('')
    until(browser, lambda: ids() == ['wide.png'])
    css('#low')[0].clear()
    css('#high')[0].send_keys('0.8')
    until(browser, lambda: ids() == ['wide.png', 'tall.png'])
    css('body')[0].send_keys(Keys.ESCAPE)
    until(browser, lambda: len(ids()) == 5)
    for select, value, expected in (('#status', 'partial', ['partial']), ('#status', 'failed', ['broken.jpg', 'missing.jpg']), ('#error', 'missing', ['missing.jpg'])):
        js("const s = document.querySelector(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))", select, value)
        until(browser, lambda: ids() == expected)
    want('kinds of errors', ['any', 'corrupt (1)', 'missing (1)'], [o.text for o in css('#error option')])


def the_keyboard_does_all_of_it():
    load(URL, 5)
    body = css('body')[0]
    focus = lambda: js("const c = document.activeElement.querySelector('.id'); return c && c.textContent")
    press = lambda *keys: ActionChains(browser).send_keys(*keys).perform()
    press('/', 'tower')
    until(browser, lambda: ids() == ['tall.png'])
    press(Keys.ENTER)
    until(browser, lambda: focus() == 'tall.png')
    press(Keys.ESCAPE)
    until(browser, lambda: len(ids()) == 5)
    press(Keys.ARROW_RIGHT)
    until(browser, lambda: focus() == 'wide.png')
    press(Keys.ARROW_RIGHT)
    until(browser, lambda: focus() == 'tall.png')
    press(Keys.ENTER)
    heading = lambda: css('#viewer .side h2')[0].text if css('#viewer[open]') else None
    until(browser, lambda: heading() == 'tall.png')
    press(Keys.ARROW_LEFT)
    until(browser, lambda: heading() == 'wide.png')
    press(Keys.TAB)
    until(browser, lambda: js("return document.activeElement.localName") in ('mark', 'button'))
    press(Keys.ESCAPE)
    until(browser, lambda: not css('#viewer[open]') and focus() == 'wide.png')
    press('b')
    until(browser, lambda: 'no-boxes' in body.get_attribute('class'))
    press('b')
    before = js('return document.documentElement.dataset.theme')
    press('t')
    until(browser, lambda: js('return document.documentElement.dataset.theme') != before)
    press('t', '?')
    until(browser, lambda: css('#help[open]'))
    press(Keys.ESCAPE)


def hostile_names_and_captions_stay_text():
    evil = record(HOSTILE, WORK / 'wide.png', 640, 400, [{'phrase': HOSTILE, 'span': [0, len(HOSTILE.encode())], 'boxes': [[1, 2, 300, 200], ['" onload="', 1, 2, 3]],
                                                         'truncated': [], 'raw': [], 'score': 0.5}], HOSTILE, meta={'x': HOSTILE})
    evil['tasks'][0]['question'] = HOSTILE
    evil['tasks'][0]['phrases'] = [HOSTILE]
    lost = failed(HOSTILE + ' lost', '__proto__', HOSTILE)
    load(export('hostile ' + 'a"<b>&', [evil, lost]).replace('"', '%22'), 2)
    want('id as it is', HOSTILE, js("return document.querySelector('.id').textContent"))
    want('phrase as it is', HOSTILE, js("return document.querySelector('mark').textContent"))
    search('onerror')
    until(browser, lambda: css('#found')[0].text)
    css('.card .picture')[0].click()
    until(browser, lambda: css('#viewer[open]'))
    want('elements that came from the records', 0, len(css('#grid script, #grid svg:not(.layer), #viewer script, #viewer svg:not(.layer), img[onerror]')))
    want('what ran', None, js('return window.owned || null'))


def thousands_are_loaded_as_they_are_scrolled_to_and_nothing_is_asked_of_a_network():
    n = MANY
    records = [record('image-%04d' % i, WORK / 'wide.png', 640, 400, [entity('thing %d' % i, 'thing %d' % i, [[9, 9, 99, 99]], (i % 100) / 100)], 'thing %d' % i)
               for i in range(n)]
    browser.get_log('performance')
    browser.get(export('many', records, '--pictures', 'link'))
    until(browser, lambda: len(css('.card')) >= 48)
    first = len(css('.card'))
    assert first < 400, 'all at once: %d cards' % first
    asked = js("return performance.getEntriesByType('resource').filter(e => e.name.includes('/data/0')).length")
    assert asked <= 3, 'asked for %d files of data at the start' % asked
    js('scrollTo(0, document.body.scrollHeight)')
    until(browser, lambda: len(css('.card')) > first)
    search('thing %d' % (n - 1))
    until(browser, lambda: ids() == ['image-%04d' % (n - 1)], 60)
    urls = [json.loads(entry['message'])['message']['params']['request']['url'] for entry in browser.get_log('performance')
            if '"Network.requestWillBeSent"' in entry['message']]
    assert urls and all(u.startswith(('file:', 'data:')) for u in urls), [u for u in urls if not u.startswith(('file:', 'data:'))]


def nothing_is_written_to_the_console_and_both_colours_are_drawn():
    load(URL, 5)
    loaded('.card:nth-of-type(1)')
    shades = []
    for theme in ('light', 'dark'):
        js('document.documentElement.dataset.theme = arguments[0]', theme)
        chromium.shot(browser, 'gallery-' + theme)
        shades.append(Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert('L').getpixel((3, 3)))
    assert shades[0] > 200 and shades[1] < 60, shades
    want('console', [], [e['message'] for e in browser.get_log('browser') if e['level'] in ('SEVERE', 'WARNING')])


sys.exit(chromium.run('browser: gallery', [
    boxes_lie_on_what_they_are_about_to_a_pixel, a_phrase_lights_its_box_and_a_box_its_phrase, filters_narrow_by_phrase_score_status_and_error,
    the_keyboard_does_all_of_it, hostile_names_and_captions_stay_text,
    thousands_are_loaded_as_they_are_scrolled_to_and_nothing_is_asked_of_a_network, nothing_is_written_to_the_console_and_both_colours_are_drawn]))

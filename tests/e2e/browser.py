#!/usr/bin/python3
"""The broker's pages in a real browser, while a real run goes on: live, right, harmless whatever names are in the queue, and
usable on a phone. Chromium without a window, driven by Selenium; Debian's packages, hence Debian's Python.
"""
import base64
import json
import os
import pathlib
import shutil
import signal
import sys
import urllib.parse

from service import CORPUS, Up, fetch, run, wait_for, want

try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
except ImportError:
    print('python3-selenium is not here')
    sys.exit(77)

EVIL = '<img src=x onerror=document.title="broken"> & \'"</script><script>alert(1)</script>'
SHOTS = pathlib.Path(os.environ.get('SHOTS', ''))  # a folder where screenshots are left, for people to look at


def open_browser():
    options = webdriver.ChromeOptions()
    for flag in ('--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--disable-dev-shm-usage'):
        options.add_argument(flag)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    options.binary_location = shutil.which('chromium') or shutil.which('chromium-browser') or ''
    driver = shutil.which('chromedriver')
    if not driver or not options.binary_location:
        print('chromium and chromium-driver are not here')
        sys.exit(77)
    return webdriver.Chrome(service=webdriver.chrome.service.Service(driver), options=options)


def shape(browser, width, height, scheme='light', phone=False):
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride',
                            {'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': phone})
    browser.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [{'name': 'prefers-color-scheme', 'value': scheme}]})


def shoot(browser, name):
    if not os.environ.get('SHOTS'):
        return
    shot = browser.execute_cdp_cmd('Page.captureScreenshot', {'format': 'png', 'captureBeyondViewport': True})
    (SHOTS / (name + '.png')).write_bytes(base64.b64decode(shot['data']))


def text(browser, selector):
    return browser.execute_script('const n = document.querySelector(arguments[0]); return n && n.innerText', selector)


def check_harmless(browser, up):
    """Nothing came from elsewhere, nothing was refused by the policy, nothing was taken for markup."""
    want('log of the browser', [], [entry for entry in browser.get_log('browser') if 'favicon' not in entry['message'] and '/api/picture' not in entry['message']])
    loaded = browser.execute_script('return performance.getEntriesByType("resource").map((r) => r.name)')
    want('what came from elsewhere', [], [url for url in loaded if not url.startswith((up.base(), 'data:'))])
    want('elements that names became', 0, len(browser.find_elements(By.CSS_SELECTOR, 'main img:not(.frame > img), main script')))


def check_status_page(browser, up):
    browser.get(up.url())
    want('address without the token', up.base() + '/', browser.current_url)
    wait_for('the page is live', 20, lambda: text(browser, '#live') == 'live')
    wait_for('two workers are shown', 20, lambda: (text(browser, '#crew'), len(browser.find_elements(By.CSS_SELECTOR, '.worker'))) == ('2', 2))
    want('held back', 0, up.ferret('admin', 'drain', '--yes')[0])
    up.submit(CORPUS, '--campaign', EVIL, '--tenant', '<i>museum</i>')
    up.submit(CORPUS, '--campaign', 'later', '--priority', '2')
    def share():
        names = browser.execute_script('return [...document.querySelectorAll(".campaign")].map((c) => [c.querySelector(".name").innerText, c.querySelector(".share").innerText])')
        return dict(names).get(EVIL)
    wait_for('what is handed in is shown', 20, lambda: share() == '0.0 %')
    want('let go', 0, up.ferret('admin', 'drain', '--off', '--yes')[0])
    wait_for('progress is shown without a reload', 90, lambda: share() == '100 %')
    wait_for('the other campaign ends too', 90, lambda: all(c['completed'] for c in up.status()['campaigns']))
    wait_for('both errors are shown', 10, lambda: len(browser.find_elements(By.CSS_SELECTOR, '#errors li .pill')) == 2)
    want('what the failed one is shown as', 'truncated', text(browser, '#errors li .pill'))
    wait_for('what workers say is shown', 10, lambda: len(browser.find_elements(By.CSS_SELECTOR, '.uses .use')) == 6)
    wait_for('the curve is drawn', 20, lambda: browser.execute_script('return document.querySelector("#curve .stroke").points.length') > 3)
    want('width of the done part', True, browser.execute_script(
        'const bar = document.querySelector(".bar"), part = bar.querySelector(".done"); const w = (n) => n.getBoundingClientRect().width;'
        'return Math.abs(w(part) - w(bar) * 20 / 21) < 1'))
    check_harmless(browser, up)


def check_shapes(browser, up):
    shape(browser, 1240, 900)
    shoot(browser, 'status')
    light = browser.execute_script('return getComputedStyle(document.body).backgroundColor')
    shape(browser, 1240, 900, 'dark')
    dark = browser.execute_script('return getComputedStyle(document.body).backgroundColor')
    assert sum(map(int, light[4:-1].split(','))) > 600 and sum(map(int, dark[4:-1].split(','))) < 120, (light, dark)
    shoot(browser, 'status-dark')
    shape(browser, 360, 740, 'dark', phone=True)
    want('width on a phone', 360, browser.execute_script('return document.documentElement.scrollWidth'))
    shoot(browser, 'status-phone')
    shape(browser, 1240, 900)


def check_pictures(browser, records):
    """Under the boxes lies the image itself, turned as it was for the boxes; where there is none, it is said why."""
    browser.execute_script('for (const i of document.querySelectorAll(".frame img")) i.loading = "eager"')
    wait_for('all pictures are there', 20, lambda: browser.execute_script(
        'return [...document.querySelectorAll(".frame")].every((f) => { const i = f.querySelector("img");'
        'return i ? i.complete && i.naturalWidth > 0 : f.nextSibling.className === "absent" })'))
    found = browser.execute_script('''return [...document.querySelectorAll(".result")].map((card) => {
        const image = card.querySelector("img"), absent = card.querySelector(".absent");
        if (!image) return absent ? absent.innerText : null;
        const a = image.getBoundingClientRect(), b = card.querySelector("svg").getBoundingClientRect();
        const apart = Math.max(Math.abs(a.x - b.x), Math.abs(a.y - b.y), Math.abs(a.width - b.width), Math.abs(a.height - b.height));
        return [image.naturalWidth, image.naturalHeight, getComputedStyle(image).objectFit, apart < 1];
    })''')
    for record, picture in zip(records, found):
        image = record['image']
        expected = [image['width'], image['height'], 'contain', True] if record['status'] != 'failed' else None
        if image.get('format') == 'tiff':
            expected = 'no picture: tiff is no format of browsers'
        want('picture of %s' % record['id'], expected, picture)


def check_absent_pictures(browser, up, work):
    """A file that is another one now is not shown as what was annotated."""
    folder = work / 'moved'
    folder.mkdir()
    for name in ('changed', 'gone'):
        shutil.copy(CORPUS / 'tiny.png', folder / (name + '.png'))
    up.submit(folder, '--campaign', 'moved', '--max-tokens', '4')
    wait_for('they are annotated', 60, lambda: [c for c in up.status()['campaigns'] if c['name'] == 'moved' and c['completed']])
    shutil.copy(CORPUS / 'square.png', folder / 'changed.png')
    (folder / 'gone.png').unlink()
    browser.get(up.base() + '/campaigns/moved')
    wait_for('it is said why there is none', 20, lambda: len(browser.find_elements(By.CSS_SELECTOR, '.absent')) == 2)
    said = browser.execute_script('return [...document.querySelectorAll(".absent")].map((p) => p.innerText).sort()')
    want('what is said', ['no picture: the file has changed since it was annotated', 'no picture: the file is not there for this broker'], said)
    want('code of a picture without the token', 401, fetch(up.base() + '/api/picture?job=' + '0' * 32)[0])
    want('picture of no job', (404, 'its record is not in Redis any more'), up.get('/api/picture?job=' + '0' * 32))
    want('picture of no name', 404, up.get('/api/picture?job=../x')[0])


def check_emptied_campaign(browser, up, work):
    """Where an export has taken all of them along, the page says so rather than nothing."""
    want('export of the campaign', 0, up.ferret('export', 'moved', '--follow', '-o', work / 'exported')[0])
    want('records that are left', [], json.loads(up.get('/api/results?n=24&campaign=moved')[1])['records'])
    browser.get(up.base() + '/campaigns/moved')
    wait_for('it is said that there are none', 10, lambda: text(browser, '#results') == 'No results in Redis.')
    want('how far it is', '100 %', text(browser, '.share'))


def check_campaign_page(browser, up):
    """Boxes are where the records say, to a pixel of the image; phrase and box light up together."""
    browser.get(up.base() + '/campaigns/' + urllib.parse.quote(EVIL, safe=''))
    wait_for('results are shown', 20, lambda: len(browser.find_elements(By.CSS_SELECTOR, '.result')) == 21)
    want('name of the campaign', EVIL, text(browser, '#name'))
    records = json.loads(up.get('/api/results?n=24&campaign=' + urllib.parse.quote(EVIL, safe=''))[1])['records']
    drawn = browser.execute_script('''return [...document.querySelectorAll(".result")].map((card) => {
        const svg = card.querySelector("svg");
        if (!svg) return null;
        const frame = svg.getScreenCTM().inverse();
        return [...svg.querySelectorAll("rect.box")].map((r) => {
            const b = r.getBoundingClientRect(), at = (x, y) => new DOMPoint(x, y).matrixTransform(frame);
            const p = at(b.left, b.top), q = at(b.right, b.bottom);
            return [p.x, p.y, q.x, q.y];
        });
    })''')
    boxes = 0
    for record, found in zip(records, drawn):
        expected = [box for task in record['tasks'] for e in task['entities'] for box in e['boxes']] if record['status'] != 'failed' else None
        want('picture of %s' % record['id'], expected is None, found is None)
        for box, place in zip(expected or [], found or []):
            boxes += 1
            if max(abs(a - b) for a, b in zip(box, place)) > 1 and min(box[2] - box[0], box[3] - box[1]) > 1:
                raise AssertionError('%s: the box %r is drawn at %r' % (record['id'], box, place))
        want('boxes of %s' % record['id'], len(expected or []), len(found or []))
    assert boxes > 20, boxes
    check_pictures(browser, records)
    phrase = browser.find_element(By.CSS_SELECTOR, '.phrase')
    webdriver.ActionChains(browser).move_to_element(phrase).perform()
    lit = browser.execute_script('return [...document.querySelectorAll(".box.lit")].map((b) => b.classList[1])')
    assert lit and set(lit) == {phrase.get_attribute('class').split()[1]}, lit
    want('numbers in the text', False, any(c in text(browser, '.result p') for c in '[]'))
    check_harmless(browser, up)
    shoot(browser, 'campaign')
    shape(browser, 360, 740, 'light', phone=True)
    want('width on a phone', 360, browser.execute_script('return document.documentElement.scrollWidth'))
    shape(browser, 1240, 900)
    browser.get(up.base() + '/campaigns/none')
    wait_for('an unknown campaign is said', 10, lambda: 'no campaign of this name' in (text(browser, '#campaign') or ''))


def check_outages(browser, up):
    browser.get(up.base() + '/')
    wait_for('the page is live', 20, lambda: text(browser, '#live') == 'live')
    redis = up.pid('redis')
    os.kill(redis, signal.SIGSTOP)
    wait_for('it is said that Redis is away', 30, lambda: text(browser, '#live') == 'Redis is away')
    os.kill(redis, signal.SIGCONT)
    wait_for('the page is live again', 30, lambda: text(browser, '#live') == 'live')
    os.kill(up.pid('broker'), signal.SIGKILL)
    wait_for('it is said that the broker is away', 10, lambda: text(browser, '#live') == 'the broker is away')
    wait_for('the page is live with the next broker', 40, lambda: text(browser, '#live') == 'live')


def test(work):
    browser = open_browser()
    try:
        shape(browser, 1240, 900)
        with Up(work, '--workers', '2') as up:
            check_status_page(browser, up)
            check_shapes(browser, up)
            check_campaign_page(browser, up)
            check_absent_pictures(browser, up, work)
            check_emptied_campaign(browser, up, work)
            check_outages(browser, up)
    finally:
        browser.quit()


run(test)

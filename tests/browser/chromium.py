"""A Chromium without a screen, and claims about what it shows."""
import os
import sys
import traceback

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait


def start(width=1400, height=1000, dark=False):
    options = Options()
    options.binary_location = '/usr/bin/chromium'
    for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--force-device-scale-factor=1',
                     '--window-size=%d,%d' % (width, height)):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
    browser = webdriver.Chrome(service=Service('/usr/bin/chromedriver'), options=options)
    if dark:
        browser.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [{'name': 'prefers-color-scheme', 'value': 'dark'}]})
    return browser


def until(browser, condition, seconds=20):
    return WebDriverWait(browser, seconds, 0.05).until(lambda _: condition())


def shot(browser, name):
    folder = os.environ.get('SHOTS')
    if folder:
        os.makedirs(folder, exist_ok=True)
        browser.save_screenshot(os.path.join(folder, name + '.png'))


def want(what, expected, found):
    if expected != found:
        raise AssertionError('%s: expected %r, found %r' % (what, expected, found))


def run(suite, tests):
    """Calls each and says which claims hold; the exit code."""
    failed = 0
    for test in tests:
        claim = '%s: %s' % (suite, test.__name__.replace('_', ' '))
        try:
            test()
            print('PASS ' + claim, flush=True)
        except Exception:  # the next claim is another matter
            traceback.print_exc(file=sys.stdout)
            print('FAIL ' + claim, flush=True)
            failed = 1
    return failed

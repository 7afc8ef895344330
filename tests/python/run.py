#!/usr/bin/python3
"""Runs the unittest suites of a package of model/reference and says PASS, FAIL or SKIP for each test.

    run.py PACKAGE        its test_*.py; Debian's own Python, which has the packages
"""
import os
import sys
import traceback
import unittest

REFERENCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'model', 'reference')


class Lines(unittest.TestResult):
    def say(self, word, test, why=''):
        print('%s %s: %s%s' % (word, sys.argv[1], test.id().replace(sys.argv[1] + '.', '', 1), why), flush=True)

    def addSuccess(self, test):
        self.say('PASS', test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if os.environ.get('REQUIRE_ALL') == '1':
            self.addFailure(test, (unittest.SkipTest, unittest.SkipTest(reason), None))
        else:
            self.say('SKIP', test, ' (%s)' % reason)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        traceback.print_exception(*error, file=sys.stdout)
        self.say('FAIL', test)

    def addError(self, test, error):
        self.addFailure(test, error)

    def addSubTest(self, test, subtest, error):
        if error:
            self.addFailure(subtest, error)


def main(package):
    os.chdir(REFERENCE)
    sys.path.insert(0, REFERENCE)
    result = Lines()
    unittest.defaultTestLoader.discover(package, top_level_dir='.').run(result)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))

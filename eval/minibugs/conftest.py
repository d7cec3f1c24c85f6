"""Options that choose which version of the programs is tested, as in QuixBugs."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--correct", action="store_true", help="test the corrected programs instead of the buggy ones")
    parser.addoption("--runslow", action="store_true", help="run slow tests too (there are none so far)")


def pytest_configure(config):
    pytest.use_correct = config.getoption("--correct")
    pytest.run_slow = config.getoption("--runslow")

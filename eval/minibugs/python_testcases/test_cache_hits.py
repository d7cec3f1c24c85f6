import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.cache_hits import cache_hits
else:
    from python_programs.cache_hits import cache_hits


@pytest.mark.parametrize(("arguments", "expected"), load_cases("cache_hits"))
def test_cache_hits(arguments, expected):
    assert cache_hits(*arguments) == expected

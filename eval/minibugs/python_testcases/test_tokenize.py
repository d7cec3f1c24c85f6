import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.tokenize import tokenize
else:
    from python_programs.tokenize import tokenize


@pytest.mark.parametrize(("arguments", "expected"), load_cases("tokenize"))
def test_tokenize(arguments, expected):
    assert tokenize(*arguments) == expected

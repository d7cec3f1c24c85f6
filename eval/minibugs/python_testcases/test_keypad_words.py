import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.keypad_words import keypad_words
else:
    from python_programs.keypad_words import keypad_words


@pytest.mark.parametrize(("arguments", "expected"), load_cases("keypad_words"))
def test_keypad_words(arguments, expected):
    assert keypad_words(*arguments) == expected

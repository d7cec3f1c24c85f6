import pytest

if pytest.use_correct:
    from correct_python_programs.parse_duration import parse_duration
else:
    from python_programs.parse_duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0), ("5s", 5), ("2m3s", 123), ("1h30m15s", 5415), ("90m", 5400), ("100s", 100), ("0h05m", 300)],
)
def test_duration(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["7", "m", "1d"])
def test_not_a_duration(text):
    with pytest.raises(ValueError):
        parse_duration(text)

import pytest

if pytest.use_correct:
    from correct_python_programs.split_cents import split_cents
else:
    from python_programs.split_cents import split_cents


@pytest.mark.parametrize(
    ("cents", "people", "shares"),
    [
        (0, 2, [0, 0]),
        (1000, 3, [334, 333, 333]),
        (1000, 4, [250, 250, 250, 250]),
        (22, 10, [3, 3, 2, 2, 2, 2, 2, 2, 2, 2]),
        (2, 5, [1, 1, 0, 0, 0]),
        (7, 1, [7]),
    ],
)
def test_shares(cents, people, shares):
    assert split_cents(cents, people) == shares


def test_nothing_is_lost():
    for cents in range(50):
        assert sum(split_cents(cents, 7)) == cents


def test_nobody():
    with pytest.raises(ValueError):
        split_cents(100, 0)

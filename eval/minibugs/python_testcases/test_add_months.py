import pytest

if pytest.use_correct:
    from correct_python_programs.add_months import add_months
else:
    from python_programs.add_months import add_months


@pytest.mark.parametrize(
    ("date", "months", "expected"),
    [
        ((2024, 5, 17), 0, (2024, 5, 17)),
        ((2024, 5, 17), 1, (2024, 6, 17)),
        ((2023, 11, 30), 2, (2024, 1, 30)),
        ((2024, 1, 31), -1, (2023, 12, 31)),
        ((2024, 1, 31), 3, (2024, 4, 30)),
        ((2023, 12, 31), 2, (2024, 2, 29)),
        ((1900, 3, 30), -1, (1900, 2, 28)),
        ((2000, 8, 31), 25, (2002, 9, 30)),
    ],
)
def test_add_months(date, months, expected):
    assert add_months(*date, months) == expected

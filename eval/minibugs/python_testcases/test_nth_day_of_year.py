import pytest

if pytest.use_correct:
    from correct_python_programs.nth_day_of_year import nth_day_of_year
else:
    from python_programs.nth_day_of_year import nth_day_of_year


@pytest.mark.parametrize(
    ("year", "number", "month", "day"),
    [(2023, 1, 1, 1), (2023, 31, 1, 31), (2023, 60, 3, 1), (2024, 60, 2, 29), (1900, 60, 3, 1), (2000, 366, 12, 31)],
)
def test_day(year, number, month, day):
    assert nth_day_of_year(year, number) == (month, day)


@pytest.mark.parametrize("number", [0, 366])
def test_no_such_day(number):
    with pytest.raises(ValueError):
        nth_day_of_year(2023, number)

import pytest

if pytest.use_correct:
    from correct_python_programs.int_to_roman import int_to_roman
else:
    from python_programs.int_to_roman import int_to_roman


@pytest.mark.parametrize(
    ("number", "numeral"),
    [
        (1, "I"),
        (9, "IX"),
        (40, "XL"),
        (90, "XC"),
        (449, "CDXLIX"),
        (1944, "MCMXLIV"),
        (2026, "MMXXVI"),
        (3999, "MMMCMXCIX"),
    ],
)
def test_numeral(number, numeral):
    assert int_to_roman(number) == numeral


@pytest.mark.parametrize("number", [0, 4000])
def test_out_of_range(number):
    with pytest.raises(ValueError):
        int_to_roman(number)

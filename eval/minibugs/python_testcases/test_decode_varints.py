import pytest

if pytest.use_correct:
    from correct_python_programs.decode_varints import decode_varints
else:
    from python_programs.decode_varints import decode_varints


@pytest.mark.parametrize(
    ("data", "numbers"),
    [
        ([], []),
        ([0], [0]),
        ([1, 2, 127], [1, 2, 127]),
        ([172, 2], [300]),
        ([5, 172, 2], [5, 300]),
        ([5, 172, 2, 7], [5, 300, 7]),
        ([128, 1, 128, 1], [128, 128]),
        ([255, 255, 3, 0, 1], [65535, 0, 1]),
    ],
)
def test_decode_varints(data, numbers):
    assert decode_varints(bytes(data)) == numbers

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgerlake.records import numbers

digits = st.text("0123456789", min_size=1, max_size=20) | st.sampled_from(["0", "2147483648", "9223372036854775808"])
texts = st.builds(
    lambda sign, whole, fraction, exponent: sign + whole + fraction + exponent,
    st.sampled_from(["", "+", "-"]),
    digits,
    st.just("") | digits.map(".{}".format),
    st.just("") | st.integers(-40, 40).map("e{}".format) | st.integers(-40, 40).map("E{:+}".format),
)


@given(texts)
def test_a_number_is_read_exactly(text):
    number = numbers.parse(text)
    sign = -1 if number.negative else 1
    assert sign * int(number.digits or "0") * Fraction(10) ** number.exponent == Fraction(text)
    assert not number.digits or (number.digits[0] != "0" and number.digits[-1] != "0")


@given(texts, st.sampled_from([32, 64]))
def test_an_integer_holds_the_value_or_none(text, bits):
    value = Fraction(text)
    fits = value.denominator == 1 and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)
    assert numbers.integer(text, bits) == (value if fits else None)


@given(texts, st.integers(1, 38).flatmap(lambda precision: st.tuples(st.just(precision), st.integers(0, precision))))
def test_a_decimal_holds_the_value_or_none(text, kind):
    precision, scale = kind
    scaled = Fraction(text) * 10**scale
    fits = scaled.denominator == 1 and abs(scaled) < 10**precision
    held = numbers.decimal(text, precision, scale)
    assert (None if held is None else Fraction(held)) == (Fraction(text) if fits else None)


@given(texts, st.sampled_from([0, 3, 6]))
def test_flooring_is_exact(text, places):
    value = math.floor(Fraction(text) * 10**places)
    assert numbers.floored(text, places, 10**18) == (value if abs(value) <= 10**18 else None)


@pytest.mark.parametrize(
    "text", ["", "+", ".5", "5.", "1,5", " 5", "5 ", "5\n", "1e", "e5", "--1", "1_0", "\u0665", "0x1", "NaN", "inf"]
)
def test_what_is_no_number_is_none(text):
    assert numbers.parse(text) is None


def test_an_absurd_exponent_costs_nothing():
    assert numbers.integer("1e" + "9" * 100_000, 64) is None
    assert numbers.decimal("1e-" + "9" * 100_000, 38, 38) is None
    assert numbers.integer("0e" + "9" * 100_000, 64) == 0
    assert numbers.integer("1e" + "0" * 100_000 + "3", 64) == 1000
    assert numbers.floored("-1e-999999999999", 6, 10) == -1


@pytest.mark.parametrize(
    ("text", "places", "value"),
    [("1.5", 0, 1), ("-1.5", 0, -2), ("-1.0", 0, -1), ("1.2345678", 6, 1234567), ("1e3", 3, 1_000_000), ("0", 6, 0),
     ("-0.0000001", 6, -1), ("0.0000001", 6, 0), ("99", 0, 99), ("100.5", 0, 100), ("101", 0, None), ("x", 0, None),
     ("0.001", 3, 1), ("-100", 0, -100), ("-100.1", 0, None)],
)  # fmt: skip
def test_flooring_goes_down(text, places, value):
    assert numbers.floored(text, places, {"1.2345678": 10**9, "1e3": 10**9}.get(text, 100)) == value

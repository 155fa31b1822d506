"""Validators: published numbers, and what the rules refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import pii_validators as validators
from curation.pii_validators import Outcome

VALID, INVALID, UNKNOWN = Outcome.VALID, Outcome.INVALID, Outcome.UNKNOWN


def check_digit(body: str, check: str) -> str:
    """The digit with which `check` accepts the body; an oracle that only knows that there is one at most."""
    fits = [digit for digit in "0123456789" if getattr(validators, check)(body + digit) is VALID]
    assert len(fits) <= 1
    return fits[0] if fits else ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("970610-1234567", VALID),  # (11 - 169 % 11) % 10 = 7
        ("970610-1234568", UNKNOWN),
        ("971013-9019902", INVALID),  # python-stdnum's example of an invalid one: born in the 1800s
        ("970630-1999999", UNKNOWN),  # no such region, so the check digit confirms nothing
        ("960230-1234567", INVALID),
        ("000229-3123456", UNKNOWN),
        ("000229-1123456", INVALID),  # 1900 was no leap year
        ("960101-5234567", INVALID),
    ],
)
def test_resident_numbers(value: str, expected: Outcome) -> None:
    assert validators.rrn(value) is expected


def test_resident_numbers_with_a_check_digit() -> None:
    assert check_digit("201004-312345", "rrn")
    assert check_digit("201005-312345", "rrn") == ""  # the last digits are random from that day on: nothing confirms


def test_foreigner_numbers() -> None:
    assert check_digit("900101-512345", "frn") != check_digit("900101-512346", "frn")
    assert validators.frn("900101-1234567") is INVALID


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("116-82-00276", VALID),  # python-stdnum kr.brn
        ("116-82-00277", UNKNOWN),
        ("100-82-00276", INVALID),
        ("116-00-00276", INVALID),
        ("116-82-00006", INVALID),
    ],
)
def test_business_numbers(value: str, expected: Outcome) -> None:
    assert validators.brn(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("110111-0062432", VALID),  # the example of the Supreme Court's rule
        ("110111-0062433", UNKNOWN),
        ("110110-0062432", INVALID),
        ("978893-7460470", INVALID),  # an ISBN
    ],
)
def test_numbers_of_legal_persons(value: str, expected: Outcome) -> None:
    assert validators.crn(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4111 1111 1111 1111", VALID),
        ("5555555555554444", VALID),
        ("378282246310005", VALID),
        ("30569309025904", VALID),
        ("3530111333300000", VALID),
        ("6011111111111117", VALID),
        ("2223003122003222", VALID),
        ("4111 1111 1111 1112", INVALID),
        ("0000 0000 0000 0000", INVALID),
        ("1234-5678-9012-3452", INVALID),  # no issuer
    ],
)
def test_cards(value: str, expected: Outcome) -> None:
    assert validators.card(value) is expected


@given(st.from_regex(r"4[0-9]{14}", fullmatch=True))
def test_one_digit_of_ten_checks_a_card(body: str) -> None:
    assert check_digit(body, "card")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("010-1234-5678", VALID),
        ("010-0234-5678", INVALID),
        ("828-254-1234", VALID),  # North Carolina, not Korea's code
        ("82-10-1234-5678", VALID),
        ("010-123-4567", INVALID),
        ("011-234-5678", VALID),
        ("02-312-3456", VALID),
        ("08-312-3456", INVALID),
        ("031-234-5678", VALID),
        ("035-234-5678", INVALID),
        ("070-123-4567", INVALID),
        ("0507-1234-5678", VALID),
        ("1588-1234", VALID),
        ("1588-1592", UNKNOWN),
        ("1589-1234", INVALID),
        ("+82-10-1234-5678", VALID),
        ("+82 (0)10 1234 5678", VALID),
        ("+82 99 123 4567", INVALID),
        ("(415) 234-2671", VALID),
        ("415-555-0123", INVALID),
        ("1-877-888-3337", VALID),
        ("191-234-5678", INVALID),
        ("+44 20 7946 0958", VALID),
        ("+999 20 7946 0958", INVALID),
        ("+44 20", INVALID),
    ],
)
def test_phones(value: str, expected: Outcome) -> None:
    assert validators.phone(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("211.234.56.78", VALID),
        ("1.2.3.4", UNKNOWN),
        ("8.1.0.77", UNKNOWN),
        ("10.0.0.1", INVALID),
        ("203.0.113.9", INVALID),
        ("224.0.0.251", INVALID),
        ("240.1.2.3", INVALID),
        ("2406:da12::1", VALID),
        ("2001:db8::1", INVALID),
        ("2024:01:02", INVALID),
    ],
)
def test_addresses(value: str, expected: Outcome) -> None:
    assert validators.ip(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("110-234-567890", UNKNOWN),
        ("2023-01-15-1234", INVALID),
        ("20230115123456", INVALID),
        ("010-1234-5678", INVALID),
        ("960101-1234567", INVALID),
        ("123-45-67890", INVALID),
        ("123-456", INVALID),
        ("000-234-567890", INVALID),
    ],
)
def test_accounts(value: str, expected: Outcome) -> None:
    assert validators.account(value) is expected


@pytest.mark.parametrize(("value", "expected"), [("11-23-123456-78", UNKNOWN), ("27-23-123456-78", INVALID)])
def test_driver_licenses(value: str, expected: Outcome) -> None:
    assert validators.driver_license(value) is expected

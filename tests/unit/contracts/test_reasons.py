"""Reasons hold whatever has to be said."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.base import Reason


@given(text=st.text(max_size=9000))
def test_a_text_of_any_length_becomes_a_reason(text: str) -> None:
    reason = Reason(code="x", message=text, remedy=text)
    for made in (reason.message, reason.remedy, reason.worded(text).message):
        assert len(made) <= 4000
        assert made == text or made == text[:3999] + "…"


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert Reason(code="x", message="y" * 4001).message == "y" * 3999 + "…"

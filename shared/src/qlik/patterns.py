"""What a number format of Qlik says, for the modules that read it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberPattern:
    """The parts of a number format: letter code (U A I R F M D T TS IV) and pattern, as in Qlik's dialog."""

    type: str
    pattern: str = ""
    decimals: int = 0
    decimal_separator: str = "."
    thousand_separator: str = ""

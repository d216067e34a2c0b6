"""The page about hostile files promises a test for each sample."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "templates" / "security.md"
_ROW = re.compile(
    r"^\| (?!sample |---)(?P<sample>[^|]+)\| (?P<outcome>[^|]+)\| (?P<test>[^|]+)\|$", re.MULTILINE
)


def test_every_sample_of_the_page_names_tests_that_exist() -> None:
    rows = list(_ROW.finditer(PAGE.read_text("utf-8")))
    assert len(rows) >= 35
    names = {row["sample"].strip(): re.findall(r"`(test_\w+)`", row["test"]) for row in rows}
    assert [sample for sample, tests in names.items() if not tests] == []
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^(?:async )?def (test_\w+)\(", sources, re.MULTILINE))
    assert sorted({test for tests in names.values() for test in tests} - defined) == []

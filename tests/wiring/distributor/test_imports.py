"""The distributor runs with the libraries that its image installs, and needs none of the renderers'."""

import subprocess
import sys

_NOT_INSTALLED = ("babel", "isal", "lxml", "minijinja", "msoffcrypto", "pikepdf", "polars", "pypdfium2",
                  "pyzipper", "weasyprint", "httpx", "websockets")  # fmt: skip
_PROGRAM = """
import sys
for name in {names!r}:
    sys.modules[name] = None
import distributor.app, distributor.domain.mailing
print("imported")
"""


def test_it_imports_nothing_that_its_image_does_not_have() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(names=_NOT_INSTALLED)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "imported" == done.stdout.strip(), done.stderr[-2000:]

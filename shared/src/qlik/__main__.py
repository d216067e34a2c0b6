"""`python -m qlik check SITE.json`, the same as `broadsheet qlik check SITE.json`."""

from __future__ import annotations

import sys

from qlik.command import main

if __name__ == "__main__":
    sys.exit(main(["qlik", *sys.argv[1:]]))

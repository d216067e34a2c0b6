#!/usr/bin/env bash
# WeasyPrint draws with Pango, which no wheel brings. Installs Debian's packages where Pango is missing and
# apt-get may be used; otherwise says what to install.
set -euo pipefail

python=".venv/bin/python"
if "$python" -c 'import weasyprint' >/dev/null 2>&1; then
    exit 0
fi
packages=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core)
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        echo "PDF reports need Pango. Install it, then run make again, for example:" >&2
        echo "  sudo apt-get install ${packages[*]}" >&2
        exit 1
    fi
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "PDF reports need Pango (libpango, libpangoft2, libharfbuzz-subset); install it with your system's packages." >&2
    exit 1
fi
echo "installing ${packages[*]} for PDF reports"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
"$python" -c 'import weasyprint'

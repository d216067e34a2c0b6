#!/usr/bin/env bash
# What no wheel brings: Pango, with which WeasyPrint draws PDF reports; with the argument "browser" a Chromium
# for the tests of the console; with "office" LibreOffice, which makes PDF of Office reports, and the Python that
# talks to it. Installs Debian's packages where something is missing and apt-get may be used. Without Pango it
# fails and says what to install; without a browser or LibreOffice those tests say so and skip.
set -euo pipefail

python=".venv/bin/python"
pango=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core)
browser=(chromium-headless-shell)
office=(libreoffice-calc-nogui libreoffice-writer-nogui libreoffice-impress-nogui python3-uno)

has_pango() { "$python" -c 'import weasyprint' >/dev/null 2>&1; }
has_browser() { command -v chromium-headless-shell >/dev/null 2>&1 || command -v chromium >/dev/null 2>&1; }
has_office() { command -v soffice >/dev/null 2>&1 && /usr/bin/python3 -c 'import uno' >/dev/null 2>&1; }
wants() { case " $wanted " in *" $1 "*) return 0 ;; *) return 1 ;; esac }

wanted="$*"

install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    echo "installing $*"
    "${as_root[@]}" apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if ! has_pango; then
    install "${pango[@]}" || true
    if ! has_pango; then
        echo "PDF reports need Pango. Install it, then run make again, for example:" >&2
        echo "  sudo apt-get install ${pango[*]}" >&2
        exit 1
    fi
fi

if wants browser && ! has_browser; then
    install "${browser[@]}" || echo "no Chromium to be had: the tests of the console in a browser will skip" >&2
fi

if wants office && ! has_office; then
    install "${office[@]}" || echo "no LibreOffice to be had: the tests of Office files as PDF will skip" >&2
fi

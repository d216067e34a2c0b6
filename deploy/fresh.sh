#!/usr/bin/env bash
# Run `make demo ONCE=1` and `make test` on a machine that has nothing: a Debian 12 of Python 3.11, pip, certificates
# and make, without Java, Node, git and every library a desktop would have. Needs root and mmdebstrap.
#   deploy/fresh.sh [FOLDER]   FOLDER is where the root file system is built (default: a new temporary one, removed at
#                              the end); FRESH_COMMANDS chooses the commands, one per line.
# The commands run in namespaces of their own, so that every process and mount of them ends with this script.
set -euo pipefail

commands="${FRESH_COMMANDS:-$'make demo ONCE=1\nmake test'}"
here="$(cd "$(dirname "$0")/.." && pwd)"

[ "$(id -u)" -eq 0 ] || { echo "make fresh needs root: it builds a root file system. Run it with sudo." >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "make fresh needs mmdebstrap. Run: apt-get install mmdebstrap" >&2; exit 1; }

if [ $# -gt 0 ]; then
    root="$1"
else
    root="$(mktemp -d /var/tmp/broadsheet-fresh.XXXXXX)"
    trap 'rm -rf --one-file-system "$root"' EXIT
fi

if [ ! -x "$root/usr/bin/make" ]; then
    echo "building a minimal Debian 12 in $root"
    mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates,make \
        bookworm "$root"
fi

# What is committed, as a clone would have it, and the sample files of the tests where they are.
rm -rf "$root/src" && mkdir -p "$root/src/broadsheet" "$root/src/shared"
git -C "$here" archive HEAD | tar -x -C "$root/src/broadsheet"
samples="${BROADSHEET_SHARED:-$here/../shared}"
if [ -d "$samples/office" ]; then cp -r "$samples/office" "$samples/qlik" "$root/src/shared/"; fi

# The network of this machine: its name servers, its certificates, the settings of its package clients.
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/hosts "$root/etc/hosts"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
passed=(HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
while IFS= read -r name; do
    passed+=("$name=${!name}")
done < <(compgen -e | grep -E '^(PIP_(CERT|INDEX_URL|DEFAULT_TIMEOUT)|UV_(INDEX_URL|DEFAULT_INDEX)|SSL_CERT_FILE|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY)$' || true)

inside='
set -euo pipefail
mount --make-rprivate /
mount --rbind /dev "$0/dev"
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/tmp"
status=0
while IFS= read -r command; do
    echo "--- $command"
    if chroot "$0" env -i "${@:2}" bash -c "cd /src/broadsheet && $command" </dev/null; then
        echo "--- passed: $command"
    else
        status=1
        echo "--- FAILED: $command"
    fi
done <<<"$1"
exit "$status"
'
unshare --mount --pid --fork --kill-child bash -c "$inside" "$root" "$commands" "${passed[@]}"

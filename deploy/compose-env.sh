#!/bin/sh
# Writes .env for docker-compose.yml with random passwords. Never overwrites: the passwords are in the volumes, too.
set -eu
cd "$(dirname "$0")/.."
target="${1:-.env}"

if [ -e "$target" ]; then
    echo "$target is there already and was left alone; remove it together with the volumes for new passwords" >&2
    exit 1
fi

random() { # letters and digits only, so that they stand in URLs as they are
    openssl rand -base64 60 | tr -dc 'A-Za-z0-9' | cut -c1-32
}

umask 077
cat > "$target" <<END
MONGO_PASSWORD=$(random)
MONGO_KEYFILE=$(random)$(random)
S3_ACCESS_KEY=$(random)
S3_SECRET_KEY=$(random)
SECRET_KEY=$(openssl rand -base64 32 | tr '+/' '-_')
LISTENER_SECRET=$(random)
ADMIN_EMAIL=admin@example.com
ADMIN_PASSWORD=$(random)
END
echo "wrote $target (readable by you only)"

#!/bin/sh
# Makes the secrets compose.yaml names, once: `deploy/make-secrets.sh [folder]`. What is there already stays.
#
# Containers read them as their own users, so the files are readable and the folder is not: keep others out of it.
set -eu
folder=${1:-secrets}
mkdir -p "$folder"
chmod 700 "$folder"

random() { # 256 bits, in letters and digits alone: they stand in addresses
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

keep() { # keep NAME VALUE
    [ -s "$folder/$1" ] || printf '%s' "$2" > "$folder/$1"
    chmod 644 "$folder/$1"
}

keep postgres_password "$(random)"
keep redis_password "$(random)"
keep milvus_password "$(random)"
keep object_store_password "$(random)"
keep session_secret "$(random)"
keep grafana_password "$(random)"
keep metrics_key "unset" # replaced by a key of Sightline's: see docs/deploy.md
# What Sightline reads: addresses with the passwords in them.
keep postgres_url "postgresql://sightline:$(cat "$folder/postgres_password")@postgres:5432/sightline"
keep redis_url "redis://:$(cat "$folder/redis_password")@redis:6379/0"
keep milvus_token "root:$(cat "$folder/milvus_password")"
echo "The secrets are in $folder."

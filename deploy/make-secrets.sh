#!/bin/sh
# Writes the secrets of docker-compose.yml into secrets/, each password made here and at random.
# What is there already stays as it is, so it can be run again.
#
# The folder is for its owner alone, which keeps others on this machine out. The files in it can be
# read by all who get so far: the containers do not run as this user, and see each file by itself.
set -eu
cd "$(dirname "$0")/.."

folder="${1:-secrets}"
mkdir -p "$folder/accounts"
chmod 700 "$folder"
chmod 755 "$folder/accounts"

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

keep() { # keep NAME TEXT
    [ -s "$folder/$1" ] && return
    printf '%s\n' "$2" >"$folder/$1"
    chmod 444 "$folder/$1"
    echo "$folder/$1"
}

keep postgres_password "$(random)"
keep redis_password "$(random)"
postgres=$(cat "$folder/postgres_password")
redis=$(cat "$folder/redis_password")
keep database_url "postgresql://bulkdel:$postgres@postgres:5432/bulkdel"
keep redis_url "redis://:$redis@redis:6379/0"
keep redis_auth "requirepass $redis"
keep flower_auth "flower:$(random)"

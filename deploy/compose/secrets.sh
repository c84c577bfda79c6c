#!/bin/sh
# Gives each service the secrets it needs as files that only it can read.
#
# Compose can hand secrets of .env to a container as files, but to none whose file system
# is read-only, so that one container which does nothing else takes them and puts them
# into a volume for each service:
#
#   mongodb    root-password, key            tidemark   mongodb-uri, http-token
#   grafana    admin-password                airflow    passwords.json, mongodb-uri
#   prometheus tidemark-token
set -eu
umask 077
from=${SECRETS_FROM:-/run/secrets}
to=${SECRETS_TO:-/secrets}

# give UID MODE FILE: standard input into FILE, for UID alone. Its mode first: whose file it
# is no more, that one may not change it, root without its privileges neither.
give() {
  rm -f "$to/$3"
  cat >"$to/$3"
  chmod "$2" "$to/$3"
  chown "$1" "$to/$3"
}

# secret NAME: it, without a line's end.
secret() {
  value=$(cat "$from/$1")
  # They become part of a URI and of JSON.
  case $value in
    '') echo "secrets: $1 is empty; see .env.example" >&2; exit 1 ;;
    *[!A-Za-z0-9]*) echo "secrets: $1 is to be of letters and digits only" >&2; exit 1 ;;
  esac
  printf '%s' "$value"
}

# Each in a statement of its own, so that a wrong one ends this.
root_password=$(secret mongodb-root-password)
password=$(secret mongodb-tidemark-password)
key=$(secret mongodb-key)
grafana=$(secret grafana-admin-password)
airflow=$(secret airflow-admin-password)
token=$(secret tidemark-http-token)
# `at` is where MongoDB is, as its replica set tells it to clients.
at=${SECRETS_MONGODB:-mongodb:27017}
uri="mongodb://tidemark:$password@$at/?replicaSet=tidemark&authSource=admin"

printf '%s' "$root_password" | give 999 400 mongodb/root-password
printf '%s' "$password" | give 999 400 mongodb/tidemark-password
printf '%s' "$key" | give 999 400 mongodb/key
printf '%s' "$uri" | give 65532 400 tidemark/mongodb-uri
printf '%s' "$token" | give 65532 400 tidemark/http-token
printf '%s' "$token" | give 65534 400 prometheus/tidemark-token
printf '%s' "$grafana" | give 472 400 grafana/admin-password
printf '%s' "$uri" | give 50000 400 airflow/mongodb-uri
# Airflow opens it for writing too, to add users that have no password yet.
printf '{"admin": "%s"}' "$airflow" | give 50000 600 airflow/passwords.json

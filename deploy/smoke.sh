#!/bin/sh
# Installs the wheel into a new environment and runs a whole job in another folder.
#
#   sh deploy/smoke.sh WHEEL                       with the newest packages
#   sh deploy/smoke.sh WHEEL lowest-direct         with the oldest that pyproject.toml allows
#   PYTHON=python3.13 sh deploy/smoke.sh WHEEL     with another Python
#
# `make lowest` builds the wheel and runs the second of them.
set -eu

project=$(realpath "$(dirname "$0")/../pyproject.toml")
wheel=$(realpath "$1")
resolution=${2:-highest}
home=${3:-$(mktemp -d)}
python=${PYTHON:-python3}

"$python" -m venv "$home/env"
"$home/env/bin/python" -m pip install --quiet uv==0.13.9
"$home/env/bin/uv" pip compile --quiet --resolution "$resolution" --no-emit-index-url \
    --no-emit-find-links --python "$home/env/bin/python" --output-file "$home/pins.txt" \
    "$project" >/dev/null
"$home/env/bin/python" -m pip install --quiet -r "$home/pins.txt"
"$home/env/bin/python" -m pip install --quiet --no-deps "$wheel"

mkdir -p "$home/elsewhere"
cd "$home/elsewhere"
"$home/env/bin/bulkdel" --version
"$home/env/bin/bulkdel" demo --projects 5
"$home/env/bin/bulkdel" db upgrade
echo "well, with: $("$python" -V), $resolution"

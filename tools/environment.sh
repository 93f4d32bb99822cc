# Sourced by the scripts beside it: makes .venv with all that is pinned, once.
#
# Needs bash and python3.11 (or PYTHON=... for another Python of 3.11 or newer).

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ ! -f .venv/installed.txt || $(<requirements.txt) != "$(<.venv/installed.txt)" ]]; then
    "${PYTHON:-python3.11}" -m venv .venv
    .venv/bin/pip install --quiet --requirement requirements.txt
    .venv/bin/pip install --quiet --no-deps --editable .
    echo "$(<requirements.txt)" > .venv/installed.txt
fi
export PATH="$PWD/.venv/bin:$PATH"

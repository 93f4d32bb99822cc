# Sourced by the scripts beside it: makes .venv with all that is pinned, once.
#
# Needs bash and Python 3.11, 3.12 or 3.13. It takes the first of these that is there, or the one
# that PYTHON=... names.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Prints the first of its arguments that is a Python able to make a venv. On Debian a Python
# without its package python3-venv is not; a shim of pyenv may lead to no Python at all.
find_python() {
    local python
    for python in "$@"; do
        if "$python" -c "import ensurepip, venv" 2> /dev/null; then
            echo "$python"
            return
        fi
    done
    echo "set-up: error: found no $* that can make a venv: install Python 3.11 (on Debian and" \
        "Ubuntu its package python3-venv too), or name a Python by PYTHON=/path/to/python" >&2
    exit 2
}

if [[ ! -f .venv/installed.txt || $(<requirements.txt) != "$(<.venv/installed.txt)" ]]; then
    if [[ -n ${PYTHON:-} ]]; then
        python=$(find_python "$PYTHON")
    else
        python=$(find_python python3.11 python3.12 python3.13)
    fi
    "$python" -m venv .venv
    .venv/bin/pip install --quiet --requirement requirements.txt
    .venv/bin/pip install --quiet --no-deps --editable .
    echo "$(<requirements.txt)" > .venv/installed.txt
fi
export PATH="$PWD/.venv/bin:$PATH"

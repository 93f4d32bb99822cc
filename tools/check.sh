#!/usr/bin/env bash
# All checks: lint, format, imports between the stages, tests.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

ruff check .
ruff format --check .
lint-imports --no-cache
pytest --numprocesses 2 --dist loadfile "$@"

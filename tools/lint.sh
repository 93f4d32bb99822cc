#!/usr/bin/env bash
# The checks that need no test: lint, format, and imports between the rooms. Both
# tools/check.sh and the pre-commit hook run this list; ruff and import-linter must be on
# the PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

ruff check .
ruff format --check .
lint-imports --no-cache

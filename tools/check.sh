#!/usr/bin/env bash
# All checks, as CI runs them: lint, format, imports between the rooms, and all tests.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

bash tools/lint.sh
pytest --numprocesses 2 --dist worksteal "$@"

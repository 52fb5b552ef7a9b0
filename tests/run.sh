#!/usr/bin/env bash
# Sets up what it needs and runs all checks: lint and format, types, tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. examples/bootstrap.sh
bootstrap run test

failed=()
say "== ruff"
"$PYTHON" -m ruff check . || failed+=(ruff)
"$PYTHON" -m ruff format --check --quiet . || failed+=("ruff format: run ruff format .")
say "== mypy, beside the tests; it speaks at the end, where something is wrong"
types=$(mktemp)
"$PYTHON" -m mypy >"$types" 2>&1 &
checking=$!
trap 'kill "$checking" 2>/dev/null || true; rm -f "$types"' EXIT
say "== pytest"
command -v chromedriver >/dev/null ||
    say "note: no Chromium with its driver, so the browser's tests are skipped: apt-get install chromium chromium-driver"
# Last, so that its closing line is what remains on the screen.
# A file's tests share what they train, so they stay on one processor. Their order is tests/conftest.py's.
"$PYTHON" -m pytest -q -rs -n auto --dist loadfile --no-loadscope-reorder "$@" || failed+=(pytest)
wait "$checking" || {
    failed+=(mypy)
    cat "$types" >&2
}
if [ ${#failed[@]} -gt 0 ]; then
    die "failed: ${failed[*]}"
fi

#!/usr/bin/env bash
# The main commands in an environment that has what the README's `pip install` line brings and nothing else: with the
# newest sentencepiece, and with the oldest that setup.py allows. What the tests install besides can hide what is
# missing there.
set -euo pipefail
cd "$(dirname "$0")/.."
. examples/bootstrap.sh

# pip leaves a build folder beside what it installs, so it gets a copy.
copy_sources() {
    rm -rf "$VENV/sources"
    mkdir -p "$VENV/sources"
    cp -R setup.py pyproject.toml README.md LICENSE fairseq_guided_align "$VENV/sources"
}

install_readme() {
    say "== an environment from the README's line ($("$BASE_PYTHON" --version)): torch, then $LINE"
    rm -rf "$VENV"
    "$BASE_PYTHON" -m venv "$VENV" || die "$BASE_PYTHON -m venv $VENV failed; the reason stands above."
    # As the README says of Python 3.10.
    "$BASE_PYTHON" -c 'import sys; sys.exit(sys.version_info >= (3, 11))' && pip_install -q "pip==24.0"
    pip_install -q -c requirements/run.txt torch
    copy_sources
    (cd "$VENV/sources" && PATH="$VENV/bin:$PATH" eval "$LINE -q --disable-pip-version-check") ||
        die "the README's line failed: $LINE" "The reason stands above."
}

unset PYTHONPATH PYTHONHOME
export PYTHONNOUSERSITE=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
LINE=$(grep -m 1 "^pip install '\.\[" README.md) || die "README.md: expected a line pip install '.[...]'; found none"
OLDEST=$(sed -n 's/^SENTENCEPIECE = \["sentencepiece>=\(.*\)"\]$/\1/p' setup.py)
[ -n "$OLDEST" ] || die 'setup.py: expected SENTENCEPIECE = ["sentencepiece>=VERSION"]; found none'
find_python
VENV=$PWD/.venv-installed-$("$BASE_PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
install readme "$(fingerprint setup.py pyproject.toml) $LINE"
copy_sources
pip_install -q --no-deps --force-reinstall "$VENV/sources"
pip_install -q --upgrade sentencepiece
# In a folder that comes first on the path of one of the two runs, so that both run at once.
pip_install -q --upgrade --no-deps --target "$VENV/oldest" "sentencepiece==$OLDEST"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$VENV/bin/python" tests/installed_commands.py "$work/newest" >"$work/newest.log" 2>&1 &
newest=$!
failed=()
PYTHONPATH=$VENV/oldest "$VENV/bin/python" tests/installed_commands.py "$work/oldest" >"$work/oldest.log" 2>&1 ||
    failed+=(oldest)
wait "$newest" || failed+=(newest)
cat "$work/newest.log" "$work/oldest.log"
[ ${#failed[@]} -eq 0 ] || die "as installed, something fails with the ${failed[*]} sentencepiece; see above"

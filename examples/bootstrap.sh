# Makes the project's own virtual environment; to be sourced by bash scripts at the root of the checkout.
#
#   . examples/bootstrap.sh
#   bootstrap run         what the examples need: torch, fairseq, sentencepiece, matplotlib
#   bootstrap run test    and what the tests need on top
#
# Afterwards PYTHON is the environment's interpreter and its programs come first on PATH. The environment is
# .venv-MAJOR.MINOR in the checkout; a second call finds it complete and returns at once, without any network.
# PYTHON=/path/to/python chooses the interpreter.

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $1"
    shift
    for line in "$@"; do say "       $line"; done
    exit 1
}

# Why an interpreter does not fit, on stdout; empty if it does.
misfit() {
    local answer
    # A name on PATH may be a shim whose version is not there, so only what really runs counts.
    answer=$("$1" -c '
import sys
version = "%d.%d" % sys.version_info[:2]
if version not in ("3.10", "3.11", "3.12"):
    sys.exit(print("is Python " + version))
try:
    import ensurepip, venv
    print("fits")
except ImportError:
    print("has no venv or ensurepip; on Debian and Ubuntu: apt install python%s-venv" % version)
' 2>/dev/null) || answer="does not run"
    [ "$answer" = fits ] || printf '%s' "$answer"
}

# Sets BASE_PYTHON.
find_python() {
    local candidate reason tried=() candidates=("${PYTHON:-}")
    # 3.10 comes last: its fairseq has to be compiled.
    [ -n "${PYTHON:-}" ] || candidates=(python3.11 python3.12 python3 python python3.10
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[0-2].*/bin/python)
    for candidate in "${candidates[@]}"; do
        [ -n "${PYTHON:-}" ] || [ -n "$(command -v "$candidate")" ] || continue
        reason=$(misfit "$candidate")
        BASE_PYTHON=$candidate
        [ -n "$reason" ] || return 0
        tried+=("${PYTHON:+PYTHON=}$candidate $reason")
    done
    die "no fitting Python found; wanted: Python 3.10, 3.11 or 3.12 with venv." ${tried[@]+"${tried[@]}"} \
        "Install one (Debian, Ubuntu: apt install python3.11 python3.11-venv; macOS: brew install python@3.11)," \
        "or name one: PYTHON=/path/to/python3.11"
}

# Hash of files and words: an environment made for other ones is out of date.
fingerprint() {
    { "$BASE_PYTHON" --version && echo "$VENV" && cat "$@"; } | cksum
}

pip_install() {
    "$VENV/bin/python" -m pip install --disable-pip-version-check "$@" || die \
        "pip could not install: $*" \
        "The reason stands above. Usual ones: no network or package registry, a full disk, no C compiler" \
        "(Python 3.10 only). Run the same command again; what is already downloaded is kept."
}

# install LAYER KEY: runs install_LAYER unless the environment is stamped with KEY, so after an interruption too.
install() {
    local stamp=$VENV/.stamp-$1
    if [ "$(cat "$stamp" 2>/dev/null)" = "$2" ]; then return; fi
    lock
    # Whoever held the lock may have done it.
    if [ "$(cat "$stamp" 2>/dev/null)" != "$2" ]; then
        "install_$1"
        printf '%s\n' "$2" >"$stamp"
    fi
    unlock
}

# One installation at a time: both commands of the README may be started at once. A folder, because making one
# either succeeds or fails on every system; it holds the process id, so that a killed run blocks nobody.
lock() {
    local told='' holder
    until mkdir "$VENV.lock" 2>/dev/null; do
        holder=$(cat "$VENV.lock/pid" 2>/dev/null || true)
        if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
            rm -rf "$VENV.lock"
            continue
        fi
        [ -n "$told" ] || say "waiting for another installation into $VENV (process ${holder:-unknown})"
        told=yes
        sleep 1
    done
    echo $$ >"$VENV.lock/pid"
    trap unlock EXIT
}

unlock() {
    rm -rf "$VENV.lock"
    trap - EXIT
}

install_run() {
    say "== 1 of 4: virtual environment $VENV ($("$BASE_PYTHON" --version))"
    rm -rf "$VENV"
    "$BASE_PYTHON" -m venv "$VENV" || die "$BASE_PYTHON -m venv $VENV failed; the reason stands above."
    # 24.0 is the last pip that accepts the metadata of omegaconf 2.0, which fairseq 0.12.2 wants.
    pip_install -q "pip==24.0" -c requirements/run.txt setuptools
    say "== 2 of 4: torch (the largest part: up to a few gigabytes, where it brings its own CUDA)"
    pip_install -c requirements/run.txt torch
    say "== 3 of 4: fairseq, sentencepiece, matplotlib and what they need"
    # All of them are listed, so pip need not look further; and nothing can pull in another torch.
    pip_install --no-deps --use-pep517 -r requirements/run.txt
    local said
    said=$("$VENV/bin/python" -c 'import fairseq, matplotlib, numpy, sentencepiece, torch' 2>&1) ||
        die "the environment $VENV is not usable:" "$said"
}

install_package() {
    say "== 4 of 4: fairseq_guided_align itself"
    pip_install -q --no-deps --no-build-isolation -e .
}

install_test() {
    say "== for the tests: pytest, hypothesis, ruff, mypy"
    # Reinstalled whole: what an interrupted run left behind may be half there.
    pip_install --no-deps --force-reinstall -r requirements/test.txt
    local optional
    grep -v '^#' requirements/test-optional.txt | while read -r optional; do
        "$VENV/bin/python" -m pip install --disable-pip-version-check -q --no-deps "$optional" ||
            say "note: $optional cannot be installed here; the tests that need it are skipped"
    done
}

bootstrap() {
    local layer
    # Other people's packages on these paths would shadow the pinned ones.
    unset PYTHONPATH PYTHONHOME
    export PYTHONNOUSERSITE=1
    find_python
    VENV=$PWD/.venv-$("$BASE_PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    install run "$(fingerprint requirements/run.txt)"
    install package "$(fingerprint setup.py pyproject.toml)"
    for layer in "$@"; do
        case $layer in
        run) ;;
        test) install test "$(fingerprint requirements/run.txt requirements/test.txt requirements/test-optional.txt)" ;;
        *) die "bootstrap: no such layer: $layer" ;;
        esac
    done
    PYTHON=$VENV/bin/python
    export PATH="$VENV/bin:$PATH"
}

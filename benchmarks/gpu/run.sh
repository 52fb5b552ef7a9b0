#!/usr/bin/env bash
# Measures everything that a GPU is needed for: offline, in eight minutes at most. --help shows its options.
#
# Needs the folder that prepare.sh made, and a Python with torch and pytest: PYTHON=/path/to/python, else python3,
# else the checkout's own environment. KIT=FOLDER names another folder of prepare.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
export KIT=${KIT:-benchmarks/gpu/kit}

for python in ${PYTHON:+"$PYTHON"} python3 .venv-3.1[0-2]/bin/python ''; do
    if [ -z "$python" ]; then
        echo "error: no Python with torch and pytest found; name one: PYTHON=/path/to/python, or make one where" >&2
        echo "       there is a network: bash benchmarks/gpu/prepare.sh" >&2
        exit 2
    fi
    "$python" -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("torch") and u.find_spec("pytest")))' \
        2>/dev/null && break
done

# What is missing comes from the folder; a Python that has fairseq keeps what it has.
if ! "$python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("fairseq"))'; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install -q --disable-pip-version-check --no-index --no-deps --no-compile --no-cache-dir \
        --find-links "$KIT/wheels" --target "$site" -r benchmarks/gpu/requirements.txt || {
        echo "error: $KIT/wheels does not have what this Python lacks ($("$python" --version)); the reason stands" >&2
        echo "       above. The wheels are for Python 3.12 on Linux x86-64: bash benchmarks/gpu/prepare.sh" >&2
        exit 2
    }
    export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
fi
# Every launch would wait for the GPU.
unset CUDA_LAUNCH_BLOCKING
PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore::SyntaxWarning "$python" -m benchmarks.gpu "$@"

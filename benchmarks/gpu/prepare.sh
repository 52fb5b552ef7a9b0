#!/usr/bin/env bash
# Collects what run.sh needs on a GPU machine without a network: wheels for Python 3.12 on Linux x86-64, and the
# Greek-English data folder. It takes a minute, and a network. A data folder of another corpus of benchmarks.quality,
# which that benchmark made with --work FOLDER, may be put beside it: FOLDER/english-german/data-bin.
#
#   bash benchmarks/gpu/prepare.sh
#
# They go to benchmarks/gpu/kit, which git ignores; KIT=FOLDER names another one. PYTHON=/path/to/python names one that
# has the package and fairseq; else the checkout's own environment is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
. examples/bootstrap.sh
if [ $# -gt 0 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    [ "$1" = --help ] && exit 0 || exit 2
fi
kit=${KIT:-benchmarks/gpu/kit}
"${PYTHON:-false}" -c 'import importlib.util as u, sys
sys.exit(not (u.find_spec("fairseq") and u.find_spec("sentencepiece")))' 2>/dev/null || bootstrap run test

# Everything is collected beside the folder and takes its place at the end.
rm -rf "$kit.partial"
mkdir -p "$kit.partial/wheels"
say "== wheels for Python 3.12"
sdist=antlr4-python3-runtime # without a wheel on the registry; it is pure Python, so any Python can build it
grep -v "^#\|^$sdist" benchmarks/gpu/requirements.txt >"$kit.partial/binary.txt"
grep "^$sdist" benchmarks/gpu/requirements.txt >"$kit.partial/source.txt"
"$PYTHON" -m pip download --disable-pip-version-check -q --no-deps --only-binary :all: --implementation cp \
    --python-version 3.12 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --dest "$kit.partial/wheels" -r "$kit.partial/binary.txt" ||
    die "the wheels could not be downloaded; the reason stands above. Run the same command again."
"$PYTHON" -m pip wheel --disable-pip-version-check -q --no-deps --wheel-dir "$kit.partial/wheels" \
    -r "$kit.partial/source.txt" || die "$sdist could not be built; the reason stands above."
rm "$kit.partial/binary.txt" "$kit.partial/source.txt"

say "== the Greek-English data folder"
"$PYTHON" -m benchmarks.quality --work "$kit.partial" --minutes 0 >/dev/null
# The data folder keeps the text; beside it is said whose work it is.
mv "$kit.partial/greek-english/text/CREDITS.txt" "$kit.partial"
rm -rf "$kit.partial/greek-english/"{text,cache,preprocess.log}

rm -rf "$kit"
mv "$kit.partial" "$kit"
say "$kit: $(du -sm "$kit" | cut -f 1) MiB, of which wheels $(du -sm "$kit/wheels" | cut -f 1); next, on the GPU" \
    "machine: bash benchmarks/gpu/run.sh --output FOLDER"

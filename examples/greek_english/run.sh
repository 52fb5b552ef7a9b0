#!/usr/bin/env bash
# The main example: from nothing to alignment error rates on held-out verses. --help shows its options.
set -euo pipefail
cd "$(dirname "$0")/../.."
. examples/bootstrap.sh
bootstrap run
exec "$PYTHON" -m examples.greek_english.main "$@"

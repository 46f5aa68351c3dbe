#!/usr/bin/env bash
# Works out requirements/*.txt anew from requirements/*.in: one complete set for Python 3.10-3.12 on every system.
# Needs `uv` on the PATH. torch itself stays out: install.py chooses its build (requirements/torch.txt is its pin).
set -euo pipefail
cd "$(dirname "$0")/../requirements"
compile() {
    uv pip compile --universal --python-version 3.10 --no-annotate --emit-build-options --no-emit-package torch --quiet \
        --custom-compile-command "tools/pin.sh" "$@"
}
compile embedded.in -o embedded.txt
compile dev.in -c embedded.txt -o dev.txt
compile gradio3.in -o gradio3.txt

#!/usr/bin/env bash
# Checks that KServe's own server answers with an exported model: prints PASS or FAIL.
#
# It needs the network the first time: KServe, whose requirements contradict ours, gets an
# environment of its own, build/kserve. CI does not run it.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

kserve=build/kserve
if [[ ! -f $kserve/installed ]]; then
    python -m venv "$kserve"
    "$kserve/bin/pip" install --quiet kserve==0.21.0 "$(grep '^tensorflow==' requirements.txt)"
    touch "$kserve/installed"
fi

out=$(mktemp -d)
trap 'rm -r "$out"' EXIT
export TF_CPP_MIN_LOG_LEVEL=2
pix2pix-tf train --quiet --ngf 8 --ndf 8 --max_steps 1 --output_dir "$out/run"
pix2pix-tf export --quiet --checkpoint "$out/run" --output_dir "$out/facades/1" --no_dropout
"$kserve/bin/python" tools/check_kserve.py "$out/facades/1" "$out/facades/1/sample.png"

#!/usr/bin/env bash
# The main job on the embedded sample data: train, test, export. Under 5 minutes on two
# cores, once the environment is there.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

out="runs/demo-$(date +%Y%m%d-%H%M%S)"
pix2pix-tf --mode train --which_direction BtoA --ngf 32 --ndf 32 --max_steps 300 \
    --display_freq 100 --output_dir "$out/train"
pix2pix-tf --mode test --checkpoint "$out/train" --output_dir "$out/test"
pix2pix-tf --mode export --checkpoint "$out/train" --output_dir "$out/facades/1" --no_dropout

echo
echo "images:      $out/test/index.html (open it in a browser)"
echo "TensorBoard: .venv/bin/tensorboard --logdir $out/train"
echo "SavedModel:  $out/facades/1"
echo "draw:        .venv/bin/pix2pix-tf serve $out/facades (then open http://127.0.0.1:8501/)"

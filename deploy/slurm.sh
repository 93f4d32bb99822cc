#!/bin/bash
# Trains on several machines of a Slurm cluster: see docs/distributed.md.
#SBATCH --job-name=pix2pix
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-task=4
#SBATCH --requeue
# SIGTERM a minute before the end: all processes save after the same step.
#SBATCH --signal=TERM@60
set -euo pipefail

workers=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed 's/.*/"&:2222"/' | paste -sd ,)
export WORKERS="[$workers]"

srun --kill-on-bad-exit=1 bash -c '
    task="{\"type\": \"worker\", \"index\": $SLURM_PROCID}"
    export TF_CONFIG="{\"cluster\": {\"worker\": $WORKERS}, \"task\": $task}"
    exec pix2pix-tf train --strategy multi_worker --resume auto --seed 1 --batch_size 64 \
        --input_dir data/facades/train --output_dir runs/facades --max_epochs 200'

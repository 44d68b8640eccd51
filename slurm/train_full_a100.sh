#!/bin/bash
# Train the preset full-market (600 symbols, 85 million parameters) on two A100s of each node.
#   sbatch [--nodes=N ...] slurm/train_full_a100.sh [key.sub=value ...]
# Arguments are handed on to marketgpt train: key.sub=value, --source, run_dir=DIR, --no-evaluate.
#SBATCH --job-name=full
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --gpus-per-node=a100:2
#SBATCH --cpus-per-task=8
#SBATCH --mem=256G
#SBATCH --time=2-00:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
set -euo pipefail

home=${MARKETGPT_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
# shellcheck source=/dev/null
source "$home/slurm/env.sh" || { echo "error: $home has no slurm/env.sh: sbatch from there, or set MARKETGPT_HOME" >&2; exit 2; }

# A rank for each task, started by marketgpt itself.
run_and_requeue marketgpt train --preset full-market --resume "$@" "run_dir=$(run_folder)"

#!/bin/bash
# Train the preset reduced (100 symbols, 25 million parameters) on two A100s.
#   sbatch [--nodes=N ...] slurm/train_reduced_a100.sh [key.sub=value ...]
# Arguments are handed on to marketgpt train: key.sub=value, --source, run_dir=DIR, --no-evaluate.
#SBATCH --job-name=reduced
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --gpus-per-node=a100:2
#SBATCH --cpus-per-task=8
#SBATCH --mem=128G
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
set -euo pipefail

home=${MARKETGPT_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
# shellcheck source=/dev/null
source "$home/slurm/env.sh" || { echo "error: $home has no slurm/env.sh: sbatch from there, or set MARKETGPT_HOME" >&2; exit 2; }

# A rank for each task, started by marketgpt itself.
run_and_requeue marketgpt train --preset reduced --resume "$@" "run_dir=$(run_folder)"

#!/bin/bash
# Evaluate a trained run on its test part.
#   sbatch slurm/evaluate_run.sh RUN [--source ...] [--html FILE]
#SBATCH --job-name=evaluate
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
set -euo pipefail

home=${MARKETGPT_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
# shellcheck source=/dev/null
source "$home/slurm/env.sh" || { echo "error: $home has no slurm/env.sh: sbatch from there, or set MARKETGPT_HOME" >&2; exit 2; }

run_and_requeue marketgpt evaluate "$@"

#!/bin/bash
# Does it work here? 200 steps of the preset crypto-multitask on one T4, evaluated.
#   sbatch [--nodes=N ...] slurm/test_multitask_t4.sh [key.sub=value ...]
# Arguments are handed on to marketgpt train: key.sub=value, --source, run_dir=DIR, --no-evaluate.
#SBATCH --job-name=multitask-test
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=t4:1
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=00:30:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
set -euo pipefail

home=${MARKETGPT_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
# shellcheck source=/dev/null
source "$home/slurm/env.sh" || { echo "error: $home has no slurm/env.sh: sbatch from there, or set MARKETGPT_HOME" >&2; exit 2; }

# A rank for each task, started by marketgpt itself.
run_and_requeue marketgpt train --preset crypto-multitask --resume loop.max_steps=200 "$@" "run_dir=$(run_folder)"

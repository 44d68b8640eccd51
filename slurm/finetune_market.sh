#!/bin/bash
# Specialise a trained run in one market: us, eu, em, commodity or crypto.
#   sbatch slurm/finetune_market.sh RUN MARKET [--method full|lora|heads] [--source ...] [key.sub=value ...]
#SBATCH --job-name=finetune
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=a100:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
set -euo pipefail

home=${MARKETGPT_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
# shellcheck source=/dev/null
source "$home/slurm/env.sh" || { echo "error: $home has no slurm/env.sh: sbatch from there, or set MARKETGPT_HOME" >&2; exit 2; }

if [ $# -lt 2 ]; then
  echo "usage: sbatch slurm/finetune_market.sh RUN MARKET [options]" >&2
  exit 2
fi
run=$1 market=$2
shift 2
run_and_requeue marketgpt finetune "$run" --market "$market" --resume "$@" "run_dir=$(run_folder)"

#!/bin/bash
# Walk forward: fold K is task K of an array; when all are done, task 0 of an array of its own merges them.
#   sbatch --array=1-5 slurm/walk_forward_array.sh PRESET [--window rolling] [--source ...] [key.sub=value ...]
# Some folds again, of 5:  sbatch --array=2,4 slurm/walk_forward_array.sh PRESET --folds 5 ... run_dir=DIR
#SBATCH --job-name=walk-forward
#SBATCH --array=1-5
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=a100:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.out
set -euo pipefail

home=${MARKETGPT_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
# shellcheck source=/dev/null
source "$home/slurm/env.sh" || { echo "error: $home has no slurm/env.sh: sbatch from there, or set MARKETGPT_HOME" >&2; exit 2; }

if [ $# -lt 1 ] || [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
  echo "usage: sbatch --array=1-FOLDS slurm/walk_forward_array.sh PRESET [options]" >&2
  exit 2
fi
preset=$1
shift
folder=${MARKETGPT_WALK:-$MARKETGPT_RUNS/walk-forward-$preset-$SLURM_ARRAY_JOB_ID}
# The first one given counts: what is typed wins.
walk=(marketgpt walk-forward --preset "$preset" "$@")
[[ " $* " == *" --folds"* ]] || walk+=(--folds "${MARKETGPT_FOLDS:-$SLURM_ARRAY_TASK_MAX}")

if [ "$SLURM_ARRAY_TASK_ID" = 0 ]; then
  run_and_requeue "${walk[@]}" --merge "run_dir=$folder"
  exit
fi
# shellcheck disable=SC2153
# One task asks for the merge, once.
if [ "$SLURM_ARRAY_TASK_ID" = "$SLURM_ARRAY_TASK_MIN" ] && [ "${SLURM_RESTART_COUNT:-0}" = 0 ]; then
  MARKETGPT_WALK=$folder MARKETGPT_FOLDS=${MARKETGPT_FOLDS:-$SLURM_ARRAY_TASK_MAX} \
    sbatch --array=0 --job-name="${SLURM_JOB_NAME:-walk-forward}-merge" --partition="$SLURM_JOB_PARTITION" \
    --dependency="afterok:$SLURM_ARRAY_JOB_ID" --kill-on-invalid-dep=yes \
    "$MARKETGPT_HOME/slurm/walk_forward_array.sh" "$preset" "$@" ||
    echo "no merge was submitted: when all folds are done, ${walk[*]} --merge run_dir=$folder" >&2
fi
run_and_requeue "${walk[@]}" --fold "$SLURM_ARRAY_TASK_ID" "run_dir=$folder"

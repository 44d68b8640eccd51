#!/bin/bash
# Train the presets reduced and full-market side by side; each is evaluated by a job of its own when it is trained.
#   slurm/launch_parallel_training.sh [key.sub=value ...]       on a login node, not with sbatch
# Arguments go to both; SBATCH_PARTITION, SBATCH_ACCOUNT and the like to all four jobs.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
export MARKETGPT_HOME=${MARKETGPT_HOME:-$(dirname "$here")}
# shellcheck source=/dev/null
source "$here/env.sh"
if [[ " $* " == *" run_dir="* ]]; then
  echo "error: two runs cannot share a run_dir: set MARKETGPT_RUNS to the folder that is to hold both" >&2
  exit 2
fi
cd "$MARKETGPT_HOME"

for preset in reduced full; do
  name=$preset
  job=$(sbatch --parsable --job-name="$name" "slurm/train_${preset}_a100.sh" --no-evaluate "$@")
  job=${job%%;*} # with several clusters: job;cluster
  run=$MARKETGPT_RUNS/$name-$job
  evaluation=$(sbatch --parsable --dependency="afterok:$job" --kill-on-invalid-dep=yes slurm/evaluate_run.sh "$run")
  echo "$name: job $job, evaluated by job ${evaluation%%;*}; $run"
done
echo "watch: squeue --me; marketgpt train status --all $MARKETGPT_RUNS"

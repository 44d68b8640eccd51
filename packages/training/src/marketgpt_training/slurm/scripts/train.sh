#!/bin/bash
# {{about}}
#   {{usage}}
# Arguments are handed on to marketgpt train: key.sub=value, --source, run_dir=DIR, --no-evaluate.
{{headers}}
set -euo pipefail

home=${MARKETGPT_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
# shellcheck source=/dev/null
source "$home/slurm/env.sh" || { echo "error: $home has no slurm/env.sh: sbatch from there, or set MARKETGPT_HOME" >&2; exit 2; }

# A rank for each task, started by marketgpt itself.
run_and_requeue {{command}}

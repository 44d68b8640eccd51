# shellcheck shell=bash disable=SC1091
# Your cluster, in one place: every script here sources this file. Change it, or set the variables before sbatch.
# What to ask of Slurm (partition, account, time, GPUs) stands in each script's #SBATCH lines; sbatch's own options and
# the environment (SBATCH_PARTITION, SBATCH_ACCOUNT, ...) win over them.

# Slurm runs a copy of a batch script, so nothing is found beside it: this is the folder that holds slurm/.
export MARKETGPT_HOME=${MARKETGPT_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}

# Runs are written here: on a file system that all nodes of a job share.
export MARKETGPT_RUNS=${MARKETGPT_RUNS:-$MARKETGPT_HOME/runs}

# Software. For example: module load gcc cuda
if [ -f "${MARKETGPT_VENV:-$MARKETGPT_HOME/.venv}/bin/activate" ]; then
  source "${MARKETGPT_VENV:-$MARKETGPT_HOME/.venv}/bin/activate"
fi
if ! command -v marketgpt >/dev/null; then
  echo "error: no command marketgpt: set MARKETGPT_VENV to its environment, or activate it in $MARKETGPT_HOME/slurm/env.sh" >&2
  exit 2
fi

# Threads of one rank: the cores it was given.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}

# How GPUs of several nodes talk. NCCL finds the network by itself on most clusters; where it does not:
#   export NCCL_SOCKET_IFNAME=ib0     the interface (gloo, on CPUs: GLOO_SOCKET_IFNAME)
#   export NCCL_IB_DISABLE=1          no InfiniBand
export NCCL_DEBUG=${NCCL_DEBUG:-WARN}

# A job is put back into the queue at most so many times.
export MARKETGPT_MOST_RESTARTS=${MARKETGPT_MOST_RESTARTS:-100}

source "$MARKETGPT_HOME/slurm/requeue.sh"

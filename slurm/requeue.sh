# shellcheck shell=bash
# How a job survives its time limit and preemption; sourced by env.sh. Nothing here is of one cluster.

# Status of a command that stopped with a checkpoint: run me again.
readonly STOPPED=75

# The run's folder: the same in every start of a job.
run_folder() {
  local name=${SLURM_JOB_NAME:-run}
  echo "$MARKETGPT_RUNS/${name//[^A-Za-z0-9_.-]/_}-${SLURM_JOB_ID:-$$}"
}

# The job as scontrol takes it: the number of an array's last task would mean the whole array.
this_job() {
  if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then echo "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"; else echo "${SLURM_JOB_ID:-}"; fi
}

job_says() { # FIELD: what Slurm says of this job, for example JobState
  scontrol --oneliner show job "$(this_job)" | tr ' ' '\n' | sed -n "s/^$1=//p" | head -n 1 || true
}

hear() { # SIGNAL
  warned=1 heard=1
  echo "warned by $1"
  pass_on
}
# USR1 for both: srun hands it on to its tasks, and would kill them when it gets TERM.
pass_on() { [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null || true; }

# Run a command; hand signals on to it; put the job back into the queue when it stopped with a checkpoint.
run_and_requeue() { # COMMAND...
  local status=0
  warned='' heard='' child=''
  trap 'hear USR1' USR1
  trap 'hear TERM' TERM
  echo "$(date '+%F %T') job $(this_job) on ${SLURM_JOB_NODELIST:-$HOSTNAME}, start $((${SLURM_RESTART_COUNT:-0} + 1)): $*"
  # bash hears a signal only while it waits for a child in the background.
  "$@" &
  child=$!
  [ -z "$warned" ] || pass_on
  wait "$child" || status=$?
  # A signal ends the wait, not the child.
  while [ -n "$heard" ]; do
    heard='' status=0
    wait "$child" || status=$?
  done
  trap - USR1 TERM
  case $status in
    # Done, or an error that somebody has to mend.
    0 | 2) ;;
    # The last two: ended by a signal before it could say 75.
    "$STOPPED" | $((128 + $(kill -l USR1))) | $((128 + $(kill -l TERM)))) requeue "$status" ;;
    *) [ -z "$warned" ] || requeue "$status" ;;
  esac
  return "$status"
}

requeue() { # STATUS
  local state
  state=$(job_says JobState)
  if [ "$state" != RUNNING ]; then
    # Cancelled: it stays so. Preempted: Slurm has put it back already.
    echo "stopped with status $1; the job is $state and is left to Slurm"
  elif [ "$(job_says Requeue)" = 0 ]; then
    echo "stopped with status $1; this cluster or job does not requeue: submit it again with run_dir= as above"
  elif [ "${SLURM_RESTART_COUNT:-0}" -ge "$MARKETGPT_MOST_RESTARTS" ]; then
    echo "stopped with status $1 after ${SLURM_RESTART_COUNT} restarts, MARKETGPT_MOST_RESTARTS: not requeued"
  else
    echo "stopped with status $1: back into the queue"
    # Slurm ends this script together with the job.
    if scontrol requeue "$(this_job)"; then sleep 60; fi
  fi
}

# shellcheck shell=bash disable=SC2034
# What up and down share. Settings, all from the environment:
#   SLURM_LOCAL         state folder, at most 70 characters (sockets lie in it); default /tmp/marketgpt-slurm
#   SLURM_LOCAL_PORT    the first of three TCP ports on 127.0.0.1; default 16817
LAB=$(realpath -m "${SLURM_LOCAL:-/tmp/marketgpt-slurm}")
export SLURM_CONF=$LAB/etc/slurm.conf
DAEMONS=(munged slurmctld n1 n2)
HOSTS_LINE="127.0.0.1 n1 n2 # marketgpt slurm/local $LAB"

say() { echo "slurm/local/$(basename "$0"): $*" >&2; }
die() { say "$*"; exit 1; }

# A pid alone may by now be another process's: its start time tells.
started_at() { awk '$3 != "Z" {print $22}' "/proc/$1/stat" 2>/dev/null; } # PID; nothing for a dead one
pid_of() { # DAEMON -> its pid, if it is still the process that was recorded
  local pid start
  [ -s "$LAB/pids/$1" ] && read -r pid start <"$LAB/pids/$1" || return 1
  [ -n "${start:-}" ] && [ "$(started_at "$pid")" = "$start" ] && echo "$pid"
}
within() { # SECONDS COMMAND...: whether it succeeds in time
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

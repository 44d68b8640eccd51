"""Run a command; fail when it fails, takes too long or needs too much memory."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time


def main() -> int:
    """Run the command given after the limits and print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most-s", type=float, required=True)
    parser.add_argument("--most-gb", type=float, required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    limits = parser.parse_args()
    started = time.perf_counter()
    status = subprocess.run(limits.command, check=False).returncode
    wall_s = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    gigabytes = used.ru_maxrss / 1e6
    print(f"{wall_s:.0f} s wall, {used.ru_utime + used.ru_stime:.0f} s CPU, {gigabytes:.2f} GB at most")
    if status:
        return status
    if wall_s > limits.most_s or gigabytes > limits.most_gb:
        print(f"over the limit of {limits.most_s:.0f} s or {limits.most_gb:.0f} GB")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One rank: what the ``deepspeed`` launcher starts. Its folder holds ``config.toml``."""

from __future__ import annotations

import sys
from pathlib import Path

from marketgpt_core.errors import MarketGPTError
from marketgpt_training.interruption import EXIT_STATUS, TrainingInterrupted


def main(arguments: list[str]) -> None:
    """Train as one rank; the last argument is the run's folder (the launcher adds its own before it)."""
    from marketgpt_training.loading import load_candles
    from marketgpt_training.pipeline import fit, write_run
    from marketgpt_training.preparation import prepare
    from marketgpt_training.resume import begun_config

    folder = Path(arguments[-1])
    config = begun_config(folder)
    prepared = prepare(config, load_candles(config))
    result, rank = fit(config, prepared, folder, resume="--resume" in arguments)
    if rank == 0:
        write_run(config, prepared, result, folder)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MarketGPTError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_STATUS if isinstance(error, TrainingInterrupted) else 2)

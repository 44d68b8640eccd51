"""Requests a second and how long they take, over a server that is running on this machine.

Requests are due at fixed times, whether or not earlier ones were answered; a request's time counts from when
it was due, so a server that stalls is charged for all who wait. Run it with::

    marketgpt serve marketgpt-demo --rate-limit 1000/second &
    uv run python benchmarks/api_load.py --rate 200 --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import defaultdict

PATHS = (
    "/v1/signals?limit=50",
    "/v1/signals?market=us&limit=20",
    "/v1/signals?symbol=AAPL&side=LONG&limit=20",
    "/v1/signals/latest",
    "/v1/outcomes?limit=20",
    "/v1/bands?symbol=AAPL",
    "/v1/forecasts?symbol=AAPL&limit=5",
    "/v1/models",
    "/v1/backtests",
    "/v1/health",
    "/v1/health/ready",
    "/metrics",
)
CONNECTIONS = 64


class Load:
    """Asks a server on loopback over kept connections.

    Args:
        port: The server's.
        key: An API key; empty for none.
    """

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._head = "Host: localhost\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
        self._due: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
        self.taken_s: defaultdict[str, list[float]] = defaultdict(list)
        self.statuses: defaultdict[int, int] = defaultdict(int)

    async def run(self, rate: int, seconds: int) -> None:
        """Ask ``rate`` times a second, drawn evenly from all paths."""
        connections = [asyncio.create_task(self._connection()) for _ in range(CONNECTIONS)]
        begun, draw = time.perf_counter(), random.Random(1)
        for number in range(rate * seconds):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._due.put_nowait((due, draw.choice(PATHS)))
        await self._due.join()
        for one in connections:
            one.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connection(self) -> None:
        """Ask what is due, over one connection; what goes wrong counts as status 0, and it connects anew."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while True:
            due, path = await self._due.get()
            status = 0
            try:
                status = await self._ask(reader, writer, path)
            except (OSError, asyncio.IncompleteReadError):
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            self.taken_s[path].append(time.perf_counter() - due)
            self.statuses[status] += 1
            self._due.task_done()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
        writer.write(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in rest if line)
        await reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1])


def quantiles(taken_s: list[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the worst in milliseconds."""
    ordered = sorted(taken_s)
    at = {"median_ms": len(ordered) // 2, "p99_ms": int(0.99 * len(ordered)), "most_ms": len(ordered) - 1}
    return {name: round(1e3 * ordered[place], 1) for name, place in at.items()}


def main() -> None:
    """Ask and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--key", default="", help="an API key")
    arguments = parser.parse_args()
    load = Load(arguments.port, arguments.key)
    begun = time.perf_counter()
    asyncio.run(load.run(arguments.rate, arguments.seconds))
    whole = [one for taken_s in load.taken_s.values() for one in taken_s]
    told = {
        "requests": len(whole),
        "per_second": round(len(whole) / (time.perf_counter() - begun), 1),
        "statuses": dict(load.statuses),
        **quantiles(whole),
        "by_path": {path: quantiles(taken_s) for path, taken_s in load.taken_s.items()},
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()

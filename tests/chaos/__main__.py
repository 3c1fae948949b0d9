"""Plays the table of faults: `python -m tests.chaos`, or one round again by its row and seed.

python -m tests.chaos --row "kill after send" --seed 12345
"""

import argparse
import json
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.chaos.previous import has_history
from tests.chaos.rows import BY_NAME, ROWS, Row
from tests.chaos.servers import rabbit_program

TRIES = 4
"""A round that met too little work is played again with another seed, so often at most."""

Round = tuple[str, int]
Reply = dict[str, Any]


class Play:
    """Rounds to be played by lanes, and what became of them."""

    def __init__(self, rows: Sequence[Row], seed: int, times: int) -> None:
        self.told: list[Reply] = []
        self.rounds: dict[bool, queue.SimpleQueue[Round]] = {
            False: queue.SimpleQueue(),
            True: queue.SimpleQueue(),
        }
        self._seed = seed
        self._again: dict[Round, int] = {}
        drawn = [(row, n) for row in rows for n in range(row.needed * times)]
        Random(seed).shuffle(drawn)
        # The row that makes the database anew comes last; one lane alone may get it.
        drawn.sort(key=lambda one: one[0].name.startswith("worker of the previous"))
        for row, number in drawn:
            self._put(row, f"{seed}/{row.name}/{number}")

    def _put(self, row: Row, drawn_from: str, tries: int = 0) -> None:
        one = (row.name, Random(drawn_from).getrandbits(32))
        self._again[one] = tries
        self.rounds[row.on_rabbit].put(one)

    def take(self, told: Reply) -> None:
        """Note a round; one that met no work is put back under another seed."""
        self.told.append(told)
        one = (told["row"], told["seed"])
        tries = self._again.get(one, TRIES)
        if not told["hit"] and tries < TRIES:
            self._put(BY_NAME[told["row"]], f"{one}", tries + 1)
        word = "hit" if told["hit"] else "missed"
        print(
            f"{told['seconds']:5.0f} s  {word:6}  moved again after {told['recovery']:4.1f} s  "
            f"{told['row']}  --seed {told['seed']}  {told['note']}",
            flush=True,
        )
        for violation in told["violations"]:
            print(f"         VIOLATION ({told['home']}): {violation}", flush=True)

    def lane(self, *, rabbit: bool) -> None:
        """Play until nothing is left; in a process, as only its main thread may start others."""
        command = [sys.executable, "-m", "tests.chaos.lane", *(["--rabbit"] if rabbit else [])]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            while True:
                try:
                    one = self.rounds[rabbit].get_nowait()
                except queue.Empty:
                    process.stdin.close()
                    return
                process.stdin.write(json.dumps(one) + "\n")
                line = process.stdout.readline()
                if not line:
                    lost = {"row": one[0], "seed": one[1], "hit": False, "recovery": 0.0}
                    self.take(lost | {"seconds": 0.0, "note": "", "home": "", **_LANE_DIED})
                    return
                self.take(json.loads(line))


_LANE_DIED = {"violations": ["the lane itself died"]}


def table(told: Sequence[Reply], rows: Sequence[Row], times: int) -> tuple[str, bool]:
    """The table, and whether all of it is as it must be."""
    lines = [f"{'fault':<72} rounds  hits  needed  violations  worst recovery"]
    good = True
    for row in rows:
        own = [one for one in told if one["row"] == row.name]
        hits = sum(one["hit"] for one in own)
        violations = sum(len(one["violations"]) for one in own)
        worst = max((one["recovery"] for one in own), default=0.0)
        good &= hits >= row.needed * times and not violations
        lines.append(
            f"{row.name:<72} {len(own):6}  {hits:4}  {row.needed * times:6}  "
            f"{violations:10}  {worst:12.1f} s"
        )
    return "\n".join(lines), good


def _rows(asked: str | None) -> list[Row]:
    if asked is not None:
        return [row for row in ROWS if row.name.startswith(asked)]
    left_out = {
        **({} if rabbit_program() else {"RabbitMQ": "RabbitMQ is not installed"}),
        **({} if has_history() else {"worker of the previous": "there is no commit before"}),
    }
    for name, why in left_out.items():
        print(f"left out: {name}…: {why}")
    return [row for row in ROWS if not row.name.startswith(tuple(left_out) or ("\0",))]


def main() -> int:
    """Play, print the table; 1 if something does not hold, or was hit too seldom."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--row", help="this row alone, or those that begin so")
    parser.add_argument("--seed", type=int, help="with --row: one round by the seed it printed")
    parser.add_argument("--from", dest="origin", type=int, help="what all seeds are drawn from")
    parser.add_argument("--lanes", type=int, default=4, help="deployments side by side")
    parser.add_argument("--times", type=int, default=1, help="so many times the hits of the table")
    given = parser.parse_args()
    origin = given.origin if given.origin is not None else secrets.randbits(32)
    rows = _rows(given.row)
    began = time.monotonic()
    play = Play([] if given.seed is not None else rows, origin, given.times)
    if given.seed is not None:
        play.rounds[rows[0].on_rabbit].put((rows[0].name, given.seed))
    print(f"all seeds are drawn from --from {origin}", flush=True)
    wanted = [True] * any(row.on_rabbit for row in rows)
    wanted += [False] * (given.lanes if any(not row.on_rabbit for row in rows) else 0)
    lanes = [threading.Thread(target=play.lane, kwargs={"rabbit": one}) for one in wanted]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    if given.seed is not None:
        return int(any(one["violations"] for one in play.told))
    text, good = table(play.told, rows, given.times)
    print(f"\n{text}\n{time.monotonic() - began:.0f} s in {len(wanted)} lanes", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

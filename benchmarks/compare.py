"""The whole job as whole processes, in turn: ours and theirs, or ours on more and more work."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers import differences
from benchmarks.data import ROOT, Data
from benchmarks.results import Circumstances, Row, figures, ratio
from benchmarks.stopwatch import Measurement, measure
from benchmarks.workloads import Contender, on_one_core

Say = Callable[[str], None]


class AnswersDiffer(AssertionError):
    """Two contenders did not give the same rows; a time for a wrong answer is worth nothing."""


@dataclass(frozen=True)
class Case:
    """A contender and the archive it runs on."""

    name: str
    contender: Contender
    data: Data


def compare(
    data: Data, contenders: Sequence[Contender], repeat: int, say: Say = print
) -> list[Row]:
    """Run contenders on one archive, the first being the one the others are compared with.

    Parameters
    ----------
    data : Data
        The archive.
    contenders : sequence of Contender
        Who runs, in this order.
    repeat : int
        Rounds.
    say : callable
        Told of each run.

    Returns
    -------
    list of Row
        One a contender.

    Raises
    ------
    AnswersDiffer
        When a contender's rows are not those of the first: looked at in the first round, outside
        the clock.
    """
    cases = [Case(one.name, one, data) for one in contenders]
    return _in_turn("compare", cases, repeat, say, check=True)


def scale(cases: Sequence[Case], repeat: int, say: Say = print) -> list[Row]:
    """Run cases of different size or setting, the first being the base of all ratios.

    Parameters
    ----------
    cases : sequence of Case
        What runs, in this order.
    repeat : int
        Rounds.
    say : callable
        Told of each run.

    Returns
    -------
    list of Row
        One a case.
    """
    return _in_turn("scale", cases, repeat, say, check=False)


def cores(data: Data, contenders: Sequence[Contender], repeat: int, say: Say = print) -> list[Row]:
    """Run each contender with all cores and then bound to one.

    Parameters
    ----------
    data, contenders, repeat, say
        As `compare` takes them.

    Returns
    -------
    list of Row
        Two a contender: with all cores, with one.

    Raises
    ------
    AnswersDiffer
        As in `compare`.
    """
    both = [each for one in contenders for each in (one, on_one_core(one))]
    cases = [Case(one.name, one, data) for one in both]
    return _in_turn("cores", cases, repeat, say, check=True)


def _in_turn(
    benchmark: str, cases: Sequence[Case], repeat: int, say: Say, *, check: bool
) -> list[Row]:
    """Run all cases once, then all of them again: A B C, A B C, ...

    Every run is a new process that writes to a new folder. What a run needs is read into the page
    cache before it, and what the last one wrote is flushed to disk.
    """
    circumstances = Circumstances.now()
    measured: dict[str, list[Measurement]] = {case.name: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        reference = Path(scratch) / "reference"
        for turn in range(repeat):
            for case in cases:
                first = turn == 0 and case is cases[0]
                # kept to the end: for minutes after files are deleted, ext4 makes new ones slowly
                dest = reference if first and check else Path(scratch) / f"{turn}-{case.name}"
                os.sync()
                case.data.warm()
                took = measure(case.contender.command(case.data.folder, dest), cwd=ROOT)
                measured[case.name].append(took)
                say(f"round {turn + 1} of {repeat}: {case.name} {took.seconds:.2f} s")
                if turn == 0 and check and not first:
                    _agree(reference, dest, case.name)
    base = [took.seconds for took in measured[cases[0].name]]
    return [
        _row(benchmark, cases[0].data, case, measured[case.name], base, circumstances)
        for case in cases
    ]


def _agree(reference: Path, dest: Path, name: str) -> None:
    found = differences(reference, dest)
    if found:
        shown = "\n".join(found[:10])
        raise AnswersDiffer(f"{name} differs from the first in {len(found)} places:\n{shown}")


def _row(
    benchmark: str,
    base: Data,
    case: Case,
    took: Sequence[Measurement],
    base_seconds: Sequence[float],
    circumstances: Circumstances,
) -> Row:
    return Row(
        benchmark=benchmark,
        workload=str(base),
        contender=case.name,
        days=case.data.days,
        bytes=case.data.bytes,
        events=case.data.events,
        ratio=round(ratio([one.seconds for one in took], base_seconds), 4),
        circumstances=circumstances,
        **figures(took),
    )

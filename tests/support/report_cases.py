"""Directories of searches for tests, made without training anything."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search.cost.costs import Costs
from search.cost.objectives import Bounds
from search.record.history import Candidate, Outcome, Record
from search.record.journal import JOURNAL, TIMING, encode
from search.run import rundir
from search.run.config import Config
from search.run.profiles import PROFILES
from search.space.genotype import random_genotype
from search.strategy.evolution import Evolution
from tests.support.search_cases import TARGET, trained

CONFIG = Config(
    profile="quick", data="folder:/data/crops", input="loggrad_1p5", mode="gray", bits=0, size=48, seed=1,
    workers=2, bounds=Bounds(0.05, None, 20_000, 1_000_000, 10_000), board="mps2-an386",
    method=dataclasses.replace(
        PROFILES["quick"], space="munas", rank_by="error", rounds=40, population=10, sample=3, children=2,
        pruning=True,
    ),
    front_end=TARGET.front_end, class_names=("bicycle", "car", "person"),
    manifest_sha256="8e92" * 16, onednn="1", threads=1, versions={"python": "3.11.2", "tensorflow": "2.21.0"},
)  # fmt: skip
EVERY_BOUND = Bounds(0.05, 30_000, 20_000, 1e6, 10_000, 128_000, 0.2, 0.003)


def searched(config: Config, count: int) -> list[Record]:
    """The first candidates of a search whose training is made up."""
    evolution = Evolution(config.settings(), [])
    while len(evolution.records) < count:
        candidate = evolution.ready()
        assert candidate is not None
        list(evolution.commit(candidate.index, trained(candidate, 2000 + 137 * candidate.index)))
    return evolution.records[:count]


def invented(count: int, epochs: int = 80, reason: str = "worker was killed by SIGKILL") -> list[Record]:
    """Records of a long search in a moment: genotypes of the space, the rest drawn at random."""
    rng = np.random.default_rng(0)
    records: list[Record] = []
    for index in range(count):
        size = float(rng.uniform(0, 1))
        drawn = 10 ** (size + rng.normal(0, 0.3, 5))
        costs = Costs(
            *(int(1000 * v) for v in (drawn[0], drawn[1], 60 * drawn[2], 2 * drawn[3], 5 * drawn[4])),
            instructions=int(300_000 * drawn[2]),
            latency=float(0.02 * drawn[2]),
            energy=float(2e-4 * drawn[2]),
        )  # fmt: skip
        error = float(np.clip(0.62 - 0.3 * size - 0.12 * index / count + rng.normal(0, 0.05), 0.03, 0.95))
        learned = tuple((round(2 * error * 0.97**e, 4), round(error * 0.99**e, 4)) for e in range(epochs))
        outcome = Outcome(error, error * 0.9, curve=learned)
        if rng.random() < 0.3:
            outcome = Outcome(min(error * 1.3, 1.0), error, stopped=True, curve=learned[: epochs // 4])
        elif rng.random() < 0.03:
            outcome = Outcome(None, None, f"{reason} {index % 7}")
        parents = [r.candidate.index for r in records[-100:] if r.point is not None]
        parent = int(rng.choice(parents)) if index >= 100 and parents else None
        morph = "random" if parent is None else "block 1: layer 0: scale filters x1.41; add dense 0; flip bn"
        rejected = (("crowded", 7), ("duplicate", int(rng.integers(0, 3))), ("ram", int(rng.integers(0, 30))))
        genotype = random_genotype(rng, False)
        records.append(Record(Candidate(index, genotype, parent, morph, rejected), outcome, costs))
    return records


def write_run(
    directory: Path, config: Config, records: Sequence[Record], seconds: float | None = 12.5
) -> Path:
    """A search's files: config, journal and, if a duration is given, timing."""
    rundir.create(directory, config)
    begin = rundir.begin_record(directory)
    lines = [encode(begin), *(encode(record.to_json()) for record in records)]
    (directory / JOURNAL).write_bytes(b"".join(lines))
    if seconds is not None:
        times = [json.dumps({"index": r.candidate.index, "seconds": seconds}) for r in records]
        (directory / TIMING).write_text("".join(f"{line}\n" for line in times))
    return directory

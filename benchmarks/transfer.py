"""``python -m benchmarks.transfer``: frames a second from a collector's board, over a bad line too.

The rows and requests of :mod:`firmware.rows` and :mod:`firmware.camera` over a simulated serial line that
drops, flips and doubles bytes, both ways, each as often. Time is that of the bytes, 10 bits each, and of a
second for every request or answer that is damaged, which is the worst. The camera's own time and that of a
converter come on top. ``wrong`` counts frames that were kept and differ from what was sent.
"""

import dataclasses
import random
import zlib

import numpy as np
from absl import flags

from firmware.camera import BITS_PER_BYTE, run_of
from firmware.channel import TRIES, frame_line
from firmware.rows import Parts, Size, encode
from loggrad_tf import cli

FLAGS = flags.FLAGS
flags.DEFINE_integer("frames", 40, "Frames of each row of the table.", lower_bound=1)

BAUDS = (115_200, 460_800, 921_600, 3_000_000)
RATES = (0.0, 1e-5, 1e-4, 1e-3)
SIZES = (Size(96, 96, 1), Size(244, 244, 1))
_ANSWER = frame_line("G 00 00000000")
# Damaged requests are sent again after this long: PATIENCE of firmware.channel.
_PATIENCE = 1.0


@dataclasses.dataclass
class Line:
    """A serial line: one in ``1 / rate`` of its bytes is damaged; how many it carried."""

    rate: float
    generator: random.Random
    carried: int = 0

    def carry(self, data: bytes) -> bytes:
        """What arrives of ``data``."""
        self.carried += len(data)
        if self.rate == 0:
            return data
        out = bytearray()
        for byte in data:
            if self.generator.random() >= self.rate:
                out.append(byte)
            elif (kind := self.generator.randrange(3)) > 0:
                out += bytes([byte, byte]) if kind == 1 else bytes([byte ^ 1 << self.generator.randrange(8)])
        return bytes(out)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Frames kept, lost and wrong; bytes over those of a clean line; seconds of a frame that was kept."""

    kept: int
    lost: int
    wrong: int
    overhead: float
    seconds: float


def frame_of(size: Size, generator: np.random.Generator) -> np.ndarray:
    """Codes of a dim photograph: most are a little above black."""
    light = generator.gamma(1.5, 25.0, (size.rows, size.codes))
    return np.clip(8 + light, 0, 255).astype(np.uint8)


def transfer(size: Size, baud: int, rate: float, frames: int, seed: int = 1) -> Outcome:
    """``frames`` frames over one line."""
    line = Line(rate, random.Random(seed))
    generator = np.random.default_rng(seed)
    kept = lost = wrong = waits = clean = 0
    for number in range(frames):
        frame = frame_of(size, generator)
        lines = [encode(number, y, row.tobytes()) for y, row in enumerate(frame)]
        clean += sum(map(len, lines))
        parts = Parts(size, number)
        for _ in range(TRIES):
            for first, count in parts.missing(run_of(size, baud)):
                request = frame_line(f"G {first:04x}{count:04x}")
                while line.carry(request) != request:
                    waits += 1
                came = line.carry(b"".join(lines[first : first + count]))
                parts = parts.joined(came.split(b"\n"))
                waits += line.carry(_ANSWER) != _ANSWER
            if not parts.missing(1):
                break
        found = parts.frame(zlib.crc32(frame.tobytes()))
        lost += found is None
        kept += found is not None
        wrong += found is not None and not np.array_equal(found, frame)
    seconds = line.carried * BITS_PER_BYTE / baud + waits * _PATIENCE
    return Outcome(kept, lost, wrong, line.carried / clean - 1, seconds / max(kept, 1))


def main(argv: list[str]) -> None:
    del argv
    print("| frame | baud | bytes damaged | frames a second | bytes more | kept | lost | wrong |")
    print("|---|---|---|---|---|---|---|---|")
    for size in SIZES:
        for baud in BAUDS:
            for rate in RATES:
                one = transfer(size, baud, rate, FLAGS.frames)
                damaged = f"1 in {round(1 / rate):,}" if rate else "none"
                print(
                    f"| {size.rows} x {size.codes} | {baud:,} | {damaged} | {1 / one.seconds:.2f} |"
                    f" {one.overhead:.1%} | {one.kept} | {one.lost} | {one.wrong} |",
                    flush=True,
                )


if __name__ == "__main__":
    cli.run(main)

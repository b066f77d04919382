"""What a search trained in full: the best that it found, and the hand-made network beside it."""

from pathlib import Path

from loggrad_tf.errors import LogGradError
from models.bundle import Bundle
from search.run import finalists, in_full, rival
from search.run.choice import judged


def trained(run: Path) -> tuple[list[Bundle], list[Bundle]]:
    """The trainings in full of the best network that the search found, and of the hand-made one.

    Raises:
      LogGradError: the search has not ended, or had no such trainings.
    """
    by_name: dict[str, list[Bundle]] = {}
    for place in sorted((run / in_full.FINALISTS).glob("*_*")):
        if (saved := in_full.read(place)) is not None:
            by_name.setdefault(place.name.rsplit("_", 1)[0], []).append(saved)
    made = by_name.pop(rival.NAME, [])
    whole = [each for each in by_name.values() if len(each) == len(made)]
    if not made or not whole or not (run / finalists.BEST).is_dir():
        raise LogGradError(f"{run}: no search that has ended with a hand-made network beside its finalists")
    return min(whole, key=lambda each: judged(each, True)), made

"""What several test files share: cases, small networks, oracles."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

"""The benchmarks stand beside the product and are not installed: their place is given here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

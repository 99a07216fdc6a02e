"""`make test-gpu`: every check on a CUDA device, without pytest. Status 1 where one does not hold.

`--only` takes some of them, by name: each can so run beside the others, in a process of its own.
"""

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch

from tests.gpu.checks import CHECKS, Skipped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", help="cuda (the default), cuda:1, cpu")
    checks = {check.__name__: check for check in CHECKS}
    parser.add_argument("--only", nargs="+", default=list(checks), choices=list(checks), metavar="CHECK")
    asked = parser.parse_args()
    device = asked.device
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here")
    place = "the CPU" if device == "cpu" else torch.cuda.get_device_name(device)
    print(f"on {place}, torch {torch.__version__}", flush=True)
    failed = 0
    for name in asked.only:
        title, started = name.replace("_", " "), time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                checks[name](device, Path(folder))
                verdict = "holds"
            except Skipped as reason:
                verdict = f"not asked: {reason}"
            except Exception:
                traceback.print_exc()
                failed, verdict = failed + 1, "DOES NOT HOLD"
        print(f"{title}: {verdict} ({time.perf_counter() - started:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

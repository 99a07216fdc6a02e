"""The arguments that both commands have."""

import argparse
import sys

import torch

from benchmarks.speed.measure import Effort
from benchmarks.speed.ours import Sizes


def parser(description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--device", default=Sizes.device, help="cpu (the default), cuda, cuda:1")
    made.add_argument("--precision", default=Sizes.precision, choices=["float32", "bfloat16"])
    made.add_argument("--backbone", default=Sizes.backbone, choices=["resnet8", "resnet14", "resnet20", "resnet32"])
    made.add_argument("--image-size", type=int, default=Sizes.image_size, help="8, 16, 32, ...")
    made.add_argument("--batch-size", type=int, default=Sizes.batch_size)
    made.add_argument("--rounds", type=int, default=Effort.rounds, help="of each line, at most")
    return made


def sizes(asked: argparse.Namespace) -> Sizes:
    """What is asked for; ends the program where there is no such device."""
    found = Sizes(asked.backbone, asked.image_size, asked.batch_size, asked.precision, asked.device)
    if found.kind == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here")
    return found

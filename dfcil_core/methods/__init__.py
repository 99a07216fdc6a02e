"""The methods, by name. A new one is a file here and a line in `METHODS`."""

from dfcil_core.methods.abd import Abd
from dfcil_core.methods.base import CrossEntropy, Method
from dfcil_core.methods.bic import Bic
from dfcil_core.methods.deep_inversion import DeepInversion
from dfcil_core.methods.dgr import Dgr
from dfcil_core.methods.e2e import E2e
from dfcil_core.methods.finetune import Base
from dfcil_core.methods.first_model import FirstModel
from dfcil_core.methods.lwf import Lwf
from dfcil_core.methods.lwf_coreset import LwfCoreset
from dfcil_core.methods.lwf_mc import LwfMc
from dfcil_core.methods.lwf_synthetic import LwfSynthetic
from dfcil_core.methods.r_dfcil import RDfcil
from dfcil_core.methods.rehearsal import Rehearsal
from dfcil_core.methods.upper_bound import UpperBound

METHODS: dict[str, type[Method]] = {
    "upper-bound": UpperBound,
    "base": Base,
    "lwf": Lwf,
    "lwf-mc": LwfMc,
    "dgr": Dgr,
    "deep-inversion": DeepInversion,
    "lwf-synthetic": LwfSynthetic,
    "abd": Abd,
    "r-dfcil": RDfcil,
    "rehearsal": Rehearsal,
    "lwf-coreset": LwfCoreset,
    "e2e": E2e,
    "bic": Bic,
}
"""In the order of the published tables: bounds, data-free, with memory."""

# What a `learn` stage's recipe may name: every method, the objective that their first tasks share, and what
# stands in the place of a first task.
OBJECTIVES: dict[str, type[Method]] = {**METHODS, CrossEntropy.name: CrossEntropy, FirstModel.name: FirstModel}

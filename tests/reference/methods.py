"""Every method as its paper has it, by name."""

from tests.reference import data_free, with_memory
from tests.reference.base import Reference

REFERENCES = {
    "upper-bound": Reference,
    "base": Reference,
    "lwf": data_free.Lwf,
    "lwf-mc": data_free.LwfMc,
    "dgr": data_free.Dgr,
    "deep-inversion": data_free.DeepInversion,
    "lwf-synthetic": data_free.LwfSynthetic,
    "abd": data_free.Abd,
    "r-dfcil": data_free.RDfcil,
    "rehearsal": with_memory.Rehearsal,
    "lwf-coreset": with_memory.LwfCoreset,
    "e2e": with_memory.E2e,
    "bic": with_memory.Bic,
}

"""Naive fine-tuning: the lower bound."""

from dfcil_core.methods.base import Method


class Base(Method):
    """Cross-entropy over the seen classes on the new images alone: `CE(z[:seen], y)`.

    Source: the lower bound of the published tables (Smith et al., ICCV 2021, "Base").
    """

    name = "base"
    summary = "fine-tuning on the new classes alone: the lower bound"
    source = "Smith et al., Always Be Dreaming, ICCV 2021, table 1"
    # From task 2 on it is cross-entropy too, but of a network that has a past; its stages carry its own name.

"""A spec while it is read: what the reader of one section may ask of the sections read before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dfcil_core.data.catalog import DatasetInfo
from orchestrator.spec.model import Dataset, FirstModel, MethodEntry, Split
from orchestrator.spec.yaml_document import Document


@dataclass
class Reading:
    """A document, and the values of those of its sections that were read."""

    document: Document
    data_root: str | None = None
    """Where the data set lies, in the place of its `root`."""
    known: DatasetInfo | None = None
    """The data set as it was read before: its files are not looked at again."""
    first_models: Mapping[int, FirstModel] | None = None
    """The first models by seed as they were read before: their files are not looked at again."""
    values: dict[str, Any] = field(default_factory=dict)
    """Top-level key to what its reader gave, which is of use where the section has no problem."""

    @property
    def dataset(self) -> Dataset | None:
        """The data set; None where it is wrong."""
        found: Dataset | None = self.values["dataset"]
        return found

    @property
    def methods(self) -> Sequence[MethodEntry]:
        """Those of the methods' entries that are right."""
        found: Sequence[MethodEntry] = self.values["methods"]
        return found

    @property
    def splits(self) -> Sequence[Split]:
        """Those of the splits that are right."""
        found: Sequence[Split] = self.values["tasks"]
        return found

    @property
    def seeds(self) -> Sequence[int]:
        """Those of the seeds that are right."""
        found: Sequence[int] = self.values["seeds"]
        return found

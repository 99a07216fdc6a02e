"""The table for programs: csv and JSON, unrounded."""

import json
import math
from collections.abc import Hashable, Mapping

import pandas as pd

from reports.frame import varied_columns
from reports.published import SOURCE
from reports.tables.caption import caption
from reports.tables.layout import Column, Layout


def csv(table: Layout, frame: pd.DataFrame) -> str:
    """A row a cell."""
    return pd.DataFrame(rows_of_cells(frame, table)).to_csv(index=False)


def json_text(table: Layout, frame: pd.DataFrame) -> str:
    """The cells, a row a job, and the caption and notes: all that the other formats say."""
    told = {
        "caption": caption(table),
        "notes": list(table.notes),
        "published_source": SOURCE if table.published else None,
        "cells": rows_of_cells(frame, table),
        "jobs": rows_of_jobs(frame),
    }
    return json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def rows_of_cells(frame: pd.DataFrame, table: Layout) -> list[dict[str, object]]:
    """A row a cell, unrounded."""
    labels = frame.drop_duplicates("label").set_index("label")
    groups, varied = labels["group"], labels[varied_columns(frame)].to_dict("index")
    spread = "half_width_95" if table.ci else "std"
    rows = []
    for (label, split, metric), cell in table.cells.items():
        column = Column(split, metric, "")
        row = {"method": label, "group": groups[label], **_known(varied[label])}
        row |= {"split": split, "metric": metric, "mean": cell.mean}
        row |= {spread: cell.std, "ddof": 1 if table.ci else table.ddof, "n": cell.n, "asked": cell.asked}
        if table.standings:
            standing = table.standing(label, column)
            row |= {"best": bool(standing and standing.best), "p_holm": standing.p if standing else None}
        if table.published is not None:
            figure = table.figure(label, column)
            row |= {
                "published_mean": figure.mean if figure else None,
                "published_std": figure.std if figure else None,
                "difference": table.difference(label, column),
            }
        rows.append(row)
    return rows


def rows_of_jobs(frame: pd.DataFrame) -> list[dict[str, object]]:
    """A row a job, with None for what it does not have."""
    return [_known(row) for row in frame.to_dict("records")]


def _known(row: Mapping[Hashable, object]) -> dict[str, object]:
    return {str(name): None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}

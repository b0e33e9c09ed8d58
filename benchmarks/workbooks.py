"""Workbooks to measure with, as different programs write them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xlsxwriter

from sharekit.simulator.sample import TITLE_LINES, build_sample, write_workbook

_PROJECTS, _VAULTS = 20, 20
_FAULTY = 0.01


def sample(path: Path, rows: int, *, shared: bool) -> Path:
    """Write the sample of the demo, 3 % of it faulty; text in a shared table, or in the cells."""
    made = build_sample(rows, faulty=0.03)
    if not shared:
        return write_workbook(made, path)
    return as_excel(path, made.sheet.to_dict("list"))


def decisions(path: Path, rows: int, *, images: int) -> Path:
    """Write eight columns of shares of so many different images; every hundredth ID is damaged.

    The suffix of the path names the format: xlsx, csv or parquet.
    """
    draw, at = np.random.default_rng(5), np.arange(rows)
    pool, vaults = np.array(_uuids(images, 1), object), np.array(_uuids(_VAULTS, 2), object)
    projects = np.array([draw.bytes(16).hex() for _ in range(_PROJECTS)], object)
    image, turn = pool[at % images], at // images
    project = (turn + at) % _PROJECTS
    accepted, whole = draw.random(rows) < 0.8, draw.random(rows) < 0.1
    damaged = np.flatnonzero(draw.random(rows) < _FAULTY)
    image[damaged[::2]] = [text.upper() for text in image[damaged[::2]]]
    image[damaged[1::2]] = [text[:-1] for text in image[damaged[1::2]]]
    names = np.array([f"image-{number}" for number in range(images)], object)
    comments = np.array(["", "ok", "see ticket", "asked twice"], object)
    columns = {
        "Image ID": image,
        "Image name": names[at % images],
        "Project ID": projects[project],
        "Decision": np.where(accepted, "accepted", "rejected"),
        "Vault ID": np.where(whole & accepted, vaults[project % _VAULTS], ""),
        "Full ECS": np.where(whole, "yes", "no"),
        "Owner": projects[draw.integers(0, _PROJECTS, rows)],
        "Comment": comments[draw.integers(0, 4, rows)],
    }
    if path.suffix == ".xlsx":
        return as_excel(path, {name: values.tolist() for name, values in columns.items()})
    frame = pd.DataFrame(columns).replace("", None)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def as_excel(path: Path, columns: Mapping[Any, list[Any]]) -> Path:
    """Write as Excel does: text in one shared table, and ``#N/A`` as the result of a formula."""
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
        page = book.add_worksheet("Shares")
        page.write_row(TITLE_LINES, 0, list(columns))
        for place, values in enumerate(columns.values()):
            for row, value in enumerate(values, TITLE_LINES + 1):
                if value == "#N/A":
                    page.write_formula(row, place, "=NA()", None, value)
                elif value != "":
                    page.write(row, place, value)
    return path


def _uuids(count: int, seed: int) -> list[str]:
    digits = np.random.default_rng(seed).bytes(16 * count).hex()
    cuts = (0, 8, 12, 16, 20, 32)
    return [
        "-".join(digits[start + a : start + b] for a, b in pairwise(cuts))
        for start in range(0, 32 * count, 32)
    ]

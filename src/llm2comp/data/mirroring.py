"""Copying data sets of the Hugging Face hub into plain folders, for machines without a network."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from llm2comp.data.mirror import MIRROR, altered_file, mirrored_revision, record_revision
from llm2comp.errors import UserError


class HubRevision(NamedTuple):
    """A data set of the hub, `org/name`, at a revision of its repository."""

    name: str
    revision: str


# Puts the files of a data set's repository into a folder, which may hold some of them from an earlier call.
Download = Callable[[HubRevision, Path], None]


def download_from_hub(dataset: HubRevision, folder: Path) -> None:
    """The files of the repository at the revision; those that are in the folder already are not fetched again."""
    from huggingface_hub import snapshot_download

    snapshot_download(dataset.name, repo_type="dataset", revision=dataset.revision, local_dir=folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub's notes on what has been fetched


def mirror(datasets: Iterable[HubRevision], to: Path, download: Download = download_from_hub) -> None:
    """Copy data sets into `to/mirror/org/name`, each whole or not at all; those that are there are left as they are.

    What was fetched of one before an interruption is kept in a hidden folder beside it, and used by the next call.
    Raises UserError, after the others, for those that cannot be had and those that are there at another revision or not
    whole.
    """
    failed = {}
    for number, dataset in enumerate(wanted := list(datasets), 1):
        place = f"[{number}/{len(wanted)}] {dataset.name}"
        folder = to / MIRROR / dataset.name
        try:
            if folder.is_dir():
                _check(folder, dataset)
                print(f"{place}: is in {folder}", flush=True)
            else:
                print(f"{place}: fetching", flush=True)
                _fetch(dataset, folder, download)
        except Exception as error:  # whatever is wrong with one data set, the others are still wanted
            failed[dataset.name] = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"{place}: {failed[dataset.name]}", flush=True)
    if failed:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in failed.items())
        raise UserError(
            f"{len(failed)} of {len(wanted)} data sets are not in {to / MIRROR}:{reasons}\n"
            "The same command again goes on from here; it needs a network, and HF_HUB_OFFLINE unset"
        )


def _check(folder: Path, dataset: HubRevision) -> None:
    there = mirrored_revision(folder)
    if there not in (None, dataset.revision):
        raise UserError(f"{folder} holds revision {there}, not {dataset.revision}; mirror into another folder")
    if altered := altered_file(folder):
        raise UserError(f"{altered}; move {folder} away")


def _fetch(dataset: HubRevision, folder: Path, download: Download) -> None:
    partial = folder.with_name(f".{folder.name}-{dataset.revision}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    download(dataset, partial)
    record_revision(partial, dataset.revision)
    partial.rename(folder)

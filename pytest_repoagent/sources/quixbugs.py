"""QuixBugs: forty one-line bugs, cloned from its public repository unless the user has a copy.

In this order: ``--quixbugs PATH|URL``, the environment variable ``QUIXBUGS_ROOT``, the public repository. A work
tree is used where it lies; out of anything else git is asked for the suite's commit, once.
"""

from __future__ import annotations

import os
from pathlib import Path

from pytest_repoagent.errors import SourceError
from pytest_repoagent.sources.base import Source, SourceContext
from pytest_repoagent.sources.bug_folder import PROGRAMS
from pytest_repoagent.sources.git import Repository, make_once
from pytest_repoagent.sources.mutants import open_folder

URL = "https://github.com/jkoppel/QuixBugs"


def open_quixbugs(context: SourceContext) -> Source:
    """QuixBugs, checked against the suite.

    Raises:
        SourceError: it cannot be had, or its files are not those that the suite pins.
    """
    return open_folder(_root(context), context)


def _root(context: SourceContext) -> Path:
    suite = context.suite
    given = context.quixbugs or os.environ.get("QUIXBUGS_ROOT") or None
    if given and (Path(given) / PROGRAMS).is_dir():
        return Path(given)
    commit = suite.commit
    if commit is None:
        raise SourceError(f"{suite.path}: commit is missing, so there is nothing to ask QuixBugs' repository for")
    folder = context.cache_dir / "quixbugs" / commit
    if given is None and folder.is_dir():
        return folder
    try:
        repository = Repository.open(given or URL, Path(), (commit,), context.cache_dir)
        make_once(folder, lambda unfinished: repository.export(commit, unfinished))
    except SourceError as error:
        raise SourceError(
            f"QuixBugs cannot be had ({error}): give a copy with --quixbugs PATH|URL or QUIXBUGS_ROOT, "
            "or use the bundled bugs with --suite=minibugs_heldout"
        ) from None
    return folder

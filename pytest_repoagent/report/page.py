"""The HTML report: one file with everything in it, that may load nothing and run nothing but its own scripts.

What models wrote is in it as compressed base64, so it cannot end its element; the scripts show it as text only.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pytest_repoagent.errors import UsageError
from pytest_repoagent.report.recorded import Recorded

SCRIPTS = ("dom.js", "data.js", "summary.js", "charts.js", "trace.js", "rollouts.js", "main.js")
"""In the order in which they use one another."""


def write_report(store: Path, runs: Sequence[str], output: Path) -> int:
    """Write the report on ``runs`` (none: the latest) to ``output``.

    Returns:
        How many rollouts are in it.

    Raises:
        UsageError: the charts' library is not installed, ``output`` cannot be written, or as :class:`Recorded`.
        StoreBusy: as :class:`Recorded`.
    """
    if output.resolve() == store.resolve():
        raise UsageError(f"the report cannot be written over the store {store}; name another file with -o")
    charts = _charts_library()
    with Recorded(store, runs) as recorded:
        overview = recorded.overview()
        ids = [rollout["id"] for rollout in overview["rollouts"]]
        lots = [_packed(f"traces-{number}", lot) for number, lot in enumerate(recorded.lots(ids))]
    try:
        output.write_text("".join(_page(overview, lots, charts)), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the report {output} cannot be written: {error.strerror}; name another file") from None
    return len(ids)


def _page(overview: Any, lots: Iterable[str], charts: str) -> Iterator[str]:
    """The page in pieces. The overview comes before the scripts, the traces after them: nobody waits for those."""
    style = _asset("style.css")
    scripts = [*map(_asset, SCRIPTS), charts]
    parts = {
        "policy": "; ".join(
            [
                "default-src 'none'",
                f"script-src {' '.join(map(_hash, scripts))}",
                f"style-src {_hash(style)}",
                "base-uri 'none'",
                "form-action 'none'",
            ]
        ),
        "style": f"<style>{style}</style>",
        "overview": _packed("overview", overview),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
        "traces": "\n".join(lots),
    }
    for text, name in re.findall(r"(.*?)(?:\{\{(\w+)\}\}|\Z)", _read("page.html"), re.DOTALL):
        yield text
        yield parts[name] if name else ""


def _packed(name: str, value: Any) -> str:
    """``value`` as an element of data: JSON, gzip, base64, in which no markup can stand."""
    packed = gzip.compress(json.dumps(value, separators=(",", ":")).encode(), compresslevel=6, mtime=0)
    return f'<script type="application/gzip" id="{name}">{base64.b64encode(packed).decode()}</script>'


def _charts_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, out of a Python package that carries them."""
    try:
        import vl_convert
    except ModuleNotFoundError:
        raise UsageError(
            "the report's charts need the package vl-convert-python; `pip install 'pytest-repoagent[report]'`"
        ) from None
    bundle: Any = vl_convert.javascript_bundle  # its stub asks for an argument that it does not need
    return _inlinable(bundle())


def _asset(name: str) -> str:
    return _inlinable(_read(name))


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _inlinable(text: str) -> str:
    """``text``, a script or a style, once it is sure that nothing in it ends its element."""
    found = re.search(r"</(?:script|style)|<!--", text, re.IGNORECASE)
    if found:
        raise ValueError(f"{found[0]} in a script or style of the report")
    return text


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

"""The program that the driver starts: it makes this package's parts importable by their place and becomes the server.

The interpreter may be another than the driver's and need not have this package installed; nothing beside the package
comes with it onto ``sys.path``.
"""

import sys
import types
from pathlib import Path


def main() -> None:
    """Serve the socket whose file descriptor is the only argument."""
    here = Path(__file__).resolve().parent
    for name, folder in (
        ("pytest_repoagent", here.parent.parent),
        ("pytest_repoagent.testrun", here.parent),
    ):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from pytest_repoagent.testrun.warm.server import main as serve

    serve(int(sys.argv[1]))


if __name__ == "__main__":
    main()

"""How a child process of this Python is started: it imports nothing from the folder that the user happens to stand in.

`python -m` puts the current folder first on the import path, so that a selectors.py beside the documents would run.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from rag.errors import RagError


def python(*arguments: str) -> list[str]:
    """The command line of a child that runs this interpreter with these arguments.

    In a virtual environment it is isolated (-I: no current folder, no PYTHON* variables, no packages of the user's
    own); elsewhere this program may lie among the user's packages, and only the current folder is left out (-P).

    >>> python("-m", "pip")[1:] in (["-I", "-m", "pip"], ["-P", "-m", "pip"])
    True
    """
    return [sys.executable, "-I" if sys.prefix != sys.base_prefix else "-P", *arguments]


def glossator(*arguments: str) -> list[str]:
    """The command line of the installed `glossator` beside this interpreter, as a user runs it.

    A console script has its own folder on the import path, not the current one. Raises RagError where it is missing.
    """
    folder = Path(sys.executable).parent
    program = shutil.which("glossator", path=str(folder))
    if program is None:
        remedy = f"Install the project there: {sys.executable} -m pip install ."
        raise RagError(f"{folder} holds no command glossator. {remedy}")
    return [program, *arguments]


def program(name: str, *arguments: str) -> list[str]:
    """The command line of a program of the system (ffmpeg), found where programs lie, never in the current folder.

    Raises RagError where it is not installed.
    """
    places = os.pathsep.join(
        place for place in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(place)
    )
    found = shutil.which(name, path=places)
    if found is None:
        raise RagError(f"{name} is not installed. Install it: apt-get install {name}")
    return [found, *arguments]

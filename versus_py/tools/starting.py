"""`versus init`: a configuration, its Slack template and its .env, in a folder of one's own."""

import os
import secrets
from pathlib import Path

from versus_py.errors import VersusError
from versus_py.shipped import CONFIG, ENVIRONMENT, SLACK_TEMPLATE, shipped

DOTENV = ".env"
_SECRET_BYTES = 32
_MODES = {DOTENV: 0o600}  # it holds secrets; the others are as the umask says
_DEFAULT_MODE = 0o666


def write_files(folder: Path) -> list[Path]:
    """Write the three files below *folder*, which is made if it is missing. Returns their paths.

    Raises VersusError, with nothing written, when one of them exists, and when the folder cannot be written to.
    """
    folder = folder.absolute()
    texts = {CONFIG: _config(folder), SLACK_TEMPLATE: shipped(SLACK_TEMPLATE).read_text("utf-8"), DOTENV: _dotenv()}
    paths = [folder / name for name in texts]
    if there := [str(it) for it in paths if os.path.lexists(it)]:
        verb = "exists" if len(there) == 1 else "exist"
        raise VersusError(f"{', '.join(there)} {verb} already, and nothing was written; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            _write(path, text, _MODES.get(path.name, _DEFAULT_MODE))
    except OSError as exc:
        raise VersusError(f"cannot write {exc.filename or folder}: {exc.strerror or exc}") from None
    return paths


def _config(folder: Path) -> str:
    """The shipped configuration, whose other files are in *folder* whatever the working directory is."""
    text = shipped(CONFIG).read_text("utf-8")
    text = text.replace('"config/slack_message.tmpl"', f'"{SLACK_TEMPLATE}"')
    return text.replace("${VERSUS_DATA_DIR:-data}", f'"${{VERSUS_DATA_DIR:-{folder / "data"}}}"')


def _dotenv() -> str:
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return ENVIRONMENT.read_text("utf-8").replace("\nGATEWAY_SECRET=\n", f"\nGATEWAY_SECRET={secret}\n")


def _write(path: Path, text: str, mode: int) -> None:
    """A new file with that mode from its first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)

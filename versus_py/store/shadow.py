"""The mark of a folder that holds the incidents of a shadow: no other server may work on them."""

from pathlib import Path

from versus_py.errors import ConfigError

_MARK = "SHADOW"
_TEXT = "versus serve --shadow keeps its incidents here. They were never posted; no other server may use this folder.\n"


def mark_shadow(data_dir: Path) -> None:
    """Raises ConfigError where the folder cannot be written, or holds the incidents of another server."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # as the embedded server makes it
        if any(data_dir.iterdir()) and not (data_dir / _MARK).is_file():
            raise ConfigError([f"data_dir: {str(data_dir)!r} is not empty, and is not a shadow's folder"])
        (data_dir / _MARK).write_text(_TEXT)
    except OSError as exc:
        raise ConfigError([f"data_dir: cannot write {str(data_dir)!r}: {exc.strerror}"]) from None


def raise_if_shadow(data_dir: Path) -> None:
    """Raise ConfigError for a folder of a shadow."""
    if (data_dir / _MARK).is_file():
        raise ConfigError([f"data_dir: {str(data_dir)!r} holds the incidents of a shadow; name another folder"])

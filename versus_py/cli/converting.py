"""versus convert-template and versus migrate: for those who come from Versus Incident."""

from typing import Annotated

import typer

from versus_py.cli.common import err, read, say
from versus_py.errors import ConfigError
from versus_py.templating import TemplateFailed, TemplateText
from versus_py.tools.convert import NotGo, convert
from versus_py.tools.migrate import migrate as migrate_text


def convert_template(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A template of Versus Incident; - for standard input.")],
) -> None:
    """Print a Go template of Slack messages as Jinja2, and say what could not be converted.

    Exits with 1 where something could not. Check the result with `versus render NEW_FILE --payload BODY`.
    """
    try:
        found = convert(read(file).decode(errors="replace"))
        TemplateText(found.text, "the converted template")
    except (NotGo, TemplateFailed) as exc:
        say(exc)
        raise typer.Exit(1) from None
    print(found.text, end="" if found.text.endswith("\n") else "\n")
    for note in found.notes:
        err.print(str(note), style="red" if note.is_lost else "yellow", markup=False, soft_wrap=True)
    if found.lost:
        raise typer.Exit(1)


def migrate(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="A config.yaml of Versus Incident; - for standard input.")
    ],
) -> None:
    """Print a configuration of Versus Incident as one of this server, with comments.

    Exits with 1 where something that is enabled would be lost; the output names it.
    """
    try:
        found = migrate_text(read(file).decode(errors="replace"))
    except ConfigError as exc:
        say(exc)
        raise typer.Exit(1) from None
    print(found.text, end="")
    if found.lost:
        say(ConfigError(list(found.lost)))
        raise typer.Exit(1)

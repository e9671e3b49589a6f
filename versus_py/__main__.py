from versus_py.cli import app

app()

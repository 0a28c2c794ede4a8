"""{{ cookiecutter.project_name }}: reads handwritten digits."""

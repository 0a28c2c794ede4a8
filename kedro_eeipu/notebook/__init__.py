"""The front for notebooks and scripts: studies as objects, `tune` as a function, and ``%eeipu``."""

"""JSON schemas of what users write, for editors: `eeipu` blocks and `eeipu.yml`."""

from kedro_eeipu.schemas.block import parameters_schema
from kedro_eeipu.schemas.parts import SCHEMAS_URL
from kedro_eeipu.schemas.settings import settings_schema

__all__ = ["SCHEMAS_URL", "parameters_schema", "settings_schema"]

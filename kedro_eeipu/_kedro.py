"""All that is used of Kedro and does not belong to what Kedro publishes.

Tried with Kedro 1.5 to 1.7. When Kedro changes, this is the place to look at. Attributes that a
dataset of another package may lack are read with a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, CachedDataset, CatalogProtocol
from kedro.io.memory_dataset import _infer_copy_mode
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.pipeline.transcoding import _strip_transcoding as strip_transcoding

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext

__all__ = [
    "catalog_of",
    "copy_mode",
    "copy_node",
    "credentials_of",
    "file_path",
    "file_system",
    "hook_manager",
    "inferred_copy_mode",
    "init_config",
    "input_structure",
    "is_ephemeral",
    "load_path",
    "location",
    "output_structure",
    "partitions",
    "protocol",
    "replace_content",
    "replace_dataset",
    "split_params",
    "strip_transcoding",
    "validator_specs",
    "wrapped_dataset",
]


# --- nodes and pipelines --------------------------------------------------------------------------


def copy_node(node: Node, **changes: Any) -> Node:
    """A copy of a node with other arguments, as ``Node(...)`` takes them."""
    return node._copy(**changes)


def input_structure(node: Node) -> Any:
    """The inputs of a node as the user wrote them: a name, a list, a mapping or None."""
    return node._inputs


def output_structure(node: Node) -> Any:
    """The outputs of a node as the user wrote them: a name, a list, a mapping or None."""
    return node._outputs


def replace_content(pipeline: Pipeline, content: Mapping[str, Any]) -> None:
    """Give a pipeline object the attributes of another one."""
    pipeline.__dict__.clear()
    pipeline.__dict__.update(content)


# --- catalog and datasets -------------------------------------------------------------------------


def replace_dataset(catalog: CatalogProtocol, name: str, dataset: AbstractDataset) -> None:
    """Put a dataset in the place of another of the same name, its validator kept.

    ``catalog[name] = dataset`` would drop the validator that the user declared for the entry.
    """
    datasets: dict[str, AbstractDataset] = getattr(catalog, "_datasets", {})
    if name in datasets:
        datasets[name] = dataset
    else:
        catalog[name] = dataset


def validator_specs(catalog: CatalogProtocol) -> Mapping[str, Any]:
    """The validators that are declared for entries of a catalog, by name; from Kedro 1.7 on."""
    return getattr(catalog, "_validator_specs", {})


def init_config(dataset: AbstractDataset) -> dict[str, Any]:
    """The arguments that a dataset was made with, its type among them."""
    return dataset._init_config()


def copy_mode(dataset: AbstractDataset | None) -> Any:
    """How a dataset in memory hands its value on, None where it does not say."""
    return getattr(dataset, "_copy_mode", None)


def inferred_copy_mode(value: Any) -> str:
    """How a dataset in memory that does not say hands on a value of this type."""
    return _infer_copy_mode(value)


def is_ephemeral(dataset: AbstractDataset | None) -> bool:
    """Whether a dataset ends with the process."""
    return bool(getattr(dataset, "_EPHEMERAL", False))


def wrapped_dataset(dataset: AbstractDataset) -> AbstractDataset:
    """What a dataset that only keeps another one's value in memory wraps; else the dataset."""
    return dataset._dataset if isinstance(dataset, CachedDataset) else dataset


def file_path(dataset: AbstractDataset) -> str:
    """Path of a dataset that lies in one file, empty for others."""
    return str(getattr(dataset, "_filepath", ""))


def location(dataset: AbstractDataset | None) -> str:
    """Path of a dataset that lies in a file or a folder, empty for others."""
    path = getattr(dataset, "_filepath", None) or getattr(dataset, "_path", None)
    return "" if path is None else str(path)


def protocol(dataset: AbstractDataset | None) -> str:
    """Protocol of the filesystem that a dataset lies on, empty where it does not say."""
    return str(getattr(dataset, "_protocol", ""))


def file_system(dataset: AbstractDataset) -> Any:
    """The fsspec filesystem of a dataset of the file-backed family, None for others."""
    return getattr(dataset, "_fs", None)


def load_path(dataset: AbstractVersionedDataset) -> str:
    """Path of the version that a versioned dataset loads."""
    return str(dataset._get_load_path())


def partitions(dataset: Any) -> tuple[Any, str]:
    """Filesystem and folder of a partitioned dataset."""
    return dataset._filesystem, dataset._path


# --- contexts and sessions ------------------------------------------------------------------------


def catalog_of(context: KedroContext) -> CatalogProtocol:
    """A new catalog of a context, the parameters in it; its hooks are called."""
    return context._get_catalog()


def credentials_of(context: KedroContext) -> dict[str, Any]:
    """The content of ``credentials.yml``."""
    return dict(context._get_config_credentials())


def hook_manager(holder: Any) -> Any:
    """Pluggy's manager of the hooks of a context or a session."""
    return holder._hook_manager


def split_params(context: Any, parameter: Any, value: Any) -> Any:
    """Click's callback for an option ``--params``, as ``kedro run`` reads it."""
    from kedro.framework.cli.utils import _split_params

    return _split_params(context, parameter, value)

"""All that is used of Kedro and does not belong to what Kedro publishes.

Tried with Kedro 1.0 to 1.7. When Kedro changes, this is the place to look at. Attributes that a
dataset of another package may lack are read with a default.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, CachedDataset, CatalogProtocol
from kedro.io.memory_dataset import _EMPTY, _infer_copy_mode
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.pipeline.transcoding import _strip_transcoding as strip_transcoding

from kedro_eeipu._kedro_sessions import create_session

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext

__all__ = [
    "base_environment",
    "catalog_of",
    "configuration_folders",
    "copy_in_folder",
    "copy_mode",
    "copy_node",
    "credentials_in",
    "credentials_of",
    "file_path",
    "file_system",
    "freezing_session",
    "frozen_folders",
    "hook_manager",
    "inferred_copy_mode",
    "init_config",
    "input_structure",
    "is_ephemeral",
    "is_kedro_loader",
    "keep_nodes",
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


def keep_nodes(pipeline: Pipeline, names: Collection[str]) -> Pipeline:
    """A pipeline of the nodes with these names, in the order that they have in the whole one.

    Kedro's own filters add and intersect others.
    """
    return pipeline_in_order(node for node in pipeline.nodes if node.name in names)


def pipeline_in_order(nodes: Iterable[Node]) -> Pipeline:
    """A pipeline whose nodes are called in the order in which they are given.

    Kedro sorts the nodes of each pipeline by what they depend on there, so those of a part of a
    pipeline may come in another order. That counts where nodes change something that they share.

    Args:
        nodes: The nodes, each after those that it depends on.
    """
    ordered = list(nodes)
    pipeline = Pipeline(ordered)
    pipeline._toposorted_nodes = ordered  # where Kedro keeps them once they are sorted
    return pipeline


def replace_content(pipeline: Pipeline, content: Mapping[str, Any]) -> None:
    """Give a pipeline object the attributes of another one."""
    pipeline.__dict__.clear()
    pipeline.__dict__.update(content)


# --- catalog and datasets -------------------------------------------------------------------------


def replace_dataset(
    catalog: CatalogProtocol[Any, Any], name: str, dataset: AbstractDataset[Any, Any]
) -> None:
    """Put a dataset in the place of another of the same name, its validator kept.

    ``catalog[name] = dataset`` would drop the validator that the user declared for the entry.
    """
    datasets: dict[str, AbstractDataset[Any, Any]] = getattr(catalog, "_datasets", {})
    if name in datasets:
        datasets[name] = dataset
    else:
        catalog[name] = dataset


def validator_specs(catalog: CatalogProtocol[Any, Any]) -> Mapping[str, Any]:
    """The validators that are declared for entries of a catalog, by name; from Kedro 1.7 on."""
    return getattr(catalog, "_validator_specs", {})


def init_config(dataset: AbstractDataset[Any, Any]) -> dict[str, Any]:
    """The arguments that a dataset was made with, its type among them.

    Kedro leaves `metadata` out, which a class may read. Of a class that inherits its ``__init__``
    it notes two arguments, `args` and `kwargs`.
    """
    # Some releases note what stands for "nothing" of a dataset in memory, too.
    config = {k: v for k, v in dataset._init_config().items() if v is not _EMPTY}
    given = dict(getattr(dataset, "_init_args", None) or {})
    if given.keys() == {"args", "kwargs"}:
        signature = inspect.signature(type(dataset).__init__)
        bound = signature.bind(dataset, *given["args"], **given["kwargs"]).arguments
        given = dict(list(bound.items())[1:])  # without the dataset itself
        for parameter in signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                given.update(given.pop(parameter.name, {}))
        config = {"type": config["type"], **given}
        if config.pop("version", None):
            config["versioned"] = True
    return {**config, "metadata": given["metadata"]} if given.get("metadata") else config


def copy_mode(dataset: AbstractDataset[Any, Any] | None) -> Any:
    """How a dataset in memory hands its value on, None where it does not say."""
    return getattr(dataset, "_copy_mode", None)


def inferred_copy_mode(value: Any) -> str:
    """How a dataset in memory that does not say hands on a value of this type."""
    return _infer_copy_mode(value)


def is_ephemeral(dataset: AbstractDataset[Any, Any] | None) -> bool:
    """Whether a dataset ends with the process."""
    return bool(getattr(dataset, "_EPHEMERAL", False))


def wrapped_dataset(dataset: AbstractDataset[Any, Any]) -> AbstractDataset[Any, Any]:
    """What a dataset that only keeps another one's value in memory wraps; else the dataset."""
    return dataset._dataset if isinstance(dataset, CachedDataset) else dataset


def file_path(dataset: AbstractDataset[Any, Any]) -> str:
    """Path of a dataset that is in one file, empty for others."""
    return str(getattr(dataset, "_filepath", ""))


def location(dataset: AbstractDataset[Any, Any] | None) -> str:
    """Path of a dataset that is in a file or a folder, empty for others."""
    path = getattr(dataset, "_filepath", None) or getattr(dataset, "_path", None)
    return "" if path is None else str(path)


def protocol(dataset: AbstractDataset[Any, Any] | None) -> str:
    """Protocol of the filesystem that a dataset is on, empty where it does not say."""
    return str(getattr(dataset, "_protocol", ""))


def file_system(dataset: AbstractDataset[Any, Any]) -> Any:
    """The fsspec filesystem of a dataset of the file-backed family, None for others."""
    return getattr(dataset, "_fs", None)


def credentials_in(dataset: AbstractDataset[Any, Any]) -> dict[str, Any]:
    """The credentials that a dataset was made with."""
    given = dict(getattr(dataset, "_init_args", None) or {})
    return dict(given.get("credentials") or {})


def copy_in_folder(dataset: AbstractDataset[Any, Any], folder: str) -> AbstractDataset[Any, Any]:
    """A copy of a dataset that is in one local file, whose file is in another folder."""
    copied: Any = copy.copy(dataset)
    copied._filepath = PurePosixPath(folder) / PurePosixPath(copied._filepath).name
    copied._version = None
    moved: AbstractDataset[Any, Any] = copied
    return moved


def load_path(dataset: AbstractVersionedDataset[Any, Any]) -> str:
    """Path of the version that a versioned dataset loads."""
    return str(dataset._get_load_path())


def partitions(dataset: Any) -> tuple[Any, str]:
    """Filesystem and folder of a partitioned dataset."""
    return dataset._filesystem, dataset._path


# --- contexts and sessions ------------------------------------------------------------------------


def catalog_of(context: KedroContext) -> CatalogProtocol[Any, Any]:
    """A new catalog of a context, the parameters in it; its hooks are called."""
    return context._get_catalog()


def credentials_of(context: KedroContext) -> dict[str, Any]:
    """The content of ``credentials.yml``."""
    return dict(context._get_config_credentials())


def hook_manager(holder: Any) -> Any:
    """Pluggy's manager of the hooks of a context or a session."""
    return holder._hook_manager


def freezing_session(frozen: Any, **arguments: Any) -> Any:
    """A session all of whose runs read the same configuration.

    A loader of another kind than Kedro's own, which `settings.py` may name, reads what it likes.

    Args:
        frozen: What was read of the configuration before, a `ConfigurationSnapshot`.
        arguments: As for `create_session`.
    """
    from kedro.config import OmegaConfigLoader
    from kedro.framework.project import settings

    session = create_session(**arguments)
    loader_class = settings.CONFIG_LOADER_CLASS
    if issubclass(loader_class, OmegaConfigLoader):
        freezing = _freezing_loader(loader_class, frozen)

        def loader(runtime_params: dict[str, Any] | None = None) -> Any:
            return freezing(
                conf_source=session._conf_source,
                env=session.env,
                runtime_params=runtime_params,
                **settings.CONFIG_LOADER_ARGS,
            )

        session._get_config_loader = loader
    return session


def is_kedro_loader(loader: Any) -> bool:
    """Whether a loader is derived from Kedro's own, which takes patterns of files and merges."""
    from kedro.config import OmegaConfigLoader

    return isinstance(loader, OmegaConfigLoader)


def base_environment(loader: Any) -> str:
    """Name of the environment that holds what is not of a run; a loader may have no such name."""
    return str(getattr(loader, "base_env", "base"))


def configuration_folders(loader: Any) -> list[str]:
    """The local folders that a loader reads, none for one that reads elsewhere."""
    source = str(loader.conf_source)
    protocol = getattr(loader, "_protocol", "file" if Path(source).is_dir() else "")
    if protocol != "file":
        return []
    of_run = loader.env or getattr(loader, "default_run_env", "local")
    environments = (base_environment(loader), of_run)
    return [f"{source}/{env}" for env in dict.fromkeys(environments) if env]


def frozen_folders(loader: Any) -> list[Path]:
    """The folders of which a session of `freezing_session` ignores edits."""
    return list(map(Path, configuration_folders(loader))) if is_kedro_loader(loader) else []


def _freezing_loader(loader_class: Any, frozen: Any) -> Any:
    """A loader class that reads from a snapshot, and puts into it what is not there yet."""
    from omegaconf import OmegaConf

    class FreezingLoader(loader_class):  # type: ignore[misc]
        @staticmethod
        def _initialise_filesystem_and_protocol(conf_source: str) -> tuple[Any, str]:
            files, protocol = loader_class._initialise_filesystem_and_protocol(conf_source)
            return frozen.file_system(files, str(conf_source)), protocol

        @staticmethod
        def _register_new_resolvers(resolvers: Mapping[str, Any]) -> None:
            for name, resolver in resolvers.items():
                OmegaConf.register_new_resolver(name, frozen.resolver(name, resolver), replace=True)

        def _read_raw_config(self, key: str) -> Any:  # from Kedro 1.7 on
            return frozen.parsed(key, lambda: super(FreezingLoader, self)._read_raw_config(key))

        def __getitem__(self, key: str) -> Any:
            with frozen.reading(key):
                return super().__getitem__(key)

    FreezingLoader.__name__ = loader_class.__name__
    FreezingLoader.__qualname__ = loader_class.__qualname__
    return FreezingLoader


def split_params(context: Any, parameter: Any, value: Any) -> Any:
    """Click's callback for an option ``--params``, as ``kedro run`` reads it."""
    from kedro.framework.cli.utils import _split_params

    return _split_params(context, parameter, value)

"""A produced dataset under another name, as which it is read."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset

from kedro_eeipu.hooks.dataset import MemoizedDataset
from kedro_eeipu.hooks.declared import file_config, private_copy, written_and_read
from kedro_eeipu.hooks.run_directory import Output

__all__ = ["TranscodedDataset"]


class TranscodedDataset(MemoizedDataset):
    """A produced dataset that is read as another kind (``df@spark`` of a ``df@pandas``).

    Args:
        name: Name under which it is read.
        source: What its producer saves.
        declared: What the user's catalog holds under the name.
        kind_token: Token of both kinds.
    """

    def __init__(
        self,
        name: str,
        source: MemoizedDataset,
        declared: AbstractDataset[Any, Any],
        kind_token: str,
    ) -> None:
        super().__init__(
            name,
            source.store,
            source.run,
            declared,
            write_through=source.write_through,
            kind_token=kind_token,
            maker=source.maker,
            files=source.files,
        )
        self.source = source

    @property
    def output(self) -> Output | None:
        return self.source.output

    @property
    def is_known(self) -> bool:
        return super().is_known and self.source.is_known

    @property
    def is_lazy(self) -> bool:
        return self.source.is_lazy

    @property
    def delivered(self) -> bool:
        return self.source.delivered

    def value(self) -> Any:
        return self.source.value()

    def recorded_value(self) -> Any:
        is_kept, value = self.from_files()
        return value if is_kept else self._as_declared(self.source.recorded_value())

    def _loaded(self, path: str) -> Any:
        read = file_config(self.declared)
        assert read is not None
        return private_copy(read, self.name, path).load()

    def _as_declared(self, value: Any) -> Any:
        written, read = file_config(self.source.declared), file_config(self.declared)
        assert written is not None
        assert read is not None
        path = self.run.private_path(self.name, written)
        writer = private_copy(written, self.source.name, path)
        reader = private_copy(read, self.name, path)
        return written_and_read(writer, value, path, self._written, reader)

"""How a study is to be run: what `tune` is asked for, and the runner that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search.block import parse_budget, parse_trials
from kedro_eeipu.search.own_values import own_values
from kedro_eeipu.study.driver import check_name
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.study.sampler_names import EEIPU
from kedro_eeipu.tuning.earlier import check_earlier, earlier_studies
from kedro_eeipu.tuning.listener import Listener
from kedro_eeipu.tuning.runner import EEIPURunner

if TYPE_CHECKING:
    from kedro.runner import AbstractRunner

    from kedro_eeipu.project.project import Project

__all__ = ["TuneOptions", "kedro_runner"]


@dataclass(frozen=True)
class TuneOptions:
    """What `tune` is asked for.

    Attributes:
        trials: Number of trials, earlier ones counted in.
        budget: Node time: seconds, or a text such as ``30min``.
        auto: Whether it stops, too, when another trial is not worth its cost.
        own: Values to be tried first: files, ``path=value`` pairs, or mappings; or one of these.
        former: Earlier studies to learn from: names in the same storage, or ``FILE:NAME``.
        sampler: Name of the sampler.
        seed: Seed of everything random.
        runner: Kedro's runner by its name, or another by its dotted path.
        workers: Number of trials at a time.
        scheduler: Address of a Dask cluster.
    """

    trials: int | None = None
    budget: float | str | None = None
    auto: bool = False
    own: Sequence[str | Mapping[str, Any]] | str | Mapping[str, Any] = ()
    former: Sequence[str] = ()
    sampler: str = EEIPU
    seed: int = 0
    runner: str = "SequentialRunner"
    workers: int | None = None
    scheduler: str | None = None

    def prepare(
        self,
        project: Project,
        study: str,
        listener: Callable[[Limits], Listener],
        starting: float | None = None,
    ) -> EEIPURunner:
        """The runner of a study, which is made if it is not there; nothing runs yet.

        Args:
            project: The project.
            study: Name of the study.
            listener: Makes what follows the study.
            starting: Seconds that it takes to start a process and load the project, if that is
                known.

        Raises:
            ConfigurationError: Something that was asked for is wrong.
        """
        check_name(project.storage, study)
        space = project.space
        given = self.trials is not None or self.budget is not None
        asked = (parse_trials(self.trials), parse_budget(self.budget))
        limits = Limits(
            *(asked if given else (space.trials, space.budget)),
            auto=self.auto,
            max_failures=space.max_failures,
            where=space.where,
        )
        own = own_values([self.own] if isinstance(self.own, str | Mapping) else self.own, space)
        runner = kedro_runner(self.runner)
        follows = listener(limits)
        if self.former and self.sampler != EEIPU:
            raise ConfigurationError(
                f"sampler {self.sampler} does not learn from other studies",
                where="--from",
                remedy="Use --sampler eeipu, or leave --from out.",
            )
        check_earlier(project.storage, study, space, self.former)
        opened = open_study(project.storage, study, space, create=True)
        earlier = earlier_studies(project.storage, opened, space, self.former)
        make: Any = EEIPURunner
        if self.workers is not None or self.scheduler is not None or project.has_timeouts:
            from kedro_eeipu.tuning.cluster import opener
            from kedro_eeipu.tuning.cluster_runner import ClusterRunner

            cluster = opener(self.workers, self.scheduler, project.settings.cluster.resources)
            make = partial(ClusterRunner, open_cluster=cluster)
        prepared: EEIPURunner = make(
            project,
            opened,
            limits,
            sampler=self.sampler,
            seed=self.seed,
            runner=runner,
            listener=follows,
            own=own,
            earlier=earlier,
            audit={} if starting is None else {"starting": starting},
        )
        return prepared


def kedro_runner(name: str) -> AbstractRunner:
    """A runner of Kedro's by its name, or one of the project's by its dotted path.

    Raises:
        ConfigurationError: There is none.
    """
    from kedro.runner import AbstractRunner
    from kedro.utils import load_obj

    remedy = "Known: SequentialRunner, ThreadRunner, ParallelRunner, or a dotted path."
    try:
        kind = load_obj(name, "kedro.runner")
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"there is no runner '{name}' ({error})", where="--runner", remedy=remedy
        ) from None
    if not isinstance(kind, type) or not issubclass(kind, AbstractRunner):
        raise ConfigurationError(f"'{name}' is not a runner", where="--runner", remedy=remedy)
    try:
        return kind()
    except Exception as error:
        raise ConfigurationError(
            f"runner '{name}' cannot be made ({type(error).__name__}: {error})",
            where="--runner",
            remedy="Name one that needs no arguments.",
        ) from None

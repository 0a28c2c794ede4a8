"""Tuning again: former states of a study and other studies inform the search."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.tuning.earlier import Earlier
from kedro_eeipu.tuning.listener import Listener
from kedro_eeipu.tuning.options import TuneOptions

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}


def edit(project: Any, old: str = '"loss": abs(', new: str = '"loss": 2 * abs(') -> None:
    nodes = project.source / "nodes.py"
    assert old in nodes.read_text()
    nodes.write_text(nodes.read_text().replace(old, new))


def tune(project: Any, study: str, trials: int, **options: Any) -> Any:
    loaded = project.load()
    asked = TuneOptions(trials=trials, **options)
    return asked.prepare(loaded, study, lambda _: Listener())


def first_of_the_model(tuner: Any) -> int:
    """How many trials were run before the first proposal of the model."""
    found: list[int] = []
    propose = tuner.proposer.propose

    def proposing(*arguments: Any) -> Any:
        before = len(tuner.proposer.payoffs)
        proposed = propose(*arguments)
        if len(tuner.proposer.payoffs) > before and not proposed.why:
            found.append(len(tuner.study.current()))
        return proposed

    tuner.proposer.propose = proposing
    tuner.run()
    return found[0] if found else 99


def test_trials_from_before_an_edit_inform_the_search_and_shorten_the_warm_up(
    make_project: Any,
) -> None:
    plain = make_project()
    assert first_of_the_model(tune(plain, "s", 9)) == 8
    edited = make_project()
    tune(edited, "s", 14).run()
    edit(edited)
    tuner = tune(edited, "s", 7)
    tuner.study.compare_with(tuner.project.state)
    assert tuner.proposer.earlier.sentence() == (
        "14 earlier trials inform the search: 14 from before an edit"
    )
    assert first_of_the_model(tuner) < 7


def test_another_study_informs_the_search_and_is_kept_for_when_it_resumes(project: Any) -> None:
    old = tune(project, "old", 12)
    best = old.run().best.params
    tuner = tune(project, "new", 3, former=["old"])
    result = tuner.run()
    assert [t.params for t in result.trials[:2]] == [DEFAULTS, best]
    assert tuner.study.builds_on() == ["old"]
    again = tune(project, "new", 4)
    assert again.proposer.earlier.sentence() == (
        "12 earlier trials inform the search: 12 of study old"
    )
    third = tune(project, "third", 3, former=["old", "new", "old"])
    assert third.study.builds_on() == ["old", "new"]
    assert "12 of study old, 3 of study new" in third.proposer.earlier.sentence()
    seen = [t.params for t in third.run().trials]
    assert seen[:2] == [DEFAULTS, best]


def test_parallel_workers_know_earlier_studies(project: Any) -> None:
    best = tune(project, "old", 5).run().best.params
    tuner = tune(project, "new", 4, former=["old"], workers=2)
    assert "5 of study old" in tuner.proposer.earlier.sentence()
    result = tuner.run()
    assert best in [t.params for t in result.trials]
    assert len({str(t.params) for t in result.trials}) == len(result.trials)


def test_a_study_of_another_file_and_one_that_is_gone(make_project: Any) -> None:
    one, two = make_project(), make_project()
    tune(one, "old", 6).run()
    reference = f"{one.path / '.eeipu/study.db'}:old"
    assert len(tune(two, "new", 3, former=[reference]).proposer.earlier.all()[0]) == 6
    (one.path / ".eeipu/study.db").unlink()
    tuner = tune(two, "new", 3)
    assert tuner.proposer.earlier.lost == [reference]
    assert tuner.proposer.earlier.sentence() == ""
    assert len(tuner.run().trials) == 3


def test_what_cannot_be_learnt_from_is_refused_with_the_remedy(project: Any) -> None:
    def refused(*former: str, **options: Any) -> str:
        with pytest.raises(ConfigurationError) as error:
            tune(project, "new", 3, former=former, **options)
        assert str(error.value).startswith("--from: ")
        return str(error.value)

    open_study(project.load().storage, "empty", project.load().space, create=True)
    assert "there is no study 'missing' yet" in refused("missing")
    assert refused("missing").endswith("There is: empty."), "no study was made in vain"
    assert "study 'empty' has no trial with a value" in refused("empty")
    assert "is the one that is tuned" in refused("new")
    assert "nowhere.db" in (told := refused("nowhere.db:x"))
    assert told.startswith("--from: there is no file ")
    told = refused(f"sqlite:///{project.path / 'nowhere.db'}:x")
    assert f"there is no file {project.path / 'nowhere.db'}" in told
    for reference in ("postgresql://me:secret@host/studies:x", "postgresql://host/studies"):
        told = refused(reference)
        assert "a database URL cannot be named" in told
        assert "secret" not in told
    assert "sampler tpe does not learn from other studies" in refused("empty", sampler="tpe")
    tune(project, "old", 3).run()
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    parameters["eeipu"]["space"] = {"clean.kind": ["plain", "fancy"]}
    project.write_parameters(parameters)
    assert "has none of the parameters of this search: it has clean.scale" in refused("old")


def test_former_states_are_those_of_today_no_more_when_the_edit_is_taken_back(
    project: Any,
) -> None:
    tune(project, "s", 4).run()
    edit(project)
    tuner = tune(project, "s", 4)
    tuner.run()
    assert [len(f) for f in tuner.proposer.earlier.all()] == [4]
    model = tuner.proposer.earlier.all()[0]
    assert tuner.proposer.earlier.all()[0] is model, "its model is fitted once"
    edit(project, '"loss": 2 * abs(', '"loss": abs(')
    back = tune(project, "s", 4)
    back.study.compare_with(back.project.state)
    assert [len(f) for f in back.proposer.earlier.all()] == [4]
    assert back.proposer.earlier.all()[0].values != model.values


def test_trials_of_other_ranges_inform_the_search(project: Any) -> None:
    best = tune(project, "s", 9).run().best.params
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    parameters["clean"]["offset"] = 0.5
    parameters["eeipu"]["space"]["clean.offset"] = {"low": 0.0, "high": 1.0}
    del parameters["eeipu"]["space"]["right.power"]
    project.write_parameters(parameters)
    tuner = tune(project, "s", 11)
    tuner.study.compare_with(tuner.project.state)
    assert tuner.proposer.earlier.sentence() == (
        "9 earlier trials inform the search: 9 of other ranges"
    )
    best.pop("right.power")
    result = tuner.run()
    after = [t.params for t in result.trials if "clean.offset" in t.params]
    assert after[0] == {**best, "clean.offset": 0.5}, "the best so far, in today's ranges"


def test_without_earlier_trials_nothing_informs(project: Any) -> None:
    tuner = project.tuner(limits=Limits(trials=1))
    assert isinstance(tuner.proposer.earlier, Earlier)
    assert tuner.proposer.earlier.all() == []
    assert tuner.proposer.earlier.sentence() == ""

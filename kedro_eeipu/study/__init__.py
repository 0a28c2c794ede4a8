"""Trials, their stage costs and reuse, and the sampler that proposes the next one."""

from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.study.sampler import EEIPUSampler, Observation
from kedro_eeipu.study.storage import TrialStudy, open_study

__all__ = ["EEIPUSampler", "NodeRecord", "Observation", "TrialRecord", "TrialStudy", "open_study"]

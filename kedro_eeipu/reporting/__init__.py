"""The report: what a study recorded as one HTML page, and its figures one by one."""

from kedro_eeipu.reporting.page import report_html
from kedro_eeipu.reporting.view import StudyView

__all__ = ["StudyView", "report_html"]

"""The report: what a study recorded as one HTML page."""

from kedro_eeipu.reporting.page import report_html

__all__ = ["report_html"]

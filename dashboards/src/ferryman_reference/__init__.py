"""docs/operator.md: its tables of fields, written from the CRD's own descriptions."""

from ferryman_reference.page import PAGE, written

__all__ = ["PAGE", "written"]

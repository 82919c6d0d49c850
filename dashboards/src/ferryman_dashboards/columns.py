"""What all tables are made of: a query for each column, and which columns there are, in what order and named how."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from ferryman_dashboards.panels import DATASOURCE

#: Without a last column of queries a row that misses one of them would be lost: merge keeps it.
MERGED = DataTransformerConfig(id_val="merge", options={})


def cells(ref: str, expr: str) -> prometheus.Dataquery:
    """The values as of now, one for each row."""
    query = prometheus.Dataquery().ref_id(ref).expr(expr).instant().format(PromQueryFormat.TABLE)
    return query.legend_format("").datasource(DATASOURCE)


def named(names: Mapping[str, str]) -> DataTransformerConfig:
    """The columns in this order: a label, `Value` or `Value #A`, and the name that a person reads."""
    options = {
        "excludeByName": {"Time": True},
        "indexByName": {name: place for place, name in enumerate(names)},
        "renameByName": names,
    }
    return DataTransformerConfig(id_val="organize", options=options)

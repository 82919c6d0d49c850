"""Pictures of the dashboards without a Grafana: every panel is drawn from what a Prometheus answers to its queries.

query (`source`) -> frame (`frames`) -> drawing (one module per kind of panel), laid out by `page`. What Grafana would
do is done as closely as a person needs who judges a dashboard: layout, titles, units, thresholds, legends, colours.
"""

"""Pieces of PromQL that more than one dashboard asks with."""


def quantile(q: float, histogram: str, by: str = "", matchers: str = "") -> str:
    """A quantile of what was observed in the series that `matchers` choose, in all or for each of `by`."""
    labels = f"{by}, le" if by else "le"
    buckets = f"{histogram}_bucket{{{matchers}}}" if matchers else f"{histogram}_bucket"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({buckets}[$__rate_interval])))"


def ten(expr: str, by: str, over_time: str) -> str:
    """The ten for which `over_time`, one figure for all the time that is shown, is highest.

    A plain topk() would choose anew at each point and draw pieces of many lines.
    """
    return f"{expr} and on ({by}) topk(10, {over_time})"
